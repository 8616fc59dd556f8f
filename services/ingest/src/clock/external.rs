//! External strategies, as far as the clock waits for them. Pure: a fold of their controls and
//! acknowledgements.
//!
//! The clock waits for the durable consumer of every strategy that is enabled, through the last event of the
//! instant that the consumer delivers. What an operator enables, disables or removes counts at once, in the
//! middle of an instant too, so that a strategy whose process is gone holds nobody up once it is disabled.

use std::collections::BTreeMap;

use contracts::v1::Event;
use contracts::v1::event::Body;
use event_log::covers;

/// What is known of the external strategies.
#[derive(Debug, Default)]
pub(super) struct Externals {
    known: BTreeMap<String, External>,
    /// Subject and sequence of the events of the present instant.
    instant: Vec<(String, u64)>,
}

#[derive(Debug, Default)]
struct External {
    consumer: String,
    subjects: Vec<String>,
    enabled: bool,
    acknowledged: u64,
    /// Last sequence of the instant that the consumer delivers; 0 when it delivers none.
    wanted: u64,
}

/// An acknowledgement that is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unacknowledged {
    pub(super) strategy: String,
    pub(super) consumer: String,
    pub(super) acknowledged: u64,
    pub(super) wanted: u64,
}

impl Externals {
    /// Takes in a control of a strategy.
    pub(super) fn fold(&mut self, event: &Event) {
        match &event.body {
            Some(Body::StrategyRegistered(registered)) if registered.consumer.is_empty() => {
                self.known.remove(&registered.strategy);
            }
            Some(Body::StrategyRegistered(registered)) => {
                let external = self.known.entry(registered.strategy.clone()).or_default();
                external.consumer.clone_from(&registered.consumer);
                external.subjects.clone_from(&registered.subjects);
                external.wanted = external.last_of(&self.instant);
            }
            Some(Body::StrategyEnabled(enabled)) => self.enable(&enabled.strategy, true),
            Some(Body::StrategyDisabled(disabled)) => self.enable(&disabled.strategy, false),
            Some(Body::StrategyRemoved(removed)) => drop(self.known.remove(&removed.strategy)),
            _ => {}
        }
    }

    fn enable(&mut self, strategy: &str, enabled: bool) {
        if let Some(external) = self.known.get_mut(strategy) {
            external.enabled = enabled;
        }
    }

    /// Begins an instant with its events, by subject and sequence.
    pub(super) fn begin<'a>(&mut self, events: impl Iterator<Item = (&'a str, u64)>) {
        if self.known.is_empty() && self.instant.is_empty() {
            // Nobody can be registered in the middle of this instant and be waited for in it: it would have
            // to read all of the past first.
            return;
        }
        self.instant = events.map(|(subject, sequence)| (subject.to_owned(), sequence)).collect();
        for external in self.known.values_mut() {
            external.wanted = external.last_of(&self.instant);
        }
    }

    /// Takes in an acknowledgement.
    pub(super) fn acknowledged(&mut self, consumer: &str, sequence: u64) {
        for external in self.known.values_mut().filter(|external| external.consumer == consumer) {
            external.acknowledged = external.acknowledged.max(sequence);
        }
    }

    /// The acknowledgements that are missing before the instant may end.
    pub(super) fn missing(&self) -> impl Iterator<Item = Unacknowledged> {
        let late = |external: &External| external.enabled && external.acknowledged < external.wanted;
        let late = self.known.iter().filter(move |(_, external)| late(external));
        late.map(|(strategy, external)| Unacknowledged {
            strategy: strategy.clone(),
            consumer: external.consumer.clone(),
            acknowledged: external.acknowledged,
            wanted: external.wanted,
        })
    }
}

impl External {
    fn last_of(&self, instant: &[(String, u64)]) -> u64 {
        let delivered = |subject: &str| self.subjects.iter().any(|filter| covers(filter, subject));
        let delivered = instant.iter().filter(|(subject, _)| delivered(subject));
        delivered.map(|(_, sequence)| *sequence).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use contracts::v1::{StrategyDisabled, StrategyEnabled, StrategyRegistered, StrategyRemoved};

    use super::*;

    fn registered(name: &str, subjects: &[&str]) -> Body {
        Body::StrategyRegistered(StrategyRegistered {
            strategy: name.into(),
            consumer: format!("strategy-{name}"),
            subjects: subjects.iter().map(|subject| (*subject).to_owned()).collect(),
            ..StrategyRegistered::default()
        })
    }

    fn enabled(name: &str) -> Body {
        Body::StrategyEnabled(StrategyEnabled { strategy: name.into(), ..StrategyEnabled::default() })
    }

    fn fold(externals: &mut Externals, body: Body) {
        externals.fold(&Event { body: Some(body), ..Event::default() });
    }

    /// Name and wanted sequence of those that are waited for.
    fn waits(externals: &Externals) -> Vec<(String, u64)> {
        externals.missing().map(|late| (late.strategy, late.wanted)).collect()
    }

    const INSTANT: [(&str, u64); 4] = [
        ("market.action.SPY", 7),
        ("market.bar.1h.IBM", 8),
        ("market.bar.1h.SPY", 9),
        ("market.session.XNYS", 10),
    ];

    #[test]
    fn an_enabled_strategy_is_waited_for_through_the_last_event_that_it_reads() {
        let mut externals = Externals::default();
        fold(&mut externals, registered("all", &["market.>"]));
        fold(&mut externals, registered("spy", &["market.bar.1h.SPY"]));
        fold(&mut externals, registered("other", &["market.bar.1d.>"]));
        for name in ["all", "spy", "other"] {
            fold(&mut externals, enabled(name));
        }
        externals.begin(INSTANT.into_iter());
        assert_eq!(waits(&externals), [("all".to_owned(), 10), ("spy".to_owned(), 9)]);
        externals.acknowledged("strategy-all", 9);
        externals.acknowledged("strategy-spy", 9);
        assert_eq!(waits(&externals), [("all".to_owned(), 10)]);
        externals.acknowledged("strategy-all", 10);
        assert!(waits(&externals).is_empty());
    }

    #[test]
    fn what_is_disabled_or_removed_in_the_middle_of_an_instant_holds_nobody_up() {
        let disabled =
            Body::StrategyDisabled(StrategyDisabled { strategy: "a".into(), ..StrategyDisabled::default() });
        let removed =
            Body::StrategyRemoved(StrategyRemoved { strategy: "a".into(), ..StrategyRemoved::default() });
        for end in [disabled, removed] {
            let mut externals = Externals::default();
            fold(&mut externals, registered("a", &["market.bar.>"]));
            externals.begin(INSTANT.into_iter());
            assert!(waits(&externals).is_empty());
            fold(&mut externals, enabled("a"));
            assert_eq!(waits(&externals), [("a".to_owned(), 9)]);
            fold(&mut externals, end);
            assert!(waits(&externals).is_empty());
        }
    }
}
