//! `tapedeck at`: what the other commands show of the present, as of a moment of the past.

use std::sync::Arc;

use projections::as_of::{AsOfError, Past, Timeline};
use projections::queries::{self, OrderFilter, OrderRow, StrategyRow};

use crate::cli::{AccountOptions, At, AtCommand, Positions};
use crate::command::replay::moment;
use crate::command::{holdings, order};
use crate::exit::Failure;
use crate::output::Output;
use crate::render::time;
use crate::session::Session;

/// Shows the state of a moment.
pub async fn run(session: &Session, options: &At, output: Output) -> Result<(), Failure> {
    let asked = moment("the moment", &options.moment)?;
    let as_of = Some(asked.to_string());
    match &options.what {
        AtCommand::Positions { account, flat } => {
            let options = Positions { account: account.clone(), flat: *flat, as_of };
            holdings::positions(session, &options, output).await
        }
        AtCommand::Account { account } => {
            let options = AccountOptions { account: account.clone(), as_of };
            holdings::accounts(session, &options, output).await
        }
        AtCommand::Orders { open, strategy, symbol, account, limit } => {
            if !(1..=queries::LIMIT_MAX).contains(limit) {
                return Err(Failure::usage(
                    format!("--limit {limit}: expected 1 to {}", queries::LIMIT_MAX),
                    "tapedeck at 1200 orders --limit 50",
                ));
            }
            let filter = OrderFilter {
                account: account.clone(),
                strategy: strategy.clone(),
                symbol: symbol.clone(),
                open: open.then_some(true),
                ..OrderFilter::default()
            };
            let past = past(session, asked, output).await?;
            orders(&past.orders(&filter, *limit), output)
        }
        AtCommand::Strategies => strategies(&past(session, asked, output).await?.strategies(), output),
    }
}

/// The state of a moment, and which one it is on stderr.
async fn past(
    session: &Session,
    asked: projections::as_of::Moment,
    output: Output,
) -> Result<Arc<Past>, Failure> {
    let timeline = Timeline::new(Arc::clone(&session.tape));
    let past = timeline.at(asked).await.map_err(|error| match error {
        AsOfError::Future { .. } => Failure::usage(error.to_string(), "tapedeck at 1200 orders"),
        AsOfError::Tape(error) => Failure::unreachable(error.to_string()),
    })?;
    let at = past.market_ns.map_or_else(String::new, |ns| format!(", market time {}", time(ns)));
    output.note(&format!("as of event {} of TRADING{at}", past.sequence()));
    Ok(past)
}

fn orders(rows: &[OrderRow], output: Output) -> Result<(), Failure> {
    if output.json {
        return output.document(&rows);
    }
    let cells: Vec<Vec<String>> = rows.iter().map(order::cells).collect();
    output.table(&order::HEADER, &cells);
    Ok(())
}

fn strategies(rows: &[StrategyRow], output: Output) -> Result<(), Failure> {
    if output.json {
        return output.document(&rows);
    }
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            vec![
                row.strategy.clone(),
                if row.is_external() { "external".to_owned() } else { row.kind.clone() },
                row.state().to_owned(),
                row.account.clone(),
                row.signals.to_string(),
                row.last_signal_ns.map_or_else(|| "–".to_owned(), time),
                row.net_pnl.to_string(),
            ]
        })
        .collect();
    output.table(&["STRATEGY", "KIND", "STATE", "ACCOUNT", "SIGNALS", "LAST SIGNAL", "P&L"], &cells);
    Ok(())
}
