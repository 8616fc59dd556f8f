//! The market that a run walks: the bars and corporate actions of a tape, from its history segments.
//!
//! What MARKET holds beyond the segments is read first, once for all runs ([`load`]); without a server the segments
//! are taken as they are ([`load_kept`]). A bar that was revised has its newest values, or those that were known at the
//! time, as the request says. Bars after the last session asked for are left out; those before the first stay, because
//! strategies warm up with them.
//!
//! Deliberately absent: how segments are kept, and files (the `history` crate).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use chrono::NaiveDate;
use contracts::v1::{BacktestRequest, BacktestRevisions, Parameter};
use domain::bar::Timeframe;
use domain::calendar::{Calendar, Market, Session};
use domain::corporate_action::{CorporateAction, Effect};
use domain::money::Price;
use domain::series::{BarSeries, MarketData};
use domain::strategy::kinds;
use event_log::{LogError, Tape};
use history::segments::{self, SegmentError};
use history::{HistoryError, Range, Revisions, Selection};
use projections::{HoursError, hours};

/// Most symbols that an error lists.
const KNOWN_MAX: usize = 10;

/// Why there is no market to walk.
#[derive(Debug, thiserror::Error)]
pub enum MarketError {
    /// The tape could not be read.
    #[error(transparent)]
    Log(LogError),
    /// The segments could not be read or written.
    #[error(transparent)]
    History(HistoryError),
    /// The tape does not hold what is asked for.
    #[error("{0}")]
    Missing(String),
}

impl From<HistoryError> for MarketError {
    fn from(error: HistoryError) -> Self {
        match error {
            HistoryError::Log(error) => Self::Log(error),
            other => Self::History(other),
        }
    }
}

impl From<SegmentError> for MarketError {
    fn from(error: SegmentError) -> Self {
        Self::History(error.into())
    }
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
    /// What the user should know of how the bars came about, in words.
    pub notes: Vec<String>,
}

/// `request` with the calendar of the tape where it states none ([`hours`]); `noted` is the one of the tape's manifest.
pub async fn with_calendar(
    tape: &Tape,
    noted: Market,
    request: BacktestRequest,
) -> Result<BacktestRequest, MarketError> {
    if !request.calendar.is_empty() {
        return Ok(request);
    }
    let market = hours(tape, noted).await.map_err(|error| match error {
        HoursError::Log(error) => MarketError::Log(error),
        HoursError::Unclear(names) => missing(format!(
            "calendar: not stated, and the tape holds sessions of {}: expected one of XNYS, 24x5, 24x7",
            names.join(" and ")
        )),
    })?;
    Ok(BacktestRequest { calendar: market.name().to_owned(), ..request })
}

/// Loads what `request`, which is complete, asks for, up to the head of MARKET. One that states no calendar is of XNYS
/// ([`with_calendar`] states it). The tape's segments are in `dir`.
pub async fn load(tape: &Tape, dir: &Path, request: &BacktestRequest) -> Result<Loaded, MarketError> {
    let asked = Asked::of(request)?;
    let history = history::tape(dir, tape, &asked.selection).await?;
    asked.market(request, history)
}

/// Loads what `request`, which is complete, asks for from the segments in `dir` as they are. Blocking.
pub fn load_kept(dir: &Path, request: &BacktestRequest) -> Result<Loaded, MarketError> {
    let asked = Asked::of(request)?;
    let history = segments::open(dir)?.load(&asked.selection)?;
    asked.market(request, history)
}

/// What a request wants of a history.
struct Asked {
    selection: Selection,
    timeframe: Timeframe,
    from_ns: Option<i64>,
    until_ns: Option<i64>,
}

fn missing(why: impl ToString) -> MarketError {
    MarketError::Missing(why.to_string())
}

fn no_bars(field: &str, symbol: &str, timeframe: Timeframe) -> MarketError {
    missing(format!("{field} {symbol:?}: the tape has no such bars of timeframe {timeframe} in the range"))
}

impl Asked {
    fn of(request: &BacktestRequest) -> Result<Self, MarketError> {
        let market: Market = match request.calendar.as_str() {
            "" => Market::default(),
            name => name.parse().map_err(missing)?,
        };
        let timeframe: Timeframe = request.timeframe.parse().map_err(missing)?;
        let date = |text: &str| text.parse::<NaiveDate>().ok();
        let range = Range { from: date(&request.from), to: date(&request.to) };
        let closes = range.closes(market.calendar());
        let mut symbols = request.symbols.clone();
        if !symbols.is_empty() && !request.benchmark.is_empty() && !symbols.contains(&request.benchmark) {
            symbols.push(request.benchmark.clone());
        }
        let from_ns = range.from.map(|_| closes.start);
        let revisions = match request.revisions() {
            // Without a first session everything is walked and nothing warms up.
            BacktestRevisions::AsKnown => Revisions::AsKnown { from_ns: from_ns.unwrap_or(i64::MIN) },
            BacktestRevisions::Latest | BacktestRevisions::Unspecified => Revisions::Latest,
        };
        // Strategies warm up with what was before.
        let walked = Range { from: None, ..range };
        Ok(Self {
            selection: Selection { symbols, timeframes: vec![timeframe], range: walked, market, revisions },
            timeframe,
            from_ns,
            until_ns: range.to.map(|_| closes.end),
        })
    }

    fn market(self, request: &BacktestRequest, history: history::Loaded) -> Result<Loaded, MarketError> {
        let Self { selection, timeframe, from_ns, until_ns } = self;
        let calendar = selection.market.calendar();
        let history::Loaded { mut data, mut hash, notes, .. } = history;
        let present = |data: &MarketData, name: &str| {
            data.series.iter().find(|series| *series.symbol == *name).cloned()
        };
        let benchmark = match request.benchmark.as_str() {
            "" => Vec::new(),
            symbol => {
                let own = data.actions.iter().filter(|dated| *dated.symbol == *symbol);
                let own = own.map(|dated| &dated.action);
                let series = present(&data, symbol).ok_or_else(|| no_bars("benchmark", symbol, timeframe))?;
                closes(&series, own, calendar)
            }
        };
        for symbol in &request.symbols {
            present(&data, symbol).ok_or_else(|| no_bars("symbols", symbol, timeframe))?;
        }
        let wanted: BTreeSet<&str> = request.symbols.iter().map(String::as_str).collect();
        let walked = |symbol: &str| wanted.is_empty() || wanted.contains(symbol);
        if !data.series.iter().all(|series| walked(&series.symbol)) {
            // The benchmark is looked at, not walked.
            data.series.retain(|series| walked(&series.symbol));
            data.actions.retain(|dated| walked(&dated.symbol));
            hash = history::data_hash(&data);
        }
        if data.series.is_empty() {
            return Err(missing(format!("the tape has no bars of timeframe {timeframe} in the range")));
        }
        check_named(request, &data)?;
        Ok(Loaded { data, calendar, hash, from_ns, until_ns, benchmark, notes })
    }
}

/// Refuses a run whose strategies name symbols by parameter that `data` has no bars of; what a search tries counts
/// too. `request` is complete.
pub fn check_named(request: &BacktestRequest, data: &MarketData) -> Result<(), MarketError> {
    let known: BTreeSet<&str> = data.series.iter().map(|series| &*series.symbol).collect();
    let ranges = request.search.iter().flat_map(|search| &search.ranges);
    for strategy in &request.strategies {
        let Some(kind) = kinds().iter().find(|kind| kind.name == strategy.kind) else { continue };
        let tried = ranges.clone().filter(|range| range.strategy == strategy.name).flat_map(|range| {
            let parameter =
                move |value: &String| Parameter { name: range.parameter.clone(), value: value.clone() };
            range.values.iter().map(parameter)
        });
        let is_tried = |name: &str| {
            ranges.clone().any(|range| range.strategy == strategy.name && range.parameter == name)
        };
        let stated = strategy.parameters.iter().filter(|one| !is_tried(&one.name)).cloned();
        for parameter in stated.chain(tried) {
            let Some(spec) = kind.parameters.iter().find(|spec| spec.name == parameter.name) else {
                continue;
            };
            // What a value must be is the strategy's own to say.
            let named = spec.symbols(std::slice::from_ref(&parameter)).unwrap_or_default();
            if let Some(symbol) = named.iter().find(|symbol| !known.contains(symbol.as_str())) {
                let known: Vec<&str> = known.iter().copied().collect();
                return Err(missing(format!(
                    "strategy {}: {} {symbol:?}: expected a symbol that the run has bars of: {}",
                    strategy.name,
                    parameter.name,
                    few(&known)
                )));
            }
        }
    }
    Ok(())
}

/// The first of many words.
fn few(words: &[&str]) -> String {
    let more = if words.len() > KNOWN_MAX { ", …" } else { "" };
    words[..words.len().min(KNOWN_MAX)].join(", ") + more
}

/// What one share bought at the first close comes to at each session's close: splits multiply it, dividends buy more of
/// it at the close of their date. As with a day's equity, a bar that closes after its session, as some do after an early
/// close, is not counted, unless its date has no other.
pub fn closes<'a>(
    series: &BarSeries,
    actions: impl Iterator<Item = &'a CorporateAction>,
    calendar: &Calendar,
) -> Vec<(NaiveDate, f64)> {
    let mut last: BTreeMap<NaiveDate, f64> = BTreeMap::new();
    let mut session: Option<Session> = None;
    for (close_ns, close) in series.close_ns.values().iter().zip(series.close.values()) {
        let date = calendar.date_of(close_ns.saturating_sub(1));
        if session.is_none_or(|session| session.date != date) {
            session = calendar.session(date).ok().flatten();
        }
        let is_late = session.is_some_and(|session| session.date == date && session.close_ns < *close_ns);
        if !is_late || !last.contains_key(&date) {
            last.insert(date, Price(*close).to_f64());
        }
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

#[cfg(test)]
mod tests {
    use domain::bar::Bar;
    use domain::money::Volume;

    use super::*;

    #[test]
    fn a_benchmarks_close_is_the_sessions_also_where_a_bar_follows_an_early_one() {
        // 2000-11-24, the day after Thanksgiving: closed at 13:00 in New York, 18:00 UTC.
        let hour_ns = 3_600_000_000_000;
        let close_ns = 975_088_800_000_000_000;
        let bar = |close_ns: i64, close: i64| {
            let price = Price(close * 1_000_000_000);
            let start_ns = close_ns - hour_ns;
            Bar { start_ns, close_ns, open: price, high: price, low: price, close: price, volume: Volume(1) }
        };
        let bars = [bar(close_ns, 134), bar(close_ns + hour_ns, 135)];
        let of = |bars: &[Bar]| {
            let series = BarSeries::of("", "SPY", Timeframe::H1, bars);
            closes(&series, std::iter::empty(), Calendar::xnys())
        };
        let date = NaiveDate::from_ymd_opt(2000, 11, 24).unwrap();
        assert_eq!(of(&bars), [(date, 134.0)]);
        assert_eq!(of(&bars[1..]), [(date, 135.0)]);
    }
}
