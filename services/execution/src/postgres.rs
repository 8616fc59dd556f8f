//! The read models in Postgres.

use async_trait::async_trait;
use domain::book::Book;
use domain::order::OrderState;
use projections::queries;
use runtime::ReadError;
use sqlx::PgPool;

use crate::read_model::ReadModel;

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
}
