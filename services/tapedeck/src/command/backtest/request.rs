//! From the options to a request, complete and checked.

use contracts::v1::{
    AccountConfigured, AccountKind, BacktestKind, BacktestRequest, BacktestRevisions, BacktestStrategy,
    Costs, Parameter, Sizing,
};
use domain::money::Amount;
use domain::research::{Invalid, RunLimits, StatedCosts};
use domain::strategy::{ParameterSpec, ValueSpec, kinds, known_kinds};

use super::HELP;
use super::limits::{LimitsFile, by_scope, of_account, of_file};
use super::named::{Named, name_of};
use crate::cli::{Global, RunOptions};
use crate::command::external::group_policy;
use crate::config::AccountConfig;
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
    let (mut strategies, mut names) = (Vec::new(), Vec::new());
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
        if named.registered.contains_key(name_of(text)) {
            names.push((name_of(text).to_owned(), name.clone()));
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
    let file = options.limits_file().map(of_file).transpose()?;
    let account = named.account().unwrap_or_default().to_owned();
    let of_tape = RunLimits::of_tape(&named.limits, &names, &strategies, &options.symbols);
    let by_scope = by_scope(options, file.as_ref(), of_tape, &strategies, &account)?;
    let mut request = BacktestRequest {
        kind: BacktestKind::Single.into(),
        strategies,
        symbols: options.symbols.clone(),
        timeframe: timeframe.to_owned(),
        from: options.from.map(|date| date.to_string()).unwrap_or_default(),
        to: options.to.map(|date| date.to_string()).unwrap_or_default(),
        files: options.bars.iter().chain(&options.actions).map(|file| file.display().to_string()).collect(),
        cash: cash(options, file.as_ref())?.to_wire(),
        costs: Some(costs(options, file.as_ref(), named)?),
        limits: of_account(options, file.as_ref(), named),
        account_kind: account_kind(global, options, &texts, file.as_ref(), named)?.into(),
        account,
        allow_short: options.allow_short,
        calendar: options.calendar.clone().unwrap_or_default(),
        revisions: revisions(options)?.into(),
        benchmark: options.benchmark.clone().unwrap_or_default(),
        seed: options.seed,
        ..BacktestRequest::default()
    };
    by_scope.put("config", &mut request);
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
        let own: Vec<_> = config.strategy.keys().map(String::as_str).collect();
        return Err(usage(format!(
            "--strategy {name:?}: expected a kind ({}), a strategy of the configuration ({}), one that is registered \
             on the tape, or a program with --external",
            known_kinds(name),
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
    let of_account = named.terms().and_then(|terms| terms.costs);
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

/// What the account may do with borrowed money and shares: what the option says, then what the file of limits does, then what the account of the
/// registrations has, then that on which the configuration lets the strategies trade.
fn account_kind(
    global: &Global,
    options: &RunOptions,
    texts: &[String],
    file: Option<&LimitsFile>,
    named: &Named,
) -> Result<AccountKind, Failure> {
    if let Some(name) = &options.account_kind {
        return stated_kind(name, options.allow_short);
    }
    if let Some(file) = file.filter(|file| file.written.contains_key("kind")) {
        let kind = &file.account.kind;
        let refused = || usage(format!("--limits: account kind {kind:?}: expected cash, margin or nothing"));
        return file.account.account_kind().ok_or_else(refused);
    }
    if !named.registered.is_empty() || named.stated.is_some() {
        return Ok(named.terms().map(AccountConfigured::kind).unwrap_or_default());
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

/// The kind that an option names; a cash account has no shares to lend.
fn stated_kind(name: &str, allow_short: bool) -> Result<AccountKind, Failure> {
    let kind = match name {
        "none" => AccountKind::Unspecified,
        name => AccountKind::of_name(name)
            .ok_or_else(|| usage(format!("--account-kind {name:?}: expected none, cash or margin")))?,
    };
    if kind == AccountKind::Cash && allow_short {
        let expected = "expected another kind with --allow-short: a cash account holds no short positions";
        return Err(usage(format!("--account-kind cash: {expected}")));
    }
    Ok(kind)
}

#[cfg(test)]
mod tests {
    use super::super::tests::options;
    use super::*;

    #[test]
    fn the_kind_of_account_has_an_option() {
        let stated = options(&["--account-kind", "margin"]);
        assert_eq!(stated.account_kind.as_deref(), Some("margin"));
        let read = |name: &str, short| stated_kind(name, short).map_err(|failure| failure.message);
        assert_eq!(read("margin", true), Ok(AccountKind::Margin));
        assert_eq!(read("none", false), Ok(AccountKind::Unspecified));
        assert_eq!(read("cash", false), Ok(AccountKind::Cash));
        assert!(read("cash", true).unwrap_err().ends_with("a cash account holds no short positions"));
        let refused = read("gold", false).unwrap_err();
        assert_eq!(refused, "--account-kind \"gold\": expected none, cash or margin");
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
}
