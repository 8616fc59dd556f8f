//! Reading the book back from its rows: one statement, so that rows and checkpoint are one snapshot.
//!
//! One statement is also what keeps a reader consistent while a rebuilt schema is swapped in: the names
//! of all tables are resolved, and the tables locked, before its snapshot is taken.

mod orders;

use std::collections::BTreeMap;
use std::str::FromStr;

use contracts::v1::{
    AccountKind, Costs, Event, GroupPolicy, MarkPrice, Parameter, RiskLimits, RiskTally, Sizing,
    StrategyMode, TradeLimits, TradingState,
};
use domain::book::{
    APPROVALS_NS, AccountConfig, AccountState, Approval, Halt, LimitSet, Lot, Lots, Mark, Parts,
    PendingSignal, PositionKey, PositionState, Scope, Stopping, StrategyState, Warmth,
};
use domain::money::{Amount, Quantity};
use domain::order::OrderState;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use orders::OrderRow;

use super::names::Named;
use super::{Signalled, tables};
use crate::projection::Name;
use crate::table::{Kind, Table, malformed};
use crate::write::sequence;

/// What the rows of a schema hold.
pub(crate) struct Loaded {
    pub parts: Parts,
    pub signalled: BTreeMap<String, Signalled>,
}

// Written as equations, which a planner without statistics takes for "few": see migrations/0011_open_rows.sql.
const OPEN: &str = "NOT ended AND ended::int = 0 AND stage <> 'requested'";
// See migrations/0034_stated_groups.sql.
const GROUPED: &str = "group_stage IN ('stated', 'watched', 'unwinding', 'completing')";
// See migrations/0026_void_terms.sql.
const VOID_TERMS: &str = "ended AND replacement IS NOT NULL AND (replacement IS NOT NULL)::int = 1";
const UNDECIDED: &str = "NOT decided AND decided::int = 0";

/// Orders that are open, those whose group something may have to be done about, and those that ended before they got the
/// new terms that risk had approved.
fn open_orders(schema: &str) -> String {
    format!(
        "order_id IN (SELECT order_id FROM {schema}.orders WHERE {OPEN} \
                      UNION ALL SELECT order_id FROM {schema}.orders WHERE {GROUPED} \
                      UNION ALL SELECT order_id FROM {schema}.orders WHERE {VOID_TERMS})"
    )
}

/// Every table of the book's state as one JSON text, and the checkpoint of the live projection.
fn statement(schema: &str) -> String {
    format!(
        "SELECT (SELECT sequence FROM projection.checkpoints WHERE name = 'trading'), {}, {}, {}, {}, {}, {}, {}, \
         {}, {}",
        rows(schema, &tables::ACCOUNTS, "true"),
        rows(schema, &tables::POSITIONS, "true"),
        rows(schema, &tables::ORDERS, &open_orders(schema)),
        rows(schema, &tables::STRATEGIES, "true"),
        rows(schema, &tables::PENDING_SIGNALS, UNDECIDED),
        rows(schema, &tables::HALTS, "halted"),
        rows(schema, &tables::LIMIT_SETS, "true"),
        rows(schema, &tables::RISK_TALLIES, "true"),
        approvals(schema),
    )
}

/// Approvals of the last day, where there is any limit beside which a decision states them: when they were
/// decided, account, strategy and the symbols of their orders but for exits that wait for an entry.
fn approvals(schema: &str) -> String {
    format!(
        "CASE WHEN EXISTS (SELECT FROM {schema}.limit_sets)
         THEN COALESCE((SELECT json_agg(json_build_array(decided_ns, account, strategy, COALESCE((
                 SELECT json_agg(o->>'symbol') FROM jsonb_array_elements(orders) o WHERE NOT o ? 'parentId'
             ), '[]')) ORDER BY sequence)
             FROM {schema}.risk_decisions WHERE verdict = 'approved' AND decided_ns >
                 (SELECT max(decided_ns) FROM {schema}.risk_decisions WHERE verdict = 'approved')
                 - {APPROVALS_NS})::text, '[]')
         ELSE '[]' END"
    )
}

/// Rows as a JSON array of arrays, numbers as text so that every digit is kept.
fn rows(schema: &str, table: &Table, condition: &str) -> String {
    let columns: Vec<String> = table
        .columns
        .iter()
        .map(|column| match column.kind {
            Kind::Cast("jsonb") | Kind::Int | Kind::Bool | Kind::Text => column.name.to_owned(),
            Kind::Cast(_) => format!("{}::text", column.name),
            Kind::Bytes => format!("encode({}, 'hex') AS {0}", column.name),
        })
        .collect();
    format!(
        "COALESCE((SELECT json_agg(r) FROM (SELECT {} FROM {schema}.{} WHERE {condition}) r)::text, '[]')",
        columns.join(", "),
        table.name
    )
}

/// Loads the book's state from the tables of `schema`; the sequence is the live checkpoint.
pub(crate) async fn loaded(connection: &mut PgConnection, schema: &str) -> Result<Loaded, sqlx::Error> {
    let row = sqlx::query(AssertSqlSafe(statement(schema))).fetch_one(connection).await?;
    parts(&row)
}

/// The same of the live tables, and those of `signal_ids` that a risk decision answers, in one snapshot.
pub(crate) async fn deciding(
    connection: &mut PgConnection,
    signal_ids: &[String],
) -> Result<(Loaded, Vec<String>), sqlx::Error> {
    let schema = Name::Trading.name();
    let statement = format!(
        "{}, ARRAY(SELECT DISTINCT signal_id FROM {schema}.risk_decisions WHERE signal_id = ANY($1))",
        statement(schema)
    );
    let row = sqlx::query(AssertSqlSafe(statement)).bind(signal_ids).fetch_one(connection).await?;
    Ok((parts(&row)?, row.try_get(10)?))
}

fn parts(row: &PgRow) -> Result<Loaded, sqlx::Error> {
    let checkpoint: Option<i64> = row.try_get(0)?;
    let mut accounts: Vec<AccountState> =
        parse::<AccountRow>(row.try_get(1)?, "accounts")?.into_iter().map(AccountRow::state).collect();
    let strategies: Vec<StrategyRow> = parse(row.try_get(4)?, "strategies")?;
    let positions = parse::<PositionRow>(row.try_get(2)?, "positions")?;
    let mut parts = Parts {
        sequence: checkpoint.map_or(0, sequence),
        lots: positions.iter().filter_map(PositionRow::lots).collect(),
        positions: positions.into_iter().map(PositionRow::state).collect(),
        orders: parse::<OrderRow>(row.try_get(3)?, "orders")?.into_iter().map(OrderRow::state).collect(),
        ..Parts::default()
    };
    let mut signalled = BTreeMap::new();
    for strategy in strategies {
        signalled.insert(
            strategy.strategy.clone(),
            Signalled {
                signals: strategy.signals,
                last_sequence: strategy.last_signal_sequence,
                last: strategy.last_signal.clone(),
            },
        );
        parts.strategies.push(strategy.state());
    }
    for signal in parse::<PendingRow>(row.try_get(5)?, "pending_signals")? {
        parts.pending.push(PendingSignal { sequence: signal.sequence, event: signal.event.0 });
    }
    for halt in parse::<HaltRow>(row.try_get(6)?, "halts")? {
        let (actor, reason, since_ns) = (halt.actor, halt.reason, halt.event_time_ns);
        let state = Halt { actor, reason, since_ns, state: halt.state.0 };
        if halt.account.is_empty() {
            parts.halt = Some(state);
        } else if let Some(account) = accounts.iter_mut().find(|row| row.account == halt.account) {
            account.halt = Some(state);
        }
    }
    parts.accounts = accounts;
    let limits = parse::<LimitSetRow>(row.try_get(7)?, "limit_sets")?;
    parts.limits = limits.into_iter().map(LimitSetRow::state).collect();
    let tallies = parse::<TallyRow>(row.try_get(8)?, "risk_tallies")?;
    parts.tallies = tallies.into_iter().map(|row| row.tally).collect();
    let approvals = parse::<(i64, String, String, Vec<String>)>(row.try_get(9)?, "approvals")?;
    let approval =
        |(decided_ns, account, strategy, symbols)| Approval { decided_ns, account, strategy, symbols };
    parts.approvals = approvals.into_iter().map(approval).collect();
    Ok(Loaded { parts, signalled })
}

/// One order, ended or not.
pub(crate) async fn order(
    connection: &mut PgConnection,
    schema: &str,
    order_id: &str,
) -> Result<Option<OrderState>, sqlx::Error> {
    let statement = format!("SELECT {}", rows(schema, &tables::ORDERS, "order_id = $1"));
    let row = sqlx::query(AssertSqlSafe(statement)).bind(order_id).fetch_one(connection).await?;
    Ok(parse::<OrderRow>(row.try_get(0)?, "orders")?.into_iter().next().map(OrderRow::state))
}

fn parse<T: DeserializeOwned>(text: &str, table: &str) -> Result<Vec<T>, sqlx::Error> {
    serde_json::from_str(text).map_err(|error| malformed(table, error))
}

/// A number that Postgres wrote as text.
struct Exact<T>(T);

impl<'de, T: FromStr<Err: std::fmt::Display>> Deserialize<'de> for Exact<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map(Self).map_err(D::Error::custom)
    }
}

/// A short name of one of the contract's enums.
struct Short<T>(T);

impl<'de, T: Named> Deserialize<'de> for Short<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        T::of(&text).map(Self).ok_or_else(|| D::Error::custom(format!("unknown name {text:?}")))
    }
}

#[derive(Deserialize)]
struct AccountRow {
    account: String,
    limits_version: Option<u64>,
    broker: Option<String>,
    limits: Option<RiskLimits>,
    costs: Option<Costs>,
    cash: Exact<Amount>,
    realized_pnl: Exact<Amount>,
    fees: Exact<Amount>,
    deposits: Exact<Amount>,
    dividends: Exact<Amount>,
    marked_ns: Option<i64>,
    equity: Option<Exact<Amount>>,
    gross_exposure: Option<Exact<Amount>>,
    net_exposure: Option<Exact<Amount>>,
    unrealized_pnl: Option<Exact<Amount>>,
    prices: Option<Vec<MarkPrice>>,
    equity_baseline: Exact<Amount>,
    day_start_equity: Exact<Amount>,
    opened_since_mark: Exact<Amount>,
    kind: Short<AccountKind>,
    margin_call_ns: Option<i64>,
    peak_equity: Option<Exact<Amount>>,
    told_prices: Option<Vec<MarkPrice>>,
}

impl AccountRow {
    fn state(self) -> AccountState {
        let mark = self.marked_ns.map(|event_ns| Mark {
            event_ns,
            equity: self.equity.map(|exact| exact.0).unwrap_or_default(),
            gross_exposure: self.gross_exposure.map(|exact| exact.0).unwrap_or_default(),
            net_exposure: self.net_exposure.map(|exact| exact.0).unwrap_or_default(),
            unrealized_pnl: self.unrealized_pnl.map(|exact| exact.0).unwrap_or_default(),
            prices: self.prices.unwrap_or_default(),
        });
        let config = self.limits_version.map(|version| AccountConfig {
            version,
            broker: self.broker.unwrap_or_default(),
            limits: self.limits,
            costs: self.costs.unwrap_or_default(),
            kind: self.kind.0,
        });
        AccountState {
            account: self.account,
            config,
            halt: None,
            margin_call_ns: self.margin_call_ns,
            cash: self.cash.0,
            realized_pnl: self.realized_pnl.0,
            fees: self.fees.0,
            deposits: self.deposits.0,
            dividends: self.dividends.0,
            mark,
            told_prices: self.told_prices.unwrap_or_default(),
            equity_baseline: self.equity_baseline.0,
            day_start_equity: self.day_start_equity.0,
            opened_since_mark: self.opened_since_mark.0,
            peak_equity: self.peak_equity.map(|exact| exact.0),
        }
    }
}

#[derive(Deserialize)]
struct PositionRow {
    account: String,
    strategy: String,
    symbol: String,
    quantity: Exact<Quantity>,
    cost: Exact<Amount>,
    fraction: Exact<Quantity>,
    fraction_cost: Exact<Amount>,
    realized_pnl: Exact<Amount>,
    fees: Exact<Amount>,
    dividends: Exact<Amount>,
    updated_ns: i64,
    lots: Vec<Lot>,
    fifo_realized: Exact<Amount>,
}

impl PositionRow {
    fn lots(&self) -> Option<(PositionKey, Lots)> {
        let key = PositionKey::new(&self.account, &self.strategy, &self.symbol);
        let lots = Lots { lots: self.lots.iter().cloned().collect(), realized: self.fifo_realized.0 };
        (lots != Lots::default()).then_some((key, lots))
    }

    fn state(self) -> PositionState {
        PositionState {
            key: PositionKey { account: self.account, strategy: self.strategy, symbol: self.symbol },
            quantity: self.quantity.0,
            cost: self.cost.0,
            fraction: self.fraction.0,
            fraction_cost: self.fraction_cost.0,
            realized_pnl: self.realized_pnl.0,
            fees: self.fees.0,
            dividends: self.dividends.0,
            updated_ns: self.updated_ns,
        }
    }
}

#[derive(Deserialize)]
struct StrategyRow {
    strategy: String,
    registered: bool,
    kind: String,
    parameters: Vec<Parameter>,
    symbols: Vec<String>,
    timeframe: String,
    sizing: Option<Sizing>,
    account: String,
    enabled: bool,
    mode: Short<StrategyMode>,
    warmed_sequence: Option<u64>,
    warmed_bars: Option<u64>,
    signals: u64,
    last_signal_sequence: Option<u64>,
    last_signal_ns: Option<i64>,
    last_signal: String,
    updated_ns: i64,
    subjects: Vec<String>,
    consumer: String,
    group_policy: Short<GroupPolicy>,
    stopping: Option<Stopping>,
}

impl StrategyRow {
    fn state(self) -> StrategyState {
        let warmed = self.warmed_sequence.zip(self.warmed_bars);
        StrategyState {
            strategy: self.strategy,
            registered: self.registered,
            kind: self.kind,
            parameters: self.parameters,
            symbols: self.symbols,
            timeframe: self.timeframe,
            subjects: self.subjects,
            consumer: self.consumer,
            sizing: self.sizing,
            account: self.account,
            enabled: self.enabled,
            mode: self.mode.0,
            last_signal_ns: self.last_signal_ns,
            warmed: warmed.map(|(market_sequence, bars)| Warmth { market_sequence, bars }),
            updated_ns: self.updated_ns,
            group_policy: self.group_policy.0,
            stopping: self.stopping,
        }
    }
}

#[derive(Deserialize)]
struct PendingRow {
    event: Encoded,
    sequence: u64,
}

/// An event in hexadecimal protobuf.
struct Encoded(Event);

impl<'de> Deserialize<'de> for Encoded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let bytes: Option<Vec<u8>> = (0..text.len() / 2)
            .map(|at| text.get(2 * at..2 * at + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok()))
            .collect();
        let bytes = bytes.ok_or_else(|| D::Error::custom("expected hexadecimal digits"))?;
        contracts::decode(&bytes).map(Self).map_err(D::Error::custom)
    }
}

#[derive(Deserialize)]
struct HaltRow {
    account: String,
    actor: String,
    reason: String,
    event_time_ns: i64,
    state: Short<TradingState>,
}

#[derive(Deserialize)]
struct LimitSetRow {
    account: String,
    strategy: String,
    symbol: String,
    version: u64,
    limits: TradeLimits,
    actor: String,
    reason: String,
    event_time_ns: i64,
}

impl LimitSetRow {
    fn state(self) -> LimitSet {
        LimitSet {
            scope: Scope { account: self.account, strategy: self.strategy, symbol: self.symbol },
            version: self.version,
            limits: self.limits,
            actor: self.actor,
            reason: self.reason,
            since_ns: self.event_time_ns,
        }
    }
}

#[derive(Deserialize)]
struct TallyRow {
    tally: RiskTally,
}

#[cfg(test)]
mod tests {
    use domain::order::GroupStage;

    use super::GROUPED;

    #[test]
    fn every_order_is_read_back_whose_group_something_may_have_to_be_done_about() {
        for stage in GroupStage::ALL {
            let named = GROUPED.contains(&format!("'{}'", stage.name()));
            assert_eq!(named, stage.is_active(), "{stage:?}");
        }
    }
}
