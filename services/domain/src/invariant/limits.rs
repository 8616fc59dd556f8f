//! Limits after an approval: what is held and what is approved together, from the fold of the tape alone.
//!
//! The policy decides with the inputs that it recorded; here the same limits are held against the book after
//! the decision, so that an approval on a stale or incomplete picture is found whatever it recorded. An order counts on
//! its own account and under the limits of its own strategy, whoever asked for it; one with new terms as the order that
//! it becomes, and all the others with the larger of their terms.

use std::collections::BTreeMap;

use contracts::v1::{OrderSpec, OrderType, RiskDecision, Side};

use super::scopes::{self, Moment};
use crate::book::Book;
use crate::money::{Amount, Price, Quantity};
use crate::order::{OrderState, signed};

/// The limit that the approved `decision` exceeds as of `book`, which has folded it and nothing after it.
pub(super) fn exceeded(book: &Book, decision: &RiskDecision, moment: Moment) -> Option<String> {
    let mut accounts: BTreeMap<&str, Vec<Opening<'_>>> = BTreeMap::new();
    for spec in decision.orders.iter().filter(|spec| !spec.reducing) {
        if let Some(order) = book.order(&spec.order_id) {
            let opening = Opening::of(order, decision);
            accounts.entry(&order.spec.account).or_default().push(opening);
        }
    }
    accounts.into_iter().find_map(|(account, opens)| {
        of_account(book, decision, account, &opens)
            .or_else(|| scopes::exceeded(book, decision, book.account(account)?, &opens, moment))
    })
}

/// An order that opens, as the decision leaves it.
pub(super) struct Opening<'book> {
    pub order: &'book OrderState,
    /// Shares that it may trade with the terms approved last.
    pub shares: Quantity,
    /// The worst price of those terms.
    pub price: Price,
}

impl<'book> Opening<'book> {
    fn of(order: &'book OrderState, decision: &RiskDecision) -> Self {
        let Some(asked) = &order.replace else {
            let price = worst_price(order.reference_price, &order.spec);
            return Self { order, shares: order.remaining(), price };
        };
        let terms = asked.apply(&order.spec);
        let input = decision.inputs.iter().find(|input| {
            input.replaced.as_ref().is_some_and(|replaced| replaced.order_id == terms.order_id)
        });
        let now = input.map_or(order.reference_price, |input| Price(input.price_e9));
        let shares = Quantity(terms.quantity_e9.saturating_sub(order.filled.0).max(0));
        Self { order, shares, price: worst_price(now, &terms) }
    }

    pub fn value(&self) -> Amount {
        Amount::notional(self.price, self.shares)
    }

    /// Shares that come with it, signed, where `reserved` are those of its side.
    pub fn coming(&self, reserved: Quantity) -> Quantity {
        let own = if self.order.is_protective() { Quantity::ZERO } else { self.order.reserved_signed() };
        let others = reserved.0.saturating_sub(own.0);
        Quantity(others.saturating_add(signed(self.order.spec.side(), self.shares).0))
    }
}

/// The account's own limits.
fn of_account(book: &Book, decision: &RiskDecision, account: &str, opens: &[Opening<'_>]) -> Option<String> {
    let row = book.account(account)?;
    let first = opens.first()?.order.id();
    let Some(limits) = row.config.as_ref().and_then(|config| config.limits) else {
        return Some(format!("account {account} has no limits, order {first} opens"));
    };
    let Some(mark) = &row.mark else {
        return Some(format!("account {account} was never valued, order {first} opens"));
    };
    let most = Amount::from_wire(limits.max_order_value.as_ref());
    let freed = freed(decision);
    let mut exposure =
        row.gross_exposure()?.checked_add(book.reserved_exposure(account))?.checked_sub(freed)?;
    for opening in opens {
        let (order, value) = (opening.order, opening.value());
        if value > most {
            return Some(format!("order {} is worth {value}, expected at most {most}", order.id()));
        }
        exposure = exposure.checked_sub(order.reserved_value())?.checked_add(value)?;
        let symbol = &order.spec.symbol;
        let reserved = book.reserved(account, None, symbol);
        let side = if order.spec.side() == Side::Buy { reserved.buy } else { reserved.sell };
        let coming = book.net_quantity(account, symbol).checked_add(opening.coming(side))?;
        let value = Amount::notional(opening.price, coming).abs();
        let most = mark.equity.times_e9(limits.max_position_fraction_e9)?;
        if value > most {
            return Some(format!(
                "{symbol} of {account}: {coming} held and ordered are worth {value}, expected at most {most}"
            ));
        }
    }
    let most = mark.equity.times_e9(limits.max_exposure_fraction_e9)?;
    (exposure > most)
        .then(|| format!("exposure of {account}, held and ordered, is {exposure}, expected at most {most}"))
}

/// The worst of a reference price and the prices that an order states.
fn worst_price(reference: Price, spec: &OrderSpec) -> Price {
    // That of a trailing stop says where it stands.
    let stop = spec.stop_price_e9.filter(|_| spec.order_type() != OrderType::TrailingStop);
    let stated = spec.limit_price_e9.unwrap_or_default().max(stop.unwrap_or_default());
    Price(reference.0.max(stated))
}

/// What the sales of a decision free: legs of one signal are sent together, so that it may be used.
pub(super) fn freed(decision: &RiskDecision) -> Amount {
    let value = |spec: &OrderSpec| {
        let input = decision.inputs.iter().find(|input| input.leg == spec.leg)?;
        Some(Amount::notional(Price(input.price_e9), Quantity(spec.quantity_e9)))
    };
    // Exits that come with an entry free nothing.
    let sales = decision.orders.iter().filter(|spec| spec.reducing && spec.parent_id.is_empty());
    let freed = sales.filter_map(value);
    freed.fold(Amount::ZERO, |sum, value| Amount(sum.0.saturating_add(value.0)))
}
