//! What keeps the system going: rebuilds and verifications of read models, parked messages, connections.
//! The same commands as the pages System, Events and Settings give.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use contracts::v1::ProjectionTask;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fields::{Asked, At, ConnectionName, NoFields, ParkedId, ProjectionName, Word};
use super::{Given, Key, Nothing, Problem, Problems, caller};
use crate::access::Actor;
use crate::app::App;
use crate::error::PageError;
use crate::pages::{events, settings, system};

/// What was asked of a read model.
#[derive(Debug, Serialize, ToSchema)]
pub struct Requested {
    /// Read model.
    projection: String,
    /// `rebuild` or `verify`.
    task: &'static str,
    /// Id of the request, by which `/api/v1/projections/jobs` tells what came of it.
    request_id: String,
}

type Asking = Result<(StatusCode, Json<Requested>), Problem>;

async fn ask(app: &App, actor: &Actor, key: &Key, name: String, task: ProjectionTask) -> Asking {
    let request_id = system::ask(app, &caller(actor, key, ""), &name, task).await?;
    let task = task.name().unwrap_or_default();
    Ok((StatusCode::ACCEPTED, Json(Requested { projection: name, task, request_id })))
}

/// Ask for a read model to be built anew from the tape, beside the one in use.
#[utoipa::path(post, path = "/api/v1/projections/{name}/rebuild", tag = "system",
    operation_id = "rebuild_projection",
    params(ProjectionName, Key),
    responses((status = 202, body = Requested), Problems))]
pub async fn rebuild(
    State(app): State<Arc<App>>,
    At(name): At<String>,
    Extension(actor): Extension<Actor>,
    key: Key,
    _: Asked<NoFields>,
    _: Nothing,
) -> Asking {
    ask(&app, &actor, &key, name, ProjectionTask::Rebuild).await
}

/// Ask for a read model to be compared with a fold of the tape.
#[utoipa::path(post, path = "/api/v1/projections/{name}/verify", tag = "system",
    operation_id = "verify_projection",
    params(ProjectionName, Key),
    responses((status = 202, body = Requested), Problems))]
pub async fn verify(
    State(app): State<Arc<App>>,
    At(name): At<String>,
    Extension(actor): Extension<Actor>,
    key: Key,
    _: Asked<NoFields>,
    _: Nothing,
) -> Asking {
    ask(&app, &actor, &key, name, ProjectionTask::Verify).await
}

/// Where a parked message's event stands now.
#[derive(Debug, Serialize, ToSchema)]
pub struct Replayed {
    /// Stream.
    stream: String,
    /// Sequence of the event that was published again.
    sequence: u64,
}

/// Handle a parked message again, after a fix: its event is published again under its own id.
#[utoipa::path(post, path = "/api/v1/parked/{id}/replay", tag = "events", operation_id = "replay_parked",
    params(ParkedId, Key), responses((status = 200, body = Replayed), Problems))]
pub async fn replay(
    State(app): State<Arc<App>>,
    At(Word(id)): At<Word>,
    Extension(actor): Extension<Actor>,
    key: Key,
    _: Asked<NoFields>,
    _: Nothing,
) -> Result<Json<Replayed>, Problem> {
    let (stream, sequence) = events::replayed(&app, &caller(&actor, &key, ""), &id).await?;
    Ok(Json(Replayed { stream, sequence }))
}

/// Why a parked message is not handled.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Dismissal {
    /// For the tape and for whoever looks later.
    #[schema(
        min_length = 1,
        max_length = 500,
        pattern = "^[^\\u0000-\\u0020\\u007f]([^\\u0000-\\u001f\\u007f]*)$"
    )]
    reason: String,
}

/// Close a parked message without handling it.
#[utoipa::path(post, path = "/api/v1/parked/{id}/dismiss", tag = "events", operation_id = "dismiss_parked",
    params(ParkedId, Key), request_body = Dismissal, responses((status = 204), Problems))]
pub async fn dismiss(
    State(app): State<Arc<App>>,
    At(Word(id)): At<Word>,
    Extension(actor): Extension<Actor>,
    key: Key,
    _: Asked<NoFields>,
    Given(dismissal): Given<Dismissal>,
) -> Result<StatusCode, Problem> {
    let reason = dismissal.reason;
    if reason.starts_with(' ') || reason.chars().any(|letter| letter.is_ascii_control()) {
        let expected = "text that begins with a letter and holds no control character";
        return Err(PageError::field("reason", &reason, expected).into());
    }
    events::dismissed(&app, &caller(&actor, &key, ""), &id, &reason).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How a connection is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Tested {
    /// Its name, as the settings list it.
    connection: String,
    /// Whether it works.
    works: bool,
    /// What was found, or why it does not work.
    found: String,
}

/// Connect anew to a server, a vendor or a broker that the settings list, and say how it went. 409 where its credentials are not set.
#[utoipa::path(post, path = "/api/v1/connections/{name}/test", tag = "system",
    operation_id = "test_connection",
    params(ConnectionName, Key),
    responses((status = 200, body = Tested), Problems))]
pub async fn test(
    State(app): State<Arc<App>>,
    At(name): At<String>,
    Extension(actor): Extension<Actor>,
    key: Key,
    _: Asked<NoFields>,
    _: Nothing,
) -> Result<Json<Tested>, Problem> {
    let (connection, outcome) = settings::tested(&app, &caller(&actor, &key, &name), &name).await?;
    let works = outcome.is_ok();
    let found = outcome.unwrap_or_else(|why| why);
    Ok(Json(Tested { connection: connection.name, works, found }))
}
