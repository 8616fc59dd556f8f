//! What the tape says of the accounts' brokers, and whether somebody's word stands that an account may trade with money:
//! asked of the tape once, and again when either changed.
//!
//! Deliberately absent: what it means for the tape's mode ([`crate::app::App::mode`]).

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use contracts::v1::BrokerAttached;
use event_log::{LogError, Tape};
use runtime::command::{attachment, live_confirmation};

/// Subjects under which execution says through which broker an account is traded.
pub const BROKERS: &str = "account.*.attached";
/// Subjects under which somebody gives a word on an account, or takes it back.
pub const WORDS: &str = "control.account.*.*";

/// What is known of the accounts.
#[derive(Debug, Default)]
pub struct Attached(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// Whether somebody listens for what changes. Nothing is kept otherwise.
    heard: bool,
    /// How often everything was forgotten: an answer to a question of before is not kept.
    round: u64,
    attachments: BTreeMap<String, Option<BrokerAttached>>,
    confirmed: BTreeMap<String, bool>,
}

impl Kept {
    fn forget(&mut self) {
        self.round += 1;
        self.attachments.clear();
        self.confirmed.clear();
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

    /// Through which broker `account` is traded; `None` when execution never said.
    pub async fn attachment(&self, tape: &Tape, account: &str) -> Result<Option<BrokerAttached>, LogError> {
        self.known(|kept| &mut kept.attachments, account, attachment(tape, account)).await
    }

    /// Whether somebody's word stands that `account` may trade with money.
    pub async fn is_confirmed(&self, tape: &Tape, account: &str) -> Result<bool, LogError> {
        let asked = async { live_confirmation(tape, account).await.map(|found| found.is_some()) };
        self.known(|kept| &mut kept.confirmed, account, asked).await
    }

    /// What is kept of `account`. `ask` asks the tape, where that has to be done.
    async fn known<Said: Clone>(
        &self,
        place: fn(&mut Kept) -> &mut BTreeMap<String, Said>,
        account: &str,
        ask: impl Future<Output = Result<Said, LogError>>,
    ) -> Result<Said, LogError> {
        let round = {
            let mut kept = self.lock();
            if let Some(known) = place(&mut kept).get(account) {
                return Ok(known.clone());
            }
            kept.round
        };
        let said = ask.await?;
        let mut kept = self.lock();
        if kept.heard && kept.round == round {
            place(&mut kept).insert(account.to_owned(), said.clone());
        }
        Ok(said)
    }

    /// Whether the tape need not be asked about `account`.
    #[cfg(test)]
    pub fn keeps(&self, account: &str) -> bool {
        self.lock().attachments.contains_key(account)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is kept of `paper`, where the tape would say `answer`.
    async fn asked(attached: &Attached, answer: bool) -> bool {
        attached.known(|kept| &mut kept.confirmed, "paper", async move { Ok(answer) }).await.unwrap()
    }

    #[tokio::test]
    async fn the_tape_is_asked_again_only_when_something_changed() {
        let attached = Attached::default();
        // While nobody listens each question goes to the tape.
        assert_eq!((asked(&attached, false).await, asked(&attached, true).await), (false, true));
        attached.listen(true);
        assert_eq!((asked(&attached, false).await, asked(&attached, true).await), (false, false));
        attached.forget();
        assert_eq!((asked(&attached, true).await, asked(&attached, false).await), (true, true));
        attached.listen(false);
        assert!(!asked(&attached, false).await);
    }

    #[tokio::test]
    async fn an_answer_that_was_overtaken_is_not_kept() {
        let attached = Attached::default();
        attached.listen(true);
        let overtaken = async {
            attached.forget();
            Ok(false)
        };
        let said = attached.known(|kept| &mut kept.confirmed, "paper", overtaken).await.unwrap();
        assert!(!said && asked(&attached, true).await);
    }
}
