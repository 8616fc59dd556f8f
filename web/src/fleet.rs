//! The strategies with their track records, carried on from one rendering to the next.

use projections::as_of::Past;
use projections::queries::{QueryError, TrackRecords};
use projections::{StrategyReport, strategy_reports, strategy_reports_of};
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

    /// Every strategy that was registered by a moment of the past, as of then.
    pub async fn reports_of(&self, app: &App, past: &Past) -> Result<Vec<StrategyReport>, QueryError> {
        let pool = &app.config.pool;
        let mut records = TrackRecords::default();
        records.advance_to(pool, past.sequence()).await?;
        strategy_reports_of(pool, past, &records).await
    }

    /// One of the present ones; `None` when no strategy of that name was ever registered.
    pub async fn report(&self, app: &App, name: &str) -> Result<Option<StrategyReport>, QueryError> {
        Ok(self.reports(app).await?.into_iter().find(|report| report.row.strategy == name))
    }
}
