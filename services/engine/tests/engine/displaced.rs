//! Orders that another one takes the place of: what is recorded of their end is what execution would record.

use contracts::order_of;
use contracts::v1::event::Body;
use contracts::v1::{Event, Intent, OrderType, SignalLeg};
use domain::money::{E9, Quantity};
use domain::order::signed;
use engine::{Events, OUTSIDE, Uncontrolled, run_beside};

use crate::reversal::{Script, bars, leg};
use crate::setup::{config, strategy};

#[test]
fn an_order_that_is_cancelled_names_its_last_event() {
    let enters = SignalLeg {
        take_profit_price_e9: Some(150 * E9),
        stop_loss_price_e9: Some(90 * E9),
        ..leg(Intent::EnterLong, 50)
    };
    let leaves = SignalLeg { quantity_e9: None, ..leg(Intent::Exit, 0) };
    let data = bars(&[[100, 99, 100, 1_000]; 6]);
    let config = config(vec![strategy("one", OUTSIDE, &[])]);
    let mut taken: Vec<Event> = Vec::new();
    let mut events = Events::new(|event: &Event| taken.push(event.clone()));
    let mut script = Script::new([(0, enters), (3, leaves)]);
    run_beside(&config, &data, &mut events, &mut script, &mut Uncontrolled).expect("it runs");
    drop(events);
    let of = |event: &Event| event.body.as_ref().and_then(order_of).map(str::to_owned);
    let mut cancelled = 0;
    for (place, event) in taken.iter().enumerate() {
        if let Some(Body::OrderCancelled(_)) = &event.body {
            let before = taken[..place].iter().rev().find(|before| of(before) == of(event));
            let before = before.expect("the order was sent");
            assert!(matches!(before.body, Some(Body::OrderAccepted(_))), "{before:?}");
            assert_eq!(event.causation_id, before.id);
            cancelled += 1;
        }
    }
    assert_eq!(cancelled, 2, "the target and the stop");
}

#[test]
fn exits_stay_while_their_entry_has_bought_nothing_that_is_closed() {
    let waits = SignalLeg {
        order_type: OrderType::Limit.into(),
        limit_price_e9: Some(96 * E9),
        take_profit_price_e9: Some(150 * E9),
        stop_loss_price_e9: Some(90 * E9),
        ..leg(Intent::EnterLong, 20)
    };
    let leaves = SignalLeg { quantity_e9: None, ..leg(Intent::Exit, 0) };
    let data = bars(&[
        [100, 99, 100, 1_000],
        [100, 99, 100, 1_000],
        // What was bought before is sold.
        [100, 99, 100, 1_000],
        [100, 99, 100, 1_000],
        // The entry fills, and then its stop.
        [100, 95, 97, 1_000],
        [97, 89, 92, 1_000],
        [100, 99, 100, 1_000],
    ]);
    let config = config(vec![strategy("one", OUTSIDE, &[])]);
    let mut fills = Vec::new();
    let mut events = Events::new(|event: &Event| {
        if let Some(Body::Fill(fill)) = &event.body {
            fills.push(signed(fill.side(), Quantity(fill.quantity_e9)).0 / E9);
        }
    });
    let mut script = Script::new([(0, leg(Intent::EnterLong, 50)), (1, waits), (2, leaves)]);
    run_beside(&config, &data, &mut events, &mut script, &mut Uncontrolled).expect("it runs");
    drop(events);
    assert_eq!(fills, [50, -50, 20, -20]);
}
