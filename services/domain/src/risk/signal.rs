//! A signal by itself: whether any rule could judge it, and how its legs share the size.

use contracts::v1::{Intent, OrderType, Signal, SignalLeg, Sizing, SizingKind, TimeInForce};

use super::kernel::worst_price;
use super::rule::{Checked, Rule, deny};
use super::{RiskView, leg, replace};
use crate::matching::{Terms, check_terms};
use crate::money::{E9, Price, Quantity};
use crate::order::words;
use crate::sizing;

/// Refuses a signal that no rule could judge.
pub(super) fn check_signal(signal: &Signal, view: &RiskView) -> Checked {
    let invalid = |reason: String| deny(Rule::InvalidSignal, reason);
    if signal.legs.is_empty() {
        return invalid("`legs` is empty, expected at least one leg".to_owned());
    }
    if view.inputs.len() != signal.legs.len() {
        return invalid(format!("{} inputs for {} legs", view.inputs.len(), signal.legs.len()));
    }
    let by_hand = signal.strategy == contracts::MANUAL;
    for (index, leg) in signal.legs.iter().enumerate() {
        let trades = matches!(leg.intent(), Intent::Buy | Intent::Sell);
        let field = |name: &str, value: &str, expected: &str| {
            // An operator stated an order and never saw a leg.
            let stated = if by_hand && trades { plain(name) } else { format!("`legs[{index}].{name}`") };
            invalid(format!("{stated} is {value}, expected {expected}"))
        };
        if leg.symbol.is_empty() {
            return field("symbol", "empty", "a symbol");
        }
        if signal.legs[..index].iter().any(|earlier| earlier.symbol == leg.symbol) {
            return field("symbol", &leg.symbol, "a symbol that no other leg has");
        }
        if leg.intent() == Intent::Unspecified {
            let all = "enter long, enter short, exit, target, buy or sell";
            let expected = if by_hand { all } else { "enter long, enter short, exit or target" };
            return field("intent", "not stated", expected);
        }
        if !by_hand && let Some((name, value, expected)) = operators(leg) {
            return field(name, &value, expected);
        }
        if !leg.replaces.is_empty() && !trades {
            return field("replaces", &leg.replaces, "none but beside buy or sell, the side of that order");
        }
        // New terms state only what changes; the order that they make is checked as a whole.
        let terms = if leg.replaces.is_empty() { check_terms(&LegTerms(leg)) } else { Ok(()) };
        if let Err((name, value, expected)) = terms.and_then(|()| check_exits(leg)) {
            return field(name, &value, expected);
        }
        let ordered = if trades { replace::check_order(leg) } else { Ok(()) };
        if let Err((name, value, expected)) = ordered.and_then(|()| replace::check_hours(leg)) {
            return field(name, &value, expected);
        }
        if let Some(notional) = leg.notional_e9.filter(|_| !trades) {
            return field("notional_e9", &Price(notional).to_string(), "none but for buy or sell");
        }
        if leg.quantity_e9.is_some_and(|quantity| quantity <= 0) {
            return field("quantity_e9", "not positive", "a positive quantity, or none");
        }
        if leg.intent() == Intent::Target && leg.quantity_e9.is_some() {
            return field("quantity_e9", "stated", "none, because a target is a share of equity");
        }
        if leg.intent() == Intent::Target && leg.weight_e9.saturating_abs() > 10 * E9 {
            let weight = Quantity(leg.weight_e9).to_string();
            return field("weight_e9", &weight, "a share of equity from -10 to 10");
        }
    }
    Ok(())
}

/// What of a leg only an operator may state: field, value and expectation. A strategy says what it wants of a position and
/// leaves the shares to risk, and an order has its terms from one who may change any.
fn operators(leg: &SignalLeg) -> Option<(&'static str, String, &'static str)> {
    let intents = "enter long, enter short, exit or target, because only an operator buys and sells shares";
    match leg.intent() {
        Intent::Buy => return Some(("intent", "buy".to_owned(), intents)),
        Intent::Sell => return Some(("intent", "sell".to_owned(), intents)),
        _ => {}
    }
    if !leg.replaces.is_empty() {
        let expected = "none, because only an operator asks for new terms";
        return Some(("replaces", leg.replaces.clone(), expected));
    }
    let notional = leg.notional_e9?;
    let expected = "none, because only an operator trades for an amount";
    Some(("notional_e9", Price(notional).to_string(), expected))
}

/// The terms of a leg, as its order will have them.
struct LegTerms<'leg>(&'leg SignalLeg);

impl Terms for LegTerms<'_> {
    fn order_type(&self) -> OrderType {
        leg::order_type(self.0)
    }

    fn time_in_force(&self) -> TimeInForce {
        leg::time_in_force(self.0)
    }

    fn prices(&self) -> [Option<i64>; 4] {
        [self.0.limit_price_e9, self.0.stop_price_e9, self.0.trail_price_e9, self.0.trail_rate_e9]
    }
}

/// Whether the exits that a leg states fit it and each other.
fn check_exits(leg: &SignalLeg) -> Result<(), (&'static str, String, &'static str)> {
    let (profit, loss) = (leg.take_profit_price_e9, leg.stop_loss_price_e9);
    for (name, price) in [("take_profit_price_e9", profit), ("stop_loss_price_e9", loss)] {
        let Some(price) = price else { continue };
        if price <= 0 {
            return Err((name, Price(price).to_string(), "a positive price"));
        }
        if leg.intent() == Intent::Target {
            return Err((name, Price(price).to_string(), "none, because a target has no exits"));
        }
        let plain = leg::order_type(leg) == OrderType::Market;
        if leg.intent() == Intent::Exit && !plain {
            return Err((name, Price(price).to_string(), "none beside another order type"));
        }
        let works = matches!(leg::time_in_force(leg), TimeInForce::Day | TimeInForce::Gtc);
        if leg.intent() == Intent::Exit && !works {
            let value = words::time_in_force(leg::time_in_force(leg)).to_owned();
            return Err(("time_in_force", value, "day or gtc, because the exit waits"));
        }
    }
    // Of an exit the side is that of the position, which is not known here.
    let above = |high: i64, low: i64| high > low;
    let entry = leg.limit_price_e9.filter(|_| leg.order_type() == OrderType::Limit);
    let ordered = match leg.intent() {
        Intent::EnterLong | Intent::Buy => [(profit, loss), (profit, entry), (entry, loss)],
        Intent::EnterShort | Intent::Sell => [(loss, profit), (entry, profit), (loss, entry)],
        _ => return Ok(()),
    };
    for (high, low) in ordered {
        if let (Some(high), Some(low)) = (high, low)
            && !above(high, low)
        {
            let value = format!("{} with a stop at {}", or_none(profit), or_none(loss));
            let expected = "the profit beyond the entry on one side and the stop on the other";
            return Err(("take_profit_price_e9", value, expected));
        }
    }
    Ok(())
}

/// A field of a leg as forms and commands name it.
fn plain(field: &str) -> String {
    match field.trim_end_matches("_e9") {
        "notional" => "amount".to_owned(),
        field => field.replace('_', " "),
    }
}

fn or_none(price: Option<i64>) -> String {
    price.map_or("none".to_owned(), |price| Price(price).to_string())
}

/// Each leg's share of the signal in 1e-9; a leg without a weight counts as one of equal ones. Targets state
/// their share of equity themselves and take none of the signal's.
///
/// Of a sizing by risk parity, legs that state no weight share in inverse proportion to the volatility of their
/// symbols; weights that a strategy states, a hedge ratio for example, stay.
pub(super) fn shares_e9(signal: &Signal, view: &RiskView) -> Checked<Vec<i64>> {
    if let Some(shares) = parity_e9(signal, view)? {
        return Ok(shares);
    }
    let sized = signal.legs.iter().filter(|leg| leg.intent() != Intent::Target).count();
    let count = i64::try_from(sized.max(1)).unwrap_or(i64::MAX);
    let weight = |leg: &SignalLeg| match leg.weight_e9 {
        _ if leg.intent() == Intent::Target => Ok(0),
        0 => Ok(E9 / count),
        weight if weight > 0 => Ok(weight),
        weight => {
            let weight = Quantity(weight);
            deny(Rule::InvalidSignal, format!("`weight_e9` is {weight}, expected 0 or more"))
        }
    };
    let weights: Vec<i64> = signal.legs.iter().map(weight).collect::<Checked<_>>()?;
    let total: i128 = weights.iter().copied().map(i128::from).sum();
    let share = |weight: i64| i64::try_from(i128::from(weight) * i128::from(E9) / total.max(1)).unwrap_or(0);
    Ok(weights.into_iter().map(share).collect())
}

/// The shares, all brought down together where a cap would cut one leg alone: what the legs are to each other, a hedge ratio
/// or equal risk, stays.
pub(super) fn within_caps(shares: Vec<i64>, signal: &Signal, view: &RiskView) -> Vec<i64> {
    let Some(sizing) = view.policy.sizing.filter(|sizing| has_ratio(sizing, signal)) else { return shares };
    let free = Sizing { position_cap_e9: 0, leg_cap_e9: 0, ..sizing };
    let mut left_e9 = i128::from(E9);
    for ((leg, input), share_e9) in signal.legs.iter().zip(&view.inputs).zip(&shares) {
        let numbers = leg::numbers(input);
        let Some(equity) = numbers.equity.filter(|_| is_sized(leg)) else { continue };
        let price = worst_price(&numbers, &leg::terms(leg, *share_e9));
        let scope = |cap_e9: Option<i64>| sizing::Scope {
            share_e9: *share_e9,
            cap_e9,
            symbols: numbers.strategy_symbols,
            measured: numbers.measured,
        };
        let wanted = sizing::shares_in(&free, scope(None), equity, price);
        let capped = sizing::shares_in(&sizing, scope(view.policy.position_cap_e9), equity, price);
        // What cannot be sized is denied by its leg, with the reason.
        if let (Ok(wanted), Ok(capped)) = (wanted, capped)
            && capped < wanted
        {
            left_e9 = left_e9.min(i128::from(capped.0) * i128::from(E9) / i128::from(wanted.0));
        }
    }
    let part = |share: i64| i64::try_from(i128::from(share) * left_e9 / i128::from(E9)).unwrap_or(share);
    shares.into_iter().map(part).collect()
}

/// Whether the sizing says how large the leg is.
fn is_sized(leg: &SignalLeg) -> bool {
    matches!(leg.intent(), Intent::EnterLong | Intent::EnterShort) && leg.quantity_e9.is_none()
}

/// Whether the sizes of several legs are meant to be something to each other.
fn has_ratio(sizing: &Sizing, signal: &Signal) -> bool {
    let weighted = signal.legs.iter().any(|leg| is_sized(leg) && leg.weight_e9 != 0);
    signal.legs.len() > 1 && (weighted || sizing.kind() == SizingKind::RiskParity)
}

/// Each leg's share by risk parity; `None` where it does not apply.
fn parity_e9(signal: &Signal, view: &RiskView) -> Checked<Option<Vec<i64>>> {
    let parity = view.policy.sizing.is_some_and(|sizing| sizing.kind() == SizingKind::RiskParity);
    let entry = |leg: &SignalLeg| matches!(leg.intent(), Intent::EnterLong | Intent::EnterShort);
    let plain = signal.legs.iter().all(|leg| entry(leg) && leg.weight_e9 == 0);
    if !parity || !plain || signal.legs.len() < 2 {
        return Ok(None);
    }
    let mut inverse = Vec::with_capacity(signal.legs.len());
    for input in &view.inputs {
        let volatility = input.sizing.as_ref().map_or(0.0, |measured| measured.volatility);
        if volatility <= 0.0 {
            let bars = crate::book::history::RETURNS_MIN;
            let reason = format!("{} has fewer than {bars} returns, expected a volatility", input.symbol);
            return deny(Rule::SizeZero, reason);
        }
        inverse.push(1.0 / volatility);
    }
    let total: f64 = inverse.iter().sum();
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a share below one")]
    let share = |part: &f64| (part / total * E9 as f64).floor() as i64;
    Ok(Some(inverse.iter().map(share).collect()))
}
