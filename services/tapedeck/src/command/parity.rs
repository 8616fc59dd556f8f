//! `tapedeck parity`: a session's decisions beside those of the same bars, run again from the session's open.

use analytics::comparison::{OrderRow, Outcome, Row, Side};
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

/// Events that differ and are shown to a person.
const ROWS_SHOWN: usize = 20;

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
    /// What was decided live, added up.
    recorded: Side,
    /// What the backtest decides, added up.
    derived: Side,
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
    let detail = found.said();
    let report = Report {
        session: found.session.unwrap_or_default(),
        from: found.from,
        to: found.to,
        verdict: found.verdict,
        compared: found.compared,
        differing: found.differing,
        open: found.open,
        recorded: found.recorded,
        derived: found.derived,
        first: found.first,
        orders: found.orders,
        rows: found.rows,
        run_id,
    };
    let differing = report.differing;
    if report.run_id.is_some() {
        audit(&session.tape, &caller(), "parity", &report.session, &detail).await?;
    }
    print(&report, output)?;
    if differing == 0 {
        return Ok(());
    }
    let message = format!("session {}: {differing} of {} events differ", report.session, report.compared);
    let hint = match report.from <= report.to {
        true => format!("tapedeck replay --from {} --to {}", report.from, report.to),
        false => "tapedeck replay".to_owned(),
    };
    Err(Failure::diverged(message, hint))
}

fn print(report: &Report, output: Output) -> Result<(), Failure> {
    if output.json {
        return output.document(report);
    }
    let Report { session, open, run_id, .. } = report;
    output.line(&format!("session {session}{}", said(report)));
    if *open > 0 {
        output.line(&format!("{open} not on the tape yet where it ends"));
    }
    compared(&report.rows, output);
    if let Some(run_id) = run_id {
        output.line(&format!("run {run_id}"));
    }
    Ok(())
}

/// What a comparison came to, in words. A side that decided nothing is named as such.
fn said(report: &Report) -> String {
    let Report { from, to, verdict, compared, differing, .. } = report;
    let none = |side: Outcome| report.rows.iter().all(|row| row.outcome == side);
    match (none(Outcome::OnlyDerived), none(Outcome::OnlyRecorded)) {
        (true, true) => ": nothing was decided live, and nothing by the backtest".to_owned(),
        (true, false) => {
            format!(": nothing was decided live; by the backtest {}", sum(&report.derived, *compared))
        }
        (false, true) => {
            format!(": nothing was decided by the backtest; live {}", sum(&report.recorded, *compared))
        }
        (false, false) => {
            format!(", TRADING {from} to {to}: {verdict}, {differing} of {compared} events differ")
        }
    }
}

/// What there is of a side; `events` where it is nothing that has a name here.
fn sum(side: &Side, events: usize) -> String {
    let named =
        [(side.signals, "signal"), (side.denials, "denial"), (side.orders, "order"), (side.fills, "fill")];
    let there = named.into_iter().filter(|(count, _)| *count > 0);
    let words: Vec<String> =
        there.map(|(count, what)| format!("{count} {what}{}", if count == 1 { "" } else { "s" })).collect();
    if words.is_empty() { format!("{events} events") } else { words.join(", ") }
}

/// The rows of a comparison in short: how many of each kind of event, and the first of those that differ.
pub(crate) fn compared(rows: &[Row], output: Output) {
    let kinds = kinds(rows);
    if !kinds.is_empty() {
        output.table(&["EVENT", "SAME", "DIFFERS", "ONLY RECORDED", "ONLY DERIVED"], &kinds);
    }
    let differing = || rows.iter().filter(|row| row.outcome != Outcome::Same);
    let cells: Vec<Vec<String>> = differing()
        .take(ROWS_SHOWN)
        .map(|row| {
            vec![
                time(row.time_ns),
                row.kind.clone(),
                row.outcome.words().to_owned(),
                text_or_dash(&row.recorded),
                text_or_dash(&row.derived),
            ]
        })
        .collect();
    if !cells.is_empty() {
        output.table(&["TIME", "EVENT", "VERDICT", "RECORDED", "DERIVED"], &cells);
    }
    let more = differing().count().saturating_sub(ROWS_SHOWN);
    if more > 0 {
        output.note(&format!("… and {more} more that differ; --json lists every event"));
    }
}

/// How many events of each kind stand how, in the order in which the kinds come.
fn kinds(rows: &[Row]) -> Vec<Vec<String>> {
    let mut kinds: Vec<&str> = Vec::new();
    for row in rows {
        if !kinds.contains(&row.kind.as_str()) {
            kinds.push(&row.kind);
        }
    }
    let cells = |kind: &&str| -> Vec<String> {
        let count = |outcome: Outcome| {
            let of_both = rows.iter().filter(|row| row.kind == **kind && row.outcome == outcome);
            of_both.count().to_string()
        };
        std::iter::once((*kind).to_owned()).chain(Outcome::ALL.map(count)).collect()
    };
    kinds.iter().map(cells).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(kind: &str, outcome: Outcome) -> Row {
        Row {
            time_ns: 0,
            kind: kind.to_owned(),
            event_id: String::new(),
            chain_of: String::new(),
            recorded: String::new(),
            derived: String::new(),
            outcome,
            fields: Vec::new(),
        }
    }

    #[test]
    fn events_are_counted_by_kind_and_not_listed_one_by_one() {
        let rows = [
            row("signal", Outcome::Same),
            row("fill", Outcome::OnlyDerived),
            row("signal", Outcome::Same),
            row("signal", Outcome::Differs),
        ];
        assert_eq!(kinds(&rows), [["signal", "2", "1", "0", "0"], ["fill", "0", "0", "0", "1"]]);
        assert!(kinds(&[]).is_empty());
    }

    fn report(outcomes: &[Outcome]) -> Report {
        Report {
            session: "2020-01-02".to_owned(),
            from: 4,
            to: 9,
            verdict: "differs".to_owned(),
            compared: outcomes.len(),
            differing: 1,
            open: 0,
            recorded: Side { signals: 2, fills: 1, ..Side::default() },
            derived: Side { signals: 3, orders: 1, denials: 2, ..Side::default() },
            first: None,
            orders: Vec::new(),
            rows: outcomes.iter().map(|outcome| row("signal", *outcome)).collect(),
            run_id: None,
        }
    }

    #[test]
    fn a_side_without_decisions_is_named() {
        let words = |outcomes: &[Outcome]| said(&report(outcomes));
        assert_eq!(words(&[]), ": nothing was decided live, and nothing by the backtest");
        assert_eq!(
            words(&[Outcome::OnlyDerived]),
            ": nothing was decided live; by the backtest 3 signals, 2 denials, 1 order"
        );
        assert_eq!(
            words(&[Outcome::OnlyRecorded]),
            ": nothing was decided by the backtest; live 2 signals, 1 fill"
        );
        assert_eq!(
            words(&[Outcome::OnlyRecorded, Outcome::Same]),
            ", TRADING 4 to 9: differs, 1 of 2 events differ"
        );
    }
}
