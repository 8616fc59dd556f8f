//! API tokens.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::fields::{Asked, At, NoFields, TokenName};
use super::{Given, Key, Nothing, Problem, Problems, caller};
use crate::access::{Actor, Role, Token, manage};
use crate::app::App;

/// All tokens, by name, without their secrets.
#[utoipa::path(get, path = "/api/v1/tokens", tag = "access", operation_id = "list_tokens",
    responses((status = 200, body = Vec<Token>), Problems))]
pub async fn list(State(app): State<Arc<App>>, _: Asked<NoFields>) -> Result<Json<Vec<Token>>, Problem> {
    Ok(Json(app.config.access.tokens()?))
}

/// A token to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// Name; the program acts as `token-NAME`.
    #[schema(min_length = 1, max_length = 40, pattern = "^(?!token-)[a-z0-9_-]{1,40}$")]
    name: String,
    /// Role.
    role: Role,
    /// Days until it expires.
    #[schema(minimum = 1, maximum = 3660)]
    #[serde(deserialize_with = "whole")]
    days: u32,
}

/// A whole number, also one that a program writes as `30.0`.
fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let number = f64::deserialize(deserializer)?;
    if number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and in range")]
        Ok(number as u32)
    } else {
        Err(serde::de::Error::custom("expected a whole number"))
    }
}

/// A token just made.
#[derive(Serialize, ToSchema)]
pub struct Made {
    /// What is kept of it.
    #[serde(flatten)]
    token: Token,
    /// The secret; only its hash is kept, so that it is never shown again.
    secret: String,
}

/// Make a token.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "access", operation_id = "create_token",
    params(Key),
    request_body = NewToken, responses((status = 201, body = Made), Problems))]
pub async fn create(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    key: Key,
    _: Asked<NoFields>,
    Given(new): Given<NewToken>,
) -> Result<(StatusCode, Json<Made>), Problem> {
    let NewToken { name, role, days } = new;
    let made = manage::create_token(&app, &caller(&actor, &key, ""), &name, role, days).await?;
    Ok((StatusCode::CREATED, Json(Made { token: made.token, secret: made.secret })))
}

/// Revoke a token.
#[utoipa::path(delete, path = "/api/v1/tokens/{name}", tag = "access", operation_id = "revoke_token",
    params(TokenName, Key),
    responses((status = 204), Problems))]
pub async fn revoke(
    State(app): State<Arc<App>>,
    At(name): At<String>,
    Extension(actor): Extension<Actor>,
    key: Key,
    _: Asked<NoFields>,
    _: Nothing,
) -> Result<StatusCode, Problem> {
    manage::revoke_token(&app, &caller(&actor, &key, ""), &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
