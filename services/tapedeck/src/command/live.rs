//! `tapedeck live`: who may trade with money, as the tape has it.

use contracts::v1::TradingMode;
use runtime::command;

use crate::cli::LiveCommand;
use crate::command::control::{caller, check_account};
use crate::config::{AccountConfig, value};
use crate::exit::Failure;
use crate::output::Output;
use crate::session::Session;

/// Confirms, takes back, or shows.
pub async fn run(session: &Session, asked: &LiveCommand, output: Output) -> Result<(), Failure> {
    match asked {
        LiveCommand::Confirm { account, reason } => {
            stated(session, account, reason).await?;
            // An account that only the tape knows is at no broker either.
            if !session.config.account.get(account).is_some_and(AccountConfig::is_at_alpaca) {
                let field = format!("account.{account}.broker");
                return Err(value(field, broker::SIMULATED, broker::ALPACA).into());
            }
            command::confirm_live(&session.tape, &caller(), account, reason).await?;
            done(account, "confirmed", output)
        }
        LiveCommand::Revoke { account, reason } => {
            stated(session, account, reason).await?;
            command::revoke_live(&session.tape, &caller(), account, reason).await?;
            done(account, "revoked", output)
        }
        LiveCommand::Status => status(session, output).await,
    }
}

async fn stated(session: &Session, account: &str, reason: &str) -> Result<(), Failure> {
    check_account(session, account).await?;
    if account.is_empty() || reason.trim().is_empty() {
        return Err(Failure::usage(
            format!("--reason {reason:?}: expected why account {account:?} may trade with money"),
            "tapedeck live confirm ACCOUNT --reason TEXT",
        ));
    }
    Ok(())
}

fn done(account: &str, state: &str, output: Output) -> Result<(), Failure> {
    if output.json {
        return output.document(&serde_json::json!({ "account": account, "state": state }));
    }
    output.note(&format!("{state}: account {account}"));
    if state == "revoked" {
        output.note(
            "a process that trades goes on until it is stopped; tapedeck halt stops new exposure at once",
        );
    }
    Ok(())
}

async fn status(session: &Session, output: Output) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for (name, account) in &session.config.account {
        let confirmed = command::live_confirmation(&session.tape, name).await?;
        let attached = command::attachment(&session.tape, name).await?.unwrap_or_default();
        rows.push(serde_json::json!({
            "account": name,
            "broker": account.broker,
            "configured": account.wanted_mode().name(),
            "confirmed_by": confirmed.as_ref().map(|confirmed| confirmed.actor.clone()),
            "reason": confirmed.map(|confirmed| confirmed.reason),
            "traded": match attached.mode() {
                TradingMode::Unspecified => TradingMode::Simulated.name(),
                mode => mode.name(),
            },
            "broker_account": attached.broker_account,
        }));
    }
    if output.json {
        return output.document(&rows);
    }
    let text = |row: &serde_json::Value, name: &str| row[name].as_str().unwrap_or("–").to_owned();
    let columns = ["account", "broker", "configured", "confirmed_by", "reason", "traded", "broker_account"];
    let cells: Vec<Vec<String>> =
        rows.iter().map(|row| columns.iter().map(|name| text(row, name)).collect()).collect();
    output.table(
        &["ACCOUNT", "BROKER", "CONFIGURED", "CONFIRMED BY", "REASON", "TRADED LAST", "BROKER'S NUMBER"],
        &cells,
    );
    Ok(())
}
