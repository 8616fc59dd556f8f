//! Trades from fills: first in, first out, per strategy and symbol.
//!
//! A lot keeps its total cost and the commission that it paid, so that what its closings take adds up to the
//! last billionth. A split restates shares and leaves the cost; cash in lieu closes the fraction at the price
//! that it was paid at.

use std::collections::VecDeque;
use std::sync::Arc;

use domain::money::{Amount, E9, Price, Quantity, div_half_even};
use domain::performance::{Trade, TradeSide};

use crate::outcome::OpenTrade;

/// Shares of one opening fill that are still held.
#[derive(Clone, Copy, Debug)]
struct Lot {
    /// Positive.
    quantity: i64,
    entry_ns: i64,
    entry_price: Price,
    /// Value at the entry, positive.
    cost: Amount,
    commission: Amount,
}

/// A fill as the ledger takes it.
#[derive(Clone, Copy, Debug)]
pub struct Dealt {
    /// Positive when bought.
    pub quantity: Quantity,
    /// Price.
    pub price: Price,
    /// Commission and fees.
    pub commission: Amount,
    /// When it happened, UTC nanoseconds.
    pub time_ns: i64,
}

/// The lots of one strategy in one symbol; all on one side.
#[derive(Clone, Debug)]
pub struct Lots {
    strategy: Arc<str>,
    symbol: Arc<str>,
    side: TradeSide,
    lots: VecDeque<Lot>,
}

impl Lots {
    /// Nothing held.
    #[must_use]
    pub fn new(strategy: &Arc<str>, symbol: &Arc<str>) -> Self {
        Self {
            strategy: Arc::clone(strategy),
            symbol: Arc::clone(symbol),
            side: TradeSide::Long,
            lots: VecDeque::new(),
        }
    }

    /// Takes a fill: closes what is on the other side, opens the rest.
    pub fn deal(&mut self, dealt: Dealt, trades: &mut Vec<Trade>) {
        let side = if dealt.quantity.0 >= 0 { TradeSide::Long } else { TradeSide::Short };
        let total = dealt.quantity.0.saturating_abs();
        let (mut left, mut commission) = (total, dealt.commission);
        while left > 0 && side != self.side {
            let Some(lot) = self.lots.front_mut() else { break };
            let closing = left.min(lot.quantity);
            let share = part(&mut commission, closing, left);
            let trade = close(lot, closing, dealt, share);
            left -= closing;
            if lot.quantity == 0 {
                self.lots.pop_front();
            }
            trades.push(self.trade(trade, dealt));
        }
        if left > 0 {
            self.side = side;
            let cost = Amount::notional(dealt.price, Quantity(left));
            let (entry_ns, entry_price) = (dealt.time_ns, dealt.price);
            self.lots.push_back(Lot { quantity: left, entry_ns, entry_price, cost, commission });
        }
    }

    fn trade(&self, closed: Closed, dealt: Dealt) -> Trade {
        let gain = match self.side {
            TradeSide::Long => closed.proceeds.0 - closed.cost.0,
            TradeSide::Short => closed.cost.0 - closed.proceeds.0,
        };
        Trade {
            strategy: Arc::clone(&self.strategy),
            symbol: Arc::clone(&self.symbol),
            side: self.side,
            quantity: Quantity(closed.quantity),
            entry_ns: closed.entry_ns,
            entry_price: closed.entry_price,
            exit_ns: dealt.time_ns,
            exit_price: dealt.price,
            commission: closed.commission,
            pnl: Amount(gain - closed.commission.0),
        }
    }

    /// Restates the lots so that they come to `total` shares (absolute), each in proportion.
    pub fn restate(&mut self, total: i64) {
        let before: i128 = self.lots.iter().map(|lot| i128::from(lot.quantity)).sum();
        if before == 0 {
            return;
        }
        let mut rest = total;
        let count = self.lots.len();
        for (index, lot) in self.lots.iter_mut().enumerate() {
            let scaled = div_half_even(i128::from(lot.quantity) * i128::from(total), before);
            let scaled =
                if index + 1 == count { rest } else { i64::try_from(scaled).unwrap_or(rest).min(rest) };
            rest -= scaled;
            lot.quantity = scaled;
            if scaled > 0 {
                let price = div_half_even(lot.cost.0.saturating_mul(i128::from(E9)), i128::from(scaled));
                lot.entry_price = Price(i64::try_from(price).unwrap_or(i64::MAX));
            }
        }
        self.lots.retain(|lot| lot.quantity > 0);
    }

    /// What is open, valued at `last`.
    pub fn open(&self, last: Price) -> impl Iterator<Item = OpenTrade> + '_ {
        self.lots.iter().map(move |lot| {
            let value = Amount::notional(last, Quantity(lot.quantity));
            let gain = match self.side {
                TradeSide::Long => value.0 - lot.cost.0,
                TradeSide::Short => lot.cost.0 - value.0,
            };
            OpenTrade {
                strategy: Arc::clone(&self.strategy),
                symbol: Arc::clone(&self.symbol),
                side: self.side,
                quantity: Quantity(lot.quantity),
                entry_ns: lot.entry_ns,
                entry_price: lot.entry_price,
                commission: lot.commission,
                last_price: last,
                pnl: Amount(gain - lot.commission.0),
            }
        })
    }
}

struct Closed {
    quantity: i64,
    entry_ns: i64,
    entry_price: Price,
    cost: Amount,
    proceeds: Amount,
    commission: Amount,
}

/// Takes `closing` shares out of a lot.
fn close(lot: &mut Lot, closing: i64, dealt: Dealt, exit_commission: Amount) -> Closed {
    let cost = part(&mut lot.cost, closing, lot.quantity);
    let commission = part(&mut lot.commission, closing, lot.quantity);
    lot.quantity -= closing;
    Closed {
        quantity: closing,
        entry_ns: lot.entry_ns,
        entry_price: lot.entry_price,
        cost,
        proceeds: Amount::notional(dealt.price, Quantity(closing)),
        commission: Amount(commission.0 + exit_commission.0),
    }
}

/// Takes the share of `amount` that `part` of `whole` has; all of it for the whole.
fn part(amount: &mut Amount, part: i64, whole: i64) -> Amount {
    let taken = if part == whole {
        *amount
    } else {
        Amount(div_half_even(amount.0.saturating_mul(i128::from(part)), i128::from(whole)))
    };
    amount.0 -= taken.0;
    taken
}
