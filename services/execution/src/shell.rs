//! The thin shell: reads, appends, speaks to the broker, acknowledges. Every decision is the machine's.

mod load;
pub(crate) mod market;
mod life;
mod reconcile;
mod orders;
mod send;
mod store;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use broker::{Broker, BrokerError, Brokers};
use contracts::stream;
use contracts::v1::event::Body;
use domain::book::FoldError;
use domain::calendar::Calendar;
use event_log::{AppendError, Consumer, Delivery, LogError, Reader, Recorded};
use runtime::{Consumed, Context, HealthState, Instants, clock, park};
use tokio::time::Instant as Moment;

use crate::event::SERVICE;
use crate::instant::check;
use crate::machine::Machine;
use crate::read_model::ReadModel;
use crate::step::Step;
use reconcile::{Activities, Occasion, Unsettled};

/// Messages taken from a stream at once.
const BATCH: usize = 512;
/// Pause before something that did not get anywhere is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// Pause after the first closing of a position that came to nothing at a broker outside; each one doubles it.
const CLOSE_AGAIN: Duration = Duration::from_millis(250);
/// Longest such pause.
const CLOSE_AGAIN_MAX: Duration = Duration::from_secs(15 * 60);
/// Most closings that go to a broker outside before TRADING is looked at again for what stops them: as many as one takes side
/// by side.
const CLOSED_AT_ONCE: usize = 8;
/// Time between two looks at what a broker outside says of the open orders.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// What execution needs.
#[derive(Clone)]
pub struct Config {
    /// Accounts that this execution marks at every instant.
    pub accounts: Vec<String>,
    /// The read models.
    pub read_model: Arc<dyn ReadModel>,
    /// Where the broker comes from.
    pub brokers: Arc<dyn Brokers>,
    /// When the tape's market is open.
    pub calendar: &'static Calendar,
}

/// Why the service stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The tape could not be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// An append was refused.
    #[error("append: {0}")]
    Append(#[from] AppendError),
    /// The broker cannot take over the orders that the tape says it works.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// Other writers keep taking the place of an event; another execution may be running.
    #[error("{attempts} writers came before {subject}; is another execution running?")]
    Contended {
        /// Subject of the event.
        subject: String,
        /// Attempts made.
        attempts: u32,
    },
    /// Shutdown was asked for while something was under way; it is finished after the next start.
    #[error("shutdown")]
    Stopped,
}

/// Runs the service until shutdown.
pub async fn run(context: Context, config: Config) -> Result<(), Error> {
    context.health.set(SERVICE, HealthState::Starting, "folding the tape");
    // Opened before anything is loaded: what another instance still acknowledged would be missing in the prices.
    let mut market = context.tape.consume(stream::MARKET, SERVICE).await?;
    let outcome = match Shell::load(context.clone(), config).await {
        Ok(mut shell) => shell.serve(market.as_mut()).await,
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
    broker: Box<dyn Broker>,
    /// When a broker outside is asked for its orders again.
    ask_again_at: Moment,
    trading: Box<dyn Reader>,
    /// Last sequences of MARKET and TRADING when this process began.
    ends: (u64, u64),
    consumed: Consumed,
    instants: Instants,
    /// Steps of the present instant that are stored with its marks, all or none.
    together: Vec<Step>,
    /// Last sequence of an instant whose parts were handled and whose marks are still to come: its bars are
    /// not matched again.
    matched: Option<u64>,
    /// MARKET sequence of the instant of what was stored last before this process began. Until it is handled, nothing that
    /// was asked of orders since is done: what the instant still does to them comes first.
    begun: u64,
    /// Orders that ended unfilled, of which a broker outside was asked whether that is all.
    confirmed: HashSet<String>,
    /// What does not get anywhere at the moment.
    trouble: Option<String>,
    /// Whether that is a broker outside that does not answer.
    unanswered: bool,
    /// Why a broker outside is not heard, while it is not.
    deaf: Option<String>,
    /// Orders of which a broker outside took a request that it has not done yet, and until when that may take.
    patience: HashMap<String, Moment>,
    /// Orders that are to close positions after others came to nothing, and when they are sent.
    closings: HashMap<String, Moment>,
    /// Sequence of the last kill switch whose cancels were asked for.
    killed: u64,
    /// What a kill switch wants closed and what came to nothing so far.
    unclosed: Option<String>,
    /// Which accounts are not marked, because something that they hold has no price.
    unvalued: Option<String>,
    /// Which holdings are valued at a price of their broker, and of when it is, and what of brokers somebody has to look at:
    /// nothing is in the way, but health says so.
    told: String,
    /// Why accounts take no orders at their brokers, by account.
    blocked: BTreeMap<String, String>,
    /// What stood last, by filter, where an append was refused since the last one there that was not.
    passed: HashMap<String, u64>,
    /// Whether a broker outside was heard since the start.
    heard: bool,
    /// When everything is compared with brokers outside next, and the end of the session after which it is too.
    whole_at: Moment,
    session_end_ns: i64,
    /// Differences that nobody can settle here and that are stated.
    standing: Unsettled,
    /// What was read of brokers' own entries, by account.
    activities: HashMap<String, Activities>,
}

impl Shell {
    async fn serve(&mut self, market: &mut dyn Consumer) -> Result<(), Error> {
        self.context.health.set(SERVICE, HealthState::Ready, "");
        if self.broker.is_remote() {
            self.reconcile(Occasion::Start).await?;
        }
        loop {
            let unfinished = self.machine.is_before(self.begun);
            if !unfinished {
                self.settle_orders().await?;
            }
            if let Some(instant) = self.instants.next_complete() {
                if self.handle(&instant, market).await? {
                    continue;
                }
                self.instants.put_back(instant);
            }
            let stuck = self.trouble.is_some();
            let patient = self.patience.values().chain(self.closings.values()).min().copied();
            tokio::select! {
                biased;
                () = self.context.shutdown.cancelled() => return Ok(()),
                reports = self.broker.reports() => self.hear(reports).await?,
                batch = self.trading.batch(BATCH) => self.fold(batch?).await?,
                batch = market.batch(BATCH) => self.collect(batch?, market).await?,
                () = clock::sleep(RETRY), if stuck => {}
                // Another instance that goes down may have handled it.
                () = clock::sleep(RETRY), if unfinished => self.consumed.check(&self.context.tape).await?,
                () = clock::sleep_until(patient.unwrap_or_else(clock::now)), if patient.is_some() => {}
                () = clock::sleep_until(self.ask_again_at), if self.broker.is_remote() => {
                    self.reconcile(Occasion::Poll).await?;
                }
            }
        }
    }

    /// Takes messages of MARKET. What cannot be read is parked and acknowledged.
    async fn collect(&mut self, batch: Vec<Delivery>, market: &mut dyn Consumer) -> Result<(), Error> {
        for delivery in batch {
            self.consumed.take(&self.context.tape, delivery.sequence()).await?;
            match delivery {
                Delivery::Event(recorded) => {
                    if let Err(reason) = check(&recorded.event) {
                        self.park(stream::MARKET, &recorded, &reason).await?;
                    }
                    // A parked event keeps its place, so that its instant can be complete.
                    self.instants.push(recorded);
                }
                Delivery::Undecodable { sequence, subject, payload, error } => {
                    let (tape, reason) = (&self.context.tape, error.to_string());
                    park(tape, SERVICE, stream::MARKET, sequence, &subject, &payload, &reason).await?;
                    if self.instants.pass_over(sequence) {
                        market.ack_through(sequence).await?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Folds messages of TRADING. What the book cannot fold is parked and passed over; what a signal should have been, risk
    /// parks: who sends such by the thousand must not keep others from their work.
    async fn fold(&mut self, batch: Vec<Delivery>) -> Result<(), Error> {
        for delivery in batch {
            match delivery {
                Delivery::Event(recorded) => self.fold_one(&recorded).await?,
                Delivery::Undecodable { sequence, subject, .. } if contracts::is_signal(&subject) => {
                    self.machine.skip(sequence);
                }
                Delivery::Undecodable { sequence, subject, payload, error } => {
                    let (tape, reason) = (&self.context.tape, error.to_string());
                    park(tape, SERVICE, stream::TRADING, sequence, &subject, &payload, &reason).await?;
                    self.machine.skip(sequence);
                }
            }
        }
        Ok(())
    }

    async fn fold_one(&mut self, recorded: &Recorded) -> Result<(), Error> {
        let mut outcome = self.machine.fold(recorded);
        if let Err(FoldError::OrderNotLoaded { order_id }) = &outcome
            && let Ok(Some(order)) = self.read_model.order(order_id).await
        {
            self.machine.admit(order);
            outcome = self.machine.fold(recorded);
        }
        if let Err(error) = outcome {
            if !contracts::is_signal(&recorded.subject) {
                self.park(stream::TRADING, recorded, &error.to_string()).await?;
            }
            self.machine.skip(recorded.sequence);
        }
        if let Some(Body::AccountConfigured(account)) = &recorded.event.body {
            self.broker.set_costs(&account.account, account.costs.unwrap_or_default());
        }
        Ok(())
    }

    /// Folds TRADING up to everything that this service has appended or learned of.
    async fn catch_up(&mut self) -> Result<(), Error> {
        while self.machine.must_fold().is_some() {
            tokio::select! {
                biased;
                () = self.context.shutdown.cancelled() => return Err(Error::Stopped),
                batch = self.trading.batch(BATCH) => self.fold(batch?).await?,
            }
        }
        Ok(())
    }

    /// The same, and makes the simulated broker anew from the book where another instance did something to an order: this
    /// one's would match a bar without it.
    async fn catch_up_with_others(&mut self) -> Result<(), Error> {
        self.catch_up().await?;
        // What a bar did and is still to be stored with its marks, only the broker knows.
        let stored = self.together.is_empty() && self.matched.is_none();
        if stored && self.machine.take_outdone() {
            self.broker.refresh(self.machine.book())?;
        }
        Ok(())
    }

    async fn park(&self, stream: &str, recorded: &Recorded, reason: &str) -> Result<(), AppendError> {
        let payload = contracts::encode(&recorded.event);
        let (sequence, subject) = (recorded.sequence, recorded.subject.as_str());
        park(&self.context.tape, SERVICE, stream, sequence, subject, &payload, reason).await
    }

    /// States that a broker outside does not answer.
    fn say_of_broker(&mut self, trouble: String) {
        self.unanswered = true;
        self.say(Some(trouble));
    }

    /// States that a request about an order had no answer. A broker outside is asked how everything stands soon, which
    /// is when that is over.
    fn say_of_request(&mut self, account: &str, error: &BrokerError) {
        if self.broker.is_remote_for(account) {
            self.ask_again_at = self.ask_again_at.min(clock::now() + RETRY * 5);
            self.say_of_broker(error.to_string());
        } else {
            self.say(Some(error.to_string()));
        }
    }

    /// Takes note that brokers outside have answered everything.
    fn answered(&mut self) {
        if std::mem::take(&mut self.unanswered) {
            self.say(self.stands());
        }
    }

    /// Takes note that nothing here is in the way any more.
    fn well(&mut self) {
        if !self.unanswered {
            self.say(self.stands());
        }
    }

    /// What stays in the way whatever else gets on.
    fn stands(&self) -> Option<String> {
        let blocked = self.blocked.iter();
        let blocked = blocked.map(|(account, why)| format!("account {account} takes no orders: {why}"));
        let others = [&self.deaf, &self.unclosed, &self.unvalued].into_iter().flatten().cloned();
        let all: Vec<String> = blocked.chain(others).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// Changes what stands, and states it unless something else is in the way at the moment.
    fn restate(&mut self, change: impl FnOnce(&mut Self)) {
        let before = self.stands();
        change(self);
        if self.trouble == before {
            self.say(self.stands());
        }
    }

    /// States what does not get anywhere, or that all is well again.
    fn say(&mut self, trouble: Option<String>) {
        if trouble == self.trouble {
            return;
        }
        match &trouble {
            Some(detail) => {
                tracing::warn!("{detail}");
                self.context.health.set(SERVICE, HealthState::Degraded, detail.clone());
            }
            None => self.context.health.set(SERVICE, HealthState::Ready, self.told.clone()),
        }
        self.trouble = trouble;
    }

    /// States which holdings are valued at a price of their broker, and what somebody has to look at, while all is well.
    fn say_what_was_told(&mut self) {
        let mut parts = vec![self.machine.told(), self.standing.words()];
        parts.retain(|part| !part.is_empty());
        let told = parts.join("; ");
        if told == self.told {
            return;
        }
        self.told = told;
        if self.trouble.is_none() {
            self.context.health.set(SERVICE, HealthState::Ready, self.told.clone());
        }
    }
}
