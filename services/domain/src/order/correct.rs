//! Corrections and busts: a broker takes back what it said of an execution, or says it anew.
//!
//! The first report stays on the tape; a correction is an event of its own that names it. The order follows here;
//! what becomes of the position is worked out from all of its fills ([`crate::book::refold`]) and stated in the
//! event, because an average cost cannot be corrected in place.

use contracts::v1::event::Body;
use contracts::v1::{FillBusted, FillCorrected};

use super::decide::Decision;
use super::{Executed, Execution, OrderState, OrderStatus, Rejection};
use crate::money::{Amount, Price, Quantity};

/// The broker says an execution anew. Its position is stated by whoever knows all fills.
pub(super) fn corrected(order: &OrderState, correction_id: &str, now: &Execution) -> Decision {
    let before = match known(order, &now.execution_id, correction_id)? {
        Some(before) => before,
        None => return Ok(None),
    };
    if (before.quantity, before.price, before.commission) == (now.quantity, now.price, now.commission) {
        return Ok(None);
    }
    if now.quantity.0 <= 0 || now.price.0 <= 0 {
        return invalid(
            order,
            "quantity",
            now.quantity.to_string(),
            "a positive quantity at a positive price",
        );
    }
    let others = order.filled.0.saturating_sub(before.quantity.0);
    if order.spec.notional_e9.is_none() && others.saturating_add(now.quantity.0) > order.spec.quantity_e9 {
        let unfilled = Quantity(order.spec.quantity_e9.saturating_sub(others));
        let (order_id, execution_id) = (order.id().to_owned(), now.execution_id.clone());
        return Err(Rejection::Overfill { order_id, execution_id, quantity: now.quantity, unfilled });
    }
    let (Some(commission_before), Some(commission)) = (before.commission.to_wire(), now.commission.to_wire())
    else {
        return invalid(order, "commission", now.commission.to_string(), "an amount of 64-bit units");
    };
    Ok(Some(Body::FillCorrected(FillCorrected {
        order_id: order.id().to_owned(),
        account: order.spec.account.clone(),
        strategy: order.spec.strategy.clone(),
        symbol: order.spec.symbol.clone(),
        side: order.spec.side,
        number: before.number,
        execution_id: now.execution_id.clone(),
        correction_id: correction_id.to_owned(),
        quantity_before_e9: before.quantity.0,
        price_before_e9: before.price.0,
        commission_before: Some(commission_before),
        quantity_e9: now.quantity.0,
        price_e9: now.price.0,
        commission: Some(commission),
        position: None,
    })))
}

/// The broker says that an execution is void.
pub(super) fn busted(order: &OrderState, correction_id: &str, execution_id: &str, reason: &str) -> Decision {
    let Some(before) = known(order, execution_id, correction_id)? else { return Ok(None) };
    let Some(commission) = before.commission.to_wire() else {
        return invalid(order, "commission", before.commission.to_string(), "an amount of 64-bit units");
    };
    Ok(Some(Body::FillBusted(FillBusted {
        order_id: order.id().to_owned(),
        account: order.spec.account.clone(),
        strategy: order.spec.strategy.clone(),
        symbol: order.spec.symbol.clone(),
        side: order.spec.side,
        number: before.number,
        execution_id: execution_id.to_owned(),
        correction_id: correction_id.to_owned(),
        quantity_e9: before.quantity.0,
        price_e9: before.price.0,
        commission: Some(commission),
        reason: reason.to_owned(),
        position: None,
    })))
}

/// The execution that a correction concerns; `None` when the correction is folded or the execution void already.
fn known<'order>(
    order: &'order OrderState,
    execution_id: &str,
    correction_id: &str,
) -> Result<Option<&'order Executed>, Rejection> {
    let Some(known) = order.execution(execution_id) else {
        return Err(Rejection::UnknownExecution {
            order_id: order.id().to_owned(),
            execution_id: execution_id.to_owned(),
        });
    };
    let folded = known.is_busted() || known.corrections.iter().any(|id| id == correction_id);
    Ok((!folded).then_some(known))
}

fn invalid(order: &OrderState, field: &'static str, value: String, expected: &'static str) -> Decision {
    Err(Rejection::Invalid { order_id: order.id().to_owned(), field, value, expected })
}

impl OrderState {
    /// Restates an execution; a quantity of zero is a bust.
    pub(super) fn restate_execution(
        &mut self,
        execution_id: &str,
        correction_id: &str,
        quantity: Quantity,
        price: Price,
        commission: Amount,
    ) {
        let Some(known) = self.executions.iter_mut().find(|known| known.id == execution_id) else { return };
        let before = (known.quantity, Amount::notional(known.price, known.quantity), known.commission);
        (known.quantity, known.price, known.commission) = (quantity, price, commission);
        known.corrections.push(correction_id.to_owned());
        let value = Amount::notional(price, quantity);
        self.filled = Quantity(self.filled.0.saturating_sub(before.0.0).saturating_add(quantity.0));
        self.filled_value.0 = self.filled_value.0.saturating_sub(before.1.0).saturating_add(value.0);
        self.commission.0 = self.commission.0.saturating_sub(before.2.0).saturating_add(commission.0);
        if let Some(tradable) = self.tradable.as_mut() {
            tradable.0 = tradable.0.saturating_add(before.0.0).saturating_sub(quantity.0);
        }
        if self.unfilled() == Quantity::ZERO
            && matches!(self.status, OrderStatus::Accepted | OrderStatus::Suspended)
        {
            self.status = OrderStatus::Filled;
        }
    }
}
