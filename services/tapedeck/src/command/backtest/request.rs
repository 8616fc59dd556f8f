//! From the options to a request, complete and checked.

use contracts::v1::{
    BacktestKind, BacktestRequest, BacktestStrategy, Costs, LimitsSet, Parameter, RiskLimits, Sizing,
};
use domain::book::Scope;
use domain::money::{Amount, Price};
use domain::risk::fields;
use domain::strategy::kinds;

use super::HELP;
use crate::cli::{Global, RunOptions};
use crate::config::Config;
use crate::exit::Failure;

/// The request that the options make of bars of `timeframe`. `parameters` go to every strategy that has them.
pub fn request(
    global: &Global,
    options: &RunOptions,
    parameters: &[String],
    timeframe: &str,
) -> Result<BacktestRequest, Failure> {
    let sizing = domain::sizing::parse(&options.sizing).ok_or_else(|| {
        usage(format!("--sizing {:?}: expected {}", options.sizing, domain::sizing::EXPECTED))
    })?;
    let mut strategies = Vec::new();
    for text in &options.strategies {
        let strategy = strategy(global, text, sizing, options.allow_short)?;
        let mut name = strategy.name.clone();
        let taken = |name: &str| strategies.iter().any(|known: &BacktestStrategy| known.name == name);
        let mut number = 2..;
        while taken(&name)
            && let Some(next) = number.next()
        {
            name = format!("{}_{next}", strategy.name);
        }
        strategies.push(BacktestStrategy { name, ..strategy });
    }
    for text in parameters {
        let Parameter { name, value } = pair("--param", text)?;
        state(&mut strategies, &name, &value)?;
    }
    let request = BacktestRequest {
        kind: BacktestKind::Single.into(),
        strategies,
        symbols: options.symbols.clone(),
        timeframe: timeframe.to_owned(),
        from: options.from.map(|date| date.to_string()).unwrap_or_default(),
        to: options.to.map(|date| date.to_string()).unwrap_or_default(),
        files: options.bars.iter().chain(&options.actions).map(|file| file.display().to_string()).collect(),
        cash: amount("--cash", &options.cash)?.to_wire(),
        costs: Some(costs(options)?),
        limits: limits(options)?,
        limit_sets: limit_sets(options)?,
        allow_short: options.allow_short,
        calendar: options.calendar.clone().unwrap_or_default(),
        seed: options.seed,
        ..BacktestRequest::default()
    };
    domain::research::complete(request).map_err(|error| usage(error.to_string()))
}

fn usage(message: String) -> Failure {
    Failure::usage(message, HELP)
}

/// `NAME[:K=V,…]`: a built-in kind, or a strategy of the configuration.
fn strategy(
    global: &Global,
    text: &str,
    sizing: Sizing,
    allow_short: bool,
) -> Result<BacktestStrategy, Failure> {
    let (name, stated) = text.split_once(':').unwrap_or((text, ""));
    let stated = stated.split(',').filter(|pair| !pair.is_empty());
    let stated: Vec<Parameter> = stated.map(|text| pair("--strategy", text)).collect::<Result<_, _>>()?;
    let mut strategy = match kinds().iter().find(|kind| kind.name == name) {
        Some(kind) => BacktestStrategy { name: name.into(), kind: kind.name.into(), ..Default::default() },
        None => configured(global, name)?,
    };
    strategy.sizing.get_or_insert(sizing);
    for parameter in stated {
        set(&mut strategy.parameters, parameter);
    }
    if allow_short && has(&strategy.kind, "allow_short") {
        let (name, value) = ("allow_short".to_owned(), "true".to_owned());
        if !strategy.parameters.iter().any(|parameter| parameter.name == name) {
            strategy.parameters.push(Parameter { name, value });
        }
    }
    Ok(strategy)
}

fn configured(global: &Global, name: &str) -> Result<BacktestStrategy, Failure> {
    let config = &global.configuration()?.config;
    let Some(known) = config.strategy.get(name) else {
        let kinds: Vec<_> = kinds().iter().map(|kind| kind.name).collect();
        let own: Vec<_> = config.strategy.keys().map(String::as_str).collect();
        return Err(usage(format!(
            "--strategy {name:?}: expected a kind ({}) or a strategy of the configuration ({})",
            kinds.join(", "),
            own.join(", ")
        )));
    };
    Ok(BacktestStrategy {
        name: name.to_owned(),
        kind: known.kind.clone(),
        parameters: known.parameters(),
        symbols: known.symbols.clone(),
        sizing: domain::sizing::parse(&known.sizing),
    })
}

fn has(kind: &str, parameter: &str) -> bool {
    let kind = kinds().iter().find(|known| known.name == kind);
    kind.is_some_and(|kind| kind.parameters.iter().any(|spec| spec.name == parameter))
}

/// Gives a parameter to every strategy that has it; one that none has is a mistake.
fn state(strategies: &mut [BacktestStrategy], name: &str, value: &str) -> Result<(), Failure> {
    let mut found = false;
    for strategy in strategies.iter_mut().filter(|strategy| has(&strategy.kind, name)) {
        found = true;
        set(&mut strategy.parameters, Parameter { name: name.to_owned(), value: value.to_owned() });
    }
    if found {
        return Ok(());
    }
    let known: Vec<_> = kinds()
        .iter()
        .filter(|kind| strategies.iter().any(|strategy| strategy.kind == kind.name))
        .flat_map(|kind| kind.parameters.iter().map(|spec| spec.name))
        .collect();
    Err(usage(format!("--param {name}: no strategy has it, expected one of {}", known.join(", "))))
}

fn set(parameters: &mut Vec<Parameter>, stated: Parameter) {
    match parameters.iter_mut().find(|known| known.name == stated.name) {
        Some(known) => known.value = stated.value,
        None => parameters.push(stated),
    }
}

/// Reads `K=V`.
pub fn pair(option: &str, text: &str) -> Result<Parameter, Failure> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok(Parameter { name: name.to_owned(), value: value.to_owned() })
        }
        _ => Err(usage(format!("{option} {text:?}: expected NAME=VALUE"))),
    }
}

fn amount(option: &str, text: &str) -> Result<Amount, Failure> {
    let read = text.parse::<Amount>().ok().filter(|amount| amount.0 > 0 && amount.to_wire().is_some());
    read.ok_or_else(|| usage(format!("{option} {text:?}: expected an amount of money above 0")))
}

fn costs(options: &RunOptions) -> Result<Costs, Failure> {
    let number = |option: &str, text: &str, most: i64, expected: &str| {
        let read = text.parse::<Price>().ok().filter(|price| (0..=most).contains(&price.0));
        read.map(|price| price.0).ok_or_else(|| usage(format!("--{option} {text:?}: expected {expected}")))
    };
    let one = domain::money::E9;
    let minimum =
        number("commission-minimum", &options.commission_minimum, i64::MAX, "an amount of 0 or more")?;
    Ok(Costs {
        commission_per_share_e9: number(
            "commission-per-share",
            &options.commission_per_share,
            i64::MAX,
            "an amount of 0 or more",
        )?,
        commission_rate_e9: number("commission-rate", &options.commission_rate, one, "a share from 0 to 1")?,
        commission_minimum: Amount(i128::from(minimum)).to_wire(),
        // One basis point is a ten-thousandth.
        slippage_rate_e9: number("slippage-bps", &options.slippage_bps, 10_000 * one, "0 to 10000")? / 10_000,
        ..Costs::default()
    })
}

/// The limits of the one account of a configuration file.
fn limits(options: &RunOptions) -> Result<Option<RiskLimits>, Failure> {
    let Some(path) = &options.limits else { return Ok(None) };
    let config = Config::load(Some(path))?;
    match config.account.values().collect::<Vec<_>>().as_slice() {
        [account] => {
            let limits = account.limits();
            Ok(Some(RiskLimits { allow_short: limits.allow_short || options.allow_short, ..limits }))
        }
        several => Err(usage(format!(
            "--limits {}: {} accounts, expected one [account.NAME]",
            path.display(),
            several.len()
        ))),
    }
}

/// Limits by scope: those of the configuration file, then those of the options.
fn limit_sets(options: &RunOptions) -> Result<Vec<LimitsSet>, Failure> {
    let mut sets: Vec<(Scope, contracts::v1::TradeLimits)> = Vec::new();
    if let Some(path) = &options.limits {
        for stated in Config::load(Some(path))?.limits {
            let limits = stated.limits().map_err(|error| usage(error.to_string()))?;
            let scope = stated.scope();
            // A run has one account, whatever the file calls its own.
            let account = if scope.account.is_empty() { "" } else { backtest::ACCOUNT };
            sets.push((Scope { account: account.to_owned(), ..scope }, limits));
        }
    }
    for text in &options.scoped_limits {
        let (scope, name, value) = scoped(text)?;
        let place = match sets.iter().position(|(known, _)| *known == scope) {
            Some(place) => place,
            None => {
                sets.push((scope, contracts::v1::TradeLimits::default()));
                sets.len() - 1
            }
        };
        let (scope, limits) = &mut sets[place];
        let stated = fields::state(limits, name, value).and_then(|()| fields::check(scope, limits));
        stated.map_err(|error| usage(format!("--limit {text}: {error}")))?;
    }
    let set = |(scope, limits): (Scope, contracts::v1::TradeLimits)| LimitsSet {
        scope: Some(scope.to_wire()),
        version: 1,
        limits: Some(limits),
        actor: "config".to_owned(),
        reason: String::new(),
    };
    Ok(sets.into_iter().map(set).collect())
}

/// Reads `NAME=VALUE`, `strategy:S.NAME=VALUE` or `symbol:Y.NAME=VALUE`.
fn scoped(text: &str) -> Result<(Scope, &str, &str), Failure> {
    let expected = || {
        usage(format!("--limit {text:?}: expected NAME=VALUE, strategy:S.NAME=VALUE or symbol:Y.NAME=VALUE"))
    };
    let (left, value) = text.split_once('=').ok_or_else(expected)?;
    // A symbol may have a dot of its own: the name is what comes after the last one.
    let Some((scope, name)) = left.rsplit_once('.') else {
        return Ok((Scope::default(), left, value));
    };
    match scope.split_once(':') {
        Some(("strategy", name_of)) => Ok((Scope::new("", name_of, ""), name, value)),
        Some(("symbol", symbol)) => Ok((Scope::new("", "", &symbol.to_uppercase()), name, value)),
        _ => Err(expected()),
    }
}
