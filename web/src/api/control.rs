//! The kill switch.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use runtime::command;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Key, Problem, Problems, caller, fields};
use crate::access::Actor;
use crate::action::tape;
use crate::app::App;
use crate::error::PageError;

/// What to halt or resume, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Switch {
    /// Account; absent or empty for all.
    #[serde(default)]
    account: String,
    /// For the audit.
    #[serde(default)]
    #[schema(max_length = 200, pattern = "^[^\\u0000-\\u001f\\u007f]*$")]
    reason: String,
}

/// What a command came to.
#[derive(Debug, Serialize, ToSchema)]
pub struct Switched {
    /// Account; empty for all.
    account: String,
    /// `halted` or `resumed`.
    state: &'static str,
}

/// Stop new exposure, on one account or on all.
#[utoipa::path(post, path = "/api/v1/trading/halt", tag = "trading", operation_id = "halt_trading",
    params(Key),
    request_body = Switch, responses((status = 200, body = Switched), Problems))]
pub async fn halt(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    key: Key,
    Json(switch): Json<Switch>,
) -> Result<Json<Switched>, Problem> {
    let switch = checked(&app, switch).await?;
    let caller = caller(&actor, &key, &switch.account);
    command::halt(&app.context.tape, &caller, &switch.account, &switch.reason).await.map_err(tape)?;
    Ok(Json(Switched { account: switch.account, state: "halted" }))
}

/// Allow new exposure again.
#[utoipa::path(post, path = "/api/v1/trading/resume", tag = "trading", operation_id = "resume_trading",
    params(Key),
    request_body = Switch, responses((status = 200, body = Switched), Problems))]
pub async fn resume(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    key: Key,
    Json(switch): Json<Switch>,
) -> Result<Json<Switched>, Problem> {
    let switch = checked(&app, switch).await?;
    let caller = caller(&actor, &key, &switch.account);
    command::resume(&app.context.tape, &caller, &switch.account, &switch.reason).await.map_err(tape)?;
    Ok(Json(Switched { account: switch.account, state: "resumed" }))
}

async fn checked(app: &App, switch: Switch) -> Result<Switch, PageError> {
    let reason = fields::reason(&switch.reason)?.to_owned();
    if !switch.account.is_empty() && !crate::pages::account_names(app).await?.contains(&switch.account) {
        return Err(PageError::Missing(format!("account {:?}", switch.account)));
    }
    Ok(Switch { reason, ..switch })
}
