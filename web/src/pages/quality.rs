//! What was found about the data, newest first: of one symbol, or of all.

use askama::Template;
use projections::queries::{self, QualityRow, QueryError};

use super::{Body, Panel, Rendering, Scope, Shown};
use crate::view::Instant;

/// Rows of the list.
const ROWS: u32 = 20;

#[derive(Clone, Debug)]
struct Finding {
    seq: u64,
    time: Instant,
    symbol: String,
    rule: String,
    severity: String,
    badge: &'static str,
    detail: String,
}

#[derive(Template)]
#[template(path = "quality.html")]
struct FindingsPanel {
    name: &'static str,
    of_all: bool,
    v: u64,
    body: Body<Vec<Finding>>,
}

/// Renders the findings of `symbol`, or of all, as `panel`.
pub async fn findings(scope: &Scope<'_>, panel: &'static Panel, symbol: Option<&str>) -> Rendering {
    let body = Body::read(scope, panel, read(scope, symbol)).await;
    FindingsPanel { name: panel.name, of_all: symbol.is_none(), v: scope.version, body }.render()
}

async fn read(scope: &Scope<'_>, symbol: Option<&str>) -> Result<Option<Vec<Finding>>, QueryError> {
    let rows = queries::quality(&scope.app.config.pool, symbol, None, ROWS).await?.rows;
    Ok((!rows.is_empty()).then(|| rows.iter().map(Finding::of).collect()))
}

impl Finding {
    fn of(row: &QualityRow) -> Self {
        Self {
            seq: row.sequence,
            time: Instant(row.event_time_ns),
            symbol: row.symbol.clone(),
            rule: row.rule.replace('_', " "),
            severity: row.severity.clone(),
            badge: match row.severity.as_str() {
                "error" => "badge-loss",
                "warning" => "badge-warn",
                _ => "badge-flat",
            },
            detail: row.detail.clone(),
        }
    }
}
