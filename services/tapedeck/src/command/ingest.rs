//! `tapedeck ingest`: how the live source and the source of news are, and what came onto the tape, by source.

use domain::calendar::Calendar;
use projections::queries::{self, HeartbeatRow, SourceRow};
use serde::Serialize;

use ingest::status::{Gap, SeriesStatus, status};

use crate::cli::IngestCommand;
use crate::exit::Failure;
use crate::output::Output;
use crate::render::time;
use crate::session::Session;

/// Gaps of a series that are shown to a person; `--json` has them all.
const GAPS_SHOWN: usize = 3;

/// Longest time since the last report of a source that runs.
const SILENT_AFTER_NS: i64 = 15_000_000_000;

/// Everything that is told.
#[derive(Debug, Serialize)]
struct Told {
    live: Vec<SourceRow>,
    news: Vec<OfNews>,
    series: Vec<OfSource>,
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
}

/// Lists live sources and each source's series.
pub async fn run(session: &Session, command: &IngestCommand, output: Output) -> Result<(), Failure> {
    let IngestCommand::Status { source, symbols } = command;
    let authorities = session.config.standards().authorities;
    let wanted = |series: &SeriesStatus| {
        source.as_ref().is_none_or(|source| series.source == *source)
            && (symbols.is_empty()
                || symbols.iter().any(|symbol| symbol.eq_ignore_ascii_case(&series.symbol)))
    };
    let of_source = |status: SeriesStatus| {
        let date = Calendar::xnys().date_of(status.last_close_ns);
        let timeframe = status.timeframe.parse().ok();
        let stated = timeframe.and_then(|timeframe| authorities.of(&status.symbol, timeframe, date));
        OfSource { authority: stated.map(str::to_owned), status }
    };
    let found = status(&session.tape).await?.into_iter().filter(wanted);
    let found: Vec<OfSource> = found.map(of_source).collect();
    let failed = |error: queries::QueryError| Failure::unreachable(error.to_string());
    let pool = session.reader().await?;
    let mut live = queries::sources(&pool).await.map_err(failed)?;
    live.retain(|row| source.as_ref().is_none_or(|source| row.source == *source));
    let beats = queries::heartbeats(&pool).await.map_err(failed)?;
    let mut news: Vec<OfNews> = of_news(session, beats).into_iter().collect();
    news.retain(|row| source.as_ref().is_none_or(|source| row.source == *source));
    let now_ns = runtime::now_ns();
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
    if output.json {
        return output.document(&Told { live, news, series: found });
    }
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
        for row in &live {
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
    let header =
        ["SOURCE", "SYMBOL", "TF", "BARS", "FIRST CLOSE", "LAST CLOSE", "LAST APPEND", "AUTHORITY", "GAPS"];
    output.table(&header, &found.iter().map(cells).collect::<Vec<_>>());
    Ok(())
}

/// The newest heartbeat of the service of news, where the configuration names a source for it.
fn of_news(session: &Session, beats: Vec<HeartbeatRow>) -> Option<OfNews> {
    let config = Some(&session.config.news).filter(|config| config.is_on())?;
    let beat = beats.into_iter().find(|beat| beat.service == ingest::news::SERVICE)?;
    Some(OfNews { source: config.source.clone(), symbols: config.symbols.clone(), beat })
}

fn live_cells(row: &SourceRow) -> Vec<String> {
    let lag = |ns: Option<i64>| ns.map_or_else(|| "–".to_owned(), |ns| format!("{} ms", ns / 1_000_000));
    let last =
        row.last_message_ns.map_or_else(|| "–".to_owned(), |ns| time(ns / 1_000_000_000 * 1_000_000_000));
    vec![
        row.source.clone(),
        row.state.clone(),
        row.symbols.len().to_string(),
        last,
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

fn cells(OfSource { status: series, authority }: &OfSource) -> Vec<String> {
    let authority = match authority {
        None => "–".to_owned(),
        Some(authority) if *authority == series.source => "yes".to_owned(),
        Some(authority) => format!("no, {authority}"),
    };
    let appended = match series.last_append_ns {
        0 => "unknown".to_owned(),
        // Nanoseconds tell nobody anything here.
        ns => time(ns / 1_000_000_000 * 1_000_000_000),
    };
    vec![
        series.source.clone(),
        series.symbol.clone(),
        series.timeframe.clone(),
        series.bars.to_string(),
        time(series.first_close_ns),
        time(series.last_close_ns),
        appended,
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
