//! Bars as charts show them: restated for splits and dividends, with moving averages.
//!
//! Bars and corporate actions are two read models: a bar may be here an instant before the action that took
//! effect with it. Whoever follows a series sees that `basis` changes and reads it again.

use domain::bar::{Bar, Timeframe};
use domain::calendar::Calendar;
use domain::corporate_action::{
    Adjustment, CorporateAction, LastClose, Restatement, Unadjustable, Unrestatable,
};
use domain::indicator::catalogue::{BuildError, Request};
use domain::indicator::{Indicator as _, InvalidLength, SimpleMovingAverage};
use domain::money::Price;
use serde::{Serialize, Serializer};
use sqlx::{AssertSqlSafe, PgPool};

use super::bars::read_series;
use super::dates::date_of;
use super::known::{bound, newest_close, source};
use super::reading::{Reading, read_all};
use super::{BarRow, QueryError, Series, actions_between, known_bars};

/// Most bars of one answer.
pub const CHART_BARS_MAX: u32 = 2_000;
/// Before every ex-date.
const FIRST_DATE: &str = "0001-01-01";

/// Which bars are wanted, and how.
#[derive(Clone, Debug)]
pub struct BarsWanted {
    /// Symbol.
    pub symbol: String,
    /// Timeframe.
    pub timeframe: Timeframe,
    /// How the past is restated.
    pub adjustment: Adjustment,
    /// Lengths of simple moving averages, in bars.
    pub averages: Vec<usize>,
    /// Indicators of the catalogue, over one series.
    pub indicators: Vec<Request>,
    /// Close at this instant or later, UTC nanoseconds.
    pub from_ns: i64,
    /// Close before this instant, UTC nanoseconds.
    pub to_ns: i64,
    /// As it was known before this instant, UTC nanoseconds: bars that had closed by then in the versions known by
    /// then, restated as of the newest of them; `None` for everything that is known.
    pub known_before_ns: Option<i64>,
}

/// A bar with its averages.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AdjustedBar {
    /// The bar, restated.
    #[serde(flatten)]
    pub bar: BarRow,
    /// One per length asked for: the mean of the last closes, this bar's included, all restated; `None`
    /// where the series has not so many.
    #[serde(serialize_with = "decimals")]
    pub sma: Vec<Option<Price>>,
    /// The figures of the indicators, one after the other, of the bars as they are restated.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub figures: Vec<Option<f64>>,
}

/// Bars, newest first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AdjustedBars {
    /// The bars.
    pub bars: Vec<AdjustedBar>,
    /// `to_ns` of the part that is older; `None` when this is the last.
    pub older: Option<i64>,
    /// What the bars were restated by, as a number that changes with it.
    pub basis: u64,
}

/// Bars could not be read as wanted.
#[derive(Debug, thiserror::Error)]
pub enum AdjustedError {
    /// The read models.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// An action of the symbol cannot restate its prices.
    #[error(transparent)]
    Restate(#[from] Unrestatable),
    /// An average of such a length is none.
    #[error(transparent)]
    Length(#[from] InvalidLength),
    /// An indicator that cannot be built.
    #[error(transparent)]
    Indicator(#[from] BuildError),
}

impl From<sqlx::Error> for AdjustedError {
    fn from(error: sqlx::Error) -> Self {
        Self::Query(error.into())
    }
}

impl From<Unadjustable> for AdjustedError {
    fn from(error: Unadjustable) -> Self {
        Self::Restate(error.into())
    }
}

/// Writes prices as decimal strings.
fn decimals<S: Serializer>(prices: &[Option<Price>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(prices.iter().map(|price| price.map(|price| price.to_string())))
}

/// The series of a symbol, by timeframe.
pub async fn series_of(pool: &PgPool, symbol: &str) -> Result<Vec<Series>, QueryError> {
    let rows =
        sqlx::query("SELECT * FROM bars.series WHERE symbol = $1").bind(symbol).fetch_all(pool).await?;
    Ok(by_timeframe(read_all(&rows, read_series)?))
}

pub(super) fn by_timeframe(mut series: Vec<Series>) -> Vec<Series> {
    series.sort_by_key(|series| series.timeframe.parse::<Timeframe>().ok());
    series
}

/// The last `count` bars that are wanted, at most [`CHART_BARS_MAX`].
pub async fn adjusted_bars(
    pool: &PgPool,
    wanted: &BarsWanted,
    count: u32,
) -> Result<AdjustedBars, AdjustedError> {
    let count = count.clamp(1, CHART_BARS_MAX);
    let averages: Result<Vec<_>, _> =
        wanted.averages.iter().map(|length| SimpleMovingAverage::new(*length)).collect();
    let mut averages = averages?;
    let mut studies = wanted.indicators.iter().map(Request::build).collect::<Result<Vec<_>, _>>()?;
    let memories = studies.iter().map(|study| study.settled().unwrap_or_else(|| study.warm_up()));
    let longest = averages.iter().map(|average| average.warm_up()).chain(memories).max().unwrap_or(1);
    // One more tells whether there is more; those before it are the averages' memory.
    let read = count.saturating_add(u32::try_from(longest).unwrap_or(u32::MAX));
    let (symbol, timeframe, known) = (&wanted.symbol, wanted.timeframe, wanted.known_before_ns);
    let rows = known_bars(pool, symbol, timeframe, i64::MIN..wanted.to_ns, read, known).await?;
    let (restatement, basis) = restatement(pool, symbol, timeframe, wanted.adjustment, known).await?;
    let mut bars = Vec::with_capacity(rows.len());
    for row in rows {
        let bar = restatement.bar(&row.bar())?;
        let vwap = row.vwap.map(|vwap| restatement.price(vwap, row.close_ns)).transpose()?;
        for average in &mut averages {
            average.push(bar.close);
        }
        let sma = averages.iter().map(|average| average.value().map(|mean| mean.to_price())).collect();
        let mut figures = Vec::new();
        for study in &mut studies {
            study.update(&bar, None);
            let start = figures.len();
            figures.resize(start + study.outputs().len(), None);
            study.values(&mut figures[start..]);
        }
        bars.push(AdjustedBar { bar: row.restated(&bar, vwap), sma, figures });
    }
    bars.retain(|bar| bar.bar.close_ns >= wanted.from_ns);
    bars.reverse();
    let wanted_bars = usize::try_from(count).unwrap_or(usize::MAX);
    let more = bars.len() > wanted_bars;
    bars.truncate(wanted_bars);
    let older = bars.last().filter(|_| more).map(|bar| bar.bar.close_ns);
    Ok(AdjustedBars { bars, older, basis })
}

/// One bar per date of the calendar's time, oldest first, of those that close in `from_ns` or later, in the shares
/// of the newest bar; as they were known before an instant, or as they are.
pub async fn daily_bars(
    pool: &PgPool,
    symbol: &str,
    timeframe: Timeframe,
    from_ns: i64,
    calendar: &Calendar,
    known_before_ns: Option<i64>,
) -> Result<Vec<Bar>, AdjustedError> {
    // A bar that closes at midnight belongs to the day that ends then.
    let date = date_of!("close_ns - 1", "$5");
    let statement = format!(
        "SELECT min(start_ns) AS start_ns, max(close_ns) AS close_ns,
                (array_agg(open ORDER BY close_ns))[1]::text AS open, max(high)::text AS high,
                min(low)::text AS low, (array_agg(close ORDER BY close_ns DESC))[1]::text AS close,
                sum(volume)::text AS volume
         FROM {} b WHERE close_ns >= $4 GROUP BY {date} ORDER BY max(close_ns)",
        source(known_before_ns)
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(symbol)
        .bind(timeframe.name())
        .bind(bound(known_before_ns))
        .bind(from_ns)
        .bind(calendar.exchange())
        .fetch_all(pool)
        .await?;
    let days = read_all(&rows, |row| {
        Ok(Bar {
            start_ns: row.int("start_ns")?,
            close_ns: row.int("close_ns")?,
            open: row.exact("open")?,
            high: row.exact("high")?,
            low: row.exact("low")?,
            close: row.exact("close")?,
            volume: row.exact("volume")?,
        })
    })?;
    let (restatement, _) = restatement(pool, symbol, timeframe, Adjustment::Split, known_before_ns).await?;
    Ok(days.iter().map(|day| restatement.bar(day)).collect::<Result<_, _>>()?)
}

/// What restates a series as of its newest bar, of those that had closed before an instant, and a number that
/// changes with it.
async fn restatement(
    pool: &PgPool,
    symbol: &str,
    timeframe: Timeframe,
    adjustment: Adjustment,
    known_before_ns: Option<i64>,
) -> Result<(Restatement, u64), AdjustedError> {
    let Some(as_of_ns) = newest_close(pool, symbol, timeframe, known_before_ns).await? else {
        return Ok((Restatement::default(), 0));
    };
    if adjustment == Adjustment::Raw {
        return Ok((Restatement::default(), 0));
    }
    let calendar = Calendar::xnys();
    let today = calendar.date_of(as_of_ns).to_string();
    let rows = actions_between(pool, Some(symbol), FIRST_DATE, &today, u64::MAX).await?;
    let basis = rows.iter().map(|row| row.sequence).max().unwrap_or_default();
    // What is on the tape was read once before it became a row; one that cannot be read has no effect.
    let actions: Vec<CorporateAction> =
        rows.iter().filter_map(|row| CorporateAction::from_wire(&row.wire()).ok()).collect();
    let closes = if adjustment == Adjustment::TotalReturn {
        let starts: Vec<i64> = actions.iter().map(|action| calendar.start_of(action.ex_date)).collect();
        closes_before(pool, symbol, timeframe, &starts, known_before_ns).await?
    } else {
        vec![None; actions.len()]
    };
    let actions: Vec<_> = actions.into_iter().zip(closes).collect();
    Ok((Restatement::new(adjustment, &actions, calendar, as_of_ns)?, basis))
}

/// The last close of a series at or before each instant, as it was known before another, or as it is.
async fn closes_before(
    pool: &PgPool,
    symbol: &str,
    timeframe: Timeframe,
    instants: &[i64],
    known_before_ns: Option<i64>,
) -> Result<Vec<Option<LastClose>>, QueryError> {
    let statement = format!(
        "SELECT b.close_ns, b.close::text AS close FROM unnest($4::bigint[]) WITH ORDINALITY AS asked(at, place)
         LEFT JOIN LATERAL (
             SELECT close_ns, close FROM {} k WHERE close_ns <= asked.at ORDER BY close_ns DESC LIMIT 1
         ) b ON true ORDER BY asked.place",
        source(known_before_ns)
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(symbol)
        .bind(timeframe.name())
        .bind(bound(known_before_ns))
        .bind(instants)
        .fetch_all(pool)
        .await?;
    Ok(read_all(&rows, |row: Reading<'_>| {
        let close = row.exact_or_none("close")?;
        Ok(row.int_or_none("close_ns")?.zip(close).map(|(close_ns, close)| LastClose { close_ns, close }))
    })?)
}
