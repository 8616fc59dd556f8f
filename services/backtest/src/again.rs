//! Parity and forks as work of its own: on a thread apart, because following a tape is as much computing as reading.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use analytics::Comparison;
use contracts::v1::{BacktestFinished, BacktestRequest};
use event_log::Tape;
use projections::as_of::Timeline;
use tokio::runtime::Handle;

use crate::replay::{Options, ReplayError, Stretch, StretchError, rerun};

/// Finds the stretch of `request`, which is complete, on the tape, or says why there is none. `books` is where the tape's
/// past is kept.
pub async fn find(
    tape: Tape,
    books: Option<PathBuf>,
    request: BacktestRequest,
) -> Result<Stretch, StretchError> {
    apart(move || {
        let past = Timeline::kept_in(Arc::clone(&tape), books);
        Handle::current().block_on(Stretch::find_along(&tape, &past, &request))
    })
    .await
}

/// Runs a stretch again and compares. `watch` is told how much is done and ends it with a break. The end for the record
/// lacks its run's id and how long it took.
pub async fn again(
    tape: Tape,
    options: Options,
    stretch: Stretch,
    watch: impl Fn(f64) -> ControlFlow<()> + Send + Sync + 'static,
) -> Result<(Comparison, BacktestFinished), StretchError> {
    apart(move || Handle::current().block_on(rerun(&tape, &options, stretch, &watch))).await
}

async fn apart<Done: Send + 'static>(
    work: impl FnOnce() -> Result<Done, StretchError> + Send + 'static,
) -> Result<Done, StretchError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(ReplayError::Report(format!("its task ended badly: {error}")).into()))
}
