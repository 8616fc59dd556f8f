//! The launcher: a strategy of the catalogue with its typed parameters, range, universe, costs, seed.

use std::collections::BTreeMap;
use std::sync::Arc;

use analytics::metrics::METRICS;
use axum::Form;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Redirect, Response};
use domain::bar::Timeframe;
use domain::research::{REVISIONS, SAMPLERS};
use domain::strategy::{Kind, ValueSpec, kinds};
use projections::queries::{self, Series};

use super::search::Sought;
use super::{PATH, is_any};
use crate::action::{caller_of, notice_line};
use crate::api::backtests::KINDS;
use crate::api::backtests::ask::{self, NewBacktest, Strategy};
use crate::app::App;
use crate::error::PageError;
use crate::pages::Params;
use crate::url::Url;

/// Symbols offered.
const SYMBOLS_MAX: usize = 500;
/// Symbols of the sample.
const SAMPLE_SYMBOLS: usize = 3;
/// Fields of parameters begin with it.
const PARAMETER: &str = "p.";

/// A parameter to fill in.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub name: &'static str,
    pub value: &'static str,
    pub description: &'static str,
    pub unit: &'static str,
    pub range: String,
    /// What keyboards are asked for.
    pub mode: &'static str,
    /// What may be chosen; empty where anything in the range may be typed.
    pub choices: Vec<&'static str>,
}

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
    pub kinds: Vec<&'static Kind>,
    pub chosen: &'static Kind,
    pub fields: Vec<Field>,
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
    /// The form for the strategy that the field `strategy` names, or the first one.
    pub(super) async fn of(app: &App, params: &Params) -> Result<Self, PageError> {
        let asked = params.get("strategy").unwrap_or("sma_cross");
        let chosen = kinds().iter().find(|kind| kind.name == asked).ok_or_else(|| {
            let known: Vec<_> = kinds().iter().map(|kind| kind.name).collect();
            PageError::field("strategy", asked, format!("one of {}", known.join(", ")))
        })?;
        let run_kind = params.one_of("run", &KINDS)?.unwrap_or_else(|| "single".to_owned());
        let series = queries::series(&app.config.pool).await?;
        let largest = series.iter().max_by_key(|series| series.bars);
        let timeframe = largest.map_or_else(|| "1h".to_owned(), |series| series.timeframe.clone());
        let mut symbols: Vec<String> = series.iter().map(|series| series.symbol.clone()).collect();
        symbols.sort();
        symbols.dedup();
        symbols.truncate(SYMBOLS_MAX);
        let sample = if is_any(app).await? { None } else { sample(&series, &timeframe) };
        Ok(Self {
            run_kinds: [("single", "One run"), ("sweep", "Sweep"), ("walk_forward", "Walk-forward test")],
            samplers: SAMPLERS,
            metrics: METRICS.iter().map(|metric| (metric.name, metric.label)).collect(),
            kinds: kinds().iter().collect(),
            chosen,
            fields: chosen.parameters.iter().map(|spec| Field::of(spec, run_kind == "single")).collect(),
            run_kind,
            symbols,
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

impl Field {
    /// Of a search any field takes several values, so that none is chosen from a list.
    fn of(spec: &domain::strategy::ParameterSpec, single: bool) -> Self {
        let (mode, choices) = match spec.value {
            _ if !single => ("text", Vec::new()),
            ValueSpec::Integer { .. } => ("numeric", Vec::new()),
            ValueSpec::Decimal { .. } => ("decimal", Vec::new()),
            ValueSpec::Boolean => ("text", vec!["true", "false"]),
            ValueSpec::Choice(words) => ("text", words.to_vec()),
            ValueSpec::Symbol | ValueSpec::Weights => ("text", Vec::new()),
        };
        Self {
            name: spec.name,
            value: spec.default,
            description: spec.description,
            unit: spec.unit,
            range: spec.value.to_string(),
            mode,
            choices,
        }
    }
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
        commission_rate: stated(take("commission_rate")),
        commission_per_share: stated(take("commission_per_share")),
        slippage_bps: stated(take("slippage_bps")),
        allow_short: take("allow_short") == "on",
        calendar: take("calendar"),
        revisions: stated(take("revisions")),
        seed: seed.transpose()?,
        benchmark: take("benchmark"),
        ..NewBacktest::default()
    };
    let mut strategy = Strategy {
        kind: take("strategy"),
        sizing: stated(take("sizing")),
        group_policy: stated(take("group_policy")),
        ..Strategy::default()
    };
    let parameters: BTreeMap<String, String> = fields
        .into_iter()
        .filter_map(|(name, value)| {
            let name = name.strip_prefix(PARAMETER)?.to_owned();
            (!value.trim().is_empty()).then(|| (name, value.trim().to_owned()))
        })
        .collect();
    match sought {
        None => strategy.parameters = parameters,
        Some(sought) => (strategy.parameters, asked.search, asked.folds) = sought.with(parameters)?,
    }
    asked.strategies = vec![strategy];
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
