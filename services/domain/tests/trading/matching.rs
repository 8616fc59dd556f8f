//! When and at what price the simulated market fills, and when day orders end.
//!
//! Times are those of a summer week in New York: the session runs from 13:30 to 20:00 UTC, the hourly bar
//! labelled 13:00 UTC holds 13:30 to 14:00.

use contracts::v1::{Costs, OrderSpec, OrderType, Side, TimeInForce};
use domain::bar::Bar;
use domain::calendar::{Calendar, Session};
use domain::matching::{CostTable, Match, Matcher, WorkingOrder, commission, slip};
use domain::money::{Amount, Price};
use domain::order::{BrokerReport, Execution, OrderState, OrderStatus};
use proptest::prelude::*;

use crate::support::{ACCOUNT, SYMBOL, amount, at, bar, money, price, shares, spec};

/// The execution of a match that is one.
pub fn execution(matched: &Match) -> &Execution {
    let BrokerReport::Filled(execution) = &matched.report else { panic!("{matched:?}") };
    execution
}

fn market(order_id: &str, side: Side) -> OrderSpec {
    OrderSpec { side: side.into(), ..spec(order_id) }
}

fn limit(order_id: &str, side: Side, limit: &str) -> OrderSpec {
    let (order_type, limit_price_e9) = (OrderType::Limit.into(), Some(price(limit).0));
    OrderSpec { order_type, limit_price_e9, ..market(order_id, side) }
}

fn session(date: &str) -> Session {
    Calendar::xnys().session(date.parse().unwrap()).unwrap().unwrap()
}

struct Market {
    matcher: Matcher,
    costs: CostTable,
}

impl Market {
    fn with(order: &OrderSpec, accepted: &str) -> Self {
        let mut matcher = Matcher::default();
        matcher.accept(WorkingOrder::new(order, at(accepted)).unwrap());
        Self { matcher, costs: CostTable::default() }
    }

    fn on(&mut self, bar: &Bar) -> Vec<Match> {
        let session = Calendar::xnys().overlapping(bar.start_ns, bar.close_ns).unwrap();
        let slot = self.matcher.slot(SYMBOL);
        let mut out = Vec::new();
        self.matcher.on_bar(slot, bar, session.as_ref(), &self.costs, &mut out);
        out
    }

    #[track_caller]
    fn fills(&mut self, bar: &Bar, at_price: &str, executed: &str) {
        let matches = self.on(bar);
        let [matched] = matches.as_slice() else { panic!("{matches:?}") };
        let execution = execution(matched);
        assert_eq!((execution.price, execution.executed_ns), (price(at_price), at(executed)));
        assert_eq!(self.matcher.working(), 0);
    }

    #[track_caller]
    fn waits(&mut self, bar: &Bar) {
        assert_eq!(self.on(bar), []);
    }
}

fn hour(start: &str, close: &str) -> Bar {
    bar(start, close, ["50", "52", "48", "51"])
}

fn ten() -> Bar {
    hour("2024-06-11T14:00:00Z", "2024-06-11T15:00:00Z")
}

fn eleven() -> Bar {
    hour("2024-06-11T15:00:00Z", "2024-06-11T16:00:00Z")
}

#[test]
fn a_market_order_fills_at_the_next_open_and_never_on_its_own_bar() {
    let mut market = Market::with(&market("a", Side::Buy), "2024-06-11T15:00:00Z");
    market.waits(&ten());
    market.fills(&eleven(), "50", "2024-06-11T15:00:00Z");
}

#[test]
fn a_bar_that_began_before_the_order_does_not_fill_it() {
    let mut market = Market::with(&market("a", Side::Buy), "2024-06-11T14:20:00Z");
    market.waits(&ten());
    market.fills(&eleven(), "50", "2024-06-11T15:00:00Z");
}

#[test]
fn a_decision_at_the_close_fills_at_the_next_session_s_open() {
    let mut market = Market::with(&market("a", Side::Buy), "2024-06-11T20:00:00Z");
    assert_eq!(market.matcher.on_session_closed((&session("2024-06-11")).into()), []);
    let first = hour("2024-06-12T13:00:00Z", "2024-06-12T14:00:00Z");
    market.fills(&first, "50", "2024-06-12T13:30:00Z");
}

#[test]
fn an_order_from_before_the_open_fills_at_the_open() {
    let mut market = Market::with(&market("a", Side::Sell), "2024-06-12T13:10:00Z");
    let first = hour("2024-06-12T13:00:00Z", "2024-06-12T14:00:00Z");
    market.fills(&first, "50", "2024-06-12T13:30:00Z");
}

#[test]
fn bars_outside_the_session_fill_nothing() {
    // 2024-07-03 closes at 13:00 in New York, 17:00 UTC.
    let mut market = Market::with(&market("a", Side::Buy), "2024-07-03T17:00:00Z");
    market.waits(&hour("2024-07-03T17:00:00Z", "2024-07-03T18:00:00Z"));
    market.waits(&hour("2024-07-04T14:00:00Z", "2024-07-04T15:00:00Z"));
    market.fills(&hour("2024-07-05T13:00:00Z", "2024-07-05T14:00:00Z"), "50", "2024-07-05T13:30:00Z");
}

#[test]
fn a_daily_bar_fills_at_its_session_s_open() {
    let mut market = Market::with(&market("a", Side::Buy), "2024-06-11T20:00:00Z");
    let day = bar("2024-06-12T04:00:00Z", "2024-06-12T20:00:00Z", ["50", "52", "48", "51"]);
    market.fills(&day, "50", "2024-06-12T13:30:00Z");
}

#[test]
fn a_limit_fills_through_its_price_and_not_on_touch() {
    let check = |order: OrderSpec, expected: Option<(&str, &str)>| {
        let mut market = Market::with(&order, "2024-06-11T15:00:00Z");
        match expected {
            Some((at_price, executed)) => market.fills(&eleven(), at_price, executed),
            None => market.waits(&eleven()),
        }
    };
    let (open, close) = ("2024-06-11T15:00:00Z", "2024-06-11T16:00:00Z");
    check(limit("a", Side::Buy, "49"), Some(("49", close)));
    check(limit("a", Side::Buy, "48"), None);
    check(limit("a", Side::Buy, "48.000000001"), Some(("48.000000001", close)));
    check(limit("a", Side::Buy, "51"), Some(("50", open)));
    check(limit("a", Side::Sell, "51"), Some(("51", close)));
    check(limit("a", Side::Sell, "52"), None);
    check(limit("a", Side::Sell, "49"), Some(("50", open)));
}

#[test]
fn day_orders_end_with_their_session_and_others_stay() {
    let mut market = Market::with(&limit("b", Side::Buy, "1"), "2024-06-11T15:00:00Z");
    for (order, accepted) in [
        (limit("a", Side::Buy, "1"), "2024-06-11T13:00:00Z"),
        (
            OrderSpec { time_in_force: TimeInForce::Gtc.into(), ..limit("c", Side::Buy, "1") },
            "2024-06-11T15:00:00Z",
        ),
        (limit("d", Side::Buy, "1"), "2024-06-11T20:00:00Z"),
    ] {
        market.matcher.accept(WorkingOrder::new(&order, at(accepted)).unwrap());
    }
    let ended = |market: &mut Market, date: &str| {
        let expiries = market.matcher.on_session_closed((&session(date)).into());
        expiries.into_iter().map(|expiry| expiry.order_id).collect::<Vec<_>>()
    };
    assert_eq!(ended(&mut market, "2024-06-11"), ["a", "b"]);
    assert_eq!(ended(&mut market, "2024-06-12"), ["d"]);
    assert_eq!(market.matcher.working(), 1);
}

/// The currency market's Friday takes bars up to 18:00 in New York, which is 22:00 UTC here.
#[test]
fn who_decides_as_the_currency_week_ends_trades_in_the_next_one() {
    let calendar = domain::calendar::Market::TwentyFourFive.calendar();
    let session = |date: &str| calendar.session(date.parse().unwrap()).unwrap().unwrap();
    let (friday, monday) = (session("2024-06-14"), session("2024-06-17"));
    let timed = |id, time: TimeInForce| OrderSpec { time_in_force: time.into(), ..market(id, Side::Buy) };
    let mut market = Market::with(&timed("a", TimeInForce::Day), "2024-06-14T20:00:00Z");
    for (order, accepted) in [
        (timed("b", TimeInForce::Day), "2024-06-14T21:00:00Z"),
        (timed("c", TimeInForce::Cls), "2024-06-14T21:00:00Z"),
        (timed("d", TimeInForce::Ioc), "2024-06-14T21:00:00Z"),
    ] {
        market.matcher.accept(WorkingOrder::new(&order, at(accepted)).unwrap());
    }
    let ids = |matches: Vec<Match>| matches.into_iter().map(|one| one.order_id).collect::<Vec<_>>();
    assert_eq!(ids(market.matcher.on_session_closed((&friday).into())), ["a", "d"]);
    let mut on = |start, close| {
        let slot = market.matcher.slot(SYMBOL);
        let mut out = Vec::new();
        market.matcher.on_bar(slot, &hour(start, close), Some(&monday), &market.costs, &mut out);
        ids(out)
    };
    assert_eq!(on("2024-06-16T21:00:00Z", "2024-06-16T22:00:00Z"), ["b"], "Sunday's open");
    assert_eq!(on("2024-06-17T20:00:00Z", "2024-06-17T21:00:00Z"), ["c"], "Monday's close");
    // An on-close order takes the price of 17:00 on Fridays too.
    let mut market = Market::with(&timed("e", TimeInForce::Cls), "2024-06-14T19:00:00Z");
    let last = hour("2024-06-14T20:00:00Z", "2024-06-14T21:00:00Z");
    let (slot, mut out) = (market.matcher.slot(SYMBOL), Vec::new());
    market.matcher.on_bar(slot, &last, Some(&friday), &market.costs, &mut out);
    assert_eq!(execution(&out[0]).price, price("51"));
}

#[test]
fn orders_trade_by_acceptance_then_id() {
    let mut market = Market::with(&market("b", Side::Buy), "2024-06-11T14:00:00Z");
    for (order_id, accepted) in [("c", "2024-06-11T13:30:00Z"), ("a", "2024-06-11T14:00:00Z")] {
        let order = WorkingOrder::new(&spec(order_id), at(accepted)).unwrap();
        market.matcher.accept(order.clone());
        market.matcher.accept(order);
    }
    let ids: Vec<_> = market.on(&ten()).into_iter().map(|matched| matched.order_id).collect();
    assert_eq!(ids, ["c", "a", "b"]);
}

fn costs(per_share: &str, rate: &str, minimum: &str, slippage: &str) -> Costs {
    Costs {
        commission_per_share_e9: price(per_share).0,
        commission_rate_e9: price(rate).0,
        commission_minimum: money(minimum),
        slippage_rate_e9: price(slippage).0,
        ..Costs::default()
    }
}

#[test]
fn costs_are_commission_and_slippage() {
    let mut market = Market::with(&market("a", Side::Buy), "2024-06-11T15:00:00Z");
    market.costs.set(ACCOUNT, costs("0.005", "0.0001", "1", "0.0005"));
    let matches = market.on(&eleven());
    let execution = execution(&matches[0]);
    assert_eq!((execution.price, execution.slippage), (price("50.025"), price("0.025")));
    // 100 shares: 0.50 per share, 0.50025 by value.
    assert_eq!(execution.commission, amount("1.00025"));
    assert_eq!(execution.execution_id, "sim-a-1");

    let cheap = costs("0.001", "0", "1", "0.001");
    assert_eq!(commission(cheap, price("50"), shares("100")), Some(amount("1")), "at least the minimum");
    assert_eq!(slip(cheap, Side::Sell, price("50")), Some((price("49.95"), price("0.05"))));
    assert_eq!(slip(costs("0", "0", "0", "1"), Side::Sell, price("50")), None, "no price below zero");
}

#[test]
fn a_limit_order_pays_no_slippage() {
    let mut market = Market::with(&limit("a", Side::Buy, "51"), "2024-06-11T15:00:00Z");
    market.costs.set(ACCOUNT, costs("0", "0", "0", "0.01"));
    market.fills(&eleven(), "50", "2024-06-11T15:00:00Z");
}

#[test]
fn an_order_can_be_restated_and_removed() {
    let mut market = Market::with(&limit("a", Side::Buy, "49"), "2024-06-11T15:00:00Z");
    let restated = OrderSpec { quantity_e9: shares("400").0, ..limit("a", Side::Buy, "12.25") };
    let mut state = OrderState::approved(restated, price("50"), 0);
    (state.status, state.accepted_ns) = (OrderStatus::Accepted, Some(0));
    market.matcher.restate(&state);
    let order = market.matcher.get("a").unwrap();
    assert_eq!((order.remaining, order.limit), (shares("400"), Some(price("12.25"))));
    let mut others = Vec::new();
    assert!(market.matcher.remove("a", &mut others));
    assert!(!market.matcher.remove("a", &mut others));
    assert_eq!(others, []);
    market.waits(&eleven());
}

#[test]
fn what_cannot_be_worked_is_refused() {
    let refused = |order: OrderSpec| WorkingOrder::new(&order, 0).unwrap_err().to_string();
    let stop = OrderSpec { order_type: OrderType::Stop.into(), ..spec("a") };
    assert_eq!(refused(stop), "order a: `stop_price_e9` is missing, expected a positive price");
    let priceless = OrderSpec { order_type: OrderType::Limit.into(), ..spec("a") };
    assert_eq!(refused(priceless), "order a: `limit_price_e9` is missing, expected a positive price");
    let at_once = OrderSpec {
        order_type: OrderType::Stop.into(),
        stop_price_e9: Some(price("50").0),
        time_in_force: TimeInForce::Ioc.into(),
        ..spec("a")
    };
    assert_eq!(
        refused(at_once),
        "order a: `time_in_force` is ioc, expected day or gtc, because a stop waits"
    );
}

proptest! {
    /// A limit order never trades worse than its limit, nor outside the bar.
    #[test]
    fn a_limit_is_kept(
        prices in prop::array::uniform4(1i64..1_000),
        limit_price in 1i64..1_000,
        buy in any::<bool>(),
    ) {
        let [open, close, a, b] = prices;
        let prices = [open, open.max(close).max(a).max(b), open.min(close).min(a).min(b), close];
        let texts = prices.map(|value| value.to_string());
        let bar = bar(
            "2024-06-11T15:00:00Z",
            "2024-06-11T16:00:00Z",
            [&texts[0], &texts[1], &texts[2], &texts[3]],
        );
        let side = if buy { Side::Buy } else { Side::Sell };
        let mut market = Market::with(&limit("a", side, &limit_price.to_string()), "2024-06-11T15:00:00Z");
        market.costs.set(ACCOUNT, costs("0", "0", "0", "0.5"));
        for matched in market.on(&bar) {
            let execution = execution(&matched);
            let (traded, limit) = (execution.price, price(&limit_price.to_string()));
            let kept = if buy { traded <= limit } else { traded >= limit };
            prop_assert!(kept, "{traded} against {limit}");
            prop_assert!(bar.low <= traded && traded <= bar.high);
            prop_assert_eq!(execution.slippage, Price::ZERO);
            prop_assert_eq!(execution.commission, Amount::ZERO);
        }
    }
}
