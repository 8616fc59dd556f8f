//! Who is signed in, and who may sign in.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use runtime::command;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::status::Nothing;
use super::{Key, Problem, Problems, caller};
use crate::access::{AccessError, Actor, Role, User};
use crate::action::tape;
use crate::app::App;
use crate::error::PageError;

/// Who asks.
#[derive(Debug, Serialize, ToSchema)]
pub struct Who {
    /// Name, as it is in audits.
    name: String,
    /// Role.
    role: Role,
    /// Whether it is a program with an API token.
    program: bool,
}

/// Who am I?
#[utoipa::path(get, path = "/api/v1/session", tag = "access", operation_id = "get_session",
    responses((status = 200, body = Who), Problems))]
pub async fn session(Extension(actor): Extension<Actor>, Query(Nothing {}): Query<Nothing>) -> Json<Who> {
    Json(Who { name: actor.name, role: actor.role, program: actor.program })
}

/// All users, by name.
#[utoipa::path(get, path = "/api/v1/users", tag = "access", operation_id = "list_users",
    responses((status = 200, body = Vec<User>), Problems))]
pub async fn list(
    State(app): State<Arc<App>>,
    Query(Nothing {}): Query<Nothing>,
) -> Result<Json<Vec<User>>, Problem> {
    Ok(Json(app.config.access.users()?))
}

/// A user to add.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// Name.
    #[schema(min_length = 1, max_length = 40, pattern = "^(?!token-)[a-z0-9_-]{1,40}$")]
    name: String,
    /// Role.
    role: Role,
    /// Password; without one only one-time links sign the user in.
    #[schema(min_length = 10, max_length = 64)]
    password: Option<String>,
}

/// Add a user.
#[utoipa::path(post, path = "/api/v1/users", tag = "access", operation_id = "add_user",
    params(Key),
    request_body = NewUser, responses((status = 201, body = User), Problems))]
pub async fn add(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    key: Key,
    Json(new): Json<NewUser>,
) -> Result<(StatusCode, Json<User>), Problem> {
    let NewUser { name, role, password } = new;
    let user = change(&app, {
        let name = name.clone();
        move |access| access.add_user(&name, role, password.as_deref())
    })
    .await?;
    let caller = caller(&actor, &key, &name);
    command::audit(&app.context.tape, &caller, "user_add", &name, role.name()).await.map_err(tape)?;
    Ok((StatusCode::CREATED, Json(user)))
}

/// What to change of a user.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserChange {
    /// New role.
    role: Option<Role>,
    /// New password.
    #[schema(min_length = 10, max_length = 64)]
    password: Option<String>,
}

/// Change a user's role, password or both; the user's sessions end.
#[utoipa::path(patch, path = "/api/v1/users/{name}", tag = "access", operation_id = "change_user",
    params(("name" = String, Path, description = "User's name"),
        Key),
    request_body = UserChange, responses((status = 200, body = User), Problems))]
pub async fn change_user(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Extension(actor): Extension<Actor>,
    key: Key,
    Json(wanted): Json<UserChange>,
) -> Result<Json<User>, Problem> {
    let caller = caller(&actor, &key, &name);
    let known = app.config.access.users()?.into_iter().find(|user| user.name == name);
    let mut user = known.ok_or_else(|| PageError::Missing(format!("user {name:?}")))?;
    if let Some(password) = wanted.password {
        let of = name.clone();
        user = change(&app, move |access| access.set_password(&of, &password)).await?;
        command::audit(&app.context.tape, &caller, "user_password", &name, "").await.map_err(tape)?;
    }
    if let Some(role) = wanted.role {
        user = app.config.access.set_role(&name, role)?;
        command::audit(&app.context.tape, &caller, "user_role", &name, role.name()).await.map_err(tape)?;
    }
    Ok(Json(user))
}

/// Remove a user, whose sessions end.
#[utoipa::path(delete, path = "/api/v1/users/{name}", tag = "access", operation_id = "remove_user",
    params(("name" = String, Path, description = "User's name"),
        Key),
    responses((status = 204), Problems))]
pub async fn remove(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Extension(actor): Extension<Actor>,
    key: Key,
) -> Result<StatusCode, Problem> {
    app.config.access.remove_user(&name)?;
    let caller = caller(&actor, &key, &name);
    command::audit(&app.context.tape, &caller, "user_remove", &name, "").await.map_err(tape)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Hashing takes its time, so it is done where nobody else waits for it.
async fn change(
    app: &App,
    change: impl FnOnce(&crate::access::Store) -> Result<User, AccessError> + Send + 'static,
) -> Result<User, PageError> {
    let access = Arc::clone(&app.config.access);
    let _turn = app.hashing.lock().await;
    let changed = tokio::task::spawn_blocking(move || change(&access)).await;
    let changed = changed.map_err(|error| PageError::Access(error.to_string()))?;
    Ok(changed?)
}
