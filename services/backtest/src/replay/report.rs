//! What a replay proved, in numbers, and the comparison of a read model with the fold.

use analytics::comparison::Difference;
use contracts::v1::Event;
use contracts::v1::event::Body;
use domain::book::{Book, Parts};
use serde::Serialize;
use serde_json::json;

use super::difference::{Divergence, Problem};

/// Events by what was done with them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Signals of built-in strategies that follow from bars, fills and registrations.
    pub signals: u64,
    /// Warm-ups that follow from MARKET as far as it was read.
    pub warm_ups: u64,
    /// Risk decisions that follow from their signal, the book and the prices.
    pub decisions: u64,
    /// Order events that follow from a decision, a bar, an action or a request.
    pub order_events: u64,
    /// Fills that follow from the bars.
    pub fills: u64,
    /// Splits, dividends and cash in lieu that follow from corporate actions and bars.
    pub entries: u64,
    /// Marks that equal the value of the book.
    pub marks: u64,
    /// Signals of external strategies, taken as they are.
    pub external_signals: u64,
    /// Registrations, limits, deposits, halts and requests of people, taken as they are.
    pub controls: u64,
    /// Answers of brokers outside, taken as they are.
    pub broker_answers: u64,
    /// Messages that no service could handle.
    pub parked: u64,
}

impl Counts {
    pub(super) fn proved(&mut self, event: &Event) {
        let count = match &event.body {
            Some(Body::Signal(_)) => &mut self.signals,
            Some(Body::StrategyWarmed(_)) => &mut self.warm_ups,
            Some(Body::RiskDecision(_)) => &mut self.decisions,
            Some(Body::Fill(_)) => &mut self.fills,
            Some(Body::AccountEntry(_)) => &mut self.entries,
            Some(Body::AccountMarked(_)) => &mut self.marks,
            _ => &mut self.order_events,
        };
        *count += 1;
    }

    pub(super) fn input(&mut self, event: &Event) {
        let count = match &event.body {
            Some(Body::Signal(_)) => &mut self.external_signals,
            Some(Body::Fill(_) | Body::OrderAccepted(_) | Body::OrderRejected(_)) => &mut self.broker_answers,
            Some(Body::OrderCancelled(_) | Body::OrderCancelRejected(_)) => &mut self.broker_answers,
            _ => &mut self.controls,
        };
        *count += 1;
    }

    /// Events that were proved.
    #[must_use]
    pub fn all_proved(&self) -> u64 {
        self.signals
            + self.warm_ups
            + self.decisions
            + self.order_events
            + self.fills
            + self.entries
            + self.marks
    }

    /// Events that were taken as they are.
    #[must_use]
    pub fn all_inputs(&self) -> u64 {
        self.external_signals + self.controls + self.broker_answers
    }
}

/// What a replay comes to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// First sequence of TRADING that was proved.
    pub from: u64,
    /// Last one.
    pub to: u64,
    /// Last sequence of MARKET that was read.
    pub market_to: u64,
    /// What was proved and what was taken as it is.
    pub counts: Counts,
    /// What follows from the end of the range and is not on it yet.
    pub open: usize,
    /// Sequence at which the read model was compared, where that was asked for.
    pub read_model_at: Option<u64>,
    /// Orders submitted within the range.
    pub orders: u64,
    /// Fills within the range.
    pub fills: u64,
    /// Events that the hash counts.
    pub chain_events: u64,
    /// Hash of the range's signals, decisions, orders and fills; empty after a divergence.
    pub chain_hash: String,
    /// Where replay and tape went apart first.
    pub divergence: Option<Divergence>,
}

/// The first row in which a read model differs from the fold of the tape at the same sequence.
pub(super) fn read_model_differs(model: &Book, fold: &Book) -> Option<Divergence> {
    let (left, right) = (rows(model), rows(fold));
    let differing = left.iter().chain(&right).find(|(key, row)| {
        let of = |rows: &[(String, String)]| {
            rows.iter().find(|(known, _)| known == key).map(|(_, row)| row.clone())
        };
        of(&left).as_ref() != Some(row) || of(&right).as_ref() != Some(row)
    });
    let (key, _) = differing?;
    let of = |rows: &[(String, String)]| {
        rows.iter().find(|(known, _)| known == key).map_or(json!(null), |(_, row)| json!(row))
    };
    Some(Divergence {
        kind: "read_model".to_owned(),
        problem: Problem::ReadModel,
        sequence: fold.sequence(),
        event_id: String::new(),
        chain_of: String::new(),
        detail: key.clone(),
        fields: vec![Difference { field: key.clone(), recorded: of(&left), derived: of(&right) }],
    })
}

/// Every row of a book under its key, ended orders left out: how many of them stay is no part of the state.
fn rows(book: &Book) -> Vec<(String, String)> {
    let Parts { accounts, positions, orders, strategies, pending, halt, .. } = book.to_parts();
    let mut rows: Vec<(String, String)> = Vec::new();
    rows.extend(accounts.iter().map(|row| (format!("account {}", row.account), format!("{row:?}"))));
    rows.extend(positions.iter().map(|row| (format!("position {}", row.key), format!("{row:?}"))));
    let open = orders.iter().filter(|row| !row.status.is_ended());
    rows.extend(open.map(|row| (format!("order {}", row.id()), format!("{row:?}"))));
    rows.extend(strategies.iter().map(|row| (format!("strategy {}", row.strategy), format!("{row:?}"))));
    rows.extend(pending.iter().map(|row| (format!("signal {}", row.event.id), row.sequence.to_string())));
    rows.extend(halt.iter().map(|row| ("halt".to_owned(), format!("{row:?}"))));
    rows
}
