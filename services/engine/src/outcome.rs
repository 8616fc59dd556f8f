//! What a run comes to.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::money::{Amount, Price, Quantity};
use domain::performance::{EquityRow, Trade, TradeSide};
use domain::risk::Rule;

/// How often something happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Bars walked, those of the warm-up included.
    pub bars: u64,
    /// Instants walked.
    pub instants: u64,
    /// Signals.
    pub signals: u64,
    /// Signals that risk approved.
    pub approved: u64,
    /// Signals that were only recorded, in shadow mode.
    pub shadowed: u64,
    /// Signals that risk denied, by rule.
    pub denied: BTreeMap<Rule, u64>,
    /// Orders submitted.
    pub orders: u64,
    /// Fills.
    pub fills: u64,
    /// Orders whose time in force ended.
    pub expired: u64,
    /// Orders cancelled.
    pub cancelled: u64,
    /// Orders that the broker refused.
    pub rejected: u64,
    /// Bars that could have hit both a stop and a target; the worse was taken.
    pub ambiguous_bars: u64,
}

impl Counts {
    /// Signals that risk denied.
    #[must_use]
    pub fn denied_total(&self) -> u64 {
        self.denied.values().sum()
    }
}

/// Shares still held at the end, per opening fill.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenTrade {
    /// Strategy.
    pub strategy: Arc<str>,
    /// Symbol.
    pub symbol: Arc<str>,
    /// Long or short.
    pub side: TradeSide,
    /// Shares, positive.
    pub quantity: Quantity,
    /// When the opening fill happened, UTC nanoseconds.
    pub entry_ns: i64,
    /// Price of the opening fill.
    pub entry_price: Price,
    /// Commission paid for the opening.
    pub commission: Amount,
    /// Last price.
    pub last_price: Price,
    /// Profit at the last price, after the commission paid.
    pub pnl: Amount,
}

/// What a run comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Closed trades, in the order of their exits.
    pub trades: Vec<Trade>,
    /// What is still open.
    pub open: Vec<OpenTrade>,
    /// The account at the end of each instant that has bars.
    pub equity: Vec<EquityRow>,
    /// How often things happened.
    pub counts: Counts,
    /// Cash at the start.
    pub initial_cash: Amount,
    /// Commissions and fees paid.
    pub fees: Amount,
    /// Dividends received less those paid on short positions.
    pub dividends: Amount,
    /// Slippage paid, against the reference prices.
    pub slippage: Amount,
    /// Value traded, bought and sold.
    pub turnover: Amount,
    /// The chain hash; `None` when events were not wanted.
    pub chain_hash: Option<String>,
}

impl Outcome {
    /// Equity at the end; the cash at the start when there was no bar.
    #[must_use]
    pub fn final_equity(&self) -> Amount {
        self.equity.last().map_or(self.initial_cash, |row| row.equity)
    }
}
