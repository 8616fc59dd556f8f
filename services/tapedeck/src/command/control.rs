//! `tapedeck halt`, `tapedeck resume` and `tapedeck kill`.

use std::collections::BTreeSet;

use contracts::v1::TradingState;
use runtime::command::{self, Caller, Stop};

use super::breaker;
use super::strategy::reachable;
use crate::cli::{Halt, Kill, StopState, Stopped};
use crate::exit::Failure;
use crate::output::Output;
use crate::session::Session;

/// Stops new exposure.
pub async fn halt(session: &Session, options: &Halt, output: Output) -> Result<(), Failure> {
    let stop = stopped(session, &options.stopped).await?;
    let (state, word) = match options.state {
        None => (TradingState::Unspecified, "reduce-only"),
        Some(StopState::ReduceOnly) => (TradingState::ReduceOnly, "reduce-only"),
        Some(StopState::Halted) => (TradingState::Halted, "halted"),
    };
    command::halt_scope(&session.tape, &caller(), &stop, state).await?;
    done(session, &stop, word, output)
}

/// Ends a halt, and a kill switch.
pub async fn resume(session: &Session, options: &Stopped, output: Output) -> Result<(), Failure> {
    let stop = stopped(session, options).await?;
    let before = breaker::in_force(session).await?;
    command::resume_scope(&session.tape, &caller(), &stop).await?;
    // Without a read model that knows, the command is all there is to tell of.
    let Some(before) = before else { return done(session, &stop, "resumed", output) };
    let (ended, others): (Vec<_>, Vec<_>) = before.into_iter().partition(|row| row.ends_with(&stop));
    done(session, &stop, if ended.is_empty() { "not stopped" } else { "resumed" }, output)?;
    for row in others.iter().filter(|row| row.concerns(&stop)) {
        output.note(&format!("still in force: {row}"));
    }
    Ok(())
}

/// Pulls the kill switch.
pub async fn kill(session: &Session, options: &Kill, output: Output) -> Result<(), Failure> {
    let stop =
        stop_of(session, options.account.as_deref(), options.strategy.as_deref(), &options.reason).await?;
    command::kill(&session.tape, &caller(), &stop, options.flatten).await?;
    let word = if options.flatten { "killed, positions are being closed" } else { "killed" };
    done(session, &stop, word, output)
}

/// What is stopped, once it is known to be there. What is traded by hand is stopped as a strategy is, and so is what a
/// strategy that was removed has left behind.
pub async fn stop(session: &Session, account: &str, strategy: &str, reason: &str) -> Result<Stop, Failure> {
    check_account(session, account).await?;
    if !strategy.is_empty() && strategy != contracts::MANUAL {
        reachable(session, strategy).await?;
    }
    let (account, strategy, reason) = (account.to_owned(), strategy.to_owned(), reason.to_owned());
    Ok(Stop { account, strategy, reason })
}

/// The same, as `halt` and `resume` name it.
async fn stopped(session: &Session, named: &Stopped) -> Result<Stop, Failure> {
    stop_of(session, named.account.as_deref(), named.strategy.as_deref(), &named.reason).await
}

/// The same; all are meant where none is named.
async fn stop_of(
    session: &Session,
    account: Option<&str>,
    strategy: Option<&str>,
    reason: &str,
) -> Result<Stop, Failure> {
    stop(session, account.unwrap_or_default(), strategy.unwrap_or_default(), reason).await
}

/// Refuses an account that neither the configuration nor the tape knows; the empty name stands for all of them.
pub async fn check_account(session: &Session, account: &str) -> Result<(), Failure> {
    if account.is_empty() || session.config.account.contains_key(account) {
        return Ok(());
    }
    let known = known_accounts(session).await?;
    if known.contains(account) { Ok(()) } else { Err(unknown_account(account, known)) }
}

/// The accounts of the configuration and of the tape.
pub async fn known_accounts(session: &Session) -> Result<BTreeSet<String>, Failure> {
    let mut known: BTreeSet<String> = session.config.account.keys().cloned().collect();
    known.extend(command::accounts(&session.tape).await?);
    Ok(known)
}

/// What is said of an account that is none of `known`.
pub fn unknown_account(account: &str, known: impl IntoIterator<Item = String>) -> Failure {
    let known = known.into_iter().collect::<Vec<_>>().join(", ");
    Failure::not_found(format!("account {account:?}: expected one of {known}"), "tapedeck account")
}

/// Says what was done, and to which tape: the one used last need not be the one that runs.
fn done(session: &Session, stop: &Stop, action: &str, output: Output) -> Result<(), Failure> {
    let tape = &session.dir.name;
    if session.is_among_commands() {
        output.note(&format!(
            "nobody runs tape {tape}: this takes effect once somebody does; `tapedeck tape list` shows which tapes run, \
             --tape NAME names one"
        ));
    }
    if output.json {
        let (account, strategy) = (&stop.account, &stop.strategy);
        return output.document(&serde_json::json!({
            "tape": tape, "account": account, "strategy": strategy, "state": action
        }));
    }
    output.note(&format!("{action}: {stop}, tape {tape}"));
    Ok(())
}

/// The person at the command line; each call is a command of its own.
#[expect(clippy::disallowed_methods, reason = "the binary is where the environment is read")]
pub fn caller() -> Caller {
    let actor = std::env::var("USER").ok().filter(|user| !user.is_empty());
    Caller {
        actor: actor.unwrap_or_else(|| "cli".to_owned()),
        key: format!("{}-{}", runtime::now_ns(), std::process::id()),
    }
}
