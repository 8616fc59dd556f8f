//! Live sources: the last report of each; the breakers of whatever asks a source or a broker.

use askama::Template;
use projections::queries::{self, BreakerRow, QueryError, SourceRow};
use runtime::SILENT_AFTER_NS;

use super::SOURCES;
use crate::pages::{Body, Rendering, Scope, Shown};
use crate::view::Instant;

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

/// The breaker of a client.
#[derive(Clone, Debug)]
struct Breaker {
    id: String,
    source: String,
    account: String,
    service: String,
    client: String,
    state: String,
    badge: &'static str,
    until: Option<Instant>,
    failures: u32,
    last_failure: String,
    failed: Option<Instant>,
}

#[derive(Clone, Debug)]
struct Told {
    live: Vec<Row>,
    breakers: Vec<Breaker>,
}

#[derive(Template)]
#[template(path = "system/sources.html")]
struct SourcesPanel {
    v: u64,
    body: Body<Told>,
}

/// Every live source, and every breaker.
pub async fn table(scope: &Scope<'_>) -> Rendering {
    let read = async {
        let now_ns = runtime::now_ns();
        let pool = &scope.app.config.pool;
        let sources = queries::sources(pool).await?;
        let live: Vec<Row> = sources.iter().map(|source| Row::of(source, now_ns)).collect();
        let breakers = queries::breakers(pool).await?;
        let breakers: Vec<Breaker> = breakers.into_iter().map(|row| Breaker::of(row, now_ns)).collect();
        let told = Told { live, breakers };
        Ok::<_, QueryError>((!told.live.is_empty() || !told.breakers.is_empty()).then_some(told))
    };
    let body = Body::read(scope, &SOURCES, read).await;
    SourcesPanel { v: scope.version, body }.render()
}

impl Breaker {
    fn of(row: BreakerRow, now_ns: i64) -> Self {
        let silent = now_ns.saturating_sub(row.reported_at_ns) > SILENT_AFTER_NS;
        let (state, badge) = match row.state.as_str() {
            // Of a process that ended, or cannot say so, nothing is known.
            _ if silent => ("silent", "badge-flat"),
            "closed" => ("closed", "badge-gain"),
            "open" => ("open", "badge-loss"),
            "half_open" => ("half open", "badge-warn"),
            other => (other, "badge-accent"),
        };
        let state = state.to_owned();
        let BreakerRow { service, source, account, client, failures, last_failure, .. } = row;
        Self {
            id: format!("breaker-{service}-{source}-{client}-{account}"),
            source,
            account: if account.is_empty() { "–".to_owned() } else { account },
            service,
            client,
            state,
            badge,
            until: row.until_ns.filter(|_| !silent).map(Instant),
            failures,
            last_failure,
            failed: row.last_failure_ns.map(Instant),
        }
    }
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
