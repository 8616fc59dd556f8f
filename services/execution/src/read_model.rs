//! What execution reads from the read models. A simulator may supply one that is stale or fails.

use async_trait::async_trait;
use domain::book::Book;
use domain::order::OrderState;
use runtime::ReadError;

/// The read models of execution.
#[async_trait]
pub trait ReadModel: Send + Sync {
    /// The book at the checkpoint of `trading`.
    async fn book(&self) -> Result<Book, ReadError>;

    /// An order that has left the book's memory.
    async fn order(&self, order_id: &str) -> Result<Option<OrderState>, ReadError>;
}
