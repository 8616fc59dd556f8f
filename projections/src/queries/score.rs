//! Signals held against later prices: the read models' part of `domain::performance::score`.
//!
//! The bars are those of the shortest timeframe that the strategy reads of a symbol. Bars and signals are two read
//! models, each as far as it is.

use std::collections::{BTreeMap, BTreeSet};

use contracts::v1::SignalLeg;
use domain::bar::Timeframe;
use domain::money::Price;
use domain::performance::{HORIZONS, Later, Scored, SignalScore, Wanted, score};
use serde::Serialize;
use sqlx::PgPool;

use super::reading::{Reading, read_all};
use super::{QueryError, SignalRow, StrategyRow, actions_between, bars_between, newest_signals, series};

/// Most signals that are scored: the newest.
pub const SCORED_MAX: u32 = 5_000;
const FIRST_DATE: &str = "0001-01-01";
const LAST_DATE: &str = "9999-12-31";

/// What a strategy's signals come to against later prices.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StrategyScore {
    /// Strategy.
    pub strategy: String,
    /// `removed`, `disabled`, or the mode that it is enabled in.
    pub state: String,
    /// The score.
    #[serde(flatten)]
    pub score: SignalScore,
}

/// Two strategies beside each other over the time that both have signals in.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Scores of all signals of each.
    pub strategies: [StrategyScore; 2],
    /// First event time from which both are compared, UTC nanoseconds: that of the later one's first signal.
    pub from_ns: Option<i64>,
    /// Signals since then that both gave: the same time, symbols and intents.
    pub both: u64,
    /// Signals since then of the first alone.
    pub first_only: u64,
    /// Signals since then of the second alone.
    pub second_only: u64,
}

/// The score of one strategy.
pub async fn signal_score(pool: &PgPool, row: &StrategyRow) -> Result<StrategyScore, QueryError> {
    let signals = newest_signals(pool, &row.strategy, SCORED_MAX).await?;
    scored(pool, row, &signals).await
}

/// Two strategies beside each other.
pub async fn compare_signals(
    pool: &PgPool,
    first: &StrategyRow,
    second: &StrategyRow,
) -> Result<Comparison, QueryError> {
    let one = newest_signals(pool, &first.strategy, SCORED_MAX).await?;
    let other = newest_signals(pool, &second.strategy, SCORED_MAX).await?;
    let begin = |signals: &[SignalRow]| signals.first().map(|signal| signal.event_time_ns);
    let from_ns = begin(&one).zip(begin(&other)).map(|(one, other)| one.max(other));
    let since = |signals: &[SignalRow]| -> BTreeSet<(i64, Vec<(String, i32)>)> {
        let of = signals.iter().filter(|signal| from_ns.is_some_and(|from| signal.event_time_ns >= from));
        let legs = |signal: &SignalRow| {
            signal.legs.iter().map(|leg| (leg.symbol.clone(), leg.intent)).collect::<Vec<_>>()
        };
        of.map(|signal| (signal.event_time_ns, legs(signal))).collect()
    };
    let (left, right) = (since(&one), since(&other));
    Ok(Comparison {
        strategies: [scored(pool, first, &one).await?, scored(pool, second, &other).await?],
        from_ns,
        both: left.intersection(&right).count() as u64,
        first_only: left.difference(&right).count() as u64,
        second_only: right.difference(&left).count() as u64,
    })
}

async fn scored(
    pool: &PgPool,
    row: &StrategyRow,
    signals: &[SignalRow],
) -> Result<StrategyScore, QueryError> {
    let mut symbols: BTreeMap<&str, Symbol> = BTreeMap::new();
    let known = series(pool).await?;
    for leg in signals.iter().flat_map(|signal| &signal.legs) {
        if !symbols.contains_key(leg.symbol.as_str()) {
            let timeframes = known.iter().filter(|series| series.symbol == leg.symbol);
            let timeframes = timeframes.filter_map(|series| series.timeframe.parse::<Timeframe>().ok());
            let stated = row.timeframe.parse::<Timeframe>().ok();
            let timeframe = timeframes.filter(|one| stated.is_none_or(|stated| stated == *one)).min();
            symbols.insert(&leg.symbol, Symbol::read(pool, &leg.symbol, timeframe).await?);
        }
    }
    let legs =
        signals.iter().flat_map(|signal| signal.legs.iter().map(move |leg| (signal.event_time_ns, leg)));
    let legs: Vec<_> = legs.collect();
    let later = later(pool, &legs, &symbols).await?;
    let mut found = Vec::with_capacity(legs.len());
    for ((at, leg), later) in legs.into_iter().zip(later) {
        let Some(symbol) = symbols.get(leg.symbol.as_str()) else { continue };
        let split = symbol.splits_through(at);
        let place = |(open, close, close_ns): (Price, Price, i64)| Later {
            open,
            close,
            split: symbol.splits_through(close_ns) / split,
        };
        found.push(Scored {
            symbol: leg.symbol.clone(),
            wanted: Wanted::of(leg),
            later: later.into_iter().map(place).collect(),
            last: symbol.last.map(place),
            split,
        });
    }
    Ok(StrategyScore { strategy: row.strategy.clone(), state: row.state().to_owned(), score: score(&found) })
}

/// What is known of a symbol.
struct Symbol {
    timeframe: Option<Timeframe>,
    last: Option<(Price, Price, i64)>,
    /// Time from which a split holds, and new shares per old one.
    splits: Vec<(i64, f64)>,
}

impl Symbol {
    async fn read(pool: &PgPool, symbol: &str, timeframe: Option<Timeframe>) -> Result<Self, QueryError> {
        let actions = actions_between(pool, Some(symbol), FIRST_DATE, LAST_DATE, u64::MAX >> 1).await?;
        let splits = actions.into_iter().filter(|action| action.kind == "split");
        let last = match timeframe {
            Some(timeframe) => bars_between(pool, symbol, timeframe, 0, i64::MAX, 1).await?.pop(),
            None => None,
        };
        Ok(Self {
            timeframe,
            last: last.map(|bar| (bar.open, bar.close, bar.close_ns)),
            splits: splits.map(|split| (split.event_time_ns, split.value.to_f64())).collect(),
        })
    }

    /// Shares at a time per share of the first day of all.
    fn splits_through(&self, ns: i64) -> f64 {
        self.splits.iter().filter(|(from, _)| *from <= ns).map(|(_, ratio)| ratio).product()
    }
}

/// Open, close and closing time of a bar.
type Bar = (Price, Price, i64);

/// The bars that follow each leg.
async fn later(
    pool: &PgPool,
    legs: &[(i64, &SignalLeg)],
    symbols: &BTreeMap<&str, Symbol>,
) -> Result<Vec<Vec<Bar>>, QueryError> {
    let timeframe = |leg: &SignalLeg| {
        let symbol = symbols.get(leg.symbol.as_str());
        symbol.and_then(|symbol| symbol.timeframe).map_or("", Timeframe::name).to_owned()
    };
    let count = HORIZONS.into_iter().max().unwrap_or_default();
    let rows = sqlx::query(
        "SELECT w.number, b.open::text, b.close::text, b.close_ns
         FROM unnest($1::text[], $2::text[], $3::bigint[]) WITH ORDINALITY AS w (symbol, timeframe, at_ns, number)
         CROSS JOIN LATERAL (
             SELECT open, close, close_ns FROM bars.bars i
             WHERE i.symbol = w.symbol AND i.timeframe = w.timeframe AND i.close_ns > w.at_ns AND i.start_ns >= w.at_ns
             ORDER BY i.close_ns LIMIT $4) b
         ORDER BY w.number, b.close_ns",
    )
    .bind(legs.iter().map(|(_, leg)| leg.symbol.clone()).collect::<Vec<_>>())
    .bind(legs.iter().map(|(_, leg)| timeframe(leg)).collect::<Vec<_>>())
    .bind(legs.iter().map(|(at, _)| *at).collect::<Vec<_>>())
    .bind(i64::try_from(count).unwrap_or(i64::MAX))
    .fetch_all(pool)
    .await?;
    let read = |row: Reading<'_>| {
        let bar = (row.exact("open")?, row.exact("close")?, row.int("close_ns")?);
        Ok((row.sequence("number")?, bar))
    };
    let mut found = vec![Vec::new(); legs.len()];
    for (number, bar) in read_all(&rows, read)? {
        let place = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        if let Some(bars) = place.and_then(|place| found.get_mut(place)) {
            bars.push(bar);
        }
    }
    Ok(found)
}
