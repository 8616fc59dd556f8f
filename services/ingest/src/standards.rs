//! What is expected of the bars of a tape: whose they are, and which of them are findings.

use contracts::v1::Severity;

use crate::authority::Authorities;
use crate::quality::Rules;

const SECOND_NS: i64 = 1_000_000_000;

/// What bars are held against.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standards {
    /// Whose bars a series' are.
    pub authorities: Authorities,
    /// Thresholds; without them bars are not looked at one by one.
    pub rules: Option<Rules>,
}

impl Standards {
    /// How bad a finding of `rule` is; `None` where it makes none.
    pub(crate) fn severity(&self, rule: &str) -> Option<Severity> {
        self.of_rules(|rules| rules.severity(rule))
    }

    /// Difference of two sources' prices from which on it is a finding, as a share.
    pub(crate) fn price_difference(&self) -> f64 {
        self.of_rules(|rules| rules.price_difference)
    }

    /// The same of a price that its own source tells otherwise later.
    pub(crate) fn changed_values(&self) -> f64 {
        self.of_rules(|rules| rules.changed_values)
    }

    /// The same of a vendor's day and the one that its minutes make.
    pub(crate) fn day_differs(&self) -> f64 {
        self.of_rules(|rules| rules.day_differs)
    }

    /// By how much a minute may end ahead of this machine's clock.
    pub(crate) fn ahead_ns(&self) -> i64 {
        self.of_rules(|rules| i64::from(rules.future_seconds)) * SECOND_NS
    }

    /// What the rules state, or those that hold where none are stated.
    fn of_rules<T>(&self, stated: impl Fn(&Rules) -> T) -> T {
        self.rules.as_ref().map_or_else(|| stated(&Rules::default()), &stated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_threshold_is_its_own_and_has_a_default() {
        let of = |standards: &Standards| {
            let shares = (standards.price_difference(), standards.changed_values(), standards.day_differs());
            (shares, standards.ahead_ns())
        };
        assert_eq!(of(&Standards::default()), ((0.005, 0.005, 0.005), 5 * SECOND_NS));
        let rules = Rules {
            price_difference: 0.01,
            changed_values: 0.02,
            day_differs: 0.0,
            future_seconds: 60,
            ..Rules::default()
        };
        let stated = Standards { rules: Some(rules), ..Standards::default() };
        assert_eq!(of(&stated), ((0.01, 0.02, 0.0), 60 * SECOND_NS));
    }
}
