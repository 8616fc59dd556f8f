//! One run: how far it is, then its tear sheet.

use std::sync::Arc;

use analytics::build::TRADES_MAX;
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use contracts::v1::BacktestRequest;
use domain::money::{Amount, Quantity};
use domain::order::group::policy_name;
use domain::research::{at_end, ranges, revisions_name, tape_limits};
use domain::risk::fields::stated;
use projections::queries::BacktestRow;

use super::list::{Going, detail, going};
use super::sheet::Sheet;
use super::{PAGE, badge};
use crate::api::backtests::found;
use crate::api::backtests::report::{read, short};
use crate::app::App;
use crate::error::PageError;
use crate::pages::{Body, Layout, Panel, Params, Rendering, Scope, Shown, Visit};
use crate::session::FormKeys;
use crate::url::Url;
use crate::view::{Instant, count, money};

/// The run with everything about it. The page's query names it in the field `id`.
pub(super) static RUN: Panel =
    Panel::fetched("backtest-run", &["backtests", "progress"], |scope| Box::pin(panel(scope))).every_ms(200);

/// A fact: what it is called and what it is.
#[derive(Clone, Debug)]
struct Fact {
    name: &'static str,
    value: String,
}

#[derive(Clone, Debug)]
struct Run {
    id: String,
    status: String,
    badge: &'static str,
    detail: String,
    going: Option<Going>,
    ended: bool,
    requested: Instant,
    asked: Vec<Fact>,
    came: Vec<Fact>,
    parameters: Vec<(String, String, String)>,
    sheet: Option<Sheet>,
    cancel: String,
    keys: FormKeys,
}

#[derive(Template)]
#[template(path = "backtests/run.html")]
struct RunPanel {
    v: u64,
    body: Body<Run>,
}

#[derive(Template)]
#[template(path = "backtests/detail.html")]
struct DetailPage<'a> {
    layout: Layout<'a>,
    title: String,
    short: String,
    run: String,
    lines: String,
    /// Where its files are.
    files: String,
    /// What the file of trades is called.
    trades: String,
}

/// `GET /backtests/{id}`
pub async fn page(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(params): Query<Params>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let row = found(&app, &id).await?;
    let params = params.with("id", &id);
    let visit = Visit::begin(&app, &PAGE, &params, &headers).await?;
    let scope = &visit.scope();
    let html = DetailPage {
        layout: visit.layout(scope, &[&RUN]).await?,
        title: format!("{} on {}", row.strategies, row.symbols),
        short: short(&id),
        run: RUN.render(scope).await?,
        lines: Url::BacktestLines(&id).to_string(),
        files: format!("/api/v1/backtests/{}", crate::url::escape(&id)),
        trades: trades_file(row.trades),
    };
    visit.respond(html.render())
}

/// What the file of trades is called: the tape keeps the newest ones. Of a run that goes on nobody knows how many there
/// will be.
fn trades_file(total: Option<u64>) -> String {
    let most = TRADES_MAX as u64;
    if total.is_some_and(|total| total <= most) {
        "Trades CSV".to_owned()
    } else {
        format!("Trades CSV, the newest {} at most", count(most))
    }
}

async fn panel(scope: &Scope<'_>) -> Rendering {
    let body = Body::read(scope, &RUN, content(scope)).await;
    RunPanel { v: scope.version, body }.render()
}

async fn content(scope: &Scope<'_>) -> Result<Option<Run>, PageError> {
    let id = scope.params.get("id").unwrap_or_default();
    let row = match found(scope.app, id).await {
        Ok(row) => row,
        Err(PageError::Missing(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    let sheet = if row.status == "succeeded" {
        let report = read(scope.app, id).await?;
        Some(Sheet::of(report, scope.params, &row)?)
    } else {
        None
    };
    let parameters = row.request.strategies.iter().flat_map(|strategy| {
        let named = ranges::parameters(&row.request, strategy).into_iter();
        named.map(|(name, value)| (strategy.name.clone(), name, value))
    });
    Ok(Some(Run {
        status: row.status.clone(),
        badge: badge(&row.status),
        detail: detail(&row),
        going: going(scope.app, &row),
        ended: row.has_ended(),
        requested: Instant(row.requested_at_ns),
        asked: asked(&row),
        came: came(&row),
        parameters: parameters.collect(),
        sheet,
        cancel: Url::BacktestCancel(&row.run_id).to_string(),
        keys: scope.keys.clone(),
        id: row.run_id,
    }))
}

fn fact(name: &'static str, value: impl Into<String>) -> Fact {
    Fact { name, value: value.into() }
}

/// The sessions asked for.
pub(super) fn range(request: &BacktestRequest) -> String {
    match (request.from.as_str(), request.to.as_str()) {
        ("", "") => "all there is".to_owned(),
        (from, "") => format!("from {from}"),
        ("", to) => format!("to {to}"),
        (from, to) => format!("{from} to {to}"),
    }
}

fn asked(row: &BacktestRow) -> Vec<Fact> {
    let request = &row.request;
    let costs = request.costs.unwrap_or_default();
    let share = |e9: i64| Quantity(e9).to_string();
    let sizing =
        request.strategies.iter().filter_map(|one| one.sizing.as_ref().and_then(domain::sizing::text));
    let policies: Vec<_> = request.strategies.iter().map(|one| policy_name(one.group_policy())).collect();
    let or =
        |text: &str, otherwise: &str| if text.is_empty() { otherwise.to_owned() } else { text.to_owned() };
    vec![
        fact("Kind", row.kind.replace('_', "-")),
        fact("Symbols", row.symbols.clone()),
        fact("Timeframe", row.timeframe.clone()),
        fact("Range", range(request)),
        fact(
            "Bars from",
            if request.files.is_empty() { "the tape".to_owned() } else { request.files.join(", ") },
        ),
        fact("Revisions", revisions_name(request.revisions()).unwrap_or("–")),
        fact("Cash", money(Amount::from_wire(request.cash.as_ref()))),
        fact("Sizing", sizing.collect::<Vec<_>>().join("; ")),
        fact("When a leg fails", policies.join("; ")),
        fact("Commission, share of value", share(costs.commission_rate_e9)),
        fact("Commission per share", share(costs.commission_per_share_e9)),
        fact("Least commission", Amount::from_wire(costs.commission_minimum.as_ref()).to_string()),
        fact("Commission per order", Amount::from_wire(costs.commission_per_order.as_ref()).to_string()),
        fact("Fees on sales, share of value", share(costs.sale_fee_rate_e9)),
        fact("Slippage, share of price", share(costs.slippage_rate_e9)),
        fact("Slippage per share", share(costs.slippage_per_share_e9)),
        fact("Slippage by volume", share(costs.slippage_volume_rate_e9)),
        fact("Most of a bar's volume", most_of_volume(costs.volume_share_most_e9)),
        fact("Account", or(&request.account, "paper, with the terms stated here")),
        fact("Kind of account", request.account_kind().name().unwrap_or("as the limits say")),
        fact("Limits", limits(request)),
        fact("Short positions", if request.allow_short { "allowed" } else { "not allowed" }),
        fact("Open at the end", at_end(request)),
        fact("Calendar", or(&request.calendar, "that of the tape")),
        fact("Benchmark", or(&request.benchmark, "none")),
        fact("Seed", request.seed.to_string()),
        fact("Asked for by", row.actor.clone()),
    ]
}

/// The largest share of a bar's volume that fills.
fn most_of_volume(e9: i64) -> String {
    if e9 == 0 { "does not matter".to_owned() } else { Quantity(e9).to_string() }
}

/// What risk held the orders against: the account's own limits, then those by scope.
fn limits(request: &BacktestRequest) -> String {
    let own = match (request.limits.is_some(), request.limit_sets.is_empty()) {
        (true, _) => "as stated",
        (false, true) => "buying power alone",
        (false, false) => "buying power",
    };
    let of_tape = tape_limits(request).len();
    let by_scope = request.limit_sets.iter().enumerate().map(|(place, set)| {
        let limits = set.limits.clone().unwrap_or_default();
        let named: Vec<_> =
            stated(&limits).into_iter().map(|(field, value)| format!("{}={value}", field.name)).collect();
        let of = if place < of_tape { format!(" (tape, v{})", set.version) } else { String::new() };
        format!("{}{of}: {}", domain::book::Scope::of(set.scope.as_ref()), named.join(" "))
    });
    std::iter::once(own.to_owned()).chain(by_scope).collect::<Vec<_>>().join("; ")
}

fn came(row: &BacktestRow) -> Vec<Fact> {
    let Some(counts) = &row.counts else { return Vec::new() };
    let mut facts = vec![
        fact("Bars", count(counts.bars)),
        fact("Signals", count(counts.signals)),
        fact("Approved", count(counts.approved)),
    ];
    let denied =
        counts.denied.iter().map(|one| format!("{} {}", one.rule.replace('_', " "), count(one.count)));
    let denied = denied.collect::<Vec<_>>().join(", ");
    facts.push(fact("Denied", if denied.is_empty() { "none".to_owned() } else { denied }));
    facts.extend([
        fact("Orders", count(counts.orders)),
        fact("Fills", count(counts.fills)),
        fact("Ambiguous bars", count(counts.ambiguous_bars)),
        fact("Took", row.duration_ms.map_or_else(String::new, |ms| format!("{:.2} s", ms as f64 / 1e3))),
    ]);
    facts
}

#[cfg(test)]
mod tests {
    use contracts::v1::{LimitScope, LimitsSet, RiskLimits, TradeLimits};

    use super::*;

    #[test]
    fn a_part_of_the_trades_is_called_one() {
        let part = "Trades CSV, the newest 1,000 at most";
        assert_eq!([Some(7), Some(1_000)].map(trades_file), ["Trades CSV", "Trades CSV"]);
        assert_eq!([Some(1_001), None].map(trades_file), [part, part]);
    }

    #[test]
    fn limits_are_told_where_any_are_stated() {
        let mut request = BacktestRequest::default();
        assert_eq!(limits(&request), "buying power alone");
        let scope = LimitScope { symbol: "SPY".to_owned(), ..LimitScope::default() };
        let stated =
            TradeLimits { max_open_orders: Some(2), session_only: Some(true), ..TradeLimits::default() };
        request.limit_sets =
            vec![LimitsSet { scope: Some(scope), limits: Some(stated), ..LimitsSet::default() }];
        assert_eq!(limits(&request), "buying power; symbol SPY: max_open_orders=2 session_only=true");
        request.limits = Some(RiskLimits::default());
        assert_eq!(limits(&request), "as stated; symbol SPY: max_open_orders=2 session_only=true");
        request.limit_sets[0].version = 3;
        request.limit_sets_of_tape = 1;
        assert!(limits(&request).contains("; symbol SPY (tape, v3): max_open_orders=2"));
    }
}
