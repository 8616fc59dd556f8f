//! The bars as a file, with the adjustment and the averages of the chart.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Response;
use projections::queries::{self, AdjustedBar, AdjustedError, BarsWanted, CHART_BARS_MAX, Cursor, Turn};

use super::{Fields, indicators, suiting, symbol};
use crate::app::App;
use crate::error::PageError;
use crate::pages::Params;
use crate::pages::csv::{self, Row};
use crate::view::Instant;

const COLUMNS: [&str; 8] = ["start", "close_time", "open", "high", "low", "close", "volume", "vwap"];

/// `GET /bars.csv`: fields `symbol`, `timeframe`, `adjustment`, `sma`, `indicators`, `from`, `to`, `as_of`; newest
/// first.
pub async fn download(
    State(app): State<Arc<App>>,
    Query(params): Query<Params>,
) -> Result<Response, PageError> {
    params.only(&["symbol", "timeframe", "adjustment", "sma", "indicators", "from", "to", "as_of"])?;
    let symbol = symbol(params.get("symbol").unwrap_or_default())?;
    let fields = Fields::of(&params)?;
    let pool = app.config.pool.clone();
    let series = queries::series_of(&pool, &symbol).await?;
    let timeframe = fields.timeframe.or_else(|| suiting(&series));
    let timeframe = timeframe.ok_or_else(|| PageError::Missing(format!("bar of {symbol:?}")))?;
    let wanted = fields.wanted(&symbol, timeframe);
    let mut head: Vec<String> = COLUMNS.map(str::to_owned).to_vec();
    head.extend(wanted.averages.iter().map(|length| format!("sma_{length}")));
    head.extend(indicators::figures(&wanted.indicators).into_iter().map(|figure| figure.label));
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let name = format!("{}-{}-{}.csv", plain(&symbol), timeframe, wanted.adjustment);
    let source = Arc::new((pool, wanted));
    let rows = csv::parts(move |turn| {
        let source = Arc::clone(&source);
        async move { part(&source.0, &source.1, turn).await }
    });
    Ok(csv::response(&name, &head, rows))
}

async fn part(
    pool: &sqlx::PgPool,
    wanted: &BarsWanted,
    turn: Turn,
) -> Result<(Vec<Row>, Option<Cursor>), AdjustedError> {
    let to_ns = match turn {
        Turn::Before(cursor) => cursor.time_ns,
        Turn::Newest | Turn::After(_) => wanted.to_ns,
    };
    let part = queries::adjusted_bars(pool, &BarsWanted { to_ns, ..wanted.clone() }, CHART_BARS_MAX).await?;
    let older = part.older.map(|time_ns| Cursor { time_ns, sequence: 0 });
    Ok((part.bars.iter().map(row).collect(), older))
}

fn row(AdjustedBar { bar, sma, figures }: &AdjustedBar) -> Row {
    let or_empty =
        |value: Option<domain::money::Price>| value.map(|value| value.to_string()).unwrap_or_default();
    let mut row = vec![
        Instant(bar.start_ns).iso(),
        Instant(bar.close_ns).iso(),
        bar.open.to_string(),
        bar.high.to_string(),
        bar.low.to_string(),
        bar.close.to_string(),
        bar.volume.to_string(),
        or_empty(bar.vwap),
    ];
    row.extend(sma.iter().map(|value| or_empty(*value)));
    row.extend(figures.iter().map(|figure| figure.map(|figure| figure.to_string()).unwrap_or_default()));
    row
}

/// A symbol as a part of a file's name.
fn plain(symbol: &str) -> String {
    symbol.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '_' }).collect()
}
