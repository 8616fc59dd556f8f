//! Risk, followed: the decision that follows from a signal, the book and the last prices.
//!
//! The book is the one of the TRADING sequence that the decision names in its basis, with the decisions made
//! since: those of one instant know of each other and of nothing that came after. Where that sequence is beyond some of
//! them, the basis says where the round of the decision ends, and what came of those behind that is taken back.
//!
//! Taken as they are: that a read model was too old (`stale_read_model`), what the boundary had to say against
//! the signal of an external strategy, and on the wall clock the moment of the decision, which its recorded price
//! ages state.

use std::collections::{HashSet, VecDeque};

use ::risk::{Pricing, ROUND_BASIS, SERVICE, decided_at};
use contracts::v1::event::Body;
use contracts::v1::{Event, RiskDecision, Signal};
use contracts::{chain_id, from_timestamp, stream, to_timestamp};
use domain::book::{Book, decided_ns};
use domain::calendar::Calendar;
use domain::risk::{self, Rule};
use event_log::{LogError, Recorded, Tape};
use projections::as_of::{AsOfError, Moment, Timeline};
use runtime::ClockMode;

use super::difference::{Divergence, is_same};
use super::market::Market;
use super::{Found, read_of};

/// Decisions remembered: those of one round and then some.
const RECENT_MAX: usize = 4_096;

/// The risk service, followed.
pub(super) struct Decisions {
    clock: ClockMode,
    fallback_account: String,
    calendar: &'static Calendar,
    pricing: Pricing,
    /// Prices that stay behind, for the same decisions as the book that does, and what they lack.
    pricing_behind: Pricing,
    unpriced: VecDeque<Recorded>,
    timeline: Timeline,
    /// A book that stays behind, for decisions that had not read everything before them, and what it lacks.
    behind: Book,
    lacking: VecDeque<Recorded>,
    /// Decisions of late, with their sequences.
    recent: VecDeque<(u64, Event)>,
    /// Their ids.
    recent_ids: HashSet<String>,
    /// Exits that were sent and have no answer.
    exits: HashSet<String>,
    /// Last TRADING sequence that may change a decision's inputs, other than a decision.
    stirred: u64,
    /// Market time of the last mark.
    now_ns: Option<i64>,
}

impl Decisions {
    pub fn new(clock: ClockMode, fallback_account: &str, tape: &Tape, calendar: &'static Calendar) -> Self {
        Self {
            clock,
            fallback_account: fallback_account.to_owned(),
            calendar,
            pricing: Pricing::default(),
            pricing_behind: Pricing::default(),
            unpriced: VecDeque::new(),
            timeline: Timeline::new(tape.clone()),
            behind: Book::default(),
            lacking: VecDeque::new(),
            recent: VecDeque::new(),
            recent_ids: HashSet::new(),
            exits: HashSet::new(),
            stirred: 0,
            now_ns: None,
        }
    }

    /// Last MARKET sequence read for prices.
    pub fn market_sequence(&self) -> u64 {
        self.pricing.sequence()
    }

    /// Takes note of an event that `book` has folded.
    pub fn note(&mut self, recorded: &Recorded) {
        self.lacking.push_back(recorded.clone());
        if self.lacking.len() > RECENT_MAX {
            self.follow(recorded.sequence - RECENT_MAX as u64);
        }
        match &recorded.event.body {
            Some(Body::RiskDecision(_)) => {
                self.recent_ids.insert(recorded.event.id.clone());
                self.recent.push_back((recorded.sequence, recorded.event.clone()));
                if self.recent.len() > RECENT_MAX
                    && let Some((_, gone)) = self.recent.pop_front()
                {
                    self.recent_ids.remove(&gone.id);
                }
            }
            // Its broker holds an exit without an answer with the entry.
            Some(Body::OrderAccepted(event)) if self.exits.remove(&event.order_id) => {
                self.stirred = recorded.sequence;
            }
            // An order that no decision approved, such as one of a kill switch, comes to be with its submission; an exit can
            // have new terms from then on.
            Some(Body::OrderSubmitted(event))
                if !self.recent_ids.contains(&recorded.event.causation_id)
                    || event.order.as_ref().is_some_and(|order| !order.parent_id.is_empty()) =>
            {
                let exit = event.order.iter().filter(|order| !order.parent_id.is_empty());
                self.exits.extend(exit.map(|order| order.order_id.clone()));
                self.stirred = recorded.sequence;
            }
            // What these change no decision looks at.
            Some(
                Body::Signal(_)
                | Body::OrderSubmitted(_)
                | Body::OrderAccepted(_)
                | Body::StrategyWarmed(_)
                | Body::ProjectionRequested(_)
                | Body::ProjectionFinished(_)
                | Body::RiskMeasured(_)
                | Body::AlertRaised(_)
                | Body::BrokerAttached(_)
                | Body::BrokerDiffered(_)
                | Body::LiveTradingConfirmed(_)
                | Body::LiveTradingRevoked(_),
            ) => {}
            Some(Body::BrokerReconciled(event)) if event.prices.is_empty() => {}
            Some(Body::AccountMarked(_)) => {
                let marked = recorded.event.event_time.as_ref().and_then(from_timestamp);
                self.now_ns = self.now_ns.max(marked);
                self.stirred = recorded.sequence;
            }
            _ => self.stirred = recorded.sequence,
        }
    }

    /// Holds a decision against what follows from its signal and the book before it.
    pub async fn check(
        &mut self,
        recorded: &Recorded,
        decision: &RiskDecision,
        book: &Book,
        market: &mut Market,
    ) -> Result<Found, LogError> {
        let Some(pending) = book.pending_signal(&decision.signal_id) else {
            return Ok(Found::Diverged(Divergence::not_derived(recorded)));
        };
        let cause = pending.event.clone();
        let Some(Body::Signal(signal)) = &cause.body else {
            return Ok(Found::Diverged(Divergence::not_derived(recorded)));
        };
        let priced = read_of(&recorded.event, stream::MARKET);
        self.read(priced, market).await?;
        let trading = read_of(&recorded.event, stream::TRADING);
        let round = Some(read_of(&recorded.event, ROUND_BASIS)).filter(|through| *through > 0);
        let aside = self.stirred > trading || round.is_some();
        let past = if aside { self.past(trading, round).await? } else { None };
        // The clock may have gone on before the answer was stored.
        let marked_ns = past.as_ref().map_or(self.now_ns, marked_ns);
        let book = past.as_ref().unwrap_or(book);
        let now_ns = self.moment(&cause, decision, marked_ns);
        let past_prices = self.past_prices(priced, market).await?;
        let pricing = past_prices.as_ref().unwrap_or(&self.pricing);
        let account = &self.fallback_account;
        let view = risk::view(book, pricing.prices(), self.calendar, signal, now_ns, account);
        let body = answer(&cause.id, signal, decision, &view, book);
        let derived = self.event(&cause, signal, now_ns, body);
        if is_same(&recorded.event, &derived) {
            return Ok(Found::Proved);
        }
        let detail = if risk::rederive(decision, signal, &view.policy) == *decision {
            "the decision follows from its recorded inputs; the inputs are not what book and prices say"
        } else {
            "the decision does not follow from its recorded inputs"
        };
        Ok(Found::Diverged(Divergence::differs(recorded, &derived, detail.to_owned())))
    }

    /// The decision that is missing on the signal `cause`.
    pub fn missing(&self, cause: &Event, book: &Book) -> Option<Event> {
        let Some(Body::Signal(signal)) = &cause.body else { return None };
        let now_ns = self.moment(cause, &RiskDecision::default(), self.now_ns);
        let account = &self.fallback_account;
        let view = risk::view(book, self.pricing.prices(), self.calendar, signal, now_ns, account);
        // A signal that no account answers for is parked, and so is one under the id of another strategy's.
        let answerable = !view.account.is_empty() && !chain_id::is_foreign(cause, &signal.strategy);
        answerable.then(|| self.event(cause, signal, now_ns, risk::decide(&cause.id, signal, &view)))
    }

    /// Reads MARKET for prices.
    pub async fn read(&mut self, through: u64, market: &mut Market) -> Result<(), LogError> {
        for recorded in market.between(self.pricing.sequence(), through).await? {
            self.pricing.take(&recorded);
            self.unpriced.push_back(recorded);
        }
        self.pricing.skip(through);
        let spare = self.unpriced.len().saturating_sub(RECENT_MAX);
        self.unpriced.drain(..spare).for_each(|recorded| self.pricing_behind.take(&recorded));
        Ok(())
    }

    /// The prices as of a MARKET sequence, when newer ones have been read; at worst from the beginning.
    async fn past_prices(&mut self, through: u64, market: &Market) -> Result<Option<Pricing>, LogError> {
        if self.pricing.sequence() <= through {
            return Ok(None);
        }
        if self.pricing_behind.sequence() > through {
            let mut anew = Pricing::default();
            market.again(through, |recorded| anew.take(recorded)).await?;
            return Ok(Some(anew));
        }
        while let Some(next) = self.unpriced.pop_front_if(|next| next.sequence <= through) {
            self.pricing_behind.take(&next);
        }
        Ok(Some(self.pricing_behind.clone()))
    }

    /// When it was decided, in market time, with the last mark at `marked_ns`.
    fn moment(&self, cause: &Event, decision: &RiskDecision, marked_ns: Option<i64>) -> i64 {
        let signal_ns = cause.event_time.as_ref().and_then(from_timestamp).unwrap_or_default();
        if self.clock == ClockMode::Tape {
            return marked_ns.map_or(signal_ns, |marked_ns| marked_ns.max(signal_ns));
        }
        decided_ns(decision, signal_ns)
    }

    /// The event of a decision made at `now_ns`.
    fn event(&self, cause: &Event, signal: &Signal, now_ns: i64, body: RiskDecision) -> Event {
        let correlation_id = if cause.correlation_id.is_empty() { &cause.id } else { &cause.correlation_id };
        let signal_ns = cause.event_time.as_ref().and_then(from_timestamp).unwrap_or_default();
        Event {
            id: chain_id::decision(&cause.id),
            event_time: Some(to_timestamp(decided_at(self.clock, signal, signal_ns, now_ns))),
            source: SERVICE.to_owned(),
            correlation_id: correlation_id.clone(),
            causation_id: cause.id.clone(),
            body: Some(Body::RiskDecision(body)),
            ..Event::default()
        }
    }

    /// The book as of `trading`; `None` when the tape does not go that far.
    pub async fn as_of(&mut self, trading: u64) -> Result<Option<Book>, LogError> {
        self.follow(trading);
        if self.behind.sequence() <= trading {
            return Ok(Some(self.behind.clone()));
        }
        match self.timeline.at(Moment::Sequence(trading)).await {
            Ok(past) => Ok(Some(past.book.clone())),
            Err(AsOfError::Future { .. }) => Ok(None),
            Err(AsOfError::Tape(error)) => Err(error),
        }
    }

    /// The book as of `trading`, with every decision since. Of those beyond the end of a `round` it knows what they
    /// approved, and nothing that came of it.
    async fn past(&mut self, trading: u64, round: Option<u64>) -> Result<Option<Book>, LogError> {
        let Some(mut book) = self.as_of(trading).await? else { return Ok(None) };
        let since = round.unwrap_or(trading);
        for (sequence, decision) in self.recent.iter().filter(|(sequence, _)| *sequence > since) {
            if *sequence > trading {
                book.foresee(decision);
            }
            if round.is_some() {
                book.restore(decision);
            }
        }
        Ok(Some(book))
    }
}

impl Decisions {
    /// Brings the book that stays behind up to `trading`.
    fn follow(&mut self, trading: u64) {
        while let Some(next) = self.lacking.pop_front_if(|next| next.sequence <= trading) {
            if self.behind.apply(next.sequence, &next.event).is_err() {
                self.behind.skip(next.sequence);
            }
        }
    }
}

/// Market time of the last mark that a book knows.
fn marked_ns(book: &Book) -> Option<i64> {
    book.accounts().filter_map(|account| account.mark.as_ref()).map(|mark| mark.event_ns).max()
}

/// The answer to a signal, with the reasons that are inputs taken from the recorded one.
fn answer(
    id: &str,
    signal: &Signal,
    recorded: &RiskDecision,
    view: &risk::RiskView,
    book: &Book,
) -> RiskDecision {
    if recorded.rule == Rule::StaleReadModel.name() {
        // It stands on a book that nobody can tell any more, and says so.
        let view = risk::RiskView { inputs: recorded.inputs.clone(), ..view.clone() };
        return risk::deny(id, signal, &view, Rule::StaleReadModel, &recorded.reason);
    }
    let derived = risk::decide(id, signal, view);
    let external = book.strategy(&signal.strategy).is_some_and(domain::book::StrategyState::is_external);
    let rule = Rule::InvalidSignal;
    let possible = external || signal.strategy.is_empty();
    if possible && recorded.rule == rule.name() {
        // What no rule looked at is taken as it is: a late signal was held against the instant it missed.
        let view = risk::RiskView { inputs: recorded.inputs.clone(), ..view.clone() };
        return risk::deny(id, signal, &view, rule, &recorded.reason);
    }
    derived
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use event_log::MemoryLog;

    use super::*;

    #[test]
    fn a_signal_under_the_id_of_anothers_misses_no_decision() {
        let tape: Tape = Arc::new(MemoryLog::new());
        let decisions = Decisions::new(ClockMode::Tape, "paper", &tape, Calendar::xnys());
        let missing = |id: String| {
            let cause = Event {
                id,
                event_time: Some(to_timestamp(1_704_724_200_000_000_000)),
                causation_id: "bar".to_owned(),
                body: Some(Body::Signal(Signal { strategy: "mine".to_owned(), ..Signal::default() })),
                ..Event::default()
            };
            decisions.missing(&cause, &Book::default())
        };
        assert!(missing(contracts::signal_id("mine", "bar", 0)).is_some());
        assert!(missing(contracts::signal_id("other", "bar", 0)).is_none());
    }
}
