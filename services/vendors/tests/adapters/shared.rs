//! Clients of one source: what they share, and what they do not.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tapedeck_vendors::fault::HttpFault;
use tapedeck_vendors::ledger::Vendor;
use vendors::http::{BreakerState, Client, Credentials, Guards, Http, HttpConfig, Shared};
use vendors::{Clock as _, VendorError};

use crate::support::Desk;

const PATH: &str = "/v2/stocks/bars";

/// A client of `guards` that says `key`, whose questions end after `deadline_s`.
fn client(desk: &Desk, guards: &Arc<Guards>, purpose: &'static str, key: &str, deadline_s: u64) -> Http {
    let client = Client { service: "ingest", purpose, account: String::new() };
    let credentials = Credentials::Alpaca {
        key: key.to_owned().into(),
        secret: tapedeck_vendors::SECRET.to_owned().into(),
    };
    let config = HttpConfig {
        deadline: Duration::from_secs(deadline_s),
        shared: Some(Shared { guards: Arc::clone(guards), client: Some(client) }),
        ..HttpConfig::new(desk.vendors.addresses().http(desk.vendor), credentials, 60)
    };
    let clock = Arc::clone(&desk.clock);
    Http::new("alpaca", config, clock).unwrap()
}

fn answer(status: u16, headers: &[(&str, &str)]) -> HttpFault {
    let headers = headers.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    HttpFault::Answer { status, headers, body: json!({"message": "later"}) }
}

#[tokio::test]
async fn two_clients_of_one_key_share_its_requests_a_minute() {
    let desk = Desk::of(Vendor::AlpacaData).await;
    let guards = Arc::new(Guards::default());
    let of = |purpose, key| client(&desk, &guards, purpose, key, 300);
    let (live, news) = (of("live", tapedeck_vendors::KEY), of("news", tapedeck_vendors::KEY));
    for _ in 0..20 {
        // Whether it is answered or refused, it counts.
        drop(live.get(PATH, &[]).await);
        drop(news.get(PATH, &[]).await);
    }
    assert_eq!(desk.statuses().len(), 40);
    // Sixty a minute, of which ten may come at once.
    let slept = desk.clock.slept();
    assert!((29..=31).contains(&slept.as_secs()), "{slept:?}");
    drop(of("news", "another-key").get(PATH, &[]).await);
    assert_eq!(desk.clock.slept(), slept, "another key has its own");
}

#[tokio::test]
async fn no_minute_has_more_requests_than_are_allowed() {
    let desk = Desk::of(Vendor::AlpacaData).await;
    let http = client(&desk, &Arc::new(Guards::default()), "live", tapedeck_vendors::KEY, 300);
    let mut gone = Vec::new();
    for _ in 0..75 {
        drop(http.get(PATH, &[]).await);
        gone.push(desk.clock.slept());
    }
    // Ten come at once and the others after them, but the sixty-first not before a minute is over.
    assert_eq!(gone[9], Duration::ZERO);
    let minute = Duration::from_secs(60);
    let sooner = gone.iter().zip(&gone[60..]).find(|(first, later)| **later - **first < minute);
    assert_eq!(sooner, None);
}

#[tokio::test]
async fn what_one_client_is_told_to_wait_the_others_wait_too() {
    let desk = Desk::of(Vendor::AlpacaData).await;
    let guards = Arc::new(Guards::default());
    let of = |purpose, deadline_s| client(&desk, &guards, purpose, tapedeck_vendors::KEY, deadline_s);
    let (live, news, hasty) = (of("live", 20), of("news", 300), of("actions", 10));
    desk.arm(PATH, 1, answer(429, &[("Retry-After", "60")]));
    let error = live.get(PATH, &[]).await.unwrap_err();
    assert!(matches!(error, VendorError::Limited { .. }), "{error}");
    assert_eq!((desk.statuses().len(), desk.clock.slept()), (1, Duration::ZERO));
    // Who has no time for it is told so, and nobody is asked.
    let error = hasty.get(PATH, &[]).await.unwrap_err();
    assert!(error.to_string().contains("of other clients too"), "{error}");
    assert_eq!(desk.statuses().len(), 1);
    drop(news.get(PATH, &[]).await);
    assert_eq!((desk.statuses().len(), desk.clock.slept()), (2, Duration::from_secs(20)));
}

#[tokio::test]
async fn of_those_who_wait_for_a_source_one_asks_first() {
    let desk = Desk::of(Vendor::AlpacaData).await;
    let guards = Arc::new(Guards::default());
    let of = |purpose| client(&desk, &guards, purpose, tapedeck_vendors::KEY, 300);
    let (live, news) = (of("live"), of("news"));
    let kept_from =
        |answer: &Result<Vec<u8>, VendorError>| matches!(answer, Err(VendorError::Limited { .. }));
    desk.arm("", 6, answer(502, &[]));
    live.get(PATH, &[]).await.unwrap_err();
    // Its trial fails, and nobody else has asked.
    desk.clock.sleep(Duration::from_secs(11)).await;
    let (first, second) = tokio::join!(live.get(PATH, &[]), news.get(PATH, &[]));
    assert!(kept_from(&first) && kept_from(&second), "{first:?} {second:?}");
    assert_eq!(desk.statuses(), [502; 6]);
    // Half of the time that it is open now is not enough.
    desk.clock.sleep(Duration::from_secs(11)).await;
    assert!(kept_from(&live.get(PATH, &[]).await));
    desk.clock.sleep(Duration::from_secs(10)).await;
    desk.arm("", 1, HttpFault::Delay { ms: 100 });
    let (first, second) = tokio::join!(live.get(PATH, &[]), news.get(PATH, &[]));
    assert_ne!(kept_from(&first), kept_from(&second), "{first:?} {second:?}");
    drop(news.get(PATH, &[]).await);
    assert_eq!(desk.statuses().len(), 8, "it is closed");
}

#[tokio::test]
async fn what_fails_for_one_client_opens_the_breaker_of_all_and_each_is_told_of() {
    let desk = Desk::of(Vendor::AlpacaData).await;
    let guards = Arc::new(Guards::default());
    let of = |purpose, key| client(&desk, &guards, purpose, key, 300);
    let (live, news) = (of("live", tapedeck_vendors::KEY), of("news", tapedeck_vendors::KEY));
    desk.arm("", 5, answer(502, &[]));
    live.get(PATH, &[]).await.unwrap_err();
    let error = news.get(PATH, &[]).await.unwrap_err();
    let VendorError::Limited { why, .. } = &error else { panic!("{error}") };
    assert!(why.contains("502 Bad Gateway: later"), "{why}");
    assert_eq!(desk.statuses().len(), 5, "nobody was asked");
    let told = guards.breakers("ingest");
    let states: Vec<_> = told.iter().map(|told| (told.client.purpose, told.breaker.state)).collect();
    assert_eq!(states, [("live", BreakerState::Open), ("news", BreakerState::Open)]);
    assert!(told[0].breaker.last_failure.contains("502") && told[0].breaker.until_ns.is_some(), "{told:?}");
    assert!(guards.breakers("execution").is_empty());
    drop(of("live", "another-key").get(PATH, &[]).await);
    assert_eq!(desk.statuses().len(), 6, "another key is asked");
}
