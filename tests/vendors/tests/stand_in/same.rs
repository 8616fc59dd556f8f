//! The same script and the same calls give the same answers.

use std::time::Duration;

use serde_json::json;
use tapedeck_vendors::ledger::Vendor;
use tapedeck_vendors::market::Script;

use super::{get, start};

/// What a run of orders, time and questions ends with.
async fn run(seed: u64) -> Vec<String> {
    let vendors = start(Script { seed, ..Script::default() }).await;
    let place = |side: &str, kind: &str, limit: Option<&str>| {
        let body = json!({
            "symbol": "AAPL", "side": side, "type": kind, "qty": "3", "time_in_force": "day", "limit_price": limit,
        });
        vendors.stand.desk(|desk, market, settings| desk.submit(&body, market, settings)).expect("an order");
    };
    place("buy", "market", None);
    vendors.stand.advance(Duration::from_secs(90));
    place("buy", "limit", Some("50"));
    place("buy", "market", None);
    vendors.stand.advance(Duration::from_secs(7 * 3600));
    let mut answers = Vec::new();
    for (vendor, path) in [
        (Vendor::AlpacaTrading, "/v2/orders?status=all&nested=true"),
        (Vendor::AlpacaTrading, "/v2/account"),
        (Vendor::AlpacaTrading, "/v2/account/activities"),
        (Vendor::AlpacaData, "/v2/stocks/snapshots?symbols=AAPL,MSFT"),
        (Vendor::Massive, "/v2/aggs/ticker/AAPL/range/1/hour/2026-01-05/2026-01-06"),
        (Vendor::Yahoo, "/v8/finance/chart/AAPL?range=5d&interval=1d"),
    ] {
        answers
            .push(get(&vendors, vendor, path).send().await.expect("an answer").text().await.expect("text"));
    }
    answers
}

#[tokio::test]
async fn two_runs_of_one_script_are_equal() {
    let (first, second, other) = (run(3).await, run(3).await, run(4).await);
    assert!(first[0].contains("expired") && first[0].contains("filled"), "{}", first[0]);
    assert_eq!(first, second);
    assert!(first.iter().zip(&other).all(|(first, other)| first != other), "another seed is another market");
}
