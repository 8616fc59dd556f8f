//! New terms, requests without an answer, amounts instead of shares, and an operator's orders before risk.

use contracts::MANUAL;
use contracts::v1::event::Body;
use contracts::v1::{
    Intent, OrderSpec, OrderType, RiskDecision, Side, Signal, SignalLeg, TimeInForce, Verdict,
};
use domain::book::Book;
use domain::calendar::Calendar;
use domain::money::Quantity;
use domain::order::{BrokerReport, Execution, OrderStage, OrderState, Phase, Terms, decide, phase};
use domain::risk;

use crate::support::{
    ACCOUNT, SYMBOL, amount, approval, at, configured, deposit, event, fill, limits, money, price, shares,
    spec, submitted,
};

const ID: &str = "order-1";

fn fold(book: &mut Book, bodies: impl IntoIterator<Item = Body>) {
    for body in bodies {
        let sequence = book.sequence() + 1;
        book.apply(sequence, &event(at("2024-06-11T15:00:00Z") + i64::try_from(sequence).unwrap(), body))
            .unwrap();
    }
}

fn report(book: &mut Book, order_id: &str, report: &BrokerReport) -> Option<Body> {
    let body = decide::report(book.order(order_id).unwrap(), report).unwrap();
    fold(book, body.clone());
    body
}

fn accepted() -> BrokerReport {
    BrokerReport::Accepted { broker_order_id: "b-0".to_owned() }
}

fn execution(id: &str, quantity: Quantity, at: &str) -> Execution {
    Execution {
        execution_id: id.to_owned(),
        quantity,
        price: price(at),
        commission: amount("0"),
        slippage: price("0"),
        executed_ns: 1,
        ambiguous: false,
    }
}

fn limit(quantity: &str, at: &str) -> OrderSpec {
    OrderSpec {
        order_type: contracts::v1::OrderType::Limit.into(),
        limit_price_e9: Some(price(at).0),
        quantity_e9: shares(quantity).0,
        ..spec(ID)
    }
}

/// A book whose order of 100 at 50 the broker works.
fn working() -> Book {
    let mut book = Book::default();
    fold(
        &mut book,
        [deposit("100000"), approval(&limit("100", "50"), price("50")), submitted(&limit("100", "50"))],
    );
    report(&mut book, ID, &accepted());
    book
}

/// Risk's approval of new terms.
fn approve_terms(quantity: &str, at: &str) -> Body {
    let spec = OrderSpec { revision: 1, ..limit(quantity, at) };
    Body::RiskDecision(RiskDecision {
        account: ACCOUNT.to_owned(),
        strategy: MANUAL.to_owned(),
        signal_id: "replace-1".to_owned(),
        verdict: Verdict::Approved.into(),
        orders: vec![spec],
        ..RiskDecision::default()
    })
}

#[test]
fn new_terms_go_from_risk_over_an_intent_to_the_broker_and_the_ids_are_a_chain() {
    let mut book = working();
    fold(&mut book, [approve_terms("150", "49")]);
    let order = book.order(ID).unwrap();
    assert_eq!((phase(order), order.stage()), (Phase::MustReplace, OrderStage::ReplaceRequested));
    assert_eq!(order.reserved_shares(), shares("150"), "the larger of the two counts against limits");
    let body = decide::request_replace(order, "execution").unwrap().unwrap();
    fold(&mut book, [body]);
    assert_eq!(
        decide::request_replace(book.order(ID).unwrap(), "execution"),
        Ok(None),
        "the intent stands once"
    );
    // Shares of the old terms fill while the broker changes them.
    report(&mut book, ID, &BrokerReport::Filled(execution("e-1", shares("30"), "50")));
    let terms = Terms {
        client_order_id: "td-order-1-r1".to_owned(),
        broker_order_id: "b-1".to_owned(),
        quantity: shares("150"),
        limit: Some(price("49")),
        stop: None,
    };
    report(&mut book, ID, &BrokerReport::Replaced(terms.clone()));
    let order = book.order(ID).unwrap();
    assert_eq!((order.remaining(), order.spec.revision), (shares("120"), 1));
    assert_eq!(order.client_order_id, "td-order-1-r1");
    let chain: Vec<_> =
        order.chain.iter().map(|link| (link.revision, link.broker_order_id.as_str())).collect();
    assert_eq!(chain, [(0, "b-0")]);
    assert_eq!(
        decide::report(order, &BrokerReport::Replaced(terms)),
        Ok(None),
        "said twice it is one revision"
    );
    // A fill under the old id that comes late is one of the same order.
    report(&mut book, ID, &BrokerReport::Filled(execution("e-2", shares("120"), "49")));
    assert_eq!(book.order(ID).unwrap().stage(), OrderStage::Filled);
}

#[test]
fn new_terms_of_an_order_that_filled_meanwhile_are_void() {
    let mut book = working();
    fold(&mut book, [approve_terms("150", "49")]);
    report(&mut book, ID, &BrokerReport::Filled(execution("e-1", shares("100"), "50")));
    let order = book.order(ID).unwrap();
    assert_eq!(phase(order), Phase::MustForgo);
    let body = decide::refuse_replace(order, "the order is filled already").unwrap().unwrap();
    fold(&mut book, [body]);
    assert_eq!(phase(book.order(ID).unwrap()), Phase::Done);
}

#[test]
fn a_request_without_an_answer_is_unknown_until_there_is_one() {
    let mut book = Book::default();
    fold(&mut book, [deposit("100000"), approval(&spec(ID), price("50")), submitted(&spec(ID))]);
    let silence = BrokerReport::Unresolved { doing: "submit", problem: "timeout".to_owned() };
    assert!(report(&mut book, ID, &silence).is_some());
    let order = book.order(ID).unwrap();
    assert_eq!((order.stage(), phase(order)), (OrderStage::Unknown, Phase::MustAsk));
    assert_eq!(decide::report(order, &silence), Ok(None), "said twice it is one event");
    report(&mut book, ID, &accepted());
    assert_eq!(book.order(ID).unwrap().stage(), OrderStage::Accepted);
}

#[test]
fn an_amount_is_filled_in_fractions() {
    let amount_spec =
        OrderSpec { notional_e9: Some(price("1000").0), quantity_e9: shares("20").0, ..spec(ID) };
    let mut state = OrderState::approved(amount_spec.clone(), price("50"), 1);
    state.evolve(1, 1, &submitted(&amount_spec)).unwrap();
    let fill = |state: &OrderState, id: &str, quantity: &str, at: &str| {
        decide::report(state, &BrokerReport::Filled(execution(id, shares(quantity), at)))
    };
    assert!(fill(&state, "e-0", "21", "50").is_err(), "never more than the amount");
    let first = fill(&state, "e-1", "10", "51").unwrap().unwrap();
    state.evolve(2, 2, &first).unwrap();
    assert_eq!(state.unspent(), Some(amount("490")));
    let last = fill(&state, "e-2", "9.607843137", "51").unwrap().unwrap();
    state.evolve(3, 3, &last).unwrap();
    assert_eq!(state.stage(), OrderStage::Filled);
}

fn marked() -> Body {
    Body::AccountMarked(contracts::v1::AccountMarked {
        account: ACCOUNT.to_owned(),
        equity: money("100000"),
        cash: money("100000"),
        ..contracts::v1::AccountMarked::default()
    })
}

fn manual(leg: SignalLeg) -> Signal {
    Signal { strategy: MANUAL.to_owned(), account: ACCOUNT.to_owned(), legs: vec![leg], ..Signal::default() }
}

fn leg(intent: Intent, quantity: Option<&str>) -> SignalLeg {
    SignalLeg {
        symbol: SYMBOL.to_owned(),
        intent: intent.into(),
        quantity_e9: quantity.map(|quantity| shares(quantity).0),
        ..SignalLeg::default()
    }
}

fn decide_manual(book: &Book, leg: SignalLeg) -> RiskDecision {
    let now_ns = at("2024-06-11T15:00:10Z");
    let mut prices = domain::book::Prices::default();
    prices.observe(SYMBOL, price("50"), now_ns);
    let signal = manual(leg);
    let view = risk::view(book, &prices, Calendar::xnys(), &signal, now_ns, "");
    risk::decide("signal-m", &signal, &view)
}

#[test]
fn an_operators_order_passes_the_same_checks_and_is_manuals() {
    let mut book = Book::default();
    fold(&mut book, [configured(limits()), deposit("100000"), marked()]);
    let bought = decide_manual(&book, leg(Intent::Buy, Some("10")));
    assert_eq!((bought.rule.as_str(), bought.reason.as_str()), ("", ""));
    assert_eq!((bought.orders[0].strategy.as_str(), bought.orders[0].quantity_e9), (MANUAL, shares("10").0));
    assert_eq!(decide_manual(&book, leg(Intent::Buy, Some("100000"))).verdict(), Verdict::Denied);
    let unsized_leg = decide_manual(&book, leg(Intent::Buy, None));
    assert_eq!(unsized_leg.rule, "invalid_signal");
    let amount = SignalLeg { notional_e9: Some(price("500").0), ..leg(Intent::Buy, None) };
    let for_amount = decide_manual(&book, amount.clone());
    assert_eq!(
        (for_amount.orders[0].notional_e9, for_amount.orders[0].quantity_e9),
        (Some(price("500").0), shares("10").0)
    );
    for (time_in_force, limit, words) in [
        (
            TimeInForce::Gtc,
            None,
            "amount is stated for a gtc market order, expected a market order for the day",
        ),
        (
            TimeInForce::Day,
            Some("50"),
            "amount is stated for a day limit order, expected a market order for the day",
        ),
    ] {
        let order_type = if limit.is_some() { OrderType::Limit } else { OrderType::Market };
        let other = SignalLeg {
            time_in_force: time_in_force.into(),
            order_type: order_type.into(),
            limit_price_e9: limit.map(|limit| price(limit).0),
            ..amount.clone()
        };
        let denied = decide_manual(&book, other);
        assert_eq!((denied.rule.as_str(), denied.reason.as_str()), ("invalid_signal", words));
    }
    let target = SignalLeg { take_profit_price_e9: Some(price("60").0), ..amount.clone() };
    let stop = SignalLeg { stop_loss_price_e9: Some(price("40").0), ..amount.clone() };
    for (leg, field) in [(target, "take profit price is 60"), (stop, "stop loss price is 40")] {
        let denied = decide_manual(&book, leg);
        let reason =
            format!("{field}, expected none beside an amount, because exits close a number of shares");
        assert_eq!((denied.rule.as_str(), denied.reason), ("invalid_signal", reason));
    }
    let hours = SignalLeg { extended_hours: true, ..leg(Intent::Buy, Some("10")) };
    assert_eq!(decide_manual(&book, hours).rule, "invalid_signal", "extended hours want a limit");
    let short = decide_manual(&book, leg(Intent::Sell, Some("10")));
    assert_eq!(short.rule, "short_not_allowed");
}

#[test]
fn exits_by_hand_are_for_what_opens() {
    let with_exits = |side: Intent, quantity: &str, (profit, loss): (Option<&str>, Option<&str>)| SignalLeg {
        take_profit_price_e9: profit.map(|profit| price(profit).0),
        stop_loss_price_e9: loss.map(|loss| price(loss).0),
        ..leg(side, Some(quantity))
    };
    let (above, below) = ((Some("60"), Some("40")), (Some("40"), Some("60")));
    let (long, short) = (Intent::Buy, Intent::Sell);
    for (held_side, held, against, along) in
        [(long, "20", (short, below, "sells"), above), (short, "-20", (long, above, "buys"), below)]
    {
        let mut book = Book::default();
        let both_ways = contracts::v1::RiskLimits { allow_short: true, ..limits() };
        fold(&mut book, [configured(both_ways), deposit("100000"), marked()]);
        let side = if held_side == long { Side::Buy } else { Side::Sell };
        let opened = OrderSpec {
            strategy: MANUAL.to_owned(),
            side: side.into(),
            quantity_e9: shares("20").0,
            ..spec(ID)
        };
        fold(&mut book, [submitted(&opened), fill(&opened, 1, shares("20"), price("50"), "0")]);
        // One that goes beyond the position is refused as a whole.
        let (side, exits, trades) = against;
        for quantity in ["5", "20", "25"] {
            let denied = decide_manual(&book, with_exits(side, quantity, exits));
            let (target, _) = exits;
            let reason = format!(
                "take profit price is {}, expected none, because exits are for an order that opens a position or \
                 adds to it; this one {trades} {quantity} while {held} are held",
                target.unwrap()
            );
            assert_eq!((denied.rule.as_str(), denied.reason), ("invalid_signal", reason));
            assert!(denied.orders.is_empty());
        }
        let (_, stop) = exits;
        let denied = decide_manual(&book, with_exits(side, "5", (None, stop)));
        assert!(denied.reason.starts_with("stop loss price is "), "{}", denied.reason);
        // What adds to the position keeps its exits, and what reduces it passes without.
        let more = decide_manual(&book, with_exits(held_side, "5", along));
        assert_eq!((more.reason.as_str(), more.orders.len()), ("", 3));
        let less = decide_manual(&book, leg(side, Some("5")));
        assert_eq!((less.reason.as_str(), less.orders.len()), ("", 1));
        assert!(less.orders[0].reducing);
    }
}

#[test]
fn parts_of_a_share_are_refused_with_the_reason() {
    let mut book = Book::default();
    let short = contracts::v1::RiskLimits { allow_short: true, ..limits() };
    fold(&mut book, [configured(short), deposit("100000"), marked()]);
    assert_eq!(decide_manual(&book, leg(Intent::Buy, Some("1.5"))).verdict(), Verdict::Approved);
    let until = |leg: SignalLeg| SignalLeg { time_in_force: TimeInForce::Gtc.into(), ..leg };
    for (wrong, rule, because) in [
        (
            until(leg(Intent::Buy, Some("1.5"))),
            "invalid_signal",
            "parts of a share work for the day alone and do not trail",
        ),
        (leg(Intent::Sell, Some("1.5")), "short_not_allowed", "parts of a share cannot be sold short"),
    ] {
        let denied = decide_manual(&book, wrong);
        let reason = format!("quantity is 1.5, expected a whole number of shares, because {because}");
        assert_eq!((denied.rule.as_str(), denied.reason), (rule, reason));
    }
    // Exits work until cancelled.
    let exits = SignalLeg { stop_loss_price_e9: Some(price("40").0), ..leg(Intent::Buy, Some("1.5")) };
    let denied = decide_manual(&book, exits);
    let reason =
        "stop loss price is 40, expected none beside parts of a share, because exits work until cancelled";
    assert_eq!((denied.rule.as_str(), denied.reason.as_str()), ("invalid_signal", reason));
    // Nor does a whole number leave a short position of parts behind.
    let half = OrderSpec { strategy: MANUAL.to_owned(), quantity_e9: shares("0.5").0, ..spec(ID) };
    fold(&mut book, [submitted(&half), fill(&half, 1, shares("0.5"), price("50"), "0")]);
    let denied = decide_manual(&book, leg(Intent::Sell, Some("1")));
    let reason = "the position would be -0.5 shares, expected a whole number, because parts of a share cannot be sold \
                  short";
    assert_eq!((denied.rule.as_str(), denied.reason.as_str()), ("short_not_allowed", reason));
    let closes = decide_manual(&book, leg(Intent::Sell, Some("0.5")));
    assert!(closes.orders[0].reducing, "{}", closes.reason);
}

/// A book whose operator traded so many shares and holds them.
fn holding(side: Side, quantity: &str) -> Book {
    let mut book = Book::default();
    let short = contracts::v1::RiskLimits { allow_short: true, ..limits() };
    let quantity_e9 = shares(quantity).0;
    let order = OrderSpec { strategy: MANUAL.to_owned(), side: side.into(), quantity_e9, ..spec(ID) };
    let traded = fill(&order, 1, shares(quantity), price("50"), "0");
    fold(&mut book, [configured(short), deposit("100000"), marked(), submitted(&order), traded]);
    book
}

#[test]
fn no_parts_of_a_share_are_left_short() {
    let mut book = holding(Side::Sell, "10");
    let reason = "the position would be -9.5 shares, expected a whole number, because parts of a share cannot be sold \
                  short";
    for intent in [Intent::Buy, Intent::Exit, Intent::EnterLong] {
        let denied = decide_manual(&book, leg(intent, Some("0.5")));
        assert_eq!((denied.rule.as_str(), denied.reason.as_str()), ("short_not_allowed", reason));
    }
    for (quantity, reducing) in [("3", true), ("10", true), ("10.5", false)] {
        let bought = decide_manual(&book, leg(Intent::Buy, Some(quantity)));
        assert_eq!(bought.orders.first().map(|order| order.reducing), Some(reducing), "{}", bought.reason);
    }
    // Nor where another order is to buy the rest back: it may never fill.
    let rest = OrderSpec { order_id: "order-2".to_owned(), strategy: MANUAL.to_owned(), ..limit("10", "46") };
    fold(&mut book, [approval(&rest, price("50")), submitted(&rest)]);
    let denied = decide_manual(&book, leg(Intent::Buy, Some("0.5")));
    assert_eq!((denied.rule.as_str(), denied.reason.as_str()), ("short_not_allowed", reason));
    // Parts that are short already are bought back, all of them or in whole shares.
    let book = holding(Side::Sell, "9.5");
    for quantity in ["0.5", "4", "9.5"] {
        let bought = decide_manual(&book, leg(Intent::Buy, Some(quantity)));
        assert_eq!(bought.verdict(), Verdict::Approved, "{}", bought.reason);
    }
    assert_eq!(decide_manual(&book, leg(Intent::Exit, None)).verdict(), Verdict::Approved);
}

#[test]
fn an_amount_neither_opens_a_short_position_nor_covers_one() {
    let amount = |intent, text| SignalLeg { notional_e9: Some(price(text).0), ..leg(intent, None) };
    let denied = |book: &Book, leg, held: &str| {
        let denied = decide_manual(book, leg);
        let reason = format!(
            "the order is for an amount while {held} are held, expected a number of shares, because it would leave \
             parts of a share sold short"
        );
        assert_eq!((denied.rule.as_str(), denied.reason), ("short_not_allowed", reason));
    };
    let long = holding(Side::Buy, "10");
    let sold = decide_manual(&long, amount(Intent::Sell, "500"));
    let order = sold.orders.first().unwrap();
    assert_eq!((order.quantity_e9, order.reducing), (shares("10").0, true));
    denied(&long, amount(Intent::Sell, "600"), "10");
    let short = holding(Side::Sell, "10");
    for text in ["250", "500", "600"] {
        denied(&short, amount(Intent::Buy, text), "-10");
    }
}
