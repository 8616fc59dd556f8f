//! One event into the book. Every branch works out its new rows first and stores them last, so that an
//! error leaves the book as it was.

use contracts::v1::event::Body;
use contracts::v1::{
    AccountConfigured, AccountMarked, Event, Fill, GroupKind, OrderSpec, RiskDecision, Side,
};

use super::restate::Correction;
use super::{AccountConfig, AccountState, Book, Changes, FoldError, Halt, Mark, PositionKey, PositionState};
use crate::money::{Amount, Price, Quantity};
use crate::order::{GroupStage, OrderState, Replacement, signed};

impl Book {
    pub(super) fn fold(&mut self, sequence: u64, event: &Event) -> Result<Changes, FoldError> {
        let event_ns = event.event_time.as_ref().and_then(contracts::from_timestamp);
        let event_ns = event_ns.ok_or_else(|| FoldError::field("event_time", "missing or out of range"))?;
        let body = event.body.as_ref().ok_or_else(|| FoldError::field("body", "missing"))?;
        match body {
            Body::Signal(signal) => Ok(self.signalled(signal, sequence, event, event_ns)),
            Body::RiskDecision(decision) => self.decided(decision, event, event_ns),
            Body::OrderSubmitted(submitted) => {
                let spec = submitted.order.as_ref();
                let spec = spec.ok_or_else(|| FoldError::field("order_submitted.order", "missing"))?;
                self.order_event(&spec.order_id, Some((spec, event)), sequence, event_ns, body)
            }
            Body::OrderAccepted(_)
            | Body::OrderRejected(_)
            | Body::OrderCancelRequested(_)
            | Body::OrderCancelled(_)
            | Body::OrderCancelRejected(_)
            | Body::OrderReplaceRequested(_)
            | Body::OrderReplaced(_)
            | Body::OrderReplaceRejected(_)
            | Body::OrderExpired(_)
            | Body::OrderSuspended(_)
            | Body::OrderAdjusted(_)
            | Body::OrderTriggered(_)
            | Body::OrderTrailed(_)
            | Body::OrderUnresolved(_) => {
                let order_id = contracts::order_of(body).unwrap_or_default();
                self.order_event(order_id, None, sequence, event_ns, body)
            }
            Body::Fill(fill) => self.filled(fill, sequence, event_ns, body),
            Body::FillCorrected(fill) => self.restated(&Correction::of(fill), sequence, event_ns, body),
            Body::FillBusted(fill) => self.restated(&Correction::void(fill), sequence, event_ns, body),
            Body::GroupHandled(handled) => self.handled(handled, event, event_ns),
            Body::PositionTransferred(moved) => self.transferred(moved, event_ns),
            Body::AccountMarked(mark) => Ok(self.marked(mark, event_ns)),
            Body::AccountEntry(entry) => self.entry(entry, event_ns),
            Body::MarginCalled(call) => Ok(self.set_margin_call(&call.account, Some(event_ns))),
            Body::MarginRestored(call) => Ok(self.set_margin_call(&call.account, None)),
            Body::AccountConfigured(config) => Ok(self.configured(config)),
            Body::TradingHalted(halt) if !halt.strategy.is_empty() => {
                Ok(self.strategy_halted(halt, event_ns))
            }
            Body::TradingHalted(halt) => Ok(self.halted(&halt.account, Halt::of(halt, event_ns))),
            Body::TradingResumed(resume) => {
                let changes = self.resumed(resume);
                if !resume.strategy.is_empty() {
                    return Ok(changes);
                }
                Ok(Changes { tallies: changes.tallies, ..self.set_halt(&resume.account, None) })
            }
            Body::TradingKilled(kill) => Ok(self.killed(&event.id, kill, event_ns)),
            Body::LimitsSet(limits) => Ok(self.limited(limits, event_ns)),
            Body::BreakerTripped(tripped) => Ok(self.breaker_tripped(tripped, event_ns)),
            Body::BreakerReset(reset) => Ok(self.breaker_reset(reset)),
            // The monitor's: what it measured is in the read model, no decision looks at it.
            Body::AlertRaised(_) | Body::RiskMeasured(_) => Ok(Changes::default()),
            Body::StrategyRegistered(registered) => Ok(self.registered(registered, event_ns)),
            Body::StrategyEnabled(enabled) => Ok(self.enabled(enabled, event_ns)),
            Body::StrategyDisabled(disabled) => Ok(self.disabled(disabled, &event.id, event_ns)),
            Body::StrategyRemoved(removed) => Ok(self.removed(removed, event_ns)),
            Body::StrategyWarmed(warmed) => Ok(self.warmed(warmed, event_ns)),
            Body::BrokerReconciled(reconciled) => Ok(self.reconciled(reconciled, event_ns)),
            // What a reconciliation did are events of their own; these state it, and who may trade with real money.
            Body::BrokerAttached(_)
            | Body::BrokerDiffered(_)
            | Body::LiveTradingConfirmed(_)
            | Body::LiveTradingRevoked(_) => Ok(Changes::default()),
            // An alert changes nothing.
            Body::InvariantBroken(_) => Ok(Changes::default()),
            // Of the read models, not of trading.
            Body::ProjectionRequested(_) | Body::ProjectionFinished(_) => Ok(Changes::default()),
            // Of research: a backtest has an account of its own.
            Body::BacktestRequested(_)
            | Body::BacktestStarted(_)
            | Body::BacktestCancelRequested(_)
            | Body::BacktestFinished(_) => Ok(Changes::default()),
            _ => Err(FoldError::Foreign),
        }
    }

    pub(super) fn account_row(&self, account: &str) -> AccountState {
        self.accounts.get(account).cloned().unwrap_or_else(|| AccountState::new(account))
    }

    pub(super) fn position_row(&self, key: PositionKey) -> PositionState {
        self.positions.get(&key).cloned().unwrap_or_else(|| PositionState::new(key))
    }

    pub(super) fn store_account(&mut self, account: AccountState) -> Changes {
        let name = account.account.clone();
        self.accounts.insert(name.clone(), account);
        Changes { accounts: vec![name], ..Changes::default() }
    }

    pub(super) fn store_position(&mut self, position: PositionState, changes: &mut Changes) {
        changes.positions.push(position.key.clone());
        self.positions.insert(position.key.clone(), position);
    }

    fn configured(&mut self, event: &AccountConfigured) -> Changes {
        let mut account = self.account_row(&event.account);
        account.config = Some(AccountConfig {
            version: event.version,
            broker: event.broker.clone(),
            limits: event.limits,
            costs: event.costs.unwrap_or_default(),
            kind: event.kind(),
        });
        self.store_account(account)
    }

    fn set_margin_call(&mut self, account: &str, since_ns: Option<i64>) -> Changes {
        let mut row = self.account_row(account);
        row.margin_call_ns = since_ns;
        self.store_account(row)
    }

    pub(super) fn set_halt(&mut self, account: &str, halt: Option<Halt>) -> Changes {
        if account.is_empty() {
            self.halt = halt;
            return Changes { halt: true, ..Changes::default() };
        }
        let mut row = self.account_row(account);
        row.halt = halt;
        self.store_account(row)
    }

    fn marked(&mut self, event: &AccountMarked, event_ns: i64) -> Changes {
        let mut account = self.account_row(&event.account);
        let amount = |money: &Option<contracts::v1::Money>| Amount::from_wire(money.as_ref());
        let mark = Mark {
            event_ns,
            equity: amount(&event.equity),
            gross_exposure: amount(&event.gross_exposure),
            net_exposure: amount(&event.net_exposure),
            unrealized_pnl: amount(&event.unrealized_pnl),
            prices: event.prices.clone(),
        };
        account.marked(mark, event.session_start);
        self.store_account(account)
    }

    pub(super) fn decided(
        &mut self,
        event: &RiskDecision,
        wire: &Event,
        event_ns: i64,
    ) -> Result<Changes, FoldError> {
        let mut orders = Vec::with_capacity(event.orders.len());
        for spec in &event.orders {
            check_spec(spec)?;
            match self.order(&spec.order_id) {
                // New terms of an order that is under way.
                Some(known) if spec.revision > known.spec.revision => {
                    let mut order = known.clone();
                    order.ask(Replacement::of(spec, &wire.id));
                    orders.push(order);
                }
                Some(_) => {}
                // It has ended and left memory; new terms make no order of their own.
                None if spec.revision > 0 => {
                    return Err(FoldError::OrderNotLoaded { order_id: spec.order_id.clone() });
                }
                None => orders.push(self.approved(event, wire, event_ns, spec)),
            }
        }
        let mut changes = Changes::default();
        if self.pending.remove(&event.signal_id).is_some() {
            changes.signals.push(event.signal_id.clone());
        }
        self.approvals.decided(event, event_ns);
        for order in orders {
            changes.orders.push(order.id().to_owned());
            self.admit(order);
        }
        // The decision is the request: what its orders take the place of has to go.
        for order_id in &event.cancels {
            if self.orders.contains_key(order_id) {
                self.expect_cancel(order_id);
                changes.orders.push(order_id.clone());
            }
        }
        Ok(changes)
    }

    /// An order as a decision approves it.
    pub(super) fn approved(
        &self,
        event: &RiskDecision,
        wire: &Event,
        event_ns: i64,
        spec: &OrderSpec,
    ) -> OrderState {
        let input = event.inputs.iter().find(|input| input.leg == spec.leg);
        let reference = Price(input.map_or(0, |input| input.price_e9));
        let mut order = OrderState::approved(spec.clone(), reference, event_ns);
        order.signal_id.clone_from(&event.signal_id);
        order.decision_id.clone_from(&wire.id);
        order.correlation_id.clone_from(&wire.correlation_id);
        if let Some(entry) = event.orders.iter().find(|entry| entry.order_id == spec.parent_id) {
            order.tradable = Some(awaits(spec, entry));
        }
        if event.orders.len() > 1 {
            order.group_stage = GroupStage::Watched;
        }
        // Approved by a decision that did not know of the stop: it is never sent.
        order.cancel_requested = self.is_stopped(&spec.account, &spec.strategy, spec.reducing);
        order
    }

    /// Folds an event of an order. `origin` is the terms and the event of a submission, with which an
    /// operator's order, that no risk decision approved, begins.
    fn order_event(
        &mut self,
        order_id: &str,
        origin: Option<(&OrderSpec, &Event)>,
        sequence: u64,
        event_ns: i64,
        body: &Body,
    ) -> Result<Changes, FoldError> {
        let mut order = match (self.order(order_id), origin) {
            (Some(order), _) => order.clone(),
            (None, Some((spec, event))) => {
                check_spec(spec)?;
                let reference = Price(spec.limit_price_e9.unwrap_or_default());
                let mut order = OrderState::approved(spec.clone(), reference, event_ns);
                order.decision_id.clone_from(&event.causation_id);
                order.correlation_id.clone_from(&event.correlation_id);
                order
            }
            (None, None) => return Err(FoldError::OrderNotLoaded { order_id: order_id.to_owned() }),
        };
        order.evolve(sequence, event_ns, body)?;
        let mut changes = Changes { orders: vec![order_id.to_owned()], ..Changes::default() };
        let refused = match body {
            Body::OrderAccepted(_) => Some(false),
            Body::OrderRejected(_) | Body::OrderCancelRejected(_) | Body::OrderReplaceRejected(_) => {
                Some(true)
            }
            _ => None,
        };
        if let Some(refused) = refused {
            self.tally_answer(&order.spec.account, refused, &mut changes);
        }
        let ended = order.group_stage == GroupStage::Watched && order.status.is_ended();
        let group = ended.then(|| order.signal_id.clone());
        self.admit(order);
        if let Some(group) = group {
            self.close_group(&group, &mut changes);
        }
        Ok(changes)
    }

    fn filled(
        &mut self,
        fill: &Fill,
        sequence: u64,
        event_ns: i64,
        body: &Body,
    ) -> Result<Changes, FoldError> {
        let known = self.order(&fill.order_id);
        let known = known.ok_or_else(|| FoldError::OrderNotLoaded { order_id: fill.order_id.clone() })?;
        let mut order = known.clone();
        order.evolve(sequence, event_ns, body)?;
        if fill.side() == Side::Unspecified {
            return Err(FoldError::field("fill.side", "unspecified, expected buy or sell"));
        }
        let commission = Amount::from_wire(fill.commission.as_ref());
        let mut account = self.account_row(&fill.account);
        let mut position = self.position_row(PositionKey::new(&fill.account, &fill.strategy, &fill.symbol));
        let before = position.clone();
        let traded = position.trade(signed(fill.side(), Quantity(fill.quantity_e9)), Price(fill.price_e9))?;
        position.add_fees(commission)?;
        position.updated_ns = event_ns;
        account.traded(traded, commission)?;
        let change = signed(fill.side(), Quantity(fill.quantity_e9));
        self.lots.entry(position.key.clone()).or_default().trade(change, Price(fill.price_e9), event_ns);

        let mut changes = self.store_account(account);
        self.tally_trade(&before, &position, &mut changes);
        self.store_position(position, &mut changes);
        changes.orders.push(fill.order_id.clone());
        self.release(&order, Quantity(fill.quantity_e9), event_ns, &mut changes);
        let ended = order.group_stage == GroupStage::Watched && order.status.is_ended();
        let group = ended.then(|| order.signal_id.clone());
        self.admit(order);
        if let Some(group) = group {
            self.close_group(&group, &mut changes);
        }
        Ok(changes)
    }
}

impl Book {
    /// A fill of an order changes what the others of its group may trade: the exits of an entry may trade
    /// what it filled, and of two exits each may trade what the other left.
    fn release(&mut self, filled: &OrderState, quantity: Quantity, event_ns: i64, changes: &mut Changes) {
        if filled.spec.group() == GroupKind::Unspecified {
            return;
        }
        let (id, group) = (filled.id(), filled.spec.group_id.as_str());
        let others =
            self.orders.values_mut().filter(|other| other.spec.group_id == group && other.id() != id);
        for other in others {
            let change = if other.spec.parent_id == id {
                quantity.0
            } else if filled.spec.parent_id == other.id() {
                continue;
            } else {
                -quantity.0
            };
            if let Some(tradable) = other.tradable.as_mut() {
                tradable.0 = tradable.0.saturating_add(change);
                other.worked_ns = Some(event_ns);
                changes.orders.push(other.id().to_owned());
            }
        }
    }
}

/// What an exit may trade before its entry fills. Where that is for more shares it closes a position first, and the exit has
/// nothing to close until it has: it owes the difference.
fn awaits(exit: &OrderSpec, entry: &OrderSpec) -> Quantity {
    Quantity(exit.quantity_e9.saturating_sub(entry.quantity_e9).min(0))
}

/// What an order must state before anything may be counted on it.
pub(super) fn check_spec(spec: &OrderSpec) -> Result<(), FoldError> {
    if spec.order_id.is_empty() {
        return Err(FoldError::field("order.order_id", "empty, expected the order's id"));
    }
    if spec.quantity_e9 <= 0 {
        let quantity = Quantity(spec.quantity_e9);
        return Err(FoldError::field("order.quantity_e9", format!("{quantity}, expected a positive value")));
    }
    if spec.side() == Side::Unspecified {
        return Err(FoldError::field("order.side", "unspecified, expected buy or sell"));
    }
    Ok(())
}
