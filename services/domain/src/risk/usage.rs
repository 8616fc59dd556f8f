//! How much of an account's limits is used: what the next signal would be held against.
//!
//! The same sums as in a decision: open orders count on the side that makes it worse. Prices are those of
//! the account's last mark; a symbol that is only ordered counts at its order's reference price.

use std::collections::{BTreeMap, BTreeSet};

use super::Rule;
use crate::book::{AccountState, Book};
use crate::money::{Amount, Price, Quantity};

/// How much of one limit is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The rule that denies beyond it.
    pub rule: Rule,
    /// Used, never negative.
    pub used: Amount,
    /// The limit.
    pub most: Amount,
    /// What uses the most: a symbol, or an order's id; empty where it is the account as a whole.
    pub of: String,
}

/// The limits of `account` that are amounts, in the order of the rules. Nothing before the account has
/// limits and was valued, because then nothing may be opened at all; nor where a sum leaves its range.
#[must_use]
pub fn usage(book: &Book, account: &str) -> Vec<Usage> {
    let Some(row) = book.account(account) else { return Vec::new() };
    let all = [daily_loss(row), order_value(book, row), position(book, row), exposure(book, row)];
    all.into_iter().flatten().collect()
}

fn daily_loss(row: &AccountState) -> Option<Usage> {
    let limits = row.config.as_ref()?.limits?;
    let lost = -row.day_pnl()?;
    let most = row.day_start_equity.times_e9(limits.max_daily_loss_fraction_e9)?;
    Some(Usage { rule: Rule::DailyLoss, used: lost.max(Amount::ZERO), most, of: String::new() })
}

/// The open order worth most.
fn order_value(book: &Book, row: &AccountState) -> Option<Usage> {
    let limits = row.config.as_ref()?.limits?;
    let most = Amount::from_wire(limits.max_order_value.as_ref());
    let open = book.open_orders().filter(|order| order.spec.account == row.account);
    let largest = open.map(|order| (order.reserved_value(), order.id())).max();
    let (used, of) = largest.unwrap_or_default();
    Some(Usage { rule: Rule::MaxOrderValue, used, most, of: of.to_owned() })
}

/// The symbol with the largest position, open orders included.
fn position(book: &Book, row: &AccountState) -> Option<Usage> {
    let (limits, mark) = (row.config.as_ref()?.limits?, row.mark.as_ref()?);
    let most = mark.equity.times_e9(limits.max_position_fraction_e9)?;
    let mut prices: BTreeMap<&str, Price> =
        mark.prices.iter().map(|price| (price.symbol.as_str(), Price(price.price_e9))).collect();
    let open = || book.open_orders().filter(|order| order.spec.account == row.account);
    for order in open() {
        prices.entry(&order.spec.symbol).or_insert(order.reference_price);
    }
    let held = book.positions_of(&row.account).map(|position| position.key.symbol.as_str());
    let symbols: BTreeSet<&str> = held.chain(open().map(|order| order.spec.symbol.as_str())).collect();
    let mut largest = (Amount::ZERO, "");
    for symbol in symbols {
        let net = book.net_quantity(&row.account, symbol);
        let reserved = book.reserved(&row.account, None, symbol);
        let price = prices.get(symbol).copied().unwrap_or_default();
        for coming in [Quantity::ZERO, reserved.buy, reserved.sell] {
            let value = Amount::notional(price, net.checked_add(coming)?).abs();
            largest = largest.max((value, symbol));
        }
    }
    let (used, of) = largest;
    Some(Usage { rule: Rule::MaxPosition, used, most, of: of.to_owned() })
}

fn exposure(book: &Book, row: &AccountState) -> Option<Usage> {
    let (limits, mark) = (row.config.as_ref()?.limits?, row.mark.as_ref()?);
    let used = row.gross_exposure()?.checked_add(book.reserved_exposure(&row.account))?;
    let most = mark.equity.times_e9(limits.max_exposure_fraction_e9)?;
    Some(Usage { rule: Rule::MaxExposure, used, most, of: String::new() })
}
