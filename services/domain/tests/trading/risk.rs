//! Every rule of the policy, one by one, against a signal that passes them all.

use contracts::v1::event::Body;
use contracts::v1::{
    AccountKind, Costs, Intent, OrderSpec, OrderType, RiskDecision, RiskInput, Side, Signal, SignalLeg,
    Sizing, SizingKind, StrategyDisabled, StrategyMode, TimeInForce, Verdict,
};
use domain::book::{Book, Prices, mark};
use domain::calendar::Calendar;
use domain::money::E9;
use domain::risk::{Policy, RiskView, Rule, Standing, decide, deny, rederive, view};

use crate::support::{
    ACCOUNT, STRATEGY, SYMBOL, approval, at, book_of, configured, deposit, enabled, event, fill, fold,
    limits, money, price, registered, shares, spec,
};

pub fn leg(intent: Intent) -> SignalLeg {
    SignalLeg { symbol: SYMBOL.to_owned(), intent: intent.into(), ..SignalLeg::default() }
}

pub fn signal(legs: Vec<SignalLeg>) -> Signal {
    Signal { strategy: STRATEGY.to_owned(), legs, ..Signal::default() }
}

pub fn enter() -> Signal {
    signal(vec![leg(Intent::EnterLong)])
}

pub fn exit() -> Signal {
    signal(vec![leg(Intent::Exit)])
}

/// 100 shares at 50 with 10,000 in the account: everything passes.
fn fine() -> RiskView {
    RiskView {
        account: ACCOUNT.to_owned(),
        policy: Policy {
            standing: Standing::Active,
            sizing: Some(Sizing {
                kind: SizingKind::Fixed.into(),
                value_e9: shares("100").0,
                ..Sizing::default()
            }),
            group: contracts::v1::GroupPolicy::Unspecified,
            position_cap_e9: None,
            limits: Some(limits()),
            kind: AccountKind::Unspecified,
            costs: Costs::default(),
        },
        inputs: vec![RiskInput {
            symbol: SYMBOL.to_owned(),
            price_e9: price("50").0,
            price_age_ms: 1_000,
            equity: money("10000"),
            cash: money("10000"),
            gross_exposure: money("0"),
            reserved_exposure: money("0"),
            day_pnl: money("0"),
            limits_version: 1,
            session_accepts: true,
            ..RiskInput::default()
        }],
    }
}

#[track_caller]
pub fn approved(signal: &Signal, view: &RiskView) -> OrderSpec {
    let decision = decide("s1", signal, view);
    assert_eq!(decision.verdict(), Verdict::Approved, "{}: {}", decision.rule, decision.reason);
    assert_eq!(decision.inputs, view.inputs);
    assert_eq!(rederive(&decision, signal, &view.policy), decision);
    decision.orders.first().unwrap().clone()
}

#[track_caller]
pub fn denied(signal: &Signal, view: &RiskView, rule: Rule, reason: &str) {
    let decision = decide("s1", signal, view);
    assert_eq!((decision.rule.as_str(), decision.reason.as_str()), (rule.name(), reason));
    assert_eq!(decision.verdict(), Verdict::Denied);
    assert!(decision.orders.is_empty());
    assert_eq!(rederive(&decision, signal, &view.policy), decision);
}

pub fn with(change: impl FnOnce(&mut RiskInput)) -> RiskView {
    let mut view = fine();
    change(&mut view.inputs[0]);
    view
}

fn with_policy(change: impl FnOnce(&mut Policy)) -> RiskView {
    let mut view = fine();
    change(&mut view.policy);
    view
}

fn with_limits(change: impl FnOnce(&mut contracts::v1::RiskLimits)) -> RiskView {
    with_policy(|policy| change(policy.limits.as_mut().unwrap()))
}

#[test]
fn a_fine_signal_becomes_an_order() {
    let order = approved(&enter(), &fine());
    assert_eq!(order.order_id, contracts::order_id("s1", 0));
    assert_eq!((order.side(), order.quantity_e9, order.reducing), (Side::Buy, shares("100").0, false));
    assert_eq!((order.order_type(), order.time_in_force()), (OrderType::Market, TimeInForce::Day));
}

#[test]
fn the_strategy_must_be_enabled() {
    let unknown = with_policy(|policy| policy.standing = Standing::NotEnabled);
    denied(&enter(), &unknown, Rule::StrategyNotEnabled, "strategy trend is not enabled");
    let stopped = with_policy(|policy| policy.standing = Standing::Disabled);
    denied(&enter(), &stopped, Rule::StrategyDisabled, "strategy trend is disabled");
}

#[test]
fn a_shadow_records_what_would_have_been() {
    let shadow = with_policy(|policy| policy.standing = Standing::Shadow);
    let decision = decide("s1", &enter(), &shadow);
    assert_eq!((decision.verdict(), decision.orders.len()), (Verdict::Shadowed, 0));
    assert_eq!(decision.reason, "shadow mode: would buy 100 ACME");
    let mut broke = shadow;
    broke.inputs[0].equity = None;
    let decision = decide("s1", &enter(), &broke);
    assert_eq!((decision.verdict(), decision.rule.as_str()), (Verdict::Shadowed, "no_mark"));
}

#[test]
fn a_halt_stops_entries_and_lets_exits_pass() {
    let halted = with(|input| input.halted = true);
    denied(&enter(), &halted, Rule::Halted, "trading is reduce-only; only reducing orders pass");
    let mut held = halted;
    held.inputs[0].strategy_position_e9 = shares("40").0;
    let order = approved(&exit(), &held);
    assert_eq!((order.side(), order.quantity_e9, order.reducing), (Side::Sell, shares("40").0, true));
}

#[test]
fn an_exit_needs_no_limits_price_or_mark() {
    let mut bare = with_policy(|policy| (policy.limits, policy.sizing) = (None, None));
    bare.inputs[0] = RiskInput {
        symbol: SYMBOL.to_owned(),
        strategy_position_e9: shares("-40").0,
        session_accepts: true,
        ..RiskInput::default()
    };
    let order = approved(&exit(), &bare);
    assert_eq!((order.side(), order.quantity_e9), (Side::Buy, shares("40").0));
}

#[test]
fn an_exit_closes_only_what_is_left() {
    let leaving = with(|input| {
        input.strategy_position_e9 = shares("100").0;
        input.strategy_reserved_e9 = shares("-60").0;
    });
    assert_eq!(approved(&exit(), &leaving).quantity_e9, shares("40").0);
    let mut some = exit();
    some.legs[0].quantity_e9 = Some(shares("15").0);
    assert_eq!(approved(&some, &leaving).quantity_e9, shares("15").0);
    some.legs[0].quantity_e9 = Some(shares("500").0);
    assert_eq!(approved(&some, &leaving).quantity_e9, shares("40").0, "an exit never crosses zero");

    let gone = with(|input| {
        input.strategy_position_e9 = shares("100").0;
        input.strategy_reserved_e9 = shares("-100").0;
    });
    denied(&exit(), &gone, Rule::NoPosition, "holds 100, of which 100 is on its way out");
    denied(&exit(), &fine(), Rule::NoPosition, "holds 0, of which 0 is on its way out");
}

#[test]
fn holding_already_is_no_second_entry() {
    let held = with(|input| input.strategy_position_e9 = shares("10").0);
    denied(&enter(), &held, Rule::AlreadyHeld, "holds or is about to hold 10");
    let coming = with(|input| input.strategy_reserved_e9 = shares("10").0);
    denied(&enter(), &coming, Rule::AlreadyHeld, "holds or is about to hold 10");
    let mut more = enter();
    more.legs[0].quantity_e9 = Some(shares("5").0);
    assert_eq!(approved(&more, &held).quantity_e9, shares("5").0);
}

#[test]
fn turning_around_covers_first() {
    let mut short = with_limits(|limits| limits.allow_short = true);
    short.inputs[0].strategy_position_e9 = shares("-30").0;
    short.inputs[0].account_position_e9 = shares("-30").0;
    assert_eq!(approved(&enter(), &short).quantity_e9, shares("130").0);
    short.inputs[0].strategy_reserved_e9 = shares("30").0;
    assert_eq!(approved(&enter(), &short).quantity_e9, shares("100").0, "the cover is on its way");
}

#[test]
fn missing_limits_or_sizing_open_nothing() {
    let bare = with_policy(|policy| policy.limits = None);
    denied(&enter(), &bare, Rule::LimitsMissing, "the account has no limits, expected a configuration");
    let bare = with_policy(|policy| policy.sizing = None);
    let words = "the strategy states no sizing, or its parameters are invalid";
    denied(&enter(), &bare, Rule::LimitsMissing, words);
    let zero = with_policy(|policy| policy.limits = Some(contracts::v1::RiskLimits::default()));
    assert_eq!(decide("s1", &enter(), &zero).verdict(), Verdict::Denied, "limits of 0 allow nothing");
}

#[test]
fn the_price_must_be_known_and_fresh() {
    let none = with(|input| input.price_e9 = 0);
    denied(&enter(), &none, Rule::StalePrice, "there is no price of ACME");
    let old = with(|input| input.price_age_ms = 60_001);
    denied(&enter(), &old, Rule::StalePrice, "the price is 60001 ms old, expected 0 to 60000 ms");
    let future = with(|input| input.price_age_ms = -1);
    denied(&enter(), &future, Rule::StalePrice, "the price is -1 ms old, expected 0 to 60000 ms");
    approved(&enter(), &with(|input| input.price_age_ms = 60_000));
}

fn limit_entry(limit: &str) -> Signal {
    let mut signal = enter();
    signal.legs[0].order_type = OrderType::Limit.into();
    signal.legs[0].limit_price_e9 = Some(price(limit).0);
    signal
}

#[test]
fn a_limit_price_stays_within_the_collar() {
    let words = |limit: &str| format!("limit {limit} is more than 0.1 of the price 50 away from it");
    denied(&limit_entry("55.01"), &fine(), Rule::PriceCollar, &words("55.01"));
    denied(&limit_entry("44.99"), &fine(), Rule::PriceCollar, &words("44.99"));
    assert_eq!(approved(&limit_entry("45"), &fine()).limit_price_e9, Some(price("45").0));
    let mut out = limit_entry("20");
    out.legs[0].intent = Intent::Exit.into();
    let held = with(|input| input.strategy_position_e9 = shares("1").0);
    denied(&out, &held, Rule::PriceCollar, &words("20"));
}

#[test]
fn an_account_must_have_been_valued() {
    let words = "the account was never valued, expected a mark";
    denied(&enter(), &with(|input| input.equity = None), Rule::NoMark, words);
    denied(&enter(), &with(|input| input.day_pnl = None), Rule::NoMark, words);
    let ruined = with(|input| input.equity = money("0"));
    denied(&enter(), &ruined, Rule::NoMark, "equity is 0, expected a positive amount");
}

#[test]
fn a_day_s_loss_stops_entries() {
    let losing =
        |equity: &str, pnl: &str| with(|input| (input.equity, input.day_pnl) = (money(equity), money(pnl)));
    let words = "the day's result is -500, expected above -500";
    denied(&enter(), &losing("9500", "-500"), Rule::DailyLoss, words);
    let almost = with(|input| (input.equity, input.day_pnl) = (money("10000.5"), money("-500")));
    approved(&enter(), &almost);
}

#[test]
fn shorts_must_be_allowed() {
    let short = signal(vec![leg(Intent::EnterShort)]);
    denied(&short, &fine(), Rule::ShortNotAllowed, "the account allows no short positions");
    let allowed = with_limits(|limits| limits.allow_short = true);
    assert_eq!(approved(&short, &allowed).side(), Side::Sell);
}

#[test]
fn less_than_a_share_is_nothing() {
    let small = with_policy(|policy| policy.position_cap_e9 = Some(shares("0.004").0));
    denied(&enter(), &small, Rule::SizeZero, "less than one share at 50 with 10000");
    let capped = with_policy(|policy| policy.position_cap_e9 = Some(shares("0.1").0));
    assert_eq!(approved(&enter(), &capped).quantity_e9, shares("20").0);
}

#[test]
fn limits_hold_at_their_exact_value() {
    let order = with_limits(|limits| limits.max_order_value = money("4999.99"));
    let words = "the order is worth 5000, expected at most 4999.99";
    denied(&enter(), &order, Rule::MaxOrderValue, words);
    approved(&enter(), &with_limits(|limits| limits.max_order_value = money("5000")));

    let position = |held: &str, reserved: &str| {
        with(|input| {
            input.account_position_e9 = shares(held).0;
            input.account_reserved_e9 = shares(reserved).0;
        })
    };
    approved(&enter(), &position("0", "0"));
    let words = "101 shares would be worth 5050, expected at most 5000";
    denied(&enter(), &position("1", "0"), Rule::MaxPosition, words);
    denied(&enter(), &position("0", "1"), Rule::MaxPosition, words);

    let exposure = |held: &str, reserved: &str| {
        with(|input| (input.gross_exposure, input.reserved_exposure) = (money(held), money(reserved)))
    };
    approved(&enter(), &exposure("3000", "2000"));
    let words = "gross exposure would be 10000.01, expected at most 10000";
    denied(&enter(), &exposure("3000", "2000.01"), Rule::MaxExposure, words);
}

#[test]
fn a_cash_account_spends_only_its_cash() {
    let poor = |cash: &str, reserved: &str| {
        with(|input| (input.cash, input.reserved_exposure) = (money(cash), money(reserved)))
    };
    approved(&enter(), &poor("6000", "1000"));
    let words = "approved and new buys come to 6000, expected at most the cash, 5999";
    denied(&enter(), &poor("5999", "1000"), Rule::InsufficientCash, words);
}

#[test]
fn wrong_signals_are_named() {
    let check = |signal: Signal, reason: &str| denied(&signal, &fine(), Rule::InvalidSignal, reason);
    check(signal(vec![]), "`legs` is empty, expected at least one leg");
    let change = |change: &dyn Fn(&mut SignalLeg)| {
        let mut signal = enter();
        change(&mut signal.legs[0]);
        signal
    };
    check(change(&|leg| leg.symbol.clear()), "`legs[0].symbol` is empty, expected a symbol");
    check(
        change(&|leg| leg.intent = 0),
        "`legs[0].intent` is not stated, expected enter long, enter short, exit or target",
    );
    check(
        change(&|leg| leg.order_type = OrderType::Stop.into()),
        "`legs[0].stop_price_e9` is missing, expected a positive price",
    );
    check(
        change(&|leg| leg.order_type = OrderType::Limit.into()),
        "`legs[0].limit_price_e9` is missing, expected a positive price",
    );
    check(
        change(&|leg| {
            (leg.order_type, leg.trail_rate_e9) = (OrderType::TrailingStop.into(), Some(E9 / 10));
            leg.time_in_force = TimeInForce::Fok.into();
        }),
        "`legs[0].time_in_force` is fok, expected day or gtc, because a stop waits",
    );
    check(
        change(&|leg| leg.order_type = OrderType::TrailingStop.into()),
        "`legs[0].trail_price_e9` is missing, expected a distance, as a price or as a rate",
    );
    check(
        change(&|leg| {
            (leg.take_profit_price_e9, leg.stop_loss_price_e9) = (Some(40 * E9), Some(45 * E9));
        }),
        "`legs[0].take_profit_price_e9` is 40 with a stop at 45, expected the profit beyond the entry on one \
         side and the stop on the other",
    );
    check(
        change(&|leg| (leg.intent, leg.quantity_e9) = (Intent::Target.into(), Some(E9))),
        "`legs[0].quantity_e9` is stated, expected none, because a target is a share of equity",
    );
    check(
        change(&|leg| leg.quantity_e9 = Some(0)),
        "`legs[0].quantity_e9` is not positive, expected a positive quantity, or none",
    );
    check(change(&|leg| leg.weight_e9 = -E9), "`weight_e9` is -1, expected 0 or more");
}

fn pair(second_price: &str) -> (Signal, RiskView) {
    let other = SignalLeg { symbol: "OTHER".to_owned(), ..leg(Intent::EnterLong) };
    let signal = signal(vec![leg(Intent::EnterLong), other]);
    let mut view = fine();
    let second = RiskInput {
        symbol: "OTHER".to_owned(),
        leg: 1,
        price_e9: price(second_price).0,
        ..view.inputs[0].clone()
    };
    view.inputs.push(second);
    (signal, view)
}

#[test]
fn legs_pass_together_or_not_at_all() {
    let (signal, view) = pair("60");
    let decision = decide("s1", &signal, &view);
    assert_eq!(decision.verdict(), Verdict::Approved);
    let sizes: Vec<_> = decision.orders.iter().map(|order| (order.leg, order.quantity_e9)).collect();
    assert_eq!(sizes, [(0, shares("50").0), (1, shares("50").0)], "legs share the size");

    // The second leg alone would pass; together with the first it exceeds the exposure.
    let (signal, mut view) = pair("60");
    for input in &mut view.inputs {
        input.gross_exposure = money("5000");
    }
    let words = "leg 1 OTHER: gross exposure would be 10500, expected at most 10000";
    denied(&signal, &view, Rule::MaxExposure, words);

    let (mut signal, view) = pair("60");
    signal.legs[1].symbol = SYMBOL.to_owned();
    let words = "`legs[1].symbol` is ACME, expected a symbol that no other leg has";
    denied(&signal, &view, Rule::InvalidSignal, words);
}

#[test]
fn a_shell_can_deny_for_its_own_reasons() {
    let decision = deny("s1", &enter(), &fine(), Rule::StaleReadModel, "the read model is at 3");
    assert_eq!((decision.verdict(), decision.rule.as_str()), (Verdict::Denied, "stale_read_model"));
}

#[test]
fn every_rule_has_a_name_of_its_own() {
    let mut names: Vec<_> = Rule::ALL.iter().map(|rule| rule.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Rule::ALL.len());
}

/// A book with 10,000, the strategy enabled and a mark.
fn ready(mode: StrategyMode) -> (Book, Prices) {
    let mut book = book_of([deposit("10000"), configured(limits()), registered("100"), enabled(mode)]);
    let mut prices = Prices::default();
    prices.observe(SYMBOL, price("50"), at("2024-06-11T15:00:00Z"));
    let body = mark(&book, ACCOUNT, &prices, true).unwrap();
    fold(&mut book, [Body::AccountMarked(body)]);
    (book, prices)
}

fn decided(book: &Book, prices: &Prices, signal: &Signal) -> RiskDecision {
    let now_ns = at("2024-06-11T15:00:05Z");
    let view = view(book, prices, Calendar::xnys(), signal, now_ns, "fallback");
    decide("s1", signal, &view)
}

#[test]
fn the_view_comes_from_the_book() {
    let (mut book, prices) = ready(StrategyMode::Paper);
    let decision = decided(&book, &prices, &enter());
    assert_eq!(decision.verdict(), Verdict::Approved, "{}", decision.reason);
    let input = &decision.inputs[0];
    assert_eq!((input.price_age_ms, input.limits_version), (5_000, 1));
    assert_eq!((input.equity, input.cash, input.day_pnl), (money("10000"), money("10000"), money("0")));

    let sequence = book.sequence() + 1;
    book.apply(sequence, &event(9, Body::RiskDecision(decision))).unwrap();
    let again = decided(&book, &prices, &enter());
    assert_eq!(again.rule, "already_held", "an approval counts before it is filled");
    assert_eq!(again.inputs[0].reserved_exposure, money("5000"));

    let order = book.open_orders().next().unwrap().spec.clone();
    fold(&mut book, [fill(&order, 1, shares("100"), price("50"), "0")]);
    let out = decided(&book, &prices, &exit());
    assert_eq!(out.orders[0].quantity_e9, shares("100").0);
    assert_eq!(out.inputs[0].gross_exposure, money("5000"), "a fill counts before the next mark");
}

#[test]
fn reservations_on_the_other_side_do_not_help() {
    let (mut book, prices) = ready(StrategyMode::Paper);
    let other = OrderSpec {
        strategy: "other".to_owned(),
        side: Side::Sell.into(),
        reducing: true,
        ..spec("other-exit")
    };
    fold(&mut book, [approval(&other, price("50"))]);
    let decision = decided(&book, &prices, &enter());
    assert_eq!(decision.inputs[0].account_reserved_e9, 0);
}

#[test]
fn standing_follows_the_controls() {
    let (book, prices) = ready(StrategyMode::Shadow);
    assert_eq!(decided(&book, &prices, &enter()).verdict(), Verdict::Shadowed);
    let (mut book, prices) = ready(StrategyMode::Live);
    let off = StrategyDisabled { strategy: STRATEGY.to_owned(), ..StrategyDisabled::default() };
    fold(&mut book, [Body::StrategyDisabled(off)]);
    assert_eq!(decided(&book, &prices, &enter()).rule, "strategy_disabled");
    let stranger = Signal { strategy: "stranger".to_owned(), ..enter() };
    let decision = decided(&book, &prices, &stranger);
    assert_eq!((decision.rule.as_str(), decision.account.as_str()), ("strategy_not_enabled", "fallback"));
}
