//! As what accounts are traded, with real money or without: asked of the tape once, and again when execution has said
//! something new.
//!
//! Deliberately absent: what it means for the tape's mode ([`crate::app::App::mode`]).

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use contracts::v1::TradingMode;
use event_log::LogError;

/// Subjects under which execution says through which broker an account is traded.
pub const SUBJECTS: &str = "account.*.attached";

/// What is known of the accounts.
#[derive(Debug, Default)]
pub struct Attached(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// Whether somebody listens for what changes. Nothing is kept otherwise.
    heard: bool,
    /// How often everything was forgotten: an answer to a question of before is not kept.
    round: u64,
    modes: BTreeMap<String, Option<TradingMode>>,
}

impl Kept {
    fn forget(&mut self) {
        self.round += 1;
        self.modes.clear();
    }
}

impl Attached {
    /// States whether somebody listens for what changes from here on.
    pub fn listen(&self, heard: bool) {
        let mut kept = self.lock();
        kept.heard = heard;
        kept.forget();
    }

    /// Takes note that something changed, or may have.
    pub fn forget(&self) {
        self.lock().forget();
    }

    /// As what `account` is traded; `None` when execution never said. `ask` asks the tape, where that has to be done.
    pub async fn mode(
        &self,
        account: &str,
        ask: impl Future<Output = Result<Option<TradingMode>, LogError>>,
    ) -> Result<Option<TradingMode>, LogError> {
        let round = {
            let kept = self.lock();
            if let Some(known) = kept.modes.get(account) {
                return Ok(*known);
            }
            kept.round
        };
        let mode = ask.await?;
        let mut kept = self.lock();
        if kept.heard && kept.round == round {
            kept.modes.insert(account.to_owned(), mode);
        }
        Ok(mode)
    }

    /// Whether the tape need not be asked about `account`.
    #[cfg(test)]
    pub fn keeps(&self, account: &str) -> bool {
        self.lock().modes.contains_key(account)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_tape_is_asked_again_only_when_something_changed() {
        let (attached, live) = (Attached::default(), Some(TradingMode::Live));
        let asked = async |answer: Option<TradingMode>| {
            attached.mode("paper", async move { Ok(answer) }).await.unwrap()
        };
        // While nobody listens each question goes to the tape.
        assert_eq!((asked(None).await, asked(live).await), (None, live));
        attached.listen(true);
        assert_eq!((asked(None).await, asked(live).await), (None, None));
        attached.forget();
        assert_eq!((asked(live).await, asked(None).await), (live, live));
        attached.listen(false);
        assert_eq!(asked(None).await, None);
    }

    #[tokio::test]
    async fn an_answer_that_was_overtaken_is_not_kept() {
        let attached = Attached::default();
        attached.listen(true);
        let overtaken = async {
            attached.forget();
            Ok(None)
        };
        assert_eq!(attached.mode("paper", overtaken).await.unwrap(), None);
        assert!(!attached.keeps("paper"));
    }
}
