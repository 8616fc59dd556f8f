//! The barrier: takes one instant through, from its publication until everyone is done with it.

use std::collections::HashMap;
use std::time::Duration;

use contracts::stream::{MARKET, TRADING};
use contracts::v1::event::Body;
use event_log::{Acks, Delivery, Hints, LogError, Reader, Recorded, Tape, last_of};
use runtime::{Context, clock};
use tokio::time::Instant as Moment;

use super::external::{Externals, Unacknowledged};
use super::parks::Parks;
use super::progress::Done;
use super::publish::{Plan, Publisher};
use super::stall::Stall;
use super::trading::Trading;
use super::{ClockConfig, ClockError};
use crate::source::Instant;

/// Controls of strategies.
const CONTROLS: &str = "control.strategy.>";
/// Messages taken from TRADING at a time.
const READ_BATCH: usize = 1_024;
/// Time between two looks at whether anything is late, and between two `clock.decide`.
const TICK: Duration = Duration::from_millis(100);
/// Wait after which acknowledgements are asked for, in case one passed unseen.
const ASK_AFTER: Duration = Duration::from_millis(200);

/// Everything the clock listens to.
pub(super) struct Barrier {
    tape: Tape,
    config: ClockConfig,
    reader: Box<dyn Reader>,
    acks: Box<dyn Acks>,
    signals: Box<dyn Hints>,
    acked: HashMap<String, u64>,
    trading: Trading,
    externals: Externals,
    parks: Parks,
    /// Last sequence of MARKET that the present instant wrote.
    market_sequence: u64,
    next_tick: Moment,
    /// True while a signal may have passed unseen: after a start, and after an acknowledgement that was
    /// asked for instead of seen.
    unsure: bool,
}

/// What is still missing before an instant may end.
enum Missing {
    Nothing,
    Publication,
    Mark(String),
    Ack { consumer: String, sequence: u64, wanted: u64 },
    External(Unacknowledged),
    LastSignal,
    Reading { sequence: u64, wanted: u64 },
    Decisions(usize),
    Answer(String),
}

impl Missing {
    fn culprit(&self) -> String {
        match self {
            Self::Nothing => String::new(),
            Self::Publication => "the tape to store the instant's events".into(),
            Self::Mark(account) => format!("execution to mark account {account}"),
            Self::Ack { consumer, sequence, wanted } => {
                format!("consumer {consumer} to acknowledge MARKET {wanted} (acknowledged up to {sequence})")
            }
            Self::External(Unacknowledged { strategy, consumer, acknowledged, wanted }) => format!(
                "external strategy {strategy} (consumer {consumer}) to acknowledge MARKET {wanted} \
                 (acknowledged up to {acknowledged}); start it, or: tapedeck strategy disable {strategy}"
            ),
            Self::LastSignal => "the tape to name its last signal".into(),
            Self::Reading { sequence, wanted } => {
                format!("the tape to deliver TRADING {wanted} (delivered up to {sequence})")
            }
            Self::Decisions(count) => format!("risk to decide {count} signals"),
            Self::Answer(order_id) => format!("execution to bring the broker's answer to order {order_id}"),
        }
    }
}

impl Barrier {
    /// Begins to listen. Acknowledgements given before are read from the consumers' floors, TRADING from
    /// the beginning of the last marks' instant.
    pub(super) async fn open(context: &Context, config: &ClockConfig) -> Result<Self, LogError> {
        let tape = context.tape.clone();
        let acks = tape.acks(MARKET).await?;
        let signals = tape.hints("signal.>").await?;
        let mut acked = HashMap::new();
        for consumer in &config.consumers {
            acked.insert(consumer.clone(), tape.ack_floor(MARKET, consumer).await?);
        }
        let mut from = u64::MAX;
        for account in &config.accounts {
            let subject = contracts::Subject::of(&["account", account, "marked"]);
            let mark = last_of(&tape, TRADING, subject.as_str()).await?.event;
            from = from.min(match mark {
                Some(mark) => first_of_instant(&tape, &mark).await?,
                None => 1,
            });
        }
        let from = if config.accounts.is_empty() { 1 } else { from };
        let externals = externals(&tape).await?;
        let reader = tape.follow(TRADING, from).await?;
        let next_tick = clock::now() + TICK;
        let config = config.clone();
        let trading = Trading::after(tape.last_sequence(TRADING, "order.>").await?);
        let (parks, market_sequence, unsure) = (Parks::default(), 0, true);
        Ok(Self {
            tape,
            config,
            reader,
            acks,
            signals,
            acked,
            trading,
            externals,
            parks,
            market_sequence,
            next_tick,
            unsure,
        })
    }

    /// Publishes an instant and waits until everyone is done with it. `None` on shutdown.
    pub(super) async fn pass(
        &mut self,
        context: &Context,
        publisher: &Publisher,
        instant: &Instant,
        plan: Plan,
    ) -> Result<Option<Done>, ClockError> {
        self.trading.begin(instant.ns);
        let mut stall = Stall::begin();
        let Some((sequences, published)) =
            self.publish(context, publisher, instant, plan, &mut stall).await?
        else {
            return Ok(None);
        };
        let last_bar = instant.last_bar().map(|place| sequences[place]);
        self.market_sequence = sequences.iter().copied().max().unwrap_or_default();
        let subjects = instant.events.iter().map(|(subject, _)| subject.as_str());
        self.externals.begin(subjects.zip(sequences));
        if !self.settle(context, instant.ns, last_bar, &mut stall).await? {
            return Ok(None);
        }
        stall.end(context);
        let (signals, decisions, orders, fills) = self.trading.counts();
        Ok(Some(Done { published, signals, decisions, orders, fills }))
    }

    /// Appends the events while listening. Answers their sequences and the number of new ones.
    async fn publish(
        &mut self,
        context: &Context,
        publisher: &Publisher,
        instant: &Instant,
        plan: Plan,
        stall: &mut Stall,
    ) -> Result<Option<(Vec<u64>, u64)>, ClockError> {
        let publication = publisher.publish(plan, instant.ns, self.trading.sequence);
        tokio::pin!(publication);
        loop {
            tokio::select! {
                biased;
                outcome = &mut publication => return outcome.map(Some),
                heard = self.listen(context) => match heard? {
                    Heard::Message => {}
                    Heard::Tick => stall.report(context, instant.ns, &Missing::Publication.culprit()),
                    Heard::Shutdown => return Ok(None),
                },
            }
        }
    }

    /// Waits for marks and acknowledgements, and if a signal passed, for decisions and answers.
    async fn settle(
        &mut self,
        context: &Context,
        ns: i64,
        last_bar: Option<u64>,
        stall: &mut Stall,
    ) -> Result<bool, ClockError> {
        let mut signals_to = None;
        let mut asked_to_decide = false;
        loop {
            let mut missing = self.missing(last_bar);
            if matches!(missing, Missing::Nothing) {
                if self.signal_passed() || self.unsure {
                    // A sequence alone: the last message under `signal.>` may be no event.
                    let last = heard("the last signal", self.tape.last_sequence(TRADING, "signal.>").await);
                    self.unsure = last.is_none();
                    signals_to = last.or(signals_to);
                    asked_to_decide = false;
                }
                missing = match signals_to {
                    _ if self.unsure => Missing::LastSignal,
                    Some(wanted) => self.undecided(wanted),
                    None => return Ok(true),
                };
                match (&missing, signals_to) {
                    (Missing::Nothing, Some(wanted)) => {
                        if self.trading.has_stray(wanted) && !asked_to_decide {
                            self.ask_to_decide(ns, wanted).await;
                        }
                        return Ok(true);
                    }
                    (Missing::Decisions(_), Some(wanted)) if !asked_to_decide => {
                        asked_to_decide = true;
                        self.ask_to_decide(ns, wanted).await;
                    }
                    _ => {}
                }
            }
            match self.listen(context).await? {
                Heard::Message => {}
                Heard::Shutdown => return Ok(false),
                Heard::Tick => {
                    stall.report(context, ns, &missing.culprit());
                    if let (Missing::Decisions(_), Some(wanted)) = (&missing, signals_to) {
                        self.ask_to_decide(ns, wanted).await;
                    }
                    if let Missing::Decisions(_) | Missing::Answer(_) = missing
                        && stall.elapsed() > ASK_AFTER
                    {
                        self.look_for_parks().await;
                    }
                    if let Missing::Ack { .. } | Missing::External(_) = missing
                        && stall.elapsed() > ASK_AFTER
                    {
                        self.ask_for_floors(last_bar.unwrap_or_default()).await;
                    }
                }
            }
        }
    }

    /// The first thing missing before signals are looked at.
    fn missing(&self, last_bar: Option<u64>) -> Missing {
        if let Some(account) = self.trading.unmarked(&self.config.accounts) {
            return Missing::Mark(account.to_owned());
        }
        let wanted = last_bar.unwrap_or_default();
        for consumer in &self.config.consumers {
            let sequence = self.acked.get(consumer).copied().unwrap_or_default();
            if sequence < wanted {
                return Missing::Ack { consumer: consumer.clone(), sequence, wanted };
            }
        }
        self.externals.missing().next().map_or(Missing::Nothing, Missing::External)
    }

    /// The first thing missing before the instant's signals are all answered.
    fn undecided(&self, wanted: u64) -> Missing {
        if self.trading.sequence < wanted {
            return Missing::Reading { sequence: self.trading.sequence, wanted };
        }
        let undecided = self.trading.undecided(wanted);
        if undecided > 0 {
            return Missing::Decisions(undecided);
        }
        let unanswered = self.trading.unanswered();
        unanswered.map_or(Missing::Nothing, |order_id| Missing::Answer(order_id.to_owned()))
    }

    /// Takes every signal that has passed; true when there was one.
    fn signal_passed(&mut self) -> bool {
        let mut passed = false;
        while self.signals.ready().is_some() {
            passed = true;
        }
        passed
    }

    /// A hint; while signals are undecided it comes again. An order by hand stands anywhere, also before the instant's
    /// marks: whoever decides on it at the instant's time has read those too.
    async fn ask_to_decide(&self, ns: i64, last_signal: u64) {
        let hint = serde_json::json!({
            "instant_ns": ns,
            "trading_sequence": last_signal.max(self.trading.marked),
            "market_sequence": self.market_sequence,
        });
        heard("clock.decide", self.tape.hint("clock.decide", hint.to_string().into_bytes()).await);
    }

    /// Asks how far consumers have acknowledged, in case an acknowledgement passed unseen (it is a plain
    /// message). A signal may then have passed unseen as well. Who does not answer is asked again at a later tick.
    async fn ask_for_floors(&mut self, wanted: u64) {
        for consumer in &self.config.consumers {
            let known = self.acked.entry(consumer.clone()).or_default();
            if *known < wanted {
                let floor = heard(consumer, self.tape.ack_floor(MARKET, consumer).await);
                let floor = floor.unwrap_or_default();
                self.unsure |= floor > *known;
                *known = floor.max(*known);
            }
        }
        let late: Vec<Unacknowledged> = self.externals.missing().collect();
        for late in late {
            // Its consumer may be gone, which is no reason to end: the culprit is named, and waited for.
            let Ok(floor) = self.tape.ack_floor(MARKET, &late.consumer).await else { continue };
            self.unsure |= floor > late.acknowledged;
            self.externals.acknowledged(&late.consumer, floor);
        }
    }

    /// Counts what risk and execution have parked as answered.
    async fn look_for_parks(&mut self) {
        let parked = heard("what was parked", self.parks.look(&self.tape).await).unwrap_or_default();
        parked.by_risk.into_iter().for_each(|sequence| self.trading.parked(sequence));
        parked.by_execution.into_iter().for_each(|sequence| self.trading.given_up(sequence));
    }

    /// Waits for the next thing that anyone says, and takes it in.
    async fn listen(&mut self, context: &Context) -> Result<Heard, LogError> {
        tokio::select! {
            biased;
            () = context.shutdown.cancelled() => Ok(Heard::Shutdown),
            deliveries = self.reader.batch(READ_BATCH) => {
                for delivery in deliveries? {
                    match delivery {
                        Delivery::Event(recorded) => {
                            self.externals.fold(&recorded.event);
                            self.trading.fold(recorded.sequence, &recorded.event);
                        }
                        // Risk and execution park what they cannot read; the clock only passes it.
                        Delivery::Undecodable { sequence, .. } => self.trading.sequence = sequence,
                    }
                }
                Ok(Heard::Message)
            }
            ack = self.acks.next() => {
                match ack {
                    Ok(ack) => {
                        if let Some(sequence) = self.acked.get_mut(&ack.consumer) {
                            *sequence = ack.sequence.max(*sequence);
                        } else {
                            self.externals.acknowledged(&ack.consumer, ack.sequence);
                        }
                    }
                    Err(error) => {
                        tracing::info!("acknowledgements may have passed unseen, asking for them: {error}");
                        self.unsure = true;
                        self.ask_for_floors(u64::MAX).await;
                    }
                }
                Ok(Heard::Message)
            }
            () = clock::sleep_until(self.next_tick) => {
                self.next_tick = clock::now() + TICK;
                Ok(Heard::Tick)
            }
        }
    }
}

/// An answer of the tape, or nothing while it cannot be reached: a clock that runs stands still until it can, and
/// the stall says for what.
fn heard<Answer>(question: &str, answer: Result<Answer, LogError>) -> Option<Answer> {
    answer.inspect_err(|error| tracing::debug!(%error, "{question}: no answer: {error}")).ok()
}

/// The external strategies as the tape knows them now.
async fn externals(tape: &Tape) -> Result<Externals, LogError> {
    let mut externals = Externals::default();
    let head = tape.last_sequence(TRADING, CONTROLS).await?;
    let mut read = 0;
    let mut reader = tape.read(TRADING, &[CONTROLS.to_owned()], 1).await?;
    while read < head {
        for delivery in reader.batch(READ_BATCH).await? {
            read = delivery.sequence();
            if let Delivery::Event(recorded) = delivery {
                externals.fold(&recorded.event);
            }
        }
    }
    Ok(externals)
}

/// The first sequence of TRADING that may belong to the instant of `mark`.
///
/// A strategy of the user's own need not wait for marks, so its signal may stand before them: behind the marks of the
/// instant before, which is over by then. Between them stands what people ask for, which is of any time.
async fn first_of_instant(tape: &Tape, mark: &Recorded) -> Result<u64, LogError> {
    let mut first = mark.sequence;
    while first > 1 {
        let before = match tape.get(TRADING, first - 1).await {
            // It may be anybody's, and of any time.
            Err(error) if error.is_undecodable() => None,
            other => other?,
        };
        if let Some(before) = before
            && before.event.event_time != mark.event.event_time
            && matches!(before.event.body, Some(Body::AccountMarked(_)))
        {
            break;
        }
        first -= 1;
    }
    Ok(first)
}

enum Heard {
    Message,
    Tick,
    Shutdown,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use contracts::v1::{AccountMarked, Event, Signal, SignalLeg};
    use contracts::{Subject, to_timestamp};
    use event_log::{Append, Expect, MemoryLog};

    use super::*;

    #[tokio::test]
    async fn an_instant_begins_behind_the_marks_of_the_one_before_it() {
        let tape: Tape = Arc::new(MemoryLog::new());
        let put = async |time_ns: i64, body: Body| {
            let id = format!("{time_ns}/{}", tape.state(TRADING).await.unwrap().last_sequence);
            let event_time = Some(to_timestamp(time_ns));
            let event = Event { id, event_time, body: Some(body), ..Event::default() };
            let subject = Subject::for_event(&event, None).unwrap();
            tape.append(Append { subject, event, expect: Expect::Nothing }).await.unwrap();
        };
        let mark =
            || Body::AccountMarked(AccountMarked { account: "paper".to_owned(), ..AccountMarked::default() });
        let signal = |strategy: &str, symbol: &str| {
            let legs = vec![SignalLeg { symbol: symbol.to_owned(), ..SignalLeg::default() }];
            Body::Signal(Signal { strategy: strategy.to_owned(), legs, ..Signal::default() })
        };
        put(1, mark()).await;
        put(2, signal("own", "A")).await;
        // An operator's has the time of the instant that he saw.
        put(1, signal("manual", "A")).await;
        put(2, signal("own", "B")).await;
        put(2, mark()).await;
        let last = tape.get(TRADING, 5).await.unwrap().unwrap();
        assert_eq!(first_of_instant(&tape, &last).await.unwrap(), 2);
    }
}
