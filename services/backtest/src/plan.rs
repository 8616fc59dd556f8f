//! From a request to what the engine runs.

use contracts::v1::{BacktestRequest, StrategyMode};
use domain::bar::Timeframe;
use domain::calendar::Calendar;
use domain::money::Amount;
use engine::{Account, Config, StrategyConfig};

/// Name of a run's account, part of the ids and bodies of its events: that of an account without a name of its
/// own elsewhere, so that a run of a rehearsal's data and terms comes to the rehearsal's hash.
pub const ACCOUNT: &str = "paper";

/// The configuration of one run of `request`, which is complete (`domain::research::complete`).
#[must_use]
pub fn configure(request: &BacktestRequest, calendar: &'static Calendar) -> Config {
    let timeframe = request.timeframe.parse::<Timeframe>().ok();
    let strategies = request.strategies.iter().map(|strategy| StrategyConfig {
        name: strategy.name.clone(),
        kind: strategy.kind.clone(),
        parameters: strategy.parameters.clone(),
        symbols: if strategy.symbols.is_empty() { request.symbols.clone() } else { strategy.symbols.clone() },
        timeframe,
        sizing: strategy.sizing.unwrap_or_default(),
        group_policy: strategy.group_policy(),
        mode: StrategyMode::Paper,
    });
    Config {
        account: Account {
            name: if request.account.is_empty() { ACCOUNT.to_owned() } else { request.account.clone() },
            cash: Amount::from_wire(request.cash.as_ref()),
            limits: request.limits.unwrap_or_else(|| domain::risk::buying_power_only(request.allow_short)),
            costs: request.costs.unwrap_or_default(),
            kind: request.account_kind(),
        },
        strategies: strategies.collect(),
        calendar,
        finalize: request.finalize,
        from_ns: None,
        until_ns: None,
        limit_sets: request.limit_sets.clone(),
        warm_up_more: 0,
        late: false,
    }
}
