//! What stands beside a run and sees it instant by instant: strategies in processes of their own, and a tape that
//! the run is written to.
//!
//! An instant is shown once the account is marked and before anything is decided, as a tape clock shows it: the
//! market's news with all that the broker and the account made of it. The answer is the signals of whoever is
//! outside; risk takes them together with those of the built-in strategies.
//!
//! Deliberately absent: how anybody outside is reached.

use contracts::v1::{Event, RiskDecision, Signal};
use contracts::{Subject, event_id, order_of};
use domain::bar::Bar;
use domain::calendar::Session;
use domain::risk::{self, RiskView, Rule};
use domain::series::{BarSeries, DatedAction};

use crate::recorder::Recorder;
use crate::run::{Error, Pending, Run};
use crate::walk::{Step, Walk};

/// Kind of a strategy whose code is outside.
pub const OUTSIDE: &str = domain::research::EXTERNAL;
/// Bars per series that a strategy outside is shown before its first one that trades, where there are.
pub const WARM_UP_BARS: usize = 1_000;
/// Bars between two looks at the control: outside takes its time.
pub(crate) const CONTROL_EVERY: u64 = 64;

/// What happens at one instant.
#[derive(Debug)]
pub struct Shown<'run> {
    /// Event time, UTC nanoseconds.
    pub ns: i64,
    /// Whether anything may be traded; what is before the range only warms up.
    pub live: bool,
    /// Name of the exchange.
    pub exchange: &'static str,
    /// The session that opened.
    pub opened: Option<Session>,
    /// Corporate actions.
    pub actions: &'run [DatedAction],
    /// Bars, in the order of the series.
    pub bars: Vec<(&'run BarSeries, Bar)>,
    /// The session that closed, before the one that opened.
    pub closed: Option<Session>,
    /// What the run added to its account's stream since the last instant was shown, in order.
    pub events: Vec<(Subject, Event)>,
}

/// A signal from outside.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    /// Its event, as it was stored.
    pub event: Event,
    /// Its body.
    pub signal: Signal,
    /// Why it cannot be judged: risk denies it for that.
    pub problem: Option<String>,
}

/// Why nothing came from outside.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutsideError {
    /// The run is to end.
    #[error("the run was cancelled")]
    Cancelled,
    /// It cannot go on.
    #[error("{0}")]
    Failed(String),
}

/// Stands beside a run.
pub trait Outside {
    /// Takes an instant and answers with the signals that it caused.
    fn instant(&mut self, shown: Shown<'_>) -> Result<Vec<Given>, OutsideError>;

    /// Takes what came after the last instant was shown.
    fn end(&mut self, events: Vec<(Subject, Event)>) -> Result<(), OutsideError>;
}

impl From<OutsideError> for Error {
    fn from(error: OutsideError) -> Self {
        match error {
            OutsideError::Cancelled => Self::Cancelled,
            OutsideError::Failed(why) => Self::Outside(why),
        }
    }
}

impl<R: Recorder> Run<'_, R> {
    /// Shows the instant to whoever is outside and takes their signals.
    pub(crate) fn show(&mut self, step: &Step<'_>, walk: &Walk<'_>, live: bool) -> Result<(), Error> {
        let Some(outside) = &mut self.outside else { return Ok(()) };
        let bar = |&(index, row): &(usize, usize)| (&self.data.series[index], walk.rows[index].bar(row));
        let shown = Shown {
            ns: step.ns,
            live,
            exchange: self.config.calendar.exchange(),
            opened: step.opened,
            actions: step.actions,
            bars: walk.bars.iter().map(bar).collect(),
            closed: step.closed,
            events: std::mem::take(&mut self.told),
        };
        for given in outside.instant(shown)? {
            let Given { event, signal, problem } = given;
            let correlation_id =
                if event.correlation_id.is_empty() { event.id.clone() } else { event.correlation_id.clone() };
            self.pending.push(Pending {
                id: event.id.clone(),
                correlation_id,
                causation_id: event.causation_id.clone(),
                signal,
                outside: Some((Box::new(event), problem)),
            });
        }
        Ok(())
    }

    /// Notes an event for whoever is outside.
    pub(crate) fn tell_outside(&mut self, event: &Event) {
        if self.outside.is_none() {
            return;
        }
        let named = event.body.as_ref().and_then(order_of);
        let order = named.and_then(|id| self.book.order(id)).map(|order| &order.spec);
        if let Some(subject) = Subject::for_event(event, order) {
            self.told.push((subject, event.clone()));
        }
    }
}

/// The decision on a signal: a problem is its answer.
pub(crate) fn decide(pending: &Pending, view: &RiskView) -> RiskDecision {
    match &pending.outside {
        Some((_, Some(problem))) => {
            risk::deny(&pending.id, &pending.signal, view, Rule::InvalidSignal, problem)
        }
        _ => risk::decide(&pending.id, &pending.signal, view),
    }
}

/// Id of an event that only a tape needs.
pub(crate) fn opening_id(cause: &str) -> String {
    event_id(cause, "config", 0)
}
