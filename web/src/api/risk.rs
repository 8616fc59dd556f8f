//! Limits by scope, what is stopped, what the monitor measured; the kill switch and breakers.

mod in_force;
pub mod measured;

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use contracts::Subject;
use contracts::stream::TRADING;
use contracts::v1::{BreakerKind, LimitsSet, TradeLimits};
use domain::book::{Book, LimitSet, Scope, kill_state};
use domain::calendar::Calendar;
use domain::risk::{breaker, fields, scope_usage};
use projections::queries::{self, LimitVersionRow, NamedLimit, named_limits};
use runtime::command::{self, LimitsChange, LimitsError, Stop};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::{object, objects};
use super::fields::{Asked, Field, Fields, Kind, NoFields, field};
use super::{Given, Key, Problem, Problems, caller};
use crate::access::Actor;
use crate::action::{appended, tape};
use crate::app::App;
use crate::error::PageError;

pub use in_force::{Stays, Stopped, is_stopped, of_tally, outlasting, stopped, strictest};

const ROWS: u32 = 200;
/// Most limits of one change.
const LIMITS_MAX: usize = 64;

fn unread(error: queries::QueryError) -> PageError {
    PageError::ReadModel(error.to_string())
}

/// What limits are of.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitsOf {
    /// Account; empty for each one.
    #[serde(default)]
    account: String,
    /// Strategy, or `manual` for what is traded by hand; empty for each one.
    #[serde(default)]
    strategy: String,
    /// Symbol; empty for each one.
    #[serde(default)]
    #[schema(max_length = 32)]
    symbol: String,
}

impl LimitsOf {
    /// Joins the three names.
    pub fn new(account: String, strategy: String, symbol: String) -> Self {
        Self { account, strategy, symbol }
    }
}

/// The limits of a scope.
#[derive(Debug, Serialize, ToSchema)]
pub struct Stated {
    /// What they are of.
    scope: LimitsOf,
    /// Version of the statement.
    version: u64,
    /// The limits, by name; none when they were ended.
    limits: Vec<NamedLimit>,
    /// Who stated them.
    actor: String,
    /// Why.
    reason: String,
}

impl Stated {
    fn of(set: &LimitSet) -> Self {
        let Scope { account, strategy, symbol } = set.scope.clone();
        Self {
            scope: LimitsOf { account, strategy, symbol },
            version: set.version,
            limits: named_limits(&set.limits),
            actor: set.actor.clone(),
            reason: set.reason.clone(),
        }
    }

    fn of_event(set: LimitsSet) -> Self {
        let scope = Scope::of(set.scope.as_ref());
        let limits = set.limits.unwrap_or_default();
        let (version, actor, reason) = (set.version, set.actor, set.reason);
        Self::of(&LimitSet { scope, version, limits, actor, reason, since_ns: 0 })
    }
}

/// How much of a limit of a scope is used.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScopeUsed {
    /// Account it is measured on.
    account: String,
    /// What the limit is of.
    scope: LimitsOf,
    /// Name of the limit.
    limit: &'static str,
    /// What is used, a decimal.
    used: String,
    /// What may be used, a decimal.
    most: String,
    /// What uses the most: a symbol; empty for the scope as a whole.
    of: String,
}

/// A limit that there is.
#[derive(Debug, Serialize, ToSchema)]
pub struct LimitName {
    /// Name.
    name: &'static str,
    /// What it limits.
    what: &'static str,
    /// What its value must be.
    expected: &'static str,
}

/// Limits in force.
#[derive(Debug, Serialize, ToSchema)]
pub struct Limits {
    /// By scope.
    rows: Vec<Stated>,
    /// What is used of them, as of the last marks.
    usage: Vec<ScopeUsed>,
    /// Every limit that can be stated.
    names: Vec<LimitName>,
}

/// Limits by account, strategy and symbol, and what is used of them.
#[utoipa::path(get, path = "/api/v1/limits", tag = "trading", operation_id = "list_limits",
    responses((status = 200, body = Limits), Problems))]
pub async fn limits(State(app): State<Arc<App>>, _: Asked<NoFields>) -> Result<Json<Limits>, Problem> {
    let book = queries::load_book(&app.config.pool).await.map_err(unread)?;
    let rows = book.limit_sets().filter(|set| set.is_stated()).map(Stated::of).collect();
    let calendar = app.config.calendar;
    let usage = book.accounts().flat_map(|account| used(&book, &account.account, calendar)).collect();
    let names = fields::fields().map(|field| LimitName {
        name: field.name,
        what: field.what,
        expected: field.unit.expected(),
    });
    Ok(Json(Limits { rows, usage, names: names.collect() }))
}

fn used(book: &Book, account: &str, calendar: &Calendar) -> Vec<ScopeUsed> {
    let row = |usage: domain::risk::ScopeUsage| {
        let Scope { account: of, strategy, symbol } = usage.scope.clone();
        ScopeUsed {
            account: account.to_owned(),
            scope: LimitsOf { account: of, strategy, symbol },
            limit: usage.limit,
            used: usage.used_text(),
            most: usage.most_text(),
            of: usage.of,
        }
    };
    scope_usage(book, account, calendar).into_iter().map(row).collect()
}

/// How many statements of limits.
#[derive(Debug)]
pub struct HistoryFields;

impl Fields for HistoryFields {
    const FIELDS: &'static [Field] =
        &[field("limit", Kind::Whole(1, 200), "At most so many; 200 when it does not say")];
}

/// Statements of limits.
#[derive(Debug, Serialize, ToSchema)]
pub struct LimitsHistory {
    /// Newest first.
    rows: Vec<LimitVersionRow>,
}

/// Every statement of limits by scope, with author and reason, newest first.
#[utoipa::path(get, path = "/api/v1/limits/history", tag = "trading", operation_id = "list_limits_history",
    params(Asked<HistoryFields>), responses((status = 200, body = LimitsHistory), Problems))]
pub async fn history(
    State(app): State<Arc<App>>,
    asked: Asked<HistoryFields>,
) -> Result<Json<LimitsHistory>, Problem> {
    let limit = asked.number("limit", ROWS, ROWS)?;
    let rows = queries::limit_versions(&app.config.pool, limit).await.map_err(unread)?;
    Ok(Json(LimitsHistory { rows }))
}

/// One limit to be stated or ended.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitChange {
    /// Name, for example `max_leverage`.
    #[schema(max_length = 64)]
    name: String,
    /// Value as text; `none` ends it.
    #[schema(max_length = 2000)]
    value: String,
}

/// Limits to be stated.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewLimits {
    /// What they are of; absent for everything.
    #[serde(default, deserialize_with = "object")]
    scope: LimitsOf,
    /// What changes; what is not named stays.
    #[serde(deserialize_with = "objects")]
    #[schema(min_items = 1, max_items = 64)]
    limits: Vec<LimitChange>,
    /// For the audit.
    #[serde(default)]
    #[schema(max_length = 200, pattern = "^[^\\u0000-\\u001f\\u007f]*$")]
    reason: String,
}

/// State or end limits of a scope; they hold from the next decision on. What changes nothing makes no new version.
#[utoipa::path(post, path = "/api/v1/limits", tag = "trading", operation_id = "set_limits", params(Key),
    request_body = NewLimits, responses((status = 200, body = Stated), Problems))]
pub async fn set(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    key: Key,
    _: Asked<NoFields>,
    Given(asked): Given<NewLimits>,
) -> Result<Json<Stated>, Problem> {
    let reason = super::fields::reason(&asked.reason)?.to_owned();
    let scope = known(&app, &asked.scope).await?;
    if asked.limits.is_empty() || asked.limits.len() > LIMITS_MAX {
        let count = asked.limits.len().to_string();
        return Err(PageError::field("limits", &count, "1 to 64 limits").into());
    }
    let named: Vec<(String, String)> =
        asked.limits.into_iter().map(|change| (change.name, change.value)).collect();
    let caller = caller(&actor, &key, "limits");
    let change = state_limits(&app, &caller, &scope, &named, &reason).await?;
    Ok(Json(Stated::of_event(change.set)))
}

/// States limits, for the API and the page.
pub async fn state_limits(
    app: &App,
    caller: &command::Caller,
    scope: &Scope,
    named: &[(String, String)],
    reason: &str,
) -> Result<LimitsChange, PageError> {
    let refused = |error: fields::LimitError| LimitsError::Invalid {
        field: error.field,
        value: error.value,
        expected: error.expected,
    };
    let change = |limits: &mut TradeLimits| {
        fields::state_all(limits, named).map_err(refused)?;
        fields::check(scope, limits).map_err(refused)
    };
    let stated = command::change_limits(&app.context.tape, caller, &scope.to_wire(), reason, change).await;
    stated.map_err(|error| match error {
        LimitsError::Invalid { field, value, expected } => {
            let value: String = value.chars().take(40).collect();
            PageError::Field { field: "limits".into(), value: format!("{field}={value}"), expected }
        }
        LimitsError::Append(error) => appended(error),
        error @ LimitsError::Log(_) => tape(error),
    })
}

/// The scope, once its account and strategy are known to be there.
pub async fn known(app: &App, of: &LimitsOf) -> Result<Scope, PageError> {
    check_stop(app, &of.account, &of.strategy).await?;
    let symbol = match of.symbol.as_str() {
        "" => String::new(),
        text => super::fields::symbol("scope.symbol", text)?,
    };
    Ok(Scope::new(&of.account, &of.strategy, &symbol))
}

/// Refuses an account or a strategy that there is not; what is traded by hand has stops and limits as a strategy has, and
/// so has what a strategy that was removed has left behind.
pub async fn check_stop(app: &App, account: &str, strategy: &str) -> Result<(), PageError> {
    if !account.is_empty() {
        check_account(app, account).await?;
    }
    if !strategy.is_empty() && strategy != contracts::MANUAL {
        crate::action::reachable(app, strategy.to_owned()).await?;
    }
    Ok(())
}

/// Refuses an account that there is not.
pub async fn check_account(app: &App, account: &str) -> Result<(), PageError> {
    let known = crate::pages::account_names(app).await?.iter().any(|known| known == account);
    if known { Ok(()) } else { Err(PageError::Missing(format!("account {account:?}"))) }
}

/// What to kill, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Kill {
    /// `all` for everything; without it an account, a strategy or both must be named.
    #[serde(default)]
    #[schema(pattern = "^all$")]
    scope: Option<String>,
    /// Account; absent or empty for each one.
    #[serde(default)]
    account: String,
    /// Strategy, or `manual` for what is traded by hand; absent or empty for each one.
    #[serde(default)]
    strategy: String,
    /// Also close every position.
    #[serde(default)]
    flatten: bool,
    /// For the audit.
    #[serde(default)]
    #[schema(max_length = 200, pattern = "^[^\\u0000-\\u001f\\u007f]*$")]
    reason: String,
}

impl Kill {
    /// Refuses a kill of everything that does not say so: a name that was left out must not be everything.
    fn check_scope(&self) -> Result<(), PageError> {
        let is_named = !self.account.is_empty() || !self.strategy.is_empty();
        let expected = match (self.scope.as_deref(), is_named) {
            (None, true) | (Some("all"), false) => return Ok(()),
            (_, true) => "none beside an account or a strategy",
            (_, false) => "all, or an account or a strategy to be named instead",
        };
        Err(PageError::field("scope", self.scope.as_deref().unwrap_or_default(), expected))
    }
}

/// What the kill switch came to.
#[derive(Debug, Serialize, ToSchema)]
pub struct Killed {
    /// Account; empty for all.
    account: String,
    /// Strategy; empty for all.
    strategy: String,
    /// Whether positions are being closed.
    flatten: bool,
    /// The stricter stop of this scope that stays in force; null where there is none.
    stays: Option<Stays>,
}

/// Kill switch: cancel every open order of a strategy, an account or everything (which has to be said: `"scope": "all"`),
/// and open nothing.
#[utoipa::path(post, path = "/api/v1/trading/kill", tag = "trading", operation_id = "kill_trading", params(Key),
    request_body = Kill, responses((status = 200, body = Killed), Problems))]
pub async fn kill(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    key: Key,
    _: Asked<NoFields>,
    Given(asked): Given<Kill>,
) -> Result<Json<Killed>, Problem> {
    asked.check_scope()?;
    let reason = super::fields::reason(&asked.reason)?.to_owned();
    check_stop(&app, &asked.account, &asked.strategy).await?;
    let caller = caller(&actor, &key, &format!("{}/{}", asked.account, asked.strategy));
    let stop = Stop { account: asked.account.clone(), strategy: asked.strategy.clone(), reason };
    command::kill(&app.context.tape, &caller, &stop, asked.flatten).await.map_err(appended)?;
    let stays = outlasting(&app, &stop, kill_state(asked.flatten)).await.map(Stays::from);
    Ok(Json(Killed { account: asked.account, strategy: asked.strategy, flatten: asked.flatten, stays }))
}

/// Which breaker to reset, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reset {
    /// Account.
    account: String,
    /// Strategy, for a breaker of one.
    #[serde(default)]
    strategy: String,
    /// Which, for example `drawdown`; absent for all of them.
    #[serde(default)]
    breaker: Option<String>,
    /// For the audit.
    #[serde(default)]
    #[schema(max_length = 200, pattern = "^[^\\u0000-\\u001f\\u007f]*$")]
    reason: String,
}

/// What a reset came to.
#[derive(Debug, Serialize, ToSchema)]
pub struct ResetDone {
    /// Account.
    account: String,
    /// Strategy; empty for the account.
    strategy: String,
    /// `reset`, or `not_tripped` where none had tripped and nothing was changed.
    state: &'static str,
}

/// End a circuit breaker and measure anew from here. One that has not tripped goes on as it is.
#[utoipa::path(post, path = "/api/v1/breakers/reset", tag = "trading", operation_id = "reset_breaker", params(Key),
    request_body = Reset, responses((status = 200, body = ResetDone), Problems))]
pub async fn reset(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    key: Key,
    _: Asked<NoFields>,
    Given(asked): Given<Reset>,
) -> Result<Json<ResetDone>, Problem> {
    let reason = super::fields::reason(&asked.reason)?.to_owned();
    if asked.account.is_empty() {
        return Err(PageError::field("account", "", "the account of the breaker").into());
    }
    check_stop(&app, &asked.account, &asked.strategy).await?;
    let kind = breaker_kind(asked.breaker.as_deref())?;
    let caller = caller(&actor, &key, &format!("{}/{}", asked.account, asked.strategy));
    let stop = Stop { account: asked.account.clone(), strategy: asked.strategy.clone(), reason };
    let state = if reset_tripped(&app, &caller, &stop, kind).await? { "reset" } else { "not_tripped" };
    Ok(Json(ResetDone { account: asked.account, strategy: asked.strategy, state }))
}

/// Resets a breaker that has tripped; answers whether one had. Where the read model has not folded yet what tripped last,
/// the command is what counts.
pub async fn reset_tripped(
    app: &App,
    caller: &command::Caller,
    stop: &Stop,
    kind: BreakerKind,
) -> Result<bool, PageError> {
    let tripped = Subject::of(&["account", &stop.account, "breaker_tripped"]);
    let last = app.context.tape.last_sequence(TRADING, tripped.as_str()).await?;
    let book = queries::load_book(&app.config.pool).await?;
    let has_tripped = book.sequence() < last || book.has_tripped(&stop.account, &stop.strategy, kind);
    if has_tripped {
        command::reset_breaker(&app.context.tape, caller, stop, kind).await.map_err(appended)?;
    }
    Ok(has_tripped)
}

/// The kind that a name stands for; all when there is none.
pub fn breaker_kind(name: Option<&str>) -> Result<BreakerKind, PageError> {
    let Some(name) = name.filter(|name| !name.is_empty()) else { return Ok(BreakerKind::Unspecified) };
    breaker::of_name(name).ok_or_else(|| {
        let known = breaker::KINDS.map(breaker::name).join(", ");
        PageError::field("breaker", name, format!("one of {known}"))
    })
}
