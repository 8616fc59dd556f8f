//! A leg that the account's own limits let pass, against stops, breakers and the limits by scope.
//!
//! Everything stands in the recorded input, the limits included. What only reduces a position is stopped by
//! nothing here but a full halt. What cannot be measured denies.
//!
//! Deliberately absent: measuring (`super::measure`), the account's own limits (`super::kernel`).

use std::collections::BTreeMap;

use contracts::v1::{
    AccountKind, BreakerKind, BreakerState, LimitInput, Money, RiskInput, TradeLimits, TradingState,
};

use super::Policy;
use super::kernel::{Deny, LegTerms, Running, Sized};
use super::rule::{Checked, Denial, Rule, deny};
use crate::book::Scope;
use crate::book::history::{RETURNS_MIN, quantile};
use crate::money::{Amount, E9, Price, Quantity};
use crate::order::signed;

/// Share of the scenarios beyond which value at risk looks.
pub(super) const VAR_TAIL: f64 = 0.05;

/// What earlier legs of the same signal take of each scope, and do to the book.
#[derive(Debug, Default)]
pub(super) struct Guards {
    taken: BTreeMap<Scope, Taken>,
    scenarios: Vec<f64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    exposure: Amount,
    net: Amount,
    /// Orders with their exits, and legs.
    orders: u32,
    legs: u32,
}

/// A sized leg.
pub(super) struct Guarded<'leg> {
    pub policy: &'leg Policy,
    pub input: &'leg RiskInput,
    pub terms: &'leg LegTerms,
    pub sized: Sized,
    /// Orders that it comes to.
    pub orders: u32,
    /// Price at which it is valued.
    pub price: Price,
    /// What the account's own check counted of the legs so far.
    pub running: &'leg Running,
}

impl Guards {
    /// Refuses the leg, or counts it.
    pub fn check(&mut self, leg: &Guarded<'_>) -> Checked {
        leg.check_stops()?;
        if leg.sized.reducing {
            self.count(leg, Amount::ZERO);
            return Ok(());
        }
        for set in &leg.input.limits {
            let Some(limits) = &set.limits else { continue };
            let taken = self.taken.get(&Scope::of(set.scope.as_ref())).copied().unwrap_or_default();
            Set { leg, set, limits, taken }.check()?;
        }
        self.check_var(leg)?;
        self.count(leg, Amount::notional(leg.price, leg.sized.quantity));
        Ok(())
    }

    fn count(&mut self, leg: &Guarded<'_>, exposure: Amount) {
        let net = leg.signed_value();
        for set in &leg.input.limits {
            let taken = self.taken.entry(Scope::of(set.scope.as_ref())).or_default();
            taken.exposure.0 = taken.exposure.0.saturating_add(exposure.0);
            taken.net.0 = taken.net.0.saturating_add(net.0);
            taken.orders = taken.orders.saturating_add(leg.orders);
            taken.legs = taken.legs.saturating_add(1);
        }
        if let Some(scenarios) = &leg.input.scenarios {
            self.scenarios.resize(scenarios.symbol.len(), 0.0);
            for (sum, change) in self.scenarios.iter_mut().zip(&scenarios.symbol) {
                *sum += net.to_f64() * change;
            }
        }
    }

    /// Historical value at risk of the book after the trade, over one bar.
    fn check_var(&self, leg: &Guarded<'_>) -> Checked {
        let limits = leg.input.limits.iter().filter_map(|set| set.limits.as_ref()?.max_var_e9);
        let (Some(most_e9), Some(scenarios)) = (limits.min(), &leg.input.scenarios) else { return Ok(()) };
        let equity = leg.equity();
        if scenarios.symbol.len() < RETURNS_MIN || scenarios.book.len() != scenarios.symbol.len() {
            let found = scenarios.symbol.len();
            return deny(
                Rule::MaxVar,
                format!("{found} returns at common times, expected at least {RETURNS_MIN}"),
            );
        }
        let running = |at: usize| self.scenarios.get(at).copied().unwrap_or_default();
        let before: Vec<f64> = scenarios.book.iter().enumerate().map(|(at, own)| own + running(at)).collect();
        let value = leg.signed_value().to_f64();
        let after: Vec<f64> =
            before.iter().zip(&scenarios.symbol).map(|(own, change)| own + value * change).collect();
        let loss = |changes: &[f64]| quantile(changes, VAR_TAIL).map_or(0.0, |change| (-change).max(0.0));
        let (before, after) = (loss(&before), loss(&after));
        let most = equity.to_f64() * Quantity(most_e9).to_f64();
        // What brings the risk down may pass even where it stays too high.
        if after > most && after > before {
            return deny(
                Rule::MaxVar,
                format!("value at risk would be {after:.2} in one bar, expected at most {most:.2}"),
            );
        }
        Ok(())
    }
}

impl Guarded<'_> {
    /// Stops and breakers: a full halt stops everything, the others what opens.
    fn check_stops(&self) -> Checked {
        for stop in &self.input.breakers {
            let halted = stop.state() == TradingState::Halted;
            if self.sized.reducing && !halted {
                continue;
            }
            let rule = if stop.kind() == BreakerKind::Unspecified { Rule::Halted } else { Rule::Breaker };
            return deny(rule, words(stop));
        }
        Ok(())
    }

    fn equity(&self) -> Amount {
        Amount::from_wire(self.input.equity.as_ref())
    }

    fn signed_value(&self) -> Amount {
        Amount::notional(self.price, signed(self.sized.side, self.sized.quantity))
    }
}

/// Why the kernel lets no order come to be, in words. It only knows that new exposure is stopped, or that the symbol is
/// halted; whether reducing passes, and why the symbol is, is said by what the input records.
pub(super) fn denial(denied: Deny, symbol: &str, input: &RiskInput) -> Denial {
    let halted = input.breakers.iter().find(|stop| stop.state() == TradingState::Halted);
    let reason = match (denied, halted, &input.symbol_halt) {
        (Deny::Halted, Some(stop), _) => words(stop),
        (Deny::SymbolHalted, _, Some(halt)) if !halt.detail.is_empty() => {
            format!("{}: {}, {} ms ago", denied.reason(symbol), halt.detail, halt.age_ms)
        }
        _ => denied.reason(symbol),
    };
    Denial::new(denied.rule(), reason)
}

/// What a stop lets pass, and why.
fn words(stop: &BreakerState) -> String {
    let of = if stop.strategy.is_empty() { "the account" } else { "the strategy" };
    let state = if stop.state() == TradingState::Halted { "is halted" } else { "may only reduce" };
    format!("{of} {state}: {}", stop.reason)
}

/// A leg against the limits of one scope.
struct Set<'leg> {
    leg: &'leg Guarded<'leg>,
    set: &'leg LimitInput,
    limits: &'leg TradeLimits,
    taken: Taken,
}

fn amount(money: Option<&Money>) -> Amount {
    Amount::from_wire(money)
}

fn sum(parts: &[Amount]) -> Amount {
    parts.iter().fold(Amount::ZERO, |sum, part| Amount(sum.0.saturating_add(part.0)))
}

impl Set<'_> {
    fn check(&self) -> Checked {
        self.check_terms()?;
        self.check_data()?;
        self.check_time()?;
        self.check_order()?;
        self.check_position()?;
        self.check_exposure()?;
        self.check_count()?;
        self.check_correlation()
    }

    /// Denies for a value and a limit in words, naming the scope and version.
    fn deny(&self, rule: Rule, what: impl std::fmt::Display) -> Checked {
        let scope = Scope::of(self.set.scope.as_ref());
        deny(rule, format!("{what} (limits of {scope}, version {})", self.set.version))
    }

    fn check_terms(&self) -> Checked {
        let (limits, input) = (self.limits, self.leg.input);
        if limits.restricted.contains(&input.symbol) {
            return self.deny(Rule::Restricted, format!("{} is on the restricted list", input.symbol));
        }
        if limits.allow_short == Some(false) && self.strategy_after() < Quantity::ZERO {
            return self.deny(Rule::ShortNotAllowed, "short positions are not allowed");
        }
        let Some(collar_e9) = limits.price_collar_e9 else { return Ok(()) };
        for stated in [self.leg.terms.limit, self.leg.terms.stop].into_iter().flatten() {
            let distance = (i128::from(stated.0) - i128::from(input.price_e9)).abs();
            if distance * i128::from(E9) > i128::from(input.price_e9) * i128::from(collar_e9) {
                let (collar, reference) = (Quantity(collar_e9), Price(input.price_e9));
                let reason = format!("{stated} is more than {collar} of the price {reference} away from it");
                return self.deny(Rule::PriceCollar, reason);
            }
        }
        Ok(())
    }

    /// Data that look wrong open nothing until they have been well for a while.
    fn check_data(&self) -> Checked {
        let Some(least_ms) = self.limits.clean_data_ms else { return Ok(()) };
        let Some(finding) = &self.leg.input.finding else { return Ok(()) };
        if finding.age_ms >= least_ms {
            return Ok(());
        }
        let (rule, detail, age_ms) = (&finding.rule, &finding.detail, finding.age_ms);
        let symbol = &self.leg.input.symbol;
        self.deny(
            Rule::UncleanData,
            format!("data of {symbol}: {rule}, {age_ms} ms ago, expected at least {least_ms} ms: {detail}"),
        )
    }

    /// What the strategy will hold.
    fn strategy_after(&self) -> Quantity {
        let input = self.leg.input;
        let coming = input.strategy_position_e9.saturating_add(input.strategy_reserved_e9);
        Quantity(coming.saturating_add(signed(self.leg.sized.side, self.leg.sized.quantity).0))
    }

    fn check_time(&self) -> Checked {
        let (limits, input) = (self.limits, self.leg.input);
        if let Some(most_ms) = limits.max_price_age_ms
            && !(0..=most_ms).contains(&input.price_age_ms)
        {
            let reason = format!("the price is {} ms old, expected 0 to {most_ms} ms", input.price_age_ms);
            return self.deny(Rule::StalePrice, reason);
        }
        let (Some(since_ms), Some(until_ms)) = (input.since_open_ms, input.until_close_ms) else {
            if limits.session_only() {
                return self.deny(Rule::MarketClosed, "no regular session is open");
            }
            return Ok(());
        };
        if limits.open_buffer_ms.is_some_and(|least_ms| since_ms < least_ms) {
            let least_ms = limits.open_buffer_ms();
            let reason = format!("the session opened {since_ms} ms ago, expected at least {least_ms} ms");
            return self.deny(Rule::SessionEdge, reason);
        }
        if limits.close_buffer_ms.is_some_and(|least_ms| until_ms < least_ms) {
            let least_ms = limits.close_buffer_ms();
            let reason = format!("the session closes in {until_ms} ms, expected at least {least_ms} ms");
            return self.deny(Rule::SessionEdge, reason);
        }
        Ok(())
    }

    fn check_order(&self) -> Checked {
        let quantity = self.leg.sized.quantity;
        if let Some(most) = self.limits.max_order_quantity_e9.map(Quantity)
            && quantity > most
        {
            let reason = format!("the order is {quantity} shares, expected at most {most}");
            return self.deny(Rule::MaxOrderQuantity, reason);
        }
        let value = Amount::notional(self.leg.price, quantity);
        self.most(Rule::MaxOrderValue, "the order's value", value, self.limits.max_order_value.as_ref())
    }

    /// Denies when `value` is above a limit that is stated.
    fn most(&self, rule: Rule, what: &str, value: Amount, most: Option<&Money>) -> Checked {
        match most.map(|most| Amount::from_wire(Some(most))) {
            Some(most) if value > most => {
                self.deny(rule, format!("{what} would be {value}, expected at most {most}"))
            }
            _ => Ok(()),
        }
    }

    /// Shares of the symbol before and after the trade, open orders on its side included.
    fn coming(&self) -> (Quantity, Quantity) {
        let before = self.set.position_e9.saturating_add(self.set.reserved_e9);
        let after = before.saturating_add(signed(self.leg.sized.side, self.leg.sized.quantity).0);
        (Quantity(before), Quantity(after))
    }

    fn check_position(&self) -> Checked {
        let (_, after) = self.coming();
        if let Some(most) = self.limits.max_position_quantity_e9.map(Quantity)
            && after.abs() > most
        {
            let reason = format!("the position would be {after} shares, expected at most {most}");
            return self.deny(Rule::MaxPosition, reason);
        }
        let value = Amount::notional(self.leg.price, after).abs();
        let most = self.limits.max_position_value.as_ref();
        self.most(Rule::MaxPosition, "the position's value", value, most)?;
        if let Some(share_e9) = self.limits.max_concentration_e9 {
            let Some(most) = self.leg.equity().times_e9(share_e9) else {
                return self.deny(Rule::MaxConcentration, "a sum overflows");
            };
            let most = most.to_wire();
            return self.most(Rule::MaxConcentration, "the position's value", value, most.as_ref());
        }
        Ok(())
    }

    fn check_exposure(&self) -> Checked {
        let limits = self.limits;
        let asked = limits.max_gross_exposure.is_some()
            || limits.max_net_exposure.is_some()
            || limits.max_leverage_e9.is_some()
            || limits.min_buying_power.is_some();
        if !asked {
            return Ok(());
        }
        let (Some(gross), Some(net)) = (&self.set.gross_exposure, &self.set.net_exposure) else {
            return self.deny(Rule::StalePrice, "a symbol that is held has no price");
        };
        let after = self.gross_after(amount(Some(gross)));
        let most = limits.max_gross_exposure.as_ref();
        self.most(Rule::MaxGrossExposure, "gross exposure", after, most)?;
        if let Some(multiple_e9) = limits.max_leverage_e9 {
            let most = self.leg.equity().times_e9(multiple_e9).and_then(Amount::to_wire);
            let Some(most) = most else { return self.deny(Rule::MaxLeverage, "a sum overflows") };
            self.most(Rule::MaxLeverage, "gross exposure", after, Some(&most))?;
        }
        self.check_net(amount(Some(net)))?;
        self.check_buying_power()
    }

    /// Gross exposure once everything under way has filled. What covers a position opens nothing.
    fn gross_after(&self, gross: Amount) -> Amount {
        let (before, after) = self.coming();
        let value = |quantity: Quantity| Amount::notional(self.leg.price, quantity).abs();
        let opened = Amount(value(after).0.saturating_sub(value(before).0)).max(Amount::ZERO);
        let reserved = amount(self.set.reserved_exposure.as_ref());
        sum(&[gross, reserved, self.taken.exposure, opened, -self.leg.running.freed()])
    }

    fn check_net(&self, net: Amount) -> Checked {
        let Some(most) = self.limits.max_net_exposure.as_ref() else { return Ok(()) };
        let before = sum(&[net, amount(self.set.reserved_net.as_ref()), self.taken.net]);
        let after = sum(&[before, self.leg.signed_value()]);
        // What brings it down may pass even where it stays too high.
        if after.abs() <= before.abs() {
            return Ok(());
        }
        self.most(Rule::MaxNetExposure, "net exposure", after.abs(), Some(most))
    }

    /// What is left to spend: cash, or on margin twice the equity less what is held, ordered and opened.
    fn check_buying_power(&self) -> Checked {
        let Some(least) = self.limits.min_buying_power.as_ref().map(|least| amount(Some(least))) else {
            return Ok(());
        };
        let input = self.leg.input;
        // Of the whole signal, whatever the scope: it is the account's money.
        let used = sum(&[amount(input.reserved_exposure.as_ref()), self.leg.running.exposure()]);
        let policy = self.leg.policy;
        let on_margin = match policy.kind {
            AccountKind::Margin => true,
            AccountKind::Cash => false,
            AccountKind::Unspecified => policy.limits.is_some_and(|limits| limits.allow_short),
        };
        let left = if on_margin {
            let equity = self.leg.equity();
            sum(&[equity, equity, -amount(input.gross_exposure.as_ref()), -used])
        } else {
            sum(&[amount(input.cash.as_ref()), -used])
        };
        if left < least {
            let reason = format!("buying power left would be {left}, expected at least {least}");
            return self.deny(Rule::MinBuyingPower, reason);
        }
        Ok(())
    }

    fn check_count(&self) -> Checked {
        let (limits, set) = (self.limits, self.set);
        let with = |count: u32| count.saturating_add(self.taken.orders).saturating_add(self.leg.orders);
        if let Some(most) = limits.max_open_orders
            && with(set.open_orders) > most
        {
            let orders = with(set.open_orders);
            let reason = format!("{orders} orders would be open, expected at most {most}");
            return self.deny(Rule::MaxOpenOrders, reason);
        }
        let rates = [
            ("minute", set.orders_minute, limits.max_orders_per_minute),
            ("hour", set.orders_hour, limits.max_orders_per_hour),
            ("day", set.orders_day, limits.max_orders_per_day),
        ];
        for (span, count, most) in rates {
            let Some(most) = most else { continue };
            // An order is approved with its exits: it counts once, as it does when it is counted later.
            let orders = count.saturating_add(self.taken.legs).saturating_add(1);
            if orders > most {
                let reason = format!("{orders} orders within a {span}, expected at most {most}");
                return self.deny(Rule::OrderRate, reason);
            }
        }
        Ok(())
    }

    fn check_correlation(&self) -> Checked {
        let Some(most_e9) = self.limits.max_correlation_e9 else { return Ok(()) };
        let Some(found) = &self.leg.input.correlation else {
            return self.deny(Rule::Correlation, "the correlation was not measured");
        };
        if found.symbol.is_empty() {
            return Ok(());
        }
        let (symbol, bars) = (&found.symbol, found.bars);
        if found.constant {
            let own = &self.leg.input.symbol;
            return self.deny(Rule::Correlation, format!("{own} or {symbol}, which is held, does not move"));
        }
        if (bars as usize) < RETURNS_MIN {
            let reason = format!("{bars} returns in common with {symbol}, expected at least {RETURNS_MIN}");
            return self.deny(Rule::Correlation, reason);
        }
        let most = Quantity(most_e9);
        if found.value > most.to_f64() {
            let reason = format!(
                "returns correlate {:.4} with those of {symbol}, which is held, expected at most {most}",
                found.value
            );
            return self.deny(Rule::Correlation, reason);
        }
        Ok(())
    }
}
