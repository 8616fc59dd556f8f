//! `tapedeck fork`: a stretch of the tape again with other parameters or limits, beside what was recorded.
//!
//! The fork itself lives in memory; what is recorded is that it was made and what it came to.

use analytics::comparison::{OrderRow, Row, Side};
use contracts::v1::{BacktestKind, BacktestRequest, BacktestStretch};
use serde::Serialize;

use crate::cli::Fork;
use crate::command::{again, parity};
use crate::exit::Failure;
use crate::output::Output;
use crate::session::Session;

/// What a fork comes to.
#[derive(Debug, Serialize)]
struct Report {
    /// Last sequence of TRADING that both share.
    at: u64,
    /// Last sequence of the recorded side.
    to: u64,
    /// As recorded.
    recorded: Side,
    /// As forked.
    forked: Side,
    /// Events compared.
    compared: usize,
    /// Those that are not the same.
    differing: usize,
    /// The first event that is not the same.
    first: Option<Row>,
    /// Orders, and signals that became none.
    orders: Vec<OrderRow>,
    /// Signals, decisions, order events and fills of both.
    rows: Vec<Row>,
    /// Id of the run on the tape.
    run_id: Option<String>,
}

/// Runs a stretch again with changes.
pub async fn run(session: &Session, options: &Fork, output: Output) -> Result<(), Failure> {
    let stretch = BacktestStretch {
        at: options.at.clone(),
        to: options.to.clone().unwrap_or_default(),
        parameters: options.param.clone(),
        limits: options.limit.clone(),
        ..BacktestStretch::default()
    };
    let request = BacktestRequest {
        kind: BacktestKind::Fork.into(),
        stretch: Some(stretch),
        ..BacktestRequest::default()
    };
    let (found, run_id) = again::run(session, request, output).await?;
    let report = Report {
        at: found.at,
        to: found.to,
        recorded: found.recorded,
        forked: found.derived,
        compared: found.compared,
        differing: found.differing,
        first: found.first,
        orders: found.orders,
        rows: found.rows,
        run_id,
    };
    print(&report, output)
}

fn print(report: &Report, output: Output) -> Result<(), Failure> {
    if output.json {
        return output.document(report);
    }
    let (recorded, forked) = (&report.recorded, &report.forked);
    let mut cells = vec![
        counts("signals", recorded.signals, forked.signals),
        counts("denials", recorded.denials, forked.denials),
        counts("orders", recorded.orders, forked.orders),
        counts("fills", recorded.fills, forked.fills),
    ];
    for account in &recorded.accounts {
        let Some(other) = forked.accounts.iter().find(|other| other.account == account.account) else {
            continue;
        };
        let facts = [
            ("equity", &account.equity, &other.equity),
            ("cash", &account.cash, &other.cash),
            ("realised", &account.realized_pnl, &other.realized_pnl),
            ("fees", &account.fees, &other.fees),
        ];
        let of_account = |(what, left, right): (&str, &String, &String)| {
            vec![format!("{} {what}", account.account), left.clone(), right.clone()]
        };
        cells.extend(facts.map(of_account));
    }
    output.table(&["", "RECORDED", "FORKED"], &cells);
    output.line(&format!(
        "from TRADING {} to {}: {} of {} events are the same",
        report.at,
        report.to,
        report.compared - report.differing,
        report.compared
    ));
    parity::compared(&report.rows, output);
    if let Some(run_id) = &report.run_id {
        output.line(&format!("run {run_id}"));
    }
    Ok(())
}

fn counts(what: &str, recorded: u64, forked: u64) -> Vec<String> {
    vec![what.to_owned(), recorded.to_string(), forked.to_string()]
}
