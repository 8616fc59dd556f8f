//! `tapedeck halt` and `tapedeck resume`.

use runtime::command::{self, Caller};

use crate::cli::Halt;
use crate::exit::Failure;
use crate::output::Output;
use crate::session::Session;

/// Stops new exposure.
pub async fn halt(session: &Session, options: &Halt, output: Output) -> Result<(), Failure> {
    check_account(session, &options.account)?;
    command::halt(&session.tape, &caller(), &options.account, &options.reason).await?;
    done(options, "halted", output)
}

/// Ends a halt.
pub async fn resume(session: &Session, options: &Halt, output: Output) -> Result<(), Failure> {
    check_account(session, &options.account)?;
    command::resume(&session.tape, &caller(), &options.account, &options.reason).await?;
    done(options, "resumed", output)
}

fn check_account(session: &Session, account: &str) -> Result<(), Failure> {
    if account.is_empty() || session.config.account.contains_key(account) {
        return Ok(());
    }
    let known = session.config.account.keys().cloned().collect::<Vec<_>>().join(", ");
    Err(Failure::not_found(format!("account {account:?}: expected one of {known}"), "tapedeck config check"))
}

fn done(options: &Halt, action: &str, output: Output) -> Result<(), Failure> {
    if output.json {
        return output.document(&serde_json::json!({ "account": options.account, "state": action }));
    }
    let scope = if options.account.is_empty() { "all accounts" } else { options.account.as_str() };
    output.note(&format!("{action}: {scope}"));
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
