//! Signals from outside: what an external strategy must state before its signal is judged at all.
//!
//! A built-in strategy is this system's own code; an external one is anybody's. Its signal must have the id
//! that follows from its cause, so that a retry changes nothing, and the time of the instant at which it is
//! decided, so that a late one never trades. A signal without a cause is taken live only.
//!
//! Deliberately absent: whether the strategy may trade (`domain::risk`), and what can be told from subject and
//! body alone (`contracts::admit`).

use contracts::chain_id::SIGNALS_MAX;
use contracts::v1::event::Body;
use contracts::v1::{Event, Intent, Signal};
use contracts::{from_timestamp, signal_id};
use domain::book::Book;
use event_log::Recorded;
use runtime::{ClockMode, utc};

/// Most legs of a signal.
const LEGS_MAX: usize = 64;
/// Most by which a live signal's time may lie ahead of this machine's clock.
const AHEAD_MAX_NS: i64 = 5_000_000_000;
const NANOS_PER_MILLISECOND: i64 = 1_000_000;

/// Why a signal is parked that may have the id of another strategy's ([`contracts::chain_id::is_foreign`]): a decision
/// would stand under that id, and answer the other one too.
pub const FOREIGN_ID: &str = "field `id`: expected one that follows from the strategy and `causation_id`";

/// Why the signal of an external strategy cannot be judged; `None` when it can, or is a built-in one's.
pub(crate) fn problem(mode: ClockMode, book: &Book, recorded: &Recorded, now_ns: i64) -> Option<String> {
    let Some(Body::Signal(signal)) = &recorded.event.body else { return None };
    if !book.strategy(&signal.strategy).is_some_and(domain::book::StrategyState::is_external) {
        return None;
    }
    let event = &recorded.event;
    let checks = [legs(recorded, signal), id(event, signal), time(mode, book, event, signal, now_ns)];
    checks.into_iter().flatten().next()
}

/// The same for the signal of an external strategy on a tape clock whose present instant is `now_ns`, where no book
/// is at hand.
#[must_use]
pub fn problem_at_instant(recorded: &Recorded, now_ns: i64) -> Option<String> {
    let Some(Body::Signal(signal)) = &recorded.event.body else { return None };
    let event = &recorded.event;
    let time_ns = event.event_time.as_ref().and_then(from_timestamp);
    let late = || time_ns.and_then(|time_ns| at_instant(time_ns, now_ns));
    legs(recorded, signal).or_else(|| id(event, signal)).or_else(late)
}

fn at_instant(time_ns: i64, now_ns: i64) -> Option<String> {
    let (stated, now) = (utc(time_ns), utc(now_ns));
    (time_ns != now_ns).then(|| format!("field `event_time`: {stated}, expected {now}, the present instant"))
}

fn legs(recorded: &Recorded, signal: &Signal) -> Option<String> {
    if signal.legs.len() > LEGS_MAX {
        return Some(format!("field `legs`: {} legs, expected at most {LEGS_MAX}", signal.legs.len()));
    }
    let symbol = &signal.legs.first()?.symbol;
    let stated = contracts::Subject::parse(&recorded.subject).ok()?.tokens().nth(2).unwrap_or_default();
    (*symbol != stated)
        .then(|| format!("field `legs[0].symbol`: {symbol:?}, expected {stated:?} as in the subject"))
}

fn id(event: &Event, signal: &Signal) -> Option<String> {
    let cause = &event.causation_id;
    if cause.is_empty() {
        return None;
    }
    let mut ids = (0..SIGNALS_MAX).map(|index| signal_id(&signal.strategy, cause, index));
    if ids.any(|id| id == event.id) {
        return None;
    }
    let first = signal_id(&signal.strategy, cause, 0);
    Some(format!("field `id`: {:?}, expected {first:?} for the first signal of {cause}", event.id))
}

fn time(mode: ClockMode, book: &Book, event: &Event, signal: &Signal, now_ns: i64) -> Option<String> {
    let time_ns = event.event_time.as_ref().and_then(from_timestamp)?;
    let expected = |words: String| Some(format!("field `event_time`: {}, expected {words}", utc(time_ns)));
    if mode == ClockMode::Tape {
        return at_instant(time_ns, now_ns);
    }
    if time_ns > now_ns.saturating_add(AHEAD_MAX_NS) {
        return expected(format!("at most {}", utc(now_ns)));
    }
    let account = book.strategy(&signal.strategy).and_then(|strategy| book.account(&strategy.account));
    let limits = account.and_then(|account| account.config.as_ref()).and_then(|config| config.limits);
    let age_max_ns = limits?.max_price_age_ms.saturating_mul(NANOS_PER_MILLISECOND);
    let opens = signal.legs.iter().any(|leg| leg.intent() != Intent::Exit);
    let oldest_ns = now_ns.saturating_sub(age_max_ns);
    // What reduces stays possible however late it is.
    if opens && time_ns < oldest_ns { expected(format!("{} or later", utc(oldest_ns))) } else { None }
}
