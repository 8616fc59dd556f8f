//! Commands: what an operator may ask, as events with their audit.
//!
//! The command line and the web call the same functions. `key` makes a command idempotent: the same
//! actor, action and key give the same event id, so a double submit has one effect.

mod backtests;
pub mod filled;
mod live;
mod orders;
pub mod parked;
mod risk;
mod stopping;
mod strategies;

use contracts::v1::event::Body;
use contracts::v1::{
    Audit, Event, OrderCancelRequested, OrderSpec, ProjectionRequested, ProjectionTask, TradingHalted,
    TradingResumed,
};
use contracts::{Subject, event_id, stream_of, to_timestamp};
use event_log::{Append, AppendError, Expect, Last, LogError, Tape, last_of};

use crate::clock::now_ns;

pub use backtests::{BacktestError, cancel_backtest, request_backtest};
pub use live::{attachment, blocked, confirm_live, live_confirmation, revoke_live};
pub use orders::{
    Asked, NewOrder, NewTerms, OrderError, order_type_by_prices, order_words, place_order, replace_order,
};
pub use risk::{
    LimitsChange, LimitsError, Stop, change_limits, halt_scope, kill, limits_in_force, reset_breaker,
    resume_scope,
};
pub use stopping::{
    Leaving, fate_name, positions_fate, remove_strategy, replace_strategy, stop_strategy, switch_strategy,
};
pub use strategies::{
    NewStrategy, Registration, STRATEGY_NAME, StrategyError, account_terms, enable_strategy, first_mode,
    is_strategy_name, register_strategy, registered, registration, rotate_credentials, strategy_mode,
    was_registered,
};

/// Who asks, and the key that makes asking twice the same as asking once.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Name of the user, for example `cli`.
    pub actor: String,
    /// Idempotency key.
    pub key: String,
}

impl Caller {
    /// Id of this caller's request for something to be done with a read model.
    #[must_use]
    pub fn request_id(&self, task: ProjectionTask) -> Option<String> {
        Some(self.id(&format!("projection_{}", task.name()?)))
    }

    fn id(&self, action: &str) -> String {
        event_id(&format!("{}/{}", self.actor, self.key), action, 0)
    }
}

/// Stops new exposure on `account`, or on all when it is empty.
pub async fn halt(tape: &Tape, caller: &Caller, account: &str, reason: &str) -> Result<(), AppendError> {
    let body = Body::TradingHalted(TradingHalted {
        account: account.to_owned(),
        actor: caller.actor.clone(),
        reason: reason.to_owned(),
        ..TradingHalted::default()
    });
    control(tape, caller, "halt", account, reason, body).await
}

/// Ends a halt of `account`, or the halt of all when it is empty.
pub async fn resume(tape: &Tape, caller: &Caller, account: &str, reason: &str) -> Result<(), AppendError> {
    let body = Body::TradingResumed(TradingResumed {
        account: account.to_owned(),
        actor: caller.actor.clone(),
        reason: reason.to_owned(),
        ..TradingResumed::default()
    });
    control(tape, caller, "resume", account, reason, body).await
}

/// Asks whoever runs the projections to rebuild or verify a read model. Answers the id of the request, by
/// which its end on the tape (`ProjectionFinished`) is known.
pub async fn request_projection(
    tape: &Tape,
    caller: &Caller,
    projection: &str,
    task: ProjectionTask,
) -> Result<String, AppendError> {
    let word = task.name().ok_or_else(|| AppendError::Refused("a task that is not stated".to_owned()))?;
    let action = format!("projection_{word}");
    let body = Body::ProjectionRequested(ProjectionRequested {
        projection: projection.to_owned(),
        task: task.into(),
        actor: caller.actor.clone(),
    });
    control(tape, caller, &action, projection, "", body).await?;
    Ok(caller.id(&action))
}

/// Asks for an order to be cancelled.
///
/// The request joins the order's aggregate behind whatever is last there now; execution folds it and
/// asks the broker. Asking for an order that has ended meanwhile changes nothing, and neither does asking
/// while an earlier request waits for the broker's answer.
pub async fn cancel_order(
    tape: &Tape,
    caller: &Caller,
    order: &OrderSpec,
    reason: &str,
) -> Result<(), AppendError> {
    let body = Body::OrderCancelRequested(OrderCancelRequested {
        order_id: order.order_id.clone(),
        actor: caller.actor.clone(),
        reason: reason.to_owned(),
    });
    let event = event(caller, "order_cancel", body);
    let subject = Subject::order(order, "cancel_requested");
    let filter = Subject::order_filter(order);
    loop {
        let Last { sequence, event: last } = last_of(tape, contracts::stream::TRADING, &filter).await?;
        let waits = last.as_ref().and_then(|last| last.event.body.as_ref());
        if matches!(waits, Some(Body::OrderCancelRequested(_)))
            && last.as_ref().is_some_and(|last| last.event.id != event.id)
        {
            return Ok(());
        }
        let expect = Expect::Last { filter: filter.clone(), sequence };
        match tape.append(Append { subject: subject.clone(), event: event.clone(), expect }).await {
            Err(AppendError::Conflict { .. }) => {}
            other => {
                other?;
                break;
            }
        }
    }
    audit(tape, caller, "order_cancel", &order.order_id, reason).await
}

/// The accounts that were configured on this tape, by name.
pub async fn accounts(tape: &Tape) -> Result<Vec<String>, LogError> {
    third_tokens(tape, "control.account.*.configured").await
}

/// What stands in the third place of the subjects under a filter of TRADING, in their order.
async fn third_tokens(tape: &Tape, filter: &str) -> Result<Vec<String>, LogError> {
    let found = tape.subjects(contracts::stream::TRADING, filter).await?;
    let third = found.counts.iter().filter_map(|count| {
        let subject = Subject::parse(&count.subject).ok()?;
        subject.tokens().nth(2)
    });
    Ok(third.collect())
}

/// What is said of a key under which something else was asked before.
const KEY_USED: &str =
    "its Idempotency-Key was used for something else; nothing was changed; ask again under another key";

/// Appends a control event and its audit.
pub async fn control(
    tape: &Tape,
    caller: &Caller,
    action: &str,
    target: &str,
    detail: &str,
    body: Body,
) -> Result<(), AppendError> {
    let event = event(caller, action, body);
    let Some(subject) = Subject::for_event(&event, None) else {
        return Err(AppendError::Refused(format!("{action} is no control event")));
    };
    say_once(tape, subject, event).await?;
    audit(tape, caller, action, target, detail).await
}

/// Appends what a command says. Where the caller's key made an event before, that one has to say the same: whoever is
/// told that it is done must not be told so of another command.
async fn say_once(tape: &Tape, subject: Subject, event: Event) -> Result<(), AppendError> {
    let (stream, body) = (stream_of(subject.as_str()), event.body.clone());
    let appended = tape.append(Append { subject, event, expect: Expect::Nothing }).await?;
    let Some(stream) = stream.filter(|_| appended.duplicate) else { return Ok(()) };
    match tape.get(stream, appended.sequence).await? {
        Some(stored) if stored.event.body != body => Err(AppendError::Refused(KEY_USED.to_owned())),
        _ => Ok(()),
    }
}

fn event(caller: &Caller, action: &str, body: Body) -> Event {
    Event {
        id: caller.id(action),
        event_time: Some(to_timestamp(now_ns())),
        source: caller.actor.clone(),
        body: Some(body),
        ..Event::default()
    }
}

/// Records that somebody did something that is no event of its own.
pub async fn audit(
    tape: &Tape,
    caller: &Caller,
    action: &str,
    target: &str,
    detail: &str,
) -> Result<(), AppendError> {
    let body = Body::Audit(Audit {
        actor: caller.actor.clone(),
        action: action.to_owned(),
        target: target.to_owned(),
        detail: detail.to_owned(),
    });
    let event = event(caller, &format!("audit/{action}"), body);
    let subject = Subject::of(&["audit", &caller.actor, action]);
    tape.append(Append { subject, event, expect: Expect::Nothing }).await.map(|_| ())
}
