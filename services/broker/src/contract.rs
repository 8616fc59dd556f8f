//! The contract that every broker adapter must pass, written against a bench that can make a market.
//!
//! A test of an adapter makes a [`Bench`] and calls [`run_all`] with it. The simulated adapter's bench
//! feeds bars; that of an adapter for a network feeds its stand-in server.

use async_trait::async_trait;
use contracts::v1::event::Body;
use contracts::v1::{OrderSpec, OrderType, Side, TimeInForce};
use contracts::{child_order_id, client_order_id, client_order_id_of, order_id};
use domain::money::{Price, Quantity};
use domain::order::{BrokerReport, OrderState, OrderStatus, Replacement, Terms, decide, reconcile};

use crate::port::{Broker, BrokerOrder, Outgoing, Report, StateAtBroker};

/// An adapter with a market that the suite can move.
#[async_trait]
pub trait Bench: Sync {
    /// A broker without orders.
    async fn fresh(&self) -> Box<dyn Broker>;

    /// The symbol that is traded.
    fn symbol(&self) -> &'static str;

    /// Trades the symbol at `price_e9` after every order so far, in such a way that market orders and limit
    /// orders through that price fill, and returns what the broker reports.
    async fn trade(&self, broker: &mut dyn Broker, price_e9: i64) -> Vec<Report>;

    /// The same with no more than `shares_e9` to be had, fewer than the one order that is open is for.
    async fn trade_some(&self, broker: &mut dyn Broker, price_e9: i64, shares_e9: i64) -> Vec<Report>;

    /// Trades like [`Bench::trade`] while nobody hears what the broker reports, and lets it be heard again. What a
    /// broker without a connection says is lost with whoever was told.
    async fn trade_unheard(&self, broker: &mut dyn Broker, price_e9: i64) {
        self.trade(broker, price_e9).await;
    }

    /// What the broker says without being asked, until it has nothing more to say.
    async fn heard(&self, _broker: &mut dyn Broker) -> Vec<Report> {
        Vec::new()
    }
}

const PRICE_E9: i64 = 50_000_000_000;
const NOW_NS: i64 = 1_718_118_000_000_000_000; // 2024-06-11 15:00 UTC, within a session.
const DOLLAR_E9: i64 = 1_000_000_000;
/// Some of the ten shares that orders are for.
const SOME_E9: i64 = 4_000_000_000;

/// Runs every clause; a failed one panics with its name.
pub async fn run_all(bench: &dyn Bench) {
    accepts_and_fills_a_market_order(bench).await;
    sending_again_works_nothing_twice(bench).await;
    a_limit_waits_for_its_price(bench).await;
    a_cancelled_order_trades_no_more(bench).await;
    cancelling_what_does_not_work_changes_nothing(bench).await;
    an_unknown_order_is_not_known(bench).await;
    what_it_cannot_work_is_rejected(bench).await;
    orders_sent_together_are_answered_in_their_order(bench).await;
    a_part_is_filled_and_the_rest_works_on(bench).await;
    a_cancelled_rest_leaves_what_was_filled(bench).await;
    what_was_filled_unheard_is_found_once(bench).await;
    new_terms_count_what_was_filled_before(bench).await;
    what_it_holds_is_what_its_orders_have_filled(bench).await;
    exits_that_it_holds_work_once_their_entry_is_filled(bench).await;
}

fn order(bench: &dyn Bench, name: &str) -> OrderSpec {
    OrderSpec {
        order_id: order_id(name, 0),
        account: "contract".to_owned(),
        strategy: "contract".to_owned(),
        symbol: bench.symbol().to_owned(),
        side: Side::Buy.into(),
        order_type: OrderType::Market.into(),
        time_in_force: TimeInForce::Day.into(),
        quantity_e9: 10_000_000_000,
        ..OrderSpec::default()
    }
}

fn limit_order(bench: &dyn Bench, name: &str, limit_price_e9: i64) -> OrderSpec {
    let limit_price_e9 = Some(limit_price_e9);
    OrderSpec { order_type: OrderType::Limit.into(), limit_price_e9, ..order(bench, name) }
}

/// Submits and returns the reports; an adapter of the suite always answers.
async fn submit(broker: &mut dyn Broker, order: &OrderSpec) -> Vec<Report> {
    match broker.submit(order, &client_order_id(&order.order_id), NOW_NS).await {
        Ok(reports) => reports,
        Err(error) => panic!("submit of {}: {error}", order.order_id),
    }
}

/// Asks to cancel, and returns the answer with what was said after it.
async fn cancel(bench: &dyn Bench, broker: &mut dyn Broker, order: &OrderSpec) -> Vec<Report> {
    bench.heard(broker).await;
    let mut reports = match broker.cancel(order, &client_order_id(&order.order_id), NOW_NS).await {
        Ok(reports) => reports,
        Err(error) => panic!("cancel of {}: {error}", order.order_id),
    };
    reports.extend(bench.heard(broker).await);
    reports
}

/// Asks for the new terms that `order` states, and returns the answer with what was said after it.
async fn replace(bench: &dyn Bench, broker: &mut dyn Broker, order: &OrderState) -> Vec<Report> {
    let mut reports = match broker.replace(order, NOW_NS).await {
        Ok(reports) => reports,
        Err(error) => panic!("replace of {}: {error}", order.id()),
    };
    reports.extend(bench.heard(broker).await);
    reports
}

/// What is known under a client order id, which the broker has.
async fn known(broker: &mut dyn Broker, order: &OrderSpec, client_order_id: &str) -> BrokerOrder {
    match broker.lookup(order, client_order_id).await {
        Ok(Some(known)) => known,
        Ok(None) => panic!("{client_order_id} is not known"),
        Err(error) => panic!("lookup of {client_order_id}: {error}"),
    }
}

/// State and number of reports under an order's client order id; `None` when it is not known.
async fn lookup(broker: &mut dyn Broker, order: &OrderSpec) -> Option<(StateAtBroker, usize)> {
    match broker.lookup(order, &client_order_id(&order.order_id)).await {
        Ok(found) => found.map(|found| (found.state, found.reports.len())),
        Err(error) => panic!("lookup of {}: {error}", order.order_id),
    }
}

fn fills(reports: &[Report], order: &OrderSpec) -> Vec<(String, i64, i64)> {
    let of_order = reports.iter().filter(|report| report.order_id == order.order_id);
    of_order
        .filter_map(|report| match &report.report {
            BrokerReport::Filled(execution) => {
                assert!(!execution.execution_id.is_empty(), "a fill has no execution id");
                Some((execution.execution_id.clone(), execution.quantity.0, execution.price.0))
            }
            _ => None,
        })
        .collect()
}

/// An order as the tape would have it.
struct OnTape {
    order: OrderState,
    events: u64,
}

impl OnTape {
    /// Submitted, and with the broker's answer.
    async fn submitted(broker: &mut dyn Broker, order: OrderSpec) -> Self {
        let adapter = broker.name_of(&order.account);
        let mut tape = Self { order: OrderState::approved(order, Price(PRICE_E9), NOW_NS), events: 0 };
        match decide::submit(&tape.order, adapter) {
            Ok(Some(intent)) => tape.take(&intent),
            other => panic!("intent of {}: {other:?}", tape.order.id()),
        }
        let answer = submit(broker, &tape.order.spec).await;
        tape.fold(&answer);
        tape
    }

    fn take(&mut self, body: &Body) {
        self.events += 1;
        if let Err(error) = self.order.evolve(self.events, NOW_NS, body) {
            panic!("{}: {error}", self.order.id());
        }
    }

    /// Folds reports; answers how many of them were news.
    fn fold(&mut self, reports: &[Report]) -> usize {
        let mut news = 0;
        let order_id = self.order.spec.order_id.clone();
        for report in reports.iter().filter(|report| report.order_id == order_id) {
            match decide::report(&self.order, &report.report) {
                Ok(Some(body)) => {
                    self.take(&body);
                    news += 1;
                }
                Ok(None) => {}
                Err(rejection) => panic!("{report:?}: {rejection}"),
            }
        }
        news
    }

    /// New terms that risk approved and whose intent is recorded.
    fn ask(&mut self, revision: u32, quantity_e9: i64, limit_e9: i64) {
        self.order.replace = Some(Replacement {
            decision_id: "contract".to_owned(),
            revision,
            quantity: Quantity(quantity_e9),
            limit: Some(Price(limit_e9)),
            stop: None,
            client_order_id: client_order_id_of(self.order.id(), revision),
            reducing: false,
            requested: true,
        });
    }

    /// Where the broker says how the order stands as a whole, that is what is on the tape. One outside must say so.
    async fn agrees(&mut self, broker: &mut dyn Broker) {
        match broker.truth(&self.order).await {
            Ok(Some(truth)) => {
                let order_id = self.order.id().to_owned();
                let report = |report| Report { order_id: order_id.clone(), report };
                let said: Vec<Report> = reconcile(&self.order, &truth).into_iter().map(report).collect();
                assert_eq!(self.fold(&said), 0, "the tape of {order_id} misses some of {said:?}");
            }
            Ok(None) => assert!(!broker.is_remote(), "a broker outside does not know {}", self.order.id()),
            Err(error) => panic!("truth of {}: {error}", self.order.id()),
        }
    }
}

fn shares(fills: &[(String, i64, i64)]) -> Vec<i64> {
    fills.iter().map(|fill| fill.1).collect()
}

fn is_cancelled(reports: &[Report]) -> bool {
    reports.iter().any(|report| matches!(report.report, BrokerReport::Cancelled { .. }))
}

async fn accepts_and_fills_a_market_order(bench: &dyn Bench) {
    let mut broker = bench.fresh().await;
    let order = order(bench, "market");
    let reports = submit(&mut *broker, &order).await;
    assert!(matches!(
        reports.as_slice(),
        [Report { report: BrokerReport::Accepted { broker_order_id }, .. }] if !broker_order_id.is_empty()
    ));
    assert_eq!(lookup(&mut *broker, &order).await, Some((StateAtBroker::Working, 1)));
    let reports = bench.trade(&mut *broker, PRICE_E9).await;
    let filled = fills(&reports, &order);
    assert_eq!(filled.len(), 1, "a market order fills: {reports:?}");
    assert_eq!((filled[0].1, filled[0].2), (order.quantity_e9, PRICE_E9), "whole, at the price");
    assert_eq!(lookup(&mut *broker, &order).await, Some((StateAtBroker::Ended, 2)));
    let again = bench.trade(&mut *broker, PRICE_E9).await;
    assert!(fills(&again, &order).is_empty(), "a filled order fills once");
}

async fn sending_again_works_nothing_twice(bench: &dyn Bench) {
    let mut broker = bench.fresh().await;
    let order = order(bench, "again");
    let first = submit(&mut *broker, &order).await;
    assert_eq!(submit(&mut *broker, &order).await, first, "the same id is the same order");
    let reports = bench.trade(&mut *broker, PRICE_E9).await;
    assert_eq!(fills(&reports, &order).len(), 1, "an order sent twice fills once");
    let third = submit(&mut *broker, &order).await;
    assert_eq!(fills(&third, &order), fills(&reports, &order), "sent after the end, it says how it ended");
    let more = bench.trade(&mut *broker, PRICE_E9).await;
    assert!(fills(&more, &order).is_empty(), "an ended order is not revived");
}

async fn a_limit_waits_for_its_price(bench: &dyn Bench) {
    let mut broker = bench.fresh().await;
    let order = limit_order(bench, "limit", PRICE_E9 - 1_000_000_000);
    submit(&mut *broker, &order).await;
    let early = bench.trade(&mut *broker, PRICE_E9).await;
    assert!(fills(&early, &order).is_empty(), "a limit order waits");
    let reports = bench.trade(&mut *broker, PRICE_E9 - 2_000_000_000).await;
    let filled = fills(&reports, &order);
    assert_eq!(filled.len(), 1, "a limit order fills through its limit");
    assert!(filled.iter().all(|fill| Some(fill.2) <= order.limit_price_e9), "never worse than its limit");
}

async fn a_cancelled_order_trades_no_more(bench: &dyn Bench) {
    let mut broker = bench.fresh().await;
    let order = order(bench, "cancelled");
    submit(&mut *broker, &order).await;
    let reports = cancel(bench, &mut *broker, &order).await;
    assert!(is_cancelled(&reports), "{reports:?}");
    let later = bench.trade(&mut *broker, PRICE_E9).await;
    assert!(fills(&later, &order).is_empty(), "a cancelled order does not fill");
    assert!(matches!(lookup(&mut *broker, &order).await, Some((StateAtBroker::Ended, _))));
}

async fn cancelling_what_does_not_work_changes_nothing(bench: &dyn Bench) {
    let mut broker = bench.fresh().await;
    let order = order(bench, "late");
    submit(&mut *broker, &order).await;
    let filled = fills(&bench.trade(&mut *broker, PRICE_E9).await, &order);
    let reports = cancel(bench, &mut *broker, &order).await;
    // It says that it cannot, or how the order ended.
    let refused = reports.iter().any(|report| matches!(report.report, BrokerReport::CancelRejected { .. }));
    assert!(!is_cancelled(&reports), "{reports:?}");
    assert!(refused || fills(&reports, &order) == filled, "{reports:?}");
}

async fn an_unknown_order_is_not_known(bench: &dyn Bench) {
    let mut broker = bench.fresh().await;
    assert_eq!(lookup(&mut *broker, &order(bench, "never")).await, None);
}

async fn what_it_cannot_work_is_rejected(bench: &dyn Bench) {
    let mut broker = bench.fresh().await;
    let order = limit_order(bench, "nonsense", -1);
    let reports = submit(&mut *broker, &order).await;
    assert!(matches!(reports.as_slice(), [Report { report: BrokerReport::Rejected { .. }, .. }]));
    let later = bench.trade(&mut *broker, PRICE_E9).await;
    assert!(fills(&later, &order).is_empty(), "a rejected order does not fill");
}

async fn orders_sent_together_are_answered_in_their_order(bench: &dyn Bench) {
    let mut broker = bench.fresh().await;
    let mut orders: Vec<OrderSpec> =
        ["one", "two", "four"].into_iter().map(|name| order(bench, &format!("together {name}"))).collect();
    orders.insert(2, limit_order(bench, "together nonsense", -1));
    let outgoing: Vec<Outgoing> = orders
        .iter()
        .map(|order| Outgoing {
            client_order_id: client_order_id(&order.order_id),
            order: order.clone(),
            now_ns: NOW_NS,
        })
        .collect();
    let outcomes = broker.submit_all(&outgoing).await;
    assert_eq!(outcomes.len(), orders.len());
    for (place, (order, outcome)) in orders.iter().zip(outcomes).enumerate() {
        let reports = outcome.unwrap_or_else(|error| panic!("order {place}: {error}"));
        assert!(reports.iter().all(|report| report.order_id == order.order_id), "{reports:?}");
        let rejected = matches!(reports.as_slice(), [Report { report: BrokerReport::Rejected { .. }, .. }]);
        assert_eq!(rejected, place == 2, "{reports:?}");
    }
    let later = bench.trade(&mut *broker, PRICE_E9).await;
    for (place, order) in orders.iter().enumerate() {
        assert_eq!(fills(&later, order).is_empty(), place == 2, "order {place}: {later:?}");
    }
}

async fn a_part_is_filled_and_the_rest_works_on(bench: &dyn Bench) {
    let mut broker = bench.fresh().await;
    let order = order(bench, "part");
    let (client, mut tape) =
        (client_order_id(&order.order_id), OnTape::submitted(&mut *broker, order.clone()).await);
    let part = bench.trade_some(&mut *broker, PRICE_E9, SOME_E9).await;
    assert_eq!(shares(&fills(&part, &order)), [SOME_E9], "no more than there was: {part:?}");
    tape.fold(&part);
    let halfway = known(&mut *broker, &order, &client).await;
    assert_eq!(halfway.state, StateAtBroker::Working, "the rest is worked");
    assert_eq!(fills(&halfway.reports, &order), fills(&part, &order));
    let rest = bench.trade(&mut *broker, PRICE_E9 + DOLLAR_E9).await;
    let both = [fills(&part, &order), fills(&rest, &order)].concat();
    assert_eq!(shares(&both), [SOME_E9, order.quantity_e9 - SOME_E9], "what is left, and once: {rest:?}");
    assert_ne!(both[0].0, both[1].0, "executions have ids of their own");
    assert_eq!(both[1].2, PRICE_E9 + DOLLAR_E9, "each at its price");
    tape.fold(&rest);
    assert_eq!(tape.order.status, OrderStatus::Filled);
    let whole = known(&mut *broker, &order, &client).await;
    assert_eq!((whole.state, fills(&whole.reports, &order)), (StateAtBroker::Ended, both));
    tape.agrees(&mut *broker).await;
}

async fn a_cancelled_rest_leaves_what_was_filled(bench: &dyn Bench) {
    let mut broker = bench.fresh().await;
    let order = order(bench, "rest");
    let mut tape = OnTape::submitted(&mut *broker, order.clone()).await;
    let part = bench.trade_some(&mut *broker, PRICE_E9, SOME_E9).await;
    tape.fold(&part);
    let reports = cancel(bench, &mut *broker, &order).await;
    assert!(is_cancelled(&reports), "{reports:?}");
    tape.fold(&reports);
    assert_eq!((tape.order.status, tape.order.filled), (OrderStatus::Cancelled, Quantity(SOME_E9)));
    let later = bench.trade(&mut *broker, PRICE_E9).await;
    assert!(fills(&later, &order).is_empty(), "the rest does not fill");
    let ended = known(&mut *broker, &order, &client_order_id(&order.order_id)).await;
    assert_eq!((ended.state, fills(&ended.reports, &order)), (StateAtBroker::Ended, fills(&part, &order)));
    tape.agrees(&mut *broker).await;
}

async fn what_was_filled_unheard_is_found_once(bench: &dyn Bench) {
    let mut broker = bench.fresh().await;
    let order = order(bench, "unheard");
    let (client, mut tape) =
        (client_order_id(&order.order_id), OnTape::submitted(&mut *broker, order.clone()).await);
    bench.trade_unheard(&mut *broker, PRICE_E9).await;
    let found = known(&mut *broker, &order, &client).await;
    assert_eq!(found.state, StateAtBroker::Ended);
    assert_eq!(tape.fold(&found.reports), 1, "the fill alone is news: {:?}", found.reports);
    assert_eq!((tape.order.status, tape.order.fills), (OrderStatus::Filled, 1));
    let mut later = bench.heard(&mut *broker).await;
    later.extend(known(&mut *broker, &order, &client).await.reports);
    assert_eq!(tape.fold(&later), 0, "told again it is the same fill: {later:?}");
    tape.agrees(&mut *broker).await;
}

async fn new_terms_count_what_was_filled_before(bench: &dyn Bench) {
    const MORE_E9: i64 = 12_000_000_000;
    let (above, below) = (PRICE_E9 + DOLLAR_E9, PRICE_E9 - DOLLAR_E9);
    let mut broker = bench.fresh().await;
    let order = limit_order(bench, "new terms", above);
    let mut tape = OnTape::submitted(&mut *broker, order.clone()).await;
    tape.fold(&bench.trade_some(&mut *broker, PRICE_E9, SOME_E9).await);
    tape.ask(1, MORE_E9, below);
    let asked = tape.order.clone();
    let said = replace(bench, &mut *broker, &asked).await;
    let taken: Vec<&Terms> = said
        .iter()
        .filter_map(|report| match &report.report {
            BrokerReport::Replaced(terms) => Some(terms),
            _ => None,
        })
        .collect();
    let client = client_order_id_of(&order.order_id, 1);
    let Some(terms) = taken.first() else { panic!("new terms are answered: {said:?}") };
    assert_eq!((&terms.client_order_id, terms.quantity.0), (&client, MORE_E9), "{terms:?}");
    assert_eq!(terms.limit, Some(Price(below)));
    assert_ne!(terms.broker_order_id, tape.order.broker_order_id, "they have an id of their own");
    assert_eq!(tape.fold(&said), 1, "the new terms alone are news: {said:?}");
    assert_eq!((tape.order.spec.quantity_e9, tape.order.filled.0), (MORE_E9, SOME_E9));
    let again = replace(bench, &mut *broker, &asked).await;
    let refused = |report: &Report| matches!(report.report, BrokerReport::ReplaceRejected { .. });
    assert!(!again.iter().any(refused), "asked again, they are those that it works: {again:?}");
    assert_eq!(tape.fold(&again), 0, "{again:?}");

    let early = bench.trade(&mut *broker, PRICE_E9).await;
    assert!(fills(&early, &order).is_empty(), "the limit before counts no more: {early:?}");
    let rest = bench.trade(&mut *broker, below - DOLLAR_E9).await;
    assert_eq!(shares(&fills(&rest, &order)), [MORE_E9 - SOME_E9], "{rest:?}");
    tape.fold(&rest);
    assert_eq!((tape.order.status, tape.order.filled), (OrderStatus::Filled, Quantity(MORE_E9)));
    assert_eq!(known(&mut *broker, &order, &client).await.state, StateAtBroker::Ended);
    tape.agrees(&mut *broker).await;
    tape.ask(2, MORE_E9 + DOLLAR_E9, below);
    let late = replace(bench, &mut *broker, &tape.order).await;
    assert!(late.iter().any(refused), "an order that has ended takes no new terms: {late:?}");
}

async fn what_it_holds_is_what_its_orders_have_filled(bench: &dyn Bench) {
    let mut broker = bench.fresh().await;
    let bought = order(bench, "bought");
    let sold = OrderSpec {
        side: Side::Sell.into(),
        quantity_e9: 3_000_000_000,
        reducing: true,
        ..order(bench, "sold")
    };
    let mut buying = OnTape::submitted(&mut *broker, bought.clone()).await;
    buying.fold(&bench.trade_some(&mut *broker, PRICE_E9, SOME_E9).await);
    holds(bench, &mut *broker, &[&bought], SOME_E9).await;
    buying.fold(&bench.trade(&mut *broker, PRICE_E9).await);
    holds(bench, &mut *broker, &[&bought], bought.quantity_e9).await;
    let mut selling = OnTape::submitted(&mut *broker, sold.clone()).await;
    selling.fold(&bench.trade(&mut *broker, PRICE_E9).await);
    holds(bench, &mut *broker, &[&bought, &sold], bought.quantity_e9 - sold.quantity_e9).await;
    for tape in [&mut buying, &mut selling] {
        assert_eq!(tape.order.status, OrderStatus::Filled);
        tape.agrees(&mut *broker).await;
    }
}

/// The orders' fills come to `shares_e9`, and so does the account, which a broker outside must state.
async fn holds(bench: &dyn Bench, broker: &mut dyn Broker, orders: &[&OrderSpec], shares_e9: i64) {
    let mut filled = 0;
    for order in orders {
        let found = known(broker, order, &client_order_id(&order.order_id)).await;
        let of_order: i64 = shares(&fills(&found.reports, order)).iter().sum();
        filled += if order.side() == Side::Sell { -of_order } else { of_order };
    }
    assert_eq!(filled, shares_e9, "what its orders have filled");
    match broker.positions("contract").await {
        Ok(Some(held)) => {
            let held: Vec<(&str, i64)> =
                held.iter().map(|position| (position.symbol.as_str(), position.quantity.0)).collect();
            assert_eq!(held, [(bench.symbol(), shares_e9)], "what is held");
        }
        Ok(None) => assert!(!broker.is_remote(), "a broker outside states what it holds"),
        Err(error) => panic!("positions: {error}"),
    }
}

async fn exits_that_it_holds_work_once_their_entry_is_filled(bench: &dyn Bench) {
    let mut broker = bench.fresh().await;
    let order = limit_order(bench, "entry", PRICE_E9 + DOLLAR_E9);
    let entry =
        OrderSpec { group_id: order.order_id.clone(), time_in_force: TimeInForce::Gtc.into(), ..order };
    let (order_id, parent_id) = (child_order_id(&entry.order_id, 1), entry.order_id.clone());
    let (side, order_type) = (Side::Sell.into(), OrderType::Stop.into());
    let priced = OrderSpec { limit_price_e9: None, stop_price_e9: Some(PRICE_E9 / 2), ..entry.clone() };
    let stop = OrderSpec { order_id, parent_id, side, order_type, reducing: true, ..priced };
    let client_order_id = client_order_id(&entry.order_id);
    let outgoing = Outgoing { order: entry.clone(), client_order_id, now_ns: NOW_NS };
    for time in 1..=2 {
        match broker.submit_with_exits(&outgoing, &[&stop]).await {
            Ok(None) => return assert!(!crate::takes_together(broker.name(), &entry, &[&stop])),
            Ok(Some(said)) => assert_eq!(said.len(), 1, "time {time}, of the entry alone: {said:?}"),
            Err(error) => panic!("time {time}: {error}"),
        }
        assert_eq!(lookup(&mut *broker, &stop).await, Some((StateAtBroker::Working, 0)), "it is held");
    }
    let reports = bench.trade(&mut *broker, PRICE_E9).await;
    assert_eq!(shares(&fills(&reports, &entry)), [entry.quantity_e9], "once: {reports:?}");
    assert_eq!(lookup(&mut *broker, &stop).await, Some((StateAtBroker::Working, 1)), "it works");
}
