//! `tapedeck backtest`: strategies over history, in this process.

mod data;
mod progress;
mod request;
pub mod search;

use std::time::{Duration, Instant};

use analytics::gate::Gate;
use analytics::metrics::METRICS;
use backtest::measure::{Statistics, statistics};
use backtest::{plan, tables};
use domain::money::Amount;
use engine::{Config, Hash, Nothing, Outcome};
use serde::Serialize;

use crate::cli::{Backtest, Global};
use crate::exit::Failure;
use crate::output::Output;
use progress::Bar;
use request::request;

const HELP: &str = "tapedeck backtest --help";

/// What a backtest prints.
#[derive(Debug, Serialize)]
struct Report {
    strategies: serde_json::Value,
    parameters: serde_json::Value,
    statistics: Statistics,
    counts: serde_json::Value,
    first_bar: Option<String>,
    last_bar: Option<String>,
    seconds: f64,
    bars_per_second: f64,
    data_hash: String,
    code_version: &'static str,
    /// Chain hash of the signals, decisions, orders and fills; absent with `--no-hash`.
    result_hash: Option<String>,
    recorded: bool,
    warnings: Vec<String>,
}

/// Runs a backtest, prints what it came to and writes what is wanted.
pub async fn run(global: &Global, options: &Backtest, output: Output) -> Result<(), Failure> {
    let gate = gate(&options.fail_if)?;
    // What is wrong with the options is said before anything is read.
    request(global, &options.run, &options.parameters, "1d")?;
    let loaded = data::load(&options.run).await?;
    let request = request(global, &options.run, &options.parameters, loaded.timeframe.name())?;
    let mut config = plan::configure(&request, loaded.calendar);
    config.finalize = options.finalize;
    let hash = !options.no_hash;
    let bar = Bar::new(output, config.account.cash);
    let interrupt = bar.interrupt();
    let market = loaded.market.clone();
    let (config, outcome, took) = {
        let work = tokio::task::spawn_blocking(move || work(config, &market, hash, bar));
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => break done.map_err(|error| Failure::other(error.to_string()))??,
                _ = tokio::signal::ctrl_c() => interrupt.set(),
            }
        }
    };
    let measured =
        statistics(&outcome, loaded.calendar).map_err(|error| Failure::other(error.to_string()))?;
    let failed: Vec<_> = gate.check(&measured).iter().map(ToString::to_string).collect();
    for (path, write) in [(&options.trades, true), (&options.equity, false)] {
        let Some(path) = path else { continue };
        let written = if write {
            tables::write_trades(path, &outcome.trades)
        } else {
            tables::write_equity(path, &outcome.equity)
        };
        written.map_err(|error| Failure::other(format!("{}: {error}", path.display())))?;
    }
    let report = report(&config, &outcome, &measured, &loaded, options.run.limits.is_none(), took);
    print(&report, &outcome, &measured, output)?;
    match failed.is_empty() {
        true => Ok(()),
        false => Err(Failure::condition(failed.join("; "))),
    }
}

/// The conditions under which the run fails; an unknown metric is found before anything is run.
fn gate(texts: &[String]) -> Result<Gate, Failure> {
    let read = texts.iter().map(|text| text.parse::<Gate>().map(|gate| gate.0));
    let conditions = read.collect::<Result<Vec<_>, _>>();
    let conditions = conditions.map_err(|error| Failure::usage(format!("--fail-if: {error}"), HELP))?;
    Ok(Gate(conditions.into_iter().flatten().collect()))
}

fn work(
    config: Config,
    market: &domain::series::MarketData,
    hash: bool,
    mut bar: Bar,
) -> Result<(Config, Outcome, Duration), Failure> {
    let began = Instant::now();
    let mut look = |progress: &engine::Progress| bar.show(progress);
    let outcome = if hash {
        engine::run(&config, market, &mut Hash::default(), &mut look)
    } else {
        engine::run(&config, market, &mut Nothing, &mut look)
    };
    let took = began.elapsed();
    bar.end();
    outcome.map(|outcome| (config, outcome, took)).map_err(failure)
}

/// An engine's error as the command's.
pub fn failure(error: engine::Error) -> Failure {
    match error {
        engine::Error::Cancelled => Failure::interrupted(),
        engine::Error::Config(error) => Failure::usage(error.to_string(), HELP),
        other => Failure::other(other.to_string()),
    }
}

fn report(
    config: &Config,
    outcome: &Outcome,
    measured: &Statistics,
    loaded: &data::Loaded,
    unlimited: bool,
    took: Duration,
) -> Report {
    let mut warnings = loaded.warnings.clone();
    if unlimited {
        warnings.push("no limits file: buying power is all that is checked".to_owned());
    }
    warnings.push("nothing was recorded on the tape".to_owned());
    if outcome.counts.ambiguous_bars > 0 {
        let bars = outcome.counts.ambiguous_bars;
        warnings.push(format!("{bars} bars could have hit both a stop and a target: the worse was taken"));
    }
    let seconds = took.as_secs_f64();
    let time = |row: Option<&domain::performance::EquityRow>| row.map(|row| crate::render::time(row.time_ns));
    Report {
        strategies: strategies(config),
        parameters: parameters(config),
        statistics: measured.clone(),
        counts: counts(outcome),
        first_bar: time(outcome.equity.first()),
        last_bar: time(outcome.equity.last()),
        seconds,
        bars_per_second: outcome.counts.bars as f64 / seconds.max(f64::MIN_POSITIVE),
        data_hash: loaded.hash.clone(),
        code_version: env!("CARGO_PKG_VERSION"),
        result_hash: outcome.chain_hash.clone(),
        recorded: false,
        warnings,
    }
}

fn strategies(config: &Config) -> serde_json::Value {
    let one = |strategy: &engine::StrategyConfig| {
        let parameters: serde_json::Map<_, _> = strategy
            .parameters
            .iter()
            .map(|parameter| (parameter.name.clone(), parameter.value.clone().into()))
            .collect();
        serde_json::json!({
            "name": strategy.name, "kind": strategy.kind, "parameters": parameters,
            "symbols": strategy.symbols, "timeframe": strategy.timeframe.map(|one| one.name()),
            "sizing": domain::sizing::text(&strategy.sizing),
        })
    };
    config.strategies.iter().map(one).collect()
}

fn parameters(config: &Config) -> serde_json::Value {
    let (costs, limits) = (&config.account.costs, &config.account.limits);
    let decimal = |value: i64| domain::money::Price(value).to_string();
    serde_json::json!({
        "cash": config.account.cash.to_string(),
        "commission_per_share": decimal(costs.commission_per_share_e9),
        "commission_rate": decimal(costs.commission_rate_e9),
        "commission_minimum": Amount::from_wire(costs.commission_minimum.as_ref()).to_string(),
        "slippage_rate": decimal(costs.slippage_rate_e9),
        "allow_short": limits.allow_short,
        "calendar": config.calendar.exchange(),
        "finalize": config.finalize,
    })
}

fn counts(outcome: &Outcome) -> serde_json::Value {
    let counts = &outcome.counts;
    let denied: serde_json::Map<_, _> =
        counts.denied.iter().map(|(rule, count)| (rule.name().to_owned(), (*count).into())).collect();
    serde_json::json!({
        "bars": counts.bars, "instants": counts.instants, "signals": counts.signals,
        "approved": counts.approved, "denied": denied, "orders": counts.orders, "fills": counts.fills,
        "expired": counts.expired, "cancelled": counts.cancelled, "rejected": counts.rejected,
        "ambiguous_bars": counts.ambiguous_bars, "trades": outcome.trades.len(), "open": outcome.open.len(),
    })
}

fn print(report: &Report, outcome: &Outcome, measured: &Statistics, output: Output) -> Result<(), Failure> {
    for warning in &report.warnings {
        output.note(warning);
    }
    if output.json {
        return output.document(report);
    }
    let counts = &outcome.counts;
    output.line(&format!(
        "{} bars in {} instants in {:.2} s: {:.0} bars/s",
        counts.bars, counts.instants, report.seconds, report.bars_per_second
    ));
    let denied: Vec<_> =
        counts.denied.iter().map(|(rule, count)| format!("{} {count}", rule.name())).collect();
    let denied = if denied.is_empty() { String::new() } else { format!(" ({})", denied.join(", ")) };
    output.line(&format!(
        "{} signals, {} approved, {} denied{denied}; {} orders, {} fills, {} expired, {} cancelled",
        counts.signals,
        counts.approved,
        counts.denied_total(),
        counts.orders,
        counts.fills,
        counts.expired,
        counts.cancelled
    ));
    print_statistics(measured, output);
    output.line(&format!("data hash {}", report.data_hash));
    if let Some(hash) = &report.result_hash {
        output.line(&format!("result hash {hash}"));
    }
    Ok(())
}

/// A statistic for people: as many places as tell something.
pub fn shown(value: f64) -> String {
    if value.abs() >= 1_000.0 || value.fract() == 0.0 { format!("{value:.2}") } else { format!("{value:.4}") }
}

/// The statistics that are defined, in the order of the catalogue.
pub fn print_statistics(measured: &Statistics, output: Output) {
    let rows: Vec<_> = METRICS
        .iter()
        .filter_map(|metric| {
            let value = measured.get(metric.name).copied().flatten()?;
            Some(vec![metric.name.to_owned(), shown(value), metric.label.to_owned()])
        })
        .collect();
    output.table(&["statistic", "value", ""], &rows);
}
