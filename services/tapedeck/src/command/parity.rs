//! `tapedeck parity`: a session's decisions beside those of the same bars, run again from the session's open.

use analytics::comparison::{OrderRow, Outcome, Row};
use contracts::v1::{BacktestKind, BacktestRequest, BacktestStretch};
use runtime::command::audit;
use serde::Serialize;

use crate::cli::Parity;
use crate::command::again;
use crate::command::control::caller;
use crate::command::replay::text_or_dash;
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
    verdict: String,
    /// Events compared.
    compared: usize,
    /// Those that are not the same.
    differing: usize,
    /// What follows in the tape's last instant and is not recorded yet.
    open: usize,
    /// The first event that is not the same.
    first: Option<Row>,
    /// Orders, and signals that became none.
    orders: Vec<OrderRow>,
    /// Signals, decisions, order events and fills.
    rows: Vec<Row>,
    /// Id of the run on the tape.
    run_id: Option<String>,
}

/// Runs a session again and compares.
pub async fn run(session: &Session, options: &Parity, output: Output) -> Result<(), Failure> {
    let stretch = BacktestStretch { session: options.session.clone(), ..BacktestStretch::default() };
    let request = BacktestRequest {
        kind: BacktestKind::Parity.into(),
        stretch: Some(stretch),
        ..BacktestRequest::default()
    };
    let (found, run_id) = again::run(session, request, output).await?;
    let report = Report {
        session: found.session.unwrap_or_default(),
        from: found.from,
        to: found.to,
        verdict: found.verdict,
        compared: found.compared,
        differing: found.differing,
        open: found.open,
        first: found.first,
        orders: found.orders,
        rows: found.rows,
        run_id,
    };
    let differing = report.differing;
    let detail = format!("{}: {} of {} events differ", report.verdict, differing, report.compared);
    if report.run_id.is_some() {
        audit(&session.tape, &caller(), "parity", &report.session, &detail).await?;
    }
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
    let Report { session, from, to, verdict, compared, differing, open, run_id, .. } = report;
    output.line(&format!(
        "session {session}, TRADING {from} to {to}: {verdict}, {differing} of {compared} events differ"
    ));
    if *open > 0 {
        output.line(&format!("{open} not on the tape yet where it ends"));
    }
    if let Some(run_id) = run_id {
        output.line(&format!("run {run_id}"));
    }
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
