//! From the options to a request, complete and checked.

use std::path::Path;

use contracts::v1::{
    AccountConfigured, AccountKind, BacktestKind, BacktestRequest, BacktestRevisions, BacktestStrategy,
    Costs, LimitsSet, Parameter, RiskLimits, Sizing,
};
use domain::book::Scope;
use domain::money::Amount;
use domain::research::{Invalid, StatedCosts};
use domain::risk::fields;
use domain::strategy::{ParameterSpec, ValueSpec, kinds};

use super::HELP;
use super::named::{Named, name_of};
use crate::cli::{Global, RunOptions};
use crate::command::external::group_policy;
use crate::command::symbols::one;
use crate::config::{AccountConfig, Config};
use crate::exit::Failure;

/// How entries are sized where neither options nor strategy say.
const SIZING: &str = "fraction:0.1";

/// Cash at the start where neither options nor the file of limits say.
const CASH: &str = "100000";

/// The request that the options make of bars of `timeframe`. `parameters` go to every strategy that has them.
pub fn request(
    global: &Global,
    options: &RunOptions,
    parameters: &[String],
    named: &Named,
    timeframe: &str,
) -> Result<BacktestRequest, Failure> {
    let sizing = options.sizing.as_deref().map(sizing).transpose()?;
    let mut strategies = Vec::new();
    let mut texts = options.strategies.clone();
    let is_stated = |name: &str| options.strategies.iter().any(|text| name_of(text) == name);
    let programs = named.programs.iter().filter(|program| !is_stated(&program.name));
    texts.extend(programs.map(|program| program.name.clone()));
    if texts.is_empty() {
        return Err(usage("--strategy: expected at least one strategy".to_owned()));
    }
    for text in &texts {
        let strategy = strategy(global, text, named, sizing, options.allow_short)?;
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
    if let Some(stated) = &options.group_policy {
        let policy = group_policy(stated, HELP)?;
        strategies.iter_mut().for_each(|strategy| strategy.set_group_policy(policy));
    }
    let mut stated: Vec<String> = Vec::new();
    for text in parameters {
        let Parameter { name, value } = pair("--param", text)?;
        if stated.contains(&name) {
            return Err(usage(format!("--param {text}: {name} is stated twice, expected once")));
        }
        stated.push(name.clone());
        state(&mut strategies, &name, &value)?;
    }
    let file = options.limits.as_deref().map(of_file).transpose()?;
    let account = named.account().map_or_else(String::new, |known| known.strategy.account.clone());
    let limit_sets = limit_sets(options, file.as_ref(), &strategies, &account)?;
    let request = BacktestRequest {
        kind: BacktestKind::Single.into(),
        strategies,
        symbols: options.symbols.clone(),
        timeframe: timeframe.to_owned(),
        from: options.from.map(|date| date.to_string()).unwrap_or_default(),
        to: options.to.map(|date| date.to_string()).unwrap_or_default(),
        files: options.bars.iter().chain(&options.actions).map(|file| file.display().to_string()).collect(),
        cash: cash(options, file.as_ref())?.to_wire(),
        costs: Some(costs(options, file.as_ref(), named)?),
        limits: limits(options, file.as_ref(), named)?,
        limit_sets,
        account_kind: account_kind(global, &texts, file.as_ref(), named)?.into(),
        account,
        allow_short: options.allow_short,
        calendar: options.calendar.clone().unwrap_or_default(),
        revisions: revisions(options)?.into(),
        benchmark: options.benchmark.clone().unwrap_or_default(),
        seed: options.seed,
        ..BacktestRequest::default()
    };
    let complete = if named.programs.is_empty() {
        domain::research::complete
    } else {
        domain::research::complete_beside
    };
    complete(request).map_err(|error| usage(error.to_string()))
}

/// What the run sees of revised bars: nobody need say it, and of files nobody can.
fn revisions(options: &RunOptions) -> Result<BacktestRevisions, Failure> {
    let Some(name) = &options.revisions else { return Ok(BacktestRevisions::Unspecified) };
    let read = domain::research::revisions(name).map_err(|error| usage(format!("--{error}")))?;
    if options.bars.is_empty() {
        return Ok(read);
    }
    Err(usage(format!(
        "--revisions {name}: expected none with --bars, whose files state each bar once; the bars of a tape have revisions"
    )))
}

fn sizing(text: &str) -> Result<Sizing, Failure> {
    let expected = domain::sizing::EXPECTED;
    domain::sizing::parse(text).ok_or_else(|| usage(format!("--sizing {text:?}: expected {expected}")))
}

fn usage(message: String) -> Failure {
    Failure::usage(message, HELP)
}

/// `NAME[:K=V,…]`: the first that has this name of a program, what was found to be registered on the tape, a strategy of
/// the configuration and a built-in kind.
fn strategy(
    global: &Global,
    text: &str,
    named: &Named,
    stated_sizing: Option<Sizing>,
    allow_short: bool,
) -> Result<BacktestStrategy, Failure> {
    let (name, stated) = text.split_once(':').unwrap_or((text, ""));
    // What the configuration states under a kind's name is what runs under that name.
    let stated_there =
        global.configuration()?.config.strategy.get(name).is_some_and(|known| !known.is_plain());
    let kind = kinds().iter().find(|kind| kind.name == name).filter(|_| !stated_there);
    let mut strategy = match (named.strategy(name), kind) {
        (Some(known), _) => known,
        (None, Some(kind)) => {
            BacktestStrategy { name: name.into(), kind: kind.name.into(), ..Default::default() }
        }
        (None, None) => configured(global, name)?,
    };
    let stated = parameters(&strategy.kind, stated)?;
    // An option goes before what the configuration or a registration states.
    if stated_sizing.is_some() {
        strategy.sizing = stated_sizing;
    } else if strategy.sizing.is_none() {
        strategy.sizing = Some(sizing(SIZING)?);
    }
    if allow_short && has(&strategy.kind, "allow_short") {
        let short = Parameter { name: "allow_short".to_owned(), value: "true".to_owned() };
        let is_stated = strategy.parameters.iter().any(|parameter| parameter.name == short.name);
        // A registration has a value for each of its parameters, whether somebody stated it or not.
        if !is_stated || named.registered.contains_key(name) {
            set(&mut strategy.parameters, short);
        }
    }
    for parameter in stated {
        set(&mut strategy.parameters, parameter);
    }
    Ok(strategy)
}

fn configured(global: &Global, name: &str) -> Result<BacktestStrategy, Failure> {
    let config = &global.configuration()?.config;
    let Some(known) = config.strategy.get(name) else {
        let kinds: Vec<_> = kinds().iter().map(|kind| kind.name).collect();
        let own: Vec<_> = config.strategy.keys().map(String::as_str).collect();
        return Err(usage(format!(
            "--strategy {name:?}: expected a kind ({}), a strategy of the configuration ({}), one that is registered \
             on the tape, or a program with --external",
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
        group_policy: known.group_policy.wire().into(),
    })
}

/// Reads `K=V,…`. A list of weights has commas of its own: what comes after one and is no parameter is a part of it.
fn parameters(kind: &str, text: &str) -> Result<Vec<Parameter>, Failure> {
    let mut found: Vec<Parameter> = Vec::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let stated = pair("--strategy", part)?;
        let last = found.last().and_then(|last| spec(kind, &last.name));
        let goes_on = last.is_some_and(|spec| matches!(spec.value, ValueSpec::Weights));
        let is_again = found.iter().any(|known| known.name == stated.name);
        match found.last_mut() {
            Some(list) if goes_on && !has(kind, &stated.name) => {
                list.value.push(',');
                list.value.push_str(part);
            }
            _ if is_again => {
                let name = stated.name;
                return Err(usage(format!("--strategy: {part}: {name} is stated twice, expected once")));
            }
            _ => found.push(stated),
        }
    }
    Ok(found)
}

fn spec(kind: &str, parameter: &str) -> Option<&'static ParameterSpec> {
    let kind = kinds().iter().find(|known| known.name == kind)?;
    kind.parameters.iter().find(|spec| spec.name == parameter)
}

fn has(kind: &str, parameter: &str) -> bool {
    spec(kind, parameter).is_some()
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
    let expected = "an amount of money above 0 and below 9.2e18, in decimal with at most nine places";
    read.ok_or_else(|| usage(format!("{option} {text:?}: expected {expected}")))
}

/// Cash at the start: that of the option, of the file of limits where it states any, or the default.
fn cash(options: &RunOptions, file: Option<&LimitsFile>) -> Result<Amount, Failure> {
    match (&options.cash, file.filter(|file| file.written.contains_key("cash"))) {
        (None, Some(file)) => Ok(Amount(i128::from(file.account.cash.0))),
        (stated, _) => amount("--cash", stated.as_deref().unwrap_or(CASH)),
    }
}

/// What the options state, then what the file of limits does, then what the account of a registration has.
fn costs(options: &RunOptions, file: Option<&LimitsFile>, named: &Named) -> Result<Costs, Failure> {
    let of_account = named.account().and_then(|known| known.account.as_ref()).and_then(|known| known.costs);
    let known = of_account.unwrap_or_default();
    let known = file.map_or(known, |file| file.account.costs_over(known, &file.written));
    let stated = StatedCosts {
        commission_rate: options.commission_rate.as_deref(),
        commission_per_share: options.commission_per_share.as_deref(),
        commission_minimum: options.commission_minimum.as_deref(),
        commission_per_order: options.commission_per_order.as_deref(),
        regulatory_fees: options.regulatory_fees.as_deref(),
        slippage_bps: options.slippage_bps.as_deref(),
        slippage_per_share: options.slippage_per_share.as_deref(),
        slippage_volume: options.slippage_volume.as_deref(),
        max_volume_share: options.max_volume_share.as_deref(),
    };
    domain::research::costs(&stated, known).map_err(|Invalid { field, value, expected }| {
        usage(format!("--{} {value:?}: expected {expected}", field.replace('_', "-")))
    })
}

/// What the account may do with borrowed money and shares: what the file of limits states, then what the account of the
/// registrations has, then that on which the configuration lets the strategies trade.
fn account_kind(
    global: &Global,
    texts: &[String],
    file: Option<&LimitsFile>,
    named: &Named,
) -> Result<AccountKind, Failure> {
    if let Some(file) = file.filter(|file| file.written.contains_key("kind")) {
        let kind = &file.account.kind;
        let refused = || usage(format!("--limits: account kind {kind:?}: expected cash, margin or nothing"));
        return file.account.account_kind().ok_or_else(refused);
    }
    if !named.registered.is_empty() {
        let account = named.account().and_then(|known| known.account.as_ref());
        return Ok(account.map(AccountConfigured::kind).unwrap_or_default());
    }
    let config = &global.configuration()?.config;
    let stated = texts.iter().filter_map(|text| config.strategy.get(name_of(text)));
    let mut accounts: Vec<&str> =
        stated.filter(|known| !known.is_plain()).map(|known| known.account.as_str()).collect();
    accounts.sort_unstable();
    accounts.dedup();
    let [account] = accounts.as_slice() else { return Ok(AccountKind::Unspecified) };
    let kind = config.account.get(*account).and_then(AccountConfig::account_kind);
    Ok(kind.unwrap_or_default())
}

/// What the file that `--limits` names states.
struct LimitsFile {
    /// All of it, which is not the configuration that `config check` looks at.
    config: Config,
    /// Its one account, with the defaults of what is not written.
    account: AccountConfig,
    /// The fields that are written in the account's table.
    written: toml::Table,
}

fn of_file(path: &Path) -> Result<LimitsFile, Failure> {
    if !path.is_file() {
        let refused = |what: &str| {
            format!("--limits {}: {what}, expected a file with a table [account.NAME]", path.display())
        };
        return Err(match path.exists() {
            true if path.is_dir() => usage(refused("a directory")),
            true => usage(refused("a device or a pipe")),
            false => Failure::not_found(refused("no such file"), HELP),
        });
    }
    let (config, written) = Config::load_limits(path).map_err(|error| Failure {
        hint: HELP.to_owned(),
        ..Failure::config(format!("--limits: {error}"))
    })?;
    let accounts = written.get("account").and_then(toml::Value::as_table);
    let several = accounts.map_or(0, toml::Table::len);
    // With limits by scope alone, the account is that of an empty table.
    let is_clear = several == 1 || (several == 0 && !config.limits.is_empty());
    let Some(account) = config.account.values().next().filter(|_| is_clear).cloned() else {
        return Err(usage(format!(
            "--limits {}: {several} accounts, expected one [account.NAME]",
            path.display()
        )));
    };
    let table = accounts.and_then(|accounts| accounts.values().next()).and_then(toml::Value::as_table);
    let written = table.cloned().unwrap_or_default();
    Ok(LimitsFile { config, account, written })
}

/// The limits of the one account of the file of limits, else those of the account of a registration.
fn limits(
    options: &RunOptions,
    file: Option<&LimitsFile>,
    named: &Named,
) -> Result<Option<RiskLimits>, Failure> {
    let wider =
        |limits: RiskLimits| RiskLimits { allow_short: limits.allow_short || options.allow_short, ..limits };
    let Some(file) = file else {
        let account = named.account().and_then(|known| known.account.as_ref());
        let limits = account.and_then(|account| account.limits);
        return Ok(limits.map(wider));
    };
    Ok(Some(wider(file.account.limits())))
}

/// Limits by scope: those of the configuration file, then those of the options. A file may hold limits of strategies that
/// do not run; an option that names one is a mistake. `account` is that of the run, empty where it has no name of its own.
fn limit_sets(
    options: &RunOptions,
    file: Option<&LimitsFile>,
    strategies: &[BacktestStrategy],
    account: &str,
) -> Result<Vec<LimitsSet>, Failure> {
    let mut sets: Vec<(Scope, contracts::v1::TradeLimits)> = Vec::new();
    if let Some(file) = file {
        for stated in &file.config.limits {
            let limits = stated.limits().map_err(|error| usage(error.to_string()))?;
            let scope = stated.scope();
            // A run has one account, whatever the file calls its own.
            let own = if account.is_empty() { backtest::ACCOUNT } else { account };
            let account = if scope.account.is_empty() { "" } else { own };
            sets.push((Scope { account: account.to_owned(), ..scope }, limits));
        }
    }
    let mut said: Vec<(Scope, &str)> = Vec::new();
    for text in &options.scoped_limits {
        let (scope, name, value) = scoped(text)?;
        if said.iter().any(|(known, field)| *known == scope && *field == name) {
            return Err(usage(format!("--limit {text}: {name} is stated twice, expected once in one scope")));
        }
        said.push((scope.clone(), name));
        if !scope.strategy.is_empty() && !strategies.iter().any(|known| known.name == scope.strategy) {
            let known: Vec<_> = strategies.iter().map(|strategy| strategy.name.as_str()).collect();
            let known = known.join(", ");
            let message = format!("--limit {text}: no such strategy in this run, expected one of {known}");
            return Err(Failure::not_found(message, HELP));
        }
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

/// Reads a limit as it is written with its scope.
pub fn scoped(text: &str) -> Result<(Scope, &str, &str), Failure> {
    let expected = fields::SCOPED_EXPECTED;
    let read = fields::scoped(text);
    let (mut scope, name, value) =
        read.ok_or_else(|| usage(format!("--limit {text:?}: expected {expected}")))?;
    if !scope.symbol.is_empty() {
        scope.symbol = one(&format!("--limit {text:?}: symbol"), &scope.symbol, HELP)?;
    }
    Ok((scope, name, value))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn options(more: &[&str]) -> RunOptions {
        let line = [&["tapedeck", "sweep", "--param", "fast=5"][..], more].concat();
        let Command::Sweep(options) = Cli::try_parse_from(&line).unwrap().command else {
            panic!("{line:?} is another command")
        };
        options.run
    }

    #[test]
    fn every_cost_has_an_option() {
        let stated = [
            "--commission-rate=0.001",
            "--commission-per-share=0.005",
            "--commission-minimum=1",
            "--commission-per-order=2",
            "--regulatory-fees=us",
            "--slippage-bps=1",
            "--slippage-per-share=0.01",
            "--slippage-volume=0.07",
            "--max-volume-share=0.25",
        ];
        let costs = |more: &[&str]| costs(&options(more), None, &Named::default());
        let named = backtest::terms::costs(&costs(&stated).unwrap()).map(|(_, value)| value);
        assert_eq!(named, ["0.001", "0.005", "1", "2", "us", "0.0001", "0.01", "0.07", "0.25"]);
        let refused = costs(&["--max-volume-share=2"]).unwrap_err().message;
        assert_eq!(refused, "--max-volume-share \"2\": expected 0 to 1, a share of the volume");
    }

    #[test]
    fn limits_of_a_files_account_are_those_of_the_account_of_the_run() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("limits.toml");
        let text = "[account.own]\n[[limits]]\naccount = \"own\"\nmax_open_orders = 3\n";
        std::fs::write(&path, text).unwrap();
        let file = of_file(&path).unwrap();
        for (account, expected) in [("", backtest::ACCOUNT), ("other", "other")] {
            let sets = limit_sets(&options(&[]), Some(&file), &[], account).unwrap();
            let scope = sets.first().and_then(|set| set.scope.clone()).unwrap_or_default();
            assert_eq!(scope.account, expected);
        }
    }

    #[test]
    fn limits_are_those_of_a_file() {
        let refused = |path: &Path| of_file(path).map(drop).unwrap_err();
        let device = refused(Path::new("/dev/null"));
        assert_eq!(device.code, 2);
        let words = "--limits /dev/null: a device or a pipe, expected a file with a table [account.NAME]";
        assert_eq!(device.message, words);
        let dir = tempfile::tempdir().unwrap();
        assert!(refused(dir.path()).message.contains(": a directory, expected a file"));
        let missing = refused(&dir.path().join("none.toml"));
        assert!(missing.code == 3 && missing.message.contains(": no such file, expected"), "{missing:?}");
    }
}
