//! What the next measurement of each account goes on from: the one before it, and whose peaks begin anew since.

use std::collections::BTreeMap;

use contracts::v1::RiskMeasured;
use contracts::v1::event::Body;
use contracts::{Subject, basis_of, stream};
use domain::risk::monitor::Before;
use event_log::{LogError, Recorded, Tape, events_under};

/// Last tokens of the subjects under which an account's events let peaks begin anew.
const ANEW: [&str; 3] = ["breaker_reset", "transferred", "external"];

#[derive(Default)]
struct Known {
    before: Before,
    /// Last sequence of TRADING that the measurement is made of that stood last at the start.
    sequence: u64,
}

/// By account.
#[derive(Default)]
pub(super) struct Peaks {
    accounts: BTreeMap<String, Known>,
}

impl Peaks {
    /// Takes the last measurement of an account, and what it had not read yet up to `through`; the rest is read as it comes.
    pub async fn read(
        &mut self,
        tape: &Tape,
        account: &str,
        last: &Recorded,
        through: u64,
    ) -> Result<(), LogError> {
        let mut before = match &last.event.body {
            Some(Body::RiskMeasured(measured)) => Before::of(measured.clone()),
            _ => Before::default(),
        };
        // One of a version that did not state it is made of everything before it.
        let sequence = basis_of(&last.event, stream::TRADING).unwrap_or(last.sequence);
        if sequence < through {
            let filter = |token| Subject::of(&["account", account, token]).as_str().to_owned();
            let since = sequence + 1..=through;
            let found = events_under(tape, stream::TRADING, &ANEW.map(filter), since).await?;
            found
                .iter()
                .filter_map(|recorded| recorded.event.body.as_ref())
                .for_each(|body| before.take(body));
        }
        let known = Known { before, sequence };
        self.accounts.insert(account.to_owned(), known);
        Ok(())
    }

    /// Takes an event of TRADING. One that the measurement is made of that stood last at the start is in that.
    pub fn take(&mut self, recorded: &Recorded) {
        let Some(body) = &recorded.event.body else { return };
        let Some(account) = Before::account_of(body) else { return };
        let known = self.accounts.entry(account.to_owned()).or_default();
        if recorded.sequence > known.sequence {
            known.before.take(body);
        }
    }

    /// What an account's next measurement goes on from.
    pub fn of(&mut self, account: &str) -> &Before {
        &self.accounts.entry(account.to_owned()).or_default().before
    }

    /// Goes on from a measurement that is on the tape.
    pub fn measured(&mut self, measured: RiskMeasured) {
        let known = self.accounts.entry(measured.account.clone()).or_default();
        known.before = Before::of(measured);
    }
}
