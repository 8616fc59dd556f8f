//! What a crossing means for a position, alike for every strategy that crosses a line.

use std::cmp::Ordering;

use contracts::v1::Intent;

use crate::money::Quantity;

/// Whether a line that compared as `before` to another one bar ago, and compares as `now`, crossed it upwards: it
/// was below and is above. After equality nothing crosses. Downwards it crossed where the other way round it would
/// have crossed upwards.
pub(super) fn crossed_up(before: Ordering, now: Ordering) -> bool {
    before == Ordering::Less && now == Ordering::Greater
}

/// The intent of a crossing. Upwards: long when flat, and out of a short position into a long one. Downwards: out
/// of a long position; where shorts are allowed, into a short one, from flat as well.
pub(super) fn crossing(up: bool, down: bool, position: Quantity, allow_short: bool) -> Option<Intent> {
    if up {
        let enters = position == Quantity::ZERO || (allow_short && position < Quantity::ZERO);
        return enters.then_some(Intent::EnterLong);
    }
    if !down {
        return None;
    }
    if allow_short {
        return (position >= Quantity::ZERO).then_some(Intent::EnterShort);
    }
    (position > Quantity::ZERO).then_some(Intent::Exit)
}
