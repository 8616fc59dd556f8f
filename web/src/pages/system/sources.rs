//! Live sources: the last report of each; what came last of filling the tape with history and news.

use askama::Template;
use projections::queries::{self, SourceRow};
use runtime::command::filled::SeriesFilled;

use super::SOURCES;
use crate::error::PageError;
use crate::pages::{Body, Rendering, Scope, Shown};
use crate::view::Instant;

/// A report older than this is one that is missed; they come every 5 s.
const SILENT_AFTER_NS: i64 = 15_000_000_000;
/// Series that are shown at most, those that fail first; the API and `tapedeck ingest status` have all.
const SERIES_SHOWN: usize = 50;

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

/// What came last of a series.
#[derive(Clone, Debug)]
struct Series {
    id: String,
    source: String,
    symbol: String,
    timeframe: String,
    state: &'static str,
    badge: &'static str,
    success: Option<Instant>,
    error: Option<Instant>,
    words: String,
}

#[derive(Clone, Debug)]
struct Told {
    live: Vec<Row>,
    series: Vec<Series>,
    /// Series that are not shown.
    more: usize,
}

#[derive(Template)]
#[template(path = "system/sources.html")]
struct SourcesPanel {
    v: u64,
    body: Body<Told>,
}

/// Every live source, and series that were filled.
pub async fn table(scope: &Scope<'_>) -> Rendering {
    let read = async {
        let now_ns = runtime::now_ns();
        let sources = queries::sources(&scope.app.config.pool).await?;
        let live: Vec<Row> = sources.iter().map(|source| Row::of(source, now_ns)).collect();
        let mut filled = scope.app.filled().await?;
        filled.sort_by_key(|series| (!series.is_failing(), series.last_success_ns.map(|ns| -ns)));
        let more = filled.len().saturating_sub(SERIES_SHOWN);
        filled.truncate(SERIES_SHOWN);
        let series: Vec<Series> = filled.into_iter().map(Series::of).collect();
        let told = Told { live, series, more };
        Ok::<_, PageError>((!told.live.is_empty() || !told.series.is_empty()).then_some(told))
    };
    let body = Body::read(scope, &SOURCES, read).await;
    SourcesPanel { v: scope.version, body }.render()
}

impl Series {
    fn of(filled: SeriesFilled) -> Self {
        let (state, badge) =
            if filled.is_failing() { ("failing", "badge-loss") } else { ("filled", "badge-gain") };
        let SeriesFilled { source, symbol, timeframe, last_success_ns, last_error_ns, last_error } = filled;
        Self {
            id: format!("filled-{source}-{symbol}-{timeframe}"),
            source,
            symbol,
            timeframe,
            state,
            badge,
            success: last_success_ns.map(Instant),
            error: last_error_ns.map(Instant),
            words: last_error,
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
