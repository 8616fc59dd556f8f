//! A read model that folds the tape itself, up to where the test lets it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use contracts::stream;
use contracts::v1::event::Body;
use domain::book::Book;
use event_log::{EventLog as _, MemoryLog};
use risk::{LastPrice, PastAction, ReadModel, Snapshot};
use runtime::{AsOf, ReadError};

pub struct FoldedReadModel {
    log: MemoryLog,
    /// Last sequence that it may fold.
    pub limit: AtomicU64,
    /// Whether it fails to answer.
    pub failing: AtomicBool,
    /// Number of snapshots asked for.
    pub asked: AtomicU64,
    /// The prices that it starts with.
    pub prices: Mutex<AsOf<LastPrice>>,
    /// The sectors that profiles name.
    pub sectors: Mutex<Vec<(String, String)>>,
}

impl FoldedReadModel {
    pub fn new(log: &MemoryLog) -> Self {
        Self {
            log: log.clone(),
            limit: AtomicU64::new(u64::MAX),
            failing: AtomicBool::new(false),
            asked: AtomicU64::new(0),
            prices: Mutex::default(),
            sectors: Mutex::default(),
        }
    }
}

#[async_trait]
impl ReadModel for FoldedReadModel {
    async fn snapshot(&self, signal_ids: &[String]) -> Result<Snapshot, ReadError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.folded(signal_ids).await
    }

    async fn decided(&self, signal_ids: &[String]) -> Result<AsOf<String>, ReadError> {
        let Snapshot { book, decided } = self.folded(signal_ids).await?;
        Ok(AsOf { checkpoint: book.sequence(), rows: decided })
    }

    async fn prices(&self) -> Result<AsOf<LastPrice>, ReadError> {
        Ok(self.prices.lock().unwrap().clone())
    }

    async fn sectors(&self) -> Result<Vec<(String, String)>, ReadError> {
        Ok(self.sectors.lock().unwrap().clone())
    }

    async fn actions(&self) -> Result<AsOf<PastAction>, ReadError> {
        Ok(AsOf::default())
    }
}

impl FoldedReadModel {
    async fn folded(&self, signal_ids: &[String]) -> Result<Snapshot, ReadError> {
        if self.failing.load(Ordering::SeqCst) {
            return Err(ReadError { doing: "trading", source: "the database is away".into() });
        }
        let head = self.log.state(stream::TRADING).await.unwrap().last_sequence;
        let (mut book, mut decided) = (Book::default(), Vec::new());
        for sequence in 1..=head.min(self.limit.load(Ordering::SeqCst)) {
            // What cannot be read or folded, the projector parks and passes over.
            let folded = match self.log.get(stream::TRADING, sequence).await {
                Ok(Some(recorded)) => {
                    if let Some(Body::RiskDecision(decision)) = &recorded.event.body {
                        decided.push(decision.signal_id.clone());
                    }
                    book.apply(sequence, &recorded.event).is_ok()
                }
                _ => false,
            };
            if !folded {
                book.skip(sequence);
            }
        }
        decided.retain(|id| signal_ids.contains(id));
        Ok(Snapshot { book, decided })
    }
}
