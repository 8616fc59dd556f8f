//! Targets, groups, sizings and accounts of each kind, as risk decides them.

use contracts::v1::{
    AccountKind, Costs, GroupKind, Intent, MarginCalled, MarginRestored, OrderSpec, OrderType, RiskDecision,
    RiskInput, Side, SignalLeg, Sizing, SizingKind, TimeInForce, Verdict,
};
use contracts::{child_order_id, order_id, v1::event::Body};
use domain::book::{KnownPrice, Prices, margin_change};
use domain::money::{Amount, E9};
use domain::risk::kernel::maintenance;
use domain::risk::{Policy, RiskView, Standing, buying_power_only, decide, rederive};

use crate::risk::{approved, leg, signal};
use crate::support::{
    ACCOUNT, SYMBOL, amount, book_of, configured, deposit, fill, fold, money, price, shares, spec,
};

/// 10,000 of equity and cash, a price of 50, nothing held, nothing limited but buying power.
fn given(kind: AccountKind, allow_short: bool) -> RiskView {
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
            limits: Some(buying_power_only(allow_short)),
            kind,
            costs: Costs::default(),
        },
        inputs: vec![input(SYMBOL, "0")],
    }
}

fn input(symbol: &str, held: &str) -> RiskInput {
    RiskInput {
        symbol: symbol.to_owned(),
        price_e9: price("50").0,
        strategy_position_e9: shares(held).0,
        account_position_e9: shares(held).0,
        equity: money("10000"),
        cash: money("10000"),
        gross_exposure: money("0"),
        reserved_exposure: money("0"),
        day_pnl: money("0"),
        session_accepts: true,
        ..RiskInput::default()
    }
}

fn held(view: &mut RiskView, position: &str, gross: &str, cash: &str) {
    let input = &mut view.inputs[0];
    input.strategy_position_e9 = shares(position).0;
    input.account_position_e9 = shares(position).0;
    (input.gross_exposure, input.cash) = (money(gross), money(cash));
}

fn target(weight: &str) -> SignalLeg {
    SignalLeg { weight_e9: price(weight).0, ..leg(Intent::Target) }
}

/// One line of what becomes of the legs.
#[track_caller]
fn then(legs: Vec<SignalLeg>, view: &RiskView) -> String {
    let signal = signal(legs);
    let decision = decide("s1", &signal, view);
    assert_eq!(rederive(&decision, &signal, &view.policy), decision, "its inputs derive it again");
    if decision.verdict() != Verdict::Approved {
        return decision.rule;
    }
    let lines: Vec<_> = decision.orders.iter().map(line).collect();
    lines.join(", ")
}

fn line(order: &OrderSpec) -> String {
    let side = if order.side() == Side::Buy { "buy" } else { "sell" };
    let reducing = if order.reducing { " reducing" } else { "" };
    format!("{side} {}{reducing}", domain::money::Quantity(order.quantity_e9))
}

/// No limit is none at any equity.
#[test]
fn what_is_not_limited_is_not_limited_by_wealth() {
    let mut view = given(AccountKind::Unspecified, true);
    (view.inputs[0].equity, view.inputs[0].cash) = (money("50000000000"), money("50000000000"));
    let order = approved(&signal(vec![leg(Intent::EnterLong)]), &view);
    assert_eq!(order.quantity_e9, shares("100").0);
}

/// Equity that was negative as the day began and is positive now is no loss.
#[test]
fn a_day_that_began_below_nothing_is_no_loss() {
    let mut view = given(AccountKind::Unspecified, true);
    let equity = Amount::from_wire(view.inputs[0].equity.as_ref());
    view.inputs[0].day_pnl = Amount(equity.0 + 1_000_000_000).to_wire();
    let order = approved(&signal(vec![leg(Intent::EnterLong)]), &view);
    assert_eq!(order.quantity_e9, shares("100").0);
}

#[test]
fn a_target_orders_the_difference() {
    let check = |position: &str, reserved: &str, weight: &str, expected: &str| {
        let mut view = given(AccountKind::Margin, true);
        held(&mut view, position, "0", "10000");
        view.inputs[0].strategy_reserved_e9 = shares(reserved).0;
        assert_eq!(then(vec![target(weight)], &view), expected, "{position} {reserved} {weight}");
    };
    check("0", "0", "0.5", "buy 100");
    check("0", "0", "0.503", "buy 100");
    check("40", "0", "0.5", "buy 60");
    check("40", "60", "0.5", "already_held");
    check("100", "0", "0.25", "sell 50 reducing");
    check("100", "0", "0", "sell 100 reducing");
    check("100", "-100", "0", "already_held");
    check("0", "0", "0", "already_held");
    check("0", "50", "0", "no_position");
    check("-100", "0", "0", "buy 100 reducing");
    check("0", "0", "-0.5", "sell 100");
    check("100", "0", "-0.5", "sell 200");
    check("0.5", "0", "-0.5", "short_not_allowed");
    check("0", "0.000000001", "-0.5", "short_not_allowed");
}

#[test]
fn a_reducing_target_passes_where_nothing_is_opened() {
    let mut view = given(AccountKind::Margin, true);
    held(&mut view, "100", "5000", "5000");
    (view.inputs[0].halted, view.inputs[0].margin_called) = (true, true);
    assert_eq!(then(vec![target("0.1")], &view), "sell 80 reducing");
    assert_eq!(then(vec![target("0.9")], &view), "halted");
    view.inputs[0].halted = false;
    assert_eq!(then(vec![target("0.9")], &view), "margin_call");
    assert_eq!(then(vec![target("-0.1")], &view), "margin_call");
}

#[test]
fn what_one_target_sells_pays_for_another() {
    let mut view = given(AccountKind::Cash, false);
    held(&mut view, "200", "10000", "0");
    let other = RiskInput { leg: 1, gross_exposure: money("10000"), cash: money("0"), ..input("OTHER", "0") };
    view.inputs.push(other);
    let legs = |first: &str, second: &str| {
        let second = SignalLeg { symbol: "OTHER".to_owned(), ..target(second) };
        vec![target(first), second]
    };
    assert_eq!(then(legs("0.5", "0.5"), &view), "sell 100 reducing, buy 100");
    assert_eq!(then(legs("0.6", "0.5"), &view), "insufficient_cash");
    // Whatever the place of the legs.
    let mut turned = legs("0.5", "0.5");
    turned.reverse();
    view.inputs.reverse();
    (view.inputs[0].leg, view.inputs[1].leg) = (0, 1);
    assert_eq!(then(turned, &view), "buy 100, sell 100 reducing");
}

#[test]
fn a_leg_on_target_needs_no_order_and_stops_no_other() {
    let mut view = given(AccountKind::Margin, true);
    held(&mut view, "100", "5000", "5000");
    for (leg, symbol) in [(1, "FLAT"), (2, "WANTED")] {
        view.inputs.push(RiskInput { leg, gross_exposure: money("5000"), ..input(symbol, "0") });
    }
    let legs = |weights: [&str; 3]| {
        let symbols = [SYMBOL, "FLAT", "WANTED"];
        let legs = weights.into_iter().zip(symbols);
        legs.map(|(weight, symbol)| SignalLeg { symbol: symbol.to_owned(), ..target(weight) }).collect()
    };
    assert_eq!(then(legs(["0.5", "0", "0.25"]), &view), "buy 50");
    let decision = decide("s1", &signal(legs(["0.5", "0", "0.25"])), &view);
    assert_eq!(decision.orders[0].order_id, order_id("s1", 2), "the order bears the number of its leg");
    // Where no leg needs an order the signal is denied, in the words of its first.
    let decision = decide("s1", &signal(legs(["0.5", "0", "0"])), &view);
    assert_eq!((decision.verdict(), decision.rule.as_str()), (Verdict::Denied, "already_held"));
    assert!(decision.reason.contains(SYMBOL), "{}", decision.reason);
    // What stands against another leg denies all of them.
    view.inputs[2].session_accepts = false;
    assert_eq!(then(legs(["0.5", "0", "0.25"]), &view), "market_closed");
}

#[test]
fn a_cash_account_allows_neither_leverage_nor_shorts() {
    let wanting =
        |intent, quantity: &str| vec![SignalLeg { quantity_e9: Some(shares(quantity).0), ..leg(intent) }];
    for (kind, allow_short) in [(AccountKind::Cash, true), (AccountKind::Unspecified, false)] {
        let view = given(kind, allow_short);
        assert_eq!(then(wanting(Intent::EnterLong, "200"), &view), "buy 200");
        assert_eq!(then(wanting(Intent::EnterLong, "201"), &view), "insufficient_cash");
        assert_eq!(then(wanting(Intent::EnterShort, "1"), &view), "short_not_allowed");
    }
}

#[test]
fn what_would_turn_into_a_forbidden_short_position_closes_the_long_one() {
    let turning = |quantity: Option<&str>| {
        let quantity_e9 = quantity.map(|quantity| shares(quantity).0);
        vec![SignalLeg { quantity_e9, ..leg(Intent::EnterShort) }]
    };
    for (kind, allow_short) in [(AccountKind::Cash, true), (AccountKind::Unspecified, false)] {
        let mut long = given(kind, allow_short);
        held(&mut long, "40", "2000", "8000");
        assert_eq!(then(turning(None), &long), "sell 40 reducing");
        assert_eq!(then(turning(Some("100")), &long), "sell 40 reducing");
        assert_eq!(then(turning(Some("30")), &long), "sell 30 reducing");
        // It has no exits, and a halt does not hold it up.
        let bracket = vec![SignalLeg { stop_loss_price_e9: Some(price("60").0), ..leg(Intent::EnterShort) }];
        long.inputs[0].halted = true;
        assert_eq!(then(bracket, &long), "sell 40 reducing");
        // What is on its way out is not sold again.
        long.inputs[0].strategy_reserved_e9 = shares("-40").0;
        long.inputs[0].halted = false;
        assert_eq!(then(turning(None), &long), "short_not_allowed");
        // One leg of several opens or nothing does.
        let mut pair = given(kind, allow_short);
        held(&mut pair, "40", "2000", "8000");
        pair.inputs.push(RiskInput { leg: 1, ..input("OTHER", "0") });
        let other = SignalLeg { symbol: "OTHER".to_owned(), ..leg(Intent::EnterLong) };
        assert_eq!(then([turning(None), vec![other]].concat(), &pair), "short_not_allowed");
    }
    // Where shorts are allowed it turns around.
    let mut long = given(AccountKind::Margin, true);
    held(&mut long, "40", "2000", "8000");
    assert_eq!(then(turning(None), &long), "sell 140");
}

#[test]
fn on_margin_half_of_what_is_opened_is_the_accounts_own() {
    let wanting =
        |intent, quantity: &str| vec![SignalLeg { quantity_e9: Some(shares(quantity).0), ..leg(intent) }];
    let view = given(AccountKind::Margin, true);
    assert_eq!(then(wanting(Intent::EnterLong, "400"), &view), "buy 400");
    assert_eq!(then(wanting(Intent::EnterLong, "401"), &view), "insufficient_buying_power");
    assert_eq!(then(wanting(Intent::EnterShort, "400"), &view), "sell 400");
    assert_eq!(then(wanting(Intent::EnterShort, "401"), &view), "insufficient_buying_power");
    assert_eq!(
        then(wanting(Intent::EnterShort, "1"), &given(AccountKind::Margin, false)),
        "short_not_allowed"
    );
    // The proceeds of a short sale raise cash and not equity: they buy nothing.
    let mut short = given(AccountKind::Margin, true);
    held(&mut short, "-400", "20000", "30000");
    short.inputs[0].strategy_position_e9 = 0;
    short.inputs[0].account_position_e9 = 0;
    assert_eq!(then(wanting(Intent::EnterLong, "1"), &short), "insufficient_buying_power");
    // Turning round opens no more than what goes beyond the position.
    let mut turned = given(AccountKind::Margin, true);
    held(&mut turned, "400", "20000", "-10000");
    assert_eq!(then(wanting(Intent::EnterShort, "800"), &turned), "sell 800");
}

#[test]
fn without_a_kind_shorts_need_margin_and_longs_cash() {
    let wanting =
        |intent, quantity: &str| vec![SignalLeg { quantity_e9: Some(shares(quantity).0), ..leg(intent) }];
    let mut view = given(AccountKind::Unspecified, true);
    assert_eq!(then(wanting(Intent::EnterLong, "200"), &view), "buy 200");
    assert_eq!(then(wanting(Intent::EnterLong, "201"), &view), "insufficient_cash");
    assert_eq!(then(wanting(Intent::EnterShort, "400"), &view), "sell 400");
    assert_eq!(then(wanting(Intent::EnterShort, "401"), &view), "insufficient_buying_power");
    // Turning round: what covers the short is paid by its proceeds.
    held(&mut view, "-200", "10000", "20000");
    assert_eq!(then(wanting(Intent::EnterLong, "400"), &view), "buy 400");
    assert_eq!(then(wanting(Intent::EnterLong, "401"), &view), "insufficient_cash");
    // The proceeds of shorts in other symbols buy no more than the margin covers.
    held(&mut view, "0", "20000", "30000");
    assert_eq!(then(wanting(Intent::EnterLong, "1"), &view), "insufficient_buying_power");
}

/// A tenth of a percent of commission, at least 1.
fn costs() -> Costs {
    let commission_minimum = money("1");
    Costs { commission_rate_e9: price("0.001").0, commission_minimum, ..Costs::default() }
}

#[test]
fn cash_pays_for_the_costs_too() {
    let wanting =
        |quantity: &str| vec![SignalLeg { quantity_e9: Some(shares(quantity).0), ..leg(Intent::EnterLong) }];
    for (kind, allow_short) in
        [(AccountKind::Cash, false), (AccountKind::Unspecified, false), (AccountKind::Unspecified, true)]
    {
        let mut view = given(kind, allow_short);
        view.policy.costs = costs();
        // 199 shares come to 9,950 and 9.95; 200 to 10,000 and 10.
        assert_eq!(then(wanting("199"), &view), "buy 199");
        assert_eq!(then(wanting("200"), &view), "insufficient_cash");
        // A market order slips, a limit order does not.
        view.policy.costs.slippage_rate_e9 = price("0.01").0;
        assert_eq!(then(wanting("199"), &view), "insufficient_cash");
        assert_eq!(then(wanting("197"), &view), "buy 197");
        let mut limited = wanting("199");
        limited[0].order_type = OrderType::Limit.into();
        limited[0].limit_price_e9 = Some(price("50").0);
        assert_eq!(then(limited, &view), "buy 199");
        // What is approved already has costs as well.
        view.policy.costs = costs();
        view.inputs[0].reserved_exposure = money("5000");
        assert_eq!(then(wanting("99"), &view), "buy 99");
        assert_eq!(then(wanting("100"), &view), "insufficient_cash");
    }
    let mut margin = given(AccountKind::Margin, true);
    margin.policy.costs = costs();
    assert_eq!(then(wanting("400"), &margin), "buy 400");
}

#[test]
fn a_size_in_money_leaves_its_costs() {
    let check = |kind: SizingKind, value: &str, expected: &str| {
        let mut view = given(AccountKind::Cash, false);
        view.policy.costs = costs();
        view.policy.sizing =
            Some(Sizing { kind: kind.into(), value_e9: price(value).0, ..Sizing::default() });
        view.inputs[0].strategy_symbols = 1;
        assert_eq!(then(vec![leg(Intent::EnterLong)], &view), expected, "{kind:?} {value}");
    };
    check(SizingKind::Fraction, "1", "buy 199");
    check(SizingKind::EqualWeight, "1", "buy 199");
    check(SizingKind::Notional, "10000", "buy 199");
    check(SizingKind::Fraction, "0.5", "buy 100");
    // What the cash never paid for is not made smaller, nor are shares that are stated.
    check(SizingKind::Fraction, "1.01", "insufficient_cash");
    check(SizingKind::Fixed, "200", "insufficient_cash");
    let mut view = given(AccountKind::Cash, false);
    view.policy.costs = costs();
    assert_eq!(then(vec![target("1")], &view), "buy 199");
    let sizing =
        Sizing { kind: SizingKind::Fraction.into(), value_e9: E9, lot_e9: 20 * E9, ..Sizing::default() };
    view.policy.sizing = Some(sizing);
    assert_eq!(then(vec![leg(Intent::EnterLong)], &view), "buy 180");
    // Nothing is left where one share is all the cash.
    view.policy.sizing = Some(Sizing { lot_e9: 0, ..sizing });
    view.inputs[0].price_e9 = price("10000").0;
    assert_eq!(then(vec![leg(Intent::EnterLong)], &view), "size_zero");
}

#[test]
fn sizings_by_amount_and_by_equal_parts() {
    let check = |kind: SizingKind, value: &str, symbols, expected: &str| {
        let mut view = given(AccountKind::Unspecified, false);
        view.policy.sizing =
            Some(Sizing { kind: kind.into(), value_e9: price(value).0, ..Sizing::default() });
        view.inputs[0].strategy_symbols = symbols;
        assert_eq!(then(vec![leg(Intent::EnterLong)], &view), expected);
    };
    check(SizingKind::Notional, "1234", 0, "buy 24");
    check(SizingKind::EqualWeight, "1", 4, "buy 50");
    check(SizingKind::EqualWeight, "1", 3, "buy 66");
    check(SizingKind::EqualWeight, "1", 0, "size_zero");
}

fn bracket(intent: Intent, take_profit: Option<&str>, stop_loss: Option<&str>) -> SignalLeg {
    let e9 = |text: &str| price(text).0;
    SignalLeg {
        take_profit_price_e9: take_profit.map(e9),
        stop_loss_price_e9: stop_loss.map(e9),
        ..leg(intent)
    }
}

fn orders(leg: SignalLeg, view: &RiskView) -> RiskDecision {
    decide("s1", &signal(vec![leg]), view)
}

#[test]
fn an_entry_with_exits_is_a_group() {
    let view = given(AccountKind::Unspecified, false);
    let made = orders(bracket(Intent::EnterLong, Some("60"), Some("40")), &view).orders;
    let [entry, target, stop] = made.as_slice() else { panic!("{made:?}") };
    let id = order_id("s1", 0);
    assert_eq!(
        (entry.order_id.as_str(), entry.group(), entry.reducing),
        (id.as_str(), GroupKind::Bracket, false)
    );
    for (exit, index, order_type) in [(target, 0, OrderType::Limit), (stop, 1, OrderType::Stop)] {
        assert_eq!(exit.order_id, child_order_id(&id, index));
        assert_eq!((&exit.parent_id, &exit.group_id), (&id, &id));
        assert_eq!((exit.side(), exit.order_type(), exit.reducing), (Side::Sell, order_type, true));
        assert_eq!(exit.time_in_force(), TimeInForce::Gtc, "it outlives the day of its entry");
    }
    assert_eq!((target.limit_price_e9, target.stop_price_e9), (Some(60 * E9), None));
    assert_eq!((stop.limit_price_e9, stop.stop_price_e9), (None, Some(40 * E9)));
    let one = orders(bracket(Intent::EnterLong, None, Some("40")), &view).orders;
    assert_eq!(one.iter().map(OrderSpec::group).collect::<Vec<_>>(), [GroupKind::Oto, GroupKind::Oto]);
}

#[test]
fn the_exits_of_an_entry_are_for_what_it_opens() {
    let (above, below) = ((Some("60"), Some("40")), (Some("40"), Some("60")));
    for (intent, against, along, (take_profit, stop_loss), [does, undoes]) in [
        (Intent::EnterLong, "-40", "40", above, ["buy", "sell"]),
        (Intent::EnterShort, "40", "-40", below, ["sell", "buy"]),
    ] {
        let entry = |quantity: Option<&str>| SignalLeg {
            quantity_e9: quantity.map(|quantity| shares(quantity).0),
            ..bracket(intent, take_profit, stop_loss)
        };
        let mut view = given(AccountKind::Margin, true);
        let whole = |size: &str, opens: &str| {
            format!("{does} {size}, {undoes} {opens} reducing, {undoes} {opens} reducing")
        };
        assert_eq!(then(vec![entry(None)], &view), whole("100", "100"));
        held(&mut view, along, "2000", "10000");
        assert_eq!(then(vec![entry(Some("5"))], &view), whole("5", "5"), "it adds to what is held");
        // Against the position it closes that first.
        held(&mut view, against, "2000", "10000");
        assert_eq!(then(vec![entry(None)], &view), whole("140", "100"));
        assert_eq!(then(vec![entry(Some("60"))], &view), whole("60", "20"));
        let one = SignalLeg { take_profit_price_e9: None, ..entry(Some("60")) };
        assert_eq!(then(vec![one], &view), format!("{does} 60, {undoes} 20 reducing"));
        for quantity in ["15", "40"] {
            let leg = entry(Some(quantity));
            let denied = orders(leg.clone(), &view);
            let reason = format!(
                "take profit price is {}, expected none, because exits are for an order that opens a position or \
                 adds to it; this one {does}s {quantity} while {against} are held",
                take_profit.unwrap()
            );
            assert_eq!((denied.rule.as_str(), denied.reason), ("invalid_signal", reason));
            let without = SignalLeg { take_profit_price_e9: None, stop_loss_price_e9: None, ..leg };
            assert_eq!(then(vec![without], &view), format!("{does} {quantity}"));
        }
        // Where a part of it is covered already, the entry may still be the first of the two to fill.
        view.inputs[0].strategy_reserved_e9 = -view.inputs[0].strategy_position_e9;
        assert_eq!(then(vec![entry(None)], &view), whole("100", "60"));
        view.inputs[0].strategy_reserved_e9 = 0;
        // While nothing may be opened, none of it passes for an order that reduces.
        view.inputs[0].halted = true;
        for quantity in [None, Some("15"), Some("40"), Some("60")] {
            assert_eq!(then(vec![entry(quantity)], &view), "halted", "{quantity:?}");
        }
    }
}

#[test]
fn an_exit_with_both_prices_is_one_cancels_the_other() {
    let mut view = given(AccountKind::Unspecified, false);
    held(&mut view, "100", "5000", "5000");
    let made = orders(bracket(Intent::Exit, Some("60"), Some("40")), &view).orders;
    let [target, stop] = made.as_slice() else { panic!("{made:?}") };
    assert_eq!((target.group(), stop.group()), (GroupKind::Oco, GroupKind::Oco));
    assert_eq!((&target.order_id, &target.group_id), (&target.group_id, &stop.group_id));
    assert_ne!(target.order_id, stop.order_id);
    let made = orders(bracket(Intent::Exit, None, Some("40")), &view).orders;
    let [stop] = made.as_slice() else { panic!("{made:?}") };
    assert_eq!((stop.group(), stop.order_type()), (GroupKind::Unspecified, OrderType::Stop));
}

#[test]
fn an_exit_takes_the_place_of_what_protects_the_position() {
    let mut view = given(AccountKind::Unspecified, false);
    held(&mut view, "100", "5000", "5000");
    view.inputs[0].protective_orders = vec!["stop".to_owned()];
    assert_eq!(orders(leg(Intent::Exit), &view).cancels, ["stop"]);
    let more = SignalLeg { quantity_e9: Some(shares("1").0), ..leg(Intent::EnterLong) };
    assert_eq!(orders(more, &view).cancels, [""; 0], "adding to the position leaves its stop");
    view.inputs[0].session_accepts = false;
    assert_eq!(orders(leg(Intent::Exit), &view).cancels, [""; 0], "nothing comes, so nothing goes");
}

#[test]
fn maintenance_is_a_quarter_of_longs_and_three_tenths_of_shorts() {
    let of = |gross: &str, net: &str| maintenance(amount(gross), amount(net)).unwrap();
    assert_eq!(of("10000", "10000"), amount("2500"));
    assert_eq!(of("10000", "-10000"), amount("3000"));
    assert_eq!(of("10000", "0"), amount("2750"));
    assert_eq!(of("0", "0"), Amount::ZERO);
}

#[test]
fn a_margin_call_is_an_event_and_ends_with_the_equity() {
    let mut config = configured(buying_power_only(true));
    let Body::AccountConfigured(body) = &mut config else { panic!() };
    body.kind = AccountKind::Margin.into();
    let bought = spec("a");
    let submitted = crate::support::submitted(&bought);
    let bodies = [config, deposit("3000"), submitted, fill(&bought, 1, shares("100"), price("50"), "0")];
    let mut book = book_of(bodies);
    let mut prices = Prices::default();
    let change = |book: &domain::book::Book, prices: &Prices| margin_change(book, ACCOUNT, prices).unwrap();
    prices.observe(SYMBOL, price("50"), 1);
    assert_eq!(change(&book, &prices), None, "3,000 cover 1,250");
    // At 26 the equity is 600, a quarter of 2,600 is 650.
    prices.observe(SYMBOL, price("26"), 2);
    let call = MarginCalled { account: ACCOUNT.to_owned(), equity: money("600"), requirement: money("650") };
    assert_eq!(change(&book, &prices), Some(Body::MarginCalled(call.clone())));
    fold(&mut book, [Body::MarginCalled(call)]);
    assert!(book.account(ACCOUNT).unwrap().margin_call_ns.is_some());
    assert_eq!(change(&book, &prices), None, "it is called already");
    fold(&mut book, [deposit("50")]);
    let met = MarginRestored { account: ACCOUNT.to_owned(), equity: money("650"), requirement: money("650") };
    assert_eq!(change(&book, &prices), Some(Body::MarginRestored(met.clone())));
    fold(&mut book, [Body::MarginRestored(met)]);
    assert_eq!(book.account(ACCOUNT).unwrap().margin_call_ns, None);
    let KnownPrice { price: last, .. } = prices.get(SYMBOL).unwrap();
    assert_eq!(last, price("26"));
}
