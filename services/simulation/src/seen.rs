//! What happened in a run, counted from the events of TRADING: the steps that orders took, and what else every few hundred
//! seeds must show.

use std::collections::{BTreeMap, BTreeSet};

use contracts::order_of;
use contracts::v1::event::Body;
use contracts::v1::{Event, GroupHandled, GroupPolicy, PositionsFate, RiskDecision, Verdict};
use domain::book::Book;
use domain::order::{OrderStage, OrderState};
use domain::risk::Rule;

use crate::fate::Extra;
use crate::stages::Transition;

/// Rules that only limits by scope deny with.
const OF_SCOPES: [Rule; 5] = [
    Rule::MaxOrderQuantity,
    Rule::MaxConcentration,
    Rule::MaxGrossExposure,
    Rule::MaxOpenOrders,
    Rule::OrderRate,
];

/// Something that happens beside the steps of orders: each must happen now and then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Seen {
    /// Risk denied new terms.
    TermsDenied,
    /// The broker was asked for new terms.
    TermsRequested,
    /// It works the order with them.
    TermsTaken,
    /// It would not.
    TermsRefused,
    /// What an order of a group did not fill is ordered again.
    GroupCompleted,
    /// A group is taken back.
    GroupUnwound,
    /// What a group left open is stated, because its policy says so.
    GroupAlerted,
    /// An order of a group does not fill while another one has.
    GroupStuck,
    /// Orders close what a stopped strategy holds.
    StopFlattened,
    /// What a stopped strategy holds is handed over.
    StopHandedOver,
    /// A strategy is stopped, and keeps what it holds.
    StopKept,
    /// A limit of a scope denied.
    ScopeDenied,
    /// An execution was corrected.
    FillCorrected,
    /// An execution was taken back.
    FillBusted,
}

impl Seen {
    /// All of it.
    pub const ALL: [Self; 14] = [
        Self::TermsDenied,
        Self::TermsRequested,
        Self::TermsTaken,
        Self::TermsRefused,
        Self::GroupCompleted,
        Self::GroupUnwound,
        Self::GroupAlerted,
        Self::GroupStuck,
        Self::StopFlattened,
        Self::StopHandedOver,
        Self::StopKept,
        Self::ScopeDenied,
        Self::FillCorrected,
        Self::FillBusted,
    ];

    /// In words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TermsDenied => "new terms denied",
            Self::TermsRequested => "new terms requested",
            Self::TermsTaken => "new terms taken",
            Self::TermsRefused => "new terms refused",
            Self::GroupCompleted => "group completed",
            Self::GroupUnwound => "group unwound",
            Self::GroupAlerted => "group alerted of",
            Self::GroupStuck => "group stuck",
            Self::StopFlattened => "stopped and flattened",
            Self::StopHandedOver => "stopped and handed over",
            Self::StopKept => "stopped and kept",
            Self::ScopeDenied => "denied by limit of a scope",
            Self::FillCorrected => "fill corrected",
            Self::FillBusted => "fill busted",
        }
    }

    /// What a run has to hold for it to happen.
    #[must_use]
    pub const fn extra(self) -> Extra {
        match self {
            Self::TermsDenied | Self::TermsRequested | Self::TermsTaken | Self::TermsRefused => Extra::Terms,
            Self::GroupCompleted | Self::GroupUnwound | Self::GroupAlerted | Self::GroupStuck => {
                Extra::Groups
            }
            Self::StopFlattened | Self::StopHandedOver | Self::StopKept => Extra::Fates,
            Self::ScopeDenied => Extra::Limits,
            Self::FillCorrected | Self::FillBusted => Extra::Restates,
        }
    }

    /// Everything that must happen now and then.
    pub fn demanded() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|seen| seen.extra().is_on())
    }
}

/// Counts. Every event is given to it once, after the book has folded it.
#[derive(Debug, Default)]
pub struct Counter {
    stages: BTreeMap<String, OrderStage>,
    /// Signals that ask for new terms.
    asking: BTreeSet<String>,
    /// New terms that a broker was asked for and has not answered, by order and revision.
    asked: BTreeSet<(String, u32)>,
    /// How often each stage followed another.
    pub transitions: BTreeMap<Transition, u64>,
    /// How often everything else happened.
    pub seen: BTreeMap<Seen, u64>,
}

impl Counter {
    /// Counts what `event` came to, which is the last one that `book` has folded.
    pub fn count(&mut self, book: &Book, event: &Event) {
        let Some(body) = &event.body else { return };
        match body {
            Body::Signal(signal) => {
                self.step((None, OrderStage::Requested));
                if signal.legs.iter().any(|leg| !leg.replaces.is_empty()) {
                    self.asking.insert(event.id.clone());
                }
            }
            Body::RiskDecision(decision) => self.decided(book, decision),
            Body::GroupHandled(handled) => self.handled(book, handled),
            Body::TradingKilled(_) => {
                let open: Vec<String> = book.open_orders().map(|order| order.id().to_owned()).collect();
                self.moved_all(book, &open, (None, OrderStage::Approved));
            }
            body => {
                if let Some(order_id) = order_of(body) {
                    self.moved(book, order_id, (None, OrderStage::Submitted));
                }
            }
        }
        if let Some(seen) = self.beside(body) {
            self.see(seen);
        }
    }

    fn decided(&mut self, book: &Book, decision: &RiskDecision) {
        if decision.verdict() == Verdict::Denied {
            self.step((Some(OrderStage::Requested), OrderStage::Denied));
            if self.asking.contains(&decision.signal_id) {
                self.see(Seen::TermsDenied);
            }
            if OF_SCOPES.iter().any(|rule| rule.name() == decision.rule) {
                self.see(Seen::ScopeDenied);
            }
        }
        let born = (Some(OrderStage::Requested), OrderStage::Approved);
        for spec in &decision.orders {
            self.moved(book, &spec.order_id, born);
        }
        self.moved_all(book, &decision.cancels, born);
    }

    fn handled(&mut self, book: &Book, handled: &GroupHandled) {
        let born = (None, OrderStage::Approved);
        for spec in &handled.orders {
            self.moved(book, &spec.order_id, born);
        }
        self.moved_all(book, &handled.cancels, born);
        if handled.failure == "stopped" {
            if !handled.orders.is_empty() {
                self.see(Seen::StopFlattened);
            }
            return;
        }
        // What follows a first step names no failure.
        if handled.failure.is_empty() {
            return;
        }
        if handled.failure == "stuck" {
            self.see(Seen::GroupStuck);
        }
        match handled.policy() {
            GroupPolicy::Complete => self.see(Seen::GroupCompleted),
            GroupPolicy::Unwind => self.see(Seen::GroupUnwound),
            GroupPolicy::Alert => self.see(Seen::GroupAlerted),
            GroupPolicy::Unspecified => {}
        }
    }

    /// What an event is beside a step of an order.
    fn beside(&mut self, body: &Body) -> Option<Seen> {
        let key = |order_id: &str, revision| (order_id.to_owned(), revision);
        match body {
            Body::OrderReplaceRequested(event) => {
                self.asked.insert(key(&event.order_id, event.revision));
                Some(Seen::TermsRequested)
            }
            Body::OrderReplaced(event) => {
                self.asked.remove(&key(&event.order_id, event.revision)).then_some(Seen::TermsTaken)
            }
            // Where the order ended first, nobody was asked.
            Body::OrderReplaceRejected(event) => {
                self.asked.remove(&key(&event.order_id, event.revision)).then_some(Seen::TermsRefused)
            }
            Body::StrategyDisabled(event) => {
                (event.positions() == PositionsFate::Keep).then_some(Seen::StopKept)
            }
            Body::PositionTransferred(_) => Some(Seen::StopHandedOver),
            Body::FillCorrected(_) => Some(Seen::FillCorrected),
            Body::FillBusted(_) => Some(Seen::FillBusted),
            _ => None,
        }
    }

    fn moved_all(&mut self, book: &Book, order_ids: &[String], born: Transition) {
        for order_id in order_ids {
            self.moved(book, order_id, born);
        }
    }

    /// Takes note of where an order stands now; one that was not known before has begun with the step `born`.
    fn moved(&mut self, book: &Book, order_id: &str, born: Transition) {
        let Some(stage) = book.order(order_id).map(OrderState::stage) else { return };
        let before = match self.stages.insert(order_id.to_owned(), stage) {
            Some(before) => before,
            None => {
                self.step(born);
                born.1
            }
        };
        if before != stage {
            self.step((Some(before), stage));
        }
    }

    fn step(&mut self, step: Transition) {
        *self.transitions.entry(step).or_default() += 1;
    }

    fn see(&mut self, seen: Seen) {
        *self.seen.entry(seen).or_default() += 1;
    }
}
