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
    /// Decided signals with what was approved of them; those of instants past are forgotten.
    decisions: HashMap<String, Decided>,
    answered: HashSet<Asked>,
    /// Sequences that were parked and are not read here yet.
    parked: HashSet<u64>,
    /// Orders submitted since the instant began.
    orders: u64,
    fills: u64,
    /// Last sequence of an order's event when the clock was started.
    started: u64,
    now_ns: i64,
}

/// What a decision approved.
#[derive(Debug)]
struct Decided {
    sequence: u64,
    asked: Vec<Asked>,
}

/// What the broker is asked for: an order, or new terms of one.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Asked {
    order_id: String,
    new_terms: bool,
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
    /// Of a clock that is started where `started` is the last sequence of an order's event.
    pub(super) fn after(started: u64) -> Self {
        Self { started, ..Self::default() }
    }

    /// Begins an instant. What was read of it already (after a restart) stays.
    pub(super) fn begin(&mut self, ns: i64) {
        if ns != self.now_ns {
            let Self { signals, decisions, .. } = self;
            signals.retain(|id, seen| !seen.parked && !decisions.contains_key(id));
            signals.values_mut().for_each(|seen| seen.own = seen.by_hand);
            self.decisions.clear();
            self.answered.clear();
            (self.orders, self.fills) = (0, 0);
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
                let seen = Seen { sequence, own, by_hand, parked: self.parked.remove(&sequence) };
                self.signals.entry(event.id.clone()).or_insert(seen);
            }
            Some(Body::RiskDecision(decision)) => {
                let approved = decision.verdict() == Verdict::Approved;
                let taken = approved && !self.parked.remove(&sequence);
                let orders = decision.orders.iter().filter(|_| taken);
                let asked: Vec<Asked> =
                    orders.map(|order| Asked::new(&order.order_id, order.revision > 0)).collect();
                // What was said before is no answer to what is asked now.
                self.answered.retain(|answered| !asked.contains(answered));
                self.decisions.insert(event.causation_id.clone(), Decided { sequence, asked });
            }
            // An exit is submitted under the time of its approval, once its entry fills.
            Some(Body::OrderSubmitted(_)) => {
                self.orders += u64::from(sequence > self.started || time_ns == self.now_ns);
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
            // Of new terms, also where the order ended before they were asked for.
            Some(Body::OrderReplaced(answer)) => self.answer_terms(&answer.order_id),
            Some(Body::OrderReplaceRejected(answer)) => self.answer_terms(&answer.order_id),
            _ => {}
        }
    }

    fn answer(&mut self, order_id: &str) {
        self.answered.insert(Asked::new(order_id, false));
    }

    fn answer_terms(&mut self, order_id: &str) {
        self.answered.insert(Asked::new(order_id, true));
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
        self.park(sequence);
        for seen in self.signals.values_mut().filter(|seen| seen.sequence == sequence) {
            seen.parked = true;
        }
    }

    /// Takes in that execution parked the decision at `sequence`, so that nothing comes of it.
    pub(super) fn given_up(&mut self, sequence: u64) {
        self.park(sequence);
        for decided in self.decisions.values_mut().filter(|decided| decided.sequence == sequence) {
            decided.asked.clear();
        }
    }

    fn park(&mut self, sequence: u64) {
        if sequence > self.sequence {
            self.parked.insert(sequence);
        }
    }

    fn unanswered_signals(&self) -> impl Iterator<Item = &Seen> {
        let open = |(id, seen): &(&String, &Seen)| !seen.parked && !self.decisions.contains_key(*id);
        self.signals.iter().filter(open).map(|(_, seen)| seen)
    }

    /// An order approved in the instant, or one with new terms, of which the broker has not answered.
    pub(super) fn unanswered(&self) -> Option<&str> {
        let mut asked = self.decided().flat_map(|decided| &decided.asked);
        asked.find(|asked| !self.answered.contains(*asked)).map(|asked| asked.order_id.as_str())
    }

    /// Number of signals, of decisions of risk, of submitted orders and of fills of the instant.
    pub(super) fn counts(&self) -> (u64, u64, u64, u64) {
        let signals = self.signals.values().filter(|seen| seen.own).count();
        (signals as u64, self.decided().count() as u64, self.orders, self.fills)
    }

    fn decided(&self) -> impl Iterator<Item = &Decided> {
        self.signals.keys().filter_map(|id| self.decisions.get(id))
    }
}

impl Asked {
    fn new(order_id: &str, new_terms: bool) -> Self {
        Self { order_id: order_id.to_owned(), new_terms }
    }
}

#[cfg(test)]
mod tests {
    use contracts::to_timestamp;
    use contracts::v1::{
        Fill, OrderAccepted, OrderReplaceRejected, OrderReplaced, OrderSpec, OrderSubmitted, RiskDecision,
        Signal,
    };

    use super::*;

    /// Folds an event of the instant `ns` behind those before it.
    fn fold(trading: &mut Trading, ns: i64, id: &str, cause: &str, body: Body) {
        let event = Event {
            id: id.to_owned(),
            event_time: Some(to_timestamp(ns)),
            causation_id: cause.to_owned(),
            body: Some(body),
            ..Event::default()
        };
        trading.fold(trading.sequence + 1, &event);
    }

    /// An order by hand as it is asked for and approved, or new terms of it.
    fn approved(trading: &mut Trading, ns: i64, signal_id: &str, revision: u32) {
        let signal = Signal { strategy: contracts::MANUAL.to_owned(), ..Signal::default() };
        fold(trading, ns, signal_id, "", Body::Signal(signal));
        let order = OrderSpec { order_id: "o".to_owned(), revision, ..OrderSpec::default() };
        let decision = RiskDecision {
            verdict: Verdict::Approved.into(),
            orders: vec![order],
            ..RiskDecision::default()
        };
        fold(trading, ns, &format!("{signal_id}/risk"), signal_id, Body::RiskDecision(decision));
        assert_eq!(trading.unanswered(), Some("o"));
    }

    #[test]
    fn new_terms_are_waited_for_and_are_no_order_of_their_own() {
        let order_id = || "o".to_owned();
        let mut trading = Trading::after(0);
        trading.begin(1);
        approved(&mut trading, 1, "s1", 0);
        fold(&mut trading, 1, "submitted", "", Body::OrderSubmitted(OrderSubmitted::default()));
        let accepted = OrderAccepted { order_id: order_id(), ..OrderAccepted::default() };
        fold(&mut trading, 1, "accepted", "", Body::OrderAccepted(accepted));
        assert_eq!((trading.unanswered(), trading.counts()), (None, (1, 1, 1, 0)));
        trading.begin(2);
        approved(&mut trading, 2, "s2", 1);
        let replaced = OrderReplaced { order_id: order_id(), ..OrderReplaced::default() };
        fold(&mut trading, 2, "replaced", "", Body::OrderReplaced(replaced));
        assert_eq!((trading.unanswered(), trading.counts()), (None, (1, 1, 0, 0)));
        // The exit of an order that was approved an instant ago.
        trading.begin(3);
        fold(&mut trading, 3, "fill", "", Body::Fill(Fill { order_id: order_id(), ..Fill::default() }));
        fold(&mut trading, 2, "exit", "", Body::OrderSubmitted(OrderSubmitted::default()));
        assert_eq!(trading.counts(), (0, 0, 1, 1));
    }

    #[test]
    fn new_terms_are_answered_by_what_is_said_of_them_afterwards() {
        let accepted = OrderAccepted { order_id: "o".to_owned(), ..OrderAccepted::default() };
        let replaced = || OrderReplaced { order_id: "o".to_owned(), ..OrderReplaced::default() };
        let refused = OrderReplaceRejected { order_id: "o".to_owned(), ..OrderReplaceRejected::default() };
        let mut trading = Trading::after(0);
        trading.begin(1);
        // An order gets new terms in the instant in which it is approved.
        approved(&mut trading, 1, "s1", 0);
        approved(&mut trading, 1, "s2", 1);
        fold(&mut trading, 1, "accepted", "", Body::OrderAccepted(accepted));
        assert_eq!(trading.unanswered(), Some("o"), "the order is accepted, not its terms");
        fold(&mut trading, 1, "replaced", "", Body::OrderReplaced(replaced()));
        assert_eq!(trading.unanswered(), None);
        approved(&mut trading, 1, "s3", 2);
        fold(&mut trading, 1, "refused", "", Body::OrderReplaceRejected(refused));
        assert_eq!(trading.unanswered(), None);
        // A tape may hold several under way, of which the broker was asked for the last alone.
        for (signal_id, revision) in [("s4", 2), ("s5", 3), ("s6", 4)] {
            approved(&mut trading, 1, signal_id, revision);
        }
        fold(&mut trading, 1, "again", "", Body::OrderReplaced(replaced()));
        assert_eq!(trading.unanswered(), None);
    }

    #[test]
    fn nothing_is_waited_for_of_a_decision_that_execution_parked() {
        let mut trading = Trading::after(0);
        trading.begin(1);
        approved(&mut trading, 1, "s", 0);
        trading.given_up(1);
        assert_eq!(trading.unanswered(), Some("o"), "the signal is no decision");
        trading.given_up(2);
        assert_eq!(trading.unanswered(), None);
        // What is parked may be heard of before it is read.
        let signal = Signal { strategy: contracts::MANUAL.to_owned(), ..Signal::default() };
        trading.parked(3);
        fold(&mut trading, 1, "parked", "", Body::Signal(signal.clone()));
        assert_eq!(trading.undecided(3), 0);
        trading.given_up(5);
        fold(&mut trading, 1, "s2", "", Body::Signal(signal));
        let orders = vec![OrderSpec { order_id: "p".to_owned(), ..OrderSpec::default() }];
        let verdict = Verdict::Approved.into();
        let decision = RiskDecision { verdict, orders, ..RiskDecision::default() };
        fold(&mut trading, 1, "d2", "s2", Body::RiskDecision(decision));
        assert_eq!((trading.undecided(5), trading.unanswered()), (0, None));
    }

    #[test]
    fn what_was_submitted_before_the_clock_was_started_counts_in_its_own_instant_alone() {
        let mut trading = Trading::after(2);
        trading.begin(5);
        for ns in [4, 5, 4] {
            fold(&mut trading, ns, "submitted", "", Body::OrderSubmitted(OrderSubmitted::default()));
        }
        assert_eq!(trading.counts(), (0, 0, 2, 0));
    }
}
