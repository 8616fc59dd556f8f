//! `tapedeck strategy register`, `remove` and `replace`: external strategies, while the system runs.

use std::path::Path;

use contracts::v1::{GroupPolicy, PositionsFate};
use domain::book::InName;
use runtime::command::{self as commands, Leaving, NewStrategy, StrategyError};
use runtime::{Credentials, ExternalStrategy};
use serde_json::json;

use crate::access::ServerAccess;
use crate::addresses::write_private;
use crate::cli::{Register, Replace};
use crate::command::control::caller;
use crate::command::stop::{self, Going, Stated};
use crate::command::strategy::{becomes, in_name};
use crate::exit::Failure;
use crate::output::Output;
use crate::session::Session;

/// Registers an external strategy and tells its credentials, once.
pub async fn register(session: &Session, options: &Register, output: Output) -> Result<(), Failure> {
    let example = "tapedeck strategy register NAME --subjects market.bar.1h.SPY";
    let mode = options.mode.as_deref().map(commands::first_mode).transpose()?;
    let sizing = domain::sizing::parse(&options.sizing).ok_or_else(|| {
        let expected = domain::sizing::EXPECTED;
        Failure::usage(format!("--sizing {:?}: expected {expected}", options.sizing), example)
    })?;
    let new = NewStrategy {
        name: options.name.clone(),
        subjects: options.subjects.clone(),
        account: options.account.clone(),
        sizing,
        group_policy: group_policy(&options.group_policy, example)?,
    };
    if let Some(file) = &options.credentials {
        // Before anything is made: a password that cannot be written down would be lost.
        writable(file)?;
        if file.exists() {
            let message = format!(
                "--credentials {}: exists already, expected a new file: the password in it is told nowhere else",
                file.display()
            );
            return Err(Failure::usage(message, "name another file, or remove this one"));
        }
    }
    let access = ServerAccess::of(session);
    let (strategy, credentials) =
        commands::register_strategy(&session.tape, &access, &caller(), &new).await?;
    tell(&strategy, &credentials, options.credentials.as_deref(), output)?;
    if let Some(mode) = mode {
        // Its name is new: whatever an earlier one left in it was said when that one was removed.
        let nothing = Leaving::default();
        commands::enable_strategy(&session.tape, &caller(), &strategy.name, mode, &nothing).await?;
        output.note(&format!("{} enabled", strategy.name));
    } else {
        output.note(&format!(
            "{} is registered and disabled; start its process, then: tapedeck strategy enable {} --mode paper",
            strategy.name, strategy.name
        ));
    }
    Ok(())
}

/// The policy that `--group-policy` names.
pub fn group_policy(name: &str, example: &str) -> Result<GroupPolicy, Failure> {
    let expected = domain::order::group::POLICY_EXPECTED;
    domain::order::group::policy_from_name(name)
        .ok_or_else(|| Failure::usage(format!("--group-policy {name:?}: expected {expected}"), example))
}

fn writable(file: &Path) -> Result<(), Failure> {
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    if directory.is_some_and(|directory| !directory.is_dir()) {
        let message = format!("--credentials {}: its directory does not exist", file.display());
        return Err(Failure::not_found(message, "mkdir the directory, or name another file"));
    }
    Ok(())
}

/// Gives an external strategy a new password. The file may be the one that held the old one, which is worth nothing now.
pub async fn rotate(
    session: &Session,
    name: &str,
    file: Option<&Path>,
    output: Output,
) -> Result<(), Failure> {
    file.map(writable).transpose()?;
    let access = ServerAccess::of(session);
    let (strategy, credentials) =
        commands::rotate_credentials(&session.tape, &access, &caller(), name).await?;
    tell(&strategy, &credentials, file, output)
}

/// Hands over to the next version, which has run in shadow mode beside the old one.
pub async fn switch(
    session: &Session,
    name: &str,
    to: &str,
    positions: Option<&str>,
    reason: &str,
    output: Output,
) -> Result<(), Failure> {
    let going = Going::ReplacedBy(to);
    let (found, leaving) = left_behind(session, name, (positions, None), going, output).await?;
    let access = ServerAccess::of(session);
    let after =
        commands::switch_strategy(&session.tape, &access, &caller(), name, to, reason, &leaving).await;
    let account = after.map_err(|error| stop::refused(error, going.hint()))?.registered.account;
    finish(name, "replaced", going, &account, found.as_ref(), &leaving, output)
}

fn tell(
    strategy: &ExternalStrategy,
    credentials: &Credentials,
    file: Option<&Path>,
    output: Output,
) -> Result<(), Failure> {
    let document = credentials.file(strategy);
    match file {
        Some(path) => {
            let text = serde_json::to_string_pretty(&document).map_err(|e| Failure::other(e.to_string()))?;
            write_private(path, &(text + "\n"))?;
            if output.json {
                output.document(&json!({
                    "strategy": strategy.name, "user": credentials.user, "credentials": path,
                    "to_add": credentials.to_add,
                }))?;
            } else {
                output.note(&format!("credentials of user {} are in {}", credentials.user, path.display()));
            }
        }
        None => {
            output.note("credentials, told this once (--credentials FILE writes them to a file):");
            output.document(&document)?;
        }
    }
    if let Some(block) = &credentials.to_add {
        output.note(
            "this server takes its users from its own configuration: add an account with it (docs/strategies.md)",
        );
        output.note(&format!("  {block}"));
        output.note("and have the server read it twice: nats-server --signal reload");
    }
    Ok(())
}

/// Ends a registration; user and consumers go, history stays, and of what it holds it is said what becomes.
pub async fn remove(
    session: &Session,
    name: &str,
    stated: Stated<'_>,
    reason: &str,
    output: Output,
) -> Result<(), Failure> {
    let going = Going::Removed;
    let is_registered = commands::registration(&session.tape, name).await?.is_some();
    let (found, leaving) = left_behind(session, name, stated, going, output).await?;
    let access = ServerAccess::of(session);
    let removed = commands::remove_strategy(&session.tape, &access, &caller(), name, reason, &leaving).await;
    removed.map_err(|error| stop::refused(error, going.hint()))?;
    if session.external_servers {
        output
            .note(&format!("remove user {} from your server's configuration", runtime::consumer_name(name)));
    }
    finish(name, removed_state(is_registered), going, "", found.as_ref(), &leaving, output)
}

/// Hands over from one strategy to another at one position of the tape.
pub async fn replace(session: &Session, options: &Replace, output: Output) -> Result<(), Failure> {
    let Replace { name, with, positions, reason } = options;
    let going = Going::ReplacedBy(with);
    let (found, leaving) = left_behind(session, name, (positions.as_deref(), None), going, output).await?;
    let access = ServerAccess::of(session);
    let after =
        commands::replace_strategy(&session.tape, &access, &caller(), name, with, reason, &leaving).await;
    let account = after.map_err(|error| stop::refused(error, going.hint()))?.registered.account;
    finish(name, "replaced", going, &account, found.as_ref(), &leaving, output)
}

/// What a strategy that goes holds, and what becomes of it. Of one that cannot go nothing is asked: the command says why.
async fn left_behind(
    session: &Session,
    name: &str,
    stated: Stated<'_>,
    going: Going<'_>,
    output: Output,
) -> Result<(Option<InName>, Leaving), Failure> {
    let goes = commands::registration(&session.tape, name).await?.is_some_and(|known| match going {
        Going::Removed => known.is_external(),
        Going::ReplacedBy(_) | Going::Disabled | Going::Shadow => known.enabled.is_some(),
    });
    let (found, nothing) = (in_name(session, name).await?, InName::default());
    let asked = if goes { found.as_ref() } else { Some(&nothing) };
    let leaving = stop::leaving(name, stated, asked, going, output)?;
    Ok((found, leaving))
}

/// What a removal came to: one of a strategy that is registered no more finishes what an earlier one began.
fn removed_state(is_registered: bool) -> &'static str {
    if is_registered { "removed" } else { "removed already" }
}

/// Says what became of the strategy, and of what it holds.
fn finish(
    name: &str,
    state: &str,
    going: Going<'_>,
    account: &str,
    found: Option<&InName>,
    leaving: &Leaving,
    output: Output,
) -> Result<(), Failure> {
    let held = found.cloned().unwrap_or_default();
    let fate = leaving.positions;
    if output.json {
        let positions = held.positions.iter().map(|(symbol, quantity)| format!("{quantity} {symbol}"));
        let mut document = json!({
            "strategy": name,
            "state": state,
            "positions": positions.collect::<Vec<_>>(),
            "orders": held.orders,
            "fate": commands::fate_name(fate),
        });
        if let Going::ReplacedBy(next) = going {
            (document["with"], document["account"]) = (json!(next), json!(account));
        }
        return output.document(&document);
    }
    match going {
        Going::ReplacedBy(next) => output.note(&format!("{name} {state} by {next} on {account}")),
        Going::Removed | Going::Disabled | Going::Shadow => output.note(&format!("{name} {state}")),
    }
    if !held.holds() {
        return Ok(());
    }
    let words = match (fate, going) {
        (PositionsFate::Unspecified, _) if held.leaving => {
            "what was said of it when the strategy was stopped is under way".to_owned()
        }
        (PositionsFate::Unspecified, _) | (PositionsFate::Keep, Going::Removed) => format!(
            "it stays in the name of {name}, valued and counted against the account's limits, until `tapedeck \
             strategy disable {name} --positions flatten|hand-over` or `tapedeck kill --strategy {name} --flatten`"
        ),
        (PositionsFate::Keep, _) => format!("{name} goes on to manage it: it may close, and open nothing"),
        (_, Going::ReplacedBy(next)) => format!("it {}", becomes(fate, next)),
        _ => format!("it {}", becomes(fate, &leaving.hand_over_to)),
    };
    output.note(&format!("{name} held {held}: {words}"));
    Ok(())
}

impl From<StrategyError> for Failure {
    fn from(error: StrategyError) -> Self {
        let message = error.to_string();
        match error {
            StrategyError::Invalid { field: "mode", .. } => {
                Self::usage(message, "tapedeck strategy enable NAME --mode paper")
            }
            StrategyError::Invalid { field: "with", .. } => Self::usage(message, "tapedeck strategy list"),
            StrategyError::Invalid { .. } => {
                Self::usage(message, "tapedeck strategy register NAME --subjects market.bar.1h.SPY")
            }
            StrategyError::Holds { .. } => Self::usage(message, Going::Removed.hint()),
            StrategyError::Unknown(_) => Self::not_found(message, "tapedeck strategy list"),
            StrategyError::Exists(name) => Self::usage(message, format!("tapedeck strategy remove {name}")),
            StrategyError::BuiltIn(name) => Self::usage(message, format!("tapedeck strategy disable {name}")),
            StrategyError::NotEnabled(name) => {
                Self::usage(message, format!("tapedeck strategy enable {name} --mode paper"))
            }
            StrategyError::NoCredentials(_) => Self::usage(message, "tapedeck strategy list"),
            StrategyError::NotBeside(name) => {
                Self::usage(message, format!("tapedeck strategy enable {name} --mode shadow"))
            }
            StrategyError::NotConfirmed { account, .. } => {
                Self::usage(message, format!("tapedeck live confirm {account} --reason TEXT"))
            }
            StrategyError::Access(_) => Self::other(message),
            StrategyError::Append(error) => error.into(),
            StrategyError::Log(error) => error.into(),
        }
    }
}
