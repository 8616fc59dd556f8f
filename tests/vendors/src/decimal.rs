//! Exact decimals for orders and accounts: vendors send money and quantities as strings.
//!
//! Nine places, as many as a fractional quantity may have. Deliberately absent: market data, which vendors send
//! as JSON numbers and which lives in ten-thousandths of a dollar ([`crate::market::Bar`]).

use std::fmt;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

const SCALE: i128 = 1_000_000_000;

/// A decimal number in units of 1e-9.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Decimal(i128);

impl Decimal {
    /// Nought.
    pub const ZERO: Self = Self(0);
    /// One.
    pub const ONE: Self = Self(SCALE);

    /// A whole number.
    #[must_use]
    pub const fn whole(value: i64) -> Self {
        Self(value as i128 * SCALE)
    }

    /// A number of ten-thousandths, the unit of market data.
    #[must_use]
    pub const fn ten_thousandths(value: i64) -> Self {
        Self(value as i128 * (SCALE / 10_000))
    }

    /// The number that `text` writes, if it has at most nine places and no exponent.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if (whole.is_empty() && part.is_empty()) || !plain(whole) || !plain(part) || part.len() > 9 {
            return None;
        }
        let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let part: i128 = if part.is_empty() { 0 } else { format!("{part:0<9}").parse().ok()? };
        let value = whole.checked_mul(SCALE)?.checked_add(part)?;
        Some(Self(if negative { -value } else { value }))
    }

    /// The number in a JSON value, written as a number or as a string.
    #[must_use]
    pub fn from_json(value: &serde_json::Value) -> Option<Self> {
        match value {
            serde_json::Value::String(text) => Self::parse(text.trim()),
            serde_json::Value::Number(number) => Self::parse(&number.to_string())
                .or_else(|| number.as_f64().and_then(|number| Self::parse(&format!("{number:.9}")))),
            _ => None,
        }
    }

    /// The product, rounded towards nought at the ninth place.
    #[must_use]
    pub const fn times(self, other: Self) -> Self {
        Self(self.0 * other.0 / SCALE)
    }

    /// The quotient, rounded towards nought at the ninth place; nought when divided by nought.
    #[must_use]
    pub const fn over(self, other: Self) -> Self {
        if other.0 == 0 { Self::ZERO } else { Self(self.0 * SCALE / other.0) }
    }

    /// Without its sign.
    #[must_use]
    pub const fn abs(self) -> Self {
        Self(self.0.abs())
    }

    /// Below nought.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// Nought.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Whether there is nothing behind the point.
    #[must_use]
    pub const fn is_whole(self) -> bool {
        self.0 % SCALE == 0
    }

    /// How many places behind the point are needed.
    #[must_use]
    pub fn places(self) -> usize {
        self.to_string().split_once('.').map_or(0, |(_, part)| part.len())
    }

    /// The nearest float.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    /// Rounded down to `places` places.
    #[must_use]
    pub fn floor_to(self, places: u32) -> Self {
        let unit = SCALE / 10_i128.pow(places.min(9));
        Self(self.0.div_euclid(unit) * unit)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, part) = (self.0.abs() / SCALE, self.0.abs() % SCALE);
        if part == 0 {
            return write!(formatter, "{sign}{whole}");
        }
        let part = format!("{part:09}");
        write!(formatter, "{sign}{whole}.{}", part.trim_end_matches('0'))
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Add for Decimal {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Decimal {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Neg for Decimal {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl AddAssign for Decimal {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl SubAssign for Decimal {
    fn sub_assign(&mut self, other: Self) {
        self.0 -= other.0;
    }
}

impl std::iter::Sum for Decimal {
    fn sum<I: Iterator<Item = Self>>(values: I) -> Self {
        values.fold(Self::ZERO, Add::add)
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        Self::from_json(&value).ok_or_else(|| D::Error::custom(format!("not a decimal number: {value}")))
    }
}

#[cfg(test)]
mod tests {
    use super::Decimal;

    #[test]
    fn decimals_are_written_as_they_are_read() {
        for text in ["0", "1", "-1", "0.5", "187.5", "-0.000000001", "123456789.123456789"] {
            assert_eq!(Decimal::parse(text).map(|value| value.to_string()).as_deref(), Some(text));
        }
        for text in ["", ".", "-", "1.0000000001", "1e5", "abc", "1.2.3"] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
        assert_eq!(Decimal::parse("10.50").map(|value| value.to_string()).as_deref(), Some("10.5"));
        let value = serde_json::json!({"a": 1.5e-7, "b": "2.25", "c": 3});
        let read = |key: &str| Decimal::from_json(&value[key]).map(|value| value.to_string());
        assert_eq!(read("a").as_deref(), Some("0.00000015"));
        assert_eq!(read("b").as_deref(), Some("2.25"));
        assert_eq!(read("c").as_deref(), Some("3"));
    }
}
