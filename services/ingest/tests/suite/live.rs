//! Live minutes on a tape in memory, told by a script: what is stored, once, and what becomes of mistakes.
//!
//! Each test is a process of its own, whose clock stands in a session of the past.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::NaiveDate;
use contracts::stream::MARKET;
use contracts::v1::event::Body;
use contracts::v1::{ActionKind, Origin, SessionPhase, SourceReported};
use domain::bar::Timeframe;
use domain::calendar::{Calendar, Market};
use domain::money::{Price, Volume};
use event_log::{Recorded, Tape};
use ingest::file::{Action, Series};
use ingest::import::{Backfill, Quote};
use ingest::live::{DayActions, Heard, LiveConfig, LiveError, LiveMarket, LiveMarkets, Minute, Status, run};
use ingest::quality::{Rules, Unapplied};
use ingest::standards::Standards;
use runtime::{ClockMode, Context, Health, HealthState, clock, now_ns};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::{memory, stored};

mod earlier;

const MINUTE_NS: i64 = 60_000_000_000;
const WITHIN: Duration = Duration::from_secs(20);

/// What the script tells, and what the vendor's history holds.
#[derive(Clone, Default)]
struct Script {
    history: Arc<Mutex<Vec<Minute>>>,
    refusals: Arc<Mutex<u32>>,
    actions: Arc<Mutex<Vec<Action>>>,
    unapplied: Arc<Mutex<Vec<Unapplied>>>,
    teller: Arc<Mutex<Option<mpsc::UnboundedSender<Vec<Heard>>>>>,
}

impl Script {
    fn say(&self, heard: Vec<Heard>) {
        self.teller.lock().unwrap().as_ref().unwrap().send(heard).unwrap();
    }
}

#[async_trait]
impl LiveMarkets for Script {
    fn name(&self) -> &str {
        "vendor"
    }

    fn open(&self) -> Result<Box<dyn LiveMarket>, String> {
        let (teller, told) = mpsc::unbounded_channel();
        *self.teller.lock().unwrap() = Some(teller);
        Ok(Box::new(Told { script: self.clone(), told }))
    }

    async fn actions(&self, symbols: &[String], date: NaiveDate) -> Result<DayActions, String> {
        let mut actions = self.actions.lock().unwrap().clone();
        actions.retain(|action| symbols.contains(&action.symbol) && action.ex_date == date);
        let unapplied = self.unapplied.lock().unwrap().clone();
        Ok(DayActions { actions, unapplied })
    }
}

struct Told {
    script: Script,
    told: mpsc::UnboundedReceiver<Vec<Heard>>,
}

#[async_trait]
impl LiveMarket for Told {
    async fn next(&mut self) -> Vec<Heard> {
        match self.told.recv().await {
            Some(heard) => heard,
            None => std::future::pending().await,
        }
    }

    async fn minutes(
        &mut self,
        symbols: &[String],
        from_ns: i64,
        to_ns: i64,
        now_ns: i64,
    ) -> Result<Vec<Minute>, String> {
        {
            let mut refusals = self.script.refusals.lock().unwrap();
            if *refusals > 0 {
                *refusals -= 1;
                return Err("vendor: not today".to_owned());
            }
        }
        let mut found = self.script.history.lock().unwrap().clone();
        found.retain(|minute| {
            let start_ns = minute.quote.start_ns;
            symbols.contains(&minute.symbol)
                && (from_ns..to_ns).contains(&start_ns)
                && start_ns + MINUTE_NS <= now_ns
        });
        Ok(found)
    }

    fn paused_for(&self) -> Option<Duration> {
        None
    }

    fn last_frame_ns(&self) -> i64 {
        now_ns()
    }
}

/// A service under way on a tape.
struct Deck {
    tape: Tape,
    script: Script,
    health: Health,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), LiveError>>,
}

/// Puts the clock `minutes` after the open of Tuesday, 2026-01-06, and answers the open.
fn at(minutes: i64) -> i64 {
    let session = Calendar::xnys().session("2026-01-06".parse().unwrap()).unwrap().unwrap();
    let real_ns = now_ns() - clock::offset_ns();
    clock::set_offset_ns(session.open_ns + minutes * MINUTE_NS - real_ns);
    session.open_ns
}

impl Deck {
    async fn start(tape: &Tape, script: &Script) -> Self {
        let (health, shutdown) = (Health::default(), CancellationToken::new());
        let context = Context {
            tape: tape.clone(),
            clock: ClockMode::Wall,
            health: health.clone(),
            shutdown: shutdown.clone(),
        };
        let config = LiveConfig {
            symbols: vec!["AAPL".into(), "MSFT".into()],
            timeframes: vec![Timeframe::M5, Timeframe::H1],
            fresh: Duration::from_secs(180),
            grace: Duration::from_secs(5),
            recheck: Duration::ZERO,
            ticks_every: Duration::from_millis(100),
            standards: Standards { rules: Some(Rules::default()), ..Standards::default() },
            instance: format!("{:016x}", now_ns()),
        };
        let markets = Arc::new(script.clone());
        let task = tokio::spawn(run(context, config, markets));
        let deck = Self { tape: tape.clone(), script: script.clone(), health, shutdown, task };
        let open = || async { deck.script.teller.lock().unwrap().is_some() };
        eventually(open).await;
        deck
    }

    async fn live(&self) {
        self.script.say(vec![Heard::Live]);
        eventually(|| async { self.is(HealthState::Ready) }).await;
    }

    fn is(&self, state: HealthState) -> bool {
        self.health.all().get("ingest").is_some_and(|health| health.state == state)
    }

    /// Waits for so many bars and revisions of minutes.
    async fn holds(&self, minutes: usize, revisions: usize) {
        eventually(|| async {
            let bars = stored(&self.tape, "market.bar.1m.>").await.len();
            let revised = stored(&self.tape, "market.revision.1m.>").await.len();
            bars >= minutes && revised >= revisions
        })
        .await;
    }

    async fn stop(self) {
        self.shutdown.cancel();
        *self.script.teller.lock().unwrap() = None;
        self.task.await.unwrap().unwrap();
    }
}

async fn eventually<F: Future<Output = bool>>(condition: impl Fn() -> F) {
    let deadline = tokio::time::Instant::now() + WITHIN;
    while !condition().await {
        assert!(tokio::time::Instant::now() < deadline, "not in time");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn minute(symbol: &str, start_ns: i64, dollars: i64) -> Minute {
    let price = |cents: i64| Price(dollars * domain::money::E9 + cents * 10_000_000);
    let quote = Quote {
        start_ns,
        open: price(0),
        high: price(5),
        low: price(-5),
        close: price(1),
        volume: Volume(100_000),
    };
    Minute { symbol: symbol.to_owned(), quote, revised: false }
}

/// Subject without its first token, minutes from the open to the close, origin, close in dollars.
async fn bars(tape: &Tape, open_ns: i64) -> Vec<(String, i64, Origin, i64)> {
    let mut found = Vec::new();
    for recorded in stored(tape, "market.>").await {
        let bar = match recorded.event.body.unwrap() {
            Body::Bar(bar) => bar,
            Body::BarRevision(revision) => revision.bar.unwrap(),
            _ => continue,
        };
        let close_ns = recorded.event.event_time.as_ref().and_then(contracts::from_timestamp).unwrap();
        let subject = recorded.subject.trim_start_matches("market.").to_owned();
        let (origin, dollars) = (bar.origin(), bar.close_e9 / domain::money::E9);
        found.push((subject, (close_ns - open_ns) / MINUTE_NS, origin, dollars));
    }
    found
}

async fn findings(tape: &Tape) -> Vec<(String, String)> {
    let events = stored(tape, "market.quality.>").await.into_iter();
    let finding = |body| match body {
        Body::QualityFinding(finding) => (finding.symbol, finding.rule),
        other => panic!("{other:?}"),
    };
    events.map(|recorded| finding(recorded.event.body.unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minute_is_stored_once_and_longer_bars_are_made_of_the_minutes() {
    let open_ns = at(11);
    let (tape, script) = (memory(), Script::default());
    let deck = Deck::start(&tape, &script).await;
    deck.live().await;
    let told = |minutes: &[(i64, i64)]| {
        let told = minutes.iter().map(|(at, dollars)| minute("AAPL", open_ns + at * MINUTE_NS, *dollars));
        script.say(told.map(Heard::Minute).collect());
    };
    told(&[(8, 10), (9, 11), (9, 11), (9, 11)]);
    deck.holds(2, 0).await;
    told(&[(9, 12)]);
    deck.holds(2, 1).await;
    told(&[(7, 9)]);
    eventually(|| async { bars(&tape, open_ns).await.len() >= 7 }).await;
    let live = Origin::Live;
    let subject = |kind: &str| format!("{kind}.AAPL");
    let expected = [
        (subject("bar.1m"), 9, live, 10),
        (subject("bar.1m"), 10, live, 11),
        (subject("bar.5m"), 10, live, 11),
        (subject("revision.1m"), 10, live, 12),
        (subject("revision.5m"), 10, live, 12),
        // Late by more than what may trade; the longer bar that it changes is not.
        (subject("bar.1m"), 8, Origin::Backfill, 9),
        (subject("revision.5m"), 10, live, 12),
    ];
    assert_eq!(bars(&tape, open_ns).await, expected);
    for recorded in stored(&tape, "market.bar.>").await {
        assert_eq!(recorded.event.instant, None, "an instant of its own");
        assert_eq!(recorded.event.source, "vendor");
        let Some(Body::Bar(bar)) = recorded.event.body else { panic!("no bar") };
        assert_eq!(bar.made_of, if bar.timeframe == "1m" { "" } else { "1m" });
        let close_ns = recorded.event.event_time.as_ref().and_then(contracts::from_timestamp).unwrap();
        assert_eq!(recorded.event.id, contracts::bar_id("vendor", "AAPL", &bar.timeframe, close_ns));
    }
    let changed = ("AAPL".to_owned(), "changed_without_update".to_owned());
    assert!(findings(&tape).await.contains(&changed));
    deck.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_is_stored_before_what_follows_and_old_bars_never_trade() {
    let open_ns = at(20);
    let (tape, script) = (memory(), Script::default());
    for at in 0..20 {
        script.history.lock().unwrap().push(minute("AAPL", open_ns + at * MINUTE_NS, 10 + at));
    }
    let deck = Deck::start(&tape, &script).await;
    script.say(vec![Heard::Live, Heard::Minute(minute("MSFT", open_ns + 19 * MINUTE_NS, 50))]);
    deck.holds(21, 0).await;
    let mut found = bars(&tape, open_ns).await;
    found.retain(|(subject, ..)| subject.starts_with("bar.1m."));
    let closes: Vec<i64> = found.iter().map(|(_, close, ..)| *close).collect();
    assert_eq!(closes, (1..=20).chain([20]).collect::<Vec<_>>(), "the gap in its order, then the stream");
    for (_, close, origin, _) in found {
        let expected = if close < 17 { Origin::Backfill } else { Origin::Live };
        assert!(origin == expected || close == 17, "minute {close}: {origin:?}");
    }
    // Again, with a gap that the vendor refuses at first: the stream goes on, and the gap is filled later.
    *script.refusals.lock().unwrap() = 1;
    script.say(vec![Heard::Lost { why: "gone".into(), again_in: Duration::ZERO }]);
    eventually(|| async { deck.is(HealthState::Degraded) }).await;
    script.history.lock().unwrap().push(minute("MSFT", open_ns + 18 * MINUTE_NS, 51));
    script.say(vec![Heard::Live]);
    deck.holds(22, 0).await;
    assert_eq!(stored(&tape, "market.revision.1m.>").await.len(), 0, "nothing was doubled");
    deck.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_in_mid_hour_loses_nothing_and_doubles_nothing() {
    let open_ns = at(22);
    let (tape, script) = (memory(), Script::default());
    let deck = Deck::start(&tape, &script).await;
    deck.live().await;
    let of = |range: std::ops::Range<i64>| {
        range.map(move |at| minute("AAPL", open_ns + at * MINUTE_NS, 10 + at)).collect::<Vec<_>>()
    };
    script.history.lock().unwrap().extend(of(0..30));
    script.say(of(0..20).into_iter().map(Heard::Minute).collect());
    deck.holds(20, 0).await;
    deck.stop().await;
    at(31);
    let deck = Deck::start(&tape, &script).await;
    script.say(vec![Heard::Live]);
    script.say(of(28..30).into_iter().map(Heard::Minute).collect());
    deck.holds(30, 0).await;
    eventually(|| async { !stored(&deck.tape, "market.bar.1h.>").await.is_empty() }).await;
    let found = bars(&tape, open_ns).await;
    let minutes = found.iter().filter(|(subject, ..)| subject == "bar.1m.AAPL").count();
    assert_eq!((minutes, stored(&tape, "market.revision.>").await.len()), (30, 0));
    let hours = stored(&tape, "market.bar.1h.AAPL").await;
    let [hour] = hours.as_slice() else { panic!("{hours:?}") };
    let Some(Body::Bar(hour)) = &hour.event.body else { panic!("no bar") };
    // From the open at 9:30 to 10:00, with the minutes of before the restart.
    assert_eq!(hour.volume_e3, 30 * 100_000);
    assert_eq!((hour.open_e9, hour.close_e9 / domain::money::E9), (10 * domain::money::E9, 39));
    deck.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_minute_is_left_out_and_named() {
    let open_ns = at(10);
    let (tape, script) = (memory(), Script::default());
    let deck = Deck::start(&tape, &script).await;
    deck.live().await;
    let mut inverted = minute("AAPL", open_ns, 10);
    inverted.quote.high = Price(1);
    let corrected = Minute { revised: true, ..minute("MSFT", open_ns, 20) };
    let halted = Status {
        symbol: "AAPL".into(),
        halted: Some(true),
        words: "Trading Halt (H): News pending (T12)".into(),
        at_ns: open_ns + 5 * MINUTE_NS,
    };
    script.say(vec![
        Heard::Minute(inverted),
        Heard::Minute(minute("AAPL", open_ns + 60 * MINUTE_NS, 10)),
        Heard::Minute(minute("AAPL", open_ns - 60 * MINUTE_NS, 10)),
        Heard::Minute(minute("NVDA", open_ns, 10)),
        Heard::Status(halted),
        Heard::Unreadable("o: invalid type".into()),
        Heard::Minute(minute("MSFT", open_ns, 19)),
        Heard::Minute(corrected),
        // What was told before the correction, once more.
        Heard::Minute(minute("MSFT", open_ns, 19)),
        Heard::Minute(minute("MSFT", open_ns + MINUTE_NS, 21)),
    ]);
    deck.holds(2, 1).await;
    let mut found = bars(&tape, open_ns).await;
    found.retain(|(subject, ..)| !subject.contains("5m"));
    let told: Vec<_> =
        found.iter().map(|(subject, close, _, dollars)| (subject.as_str(), *close, *dollars)).collect();
    assert_eq!(told, [("bar.1m.MSFT", 1, 19), ("revision.1m.MSFT", 1, 20), ("bar.1m.MSFT", 2, 21)]);
    eventually(|| async { findings(&tape).await.len() >= 3 }).await;
    let rules: Vec<_> = findings(&tape).await.into_iter().map(|(_, rule)| rule).collect();
    assert_eq!(rules, ["inconsistent_bar", "from_the_future", "halt"]);
    deck.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_longer_bar_that_lies_across_one_of_another_source_is_a_finding_before_any_bar() {
    let open_ns = at(31);
    let (tape, script) = (memory(), Script::default());
    let series = Series { symbol: "AAPL".into(), timeframe: Timeframe::H1 };
    let mut other =
        Backfill::open(&tape, "other", series, Market::Xnys, &Standards::default()).await.unwrap();
    other.bars(&[minute("AAPL", open_ns, 10).quote]).await.unwrap();
    other.finish().await.unwrap();
    let deck = Deck::start(&tape, &script).await;
    deck.live().await;
    let of = |dollars: i64, at: i64| minute("AAPL", open_ns + at * MINUTE_NS, dollars);
    script.say((0..30).map(|at| Heard::Minute(of(10, at))).collect());
    deck.holds(30, 0).await;
    eventually(|| async { !findings(&tape).await.is_empty() }).await;
    assert_eq!(findings(&tape).await, [("AAPL".to_owned(), "overlapping_bar".to_owned())]);
    assert_eq!(stored(&tape, "market.bar.1h.>").await.len(), 1, "that of the other source");
    // A jump is found as the minute comes, and stands before it.
    script.say(vec![Heard::Minute(of(20, 30))]);
    deck.holds(31, 0).await;
    let stood = stored(&tape, "market.>").await;
    let subjects: Vec<&str> = stood.iter().rev().map(|recorded| recorded.subject.as_str()).take(2).collect();
    assert_eq!(subjects, ["market.bar.1m.AAPL", "market.quality.AAPL"]);
    assert_eq!(findings(&tape).await[1].1, "split_shaped");
    deck.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_opened_and_a_refusal_is_told_and_left_alone() {
    at(10);
    let (tape, script) = (memory(), Script::default());
    let deck = Deck::start(&tape, &script).await;
    eventually(|| async { !stored(&tape, "market.session.>").await.is_empty() }).await;
    script.say(vec![Heard::Refused("vendor refuses (402): auth failed".into())]);
    eventually(|| async { deck.is(HealthState::Degraded) }).await;
    assert!(deck.health.all()["ingest"].detail.contains("auth failed"));
    let reported = || async {
        let last = tape.last(contracts::stream::LOGS, "log.vendor.source").await.unwrap();
        match last.and_then(|recorded| recorded.event.body) {
            Some(Body::SourceReported(SourceReported { state, last_error, symbols, .. })) => {
                state == "refused" && last_error.contains("auth failed") && symbols.len() == 2
            }
            _ => false,
        }
    };
    eventually(reported).await;
    assert!(!deck.task.is_finished(), "it is not started again to be refused again");
    deck.stop().await;

    // After the close the session is closed, once, also by a service that was away.
    at(6 * 60 + 31);
    for _ in 0..2 {
        let deck = Deck::start(&tape, &script).await;
        eventually(|| async { stored(&tape, "market.session.>").await.len() >= 2 }).await;
        deck.stop().await;
    }
    let phases: Vec<SessionPhase> = stored(&tape, "market.session.>")
        .await
        .into_iter()
        .map(|recorded| {
            let Some(Body::SessionChange(change)) = recorded.event.body else { panic!("no session") };
            change.phase()
        })
        .collect();
    assert_eq!(phases, [SessionPhase::Opened, SessionPhase::Closed]);
    assert!(tape.state(MARKET).await.unwrap().messages >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_effect_today_is_on_the_tape_before_the_open_and_once() {
    let open_ns = at(-20);
    let (tape, script) = (memory(), Script::default());
    let split = Action {
        symbol: "AAPL".into(),
        ex_date: "2026-01-06".parse().unwrap(),
        kind: ActionKind::Split,
        value_e9: 4 * domain::money::E9,
        line: 0,
    };
    let later = Action { ex_date: "2026-01-07".parse().unwrap(), ..split.clone() };
    *script.actions.lock().unwrap() = vec![split, later];
    let words = "spin_off of MSFT on 2026-01-06: new_symbol NEWS".to_owned();
    let told = Unapplied { symbol: "MSFT".into(), date: "2026-01-06".parse().unwrap(), words };
    *script.unapplied.lock().unwrap() = vec![told];
    // The second start is within the session.
    for minutes in [-20, 40] {
        at(minutes);
        let deck = Deck::start(&tape, &script).await;
        eventually(|| async { !stored(&tape, "market.action.>").await.is_empty() }).await;
        if minutes > 0 {
            eventually(|| async { !stored(&tape, "market.session.>").await.is_empty() }).await;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        deck.stop().await;
    }
    let actions = stored(&tape, "market.action.>").await;
    let [recorded] = actions.as_slice() else { panic!("{actions:?}") };
    let Some(Body::CorporateAction(action)) = &recorded.event.body else { panic!("no action") };
    assert_eq!(
        (action.symbol.as_str(), action.ex_date.as_str(), action.origin()),
        ("AAPL", "2026-01-06", Origin::Live)
    );
    assert_eq!(recorded.event.event_time.as_ref().and_then(contracts::from_timestamp), Some(open_ns));
    let findings = stored(&tape, "market.quality.MSFT").await;
    let told = |recorded: &Recorded| match &recorded.event.body {
        Some(Body::QualityFinding(finding)) if finding.rule == "action_not_applied" => {
            Some(finding.detail.clone())
        }
        _ => None,
    };
    let told: Vec<String> = findings.iter().filter_map(told).collect();
    assert_eq!(told, ["spin_off of MSFT on 2026-01-06: new_symbol NEWS"]);
}
