//! Appending decisions: each is the next one of its account, and each stands on the tape once.

use std::collections::{HashMap, HashSet};

use contracts::v1::Event;
use contracts::v1::event::Body;
use contracts::{escape, stream};
use event_log::{Append, AppendError, Appended, Expect, MAX_BATCH, Recorded};
use runtime::Context;

use super::Error;
use crate::round::Outgoing;

/// Decisions from which on an atomic batch is quicker than one append after the other: a small batch
/// costs several single appends, and others can go on with the first decision while the next is stored.
const BATCH_MIN: usize = 6;

/// What became of decisions.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    /// Those that stand on the tape, with their sequences.
    pub stored: Vec<(u64, Event)>,
    /// Signals whose decision the tape refuses, and why.
    pub refused: Vec<(Recorded, String)>,
    /// Where another decider wrote; the decisions after it were not appended.
    pub overtaken: Option<u64>,
}

/// The last decision of every account.
#[derive(Debug, Default)]
pub(super) struct Decisions {
    last: HashMap<String, u64>,
}

impl Decisions {
    /// Takes note of decisions on the tape.
    pub fn read(&mut self, recorded: &Recorded) {
        if let Some(Body::RiskDecision(decision)) = &recorded.event.body {
            self.note(&decision.account, recorded.sequence);
        }
    }

    /// Appends decisions in their order.
    pub async fn append(&mut self, context: &Context, decisions: Vec<Outgoing>) -> Result<Outcomes, Error> {
        let mut outcomes = Outcomes::default();
        let mut rest = decisions.as_slice();
        while !rest.is_empty() && outcomes.overtaken.is_none() {
            let (now, later) = rest.split_at(rest.len().min(MAX_BATCH));
            rest = later;
            if now.len() < BATCH_MIN || !self.together(context, now, &mut outcomes).await? {
                self.one_by_one(context, now, &mut outcomes).await?;
            }
        }
        Ok(outcomes)
    }

    /// All or none. False when they were not stored this way, or nobody knows: one by one finds out.
    async fn together(
        &mut self,
        context: &Context,
        decisions: &[Outgoing],
        outcomes: &mut Outcomes,
    ) -> Result<bool, Error> {
        let mut accounts = HashSet::new();
        let mut entries = Vec::with_capacity(decisions.len());
        for decision in decisions {
            // The first of an account carries the expectation for those behind it.
            let expect = match accounts.insert(decision.account.as_str()) {
                true => self.expect(context, &decision.account).await?,
                false => Expect::Nothing,
            };
            let (subject, event) = (decision.subject.clone(), decision.event.clone());
            entries.push(Append { subject, event, expect });
        }
        let appended = match context.tape.append_batch(entries).await {
            Ok(appended) => appended,
            Err(error) => {
                tracing::warn!(%error, "decisions go one by one: {error}");
                return Ok(false);
            }
        };
        for (decision, appended) in decisions.iter().zip(appended) {
            self.stored(decision, appended, outcomes);
        }
        Ok(true)
    }

    async fn one_by_one(
        &mut self,
        context: &Context,
        decisions: &[Outgoing],
        outcomes: &mut Outcomes,
    ) -> Result<(), Error> {
        for decision in decisions {
            let expect = self.expect(context, &decision.account).await?;
            let (subject, event) = (decision.subject.clone(), decision.event.clone());
            let entry = Append { subject, event, expect };
            match runtime::append(&context.tape, &context.shutdown, entry).await {
                Ok(appended) => self.stored(decision, appended, outcomes),
                Err(AppendError::Refused(reason)) => {
                    outcomes.refused.push((decision.signal.clone(), reason));
                }
                Err(AppendError::Conflict { last, .. }) => {
                    tracing::warn!(
                        sequence = last,
                        "another decider wrote under {}",
                        filter(&decision.account)
                    );
                    self.note(&decision.account, last);
                    outcomes.overtaken = Some(last);
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn stored(&mut self, decision: &Outgoing, appended: Appended, outcomes: &mut Outcomes) {
        self.note(&decision.account, appended.sequence);
        outcomes.stored.push((appended.sequence, decision.event.clone()));
    }

    async fn expect(&mut self, context: &Context, account: &str) -> Result<Expect, Error> {
        let filter = filter(account);
        let sequence = match self.last.get(account) {
            Some(sequence) => *sequence,
            None => {
                let sequence = context.tape.last_sequence(stream::TRADING, &filter).await?;
                self.note(account, sequence);
                sequence
            }
        };
        Ok(Expect::Last { filter, sequence })
    }

    fn note(&mut self, account: &str, sequence: u64) {
        let last = self.last.entry(account.to_owned()).or_default();
        *last = sequence.max(*last);
    }
}

/// The filter under which an account's decisions are one aggregate.
fn filter(account: &str) -> String {
    format!("risk.{}.>", escape(account))
}
