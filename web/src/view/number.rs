//! Numbers as text: thousands separated, money at cents, gain and loss with sign and arrow.

use domain::money::{Amount, E9, Price, Quantity, Volume, div_half_even};

/// A gain or a loss as text. Colour alone never says which: the text has a sign and the arrow a shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The number with its sign.
    pub text: String,
    /// `gain`, `loss` or `flat`.
    pub tone: &'static str,
    /// `▲`, `▼` or nothing.
    pub arrow: &'static str,
}

impl Signed {
    fn of(sign: i128, magnitude: &str) -> Self {
        let (mark, tone, arrow) = match sign.signum() {
            1 => ("+", "gain", "▲"),
            -1 => ("−", "loss", "▼"),
            _ => ("", "flat", ""),
        };
        Self { text: format!("{mark}{magnitude}"), tone, arrow }
    }
}

/// Money at cents, rounded half to even: `−1,234.50`.
#[must_use]
pub fn money(amount: Amount) -> String {
    with_sign(cents(amount))
}

/// A figure of money that is no more exact than its float, at cents: `−1,234.50`; a dash when it is undefined.
#[must_use]
pub fn money_about(value: f64) -> String {
    let text = format!("{:.2}", value.abs());
    let Some((units, cents)) = text.split_once('.') else { return "–".to_owned() };
    let sign = if value < 0.0 && text != "0.00" { "−" } else { "" };
    format!("{sign}{}.{cents}", units.parse::<u128>().map_or_else(|_| units.to_owned(), grouped))
}

/// A change of money at cents, with its sign.
#[must_use]
pub fn signed_money(amount: Amount) -> Signed {
    let cents = cents(amount);
    Signed::of(cents, &fixed(cents.unsigned_abs(), 2, 2))
}

/// A price: at least cents, at most four decimal places.
#[must_use]
pub fn price(price: Price) -> String {
    let scaled = div_half_even(i128::from(price.0), i128::from(E9) / 10_000);
    let text = fixed(scaled.unsigned_abs(), 4, 2);
    if scaled < 0 { format!("−{text}") } else { text }
}

/// A number of shares, exact, negative with its sign.
#[must_use]
pub fn quantity(quantity: Quantity) -> String {
    let text = fixed(i128::from(quantity.0).unsigned_abs(), 9, 0);
    if quantity.0 < 0 { format!("−{text}") } else { text }
}

/// Traded volume in shares, exact.
#[must_use]
pub fn volume(volume: Volume) -> String {
    fixed(i128::from(volume.0).unsigned_abs(), 3, 0)
}

/// A share as a percentage with two decimal places: `12.50 %`; a dash when it is undefined.
#[must_use]
pub fn percent(share: Option<f64>) -> String {
    match share {
        Some(share) if share.is_finite() => format!("{} %", decimal(share * 100.0, 2)),
        _ => "–".to_owned(),
    }
}

/// A change as a percentage with two decimal places and its sign.
#[must_use]
pub fn signed_percent(share: Option<f64>) -> Signed {
    signed_percent_to(share, 2)
}

/// A change as a percentage with so many decimal places and its sign.
#[must_use]
pub fn signed_percent_to(share: Option<f64>, places: usize) -> Signed {
    let Some(share) = share.filter(|share| share.is_finite()) else {
        return Signed { text: "–".to_owned(), tone: "flat", arrow: "" };
    };
    let magnitude = decimal(share.abs() * 100.0, places);
    let sign = if magnitude.bytes().all(|byte| !byte.is_ascii_digit() || byte == b'0') {
        0
    } else if share < 0.0 {
        -1
    } else {
        1
    };
    Signed::of(sign, &format!("{magnitude} %"))
}

/// A count with thousands separated.
#[must_use]
pub fn count(number: u64) -> String {
    grouped(u128::from(number))
}

/// A ratio with two decimal places; a dash when it is undefined.
#[must_use]
pub fn ratio(value: Option<f64>) -> String {
    value.filter(|value| value.is_finite()).map_or_else(|| "–".to_owned(), |value| decimal(value, 2))
}

fn cents(amount: Amount) -> i128 {
    div_half_even(amount.0, i128::from(E9) / 100)
}

fn with_sign(cents: i128) -> String {
    let text = fixed(cents.unsigned_abs(), 2, 2);
    if cents < 0 { format!("−{text}") } else { text }
}

fn decimal(value: f64, places: usize) -> String {
    format!("{value:.places$}").replace('-', "−")
}

/// `value` × 10^-digits with at least `least` decimal places and thousands separated.
fn fixed(value: u128, digits: usize, least: usize) -> String {
    let scale = 10u128.pow(u32::try_from(digits).unwrap_or_default());
    let mut text = grouped(value / scale);
    let fraction = format!("{:0digits$}", value % scale);
    let kept = fraction.trim_end_matches('0').len().max(least);
    if kept > 0 {
        text.push('.');
        text.push_str(&fraction[..kept]);
    }
    text
}

fn grouped(units: u128) -> String {
    let digits = units.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(text: &str) -> Amount {
        text.parse().expect("a decimal number")
    }

    #[test]
    fn money_is_rounded_half_to_even_and_grouped() {
        for (exact, shown) in [
            ("0", "0.00"),
            ("1234567.005", "1,234,567.00"),
            ("1234567.015", "1,234,567.02"),
            ("-999.999", "−1,000.00"),
            ("-0.001", "0.00"),
        ] {
            assert_eq!(money(amount(exact)), shown, "{exact}");
        }
    }

    #[test]
    fn a_figure_of_money_is_written_as_money_is() {
        for (value, text) in [
            (1_932.09, "1,932.09"),
            (-720.357, "−720.36"),
            (-0.001, "0.00"),
            (1_234_567.0, "1,234,567.00"),
            (f64::NAN, "–"),
            (f64::INFINITY, "–"),
        ] {
            assert_eq!(money_about(value), text, "{value}");
        }
    }

    #[test]
    fn a_change_carries_its_sign_and_none_when_it_rounds_to_nothing() {
        assert_eq!(signed_money(amount("12.5")).text, "+12.50");
        assert_eq!(signed_money(amount("-12.5")).arrow, "▼");
        assert_eq!(signed_money(amount("-0.004")).tone, "flat");
        assert_eq!(signed_percent(Some(-0.012_34)).text, "−1.23 %");
        assert_eq!(signed_percent(Some(-0.000_01)).tone, "flat");
        assert_eq!(signed_percent_to(Some(-0.000_01), 3).text, "−0.001 %");
        assert_eq!(signed_percent_to(Some(-0.000_001), 3).text, "0.000 %");
        assert_eq!(signed_percent(None).text, "–");
    }

    #[test]
    fn prices_and_quantities_show_what_they_hold() {
        assert_eq!(price(Price(189_500_000_000)), "189.50");
        assert_eq!(price(Price(1_234_567_800_000)), "1,234.5678");
        assert_eq!(quantity(Quantity(1_200 * E9)), "1,200");
        assert_eq!(quantity(Quantity(-500_000_000)), "−0.5");
    }

    #[test]
    fn an_undefined_ratio_is_a_dash() {
        assert_eq!(ratio(Some(f64::NAN)), "–");
        assert_eq!(ratio(Some(-1.256)), "−1.26");
        assert_eq!(percent(None), "–");
    }
}
