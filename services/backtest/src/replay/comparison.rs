//! A stretch as recorded beside the same stretch run again, event by event.

use std::collections::BTreeMap;

use contracts::chain_key;
use contracts::v1::Event;
use contracts::v1::event::Body;
use domain::book::Book;
use domain::money::Amount;
use serde::Serialize;

use super::difference::{Difference, fields, is_same};

/// How the two sides of a row stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Recorded and derived, and the same.
    Same,
    /// Recorded and derived, and not the same.
    Differs,
    /// Recorded only.
    OnlyRecorded,
    /// Derived only.
    OnlyDerived,
}

impl Outcome {
    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Differs => "differs",
            Self::OnlyRecorded => "only recorded",
            Self::OnlyDerived => "only derived",
        }
    }
}

/// One signal, decision, order event or fill on both sides.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Event time, UTC nanoseconds.
    pub time_ns: i64,
    /// Kind of the event.
    pub kind: String,
    /// Its id.
    pub event_id: String,
    /// As recorded, in words; empty when it is not there.
    pub recorded: String,
    /// As derived, in words; empty when it is not there.
    pub derived: String,
    /// How they stand to each other.
    pub outcome: Outcome,
    /// Fields that differ.
    pub fields: Vec<Difference>,
}

/// An account at the end of a stretch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccountEnd {
    /// Account.
    pub account: String,
    /// Equity of its last mark, as a decimal.
    pub equity: String,
    /// Cash.
    pub cash: String,
    /// Gross realised profit and loss.
    pub realized_pnl: String,
    /// Commissions and fees.
    pub fees: String,
}

/// One side of a comparison, added up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Side {
    /// Signals.
    pub signals: u64,
    /// Orders submitted.
    pub orders: u64,
    /// Fills.
    pub fills: u64,
    /// Denials.
    pub denials: u64,
    /// Accounts at the end.
    pub accounts: Vec<AccountEnd>,
}

impl Side {
    /// Adds up what `events` made of a book.
    #[must_use]
    pub fn of(events: &[Event], end: &Book) -> Self {
        let count = |is: fn(&Body) -> bool| {
            events.iter().filter(|event| event.body.as_ref().is_some_and(is)).count() as u64
        };
        let accounts = end.accounts().map(|row| AccountEnd {
            account: row.account.clone(),
            equity: row.mark.as_ref().map_or(Amount::ZERO, |mark| mark.equity).to_string(),
            cash: row.cash.to_string(),
            realized_pnl: row.realized_pnl.to_string(),
            fees: row.fees.to_string(),
        });
        Self {
            signals: count(|body| matches!(body, Body::Signal(_))),
            orders: count(|body| matches!(body, Body::OrderSubmitted(_))),
            fills: count(|body| matches!(body, Body::Fill(_))),
            denials: count(|body| {
                matches!(body, Body::RiskDecision(decision)
                    if decision.verdict() == contracts::v1::Verdict::Denied)
            }),
            accounts: accounts.collect(),
        }
    }
}

/// The signals, decisions, order events and fills of both sides, in the order of the chain hash: by instant, stage,
/// strategy and symbol.
#[must_use]
pub fn compare(recorded: &[Event], derived: &[Event]) -> Vec<Row> {
    let mut sides: BTreeMap<_, (Option<&Event>, Option<&Event>)> = BTreeMap::new();
    // The place of one event may differ on the two sides; the id is what they share.
    let mut places = BTreeMap::new();
    for event in recorded.iter().chain(derived) {
        if let Some(key) = chain_key(event) {
            places.entry(event.id.as_str()).or_insert(key);
        }
    }
    for event in recorded {
        if let Some(key) = places.get(event.id.as_str()) {
            sides.entry(key).or_default().0 = Some(event);
        }
    }
    for event in derived {
        if let Some(key) = places.get(event.id.as_str()) {
            sides.entry(key).or_default().1 = Some(event);
        }
    }
    sides
        .into_iter()
        .filter_map(|(key, (recorded, derived))| row(key.instant_ns, recorded, derived))
        .collect()
}

fn row(time_ns: i64, recorded: Option<&Event>, derived: Option<&Event>) -> Option<Row> {
    let either = recorded.or(derived)?;
    let text =
        |event: Option<&Event>| event.map(|event| projections::describe(event).text).unwrap_or_default();
    let (outcome, fields) = match (recorded, derived) {
        (Some(recorded), Some(derived)) if is_same(recorded, derived) => (Outcome::Same, Vec::new()),
        (Some(recorded), Some(derived)) => (Outcome::Differs, fields(recorded, derived)),
        (Some(_), None) => (Outcome::OnlyRecorded, Vec::new()),
        _ => (Outcome::OnlyDerived, Vec::new()),
    };
    Some(Row {
        time_ns,
        kind: projections::describe(either).kind.to_owned(),
        event_id: either.id.clone(),
        recorded: text(recorded),
        derived: text(derived),
        outcome,
        fields,
    })
}
