//! `tapedeck strategy`: listed, enabled, disabled.

use contracts::v1::PositionsFate;
use domain::book::InName;
use runtime::command as commands;

use crate::cli::StrategyCommand;
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
        StrategyCommand::Enable { name, mode, positions, to } => {
            let mode = commands::strategy_mode(mode)?;
            known(session, name).await?;
            let stated = (positions.as_deref(), to.as_deref());
            let (fate, to) = stop::enable(session, name, mode, stated, output).await?;
            done(name, "enabled", output)?;
            if fate != PositionsFate::Unspecified && !output.json {
                output.note(&format!("what {name} holds {}", becomes(fate, &to)));
            }
            Ok(())
        }
        StrategyCommand::Disable { name, positions, to, reason } => {
            // What was traded by hand is no strategy's; the kill switch closes it.
            let hint = if name == contracts::MANUAL { BY_HAND } else { LIST };
            let found = reachable(session, name).await;
            let is_registered = found.map_err(|failure| failure.hinting(LIST, hint))?;
            let stated = (positions.as_deref(), to.as_deref());
            let (fate, to) = stop::run(session, name, stated, reason, is_registered, output).await?;
            if is_registered || output.json {
                return done(name, if is_registered { "disabled" } else { "removed" }, output);
            }
            output.note(&format!("{name} is removed; what it left behind {}", becomes(fate, &to)));
            Ok(())
        }
        StrategyCommand::Kinds => kinds(output),
        StrategyCommand::Register(options) => external::register(session, options, output).await,
        StrategyCommand::Remove { name, positions, to, reason } => {
            let stated = (positions.as_deref(), to.as_deref());
            external::remove(session, name, stated, reason, output).await
        }
        StrategyCommand::Replace(options) => external::replace(session, options, output).await,
        StrategyCommand::Score { name } => score::score(session, name, output).await,
        StrategyCommand::Compare { name, other } => score::compare(session, name, other, output).await,
        StrategyCommand::Switch { name, to, positions, reason } => {
            external::switch(session, name, to, positions.as_deref(), reason, output).await
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

/// What becomes of something, in words.
pub(crate) fn becomes(fate: PositionsFate, to: &str) -> String {
    match fate {
        PositionsFate::Unspecified | PositionsFate::Keep => "stays as it is".to_owned(),
        PositionsFate::Flatten => "is being closed at the market".to_owned(),
        PositionsFate::HandOver => format!("goes to {to}, at its cost"),
    }
}

/// What is in a strategy's name; `None` where the read model cannot say.
pub(crate) async fn in_name(session: &Session, name: &str) -> Result<Option<InName>, Failure> {
    let pool = session.reader().await?;
    let found = projections::in_name(&pool, &session.tape, name).await;
    pool.close().await;
    found.map_err(|error| Failure::unreachable(error.to_string()))
}

/// Refuses a strategy of which nothing can be commanded: one that is not registered and has nothing in its name.
/// Answers whether it is registered. Where the read model cannot say what is in a name, one that was registered counts:
/// a kill switch waits for nobody.
pub(crate) async fn reachable(session: &Session, name: &str) -> Result<bool, Failure> {
    if commands::registration(&session.tape, name).await?.is_some() {
        return Ok(true);
    }
    let is_there = name != contracts::MANUAL
        && match in_name(session, name).await {
            Ok(Some(found)) => !found.is_empty(),
            Ok(None) | Err(_) => commands::was_registered(&session.tape, name).await?,
        };
    if is_there {
        return Ok(false);
    }
    known(session, name).await.map(|()| true)
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
