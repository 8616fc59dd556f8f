//! What each strategy has done so far: decisions, orders, fills, and how many of its round trips won.
//!
//! Decisions, orders, fills and splits only ever join the tape, so a record that was read up to a sequence is carried on
//! from there: what a page asks many times a second costs what is new. The definition of a round trip is that
//! of [`domain::performance::RoundTrips`].

use std::collections::BTreeMap;

use domain::book::PositionKey;
use domain::money::{Amount, Quantity};
use domain::performance::{RoundTrips, TripCount, TripFill};
use serde::Serialize;
use sqlx::PgPool;

use super::QueryError;
use super::reading::Reading;
use crate::write::stored;

/// Rows of one statement.
const ROWS: i64 = 5_000;

/// One strategy's record.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TrackRecord {
    /// Decisions of risk that approved.
    pub approved: u64,
    /// Decisions of risk that denied.
    pub denied: u64,
    /// The rule that denied most often; `None` where nothing was denied.
    pub denied_most_by: Option<String>,
    /// Orders that risk approved.
    pub orders: u64,
    /// Fills of them.
    pub fills: u64,
    /// Round trips that have ended: from flat to flat in one symbol.
    pub round_trips: u64,
    /// Those whose realised profit, less commissions and fees, is more than zero.
    pub round_trips_won: u64,
    /// Share of the ended round trips that won, from 0 to 1; `None` before the first has ended.
    pub hit_rate: Option<f64>,
}

/// The records of all strategies, as far as they were read.
#[derive(Clone, Debug, Default)]
pub struct TrackRecords {
    sequence: u64,
    trips: RoundTrips,
    /// What was counted, by strategy.
    counts: BTreeMap<String, Counts>,
}

/// What is counted of a strategy.
#[derive(Clone, Debug, Default)]
struct Counts {
    approved: u64,
    /// Denials by rule.
    denied: BTreeMap<String, u64>,
    orders: u64,
    fills: u64,
}

impl TrackRecords {
    /// Reads what came since, in the order of the tape.
    pub async fn advance(&mut self, pool: &PgPool) -> Result<(), QueryError> {
        self.advance_to(pool, u64::MAX).await
    }

    /// Reads what came since up to a sequence, counted in.
    pub async fn advance_to(&mut self, pool: &PgPool, last: u64) -> Result<(), QueryError> {
        loop {
            // One statement is one snapshot. All rows of a sequence come together, so that none is passed over.
            let rows = sqlx::query(
                "SELECT sequence, 'fill' AS kind, account, strategy, symbol, side = 'sell' AS sold,
                        quantity::text, realized_pnl::text, commission::text, '' AS rule
                 FROM trading.fills WHERE sequence > $1 AND sequence <= $3
                 UNION ALL
                 SELECT sequence, 'split', account, strategy, symbol, false, quantity_after::text, '0', '0', ''
                 FROM trading.entries WHERE kind = 'split' AND sequence > $1 AND sequence <= $3
                 UNION ALL
                 SELECT sequence, verdict, account, strategy, '', false, '0', '0', '0', rule
                 FROM trading.risk_decisions
                 WHERE verdict IN ('approved', 'denied') AND sequence > $1 AND sequence <= $3
                 UNION ALL
                 SELECT first_sequence, 'order', account, strategy, symbol, false, '0', '0', '0', ''
                 FROM trading.orders WHERE first_sequence > $1 AND first_sequence <= $3
                 ORDER BY sequence FETCH FIRST $2 ROWS WITH TIES",
            )
            .bind(stored(self.sequence))
            .bind(ROWS)
            .bind(stored(last))
            .fetch_all(pool)
            .await?;
            for row in rows.iter().map(Reading) {
                self.take(row)?;
            }
            if i64::try_from(rows.len()).is_ok_and(|rows| rows < ROWS) {
                return Ok(());
            }
        }
    }

    fn take(&mut self, row: Reading<'_>) -> Result<(), sqlx::Error> {
        let strategy = row.text("strategy")?;
        let key = PositionKey::new(&row.text("account")?, &strategy, &row.text("symbol")?);
        let quantity: Quantity = row.exact("quantity")?;
        let counts = self.counts.entry(strategy).or_default();
        match row.text("kind")?.as_str() {
            "approved" => counts.approved += 1,
            "denied" => *counts.denied.entry(row.text("rule")?).or_default() += 1,
            "order" => counts.orders += 1,
            "split" => self.trips.split(key, quantity),
            _ => {
                counts.fills += 1;
                let change = if row.flag("sold")? { Quantity(-quantity.0) } else { quantity };
                let realized: Amount = row.exact("realized_pnl")?;
                self.trips.fill(key, TripFill { change, realized, fees: row.exact("commission")? });
            }
        }
        self.sequence = row.sequence("sequence")?;
        Ok(())
    }

    /// The record of a strategy.
    #[must_use]
    pub fn of(&self, strategy: &str) -> TrackRecord {
        let counts = self.counts.get(strategy).cloned().unwrap_or_default();
        let count: TripCount = self.trips.of(strategy);
        TrackRecord {
            approved: counts.approved,
            denied: counts.denied.values().sum(),
            denied_most_by: denied_most(&counts.denied).map(|(rule, _)| rule.to_owned()),
            orders: counts.orders,
            fills: counts.fills,
            round_trips: count.closed,
            round_trips_won: count.won,
            hit_rate: count.hit_rate(),
        }
    }

    /// The last sequence that took part.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }
}

/// The rule that denied most often with how often; of several the first by name.
#[must_use]
pub fn denied_most(denied: &BTreeMap<String, u64>) -> Option<(&str, u64)> {
    let most = denied.iter().max_by(|one, other| one.1.cmp(other.1).then_with(|| other.0.cmp(one.0)));
    most.map(|(rule, count)| (rule.as_str(), *count))
}
