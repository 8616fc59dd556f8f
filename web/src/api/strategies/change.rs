//! Changes of strategies: registering, switching, handing over, removing.
//!
//! Registering answers with the credentials of the strategy's process. They are in that answer alone, and in
//! its repetition under the same key for as long as this process remembers it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use contracts::v1::StrategyMode;
use runtime::command::{
    self, Leaving, first_mode, register_strategy, remove_strategy, replace_strategy, rotate_credentials,
    strategy_mode, switch_strategy,
};
use runtime::{Credentials, ExternalStrategy};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::Actor;
use crate::action::{leaving, reachable, registered, shadowing, stopping};
use crate::api::fields::{Asked, At, Field, Fields, Kind, NoFields, field};
use crate::api::{Given, Key, Nothing, Problem, Problems, caller};
use crate::app::App;
use crate::error::PageError;
use crate::pages::strategies::{failed, new_strategy};

/// Longest reason.
const REASON_CHARS_MAX: usize = 200;
/// Written into the audit when no reason is given.
const REASON: &str = "through the API";

/// An external strategy to register.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewStrategy {
    /// Name.
    #[schema(min_length = 1, max_length = 40, pattern = "^[a-z0-9_]{1,40}$")]
    name: String,
    /// Subjects of MARKET that it reads, wildcards included, of which none covers another; all bars and
    /// corporate actions when absent.
    #[schema(min_items = 1)]
    subjects: Option<Vec<String>>,
    /// Account it trades on.
    account: String,
    /// `fixed:SHARES`, `fraction:SHARE_OF_EQUITY`, `notional:AMOUNT`, `equal_weight`, `atr:SHARE`, `volatility:SHARE`,
    /// `half_kelly` or `risk_parity:SHARE`, with options behind commas; `fraction:0.1` when absent.
    sizing: Option<String>,
    /// What becomes of the orders of a signal that states no policy of its own when one of them fails: `none`,
    /// `complete`, `unwind` or `alert`; `none` when absent.
    group_policy: Option<String>,
    /// `shadow` or `paper` to enable it at once; disabled when absent.
    mode: Option<String>,
}

/// A strategy just registered, with what its process needs to connect.
#[derive(Serialize, ToSchema)]
pub struct Registered {
    /// Name.
    strategy: String,
    /// Account it trades on.
    account: String,
    /// `disabled`, `shadow` or `paper`.
    state: String,
    /// Address of the NATS server.
    url: String,
    /// User.
    user: String,
    /// Password; of it only a hash is kept, so that it is never shown again.
    password: String,
    /// Name of its durable consumers on MARKET and TRADING.
    consumer: String,
    /// What its client must begin its inboxes with.
    inbox_prefix: String,
    /// On a NATS server of your own: the user block to add to its configuration. Else null.
    to_add: Option<String>,
}

/// Register an external strategy: its user, its durable consumers, its registration event.
#[utoipa::path(post, path = "/api/v1/strategies", tag = "strategies", operation_id = "register_strategy",
    params(Key),
    request_body = NewStrategy, responses((status = 201, body = Registered), Problems))]
pub async fn register(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    key: Key,
    _: Asked<NoFields>,
    Given(asked): Given<NewStrategy>,
) -> Result<(StatusCode, Json<Registered>), Problem> {
    let subjects = asked.subjects.unwrap_or_else(|| runtime::DEFAULT_SUBJECTS.map(str::to_owned).to_vec());
    let sizing = asked.sizing.as_deref().unwrap_or("fraction:0.1");
    let policy = asked.group_policy.as_deref().unwrap_or("none");
    let new = new_strategy(&asked.name, subjects, &asked.account, sizing, policy)?;
    let mode = asked.mode.as_deref().map(first_mode).transpose().map_err(failed)?;
    let caller = caller(&actor, &key, &new.name);
    let (log, access) = (&app.context.tape, app.config.strategies.as_ref());
    let (strategy, credentials) = register_strategy(log, access, &caller, &new).await.map_err(failed)?;
    if let Some(mode) = mode {
        // Its name is new: whatever an earlier one left in it was said when that one was removed.
        let nothing = Leaving::default();
        command::enable_strategy(log, &caller, &strategy.name, mode, &nothing).await.map_err(failed)?;
    }
    let state = asked.mode.unwrap_or_else(|| "disabled".to_owned());
    Ok((StatusCode::CREATED, Json(told(&strategy, &credentials, state))))
}

fn told(strategy: &ExternalStrategy, credentials: &Credentials, state: String) -> Registered {
    let file = credentials.file(strategy);
    Registered {
        strategy: file.strategy.to_owned(),
        account: file.account.to_owned(),
        state,
        url: file.url.to_owned(),
        user: file.user.to_owned(),
        password: file.password.to_owned(),
        consumer: file.consumer,
        inbox_prefix: file.inbox_prefix,
        to_add: credentials.to_add.clone(),
    }
}

/// Give an external strategy a new password. The old one ends at once, and whoever is connected by it with it.
#[utoipa::path(post, path = "/api/v1/strategies/{name}/rotate", tag = "strategies", operation_id = "rotate_strategy",
    params(("name" = String, Path, description = "Strategy's name"), Key),
    responses((status = 200, body = Registered), Problems))]
pub async fn rotate(
    State(app): State<Arc<App>>,
    At(name): At<String>,
    Extension(actor): Extension<Actor>,
    key: Key,
    _: Asked<NoFields>,
    _: Nothing,
) -> Result<Json<Registered>, Problem> {
    let name = registered(&app, name).await?;
    let caller = caller(&actor, &key, &name);
    let (log, access) = (&app.context.tape, app.config.strategies.as_ref());
    let (strategy, credentials) = rotate_credentials(log, access, &caller, &name).await.map_err(failed)?;
    let known =
        command::registration(log, &name).await.map_err(|error| PageError::Unread(error.to_string()))?;
    let state = known.and_then(|known| known.enabled).map_or("disabled", StrategyMode::name);
    Ok(Json(told(&strategy, &credentials, state.to_owned())))
}

/// In which mode to enable.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Enable {
    /// `shadow`: its signals are recorded and make no order. `paper`: they become orders, but open nothing on an account
    /// that trades with money. `live`: they do; 409 unless the account is confirmed for it.
    #[schema(pattern = "^(shadow|paper|live)$")]
    mode: String,
    /// In mode `shadow`, in which it manages nothing, what becomes of its positions; must be stated where it holds
    /// something. `keep`: they stay in its name, and nobody manages them. `flatten`: they are closed at the market.
    /// `hand_over`: another strategy takes them over.
    #[serde(default)]
    #[schema(pattern = "^(keep|flatten|hand_over)$")]
    positions: Option<String>,
    /// Who takes them over: a strategy of the same account that is enabled in mode `paper` or `live`, or `manual`.
    #[serde(default)]
    hand_over_to: Option<String>,
}

/// Why, and what becomes of its positions.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Disable {
    /// Must be stated where it holds something. `keep`: it goes on to manage them, and opens nothing. `flatten`: they are
    /// closed at the market. `hand_over`: another strategy takes them over.
    #[serde(default)]
    #[schema(pattern = "^(keep|flatten|hand_over)$")]
    positions: Option<String>,
    /// Who takes them over: a strategy of the same account that is enabled in mode `paper` or `live`, or `manual`.
    #[serde(default)]
    hand_over_to: Option<String>,
    /// For the audit.
    #[serde(default)]
    #[schema(max_length = 200)]
    reason: String,
}

/// Who takes over.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Replace {
    /// Registered strategy that takes over.
    with: String,
    /// Only if it has run beside the old one: enabled in shadow mode.
    #[serde(default)]
    from_shadow: bool,
    /// What becomes of what the old one holds; must be stated where it holds something. `keep`: the old one goes on to
    /// manage it, and opens nothing. `flatten`: it is closed at the market. `hand_over`: the next one takes it over.
    #[serde(default)]
    #[schema(pattern = "^(keep|flatten|hand_over)$")]
    positions: Option<String>,
    /// For the audit.
    #[serde(default)]
    #[schema(max_length = 200)]
    reason: String,
}

/// What a command came to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StrategySwitched)]
pub struct Switched {
    /// Strategy.
    strategy: String,
    /// Its state now: `disabled`, `shadow` or `paper`; `removed` where something was left behind.
    state: String,
}

/// What a hand-over came to.
#[derive(Debug, Serialize, ToSchema)]
pub struct Replaced {
    /// Strategy that is disabled now.
    strategy: String,
    /// Strategy that has taken over.
    with: String,
    /// Account, from the old one.
    account: String,
    /// Mode, from the old one: `shadow` or `paper`.
    mode: String,
    /// What becomes of what the old one holds: `keep`, `flatten`, `hand_over`, or `unspecified` where it holds nothing.
    positions: &'static str,
}

/// Let a strategy's signals take effect.
#[utoipa::path(post, path = "/api/v1/strategies/{name}/enable", tag = "strategies", operation_id = "enable_strategy",
    params(("name" = String, Path, description = "Strategy's name"), Key),
    request_body = Enable, responses((status = 200, body = Switched), Problems))]
pub async fn enable(
    State(app): State<Arc<App>>,
    At(name): At<String>,
    Extension(actor): Extension<Actor>,
    key: Key,
    _: Asked<NoFields>,
    Given(asked): Given<Enable>,
) -> Result<Json<Switched>, Problem> {
    let strategy = registered(&app, name).await?;
    let mode = strategy_mode(&asked.mode).map_err(failed)?;
    let caller = caller(&actor, &key, &strategy);
    let positions = asked.positions.as_deref().unwrap_or_default();
    let to = asked.hand_over_to.as_deref().unwrap_or_default();
    let leaves = shadowing(&app, &strategy, mode, positions, to).await?;
    // Unlike the page's form, which always names somebody, a request that does so means a hand-over.
    let leaves = Leaving { hand_over_to: to.to_owned(), ..leaves };
    command::enable_strategy(&app.context.tape, &caller, &strategy, mode, &leaves).await.map_err(failed)?;
    Ok(Json(Switched { strategy, state: asked.mode }))
}

/// Stop a strategy's signals, and say what becomes of its positions; of one that is removed, of what it left behind.
#[utoipa::path(post, path = "/api/v1/strategies/{name}/disable", tag = "strategies", operation_id = "disable_strategy",
    params(("name" = String, Path, description = "Strategy's name"), Key),
    request_body = Disable, responses((status = 200, body = Switched), Problems))]
pub async fn disable(
    State(app): State<Arc<App>>,
    At(name): At<String>,
    Extension(actor): Extension<Actor>,
    key: Key,
    _: Asked<NoFields>,
    Given(asked): Given<Disable>,
) -> Result<Json<Switched>, Problem> {
    let strategy = reachable(&app, name).await?;
    let reason = reason(&asked.reason)?;
    let caller = caller(&actor, &key, &strategy);
    let positions = asked.positions.as_deref().unwrap_or_default();
    let to = asked.hand_over_to.as_deref().unwrap_or_default();
    let leaves = stopping(&app, &strategy, positions, to).await?;
    // Unlike the page's form, which always names somebody, a request that does so means a hand-over.
    let leaves = Leaving { hand_over_to: to.to_owned(), ..leaves };
    let stopped = command::stop_strategy(&app.context.tape, &caller, &strategy, reason, &leaves).await;
    stopped.map_err(failed)?;
    let known = command::registration(&app.context.tape, &strategy).await?;
    let state = if known.is_some() { "disabled" } else { "removed" };
    Ok(Json(Switched { strategy, state: state.to_owned() }))
}

/// Hand over to another strategy, with account and mode, at one position of the tape.
#[utoipa::path(post, path = "/api/v1/strategies/{name}/replace", tag = "strategies", operation_id = "replace_strategy",
    params(("name" = String, Path, description = "Strategy's name"), Key),
    request_body = Replace, responses((status = 200, body = Replaced), Problems))]
pub async fn replace(
    State(app): State<Arc<App>>,
    At(name): At<String>,
    Extension(actor): Extension<Actor>,
    key: Key,
    _: Asked<NoFields>,
    Given(asked): Given<Replace>,
) -> Result<Json<Replaced>, Problem> {
    let strategy = registered(&app, name).await?;
    let reason = reason(&asked.reason)?;
    let caller = caller(&actor, &key, &strategy);
    let (log, access) = (&app.context.tape, app.config.strategies.as_ref());
    let leaves = leaving(&app, &strategy, asked.positions.as_deref().unwrap_or_default(), "").await?;
    let after = if asked.from_shadow {
        switch_strategy(log, access, &caller, &strategy, &asked.with, reason, &leaves).await
    } else {
        replace_strategy(log, access, &caller, &strategy, &asked.with, reason, &leaves).await
    };
    let after = after.map_err(failed)?;
    let mode = after.enabled.map_or("paper", StrategyMode::name).to_owned();
    let (account, positions) = (after.registered.account, command::fate_name(leaves.positions));
    Ok(Json(Replaced { strategy, with: asked.with, account, mode, positions }))
}

/// The fields of a removal.
#[derive(Debug)]
pub struct RemovalFields;

impl Fields for RemovalFields {
    const FIELDS: &'static [Field] = &[
        field(
            "positions",
            Kind::Choice(&["keep", "flatten", "hand_over"]),
            "What becomes of what it holds; must be stated where it holds something. `keep`: it stays in its name, and \
             nobody manages it. `flatten`: it is closed at the market. `hand_over`: another strategy takes it over.",
        ),
        field(
            "hand_over_to",
            Kind::Text(40),
            "Who takes it over: a strategy of the same account that is enabled in mode `paper` or `live`, or `manual`.",
        ),
    ];
}

/// End an external strategy's registration. Its user and consumers go, its history stays, and what it holds becomes what
/// is stated.
#[utoipa::path(delete, path = "/api/v1/strategies/{name}", tag = "strategies", operation_id = "remove_strategy",
    params(("name" = String, Path, description = "Strategy's name"), Asked<RemovalFields>, Key),
    responses((status = 204), Problems))]
pub async fn remove(
    State(app): State<Arc<App>>,
    At(name): At<String>,
    Extension(actor): Extension<Actor>,
    key: Key,
    asked: Asked<RemovalFields>,
    _: Nothing,
) -> Result<StatusCode, Problem> {
    // One that is removed already is asked for again: an interrupted removal is finished by that.
    let caller = caller(&actor, &key, &name);
    let access = app.config.strategies.as_ref();
    let of = |name: &str| asked.get(name).unwrap_or_default();
    let leaves = leaving(&app, &name, of("positions"), of("hand_over_to")).await?;
    // Unlike the page's form, which always names somebody, a request that does so means a hand-over.
    let leaves = Leaving { hand_over_to: of("hand_over_to").to_owned(), ..leaves };
    remove_strategy(&app.context.tape, access, &caller, &name, REASON, &leaves).await.map_err(failed)?;
    Ok(StatusCode::NO_CONTENT)
}

fn reason(text: &str) -> Result<&str, PageError> {
    if text.chars().count() > REASON_CHARS_MAX {
        return Err(PageError::field("reason", text, "at most 200 characters"));
    }
    Ok(if text.trim().is_empty() { REASON } else { text.trim() })
}
