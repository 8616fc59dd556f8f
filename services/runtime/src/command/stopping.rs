//! Stopping a strategy for a while, for good, or for its next version; and what becomes of what it holds.
//!
//! Nothing is left behind without a word: whoever stops, removes or replaces a strategy that holds something, or has it
//! signal in shadow mode only, has to say what becomes of it, and the tape has it in the stop itself. Deliberately absent: what it holds, which the read model
//! knows ([`Leaving::holds`]).

use contracts::stream::TRADING;
use contracts::v1::event::Body;
use contracts::v1::{
    PositionsFate, StrategyDisabled, StrategyEnabled, StrategyMode, StrategyRegistered, StrategyRemoved,
};
use contracts::{MANUAL, Subject};
use event_log::{Append, AppendError, Expect, LogError, Tape, last_of};

use super::strategies::{NAME_BYTES_MAX, last_registered};
use super::{Caller, Registration, StrategyError, audit, control, event, registration};
use crate::external::StrategyAccess;

/// Longest value that is told back, in characters.
const VALUE_CHARS_MAX: usize = 40;
/// Attempts at a removal or a hand-over that another command was faster than.
const ATTEMPTS_MAX: usize = 5;

/// What becomes of the positions of a strategy that is stopped, by its name.
pub fn positions_fate(text: &str) -> Option<PositionsFate> {
    Some(match text {
        "keep" => PositionsFate::Keep,
        "flatten" => PositionsFate::Flatten,
        "hand_over" | "hand-over" => PositionsFate::HandOver,
        _ => return None,
    })
}

/// The name that [`positions_fate`] reads; `unspecified` where nobody has said what becomes of them.
#[must_use]
pub const fn fate_name(positions: PositionsFate) -> &'static str {
    match positions {
        PositionsFate::Unspecified => "unspecified",
        PositionsFate::Keep => "keep",
        PositionsFate::Flatten => "flatten",
        PositionsFate::HandOver => "hand_over",
    }
}

/// What a strategy that goes leaves behind, and what becomes of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leaving {
    /// What it holds, in words; empty where that is nothing, or where what was said of it before is under way.
    pub holds: String,
    /// What becomes of it; unspecified where nobody has said.
    pub positions: PositionsFate,
    /// Who takes it over when a strategy is removed: `manual`, or an enabled strategy of the same account. Of one that
    /// is replaced it is always the next one.
    pub hand_over_to: String,
}

impl Leaving {
    /// Refuses to leave behind what nobody has said anything of.
    fn must_be_stated(&self, strategy: &str) -> Result<(), StrategyError> {
        if self.positions == PositionsFate::Unspecified && !self.holds.is_empty() {
            let (strategy, holds) = (strategy.to_owned(), self.holds.clone());
            return Err(StrategyError::Holds { strategy, holds });
        }
        Ok(())
    }

    /// Refuses a hand-over to a next version that would never manage what it takes over.
    fn check_successor(&self, old: &str, new: &str, mode: StrategyMode) -> Result<(), StrategyError> {
        let manages = matches!(mode, StrategyMode::Paper | StrategyMode::Live);
        if self.positions == PositionsFate::HandOver && !manages {
            let mode = mode.name();
            return Err(StrategyError::Invalid {
                field: "positions",
                value: fate_name(self.positions).to_owned(),
                expected: format!("keep or flatten, because {new} is enabled in mode {mode} as {old} was"),
            });
        }
        self.must_be_stated(old)
    }

    /// For the audit: what becomes of the positions where anybody said it, and why.
    fn detail(&self, reason: &str) -> String {
        match self.positions {
            PositionsFate::Unspecified => reason.to_owned(),
            stated if reason.is_empty() => format!("positions: {}", fate_name(stated)),
            stated => format!("positions: {}; {reason}", fate_name(stated)),
        }
    }
}

/// Stops a strategy; of what it holds `leaving` says what becomes. One that is removed and still holds something is told
/// so as any other.
pub async fn stop_strategy(
    tape: &Tape,
    caller: &Caller,
    strategy: &str,
    reason: &str,
    leaving: &Leaving,
) -> Result<(), StrategyError> {
    leaving.must_be_stated(strategy)?;
    check_heir(tape, strategy, leaving.positions, &leaving.hand_over_to).await?;
    let body = Body::StrategyDisabled(disabled(caller, strategy, reason.to_owned(), leaving));
    control(tape, caller, "strategy_disable", strategy, &leaving.detail(reason), body).await?;
    Ok(())
}

/// Enables a strategy in shadow mode, in which it manages nothing. What becomes of what it holds is stated in a stop of
/// the same batch.
pub(super) async fn shadow_strategy(
    tape: &Tape,
    caller: &Caller,
    strategy: &str,
    leaving: &Leaving,
) -> Result<(), StrategyError> {
    leaving.must_be_stated(strategy)?;
    check_heir(tape, strategy, leaving.positions, &leaving.hand_over_to).await?;
    let mode = StrategyMode::Shadow;
    let mut bodies = Vec::new();
    if leaving.positions != PositionsFate::Unspecified {
        let stop = disabled(caller, strategy, format!("enabled in mode {}", mode.name()), leaving);
        bodies.push(("strategy_enable/disable", Body::StrategyDisabled(stop)));
    }
    let enabled =
        StrategyEnabled { strategy: strategy.to_owned(), mode: mode.into(), actor: caller.actor.clone() };
    bodies.push(("strategy_enable", Body::StrategyEnabled(enabled)));
    for attempt in 1.. {
        let sequence = last_control(tape, strategy).await?;
        match tape.append_batch(in_order(caller, strategy, bodies.clone(), sequence)).await {
            Err(AppendError::Conflict { .. }) if attempt < ATTEMPTS_MAX => {}
            outcome => {
                outcome?;
                break;
            }
        }
    }
    audit(tape, caller, "strategy_enable", strategy, &leaving.detail(mode.name())).await?;
    Ok(())
}

/// A stop that says what becomes of what the strategy holds.
fn disabled(caller: &Caller, strategy: &str, reason: String, leaving: &Leaving) -> StrategyDisabled {
    StrategyDisabled {
        strategy: strategy.to_owned(),
        actor: caller.actor.clone(),
        reason,
        positions: leaving.positions.into(),
        hand_over_to: leaving.hand_over_to.clone(),
    }
}

/// Refuses to hand over to somebody who would never manage the positions: signals of a strategy that is disabled or in
/// shadow mode become no orders, and those of one on another account close nothing here. Without a hand-over nobody may
/// be named.
async fn check_heir(
    tape: &Tape,
    strategy: &str,
    positions: PositionsFate,
    heir: &str,
) -> Result<(), StrategyError> {
    let refused = |expected: String| {
        let value = heir.chars().take(VALUE_CHARS_MAX).collect();
        Err(StrategyError::Invalid { field: "hand_over_to", value, expected })
    };
    if positions != PositionsFate::HandOver {
        let expected = "none, or positions hand_over beside it".to_owned();
        return if heir.is_empty() { Ok(()) } else { refused(expected) };
    }
    if heir == MANUAL {
        return Ok(());
    }
    if heir.is_empty() || heir == strategy {
        return refused("another strategy that is enabled, or manual".to_owned());
    }
    let unknown = |name: &str| StrategyError::Unknown(name.to_owned());
    let old = last_registered(tape, strategy).await?.ok_or_else(|| unknown(strategy))?;
    let new = registration(tape, heir).await?.ok_or_else(|| unknown(heir))?;
    if !matches!(new.enabled, Some(StrategyMode::Paper | StrategyMode::Live)) {
        let state = new.enabled.map_or("disabled", StrategyMode::name);
        return refused(format!(
            "a strategy enabled in mode paper or live, which manages what it takes over, or manual; it is {state}"
        ));
    }
    let account = &old.account;
    if new.registered.account != *account {
        let other = &new.registered.account;
        return refused(format!(
            "a strategy that trades on account {account}, or manual; it trades on {other}"
        ));
    }
    Ok(())
}

/// Ends the registration of an external strategy, then removes its user and consumers. Its history stays; of what it
/// holds `leaving` says what becomes. Removing it again finishes what an interrupted command began.
pub async fn remove_strategy(
    tape: &Tape,
    access: &dyn StrategyAccess,
    caller: &Caller,
    name: &str,
    reason: &str,
    leaving: &Leaving,
) -> Result<(), StrategyError> {
    if name.len() > NAME_BYTES_MAX {
        return Err(StrategyError::Unknown(name.to_owned()));
    }
    for attempt in 1.. {
        let sequence = last_control(tape, name).await?;
        let known = registration(tape, name).await?;
        match &known {
            Some(known) if !known.is_external() => return Err(StrategyError::BuiltIn(name.to_owned())),
            Some(_) => leaving.must_be_stated(name)?,
            None => {
                let removed = Subject::of(&["control", "strategy", name, "removed"]);
                if last_of(tape, TRADING, removed.as_str()).await?.event.is_none() {
                    return Err(StrategyError::Unknown(name.to_owned()));
                }
            }
        }
        check_heir(tape, name, leaving.positions, &leaving.hand_over_to).await?;
        let batch = removal(caller, name, reason, leaving, known.is_some(), sequence);
        if batch.is_empty() {
            break;
        }
        match tape.append_batch(batch).await {
            Err(AppendError::Conflict { .. }) if attempt < ATTEMPTS_MAX => {}
            outcome => {
                outcome?;
                audit(tape, caller, "strategy_remove", name, &leaving.detail(reason)).await?;
                break;
            }
        }
    }
    Ok(access.revoke(name).await?)
}

/// The events of a removal: what becomes of what it holds, where that is stated, and the end of a registration that
/// there still is. Its controls must be as they were read.
fn removal(
    caller: &Caller,
    name: &str,
    reason: &str,
    leaving: &Leaving,
    is_registered: bool,
    sequence: u64,
) -> Vec<Append> {
    let mut bodies = Vec::new();
    if leaving.positions != PositionsFate::Unspecified {
        let stop = disabled(caller, name, because("removed", reason), leaving);
        bodies.push(("strategy_remove/disable", Body::StrategyDisabled(stop)));
    }
    if is_registered {
        let removed = StrategyRemoved {
            strategy: name.to_owned(),
            actor: caller.actor.clone(),
            reason: reason.to_owned(),
        };
        bodies.push(("strategy_remove", Body::StrategyRemoved(removed)));
    }
    in_order(caller, name, bodies, sequence)
}

/// Controls of one strategy, one after the other behind `sequence`, the last of them that was read.
fn in_order(caller: &Caller, name: &str, bodies: Vec<(&str, Body)>, sequence: u64) -> Vec<Append> {
    let mut expect = Expect::Last { filter: controls(name), sequence };
    let append = |(action, body): (&str, Body)| {
        let event = event(caller, action, body);
        let subject = Subject::for_event(&event, None)?;
        Some(Append { subject, event, expect: std::mem::replace(&mut expect, Expect::Nothing) })
    };
    bodies.into_iter().filter_map(append).collect()
}

/// Hands over from a strategy to its next version, which has run in shadow mode beside it.
pub async fn switch_strategy(
    tape: &Tape,
    access: &dyn StrategyAccess,
    caller: &Caller,
    old: &str,
    new: &str,
    reason: &str,
    leaving: &Leaving,
) -> Result<Registration, StrategyError> {
    let after = registration(tape, new).await?.ok_or_else(|| StrategyError::Unknown(new.to_owned()))?;
    if after.enabled != Some(StrategyMode::Shadow) {
        return Err(StrategyError::NotBeside(new.to_owned()));
    }
    replace_strategy(tape, access, caller, old, new, reason, leaving).await
}

/// Hands over from one strategy to another at one position of the tape: `old` is disabled and `new` enabled,
/// with the account and mode of the old one. What becomes of what the old one holds is stated with it.
pub async fn replace_strategy(
    tape: &Tape,
    access: &dyn StrategyAccess,
    caller: &Caller,
    old: &str,
    new: &str,
    reason: &str,
    leaving: &Leaving,
) -> Result<Registration, StrategyError> {
    if old == new {
        let expected = "another strategy".to_owned();
        return Err(StrategyError::Invalid { field: "with", value: new.to_owned(), expected });
    }
    if let Some(long) = [old, new].into_iter().find(|name| name.len() > NAME_BYTES_MAX) {
        return Err(StrategyError::Unknown(long.to_owned()));
    }
    for attempt in 1.. {
        let sequences = [last_control(tape, old).await?, last_control(tape, new).await?];
        let unknown = |name: &str| StrategyError::Unknown(name.to_owned());
        let before = registration(tape, old).await?.ok_or_else(|| unknown(old))?;
        let mut after = registration(tape, new).await?.ok_or_else(|| unknown(new))?;
        let mode = before.enabled.ok_or_else(|| StrategyError::NotEnabled(old.to_owned()))?;
        leaving.check_successor(old, new, mode)?;
        let moved = after.registered.account != before.registered.account;
        check_free(&after, mode, moved)?;
        after.registered.account.clone_from(&before.registered.account);
        after.enabled = Some(mode);
        if moved && after.is_external() {
            // It waits for the marks of the account that it trades on.
            access.ensure_consumers(&after.external()).await?;
        }
        let disabled = StrategyDisabled {
            strategy: old.to_owned(),
            actor: caller.actor.clone(),
            reason: because(&format!("replaced by {new}"), reason),
            positions: leaving.positions.into(),
            hand_over_to: match leaving.positions {
                PositionsFate::HandOver => new.to_owned(),
                _ => String::new(),
            },
        };
        match tape.append_batch(hand_over(caller, disabled, &after, mode, moved, sequences)).await {
            Err(AppendError::Conflict { .. }) if attempt < ATTEMPTS_MAX => {}
            outcome => {
                outcome?;
                let detail = format!("with {new}; {}", leaving.detail(reason));
                audit(tape, caller, "strategy_replace", old, detail.trim_end_matches("; ")).await?;
                return Ok(after);
            }
        }
    }
    Err(StrategyError::Unknown(new.to_owned()))
}

/// Refuses a successor that trades and would stop doing so, in shadow mode or on another account: nobody would have said
/// what becomes of what it holds.
fn check_free(new: &Registration, mode: StrategyMode, moves: bool) -> Result<(), StrategyError> {
    let trades = matches!(new.enabled, Some(StrategyMode::Paper | StrategyMode::Live));
    let stops = mode == StrategyMode::Shadow || moves;
    if !(trades && stops) {
        return Ok(());
    }
    let account = &new.registered.account;
    let expected = format!(
        "a strategy that does not trade itself, because it would take over account and mode ({}); this one trades on \
         {account}: disable it first, and say what becomes of what it holds",
        mode.name()
    );
    Err(StrategyError::Invalid { field: "with", value: new.registered.strategy.clone(), expected })
}

/// The events of a hand-over, in order; each strategy's controls must be as they were read.
fn hand_over(
    caller: &Caller,
    disabled: StrategyDisabled,
    after: &Registration,
    mode: StrategyMode,
    moved: bool,
    [old_sequence, new_sequence]: [u64; 2],
) -> Vec<Append> {
    let (old, new) = (disabled.strategy.clone(), &after.registered.strategy);
    let enabled = Body::StrategyEnabled(StrategyEnabled {
        strategy: new.clone(),
        mode: mode.into(),
        actor: caller.actor.clone(),
    });
    let registered = StrategyRegistered { actor: caller.actor.clone(), ..after.registered.clone() };
    let mut bodies = vec![("strategy_replace/disable", old.as_str(), Body::StrategyDisabled(disabled))];
    if moved {
        bodies.push(("strategy_replace/register", new, Body::StrategyRegistered(registered)));
    }
    bodies.push(("strategy_replace/enable", new, enabled));
    let mut expected = vec![(old.as_str(), old_sequence), (new.as_str(), new_sequence)];
    let append = |(action, name, body): (&str, &str, Body)| {
        let event = event(caller, action, body);
        let subject = Subject::for_event(&event, None)?;
        let place = expected.iter().position(|(known, _)| *known == name);
        let expect = place.map_or(Expect::Nothing, |place| {
            let (name, sequence) = expected.remove(place);
            Expect::Last { filter: controls(name), sequence }
        });
        Some(Append { subject, event, expect })
    };
    bodies.into_iter().filter_map(append).collect()
}

/// `what: reason`, or `what` alone where no reason is given.
fn because(what: &str, reason: &str) -> String {
    if reason.is_empty() { what.to_owned() } else { format!("{what}: {reason}") }
}

fn controls(name: &str) -> String {
    format!("control.strategy.{}.>", contracts::escape(name))
}

async fn last_control(tape: &Tape, name: &str) -> Result<u64, LogError> {
    tape.last_sequence(TRADING, &controls(name)).await
}
