//! `tapedeck strategy register`, `remove` and `replace`: external strategies, while the system runs.

use std::path::Path;

use contracts::v1::GroupPolicy;
use runtime::command::{self as commands, NewStrategy, StrategyError};
use runtime::{Credentials, ExternalStrategy};
use serde_json::{Value, json};

use crate::access::ServerAccess;
use crate::addresses::write_private;
use crate::cli::{Register, Replace};
use crate::command::control::caller;
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
        commands::enable_strategy(&session.tape, &caller(), &strategy.name, mode).await?;
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
    reason: &str,
    output: Output,
) -> Result<(), Failure> {
    let access = ServerAccess::of(session);
    let after = commands::switch_strategy(&session.tape, &access, &caller(), name, to, reason).await?;
    let account = after.registered.account;
    let document = json!({ "strategy": name, "state": "replaced", "with": to, "account": account });
    finish(session, name, &format!("replaced by {to} on {account}"), document, output).await
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
            "this server takes its users from its own configuration: add to `authorization { users: [ ] }`",
        );
        output.note(&format!("  {block}"));
        output.note("and have the server read it again: nats-server --signal reload");
    }
    Ok(())
}

/// Ends a registration; user and consumers go, history and positions stay.
pub async fn remove(session: &Session, name: &str, reason: &str, output: Output) -> Result<(), Failure> {
    let access = ServerAccess::of(session);
    commands::remove_strategy(&session.tape, &access, &caller(), name, reason).await?;
    if session.external_servers {
        output
            .note(&format!("remove user {} from your server's configuration", runtime::consumer_name(name)));
    }
    finish(session, name, "removed", json!({ "strategy": name, "state": "removed" }), output).await
}

/// Hands over from one strategy to another at one position of the tape.
pub async fn replace(session: &Session, options: &Replace, output: Output) -> Result<(), Failure> {
    let Replace { name, with, reason } = options;
    let access = ServerAccess::of(session);
    let after = commands::replace_strategy(&session.tape, &access, &caller(), name, with, reason).await?;
    let state = format!("replaced by {with} on {}", after.registered.account);
    let document =
        json!({ "strategy": name, "state": "replaced", "with": with, "account": after.registered.account });
    finish(session, name, &state, document, output).await
}

/// Says what became of the strategy, and of what it holds.
async fn finish(
    session: &Session,
    name: &str,
    state: &str,
    mut document: Value,
    output: Output,
) -> Result<(), Failure> {
    let pool = session.reader().await?;
    let read = |error: projections::QueryError| Failure::unreachable(error.to_string());
    let held = projections::queries::positions(&pool, None, false).await.map_err(read)?;
    pool.close().await;
    let held: Vec<String> = held
        .iter()
        .filter(|position| position.strategy == name)
        .map(|position| format!("{} {}", position.quantity, position.symbol))
        .collect();
    document["positions"] = json!(held);
    if output.json {
        return output.document(&document);
    }
    output.note(&format!("{name} {state}"));
    if !held.is_empty() {
        output.note(&format!(
            "its positions stay in its name, valued and counted against the account's limits: {}",
            held.join(", ")
        ));
    }
    Ok(())
}

impl From<StrategyError> for Failure {
    fn from(error: StrategyError) -> Self {
        let message = error.to_string();
        match error {
            StrategyError::Invalid { field: "mode", .. } => {
                Self::usage(message, "tapedeck strategy enable NAME --mode paper")
            }
            StrategyError::Invalid { .. } => {
                Self::usage(message, "tapedeck strategy register NAME --subjects market.bar.1h.SPY")
            }
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
