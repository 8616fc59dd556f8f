//! What TRADING says about the present instant. Pure: a fold of its events.

use std::collections::{HashMap, HashSet};

use contracts::from_timestamp;
use contracts::v1::event::Body;
use contracts::v1::{Event, Verdict};

/// Marks, signals, decisions and answers, as far as TRADING was read.
#[derive(Debug, Default)]
pub(super) struct Trading {
    /// Last sequence folded.
    pub(super) sequence: u64,
    /// Sequence of the last mark.
    pub(super) marked: u64,
    marks: HashMap<String, i64>,
    /// Signals of the present instant by id, and those of another time that nobody has answered.
    signals: HashMap<String, Seen>,
    /// Decided signals with their approved orders; those of instants past are forgotten.
    decisions: HashMap<String, Vec<String>>,
    answered: HashSet<String>,
    fills: u64,
    now_ns: i64,
}

/// A signal.
#[derive(Clone, Copy, Debug)]
struct Seen {
    sequence: u64,
    /// It is of the present instant. A stray (late, or of a wrong time) is put before risk with the others,
    /// which denies it; nobody waits for that.
    own: bool,
    /// An operator's: it is of no instant and is decided in the one in which it is met.
    by_hand: bool,
    parked: bool,
}

impl Trading {
    /// Begins an instant. What was read of it already (after a restart) stays.
    pub(super) fn begin(&mut self, ns: i64) {
        if ns != self.now_ns {
            let Self { signals, decisions, .. } = self;
            signals.retain(|id, seen| !seen.parked && !decisions.contains_key(id));
            signals.values_mut().for_each(|seen| seen.own = seen.by_hand);
            self.decisions.clear();
            self.answered.clear();
            self.fills = 0;
            self.now_ns = ns;
        }
    }

    /// Takes in one event.
    pub(super) fn fold(&mut self, sequence: u64, event: &Event) {
        self.sequence = sequence;
        let known_ns = event.event_time.as_ref().and_then(from_timestamp);
        let time_ns = known_ns.unwrap_or_default();
        match &event.body {
            Some(Body::AccountMarked(mark)) => {
                let last = self.marks.entry(mark.account.clone()).or_insert(time_ns);
                *last = time_ns.max(*last);
                self.marked = sequence;
            }
            // One without a time is parked at once.
            Some(Body::Signal(signal)) if known_ns.is_some() => {
                let by_hand = signal.strategy == contracts::MANUAL;
                let own = by_hand || time_ns == self.now_ns;
                let seen = Seen { sequence, own, by_hand, parked: false };
                self.signals.entry(event.id.clone()).or_insert(seen);
            }
            Some(Body::RiskDecision(decision)) => {
                let approved = decision.verdict() == Verdict::Approved;
                let orders = decision.orders.iter().filter(|_| approved);
                let orders = orders.map(|order| order.order_id.clone()).collect();
                self.decisions.insert(event.causation_id.clone(), orders);
            }
            Some(Body::Fill(fill)) => {
                self.fills += u64::from(time_ns == self.now_ns);
                self.answer(&fill.order_id);
            }
            Some(Body::OrderAccepted(answer)) => self.answer(&answer.order_id),
            Some(Body::OrderRejected(answer)) => self.answer(&answer.order_id),
            Some(Body::OrderCancelled(answer)) => self.answer(&answer.order_id),
            Some(Body::OrderExpired(answer)) => self.answer(&answer.order_id),
            Some(Body::OrderSuspended(answer)) => self.answer(&answer.order_id),
            _ => {}
        }
    }

    fn answer(&mut self, order_id: &str) {
        self.answered.insert(order_id.to_owned());
    }

    /// The first account, of those given, that is not marked at this instant.
    pub(super) fn unmarked<'a>(&self, accounts: &'a [String]) -> Option<&'a str> {
        let marked = |account: &String| self.marks.get(account).is_some_and(|ns| *ns >= self.now_ns);
        accounts.iter().find(|account| !marked(account)).map(String::as_str)
    }

    /// Signals of the instant up to `through` that nothing answers.
    pub(super) fn undecided(&self, through: u64) -> usize {
        self.unanswered_signals().filter(|seen| seen.own && seen.sequence <= through).count()
    }

    /// Whether a stray up to `through` waits for its denial.
    pub(super) fn has_stray(&self, through: u64) -> bool {
        self.unanswered_signals().any(|seen| !seen.own && seen.sequence <= through)
    }

    /// Takes in that risk parked the signal at `sequence`.
    pub(super) fn parked(&mut self, sequence: u64) {
        for seen in self.signals.values_mut().filter(|seen| seen.sequence == sequence) {
            seen.parked = true;
        }
    }

    fn unanswered_signals(&self) -> impl Iterator<Item = &Seen> {
        let open = |(id, seen): &(&String, &Seen)| !seen.parked && !self.decisions.contains_key(*id);
        self.signals.iter().filter(open).map(|(_, seen)| seen)
    }

    /// An approved order of the instant that the broker has not answered.
    pub(super) fn unanswered(&self) -> Option<&str> {
        let orders = self.decided().flatten();
        orders.map(String::as_str).find(|order_id| !self.answered.contains(*order_id))
    }

    /// Number of signals, of approved orders and of fills of the instant.
    pub(super) fn counts(&self) -> (u64, u64, u64) {
        let orders = self.decided().map(Vec::len).sum::<usize>();
        let signals = self.signals.values().filter(|seen| seen.own).count();
        (signals as u64, orders as u64, self.fills)
    }

    fn decided(&self) -> impl Iterator<Item = &Vec<String>> {
        self.signals.keys().filter_map(|id| self.decisions.get(id))
    }
}
