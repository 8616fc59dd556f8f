//! Limits, breakers, kill switches and the monitor's measurements as rows, and the book that comes back from them.

use contracts::v1::event::Body;
use contracts::v1::*;
use domain::book::{Book, Scope};
use domain::risk::fields;
use event_log::Delivery;
use projections::{Name, queries};

use crate::support::{HOUR, Outcome, START, World, approved, chain, event, signal, spec};

fn stated(scope: Scope, version: u64, named: &[(&str, &str)]) -> Body {
    let mut limits = TradeLimits::default();
    for (name, value) in named {
        fields::state(&mut limits, name, value).unwrap();
    }
    Body::LimitsSet(LimitsSet {
        scope: Some(scope.to_wire()),
        version,
        limits: Some(limits),
        actor: "ann".to_owned(),
        reason: "first week".to_owned(),
    })
}

/// A strategy of which everything is measured.
fn fallen() -> RiskGroup {
    RiskGroup {
        name: "sma".to_owned(),
        pnl: Some(Money { units: -250, nanos: -500_000_000 }),
        peak_pnl: Some(Money { units: 750, nanos: 0 }),
        drawdown_e9: Some(10_000_000),
        value_at_risk: Some(0.02),
        expected_shortfall: Some(0.03),
        bars: 100,
        correlation: Some(-0.25),
        correlated_first: "AAPL".to_owned(),
        correlated_second: "SPY".to_owned(),
        concentration_e9: 400_000_000,
        concentrated: "SPY".to_owned(),
        ..RiskGroup::default()
    }
}

async fn everything(world: &World) {
    chain(world).await;
    let account = || "paper".to_owned();
    let bodies = [
        stated(Scope::new("paper", "", ""), 1, &[("max_leverage", "2"), ("max_orders_per_day", "0")]),
        stated(Scope::new("", "sma", "BRK.B"), 1, &[("max_open_orders", "3")]),
        stated(
            Scope::new("paper", "", ""),
            2,
            &[("max_orders_per_day", "9"), ("breaker_drawdown", "0.1:halt")],
        ),
        Body::BreakerTripped(BreakerTripped {
            account: account(),
            kind: BreakerKind::Drawdown.into(),
            state: TradingState::Halted.into(),
            reason: "too far down".to_owned(),
            ..BreakerTripped::default()
        }),
        Body::TradingKilled(TradingKilled {
            strategy: "sma".to_owned(),
            actor: "ann".to_owned(),
            flatten: true,
            ..TradingKilled::default()
        }),
        Body::TradingHalted(TradingHalted { state: TradingState::Halted.into(), ..TradingHalted::default() }),
        Body::RiskMeasured(RiskMeasured {
            account: account(),
            value_at_risk: Some(0.01),
            strategies: vec![fallen()],
            ..Default::default()
        }),
        Body::AlertRaised(AlertRaised {
            account: account(),
            kind: "drawdown".to_owned(),
            ..Default::default()
        }),
        Body::AlertRaised(AlertRaised {
            account: account(),
            kind: "max_var".to_owned(),
            ..Default::default()
        }),
        Body::AlertRaised(AlertRaised {
            account: account(),
            kind: "max_var".to_owned(),
            cleared: true,
            ..Default::default()
        }),
    ];
    for (hour, body) in (6..).zip(bodies) {
        world.append(event(&format!("risk/{hour}"), START + hour * HOUR, body), None).await;
    }
    let late = signal("sma", "SPY", START + 20 * HOUR);
    world.append(late.clone(), None).await;
    let order = spec("eeeeeeeeeeeeeeeeeeeeeeee", "SPY", Side::Buy, 3);
    world.append(approved(&late, vec![order], START + 20 * HOUR), None).await;
}

async fn folded(world: &World) -> Book {
    let mut book = Book::default();
    let head = world.tape.state("TRADING").await.unwrap().last_sequence;
    let mut reader = world.tape.read("TRADING", &[], 1).await.unwrap();
    while book.sequence() < head {
        for delivery in reader.batch(1_000).await.unwrap() {
            let Delivery::Event(recorded) = delivery else { panic!("undecodable") };
            book.apply(recorded.sequence, &recorded.event).unwrap();
        }
    }
    book
}

#[tokio::test]
async fn limits_breakers_and_switches_come_back_as_the_book_has_them() -> Outcome {
    let world = World::new().await;
    everything(&world).await;
    world.catch_up(Name::Trading).await;
    let (expected, found) = (folded(&world).await, queries::load_book(&world.reader).await?);
    let (expected_parts, parts) = (expected.to_parts(), found.to_parts());
    assert_eq!(parts.limits, expected_parts.limits);
    assert_eq!(parts.tallies, expected_parts.tallies);
    assert_eq!(parts.accounts, expected_parts.accounts);
    assert_eq!(parts.halt, expected_parts.halt);
    // A rate is limited, so that approvals are loaded too.
    assert_eq!(parts.approvals, expected_parts.approvals);
    assert_eq!(parts.approvals.len(), 3);
    assert_eq!(found.kills().count(), 1);
    assert!(found.is_stopped("paper", "sma", true));
    // The last order was approved by a decision that did not know: it has to go.
    assert!(found.open_orders().all(|order| order.cancel_requested));
    let open = queries::alerts(&world.reader, Some("paper"), true, 10).await?;
    assert_eq!(open.iter().map(|row| row.kind.as_str()).collect::<Vec<_>>(), ["drawdown"]);
    assert_eq!(queries::alerts(&world.reader, None, false, 10).await?.len(), 3);
    let measures = queries::risk_measures(&world.reader).await?;
    assert_eq!(measures[0].measure.value_at_risk, Some(0.01));
    assert_eq!(measures[0].measure.strategies, [fallen()]);
    let versions = queries::limit_versions(&world.reader, 10).await?;
    assert_eq!(versions.iter().map(|row| row.version).collect::<Vec<_>>(), [2, 1, 1]);
    assert_eq!((versions[0].actor.as_str(), versions[0].reason.as_str()), ("ann", "first week"));
    assert_eq!(versions[1].limits.len(), 1);
    // Its own halt lets reducing pass; that of all does not, and neither does the breaker that stays.
    let account = queries::accounts(&world.reader).await?.remove(0);
    assert_eq!((account.state, account.halt_reason.as_str()), ("halted", ""));
    for (hour, account) in [(21, ""), (22, "paper")] {
        let resumed = TradingResumed { account: account.to_owned(), ..TradingResumed::default() };
        let body = Body::TradingResumed(resumed);
        world.append(event(&format!("risk/{hour}"), START + hour * HOUR, body), None).await;
    }
    world.catch_up(Name::Trading).await;
    let accounts = queries::accounts(&world.reader).await?;
    assert_eq!((accounts[0].state, accounts[0].halt_reason.as_str()), ("halted", "too far down"));
    let timeline = projections::as_of::Timeline::new(std::sync::Arc::clone(&world.tape));
    let head = projections::as_of::Moment::Sequence(timeline.head().await?);
    assert_eq!(timeline.at(head).await?.accounts(), accounts);
    Ok(())
}

#[tokio::test]
async fn a_difference_with_a_broker_that_nobody_settles_is_an_alert_until_it_is_over() -> Outcome {
    let world = World::new().await;
    let differed = |order_id: &str, resolution: DifferenceResolution, over: bool| {
        Body::BrokerDiffered(BrokerDiffered {
            account: "paper".to_owned(),
            kind: DifferenceKind::Order.into(),
            order_id: order_id.to_owned(),
            resolution: resolution.into(),
            detail: format!("the broker does not know {order_id}"),
            over,
            ..BrokerDiffered::default()
        })
    };
    let (alert, adopted) = (DifferenceResolution::Alert, DifferenceResolution::Adopted);
    for (hour, order_id, resolution) in [(0, "one", alert), (1, "two", alert), (2, "three", adopted)] {
        world.append(event(order_id, START + HOUR * hour, differed(order_id, resolution, false)), None).await;
    }
    world.catch_up(Name::Trading).await;
    let open = queries::alerts(&world.reader, Some("paper"), true, 10).await?;
    let details: Vec<&str> = open.iter().map(|row| row.detail.as_str()).collect();
    assert_eq!(details, ["the broker does not know two", "the broker does not know one"]);
    assert!(open.iter().all(|row| row.kind.starts_with("difference_order_")), "{open:?}");
    // The end of one is not that of the other.
    world.append(event("over", START + HOUR * 3, differed("one", alert, true)), None).await;
    world.catch_up(Name::Trading).await;
    let open = queries::alerts(&world.reader, Some("paper"), true, 10).await?;
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].detail, "the broker does not know two");
    Ok(())
}

#[tokio::test]
async fn a_broken_invariant_is_an_alert_until_it_holds_again() -> Outcome {
    let world = World::new().await;
    let broken = |mended: bool| {
        Body::InvariantBroken(InvariantBroken {
            number: 7,
            name: "read_model_is_fold".to_owned(),
            detail: "position: read 3, expected 4".to_owned(),
            mended,
            ..InvariantBroken::default()
        })
    };
    world.append(event("broken", START, broken(false)), None).await;
    world.catch_up(Name::Trading).await;
    let open = queries::alerts(&world.reader, None, true, 10).await?;
    assert_eq!((open.len(), open[0].account.as_str()), (1, ""));
    assert_eq!(open[0].kind, "invariant_read_model_is_fold");
    assert_eq!(open[0].detail, "position: read 3, expected 4");
    // It is one of every account.
    assert_eq!(queries::alerts(&world.reader, Some("paper"), true, 10).await?.len(), 1);
    world.append(event("mended", START + HOUR, broken(true)), None).await;
    world.catch_up(Name::Trading).await;
    assert_eq!(queries::alerts(&world.reader, None, true, 10).await?.len(), 0);
    assert_eq!(queries::alerts(&world.reader, None, false, 10).await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn what_is_in_a_name_is_told_once_the_tape_is_folded_so_far() -> Outcome {
    let world = World::new().await;
    everything(&world).await;
    let of = async |name: &str| projections::in_name(&world.reader, &world.tape, name).await;
    assert_eq!(of("sma").await?, None, "the read model knows of nothing yet");
    assert!(of("nobody").await?.is_some_and(|found| found.is_empty()), "the tape has nothing to wait for");
    world.catch_up(Name::Trading).await;
    let found = of("sma").await?.unwrap();
    assert_eq!(projections::left_behind(Some(&found)), "5 BRK.B, 1 open order");
    assert!(found.stopped && found.limited);
    assert!(of("nobody").await?.is_some_and(|found| found.is_empty()));
    Ok(())
}

#[tokio::test]
async fn a_weaker_stop_leaves_the_stricter_one_where_it_is() -> Outcome {
    let world = World::new().await;
    chain(&world).await;
    let halted = |state: TradingState, reason: &str| {
        Body::TradingHalted(TradingHalted {
            account: "paper".to_owned(),
            actor: "ann".to_owned(),
            reason: reason.to_owned(),
            state: state.into(),
            ..TradingHalted::default()
        })
    };
    let kill = TradingKilled { account: "paper".to_owned(), ..TradingKilled::default() };
    let bodies = [
        halted(TradingState::Halted, "looks odd"),
        halted(TradingState::ReduceOnly, "later"),
        Body::TradingKilled(kill),
    ];
    for (hour, body) in (6..).zip(bodies) {
        world.append(event(&format!("stop/{hour}"), START + hour * HOUR, body), None).await;
    }
    // The tape tells before anything is folded.
    let stays = async |account: &str, asked| projections::outlasting(&world.tape, account, "", asked).await;
    let told = stays("paper", TradingState::ReduceOnly).await?.unwrap();
    assert_eq!(told.stays(), "stays halted: looks odd (by ann); asked for reduce-only");
    assert_eq!(told.since_ns, START + 6 * HOUR);
    assert_eq!(stays("paper", TradingState::Halted).await?, None, "nothing is stricter");
    assert_eq!(stays("", TradingState::ReduceOnly).await?, None, "another scope");

    world.catch_up(Name::Trading).await;
    let halts = queries::halts(&world.reader).await?;
    assert_eq!(halts.len(), 1);
    assert_eq!((halts[0].state, halts[0].reason.as_str()), ("halted", "looks odd"));
    assert_eq!(halts[0].since_ns, told.since_ns);
    let account = queries::accounts(&world.reader).await?.remove(0);
    assert_eq!((account.state, account.halt_reason.as_str()), ("halted", "looks odd"));
    let (expected, found) = (folded(&world).await, queries::load_book(&world.reader).await?);
    assert_eq!(found.to_parts().accounts, expected.to_parts().accounts);
    assert_eq!(found.to_parts().tallies, expected.to_parts().tallies);
    assert_eq!(projections::verify(&world.writer, &world.tape, Name::Trading).await?.first, None);

    let resumed = TradingResumed { account: "paper".to_owned(), ..TradingResumed::default() };
    world.append(event("resumed", START + 9 * HOUR, Body::TradingResumed(resumed)), None).await;
    assert_eq!(stays("paper", TradingState::ReduceOnly).await?, None);
    Ok(())
}
