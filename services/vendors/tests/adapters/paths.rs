//! What goes wrong on the paths beside those of bars, facts and articles, path by path.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::bar::Timeframe;
use serde_json::json;
use tapedeck_vendors::fault::HttpFault;
use tapedeck_vendors::ledger::Vendor;
use vendors::{Ask, NewsAsk, VendorError};

use crate::office::{Office, all, answer};
use crate::support::{Desk, ask};

/// Paths of history, each with its vendor.
const LISTS: [(Vendor, &str); 4] = [
    (Vendor::AlpacaData, "/v1/corporate-actions"),
    (Vendor::Massive, "/v3/reference/splits"),
    (Vendor::Massive, "/v3/reference/dividends"),
    (Vendor::Massive, "/v2/aggs/grouped"),
];

/// Paths that facts and headlines take besides. The first request of facts at Yahoo is for the cookie.
const PAGES: [(Vendor, &str); 5] = [
    (Vendor::Yahoo, "/"),
    (Vendor::Yahoo, "/v1/test/getcrumb"),
    (Vendor::Yahoo, "/ws/fundamentals-timeseries"),
    (Vendor::Massive, "/v3/reference/tickers/AAPL"),
    (Vendor::News, "/v2/top-headlines"),
];

/// What passes.
fn faults() -> [HttpFault; 4] {
    [
        answer(503, &[], json!("busy")),
        answer(429, &[], json!("Too Many Requests")),
        HttpFault::Cut,
        HttpFault::Truncate { bytes: 4 },
    ]
}

/// What is told under a path of history, in words that can be compared.
async fn listed(desk: &Desk, path: &str) -> Result<String, VendorError> {
    if path == "/v2/aggs/grouped" {
        let wanted = BTreeSet::from(["AAPL".to_owned()]);
        let vendor = desk.adapter.by_date().unwrap();
        let day = vendor.day("2025-12-22".parse().unwrap(), &wanted, desk.now_ns).await?;
        return Ok(format!("{day:?}"));
    }
    let actions = Ask { bars: false, ..ask("AAPL", Timeframe::D1, "2025-11-03", "2025-11-28") };
    desk.all(&actions).await.map(|all| format!("{all:?}"))
}

/// Facts or headlines.
async fn told(office: &Office, vendor: Vendor) -> Result<String, VendorError> {
    if vendor == Vendor::News {
        let headlines = NewsAsk { headlines: true, ..office.ask("MSFT", 20) };
        return all(&*office.news(vendor), &headlines).await.map(|all| format!("{all:?}"));
    }
    office.facts(vendor).facts("AAPL").await.map(|facts| format!("{facts:?}"))
}

#[tokio::test]
async fn what_passes_is_asked_again_on_every_path() {
    let twice = Duration::from_millis(250 + 500);
    for (vendor, path) in LISTS {
        for fault in faults() {
            let desk = Desk::of(vendor).await;
            let whole = listed(&desk, path).await.unwrap();
            desk.arm(path, 2, fault.clone());
            assert_eq!(listed(&desk, path).await.unwrap(), whole, "{path} {fault:?}");
            assert_eq!(desk.clock.slept(), twice, "{path} {fault:?}");
        }
    }
    for (vendor, path) in PAGES {
        for fault in faults() {
            let office = Office::new().await;
            let whole = told(&office, vendor).await.unwrap();
            office.arm(vendor, path, 2, fault.clone());
            assert_eq!(told(&office, vendor).await.unwrap(), whole, "{path} {fault:?}");
            assert_eq!(office.clock.slept(), twice, "{path} {fault:?}");
        }
    }
}

#[tokio::test]
async fn every_path_says_how_long_to_wait() {
    let longer = Duration::from_millis(7_000 + 250);
    let later = || answer(429, &[("Retry-After", "7")], json!({}));
    for (vendor, path) in LISTS {
        let desk = Desk::of(vendor).await;
        desk.arm(path, 1, later());
        listed(&desk, path).await.unwrap();
        assert_eq!(desk.clock.slept(), longer, "{path}");
    }
    for (vendor, path) in PAGES {
        let office = Office::new().await;
        office.arm(vendor, path, 1, later());
        told(&office, vendor).await.unwrap();
        assert_eq!(office.clock.slept(), longer, "{path}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_names_its_field_on_every_path() {
    let dividend = json!({"rate": "x", "ex_date": "2025-11-10"});
    let bodies = [
        (json!({"corporate_actions": {"cash_dividends": [dividend]}}), "cash_dividends.rate: "),
        (json!({"results": [{"ticker": 5}]}), "results[0].ticker: "),
        (json!({"results": [{"ticker": 5}]}), "results[0].ticker: "),
        (json!({"results": [{"T": 5}]}), "results[0].T: "),
    ];
    let page = || (json!("<html>Will be right back</html>"), "");
    for ((vendor, path), wrong) in LISTS.into_iter().zip(bodies) {
        for (body, field) in [wrong, page()] {
            let desk = Desk::of(vendor).await;
            desk.arm(path, 1, answer(200, &[], body));
            let error = listed(&desk, path).await.unwrap_err();
            let VendorError::Broken { what, .. } = &error else { panic!("{path}: {error}") };
            assert!(what.contains(field), "{path}: {what}");
            assert_eq!(desk.vendors.stand.ledger.requests(Some(vendor), path).len(), 1, "{path}");
        }
    }
    let bodies = [
        (json!({"results": {"list_date": 5}}), "results.list_date: "),
        (json!({"articles": [{"publishedAt": 5}]}), "articles[0].publishedAt: "),
    ];
    // Of cookie, crumb and statements it is shown where they are.
    for ((vendor, path), wrong) in PAGES.into_iter().skip(3).zip(bodies) {
        for (body, field) in [wrong, page()] {
            let office = Office::new().await;
            office.arm(vendor, path, 1, answer(200, &[], body));
            let error = told(&office, vendor).await.unwrap_err();
            let VendorError::Broken { what, .. } = &error else { panic!("{path}: {error}") };
            assert!(what.contains(field), "{path}: {what}");
            assert_eq!(office.statuses(vendor, path), [200], "{path}");
        }
    }
}
