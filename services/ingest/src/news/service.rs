//! The service `news`: asks for what the tape lacks, again and again, and takes what the source tells by itself at once.

use std::sync::Arc;
use std::time::Duration;

use runtime::{ClockMode, Context, HealthState, clock};
use tokio::time::Instant;

use super::desk::Desk;
use super::port::{Heard, NewsAgency, NewsWire};
use crate::reference::KeepError;

/// Its name in health and heartbeats.
pub const SERVICE: &str = "news";

/// What is followed, and how.
#[derive(Clone, Debug)]
pub struct NewsConfig {
    /// Symbols.
    pub symbols: Vec<String>,
    /// Time from the beginning of one round of questions to that of the next.
    pub every: Duration,
}

/// Why the service stopped.
#[derive(Debug, thiserror::Error)]
pub enum NewsError {
    /// The context says that time is the tape's.
    #[error("clock tape: news need the wall clock")]
    TapeClock,
    /// The stream cannot be made.
    #[error("{0}")]
    Source(String),
    /// The tape refused articles, or could not be reached.
    #[error(transparent)]
    Keep(#[from] KeepError),
}

/// Follows the news until shutdown. It returns an error only where the tape fails; to start it again is right then. A
/// source that fails is asked again, and a stream that is refused is left alone until the next start.
pub async fn run(context: Context, config: NewsConfig, agency: Arc<dyn NewsAgency>) -> Result<(), NewsError> {
    if context.clock != ClockMode::Wall {
        return Err(NewsError::TapeClock);
    }
    let mut wire = agency.wire().map_err(NewsError::Source)?;
    let mut desk = Desk::new(&context, config, agency, wire.is_some());
    loop {
        let due_at = desk.due_at();
        tokio::select! {
            biased;
            () = context.shutdown.cancelled() => break,
            heard = next(wire.as_deref_mut()) => desk.hear(heard).await?,
            answered = desk.answered() => desk.take(answered).await?,
            () = until(due_at) => desk.begin().await?,
        }
    }
    context.health.set(SERVICE, HealthState::Stopping, "");
    Ok(())
}

/// What the stream told, where there is one.
async fn next(wire: Option<&mut (dyn NewsWire + 'static)>) -> Vec<Heard> {
    match wire {
        Some(wire) => wire.next().await,
        None => std::future::pending().await,
    }
}

/// Waits for a moment, or for ever.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => clock::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
