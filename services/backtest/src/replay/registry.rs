//! What the tape says of each strategy: how it is registered, where that was asked for, and where it may have been told of
//! another position than before.

use std::collections::BTreeMap;

use contracts::from_timestamp;
use contracts::v1::event::Body;
use event_log::Recorded;

/// What is known of one strategy.
#[derive(Debug, Default)]
struct Entry {
    /// Whether it was registered last as a built-in one.
    built_in: bool,
    /// Where its registration changed last; enabling it is no such change.
    changed: Option<u64>,
    /// Where it changed or was enabled, and in market time when, all of it.
    asked: Vec<(u64, Option<i64>)>,
    /// TRADING sequence since which it has been wanted.
    wanted_since: Option<u64>,
    /// MARKET sequence of the last instant in which positions were handed over, by it or to it, or in which it left shadow mode.
    moved: Option<u64>,
}

/// The strategies of a tape, by name.
#[derive(Debug, Default)]
pub(super) struct Registry {
    strategies: BTreeMap<String, Entry>,
}

impl Registry {
    /// Notes what an event of TRADING asks of a strategy.
    pub fn note(&mut self, recorded: &Recorded) {
        let (strategy, kind) = match &recorded.event.body {
            Some(Body::StrategyRegistered(registered)) => (&registered.strategy, Some(&registered.kind)),
            Some(Body::StrategyEnabled(enabled)) => (&enabled.strategy, None),
            Some(Body::StrategyDisabled(disabled)) => (&disabled.strategy, None),
            Some(Body::StrategyRemoved(removed)) => (&removed.strategy, None),
            _ => return,
        };
        let entry = self.entry(strategy);
        let asked_ns = recorded.event.event_time.as_ref().and_then(from_timestamp);
        entry.asked.push((recorded.sequence, asked_ns));
        if let Some(kind) = kind {
            entry.built_in = !kind.is_empty();
        }
        if !matches!(recorded.event.body, Some(Body::StrategyEnabled(_))) {
            entry.changed = Some(recorded.sequence);
        }
    }

    /// Notes that a strategy is wanted since the TRADING sequence `since`.
    pub fn want(&mut self, strategy: &str, since: u64) {
        self.entry(strategy).wanted_since = Some(since);
    }

    /// Notes that in the instant of the MARKET sequence `market` positions of a strategy were handed over, or it left shadow mode.
    pub fn told_otherwise(&mut self, strategy: &str, market: u64) {
        self.entry(strategy).moved = Some(market);
    }

    pub fn is_built_in(&self, strategy: &str) -> bool {
        self.strategies.get(strategy).is_some_and(|entry| entry.built_in)
    }

    /// Whether its registration changed behind the TRADING sequence `known`.
    pub fn changed_after(&self, strategy: &str, known: u64) -> bool {
        self.strategies.get(strategy).and_then(|entry| entry.changed).is_some_and(|changed| changed > known)
    }

    /// Whether who had read TRADING through `known` may have known that it is wanted.
    pub fn wanted_by(&self, strategy: &str, known: u64) -> bool {
        self.strategies.get(strategy).and_then(|entry| entry.wanted_since).is_none_or(|since| since <= known)
    }

    /// Whether that was last in the instant of the MARKET sequence `market`.
    pub fn told_otherwise_at(&self, strategy: &str, market: u64) -> bool {
        self.strategies.get(strategy).is_some_and(|entry| entry.moved == Some(market))
    }

    /// Where it changed or was enabled.
    pub fn asked(&self, strategy: &str) -> impl Iterator<Item = u64> {
        let entry = self.strategies.get(strategy);
        entry.into_iter().flat_map(|entry| &entry.asked).map(|(sequence, _)| *sequence)
    }

    /// In market time, when it changed or was enabled last, as far as was known at the TRADING sequence `known`.
    pub fn asked_ns(&self, strategy: &str, known: u64) -> Option<i64> {
        let asked = &self.strategies.get(strategy)?.asked;
        let (_, asked_ns) = asked.iter().rfind(|(sequence, _)| *sequence <= known)?;
        *asked_ns
    }

    fn entry(&mut self, strategy: &str) -> &mut Entry {
        self.strategies.entry(strategy.to_owned()).or_default()
    }
}
