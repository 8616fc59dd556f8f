//! The tape clock with stand-in services: the whole protocol, resuming, stalls, pace.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant as Moment};

use chrono::NaiveDate;
use contracts::from_timestamp;
use contracts::stream::{MARKET, TRADING};
use contracts::v1::Event;
use contracts::v1::event::Body;
use domain::bar::Timeframe;
use event_log::{Append, Expect, MemoryLog, Tape};
use ingest::clock::{self, ClockConfig, ClockHandle, FinishReason, Finished, Speed};
use ingest::source::{Instant, SimulatedConfig, SimulatedSource, Source};
use runtime::{ClockMode, Context, Health, HealthState};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::fakes::{self, ACCOUNT, Fakes};
use crate::support::{import, memory, stored, write};

/// The first instants of a simulated market.
#[derive(Clone)]
pub struct Short {
    source: Arc<Vec<Instant>>,
    subjects: Vec<contracts::Subject>,
    at: usize,
}

impl Short {
    pub fn new(instants: usize) -> Self {
        let from = NaiveDate::from_ymd_opt(2024, 1, 2).unwrap();
        let config =
            SimulatedConfig { symbols: 3, timeframe: Timeframe::M30, from, ..SimulatedConfig::default() };
        let mut source = SimulatedSource::new(config).unwrap();
        let subjects = source.subjects();
        let instants = std::iter::from_fn(|| source.next()).take(instants).collect();
        Self { source: Arc::new(instants), subjects, at: 0 }
    }

    pub fn instants(&self) -> &[Instant] {
        &self.source
    }
}

impl Source for Short {
    fn name(&self) -> &str {
        "demo"
    }

    fn subjects(&self) -> Vec<contracts::Subject> {
        self.subjects.clone()
    }

    fn seek(&mut self, ns: i64) {
        self.at = self.source.partition_point(|instant| instant.ns < ns);
    }

    fn next(&mut self) -> Option<Instant> {
        self.at += 1;
        self.source.get(self.at - 1).cloned()
    }
}

pub fn context(tape: &Tape) -> Context {
    Context {
        tape: tape.clone(),
        clock: ClockMode::Tape,
        health: Health::default(),
        shutdown: CancellationToken::new(),
    }
}

pub fn config() -> ClockConfig {
    ClockConfig { accounts: vec![ACCOUNT.into()], consumers: vec!["strategy".into()] }
}

/// A running clock.
pub struct Running {
    pub context: Context,
    pub handle: ClockHandle,
    task: JoinHandle<Finished>,
}

pub fn start(tape: &Tape, source: &Short, speed: Speed) -> Running {
    let context = context(tape);
    let (handle, control) = clock::control(speed);
    let (inner, mut source) = (context.clone(), source.clone());
    let task =
        tokio::spawn(async move { clock::run(&inner, &mut source, &config(), control).await.unwrap() });
    Running { context, handle, task }
}

impl Running {
    /// Waits for the end; a clock that stands still fails the test.
    pub async fn finish(self) -> Finished {
        tokio::time::timeout(Duration::from_secs(30), self.task)
            .await
            .expect("the clock stands still")
            .unwrap()
    }

    /// Waits until so many instants are done; false when the clock ends before.
    pub async fn reaches(&self, instants: u64) -> bool {
        let mut progress = self.handle.progress();
        progress.wait_for(|progress| progress.instants >= instants).await.is_ok()
    }

    /// Waits for a state of health whose detail holds a text.
    pub async fn health(&self, state: HealthState, detail: &str) -> String {
        for _ in 0..500 {
            if let Some(stated) = self.context.health.all().get("ingest")
                && stated.state == state
                && stated.detail.contains(detail)
            {
                return stated.detail.clone();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no {state:?} with {detail:?}: {:?}", self.context.health.all());
    }
}

/// Ids of a stream in the order of the tape.
async fn ids(tape: &Tape, stream: &str) -> Vec<String> {
    let state = tape.state(stream).await.unwrap();
    let mut ids = Vec::new();
    for sequence in 1..=state.last_sequence {
        ids.push(tape.get(stream, sequence).await.unwrap().unwrap().event.id);
    }
    ids
}

async fn sorted_ids(tape: &Tape, stream: &str) -> Vec<String> {
    let mut ids = ids(tape, stream).await;
    ids.sort();
    ids
}

fn market_ids(source: &Short) -> Vec<String> {
    source.instants().iter().flat_map(|instant| &instant.events).map(|(_, event)| event.id.clone()).collect()
}

/// A tape on which the whole source was played without interruption.
async fn played(source: &Short) -> (Tape, Finished) {
    let tape = memory();
    let _fakes = fakes::all(&tape);
    let finished = start(&tape, source, Speed::Max).finish().await;
    (tape, finished)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_instant_is_published_once_and_waited_for() {
    let source = Short::new(100);
    let (tape, finished) = played(&source).await;
    assert_eq!(finished.reason, FinishReason::SourceEnd);
    assert_eq!((finished.resumed_at_ns, finished.was_complete()), (None, false));
    assert_eq!(ids(&tape, MARKET).await, market_ids(&source));
    let progress = finished.progress;
    let bars: usize = source.instants().iter().map(Instant::bars).sum();
    let with_bars = source.instants().iter().filter(|instant| instant.bars() > 0).count();
    assert_eq!((progress.instants, progress.bars), (100, bars as u64));
    assert_eq!(progress.instants_with_bars, with_bars as u64);
    assert_eq!(progress.instant_ns, source.instants().last().map(|instant| instant.ns));
    assert_eq!(progress.published, market_ids(&source).len() as u64);
    // Two orders a signal, the first of each filled at once; everything is on the tape when the clock ends.
    assert!(progress.signals > 20, "{progress:?}");
    assert_eq!((progress.orders, progress.fills), (2 * progress.signals, progress.signals));
    assert_eq!(progress.instants_with_orders, progress.instants_with_signals);
    assert_eq!(progress.instants_with_decisions, progress.instants_with_signals);
    assert_eq!(progress.decisions, progress.signals, "risk answers each");
    assert_eq!(tape.state(TRADING).await.unwrap().messages, 100 + 6 * progress.signals);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instant_says_how_far_trading_had_come_before_it() {
    let (tape, _) = played(&Short::new(30)).await;
    let time = |event: &Event| event.event_time.as_ref().and_then(from_timestamp).unwrap();
    let mut trading = Vec::new();
    for sequence in 1..=tape.state(TRADING).await.unwrap().last_sequence {
        let event = tape.get(TRADING, sequence).await.unwrap().unwrap().event;
        let waited_for = matches!(event.body, Some(Body::AccountMarked(_) | Body::RiskDecision(_)));
        trading.push((time(&event), sequence, waited_for));
    }
    for recorded in stored(&tape, "market.>").await {
        let earlier = trading.iter().filter(|(ns, ..)| *ns < time(&recorded.event));
        let most = earlier.clone().map(|(_, sequence, _)| *sequence).max().unwrap_or_default();
        let least = earlier.filter(|(.., waited_for)| *waited_for).map(|(_, sequence, _)| *sequence).max();
        let said = recorded.event.instant.unwrap().trading_sequence;
        assert!((least.unwrap_or_default()..=most).contains(&said), "{said}, {least:?} to {most}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_run_resumes_and_doubles_nothing() {
    let source = Short::new(60);
    let (whole, _) = played(&source).await;
    let tape = memory();
    for round in 1..20 {
        // The services restart with the clock, at whatever they were doing.
        let _fakes = fakes::all(&tape);
        let running = start(&tape, &source, Speed::Max);
        // The last round may find fewer instants than it asks for.
        running.reaches(round).await;
        running.context.shutdown.cancel();
        let finished = running.finish().await;
        if finished.reason == FinishReason::SourceEnd {
            break;
        }
    }
    let _fakes = fakes::all(&tape);
    let finished = start(&tape, &source, Speed::Max).finish().await;
    assert_eq!(finished.reason, FinishReason::SourceEnd);
    assert_eq!(ids(&tape, MARKET).await, market_ids(&source));
    assert_eq!(sorted_ids(&tape, TRADING).await, sorted_ids(&whole, TRADING).await);
    // Once more: nothing is new, and the clock says so although every acknowledgement was given before.
    let finished = start(&tape, &source, Speed::Max).finish().await;
    assert!(finished.was_complete(), "{finished:?}");
    assert_eq!(ids(&tape, MARKET).await.len(), market_ids(&source).len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_an_instant_is_completed() {
    let source = Short::new(40);
    let tape = memory();
    for (index, instant) in source.instants()[..20].iter().enumerate() {
        for (subject, event) in &instant.events {
            // Of the last instant only the second event reached the tape.
            if index < 19 || event.instant.unwrap().position == 1 {
                let (subject, event) = (subject.clone(), event.clone());
                tape.append(Append { subject, event, expect: Expect::Nothing }).await.unwrap();
            }
        }
    }
    let _fakes = fakes::all(&tape);
    let finished = start(&tape, &source, Speed::Max).finish().await;
    assert_eq!(finished.resumed_at_ns, Some(source.instants()[19].ns));
    let mut want = market_ids(&source);
    want.sort();
    assert_eq!(sorted_ids(&tape, MARKET).await, want);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_into_the_same_series_does_not_disturb_it() {
    let source = Short::new(120);
    let tape = memory();
    let dir = tempfile::tempdir().unwrap();
    let symbol = "ACMEX";
    let header = "symbol,timeframe,start_utc,open,high,low,close,volume\n";
    let file = |name: &str, year: u32| {
        let rows: String = [3, 4, 5]
            .iter()
            .map(|day| format!("{symbol},30m,{year}-03-0{day}T15:00:00Z,10,20,5,11,100\n"))
            .collect();
        write(&dir, name, format!("{header}{rows}"))
    };
    let (early, late) = (file("early.csv", 2020), file("late.csv", 2009));
    let fakes = fakes::all(&tape);
    let running = start(&tape, &source, Speed::Max);
    assert!(running.reaches(10).await);
    assert_eq!(import(&tape, &[early]).await.appended, 3);
    assert!(running.reaches(30).await);
    running.context.shutdown.cancel();
    running.finish().await;
    // The series ends with imported bars when the clock resumes.
    assert!(import(&tape, &[late]).await.appended >= 2);
    drop(fakes);
    let _fakes = fakes::all(&tape);
    start(&tape, &source, Speed::Max).finish().await;
    let market = stored(&tape, "market.>").await;
    let own: Vec<_> = market.iter().filter(|recorded| recorded.event.source == "demo").collect();
    // Consumers take an instant as complete with its last event, so an import must not disturb the order.
    let places: Vec<_> = own.iter().map(|recorded| &recorded.event.id).cloned().collect();
    assert_eq!(places, market_ids(&source));
    let own_ids: std::collections::BTreeSet<_> = own.iter().map(|recorded| &recorded.event.id).collect();
    assert_eq!((own.len(), own_ids.len()), (market_ids(&source).len(), market_ids(&source).len()));
}

/// Starts a clock with some services missing and waits for the culprit's name; then the rest comes.
async fn stalls(some: impl Fn(&Tape) -> Vec<Fakes>, rest: impl Fn(&Tape) -> Vec<Fakes>, culprit: &str) {
    let source = Short::new(30);
    let tape = memory();
    let _some = some(&tape);
    let running = start(&tape, &source, Speed::Max);
    let detail = running.health(HealthState::Degraded, culprit).await;
    assert!(detail.contains("2024-01-02T"), "{detail}");
    let _rest = rest(&tape);
    running.health(HealthState::Ready, "").await;
    assert_eq!(running.finish().await.progress.instants, 30, "{culprit}");
}

#[tokio::test]
async fn an_order_by_hand_is_decided_with_the_marks_of_its_instant() {
    let source = Short::new(3);
    let tape = memory();
    let mut asked = tape.hints("clock.decide").await.unwrap();
    let services = [
        fakes::order_before_the_mark(&tape),
        fakes::silent_strategy(&tape),
        fakes::broker(&tape),
        fakes::risk(&tape),
    ];
    start(&tape, &source, Speed::Max).finish().await;
    drop(services);
    let mut decided = std::collections::BTreeSet::new();
    while let Some(hint) = asked.ready() {
        let hint: std::collections::BTreeMap<String, i64> = serde_json::from_slice(&hint.payload).unwrap();
        let through = u64::try_from(hint["trading_sequence"]).unwrap();
        let last = tape.get(TRADING, through).await.unwrap().unwrap();
        assert!(last.subject.ends_with(".marked"), "{} at {through}", last.subject);
        let mut ordered_before = false;
        for sequence in 1..through {
            let earlier = tape.get(TRADING, sequence).await.unwrap().unwrap();
            ordered_before |=
                earlier.subject.starts_with("signal.") && earlier.event.event_time == last.event.event_time;
        }
        assert!(ordered_before, "no order of the instant before {through}");
        decided.insert(hint["instant_ns"]);
    }
    assert_eq!(decided.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_decision_that_execution_parks_no_answer_is_waited_for() {
    let source = Short::new(3);
    let tape = memory();
    let _services = [
        fakes::order_before_the_mark(&tape),
        fakes::silent_strategy(&tape),
        fakes::parking(&tape),
        fakes::risk(&tape),
    ];
    let finished = start(&tape, &source, Speed::Max).finish().await;
    assert_eq!((finished.progress.instants, finished.progress.signals), (3, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stall_names_the_culprit_and_decides_nothing() {
    tokio::join!(
        stalls(|_| vec![], |tape| vec![fakes::all(tape)], "waiting for execution to mark account paper"),
        stalls(
            |tape| vec![fakes::execution(tape)],
            |tape| vec![fakes::strategy(tape)],
            "waiting for consumer strategy to acknowledge MARKET",
        ),
        stalls(
            |tape| vec![fakes::execution(tape), fakes::strategy_without_risk(tape)],
            |tape| vec![fakes::risk(tape)],
            "waiting for risk to decide",
        ),
        stalls(
            |tape| vec![fakes::marks(tape), fakes::strategy(tape)],
            |tape| vec![fakes::broker(tape)],
            "waiting for execution to bring the broker's answer to order",
        ),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn market_time_passes_at_the_chosen_speed_and_closed_time_at_once() {
    // Two sessions of 13 half hours, an instant at each opening.
    let source = Short::new(28);
    let tape = memory();
    let _fakes = fakes::all(&tape);
    let began = Moment::now();
    // 30 minutes in 20 ms.
    let running = start(&tape, &source, Speed::Times(NonZeroU32::new(90_000).unwrap()));
    assert!(running.reaches(5).await);
    running.handle.pause();
    // At most the instant under way follows.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let paused = running.handle.progress().borrow().instants;
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(running.handle.progress().borrow().instants, paused);
    assert!(running.handle.pace().paused);
    running.handle.resume();
    assert_eq!(running.finish().await.progress.instants, 28);
    let elapsed = began.elapsed();
    // 26 half hours of market time, and the pause; a night would be more than half a second.
    assert!(elapsed >= Duration::from_millis(26 * 20), "{elapsed:?}");
    assert!(elapsed < Duration::from_millis(26 * 20 + 250 + 600), "{elapsed:?}");

    let tape = Arc::new(MemoryLog::new()) as Tape;
    let _fakes = fakes::all(&tape);
    let running = start(&tape, &source, Speed::Times(NonZeroU32::new(1).unwrap()));
    assert!(running.reaches(1).await);
    running.handle.set_speed(Speed::Max);
    assert_eq!(running.finish().await.progress.instants, 28);
}

#[test]
fn a_speed_is_max_or_a_positive_number() {
    assert_eq!("max".parse::<Speed>(), Ok(Speed::Max));
    assert_eq!("300".parse::<Speed>(), Ok(Speed::Times(NonZeroU32::new(300).unwrap())));
    for bad in ["0", "-1", "fast", "1.5", ""] {
        let error = bad.parse::<Speed>().unwrap_err().to_string();
        assert_eq!(error, format!("speed {bad:?}, expected `max` or a whole number from 1 to 4294967295"));
    }
}
