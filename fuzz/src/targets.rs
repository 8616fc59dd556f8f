//! What is fuzzed, as plain functions: the fuzzer calls them with bytes of its own, and an ordinary test of the
//! workspace (`tests/suites/corpora`) with the corpora that are kept in `fuzz/corpus`.
//!
//! A target panics when something does not hold. Deliberately absent: anything that needs a server.

use contracts::v1::OrderSpec;
use contracts::v1::event::Body;
use contracts::{ContentType, Subject};
use domain::money::{Amount, Price, Quantity};
use domain::order::{BrokerReport, Execution, OrderState, decide};

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

/// Any sequence of a broker's reports on one order: refused or folded, never more filled than ordered, and an order
/// that is over stays over.
pub fn broker(data: &[u8]) {
    let mut bytes = data.iter().copied();
    let mut number = || bytes.next().map(i64::from);
    let ordered = Quantity((number().unwrap_or(100) + 1) * 1_000_000_000);
    let spec = OrderSpec {
        order_id: "o".to_owned(),
        account: "paper".to_owned(),
        strategy: "s".to_owned(),
        symbol: "SPY".to_owned(),
        side: contracts::v1::Side::Buy.into(),
        order_type: contracts::v1::OrderType::Market.into(),
        time_in_force: contracts::v1::TimeInForce::Day.into(),
        quantity_e9: ordered.0,
        ..OrderSpec::default()
    };
    let mut order = OrderState::approved(spec, Price(1_000_000_000), 0);
    let mut sequence = 1;
    if let Ok(Some(body)) = decide::submit(&order, "fuzz") {
        order.evolve(sequence, 0, &body).expect("an approved order can be submitted");
    }
    let mut ended = false;
    while let Some(kind) = number() {
        let value = number().unwrap_or(1);
        let reason = format!("reason {value}");
        let report = match kind % 8 {
            0 => BrokerReport::Accepted { broker_order_id: format!("b-{value}") },
            1 => BrokerReport::Rejected { reason },
            2 => BrokerReport::Cancelled { reason },
            3 => BrokerReport::CancelRejected { reason },
            4 => BrokerReport::Expired { reason },
            5 => BrokerReport::Suspended { reason },
            _ => BrokerReport::Filled(Execution {
                execution_id: format!("e-{}", value % 16),
                // Zero, negative and too large ones too.
                quantity: Quantity((value - 8) * ordered.0 / 32),
                price: Price((number().unwrap_or(1) - 2) * 1_000_000_000),
                commission: Amount(i128::from(value)),
                slippage: Price(value),
                executed_ns: value,
                ambiguous: value % 2 == 0,
            }),
        };
        let Ok(Some(body)) = decide::report(&order, &report) else { continue };
        sequence += 1;
        let before = order.clone();
        let fills = matches!(body, Body::Fill(_));
        if order.evolve(sequence, sequence.cast_signed(), &body).is_err() {
            assert_eq!(order, before, "a refused report leaves the order as it was");
            continue;
        }
        assert!(order.filled.0 >= before.filled.0 && order.filled.0 <= ordered.0, "{order:?}");
        assert!(!ended || order.status.is_ended() || fills, "{order:?}");
        ended = order.status.is_ended();
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
