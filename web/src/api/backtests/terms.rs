//! The terms of a run that is asked for: what of them stands on the tape, costs, kind of account, limits by scope.

use std::collections::{BTreeMap, BTreeSet};

use contracts::v1::{AccountConfigured, AccountKind, BacktestStrategy, Costs, LimitsSet, StrategyRegistered};
use domain::book::Scope;
use domain::money::{Amount, MalformedNumber, Price};
use domain::research::{self, Invalid, RunLimits, STRATEGIES_MAX, SYMBOLS_MAX, StatedCosts};
use domain::risk::fields::{self, LimitError};
use event_log::Tape;
use runtime::command;
use serde::Deserialize;
use utoipa::ToSchema;

use super::super::fields::symbol;
use super::ask::NewBacktest;
use crate::error::PageError;

/// Most scopes with limits.
const SCOPES_MAX: usize = 64;

/// Limits of a scope of a run.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BacktestScopedLimits)]
pub struct ScopedLimits {
    /// Name of a strategy of the run; all of them when absent.
    #[serde(default)]
    pub strategy: String,
    /// Symbol; all of them when absent.
    #[serde(default)]
    #[schema(max_length = 32)]
    pub symbol: String,
    /// Values as text, by the names that `GET /api/v1/limits` lists.
    pub limits: BTreeMap<String, String>,
}

/// What a request names that stands on the tape.
#[derive(Debug, Default)]
pub struct Known {
    registered: BTreeMap<String, StrategyRegistered>,
    /// Account whose terms hold where the request states none; empty where there is none.
    pub account: String,
    /// Its terms.
    pub terms: AccountConfigured,
    /// Limits by scope in force of the account and the strategies.
    in_force: Vec<LimitsSet>,
}

impl Known {
    /// Looks up the strategies that `asked` names as registered, and the account: the one that is stated, else the only
    /// one that these strategies trade on.
    pub async fn of(tape: &Tape, asked: &NewBacktest) -> Result<Self, PageError> {
        let count = asked.strategies.len();
        if count > STRATEGIES_MAX {
            return Err(PageError::field("strategies", &count.to_string(), format!("1 to {STRATEGIES_MAX}")));
        }
        let mut this = Self::default();
        for name in asked.strategies.iter().filter_map(|strategy| strategy.registered.as_deref()) {
            let known = if name.is_empty() { None } else { command::registration(tape, name).await? };
            let Some(known) = known else {
                let expected = "the name of a strategy that is registered on this tape";
                return Err(PageError::field("registered", name, expected));
            };
            if known.is_external() {
                let expected =
                    "a built-in strategy; `tapedeck backtest --external` runs the program of an external one";
                return Err(PageError::field("registered", name, expected));
            }
            this.registered.insert(name.to_owned(), known.registered);
        }
        let on: BTreeSet<&str> = this.registered.values().map(|one| one.account.as_str()).collect();
        let only = if on.len() == 1 { on.first().copied() } else { None };
        if let Some(account) = asked.account.as_deref().or(only).map(str::to_owned) {
            match command::account_terms(tape, &account).await? {
                Some(terms) => this.terms = terms,
                None if asked.account.is_some() => {
                    return Err(PageError::field("account", &account, "an account of this tape"));
                }
                None => {}
            }
            this.account = account;
        }
        if !this.account.is_empty() || !this.registered.is_empty() {
            let names: Vec<&str> = this.registered.keys().map(String::as_str).collect();
            this.in_force = command::limits_in_force(tape, &this.account, &names).await?;
        }
        Ok(this)
    }

    /// The strategy that is registered under `name`, as a run has it.
    pub fn strategy(&self, name: &str) -> BacktestStrategy {
        let known = self.registered.get(name).cloned().unwrap_or_default();
        BacktestStrategy {
            name: known.strategy,
            kind: known.kind,
            parameters: known.parameters,
            symbols: known.symbols,
            sizing: known.sizing,
            group_policy: known.group_policy,
        }
    }

    /// The limits by scope of the tape that hold for a run of `strategies` over `symbols`. `registered` are the names under
    /// which these are registered, in the same order.
    pub fn limits(
        &self,
        registered: &[Option<String>],
        strategies: &[BacktestStrategy],
        symbols: &[String],
    ) -> RunLimits {
        let both = registered.iter().zip(strategies);
        let named = both.filter_map(|(of, strategy)| Some((of.clone()?, strategy.name.clone())));
        RunLimits::of_tape(&self.in_force, &named.collect::<Vec<_>>(), strategies, symbols)
    }
}

/// The costs that are stated, each in the place of that of `known`.
pub fn costs(asked: &NewBacktest, known: Costs) -> Result<Costs, PageError> {
    let stated = StatedCosts {
        commission_rate: asked.commission_rate.as_deref(),
        commission_per_share: asked.commission_per_share.as_deref(),
        commission_minimum: asked.commission_minimum.as_deref(),
        commission_per_order: asked.commission_per_order.as_deref(),
        regulatory_fees: asked.regulatory_fees.as_deref(),
        slippage_bps: asked.slippage_bps.as_deref(),
        slippage_per_share: asked.slippage_per_share.as_deref(),
        slippage_volume: asked.slippage_volume.as_deref(),
        max_volume_share: asked.max_volume_share.as_deref(),
    };
    research::costs(&stated, known).map_err(of_domain)
}

/// A request that the domain refuses.
pub fn of_domain(invalid: Invalid) -> PageError {
    PageError::field(invalid.field, &invalid.value, invalid.expected)
}

/// What the account may do with borrowed money and shares.
pub fn account_kind(stated: Option<&str>, known: AccountKind) -> Result<AccountKind, PageError> {
    match stated {
        None => Ok(known),
        Some("none") => Ok(AccountKind::Unspecified),
        Some(name) => AccountKind::of_name(name)
            .ok_or_else(|| PageError::field("account_kind", name, "none, cash or margin")),
    }
}

/// Limits by scope of a run of `strategies` over `symbols`, of which none means all: `of_tape`, and what is asked beside
/// them.
pub fn limit_sets(
    asked: Vec<ScopedLimits>,
    of_tape: RunLimits,
    strategies: &[BacktestStrategy],
    symbols: &[String],
) -> Result<RunLimits, PageError> {
    let wrong = |value: &str, expected: String| PageError::field("limit_sets", value, expected);
    let refused = |LimitError { field, value, expected }| wrong(&format!("{field}={value}"), expected);
    if asked.len() > SCOPES_MAX {
        return Err(wrong(&asked.len().to_string(), format!("at most {SCOPES_MAX} scopes")));
    }
    let mut limits = of_tape;
    let mut stated: Vec<Scope> = Vec::with_capacity(asked.len());
    for of in asked {
        if !of.strategy.is_empty() && !strategies.iter().any(|known| known.name == of.strategy) {
            let known: Vec<&str> = strategies.iter().map(|known| known.name.as_str()).collect();
            return Err(wrong(&of.strategy, format!("a strategy of the run: {}", known.join(", "))));
        }
        let symbol = if of.symbol.is_empty() { String::new() } else { symbol("limit_sets", &of.symbol)? };
        let is_it = |known: &String| contracts::read_symbol(known).is_ok_and(|known| known == symbol);
        if !symbol.is_empty() && !symbols.is_empty() && !symbols.iter().any(is_it) {
            return Err(wrong(&symbol, "a symbol of the run".to_owned()));
        }
        let scope = Scope::new("", &of.strategy, &symbol);
        if stated.contains(&scope) {
            return Err(wrong(&scope.to_string(), "each scope once".to_owned()));
        }
        if of.limits.is_empty() {
            return Err(wrong(&scope.to_string(), "at least one limit of each scope".to_owned()));
        }
        for (name, value) in &of.limits {
            limits.state(&scope, name, value).map_err(refused)?;
        }
        stated.push(scope);
    }
    Ok(limits)
}

/// Reads limits as a form states them, which is as the command line does, with blanks between.
pub fn read_limits(text: &str) -> Result<Vec<ScopedLimits>, PageError> {
    let mut sets: Vec<ScopedLimits> = Vec::new();
    for part in text.split_whitespace() {
        let wrong = |expected: &str| PageError::field("limits", part, expected);
        let (Scope { strategy, symbol, .. }, name, value) = fields::scoped(part)
            .ok_or_else(|| wrong(&format!("{}, with blanks between them", fields::SCOPED_EXPECTED)))?;
        let place = match sets.iter().position(|set| set.strategy == strategy && set.symbol == symbol) {
            Some(place) => place,
            None => {
                sets.push(ScopedLimits { strategy, symbol, limits: BTreeMap::new() });
                sets.len() - 1
            }
        };
        if sets[place].limits.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err(wrong("each limit once in one scope"));
        }
    }
    Ok(sets)
}

/// A list of symbols in which every group of the configuration, `@NAME`, is replaced by its symbols, each of them once.
pub fn expanded(
    universe: &BTreeMap<String, Vec<String>>,
    listed: &[String],
) -> Result<Vec<String>, PageError> {
    let mut symbols: Vec<String> = Vec::with_capacity(listed.len());
    let mut groups: BTreeSet<&str> = BTreeSet::new();
    for entry in listed {
        let Some(name) = entry.trim().strip_prefix('@') else {
            symbols.push(entry.clone());
            continue;
        };
        let Some(group) = universe.get(name) else {
            let known: Vec<String> = universe.keys().map(|name| format!("@{name}")).collect();
            let expected = match known.as_slice() {
                [] => "no group, because the configuration has no [universe]".to_owned(),
                known => format!("one of {}", known.join(", ")),
            };
            return Err(PageError::field("symbols", entry, expected));
        };
        if !groups.insert(name) {
            continue;
        }
        for symbol in group {
            if symbols.len() > SYMBOLS_MAX {
                let expected = format!("at most {SYMBOLS_MAX} symbols in all");
                return Err(PageError::field("symbols", entry, expected));
            }
            if !symbols.contains(symbol) {
                symbols.push(symbol.clone());
            }
        }
    }
    Ok(symbols)
}

/// Reads an amount of money.
pub fn amount(field: &'static str, text: &str) -> Result<Amount, PageError> {
    text.trim().parse::<Amount>().map_err(|error| no_decimal(field, text, &error, ""))
}

/// Reads a decimal as billionths.
pub fn e9(field: &'static str, text: &str) -> Result<i64, PageError> {
    let read = text.trim().parse::<Price>().map(|number| number.0);
    read.map_err(|error| no_decimal(field, text, &error, &format!(", at most {}", Price(i64::MAX))))
}

fn no_decimal(field: &'static str, text: &str, error: &MalformedNumber, most: &str) -> PageError {
    let problem = error.problem;
    PageError::field(field, text, format!("a decimal number of at most nine places{most} ({problem})"))
}

#[cfg(test)]
mod tests {
    use contracts::v1::BacktestRequest;

    use super::*;

    #[test]
    fn limits_of_a_form_are_those_of_their_scopes() {
        let sets = read_limits("max_open_orders=3 symbol:BRK.B.max_order_value=500\nmax_leverage=1").unwrap();
        let said: Vec<_> = sets.iter().map(|set| (set.symbol.as_str(), set.limits.len())).collect();
        assert_eq!(said, [("", 2), ("BRK.B", 1)]);
        for wrong in ["max_leverage", "account:a.max_leverage=1", "strategy:.max_leverage=1", "a=1 a=2"] {
            let error = read_limits(wrong).unwrap_err().to_string();
            assert!(error.starts_with("limits = "), "{error}");
        }
    }

    #[test]
    fn limits_are_of_what_the_run_has() {
        let strategies = [BacktestStrategy { name: "cross".to_owned(), ..BacktestStrategy::default() }];
        let sets = |text: &str| {
            let (read, symbols) = (read_limits(text).unwrap(), ["spy".to_owned()]);
            let limits = limit_sets(read, RunLimits::default(), &strategies, &symbols);
            let mut request = BacktestRequest::default();
            limits.map_err(|error| error.to_string())?.put("ada", &mut request);
            Ok::<_, String>(request.limit_sets)
        };
        let good = sets("strategy:cross.max_open_orders=3 symbol:SPY.max_order_value=500").unwrap();
        assert_eq!((good.len(), good[0].version, good[0].actor.as_str()), (2, 1, "ada"));
        for (text, value) in [
            ("strategy:other.max_open_orders=3", "\"other\": expected a strategy of the run: cross"),
            ("symbol:QQQ.max_order_value=500", "\"QQQ\": expected a symbol of the run"),
            ("max_open_orders=many", "\"max_open_orders=many\": expected a whole number"),
            ("max_luck=1", "\"limit=max_luck\": expected one of max_order_quantity"),
            ("symbol:SPY.breaker_drawdown=0.1", "\"breaker_drawdown=0.1\": expected none"),
        ] {
            let error = sets(text).unwrap_err();
            assert!(error.starts_with(&format!("limit_sets = {value}")), "{error}");
        }
    }

    #[test]
    fn a_group_stands_for_its_symbols() {
        let universe = BTreeMap::from([("pair".to_owned(), vec!["SPY".to_owned(), "QQQ".to_owned()])]);
        let of = |listed: &[&str]| {
            let listed: Vec<String> = listed.iter().map(|text| (*text).to_owned()).collect();
            expanded(&universe, &listed).map_err(|error| error.to_string())
        };
        assert_eq!(of(&["SPY", "@pair", "@pair"]).unwrap(), ["SPY", "QQQ"]);
        assert_eq!(of(&["@none"]).unwrap_err(), "symbols = \"@none\": expected one of @pair");
    }
}
