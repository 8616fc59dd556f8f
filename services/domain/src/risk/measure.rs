//! What limits by scope, stops and measuring sizings look at, from the book and the bars of late.
//!
//! Nothing is measured that nothing asks for: a decision under the account's own limits alone records what it
//! always did. Reservations count as held, so that two signals together see each other.
//!
//! Deliberately absent: what follows from it (`super::guard`, `crate::sizing`).

use std::collections::{BTreeMap, BTreeSet};

use contracts::to_timestamp;
use contracts::v1::{
    BreakerState, CorrelationInput, FindingInput, Intent, LimitInput, RiskInput, ScenarioInput, Side, Signal,
    SizingInput, SizingKind, TradeLimits, TradingState,
};

use super::kernel::side_of;
use super::leg::{numbers, terms};
use super::replace::replaced;
use crate::book::history::{HISTORY_MAX, RETURNS_MIN, correlation};
use crate::book::{AccountState, Book, KnownFinding, LimitSet, Prices, Scope};
use crate::calendar::Calendar;
use crate::money::{Amount, Price, Quantity};
use crate::order::OrderState;
use crate::sizing;

/// Bars that correlation and value at risk are measured on unless the limits say otherwise.
const CORRELATION_BARS: u32 = 60;
const SCENARIOS: u32 = 100;
/// In nanoseconds.
const MILLISECOND: i64 = 1_000_000;

/// Where a decision is measured.
pub(super) struct Measure<'book> {
    pub book: &'book Book,
    pub prices: &'book Prices,
    pub calendar: &'book Calendar,
    pub account: &'book str,
    pub signal: &'book Signal,
    /// Whether it is an operator's.
    pub manual: bool,
    /// As the inputs state it, so that whoever counts from the records counts alike.
    pub now_ns: i64,
}

impl Measure<'_> {
    /// Adds to the inputs of the signal's legs what is asked for.
    pub fn add(&self, inputs: &mut [RiskInput]) {
        let stops = self.stops(&self.signal.strategy);
        let strategy = self.book.strategy(&self.signal.strategy);
        let sizing = strategy.and_then(|row| row.sizing).filter(sizing::is_measured);
        for (leg, input) in self.signal.legs.iter().zip(inputs.iter_mut()) {
            // New terms are held against what holds for the order's strategy, whoever asks for them.
            let replaced = replaced(self.book, self.manual, leg);
            let owner = replaced.map_or(&self.signal.strategy, |order| &order.spec.strategy);
            input.breakers = if replaced.is_some() { self.stops(owner) } else { stops.clone() };
            if let Some(sizing) = &sizing
                && matches!(leg.intent(), Intent::EnterLong | Intent::EnterShort)
            {
                input.sizing = Some(self.sizing(sizing, &leg.symbol));
            }
            let sets: Vec<&LimitSet> = self.book.limits_of(self.account, owner, &leg.symbol).collect();
            if sets.is_empty() {
                continue;
            }
            let side = side_of(&numbers(input), &terms(leg, 0));
            input.limits = sets.iter().map(|set| self.limit(set, &leg.symbol, side, replaced)).collect();
            let asks = |what: fn(&TradeLimits) -> bool| sets.iter().any(|set| what(&set.limits));
            if asks(|limits| {
                limits.session_only() || limits.open_buffer_ms.is_some() || limits.close_buffer_ms.is_some()
            }) {
                (input.since_open_ms, input.until_close_ms) = self.session();
            }
            if asks(|limits| limits.clean_data_ms.is_some()) {
                input.finding = self.prices.finding(&leg.symbol).map(|finding| found(finding, self.now_ns));
            }
            if asks(|limits| limits.max_correlation_e9.is_some()) {
                let bars = most(&sets, |limits| limits.correlation_bars, CORRELATION_BARS);
                input.correlation = Some(self.correlation(&leg.symbol, side, bars));
            }
            if asks(|limits| limits.max_var_e9.is_some()) {
                let bars = most(&sets, |limits| limits.var_bars, SCENARIOS);
                input.scenarios = Some(self.scenarios(&leg.symbol, bars, replaced));
            }
        }
    }

    /// Breakers that tripped for a strategy, and stops beyond the account's plain halt, which stands in the input itself.
    fn stops(&self, strategy: &str) -> Vec<BreakerState> {
        let mut stops: Vec<_> = self.book.tripped(self.account, strategy).cloned().collect();
        let stop = |of: &str, actor: &str, reason: &str, since_ns: i64, state: TradingState| BreakerState {
            strategy: of.to_owned(),
            state: state.into(),
            since: Some(to_timestamp(since_ns)),
            reason: if reason.is_empty() { format!("stopped by {actor}") } else { reason.to_owned() },
            ..BreakerState::default()
        };
        let halts = self.book.halts_of(self.account).filter(|halt| halt.state == TradingState::Halted);
        stops.extend(halts.map(|halt| stop("", &halt.actor, &halt.reason, halt.since_ns, halt.state)));
        for (halt, since_ns) in self.book.strategy_halts(self.account, strategy) {
            let halted = halt.state() == TradingState::Halted;
            let state = if halted { TradingState::Halted } else { TradingState::ReduceOnly };
            stops.push(stop(strategy, &halt.actor, &halt.reason, since_ns, state));
        }
        stops
    }

    /// What stands in a scope before the leg, without the order that it replaces.
    fn limit(&self, set: &LimitSet, symbol: &str, side: Side, replaced: Option<&OrderState>) -> LimitInput {
        let scope = &set.scope;
        let rate = {
            let day_ns = self.calendar.start_of(self.calendar.date_of(self.now_ns));
            self.book.rate(self.account, scope, self.now_ns, day_ns)
        };
        let mut input = LimitInput {
            scope: Some(scope.to_wire()),
            version: set.version,
            limits: Some(set.limits.clone()),
            orders_minute: rate.minute,
            orders_hour: rate.hour,
            orders_day: rate.day,
            ..LimitInput::default()
        };
        let held = held(self.book, self.account, scope);
        input.position_e9 = held.get(symbol).map_or(0, |quantity| quantity.0);
        if let Some((gross, net)) = exposure(&held, self.prices, self.book.account(self.account)) {
            (input.gross_exposure, input.net_exposure) = (gross.to_wire(), net.to_wire());
        }
        let (mut reserved, mut net) = (Amount::ZERO, Amount::ZERO);
        for order in self.open_orders(replaced) {
            if !scope.holds(&order.spec.strategy, &order.spec.symbol) {
                continue;
            }
            input.open_orders = input.open_orders.saturating_add(1);
            reserved.0 = reserved.0.saturating_add(order.reserved_value().0);
            let shares = order.reserved_signed();
            if order.is_protective() || (shares.0 > 0) != (side == Side::Buy) {
                continue;
            }
            net.0 = net.0.saturating_add(order.reserved_net().0);
            if order.spec.symbol == symbol {
                input.reserved_e9 = input.reserved_e9.saturating_add(shares.0);
            }
        }
        (input.reserved_exposure, input.reserved_net) = (reserved.to_wire(), net.to_wire());
        input
    }

    /// The account's open orders, without one.
    fn open_orders<'of>(
        &'of self,
        without: Option<&'of OrderState>,
    ) -> impl Iterator<Item = &'of OrderState> {
        let of_account = self.book.open_orders().filter(|order| order.spec.account == self.account);
        of_account.filter(move |order| without.is_none_or(|without| without.id() != order.id()))
    }

    /// Milliseconds since the open and until the close of the session that goes on.
    fn session(&self) -> (Option<i64>, Option<i64>) {
        let Ok(Some(session)) = self.calendar.session_at(self.now_ns) else { return (None, None) };
        let since = self.now_ns.saturating_sub(session.open_ns) / MILLISECOND;
        (Some(since), Some(session.close_ns.saturating_sub(self.now_ns) / MILLISECOND))
    }

    /// Shares of each symbol that the account holds or is about to hold, where that is not nothing. What an order only
    /// closes is held until it has: its limit may never be reached.
    fn coming<'of>(&'of self, without: Option<&'of OrderState>) -> BTreeMap<&'of str, Quantity> {
        let mut coming = held(self.book, self.account, &Scope::default());
        for order in self.open_orders(without).filter(|order| !order.only_reduces()) {
            let sum = coming.entry(order.spec.symbol.as_str()).or_default();
            sum.0 = sum.0.saturating_add(order.reserved_signed().0);
        }
        coming.retain(|_, quantity| *quantity != Quantity::ZERO);
        coming
    }

    /// The position that goes most with the leg. One that cannot be compared comes first: it denies.
    fn correlation(&self, symbol: &str, side: Side, bars: u32) -> CorrelationInput {
        let history = self.prices.history();
        let mut worst = CorrelationInput::default();
        // What is held counts as it is, too: an order that turns it over may never fill.
        let held = held(self.book, self.account, &Scope::default());
        let mut bets: BTreeSet<(&str, bool)> = BTreeSet::new();
        for (other, quantity) in held.into_iter().chain(self.coming(None)) {
            if other != symbol && quantity != Quantity::ZERO {
                bets.insert((other, quantity > Quantity::ZERO));
            }
        }
        for (other, is_long) in bets {
            let returns = history.returns(&[symbol, other], bars as usize);
            let [own, others] = returns.as_slice() else { continue };
            let same_bet = is_long == (side == Side::Buy);
            let measured = correlation(own, others).filter(|_| own.len() >= RETURNS_MIN);
            let bars = u32::try_from(own.len()).unwrap_or(u32::MAX);
            let Some(value) = measured else {
                let constant = own.len() >= RETURNS_MIN;
                return CorrelationInput { symbol: other.to_owned(), value: 0.0, bars, constant };
            };
            let value = if same_bet { value } else { -value };
            if worst.symbol.is_empty() || value > worst.value {
                worst = CorrelationInput { symbol: other.to_owned(), value, bars, constant: false };
            }
        }
        worst
    }

    /// What the book and the leg's symbol did, at times that everything held and every leg has in common.
    fn scenarios(&self, symbol: &str, bars: u32, replaced: Option<&OrderState>) -> ScenarioInput {
        let coming = self.coming(replaced);
        let legs = self.signal.legs.iter().map(|leg| leg.symbol.as_str());
        let symbols: Vec<&str> =
            legs.chain(coming.keys().copied()).collect::<BTreeSet<_>>().into_iter().collect();
        let returns = self.prices.history().returns(&symbols, bars as usize);
        let mut scenarios = ScenarioInput::default();
        for (name, series) in symbols.iter().zip(returns) {
            let price = self.prices.get(name).map_or(Price::ZERO, |known| known.price);
            let quantity = coming.get(name).copied().unwrap_or_default();
            let value = Amount::notional(price, quantity).to_f64();
            scenarios.book.resize(series.len(), 0.0);
            for (sum, change) in scenarios.book.iter_mut().zip(&series) {
                *sum += value * change;
            }
            if *name == symbol {
                scenarios.symbol = series;
            }
        }
        scenarios
    }

    /// What a sizing asks of a symbol and of the strategy.
    fn sizing(&self, sizing: &contracts::v1::Sizing, symbol: &str) -> SizingInput {
        let history = self.prices.history();
        let mut input = SizingInput::default();
        match sizing.kind() {
            SizingKind::Atr => {
                let bars = sizing::bars(sizing);
                input.bars = bars;
                let range = history.average_true_range(symbol, bars as usize);
                input.atr_e9 = range.map_or(0, |range| range.0);
            }
            SizingKind::Volatility | SizingKind::RiskParity => {
                let bars = sizing::bars(sizing) as usize;
                let volatility = history.volatility(symbol, bars, self.calendar).unwrap_or_default();
                (input.volatility, input.yearly_volatility) = (volatility.per_bar, volatility.yearly);
                input.bars = volatility.bars;
            }
            SizingKind::HalfKelly => {
                if let Some(tally) = self.book.tally(self.account, &self.signal.strategy) {
                    (input.closed_trades, input.winners) = (tally.closed_trades, tally.winners);
                    (input.won, input.lost) = (tally.won, tally.lost);
                }
            }
            _ => {}
        }
        input
    }
}

/// A finding as a decision made at `now_ns` records it.
pub(super) fn found(finding: &KnownFinding, now_ns: i64) -> FindingInput {
    FindingInput {
        event_id: finding.event_id.clone(),
        rule: finding.rule.clone(),
        detail: finding.detail.clone(),
        age_ms: now_ns.saturating_sub(finding.time_ns).div_euclid(MILLISECOND),
    }
}

/// The largest number of bars that any of the sets wants.
fn most(sets: &[&LimitSet], bars: fn(&TradeLimits) -> Option<u32>, default: u32) -> u32 {
    let asked = sets.iter().filter_map(|set| bars(&set.limits)).max().unwrap_or(default);
    asked.min(u32::try_from(HISTORY_MAX - 1).unwrap_or(u32::MAX))
}

/// Shares by symbol that an account holds in a scope, netted over strategies.
pub(super) fn held<'book>(
    book: &'book Book,
    account: &'book str,
    scope: &Scope,
) -> BTreeMap<&'book str, Quantity> {
    let mut held: BTreeMap<&str, Quantity> = BTreeMap::new();
    for position in book.positions_of(account) {
        if scope.holds(&position.key.strategy, &position.key.symbol) && position.quantity != Quantity::ZERO {
            let sum = held.entry(position.key.symbol.as_str()).or_default();
            sum.0 = sum.0.saturating_add(position.quantity.0);
        }
    }
    held
}

/// Sum of absolute and of signed values; `None` when one of them has no price, or on overflow.
pub(super) fn exposure(
    held: &BTreeMap<&str, Quantity>,
    prices: &Prices,
    account: Option<&AccountState>,
) -> Option<(Amount, Amount)> {
    let (mut gross, mut net) = (Amount::ZERO, Amount::ZERO);
    for (symbol, quantity) in held.iter().filter(|(_, quantity)| **quantity != Quantity::ZERO) {
        let value = Amount::notional(prices.of_holding(account, symbol)?, *quantity);
        (gross, net) = (gross.checked_add(value.abs())?, net.checked_add(value)?);
    }
    Some((gross, net))
}
