//! An entry with exits against the position: it closes that first, and its exits are for what it opens.
//!
//! Given 50 short and a buy of 150 with exits for 100, accepted at 15:00 UTC of a summer's Tuesday in New York, when
//! hourly bars come, then nothing sells before the 50 are closed.

use contracts::v1::event::Body;
use contracts::v1::{
    Costs, GroupKind, OrderAccepted, OrderAdjusted, OrderSpec, OrderType, RiskDecision, Side, TimeInForce,
};
use domain::bar::Bar;
use domain::book::Book;
use domain::calendar::Calendar;
use domain::matching::{CostTable, Matcher, WorkingOrder};
use domain::money::{Quantity, Volume};
use domain::order::{BrokerReport, decide};

use crate::support::{
    ACCOUNT, STRATEGY, SYMBOL, approval, at, bar, deposit, event, fill, price, shares, spec, submitted,
};

const ACCEPTED: &str = "2024-06-11T15:00:00Z";
const ORDERS: [&str; 3] = ["e", "t", "s"];

struct World {
    book: Book,
    matcher: Matcher,
    costs: CostTable,
}

impl World {
    fn given() -> Self {
        let mut costs = CostTable::default();
        costs.set(ACCOUNT, Costs { volume_share_most_e9: price("0.1").0, ..Costs::default() });
        let mut world = Self { book: Book::default(), matcher: Matcher::default(), costs };
        let short = OrderSpec { side: Side::Sell.into(), quantity_e9: shares("50").0, ..spec("short") };
        let orders = bracket();
        let Body::RiskDecision(decision) = approval(&orders[0], price("50")) else { panic!() };
        let approved = Body::RiskDecision(RiskDecision { orders: orders.to_vec(), ..decision });
        let held = [submitted(&short), fill(&short, 1, shares("50"), price("50"), "0"), approved];
        let accepted = |order: &OrderSpec| {
            let order_id = order.order_id.clone();
            [submitted(order), Body::OrderAccepted(OrderAccepted { order_id, ..OrderAccepted::default() })]
        };
        let bodies = [deposit("100000")].into_iter().chain(held).chain(orders.iter().flat_map(accepted));
        bodies.for_each(|body| world.fold(at(ACCEPTED), body));
        world.restarts();
        world
    }

    fn fold(&mut self, event_ns: i64, body: Body) {
        let sequence = self.book.sequence() + 1;
        self.book.apply(sequence, &event(event_ns, body)).unwrap();
    }

    /// A broker that knows what the book says and nothing else.
    fn restarts(&mut self) {
        self.matcher = Matcher::default();
        for order in self.book.open_orders() {
            if let Some(working) = WorkingOrder::resume(order).unwrap() {
                self.matcher.accept(working);
            }
        }
    }

    /// What a bar fills and ends, folded.
    fn when(&mut self, bar: &Bar) -> Vec<String> {
        let session = Calendar::xnys().overlapping(bar.start_ns, bar.close_ns).unwrap();
        let slot = self.matcher.slot(SYMBOL);
        let (mut out, mut lines) = (Vec::new(), Vec::new());
        self.matcher.on_bar(slot, bar, session.as_ref(), &self.costs, &mut out);
        for matched in out {
            let id = &matched.order_id;
            match &matched.report {
                BrokerReport::Filled(filled) => lines.push(format!("{id} {}", filled.quantity)),
                _ if matched.ended => lines.push(format!("{id} over")),
                _ => {}
            }
            let body = decide::report(self.book.order(id).unwrap(), &matched.report).unwrap().unwrap();
            self.fold(bar.close_ns, body);
        }
        lines
    }

    fn tradable(&self) -> [Option<Quantity>; 3] {
        ORDERS.map(|id| self.book.order(id).and_then(|order| order.tradable))
    }

    fn held(&self) -> Quantity {
        self.book.position(ACCOUNT, STRATEGY, SYMBOL).map_or(Quantity::ZERO, |row| row.quantity)
    }
}

fn bracket() -> [OrderSpec; 3] {
    let entry = OrderSpec {
        group: GroupKind::Bracket.into(),
        group_id: "e".to_owned(),
        quantity_e9: shares("150").0,
        ..spec("e")
    };
    let exit = |id: &str, order_type: OrderType| OrderSpec {
        order_id: id.to_owned(),
        parent_id: "e".to_owned(),
        side: Side::Sell.into(),
        order_type: order_type.into(),
        time_in_force: TimeInForce::Gtc.into(),
        quantity_e9: shares("100").0,
        reducing: true,
        ..entry.clone()
    };
    let target = OrderSpec { limit_price_e9: Some(price("55").0), ..exit("t", OrderType::Limit) };
    let stop = OrderSpec { stop_price_e9: Some(price("45").0), ..exit("s", OrderType::Stop) };
    [entry, target, stop]
}

/// The hourly bar that starts `hours` after the orders were accepted, of whose volume a tenth may be had.
fn hour(hours: i64, prices: [&str; 4], volume: i64) -> Bar {
    let base = bar(ACCEPTED, "2024-06-11T16:00:00Z", prices);
    let shift = hours * 3_600_000_000_000;
    let (start_ns, close_ns) = (base.start_ns + shift, base.close_ns + shift);
    Bar { start_ns, close_ns, volume: Volume(volume * 1_000), ..base }
}

fn some(quantity: &str) -> Option<Quantity> {
    Some(shares(quantity))
}

#[test]
fn exits_wait_until_their_entry_has_closed_what_was_held() {
    for restarts in [false, true] {
        let mut world = World::given();
        assert_eq!(world.tradable(), [None, some("-50"), some("-50")]);
        for (bar, lines, tradable, held) in [
            // It comes to the stop when only a part of what was short is closed.
            (hour(0, ["50", "52", "44", "51"], 400), vec!["e 40"], "-10", "-10"),
            (hour(1, ["51", "52", "48", "50"], 300), vec!["e 30"], "20", "20"),
            (hour(2, ["50", "52", "48", "50"], 800), vec!["e 80"], "100", "100"),
            (hour(3, ["46", "47", "44", "45"], 2_000), vec!["s 100", "t over"], "0", "0"),
        ] {
            if restarts {
                world.restarts();
            }
            assert_eq!(world.when(&bar), lines);
            assert_eq!((world.tradable()[2], world.held()), (some(tradable), shares(held)));
        }
        assert_eq!(world.matcher.working(), 0);
    }
}

#[test]
fn exits_of_an_entry_that_ends_before_it_opens_anything_end_with_it() {
    let mut world = World::given();
    assert_eq!(world.when(&hour(0, ["50", "52", "48", "51"], 400)), ["e 40"]);
    let session = Calendar::xnys().session("2024-06-11".parse().unwrap()).unwrap().unwrap();
    let ended = world.matcher.on_session_closed((&session).into());
    assert_eq!(ended.iter().map(|matched| matched.order_id.as_str()).collect::<Vec<_>>(), ["e", "s", "t"]);
    assert_eq!((world.matcher.working(), world.held()), (0, shares("-10")));
}

#[test]
fn a_split_restates_what_is_to_be_closed_first() {
    let mut world = World::given();
    for (id, quantity) in [("e", "300"), ("t", "200"), ("s", "200")] {
        let adjusted = OrderAdjusted {
            order_id: id.to_owned(),
            quantity_e9: shares(quantity).0,
            action_id: "split".to_owned(),
            ..OrderAdjusted::default()
        };
        world.fold(at(ACCEPTED), Body::OrderAdjusted(adjusted));
    }
    assert_eq!(world.tradable(), [None, some("-100"), some("-100")]);
}
