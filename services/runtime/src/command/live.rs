//! Trading with money: somebody's word for it, taken back, and what the tape says of both.

use contracts::Subject;
use contracts::stream::TRADING;
use contracts::v1::event::Body;
use contracts::v1::{BrokerAttached, LiveTradingConfirmed, LiveTradingRevoked};
use event_log::{AppendError, LogError, Tape, last_of};

use super::{Caller, control};

/// States that `account` may trade with money.
pub async fn confirm_live(
    tape: &Tape,
    caller: &Caller,
    account: &str,
    reason: &str,
) -> Result<(), AppendError> {
    let body = Body::LiveTradingConfirmed(LiveTradingConfirmed {
        account: account.to_owned(),
        actor: caller.actor.clone(),
        reason: reason.to_owned(),
    });
    control(tape, caller, "live_confirm", account, reason, body).await
}

/// Takes the word back that `account` may trade with money.
pub async fn revoke_live(
    tape: &Tape,
    caller: &Caller,
    account: &str,
    reason: &str,
) -> Result<(), AppendError> {
    let body = Body::LiveTradingRevoked(LiveTradingRevoked {
        account: account.to_owned(),
        actor: caller.actor.clone(),
        reason: reason.to_owned(),
    });
    control(tape, caller, "live_revoke", account, reason, body).await
}

/// The confirmation of `account` that stands; `None` when there is none or it was taken back.
pub async fn live_confirmation(tape: &Tape, account: &str) -> Result<Option<LiveTradingConfirmed>, LogError> {
    let last = async |event: &str| {
        let subject = Subject::of(&["control", "account", account, event]);
        Ok::<_, LogError>(last_of(tape, TRADING, subject.as_str()).await?.event)
    };
    let Some(confirmed) = last("live_confirmed").await? else { return Ok(None) };
    let revoked = last("live_revoked").await?.map_or(0, |revoked| revoked.sequence);
    Ok(match confirmed.event.body {
        Some(Body::LiveTradingConfirmed(body)) if revoked < confirmed.sequence => Some(body),
        _ => None,
    })
}

/// Why `account` takes no orders at its broker, as execution said last; `None` where it takes them or nothing was said.
pub async fn blocked(tape: &Tape, account: &str) -> Result<Option<String>, LogError> {
    let attached = attachment(tape, account).await?;
    Ok(attached.map(|attached| attached.blocked).filter(|why| !why.is_empty()))
}

/// Through which broker `account` was traded last; `None` when execution never said.
pub async fn attachment(tape: &Tape, account: &str) -> Result<Option<BrokerAttached>, LogError> {
    let subject = Subject::of(&["account", account, "attached"]);
    let last = last_of(tape, TRADING, subject.as_str()).await?.event;
    Ok(last.and_then(|last| match last.event.body {
        Some(Body::BrokerAttached(body)) => Some(body),
        _ => None,
    }))
}
