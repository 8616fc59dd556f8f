//! Limits after an approval: what is held and what is approved together, from the fold of the tape alone.
//!
//! The policy decides with the inputs that it recorded; here the same limits are held against the book after
//! the decision, so that an approval on a stale or incomplete picture is found whatever it recorded.

use contracts::v1::{OrderSpec, RiskDecision};

use crate::book::Book;
use crate::money::{Amount, Price, Quantity};
use crate::order::OrderState;

/// The limit that the approved `decision` exceeds as of `book`, which has folded it and nothing after it.
pub(super) fn exceeded(book: &Book, decision: &RiskDecision) -> Option<String> {
    let row = book.account(&decision.account)?;
    let opens: Vec<&OrderState> = decision
        .orders
        .iter()
        .filter(|spec| !spec.reducing)
        .filter_map(|spec| book.order(&spec.order_id))
        .collect();
    if opens.is_empty() {
        return None;
    }
    let account = &decision.account;
    let Some(limits) = row.config.as_ref().and_then(|config| config.limits) else {
        return Some(format!("account {account} has no limits, order {} opens", opens[0].id()));
    };
    let Some(mark) = &row.mark else {
        return Some(format!("account {account} was never valued, order {} opens", opens[0].id()));
    };
    let most = Amount::from_wire(limits.max_order_value.as_ref());
    for order in &opens {
        let value = order.reserved_value();
        if value > most {
            return Some(format!("order {} is worth {value}, expected at most {most}", order.id()));
        }
        let symbol = &order.spec.symbol;
        let reserved = book.reserved(account, None, symbol);
        let side = if order.remaining_signed() > Quantity::ZERO { reserved.buy } else { reserved.sell };
        let coming = book.net_quantity(account, symbol).checked_add(side)?;
        let value = Amount::notional(worst_price(order), coming).abs();
        let most = mark.equity.times_e9(limits.max_position_fraction_e9)?;
        if value > most {
            return Some(format!(
                "{symbol} of {account}: {coming} held and ordered are worth {value}, expected at most {most}"
            ));
        }
    }
    // Legs of one signal are sent together: what its own sales free may be used.
    let freed = decision.orders.iter().filter(|spec| spec.reducing).filter_map(|spec| freed(decision, spec));
    let freed = freed.fold(Amount::ZERO, |sum, value| Amount(sum.0.saturating_add(value.0)));
    let exposure = row.gross_exposure()?.checked_add(book.reserved_exposure(account))?.checked_sub(freed)?;
    let most = mark.equity.times_e9(limits.max_exposure_fraction_e9)?;
    (exposure > most)
        .then(|| format!("exposure of {account}, held and ordered, is {exposure}, expected at most {most}"))
}

fn worst_price(order: &OrderState) -> Price {
    let limit = order.spec.limit_price_e9.unwrap_or_default();
    let stop = order.spec.stop_price_e9.unwrap_or_default();
    Price(order.reference_price.0.max(limit).max(stop))
}

fn freed(decision: &RiskDecision, spec: &OrderSpec) -> Option<Amount> {
    let input = decision.inputs.iter().find(|input| input.leg == spec.leg)?;
    Some(Amount::notional(Price(input.price_e9), Quantity(spec.quantity_e9)))
}
