//! Strategies: how they are registered, how they are, and what they earned.

use std::collections::BTreeMap;

use contracts::v1::{Parameter, Sizing};
use domain::book::Stopping;
use domain::money::Amount;
use serde::Serialize;
use sqlx::PgPool;

use super::QueryError;
use super::accounts::{PositionRow, positions};
use super::reading::{Reading, decimal, read_all};
use crate::write::stored;

/// One strategy with what it earned.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StrategyRow {
    /// Name.
    pub strategy: String,
    /// Whether it was registered.
    pub registered: bool,
    /// Built-in kind; empty for an external strategy.
    pub kind: String,
    /// Parameters.
    pub parameters: Vec<Parameter>,
    /// Symbols it trades; empty means all.
    pub symbols: Vec<String>,
    /// Timeframe of the bars it reads; empty means all.
    pub timeframe: String,
    /// Subjects of MARKET that an external strategy reads.
    pub subjects: Vec<String>,
    /// Durable consumer of an external strategy; empty for a built-in one.
    pub consumer: String,
    /// How its entries are sized.
    pub sizing: Option<Sizing>,
    /// Account it trades on.
    pub account: String,
    /// Whether its signals take effect.
    pub enabled: bool,
    /// `shadow`, `paper`, `live` or `unspecified`.
    pub mode: String,
    /// Last MARKET sequence of its warm-up.
    pub warmed_sequence: Option<u64>,
    /// Bars of its warm-up.
    pub warmed_bars: Option<u64>,
    /// Number of signals.
    pub signals: u64,
    /// Event time of the last signal, UTC nanoseconds.
    pub last_signal_ns: Option<i64>,
    /// The last signal in words.
    pub last_signal: String,
    /// Event id of the last signal.
    pub last_signal_id: Option<String>,
    /// TRADING sequence of the last signal.
    pub last_signal_sequence: Option<u64>,
    /// Positions that are not flat.
    pub open_positions: u64,
    /// Gross realised profit and loss.
    #[serde(serialize_with = "decimal")]
    pub realized_pnl: Amount,
    /// Profit and loss of what it holds, at the last mark.
    #[serde(serialize_with = "decimal")]
    pub unrealized_pnl: Amount,
    /// Dividends received less dividends paid.
    #[serde(serialize_with = "decimal")]
    pub dividends: Amount,
    /// Commissions and fees paid.
    #[serde(serialize_with = "decimal")]
    pub fees: Amount,
    /// realised + unrealised + dividends − fees.
    #[serde(serialize_with = "decimal")]
    pub net_pnl: Amount,
    /// How it was stopped and what became of its positions.
    pub stopping: Option<Stopping>,
    /// What becomes of its orders of several legs when one fails.
    pub group_policy: String,
    /// TRADING sequence that last changed it.
    pub sequence: u64,
}

impl StrategyRow {
    /// What it is doing: `removed`, `disabled`, or the mode that it is enabled in.
    #[must_use]
    pub fn state(&self) -> &str {
        match (self.registered, self.enabled) {
            (false, _) => "removed",
            (true, false) => "disabled",
            (true, true) => &self.mode,
        }
    }

    /// Whether it runs in a process of its own.
    #[must_use]
    pub fn is_external(&self) -> bool {
        !self.consumer.is_empty()
    }
}

/// What a strategy's positions add up to.
#[derive(Clone, Copy, Default)]
pub(super) struct Earned {
    pub open: u64,
    pub realized: Amount,
    pub unrealized: Amount,
    pub dividends: Amount,
    pub fees: Amount,
}

impl Earned {
    pub fn add(&mut self, position: &PositionRow) {
        self.open += u64::from(position.quantity.0 != 0);
        self.realized = sum(self.realized, position.realized_pnl);
        self.unrealized = sum(self.unrealized, position.unrealized_pnl.unwrap_or_default());
        self.dividends = sum(self.dividends, position.dividends);
        self.fees = sum(self.fees, position.fees);
    }

    pub fn net(&self) -> Amount {
        sum(sum(sum(self.realized, self.unrealized), self.dividends), -self.fees)
    }
}

fn sum(sum: Amount, amount: Amount) -> Amount {
    Amount(sum.0.saturating_add(amount.0))
}

/// What a strategy sent that was no good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RefusedSignals {
    /// Signals that risk denied because they could not be judged: a wrong id, time or symbol, or too many.
    #[serde(rename = "invalid_signals")]
    pub invalid: u64,
    /// Messages under its signals that were none, and were parked, by each service that reads them; each counts once.
    #[serde(rename = "parked_signals")]
    pub parked: u64,
}

/// What was refused up to a sequence, counted in, by strategy; one without any is not there.
pub async fn refused_signals(
    pool: &PgPool,
    last: u64,
) -> Result<BTreeMap<String, RefusedSignals>, QueryError> {
    let rows = sqlx::query(
        "SELECT strategy, count(*) AS invalid, 0::bigint AS parked FROM trading.risk_decisions
         WHERE rule = 'invalid_signal' AND sequence <= $1 GROUP BY strategy
         UNION ALL
         SELECT split_part(origin_subject, '.', 2), 0, count(DISTINCT origin_sequence) FROM parked.parked
         WHERE origin_subject LIKE 'signal.%' AND origin_sequence <= $1 GROUP BY 1",
    )
    .bind(stored(last))
    .fetch_all(pool)
    .await?;
    let read =
        |row: Reading<'_>| Ok((row.text("strategy")?, row.sequence("invalid")?, row.sequence("parked")?));
    let mut found: BTreeMap<String, RefusedSignals> = BTreeMap::new();
    for (strategy, invalid, parked) in read_all(&rows, read)? {
        let refused = found.entry(contracts::unescape(&strategy)).or_default();
        refused.invalid += invalid;
        refused.parked += parked;
    }
    Ok(found)
}

/// Every strategy, by name, with what it earned at the last mark.
pub async fn strategies(pool: &PgPool) -> Result<Vec<StrategyRow>, QueryError> {
    let mut earned: BTreeMap<String, Earned> = BTreeMap::new();
    for position in positions(pool, None, true).await? {
        earned.entry(position.strategy.clone()).or_default().add(&position);
    }
    let rows = sqlx::query(
        "SELECT s.strategy, registered, kind, parameters::text, symbols::text, timeframe, sizing::text, account,
                enabled, mode, warmed_sequence, warmed_bars, signals, last_signal_ns, last_signal, s.sequence,
                subjects::text, consumer, last_signal_sequence, l.event_id AS last_signal_id,
                stopping::text, group_policy
         FROM trading.strategies s LEFT JOIN trading.signals l ON l.sequence = s.last_signal_sequence
         ORDER BY s.strategy",
    )
    .fetch_all(pool)
    .await?;
    Ok(read_all(&rows, |row| {
        let strategy = row.text("strategy")?;
        let earned = earned.get(&strategy).copied().unwrap_or_default();
        read_strategy(row, strategy, earned)
    })?)
}

fn read_strategy(row: Reading<'_>, strategy: String, earned: Earned) -> Result<StrategyRow, sqlx::Error> {
    Ok(StrategyRow {
        strategy,
        registered: row.flag("registered")?,
        kind: row.text("kind")?,
        parameters: row.json("parameters")?,
        symbols: row.json("symbols")?,
        timeframe: row.text("timeframe")?,
        subjects: row.json("subjects")?,
        consumer: row.text("consumer")?,
        sizing: row.json_or_none("sizing")?,
        account: row.text("account")?,
        enabled: row.flag("enabled")?,
        mode: row.text("mode")?,
        warmed_sequence: row.sequence_or_none("warmed_sequence")?,
        warmed_bars: row.sequence_or_none("warmed_bars")?,
        signals: row.sequence("signals")?,
        last_signal_ns: row.int_or_none("last_signal_ns")?,
        last_signal: row.text("last_signal")?,
        last_signal_id: row.text_or_none("last_signal_id")?,
        last_signal_sequence: row.sequence_or_none("last_signal_sequence")?,
        open_positions: earned.open,
        realized_pnl: earned.realized,
        unrealized_pnl: earned.unrealized,
        dividends: earned.dividends,
        fees: earned.fees,
        net_pnl: earned.net(),
        stopping: row.json_or_none("stopping")?,
        group_policy: row.text("group_policy")?,
        sequence: row.sequence("sequence")?,
    })
}
