//! Valuing an account: the body of its mark.

use std::collections::BTreeMap;

use contracts::to_timestamp;
use contracts::v1::event::Body;
use contracts::v1::{AccountKind, AccountMarked, MarginCalled, MarginRestored, MarkPrice, Money};

use super::{Book, KnownPrice, Prices};
use crate::calendar::Calendar;
use crate::money::{Amount, Quantity};
use crate::risk::kernel::maintenance;

/// Why an account cannot be valued.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MarkError {
    /// The account is not known.
    #[error("account {0:?} is not known")]
    UnknownAccount(String),
    /// A symbol is held and has no price.
    #[error("account {account}: {symbol} is held and has no price")]
    NoPrice {
        /// Account.
        account: String,
        /// Symbol without a price.
        symbol: String,
    },
    /// A sum left its range.
    #[error("account {account}: `{field}` overflows")]
    Overflow {
        /// Account.
        account: String,
        /// Field of the mark.
        field: &'static str,
    },
}

/// Values `account` at `prices`: per symbol the net position of all strategies, pending fractions
/// included. Exposure counts net per symbol, because that is what the account is exposed to.
pub fn mark(
    book: &Book,
    account: &str,
    prices: &Prices,
    session_start: bool,
) -> Result<AccountMarked, MarkError> {
    let row = book.account(account).ok_or_else(|| MarkError::UnknownAccount(account.to_owned()))?;
    let overflow = |field| MarkError::Overflow { account: account.to_owned(), field };
    let mut held: BTreeMap<&str, Quantity> = BTreeMap::new();
    let mut cost = Amount::ZERO;
    for position in book.positions_of(account) {
        let basis = position.cost_basis().and_then(|basis| cost.checked_add(basis));
        cost = basis.ok_or_else(|| overflow("cost"))?;
        let quantity = position.total_quantity().ok_or_else(|| overflow("quantity"))?;
        let sum = held.entry(position.key.symbol.as_str()).or_default();
        *sum = sum.checked_add(quantity).ok_or_else(|| overflow("quantity"))?;
    }
    let (mut gross, mut net) = (Amount::ZERO, Amount::ZERO);
    let mut used = Vec::new();
    for (symbol, quantity) in held.into_iter().filter(|(_, quantity)| *quantity != Quantity::ZERO) {
        let KnownPrice { price, time_ns, .. } = prices
            .get(symbol)
            .ok_or_else(|| MarkError::NoPrice { account: account.to_owned(), symbol: symbol.to_owned() })?;
        let value = Amount::notional(price, quantity);
        gross = gross.checked_add(value.abs()).ok_or_else(|| overflow("gross_exposure"))?;
        net = net.checked_add(value).ok_or_else(|| overflow("net_exposure"))?;
        used.push(MarkPrice {
            symbol: symbol.to_owned(),
            price_e9: price.0,
            time: Some(to_timestamp(time_ns)),
        });
    }
    let equity = row.cash.checked_add(net).ok_or_else(|| overflow("equity"))?;
    let unrealized = net.checked_sub(cost).ok_or_else(|| overflow("unrealized_pnl"))?;
    let wire = |amount: Amount, field| -> Result<Option<Money>, MarkError> {
        amount.to_wire().map(Some).ok_or_else(|| overflow(field))
    };
    Ok(AccountMarked {
        account: account.to_owned(),
        equity: wire(equity, "equity")?,
        cash: wire(row.cash, "cash")?,
        gross_exposure: wire(gross, "gross_exposure")?,
        net_exposure: wire(net, "net_exposure")?,
        realized_pnl: wire(row.realized_pnl, "realized_pnl")?,
        unrealized_pnl: wire(unrealized, "unrealized_pnl")?,
        fees: wire(row.fees, "fees")?,
        prices: used,
        session_start,
    })
}

/// What valuing `account` at `prices` changes of its margin call: a call when the equity of an account on
/// margin is below its maintenance margin, the end of one when it is not; nothing where that is known.
pub fn margin_change(book: &Book, account: &str, prices: &Prices) -> Result<Option<Body>, MarkError> {
    let row = book.account(account).ok_or_else(|| MarkError::UnknownAccount(account.to_owned()))?;
    let called = row.margin_call_ns.is_some();
    let on_margin = row.config.as_ref().is_some_and(|config| config.kind == AccountKind::Margin);
    if !on_margin && !called {
        return Ok(None);
    }
    let value = mark(book, account, prices, false)?;
    let amount = |money: &Option<Money>| Amount::from_wire(money.as_ref());
    let requirement = maintenance(amount(&value.gross_exposure), amount(&value.net_exposure));
    let overflow = || MarkError::Overflow { account: account.to_owned(), field: "requirement" };
    let requirement = requirement.ok_or_else(overflow)?;
    let short = on_margin && amount(&value.equity) < requirement;
    let (account, equity) = (account.to_owned(), value.equity);
    let requirement = Some(requirement.to_wire().ok_or_else(overflow)?);
    Ok(match (called, short) {
        (false, true) => Some(Body::MarginCalled(MarginCalled { account, equity, requirement })),
        (true, false) => Some(Body::MarginRestored(MarginRestored { account, equity, requirement })),
        _ => None,
    })
}

/// Whether the mark at `event_ns` is the first of an exchange session, when the last one was at `last_ns`.
///
/// Outside of what the calendar knows no session begins: the day's loss then counts from the last known
/// start, which is the stricter reading.
#[must_use]
pub fn starts_session(calendar: &Calendar, last_ns: Option<i64>, event_ns: i64) -> bool {
    let session = calendar.session(calendar.date_of(event_ns)).ok().flatten();
    session.is_some_and(|session| {
        session.open_ns <= event_ns && last_ns.is_none_or(|last_ns| last_ns < session.open_ns)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN_NS: i64 = 1_704_724_200_000_000_000; // 2024-01-08 09:30 New York, a Monday.
    const HOUR_NS: i64 = 3_600_000_000_000;

    #[test]
    fn a_session_starts_with_its_first_mark_at_or_after_the_open() {
        let check = |last_ns, event_ns, expect| {
            assert_eq!(starts_session(Calendar::xnys(), last_ns, event_ns), expect, "{last_ns:?} {event_ns}");
        };
        check(None, OPEN_NS, true);
        check(Some(OPEN_NS - 65 * HOUR_NS), OPEN_NS, true);
        check(Some(OPEN_NS - 65 * HOUR_NS), OPEN_NS + HOUR_NS, true);
        check(Some(OPEN_NS - 65 * HOUR_NS), OPEN_NS - 1, false);
        check(Some(OPEN_NS), OPEN_NS + HOUR_NS, false);
        // A Sunday has no session.
        check(None, OPEN_NS - 24 * HOUR_NS, false);
    }
}
