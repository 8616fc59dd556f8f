//! The long lists: every row once, whichever way they are turned, and from an index.

use projections::queries::{self, DecisionFilter, OrderFilter, Turn};
use sqlx::Row as _;

use crate::rows::fill;
use crate::support::{Outcome, START, World};

#[tokio::test]
async fn every_order_comes_once_whichever_way_the_list_is_turned() -> Outcome {
    let world = World::new().await;
    fill(&world.admin, 995).await?;
    let filter = OrderFilter { strategy: Some("strategy3".to_owned()), ..OrderFilter::default() };
    let (mut down, mut turn) = (Vec::new(), Turn::Newest);
    let mut last = None;
    loop {
        let part = queries::list_orders(&world.reader, &filter, turn, 10).await?;
        assert!((1..=12).contains(&part.rows.len()));
        assert_eq!(part.newer.is_some(), turn != Turn::Newest);
        down.extend(part.rows.iter().map(|row| row.order_id.clone()));
        last = part.rows.last().cloned().or(last);
        let Some(older) = part.older else { break };
        turn = Turn::Before(older);
    }
    let expected: i64 = sqlx::query("SELECT count(*) FROM trading.orders WHERE strategy = 'strategy3'")
        .fetch_one(&world.admin)
        .await?
        .get(0);
    assert_eq!(i64::try_from(down.len())?, expected);
    let unique: std::collections::BTreeSet<&String> = down.iter().collect();
    assert_eq!(unique.len(), down.len());
    // And back up again, from behind the oldest one.
    let oldest = last.unwrap();
    let behind = queries::Cursor { time_ns: oldest.approved_ns, sequence: oldest.first_sequence - 1 };
    let (mut up, mut turn) = (Vec::new(), Turn::After(behind));
    loop {
        let part = queries::list_orders(&world.reader, &filter, turn, 10).await?;
        up.extend(part.rows.iter().rev().map(|row| row.order_id.clone()));
        let Some(newer) = part.newer else { break };
        turn = Turn::After(newer);
    }
    up.sort();
    down.sort();
    assert_eq!(up, down);
    Ok(())
}

#[tokio::test]
async fn filters_meet() -> Outcome {
    let world = World::new().await;
    fill(&world.admin, 2_000).await?;
    let text = |value: &str| Some(value.to_owned());
    let filter = OrderFilter {
        status: text("filled"),
        side: text("sell"),
        account: text("paper"),
        from_ns: Some(START + 50_000),
        to_ns: Some(START + 60_000),
        ..OrderFilter::default()
    };
    let rows = queries::list_orders(&world.reader, &filter, Turn::Newest, 200).await?.rows;
    assert_eq!(rows.len(), 50);
    assert!(rows.iter().all(|row| row.side == "sell" && row.status == "filled" && row.account == "paper"));
    assert!(rows.iter().all(|row| (START + 50_000..START + 60_000).contains(&row.approved_ns)));
    assert_eq!(rows[0].slippage.unwrap().to_string(), "0.25");
    let open = OrderFilter { open: Some(true), ..OrderFilter::default() };
    assert_eq!(queries::list_orders(&world.reader, &open, Turn::Newest, 200).await?.rows.len(), 20);
    let denied =
        DecisionFilter { rule: text("max_position"), up_to: Some(1_000), ..DecisionFilter::default() };
    let rows = queries::list_decisions(&world.reader, &denied, Turn::Newest, 200).await?.rows;
    assert_eq!(rows.iter().map(|row| row.sequence).collect::<Vec<_>>(), [1_000, 500]);
    Ok(())
}

/// A rebuilt schema has the indexes of the live one: whoever adds one adds it to both.
#[tokio::test]
async fn a_rebuilt_schema_has_the_same_indexes() -> Outcome {
    let world = World::new().await;
    sqlx::query("SELECT projection.create_trading('trading_again')").execute(&world.admin).await?;
    let indexes = async |schema: &str| -> Result<Vec<String>, sqlx::Error> {
        let rows = sqlx::query("SELECT indexdef FROM pg_indexes WHERE schemaname = $1 ORDER BY indexdef")
            .bind(schema)
            .fetch_all(&world.admin)
            .await?;
        let rows = rows.iter().map(|row| row.get::<String, _>(0));
        let mut rows: Vec<String> = rows.map(|text| text.replace("trading_again.", "trading.")).collect();
        rows.sort();
        Ok(rows)
    };
    assert_eq!(indexes("trading_again").await?, indexes("trading").await?);
    Ok(())
}
