//! Execution, followed: instants in the order in which it took them, and what it owed before the next one.

use contracts::stream;
use contracts::v1::Event;
use contracts::v1::event::Body;
use domain::calendar::Calendar;
use event_log::{LogError, Recorded};
use execution::{Derived, Follower};
use runtime::{ClockMode, Instants};

use super::decisions::Decisions;
use super::difference::{Divergence, is_same};
use super::market::Market;
use super::{Found, ReplayError, read_of};

/// The execution service, followed.
pub(super) struct Orders {
    pub follower: Follower,
    instants: Instants,
    clock: ClockMode,
    /// Last MARKET sequence given to `instants`.
    read: u64,
}

/// An instant that begins, or what was owed before it could.
pub(super) enum Begun {
    /// Instants began.
    Instants,
    /// Nothing began.
    Nothing,
    /// This is owed and did not come.
    Owed(Box<Event>),
}

impl Orders {
    pub fn new(clock: ClockMode, accounts: &[String], calendar: &'static Calendar) -> Self {
        let follower = Follower::new(accounts, calendar).on(clock);
        Self { follower, instants: Instants::new(clock), clock, read: 0 }
    }

    pub fn market_sequence(&self) -> u64 {
        self.read
    }

    /// Begins the instants that execution had begun when it wrote `recorded`.
    pub async fn begin(&mut self, recorded: &Recorded, market: &mut Market) -> Result<Begun, ReplayError> {
        let of_market = match &recorded.event.body {
            Some(Body::AccountEntry(entry)) => entry.kind() != contracts::v1::EntryKind::Deposit,
            // A price that it states is of the time after the instants that it had handled.
            Some(Body::BrokerReconciled(event)) => !event.prices.is_empty(),
            Some(
                Body::Fill(_)
                | Body::FillCorrected(_)
                | Body::FillBusted(_)
                | Body::OrderExpired(_)
                | Body::OrderAdjusted(_)
                | Body::OrderTriggered(_)
                | Body::OrderTrailed(_)
                | Body::AccountMarked(_)
                | Body::OrderCancelled(_),
            ) => true,
            body => self.clock == ClockMode::Wall && comes_to_broker(body.as_ref()),
        };
        let through = read_of(&recorded.event, stream::MARKET);
        if !of_market || through <= self.read {
            return Ok(Begun::Nothing);
        }
        for recorded in market.between(self.read, through).await? {
            self.instants.push(recorded);
        }
        self.read = through;
        let mut begun = Begun::Nothing;
        while let Some(instant) = self.instants.next_complete() {
            let owed = self.follower.missing().map_err(ReplayError::broker)?;
            // What is owed before the range asked for is passed over, so it must not hold up what follows.
            self.follower.begin(instant);
            begun = match (begun, owed) {
                (Begun::Owed(first), _) => Begun::Owed(first),
                (_, Some(owed)) => Begun::Owed(Box::new(owed.event)),
                _ => Begun::Instants,
            };
        }
        Ok(begun)
    }

    /// Lets the broker take the bars that have begun, before an order comes to it. On the wall clock an order by hand may be
    /// dated before bars that were over by then.
    pub fn take_bars(&mut self, recorded: &Recorded) -> Result<(), ReplayError> {
        if self.clock == ClockMode::Wall && comes_to_broker(recorded.event.body.as_ref()) {
            self.follower.missing().map_err(ReplayError::broker)?;
        }
        Ok(())
    }

    /// An order for which something must have been done before an instant begins; on the wall clock it may
    /// have been approved while the instant was under way.
    pub fn unsent(&mut self) -> Option<String> {
        if self.clock == ClockMode::Tape { self.follower.unsent() } else { None }
    }

    /// What the present instant still owes.
    pub fn owes(&mut self) -> Result<bool, ReplayError> {
        Ok(self.follower.missing().map_err(ReplayError::broker)?.is_some())
    }

    /// Holds an event of execution against what was derived; `decisions` know the book as of any sequence.
    pub async fn check(
        &mut self,
        recorded: &Recorded,
        decisions: &mut Decisions,
    ) -> Result<Found, ReplayError> {
        let mut derived = self.follower.derive(recorded).await.map_err(ReplayError::broker)?;
        let read = read_of(&recorded.event, stream::TRADING);
        if !derived.is(&recorded.event.id)
            && matches!(recorded.event.body, Some(Body::OrderSubmitted(_) | Body::OrderCancelRequested(_)))
            && (1..self.follower.book().sequence()).contains(&read)
            && let Some(book) = Box::pin(decisions.as_of(read)).await?
        {
            let unaware = self.follower.derive_unaware(recorded, book);
            derived = if unaware.is(&recorded.event.id) { unaware } else { derived };
        }
        Ok(match derived {
            Derived::Input => Found::Input,
            Derived::Nothing => Found::Diverged(Divergence::not_derived(recorded)),
            Derived::Event(append) if is_same(&recorded.event, &append.event) => Found::Proved,
            Derived::Event(append) => {
                Found::Diverged(Divergence::differs(recorded, &append.event, String::new()))
            }
        })
    }
}

/// Whether an order, or its new terms, comes to a broker with it.
fn comes_to_broker(body: Option<&Body>) -> bool {
    matches!(body, Some(Body::OrderSubmitted(_) | Body::OrderReplaced(_)))
}

impl From<LogError> for ReplayError {
    fn from(error: LogError) -> Self {
        Self::Tape(error)
    }
}
