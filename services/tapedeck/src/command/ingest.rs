//! `tapedeck ingest`: how the live source, the source of news and the breakers are, and what came onto the tape, by source:
//! bars and articles, with when they were filled last and why that failed last.

use std::collections::BTreeSet;

use clap::ValueEnum as _;
use event_log::Tape;
use ingest::status::{ArticlesStatus, Gap, SeriesStatus, articles, status};
use projections::queries::{self, BreakerRow, HeartbeatRow, SourceRow};
use runtime::SILENT_AFTER_NS;
use runtime::command::filled::{self, Action, Filled, Fillings, NEWS, SeriesFilled};
use serde::Serialize;

use crate::cli::{IngestCommand, NewsVendor, Vendor};
use crate::command::control::caller;
use crate::exit::Failure;
use crate::output::Output;
use crate::render::time;
use crate::session::Session;

/// Gaps of a series that are shown to a person; `--json` has them all.
const GAPS_SHOWN: usize = 3;

/// Everything that is told.
#[derive(Debug, Serialize)]
struct Told {
    live: Vec<SourceRow>,
    news: Vec<OfNews>,
    /// Of services that run.
    breakers: Vec<BreakerRow>,
    series: Vec<OfSource>,
    /// What was asked for or imported, and has no bar on the tape.
    unfilled: Vec<SeriesFilled>,
    articles: Vec<OfArticles>,
    /// What failed last, articles too.
    #[serde(skip)]
    failing: Vec<SeriesFilled>,
}

/// What came of filling a series last.
#[derive(Debug, Default, Serialize)]
struct Came {
    /// When a backfill, an import or a fetch of news went well, or a stream of it told anything, UTC nanoseconds.
    last_success_ns: Option<i64>,
    /// When one failed.
    last_error_ns: Option<i64>,
    /// Why.
    last_error: String,
}

impl Came {
    fn of(filled: Option<&SeriesFilled>) -> Self {
        filled.map_or_else(Self::default, |filled| Self {
            last_success_ns: filled.last_success_ns,
            last_error_ns: filled.last_error_ns,
            last_error: filled.last_error.clone(),
        })
    }

    /// What is streamed is filled by every message.
    fn streamed(self, live: &[SourceRow], source: &str, symbol: &str) -> Self {
        let of = |row: &&SourceRow| row.source == source && row.symbols.iter().any(|own| own == symbol);
        let last_ns = live.iter().find(of).and_then(|row| row.last_message_ns);
        Self { last_success_ns: self.last_success_ns.max(last_ns), ..self }
    }
}

/// The articles of a source about a symbol.
#[derive(Debug, Serialize)]
struct OfArticles {
    #[serde(flatten)]
    status: ArticlesStatus,
    #[serde(flatten)]
    came: Came,
}

/// The source of news that the configuration names, and how the service that follows it is.
#[derive(Debug, Serialize)]
struct OfNews {
    source: String,
    symbols: Vec<String>,
    #[serde(flatten)]
    beat: HeartbeatRow,
}

/// A series of a source, and whose bars are the series' own.
#[derive(Debug, Serialize)]
struct OfSource {
    #[serde(flatten)]
    status: SeriesStatus,
    /// The stated authority of the newest bar's date; where none is stated it is whoever came first.
    authority: Option<String>,
    #[serde(flatten)]
    came: Came,
}

/// Records what came of some series. A tape that takes no word of it is logged, for the command has its own end to tell.
pub async fn note(tape: &Tape, action: Action, filled: &[Filled]) {
    if let Err(error) = filled::record(tape, &caller(), action, filled).await {
        tracing::warn!("what came of {} series is not recorded: {error}", filled.len());
    }
}

/// Lists live sources and each source's series.
pub async fn run(session: &Session, command: &IngestCommand, output: Output) -> Result<(), Failure> {
    let IngestCommand::Status { source, symbols } = command;
    let authorities = session.config.standards().authorities;
    let calendar = session.manifest.market()?.calendar();
    let wanted = |of: &str, about: &str| {
        source.as_ref().is_none_or(|source| of == source)
            && (symbols.is_empty() || symbols.iter().any(|symbol| symbol.eq_ignore_ascii_case(about)))
    };
    let mut fillings = Fillings::default();
    fillings.catch_up(&session.tape).await?;
    let failed = |error: queries::QueryError| Failure::unreachable(error.to_string());
    let pool = session.reader().await?;
    let mut live = queries::sources(&pool).await.map_err(failed)?;
    let mut breakers = queries::breakers(&pool).await.map_err(failed)?;
    let all = status(&session.tape, calendar).await?;
    let about = articles(&session.tape).await?;
    if let Some(source) = source {
        let named = all.iter().map(|series| &series.source).chain(about.iter().map(|about| &about.source));
        let named = named.chain(live.iter().map(|row| &row.source));
        let named = named.chain(breakers.iter().map(|row| &row.source));
        check_source(
            source,
            named.chain(fillings.series().map(|filled| &filled.source)).map(String::as_str),
        )?;
    }
    let of_source = |status: SeriesStatus| {
        // Around the clock a day's last bar closes as the next day begins.
        let date = calendar.date_of(status.last_close_ns - 1);
        let timeframe = status.timeframe.parse().ok();
        let stated = timeframe.and_then(|timeframe| authorities.of(&status.symbol, timeframe, date));
        let came = Came::of(fillings.of(&status.source, &status.symbol, &status.timeframe));
        let came = came.streamed(&live, &status.source, &status.symbol);
        OfSource { authority: stated.map(str::to_owned), came, status }
    };
    let found = all.into_iter().filter(|series| wanted(&series.source, &series.symbol));
    let found: Vec<OfSource> = found.map(of_source).collect();
    let mut articles = of_articles(about, &fillings);
    articles.retain(|articles| wanted(&articles.status.source, &articles.status.symbol));
    let has_bars = |filled: &SeriesFilled| {
        found.iter().map(|series| &series.status).any(|series| {
            (&series.source, &series.symbol, &series.timeframe)
                == (&filled.source, &filled.symbol, &filled.timeframe)
        })
    };
    let asked: Vec<SeriesFilled> =
        fillings.series().filter(|filled| wanted(&filled.source, &filled.symbol)).cloned().collect();
    let unfilled = asked.iter().filter(|filled| filled.timeframe != NEWS && !has_bars(filled));
    let unfilled: Vec<SeriesFilled> = unfilled.cloned().collect();
    let failing = asked.into_iter().filter(SeriesFilled::is_failing).collect();
    live.retain(|row| source.as_ref().is_none_or(|source| row.source == *source));
    let beats = queries::heartbeats(&pool).await.map_err(failed)?;
    let mut news: Vec<OfNews> = of_news(session, beats).into_iter().collect();
    news.retain(|row| source.as_ref().is_none_or(|source| row.source == *source));
    let now_ns = runtime::now_ns();
    // The last word of a process that ended says nothing about now.
    breakers.retain(|row| now_ns.saturating_sub(row.reported_at_ns) <= SILENT_AFTER_NS);
    breakers.retain(|row| source.as_ref().is_none_or(|source| row.source == *source));
    for OfNews { beat, .. } in &mut news {
        if now_ns.saturating_sub(beat.beat_at_ns) > SILENT_AFTER_NS {
            "stopped".clone_into(&mut beat.state);
            beat.detail.clear();
        }
    }
    for row in &mut live {
        if now_ns.saturating_sub(row.reported_at_ns) > SILENT_AFTER_NS {
            // The last word of a process that ended says nothing about now.
            "stopped".clone_into(&mut row.state);
        }
    }
    let told = Told { live, news, breakers, series: found, unfilled, articles, failing };
    if output.json {
        return output.document(&told);
    }
    print(&told, output);
    Ok(())
}

/// Refuses a source that is neither among `named`, those that the tape tells of, nor a vendor's name.
fn check_source<'a>(source: &str, named: impl Iterator<Item = &'a str>) -> Result<(), Failure> {
    let vendors = Vendor::value_variants().iter().filter_map(Vendor::to_possible_value);
    let of_news = NewsVendor::value_variants().iter().filter_map(NewsVendor::to_possible_value);
    let mut known: BTreeSet<String> = vendors.chain(of_news).map(|name| name.get_name().to_owned()).collect();
    known.extend(named.map(str::to_owned));
    if known.contains(source) {
        return Ok(());
    }
    let known = known.into_iter().collect::<Vec<_>>().join(", ");
    Err(Failure::not_found(format!("--source {source}: expected one of {known}"), "tapedeck ingest status"))
}

fn print(told: &Told, output: Output) {
    let Told { live, news, breakers, series, unfilled, articles, failing } = told;
    if !live.is_empty() {
        let header = [
            "LIVE",
            "STATE",
            "SYMBOLS",
            "LAST MESSAGE",
            "BARS",
            "REVISIONS",
            "QUOTES",
            "TRADES",
            "LAG P50",
            "LAG P99",
            "RECONNECTS",
            "GAPS",
            "ERRORS",
            "HISTORY",
        ];
        output.table(&header, &live.iter().map(live_cells).collect::<Vec<_>>());
        for row in live {
            for (what, words) in [("", &row.detail), ("last error: ", &row.last_error)] {
                if !words.is_empty() {
                    output.line(&format!("{}: {what}{words}", row.source));
                }
            }
        }
    }
    if !news.is_empty() {
        let cells = |OfNews { source, symbols, beat }: &OfNews| {
            let (count, at) = (symbols.len().to_string(), time(beat.beat_at_ns));
            vec![source.clone(), beat.state.clone(), count, at, beat.detail.clone()]
        };
        let header = ["NEWS", "STATE", "SYMBOLS", "LAST HEARTBEAT", "DETAIL"];
        output.table(&header, &news.iter().map(cells).collect::<Vec<_>>());
    }
    if !breakers.is_empty() {
        output.table(&BREAKER_HEADER, &breakers.iter().map(breaker_cells).collect::<Vec<_>>());
    }
    if !articles.is_empty() {
        let header = [
            "ARTICLES OF",
            "SYMBOL",
            "ARTICLES",
            "FIRST",
            "LAST",
            "LAST APPEND",
            "LAST SUCCESS",
            "LAST ERROR",
        ];
        output.table(&header, &articles.iter().map(article_cells).collect::<Vec<_>>());
    }
    let header = [
        "SOURCE",
        "SYMBOL",
        "TF",
        "BARS",
        "FIRST CLOSE",
        "LAST CLOSE",
        "LAST APPEND",
        "LAST SUCCESS",
        "LAST ERROR",
        "AUTHORITY",
        "GAPS",
    ];
    output.table(&header, &series.iter().map(cells).collect::<Vec<_>>());
    for SeriesFilled { source, symbol, timeframe, last_error_ns, last_error, .. } in failing {
        let at = second(*last_error_ns);
        output.line(&format!("{source} {symbol} {timeframe}: failed at {at}: {last_error}"));
    }
    for SeriesFilled { source, symbol, timeframe, last_success_ns, .. } in
        unfilled.iter().filter(|filled| !filled.is_failing())
    {
        let at = second(*last_success_ns);
        output.line(&format!("{source} {symbol} {timeframe}: no bars, asked for at {at}"));
    }
}

/// The articles on the tape, and those that were asked for in vain.
fn of_articles(told: Vec<ArticlesStatus>, fillings: &Fillings) -> Vec<OfArticles> {
    let mut all = told;
    for filled in fillings.series().filter(|filled| filled.timeframe == NEWS) {
        let (source, symbol) = (filled.source.clone(), filled.symbol.clone());
        if !all.iter().any(|told| (&told.source, &told.symbol) == (&source, &symbol)) {
            all.push(ArticlesStatus { source, symbol, ..ArticlesStatus::default() });
        }
    }
    all.sort_by(|one, other| (&one.source, &one.symbol).cmp(&(&other.source, &other.symbol)));
    let of = |status: ArticlesStatus| {
        let came = Came::of(fillings.of(&status.source, &status.symbol, NEWS));
        OfArticles { status, came }
    };
    all.into_iter().map(of).collect()
}

/// A time to the second: nanoseconds tell nobody anything here.
fn second(ns: Option<i64>) -> String {
    ns.map_or_else(|| "–".to_owned(), |ns| time(ns / 1_000_000_000 * 1_000_000_000))
}

fn article_cells(OfArticles { status, came }: &OfArticles) -> Vec<String> {
    let there = |ns: i64| second(Some(ns).filter(|_| status.articles > 0));
    vec![
        status.source.clone(),
        status.symbol.clone(),
        status.articles.to_string(),
        there(status.first_published_ns),
        there(status.last_published_ns),
        there(status.last_append_ns),
        second(came.last_success_ns),
        second(came.last_error_ns),
    ]
}

/// The newest heartbeat of the service of news, where the configuration names a source for it.
fn of_news(session: &Session, beats: Vec<HeartbeatRow>) -> Option<OfNews> {
    let config = Some(&session.config.news).filter(|config| config.is_on())?;
    let beat = beats.into_iter().find(|beat| beat.service == ingest::news::SERVICE)?;
    Some(OfNews { source: config.source.clone(), symbols: config.symbols.clone(), beat })
}

/// The columns of [`breaker_cells`].
pub const BREAKER_HEADER: [&str; 7] =
    ["ASKED", "ACCOUNT", "FOR", "BREAKER", "UNTIL", "FAILURES", "LAST FAILURE"];

/// How the breaker of a client stands; `status` shows it too.
pub fn breaker_cells(row: &BreakerRow) -> Vec<String> {
    let failed = match row.last_failure_ns {
        Some(_) => format!("{}: {}", second(row.last_failure_ns), row.last_failure),
        None => "none".to_owned(),
    };
    let account = if row.account.is_empty() { "–" } else { row.account.as_str() };
    vec![
        row.source.clone(),
        account.to_owned(),
        row.client.clone(),
        row.state.replace('_', "-"),
        second(row.until_ns),
        row.failures.to_string(),
        failed,
    ]
}

fn live_cells(row: &SourceRow) -> Vec<String> {
    let lag = |ns: Option<i64>| ns.map_or_else(|| "–".to_owned(), |ns| format!("{} ms", ns / 1_000_000));
    vec![
        row.source.clone(),
        row.state.clone(),
        row.symbols.len().to_string(),
        second(row.last_message_ns),
        row.bars.to_string(),
        row.revisions.to_string(),
        row.quotes.to_string(),
        row.trades.to_string(),
        lag(row.lag_p50_ns),
        lag(row.lag_p99_ns),
        row.reconnects.to_string(),
        format!("{} ({} bars)", row.gaps_filled, row.gap_bars),
        row.errors.to_string(),
        (if row.breaker == "open" { "paused" } else { "asked" }).to_owned(),
    ]
}

fn cells(OfSource { status: series, authority, came }: &OfSource) -> Vec<String> {
    let authority = match authority {
        None => "–".to_owned(),
        Some(authority) if *authority == series.source => "yes".to_owned(),
        Some(authority) => format!("no, {authority}"),
    };
    let appended = match series.last_append_ns {
        0 => "unknown".to_owned(),
        ns => second(Some(ns)),
    };
    vec![
        series.source.clone(),
        series.symbol.clone(),
        series.timeframe.clone(),
        series.bars.to_string(),
        time(series.first_close_ns),
        time(series.last_close_ns),
        appended,
        second(came.last_success_ns),
        second(came.last_error_ns),
        authority,
        gaps(&series.gaps),
    ]
}

/// How many sessions are missing, and the first gaps.
fn gaps(gaps: &[Gap]) -> String {
    let missing: u32 = gaps.iter().map(|gap| gap.sessions).sum();
    if missing == 0 {
        return "none".to_owned();
    }
    let shown = gaps.iter().take(GAPS_SHOWN).map(|gap| match gap.sessions {
        1 => gap.from.to_string(),
        _ => format!("{} to {}", gap.from, gap.to),
    });
    let more = if gaps.len() > GAPS_SHOWN { ", …" } else { "" };
    format!("{missing} sessions: {}{more}", shown.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_nobody_knows_is_refused() {
        for known in ["import", "yahoo", "newsapi"] {
            assert!(check_source(known, ["import"].into_iter()).is_ok(), "{known}");
        }
        let refused = check_source("nope", ["import"].into_iter()).unwrap_err();
        let words = "--source nope: expected one of alpaca, import, massive, newsapi, yahoo";
        assert_eq!((refused.code, refused.message.as_str()), (3, words));
    }
}
