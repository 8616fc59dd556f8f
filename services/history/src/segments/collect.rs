//! Events of MARKET gathered into columns.
//!
//! The bar of an interval is the last event that states it, whichever source it came from (as in the projection
//! `bars`); a revision replaces the values and leaves the source, and with it the id, as it was.

use std::collections::HashMap;

use contracts::v1::event::Body;
use contracts::v1::{self, Event};
use domain::bar::{Bar, Timeframe};

use super::format::{ActionNote, Batch};
use crate::parts::Parts;

/// In place of a source: a revision.
const REVISION: u32 = u32::MAX;

/// What a segment will hold, while it is being gathered.
#[derive(Default)]
pub(super) struct Collected {
    series: Vec<Gathered>,
    index: HashMap<(String, String), usize>,
    sources: Vec<String>,
    /// Series of the event before.
    last: usize,
    pub(super) rows: usize,
    pub(super) actions: Vec<ActionNote>,
    /// Events whose fields are not as the schema says.
    pub(super) malformed: u64,
}

/// The rows of one symbol and timeframe.
pub(super) struct Gathered {
    symbol: String,
    timeframe: Timeframe,
    name: String,
    parts: Parts,
    /// Index of each row's source.
    from: Vec<u32>,
    ascending: bool,
    /// Series of the event that followed this one's the last time.
    next: usize,
}

impl Gathered {
    pub(super) fn new(symbol: &str, timeframe: Timeframe) -> Self {
        Self {
            symbol: symbol.to_owned(),
            timeframe,
            name: timeframe.name().to_owned(),
            parts: Parts::default(),
            from: Vec::new(),
            ascending: true,
            next: usize::MAX,
        }
    }

    fn push(&mut self, bar: &Bar, from: u32) {
        self.ascending &=
            from != REVISION && self.parts.closes().last().is_none_or(|last| *last < bar.close_ns);
        self.parts.push(bar);
        self.from.push(from);
    }

    /// Adds a batch whose rows ascend.
    pub(super) fn extend(&mut self, columns: [&[i64]; 7], from: u32) {
        let (first, rows) = (columns[1].first(), columns[1].len());
        let follows = self.parts.closes().last().zip(first).is_none_or(|(last, first)| last < first);
        self.ascending &= follows && from != REVISION;
        self.parts.extend(columns);
        self.from.resize(self.from.len() + rows, from);
    }

    /// The rows in the order of their closes, the last statement of each.
    pub(super) fn settle(self) -> (Parts, Vec<u32>) {
        if self.ascending {
            return (self.parts, self.from);
        }
        let mut order: Vec<usize> = (0..self.parts.len()).collect();
        order.sort_by_key(|row| self.parts.closes()[*row]);
        let (mut parts, mut from) = (Parts::default(), Vec::new());
        for row in order {
            let bar = self.parts.row(row);
            let stated_by = self.from[row];
            if parts.closes().last() == Some(&bar.close_ns) {
                let last = parts.len() - 1;
                parts.replace(last, &bar);
                if stated_by != REVISION {
                    from[last] = stated_by;
                }
            } else {
                parts.push(&bar);
                from.push(stated_by);
            }
        }
        (parts, from)
    }
}

/// Sources by number, as [`Gathered`] wants them.
pub(super) fn source_number(sources: &mut Vec<String>, source: Option<&str>) -> u32 {
    let Some(source) = source else { return REVISION };
    let index = sources.iter().position(|known| known == source).unwrap_or_else(|| {
        sources.push(source.to_owned());
        sources.len() - 1
    });
    u32::try_from(index).unwrap_or(REVISION - 1)
}

/// The source of a number.
pub(super) fn source_of(sources: &[String], number: u32) -> Option<&str> {
    (number != REVISION).then(|| sources.get(number as usize).map_or("", String::as_str))
}

impl Collected {
    /// Takes in one event; others than bars, revisions and actions are of no concern.
    pub(super) fn event(&mut self, event: &Event) {
        let event_ns = event.event_time.as_ref().and_then(contracts::from_timestamp);
        let taken = match (&event.body, event_ns) {
            (Some(Body::Bar(bar)), Some(ns)) => self.bar(bar, ns, Some(&event.source)),
            (Some(Body::BarRevision(revision)), Some(ns)) => {
                revision.bar.as_ref().and_then(|bar| self.revision(bar, ns))
            }
            (Some(Body::CorporateAction(action)), Some(ns)) => {
                self.actions.push(ActionNote {
                    symbol: action.symbol.clone(),
                    ex_date: action.ex_date.clone(),
                    kind: action.kind,
                    value_e9: action.value_e9,
                    event_ns: ns,
                    event_id: event.id.clone(),
                });
                Some(())
            }
            (Some(Body::Bar(_) | Body::BarRevision(_) | Body::CorporateAction(_)), None) => None,
            _ => Some(()),
        };
        self.malformed += u64::from(taken.is_none());
    }

    fn bar(&mut self, wire: &v1::Bar, close_ns: i64, source: Option<&str>) -> Option<()> {
        let bar = Bar::from_wire(wire, close_ns)?;
        let from = source_number(&mut self.sources, source);
        let series = self.find(&wire.symbol, &wire.timeframe)?;
        self.series.get_mut(series)?.push(&bar, from);
        self.rows += 1;
        Some(())
    }

    /// A revision may become known long after the close of the bar that it restates.
    fn revision(&mut self, wire: &v1::Bar, event_ns: i64) -> Option<()> {
        let start_ns = contracts::from_timestamp(wire.start.as_ref()?)?;
        let timeframe: Timeframe = wire.timeframe.parse().ok()?;
        let close_ns = event_ns.min(start_ns.saturating_add(timeframe.nanos()));
        self.bar(wire, close_ns, None)
    }

    fn find(&mut self, symbol: &str, timeframe: &str) -> Option<usize> {
        let is = |series: &Gathered| series.symbol == symbol && series.name == timeframe;
        let last = self.last;
        let guess = self.series.get(last).map_or(usize::MAX, |series| series.next);
        for index in [guess, last] {
            if self.series.get(index).is_some_and(is) {
                self.last = index;
                return Some(index);
            }
        }
        let key = (symbol.to_owned(), timeframe.to_owned());
        let index = match self.index.get(&key) {
            Some(index) => *index,
            None => {
                self.series.push(Gathered::new(symbol, timeframe.parse().ok()?));
                self.index.insert(key, self.series.len() - 1);
                self.series.len() - 1
            }
        };
        if let Some(series) = self.series.get_mut(last) {
            series.next = index;
        }
        self.last = index;
        Some(index)
    }

    /// The record batches, by symbol, timeframe and source.
    pub(super) fn batches(&mut self) -> Vec<Batch> {
        let series = std::mem::take(&mut self.series);
        batches(series, &self.sources)
    }
}

/// Splits settled rows by their source.
pub(super) fn batches(mut series: Vec<Gathered>, sources: &[String]) -> Vec<Batch> {
    series.sort_by(|a, b| (&a.symbol, a.timeframe).cmp(&(&b.symbol, b.timeframe)));
    let mut batches = Vec::new();
    for gathered in series {
        let (symbol, timeframe) = (gathered.symbol.clone(), gathered.timeframe);
        let (parts, from) = gathered.settle();
        let mut numbers = from.clone();
        numbers.sort_unstable();
        numbers.dedup();
        let batch = |number: u32, parts| Batch {
            source: source_of(sources, number).map(ToOwned::to_owned),
            symbol: symbol.clone(),
            timeframe,
            parts,
        };
        if let [one] = numbers[..] {
            batches.push(batch(one, parts));
            continue;
        }
        for number in numbers {
            let mut own = Parts::default();
            let rows = from.iter().enumerate().filter(|(_, stated_by)| **stated_by == number);
            rows.for_each(|(row, _)| own.push(&parts.row(row)));
            batches.push(batch(number, own));
        }
    }
    batches
}
