//! `tapedeck strategy`: listed, enabled, disabled.

use runtime::command as commands;

use crate::cli::StrategyCommand;
use crate::command::control::caller;
use crate::command::{external, fleet, score, skeleton, stop};
use crate::exit::Failure;
use crate::output::Output;
use crate::session::Session;

/// What to try where a strategy is not known.
const LIST: &str = "tapedeck strategy list";
/// What to try for what was traded by hand.
const BY_HAND: &str = "tapedeck kill --strategy manual --flatten";

/// Lists, enables or disables.
pub async fn run(session: &Session, command: &StrategyCommand, output: Output) -> Result<(), Failure> {
    match command {
        StrategyCommand::List => fleet::list(session, output).await,
        StrategyCommand::Show { name } => fleet::show(session, name, output).await,
        StrategyCommand::Enable { name, mode } => {
            let mode = commands::strategy_mode(mode)?;
            known(session, name).await?;
            commands::enable_strategy(&session.tape, &caller(), name, mode).await?;
            done(name, "enabled", output)
        }
        StrategyCommand::Disable { name, positions, to, reason } => {
            // What was traded by hand is no strategy's; the kill switch closes it.
            let hint = if name == contracts::MANUAL { BY_HAND } else { LIST };
            known(session, name).await.map_err(|failure| failure.hinting(LIST, hint))?;
            stop::run(session, name, (positions.as_deref(), to.as_deref()), reason, output).await?;
            done(name, "disabled", output)
        }
        StrategyCommand::Kinds => kinds(output),
        StrategyCommand::Register(options) => external::register(session, options, output).await,
        StrategyCommand::Remove { name, reason } => external::remove(session, name, reason, output).await,
        StrategyCommand::Replace(options) => external::replace(session, options, output).await,
        StrategyCommand::Score { name } => score::score(session, name, output).await,
        StrategyCommand::Compare { name, other } => score::compare(session, name, other, output).await,
        StrategyCommand::Switch { name, to, reason } => {
            external::switch(session, name, to, reason, output).await
        }
        StrategyCommand::Rotate { name, credentials } => {
            external::rotate(session, name, credentials.as_deref(), output).await
        }
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
                            "name": parameter.name, "default": parameter.default, "unit": parameter.unit,
                            "range": parameter.value.to_string(), "description": parameter.description,
                            "type": parameter.value.type_name(), "choices": parameter.value.choices(),
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
                parameter.name,
                if parameter.default.is_empty() { "…" } else { parameter.default },
                parameter.value,
                parameter.description
            ));
        }
    }
    Ok(())
}

/// Refuses a strategy that is not registered on the tape.
pub(crate) async fn known(session: &Session, name: &str) -> Result<(), Failure> {
    if commands::registration(&session.tape, name).await?.is_some() {
        return Ok(());
    }
    let known = commands::registered(&session.tape).await?.join(", ");
    let expected =
        if known.is_empty() { "there is none".to_owned() } else { format!("expected one of {known}") };
    Err(Failure::not_found(format!("no strategy {name:?} on this tape: {expected}"), LIST))
}

fn done(name: &str, state: &str, output: Output) -> Result<(), Failure> {
    if output.json {
        return output.document(&serde_json::json!({ "strategy": name, "state": state }));
    }
    output.note(&format!("{name} {state}"));
    Ok(())
}
