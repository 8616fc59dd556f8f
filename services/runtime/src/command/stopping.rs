//! Stopping a strategy, and what becomes of what it holds.

use contracts::MANUAL;
use contracts::v1::event::Body;
use contracts::v1::{PositionsFate, StrategyDisabled, StrategyMode};
use event_log::Tape;

use super::{Caller, StrategyError, control, registration};

/// Longest value that is told back, in characters.
const VALUE_CHARS_MAX: usize = 40;

/// What becomes of the positions of a strategy that is stopped, by its name.
pub fn positions_fate(text: &str) -> Option<PositionsFate> {
    Some(match text {
        "keep" => PositionsFate::Keep,
        "flatten" => PositionsFate::Flatten,
        "hand_over" | "hand-over" => PositionsFate::HandOver,
        _ => return None,
    })
}

/// Stops a strategy and says what becomes of its positions; `hand_over_to` names who takes them over: `manual`, or an
/// enabled strategy of the same account.
pub async fn stop_strategy(
    tape: &Tape,
    caller: &Caller,
    strategy: &str,
    reason: &str,
    positions: PositionsFate,
    hand_over_to: &str,
) -> Result<(), StrategyError> {
    if positions == PositionsFate::HandOver {
        check_heir(tape, strategy, hand_over_to).await?;
    } else if !hand_over_to.is_empty() {
        let value = hand_over_to.chars().take(VALUE_CHARS_MAX).collect();
        let expected = "none, or positions hand_over beside it".to_owned();
        return Err(StrategyError::Invalid { field: "hand_over_to", value, expected });
    }
    let body = Body::StrategyDisabled(StrategyDisabled {
        strategy: strategy.to_owned(),
        actor: caller.actor.clone(),
        reason: reason.to_owned(),
        positions: positions.into(),
        hand_over_to: hand_over_to.to_owned(),
    });
    let fate = positions.as_str_name().trim_start_matches("POSITIONS_FATE_").to_ascii_lowercase();
    control(tape, caller, "strategy_disable", strategy, &format!("positions: {fate}; {reason}"), body)
        .await?;
    Ok(())
}

/// Refuses to hand over to somebody who would never manage the positions: signals of a strategy that is disabled or in
/// shadow mode become no orders, and those of one on another account close nothing here.
async fn check_heir(tape: &Tape, strategy: &str, heir: &str) -> Result<(), StrategyError> {
    if heir == MANUAL {
        return Ok(());
    }
    let refused = |expected: String| {
        let value = heir.chars().take(VALUE_CHARS_MAX).collect();
        Err(StrategyError::Invalid { field: "hand_over_to", value, expected })
    };
    if heir.is_empty() || heir == strategy {
        return refused("another strategy that is enabled, or manual".to_owned());
    }
    let unknown = |name: &str| StrategyError::Unknown(name.to_owned());
    let old = registration(tape, strategy).await?.ok_or_else(|| unknown(strategy))?;
    let new = registration(tape, heir).await?.ok_or_else(|| unknown(heir))?;
    if !matches!(new.enabled, Some(StrategyMode::Paper | StrategyMode::Live)) {
        let state = new.enabled.map_or("disabled", StrategyMode::name);
        return refused(format!(
            "a strategy enabled in mode paper or live, which manages what it takes over, or manual; it is {state}"
        ));
    }
    let account = &old.registered.account;
    if new.registered.account != *account {
        let other = &new.registered.account;
        return refused(format!(
            "a strategy that trades on account {account}, or manual; it trades on {other}"
        ));
    }
    Ok(())
}
