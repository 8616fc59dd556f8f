//! Adding steps to the tape, exactly once each.

use std::collections::{BTreeSet, VecDeque};

use contracts::stream;
use event_log::{Append, AppendError, Expect};

use super::{Error, Shell};
use crate::step::{Step, StepError};

/// Times that other writers may come first before it is an error.
const ATTEMPTS_MAX: u32 = 10;

impl Shell {
    /// Adds steps in their order; those of different aggregates do not wait for each other. Answers the
    /// steps that come to nothing because the book forbids them.
    pub(super) async fn store(&mut self, steps: Vec<Step>) -> Result<Vec<(Step, StepError)>, Error> {
        let mut failed = Vec::new();
        let mut todo: VecDeque<Step> = steps.into();
        let mut conflicts = 0;
        while !todo.is_empty() {
            self.catch_up().await?;
            let chunk = self.chunk(&mut todo, &mut failed);
            let appends = chunk.iter().map(|(_, append)| append.clone()).collect();
            let tape = &self.context.tape;
            let outcomes = runtime::append_all(tape, &self.context.shutdown, appends).await;
            let mut again = Vec::new();
            for ((step, append), outcome) in chunk.into_iter().zip(outcomes) {
                match outcome {
                    Ok(stored) => self.note(&append, stored.sequence),
                    Err(AppendError::Conflict { actual, .. }) if conflicts < ATTEMPTS_MAX => {
                        conflicts += 1;
                        self.machine.learn(actual.map_or(0, |last| last.sequence));
                        again.push(step);
                    }
                    Err(AppendError::Conflict { .. }) => {
                        let subject = append.subject.as_str().to_owned();
                        return Err(Error::Contended { subject, attempts: conflicts });
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            for step in again.into_iter().rev() {
                todo.push_front(step);
            }
        }
        Ok(failed)
    }

    /// Adds steps in their order, all or none, each seeing what those before it did. Answers the steps that
    /// come to nothing because the book forbids them.
    pub(super) async fn store_together(&mut self, steps: &[Step]) -> Result<Vec<(Step, StepError)>, Error> {
        let mut conflicts = 0;
        loop {
            self.catch_up().await?;
            let (batch, failed) = self.machine.decide_together(steps);
            if batch.is_empty() {
                return Ok(failed);
            }
            match self.context.tape.append_batch(batch.clone()).await {
                Ok(stored) => {
                    for (append, stored) in batch.iter().zip(stored) {
                        self.note(append, stored.sequence);
                    }
                    return Ok(failed);
                }
                Err(AppendError::Conflict { actual, .. }) if conflicts < ATTEMPTS_MAX => {
                    conflicts += 1;
                    self.machine.learn(actual.map_or(0, |last| last.sequence));
                }
                Err(AppendError::Unavailable(error)) => {
                    // Whether it is stored is not known; what the tape holds then says so.
                    self.say(Some(error.to_string()));
                    tokio::select! {
                        () = self.context.shutdown.cancelled() => return Err(Error::Stopped),
                        () = tokio::time::sleep(super::RETRY) => {}
                    }
                    if let Ok(state) = self.context.tape.state(stream::TRADING).await {
                        self.machine.learn(state.last_sequence);
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Folds an event of our own at once where it is the next one.
    fn note(&mut self, append: &Append, sequence: u64) {
        if let Err(error) = self.machine.appended(append, sequence) {
            // The reader brings it again; there it is parked, as every message that cannot be folded.
            tracing::error!(sequence, "own event {sequence} cannot be folded: {error}");
        }
    }

    /// The next appends that may go out together: at most one per aggregate.
    fn chunk(
        &mut self,
        todo: &mut VecDeque<Step>,
        failed: &mut Vec<(Step, StepError)>,
    ) -> Vec<(Step, Append)> {
        let mut chunk = Vec::new();
        let mut aggregates = BTreeSet::new();
        while let Some(step) = todo.pop_front() {
            match self.machine.decide(&step) {
                Ok(None) => {}
                Ok(Some(append)) => {
                    if !aggregates.insert(aggregate(&append)) {
                        todo.push_front(step);
                        break;
                    }
                    chunk.push((step, append));
                }
                Err(error) => failed.push((step, error)),
            }
        }
        chunk
    }

    /// Adds the intents of a group of orders, all or none. False when another writer was first: the orders
    /// have to be looked at again.
    pub(super) async fn store_group(&mut self, steps: &[Step]) -> Result<bool, Error> {
        self.catch_up().await?;
        let mut batch = Vec::with_capacity(steps.len());
        for step in steps {
            match self.machine.decide(step) {
                Ok(Some(append)) => batch.push(append),
                Ok(None) => {}
                Err(error) => {
                    tracing::error!("{step:?} comes to nothing: {error}");
                    return Ok(false);
                }
            }
        }
        if batch.is_empty() {
            return Ok(true);
        }
        match self.context.tape.append_batch(batch.clone()).await {
            Ok(stored) => {
                for (append, stored) in batch.iter().zip(stored) {
                    self.note(append, stored.sequence);
                }
                Ok(true)
            }
            Err(AppendError::Conflict { actual, .. }) => {
                self.machine.learn(actual.map_or(0, |last| last.sequence));
                Ok(false)
            }
            Err(AppendError::Unavailable(error)) => {
                self.say(Some(error.to_string()));
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn aggregate(append: &Append) -> String {
    match &append.expect {
        Expect::Last { filter, .. } => filter.clone(),
        Expect::Nothing => append.subject.as_str().to_owned(),
    }
}
