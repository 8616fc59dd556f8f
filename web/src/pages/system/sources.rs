//! Live sources: the last report of each.

use askama::Template;
use projections::queries::{self, SourceRow};

use super::SOURCES;
use crate::pages::{Body, Rendering, Scope, Shown};
use crate::view::Instant;

/// A report older than this is one that is missed; they come every 5 s.
const SILENT_AFTER_NS: i64 = 15_000_000_000;

#[derive(Clone, Debug)]
struct Row {
    id: String,
    source: String,
    state: String,
    badge: &'static str,
    detail: String,
    count: usize,
    symbols: String,
    last: Option<Instant>,
    bars: u64,
    revisions: u64,
    ticks: String,
    lag_p50: String,
    lag_p99: String,
    reconnects: u64,
    gaps: String,
    errors: u64,
    last_error: String,
    history: &'static str,
}

#[derive(Template)]
#[template(path = "system/sources.html")]
struct SourcesPanel {
    v: u64,
    body: Body<Vec<Row>>,
}

/// Every live source.
pub async fn table(scope: &Scope<'_>) -> Rendering {
    let read = async {
        let now_ns = runtime::now_ns();
        let sources = queries::sources(&scope.app.config.pool).await?;
        let rows: Vec<Row> = sources.iter().map(|source| Row::of(source, now_ns)).collect();
        Ok::<_, queries::QueryError>((!rows.is_empty()).then_some(rows))
    };
    let body = Body::read(scope, &SOURCES, read).await;
    SourcesPanel { v: scope.version, body }.render()
}

impl Row {
    fn of(source: &SourceRow, now_ns: i64) -> Self {
        let silent = now_ns.saturating_sub(source.reported_at_ns) > SILENT_AFTER_NS;
        let (state, badge) = match source.state.as_str() {
            _ if silent => ("silent", "badge-flat"),
            "live" if source.detail.is_empty() => ("live", "badge-gain"),
            "live" => ("live", "badge-warn"),
            "waiting" => ("waiting", "badge-warn"),
            "refused" => ("refused", "badge-loss"),
            "catching_up" => ("catching up", "badge-accent"),
            other => (other, "badge-accent"),
        };
        let lag = |ns: Option<i64>| ns.map_or_else(|| "–".to_owned(), |ns| format!("{} ms", ns / 1_000_000));
        Self {
            id: format!("src-{}", source.source),
            source: source.source.clone(),
            state: state.to_owned(),
            badge,
            detail: source.detail.clone(),
            count: source.symbols.len(),
            symbols: source.symbols.join(", "),
            last: source.last_message_ns.map(Instant),
            bars: source.bars,
            revisions: source.revisions,
            ticks: ticks(source),
            lag_p50: lag(source.lag_p50_ns),
            lag_p99: lag(source.lag_p99_ns),
            reconnects: source.reconnects,
            gaps: format!("{} ({} bars)", source.gaps_filled, source.gap_bars),
            errors: source.errors,
            last_error: source.last_error.clone(),
            history: if source.breaker == "open" { "left alone" } else { "asked" },
        }
    }
}

/// How many quotes and trades were told, and how many of them are on the tape.
fn ticks(source: &SourceRow) -> String {
    match source.quotes + source.trades {
        0 => "–".to_owned(),
        told => format!("{told} ({} stored)", source.ticks),
    }
}
