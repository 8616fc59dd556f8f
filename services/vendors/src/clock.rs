//! Time, waiting and chance, given from outside so that tests need not wait.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Time, waiting and chance.
#[async_trait]
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Now, UTC nanoseconds.
    fn now_ns(&self) -> i64;
    /// Waits.
    async fn sleep(&self, span: Duration);
    /// Any duration from zero to `most`.
    fn jitter(&self, most: Duration) -> Duration;
}

/// The real one.
pub struct SystemClock {
    now_ns: fn() -> i64,
    chance: Mutex<ChaCha8Rng>,
}

impl fmt::Debug for SystemClock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SystemClock").finish_non_exhaustive()
    }
}

impl SystemClock {
    /// A clock that reads `now_ns`; `seed` tells two processes' waiting apart.
    #[must_use]
    pub fn new(now_ns: fn() -> i64, seed: u64) -> Self {
        Self { now_ns, chance: Mutex::new(ChaCha8Rng::seed_from_u64(seed)) }
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn now_ns(&self) -> i64 {
        (self.now_ns)()
    }

    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }

    fn jitter(&self, most: Duration) -> Duration {
        let share = self.chance.lock().unwrap_or_else(PoisonError::into_inner).random::<f64>();
        most.mul_f64(share)
    }
}
