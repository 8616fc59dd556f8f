//! Requests that have no answer, and answers that are refusals.

use broker::{Broker as _, BrokerError};
use contracts::v1::Side;
use domain::money::Quantity;
use serde_json::json;
use tapedeck_vendors::alpaca_trading::Act;
use tapedeck_vendors::fault::{HttpFault, When};

use crate::support::{Desk, E9, OnTape, adapter, kinds, limit, order, reason};

#[tokio::test]
async fn an_order_that_never_came_is_sent_once_more_after_it_was_asked_for() {
    let mut desk = Desk::open().await;
    let order = order("lost", Side::Buy, 10);
    desk.arm("POST", "/v2/orders", When::Before, HttpFault::Cut);
    let error = desk.submit(&order).await.unwrap_err();
    assert!(matches!(error, BrokerError::Unknown { .. }), "{error}");
    assert_eq!(desk.requests("POST", "/v2/orders"), 1, "a request that changes something goes once");
    assert_eq!(desk.lookup(&order).await, None);
    assert!(desk.requests("GET", "/v2/orders:by_client_order_id") >= 2, "it may have been on its way");
    assert_eq!(kinds(&desk.submit(&order).await.unwrap()), ["accepted"]);
    assert_eq!(desk.orders(), 1);
}

#[tokio::test]
async fn an_order_whose_answer_was_lost_is_found_and_not_sent_again() {
    for fault in [HttpFault::Cut, HttpFault::Hang, HttpFault::Truncate { bytes: 20 }] {
        let mut desk = Desk::open().await;
        let order = order("landed", Side::Buy, 10);
        desk.arm("POST", "/v2/orders", When::After, fault.clone());
        let error = desk.submit(&order).await.unwrap_err();
        assert!(matches!(error, BrokerError::Unknown { .. }), "{fault:?}: {error}");
        let found = desk.lookup(&order).await.expect("it landed");
        assert_eq!(kinds(&found), ["accepted"], "{fault:?}");
        assert_eq!((desk.requests("POST", "/v2/orders"), desk.orders()), (1, 1), "{fault:?}");
        // Even who sends it all the same works nothing twice.
        assert_eq!(desk.submit(&order).await.unwrap(), found);
        assert_eq!(desk.orders(), 1);
    }
}

#[tokio::test]
async fn an_order_that_a_limit_or_a_failure_stopped_may_still_be_there() {
    for status in [429, 500, 503, 408] {
        let mut desk = Desk::open().await;
        let order = order("stopped", Side::Buy, 10);
        let body = json!({"code": 42_910_000, "message": "too many"});
        let answer = HttpFault::Answer { status, headers: Default::default(), body };
        desk.arm("POST", "/v2/orders", When::Before, answer);
        let error = desk.submit(&order).await.unwrap_err();
        assert!(matches!(error, BrokerError::Unknown { .. }), "{status}: {error}");
        assert_eq!(desk.requests("POST", "/v2/orders"), 1, "{status}");
    }
}

#[tokio::test]
async fn a_refusal_is_an_answer_with_its_code_and_words() {
    for (status, code, message) in [
        (403, 40_310_000, "insufficient buying power"),
        (403, 40_310_000, "potential wash trade detected. use complex orders"),
        (404, 40_410_000, "asset not found"),
        (422, 42_210_000, "asset is not tradable"),
        (422, 40_010_001, "qty must be > 0"),
    ] {
        let mut desk = Desk::open().await;
        let refuse = json!({"status": status, "code": code, "message": message});
        desk.plan(json!({"on_submit": {"refuse": refuse}}));
        let reason = reason(&desk.submit(&order("refused", Side::Buy, 1)).await.unwrap());
        assert!(reason.contains(&format!("({status} {code})")) && reason.contains(message), "{reason}");
        assert_eq!(desk.orders(), 0);
    }
}

#[tokio::test]
async fn a_wrong_key_loses_no_order_and_stands_in_no_message() {
    let mut desk = Desk::open().await;
    desk.broker = adapter(&desk.vendors, "planted-secret");
    let order = order("keyless", Side::Buy, 1);
    let error = format!("{:?}", desk.submit(&order).await.unwrap_err());
    assert!(error.contains("401"), "{error}");
    let lost = format!("{:?}", desk.broker.reports().await.unwrap_err());
    assert!(lost.contains("does not accept"), "{lost}");
    for text in [error, lost] {
        assert!(!text.contains("planted-secret") && !text.contains(tapedeck_vendors::KEY), "{text}");
    }
}

#[tokio::test]
async fn a_refusal_that_repeats_the_credentials_is_told_without_them() {
    let said = format!("key {} secret {}", tapedeck_vendors::KEY, tapedeck_vendors::SECRET);
    let mut desk = Desk::open().await;
    let body = json!({"code": 40_310_000, "message": said.clone(), "reject_reason": said});
    let answer = HttpFault::Answer { status: 403, headers: Default::default(), body };
    desk.arm("POST", "/v2/orders", When::Before, answer);
    let reason = reason(&desk.submit(&order("echo", Side::Buy, 1)).await.unwrap());
    assert!(reason.ends_with("key *** secret *** (key *** secret ***)"), "{reason}");
}

#[tokio::test]
async fn an_order_that_is_taken_and_refused_later_is_refused() {
    let mut desk = Desk::listening().await;
    desk.plan(json!({"on_submit": "reject"}));
    let order = order("late", Side::Buy, 1);
    let mut tape = OnTape::of(&order);
    tape.fold(&desk.submit(&order).await.unwrap());
    assert_eq!(kinds(&desk.heard().await), ["rejected"]);
    assert_eq!(tape.true_up(&mut desk.broker).await, ["rejected"], "and it is so as a whole");
}

#[tokio::test]
async fn executions_that_are_not_listed_yet_are_no_truth() {
    let mut desk = Desk::open().await;
    let order = limit("lag", 10, 18_700);
    let mut tape = OnTape::of(&order);
    tape.fold(&desk.submit(&order).await.unwrap());
    desk.fill(&order, "4", "187");
    let none = HttpFault::Answer { status: 200, headers: Default::default(), body: json!([]) };
    desk.arm("GET", "/v2/account/activities", When::Before, none);
    let error = desk.broker.truth(&tape.order).await.unwrap_err();
    assert!(error.to_string().contains("not every execution"), "{error}");
    assert_eq!(tape.true_up(&mut desk.broker).await, ["filled"]);
    assert_eq!(tape.executions(), [(4, "187".to_owned())]);
    assert_eq!(tape.true_up(&mut desk.broker).await, Vec::<&str>::new());
    let listed = desk.requests("GET", "/v2/account/activities");
    tape.true_up(&mut desk.broker).await;
    assert_eq!(desk.requests("GET", "/v2/account/activities"), listed, "what agrees is not read again");
}

#[tokio::test]
async fn a_cancel_and_a_fill_cannot_both_win() {
    let mut desk = Desk::listening().await;
    desk.plan(json!({"on_cancel": "filled"}));
    let order = order("race", Side::Buy, 10);
    let mut tape = OnTape::of(&order);
    tape.fold(&desk.submit(&order).await.unwrap());
    assert_eq!(desk.cancel(&order).await.unwrap(), [], "taken is not done");
    tape.fold(&desk.heard().await);
    assert_eq!(tape.filled(), Quantity(10 * E9));
    // Asked again, it says how the order ended.
    let told = desk.cancel(&order).await.unwrap();
    assert_eq!(kinds(&told), ["accepted", "filled"]);
    assert_eq!(tape.fold(&told), 0);
    assert_eq!(desk.requests("DELETE", "/v2/orders"), 1);
}

#[tokio::test]
async fn a_cancel_that_waits_is_asked_after_and_not_repeated() {
    let mut desk = Desk::listening().await;
    desk.plan(json!({"on_cancel": "hold"}));
    let order = order("held", Side::Buy, 10);
    let mut tape = OnTape::of(&order);
    tape.fold(&desk.submit(&order).await.unwrap());
    for _ in 0..3 {
        assert_eq!(desk.cancel(&order).await.unwrap(), []);
    }
    assert_eq!(desk.requests("DELETE", "/v2/orders"), 1);
    desk.act(&contracts::client_order_id(&order.order_id), Act::Cancel);
    assert!(kinds(&desk.heard().await).contains(&"cancelled"));
    assert_eq!(kinds(&desk.cancel(&order).await.unwrap()), ["accepted", "cancelled"]);
}

#[tokio::test]
async fn a_cancel_without_an_answer_is_unknown_and_asked_after() {
    let mut desk = Desk::open().await;
    let order = order("cut", Side::Buy, 10);
    desk.submit(&order).await.unwrap();
    desk.arm("DELETE", "/v2/orders", When::After, HttpFault::Cut);
    assert!(matches!(desk.cancel(&order).await.unwrap_err(), BrokerError::Unknown { .. }));
    assert_eq!(kinds(&desk.cancel(&order).await.unwrap()), ["accepted", "cancelled"]);
    assert_eq!(desk.requests("DELETE", "/v2/orders"), 1);
}

#[tokio::test]
async fn a_cancel_that_the_exchange_refuses_is_refused() {
    let mut desk = Desk::listening().await;
    desk.plan(json!({"on_cancel": "rejected"}));
    let order = order("stays", Side::Buy, 10);
    desk.submit(&order).await.unwrap();
    desk.heard().await;
    assert_eq!(desk.cancel(&order).await.unwrap(), []);
    assert_eq!(kinds(&desk.heard().await), ["cancel_rejected"]);
    let unknown = crate::support::order("nobody", Side::Buy, 1);
    assert_eq!(kinds(&desk.cancel(&unknown).await.unwrap()), ["cancel_rejected"]);
}

#[tokio::test]
async fn an_order_that_does_not_say_what_it_filled_takes_nothing_back() {
    let mut desk = Desk::open().await;
    let order = limit("unsaid", 10, 18_700);
    let mut tape = OnTape::of(&order);
    tape.fold(&desk.submit(&order).await.unwrap());
    desk.fill(&order, "4", "187");
    tape.true_up(&mut desk.broker).await;
    for (field, value) in [("filled_qty", json!(null)), ("filled_qty", json!("many"))] {
        let patch = HttpFault::Patch { merge: json!({field: value}) };
        desk.arm("GET", "/v2/orders", When::After, patch);
        let error = desk.broker.truth(&tape.order).await.unwrap_err().to_string();
        assert!(error.contains("filled_qty"), "{error}");
    }
    assert_eq!(tape.true_up(&mut desk.broker).await, Vec::<&str>::new());
    assert_eq!(tape.filled(), Quantity(4 * E9));
}
