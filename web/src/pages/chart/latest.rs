//! The newest bars: what the chart appends as they come, and the same as a table.

use askama::Template;
use projections::queries::{self, AdjustedBar, AdjustedError};
use serde_json::json;

use super::{Fields, LATEST, indicators, suiting};
use crate::error::PageError;
use crate::pages::{Body, Rendering, Scope, Shown};
use crate::view::{Instant, price, volume};

/// Bars that a refresh carries: more than come between two at any speed worth watching.
const BARS: u32 = 60;
/// Bars of the table.
const ROWS: usize = 20;

#[derive(Clone, Debug)]
struct Row {
    close_ns: i64,
    time: Instant,
    open: String,
    high: String,
    low: String,
    close: String,
    volume: String,
    averages: Vec<String>,
    figures: Vec<String>,
}

#[derive(Clone, Debug)]
struct Latest {
    /// `[[close in unix seconds, open, high, low, close, volume, [averages], [figures]], …]`, oldest first.
    bars: String,
    /// Whether these are all there are.
    whole: bool,
    /// Changes when the past was restated.
    basis: u64,
    averages: Vec<usize>,
    /// Names of the indicators' figures.
    figures: Vec<String>,
    /// Newest first.
    rows: Vec<Row>,
}

#[derive(Template)]
#[template(path = "chart/latest.html")]
struct LatestPanel<'a> {
    v: u64,
    symbol: &'a str,
    timeframe: &'a str,
    as_of: &'a str,
    body: Body<Latest>,
}

/// Renders the newest bars.
pub async fn latest(scope: &Scope<'_>) -> Rendering {
    let body = Body::read(scope, &LATEST, read(scope)).await;
    let timeframe = scope.params.get("timeframe").unwrap_or_default();
    let as_of = scope.params.get("as_of").unwrap_or_default();
    LatestPanel { v: scope.version, symbol: scope.symbol, timeframe, as_of, body }.render()
}

async fn read(scope: &Scope<'_>) -> Result<Option<Latest>, PageError> {
    let pool = &scope.app.config.pool;
    let fields = Fields::of(scope.params)?;
    let timeframe = match fields.timeframe {
        Some(timeframe) => Some(timeframe),
        None => suiting(&queries::series_of(pool, scope.symbol).await?),
    };
    let Some(timeframe) = timeframe else { return Ok(None) };
    let wanted = fields.wanted(scope.symbol, timeframe);
    let part = queries::adjusted_bars(pool, &wanted, BARS).await?;
    Ok((!part.bars.is_empty()).then(|| Latest {
        bars: points(&part.bars),
        whole: part.older.is_none(),
        basis: part.basis,
        averages: wanted.averages,
        figures: indicators::figures(&wanted.indicators).into_iter().map(|figure| figure.label).collect(),
        rows: part.bars.iter().take(ROWS).map(Row::of).collect(),
    }))
}

/// The bars as the chart takes them, where floats are near enough.
fn points(bars: &[AdjustedBar]) -> String {
    let points: Vec<_> = bars
        .iter()
        .rev()
        .map(|AdjustedBar { bar, sma, figures }| {
            let averages: Vec<_> = sma.iter().map(|value| value.map(|value| value.to_f64())).collect();
            let prices = [bar.open, bar.high, bar.low, bar.close].map(|price| price.to_f64());
            let [open, high, low, close] = prices;
            json!([
                bar.close_ns / 1_000_000_000,
                open,
                high,
                low,
                close,
                bar.volume.to_f64(),
                averages,
                figures
            ])
        })
        .collect();
    json!(points).to_string()
}

impl Row {
    fn of(AdjustedBar { bar, sma, figures }: &AdjustedBar) -> Self {
        Self {
            close_ns: bar.close_ns,
            time: Instant(bar.close_ns),
            open: price(bar.open),
            high: price(bar.high),
            low: price(bar.low),
            close: price(bar.close),
            volume: volume(bar.volume),
            averages: sma.iter().map(|value| value.map_or_else(|| "–".to_owned(), price)).collect(),
            figures: figures
                .iter()
                .map(|value| value.map_or_else(|| "–".to_owned(), indicators::text))
                .collect(),
        }
    }
}

impl From<AdjustedError> for PageError {
    fn from(error: AdjustedError) -> Self {
        match error {
            AdjustedError::Query(error) => error.into(),
            // What the tape states cannot be shown this way; another way can.
            AdjustedError::Restate(error) => Self::Conflict(error.to_string()),
            AdjustedError::Indicator(error) => Self::field("indicators", "", error.to_string()),
            AdjustedError::Length(error) => Self::field("sma", &error.0.to_string(), error.to_string()),
        }
    }
}
