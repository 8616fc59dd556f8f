//! Asking for a backtest, and for its end.

use std::collections::BTreeMap;
use std::sync::Arc;

use analytics::metrics::expected_of_search;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use contracts::v1::{
    AccountKind, BacktestFolds, BacktestKind, BacktestRange, BacktestRequest, BacktestSearch,
    BacktestStrategy, Parameter, RiskLimits,
};
use domain::order::group;
use domain::research::RunLimits;
use domain::research::ranges::values;
use domain::{research, sizing};
use projections::{HoursError, hours};
use runtime::command::{self, BacktestError, Caller};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::body::{object_or_none, objects};
use super::super::fields::{Asked, At, BacktestId, NoFields, Word, reason};
use super::super::{Given, GivenOrNone, Key, Problem, Problems, caller};
use super::missing;
use super::terms::{self, Known, ScopedLimits, amount, e9, of_domain};
use crate::access::Actor;
use crate::action::appended;
use crate::app::App;
use crate::error::PageError;

/// How entries are sized where nobody says.
pub const SIZING: &str = "fraction:0.1";

/// A strategy of a run.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BacktestStrategy)]
pub struct Strategy {
    /// Built-in kind, for example `sma_cross`; absent where `registered` is stated.
    #[serde(default)]
    pub kind: String,
    /// Name of a built-in strategy that is registered on the tape: it has the kind, parameters, symbols, sizing and
    /// policy of the registration where they are not stated here.
    pub registered: Option<String>,
    /// Name, unique in the run; that of the registration or the kind when absent.
    #[serde(default)]
    pub name: String,
    /// Parameters by name; what is not stated has its default.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// Symbols that it trades, and groups of the configuration as `@NAME`; all of the run when absent.
    #[serde(default)]
    pub symbols: Vec<String>,
    /// How its entries are sized; `fraction:0.1` when absent.
    pub sizing: Option<String>,
    /// What becomes of the orders of a signal when one of them fails: `none`, `complete`, `unwind` or `alert`; `none`
    /// when absent.
    pub group_policy: Option<String>,
}

/// Limits that a run is held against. Shares are of equity, 0.1 is ten per cent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BacktestLimits)]
pub struct Limits {
    /// Largest position per symbol as a share of equity.
    pub max_position: String,
    /// Largest gross exposure as a share of equity.
    pub max_exposure: String,
    /// Largest value of one order.
    pub max_order_value: String,
    /// Largest loss of one session as a share of the equity at its start.
    pub max_daily_loss: String,
    /// Largest distance of a limit price from the reference price, as a share of it.
    pub price_collar: String,
    /// Oldest reference price, in milliseconds of market time.
    #[schema(minimum = 0)]
    pub max_price_age_ms: u64,
}

/// What a search tries for one parameter.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BacktestRange)]
pub struct Range {
    /// Name of the strategy; may be absent where there is one.
    #[serde(default)]
    pub strategy: String,
    /// Parameter.
    pub parameter: String,
    /// Values; `FROM..TO` and `FROM..TO:STEP` stand for all from the first to the second.
    #[schema(min_items = 1)]
    pub values: Vec<String>,
}

/// How parameters are searched.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BacktestSearch)]
pub struct Search {
    /// `grid`, `random` or `tpe`.
    pub sampler: String,
    /// Number of runs; none of a grid, which tries every combination.
    #[serde(default)]
    pub runs: u32,
    /// Statistic that is to be highest; `sharpe` when absent.
    pub metric: Option<String>,
    /// What is tried.
    #[serde(deserialize_with = "objects")]
    pub ranges: Vec<Range>,
}

/// The windows of a walk-forward test, in sessions.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BacktestFolds)]
pub struct Folds {
    /// Every in-sample window begins at the start of the range; otherwise it rolls.
    #[serde(default)]
    pub anchored: bool,
    /// Sessions on which parameters are chosen.
    #[schema(minimum = 1)]
    pub in_sample: u32,
    /// Sessions on which they are tried.
    #[schema(minimum = 1)]
    pub out_of_sample: u32,
}

/// A backtest to run over the bars of the tape. Money, prices and shares are decimals.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewBacktest {
    /// `single`, `sweep` or `walk_forward`; `single` when absent.
    pub kind: Option<String>,
    /// Strategies; they share the account.
    #[serde(deserialize_with = "objects")]
    #[schema(min_items = 1, max_items = 16)]
    pub strategies: Vec<Strategy>,
    /// Symbols, and groups of the configuration as `@NAME`; all that the tape has when absent.
    #[serde(default)]
    pub symbols: Vec<String>,
    /// Timeframe of the bars: 1m, 5m, 15m, 30m, 1h or 1d.
    pub timeframe: String,
    /// First session, YYYY-MM-DD; as far as the data go when absent.
    #[serde(default)]
    pub from: String,
    /// Last session, YYYY-MM-DD.
    #[serde(default)]
    pub to: String,
    /// Cash at the start; 100000 when absent.
    pub cash: Option<String>,
    /// Account of the tape whose limits, costs and kind hold where none are stated, with the limits by scope of the tape;
    /// the one that the registered strategies trade on, if they trade on one, when absent.
    pub account: Option<String>,
    /// What the account may do with borrowed money and shares: `cash`, `margin`, or `none`, as the limits say.
    pub account_kind: Option<String>,
    /// Commission as a share of the traded value, per fill.
    pub commission_rate: Option<String>,
    /// Commission per share.
    pub commission_per_share: Option<String>,
    /// Least commission per fill.
    pub commission_minimum: Option<String>,
    /// Commission of an order, paid with its first fill.
    pub commission_per_order: Option<String>,
    /// Fees on sales: `us` for those of the SEC and FINRA, or `none`.
    pub regulatory_fees: Option<String>,
    /// Slippage of market orders in basis points.
    pub slippage_bps: Option<String>,
    /// Slippage per share.
    pub slippage_per_share: Option<String>,
    /// Slippage per share of a bar's volume that a fill takes, as a share of the price, 0 to 10.
    pub slippage_volume: Option<String>,
    /// Most of a bar's volume that fills, as a share; 0 means that volume does not matter.
    pub max_volume_share: Option<String>,
    /// Limits; those of the account and by scope of the tape, and buying power alone without one, when absent.
    #[serde(default, deserialize_with = "object_or_none")]
    pub limits: Option<Limits>,
    /// Whether neither the account's limits nor those of the tape hold: nothing but buying power and `limit_sets`.
    #[serde(default)]
    pub buying_power_only: bool,
    /// Limits by scope, each scope once; each limit goes before that of the tape of the same name, and `none` ends it.
    #[serde(default, deserialize_with = "objects")]
    #[schema(max_items = 64)]
    pub limit_sets: Vec<ScopedLimits>,
    /// Whether positions below zero are allowed.
    #[serde(default)]
    pub allow_short: bool,
    /// `XNYS`, `24x5` or `24x7`; that of the tape when absent.
    #[serde(default)]
    pub calendar: String,
    /// Which version of a bar counts that the tape states more than once: `latest`, each bar in its newest version from
    /// the start, or `as-known`, what was known at the time; `latest` when absent.
    pub revisions: Option<String>,
    /// Whether what is open at the end is closed at the last close, as trades; of a single run.
    #[serde(default)]
    pub finalize: bool,
    /// Seed of whatever is drawn at random; 1 when absent.
    pub seed: Option<u64>,
    /// Symbol to compare with, bought and held.
    #[serde(default)]
    pub benchmark: String,
    /// What a sweep or a walk-forward test tries.
    #[serde(default, deserialize_with = "object_or_none")]
    pub search: Option<Search>,
    /// The windows of a walk-forward test.
    #[serde(default, deserialize_with = "object_or_none")]
    pub folds: Option<Folds>,
}

/// A run that was asked for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RunAsked)]
pub struct Begun {
    /// Id.
    pub run_id: String,
    /// Its page.
    pub url: String,
}

/// Why its end is wanted.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BacktestCancel)]
pub struct Cancel {
    /// For the audit.
    #[serde(default)]
    #[schema(max_length = 200)]
    pub reason: String,
}

/// Ask for a backtest over the bars of the tape; the service `backtest` runs it.
#[utoipa::path(post, path = "/api/v1/backtests", tag = "research", operation_id = "request_backtest",
    params(Key), request_body = NewBacktest, responses((status = 202, body = Begun), Problems))]
pub async fn create(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    key: Key,
    _: Asked<NoFields>,
    Given(asked): Given<NewBacktest>,
) -> Result<(StatusCode, Json<Begun>), Problem> {
    let run_id = begin(&app, &caller(&actor, &key, ""), asked).await?;
    let url = crate::url::Url::Backtest(&run_id).to_string();
    Ok((StatusCode::ACCEPTED, Json(Begun { run_id, url })))
}

/// Ask for the end of a backtest; what it has come to by then is not kept.
#[utoipa::path(post, path = "/api/v1/backtests/{id}/cancel", tag = "research", operation_id = "cancel_backtest",
    params(BacktestId, Key), request_body = Option<Cancel>, responses((status = 202), Problems))]
pub async fn cancel(
    State(app): State<Arc<App>>,
    At(Word(id)): At<Word>,
    Extension(actor): Extension<Actor>,
    key: Key,
    _: Asked<NoFields>,
    GivenOrNone(asked): GivenOrNone<Cancel>,
) -> Result<StatusCode, Problem> {
    let reason = reason(&asked.reason)?;
    end(&app, &caller(&actor, &key, &id), &id, reason).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Checks what is asked and asks for it; answers the run's id. The page asks the same way.
pub async fn begin(app: &App, caller: &Caller, asked: NewBacktest) -> Result<String, PageError> {
    let known = Known::of(&app.context.tape, &asked).await?;
    let request = asked.request(&known, &app.config.universe, &caller.actor)?;
    let mut request = research::complete(request).map_err(of_domain)?;
    if request.calendar.is_empty() {
        let found = hours(&app.context.tape, app.config.calendar.market()).await.map_err(of_hours)?;
        found.name().clone_into(&mut request.calendar);
    }
    command::request_backtest(&app.context.tape, caller, request, "").await.map_err(appended)
}

/// Asks for the end of a run.
pub async fn end(app: &App, caller: &Caller, id: &str, reason: &str) -> Result<(), PageError> {
    command::cancel_backtest(&app.context.tape, caller, id, reason).await.map_err(|error| match error {
        BacktestError::Unknown(id) => missing(&id),
        BacktestError::Ended(_) => PageError::Conflict(format!("{error}; nothing was changed.")),
        BacktestError::Append(error) => appended(error),
        BacktestError::Log(error) => PageError::Unread(error.to_string()),
    })
}

fn of_hours(error: HoursError) -> PageError {
    match error {
        HoursError::Log(error) => PageError::Unread(error.to_string()),
        HoursError::Unclear(names) => {
            let held = names.join(" and ");
            let expected = format!("one of XNYS, 24x5, 24x7, because the tape holds sessions of {held}");
            PageError::field("calendar", "", expected)
        }
    }
}

impl NewBacktest {
    /// The request, each text read: with what is `known` of the names on the tape, the groups of the `universe`, and
    /// limits that `actor` states.
    fn request(
        self,
        known: &Known,
        universe: &BTreeMap<String, Vec<String>>,
        actor: &str,
    ) -> Result<BacktestRequest, PageError> {
        let kind = match self.kind.as_deref().unwrap_or("single") {
            "single" => BacktestKind::Single,
            "sweep" => BacktestKind::Sweep,
            "walk_forward" => BacktestKind::WalkForward,
            other => return Err(PageError::field("kind", other, "single, sweep or walk_forward")),
        };
        let stated =
            |text: &Option<String>, default: &str| text.clone().unwrap_or_else(|| default.to_owned());
        let cash = amount("cash", &stated(&self.cash, "100000"))?;
        let costs = terms::costs(&self, known.terms.costs.unwrap_or_default())?;
        let account_kind = terms::account_kind(self.account_kind.as_deref(), known.terms.kind())?;
        if account_kind == AccountKind::Cash && self.allow_short {
            let expected = "false, because an account of kind cash holds no short positions";
            return Err(PageError::field("allow_short", "true", expected));
        }
        let revisions =
            research::revisions(self.revisions.as_deref().unwrap_or("latest")).map_err(of_domain)?;
        let symbols = terms::expanded(universe, &self.symbols)?;
        let registered: Vec<Option<String>> =
            self.strategies.iter().map(|one| one.registered.clone()).collect();
        let strategies = self.strategies.into_iter().map(|strategy| strategy.wire(known, universe));
        let strategies = strategies.collect::<Result<Vec<_>, _>>()?;
        let only = strategies.first().map(|one| one.name.clone()).unwrap_or_default();
        let of_tape = match (&self.limits, self.buying_power_only) {
            (None, false) => known.limits(&registered, &strategies, &symbols),
            (Some(_), true) => {
                let expected = "false beside `limits`, which say what is checked";
                return Err(PageError::field("buying_power_only", "true", expected));
            }
            _ => RunLimits::default(),
        };
        let by_scope = terms::limit_sets(self.limit_sets, of_tape, &strategies, &symbols)?;
        let wider =
            |limits: RiskLimits| RiskLimits { allow_short: limits.allow_short || self.allow_short, ..limits };
        let limits = self.limits.map(|limits| limits.wire(self.allow_short)).transpose()?;
        let of_account = known.terms.limits.filter(|_| !self.buying_power_only);
        let mut request = BacktestRequest {
            kind: kind.into(),
            strategies,
            symbols,
            timeframe: self.timeframe,
            from: self.from,
            to: self.to,
            cash: cash.to_wire(),
            costs: Some(costs),
            limits: limits.or_else(|| of_account.map(wider)),
            account: known.account.clone(),
            account_kind: account_kind.into(),
            allow_short: self.allow_short,
            calendar: self.calendar,
            revisions: revisions.into(),
            finalize: self.finalize,
            seed: self.seed.unwrap_or(1),
            benchmark: self.benchmark,
            search: self.search.map(|search| search.wire(&only)).transpose()?,
            folds: self.folds.map(|folds| BacktestFolds {
                anchored: folds.anchored,
                in_sample_sessions: folds.in_sample,
                out_of_sample_sessions: folds.out_of_sample,
            }),
            ..BacktestRequest::default()
        };
        by_scope.put(actor, &mut request);
        Ok(request)
    }
}

impl Strategy {
    fn wire(
        self,
        known: &Known,
        universe: &BTreeMap<String, Vec<String>>,
    ) -> Result<BacktestStrategy, PageError> {
        let mut strategy = match &self.registered {
            Some(_) if !self.kind.is_empty() => {
                let expected = "none beside `registered`, which has a kind of its own";
                return Err(PageError::field("kind", &self.kind, expected));
            }
            Some(name) => known.strategy(name),
            None => {
                let (name, kind) = (self.kind.clone(), self.kind);
                BacktestStrategy { name, kind, ..BacktestStrategy::default() }
            }
        };
        if !self.name.is_empty() {
            strategy.name = self.name;
        }
        let stated = self.sizing.as_deref();
        if let Some(text) = stated.or_else(|| strategy.sizing.is_none().then_some(SIZING)) {
            let read = sizing::parse(text);
            strategy.sizing = Some(read.ok_or_else(|| PageError::field("sizing", text, sizing::EXPECTED))?);
        }
        if let Some(policy) = self.group_policy.as_deref() {
            let read = group::policy_from_name(policy);
            let wrong = || PageError::field("group_policy", policy, group::POLICY_EXPECTED);
            strategy.set_group_policy(read.ok_or_else(wrong)?);
        }
        for (name, value) in self.parameters {
            match strategy.parameters.iter_mut().find(|known| known.name == name) {
                Some(known) => known.value = value,
                None => strategy.parameters.push(Parameter { name, value }),
            }
        }
        if !self.symbols.is_empty() {
            strategy.symbols = terms::expanded(universe, &self.symbols)?;
        }
        Ok(strategy)
    }
}

impl Limits {
    fn wire(self, allow_short: bool) -> Result<RiskLimits, PageError> {
        let age = i64::try_from(self.max_price_age_ms);
        let age =
            age.map_err(|_| PageError::field("max_price_age_ms", "", "a whole number of milliseconds"))?;
        Ok(RiskLimits {
            max_position_fraction_e9: e9("max_position", &self.max_position)?,
            max_exposure_fraction_e9: e9("max_exposure", &self.max_exposure)?,
            max_order_value: amount("max_order_value", &self.max_order_value)?.to_wire(),
            max_daily_loss_fraction_e9: e9("max_daily_loss", &self.max_daily_loss)?,
            price_collar_fraction_e9: e9("price_collar", &self.price_collar)?,
            max_price_age_ms: age,
            allow_short,
        })
    }
}

impl Search {
    fn wire(self, only: &str) -> Result<BacktestSearch, PageError> {
        let metric = self.metric.unwrap_or_else(|| "sharpe".to_owned());
        if let Some(expected) = expected_of_search(&metric) {
            return Err(PageError::field("metric", &metric, expected));
        }
        let named = |strategy: String| if strategy.is_empty() { only.to_owned() } else { strategy };
        let range = |range: Range| -> Result<BacktestRange, PageError> {
            let mut all = Vec::new();
            for text in &range.values {
                let read = values(text.trim());
                all.extend(read.map_err(|error| PageError::field("ranges", text, error.expected))?);
            }
            Ok(BacktestRange { strategy: named(range.strategy), parameter: range.parameter, values: all })
        };
        Ok(BacktestSearch {
            sampler: self.sampler,
            runs: self.runs,
            ranges: self.ranges.into_iter().map(range).collect::<Result<_, _>>()?,
            metric,
        })
    }
}
