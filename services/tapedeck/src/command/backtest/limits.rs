//! The limits of a run: those of a file, else those of the account and the tape that a registration is on, and those of
//! options.

use std::path::Path;

use contracts::v1::{BacktestStrategy, RiskLimits};
use domain::book::Scope;
use domain::research::RunLimits;
use domain::risk::fields;

use super::HELP;
use super::named::Named;
use crate::cli::RunOptions;
use crate::command::symbols::one;
use crate::config::{AccountConfig, Config};
use crate::exit::Failure;

/// What the file that `--limits` names states.
pub struct LimitsFile {
    /// All of it, which is not the configuration that `config check` looks at.
    config: Config,
    /// Its one account, with the defaults of what is not written.
    pub account: AccountConfig,
    /// The fields that are written in the account's table.
    pub written: toml::Table,
}

fn usage(message: String) -> Failure {
    Failure::usage(message, HELP)
}

/// Reads such a file.
pub fn of_file(path: &Path) -> Result<LimitsFile, Failure> {
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

/// The limits of the one account of the file, else those of the account of a registration; none where buying power alone
/// is to be checked.
pub fn of_account(options: &RunOptions, file: Option<&LimitsFile>, named: &Named) -> Option<RiskLimits> {
    let limits = match file {
        Some(file) => Some(file.account.limits()),
        None if options.has_no_limits() => None,
        None => named.terms().and_then(|terms| terms.limits),
    };
    limits.map(|limits| RiskLimits { allow_short: limits.allow_short || options.allow_short, ..limits })
}

/// Limits by scope: those of the file, else those of the tape, then those of the options. A file may hold limits of
/// strategies that do not run; an option that names one is a mistake. `account` is that of the run, empty where it has no
/// name of its own.
pub fn by_scope(
    options: &RunOptions,
    file: Option<&LimitsFile>,
    of_tape: RunLimits,
    strategies: &[BacktestStrategy],
    account: &str,
) -> Result<RunLimits, Failure> {
    let has_own = file.is_some() || options.has_no_limits();
    let mut limits = if has_own { RunLimits::default() } else { of_tape };
    for stated in file.into_iter().flat_map(|file| &file.config.limits) {
        let read = stated.limits().map_err(|error| usage(error.to_string()))?;
        let scope = stated.scope();
        // A run has one account, whatever the file calls its own.
        let own = if account.is_empty() { backtest::ACCOUNT } else { account };
        let account = if scope.account.is_empty() { "" } else { own };
        limits.add(&Scope { account: account.to_owned(), ..scope }, read);
    }
    let mut said: Vec<(Scope, &str)> = Vec::new();
    for text in &options.scoped_limits {
        let (scope, name, value) = scoped(text)?;
        if said.iter().any(|(known, field)| *known == scope && *field == name) {
            return Err(usage(format!("--limit {text}: {name} is stated twice, expected once in one scope")));
        }
        if !scope.strategy.is_empty() && !strategies.iter().any(|known| known.name == scope.strategy) {
            let known: Vec<_> = strategies.iter().map(|strategy| strategy.name.as_str()).collect();
            let known = known.join(", ");
            let message = format!("--limit {text}: no such strategy in this run, expected one of {known}");
            return Err(Failure::not_found(message, HELP));
        }
        let stated = limits.state(&scope, name, value);
        stated.map_err(|error| usage(format!("--limit {text}: {error}")))?;
        said.push((scope, name));
    }
    Ok(limits)
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
    use contracts::v1::{AccountConfigured, BacktestRequest, LimitsSet, StrategyRegistered, TradeLimits};

    use super::super::named::Registered;
    use super::super::tests::options;
    use super::*;

    fn file(text: &str) -> LimitsFile {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("limits.toml");
        std::fs::write(&path, text).unwrap();
        of_file(&path).unwrap()
    }

    fn put(limits: RunLimits) -> BacktestRequest {
        let mut request = BacktestRequest::default();
        limits.put("config", &mut request);
        request
    }

    #[test]
    fn limits_of_a_files_account_are_those_of_the_account_of_the_run() {
        let file = file("[account.own]\n[[limits]]\naccount = \"own\"\nmax_open_orders = 3\n");
        for (account, expected) in [("", backtest::ACCOUNT), ("other", "other")] {
            let limits = by_scope(&options(&[]), Some(&file), RunLimits::default(), &[], account).unwrap();
            let sets = put(limits).limit_sets;
            let scope = sets.first().and_then(|set| set.scope.clone()).unwrap_or_default();
            assert_eq!(scope.account, expected);
        }
    }

    #[test]
    fn limits_of_the_tape_hold_unless_a_file_or_none_is_named() {
        let strategies = [BacktestStrategy { name: "swing".to_owned(), ..BacktestStrategy::default() }];
        let of_tape = || {
            let limits = TradeLimits { max_open_orders: Some(3), ..TradeLimits::default() };
            let scope = Some(Scope::new("paper", "", "").to_wire());
            let set = LimitsSet { scope, version: 2, limits: Some(limits), ..LimitsSet::default() };
            RunLimits::of_tape(&[set], &[], &strategies, &[])
        };
        let file = file("[account.own]\n");
        let account =
            AccountConfigured { limits: Some(RiskLimits::default()), ..AccountConfigured::default() };
        let known = Registered { strategy: StrategyRegistered::default(), account: Some(account) };
        let named =
            Named { registered: [("swing".to_owned(), known)].into_iter().collect(), ..Named::default() };
        let of = |more: &[&str], file: Option<&LimitsFile>| {
            let options = options(more);
            let scoped = by_scope(&options, file, of_tape(), &strategies, "paper").unwrap();
            let request = put(scoped);
            let own = of_account(&options, file, &named).is_some();
            (own, request.limit_sets_of_tape, request.limit_sets.len())
        };
        assert_eq!(of(&[], None), (true, 1, 1));
        assert_eq!(of(&["--limits", "own.toml"], Some(&file)), (true, 0, 0));
        assert_eq!(of(&["--limits", "none"], None), (false, 0, 0));
        assert_eq!(of(&["--limits", "none", "--limit", "max_leverage=1"], None), (false, 0, 1));
        // An option goes before the same limit of the tape, and stands beside another one.
        assert_eq!(of(&["--limit", "max_open_orders=9"], None), (true, 0, 1));
        assert_eq!(of(&["--limit", "max_open_orders=none"], None), (true, 0, 0));
        assert_eq!(of(&["--limit", "strategy:swing.max_open_orders=1"], None), (true, 1, 2));
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
