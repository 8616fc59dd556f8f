//! Deterministic identity. The literal values are what tapes already hold: they must never change.

use std::collections::HashSet;

use contracts::{bar_id, client_order_id, event_id, order_id, signal_id};
use proptest::prelude::*;

#[test]
fn ids_are_what_they_always_were() {
    let ids = [
        event_id("cause", "risk", 0),
        bar_id("file", "BRK.B", "1h", 1_714_521_600_000_000_000),
        order_id("signal", 1),
        client_order_id(&order_id("signal", 1)),
    ];
    let always = [
        "9efe30f8b54789a76a35972bd67f7c10",
        "273354875995dea827a5cea428507e69",
        "0c1066642c0f550e395c2186",
        "td-0c1066642c0f550e395c2186",
    ];
    assert_eq!(ids, always);
}

#[test]
fn the_samples_for_other_languages_are_right() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/ids.json")).unwrap();
    let samples: serde_json::Value = serde_json::from_str(&text).unwrap();
    let samples = samples["signal_id"]["samples"].as_array().unwrap();
    assert!(samples.len() >= 3);
    for sample in samples {
        let word = |field: &str| sample[field].as_str().unwrap();
        let index = u32::try_from(sample["index"].as_u64().unwrap()).unwrap();
        assert_eq!(signal_id(word("strategy"), word("causation_id"), index), word("id"));
    }
}

#[test]
fn parts_do_not_run_into_each_other() {
    assert_ne!(event_id("ab", "c", 0), event_id("a", "bc", 0));
    assert_ne!(bar_id("ab", "c", "1h", 0), bar_id("a", "bc", "1h", 0));
    assert_ne!(order_id("x", 1), order_id("x", 2));
}

#[test]
fn a_thousand_signals_have_a_thousand_ids() {
    let ids: HashSet<String> = (0..1_000).map(|index| event_id("bar", "sma_cross", index)).collect();
    assert_eq!(ids.len(), 1_000);
}

proptest! {
    #[test]
    fn an_id_is_a_pure_function_of_its_cause(cause in any::<String>(), handler in any::<String>(), index: u32) {
        let id = event_id(&cause, &handler, index);
        prop_assert_eq!(&id, &event_id(&cause, &handler, index));
        prop_assert_eq!(id.len(), 32);
        prop_assert!(id.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase()));
        prop_assert_ne!(&id, &event_id(&cause, &handler, index.wrapping_add(1)));
    }

    #[test]
    fn a_client_order_id_fits_every_broker(signal in any::<String>(), leg: u32) {
        let id = client_order_id(&order_id(&signal, leg));
        prop_assert!(id.len() <= 48 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
    }
}
