//! What makes a finding about data, and how bad it is, as the configuration states it.

use std::collections::BTreeMap;

use contracts::v1::Severity;
use ingest::quality::{RULES, Rules};
use serde::{Deserialize, Serialize};

use super::{ConfigError, value};

/// Thresholds of findings, for what is streamed and for history.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct QualityConfig {
    /// Standard deviations beyond which a move is an outlier; 0 for none.
    pub outlier_deviations: f64,
    /// Whether jumps are looked at for the shape of a split.
    pub split_shaped: bool,
    /// Minutes without a bar after which a symbol is stale while it is streamed; 0 for never.
    pub stale_minutes: u32,
    /// Sessions without a bar after which a symbol is stale in a vendor's history; 0 for never.
    pub stale_sessions: u32,
    /// Minutes of the session without a bar from which on history has a hole; 0 for never.
    pub hole_minutes: u32,
    /// Difference of two sources' prices, or of a revised one, from which on it is a finding, as a share; 0 for never.
    pub price_difference: f64,
    /// `info`, `warning`, `error` or `off`, by rule.
    pub severity: BTreeMap<String, String>,
}

impl Default for QualityConfig {
    fn default() -> Self {
        let rules = Rules::default();
        Self {
            outlier_deviations: rules.outlier_deviations,
            split_shaped: rules.split_shaped,
            stale_minutes: rules.stale_minutes,
            stale_sessions: rules.stale_sessions,
            hole_minutes: rules.hole_minutes,
            price_difference: rules.price_difference,
            severity: BTreeMap::new(),
        }
    }
}

impl QualityConfig {
    /// The rules as they are applied.
    pub fn rules(&self) -> Rules {
        let severities =
            self.severity.iter().filter_map(|(rule, name)| Some((rule.clone(), severity(name)?)));
        Rules {
            outlier_deviations: self.outlier_deviations,
            split_shaped: self.split_shaped,
            stale_minutes: self.stale_minutes,
            stale_sessions: self.stale_sessions,
            hole_minutes: self.hole_minutes,
            price_difference: self.price_difference,
            severities: severities.collect(),
        }
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        for (field, found, most) in [
            ("outlier_deviations", self.outlier_deviations, 1_000.0),
            ("price_difference", self.price_difference, 1.0),
        ] {
            if !(0.0..=most).contains(&found) {
                return Err(value(format!("quality.{field}"), found, format!("0 to {most}")));
            }
        }
        for (rule, name) in &self.severity {
            let field = format!("quality.severity.{rule}");
            if !RULES.iter().any(|(known, ..)| known == rule) {
                let known: Vec<&str> = RULES.iter().map(|(known, ..)| *known).collect();
                return Err(value(field, name, format!("a rule among {}", known.join(", "))));
            }
            if severity(name).is_none() {
                return Err(value(field, format!("{name:?}"), "info, warning, error or off"));
            }
        }
        Ok(())
    }
}

/// A severity by its name; the inner `None` is no finding.
fn severity(name: &str) -> Option<Option<Severity>> {
    Some(match name {
        "info" => Some(Severity::Info),
        "warning" => Some(Severity::Warning),
        "error" => Some(Severity::Error),
        "off" => None,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        let config: QualityConfig = toml::from_str(text).unwrap();
        config.validate().err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn what_no_rule_can_be_is_refused_by_name() {
        assert_eq!(problem(""), "");
        assert!(problem("price_difference = 2").starts_with("quality.price_difference = 2: expected 0 to 1"));
        assert!(problem("severity = { outliers = \"off\" }").contains("inconsistent_bar"));
        assert!(problem("severity = { outlier = \"bad\" }").contains("info, warning, error or off"));
        let config: QualityConfig =
            toml::from_str("severity = { outlier = \"error\", zero_volume = \"off\" }").unwrap();
        let rules = config.rules();
        assert_eq!(rules.severity("outlier"), Some(Severity::Error));
        assert_eq!(rules.severity("zero_volume"), None);
    }
}
