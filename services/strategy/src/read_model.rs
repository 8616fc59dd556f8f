//! What the host reads from the read models. A simulator may supply one that is stale or fails.

use async_trait::async_trait;
use contracts::v1::CorporateAction;
use domain::bar::{Bar, Timeframe};
use domain::book::Book;
use domain::order::OrderState;
use runtime::{AsOf, ReadError};

/// A bar of the past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastBar {
    /// Symbol.
    pub symbol: String,
    /// Timeframe.
    pub timeframe: Timeframe,
    /// The bar, raw.
    pub bar: Bar,
}

/// A corporate action of the past.
#[derive(Clone, Debug, PartialEq)]
pub struct PastAction {
    /// Its sequence on MARKET.
    pub sequence: u64,
    /// The action.
    pub action: CorporateAction,
}

/// Which bars a warm-up wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Symbols; empty means all.
    pub symbols: Vec<String>,
    /// Timeframe; `None` means all.
    pub timeframe: Option<Timeframe>,
    /// Bars per symbol and timeframe.
    pub bars: usize,
}

/// The read models of a strategy host.
#[async_trait]
pub trait ReadModel: Send + Sync {
    /// The book at the checkpoint of `trading`.
    async fn book(&self) -> Result<Book, ReadError>;

    /// An order that has left the book's memory.
    async fn order(&self, order_id: &str) -> Result<Option<OrderState>, ReadError>;

    /// The newest bars by close among those at or below `at_sequence` of MARKET.
    async fn bars(&self, wanted: &Wanted, at_sequence: u64) -> Result<AsOf<PastBar>, ReadError>;

    /// The corporate actions at or below `at_sequence` of MARKET.
    async fn actions(&self, at_sequence: u64) -> Result<AsOf<PastAction>, ReadError>;
}
