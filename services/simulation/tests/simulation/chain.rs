//! Without faults: the chain hash of the backtest, and of the rehearsal of the shared data.

use std::collections::BTreeMap;
use std::path::PathBuf;

use contracts::v1::event::Body;
use contracts::v1::{
    AccountConfigured, AccountEntry, AccountKind, Costs, EntryKind, Event, GroupPolicy, Money, Parameter,
    RiskLimits, Sizing, SizingKind, StrategyEnabled, StrategyMode, StrategyRegistered,
};
use contracts::{event_id, from_timestamp, to_timestamp};
use domain::bar::{Bar, Timeframe};
use domain::calendar::Calendar;
use domain::corporate_action::CorporateAction;
use domain::money::Amount;
use domain::series::{BarSeries, DatedAction, MarketData};
use engine::{Account, Config, Hash, StrategyConfig, Uncontrolled};
use ingest::source::{Range, RecordedSource, SimulatedConfig, SimulatedSource};
use simulation::calm::{Calm, play};
use simulation::market::Market;

const E9: i64 = 1_000_000_000;

/// What `tapedeck rehearse` prints for all shared data with its two default strategies, as
/// `tests/suites/system/backtest.rs` holds it too.
const REHEARSED: &str = "5250b5eb38a47dcd298cd3d50c340ff249f46b7007eb4178958b9a14711bdf36";

/// The account of a configuration that states nothing.
fn account() -> Account {
    Account {
        name: "paper".to_owned(),
        cash: Amount(100_000 * i128::from(E9)),
        limits: RiskLimits {
            max_position_fraction_e9: E9 / 4,
            max_exposure_fraction_e9: E9 / 2,
            max_order_value: Some(Money { units: 100_000, nanos: 0 }),
            max_daily_loss_fraction_e9: E9 / 20,
            price_collar_fraction_e9: E9 / 20,
            max_price_age_ms: 5_400_000,
            allow_short: false,
        },
        costs: Costs {
            commission_per_share_e9: 5_000_000,
            commission_minimum: Some(Money { units: 1, nanos: 0 }),
            slippage_rate_e9: 100_000,
            ..Costs::default()
        },
        kind: AccountKind::Unspecified,
    }
}

fn strategy(name: &str, kind: &str, parameters: &[(&str, &str)]) -> StrategyConfig {
    let parameter = |(name, value): &(&str, &str)| Parameter { name: (*name).into(), value: (*value).into() };
    StrategyConfig {
        name: name.to_owned(),
        kind: kind.to_owned(),
        parameters: domain::strategy::resolve(kind, &parameters.iter().map(parameter).collect::<Vec<_>>())
            .unwrap(),
        symbols: Vec::new(),
        timeframe: None,
        sizing: Sizing { kind: SizingKind::Fraction.into(), value_e9: E9 / 10, ..Sizing::default() },
        group_policy: GroupPolicy::Unspecified,
        mode: StrategyMode::Paper,
    }
}

/// What a tape states of a configuration before its first instant.
fn statements(config: &Config, at_ns: i64) -> Vec<Event> {
    let account = &config.account;
    let mut bodies = vec![
        Body::AccountConfigured(AccountConfigured {
            account: account.name.clone(),
            version: 1,
            broker: "simulated".into(),
            limits: Some(account.limits),
            costs: Some(account.costs),
            ..AccountConfigured::default()
        }),
        Body::AccountEntry(AccountEntry {
            account: account.name.clone(),
            kind: EntryKind::Deposit.into(),
            amount: account.cash.to_wire(),
            ..AccountEntry::default()
        }),
    ];
    for strategy in &config.strategies {
        bodies.push(Body::StrategyRegistered(StrategyRegistered {
            strategy: strategy.name.clone(),
            kind: strategy.kind.clone(),
            parameters: strategy.parameters.clone(),
            sizing: Some(strategy.sizing),
            account: account.name.clone(),
            ..StrategyRegistered::default()
        }));
        bodies.push(Body::StrategyEnabled(StrategyEnabled {
            strategy: strategy.name.clone(),
            mode: strategy.mode.into(),
            ..StrategyEnabled::default()
        }));
    }
    let event = |(index, body): (u32, Body)| Event {
        id: event_id("config", "test", index),
        event_time: Some(to_timestamp(at_ns)),
        source: "config".to_owned(),
        body: Some(body),
        ..Event::default()
    };
    (0..).zip(bodies).map(event).collect()
}

/// The market as columns.
fn columns(market: &Market) -> MarketData {
    let mut bars: BTreeMap<(String, String), Vec<Bar>> = BTreeMap::new();
    let mut actions = Vec::new();
    let mut source = String::new();
    for event in market.instants().iter().flat_map(|instant| instant.events.iter().map(|(_, event)| event)) {
        let event_ns = from_timestamp(event.event_time.as_ref().unwrap()).unwrap();
        source.clone_from(&event.source);
        match event.body.as_ref().unwrap() {
            Body::Bar(bar) => {
                let key = (bar.symbol.clone(), bar.timeframe.clone());
                bars.entry(key).or_default().push(Bar::from_wire(bar, event_ns).unwrap());
            }
            Body::CorporateAction(action) => actions.push(DatedAction {
                symbol: action.symbol.as_str().into(),
                event_ns,
                event_id: event.id.clone(),
                action: CorporateAction::from_wire(action).unwrap(),
            }),
            _ => {}
        }
    }
    let series = bars.into_iter().map(|((symbol, timeframe), bars)| {
        let timeframe: Timeframe = timeframe.parse().unwrap();
        BarSeries::of(&source, &symbol, timeframe, &bars)
    });
    MarketData { series: series.collect(), actions }
}

fn both(market: Market, strategies: Vec<StrategyConfig>) -> (Calm, Option<String>) {
    let config = Config {
        account: account(),
        strategies,
        calendar: Calendar::xnys(),
        finalize: false,
        from_ns: None,
        until_ns: None,
        limit_sets: Vec::new(),
        warm_up_more: 0,
        late: false,
    };
    let outcome = engine::run(&config, &columns(&market), &mut Hash::default(), &mut Uncontrolled).unwrap();
    let first_ns = market.instants()[0].ns;
    let calm =
        play(market, &statements(&config, first_ns), std::slice::from_ref(&config.account.name)).unwrap();
    (calm, outcome.chain_hash)
}

#[test]
fn a_generated_market_has_the_chain_hash_of_its_backtest() {
    let config =
        SimulatedConfig { symbols: 6, timeframe: Timeframe::H1, seed: 7, ..SimulatedConfig::default() };
    let market = Market::of(&mut SimulatedSource::new(config).unwrap(), 400);
    let strategies = vec![
        strategy("cross", "sma_cross", &[("fast", "2"), ("slow", "4")]),
        strategy("surge", "momentum", &[("lookback", "3"), ("threshold", "0.002")]),
    ];
    let (calm, backtested) = both(market, strategies);
    assert!(calm.orders > 100 && calm.fills > 100, "{calm:?}");
    assert_eq!(Some(calm.chain_hash), backtested);
}

/// All shared bars and corporate actions.
#[expect(clippy::disallowed_methods, reason = "tests read their settings from the environment")]
fn shared() -> Market {
    let directory = PathBuf::from(std::env::var("TAPEDECK_TEST_DATA").expect("TAPEDECK_TEST_DATA"));
    let mut files: Vec<_> = ["AAPL", "BAC", "IBM", "SPY"]
        .map(|symbol| directory.join(format!("bars-1h-{symbol}.csv.gz")))
        .to_vec();
    files.push(directory.join("corporate-actions.csv"));
    let options = ingest::file::ReadOptions::default();
    let mut loaded = RecordedSource::load("rehearsal", &files, &options, Range::default()).unwrap();
    Market::of(&mut loaded.source, usize::MAX)
}

#[test]
fn the_shared_data_have_the_chain_hash_of_backtest_and_rehearsal() {
    let strategies = vec![strategy("momentum", "momentum", &[]), strategy("sma_cross", "sma_cross", &[])];
    let (calm, backtested) = both(shared(), strategies);
    assert_eq!(Some(&calm.chain_hash), backtested.as_ref());
    assert_eq!(calm.chain_hash, REHEARSED);
}

#[test]
fn three_kinds_of_strategies_over_all_shared_data_have_the_chain_hash_of_their_backtest() {
    let strategies = vec![
        strategy("cross", "sma_cross", &[("fast", "5"), ("slow", "20")]),
        strategy("reversion", "mean_reversion", &[]),
        strategy("surge", "momentum", &[("lookback", "6"), ("threshold", "0.01")]),
    ];
    let (calm, backtested) = both(shared(), strategies);
    assert!(calm.fills > 1_000, "{calm:?}");
    assert_eq!(Some(calm.chain_hash), backtested);
}
