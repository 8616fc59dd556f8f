//! The read models in Postgres.

use async_trait::async_trait;
use domain::book::Book;
use domain::order::OrderState;
use projections::queries;
use runtime::{AsOf, ReadError};
use sqlx::PgPool;

use crate::read_model::{PastAction, PastBar, ReadModel, Wanted};

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
    async fn book(&self) -> Result<Book, ReadError> {
        // What another version folded is no beginning for what this one folds: then the tape is.
        let book = queries::own_book(&self.pool).await.map_err(ReadError::of("the book"))?;
        Ok(book.unwrap_or_default())
    }

    async fn order(&self, order_id: &str) -> Result<Option<OrderState>, ReadError> {
        queries::load_order(&self.pool, order_id).await.map_err(ReadError::of("an order"))
    }

    async fn bars(&self, wanted: &Wanted, at_sequence: u64) -> Result<AsOf<PastBar>, ReadError> {
        let count = u32::try_from(wanted.bars).unwrap_or(u32::MAX);
        let history =
            queries::history(&self.pool, &wanted.symbols, wanted.timeframe, at_sequence, count).await;
        let history = history.map_err(ReadError::of("bars"))?;
        let rows = history.bars.into_iter().map(|row| PastBar {
            symbol: row.symbol,
            timeframe: row.timeframe,
            bar: row.bar,
        });
        Ok(AsOf { checkpoint: history.checkpoint, rows: rows.collect() })
    }

    async fn actions(&self, at_sequence: u64) -> Result<AsOf<PastAction>, ReadError> {
        let actions = queries::corporate_actions(&self.pool, at_sequence).await;
        let actions = actions.map_err(ReadError::of("corporate actions"))?;
        let rows =
            actions.actions.into_iter().map(|row| PastAction { sequence: row.sequence, action: row.wire() });
        Ok(AsOf { checkpoint: actions.checkpoint, rows: rows.collect() })
    }
}
