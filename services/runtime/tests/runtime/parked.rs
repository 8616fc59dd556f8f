//! Parked messages: handled again once, where that may happen late, or dismissed.

use std::sync::Arc;

use contracts::stream::{AUDIT, MARKET, PARKED, TRADING};
use contracts::v1::event::Body;
use contracts::v1::*;
use contracts::{Subject, to_timestamp};
use event_log::{Append, Expect, LogError, MemoryLog, Tape};
use runtime::command::Caller;
use runtime::command::parked::{self, MarketWriter, Message, ParkedError};
use runtime::{ClockMode, Context, Health};
use tokio_util::sync::CancellationToken;

const HOUR: i64 = 3_600_000_000_000;

struct World {
    memory: MemoryLog,
    tape: Tape,
}

impl World {
    /// A tape with a strategy, an account whose prices may be an hour old, and a mark at hour 100.
    async fn new() -> Self {
        let memory = MemoryLog::new();
        let world = Self { tape: Arc::new(memory.clone()), memory };
        let limits = RiskLimits { max_price_age_ms: 3_600_000, ..RiskLimits::default() };
        for body in [
            Body::StrategyRegistered(StrategyRegistered {
                strategy: "ext".into(),
                account: "paper".into(),
                ..StrategyRegistered::default()
            }),
            Body::AccountConfigured(AccountConfigured {
                account: "paper".into(),
                limits: Some(limits),
                ..AccountConfigured::default()
            }),
            Body::AccountMarked(AccountMarked { account: "paper".into(), ..AccountMarked::default() }),
        ] {
            world.append(event("setting", 100, body)).await;
        }
        world
    }

    async fn append(&self, event: Event) -> u64 {
        let subject = Subject::for_event(&event, None).unwrap();
        let event = Event { id: format!("{}/{subject}", event.id), ..event };
        self.tape.append(Append { subject, event, expect: Expect::Nothing }).await.unwrap().sequence
    }

    /// Puts a payload on its stream as a plain client would, and gives what the read model says of it.
    fn set_aside(&self, subject: &str, payload: Vec<u8>) -> Message {
        let sequence = self.memory.publish_raw(subject, &payload, None).unwrap();
        let stream = contracts::stream_of(subject).unwrap().to_owned();
        let ids = ["risk", "execution"].map(|service| format!("{service}-{sequence}"));
        let services = vec!["risk".to_owned(), "execution".to_owned()];
        let subject = subject.to_owned();
        Message { ids: ids.to_vec(), services, parked_at: 0, stream, sequence, subject, payload }
    }

    async fn replay(&self, message: &Message, answered: bool) -> Result<u64, ParkedError> {
        let answered = async move |_| Ok::<_, LogError>(answered);
        parked::replay(&self.tape, &caller(), MarketWriter::Caller, message, answered).await
    }

    /// As the dashboard does it.
    async fn have_replayed(&self, message: &Message) -> Result<u64, ParkedError> {
        let answered = async move |_| Ok::<_, LogError>(false);
        parked::replay(&self.tape, &caller(), MarketWriter::Ingest, message, answered).await
    }

    /// Sets a message aside, as a service does. Gives the sequence of that.
    async fn park(&self, message: &Message) -> u64 {
        let Message { stream, sequence, subject, payload, .. } = message;
        runtime::park(&self.tape, "strategy", stream, *sequence, subject, payload, "unread").await.unwrap();
        self.tape.state(PARKED).await.unwrap().last_sequence
    }

    /// Serves as `ingest` does, and listens when this returns.
    async fn serve(&self) {
        let (clock, health) = (ClockMode::Wall, Health::default());
        let shutdown = CancellationToken::new();
        tokio::spawn(parked::serve(Context { tape: Arc::clone(&self.tape), clock, health, shutdown }));
        tokio::task::yield_now().await;
    }

    async fn counts(&self) -> [u64; 4] {
        let mut counts = [0; 4];
        for (count, stream) in counts.iter_mut().zip([MARKET, TRADING, PARKED, AUDIT]) {
            *count = self.tape.state(stream).await.unwrap().messages;
        }
        counts
    }
}

fn caller() -> Caller {
    Caller { actor: "ada".into(), key: "key-00000001".into() }
}

fn event(id: &str, hour: i64, body: Body) -> Event {
    Event { id: id.into(), event_time: Some(to_timestamp(hour * HOUR)), body: Some(body), ..Event::default() }
}

fn signal(hour: i64, intent: Intent) -> Vec<u8> {
    let mut leg = SignalLeg { symbol: "SPY".into(), ..SignalLeg::default() };
    leg.set_intent(intent);
    let body = Body::Signal(Signal { strategy: "ext".into(), legs: vec![leg], ..Signal::default() });
    contracts::encode(&event("signal-1", hour, body))
}

fn bar() -> Vec<u8> {
    let mut bar = Bar { symbol: "SPY".into(), timeframe: "1h".into(), close_e9: 5, ..Bar::default() };
    bar.set_origin(Origin::Live);
    let event = event("bar-1", 90, Body::Bar(bar));
    contracts::encode(&Event {
        instant: Some(Instant { position: 0, size: 3, ..Instant::default() }),
        ..event
    })
}

#[tokio::test]
async fn a_signal_is_published_again_once_and_resolved_for_everyone() {
    let world = World::new().await;
    let message = world.set_aside("signal.ext.SPY", signal(100, Intent::EnterLong));
    let before = world.counts().await;
    let sequence = world.replay(&message, false).await.unwrap();
    assert_eq!(sequence, message.sequence + 1);
    let again = world.tape.get(TRADING, sequence).await.unwrap().unwrap();
    assert_eq!((again.event.id.as_str(), again.subject.as_str()), ("signal-1", "signal.ext.SPY"));
    // Asked again, also with another key, nothing is added.
    assert_eq!(world.replay(&message, false).await.unwrap(), sequence);
    let after = world.counts().await;
    assert_eq!(after, [before[0], before[1] + 1, before[2] + 2, before[3] + 1]);
    let resolved = world.tape.get(PARKED, 2).await.unwrap().unwrap();
    let Some(Body::ParkedResolved(resolved)) = resolved.event.body else { panic!("no resolution") };
    assert_eq!(resolved.parked_id, message.ids[1]);
    assert_eq!((resolved.resolution.as_str(), resolved.actor.as_str()), ("replayed", "ada"));
    assert_eq!(resolved.reason, format!("published again as TRADING {sequence}"));
}

#[tokio::test]
async fn a_replay_that_was_killed_half_way_is_finished() {
    let world = World::new().await;
    let message = world.set_aside("signal.ext.SPY", signal(100, Intent::EnterLong));
    let published = world.memory.publish_raw("signal.ext.SPY", &message.payload, None).unwrap();
    let before = world.counts().await;
    // Risk may have decided the one that was published.
    assert_eq!(world.replay(&message, true).await.unwrap(), published);
    assert_eq!(world.counts().await, [before[0], before[1], before[2] + 2, before[3] + 1]);
}

#[tokio::test]
async fn what_may_not_take_effect_late_is_refused_and_changes_nothing() {
    let world = World::new().await;
    let order = OrderCancelled { order_id: "o".into(), ..OrderCancelled::default() };
    let order = contracts::encode(&event("o", 100, Body::OrderCancelled(order)));
    let session = SessionChange { exchange: "XNYS".into(), ..SessionChange::default() };
    let session = contracts::encode(&event("s", 100, Body::SessionChange(session)));
    let halt = TradingHalted { account: "paper".into(), ..TradingHalted::default() };
    let halt = event("h", 100, Body::TradingHalted(halt));
    let timeless = contracts::encode(&Event { event_time: None, ..halt.clone() });
    let halt = contracts::encode(&halt);
    for (subject, payload, answered, words) in [
        (
            "signal.ext.SPY",
            b"{\"id\":\"1\",\"signal\":{\"legs\":7}}".to_vec(),
            false,
            "`signal.legs`: 7, expected",
        ),
        (
            "signal.ext.SPY",
            signal(98, Intent::EnterLong),
            false,
            "7200000 ms old in market time, expected 0 to 3600000",
        ),
        ("signal.ext.SPY", signal(101, Intent::EnterLong), false, "-3600000 ms old"),
        ("signal.ext.SPY", signal(100, Intent::EnterLong), true, "decided this signal already"),
        ("signal.other.SPY", signal(100, Intent::EnterLong), false, "expected \"signal.ext.SPY\""),
        ("order.paper.ext.SPY.o.cancelled", order, false, "order events are decided on"),
        ("market.session.XNYS", session, false, "its own time only"),
        ("control.trading.all.halted", halt, false, "expected \"control.trading.paper.halted\""),
        (
            "control.trading.paper.halted",
            timeless,
            false,
            "still cannot be read: field `event_time`: missing",
        ),
    ] {
        let message = world.set_aside(subject, payload);
        let before = world.counts().await;
        let error = world.replay(&message, answered).await.unwrap_err().to_string();
        assert!(error.contains(words), "{subject}: {error}");
        assert_eq!(world.counts().await, before, "{subject}");
    }
}

#[tokio::test]
async fn a_signal_that_only_exits_is_never_too_old() {
    let world = World::new().await;
    let message = world.set_aside("signal.ext.SPY", signal(1, Intent::Exit));
    world.replay(&message, false).await.unwrap();
}

#[tokio::test]
async fn a_bar_comes_back_as_history() {
    let world = World::new().await;
    let message = world.set_aside("market.bar.1h.SPY", bar());
    let sequence = world.replay(&message, false).await.unwrap();
    let again = world.tape.get(MARKET, sequence).await.unwrap().unwrap().event;
    assert_eq!((again.id.as_str(), again.instant), ("bar-1", None));
    let Some(Body::Bar(bar)) = again.body else { panic!("no bar") };
    assert_eq!((bar.origin(), bar.close_e9), (Origin::Backfill, 5));
}

#[tokio::test]
async fn market_data_is_published_again_by_who_writes_it() {
    let world = World::new().await;
    let mut message = world.set_aside("market.bar.1h.SPY", bar());
    message.parked_at = world.park(&message).await;
    let before = world.counts().await;
    world.serve().await;
    let sequence = world.have_replayed(&message).await.unwrap();
    assert_eq!(sequence, message.sequence + 1);
    let again = world.tape.get(MARKET, sequence).await.unwrap().unwrap().event;
    let Some(Body::Bar(bar)) = again.body else { panic!("no bar") };
    assert_eq!((again.id.as_str(), bar.origin()), ("bar-1", Origin::Backfill));
    // Once more it is the same, whoever publishes.
    assert_eq!(world.have_replayed(&message).await.unwrap(), sequence);
    assert_eq!(world.replay(&message, false).await.unwrap(), sequence);
    assert_eq!(world.counts().await, [before[0] + 1, before[1], before[2] + 2, before[3] + 1]);
}

#[tokio::test]
async fn nothing_is_published_that_was_not_set_aside() {
    let world = World::new().await;
    world.serve().await;
    let mut message = world.set_aside("market.bar.1h.SPY", bar());
    let signal = world.set_aside("signal.ext.SPY", signal(100, Intent::EnterLong));
    let elsewhere = world.park(&signal).await;
    // A message that one set aside whose own is another than it says.
    let lie = Message { sequence: message.sequence + 5, ..message.clone() };
    let nowhere = world.park(&lie).await;
    let before = world.counts().await;
    for (parked_at, words) in [
        (elsewhere, "it stands on TRADING, expected MARKET"),
        (nowhere, "MARKET 6 is not under \"market.bar.1h.SPY\""),
        (nowhere + 1, "PARKED 3 is no parked message"),
    ] {
        message.parked_at = parked_at;
        let error = world.have_replayed(&message).await.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    assert_eq!(world.counts().await, before);
}

#[tokio::test]
async fn a_command_is_replayed_only_while_nothing_newer_was_commanded() {
    let world = World::new().await;
    let halt = TradingHalted { account: "paper".into(), ..TradingHalted::default() };
    let halt = contracts::encode(&event("halt-1", 100, Body::TradingHalted(halt)));
    let message = world.set_aside("control.trading.paper.halted", halt);
    world.replay(&message, false).await.unwrap();
    let enabled = StrategyEnabled { strategy: "ext".into(), ..StrategyEnabled::default() };
    let enabled = contracts::encode(&event("enable-1", 100, Body::StrategyEnabled(enabled)));
    let message = world.set_aside("control.strategy.ext.enabled", enabled);
    let disabled = StrategyDisabled { strategy: "ext".into(), ..StrategyDisabled::default() };
    let newer = world.append(event("disable", 100, Body::StrategyDisabled(disabled))).await;
    let error = world.replay(&message, false).await.unwrap_err().to_string();
    assert!(error.contains(&format!("control.strategy.ext.disabled (TRADING {newer})")), "{error}");
}

#[tokio::test]
async fn what_only_a_projection_could_not_fold_is_rebuilt_instead() {
    let world = World::new().await;
    let mut message = world.set_aside("signal.ext.SPY", signal(100, Intent::EnterLong));
    message.services = vec!["projection-trading".into()];
    let error = world.replay(&message, false).await.unwrap_err().to_string();
    assert!(error.contains("tapedeck projection rebuild trading"), "{error}");
}

#[tokio::test]
async fn dismissing_needs_a_reason_and_leaves_the_stream_alone() {
    let world = World::new().await;
    let message = world.set_aside("signal.ext.SPY", b"nonsense".to_vec());
    let before = world.counts().await;
    for reason in ["", "  ", &"x".repeat(501)] {
        let refused = parked::dismiss(&world.tape, &caller(), &message, reason).await;
        assert!(matches!(refused, Err(ParkedError::Reason(_))));
    }
    assert_eq!(world.counts().await, before);
    parked::dismiss(&world.tape, &caller(), &message, " a typing error ").await.unwrap();
    assert_eq!(world.counts().await, [before[0], before[1], before[2] + 2, before[3] + 1]);
    let audit = world.tape.last(AUDIT, "audit.ada.parked_dismiss").await.unwrap().unwrap();
    let Some(Body::Audit(audit)) = audit.event.body else { panic!("no audit") };
    assert_eq!(
        (audit.target, audit.detail),
        (format!("TRADING {}", message.sequence), "a typing error".into())
    );
}
