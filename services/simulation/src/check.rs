//! The checks: after every event, and, where they cost more, whenever nobody can go on without time passing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use backtest::replay::{Options, replay};
use contracts::stream;
use contracts::v1::event::Body;
use contracts::v1::{Event, Verdict};
use domain::book::Book;
use domain::invariant::{
    Invariant, Violation, Watch, compare_acknowledged, compare_book, compare_broker, half_open,
};
use domain::order::OrderStatus;
use event_log::{EventLog as _, MemoryLog, Recorded, Tape};
use runtime::ClockMode;

use crate::database::Database;
use crate::exchange::{self, Exchange};
use crate::executor::at_once;
use crate::setup::ACCOUNTS;
use crate::tape::Tapes;

/// Quiet moments between two comparisons with the read model and the broker.
const COMPARE_EVERY: u64 = 24;

/// From and to which status an order went; the first one is `None` for its approval.
pub type Transition = (Option<OrderStatus>, OrderStatus);

/// What becomes of new terms of an order that the operator asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Terms {
    /// Risk denied them.
    Denied,
    /// The broker was asked for them.
    Requested,
    /// It works the order with them.
    Replaced,
    /// It would not.
    Rejected,
}

impl Terms {
    /// All of it: each must happen now and then.
    pub const ALL: [Self; 4] = [Self::Denied, Self::Requested, Self::Replaced, Self::Rejected];

    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Denied => "replace denied",
            Self::Requested => "replace requested",
            Self::Replaced => "replace requested -> replaced",
            Self::Rejected => "replace requested -> rejected",
        }
    }
}

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
    statuses: BTreeMap<String, OrderStatus>,
    /// How often each status followed another.
    pub transitions: BTreeMap<Transition, u64>,
    /// New terms that a broker was asked for and has not answered, by order and revision.
    asked: BTreeSet<(String, u32)>,
    /// How often each thing became of new terms.
    pub terms: BTreeMap<Terms, u64>,
    quiet: u64,
}

impl Checker {
    /// Watches `tapes`, the read model and, where there is one, the broker outside.
    pub fn new(tapes: &Tapes, database: &Database, exchange: Option<Exchange>) -> Self {
        Self {
            log: tapes.log.clone(),
            tapes: tapes.clone(),
            database: database.clone(),
            exchange,
            watch: Watch::default(),
            events: Vec::new(),
            lagging: Book::default(),
            statuses: BTreeMap::new(),
            transitions: BTreeMap::new(),
            asked: BTreeSet::new(),
            terms: BTreeMap::new(),
            quiet: 0,
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
            self.count(&recorded.event);
            self.count_terms(&recorded.event);
            self.events.push(Some(recorded.event));
            if let Some(first) = found.into_iter().next() {
                return Some(first);
            }
            next += 1;
        }
        None
    }

    fn count(&mut self, event: &Event) {
        for order_id in touched(event) {
            let Some(status) = self.watch.book().order(&order_id).map(|order| order.status) else { continue };
            let before = self.statuses.insert(order_id, status);
            if before != Some(status) {
                *self.transitions.entry((before, status)).or_default() += 1;
            }
        }
    }

    fn count_terms(&mut self, event: &Event) {
        let key = |order_id: &str, revision| (order_id.to_owned(), revision);
        let seen = match &event.body {
            // Nothing else is asked for by hand.
            Some(Body::RiskDecision(event))
                if event.strategy == contracts::MANUAL && event.verdict() == Verdict::Denied =>
            {
                Terms::Denied
            }
            Some(Body::OrderReplaceRequested(event)) => {
                self.asked.insert(key(&event.order_id, event.revision));
                Terms::Requested
            }
            Some(Body::OrderReplaced(event)) if self.asked.remove(&key(&event.order_id, event.revision)) => {
                Terms::Replaced
            }
            // Where the order ended first, nobody was asked.
            Some(Body::OrderReplaceRejected(event))
                if self.asked.remove(&key(&event.order_id, event.revision)) =>
            {
                Terms::Rejected
            }
            _ => return,
        };
        *self.terms.entry(seen).or_default() += 1;
    }

    /// Compares with the read model and the broker, now and then.
    pub fn quiet(&mut self) -> Option<Violation> {
        self.quiet += 1;
        if !self.quiet.is_multiple_of(COMPARE_EVERY) {
            return None;
        }
        self.read_model().or_else(|| self.broker(false))
    }

    fn broker(&self, settled: bool) -> Option<Violation> {
        let exchange = self.exchange.as_ref()?;
        compare_broker(&self.watch, exchange::NAME, &exchange.orders(), settled)
    }

    fn read_model(&mut self) -> Option<Violation> {
        let read = self.database.book();
        while self.lagging.sequence() < read.sequence() {
            let sequence = self.lagging.sequence() + 1;
            let event = usize::try_from(sequence - 1).ok().and_then(|place| self.events.get(place));
            let folded = event.and_then(Option::as_ref).map(|event| self.lagging.apply(sequence, event));
            if !matches!(folded, Some(Ok(_))) {
                self.lagging.skip(sequence);
            }
        }
        compare_book(&read, &self.lagging)
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
        let unsaid = self.exchange.as_ref().map_or(0, Exchange::unsaid);
        (unsaid > 0).then(|| format!("{unsaid} reports of the broker are on their way"))
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

    /// Everything at the end, when nothing is under way.
    pub fn settled(&mut self, clock: ClockMode) -> Option<Violation> {
        let at = self.watch.book().sequence();
        if let Some(sequence) = self.watch.unfoldable().first() {
            let event = usize::try_from(sequence - 1).ok().and_then(|place| self.events[place].as_ref());
            let error = event.map(|event| Book::default().apply(1, event).err());
            let detail = format!("TRADING {sequence} cannot be folded: {event:?} {error:?}");
            return Some(Violation::new(Invariant::ReadModelIsFold, *sequence, detail));
        }
        let stored = |sequence: u64| {
            let place = usize::try_from(sequence.checked_sub(1)?).ok()?;
            self.events.get(place)?.as_ref().map(|event| event.id.as_str())
        };
        let first = compare_acknowledged(&self.tapes.acknowledged(), stored)
            .or_else(|| self.broker(true))
            .or_else(|| half_open(&self.watch))
            .or_else(|| self.read_model());
        first.or_else(|| self.replayed(clock, at))
    }

    fn replayed(&self, clock: ClockMode, at: u64) -> Option<Violation> {
        let tape: Tape = Arc::new(self.log.clone());
        let fallback_account = ACCOUNTS[0].to_owned();
        let options = Options { clock, fallback_account, from: 1, to: None, read_model: None };
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

/// Orders that an event may move.
fn touched(event: &Event) -> Vec<String> {
    let one = |order_id: &String| vec![order_id.clone()];
    match &event.body {
        Some(Body::RiskDecision(decision)) => {
            decision.orders.iter().map(|order| order.order_id.clone()).collect()
        }
        Some(Body::OrderSubmitted(event)) => event.order.iter().map(|order| order.order_id.clone()).collect(),
        Some(Body::OrderAccepted(event)) => one(&event.order_id),
        Some(Body::OrderRejected(event)) => one(&event.order_id),
        Some(Body::OrderCancelled(event)) => one(&event.order_id),
        Some(Body::OrderExpired(event)) => one(&event.order_id),
        Some(Body::OrderSuspended(event)) => one(&event.order_id),
        Some(Body::Fill(event)) => one(&event.order_id),
        _ => Vec::new(),
    }
}
