//! Starting and stopping strategies as the tape says, and what those in shadow mode signalled before this process began.

use std::time::Duration;

use contracts::{Subject, stream};
use event_log::{Delivery, Expect, Last, LogError, Recorded, Tape, last_of};
use runtime::{AsOf, HealthState, ReadError};

use super::{BATCH, Error, READ_MODEL_MAX, SERVICE, Shell};
use crate::history::History;
use crate::machine::{Change, Changed};
use crate::read_model::Wanted;
use crate::signal::Outgoing;

impl Shell {
    /// Lets strategies that were in shadow mode already go on from what they have signalled there.
    pub(super) async fn recall(&mut self) -> Result<(), Error> {
        let tape = &self.context.tape;
        let at = self.machine.book().sequence();
        for strategy in self.machine.unknown_shadows() {
            let enabled = Subject::of(&["control", "strategy", &strategy, "enabled"]);
            let last = last_of(tape, stream::TRADING, enabled.as_str()).await?;
            let Some(enabled) = last.event else { continue };
            self.machine.recall(&enabled);
            let signals = format!("{}.>", Subject::of(&["signal", &strategy]).as_str());
            let recall = |signal: &Recorded| self.machine.recall(signal);
            each(tape, stream::TRADING, &signals, enabled.sequence, at, recall).await?;
        }
        Ok(())
    }

    /// Learns where the registrations changed last that the book knew already: without it a warm-up after a change would
    /// have the id of the one before it where MARKET has not gone on, and not be recorded.
    pub(super) async fn learn_changes(&mut self) -> Result<(), Error> {
        const KINDS: [&str; 4] = ["registered", "enabled", "disabled", "removed"];
        let tape = &self.context.tape;
        let at = self.machine.book().sequence();
        for strategy in self.machine.unknown_changes() {
            let mut changed = None;
            for kind in KINDS {
                let subject = Subject::of(&["control", "strategy", &strategy, kind]);
                let last = last_of(tape, stream::TRADING, subject.as_str()).await?.event;
                // One behind the book is folded later.
                changed = changed.max(last.filter(|last| last.sequence <= at).as_ref().map(Changed::of));
            }
            if let Some(changed) = changed {
                self.machine.changed_at(&strategy, changed);
            }
        }
        Ok(())
    }

    /// Starts and stops strategies until what runs is what the tape asks for.
    pub(super) async fn reconcile(&mut self) -> Result<(), Error> {
        let changes = self.machine.changes();
        if changes.is_empty() {
            return Ok(());
        }
        for change in changes {
            match change {
                Change::Start { strategy, wanted } => self.start(&strategy, wanted).await?,
                Change::Stopped(strategy) => {
                    tracing::info!(strategy, "strategy {strategy} stopped");
                }
                Change::Refused { strategy, reason } => {
                    tracing::error!(strategy, "strategy {strategy} cannot be built: {reason}");
                }
            }
        }
        self.say_ready();
        Ok(())
    }

    async fn start(&mut self, strategy: &str, wanted: Wanted) -> Result<(), Error> {
        self.context.health.set(SERVICE, HealthState::Starting, format!("warming up {strategy}"));
        let history = self.history(wanted).await?;
        let Some(warmed) = self.machine.start(strategy, history, self.handled_ns) else { return Ok(()) };
        tracing::info!(
            strategy,
            market_sequence = self.machine.market_sequence(),
            "strategy {strategy} started"
        );
        self.record(warmed).await
    }

    /// Bars and actions up to the last MARKET sequence handled: what the read models hold, and from the
    /// tape what they have not reached.
    async fn history(&self, wanted: Wanted) -> Result<History, Error> {
        let at = self.machine.market_sequence();
        let mut history = History::new(wanted.clone());
        let bars = answered(self.read_model.bars(&wanted, at)).await;
        let actions = answered(self.read_model.actions(at)).await;
        bars.rows.into_iter().for_each(|bar| history.bar(bar));
        actions.rows.into_iter().for_each(|action| history.action(action));
        let tape = &self.context.tape;
        for (filter, from) in [("market.bar.>", bars.checkpoint), ("market.action.>", actions.checkpoint)] {
            let fold = |recorded: &Recorded| history.event(recorded);
            each(tape, stream::MARKET, filter, from, at, fold).await?;
        }
        Ok(history)
    }

    /// Records a warm-up once: a restart at the same place finds it recorded.
    async fn record(&self, warmed: Outgoing) -> Result<(), Error> {
        let tape = &self.context.tape;
        let filter = warmed.subject.as_str().to_owned();
        let Last { sequence, event } = last_of(tape, stream::TRADING, &filter).await?;
        if event.is_some_and(|last| last.event.id == warmed.event.id) {
            return Ok(());
        }
        let expect = Expect::Last { filter, sequence };
        let entry = event_log::Append { subject: warmed.subject, event: warmed.event, expect };
        runtime::append(tape, &self.context.shutdown, entry).await?;
        Ok(())
    }
}

/// Gives `take` what stands under `filter` of a stream after `from` and up to `at`.
async fn each(
    tape: &Tape,
    stream: &str,
    filter: &str,
    from: u64,
    at: u64,
    mut take: impl FnMut(&Recorded) + Send,
) -> Result<(), LogError> {
    // A reader comes to the newest message, or to the first one behind `at`; it would wait for more.
    let until = tape.last_sequence(stream, filter).await?.min(at);
    if from >= until {
        return Ok(());
    }
    let mut reader = tape.read(stream, &[filter.to_owned()], from + 1).await?;
    let mut folded = from;
    while folded < until {
        for delivery in reader.batch(BATCH).await? {
            folded = delivery.sequence();
            if let Delivery::Event(recorded) = delivery
                && folded <= at
            {
                take(&recorded);
            }
        }
    }
    Ok(())
}

/// The answer of a read model; when it has none in time, nothing, so that the tape has to do.
async fn answered<Row>(question: impl Future<Output = Result<AsOf<Row>, ReadError>>) -> AsOf<Row> {
    const WAIT_MAX: Duration = READ_MODEL_MAX;
    match runtime::clock::timeout(WAIT_MAX, question).await {
        Ok(Ok(rows)) => rows,
        Ok(Err(error)) => {
            tracing::warn!(%error, "warming up from the tape: {error}");
            AsOf { checkpoint: 0, rows: Vec::new() }
        }
        Err(_) => {
            tracing::warn!("warming up from the tape: the read model did not answer in time");
            AsOf { checkpoint: 0, rows: Vec::new() }
        }
    }
}
