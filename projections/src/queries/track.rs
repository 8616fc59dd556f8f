//! What an account did, for its tear sheet: marks, fills, splits, and how often what happened.
//!
//! Everything of one answer is read in one snapshot. Deliberately absent: trades (a fill that closes another is
//! theirs who ask) and every statistic.

use std::collections::BTreeMap;

use domain::money::{Amount, Price, Quantity};
use domain::performance::EquityRow;
use sqlx::{PgConnection, PgPool};

use super::QueryError;
use super::reading::{Reading, read_all};

/// What an account did within a span of time.
#[derive(Clone, Debug, Default)]
pub struct AccountTrack {
    /// The account where the span begins, as its last mark before left it: what came overnight, and with the opening of a
    /// session, belongs to the span. `None` where a mark is of the very beginning, or none was before.
    pub base: Option<EquityRow>,
    /// The account's marks within the span, oldest first. What was paid in after the base, or the first of them, is taken
    /// off again, so that a deposit is not a gain.
    pub marks: Vec<EquityRow>,
    /// What was paid in after that, and taken off.
    pub deposits_later: Amount,
    /// Every fill, split and cash in lieu up to the end of the span, in the order of the tape.
    pub deals: Vec<Deal>,
    /// Commissions and fees of the fills within the span.
    pub commission: Amount,
    /// Slippage of the fills within the span.
    pub slippage: Amount,
    /// How often things happened within the span.
    pub counts: TrackCounts,
}

/// What changed a position.
#[derive(Clone, Debug)]
pub struct Deal {
    /// Strategy.
    pub strategy: String,
    /// Symbol.
    pub symbol: String,
    /// When, UTC nanoseconds: of a fill the moment of its execution.
    pub time_ns: i64,
    /// What.
    pub change: Change,
}

/// How a position changed.
#[derive(Clone, Copy, Debug)]
pub enum Change {
    /// Shares dealt, positive when bought.
    Fill {
        /// Shares.
        quantity: Quantity,
        /// Price.
        price: Price,
        /// Commission and fees.
        commission: Amount,
    },
    /// A split: shares after it, and the fraction of a share that is to be paid out.
    Split {
        /// Whole shares, signed.
        after: Quantity,
        /// Fraction, signed.
        fraction: Quantity,
    },
    /// Cash paid for the fraction.
    CashInLieu {
        /// The cash.
        amount: Amount,
    },
}

/// How often things happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrackCounts {
    /// Decisions: signals for the account that risk answered.
    pub decided: u64,
    /// Approved ones.
    pub approved: u64,
    /// Denied ones, by rule.
    pub denied: BTreeMap<String, u64>,
    /// Orders approved.
    pub orders: u64,
    /// Orders the broker refused.
    pub rejected: u64,
    /// Orders that expired.
    pub expired: u64,
    /// Fills.
    pub fills: u64,
}

/// What `account` did from `from_ns` to `to_ns`, the end excluded.
pub async fn account_track(
    pool: &PgPool,
    account: &str,
    (from_ns, to_ns): (i64, i64),
) -> Result<AccountTrack, QueryError> {
    let mut snapshot = pool.begin().await?;
    sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY").execute(&mut *snapshot).await?;
    let mut track = AccountTrack::default();
    marks(&mut snapshot, account, (from_ns, to_ns), &mut track).await?;
    track.deals = deals(&mut snapshot, account, to_ns).await?;
    counts(&mut snapshot, account, (from_ns, to_ns), &mut track).await?;
    snapshot.commit().await?;
    Ok(track)
}

async fn marks(
    connection: &mut PgConnection,
    account: &str,
    (from_ns, to_ns): (i64, i64),
    track: &mut AccountTrack,
) -> Result<(), QueryError> {
    // Deposits are few; a running sum over both kinds of rows, in the order of the tape, needs no join.
    let rows = sqlx::query(
        "SELECT event_time_ns, equity::text, cash::text, gross_exposure::text, deposits::text,
                (SELECT COALESCE(sum(amount), 0)::numeric(38,9)::text FROM trading.entries
                 WHERE account = $1 AND kind = 'deposit' AND event_time_ns < $2) AS deposits_before FROM (
             SELECT sequence, event_time_ns, equity, cash, gross_exposure,
                    sum(deposit) OVER (ORDER BY sequence)::numeric(38,9) AS deposits
             FROM (
                 SELECT sequence, event_time_ns, equity, cash, gross_exposure, 0::numeric AS deposit
                 FROM trading.equity WHERE account = $1
                 UNION ALL
                 SELECT sequence, event_time_ns, NULL, NULL, NULL, amount FROM trading.entries
                 WHERE account = $1 AND kind = 'deposit'
             ) both_kinds
         ) summed
         WHERE equity IS NOT NULL AND event_time_ns < $3 AND (event_time_ns >= $2 OR sequence = (
             SELECT max(sequence) FROM trading.equity WHERE account = $1 AND event_time_ns <= $2
         )) ORDER BY sequence",
    )
    .bind(account)
    .bind(from_ns)
    .bind(to_ns)
    .fetch_all(connection)
    .await?;
    let mut at_first = None;
    for row in rows.iter().map(Reading) {
        let (time_ns, deposits): (i64, Amount) = (row.int("event_time_ns")?, row.exact("deposits")?);
        // What was paid in between the last mark before the span and its beginning was there when it began.
        let there: Amount = if time_ns < from_ns { row.exact("deposits_before")? } else { deposits };
        let later = deposits.0 - at_first.get_or_insert(there).0;
        let (equity, cash): (Amount, Amount) = (row.exact("equity")?, row.exact("cash")?);
        let mark = EquityRow {
            time_ns: time_ns.max(from_ns),
            equity: Amount(equity.0 - later),
            cash: Amount(cash.0 - later),
            exposure: row.exact("gross_exposure")?,
        };
        if time_ns < from_ns {
            track.base = Some(mark);
        } else {
            track.deposits_later = Amount(later);
            track.marks.push(mark);
        }
    }
    Ok(())
}

async fn deals(connection: &mut PgConnection, account: &str, to_ns: i64) -> Result<Vec<Deal>, QueryError> {
    let rows = sqlx::query(
        "SELECT sequence, 'fill' AS kind, strategy, symbol, side = 'sell' AS sold, quantity::text, price::text,
                commission::text AS amount, COALESCE(executed_at_ns, event_time_ns) AS time_ns
         FROM trading.fills WHERE account = $1 AND event_time_ns < $2
         UNION ALL
         SELECT sequence, kind, strategy, symbol, false, quantity_after::text, fraction::text, amount::text,
                event_time_ns
         FROM trading.entries
         WHERE account = $1 AND kind IN ('split', 'cash_in_lieu') AND event_time_ns < $2
         ORDER BY sequence",
    )
    .bind(account)
    .bind(to_ns)
    .fetch_all(connection)
    .await?;
    Ok(read_all(&rows, read_deal)?)
}

fn read_deal(row: Reading<'_>) -> Result<Deal, sqlx::Error> {
    let quantity: Quantity = row.exact("quantity")?;
    let amount: Amount = row.exact("amount")?;
    let change = match row.text("kind")?.as_str() {
        "split" => Change::Split { after: quantity, fraction: row.exact("price")? },
        "cash_in_lieu" => Change::CashInLieu { amount },
        _ => Change::Fill {
            quantity: if row.flag("sold")? { Quantity(-quantity.0) } else { quantity },
            price: row.exact("price")?,
            commission: amount,
        },
    };
    Ok(Deal {
        strategy: row.text("strategy")?,
        symbol: row.text("symbol")?,
        time_ns: row.int("time_ns")?,
        change,
    })
}

async fn counts(
    connection: &mut PgConnection,
    account: &str,
    (from_ns, to_ns): (i64, i64),
    track: &mut AccountTrack,
) -> Result<(), QueryError> {
    let within = |statement: &'static str| sqlx::query(statement).bind(account).bind(from_ns).bind(to_ns);
    let verdicts = within(
        "SELECT verdict, rule, count(*) AS count FROM trading.risk_decisions
         WHERE account = $1 AND event_time_ns >= $2 AND event_time_ns < $3 GROUP BY verdict, rule",
    )
    .fetch_all(&mut *connection)
    .await?;
    for row in verdicts.iter().map(Reading) {
        let count = row.sequence("count")?;
        track.counts.decided += count;
        if row.text("verdict")? == "denied" {
            *track.counts.denied.entry(row.text("rule")?).or_default() += count;
        } else {
            track.counts.approved += count;
        }
    }
    let orders = within(
        "SELECT count(*) AS orders, count(*) FILTER (WHERE status = 'rejected') AS rejected,
                count(*) FILTER (WHERE status = 'expired') AS expired
         FROM trading.orders WHERE account = $1 AND approved_ns >= $2 AND approved_ns < $3",
    )
    .fetch_one(&mut *connection)
    .await?;
    let row = Reading(&orders);
    track.counts.orders = row.sequence("orders")?;
    track.counts.rejected = row.sequence("rejected")?;
    track.counts.expired = row.sequence("expired")?;
    let fills = within(
        "SELECT count(*) AS fills, COALESCE(sum(commission), 0)::numeric(38,9)::text AS commission,
                COALESCE(sum(slippage * quantity), 0)::numeric(38,9)::text AS slippage
         FROM trading.fills WHERE account = $1 AND event_time_ns >= $2 AND event_time_ns < $3",
    )
    .fetch_one(&mut *connection)
    .await?;
    let row = Reading(&fills);
    track.counts.fills = row.sequence("fills")?;
    track.commission = row.exact("commission")?;
    track.slippage = row.exact("slippage")?;
    Ok(())
}
