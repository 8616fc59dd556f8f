//! The checker: what must always hold (`domain::invariant`), held against the tape, the read model and the brokers outside
//! while they go on.
//!
//! It folds TRADING with [`Watch`], which looks at every event, compares the `trading` read model with that fold at
//! the read model's own checkpoint, and asks brokers outside every minute ([`Outside`]). The first difference of each
//! invariant is an alert on the tape (`control.invariant.<name>.broken`), in the log and in the service's health; it stays
//! until somebody mended the cause and started the checker again, because a broken invariant does not mend itself. A
//! checker that no longer finds what an earlier one did says that it holds again.
//!
//! Not checked here: the ninth invariant (`tapedeck replay --verify` does a replay), and of the first one what writers were
//! told, which only a simulation knows.

mod lately;
mod outside;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use contracts::v1::event::Body;
use contracts::v1::{Event, InvariantBroken};
use contracts::{Subject, event_id, from_timestamp, stream, to_timestamp};
use domain::book::Book;
use domain::calendar::Calendar;
use domain::invariant::{Invariant, Violation, Watch, compare_book};
use event_log::{Append, AppendError, Delivery, Expect, LogError, Reader, Tape, last_of};
use projections::queries;
use runtime::{Context, HealthState};
use sqlx::PgPool;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout_at};

use lately::Lately;
use outside::LOOKS;
pub use outside::{Clients, Outside};

/// Its name.
pub const SERVICE: &str = "checker";
/// Messages taken at once.
const BATCH: usize = 512;
/// Time between two looks at the read model.
const COMPARE_EVERY: Duration = Duration::from_secs(5);
/// Time between two looks at what has to stay to be at fault, brokers outside among it.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// The same where the tape is looked at once.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// For how long it is looked at then: until what execution may still settle is old enough, and three looks more.
const ONCE_MAX: Duration = Duration::from_secs(90);

/// Why the checker stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The tape could not be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// An alert was not stored.
    #[error("append: {0}")]
    Append(#[from] AppendError),
}

/// What was found and how far it was looked.
#[derive(Debug, Default)]
pub struct Findings {
    /// The first violation of each invariant, in the order in which they were found.
    pub first: Vec<Violation>,
    broken: BTreeSet<Invariant>,
    /// Last TRADING sequence folded.
    pub sequence: u64,
    /// Last sequence at which the read model was compared.
    pub compared: Option<u64>,
    /// Why the read model could not be read the last time.
    pub unread: Option<String>,
}

impl Findings {
    /// Keeps those whose invariant was not broken before; answers them.
    fn take(&mut self, found: Vec<Violation>) -> Vec<Violation> {
        let news: Vec<_> =
            found.into_iter().filter(|violation| self.broken.insert(violation.invariant)).collect();
        self.first.extend(news.iter().cloned());
        news
    }
}

/// The fold, and what is held against it.
struct Checker {
    watch: Watch,
    lately: Lately,
    findings: Findings,
    /// The read model's book, until the fold has come to its checkpoint.
    wanted: Option<Book>,
    /// Whether it was there the last time and held what no book can.
    unreadable: bool,
}

impl Checker {
    fn new(calendar: &'static Calendar) -> Self {
        let (watch, lately) = (Watch::by(calendar), Lately::default());
        Self { watch, lately, findings: Findings::default(), wanted: None, unreadable: false }
    }

    /// Takes the next message of TRADING; answers what is found for the first time.
    fn take(&mut self, delivery: &Delivery) -> Vec<Violation> {
        let mut news = self.compare();
        let found = match delivery {
            Delivery::Event(recorded) => {
                if let Some(recorded_ns) = recorded.event.recorded_time.as_ref().and_then(from_timestamp) {
                    self.lately.note(recorded.sequence, recorded_ns);
                }
                self.watch.fold(recorded.sequence, &recorded.event)
            }
            Delivery::Undecodable { sequence, .. } => {
                self.watch.skip(*sequence);
                Vec::new()
            }
        };
        news.extend(self.findings.take(found));
        self.findings.sequence = delivery.sequence();
        news
    }

    /// Compares the read model, where the fold has come to its checkpoint; one that is behind is read again later.
    fn compare(&mut self) -> Vec<Violation> {
        let sequence = self.findings.sequence;
        if self.wanted.as_ref().is_some_and(|book| book.sequence() < sequence) {
            self.wanted = None;
        }
        let Some(book) = self.wanted.take_if(|book| book.sequence() == sequence) else { return Vec::new() };
        self.findings.compared = Some(sequence);
        self.findings.take(compare_book(&book, self.watch.book()).into_iter().collect())
    }

    /// Reads the read model.
    async fn read(&mut self, pool: &PgPool) {
        // That of another version is none to compare: it differs where the fold has changed, and the projector of the newer
        // one builds it anew.
        match queries::own_book(pool).await {
            Ok(book) => (self.wanted, self.findings.unread) = (book, None),
            Err(error) => {
                self.unreadable = error.is_unreadable();
                self.findings.unread = Some(error.to_string());
            }
        }
    }

    /// A read model that holds what no fold writes is none of the tape.
    fn unreadable(&mut self) -> Vec<Violation> {
        let (true, Some(why)) = (std::mem::take(&mut self.unreadable), &self.findings.unread) else {
            return Vec::new();
        };
        let (sequence, detail) = (self.findings.sequence, format!("it cannot be read: {why}"));
        self.findings.take(vec![Violation::new(Invariant::ReadModelIsFold, sequence, detail)])
    }
}

/// Runs until shutdown. The tape goes by `calendar`; `clients` are brokers outside.
pub async fn run(
    context: Context,
    pool: PgPool,
    calendar: &'static Calendar,
    clients: Clients,
) -> Result<(), Error> {
    context.health.set(SERVICE, HealthState::Starting, "folding the tape");
    let mut alerts = Alerts::of(&context.tape).await?;
    let mut reader = context.tape.follow(stream::TRADING, 1).await?;
    let (mut checker, mut outside) = (Checker::new(calendar), Outside::new(clients));
    let mut tick = tokio::time::interval(COMPARE_EVERY);
    let mut look = interval_at(Instant::now() + LOOK_EVERY, LOOK_EVERY);
    for every in [&mut tick, &mut look] {
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    }
    loop {
        let mut news = Vec::new();
        tokio::select! {
            biased;
            () = context.shutdown.cancelled() => return Ok(()),
            _ = tick.tick(), if checker.wanted.is_none() => {
                checker.read(&pool).await;
                news = checker.unreadable();
            }
            _ = look.tick() => {
                let head = context.tape.state(stream::TRADING).await?.last_sequence;
                // What is not folded yet explains much.
                if head.saturating_sub(checker.findings.sequence) <= BATCH as u64 {
                    let young_from = checker.lately.young_from(runtime::now_ns());
                    let stayed = tokio::select! {
                        () = context.shutdown.cancelled() => return Ok(()),
                        stayed = outside.look(&checker.watch, young_from) => stayed,
                    };
                    news = checker.findings.take(stayed);
                }
            }
            batch = reader.batch(BATCH) => {
                for delivery in batch? {
                    news.extend(checker.take(&delivery));
                }
            }
        }
        news.extend(checker.compare());
        alerts.tell(&context.tape, &news).await?;
        let asked = outside.looks >= LOOKS && outside.unasked.is_empty();
        alerts.clear(&context.tape, &checker.findings, asked).await?;
        say(&context, &checker.findings, &outside);
    }
}

/// Looks at the whole tape once, up to its present end, at the read model and at brokers outside. Where something is found
/// that has to stay, it goes on until that is judged: for a few seconds, or for as long as execution may take to settle it.
pub async fn once(
    reader: &mut dyn Reader,
    head: u64,
    pool: &PgPool,
    calendar: &'static Calendar,
    outside: &mut Outside,
) -> Result<Findings, Error> {
    let mut checker = Checker::new(calendar);
    checker.read(pool).await;
    while checker.findings.sequence < head {
        for delivery in reader.batch(BATCH).await? {
            checker.take(&delivery);
        }
    }
    checker.unreadable();
    let end = Instant::now() + ONCE_MAX;
    loop {
        // Each message compares what the one before it came to; behind the last one nobody does.
        checker.compare();
        let stayed = outside.look(&checker.watch, checker.lately.young_from(runtime::now_ns())).await;
        checker.findings.take(stayed);
        if !outside.is_undecided() || Instant::now() >= end {
            return Ok(checker.findings);
        }
        let until = Instant::now() + LOOK_AGAIN;
        while let Ok(batch) = timeout_at(until, reader.batch(BATCH)).await {
            for delivery in batch? {
                checker.take(&delivery);
            }
        }
    }
}

/// The checker's alerts on the tape.
struct Alerts {
    /// Of each invariant the last sequence of an alert, 0 without one, and whether it is in force.
    last: BTreeMap<Invariant, (u64, bool)>,
}

impl Alerts {
    async fn of(tape: &Tape) -> Result<Self, LogError> {
        let mut last = BTreeMap::new();
        for invariant in Invariant::ALL {
            let found = last_of(tape, stream::TRADING, subject(invariant).as_str()).await?;
            let body = found.event.and_then(|recorded| recorded.event.body);
            let in_force = matches!(body, Some(Body::InvariantBroken(broken)) if !broken.mended);
            last.insert(invariant, (found.sequence, in_force));
        }
        Ok(Self { last })
    }

    /// Puts the first violation of an invariant on the tape, where no alert of it is in force.
    async fn tell(&mut self, tape: &Tape, news: &[Violation]) -> Result<(), AppendError> {
        for violation in news {
            tracing::error!(sequence = violation.sequence, "{violation}");
            if !self.is_in_force(violation.invariant) {
                self.put(tape, violation, false).await?;
            }
        }
        Ok(())
    }

    /// Says that invariants hold again whose alerts are in force and that `findings` do not have any more, once everything
    /// up to the alert was looked at; what brokers have a part in needs that they were `asked`.
    async fn clear(&mut self, tape: &Tape, findings: &Findings, asked: bool) -> Result<(), AppendError> {
        let outside = [Invariant::NoOrderTwice, Invariant::FillsAgree, Invariant::OrdersEnd];
        for invariant in Invariant::ALL {
            let told = self.last.get(&invariant).map_or(0, |(sequence, _)| *sequence);
            let looked = findings.compared.is_some_and(|compared| compared >= told)
                && (asked || !outside.contains(&invariant));
            if looked && self.is_in_force(invariant) && !findings.broken.contains(&invariant) {
                let detail = "no longer found after a start";
                self.put(tape, &Violation::new(invariant, findings.sequence, detail), true).await?;
            }
        }
        Ok(())
    }

    fn is_in_force(&self, invariant: Invariant) -> bool {
        self.last.get(&invariant).is_some_and(|(_, in_force)| *in_force)
    }

    /// An event that follows from what was found and from the alert before it: told again it is the same.
    async fn put(&mut self, tape: &Tape, found: &Violation, mended: bool) -> Result<(), AppendError> {
        let invariant = found.invariant;
        let before = self.last.get(&invariant).map_or(0, |(sequence, _)| *sequence);
        let body = InvariantBroken {
            number: invariant.number().into(),
            name: invariant.name().to_owned(),
            sequence: found.sequence,
            detail: found.detail.clone(),
            mended,
        };
        let cause = format!("{}@{}/{before}/{mended}", body.name, body.sequence);
        let event = Event {
            id: event_id(&cause, SERVICE, 0),
            event_time: Some(to_timestamp(runtime::now_ns())),
            source: SERVICE.to_owned(),
            body: Some(Body::InvariantBroken(body)),
            ..Event::default()
        };
        let subject = subject(invariant);
        let stored = tape.append(Append { subject, event, expect: Expect::Nothing }).await?;
        self.last.insert(invariant, (stored.sequence, !mended));
        Ok(())
    }
}

fn subject(invariant: Invariant) -> Subject {
    Subject::of(&["control", "invariant", invariant.name(), "broken"])
}

fn say(context: &Context, findings: &Findings, outside: &Outside) {
    if let Some(violation) = findings.first.first() {
        context.health.set(SERVICE, HealthState::Degraded, violation.to_string());
        return;
    }
    if let Some(why) = &findings.unread {
        let detail = format!("the read model cannot be compared: {why}");
        context.health.set(SERVICE, HealthState::Degraded, detail);
        return;
    }
    let compared = findings.compared.map_or_else(|| "not yet".to_owned(), |at| format!("at {at}"));
    let mut detail = format!("TRADING {} holds; read model compared {compared}", findings.sequence);
    let unasked: Vec<_> = outside.unasked.iter().map(|(account, why)| format!("{account}: {why}")).collect();
    if !unasked.is_empty() {
        detail = format!("{detail}; not compared with brokers: {}", unasked.join(", "));
    } else if outside.is_any() && outside.looks > 0 {
        detail = format!("{detail}; {} orders at brokers compared", outside.orders);
    }
    context.health.set(SERVICE, HealthState::Ready, detail);
}
