//! Commands on external strategies: registering, removing, handing over.
//!
//! The order of steps makes each of them safe to repeat: what a strategy needs on the server is there before
//! the tape says that it is registered, and goes after the tape says that it is removed.

use contracts::Subject;
use contracts::stream::TRADING;
use contracts::v1::event::Body;
use contracts::v1::{
    Event, GroupPolicy, Sizing, StrategyDisabled, StrategyEnabled, StrategyMode, StrategyRegistered,
    StrategyRemoved,
};
use event_log::{Append, AppendError, Expect, LogError, Tape, covers, is_well_formed};

use super::{Caller, audit, control, event, live_confirmation, third_tokens};
use crate::external::{AccessError, Credentials, ExternalStrategy, NEWS, StrategyAccess};

/// Longest name, in bytes. A longer one names nothing: it is not asked for, because a subject of any length would
/// cost the connection.
const NAME_BYTES_MAX: usize = 40;
/// What the subjects of MARKET begin with.
const BARS: &str = "market.";
/// Attempts at a hand-over that another command was faster than.
const ATTEMPTS_MAX: usize = 5;

/// What is to be registered.
#[derive(Clone, Debug, PartialEq)]
pub struct NewStrategy {
    /// Name: 1 to 40 lowercase letters, digits and `_`.
    pub name: String,
    /// Subjects of MARKET that it reads, and of REFERENCE the articles; wildcards included.
    pub subjects: Vec<String>,
    /// Account it trades on.
    pub account: String,
    /// How its entries are sized.
    pub sizing: Sizing,
    /// What becomes of the orders of a signal that states no policy of its own when one of them fails.
    pub group_policy: GroupPolicy,
}

/// A strategy as the tape knows it now.
#[derive(Clone, Debug, PartialEq)]
pub struct Registration {
    /// Its registration.
    pub registered: StrategyRegistered,
    /// Its mode while it is enabled.
    pub enabled: Option<StrategyMode>,
}

impl Registration {
    /// Whether it runs in a process of its own.
    #[must_use]
    pub fn is_external(&self) -> bool {
        !self.registered.consumer.is_empty()
    }

    fn external(&self) -> ExternalStrategy {
        ExternalStrategy {
            name: self.registered.strategy.clone(),
            account: self.registered.account.clone(),
            subjects: self.registered.subjects.clone(),
        }
    }
}

/// Why a command on a strategy was refused.
#[derive(Debug, thiserror::Error)]
pub enum StrategyError {
    /// A value is wrong.
    #[error("{field} {value:?}: expected {expected}")]
    Invalid {
        /// Field.
        field: &'static str,
        /// Value found.
        value: String,
        /// What was expected.
        expected: String,
    },
    /// There is no such strategy.
    #[error("no strategy {0:?} on this tape")]
    Unknown(String),
    /// The name is taken.
    #[error("strategy {0:?} is registered already; remove it first, or choose another name")]
    Exists(String),
    /// Only external strategies are removed; a built-in one is disabled.
    #[error("strategy {0:?} is built in: disable it instead")]
    BuiltIn(String),
    /// Only a strategy that is enabled can be replaced.
    #[error("strategy {0:?} is not enabled: there is nothing to hand over")]
    NotEnabled(String),
    /// Only external strategies have credentials.
    #[error("strategy {0:?} is built in: it has no credentials")]
    NoCredentials(String),
    /// A switch is to a strategy that has run beside the old one.
    #[error("strategy {0:?} is not enabled in shadow mode: expected one that has run beside the old one")]
    NotBeside(String),
    /// Money takes somebody's word.
    #[error(
        "strategy {strategy:?}: mode \"live\": expected account {account:?} to be confirmed for trading with money: \
         tapedeck live confirm {account} --reason TEXT"
    )]
    NotConfirmed {
        /// The strategy.
        strategy: String,
        /// Its account.
        account: String,
    },
    /// The server did not do what was asked of it.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The event could not be stored.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The tape could not be read.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// The mode that a strategy is enabled in, by its name.
pub fn strategy_mode(text: &str) -> Result<StrategyMode, StrategyError> {
    match text {
        "shadow" => Ok(StrategyMode::Shadow),
        "paper" => Ok(StrategyMode::Paper),
        "live" => Ok(StrategyMode::Live),
        _ => Err(wrong_mode(text, "shadow, paper or live")),
    }
}

/// The mode that a strategy is enabled in when it is registered. Money takes a command of its own.
pub fn first_mode(text: &str) -> Result<StrategyMode, StrategyError> {
    match strategy_mode(text)? {
        StrategyMode::Live => Err(wrong_mode(text, "shadow or paper; live once it is registered")),
        mode => Ok(mode),
    }
}

fn wrong_mode(text: &str, expected: &str) -> StrategyError {
    let value = text.chars().take(40).collect();
    StrategyError::Invalid { field: "mode", value, expected: expected.to_owned() }
}

/// Lets a strategy's signals take effect. `live`, which alone opens positions on an account that trades with money, needs
/// the confirmation of its account.
pub async fn enable_strategy(
    tape: &Tape,
    caller: &Caller,
    strategy: &str,
    mode: StrategyMode,
) -> Result<(), StrategyError> {
    if mode == StrategyMode::Live {
        let known = registration(tape, strategy).await?;
        let known = known.ok_or_else(|| StrategyError::Unknown(strategy.to_owned()))?;
        let account = known.registered.account;
        if live_confirmation(tape, &account).await?.is_none() {
            return Err(StrategyError::NotConfirmed { strategy: strategy.to_owned(), account });
        }
    }
    let body = Body::StrategyEnabled(StrategyEnabled {
        strategy: strategy.to_owned(),
        mode: mode.into(),
        actor: caller.actor.clone(),
    });
    control(tape, caller, "strategy_enable", strategy, mode.name(), body).await?;
    Ok(())
}

/// The strategy `name` as the tape knows it now; `None` when it is not registered.
pub async fn registration(tape: &Tape, name: &str) -> Result<Option<Registration>, LogError> {
    if name.len() > NAME_BYTES_MAX {
        return Ok(None);
    }
    let last = async |event: &str| {
        let subject = Subject::of(&["control", "strategy", name, event]);
        tape.last(TRADING, subject.as_str()).await
    };
    let Some(registered) = last("registered").await? else { return Ok(None) };
    let removed = last("removed").await?.map_or(0, |removed| removed.sequence);
    if removed > registered.sequence {
        return Ok(None);
    }
    let Some(Body::StrategyRegistered(body)) = registered.event.body else { return Ok(None) };
    let disabled = last("disabled").await?.map_or(0, |disabled| disabled.sequence);
    let enabled = last("enabled").await?.filter(|enabled| enabled.sequence > disabled.max(removed));
    let enabled = enabled.and_then(|enabled| match enabled.event.body {
        Some(Body::StrategyEnabled(body)) => Some(body.mode()),
        _ => None,
    });
    Ok(Some(Registration { registered: body, enabled }))
}

/// The strategies that are registered now, by name.
pub async fn registered(tape: &Tape) -> Result<Vec<String>, LogError> {
    let mut names = Vec::new();
    for name in third_tokens(tape, "control.strategy.*.registered").await? {
        if registration(tape, &name).await?.is_some() {
            names.push(name);
        }
    }
    Ok(names)
}

/// Registers an external strategy: its consumers, its user, then the event. It starts disabled.
pub async fn register_strategy(
    tape: &Tape,
    access: &dyn StrategyAccess,
    caller: &Caller,
    new: &NewStrategy,
) -> Result<(ExternalStrategy, Credentials), StrategyError> {
    check(tape, new).await?;
    if registration(tape, &new.name).await?.is_some() {
        return Err(StrategyError::Exists(new.name.clone()));
    }
    let NewStrategy { name, subjects, account, sizing, group_policy } = new.clone();
    let external = ExternalStrategy { name, account, subjects };
    access.ensure_consumers(&external).await?;
    let credentials = access.grant(&external).await?;
    let body = Body::StrategyRegistered(StrategyRegistered {
        strategy: external.name.clone(),
        sizing: Some(sizing),
        account: external.account.clone(),
        actor: caller.actor.clone(),
        subjects: external.subjects.clone(),
        consumer: external.consumer(),
        group_policy: group_policy.into(),
        ..StrategyRegistered::default()
    });
    control(tape, caller, "strategy_register", &external.name, &external.subjects.join(","), body).await?;
    Ok((external, credentials))
}

/// Ends the registration of an external strategy, then removes its user and consumers. History and positions
/// stay. Removing it again finishes what an interrupted command began.
pub async fn remove_strategy(
    tape: &Tape,
    access: &dyn StrategyAccess,
    caller: &Caller,
    name: &str,
    reason: &str,
) -> Result<(), StrategyError> {
    match registration(tape, name).await? {
        Some(known) if !known.is_external() => return Err(StrategyError::BuiltIn(name.to_owned())),
        Some(_) => {
            let body = Body::StrategyRemoved(StrategyRemoved {
                strategy: name.to_owned(),
                actor: caller.actor.clone(),
                reason: reason.to_owned(),
            });
            control(tape, caller, "strategy_remove", name, reason, body).await?;
        }
        None => {
            let subject = Subject::of(&["control", "strategy", name, "removed"]);
            if name.len() > NAME_BYTES_MAX || tape.last(TRADING, subject.as_str()).await?.is_none() {
                return Err(StrategyError::Unknown(name.to_owned()));
            }
        }
    }
    Ok(access.revoke(name).await?)
}

/// Gives an external strategy a new password; the old one is worth nothing from then on, and whoever is connected by
/// it is disconnected. The audit says who did it; the password is told once.
pub async fn rotate_credentials(
    tape: &Tape,
    access: &dyn StrategyAccess,
    caller: &Caller,
    name: &str,
) -> Result<(ExternalStrategy, Credentials), StrategyError> {
    let known = registration(tape, name).await?.ok_or_else(|| StrategyError::Unknown(name.to_owned()))?;
    if !known.is_external() {
        return Err(StrategyError::NoCredentials(name.to_owned()));
    }
    let external = known.external();
    access.ensure_consumers(&external).await?;
    let credentials = access.grant(&external).await?;
    audit(tape, caller, "strategy_rotate", name, "").await?;
    Ok((external, credentials))
}

/// Hands over from a strategy to its next version, which has run in shadow mode beside it.
pub async fn switch_strategy(
    tape: &Tape,
    access: &dyn StrategyAccess,
    caller: &Caller,
    old: &str,
    new: &str,
    reason: &str,
) -> Result<Registration, StrategyError> {
    let after = registration(tape, new).await?.ok_or_else(|| StrategyError::Unknown(new.to_owned()))?;
    if after.enabled != Some(StrategyMode::Shadow) {
        return Err(StrategyError::NotBeside(new.to_owned()));
    }
    replace_strategy(tape, access, caller, old, new, reason).await
}

/// Hands over from one strategy to another at one position of the tape: `old` is disabled and `new` enabled,
/// with the account and mode of the old one. Positions of the old one stay in its name.
pub async fn replace_strategy(
    tape: &Tape,
    access: &dyn StrategyAccess,
    caller: &Caller,
    old: &str,
    new: &str,
    reason: &str,
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
        let moved = after.registered.account != before.registered.account;
        after.registered.account.clone_from(&before.registered.account);
        after.enabled = Some(mode);
        if moved && after.is_external() {
            // It waits for the marks of the account that it trades on.
            access.ensure_consumers(&after.external()).await?;
        }
        let batch = hand_over(caller, old, &after, mode, moved, sequences, reason);
        match tape.append_batch(batch).await {
            Err(AppendError::Conflict { .. }) if attempt < ATTEMPTS_MAX => {}
            outcome => {
                outcome?;
                let detail = format!("with {new}; {reason}");
                audit(tape, caller, "strategy_replace", old, detail.trim_end_matches("; ")).await?;
                return Ok(after);
            }
        }
    }
    Err(StrategyError::Unknown(new.to_owned()))
}

/// The events of a hand-over, in order; each strategy's controls must be as they were read.
fn hand_over(
    caller: &Caller,
    old: &str,
    after: &Registration,
    mode: StrategyMode,
    moved: bool,
    [old_sequence, new_sequence]: [u64; 2],
    reason: &str,
) -> Vec<Append> {
    let new = &after.registered.strategy;
    let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    let disabled = Body::StrategyDisabled(StrategyDisabled {
        strategy: old.to_owned(),
        actor: caller.actor.clone(),
        reason: format!("replaced by {new}{because}"),
        ..StrategyDisabled::default()
    });
    let enabled = Body::StrategyEnabled(StrategyEnabled {
        strategy: new.clone(),
        mode: mode.into(),
        actor: caller.actor.clone(),
    });
    let registered = StrategyRegistered { actor: caller.actor.clone(), ..after.registered.clone() };
    let mut bodies = vec![("strategy_replace/disable", old, disabled)];
    if moved {
        bodies.push(("strategy_replace/register", new, Body::StrategyRegistered(registered)));
    }
    bodies.push(("strategy_replace/enable", new, enabled));
    let mut expected = vec![(old, old_sequence), (new.as_str(), new_sequence)];
    let append = |(action, name, body): (&str, &str, Body)| {
        let event: Event = event(caller, action, body);
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

fn controls(name: &str) -> String {
    format!("control.strategy.{}.>", contracts::escape(name))
}

async fn last_control(tape: &Tape, name: &str) -> Result<u64, LogError> {
    tape.last_sequence(TRADING, &controls(name)).await
}

/// What the name of a strategy must be, in words.
pub const STRATEGY_NAME: &str = "1 to 40 lowercase letters, digits and _, and not `manual`";

/// Whether a strategy can have this name. Orders by hand have one of their own.
#[must_use]
pub fn is_strategy_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && name != contracts::MANUAL
}

async fn check(tape: &Tape, new: &NewStrategy) -> Result<(), StrategyError> {
    let invalid = |field: &'static str, value: &str, expected: &str| {
        Err(StrategyError::Invalid { field, value: value.to_owned(), expected: expected.to_owned() })
    };
    if !is_strategy_name(&new.name) {
        return invalid("name", &new.name, STRATEGY_NAME);
    }
    if new.subjects.is_empty() {
        return invalid("subjects", "", "at least one, for example market.bar.1h.SPY");
    }
    for (place, subject) in new.subjects.iter().enumerate() {
        if !is_well_formed(subject) || ![BARS, NEWS].iter().any(|begin| subject.starts_with(begin)) {
            return invalid(
                "subjects",
                subject,
                "subjects that begin with `market.` or `news.`, for example market.bar.1h.SPY",
            );
        }
        let overlaps = |other: &String| covers(subject, other) || covers(other, subject);
        if new.subjects[..place].iter().any(overlaps) {
            return invalid("subjects", subject, "subjects of which none covers another");
        }
    }
    // A consumer without filters would be given everything.
    if !new.subjects.iter().any(|subject| subject.starts_with(BARS)) {
        let given = new.subjects.join(", ");
        return invalid(
            "subjects",
            &given,
            "at least one that begins with `market.`: signals are about bars",
        );
    }
    let configured = Subject::of(&["control", "account", &new.account, "configured"]);
    if new.account.len() > NAME_BYTES_MAX || tape.last(TRADING, configured.as_str()).await?.is_none() {
        return invalid("account", &new.account, "an account of this tape");
    }
    Ok(())
}
