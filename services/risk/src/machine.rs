//! The state of risk and what is to be done next, without I/O.
//!
//! [`Machine::fold`] reads TRADING, [`Machine::due`] says what stands between now and the next decisions,
//! [`Machine::decide`] makes them on a snapshot of the read model (`crate::round`). A signal leaves only
//! when its decision is on the tape, so that a conflict or a crash decides again.
//!
//! Deliberately absent: the tape, the read model, clocks.

use std::collections::{BTreeMap, HashMap};

use contracts::v1::Event;
use contracts::v1::event::Body;
use contracts::{basis_of, chain_id, from_timestamp, stream};
use domain::book::Book;
use domain::calendar::Calendar;
use domain::risk;
use event_log::Recorded;
use runtime::ClockMode;

use crate::boundary::FOREIGN_ID;
use crate::pricing::Pricing;
use crate::tail::Tail;

/// What stands between now and the next decisions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// No signal is to be decided.
    Nothing,
    /// TRADING has to be read through this sequence.
    Trading(u64),
    /// MARKET has to be read through this sequence, unless it ends before.
    Market(u64),
    /// A snapshot is wanted.
    Decide(Wanted),
}

/// The snapshot that decisions want.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its least checkpoint.
    pub checkpoint: u64,
    /// Signals that will be decided on it, by id.
    pub signals: Vec<String>,
}

/// A snapshot that nothing can be decided on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the read model is at TRADING {checkpoint}, expected at least {wanted}")]
pub struct Stale {
    /// Its checkpoint.
    pub checkpoint: u64,
    /// The least checkpoint wanted.
    pub wanted: u64,
}

/// What the clock said: the signals of an instant are complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub instant_ns: i64,
    /// TRADING is read through it: the last of the instant's signals and marks.
    pub trading_sequence: u64,
    /// Last sequence of MARKET that the instant wrote: prices are read through it.
    pub market_sequence: u64,
}

/// Most signals of one strategy that wait for their decisions at the same time; more are denied without being judged,
/// so that a strategy that floods the tape costs the others no time.
const WAITING_MAX: usize = 1_000;

/// Most events that complete the book of a snapshot before it has to be read anew.
const TOLD_MAX: usize = 256;
/// Events from which on it is read anew meanwhile.
const TOLD_MANY: usize = 48;

/// A signal without a decision.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub recorded: Recorded,
    /// Last event before it that a snapshot has to hold.
    pub after: u64,
    /// MARKET sequence that its strategy had read.
    pub market: u64,
    /// Why it cannot be judged.
    pub problem: Option<String>,
}

/// A signal that no decision can answer: park it.
#[derive(Clone, Debug)]
pub struct Unanswerable {
    /// The signal's event.
    pub event: Event,
    /// Why.
    pub reason: &'static str,
}

/// Risk's memory.
#[derive(Debug)]
pub struct Machine {
    pub(crate) mode: ClockMode,
    /// Account on which the signal of an unknown strategy is denied.
    pub(crate) fallback_account: String,
    /// When the tape's market is open.
    pub(crate) calendar: &'static Calendar,
    pub(crate) pricing: Pricing,
    pub(crate) waiting: BTreeMap<u64, Waiting>,
    /// Sequences of the waiting signals by id: one that is sent again has several.
    places: HashMap<String, Vec<u64>>,
    /// Number of waiting signals by strategy.
    counts: HashMap<String, usize>,
    pub(crate) tail: Tail,
    pub(crate) told: Option<Told>,
    /// The newest book seen, stale or not.
    pub(crate) known: Book,
    /// The book of the last snapshot, as it was read.
    pub(crate) held: Book,
    /// TRADING sequence up to which everything was behind it when it started.
    pub(crate) started_behind: u64,
    /// Last TRADING sequence read.
    trading: u64,
    /// Last event read that a snapshot has to hold.
    matters: u64,
    /// Nothing is decided before TRADING is read this far.
    read_through: u64,
}

impl Machine {
    /// Starts with everything of TRADING up to `trading` behind it; no signal up to there waits.
    #[must_use]
    pub fn new(
        mode: ClockMode,
        fallback_account: &str,
        calendar: &'static Calendar,
        pricing: Pricing,
        trading: u64,
    ) -> Self {
        Self {
            mode,
            fallback_account: fallback_account.to_owned(),
            calendar,
            pricing,
            waiting: BTreeMap::new(),
            places: HashMap::new(),
            counts: HashMap::new(),
            tail: Tail::default(),
            told: None,
            known: Book::default(),
            held: Book::default(),
            started_behind: trading,
            trading,
            matters: trading,
            read_through: trading,
        }
    }

    /// Last TRADING sequence read.
    #[must_use]
    pub fn trading_sequence(&self) -> u64 {
        self.trading
    }

    /// Last MARKET sequence read.
    #[must_use]
    pub fn market_sequence(&self) -> u64 {
        self.pricing.sequence()
    }

    /// Sequences of the signals without a decision, ascending.
    pub fn waiting(&self) -> impl Iterator<Item = u64> {
        self.waiting.keys().copied()
    }

    /// Takes the next event of MARKET.
    pub fn price(&mut self, recorded: &Recorded) {
        self.pricing.take(recorded);
    }

    /// Passes over a message of MARKET.
    pub fn skip_market(&mut self, sequence: u64) {
        self.pricing.skip(sequence);
    }

    /// Takes the next event of TRADING.
    pub fn fold(&mut self, recorded: Recorded) -> Result<(), Box<Unanswerable>> {
        let sequence = recorded.sequence;
        if sequence <= self.trading {
            return Ok(());
        }
        self.trading = sequence;
        match &recorded.event.body {
            Some(Body::Signal(_)) => return self.wait(recorded),
            Some(Body::RiskDecision(_)) => self.decided(sequence, recorded.event),
            // What the monitor measured no decision looks at.
            Some(Body::RiskMeasured(_) | Body::AlertRaised(_)) => {}
            Some(body)
                if !risk::is_read(body) && self.tail.past(self.held.sequence(), TOLD_MAX) < TOLD_MAX =>
            {
                self.tail.push(sequence, recorded.event);
            }
            _ => {
                self.matters = sequence;
                if self.waiting.is_empty() {
                    self.tail.forget(sequence);
                } else {
                    self.tail.push(sequence, recorded.event);
                }
            }
        }
        Ok(())
    }

    /// Passes over a message of TRADING.
    pub fn skip(&mut self, sequence: u64) {
        self.trading = self.trading.max(sequence);
    }

    /// Takes a decision that stands at `sequence`, read or appended.
    pub fn decided(&mut self, sequence: u64, decision: Event) {
        self.drop_signal(&decision.causation_id);
        self.tail.push(sequence, decision);
    }

    /// The first waiting signal of an id.
    pub(crate) fn waiting_signal(&self, id: &str) -> Option<&Waiting> {
        self.places.get(id)?.iter().find_map(|sequence| self.waiting.get(sequence))
    }

    /// Gives up a signal that is decided or parked.
    pub fn drop_signal(&mut self, signal_id: &str) {
        for sequence in self.places.remove(signal_id).unwrap_or_default() {
            let Some(waiting) = self.waiting.remove(&sequence) else { continue };
            let Some(count) = self.counts.get_mut(strategy_of(&waiting.recorded.event)) else { continue };
            *count = count.saturating_sub(1);
        }
    }

    /// The clock says that the instant's signals are complete. Saying it again changes nothing; live
    /// there is no such clock.
    pub fn told(&mut self, instant_ns: i64, trading_sequence: u64, market_sequence: u64) {
        if self.mode == ClockMode::Tape {
            self.told = Some(Told { instant_ns, trading_sequence, market_sequence });
        }
    }

    /// Decides nothing before TRADING is read through `sequence`: another decider wrote there.
    pub fn read_through(&mut self, sequence: u64) {
        self.read_through = self.read_through.max(sequence);
    }

    /// MARKET ends at `sequence`: a signal that claims to have read more cannot be judged.
    pub fn market_ends(&mut self, sequence: u64) {
        for waiting in self.waiting.values_mut().filter(|waiting| waiting.market > sequence) {
            let market = waiting.market;
            waiting.problem.get_or_insert_with(|| {
                format!("field `basis`: {} {market}, expected at most {sequence}, its end", stream::MARKET)
            });
        }
    }

    /// What stands between now and the next decisions.
    #[must_use]
    pub fn due(&self) -> Due {
        let Some(through) = self.through() else { return Due::Nothing };
        let reading = through.max(self.read_through);
        if self.trading < reading {
            return Due::Trading(reading);
        }
        let selected = || self.waiting.range(..=through).map(|(_, waiting)| waiting);
        let Some(first) = selected().next() else { return Due::Nothing };
        let judged = selected().filter(|waiting| waiting.problem.is_none());
        let market = judged.map(|waiting| waiting.market).max().unwrap_or_default();
        // A signal from outside need not say what it had read; its price is that of the instant.
        let market = market.max(self.told.map_or(0, |told| told.market_sequence));
        if self.market_sequence() < market {
            return Due::Market(market);
        }
        let signals = selected().map(|waiting| waiting.recorded.event.id.clone()).collect();
        Due::Decide(Wanted { checkpoint: first.after.max(self.tail.floor()), signals })
    }

    /// Whether the book of the last snapshot is still one that the decisions can stand on.
    #[must_use]
    pub fn holds(&self, wanted: &Wanted) -> bool {
        let checkpoint = self.held.sequence();
        checkpoint >= wanted.checkpoint && self.tail.past(checkpoint, TOLD_MAX) <= TOLD_MAX
    }

    /// Checkpoint from which on a newer snapshot spares the next decision its wait for one. `None` where the book that is
    /// held will serve.
    #[must_use]
    pub fn ahead(&self) -> Option<u64> {
        let checkpoint = self.held.sequence();
        if checkpoint < self.matters {
            return Some(self.matters);
        }
        (self.tail.past(checkpoint, TOLD_MANY) > TOLD_MANY).then_some(checkpoint + 1)
    }

    /// Takes the book of a snapshot that was read ahead; an older one than that which is held changes nothing.
    pub fn hold(&mut self, book: Book) {
        let Some(checkpoint) = self.newer(&book) else { return };
        self.held = book;
        self.forget(checkpoint);
    }

    /// How far the book of a snapshot and what was read of TRADING reach, where that is beyond the book that is held.
    pub(crate) fn newer(&self, book: &Book) -> Option<u64> {
        let checkpoint = book.sequence().min(self.trading);
        (checkpoint > self.held.sequence()).then_some(checkpoint)
    }

    /// Forgets what the snapshot at `checkpoint` holds; from now on every other one has to hold it as well.
    pub(crate) fn forget(&mut self, checkpoint: u64) {
        if self.waiting.is_empty() {
            self.tail.forget(checkpoint);
            self.matters = self.matters.max(checkpoint);
        } else if self.mode == ClockMode::Wall {
            // On the tape clock the decisions of an instant are told apart from what came after it.
            self.tail.forget(checkpoint);
            self.tail.raise(checkpoint);
        }
    }

    /// Ids of all signals without a decision, in their order.
    #[must_use]
    pub fn undecided(&self) -> Vec<String> {
        self.waiting.values().map(|waiting| waiting.recorded.event.id.clone()).collect()
    }

    /// Last sequence whose signals may be decided: on the tape clock what the clock said, live everything.
    pub(crate) fn through(&self) -> Option<u64> {
        match self.mode {
            ClockMode::Tape => self.told.map(|told| told.trading_sequence),
            ClockMode::Wall => Some(self.trading),
        }
    }

    fn wait(&mut self, recorded: Recorded) -> Result<(), Box<Unanswerable>> {
        let event = &recorded.event;
        if chain_id::is_foreign(event, strategy_of(event)) {
            return Err(Box::new(Unanswerable { event: recorded.event, reason: FOREIGN_ID }));
        }
        if self.tail.is_decided(&event.id) {
            return Ok(());
        }
        if event.event_time.as_ref().and_then(from_timestamp).is_none() {
            let reason = "field `event_time`: missing or out of range";
            return Err(Box::new(Unanswerable { event: recorded.event, reason }));
        }
        let market = basis_of(event, stream::MARKET).unwrap_or_default();
        let strategy = strategy_of(event);
        let count = self.counts.entry(strategy.to_owned()).or_default();
        let flood = (*count >= WAITING_MAX)
            .then(|| format!("more than {WAITING_MAX} signals of {strategy:?} wait for their decisions"));
        *count += 1;
        self.places.entry(event.id.clone()).or_default().push(recorded.sequence);
        let problem = flood.or_else(|| problem(self.mode, &recorded));
        let waiting = Waiting { after: self.matters, market, problem, recorded };
        self.waiting.insert(waiting.recorded.sequence, waiting);
        Ok(())
    }
}

/// The strategy whose signal it is.
fn strategy_of(event: &Event) -> &str {
    match &event.body {
        Some(Body::Signal(signal)) => &signal.strategy,
        _ => "",
    }
}

/// Why the signal cannot be judged, whatever the policy and its strategy.
fn problem(mode: ClockMode, recorded: &Recorded) -> Option<String> {
    if mode == ClockMode::Tape && recorded.event.causation_id.is_empty() {
        return Some("field `causation_id`: empty, expected an event's id on the tape clock".to_owned());
    }
    None
}
