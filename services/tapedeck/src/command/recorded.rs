//! `tapedeck backtest list|show|cancel`: the backtests that stand on the tape, whoever ran them.

use analytics::Report;
use analytics::metrics::METRICS;
use projections::queries::{self, BacktestFilter, BacktestRow, QueryError};
use runtime::command::{BacktestError, cancel_backtest};
use sqlx::PgPool;

use super::backtest::outputs;
use super::control::caller;
use super::rows::check_limit;
use crate::addresses::Addresses;
use crate::cli::RecordedCommand;
use crate::exit::Failure;
use crate::output::Output;
use crate::session::Session;

/// Statuses by name.
const STATUSES: [&str; 5] = ["waiting", "running", "succeeded", "failed", "cancelled"];
/// Shortest beginning of an id that is looked for.
const PREFIX_MIN: usize = 4;

/// Lists, shows or cancels.
pub async fn run(session: &Session, command: &RecordedCommand, output: Output) -> Result<(), Failure> {
    let pool = session.reader().await?;
    match command {
        RecordedCommand::List { status, limit, before } => {
            list(&pool, status.as_deref(), *before, *limit, output).await
        }
        RecordedCommand::Show { id, report } => show(session, &pool, id, report.as_deref(), output).await,
        RecordedCommand::Cancel { id, reason } => cancel(session, &pool, id, reason, output).await,
    }
}

fn unread(error: QueryError) -> Failure {
    Failure::unreachable(error.to_string())
}

async fn list(
    pool: &PgPool,
    status: Option<&str>,
    before: Option<u64>,
    limit: u32,
    output: Output,
) -> Result<(), Failure> {
    let hint = "tapedeck backtest list --status running --limit 50";
    check_limit(limit, hint)?;
    if let Some(status) = status.filter(|status| !STATUSES.contains(status)) {
        return Err(Failure::usage(
            format!("--status {status:?}: expected one of {}", STATUSES.join(", ")),
            hint,
        ));
    }
    let filter = BacktestFilter { status: status.map(str::to_owned), ..BacktestFilter::default() };
    let page = queries::backtests(pool, &filter, before, limit).await.map_err(unread)?;
    if output.json {
        return output.document(&page.rows);
    }
    let rows: Vec<Vec<String>> = page
        .rows
        .iter()
        .map(|row| {
            vec![
                row.run_id.clone(),
                crate::render::time(row.requested_at_ns),
                kind(&row.kind, row.counts.as_ref().map(|counts| counts.runs)),
                row.status.clone(),
                number(row.total_return, 100.0, " %"),
                number(row.sharpe, 1.0, ""),
                number(row.max_drawdown, 100.0, " %"),
                row.trades.filter(|_| !is_again(&row.kind)).map_or_else(|| "-".to_owned(), |n| n.to_string()),
                row.symbols.clone(),
                row.strategies.clone(),
            ]
        })
        .collect();
    let header =
        ["ID", "ASKED", "KIND", "STATUS", "RETURN", "SHARPE", "MAX DD", "TRADES", "SYMBOLS", "STRATEGIES"];
    output.table(&header, &rows);
    if let Some(next) = page.next {
        output.note(&format!("more: --before {next}"));
    }
    Ok(())
}

/// Whether a run is one of a part of the tape, which is compared and has no result of its own.
fn is_again(kind: &str) -> bool {
    matches!(kind, "parity" | "fork")
}

/// The kind in words; of a search that has ended also how much it ran: `sweep of 26 runs`.
fn kind(kind: &str, runs: Option<u64>) -> String {
    let plural = |count: u64| if count == 1 { "" } else { "s" };
    match (kind, runs) {
        ("sweep", Some(runs @ 1..)) => format!("sweep of {runs} run{}", plural(runs)),
        ("walk_forward", Some(runs @ 1..)) => format!("walk-forward of {runs} window{}", plural(runs)),
        _ => kind.replace('_', "-"),
    }
}

/// The parameters of a sweep's best run, whose result is the sweep's; `None` where the report does not hold them.
async fn best(pool: &PgPool, row: &BacktestRow) -> Result<Option<String>, Failure> {
    if row.kind != "sweep" {
        return Ok(None);
    }
    let Some(bytes) = queries::backtest_document(pool, &row.run_id).await.map_err(unread)? else {
        return Ok(None);
    };
    let report = Report::unpack(&bytes).map_err(|error| Failure::other(error.to_string()))?;
    let words = |(name, value): &(String, String)| format!("{name} {value}");
    let best = report.trials.first().map(|trial| trial.parameters.iter().map(words).collect::<Vec<_>>());
    Ok(best.map(|words| words.join(", ")))
}

fn number(value: Option<f64>, scale: f64, unit: &str) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{:.2}{unit}", value * scale))
}

/// The run whose id is or begins with `id`.
async fn find(pool: &PgPool, id: &str) -> Result<BacktestRow, Failure> {
    let hint = "tapedeck backtest list";
    if let Some(row) = queries::backtest(pool, id).await.map_err(unread)? {
        return Ok(row);
    }
    let ids = if id.len() < PREFIX_MIN {
        Vec::new()
    } else {
        queries::backtest_ids(pool, id).await.map_err(unread)?
    };
    match ids.as_slice() {
        [only] => {
            let row = queries::backtest(pool, only).await.map_err(unread)?;
            row.ok_or_else(|| Failure::not_found(format!("no backtest {id:?}"), hint))
        }
        [] => Err(Failure::not_found(format!("no backtest {id:?}"), hint)),
        _ => Err(Failure::usage(format!("{id:?} begins the ids of several backtests"), hint)),
    }
}

async fn show(
    session: &Session,
    pool: &PgPool,
    id: &str,
    report: Option<&std::path::Path>,
    output: Output,
) -> Result<(), Failure> {
    let row = find(pool, id).await?;
    // A parity and a fork have a page of their own, and no tear sheet.
    let again = is_again(&row.kind);
    if let Some(path) = report {
        if again {
            let message =
                format!("--report {}: {} is a {}, expected a backtest", path.display(), row.run_id, row.kind);
            return Err(Failure::usage(message, "tapedeck backtest list"));
        }
        let bytes = queries::backtest_document(pool, &row.run_id).await.map_err(unread)?;
        let bytes = bytes.ok_or_else(|| {
            Failure::not_found(format!("no report of {}, which is {}", row.run_id, row.status), "")
        })?;
        let read = Report::unpack(&bytes).map_err(|error| Failure::other(error.to_string()))?;
        outputs::written("--report", path, outputs::write_sheet(path, &read.sheet))?;
    }
    if output.json {
        return output.document(&row);
    }
    let time = |ns: Option<i64>| ns.map_or_else(|| "-".to_owned(), crate::render::time);
    let mut lines = vec![
        ("run", row.run_id.clone()),
        ("kind", kind(&row.kind, row.counts.as_ref().map(|counts| counts.runs))),
        ("status", format!("{} {}", row.status, row.detail).trim().to_owned()),
        ("strategies", row.strategies.clone()),
        ("symbols", format!("{} {}", row.symbols, row.timeframe)),
        ("asked", format!("{} by {}", crate::render::time(row.requested_at_ns), row.actor)),
        ("began", time(row.started_at_ns)),
        ("ended", time(row.finished_at_ns)),
        ("data hash", row.data_hash.clone().unwrap_or_else(|| "-".to_owned())),
        ("result hash", row.result_hash.clone().unwrap_or_else(|| "-".to_owned())),
    ];
    if let Some(best) = best(pool, &row).await? {
        lines.push(("best run", best));
    }
    for (name, text) in lines {
        output.line(&format!("{name:<12} {text}"));
    }
    if let Some(dashboard) = Addresses::read(&session.dir).and_then(|addresses| addresses.dashboard) {
        let (name, place) = if again { ("page", row.kind.as_str()) } else { ("tear sheet", "backtests") };
        output.line(&format!("{name:<12} {dashboard}{place}/{}", row.run_id));
    }
    let Some(statistics) = &row.statistics else { return Ok(()) };
    let rows: Vec<Vec<String>> = METRICS
        .iter()
        .filter_map(|metric| {
            let value = statistics.get(metric.name).and_then(serde_json::Value::as_f64)?;
            Some(vec![metric.name.to_owned(), format!("{value:.4}"), metric.label.to_owned()])
        })
        .collect();
    output.table(&["statistic", "value", ""], &rows);
    Ok(())
}

async fn cancel(
    session: &Session,
    pool: &PgPool,
    id: &str,
    reason: &str,
    output: Output,
) -> Result<(), Failure> {
    let row = find(pool, id).await?;
    let hint = "tapedeck backtest list --status running";
    cancel_backtest(&session.tape, &caller(), &row.run_id, reason).await.map_err(|error| match error {
        BacktestError::Append(error) => error.into(),
        BacktestError::Unknown(_) => Failure::not_found(error.to_string(), hint),
        BacktestError::Ended(_) => Failure::usage(error.to_string(), hint),
        BacktestError::Log(error) => Failure::unreachable(error.to_string()),
    })?;
    if output.json {
        return output.document(&serde_json::json!({ "run_id": row.run_id, "cancel_requested": true }));
    }
    output.note(&format!("{} is asked to end", row.run_id));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_says_how_much_a_search_ran() {
        for (name, runs, said) in [
            ("single", Some(1), "single"),
            ("sweep", None, "sweep"),
            ("sweep", Some(26), "sweep of 26 runs"),
            ("walk_forward", Some(1), "walk-forward of 1 window"),
            ("parity", Some(1), "parity"),
            ("fork", None, "fork"),
        ] {
            assert_eq!(kind(name, runs), said);
        }
    }
}
