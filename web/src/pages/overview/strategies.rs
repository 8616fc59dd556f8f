//! Strategies with their switches.

use askama::Template;
use projections::queries::{self, QueryError, StrategyRow as Strategy};

use crate::pages::{Body, Rendering, Scope, Shown};
use crate::session::FormKeys;
use crate::url::Url;
use crate::view::{Instant, Signed, count, signed_money};

const STRATEGIES_MAX: usize = 50;

/// The strategies of an account.
#[derive(Clone, Debug)]
struct Strategies {
    rows: Vec<StrategyRow>,
    keys: FormKeys,
}

#[derive(Clone, Debug)]
struct StrategyRow {
    name: String,
    url: String,
    kind: String,
    /// `disabled`, `shadow`, `paper` or `live`.
    mode: String,
    badge: &'static str,
    /// How much history it had seen when it began to decide.
    warm: String,
    pnl: Signed,
    signals: String,
    last: Option<LastSignal>,
    /// Positions that are not flat.
    holds: u64,
    running: bool,
    start_mode: &'static str,
    start_url: String,
    stop_url: String,
    seq: u64,
}

#[derive(Clone, Debug)]
struct LastSignal {
    text: String,
    time: Instant,
    chain: Option<String>,
}

#[derive(Template)]
#[template(path = "overview/strategies.html")]
struct StrategiesPanel {
    v: u64,
    body: Body<Strategies>,
}

/// Strategies with their switches.
pub async fn strategies(scope: &Scope<'_>) -> Rendering {
    let body = Body::read(scope, &super::STRATEGIES, read_strategies(scope)).await;
    StrategiesPanel { v: scope.version, body }.render()
}

async fn read_strategies(scope: &Scope<'_>) -> Result<Option<Strategies>, QueryError> {
    let strategies = queries::strategies(&scope.app.config.pool).await?;
    let own = strategies.iter().filter(|row| row.registered && row.account == scope.account);
    let rows: Vec<StrategyRow> = own.take(STRATEGIES_MAX).map(StrategyRow::of).collect();
    Ok((!rows.is_empty()).then(|| Strategies { rows, keys: scope.keys.clone() }))
}

impl StrategyRow {
    fn of(strategy: &Strategy) -> Self {
        let mode = if strategy.enabled { strategy.mode.as_str() } else { "disabled" };
        Self {
            name: strategy.strategy.clone(),
            url: Url::Strategy(&strategy.strategy).to_string(),
            kind: if strategy.kind.is_empty() { "external".to_owned() } else { strategy.kind.clone() },
            mode: mode.to_owned(),
            badge: match mode {
                "paper" | "live" => "badge-gain",
                "shadow" => "badge-accent",
                _ => "badge-flat",
            },
            warm: strategy.warmed_bars.map_or_else(
                || "not warmed yet".to_owned(),
                |bars| format!("warmed with {} bars", count(bars)),
            ),
            pnl: signed_money(strategy.net_pnl),
            signals: count(strategy.signals),
            last: strategy.last_signal_ns.map(|time| LastSignal {
                text: strategy.last_signal.clone(),
                time: Instant(time),
                chain: strategy.last_signal_id.as_deref().map(|id| Url::Chain(id).to_string()),
            }),
            holds: strategy.open_positions,
            running: strategy.enabled,
            // A strategy starts as it ran before; the first time on paper.
            start_mode: if strategy.mode == "shadow" { "shadow" } else { "paper" },
            start_url: Url::StrategyEnable(&strategy.strategy).to_string(),
            stop_url: Url::StrategyDisable(&strategy.strategy).to_string(),
            seq: strategy.sequence,
        }
    }
}
