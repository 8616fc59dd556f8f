//! What a fork changes at its beginning, as events: a strategy's parameters, an account's limits.
//!
//! The events stand on the fork's own tape alone. A registration with other parameters warms the strategy up anew.

use std::collections::BTreeSet;

use contracts::v1::event::Body;
use contracts::v1::{AccountConfigured, Event, LimitsSet, Parameter, StrategyRegistered};
use contracts::{event_id, to_timestamp};
use domain::book::{Book, Scope};
use domain::limits;
use domain::risk::fields;
use domain::strategy;

/// Name under which a fork speaks on its own tape.
const ACTOR: &str = "fork";

/// A change that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {value:?}: expected {expected}")]
pub struct ChangeError {
    /// Option.
    pub field: &'static str,
    /// Its value.
    pub value: String,
    /// What was expected.
    pub expected: String,
}

/// The events of changed parameters (`STRATEGY.NAME=VALUE`) and limits (`ACCOUNT.NAME=VALUE`) as of `book`.
pub fn changes(
    book: &Book,
    at_ns: i64,
    parameters: &[String],
    limits: &[String],
) -> Result<Vec<Event>, ChangeError> {
    once("--param", parameters)?;
    once("--limit", limits)?;
    let mut bodies: Vec<Body> = Vec::new();
    for text in parameters {
        parameter(book, text, &mut bodies)?;
    }
    for text in limits {
        limit(book, text, &mut bodies)?;
    }
    let event = |(index, body): (u32, Body)| Event {
        id: event_id(&format!("{ACTOR}@{}", book.sequence()), "fork/change", index),
        event_time: Some(to_timestamp(at_ns)),
        source: ACTOR.to_owned(),
        body: Some(body),
        ..Event::default()
    };
    Ok((0u32..).zip(bodies).map(event).collect())
}

fn split<'a>(
    field: &'static str,
    text: &'a str,
    expected: &str,
) -> Result<(&'a str, &'a str, &'a str), ChangeError> {
    let parts = text.split_once('=').and_then(|(path, value)| {
        let (owner, name) = path.split_once('.')?;
        Some((owner, name, value))
    });
    parts.ok_or_else(|| refused(field, text, expected))
}

/// Refuses a name that is stated twice.
fn once(field: &'static str, texts: &[String]) -> Result<(), ChangeError> {
    let mut known = BTreeSet::new();
    for text in texts {
        let name = text.split_once('=').map_or(text.as_str(), |(name, _)| name);
        if !known.insert(name) {
            return Err(refused(field, text, format!("{name} once")));
        }
    }
    Ok(())
}

fn refused(field: &'static str, value: &str, expected: impl Into<String>) -> ChangeError {
    ChangeError { field, value: value.to_owned(), expected: expected.into() }
}

fn parameter(book: &Book, text: &str, bodies: &mut Vec<Body>) -> Result<(), ChangeError> {
    const FIELD: &str = "--param";
    let (name, key, value) = split(FIELD, text, "STRATEGY.NAME=VALUE")?;
    let built_in = || book.strategies().filter(|state| state.registered && !state.kind.is_empty());
    let Some(state) = built_in().find(|state| state.strategy == name) else {
        let known: Vec<_> = built_in().map(|state| state.strategy.as_str()).collect();
        return Err(refused(
            FIELD,
            text,
            format!("a built-in strategy of that moment: {}", known.join(", ")),
        ));
    };
    let position = bodies
        .iter()
        .position(|body| matches!(body, Body::StrategyRegistered(registered) if registered.strategy == name));
    let mut registered = match position.map(|place| bodies.remove(place)) {
        Some(Body::StrategyRegistered(registered)) => registered,
        _ => StrategyRegistered {
            strategy: state.strategy.clone(),
            kind: state.kind.clone(),
            parameters: state.parameters.clone(),
            symbols: state.symbols.clone(),
            timeframe: state.timeframe.clone(),
            sizing: state.sizing,
            account: state.account.clone(),
            actor: ACTOR.to_owned(),
            subjects: state.subjects.clone(),
            consumer: state.consumer.clone(),
            group_policy: state.group_policy.into(),
        },
    };
    match registered.parameters.iter_mut().find(|parameter| parameter.name == key) {
        Some(parameter) => value.clone_into(&mut parameter.value),
        None => registered.parameters.push(Parameter { name: key.to_owned(), value: value.to_owned() }),
    }
    strategy::build(&registered.kind, &registered.parameters)
        .map_err(|error| refused(FIELD, text, format!("parameters of {}: {error}", registered.kind)))?;
    bodies.push(Body::StrategyRegistered(registered));
    Ok(())
}

fn limit(book: &Book, text: &str, bodies: &mut Vec<Body>) -> Result<(), ChangeError> {
    const FIELD: &str = "--limit";
    let (name, key, value) = split(FIELD, text, "ACCOUNT.NAME=VALUE")?;
    let Some(config) = book.account(name).and_then(|account| account.config.as_ref()) else {
        let known: Vec<_> = book.accounts().map(|account| account.account.as_str()).collect();
        return Err(refused(FIELD, text, format!("an account of that moment: {}", known.join(", "))));
    };
    // Any other name is a limit of the scope of the account.
    if !limits::NAMES.contains(&key) {
        return by_scope(book, name, key, value, bodies).map_err(|error| {
            refused(FIELD, text, format!("{}; or {}", limits::NAMES.join(", "), error.expected))
        });
    }
    let position = bodies
        .iter()
        .position(|body| matches!(body, Body::AccountConfigured(configured) if configured.account == name));
    let mut configured = match position.map(|place| bodies.remove(place)) {
        Some(Body::AccountConfigured(configured)) => configured,
        _ => AccountConfigured {
            account: name.to_owned(),
            version: config.version + 1,
            broker: config.broker.clone(),
            limits: config.limits,
            costs: Some(config.costs),
            actor: ACTOR.to_owned(),
            reason: String::new(),
            kind: config.kind.into(),
        },
    };
    let mut configured_limits = configured.limits.take().unwrap_or_default();
    limits::set(&mut configured_limits, key, value).map_err(|expected| refused(FIELD, text, expected))?;
    configured.limits = Some(configured_limits);
    bodies.push(Body::AccountConfigured(configured));
    Ok(())
}

/// A limit of the account beside its own ones.
fn by_scope(
    book: &Book,
    account: &str,
    key: &str,
    value: &str,
    bodies: &mut Vec<Body>,
) -> Result<(), fields::LimitError> {
    let scope = Scope::new(account, "", "");
    let of_scope =
        |body: &Body| matches!(body, Body::LimitsSet(set) if Scope::of(set.scope.as_ref()) == scope);
    let mut set = match bodies.iter().position(of_scope).map(|place| bodies.remove(place)) {
        Some(Body::LimitsSet(set)) => set,
        _ => {
            let known = book.limit_set(&scope);
            LimitsSet {
                scope: Some(scope.to_wire()),
                version: known.map_or(0, |known| known.version) + 1,
                limits: known.map(|known| known.limits.clone()),
                actor: ACTOR.to_owned(),
                reason: String::new(),
            }
        }
    };
    let mut limits = set.limits.take().unwrap_or_default();
    fields::state(&mut limits, key, value)?;
    fields::check(&scope, &limits)?;
    set.limits = Some(limits);
    bodies.push(Body::LimitsSet(set));
    Ok(())
}
