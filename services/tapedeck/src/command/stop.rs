//! Stopping a strategy: what becomes of its positions is asked, or stated, and recorded with the stop.

use std::io::IsTerminal as _;

use contracts::v1::PositionsFate;
use domain::money::Quantity;
use projections::queries;
use runtime::command::{self as commands, StrategyError};

use crate::command::control::caller;
use crate::exit::Failure;
use crate::output::{Output, message};
use crate::session::Session;

const HINT: &str = "tapedeck strategy disable NAME --positions keep|flatten|hand-over [--to OTHER]";

/// Stops `name`; `stated` says what becomes of its positions and who takes them over.
pub async fn run(
    session: &Session,
    name: &str,
    stated: (Option<&str>, Option<&str>),
    reason: &str,
    output: Output,
) -> Result<(), Failure> {
    let held = held(session, name).await;
    let (fate, to) = match stated {
        (Some(text), to) => {
            let fate = commands::positions_fate(text).ok_or_else(|| {
                Failure::usage(format!("--positions {text:?}: expected keep, flatten or hand-over"), HINT)
            })?;
            (fate, to.unwrap_or_default().to_owned())
        }
        (None, Some(to)) => (PositionsFate::HandOver, to.to_owned()),
        (None, None) if held.is_empty() => (PositionsFate::Unspecified, String::new()),
        (None, None) if std::io::stdin().is_terminal() && !output.json => ask(name, &held)?,
        (None, None) => {
            let held = held.join(", ");
            output.note(&format!("{name} holds {held}: they stay; --positions says what becomes of them"));
            (PositionsFate::Unspecified, String::new())
        }
    };
    match (fate, to.as_str()) {
        (PositionsFate::HandOver, "") => {
            return Err(Failure::usage("--positions hand-over: expected --to NAME", HINT));
        }
        (PositionsFate::HandOver, _) | (_, "") => {}
        (_, to) => {
            return Err(Failure::usage(format!("--to {to}: expected --positions hand-over beside it"), HINT));
        }
    }
    let stopped = commands::stop_strategy(&session.tape, &caller(), name, reason, fate, &to).await;
    stopped.map_err(|error| match error {
        StrategyError::Invalid { value, expected, .. } => {
            Failure::usage(format!("--to {value}: expected {expected}"), HINT)
        }
        error => error.into(),
    })
}

/// What the strategy holds, in words; nothing where the read model cannot say.
async fn held(session: &Session, name: &str) -> Vec<String> {
    let Ok(pool) = session.reader().await else { return Vec::new() };
    let rows = queries::positions(&pool, None, false).await.unwrap_or_default();
    let own = rows.iter().filter(|row| row.strategy == name && row.quantity != Quantity::ZERO);
    own.map(|row| format!("{} {}", row.quantity, row.symbol)).collect()
}

fn ask(name: &str, held: &[String]) -> Result<(PositionsFate, String), Failure> {
    let held = held.join(", ");
    message(&format!(
        "{name} holds {held}. What becomes of it?
  keep       {name} goes on to manage it: it may close, and open nothing
  flatten    open orders are cancelled, positions closed at the market
  NAME       hand over to this strategy, which has to be enabled, or to manual
keep, flatten or a name: "
    ));
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(|error| Failure::other(error.to_string()))?;
    match line.trim() {
        "" => Err(Failure::usage("nothing was answered, and nothing was stopped", HINT)),
        "keep" => Ok((PositionsFate::Keep, String::new())),
        "flatten" => Ok((PositionsFate::Flatten, String::new())),
        other => Ok((PositionsFate::HandOver, other.to_owned())),
    }
}
