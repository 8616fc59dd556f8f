//! `tapedeck parity`: a session's decisions beside those of the same bars, run again from the session's open.

use std::sync::Arc;

use backtest::replay::{Outcome, Rerun, Row, compare};
use domain::calendar::Calendar;
use projections::as_of::{Moment, Timeline};
use runtime::command::audit;
use serde::Serialize;

use crate::cli::Parity;
use crate::command::control::caller;
use crate::command::replay::{options_of, reach, text_or_dash};
use crate::exit::Failure;
use crate::output::Output;
use crate::render::time;
use crate::session::Session;

/// What a session's parity comes to.
#[derive(Debug, Serialize)]
struct Report {
    /// Date of the session.
    session: String,
    /// First sequence of TRADING within it.
    from: u64,
    /// Last one.
    to: u64,
    /// `same` or `differs`.
    verdict: &'static str,
    /// Events compared.
    compared: usize,
    /// Those that are not the same.
    differing: usize,
    /// Signals, decisions, order events and fills.
    rows: Vec<Row>,
}

/// Runs a session again and compares.
pub async fn run(session: &Session, options: &Parity, output: Output) -> Result<(), Failure> {
    let usage = |expected: String| {
        let message = format!("--session {}: expected {expected}", options.session);
        Failure::usage(message, "tapedeck parity --session 2020-01-02")
    };
    let date = options.session.parse().map_err(|_| usage("a date such as 2020-01-02".to_owned()))?;
    let hours = Calendar::xnys().session(date).map_err(|error| usage(error.to_string()))?;
    let hours = hours.ok_or_else(|| usage("a day on which the exchange is open".to_owned()))?;
    let timeline = Timeline::new(Arc::clone(&session.tape));
    let before = reach(&timeline, Moment::Instant(hours.open_ns.saturating_sub(1))).await?;
    let end = reach(&timeline, Moment::Instant(hours.close_ns)).await?;
    if end <= before {
        let message = format!("the tape holds nothing of the session {date}");
        return Err(Failure::not_found(message, "tapedeck tail --no-follow"));
    }
    let failed = |error: backtest::replay::ReplayError| Failure::other(error.to_string());
    let mut rerun = Rerun::at(&session.tape, &options_of(session), before).await.map_err(failed)?;
    let recording = rerun.recording(&session.tape, end).await.map_err(failed)?;
    let derived = rerun.run(&recording, Vec::new()).await.map_err(failed)?;
    let rows = compare(&recording.events, &derived);
    let differing = rows.iter().filter(|row| row.outcome != Outcome::Same).count();
    let report = Report {
        session: date.to_string(),
        from: before + 1,
        to: end,
        verdict: if differing == 0 { "same" } else { "differs" },
        compared: rows.len(),
        differing,
        rows,
    };
    let detail = format!("{}: {} of {} events differ", report.verdict, differing, report.compared);
    audit(&session.tape, &caller(), "parity", &report.session, &detail).await?;
    print(&report, output)?;
    if differing == 0 {
        return Ok(());
    }
    let message = format!("session {}: {differing} of {} events differ", report.session, report.compared);
    Err(Failure::diverged(message, format!("tapedeck replay --from {} --to {}", report.from, report.to)))
}

fn print(report: &Report, output: Output) -> Result<(), Failure> {
    if output.json {
        return output.document(report);
    }
    rows(&report.rows, output);
    let Report { session, from, to, verdict, compared, differing, .. } = report;
    output.line(&format!(
        "session {session}, TRADING {from} to {to}: {verdict}, {differing} of {compared} events differ"
    ));
    Ok(())
}

/// The rows of a comparison, as recorded and as derived; one text where both are the same.
pub(crate) fn rows(rows: &[Row], output: Output) {
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let derived = if row.outcome == Outcome::Same { "=" } else { &row.derived };
            vec![
                time(row.time_ns),
                row.kind.clone(),
                row.outcome.words().to_owned(),
                text_or_dash(&row.recorded),
                text_or_dash(derived),
            ]
        })
        .collect();
    output.table(&["TIME", "EVENT", "VERDICT", "RECORDED", "DERIVED"], &cells);
}
