//! Says who keeps the clock waiting. It never decides anything.

use std::time::Duration;

use runtime::metrics::metrics;
use runtime::{Context, HealthState, clock, utc};
use tokio::time::Instant as Moment;

use super::SERVICE;

/// Time after which an instant counts as stalled.
const STALLED_AFTER: Duration = Duration::from_secs(2);
/// Time between two log lines about one stall.
const REPEAT_EVERY: Duration = Duration::from_secs(30);

/// Watches one instant.
#[derive(Debug)]
pub(super) struct Stall {
    began: Moment,
    logged: Option<Moment>,
}

impl Stall {
    pub(super) fn begin() -> Self {
        Self { began: clock::now(), logged: None }
    }

    /// Time since the instant began.
    pub(super) fn elapsed(&self) -> Duration {
        since(self.began)
    }

    /// States the culprit in health once the instant is stalled, and logs it now and then.
    pub(super) fn report(&mut self, context: &Context, ns: i64, culprit: &str) {
        if since(self.began) < STALLED_AFTER {
            return;
        }
        metrics().clock_stalled.with(&[]).set(since(self.began).as_secs_f64());
        if self.logged.is_none() {
            metrics().clock_stalls.with(&[]).increment();
        }
        let seconds = since(self.began).as_secs();
        let detail = format!("instant {} stands for {seconds} s: waiting for {culprit}", utc(ns));
        context.health.set(SERVICE, HealthState::Degraded, detail.clone());
        if self.logged.is_none_or(|logged| since(logged) >= REPEAT_EVERY) {
            tracing::warn!(instant = utc(ns), seconds, culprit, "{detail}");
            self.logged = Some(clock::now());
        }
    }

    /// Ends the instant; a stall that was reported is taken back.
    pub(super) fn end(&self, context: &Context) {
        if self.logged.is_some() {
            metrics().clock_stalled.with(&[]).set(0.0);
            context.health.set(SERVICE, HealthState::Ready, "");
        }
    }
}

fn since(moment: Moment) -> Duration {
    clock::now().duration_since(moment)
}
