//! What a backtest prints: one document, or tables for a person.

use std::time::Duration;

use analytics::metrics::METRICS;
use analytics::monte_carlo::{MonteCarlo, Percentiles};
use analytics::warnings::Warning;
use analytics::{TearSheet, format};
use backtest::Loaded;
use backtest::measure::Statistics;
use backtest::terms;
use contracts::v1::BacktestRequest;
use domain::research::revisions_name;
use engine::{Config, Outcome};
use serde::Serialize;

use super::VERSION;
use crate::exit::Failure;
use crate::output::Output;

/// What a backtest prints.
#[derive(Debug, Serialize)]
pub struct Report {
    pub strategies: serde_json::Value,
    pub parameters: serde_json::Value,
    pub statistics: Statistics,
    /// Other orders of the trades, and trades drawn again; absent with fewer than two trades.
    pub monte_carlo: Option<MonteCarlo>,
    pub counts: serde_json::Value,
    pub first_bar: Option<String>,
    pub last_bar: Option<String>,
    pub seconds: f64,
    pub bars_per_second: f64,
    pub data_hash: String,
    pub code_version: &'static str,
    /// Chain hash of the signals, decisions, orders and fills; absent with `--no-hash`.
    pub result_hash: Option<String>,
    /// With external strategies: the hash of a run in which built-in strategies of their names gave the same signals.
    pub native_hash: Option<String>,
    pub recorded: bool,
    /// Id of the run on the tape.
    pub run_id: Option<String>,
    /// Page of the run, with its tear sheet, where a dashboard of the tape listens.
    pub url: Option<String>,
    /// New tape that holds every event of the run.
    pub tape: Option<String>,
    pub warnings: Vec<String>,
    /// What checks of the result found, each with its kind.
    pub warning_block: Vec<Warning>,
    /// What a reader has to know.
    pub notes: Vec<String>,
}

pub fn reported(
    request: &BacktestRequest,
    config: &Config,
    outcome: &Outcome,
    sheet: &TearSheet,
    market: &Loaded,
    run_id: &str,
    took: Duration,
    warnings: Vec<String>,
) -> Report {
    let seconds = took.as_secs_f64();
    let time = |row: Option<&domain::performance::EquityRow>| row.map(|row| crate::render::time(row.time_ns));
    Report {
        strategies: strategies(config),
        parameters: parameters(request, config),
        statistics: sheet.statistics.clone(),
        monte_carlo: sheet.monte_carlo.clone(),
        counts: counts(outcome),
        first_bar: time(outcome.equity.first()),
        last_bar: time(outcome.equity.last()),
        seconds,
        bars_per_second: outcome.counts.bars as f64 / seconds.max(f64::MIN_POSITIVE),
        data_hash: market.hash.clone(),
        code_version: VERSION,
        result_hash: outcome.chain_hash.clone(),
        native_hash: None,
        recorded: !run_id.is_empty(),
        run_id: Some(run_id.to_owned()).filter(|id| !id.is_empty()),
        url: None,
        tape: None,
        warnings,
        warning_block: sheet.warnings.clone(),
        notes: sheet.run.notes.clone(),
    }
}

/// What every run of a search goes by: its strategies with the parameters that are not tried, and the terms.
pub fn held(request: &BacktestRequest, market: &Loaded) -> (serde_json::Value, serde_json::Value) {
    let mut config = backtest::configured(request, market);
    let tried: Vec<_> = request.search.iter().flat_map(|search| &search.ranges).collect();
    for strategy in &mut config.strategies {
        let name = &strategy.name;
        let is_tried = |parameter: &str| {
            tried.iter().any(|range| range.strategy == *name && range.parameter == parameter)
        };
        strategy.parameters.retain(|parameter| !is_tried(&parameter.name));
    }
    (strategies(&config), parameters(request, &config))
}

/// The parameters of strategies that are held while others are tried, on one line; `None` where there are none.
pub fn held_line(strategies: &serde_json::Value) -> Option<String> {
    let mut stated: Vec<String> = Vec::new();
    for strategy in strategies.as_array().into_iter().flatten() {
        let of = strategy["name"].as_str().unwrap_or_default();
        let named = strategy["parameters"].as_object().into_iter().flatten();
        let named: Vec<String> =
            named.map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default())).collect();
        if !named.is_empty() {
            stated.push(format!("{of} {}", named.join(" ")));
        }
    }
    (!stated.is_empty()).then(|| format!("not tried: {}", stated.join(", ")))
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
            "group_policy": domain::order::group::policy_name(strategy.group_policy),
        })
    };
    config.strategies.iter().map(one).collect()
}

fn parameters(request: &BacktestRequest, config: &Config) -> serde_json::Value {
    let all_limits: serde_json::Map<_, _> =
        terms::limits(request).into_iter().map(|(name, value)| (name, value.into())).collect();
    let stated = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let mut parameters = serde_json::json!({
        "cash": config.account.cash.to_string(),
        "account_kind": request.account_kind().name(),
        "allow_short": config.account.limits.allow_short,
        "calendar": config.calendar.exchange(),
        "revisions": revisions_name(request.revisions()),
        "finalize": config.finalize,
        "seed": request.seed,
        "benchmark": stated(&request.benchmark),
        "from": stated(&request.from),
        "to": stated(&request.to),
        "limits": all_limits,
    });
    let costs = terms::costs(&config.account.costs);
    if let Some(named) = parameters.as_object_mut() {
        named.extend(costs.map(|(name, value)| (name.to_owned(), value.into())));
    }
    parameters
}

fn counts(outcome: &Outcome) -> serde_json::Value {
    let counts = &outcome.counts;
    let denied: serde_json::Map<_, _> =
        counts.denied.iter().map(|(rule, count)| (rule.name().to_owned(), (*count).into())).collect();
    serde_json::json!({
        "bars": counts.bars, "instants": counts.instants, "signals": counts.signals,
        "approved": counts.approved, "denied": denied, "orders": counts.orders, "fills": counts.fills,
        "expired": counts.expired, "cancelled": counts.cancelled, "rejected": counts.rejected,
        "ambiguous_bars": counts.ambiguous_bars, "dividends": outcome.dividends.to_string(), "trades": outcome.trades.len(), "open": outcome.open.len(),
    })
}

pub fn print(report: &Report, outcome: &Outcome, output: Output) -> Result<(), Failure> {
    if output.json {
        report.warnings.iter().for_each(|warning| output.note(warning));
        return output.document(report);
    }
    // Those of the result stand in a block of their own below it.
    let own = |text: &String| report.warning_block.iter().any(|warning| warning.text == *text);
    report.warnings.iter().filter(|text| !own(text)).for_each(|warning| output.note(warning));
    let counts = &outcome.counts;
    let (bars, instants) = (counted(counts.bars, "bar"), counted(counts.instants, "instant"));
    output.line(&format!(
        "{bars} in {instants} in {:.2} s: {:.0} bars/s",
        report.seconds, report.bars_per_second
    ));
    output.line(&assumptions(&report.strategies, &report.parameters));
    print_revisions(report.parameters["revisions"].as_str(), output);
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
    print_statistics(&report.statistics, output);
    print_monte_carlo(report.monte_carlo.as_ref(), output);
    print_warnings(&report.warning_block, output);
    output.line(&format!("data hash {}", report.data_hash));
    if let Some(hash) = &report.result_hash {
        output.line(&format!("result hash {hash}"));
    }
    if let Some(hash) = &report.native_hash {
        output.line(&format!("native hash {hash}"));
    }
    if let Some(run_id) = &report.run_id {
        output.line(&format!("run {run_id}"));
        match &report.url {
            Some(url) => output.line(&format!("tear sheet {url}")),
            None => output.note(&format!("tear sheet: /backtests/{run_id} of the dashboard (tapedeck up)")),
        }
    }
    if let Some(tape) = &report.tape {
        output.note(&format!("every event is on tape {tape}: tapedeck up --tape {tape}"));
    }
    Ok(())
}

/// What a run went by, on one line: how entries are sized, what fills cost, what limits orders.
pub fn assumptions(strategies: &serde_json::Value, parameters: &serde_json::Value) -> String {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("–").to_owned();
    let sized = strategies.as_array().into_iter().flatten();
    let sized: Vec<(String, String)> = sized.map(|one| (text(&one["name"]), text(&one["sizing"]))).collect();
    let sizing = match sized.as_slice() {
        [(_, first), rest @ ..] if rest.iter().all(|(_, sizing)| sizing == first) => first.clone(),
        all => all.iter().map(|(name, sizing)| format!("{name} {sizing}")).collect::<Vec<_>>().join(", "),
    };
    let costs = |named: &[(&str, &str)]| {
        let stated = named.iter().map(|(name, words)| (text(&parameters[*name]), words));
        let stated: Vec<String> = stated
            .filter(|(value, _)| value != "0" && value != "none")
            .map(|(value, words)| format!("{value} {words}"))
            .collect();
        if stated.is_empty() { "none".to_owned() } else { stated.join(", ") }
    };
    let commission = costs(&[
        ("commission_per_share", "a share"),
        ("commission_rate", "of the value"),
        ("commission_minimum", "a fill at least"),
        ("commission_per_order", "an order"),
        ("regulatory_fees", "fees on sales"),
    ]);
    let slippage = costs(&[
        ("slippage_rate", "of the price"),
        ("slippage_per_share", "a share"),
        ("slippage_volume", "of the price by share of the volume"),
    ]);
    let volume = match text(&parameters["max_volume_share"]).as_str() {
        "0" => String::new(),
        most => format!("; volume {most} of a bar's at most"),
    };
    let limits = parameters["limits"].as_object().into_iter().flatten();
    let limits: Vec<String> = limits.map(|(name, value)| format!("{name} {}", text(value))).collect();
    let limits = if limits.is_empty() { "none".to_owned() } else { limits.join(", ") };
    let cash = text(&parameters["cash"]);
    format!(
        "assumed: cash {cash}; sizing {sizing}; commission {commission}; slippage {slippage}{volume}; \
         limits {limits}"
    )
}

/// What a run over a tape saw of revised bars; files have none.
pub fn print_revisions(name: Option<&str>, output: Output) {
    let meaning = match name {
        None => return,
        Some("as-known") => "as-known: bars as they stood at the time",
        Some(_) => "latest: each bar in its newest version from the start",
    };
    output.line(&format!("revisions {meaning}"));
}

/// `1 bar`, `2 bars`.
fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// A score for people: as many places as tell something.
pub fn shown(value: f64) -> String {
    if value.abs() >= 1_000.0 || value.fract() == 0.0 { format!("{value:.2}") } else { format!("{value:.4}") }
}

/// The warning block of a result, which says so where the checks found nothing.
pub fn print_warnings(warnings: &[Warning], output: Output) {
    let rows: Vec<_> =
        warnings.iter().map(|warning| vec![warning.kind.name().to_owned(), warning.text.clone()]).collect();
    if rows.is_empty() {
        output.line("warnings: none");
    } else {
        output.table(&["WARNING", ""], &rows);
    }
}

/// The statistics that are defined, in the order of the catalogue.
pub fn print_statistics(measured: &Statistics, output: Output) {
    let rows: Vec<_> = METRICS
        .iter()
        .filter_map(|metric| {
            let value = measured.get(metric.name).copied().flatten()?;
            let text = format::metric(Some(value), metric.unit);
            Some(vec![metric.name.to_owned(), text, metric.label.to_owned()])
        })
        .collect();
    output.table(&["statistic", "value", ""], &rows);
}

/// What other orders of the trades come to; nothing where there are too few trades.
pub fn print_monte_carlo(found: Option<&MonteCarlo>, output: Output) {
    let Some(found) = found else { return };
    let percent = |value: f64| format::percent(Some(value));
    let row = |name: &str, of: &Percentiles, text: &dyn Fn(f64) -> String, said: String| {
        vec![name.to_owned(), text(of.p5), text(of.p50), text(of.p95), said]
    };
    let deeper = format!(
        "{} are deeper than the trades' own {}",
        format::share(Some(found.deeper_than_actual)),
        percent(found.actual_max_drawdown)
    );
    let lost = format!("{} end below the start", format::share(Some(found.loss_probability)));
    let money = |value: f64| format::number(value, 2);
    let rows = [
        row("max drawdown in another order", &found.shuffled_max_drawdown, &percent, deeper),
        row("max drawdown, drawn again", &found.bootstrap_max_drawdown, &percent, String::new()),
        row("final equity, drawn again", &found.bootstrap_final_equity, &money, lost),
    ];
    let of = format!("{} runs of {} trades, seed {}", found.runs, found.trades, found.seed);
    output.table(&[of.as_str(), "5 %", "median", "95 %", ""], &rows);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_run_went_by_is_one_line() {
        let mut free = json!({"cash": "100000", "limits": {}});
        for (name, value) in terms::costs(&contracts::v1::Costs::default()) {
            free[name] = value.into();
        }
        let one = json!([{"name": "sma_cross", "sizing": "fraction:0.1"}]);
        assert_eq!(
            assumptions(&one, &free),
            "assumed: cash 100000; sizing fraction:0.1; commission none; slippage none; limits none"
        );
        let mut dear = free.clone();
        for (name, value) in [
            ("cash", "5000"),
            ("commission_per_share", "0.005"),
            ("commission_minimum", "1"),
            ("slippage_rate", "0.0002"),
        ] {
            dear[name] = value.into();
        }
        dear["limits"] = json!({"max_position": "0.25"});
        let two = json!([{"name": "a", "sizing": "fixed:10"}, {"name": "b", "sizing": "fraction:0.1"}]);
        assert_eq!(
            assumptions(&two, &dear),
            "assumed: cash 5000; sizing a fixed:10, b fraction:0.1; commission 0.005 a share, 1 a fill at least; \
             slippage 0.0002 of the price; limits max_position 0.25"
        );
        let mut dearest = free;
        for (name, value) in [
            ("commission_per_order", "2"),
            ("regulatory_fees", "us"),
            ("slippage_per_share", "0.01"),
            ("slippage_volume", "0.1"),
            ("max_volume_share", "0.05"),
        ] {
            dearest[name] = value.into();
        }
        assert_eq!(
            assumptions(&one, &dearest),
            "assumed: cash 100000; sizing fraction:0.1; commission 2 an order, us fees on sales; slippage 0.01 a share, \
             0.1 of the price by share of the volume; volume 0.05 of a bar's at most; limits none"
        );
    }
}
