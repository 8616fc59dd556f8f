//! The checks: after every event, and, where they cost more, whenever nobody can go on without time passing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use backtest::replay::{Options, replay};
use contracts::v1::Event;
use contracts::v1::event::Body;
use contracts::{order_of, stream};
use domain::book::Book;
use domain::calendar::Calendar;
use domain::invariant::{
    Invariant, Violation, Watch, compare_acknowledged, compare_book, compare_broker, half_open,
};
use domain::order::OrderStatus;
use event_log::{EventLog as _, MemoryLog, Recorded, Tape};
use runtime::ClockMode;

use crate::database::Database;
use crate::exchange::{self, Exchange};
use crate::executor::at_once;
use crate::seen::{Counter, Seen};
use crate::setup::ACCOUNTS;
use crate::tape::Tapes;

/// Longest that a group may be half open in silence while things go wrong: execution may be down, the disk full.
const HALF_OPEN_MAX: Duration = Duration::from_secs(120);

/// Watches a run.
pub struct Checker {
    log: MemoryLog,
    tapes: Tapes,
    database: Database,
    exchange: Option<Exchange>,
    watch: Watch,
    events: Vec<Option<Event>>,
    /// Counts of the tape at the last look, and the head of MARKET then.
    looked: u64,
    market: u64,
    /// Folded as far as the read model was when it was behind the tape last.
    lagging: Book,
    /// The read model's checkpoint at the last comparison.
    modelled: u64,
    /// What happened so far.
    pub counter: Counter,
    /// What writers were told and was looked at.
    told: usize,
    /// Orders that the tape said something of since the last comparison with the broker outside.
    of_broker: BTreeSet<String>,
    /// The sequence at which groups were looked at last, and one that was half open then, and since when.
    grouped: u64,
    half_open: Option<(Duration, Violation)>,
}

impl Checker {
    /// Watches `tapes`, the read model and, where there is one, the broker outside.
    pub fn new(tapes: &Tapes, database: &Database, exchange: Option<Exchange>) -> Self {
        Self {
            log: tapes.log.clone(),
            tapes: tapes.clone(),
            database: database.clone(),
            exchange,
            watch: Watch::by(Calendar::xnys()),
            events: Vec::new(),
            looked: 0,
            market: 0,
            lagging: Book::default(),
            modelled: 0,
            counter: Counter::default(),
            told: 0,
            of_broker: BTreeSet::new(),
            grouped: 0,
            half_open: None,
        }
    }

    /// The fold of everything so far.
    pub fn book(&self) -> &Book {
        self.watch.book()
    }

    /// Last sequence of a stream.
    pub fn head(&self, stream: &str) -> u64 {
        at_once(self.log.state(stream)).and_then(Result::ok).map_or(0, |state| state.last_sequence)
    }

    /// Events on MARKET and TRADING at the last look.
    pub fn events(&self) -> u64 {
        self.events.len() as u64 + self.market
    }

    /// Orders of which the intent is on the tape.
    pub fn orders(&self) -> usize {
        self.watch.submitted()
    }

    /// TRADING so far.
    pub fn recorded(&self) -> Vec<Recorded> {
        let head = self.head(stream::TRADING);
        (1..=head)
            .filter_map(|sequence| at_once(self.log.get(stream::TRADING, sequence))?.ok().flatten())
            .collect()
    }

    /// Looks at what was appended since.
    pub fn step(&mut self) -> Option<Violation> {
        let changes = self.log.changes();
        if changes == self.looked {
            return None;
        }
        self.looked = changes;
        self.market = self.head(stream::MARKET);
        let head = self.head(stream::TRADING);
        let mut next = self.events.len() as u64 + 1;
        while next <= head {
            let stored = at_once(self.log.get(stream::TRADING, next));
            let Some(Ok(Some(recorded))) = stored else {
                self.watch.skip(next);
                self.events.push(None);
                next += 1;
                continue;
            };
            let found = self.watch.fold(next, &recorded.event);
            self.counter.count(self.watch.book(), &recorded.event);
            let named = recorded.event.body.as_ref().and_then(order_of);
            if let Some(order_id) = named.filter(|_| self.exchange.is_some()) {
                self.of_broker.insert(order_id.to_owned());
            }
            self.events.push(Some(recorded.event));
            if let Some(first) = found.into_iter().next() {
                return Some(first);
            }
            next += 1;
        }
        None
    }

    /// What can be held against the tape while much is under way. Nothing is looked at that has not changed.
    pub fn quiet(&mut self, now: Duration) -> Option<Violation> {
        self.unfoldable()
            .or_else(|| self.acknowledged())
            .or_else(|| self.half_open_for_long(now))
            .or_else(|| self.broker_moved())
            .or_else(|| self.read_model_moved())
    }

    fn unfoldable(&self) -> Option<Violation> {
        let sequence = self.watch.unfoldable().first()?;
        let event = usize::try_from(sequence - 1).ok().and_then(|place| self.events[place].as_ref());
        let error = event.map(|event| Book::default().apply(1, event).err());
        let detail = format!("TRADING {sequence} cannot be folded: {event:?} {error:?}");
        Some(Violation::new(Invariant::ReadModelIsFold, *sequence, detail))
    }

    /// Holds what writers were told since the last time against what is stored.
    fn acknowledged(&mut self) -> Option<Violation> {
        let told = self.tapes.acknowledged_from(self.told);
        self.told += told.len();
        compare_acknowledged(&told, |sequence| self.stored(sequence))
    }

    fn stored(&self, sequence: u64) -> Option<&str> {
        let place = usize::try_from(sequence.checked_sub(1)?).ok()?;
        self.events.get(place)?.as_ref().map(|event| event.id.as_str())
    }

    /// A group that has been half open in silence for longer than execution may be kept from it.
    fn half_open_for_long(&mut self, now: Duration) -> Option<Violation> {
        let sequence = self.watch.book().sequence();
        if self.grouped != sequence {
            self.grouped = sequence;
            let since = self.half_open.take();
            let same = |found: &Violation| {
                since.as_ref().filter(|(_, known)| known.detail == found.detail).map(|(at, _)| *at)
            };
            self.half_open = half_open(&self.watch).map(|found| (same(&found).unwrap_or(now), found));
        }
        let (since, found) = self.half_open.as_ref()?;
        (now.saturating_sub(*since) > HALF_OPEN_MAX).then(|| found.clone())
    }

    /// Holds the orders of the broker outside that changed on either side. One by one, because an order that is as it was and
    /// of which the tape says what it said is compared with the same outcome.
    fn broker_moved(&mut self) -> Option<Violation> {
        let changed = self.exchange.as_ref()?.changed(&std::mem::take(&mut self.of_broker));
        compare_broker(&self.watch, exchange::NAME, &changed, false)
    }

    /// The broker in full.
    fn broker(&self) -> Option<Violation> {
        let exchange = self.exchange.as_ref()?;
        compare_broker(&self.watch, exchange::NAME, &exchange.orders(), true)
    }

    fn read_model_moved(&mut self) -> Option<Violation> {
        if self.database.checkpoint() == self.modelled { None } else { self.read_model() }
    }

    /// Holds the whole read model against the fold of the tape at its checkpoint, which is nearly always the fold so far. Its
    /// checkpoint never goes back.
    fn read_model(&mut self) -> Option<Violation> {
        let (checkpoint, head) = (self.database.checkpoint(), self.watch.book().sequence());
        let before = std::mem::replace(&mut self.modelled, checkpoint);
        if checkpoint < before {
            let detail = format!("the read model stands at {checkpoint}, and stood at {before}");
            return Some(Violation::new(Invariant::ReadModelIsFold, head, detail));
        }
        if checkpoint >= head {
            return self.database.with_book(|read| compare_book(read, self.watch.book()));
        }
        self.follow(checkpoint);
        self.database.with_book(|read| compare_book(read, &self.lagging))
    }

    /// Folds the book that stays behind as far as `checkpoint`.
    fn follow(&mut self, checkpoint: u64) {
        while self.lagging.sequence() < checkpoint {
            let sequence = self.lagging.sequence() + 1;
            let event = usize::try_from(sequence - 1).ok().and_then(|place| self.events.get(place));
            let folded = event.and_then(Option::as_ref).map(|event| self.lagging.apply(sequence, event));
            if !matches!(folded, Some(Ok(_))) {
                self.lagging.skip(sequence);
            }
        }
    }

    /// Whether nothing is under way any more; otherwise what is.
    pub fn unsettled(&self) -> Option<String> {
        let head = self.head(stream::TRADING);
        if self.database.checkpoint() < head {
            return Some(format!(
                "the read model stands at {}, TRADING at {head}",
                self.database.checkpoint()
            ));
        }
        let parked = self.parked();
        let book = self.watch.book();
        let pending = book.pending_signals().find(|signal| !parked.contains(&signal.sequence));
        if let Some(signal) = pending {
            return Some(format!("signal {} at {} has no decision", signal.event.id, signal.sequence));
        }
        let stuck = book.open_orders().find(|order| {
            matches!(order.status, OrderStatus::Approved | OrderStatus::Submitted)
                || order.cancel_requested
                || order.replace.is_some()
        });
        if let Some(order) = stuck {
            let cancel = if order.cancel_requested { ", to be cancelled" } else { "" };
            let terms = if order.replace.is_some() { ", with new terms under way" } else { "" };
            return Some(format!("order {} is {}{cancel}{terms}", order.id(), order.status.name()));
        }
        let exchange = self.exchange.as_ref()?;
        let unsaid = exchange.unsaid();
        let under_way = (unsaid > 0).then(|| format!("{unsaid} reports of the broker are on their way"));
        under_way.or_else(|| exchange.untold(book))
    }

    /// Sequences of TRADING that somebody parked.
    fn parked(&self) -> BTreeSet<u64> {
        let head = self.head(stream::PARKED);
        let mut parked = BTreeSet::new();
        for sequence in 1..=head {
            if let Some(Ok(Some(recorded))) = at_once(self.log.get(stream::PARKED, sequence))
                && let Some(Body::Parked(message)) = recorded.event.body
                && message.stream == stream::TRADING
            {
                parked.insert(message.sequence);
            }
        }
        parked
    }

    /// A replay of the tape so far, while much is under way: what is missing may still come.
    pub fn midway(&mut self, clock: ClockMode) -> Option<Violation> {
        self.counter.see(Seen::ReplayedMidway);
        self.replayed(clock, self.watch.book().sequence())
    }

    /// Everything at the end, when nothing is under way. The replay makes every decision of the run once more, which is as
    /// much work as the run: it is done once, over the whole tape.
    pub fn settled(&mut self, clock: ClockMode) -> Option<Violation> {
        let at = self.watch.book().sequence();
        let first = self
            .unfoldable()
            .or_else(|| compare_acknowledged(&self.tapes.acknowledged(), |sequence| self.stored(sequence)))
            .or_else(|| self.broker())
            .or_else(|| half_open(&self.watch))
            .or_else(|| self.read_model());
        first.or_else(|| self.replayed(clock, at))
    }

    fn replayed(&self, clock: ClockMode, at: u64) -> Option<Violation> {
        let tape: Tape = Arc::new(self.log.clone());
        let fallback_account = ACCOUNTS[0].to_owned();
        let calendar = Calendar::xnys().market();
        let options = Options { clock, calendar, fallback_account, from: 1, to: None, read_model: None };
        let report = match at_once(replay(&tape, options, |_, _| {})) {
            Some(Ok(report)) => report,
            Some(Err(error)) => {
                return Some(Violation::new(Invariant::ReplayAgrees, at, error.to_string()));
            }
            None => {
                return Some(Violation::new(Invariant::ReplayAgrees, at, "the replay waits for something"));
            }
        };
        let divergence = report.divergence?;
        Some(Violation::new(Invariant::ReplayAgrees, divergence.sequence, format!("{divergence:?}")))
    }
}
