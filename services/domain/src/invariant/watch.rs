//! TRADING, watched event by event.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use contracts::v1::event::Body;
use contracts::v1::{
    AccountEntry, BreakerKind, EntryKind, Event, Fill, OrderSpec, OrderSubmitted, PositionStated,
    RiskDecision, Verdict,
};
use contracts::{basis_of, client_order_id, from_timestamp, id_digest, stream};

use super::opening::{Held, beyond};
use super::scopes::Moment;
use super::{Invariant, Violation, limits};
use crate::book::identity::check_identity;
use crate::book::{Book, Changes, FoldError, PositionKey, decided_ns};
use crate::calendar::Calendar;
use crate::money::{Price, Quantity};
use crate::order::{CENT, OrderState, SIMULATED, signed};

/// In place of a breaker's kind: a person stopped it.
const NO_BREAKER: i32 = -1;

/// An event of which a writer was told that it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// Sequence that the writer was told.
    pub sequence: u64,
    /// The event's id.
    pub id: String,
}

/// What is known of one order, apart from the book.
#[derive(Clone, Debug, Default)]
pub(super) struct Followed {
    /// The first terms of the approval, with which it is submitted; none of an order that no decision approved.
    approved: Option<OrderSpec>,
    /// Whether it is to reduce and nothing else, as last approved; none of an order that no decision approved.
    reduces: Option<bool>,
    /// What its last decision had read of TRADING; 0 of an order that no decision approved.
    read: u64,
    /// Shares in 1e-9 that it has beyond what there was to close, where it is to reduce and nothing else.
    beyond: i128,
    pub submitted: bool,
    /// Quantity and price of each execution, by the broker's id.
    pub executions: BTreeMap<String, (Quantity, Price)>,
    /// Its first fill; 0 before it.
    filled_from: u64,
}

/// The fold of TRADING that looks at every event. One entry per order, signal and event is kept, about 100
/// bytes each.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    book: Book,
    /// Digests of the ids seen.
    ids: HashSet<u128>,
    /// Those of the signals that are decided.
    decided: HashSet<u128>,
    pub(super) orders: BTreeMap<String, Followed>,
    /// Client order ids with their orders.
    pub(super) clients: BTreeMap<String, String>,
    /// What is held as the sum of fills and splits.
    held: BTreeMap<PositionKey, Held>,
    /// The last split of each position.
    splits: BTreeMap<PositionKey, u64>,
    /// Where halts, kills and breakers began, by account, strategy (empty: all of them) and breaker.
    stopped: BTreeMap<(String, String, i32), u64>,
    /// How far MARKET had been read for the last mark of each account.
    marked: BTreeMap<String, Option<u64>>,
    /// Last event that a decision may look at and that is neither a signal nor a decision.
    last_other: u64,
    /// The tape's calendar, where it is known: limits of a day are held by it.
    calendar: Option<&'static Calendar>,
    /// Last sequence seen.
    sequence: u64,
    /// Sequences that the book could not fold: whoever reads them must have parked them.
    unfoldable: BTreeSet<u64>,
}

impl Watch {
    /// A watch of a tape that goes by `calendar`. Without one ([`Watch::default`]) no limit of a day is held.
    #[must_use]
    pub fn by(calendar: &'static Calendar) -> Self {
        Self { calendar: Some(calendar), ..Self::default() }
    }

    /// The fold so far.
    #[must_use]
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// Sequences that no book can fold.
    #[must_use]
    pub fn unfoldable(&self) -> &BTreeSet<u64> {
        &self.unfoldable
    }

    /// Number of orders whose intent is on the tape.
    #[must_use]
    pub fn submitted(&self) -> usize {
        self.clients.len()
    }

    /// Passes over a message that is no event.
    pub fn skip(&mut self, sequence: u64) {
        self.sequence = self.sequence.max(sequence);
        self.book.skip(sequence);
        self.unfoldable.insert(sequence);
    }

    /// Whether the id of `event` may stand once only. Who signals from outside may send anything again, and risk parks it.
    fn stands_once(&self, event: &Event) -> bool {
        let Some(Body::Signal(signal)) = &event.body else { return true };
        self.book.strategy(&signal.strategy).is_some_and(|known| !known.is_external())
    }

    /// Takes the message at `sequence` of TRADING, the next one, and says what does not hold any more.
    pub fn fold(&mut self, sequence: u64, event: &Event) -> Vec<Violation> {
        let mut found = Vec::new();
        let mut say = |invariant, detail: String| found.push(Violation::new(invariant, sequence, detail));
        if sequence != self.sequence + 1 {
            let expected = self.sequence + 1;
            say(Invariant::NoEventLost, format!("sequence {sequence} follows, expected {expected}"));
        }
        self.sequence = sequence;
        if self.stands_once(event) && !self.ids.insert(id_digest(&event.id)) {
            say(Invariant::NoEventLost, format!("event {} stands twice", event.id));
        }
        let before = self.look(sequence, event);
        found.extend(before);
        if let Some(Body::AccountMarked(mark)) = &event.body {
            self.marked.insert(mark.account.clone(), basis_of(event, stream::MARKET));
        }
        match self.apply(sequence, event) {
            Ok(changes) => {
                // What no book folds stops nobody.
                if let Some(body) = &event.body {
                    self.stops(sequence, body);
                }
                found.extend(self.check(sequence, event, &changes));
            }
            Err(_) => {
                self.book.skip(sequence);
                self.unfoldable.insert(sequence);
            }
        }
        // Nor does a decision look at what the monitor measured.
        let is_other = !matches!(
            event.body,
            Some(Body::Signal(_) | Body::RiskDecision(_) | Body::RiskMeasured(_) | Body::AlertRaised(_))
        );
        if is_other {
            self.last_other = sequence;
        }
        found
    }

    fn apply(&mut self, sequence: u64, event: &Event) -> Result<Changes, FoldError> {
        self.book.apply(sequence, event)
    }

    /// What an event says that an earlier one forbids.
    fn look(&mut self, sequence: u64, event: &Event) -> Vec<Violation> {
        match &event.body {
            Some(Body::RiskDecision(decision)) => self.decision(sequence, event, decision),
            Some(Body::OrderSubmitted(submitted)) => self.submission(sequence, event, submitted),
            Some(Body::Fill(fill)) => self.filled(sequence, fill),
            Some(Body::AccountEntry(entry)) => {
                self.entry(entry);
                Vec::new()
            }
            Some(Body::FillCorrected(fill)) => {
                let change = Quantity(fill.quantity_e9.saturating_sub(fill.quantity_before_e9));
                let now = (Quantity(fill.quantity_e9), Price(fill.price_e9));
                let key = PositionKey::new(&fill.account, &fill.strategy, &fill.symbol);
                self.restated(
                    key,
                    signed(fill.side(), change),
                    &fill.order_id,
                    &fill.execution_id,
                    (Some(now), fill.position.as_ref()),
                );
                Vec::new()
            }
            Some(Body::FillBusted(fill)) => {
                let key = PositionKey::new(&fill.account, &fill.strategy, &fill.symbol);
                let change = signed(fill.side(), Quantity(-fill.quantity_e9));
                let now = (None, fill.position.as_ref());
                self.restated(key, change, &fill.order_id, &fill.execution_id, now);
                Vec::new()
            }
            Some(Body::PositionTransferred(moved)) => {
                for (strategy, shares) in
                    [(&moved.from_strategy, -moved.quantity_e9), (&moved.to_strategy, moved.quantity_e9)]
                {
                    let key = PositionKey::new(&moved.account, strategy, &moved.symbol);
                    self.shift(key, Quantity(shares));
                }
                Vec::new()
            }
            Some(Body::OrderReplaced(replaced)) if !replaced.client_order_id.is_empty() => {
                self.clients.insert(replaced.client_order_id.clone(), replaced.order_id.clone());
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// What stops new exposure, and what lets it go on. A breaker ends when somebody resets it and never otherwise.
    fn stops(&mut self, sequence: u64, body: &Body) {
        let (account, strategy, kind) = match body {
            Body::TradingHalted(halt) => (&halt.account, &halt.strategy, NO_BREAKER),
            Body::TradingKilled(kill) => (&kill.account, &kill.strategy, NO_BREAKER),
            Body::BreakerTripped(tripped) => (&tripped.account, &tripped.strategy, tripped.kind),
            Body::TradingResumed(resumed) => {
                self.stopped.remove(&(resumed.account.clone(), resumed.strategy.clone(), NO_BREAKER));
                return;
            }
            Body::BreakerReset(reset) => {
                let all = reset.kind() == BreakerKind::Unspecified;
                self.stopped.retain(|(account, strategy, kind), _| {
                    let concerned = all || *kind == reset.kind;
                    *kind == NO_BREAKER
                        || (account, strategy) != (&reset.account, &reset.strategy)
                        || !concerned
                });
                return;
            }
            _ => return,
        };
        self.stopped.entry((account.clone(), strategy.clone(), kind)).or_insert(sequence);
    }

    /// Since when nothing may be opened by `strategy` on `account`, as far as was known at `read`.
    fn stopped_since(&self, account: &str, strategy: &str, read: u64) -> Option<u64> {
        let within = |scope: &str, name: &str| scope.is_empty() || scope == name;
        let stops = self.stopped.iter().filter(|((stopped, of, _), since)| {
            within(stopped, account) && within(of, strategy) && **since <= read
        });
        stops.map(|(_, since)| *since).min()
    }

    fn decision(&mut self, sequence: u64, event: &Event, decision: &RiskDecision) -> Vec<Violation> {
        let mut found = Vec::new();
        if !self.decided.insert(id_digest(&decision.signal_id)) {
            let detail = format!("signal {} is decided twice", decision.signal_id);
            found.push(Violation::new(Invariant::NoOrderTwice, sequence, detail));
        }
        if decision.verdict() != Verdict::Approved {
            return found;
        }
        // What the decision had read of TRADING when it was made; a halt behind that came too late for it.
        let read = basis_of(event, stream::TRADING).unwrap_or(sequence);
        for spec in &decision.orders {
            let beyond = self.beyond(event, spec, &decision.orders);
            let order = self.orders.entry(spec.order_id.clone()).or_default();
            (order.read, order.beyond, order.reduces) = (read, beyond, Some(spec.reducing));
            // New terms may be approved before the first ones are sent.
            if spec.revision == 0 {
                order.approved = Some(spec.clone());
            }
        }
        // What is stopped is the account and the strategy of the order, whoever asked for its terms.
        let mut opens = decision.orders.iter().filter(|spec| !spec.reducing);
        let stopped = opens.find_map(|spec| {
            let since = self.stopped_since(&spec.account, &spec.strategy, read)?;
            Some((&spec.account, &spec.strategy, &spec.order_id, since))
        });
        if let Some((account, strategy, order_id, since)) = stopped {
            let detail = format!(
                "{strategy} on account {account} is stopped since {since}, order {order_id} is approved"
            );
            found.push(Violation::new(Invariant::HaltOpensNothing, sequence, detail));
        }
        found
    }

    fn submission(&mut self, sequence: u64, event: &Event, submitted: &OrderSubmitted) -> Vec<Violation> {
        let Some(spec) = &submitted.order else { return Vec::new() };
        let mut found = Vec::new();
        // What a kill switch closes begins with its intent.
        let beyond = self.book.order(&spec.order_id).is_none().then(|| self.beyond(event, spec, &[]));
        let mut say = |detail: String| {
            found.push(Violation::new(Invariant::NoOrderTwice, sequence, detail));
        };
        let order_id = &spec.order_id;
        let order = self.orders.entry(order_id.clone()).or_default();
        order.beyond = beyond.unwrap_or(order.beyond);
        if std::mem::replace(&mut order.submitted, true) {
            say(format!("order {order_id} is submitted twice"));
        }
        let expected = client_order_id(order_id);
        if submitted.client_order_id != expected {
            let client = &submitted.client_order_id;
            say(format!("order {order_id} has the client order id {client:?}, expected {expected:?}"));
        }
        let adjusted = self.book.order(order_id).is_some_and(|order| !order.adjusted_by.is_empty());
        if order.approved.as_ref().is_some_and(|approved| approved != spec && !adjusted) {
            say(format!("order {order_id} is submitted with other terms than those approved"));
        }
        let other = self.clients.insert(submitted.client_order_id.clone(), order_id.clone());
        if let Some(other) = other.filter(|other| other != order_id) {
            say(format!("orders {other} and {order_id} share a client order id"));
        }
        found
    }

    fn filled(&mut self, sequence: u64, fill: &Fill) -> Vec<Violation> {
        let quantity = Quantity(fill.quantity_e9);
        let key = PositionKey::new(&fill.account, &fill.strategy, &fill.symbol);
        self.shift(key, signed(fill.side(), quantity));
        let order = self.orders.entry(fill.order_id.clone()).or_default();
        if order.filled_from == 0 {
            order.filled_from = sequence;
        }
        let execution = (quantity, Price(fill.price_e9));
        if order.executions.insert(fill.execution_id.clone(), execution).is_none() {
            return Vec::new();
        }
        let detail = format!("execution {} of order {} is folded twice", fill.execution_id, fill.order_id);
        vec![Violation::new(Invariant::FillsAgree, sequence, detail)]
    }

    /// An execution as a correction leaves it; none where it is void. Where a split came in between, its shares are in the
    /// terms before that, and the position is what the event states.
    fn restated(
        &mut self,
        key: PositionKey,
        change: Quantity,
        order_id: &str,
        execution_id: &str,
        (now, stated): (Option<(Quantity, Price)>, Option<&PositionStated>),
    ) {
        let order = self.orders.entry(order_id.to_owned()).or_default();
        match now {
            Some(now) => order.executions.insert(execution_id.to_owned(), now),
            None => order.executions.remove(execution_id),
        };
        let is_split = self.splits.get(&key).is_some_and(|split| *split > order.filled_from);
        match stated.filter(|_| is_split) {
            Some(stated) => self.hold(key, stated.quantity_e9),
            None => self.shift(key, change),
        }
    }

    fn entry(&mut self, entry: &AccountEntry) {
        if entry.kind() == EntryKind::External {
            let key = PositionKey::new(&entry.account, &entry.strategy, &entry.symbol);
            self.shift(key, Quantity(entry.quantity_e9));
        }
        if entry.kind() == EntryKind::Split {
            let key = PositionKey::new(&entry.account, &entry.strategy, &entry.symbol);
            self.splits.insert(key.clone(), self.sequence);
            self.hold(key, entry.quantity_after_e9);
        }
    }

    /// Makes a position so many shares in 1e-9.
    fn hold(&mut self, key: PositionKey, shares_e9: i64) {
        self.held.insert(key, Held { shares: i128::from(shares_e9), moved: self.sequence });
    }

    /// Adds shares to a position, or takes them away.
    fn shift(&mut self, key: PositionKey, shares: Quantity) {
        let held = self.held.entry(key).or_default();
        held.shares += i128::from(shares.0);
        held.moved = self.sequence;
    }

    fn held(&self, account: &str, strategy: &str, symbol: &str) -> Held {
        self.held.get(&PositionKey::new(account, strategy, symbol)).copied().unwrap_or_default()
    }

    /// Shares in 1e-9 that `event` approves of `spec` beyond what there is to close, where that is all that it may do. Where
    /// the position changed behind what the writer had read, only a replay can say.
    fn beyond(&self, event: &Event, spec: &OrderSpec, orders: &[OrderSpec]) -> i128 {
        let held = self.held(&spec.account, &spec.strategy, &spec.symbol);
        let known = basis_of(event, stream::TRADING).is_some_and(|read| read >= held.moved);
        if !known || !spec.reducing {
            return 0;
        }
        let filled = self.book.order(&spec.order_id).map_or(Quantity::ZERO, |order| order.filled);
        beyond(spec, orders, held, filled)
    }

    /// A fill that opens something although nothing may be opened. An order whose decision had not read the stop may open
    /// what it was approved for; one that is to reduce may not, whenever it was approved.
    fn opened(&self, sequence: u64, fill: &Fill) -> Option<Violation> {
        let (account, strategy, symbol) = (&fill.account, &fill.strategy, &fill.symbol);
        let since = self.stopped_since(account, strategy, sequence)?;
        let held = self.held(account, strategy, symbol);
        let change = signed(fill.side(), Quantity(fill.quantity_e9));
        let (order, followed) = (self.book.order(&fill.order_id)?, self.orders.get(&fill.order_id)?);
        let reduces = followed.reduces.unwrap_or(order.spec.reducing);
        let allowed = if reduces {
            // An amount at a broker outside is money: its shares are those that it trades it for.
            let within_amount = order.broker != SIMULATED && is_within_amount(order);
            within_amount
                || i128::from(order.filled.0) <= i128::from(order.spec.quantity_e9) - followed.beyond
        } else {
            self.stopped_since(account, strategy, followed.read).is_none()
        };
        if allowed || !held.opened_by(change) {
            return None;
        }
        let (id, shares, before) = (order.id(), held.shares, held.shares - i128::from(change.0));
        let detail = format!(
            "{strategy} on account {account} is stopped since {since}, order {id} takes {symbol} from {before}e-9 to \
             {shares}e-9"
        );
        Some(Violation::new(Invariant::HaltOpensNothing, sequence, detail))
    }

    fn moment(&self, event: &Event, decision: &RiskDecision, event_ns: i64) -> Moment {
        // Where bars come one by one, marks of one event time have other prices.
        let same_prices = self.marked.get(&decision.account) == Some(&basis_of(event, stream::MARKET));
        let at_mark = same_prices && self.book.marked_ns(&decision.account) == event_ns;
        let decided_ns = decided_ns(decision, event_ns);
        let day_ns = self.calendar.map(|calendar| calendar.start_of(calendar.date_of(decided_ns)));
        Moment { at_mark, decided_ns, day_ns }
    }

    /// What does not hold of the book after an event.
    fn check(&self, sequence: u64, event: &Event, changes: &Changes) -> Vec<Violation> {
        let mut found = Vec::new();
        if !changes.accounts.is_empty()
            && let Err(broken) = check_identity(&self.book)
        {
            found.push(Violation::new(Invariant::MoneyAddsUp, sequence, broken.to_string()));
        }
        for key in &changes.positions {
            let position = self.book.position(&key.account, &key.strategy, &key.symbol);
            let folded = position.map_or(0, |position| i128::from(position.quantity.0));
            let summed = self.held.get(key).copied().unwrap_or_default().shares;
            if folded != summed {
                let detail = format!("position {key} is {folded}e-9, its fills come to {summed}e-9");
                found.push(Violation::new(Invariant::FillsAgree, sequence, detail));
            }
        }
        if let Some(Body::Fill(fill)) = &event.body {
            found.extend(self.opened(sequence, fill));
        }
        if let Some(Body::RiskDecision(decision)) = &event.body
            && decision.verdict() == Verdict::Approved
            // Where anything came between what the decision had read and the decision, only a replay can say.
            && basis_of(event, stream::TRADING).is_some_and(|read| read >= self.last_other)
            && let Some(event_ns) = event.event_time.as_ref().and_then(from_timestamp)
            && let Some(detail) = limits::exceeded(&self.book, decision, self.moment(event, decision, event_ns))
        {
            found.push(Violation::new(Invariant::WithinLimits, sequence, detail));
        }
        found
    }
}

/// Holds what writers were told against what is stored; `stored` answers the id at a sequence.
#[must_use]
pub fn compare_acknowledged<'id>(
    acknowledged: &[Acknowledged],
    stored: impl Fn(u64) -> Option<&'id str>,
) -> Option<Violation> {
    let lost = acknowledged.iter().find(|told| stored(told.sequence) != Some(told.id.as_str()))?;
    let detail = format!("event {} was acknowledged at {} and is not there", lost.id, lost.sequence);
    Some(Violation::new(Invariant::NoEventLost, lost.sequence, detail))
}

/// Whether an order for an amount traded no more than that, to the cent.
fn is_within_amount(order: &OrderState) -> bool {
    order.spec.notional_e9.is_some_and(|amount| order.filled_value.0 <= i128::from(amount) + CENT.0)
}
