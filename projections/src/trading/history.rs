//! Rows of the tables that only grow: one or two per event, read off the event itself.

use contracts::from_timestamp;
use contracts::v1::event::Body;
use contracts::v1::{
    AccountConfigured, AccountEntry, AccountMarked, AlertRaised, EntryKind, Event, Fill, GroupHandled,
    LimitsSet, PositionTransferred, RiskDecision, Signal, TradingState, Verdict,
};
use domain::book::{Halt, decided_ns};
use domain::money::{Amount, Price, Quantity};
use event_log::Recorded;

use super::names::Named as _;
use super::state::json;
use super::{Trading, at_broker, summary, tables};
use crate::table::{Cell, decimal};

fn money(money: Option<&contracts::v1::Money>) -> Cell {
    decimal(Amount::from_wire(money))
}

impl Trading {
    /// Adds the history of an event that the book has folded.
    /// `realized_before` and `shares_before` are of the position that it is about, before it.
    pub(super) fn history(
        &mut self,
        recorded: &Recorded,
        event_time_ns: i64,
        realized_before: Amount,
        shares_before: Quantity,
    ) {
        let (sequence, event) = (recorded.sequence, &recorded.event);
        let Some(body) = event.body.as_ref() else { return };
        let summary = summary::of(body);
        match body {
            Body::AccountMarked(mark) => {
                self.push(&tables::EQUITY, equity(mark, sequence, event_time_ns));
                return;
            }
            Body::Signal(signal) => {
                let signalled = self.signalled.entry(signal.strategy.clone()).or_default();
                signalled.signals += 1;
                signalled.last_sequence = Some(sequence);
                signalled.last.clone_from(&summary.text);
                self.push(&tables::SIGNALS, signal_row(event, signal, sequence, event_time_ns));
                // What follows from it is execution's: this is where an order's history says who wants other terms.
                if let Some(order_id) = replaced_by_hand(signal) {
                    let text =
                        summary::because(&format!("new terms asked for by {}", signal.actor), &signal.reason);
                    self.order_event(event, order_id, (summary.kind, &text), sequence, event_time_ns);
                }
            }
            Body::RiskDecision(decision) => {
                self.push(&tables::RISK_DECISIONS, decision_row(event, decision, sequence, event_time_ns));
            }
            Body::Fill(fill) => {
                let realized = self
                    .book
                    .position(&fill.account, &fill.strategy, &fill.symbol)
                    .and_then(|position| position.realized_pnl.checked_sub(realized_before))
                    .unwrap_or_default();
                self.push(&tables::FILLS, fill_row(event, fill, realized, sequence, event_time_ns));
            }
            Body::FillCorrected(fill) => {
                let before = (Quantity(fill.quantity_before_e9), fill.commission_before.as_ref());
                let quantity = Quantity(fill.quantity_e9.saturating_sub(before.0.0));
                let fees = difference(fill.commission.as_ref(), before.1);
                let (account, strategy, symbol) = (&fill.account, &fill.strategy, &fill.symbol);
                let realized = self.realized(account, strategy, symbol).0.saturating_sub(realized_before.0);
                let row = Restated {
                    kind: "corrected",
                    order_id: &fill.order_id,
                    number: fill.number,
                    of: [account, strategy, symbol],
                    side: fill.side().short(),
                    quantity,
                    price: Price(fill.price_e9),
                    fees,
                    realized: Amount(realized),
                    execution_id: &fill.execution_id,
                };
                self.push(&tables::FILLS, row.cells(event, sequence, event_time_ns));
            }
            Body::FillBusted(fill) => {
                let (account, strategy, symbol) = (&fill.account, &fill.strategy, &fill.symbol);
                let realized = self.realized(account, strategy, symbol).0.saturating_sub(realized_before.0);
                let row = Restated {
                    kind: "busted",
                    order_id: &fill.order_id,
                    number: fill.number,
                    of: [account, strategy, symbol],
                    side: fill.side().short(),
                    quantity: Quantity(-fill.quantity_e9),
                    price: Price(fill.price_e9),
                    fees: -Amount::from_wire(fill.commission.as_ref()),
                    realized: Amount(realized),
                    execution_id: &fill.execution_id,
                };
                self.push(&tables::FILLS, row.cells(event, sequence, event_time_ns));
            }
            Body::GroupHandled(handled) => {
                self.push(&tables::GROUPS, group_row(event, handled, sequence, event_time_ns));
            }
            Body::PositionTransferred(moved) => {
                self.push(&tables::ENTRIES, transfer_row(event, moved, sequence, event_time_ns));
            }
            Body::AccountEntry(entry) => {
                let row = entry_row(event, entry, shares_before, sequence, event_time_ns);
                self.push(&tables::ENTRIES, row);
            }
            Body::AccountConfigured(config) => {
                self.push(&tables::LIMITS, limits_row(config, sequence, event_time_ns));
            }
            Body::TradingHalted(halt) if halt.strategy.is_empty() => {
                self.halted(&halt.account, &Halt::of(halt, event_time_ns), sequence);
            }
            Body::TradingResumed(resume) if resume.strategy.is_empty() => {
                let who = (resume.actor.as_str(), resume.reason.as_str());
                self.push(&tables::HALTS, halt_row(&resume.account, None, who, event_time_ns, sequence));
            }
            // The switch halts what it kills.
            Body::TradingKilled(kill) if kill.strategy.is_empty() => {
                self.halted(&kill.account, &Halt::of_kill(kill, event_time_ns), sequence);
            }
            Body::LimitsSet(limits) => {
                self.push(&tables::LIMIT_VERSIONS, version_row(event, limits, sequence, event_time_ns));
            }
            Body::AlertRaised(alert) => {
                self.push(&tables::ALERTS, alert_row(event, alert, sequence, event_time_ns));
            }
            Body::BrokerDiffered(differed) => {
                if let Some(alert) = at_broker::alert(differed) {
                    self.push(&tables::ALERTS, alert_row(event, &alert, sequence, event_time_ns));
                }
            }
            // What must hold for all accounts is of none.
            Body::InvariantBroken(broken) => {
                let alert = AlertRaised {
                    kind: format!("invariant_{}", broken.name),
                    detail: broken.detail.clone(),
                    cleared: broken.mended,
                    ..AlertRaised::default()
                };
                self.push(&tables::ALERTS, alert_row(event, &alert, sequence, event_time_ns));
            }
            Body::RiskMeasured(measure) => {
                let account = Cell::from(&measure.account);
                let cells = vec![sequence.into(), event_time_ns.into(), account, json(measure)];
                self.push(&tables::RISK_MEASURES, cells);
                return;
            }
            _ => {}
        }
        if let Some(order_id) = summary.order_id {
            self.order_event(event, order_id, (summary.kind, &summary.text), sequence, event_time_ns);
        }
        let cells = vec![
            sequence.into(),
            (&event.id).into(),
            event_time_ns.into(),
            event.recorded_time.as_ref().and_then(from_timestamp).into(),
            (&event.source).into(),
            summary.kind.into(),
            (&recorded.subject).into(),
            summary.account.into(),
            (&event.correlation_id).into(),
            (&event.causation_id).into(),
            summary.text.into(),
        ];
        self.push(&tables::EVENTS, cells);
    }

    /// Adds to the history of an order that risk denied the new terms for which `asked` is the wish.
    pub(super) fn denied_terms(&mut self, recorded: &Recorded, asked: &Event, event_time_ns: i64) {
        let (Some(Body::RiskDecision(decision)), Some(Body::Signal(signal))) =
            (recorded.event.body.as_ref(), asked.body.as_ref())
        else {
            return;
        };
        if let Some(order_id) = replaced_by_hand(signal).filter(|_| decision.verdict() == Verdict::Denied) {
            let text = summary::because(&format!("new terms denied, {}", decision.rule), &decision.reason);
            let (event, sequence) = (&recorded.event, recorded.sequence);
            self.order_event(event, order_id, ("risk_decision", &text), sequence, event_time_ns);
        }
    }

    /// Adds the halt of an account, or of all, where the book has taken it: one that a stricter one outlasts changes nothing.
    fn halted(&mut self, account: &str, halt: &Halt, sequence: u64) {
        if self.book.own_halt(account, "").as_ref() == Some(halt) {
            let who = (halt.actor.as_str(), halt.reason.as_str());
            self.push(&tables::HALTS, halt_row(account, Some(halt.state), who, halt.since_ns, sequence));
        }
    }

    /// Adds a line to the history of an order: the event's kind and words, and where the order stands after it.
    fn order_event(
        &mut self,
        event: &Event,
        order_id: &str,
        (kind, text): (&str, &str),
        sequence: u64,
        event_time_ns: i64,
    ) {
        let status = self.book.order(order_id).map_or("", |order| order.stage().name());
        let cells = vec![
            sequence.into(),
            (&event.id).into(),
            order_id.into(),
            event_time_ns.into(),
            kind.into(),
            status.into(),
            text.into(),
        ];
        self.push(&tables::ORDER_EVENTS, cells);
    }
}

/// The order of which an operator asks for other terms.
fn replaced_by_hand(signal: &Signal) -> Option<&str> {
    let mut replaced = signal.legs.iter().map(|leg| leg.replaces.as_str());
    replaced.find(|order_id| !order_id.is_empty()).filter(|_| signal.strategy == contracts::MANUAL)
}

fn equity(mark: &AccountMarked, sequence: u64, event_time_ns: i64) -> Vec<Cell> {
    vec![
        sequence.into(),
        (&mark.account).into(),
        event_time_ns.into(),
        money(mark.equity.as_ref()),
        money(mark.cash.as_ref()),
        money(mark.gross_exposure.as_ref()),
        money(mark.net_exposure.as_ref()),
        money(mark.realized_pnl.as_ref()),
        money(mark.unrealized_pnl.as_ref()),
        money(mark.fees.as_ref()),
        mark.session_start.into(),
    ]
}

fn signal_row(event: &Event, signal: &Signal, sequence: u64, event_time_ns: i64) -> Vec<Cell> {
    let first = signal.legs.first();
    vec![
        sequence.into(),
        (&event.id).into(),
        event_time_ns.into(),
        (&signal.strategy).into(),
        first.map_or("", |leg| leg.symbol.as_str()).into(),
        first.map_or_else(String::new, |leg| leg.intent().short()).into(),
        json(&signal.legs),
        json(&signal.indicators),
        (&signal.reason).into(),
        (&event.correlation_id).into(),
        (&event.causation_id).into(),
    ]
}

fn decision_row(event: &Event, decision: &RiskDecision, sequence: u64, event_time_ns: i64) -> Vec<Cell> {
    let of_order = decision.orders.first().map(|order| order.symbol.as_str());
    let symbol = decision.inputs.first().map(|input| input.symbol.as_str()).or(of_order).unwrap_or_default();
    vec![
        sequence.into(),
        (&event.id).into(),
        event_time_ns.into(),
        (&decision.account).into(),
        (&decision.strategy).into(),
        symbol.into(),
        (&decision.signal_id).into(),
        decision.verdict().short().into(),
        (&decision.rule).into(),
        (&decision.reason).into(),
        json(&decision.orders),
        json(&decision.inputs),
        decided_ns(decision, event_time_ns).into(),
    ]
}

fn fill_row(event: &Event, fill: &Fill, realized: Amount, sequence: u64, event_time_ns: i64) -> Vec<Cell> {
    vec![
        sequence.into(),
        (&event.id).into(),
        event_time_ns.into(),
        (&fill.order_id).into(),
        fill.number.into(),
        (&fill.account).into(),
        (&fill.strategy).into(),
        (&fill.symbol).into(),
        fill.side().short().into(),
        decimal(Quantity(fill.quantity_e9)),
        decimal(Price(fill.price_e9)),
        money(fill.commission.as_ref()),
        decimal(Price(fill.slippage_e9)),
        decimal(realized),
        decimal(Quantity(fill.remaining_e9)),
        (&fill.execution_id).into(),
        fill.executed_at.as_ref().and_then(from_timestamp).into(),
        (&event.causation_id).into(),
        fill.ambiguous.into(),
        "fill".into(),
    ]
}

fn difference(now: Option<&contracts::v1::Money>, before: Option<&contracts::v1::Money>) -> Amount {
    Amount(Amount::from_wire(now).0.saturating_sub(Amount::from_wire(before).0))
}

/// A correction or a bust as a row of fills: what it changes.
struct Restated<'event> {
    kind: &'static str,
    order_id: &'event str,
    number: u32,
    /// Account, strategy, symbol.
    of: [&'event str; 3],
    side: String,
    quantity: Quantity,
    price: Price,
    fees: Amount,
    realized: Amount,
    execution_id: &'event str,
}

impl Restated<'_> {
    fn cells(self, event: &Event, sequence: u64, event_time_ns: i64) -> Vec<Cell> {
        let [account, strategy, symbol] = self.of;
        vec![
            sequence.into(),
            (&event.id).into(),
            event_time_ns.into(),
            self.order_id.into(),
            self.number.into(),
            account.into(),
            strategy.into(),
            symbol.into(),
            self.side.into(),
            decimal(self.quantity),
            decimal(self.price),
            decimal(self.fees),
            decimal(Price::ZERO),
            decimal(self.realized),
            decimal(Quantity::ZERO),
            self.execution_id.into(),
            Cell::Null,
            (&event.causation_id).into(),
            false.into(),
            self.kind.into(),
        ]
    }
}

fn group_row(event: &Event, handled: &GroupHandled, sequence: u64, event_time_ns: i64) -> Vec<Cell> {
    vec![
        sequence.into(),
        (&event.id).into(),
        event_time_ns.into(),
        (&handled.group_id).into(),
        (&handled.account).into(),
        (&handled.strategy).into(),
        handled.policy().short().into(),
        (&handled.failed_order_id).into(),
        (&handled.failure).into(),
        json(&handled.cancels),
        json(&handled.orders),
        handled.done.into(),
        (&handled.open).into(),
    ]
}

/// A transfer between strategies: the row names who gave and, as its action, who took.
fn transfer_row(event: &Event, moved: &PositionTransferred, sequence: u64, event_time_ns: i64) -> Vec<Cell> {
    vec![
        sequence.into(),
        (&event.id).into(),
        event_time_ns.into(),
        (&moved.account).into(),
        "transfer".into(),
        (&moved.from_strategy).into(),
        (&moved.symbol).into(),
        decimal(Amount::ZERO),
        decimal(Quantity::ZERO),
        decimal(Quantity::ZERO),
        (&moved.to_strategy).into(),
        decimal(Quantity(moved.quantity_e9)),
        (&moved.actor).into(),
        (&moved.reason).into(),
    ]
}

fn entry_row(
    event: &Event,
    entry: &AccountEntry,
    shares_before: Quantity,
    sequence: u64,
    event_time_ns: i64,
) -> Vec<Cell> {
    // By how much a split changed the position says what a price of before is worth after it.
    let quantity_e9 = match entry.kind() {
        EntryKind::Split => {
            entry.quantity_after_e9.saturating_add(entry.fraction_e9).saturating_sub(shares_before.0)
        }
        _ => entry.quantity_e9,
    };
    vec![
        sequence.into(),
        (&event.id).into(),
        event_time_ns.into(),
        (&entry.account).into(),
        entry.kind().short().into(),
        (&entry.strategy).into(),
        (&entry.symbol).into(),
        money(entry.amount.as_ref()),
        decimal(Quantity(entry.quantity_after_e9)),
        decimal(Quantity(entry.fraction_e9)),
        (&entry.action_id).into(),
        decimal(Quantity(quantity_e9)),
        (&entry.actor).into(),
        (&entry.reason).into(),
    ]
}

fn limits_row(config: &AccountConfigured, sequence: u64, event_time_ns: i64) -> Vec<Cell> {
    vec![
        sequence.into(),
        (&config.account).into(),
        config.version.into(),
        (&config.broker).into(),
        json(&config.limits.unwrap_or_default()),
        json(&config.costs.unwrap_or_default()),
        (&config.actor).into(),
        (&config.reason).into(),
        event_time_ns.into(),
    ]
}

/// `state` is `None` once trading is resumed.
fn halt_row(
    account: &str,
    state: Option<TradingState>,
    (actor, reason): (&str, &str),
    event_time_ns: i64,
    sequence: u64,
) -> Vec<Cell> {
    vec![
        account.into(),
        state.is_some().into(),
        actor.into(),
        reason.into(),
        event_time_ns.into(),
        sequence.into(),
        state.unwrap_or_default().short().into(),
    ]
}

fn version_row(event: &Event, limits: &LimitsSet, sequence: u64, event_time_ns: i64) -> Vec<Cell> {
    let scope = limits.scope.clone().unwrap_or_default();
    vec![
        sequence.into(),
        (&event.id).into(),
        scope.account.into(),
        scope.strategy.into(),
        scope.symbol.into(),
        limits.version.into(),
        json(&limits.limits.clone().unwrap_or_default()),
        (&limits.actor).into(),
        (&limits.reason).into(),
        event_time_ns.into(),
    ]
}

fn alert_row(event: &Event, alert: &AlertRaised, sequence: u64, event_time_ns: i64) -> Vec<Cell> {
    vec![
        sequence.into(),
        (&event.id).into(),
        event_time_ns.into(),
        (&alert.account).into(),
        (&alert.strategy).into(),
        (&alert.kind).into(),
        (&alert.detail).into(),
        alert.cleared.into(),
        (&event.correlation_id).into(),
    ]
}
