//! `tapedeck strategy list` and `show`: what the Strategies page shows.

use projections::StrategyReport;
use projections::queries::{TrackRecord, TrackRecords};

use crate::exit::Failure;
use crate::output::Output;
use crate::session::Session;

const NONE: &str = "–";

/// Every strategy, one a line.
pub async fn list(session: &Session, output: Output) -> Result<(), Failure> {
    let strategies = reports(session).await?;
    if output.json {
        return output.document(&strategies);
    }
    let rows: Vec<Vec<String>> = strategies.iter().map(row).collect();
    let header = [
        "STRATEGY",
        "KIND",
        "STATE",
        "ACCOUNT",
        "SIGNALS",
        "APPROVED",
        "DENIED",
        "ORDERS",
        "FILLS",
        "HIT RATE",
        "LAST SIGNAL",
        "P&L",
    ];
    output.table(&header, &rows);
    Ok(())
}

/// One strategy with all that is known of it.
pub async fn show(session: &Session, name: &str, output: Output) -> Result<(), Failure> {
    let found = reports(session).await?.into_iter().find(|report| report.row.strategy == name);
    let Some(report) = found else {
        let message = format!("no strategy {name:?} on this tape");
        return Err(Failure::not_found(message, "tapedeck strategy list"));
    };
    if output.json {
        return output.document(&report);
    }
    for (fact, value) in facts(&report) {
        output.line(&format!("{}{}{value}", output.paint("1", fact), pad(fact)));
    }
    for setting in &report.settings {
        output.line(&format!(
            "parameter {} = {} {} ({}; default {}): {}",
            setting.name, setting.value, setting.unit, setting.range, setting.default, setting.description
        ));
    }
    Ok(())
}

/// Escape codes take no room: what the name lacks of the column is added after it.
fn pad(name: &str) -> String {
    " ".repeat(16_usize.saturating_sub(name.chars().count()))
}

async fn reports(session: &Session) -> Result<Vec<StrategyReport>, Failure> {
    let pool = session.reader().await?;
    let unread = |error: projections::QueryError| Failure::unreachable(error.to_string());
    let mut records = TrackRecords::default();
    records.advance(&pool).await.map_err(unread)?;
    projections::strategy_reports(&pool, &session.tape, &records).await.map_err(unread)
}

fn kind(report: &StrategyReport) -> String {
    if report.row.is_external() { "external".to_owned() } else { report.row.kind.clone() }
}

/// `62.5 % of 8`
fn hit_rate(report: &StrategyReport) -> String {
    let rate = report.record.hit_rate;
    rate.map_or_else(
        || NONE.to_owned(),
        |rate| format!("{:.1} % of {}", rate * 100.0, report.record.round_trips),
    )
}

/// `187, most by max_position`
fn denied(record: &TrackRecord) -> String {
    let most = record.denied_most_by.as_ref().map(|rule| format!(", most by {rule}"));
    format!("{}{}", record.denied, most.unwrap_or_default())
}

fn row(report: &StrategyReport) -> Vec<String> {
    let row = &report.row;
    vec![
        row.strategy.clone(),
        kind(report),
        report.state.clone(),
        row.account.clone(),
        row.signals.to_string(),
        report.record.approved.to_string(),
        denied(&report.record),
        report.record.orders.to_string(),
        report.record.fills.to_string(),
        hit_rate(report),
        row.last_signal_ns.map_or_else(|| NONE.to_owned(), crate::render::time),
        row.net_pnl.to_string(),
    ]
}

fn facts(report: &StrategyReport) -> Vec<(&'static str, String)> {
    let (row, record, from) = (&report.row, &report.record, &report.subscription);
    let last = row.last_signal_ns.map_or_else(
        || NONE.to_owned(),
        |time| {
            let id = row.last_signal_id.as_deref().unwrap_or(NONE);
            format!("{} {} (tapedeck tail --chain {id})", crate::render::time(time), row.last_signal)
        },
    );
    let lag = from.lag.map_or_else(
        || NONE.to_owned(),
        |lag| {
            format!(
                "{} not given yet, {} given and not acknowledged, acknowledged up to {}",
                lag.pending, lag.ack_pending, lag.ack_floor
            )
        },
    );
    let sizing = row.sizing.as_ref().and_then(domain::sizing::text).unwrap_or_else(|| NONE.to_owned());
    vec![
        ("strategy", row.strategy.clone()),
        ("kind", kind(report)),
        ("state", report.state.clone()),
        ("account", row.account.clone()),
        ("sizing", sizing),
        ("subjects", from.subjects.join(", ")),
        ("consumer", format!("{} on {}", from.consumer, from.stream)),
        ("lag", lag),
        ("last signal", last),
        ("signals", row.signals.to_string()),
        ("approved", record.approved.to_string()),
        ("denied", denied(record)),
        (
            "refused",
            format!("{} denied as invalid, {} parked", report.refused.invalid, report.refused.parked),
        ),
        ("orders", record.orders.to_string()),
        ("fills", record.fills.to_string()),
        ("hit rate", format!("{} round trips, after fees", hit_rate(report))),
        ("open positions", row.open_positions.to_string()),
        ("realised", row.realized_pnl.to_string()),
        ("unrealised", row.unrealized_pnl.to_string()),
        ("dividends", row.dividends.to_string()),
        ("fees", row.fees.to_string()),
        ("net P&L", row.net_pnl.to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn denials_name_the_rule_that_denied_most() {
        assert_eq!(denied(&TrackRecord::default()), "0");
        let record = TrackRecord {
            denied: 187,
            denied_most_by: Some("max_position".to_owned()),
            ..TrackRecord::default()
        };
        assert_eq!(denied(&record), "187, most by max_position");
    }
}
