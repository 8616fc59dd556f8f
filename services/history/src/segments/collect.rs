//! Events of MARKET gathered into columns.
//!
//! The bar of an interval is the last event that states it, whichever source it came from (as in the projection
//! `bars`); a revision replaces the values and leaves the source, and with it the id, as it was. The statements before
//! the last are kept apart, each with the instant from which it was known: that of the newest bar of its series before
//! it on the tape, because who decided on that bar had read no further. The recorded time is the writer's clock and
//! says nothing of that.

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
    newest: Newest,
    sources: Vec<String>,
    /// Series of the event before.
    last: usize,
    pub(super) rows: usize,
    pub(super) actions: Vec<ActionNote>,
    /// Events whose fields are not as the schema says.
    pub(super) malformed: u64,
}

/// Close of the newest bar by symbol and timeframe, UTC nanoseconds.
pub(super) type Newest = HashMap<(String, String), i64>;

/// Rows with what their columns do not say.
#[derive(Default)]
pub(super) struct Rows {
    pub(super) parts: Parts,
    /// Index of each row's source.
    pub(super) from: Vec<u32>,
    /// Instant behind which each row was known, UTC nanoseconds; its close where it came in its turn.
    pub(super) known: Vec<i64>,
}

impl Rows {
    fn push(&mut self, bar: &Bar, from: u32, known_ns: i64) {
        self.parts.push(bar);
        self.from.push(from);
        self.known.push(known_ns);
    }

    /// The rows that are wanted.
    fn chosen(&self, wanted: impl Fn(u32) -> bool) -> Self {
        let mut own = Self::default();
        for (row, (from, known_ns)) in self.from.iter().zip(&self.known).enumerate() {
            if wanted(*from) {
                own.push(&self.parts.row(row), *from, *known_ns);
            }
        }
        own
    }
}

/// The rows of one symbol and timeframe.
pub(super) struct Gathered {
    symbol: String,
    timeframe: Timeframe,
    name: String,
    rows: Rows,
    /// Close of the newest bar so far.
    newest: i64,
    ascending: bool,
    /// Series of the event that followed this one's the last time.
    next: usize,
}

impl Gathered {
    /// `newest` is the close of the newest bar of the series that the tape holds before these, if it holds any.
    pub(super) fn new(symbol: &str, timeframe: Timeframe, newest: Option<i64>) -> Self {
        Self {
            symbol: symbol.to_owned(),
            timeframe,
            name: timeframe.name().to_owned(),
            rows: Rows::default(),
            newest: newest.unwrap_or(i64::MIN),
            ascending: true,
            next: usize::MAX,
        }
    }

    /// Adds what the next event states; `event_ns` is its time.
    fn push(&mut self, bar: &Bar, from: u32, event_ns: i64) {
        let last = self.rows.parts.closes().last();
        self.ascending &= from != REVISION && last.is_none_or(|last| *last < bar.close_ns);
        self.rows.push(bar, from, event_ns.max(self.newest));
        self.newest = self.newest.max(bar.close_ns);
    }

    /// Adds a batch, whose rows ascend unless it is one of replaced statements.
    pub(super) fn extend(&mut self, columns: [&[i64]; 7], from: u32, known: &[i64]) {
        let (first, rows) = (columns[1].first(), columns[1].len());
        let last = self.rows.parts.closes().last();
        let follows = last.zip(first).is_none_or(|(last, first)| last < first);
        self.ascending &= follows && from != REVISION;
        self.rows.parts.extend(columns);
        self.rows.from.resize(self.rows.from.len() + rows, from);
        self.rows.known.extend_from_slice(known);
    }

    /// The rows in the order of their closes, of one interval in the order in which the tape states it.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.rows.parts.len()).collect();
        order.sort_by_key(|row| self.rows.parts.closes()[*row]);
        order
    }

    /// The rows in the order of their closes, the last statement of each; and the statements that those replaced,
    /// without their sources.
    pub(super) fn settle(self) -> (Rows, Rows) {
        let (mut settled, mut replaced) = (Rows::default(), Rows::default());
        if self.ascending {
            return (self.rows, replaced);
        }
        for row in self.order() {
            let (bar, from) = (self.rows.parts.row(row), self.rows.from[row]);
            let known_ns = self.rows.known[row];
            if settled.parts.closes().last() == Some(&bar.close_ns) {
                let last = settled.parts.len() - 1;
                replaced.push(&settled.parts.row(last), REVISION, settled.known[last]);
                settled.parts.replace(last, &bar);
                settled.known[last] = known_ns;
                if from != REVISION {
                    settled.from[last] = from;
                }
            } else {
                settled.push(&bar, from, known_ns);
            }
        }
        (settled, replaced)
    }

    /// The rows in the order of their closes, each as a run that begins at `from_ns` knew it: the first statement of
    /// what closes at or after that, the newest one known before it of what closed earlier. Sources are those of
    /// [`Gathered::settle`], so that ids do not depend on when a bar was revised.
    pub(super) fn known_by(self, from_ns: i64) -> Rows {
        if self.ascending {
            return self.rows;
        }
        let mut chosen = Rows::default();
        for row in self.order() {
            let (bar, from) = (self.rows.parts.row(row), self.rows.from[row]);
            let known_ns = self.rows.known[row];
            if chosen.parts.closes().last() == Some(&bar.close_ns) {
                let last = chosen.parts.len() - 1;
                if bar.close_ns < from_ns && known_ns < from_ns {
                    chosen.parts.replace(last, &bar);
                    chosen.known[last] = known_ns;
                }
                if from != REVISION {
                    chosen.from[last] = from;
                }
            } else {
                chosen.push(&bar, from, known_ns);
            }
        }
        chosen
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
    /// Begins behind what the tape holds before, whose newest bars are `newest`.
    pub(super) fn after(newest: Newest) -> Self {
        Self { newest, ..Self::default() }
    }

    /// Takes in one event; others than bars, revisions and actions are of no concern.
    pub(super) fn event(&mut self, event: &Event) {
        let event_ns = event.event_time.as_ref().and_then(contracts::from_timestamp);
        let taken = match (&event.body, event_ns) {
            (Some(Body::Bar(bar)), Some(ns)) => self.bar(bar, ns, Some(&event.source), ns),
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

    fn bar(&mut self, wire: &v1::Bar, close_ns: i64, source: Option<&str>, event_ns: i64) -> Option<()> {
        let bar = Bar::from_wire(wire, close_ns)?;
        let from = source_number(&mut self.sources, source);
        let series = self.find(&wire.symbol, &wire.timeframe)?;
        self.series.get_mut(series)?.push(&bar, from, event_ns);
        self.rows += 1;
        Some(())
    }

    /// A revision may become known long after the close of the bar that it restates.
    fn revision(&mut self, wire: &v1::Bar, event_ns: i64) -> Option<()> {
        let start_ns = contracts::from_timestamp(wire.start.as_ref()?)?;
        let timeframe: Timeframe = wire.timeframe.parse().ok()?;
        let close_ns = event_ns.min(start_ns.saturating_add(timeframe.nanos()));
        self.bar(wire, close_ns, None, event_ns)
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
                let newest = self.newest.get(&key).copied();
                self.series.push(Gathered::new(symbol, timeframe.parse().ok()?, newest));
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

/// Splits settled rows by their source; the statements that they replaced go before them.
pub(super) fn batches(mut series: Vec<Gathered>, sources: &[String]) -> Vec<Batch> {
    series.sort_by(|a, b| (&a.symbol, a.timeframe).cmp(&(&b.symbol, b.timeframe)));
    let mut batches = Vec::new();
    for gathered in series {
        let (symbol, timeframe) = (gathered.symbol.clone(), gathered.timeframe);
        let (settled, replaced) = gathered.settle();
        let mut numbers = settled.from.clone();
        numbers.sort_unstable();
        numbers.dedup();
        let batch = |source: Option<&str>, replaced: bool, rows: Rows| Batch {
            source: source.map(ToOwned::to_owned),
            replaced,
            symbol: symbol.clone(),
            timeframe,
            parts: rows.parts,
            known: rows.known,
        };
        if replaced.parts.len() > 0 {
            batches.push(batch(None, true, replaced));
        }
        if let [one] = numbers[..] {
            batches.push(batch(source_of(sources, one), false, settled));
            continue;
        }
        for number in numbers {
            batches.push(batch(source_of(sources, number), false, settled.chosen(|from| from == number)));
        }
    }
    batches
}
