//! Replay: the tape refolded, and every recorded decision held against what follows from its recorded inputs.
//!
//! MARKET and TRADING have no common order; each decision's basis says how far its service had read MARKET.
//! TRADING is read in its order, and before each event the services that are followed (strategy, risk, execution)
//! are given as much of MARKET as the event's service had. Each then says what the event must be.
//!
//! Taken as they are: bars and actions, what people and external strategies state, brokers outside. Everything
//! else must follow: id, time, source, causes and body. When the market was open is what the sessions on MARKET are of
//! (`market::calendar`). What must come and does not is found when the instant
//! after it begins; at the end of the range it counts as open.
//!
//! The tape is only read. Deliberately absent: printing, the read models (but for the comparison asked for).

mod changes;
mod comparison;
mod decisions;
mod difference;
mod market;
mod order_by_order;
mod orders;
mod quiet;
mod recorded;
mod registry;
mod report;
mod rerun;
mod strategies;
mod stretch;
mod timeline;

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use contracts::v1::Event;
use contracts::v1::event::Body;
use contracts::{ChainHash, basis_of, from_timestamp, stream};
use domain::book::{Book, FoldError};
use domain::order::OrderState;
use event_log::{Delivery, LogError, Recorded, Tape};
use runtime::ClockMode;

pub use analytics::comparison::{AccountEnd, Difference, Outcome, Row, Side};
pub use changes::{ChangeError, changes};
pub use comparison::{compare, side};
pub use difference::{Divergence, Problem};
pub use recorded::Recording;
pub use report::{Counts, Report};
pub use rerun::Rerun;
pub use stretch::{Stretch, StretchError, rerun};

use decisions::Decisions;
use market::Market;
use orders::{Begun, Orders};
use strategies::Strategies;

/// Messages read at a time.
const BATCH: usize = 1_000;
/// Events between two words of progress.
const PROGRESS_EVERY: u64 = 10_000;

/// Hears how much is done, from 0 to 1, now and then; a break ends it.
pub type Watch<'watch> = &'watch (dyn Fn(f64) -> ControlFlow<()> + Sync);

/// Lets what it watches go on to its end.
pub fn unwatched(_done: f64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// What is to be replayed.
#[derive(Clone, Debug)]
pub struct Options {
    /// The tape's clock.
    pub clock: ClockMode,
    /// The tape's calendar where MARKET holds no sessions, as its manifest has it.
    pub calendar: domain::calendar::Market,
    /// Account on which the signal of an unknown strategy is denied.
    pub fallback_account: String,
    /// First sequence of TRADING that is proved; what is before it is followed without a word.
    pub from: u64,
    /// Last sequence of TRADING; the end of the stream when absent.
    pub to: Option<u64>,
    /// A read model's book that must equal the fold of the tape at its sequence.
    pub read_model: Option<Book>,
}

/// Why a replay could not be done.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The tape.
    #[error(transparent)]
    Tape(LogError),
    /// The simulated broker cannot take over the orders that the tape says it works.
    #[error("the simulated broker: {0}")]
    Broker(String),
    /// MARKET holds the sessions of several calendars, or of one that is not known; their names.
    #[error("sessions of {} on MARKET: expected those of one of XNYS, 24x5, 24x7", .0.join(" and "))]
    Calendar(Vec<String>),
    /// An id stands twice on the tape.
    #[error(transparent)]
    Duplicate(#[from] contracts::DuplicateId),
    /// What it came to cannot be written down.
    #[error("{0}")]
    Report(String),
    /// It was told to end.
    #[error("cancelled")]
    Cancelled,
}

impl ReplayError {
    fn unless(going_on: ControlFlow<()>) -> Result<(), Self> {
        if going_on.is_break() { Err(Self::Cancelled) } else { Ok(()) }
    }

    fn broker(error: impl std::fmt::Display) -> Self {
        Self::Broker(error.to_string())
    }
}

/// What came of holding one event against its derivation.
enum Found {
    /// It is taken as it is.
    Input,
    /// It is what follows.
    Proved,
    /// It is not.
    Diverged(Divergence),
}

/// How far the service that wrote `event` had read a stream; not at all where it does not say.
fn read_of(event: &Event, stream: &str) -> u64 {
    basis_of(event, stream).unwrap_or_default()
}

/// Replays TRADING. `progress` hears of the sequence reached and the last one, now and then.
pub async fn replay(
    tape: &Tape,
    options: Options,
    mut progress: impl FnMut(u64, u64) + Send,
) -> Result<Report, ReplayError> {
    let head = tape.state(stream::TRADING).await?.last_sequence;
    let last = options.to.map_or(head, |to| to.min(head));
    let mut replay = Replay::new(tape, options, last).await?;
    if last > 0 {
        let mut reader = tape.read(stream::TRADING, &[], 1).await?;
        let mut at = 0;
        'reading: while at < last {
            for delivery in reader.batch(BATCH).await? {
                at = delivery.sequence();
                if at > last {
                    break 'reading;
                }
                replay.take(delivery).await?;
                if replay.report.divergence.is_some() {
                    break 'reading;
                }
                if at.is_multiple_of(PROGRESS_EVERY) {
                    progress(at, last);
                }
            }
        }
    }
    replay.finish().await
}

struct Replay {
    tape: Tape,
    options: Options,
    market: Market,
    strategies: Strategies,
    decisions: Decisions,
    orders: Orders,
    /// Sequences of TRADING that some service parked.
    parked: BTreeSet<u64>,
    /// Last sequence of a signal that is decided.
    decided_to: u64,
    hash: ChainHash,
    report: Report,
}

impl Replay {
    async fn new(tape: &Tape, options: Options, last: u64) -> Result<Self, ReplayError> {
        let accounts = accounts(tape).await?;
        let calendar = market::calendar(tape, options.calendar).await?;
        Ok(Self {
            market: Market::open(tape).await?,
            strategies: Strategies::new(options.clock, &accounts, calendar),
            decisions: Decisions::new(options.clock, &options.fallback_account, tape, calendar),
            orders: Orders::new(options.clock, &accounts, calendar),
            parked: runtime::parked(tape, None, stream::TRADING).await?,
            decided_to: 0,
            hash: ChainHash::default(),
            report: Report { from: options.from.max(1), to: last, ..Report::default() },
            tape: tape.clone(),
            options,
        })
    }

    async fn take(&mut self, delivery: Delivery) -> Result<(), ReplayError> {
        let sequence = delivery.sequence();
        let Delivery::Event(recorded) = delivery else {
            self.report.counts.parked += 1;
            self.skip(sequence);
            self.compare_read_model(sequence);
            return Ok(());
        };
        self.prepare(&recorded).await?;
        if self.report.divergence.is_some() {
            return Ok(());
        }
        let found = self.check(&recorded).await?;
        self.count(&recorded, found);
        if self.report.divergence.is_some() {
            return Ok(());
        }
        self.fold(&recorded).await?;
        if self.options.clock == ClockMode::Tape
            && matches!(recorded.event.body, Some(Body::AccountMarked(_)))
        {
            // Whoever decides after a mark has read MARKET at least as far; so little of it is held.
            self.decisions.read(read_of(&recorded.event, stream::MARKET), &mut self.market).await?;
        }
        self.compare_read_model(sequence);
        let read = [
            self.strategies.market_sequence(),
            self.decisions.market_sequence(),
            self.orders.market_sequence(),
        ];
        self.market.forget(read.into_iter().min().unwrap_or_default());
        Ok(())
    }

    /// Gives the followed services what they had of MARKET before `recorded`, and looks for what is missing.
    async fn prepare(&mut self, recorded: &Recorded) -> Result<(), ReplayError> {
        self.strategies.before(recorded, &mut self.market).await?;
        let begun = self.orders.begin(recorded, &mut self.market).await?;
        self.orders.take_bars(recorded)?;
        match begun {
            Begun::Nothing => return Ok(()),
            Begun::Owed(owed) => {
                self.diverged(recorded, Divergence::not_recorded(&owed, recorded.sequence));
                return Ok(());
            }
            Begun::Instants => {}
        }
        if self.options.clock != ClockMode::Tape {
            return Ok(());
        }
        // The clock began an instant, so everything of the one before it must be there.
        let next = read_of(&recorded.event, stream::MARKET);
        if let Some(signal) = self.strategies.missing(next) {
            self.diverged(recorded, Divergence::not_recorded(&signal, recorded.sequence));
        } else if let Some(decision) = self.undecided(recorded) {
            self.diverged(recorded, Divergence::not_recorded(&decision, recorded.sequence));
        } else if let Some(order) =
            self.orders.unsent().and_then(|id| self.orders.follower.book().order(&id).cloned())
        {
            self.diverged(recorded, unsent_order(&order, recorded.sequence));
        }
        Ok(())
    }

    /// The decision on a signal that nobody decided or parked before the instant of `begins`. A strategy outside
    /// need not wait for marks: its signal of that very instant may stand before them. An order by hand is of no
    /// instant; it is passed over only when a signal after it was decided.
    fn undecided(&self, begins: &Recorded) -> Option<Event> {
        let book = self.orders.follower.book();
        let now_ns = begins.event.event_time.as_ref().and_then(from_timestamp);
        let pending = book.pending_signals().filter(|signal| !self.parked.contains(&signal.sequence));
        let pending = pending.filter(|signal| {
            if is_by_hand(&signal.event) {
                return signal.sequence < self.decided_to;
            }
            let past = signal.event.event_time.as_ref().and_then(from_timestamp) < now_ns;
            past && !is_outside(book, &signal.event)
        });
        pending.filter_map(|signal| self.decisions.missing(&signal.event, book)).next()
    }

    async fn check(&mut self, recorded: &Recorded) -> Result<Found, ReplayError> {
        match &recorded.event.body {
            Some(Body::Signal(_) | Body::StrategyWarmed(_)) => {
                Ok(self.strategies.check(recorded, &mut self.market).await?)
            }
            Some(Body::RiskDecision(decision)) => {
                let book = self.orders.follower.book();
                if let Some(signal) = book.pending_signal(&decision.signal_id) {
                    self.decided_to = self.decided_to.max(signal.sequence);
                }
                Ok(Box::pin(self.decisions.check(recorded, decision, book, &mut self.market)).await?)
            }
            _ => self.orders.check(recorded, &mut self.decisions).await,
        }
    }

    fn count(&mut self, recorded: &Recorded, found: Found) {
        match found {
            Found::Diverged(divergence) => self.diverged(recorded, divergence),
            _ if recorded.sequence < self.options.from => {}
            Found::Input => self.report.counts.input(&recorded.event),
            Found::Proved => self.report.counts.proved(&recorded.event),
        }
        if recorded.sequence >= self.options.from {
            self.hash.add(&recorded.event);
        }
    }

    /// What goes apart before the range is not what was asked for.
    fn diverged(&mut self, recorded: &Recorded, divergence: Divergence) {
        if recorded.sequence >= self.options.from {
            self.report.divergence = Some(divergence);
        }
    }

    async fn fold(&mut self, recorded: &Recorded) -> Result<(), ReplayError> {
        let mut outcome = self.orders.follower.fold(recorded);
        if let Err(FoldError::OrderNotLoaded { order_id }) = &outcome
            && let Some(order) = self.bring(order_id, recorded.sequence).await?
        {
            self.orders.follower.admit(order.clone());
            self.strategies.admit(order);
            outcome = self.orders.follower.fold(recorded);
        }
        match outcome.and_then(|()| self.strategies.fold(recorded)) {
            Ok(()) => self.decisions.note(recorded),
            Err(_) if self.parked.contains(&recorded.sequence) => {
                self.report.counts.parked += 1;
                self.skip(recorded.sequence);
            }
            Err(error) => {
                self.diverged(recorded, Divergence::does_not_fold(recorded, error.to_string()));
                self.skip(recorded.sequence);
            }
        }
        Ok(())
    }

    fn skip(&mut self, sequence: u64) {
        self.orders.follower.skip(sequence);
        self.strategies.skip(sequence);
    }

    /// An order that has left the books' memory, from its own events before `sequence`.
    async fn bring(&self, order_id: &str, sequence: u64) -> Result<Option<OrderState>, ReplayError> {
        let filters = ["order", "fill"].map(|kind| format!("{kind}.*.*.*.{order_id}.>"));
        let mut reader = self.tape.read(stream::TRADING, &filters, 1).await?;
        let mut own = Book::default();
        loop {
            // The event that needs the order is among them, so the read ends.
            for delivery in reader.batch(BATCH).await? {
                if delivery.sequence() >= sequence {
                    return Ok(own.order(order_id).cloned());
                }
                if let Delivery::Event(recorded) = delivery
                    && own.apply(recorded.sequence, &recorded.event).is_err()
                {
                    own.skip(recorded.sequence);
                }
            }
        }
    }

    fn compare_read_model(&mut self, sequence: u64) {
        let Some(model) = self.options.read_model.take_if(|model| model.sequence() == sequence) else {
            return;
        };
        self.report.read_model_at = Some(sequence);
        self.report.divergence = report::read_model_differs(&model, self.orders.follower.book());
    }

    async fn finish(mut self) -> Result<Report, ReplayError> {
        if self.report.divergence.is_none() {
            self.strategies.finish(&mut self.market).await?;
            let pending = self.orders.follower.book().pending_signals();
            let undecided = pending.filter(|signal| !self.parked.contains(&signal.sequence)).count();
            self.report.open = self.strategies.open() + undecided + usize::from(self.orders.owes()?);
        }
        let (orders, fills) = self.hash.orders_and_fills();
        (self.report.orders, self.report.fills) = (orders, fills);
        self.report.chain_events = self.hash.events();
        self.report.market_to = self.orders.market_sequence().max(self.strategies.market_sequence());
        if self.report.divergence.is_none() {
            self.report.chain_hash = self.hash.finish()?;
        }
        Ok(self.report)
    }
}

/// Whether a strategy outside signalled: the clock does not wait for one that is not enabled, so that its signals
/// may come when the instant is over, and are decided in a later one.
fn is_outside(book: &Book, signal: &Event) -> bool {
    let Some(Body::Signal(signal)) = &signal.body else { return false };
    book.strategy(&signal.strategy).is_some_and(domain::book::StrategyState::is_external)
}

/// Whether an operator asked for it.
fn is_by_hand(signal: &Event) -> bool {
    matches!(&signal.body, Some(Body::Signal(signal)) if signal.strategy == contracts::MANUAL)
}

fn unsent_order(order: &OrderState, sequence: u64) -> Divergence {
    Divergence {
        kind: "order_submitted".to_owned(),
        problem: Problem::NotRecorded,
        sequence,
        event_id: String::new(),
        chain_of: order.decision_id.clone(),
        detail: format!("order {} is {} when the next instant begins", order.id(), order.status.name()),
        fields: Vec::new(),
    }
}

/// The accounts that execution has marked, by name.
async fn accounts(tape: &Tape) -> Result<Vec<String>, ReplayError> {
    let marked = tape.subjects(stream::TRADING, "account.*.marked").await?;
    let names = marked.counts.iter().filter_map(|count| {
        let subject = contracts::Subject::parse(&count.subject).ok()?;
        subject.tokens().nth(1)
    });
    Ok(names.collect())
}
