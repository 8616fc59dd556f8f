//! Asking for a parity or a fork, and for its end.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use contracts::v1::{BacktestKind, BacktestRequest, BacktestStretch};
use domain::research;
use runtime::command::{self, Caller};
use serde::Deserialize;
use utoipa::ToSchema;

use super::super::backtests::ask::{Begun, Cancel, end};
use super::super::fields::{Asked, At, ComparisonId, NoFields, Word, reason};
use super::super::{Given, GivenOrNone, Key, Problem, Problems, caller};
use super::found;
use crate::access::Actor;
use crate::action::appended;
use crate::app::App;
use crate::error::PageError;
use crate::probe::NoStretch;
use crate::url::Url;

/// Values by name, by owner: of a strategy its parameters, of an account its limits.
pub type Changes = BTreeMap<String, BTreeMap<String, String>>;

/// Asks for a session beside the same bars, run again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewParity {
    /// Date of the session, YYYY-MM-DD in exchange time.
    pub session: String,
}

/// Asks for a part of the tape again with changes.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewFork {
    /// Both sides share everything to the end of the instant in which this stands: a sequence of TRADING, or an
    /// instant (RFC 3339).
    pub at: String,
    /// Runs to the end of the instant in which this stands; to the end of the tape when absent.
    #[serde(default)]
    pub to: String,
    /// Other parameters of built-in strategies: strategy, parameter, value.
    #[serde(default)]
    pub parameters: Changes,
    /// Other limits of accounts: account, limit as in the configuration, value.
    #[serde(default)]
    pub limits: Changes,
}

/// Ask for a session's live decisions beside the same bars, run again; the service `backtest` does it.
#[utoipa::path(post, path = "/api/v1/parity", tag = "research", operation_id = "request_parity",
    params(Key), request_body = NewParity, responses((status = 202, body = Begun), Problems))]
pub async fn parity(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    key: Key,
    _: Asked<NoFields>,
    Given(asked): Given<NewParity>,
) -> Result<(StatusCode, Json<Begun>), Problem> {
    let run_id = begin_parity(&app, &caller(&actor, &key, ""), asked).await?;
    let url = Url::Comparison("parity", &run_id).to_string();
    Ok((StatusCode::ACCEPTED, Json(Begun { run_id, url })))
}

/// Ask for a part of the tape again with other parameters or limits; the service `backtest` does it.
#[utoipa::path(post, path = "/api/v1/forks", tag = "research", operation_id = "request_fork",
    params(Key), request_body = NewFork, responses((status = 202, body = Begun), Problems))]
pub async fn fork(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    key: Key,
    _: Asked<NoFields>,
    Given(asked): Given<NewFork>,
) -> Result<(StatusCode, Json<Begun>), Problem> {
    let run_id = begin_fork(&app, &caller(&actor, &key, ""), asked).await?;
    let url = Url::Comparison("fork", &run_id).to_string();
    Ok((StatusCode::ACCEPTED, Json(Begun { run_id, url })))
}

/// Ask for the end of a parity or a fork.
#[utoipa::path(post, path = "/api/v1/comparisons/{id}/cancel", tag = "research",
    operation_id = "cancel_comparison",
    params(ComparisonId, Key), request_body = Option<Cancel>, responses((status = 202), Problems))]
pub async fn cancel(
    State(app): State<Arc<App>>,
    At(Word(id)): At<Word>,
    Extension(actor): Extension<Actor>,
    key: Key,
    _: Asked<NoFields>,
    GivenOrNone(asked): GivenOrNone<Cancel>,
) -> Result<StatusCode, Problem> {
    let reason = reason(&asked.reason)?;
    found(&app, &id).await?;
    end(&app, &caller(&actor, &key, &id), &id, reason).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Asks for a parity; answers its id. The page asks the same way.
pub async fn begin_parity(app: &App, caller: &Caller, asked: NewParity) -> Result<String, PageError> {
    let stretch = BacktestStretch { session: asked.session, ..BacktestStretch::default() };
    begin(app, caller, BacktestKind::Parity, stretch).await
}

/// Asks for a fork; answers its id. The page asks the same way.
pub async fn begin_fork(app: &App, caller: &Caller, asked: NewFork) -> Result<String, PageError> {
    let stretch = BacktestStretch {
        at: asked.at,
        to: asked.to,
        parameters: texts(&asked.parameters),
        limits: texts(&asked.limits),
        ..BacktestStretch::default()
    };
    begin(app, caller, BacktestKind::Fork, stretch).await
}

/// `OWNER.NAME=VALUE`, as the command line writes it.
fn texts(changes: &Changes) -> Vec<String> {
    let of = |(owner, values): (&String, &BTreeMap<String, String>)| -> Vec<String> {
        values.iter().map(|(name, value)| format!("{owner}.{name}={value}")).collect()
    };
    changes.iter().flat_map(of).collect()
}

async fn begin(
    app: &App,
    caller: &Caller,
    kind: BacktestKind,
    stretch: BacktestStretch,
) -> Result<String, PageError> {
    let request = BacktestRequest { kind: kind.into(), stretch: Some(stretch), ..BacktestRequest::default() };
    let request = research::complete(request)
        .map_err(|invalid| PageError::field(invalid.field, &invalid.value, invalid.expected))?;
    // What this tape does not hold is refused before a run is opened for it.
    app.config.probe.stretch(&app.timeline, &request).await.map_err(|error| match error {
        NoStretch::Asked { field, value, expected } => PageError::field(field, &value, expected),
        NoStretch::Unread(why) => PageError::Unread(why),
    })?;
    command::request_backtest(&app.context.tape, caller, request, "").await.map_err(appended)
}
