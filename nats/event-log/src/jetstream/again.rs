//! Asking again: what only reads may be asked as often as it takes.

use std::time::{Duration, Instant};

use super::api::ServerError;
use super::append::pause;
use crate::LogError;

/// How long after the first request there is another attempt. A cluster that has lost a leader has a new one
/// within 9 s.
const PATIENCE: Duration = Duration::from_secs(10);

/// Puts a question until it is answered or [`PATIENCE`] is over.
pub(super) async fn again<T, A: Future<Output = Result<T, LogError>>>(
    question: impl Fn() -> A,
) -> Result<T, LogError> {
    let begun = Instant::now();
    let mut attempt = 1;
    loop {
        match question().await {
            Err(error) if !is_answer(&error) && begun.elapsed() < PATIENCE => {
                tracing::debug!(attempt, %error, "asked again");
            }
            outcome => return outcome,
        }
        pause(attempt).await;
        attempt += 1;
    }
}

/// Whether asking again would give the same: the message is no event, what was asked about is not there, or was
/// taken back.
fn is_answer(error: &LogError) -> bool {
    error.is_undecodable()
        || error.is_taken_back()
        || error.source.downcast_ref::<ServerError>().is_some_and(|error| error.code == 404)
}
