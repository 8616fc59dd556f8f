//! A stretch as recorded beside the same stretch run again, event by event.

use std::collections::BTreeMap;

use analytics::comparison::{AccountEnd, Outcome, Row, Side};
use contracts::chain_key;
use contracts::v1::Event;
use contracts::v1::event::Body;
use domain::book::Book;
use domain::money::Amount;

use super::difference::{fields, is_same};

/// Causes that are followed before a chain counts as endless.
const CAUSES_MAX: usize = 64;

/// Adds up what `events` made of a book.
#[must_use]
pub fn side(events: &[Event], end: &Book) -> Side {
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
    Side {
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

/// Events of both sides by id.
pub(super) struct Pairs<'events> {
    events: BTreeMap<&'events str, (Option<&'events Event>, Option<&'events Event>)>,
}

impl<'events> Pairs<'events> {
    pub(super) fn of(recorded: &'events [Event], derived: &'events [Event]) -> Self {
        let mut events: BTreeMap<&str, (Option<&Event>, Option<&Event>)> = BTreeMap::new();
        for event in recorded {
            events.entry(event.id.as_str()).or_default().0 = Some(event);
        }
        for event in derived {
            events.entry(event.id.as_str()).or_default().1 = Some(event);
        }
        Self { events }
    }

    /// The event on the tape whose chain leads to `id`: itself where it is recorded, else its nearest cause that
    /// this stretch did not make.
    pub(super) fn chain_of(&self, id: &str) -> String {
        let mut at = id;
        for _ in 0..CAUSES_MAX {
            match self.events.get(at) {
                Some((None, Some(derived))) if !derived.causation_id.is_empty() => at = &derived.causation_id,
                Some((None, _)) => return String::new(),
                _ => break,
            }
        }
        at.to_owned()
    }

    pub(super) fn outcome(&self, id: &str) -> Outcome {
        match self.events.get(id) {
            Some((Some(recorded), Some(derived))) if is_same(recorded, derived) => Outcome::Same,
            Some((Some(_), None)) => Outcome::OnlyRecorded,
            Some((None, Some(_))) => Outcome::OnlyDerived,
            _ => Outcome::Differs,
        }
    }
}

/// The signals, decisions, order events and fills of both sides, in the order of the chain hash: by instant, stage,
/// strategy and symbol.
#[must_use]
pub fn compare(recorded: &[Event], derived: &[Event]) -> Vec<Row> {
    let pairs = Pairs::of(recorded, derived);
    // The place of one event may differ on the two sides; the id is what they share.
    let mut places = BTreeMap::new();
    for event in recorded.iter().chain(derived) {
        if let Some(key) = chain_key(event) {
            places.entry(event.id.as_str()).or_insert(key);
        }
    }
    let mut ids: Vec<_> = places.into_iter().collect();
    ids.sort_by(|(_, left), (_, right)| left.cmp(right));
    ids.into_iter().filter_map(|(id, key)| row(&pairs, id, key.instant_ns)).collect()
}

fn row(pairs: &Pairs<'_>, id: &str, time_ns: i64) -> Option<Row> {
    let (recorded, derived) = *pairs.events.get(id)?;
    let either = recorded.or(derived)?;
    let text =
        |event: Option<&Event>| event.map(|event| projections::describe(event).text).unwrap_or_default();
    let outcome = pairs.outcome(id);
    let differing = recorded.zip(derived).filter(|_| outcome == Outcome::Differs);
    Some(Row {
        time_ns,
        kind: projections::describe(either).kind.to_owned(),
        event_id: either.id.clone(),
        chain_of: pairs.chain_of(id),
        recorded: text(recorded),
        derived: text(derived),
        outcome,
        fields: differing.map(|(recorded, derived)| fields(recorded, derived)).unwrap_or_default(),
    })
}
