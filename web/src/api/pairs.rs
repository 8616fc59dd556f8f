//! Statistics of two symbols: do they move together, and where is their spread?

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use domain::statistics::{JohansenReport, MeasuredPair, PairStatistics, UnitRoot};
use projections::queries::{self, PairError, PairWanted};
use serde::Serialize;
use utoipa::ToSchema;

use super::bars::TIMEFRAMES;
use super::fields::{Asked, Field, Fields, Kind, field};
use super::{Problem, Problems};
use crate::app::App;
use crate::error::PageError;
use crate::pages::chart::{self, symbol};

/// Which two, and when.
#[derive(Debug)]
pub struct PairFields;

impl Fields for PairFields {
    const FIELDS: &'static [Field] = &[
        field("first", Kind::Symbol, "Symbol whose logarithm is explained, for example `AAPL`").needed(),
        field("second", Kind::Symbol, "Symbol that it is hedged with, for example `SPY`").needed(),
        field("timeframe", Kind::Choice(&TIMEFRAMES), "By default the shortest that both have"),
        field("from", Kind::Time, "First close: a date of exchange time (the whole day) or an instant"),
        field("to", Kind::Time, "Last close: a date of exchange time (the whole day) or an instant"),
    ];
}

/// The unit-root test of the spread (Engle–Granger).
#[derive(Debug, Serialize, ToSchema)]
pub struct PairUnitRoot {
    /// Augmented Dickey–Fuller statistic; null when the two series are one.
    statistic: Option<f64>,
    /// MacKinnon's approximate p-value of no cointegration.
    p_value: f64,
    /// Lagged changes, by Akaike's criterion.
    lags: usize,
    /// Critical values at 1, 5 and 10 %.
    critical_values: Vec<f64>,
}

/// Johansen's test with a constant. The first of two: no cointegrating combination; the second: at most one.
#[derive(Debug, Serialize, ToSchema)]
pub struct PairJohansen {
    /// Lagged changes.
    lags: usize,
    /// Eigenvalues.
    eigenvalues: Vec<f64>,
    /// Trace statistics.
    trace: Vec<f64>,
    /// Critical values of the trace statistics at 90, 95 and 99 %.
    trace_critical_values: Vec<Vec<f64>>,
    /// Maximum-eigenvalue statistics.
    maximum: Vec<f64>,
    /// Critical values of the maximum-eigenvalue statistics at 90, 95 and 99 %.
    maximum_critical_values: Vec<Vec<f64>>,
}

/// Statistics of the logarithms of two symbols' closes, in the shares of the newest bar, where both have a bar.
#[derive(Debug, Serialize, ToSchema)]
pub struct Pair {
    /// Symbol whose logarithm is explained.
    first: String,
    /// Symbol that it is hedged with.
    second: String,
    /// Timeframe.
    timeframe: &'static str,
    /// Close of the first bar that both have, UTC nanoseconds.
    from_ns: i64,
    /// Close of the last bar that both have, UTC nanoseconds.
    to_ns: i64,
    /// Bars that both have.
    observations: usize,
    /// Units of the second's logarithm that one of the first's is hedged with.
    hedge_ratio: f64,
    /// Constant of the regression.
    intercept: f64,
    /// The unit-root test of the spread.
    engle_granger: PairUnitRoot,
    /// Bars until half of a deviation is gone; null when the spread does not come back.
    half_life: Option<f64>,
    /// Hurst exponent of the spread; null for fewer than 40 bars.
    hurst: Option<f64>,
    /// Standard deviation of the spread; null when it does not vary.
    spread_deviation: Option<f64>,
    /// Standard deviations that the spread is away from its mean at the last bar.
    z_score: Option<f64>,
    /// Johansen's test; null when the two series are one.
    johansen: Option<PairJohansen>,
}

impl Pair {
    fn of([first, second]: [String; 2], timeframe: &'static str, measured: MeasuredPair) -> Self {
        let MeasuredPair { from_ns, to_ns, statistics } = measured;
        let PairStatistics { observations, hedge_ratio, intercept, engle_granger, .. } = statistics;
        let PairStatistics { half_life, hurst, spread_deviation, z_score, johansen, .. } = statistics;
        let UnitRoot { statistic, p_value, lags, critical_values } = engle_granger;
        let critical_values = critical_values.to_vec();
        let engle_granger = PairUnitRoot { statistic, p_value, lags, critical_values };
        let rows = |values: [[f64; 3]; 2]| values.map(|row| row.to_vec()).to_vec();
        let johansen = johansen.map(|test: JohansenReport| PairJohansen {
            lags: test.lags,
            eigenvalues: test.eigenvalues.to_vec(),
            trace: test.trace.to_vec(),
            trace_critical_values: rows(test.trace_critical_values),
            maximum: test.maximum.to_vec(),
            maximum_critical_values: rows(test.maximum_critical_values),
        });
        Self {
            first,
            second,
            timeframe,
            from_ns,
            to_ns,
            observations,
            hedge_ratio,
            intercept,
            engle_granger,
            half_life,
            hurst,
            spread_deviation,
            z_score,
            johansen,
        }
    }
}

impl From<PairError> for PageError {
    fn from(error: PairError) -> Self {
        match error {
            PairError::Adjusted(error) => error.into(),
            PairError::NoBars(symbol) => Self::Missing(format!("bar of {symbol:?}")),
            PairError::NoTimeframe { .. } => Self::Conflict(error.to_string()),
        }
    }
}

/// Whether two symbols move together: hedge ratio, cointegration, half-life, z-score.
#[utoipa::path(get, path = "/api/v1/pair", tag = "market", operation_id = "get_pair", params(Asked<PairFields>),
    responses((status = 200, body = Pair), Problems))]
pub async fn pair(State(app): State<Arc<App>>, asked: Asked<PairFields>) -> Result<Json<Pair>, Problem> {
    let symbols =
        [symbol(asked.get("first").unwrap_or_default())?, symbol(asked.get("second").unwrap_or_default())?];
    if symbols[0] == symbols[1] {
        return Err(PageError::field("second", &symbols[1], "another symbol than `first`").into());
    }
    let chart::Fields { timeframe, from_ns, to_ns, .. } = chart::Fields::of(&asked)?;
    let wanted = PairWanted { symbols, timeframe, from_ns, to_ns };
    let found = queries::pair_closes(&app.config.pool, &wanted).await.map_err(PageError::from)?;
    let measured = MeasuredPair::of(&found.closes[0], &found.closes[1]);
    // Too few bars in common, or a price that never moves: what the tape holds, not what was asked.
    let measured = measured.map_err(|error| PageError::Conflict(error.to_string()))?;
    Ok(Json(Pair::of(wanted.symbols, found.timeframe.name(), measured)))
}
