//! History and news, by series: what came last of filling the tape, what is streamed, and how many sessions are missing;
//! sources that are configured and bring nothing.

use std::collections::BTreeMap;

use askama::Template;
use projections::queries::{self, BreakerRow, Series, SourceRow};
use runtime::SILENT_AFTER_NS;
use runtime::command::filled::{NEWS, SeriesFilled};

use super::SERIES;
use crate::app::App;
use crate::error::PageError;
use crate::pages::{Body, Rendering, Scope, Shown};
use crate::probe::Settings;
use crate::view::{Instant, count};

/// Series that are shown at most, those that fail first; the API and `tapedeck ingest status` have all.
const SHOWN: usize = 50;
/// What a stream tells.
const STREAMED: &str = "1m";
/// What needs no key, and counts as configured where the configuration says something of it.
const KEYLESS: &str = "yahoo";

#[derive(Clone, Debug)]
struct Row {
    id: String,
    source: String,
    symbol: String,
    timeframe: String,
    state: &'static str,
    badge: &'static str,
    missing: String,
    success: Option<Instant>,
    error: Option<Instant>,
    words: String,
}

#[derive(Clone, Debug)]
struct Told {
    rows: Vec<Row>,
    /// Series that are not shown.
    more: usize,
}

#[derive(Template)]
#[template(path = "system/series.html")]
struct SeriesPanel {
    v: u64,
    body: Body<Told>,
}

/// A series of a source as it is told.
#[derive(Clone, Debug)]
struct Known {
    filled: SeriesFilled,
    streamed: bool,
}

/// Every series that was filled or is streamed, and every source that brings none.
pub async fn table(scope: &Scope<'_>) -> Rendering {
    let body = Body::read(scope, &SERIES, read(scope.app)).await;
    SeriesPanel { v: scope.version, body }.render()
}

async fn read(app: &App) -> Result<Option<Told>, PageError> {
    let now_ns = runtime::now_ns();
    let pool = &app.config.pool;
    let mut live = queries::sources(pool).await?;
    live.retain(|source| now_ns.saturating_sub(source.reported_at_ns) <= SILENT_AFTER_NS);
    let mut clients = queries::breakers(pool).await?;
    clients.retain(|client| now_ns.saturating_sub(client.reported_at_ns) <= SILENT_AFTER_NS);
    let mut known = together(app.filled().await?, &live);
    let idle = match app.config.probe.settings() {
        Ok(settings) => idle(&settings, &known, &clients),
        Err(error) => {
            tracing::warn!("the configuration cannot be read, so that no idle source is told: {error}");
            Vec::new()
        }
    };
    known.sort_by_key(|known| (!known.filled.is_failing(), known.filled.last_success_ns.map(|ns| -ns)));
    let more = known.len().saturating_sub(SHOWN);
    known.truncate(SHOWN);
    let series = queries::series(pool).await?.into_iter();
    let series: BTreeMap<(String, String), Series> =
        series.map(|series| ((series.symbol.clone(), series.timeframe.clone()), series)).collect();
    let mut rows = Vec::with_capacity(known.len() + idle.len());
    for known in known {
        let key = (known.filled.symbol.clone(), known.filled.timeframe.clone());
        let missing = match series.get(&key) {
            Some(series) => match app.missing.of(pool, app.config.calendar, series, now_ns).await? {
                Some(missing) => count(missing),
                None => "–".to_owned(),
            },
            None if known.filled.timeframe == NEWS => "–".to_owned(),
            None => "no bars".to_owned(),
        };
        rows.push(Row::of(known, missing));
    }
    rows.extend(idle.into_iter().map(Row::idle));
    Ok((!rows.is_empty()).then_some(Told { rows, more }))
}

/// What was filled, and the minutes that are streamed. A stream that brought something is a success of its series.
fn together(filled: Vec<SeriesFilled>, live: &[SourceRow]) -> Vec<Known> {
    let mut all: Vec<Known> = filled.into_iter().map(|filled| Known { filled, streamed: false }).collect();
    for source in live {
        for symbol in &source.symbols {
            let own = |known: &Known| known.filled.source == source.source && known.filled.symbol == *symbol;
            if !all.iter().any(|known| own(known) && known.filled.timeframe == STREAMED) {
                let filled = SeriesFilled {
                    source: source.source.clone(),
                    symbol: symbol.clone(),
                    timeframe: STREAMED.to_owned(),
                    ..SeriesFilled::default()
                };
                all.push(Known { filled, streamed: true });
            }
            for known in all.iter_mut().filter(|known| own(known) && known.filled.timeframe == STREAMED) {
                known.streamed = true;
                known.filled.last_success_ns = known.filled.last_success_ns.max(source.last_message_ns);
            }
        }
    }
    all
}

/// Sources that are configured, of which no series is known and which no service asks.
fn idle(settings: &Settings, known: &[Known], clients: &[BreakerRow]) -> Vec<String> {
    let sources = settings.connections.iter().filter(|connection| {
        let named = format!("source.{}.", connection.name);
        let mut own = settings.values.iter().filter(|value| value.field.starts_with(&named)).peekable();
        // Servers and brokers are connections too.
        own.peek().is_some()
            && connection.unset.is_empty()
            && (connection.name != KEYLESS || own.any(|value| value.source != "default"))
    });
    let names = sources.map(|connection| connection.name.clone());
    names
        .filter(|name| {
            known.iter().all(|known| known.filled.source != *name)
                && clients.iter().all(|client| client.source != *name || !client.account.is_empty())
        })
        .collect()
}

impl Row {
    fn of(known: Known, missing: String) -> Self {
        let (state, badge) = match (known.filled.is_failing(), known.streamed) {
            (true, _) => ("failing", "badge-loss"),
            (false, true) => ("streamed", "badge-gain"),
            (false, false) => ("filled", "badge-gain"),
        };
        let SeriesFilled { source, symbol, timeframe, last_success_ns, last_error_ns, last_error } =
            known.filled;
        Self {
            id: format!("filled-{source}-{symbol}-{timeframe}"),
            source,
            symbol,
            timeframe,
            state,
            badge,
            missing,
            success: last_success_ns.map(Instant),
            error: last_error_ns.map(Instant),
            words: last_error,
        }
    }

    /// A source of which nothing came.
    fn idle(source: String) -> Self {
        let nothing = || "–".to_owned();
        Self {
            id: format!("idle-{source}"),
            source,
            symbol: nothing(),
            timeframe: nothing(),
            state: "idle",
            badge: "badge-flat",
            missing: nothing(),
            success: None,
            error: None,
            words: "configured, neither streamed nor filled".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::{Connection, Setting};

    fn settings(yahoo: &str) -> Settings {
        let value = |field: &str, source: &str| Setting {
            field: field.to_owned(),
            value: "60".to_owned(),
            default: Some("60".to_owned()),
            source: source.to_owned(),
        };
        let connection = |name: &str, unset: &[&str]| Connection {
            name: name.to_owned(),
            unset: unset.iter().map(|&field| field.to_owned()).collect(),
            ..Connection::default()
        };
        Settings {
            values: vec![
                value("source.yahoo.requests_per_minute", yahoo),
                value("source.alpaca.requests_per_minute", "default"),
                value("source.massive.requests_per_minute", "file"),
            ],
            connections: vec![
                connection("nats", &[]),
                connection("yahoo", &[]),
                connection("alpaca", &[]),
                connection("massive", &["source.massive.key_env"]),
                connection("broker.paper", &[]),
            ],
            ..Settings::default()
        }
    }

    #[test]
    fn a_source_is_idle_that_is_configured_and_brings_nothing() {
        assert_eq!(idle(&settings("file"), &[], &[]), ["yahoo", "alpaca"]);
        assert_eq!(idle(&settings("default"), &[], &[]), ["alpaca"], "nothing is said of yahoo");
        let filled = SeriesFilled { source: "alpaca".to_owned(), ..SeriesFilled::default() };
        let known = together(vec![filled], &[]);
        assert!(idle(&settings("default"), &known, &[]).is_empty(), "it was filled");
        let client = |client: &str, account: &str| BreakerRow {
            service: "news".to_owned(),
            source: "alpaca".to_owned(),
            account: account.to_owned(),
            client: client.to_owned(),
            state: "closed".to_owned(),
            until_ns: None,
            failures: 0,
            last_failure: String::new(),
            last_failure_ns: None,
            reported_at_ns: 0,
        };
        assert!(idle(&settings("default"), &[], &[client("news", "")]).is_empty(), "it is asked for news");
        let trades = [client("broker", "paper")];
        assert_eq!(idle(&settings("default"), &[], &trades), ["alpaca"], "a broker is no source");
    }
}
