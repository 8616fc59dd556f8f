//! The tear sheet of a run.

use std::collections::{BTreeMap, BTreeSet};

use analytics::sheet::{Counts, RunFacts, Setting, StrategyFacts};
use analytics::{Input, TearSheet, monte_carlo};
use domain::calendar::OutOfRange;
use domain::money::{Amount, Price};
use domain::series::MarketData;
use engine::{Config, Outcome};

/// What a run's sheet names besides its outcome.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Id of the run, when it is recorded.
    pub run_id: Option<String>,
    /// Hash of the data.
    pub data_hash: String,
    /// Version of the program.
    pub code_version: String,
    /// What a reader has to know.
    pub notes: Vec<String>,
    /// Seed of the Monte Carlo simulation.
    pub seed: u64,
}

/// Makes the tear sheet of a run of `config` over `data`.
pub fn tear_sheet(
    config: &Config,
    data: &MarketData,
    outcome: &Outcome,
    facts: Facts,
) -> Result<TearSheet, OutOfRange> {
    let mut input = Input::new(&outcome.trades, &outcome.equity, config.calendar);
    input.counts = counts(outcome);
    input.commission = Some(outcome.fees);
    input.slippage = Some(outcome.slippage);
    input.monte_carlo = Some(monte_carlo::Settings { seed: facts.seed, ..monte_carlo::Settings::default() });
    input.facts = run_facts(config, data, outcome, facts);
    TearSheet::of(input)
}

fn counts(outcome: &Outcome) -> Counts {
    let counts = &outcome.counts;
    Counts {
        bars: counts.bars,
        missing_bars: None,
        signals: counts.signals,
        approved: counts.approved,
        denied: counts.denied.iter().map(|(rule, count)| (rule.name().to_owned(), *count)).collect(),
        orders: counts.orders,
        rejected: counts.rejected,
        expired: counts.expired,
        fills: counts.fills,
        ambiguous_bars: counts.ambiguous_bars,
        open_trades: outcome.open.len() as u64,
    }
}

fn run_facts(config: &Config, data: &MarketData, outcome: &Outcome, facts: Facts) -> RunFacts {
    let unique = |of: &dyn Fn(&domain::series::BarSeries) -> String| {
        data.series.iter().map(of).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    };
    let symbols = unique(&|series| series.symbol.to_string());
    let names: Vec<_> = config.strategies.iter().map(|strategy| strategy.name.as_str()).collect();
    let on = match symbols.as_slice() {
        [few @ ..] if few.len() <= 4 => few.join(", "),
        many => format!("{} symbols", many.len()),
    };
    RunFacts {
        title: format!("{} on {on}", names.join(", ")),
        kind: "backtest".to_owned(),
        run_id: facts.run_id,
        account: None,
        strategies: config.strategies.iter().map(strategy).collect(),
        timeframe: unique(&|series| series.timeframe.name().to_owned()).join(", "),
        symbols,
        calendar: config.calendar.exchange().to_owned(),
        settings: settings(config, facts.seed),
        data_hash: Some(facts.data_hash),
        result_hash: outcome.chain_hash.clone(),
        code_version: facts.code_version,
        notes: facts.notes,
    }
}

fn strategy(strategy: &engine::StrategyConfig) -> StrategyFacts {
    let named = |parameter: &contracts::v1::Parameter| (parameter.name.clone(), parameter.value.clone());
    let mut parameters: BTreeMap<_, _> = strategy.parameters.iter().map(named).collect();
    parameters.extend(domain::sizing::text(&strategy.sizing).map(|text| ("sizing".to_owned(), text)));
    StrategyFacts { id: strategy.name.clone(), kind: strategy.kind.clone(), parameters }
}

fn settings(config: &Config, seed: u64) -> Vec<Setting> {
    let (costs, limits) = (&config.account.costs, &config.account.limits);
    let set = |name: &str, value: String| Setting { name: name.to_owned(), value };
    vec![
        set("cash", config.account.cash.to_string()),
        set("commission per share", Price(costs.commission_per_share_e9).to_string()),
        set("commission rate", Price(costs.commission_rate_e9).to_string()),
        set("commission minimum", Amount::from_wire(costs.commission_minimum.as_ref()).to_string()),
        set("slippage rate", Price(costs.slippage_rate_e9).to_string()),
        set("shorts allowed", limits.allow_short.to_string()),
        set("seed", seed.to_string()),
    ]
}
