//! Limits by strategy, symbol and account: used and most, who stated them, and the form that states one.

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use domain::book::Book;
use domain::calendar::Calendar;
use domain::risk::{fields, scope_usage};
use projections::queries::{self, named_limits};
use runtime::command::Caller;
use serde::Deserialize;

use super::{PATH, SCOPED};
use crate::action::{caller_of, done};
use crate::api::risk::{LimitsOf, known, state_limits};
use crate::app::App;
use crate::error::PageError;
use crate::pages::{Body, Rendering, Scope, Shown, timeline};
use crate::session::FormKeys;
use crate::url::Url;
use crate::view::percent;

#[derive(Clone, Debug)]
struct Bar {
    id: String,
    title: String,
    of: String,
    used: String,
    most: String,
    share: String,
    thousandths: u32,
    tone: &'static str,
}

#[derive(Clone, Debug)]
struct Set {
    scope: String,
    version: u64,
    actor: String,
    reason: String,
    limits: Vec<(&'static str, String)>,
}

#[derive(Clone, Debug)]
struct Scoped {
    account: String,
    bars: Vec<Bar>,
    sets: Vec<Set>,
    strategies: Vec<String>,
    names: Vec<&'static str>,
    url: String,
    past: bool,
    keys: FormKeys,
}

#[derive(Template)]
#[template(path = "positions/scoped.html")]
struct ScopedPanel {
    v: u64,
    body: Body<Scoped>,
}

/// Limits by scope.
pub async fn scoped(scope: &Scope<'_>) -> Rendering {
    let body = Body::read(scope, &SCOPED, Box::pin(read(scope))).await;
    ScopedPanel { v: scope.version, body }.render()
}

async fn read(scope: &Scope<'_>) -> Result<Option<Scoped>, PageError> {
    if scope.account.is_empty() {
        return Ok(None);
    }
    let past = timeline::past(scope).await?;
    let is_past = past.is_some();
    let book = match past {
        Some(past) => past.book.clone(),
        None => {
            let book = queries::load_book(&scope.app.config.pool).await;
            book.map_err(|error| PageError::ReadModel(error.to_string()))?
        }
    };
    let mine = |set: &&domain::book::LimitSet| {
        set.is_stated() && (set.scope.account.is_empty() || set.scope.account == scope.account)
    };
    let sets = book.limit_sets().filter(mine).map(|set| Set {
        scope: set.scope.to_string(),
        version: set.version,
        actor: set.actor.clone(),
        reason: set.reason.clone(),
        limits: named_limits(&set.limits).into_iter().map(|limit| (limit.name, limit.value)).collect(),
    });
    Ok(Some(Scoped {
        account: scope.account.to_owned(),
        bars: bars(&book, scope.account, scope.app.config.calendar),
        sets: sets.collect(),
        strategies: book.strategy_names().into_iter().map(str::to_owned).collect(),
        names: fields::fields().map(|field| field.name).collect(),
        url: Url::Limits.to_string(),
        past: is_past,
        keys: scope.keys.clone(),
    }))
}

fn bars(book: &Book, account: &str, calendar: &Calendar) -> Vec<Bar> {
    let bar = |(index, usage): (usize, domain::risk::ScopeUsage)| {
        let (used, most) = (usage.used.to_f64(), usage.most.to_f64());
        let share = if most > 0.0 { used / most } else { f64::from(u8::from(used > 0.0)) };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 1,000")]
        let thousandths = (share.clamp(0.0, 1.0) * 1_000.0).round() as u32;
        let of = if usage.of.is_empty() { String::new() } else { format!(", {}", usage.of) };
        Bar {
            id: format!("scope-limit-{index}"),
            title: usage.limit.replace('_', " "),
            of: format!("{}{of}", usage.scope),
            used: usage.used_text(),
            most: usage.most_text(),
            share: percent(Some(share)),
            thousandths,
            tone: match thousandths {
                0..800 => "gain",
                800..1_000 => "warn",
                _ => "loss",
            },
        }
    };
    scope_usage(book, account, calendar).into_iter().enumerate().map(bar).collect()
}

/// Fields of the form that states a limit.
#[derive(Debug, Deserialize)]
pub struct LimitForm {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    key: String,
    #[serde(default)]
    account: String,
    #[serde(default)]
    strategy: String,
    #[serde(default)]
    symbol: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    value: String,
    #[serde(default)]
    reason: String,
}

/// `POST /limits`: states or ends one limit of a scope.
pub async fn set_limits(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Form(form): Form<LimitForm>,
) -> Result<Response, PageError> {
    let token = headers.get("x-csrf-token").and_then(|token| token.to_str().ok()).unwrap_or(&form.csrf);
    let caller = caller_of(&app, &headers, token, &form.key)?;
    let (account, strategy) = (form.account.clone(), form.strategy.clone());
    let of = LimitsOf::new(account, strategy, form.symbol.trim().to_owned());
    let scope = known(&app, &of).await?;
    let caller = Caller { key: format!("{}/{}", form.name, caller.key), ..caller };
    let named = [(form.name.clone(), form.value.trim().to_owned())];
    let reason = if form.reason.trim().is_empty() { "from the dashboard" } else { form.reason.trim() };
    let change = state_limits(&app, &caller, &scope, &named, reason).await?;
    let notice = match (change.is_new, change.set.version) {
        (true, version) => format!("{} of {scope} is stated, version {version}.", form.name),
        (false, _) => format!("{} of {scope} is as it was: nothing was changed.", form.name),
    };
    Ok(done(&headers, &notice, PATH))
}
