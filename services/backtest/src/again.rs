//! Parity and forks as work of its own: on a thread apart, because following a tape is as much computing as reading.

use std::ops::ControlFlow;

use analytics::Comparison;
use contracts::v1::{BacktestFinished, BacktestRequest};
use event_log::Tape;
use tokio::runtime::Handle;

use crate::replay::{Options, ReplayError, StretchError, rerun};

/// Runs the stretch of `request`, which is complete, again and compares. `watch` is told how much is done and ends it
/// with a break. The end for the record lacks its run's id and how long it took.
pub async fn again(
    tape: Tape,
    options: Options,
    request: BacktestRequest,
    watch: impl Fn(f64) -> ControlFlow<()> + Send + Sync + 'static,
) -> Result<(Comparison, BacktestFinished), StretchError> {
    let work = move || {
        let stretch = request.stretch.clone().unwrap_or_default();
        Handle::current().block_on(rerun(&tape, &options, request.kind(), &stretch, &watch))
    };
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(ReplayError::Report(format!("its task ended badly: {error}")).into()))
}
