//! Exact numbers: prices and quantities at 1e-9, volumes at 1e-3, amounts of money at 1e-9.
//!
//! Prices, quantities and volumes are `i64`, amounts `i128` in memory; a product that leaves its range
//! is `None`, never a wrapped or saturated number. Text is decimal, without exponent.

use std::fmt;
use std::str::FromStr;

use contracts::v1::Money;

pub mod stored;

/// Billionths in one unit.
pub const E9: i64 = 1_000_000_000;
const E9_WIDE: i128 = 1_000_000_000;

/// Text that is not an exact number of the wanted scale.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?}: {problem}")]
pub struct MalformedNumber {
    /// The text in question.
    pub text: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

macro_rules! fixed {
    ($(#[$doc:meta])* $name:ident, $digits:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i64);

        impl $name {
            /// Nothing.
            pub const ZERO: Self = Self(0);

            /// Sum, `None` on overflow.
            #[must_use]
            pub fn checked_add(self, other: Self) -> Option<Self> {
                self.0.checked_add(other.0).map(Self)
            }

            /// Difference, `None` on overflow.
            #[must_use]
            pub fn checked_sub(self, other: Self) -> Option<Self> {
                self.0.checked_sub(other.0).map(Self)
            }

            /// The value as a float, for indicators and statistics only.
            #[must_use]
            pub fn to_f64(self) -> f64 {
                // A float holds 53 bits; statistics accept the rounding.
                self.0 as f64 / 10f64.powi($digits)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_decimal(formatter, i128::from(self.0), $digits)
            }
        }

        impl FromStr for $name {
            type Err = MalformedNumber;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let value = parse_decimal(text, $digits)?;
                i64::try_from(value).map(Self).map_err(|_| MalformedNumber {
                    text: text.to_owned(),
                    problem: "out of range",
                })
            }
        }
    };
}

fixed!(
    /// A price per share, in 1e-9 of the currency.
    Price,
    9
);
fixed!(
    /// A number of shares, in 1e-9; signed where it is a position.
    Quantity,
    9
);
fixed!(
    /// Traded volume, in 1e-3 of a share.
    Volume,
    3
);

impl Quantity {
    /// Whole shares below `self`, towards zero.
    #[must_use]
    pub fn whole(self) -> Self {
        Self(self.0 / E9 * E9)
    }

    /// The absolute quantity; the one value without an absolute, `i64::MIN`, saturates.
    #[must_use]
    pub fn abs(self) -> Self {
        Self(self.0.saturating_abs())
    }
}

/// An amount of money, in 1e-9 of the currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(pub i128);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// `price` × `quantity`, rounded half to even at 1e-9. Two `i64` cannot overflow an `i128`.
    #[must_use]
    pub fn notional(price: Price, quantity: Quantity) -> Self {
        Self(div_e9_half_even(i128::from(price.0) * i128::from(quantity.0)))
    }

    /// This amount × `rate_e9` billionths, rounded half to even; `None` on overflow.
    #[must_use]
    pub fn times_e9(self, rate_e9: i64) -> Option<Self> {
        Some(Self(div_e9_half_even(self.0.checked_mul(i128::from(rate_e9))?)))
    }

    /// Sum, `None` on overflow.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// Difference, `None` on overflow.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// The amount without its sign.
    #[must_use]
    pub fn abs(self) -> Self {
        Self(self.0.saturating_abs())
    }

    /// The value as a float, for statistics only.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// The wire form; `None` when the units do not fit 64 bits.
    #[must_use]
    pub fn to_wire(self) -> Option<Money> {
        if let Ok(narrow) = i64::try_from(self.0) {
            // A division by a constant: no more than a multiplication.
            return Some(Money { units: narrow / E9, nanos: i32::try_from(narrow % E9).ok()? });
        }
        Some(Money {
            units: i64::try_from(self.0 / E9_WIDE).ok()?,
            nanos: i32::try_from(self.0 % E9_WIDE).ok()?,
        })
    }

    /// Reads the wire form; a missing message is nothing.
    #[must_use]
    pub fn from_wire(money: Option<&Money>) -> Self {
        money.map_or(Self::ZERO, |money| Self(i128::from(money.units) * E9_WIDE + i128::from(money.nanos)))
    }
}

impl std::ops::Neg for Amount {
    type Output = Self;

    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_decimal(formatter, self.0, 9)
    }
}

impl FromStr for Amount {
    type Err = MalformedNumber;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_decimal(text, 9).map(Self)
    }
}

/// `numerator` / `denominator` rounded half to even; the denominator is positive.
///
/// No intermediate value overflows, whatever the numerator.
#[must_use]
pub fn div_half_even(numerator: i128, denominator: i128) -> i128 {
    let (mut quotient, mut remainder) = (numerator / denominator, numerator % denominator);
    if remainder < 0 {
        (quotient, remainder) = (quotient - 1, remainder + denominator);
    }
    match remainder.cmp(&(denominator - remainder)) {
        std::cmp::Ordering::Less => quotient,
        std::cmp::Ordering::Greater => quotient + 1,
        std::cmp::Ordering::Equal => quotient + quotient.rem_euclid(2),
    }
}

/// As [`div_half_even`] by 1e9, which is 2⁹ · 5⁹: all but the largest numerators fit 64 bits without their last
/// nine bits, where a division by a constant is no more than a multiplication.
fn div_e9_half_even(numerator: i128) -> i128 {
    const ODD: u64 = 1_953_125;
    const HALF: u64 = 500_000_000;
    let magnitude = numerator.unsigned_abs();
    let Ok(high) = u64::try_from(magnitude >> 9) else { return div_half_even(numerator, E9_WIDE) };
    let low = u64::try_from(magnitude & 511).unwrap_or_default();
    let (quotient, remainder) = (high / ODD, ((high % ODD) << 9) | low);
    let up = remainder > HALF || (remainder == HALF && quotient % 2 == 1);
    let rounded = i128::from(quotient) + i128::from(up);
    if numerator < 0 { -rounded } else { rounded }
}

fn write_decimal(formatter: &mut fmt::Formatter<'_>, value: i128, digits: usize) -> fmt::Result {
    let scale = 10u128.pow(u32::try_from(digits).unwrap_or_default());
    let magnitude = value.unsigned_abs();
    let (units, fraction) = (magnitude / scale, magnitude % scale);
    let mut text = units.to_string();
    if fraction != 0 {
        let fraction = format!("{fraction:0digits$}");
        text.push('.');
        text.push_str(fraction.trim_end_matches('0'));
    }
    formatter.pad_integral(value >= 0, "", &text)
}

fn parse_decimal(text: &str, digits: usize) -> Result<i128, MalformedNumber> {
    let malformed = |problem| MalformedNumber { text: text.to_owned(), problem };
    let (negative, unsigned) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let (units, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    if units.is_empty() && fraction.is_empty() {
        return Err(malformed("not a number"));
    }
    if !units.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
        return Err(malformed("not a decimal number"));
    }
    let fraction = if fraction.len() > digits { fraction.trim_end_matches('0') } else { fraction };
    if fraction.len() > digits {
        return Err(malformed("more decimal places than can be kept exactly"));
    }
    let mut value: i128 = 0;
    let padding = std::iter::repeat_n(b'0', digits - fraction.len());
    for byte in units.bytes().chain(fraction.bytes()).chain(padding) {
        let digit = i128::from(byte - b'0');
        // Built from its sign on, because the lowest number has no positive counterpart.
        value = value
            .checked_mul(10)
            .and_then(|value| value.checked_add(if negative { -digit } else { digit }))
            .ok_or_else(|| malformed("out of range"))?;
    }
    Ok(value)
}
