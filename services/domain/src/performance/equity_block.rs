//! The equity block: every number that follows from one daily series alone.

use super::drawdown_table::drawdown_episodes;
use super::ratios::{
    cagr, cagr_calendar, calmar, conditional_value_at_risk, downside_risk, omega, sortino, stability,
    tail_ratio, value_at_risk,
};
use super::statistics::{annual_volatility, max_drawdown, returns, sharpe, total_return};
use crate::money::Amount;

/// Share of the days that value at risk looks at.
const TAIL: f64 = 0.05;

/// What a daily series comes to. Each number is `None` where it is undefined.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EquityStatistics {
    /// Daily returns measured.
    pub days: usize,
    /// Last over first, minus one.
    pub total_return: Option<f64>,
    /// Growth per year of 252 trading days.
    pub cagr: Option<f64>,
    /// Growth per year of 365.25 calendar days.
    pub cagr_calendar: Option<f64>,
    /// Deviation of the daily returns, times √252.
    pub volatility: Option<f64>,
    /// Mean excess return over its deviation, times √252.
    pub sharpe: Option<f64>,
    /// Mean excess return over the downside risk.
    pub sortino: Option<f64>,
    /// CAGR over the deepest drawdown.
    pub calmar: Option<f64>,
    /// Gains over losses of the excess returns.
    pub omega: Option<f64>,
    /// Deepest drawdown, negative.
    pub max_drawdown: Option<f64>,
    /// Longest stay below a maximum, in trading days.
    pub max_drawdown_days: Option<usize>,
    /// Deviation below the required return, times √252.
    pub downside_risk: Option<f64>,
    /// 5th percentile of the daily returns.
    pub value_at_risk: Option<f64>,
    /// Mean of the daily returns at or below it.
    pub conditional_value_at_risk: Option<f64>,
    /// 95th over 5th percentile, without signs.
    pub tail_ratio: Option<f64>,
    /// r² of the cumulated log returns against time.
    pub stability: Option<f64>,
    /// Highest daily return.
    pub best_day: Option<f64>,
    /// Lowest daily return.
    pub worst_day: Option<f64>,
}

impl EquityStatistics {
    /// Measures `equity`, one value per day and the starting equity first. `calendar_days` passed from the first
    /// to the last value; `risk_free_annual` is a rate per year, also the required return of Sortino and omega.
    #[must_use]
    pub fn of(equity: &[Amount], calendar_days: f64, risk_free_annual: f64) -> Self {
        let total_return = total_return(equity);
        let max_drawdown = max_drawdown(equity);
        let growth = total_return.map(|total| total + 1.0);
        let longest = drawdown_episodes(equity).iter().map(super::Drawdown::length).max();
        let known = Self {
            days: equity.len().saturating_sub(1),
            total_return,
            cagr_calendar: growth.and_then(|growth| cagr_calendar(growth, calendar_days)),
            max_drawdown,
            max_drawdown_days: max_drawdown.map(|_| longest.unwrap_or(0)),
            ..Self::default()
        };
        // Without returns, as after a total loss, what is left is what does not divide.
        let Some(returns) = returns(equity) else { return known };
        let returns = returns.as_slice();
        Self {
            cagr: cagr(returns),
            volatility: annual_volatility(returns),
            sharpe: sharpe(returns, risk_free_annual),
            sortino: sortino(returns, risk_free_annual),
            calmar: max_drawdown.and_then(|depth| calmar(returns, depth)),
            omega: omega(returns, risk_free_annual),
            downside_risk: downside_risk(returns, risk_free_annual),
            value_at_risk: value_at_risk(returns, TAIL),
            conditional_value_at_risk: conditional_value_at_risk(returns, TAIL),
            tail_ratio: tail_ratio(returns),
            stability: stability(returns),
            best_day: returns.iter().copied().reduce(f64::max),
            worst_day: returns.iter().copied().reduce(f64::min),
            ..known
        }
    }
}
