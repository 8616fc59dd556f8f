//! The service: hears, stores, keeps time.

use std::sync::Arc;
use std::time::Duration;

use domain::bar::Timeframe;
use domain::calendar::OutOfRange;
use event_log::{AppendError, LogError};
use runtime::{ClockMode, Context, HealthState, clock, now_ns};

use super::actions::Actions;
use super::desk::Desk;
use super::port::LiveMarkets;
use crate::import::ImportError;
use crate::standards::Standards;

/// Its name in health and heartbeats.
pub(super) const SERVICE: &str = "ingest";
/// Time between two looks at what the clock asks for.
const TICK: Duration = Duration::from_millis(250);

/// What is streamed, and how.
#[derive(Clone, Debug)]
pub struct LiveConfig {
    /// Symbols.
    pub symbols: Vec<String>,
    /// Longer bars to make of the minutes.
    pub timeframes: Vec<Timeframe>,
    /// Age up to which a bar may cause trades when it comes.
    pub fresh: Duration,
    /// How long after its end a longer bar whose last minute did not come is made of what there is.
    pub grace: Duration,
    /// Time between two comparisons with the vendor's history; zero for none.
    pub recheck: Duration,
    /// Of each symbol one quote and one trade in this time are put on the tape, where they are told.
    pub ticks_every: Duration,
    /// What bars are held against.
    pub standards: Standards,
    /// Unique per start of the process.
    pub instance: String,
}

/// Why the service stopped.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The context says that time is the tape's.
    #[error("clock tape: live data need the wall clock")]
    TapeClock,
    /// The source cannot be made.
    #[error("{0}")]
    Source(String),
    /// The tape refused bars, or could not be reached.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// The tape could not be read.
    #[error(transparent)]
    Read(#[from] LogError),
    /// The tape refused an event.
    #[error("append: {0}")]
    Append(#[from] AppendError),
    /// The calendar does not know the present.
    #[error(transparent)]
    Calendar(#[from] OutOfRange),
}

/// Streams until shutdown. It returns an error only where the tape or the calendar fails; to start it again is right
/// then. A source that fails is waited for, and one that refuses is left alone until the next start.
pub async fn run(
    context: Context,
    config: LiveConfig,
    markets: Arc<dyn LiveMarkets>,
) -> Result<(), LiveError> {
    if context.clock != ClockMode::Wall {
        return Err(LiveError::TapeClock);
    }
    context.health.set(SERVICE, HealthState::Starting, "reading the tape");
    let name = markets.name().to_owned();
    let mut desk = Desk::load(&context, config, &name).await?;
    let mut market = markets.open().map_err(LiveError::Source)?;
    let mut actions = Actions::new(markets, desk.symbols().to_vec());
    let mut tick_at = clock::now();
    loop {
        tokio::select! {
            biased;
            () = context.shutdown.cancelled() => break,
            () = clock::sleep_until(tick_at) => {
                actions.tick(now_ns())?;
                desk.tick(market.as_mut()).await?;
                tick_at = clock::now() + TICK;
            }
            answer = actions.answer() => desk.actions(answer).await?,
            heard = market.next() => desk.hear(heard, market.as_mut()).await?,
        }
    }
    context.health.set(SERVICE, HealthState::Stopping, "");
    Ok(())
}
