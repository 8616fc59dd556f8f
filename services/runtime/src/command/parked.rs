//! What becomes of a parked message: it is handled again after a fix, or dismissed with a reason.
//!
//! Every consumer has gone past a parked message, and streams have one order. So handling it again means
//! publishing its event again, under its own id, at the end of its stream, where it has a place in every
//! consumer's order (`docs/decisions/0007-replaying-parked-messages.md`). What may not take effect late is
//! refused with the reason; a bar comes back as history, which warms up and never trades. Who may not write market
//! data has `ingest` publish it ([`serve`]); everything else of a replay is the same.
//!
//! Deliberately absent: reading the read models; the caller says what they know.

mod market;

use contracts::v1::event::Body;
use contracts::v1::{Event, Intent, Origin, ParkedResolved, RiskLimits, Signal};
use contracts::{Subject, event_id, from_timestamp, stream, to_timestamp};
use event_log::{Append, AppendError, Expect, LogError, STORED_MAX, Tape, last_of};

use super::{Caller, audit};
use crate::clock::now_ns;

pub use market::serve;

/// Longest reason, in characters.
pub const REASON_MAX: usize = 500;
/// Answers of [`STORED_MAX`] messages each that are searched for an earlier attempt.
const SEARCHES_MAX: usize = 50;
/// What the name of a projection's parking begins with.
const PROJECTION: &str = "projection-";

/// A parked message, as the read model knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Ids of all parked events that set this message aside: several services may have.
    pub ids: Vec<String>,
    /// Services that set it aside.
    pub services: Vec<String>,
    /// Sequence of one of those parked events on PARKED.
    pub parked_at: u64,
    /// Stream it stands on.
    pub stream: String,
    /// Its sequence there.
    pub sequence: u64,
    /// Its subject.
    pub subject: String,
    /// The payload as it was.
    pub payload: Vec<u8>,
}

/// Who publishes market data again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarketWriter {
    /// The caller, who may: the owner of the tape.
    Caller,
    /// `ingest`, which is asked: nobody else among the services writes market data.
    Ingest,
}

/// Why a parked message was left as it is.
#[derive(Debug, thiserror::Error)]
pub enum ParkedError {
    /// The reason is missing or too long.
    #[error("reason: {0} characters, expected 1 to {REASON_MAX}")]
    Reason(usize),
    /// The program as it is now cannot read it either.
    #[error("it still cannot be read: {0}")]
    Unreadable(String),
    /// It may not take effect late.
    #[error("it is not replayed: {0}")]
    Refused(String),
    /// Nobody who writes market data answered.
    #[error(
        "`ingest`, which writes market data, did not answer within {} s; start it and ask again, or run \
         `tapedeck parked replay`",
        market::ANSWERED_WITHIN.as_secs()
    )]
    Unanswered,
    /// The tape could not be read or did not take the event.
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl From<LogError> for ParkedError {
    fn from(error: LogError) -> Self {
        Self::Append(error.into())
    }
}

fn refused(why: impl Into<String>) -> ParkedError {
    ParkedError::Refused(why.into())
}

/// Publishes the message's event again and resolves it. `answered` says that risk has decided the signal
/// with this event id already. Answers the new sequence. Doing it twice has one effect.
pub async fn replay<F>(
    tape: &Tape,
    caller: &Caller,
    writer: MarketWriter,
    message: &Message,
    answered: impl FnOnce(String) -> F + Send,
) -> Result<u64, ParkedError>
where
    F: Future<Output = Result<bool, LogError>> + Send,
{
    let event = admitted(message)?;
    let sequence = match earlier_attempt(tape, message, &event.id).await? {
        Some(sequence) => sequence,
        None if matches!(event.body, Some(Body::Signal(_))) && answered(event.id.clone()).await? => {
            return Err(refused("risk has decided this signal already"));
        }
        None => {
            let event = timely(tape, message, event).await?;
            match writer {
                MarketWriter::Ingest if message.stream == stream::MARKET => {
                    market::ask(tape, message).await?
                }
                _ => publish(tape, message, event).await?,
            }
        }
    };
    let detail = format!("published again as {} {sequence}", message.stream);
    resolve(tape, caller, message, "replayed", &detail).await?;
    Ok(sequence)
}

/// Resolves the message without handling it.
pub async fn dismiss(
    tape: &Tape,
    caller: &Caller,
    message: &Message,
    reason: &str,
) -> Result<(), ParkedError> {
    let length = reason.trim().chars().count();
    if length == 0 || length > REASON_MAX {
        return Err(ParkedError::Reason(length));
    }
    Ok(resolve(tape, caller, message, "dismissed", reason.trim()).await?)
}

async fn resolve(
    tape: &Tape,
    caller: &Caller,
    message: &Message,
    resolution: &str,
    reason: &str,
) -> Result<(), AppendError> {
    for parked_id in &message.ids {
        let body = Body::ParkedResolved(ParkedResolved {
            parked_id: parked_id.clone(),
            resolution: resolution.to_owned(),
            actor: caller.actor.clone(),
            reason: reason.to_owned(),
        });
        let event = Event {
            // A message is resolved once: the second word, whosever, changes nothing.
            id: event_id(parked_id, "resolved", 0),
            event_time: Some(to_timestamp(now_ns())),
            source: caller.actor.clone(),
            correlation_id: parked_id.clone(),
            causation_id: parked_id.clone(),
            body: Some(body),
            ..Event::default()
        };
        let subject = Subject::of(&["parked", "resolved"]);
        tape.append(Append { subject, event, expect: Expect::Nothing }).await?;
    }
    let action = if resolution == "replayed" { "parked_replay" } else { "parked_dismiss" };
    let target = format!("{} {}", message.stream, message.sequence);
    // One key used for two messages is two commands.
    let caller = Caller { key: format!("{target}/{}", caller.key), ..caller.clone() };
    audit(tape, &caller, action, &target, reason).await
}

/// The message's event, where it is one that may be published again under its subject.
fn admitted(message: &Message) -> Result<Event, ParkedError> {
    let event =
        contracts::decode(&message.payload).map_err(|error| ParkedError::Unreadable(error.to_string()))?;
    check_who(message)?;
    check_kind(message, &event)?;
    // What nobody reads as an event would be parked again.
    contracts::admit(&message.subject, &event).map_err(|error| ParkedError::Unreadable(error.to_string()))?;
    Ok(event)
}

/// What a projection alone could not fold, everyone else has handled: it is folded at its own place.
fn check_who(message: &Message) -> Result<(), ParkedError> {
    let projections: Vec<&str> =
        message.services.iter().filter_map(|service| service.strip_prefix(PROJECTION)).collect();
    if projections.is_empty() || projections.len() < message.services.len() {
        return Ok(());
    }
    let commands: Vec<String> =
        projections.iter().map(|name| format!("tapedeck projection rebuild {name}")).collect();
    Err(refused(format!(
        "the services have handled it, only the read model has not; after the fix run `{}`, which folds it \
         at its own place, then dismiss it",
        commands.join("`, `")
    )))
}

/// Whether events of this kind may be published again at all, under this subject.
fn check_kind(message: &Message, event: &Event) -> Result<(), ParkedError> {
    let kind = message.subject.split('.').next().unwrap_or_default();
    if matches!(kind, "order" | "fill" | "risk" | "account") {
        return Err(refused(format!(
            "{kind} events are decided on what came before them, and later ones were decided without this \
             one; what is wrong is corrected by a new event"
        )));
    }
    let proper = Subject::for_event(event, None);
    if proper.as_ref().map(Subject::as_str) == Some(message.subject.as_str()) {
        return Ok(());
    }
    let expected = proper.map_or_else(|| "none".to_owned(), |subject| subject.to_string());
    Err(refused(format!("subject {:?}, expected {expected:?} by its content", message.subject)))
}

/// The event as it may be published now.
async fn timely(tape: &Tape, message: &Message, event: Event) -> Result<Event, ParkedError> {
    match &event.body {
        Some(Body::Signal(signal)) => {
            fresh(tape, signal, &event).await?;
            Ok(event)
        }
        Some(
            Body::AccountConfigured(_)
            | Body::TradingHalted(_)
            | Body::TradingResumed(_)
            | Body::StrategyRegistered(_)
            | Body::StrategyEnabled(_)
            | Body::StrategyDisabled(_),
        ) => {
            newest(tape, message).await?;
            Ok(event)
        }
        Some(Body::Bar(_) | Body::BarRevision(_) | Body::CorporateAction(_) | Body::QualityFinding(_)) => {
            Ok(as_history(event))
        }
        Some(Body::SessionChange(_)) => Err(refused("a session opens and closes at its own time only")),
        _ => Err(refused("nothing follows from events of its type; dismiss it")),
    }
}

/// What the market did, as something that became known late: it warms up and never trades, and belongs to
/// no instant that anyone waits for.
fn as_history(mut event: Event) -> Event {
    event.instant = None;
    match &mut event.body {
        Some(Body::Bar(bar)) => bar.set_origin(Origin::Backfill),
        Some(Body::BarRevision(revision)) => {
            if let Some(bar) = &mut revision.bar {
                bar.set_origin(Origin::Backfill);
            }
        }
        Some(Body::CorporateAction(action)) => action.set_origin(Origin::Backfill),
        _ => {}
    }
    event
}

/// A signal may open exposure only while the price it was made on may still be used; one that only
/// reduces is always welcome.
async fn fresh(tape: &Tape, signal: &Signal, event: &Event) -> Result<(), ParkedError> {
    if !signal.legs.is_empty() && signal.legs.iter().all(|leg| leg.intent() == Intent::Exit) {
        return Ok(());
    }
    let strategy = &signal.strategy;
    let registered = Subject::of(&["control", "strategy", strategy, "registered"]);
    let registered = last_of(tape, stream::TRADING, registered.as_str()).await?.event;
    let Some(Body::StrategyRegistered(registered)) = registered.and_then(|found| found.event.body) else {
        return Err(refused(format!("strategy {strategy:?} is not registered")));
    };
    let account = &registered.account;
    let limits = limits(tape, account).await?;
    let limits = limits.ok_or_else(|| refused(format!("account {account:?} has no limits")))?;
    let marked = Subject::of(&["account", account, "marked"]);
    let marked = last_of(tape, stream::TRADING, marked.as_str()).await?.event;
    let now = marked.and_then(|mark| mark.event.event_time.as_ref().and_then(from_timestamp));
    let at = event.event_time.as_ref().and_then(from_timestamp);
    let (Some(now), Some(at)) = (now, at) else {
        return Err(refused("field `event_time`: missing, or the account was never marked"));
    };
    let age_ms = now.saturating_sub(at) / 1_000_000;
    let most = limits.max_price_age_ms;
    if age_ms < 0 || age_ms > most {
        return Err(refused(format!(
            "the signal is {age_ms} ms old in market time, expected 0 to {most} ms (max_price_age of account \
             {account}): the market has moved on"
        )));
    }
    Ok(())
}

async fn limits(tape: &Tape, account: &str) -> Result<Option<RiskLimits>, LogError> {
    let configured = Subject::of(&["control", "account", account, "configured"]);
    let configured = last_of(tape, stream::TRADING, configured.as_str()).await?.event;
    Ok(match configured.and_then(|found| found.event.body) {
        Some(Body::AccountConfigured(configured)) => configured.limits,
        _ => None,
    })
}

/// A command may take effect late only while nothing newer was commanded of the same thing.
async fn newest(tape: &Tape, message: &Message) -> Result<(), ParkedError> {
    let tokens: Vec<&str> = message.subject.split('.').collect();
    let filter = match tokens[..] {
        ["control", "trading", ..] => "control.trading.>".to_owned(),
        ["control", kind, name, ..] => format!("control.{kind}.{name}.>"),
        _ => return Err(refused(format!("subject {:?}, expected a control event's", message.subject))),
    };
    let newer = tape.stored_before(stream::TRADING, &filter, u64::MAX, 1).await?;
    match newer.first().filter(|newer| newer.sequence > message.sequence) {
        Some(newer) => Err(refused(format!(
            "it was followed by {} (TRADING {}); give the command again if it is still meant",
            newer.subject, newer.sequence
        ))),
        None => Ok(()),
    }
}

/// The sequence at which an earlier attempt published the event.
async fn earlier_attempt(tape: &Tape, message: &Message, id: &str) -> Result<Option<u64>, LogError> {
    let mut from = message.sequence + 1;
    for _ in 0..SEARCHES_MAX {
        let found = tape.stored_from(&message.stream, &message.subject, from, STORED_MAX).await?;
        let Some(last) = found.last() else { return Ok(None) };
        from = last.sequence + 1;
        let same = |event: Event| event.id == id;
        if let Some(stored) = found.iter().find(|stored| stored.decode().is_ok_and(same)) {
            return Ok(Some(stored.sequence));
        }
    }
    Ok(None)
}

async fn publish(tape: &Tape, message: &Message, event: Event) -> Result<u64, ParkedError> {
    let subject = Subject::parse(&message.subject).map_err(|error| refused(error.to_string()))?;
    let appended = tape.append(Append { subject, event, expect: Expect::Nothing }).await?;
    if appended.duplicate && appended.sequence <= message.sequence {
        return Err(refused(
            "the stream still remembers its id from the first time (10 minutes); try again then",
        ));
    }
    Ok(appended.sequence)
}
