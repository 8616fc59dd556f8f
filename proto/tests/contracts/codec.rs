//! Protobuf and proto3-JSON, there and back.

use contracts::v1::event::Body;
use contracts::v1::{Bar, Basis, Event, Fill, IndicatorValue, Instant, Money, Signal, SignalLeg};
use contracts::{ContentType, DecodeError, decode, decode_as, encode, from_timestamp, to_json, to_timestamp};
use proptest::prelude::*;

prop_compose! {
    fn bars()(
        symbol in any::<String>(),
        open_e9 in any::<i64>(),
        volume_e3 in any::<i64>(),
        start_ns in any::<i64>(),
        origin in 0..5_i32,
        vwap_e9 in any::<Option<i64>>(),
    ) -> Body {
        let start = Some(to_timestamp(start_ns));
        Body::Bar(Bar { symbol, open_e9, volume_e3, start, origin, vwap_e9, ..Bar::default() })
    }
}

prop_compose! {
    fn signals()(
        strategy in any::<String>(),
        symbols in prop::collection::vec(any::<String>(), 0..3),
        // Of few digits: without its feature `float_roundtrip` serde_json reads a double of sixteen digits
        // to within one unit in the last place.
        value in any::<i16>().prop_map(|value| f64::from(value) / 8.0),
        reason in any::<String>(),
    ) -> Body {
        let legs = symbols.into_iter().map(|symbol| SignalLeg { symbol, ..SignalLeg::default() }).collect();
        let indicators = vec![IndicatorValue { name: "sma".into(), value }];
        Body::Signal(Signal { strategy, legs, indicators, reason, ..Signal::default() })
    }
}

prop_compose! {
    fn fills()(quantity_e9 in any::<i64>(), units in any::<i64>(), nanos in any::<i32>()) -> Body {
        let commission = Some(Money { units, nanos });
        Body::Fill(Fill { quantity_e9, commission, ..Fill::default() })
    }
}

prop_compose! {
    fn events()(
        id in "[!-~]{1,64}",
        time_ns in any::<i64>(),
        source in any::<String>(),
        basis in prop::collection::vec((any::<String>(), any::<u64>()), 0..3),
        place in any::<Option<(u32, u32, u64)>>(),
        body in prop_oneof![bars(), signals(), fills()],
    ) -> Event {
        Event {
            id,
            event_time: Some(to_timestamp(time_ns)),
            source,
            basis: basis.into_iter().map(|(stream, sequence)| Basis { stream, sequence }).collect(),
            instant: place.map(|(position, size, trading_sequence)| Instant { position, size, trading_sequence }),
            body: Some(body),
            ..Event::default()
        }
    }
}

proptest! {
    #[test]
    fn an_event_survives_both_forms(event in events()) {
        let bytes = encode(&event);
        prop_assert_eq!(&decode_as(ContentType::Protobuf, &bytes).unwrap(), &event);
        prop_assert_eq!(&decode(&bytes).unwrap(), &event);
        let json = to_json(&event).unwrap();
        prop_assert_eq!(&decode_as(ContentType::Json, json.as_bytes()).unwrap(), &event);
        prop_assert_eq!(&decode(json.as_bytes()).unwrap(), &event);
        prop_assert!(!json.contains('\n'));
    }

    #[test]
    fn nonsense_is_an_error_and_never_a_panic(payload in prop::collection::vec(any::<u8>(), 0..200)) {
        // A random payload may decode by chance, but then into an event that has an id and a body.
        if let Ok(event) = decode(&payload) {
            prop_assert!(!event.id.is_empty() && event.body.is_some());
        }
    }

    #[test]
    fn a_nanosecond_survives(ns in any::<i64>()) {
        let stamp = to_timestamp(ns);
        prop_assert!((0..1_000_000_000).contains(&stamp.nanos));
        prop_assert_eq!(from_timestamp(&stamp), Some(ns));
    }
}

fn valid() -> Event {
    Event { id: "1".into(), body: Some(Body::Bar(Bar::default())), ..Event::default() }
}

#[test]
fn an_event_needs_an_id_and_a_body() {
    assert!(decode(&encode(&valid())).is_ok());
    for id in ["", "a b", "ä", "a\n", &"x".repeat(65)] {
        let error = decode(&encode(&Event { id: id.into(), ..valid() })).unwrap_err();
        assert!(matches!(error, DecodeError::Field { field: "id", .. }), "{error}");
    }
    let error = decode(&encode(&Event { body: None, ..valid() })).unwrap_err();
    assert_eq!(error.to_string(), "field `body`: missing or of an unknown type");
}

#[test]
fn json_errors_name_field_value_and_expectation() {
    for (json, expected) in [
        (
            r#"{"id":"1","bar":{"openE9":"twelve"}}"#,
            r#"field `bar.openE9`: "twelve", expected a whole number"#,
        ),
        (
            r#"{"id":"1","signal":{"legs":[{"symbol":"SPY"},{"symbol":7}]}}"#,
            "field `signal.legs[1].symbol`: 7, expected a string",
        ),
        (
            r#"{"id":"1","signal":{"legs":[{"quantityE9":"99999999999999999999"}]}}"#,
            r#"field `signal.legs[0].quantityE9`: "99999999999999999999", expected a whole number that fits its type"#,
        ),
        (
            r#"{"id":"1","signal":{"indicators":[{"value":{}}]}}"#,
            "field `signal.indicators[0].value`: {}, expected a number",
        ),
        (
            r#"{"id":"1","eventTime":"yesterday","bar":{}}"#,
            r#"field `eventTime`: "yesterday", expected an RFC 3339 time such as "2026-01-02T15:00:00Z""#,
        ),
        (
            r#"{"id":"1","fill":{"side":"SIDE_UP"}}"#,
            r#"field `fill.side`: "SIDE_UP", expected one of `SIDE_UNSPECIFIED`, `SIDE_BUY`, `SIDE_SELL`"#,
        ),
        (r#"{"id":"1","signal":5}"#, "field `signal`: 5, expected struct tapedeck.v1.Signal"),
    ] {
        let message = decode(json.as_bytes()).unwrap_err().to_string();
        let (message, place) = message.rsplit_once(" (line 1, column ").unwrap();
        assert_eq!(message, format!("not a proto3-JSON tapedeck.v1.Event: {expected}"));
        assert!(place.trim_end_matches(')').parse::<usize>().is_ok(), "{place}");
    }
    let message = decode(br#"{"id":"1","bar":{"opening":"1"}}"#).unwrap_err().to_string();
    assert!(
        message.contains("field `bar.opening`: not a field of the message, expected one of `"),
        "{message}"
    );
    for value in ["NaN", "Infinity", "1e999"] {
        let json =
            format!(r#"{{"id":"1","signal":{{"indicators":[{{"name":"a"}},{{"value":"{value}"}}]}}}}"#);
        assert_eq!(
            decode(json.as_bytes()).unwrap_err().to_string(),
            "not a proto3-JSON tapedeck.v1.Event: field `signal.indicators[1].value`: not finite, expected a finite number"
        );
    }
    assert!(decode(br#"{"id":"1""#).unwrap_err().to_string().contains("EOF"));
    assert!(decode(br#"{"id":"1"}"#).unwrap_err().to_string().contains("`body`"));
}

#[test]
fn a_time_is_written_in_utc_with_z() {
    for (ns, text) in [
        (0, "1970-01-01T00:00:00Z"),
        (1_700_000_000_123_000_000, "2023-11-14T22:13:20.123Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
    ] {
        let json = to_json(&Event { event_time: Some(to_timestamp(ns)), ..valid() }).unwrap();
        assert!(json.contains(&format!("\"eventTime\":\"{text}\"")), "{json}");
    }
    let event = decode(br#"{"id":"1","bar":{},"eventTime":"2024-05-01T02:00:00+02:00"}"#).unwrap();
    assert_eq!(event.event_time.and_then(|time| from_timestamp(&time)), Some(1_714_521_600_000_000_000));
}

#[test]
fn json_may_have_space_around_it_and_names_of_either_kind() {
    let json = "\n  {\"id\":\"1\",\"event_time\":\"2024-05-01T00:00:00Z\",\"bar\":{\"open_e9\":5}}\n";
    let event = decode(json.as_bytes()).unwrap();
    assert_eq!(event.event_time.and_then(|time| from_timestamp(&time)), Some(1_714_521_600_000_000_000));
    assert!(matches!(event.body, Some(Body::Bar(Bar { open_e9: 5, .. }))));
}

#[test]
fn the_header_decides_the_form() {
    for (header, expected) in [
        (None, ContentType::Protobuf),
        (Some("application/protobuf"), ContentType::Protobuf),
        (Some("application/json"), ContentType::Json),
        (Some(" application/json; charset=utf-8"), ContentType::Json),
    ] {
        assert_eq!(ContentType::from_header(header), expected);
    }
}

#[test]
fn times_out_of_range_are_none() {
    let stamp = |seconds| contracts::Timestamp { seconds, nanos: 0 };
    assert_eq!(from_timestamp(&stamp(i64::MAX)), None);
    assert_eq!(from_timestamp(&stamp(i64::MAX / 1_000_000_000 + 1)), None);
    assert_eq!(from_timestamp(&stamp(0)), Some(0));
}

#[test]
fn protobuf_that_looks_like_spaced_json_is_protobuf() {
    // A line feed is the id's tag and ten its length.
    let event = Event { id: "{Aaa0a0aa.".into(), ..valid() };
    assert_eq!(&encode(&event)[..3], b"\n\n{");
    assert_eq!(decode(&encode(&event)).unwrap(), event);
}
