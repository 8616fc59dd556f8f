//! Limits by scope of a run: those in force on the tape, and what its request states beside them.

use contracts::v1::{BacktestRequest, BacktestStrategy, LimitsSet, TradeLimits};

use crate::book::Scope;
use crate::risk::fields::{self, LimitError};

/// Most scopes that are named in words.
const NAMED_MAX: usize = 8;

/// Limits by scope of a run, as they are put together.
#[derive(Clone, Debug, Default)]
pub struct RunLimits {
    /// Of the tape, with their versions there.
    tape: Vec<LimitsSet>,
    /// Of the request.
    stated: Vec<LimitsSet>,
}

impl RunLimits {
    /// Those of the tape that hold for a run of `strategies` over `symbols`, of which none means all. `in_force` are those
    /// of its account; `names` says what each registered strategy is called in the run, which may have it several times.
    #[must_use]
    pub fn of_tape(
        in_force: &[LimitsSet],
        names: &[(String, String)],
        strategies: &[BacktestStrategy],
        symbols: &[String],
    ) -> Self {
        let mut tape = Vec::new();
        for set in in_force {
            let of = Scope::of(set.scope.as_ref());
            if !of.symbol.is_empty() && !is_traded(&of.symbol, strategies, symbols) {
                continue;
            }
            let mut called: Vec<&str> = names
                .iter()
                .filter(|(registered, _)| *registered == of.strategy)
                .map(|(_, name)| name.as_str())
                .collect();
            if of.strategy.is_empty() {
                called = vec![""];
            }
            tape.extend(called.into_iter().map(|name| {
                let scope = Scope::new(&of.account, name, &of.symbol).to_wire();
                LimitsSet { scope: Some(scope), ..set.clone() }
            }));
        }
        Self { tape, stated: Vec::new() }
    }

    /// Adds limits of a scope that has none yet.
    pub fn add(&mut self, scope: &Scope, limits: TradeLimits) {
        let scope = Some(scope.to_wire());
        self.stated.push(LimitsSet { scope, version: 1, limits: Some(limits), ..LimitsSet::default() });
    }

    /// States a limit of a strategy, a symbol or all of the run, as text. It goes before the same limit of the same
    /// strategy and symbol, whatever the account of that: a run has one. `none` ends it.
    pub fn state(&mut self, scope: &Scope, name: &str, value: &str) -> Result<(), LimitError> {
        for set in self.tape.iter_mut().chain(&mut self.stated) {
            let of = Scope::of(set.scope.as_ref());
            if of.account != scope.account && (&of.strategy, &of.symbol) == (&scope.strategy, &scope.symbol) {
                fields::state(set.limits.get_or_insert_default(), name, "none")?;
            }
        }
        let is_it = |set: &&mut LimitsSet| Scope::of(set.scope.as_ref()) == *scope;
        if let Some(set) = self.tape.iter_mut().chain(&mut self.stated).find(is_it) {
            let limits = set.limits.get_or_insert_default();
            fields::state(limits, name, value)?;
            return fields::check(scope, limits);
        }
        let mut limits = TradeLimits::default();
        fields::state(&mut limits, name, value)?;
        fields::check(scope, &limits)?;
        self.add(scope, limits);
        Ok(())
    }

    /// Puts what limits anything into a request, of which `actor` states what is not of the tape.
    pub fn put(mut self, actor: &str, request: &mut BacktestRequest) {
        for sets in [&mut self.tape, &mut self.stated] {
            sets.retain(|set| set.limits.as_ref().is_some_and(|limits| *limits != TradeLimits::default()));
        }
        for set in &mut self.stated {
            actor.clone_into(&mut set.actor);
        }
        request.limit_sets_of_tape = u32::try_from(self.tape.len()).unwrap_or(u32::MAX);
        request.limit_sets = self.tape;
        request.limit_sets.append(&mut self.stated);
    }
}

/// Whether one of `strategies` of a run over `symbols` may trade `symbol`.
fn is_traded(symbol: &str, strategies: &[BacktestStrategy], symbols: &[String]) -> bool {
    strategies.iter().any(|strategy| {
        let traded = if strategy.symbols.is_empty() { symbols } else { &strategy.symbols };
        let is_it = |known: &String| contracts::read_symbol(known).is_ok_and(|known| known == symbol);
        traded.is_empty() || traded.iter().any(is_it)
    })
}

/// The limits by scope of a run that are those of the tape.
#[must_use]
pub fn tape_limits(request: &BacktestRequest) -> &[LimitsSet] {
    let count = (request.limit_sets_of_tape as usize).min(request.limit_sets.len());
    &request.limit_sets[..count]
}

/// Whose limits of the tape a run has, each with its version, in words; `None` where it has none.
#[must_use]
pub fn tape_limits_named(request: &BacktestRequest) -> Option<String> {
    let sets = tape_limits(request);
    let one = |set: &LimitsSet| format!("{} v{}", Scope::of(set.scope.as_ref()), set.version);
    let mut named: Vec<String> = sets.iter().take(NAMED_MAX).map(one).collect();
    if sets.len() > NAMED_MAX {
        named.push(format!("{} more", sets.len() - NAMED_MAX));
    }
    (!named.is_empty()).then(|| named.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(scope: &Scope, version: u64, most: u32) -> LimitsSet {
        let limits = TradeLimits { max_open_orders: Some(most), ..TradeLimits::default() };
        LimitsSet {
            scope: Some(scope.to_wire()),
            version,
            limits: Some(limits),
            actor: "ada".to_owned(),
            ..LimitsSet::default()
        }
    }

    fn called(name: &str, symbols: &[&str]) -> BacktestStrategy {
        let symbols = symbols.iter().map(|symbol| (*symbol).to_owned()).collect();
        BacktestStrategy { name: name.to_owned(), symbols, ..BacktestStrategy::default() }
    }

    fn put(limits: RunLimits) -> BacktestRequest {
        let mut request = BacktestRequest::default();
        limits.put("cli", &mut request);
        request
    }

    #[test]
    fn limits_of_the_tape_are_those_of_the_runs_strategies_and_symbols() {
        let in_force = [
            set(&Scope::new("paper", "", ""), 3, 9),
            set(&Scope::new("", "twin", ""), 1, 8),
            set(&Scope::new("", "other", ""), 1, 7),
            set(&Scope::new("paper", "", "SPY"), 2, 6),
            set(&Scope::new("", "", "IBM"), 1, 5),
        ];
        let names = [("twin", "twin"), ("twin", "twin_2")];
        let names = names.map(|(registered, name)| (registered.to_owned(), name.to_owned()));
        let strategies = [called("twin", &["spy"]), called("twin_2", &[])];
        let of_spy = RunLimits::of_tape(&in_force, &names, &strategies, &["SPY".to_owned()]);
        let request = put(of_spy.clone());
        let words = "account paper v3; strategy twin v1; strategy twin_2 v1; account paper, symbol SPY v2";
        assert_eq!(tape_limits_named(&request).as_deref(), Some(words));
        assert_eq!((tape_limits(&request).len(), request.limit_sets[0].actor.as_str()), (4, "ada"));
        // Of a run over all symbols each one may be traded.
        let of_all = put(RunLimits::of_tape(&in_force, &names, &strategies, &[]));
        assert_eq!(of_all.limit_sets_of_tape, 5);
        assert_eq!(tape_limits_named(&put(RunLimits::default())), None);
    }

    #[test]
    fn what_a_request_states_goes_before_the_tape() {
        let in_force = [set(&Scope::new("paper", "", ""), 3, 9), set(&Scope::new("", "twin", ""), 1, 8)];
        let names = [("twin".to_owned(), "twin".to_owned())];
        let mut limits = RunLimits::of_tape(&in_force, &names, &[called("twin", &[])], &[]);
        limits.state(&Scope::new("", "twin", ""), "max_orders_per_day", "4").unwrap();
        limits.state(&Scope::default(), "max_open_orders", "20").unwrap();
        limits.state(&Scope::new("", "", "SPY"), "max_order_value", "500").unwrap();
        let request = put(limits.clone());
        assert_eq!(tape_limits_named(&request).as_deref(), Some("strategy twin v1"));
        let said = |set: &LimitsSet| {
            let limits = set.limits.clone().unwrap_or_default();
            let most = (limits.max_open_orders, limits.max_orders_per_day);
            (Scope::of(set.scope.as_ref()).to_string(), most, set.actor.clone())
        };
        let all: Vec<_> = request.limit_sets.iter().map(said).collect();
        let expected = [
            ("strategy twin", (Some(8_u32), Some(4_u32)), "ada"),
            ("every account", (Some(20), None), "cli"),
            ("symbol SPY", (None, None), "cli"),
        ];
        assert_eq!(all, expected.map(|(scope, most, actor)| (scope.to_owned(), most, actor.to_owned())));

        // `none` ends what the tape states.
        for name in ["max_open_orders", "max_orders_per_day"] {
            limits.state(&Scope::new("", "twin", ""), name, "none").unwrap();
        }
        assert_eq!(tape_limits_named(&put(limits.clone())), None);
        let refused = limits.state(&Scope::new("", "", "SPY"), "breaker_drawdown", "0.1").unwrap_err();
        assert!(refused.expected.starts_with("none, because a breaker is of an account"), "{refused}");
        assert!(limits.state(&Scope::default(), "max_luck", "1").is_err());
    }

    #[test]
    fn a_long_list_is_cut() {
        let in_force: Vec<_> = (0..10).map(|n| set(&Scope::new("", "", &format!("S{n}")), 1, 1)).collect();
        let request = put(RunLimits::of_tape(&in_force, &[], &[called("twin", &[])], &[]));
        assert!(tape_limits_named(&request).is_some_and(|words| words.ends_with("symbol S7 v1; 2 more")));
    }
}
