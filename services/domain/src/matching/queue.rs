//! The orders of one symbol against its bars: who goes first, and what one order of a group does to others.
//!
//! Orders trade by their place in the queue and share what the bar offers of its volume. Of a group, the
//! exits come to life with the entry's fills, in the bar of the entry already; of two exits that one bar
//! could both reach the stop is taken, and the bar is counted.
//!
//! `Key` names an order, a number where it has to be fast; a bar for a symbol without orders costs one look at an empty list.
//!
//! Deliberately absent: text, ids, accounts (their costs are an argument).

use contracts::v1::{Costs, TimeInForce};

use super::costs::volume_most;
use super::kernel::{Bounds, End, First, Outcome, Resting, Seen, first_of};
use crate::bar::Bar;
use crate::money::Quantity;

/// An order's part in its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Opens the position.
    Entry,
    /// Takes the profit.
    Target,
    /// Stops the loss.
    Stop,
}

/// An order's group: the key of its first order, and its part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link<Key> {
    /// Key of the entry, or of the target where there is no entry.
    pub group: Key,
    /// Part.
    pub role: Role,
}

/// An order in the queue.
#[derive(Clone, Debug)]
pub struct Queued<Key> {
    /// Name.
    pub key: Key,
    /// The order.
    pub order: Resting,
    /// Its group.
    pub link: Option<Link<Key>>,
    done: bool,
    /// Round in which it was handled last.
    round: u32,
}

/// The orders of one symbol, in the order in which they trade.
#[derive(Clone, Debug)]
pub struct Queue<Key> {
    orders: Vec<Queued<Key>>,
    round: u32,
    ambiguous: u64,
}

impl<Key> Default for Queue<Key> {
    fn default() -> Self {
        Self { orders: Vec::new(), round: 0, ambiguous: 0 }
    }
}

impl<Key: Clone + Eq> Queue<Key> {
    /// Adds an order before the first one that `comes_after` it.
    pub fn insert(
        &mut self,
        key: Key,
        order: Resting,
        link: Option<Link<Key>>,
        comes_after: impl Fn(&Queued<Key>) -> bool,
    ) {
        let place = self.orders.partition_point(|known| !comes_after(known));
        self.orders.insert(place, Queued { key, order, link, done: false, round: self.round });
    }

    /// Adds an order behind all others.
    pub fn push(&mut self, key: Key, order: Resting, link: Option<Link<Key>>) {
        self.orders.push(Queued { key, order, link, done: false, round: self.round });
    }

    /// The orders, in the order in which they trade.
    pub fn iter(&self) -> impl Iterator<Item = &Queued<Key>> {
        self.orders.iter()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.orders.is_empty()
    }

    /// An order.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Queued<Key>> {
        self.orders.iter().find(|known| known.key == *key)
    }

    /// An order, to be restated.
    pub fn get_mut(&mut self, key: &Key) -> Option<&mut Queued<Key>> {
        self.orders.iter_mut().find(|known| known.key == *key)
    }

    /// Bars whose outcome for a group was not certain, so that the worse was taken.
    #[must_use]
    pub fn ambiguous_bars(&self) -> u64 {
        self.ambiguous
    }

    /// Takes an order out. Exits that waited for it and have nothing to close end with it, through `out`.
    pub fn remove(&mut self, key: &Key, out: &mut impl FnMut(Key, Outcome)) -> Option<Queued<Key>> {
        let place = self.orders.iter().position(|known| known.key == *key)?;
        let removed = self.orders.remove(place);
        if removed.link.as_ref().is_some_and(|link| link.role == Role::Entry) {
            self.entry_over(key, out);
            self.orders.retain(|known| !known.done);
        }
        Some(removed)
    }

    /// Puts new terms in the place of an order's, behind the orders that `comes_after` does not say come after it.
    pub fn replace(&mut self, key: &Key, order: Resting, comes_after: impl Fn(&Queued<Key>) -> bool) {
        let Some(place) = self.orders.iter().position(|known| known.key == *key) else { return };
        let mut queued = self.orders.remove(place);
        queued.order = order;
        let place = self.orders.partition_point(|known| !comes_after(known));
        self.orders.insert(place, queued);
    }

    /// Trades those orders that also trade outside of the regular session against a bar of such hours.
    pub fn on_extended_bar<'costs>(
        &mut self,
        bar: &Bar,
        costs_of: impl Fn(&Key) -> &'costs Costs,
        mut out: impl FnMut(Key, Outcome),
    ) {
        let session = Bounds { open_ns: bar.start_ns, close_ns: bar.close_ns };
        let mut taken = Quantity::ZERO;
        for queued in &mut self.orders {
            if queued.done || !queued.order.extended || queued.link.is_some() {
                continue;
            }
            let costs = costs_of(&queued.key);
            let offered = Quantity(volume_most(costs, bar.volume).0.saturating_sub(taken.0).max(0));
            let mut left = offered;
            let outcome = queued.order.step(bar, session, Seen::Whole, costs, &mut left);
            queued.done = outcome.ended.is_some();
            taken.0 = taken.0.saturating_add(offered.0 - left.0);
            if outcome != Outcome::default() {
                out(queued.key.clone(), outcome);
            }
        }
        self.orders.retain(|known| !known.done);
    }

    /// Trades the orders against a bar that overlaps `session`; `out` hears of each order in its turn.
    /// `costs_of` answers the costs of an order's account, which say what share of the volume it may take;
    /// what the orders before it took, of whatever account, counts against that share.
    pub fn on_bar<'costs>(
        &mut self,
        bar: &Bar,
        session: Bounds,
        costs_of: impl Fn(&Key) -> &'costs Costs,
        mut out: impl FnMut(Key, Outcome),
    ) {
        let mut taken = Quantity::ZERO;
        self.round = self.round.wrapping_add(1);
        let mut ended = false;
        for place in 0..self.orders.len() {
            let queued = &mut self.orders[place];
            if queued.done || queued.round == self.round {
                continue;
            }
            queued.round = self.round;
            let costs = costs_of(&queued.key);
            // All orders of a group have one account.
            let offered = Quantity(volume_most(costs, bar.volume).0.saturating_sub(taken.0).max(0));
            let mut left = offered;
            match &queued.link {
                None => {
                    let outcome = queued.order.step(bar, session, Seen::Whole, costs, &mut left);
                    ended |= outcome.ended.is_some();
                    queued.done = outcome.ended.is_some();
                    if outcome != Outcome::default() {
                        out(queued.key.clone(), outcome);
                    }
                }
                Some(Link { group, .. }) => {
                    let (seen, fresh) = (Seen::Whole, Quantity::ZERO);
                    let turn = Turn { bar, session, seen, doubt: false, fresh, follows: false, costs };
                    let group = group.clone();
                    self.group(&group, turn, &mut left, &mut out);
                    ended = true;
                }
            }
            taken.0 = taken.0.saturating_add(offered.0 - left.0);
        }
        if ended {
            self.orders.retain(|known| !known.done);
        }
    }

    /// Ends what the session's close ends, through `out`.
    pub fn on_session_closed(&mut self, session: Bounds, mut out: impl FnMut(Key, Outcome)) {
        for place in 0..self.orders.len() {
            let queued = &mut self.orders[place];
            let end = match queued.order.time_in_force {
                _ if queued.done || queued.order.accepted_ns >= session.close_ns => None,
                TimeInForce::Day | TimeInForce::Unspecified | TimeInForce::Cls
                    if queued.order.accepted_ns >= session.day_ends_ns() =>
                {
                    None
                }
                TimeInForce::Day | TimeInForce::Unspecified => Some(End::SessionOver),
                TimeInForce::Opg if queued.order.accepted_ns > session.open_ns => None,
                TimeInForce::Opg => Some(End::OpeningOver),
                TimeInForce::Cls => Some(End::ClosingOver),
                TimeInForce::Ioc => Some(End::NotImmediate),
                TimeInForce::Fok => Some(End::NotWhole),
                TimeInForce::Gtc => None,
            };
            let Some(end) = end else { continue };
            queued.done = true;
            let key = queued.key.clone();
            let entry = queued.link.as_ref().is_some_and(|link| link.role == Role::Entry);
            out(key.clone(), Outcome { ended: Some(end), ..Outcome::default() });
            if entry {
                self.entry_over(&key, &mut out);
            }
        }
        self.orders.retain(|known| !known.done);
    }

    /// A group's turn: its entry, then its exits for what the entry has filled.
    fn group(
        &mut self,
        group: &Key,
        mut turn: Turn<'_>,
        left: &mut Quantity,
        out: &mut impl FnMut(Key, Outcome),
    ) {
        let (bar, round) = (turn.bar, self.round);
        self.of_group(group).for_each(|member| member.round = round);
        let held = self.of_group(group).any(|exit| exit.is_exit() && exit.order.wanted() > Quantity::ZERO);
        let entry = self.orders.iter_mut().find(|queued| queued.key == *group && !queued.is_exit());
        let Some(entry) = entry.filter(|entry| !entry.done) else {
            return self.exits(group, turn, left, out);
        };
        let by_stop = entry.order.waits_for_stop();
        let at_close = entry.order.time_in_force == TimeInForce::Cls;
        let outcome = entry.order.step(bar, turn.session, Seen::Whole, turn.costs, left);
        entry.done = outcome.ended.is_some();
        if outcome != Outcome::default() {
            out(group.clone(), outcome);
        }
        if let Some(filled) = outcome.filled {
            for exit in self.of_group(group).filter(|exit| exit.is_exit()) {
                let tradable = exit.order.tradable.get_or_insert(Quantity::ZERO);
                tradable.0 = tradable.0.saturating_add(filled.quantity.0);
            }
            let at_open = filled.executed_ns == bar.start_ns.max(turn.session.open_ns);
            if held && !at_open {
                // What is held sees the whole bar, what came now does not.
                (turn.fresh, turn.follows) = (filled.quantity, !at_close);
            } else if !at_open {
                turn.seen = Seen::After(filled.price);
                // Falling to a limit and further to the stop is certain; a stop entry may have come later.
                turn.doubt = by_stop;
            }
        }
        // Nothing of the bar comes after its close.
        if held || (outcome.filled.is_some() && !at_close) {
            self.exits(group, turn, left, out);
        }
        if outcome.ended.is_some() {
            self.entry_over(group, out);
        }
    }

    /// The exits of a group, whose turn it is.
    fn exits(
        &mut self,
        group: &Key,
        turn: Turn<'_>,
        left: &mut Quantity,
        out: &mut impl FnMut(Key, Outcome),
    ) {
        let of = |role| {
            let found = |queued: &Queued<Key>| {
                !queued.done
                    && queued.link.as_ref().is_some_and(|link| link.group == *group && link.role == role)
            };
            self.orders.iter().position(found)
        };
        let (stop, target) = (of(Role::Stop), of(Role::Target));
        let first_ns = turn.bar.start_ns.max(turn.session.open_ns);
        let first = match (stop, target) {
            (Some(stop), Some(target)) => {
                let (stop, target) = (&self.orders[stop].order, &self.orders[target].order);
                first_of(stop, target, turn.bar, first_ns, turn.seen)
            }
            _ => First::Either,
        };
        let doubt = first == First::StopByDoubt;
        // Of what a target at the open leaves for want of volume, and of what comes within the bar, the stop sells when the
        // bar reaches it later.
        let turns = match first {
            First::Stop | First::StopByDoubt => [stop, None],
            First::Target => [target, stop],
            First::Either => [stop, target],
        };
        for place in turns.into_iter().flatten() {
            self.exit(place, group, turn, doubt, left, out);
        }
    }

    fn exit(
        &mut self,
        place: usize,
        group: &Key,
        turn: Turn<'_>,
        doubt: bool,
        left: &mut Quantity,
        out: &mut impl FnMut(Key, Outcome),
    ) {
        let queued = &mut self.orders[place];
        if queued.done {
            return;
        }
        let key = queued.key.clone();
        let late = turn.doubt && queued.order.waits_for_stop() && !queued.order.is_beyond(turn.bar.close);
        let withheld = turn.withheld(&queued.order, *left);
        left.0 -= withheld.0;
        let mut outcome = queued.order.step(turn.bar, turn.session, turn.seen, turn.costs, left);
        left.0 += withheld.0;
        queued.done = outcome.ended.is_some();
        if let Some(filled) = outcome.filled.as_mut() {
            filled.ambiguous = doubt || late;
            self.ambiguous += u64::from(filled.ambiguous);
        }
        if outcome != Outcome::default() {
            out(key.clone(), outcome);
        }
        let Some(filled) = outcome.filled else { return };
        let entry_works = self.get(group).is_some_and(|entry| {
            !entry.done && entry.link.as_ref().is_some_and(|link| link.role == Role::Entry)
        });
        for other in self.of_group(group).filter(|other| other.key != key && other.is_exit()) {
            if let Some(tradable) = other.order.tradable.as_mut() {
                tradable.0 -= filled.quantity.0;
            }
        }
        if entry_works {
            return;
        }
        for place in 0..self.orders.len() {
            let other = &mut self.orders[place];
            let closed = other.is_exit_of(group) && !other.done && other.order.wanted() <= Quantity::ZERO;
            if closed {
                other.done = true;
                out(other.key.clone(), Outcome { ended: Some(End::OtherFilled), ..Outcome::default() });
            }
        }
    }

    /// The exits of an entry that works no longer: those with nothing to close end.
    fn entry_over(&mut self, group: &Key, out: &mut impl FnMut(Key, Outcome)) {
        for place in 0..self.orders.len() {
            let exit = &mut self.orders[place];
            let idle = exit.is_exit_of(group) && !exit.done && exit.order.wanted() <= Quantity::ZERO;
            if idle {
                exit.done = true;
                out(exit.key.clone(), Outcome { ended: Some(End::EntryOver), ..Outcome::default() });
            }
        }
    }

    fn of_group(&mut self, group: &Key) -> impl Iterator<Item = &mut Queued<Key>> {
        let member =
            move |queued: &&mut Queued<Key>| queued.link.as_ref().is_some_and(|link| link.group == *group);
        self.orders.iter_mut().filter(member)
    }
}

impl<Key: Eq> Queued<Key> {
    fn is_exit_of(&self, group: &Key) -> bool {
        self.link.as_ref().is_some_and(|link| link.group == *group && link.role != Role::Entry)
    }

    fn is_exit(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.role != Role::Entry)
    }
}

/// The bar whose turn it is for the exits of a group.
#[derive(Clone, Copy)]
struct Turn<'bar> {
    bar: &'bar Bar,
    session: Bounds,
    seen: Seen,
    /// Whether the entry may have filled after the bar reached the stop.
    doubt: bool,
    /// Shares that the entry filled within the bar while others were held already.
    fresh: Quantity,
    /// Whether anything of the bar came after them.
    follows: bool,
    costs: &'bar Costs,
}

impl Turn<'_> {
    /// What of the volume `left` an exit must not take, so that it closes none of the shares that came within the bar: only a
    /// stop that the bar reached after its open could have followed them.
    fn withheld(&self, exit: &Resting, left: Quantity) -> Quantity {
        let reached_later = self.follows && exit.waits_for_stop() && !exit.is_beyond(self.bar.open);
        if self.fresh == Quantity::ZERO || reached_later {
            return Quantity::ZERO;
        }
        let most = exit.wanted().0.saturating_sub(self.fresh.0).max(0);
        Quantity(left.0.saturating_sub(most).max(0))
    }
}
