//! The launcher: strategies with their typed parameters, range, universe, account, costs, limits, seed.

use std::collections::BTreeMap;
use std::sync::Arc;

use analytics::metrics::searched;
use axum::Form;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Redirect, Response};
use domain::bar::Timeframe;
use domain::research::{REVISIONS, SAMPLERS};
use projections::queries::{self, Series};

use super::chosen::{self, Strategies};
use super::search::Sought;
use super::{PATH, is_any};
use crate::action::{caller_of, notice_line};
use crate::api::backtests::KINDS;
use crate::api::backtests::ask::{self, NewBacktest};
use crate::api::backtests::terms::read_limits;
use crate::app::App;
use crate::error::PageError;
use crate::pages::{Params, account_names};
use crate::url::Url;

/// Symbols offered.
const SYMBOLS_MAX: usize = 500;
/// Symbols of the sample.
const SAMPLE_SYMBOLS: usize = 3;

/// A run that suits the tape, to try it out.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub symbols: String,
    pub timeframe: String,
}

/// What the form shows.
#[derive(Clone, Debug)]
pub(super) struct Launcher {
    /// Kinds of runs: word and title.
    pub run_kinds: [(&'static str, &'static str); 3],
    /// The one that the form is for.
    pub run_kind: String,
    pub samplers: [&'static str; 3],
    /// Metrics that a search can be for: name and label.
    pub metrics: Vec<(&'static str, &'static str)>,
    pub strategies: Strategies,
    /// How entries can be sized, in words.
    pub sizing: &'static str,
    /// Accounts whose terms a run can have.
    pub accounts: Vec<String>,
    /// Symbols of the tape, and the groups of the configuration before them.
    pub symbols: Vec<String>,
    pub timeframes: Vec<&'static str>,
    pub timeframe: String,
    /// What a run may see of revised bars.
    pub revisions: [&'static str; 2],
    pub sample: Option<Sample>,
    /// Whether the tape has bars at all.
    pub bars: bool,
}

impl Launcher {
    /// The form for the strategies that the fields `strategy`, `strategy_2` and so on name.
    pub(super) async fn of(app: &App, params: &Params) -> Result<Self, PageError> {
        let run_kind = params.one_of("run", &KINDS)?.unwrap_or_else(|| "single".to_owned());
        let series = queries::series(&app.config.pool).await?;
        let largest = series.iter().max_by_key(|series| series.bars);
        let timeframe = largest.map_or_else(|| "1h".to_owned(), |series| series.timeframe.clone());
        let mut symbols: Vec<String> = series.iter().map(|series| series.symbol.clone()).collect();
        symbols.sort();
        symbols.dedup();
        symbols.truncate(SYMBOLS_MAX);
        let groups = app.config.universe.keys().map(|name| format!("@{name}"));
        let sample = if is_any(app).await? { None } else { sample(&series, &timeframe) };
        Ok(Self {
            run_kinds: [("single", "One run"), ("sweep", "Sweep"), ("walk_forward", "Walk-forward test")],
            samplers: SAMPLERS,
            metrics: searched().map(|metric| (metric.name, metric.label)).collect(),
            strategies: Strategies::of(app, params, run_kind == "single").await?,
            sizing: domain::sizing::EXPECTED,
            accounts: account_names(app).await?,
            run_kind,
            symbols: groups.chain(symbols).collect(),
            timeframes: Timeframe::ALL.iter().map(|timeframe| timeframe.name()).collect(),
            timeframe,
            revisions: REVISIONS.map(|(name, _)| name),
            sample,
            bars: !series.is_empty(),
        })
    }
}

fn sample(series: &[Series], timeframe: &str) -> Option<Sample> {
    let of_it = series.iter().filter(|series| series.timeframe == timeframe);
    let symbols: Vec<&str> = of_it.map(|series| series.symbol.as_str()).take(SAMPLE_SYMBOLS).collect();
    (!symbols.is_empty()).then(|| Sample { symbols: symbols.join(","), timeframe: timeframe.to_owned() })
}

/// `POST /backtests`: asks for a run.
pub async fn start(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    let mut fields: BTreeMap<String, String> = fields.into_iter().collect();
    let mut take = |name: &str| fields.remove(name).unwrap_or_default().trim().to_owned();
    let (csrf, key) = (take("csrf"), take("key"));
    let token = headers.get("x-csrf-token").and_then(|token| token.to_str().ok()).unwrap_or(&csrf);
    let caller = caller_of(&app, &headers, token, &key)?;
    let stated = |text: String| (!text.is_empty()).then_some(text);
    let seed = stated(take("seed")).map(|text| {
        text.parse::<u64>().map_err(|_| PageError::field("seed", &text, "a whole number of 0 or more"))
    });
    let kind = stated(take("run")).unwrap_or_else(|| "single".to_owned());
    let sought = Sought::of(&kind, &mut take)?;
    let mut asked = NewBacktest {
        kind: Some(kind),
        symbols: listed(&take("symbols")),
        timeframe: take("timeframe"),
        from: take("from"),
        to: take("to"),
        cash: stated(take("cash")),
        account: stated(take("account")),
        account_kind: stated(take("account_kind")),
        commission_rate: stated(take("commission_rate")),
        commission_per_share: stated(take("commission_per_share")),
        commission_minimum: stated(take("commission_minimum")),
        commission_per_order: stated(take("commission_per_order")),
        regulatory_fees: stated(take("regulatory_fees")),
        slippage_bps: stated(take("slippage_bps")),
        slippage_per_share: stated(take("slippage_per_share")),
        slippage_volume: stated(take("slippage_volume")),
        max_volume_share: stated(take("max_volume_share")),
        buying_power_only: take("buying_power_only") == "on",
        limit_sets: read_limits(&take("limits"))?,
        allow_short: take("allow_short") == "on",
        finalize: take("finalize") == "on",
        calendar: take("calendar"),
        revisions: stated(take("revisions")),
        seed: seed.transpose()?,
        benchmark: take("benchmark"),
        ..NewBacktest::default()
    };
    asked.strategies = chosen::stated(&mut fields);
    if let Some(sought) = sought {
        let (search, folds) = sought.with(&mut asked.strategies)?;
        (asked.search, asked.folds) = (Some(search), folds);
    }
    let run_id = ask::begin(&app, &caller, asked).await?;
    if !headers.contains_key("hx-request") {
        return Ok(Redirect::to(PATH).into_response());
    }
    let url = Url::Backtest(&run_id);
    let link = format!(" <a href=\"{url}\" data-run=\"{run_id}\">Open it</a>");
    let said = notice_line("The run is asked for; it shows in the list.");
    Ok(axum::response::Html(said + &link).into_response())
}

/// What stands between commas, spaces and lines.
fn listed(text: &str) -> Vec<String> {
    let parts = text.split([',', ' ', '\n', '\r', '\t']).filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}
