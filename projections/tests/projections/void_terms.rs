//! An order that ends before it gets the new terms that risk has approved.

use contracts::v1::event::Body;
use contracts::v1::{OrderCancelled, OrderReplaceRejected, OrderSpec, OrderType, Side};
use projections::{Name, queries};

use crate::support::{
    HOUR, Outcome, SECOND, START, World, accepted, approved, of_order, signal, spec, submitted,
};

#[tokio::test]
async fn it_is_loaded_until_it_is_recorded_that_these_are_void() -> Outcome {
    let world = World::new().await;
    let order = OrderSpec {
        limit_price_e9: Some(90 * SECOND),
        order_type: OrderType::Limit.into(),
        ..spec("dddddddddddddddddddddddd", "IBM", Side::Buy, 10)
    };
    let (first, second) = (signal("sma", "IBM", START), signal("sma", "IBM", START + HOUR));
    world.append(first.clone(), None).await;
    world.append(approved(&first, vec![order.clone()], START), None).await;
    world.append(submitted(&order, START), None).await;
    world.append(accepted(&order, START), Some(&order)).await;
    world.append(second.clone(), None).await;
    let terms = OrderSpec { quantity_e9: 5 * SECOND, revision: 1, ..order.clone() };
    world.append(approved(&second, vec![terms], START + HOUR), None).await;
    let (order_id, reason) = (order.order_id.clone(), "asked".to_owned());
    let cancelled = Body::OrderCancelled(OrderCancelled { order_id, reason });
    world.append(of_order(&order, "cancelled", START + HOUR, cancelled), Some(&order)).await;
    world.catch_up(Name::Trading).await;
    let book = queries::load_book(&world.reader).await?;
    let ended: Vec<_> = book.ended_orders().collect();
    assert_eq!(ended.len(), 1);
    let asked = ended[0].replace.as_ref().unwrap();
    assert_eq!((asked.revision, asked.quantity.0, asked.requested), (1, 5 * SECOND, false));

    let (order_id, reason) = (order.order_id.clone(), "it is cancelled".to_owned());
    let void = Body::OrderReplaceRejected(OrderReplaceRejected { order_id, reason, revision: 1 });
    world.append(of_order(&order, "replace_rejected", START + HOUR, void), Some(&order)).await;
    world.catch_up(Name::Trading).await;
    assert_eq!(queries::load_book(&world.reader).await?.ended_orders().count(), 0);
    Ok(())
}
