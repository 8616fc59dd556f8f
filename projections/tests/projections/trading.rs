//! The projection `trading`, and the queries that read it.

use contracts::v1::event::Body;
use contracts::v1::{
    Intent, OrderAdjusted, OrderCancelRejected, OrderExpired, OrderReplaceRequested, OrderReplaced,
    OrderSpec, OrderType, Side, Signal, SignalLeg, TradingResumed, Verdict,
};
use domain::book::Book;
use domain::calendar::Calendar;
use domain::money::{Amount, Price, Quantity};
use event_log::Delivery;
use projections::{Name, queries};

use crate::support::{
    HOUR, Outcome, Running, SECOND, START, World, accepted, approved, chain, event, fill, of_order, signal,
    spec, submitted,
};

/// The fold of the tape, without Postgres.
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
async fn the_rows_are_the_book() -> Outcome {
    let world = World::new().await;
    chain(&world).await;
    world.catch_up(Name::Trading).await;
    let expected = folded(&world).await.to_parts();
    let found = queries::load_book(&world.reader).await?.to_parts();
    assert_eq!(found.sequence, expected.sequence);
    assert_eq!(found.accounts, expected.accounts);
    assert_eq!(found.positions, expected.positions);
    assert_eq!(found.strategies, expected.strategies);
    assert_eq!(found.pending, expected.pending);
    assert_eq!(found.pending.len(), 1);
    assert_eq!(found.halt, expected.halt);
    assert!(found.accounts[0].halt.is_some());
    // Orders that have ended are not loaded; one by one they are what the book holds.
    assert!(found.orders.is_empty());
    assert_eq!(expected.orders.len(), 2);
    for order in expected.orders {
        assert_eq!(queries::load_order(&world.reader, order.id()).await?, Some(order));
    }
    Ok(())
}

#[tokio::test]
async fn an_open_order_comes_back_with_all_it_went_through() -> Outcome {
    let world = World::new().await;
    chain(&world).await;
    let order = OrderSpec {
        limit_price_e9: Some(90 * SECOND),
        order_type: OrderType::Limit.into(),
        ..spec("dddddddddddddddddddddddd", "IBM", Side::Buy, 10)
    };
    world.append(submitted(&order, START), None).await;
    world.append(accepted(&order, START), Some(&order)).await;
    world.append(fill(&order, 1, 4, 90 * SECOND, START + HOUR), None).await;
    let adjusted = OrderAdjusted {
        order_id: order.order_id.clone(),
        quantity_e9: 20 * SECOND,
        limit_price_e9: Some(45 * SECOND),
        stop_price_e9: None,
        action_id: "split-of-ibm".to_owned(),
        ..OrderAdjusted::default()
    };
    let event = of_order(&order, "adjusted", START + HOUR, Body::OrderAdjusted(adjusted));
    world.append(event, Some(&order)).await;
    world.catch_up(Name::Trading).await;
    let expected = folded(&world).await.order(&order.order_id).cloned().unwrap();
    assert_eq!((expected.adjusted_by.as_str(), expected.executions.len()), ("split-of-ibm", 1));
    let book = queries::load_book(&world.reader).await?;
    assert_eq!(book.open_orders().collect::<Vec<_>>(), [&expected]);
    Ok(())
}

#[tokio::test]
async fn a_history_says_who_asked_for_other_terms_and_where_the_order_stood() -> Outcome {
    let world = World::new().await;
    chain(&world).await;
    // The chain ends with a halt.
    let (account, actor) = ("paper".to_owned(), "test".to_owned());
    let resumed = TradingResumed { account, actor, ..TradingResumed::default() };
    world.append(event("resume", START + 5 * HOUR, Body::TradingResumed(resumed)), None).await;
    let order = OrderSpec {
        limit_price_e9: Some(90 * SECOND),
        order_type: OrderType::Limit.into(),
        ..spec("dddddddddddddddddddddddd", "IBM", Side::Buy, 10)
    };
    let at_ns = START + 6 * HOUR;
    let cause = signal("sma", "IBM", at_ns);
    world.append(cause.clone(), None).await;
    world.append(approved(&cause, vec![order.clone()], at_ns), None).await;
    world.append(submitted(&order, at_ns), None).await;
    world.append(accepted(&order, at_ns), Some(&order)).await;
    let asked = |name: &str, strategy: &str| {
        let leg = SignalLeg {
            symbol: "IBM".to_owned(),
            intent: Intent::Buy.into(),
            quantity_e9: Some(5 * SECOND),
            replaces: order.order_id.clone(),
            ..SignalLeg::default()
        };
        let signal = Signal {
            strategy: strategy.to_owned(),
            legs: vec![leg.clone(), leg],
            reason: "smaller".to_owned(),
            account: "paper".to_owned(),
            actor: "ann".to_owned(),
            ..Signal::default()
        };
        event(name, at_ns, Body::Signal(signal))
    };
    // Nobody but an operator has a say in it.
    world.append(asked("asked/sma", "sma"), None).await;
    let too_many = asked("asked/too-many", "manual");
    world.append(too_many.clone(), None).await;
    let mut denied = approved(&too_many, Vec::new(), at_ns);
    let Some(Body::RiskDecision(decision)) = denied.body.as_mut() else { panic!("{denied:?}") };
    decision.verdict = Verdict::Denied.into();
    (decision.rule, decision.reason) = ("max_position".to_owned(), "too many".to_owned());
    world.append(denied, None).await;
    let by_hand = asked("asked/manual", "manual");
    world.append(by_hand.clone(), None).await;
    let smaller = OrderSpec { quantity_e9: 5 * SECOND, revision: 1, ..order.clone() };
    world.append(approved(&by_hand, vec![smaller], at_ns), None).await;
    let client_order_id = contracts::client_order_id_of(&order.order_id, 1);
    let requested = OrderReplaceRequested {
        order_id: order.order_id.clone(),
        actor: "execution".to_owned(),
        quantity_e9: Some(5 * SECOND),
        limit_price_e9: Some(90 * SECOND),
        revision: 1,
        client_order_id: client_order_id.clone(),
        ..OrderReplaceRequested::default()
    };
    let requested = of_order(&order, "replace_requested", at_ns, Body::OrderReplaceRequested(requested));
    world.append(requested, Some(&order)).await;
    let replaced = OrderReplaced {
        order_id: order.order_id.clone(),
        quantity_e9: 5 * SECOND,
        limit_price_e9: Some(90 * SECOND),
        revision: 1,
        client_order_id,
        broker_order_id: "b-2".to_owned(),
        ..OrderReplaced::default()
    };
    let replaced = of_order(&order, "replaced", at_ns, Body::OrderReplaced(replaced));
    world.append(replaced, Some(&order)).await;
    world.catch_up(Name::Trading).await;
    let detail = queries::order(&world.reader, &order.order_id).await?.unwrap();
    let told: Vec<_> =
        detail.history.iter().map(|row| (&*row.kind, &*row.status, row.detail.as_str())).collect();
    assert_eq!(
        told,
        [
            ("order_submitted", "submitted", "submitted buy 10 IBM limit 90"),
            ("order_accepted", "accepted", "accepted"),
            ("signal", "accepted", "new terms asked for by ann: smaller"),
            ("risk_decision", "accepted", "new terms denied, max_position: too many"),
            ("signal", "accepted", "new terms asked for by ann: smaller"),
            (
                "order_replace_requested",
                "replace_requested",
                "replacement asked of the broker, quantity 5, limit 90"
            ),
            ("order_replaced", "replaced", "replaced, quantity 5"),
        ]
    );
    // The number that the next terms are to be above comes back with the order, and so does when a cancel was refused.
    let refused = OrderCancelRejected { order_id: order.order_id.clone(), reason: "busy".to_owned() };
    let refused = of_order(&order, "cancel_rejected", at_ns + 1, Body::OrderCancelRejected(refused));
    world.append(refused, Some(&order)).await;
    world.catch_up(Name::Trading).await;
    let expected = folded(&world).await.order(&order.order_id).cloned();
    let kept = expected.as_ref().map(|order| (order.asked_revision, order.cancel_refused_ns));
    assert_eq!(kept, Some((1, Some(at_ns + 1))));
    assert_eq!(queries::load_order(&world.reader, &order.order_id).await?, expected);
    Ok(())
}

#[tokio::test]
async fn pages_see_exact_numbers() -> Outcome {
    let world = World::new().await;
    let buy = chain(&world).await;
    world.catch_up(Name::Trading).await;
    let pool = &world.reader;

    let position = queries::positions(pool, Some("paper"), false).await?.remove(0);
    assert_eq!(position.quantity, Quantity(5 * SECOND));
    assert_eq!(position.cost, Amount(503 * 1_000_000_000));
    assert_eq!(position.average_cost, Some(Price(100_600_000_000)));
    assert_eq!(position.unrealized_pnl, Some(Amount(47 * 1_000_000_000)));
    assert_eq!(position.realized_pnl, Amount(47 * 1_000_000_000));
    assert_eq!(serde_json::to_value(&position)?["fees"], "0.15");

    let account = queries::accounts(pool).await?.remove(0);
    assert_eq!(account.equity, Some(Amount(100_050 * 1_000_000_000)));
    assert_eq!((account.state, account.halt_reason.as_str()), ("reduce_only", "drill"));
    assert_eq!(account.limits.unwrap().max_price_age_ms, 3_600_000);

    let strategy = queries::strategies(pool).await?.remove(0);
    assert_eq!((strategy.signals, strategy.open_positions), (3, 1));
    assert_eq!(strategy.net_pnl.to_string(), "93.85");
    assert_eq!(strategy.last_signal, "enter long IBM: fast above slow");

    let detail = queries::order(pool, &buy.order_id).await?.unwrap();
    assert_eq!(detail.order.status, "filled");
    assert_eq!(detail.order.average_price, Some(Price(100_600_000_000)));
    let kinds: Vec<&str> = detail.history.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["order_submitted", "order_accepted", "fill", "fill"]);
    assert_eq!(detail.history[2].status, "partially_filled");
    assert_eq!(detail.fills.len(), 2);

    let page = queries::orders(pool, &queries::OrderFilter::default(), None, 1).await?;
    assert_eq!(page.rows.len(), 1);
    let rest = queries::orders(pool, &queries::OrderFilter::default(), page.next, 1).await?;
    assert_eq!(rest.rows[0].order_id, buy.order_id);
    let fills = queries::fills(pool, &queries::FillFilter::default(), None, 10).await?;
    assert_eq!(fills.rows[0].realized_pnl, Amount(47 * 1_000_000_000));
    assert!(fills.rows[0].recorded_time_ns.is_some());
    assert_eq!(fills.next, None);

    let signals = queries::signals(pool, &queries::SignalFilter::default(), None, 10).await?.rows;
    assert_eq!(
        signals.iter().map(|row| row.verdict.as_deref()).collect::<Vec<_>>(),
        [None, Some("approved"), Some("approved")]
    );
    assert_eq!(signals[0].indicators[0].name, "sma_fast");
    let decisions = queries::risk_decisions(pool, &queries::DecisionFilter::default(), None, 10).await?.rows;
    assert_eq!(decisions[0].inputs[0].price_e9, 100 * SECOND);

    let chain = queries::chain(pool, &decisions[0].event_id).await?;
    assert_eq!(
        chain.iter().map(|event| event.kind.as_str()).collect::<Vec<_>>(),
        ["signal", "risk_decision"]
    );
    assert_eq!(queries::halts(pool).await?.len(), 1);
    let curve = queries::equity_curve(pool, "paper", 0, i64::MAX, 400).await?;
    assert_eq!(curve.len(), 3);
    let daily = queries::daily_equity(pool, "paper", Calendar::xnys()).await?;
    assert_eq!((daily.len(), daily[0].date.as_str()), (1, "2024-01-02"));
    assert_eq!(daily[0].deposits, Amount(100_000 * 1_000_000_000));
    Ok(())
}

#[tokio::test]
async fn an_order_that_left_memory_is_brought_back_for_a_late_fill() -> Outcome {
    let world = World::new().await;
    let first = spec("ffffffffffffffffffffffff", "IBM", Side::Buy, 10);
    let settle = |order: OrderSpec| {
        let world = &world;
        async move {
            world.append(submitted(&order, START), None).await;
            world.append(accepted(&order, START), Some(&order)).await;
            let expired = OrderExpired { order_id: order.order_id.clone(), reason: "day over".to_owned() };
            let event = of_order(&order, "expired", START + HOUR, Body::OrderExpired(expired));
            world.append(event, Some(&order)).await;
        }
    };
    settle(first.clone()).await;
    for index in 0..1_100 {
        settle(spec(&format!("{index:024}"), "IBM", Side::Buy, 1)).await;
    }
    // In the same batch as everything before it, and then with what another process wrote.
    world.append(fill(&first, 1, 4, 100 * SECOND, START + 2 * HOUR), None).await;
    world.catch_up(Name::Trading).await;
    world.append(fill(&first, 2, 3, 100 * SECOND, START + 2 * HOUR), None).await;
    world.catch_up(Name::Trading).await;
    assert!(world.port.parked.lock().unwrap().is_empty());
    let order = queries::load_order(&world.reader, &first.order_id).await?.unwrap();
    assert_eq!(order.filled, Quantity(7 * SECOND));
    let report = projections::verify(&world.writer, &world.tape, Name::Trading).await?;
    assert_eq!(report.first, None);
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_folded_is_parked_once_and_passed_over() -> Outcome {
    let world = World::new().await;
    chain(&world).await;
    let unknown = spec("eeeeeeeeeeeeeeeeeeeeeeee", "IBM", Side::Buy, 10);
    let stray = world.append(fill(&unknown, 1, 1, SECOND, START + 6 * HOUR), None).await;
    let garbage = world.memory.publish_raw("control.account.paper.configured", b"\xff\xff", None).unwrap();
    let after = world.append(crate::support::deposit("paper", 5), None).await;
    world.catch_up(Name::Trading).await;
    assert_eq!(world.checkpoint(Name::Trading).await, after);
    let parked = world.port.parked.lock().unwrap().clone();
    assert_eq!(parked.iter().map(|poison| poison.sequence).collect::<Vec<_>>(), [stray, garbage]);
    assert!(parked[0].reason.contains("is not in memory"), "{}", parked[0].reason);
    assert_eq!(parked[1].payload, b"\xff\xff");
    let status = queries::checkpoints(&world.reader).await?;
    assert_eq!(status[0].parked, 2);
    let report = projections::verify(&world.writer, &world.tape, Name::Trading).await?;
    assert_eq!(report.first, None);
    Ok(())
}

#[tokio::test]
async fn every_projection_follows_its_stream() -> Outcome {
    use contracts::v1::{
        ActionKind, CorporateAction, Heartbeat, Parked, ParkedResolved, QualityFinding, SessionChange,
        SessionPhase, Severity, SourceBreaker, SourceReported,
    };
    let world = World::new().await;
    let running = Running::start(&world, &Name::ALL);
    let session = |phase: SessionPhase| SessionChange {
        exchange: "XNYS".into(),
        date: "2024-01-02".into(),
        phase: phase.into(),
        ..SessionChange::default()
    };
    let action = CorporateAction {
        symbol: "AAPL".into(),
        ex_date: "2024-01-02".into(),
        kind: ActionKind::Split.into(),
        value_e9: 4 * SECOND,
        ..CorporateAction::default()
    };
    let wrong = CorporateAction { ex_date: "2.1.2024".into(), ..action.clone() };
    let finding = QualityFinding {
        symbol: "AAPL".into(),
        severity: Severity::Warning.into(),
        ..QualityFinding::default()
    };
    let breaker = SourceBreaker {
        source: "alpaca".into(),
        account: "paper".into(),
        client: "broker".into(),
        state: "open".into(),
        until: Some(contracts::to_timestamp(START + SECOND)),
        failures: 5,
        last_failure: "503: busy".into(),
        ..SourceBreaker::default()
    };
    let beat = |state: &str| Heartbeat {
        service: "risk".into(),
        instance: "i1".into(),
        state: state.into(),
        breakers: if state == "ready" { vec![breaker.clone()] } else { Vec::new() },
        ..Heartbeat::default()
    };
    let report = |state: &str, bars: u64| SourceReported {
        source: "alpaca".into(),
        instance: "i1".into(),
        state: state.into(),
        symbols: vec!["BRK.B".into(), "SPY".into()],
        bars,
        lag_p99_ns: (bars > 0).then_some(SECOND),
        ..SourceReported::default()
    };
    let parked =
        Parked { service: "risk".into(), stream: "TRADING".into(), sequence: 7, ..Parked::default() };
    let parked = crate::support::event("parked", START, Body::Parked(parked));
    let resolved = ParkedResolved {
        parked_id: parked.id.clone(),
        resolution: "dismissed".into(),
        ..ParkedResolved::default()
    };
    let bodies = [
        Body::SessionChange(session(SessionPhase::Opened)),
        Body::CorporateAction(action),
        Body::CorporateAction(wrong),
        Body::QualityFinding(finding),
        Body::SessionChange(session(SessionPhase::Closed)),
        Body::Heartbeat(beat("starting")),
        Body::Heartbeat(beat("ready")),
        Body::SourceReported(report("connecting", 0)),
        Body::SourceReported(report("live", 7)),
    ];
    for (index, body) in bodies.into_iter().enumerate() {
        let event = crate::support::event(&format!("market/{index}"), START, body);
        world.append(event, None).await;
    }
    world.append(parked.clone(), None).await;
    world.append(crate::support::event("resolved", START, Body::ParkedResolved(resolved)), None).await;
    for name in Name::ALL {
        world.wait(name).await;
    }
    running.stop().await;
    assert_eq!(queries::session_state(&world.reader, "XNYS").await?.unwrap().phase, "closed");
    let actions =
        queries::actions_between(&world.reader, Some("AAPL"), "2024-01-01", "2024-01-02", u64::MAX).await?;
    assert_eq!((actions[0].kind.as_str(), actions[0].value), ("split", Price(4 * SECOND)));
    assert_eq!(queries::corporate_actions(&world.reader, 100).await?.actions.len(), 1);
    assert!(queries::corporate_actions(&world.reader, 1).await?.actions.is_empty());
    assert_eq!(queries::heartbeats(&world.reader).await?[0].state, "ready");
    let breakers = queries::breakers(&world.reader).await?;
    let [told] = breakers.as_slice() else { panic!("{breakers:?}") };
    let words = [&told.service, &told.account, &told.client, &told.state].map(String::as_str);
    assert_eq!(words, ["risk", "paper", "broker", "open"]);
    assert_eq!((told.until_ns, told.failures, told.last_failure_ns), (Some(START + SECOND), 5, None));
    let sources = queries::sources(&world.reader).await?;
    let [source] = sources.as_slice() else { panic!("{sources:?}") };
    assert_eq!((source.state.as_str(), source.bars, source.symbols.len()), ("live", 7, 2));
    assert_eq!((source.lag_p50_ns, source.lag_p99_ns), (None, Some(SECOND)));
    assert!(queries::parked(&world.reader, false, None, 10).await?.rows.is_empty());
    assert_eq!(
        queries::parked(&world.reader, true, None, 10).await?.rows[0].resolution.as_deref(),
        Some("dismissed")
    );
    assert_eq!(world.port.parked.lock().unwrap().len(), 1);
    for name in Name::ALL {
        let report = projections::verify(&world.writer, &world.tape, name).await?;
        assert_eq!(report.first, None, "{name}");
    }
    Ok(())
}
