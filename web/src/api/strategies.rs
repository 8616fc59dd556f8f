//! Strategies: what the page shows and does.
//!
//! Registering answers with the credentials of the strategy's process. They are in that answer alone, and in
//! its repetition under the same key for as long as this process remembers it.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use projections::StrategyReport;
use runtime::command::{self, register_strategy, remove_strategy, replace_strategy, strategy_mode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::status::Nothing;
use super::{Key, Problem, Problems, caller};
use crate::access::Actor;
use crate::action::{registered, tape};
use crate::app::App;
use crate::error::PageError;
use crate::pages::strategies::{failed, new_strategy};

/// Longest reason.
const REASON_CHARS_MAX: usize = 200;
/// Written into the audit when no reason is given.
const REASON: &str = "through the API";

/// A parameter of a built-in strategy.
#[derive(Debug, Serialize, ToSchema)]
pub struct Setting {
    /// Name.
    name: String,
    /// Value.
    value: String,
    /// What it counts or measures, for example `bars`.
    unit: String,
    /// What it may be, in words.
    range: String,
    /// The value when the registration states none.
    default: String,
    /// What it does.
    description: String,
}

/// Where a strategy's bars come from, and how far its durable consumer is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Subscription {
    /// Stream.
    stream: String,
    /// Durable consumer; the built-in strategies share one.
    consumer: String,
    /// Subjects that it reads.
    subjects: Vec<String>,
    /// Messages that it was not given yet; null when there is no consumer or the server does not answer.
    pending: Option<u64>,
    /// Messages that it was given and has not acknowledged.
    ack_pending: Option<u64>,
    /// The highest MARKET sequence up to which everything is acknowledged.
    ack_floor: Option<u64>,
}

/// The last signal.
#[derive(Debug, Serialize, ToSchema)]
pub struct LastSignal {
    /// Event id, by which `/api/v1/chain/{event_id}` has what led to it and what followed.
    event_id: String,
    /// TRADING sequence.
    sequence: u64,
    /// Event time, UTC nanoseconds.
    event_time_ns: i64,
    /// In words.
    text: String,
}

/// A strategy with all that is known of it. Money is a decimal in US dollars, at the last mark.
#[derive(Debug, Serialize, ToSchema)]
pub struct Strategy {
    /// Name.
    name: String,
    /// Built-in kind; empty for an external strategy.
    kind: String,
    /// Whether it runs in a process of its own.
    external: bool,
    /// `removed`, `disabled`, or the mode that it is enabled in: `shadow`, `paper`.
    state: String,
    /// Account it trades on.
    account: String,
    /// How its entries are sized: `fixed:SHARES` or `fraction:SHARE_OF_EQUITY`; null when not stated.
    sizing: Option<String>,
    /// Parameters of a built-in strategy.
    settings: Vec<Setting>,
    /// Where its bars come from.
    subscription: Subscription,
    /// Bars of its warm-up; null before it, and for an external strategy.
    warmed_bars: Option<u64>,
    /// The last signal; null before the first.
    last_signal: Option<LastSignal>,
    /// Signals.
    signals: u64,
    /// Orders that risk approved.
    orders: u64,
    /// Fills of them.
    fills: u64,
    /// Round trips that have ended: from flat to flat in one symbol.
    round_trips: u64,
    /// Those whose realised profit, less commissions and fees, is more than zero.
    round_trips_won: u64,
    /// `round_trips_won` / `round_trips`, from 0 to 1; null before the first has ended.
    hit_rate: Option<f64>,
    /// Positions that are not flat.
    open_positions: u64,
    /// Gross realised profit and loss.
    realized_pnl: String,
    /// Profit and loss of what it holds.
    unrealized_pnl: String,
    /// Dividends received less dividends paid.
    dividends: String,
    /// Commissions and fees paid.
    fees: String,
    /// realised + unrealised + dividends − fees.
    net_pnl: String,
}

impl Strategy {
    fn of(report: StrategyReport) -> Self {
        let StrategyReport { row, state, record, settings, subscription } = report;
        let lag = subscription.lag;
        let last = row.last_signal_id.clone().zip(row.last_signal_sequence).zip(row.last_signal_ns);
        let text = row.last_signal.clone();
        Self {
            external: row.is_external(),
            sizing: row.sizing.as_ref().and_then(domain::sizing::text),
            settings: settings.into_iter().map(Setting::of).collect(),
            subscription: Subscription {
                stream: subscription.stream,
                consumer: subscription.consumer,
                subjects: subscription.subjects,
                pending: lag.map(|lag| lag.pending),
                ack_pending: lag.map(|lag| lag.ack_pending),
                ack_floor: lag.map(|lag| lag.ack_floor),
            },
            last_signal: last.map(|((event_id, sequence), event_time_ns)| LastSignal {
                event_id,
                sequence,
                event_time_ns,
                text,
            }),
            name: row.strategy,
            kind: row.kind,
            state,
            account: row.account,
            warmed_bars: row.warmed_bars,
            signals: row.signals,
            orders: record.orders,
            fills: record.fills,
            round_trips: record.round_trips,
            round_trips_won: record.round_trips_won,
            hit_rate: record.hit_rate,
            open_positions: row.open_positions,
            realized_pnl: row.realized_pnl.to_string(),
            unrealized_pnl: row.unrealized_pnl.to_string(),
            dividends: row.dividends.to_string(),
            fees: row.fees.to_string(),
            net_pnl: row.net_pnl.to_string(),
        }
    }
}

impl Setting {
    fn of(setting: projections::Setting) -> Self {
        let projections::Setting { name, value, unit, range, default, description } = setting;
        Self { name, value, unit, range, default, description }
    }
}

/// Every strategy that was ever registered, by name.
#[derive(Debug, Serialize, ToSchema)]
pub struct Strategies {
    /// The strategies.
    rows: Vec<Strategy>,
}

/// All strategies, by name, those removed included.
#[utoipa::path(get, path = "/api/v1/strategies", tag = "strategies", operation_id = "list_strategies",
    responses((status = 200, body = Strategies), Problems))]
pub async fn list(
    State(app): State<Arc<App>>,
    Query(Nothing {}): Query<Nothing>,
) -> Result<Json<Strategies>, Problem> {
    let reports = app.fleet.reports(&app).await?;
    Ok(Json(Strategies { rows: reports.into_iter().map(Strategy::of).collect() }))
}

/// One strategy.
#[utoipa::path(get, path = "/api/v1/strategies/{name}", tag = "strategies", operation_id = "get_strategy",
    params(("name" = String, Path, description = "Strategy's name")),
    responses((status = 200, body = Strategy), Problems))]
pub async fn show(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Query(Nothing {}): Query<Nothing>,
) -> Result<Json<Strategy>, Problem> {
    let report = app.fleet.report(&app, &name).await?;
    let report = report.ok_or_else(|| PageError::Missing(format!("strategy {name:?}")))?;
    Ok(Json(Strategy::of(report)))
}

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
    /// `fixed:SHARES` or `fraction:SHARE_OF_EQUITY`; `fraction:0.1` when absent.
    sizing: Option<String>,
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
    params(("Idempotency-Key" = String, Header, description = "8 to 64 letters, digits and -",
        min_length = 8, max_length = 64, pattern = "^[A-Za-z0-9-]{8,64}$")),
    request_body = NewStrategy, responses((status = 201, body = Registered), Problems))]
pub async fn register(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    key: Key,
    Json(asked): Json<NewStrategy>,
) -> Result<(StatusCode, Json<Registered>), Problem> {
    let subjects = asked.subjects.unwrap_or_else(|| runtime::DEFAULT_SUBJECTS.map(str::to_owned).to_vec());
    let sizing = asked.sizing.as_deref().unwrap_or("fraction:0.1");
    let new = new_strategy(&asked.name, subjects, &asked.account, sizing)?;
    let mode = asked.mode.as_deref().map(strategy_mode).transpose().map_err(failed)?;
    let caller = caller(&actor, &key, &new.name);
    let (log, access) = (&app.context.tape, app.config.strategies.as_ref());
    let (strategy, credentials) = register_strategy(log, access, &caller, &new).await.map_err(failed)?;
    if let Some(mode) = mode {
        command::enable_strategy(log, &caller, &strategy.name, mode).await.map_err(tape)?;
    }
    let file = credentials.file(&strategy);
    let registered = Registered {
        strategy: file.strategy.to_owned(),
        account: file.account.to_owned(),
        state: asked.mode.unwrap_or_else(|| "disabled".to_owned()),
        url: file.url.to_owned(),
        user: file.user.to_owned(),
        password: file.password.to_owned(),
        consumer: file.consumer,
        inbox_prefix: file.inbox_prefix,
        to_add: credentials.to_add.clone(),
    };
    Ok((StatusCode::CREATED, Json(registered)))
}

/// In which mode to enable.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Enable {
    /// `shadow`: its signals are recorded and make no order. `paper`: they become orders on the paper account.
    #[schema(pattern = "^(shadow|paper)$")]
    mode: String,
}

/// Why.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Disable {
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
    /// For the audit.
    #[serde(default)]
    #[schema(max_length = 200)]
    reason: String,
}

/// What a command came to.
#[derive(Debug, Serialize, ToSchema)]
pub struct Switched {
    /// Strategy.
    strategy: String,
    /// Its state now: `disabled`, `shadow` or `paper`.
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
}

/// Let a strategy's signals take effect.
#[utoipa::path(post, path = "/api/v1/strategies/{name}/enable", tag = "strategies", operation_id = "enable_strategy",
    params(("name" = String, Path, description = "Strategy's name"),
        ("Idempotency-Key" = String, Header, description = "8 to 64 letters, digits and -",
        min_length = 8, max_length = 64, pattern = "^[A-Za-z0-9-]{8,64}$")),
    request_body = Enable, responses((status = 200, body = Switched), Problems))]
pub async fn enable(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Extension(actor): Extension<Actor>,
    key: Key,
    Json(asked): Json<Enable>,
) -> Result<Json<Switched>, Problem> {
    let strategy = registered(&app, name).await?;
    let mode = strategy_mode(&asked.mode).map_err(failed)?;
    let caller = caller(&actor, &key, &strategy);
    command::enable_strategy(&app.context.tape, &caller, &strategy, mode).await.map_err(tape)?;
    Ok(Json(Switched { strategy, state: asked.mode }))
}

/// Stop a strategy's signals; its positions stay.
#[utoipa::path(post, path = "/api/v1/strategies/{name}/disable", tag = "strategies", operation_id = "disable_strategy",
    params(("name" = String, Path, description = "Strategy's name"),
        ("Idempotency-Key" = String, Header, description = "8 to 64 letters, digits and -",
        min_length = 8, max_length = 64, pattern = "^[A-Za-z0-9-]{8,64}$")),
    request_body = Disable, responses((status = 200, body = Switched), Problems))]
pub async fn disable(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Extension(actor): Extension<Actor>,
    key: Key,
    Json(asked): Json<Disable>,
) -> Result<Json<Switched>, Problem> {
    let strategy = registered(&app, name).await?;
    let reason = reason(&asked.reason)?;
    let caller = caller(&actor, &key, &strategy);
    command::disable_strategy(&app.context.tape, &caller, &strategy, reason).await.map_err(tape)?;
    Ok(Json(Switched { strategy, state: "disabled".to_owned() }))
}

/// Hand over to another strategy, with account and mode, at one position of the tape.
#[utoipa::path(post, path = "/api/v1/strategies/{name}/replace", tag = "strategies", operation_id = "replace_strategy",
    params(("name" = String, Path, description = "Strategy's name"),
        ("Idempotency-Key" = String, Header, description = "8 to 64 letters, digits and -",
        min_length = 8, max_length = 64, pattern = "^[A-Za-z0-9-]{8,64}$")),
    request_body = Replace, responses((status = 200, body = Replaced), Problems))]
pub async fn replace(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Extension(actor): Extension<Actor>,
    key: Key,
    Json(asked): Json<Replace>,
) -> Result<Json<Replaced>, Problem> {
    let strategy = registered(&app, name).await?;
    let reason = reason(&asked.reason)?;
    let caller = caller(&actor, &key, &strategy);
    let (log, access) = (&app.context.tape, app.config.strategies.as_ref());
    let after = replace_strategy(log, access, &caller, &strategy, &asked.with, reason).await;
    let after = after.map_err(failed)?;
    let mode = match after.enabled {
        Some(contracts::v1::StrategyMode::Shadow) => "shadow",
        _ => "paper",
    };
    let account = after.registered.account;
    Ok(Json(Replaced { strategy, with: asked.with, account, mode: mode.to_owned() }))
}

/// End an external strategy's registration. Its user and consumers go, its history and positions stay.
#[utoipa::path(delete, path = "/api/v1/strategies/{name}", tag = "strategies", operation_id = "remove_strategy",
    params(("name" = String, Path, description = "Strategy's name"),
        ("Idempotency-Key" = String, Header, description = "8 to 64 letters, digits and -",
        min_length = 8, max_length = 64, pattern = "^[A-Za-z0-9-]{8,64}$")),
    responses((status = 204), Problems))]
pub async fn remove(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Extension(actor): Extension<Actor>,
    key: Key,
) -> Result<StatusCode, Problem> {
    let strategy = registered(&app, name).await?;
    let caller = caller(&actor, &key, &strategy);
    let access = app.config.strategies.as_ref();
    remove_strategy(&app.context.tape, access, &caller, &strategy, REASON).await.map_err(failed)?;
    Ok(StatusCode::NO_CONTENT)
}

fn reason(text: &str) -> Result<&str, PageError> {
    if text.chars().count() > REASON_CHARS_MAX {
        return Err(PageError::field("reason", text, "at most 200 characters"));
    }
    Ok(if text.trim().is_empty() { REASON } else { text.trim() })
}
