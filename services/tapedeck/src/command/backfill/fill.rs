//! From what is missing to what is told: spans of each symbol in their order, those of several symbols at once where the
//! vendor answers that; and what came of each symbol.

use std::collections::BTreeMap;

use domain::calendar::Calendar;
use event_log::Tape;
use runtime::command::filled::{Action, Filled};
use vendors::{HistoricalBars, Quoted};

use super::ask::{Stopped, actions, bars};
use super::days::Days;
use super::plan::{Kept, Task};
use super::{Report, Wanted};
use crate::command::{import, ingest as ingested};
use crate::exit::Failure;
use crate::output::Output;

/// A backfill under way.
pub(super) struct Run<'a> {
    pub(super) tape: &'a Tape,
    pub(super) vendor: &'a dyn HistoricalBars,
    pub(super) wanted: &'a Wanted,
    pub(super) report: &'a mut Report,
    pub(super) output: Output,
}

impl Run<'_> {
    /// Appends what the tape lacks of every symbol.
    pub(super) async fn fill(&mut self) -> Result<(), Failure> {
        let mut kept = Kept::default();
        self.report.underway.clone_from(&self.wanted.symbols);
        let days = Box::pin(Days::gather(self, &mut kept)).await?;
        self.report.underway.clear();
        self.report.skipped.add(days.as_ref().map(|days| days.skipped).unwrap_or_default());
        let (mut next, mut refused) = (0, None);
        loop {
            let mut tasks = kept.batch(self, &mut next).await?;
            if tasks.is_empty() {
                break;
            }
            self.report.underway = tasks.iter().map(|task| task.symbol.clone()).collect();
            let outcome = Box::pin(self.work(&mut tasks, days.as_ref())).await;
            let refusal = self.conclude(tasks, outcome).await?;
            refused = refused.or(refusal);
        }
        refused.map_or(Ok(()), Err)
    }

    /// Asks for the spans of some symbols, the oldest first.
    async fn work(&mut self, tasks: &mut [Task], days: Option<&Days>) -> Result<(), Failure> {
        let mut groups: BTreeMap<(i64, i64), Vec<usize>> = BTreeMap::new();
        for (at, task) in tasks.iter_mut().enumerate() {
            if let Some(days) = days
                && let Some(found) = days.of(&task.symbol, task.first_ns())
            {
                self.dated(task, days, &found).await?;
                continue;
            }
            for span in &task.spans {
                groups.entry(*span).or_default().push(at);
            }
        }
        let vendor = self.vendor;
        for (span, mut members) in groups {
            members.retain(|at| tasks.get(*at).is_some_and(|task| task.refused.is_none()));
            if let Some(many) = vendor.of_many().filter(|_| members.len() > 1) {
                self.together(many, tasks, &members, span).await?;
                continue;
            }
            for at in members {
                self.alone(&mut tasks[at], span).await?;
            }
        }
        Ok(())
    }

    /// Takes in the days of a symbol that were asked for by date.
    async fn dated(&mut self, task: &mut Task, days: &Days, found: &[Quoted]) -> Result<(), Failure> {
        task.from_ns = task.first_ns();
        self.say(task);
        let ask = self.wanted.ask(&task.symbol, task.from_ns, self.wanted.to_ns, false);
        let outcome = match days.actions_of(&task.symbol, task.from_ns, ask.actions_from_ns) {
            Some(told) => {
                let told = actions(&mut task.filling, &task.symbol, told, self.output).await;
                told.map_err(Stopped::Failed)
            }
            None => self.pages(task, &ask).await,
        };
        task.unknown = match outcome {
            Ok(()) => false,
            Err(Stopped::Unknown) => true,
            Err(Stopped::Failed(failure)) => return Err(failure),
        };
        if !task.unknown {
            bars(&mut task.filling, found, &task.place, self.output).await?;
        }
        task.left = 1;
        self.past(task, !task.unknown).await
    }

    /// Asks for a span of one symbol.
    async fn alone(&mut self, task: &mut Task, span: (i64, i64)) -> Result<(), Failure> {
        if task.left > 1 {
            let date = |ns| Calendar::xnys().date_of(ns);
            let (place, from, to) = (&task.place, date(span.0), date(span.1 - 1));
            self.output.progress(&format!("{place}: not all on the tape from {from} to {to}, asking for it"));
        } else {
            self.say(task);
        }
        let ask = self.wanted.ask(&task.symbol, span.0, span.1, true);
        let read = task.filling.report().read;
        let told = match self.pages(task, &ask).await {
            Ok(()) => true,
            // At the beginning of an earlier span that may be said of a time before the listing.
            Err(Stopped::Unknown) => {
                task.unknown |= task.left == 1 || task.filling.report().read > read;
                false
            }
            Err(Stopped::Failed(failure)) => return Err(failure),
        };
        self.past(task, told).await
    }

    /// Concludes a span of a symbol; `told` says whether the vendor knew it.
    pub(super) async fn past(&self, task: &mut Task, told: bool) -> Result<(), Failure> {
        task.left = task.left.saturating_sub(1);
        let done = match task.left {
            0 if told => task.filling.told_up_to(self.wanted.to_ns, self.wanted.now_ns),
            0 => Ok(()),
            _ => task.filling.skip().await,
        };
        done.map_err(import::failure)
    }

    /// Says where a symbol goes on, and whose bars it has.
    pub(super) fn say(&self, task: &Task) {
        let (place, from_ns) = (&task.place, task.from_ns);
        if from_ns > self.wanted.from_ns {
            let date = Calendar::xnys().date_of(from_ns);
            self.output.progress(&format!("{place}: on the tape up to {date}, going on from there"));
        }
        if let Some(authority) = task.filling.other_authority(from_ns) {
            let (name, timeframe) = (self.vendor.name(), self.wanted.timeframe);
            self.output.progress(&format!(
                "{place}: bars of {timeframe} are {authority}'s by the configuration; those of {name} are compared"
            ));
        }
    }

    /// Stores what is left of some symbols, counts and records what came of each. Answers why the vendor refuses one of
    /// them, while the others went on.
    async fn conclude(
        &mut self,
        tasks: Vec<Task>,
        outcome: Result<(), Failure>,
    ) -> Result<Option<Failure>, Failure> {
        let mut failed = outcome.err();
        let (mut filled, mut refused) = (Vec::new(), None);
        let ended = has_ended_session(self.wanted);
        for task in tasks {
            let Task { symbol, mut filling, left, from_ns, mut unknown, refused: refusal, .. } = task;
            // What came before an error stays, and is counted.
            let finished = filling.finish().await;
            let told = filling.into_report();
            let whole = left == 0 && from_ns == self.wanted.from_ns;
            unknown |= whole && told.read == 0 && ended;
            let events = told.events();
            self.report.import.add(told);
            let words = match (&finished, &refusal, &failed) {
                (Err(error), ..) => Err(error.to_string()),
                (Ok(()), Some(refusal), _) => Err(refusal.message.clone()),
                (Ok(()), None, Some(failure)) if left > 0 => Err(failure.message.clone()),
                _ if unknown => {
                    let (name, timeframe) = (self.vendor.name(), self.wanted.timeframe);
                    Err(format!("{name} has no {timeframe} bars of {symbol} in that span"))
                }
                _ => Ok(format!("{events} events appended")),
            };
            filled.push(self.wanted.filled(self.vendor.name(), &symbol, words));
            if let Err(error) = finished {
                failed.get_or_insert(import::failure(error));
            }
            refused = refused.or(refusal);
            if unknown {
                self.report.unknown.push(symbol);
            }
        }
        self.record(&filled).await;
        failed.map_or(Ok(refused), Err)
    }

    async fn record(&mut self, filled: &[Filled]) {
        ingested::note(self.tape, Action::Backfill, filled).await;
        self.report.underway.clear();
    }
}

/// Whether there could be a bar at all.
fn has_ended_session(wanted: &Wanted) -> bool {
    let calendar = Calendar::xnys();
    let (first, last) = (calendar.date_of(wanted.from_ns), calendar.date_of(wanted.to_ns - 1));
    calendar
        .sessions(first, last)
        .is_ok_and(|sessions| sessions.iter().any(|session| session.close_ns <= wanted.now_ns))
}
