//! The projection `bars`.

use contracts::v1::event::Body;
use contracts::v1::{BarRevision, Event, Origin};
use domain::bar::Timeframe;
use domain::money::Price;
use projections::{Name, queries};

use crate::support::{HOUR, Outcome, Running, SECOND, START, World, bar, event};

/// Other values of the close of a bar, in an event of that time.
pub fn revision(of: &Event, close_e9: i64, at_ns: i64) -> Event {
    let Some(Body::Bar(mut restated)) = of.body.clone() else { panic!("not a bar") };
    restated.close_e9 = close_e9;
    let revision = BarRevision { bar: Some(restated), revises: of.id.clone() };
    event(&format!("revision/{}/{close_e9}", of.id), at_ns, Body::BarRevision(revision))
}

#[tokio::test]
async fn bars_are_exact_and_revisions_keep_what_they_replace() -> Outcome {
    let world = World::new().await;
    let first = bar("BRK.B", START, 123_456_789_012);
    let second = bar("BRK.B", START + HOUR, 124 * SECOND);
    world.append(first.clone(), None).await;
    world.append(second, None).await;
    // Known a week later: the bar is found by its start.
    let revised = world.append(revision(&first, 99 * SECOND, START + 168 * HOUR), None).await;
    let again = world.append(revision(&first, 98 * SECOND, START + 169 * HOUR), None).await;
    world.catch_up(Name::Bars).await;

    let symbols = ["BRK.B".to_owned()];
    let read = |as_of| queries::history(&world.reader, &symbols, Some(Timeframe::H1), as_of, 10);
    let closes = |history: queries::History| history.bars.iter().map(|row| row.bar.close).collect::<Vec<_>>();
    assert_eq!(closes(read(1).await?), [Price(123_456_789_012)]);
    assert_eq!(closes(read(2).await?), [Price(123_456_789_012), Price(124 * SECOND)]);
    assert_eq!(closes(read(revised).await?), [Price(99 * SECOND), Price(124 * SECOND)]);
    assert_eq!(closes(read(again).await?), [Price(98 * SECOND), Price(124 * SECOND)]);
    assert_eq!(world.count("bars.bars").await, 2);
    assert_eq!(world.count("bars.revisions").await, 2);

    let history = queries::history(&world.reader, &["BRK.B".to_owned()], None, 2, 1).await?;
    assert_eq!(history.checkpoint, again);
    assert_eq!(history.bars.len(), 1);
    assert_eq!((history.bars[0].bar.close, history.bars[0].sequence), (Price(124 * SECOND), 2));
    let prices = queries::last_prices(&world.reader).await?;
    assert_eq!((prices.checkpoint, prices.prices.len()), (again, 1));
    assert_eq!(prices.prices[0].previous_close, Some(Price(98 * SECOND)));
    let json = serde_json::to_value(&prices.prices[0])?;
    assert_eq!(json["close"], "124");
    Ok(())
}

/// Enough bars for COPY, a revision among them, and the same interval stated twice.
async fn many(world: &World, symbols: &[&str], count: i64) -> Outcome {
    for index in 0..count {
        for symbol in symbols {
            world.append(bar(symbol, START + index * HOUR, 100 * SECOND + index), None).await;
        }
        if index == count / 2 {
            let old = bar(symbols[0], START + (index - 1) * HOUR, 100 * SECOND + index - 1);
            world.append(revision(&old, 77 * SECOND, START + index * HOUR), None).await;
            let mut twice = old;
            twice.id = "another source".replace(' ', "-");
            world.append(twice, None).await;
        }
    }
    Ok(())
}

#[tokio::test]
async fn copied_bars_equal_bars_written_one_by_one() -> Outcome {
    let world = World::new().await;
    // One by one: the projection follows while the bars are appended.
    let running = Running::start(&world, &[Name::Bars]);
    many(&world, &["A", "B"], 60).await?;
    world.wait(Name::Bars).await;
    running.stop().await;
    let slowly = world.rows("bars").await;
    // At once: the same stream in as few batches as there are.
    sqlx::query("TRUNCATE bars.bars, bars.revisions, bars.series, projection.checkpoints")
        .execute(&world.admin)
        .await?;
    world.catch_up(Name::Bars).await;
    assert_eq!(world.rows("bars").await, slowly);
    assert_eq!(world.count("bars.revisions").await, 2);
    Ok(())
}

/// The first bar of A as it was known before an instant.
async fn first_known(
    world: &World,
    before_ns: i64,
) -> Result<queries::BarRow, Box<dyn std::error::Error + Send + Sync>> {
    let closes = START..START + 2 * HOUR;
    let rows = queries::known_bars(&world.reader, "A", Timeframe::H1, closes, 1, Some(before_ns)).await?;
    Ok(rows.into_iter().next().ok_or("no bar")?)
}

#[tokio::test]
async fn a_version_is_whole_and_known_behind_what_stands_before_it() -> Outcome {
    let world = World::new().await;
    let close = |hour: i64| START + (hour + 1) * HOUR;
    let mut first = bar("A", START, 100 * SECOND);
    if let Some(Body::Bar(bar)) = &mut first.body {
        bar.vwap_e9 = Some(99 * SECOND);
        bar.origin = Origin::Import.into();
    }
    let stated = world.append(first.clone(), None).await;
    world.append(bar("A", START + HOUR, 100 * SECOND), None).await;
    // Another source states the bar, then a revision whose own time is later than any bar's, then one that is not.
    let mut other = bar("A", START, 90 * SECOND);
    other.id = "other".to_owned();
    let second = world.append(other, None).await;
    world.append(bar("A", START + 2 * HOUR, 100 * SECOND), None).await;
    world.append(revision(&first, 80 * SECOND, close(9)), None).await;
    let third = world.append(revision(&first, 70 * SECOND, close(0)), None).await;
    world.catch_up(Name::Bars).await;
    for (before_ns, close_e9, vwap, origin, sequence) in [
        (close(1), 100, Some(Price(99 * SECOND)), "import", stated),
        (close(1) + 1, 90, None, "rehearsal", second),
        (close(2), 90, None, "rehearsal", second),
        (close(2) + 1, 70, Some(Price(99 * SECOND)), "import", third),
        // What was known later and stands before it on the tape is no newer version.
        (close(9) + 1, 70, Some(Price(99 * SECOND)), "import", third),
    ] {
        let row = first_known(&world, before_ns).await?;
        let found = (row.close, row.vwap, row.origin.as_str(), row.sequence);
        assert_eq!(found, (Price(close_e9 * SECOND), vwap, origin, sequence), "{before_ns}");
        assert_eq!((row.first_sequence, row.start_ns), (stated, START));
    }
    let report = projections::verify(&world.writer, &world.tape, Name::Bars).await?;
    assert_eq!((report.differences(), report.first), (0, None));
    Ok(())
}

#[tokio::test]
async fn bars_that_come_again_by_the_thousand_restate_and_never_fail() -> Outcome {
    let world = World::new().await;
    for index in 0..600 {
        world.append(bar("A", START + index * HOUR, 100 * SECOND), None).await;
    }
    world.catch_up(Name::Bars).await;
    // COPY meets keys that are there, and gives way to the statement that restates them.
    for index in 0..700 {
        let mut again = bar("A", START + index * HOUR, 101 * SECOND);
        again.id = format!("again-{index}");
        world.append(again, None).await;
    }
    world.catch_up(Name::Bars).await;
    assert_eq!(world.count("bars.bars").await, 700);
    assert_eq!(world.count("bars.revisions").await, 600);
    assert_eq!(queries::series(&world.reader).await?[0].bars, 700);
    let report = projections::verify(&world.writer, &world.tape, Name::Bars).await?;
    assert_eq!((report.differences(), report.first), (0, None));
    Ok(())
}

/// What PostgreSQL has read of an index of `bars` since the statistics began.
async fn entries_read(world: &World) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT COALESCE(sum(pg_stat_get_tuples_returned(oid)), 0)::bigint FROM pg_class
         WHERE relkind = 'i' AND relnamespace = 'bars'::regnamespace",
    )
    .fetch_one(&world.admin)
    .await
}

#[tokio::test]
async fn looking_back_from_the_last_live_bar_ends_where_live_bars_begin() -> Outcome {
    let world = World::new().await;
    for index in 0..2_000 {
        let mut imported = bar("A", START + index * HOUR, 100 * SECOND);
        if let Some(Body::Bar(bar)) = &mut imported.body
            && index < 1_997
        {
            bar.origin = Origin::Import.into();
        }
        world.append(imported, None).await;
    }
    world.catch_up(Name::Bars).await;
    sqlx::query("ANALYZE bars.bars").execute(&world.admin).await?;

    // A session tells what it has read when it ends, so the reading has one of its own.
    let pool = sqlx::PgPool::connect_with(world.reader.connect_options().as_ref().clone()).await?;
    let before = entries_read(&world).await?;
    let (checkpoint, bars) = queries::decision_history(&pool, 60).await?;
    pool.close().await;
    let starts: Vec<i64> = bars.iter().map(|(_, bar)| bar.start_ns).collect();
    assert_eq!((checkpoint, starts), (2_000, (1_997..2_000).map(|index| START + index * HOUR).collect()));
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let read = entries_read(&world).await? - before;
    assert!(read < 100, "{read} entries were read for three bars");
    Ok(())
}

#[tokio::test]
async fn a_bar_that_was_made_of_others_prices_no_decision() -> Outcome {
    let world = World::new().await;
    world.append(bar("A", START, 100 * SECOND), None).await;
    let mut made = bar("A", START - HOUR, 90 * SECOND);
    if let Some(Body::Bar(bar)) = &mut made.body {
        "1m".clone_into(&mut bar.made_of);
        "5m".clone_into(&mut bar.timeframe);
    }
    made.event_time = Some(contracts::to_timestamp(START + 2 * HOUR));
    world.append(made, None).await;
    world.catch_up(Name::Bars).await;
    let prices = queries::decision_prices(&world.reader).await?;
    assert_eq!(prices.prices, [("A".to_owned(), Price(100 * SECOND), START + HOUR)]);
    let (_, history) = queries::decision_history(&world.reader, 60).await?;
    assert_eq!(history.iter().map(|(_, bar)| bar.close_ns).collect::<Vec<_>>(), [START + HOUR]);
    assert_eq!(world.count("bars.bars").await, 2);
    Ok(())
}
