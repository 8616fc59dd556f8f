//! Round trips: from flat to flat again, and how many of them won.
//!
//! A round trip begins with the fill that opens a strategy's position in a symbol and ends with the one that
//! brings it to zero or across it. A fill that goes across ends one and begins the next; each bears the
//! commission of its own shares. The result of a round trip is the gross profit that its fills realised less
//! their commissions and fees; it won when that is more than zero.
//!
//! A split restates the shares and changes no result. Deliberately absent from a result: dividends, and the
//! cash paid for a fraction of a share that a split left.

use std::collections::BTreeMap;

use crate::book::PositionKey;
use crate::money::{Amount, Quantity, div_half_even};

/// A fill as far as round trips are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TripFill {
    /// Shares, negative when sold.
    pub change: Quantity,
    /// Gross profit that it realised.
    pub realized: Amount,
    /// Commission and fees.
    pub fees: Amount,
}

/// Round trips that have ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TripCount {
    /// All of them.
    pub closed: u64,
    /// Those with a result of more than zero.
    pub won: u64,
}

impl TripCount {
    /// Share of the closed round trips that won, from 0 to 1; `None` before the first has closed.
    #[must_use]
    pub fn hit_rate(&self) -> Option<f64> {
        (self.closed > 0).then(|| self.won as f64 / self.closed as f64)
    }
}

/// A round trip under way.
#[derive(Clone, Copy, Debug, Default)]
struct Open {
    quantity: Quantity,
    result: Amount,
}

/// The fold of fills and splits into round trips.
#[derive(Clone, Debug, Default)]
pub struct RoundTrips {
    open: BTreeMap<PositionKey, Open>,
    closed: BTreeMap<String, TripCount>,
}

impl RoundTrips {
    /// Takes the next fill of a position, in the order of the tape.
    pub fn fill(&mut self, key: PositionKey, fill: TripFill) {
        let mut open = self.open.get(&key).copied().unwrap_or_default();
        let held = i128::from(open.quantity.0);
        let change = i128::from(fill.change.0);
        let after = held + change;
        // The whole fill belongs to this trip, unless it goes across zero.
        let crosses = held != 0 && after != 0 && held.signum() != after.signum();
        let own_fees = if crosses { share(fill.fees, held.abs(), change.abs()) } else { fill.fees };
        open.result = sum(open.result, sum(fill.realized, -own_fees));
        open.quantity = Quantity(i64::try_from(after).unwrap_or(i64::MAX));
        if crosses || (held != 0 && after == 0) {
            self.close(&key.strategy, open.result);
            open.result = sum(own_fees, -fill.fees);
        }
        self.store(key, open);
    }

    /// Restates a position after a split.
    pub fn split(&mut self, key: PositionKey, after: Quantity) {
        let Some(mut open) = self.open.get(&key).copied() else { return };
        open.quantity = after;
        if after == Quantity::ZERO {
            self.close(&key.strategy, open.result);
        }
        self.store(key, open);
    }

    /// What a strategy's round trips have come to.
    #[must_use]
    pub fn of(&self, strategy: &str) -> TripCount {
        self.closed.get(strategy).copied().unwrap_or_default()
    }

    fn close(&mut self, strategy: &str, result: Amount) {
        if !self.closed.contains_key(strategy) {
            self.closed.insert(strategy.to_owned(), TripCount::default());
        }
        if let Some(count) = self.closed.get_mut(strategy) {
            count.closed += 1;
            count.won += u64::from(result > Amount::ZERO);
        }
    }

    fn store(&mut self, key: PositionKey, open: Open) {
        if open.quantity == Quantity::ZERO {
            self.open.remove(&key);
        } else {
            self.open.insert(key, open);
        }
    }
}

/// `fees` × `part` / `whole`, rounded half to even at 1e-9.
fn share(fees: Amount, part: i128, whole: i128) -> Amount {
    let product = fees.0.checked_mul(part);
    product.map_or(fees, |product| Amount(div_half_even(product, whole)))
}

fn sum(left: Amount, right: Amount) -> Amount {
    Amount(left.0.saturating_add(right.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const E9: i64 = 1_000_000_000;

    fn trips(fills: &[(i64, i128, i128)]) -> TripCount {
        let mut trips = RoundTrips::default();
        for &(shares, realized, fees) in fills {
            let change = Quantity(shares * E9);
            let fill = TripFill { change, realized: Amount(realized), fees: Amount(fees) };
            trips.fill(PositionKey::new("paper", "sma", "SPY"), fill);
        }
        trips.of("sma")
    }

    #[test]
    fn a_round_trip_ends_when_the_position_is_flat_and_wins_after_fees() {
        let won = TripCount { closed: 1, won: 1 };
        assert_eq!(trips(&[(10, 0, 1), (-4, 40, 1), (-6, -30, 1)]), won);
        // What the prices gave, the fees took.
        assert_eq!(trips(&[(10, 0, 5), (-10, 10, 5)]), TripCount { closed: 1, won: 0 });
        assert_eq!(trips(&[(10, 0, 1), (-4, 40, 1)]), TripCount::default());
        assert_eq!(
            trips(&[(-10, 0, 1), (10, 12, 1), (10, 0, 1), (-10, 1, 1)]),
            TripCount { closed: 2, won: 1 }
        );
    }

    #[test]
    fn a_fill_across_zero_ends_one_and_begins_the_next_with_its_own_fees() {
        // Of 30 in fees, the 10 shares that close bear 10, the 20 that open bear 20.
        assert_eq!(trips(&[(10, 0, 0), (-30, 15, 30)]), TripCount { closed: 1, won: 1 });
        assert_eq!(trips(&[(10, 0, 0), (-30, 15, 30), (20, 20, 0)]), TripCount { closed: 2, won: 1 });
        assert_eq!(trips(&[(10, 0, 0), (-30, 15, 30), (20, 21, 0)]), TripCount { closed: 2, won: 2 });
    }

    #[test]
    fn a_split_changes_shares_and_no_result() {
        let key = || PositionKey::new("paper", "sma", "AAPL");
        let mut trips = RoundTrips::default();
        let fill = |shares: i64, realized| TripFill {
            change: Quantity(shares * E9),
            realized: Amount(realized),
            fees: Amount(1),
        };
        trips.fill(key(), fill(10, 0));
        trips.split(key(), Quantity(70 * E9));
        trips.fill(key(), fill(-10, 1));
        assert_eq!(trips.of("sma"), TripCount::default());
        trips.fill(key(), fill(-60, 5));
        assert_eq!(trips.of("sma"), TripCount { closed: 1, won: 1 });
        assert_eq!(trips.of("sma").hit_rate(), Some(1.0));
        assert_eq!(trips.of("other").hit_rate(), None);
        // Nothing is held: nothing to restate.
        trips.split(key(), Quantity(5));
        assert_eq!(trips.of("sma").closed, 1);
    }
}
