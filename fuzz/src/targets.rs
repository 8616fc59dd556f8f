//! What is fuzzed, as plain functions: the fuzzer calls them with bytes of its own, and an ordinary test of the
//! workspace (`tests/suites/corpora`) with the corpora that are kept in `fuzz/corpus`.
//!
//! A target panics when something does not hold. Deliberately absent: anything that needs a server.

use contracts::v1::OrderSpec;
use contracts::v1::event::Body;
use contracts::{ContentType, Subject};
use domain::money::{Amount, Price, Quantity};
use domain::order::{
    BrokerReport, BrokerTruth, Execution, OrderState, Rejection, Replacement, Standing, Terms, decide,
    reconcile,
};

/// One share, or one unit of the currency.
const E9: i64 = 1_000_000_000;

/// Any bytes as an event of either form: what is read is written and read again as it was.
pub fn event(data: &[u8]) {
    let Ok(event) = contracts::decode(data) else { return };
    let written = contracts::encode(&event);
    // A message of a later version may lose what is not known here, once.
    let again = contracts::decode_as(ContentType::Protobuf, &written).expect("what was written can be read");
    assert_eq!(contracts::encode(&again), written);
    let mut hash = contracts::ChainHash::default();
    hash.add(&event);
    let _ = hash.finish();
    for subject in [
        "signal.mine.SPY",
        "control.trading.all.killed",
        "control.limits.%.mine.BRK%2EB",
        "order.paper.mine.SPY.1.accepted",
        "fill.paper.mine.SPY.1.1",
        "account.paper.marked",
    ] {
        let _ = contracts::admit(subject, &event);
    }
    // An event is of one subject alone.
    if let Some(own) = Subject::for_event(&event, None) {
        let other = format!("{own}.other");
        assert!(
            contracts::stream_of(&other) != Some(contracts::stream::TRADING)
                || other.starts_with("signal.")
                || contracts::admit(&other, &event).is_err()
        );
    }
}

/// Any text as the proto3-JSON form: what is read is written as JSON that reads the same.
pub fn json(data: &[u8]) {
    let Ok(event) = contracts::decode_as(ContentType::Json, data) else { return };
    let text = contracts::to_json(&event).expect("an event has a JSON form");
    let again =
        contracts::decode_as(ContentType::Json, text.as_bytes()).expect("what was written can be read");
    assert_eq!(contracts::encode(&again), contracts::encode(&event), "{text}");
}

/// Any text as a subject, and its tokens as symbols: escaping is undone by unescaping, and a filter made of a subject
/// covers it.
pub fn subject(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let escaped = contracts::escape(text);
    assert_eq!(contracts::unescape(&escaped), text);
    let _ = contracts::unescape(text);
    let _ = contracts::stream_of(text);
    let (filter, rest) = text.split_once('\n').unwrap_or((text, text));
    let well_formed = event_log::is_well_formed(filter);
    let covers = event_log::covers(filter, rest);
    if let Ok(subject) = Subject::parse(text) {
        assert!(event_log::covers(">", subject.as_str()));
        assert!(event_log::covers(subject.as_str(), subject.as_str()) || subject.as_str().contains('>'));
        let tokens: Vec<String> = subject.tokens().collect();
        let made = Subject::of(&tokens.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(made.tokens().collect::<Vec<_>>(), tokens);
    }
    let _ = (well_formed, covers);
    if !text.is_empty() {
        let of_symbol = Subject::bar("1h", text);
        assert!(event_log::covers("market.bar.*.*", of_symbol.as_str()), "{of_symbol}");
        assert_eq!(of_symbol.tokens().nth(3).as_deref(), Some(text));
    }
}

/// Any sequence of a broker's reports on one order, of what it says of the order as a whole, and of requests to it:
/// refused or folded. What is filled is what the executions come to and never more than ordered, an order that is over
/// stays over unless the broker works it again, and the same report twice adds nothing.
pub fn broker(data: &[u8]) {
    let mut bytes = data.iter().copied();
    let mut number = || bytes.next().map(i64::from);
    let ordered = Quantity((number().unwrap_or(100) + 1) * E9);
    let mut order = OrderState::approved(ordered_by(ordered), Price(E9), 0);
    let mut sequence = 1;
    if let Ok(Some(body)) = decide::submit(&order, "fuzz") {
        order.evolve(sequence, 0, &body).expect("an approved order can be submitted");
    }
    while let Some(kind) = number() {
        let value = number().unwrap_or(1);
        // Zero, negative and too large ones too.
        let parts = |of: i64| Quantity((of - 8) * ordered.0 / 32);
        let reason = format!("reason {value}");
        let broker_order_id = format!("b-{value}");
        let execution_id = |place: i64| format!("e-{}", (value + place) % 16);
        let mut execution = |place: i64| Execution {
            execution_id: execution_id(place),
            quantity: parts(value),
            price: Price((number().unwrap_or(1) - 2) * E9),
            commission: Amount(i128::from(value)),
            slippage: Price(value),
            executed_ns: value,
            ambiguous: value % 2 == 0,
        };
        let report = match kind % 20 {
            0 => BrokerReport::Accepted { broker_order_id },
            1 => BrokerReport::Rejected { reason },
            2 => BrokerReport::Cancelled { reason },
            3 => BrokerReport::CancelRejected { reason },
            4 => BrokerReport::Expired { reason },
            5 => BrokerReport::Suspended { reason },
            6 => BrokerReport::Triggered { stop: Price(value * E9), at_ns: value },
            7 => BrokerReport::Trailed { extreme: Price(value * E9), stop: Price((value - 1) * E9) },
            8 => BrokerReport::Replaced(terms(&order, value, parts(number().unwrap_or(40)))),
            9 => BrokerReport::ReplaceRejected { reason },
            10 => {
                BrokerReport::Corrected { correction_id: format!("c-{}", value % 8), execution: execution(0) }
            }
            11 => {
                let correction_id = format!("x-{}", value % 8);
                BrokerReport::Busted { correction_id, execution_id: execution_id(0), reason }
            }
            12 => BrokerReport::Reopened { broker_order_id },
            13 => {
                let doing = match value % 3 {
                    0 => "submit",
                    1 => "cancel",
                    _ => "replace",
                };
                BrokerReport::Unresolved { doing, problem: reason }
            }
            14 => {
                let executions = (0..value % 4).map(&mut execution).collect();
                for report in reconcile(&order, &truth(&order, value, ordered, executions)) {
                    fold_report(&mut order, &mut sequence, &report);
                }
                continue;
            }
            15 => {
                let decided = decide::request_cancel(&order, "fuzz", &reason);
                fold(&mut order, &mut sequence, decided);
                continue;
            }
            16 => {
                ask(&mut order, parts(number().unwrap_or(40)));
                let decided = decide::request_replace(&order, "fuzz");
                fold(&mut order, &mut sequence, decided);
                continue;
            }
            _ => BrokerReport::Filled(execution(0)),
        };
        fold_report(&mut order, &mut sequence, &report);
    }
}

fn ordered_by(quantity: Quantity) -> OrderSpec {
    OrderSpec {
        order_id: "o".to_owned(),
        account: "paper".to_owned(),
        strategy: "s".to_owned(),
        symbol: "SPY".to_owned(),
        side: contracts::v1::Side::Buy.into(),
        order_type: contracts::v1::OrderType::StopLimit.into(),
        time_in_force: contracts::v1::TimeInForce::Day.into(),
        quantity_e9: quantity.0,
        limit_price_e9: Some(100 * E9),
        stop_price_e9: Some(99 * E9),
        ..OrderSpec::default()
    }
}

/// Terms under an id of the order's chain, or under one that is not ours.
fn terms(order: &OrderState, value: i64, quantity: Quantity) -> Terms {
    let client_order_id = match value % 6 {
        0 => order.client_order_id.clone(),
        5 => format!("foreign-{value}"),
        revision => contracts::client_order_id_of(order.id(), u32::try_from(revision).unwrap_or_default()),
    };
    Terms {
        client_order_id,
        broker_order_id: format!("b-{value}"),
        quantity,
        limit: (value % 2 == 0).then_some(Price(value * E9)),
        stop: (value % 3 == 0).then_some(Price(value * E9)),
    }
}

/// What a broker says of the whole order; it need not agree with what it said before.
fn truth(order: &OrderState, value: i64, quantity: Quantity, executions: Vec<Execution>) -> BrokerTruth {
    let reason = format!("reason {value}");
    let Terms { client_order_id, broker_order_id, quantity, limit, stop } = terms(order, value, quantity);
    let standing = match value % 7 {
        0 => Standing::Suspended(reason),
        1 => Standing::Filled,
        2 => Standing::Cancelled(reason),
        3 => Standing::Expired(reason),
        4 => Standing::Rejected(reason),
        _ => Standing::Working,
    };
    BrokerTruth { client_order_id, broker_order_id, standing, quantity, limit, stop, executions }
}

/// Risk approves new terms.
fn ask(order: &mut OrderState, quantity: Quantity) {
    if quantity.0 <= 0 || order.status.is_ended() {
        return;
    }
    let revision = order.last_revision().saturating_add(1);
    let spec = OrderSpec { quantity_e9: quantity.0, revision, ..order.spec.clone() };
    order.ask(Replacement::of(&spec, "decision"));
}

/// Folds a report; the same once more adds nothing.
fn fold_report(order: &mut OrderState, sequence: &mut u64, report: &BrokerReport) {
    let decided = decide::report(order, report);
    if fold(order, sequence, decided) {
        let again = decide::report(order, report);
        assert_eq!(again, Ok(None), "{report:?} twice: {order:?}");
    }
}

/// Folds what was decided, and holds the order against what it was; false where nothing was decided.
fn fold(order: &mut OrderState, sequence: &mut u64, decided: Result<Option<Body>, Rejection>) -> bool {
    let Ok(Some(body)) = decided else { return false };
    *sequence += 1;
    let before = order.clone();
    if order.evolve(*sequence, sequence.cast_signed(), &body).is_err() {
        assert_eq!(*order, before, "what is refused leaves the order as it was");
        return false;
    }
    let executed: i64 = order.executions.iter().map(|executed| executed.quantity.0).sum();
    assert_eq!(order.filled.0, executed, "{order:?}");
    assert!((0..=order.spec.quantity_e9).contains(&order.filled.0), "{order:?}");
    let restates = matches!(body, Body::FillCorrected(_) | Body::FillBusted(_));
    assert!(restates || order.filled >= before.filled, "{order:?}");
    let reopens = matches!(&body, Body::OrderAccepted(accepted) if accepted.reopened);
    assert!(reopens || !before.status.is_ended() || order.status.is_ended(), "{order:?}");
    true
}

/// Any bytes as what Alpaca says, in pairs of lines: an answer or a message of the stream, and a list of executions. What
/// they come to is folded as any broker's reports are.
pub fn alpaca(data: &[u8]) {
    let spec =
        OrderSpec { order_id: "0123456789abcdef01234567".to_owned(), ..ordered_by(Quantity(100 * E9)) };
    let mut order = OrderState::approved(spec, Price(E9), 0);
    let mut sequence = 0;
    let submitted = decide::submit(&order, "alpaca");
    assert!(fold(&mut order, &mut sequence, submitted), "an approved order can be submitted");
    let mut lines = data.split(|byte| *byte == b'\n');
    while let Some(message) = lines.next() {
        let listed = lines.next().unwrap_or_default();
        for report in alpaca::reports_of(&order, message, listed) {
            fold_report(&mut order, &mut sequence, &report);
        }
    }
}

/// Any bytes as a file of bars or of corporate actions: rows come out checked or rejected with their line.
pub fn history(data: &[u8]) {
    use history::file::{ReadOptions, load};
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("X.any");
    std::fs::write(&path, data).expect("the bytes are written");
    let Ok(loaded) = load("fuzz", &[path], &ReadOptions::default(), &history::Selection::default()) else {
        return;
    };
    for row in &loaded.rejected {
        assert!(row.line > 0 && !row.reason.is_empty(), "{row:?}");
    }
    for series in &loaded.data.series {
        let closes = series.close_ns.values();
        assert!(closes.windows(2).all(|pair| pair[0] < pair[1]), "bars are in the order of time, each once");
    }
}
