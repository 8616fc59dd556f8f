//! The thin shell: reads, appends, acknowledges. Every decision is the machine's.

mod appending;
mod warm_up;

use std::sync::Arc;
use std::time::Duration;

use contracts::stream;
use domain::book::{Book, FoldError};
use domain::calendar::Calendar;
use event_log::{AppendError, Consumer, Delivery, LogError, Reader, Recorded};
use runtime::{Consumed, Context, HealthState, Instant, Instants, clock, park, utc};

use crate::SERVICE;
use crate::machine::Machine;
use crate::read_model::ReadModel;
use crate::signal::{self, Outgoing};
use appending::Subjects;

/// Messages taken from a stream at once.
const BATCH: usize = 512;
/// How long the read model may take to answer before the tape alone has to do.
const READ_MODEL_MAX: Duration = Duration::from_secs(5);
/// How long an instant may wait for marks before health says so.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the strategy service needs.
#[derive(Clone)]
pub struct Config {
    /// Accounts whose marks an instant waits for on the tape clock.
    pub accounts: Vec<String>,
    /// The read models.
    pub read_model: Arc<dyn ReadModel>,
    /// When the tape's market is open, and so when an ex-date begins.
    pub calendar: &'static Calendar,
}

/// Why the service stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The tape could not be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// An append was refused or another writer holds its place.
    #[error("append: {0}")]
    Append(#[from] AppendError),
}

/// Runs the service until shutdown.
pub async fn run(context: Context, config: Config) -> Result<(), Error> {
    context.health.set(SERVICE, HealthState::Starting, "loading the book");
    // Opened before anything is warmed up: what another instance still acknowledged would be missing in it.
    let mut market = context.tape.consume(stream::MARKET, SERVICE).await?;
    let Some(mut shell) = Shell::load(context.clone(), config).await? else { return Ok(()) };
    let outcome = shell.serve(market.as_mut()).await;
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
    consumed: Consumed,
    instants: Instants,
    subjects: Subjects,
    /// Event time of the last instant handled.
    handled_ns: i64,
    /// Health says that an instant waits.
    said_waiting: bool,
}

impl Shell {
    /// Loads the book, folds TRADING to its head; `None` when shutdown came first.
    async fn load(context: Context, config: Config) -> Result<Option<Self>, Error> {
        let tape = &context.tape;
        let book = load_book(config.read_model.as_ref()).await;
        let consumed = Consumed::open(tape, stream::MARKET, SERVICE).await?;
        let floor = consumed.through();
        let head = tape.state(stream::TRADING).await?.last_sequence;
        let trading = tape.follow(stream::TRADING, book.sequence() + 1).await?;
        let handled_ns = match floor {
            0 => i64::MIN,
            _ => event_ns(tape.get(stream::MARKET, floor).await?.as_ref()),
        };
        let machine = Machine::new(context.clock, &config.accounts, config.calendar, book, floor);
        let mut shell = Self {
            instants: Instants::new(context.clock),
            context,
            read_model: config.read_model,
            machine,
            trading,
            consumed,
            subjects: Subjects::default(),
            handled_ns,
            said_waiting: false,
        };
        while shell.machine.book().sequence() < head {
            tokio::select! {
                biased;
                () = shell.context.shutdown.cancelled() => return Ok(None),
                batch = shell.trading.batch(BATCH) => shell.fold(batch?).await?,
            }
        }
        shell.recall().await?;
        shell.learn_changes().await?;
        shell.reconcile().await?;
        Ok(Some(shell))
    }

    async fn serve(&mut self, market: &mut dyn Consumer) -> Result<(), Error> {
        self.say_ready();
        loop {
            self.reconcile().await?;
            while let Some(instant) = self.instants.next_complete() {
                if self.machine.waits_for(&instant).is_some() {
                    self.instants.put_back(instant);
                    break;
                }
                self.handle(instant, market).await?;
            }
            tokio::select! {
                biased;
                () = self.context.shutdown.cancelled() => return Ok(()),
                batch = self.trading.batch(BATCH) => self.fold(batch?).await?,
                batch = market.batch(BATCH) => self.collect(batch?, market).await?,
                () = clock::sleep(PATIENCE), if self.instants.peek().is_some() => self.say_waiting(),
            }
        }
    }

    /// Takes an instant, stores its signals, then acknowledges it.
    async fn handle(&mut self, instant: Instant, market: &mut dyn Consumer) -> Result<(), Error> {
        let signals = self.machine.step(&instant);
        if planted::is(planted::Bug::AckBeforeCommit) {
            market.ack_through(instant.done_through()).await?;
        }
        let stored = self.subjects.append(&self.context, &signals).await?;
        let of = |out: &Outgoing| stored.get(&out.event.id).copied().unwrap_or_default();
        self.machine.stand(signals.iter().map(|out| (&out.event, of(out))));
        market.ack_through(instant.done_through()).await?;
        self.handled_ns = self.handled_ns.max(instant.event_ns);
        if std::mem::take(&mut self.said_waiting) {
            self.say_ready();
        }
        Ok(())
    }

    /// Takes messages of MARKET. What the host cannot read is parked and acknowledged.
    async fn collect(&mut self, batch: Vec<Delivery>, market: &mut dyn Consumer) -> Result<(), Error> {
        for delivery in batch {
            self.consumed.take(&self.context.tape, delivery.sequence()).await?;
            match delivery {
                Delivery::Event(recorded) => match signal::check(&recorded.event) {
                    Ok(()) => self.instants.push(recorded),
                    Err(reason) => {
                        let (sequence, subject) = (recorded.sequence, recorded.subject.as_str());
                        let payload = contracts::encode(&recorded.event);
                        self.park(stream::MARKET, sequence, subject, &payload, &reason).await?;
                        // It keeps its place, so that the instant it belongs to can be complete.
                        self.instants.push(recorded);
                    }
                },
                Delivery::Undecodable { sequence, subject, payload, error } => {
                    self.park(stream::MARKET, sequence, &subject, &payload, &error.to_string()).await?;
                    if self.instants.pass_over(sequence) {
                        market.ack_through(sequence).await?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Folds messages of TRADING. What the book cannot fold is parked and passed over; what a signal should have been, risk
    /// parks.
    async fn fold(&mut self, batch: Vec<Delivery>) -> Result<(), Error> {
        for delivery in batch {
            match delivery {
                Delivery::Event(recorded) => self.fold_one(recorded).await?,
                Delivery::Undecodable { sequence, subject, .. } if contracts::is_signal(&subject) => {
                    self.machine.skip(sequence);
                }
                Delivery::Undecodable { sequence, subject, payload, error } => {
                    self.park(stream::TRADING, sequence, &subject, &payload, &error.to_string()).await?;
                    self.machine.skip(sequence);
                }
            }
        }
        Ok(())
    }

    async fn fold_one(&mut self, recorded: Recorded) -> Result<(), Error> {
        let mut outcome = self.machine.fold(&recorded);
        if let Err(FoldError::OrderNotLoaded { order_id }) = &outcome
            && let Ok(Some(order)) = self.read_model.order(order_id).await
        {
            self.machine.admit(order);
            outcome = self.machine.fold(&recorded);
        }
        if let Err(error) = outcome {
            let payload = contracts::encode(&recorded.event);
            let (sequence, subject) = (recorded.sequence, recorded.subject.as_str());
            if !contracts::is_signal(subject) {
                self.park(stream::TRADING, sequence, subject, &payload, &error.to_string()).await?;
            }
            self.machine.skip(sequence);
        }
        Ok(())
    }

    async fn park(
        &self,
        stream: &str,
        sequence: u64,
        subject: &str,
        payload: &[u8],
        reason: &str,
    ) -> Result<(), AppendError> {
        park(&self.context.tape, SERVICE, stream, sequence, subject, payload, reason).await
    }

    fn say_ready(&self) {
        let refused: Vec<_> = self.machine.refused().collect();
        if refused.is_empty() {
            self.context.health.set(SERVICE, HealthState::Ready, "");
        } else {
            let detail = format!("cannot be built: {}", refused.join(", "));
            self.context.health.set(SERVICE, HealthState::Degraded, detail);
        }
    }

    fn say_waiting(&mut self) {
        let Some(instant) = self.instants.peek() else { return };
        let account = self.machine.waits_for(instant).unwrap_or_default();
        let detail = format!("instant {} waits for the mark of account {account}", utc(instant.event_ns));
        tracing::warn!(account, instant_ns = instant.event_ns, "{detail}");
        self.context.health.set(SERVICE, HealthState::Degraded, detail);
        self.said_waiting = true;
    }
}

/// The book of the read model, or an empty one from which the whole tape is folded.
async fn load_book(read_model: &dyn ReadModel) -> Book {
    match clock::timeout(READ_MODEL_MAX, read_model.book()).await {
        Ok(Ok(book)) => book,
        Ok(Err(error)) => {
            tracing::warn!(%error, "folding the whole tape: {error}");
            Book::default()
        }
        Err(_) => {
            tracing::warn!("folding the whole tape: the read model did not answer in time");
            Book::default()
        }
    }
}

fn event_ns(recorded: Option<&Recorded>) -> i64 {
    recorded
        .and_then(|recorded| recorded.event.event_time.as_ref())
        .and_then(contracts::from_timestamp)
        .unwrap_or(i64::MIN)
}
