//! An account's limits by name, as configuration files, forks and pages write them.
//!
//! Deliberately absent: what a limit does (`risk`).

use contracts::v1::RiskLimits;

use crate::money::{Amount, E9, Price};

/// Names of the limits.
pub const NAMES: [&str; 7] = [
    "max_position",
    "max_exposure",
    "max_order_value",
    "max_daily_loss",
    "price_collar",
    "max_price_age_s",
    "allow_short",
];

/// A limit as text; `None` for a name that there is not.
#[must_use]
pub fn text(limits: &RiskLimits, name: &str) -> Option<String> {
    Some(match name {
        "max_position" => Price(limits.max_position_fraction_e9).to_string(),
        "max_exposure" => Price(limits.max_exposure_fraction_e9).to_string(),
        "max_order_value" => Amount::from_wire(limits.max_order_value.as_ref()).to_string(),
        "max_daily_loss" => Price(limits.max_daily_loss_fraction_e9).to_string(),
        "price_collar" => Price(limits.price_collar_fraction_e9).to_string(),
        "max_price_age_s" => (limits.max_price_age_ms / 1_000).to_string(),
        "allow_short" => limits.allow_short.to_string(),
        _ => return None,
    })
}

/// The most that a limit which is a number may be, in 1e-9, and what is expected of it, in words. The least is 0.
#[must_use]
pub fn range(name: &str) -> (i64, &'static str) {
    match name {
        "max_position" | "max_exposure" => (10 * E9, "0 to 10, a share of equity"),
        "max_daily_loss" => (E9, "0 to 1, a share of equity"),
        "price_collar" => (E9, "0 to 1, a share of the price"),
        _ => (i64::MAX, "0 or more"),
    }
}

/// Sets a limit; an error says what was expected.
pub fn set(limits: &mut RiskLimits, name: &str, value: &str) -> Result<(), String> {
    let number = || {
        let (most, expected) = range(name);
        let number = value.parse::<Price>().ok().map(|price| price.0);
        number.filter(|number| (0..=most).contains(number)).ok_or_else(|| expected.to_owned())
    };
    match name {
        "max_position" => limits.max_position_fraction_e9 = number()?,
        "max_exposure" => limits.max_exposure_fraction_e9 = number()?,
        "max_order_value" => limits.max_order_value = Amount(i128::from(number()?)).to_wire(),
        "max_daily_loss" => limits.max_daily_loss_fraction_e9 = number()?,
        "price_collar" => limits.price_collar_fraction_e9 = number()?,
        "max_price_age_s" => {
            let seconds = value.parse::<u32>().ok().filter(|seconds| *seconds > 0);
            let seconds = seconds.ok_or_else(|| "a whole number of seconds".to_owned())?;
            limits.max_price_age_ms = i64::from(seconds) * 1_000;
        }
        "allow_short" => {
            limits.allow_short = value.parse().map_err(|_| "true or false".to_owned())?;
        }
        _ => return Err(format!("one of {}", NAMES.join(", "))),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_reads_back_as_it_was_set() {
        let mut limits = RiskLimits::default();
        for (name, value) in NAMES.iter().zip(["0.1", "1.5", "20000", "0.05", "0.2", "3600", "true"]) {
            set(&mut limits, name, value).unwrap();
            assert_eq!(text(&limits, name).as_deref(), Some(value), "{name}");
        }
        for (name, value, expected) in [
            ("max_position", "-1", "0 to 10, a share of equity"),
            ("max_position", "11", "0 to 10, a share of equity"),
            ("max_daily_loss", "1.1", "0 to 1, a share of equity"),
            ("price_collar", "2", "0 to 1, a share of the price"),
            ("max_order_value", "-1", "0 or more"),
        ] {
            assert_eq!(set(&mut limits, name, value).unwrap_err(), expected, "{name}");
        }
        assert_eq!(set(&mut limits, "allow_short", "perhaps").unwrap_err(), "true or false");
        assert!(set(&mut limits, "most", "1").unwrap_err().starts_with("one of max_position, max_exposure"));
        assert_eq!(text(&limits, "most"), None);
    }
}
