//! Writing a batch: rows and checkpoint in one statement, or in one transaction for bulk.
//!
//! The guard is an UPDATE of the checkpoint that names the sequence expected; every row is inserted from
//! a join with what it returns. When another instance has moved the checkpoint, the guard returns
//! nothing and so nothing is written. For small batches the whole is one statement and one round trip.

use event_log::Bookmark;
use sqlx::postgres::{PgArguments, PgConnection};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Postgres, Row as _};

use crate::bars::Segment;
use crate::projection::Name;
use crate::table::{Rows, bind, insert};

/// What must be true for a batch to be written.
#[derive(Clone, Debug)]
pub(crate) enum Guard {
    /// The live read model stands where it is expected, and moves to `reached`.
    Live {
        name: Name,
        generation: i64,
        expected: u64,
        reached: Bookmark,
        event_time_ns: Option<i64>,
        parked: u64,
    },
    /// The caller's transaction holds what is needed.
    Held,
}

impl Guard {
    pub(crate) fn statement(&self) -> &'static str {
        match self {
            Self::Live { .. } => {
                "UPDATE projection.checkpoints SET sequence = $1, event_time_ns = COALESCE($2, event_time_ns),
                 parked = parked + $3, event_id = $7, updated_at = clock_timestamp(),
                 fault_reason = NULL, fault_sequence = NULL, fault_at = NULL
                 WHERE name = $4 AND generation = $5 AND sequence = $6 RETURNING sequence"
            }
            Self::Held => "SELECT 1 AS sequence",
        }
    }

    pub(crate) fn parameters(&self) -> usize {
        match self {
            Self::Live { .. } => 7,
            Self::Held => 0,
        }
    }

    pub(crate) fn bind<'q>(
        &self,
        query: Query<'q, Postgres, PgArguments>,
    ) -> Query<'q, Postgres, PgArguments> {
        match self {
            Self::Live { name, generation, expected, reached, event_time_ns, parked } => query
                .bind(stored(reached.sequence))
                .bind(*event_time_ns)
                .bind(stored(*parked))
                .bind(name.name())
                .bind(*generation)
                .bind(stored(*expected))
                .bind(reached.id.clone()),
            Self::Held => query,
        }
    }
}

/// A sequence as Postgres holds it. A stream never reaches 2⁶³.
pub(crate) fn stored(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}

/// A sequence as Postgres holds it, read back; none is negative.
pub(crate) fn sequence(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or_default()
}

/// Moves the checkpoint and nothing else.
pub(crate) async fn advance(connection: &mut PgConnection, guard: &Guard) -> Result<bool, sqlx::Error> {
    let statement = format!("WITH guard AS ({}) SELECT count(*) FROM guard", guard.statement());
    passed(connection, guard.bind(sqlx::query(AssertSqlSafe(statement)))).await
}

/// Runs a statement that counts what its guard returned.
pub(crate) async fn passed(
    connection: &mut PgConnection,
    query: Query<'_, Postgres, PgArguments>,
) -> Result<bool, sqlx::Error> {
    let counted: i64 = query.fetch_one(connection).await?.try_get(0)?;
    Ok(counted > 0)
}

/// Tables that are written to.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Their schema.
    pub schema: String,
    /// Whether the bars have their key yet. Without it only bars that are all new can be written.
    pub keyed: bool,
}

impl Target {
    /// The live tables of a projection.
    pub(crate) fn live(name: Name) -> Self {
        Self { schema: name.name().to_owned(), keyed: true }
    }

    /// Makes empty tables in a new schema, to be filled from the first event on. The bars get their key
    /// when it is needed: building it at the end is cheaper than keeping it at every row.
    pub(crate) async fn create(
        connection: &mut PgConnection,
        name: Name,
        schema: String,
    ) -> Result<Self, sqlx::Error> {
        let keyed = name != Name::Bars;
        let argument = if keyed { "" } else { ", false" };
        let create = format!("SELECT projection.create_{name}('{schema}'{argument})");
        sqlx::raw_sql(AssertSqlSafe(create)).execute(connection).await?;
        Ok(Self { schema, keyed })
    }

    /// Makes the key of the bars, where it is missing.
    pub(crate) async fn key(&mut self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if !self.keyed {
            let key = format!("SELECT projection.key_bars('{}')", self.schema);
            sqlx::raw_sql(AssertSqlSafe(key)).execute(connection).await?;
            self.keyed = true;
        }
        Ok(())
    }
}

/// Writes rows and moves the checkpoint, both or neither. `false`: the checkpoint was not where the guard
/// expects it, and nothing was written.
pub(crate) async fn write(
    connection: &mut PgConnection,
    target: &mut Target,
    guard: &Guard,
    mut rows: Vec<Rows>,
    bars: Vec<Segment>,
) -> Result<bool, sqlx::Error> {
    if !bars.is_empty() {
        return crate::bars::write(connection, target, guard, bars).await;
    }
    rows.retain(|rows| !rows.is_empty());
    // One text per set of tables touched, so that each is planned once and kept.
    let mut statement = format!("WITH guard AS ({})", guard.statement());
    let mut parameter = guard.parameters() + 1;
    for (index, rows) in rows.iter().enumerate() {
        let insert = insert(&target.schema, rows.table, parameter);
        statement.push_str(&format!(", part{index} AS ({insert})"));
        parameter += rows.table.columns.len();
    }
    statement.push_str(" SELECT count(*) FROM guard");
    let mut query = guard.bind(sqlx::query(AssertSqlSafe(statement)));
    for rows in &mut rows {
        query = bind(query, rows.table.columns, rows.take());
    }
    passed(connection, query).await
}
