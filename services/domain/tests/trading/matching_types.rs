//! Stops, trailing stops, times in force, partial fills and groups against bars.
//!
//! Given an order accepted at 15:00 UTC of a summer's Tuesday in New York (the session runs from 13:30 to
//! 20:00), when hourly bars come, then this is said of it.

use contracts::v1::{Costs, GroupKind, OrderSpec, OrderType, Side, TimeInForce};
use domain::bar::Bar;
use domain::calendar::Calendar;
use domain::matching::{CostTable, Matcher, WorkingOrder, charge, slip_volume, us_sale_fees};
use domain::money::{Price, Quantity, Volume};
use domain::order::{BrokerReport, OrderState};

use crate::support::{
    ACCOUNT, SYMBOL, amount, approval, at, bar, book_of, event, money, price, shares, spec,
};

const ACCEPTED: &str = "2024-06-11T15:00:00Z";

pub struct World {
    matcher: Matcher,
    costs: CostTable,
}

impl World {
    pub fn given(orders: &[OrderSpec]) -> Self {
        let mut matcher = Matcher::default();
        for order in orders {
            matcher.accept(WorkingOrder::new(order, at(ACCEPTED)).unwrap());
        }
        Self { matcher, costs: CostTable::default() }
    }

    /// The market that works an order as the book has it.
    pub fn resuming(order: &OrderState) -> Self {
        let mut world = Self::given(&[]);
        world.matcher.accept(WorkingOrder::resume(order).unwrap().unwrap());
        world
    }

    pub fn costing(mut self, costs: Costs) -> Self {
        self.costs.set(ACCOUNT, costs);
        self
    }

    /// What a bar says, one line for each report.
    pub fn when(&mut self, bar: &Bar) -> Vec<String> {
        let session = Calendar::xnys().overlapping(bar.start_ns, bar.close_ns).unwrap();
        let slot = self.matcher.slot(SYMBOL);
        let mut out = Vec::new();
        self.matcher.on_bar(slot, bar, session.as_ref(), &self.costs, &mut out);
        out.iter().map(|matched| line(&matched.order_id, &matched.report)).collect()
    }

    fn closes(&mut self, date: &str) -> Vec<String> {
        let session = Calendar::xnys().session(date.parse().unwrap()).unwrap().unwrap();
        let out = self.matcher.on_session_closed((&session).into());
        out.iter().map(|matched| line(&matched.order_id, &matched.report)).collect()
    }
}

fn line(order_id: &str, report: &BrokerReport) -> String {
    match report {
        BrokerReport::Filled(fill) => {
            let doubt = if fill.ambiguous { " in doubt" } else { "" };
            format!("{order_id} filled {} at {}{doubt}", fill.quantity, fill.price)
        }
        BrokerReport::Triggered { stop, .. } => format!("{order_id} triggered at {stop}"),
        BrokerReport::Trailed { stop, .. } => format!("{order_id} trailed to {stop}"),
        BrokerReport::Cancelled { .. } => format!("{order_id} cancelled"),
        BrokerReport::Expired { .. } => format!("{order_id} expired"),
        other => format!("{order_id} {other:?}"),
    }
}

/// The hourly bar that starts `hours` after the order was accepted.
pub fn hour(hours: i64, prices: [&str; 4]) -> Bar {
    let base = bar("2024-06-11T15:00:00Z", "2024-06-11T16:00:00Z", prices);
    let shift = hours * 3_600_000_000_000;
    Bar { start_ns: base.start_ns + shift, close_ns: base.close_ns + shift, ..base }
}

pub fn with_volume(bar: Bar, shares: i64) -> Bar {
    Bar { volume: Volume(shares * 1_000), ..bar }
}

pub fn typed(
    id: &str,
    side: Side,
    order_type: OrderType,
    limit: Option<&str>,
    stop: Option<&str>,
) -> OrderSpec {
    OrderSpec {
        side: side.into(),
        order_type: order_type.into(),
        limit_price_e9: limit.map(|text| price(text).0),
        stop_price_e9: stop.map(|text| price(text).0),
        time_in_force: TimeInForce::Gtc.into(),
        ..spec(id)
    }
}

fn stop(side: Side, at_price: &str) -> OrderSpec {
    typed("a", side, OrderType::Stop, None, Some(at_price))
}

fn for_time(order: OrderSpec, time_in_force: TimeInForce) -> OrderSpec {
    OrderSpec { time_in_force: time_in_force.into(), ..order }
}

#[test]
fn a_stop_fills_at_its_price_and_at_the_open_of_a_gap() {
    let check = |order: OrderSpec, prices, expected: &[&str]| {
        assert_eq!(World::given(&[order]).when(&hour(0, prices)), expected);
    };
    check(stop(Side::Sell, "49"), ["50", "52", "49", "51"], &["a triggered at 49", "a filled 100 at 49"]);
    check(stop(Side::Sell, "49"), ["48", "52", "47", "51"], &["a triggered at 49", "a filled 100 at 48"]);
    check(stop(Side::Sell, "48.9"), ["50", "52", "49", "51"], &[]);
    check(stop(Side::Buy, "52"), ["50", "52", "49", "51"], &["a triggered at 52", "a filled 100 at 52"]);
    check(stop(Side::Buy, "52"), ["53", "54", "49", "51"], &["a triggered at 52", "a filled 100 at 53"]);
}

#[test]
fn a_stop_pays_slippage() {
    let costs = Costs { slippage_rate_e9: price("0.01").0, ..Costs::default() };
    let mut world = World::given(&[stop(Side::Sell, "49")]).costing(costs);
    assert_eq!(
        world.when(&hour(0, ["50", "52", "49", "51"])),
        ["a triggered at 49", "a filled 100 at 48.51"]
    );
}

#[test]
fn a_stop_limit_rests_as_a_limit_once_reached() {
    let order = |limit| typed("a", Side::Sell, OrderType::StopLimit, Some(limit), Some("49"));
    let falls = hour(0, ["50", "52", "47", "48"]);
    // Its limit lies beyond its stop: it trades where it was reached.
    assert_eq!(World::given(&[order("48")]).when(&falls), ["a triggered at 49", "a filled 100 at 49"]);
    // Its limit is its stop: whether the bar came back to it is not known.
    let mut world = World::given(&[order("49")]);
    assert_eq!(world.when(&falls), ["a triggered at 49"]);
    assert_eq!(world.when(&hour(1, ["48", "49", "47", "48"])), [""; 0], "a touch is not enough");
    assert_eq!(world.when(&hour(2, ["48", "50", "47", "48"])), ["a filled 100 at 49"]);
    // A gap beyond the limit leaves it resting.
    let mut world = World::given(&[order("48")]);
    assert_eq!(world.when(&hour(0, ["46", "47", "45", "46"])), ["a triggered at 49"]);
    assert_eq!(world.when(&hour(1, ["49", "50", "47", "48"])), ["a filled 100 at 49"]);
}

#[test]
fn a_trailing_stop_follows_the_extremes_of_bars_that_are_over() {
    let order = |by: Option<&str>, rate: Option<&str>| OrderSpec {
        trail_price_e9: by.map(|text| price(text).0),
        trail_rate_e9: rate.map(|text| price(text).0),
        ..typed("a", Side::Sell, OrderType::TrailingStop, None, None)
    };
    let mut world = World::given(&[order(Some("2"), None)]);
    // The high of 53 may have come after the low of 49: the stop of this bar is that of its open, 48.
    assert_eq!(world.when(&hour(0, ["50", "53", "49", "52"])), ["a trailed to 51"]);
    assert_eq!(world.when(&hour(1, ["52", "52.5", "51.5", "52"])), [""; 0], "no new high, nothing moves");
    assert_eq!(world.when(&hour(2, ["52", "60", "51", "52"])), ["a triggered at 51", "a filled 100 at 51"]);
    let mut gap = World::given(&[order(Some("2"), None)]);
    gap.when(&hour(0, ["50", "53", "49", "52"]));
    assert_eq!(gap.when(&hour(1, ["45", "46", "44", "45"])), ["a triggered at 51", "a filled 100 at 45"]);
    let mut percent = World::given(&[order(None, Some("0.1"))]);
    assert_eq!(percent.when(&hour(0, ["50", "60", "49", "52"])), ["a trailed to 54"]);
    // The first bar's own open sets the first stop.
    let mut first = World::given(&[order(Some("1"), None)]);
    assert_eq!(first.when(&hour(0, ["50", "53", "48", "52"])), ["a triggered at 49", "a filled 100 at 49"]);
}

#[test]
fn immediate_orders_take_the_open_or_nothing() {
    let market = |time| for_time(typed("a", Side::Buy, OrderType::Market, None, None), time);
    let limit =
        |at_price, time| for_time(typed("a", Side::Buy, OrderType::Limit, Some(at_price), None), time);
    let prices = ["50", "52", "48", "51"];
    let half = Costs { volume_share_most_e9: price("0.1").0, ..Costs::default() };
    let check = |order: OrderSpec, costs: Costs, expected: &[&str]| {
        let mut world = World::given(&[order]).costing(costs);
        assert_eq!(world.when(&with_volume(hour(0, prices), 600)), expected);
        assert_eq!(world.matcher.working(), 0);
    };
    check(market(TimeInForce::Ioc), Costs::default(), &["a filled 100 at 50"]);
    check(market(TimeInForce::Ioc), half, &["a filled 60 at 50", "a cancelled"]);
    check(market(TimeInForce::Fok), half, &["a cancelled"]);
    check(market(TimeInForce::Fok), Costs::default(), &["a filled 100 at 50"]);
    // The bar trades through 49 later, which is not at once.
    check(limit("49", TimeInForce::Ioc), Costs::default(), &["a cancelled"]);
    check(limit("51", TimeInForce::Fok), Costs::default(), &["a filled 100 at 50"]);
}

#[test]
fn on_open_and_on_close_trade_the_auctions() {
    let order = |time| for_time(typed("a", Side::Buy, OrderType::Market, None, None), time);
    let prices = ["50", "52", "48", "51"];
    let first = bar("2024-06-12T13:00:00Z", "2024-06-12T14:00:00Z", prices);
    let mut open = World::given(&[order(TimeInForce::Opg)]);
    assert_eq!(open.when(&hour(0, prices)), [""; 0], "the opening of this session is over");
    assert_eq!(open.closes("2024-06-11"), [""; 0]);
    assert_eq!(open.when(&first), ["a filled 100 at 50"]);
    let mut missed = World::given(&[order(TimeInForce::Opg)]);
    let late = bar("2024-06-12T14:00:00Z", "2024-06-12T15:00:00Z", prices);
    assert_eq!(missed.when(&late), ["a expired"], "no bar shows the opening");

    let mut close = World::given(&[order(TimeInForce::Cls)]);
    assert_eq!(close.when(&hour(0, prices)), [""; 0]);
    assert_eq!(close.when(&hour(4, prices)), ["a filled 100 at 51"]);
    // 2024-07-03 closes at 17:00 UTC.
    let mut early = World::given(&[]);
    early.matcher.accept(WorkingOrder::new(&order(TimeInForce::Cls), at("2024-07-03T15:00:00Z")).unwrap());
    let last = bar("2024-07-03T16:00:00Z", "2024-07-03T17:00:00Z", prices);
    assert_eq!(early.when(&last), ["a filled 100 at 51"]);
    let mut without = World::given(&[order(TimeInForce::Cls)]);
    assert_eq!(without.closes("2024-06-11"), ["a expired"]);
}

#[test]
fn what_exceeds_its_share_of_the_volume_waits() {
    let costs =
        Costs { volume_share_most_e9: price("0.1").0, commission_per_order: money("2"), ..Costs::default() };
    let day = for_time(typed("a", Side::Buy, OrderType::Market, None, None), TimeInForce::Day);
    let mut world = World::given(&[day]).costing(costs);
    let prices = ["50", "52", "48", "51"];
    assert_eq!(world.when(&with_volume(hour(0, prices), 605)), ["a filled 60 at 50"], "whole shares");
    assert_eq!(world.when(&with_volume(hour(0, prices), 605)), [""; 0], "the same bar again changes nothing");
    assert_eq!(world.when(&with_volume(hour(1, prices), 9)), [""; 0]);
    assert_eq!(world.when(&with_volume(hour(2, prices), 300)), ["a filled 30 at 50"]);
    assert_eq!(world.closes("2024-06-11"), ["a expired"]);
}

#[test]
fn the_share_of_the_volume_is_that_of_each_order_s_own_account() {
    let day = |name, account: &str| OrderSpec {
        account: account.to_owned(),
        ..for_time(typed(name, Side::Buy, OrderType::Market, None, None), TimeInForce::Day)
    };
    let prices = ["50", "52", "48", "51"];
    let share = |share| Costs { volume_share_most_e9: price(share).0, ..Costs::default() };
    // The first in the queue takes all it wants; what it took counts against the share of the second.
    let orders = [day("a", "free"), day("b", ACCOUNT)];
    let mut world = World::given(&orders).costing(share("0.25"));
    assert_eq!(world.when(&with_volume(hour(0, prices), 600)), ["a filled 100 at 50", "b filled 50 at 50"]);
    // A narrow share of the first leaves the second its own.
    let orders = [day("a", ACCOUNT), day("b", "free")];
    let mut world = World::given(&orders).costing(share("0.1"));
    assert_eq!(world.when(&with_volume(hour(0, prices), 600)), ["a filled 60 at 50", "b filled 100 at 50"]);
}

#[test]
fn costs_by_order_side_and_volume() {
    let per_order = Costs { commission_per_order: money("2"), ..us_sale_fees() };
    let charged = |side, first| charge(&per_order, side, price("50"), shares("100"), first).unwrap();
    assert_eq!(charged(Side::Buy, true), amount("2"));
    assert_eq!(charged(Side::Buy, false), amount("0"));
    // 5,000 at 27.80 per million, 100 shares at 0.000166.
    assert_eq!(charged(Side::Sell, true), amount("2.1556"));
    let many = charge(&per_order, Side::Sell, price("1"), shares("1000000"), false).unwrap();
    assert_eq!(many, amount("36.1"), "27.80 and the most of 8.30");
    let slips = Costs {
        slippage_per_share_e9: price("0.01").0,
        slippage_volume_rate_e9: price("0.1").0,
        ..Costs::default()
    };
    // A tenth of the volume moves the price by a hundredth of itself, and a cent.
    let slipped = slip_volume(&slips, Side::Buy, price("50"), shares("100"), Volume(1_000_000));
    assert_eq!(slipped, Some((price("50.51"), price("0.51"))));
}

/// An entry at the market with a target at 55 and a stop at 45, or those given.
pub fn bracket(entry: OrderSpec, target: &str, stop: &str) -> [OrderSpec; 3] {
    let grouped = |order: OrderSpec, parent: &str| OrderSpec {
        group: GroupKind::Bracket.into(),
        group_id: "e".to_owned(),
        parent_id: parent.to_owned(),
        reducing: !parent.is_empty(),
        ..order
    };
    [
        grouped(OrderSpec { order_id: "e".to_owned(), ..entry }, ""),
        grouped(typed("t", Side::Sell, OrderType::Limit, Some(target), None), "e"),
        grouped(typed("s", Side::Sell, OrderType::Stop, None, Some(stop)), "e"),
    ]
}

fn entry() -> OrderSpec {
    typed("e", Side::Buy, OrderType::Market, None, None)
}

#[test]
fn the_exits_of_a_bracket_work_from_the_entry_on() {
    let mut world = World::given(&bracket(entry(), "55", "45"));
    assert_eq!(world.when(&hour(0, ["50", "52", "48", "51"])), ["e filled 100 at 50"]);
    assert_eq!(world.when(&hour(1, ["51", "56", "50", "55"])), ["t filled 100 at 55", "s cancelled"]);
    assert_eq!(world.matcher.working(), 0);
    let mut stopped = World::given(&bracket(entry(), "55", "45"));
    assert_eq!(
        stopped.when(&hour(0, ["50", "52", "44", "51"])),
        ["e filled 100 at 50", "s triggered at 45", "s filled 100 at 45", "t cancelled"],
        "the entry was at the open, so that the bar came after it"
    );
}

#[test]
fn of_two_exits_that_a_bar_reaches_the_worse_counts() {
    let held = |world: &mut World| world.when(&hour(0, ["50", "52", "48", "51"]));
    let check = |prices, expected: &[&str], ambiguous| {
        let mut world = World::given(&bracket(entry(), "55", "45"));
        held(&mut world);
        assert_eq!(world.when(&hour(1, prices)), expected);
        assert_eq!(world.matcher.ambiguous_bars(), ambiguous);
    };
    check(["50", "56", "44", "50"], &["s triggered at 45", "s filled 100 at 45 in doubt", "t cancelled"], 1);
    check(["57", "58", "44", "50"], &["t filled 100 at 57", "s cancelled"], 0);
    // An open at the target is a touch: whether the bar went through it before it fell to the stop is not known.
    check(["55", "56", "44", "50"], &["s triggered at 45", "s filled 100 at 45 in doubt", "t cancelled"], 1);
    check(["55", "56", "46", "50"], &["t filled 100 at 55", "s cancelled"], 0);
    check(["43", "58", "42", "50"], &["s triggered at 45", "s filled 100 at 43", "t cancelled"], 0);
}

#[test]
fn an_entry_within_the_bar_is_followed_by_its_stop_only() {
    let limit = typed("e", Side::Buy, OrderType::Limit, Some("49"), None);
    let mut falls = World::given(&bracket(limit.clone(), "55", "45"));
    assert_eq!(
        falls.when(&hour(0, ["50", "56", "44", "50"])),
        ["e filled 100 at 49", "s triggered at 45", "s filled 100 at 45 in doubt", "t cancelled"],
        "the target may have been reached before the entry"
    );
    let mut rises = World::given(&bracket(limit.clone(), "55", "45"));
    assert_eq!(rises.when(&hour(0, ["50", "56", "48", "50"])), ["e filled 100 at 49"]);
    // Nor does an open at its limit fill it: the bar may have been at the target before it came through the limit.
    let mut touched = World::given(&bracket(limit, "55", "45"));
    assert_eq!(touched.when(&hour(0, ["49", "56", "48", "50"])), ["e filled 100 at 49"]);
    assert_eq!(touched.when(&hour(1, ["50", "56", "48", "50"])), ["t filled 100 at 55", "s cancelled"]);
    // A stop entry above: whether the low came first is not known, so it is taken to have come later.
    let above = typed("e", Side::Buy, OrderType::Stop, None, Some("52"));
    let mut doubt = World::given(&bracket(above, "55", "45"));
    assert_eq!(
        doubt.when(&hour(0, ["50", "53", "44", "50"])),
        [
            "e triggered at 52",
            "e filled 100 at 52",
            "s triggered at 45",
            "s filled 100 at 45 in doubt",
            "t cancelled"
        ]
    );
    assert_eq!(doubt.matcher.ambiguous_bars(), 1);
}

#[test]
fn exits_end_with_an_entry_that_never_filled() {
    let day = for_time(typed("e", Side::Buy, OrderType::Limit, Some("40"), None), TimeInForce::Day);
    let mut world = World::given(&bracket(day, "55", "35"));
    world.when(&hour(0, ["50", "52", "48", "51"]));
    assert_eq!(world.closes("2024-06-11"), ["e expired", "s cancelled", "t cancelled"]);
    assert_eq!(world.matcher.working(), 0);
}

#[test]
fn exits_close_no_more_than_the_entry_opened() {
    let costs = Costs { volume_share_most_e9: price("0.1").0, ..Costs::default() };
    let day = for_time(entry(), TimeInForce::Day);
    let mut world = World::given(&bracket(day, "55", "45")).costing(costs);
    assert_eq!(world.when(&with_volume(hour(0, ["50", "52", "48", "51"]), 400)), ["e filled 40 at 50"]);
    assert_eq!(world.closes("2024-06-11"), ["e expired"]);
    let next = bar("2024-06-12T13:00:00Z", "2024-06-12T14:00:00Z", ["50", "56", "48", "51"]);
    assert_eq!(
        world.when(&with_volume(next, 900)),
        ["t filled 40 at 55", "s cancelled", "t cancelled"],
        "what is left of the target has nothing to close"
    );
}

/// Whatever prices come: a group never sells more than it bought, and doubling every price doubles what is paid.
#[test]
fn groups_never_close_more_than_they_opened_and_scale() {
    let mut seed = 7u64;
    let mut next = |most: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from((seed >> 33) % most).unwrap()
    };
    for _ in 0..500 {
        let bars: Vec<[i64; 4]> = (0..6)
            .map(|_| {
                let (open, close) = (40 + next(20), 40 + next(20));
                [open, open.max(close) + next(5), open.min(close) - next(5), close]
            })
            .collect();
        let volume = 200 + next(2_000);
        let run = |factor: i64| {
            let texts = |prices: &[i64; 4]| prices.map(|value| (value * factor).to_string());
            let at_price = |value: i64| (value * factor).to_string();
            let orders = bracket(entry(), &at_price(55), &at_price(45));
            let costs = Costs { volume_share_most_e9: price("0.1").0, ..Costs::default() };
            let mut world = World::given(&orders).costing(costs);
            let (mut held, mut cash) = (0i64, 0i128);
            for (index, prices) in (0..).zip(&bars) {
                let texts = texts(prices);
                let bar = hour(index, [&texts[0], &texts[1], &texts[2], &texts[3]]);
                let bar = with_volume(bar, volume);
                let session = Calendar::xnys().overlapping(bar.start_ns, bar.close_ns).unwrap();
                let slot = world.matcher.slot(SYMBOL);
                let mut out = Vec::new();
                world.matcher.on_bar(slot, &bar, session.as_ref(), &world.costs, &mut out);
                for matched in out {
                    let BrokerReport::Filled(fill) = matched.report else { continue };
                    let sign = if matched.order_id == "e" { 1 } else { -1 };
                    held += sign * fill.quantity.0;
                    cash -= i128::from(sign) * i128::from(fill.price.0) * i128::from(fill.quantity.0);
                    assert!((0..=shares("100").0).contains(&held), "{bars:?}");
                }
            }
            (held, cash)
        };
        let ((held, cash), (twice_held, twice_cash)) = (run(1), run(2));
        assert_eq!((twice_held, twice_cash), (held, 2 * cash), "{bars:?}");
    }
}

/// The broker's memory is the book's: an order resumed from its events takes the next bar as if nothing
/// had happened.
#[test]
fn a_resumed_order_goes_on_where_it_stood() {
    use contracts::v1::OrderAccepted;
    use contracts::v1::event::Body;

    let trail = OrderSpec {
        trail_price_e9: Some(price("2").0),
        ..typed("a", Side::Sell, OrderType::TrailingStop, None, None)
    };
    let bars = [
        hour(0, ["50", "53", "49", "52"]),
        hour(1, ["52", "54", "51.5", "53"]),
        hour(2, ["53", "53", "50", "52"]),
    ];
    let mut steady = World::given(std::slice::from_ref(&trail));
    let mut state = OrderState::approved(trail.clone(), price("50"), at(ACCEPTED));
    let accepted = OrderAccepted { order_id: "a".to_owned(), ..OrderAccepted::default() };
    state.evolve(1, at(ACCEPTED), &crate::support::submitted(&trail)).unwrap();
    state.evolve(2, at(ACCEPTED), &Body::OrderAccepted(accepted)).unwrap();
    for (sequence, bar) in (3u64..).zip(&bars) {
        let mut resumed = World::resuming(&state);
        let session = Calendar::xnys().overlapping(bar.start_ns, bar.close_ns).unwrap();
        let slot = steady.matcher.slot(SYMBOL);
        let mut out = Vec::new();
        steady.matcher.on_bar(slot, bar, session.as_ref(), &steady.costs, &mut out);
        let told: Vec<_> = out.iter().map(|matched| line("a", &matched.report)).collect();
        assert_eq!(resumed.when(bar), told);
        for matched in out {
            let body = domain::order::decide::report(&state, &matched.report).unwrap().unwrap();
            state.evolve(sequence, bar.close_ns, &body).unwrap();
        }
    }
    assert!(state.status.is_ended() && state.triggered_ns.is_some());
}

#[test]
fn the_book_says_what_a_group_may_trade() {
    let [entry, target, stop] = bracket(entry(), "55", "45");
    let mut book = book_of([]);
    let mut fold = |body| {
        let sequence = book.sequence() + 1;
        book.apply(sequence, &event(at(ACCEPTED) + i64::try_from(sequence).unwrap(), body)).unwrap();
        ["e", "t", "s"].map(|id| book.order(id).and_then(|order| order.tradable))
    };
    for order in [&entry, &target, &stop] {
        fold(approval(order, price("50")));
        fold(crate::support::submitted(order));
    }
    let some = |text: &str| Some(shares(text));
    let filled =
        |order, number, quantity: &str| crate::support::fill(order, number, shares(quantity), Price(50), "0");
    assert_eq!(fold(filled(&entry, 1, "60")), [None, some("60"), some("60")]);
    assert_eq!(fold(filled(&target, 1, "20")), [None, some("40"), some("40")]);
    assert_eq!(fold(filled(&entry, 2, "40")), [None, some("80"), some("80")]);
    assert_eq!(fold(filled(&stop, 1, "80")), [None, some("0"), some("0")]);
    assert_eq!(book.reserved(ACCOUNT, None, SYMBOL).sell, Quantity::ZERO, "exits that wait leave nothing");
}
