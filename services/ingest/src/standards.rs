//! What is expected of the bars of a tape: whose they are, and which of them are findings.

use contracts::v1::Severity;

use crate::authority::Authorities;
use crate::quality::Rules;

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
        match &self.rules {
            Some(rules) => rules.severity(rule),
            None => Rules::default().severity(rule),
        }
    }

    /// Difference of prices from which on it is a finding, as a share.
    pub(crate) fn price_difference(&self) -> f64 {
        self.rules.as_ref().map_or_else(|| Rules::default().price_difference, |rules| rules.price_difference)
    }
}
