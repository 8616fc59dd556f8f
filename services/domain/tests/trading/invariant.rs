//! What must always hold: each check says so when it does not, and nothing when it does.

use std::collections::BTreeMap;

use contracts::v1::event::Body;
use contracts::v1::{
    AccountConfigured, AccountEntry, AccountMarked, Basis, EntryKind, GroupKind, LimitsSet, OrderAdjusted,
    OrderSpec, RiskDecision, RiskInput, Side, Signal, TradeLimits, TradingHalted,
};
use contracts::{MANUAL, client_order_id, stream};
use domain::book::{Book, Scope};
use domain::invariant::{
    Acknowledged, AtBroker, Invariant, Violation, Watch, compare_acknowledged, compare_book, compare_broker,
};
use domain::risk::fields;

use crate::support::{
    ACCOUNT, STRATEGY, SYMBOL, approval, book_of, configured, deposit, event, fill, limits, money, price,
    registered, shares, spec, submitted,
};

/// A mark of 10,000 without positions.
fn marked() -> Body {
    Body::AccountMarked(AccountMarked {
        account: ACCOUNT.to_owned(),
        equity: money("10000"),
        ..AccountMarked::default()
    })
}

pub fn opening() -> Vec<Body> {
    vec![configured(limits()), deposit("10000"), marked()]
}

/// Watches `bodies`; a decision states that it had read everything before it.
pub fn watch(bodies: Vec<Body>) -> (Watch, Vec<Violation>) {
    let (mut watch, mut found) = (Watch::default(), Vec::new());
    for (sequence, body) in (1_u64..).zip(bodies) {
        let mut event = event(i64::try_from(sequence).unwrap(), body);
        event.basis = vec![Basis { stream: stream::TRADING.to_owned(), sequence: sequence - 1 }];
        found.extend(watch.fold(sequence, &event));
    }
    (watch, found)
}

pub fn broken(bodies: Vec<Body>) -> Vec<Invariant> {
    watch([opening(), bodies].concat()).1.iter().map(|found| found.invariant).collect()
}

#[test]
fn numbers_and_names_are_those_of_the_design() {
    let numbers: Vec<_> = Invariant::ALL.iter().map(|invariant| invariant.number()).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(Invariant::HaltOpensNothing.to_string(), "8 halt_opens_nothing");
}

#[test]
fn an_orders_life_breaks_nothing() {
    let spec = spec("a");
    let filled = fill(&spec, 1, shares("100"), price("20"), "1");
    assert_eq!(broken(vec![approval(&spec, price("20")), submitted(&spec), filled]), []);
}

#[test]
fn what_stands_twice_is_found() {
    let spec = spec("a");
    let once = vec![approval(&spec, price("20")), submitted(&spec)];
    let again = |body: Body| broken([once.clone(), vec![body]].concat());
    assert_eq!(again(approval(&spec, price("21"))), [Invariant::NoOrderTwice]);
    assert_eq!(again(submitted(&spec)), [Invariant::NoOrderTwice]);
    let part = fill(&spec, 1, shares("10"), price("20"), "1");
    let twice = broken([once.clone(), vec![part.clone(), part]].concat());
    assert!(twice.contains(&Invariant::FillsAgree), "{twice:?}");
    let other = contracts::v1::OrderSpec { quantity_e9: shares("90").0, ..spec.clone() };
    assert_eq!(broken(vec![approval(&spec, price("20")), submitted(&other)]), [Invariant::NoOrderTwice]);
}

#[test]
fn a_signal_that_is_sent_again_is_found_where_no_strategy_outside_sends_it() {
    for (consumer, expected) in [("strategy-swing", vec![]), ("", vec![Invariant::NoEventLost])] {
        let mut known = registered("10");
        if let Body::StrategyRegistered(body) = &mut known {
            body.consumer = consumer.to_owned();
        }
        let mut watch = Watch::default();
        let mut found = watch.fold(1, &event(1, known));
        let signal = event(2, Body::Signal(Signal { strategy: STRATEGY.to_owned(), ..Signal::default() }));
        for sequence in [2, 3] {
            found.extend(watch.fold(sequence, &signal));
        }
        assert_eq!(found.iter().map(|found| found.invariant).collect::<Vec<_>>(), expected, "{consumer}");
    }
}

#[test]
fn a_gap_and_an_id_twice_are_lost_events() {
    let mut watch = Watch::default();
    let first = event(1, deposit("1"));
    assert_eq!(watch.fold(1, &first), []);
    let found = watch.fold(3, &first);
    assert_eq!(found.iter().map(|found| found.invariant).collect::<Vec<_>>(), [Invariant::NoEventLost; 2]);
    let told = [Acknowledged { sequence: 1, id: first.id.clone() }];
    assert_eq!(compare_acknowledged(&told, |_| Some(first.id.as_str())), None);
    assert!(compare_acknowledged(&told, |_| Some("another")).is_some());
    assert!(compare_acknowledged(&told, |_| None).is_some());
}

#[test]
fn approvals_that_add_up_beyond_a_limit_are_found() {
    let (first, mut second) = (spec("a"), spec("b"));
    // Each is 4,000 of 10,000; a position may be 5,000.
    let both = vec![approval(&first, price("40")), approval(&second, price("40"))];
    assert_eq!(broken(both), [Invariant::WithinLimits]);
    second.symbol = "OTHER".to_owned();
    assert_eq!(broken(vec![approval(&first, price("40")), approval(&second, price("40"))]), []);
    assert_eq!(broken(vec![approval(&first, price("600"))]), [Invariant::WithinLimits], "one order's value");
}

/// Limits on what the account does.
pub fn limited(account: &str, named: &[(&str, &str)]) -> Body {
    let mut limits = TradeLimits::default();
    for (name, value) in named {
        fields::state(&mut limits, name, value).unwrap();
    }
    let scope = Some(Scope::new(account, "", "").to_wire());
    Body::LimitsSet(LimitsSet { scope, version: 1, limits: Some(limits), ..LimitsSet::default() })
}

/// A decision of `account` that approves new terms of `order`.
fn new_terms(account: &str, order: &OrderSpec, quantity: &str) -> Body {
    let terms = OrderSpec { quantity_e9: shares(quantity).0, revision: order.revision + 1, ..order.clone() };
    let Body::RiskDecision(decision) = approval(&terms, price("20")) else { panic!() };
    let input = RiskInput { replaced: Some(order.clone()), ..decision.inputs[0].clone() };
    Body::RiskDecision(RiskDecision {
        account: account.to_owned(),
        strategy: MANUAL.to_owned(),
        signal_id: format!("terms-{quantity}-{}", order.order_id),
        inputs: vec![input],
        ..decision
    })
}

#[test]
fn an_order_counts_under_its_own_account_whoever_asks_for_its_terms() {
    let alt = OrderSpec { account: "alt".to_owned(), ..spec("o") };
    let Body::AccountConfigured(configuration) = configured(limits()) else { panic!() };
    let configured_alt =
        Body::AccountConfigured(AccountConfigured { account: "alt".to_owned(), ..configuration });
    let marked_alt = Body::AccountMarked(AccountMarked {
        account: "alt".to_owned(),
        equity: money("10000"),
        ..AccountMarked::default()
    });
    let before = vec![
        configured_alt,
        marked_alt,
        limited("alt", &[("max_position_quantity", "110")]),
        approval(&alt, price("20")),
        submitted(&alt),
    ];
    let with = |more: Vec<Body>| broken([before.clone(), more].concat());
    // Another account's decision takes it beyond what its own allows: in shares, and in value.
    assert_eq!(with(vec![new_terms(ACCOUNT, &alt, "110")]), []);
    assert_eq!(with(vec![new_terms(ACCOUNT, &alt, "111")]), [Invariant::WithinLimits]);
    let unlimited = limited("alt", &[("max_position_quantity", "none")]);
    assert_eq!(with(vec![unlimited.clone(), new_terms(ACCOUNT, &alt, "250")]), []);
    assert_eq!(with(vec![unlimited, new_terms(ACCOUNT, &alt, "251")]), [Invariant::WithinLimits]);
    // So does a stop of its account, and one of its strategy.
    assert_eq!(with(vec![halted("alt"), new_terms(ACCOUNT, &alt, "105")]), [Invariant::HaltOpensNothing]);
    let strategy = TradingHalted { strategy: STRATEGY.to_owned(), ..TradingHalted::default() };
    let stopped = with(vec![Body::TradingHalted(strategy), new_terms(ACCOUNT, &alt, "105")]);
    assert_eq!(stopped, [Invariant::HaltOpensNothing]);
    assert_eq!(with(vec![halted(ACCOUNT), new_terms(ACCOUNT, &alt, "105")]), []);
}

#[test]
fn new_terms_count_as_the_order_that_they_make_and_the_larger_of_both_for_others() {
    let order = spec("o");
    let limit = limited(ACCOUNT, &[("max_position_quantity", "110"), ("max_order_quantity", "100")]);
    let works = vec![limit, approval(&order, price("20")), submitted(&order)];
    let with = |more: Vec<Body>| broken([works.clone(), more].concat());
    let larger = new_terms(ACCOUNT, &order, "101");
    assert_eq!(with(vec![larger]), [Invariant::WithinLimits], "one order's shares");
    let smaller = || new_terms(ACCOUNT, &order, "1");
    let another = |quantity: &str| {
        let other = OrderSpec { quantity_e9: shares(quantity).0, ..spec("p") };
        approval(&other, price("20"))
    };
    assert_eq!(with(vec![smaller(), another("10")]), []);
    assert_eq!(with(vec![smaller(), another("11")]), [Invariant::WithinLimits], "100 may still trade");
    // A limit that was lowered meanwhile is kept by what becomes of the order.
    let lowered = limited(ACCOUNT, &[("max_position_quantity", "50")]);
    assert_eq!(with(vec![lowered, new_terms(ACCOUNT, &order, "50")]), []);
}

#[test]
fn new_terms_that_are_approved_before_the_first_ones_are_sent_change_nothing_of_these() {
    let order = spec("o");
    let larger = new_terms(ACCOUNT, &order, "110");
    assert_eq!(broken(vec![approval(&order, price("20")), larger.clone(), submitted(&order)]), []);
    let other = OrderSpec { quantity_e9: shares("90").0, ..order.clone() };
    let sent = broken(vec![approval(&order, price("20")), larger, submitted(&other)]);
    assert_eq!(sent, [Invariant::NoOrderTwice]);
}

fn halted(account: &str) -> Body {
    Body::TradingHalted(TradingHalted { account: account.to_owned(), ..TradingHalted::default() })
}

#[test]
fn a_halt_that_was_read_opens_nothing() {
    let opens = || approval(&spec("a"), price("20"));
    assert_eq!(broken(vec![halted(""), opens()]), [Invariant::HaltOpensNothing]);
    assert_eq!(broken(vec![halted(ACCOUNT), opens()]), [Invariant::HaltOpensNothing]);
    assert_eq!(broken(vec![halted("another"), opens()]), []);
    let closes = OrderSpec { reducing: true, ..spec("a") };
    assert_eq!(broken(vec![halted(""), approval(&closes, price("20"))]), []);
}

#[test]
fn what_no_book_can_fold_stops_nobody() {
    let (mut watch, mut found) = (Watch::default(), Vec::new());
    let bodies = [opening(), vec![halted(""), approval(&spec("a"), price("20"))]].concat();
    for (sequence, body) in (1_u64..).zip(bodies) {
        let mut event = event(i64::try_from(sequence).unwrap(), body);
        event.basis = vec![Basis { stream: stream::TRADING.to_owned(), sequence: sequence - 1 }];
        if matches!(event.body, Some(Body::TradingHalted(_))) {
            event.event_time = None;
        }
        found.extend(watch.fold(sequence, &event));
    }
    assert_eq!(found, []);
    assert_eq!(watch.unfoldable().iter().collect::<Vec<_>>(), [&4]);
}

/// A sell that is to reduce and nothing else.
fn closing(id: &str, quantity: &str) -> OrderSpec {
    OrderSpec { side: Side::Sell.into(), quantity_e9: shares(quantity).0, reducing: true, ..spec(id) }
}

/// An order that is approved and sent.
fn sent(order: &OrderSpec) -> Vec<Body> {
    vec![approval(order, price("20")), submitted(order)]
}

fn filled(order: &OrderSpec, number: u32, quantity: &str) -> Body {
    fill(order, number, shares(quantity), price("20"), "0")
}

/// 100 shares are bought, then trading is halted.
fn held_and_halted() -> Vec<Body> {
    let bought = spec("a");
    [sent(&bought), vec![filled(&bought, 1, "100"), halted("")]].concat()
}

#[test]
fn a_fill_that_opens_while_halted_is_found_although_its_order_is_to_reduce() {
    let sold = |quantity: &str, fills: &[&str]| {
        let order = closing("b", quantity);
        let fills = (1..).zip(fills).map(|(number, quantity)| filled(&order, number, quantity)).collect();
        broken([held_and_halted(), sent(&order), fills].concat())
    };
    assert_eq!(sold("100", &["40", "60"]), []);
    assert_eq!(sold("150", &["100"]), [], "so far it only closed");
    assert_eq!(sold("150", &["100", "50"]), [Invariant::HaltOpensNothing], "it grows a position");
    assert_eq!(sold("150", &["150"]), [Invariant::HaltOpensNothing], "it turns one over");
    // What a kill switch closes is nobody's decision.
    let flattened = |quantity: &str| {
        let order = closing("b", quantity);
        broken([held_and_halted(), vec![submitted(&order), filled(&order, 1, quantity)]].concat())
    };
    assert_eq!(flattened("100"), []);
    assert_eq!(flattened("101"), [Invariant::HaltOpensNothing]);
}

#[test]
fn exits_for_more_than_their_entry_opens_are_found() {
    // 50 are short, so that 50 of the 150 close them.
    let turned = |exit: &str| {
        let short = OrderSpec { side: Side::Sell.into(), quantity_e9: shares("50").0, ..spec("a") };
        let grouped = |order: OrderSpec, parent: &str| OrderSpec {
            group: GroupKind::Oto.into(),
            group_id: "b".to_owned(),
            parent_id: parent.to_owned(),
            ..order
        };
        let entry = grouped(OrderSpec { quantity_e9: shares("150").0, ..spec("b") }, "");
        let stop = grouped(closing("c", exit), "b");
        let Body::RiskDecision(decision) = approval(&entry, price("20")) else { panic!() };
        let both = Body::RiskDecision(RiskDecision { orders: vec![entry.clone(), stop.clone()], ..decision });
        let group = vec![both, submitted(&entry), submitted(&stop), filled(&entry, 1, "150")];
        let stopped = vec![halted(ACCOUNT), filled(&stop, 1, exit)];
        broken([sent(&short), vec![filled(&short, 1, "50")], group, stopped].concat())
    };
    assert_eq!(turned("100"), []);
    assert_eq!(turned("150"), [Invariant::HaltOpensNothing]);
}

#[test]
fn what_was_under_way_when_trading_was_halted_may_fill() {
    // An entry that works.
    let entry = spec("a");
    assert_eq!(broken([sent(&entry), vec![halted(""), filled(&entry, 1, "100")]].concat()), []);
    // A stop that fills although an exit takes its place: each closes what was held when it was approved.
    let (stop, exit) = (closing("s", "100"), closing("b", "100"));
    let fills = vec![filled(&stop, 1, "100"), filled(&exit, 1, "100")];
    assert_eq!(broken([held_and_halted(), sent(&stop), sent(&exit), fills].concat()), []);
    // A split, upon which both the position and its exit are twice as many shares.
    let split = Body::AccountEntry(AccountEntry {
        account: ACCOUNT.to_owned(),
        kind: EntryKind::Split.into(),
        strategy: STRATEGY.to_owned(),
        symbol: SYMBOL.to_owned(),
        quantity_after_e9: shares("200").0,
        ..AccountEntry::default()
    });
    let adjusted = Body::OrderAdjusted(OrderAdjusted {
        order_id: "b".to_owned(),
        quantity_e9: shares("200").0,
        action_id: "split".to_owned(),
        ..OrderAdjusted::default()
    });
    let sold = vec![split, adjusted, filled(&exit, 1, "200")];
    assert_eq!(broken([held_and_halted(), sent(&exit), sold].concat()), []);
    // Shares that the broker holds and nobody ordered.
    let found = Body::AccountEntry(AccountEntry {
        account: ACCOUNT.to_owned(),
        kind: EntryKind::External.into(),
        strategy: MANUAL.to_owned(),
        symbol: SYMBOL.to_owned(),
        quantity_e9: shares("-20").0,
        amount: money("-400"),
        ..AccountEntry::default()
    });
    assert_eq!(broken([held_and_halted(), vec![found]].concat()), []);
}

#[test]
fn a_decision_is_held_against_what_it_had_read() {
    // The stop has closed everything when the exit is approved.
    let (stop, exit) = (closing("s", "100"), closing("b", "100"));
    let before = [opening(), held_and_halted(), sent(&stop), vec![filled(&stop, 1, "100")]].concat();
    let decided = |behind: u64| {
        let (mut watch, mut found) = watch(before.clone());
        let bodies = [sent(&exit), vec![filled(&exit, 1, "100")]].concat();
        for (sequence, body) in (watch.book().sequence() + 1..).zip(bodies) {
            let mut event = event(i64::try_from(sequence).unwrap(), body);
            event.basis = vec![Basis { stream: stream::TRADING.to_owned(), sequence: sequence - behind }];
            found.extend(watch.fold(sequence, &event));
        }
        found.iter().map(|found| found.invariant).collect::<Vec<_>>()
    };
    assert_eq!(decided(1), [Invariant::HaltOpensNothing], "it knew that nothing was left");
    assert_eq!(decided(2), [], "only a replay can say");
}

#[test]
fn the_brokers_truth_is_held_against_the_tape() {
    let spec = spec("a");
    let bodies = [opening(), vec![approval(&spec, price("20")), submitted(&spec)]].concat();
    let execution = |quantity: &str| BTreeMap::from([("x-a-1".to_owned(), (shares(quantity), price("20")))]);
    let at = |working, executions| AtBroker { client_order_id: client_order_id("a"), working, executions };
    let check = |watch: &Watch, orders: &[AtBroker], settled| {
        compare_broker(watch, "simulated", orders, settled).map(|found| found.invariant)
    };
    let (open, _) = watch(bodies.clone());
    assert_eq!(check(&open, &[at(true, BTreeMap::new())], true), None);
    assert_eq!(check(&open, &[at(false, BTreeMap::new())], true), Some(Invariant::OrdersEnd));
    assert_eq!(check(&open, &[], true), Some(Invariant::OrdersEnd));
    assert_eq!(check(&open, &[], false), None, "it may be on its way");
    assert_eq!(check(&open, &[at(true, execution("10"))], true), Some(Invariant::FillsAgree));
    let unknown = AtBroker { client_order_id: "no intent".to_owned(), ..AtBroker::default() };
    assert_eq!(check(&open, &[unknown], false), Some(Invariant::NoOrderTwice));
    let twice = [at(true, BTreeMap::new()), at(true, BTreeMap::new())];
    assert_eq!(check(&open, &twice, false), Some(Invariant::NoOrderTwice));
    let part = fill(&spec, 1, shares("10"), price("20"), "1");
    let (filled, _) = watch([bodies, vec![part]].concat());
    assert_eq!(check(&filled, &[at(true, execution("10"))], true), None);
    assert_eq!(check(&filled, &[at(true, execution("11"))], false), Some(Invariant::FillsAgree));
}

#[test]
fn a_read_model_is_its_fold() {
    let (book, other) = (book_of(opening()), book_of([configured(limits()), deposit("9999"), marked()]));
    assert_eq!(compare_book(&book, &book), None);
    assert!(compare_book(&other, &book).unwrap().detail.starts_with("account:"));
    assert!(compare_book(&Book::default(), &book).unwrap().detail.contains("stands at 0"));
}
