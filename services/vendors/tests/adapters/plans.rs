//! What a plan lets see of Massive: what is late, and what is refused.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::bar::Timeframe;
use domain::calendar::Calendar;
use serde_json::json;
use tapedeck_vendors::Settings;
use tapedeck_vendors::fault::HttpFault;
use tapedeck_vendors::ledger::Vendor;
use vendors::http::{Credentials, HttpConfig};
use vendors::{Massive, RecentMinutes as _, Refusal, VendorError};

use crate::support::{Desk, ask};

const MINUTE_NS: i64 = 60_000_000_000;

/// A plan whose answers say `status`: `OK`, or `DELAYED` where it is a quarter of an hour late.
async fn plan(status: &str) -> Desk {
    let desk = Desk::of(Vendor::Massive).await;
    desk.vendors.stand.set(Settings::default().with(&json!({"massive": {"status": status}})).unwrap());
    desk
}

#[tokio::test]
async fn what_ended_in_the_last_quarter_of_an_hour_is_not_taken_of_a_late_plan() {
    // It is ten in New York: the last of the clock's hours ended just now, and of it a late plan has a part.
    let span = ask("SPY", Timeframe::H1, "2026-01-05", "2026-01-06");
    let prompt = plan("OK").await.all(&span).await.unwrap();
    let late = plan("DELAYED").await.all(&span).await.unwrap();
    let (_, before) = prompt.bars.split_last().unwrap();
    assert_eq!(late.bars, before);
    assert_eq!(late.skipped.unfinished, prompt.skipped.unfinished + 1);
}

#[tokio::test]
async fn a_day_of_all_symbols_is_taken_when_a_late_plan_has_all_of_it() {
    let date = "2025-12-22".parse().unwrap();
    let close_ns = Calendar::xnys().session(date).unwrap().unwrap().close_ns;
    let wanted = BTreeSet::from(["AAPL".to_owned()]);
    for (status, minutes, bars) in [("OK", 5, 1), ("DELAYED", 5, 0), ("DELAYED", 15, 1)] {
        let desk = plan(status).await;
        let now_ns = close_ns + minutes * MINUTE_NS;
        let day = desk.adapter.by_date().unwrap().day(date, &wanted, now_ns).await.unwrap();
        assert_eq!((day.bars.len(), day.skipped.unfinished), (bars, 1 - bars as u64), "{status} {minutes}");
    }
}

/// The stream of such a plan is late by as much, and so is what it missed.
#[tokio::test]
async fn what_the_stream_of_a_late_plan_missed_is_older_by_as_much() {
    for (status, expected) in [("OK", -5..=-1), ("DELAYED", -20..=-16)] {
        let desk = plan(status).await;
        let credentials = Credentials::Bearer(tapedeck_vendors::KEY.to_owned().into());
        let http = HttpConfig::new(desk.vendors.addresses().http(desk.vendor), credentials, 10_000);
        let clock = Arc::clone(&desk.clock);
        let (symbols, now_ns) = (["AAPL".to_owned()], desk.now_ns);
        let history = Massive::new(http, clock).unwrap();
        let found = history.minutes(&symbols, now_ns - 5 * MINUTE_NS, now_ns, now_ns).await.unwrap();
        let starts: Vec<i64> =
            found.iter().map(|(_, quoted)| (quoted.start_ns - now_ns) / MINUTE_NS).collect();
        assert!(starts.len() > 3 && starts.iter().all(|at| expected.contains(at)), "{status}: {starts:?}");
    }
}

#[tokio::test]
async fn what_the_plan_lacks_is_refused_whatever_the_status_and_no_history_without_rows() {
    let words = "You are not entitled to this data. Please upgrade your plan";
    for status in [200, 403] {
        let desk = plan("OK").await;
        let body = json!({"status": "NOT_AUTHORIZED", "request_id": "1", "message": words});
        desk.arm("/v2/aggs", 1, HttpFault::Answer { status, headers: [].into(), body });
        let error = desk.all(&ask("AAPL", Timeframe::D1, "2025-12-08", "2025-12-12")).await.unwrap_err();
        let VendorError::Refused { kind: Refusal::Credentials, message, .. } = &error else {
            panic!("{status}: {error}")
        };
        assert_eq!(message, words, "{status}");
    }
}
