//! `tapedeck halt`, `tapedeck resume` and `tapedeck kill`.

use std::collections::BTreeSet;

use contracts::v1::TradingState;
use domain::book::{Halt as Standing, kill_state};
use domain::risk::breaker::state_name;
use runtime::command::{self, Caller, Stop};

use super::breaker;
use super::strategy::reachable;
use crate::cli::{Global, Halt, Kill, StopState, Stopped};
use crate::exit::Failure;
use crate::output::Output;
use crate::servers::uses_external;
use crate::session::{Session, is_run};

/// Refuses to stop, or to let go on, the tape used last where nobody runs it and another one of this home is run: that one
/// is more likely meant. Whoever names a tape means it.
pub async fn check_tape(global: &Global) -> Result<(), Failure> {
    if global.tape.is_some() || uses_external(&global.servers) {
        return Ok(());
    }
    let (home, chosen, _) = Session::chosen(global).await?;
    if is_run(&chosen) {
        return Ok(());
    }
    let mut running = home.tapes();
    running.retain(|name| home.tape(name).is_ok_and(|dir| is_run(&dir)));
    let Some(first) = running.first() else { return Ok(()) };
    let (chosen, others) = (&chosen.name, running.join(", "));
    let typed = typed(std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()));
    Err(Failure::usage(
        format!(
            "nobody runs tape {chosen}, which was used last, while somebody runs {others}: expected --tape with the one \
             that is meant"
        ),
        format!("tapedeck {typed} --tape {first}, or --tape {chosen}"),
    ))
}

/// Arguments as they are typed at a shell.
fn typed(arguments: impl Iterator<Item = String>) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=,+@%".contains(&byte);
    let quoted = arguments.map(|argument| match argument.bytes().all(is_plain) && !argument.is_empty() {
        true => argument,
        false => format!("'{}'", argument.replace('\'', "'\\''")),
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// Stops new exposure.
pub async fn halt(session: &Session, options: &Halt, output: Output) -> Result<(), Failure> {
    let stop = stopped(session, &options.stopped).await?;
    let (state, word) = match options.state {
        None => (TradingState::Unspecified, "reduce-only"),
        Some(StopState::ReduceOnly) => (TradingState::ReduceOnly, "reduce-only"),
        Some(StopState::Halted) => (TradingState::Halted, "halted"),
    };
    command::halt_scope(&session.tape, &caller(), &stop, state).await?;
    let stays = outlasting(session, &stop, state).await;
    done(session, &stop, if stays.is_some() { "halted" } else { word }, stays.as_ref(), output)
}

/// Ends a halt, and a kill switch.
pub async fn resume(session: &Session, options: &Stopped, output: Output) -> Result<(), Failure> {
    let stop = stopped(session, options).await?;
    let before = breaker::in_force(session).await?;
    command::resume_scope(&session.tape, &caller(), &stop).await?;
    // Without a read model that knows, the command is all there is to tell of.
    let Some(before) = before else { return done(session, &stop, "resumed", None, output) };
    let (ended, others): (Vec<_>, Vec<_>) = before.into_iter().partition(|row| row.ends_with(&stop));
    done(session, &stop, if ended.is_empty() { "not stopped" } else { "resumed" }, None, output)?;
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
    let stays = outlasting(session, &stop, kill_state(options.flatten)).await;
    done(session, &stop, word, stays.as_ref(), output)
}

/// What stays in force of the scope although less was asked. That was done all the same, so that a tape which does not
/// answer fails nothing.
async fn outlasting(session: &Session, stop: &Stop, asked: TradingState) -> Option<Standing> {
    projections::outlasting(&session.tape, &stop.account, &stop.strategy, asked).await.ok().flatten()
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
fn done(
    session: &Session,
    stop: &Stop,
    action: &str,
    stays: Option<&Standing>,
    output: Output,
) -> Result<(), Failure> {
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
            "tape": tape, "account": account, "strategy": strategy, "state": action,
            "stays": stays.map(|halt| serde_json::json!({
                "state": state_name(halt.state), "since_ns": halt.since_ns, "actor": halt.actor,
                "reason": halt.reason,
            })),
        }));
    }
    output.note(&format!("{action}: {stop}, tape {tape}"));
    if let Some(halt) = stays {
        output.note(&format!(
            "trading {}; to let it reduce: `tapedeck resume`, then `tapedeck halt`",
            halt.stays()
        ));
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_told_as_it_is_typed() {
        let of = |arguments: &[&str]| typed(arguments.iter().map(|&argument| argument.to_owned()));
        assert_eq!(of(&["kill", "--all", "--flatten"]), "kill --all --flatten");
        assert_eq!(of(&["halt", "--reason", "it's odd"]), r"halt --reason 'it'\''s odd'");
        assert_eq!(of(&["halt", "--reason=", "", "$HOME"]), "halt --reason= '' '$HOME'");
    }
}
