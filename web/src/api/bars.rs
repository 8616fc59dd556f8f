//! Symbols, and their bars with averages.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use domain::bar::Timeframe;
use domain::corporate_action::Adjustment;
use projections::queries::{self, AdjustedBar, CHART_BARS_MAX};
use serde::Serialize;
use utoipa::ToSchema;

use super::fields::{Asked, Field, Fields, Kind, field};
use super::paging::{LIMIT, LIMIT_MAX, Listing, cursor, place};
use super::{Problem, Problems};
use crate::app::App;
use crate::error::PageError;
use crate::pages::chart::indicators::{self, Figure};
use crate::pages::chart::{self, suiting, symbol};

/// Bars of a part when the query does not say.
const BARS: u32 = 500;

/// Where in the list of symbols.
#[derive(Debug)]
pub struct SymbolFields;

impl Fields for SymbolFields {
    const FIELDS: &'static [Field] = &[
        field("limit", Kind::Whole(1, 200), "Symbols of the part; 50 when it does not say"),
        field("cursor", Kind::Id(32), "The `next` of an earlier answer"),
    ];
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
#[utoipa::path(get, path = "/api/v1/symbols", tag = "market", operation_id = "list_symbols", params(Asked<SymbolFields>),
    responses((status = 200, body = Listing<Symbol>), Problems))]
pub async fn symbols(
    State(app): State<Arc<App>>,
    asked: Asked<SymbolFields>,
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
    let limit = usize::try_from(asked.number("limit", LIMIT, LIMIT_MAX)?).unwrap_or_default();
    let from = usize::try_from(place(asked.get("cursor"))?.unwrap_or_default()).unwrap_or(usize::MAX);
    let to = from.saturating_add(limit);
    let next = (all.len() > to).then(|| cursor(u64::try_from(to).unwrap_or(u64::MAX)));
    Ok(Json(Listing { items: all.into_iter().skip(from).take(limit).collect(), next }))
}

/// Which bars.
#[derive(Debug)]
pub struct BarFields;

impl Fields for BarFields {
    const FIELDS: &'static [Field] = &[
        field("symbol", Kind::Symbol, "Symbol, for example `AAPL`").needed(),
        field("timeframe", Kind::Choice(&TIMEFRAMES), "By default that of the newest bar"),
        field("adjustment", Kind::Choice(&ADJUSTMENTS), "How the past is restated; `split` by default"),
        field("sma", Kind::Averages, "Lengths of simple moving averages in bars; by default none"),
        field(
            "indicators",
            Kind::Text(400),
            "Up to 4 indicators separated by semicolons, such as `rsi:length=14;bbands`; by default none",
        ),
        field("from", Kind::Time, "First close: a date of exchange time (the whole day) or an instant"),
        field("to", Kind::Time, "Last close: a date of exchange time (the whole day) or an instant"),
        field(
            "as_of",
            Kind::Time,
            "As it was known then: a date of exchange time (its end) or an instant; by default now",
        ),
        field("limit", Kind::Whole(1, CHART_BARS_MAX as u64), "Bars of the part; 500 when it does not say"),
        field("cursor", Kind::Id(32), "The `next` of an earlier answer"),
    ];
}

/// Every timeframe.
pub(super) const TIMEFRAMES: [&str; Timeframe::ALL.len()] = {
    let mut names = [""; Timeframe::ALL.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = Timeframe::ALL[index].name();
        index += 1;
    }
    names
};
/// Every way to restate the past.
const ADJUSTMENTS: [&str; Adjustment::ALL.len()] = {
    let mut names = [""; Adjustment::ALL.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = Adjustment::ALL[index].name();
        index += 1;
    }
    names
};

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
    /// One per entry of the answer's `figures`; null where it is undefined or the series is too short.
    figures: Vec<Option<f64>>,
    /// `import`, `backfill`, `live`, `rehearsal`, or `made` of shorter bars.
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
    /// The figures of the indicators.
    figures: Vec<Figure>,
    /// Another number than before says that the past was restated since.
    basis: u64,
    /// Newest first.
    items: Vec<BarItem>,
    /// The `cursor` of the part that is older; null when this is the last.
    next: Option<String>,
}

/// Bars of a symbol, newest first, restated and with averages as asked.
#[utoipa::path(get, path = "/api/v1/bars", tag = "market", operation_id = "list_bars", params(Asked<BarFields>),
    responses((status = 200, body = Bars), Problems))]
pub async fn bars(State(app): State<Arc<App>>, asked: Asked<BarFields>) -> Result<Json<Bars>, Problem> {
    let symbol = symbol(asked.get("symbol").unwrap_or_default())?;
    let fields = chart::Fields::of(&asked)?;
    let count = asked.number("limit", BARS, CHART_BARS_MAX)?;
    let pool = &app.config.pool;
    let series = queries::series_of(pool, &symbol).await?;
    let known = |timeframe: Timeframe| series.iter().any(|row| row.timeframe == timeframe.name());
    let timeframe = fields.timeframe.or_else(|| suiting(&series)).filter(|timeframe| known(*timeframe));
    let missing = || PageError::Missing(missing(&symbol, fields.timeframe));
    let timeframe = timeframe.ok_or_else(missing)?;
    let mut wanted = fields.wanted(&symbol, timeframe);
    if let Some(place) = place(asked.get("cursor"))? {
        wanted.to_ns = wanted.to_ns.min(i64::try_from(place).unwrap_or(i64::MAX));
    }
    let part = queries::adjusted_bars(pool, &wanted, count).await?;
    Ok(Json(Bars {
        symbol,
        timeframe: timeframe.name(),
        adjustment: wanted.adjustment.name(),
        figures: indicators::figures(&wanted.indicators),
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
    fn of(AdjustedBar { bar, sma, figures }: AdjustedBar) -> Self {
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
            figures,
            origin: bar.origin,
            sequence: bar.sequence,
        }
    }
}
