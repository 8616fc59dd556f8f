//! Registering, handing over, removing. The commands are those of the command line.
//!
//! The credentials of a new strategy are part of one answer and of nothing else: only a hash of the password is
//! kept, by the server.

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{Html, IntoResponse as _, Response};
use contracts::v1::PositionsFate;
use domain::order::group;
use domain::sizing;
use runtime::command::{
    self, Caller, Leaving, NewStrategy, StrategyError, register_strategy, remove_strategy, replace_strategy,
    rotate_credentials,
};

use super::detail::back;
use super::{PAGE, PATH};
use crate::action::{CommandForm, appended, caller, caller_of, done, expect_word, leaving};
use crate::app::App;
use crate::error::PageError;
use crate::pages::{Layout, Params, Visit};
use crate::url::Url;

/// Fields of the form that registers.
#[derive(Debug, Default, serde::Deserialize)]
pub struct RegisterForm {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    key: String,
    #[serde(default)]
    name: String,
    /// Separated by commas, spaces or lines.
    #[serde(default)]
    subjects: String,
    #[serde(default)]
    account: String,
    #[serde(default)]
    sizing: String,
    #[serde(default)]
    group_policy: String,
    /// Empty: disabled at first.
    #[serde(default)]
    mode: String,
}

/// Fields of the form that hands over.
#[derive(Debug, Default, serde::Deserialize)]
pub struct ReplaceForm {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    key: String,
    #[serde(default)]
    with: String,
    /// What becomes of what the old one holds; empty where that is nothing.
    #[serde(default)]
    positions: String,
    #[serde(default)]
    reason: String,
}

/// What is told once.
#[derive(Template)]
#[template(path = "strategies/credentials.html")]
struct Told {
    name: String,
    url: String,
    file: String,
    state: String,
    to_add: Option<String>,
}

#[derive(Template)]
#[template(path = "strategies/told.html")]
struct ToldPage<'a> {
    layout: Layout<'a>,
    told: String,
}

/// What a form or a request asks to register; the error names the field.
pub fn new_strategy(
    name: &str,
    subjects: Vec<String>,
    account: &str,
    sizing: &str,
    group_policy: &str,
) -> Result<NewStrategy, PageError> {
    let parsed = sizing::parse(sizing);
    Ok(NewStrategy {
        name: name.to_owned(),
        subjects,
        account: account.to_owned(),
        sizing: parsed.ok_or_else(|| PageError::field("sizing", sizing, sizing::EXPECTED))?,
        group_policy: group::policy_from_name(group_policy)
            .ok_or_else(|| PageError::field("group_policy", group_policy, group::POLICY_EXPECTED))?,
    })
}

/// `POST /strategies`: registers an external strategy; the answer holds its credentials, once.
pub async fn register(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Form(form): Form<RegisterForm>,
) -> Result<Response, PageError> {
    let caller = token_and_key(&app, &headers, &form.csrf, &form.key)?;
    let caller = keyed(caller, &form.name);
    let subjects = form.subjects.split([',', ' ', '\n', '\r', '\t']).filter(|subject| !subject.is_empty());
    let subjects = subjects.map(str::to_owned).collect();
    let policy = if form.group_policy.is_empty() { "none" } else { &form.group_policy };
    let new = new_strategy(form.name.trim(), subjects, &form.account, form.sizing.trim(), policy)?;
    let mode = match form.mode.as_str() {
        "" => None,
        mode => Some(command::first_mode(mode).map_err(failed)?),
    };
    let log = &app.context.tape;
    let access = app.config.strategies.as_ref();
    let (strategy, credentials) = register_strategy(log, access, &caller, &new).await.map_err(failed)?;
    if let Some(mode) = mode {
        // Its name is new: whatever an earlier one left in it was said when that one was removed.
        let nothing = Leaving::default();
        command::enable_strategy(log, &caller, &strategy.name, mode, &nothing).await.map_err(failed)?;
    }
    let file = serde_json::to_string_pretty(&credentials.file(&strategy));
    let told = Told {
        url: Url::Strategy(&strategy.name).to_string(),
        file: file.map_err(|error| PageError::Unknown(error.to_string()))?,
        state: mode.map_or_else(
            || "is registered and disabled".to_owned(),
            |_| format!("is registered and enabled ({})", form.mode),
        ),
        to_add: credentials.to_add,
        name: strategy.name,
    }
    .render()?;
    tell(&app, &headers, told).await
}

/// Shows credentials, once: in the page that asked for them, or as a page of their own.
async fn tell(app: &App, headers: &HeaderMap, told: String) -> Result<Response, PageError> {
    if headers.contains_key("hx-request") {
        return Ok(Html(told).into_response());
    }
    let params = Params::default();
    let visit = Visit::begin(app, &PAGE, &params, headers).await?;
    let layout = visit.layout(&visit.scope(), &[]).await?;
    let page = ToldPage { layout, told }.render();
    visit.respond(page)
}

/// `POST /strategies/{name}/rotate`: a new password for an external strategy, shown once.
pub async fn rotate(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Form(form): Form<ReplaceForm>,
) -> Result<Response, PageError> {
    let caller = keyed(token_and_key(&app, &headers, &form.csrf, &form.key)?, &name);
    let access = app.config.strategies.as_ref();
    let rotated = rotate_credentials(&app.context.tape, access, &caller, &name).await;
    let (strategy, credentials) = rotated.map_err(failed)?;
    let file = serde_json::to_string_pretty(&credentials.file(&strategy));
    let told = Told {
        url: Url::Strategy(&strategy.name).to_string(),
        file: file.map_err(|error| PageError::Unknown(error.to_string()))?,
        state: "has a new password".to_owned(),
        to_add: credentials.to_add,
        name: strategy.name,
    };
    tell(&app, &headers, told.render()?).await
}

/// `POST /strategies/{name}/replace`: hands over to another strategy at one position of the tape.
pub async fn replace(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Form(form): Form<ReplaceForm>,
) -> Result<Response, PageError> {
    let caller = keyed(token_and_key(&app, &headers, &form.csrf, &form.key)?, &name);
    let access = app.config.strategies.as_ref();
    let reason = if form.reason.trim().is_empty() { "from the dashboard" } else { form.reason.trim() };
    let leaves = leaving(&app, &name, &form.positions, "").await?;
    let after =
        replace_strategy(&app.context.tape, access, &caller, &name, &form.with, reason, &leaves).await;
    let after = after.map_err(failed)?;
    let mut notice = format!("{} takes over from {name} on {}", form.with, after.registered.account);
    notice.push_str(&match leaves.positions {
        PositionsFate::Unspecified => ".".to_owned(),
        PositionsFate::Keep => format!("; {name} goes on to manage what it holds."),
        PositionsFate::Flatten => format!("; what {name} holds is closed at the market."),
        PositionsFate::HandOver => format!("; what {name} holds goes to it."),
    });
    Ok(done(&headers, &notice, &back(&form.with)))
}

/// `POST /strategies/{name}/remove`: ends a registration; the name must have been typed, and said what becomes of what it
/// holds.
pub async fn remove(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Form(form): Form<CommandForm>,
) -> Result<Response, PageError> {
    let caller = keyed(caller(&app, &headers, &form)?, &name);
    expect_word(&form, &name)?;
    let access = app.config.strategies.as_ref();
    let (positions, to) = form.fate();
    // The form names somebody also where there is nothing to take over.
    let leaves = leaving(&app, &name, positions, if positions.is_empty() { "" } else { to }).await?;
    let removed = remove_strategy(&app.context.tape, access, &caller, &name, form.reason(), &leaves).await;
    removed.map_err(failed)?;
    let left = match leaves.positions {
        PositionsFate::Unspecified => String::new(),
        PositionsFate::Keep => " What it holds stays in its name.".to_owned(),
        PositionsFate::Flatten => " What it holds is closed at the market.".to_owned(),
        PositionsFate::HandOver => format!(" What it holds goes to {}.", leaves.hand_over_to),
    };
    let notice = format!("{name} is removed: its user and consumers are gone, its history stays.{left}");
    Ok(done(&headers, &notice, PATH))
}

fn token_and_key(app: &App, headers: &HeaderMap, csrf: &str, key: &str) -> Result<Caller, PageError> {
    let token = headers.get("x-csrf-token").and_then(|token| token.to_str().ok()).unwrap_or(csrf);
    caller_of(app, headers, token, key)
}

/// One key used for two strategies is two commands.
fn keyed(caller: Caller, name: &str) -> Caller {
    Caller { key: format!("{name}/{}", caller.key), ..caller }
}

/// Why a command on a strategy was refused, as an answer.
pub fn failed(error: StrategyError) -> PageError {
    let message = error.to_string();
    match error {
        StrategyError::Invalid { field, value, expected } => PageError::field(field, &value, expected),
        StrategyError::Holds { strategy, holds } => {
            let expected = format!("keep, flatten or hand_over, because {strategy} holds {holds}");
            PageError::field("positions", "", expected)
        }
        StrategyError::Unknown(name) => super::detail::missing(&name),
        StrategyError::Exists(_)
        | StrategyError::BuiltIn(_)
        | StrategyError::NoCredentials(_)
        | StrategyError::NotBeside(_)
        | StrategyError::NotConfirmed { .. }
        | StrategyError::NotEnabled(_) => PageError::Conflict(format!("{message}. Nothing was changed.")),
        StrategyError::Access(_) => PageError::Access(format!("The server did not do it: {message}")),
        StrategyError::Append(error) => appended(error),
        StrategyError::Log(error) => PageError::Unread(error.to_string()),
    }
}
