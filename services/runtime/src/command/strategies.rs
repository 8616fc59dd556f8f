//! Commands on strategies: registering, enabling, new passwords; how they stop is [`super::stopping`]'s.
//!
//! The order of steps makes each of them safe to repeat: what a strategy needs on the server is there before
//! the tape says that it is registered, and goes after the tape says that it is removed.

use contracts::Subject;
use contracts::stream::TRADING;
use contracts::v1::event::Body;
use contracts::v1::{
    AccountConfigured, GroupPolicy, PositionsFate, Sizing, StrategyEnabled, StrategyMode, StrategyRegistered,
};
use event_log::{AppendError, LogError, Tape, covers, is_well_formed, last_of};

use super::stopping::{Leaving, shadow_strategy};
use super::{Caller, audit, control, fate_name, live_confirmation, third_tokens};
use crate::external::{AccessError, Credentials, ExternalStrategy, NEWS, StrategyAccess};

/// Longest name, in bytes. A longer one names nothing: it is not asked for, because a subject of any length would
/// cost the connection.
pub(super) const NAME_BYTES_MAX: usize = 40;
/// What the subjects of MARKET begin with.
const BARS: &str = "market.";

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

    pub(super) fn external(&self) -> ExternalStrategy {
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
    /// Nobody has said what becomes of what it holds.
    #[error(
        "positions \"\": expected keep, flatten or hand_over, because strategy {strategy:?} holds {holds}"
    )]
    Holds {
        /// The strategy.
        strategy: String,
        /// What it holds, in words.
        holds: String,
    },
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
/// the confirmation of its account. In `shadow` mode it manages nothing: of what it holds `leaving` says what becomes. In
/// every other mode it goes on with what it holds, and nothing else may be said of it.
pub async fn enable_strategy(
    tape: &Tape,
    caller: &Caller,
    strategy: &str,
    mode: StrategyMode,
    leaving: &Leaving,
) -> Result<(), StrategyError> {
    if mode == StrategyMode::Shadow {
        return shadow_strategy(tape, caller, strategy, leaving).await;
    }
    if leaving.positions != PositionsFate::Unspecified || !leaving.hand_over_to.is_empty() {
        let value = fate_name(leaving.positions).to_owned();
        let expected = format!("nothing, or mode shadow: in mode {} it manages what it holds", mode.name());
        return Err(StrategyError::Invalid { field: "positions", value, expected });
    }
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
        Ok::<_, LogError>(last_of(tape, TRADING, subject.as_str()).await?.event)
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

/// An account's limits, costs and kind as they were stated last; `None` where they never were.
pub async fn account_terms(tape: &Tape, account: &str) -> Result<Option<AccountConfigured>, LogError> {
    if !(1..=NAME_BYTES_MAX).contains(&account.len()) {
        return Ok(None);
    }
    let subject = Subject::of(&["control", "account", account, "configured"]);
    let last = last_of(tape, TRADING, subject.as_str()).await?.event;
    Ok(last.and_then(|last| match last.event.body {
        Some(Body::AccountConfigured(body)) => Some(body),
        _ => None,
    }))
}

/// The last registration under `name`, also where it has ended; `None` where there never was one.
pub(super) async fn last_registered(tape: &Tape, name: &str) -> Result<Option<StrategyRegistered>, LogError> {
    if name.len() > NAME_BYTES_MAX {
        return Ok(None);
    }
    let subject = Subject::of(&["control", "strategy", name, "registered"]);
    let last = last_of(tape, TRADING, subject.as_str()).await?.event;
    Ok(last.and_then(|last| match last.event.body {
        Some(Body::StrategyRegistered(body)) => Some(body),
        _ => None,
    }))
}

/// Whether `name` is registered, or was once.
pub async fn was_registered(tape: &Tape, name: &str) -> Result<bool, LogError> {
    Ok(last_registered(tape, name).await?.is_some())
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
    let known = new.account.len() <= NAME_BYTES_MAX
        && last_of(tape, TRADING, configured.as_str()).await?.event.is_some();
    if !known {
        return invalid("account", &new.account, "an account of this tape");
    }
    Ok(())
}
