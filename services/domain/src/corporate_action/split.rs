//! The ratio of a split and what it does to a quantity and a price.

use crate::money::{E9, Price, Quantity, Volume, div_half_even};

/// Largest term that a ratio read from nine decimals may have. Two such fractions lie at least 1e-8
/// apart, so nine decimals name at most one of them.
const MAX_TERM: i128 = 10_000;

/// How a split is expected to show in prices.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Showing {
    /// A split that changes prices by less than this share, 0.25 for 5 new shares for 4, is not looked for among them: any
    /// night may move as far.
    pub least: f64,
    /// The share of its jump that prices move at least where it shows, as a ratio.
    pub moved: f64,
}

impl Default for Showing {
    fn default() -> Self {
        Self { least: 0.25, moved: 0.5 }
    }
}

/// New shares per old share, as a fraction in lowest terms.
///
/// The tape carries the ratio with nine decimals, which a one-for-three split does not have. A value that
/// is the nine-decimal form of a fraction with a small denominator is therefore read as that fraction, so
/// that 300 shares become 100 and not 99.9999999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SplitRatio {
    new: i64,
    old: i64,
}

/// A number that is not the ratio of a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("split ratio {}, expected a positive number of new shares per old share", Price(*.0))]
pub struct InvalidRatio(pub i64);

/// A price, volume or quantity that leaves its range when it is adjusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field} {value} (in its smallest unit) times {new} for {old} is out of range")]
pub struct Unadjustable {
    /// What was adjusted.
    pub field: &'static str,
    /// Its value before, in its smallest unit.
    pub value: i64,
    /// New shares of the ratio.
    pub new: i64,
    /// Old shares of the ratio.
    pub old: i64,
}

/// A quantity after a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SplitQuantity {
    /// What is held after the split.
    pub held: Quantity,
    /// The fraction of a share that is paid as cash in lieu instead; the sign is that of the position.
    pub fraction: Quantity,
}

impl SplitRatio {
    /// The ratio whose nine-decimal form is `value_e9` billionths.
    pub fn from_e9(value_e9: i64) -> Result<Self, InvalidRatio> {
        if value_e9 <= 0 {
            return Err(InvalidRatio(value_e9));
        }
        Ok(small_fraction(value_e9).unwrap_or_else(|| lowest_terms(value_e9, E9)))
    }

    /// `new` shares for `old` ones, both positive.
    pub fn from_terms(new: i64, old: i64) -> Result<Self, InvalidRatio> {
        if new <= 0 || old <= 0 { Err(InvalidRatio(new.min(old))) } else { Ok(lowest_terms(new, old)) }
    }

    /// The nine-decimal form, rounded half to even; `None` when it is out of range or rounds to nothing.
    #[must_use]
    pub fn to_e9(self) -> Option<i64> {
        let value = div_half_even(i128::from(self.new) * i128::from(E9), i128::from(self.old));
        i64::try_from(value).ok().filter(|value| *value > 0)
    }

    /// New and old shares, in lowest terms.
    #[must_use]
    pub fn terms(self) -> (i64, i64) {
        (self.new, self.old)
    }

    /// Whether there are fewer shares after the split; such a split cancels open orders.
    #[must_use]
    pub fn is_reverse(self) -> bool {
        self.new < self.old
    }

    /// A quantity after the split. A position in whole shares stays in whole shares: the rest is the
    /// fraction, rounded half to even at 1e-9. A position that had a fraction keeps one, rounded towards
    /// zero at 1e-9, and nothing is paid for it; one of which less than a billionth would be left is paid as a
    /// billionth, so that no position vanishes with its cost.
    pub fn split_quantity(self, quantity: Quantity) -> Result<SplitQuantity, Unadjustable> {
        let (product, old) = (i128::from(quantity.0) * i128::from(self.new), i128::from(self.old));
        let range = |value: i128| i64::try_from(value).map_err(|_| self.unadjustable("quantity", quantity.0));
        if quantity != quantity.whole() {
            let held = Quantity(range(product / old)?);
            let fraction = if held == Quantity::ZERO { quantity.0.signum() } else { 0 };
            return Ok(SplitQuantity { held, fraction: Quantity(fraction) });
        }
        let share = old * i128::from(E9);
        let held = Quantity(range(product / share * i128::from(E9))?);
        let fraction = Quantity(range(div_half_even(product % share, old))?);
        Ok(SplitQuantity { held, fraction })
    }

    /// A price in new shares: divided by the ratio, rounded half to even at 1e-9.
    pub fn adjust_price(self, price: Price) -> Result<Price, Unadjustable> {
        let adjusted = div_half_even(i128::from(price.0) * i128::from(self.old), i128::from(self.new));
        i64::try_from(adjusted).map(Price).map_err(|_| self.unadjustable("price", price.0))
    }

    /// A volume in new shares: times the ratio, rounded half to even at 1e-3.
    pub fn adjust_volume(self, volume: Volume) -> Result<Volume, Unadjustable> {
        let adjusted = div_half_even(i128::from(volume.0) * i128::from(self.new), i128::from(self.old));
        i64::try_from(adjusted).map(Volume).map_err(|_| self.unadjustable("volume", volume.0))
    }

    fn unadjustable(self, field: &'static str, value: i64) -> Unadjustable {
        Unadjustable { field, value, new: self.new, old: self.old }
    }
}

/// The fraction with terms up to [`MAX_TERM`] whose nine-decimal form, rounded or cut off, is `value_e9`.
///
/// It walks the convergents of `value_e9 / 1e9`. A fraction with so small a denominator that lies within
/// 1e-9 of a number is one of its convergents (Legendre: closer than half the inverse square).
fn small_fraction(value_e9: i64) -> Option<SplitRatio> {
    let (value, scale) = (i128::from(value_e9), i128::from(E9));
    let (mut numerator, mut denominator) = (value, scale);
    let (mut new, mut previous_new) = (1, 0);
    let (mut old, mut previous_old) = (0, 1);
    while denominator != 0 {
        let term = numerator / denominator;
        (new, previous_new) = (term * new + previous_new, new);
        (old, previous_old) = (term * old + previous_old, old);
        if new > MAX_TERM || old > MAX_TERM {
            return None;
        }
        if (new * scale - value * old).abs() < old {
            return Some(SplitRatio { new: i64::try_from(new).ok()?, old: i64::try_from(old).ok()? });
        }
        (numerator, denominator) = (denominator, numerator % denominator);
    }
    None
}

fn lowest_terms(new: i64, old: i64) -> SplitRatio {
    let (mut divisor, mut rest) = (new, old);
    while rest != 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    SplitRatio { new: new / divisor, old: old / divisor }
}

/// Whether a split of `new` shares for one does not show in a move from `close` to the next session's `open`: that is less
/// than the share of what the split makes that `showing` states.
#[must_use]
pub fn lacks_jump(close: f64, open: f64, new: f64, showing: Showing) -> bool {
    let (moved, wanted) = ((close / open).ln(), new.ln());
    wanted.abs() >= (1.0 + showing.least).ln() && moved * wanted.signum() < wanted.abs() * showing.moved
}
