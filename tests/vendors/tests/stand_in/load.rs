//! Streams under load: 500 symbols with a bar a second and 5,000 quotes a second, counted at both ends.
//!
//! `TAPEDECK_VENDORS_SECONDS` makes it last longer; ten minutes is what an adapter must stand.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tapedeck_vendors::ledger::Vendor;
use tapedeck_vendors::market::{Adjustment, Anchor, Script, Timeframe};

use super::{Socket, start};

const SYMBOLS: usize = 500;
/// A minute of the market in a second.
const PACE: u64 = 60;

#[expect(clippy::disallowed_methods, reason = "a test has no other way to be told how long to last")]
fn seconds() -> u64 {
    let given = std::env::var("TAPEDECK_VENDORS_SECONDS").ok();
    given.map_or(4, |text| text.parse().expect("TAPEDECK_VENDORS_SECONDS: expected seconds"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_under_load() {
    // From the open on, so that a session's 390 minutes are ahead.
    let start_ns = 1_767_709_800 * 1_000_000_000;
    let script = Script { start_ns, skip_closed: true, ..Script::of_symbols(SYMBOLS) };
    let script = Script { trades_per_minute: 0, quotes_per_minute: 10, ..script };
    let vendors = start(script).await;
    let mut socket = Socket::open(&vendors, Vendor::AlpacaData, "/v2/iex", false).await;
    socket.subscribe(json!({"bars": ["*"], "quotes": ["*"]})).await;
    let mut massive = Socket::open(&vendors, Vendor::Massive, "/stocks", false).await;
    massive.json().await;
    massive.say(&json!({"action": "auth", "params": tapedeck_vendors::KEY})).await;
    massive.json().await;
    massive.say(&json!({"action": "subscribe", "params": "Q.*"})).await;
    assert_eq!(massive.json().await[0]["status"], "success");

    let began = Instant::now();
    vendors.stand.set_pace(PACE * 1_000);
    let lasting = Duration::from_secs(seconds());
    let (mut bars, mut quotes, mut newest) = (0_u64, 0_u64, HashMap::new());
    let (mut count_of_numbers, mut number) = (0_u64, 0_u64);
    while began.elapsed() < lasting {
        // Whichever has something to say: one read for one would leave the other behind.
        tokio::select! {
            frame = socket.json() => count(&frame, &mut bars, &mut quotes, &mut newest),
            frame = massive.json() => follow(&frame, &mut count_of_numbers, &mut number),
        }
    }
    vendors.stand.set_pace(0);
    // What the clock has passed is what is to be told: minutes of every symbol, and the quotes in them.
    let (minutes, told) = vendors.stand.market(|market| {
        let span = (start_ns, market.now_ns());
        let frame = (Timeframe::Minutes(1), Anchor::Clock);
        let minutes = market.bars("S000", frame, span, Adjustment::RAW).len();
        let symbols: Vec<String> = market.listings().map(|listing| listing.symbol.clone()).collect();
        (minutes, symbols.iter().map(|symbol| market.quotes(symbol, span).len()).sum::<usize>())
    });
    let (minutes, told) = (u64::try_from(minutes).unwrap(), u64::try_from(told).unwrap());
    let wanted = minutes * u64::try_from(SYMBOLS).unwrap();
    while bars + quotes < wanted + told {
        count(&socket.json().await, &mut bars, &mut quotes, &mut newest);
    }
    while count_of_numbers < told {
        follow(&massive.json().await, &mut count_of_numbers, &mut number);
    }
    assert_eq!((bars, quotes, count_of_numbers), (wanted, told, told));
    let sent = |vendor: Vendor| {
        let connections = vendors.stand.ledger.connections();
        connections.into_iter().find(|connection| connection.vendor == vendor).expect("a connection").sent
    };
    let alpaca = sent(Vendor::AlpacaData);
    assert_eq!((alpaca["b"], alpaca["q"], sent(Vendor::Massive)["Q"]), (wanted, told, told), "as counted");
    assert!(minutes >= seconds() / 2, "only {minutes} minutes of the market in {lasting:?}");
}

/// Counts what a frame holds; the quotes of a symbol come in order, and none of them twice.
fn count(frame: &Value, bars: &mut u64, quotes: &mut u64, newest: &mut HashMap<String, String>) {
    for message in frame.as_array().expect("an array") {
        match message["T"].as_str() {
            Some("b") => *bars += 1,
            Some("q") => {
                *quotes += 1;
                let symbol = message["S"].as_str().expect("a symbol").to_owned();
                let at = message["t"].as_str().expect("a time").to_owned();
                let before = newest.insert(symbol, at.clone());
                assert!(before.is_none_or(|before| before < at), "{message}");
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Counts quotes; their sequence only grows.
fn follow(frame: &Value, count: &mut u64, number: &mut u64) {
    for message in frame.as_array().expect("an array") {
        let next = message["q"].as_u64().expect("a sequence");
        assert!(next > *number, "{next} after {number}");
        *number = next;
        *count += 1;
    }
}
