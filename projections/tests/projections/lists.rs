//! The long lists: every row once, whichever way they are turned, and from an index.

use std::time::Instant;

use projections::queries::{self, DecisionFilter, FillFilter, OrderFilter, SignalFilter, Turn};
use sqlx::{AssertSqlSafe, PgPool, Row as _};

use crate::support::{Outcome, START, World};

/// Fills the lists with `count` orders, fills, decisions and signals. Orders come in pairs at one place.
async fn fill(pool: &PgPool, count: i64) {
    let statements = format!(
        "INSERT INTO trading.orders SELECT
            lpad(to_hex(i), 24, '0'), CASE WHEN i % 50 = 0 THEN 'other' ELSE 'paper' END,
            'strategy' || i % 7, 'SYM' || i % 300, CASE WHEN i % 2 = 0 THEN 'buy' ELSE 'sell' END, 'market', 'day',
            10, NULL, NULL, i % 2, false,
            CASE WHEN i > {count} - 20 THEN 'accepted' WHEN i % 1000 = 0 THEN 'rejected' ELSE 'filled' END,
            i <= {count} - 20, false, 10, 1, 1000, 1, '[]', 100, 'c', 'simulated', 'b', '', 's' || i, 'd', 'r', '',
            i, {START} + i / 10 * 1000, NULL, NULL, NULL, {START}, i / 2, i
         FROM generate_series(1, {count}) i;
         INSERT INTO trading.fills SELECT
            i, 'f' || i, {START} + i / 10 * 1000, lpad(to_hex(i), 24, '0'), 1, 'paper', 'strategy' || i % 7,
            'SYM' || i % 300, 'buy', 10, 100, 1, 0.25, 0, 0, 'x', NULL, 'c'
         FROM generate_series(1, {count}) i;
         INSERT INTO trading.risk_decisions SELECT
            i, 'd' || i, {START} + i / 10 * 1000, 'paper', 'strategy' || i % 7, 'SYM' || i % 300, 's' || i,
            CASE WHEN i % 500 = 0 THEN 'denied' ELSE 'approved' END,
            CASE WHEN i % 500 = 0 THEN 'max_position' ELSE '' END, '', '[]', '[]'
         FROM generate_series(1, {count}) i;
         INSERT INTO trading.signals SELECT
            i, 's' || i, {START} + i / 10 * 1000, 'strategy' || i % 7, 'SYM' || i % 300, 'enter_long', '[]', '[]',
            '', 'c', 'b'
         FROM generate_series(1, {count}) i;
         ANALYZE trading.orders; ANALYZE trading.fills; ANALYZE trading.risk_decisions; ANALYZE trading.signals;"
    );
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(pool).await.unwrap();
}

#[tokio::test]
async fn every_order_comes_once_whichever_way_the_list_is_turned() -> Outcome {
    let world = World::new().await;
    fill(&world.admin, 995).await;
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
    fill(&world.admin, 2_000).await;
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

/// Every kind of question to lists of a million rows each; prints the slowest and the 95th percentile.
#[tokio::test]
#[ignore = "fills four million rows; cargo nextest run -p projections --run-ignored only a_page_of_a_million"]
#[expect(clippy::print_stdout, reason = "a measurement tells what it measured")]
async fn a_page_of_a_million_rows_takes_less_than_100_ms() -> Outcome {
    let world = World::new().await;
    fill(&world.admin, 1_000_000).await;
    let text = |value: &str| Some(value.to_owned());
    let deep = Turn::Before(queries::Cursor { time_ns: START + 30_000_000, sequence: 150_000 });
    let orders = [
        OrderFilter::default(),
        OrderFilter { open: Some(true), ..OrderFilter::default() },
        OrderFilter { status: text("rejected"), ..OrderFilter::default() },
        OrderFilter { account: text("other"), ..OrderFilter::default() },
        OrderFilter { symbol: text("SYM7"), ..OrderFilter::default() },
        OrderFilter { symbol: text("NONE"), ..OrderFilter::default() },
        OrderFilter { strategy: text("strategy2"), status: text("rejected"), ..OrderFilter::default() },
        OrderFilter {
            from_ns: Some(START + 1_000),
            to_ns: Some(START + 2_000_000),
            ..OrderFilter::default()
        },
        OrderFilter { side: text("sell"), symbol: text("SYM9"), ..OrderFilter::default() },
    ];
    let mut spans = Vec::new();
    for _ in 0..10 {
        for turn in [Turn::Newest, deep] {
            for filter in &orders {
                let began = Instant::now();
                queries::list_orders(&world.reader, filter, turn, 50).await?;
                spans.push(began.elapsed());
            }
            for symbol in [None, text("SYM5"), text("NONE")] {
                let began = Instant::now();
                let filter = FillFilter { symbol: symbol.clone(), ..FillFilter::default() };
                queries::list_fills(&world.reader, &filter, turn, 50).await?;
                spans.push(began.elapsed());
                let began = Instant::now();
                let filter = DecisionFilter {
                    verdict: text("denied"),
                    symbol: symbol.clone(),
                    ..DecisionFilter::default()
                };
                queries::list_decisions(&world.reader, &filter, turn, 50).await?;
                spans.push(began.elapsed());
                let began = Instant::now();
                let filter = SignalFilter { symbol, ..SignalFilter::default() };
                queries::list_signals(&world.reader, &filter, turn, 50).await?;
                spans.push(began.elapsed());
            }
        }
    }
    spans.sort();
    let (p95, most) = (spans[spans.len() * 95 / 100], spans[spans.len() - 1]);
    println!("{} pages: p95 {p95:?}, slowest {most:?}", spans.len());
    assert!(p95.as_millis() < 100, "p95 is {p95:?}");
    Ok(())
}

#[tokio::test]
async fn records_of_a_long_tape_are_read_once_and_then_carried_on() -> Outcome {
    let world = World::new().await;
    fill(&world.admin, 60_000).await;
    let mut records = queries::TrackRecords::default();
    let whole = Instant::now();
    records.advance(&world.reader).await?;
    let whole = whole.elapsed();
    let counted = |name: &str| (records.of(name).orders, records.of(name).fills);
    assert_eq!(counted("strategy3"), (8_572, 8_572));
    let more = Instant::now();
    records.advance(&world.reader).await?;
    let more = more.elapsed();
    println!("60,000 orders and fills: {whole:?}, nothing new: {more:?}");
    assert!(more < whole / 20, "nothing new took {more:?}, everything {whole:?}");
    Ok(())
}
