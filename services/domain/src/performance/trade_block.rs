//! The trade block: closed trades as the Python package `backtesting` measures them.
//!
//! Numbers are in money unless their name says `pct`; a trade's percentage is its net profit over what it cost
//! to enter (price × shares), a fraction here. Exposure counts rows of equity: a trade holds from the row in
//! which it was entered to the row in which it was left, both included.

use super::ratios::{finite, mean, quotient};
use super::statistics::mean_and_deviation;
use super::trade::{EquityRow, Trade};
use crate::money::Amount;

/// What closed trades come to. Each number is `None` where it is undefined.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TradeStatistics {
    /// Closed trades.
    pub count: usize,
    /// Trades with a net profit of more than zero.
    pub won: usize,
    /// Trades with a net profit of less than zero.
    pub lost: usize,
    /// Won over all.
    pub win_rate: Option<f64>,
    /// Highest net profit.
    pub best: Option<f64>,
    /// Lowest net profit.
    pub worst: Option<f64>,
    /// Mean net profit.
    pub average: Option<f64>,
    /// Mean net profit of the trades that won.
    pub average_win: Option<f64>,
    /// Mean net profit of the trades that lost: negative.
    pub average_loss: Option<f64>,
    /// Highest return.
    pub best_pct: Option<f64>,
    /// Lowest return.
    pub worst_pct: Option<f64>,
    /// Geometric mean of the returns; `None` when one lost everything or more.
    pub average_pct: Option<f64>,
    /// Gains over losses; `None` when nothing was lost.
    pub profit_factor: Option<f64>,
    /// Sum of gaining returns over sum of losing ones; `None` when nothing was lost.
    pub profit_factor_pct: Option<f64>,
    /// Win rate × average win + loss rate × average loss: what one trade brings on average.
    pub expectancy: Option<f64>,
    /// Arithmetic mean of the returns.
    pub expectancy_pct: Option<f64>,
    /// System quality number: √n · mean(pnl) / std(pnl, ddof 1); `None` when all trades brought the same.
    pub sqn: Option<f64>,
    /// Kelly criterion: win rate − (1 − win rate) / (average win / −average loss).
    pub kelly: Option<f64>,
    /// Share of the equity rows in which a closed trade was held.
    pub exposure_time: Option<f64>,
    /// Longest trade, in nanoseconds.
    pub longest_ns: Option<i64>,
    /// Mean length of a trade, in nanoseconds.
    pub average_ns: Option<f64>,
    /// Sum of the net profits.
    pub net_profit: Amount,
    /// Sum of the commissions.
    pub commission: Amount,
}

impl TradeStatistics {
    /// Measures `trades`; `rows` are the account's equity, ascending by time.
    #[must_use]
    pub fn of(trades: &[Trade], rows: &[EquityRow]) -> Self {
        let profits: Vec<f64> = trades.iter().map(|trade| trade.pnl.to_f64()).collect();
        let returns: Vec<f64> = trades.iter().filter_map(Trade::return_pct).collect();
        let wins: Vec<f64> = profits.iter().copied().filter(|pnl| *pnl > 0.0).collect();
        let losses: Vec<f64> = profits.iter().copied().filter(|pnl| *pnl < 0.0).collect();
        let (win, loss) = (mean(&wins), mean(&losses));
        let win_rate = quotient(wins.len() as f64, trades.len() as f64);
        let average = mean(&profits);
        // Equal profits have a mean that rounds, and so a deviation of rounding alone.
        let varies = trades.windows(2).any(|pair| pair[0].pnl != pair[1].pnl);
        let durations = || trades.iter().map(|trade| trade.exit_ns.saturating_sub(trade.entry_ns));
        let lengths: Vec<f64> = durations().map(|length| length as f64).collect();
        Self {
            count: trades.len(),
            won: wins.len(),
            lost: losses.len(),
            win_rate,
            best: profits.iter().copied().reduce(f64::max),
            worst: profits.iter().copied().reduce(f64::min),
            average,
            average_win: win,
            average_loss: loss,
            best_pct: returns.iter().copied().reduce(f64::max),
            worst_pct: returns.iter().copied().reduce(f64::min),
            average_pct: geometric_mean(&returns),
            profit_factor: gains_over_losses(&profits),
            profit_factor_pct: gains_over_losses(&returns),
            expectancy: average,
            expectancy_pct: mean(&returns),
            sqn: mean_and_deviation(&profits)
                .filter(|_| varies)
                .and_then(|(mean, deviation)| finite((trades.len() as f64).sqrt() * mean / deviation)),
            kelly: win_rate
                .zip(win.zip(loss))
                .and_then(|(rate, (win, loss))| finite(rate - (1.0 - rate) / (win / -loss))),
            exposure_time: exposure_time(trades, rows),
            longest_ns: durations().max(),
            average_ns: mean(&lengths),
            net_profit: trades.iter().map(|trade| trade.pnl).fold(Amount::ZERO, sum),
            commission: trades.iter().map(|trade| trade.commission).fold(Amount::ZERO, sum),
        }
    }
}

fn sum(left: Amount, right: Amount) -> Amount {
    Amount(left.0.saturating_add(right.0))
}

fn gains_over_losses(values: &[f64]) -> Option<f64> {
    let gains: f64 = values.iter().filter(|value| **value > 0.0).sum();
    let losses: f64 = values.iter().filter(|value| **value < 0.0).sum();
    quotient(gains, losses.abs())
}

fn geometric_mean(returns: &[f64]) -> Option<f64> {
    if returns.iter().any(|value| *value <= -1.0) {
        return None;
    }
    let logs: Vec<f64> = returns.iter().map(|value| (value + 1.0).ln()).collect();
    finite(mean(&logs)?.exp() - 1.0)
}

/// Share of `rows` in which one of `trades` was held.
///
/// A fill happens within a bar and a row stands at a bar's close, so that a fill belongs to the first row after
/// it; one at the very last row belongs to that.
fn exposure_time(trades: &[Trade], rows: &[EquityRow]) -> Option<f64> {
    let last = rows.len().checked_sub(1)?;
    let row_of = |time_ns: i64| rows.partition_point(|row| row.time_ns <= time_ns).min(last);
    let mut spans: Vec<(usize, usize)> =
        trades.iter().map(|trade| (row_of(trade.entry_ns), row_of(trade.exit_ns))).collect();
    spans.sort_unstable();
    let (mut held, mut counted) = (0, 0);
    for (from, to) in spans {
        let from = from.max(counted);
        if to >= from {
            held += to + 1 - from;
            counted = to + 1;
        }
    }
    quotient(held as f64, rows.len() as f64)
}
