//! Rows of the tables that hold the book's present state. [`super::load`] reads them back.

use contracts::v1::{Event, MarkPrice, OrderSpec, RiskTally};
use domain::book::{AccountState, LimitSet, Lots, PendingSignal, PositionState, StrategyState};
use domain::money::{Price, Quantity};
use domain::order::{OrderStage, OrderState};
use serde::Serialize;

use super::Signalled;
use super::names::Named as _;
use crate::table::{Cell, decimal};

/// Proto3-JSON of a contract's type. Writing a plain struct cannot fail; `null` would be refused by a
/// column that demands a value.
pub(super) fn json<T: Serialize>(value: &T) -> Cell {
    serde_json::to_string(value).map_or(Cell::Null, Cell::from)
}

fn optional_price(price_e9: Option<i64>) -> Cell {
    price_e9.map_or(Cell::Null, |price| decimal(Price(price)))
}

pub(super) fn account(row: &AccountState, sequence: u64) -> Vec<Cell> {
    let config = row.config.as_ref();
    let mark = row.mark.as_ref();
    vec![
        (&row.account).into(),
        config.map(|config| config.version).into(),
        config.map(|config| &config.broker).into(),
        config.and_then(|config| config.limits.as_ref()).map_or(Cell::Null, json),
        config.map_or(Cell::Null, |config| json(&config.costs)),
        decimal(row.cash),
        decimal(row.realized_pnl),
        decimal(row.fees),
        decimal(row.deposits),
        decimal(row.dividends),
        mark.map(|mark| mark.event_ns).into(),
        mark.map_or(Cell::Null, |mark| decimal(mark.equity)),
        mark.map_or(Cell::Null, |mark| decimal(mark.gross_exposure)),
        mark.map_or(Cell::Null, |mark| decimal(mark.net_exposure)),
        mark.map_or(Cell::Null, |mark| decimal(mark.unrealized_pnl)),
        mark.map_or(Cell::Null, |mark| json::<Vec<MarkPrice>>(&mark.prices)),
        decimal(row.equity_baseline),
        decimal(row.day_start_equity),
        decimal(row.opened_since_mark),
        sequence.into(),
        config.map_or_else(|| "unspecified".to_owned(), |config| config.kind.short()).into(),
        row.margin_call_ns.into(),
        row.peak_equity.map_or(Cell::Null, decimal),
        json::<Vec<MarkPrice>>(&row.told_prices),
    ]
}

pub(super) fn position(row: &PositionState, lots: Option<&Lots>, sequence: u64) -> Vec<Cell> {
    let none = Lots::default();
    let lots = lots.unwrap_or(&none);
    vec![
        (&row.key.account).into(),
        (&row.key.strategy).into(),
        (&row.key.symbol).into(),
        decimal(row.quantity),
        decimal(row.cost),
        decimal(row.fraction),
        decimal(row.fraction_cost),
        decimal(row.realized_pnl),
        decimal(row.fees),
        decimal(row.dividends),
        row.updated_ns.into(),
        sequence.into(),
        json(&lots.lots),
        decimal(lots.cost()),
        decimal(lots.realized),
    ]
}

/// An order that is asked for, or that risk denied: of an operator's, because there is no order yet.
pub(super) fn request(
    spec: &OrderSpec,
    stage: OrderStage,
    signal: &Event,
    reason: &str,
    sequence: u64,
) -> Vec<Cell> {
    let asked_ns = signal.event_time.as_ref().and_then(contracts::from_timestamp).unwrap_or_default();
    let mut order = OrderState::approved(spec.clone(), Price::ZERO, asked_ns);
    order.signal_id.clone_from(&signal.id);
    order.correlation_id.clone_from(&signal.id);
    reason.clone_into(&mut order.reason);
    order.ended_ns = stage.is_ended().then_some(asked_ns);
    let mut cells = self::order(&order, sequence);
    let place = |name: &str| super::tables::ORDERS.columns.iter().position(|column| column.name == name);
    for (name, cell) in [
        ("status", Cell::from(stage.name())),
        ("stage", Cell::from(stage.name())),
        ("ended", Cell::from(stage.is_ended())),
    ] {
        if let Some(place) = place(name) {
            cells[place] = cell;
        }
    }
    cells
}

pub(super) fn order(row: &OrderState, sequence: u64) -> Vec<Cell> {
    let spec = &row.spec;
    vec![
        (&spec.order_id).into(),
        (&spec.account).into(),
        (&spec.strategy).into(),
        (&spec.symbol).into(),
        spec.side().short().into(),
        spec.order_type().short().into(),
        spec.time_in_force().short().into(),
        decimal(Quantity(spec.quantity_e9)),
        optional_price(spec.limit_price_e9),
        optional_price(spec.stop_price_e9),
        spec.leg.into(),
        spec.reducing.into(),
        row.status.name().into(),
        row.status.is_ended().into(),
        row.cancel_requested.into(),
        decimal(row.filled),
        row.fills.into(),
        decimal(row.filled_value),
        decimal(row.commission),
        json(&row.executions),
        decimal(row.reference_price),
        (&row.client_order_id).into(),
        (&row.broker).into(),
        (&row.broker_order_id).into(),
        (&row.reason).into(),
        (&row.signal_id).into(),
        (&row.decision_id).into(),
        (&row.correlation_id).into(),
        (&row.adjusted_by).into(),
        row.last_sequence.into(),
        row.approved_ns.into(),
        row.submitted_ns.into(),
        row.accepted_ns.into(),
        row.ended_ns.into(),
        row.updated_ns.into(),
        sequence.into(),
        sequence.into(),
        optional_price(spec.trail_price_e9),
        optional_price(spec.trail_rate_e9),
        spec.group().short().into(),
        (&spec.group_id).into(),
        (&spec.parent_id).into(),
        row.triggered_ns.into(),
        row.worked_ns.into(),
        optional_price(row.extreme.map(|price| price.0)),
        row.tradable.map_or(Cell::Null, decimal),
        row.stage().name().into(),
        (&row.resolving).into(),
        row.replace.as_ref().map_or(Cell::Null, json),
        json(&row.chain),
        spec.revision.into(),
        spec.extended_hours.into(),
        optional_price(spec.notional_e9),
        spec.group_policy().short().into(),
        row.group_stage.name().into(),
        row.asked_revision.into(),
        row.cancel_refused_ns.into(),
    ]
}

pub(super) fn strategy(row: &StrategyState, signalled: &Signalled, sequence: u64) -> Vec<Cell> {
    vec![
        (&row.strategy).into(),
        row.registered.into(),
        (&row.kind).into(),
        json(&row.parameters),
        json(&row.symbols),
        (&row.timeframe).into(),
        row.sizing.as_ref().map_or(Cell::Null, json),
        (&row.account).into(),
        row.enabled.into(),
        row.mode.short().into(),
        row.warmed.map(|warmth| warmth.market_sequence).into(),
        row.warmed.map(|warmth| warmth.bars).into(),
        signalled.signals.into(),
        signalled.last_sequence.into(),
        row.last_signal_ns.into(),
        (&signalled.last).into(),
        row.updated_ns.into(),
        sequence.into(),
        json(&row.subjects),
        (&row.consumer).into(),
        row.group_policy.short().into(),
        row.stopping.as_ref().map_or(Cell::Null, json),
    ]
}

pub(super) fn limit_set(row: &LimitSet, sequence: u64) -> Vec<Cell> {
    vec![
        (&row.scope.account).into(),
        (&row.scope.strategy).into(),
        (&row.scope.symbol).into(),
        row.version.into(),
        json(&row.limits),
        (&row.actor).into(),
        (&row.reason).into(),
        row.since_ns.into(),
        sequence.into(),
    ]
}

pub(super) fn tally(row: &RiskTally, sequence: u64) -> Vec<Cell> {
    vec![(&row.account).into(), (&row.strategy).into(), json(row), sequence.into()]
}

/// `pending` is `None` once the signal is decided.
pub(super) fn pending(signal_id: &str, pending: Option<&PendingSignal>, sequence: u64) -> Vec<Cell> {
    vec![
        signal_id.into(),
        pending.is_none().into(),
        pending.map_or(Cell::Null, |signal| Cell::Bytes(contracts::encode(&signal.event))),
        sequence.into(),
    ]
}
