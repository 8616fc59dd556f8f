//! Accounts, positions with their value, the equity curve.

use std::collections::BTreeMap;

use contracts::from_timestamp;
use contracts::v1::{Costs, MarkPrice, RiskLimits, RiskTally, TradingState};
use domain::book::{PositionKey, PositionState};
use domain::calendar::Calendar;
use domain::money::{Amount, Price, Quantity, div_half_even};
use domain::risk::breaker;
use serde::Serialize;
use sqlx::PgPool;

use super::QueryError;
use super::dates::date_of;
use super::orders::average;
use super::reading::{Reading, decimal, decimal_or_null, read_all};

/// One account, as configured and as last marked.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct AccountRow {
    /// Name.
    pub account: String,
    /// Version of the limits; `None` before the first configuration.
    pub limits_version: Option<u64>,
    /// Broker adapter; empty before the first configuration.
    pub broker: String,
    /// Limits, where stated.
    #[schema(value_type = Option<Object>)]
    pub limits: Option<RiskLimits>,
    /// Costs of the simulated broker.
    #[schema(value_type = Option<Object>)]
    pub costs: Option<Costs>,
    /// Cash.
    #[serde(serialize_with = "decimal")]
    #[schema(value_type = String)]
    pub cash: Amount,
    /// Gross realised profit and loss.
    #[serde(serialize_with = "decimal")]
    #[schema(value_type = String)]
    pub realized_pnl: Amount,
    /// Commissions and fees paid.
    #[serde(serialize_with = "decimal")]
    #[schema(value_type = String)]
    pub fees: Amount,
    /// Deposits less withdrawals.
    #[serde(serialize_with = "decimal")]
    #[schema(value_type = String)]
    pub deposits: Amount,
    /// Dividends received less dividends paid.
    #[serde(serialize_with = "decimal")]
    #[schema(value_type = String)]
    pub dividends: Amount,
    /// Event time of the last mark, UTC nanoseconds; what follows is `None` before the first.
    pub marked_ns: Option<i64>,
    /// Equity at the last mark.
    #[serde(serialize_with = "decimal_or_null")]
    #[schema(value_type = Option<String>)]
    pub equity: Option<Amount>,
    /// Sum of absolute position values.
    #[serde(serialize_with = "decimal_or_null")]
    #[schema(value_type = Option<String>)]
    pub gross_exposure: Option<Amount>,
    /// Sum of signed position values.
    #[serde(serialize_with = "decimal_or_null")]
    #[schema(value_type = Option<String>)]
    pub net_exposure: Option<Amount>,
    /// Market value less cost basis.
    #[serde(serialize_with = "decimal_or_null")]
    #[schema(value_type = Option<String>)]
    pub unrealized_pnl: Option<Amount>,
    /// Change of equity since the session began.
    #[serde(serialize_with = "decimal_or_null")]
    #[schema(value_type = Option<String>)]
    pub day_pnl: Option<Amount>,
    /// Equity at which the session began.
    #[serde(serialize_with = "decimal")]
    #[schema(value_type = String)]
    pub day_start_equity: Amount,
    /// What strategies may send: `normal`, `reduce_only` or `halted`, as its own halt, that of all and the breakers of
    /// the account make it.
    pub state: &'static str,
    /// Why it is not normal, as whoever or whatever stops the most says.
    pub halt_reason: String,
    /// TRADING sequence that last changed it.
    pub sequence: u64,
    /// Prices of the last mark.
    #[serde(skip)]
    pub prices: Vec<MarkPrice>,
}

/// One position, valued at the last mark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PositionRow {
    /// Account.
    pub account: String,
    /// Strategy.
    pub strategy: String,
    /// Symbol.
    pub symbol: String,
    /// Shares, negative when short.
    #[serde(serialize_with = "decimal")]
    #[schema(value_type = String)]
    pub quantity: Quantity,
    /// Total cost, of the quantity's sign.
    #[serde(serialize_with = "decimal")]
    #[schema(value_type = String)]
    pub cost: Amount,
    /// Cost per share; `None` when flat.
    #[serde(serialize_with = "decimal_or_null")]
    #[schema(value_type = Option<String>)]
    pub average_cost: Option<Price>,
    /// Price of the last mark, in the terms of now where the symbol was split since; `None` before one that held it.
    #[serde(serialize_with = "decimal_or_null")]
    #[schema(value_type = Option<String>)]
    pub mark_price: Option<Price>,
    /// Time of that price, UTC nanoseconds.
    pub mark_ns: Option<i64>,
    /// Market value at that price.
    #[serde(serialize_with = "decimal_or_null")]
    #[schema(value_type = Option<String>)]
    pub market_value: Option<Amount>,
    /// Market value less cost; 0 when flat.
    #[serde(serialize_with = "decimal_or_null")]
    #[schema(value_type = Option<String>)]
    pub unrealized_pnl: Option<Amount>,
    /// Gross realised profit and loss.
    #[serde(serialize_with = "decimal")]
    #[schema(value_type = String)]
    pub realized_pnl: Amount,
    /// Commissions and fees paid.
    #[serde(serialize_with = "decimal")]
    #[schema(value_type = String)]
    pub fees: Amount,
    /// Dividends received less dividends paid.
    #[serde(serialize_with = "decimal")]
    #[schema(value_type = String)]
    pub dividends: Amount,
    /// Event time of the last change, UTC nanoseconds.
    pub updated_ns: i64,
    /// Total cost by first in, first out.
    #[serde(serialize_with = "decimal")]
    #[schema(value_type = String)]
    pub fifo_cost: Amount,
    /// Gross realised profit and loss by first in, first out.
    #[serde(serialize_with = "decimal")]
    #[schema(value_type = String)]
    pub fifo_realized_pnl: Amount,
    /// Market value less cost by first in, first out; 0 when flat.
    #[serde(serialize_with = "decimal_or_null")]
    #[schema(value_type = Option<String>)]
    pub fifo_unrealized_pnl: Option<Amount>,
    /// TRADING sequence that last changed it.
    pub sequence: u64,
}

/// One point of the equity curve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct EquityPoint {
    /// TRADING sequence of the mark.
    pub sequence: u64,
    /// Event time, UTC nanoseconds.
    pub event_time_ns: i64,
    /// Equity.
    #[serde(serialize_with = "decimal")]
    #[schema(value_type = String)]
    pub equity: Amount,
    /// Cash.
    #[serde(serialize_with = "decimal")]
    #[schema(value_type = String)]
    pub cash: Amount,
    /// Sum of absolute position values.
    #[serde(serialize_with = "decimal")]
    #[schema(value_type = String)]
    pub gross_exposure: Amount,
}

/// Equity at the end of one day of exchange time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DailyEquity {
    /// Date in New York, `YYYY-MM-DD`.
    pub date: String,
    /// Equity at the day's last mark.
    #[serde(serialize_with = "decimal")]
    #[schema(value_type = String)]
    pub equity: Amount,
    /// Deposits less withdrawals up to and including the day.
    #[serde(serialize_with = "decimal")]
    #[schema(value_type = String)]
    pub deposits: Amount,
}

fn read_account(row: Reading<'_>) -> Result<AccountRow, sqlx::Error> {
    let equity: Option<Amount> = row.exact_or_none("equity")?;
    let day_start_equity: Amount = row.exact("day_start_equity")?;
    let equity_baseline: Amount = row.exact("equity_baseline")?;
    let halts: Option<Vec<(bool, String)>> = row.json_or_none("halts")?;
    let (state, halt_reason) = standing(halts.unwrap_or_default(), row.json_or_none("tally")?.as_ref());
    Ok(AccountRow {
        account: row.text("account")?,
        limits_version: row.sequence_or_none("limits_version")?,
        broker: row.text_or_none("broker")?.unwrap_or_default(),
        limits: row.json_or_none("limits")?,
        costs: row.json_or_none("costs")?,
        cash: row.exact("cash")?,
        realized_pnl: row.exact("realized_pnl")?,
        fees: row.exact("fees")?,
        deposits: row.exact("deposits")?,
        dividends: row.exact("dividends")?,
        marked_ns: row.int_or_none("marked_ns")?,
        equity,
        gross_exposure: row.exact_or_none("gross_exposure")?,
        net_exposure: row.exact_or_none("net_exposure")?,
        unrealized_pnl: row.exact_or_none("unrealized_pnl")?,
        // As the book has it: what was brought in since the last mark is no loss.
        day_pnl: equity.and_then(|_| equity_baseline.checked_sub(day_start_equity)),
        day_start_equity,
        state,
        halt_reason,
        sequence: row.sequence("sequence")?,
        prices: row.json_or_none("prices")?.unwrap_or_default(),
    })
}

/// What strategies may send on an account, and why it is not everything: of what stops the most, the first tells. Each of
/// `halts` says whether it is a full one, and why; `tally` is what the book remembers of the account itself.
pub(super) fn standing(
    halts: impl IntoIterator<Item = (bool, String)>,
    tally: Option<&RiskTally>,
) -> (&'static str, String) {
    let breakers = tally.map(|tally| tally.breakers.as_slice()).unwrap_or_default();
    let tripped = breakers.iter().map(|row| (row.state() == TradingState::Halted, row.reason.clone()));
    let mut stops: Vec<(bool, String)> = halts.into_iter().chain(tripped).collect();
    stops.sort_by_key(|(full, _)| !full);
    match stops.into_iter().next() {
        Some((true, reason)) => (breaker::state_name(TradingState::Halted), reason),
        Some((false, reason)) => (breaker::state_name(TradingState::ReduceOnly), reason),
        None => ("normal", String::new()),
    }
}

/// Every account, by name.
pub async fn accounts(pool: &PgPool) -> Result<Vec<AccountRow>, QueryError> {
    let rows = sqlx::query(
        "SELECT a.account, limits_version, broker, limits::text, costs::text, cash::text, realized_pnl::text,
                fees::text, deposits::text, dividends::text, marked_ns, equity::text, gross_exposure::text,
                net_exposure::text, unrealized_pnl::text, day_start_equity::text, equity_baseline::text,
                prices::text, a.sequence,
                (SELECT json_agg(json_build_array(h.state = 'halted', h.reason) ORDER BY h.account DESC)::text
                 FROM trading.halts h WHERE h.halted AND h.account IN ('', a.account)) AS halts,
                (SELECT t.tally::text FROM trading.risk_tallies t
                 WHERE t.account = a.account AND t.strategy = '') AS tally
         FROM trading.accounts a
         ORDER BY a.account",
    )
    .fetch_all(pool)
    .await?;
    Ok(read_all(&rows, read_account)?)
}

/// Positions of one account or of all, by account, strategy and symbol; flat ones only when wanted.
pub async fn positions(
    pool: &PgPool,
    account: Option<&str>,
    with_flat: bool,
) -> Result<Vec<PositionRow>, QueryError> {
    let rows = sqlx::query(
        "SELECT p.account, strategy, symbol, quantity::text, cost::text, p.realized_pnl::text, p.fees::text,
                p.dividends::text, updated_ns, p.sequence, a.prices::text, fifo_cost::text, fifo_realized::text,
                s.splits
         FROM trading.positions p JOIN trading.accounts a USING (account)
         LEFT JOIN LATERAL (
             SELECT json_agg(json_build_array(before, after) ORDER BY sequence)::text AS splits
             FROM (
                 SELECT DISTINCT ON (e.action_id) e.sequence, (e.quantity_after + e.fraction)::text AS after,
                        (e.quantity_after + e.fraction - e.quantity)::text AS before
                 FROM trading.entries e
                 WHERE e.account = p.account AND e.symbol = p.symbol AND e.kind = 'split'
                   AND e.sequence > COALESCE((SELECT q.sequence FROM trading.equity q
                       WHERE q.account = p.account ORDER BY q.event_time_ns DESC LIMIT 1), 0)
                 ORDER BY e.action_id, e.sequence
             ) unmarked
         ) s ON true
         WHERE ($1::text IS NULL OR p.account = $1) AND ($2 OR p.quantity <> 0)
         ORDER BY p.account, strategy, symbol",
    )
    .bind(account)
    .bind(with_flat)
    .fetch_all(pool)
    .await?;
    let mut prices: BTreeMap<String, BTreeMap<String, (Price, Option<i64>)>> = BTreeMap::new();
    let rows = rows.iter().map(|row| {
        let row = Reading(row);
        let account = row.text("account")?;
        if !prices.contains_key(&account) {
            let marked: Option<Vec<MarkPrice>> = row.json_or_none("prices")?;
            prices.insert(account.clone(), by_symbol(&marked.unwrap_or_default()));
        }
        let symbol = row.text("symbol")?;
        let marked = prices.get(&account).and_then(|prices| prices.get(&symbol)).copied();
        let splits: Option<Vec<(String, String)>> = row.json_or_none("splits")?;
        let splits = splits.unwrap_or_default();
        let shares = |text: &String| text.parse::<Quantity>().unwrap_or_default();
        let splits = splits.iter().map(|(before, after)| (shares(before), shares(after)));
        let marked = marked.map(|(price, time_ns)| (after_splits(price, splits), time_ns));
        read_position(row, account, symbol, marked)
    });
    Ok(rows.collect::<Result<_, sqlx::Error>>()?)
}

pub(super) fn by_symbol(prices: &[MarkPrice]) -> BTreeMap<String, (Price, Option<i64>)> {
    prices
        .iter()
        .map(|price| {
            let time_ns = price.time.as_ref().and_then(from_timestamp);
            (price.symbol.clone(), (Price(price.price_e9), time_ns))
        })
        .collect()
}

/// A price of before splits in the terms after them, each told by the shares of a position before and after it.
pub(super) fn after_splits(price: Price, splits: impl Iterator<Item = (Quantity, Quantity)>) -> Price {
    splits.fold(price, |price, (before, after)| {
        let (before, after) = (i128::from(before.0).abs(), i128::from(after.0).abs());
        if before == 0 || after == 0 {
            return price;
        }
        // A price and a number of shares fit into 64 bits each.
        i64::try_from(div_half_even(i128::from(price.0) * before, after)).map_or(price, Price)
    })
}

fn read_position(
    row: Reading<'_>,
    account: String,
    symbol: String,
    marked: Option<(Price, Option<i64>)>,
) -> Result<PositionRow, sqlx::Error> {
    let state = PositionState {
        key: PositionKey { account, strategy: row.text("strategy")?, symbol },
        quantity: row.exact("quantity")?,
        cost: row.exact("cost")?,
        realized_pnl: row.exact("realized_pnl")?,
        fees: row.exact("fees")?,
        dividends: row.exact("dividends")?,
        updated_ns: row.int("updated_ns")?,
        ..PositionState::default()
    };
    let fifo = (row.exact("fifo_cost")?, row.exact("fifo_realized")?);
    Ok(value_position(state, fifo, marked, row.sequence("sequence")?))
}

/// A position with its value at a price and the time of that price.
pub(super) fn value_position(
    state: PositionState,
    (fifo_cost, fifo_realized_pnl): (Amount, Amount),
    marked: Option<(Price, Option<i64>)>,
    sequence: u64,
) -> PositionRow {
    let market_value = match marked {
        _ if state.quantity == Quantity::ZERO => Some(Amount::ZERO),
        Some((price, _)) => Some(Amount::notional(price, state.quantity)),
        None => None,
    };
    PositionRow {
        account: state.key.account,
        strategy: state.key.strategy,
        symbol: state.key.symbol,
        quantity: state.quantity,
        cost: state.cost,
        average_cost: average(state.cost, state.quantity),
        mark_price: marked.map(|(price, _)| price),
        mark_ns: marked.and_then(|(_, time_ns)| time_ns),
        market_value,
        unrealized_pnl: market_value.and_then(|value| value.checked_sub(state.cost)),
        realized_pnl: state.realized_pnl,
        fees: state.fees,
        dividends: state.dividends,
        updated_ns: state.updated_ns,
        fifo_cost,
        fifo_realized_pnl,
        fifo_unrealized_pnl: market_value.and_then(|value| value.checked_sub(fifo_cost)),
        sequence,
    }
}

/// First and last event time of an account's marks, UTC nanoseconds; `None` before the first.
pub async fn equity_curve_span(pool: &PgPool, account: &str) -> Result<Option<(i64, i64)>, QueryError> {
    let row = sqlx::query(
        "SELECT min(event_time_ns) AS first_ns, max(event_time_ns) AS last_ns FROM trading.equity
         WHERE account = $1",
    )
    .bind(account)
    .fetch_one(pool)
    .await?;
    let row = Reading(&row);
    Ok(row.int_or_none("first_ns")?.zip(row.int_or_none("last_ns")?))
}

/// The equity curve of an account from `from_ns` to `to_ns` (inclusive), oldest first, in at most
/// `max_points` points: the marks are dealt into as many runs of equal length, and of each run the first,
/// lowest, highest and last mark stay, so that no drawdown is lost.
pub async fn equity_curve(
    pool: &PgPool,
    account: &str,
    from_ns: i64,
    to_ns: i64,
    max_points: u32,
) -> Result<Vec<EquityPoint>, QueryError> {
    let rows = sqlx::query(
        "WITH dealt AS (
             SELECT *, ntile($4) OVER (ORDER BY sequence) AS run FROM trading.equity
             WHERE account = $1 AND event_time_ns BETWEEN $2 AND $3
         ), ranked AS (
             SELECT *, row_number() OVER (PARTITION BY run ORDER BY sequence) AS from_start,
                    row_number() OVER (PARTITION BY run ORDER BY sequence DESC) AS from_end,
                    row_number() OVER (PARTITION BY run ORDER BY equity, sequence) AS from_low,
                    row_number() OVER (PARTITION BY run ORDER BY equity DESC, sequence) AS from_high
             FROM dealt
         )
         SELECT sequence, event_time_ns, equity::text, cash::text, gross_exposure::text FROM ranked
         WHERE 1 IN (from_start, from_end, from_low, from_high) ORDER BY ranked.sequence",
    )
    .bind(account)
    .bind(from_ns)
    .bind(to_ns)
    .bind(i32::try_from((max_points / 4).clamp(1, 5_000)).unwrap_or(1))
    .fetch_all(pool)
    .await?;
    Ok(read_all(&rows, read_point)?)
}

fn read_point(row: Reading<'_>) -> Result<EquityPoint, sqlx::Error> {
    Ok(EquityPoint {
        sequence: row.sequence("sequence")?,
        event_time_ns: row.int("event_time_ns")?,
        equity: row.exact("equity")?,
        cash: row.exact("cash")?,
        gross_exposure: row.exact("gross_exposure")?,
    })
}

/// The equity of an account at the end of each day of the calendar's time, oldest first, with the deposits so
/// far, so that a return is never mistaken for money brought in. A mark at midnight is of the day that ends there.
pub async fn daily_equity(
    pool: &PgPool,
    account: &str,
    calendar: &Calendar,
) -> Result<Vec<DailyEquity>, QueryError> {
    let rows = sqlx::query(concat!(
        "WITH marks AS (
             SELECT DISTINCT ON (date) date, sequence, equity FROM (
                 SELECT ",
        date_of!("event_time_ns - 1", "$2"),
        " AS date, sequence, equity
                 FROM trading.equity WHERE account = $1
             ) m ORDER BY date, sequence DESC
         )
         SELECT to_char(date, 'YYYY-MM-DD') AS date, equity::text,
                (SELECT COALESCE(sum(amount), 0)::numeric(38,9) FROM trading.entries e
                 WHERE e.account = $1 AND e.kind = 'deposit' AND e.sequence <= marks.sequence)::text AS deposits
         FROM marks ORDER BY marks.date",
    ))
    .bind(account)
    .bind(calendar.exchange())
    .fetch_all(pool)
    .await?;
    Ok(read_all(&rows, |row| {
        Ok(DailyEquity {
            date: row.text("date")?,
            equity: row.exact("equity")?,
            deposits: row.exact("deposits")?,
        })
    })?)
}
