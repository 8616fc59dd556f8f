//! `trade_updates`: twice, late, never, interrupted, unreadable; corrections.

use broker::{Broker as _, BrokerError};
use contracts::v1::Side;
use domain::money::Quantity;
use serde_json::json;
use tapedeck_vendors::HangUp;
use tapedeck_vendors::fault::StreamFault;
use tapedeck_vendors::ledger::Vendor;

use crate::support::{Desk, E9, OnTape, kinds, limit, order};

#[tokio::test]
async fn text_and_binary_frames_say_the_same() {
    for binary in [true, false] {
        let mut desk = Desk::open().await;
        let mut settings = desk.vendors.stand.settings();
        settings.alpaca_trading.binary = binary;
        desk.vendors.stand.set(settings);
        desk.until_missed().await;
        let order = limit("frames", 10, 18_700);
        let mut tape = OnTape::of(&order);
        tape.fold(&desk.submit(&order).await.unwrap());
        desk.fill(&order, "4", "186.5");
        desk.fill(&order, "6", "187");
        tape.fold(&desk.heard().await);
        assert_eq!(tape.executions(), [(4, "186.5".to_owned()), (6, "187".to_owned())], "binary {binary}");
        // Read in the other list, the executions are the same ones.
        assert_eq!(tape.fold(&desk.lookup(&order).await.unwrap()), 0);
        assert_eq!(tape.true_up(&mut desk.broker).await, Vec::<&str>::new());
    }
}

#[tokio::test]
async fn reports_may_come_twice_late_or_never() {
    for fault in [StreamFault::Duplicate, StreamFault::Late { by: 1 }, StreamFault::Drop] {
        let mut desk = Desk::listening().await;
        let order = limit("order", 10, 18_700);
        let mut tape = OnTape::of(&order);
        tape.fold(&desk.submit(&order).await.unwrap());
        desk.heard().await;
        desk.arm_stream(fault.clone());
        desk.fill(&order, "4", "186.5");
        desk.fill(&order, "6", "187");
        tape.fold(&desk.heard().await);
        tape.true_up(&mut desk.broker).await;
        assert_eq!(tape.filled(), Quantity(10 * E9), "{fault:?}");
        assert_eq!(tape.order.executions.len(), 2, "{fault:?}");
        assert_eq!(tape.true_up(&mut desk.broker).await, Vec::<&str>::new(), "{fault:?}");
    }
}

#[tokio::test]
async fn what_was_filled_during_an_interruption_is_found() {
    let mut desk = Desk::listening().await;
    let order = limit("away", 10, 18_700);
    let mut tape = OnTape::of(&order);
    tape.fold(&desk.submit(&order).await.unwrap());
    tape.fold(&desk.heard().await);
    for code in [None, Some(1011)] {
        desk.vendors.stand.hang_up(HangUp { vendor: Vendor::AlpacaTrading, code });
        assert!(matches!(desk.broker.reports().await, Err(BrokerError::Unknown { .. })));
        desk.fill(&order, "5", "186.5");
        desk.until_missed().await;
        assert_eq!(tape.true_up(&mut desk.broker).await, ["filled"], "{code:?}");
    }
    assert_eq!(tape.filled(), Quantity(10 * E9));
    assert_eq!(tape.true_up(&mut desk.broker).await, Vec::<&str>::new());
}

#[tokio::test]
async fn what_cannot_be_read_is_missed_and_said_so() {
    let mut desk = Desk::listening().await;
    let order = limit("garbage", 10, 18_700);
    desk.submit(&order).await.unwrap();
    desk.heard().await;
    desk.arm_stream(StreamFault::Garbage);
    desk.fill(&order, "10", "187");
    desk.until_missed().await;
    assert_eq!(kinds(&desk.heard().await), ["filled"], "and it goes on");
}

#[tokio::test]
async fn a_correction_keeps_the_execution_in_its_place() {
    for forgotten in [false, true] {
        let mut desk = Desk::listening().await;
        let order = limit("corrected", 10, 18_700);
        let client = contracts::client_order_id(&order.order_id);
        let mut tape = OnTape::of(&order);
        tape.fold(&desk.submit(&order).await.unwrap());
        desk.fill(&order, "4", "186");
        let first = desk.vendors.stand.desk(|desk, _, _| desk.orders()[0].executions[0].id.clone());
        desk.fill(&order, "6", "187");
        tape.fold(&desk.heard().await);
        if forgotten {
            // What another process was told is not known by its id.
            desk.restart();
            desk.until_missed().await;
        }
        let correct = json!({"do": "correct", "execution_id": first, "price": "185.5"});
        desk.act(&client, serde_json::from_value(correct).unwrap());
        if forgotten {
            desk.until_missed().await;
            assert_eq!(tape.true_up(&mut desk.broker).await, ["corrected"]);
        } else {
            let said = desk.heard().await;
            assert_eq!(kinds(&said), ["corrected"]);
            assert_eq!(tape.fold(&said), 1);
        }
        assert_eq!(tape.executions(), [(4, "185.5".to_owned()), (6, "187".to_owned())]);
        assert_eq!(tape.true_up(&mut desk.broker).await, Vec::<&str>::new());
    }
}

#[tokio::test]
async fn a_bust_takes_an_execution_back() {
    let mut desk = Desk::listening().await;
    let order = order("busted", Side::Buy, 10);
    let client = contracts::client_order_id(&order.order_id);
    let mut tape = OnTape::of(&order);
    tape.fold(&desk.submit(&order).await.unwrap());
    desk.fill(&order, "4", "186");
    desk.fill(&order, "6", "187");
    tape.fold(&desk.heard().await);
    desk.act(&client, serde_json::from_value(json!({"do": "bust"})).unwrap());
    assert_eq!(kinds(&desk.heard().await), ["busted"]);
    tape.true_up(&mut desk.broker).await;
    assert_eq!(tape.executions(), [(4, "186".to_owned())]);
    assert_eq!(tape.true_up(&mut desk.broker).await, Vec::<&str>::new());
}
