//! What the strategies' pages ask: track records carried on, reports, what was denied today.

use std::time::Instant;

use contracts::v1::event::Body;
use contracts::v1::{
    AccountEntry, AccountMarked, EntryKind, Event, RiskDecision, RiskInput, Side, StrategyRemoved, Verdict,
};
use projections::queries::{self, TrackRecord, TrackRecords};
use projections::{Name, strategy_reports};

use crate::support::{
    HOUR, Outcome, SECOND, START, World, accepted, approved, chain, event, fill, marked, money, registered,
    signal, spec, submitted,
};

/// Sells what is left of the chain's position: 5 shares, seven for one in between.
async fn close(world: &World) {
    let split = AccountEntry {
        account: "paper".to_owned(),
        kind: EntryKind::Split.into(),
        strategy: "sma".to_owned(),
        symbol: "BRK.B".to_owned(),
        quantity_after_e9: 35 * SECOND,
        amount: money(0),
        action_id: "split".to_owned(),
        ..AccountEntry::default()
    };
    world.append(event("split", START + 6 * HOUR, Body::AccountEntry(split)), None).await;
    let last = signal("sma", "BRK.B", START + 6 * HOUR);
    world.append(last.clone(), None).await;
    let sell = spec("fedcba9876543210fedcba98", "BRK.B", Side::Sell, 35);
    world.append(approved(&last, vec![sell.clone()], START + 6 * HOUR), None).await;
    world.append(submitted(&sell, START + 6 * HOUR), None).await;
    world.append(accepted(&sell, START + 6 * HOUR), Some(&sell)).await;
    world.append(fill(&sell, 1, 35, 16 * SECOND, START + 7 * HOUR), None).await;
}

#[tokio::test]
async fn a_record_that_is_carried_on_is_that_of_the_whole_tape() -> Outcome {
    let world = World::new().await;
    chain(&world).await;
    world.catch_up(Name::Trading).await;
    let mut records = TrackRecords::default();
    records.advance(&world.reader).await?;
    let open = TrackRecord { approved: 2, orders: 2, fills: 3, ..TrackRecord::default() };
    assert_eq!(records.of("sma"), open);
    assert_eq!(records.of("nobody"), TrackRecord::default());
    close(&world).await;
    world.catch_up(Name::Trading).await;
    let before = records.sequence();
    records.advance(&world.reader).await?;
    assert!(records.sequence() > before);
    let closed = TrackRecord {
        approved: 3,
        orders: 3,
        fills: 4,
        round_trips: 1,
        round_trips_won: 1,
        hit_rate: Some(1.0),
        ..TrackRecord::default()
    };
    assert_eq!(records.of("sma"), closed);
    let mut again = TrackRecords::default();
    again.advance(&world.reader).await?;
    assert_eq!((again.of("sma"), again.sequence()), (closed.clone(), records.sequence()));
    // Read up to a sequence they are those of then.
    let mut then = TrackRecords::default();
    then.advance_to(&world.reader, records.sequence()).await?;
    assert_eq!(then.of("sma"), closed);
    let mut first = TrackRecords::default();
    first.advance_to(&world.reader, 1).await?;
    assert_eq!(first.of("sma"), TrackRecord::default());
    Ok(())
}

#[tokio::test]
async fn a_report_joins_read_model_record_parameters_and_consumer() -> Outcome {
    let world = World::new().await;
    chain(&world).await;
    world.append(registered("other"), None).await;
    let removed =
        StrategyRemoved { strategy: "other".to_owned(), actor: "test".to_owned(), reason: String::new() };
    world.append(event("removed", START + 6 * HOUR, Body::StrategyRemoved(removed)), None).await;
    world.append(crate::support::bar("SPY", START, 100 * SECOND), None).await;
    world.catch_up(Name::Trading).await;
    let mut records = TrackRecords::default();
    records.advance(&world.reader).await?;
    let reports = strategy_reports(&world.reader, &world.tape, &records).await?;
    let told: Vec<_> = reports.iter().map(|report| (&*report.row.strategy, &*report.state)).collect();
    assert_eq!(told, [("other", "removed"), ("sma", "paper")]);
    let sma = &reports[1];
    let last = queries::signals(&world.reader, &Default::default(), None, 1).await?.rows.remove(0);
    assert_eq!(sma.row.last_signal_id.as_ref(), Some(&last.event_id));
    assert_eq!(sma.row.last_signal_sequence, Some(last.sequence));
    assert_eq!((sma.record.orders, sma.settings[0].value.as_str()), (2, "10"));
    let lag = sma.subscription.lag.expect("the built-in strategies' consumer is there");
    assert_eq!((lag.pending, lag.ack_pending, lag.ack_floor), (1, 0, 0));
    assert_eq!(reports[0].subscription.lag, None, "nothing is delivered to who was removed");
    Ok(())
}

fn denied(number: i64, rule: &str) -> Event {
    let cause = signal("sma", "IBM", START + number);
    let decision = RiskDecision {
        account: "paper".to_owned(),
        strategy: "sma".to_owned(),
        signal_id: cause.id,
        verdict: Verdict::Denied.into(),
        rule: rule.to_owned(),
        reason: format!("reason {number}"),
        inputs: vec![RiskInput { symbol: "IBM".to_owned(), ..RiskInput::default() }],
        ..RiskDecision::default()
    };
    event(&format!("denied/{number}"), START + number, Body::RiskDecision(decision))
}

#[tokio::test]
async fn a_record_says_what_risk_denied_and_by_which_rule_most() -> Outcome {
    let world = World::new().await;
    let mut records = TrackRecords::default();
    for (number, rule) in [(1, "daily_loss"), (2, "max_position"), (3, "max_position")] {
        world.append(denied(number, rule), None).await;
    }
    world.catch_up(Name::Trading).await;
    records.advance(&world.reader).await?;
    let record = records.of("sma");
    assert_eq!((record.approved, record.denied), (0, 3));
    assert_eq!(record.denied_most_by.as_deref(), Some("max_position"));
    // Carried on it is what it would be from the start.
    for number in [4, 5] {
        world.append(denied(number, "daily_loss"), None).await;
    }
    world.catch_up(Name::Trading).await;
    records.advance(&world.reader).await?;
    let mut again = TrackRecords::default();
    again.advance(&world.reader).await?;
    assert_eq!(records.of("sma"), again.of("sma"));
    assert_eq!(records.of("sma").denied_most_by.as_deref(), Some("daily_loss"));
    Ok(())
}

#[tokio::test]
async fn denials_are_counted_by_rule_since_the_session_began() -> Outcome {
    let world = World::new().await;
    world.append(denied(1, "max_position"), None).await;
    world.catch_up(Name::Trading).await;
    assert!(queries::denials_today(&world.reader, "paper").await?.is_empty(), "no session has begun");
    let mut mark = marked("paper", START + HOUR, 100_000, &[]);
    if let Some(Body::AccountMarked(AccountMarked { session_start, .. })) = &mut mark.body {
        *session_start = true;
    }
    world.append(mark, None).await;
    for (number, rule) in [(2, "max_position"), (3, "daily_loss"), (4, "max_position")] {
        world.append(denied(number, rule), None).await;
    }
    world.append(marked("paper", START + 2 * HOUR, 100_000, &[]), None).await;
    world.catch_up(Name::Trading).await;
    let found = queries::denials_today(&world.reader, "paper").await?;
    let told: Vec<_> = found.iter().map(|row| (&*row.rule, row.denials, &*row.reason)).collect();
    assert_eq!(told, [("max_position", 2, "reason 4"), ("daily_loss", 1, "reason 3")]);
    assert_eq!(found[0].event_id, denied(4, "max_position").id);
    assert!(queries::denials_today(&world.reader, "other").await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn records_of_a_long_tape_are_read_once_and_then_carried_on() -> Outcome {
    let world = World::new().await;
    crate::rows::fill(&world.admin, 60_000).await?;
    let mut records = TrackRecords::default();
    let began = Instant::now();
    records.advance(&world.reader).await?;
    let whole = began.elapsed();
    let record = records.of("strategy3");
    assert_eq!((record.orders, record.fills), (8_572, 8_572));
    let began = Instant::now();
    records.advance(&world.reader).await?;
    let more = began.elapsed();
    assert!(more < whole / 20, "nothing new took {more:?}, everything {whole:?}");
    Ok(())
}
