//! The closes of two symbols, for statistics of pairs.

use std::collections::BTreeMap;

use domain::bar::Timeframe;
use domain::corporate_action::Adjustment;
use domain::money::Price;
use sqlx::PgPool;

use super::{AdjustedError, BarsWanted, CHART_BARS_MAX, QueryError, adjusted_bars, series_of};

/// Which closes are wanted.
#[derive(Clone, Debug)]
pub struct PairWanted {
    /// The two symbols.
    pub symbols: [String; 2],
    /// Timeframe; by default the shortest that both have.
    pub timeframe: Option<Timeframe>,
    /// Close at this instant or later, UTC nanoseconds.
    pub from_ns: i64,
    /// Close before this instant, UTC nanoseconds.
    pub to_ns: i64,
}

/// The closes of two symbols.
#[derive(Clone, Debug)]
pub struct PairCloses {
    /// Timeframe.
    pub timeframe: Timeframe,
    /// By the close of the bar, in the shares of the newest.
    pub closes: [BTreeMap<i64, Price>; 2],
}

/// The closes of two symbols could not be read.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// The read model could not be read or restated.
    #[error(transparent)]
    Adjusted(#[from] AdjustedError),
    /// One of them has no bars.
    #[error("no bars of {0:?} on this tape")]
    NoBars(String),
    /// They have no such timeframe in common.
    #[error("{}", no_timeframe(.symbols, .known, *.asked))]
    NoTimeframe {
        /// The symbols.
        symbols: [String; 2],
        /// What each has.
        known: [Vec<Timeframe>; 2],
        /// What was asked for.
        asked: Option<Timeframe>,
    },
}

impl From<QueryError> for PairError {
    fn from(error: QueryError) -> Self {
        Self::Adjusted(error.into())
    }
}

/// That two symbols have no such timeframe in common, and which they have.
fn no_timeframe(symbols: &[String; 2], known: &[Vec<Timeframe>; 2], asked: Option<Timeframe>) -> String {
    let has = |index: usize| {
        let names: Vec<_> = known[index].iter().map(|known| known.name()).collect();
        format!("{} has {}", symbols[index], names.join(", "))
    };
    let wanted = asked.map_or("that both have", Timeframe::name);
    format!("no timeframe {wanted}: {}; {}", has(0), has(1))
}

/// The timeframe asked for, else the shortest that both symbols have.
pub fn common_timeframe(
    symbols: &[String; 2],
    known: [Vec<Timeframe>; 2],
    asked: Option<Timeframe>,
) -> Result<Timeframe, PairError> {
    let both = |timeframe: &Timeframe| known.iter().all(|known| known.contains(timeframe));
    let found = match asked {
        Some(timeframe) => Some(timeframe).filter(both),
        None => Timeframe::ALL.into_iter().find(both),
    };
    found.ok_or_else(|| PairError::NoTimeframe { symbols: symbols.clone(), known, asked })
}

/// Reads the closes of both symbols.
pub async fn pair_closes(pool: &PgPool, wanted: &PairWanted) -> Result<PairCloses, PairError> {
    let mut known = [Vec::new(), Vec::new()];
    for (symbol, known) in wanted.symbols.iter().zip(&mut known) {
        let series = series_of(pool, symbol).await?;
        known.extend(series.iter().filter_map(|series| series.timeframe.parse::<Timeframe>().ok()));
        if known.is_empty() {
            return Err(PairError::NoBars(symbol.clone()));
        }
    }
    let timeframe = common_timeframe(&wanted.symbols, known, wanted.timeframe)?;
    let mut closes = [BTreeMap::new(), BTreeMap::new()];
    for (symbol, closes) in wanted.symbols.iter().zip(&mut closes) {
        let mut part = BarsWanted {
            symbol: symbol.clone(),
            timeframe,
            adjustment: Adjustment::Split,
            averages: Vec::new(),
            indicators: Vec::new(),
            from_ns: wanted.from_ns,
            to_ns: wanted.to_ns,
            known_before_ns: None,
        };
        loop {
            let read = adjusted_bars(pool, &part, CHART_BARS_MAX).await?;
            closes.extend(read.bars.iter().map(|bar| (bar.bar.close_ns, bar.bar.close)));
            let Some(older) = read.older else { break };
            part.to_ns = older;
        }
    }
    Ok(PairCloses { timeframe, closes })
}
