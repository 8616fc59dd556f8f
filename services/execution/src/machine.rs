//! The state of execution and what follows from it, without I/O.
//!
//! [`Machine`] folds TRADING into the book and answers two questions: which orders need something done
//! ([`Machine::work`]) and what an instant of MARKET adds to the tape (`crate::instant`). Everything it
//! answers is a function of what it folded, so a restarted execution goes on with the same decisions.
//!
//! Deliberately absent: the tape, the broker, clocks.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use contracts::v1::event::Body;
use contracts::v1::{AccountEntry, BrokerReconciled, Event, GroupPolicy, OrderSpec};
use domain::book::{Book, CLOSING_LEG, FoldError, GroupStep, Parts, Prices, is_cancel_due};
use domain::calendar::Calendar;
use domain::money::Quantity;
use domain::order::{GroupStage, OrderState, OrderStatus, Phase, phase};
use event_log::{Append, Recorded};
use planted::Bug;

use crate::event::SERVICE;
use crate::held::Entry;
use crate::kill::{Tried, is_kill};

/// Most legs of a signal whose orders are looked at as one group.
const LEGS_MAX: u32 = 16;

/// Something to do for orders, in the order in which it is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// Record the end of an order that was cancelled before it was sent.
    Withdraw(String),
    /// Record the intents of one decision's orders (all or none), then send them.
    Submit(Vec<String>),
    /// Ask the broker for an order whose submission has no answer yet.
    Ask(String),
    /// Ask the broker to cancel.
    Cancel(String),
    /// Record the intent to replace an order's terms, then ask the broker.
    Replace(String),
    /// Record that new terms are void, because the order ended before they were asked for.
    Forgo(String),
    /// Record what is to be done about a group, or about what a stopped strategy holds.
    Group(GroupStep),
    /// Ask for the cancellation of what is left of a group whose other leg failed.
    Unwind {
        /// The order to cancel.
        order_id: String,
        /// The leg that failed.
        failed: String,
    },
    /// Close a position, because a kill switch says so.
    Flatten {
        /// Event that pulled the switch.
        kill_id: String,
        /// The order that closes it.
        order: Box<OrderSpec>,
        /// How many orders were tried before it and closed nothing.
        attempt: u32,
    },
}

/// Execution's memory.
#[derive(Clone, Debug)]
pub struct Machine {
    pub(crate) book: Book,
    pub(crate) prices: Prices,
    /// Accounts to mark, by name.
    pub(crate) accounts: Vec<String>,
    /// When the tape's market is open: where sessions begin, and which bars trade.
    pub(crate) calendar: &'static Calendar,
    /// Last MARKET sequence handled or being handled.
    pub(crate) market_sequence: u64,
    /// Last sequence under `account.<a>.>`, per account.
    account_last: BTreeMap<String, u64>,
    /// Orders whose next step has to be looked at.
    attention: BTreeSet<String>,
    /// Highest sequence that this service has appended itself or learned of.
    known: u64,
    /// Sequences that this service has appended itself and not folded yet.
    own: BTreeSet<u64>,
    /// Whether another instance of the service said something of an order since [`Machine::take_outdone`].
    outdone: bool,
    /// Where a kill switch was pulled last.
    killed: u64,
    /// Ids of account entries and order adjustments on the tape, once they have been loaded. A tape holds many, so that
    /// copies share them.
    applied: Option<Arc<HashSet<String>>>,
    /// What kill switches tried so far to close positions, by cause.
    pub(crate) tried: BTreeMap<String, Tried>,
    /// Open orders of a read model that names no group of theirs, which rows that are older than groups do not either.
    ungrouped: BTreeSet<String>,
}

impl Machine {
    /// Starts from a book; `accounts` are the ones this execution marks, `calendar` is that of the tape.
    #[must_use]
    pub fn new(book: Book, accounts: &[String], calendar: &'static Calendar) -> Self {
        let accounts: BTreeSet<_> = accounts.iter().cloned().collect();
        // Of one that ended before it got new terms it is still to be said that they are void.
        let void = book.ended_orders().filter(|order| order.replace.is_some());
        let attention = book.open_orders().chain(void).map(|order| order.id().to_owned()).collect();
        let ungrouped = book.open_orders().filter(|order| order.group_stage == GroupStage::None);
        let ungrouped = ungrouped.map(|order| order.id().to_owned()).collect();
        let mut machine = Self {
            known: book.sequence(),
            book,
            prices: Prices::default(),
            accounts: accounts.into_iter().collect(),
            calendar,
            market_sequence: 0,
            account_last: BTreeMap::new(),
            attention,
            own: BTreeSet::new(),
            outdone: false,
            killed: 0,
            applied: None,
            tried: BTreeMap::new(),
            ungrouped,
        };
        let marked: Vec<_> = machine.book.accounts().map(|account| account.account.clone()).collect();
        for account in marked {
            machine.seed_prices(&account);
        }
        machine
    }

    /// Takes the prices of an account's last mark, after folding to the head of the tape, and those that brokers stated of
    /// what is held; answers the symbols of the mark.
    pub fn seed_prices(&mut self, account: &str) -> Vec<String> {
        let held = self.held();
        // The mark of one account may hold what another one's broker stated.
        for row in self.book.accounts() {
            self.prices.tell(row, |symbol| held.contains(symbol));
        }
        let Some(account) = self.book.account(account) else { return Vec::new() };
        self.prices.seed(account);
        let marked = account.mark.iter().flat_map(|mark| &mark.prices);
        marked.map(|price| price.symbol.clone()).collect()
    }

    /// The accounts that are marked.
    #[must_use]
    pub fn accounts(&self) -> &[String] {
        &self.accounts
    }

    /// Symbols that are held.
    #[must_use]
    pub fn held(&self) -> BTreeSet<String> {
        let held = self
            .book
            .positions()
            .filter(|position| position.quantity != Quantity::ZERO || position.fraction != Quantity::ZERO);
        held.map(|position| position.key.symbol.clone()).collect()
    }

    /// Symbols that are held, or that a last mark has a price of.
    #[must_use]
    pub fn valued(&self) -> BTreeSet<String> {
        let marks = self.book.accounts().filter_map(|account| account.mark.as_ref());
        let marked = marks.flat_map(|mark| mark.prices.iter().map(|price| price.symbol.clone()));
        self.held().into_iter().chain(marked).collect()
    }

    /// Symbols that are held and have no price.
    #[must_use]
    pub fn unpriced(&self) -> BTreeSet<String> {
        self.held().into_iter().filter(|symbol| self.prices.get(symbol).is_none()).collect()
    }

    /// The book as folded so far.
    #[must_use]
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// Folds the next event of TRADING.
    pub fn fold(&mut self, recorded: &Recorded) -> Result<(), FoldError> {
        if recorded.sequence <= self.book.sequence() {
            if planted::is(Bug::FillAppliedTwice) {
                self.fold_again(recorded);
            }
            return Ok(());
        }
        let own = self.own.remove(&recorded.sequence);
        let changes = self.book.apply(recorded.sequence, &recorded.event)?;
        let of_order = recorded.event.body.as_ref().and_then(contracts::order_of).is_some();
        self.outdone |= !own && of_order && recorded.event.source == SERVICE;
        if is_kill(&recorded.event) {
            self.killed = recorded.sequence;
        }
        self.known = self.known.max(recorded.sequence);
        self.note(recorded);
        for order_id in changes.orders {
            self.note_closing(&order_id);
            self.look_at(&order_id);
            if self.book.order(&order_id).is_none_or(|order| order.status.is_ended()) {
                self.ungrouped.remove(&order_id);
            }
        }
        Ok(())
    }

    /// What reading an event again must never do.
    fn fold_again(&mut self, recorded: &Recorded) {
        let folded = self.book.sequence();
        let before = recorded.sequence - 1;
        self.book = Book::from_parts(Parts { sequence: before, ..self.book.to_parts() });
        let _refused = self.book.apply(recorded.sequence, &recorded.event);
        self.book.skip(folded);
    }

    /// Passes over a message of TRADING that was parked.
    pub fn skip(&mut self, sequence: u64) {
        self.book.skip(sequence);
        self.known = self.known.max(sequence);
    }

    /// Takes an order from the read model that had left memory.
    pub fn admit(&mut self, order: OrderState) {
        self.book.admit(order);
    }

    /// Takes an event that this service has appended at `sequence`. Folded at once when nothing stands
    /// between it and what is folded; otherwise [`Machine::must_fold`] asks for what does.
    pub fn appended(&mut self, append: &Append, sequence: u64) -> Result<(), FoldError> {
        self.learn(sequence);
        if sequence > self.book.sequence() {
            self.own.insert(sequence);
        }
        if sequence != self.book.sequence() + 1 {
            return Ok(());
        }
        let subject = append.subject.as_str().to_owned();
        self.fold(&Recorded { sequence, subject, event: append.event.clone() })
    }

    /// Whether the simulated broker of this instance may lack what another one, or a process before this one, did: it is
    /// to be made anew from the book. Asked once, it is forgotten.
    pub fn take_outdone(&mut self) -> bool {
        std::mem::take(&mut self.outdone)
    }

    /// The same, not forgotten.
    #[must_use]
    pub fn is_outdone(&self) -> bool {
        self.outdone
    }

    /// Sequence at which a kill switch was pulled last since the start; 0 where none was.
    #[must_use]
    pub fn killed(&self) -> u64 {
        self.killed
    }

    /// Learns that TRADING holds an event at `sequence`, perhaps one of its own not read back yet.
    pub fn learn(&mut self, sequence: u64) {
        self.known = self.known.max(sequence);
    }

    /// Learns that `sequence` is the last one of an account's events.
    pub fn learn_account(&mut self, account: &str, sequence: u64) {
        let last = self.account_last.entry(account.to_owned()).or_default();
        *last = (*last).max(sequence);
        self.learn(sequence);
    }

    /// The sequence up to which TRADING must be folded before anything else is decided.
    #[must_use]
    pub fn must_fold(&self) -> Option<u64> {
        (self.known > self.book.sequence()).then_some(self.known)
    }

    /// Last sequence under `account.<a>.>`; 0 when nothing is stored.
    #[must_use]
    pub fn account_last(&self, account: &str) -> u64 {
        self.account_last.get(account).copied().unwrap_or_default()
    }

    /// Whether the ids of entries and adjustments on the tape are known; without them a corporate action cannot be told
    /// from one already applied.
    #[must_use]
    pub fn knows_applied(&self) -> bool {
        self.applied.is_some()
    }

    /// Takes the ids of all entries and order adjustments on the tape.
    pub fn learn_applied(&mut self, ids: HashSet<String>) {
        Arc::make_mut(self.applied.get_or_insert_default()).extend(ids);
    }

    pub(crate) fn is_applied(&self, id: &str) -> bool {
        self.applied.as_ref().is_some_and(|ids| ids.contains(id))
    }

    /// Whether the instant of a MARKET sequence is still to be handled.
    #[must_use]
    pub fn is_before(&self, market_sequence: u64) -> bool {
        self.market_sequence < market_sequence
    }

    /// The basis of a decision made now: MARKET and TRADING.
    pub(crate) fn basis(&self) -> (u64, u64) {
        (self.market_sequence, self.book.sequence())
    }

    /// An order that changed is looked at; one that failed makes its group worth looking at too.
    fn look_at(&mut self, order_id: &str) {
        if let Some(order) = self.book.order(order_id).filter(|order| order.status == OrderStatus::Rejected) {
            let group = group(self.book.open_orders(), order, |_| true);
            self.attention.extend(group);
        }
        self.attention.insert(order_id.to_owned());
    }

    fn note(&mut self, recorded: &Recorded) {
        if let Some(account) = account_of(&recorded.event) {
            let last = self.account_last.entry(account.to_owned()).or_default();
            *last = (*last).max(recorded.sequence);
        }
        if let Some(
            Body::AccountEntry(AccountEntry { account, .. })
            | Body::BrokerReconciled(BrokerReconciled { account, .. }),
        ) = &recorded.event.body
        {
            let held = self.held();
            if let Some(row) = self.book.account(account) {
                self.prices.tell(row, |symbol| held.contains(symbol));
            }
        }
        let entry = matches!(recorded.event.body, Some(Body::AccountEntry(_) | Body::OrderAdjusted(_)));
        if let Some(applied) = self.applied.as_mut().filter(|_| entry) {
            Arc::make_mut(applied).insert(recorded.event.id.clone());
        }
    }

    /// What has to be done for orders, as of everything folded. Doing it adds events that, once folded,
    /// make it disappear; asking again before that gives the same answer.
    pub fn work(&mut self) -> Vec<Work> {
        let mut work = Vec::new();
        let mut groups: BTreeSet<String> = BTreeSet::new();
        let mut ids: Vec<_> = self.attention.iter().cloned().collect();
        // Of a group the entry goes first: the broker takes exits of an entry that it knows.
        ids.sort_by_cached_key(|order_id| self.book.order(order_id).map(place_in_group));
        for order_id in ids {
            let Some(order) = self.book.order(&order_id) else {
                self.attention.remove(&order_id);
                continue;
            };
            let failed = self.failed_leg(order);
            let waits = failed.is_some() && !is_cancel_due(order, self.account_ns(&order.spec.account));
            if let Some(failed) = failed.filter(|_| !waits) {
                work.push(Work::Unwind { order_id, failed });
                continue;
            }
            match (phase(order), self.entry(order)) {
                (Phase::MustSubmit, Entry::Pending) => continue,
                (Phase::MustAsk, Entry::Pending) => {
                    // It went with its entry, and is asked for once that is over; a cancel ends it there.
                    if order.cancel_requested && self.is_entry_worked(order) {
                        work.push(Work::Cancel(order_id));
                    }
                    continue;
                }
                (Phase::MustSubmit, Entry::Unfilled) => {
                    work.push(Work::Withdraw(order_id));
                    continue;
                }
                _ => {}
            }
            match phase(order) {
                Phase::MustWithdraw => work.push(Work::Withdraw(order_id)),
                Phase::MustSubmit => {
                    let ready = |order: &OrderState| {
                        phase(order) == Phase::MustSubmit && self.entry(order) == Entry::Done
                    };
                    // Whatever is still to be submitted is among those looked at.
                    let looked_at = self.attention.iter().filter_map(|order_id| self.book.order(order_id));
                    let group = group(looked_at, order, ready);
                    if groups.insert(group.join(",")) {
                        work.push(Work::Submit(group));
                    }
                }
                Phase::MustCancel => work.push(Work::Cancel(order_id)),
                Phase::MustReplace => work.push(Work::Replace(order_id)),
                Phase::MustForgo => work.push(Work::Forgo(order_id)),
                Phase::MustAsk if planted::is(Bug::UnansweredForgotten) => {
                    self.attention.remove(&order_id);
                }
                Phase::MustAsk => work.push(Work::Ask(order_id)),
                // Its end is asked for again once market time has gone on.
                Phase::Working if waits => {}
                Phase::Working | Phase::Done => {
                    self.attention.remove(&order_id);
                }
            }
        }
        work.extend(self.group_work().map(Work::Group));
        self.forget_tried();
        work.extend(self.flattening());
        work
    }

    /// What is to be done about groups that are not whole and strategies that were stopped, as of the last mark.
    pub(crate) fn group_work(&self) -> impl Iterator<Item = GroupStep> {
        let of_groups = self.book.active_groups().filter_map(|group_id| {
            let account = &self.book.group_orders(group_id).next()?.spec.account;
            self.book.group_step(group_id, self.account_ns(account)).map(GroupStep::Handle)
        });
        of_groups.chain(self.book.strategies().filter_map(|strategy| self.book.stop_step(strategy)))
    }

    /// Event time of an account's last mark.
    pub(crate) fn account_ns(&self, account: &str) -> i64 {
        self.book.marked_ns(account)
    }

    /// The leg whose refusal takes `order` with it: never a silent half position.
    pub(crate) fn failed_leg(&self, order: &OrderState) -> Option<String> {
        if planted::is(Bug::UnwindSkipped) {
            return None;
        }
        if order.signal_id.is_empty() || order.cancel_requested || order.status.is_ended() {
            return None;
        }
        // What its decision approved alone has no others; a row may not say so.
        if order.group_stage == GroupStage::None && !self.ungrouped.contains(order.id()) {
            return None;
        }
        // A policy of its own says what follows (`Work::Group`), and orders that close stand alone.
        if order.spec.group_policy() != GroupPolicy::Unspecified || order.spec.leg >= CLOSING_LEG {
            return None;
        }
        let failed = |sibling: String| {
            let rejected = self.book.order(&sibling)?.status == OrderStatus::Rejected;
            rejected.then_some(sibling)
        };
        if !order.spec.group_id.is_empty() {
            // A position without its stop is a half one too.
            let mut others = members(&order.spec.group_id).into_iter().filter(|member| member != order.id());
            if let Some(failed) = others.find_map(failed) {
                return Some(failed);
            }
        }
        let legs = (0..LEGS_MAX).filter(|leg| *leg != order.spec.leg);
        legs.map(|leg| contracts::order_id(&order.signal_id, leg)).find_map(failed)
    }
}

/// The orders that a group may have: the entry or the target of a pair, and its exits.
pub(crate) fn members(group: &str) -> [String; 3] {
    [group.to_owned(), contracts::child_order_id(group, 0), contracts::child_order_id(group, 1)]
}

/// Ids of the orders `among` some that came of the same decision as one and that `wanted` accepts, by leg and place in their
/// group.
fn group<'book>(
    among: impl Iterator<Item = &'book OrderState>,
    of: &OrderState,
    wanted: impl Fn(&OrderState) -> bool,
) -> Vec<String> {
    if of.decision_id.is_empty() {
        return vec![of.id().to_owned()];
    }
    let mut group: Vec<_> = among
        .filter(|order| order.decision_id == of.decision_id && wanted(order))
        .map(|order| (order.spec.leg, place_in_group(order), order.id().to_owned()))
        .collect();
    group.sort();
    group.into_iter().map(|(.., order_id)| order_id).collect()
}

/// An order's place among those of its leg: the entry or the order that stands alone, the target, the stop.
fn place_in_group(order: &OrderState) -> u32 {
    let (id, group) = (order.id(), order.spec.group_id.as_str());
    let first = group.is_empty() || group == id;
    if first { 0 } else { 1 + u32::from(id != contracts::child_order_id(group, 0)) }
}

fn account_of(event: &Event) -> Option<&str> {
    match event.body.as_ref()? {
        Body::AccountMarked(mark) => Some(&mark.account),
        Body::AccountEntry(entry) => Some(&entry.account),
        Body::MarginCalled(call) => Some(&call.account),
        Body::MarginRestored(call) => Some(&call.account),
        Body::PositionTransferred(moved) => Some(&moved.account),
        Body::BreakerTripped(event) => Some(&event.account),
        Body::BreakerReset(event) => Some(&event.account),
        Body::BrokerAttached(event) => Some(&event.account),
        Body::BrokerReconciled(event) => Some(&event.account),
        Body::BrokerDiffered(event) => Some(&event.account),
        _ => None,
    }
}
