//! What a tape must know before its first instant: accounts with limits and costs, their deposits, and
//! strategies. Configuration becomes events; what the tape says already is not said again.

use contracts::v1::event::Body;
use contracts::v1::{
    AccountConfigured, AccountEntry, EntryKind, Event, LimitsSet, StrategyEnabled, StrategyRegistered,
};
use contracts::{Subject, event_id, stream, to_timestamp};
use domain::money::Amount;
use event_log::{Append, Expect, Tape, last_of};
use runtime::command::registration;

use crate::config::{AccountConfig, Config, LimitsConfig, StrategyConfig, parse_mode};
use crate::exit::Failure;

/// Name under which the configuration speaks on the tape.
const ACTOR: &str = "config";

/// States accounts and strategies on the tape, at `event_time_ns` of market time.
pub async fn seed(tape: &Tape, config: &Config, event_time_ns: i64) -> Result<(), Failure> {
    for (name, account) in &config.account {
        configure_account(tape, name, account, event_time_ns).await?;
        deposit(tape, name, account, event_time_ns).await?;
    }
    for limits in &config.limits {
        limit(tape, limits, event_time_ns).await?;
    }
    for (field, limits) in config.limits_of_others() {
        let strategy = &limits.strategy;
        if registration(tape, strategy).await?.is_none() {
            tracing::warn!(%strategy, "{field}: it limits nothing until a strategy of that name is registered");
        }
    }
    for (name, strategy) in &config.strategy {
        register(tape, name, strategy, event_time_ns).await?;
    }
    Ok(())
}

async fn configure_account(
    tape: &Tape,
    name: &str,
    account: &AccountConfig,
    event_time_ns: i64,
) -> Result<(), Failure> {
    let subject = Subject::of(&["control", "account", name, "configured"]);
    let last = last_of(tape, stream::TRADING, subject.as_str()).await?;
    let present = last.event.as_ref().and_then(|last| match &last.event.body {
        Some(Body::AccountConfigured(present)) => Some(present),
        _ => None,
    });
    let (limits, costs) = (Some(account.limits()), Some(account.costs()));
    let kind = account.account_kind().unwrap_or_default();
    let same = |present: &&AccountConfigured| {
        present.limits == limits
            && present.costs == costs
            && present.kind() == kind
            && present.broker == account.broker
    };
    if present.filter(same).is_some() {
        return Ok(());
    }
    let version = present.map_or(0, |present| present.version) + 1;
    let body = Body::AccountConfigured(AccountConfigured {
        account: name.to_owned(),
        version,
        broker: account.broker.clone(),
        limits,
        costs,
        kind: kind.into(),
        actor: ACTOR.to_owned(),
        reason: "configuration file".to_owned(),
    });
    state(tape, subject, last.sequence, &format!("account/{name}/{version}"), event_time_ns, body).await
}

/// States the limits of a scope for which the tape has none from anybody else.
async fn limit(tape: &Tape, config: &LimitsConfig, event_time_ns: i64) -> Result<(), Failure> {
    let scope = config.scope().to_wire();
    let limits = config.limits().map_err(|error| Failure::config(format!("limits: {error}")))?;
    let subject = Subject::limits(&scope);
    let last = last_of(tape, stream::TRADING, subject.as_str()).await?;
    let present = last.event.as_ref().and_then(|last| match &last.event.body {
        Some(Body::LimitsSet(present)) => Some(present),
        _ => None,
    });
    // What an operator stated stands: a restart must not loosen it.
    if present.is_some_and(|present| present.actor != ACTOR || present.limits.as_ref() == Some(&limits)) {
        return Ok(());
    }
    let version = present.map_or(0, |present| present.version) + 1;
    let cause = format!("{subject}/{version}");
    let body = Body::LimitsSet(LimitsSet {
        scope: Some(scope),
        version,
        limits: Some(limits),
        actor: ACTOR.to_owned(),
        reason: "configuration file".to_owned(),
    });
    state(tape, subject, last.sequence, &cause, event_time_ns, body).await
}

async fn deposit(
    tape: &Tape,
    name: &str,
    account: &AccountConfig,
    event_time_ns: i64,
) -> Result<(), Failure> {
    let subject = Subject::of(&["account", name, "deposit"]);
    let last = last_of(tape, stream::TRADING, subject.as_str()).await?;
    if last.event.is_some() {
        return Ok(());
    }
    let body = Body::AccountEntry(AccountEntry {
        account: name.to_owned(),
        kind: EntryKind::Deposit.into(),
        amount: Amount(i128::from(account.cash.0)).to_wire(),
        ..AccountEntry::default()
    });
    state(tape, subject, last.sequence, &format!("deposit/{name}"), event_time_ns, body).await
}

async fn register(
    tape: &Tape,
    name: &str,
    strategy: &StrategyConfig,
    event_time_ns: i64,
) -> Result<(), Failure> {
    let subject = Subject::of(&["control", "strategy", name, "registered"]);
    let last = last_of(tape, stream::TRADING, subject.as_str()).await?;
    // All parameters, defaults included: the tape says what ran, whatever a later version's defaults are.
    let parameters = domain::strategy::resolve(&strategy.kind, &strategy.parameters())
        .map_err(|error| Failure::config(format!("strategy.{name}.params: {error}")))?;
    let wanted = StrategyRegistered {
        strategy: name.to_owned(),
        kind: strategy.kind.clone(),
        parameters,
        symbols: strategy.symbols.clone(),
        timeframe: strategy.timeframe.clone(),
        sizing: domain::sizing::parse(&strategy.sizing),
        account: strategy.account.clone(),
        group_policy: strategy.group_policy.wire().into(),
        actor: ACTOR.to_owned(),
        ..StrategyRegistered::default()
    };
    let present = last.event.as_ref().and_then(|last| last.event.body.as_ref());
    let cause = format!("strategy/{name}/{}", last.sequence);
    if present != Some(&Body::StrategyRegistered(wanted.clone())) {
        state(tape, subject, last.sequence, &cause, event_time_ns, Body::StrategyRegistered(wanted)).await?;
    }
    // Enabled once, when it is new: what an operator disabled stays disabled. The subject's own history
    // tells, so that a crash between the two events is mended by the next start.
    let Some(mode) = parse_mode(&strategy.mode) else { return Ok(()) };
    let [enabled, disabled] =
        ["enabled", "disabled"].map(|event| Subject::of(&["control", "strategy", name, event]));
    let last = last_of(tape, stream::TRADING, enabled.as_str()).await?;
    let disabled = last_of(tape, stream::TRADING, disabled.as_str()).await?;
    if last.event.is_some() || disabled.event.is_some() {
        return Ok(());
    }
    let body = Body::StrategyEnabled(StrategyEnabled {
        strategy: name.to_owned(),
        mode: mode.into(),
        actor: ACTOR.to_owned(),
    });
    state(tape, enabled, last.sequence, &format!("enable/{name}"), event_time_ns, body).await
}

/// Appends one statement behind the sequence `last`; when another process stated something meanwhile, that stands.
async fn state(
    tape: &Tape,
    subject: Subject,
    last: u64,
    cause: &str,
    event_time_ns: i64,
    body: Body,
) -> Result<(), Failure> {
    let expect = Expect::Last { filter: subject.as_str().to_owned(), sequence: last };
    let event = Event {
        id: event_id(cause, ACTOR, 0),
        event_time: Some(to_timestamp(event_time_ns)),
        source: ACTOR.to_owned(),
        body: Some(body),
        ..Event::default()
    };
    match tape.append(Append { subject, event, expect }).await {
        Ok(_) | Err(event_log::AppendError::Conflict { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
