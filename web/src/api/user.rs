//! Who is signed in, and who may sign in.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fields::{Asked, At, NoFields, UserName};
use super::{Given, Key, Nothing, Problem, Problems, caller};
use crate::access::manage::{self, Wanted};
use crate::access::{Actor, Role, User};
use crate::app::App;

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
pub async fn session(Extension(actor): Extension<Actor>, _: Asked<NoFields>) -> Json<Who> {
    Json(Who { name: actor.name, role: actor.role, program: actor.program })
}

/// All users, by name.
#[utoipa::path(get, path = "/api/v1/users", tag = "access", operation_id = "list_users",
    responses((status = 200, body = Vec<User>), Problems))]
pub async fn list(State(app): State<Arc<App>>, _: Asked<NoFields>) -> Result<Json<Vec<User>>, Problem> {
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
    _: Asked<NoFields>,
    Given(new): Given<NewUser>,
) -> Result<(StatusCode, Json<User>), Problem> {
    let NewUser { name, role, password } = new;
    let user = manage::add_user(&app, &caller(&actor, &key, ""), &name, role, password).await?;
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
    /// Whether the user may not sign in for now.
    disabled: Option<bool>,
}

/// Change a user's role, password or whether the user may sign in; the user's sessions end.
#[utoipa::path(patch, path = "/api/v1/users/{name}", tag = "access", operation_id = "change_user",
    params(UserName, Key),
    request_body = UserChange, responses((status = 200, body = User), Problems))]
pub async fn change_user(
    State(app): State<Arc<App>>,
    At(name): At<String>,
    Extension(actor): Extension<Actor>,
    key: Key,
    _: Asked<NoFields>,
    Given(wanted): Given<UserChange>,
) -> Result<Json<User>, Problem> {
    let UserChange { role, password, disabled } = wanted;
    let wanted = Wanted { role, password, disabled };
    Ok(Json(manage::change_user(&app, &caller(&actor, &key, ""), &name, wanted).await?))
}

/// Remove a user, whose sessions end.
#[utoipa::path(delete, path = "/api/v1/users/{name}", tag = "access", operation_id = "remove_user",
    params(UserName, Key),
    responses((status = 204), Problems))]
pub async fn remove(
    State(app): State<Arc<App>>,
    At(name): At<String>,
    Extension(actor): Extension<Actor>,
    key: Key,
    _: Asked<NoFields>,
    _: Nothing,
) -> Result<StatusCode, Problem> {
    manage::remove_user(&app, &caller(&actor, &key, ""), &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A password to change.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnPassword {
    /// The password in use.
    current: String,
    /// The new one.
    #[schema(min_length = 10, max_length = 64)]
    password: String,
}

/// Change your own password; your other sessions end. A token has none: 409.
#[utoipa::path(put, path = "/api/v1/session/password", tag = "access", operation_id = "set_own_password",
    params(Key), request_body = OwnPassword, responses((status = 204), Problems))]
pub async fn own_password(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    headers: HeaderMap,
    key: Key,
    _: Asked<NoFields>,
    Given(given): Given<OwnPassword>,
) -> Result<StatusCode, Problem> {
    let session = manage::session_of(&actor, &headers);
    let given = (given.current, given.password);
    manage::own_password(&app, &caller(&actor, &key, ""), session, given).await?;
    Ok(StatusCode::NO_CONTENT)
}
