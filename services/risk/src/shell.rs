//! The thin shell: reads, asks the read model, appends. Every decision is the machine's.

mod ahead;
mod appending;
mod load;
mod patience;

use std::sync::Arc;
use std::time::Duration;

use contracts::stream;
use contracts::v1::Event;
use contracts::v1::event::Body;
use domain::calendar::Calendar;
use domain::risk::Rule;
use event_log::{AppendError, Delivery, Hint, Hints, LogError, Reader, Recorded};
use runtime::metrics::metrics;
use runtime::{ClockMode, Context, HealthState, ReadError, Unfit, clock, park_all};
use serde::Deserialize;

use crate::SERVICE;
use crate::machine::{Due, Machine, Stale, Wanted};
use crate::read_model::{ReadModel, Snapshot};
use crate::round::Outcome;
use ahead::Ahead;
use appending::Decisions;
use patience::Patience;

/// Messages taken from a stream at once.
const BATCH: usize = 512;
/// Longest answer of the read model to one question.
const ANSWER_MAX: Duration = Duration::from_secs(1);
/// The clock's word that an instant's signals are complete.
const DECIDE: &str = "clock.decide";
/// The projector's word that the read model moved.
const COMMITTED: &str = "projection.trading.committed";

/// What the risk service needs.
#[derive(Clone)]
pub struct Config {
    /// Account on which the signal of an unknown strategy is denied.
    pub fallback_account: String,
    /// The read models.
    pub read_model: Arc<dyn ReadModel>,
    /// When the tape's market is open.
    pub calendar: &'static Calendar,
}

/// Why the service stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The tape could not be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A decision or a parked message could not be stored.
    #[error("append: {0}")]
    Append(#[from] AppendError),
}

/// Runs the service until shutdown.
pub async fn run(context: Context, config: Config) -> Result<(), Error> {
    context.health.set(SERVICE, HealthState::Starting, "reading the tape");
    let outcome = match Shell::load(context.clone(), config).await {
        Ok(Some(mut shell)) => shell.serve().await,
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    if context.shutdown.is_cancelled() {
        context.health.set(SERVICE, HealthState::Stopping, "");
        return Ok(());
    }
    outcome
}

struct Shell {
    context: Context,
    read_model: Arc<dyn ReadModel>,
    machine: Machine,
    trading: Box<dyn Reader>,
    market: Box<dyn Reader>,
    decide: Box<dyn Hints>,
    committed: Box<dyn Hints>,
    decisions: Decisions,
    patience: Patience,
    ahead: Ahead,
}

impl Shell {
    async fn serve(&mut self) -> Result<(), Error> {
        self.context.health.set(SERVICE, HealthState::Ready, "");
        loop {
            let due = self.machine.due();
            if self.patience.expect(&due) {
                self.context.health.set(SERVICE, HealthState::Ready, "");
            }
            if self.advance(&due).await? {
                continue;
            }
            self.read_ahead();
            if due == Due::Nothing {
                self.ask_ahead().await;
            }
            tokio::select! {
                biased;
                () = self.context.shutdown.cancelled() => return Ok(()),
                hint = self.decide.next() => self.hear_decide(hint),
                hint = self.committed.next() => self.hear_committed(hint),
                snapshot = self.ahead.read() => self.hold(snapshot),
                batch = self.trading.batch(BATCH) => self.fold(batch?).await?,
                batch = self.market.batch(BATCH) => self.price(batch?).await?,
                () = clock::sleep_until(self.patience.wake()), if self.patience.is_waiting() => {}
            }
        }
    }

    /// Does what can be done now, and says what it waits for when that takes too long. True when
    /// something was decided, so that what is due has to be looked at again.
    async fn advance(&mut self, due: &Due) -> Result<bool, Error> {
        let mut advanced = false;
        match due {
            Due::Nothing => {}
            Due::Decide(wanted) if self.patience.may_look(wanted.checkpoint, self.machine.holds(wanted)) => {
                advanced = self.decide(wanted).await?;
            }
            Due::Market(_) if self.patience.is_time() => {
                let state = self.context.tape.state(stream::MARKET).await?;
                self.machine.market_ends(state.last_sequence);
                self.patience.postpone();
            }
            _ if self.patience.is_time() => self.patience.postpone(),
            _ => {}
        }
        if self.context.clock == ClockMode::Wall && !advanced {
            advanced = self.deny_late(due).await?;
        }
        if let Some(culprit) = self.patience.complaint(due) {
            tracing::warn!("waiting: {culprit}");
            self.context.health.set(SERVICE, HealthState::Degraded, culprit);
        }
        Ok(advanced)
    }

    /// Decides on the book that is held, or on a snapshot that is asked for, where it has come far enough.
    async fn decide(&mut self, wanted: &Wanted) -> Result<bool, Error> {
        let outcomes = match self.look(wanted).await {
            Ok(Ok(outcomes)) => outcomes,
            Ok(Err(stale)) => {
                self.patience.looked(stale.to_string());
                return Ok(false);
            }
            Err(error) => {
                self.patience.looked(error.to_string());
                return Ok(false);
            }
        };
        self.settle(outcomes).await?;
        self.patience.done();
        Ok(true)
    }

    /// Asks the read model for as much as the decisions need of it, and makes them.
    async fn look(&mut self, wanted: &Wanted) -> Result<Result<Vec<Outcome>, Stale>, ReadError> {
        if self.machine.holds(wanted) {
            let decided = match self.ahead.decided(wanted) {
                Some(decided) => decided,
                None => answered("trading", self.read_model.decided(&wanted.signals)).await?,
            };
            self.patience.committed(decided.checkpoint);
            return Ok(self.machine.decide_again(&decided, runtime::now_ns()));
        }
        let snapshot = answered("trading", self.read_model.snapshot(&wanted.signals)).await?;
        self.patience.committed(snapshot.book.sequence());
        Ok(self.machine.decide(snapshot, runtime::now_ns()))
    }

    /// Begins to read the book that the next decisions will need. Without an answer they ask themselves.
    fn read_ahead(&mut self) {
        let committed = self.patience.reached();
        if self.machine.ahead().is_some_and(|wanted| self.ahead.may_read(wanted, committed)) {
            let read_model = Arc::clone(&self.read_model);
            let snapshot = async move { answered("trading", read_model.snapshot(&[])).await };
            self.ahead.begin(Box::pin(snapshot));
        }
    }

    /// Takes the book that was read.
    fn hold(&mut self, snapshot: Result<Snapshot, ReadError>) {
        match snapshot {
            Ok(snapshot) => {
                self.patience.committed(snapshot.book.sequence());
                self.machine.hold(snapshot.book);
            }
            Err(error) => tracing::debug!(%error, "not read ahead: {error}"),
        }
    }

    /// Asks which signals have been decided, while there is nothing to decide. Without an answer the decision asks itself.
    async fn ask_ahead(&mut self) {
        let undecided = self.machine.undecided();
        if self.ahead.may_ask(&undecided) {
            match answered("trading", self.read_model.decided(&undecided)).await {
                Ok(decided) => self.ahead.answered(undecided, decided),
                Err(error) => tracing::debug!(%error, "not asked ahead: {error}"),
            }
        }
    }

    /// Live, a signal that the read model does not reach in time is denied.
    async fn deny_late(&mut self, due: &Due) -> Result<bool, Error> {
        let late = self.patience.late(self.machine.waiting());
        let (Some(late), Due::Decide(_)) = (late, due) else { return Ok(false) };
        let reason = self.patience.deny();
        let denied = self.machine.deny_stale(late, runtime::now_ns(), &reason);
        self.settle(denied).await?;
        Ok(true)
    }

    /// Puts outcomes on the tape, in their order. What another decider was faster with is decided again.
    async fn settle(&mut self, outcomes: Vec<Outcome>) -> Result<(), Error> {
        let mut decided = Vec::with_capacity(outcomes.len());
        for outcome in outcomes {
            match outcome {
                Outcome::Decided(outgoing) => {
                    count_refusal(&outgoing.event);
                    decided.push(outgoing);
                }
                Outcome::Park { signal, reason } => self.give_up(&signal, &reason).await?,
            }
        }
        let appended = self.decisions.append(&self.context, decided).await?;
        for (sequence, event) in appended.stored {
            self.machine.decided(sequence, event);
        }
        for (signal, reason) in appended.refused {
            self.give_up(&signal, &reason).await?;
        }
        if let Some(sequence) = appended.overtaken {
            self.machine.read_through(sequence);
        }
        Ok(())
    }

    /// Folds messages of TRADING. What was no good among them is parked together, before anything is decided.
    async fn fold(&mut self, batch: Vec<Delivery>) -> Result<(), Error> {
        let mut unfit = Vec::new();
        for delivery in batch {
            match delivery {
                Delivery::Event(recorded) => {
                    self.decisions.read(&recorded);
                    let (sequence, subject) = (recorded.sequence, recorded.subject.clone());
                    if let Err(refused) = self.machine.fold(recorded) {
                        let payload = contracts::encode(&refused.event);
                        unfit.push(Unfit { sequence, subject, payload, reason: refused.reason.to_owned() });
                    }
                }
                Delivery::Undecodable { sequence, subject, payload, error } => {
                    unfit.push(Unfit { sequence, subject, payload, reason: error.to_string() });
                    self.machine.skip(sequence);
                }
            }
        }
        park_counted(&self.context, stream::TRADING, &unfit).await
    }

    /// Takes prices from messages of MARKET.
    async fn price(&mut self, batch: Vec<Delivery>) -> Result<(), Error> {
        let mut unfit = Vec::new();
        for delivery in batch {
            match delivery {
                Delivery::Event(recorded) => self.machine.price(&recorded),
                Delivery::Undecodable { sequence, subject, payload, error } => {
                    unfit.push(Unfit { sequence, subject, payload, reason: error.to_string() });
                    self.machine.skip_market(sequence);
                }
            }
        }
        park_counted(&self.context, stream::MARKET, &unfit).await
    }

    /// Parks a signal that no decision can answer.
    async fn give_up(&mut self, signal: &Recorded, reason: &str) -> Result<(), Error> {
        let (sequence, subject) = (signal.sequence, signal.subject.clone());
        let payload = contracts::encode(&signal.event);
        let unfit = Unfit { sequence, subject, payload, reason: reason.to_owned() };
        park_counted(&self.context, stream::TRADING, &[unfit]).await?;
        self.machine.drop_signal(&signal.event.id);
        Ok(())
    }

    fn hear_decide(&mut self, hint: Result<Hint, LogError>) {
        #[derive(Deserialize)]
        struct Decide {
            instant_ns: i64,
            trading_sequence: u64,
            #[serde(default)]
            market_sequence: u64,
        }
        // One that was missed comes again.
        let Ok(hint) = hint else { return };
        match serde_json::from_slice::<Decide>(&hint.payload) {
            Ok(Decide { instant_ns, trading_sequence, market_sequence }) => {
                self.machine.told(instant_ns, trading_sequence, market_sequence);
            }
            Err(error) => tracing::warn!(%error, "{DECIDE} passed over: {error}"),
        }
    }

    fn hear_committed(&mut self, hint: Result<Hint, LogError>) {
        // One that was missed is made up for by looking at the read model.
        let Ok(hint) = hint else { return };
        let sequence = std::str::from_utf8(&hint.payload).ok().and_then(|text| text.trim().parse().ok());
        match sequence {
            Some(sequence) => self.patience.committed(sequence),
            None => tracing::warn!("{COMMITTED} passed over: expected a sequence in decimal"),
        }
    }
}

/// Parks messages of a stream, and counts them.
async fn park_counted(context: &Context, stream: &str, unfit: &[Unfit]) -> Result<(), Error> {
    unfit.iter().for_each(|message| count_parked(&message.subject));
    park_all(&context.tape, SERVICE, stream, unfit).await?;
    Ok(())
}

/// Counts what is parked of a strategy's.
fn count_parked(subject: &str) {
    if let Some(sender) = subject.strip_prefix("signal.").and_then(|rest| rest.split('.').next()) {
        let sender = contracts::unescape(sender);
        metrics().signals_refused.with(&[&sender, "parked"]).increment();
    }
}

/// Counts what a strategy sent that could not be judged.
fn count_refusal(event: &Event) {
    if let Some(Body::RiskDecision(decision)) = &event.body
        && decision.rule == Rule::InvalidSignal.name()
    {
        metrics().signals_refused.with(&[&decision.strategy, "denied"]).increment();
    }
}

/// The answer of the read model, within bounded time.
async fn answered<Answer>(
    doing: &'static str,
    question: impl Future<Output = Result<Answer, ReadError>>,
) -> Result<Answer, ReadError> {
    match clock::timeout(ANSWER_MAX, question).await {
        Ok(answer) => answer,
        Err(elapsed) => Err(ReadError { doing, source: elapsed.into() }),
    }
}
