//! The market that a recorded run walks: the bars and corporate actions of a tape, up to a sequence.
//!
//! A bar that was revised has its revised values. Bars after the last session asked for are left out; those before
//! the first stay, because strategies warm up with them. What is no bar is the projections' to park and is passed
//! over here.
//!
//! Deliberately absent: files and segments (the `history` crate).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::NaiveDate;
use contracts::v1::event::Body;
use contracts::v1::{BacktestRequest, Event};
use contracts::{escape, from_timestamp, stream};
use domain::bar::{Bar, Timeframe};
use domain::calendar::{Calendar, Market};
use domain::corporate_action::{CorporateAction, Effect};
use domain::series::{BarSeries, DatedAction, MarketData};
use event_log::{Delivery, LogError, Tape};

/// Messages taken at once.
const BATCH_MAX: usize = 4_096;

/// Symbols that are filtered by the server one by one; of more, all are read and the others left out here.
const FILTERED_MAX: usize = 50;

/// Why there is no market to walk.
#[derive(Debug, thiserror::Error)]
pub enum MarketError {
    /// The tape could not be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The tape does not hold what is asked for.
    #[error("{0}")]
    Missing(String),
}

/// The market of a run.
#[derive(Debug)]
pub struct Loaded {
    /// Bars and actions.
    pub data: MarketData,
    /// When the market is open.
    pub calendar: &'static Calendar,
    /// Hash of everything in `data`.
    pub hash: String,
    /// First instant of the first session asked for; none without one.
    pub from_ns: Option<i64>,
    /// First instant after the last session asked for.
    pub until_ns: Option<i64>,
    /// Closes of the benchmark per session, splits and dividends counted; empty without one.
    pub benchmark: Vec<(NaiveDate, f64)>,
}

/// Bars of one symbol as they come.
#[derive(Default)]
struct Track {
    source: String,
    bars: BTreeMap<i64, Bar>,
}

/// Loads what `request`, which is complete, asks for.
pub async fn load(tape: &Tape, request: &BacktestRequest) -> Result<Loaded, MarketError> {
    let missing = |why: String| MarketError::Missing(why);
    let market = match request.calendar.as_str() {
        "" => Market::default(),
        name => name.parse().map_err(|error: domain::calendar::UnknownMarket| missing(error.to_string()))?,
    };
    let timeframe: Timeframe = request
        .timeframe
        .parse()
        .map_err(|error: domain::bar::UnknownTimeframe| missing(error.to_string()))?;
    let calendar = market.calendar();
    let date = |text: &str| text.parse::<NaiveDate>().ok();
    // A session's close at midnight is the first instant of the next date, and still its own.
    let from_ns = date(&request.from).map(|date| calendar.start_of(date).saturating_add(1));
    let next = date(&request.to).and_then(|date| date.succ_opt());
    let until_ns = next.map(|date| calendar.start_of(date).saturating_add(1));
    let (tracks, actions) = read(tape, request, timeframe, until_ns).await?;
    let benchmark = match request.benchmark.as_str() {
        "" => Vec::new(),
        symbol => {
            let track = tracks.get(symbol).filter(|track| !track.bars.is_empty());
            let track = track.ok_or_else(|| missing(no_bars("benchmark", symbol, timeframe)))?;
            let own = actions.iter().filter(|dated| *dated.symbol == *symbol);
            closes(track, own.map(|dated| &dated.action), calendar)
        }
    };
    let wanted: BTreeSet<&str> = request.symbols.iter().map(String::as_str).collect();
    let walked = |symbol: &str| wanted.is_empty() || wanted.contains(symbol);
    for symbol in &request.symbols {
        if tracks.get(symbol).is_none_or(|track| track.bars.is_empty()) {
            return Err(missing(no_bars("symbols", symbol, timeframe)));
        }
    }
    let series = tracks.iter().filter(|(symbol, track)| walked(symbol) && !track.bars.is_empty());
    let series: Vec<BarSeries> = series
        .map(|(symbol, track)| {
            let bars: Vec<Bar> = track.bars.values().copied().collect();
            BarSeries::of(&track.source, symbol, timeframe, &bars)
        })
        .collect();
    if series.is_empty() {
        return Err(missing(format!("the tape has no bars of timeframe {timeframe}")));
    }
    let mut actions: Vec<_> = actions.into_iter().filter(|dated| walked(&dated.symbol)).collect();
    actions.sort_by(|left, right| (left.event_ns, &left.symbol).cmp(&(right.event_ns, &right.symbol)));
    let data = MarketData { series, actions };
    let hash = history::data_hash(&data);
    Ok(Loaded { data, calendar, hash, from_ns, until_ns, benchmark })
}

fn no_bars(field: &str, symbol: &str, timeframe: Timeframe) -> String {
    format!("{field} {symbol:?}: the tape has no such bars of timeframe {timeframe} in the range")
}

type Tracks = BTreeMap<String, Track>;

/// Reads bars, revisions and actions up to the last there is now.
async fn read(
    tape: &Tape,
    request: &BacktestRequest,
    timeframe: Timeframe,
    until_ns: Option<i64>,
) -> Result<(Tracks, Vec<DatedAction>), LogError> {
    let filters = filters(request, timeframe);
    let mut end = 0;
    for filter in &filters {
        end = end.max(tape.last_sequence(stream::MARKET, filter).await?);
    }
    let (mut tracks, mut actions) = (Tracks::new(), Vec::new());
    if end == 0 {
        return Ok((tracks, actions));
    }
    let mut reader = tape.read(stream::MARKET, &filters, 0).await?;
    loop {
        for delivery in reader.batch(BATCH_MAX).await? {
            let sequence = delivery.sequence();
            if sequence > end {
                return Ok((tracks, actions));
            }
            if let Delivery::Event(recorded) = delivery {
                take(recorded.event, until_ns, &mut tracks, &mut actions);
            }
            if sequence == end {
                return Ok((tracks, actions));
            }
        }
    }
}

fn filters(request: &BacktestRequest, timeframe: Timeframe) -> Vec<String> {
    if request.symbols.is_empty() || request.symbols.len() > FILTERED_MAX {
        return vec![
            format!("market.bar.{timeframe}.*"),
            format!("market.revision.{timeframe}.*"),
            "market.action.*".to_owned(),
        ];
    }
    let named = request.symbols.iter().chain((!request.benchmark.is_empty()).then_some(&request.benchmark));
    let symbols: BTreeSet<String> = named.map(|symbol| escape(symbol)).collect();
    let of_symbol = |symbol: &String| {
        [
            format!("market.bar.{timeframe}.{symbol}"),
            format!("market.revision.{timeframe}.{symbol}"),
            format!("market.action.{symbol}"),
        ]
    };
    symbols.iter().flat_map(of_symbol).collect()
}

fn take(event: Event, until_ns: Option<i64>, tracks: &mut Tracks, actions: &mut Vec<DatedAction>) {
    let Some(time_ns) = event.event_time.as_ref().and_then(from_timestamp) else { return };
    let late = until_ns.is_some_and(|until| time_ns >= until);
    let (body, source) = (event.body, event.source);
    match body {
        _ if late => {}
        Some(Body::Bar(wire)) => {
            let Some(bar) = Bar::from_wire(&wire, time_ns) else { return };
            let track = tracks.entry(wire.symbol).or_default();
            if track.source.is_empty() {
                track.source = source;
            }
            track.bars.entry(time_ns).or_insert(bar);
        }
        Some(Body::BarRevision(revision)) => {
            let Some(wire) = revision.bar else { return };
            let Some(bar) = Bar::from_wire(&wire, time_ns) else { return };
            if let Some(known) = tracks.entry(wire.symbol).or_default().bars.get_mut(&time_ns) {
                *known = bar;
            }
        }
        Some(Body::CorporateAction(wire)) => {
            let Ok(action) = CorporateAction::from_wire(&wire) else { return };
            let symbol = Arc::from(wire.symbol.as_str());
            actions.push(DatedAction { symbol, event_ns: time_ns, event_id: event.id, action });
        }
        _ => {}
    }
}

/// What one share bought at the first close comes to at each session's last close: splits multiply it, dividends
/// buy more of it at the close of their date.
fn closes<'a>(
    track: &Track,
    actions: impl Iterator<Item = &'a CorporateAction>,
    calendar: &Calendar,
) -> Vec<(NaiveDate, f64)> {
    let mut last: BTreeMap<NaiveDate, f64> = BTreeMap::new();
    for bar in track.bars.values() {
        last.insert(calendar.date_of(bar.close_ns.saturating_sub(1)), bar.close.to_f64());
    }
    let mut actions: Vec<&CorporateAction> = actions.collect();
    actions.sort_by_key(|action| action.ex_date);
    let mut due = actions.into_iter().peekable();
    let first = last.keys().next().copied();
    let mut shares = 1.0;
    let mut values = Vec::with_capacity(last.len());
    for (date, close) in last {
        while let Some(action) = due.next_if(|action| action.ex_date <= date) {
            // What happened before the first close was another's.
            if first.is_some_and(|first| action.ex_date <= first) {
                continue;
            }
            match action.effect {
                Effect::Split(ratio) => {
                    let (new, old) = ratio.terms();
                    shares *= new as f64 / old as f64;
                }
                Effect::Dividend(price) => shares *= 1.0 + price.to_f64() / close,
            }
        }
        values.push((date, shares * close));
    }
    values
}
