//! Limits by scope: each one against a signal that passes without it, measured from a book.

use contracts::to_timestamp;
use contracts::v1::event::Body;
use contracts::v1::{Intent, LimitsSet, OrderType, RiskDecision, Signal, SignalLeg, StrategyMode, Verdict};
use domain::bar::Bar;
use domain::book::{Book, Prices, Scope, mark};
use domain::calendar::{Calendar, Market};
use domain::money::{Price, Quantity, Volume};
use domain::risk::{decide, fields, rederive, scope_usage, view};

use crate::support::{
    ACCOUNT, STRATEGY, SYMBOL, approval, at, book_of, configured, deposit, enabled, event, fill, fold,
    limits, price, registered, shares, spec,
};

pub const OTHER: &str = "OTHR";
/// A Monday with a full session.
pub const NOW: &str = "2024-01-08T15:30:00Z";

/// An account with 100,000, a strategy that buys 100 shares, and prices of 50 and 20.
pub struct World {
    pub book: Book,
    pub prices: Prices,
    pub now_ns: i64,
}

impl World {
    pub fn new() -> Self {
        let generous = contracts::v1::RiskLimits {
            max_position_fraction_e9: shares("5").0,
            max_exposure_fraction_e9: shares("5").0,
            max_order_value: crate::support::money("1000000"),
            allow_short: true,
            ..limits()
        };
        let book = book_of([
            configured(generous),
            deposit("100000"),
            registered("100"),
            enabled(StrategyMode::Paper),
        ]);
        let mut world = Self { book, prices: Prices::default(), now_ns: at(NOW) };
        world.bars(&[(SYMBOL, &[50.0]), (OTHER, &[20.0])]);
        world.mark();
        world
    }

    /// Hourly bars of equal times that end now.
    pub fn bars(&mut self, series: &[(&str, &[f64])]) {
        const HOUR: i64 = 3_600_000_000_000;
        if series.iter().any(|(_, closes)| closes.len() > 1) {
            // A past of its own: what is known already is newer. The others keep their price.
            let kept = [SYMBOL, OTHER].map(|symbol| (symbol, self.prices.get(symbol)));
            self.prices = Prices::default();
            for (symbol, known) in kept {
                if let Some(known) = known.filter(|_| series.iter().all(|(other, _)| *other != symbol)) {
                    self.bars(&[(symbol, &[known.price.to_f64()])]);
                }
            }
        }
        for (symbol, closes) in series {
            for (index, close) in closes.iter().enumerate() {
                let behind = i64::try_from(closes.len() - 1 - index).unwrap();
                let close_ns = self.now_ns - behind * HOUR;
                let close = price(&format!("{close:.4}"));
                let (high, low) = (Price(close.0 + 500_000_000), Price(close.0 - 500_000_000));
                let bar = Bar {
                    start_ns: close_ns - HOUR,
                    close_ns,
                    open: close,
                    high,
                    low,
                    close,
                    volume: Volume(1),
                };
                self.prices.observe_bar(symbol, &bar);
            }
        }
    }

    pub fn fold(&mut self, bodies: impl IntoIterator<Item = Body>) {
        fold(&mut self.book, bodies);
    }

    pub fn mark(&mut self) {
        let body = mark(&self.book, ACCOUNT, &self.prices, false).unwrap();
        let sequence = self.book.sequence() + 1;
        self.book.apply(sequence, &event(self.now_ns, Body::AccountMarked(body))).unwrap();
    }

    /// Holds `quantity` shares (negative: short) of a symbol, bought at its price.
    pub fn hold(&mut self, symbol: &str, quantity: i64) {
        let side = if quantity > 0 { contracts::v1::Side::Buy } else { contracts::v1::Side::Sell };
        let mut spec = spec(&contracts::order_id(&format!("{symbol}{quantity}{}", self.book.sequence()), 0));
        (spec.symbol, spec.side) = (symbol.to_owned(), side.into());
        let size = Quantity(quantity.abs() * 1_000_000_000);
        spec.quantity_e9 = size.0;
        let at = self.prices.get(symbol).unwrap().price;
        self.fold([approval(&spec, at), crate::support::submitted(&spec), fill(&spec, 1, size, at, "0")]);
        self.mark();
    }

    pub fn limit(&mut self, scope: Scope, named: &[(&str, &str)]) {
        let known = self.book.limit_set(&scope);
        let mut limits = known.map(|known| known.limits.clone()).unwrap_or_default();
        for (name, value) in named {
            fields::state(&mut limits, name, value).unwrap();
        }
        let version = known.map_or(0, |known| known.version) + 1;
        let scope = Some(scope.to_wire());
        let set = LimitsSet { scope, version, limits: Some(limits), ..LimitsSet::default() };
        self.fold([Body::LimitsSet(set)]);
    }

    pub fn of_account(&mut self, named: &[(&str, &str)]) {
        self.limit(Scope::new(ACCOUNT, "", ""), named);
    }

    pub fn decide(&self, signal: &Signal) -> RiskDecision {
        let view = view(&self.book, &self.prices, Calendar::xnys(), signal, self.now_ns, "");
        let decision = decide("signal", signal, &view);
        // Everything that it stands on is recorded: the policy and the inputs derive it again.
        assert_eq!(rederive(&decision, signal, &view.policy), decision);
        decision
    }

    #[track_caller]
    pub fn passes(&self, signal: &Signal) -> RiskDecision {
        let decision = self.decide(signal);
        assert_eq!(decision.verdict(), Verdict::Approved, "{}: {}", decision.rule, decision.reason);
        decision
    }

    #[track_caller]
    pub fn denies(&self, signal: &Signal, rule: &str) -> String {
        let decision = self.decide(signal);
        assert_eq!(
            (decision.verdict(), decision.rule.as_str()),
            (Verdict::Denied, rule),
            "{}",
            decision.reason
        );
        decision.reason
    }
}

pub fn leg(symbol: &str, intent: Intent) -> SignalLeg {
    SignalLeg { symbol: symbol.to_owned(), intent: intent.into(), ..SignalLeg::default() }
}

pub fn signal(legs: Vec<SignalLeg>) -> Signal {
    Signal { strategy: STRATEGY.to_owned(), legs, ..Signal::default() }
}

pub fn buy() -> Signal {
    signal(vec![leg(SYMBOL, Intent::EnterLong)])
}

pub fn exit() -> Signal {
    signal(vec![leg(SYMBOL, Intent::Exit)])
}

/// A limit at what the signal comes to lets it pass, one below it does not.
#[track_caller]
fn edge(name: &str, passes: &str, denies: &str, rule: &str) -> String {
    let mut world = World::new();
    world.of_account(&[(name, passes)]);
    world.passes(&buy());
    world.of_account(&[(name, denies)]);
    world.denies(&buy(), rule)
}

#[test]
fn every_limit_of_quantity_and_value_has_its_edge() {
    let reason = edge("max_order_quantity", "100", "99", "max_order_quantity");
    assert_eq!(reason, "the order is 100 shares, expected at most 99 (limits of account paper, version 2)");
    edge("max_order_value", "5000", "4999.99", "max_order_value");
    edge("max_position_quantity", "100", "99", "max_position");
    edge("max_position_value", "5000", "4999", "max_position");
    edge("max_concentration", "0.05", "0.0499", "max_concentration");
    edge("max_gross_exposure", "5000", "4999", "max_gross_exposure");
    edge("max_net_exposure", "5000", "4999", "max_net_exposure");
    edge("max_leverage", "0.05", "0.049", "max_leverage");
    edge("max_open_orders", "1", "0", "max_open_orders");
    edge("max_orders_per_minute", "1", "0", "order_rate");
    edge("max_orders_per_hour", "1", "0", "order_rate");
    edge("max_orders_per_day", "1", "0", "order_rate");
}

#[test]
fn nothing_is_measured_that_nothing_asks_for() {
    let world = World::new();
    let decision = world.passes(&buy());
    let input = &decision.inputs[0];
    assert!(input.limits.is_empty() && input.breakers.is_empty() && input.correlation.is_none());
    assert!(input.scenarios.is_none() && input.sizing.is_none() && input.since_open_ms.is_none());
}

#[test]
fn positions_and_open_orders_count_in_their_scope() {
    let mut world = World::new();
    world.hold(SYMBOL, 60);
    let waiting = spec(&contracts::order_id("waits", 0));
    world.fold([approval(&waiting, price("50"))]);
    // 60 held and 100 on their way, with 40 more.
    let more =
        signal(vec![SignalLeg { quantity_e9: Some(shares("40").0), ..leg(SYMBOL, Intent::EnterLong) }]);
    world.of_account(&[("max_position_quantity", "200")]);
    world.passes(&more);
    world.of_account(&[("max_position_quantity", "199")]);
    world.denies(&more, "max_position");
    // Another strategy's limit is none of this one's; one of the symbol is.
    world.of_account(&[("max_position_quantity", "none")]);
    world.limit(Scope::new("", "somebody", ""), &[("max_position_quantity", "1")]);
    world.limit(Scope::new("", "", OTHER), &[("max_position_quantity", "1")]);
    world.passes(&more);
    world.limit(Scope::new("", "", SYMBOL), &[("max_position_quantity", "199")]);
    world.denies(&more, "max_position");
    // Reducing is always possible.
    world.passes(&signal(vec![SignalLeg { quantity_e9: Some(shares("10").0), ..leg(SYMBOL, Intent::Exit) }]));
}

#[test]
fn net_exposure_is_brought_down_by_the_other_side() {
    let mut world = World::new();
    world.hold(OTHER, 1_000);
    world.of_account(&[("max_net_exposure", "10000")]);
    world.denies(&buy(), "max_net_exposure");
    // Selling short brings 20,000 down to 15,000, though that is still too much.
    let short = signal(vec![leg(SYMBOL, Intent::EnterShort)]);
    world.passes(&short);
    world.of_account(&[("allow_short", "false")]);
    world.denies(&short, "short_not_allowed");
}

#[test]
fn legs_of_one_signal_count_together() {
    let mut world = World::new();
    let both = signal(vec![leg(SYMBOL, Intent::EnterLong), leg(OTHER, Intent::EnterLong)]);
    // 50 shares each: 2,500 and 1,000.
    world.of_account(&[("max_gross_exposure", "3500"), ("max_open_orders", "2")]);
    world.passes(&both);
    world.of_account(&[("max_gross_exposure", "3499")]);
    world.denies(&both, "max_gross_exposure");
    world.of_account(&[("max_gross_exposure", "none"), ("max_open_orders", "1")]);
    world.denies(&both, "max_open_orders");
    // What is left to spend is the account's, also where a symbol's limit asks: 200,000 less 3,500.
    world.of_account(&[("max_open_orders", "none")]);
    world.limit(Scope::new("", "", OTHER), &[("min_buying_power", "196500")]);
    world.passes(&both);
    world.limit(Scope::new("", "", OTHER), &[("min_buying_power", "196500.01")]);
    world.denies(&both, "min_buying_power");
}

#[test]
fn rates_count_what_was_approved_within_their_window() {
    let mut world = World::new();
    world.of_account(&[("max_orders_per_minute", "2"), ("max_orders_per_day", "3")]);
    let second = 1_000_000_000;
    let start = world.now_ns;
    for (index, after_s) in [(0, 0), (1, 10)] {
        let spec = spec(&contracts::order_id("rate", index));
        let sequence = world.book.sequence() + 1;
        let event = event(start + after_s * second, approval(&spec, price("50")));
        world.book.apply(sequence, &event).unwrap();
    }
    world.now_ns = start + 59 * second;
    let other = signal(vec![SignalLeg { quantity_e9: Some(shares("1").0), ..leg(OTHER, Intent::EnterLong) }]);
    world.denies(&other, "order_rate");
    // The first is a minute old.
    world.now_ns = start + 60 * second;
    let input = world.passes(&other).inputs[0].limits[0].clone();
    assert_eq!((input.orders_minute, input.orders_hour, input.orders_day), (1, 2, 2));
    world.of_account(&[("max_orders_per_minute", "none"), ("max_orders_per_day", "2")]);
    world.denies(&other, "order_rate");
    // The day after in New York counts anew.
    world.now_ns = start + 86_400 * second;
    world.bars(&[(OTHER, &[20.0])]);
    world.passes(&other);
}

#[test]
fn orders_of_a_backlog_count_when_they_are_let_go() {
    let mut world = World::new();
    world.of_account(&[("max_orders_per_hour", "1")]);
    let spec = spec(&contracts::order_id("rate", 0));
    let Body::RiskDecision(mut decision) = approval(&spec, price("50")) else { panic!() };
    // Its signal is of ten hours ago; the decision on it was made now.
    let hour = 3_600_000_000_000;
    decision.inputs[0].price_time = Some(to_timestamp(world.now_ns - 10 * hour));
    decision.inputs[0].price_age_ms = 10 * 3_600_000;
    let event = event(world.now_ns - 10 * hour, Body::RiskDecision(decision));
    world.book.apply(world.book.sequence() + 1, &event).unwrap();
    let other = signal(vec![SignalLeg { quantity_e9: Some(shares("1").0), ..leg(OTHER, Intent::EnterLong) }]);
    world.denies(&other, "order_rate");
    world.now_ns += hour;
    world.bars(&[(OTHER, &[20.0])]);
    world.passes(&other);
}

#[test]
fn terms_and_times_have_their_limits() {
    let mut world = World::new();
    let limit_at = |text: &str| {
        signal(vec![SignalLeg {
            order_type: OrderType::Limit.into(),
            limit_price_e9: Some(price(text).0),
            ..leg(SYMBOL, Intent::EnterLong)
        }])
    };
    world.of_account(&[("price_collar", "0.02")]);
    world.passes(&limit_at("51"));
    world.denies(&limit_at("51.01"), "price_collar");
    world.of_account(&[("price_collar", "none"), ("restricted", "GME,ACME")]);
    assert!(world.denies(&buy(), "restricted").starts_with("ACME is on the restricted list"));
    world.of_account(&[("restricted", "GME"), ("max_price_age", "30")]);
    world.now_ns += 30_000_000_000;
    world.passes(&buy());
    world.now_ns += 1_000_000_000;
    world.denies(&buy(), "stale_price");
    world.of_account(&[("max_price_age", "none"), ("min_buying_power", "195000")]);
    // Shorts are allowed, so it is an account on margin: 200,000 less 5,000.
    world.passes(&buy());
    world.of_account(&[("min_buying_power", "195000.01")]);
    world.denies(&buy(), "min_buying_power");
}

#[test]
fn sessions_have_edges_on_early_closes_too() {
    let mut world = World::new();
    let at_time = |world: &mut World, text: &str| {
        world.now_ns = at(text);
        world.bars(&[(SYMBOL, &[50.0])]);
    };
    world.of_account(&[("close_buffer", "600"), ("open_buffer", "300")]);
    // The day after Thanksgiving closes at 13:00 in New York.
    at_time(&mut world, "2024-11-29T17:50:00Z");
    world.passes(&buy());
    at_time(&mut world, "2024-11-29T17:50:01Z");
    assert!(world.denies(&buy(), "session_edge").starts_with("the session closes in 599000 ms"));
    at_time(&mut world, "2024-12-02T14:34:59Z");
    assert!(world.denies(&buy(), "session_edge").starts_with("the session opened 299000 ms ago"));
    at_time(&mut world, "2024-12-02T14:35:00Z");
    world.passes(&buy());
    // Outside of a session an order waits for the next one, unless that is not wanted.
    at_time(&mut world, "2024-12-02T22:00:00Z");
    world.passes(&buy());
    world.of_account(&[("session_only", "true")]);
    world.denies(&buy(), "market_closed");
}

fn walk(start: f64, steps: usize, seed: u64) -> Vec<f64> {
    let mut state = seed;
    let mut last = start;
    let mut draw = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(state >> 40).unwrap()) / f64::from(1 << 24) - 0.5
    };
    (0..steps)
        .map(|_| {
            last *= 1.0 + draw() / 50.0;
            last
        })
        .collect()
}

#[test]
fn correlation_is_of_returns_and_fails_closed() {
    let mut world = World::new();
    world.of_account(&[("max_correlation", "0.8")]);
    // Nothing else is held.
    world.passes(&buy());
    world.hold(OTHER, 10);
    assert!(
        world
            .denies(&buy(), "correlation")
            .starts_with("0 returns in common with OTHR, expected at least 30")
    );
    let own = walk(50.0, 61, 7);
    let twin: Vec<f64> = own.iter().map(|close| close * 0.4).collect();
    let mut correlated = World::new();
    correlated.bars(&[(SYMBOL, &own), (OTHER, &twin)]);
    correlated.hold(OTHER, 10);
    correlated.of_account(&[("max_correlation", "0.8")]);
    assert!(
        correlated.denies(&buy(), "correlation").starts_with("returns correlate 1.0000 with those of OTHR")
    );
    // The other side of the bet is a hedge.
    correlated.passes(&signal(vec![leg(SYMBOL, Intent::EnterShort)]));
    // Two trends correlate in their levels; their returns do not.
    let trend = |seed: u64| -> Vec<f64> {
        walk(50.0, 61, seed).iter().zip(1..).map(|(close, day)| close * 1.02_f64.powi(day)).collect()
    };
    let mut trends = World::new();
    trends.bars(&[(SYMBOL, &trend(11)), (OTHER, &trend(23))]);
    trends.hold(OTHER, 10);
    trends.of_account(&[("max_correlation", "0.8")]);
    let found = trends.passes(&buy()).inputs[0].correlation.clone().unwrap();
    assert_eq!((found.symbol.as_str(), found.bars), (OTHER, 60));
    assert!(found.value.abs() < 0.5, "{}", found.value);
    // 30 returns are enough, 29 are not.
    for (bars, denied) in [(31, false), (30, true)] {
        let mut world = World::new();
        world.bars(&[(SYMBOL, &walk(50.0, bars, 3)), (OTHER, &walk(20.0, bars, 5))]);
        world.hold(OTHER, 10);
        world.of_account(&[("max_correlation", "1")]);
        if denied {
            world.denies(&buy(), "correlation");
        } else {
            world.passes(&buy());
        }
    }
}

#[test]
fn value_at_risk_is_that_of_the_book_after_the_trade() {
    let mut world = World::new();
    world.of_account(&[("max_var", "0.001")]);
    assert!(world.denies(&buy(), "max_var").starts_with("0 returns at common times"));
    let own = walk(50.0, 101, 7);
    world.bars(&[(SYMBOL, &own), (OTHER, &walk(20.0, 101, 9))]);
    // 5 % of 100 scenarios of some 5,000 in a symbol that moves up to 1 % a bar.
    let mut returns: Vec<f64> = own.windows(2).map(|pair| pair[1] / pair[0] - 1.0).collect();
    let value = world.prices.get(SYMBOL).unwrap().price.to_f64() * 100.0;
    returns.sort_by(f64::total_cmp);
    let at = 0.05 * 99.0;
    let quantile = returns[4] + (returns[5] - returns[4]) * (at - 4.0);
    let share = -quantile * value / 100_000.0;
    world.of_account(&[("max_var", &format!("{:.9}", share * 1.001))]);
    world.passes(&buy());
    world.of_account(&[("max_var", &format!("{:.9}", share * 0.999))]);
    world.denies(&buy(), "max_var");
    // A short position of the same symbol is a hedge of what is held.
    world.hold(SYMBOL, 300);
    world.of_account(&[("max_var", "0.000001")]);
    let more = signal(vec![SignalLeg { quantity_e9: Some(shares("1").0), ..leg(SYMBOL, Intent::EnterLong) }]);
    world.denies(&more, "max_var");
}

#[test]
fn usage_says_what_the_next_order_is_held_against() {
    let mut world = World::new();
    world.hold(SYMBOL, 100);
    world.hold(OTHER, -50);
    world.of_account(&[
        ("max_gross_exposure", "12000"),
        ("max_net_exposure", "8000"),
        ("max_leverage", "0.5"),
        ("max_position_value", "6000"),
        ("max_orders_per_day", "10"),
    ]);
    world.limit(Scope::new("", "", OTHER), &[("max_position_quantity", "100")]);
    let usage = scope_usage(&world.book, ACCOUNT, Calendar::xnys());
    let of = |name: &str| {
        let row = usage.iter().find(|row| row.limit == name).unwrap();
        (row.used_text(), row.most_text(), row.of.clone())
    };
    let text = |used: &str, most: &str, of: &str| (used.to_owned(), most.to_owned(), of.to_owned());
    assert_eq!(of("max_gross_exposure"), text("6000", "12000", ""));
    assert_eq!(of("max_net_exposure"), text("4000", "8000", ""));
    assert_eq!(of("max_leverage"), text("0.06", "0.5", ""));
    assert_eq!(of("max_position_value"), text("5000", "6000", SYMBOL));
    assert_eq!(of("max_orders_per_day").1, "10");
    assert_eq!(of("max_position_quantity"), text("50", "100", OTHER));
}

#[test]
fn the_day_of_a_rate_is_that_of_the_tapes_calendar() {
    let mut world = World::new();
    world.of_account(&[("max_orders_per_day", "10")]);
    // The evening before in New York, and the same day in UTC.
    let early =
        event(at("2024-01-08T02:00:00Z"), approval(&spec(&contracts::order_id("early", 0)), price("50")));
    world.book.apply(world.book.sequence() + 1, &early).unwrap();
    let used = |market: Market| {
        let usage = scope_usage(&world.book, ACCOUNT, market.calendar());
        usage.iter().find(|row| row.limit == "max_orders_per_day").unwrap().used_text()
    };
    assert_eq!((used(Market::Xnys), used(Market::TwentyFourSeven)), ("0".to_owned(), "1".to_owned()));
}
