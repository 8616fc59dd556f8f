//! Processes: a service that dies whenever fate says so, and is started again.

use std::time::Duration;

use runtime::clock;

use crate::fate::{Fate, Fault};

/// How long a process that ended is down, in milliseconds.
pub const DOWN_MS_MAX: u64 = 1_500;

/// Runs `make` again and again, killed whenever fate says so, until `over`.
pub async fn supervised<Running, Error>(
    name: &str,
    fate: Fate,
    over: tokio_util::sync::CancellationToken,
    mut make: impl FnMut() -> Running,
) where
    Running: Future<Output = Result<(), Error>>,
    Error: std::fmt::Display,
{
    loop {
        let mut running = Box::pin(make());
        let ended = std::future::poll_fn(|context| {
            if fate.strikes(Fault::Kill, name) {
                return std::task::Poll::Ready(None);
            }
            running.as_mut().poll(context).map(Some)
        })
        .await;
        drop(running);
        match ended {
            Some(Ok(())) => return,
            Some(Err(error)) => fate.note(|| format!("{name} ended: {error}")),
            None => fate.note(|| format!("{name} killed")),
        }
        if over.is_cancelled() {
            return;
        }
        clock::sleep(fate.while_ms(DOWN_MS_MAX).max(Duration::from_millis(5))).await;
    }
}
