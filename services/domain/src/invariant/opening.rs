//! What an order may do to a position while nothing may be opened, whatever it is flagged as.
//!
//! A fill by itself does not say whose fault it is that it opens: an exit and the stop whose place it takes may both fill,
//! each within what was held when it was approved. So an order is held against what there was to close at its approval,
//! and only one that goes beyond that is at fault.

use contracts::v1::{OrderSpec, Side};

use crate::money::Quantity;
use crate::order::signed;

/// A position as the sum of what happened to it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Held {
    /// Shares in 1e-9, negative when short.
    pub shares: i128,
    /// Last event that changed them.
    pub moved: u64,
}

impl Held {
    /// Whether the last `change` of it opened anything: it grew, or turned over.
    pub fn opened_by(self, change: Quantity) -> bool {
        let (before, after) = (self.shares - i128::from(change.0), self.shares);
        after != 0 && (after.signum() != before.signum() || after.abs() > before.abs())
    }

    /// Shares in 1e-9 that an order on `side` closes before it opens anything.
    fn against(self, side: Side) -> i128 {
        let opposite = self.shares.signum() * i128::from(signed(side, Quantity(1)).0) < 0;
        if opposite { self.shares.abs() } else { 0 }
    }
}

/// Shares in 1e-9 that `spec` has beyond what there is to close, when it is approved with `orders` upon `held` and has
/// `filled` before (under earlier terms). An exit closes what its entry opens, which first closes what is held against it.
pub(super) fn beyond(spec: &OrderSpec, orders: &[OrderSpec], held: Held, filled: Quantity) -> i128 {
    let entry = orders.iter().find(|entry| entry.order_id == spec.parent_id);
    let closes = match entry {
        Some(entry) => i128::from(entry.quantity_e9) - held.against(entry.side()),
        None => held.against(spec.side()),
    };
    (i128::from(spec.quantity_e9) - i128::from(filled.0) - closes.max(0)).max(0)
}
