//! Bars as charts show them.

use contracts::v1::event::Body;
use contracts::v1::{ActionKind, CorporateAction};
use domain::bar::Timeframe;
use domain::calendar::{Calendar, Market};
use domain::corporate_action::Adjustment;
use domain::money::Price;
use projections::{Name, queries};

use crate::bars::revision;
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
        known_before_ns: None,
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

/// The close of the last bar of a day of [`three_days`].
fn end_of(day: i64) -> i64 {
    START + day * DAY + 4 * HOUR
}

/// Three days, of which bars are revised behind the last bar of the second and of the third day, and a bar before them
/// that is told last.
async fn revised_days(world: &World) {
    for day in 0..3 {
        for hour in 0..4 {
            let base = if day == 0 { 100 } else { 50 };
            world.append(bar("A", START + day * DAY + hour * HOUR, (base + hour) * SECOND), None).await;
        }
        let first = bar("A", START, 100 * SECOND);
        match day {
            1 => {
                world.append(revision(&first, 80 * SECOND, START + HOUR), None).await;
            }
            2 => {
                world.append(revision(&first, 60 * SECOND, START + HOUR), None).await;
                let last = bar("A", end_of(1) - HOUR, 53 * SECOND);
                world.append(revision(&last, 106 * SECOND, end_of(1)), None).await;
            }
            _ => {}
        }
    }
    world.append(bar("A", START - HOUR, 40 * SECOND), None).await;
    world.append(action("2024-01-03", ActionKind::Split, 2 * SECOND), None).await;
    world.append(action("2024-01-04", ActionKind::Dividend, 53 * SECOND / 10), None).await;
    for name in [Name::Bars, Name::Calendar] {
        world.catch_up(name).await;
    }
}

async fn known(
    world: &World,
    adjustment: Adjustment,
    known_before_ns: Option<i64>,
) -> Result<queries::AdjustedBars, queries::AdjustedError> {
    let asked = queries::BarsWanted { known_before_ns, ..wanted(adjustment, &[2]) };
    queries::adjusted_bars(&world.reader, &asked, 100).await
}

#[tokio::test]
async fn a_series_is_read_as_it_was_known() -> Outcome {
    let world = World::new().await;
    revised_days(&world).await;
    let read = |adjustment, before_ns| known(&world, adjustment, before_ns);
    let split = |before_ns| known(&world, Adjustment::Split, Some(before_ns));
    // What is not over is not there, the split of the day after does nothing yet; what was told late was known.
    let first = split(end_of(0)).await?;
    assert_eq!((closes(&first), first.basis), (vec![102, 101, 100, 40], 0));
    assert_eq!(first.bars[2].sma, [Some(Price(70 * SECOND))]);
    // The revision stands behind the last bar of the second day: who decided on that bar had not read it.
    assert_eq!(closes(&split(end_of(1)).await?), [52, 51, 50, 51, 51, 50, 50, 20]);
    let second = split(end_of(1) + 1).await?;
    assert_eq!(closes(&second), [53, 52, 51, 50, 51, 51, 50, 40, 20]);
    assert_eq!(second.bars[7].sma, [Some(Price(30 * SECOND))]);
    assert_eq!(closes(&split(end_of(2)).await?), [52, 51, 50, 53, 52, 51, 50, 51, 51, 50, 40, 20]);
    let newest = split(end_of(2) + 1).await?;
    assert_eq!(closes(&newest), [53, 52, 51, 50, 106, 52, 51, 50, 51, 51, 50, 30, 20]);
    assert_eq!(newest, read(Adjustment::Split, None).await?);
    // A dividend is measured by the close before it as it was known: 53, and 106 since.
    let total = read(Adjustment::TotalReturn, Some(end_of(2))).await?;
    assert_eq!(total.bars[3].bar.close, Price(53 * SECOND * 9 / 10));
    let total = read(Adjustment::TotalReturn, None).await?;
    assert_eq!(total.bars[4].bar.close, Price(106 * SECOND * 95 / 100));
    assert_eq!(closes(&read(Adjustment::Raw, Some(START + 1)).await?), [40]);
    assert!(split(START).await?.bars.is_empty());
    Ok(())
}

#[tokio::test]
async fn days_and_series_are_read_as_they_were_known() -> Outcome {
    let world = World::new().await;
    revised_days(&world).await;
    let before_ns = Some(end_of(1) + 1);
    let days = queries::daily_bars(&world.reader, "A", Timeframe::H1, 0, Calendar::xnys(), before_ns).await?;
    let shown: Vec<_> = days.iter().map(|day| (day.open.0, day.low.0, day.close.0 / SECOND)).collect();
    // The bar that was told last opened the first day; the last of the second day was not revised yet.
    let half = |e9: i64| e9 / 2;
    assert_eq!(shown[0], (half(40 * SECOND - 250_000_000), half(40 * SECOND - 500_000_000), 51));
    assert_eq!((shown.len(), shown[1].2), (2, 53));
    let now = queries::daily_bars(&world.reader, "A", Timeframe::H1, 0, Calendar::xnys(), None).await?;
    assert_eq!((now.len(), now[1].close), (3, Price(106 * SECOND)));
    let series = queries::known_series(&world.reader, "A", before_ns).await?;
    let reach: Vec<_> = series.iter().map(|one| (one.bars, one.first_close_ns, one.last_close_ns)).collect();
    assert_eq!(reach, [(9, START, end_of(1))]);
    assert!(queries::known_series(&world.reader, "A", Some(START)).await?.is_empty());
    assert_eq!(
        queries::known_series(&world.reader, "A", None).await?,
        queries::series_of(&world.reader, "A").await?
    );
    assert_eq!(queries::last_ex_date(before_ns), "2024-01-03");
    Ok(())
}

#[tokio::test]
async fn days_are_made_of_the_bars_of_a_date() -> Outcome {
    let xnys = Calendar::xnys();
    let world = World::new().await;
    three_days(&world).await;
    let days = queries::daily_bars(&world.reader, "A", Timeframe::H1, 0, xnys, None).await?;
    let shown: Vec<_> = days.iter().map(|day| (day.open.0, day.close.0 / SECOND, day.volume.0)).collect();
    let volume = 4 * 1_234_567;
    let open = 50 * SECOND - 250_000_000;
    assert_eq!(shown, [(open + 125_000_000, 51, 2 * volume), (open, 53, volume), (open, 53, volume)]);
    assert_eq!(
        queries::daily_bars(&world.reader, "A", Timeframe::H1, START + DAY, xnys, None).await?.len(),
        2
    );
    let series = queries::series_of(&world.reader, "A").await?;
    assert_eq!(series.iter().map(|series| series.bars).collect::<Vec<_>>(), [12]);
    assert!(queries::daily_bars(&world.reader, "C", Timeframe::H1, 0, xnys, None).await?.is_empty());
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
        let days = queries::daily_bars(&world.reader, "A", Timeframe::H1, 0, calendar, None).await?;
        assert_eq!(days.len(), expected.len(), "{market}");
        for day in days {
            let (opened, closed) = (calendar.date_of(day.start_ns), calendar.date_of(day.close_ns - 1));
            assert_eq!(opened, closed, "{market}");
        }
    }
    Ok(())
}
