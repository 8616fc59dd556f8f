//! `tapedeck strategy`: listed, enabled, disabled.

use runtime::command as commands;

use crate::cli::StrategyCommand;
use crate::command::control::caller;
use crate::command::{external, skeleton};
use crate::config::parse_mode;
use crate::exit::Failure;
use crate::output::Output;
use crate::session::Session;

/// Lists, enables or disables.
pub async fn run(session: &Session, command: &StrategyCommand, output: Output) -> Result<(), Failure> {
    match command {
        StrategyCommand::List => list(session, output).await,
        StrategyCommand::Enable { name, mode } => {
            let mode = parse_mode(mode).ok_or_else(|| {
                Failure::usage(
                    format!("--mode {mode:?}: expected shadow or paper"),
                    "tapedeck strategy enable NAME --mode paper",
                )
            })?;
            known(session, name).await?;
            commands::enable_strategy(&session.tape, &caller(), name, mode).await?;
            done(name, "enabled", output)
        }
        StrategyCommand::Disable { name, reason } => {
            known(session, name).await?;
            commands::disable_strategy(&session.tape, &caller(), name, reason).await?;
            done(name, "disabled", output)
        }
        StrategyCommand::Kinds => kinds(output),
        StrategyCommand::Register(options) => external::register(session, options, output).await,
        StrategyCommand::Remove { name, reason } => external::remove(session, name, reason, output).await,
        StrategyCommand::Replace(options) => external::replace(session, options, output).await,
        StrategyCommand::New { name, lang, dir } => skeleton::write(name, *lang, dir.as_deref(), output),
    }
}

/// The built-in kinds, which need no tape.
pub fn kinds(output: Output) -> Result<(), Failure> {
    if output.json {
        let kinds: Vec<_> = domain::strategy::kinds()
            .iter()
            .map(|kind| {
                let parameters: Vec<_> = kind
                    .parameters
                    .iter()
                    .map(|parameter| {
                        serde_json::json!({
                            "name": parameter.name, "default": parameter.default,
                            "range": parameter.value.to_string(), "description": parameter.description,
                        })
                    })
                    .collect();
                serde_json::json!({
                    "kind": kind.name, "description": kind.description, "parameters": parameters,
                })
            })
            .collect();
        return output.document(&kinds);
    }
    for kind in domain::strategy::kinds() {
        output.line(&format!("{}: {}", output.paint("1", kind.name), kind.description));
        for parameter in kind.parameters {
            output.line(&format!(
                "    {} = {} ({}): {}",
                parameter.name, parameter.default, parameter.value, parameter.description
            ));
        }
    }
    Ok(())
}

async fn known(session: &Session, name: &str) -> Result<(), Failure> {
    match commands::registration(&session.tape, name).await? {
        Some(_) => Ok(()),
        None => {
            Err(Failure::not_found(format!("no strategy {name:?} on this tape"), "tapedeck strategy list"))
        }
    }
}

fn done(name: &str, state: &str, output: Output) -> Result<(), Failure> {
    if output.json {
        return output.document(&serde_json::json!({ "strategy": name, "state": state }));
    }
    output.note(&format!("{name} {state}"));
    Ok(())
}

async fn list(session: &Session, output: Output) -> Result<(), Failure> {
    let pool = session.reader().await?;
    let strategies = projections::queries::strategies(&pool)
        .await
        .map_err(|error| Failure::unreachable(error.to_string()))?;
    if output.json {
        return output.document(&strategies);
    }
    let rows: Vec<Vec<String>> = strategies
        .iter()
        .map(|strategy| {
            vec![
                strategy.strategy.clone(),
                if strategy.consumer.is_empty() { strategy.kind.clone() } else { "external".to_owned() },
                if !strategy.registered {
                    "removed".to_owned()
                } else if strategy.enabled {
                    strategy.mode.clone()
                } else {
                    "disabled".to_owned()
                },
                strategy.account.clone(),
                strategy.signals.to_string(),
                strategy.last_signal_ns.map_or_else(|| "–".to_owned(), crate::render::time),
                strategy.net_pnl.to_string(),
            ]
        })
        .collect();
    output.table(&["STRATEGY", "KIND", "STATE", "ACCOUNT", "SIGNALS", "LAST SIGNAL", "P&L"], &rows);
    Ok(())
}
