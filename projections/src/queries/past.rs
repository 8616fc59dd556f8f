//! Rows of the past: what the queries of positions, accounts, orders and strategies read from the read model, from a
//! book.

use contracts::v1::TradingState;
use domain::book::{AccountState, Book, PositionState, StrategyState};
use domain::money::{Price, Quantity};
use domain::order::OrderState;

use super::accounts::{AccountRow, PositionRow, after_splits, by_symbol, standing, value_position};
use super::orders::{OrderFilter, OrderRow, RevisionRow, average};
use super::strategies::{Earned, StrategyRow};
use super::turn::{Cursor, Part, Turn};
use crate::as_of::{OrderSeen, StrategySeen};
use crate::trading::names::Named as _;

/// One position, valued at the last mark that the book holds; `splits` are those of its symbol since then.
pub(crate) fn position(
    book: &Book,
    row: &PositionState,
    splits: impl Iterator<Item = (Quantity, Quantity)>,
    sequence: u64,
) -> PositionRow {
    let mark = book.account(&row.key.account).and_then(|account| account.mark.as_ref());
    let marked = mark.and_then(|mark| by_symbol(&mark.prices).get(&row.key.symbol).copied());
    let marked = marked.map(|(price, time_ns)| (after_splits(price, splits), time_ns));
    let lots = book.lots(&row.key).cloned().unwrap_or_default();
    value_position(row.clone(), (lots.cost(), lots.realized), marked, sequence)
}

/// One account.
pub(crate) fn account(book: &Book, row: &AccountState, sequence: u64) -> AccountRow {
    let config = row.config.as_ref();
    let mark = row.mark.as_ref();
    // Its own halt tells more than that of all.
    let halts = row.halt.iter().chain(book.halt());
    let halts = halts.map(|halt| (halt.state == TradingState::Halted, halt.reason.clone()));
    let (state, halt_reason) = standing(halts, book.tally(&row.account, ""));
    AccountRow {
        account: row.account.clone(),
        limits_version: config.map(|config| config.version),
        broker: config.map(|config| config.broker.clone()).unwrap_or_default(),
        limits: config.and_then(|config| config.limits),
        costs: config.map(|config| config.costs),
        cash: row.cash,
        realized_pnl: row.realized_pnl,
        fees: row.fees,
        deposits: row.deposits,
        dividends: row.dividends,
        marked_ns: mark.map(|mark| mark.event_ns),
        equity: mark.map(|mark| mark.equity),
        gross_exposure: mark.map(|mark| mark.gross_exposure),
        net_exposure: mark.map(|mark| mark.net_exposure),
        unrealized_pnl: mark.map(|mark| mark.unrealized_pnl),
        day_pnl: row.day_pnl(),
        day_start_equity: row.day_start_equity,
        state,
        halt_reason,
        sequence,
        prices: mark.map(|mark| mark.prices.clone()).unwrap_or_default(),
    }
}

/// One order.
pub(crate) fn order(row: &OrderState, seen: &OrderSeen) -> OrderRow {
    let spec = &row.spec;
    let shares = i128::from(row.filled.0);
    let slippage = (shares > 0).then(|| half_away(seen.slipped, shares)).flatten();
    OrderRow {
        order_id: spec.order_id.clone(),
        account: spec.account.clone(),
        strategy: spec.strategy.clone(),
        symbol: spec.symbol.clone(),
        side: spec.side().short(),
        order_type: spec.order_type().short(),
        time_in_force: spec.time_in_force().short(),
        quantity: Quantity(spec.quantity_e9),
        limit_price: spec.limit_price_e9.map(Price),
        stop_price: spec.stop_price_e9.map(Price),
        trail_price: spec.trail_price_e9.map(Price),
        trail_rate: spec.trail_rate_e9.map(Price),
        group_kind: spec.group().short(),
        group_id: spec.group_id.clone(),
        parent_id: spec.parent_id.clone(),
        triggered_ns: row.triggered_ns,
        leg: spec.leg.into(),
        reducing: spec.reducing,
        status: row.stage().name().to_owned(),
        ended: row.status.is_ended(),
        cancel_requested: row.cancel_requested,
        filled: row.filled,
        average_price: average(row.filled_value, row.filled),
        commission: row.commission,
        slippage,
        reason: row.reason.clone(),
        client_order_id: row.client_order_id.clone(),
        broker: row.broker.clone(),
        broker_order_id: row.broker_order_id.clone(),
        signal_id: row.signal_id.clone(),
        decision_id: row.decision_id.clone(),
        correlation_id: row.correlation_id.clone(),
        approved_ns: row.approved_ns,
        ended_ns: row.ended_ns,
        updated_ns: row.updated_ns,
        first_sequence: seen.first_sequence,
        sequence: seen.sequence,
        extended_hours: spec.extended_hours,
        notional: spec.notional_e9.map(Price),
        revision: spec.revision.into(),
        chain: row.chain.iter().map(RevisionRow::of).collect(),
        replacement: row.replace.as_ref().map(RevisionRow::asked),
        group_policy: spec.group_policy().short(),
        group_stage: row.group_stage.name().to_owned(),
    }
}

/// A part of orders, in the order of the list of the present.
pub(crate) fn orders(
    rows: impl Iterator<Item = OrderRow>,
    filter: &OrderFilter,
    turn: Turn,
    limit: u32,
) -> Part<OrderRow> {
    let place = |row: &OrderRow| Cursor { time_ns: row.approved_ns, sequence: row.first_sequence };
    let is_there = |row: &OrderRow| match turn {
        Turn::Newest => true,
        Turn::Before(cursor) => place(row) < cursor,
        Turn::After(cursor) => place(row) > cursor,
    };
    let mut rows: Vec<OrderRow> = rows.filter(|row| is_wanted(row, filter) && is_there(row)).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(place(row)));
    if matches!(turn, Turn::After(_)) {
        rows.reverse();
    }
    turn.part(rows, limit, place)
}

/// Whether a list with this filter shows the order.
fn is_wanted(row: &OrderRow, filter: &OrderFilter) -> bool {
    let is = |wanted: &Option<String>, value: &str| wanted.as_ref().is_none_or(|wanted| wanted == value);
    is(&filter.account, &row.account)
        && is(&filter.strategy, &row.strategy)
        && is(&filter.symbol, &row.symbol)
        && is(&filter.status, &row.status)
        && is(&filter.side, &row.side)
        && filter.open.is_none_or(|open| open != row.ended)
        && filter.from_ns.is_none_or(|from_ns| row.approved_ns >= from_ns)
        && filter.to_ns.is_none_or(|to_ns| row.approved_ns < to_ns)
}

/// One strategy; `positions` are those of all.
pub(crate) fn strategy(row: &StrategyState, seen: &StrategySeen, positions: &[PositionRow]) -> StrategyRow {
    let mut earned = Earned::default();
    for position in positions.iter().filter(|position| position.strategy == row.strategy) {
        earned.add(position);
    }
    StrategyRow {
        strategy: row.strategy.clone(),
        registered: row.registered,
        kind: row.kind.clone(),
        parameters: row.parameters.clone(),
        symbols: row.symbols.clone(),
        timeframe: row.timeframe.clone(),
        subjects: row.subjects.clone(),
        consumer: row.consumer.clone(),
        sizing: row.sizing,
        account: row.account.clone(),
        enabled: row.enabled,
        mode: row.mode.short(),
        warmed_sequence: row.warmed.map(|warmth| warmth.market_sequence),
        warmed_bars: row.warmed.map(|warmth| warmth.bars),
        signals: seen.signals,
        last_signal_ns: row.last_signal_ns,
        last_signal: seen.last.clone(),
        last_signal_id: seen.last_id.clone(),
        last_signal_sequence: seen.last_sequence,
        open_positions: earned.open,
        realized_pnl: earned.realized,
        unrealized_pnl: earned.unrealized,
        dividends: earned.dividends,
        fees: earned.fees,
        net_pnl: earned.net(),
        stopping: row.stopping.clone(),
        group_policy: row.group_policy.short(),
        sequence: seen.sequence,
    }
}

/// `value` / `count`, rounded half away from zero, as the database does.
fn half_away(value: i128, count: i128) -> Option<Price> {
    let (whole, rest) = (value / count, value % count);
    let up = rest.unsigned_abs().saturating_mul(2) >= count.unsigned_abs();
    i64::try_from(if up { whole + value.signum() } else { whole }).ok().map(Price)
}
