//! Open positions.

use askama::Template;
use projections::queries::{self, PositionRow as Position, QueryError};

use crate::pages::{Body, Rendering, Scope, Shown};
use crate::view::{Signed, price, quantity, signed_money, signed_percent};

const POSITIONS_MAX: usize = 50;

/// Open positions.
#[derive(Clone, Debug)]
pub struct Positions {
    pub rows: Vec<PositionRow>,
    /// Positions not listed.
    pub more: usize,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct PositionRow {
    pub symbol: String,
    pub strategy: String,
    pub quantity: String,
    pub average: String,
    pub last: String,
    pub unrealized: Signed,
    pub seq: u64,
}

#[derive(Template)]
#[template(path = "overview/positions.html")]
struct PositionsPanel {
    v: u64,
    body: Body<Positions>,
}

/// Open positions.
pub async fn positions(scope: &Scope<'_>) -> Rendering {
    let body = Body::read(scope, &super::POSITIONS, read_positions(scope)).await;
    PositionsPanel { v: scope.version, body }.render()
}

async fn read_positions(scope: &Scope<'_>) -> Result<Option<Positions>, QueryError> {
    let positions = queries::positions(&scope.app.config.pool, Some(scope.account), false).await?;
    Ok(Positions::of(&positions))
}

impl Positions {
    /// Rows; nothing when nothing is held.
    pub fn of(positions: &[Position]) -> Option<Self> {
        (!positions.is_empty()).then(|| Self {
            rows: positions.iter().take(POSITIONS_MAX).map(PositionRow::of).collect(),
            more: positions.len().saturating_sub(POSITIONS_MAX),
        })
    }
}

impl PositionRow {
    fn of(position: &Position) -> Self {
        let shown = |value: Option<_>| value.map_or_else(|| "–".to_owned(), price);
        Self {
            symbol: position.symbol.clone(),
            strategy: position.strategy.clone(),
            quantity: quantity(position.quantity),
            average: shown(position.average_cost),
            last: shown(position.mark_price),
            unrealized: position.unrealized_pnl.map_or_else(|| signed_percent(None), signed_money),
            seq: position.sequence,
        }
    }
}
