//! The market: symbols, and their bars with averages.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use domain::bar::Timeframe;
use projections::queries::{self, AdjustedBar, CHART_BARS_MAX};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::paging::{Listing, cursor, limit, place};
use super::{Problem, Problems};
use crate::app::App;
use crate::error::PageError;
use crate::pages::Params;
use crate::pages::chart::{Fields, suiting, symbol};

/// Bars of a part when the query does not say.
const BARS: u32 = 500;

/// Where in a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Part {
    /// Items of the part.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// The `next` of an earlier answer.
    cursor: Option<String>,
}

/// Bars of one timeframe.
#[derive(Debug, Serialize, ToSchema)]
pub struct SymbolSeries {
    /// `1m`, `5m`, `15m`, `30m`, `1h` or `1d`.
    timeframe: String,
    /// Number of bars.
    bars: u64,
    /// Close of the first bar, UTC nanoseconds.
    first_close_ns: i64,
    /// Close of the newest bar, UTC nanoseconds.
    last_close_ns: i64,
}

/// A symbol that has bars.
#[derive(Debug, Serialize, ToSchema)]
pub struct Symbol {
    /// Symbol.
    symbol: String,
    /// One per timeframe, the shortest first.
    series: Vec<SymbolSeries>,
}

/// Symbols that have bars, by name.
#[utoipa::path(get, path = "/api/v1/symbols", tag = "market", operation_id = "list_symbols", params(Part),
    responses((status = 200, body = Listing<Symbol>), Problems))]
pub async fn symbols(
    State(app): State<Arc<App>>,
    Query(part): Query<Part>,
) -> Result<Json<Listing<Symbol>>, Problem> {
    let mut series = queries::series(&app.config.pool).await?;
    series.sort_by_cached_key(|row| (row.symbol.clone(), row.timeframe.parse::<Timeframe>().ok()));
    let mut all: Vec<Symbol> = Vec::new();
    for row in series {
        if all.last().is_none_or(|last| last.symbol != row.symbol) {
            all.push(Symbol { symbol: row.symbol.clone(), series: Vec::new() });
        }
        let own = SymbolSeries {
            timeframe: row.timeframe,
            bars: row.bars,
            first_close_ns: row.first_close_ns,
            last_close_ns: row.last_close_ns,
        };
        if let Some(last) = all.last_mut() {
            last.series.push(own);
        }
    }
    let limit = usize::try_from(limit(part.limit)?).unwrap_or_default();
    let from = usize::try_from(place(part.cursor.as_deref())?.unwrap_or_default()).unwrap_or(usize::MAX);
    let to = from.saturating_add(limit);
    let next = (all.len() > to).then(|| cursor(u64::try_from(to).unwrap_or(u64::MAX)));
    Ok(Json(Listing { items: all.into_iter().skip(from).take(limit).collect(), next }))
}

/// Which bars.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct BarsAsked {
    /// Symbol, for example `AAPL`.
    #[param(min_length = 1, max_length = 32)]
    symbol: String,
    /// `1m`, `5m`, `15m`, `30m`, `1h` or `1d`; by default that of the newest bar.
    timeframe: Option<String>,
    /// `raw`, `split` (the default) or `total-return`.
    adjustment: Option<String>,
    /// Lengths of simple moving averages in bars, up to four, such as `20,50`; by default none.
    sma: Option<String>,
    /// First close: a date of exchange time (the whole day) or an instant (RFC 3339).
    from: Option<String>,
    /// Last close: a date of exchange time (the whole day) or an instant (RFC 3339).
    to: Option<String>,
    /// Bars of the part.
    #[param(minimum = 1, maximum = 2000)]
    limit: Option<u32>,
    /// The `next` of an earlier answer.
    cursor: Option<String>,
}

/// One bar. Prices are decimals per share, restated as asked.
#[derive(Debug, Serialize, ToSchema)]
pub struct BarItem {
    /// Start of the interval, UTC nanoseconds.
    start_ns: i64,
    /// Close of the interval, UTC nanoseconds: the bar is known from then on.
    close_ns: i64,
    /// First price.
    open: String,
    /// Highest price.
    high: String,
    /// Lowest price.
    low: String,
    /// Last price.
    close: String,
    /// Shares traded.
    volume: String,
    /// Volume-weighted average price, where the source had it.
    vwap: Option<String>,
    /// One per length of `sma`, in its order; null where the series is too short.
    sma: Vec<Option<String>>,
    /// `live`, `rehearsal`, `import` or `backfill`.
    origin: String,
    /// Sequence in MARKET that last changed it.
    sequence: u64,
}

/// A part of a series.
#[derive(Debug, Serialize, ToSchema)]
pub struct Bars {
    /// Symbol.
    symbol: String,
    /// Timeframe.
    timeframe: &'static str,
    /// How the past is restated.
    adjustment: &'static str,
    /// Lengths of the averages, in bars.
    sma: Vec<usize>,
    /// Another number than before says that the past was restated since.
    basis: u64,
    /// Newest first.
    items: Vec<BarItem>,
    /// The `cursor` of the part that is older; null when this is the last.
    next: Option<String>,
}

impl BarsAsked {
    /// The fields as the page reads them.
    fn params(&self) -> Params {
        let given = [
            ("timeframe", &self.timeframe),
            ("adjustment", &self.adjustment),
            ("sma", &self.sma),
            ("from", &self.from),
            ("to", &self.to),
        ];
        given.into_iter().fold(Params::default(), |params, (name, value)| match value {
            Some(value) => params.with(name, value),
            None => params,
        })
    }
}

/// Bars of a symbol, newest first, restated and with averages as asked.
#[utoipa::path(get, path = "/api/v1/bars", tag = "market", operation_id = "list_bars", params(BarsAsked),
    responses((status = 200, body = Bars), Problems))]
pub async fn bars(
    State(app): State<Arc<App>>,
    Query(asked): Query<BarsAsked>,
) -> Result<Json<Bars>, Problem> {
    let symbol = symbol(&asked.symbol)?;
    let fields = Fields::of(&asked.params())?;
    let count = asked.limit.unwrap_or(BARS);
    if !(1..=CHART_BARS_MAX).contains(&count) {
        let expected = format!("a whole number from 1 to {CHART_BARS_MAX}");
        return Err(PageError::field("limit", &count.to_string(), expected).into());
    }
    let pool = &app.config.pool;
    let series = queries::series_of(pool, &symbol).await?;
    let known = |timeframe: Timeframe| series.iter().any(|row| row.timeframe == timeframe.name());
    let timeframe = fields.timeframe.or_else(|| suiting(&series)).filter(|timeframe| known(*timeframe));
    let missing = || PageError::Missing(missing(&symbol, fields.timeframe));
    let timeframe = timeframe.ok_or_else(missing)?;
    let mut wanted = fields.wanted(&symbol, timeframe);
    if let Some(place) = place(asked.cursor.as_deref())? {
        wanted.to_ns = wanted.to_ns.min(i64::try_from(place).unwrap_or(i64::MAX));
    }
    let part = queries::adjusted_bars(pool, &wanted, count).await?;
    Ok(Json(Bars {
        symbol,
        timeframe: timeframe.name(),
        adjustment: wanted.adjustment.name(),
        sma: wanted.averages,
        basis: part.basis,
        items: part.bars.into_iter().map(BarItem::of).collect(),
        next: part.older.map(|older| cursor(u64::try_from(older).unwrap_or_default())),
    }))
}

fn missing(symbol: &str, timeframe: Option<Timeframe>) -> String {
    let of = timeframe.map(|timeframe| format!(" in {timeframe}")).unwrap_or_default();
    format!("bar of {symbol:?}{of}")
}

impl BarItem {
    fn of(AdjustedBar { bar, sma }: AdjustedBar) -> Self {
        Self {
            start_ns: bar.start_ns,
            close_ns: bar.close_ns,
            open: bar.open.to_string(),
            high: bar.high.to_string(),
            low: bar.low.to_string(),
            close: bar.close.to_string(),
            volume: bar.volume.to_string(),
            vwap: bar.vwap.map(|vwap| vwap.to_string()),
            sma: sma.into_iter().map(|value| value.map(|value| value.to_string())).collect(),
            origin: bar.origin,
            sequence: bar.sequence,
        }
    }
}
