//! The monitor: measures every account every 15 minutes of market time and after fills, and raises alerts.
//!
//! It reads the tape beside the decider and never delays it. On the tape clock it measures at marks alone, each at the
//! prices of its instant. On the wall clock it measures also upon a fill, and by the time where no mark comes, at the last
//! prices: a position may stand for a whole bar before it is marked. An account that cannot be valued is not tried at every
//! look (`unvalued`). What it says is an event with an id that follows from the mark, the fill or the quarter of an hour that
//! it measured at, so that measuring again after a crash adds nothing.
//!
//! On the wall clock it also sees what no event says (`outside`). On the tape clock a stall pauses the clock, and decides
//! nothing.
//!
//! The peaks of strategies and sectors are those of the measurement before (`peaks`): it is read from the tape at the start.
//!
//! Deliberately absent: what is measured and what is worth an alert (`domain::risk::monitor`). No decision, no replay and no
//! chain hash looks at what it measured.

mod outside;
mod peaks;
mod unvalued;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use contracts::v1::event::Body;
use contracts::v1::{AccountMarked, AlertRaised, Basis, Event};
use contracts::{Subject, basis_of, event_id, from_timestamp, stream, to_timestamp};
use domain::book::{AccountState, Book, FoldError, Prices, mark};
use domain::calendar::Calendar;
use domain::risk::monitor;
use event_log::{Append, AppendError, Delivery, Expect, LogError, Reader, Recorded, last_of};
use runtime::{ClockMode, Context, HealthState, clock};
use tokio::time::{Instant, MissedTickBehavior};

use crate::pricing::Pricing;
use crate::read_model::ReadModel;
use crate::shell::Error;
use crate::start::{self, answered};
use peaks::Peaks;
use unvalued::Unvalued;

/// Name of the service and source of its events.
pub const SERVICE: &str = "monitor";
/// Market time between two measurements.
const EVERY_NS: i64 = 15 * 60 * 1_000_000_000;
/// Messages taken from a stream at once.
const BATCH: usize = 512;
/// Time between two looks at what no event says.
const LOOK: Duration = Duration::from_secs(1);
/// Least time between two measurements upon fills on the wall clock, and how many times as long as one took the next waits:
/// however fast fills come and however much is held, most of the time is the decider's.
const FILLS_EVERY: Duration = Duration::from_secs(1);
const FILLS_REST: u32 = 10;
/// How long the mark of a new quarter of an hour is waited for before the account is measured without it.
const GRACE_NS: i64 = 10 * 1_000_000_000;
/// Time between two reads of the sectors on the wall clock, and where one is missing.
const SECTORS_EVERY: Duration = Duration::from_secs(15 * 60);
const SECTORS_MISSING_EVERY: Duration = Duration::from_secs(60);

/// An alert in force: account, strategy, kind.
pub type Alert = (String, String, String);

/// Runs the monitor until shutdown; `calendar` says when the tape's market is open.
pub async fn run(
    context: Context,
    read_model: Arc<dyn ReadModel>,
    calendar: &'static Calendar,
) -> Result<(), Error> {
    context.health.set(SERVICE, HealthState::Starting, "reading the tape");
    let outcome = match Monitor::load(context.clone(), read_model, calendar).await {
        Ok(mut monitor) => monitor.serve().await,
        Err(error) => Err(error),
    };
    if context.shutdown.is_cancelled() {
        context.health.set(SERVICE, HealthState::Stopping, "");
        return Ok(());
    }
    outcome
}

/// What is measured upon: an event, or the time.
struct Cause {
    /// What the ids of the events follow from.
    key: String,
    /// The event; empty where it is the time.
    event_id: String,
    correlation_id: String,
}

impl Cause {
    fn of(event: &Event) -> Self {
        let (key, correlation_id) = (event.id.clone(), event.correlation_id.clone());
        Self { event_id: key.clone(), key, correlation_id }
    }

    fn quarter(account: &str, quarter: i64) -> Self {
        let key = format!("{SERVICE}/{account}/{quarter}");
        Self { key, event_id: String::new(), correlation_id: String::new() }
    }
}

struct Monitor {
    context: Context,
    read_model: Arc<dyn ReadModel>,
    calendar: &'static Calendar,
    book: Book,
    pricing: Pricing,
    trading: Box<dyn Reader>,
    market: Box<dyn Reader>,
    /// Market time of the last measurement of an account.
    measured: BTreeMap<String, i64>,
    /// What the next one goes on from.
    peaks: Peaks,
    /// Accounts with fills since then, and the last one of each.
    traded: BTreeMap<String, Event>,
    /// When they are measured at the earliest.
    fills_at: Instant,
    /// Accounts that could not be measured at the last prices.
    unvalued: Unvalued,
    /// Last sequence of TRADING at the start: what stands up to it may have been measured before.
    head: u64,
    sectors: monitor::Sectors,
    /// When they were read.
    sectors_at: Instant,
    open: BTreeSet<Alert>,
    /// Since when the read model is behind this sequence.
    behind: Option<(Instant, u64)>,
}

impl Monitor {
    async fn load(
        context: Context,
        read_model: Arc<dyn ReadModel>,
        calendar: &'static Calendar,
    ) -> Result<Self, Error> {
        let tape = &context.tape;
        let book = answered(read_model.snapshot(&[])).await.map(|snapshot| snapshot.book).unwrap_or_default();
        let pricing = start::pricing(tape, read_model.as_ref()).await?;
        let open = answered(read_model.open_alerts()).await.unwrap_or_default();
        let trading = tape.follow(stream::TRADING, book.sequence() + 1).await?;
        let market = tape.follow(stream::MARKET, pricing.sequence() + 1).await?;
        let head = tape.state(stream::TRADING).await?.last_sequence;
        let sectors = answered(read_model.sectors()).await.unwrap_or_default();
        let (mut measured, mut peaks) = (BTreeMap::new(), Peaks::default());
        for account in book.accounts().map(|row| &row.account) {
            let subject = Subject::of(&["control", "monitor", account, "measured"]);
            let Some(last) = last_of(tape, stream::TRADING, subject.as_str()).await?.event else { continue };
            let at = last.event.event_time.as_ref().and_then(from_timestamp);
            measured.extend(at.map(|at| (account.clone(), at)));
            peaks.read(tape, account, &last, book.sequence()).await?;
        }
        Ok(Self {
            context,
            read_model,
            calendar,
            book,
            pricing,
            trading,
            market,
            measured,
            peaks,
            traded: BTreeMap::new(),
            fills_at: clock::now(),
            unvalued: Unvalued::default(),
            head,
            sectors: sectors.into_iter().collect(),
            sectors_at: clock::now(),
            open: open.into_iter().collect(),
            behind: None,
        })
    }

    async fn serve(&mut self) -> Result<(), Error> {
        // Nothing is said of silence before what stood there at the start is known.
        let market = self.context.tape.state(stream::MARKET).await?.last_sequence;
        self.read_market(market).await?;
        self.context.health.set(SERVICE, HealthState::Ready, "");
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = self.context.shutdown.cancelled() => return Ok(()),
                // Which breakers are tripped is known once what stood on TRADING at the start is folded.
                _ = look.tick(), if self.context.clock == ClockMode::Wall && self.book.sequence() >= self.head => {
                    self.look().await?;
                    self.measure_fills().await?;
                    self.measure_by_time().await?;
                }
                batch = self.trading.batch(BATCH) => {
                    self.take(batch?).await?;
                    if self.context.clock == ClockMode::Wall {
                        self.measure_fills().await?;
                    }
                }
                batch = self.market.batch(BATCH) => self.price(batch?),
            }
        }
    }

    fn price(&mut self, batch: Vec<Delivery>) {
        for delivery in batch {
            match delivery {
                Delivery::Event(recorded) => self.pricing.take(&recorded),
                Delivery::Undecodable { sequence, .. } => self.pricing.skip(sequence),
            }
        }
    }

    async fn take(&mut self, batch: Vec<Delivery>) -> Result<(), Error> {
        for delivery in batch {
            let sequence = delivery.sequence();
            let Delivery::Event(recorded) = delivery else {
                self.book.skip(sequence);
                continue;
            };
            match self.book.apply(sequence, &recorded.event) {
                Ok(_) => self.peaks.take(&recorded),
                // A late event of an order that ended: it is in the read model, and in the next start.
                Err(FoldError::OrderNotLoaded { .. }) => self.book.skip(sequence),
                // Whoever owns it parks it.
                Err(_) => self.book.skip(sequence),
            }
            match &recorded.event.body {
                Some(Body::Fill(fill)) if !self.is_measured(&recorded, &fill.account) => {
                    self.traded.insert(fill.account.clone(), recorded.event.clone());
                    self.unvalued.forget(&fill.account);
                }
                Some(Body::AlertRaised(alert)) => {
                    let key = (alert.account.clone(), alert.strategy.clone(), alert.kind.clone());
                    if alert.cleared {
                        self.open.remove(&key)
                    } else {
                        self.open.insert(key)
                    };
                }
                Some(Body::AccountMarked(mark)) => self.marked(&recorded, &mark.clone()).await?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Measures at a mark, where it is time.
    async fn marked(&mut self, recorded: &Recorded, mark: &AccountMarked) -> Result<(), Error> {
        let event = &recorded.event;
        let Some(event_ns) = event.event_time.as_ref().and_then(from_timestamp) else { return Ok(()) };
        let last_ns = self.measured.get(&mark.account).copied();
        if last_ns.is_some_and(|last_ns| last_ns >= event_ns) {
            return Ok(());
        }
        let traded = self.traded.contains_key(&mark.account);
        // An account that holds nothing is measured as any other: its equity and its drawdown are of now, and a reader
        // sees that somebody looks.
        let due = last_ns.is_none_or(|last_ns| last_ns.div_euclid(EVERY_NS) < event_ns.div_euclid(EVERY_NS));
        if !traded && !due {
            return Ok(());
        }
        self.read_market(basis_of(event, stream::MARKET).unwrap_or_default()).await?;
        self.measure(&Cause::of(event), event_ns, mark, Prices::default()).await
    }

    /// Whether a fill was measured before this start, as far as its time says. On the tape clock a mark says so itself.
    fn is_measured(&self, recorded: &Recorded, account: &str) -> bool {
        let last_ns = self.measured.get(account).copied();
        let event_ns = recorded.event.event_time.as_ref().and_then(from_timestamp);
        self.context.clock == ClockMode::Wall
            && recorded.sequence <= self.head
            && last_ns.is_some_and(|last_ns| event_ns.is_some_and(|event_ns| event_ns <= last_ns))
    }

    /// Measures accounts with fills since their last measurement, those of a second together: the next look takes what comes
    /// too early. What stood on the tape at the start is folded first.
    async fn measure_fills(&mut self) -> Result<(), Error> {
        let began = clock::now();
        if self.book.sequence() < self.head || self.traded.is_empty() || began < self.fills_at {
            return Ok(());
        }
        let traded: Vec<(String, Event)> =
            self.traded.iter().map(|(account, fill)| (account.clone(), fill.clone())).collect();
        for (account, fill) in traded {
            let filled_ns = fill.event_time.as_ref().and_then(from_timestamp).unwrap_or_default();
            self.measure_now(&account, &Cause::of(&fill), runtime::now_ns().max(filled_ns)).await?;
        }
        let ended = clock::now();
        self.fills_at = ended + FILLS_EVERY.max(ended.duration_since(began) * FILLS_REST);
        Ok(())
    }

    /// Measures accounts of which no mark came since the quarter of an hour began, while the session is open.
    async fn measure_by_time(&mut self) -> Result<(), Error> {
        let now_ns = runtime::now_ns();
        let is_open = matches!(self.calendar.session_at(now_ns), Ok(Some(_)));
        if !is_open {
            return Ok(());
        }
        let quarter = now_ns.saturating_sub(GRACE_NS).div_euclid(EVERY_NS);
        let is_late = |account: &String| {
            let last_ns = self.measured.get(account);
            last_ns.is_none_or(|last_ns| last_ns.div_euclid(EVERY_NS) < quarter)
        };
        let late: Vec<String> = self.book.accounts().map(|row| row.account.clone()).filter(is_late).collect();
        for account in late {
            self.measure_now(&account, &Cause::quarter(&account, quarter), now_ns).await?;
        }
        Ok(())
    }

    /// Measures an account at the last prices. One that holds something without a price is measured once that has one, or
    /// with its next mark.
    async fn measure_now(&mut self, account: &str, cause: &Cause, now_ns: i64) -> Result<(), Error> {
        let (row, prices) = (self.book.account(account), self.pricing.prices());
        if self.unvalued.waits(account, now_ns, |symbol| prices.of_holding(row, symbol).is_some()) {
            return Ok(());
        }
        let market = self.context.tape.state(stream::MARKET).await?.last_sequence;
        self.read_market(market).await?;
        let Some(row) = self.book.account(account) else { return Ok(()) };
        let last = self.last_prices(row);
        match mark(&self.book, account, &last, false) {
            Ok(mark) => self.measure(cause, now_ns, &mark, last).await,
            Err(error) => {
                tracing::debug!("not measured yet: {error}");
                self.unvalued.failed(account, error, now_ns);
                Ok(())
            }
        }
    }

    /// The last price of everything that an account holds, in the shares of now: that of a bar, of its last mark, or what its
    /// broker stated, whichever is the newest.
    fn last_prices(&self, row: &AccountState) -> Prices {
        let held = self.book.positions_of(&row.account).map(|position| position.key.symbol.as_str());
        let mut last = self.pricing.prices().only(held);
        last.tell(row, |_| true);
        last.seed(row);
        last
    }

    /// Measures what `mark` values, and states it as of `event_ns`. `last` are prices beyond those of the book's own mark.
    async fn measure(
        &mut self,
        cause: &Cause,
        event_ns: i64,
        mark: &AccountMarked,
        last: Prices,
    ) -> Result<(), Error> {
        self.name_sectors(&mark.account).await;
        self.traded.remove(&mark.account);
        self.unvalued.forget(&mark.account);
        let before = self.peaks.of(&mark.account);
        let measured = monitor::measure(&self.book, self.pricing.prices(), mark, &self.sectors, before);
        let findings = monitor::findings(&self.book, &measured, self.calendar, last);
        self.append(cause, event_ns, "measured", Body::RiskMeasured(measured.clone())).await?;
        self.peaks.measured(measured);
        self.measured.insert(mark.account.clone(), event_ns);
        self.tell(cause, event_ns, &mark.account, findings).await
    }

    /// Reads the sectors again where that is due. On the tape clock those of the start stay, so that what is measured does
    /// not depend on how fast the tape plays.
    async fn name_sectors(&mut self, account: &str) {
        if self.context.clock == ClockMode::Tape {
            return;
        }
        let unnamed = self.book.positions_of(account).any(|row| !self.sectors.contains_key(&row.key.symbol));
        let pause = if unnamed { SECTORS_MISSING_EVERY } else { SECTORS_EVERY };
        if clock::now().duration_since(self.sectors_at) < pause {
            return;
        }
        self.sectors_at = clock::now();
        if let Some(sectors) = answered(self.read_model.sectors()).await {
            self.sectors = sectors.into_iter().collect();
        }
    }

    /// Raises what is new and clears what is over.
    async fn tell(
        &mut self,
        cause: &Cause,
        event_ns: i64,
        account: &str,
        findings: Vec<monitor::Finding>,
    ) -> Result<(), Error> {
        let key = |found: &monitor::Finding| (account.to_owned(), found.strategy.clone(), found.kind.clone());
        let now: BTreeSet<Alert> = findings.iter().map(key).collect();
        for found in &findings {
            if self.open.insert(key(found)) {
                let alert = AlertRaised {
                    account: account.to_owned(),
                    strategy: found.strategy.clone(),
                    kind: found.kind.clone(),
                    detail: found.detail.clone(),
                    cleared: false,
                };
                let name = format!("raised/{}/{}", found.strategy, found.kind);
                self.append(cause, event_ns, &name, Body::AlertRaised(alert)).await?;
            }
        }
        let over: Vec<Alert> =
            self.open.iter().filter(|alert| alert.0 == account && !now.contains(*alert)).cloned().collect();
        for alert in over {
            self.open.remove(&alert);
            let (account, strategy, kind) = alert;
            let name = format!("cleared/{strategy}/{kind}");
            let detail = "below its threshold again".to_owned();
            let alert = AlertRaised { account, strategy, kind, detail, cleared: true };
            self.append(cause, event_ns, &name, Body::AlertRaised(alert)).await?;
        }
        Ok(())
    }

    async fn append(&self, cause: &Cause, event_ns: i64, name: &str, body: Body) -> Result<(), Error> {
        let event = Event {
            id: event_id(&cause.key, &format!("{SERVICE}/{name}"), 0),
            event_time: Some(to_timestamp(event_ns)),
            source: SERVICE.to_owned(),
            correlation_id: cause.correlation_id.clone(),
            causation_id: cause.event_id.clone(),
            // What came between that and the event is not in it.
            basis: vec![Basis { stream: stream::TRADING.to_owned(), sequence: self.book.sequence() }],
            body: Some(body),
            ..Event::default()
        };
        self.put(event).await
    }

    async fn put(&self, event: Event) -> Result<(), Error> {
        let Some(subject) = Subject::for_event(&event, None) else { return Ok(()) };
        let entry = Append { subject, event, expect: Expect::Nothing };
        match runtime::append(&self.context.tape, &self.context.shutdown, entry).await {
            Ok(_) => Ok(()),
            Err(AppendError::Refused(reason)) => {
                tracing::error!("the tape refuses what the monitor says: {reason}");
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Reads MARKET as far as the mark had.
    async fn read_market(&mut self, through: u64) -> Result<(), LogError> {
        while self.pricing.sequence() < through {
            tokio::select! {
                () = self.context.shutdown.cancelled() => return Ok(()),
                batch = self.market.batch(BATCH) => {
                    let batch = batch?;
                    self.price(batch);
                }
            }
        }
        Ok(())
    }
}
