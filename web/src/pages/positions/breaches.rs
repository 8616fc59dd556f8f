//! What risk denied, with the rule; each leads to the chain of events behind it.

use askama::Template;
use domain::risk::Rule;
use projections::queries::{self, DecisionFilter, DecisionRow};

use super::{BREACHES, PATH};
use crate::error::PageError;
use crate::pages::table::{Pager, ROWS_MAX, turn};
use crate::pages::{Body, Params, Rendering, Scope, Shown, timeline};
use crate::url::Url;
use crate::view::Instant;

/// Rows unless the address says otherwise: the page has more to show than this list.
const ROWS: u32 = 20;

#[derive(Clone, Debug)]
struct Row {
    seq: u64,
    chain: String,
    time: Instant,
    symbol: String,
    strategy: String,
    rule: String,
    reason: String,
}

#[derive(Clone, Debug)]
struct Breaches {
    rows: Vec<Row>,
    pager: Pager,
}

#[derive(Template)]
#[template(path = "positions/breaches.html")]
struct BreachesPanel {
    v: u64,
    body: Body<Breaches>,
    rules: Vec<&'static str>,
    rule: String,
    account: String,
    as_of: String,
}

/// Denied decisions, newest first.
pub async fn breaches(scope: &Scope<'_>) -> Rendering {
    let body = Body::read(scope, &BREACHES, read(scope)).await;
    let text = |name: &str| scope.params.owned(name).unwrap_or_default();
    BreachesPanel {
        v: scope.version,
        body,
        rules: Rule::ALL.map(Rule::name).to_vec(),
        rule: text("rule"),
        account: text("account"),
        as_of: text(timeline::FIELD),
    }
    .render()
}

/// The filter that the fields ask for.
fn filter(params: &Params, account: &str) -> Result<DecisionFilter, PageError> {
    Ok(DecisionFilter {
        account: (!account.is_empty()).then(|| account.to_owned()),
        verdict: Some("denied".to_owned()),
        rule: params.one_of("rule", &Rule::ALL.map(Rule::name))?,
        ..DecisionFilter::default()
    })
}

async fn read(scope: &Scope<'_>) -> Result<Option<Breaches>, PageError> {
    let params = scope.params;
    let mut filter = filter(params, scope.account)?;
    // Decisions never change: those up to the moment's sequence are those that stood then.
    if let Some(past) = timeline::past(scope).await? {
        filter.up_to = Some(past.sequence());
    }
    let limit = params.number("limit", ROWS, ROWS_MAX)?;
    let part = queries::list_decisions(&scope.app.config.pool, &filter, turn(params)?, limit).await;
    let part = part.map_err(|error| PageError::ReadModel(error.to_string()))?;
    let text = |cursor: Option<queries::Cursor>| cursor.map(|cursor| cursor.to_string());
    let pager = Pager::of(PATH, params, text(part.newer), text(part.older));
    let rows: Vec<Row> = part.rows.iter().map(Row::of).collect();
    Ok((!rows.is_empty() || pager.is_shown()).then_some(Breaches { rows, pager }))
}

impl Row {
    fn of(decision: &DecisionRow) -> Self {
        Self {
            seq: decision.sequence,
            chain: Url::Chain(&decision.event_id).to_string(),
            time: Instant(decision.event_time_ns),
            symbol: decision.symbol.clone(),
            strategy: decision.strategy.clone(),
            rule: decision.rule.clone(),
            reason: decision.reason.clone(),
        }
    }
}
