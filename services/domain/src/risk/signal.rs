//! A signal by itself: whether any rule could judge it, and how its legs share the size.

use contracts::v1::{Intent, OrderType, Signal, SignalLeg, TimeInForce};

use super::RiskView;
use super::rule::{Checked, Rule, deny};
use crate::money::{E9, Quantity};

/// Refuses a signal that no rule could judge.
pub(super) fn check_signal(signal: &Signal, view: &RiskView) -> Checked {
    let invalid = |reason: String| deny(Rule::InvalidSignal, reason);
    if signal.legs.is_empty() {
        return invalid("`legs` is empty, expected at least one leg".to_owned());
    }
    if view.inputs.len() != signal.legs.len() {
        return invalid(format!("{} inputs for {} legs", view.inputs.len(), signal.legs.len()));
    }
    for (index, leg) in signal.legs.iter().enumerate() {
        let field = |name: &str, value: &str, expected: &str| {
            invalid(format!("`legs[{index}].{name}` is {value}, expected {expected}"))
        };
        if leg.symbol.is_empty() {
            return field("symbol", "empty", "a symbol");
        }
        if signal.legs[..index].iter().any(|earlier| earlier.symbol == leg.symbol) {
            return field("symbol", &leg.symbol, "a symbol that no other leg has");
        }
        if matches!(leg.intent(), Intent::Unspecified | Intent::Target) {
            return field("intent", leg.intent().as_str_name(), "enter long, enter short or exit");
        }
        match leg.order_type() {
            OrderType::Market | OrderType::Unspecified => {}
            OrderType::Limit if leg.limit_price_e9.is_some_and(|price| price > 0) => {}
            OrderType::Limit => {
                return field("limit_price_e9", "missing or not positive", "a positive price");
            }
            other => return field("order_type", other.as_str_name(), "market or limit"),
        }
        if !matches!(leg.time_in_force(), TimeInForce::Unspecified | TimeInForce::Day | TimeInForce::Gtc) {
            return field("time_in_force", leg.time_in_force().as_str_name(), "day or good till cancelled");
        }
        if leg.quantity_e9.is_some_and(|quantity| quantity <= 0) {
            return field("quantity_e9", "not positive", "a positive quantity, or none");
        }
    }
    Ok(())
}

/// Each leg's share of the signal in 1e-9; a leg without a weight counts as one of equal ones.
pub(super) fn shares_e9(signal: &Signal) -> Checked<Vec<i64>> {
    let count = i64::try_from(signal.legs.len()).unwrap_or(i64::MAX);
    let weight = |leg: &SignalLeg| match leg.weight_e9 {
        0 => Ok(E9 / count),
        weight if weight > 0 => Ok(weight),
        weight => {
            let weight = Quantity(weight);
            deny(Rule::InvalidSignal, format!("`weight_e9` is {weight}, expected 0 or more"))
        }
    };
    let weights: Vec<i64> = signal.legs.iter().map(weight).collect::<Checked<_>>()?;
    let total: i128 = weights.iter().copied().map(i128::from).sum();
    let share = |weight: i64| i64::try_from(i128::from(weight) * i128::from(E9) / total).unwrap_or(0);
    Ok(weights.into_iter().map(share).collect())
}
