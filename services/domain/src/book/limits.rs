//! Limits by account, strategy and symbol, as last stated on the tape.
//!
//! Deliberately absent: what they are held against (`crate::risk`).

use std::fmt;

use contracts::v1::{BreakerKind, LimitScope, LimitsSet, TradeLimits};
use serde::{Deserialize, Serialize};

use super::{Book, Changes};

/// What limits are of. An empty part means each one.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Scope {
    /// Account.
    pub account: String,
    /// Strategy.
    pub strategy: String,
    /// Symbol.
    pub symbol: String,
}

impl Scope {
    /// Joins the three names.
    #[must_use]
    pub fn new(account: &str, strategy: &str, symbol: &str) -> Self {
        Self { account: account.to_owned(), strategy: strategy.to_owned(), symbol: symbol.to_owned() }
    }

    /// As the tape states it; all of everything when it states none.
    #[must_use]
    pub fn of(wire: Option<&LimitScope>) -> Self {
        wire.map_or_else(Self::default, |wire| Self::new(&wire.account, &wire.strategy, &wire.symbol))
    }

    /// As the tape states it.
    #[must_use]
    pub fn to_wire(&self) -> LimitScope {
        let Self { account, strategy, symbol } = self.clone();
        LimitScope { account, strategy, symbol }
    }

    /// Whether what a strategy does on an account in a symbol is in it.
    #[must_use]
    pub fn covers(&self, account: &str, strategy: &str, symbol: &str) -> bool {
        within(&self.account, account) && within(&self.strategy, strategy) && within(&self.symbol, symbol)
    }

    /// Whether what a strategy does in a symbol is in it, whatever the account.
    #[must_use]
    pub fn holds(&self, strategy: &str, symbol: &str) -> bool {
        within(&self.strategy, strategy) && within(&self.symbol, symbol)
    }
}

fn within(part: &str, name: &str) -> bool {
    part.is_empty() || part == name
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [("account", &self.account), ("strategy", &self.strategy), ("symbol", &self.symbol)];
        let stated: Vec<_> = parts.iter().filter(|(_, name)| !name.is_empty()).collect();
        if stated.is_empty() {
            return formatter.write_str("every account");
        }
        for (index, (part, name)) in stated.into_iter().enumerate() {
            write!(formatter, "{}{part} {name}", if index > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

/// The limits of a scope. Plain data, so that it can be stored as a row and read back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LimitSet {
    /// What they are of.
    pub scope: Scope,
    /// Version of the statement.
    pub version: u64,
    /// The limits; none when they were ended.
    pub limits: TradeLimits,
    /// Who stated them.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// Event time of the statement, UTC nanoseconds.
    pub since_ns: i64,
}

impl LimitSet {
    /// Whether it limits anything.
    #[must_use]
    pub fn is_stated(&self) -> bool {
        self.limits != TradeLimits::default()
    }
}

impl Book {
    /// Every set of limits, by scope, ended ones included.
    pub fn limit_sets(&self) -> impl Iterator<Item = &LimitSet> {
        self.limit_sets.values()
    }

    /// The limits stated for exactly this scope.
    #[must_use]
    pub fn limit_set(&self, scope: &Scope) -> Option<&LimitSet> {
        self.limit_sets.get(scope)
    }

    /// The sets in force whose scope covers what a strategy does on an account in a symbol.
    pub fn limits_of<'book>(
        &'book self,
        account: &'book str,
        strategy: &'book str,
        symbol: &'book str,
    ) -> impl Iterator<Item = &'book LimitSet> {
        let sets = self.limit_sets.values().filter(|set| set.is_stated());
        sets.filter(move |set| set.scope.covers(account, strategy, symbol))
    }

    /// The sets in force that state breakers for an account.
    pub fn breakers_of<'book>(&'book self, account: &'book str) -> impl Iterator<Item = &'book LimitSet> {
        let sets = self.limit_sets.values().filter(|set| !set.limits.breakers.is_empty());
        sets.filter(move |set| within(&set.scope.account, account))
    }

    /// Whether a breaker of `kind` is stated for an account.
    pub(super) fn has_breaker(&self, account: &str, kind: BreakerKind) -> bool {
        self.breakers_of(account).any(|set| set.limits.breakers.iter().any(|breaker| breaker.kind() == kind))
    }

    pub(super) fn limited(&mut self, event: &LimitsSet, event_ns: i64) -> Changes {
        let scope = Scope::of(event.scope.as_ref());
        let set = LimitSet {
            scope: scope.clone(),
            version: event.version,
            limits: event.limits.clone().unwrap_or_default(),
            actor: event.actor.clone(),
            reason: event.reason.clone(),
            since_ns: event_ns,
        };
        self.limit_sets.insert(scope.clone(), set);
        Changes { limits: vec![scope], ..Changes::default() }
    }
}
