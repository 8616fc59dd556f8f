//! The checks: after every event, and, where they cost more, whenever nobody can go on without time passing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use backtest::replay::{Options, replay};
use contracts::stream;
use contracts::v1::Event;
use contracts::v1::event::Body;
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
use crate::seen::Counter;
use crate::setup::ACCOUNTS;
use crate::tape::Tapes;

/// Of the quiet moments at which the read model has moved, one in so many is compared.
const READ_MODEL_EVERY: u64 = 1;
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
    /// Folded as far as the read model was at the last comparison.
    lagging: Book,
    /// What happened so far.
    pub counter: Counter,
    /// What writers were told and was looked at.
    told: usize,
    /// Quiet moments at which the read model had moved.
    moved: u64,
    /// Events that say something of a broker's orders.
    of_broker: u64,
    /// What both sides had come to at the last comparison with the broker.
    compared: (u64, u64),
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
            lagging: Book::default(),
            counter: Counter::default(),
            told: 0,
            moved: 0,
            of_broker: 0,
            compared: (0, 0),
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

    /// Events on MARKET and TRADING.
    pub fn events(&self) -> u64 {
        self.events.len() as u64 + self.head(stream::MARKET)
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
            self.of_broker += u64::from(concerns_broker(&recorded.event));
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

    fn broker_moved(&mut self) -> Option<Violation> {
        let both = (self.of_broker, self.exchange.as_ref()?.changes());
        if self.compared == both {
            return None;
        }
        self.compared = both;
        self.broker(false)
    }

    fn broker(&self, settled: bool) -> Option<Violation> {
        let exchange = self.exchange.as_ref()?;
        compare_broker(&self.watch, exchange::NAME, &exchange.orders(settled), settled)
    }

    fn read_model_moved(&mut self) -> Option<Violation> {
        if self.database.checkpoint() == self.lagging.sequence() {
            return None;
        }
        self.moved += 1;
        self.moved.is_multiple_of(READ_MODEL_EVERY).then(|| self.read_model()).flatten()
    }

    fn read_model(&mut self) -> Option<Violation> {
        let checkpoint = self.database.checkpoint();
        while self.lagging.sequence() < checkpoint {
            let sequence = self.lagging.sequence() + 1;
            let event = usize::try_from(sequence - 1).ok().and_then(|place| self.events.get(place));
            let folded = event.and_then(Option::as_ref).map(|event| self.lagging.apply(sequence, event));
            if !matches!(folded, Some(Ok(_))) {
                self.lagging.skip(sequence);
            }
        }
        self.database.with_book(|read| compare_book(read, &self.lagging))
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

    /// Everything at the end, when nothing is under way. The replay makes every decision of the run once more, which is as
    /// much work as the run: it is done once, over the whole tape.
    pub fn settled(&mut self, clock: ClockMode) -> Option<Violation> {
        let at = self.watch.book().sequence();
        let first = self
            .unfoldable()
            .or_else(|| compare_acknowledged(&self.tapes.acknowledged(), |sequence| self.stored(sequence)))
            .or_else(|| self.broker(true))
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

/// Whether a broker's orders may differ from the tape because of an event.
fn concerns_broker(event: &Event) -> bool {
    matches!(
        event.body,
        Some(Body::Fill(_) | Body::FillCorrected(_) | Body::FillBusted(_) | Body::OrderSubmitted(_))
    )
}
