//! One strategy: how it is, its parameters, its subscription, its figures, its newest signals, and what can be
//! done with it.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use domain::book::InName;
use domain::sizing;
use projections::queries::{self, QueryError, SignalFilter, SignalRow, TrackRecord, Turn};
use projections::{Setting, StrategyReport};

use super::row::Row;
use super::{PAGE, PATH, barred};
use crate::api::risk::{Stopped, of_tally, strictest};
use crate::app::App;
use crate::error::PageError;
use crate::pages::positions::StopLine;
use crate::pages::{Body, Layout, Panel, Params, Rendering, Scope, Shown, Visit};
use crate::session::FormKeys;
use crate::url::Url;
use crate::view::{Instant, count, money, signed_money};

/// The strategy with everything about it. The page's query names it in the field `id`.
pub static STRATEGY: Panel =
    Panel::fetched("strategy", &["bars", "trading"], |scope| Box::pin(strategy(scope))).every_ms(250);

/// Newest signals shown.
const SIGNALS: u32 = 20;

/// A fact: what it is called and what it is.
#[derive(Clone, Debug)]
struct Fact {
    name: &'static str,
    value: String,
}

#[derive(Clone, Debug)]
struct Signal {
    seq: u64,
    time: Instant,
    symbol: String,
    intent: String,
    reason: String,
    /// Risk's answer, or that there is none yet.
    verdict: String,
    badge: &'static str,
    chain: String,
}

#[derive(Clone, Debug)]
struct Strategy {
    row: Row,
    facts: Vec<Fact>,
    figures: Vec<Fact>,
    fees: String,
    dividends: crate::view::Signed,
    settings: Vec<Setting>,
    external: bool,
    subscription: Vec<Fact>,
    subjects: Vec<String>,
    signals: Vec<Signal>,
    /// Its own stops in force, and the strictest of them.
    stops: Vec<StopLine>,
    stops_state: &'static str,
    halt_url: String,
    resume_url: String,
    kill_url: String,
    /// Where breakers are reset.
    stops_url: String,
    keys: FormKeys,
}

#[derive(Template)]
#[template(path = "strategies/strategy.html")]
struct StrategyPanel {
    v: u64,
    body: Body<Strategy>,
}

#[derive(Template)]
#[template(path = "strategies/detail.html")]
struct DetailPage<'a> {
    layout: Layout<'a>,
    name: String,
    strategy: String,
    orders_url: String,
    fills_url: String,
    /// Why the visitor cannot replace or remove it; empty for who can.
    barred: String,
    /// Strategies that could take over.
    others: Vec<String>,
    external: bool,
    registered: bool,
    replace_url: String,
    remove_url: String,
    score_url: String,
    rotate_url: String,
}

/// `GET /strategies/{id}`
pub async fn page(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Query(params): Query<Params>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let strategies = queries::strategies(&app.config.pool).await?;
    let Some(own) = strategies.iter().find(|row| row.strategy == name) else {
        return Err(missing(&name));
    };
    let others = strategies.iter().filter(|row| row.registered && row.strategy != name);
    let others = others.map(|row| row.strategy.clone()).collect();
    let params = params.with("id", &name);
    let visit = Visit::begin(&app, &PAGE, &params, &headers).await?;
    let scope = &visit.scope();
    let list = |tab: &str| Params::from([("tab", tab), ("strategy", &name)]).link("/orders");
    let html = DetailPage {
        layout: visit.layout(scope, &[&STRATEGY]).await?,
        strategy: STRATEGY.render(scope).await?,
        orders_url: list("all"),
        fills_url: list("fills"),
        barred: barred(&app, &headers),
        others,
        external: own.is_external(),
        registered: own.registered,
        replace_url: Url::StrategyReplace(&name).to_string(),
        remove_url: Url::StrategyRemove(&name).to_string(),
        score_url: Url::StrategyScore(&name).to_string(),
        rotate_url: Url::StrategyRotate(&name).to_string(),
        name,
    };
    visit.respond(html.render())
}

/// There is no strategy of that name.
pub fn missing(name: &str) -> PageError {
    PageError::Missing(format!("strategy {:?}", name.chars().take(80).collect::<String>()))
}

async fn strategy(scope: &Scope<'_>) -> Rendering {
    let body = Body::read(scope, &STRATEGY, Box::pin(read(scope))).await;
    StrategyPanel { v: scope.version, body }.render()
}

async fn read(scope: &Scope<'_>) -> Result<Option<Strategy>, QueryError> {
    let name = scope.params.get("id").unwrap_or_default();
    let Some(report) = scope.app.fleet.report(scope.app, name).await? else { return Ok(None) };
    let filter = SignalFilter { strategy: Some(name.to_owned()), ..SignalFilter::default() };
    let signals = queries::list_signals(&scope.app.config.pool, &filter, Turn::Newest, SIGNALS).await?;
    let confirmed = scope.app.attached.is_confirmed(&scope.app.context.tape, &report.row.account).await;
    // Where the tape cannot be read nothing is offered that needs somebody's word.
    let confirmed = confirmed.unwrap_or(false);
    let tallies = queries::tallies(&scope.app.config.pool, Some(name)).await?;
    let stops: Vec<Stopped> = tallies.iter().flat_map(of_tally).collect();
    // Of one that is gone it is said what is still in its name, open orders included.
    let left = if report.row.registered {
        None
    } else {
        Some(queries::load_book(&scope.app.config.pool).await?.in_name(name))
    };
    let mut strategy = Strategy::of(report, &signals.rows, stops, confirmed, scope.keys.clone());
    if let Some(left) = left.filter(InName::holds) {
        strategy.row.left_behind = true;
        strategy.facts.push(fact("Left behind", left.to_string()));
    }
    Ok(Some(strategy))
}

impl Strategy {
    fn of(
        report: StrategyReport,
        signals: &[SignalRow],
        stops: Vec<Stopped>,
        confirmed: bool,
        keys: FormKeys,
    ) -> Self {
        Self {
            row: Row::of(&report, &stops, confirmed),
            facts: facts(&report),
            figures: figures(&report),
            fees: money(report.row.fees),
            dividends: signed_money(report.row.dividends),
            external: report.row.is_external(),
            subscription: subscription(&report),
            subjects: report.subscription.subjects,
            settings: report.settings,
            signals: signals.iter().map(Signal::of).collect(),
            stops_state: strictest(stops.iter().map(|stop| stop.state)),
            stops: stops.into_iter().map(StopLine::of).collect(),
            halt_url: Url::Halt.to_string(),
            resume_url: Url::Resume.to_string(),
            kill_url: Url::Kill.to_string(),
            stops_url: Url::Stops.to_string(),
            keys,
        }
    }
}

fn fact(name: &'static str, value: impl Into<String>) -> Fact {
    Fact { name, value: value.into() }
}

fn dash() -> String {
    "–".to_owned()
}

fn facts(report: &StrategyReport) -> Vec<Fact> {
    let row = &report.row;
    let warm = match (row.is_external(), row.warmed_bars) {
        (true, _) => "in its own process".to_owned(),
        (false, None) => "not yet".to_owned(),
        (false, Some(bars)) => format!("{} bars", count(bars)),
    };
    vec![
        fact("Kind", if row.is_external() { "external" } else { row.kind.as_str() }),
        fact("Account", row.account.clone()),
        fact("Sizing of entries", row.sizing.as_ref().and_then(sizing::text).unwrap_or_else(dash)),
        fact("Warmed up with", warm),
        fact("Open positions", count(row.open_positions)),
    ]
}

fn figures(report: &StrategyReport) -> Vec<Fact> {
    let record = &report.record;
    vec![
        fact("Signals", count(report.row.signals)),
        fact("Approved", count(record.approved)),
        fact("Denied", denied(record)),
        fact("Denied as invalid", count(report.refused.invalid)),
        fact("Parked", count(report.refused.parked)),
        fact("Orders", count(record.orders)),
        fact("Fills", count(record.fills)),
    ]
}

/// `187, most by max position`
fn denied(record: &TrackRecord) -> String {
    let most = record.denied_most_by.as_ref();
    let most = most.map_or_else(String::new, |rule| format!(", most by {}", rule.replace('_', " ")));
    format!("{}{most}", count(record.denied))
}

fn subscription(report: &StrategyReport) -> Vec<Fact> {
    let from = &report.subscription;
    let lag = |of: fn(event_log::DurableState) -> u64| from.lag.map_or_else(dash, |lag| count(of(lag)));
    vec![
        fact("Stream", from.stream.clone()),
        fact("Durable consumer", from.consumer.clone()),
        fact("Not given yet", lag(|lag| lag.pending)),
        fact("Given, not acknowledged", lag(|lag| lag.ack_pending)),
        fact("Acknowledged up to", lag(|lag| lag.ack_floor)),
    ]
}

impl Signal {
    fn of(signal: &SignalRow) -> Self {
        let verdict = signal.verdict.as_deref().unwrap_or("undecided");
        Self {
            seq: signal.sequence,
            time: Instant(signal.event_time_ns),
            symbol: signal.symbol.clone(),
            intent: signal.intent.replace('_', " "),
            reason: signal.reason.clone(),
            verdict: match signal.rule.as_deref() {
                Some(rule) if !rule.is_empty() => format!("{verdict}: {}", rule.replace('_', " ")),
                _ => verdict.to_owned(),
            },
            badge: match verdict {
                "approved" => "badge-gain",
                "denied" => "badge-loss",
                "shadowed" => "badge-accent",
                _ => "badge-flat",
            },
            chain: Url::ChainAt(&signal.event_id, contracts::stream::TRADING, signal.sequence).to_string(),
        }
    }
}

/// Where a command on a strategy leads back to.
pub fn back(name: &str) -> String {
    if name.is_empty() { PATH.to_owned() } else { Url::Strategy(name).to_string() }
}
