//! The tape clock and external strategies: waited for while they are enabled, never stalled by what they say.

use std::time::Duration;

use contracts::stream::{MARKET, PARKED, TRADING};
use contracts::v1::event::Body;
use contracts::v1::{
    Event, Parked, Signal, SignalLeg, StrategyDisabled, StrategyEnabled, StrategyRegistered,
};
use contracts::{Subject, event_id, to_timestamp};
use event_log::{Append, Delivery, Expect, MemoryLog, Tape};
use ingest::clock::Speed;
use runtime::HealthState;

use crate::clock::{Short, start};
use crate::fakes;

async fn put(tape: &Tape, id: &str, ns: i64, cause: &str, body: Body) -> u64 {
    let event = Event {
        id: id.to_owned(),
        event_time: Some(to_timestamp(ns)),
        causation_id: cause.to_owned(),
        body: Some(body),
        ..Event::default()
    };
    let subject = Subject::for_event(&event, None).unwrap();
    tape.append(Append { subject, event, expect: Expect::Nothing }).await.unwrap().sequence
}

fn registered() -> Body {
    Body::StrategyRegistered(StrategyRegistered {
        strategy: "outside".into(),
        consumer: "strategy-outside".into(),
        subjects: vec!["market.bar.>".into()],
        ..StrategyRegistered::default()
    })
}

fn enabled() -> Body {
    Body::StrategyEnabled(StrategyEnabled { strategy: "outside".into(), ..StrategyEnabled::default() })
}

fn disabled() -> Body {
    Body::StrategyDisabled(StrategyDisabled { strategy: "outside".into(), ..StrategyDisabled::default() })
}

fn signal() -> Body {
    let leg = SignalLeg { symbol: "ACMEX".into(), ..SignalLeg::default() };
    Body::Signal(Signal { strategy: "outside".into(), legs: vec![leg], ..Signal::default() })
}

fn tape() -> (Tape, MemoryLog) {
    let log = MemoryLog::new();
    log.add_consumer(MARKET, "strategy-outside", &["market.bar.>".to_owned()], 1_000).unwrap();
    (std::sync::Arc::new(log.clone()), log)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_enabled_strategy_is_waited_for_until_it_acknowledges_or_is_disabled() {
    let (tape, _) = tape();
    let source = Short::new(30);
    put(&tape, "1", 1, "", registered()).await;
    put(&tape, "2", 2, "", enabled()).await;
    let _fakes = fakes::all(&tape);
    let running = start(&tape, &source, Speed::Max);
    let detail = running.health(HealthState::Degraded, "external strategy outside").await;
    assert!(detail.contains("tapedeck strategy disable outside"), "{detail}");
    let at = running.handle.progress().borrow().instants;
    // It wakes up and acknowledges some bars, then it is gone again.
    let mut consumer = tape.consume(MARKET, "strategy-outside").await.unwrap();
    for _ in 0..3 {
        for delivery in consumer.batch(64).await.unwrap() {
            consumer.ack(delivery.sequence()).await.unwrap();
        }
    }
    running.health(HealthState::Degraded, "external strategy outside").await;
    assert!(running.handle.progress().borrow().instants > at);
    put(&tape, "3", 3, "", disabled()).await;
    assert_eq!(running.finish().await.progress.instants, 30);
}

/// Appends `body` when the third bar comes, before the strategy acknowledges it; the clock must end.
async fn survives(id: &'static str, offset_ns: i64, park: bool) {
    let (tape, _) = tape();
    let source = Short::new(30);
    put(&tape, "1", 1, "", registered()).await;
    put(&tape, "2", 2, "", enabled()).await;
    let _fakes = if park { fakes::execution(&tape) } else { fakes::all(&tape) };
    let _strategy = park.then(|| fakes::silent_strategy(&tape));
    let running = start(&tape, &source, Speed::Max);
    let outside = tape.clone();
    let task = tokio::spawn(async move {
        let mut consumer = outside.consume(MARKET, "strategy-outside").await.unwrap();
        let mut bars = 0;
        loop {
            for delivery in consumer.batch(1).await.unwrap() {
                bars += 1;
                let sequence = delivery.sequence();
                if let (3, Delivery::Event(recorded)) = (bars, delivery) {
                    let ns = contracts::from_timestamp(&recorded.event.event_time.unwrap()).unwrap();
                    let at = put(&outside, id, ns + offset_ns, &recorded.event.id, signal()).await;
                    if park {
                        let body = Parked {
                            service: "risk".into(),
                            stream: TRADING.into(),
                            sequence: at,
                            ..Parked::default()
                        };
                        put(&outside, &event_id(id, "park", 0), ns, "", Body::Parked(body)).await;
                    }
                }
                consumer.ack(sequence).await.unwrap();
            }
        }
    });
    assert_eq!(running.finish().await.progress.instants, 30, "{id}");
    let parked = tape.state(PARKED).await.unwrap().messages;
    assert_eq!(parked, u64::from(park));
    task.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_of_another_time_or_one_that_is_parked_stalls_nobody() {
    let all = async {
        tokio::join!(
            survives("late", -3_600_000_000_000, false),
            survives("early", 3_600_000_000_000, false),
            survives("parked", 0, true),
        )
    };
    tokio::time::timeout(Duration::from_secs(60), all).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_event_stalls_nobody_and_a_clock_resumes_over_it() {
    let (tape, log) = tape();
    let source = Short::new(40);
    let fakes = fakes::blind(&tape);
    let running = start(&tape, &source, Speed::Max);
    assert!(running.reaches(10).await);
    running.context.shutdown.cancel();
    running.finish().await;
    log.publish_raw("signal.outside.ACMEX", b"{\"wrong\":1}", Some("application/json")).unwrap();
    drop(fakes);
    let _fakes = fakes::blind(&tape);
    let running = start(&tape, &source, Speed::Max);
    log.publish_raw("signal.outside.ACMEX", b"{\"wrong\":2}", Some("application/json")).unwrap();
    assert!(running.finish().await.reason == ingest::clock::FinishReason::SourceEnd);
}
