//! Commands on risk: limits by scope, stops, the kill switch, breakers.
//!
//! Limits are stated whole: a change is read off the last statement of the scope, and expects it to be the last,
//! so that two changes at the same time never lose one of them.

use std::fmt;

use contracts::Subject;
use contracts::stream::TRADING;
use contracts::v1::event::Body;
use contracts::v1::{
    BreakerKind, BreakerReset, LimitScope, LimitsSet, TradeLimits, TradingHalted, TradingKilled,
    TradingResumed, TradingState,
};
use event_log::{Append, AppendError, Expect, Last, LogError, Tape, last_of};
use serde::Serialize;

use super::{Caller, KEY_USED, audit, control, event};

/// Attempts at a change that another one was faster than.
const ATTEMPTS_MAX: usize = 5;

/// Why limits were not stated.
#[derive(Debug, thiserror::Error)]
pub enum LimitsError {
    /// A value is wrong.
    #[error("{field} = {value}: expected {expected}")]
    Invalid {
        /// The limit.
        field: String,
        /// Value found.
        value: String,
        /// What was expected.
        expected: String,
    },
    /// The event could not be stored.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The tape could not be read.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// What a change of limits came to.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitsChange {
    /// The last statement of the scope now; of version 0 where there never was one.
    pub set: LimitsSet,
    /// Whether the change made it. One that changes nothing makes no statement.
    pub is_new: bool,
}

/// What is stopped, and why. In words it is what is stopped: `paper`, `strategy sma_cross on all accounts`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Stop {
    /// Account; empty for all.
    pub account: String,
    /// Strategy, or `manual` for what is traded by hand; empty for all.
    pub strategy: String,
    /// For the audit.
    pub reason: String,
}

impl fmt::Display for Stop {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.strategy.is_empty() {
            write!(formatter, "strategy {} on ", self.strategy)?;
        }
        formatter.write_str(if self.account.is_empty() { "all accounts" } else { &self.account })
    }
}

impl Stop {
    fn target(&self) -> &str {
        if self.strategy.is_empty() { &self.account } else { &self.strategy }
    }
}

/// Changes the limits of a scope: `change` is given those that are stated, and may refuse. Limits that are empty end the
/// scope's; a change that leaves them as they are puts nothing on the tape.
pub async fn change_limits(
    tape: &Tape,
    caller: &Caller,
    scope: &LimitScope,
    reason: &str,
    change: impl Fn(&mut TradeLimits) -> Result<(), LimitsError>,
) -> Result<LimitsChange, LimitsError> {
    let subject = Subject::limits(scope);
    let action = format!("limits/{subject}");
    let mut attempt = 1;
    loop {
        let Last { sequence, event: last } = last_of(tape, TRADING, subject.as_str()).await?;
        let present = last.and_then(|last| match last.event.body {
            Some(Body::LimitsSet(set)) if last.event.id != caller.id(&action) => Some(Ok(set)),
            // The same command again: it is done.
            Some(Body::LimitsSet(set)) => Some(Err(set)),
            _ => None,
        });
        let present = match present {
            Some(Err(set)) => return stated_before(set, &change),
            Some(Ok(present)) => Some(present),
            None => None,
        };
        let stated = present.as_ref().and_then(|present| present.limits.clone()).unwrap_or_default();
        let mut limits = stated.clone();
        change(&mut limits)?;
        let never = || LimitsSet { scope: Some(scope.clone()), ..LimitsSet::default() };
        if limits == stated {
            return Ok(LimitsChange { set: present.unwrap_or_else(never), is_new: false });
        }
        let set = LimitsSet {
            scope: Some(scope.clone()),
            version: present.as_ref().map_or(0, |present| present.version) + 1,
            limits: Some(limits),
            actor: caller.actor.clone(),
            reason: reason.to_owned(),
        };
        let event = event(caller, &action, Body::LimitsSet(set.clone()));
        let expect = Expect::Last { filter: subject.as_str().to_owned(), sequence };
        match tape.append(Append { subject: subject.clone(), event, expect }).await {
            Err(AppendError::Conflict { .. }) if attempt < ATTEMPTS_MAX => attempt += 1,
            Err(error) => return Err(error.into()),
            // Done long before, and stated otherwise since.
            Ok(appended) if appended.duplicate && appended.sequence <= sequence => {
                return Ok(LimitsChange { set: present.unwrap_or_else(never), is_new: false });
            }
            Ok(_) => {
                audit(tape, caller, "limits_set", subject.as_str(), reason).await?;
                return Ok(LimitsChange { set, is_new: true });
            }
        }
    }
}

/// What a command came to whose event is the last statement: it is done if it would change nothing of that; else its key
/// was used for another change.
fn stated_before(
    set: LimitsSet,
    change: impl Fn(&mut TradeLimits) -> Result<(), LimitsError>,
) -> Result<LimitsChange, LimitsError> {
    let stated = set.limits.clone().unwrap_or_default();
    let mut limits = stated.clone();
    change(&mut limits)?;
    if limits == stated {
        Ok(LimitsChange { set, is_new: true })
    } else {
        Err(AppendError::Refused(KEY_USED.to_owned()).into())
    }
}

/// The limits by scope in force of `account`, which may be none, and of `strategies`: the last statement of each scope that
/// names no other account or strategy.
pub async fn limits_in_force(
    tape: &Tape,
    account: &str,
    strategies: &[&str],
) -> Result<Vec<LimitsSet>, LogError> {
    let found = tape.subjects(TRADING, "control.limits.*.*.*").await?;
    let mut sets = Vec::new();
    for subject in found.counts.iter().filter_map(|count| Subject::parse(&count.subject).ok()) {
        let mut names = subject.tokens().skip(2);
        let (of, strategy) = (names.next().unwrap_or_default(), names.next().unwrap_or_default());
        let is_theirs = strategy.is_empty() || strategies.contains(&strategy.as_str());
        if !(of.is_empty() || of == account) || !is_theirs {
            continue;
        }
        let last = last_of(tape, TRADING, subject.as_str()).await?.event;
        let Some(Body::LimitsSet(set)) = last.and_then(|last| last.event.body) else { continue };
        if set.limits.as_ref().is_some_and(|limits| *limits != TradeLimits::default()) {
            sets.push(set);
        }
    }
    Ok(sets)
}

/// Stops new exposure in a scope, or with [`TradingState::Halted`] every order of strategies.
pub async fn halt_scope(
    tape: &Tape,
    caller: &Caller,
    stop: &Stop,
    state: TradingState,
) -> Result<(), AppendError> {
    let body = Body::TradingHalted(TradingHalted {
        account: stop.account.clone(),
        actor: caller.actor.clone(),
        reason: stop.reason.clone(),
        strategy: stop.strategy.clone(),
        state: state.into(),
    });
    control(tape, caller, "halt", stop.target(), &stop.reason, body).await
}

/// Ends a stop, and the kill switch of exactly this scope.
pub async fn resume_scope(tape: &Tape, caller: &Caller, stop: &Stop) -> Result<(), AppendError> {
    let body = Body::TradingResumed(TradingResumed {
        account: stop.account.clone(),
        actor: caller.actor.clone(),
        reason: stop.reason.clone(),
        strategy: stop.strategy.clone(),
    });
    control(tape, caller, "resume", stop.target(), &stop.reason, body).await
}

/// Pulls the kill switch: everything open in the scope is cancelled and nothing new opened; with `flatten` every
/// position is closed, too.
pub async fn kill(tape: &Tape, caller: &Caller, stop: &Stop, flatten: bool) -> Result<(), AppendError> {
    let body = Body::TradingKilled(TradingKilled {
        account: stop.account.clone(),
        strategy: stop.strategy.clone(),
        flatten,
        actor: caller.actor.clone(),
        reason: stop.reason.clone(),
    });
    control(tape, caller, "kill", stop.target(), &stop.reason, body).await
}

/// Ends a breaker of an account, or of a strategy on it, and begins to measure anew; all of them when no kind is
/// named.
pub async fn reset_breaker(
    tape: &Tape,
    caller: &Caller,
    stop: &Stop,
    kind: BreakerKind,
) -> Result<(), AppendError> {
    let body = Body::BreakerReset(BreakerReset {
        account: stop.account.clone(),
        strategy: stop.strategy.clone(),
        kind: kind.into(),
        actor: caller.actor.clone(),
        reason: stop.reason.clone(),
    });
    control(tape, caller, "breaker_reset", stop.target(), &stop.reason, body).await
}
