//! The last closes of one slot, as exact integers in a ring of fixed size.

use contracts::v1::CorporateAction;

use crate::money::Price;

/// The last `capacity` closes, in 1e-9.
#[derive(Clone, Debug)]
pub(super) struct Closes {
    ring: Vec<i64>,
    capacity: usize,
    /// Where the next close goes once the ring is full: the place of the oldest.
    next: usize,
}

impl Closes {
    pub fn new(capacity: usize) -> Self {
        Self { ring: Vec::with_capacity(capacity), capacity, next: 0 }
    }

    pub fn is_full(&self) -> bool {
        self.ring.len() == self.capacity
    }

    /// Adds a close and returns the one that it pushed out.
    pub fn push(&mut self, close: i64) -> Option<i64> {
        if !self.is_full() {
            self.ring.push(close);
            return None;
        }
        let pushed_out = std::mem::replace(&mut self.ring[self.next], close);
        self.next += 1;
        if self.next == self.capacity {
            self.next = 0;
        }
        Some(pushed_out)
    }

    /// The close `back` bars before the newest; `None` before there are that many.
    pub fn back(&self, back: usize) -> Option<i64> {
        let len = self.ring.len();
        if back >= len {
            return None;
        }
        let newest = if self.next == 0 { len - 1 } else { self.next - 1 };
        let index = if newest >= back { newest - back } else { newest + len - back };
        self.ring.get(index).copied()
    }

    /// Sum of the newest `count` closes.
    pub fn sum(&self, count: usize) -> i128 {
        (0..count).filter_map(|back| self.back(back)).map(i128::from).sum()
    }

    /// Restates every close in the shares after a split, exactly as a split-adjusted history does. True
    /// when it was a split; an action that cannot be read changes nothing.
    pub fn restate(&mut self, action: &CorporateAction) -> bool {
        let ratio = crate::corporate_action::CorporateAction::from_wire(action);
        let Some(ratio) = ratio.ok().and_then(|action| action.split()) else { return false };
        for close in &mut self.ring {
            // A price that leaves 64 bits was no price; the bars that follow push it out.
            *close = ratio.adjust_price(Price(*close)).map_or(i64::MAX, |price| price.0);
        }
        true
    }
}

/// The state of slot `slot`, made on first use.
pub(super) fn slot_state<State>(
    slots: &mut Vec<Option<State>>,
    slot: usize,
    new: impl FnOnce() -> State,
) -> &mut State {
    if slot >= slots.len() {
        slots.resize_with(slot + 1, || None);
    }
    slots[slot].get_or_insert_with(new)
}
