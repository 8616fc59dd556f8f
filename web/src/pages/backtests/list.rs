//! The list of runs.

use askama::Template;
use projections::queries::{self, BacktestFilter, BacktestRow};

use super::{COMPARED_MAX, FILTERS, PATH, RUNS, badge, chosen};
use crate::api::backtests::{KINDS, STATUSES, history, report::short};
use crate::app::App;
use crate::error::PageError;
use crate::pages::{Body, Params, Rendering, Scope, Shown};
use crate::session::FormKeys;
use crate::url::Url;
use crate::view::{Instant, Signed, count, ratio, signed_percent};

/// Rows of one part.
const ROWS: u32 = 25;

/// How far a run is, in words.
#[derive(Clone, Debug)]
pub(super) struct Going {
    /// From 0 to 100; `None` where it is not known, as after a restart of the site.
    pub percent: Option<String>,
    /// Speed, rest and profit.
    pub text: String,
}

/// A run as the list shows it.
#[derive(Clone, Debug)]
struct Row {
    id: String,
    short: String,
    url: String,
    time: Instant,
    kind: String,
    strategies: String,
    symbols: String,
    timeframe: String,
    actor: String,
    status: String,
    badge: &'static str,
    detail: String,
    going: Option<Going>,
    total_return: Signed,
    sharpe: String,
    max_drawdown: Signed,
    trades: String,
    hash: String,
    cancel: Option<String>,
    /// Adds it to the comparison or takes it out.
    compare: String,
    compared: bool,
}

#[derive(Clone, Debug)]
struct Runs {
    rows: Vec<Row>,
    newest: Option<String>,
    older: Option<String>,
    keys: FormKeys,
}

#[derive(Template)]
#[template(path = "backtests/runs.html")]
struct RunsPanel {
    v: u64,
    body: Body<Runs>,
    filtered: bool,
}

/// The runs.
pub async fn table(scope: &Scope<'_>) -> Rendering {
    let filtered = FILTERS.iter().chain(&["before"]).any(|name| scope.params.get(name).is_some());
    let body = Body::read(scope, &RUNS, read(scope)).await;
    RunsPanel { v: scope.version, body, filtered }.render()
}

async fn read(scope: &Scope<'_>) -> Result<Option<Runs>, PageError> {
    let params = scope.params;
    let filter = BacktestFilter {
        status: params.one_of("status", &STATUSES)?,
        kinds: params.one_of("kind", &KINDS)?.map_or_else(history, |kind| vec![kind]),
        strategy: params.owned("find"),
    };
    let before = params.sequence("before")?;
    let page = queries::backtests(&scope.app.config.pool, &filter, before, ROWS).await?;
    let chosen = chosen(params)?;
    let rows: Vec<Row> = page.rows.iter().map(|row| Row::of(scope.app, params, &chosen, row)).collect();
    let here = params.without(&["before"]);
    Ok((!rows.is_empty()).then(|| Runs {
        rows,
        newest: before.map(|_| here.link(PATH)),
        older: page.next.map(|next| here.with("before", &next.to_string()).link(PATH)),
        keys: scope.keys.clone(),
    }))
}

impl Row {
    fn of(app: &App, params: &Params, chosen: &[String], row: &BacktestRow) -> Self {
        let compared = chosen.contains(&row.run_id);
        let mut others: Vec<&str> =
            chosen.iter().map(String::as_str).filter(|id| *id != row.run_id).collect();
        if !compared {
            others.push(&row.run_id);
        }
        // With one too many the one that was chosen first gives way.
        let from = others.len().saturating_sub(COMPARED_MAX);
        let kept = params.without(&["compare"]);
        let compare = match &others[from..] {
            [] => kept.link(PATH),
            ids => kept.with("compare", &ids.join(",")).link(PATH),
        };
        Self {
            id: row.run_id.clone(),
            short: short(&row.run_id),
            url: Url::Backtest(&row.run_id).to_string(),
            time: Instant(row.requested_at_ns),
            kind: row.kind.replace('_', "-"),
            strategies: row.strategies.clone(),
            symbols: row.symbols.clone(),
            timeframe: row.timeframe.clone(),
            actor: row.actor.clone(),
            status: row.status.clone(),
            badge: badge(&row.status),
            detail: detail(row),
            going: going(app, row),
            total_return: signed_percent(row.total_return),
            sharpe: ratio(row.sharpe),
            max_drawdown: signed_percent(row.max_drawdown),
            trades: row.trades.map_or_else(|| "–".to_owned(), count),
            hash: row.result_hash.as_deref().unwrap_or_default().chars().take(12).collect(),
            cancel: (!row.has_ended()).then(|| Url::BacktestCancel(&row.run_id).to_string()),
            compare,
            compared,
        }
    }
}

/// What there is to say beside the status.
pub fn detail(row: &BacktestRow) -> String {
    if row.has_ended() {
        return row.detail.clone();
    }
    let mut said = Vec::new();
    if row.cancel_requested {
        said.push("asked to end".to_owned());
    }
    if row.attempt > 1 {
        said.push(format!("attempt {}: an earlier one was cut off", row.attempt));
    }
    if !row.runner.is_empty() {
        said.push(format!("run by {}", row.runner));
    }
    said.join("; ")
}

/// How far it is; nothing before it begins and after its end.
pub(super) fn going(app: &App, row: &BacktestRow) -> Option<Going> {
    if row.status != "running" {
        return None;
    }
    let Some(progress) = app.runs.of(&row.run_id, row.attempt) else {
        return Some(Going { percent: None, text: "how far it is was not heard yet".to_owned() });
    };
    if progress.bars == 0 && progress.percent <= 0.0 {
        return Some(Going { percent: Some("0.0".to_owned()), text: "begins".to_owned() });
    }
    let rest = progress.remaining_s.map_or_else(String::new, |rest| format!(" · {rest:.0} s left"));
    let speed = progress.bars_per_s / 1e6;
    Some(Going {
        percent: Some(format!("{:.1}", progress.percent)),
        text: format!("{:.1} % · {speed:.2}M bars/s{rest} · P&L {}", progress.percent, progress.pnl),
    })
}
