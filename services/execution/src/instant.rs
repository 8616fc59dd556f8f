//! What an instant of MARKET comes to: entries, adjustments, fills and marks, as steps.
//!
//! An instant's events are taken in the order of the tape, which is: session opened, corporate actions,
//! bars, session closed; the marks come last. Taking an instant again after a crash comes to the same
//! events, and to none that is stored already.

use contracts::from_timestamp;
use contracts::v1::event::Body;
use contracts::v1::{AccountEntry, Event};
use domain::bar::Bar;
use domain::book::{FoldError, cash_in_lieu_entries, dividend_entries, split_entries};
use domain::corporate_action::{CorporateAction, Effect};
use domain::matching::kernel::Bounds;
use domain::risk::breaker;
use event_log::Recorded;
use runtime::{ClockMode, Instant, is_live};

use crate::machine::Machine;
use crate::step::Step;

/// A bar that may trade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveBar {
    /// Symbol.
    pub symbol: String,
    /// The bar.
    pub bar: Bar,
    /// Its event.
    pub event_id: String,
}

/// One part of an instant, in the order in which it is to be handled.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// A corporate action.
    Action {
        /// Symbol.
        symbol: String,
        /// What it does.
        effect: Effect,
        /// Its event.
        event_id: String,
        /// Its event time.
        event_ns: i64,
    },
    /// Bars, together.
    Bars(Vec<LiveBar>),
    /// The regular session closed.
    SessionClosed {
        /// Its open and its close.
        session: Bounds,
        /// The instant.
        event_ns: i64,
    },
}

/// The parts of an instant that cause something; history that is imported causes nothing.
#[must_use]
pub fn parts(instant: &Instant) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for recorded in &instant.events {
        match part(recorded) {
            Some(Part::Bars(bars)) => match parts.last_mut() {
                Some(Part::Bars(together)) => together.extend(bars),
                _ => parts.push(Part::Bars(bars)),
            },
            Some(other) => parts.push(other),
            None => {}
        }
    }
    parts
}

/// What is wrong with an event of MARKET, so that it cannot cause what it should.
pub fn check(event: &Event) -> Result<(), String> {
    let event_ns = event.event_time.as_ref().and_then(from_timestamp);
    let Some(event_ns) = event_ns else {
        return Err("field `event_time`: missing or out of range".to_owned());
    };
    match &event.body {
        Some(Body::Bar(bar)) if Bar::from_wire(bar, event_ns).is_none() => {
            Err("field `start`: missing or out of range".to_owned())
        }
        Some(Body::CorporateAction(action)) => {
            CorporateAction::from_wire(action).map(drop).map_err(|error| error.to_string())
        }
        _ => Ok(()),
    }
}

pub(crate) fn part(recorded: &Recorded) -> Option<Part> {
    use contracts::v1::SessionPhase;

    let event = &recorded.event;
    let event_ns = event.event_time.as_ref().and_then(from_timestamp)?;
    match event.body.as_ref()? {
        Body::Bar(_) => Some(Part::Bars(vec![live_bar(recorded)?])),
        Body::CorporateAction(action) if is_live(action.origin()) => {
            let effect = CorporateAction::from_wire(action).ok()?.effect;
            Some(Part::Action { symbol: action.symbol.clone(), effect, event_id: event.id.clone(), event_ns })
        }
        Body::SessionChange(session) if session.phase() == SessionPhase::Closed => {
            let close_ns = session.close.as_ref().and_then(from_timestamp).unwrap_or(event_ns);
            let open_ns = session.open.as_ref().and_then(from_timestamp).unwrap_or(close_ns);
            Some(Part::SessionClosed { session: Bounds { open_ns, close_ns }, event_ns })
        }
        _ => None,
    }
}

/// Whether an entry follows from what the market did: what a person or a broker outside states, holds and charges is none.
pub(crate) fn is_of_market(entry: &AccountEntry) -> bool {
    use contracts::v1::EntryKind::{Deposit, External, Fee, Interest};

    entry.actor.is_empty() && !matches!(entry.kind(), Deposit | External | Fee | Interest)
}

/// The bar of an event, when it is one that may trade: live or rehearsed, and not made of others on the tape.
pub(crate) fn live_bar(recorded: &Recorded) -> Option<LiveBar> {
    let event = &recorded.event;
    let Some(Body::Bar(wire)) = &event.body else { return None };
    let bar = Bar::from_wire(wire, event.event_time.as_ref().and_then(from_timestamp)?)?;
    // One that was made of others shows the same trading once more.
    (is_live(wire.origin()) && wire.made_of.is_empty()).then(|| LiveBar {
        symbol: wire.symbol.clone(),
        bar,
        event_id: event.id.clone(),
    })
}

impl Machine {
    /// Whether everything of a numbered instant is stored: its marks come last.
    #[must_use]
    pub fn is_done(&self, instant: &Instant) -> bool {
        instant.framed
            && !self.accounts.is_empty()
            && self.accounts.iter().all(|account| {
                let mark = self.book.account(account).and_then(|row| row.mark.as_ref());
                mark.is_some_and(|mark| mark.event_ns >= instant.event_ns)
            })
    }

    /// Notes how far MARKET has been read.
    pub fn begin(&mut self, instant: &Instant) {
        self.market_sequence = self.market_sequence.max(instant.last_sequence());
    }

    /// The steps of a corporate action on positions and open orders.
    pub fn action_steps(
        &self,
        symbol: &str,
        effect: Effect,
        action_id: &str,
        event_ns: i64,
    ) -> Result<Vec<Step>, FoldError> {
        let entry = |entry: AccountEntry| Step::Entry { entry, cause_id: action_id.to_owned(), event_ns };
        let ratio = match effect {
            Effect::Dividend(per_share) => {
                let entries = dividend_entries(&self.book, symbol, per_share, action_id)?;
                return Ok(entries.into_iter().map(entry).collect());
            }
            Effect::Split(ratio) => ratio,
        };
        let entries = split_entries(&self.book, symbol, ratio, action_id)?;
        // An order of this very instant was decided with knowledge of the split.
        let before = self
            .book
            .open_orders()
            .filter(|order| order.spec.symbol == symbol && order.approved_ns < event_ns);
        let adjustments = before.map(|order| Step::Adjust {
            order_id: order.id().to_owned(),
            ratio,
            action_id: action_id.to_owned(),
            event_ns,
        });
        Ok(entries.into_iter().map(entry).chain(adjustments).collect())
    }

    /// Values held shares in new ones from a split on.
    pub fn restate_price(&mut self, symbol: &str, effect: Effect, event_ns: i64) {
        if let Effect::Split(ratio) = effect {
            self.prices.split(symbol, ratio, event_ns);
        }
    }

    /// Says that a price is from before a split although it was valued at the split's own time.
    pub fn is_before_split(&mut self, symbol: &str, event_ns: i64) {
        self.prices.is_before_split(symbol, event_ns);
    }

    /// The steps that pay out fractions of shares at the first raw price after a split.
    pub fn cash_in_lieu_steps(&self, bar: &LiveBar) -> Result<Vec<Step>, FoldError> {
        let entries = cash_in_lieu_entries(&self.book, &bar.symbol, bar.bar.open, &bar.event_id)?;
        let due = entries.into_iter().filter(|entry| {
            let position = self.book.position(&entry.account, &entry.strategy, &entry.symbol);
            // A bar from before the split, taken again, brings no price after it.
            position.is_some_and(|position| position.updated_ns < bar.bar.close_ns)
        });
        Ok(due
            .map(|entry| Step::Entry { entry, cause_id: bar.event_id.clone(), event_ns: bar.bar.close_ns })
            .collect())
    }

    /// Takes the last price of a bar.
    pub fn observe(&mut self, bar: &LiveBar) {
        self.prices.observe(&bar.symbol, bar.bar.close, bar.bar.close_ns);
    }

    /// Takes the last price of a bar that is newer than what is known; the known one of the same bar may be restated.
    pub fn observe_newer(&mut self, bar: &LiveBar) {
        let known = self.prices.get(&bar.symbol);
        if known.is_none_or(|known| known.time_ns < bar.bar.close_ns) {
            self.observe(bar);
        } else {
            self.prices.is_of_bar(&bar.symbol, bar.bar.close_ns);
        }
    }

    /// The steps that value the accounts at the end of an instant; none for history.
    #[must_use]
    pub fn mark_steps(&self, instant: &Instant) -> Vec<Step> {
        if !instant.is_live() {
            return Vec::new();
        }
        let cause_id = instant.events.last().map_or("", |recorded| recorded.event.id.as_str());
        self.mark_steps_at(instant.event_ns, cause_id)
    }

    /// The same for a live instant of this time, whose last event has this id.
    #[must_use]
    pub fn mark_steps_at(&self, event_ns: i64, cause_id: &str) -> Vec<Step> {
        // A margin call comes before the mark that shows it: the mark says that the instant is done.
        self.accounts
            .iter()
            .flat_map(|account| {
                let (account, cause_id) = (account.clone(), cause_id.to_owned());
                let margin = Step::Margin { account: account.clone(), event_ns, cause_id: cause_id.clone() };
                let breaker =
                    Step::Breaker { account: account.clone(), event_ns, cause_id: cause_id.clone() };
                // One step is one event; those that are not needed come to nothing.
                let breakers = std::iter::repeat_n(breaker, breaker::most(&self.book, &account));
                let mark = Step::Mark { account, event_ns, cause_id };
                std::iter::once(margin).chain(breakers).chain(std::iter::once(mark))
            })
            .collect()
    }
}

/// Whether the clock waits for the marks of an instant.
#[must_use]
pub fn is_barrier(mode: ClockMode, instant: &Instant) -> bool {
    mode == ClockMode::Tape && instant.framed && instant.is_live()
}
