//! Streams beyond what the official clients provoke: errors by their codes, garbage, silence, slow readers.

use std::time::Duration;

use serde_json::{Value, json};
use tapedeck_vendors::fault::{StreamFault, StreamRule};
use tapedeck_vendors::ledger::Vendor;
use tapedeck_vendors::market::Script;
use tapedeck_vendors::{HangUp, KEY, SECRET};

use super::{Socket, start};

fn rule(kind: &str, fault: StreamFault) -> StreamRule {
    let kind = Some(kind.to_owned());
    StreamRule { vendor: Vendor::AlpacaData, path: String::new(), kind, after: 0, times: 1, fault }
}

#[tokio::test]
async fn errors_have_the_documented_codes() {
    let vendors = start(Script::default()).await;
    let change = json!({"alpaca_data": {"symbols_max": 2, "auth_timeout_ms": 300, "sip": false}});
    vendors.stand.set(vendors.stand.settings().with(&change).unwrap());
    let mut socket = Socket::open(&vendors, Vendor::AlpacaData, "/v2/iex", false).await;
    assert_eq!(socket.json().await, json!([{"T": "success", "msg": "connected"}]));
    let codes = [
        (json!({"action": "subscribe", "bars": ["AAPL"]}), 401),
        (json!({"action": "auth", "key": KEY, "secret": "wrong"}), 402),
        (json!({"action": "dance"}), 400),
    ];
    for (message, code) in codes {
        socket.say(&message).await;
        assert_eq!(socket.json().await[0]["code"], code, "{message}");
    }
    socket.say(&json!({"action": "auth", "key": KEY, "secret": SECRET})).await;
    assert_eq!(socket.json().await[0]["msg"], "authenticated");
    socket.say(&json!({"action": "subscribe", "bars": ["AAPL"], "trades": ["MSFT"]})).await;
    let confirmed = socket.json().await;
    let lists = (&confirmed[0]["bars"], &confirmed[0]["corrections"], &confirmed[0]["cancelErrors"]);
    assert_eq!(lists, (&json!(["AAPL"]), &json!(["MSFT"]), &json!(["MSFT"])));
    let more = [
        (json!({"action": "auth", "key": KEY, "secret": SECRET}), 403),
        (json!({"action": "subscribe", "quotes": ["NVDA"]}), 405),
        (json!({"action": "subscribe", "options": ["NVDA"]}), 400),
        (json!({"action": "subscribe", "quotes": ["nvda"]}), 400),
    ];
    for (message, code) in more {
        socket.say(&message).await;
        assert_eq!(socket.json().await[0]["code"], code, "{message}");
    }
    vendors.stand.advance(Duration::from_secs(60));
    let told = socket.json().await;
    assert_eq!((&told[0]["T"], &told[0]["S"]), (&json!("t"), &json!("MSFT")), "old subscriptions are kept");

    let mut second = Socket::open(&vendors, Vendor::AlpacaData, "/v2/iex", false).await;
    second.json().await;
    second.say(&json!({"action": "auth", "key": KEY, "secret": SECRET})).await;
    assert_eq!(second.json().await[0]["code"], 406);
    assert!(second.frame().await.is_none());
    let mut silent = Socket::open(&vendors, Vendor::AlpacaData, "/v2/test", false).await;
    silent.json().await;
    assert_eq!(silent.json().await[0]["code"], 404, "nobody waits for ever");
    let mut sip = Socket::open(&vendors, Vendor::AlpacaData, "/v2/sip", false).await;
    sip.json().await;
    sip.say(&json!({"action": "auth", "key": KEY, "secret": SECRET})).await;
    assert_eq!(sip.json().await[0]["code"], 409);
}

#[tokio::test]
async fn a_stream_goes_wrong_in_each_way() {
    let vendors = start(Script::default()).await;
    let faults = &vendors.stand.faults;
    let mut socket = Socket::open(&vendors, Vendor::AlpacaData, "/v2/iex", false).await;
    socket.subscribe(json!({"bars": ["AAPL"]})).await;
    let minute = Duration::from_secs(60);

    faults.on_stream(rule("b", StreamFault::Garbage));
    vendors.stand.advance(minute);
    let garbage = socket.frame().await.unwrap();
    assert!(serde_json::from_slice::<Value>(&garbage).is_err());
    assert_eq!(socket.json().await[0]["T"], "b", "and then the message");

    let error = json!([{"T": "error", "code": 500, "msg": "internal error"}]);
    faults.on_stream(rule("b", StreamFault::Interject { message: error.clone() }));
    vendors.stand.advance(minute);
    assert_eq!(socket.json().await, error);
    assert_eq!(socket.json().await[0]["T"], "b");

    faults.on_stream(StreamRule { after: 1, ..rule("b", StreamFault::Mute) });
    vendors.stand.advance(minute);
    assert_eq!(socket.json().await[0]["T"], "b");
    vendors.stand.advance(minute);
    let waited = tokio::time::timeout(Duration::from_millis(300), socket.frame()).await;
    assert!(waited.is_err(), "connected and mute");
    vendors.stand.hang_up(HangUp { vendor: Vendor::AlpacaData, code: None });
    assert!(socket.frame().await.is_none());
    let counted = vendors.stand.ledger.connections();
    assert_eq!(counted[0].sent["b"], 3, "what was kept back is not counted as sent");
}

#[tokio::test]
async fn trade_updates_take_both_ways_to_say_who_it_is() {
    let vendors = start(Script::default()).await;
    let ways = [
        json!({"action": "auth", "key": KEY, "secret": SECRET}),
        json!({"action": "authenticate", "data": {"key_id": KEY, "secret_key": SECRET}}),
    ];
    for way in ways {
        let mut socket = Socket::open(&vendors, Vendor::AlpacaTrading, "/stream", false).await;
        socket.say(&way).await;
        let told = socket.json().await;
        assert_eq!(
            told,
            json!({"stream": "authorization",
            "data": {"status": "authorized", "action": "authenticate"}})
        );
        socket.say(&json!({"action": "listen", "data": {"streams": ["trade_updates"]}})).await;
        assert_eq!(socket.json().await["data"]["streams"], json!(["trade_updates"]));
        socket.say(&json!({"action": "listen", "data": {"streams": []}})).await;
        assert_eq!(socket.json().await["data"]["streams"], json!([]), "an empty list ends it");
    }
    let mut socket = Socket::open(&vendors, Vendor::AlpacaTrading, "/stream", false).await;
    socket.say(&json!({"action": "listen", "data": {"streams": ["trade_updates"]}})).await;
    assert_eq!(socket.json().await["data"]["error_message"], "not authenticated");
    assert!(socket.frame().await.is_none());
}

/// `*` of one kind and single symbols of another, over MessagePack as over JSON.
#[tokio::test]
async fn both_encodings_say_the_same() {
    let vendors = start(Script::default()).await;
    let change = json!({"alpaca_data": {"connections_max": 2}});
    vendors.stand.set(vendors.stand.settings().with(&change).unwrap());
    let mut plain = Socket::open(&vendors, Vendor::AlpacaData, "/v2/iex", false).await;
    plain.subscribe(json!({"bars": ["*"], "trades": ["AAPL"]})).await;
    let mut packed = Socket::open(&vendors, Vendor::AlpacaData, "/v2/iex", true).await;
    packed.frame().await;
    packed.say(&json!({"action": "auth", "key": KEY, "secret": SECRET})).await;
    packed.frame().await;
    packed.say(&json!({"action": "subscribe", "bars": ["*"], "trades": ["AAPL"]})).await;
    packed.frame().await;
    vendors.stand.advance(Duration::from_secs(60));
    let told = plain.json().await;
    let frame = packed.frame().await.unwrap();
    // The prices stand in both, as the bytes of a float in one of them.
    let told = told.as_array().unwrap();
    assert_eq!(told.len(), 8 + 4);
    assert_eq!(frame[0], 0x90 | 12, "an array of as many");
    for message in told {
        let price = message["c"].as_f64().or_else(|| message["p"].as_f64()).unwrap();
        let bytes = price.to_be_bytes();
        assert!(frame.windows(8).any(|window| window == bytes), "{message}");
    }
}
