//! A round of decisions on one snapshot: the signals of an instant, or live all that have arrived.

use std::collections::HashSet;

use contracts::v1::event::Body;
use contracts::v1::{Basis, BreakerKind, BreakerReset, Event, RiskDecision, Signal};
use contracts::{Subject, chain_id, from_timestamp, stream, to_timestamp};
use domain::book::{AccountState, Book};
use domain::risk::{self, Rule};
use event_log::Recorded;
use planted::Bug;
use runtime::{AsOf, ClockMode};

use crate::boundary;
use crate::machine::{Machine, Stale, Waiting};
use crate::read_model::Snapshot;
use crate::{READ_MODEL_BASIS, ROUND_BASIS, SERVICE};

/// What becomes of a signal.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly every outcome is a decision")]
pub enum Outcome {
    /// A decision to append.
    Decided(Outgoing),
    /// No account can be named for it: park it.
    Park {
        /// The signal.
        signal: Recorded,
        /// Why.
        reason: String,
    },
}

/// A decision that is to be appended.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The signal decided.
    pub signal: Recorded,
    /// Account whose decisions it is the next one of.
    pub account: String,
    /// Where it goes.
    pub subject: Subject,
    /// The decision's event.
    pub event: Event,
}

impl Machine {
    /// Decides what [`Machine::due`] wanted a snapshot for, in the order in which it is to be appended.
    /// `now_ns` is the time of the wall clock; the tape clock's is that of the instant.
    pub fn decide(&mut self, snapshot: Snapshot, now_ns: i64) -> Result<Vec<Outcome>, Stale> {
        let Snapshot { book, decided } = snapshot;
        let decided = AsOf { checkpoint: book.sequence(), rows: decided };
        let newer = self.newer(&book);
        self.held = book;
        let outcomes = self.decide_again(&decided, now_ns)?;
        if let Some(checkpoint) = newer {
            self.forget(checkpoint);
        }
        Ok(outcomes)
    }

    /// The same on the book of the snapshot before, where [`Machine::holds`] says that it serves. `decided` are those of
    /// the signals wanted that have a decision by now.
    pub fn decide_again(&mut self, decided: &AsOf<String>, now_ns: i64) -> Result<Vec<Outcome>, Stale> {
        let Some(through) = self.through() else { return Ok(Vec::new()) };
        let mut outcomes = self.repeated(decided);
        let Some(first) = self.waiting.range(..=through).next() else { return Ok(outcomes) };
        let wanted = first.1.after.max(self.tail.floor());
        let mut book = self.held.clone();
        let checkpoint = book.sequence();
        let seen = checkpoint.min(decided.checkpoint);
        if seen < wanted && !planted::is(Bug::StaleReadAccepted) {
            self.known = book;
            return Err(Stale { checkpoint: seen, wanted });
        }
        let tape_clock = self.mode == ClockMode::Tape;
        if let Err(wanted) = self.tail.complete(&mut book, through, tape_clock) {
            self.tail.raise(wanted);
            return Err(Stale { checkpoint, wanted });
        }
        if planted::is(Bug::PeakClearedByNewHigh) {
            forget_drawdowns(&mut book);
        }
        let selected = self.waiting.range(..=through).map(|(_, waiting)| waiting);
        let mut selected: Vec<_> =
            selected.filter(|waiting| tape_clock || waiting.after <= checkpoint).collect();
        if tape_clock {
            selected.sort_by_cached_key(|waiting| order_key(&waiting.recorded));
        } else {
            // Stable: what cannot be judged waits for those that can.
            selected.sort_by_key(|waiting| waiting.problem.is_some());
        }
        let basis = self.basis(through, checkpoint);
        let now_ns = self.told.map_or(now_ns, |told| told.instant_ns);
        let mut seen = HashSet::new();
        for waiting in selected {
            if seen.insert(waiting.recorded.event.id.as_str()) {
                outcomes.extend(self.judge(waiting, &mut book, &basis, now_ns));
            }
        }
        self.known = book;
        Ok(outcomes)
    }

    /// Drops what is decided already. A decision that stands before its signal decided an earlier one of the
    /// same id: the later one is parked, so that whoever waits for its answer has one.
    fn repeated(&mut self, decided: &AsOf<String>) -> Vec<Outcome> {
        // Read this far, a decision behind its signal would have taken it off already.
        let read = self.trading_sequence() >= decided.checkpoint;
        let mut parked = Vec::new();
        for id in &decided.rows {
            let signal = self.waiting_signal(id).filter(|_| read);
            if let Some(signal) = signal.map(|waiting| waiting.recorded.clone()) {
                let reason = format!("field `id`: {id:?}, a signal of this id was decided before");
                parked.push(Outcome::Park { signal, reason });
            }
            self.drop_signal(id);
        }
        parked
    }

    /// Denies the signals up to `sequence`, because the read model did not reach them in time.
    #[must_use]
    pub fn deny_stale(&self, sequence: u64, now_ns: i64, reason: &str) -> Vec<Outcome> {
        // One that was read ahead may be newer than that of the last round.
        let book = if self.held.sequence() > self.known.sequence() { &self.held } else { &self.known };
        let basis = self.basis(book.sequence(), book.sequence());
        let mut seen = HashSet::new();
        let waiting = self.waiting.range(..=sequence).map(|(_, waiting)| waiting);
        let waiting = waiting.filter(|waiting| seen.insert(waiting.recorded.event.id.as_str()));
        let denied = waiting.filter_map(|waiting| {
            self.outcome(waiting, book, &basis, now_ns, |id, signal, view| {
                risk::deny(id, signal, view, Rule::StaleReadModel, reason)
            })
        });
        denied.collect()
    }

    /// Decides one signal; its approval counts for those after it.
    fn judge(&self, waiting: &Waiting, book: &mut Book, basis: &[Basis], now_ns: i64) -> Option<Outcome> {
        let outside = || boundary::problem(self.mode, book, &waiting.recorded, now_ns);
        let problem = waiting.problem.clone().or_else(outside);
        let outcome = self.outcome(waiting, book, basis, now_ns, |id, signal, view| match &problem {
            Some(problem) => risk::deny(id, signal, view, Rule::InvalidSignal, problem),
            None => risk::decide(id, signal, view),
        });
        if let Some(Outcome::Decided(outgoing)) = &outcome
            && !planted::is(Bug::ReservationsIgnored)
        {
            book.foresee(&outgoing.event);
        }
        outcome
    }

    fn outcome(
        &self,
        waiting: &Waiting,
        book: &Book,
        basis: &[Basis],
        now_ns: i64,
        answer: impl FnOnce(&str, &Signal, &risk::RiskView) -> RiskDecision,
    ) -> Option<Outcome> {
        let recorded = &waiting.recorded;
        let Some(Body::Signal(signal)) = &recorded.event.body else { return None };
        let prices = self.pricing.prices();
        let account = &self.fallback_account;
        let signal_ns = recorded.event.event_time.as_ref().and_then(from_timestamp).unwrap_or(now_ns);
        // A price's age records the moment. Where no symbol has one, it is the signal's.
        let is_priced = signal.legs.iter().any(|leg| prices.get(&leg.symbol).is_some());
        let now_ns = if self.mode == ClockMode::Tape || is_priced { now_ns } else { signal_ns };
        let mut view = risk::view(book, prices, self.calendar, signal, now_ns, account);
        if planted::is(Bug::HaltIgnoredOnRestart) && self.started_behind > 0 {
            view.inputs.iter_mut().for_each(|input| input.halted = false);
        }
        if view.account.is_empty() {
            let reason =
                format!("strategy {:?} is not known and there is no account to deny it on", signal.strategy);
            return Some(Outcome::Park { signal: recorded.clone(), reason });
        }
        let decision = answer(&recorded.event.id, signal, &view);
        let decided_ns = decided_at(self.mode, signal, signal_ns, now_ns);
        outgoing(recorded, decision, decided_ns, basis).map(Outcome::Decided)
    }

    /// Of decisions on the signals up to `through`, on a snapshot of `checkpoint`.
    fn basis(&self, through: u64, checkpoint: u64) -> Vec<Basis> {
        let of = |stream: &str, sequence| Basis { stream: stream.to_owned(), sequence };
        let mut basis = vec![
            of(stream::MARKET, self.market_sequence()),
            of(stream::TRADING, through.max(checkpoint)),
            of(READ_MODEL_BASIS, checkpoint),
        ];
        if self.mode == ClockMode::Tape && self.tail.has_decision(through, checkpoint) {
            basis.push(of(ROUND_BASIS, through));
        }
        basis
    }
}

/// What a new high must never do.
fn forget_drawdowns(book: &mut Book) {
    let at_peak = |account: &&AccountState| {
        account.mark.as_ref().is_some_and(|mark| account.peak_equity.is_none_or(|peak| mark.equity >= peak))
    };
    let accounts: Vec<_> = book.accounts().filter(at_peak).map(|account| account.account.clone()).collect();
    for account in accounts {
        let kind = BreakerKind::Drawdown.into();
        let body = Body::BreakerReset(BreakerReset { account, kind, ..BreakerReset::default() });
        let event = Event { event_time: Some(to_timestamp(0)), body: Some(body), ..Event::default() };
        let _refused = book.apply(book.sequence() + 1, &event);
    }
}

/// Event time of the decision on `signal`, made at `now_ns`: the signal's. On the tape clock an order by hand belongs to
/// no instant and may have been asked for before the present one, whose prices it is decided on.
#[must_use]
pub fn decided_at(mode: ClockMode, signal: &Signal, signal_ns: i64, now_ns: i64) -> i64 {
    let by_hand = mode == ClockMode::Tape && signal.strategy == contracts::MANUAL;
    if by_hand { signal_ns.max(now_ns) } else { signal_ns }
}

fn outgoing(signal: &Recorded, decision: RiskDecision, decided_ns: i64, basis: &[Basis]) -> Option<Outgoing> {
    let cause = &signal.event;
    let correlation_id = if cause.correlation_id.is_empty() { &cause.id } else { &cause.correlation_id };
    let account = decision.account.clone();
    let event = Event {
        id: chain_id::decision(&cause.id),
        event_time: Some(to_timestamp(decided_ns)),
        source: SERVICE.to_owned(),
        correlation_id: correlation_id.clone(),
        causation_id: cause.id.clone(),
        basis: basis.to_vec(),
        body: Some(Body::RiskDecision(decision)),
        ..Event::default()
    };
    let subject = Subject::for_event(&event, None)?;
    Some(Outgoing { signal: signal.clone(), account, subject, event })
}

/// Place of a signal on the tape clock: by event time, strategy and the symbols of its legs. Several of
/// one strategy on one symbol keep the order of the tape.
fn order_key(recorded: &Recorded) -> (i64, String, Vec<String>, u64) {
    let event_ns = recorded.event.event_time.as_ref().and_then(from_timestamp).unwrap_or_default();
    match &recorded.event.body {
        Some(Body::Signal(signal)) => {
            let symbols = signal.legs.iter().map(|leg| leg.symbol.clone()).collect();
            (event_ns, signal.strategy.clone(), symbols, recorded.sequence)
        }
        _ => (event_ns, String::new(), Vec::new(), recorded.sequence),
    }
}
