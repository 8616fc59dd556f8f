//! Exact sums of products, wide enough for every window of 64-bit prices.
//!
//! A variance from floating sums of squares loses its digits when the prices are large and their spread is
//! small, and keeps the errors of every bar it ever saw. These sums are exact, so a window that slid for
//! years equals one that was just filled, to the last digit.
//!
//! Deliberately absent: division, and everything else that sums of products do not need.

/// A signed 256-bit integer: `high · 2^128 + low`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wide {
    high: i128,
    low: u128,
}

impl Wide {
    /// The product of two numbers.
    pub(super) fn product(left: i128, right: i128) -> Self {
        let magnitude = product(left.unsigned_abs(), right.unsigned_abs());
        if (left < 0) == (right < 0) { magnitude } else { magnitude.negated() }
    }

    fn negated(self) -> Self {
        let (low, carry) = (!self.low).overflowing_add(1);
        Self { high: (!self.high).wrapping_add(i128::from(carry)), low }
    }

    /// Adds; the sums of [`super::MAX_LENGTH`] products of prices stay far below 2^255.
    pub(super) fn plus(self, other: Self) -> Self {
        let (low, carry) = self.low.overflowing_add(other.low);
        Self { high: self.high.wrapping_add(other.high).wrapping_add(i128::from(carry)), low }
    }

    /// Subtracts.
    pub(super) fn minus(self, other: Self) -> Self {
        self.plus(other.negated())
    }

    /// Times a count.
    pub(super) fn times(self, count: usize) -> Self {
        let negative = self.high < 0;
        let magnitude = if negative { self.negated() } else { self };
        let low = product(magnitude.low, count as u128);
        let high = magnitude.high.wrapping_mul(i128::try_from(count).unwrap_or(i128::MAX));
        let scaled = Self { high: low.high.wrapping_add(high), low: low.low };
        if negative { scaled.negated() } else { scaled }
    }

    /// Whether it is above zero.
    pub(super) fn is_positive(self) -> bool {
        self.high > 0 || (self.high == 0 && self.low > 0)
    }

    /// The nearest float, within two units of its last place.
    pub(super) fn to_f64(self) -> f64 {
        const TWO_TO_128: f64 = 340_282_366_920_938_463_463_374_607_431_768_211_456.0;
        if self.high < 0 {
            return -self.negated().to_f64();
        }
        self.high as f64 * TWO_TO_128 + self.low as f64
    }
}

/// The product of two magnitudes below 2^127, by halves.
fn product(left: u128, right: u128) -> Wide {
    const HALF: u32 = 64;
    const MASK: u128 = u64::MAX as u128;
    let (left_high, left_low) = (left >> HALF, left & MASK);
    let (right_high, right_low) = (right >> HALF, right & MASK);
    if left_high == 0 && right_high == 0 {
        return Wide { high: 0, low: left_low * right_low };
    }
    let (low, cross, other) = (left_low * right_low, left_low * right_high, left_high * right_low);
    let middle = (low >> HALF) + (cross & MASK) + (other & MASK);
    let high = left_high * right_high + (cross >> HALF) + (other >> HALF) + (middle >> HALF);
    Wide { high: high as i128, low: (low & MASK) | (middle << HALF) }
}

#[cfg(test)]
mod tests {
    use super::Wide;

    #[test]
    fn products_and_sums_are_exact() {
        let large = i128::from(i64::MAX) * 100_000;
        let square = Wide::product(large, large);
        assert_eq!(square.minus(Wide::product(large - 1, large + 1)), Wide::product(1, 1));
        assert_eq!(square.plus(Wide::product(-large, large)), Wide::default());
        assert_eq!(Wide::product(-large, 3), Wide::product(large, -3));
        assert_eq!(
            Wide::product(large, large).times(7).minus(Wide::product(large * 7, large)),
            Wide::default()
        );
        assert_eq!(Wide::product(-5, 7).times(3), Wide::product(-105, 1));
        assert!((Wide::product(-5, 7).to_f64() + 35.0).abs() < f64::EPSILON);
        assert!(
            square.is_positive() && !Wide::product(-1, 1).is_positive() && !Wide::default().is_positive()
        );
    }
}
