//! The events of the dense loop, for the hash alone.
//!
//! While the loop walks, what happened is noted as numbers. When enough has gathered, the ids of all of it are made
//! side by side ([`crate::ids`]), then the events are encoded in chain order, one behind the other, and
//! hashed in one piece. No decision needs an id before, but for orders of one instant in one symbol, which trade in
//! the order of theirs.
//!
//! Without `CHAIN` nothing is noted.

use std::sync::Arc;

use contracts::v1::{Intent, Side};
use contracts::{ChainStream, ShortEventId, ShortOrderId};
use domain::matching::kernel::Filled;
use domain::money::Quantity;
use domain::risk::kernel::{Deny, LegInput, Sized};
use smallvec::SmallVec;

use super::encode::{About, Backwards, Pieces};
use super::names::{Forms, Ids, Made};
use super::{Stop, require};

/// Decisions after which what has gathered is hashed.
const GATHER: usize = 512;

/// A signal and what became of it.
#[derive(Debug)]
pub(super) struct Decided {
    pub host: usize,
    pub symbol: usize,
    pub series: usize,
    /// Place among the wishes that its bar made the strategy have.
    pub place: u32,
    pub ns: i64,
    /// Time of the price that was looked at.
    pub price_ns: i64,
    pub wish: Wished,
    pub input: LegInput,
    pub answer: Result<Sized, Deny>,
}

/// What counts of a wish for a market order of the day.
#[derive(Debug)]
pub(super) struct Wished {
    pub intent: Intent,
    pub weight_e9: i64,
    pub quantity: Option<Quantity>,
    pub indicators: SmallVec<[(&'static str, f64); 4]>,
    pub reason: Arc<str>,
}

/// Which order, by what is known of its ids.
#[derive(Clone, Copy, Debug)]
pub(super) enum Named {
    /// That of a decision which is noted: its place.
    Noted(usize),
    /// Place among the known.
    Known(usize),
}

#[derive(Debug)]
pub(super) struct Filling {
    pub order: Named,
    pub host: usize,
    pub symbol: usize,
    pub side: Side,
    pub filled: Filled,
    pub left: i64,
    pub ns: i64,
}

#[derive(Debug)]
pub(super) struct Expiring {
    pub order: Named,
    pub reason: &'static str,
    pub ns: i64,
}

/// Ends of an instant's part of each list.
#[derive(Clone, Copy, Debug, Default)]
struct Ends {
    fillings: usize,
    decided: usize,
    expirings: usize,
}

#[derive(Debug, Default)]
pub(super) struct Chain<const CHAIN: bool> {
    stream: ChainStream,
    forms: Forms,
    pieces: Pieces,
    fillings: Vec<Filling>,
    decided: Vec<Decided>,
    expirings: Vec<Expiring>,
    instants: Vec<Ends>,
    known: Vec<Ids>,
    made: Made,
    bytes: Backwards,
    last_ns: i64,
}

impl<const CHAIN: bool> Chain<CHAIN> {
    pub fn new(forms: Forms, pieces: Pieces) -> Self {
        Self { forms, pieces, ..Self::default() }
    }

    /// Notes a decision and answers its place.
    pub fn decided(&mut self, decided: Decided) -> usize {
        self.decided.push(decided);
        self.decided.len() - 1
    }

    /// How an order is referred to whose ids are `ids`, where they were made, else that of the decision at `place`.
    pub fn order(&mut self, ids: Option<&Ids>, place: usize) -> Named {
        let Some(ids) = ids else { return Named::Noted(place) };
        self.known.push(*ids);
        Named::Known(self.known.len() - 1)
    }

    pub fn filled(&mut self, filling: Filling) {
        self.fillings.push(filling);
    }

    pub fn expired(&mut self, expiring: Expiring) {
        self.expirings.push(expiring);
    }

    /// The instant is over; answers whether enough has gathered.
    pub fn end_instant(&mut self, ns: i64) -> bool {
        let ends = Ends {
            fillings: self.fillings.len(),
            decided: self.decided.len(),
            expirings: self.expirings.len(),
        };
        let before = self.instants.last().copied().unwrap_or_default();
        if (ends.fillings, ends.decided, ends.expirings)
            != (before.fillings, before.decided, before.expirings)
        {
            self.instants.push(ends);
            self.last_ns = ns;
        }
        self.decided.len() >= GATHER || self.fillings.len() >= 2 * GATHER
    }

    /// Ids of the order of the decision at `place`, once they were made.
    pub fn ids_of(&self, place: usize) -> Ids {
        self.made.ids_of(place)
    }

    /// Makes the ids of what was noted, encodes and hashes it. What was noted stays until [`Chain::forget`].
    pub fn hash(&mut self, names: &[Arc<str>]) -> Result<(), Stop> {
        self.made.make(&self.forms, &self.decided, &self.known, &self.fillings, &self.expirings)?;
        self.bytes.clear();
        let mut events = 0;
        let mut order = Vec::new();
        for index in (0..self.instants.len()).rev() {
            let begin = index.checked_sub(1).map(|before| self.instants[before]).unwrap_or_default();
            events += self.write(begin, self.instants[index], &mut order, names)?;
        }
        self.stream.add_framed(self.last_ns, events, self.bytes.written());
        Ok(())
    }

    /// Lets go of what was hashed.
    pub fn forget(&mut self) {
        self.fillings.clear();
        self.decided.clear();
        self.expirings.clear();
        self.instants.clear();
        self.known.clear();
    }

    pub fn finish(&mut self) -> ChainStream {
        std::mem::take(&mut self.stream)
    }

    /// Writes an instant's events, from the last to the first; the order is that of `contracts::ChainKey`, names
    /// being numbers in the order of the names. Answers how many there are.
    fn write(
        &mut self,
        begin: Ends,
        end: Ends,
        order: &mut Vec<usize>,
        names: &[Arc<str>],
    ) -> Result<u64, Stop> {
        let mut events = 0;
        let decided = begin.decided..end.decided;
        let place = |one: &Decided| (one.host, one.symbol);
        self.sort(decided.clone(), order, |chain, at| (place(&chain.decided[at]), chain.made.submitted[at]));
        for &at in order.iter().rev() {
            let one = &self.decided[at];
            let Ok(sized) = &one.answer else { continue };
            let about = about(&self.pieces, one, &self.made.submitted[at]);
            self.bytes.submitted(about, &self.made.orders[at], sized);
            events += 1;
        }
        events += self.write_answers(begin, end, order);
        self.sort(decided.clone(), order, |chain, at| (place(&chain.decided[at]), chain.made.decisions[at]));
        for &at in order.iter().rev() {
            let one = &self.decided[at];
            let about = about(&self.pieces, one, &self.made.decisions[at]);
            let (signal, known) = (&self.made.signals[at], &self.made.orders[at]);
            let looked = (&one.input, one.price_ns);
            self.bytes.decision(about, signal, known, looked, &one.answer, &names[one.symbol]);
        }
        self.sort(decided, order, |chain, at| (place(&chain.decided[at]), chain.made.signals[at]));
        // All other ids follow from those of the signals.
        let signals = &self.made.signals;
        require(order.windows(2).all(|pair| signals[pair[0]] != signals[pair[1]]))?;
        for &at in order.iter().rev() {
            let one = &self.decided[at];
            let about = about(&self.pieces, one, &self.made.signals[at]);
            self.bytes.signal(about, &one.wish);
        }
        events += 2 * order.len() as u64;
        self.sort(begin.fillings..end.fillings, order, |chain, at| {
            let one = &chain.fillings[at];
            ((one.host, one.symbol), one.filled.number, chain.made.fills[at])
        });
        for &at in order.iter().rev() {
            let one = &self.fillings[at];
            let id = &self.made.fills[at];
            let about = About { pieces: &self.pieces, host: one.host, symbol: one.symbol, ns: one.ns, id };
            let known = self.made.order_of(one.order, &self.known);
            self.bytes.fill(about, &known, one.side, &one.filled, one.left);
        }
        Ok(events + order.len() as u64)
    }

    /// What the broker answered or said: acceptances and ends, by the order's id.
    fn write_answers(&mut self, begin: Ends, end: Ends, order: &mut Vec<usize>) -> u64 {
        let expirings = begin.expirings..end.expirings;
        let first = self.decided.len();
        order.clear();
        let approved = (begin.decided..end.decided).filter(|at| self.decided[*at].answer.is_ok());
        order.extend(approved.chain(expirings.map(|at| first + at)));
        let key = |at: usize| match at.checked_sub(first) {
            None => (self.made.orders[at], 0),
            Some(at) => (self.made.order_of(self.expirings[at].order, &self.known), 1),
        };
        if order.len() > 1 {
            order.sort_unstable_by_key(|at| key(*at));
        }
        for &at in order.iter().rev() {
            match at.checked_sub(first) {
                None => {
                    let (id, ns) = (&self.made.accepted[at], self.decided[at].ns);
                    self.bytes.accepted(id, ns, &self.made.orders[at]);
                }
                Some(at) => {
                    let one = &self.expirings[at];
                    let known = self.made.order_of(one.order, &self.known);
                    self.bytes.expired(&self.made.expired[at], one.ns, &known, one.reason);
                }
            }
        }
        order.len() as u64
    }

    /// Puts the places of `range` into the order of their keys.
    fn sort<Key: Ord>(
        &self,
        range: std::ops::Range<usize>,
        order: &mut Vec<usize>,
        key: impl Fn(&Self, usize) -> Key,
    ) {
        order.clear();
        order.extend(range);
        if order.len() > 1 {
            order.sort_unstable_by_key(|at| key(self, *at));
        }
    }
}

fn about<'chain>(pieces: &'chain Pieces, one: &Decided, id: &'chain ShortEventId) -> About<'chain> {
    About { pieces, host: one.host, symbol: one.symbol, ns: one.ns, id }
}

impl Made {
    /// Id of an order.
    pub fn order_of(&self, order: Named, known: &[Ids]) -> ShortOrderId {
        match order {
            Named::Noted(at) => self.orders[at],
            Named::Known(at) => known[at].order,
        }
    }
}
