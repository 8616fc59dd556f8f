//! The read models in Postgres.

use async_trait::async_trait;
use domain::bar::Bar;
use domain::book::KnownFinding;
use projections::queries;
use runtime::{AsOf, ReadError};
use sqlx::PgPool;

use crate::read_model::{LastPrice, PastAction, PastFinding, ReadModel, Snapshot};

/// The read models in Postgres, through the queries of `projections`.
#[derive(Clone, Debug)]
pub struct PostgresReadModel {
    pool: PgPool,
}

impl PostgresReadModel {
    /// Reads through `pool`.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl ReadModel for PostgresReadModel {
    async fn snapshot(&self, signal_ids: &[String]) -> Result<Snapshot, ReadError> {
        // On a task of its own: with thousands of open orders the rows take long to read, and decisions go on meanwhile.
        let (pool, signal_ids) = (self.pool.clone(), signal_ids.to_vec());
        let read = tokio::spawn(async move { queries::deciding_snapshot(&pool, &signal_ids).await });
        let snapshot = read.await.map_err(ReadError::of("the book and decisions"))?;
        let (book, decided) = snapshot.map_err(ReadError::of("the book and decisions"))?;
        Ok(Snapshot { book, decided })
    }

    async fn decided(&self, signal_ids: &[String]) -> Result<AsOf<String>, ReadError> {
        let decided = queries::decided_signals(&self.pool, signal_ids).await;
        let (checkpoint, rows) = decided.map_err(ReadError::of("decisions"))?;
        Ok(AsOf { checkpoint, rows })
    }

    async fn prices(&self) -> Result<AsOf<LastPrice>, ReadError> {
        let last = queries::decision_prices(&self.pool).await.map_err(ReadError::of("last prices"))?;
        let row = |(symbol, price, close_ns)| LastPrice { symbol, price, close_ns };
        Ok(AsOf { checkpoint: last.checkpoint, rows: last.prices.into_iter().map(row).collect() })
    }

    async fn history(&self) -> Result<AsOf<(String, Bar)>, ReadError> {
        let most = domain::book::history::HISTORY_MAX;
        let history = queries::decision_history(&self.pool, most).await;
        let (checkpoint, rows) = history.map_err(ReadError::of("bars of late"))?;
        Ok(AsOf { checkpoint, rows })
    }

    async fn open_alerts(&self) -> Result<Vec<(String, String, String)>, ReadError> {
        let alerts = queries::alerts(&self.pool, None, true, queries::LIMIT_MAX).await;
        let mut alerts = alerts.map_err(ReadError::of("alerts"))?;
        // Those of comparisons with brokers are not the monitor's to end.
        alerts.retain(|row| !row.kind.starts_with(queries::DIFFERENCE));
        Ok(alerts.into_iter().map(|row| (row.account, row.strategy, row.kind)).collect())
    }

    async fn sectors(&self) -> Result<Vec<(String, String)>, ReadError> {
        queries::sectors(&self.pool).await.map_err(ReadError::of("sectors"))
    }

    async fn checkpoint(&self) -> Result<u64, ReadError> {
        queries::trading_checkpoint(&self.pool).await.map_err(ReadError::of("the checkpoint"))
    }

    async fn actions(&self) -> Result<AsOf<PastAction>, ReadError> {
        let actions = queries::corporate_actions(&self.pool, u64::MAX).await;
        let actions = actions.map_err(ReadError::of("corporate actions"))?;
        let rows = actions.actions.into_iter();
        let rows = rows.map(|row| PastAction { event_ns: row.event_time_ns, action: row.wire() });
        Ok(AsOf { checkpoint: actions.checkpoint, rows: rows.collect() })
    }

    async fn findings(&self) -> Result<AsOf<PastFinding>, ReadError> {
        let found = queries::newest_findings(&self.pool).await.map_err(ReadError::of("findings"))?;
        let rows = found.findings.into_iter().map(|row| PastFinding {
            symbol: row.symbol,
            finding: KnownFinding {
                event_id: row.event_id,
                rule: row.rule,
                detail: row.detail,
                time_ns: row.event_time_ns,
                severe: row.severe,
            },
        });
        Ok(AsOf { checkpoint: found.checkpoint, rows: rows.collect() })
    }
}
