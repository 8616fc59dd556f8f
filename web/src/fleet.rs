//! The strategies with their track records, carried on from one rendering to the next.

use projections::queries::{QueryError, TrackRecords};
use projections::{StrategyReport, strategy_reports};
use tokio::sync::Mutex;

use crate::app::App;

/// What the strategies' orders and fills have added up to so far.
#[derive(Debug, Default)]
pub struct Fleet(Mutex<TrackRecords>);

impl Fleet {
    /// Every strategy that was ever registered, by name, as of now.
    pub async fn reports(&self, app: &App) -> Result<Vec<StrategyReport>, QueryError> {
        let pool = &app.config.pool;
        let records = {
            let mut records = self.0.lock().await;
            if let Err(error) = records.advance(pool).await {
                // Half a sequence may have been taken: what can be read again is.
                *records = TrackRecords::default();
                return Err(error);
            }
            records.clone()
        };
        strategy_reports(pool, &app.context.tape, &records).await
    }

    /// One of them; `None` when no strategy of that name was ever registered.
    pub async fn report(&self, app: &App, name: &str) -> Result<Option<StrategyReport>, QueryError> {
        Ok(self.reports(app).await?.into_iter().find(|report| report.row.strategy == name))
    }
}
