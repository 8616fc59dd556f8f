//! The monitor: measures every account every 15 minutes of market time and after fills, and raises alerts.
//!
//! It reads the tape beside the decider and never delays it. What it says is an event with an id that follows from
//! the mark it measured, so that measuring again after a crash adds nothing. On the wall clock it also sees what
//! no event says: that no bar comes while the session is open, and that the read models fall behind; either trips
//! a breaker where one is stated. On the tape clock a stall pauses the clock, and decides nothing.
//!
//! Deliberately absent: what is measured and what is worth an alert (`domain::risk::monitor`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use contracts::v1::event::Body;
use contracts::v1::{AccountMarked, AlertRaised, BreakerKind, BreakerTripped, Event, TradingState};
use contracts::{Subject, event_id, from_timestamp, stream, to_timestamp};
use domain::book::{Book, FoldError};
use domain::calendar::Calendar;
use domain::money::{E9, Quantity};
use domain::risk::{breaker, monitor};
use event_log::{Append, AppendError, Delivery, Expect, LogError, Reader, Recorded, last_of};
use runtime::{ClockMode, Context, HealthState};
use tokio::time::{Instant, MissedTickBehavior};

use crate::pricing::Pricing;
use crate::read_model::ReadModel;
use crate::shell::Error;
use crate::start::{self, answered};

/// Name of the service and source of its events.
pub const SERVICE: &str = "monitor";
/// Market time between two measurements.
const EVERY_NS: i64 = 15 * 60 * 1_000_000_000;
/// Messages taken from a stream at once.
const BATCH: usize = 512;
/// Time between two looks at what no event says.
const LOOK: Duration = Duration::from_secs(1);

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
    /// Accounts with fills since then.
    traded: BTreeSet<String>,
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
        let mut measured = BTreeMap::new();
        for account in book.accounts() {
            let subject = Subject::of(&["control", "monitor", &account.account, "measured"]);
            let last = last_of(tape, stream::TRADING, subject.as_str()).await?.event;
            let at = last.and_then(|last| last.event.event_time.as_ref().and_then(from_timestamp));
            measured.extend(at.map(|at| (account.account.clone(), at)));
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
            traded: BTreeSet::new(),
            open: open.into_iter().collect(),
            behind: None,
        })
    }

    async fn serve(&mut self) -> Result<(), Error> {
        self.context.health.set(SERVICE, HealthState::Ready, "");
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = self.context.shutdown.cancelled() => return Ok(()),
                _ = look.tick(), if self.context.clock == ClockMode::Wall => self.look().await?,
                batch = self.trading.batch(BATCH) => self.take(batch?).await?,
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
                Ok(_) => {}
                // A late event of an order that ended: it is in the read model, and in the next start.
                Err(FoldError::OrderNotLoaded { .. }) => self.book.skip(sequence),
                // Whoever owns it parks it.
                Err(_) => self.book.skip(sequence),
            }
            match &recorded.event.body {
                Some(Body::Fill(fill)) => {
                    self.traded.insert(fill.account.clone());
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
        let traded = self.traded.contains(&mark.account);
        // An account that holds nothing is measured as any other: its equity and its drawdown are of now, and a reader
        // sees that somebody looks.
        let due = last_ns.is_none_or(|last_ns| last_ns.div_euclid(EVERY_NS) < event_ns.div_euclid(EVERY_NS));
        if !traded && !due {
            return Ok(());
        }
        self.traded.remove(&mark.account);
        let market = event.basis.iter().find(|basis| basis.stream == stream::MARKET);
        self.read_market(market.map_or(0, |basis| basis.sequence)).await?;
        let measured = monitor::measure(&self.book, self.pricing.prices(), mark);
        let findings = monitor::findings(&self.book, &measured);
        self.append(event, event_ns, "measured", Body::RiskMeasured(measured)).await?;
        self.measured.insert(mark.account.clone(), event_ns);
        self.tell(event, event_ns, &mark.account, findings).await
    }

    /// Raises what is new and clears what is over.
    async fn tell(
        &mut self,
        cause: &Event,
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

    async fn append(&self, cause: &Event, event_ns: i64, name: &str, body: Body) -> Result<(), Error> {
        let event = Event {
            id: event_id(&cause.id, &format!("{SERVICE}/{name}"), 0),
            event_time: Some(to_timestamp(event_ns)),
            source: SERVICE.to_owned(),
            correlation_id: cause.correlation_id.clone(),
            causation_id: cause.id.clone(),
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

    /// Looks for silence of the market and for read models that fall behind.
    async fn look(&mut self) -> Result<(), Error> {
        let now_ns = runtime::now_ns();
        let stale_ns = self.silence(now_ns);
        let lag = self.lag().await;
        let mut tripped = Vec::new();
        for account in self.book.accounts() {
            for set in self.book.breakers_of(&account.account) {
                for breaker in &set.limits.breakers {
                    let (value_ns, what) = match breaker.kind() {
                        BreakerKind::StaleData => (stale_ns, "no bar came"),
                        BreakerKind::ProjectionLag => {
                            (i64::try_from(lag.as_nanos()).unwrap_or(i64::MAX), "the read models were behind")
                        }
                        _ => continue,
                    };
                    let active = self
                        .book
                        .tally(&account.account, "")
                        .is_some_and(|tally| tally.breakers.iter().any(|state| state.kind == breaker.kind));
                    // A nanosecond is a billionth of a second: the unit is the breaker's.
                    if active || value_ns < breaker.most_e9 {
                        continue;
                    }
                    let state = if breaker.halts { TradingState::Halted } else { TradingState::ReduceOnly };
                    tripped.push(BreakerTripped {
                        account: account.account.clone(),
                        strategy: String::new(),
                        kind: breaker.kind,
                        state: state.into(),
                        value_e9: value_ns,
                        most_e9: breaker.most_e9,
                        reason: format!(
                            "{what} for {} s, the limit is {}",
                            value_ns / E9,
                            Quantity(breaker.most_e9)
                        ),
                        scope: Some(set.scope.to_wire()),
                        limits_version: set.version,
                    });
                }
            }
        }
        for body in tripped {
            let name = breaker::name(body.kind());
            tracing::warn!("breaker {name} of {} trips: {}", body.account, body.reason);
            let cause = format!("{}/{name}/{now_ns}", body.account);
            let event = Event {
                id: event_id(&cause, SERVICE, 0),
                event_time: Some(to_timestamp(now_ns)),
                source: SERVICE.to_owned(),
                body: Some(Body::BreakerTripped(body)),
                ..Event::default()
            };
            // Known at once, so that the next look does not say it again.
            self.put(event.clone()).await?;
            self.read_until_tripped(&event).await?;
        }
        Ok(())
    }

    /// Reads TRADING until the book knows of a breaker that was just tripped.
    async fn read_until_tripped(&mut self, event: &Event) -> Result<(), Error> {
        let Some(Body::BreakerTripped(body)) = &event.body else { return Ok(()) };
        let knows = |book: &Book| {
            book.tally(&body.account, "")
                .is_some_and(|tally| tally.breakers.iter().any(|state| state.kind == body.kind))
        };
        while !knows(&self.book) {
            tokio::select! {
                () = self.context.shutdown.cancelled() => return Ok(()),
                batch = self.trading.batch(BATCH) => {
                    let batch = batch?;
                    Box::pin(self.take(batch)).await?;
                }
            }
        }
        Ok(())
    }

    /// How long no live bar of any symbol closed while the session was open.
    fn silence(&self, now_ns: i64) -> i64 {
        let Ok(Some(session)) = self.calendar.session_at(now_ns) else { return 0 };
        let last_ns = self.pricing.newest_ns().unwrap_or(session.open_ns).max(session.open_ns);
        now_ns.saturating_sub(last_ns)
    }

    /// How long the read model has not reached what was on the tape.
    async fn lag(&mut self) -> Duration {
        let checkpoint = answered(self.read_model.checkpoint()).await;
        let head = self.book.sequence();
        match (checkpoint, self.behind) {
            (Some(checkpoint), Some((since, behind))) if checkpoint < behind => since.elapsed(),
            (None, Some((since, _))) => since.elapsed(),
            (Some(checkpoint), _) if checkpoint >= head => {
                self.behind = None;
                Duration::ZERO
            }
            _ => {
                self.behind = Some((Instant::now(), head));
                Duration::ZERO
            }
        }
    }
}
