//! Bars as charts show them.

use contracts::v1::event::Body;
use contracts::v1::{ActionKind, CorporateAction};
use domain::bar::Timeframe;
use domain::calendar::{Calendar, Market};
use domain::corporate_action::Adjustment;
use domain::money::Price;
use projections::{Name, queries};

use crate::support::{HOUR, Outcome, SECOND, START, World, bar, event};

/// Half past nine in New York on 2024-01-02 is before START, an hourly bar's; a day later is the next session.
const DAY: i64 = 24 * HOUR;

fn action(ex_date: &str, kind: ActionKind, value_e9: i64) -> contracts::v1::Event {
    let action = CorporateAction {
        symbol: "A".into(),
        ex_date: ex_date.into(),
        kind: kind.into(),
        value_e9,
        ..CorporateAction::default()
    };
    event(&format!("action/{ex_date}/{value_e9}"), START, Body::CorporateAction(action))
}

fn wanted(adjustment: Adjustment, averages: &[usize]) -> queries::BarsWanted {
    queries::BarsWanted {
        symbol: "A".to_owned(),
        timeframe: Timeframe::H1,
        adjustment,
        averages: averages.to_vec(),
        indicators: Vec::new(),
        from_ns: i64::MIN,
        to_ns: i64::MAX,
    }
}

fn closes(part: &queries::AdjustedBars) -> Vec<i64> {
    part.bars.iter().map(|bar| bar.bar.close.0 / SECOND).collect()
}

/// Three days of four bars: 100 and more, after a split 50 and more, after a dividend of 5 on 53 the same.
async fn three_days(world: &World) {
    for day in 0..3 {
        for hour in 0..4 {
            let base = if day == 0 { 100 } else { 50 };
            world.append(bar("A", START + day * DAY + hour * HOUR, (base + hour) * SECOND), None).await;
        }
    }
    world.append(bar("B", START, SECOND), None).await;
    world.append(action("2024-01-03", ActionKind::Split, 2 * SECOND), None).await;
    world.append(action("2024-01-04", ActionKind::Dividend, 53 * SECOND / 10), None).await;
    world.append(action("2024-01-05", ActionKind::Split, 10 * SECOND), None).await;
    for name in [Name::Bars, Name::Calendar] {
        world.catch_up(name).await;
    }
}

#[tokio::test]
async fn a_series_is_restated_as_of_its_newest_bar() -> Outcome {
    let world = World::new().await;
    three_days(&world).await;
    let read = async |adjustment| {
        let part = queries::adjusted_bars(&world.reader, &wanted(adjustment, &[]), 100).await?;
        Ok::<_, queries::AdjustedError>(part)
    };
    let raw = read(Adjustment::Raw).await?;
    assert_eq!(closes(&raw), [53, 52, 51, 50, 53, 52, 51, 50, 103, 102, 101, 100]);
    assert_eq!((raw.older, raw.basis), (None, 0));
    let split = read(Adjustment::Split).await?;
    assert_eq!(closes(&split), [53, 52, 51, 50, 53, 52, 51, 50, 51, 51, 50, 50]);
    assert_eq!(split.bars[11].bar.volume.0, 2 * 1_234_567);
    // The split that is still to come counts for nothing, and is not in the basis.
    let total = read(Adjustment::TotalReturn).await?;
    let close = |index: usize| total.bars[index].bar.close;
    assert_eq!((close(0), close(4)), (Price(53 * SECOND), Price(53 * SECOND * 9 / 10)));
    assert_eq!(close(11), Price(45 * SECOND));
    assert_eq!((split.basis, total.basis), (split.basis, split.basis));
    let json = serde_json::to_value(&total.bars[11])?;
    assert_eq!((&json["close"], &json["sma"]), (&"45".into(), &serde_json::json!([])));
    Ok(())
}

#[tokio::test]
async fn parts_make_the_whole_and_averages_know_what_came_before() -> Outcome {
    let world = World::new().await;
    three_days(&world).await;
    let mut asked = wanted(Adjustment::TotalReturn, &[3, 5]);
    let whole = queries::adjusted_bars(&world.reader, &asked, 100).await?.bars;
    assert_eq!(whole[0].sma[0], Some(Price(52 * SECOND)));
    assert_eq!((whole[9].sma[0].is_some(), whole[10].sma[0], whole[8].sma[1]), (true, None, None));
    let mut parts = Vec::new();
    loop {
        let part = queries::adjusted_bars(&world.reader, &asked, 5).await?;
        assert!(part.bars.len() <= 5);
        parts.extend(part.bars);
        let Some(older) = part.older else { break };
        asked.to_ns = older;
    }
    assert_eq!(parts, whole);
    // From some instant on, the averages still reach behind it.
    let (from_ns, to_ns) = (whole[2].bar.close_ns, i64::MAX);
    let range = queries::BarsWanted { from_ns, to_ns, ..asked };
    let range = queries::adjusted_bars(&world.reader, &range, 100).await?;
    assert_eq!((range.bars.as_slice(), range.older), (&whole[..3], None));
    Ok(())
}

#[tokio::test]
async fn days_are_made_of_the_bars_of_a_date() -> Outcome {
    let xnys = Calendar::xnys();
    let world = World::new().await;
    three_days(&world).await;
    let days = queries::daily_bars(&world.reader, "A", Timeframe::H1, 0, xnys).await?;
    let shown: Vec<_> = days.iter().map(|day| (day.open.0, day.close.0 / SECOND, day.volume.0)).collect();
    let volume = 4 * 1_234_567;
    let open = 50 * SECOND - 250_000_000;
    assert_eq!(shown, [(open + 125_000_000, 51, 2 * volume), (open, 53, volume), (open, 53, volume)]);
    assert_eq!(queries::daily_bars(&world.reader, "A", Timeframe::H1, START + DAY, xnys).await?.len(), 2);
    let series = queries::series_of(&world.reader, "A").await?;
    assert_eq!(series.iter().map(|series| series.bars).collect::<Vec<_>>(), [12]);
    assert!(queries::daily_bars(&world.reader, "C", Timeframe::H1, 0, xnys).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn the_date_of_a_row_is_that_of_the_calendar() -> Outcome {
    let world = World::new().await;
    // From a Thursday to the Monday after the night in which New York's clocks change: 2024-03-07 to 11, hour by hour.
    let first = 1_709_769_600 * SECOND;
    let starts: Vec<i64> = (0..120).map(|hour| first + hour * HOUR).collect();
    for start in &starts {
        world.append(bar("A", *start, 100 * SECOND), None).await;
    }
    world.catch_up(Name::Bars).await;
    for market in Market::ALL {
        let calendar = market.calendar();
        let mut expected: Vec<_> = starts.iter().map(|start| calendar.date_of(*start).to_string()).collect();
        expected.dedup();
        assert_eq!(queries::bar_dates(&world.reader, "A", "1h", calendar).await?, expected, "{market}");
        let days = queries::daily_bars(&world.reader, "A", Timeframe::H1, 0, calendar).await?;
        assert_eq!(days.len(), expected.len(), "{market}");
        for day in days {
            let (opened, closed) = (calendar.date_of(day.start_ns), calendar.date_of(day.close_ns - 1));
            assert_eq!(opened, closed, "{market}");
        }
    }
    Ok(())
}
