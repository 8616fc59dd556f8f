//! What a service is given.

use event_log::Tape;
use tokio_util::sync::CancellationToken;

use crate::clock::ClockMode;
use crate::health::Health;

/// Everything a service shares with the others.
#[derive(Clone, Debug)]
pub struct Context {
    /// The tape.
    pub tape: Tape,
    /// What moves time.
    pub clock: ClockMode,
    /// Where the service says how it is.
    pub health: Health,
    /// Cancelled when the service must finish what it holds and return.
    pub shutdown: CancellationToken,
}
