//! What risk reads from the read models. A simulator may supply one that is stale or fails.

use async_trait::async_trait;
use contracts::v1::CorporateAction;
use domain::bar::Bar;
use domain::book::{Book, KnownFinding};
use domain::money::Price;
use runtime::{AsOf, ReadError};

/// Everything a decision needs of `trading`.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The book at the checkpoint.
    pub book: Book,
    /// Those of the signals asked for that have a decision, at the checkpoint or past it.
    pub decided: Vec<String>,
}

/// The last raw price of a symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastPrice {
    /// Symbol.
    pub symbol: String,
    /// Close of the live or rehearsed bar with the newest close.
    pub price: Price,
    /// That bar's close, UTC nanoseconds.
    pub close_ns: i64,
}

/// A corporate action of the past.
#[derive(Clone, Debug, PartialEq)]
pub struct PastAction {
    /// Event time, UTC nanoseconds.
    pub event_ns: i64,
    /// The action.
    pub action: CorporateAction,
}

/// A finding about a symbol that decisions look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastFinding {
    /// Symbol.
    pub symbol: String,
    /// The finding.
    pub finding: KnownFinding,
}

/// The read models of risk.
#[async_trait]
pub trait ReadModel: Send + Sync {
    /// The book in one snapshot of `trading`, and which of `signal_ids` have a decision.
    async fn snapshot(&self, signal_ids: &[String]) -> Result<Snapshot, ReadError>;

    /// Which of `signal_ids` have a decision, where the book of an earlier snapshot still serves.
    async fn decided(&self, signal_ids: &[String]) -> Result<AsOf<String>, ReadError> {
        let Snapshot { book, decided } = self.snapshot(signal_ids).await?;
        Ok(AsOf { checkpoint: book.sequence(), rows: decided })
    }

    /// The last price of every symbol, from `bars`.
    async fn prices(&self) -> Result<AsOf<LastPrice>, ReadError>;

    /// The live bars of late of every symbol, from `bars`, oldest first; at the least as many as a history keeps.
    /// A source without any answers nothing: then what is measured waits for new bars.
    async fn history(&self) -> Result<AsOf<(String, Bar)>, ReadError> {
        Ok(AsOf { checkpoint: u64::MAX, rows: Vec::new() })
    }

    /// Alerts that were raised and not cleared.
    async fn open_alerts(&self) -> Result<Vec<(String, String, String)>, ReadError> {
        Ok(Vec::new())
    }

    /// Symbols with the sectors that their profiles name, from `reference`. A source without profiles answers nothing.
    async fn sectors(&self) -> Result<Vec<(String, String)>, ReadError> {
        Ok(Vec::new())
    }

    /// The checkpoint of `trading`.
    async fn checkpoint(&self) -> Result<u64, ReadError> {
        Ok(self.snapshot(&[]).await?.book.sequence())
    }

    /// The corporate actions so far, from `calendar`.
    async fn actions(&self) -> Result<AsOf<PastAction>, ReadError>;

    /// Of every symbol at least the newest finding that is a warning or worse and no halt, and the newest halt or
    /// resumption, from `calendar`; of equal times the later one behind the other. A source without any answers nothing:
    /// then they are read from the tape.
    async fn findings(&self) -> Result<AsOf<PastFinding>, ReadError> {
        Ok(AsOf::default())
    }
}
