//! What happened in a run, counted from the events of TRADING: the steps that orders took, and what else every few hundred
//! seeds must show.

use std::collections::{BTreeMap, BTreeSet};

use contracts::v1::event::Body;
use contracts::v1::{
    Event, Fill, GroupHandled, GroupPolicy, PositionsFate, RiskDecision, RiskInput, StrategyMode,
    TradingState, Verdict,
};
use contracts::{MANUAL, order_of};
use domain::book::Book;
use domain::book::history::RETURNS_MIN;
use domain::money::E9;
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
    /// A signal of a strategy in shadow mode was decided.
    Shadowed,
    /// A strategy went to shadow mode.
    ShadowBegun,
    /// A strategy left shadow mode.
    ShadowEnded,
    /// Risk approved an order by hand.
    HandApproved,
    /// It approved one with exits.
    HandBracket,
    /// Risk denied an order by hand.
    HandDenied,
    /// An order by hand was filled, in part or as a whole.
    HandFilled,
    /// An account was halted in full.
    HaltedInFull,
    /// A strategy was halted.
    StrategyHalted,
    /// A strategy was killed.
    StrategyKilled,
    /// A strategy was killed and what it held closed.
    StrategyFlattened,
    /// A strategy that was stopped goes on.
    StrategyResumed,
    /// Part of a share was filled.
    PartFilled,
    /// An order for an amount was filled, in part or as a whole.
    AmountFilled,
    /// A correlation that was measured denied.
    CorrelationDenied,
    /// A value at risk that was measured denied.
    VarDenied,
    /// The tape was replayed in the middle of the run.
    ReplayedMidway,
}

impl Seen {
    /// All of it.
    pub const ALL: [Self; 31] = [
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
        Self::Shadowed,
        Self::ShadowBegun,
        Self::ShadowEnded,
        Self::HandApproved,
        Self::HandBracket,
        Self::HandDenied,
        Self::HandFilled,
        Self::HaltedInFull,
        Self::StrategyHalted,
        Self::StrategyKilled,
        Self::StrategyFlattened,
        Self::StrategyResumed,
        Self::PartFilled,
        Self::AmountFilled,
        Self::CorrelationDenied,
        Self::VarDenied,
        Self::ReplayedMidway,
    ];

    /// In words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().1
    }

    /// What a run has to hold for it to happen.
    #[must_use]
    pub const fn extra(self) -> Extra {
        self.row().0
    }

    const fn row(self) -> (Extra, &'static str) {
        match self {
            Self::TermsDenied => (Extra::Terms, "new terms denied"),
            Self::TermsRequested => (Extra::Terms, "new terms requested"),
            Self::TermsTaken => (Extra::Terms, "new terms taken"),
            Self::TermsRefused => (Extra::Terms, "new terms refused"),
            Self::GroupCompleted => (Extra::Groups, "group completed"),
            Self::GroupUnwound => (Extra::Groups, "group unwound"),
            Self::GroupAlerted => (Extra::Groups, "group alerted of"),
            Self::GroupStuck => (Extra::Groups, "group stuck"),
            Self::StopFlattened => (Extra::Fates, "stopped and flattened"),
            Self::StopHandedOver => (Extra::Fates, "stopped and handed over"),
            Self::StopKept => (Extra::Fates, "stopped and kept"),
            Self::ScopeDenied => (Extra::Limits, "denied by limit of a scope"),
            Self::FillCorrected => (Extra::Restates, "fill corrected"),
            Self::FillBusted => (Extra::Restates, "fill busted"),
            Self::Shadowed => (Extra::Shadow, "signal in shadow mode"),
            Self::ShadowBegun => (Extra::Shadow, "switched to shadow mode"),
            Self::ShadowEnded => (Extra::Shadow, "switched to paper"),
            Self::HandApproved => (Extra::ByHand, "order by hand approved"),
            Self::HandBracket => (Extra::ByHand, "order by hand approved with exits"),
            Self::HandDenied => (Extra::ByHand, "order by hand denied"),
            Self::HandFilled => (Extra::ByHand, "order by hand filled"),
            Self::HaltedInFull => (Extra::Scopes, "account halted in full"),
            Self::StrategyHalted => (Extra::Scopes, "strategy halted"),
            Self::StrategyKilled => (Extra::Scopes, "strategy killed"),
            Self::StrategyFlattened => (Extra::Scopes, "strategy killed and flattened"),
            Self::StrategyResumed => (Extra::Scopes, "strategy resumed"),
            Self::PartFilled => (Extra::Parts, "part of a share filled"),
            Self::AmountFilled => (Extra::Parts, "order for an amount filled"),
            Self::CorrelationDenied => (Extra::Measures, "denied by a correlation measured"),
            Self::VarDenied => (Extra::Measures, "denied by a value at risk measured"),
            Self::ReplayedMidway => (Extra::Midway, "replayed in the middle"),
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
    /// Strategies in shadow mode.
    shadows: BTreeSet<String>,
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
        if let Body::Fill(fill) = body {
            self.filled(book, fill);
        }
        if let Some(seen) = self.beside(body) {
            self.see(seen);
        }
    }

    fn decided(&mut self, book: &Book, decision: &RiskDecision) {
        let asks = self.asking.contains(&decision.signal_id);
        let by_hand = decision.strategy == MANUAL && !asks;
        match decision.verdict() {
            Verdict::Denied => {
                self.step((Some(OrderStage::Requested), OrderStage::Denied));
                let seen = [
                    (asks, Seen::TermsDenied),
                    (by_hand, Seen::HandDenied),
                    (OF_SCOPES.iter().any(|rule| rule.name() == decision.rule), Seen::ScopeDenied),
                    (correlates(decision), Seen::CorrelationDenied),
                    (is_at_risk(decision), Seen::VarDenied),
                ];
                seen.into_iter().filter(|(is_so, _)| *is_so).for_each(|(_, seen)| self.see(seen));
            }
            Verdict::Approved if by_hand => {
                self.see(Seen::HandApproved);
                if decision.orders.len() > 1 {
                    self.see(Seen::HandBracket);
                }
            }
            Verdict::Shadowed => self.see(Seen::Shadowed),
            Verdict::Approved | Verdict::Unspecified => {}
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

    fn filled(&mut self, book: &Book, fill: &Fill) {
        let Some(order) = book.order(&fill.order_id) else { return };
        // What a kill switch or a stop closes follows from no signal.
        if order.spec.strategy == MANUAL && !order.signal_id.is_empty() {
            self.see(Seen::HandFilled);
        }
        if order.spec.notional_e9.is_some() {
            self.see(Seen::AmountFilled);
        } else if fill.quantity_e9 % E9 != 0 {
            self.see(Seen::PartFilled);
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
            Body::StrategyEnabled(event) if event.mode() == StrategyMode::Shadow => {
                self.shadows.insert(event.strategy.clone());
                // What begins in it was not switched to it: nobody did.
                (!event.actor.is_empty()).then_some(Seen::ShadowBegun)
            }
            Body::StrategyEnabled(event) => self.shadows.remove(&event.strategy).then_some(Seen::ShadowEnded),
            Body::TradingHalted(halt) if !halt.strategy.is_empty() => Some(Seen::StrategyHalted),
            Body::TradingHalted(halt) => (halt.state() == TradingState::Halted).then_some(Seen::HaltedInFull),
            Body::TradingKilled(kill) if !kill.strategy.is_empty() => {
                Some(if kill.flatten { Seen::StrategyFlattened } else { Seen::StrategyKilled })
            }
            Body::TradingResumed(resumed) => (!resumed.strategy.is_empty()).then_some(Seen::StrategyResumed),
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

    /// Counts something.
    pub fn see(&mut self, seen: Seen) {
        *self.seen.entry(seen).or_default() += 1;
    }
}

/// Whether a correlation denied that was measured.
fn correlates(decision: &RiskDecision) -> bool {
    let measured = |input: &RiskInput| {
        let found = input.correlation.as_ref();
        found.is_some_and(|found| found.bars as usize >= RETURNS_MIN && !found.constant)
    };
    decision.rule == Rule::Correlation.name() && decision.inputs.iter().any(measured)
}

/// Whether a value at risk denied that was measured.
fn is_at_risk(decision: &RiskDecision) -> bool {
    let measured = |input: &RiskInput| {
        let scenarios = input.scenarios.as_ref();
        scenarios.is_some_and(|scenarios| scenarios.symbol.len() >= RETURNS_MIN)
    };
    decision.rule == Rule::MaxVar.name() && decision.inputs.iter().any(measured)
}
