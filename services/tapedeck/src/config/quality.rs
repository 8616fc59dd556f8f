//! What makes a finding about data, and how bad it is, as the configuration states it.

use std::collections::BTreeMap;

use contracts::v1::Severity;
use domain::corporate_action::Showing;
use ingest::quality::{RULES, Rules};
use serde::{Deserialize, Serialize};

use super::{ConfigError, value};

/// Most new shares for one old share that a jump is looked at for.
const RATIO_MAX: f64 = 1_000.0;

/// Thresholds of findings, for what is streamed and for history.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct QualityConfig {
    /// Standard deviations beyond which a move is an outlier; 0 for none.
    pub outlier_deviations: f64,
    /// Moves that are looked back on for how far a series usually moves.
    pub outlier_moves: u32,
    /// Fewest moves that say anything of the next.
    pub outlier_moves_min: u32,
    /// Minutes between two bars from which on a move is one across a pause.
    pub pause_minutes: u32,
    /// Whether jumps are looked at for the shape of a split.
    pub split_shaped: bool,
    /// New shares for old ones that splits usually are.
    pub split_ratios: Vec<f64>,
    /// How near a jump has to be to such a ratio, as a share of it.
    pub split_within: f64,
    /// A split that is stated and changes prices by less than this share is not looked for among them.
    pub split_least: f64,
    /// The share of the jump of a split that is stated, as a ratio, that prices have to move at least.
    pub split_moved: f64,
    /// Minutes without a bar after which a symbol is stale while it is streamed; 0 for never.
    pub stale_minutes: u32,
    /// Sessions without a bar after which a symbol is stale in a vendor's history; 0 for never.
    pub stale_sessions: u32,
    /// Minutes of the session without a bar from which on history has a hole; 0 for never.
    pub hole_minutes: u32,
    /// Difference of two sources' prices from which on it is a finding, as a share; 0 for never.
    pub price_difference: f64,
    /// The same of a price that its own source tells otherwise later; that of two sources unless it is stated.
    pub changed_values: Option<f64>,
    /// The same of a vendor's day and the one that its minutes make.
    pub day_differs: Option<f64>,
    /// Seconds by which a minute may end ahead of this machine's clock.
    pub future_seconds: u32,
    /// `info`, `warning`, `error` or `off`, by rule.
    pub severity: BTreeMap<String, String>,
}

impl Default for QualityConfig {
    fn default() -> Self {
        let rules = Rules::default();
        Self {
            outlier_deviations: rules.outlier_deviations,
            outlier_moves: rules.outlier_moves,
            outlier_moves_min: rules.outlier_moves_min,
            pause_minutes: rules.pause_minutes,
            split_shaped: rules.split_shaped,
            split_ratios: rules.split_ratios,
            split_within: rules.split_within,
            split_least: rules.split_showing.least,
            split_moved: rules.split_showing.moved,
            stale_minutes: rules.stale_minutes,
            stale_sessions: rules.stale_sessions,
            hole_minutes: rules.hole_minutes,
            price_difference: rules.price_difference,
            changed_values: None,
            day_differs: None,
            future_seconds: rules.future_seconds,
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
            outlier_moves: self.outlier_moves,
            outlier_moves_min: self.outlier_moves_min,
            pause_minutes: self.pause_minutes,
            split_shaped: self.split_shaped,
            split_ratios: self.split_ratios.clone(),
            split_within: self.split_within,
            split_showing: Showing { least: self.split_least, moved: self.split_moved },
            stale_minutes: self.stale_minutes,
            stale_sessions: self.stale_sessions,
            hole_minutes: self.hole_minutes,
            price_difference: self.price_difference,
            changed_values: self.changed_values.unwrap_or(self.price_difference),
            day_differs: self.day_differs.unwrap_or(self.price_difference),
            future_seconds: self.future_seconds,
            severities: severities.collect(),
        }
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let of_prices = self.price_difference;
        for (field, found, least, most) in [
            ("outlier_deviations", self.outlier_deviations, 0.0, 1_000.0),
            ("split_within", self.split_within, 0.0001, 0.2),
            ("split_least", self.split_least, 0.01, 10.0),
            ("split_moved", self.split_moved, 0.01, 1.0),
            ("price_difference", of_prices, 0.0, 1.0),
            ("changed_values", self.changed_values.unwrap_or(of_prices), 0.0, 1.0),
            ("day_differs", self.day_differs.unwrap_or(of_prices), 0.0, 1.0),
        ] {
            if !(least..=most).contains(&found) {
                return Err(value(format!("quality.{field}"), found, format!("{least} to {most}")));
            }
        }
        for (field, found, least, most) in [
            ("outlier_moves", self.outlier_moves, 2, 10_000),
            ("outlier_moves_min", self.outlier_moves_min, 2, self.outlier_moves),
            ("pause_minutes", self.pause_minutes, 1, 1_440),
            ("future_seconds", self.future_seconds, 0, 3_600),
        ] {
            if !(least..=most).contains(&found) {
                return Err(value(format!("quality.{field}"), found, format!("{least} to {most}")));
            }
        }
        let is_ratio = |ratio: f64| ratio > 1.0 && ratio <= RATIO_MAX;
        if let Some(ratio) = self.split_ratios.iter().find(|ratio| !is_ratio(**ratio)) {
            let expected = format!("new shares for one old share, each above 1 and at most {RATIO_MAX}");
            return Err(value("quality.split_ratios", ratio, expected));
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

    #[test]
    fn every_threshold_is_read() {
        let read = |text: &str| {
            let config: QualityConfig = toml::from_str(text).unwrap();
            config.validate().unwrap();
            config.rules()
        };
        assert_eq!(read(""), Rules::default());
        let known = Rules::default;
        for (text, rules) in [
            ("outlier_deviations = 6", Rules { outlier_deviations: 6.0, ..known() }),
            ("outlier_moves = 60", Rules { outlier_moves: 60, ..known() }),
            ("outlier_moves_min = 10", Rules { outlier_moves_min: 10, ..known() }),
            ("pause_minutes = 30", Rules { pause_minutes: 30, ..known() }),
            ("split_shaped = false", Rules { split_shaped: false, ..known() }),
            ("split_ratios = [2, 1.5]", Rules { split_ratios: vec![2.0, 1.5], ..known() }),
            ("split_within = 0.01", Rules { split_within: 0.01, ..known() }),
            ("split_least = 0.5", Rules { split_showing: Showing { least: 0.5, moved: 0.5 }, ..known() }),
            ("split_moved = 0.8", Rules { split_showing: Showing { least: 0.25, moved: 0.8 }, ..known() }),
            ("stale_minutes = 5", Rules { stale_minutes: 5, ..known() }),
            ("stale_sessions = 2", Rules { stale_sessions: 2, ..known() }),
            ("hole_minutes = 30", Rules { hole_minutes: 30, ..known() }),
            ("changed_values = 0.01", Rules { changed_values: 0.01, ..known() }),
            ("day_differs = 0.02", Rules { day_differs: 0.02, ..known() }),
            ("future_seconds = 30", Rules { future_seconds: 30, ..known() }),
        ] {
            assert_eq!(read(text), rules, "{text}");
        }
        // One difference holds for what states none of its own.
        let all = read("price_difference = 0.03\nday_differs = 0");
        assert_eq!((all.price_difference, all.changed_values, all.day_differs), (0.03, 0.03, 0.0));
    }

    #[test]
    fn a_threshold_that_cannot_be_is_refused_by_name_value_and_range() {
        for (text, said) in [
            ("split_within = 0.3", "quality.split_within = 0.3: expected 0.0001 to 0.2"),
            ("split_least = 0", "quality.split_least = 0: expected 0.01 to 10"),
            ("split_moved = 1.5", "quality.split_moved = 1.5: expected 0.01 to 1"),
            ("changed_values = 2", "quality.changed_values = 2: expected 0 to 1"),
            ("day_differs = -1", "quality.day_differs = -1: expected 0 to 1"),
            ("outlier_moves = 1", "quality.outlier_moves = 1: expected 2 to 10000"),
            ("outlier_moves_min = 121", "quality.outlier_moves_min = 121: expected 2 to 120"),
            ("pause_minutes = 0", "quality.pause_minutes = 0: expected 1 to 1440"),
            ("future_seconds = 9000", "quality.future_seconds = 9000: expected 0 to 3600"),
            ("split_ratios = [2, 1]", "quality.split_ratios = 1: expected new shares for one old share"),
        ] {
            assert!(problem(text).starts_with(said), "{text}: {}", problem(text));
        }
    }
}
