//! Groups of orders, and what a stopped strategy holds: what is to be done next, and what was done.
//!
//! The orders of one signal form a group when there are several. One that is refused, ends unfilled or is stuck leaves
//! the group half open; its policy says what follows, and [`Book::group_step`] says it. Every step is an event
//! ([`GroupHandled`]), whose fold requests the cancels and approves the orders that it names, so that a restart goes on
//! where the tape ends. A strategy that was stopped with its positions to be closed or handed over is treated alike
//! ([`Book::stop_step`]).
//!
//! Steps are taken until nothing is open or an order that was to close or complete fails itself: then what remains open
//! is stated and nobody tries again by himself. Where a policy does no more than state a failure, the legs that are under
//! way still are watched on, and what becomes of them is stated too.
//!
//! Deliberately absent: the tape, the broker, and whether anything of it may be done now but for a halt (what only
//! reduces always may).

mod failure;

use std::collections::BTreeMap;

use contracts::order_id;
use contracts::v1::{
    Event, GroupHandled, GroupKind, GroupPolicy, OrderSpec, OrderType, PositionTransferred, PositionsFate,
    Side, TimeInForce,
};

use super::apply::check_spec;
use super::{Book, Changes, FoldError, StrategyState};
use crate::money::{E9, Quantity};
use crate::order::{GroupStage, OrderState, signed};
use failure::{Failure, failure};

/// First leg number of orders that close or complete a group.
pub const CLOSING_LEG: u32 = 1_000;
/// Market time after which an order that does not fill while another one of its group has is stuck.
pub const GROUP_PATIENCE_NS: i64 = 5 * 60 * E9;

/// In place of a failure: the strategy was stopped.
const STOPPED: &str = "stopped";

/// What is to be done next.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupStep {
    /// Record this.
    Handle(GroupHandled),
    /// Record these transfers.
    Transfer(Vec<PositionTransferred>),
}

/// Whether a cancel of an order may be asked for at `now_ns` of market time: one that was refused is asked for again after a
/// while, or what it belongs to would stay half open in silence.
#[must_use]
pub fn is_cancel_due(order: &OrderState, now_ns: i64) -> bool {
    order.cancel_refused_ns.is_none_or(|refused_ns| now_ns.saturating_sub(refused_ns) >= GROUP_PATIENCE_NS)
}

impl Book {
    /// Groups that something may have to be done about, by the id of their signal.
    pub fn active_groups(&self) -> impl Iterator<Item = &str> {
        self.groups.keys().map(String::as_str)
    }

    /// The orders of a group: those of the signal, and those that close or complete.
    pub fn group_orders<'book>(&'book self, group_id: &'book str) -> impl Iterator<Item = &'book OrderState> {
        let ids = self.groups.get(group_id).into_iter().flatten();
        ids.filter_map(|order_id| self.order(order_id))
    }

    /// What a step follows from, in one text: the orders of the group, how they stand, and what the step does. The same
    /// after a restart, and another one for each step.
    #[must_use]
    pub fn group_state(&self, handled: &GroupHandled) -> String {
        let of = |order: &OrderState| {
            let asked = if order.cancel_requested { "!" } else { "" };
            format!("{}={}{asked}", order.id(), order.status.name())
        };
        let mut orders: Vec<_> = self.group_orders(&handled.group_id).map(of).collect();
        orders.sort();
        let new: Vec<_> = handled.orders.iter().map(|spec| spec.order_id.as_str()).collect();
        let (cancels, done) = (handled.cancels.join("+"), handled.done);
        let state = format!("{}/{cancels}/{}/{done}", orders.join("+"), new.join("+"));
        // Of two legs that are stuck the orders stand alike.
        let stated =
            self.group_orders(&handled.group_id).any(|order| order.group_stage == GroupStage::Stated);
        let state = if stated { format!("{state}/{}", handled.failed_order_id) } else { state };
        // Asked for again: the orders stand as they did the time before, but for when that was refused.
        let asked = handled.cancels.iter().filter_map(|id| self.order(id));
        let refused_ns = match handled.failure.as_str() {
            "" => asked.filter_map(|order| order.cancel_refused_ns.max(Some(order.updated_ns))).max(),
            STOPPED => asked.filter_map(|order| order.cancel_refused_ns).max(),
            _ => None,
        };
        match refused_ns {
            Some(refused_ns) => format!("{state}/{refused_ns}"),
            None => state,
        }
    }

    pub(super) fn grouped(&self) -> usize {
        self.groups.values().map(Vec::len).sum()
    }

    /// What is to be done next about a group at `now_ns` of market time; `None` while there is nothing.
    #[must_use]
    pub fn group_step(&self, group_id: &str, now_ns: i64) -> Option<GroupHandled> {
        let mut orders: Vec<_> = self.group_orders(group_id).collect();
        // The same order of orders after a restart.
        orders.sort_by(|one, other| (one.spec.leg, one.id()).cmp(&(other.spec.leg, other.id())));
        let stage = orders.iter().map(|order| order.group_stage).max()?;
        match stage {
            GroupStage::Watched | GroupStage::Stated => match failure(&orders, now_ns) {
                Some(failure) => self.first_step(group_id, &orders, &failure),
                None => last_word(group_id, &orders),
            },
            GroupStage::Unwinding | GroupStage::Completing => {
                self.next_step(group_id, &orders, stage, now_ns)
            }
            GroupStage::None | GroupStage::Done => None,
        }
    }

    fn first_step(
        &self,
        group_id: &str,
        orders: &[&OrderState],
        failure: &Failure<'_>,
    ) -> Option<GroupHandled> {
        let stated = failure.order.spec.group_policy();
        let handled = GroupHandled { failure: failure.how.to_owned(), ..report(group_id, failure.order) };
        // What only reduces is not taken back: it is completed.
        let spec = &failure.order.spec;
        let bracket = spec.group() != GroupKind::Unspecified;
        let policy = match stated {
            GroupPolicy::Unwind if spec.reducing && !bracket => GroupPolicy::Complete,
            // A position without its exits is closed, not completed; and a halt opens nothing.
            GroupPolicy::Complete if bracket || (!spec.reducing && self.is_halted(&spec.account)) => {
                GroupPolicy::Unwind
            }
            stated => stated,
        };
        let handled = GroupHandled { policy: policy.into(), ..handled };
        match policy {
            GroupPolicy::Complete => Some(complete(handled, group_id, &[failure.order])),
            GroupPolicy::Unwind => self.unwind(handled, group_id, orders),
            // Without a policy a refusal takes what is left of the others with it first.
            GroupPolicy::Unspecified
                if failure.how == "rejected" && orders.iter().any(|order| is_open(order)) =>
            {
                None
            }
            GroupPolicy::Unspecified | GroupPolicy::Alert => {
                let open = open_in_words(&net(orders));
                let goes_on = |order: &&OrderState| {
                    let is_other = order.spec.leg != failure.order.spec.leg;
                    is_other && is_open(order) && order.group_stage == GroupStage::Watched
                };
                let done = !orders.iter().any(goes_on);
                Some(GroupHandled { done, open, ..handled })
            }
        }
    }

    fn next_step(
        &self,
        group_id: &str,
        orders: &[&OrderState],
        stage: GroupStage,
        now_ns: i64,
    ) -> Option<GroupHandled> {
        let first = orders.iter().find(|order| order.spec.leg < CLOSING_LEG)?;
        let policy = if stage == GroupStage::Unwinding { GroupPolicy::Unwind } else { GroupPolicy::Complete };
        let handled = GroupHandled { policy: policy.into(), ..report(group_id, first) };
        let handled = GroupHandled { failed_order_id: String::new(), ..handled };
        let tried = orders.iter().filter(|order| order.spec.leg >= CLOSING_LEG);
        let failed = tried.clone().find(|order| !is_open(order) && order.unfilled() > Quantity::ZERO);
        if let Some(failed) = failed {
            let (id, stage) = (failed.id(), failed.stage().name());
            let open = format!("order {id} is {stage}; {}", open_in_words(&net(orders)));
            let failed_order_id = id.to_owned();
            return Some(GroupHandled {
                failed_order_id,
                failure: stage.to_owned(),
                done: true,
                open,
                ..handled
            });
        }
        if stage == GroupStage::Completing {
            let missing: Vec<_> = orders
                .iter()
                .filter(|order| order.spec.leg < CLOSING_LEG && !is_open(order))
                .filter(|order| order.unfilled() > Quantity::ZERO)
                .filter(|order| self.order(&order_id(group_id, CLOSING_LEG + order.spec.leg)).is_none())
                .copied()
                .collect();
            if !missing.is_empty() {
                return Some(complete(handled, group_id, &missing));
            }
            let over = orders.iter().all(|order| !is_open(order));
            return over.then_some(GroupHandled { done: true, ..handled });
        }
        let due = |order: &&&OrderState| {
            let is_asked = order.cancel_requested || order.spec.leg >= CLOSING_LEG;
            is_open(order) && !is_asked && is_cancel_due(order, now_ns)
        };
        let cancels: Vec<_> = orders.iter().filter(due).map(|order| order.id().to_owned()).collect();
        if !cancels.is_empty() {
            return Some(GroupHandled { cancels, ..handled });
        }
        if orders.iter().any(|order| is_open(order)) {
            return None;
        }
        self.unwind(handled, group_id, orders)
    }

    /// Cancels what is open; once nothing is, closes what was filled.
    fn unwind(&self, handled: GroupHandled, group_id: &str, orders: &[&OrderState]) -> Option<GroupHandled> {
        let open: Vec<_> = orders.iter().filter(|order| is_open(order)).collect();
        let cancels: Vec<_> =
            open.iter().filter(|order| !order.cancel_requested).map(|order| order.id().to_owned()).collect();
        if !open.is_empty() {
            return Some(GroupHandled { cancels, ..handled });
        }
        let mut closing = Vec::new();
        let mut leg = next_leg(orders);
        let (account, strategy) = (&handled.account, &handled.strategy);
        for (symbol, filled) in net(orders) {
            let held = self.position(account, strategy, &symbol).map_or(Quantity::ZERO, |row| row.quantity);
            // What another order has closed meanwhile is not closed again.
            let shares = if held.0.signum() == filled.0.signum() {
                held.abs().min(filled.abs())
            } else {
                Quantity::ZERO
            };
            if shares > Quantity::ZERO {
                let side = if filled > Quantity::ZERO { Side::Sell } else { Side::Buy };
                closing.push(at_market(group_id, leg, account, strategy, &symbol, side, shares, true));
                leg += 1;
            }
        }
        let done = closing.is_empty();
        Some(GroupHandled { orders: closing, done, ..handled })
    }

    /// What is to be done next about what a stopped strategy holds, as of the last marks; `None` when there is nothing, or
    /// while something is under way.
    #[must_use]
    pub fn stop_step(&self, strategy: &StrategyState) -> Option<GroupStep> {
        let stopping = strategy.stopping.as_ref().filter(|stopping| !stopping.done)?;
        let name = strategy.strategy.as_str();
        let open: Vec<_> = self.open_orders().filter(|order| order.spec.strategy == name).collect();
        let held: Vec<_> = self
            .positions()
            .filter(|row| row.key.strategy == name && row.quantity != Quantity::ZERO)
            .collect();
        let account = held.first().map(|row| row.key.account.as_str());
        let account = account.or(open.first().map(|order| order.spec.account.as_str()));
        let handled = GroupHandled {
            group_id: stopping.event_id.clone(),
            account: account.unwrap_or(&strategy.account).to_owned(),
            strategy: name.to_owned(),
            policy: GroupPolicy::Unwind.into(),
            failure: STOPPED.to_owned(),
            ..GroupHandled::default()
        };
        if !open.is_empty() {
            let due = |order: &&&OrderState| {
                let closes = order.signal_id == stopping.event_id;
                let now_ns = self.marked_ns(&order.spec.account);
                !closes && !order.cancel_requested && is_cancel_due(order, now_ns)
            };
            let cancels: Vec<_> = open.iter().filter(due).map(|order| order.id().to_owned()).collect();
            return (!cancels.is_empty()).then_some(GroupStep::Handle(GroupHandled { cancels, ..handled }));
        }
        if held.is_empty() {
            return Some(GroupStep::Handle(GroupHandled { done: true, ..handled }));
        }
        if stopping.positions() == PositionsFate::HandOver {
            let moved = held.iter().map(|row| PositionTransferred {
                account: row.key.account.clone(),
                symbol: row.key.symbol.clone(),
                from_strategy: name.to_owned(),
                to_strategy: stopping.hand_over_to.clone(),
                quantity_e9: row.quantity.0,
                cost: row.cost.to_wire(),
                actor: String::new(),
                reason: "its strategy was stopped".to_owned(),
            });
            return Some(GroupStep::Transfer(moved.collect()));
        }
        let id_of = |leg: u32| order_id(&stopping.event_id, leg);
        let tried = (CLOSING_LEG..).map(id_of).take_while(|id| self.order(id).is_some()).count();
        if tried > 0 {
            let left: BTreeMap<_, _> =
                held.iter().map(|row| (row.key.symbol.clone(), row.quantity)).collect();
            let open = format!("closing orders ended unfilled; {}", open_in_words(&left));
            return Some(GroupStep::Handle(GroupHandled { done: true, open, ..handled }));
        }
        let orders = (CLOSING_LEG..).zip(&held).map(|(leg, row)| {
            let side = if row.quantity > Quantity::ZERO { Side::Sell } else { Side::Buy };
            let (account, symbol) = (&row.key.account, &row.key.symbol);
            at_market(&stopping.event_id, leg, account, name, symbol, side, row.quantity.abs(), true)
        });
        Some(GroupStep::Handle(GroupHandled { orders: orders.collect(), ..handled }))
    }

    /// Folds a step: requests the cancels, approves the orders, notes where the group stands.
    pub(super) fn handled(
        &mut self,
        handled: &GroupHandled,
        wire: &Event,
        event_ns: i64,
    ) -> Result<Changes, FoldError> {
        for spec in &handled.orders {
            check_spec(spec)?;
        }
        let mut changes = Changes::default();
        let stage = match handled.policy() {
            _ if handled.done => GroupStage::Done,
            GroupPolicy::Complete => GroupStage::Completing,
            GroupPolicy::Unwind => GroupStage::Unwinding,
            GroupPolicy::Alert | GroupPolicy::Unspecified => GroupStage::Stated,
        };
        let stopped = handled.failure == STOPPED;
        for order_id in &handled.cancels {
            if let Some(order) = self.orders.get_mut(order_id) {
                order.cancel_requested = true;
                changes.orders.push(order_id.clone());
            }
        }
        let mut reference = BTreeMap::new();
        for order in self.group_orders(&handled.group_id) {
            reference.insert(order.spec.symbol.clone(), order.reference_price);
        }
        for spec in &handled.orders {
            if self.order(&spec.order_id).is_some() {
                continue;
            }
            let price = reference.get(&spec.symbol).copied().unwrap_or_default();
            let mut order = OrderState::approved(spec.clone(), price, event_ns);
            order.signal_id.clone_from(&handled.group_id);
            order.decision_id.clone_from(&wire.id);
            order.correlation_id.clone_from(&wire.correlation_id);
            order.group_stage = if stopped { GroupStage::None } else { stage };
            changes.orders.push(spec.order_id.clone());
            self.admit(order);
        }
        if stopped {
            let mut strategy = self.strategy_row(&handled.strategy);
            if let Some(stopping) =
                strategy.stopping.as_mut().filter(|stop| stop.event_id == handled.group_id)
            {
                stopping.done = handled.done;
                stopping.open.clone_from(&handled.open);
                let stored = self.store_strategy(strategy, event_ns);
                changes.strategies.extend(stored.strategies);
            }
        } else if stage == GroupStage::Stated {
            let told = |order: &OrderState| !is_open(order) || order.id() == handled.failed_order_id;
            self.set_stage(&handled.group_id, stage, told, &mut changes);
        } else {
            self.set_stage(&handled.group_id, stage, |_| true, &mut changes);
        }
        Ok(changes)
    }

    /// A group whose orders have all ended as they should needs nothing any more; one of which a failure was stated needs a
    /// last word.
    pub(super) fn close_group(&mut self, group_id: &str, changes: &mut Changes) {
        let orders: Vec<_> = self.group_orders(group_id).collect();
        let whole = |order: &&OrderState| !is_open(order) && order.group_stage != GroupStage::Stated;
        if orders.iter().all(whole) && failure(&orders, i64::MIN).is_none() {
            self.set_stage(group_id, GroupStage::Done, |_| true, changes);
        }
    }

    /// Puts those orders of a group into a stage that are of it.
    fn set_stage(
        &mut self,
        group_id: &str,
        stage: GroupStage,
        of: impl Fn(&OrderState) -> bool,
        changes: &mut Changes,
    ) {
        let ids = match stage {
            GroupStage::Done => self.groups.remove(group_id).unwrap_or_default(),
            _ => self.groups.get(group_id).cloned().unwrap_or_default(),
        };
        for order_id in ids {
            let order = self.orders.get_mut(&order_id).or_else(|| self.settled.get_mut(&order_id));
            if let Some(order) = order.filter(|order| order.group_stage != stage && of(order)) {
                order.group_stage = stage;
                if !changes.orders.contains(&order_id) {
                    changes.orders.push(order_id);
                }
            }
        }
    }
}

/// Orders what failed orders did not fill again, at the market; one that is still open is cancelled first.
fn complete(handled: GroupHandled, group_id: &str, failed: &[&OrderState]) -> GroupHandled {
    let cancels = failed.iter().filter(|order| is_open(order)).map(|order| order.id().to_owned()).collect();
    let orders = failed.iter().filter(|order| !is_open(order)).map(|failed| {
        let (spec, leg) = (&failed.spec, CLOSING_LEG + failed.spec.leg);
        let (account, strategy, symbol) = (&spec.account, &spec.strategy, &spec.symbol);
        at_market(group_id, leg, account, strategy, symbol, spec.side(), failed.unfilled(), spec.reducing)
    });
    GroupHandled { cancels, orders: orders.collect(), ..handled }
}

/// The end of a group of which a failure was stated: what else was under way has ended as it should.
fn last_word(group_id: &str, orders: &[&OrderState]) -> Option<GroupHandled> {
    let stated = |order: &&&OrderState| order.group_stage == GroupStage::Stated;
    let first = orders.iter().find(stated)?;
    let over = orders.iter().all(|order| stated(&order) || !is_open(order));
    let handled = GroupHandled { policy: first.spec.group_policy, ..report(group_id, first) };
    let open = open_in_words(&net(orders));
    over.then_some(GroupHandled { failed_order_id: String::new(), done: true, open, ..handled })
}

fn is_open(order: &OrderState) -> bool {
    !order.status.is_ended()
}

fn report(group_id: &str, order: &OrderState) -> GroupHandled {
    GroupHandled {
        group_id: group_id.to_owned(),
        account: order.spec.account.clone(),
        strategy: order.spec.strategy.clone(),
        failed_order_id: order.id().to_owned(),
        ..GroupHandled::default()
    }
}

/// Shares that a group has bought and sold, by symbol.
fn net(orders: &[&OrderState]) -> BTreeMap<String, Quantity> {
    let mut net: BTreeMap<String, Quantity> = BTreeMap::new();
    for order in orders {
        let sum = net.entry(order.spec.symbol.clone()).or_default();
        sum.0 = sum.0.saturating_add(signed(order.spec.side(), order.filled).0);
    }
    net.retain(|_, quantity| *quantity != Quantity::ZERO);
    net
}

fn open_in_words(net: &BTreeMap<String, Quantity>) -> String {
    if net.is_empty() {
        return "nothing was filled".to_owned();
    }
    let words: Vec<_> = net.iter().map(|(symbol, quantity)| format!("{quantity} {symbol}")).collect();
    format!("filled and left open: {}", words.join(", "))
}

fn next_leg(orders: &[&OrderState]) -> u32 {
    let last = orders.iter().map(|order| order.spec.leg).filter(|leg| *leg >= CLOSING_LEG).max();
    last.map_or(CLOSING_LEG, |leg| leg.saturating_add(1))
}

fn at_market(
    group_id: &str,
    leg: u32,
    account: &str,
    strategy: &str,
    symbol: &str,
    side: Side,
    quantity: Quantity,
    reducing: bool,
) -> OrderSpec {
    OrderSpec {
        order_id: order_id(group_id, leg),
        account: account.to_owned(),
        strategy: strategy.to_owned(),
        symbol: symbol.to_owned(),
        side: side.into(),
        order_type: OrderType::Market.into(),
        time_in_force: TimeInForce::Day.into(),
        quantity_e9: quantity.0,
        leg,
        reducing,
        ..OrderSpec::default()
    }
}
