//! `tapedeck at`: what the other commands show of the present, as of a moment of the past.

use projections::queries::{OrderFilter, OrderRow, StrategyRow, Turn};

use crate::cli::{AccountOptions, At, AtCommand, Positions};
use crate::command::replay::moment;
use crate::command::rows::check_limit;
use crate::command::{holdings, order};
use crate::exit::Failure;
use crate::output::Output;
use crate::render::time;
use crate::session::Session;

const HINT: &str = "tapedeck at 1200 orders";

/// Shows the state of a moment.
pub async fn run(session: &Session, options: &At, output: Output) -> Result<(), Failure> {
    let asked = moment("the moment", &options.moment).map_err(|failure| Failure {
        hint: format!("{HINT}, or tapedeck at 2020-01-02T15:30:00Z orders"),
        ..failure
    })?;
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
            check_limit(*limit, "tapedeck at 1200 orders --limit 50")?;
            let filter = OrderFilter {
                account: account.clone(),
                strategy: strategy.clone(),
                symbol: symbol.clone(),
                open: open.then_some(true),
                ..OrderFilter::default()
            };
            let past = holdings::of_moment(session, asked, HINT, output).await?;
            orders(&past.orders(&filter, Turn::Newest, *limit).rows, output)
        }
        AtCommand::Strategies => {
            let past = holdings::of_moment(session, asked, HINT, output).await?;
            strategies(&past.strategies(), output)
        }
    }
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
