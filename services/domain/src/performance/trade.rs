//! Closed trades and equity rows: what a run of any kind leaves for its statistics.

use std::sync::Arc;

use crate::money::{Amount, Price, Quantity};

/// Which way a trade was held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TradeSide {
    /// Bought first.
    Long,
    /// Sold first.
    Short,
}

impl TradeSide {
    /// `long` or `short`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Long => "long",
            Self::Short => "short",
        }
    }
}

/// A closed trade: shares that one strategy opened in one fill and closed in one fill.
///
/// A fill that closes several openings ends one trade each, first in first out; a commission is shared out by
/// shares. A split restates quantity and entry price of what is open.
#[derive(Clone, Debug, PartialEq)]
pub struct Trade {
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
    /// Price of the opening fill, slippage included.
    pub entry_price: Price,
    /// When the closing fill happened, UTC nanoseconds.
    pub exit_ns: i64,
    /// Price of the closing fill, slippage included.
    pub exit_price: Price,
    /// Commissions and fees of both sides.
    pub commission: Amount,
    /// Net profit: after commissions and fees.
    pub pnl: Amount,
}

impl Trade {
    /// Net profit over what the entry cost, as a fraction; `None` when the entry cost nothing.
    #[must_use]
    pub fn return_pct(&self) -> Option<f64> {
        let cost = self.entry_price.to_f64() * self.quantity.to_f64();
        (cost > 0.0).then(|| self.pnl.to_f64() / cost)
    }
}

/// An account at the end of one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EquityRow {
    /// The instant, UTC nanoseconds.
    pub time_ns: i64,
    /// Cash plus market value.
    pub equity: Amount,
    /// Cash, negative when owed.
    pub cash: Amount,
    /// Sum of absolute position values.
    pub exposure: Amount,
}
