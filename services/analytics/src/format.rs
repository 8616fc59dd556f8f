//! Numbers as a reader sees them: signs always, thousands apart, undefined as a dash.

use domain::money::{Amount, div_half_even};

use crate::metrics::Unit;

/// What stands where there is no number.
pub const UNDEFINED: &str = "–";

/// Whether a number is a gain or a loss; the sign says so too, colour only repeats it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Neither.
    Plain,
    /// Above zero.
    Gain,
    /// Below zero.
    Loss,
}

impl Tone {
    /// The tone of a number that is a gain or a loss.
    #[must_use]
    pub fn of(value: Option<f64>) -> Self {
        match value {
            Some(value) if value > 0.0 => Self::Gain,
            Some(value) if value < 0.0 => Self::Loss,
            _ => Self::Plain,
        }
    }

    /// Name of its class in a style sheet.
    #[must_use]
    pub const fn class(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Gain => "gain",
            Self::Loss => "loss",
        }
    }
}

/// `12345.678` with so many decimals as `12,345.68`; a minus sign where it is negative.
#[must_use]
pub fn number(value: f64, decimals: usize) -> String {
    let digits = format!("{:.decimals$}", value.abs());
    let (units, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
    let nothing = digits.bytes().all(|byte| byte == b'0' || byte == b'.');
    let sign = if value < 0.0 && !nothing { "−" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{}{point}{fraction}", thousands(units))
}

/// The same with a plus sign where it is positive.
#[must_use]
pub fn signed(value: f64, decimals: usize) -> String {
    let text = number(value, decimals);
    if text.starts_with('−') || text.bytes().all(|byte| !byte.is_ascii_digit() || byte == b'0') {
        return text;
    }
    format!("+{text}")
}

/// A fraction in per cent with its sign: `0.1234` as `+12.34 %`.
#[must_use]
pub fn percent(value: Option<f64>) -> String {
    value.map_or_else(|| UNDEFINED.to_owned(), |value| format!("{} %", signed(value * 100.0, 2)))
}

/// A fraction in per cent that is neither gain nor loss: `0.1234` as `12.34 %`.
#[must_use]
pub fn share(value: Option<f64>) -> String {
    value.map_or_else(|| UNDEFINED.to_owned(), |value| format!("{} %", number(value * 100.0, 2)))
}

/// Decimal money in cents, rounded half to even: `12345.678` as `12,345.68`.
#[must_use]
pub fn money(text: &str) -> String {
    let Ok(Amount(amount)) = text.parse() else { return text.to_owned() };
    let cents = div_half_even(amount, 10_000_000);
    let sign = if cents < 0 { "−" } else { "" };
    let cents = cents.unsigned_abs();
    format!("{sign}{}.{:02}", thousands(&(cents / 100).to_string()), cents % 100)
}

/// Decimal money with a plus sign where it is positive.
#[must_use]
pub fn signed_money(text: &str) -> String {
    let plus = text.parse::<Amount>().is_ok_and(|amount| amount > Amount::ZERO);
    if plus { format!("+{}", money(text)) } else { money(text) }
}

/// Seconds as `3 d 4 h`, `4 h 5 min` or `30 s`.
#[must_use]
pub fn seconds(value: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
    let whole = value.max(0.0).round() as u64;
    let (days, hours, minutes) = (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{whole} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// A metric in its unit.
#[must_use]
pub fn metric(value: Option<f64>, unit: Unit) -> String {
    let Some(value) = value else { return UNDEFINED.to_owned() };
    match unit {
        Unit::Ratio => number(value, 3),
        Unit::Percent => share(Some(value)),
        Unit::Money => signed(value, 2),
        Unit::Count => number(value, 0),
        Unit::Seconds => seconds(value),
        Unit::Days => format!("{} days", number(value, 0)),
    }
}

/// Whole digits with a comma between thousands.
fn thousands(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(number(1_234_567.891, 2), "1,234,567.89");
        assert_eq!((number(-0.001, 2), number(-12.0, 0)), ("0.00".to_owned(), "−12".to_owned()));
        assert_eq!((signed(0.0, 2), signed(3.0, 1)), ("0.00".to_owned(), "+3.0".to_owned()));
        assert_eq!((percent(Some(-0.1234)), percent(None)), ("−12.34 %".to_owned(), "–".to_owned()));
        assert_eq!((money("12345.675"), money("-0.005")), ("12,345.68".to_owned(), "0.00".to_owned()));
        assert_eq!(
            (signed_money("5"), signed_money("-1234.5")),
            ("+5.00".to_owned(), "−1,234.50".to_owned())
        );
        assert_eq!(seconds(93_600.0), "1 d 2 h");
        assert_eq!((seconds(59.0), seconds(3_661.0)), ("59 s".to_owned(), "1 h 1 min".to_owned()));
    }
}
