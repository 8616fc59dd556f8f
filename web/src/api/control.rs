//! The kill switch.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use contracts::v1::TradingState;
use domain::risk::breaker;
use runtime::command::{self, Stop};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fields::{Asked, NoFields};
use super::risk::{Stays, is_stopped, outlasting};
use super::{Given, Key, Problem, Problems, caller, fields};
use crate::access::Actor;
use crate::action::appended;
use crate::app::App;
use crate::error::PageError;

/// What to halt or resume, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Switch {
    /// Account; absent or empty for all.
    #[serde(default)]
    account: String,
    /// Strategy, or `manual` for what is traded by hand; absent or empty for all.
    #[serde(default)]
    strategy: String,
    /// What may still be sent: `reduce_only` (also when absent) or `halted`; only of a halt.
    #[serde(default)]
    #[schema(pattern = "^(reduce_only|halted)$")]
    state: Option<String>,
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
    /// Strategy, or `manual` for what is traded by hand; empty for all.
    strategy: String,
    /// What strategies may send now where no other scope is stopped more strictly: `reduce_only` or `halted`; `resumed`
    /// where a stop was ended, `not_stopped` where there was none of this scope.
    state: &'static str,
    /// The stricter stop of this scope that stays in force; null where what was asked is.
    stays: Option<Stays>,
}

/// Stop new exposure, on one account or on all.
#[utoipa::path(post, path = "/api/v1/trading/halt", tag = "trading", operation_id = "halt_trading",
    params(Key),
    request_body = Switch, responses((status = 200, body = Switched), Problems))]
pub async fn halt(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    key: Key,
    _: Asked<NoFields>,
    Given(switch): Given<Switch>,
) -> Result<Json<Switched>, Problem> {
    let state = match switch.state.as_deref() {
        None => TradingState::Unspecified,
        Some("reduce_only") => TradingState::ReduceOnly,
        Some("halted") => TradingState::Halted,
        Some(other) => return Err(PageError::field("state", other, "reduce_only or halted").into()),
    };
    let stop = checked(&app, switch).await?;
    let caller = caller(&actor, &key, &target(&stop));
    command::halt_scope(&app.context.tape, &caller, &stop, state).await.map_err(appended)?;
    let stays = outlasting(&app, &stop, state).await.map(Stays::from);
    let state = if stays.is_some() { TradingState::Halted } else { state };
    let (Stop { account, strategy, .. }, state) = (stop, breaker::state_name(state));
    Ok(Json(Switched { account, strategy, state, stays }))
}

/// Allow new exposure again.
#[utoipa::path(post, path = "/api/v1/trading/resume", tag = "trading", operation_id = "resume_trading",
    params(Key),
    request_body = Switch, responses((status = 200, body = Switched), Problems))]
pub async fn resume(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    key: Key,
    _: Asked<NoFields>,
    Given(switch): Given<Switch>,
) -> Result<Json<Switched>, Problem> {
    if let Some(state) = switch.state.as_deref() {
        return Err(PageError::field("state", state, "none, because resuming ends every stop").into());
    }
    let stop = checked(&app, switch).await?;
    let caller = caller(&actor, &key, &target(&stop));
    let state = if is_stopped(&app, &stop).await? { "resumed" } else { "not_stopped" };
    command::resume_scope(&app.context.tape, &caller, &stop).await.map_err(appended)?;
    Ok(Json(Switched { account: stop.account, strategy: stop.strategy, state, stays: None }))
}

async fn checked(app: &App, switch: Switch) -> Result<Stop, PageError> {
    let reason = fields::reason(&switch.reason)?.to_owned();
    super::risk::check_stop(app, &switch.account, &switch.strategy).await?;
    Ok(Stop { account: switch.account, strategy: switch.strategy, reason })
}

/// One key used for two targets is two commands.
fn target(stop: &Stop) -> String {
    if stop.strategy.is_empty() {
        stop.account.clone()
    } else {
        format!("{}/{}", stop.account, stop.strategy)
    }
}
