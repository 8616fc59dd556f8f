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
    marks: HashMap<String, i64>,
    /// Signals of the present instant by id.
    signals: HashSet<String>,
    /// Decided signals with their approved orders; those of instants past are forgotten.
    decisions: HashMap<String, Vec<String>>,
    answered: HashSet<String>,
    fills: u64,
    now_ns: i64,
}

impl Trading {
    /// Begins an instant. What was read of it already (after a restart) stays.
    pub(super) fn begin(&mut self, ns: i64) {
        if ns != self.now_ns {
            self.signals.clear();
            self.decisions.clear();
            self.answered.clear();
            self.fills = 0;
            self.now_ns = ns;
        }
    }

    /// Takes in one event.
    pub(super) fn fold(&mut self, sequence: u64, event: &Event) {
        self.sequence = sequence;
        let time_ns = event.event_time.as_ref().and_then(from_timestamp).unwrap_or_default();
        match &event.body {
            Some(Body::AccountMarked(mark)) => {
                let last = self.marks.entry(mark.account.clone()).or_insert(time_ns);
                *last = time_ns.max(*last);
            }
            // A signal of another time is not this instant's; the clock does not wait for it.
            Some(Body::Signal(_)) if time_ns == self.now_ns => {
                self.signals.insert(event.id.clone());
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

    /// Signals of the instant that no decision answers.
    pub(super) fn undecided(&self) -> usize {
        self.signals.iter().filter(|id| !self.decisions.contains_key(*id)).count()
    }

    /// An approved order of the instant that the broker has not answered.
    pub(super) fn unanswered(&self) -> Option<&str> {
        let orders = self.decided().flatten();
        orders.map(String::as_str).find(|order_id| !self.answered.contains(*order_id))
    }

    /// Number of signals, of approved orders and of fills of the instant.
    pub(super) fn counts(&self) -> (u64, u64, u64) {
        let orders = self.decided().map(Vec::len).sum::<usize>();
        (self.signals.len() as u64, orders as u64, self.fills)
    }

    fn decided(&self) -> impl Iterator<Item = &Vec<String>> {
        self.signals.iter().filter_map(|id| self.decisions.get(id))
    }
}
