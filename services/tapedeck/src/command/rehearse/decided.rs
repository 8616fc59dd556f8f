//! What each strategy signalled and what risk answered, counted from the tape.

use std::collections::BTreeMap;

use contracts::v1::event::Body;
use contracts::v1::{Event, RiskDecision, Verdict};
use projections::queries::denied_most;
use serde::Serialize;

/// One strategy's signals and risk's answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Decided {
    strategy: String,
    signals: u64,
    approved: u64,
    denied: u64,
    /// The rule that denied most often; none where nothing was denied.
    denied_most: Option<Denials>,
}

/// What one rule denied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Denials {
    rule: String,
    denials: u64,
    /// The last of them in words.
    reason: String,
}

impl Decided {
    /// In words, on one line.
    pub(super) fn words(&self) -> String {
        let Self { strategy, signals, approved, denied, denied_most } = self;
        let most = denied_most.as_ref().map(|most| {
            format!(", {} of them by {}: {}", most.denials, most.rule, most.reason.trim_end_matches('.'))
        });
        format!(
            "{strategy}: {signals} signals, {approved} approved, {denied} denied{}",
            most.unwrap_or_default()
        )
    }
}

/// Counts events as they are read.
#[derive(Debug, Default)]
pub(super) struct Tally(BTreeMap<String, Counts>);

#[derive(Debug, Default)]
struct Counts {
    signals: u64,
    approved: u64,
    /// By rule: how often.
    denied: BTreeMap<String, u64>,
    /// By rule: the last denial in words.
    reasons: BTreeMap<String, String>,
}

impl Tally {
    /// Of these strategies, which are told also where they signalled nothing.
    pub(super) fn of(strategies: Vec<String>) -> Self {
        Self(strategies.into_iter().map(|strategy| (strategy, Counts::default())).collect())
    }

    pub(super) fn take(&mut self, event: &Event) {
        match &event.body {
            Some(Body::Signal(signal)) => self.counts(&signal.strategy).signals += 1,
            Some(Body::RiskDecision(decision)) => self.counts(&decision.strategy).decided(decision),
            _ => {}
        }
    }

    fn counts(&mut self, strategy: &str) -> &mut Counts {
        self.0.entry(strategy.to_owned()).or_default()
    }

    /// By name.
    pub(super) fn finish(self) -> Vec<Decided> {
        self.0.into_iter().map(|(strategy, counts)| counts.of(strategy)).collect()
    }
}

impl Counts {
    fn decided(&mut self, decision: &RiskDecision) {
        match decision.verdict() {
            Verdict::Approved => self.approved += 1,
            Verdict::Denied => {
                *self.denied.entry(decision.rule.clone()).or_default() += 1;
                self.reasons.insert(decision.rule.clone(), decision.reason.clone());
            }
            Verdict::Shadowed | Verdict::Unspecified => {}
        }
    }

    fn of(self, strategy: String) -> Decided {
        let denied_most = denied_most(&self.denied).map(|(rule, denials)| Denials {
            rule: rule.to_owned(),
            denials,
            reason: self.reasons.get(rule).cloned().unwrap_or_default(),
        });
        let denied = self.denied.values().sum();
        Decided { strategy, signals: self.signals, approved: self.approved, denied, denied_most }
    }
}

#[cfg(test)]
mod tests {
    use contracts::v1::Signal;

    use super::*;

    fn signal(strategy: &str) -> Event {
        let signal = Signal { strategy: strategy.to_owned(), ..Signal::default() };
        Event { body: Some(Body::Signal(signal)), ..Event::default() }
    }

    fn decision(strategy: &str, verdict: Verdict, rule: &str, reason: &str) -> Event {
        let decision = RiskDecision {
            strategy: strategy.to_owned(),
            verdict: verdict.into(),
            rule: rule.to_owned(),
            reason: reason.to_owned(),
            ..RiskDecision::default()
        };
        Event { body: Some(Body::RiskDecision(decision)), ..Event::default() }
    }

    #[test]
    fn a_strategy_that_is_denied_says_why_and_one_without_signals_is_named() {
        let mut tally = Tally::of(vec!["quiet".to_owned(), "swing".to_owned()]);
        let denied = |rule: &str, reason: &str| decision("swing", Verdict::Denied, rule, reason);
        for event in [
            signal("swing"),
            denied("max_position", "first"),
            signal("swing"),
            denied("max_position", "second"),
            signal("swing"),
            denied("daily_loss", "third"),
            signal("swing"),
            decision("swing", Verdict::Approved, "", ""),
            signal("swing"),
            decision("swing", Verdict::Shadowed, "", ""),
        ] {
            tally.take(&event);
        }
        let found = tally.finish();
        let words: Vec<String> = found.iter().map(Decided::words).collect();
        assert_eq!(
            words,
            [
                "quiet: 0 signals, 0 approved, 0 denied",
                "swing: 5 signals, 1 approved, 3 denied, 2 of them by max_position: second",
            ]
        );
        let told = serde_json::to_value(&found[1]).unwrap();
        assert_eq!(told["denied_most"]["denials"], 2);
    }
}
