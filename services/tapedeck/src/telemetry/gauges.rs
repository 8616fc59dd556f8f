//! Numbers that nobody counts as they happen and that are looked up now and then: how far the read models
//! are behind, what is parked, which orders are open.

use std::collections::BTreeSet;
use std::time::Duration;

use contracts::v1::SourceBreaker;
use event_log::Tape;
use projections::queries::{self, ProjectionRow};
use runtime::metrics::metrics;
use runtime::{Health, HealthState};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// Longest wait for one answer, so that a database that is gone holds up nothing but itself.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Looks and sets the gauges until shutdown.
pub struct Gauges {
    /// The tape.
    pub tape: Tape,
    /// Read models; `None` in a process that does not need any.
    pub pool: Option<PgPool>,
    /// How the services of this process are.
    pub health: Health,
}

impl Gauges {
    /// Runs until shutdown, and looks once more then, so that what is exported last is true.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut failing = false;
        loop {
            self.services();
            let looked = match &self.pool {
                Some(pool) => tokio::time::timeout(ANSWER_MAX, self.read_models(pool)).await,
                None => Ok(Ok(())),
            };
            let problem = match looked {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("no answer in time".to_owned()),
            };
            if let Some(problem) = &problem
                && !failing
            {
                tracing::warn!("metrics of the read models are not up to date: {problem}");
            }
            failing = problem.is_some();
            if shutdown.is_cancelled() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = shutdown.cancelled() => {}
            }
        }
    }

    fn services(&self) {
        for (service, statement) in self.health.all() {
            let ready = statement.state == HealthState::Ready;
            metrics().service_ready.with(&[&service]).set(f64::from(u8::from(ready)));
            for breaker in self.health.breakers(&service) {
                let SourceBreaker { source, account, client, state, .. } = &breaker;
                let open = f64::from(u8::from(state == runtime::BREAKER_OPEN));
                metrics().breaker_open.with(&[&service, source, account, client]).set(open);
            }
        }
    }

    async fn read_models(&self, pool: &PgPool) -> anyhow::Result<()> {
        let metrics = metrics();
        let heads = projections::heads(&self.tape).await?;
        let rows = queries::projection_status(pool, &heads).await?;
        for row in &rows {
            let name: &[&str] = &[&row.name];
            metrics.projection_sequence.with(name).set(row.sequence as f64);
            metrics.projection_faulted.with(name).set(f64::from(u8::from(row.fault_reason.is_some())));
            if let Some(lag) = row.lag {
                metrics.projection_lag_events.with(name).set(lag as f64);
                metrics.projection_lag.with(name).set(self.lag_seconds(row, lag).await?);
            }
        }
        // A read model that was dropped is no longer behind.
        let known: BTreeSet<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        let is_known = |labels: &[String]| known.contains(labels[0].as_str());
        metrics.projection_sequence.retain(is_known);
        metrics.projection_lag_events.retain(is_known);
        metrics.projection_lag.retain(is_known);
        metrics.projection_faulted.retain(is_known);
        metrics.parked_open.with(&[]).set(queries::parked_open(pool).await? as f64);
        metrics.orders_open.with(&[]).set(queries::orders_open(pool).await? as f64);
        Ok(())
    }

    /// Age of the first message that the projection has not folded, by the time it was recorded.
    async fn lag_seconds(&self, row: &ProjectionRow, lag: u64) -> anyhow::Result<f64> {
        if lag == 0 {
            return Ok(0.0);
        }
        let first = self.tape.get(&row.stream, row.sequence + 1).await?;
        let recorded = first.and_then(|first| first.event.recorded_time);
        // A plain client's event has no recorded time; then the time since the projection last moved.
        let since_ns = recorded.as_ref().and_then(contracts::from_timestamp).unwrap_or(row.updated_at_ns);
        Ok((runtime::now_ns() - since_ns).max(0) as f64 / 1e9)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use event_log::MemoryLog;

    use super::*;

    #[derive(Debug)]
    struct Down;

    impl runtime::Breakers for Down {
        fn of(&self, service: &str) -> Vec<SourceBreaker> {
            let breaker = |client: &str, state: &str| SourceBreaker {
                source: "alpaca".to_owned(),
                client: client.to_owned(),
                state: state.to_owned(),
                ..SourceBreaker::default()
            };
            let own = vec![breaker("actions", "half_open"), breaker("live", runtime::BREAKER_OPEN)];
            if service == "ingest" { own } else { Vec::new() }
        }
    }

    #[test]
    fn a_breaker_that_is_open_is_among_the_metrics() {
        let health = Health::watching(Arc::new(Down));
        health.set("ingest", HealthState::Ready, "");
        let gauges = Gauges { tape: Arc::new(MemoryLog::new()), pool: None, health };
        gauges.services();
        let text = runtime::metrics::exposition();
        for (client, value) in [("actions", 0), ("live", 1)] {
            let labels = format!("service=\"ingest\",source=\"alpaca\",account=\"\",client=\"{client}\"");
            let line = format!("tapedeck_breaker_open{{{labels}}} {value}");
            assert!(text.lines().any(|told| told == line), "{line} in {text}");
        }
    }
}
