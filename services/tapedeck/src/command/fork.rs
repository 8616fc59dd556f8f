//! `tapedeck fork`: a stretch of the tape again with other parameters or limits, beside what was recorded.
//!
//! The fork lives in memory and leaves nothing on the tape.

use std::sync::Arc;

use backtest::replay::{Outcome, Rerun, Row, Side, changes, compare};
use projections::as_of::{Moment, Past, Timeline};
use serde::Serialize;

use crate::cli::Fork;
use crate::command::parity;
use crate::command::replay::{moment, options_of, reach};
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
    /// Signals, decisions, order events and fills of both.
    rows: Vec<Row>,
}

/// Runs a stretch again with changes.
pub async fn run(session: &Session, options: &Fork, output: Output) -> Result<(), Failure> {
    let usage = |message: String| Failure::usage(message, "tapedeck fork --help");
    let timeline = Timeline::new(Arc::clone(&session.tape));
    let at = instant_end(&timeline, moment("--at", &options.at)?).await?;
    let to = match &options.to {
        Some(text) => instant_end(&timeline, moment("--to", text)?).await?,
        None => past(&timeline, Moment::Instant(i64::MAX)).await?.sequence(),
    };
    if to <= at {
        return Err(usage(format!("--to: expected a moment after --at, whose instant ends at TRADING {at}")));
    }
    let failed = |error: backtest::replay::ReplayError| Failure::other(error.to_string());
    let mut rerun = Rerun::at(&session.tape, &options_of(session), at).await.map_err(failed)?;
    let recording = rerun.recording(&session.tape, to).await.map_err(failed)?;
    let at_ns = past(&timeline, Moment::Sequence(at)).await?.market_ns.unwrap_or_default();
    let changed = changes(rerun.book(), at_ns, &options.param, &options.limit);
    let changed = changed.map_err(|error| usage(error.to_string()))?;
    let forked = rerun.run(&recording, changed).await.map_err(failed)?;
    let end = past(&timeline, Moment::Sequence(to)).await?;
    let report = Report {
        at,
        to,
        recorded: Side::of(&recording.events, &end.book),
        forked: Side::of(&forked, rerun.book()),
        rows: compare(&recording.events, &forked),
    };
    print(&report, output)
}

/// The last sequence of the instant in which a moment stands: a fork begins and ends between instants.
async fn instant_end(timeline: &Timeline, asked: Moment) -> Result<u64, Failure> {
    let standing = past(timeline, asked).await?;
    match standing.market_ns {
        Some(market_ns) => reach(timeline, Moment::Instant(market_ns)).await,
        None => Ok(standing.sequence()),
    }
}

async fn past(timeline: &Timeline, asked: Moment) -> Result<Arc<Past>, Failure> {
    use projections::as_of::AsOfError;
    timeline.at(asked).await.map_err(|error| match error {
        AsOfError::Future { .. } => Failure::usage(error.to_string(), "tapedeck fork --help"),
        AsOfError::Tape(error) => Failure::unreachable(error.to_string()),
    })
}

fn print(report: &Report, output: Output) -> Result<(), Failure> {
    if output.json {
        return output.document(report);
    }
    let differing: Vec<Row> =
        report.rows.iter().filter(|row| row.outcome != Outcome::Same).cloned().collect();
    parity::rows(&differing, output);
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
        report.rows.len() - differing.len(),
        report.rows.len()
    ));
    Ok(())
}

fn counts(what: &str, recorded: u64, forked: u64) -> Vec<String> {
    vec![what.to_owned(), recorded.to_string(), forked.to_string()]
}
