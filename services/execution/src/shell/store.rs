//! Adding steps to the tape, exactly once each.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;

use contracts::stream;
use contracts::v1::event::Body;
use domain::money::Amount;
use domain::order::{CENT, OrderStatus};
use event_log::{Append, AppendError, Appended, Expect};
use planted::Bug;

use super::{Error, Shell};
use crate::step::{Step, StepError};

/// Times that other writers may come first before it is an error.
const ATTEMPTS_MAX: u32 = 10;
/// Events that the tape takes in one atomic batch.
const BATCH_MAX: usize = event_log::MAX_BATCH;
/// Events from which on an atomic batch is quicker than each by itself.
const TOGETHER_MIN: usize = 8;

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
            let outcomes = self.append_chunk(appends).await;
            let mut again = Vec::new();
            for ((step, append), outcome) in chunk.into_iter().zip(outcomes) {
                match outcome {
                    Ok(stored) => self.note(&append, stored.sequence),
                    Err(AppendError::Conflict { filter, last, .. }) if conflicts < ATTEMPTS_MAX => {
                        conflicts += 1;
                        self.learn_last(filter, last);
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

    /// Appends events of different aggregates: many as one atomic batch, which the tape syncs once and others wait for once;
    /// where that is refused, or its outcome not known, each by itself.
    async fn append_chunk(&self, appends: Vec<Append>) -> Vec<Result<Appended, AppendError>> {
        let tape = &self.context.tape;
        if appends.len() >= TOGETHER_MIN {
            match tape.append_batch(appends.clone()).await {
                Ok(stored) => return stored.into_iter().map(Ok).collect(),
                Err(error) => tracing::debug!(%error, "one by one: {error}"),
            }
        }
        runtime::append_all(tape, &self.context.shutdown, appends).await
    }

    /// Adds steps in their order, all or none, each seeing what those before it did; where they are more than
    /// one batch can hold, all or none of each symbol's. Answers the steps that come to nothing because the
    /// book forbids them. Where it `waits` for the marks, nothing is added beside a mark that cannot be made.
    pub(super) async fn store_together(
        &mut self,
        steps: &[Step],
        waits: bool,
    ) -> Result<Vec<(Step, StepError)>, Error> {
        let symbol = |step: &Step| match step {
            Step::Report { order_id, .. } => {
                self.machine.book().order(order_id).map(|order| order.spec.symbol.clone())
            }
            _ => None,
        };
        let symbols: Vec<_> = steps.iter().map(symbol).collect();
        let mut failed = Vec::new();
        for batch in batches(&symbols, BATCH_MAX) {
            failed.extend(self.store_batch(&steps[batch], waits).await?);
        }
        Ok(failed)
    }

    async fn store_batch(&mut self, steps: &[Step], waits: bool) -> Result<Vec<(Step, StepError)>, Error> {
        let mut conflicts = 0;
        loop {
            self.catch_up().await?;
            let (batch, failed) = self.machine.decide_together(steps);
            let batch = batch.into_iter().filter_map(|append| self.mistaken(append));
            let batch: Vec<_> = batch.map(|append| self.expecting(append)).collect();
            let unmarked = waits && failed.iter().any(|(_, error)| matches!(error, StepError::Mark(_)));
            if batch.is_empty() || unmarked {
                return Ok(failed);
            }
            match self.context.tape.append_batch(batch.clone()).await {
                Ok(stored) => {
                    for (append, stored) in batch.iter().zip(stored) {
                        self.note(append, stored.sequence);
                    }
                    return Ok(failed);
                }
                Err(AppendError::Conflict { filter, last, .. }) if conflicts < ATTEMPTS_MAX => {
                    conflicts += 1;
                    self.learn_last(filter, last);
                }
                Err(AppendError::Unavailable(error)) => {
                    // Whether it is stored is not known; what the tape holds then says so.
                    self.say(Some(error.to_string()));
                    tokio::select! {
                        biased;
                        () = self.context.shutdown.cancelled() => return Err(Error::Stopped),
                        () = runtime::clock::sleep(super::RETRY) => {}
                    }
                    if let Ok(state) = self.context.tape.state(stream::TRADING).await {
                        self.machine.learn(state.last_sequence);
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Learns what stands last where an append was to go. Before the next attempt everything up to there is folded or
    /// passed over.
    fn learn_last(&mut self, filter: String, last: u64) {
        self.machine.learn(last);
        self.passed.insert(filter, last);
    }

    /// The append, expecting at least what is known to stand last: the fold of an aggregate knows nothing of a message
    /// that was parked, whose place counts all the same.
    fn expecting(&self, mut append: Append) -> Append {
        if let Expect::Last { filter, sequence } = &mut append.expect
            && let Some(last) = self.passed.get(filter)
        {
            *sequence = (*sequence).max(*last);
        }
        append
    }

    /// Folds an event of our own at once where it is the next one.
    fn note(&mut self, append: &Append, sequence: u64) {
        if let Expect::Last { filter, .. } = &append.expect {
            self.passed.remove(filter);
        }
        if let Err(error) = self.machine.appended(append, sequence) {
            // The reader brings it again; there it is parked, as every message that cannot be folded.
            tracing::error!(sequence, "own event {sequence} cannot be folded: {error}");
        }
    }

    /// The next appends that may go out together: at most one per aggregate, and as many as one batch takes.
    fn chunk(
        &mut self,
        todo: &mut VecDeque<Step>,
        failed: &mut Vec<(Step, StepError)>,
    ) -> Vec<(Step, Append)> {
        let mut chunk = Vec::new();
        let mut aggregates = BTreeSet::new();
        while chunk.len() < BATCH_MAX
            && let Some(step) = todo.pop_front()
        {
            match self.machine.decide(&step) {
                Ok(None) => {}
                Ok(Some(append)) => {
                    let append = self.expecting(append);
                    if !aggregates.insert(aggregate(&append)) {
                        todo.push_front(step);
                        break;
                    }
                    chunk.extend(self.mistaken(append).map(|append| (step, append)));
                }
                Err(error) => failed.push((step, error)),
            }
        }
        chunk
    }

    /// The append as it is, but for planted bugs.
    fn mistaken(&self, mut append: Append) -> Option<Append> {
        let Some(Body::Fill(fill)) = &mut append.event.body else { return Some(append) };
        let order = self.machine.book().order(&fill.order_id);
        let cancelled = order.is_some_and(|order| order.status == OrderStatus::Cancelled);
        if planted::is(Bug::CancelRaceLosesFill) && cancelled {
            return None;
        }
        if planted::is(Bug::RoundingUp) {
            let commission = Amount::from_wire(fill.commission.as_ref());
            fill.commission = Amount(commission.0 + (-commission.0).rem_euclid(CENT.0)).to_wire();
        }
        Some(append)
    }

    /// Adds the intents of a group of orders, all or none. False when another writer was first: the orders
    /// have to be looked at again.
    pub(super) async fn store_group(&mut self, steps: &[Step]) -> Result<bool, Error> {
        self.catch_up().await?;
        let mut batch = Vec::with_capacity(steps.len());
        for step in steps {
            match self.machine.decide(step) {
                Ok(Some(append)) => batch.push(self.expecting(append)),
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
            Err(AppendError::Conflict { filter, last, .. }) => {
                self.learn_last(filter, last);
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

/// Ranges of steps of at most `most`, cut where the symbol changes if there is such a place.
fn batches(symbols: &[Option<String>], most: usize) -> Vec<Range<usize>> {
    let (mut batches, mut start) = (Vec::new(), 0);
    while start < symbols.len() {
        let mut end = symbols.len().min(start + most);
        if end < symbols.len() {
            let cut = (start + 1..=end).rev().find(|cut| symbols[*cut] != symbols[cut - 1]);
            if cut.is_none() {
                let symbol = symbols[start].as_deref().unwrap_or_default();
                tracing::error!("{symbol}: more than {most} events of one instant, stored in parts");
            }
            end = cut.unwrap_or(end);
        }
        batches.push(start..end);
        start = end;
    }
    batches
}

fn aggregate(append: &Append) -> String {
    match &append.expect {
        Expect::Last { filter, .. } => filter.clone(),
        Expect::Nothing => append.subject.as_str().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::batches;

    #[test]
    fn a_batch_ends_where_the_symbol_changes() {
        let ends = |text: &str| {
            let symbols: Vec<_> = text.chars().map(|symbol| Some(symbol.to_string())).collect();
            batches(&symbols, 4).into_iter().map(|batch| batch.end).collect::<Vec<_>>()
        };
        assert_eq!(ends("aabb"), [4]);
        assert_eq!(ends("aabbbc"), [2, 6]);
        assert_eq!(ends("aabbcc"), [4, 6]);
        assert_eq!(ends("aaaaab"), [4, 6], "no place to cut");
        assert_eq!(ends(""), [0_usize; 0]);
    }
}
