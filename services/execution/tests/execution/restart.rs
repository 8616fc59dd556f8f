//! Execution killed at each of its effects and started again adds exactly what is missing.

use std::sync::Arc;

use contracts::v1::event::Body;
use contracts::v1::{
    AccountEntry, Basis, Costs, EntryKind, Event, Money, OrderCancelled, OrderSpec, Side, TimeInForce,
};
use contracts::{Subject, basis_of, event_id, stream, to_timestamp};
use domain::order::{OrderStage, OrderStatus};
use event_log::{Append, EventLog as _, Expect, MemoryLog, Recorded};
use execution::Config;
use runtime::ClockMode;
use runtime::testing::{Death, at_every_effect, killed_once};
use tokio_util::sync::CancellationToken;

use crate::support::{
    E9, HOUR_NS, OPEN_NS, Script, Staleness, bar, book, config, context, everything, limit, order,
};
use crate::{day, groups};

/// What must be the same in every run: everything that execution wrote, and everything it was told.
async fn facts(tape: &MemoryLog) -> Vec<(String, Option<i64>, Option<Body>)> {
    let mut facts: Vec<_> = everything(tape)
        .await
        .into_iter()
        .map(|recorded| {
            let event = recorded.event;
            (event.id, event.event_time.as_ref().and_then(contracts::from_timestamp), event.body)
        })
        .collect();
    facts.sort_by(|left, right| left.0.cmp(&right.0));
    facts
}

/// Plays the script against a service that dies at its `life`-th effect and is started again, with a read
/// model as stale as told.
async fn killed(
    clock: ClockMode,
    life: i64,
    death: Death,
    staleness: Staleness,
    play: impl AsyncFn(&Script),
) -> (MemoryLog, bool) {
    let tape = MemoryLog::new();
    let shutdown = CancellationToken::new();
    let supervisor = {
        let (tape, shutdown) = (tape.clone(), shutdown.clone());
        tokio::spawn(async move {
            let run = |log| execution::run(context(log, clock, shutdown.clone()), config(&tape, staleness));
            killed_once(Arc::new(tape.clone()), life, death, run).await
        })
    };
    play(&Script { tape: tape.clone(), framed: clock == ClockMode::Tape }).await;
    shutdown.cancel();
    let died = supervisor.await.unwrap().unwrap();
    (tape, died)
}

/// `effects` is the fewest that the script must have to be worth killing at.
async fn check(clock: ClockMode, effects: i64, play: impl AsyncFn(&Script)) {
    let expected = facts(&day::undisturbed(clock, &play).await).await;
    let staleness = [Staleness::Behind(0), Staleness::Behind(3), Staleness::Failing];
    at_every_effect(&expected, effects, async |life, death, round| {
        let (tape, died) = killed(clock, life, death, staleness[round % staleness.len()], &play).await;
        (facts(&tape).await, died)
    })
    .await;
}

#[tokio::test]
async fn killed_at_every_effect_on_the_tape_clock() {
    check(ClockMode::Tape, 60, day::play).await;
}

#[tokio::test]
async fn killed_at_every_effect_under_the_wall_clock() {
    check(ClockMode::Wall, 60, day::play).await;
}

#[tokio::test]
async fn parts_trailing_stops_and_brackets_killed_at_every_effect_on_the_tape_clock() {
    check(ClockMode::Tape, 30, groups::play).await;
}

type Started = (CancellationToken, tokio::task::JoinHandle<Result<(), execution::Error>>);

fn start(script: &Script, clock: ClockMode) -> Started {
    start_with(script, clock, config(&script.tape, Staleness::Behind(0)))
}

fn start_with(script: &Script, clock: ClockMode, config: Config) -> Started {
    let (tape, shutdown) = (script.tape.clone(), CancellationToken::new());
    let context = context(Arc::new(tape), clock, shutdown.clone());
    (shutdown, tokio::spawn(execution::run(context, config)))
}

async fn stop((shutdown, task): Started) {
    shutdown.cancel();
    task.await.unwrap().unwrap();
}

/// Two orders that one bar fills; answers what was stored of them.
async fn two_fills(clock: ClockMode, between: impl AsyncFn(&Script)) -> Vec<Recorded> {
    let script = Script { tape: MemoryLog::new(), framed: clock == ClockMode::Tape };
    script.setup().await;
    let running = start(&script, clock);
    for name in ["first", "second"] {
        let spec = order(name, "paper", "A", Side::Buy, 10);
        script.approve(name, OPEN_NS, &[spec], &[&["accepted"]]).await;
    }
    stop(running).await;
    let close_ns = OPEN_NS + HOUR_NS;
    script.publish(close_ns, vec![bar("A", close_ns, 100, 101)]).await;
    between(&script).await;
    let running = start(&script, clock);
    script.marked(close_ns).await;
    stop(running).await;
    everything(&script.tape).await
}

#[tokio::test]
async fn an_instant_that_was_stored_in_part_is_finished_before_what_was_asked_since() {
    for clock in [ClockMode::Tape, ClockMode::Wall] {
        let whole = two_fills(clock, async |_| {}).await;
        let fills: Vec<_> = whole.iter().filter(|it| matches!(it.event.body, Some(Body::Fill(_)))).collect();
        let [first, second] = fills.as_slice() else { panic!("{} fills", fills.len()) };
        let Some(Body::Fill(fill)) = &second.event.body else { panic!() };
        let open = ["first", "second"].map(|name| order(name, "paper", "A", Side::Buy, 10));
        let other = open.iter().find(|spec| spec.order_id == fill.order_id).unwrap();
        // Killed between both fills; then somebody asks to cancel the order of the second one.
        let after = two_fills(clock, async |script| {
            let subject = Subject::for_event(&first.event, None).unwrap();
            assert_eq!(subject.as_str(), first.subject);
            let event = first.event.clone();
            script.tape.append(Append { subject, event, expect: Expect::Nothing }).await.unwrap();
            script.ask_to_cancel(other).await;
        })
        .await;
        let ids = |events: &[Recorded]| -> Vec<String> {
            let fills = events.iter().filter(|it| matches!(it.event.body, Some(Body::Fill(_))));
            fills.map(|it| it.event.id.clone()).collect()
        };
        assert_eq!(ids(&after), ids(&whole), "{clock:?}");
        let mut book = domain::book::Book::default();
        for it in &after {
            book.apply(it.sequence, &it.event).unwrap();
        }
        assert_eq!(book.order(&other.order_id).unwrap().status, OrderStatus::Filled, "{clock:?}");
    }
}

/// States the end of an order as another instance of the service does.
async fn cancelled_by_another(script: &Script, spec: &OrderSpec) {
    let cancelled = OrderCancelled { order_id: spec.order_id.clone(), reason: "asked".into() };
    let event = Event {
        id: event_id(&spec.order_id, "cancelled", 0),
        event_time: Some(to_timestamp(OPEN_NS)),
        body: Some(Body::OrderCancelled(cancelled)),
        ..Event::default()
    };
    let subject = Subject::order(spec, "cancelled");
    script.tape.append(Append { subject, event, expect: Expect::Nothing }).await.unwrap();
}

#[tokio::test]
async fn a_bar_fills_no_order_that_another_instance_ended() {
    let script = Script { tape: MemoryLog::new(), framed: true };
    script.setup().await;
    let running = start(&script, ClockMode::Tape);
    let spec = order("ended", "paper", "A", Side::Buy, 10);
    script.approve("ended", OPEN_NS, std::slice::from_ref(&spec), &[&["accepted"]]).await;
    cancelled_by_another(&script, &spec).await;
    let close_ns = OPEN_NS + HOUR_NS;
    script.instant(close_ns, vec![bar("A", close_ns, 100, 101)]).await;
    stop(running).await;
    let filled =
        everything(&script.tape).await.into_iter().filter(|it| matches!(&it.event.body, Some(Body::Fill(_))));
    assert_eq!(filled.count(), 0);
}

#[tokio::test]
async fn a_bar_fills_an_order_that_another_instance_sent() {
    let spec = order("sent", "paper", "A", Side::Buy, 10);
    let close_ns = OPEN_NS + HOUR_NS;
    let first = Script { tape: MemoryLog::new(), framed: true };
    first.setup().await;
    let running = start(&first, ClockMode::Tape);
    first.approve("sent", OPEN_NS, std::slice::from_ref(&spec), &[&["accepted"]]).await;
    stop(running).await;
    let of_order = |it: &Recorded| it.event.body.as_ref().is_some_and(is_of_a_sent_order);
    let said: Vec<_> = everything(&first.tape).await.into_iter().filter(of_order).collect();
    assert_eq!(said.len(), 3, "decided, submitted, accepted");

    // All of it is there at once: there is nothing left to do for the order.
    let second = Script { tape: MemoryLog::new(), framed: true };
    second.setup().await;
    let running = start(&second, ClockMode::Tape);
    second.instant(OPEN_NS, vec![bar("A", OPEN_NS, 99, 100)]).await;
    let append = |it: Recorded| Append {
        subject: Subject::for_event(&it.event, Some(&spec)).unwrap(),
        event: it.event,
        expect: Expect::Nothing,
    };
    second.tape.append_batch(said.into_iter().map(append).collect()).await.unwrap();
    second.instant(close_ns, vec![bar("A", close_ns, 100, 101)]).await;
    stop(running).await;
    assert_eq!(book(&second.tape).await.order(&spec.order_id).unwrap().status, OrderStatus::Filled);
}

fn is_of_a_sent_order(body: &Body) -> bool {
    matches!(body, Body::RiskDecision(_) | Body::OrderSubmitted(_) | Body::OrderAccepted(_))
}

#[tokio::test]
async fn new_terms_of_an_order_that_ended_are_void_also_after_a_restart() {
    let script = Script { tape: MemoryLog::new(), framed: true };
    script.setup().await;
    let start = || start(&script, ClockMode::Tape);
    let spec = limit(order("void", "paper", "A", Side::Buy, 100), 50, TimeInForce::Gtc);
    let (shutdown, task) = start();
    script.approve("void", OPEN_NS, std::slice::from_ref(&spec), &[&["accepted"]]).await;
    shutdown.cancel();
    task.await.unwrap().unwrap();
    // It was cancelled before anybody asked for the terms that risk had approved.
    let terms = OrderSpec { quantity_e9: 150 * E9, revision: 1, ..spec.clone() };
    script.approve("terms", OPEN_NS, std::slice::from_ref(&terms), &[]).await;
    cancelled_by_another(&script, &spec).await;
    let (shutdown, task) = start();
    script.order_event(&spec, "replace_rejected").await;
    shutdown.cancel();
    task.await.unwrap().unwrap();
    let after = book(&script.tape).await;
    let order = after.order(&spec.order_id).unwrap();
    assert_eq!((order.stage(), order.replace.is_none()), (OrderStage::Cancelled, true));
}

/// A tape with an instant that was handled before the second account was opened.
async fn opened_behind(close_ns: i64) -> Script {
    let script = Script { tape: MemoryLog::new(), framed: true };
    script.setup_accounts(&["paper"], Costs::default()).await;
    let of_one = Config { accounts: vec!["paper".into()], ..config(&script.tape, Staleness::Behind(0)) };
    let running = start_with(&script, ClockMode::Tape, of_one);
    script.publish(close_ns, vec![bar("A", close_ns, 100, 101), bar("B", close_ns, 50, 51)]).await;
    script
        .until("the instant is acknowledged", async || {
            script.tape.ack_floor(stream::MARKET, execution::SERVICE).await.unwrap() == 2
        })
        .await;
    stop(running).await;
    script.setup_accounts(&["second"], Costs::default()).await;
    script
}

#[tokio::test]
async fn an_account_that_is_opened_behind_an_instant_is_marked_at_it() {
    let close_ns = OPEN_NS + HOUR_NS;
    let script = opened_behind(close_ns).await;
    // The clock publishes it again and waits for the marks of both.
    let running = start(&script, ClockMode::Tape);
    let last = async |account: &str| {
        script.tape.last(stream::TRADING, &format!("account.{account}.marked")).await.unwrap()
    };
    script.until("the second account is marked", async || last("second").await.is_some()).await;
    let [paper, second] = [last("paper").await.unwrap().event, last("second").await.unwrap().event];
    assert_eq!((&second.event_time, &second.causation_id), (&paper.event_time, &paper.causation_id));
    assert_eq!([&paper, &second].map(|mark| basis_of(mark, stream::MARKET)), [Some(2), Some(2)]);
    script.instant(close_ns + HOUR_NS, vec![bar("A", close_ns + HOUR_NS, 101, 102)]).await;
    stop(running).await;
    // Started once more nothing is marked twice.
    let marks = everything(&script.tape).await.len();
    stop(start(&script, ClockMode::Tape)).await;
    assert_eq!(everything(&script.tape).await.len(), marks);
}

#[tokio::test]
async fn an_account_that_is_opened_in_the_middle_of_an_instant_is_marked_with_that_alone() {
    let close_ns = OPEN_NS + HOUR_NS;
    let script = opened_behind(close_ns).await;
    // Of the next instant something was stored, and no mark yet.
    let next_ns = close_ns + HOUR_NS;
    let entry = AccountEntry {
        account: "paper".into(),
        kind: EntryKind::Deposit.into(),
        amount: Some(Money { units: 1, nanos: 0 }),
        ..AccountEntry::default()
    };
    let stored = Event {
        id: event_id("begun", "execution", 0),
        event_time: Some(to_timestamp(next_ns)),
        source: execution::SERVICE.into(),
        basis: vec![Basis { stream: stream::MARKET.into(), sequence: 3 }],
        body: Some(Body::AccountEntry(entry)),
        ..Event::default()
    };
    let subject = Subject::for_event(&stored, None).unwrap();
    script.tape.append(Append { subject, event: stored, expect: Expect::Nothing }).await.unwrap();
    script.publish(next_ns, vec![bar("A", next_ns, 101, 102)]).await;
    let running = start(&script, ClockMode::Tape);
    script.marked(next_ns).await;
    stop(running).await;
    let events = everything(&script.tape).await;
    let marks = events.iter().filter(|recorded| recorded.subject == "account.second.marked");
    assert_eq!(marks.count(), 1);
}

#[tokio::test]
async fn an_instant_of_a_copy_whose_trading_is_older_is_handled_all_the_same() {
    let script = Script { tape: MemoryLog::new(), framed: true };
    script.setup().await;
    let close_ns = OPEN_NS + HOUR_NS;
    script.publish_behind(1_000, close_ns, vec![bar("A", close_ns, 100, 101)]).await;
    let running = start(&script, ClockMode::Tape);
    script.marked(close_ns).await;
    script.instant(close_ns + HOUR_NS, vec![bar("A", close_ns + HOUR_NS, 101, 102)]).await;
    stop(running).await;
}
