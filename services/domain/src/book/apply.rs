//! One event into the book. Every branch works out its new rows first and stores them last, so that an
//! error leaves the book as it was.

use contracts::chain_id::is_foreign;
use contracts::v1::event::Body;
use contracts::v1::{
    AccountConfigured, AccountMarked, Event, Fill, GroupKind, OrderSpec, PositionsFate, RiskDecision, Side,
    StrategyDisabled, StrategyMode, StrategyRegistered,
};

use super::restate::Correction;
use super::{AccountConfig, AccountState, Book, Changes, FoldError, Halt, Mark, PendingSignal};
use super::{PositionKey, PositionState, Stopping, StrategyState, Warmth};
use crate::money::{Amount, Price, Quantity};
use crate::order::{GroupStage, OrderState, Replacement, signed};

/// Signals without a decision from which on one that is parked for its id is not kept: it would wait for ever, and every
/// copy of the book holds it.
const PENDING_MANY: usize = 256;

impl Book {
    pub(super) fn fold(&mut self, sequence: u64, event: &Event) -> Result<Changes, FoldError> {
        let event_ns = event.event_time.as_ref().and_then(contracts::from_timestamp);
        let event_ns = event_ns.ok_or_else(|| FoldError::field("event_time", "missing or out of range"))?;
        let body = event.body.as_ref().ok_or_else(|| FoldError::field("body", "missing"))?;
        match body {
            Body::Signal(signal) => {
                let mut changes = Changes::default();
                // An operator is no strategy.
                if signal.strategy != contracts::MANUAL {
                    let mut strategy = self.strategy_row(&signal.strategy);
                    strategy.last_signal_ns = Some(event_ns);
                    changes = self.store_strategy(strategy, event_ns);
                }
                // One under another strategy's id is parked, and takes the place of none that will be decided.
                let crowded = self.pending.len() >= PENDING_MANY || self.pending.contains_key(&event.id);
                if !crowded || !is_foreign(event, &signal.strategy) {
                    let pending = PendingSignal { sequence, event: event.clone() };
                    self.pending.insert(event.id.clone(), pending.into());
                }
                Ok(Changes { signals: vec![event.id.clone()], ..changes })
            }
            Body::RiskDecision(decision) => self.decided(decision, event, event_ns),
            Body::OrderSubmitted(submitted) => {
                let spec = submitted.order.as_ref();
                let spec = spec.ok_or_else(|| FoldError::field("order_submitted.order", "missing"))?;
                self.order_event(&spec.order_id, Some((spec, event)), sequence, event_ns, body)
            }
            Body::OrderAccepted(order) => self.order_event(&order.order_id, None, sequence, event_ns, body),
            Body::OrderRejected(order) => self.order_event(&order.order_id, None, sequence, event_ns, body),
            Body::OrderCancelRequested(order) => {
                self.order_event(&order.order_id, None, sequence, event_ns, body)
            }
            Body::OrderCancelled(order) => self.order_event(&order.order_id, None, sequence, event_ns, body),
            Body::OrderCancelRejected(order) => {
                self.order_event(&order.order_id, None, sequence, event_ns, body)
            }
            Body::OrderReplaceRequested(order) => {
                self.order_event(&order.order_id, None, sequence, event_ns, body)
            }
            Body::OrderReplaced(order) => self.order_event(&order.order_id, None, sequence, event_ns, body),
            Body::OrderReplaceRejected(order) => {
                self.order_event(&order.order_id, None, sequence, event_ns, body)
            }
            Body::OrderExpired(order) => self.order_event(&order.order_id, None, sequence, event_ns, body),
            Body::OrderSuspended(order) => self.order_event(&order.order_id, None, sequence, event_ns, body),
            Body::OrderAdjusted(order) => self.order_event(&order.order_id, None, sequence, event_ns, body),
            Body::OrderTriggered(order) => self.order_event(&order.order_id, None, sequence, event_ns, body),
            Body::OrderTrailed(order) => self.order_event(&order.order_id, None, sequence, event_ns, body),
            Body::OrderUnresolved(order) => self.order_event(&order.order_id, None, sequence, event_ns, body),
            Body::Fill(fill) => self.filled(fill, sequence, event_ns, body),
            Body::FillCorrected(event) => {
                let amount = |money: &Option<contracts::v1::Money>| Amount::from_wire(money.as_ref());
                let (before, after) = (
                    (
                        Quantity(event.quantity_before_e9),
                        Price(event.price_before_e9),
                        amount(&event.commission_before),
                    ),
                    (Quantity(event.quantity_e9), Price(event.price_e9), amount(&event.commission)),
                );
                let key = PositionKey::new(&event.account, &event.strategy, &event.symbol);
                let (order_id, side, stated) =
                    (event.order_id.as_str(), event.side(), event.position.as_ref());
                let correction = Correction { order_id, key, side, before, after, stated };
                self.restated(&correction, sequence, event_ns, body)
            }
            Body::FillBusted(event) => {
                let price = Price(event.price_e9);
                let before =
                    (Quantity(event.quantity_e9), price, Amount::from_wire(event.commission.as_ref()));
                let after = (Quantity::ZERO, price, Amount::ZERO);
                let key = PositionKey::new(&event.account, &event.strategy, &event.symbol);
                let (order_id, side, stated) =
                    (event.order_id.as_str(), event.side(), event.position.as_ref());
                let correction = Correction { order_id, key, side, before, after, stated };
                self.restated(&correction, sequence, event_ns, body)
            }
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
            Body::TradingHalted(halt) => {
                let (actor, reason, state) = (halt.actor.clone(), halt.reason.clone(), halt.state());
                Ok(self.set_halt(&halt.account, Some(Halt { actor, reason, since_ns: event_ns, state })))
            }
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
            Body::StrategyEnabled(enabled) => {
                let mut strategy = self.strategy_row(&enabled.strategy);
                strategy.enabled = true;
                strategy.mode = enabled.mode();
                // In shadow mode it manages nothing: what was said of its positions goes on.
                let goes_on = enabled.mode() == StrategyMode::Shadow;
                strategy.stopping = strategy.stopping.take().filter(|stop| goes_on && !stop.done);
                Ok(self.store_strategy(strategy, event_ns))
            }
            Body::StrategyDisabled(disabled) => {
                let mut strategy = self.strategy_row(&disabled.strategy);
                strategy.enabled = false;
                // A stop that says nothing of the positions takes back nothing of what is under way.
                let under_way = strategy.stopping.take().filter(|stop| !stop.done);
                strategy.stopping = stopping(disabled, &event.id, event_ns).or(under_way);
                Ok(self.store_strategy(strategy, event_ns))
            }
            Body::StrategyRemoved(removed) => {
                let mut strategy = self.strategy_row(&removed.strategy);
                (strategy.registered, strategy.enabled) = (false, false);
                // Registered again under its name, it has to be enabled again.
                strategy.mode = StrategyMode::Unspecified;
                Ok(self.store_strategy(strategy, event_ns))
            }
            Body::StrategyWarmed(warmed) => {
                let mut strategy = self.strategy_row(&warmed.strategy);
                let (market_sequence, bars) = (warmed.market_sequence, warmed.bars);
                strategy.warmed = Some(Warmth { market_sequence, bars });
                Ok(self.store_strategy(strategy, event_ns))
            }
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

    pub(super) fn strategy_row(&self, strategy: &str) -> StrategyState {
        self.strategies.get(strategy).cloned().unwrap_or_else(|| StrategyState::new(strategy))
    }

    pub(super) fn store_strategy(&mut self, mut strategy: StrategyState, event_ns: i64) -> Changes {
        strategy.updated_ns = event_ns;
        let name = strategy.strategy.clone();
        self.strategies.insert(name.clone(), strategy);
        Changes { strategies: vec![name], ..Changes::default() }
    }

    fn registered(&mut self, event: &StrategyRegistered, event_ns: i64) -> Changes {
        let mut strategy = self.strategy_row(&event.strategy);
        strategy.registered = true;
        strategy.kind.clone_from(&event.kind);
        strategy.parameters.clone_from(&event.parameters);
        strategy.symbols.clone_from(&event.symbols);
        strategy.timeframe.clone_from(&event.timeframe);
        strategy.subjects.clone_from(&event.subjects);
        strategy.consumer.clone_from(&event.consumer);
        strategy.sizing = event.sizing;
        strategy.account.clone_from(&event.account);
        strategy.group_policy = event.group_policy();
        self.store_strategy(strategy, event_ns)
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

/// How a strategy was stopped, where the event says what becomes of its positions.
fn stopping(event: &StrategyDisabled, event_id: &str, at_ns: i64) -> Option<Stopping> {
    let fate = event.positions();
    (fate != PositionsFate::Unspecified).then(|| Stopping {
        event_id: event_id.to_owned(),
        fate: fate.into(),
        hand_over_to: event.hand_over_to.clone(),
        at_ns,
        done: fate == PositionsFate::Keep,
        open: String::new(),
    })
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
