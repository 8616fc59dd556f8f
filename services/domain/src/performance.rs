//! Performance of an account: what daily equity, a benchmark and closed trades come to.
//!
//! The conventions are those of the Python package `empyrical-reloaded`, to 1e-9: simple daily returns,
//! 252 periods a year, sample deviation (ddof 1). A number that is undefined is `None`, never zero,
//! infinite or a sentinel. Floats are fine here: these are statistics, nothing is paid by them.
//!
//! Deliberately absent: money that is paid in or out after the start. A series is taken as it is, so a
//! later deposit would count as a gain; who has one splits the series there.

mod daily;
mod drawdown_table;
mod equity_block;
mod ratios;
mod relative;
mod round_trips;
mod signal_score;
mod statistics;
mod trade;
mod trade_block;

pub use daily::{DailyEquity, DayClose, EquityPoint, daily_equity};
pub use drawdown_table::{Drawdown, deepest_drawdowns, drawdown_episodes};
pub use equity_block::EquityStatistics;
pub use ratios::{
    ascending, cagr, cagr_calendar, calmar, conditional_value_at_risk, correlation, daily_rate,
    downside_risk, omega, percentile, sortino, stability, tail_ratio, value_at_risk,
};
pub use relative::{Relative, alpha, beta};
pub use round_trips::{RoundTrips, TripCount, TripFill};
pub use signal_score::{HORIZONS, Horizon, Later, Scored, SignalScore, Wanted, score};
pub use statistics::{
    PERIODS_PER_YEAR, annual_volatility, drawdowns, max_drawdown, returns, sharpe, total_return,
};
pub use trade::{EquityRow, Trade, TradeSide};
pub use trade_block::TradeStatistics;

use crate::money::Amount;

/// The basic numbers of one equity series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Performance {
    /// Last equity over the first, minus one.
    pub total_return: Option<f64>,
    /// Last equity over the running maximum, minus one: zero at a maximum, else negative.
    pub drawdown: Option<f64>,
    /// The lowest drawdown of the series: zero or negative.
    pub max_drawdown: Option<f64>,
    /// Sample deviation of the daily returns, times √252.
    pub annual_volatility: Option<f64>,
    /// Mean excess return over its sample deviation, times √252.
    pub sharpe: Option<f64>,
}

impl Performance {
    /// Measures `equity`, one value per day and the starting equity first. `risk_free_annual` is a rate
    /// per year (0.03 is three per cent); it is brought down to a day geometrically.
    #[must_use]
    pub fn of(equity: &[Amount], risk_free_annual: f64) -> Self {
        let returns = returns(equity);
        Self {
            total_return: total_return(equity),
            drawdown: drawdowns(equity).and_then(|series| series.last().copied()),
            max_drawdown: max_drawdown(equity),
            annual_volatility: returns.as_deref().and_then(annual_volatility),
            sharpe: returns.as_deref().and_then(|returns| sharpe(returns, risk_free_annual)),
        }
    }
}
