//! Exits and the entries that they wait for, at a broker that takes an exit only once its entry is done.
//!
//! Such a broker may take both in one request and hold the exits itself ([`broker::takes_together`]). On the tape that is an
//! exit whose intent came while its entry was not over. It has no answer before: whether it works then, or ended because the
//! entry was not filled whole, is asked for like everything that was sent without one. What the broker says of it meanwhile
//! is passed over, so that an exit which ended with an entry that filled a part is not taken for done.

use broker::{Report, SIMULATED, wants_entries_first};
use contracts::v1::{OrderType, TimeInForce};
use domain::book::is_cancel_due;
use domain::money::Quantity;
use domain::order::{BrokerReport, OrderState, Phase, phase};

use crate::machine::{Machine, members};

/// How the entry of an exit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// The exit may go: there is no entry to wait for, or it is over and opened something.
    Done,
    /// It may still be filled.
    Pending,
    /// It ended, and there is nothing to close.
    Unfilled,
}

impl Machine {
    /// How the entry of an exit stands where its broker wants that done before the exit comes.
    pub(crate) fn entry(&self, order: &OrderState) -> Entry {
        match self.entry_of(order) {
            None => Entry::Done,
            Some(entry) if !entry.status.is_ended() => Entry::Pending,
            Some(entry) if entry.filled == Quantity::ZERO => Entry::Unfilled,
            // It did no more than close what was held the other way.
            Some(_) if has_nothing_to_close(order) => Entry::Unfilled,
            Some(_) => Entry::Done,
        }
    }

    /// The entry of an exit where its broker wants that done before the exit comes.
    fn entry_of(&self, order: &OrderState) -> Option<&OrderState> {
        let entry = Some(&order.spec.parent_id).filter(|parent_id| !parent_id.is_empty());
        let entry = entry.and_then(|parent_id| self.book.order(parent_id));
        entry.filter(|entry| wants_entries_first(&entry.broker))
    }

    /// Whether the broker has taken the entry of an exit.
    pub(crate) fn is_entry_worked(&self, order: &OrderState) -> bool {
        self.entry_of(order).is_some_and(|entry| entry.accepted_ns.is_some())
    }

    /// Whether an exit went with its entry and waits for it at the broker.
    pub(crate) fn is_held(&self, order: &OrderState) -> bool {
        awaits_its_turn(order) && self.entry(order) == Entry::Pending
    }

    /// Whether what the broker says of an exit that has no answer is passed over: all of it while its entry may still be
    /// filled, and after that its end, which may be that of an entry with a part filled.
    pub(crate) fn passes_over(&self, told: &Report) -> bool {
        let Some(order) = self.book.order(&told.order_id).filter(|order| awaits_its_turn(order)) else {
            return false;
        };
        let ends = matches!(
            told.report,
            BrokerReport::Cancelled { .. } | BrokerReport::Expired { .. } | BrokerReport::Rejected { .. }
        );
        ends || self.is_held(order)
    }

    /// Whether an order that its broker outside does not have is over too: it is to be cancelled, so that it is not sent only
    /// to end it, or it is an exit with nothing to close.
    pub(crate) fn is_void(&self, order: &OrderState) -> bool {
        let unwanted = order.cancel_requested && order.broker != SIMULATED;
        unwanted || (waits_for_entries(order) && has_nothing_to_close(order))
    }

    /// Whether an entry for the day is to be cancelled at `now_ns`: it went until cancelled, as its exits are, and the session
    /// that it was decided for is over.
    pub(crate) fn outlasts_its_day(&self, order: &OrderState, now_ns: i64) -> bool {
        let spec = &order.spec;
        let for_the_day = spec.order_type() == OrderType::Market
            && spec.time_in_force() == TimeInForce::Day
            && spec.group_id == spec.order_id
            && wants_entries_first(&order.broker);
        // The intent of an exit that did not go with it comes once it is over.
        let went_until_cancelled = |exit: &OrderState| {
            exit.spec.parent_id == spec.order_id
                && exit.submitted_ns.is_some()
                && exit.spec.time_in_force() == TimeInForce::Gtc
        };
        for_the_day
            && !order.status.is_ended()
            && is_cancel_due(order, now_ns)
            && members(&spec.group_id).iter().any(|id| self.book.order(id).is_some_and(went_until_cancelled))
            && self
                .calendar
                .current_or_next(order.approved_ns)
                .is_ok_and(|session| session.close_ns <= now_ns)
    }
}

/// Whether an order is an exit that its broker takes only once its entry is done.
fn waits_for_entries(order: &OrderState) -> bool {
    !order.spec.parent_id.is_empty() && wants_entries_first(&order.broker)
}

/// Whether it is such an exit, sent and without an answer, which nobody wants cancelled.
fn awaits_its_turn(order: &OrderState) -> bool {
    waits_for_entries(order) && phase(order) == Phase::MustAsk && !order.cancel_requested
}

fn has_nothing_to_close(order: &OrderState) -> bool {
    order.tradable.is_some_and(|tradable| tradable <= Quantity::ZERO)
}
