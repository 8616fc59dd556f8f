//! Sizing: how many shares an entry is.
//!
//! A fixed quantity, an amount of money, a share of equity, or an equal part of one per symbol of the
//! strategy, at the reference price; all rounded down to whole shares, so
//! that a size never exceeds what was asked for. Deliberately absent: limits (that is [`crate::risk`]'s).

use contracts::v1::{Sizing, SizingKind};

use crate::money::{Amount, E9, Price, Quantity};

/// A sizing that cannot be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SizingError {
    /// No policy is stated.
    #[error("sizing kind is unspecified, expected fixed, fraction, notional or equal weight")]
    Unspecified,
    /// A value that must be positive is not.
    #[error("`{field}` is {value}, expected a positive value")]
    NotPositive {
        /// Field.
        field: &'static str,
        /// Its value in decimal.
        value: Quantity,
    },
    /// The size does not fit.
    #[error("the size overflows")]
    Overflow,
}

/// What [`parse`] reads, in words.
pub const EXPECTED: &str = "fixed:SHARES, fraction:SHARE_OF_EQUITY, notional:AMOUNT, equal_weight or \
    equal_weight:SHARE_OF_EQUITY, more than 0, a share of equity at most 10";

/// Reads `fixed:SHARES`, `fraction:SHARE_OF_EQUITY`, `notional:AMOUNT`, `equal_weight` (all of the equity) or
/// `equal_weight:SHARE_OF_EQUITY`; all positive, a share of equity at most 10.
#[must_use]
pub fn parse(text: &str) -> Option<Sizing> {
    let (kind, number) = text.split_once(':').or_else(|| (text == "equal_weight").then_some((text, "1")))?;
    let value_e9 = number.parse::<Price>().ok().map(|price| price.0).filter(|value| *value > 0)?;
    let kind = match kind {
        "fixed" => SizingKind::Fixed,
        "fraction" if value_e9 <= 10 * E9 => SizingKind::Fraction,
        "notional" => SizingKind::Notional,
        "equal_weight" if value_e9 <= 10 * E9 => SizingKind::EqualWeight,
        _ => return None,
    };
    Some(Sizing { kind: kind.into(), value_e9 })
}

/// A sizing as [`parse`] reads it; `None` when no policy is stated.
#[must_use]
pub fn text(sizing: &Sizing) -> Option<String> {
    let value = Quantity(sizing.value_e9);
    match sizing.kind() {
        SizingKind::Fixed => Some(format!("fixed:{value}")),
        SizingKind::Fraction => Some(format!("fraction:{value}")),
        SizingKind::Notional => Some(format!("notional:{value}")),
        SizingKind::EqualWeight if sizing.value_e9 == E9 => Some("equal_weight".to_owned()),
        SizingKind::EqualWeight => Some(format!("equal_weight:{value}")),
        SizingKind::Unspecified => None,
    }
}

/// What an entry is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The leg's share of the signal in 1e-9, [`E9`] when it is the only leg.
    pub share_e9: i64,
    /// Largest position as a share of equity that the strategy's parameters allow.
    pub cap_e9: Option<i64>,
    /// Number of symbols that the strategy trades.
    pub symbols: u32,
}

/// Whole shares of an entry at `price` with `equity` in the account.
///
/// `share_e9` is the leg's share of the signal, [`E9`] when it is the only leg. `cap_e9` is the largest
/// position as a share of equity that the strategy's parameters allow.
pub fn shares(
    sizing: &Sizing,
    share_e9: i64,
    cap_e9: Option<i64>,
    equity: Amount,
    price: Price,
) -> Result<Quantity, SizingError> {
    shares_in(sizing, Scope { share_e9, cap_e9, symbols: 1 }, equity, price)
}

/// As [`shares`], with everything that a policy may look at.
pub fn shares_in(
    sizing: &Sizing,
    scope: Scope,
    equity: Amount,
    price: Price,
) -> Result<Quantity, SizingError> {
    let Scope { share_e9, cap_e9, symbols } = scope;
    let not_positive = |field, value| SizingError::NotPositive { field, value: Quantity(value) };
    if price.0 <= 0 {
        return Err(not_positive("price", price.0));
    }
    if sizing.value_e9 <= 0 {
        return Err(not_positive("value_e9", sizing.value_e9));
    }
    let share_of_value = i128::from(sizing.value_e9) * i128::from(share_e9.max(0)) / i128::from(E9);
    let share_of_value = i64::try_from(share_of_value).map_err(|_| SizingError::Overflow)?;
    let wanted = match sizing.kind() {
        SizingKind::Fixed => Quantity(share_of_value).whole(),
        SizingKind::Fraction => affordable(equity, share_of_value, price)?,
        SizingKind::Notional => affordable(Amount(share_of_value.into()), E9, price)?,
        SizingKind::EqualWeight if symbols == 0 => return Err(not_positive("strategy_symbols", 0)),
        SizingKind::EqualWeight => affordable(equity, share_of_value / i64::from(symbols), price)?,
        SizingKind::Unspecified => return Err(SizingError::Unspecified),
    };
    match cap_e9 {
        None => Ok(wanted),
        Some(cap) => Ok(wanted.min(affordable(equity, cap, price)?)),
    }
}

/// Whole shares that `fraction_e9` billionths of `equity` buy at `price`; none without equity.
fn affordable(equity: Amount, fraction_e9: i64, price: Price) -> Result<Quantity, SizingError> {
    if equity.0 <= 0 || fraction_e9 <= 0 {
        return Ok(Quantity::ZERO);
    }
    // Truncated, not rounded: amounts are positive here, and a size never exceeds its share.
    let budget = equity.0.checked_mul(i128::from(fraction_e9)).ok_or(SizingError::Overflow)? / i128::from(E9);
    let whole = budget / i128::from(price.0) * i128::from(E9);
    i64::try_from(whole).map(Quantity).map_err(|_| SizingError::Overflow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sizing_reads_as_it_is_written() {
        for text in ["fixed:10", "fraction:0.1", "fraction:10"] {
            assert_eq!(parse(text).and_then(|sizing| super::text(&sizing)).as_deref(), Some(text));
        }
        for text in ["fixed:0", "fraction:10.1", "half:1", "fixed", "fixed:-1", ""] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
