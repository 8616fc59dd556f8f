//! The book on scripts of events.

use contracts::v1::event::Body;
use contracts::v1::{
    AccountMarked, EntryKind, Event, GroupKind, OrderAccepted, OrderCancelled, OrderSpec, RiskDecision, Side,
    Signal, SignalLeg, StrategyDisabled, StrategyMode, StrategyRemoved, TradingHalted, TradingResumed,
    Verdict,
};
use domain::book::identity::check_identity;
use domain::book::{
    Book, Changes, FoldError, MarkError, PositionKey, Prices, SETTLED_ORDERS_MAX, cash_in_lieu_entries,
    dividend_entries, mark, split_entries,
};
use domain::corporate_action::SplitRatio;
use domain::money::Amount;
use domain::order::OrderStatus;

use crate::support::{
    ACCOUNT, STRATEGY, SYMBOL, amount, approval, book_of, configured, deposit, enabled, event, fill, fold,
    limits, money, price, registered, shares, spec, submitted,
};

fn sell(order_id: &str, quantity: &str) -> OrderSpec {
    OrderSpec { side: Side::Sell.into(), quantity_e9: shares(quantity).0, reducing: true, ..spec(order_id) }
}

fn bought() -> Book {
    let order = spec("buy");
    book_of([
        deposit("10000"),
        approval(&order, price("50")),
        submitted(&order),
        fill(&order, 1, shares("100"), price("50"), "1.25"),
    ])
}

#[test]
fn a_buy_and_a_sale_move_cash_cost_and_profit() {
    let mut book = bought();
    let account = book.account(ACCOUNT).unwrap();
    assert_eq!((account.cash, account.fees), (amount("4998.75"), amount("1.25")));
    let position = book.position(ACCOUNT, STRATEGY, SYMBOL).unwrap();
    assert_eq!((position.quantity, position.cost), (shares("100"), amount("5000")));
    assert_eq!(position.average_cost(), Some(price("50")));

    let order = sell("sell", "30");
    fold(&mut book, [approval(&order, price("55")), fill(&order, 1, shares("30"), price("55"), "1")]);
    let account = book.account(ACCOUNT).unwrap();
    assert_eq!((account.cash, account.realized_pnl), (amount("6647.75"), amount("150")));
    let position = book.position(ACCOUNT, STRATEGY, SYMBOL).unwrap();
    assert_eq!((position.quantity, position.cost), (shares("70"), amount("3500")));
    assert_eq!((position.realized_pnl, position.fees), (amount("150"), amount("2.25")));
    check_identity(&book).unwrap();
}

#[test]
fn a_sale_beyond_zero_opens_a_short_at_its_own_cost() {
    let mut book = bought();
    let order = sell("flip", "150");
    fold(&mut book, [approval(&order, price("60")), fill(&order, 1, shares("150"), price("60"), "0")]);
    let position = book.position(ACCOUNT, STRATEGY, SYMBOL).unwrap();
    assert_eq!((position.quantity, position.cost), (shares("-50"), amount("-3000")));
    assert_eq!(position.realized_pnl, amount("1000"));
    assert_eq!(book.account(ACCOUNT).unwrap().opened_since_mark, amount("8000"));
    check_identity(&book).unwrap();
}

#[test]
fn what_a_copy_folds_the_book_does_not_see() {
    let mut book = bought();
    let before = format!("{:?}", book.to_parts());
    let order = sell("sell", "30");
    let more =
        [approval(&order, price("55")), submitted(&order), fill(&order, 1, shares("30"), price("55"), "1")];
    let mut copy = book.clone();
    fold(&mut copy, more.clone());
    assert_ne!(copy, book);
    assert_eq!(format!("{:?}", book.to_parts()), before);
    // What both had alike is no hindrance: the same events make the same of it.
    fold(&mut book, more);
    assert_eq!(copy, book);
}

#[test]
fn an_event_is_folded_once() {
    let order = spec("buy");
    let events = [deposit("10000"), approval(&order, price("50")), submitted(&order)];
    let mut book = book_of(events.clone());
    let before = format!("{:?}", book.to_parts());
    for (sequence, body) in (1..).zip(events) {
        assert_eq!(book.apply(sequence, &event(1, body)).unwrap(), Changes::default());
    }
    assert_eq!(format!("{:?}", book.to_parts()), before);
}

#[test]
fn changes_name_the_rows() {
    let order = spec("buy");
    let mut book = book_of([deposit("10000"), approval(&order, price("50"))]);
    let body = fill(&order, 1, shares("1"), price("50"), "0");
    let changes = book.apply(3, &event(3, body)).unwrap();
    let expected = Changes {
        accounts: vec![ACCOUNT.to_owned()],
        positions: vec![PositionKey::new(ACCOUNT, STRATEGY, SYMBOL)],
        orders: vec!["buy".to_owned()],
        // A trade began.
        tallies: vec![(ACCOUNT.to_owned(), STRATEGY.to_owned())],
        ..Changes::default()
    };
    assert_eq!(changes, expected);
}

#[test]
fn an_error_leaves_the_book_as_it_was() {
    let mut book = bought();
    let before = format!("{:?}", book.to_parts());
    let more = fill(&spec("buy"), 2, shares("1"), price("50"), "0");
    let error = book.apply(5, &event(5, more)).unwrap_err();
    assert_eq!(error.to_string(), "order buy: fill 2 of 1 exceeds the 0 not filled yet");
    let body = Body::Heartbeat(contracts::v1::Heartbeat::default());
    assert_eq!(book.apply(5, &event(5, body)), Err(FoldError::Foreign));
    let timeless = Event { event_time: None, ..event(5, deposit("1")) };
    assert!(matches!(book.apply(5, &timeless), Err(FoldError::Field { field: "event_time", .. })));
    assert_eq!(format!("{:?}", book.to_parts()), before);
    book.skip(5);
    assert_eq!(book.sequence(), 5);
}

#[test]
fn an_overflow_is_an_error() {
    let order = contracts::v1::OrderSpec { quantity_e9: i64::MAX, ..spec("huge") };
    let half = domain::money::Quantity(i64::MAX);
    let mut book = book_of([
        approval(&order, price("1")),
        fill(&order, 1, half, price("1"), "0"),
        approval(&contracts::v1::OrderSpec { order_id: "more".into(), ..order.clone() }, price("1")),
    ]);
    let more = contracts::v1::OrderSpec { order_id: "more".into(), ..order };
    let error = book.apply(4, &event(4, fill(&more, 1, half, price("1"), "0"))).unwrap_err();
    assert_eq!(error.to_string(), "`quantity` of position paper/trend/ACME overflows");
}

#[test]
fn open_orders_are_reserved_until_they_are_filled_or_end() {
    let (buy, out) = (spec("buy"), sell("out", "30"));
    let mut book = book_of([approval(&buy, price("50")), approval(&out, price("50"))]);
    let reserved = book.reserved(ACCOUNT, Some(STRATEGY), SYMBOL);
    assert_eq!((reserved.buy, reserved.sell), (shares("100"), shares("-30")));
    assert_eq!(book.reserved_exposure(ACCOUNT), amount("5000"), "a reducing order reserves no exposure");
    assert_eq!(book.reserved(ACCOUNT, Some("other"), SYMBOL).buy, shares("0"));

    fold(&mut book, [submitted(&buy), fill(&buy, 1, shares("60"), price("51"), "0")]);
    assert_eq!(book.reserved(ACCOUNT, None, SYMBOL).buy, shares("40"));
    let body = Body::OrderCancelled(OrderCancelled { order_id: "buy".into(), reason: String::new() });
    fold(&mut book, [body]);
    assert_eq!(book.reserved(ACCOUNT, None, SYMBOL).buy, shares("0"));
    assert_eq!(book.open_orders().count(), 1);
    fold(&mut book, [fill(&buy, 2, shares("40"), price("51"), "0")]);
    assert_eq!(book.net_quantity(ACCOUNT, SYMBOL), shares("100"), "a late fill counts");
}

#[test]
fn an_order_that_left_memory_is_asked_for() {
    let mut book = bought();
    let first = book.order("buy").unwrap().clone();
    for number in 0..=SETTLED_ORDERS_MAX {
        let mut other = first.clone();
        other.spec.order_id = format!("other-{number}");
        book.admit(other);
    }
    let body = Body::OrderAccepted(OrderAccepted {
        order_id: "buy".into(),
        broker_order_id: "b".into(),
        reopened: false,
    });
    let late = event(5, body);
    assert_eq!(book.apply(5, &late), Err(FoldError::OrderNotLoaded { order_id: "buy".into() }));
    book.admit(first);
    assert_eq!(book.apply(5, &late).unwrap().orders, ["buy"]);
    assert_eq!(book.order("buy").unwrap().status, OrderStatus::Filled);
}

#[test]
fn a_split_keeps_the_cost_and_pays_the_fraction() {
    let mut book = bought();
    let ratio = SplitRatio::from_terms(2, 3).unwrap();
    let entries = split_entries(&book, SYMBOL, ratio, "split").unwrap();
    fold(&mut book, entries.into_iter().map(Body::AccountEntry));
    let position = book.position(ACCOUNT, STRATEGY, SYMBOL).unwrap();
    assert_eq!((position.quantity, position.fraction), (shares("66"), shares("0.666666667")));
    assert_eq!(position.cost_basis(), Some(amount("5000")));
    check_identity(&book).unwrap();

    let entries = cash_in_lieu_entries(&book, SYMBOL, price("80"), "bar").unwrap();
    fold(&mut book, entries.into_iter().map(Body::AccountEntry));
    let account = book.account(ACCOUNT).unwrap();
    assert_eq!(account.cash, amount("5052.08333336"));
    let position = book.position(ACCOUNT, STRATEGY, SYMBOL).unwrap();
    assert_eq!((position.fraction, position.fraction_cost), (shares("0"), Amount::ZERO));
    assert_eq!(position.realized_pnl, account.realized_pnl);
    assert!(cash_in_lieu_entries(&book, SYMBOL, price("80"), "bar").unwrap().is_empty());
    check_identity(&book).unwrap();
}

#[test]
fn a_one_for_three_split_leaves_whole_shares() {
    let order = contracts::v1::OrderSpec { quantity_e9: shares("9").0, ..spec("buy") };
    let bodies =
        [deposit("1000"), approval(&order, price("5")), fill(&order, 1, shares("9"), price("5"), "0")];
    let book = book_of(bodies);
    let ratio = SplitRatio::from_e9(333_333_333).unwrap();
    let entries = split_entries(&book, SYMBOL, ratio, "split").unwrap();
    assert_eq!((entries[0].quantity_after_e9, entries[0].fraction_e9), (shares("3").0, 0));
}

#[test]
fn of_a_position_that_a_split_leaves_nothing_of_the_last_billionth_is_paid() {
    let dust = shares("0.000000005");
    let order = contracts::v1::OrderSpec { quantity_e9: dust.0, ..spec("buy") };
    let bodies = [deposit("1000"), approval(&order, price("900")), fill(&order, 1, dust, price("900"), "0")];
    let mut book = book_of(bodies);
    let ratio = SplitRatio::from_terms(1, 20).unwrap();
    let entries = split_entries(&book, SYMBOL, ratio, "split").unwrap();
    fold(&mut book, entries.into_iter().map(Body::AccountEntry));
    check_identity(&book).unwrap();
    let paid = cash_in_lieu_entries(&book, SYMBOL, price("18000"), "bar").unwrap();
    fold(&mut book, paid.into_iter().map(Body::AccountEntry));
    check_identity(&book).unwrap();
    let held = book.position(ACCOUNT, STRATEGY, SYMBOL).unwrap();
    assert_eq!((held.quantity, held.fraction, held.cost), (shares("0"), shares("0"), amount("0")));
    assert_eq!(held.realized_pnl, amount("0.0000135"), "18,000 billionths for 4,500");
}

#[test]
fn a_dividend_pays_the_long_and_charges_the_short() {
    let mut book = bought();
    let short = contracts::v1::OrderSpec { strategy: "other".to_owned(), ..sell("short", "40") };
    fold(&mut book, [approval(&short, price("50")), fill(&short, 1, shares("40"), price("50"), "0")]);
    let entries = dividend_entries(&book, SYMBOL, price("0.25"), "dividend").unwrap();
    assert!(entries.iter().all(|entry| entry.kind() == EntryKind::Dividend));
    fold(&mut book, entries.into_iter().map(Body::AccountEntry));
    assert_eq!(book.account(ACCOUNT).unwrap().dividends, amount("15"));
    assert_eq!(book.position(ACCOUNT, "other", SYMBOL).unwrap().dividends, amount("-10"));
    assert_eq!(book.net_quantity(ACCOUNT, SYMBOL), shares("60"));
    check_identity(&book).unwrap();
}

fn marked(equity: &str, session_start: bool) -> Body {
    Body::AccountMarked(AccountMarked {
        account: ACCOUNT.to_owned(),
        equity: money(equity),
        session_start,
        ..AccountMarked::default()
    })
}

#[test]
fn the_day_counts_from_the_mark_before_the_session() {
    let mut book = book_of([deposit("1000")]);
    assert_eq!(book.account(ACCOUNT).unwrap().day_pnl(), None);
    let mut day = |bodies: Vec<Body>| {
        fold(&mut book, bodies);
        book.account(ACCOUNT).unwrap().day_pnl().unwrap()
    };
    assert_eq!(day(vec![marked("990", true)]), amount("-10"), "the first day counts from the deposit");
    assert_eq!(day(vec![marked("1010", false)]), amount("10"));
    assert_eq!(day(vec![marked("1015", true)]), amount("5"));
    assert_eq!(day(vec![deposit("500"), marked("1520", false)]), amount("10"), "a deposit is no profit");
    assert_eq!(day(vec![deposit("100"), marked("1625", true)]), amount("5"));
}

#[test]
fn a_mark_values_net_positions_and_pending_fractions() {
    let mut book = bought();
    let mut prices = Prices::default();
    let unpriced = mark(&book, ACCOUNT, &prices, false).unwrap_err();
    assert_eq!(unpriced, MarkError::NoPrice { account: ACCOUNT.into(), symbol: SYMBOL.into() });
    prices.observe(SYMBOL, price("52"), 7);
    let body = mark(&book, ACCOUNT, &prices, true).unwrap();
    assert_eq!((body.equity, body.gross_exposure), (money("10198.75"), money("5200")));
    assert_eq!((body.unrealized_pnl, body.fees), (money("200"), money("1.25")));
    assert_eq!((body.prices.len(), body.session_start), (1, true));
    fold(&mut book, [Body::AccountMarked(body)]);
    assert_eq!(book.account(ACCOUNT).unwrap().gross_exposure(), Some(amount("5200")));
}

#[test]
fn a_price_from_before_a_split_is_restated_once() {
    let mut prices = Prices::default();
    prices.observe(SYMBOL, price("100"), 10);
    let ratio = SplitRatio::from_terms(4, 1).unwrap();
    prices.split(SYMBOL, ratio, 20);
    prices.split(SYMBOL, ratio, 20);
    let known = prices.get(SYMBOL).unwrap();
    assert_eq!((known.price, known.time_ns), (price("25"), 10), "it is no younger for the split");
    prices.observe(SYMBOL, price("26"), 30);
    prices.split(SYMBOL, ratio, 20);
    prices.observe(SYMBOL, price("1"), 5);
    assert_eq!(prices.get(SYMBOL).unwrap().price, price("26"));

    let mut book = bought();
    let body = mark(&book, ACCOUNT, &prices, false).unwrap();
    book.apply(5, &event(40, Body::AccountMarked(body))).unwrap();
    let mut seeded = Prices::default();
    seeded.seed(book.account(ACCOUNT).unwrap());
    seeded.split(SYMBOL, ratio, 40);
    assert_eq!(seeded.get(SYMBOL).unwrap().price, price("26"), "a mark at the split holds it already");
}

#[test]
fn halts_and_strategies_follow_their_controls() {
    let halted = |account: &str| {
        Body::TradingHalted(TradingHalted { account: account.into(), ..TradingHalted::default() })
    };
    let resumed = |account: &str| {
        Body::TradingResumed(TradingResumed { account: account.into(), ..TradingResumed::default() })
    };
    let mut book = book_of([configured(limits()), registered("10"), enabled(StrategyMode::Paper)]);
    assert!(!book.is_halted(ACCOUNT));
    fold(&mut book, [halted(""), halted(ACCOUNT)]);
    fold(&mut book, [resumed("")]);
    assert!(book.is_halted(ACCOUNT), "the account's own halt stays");
    fold(&mut book, [resumed(ACCOUNT)]);
    assert!(!book.is_halted(ACCOUNT));

    let strategy = book.strategy(STRATEGY).unwrap();
    assert!(strategy.enabled && strategy.registered && strategy.reads(SYMBOL, "1h"));
    let body = Body::StrategyDisabled(StrategyDisabled {
        strategy: STRATEGY.to_owned(),
        ..StrategyDisabled::default()
    });
    fold(&mut book, [body]);
    assert!(!book.strategy(STRATEGY).unwrap().enabled);

    // Removed and registered again it has to be enabled again.
    fold(&mut book, [enabled(StrategyMode::Paper)]);
    let body = Body::StrategyRemoved(StrategyRemoved {
        strategy: STRATEGY.to_owned(),
        ..StrategyRemoved::default()
    });
    fold(&mut book, [body, registered("10")]);
    let strategy = book.strategy(STRATEGY).unwrap();
    assert!(strategy.registered && !strategy.enabled && strategy.mode == StrategyMode::Unspecified);
}

#[test]
fn a_signal_waits_until_it_is_decided() {
    let signal = Signal {
        strategy: STRATEGY.to_owned(),
        legs: vec![SignalLeg { symbol: SYMBOL.to_owned(), ..SignalLeg::default() }],
        ..Signal::default()
    };
    let mut wire = event(1, Body::Signal(signal));
    wire.id = "signal-buy".to_owned();
    let mut book = Book::default();
    book.apply(1, &wire).unwrap();
    assert_eq!(book.pending_signals().count(), 1);
    assert_eq!(book.strategy(STRATEGY).unwrap().last_signal_ns, Some(1));
    let changes = book.apply(2, &event(2, approval(&spec("buy"), price("50")))).unwrap();
    assert_eq!((changes.signals, changes.orders), (vec!["signal-buy".to_owned()], vec!["buy".to_owned()]));
    assert!(book.pending_signal("signal-buy").is_none());
    assert_eq!(book.order("buy").unwrap().signal_id, "signal-buy");
}

#[test]
fn a_signal_under_the_id_of_anothers_takes_no_place() {
    let id = contracts::signal_id(STRATEGY, "bar", 0);
    let signal = |strategy: &str| {
        let body = Body::Signal(Signal { strategy: strategy.to_owned(), ..Signal::default() });
        Event { id: id.clone(), causation_id: "bar".to_owned(), ..event(1, body) }
    };
    for order in [[STRATEGY, "thief"], ["thief", STRATEGY]] {
        let mut book = Book::default();
        for (sequence, strategy) in (1..).zip(order) {
            book.apply(sequence, &signal(strategy)).unwrap();
        }
        let Some(Body::Signal(pending)) = &book.pending_signal(&id).unwrap().event.body else { panic!() };
        assert_eq!(pending.strategy, STRATEGY, "{order:?}");
    }
}

#[test]
fn signals_that_nobody_decides_do_not_gather_without_end() {
    let mut book = Book::default();
    let signal = |id: String| {
        let body = Body::Signal(Signal { strategy: "thief".to_owned(), ..Signal::default() });
        Event { id, causation_id: "bar".to_owned(), ..event(1, body) }
    };
    for sequence in 1..=300 {
        book.apply(sequence, &signal(format!("{sequence:032x}"))).unwrap();
    }
    assert_eq!(book.pending_signals().count(), 256);
    // What risk will decide waits all the same.
    for index in 0..2 {
        let id = contracts::signal_id("thief", "bar", index);
        book.apply(301 + u64::from(index), &signal(id.clone())).unwrap();
        assert!(book.pending_signal(&id).is_some());
    }
}

#[test]
fn exits_give_way_once_there_is_something_to_close_or_their_entry_goes_with_them() {
    let group = |order: OrderSpec| OrderSpec {
        group: GroupKind::Bracket.into(),
        group_id: "entry".to_owned(),
        ..order
    };
    let entry = group(spec("entry"));
    let stop = group(OrderSpec { parent_id: "entry".to_owned(), ..sell("stop", "100") });
    let decision = RiskDecision {
        account: ACCOUNT.to_owned(),
        strategy: STRATEGY.to_owned(),
        verdict: Verdict::Approved.into(),
        orders: vec![entry.clone(), stop.clone()],
        ..RiskDecision::default()
    };
    let goes =
        |book: &Book| book.protective_orders(ACCOUNT, STRATEGY, SYMBOL).any(|order| order.id() == "stop");
    let mut book = bought();
    fold(&mut book, [Body::RiskDecision(decision), submitted(&entry)]);
    assert!(!goes(&book), "it is not sent, and its entry has opened nothing");
    let mut outside = book.clone();
    let mut sent = submitted(&stop);
    if let Body::OrderSubmitted(body) = &mut sent {
        body.broker = "alpaca".to_owned();
    }
    fold(&mut outside, [sent]);
    assert!(goes(&outside), "its broker holds it with its entry");
    fold(&mut book, [submitted(&stop)]);
    assert!(!goes(&book), "the simulated broker holds nothing");
    let accepted = OrderAccepted { order_id: "stop".to_owned(), ..OrderAccepted::default() };
    fold(&mut book, [Body::OrderAccepted(accepted)]);
    assert!(!goes(&book), "it is worked, and its entry has opened nothing");
    fold(&mut book, [fill(&entry, 1, shares("40"), price("50"), "0")]);
    assert!(goes(&book));
}
