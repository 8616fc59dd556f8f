//! The rules: what makes a finding about data, and how bad it is.

use std::collections::BTreeMap;

use contracts::v1::Severity;
use domain::book::{HALT, RESUMPTION};
use domain::corporate_action::Showing;

use super::{ACTION_NOT_APPLIED, ADJUSTED_PRICES, AFTER_EARLY_CLOSE, MINUTE_NS};

/// Every rule, how bad its findings are unless it is stated otherwise, and what they say.
pub const RULES: [(&str, Severity, &str); 21] = [
    (
        "inconsistent_bar",
        Severity::Error,
        "a price that is none, high below low, a negative volume; it is left out",
    ),
    ("from_the_future", Severity::Error, "a minute that has not ended; it is left out"),
    ("zero_volume", Severity::Info, "nothing was traded"),
    ("outlier", Severity::Warning, "a move of more standard deviations than the threshold"),
    ("split_shaped", Severity::Warning, "a jump by a simple ratio, and no split on the tape"),
    ("split_without_jump", Severity::Warning, "a split on the tape, and prices that do not jump with it"),
    (
        "changed_values",
        Severity::Warning,
        "other values by more than the threshold for a bar of the same source",
    ),
    (
        "changed_without_update",
        Severity::Warning,
        "other values for a minute, and no word that they correct it",
    ),
    ("missing_bar", Severity::Warning, "time of the session without a bar"),
    ("stale_symbol", Severity::Warning, "no bar of a symbol for too long"),
    ("price_difference", Severity::Warning, "a price that is another one than the authority's"),
    (
        "overlapping_bar",
        Severity::Warning,
        "a bar that starts at other minutes than the series; it is left out",
    ),
    (AFTER_EARLY_CLOSE, Severity::Warning, "a bar that starts after an early close"),
    (ADJUSTED_PRICES, Severity::Warning, "prices that are stated to be adjusted"),
    (
        ACTION_NOT_APPLIED,
        Severity::Warning,
        "a corporate action that is neither a split nor a dividend in dollars; nothing is restated or paid for it",
    ),
    ("day_differs", Severity::Warning, "a day of the vendor's that is another one than its minutes make"),
    ("trade_corrected", Severity::Info, "the vendor's word that a trade was another one"),
    ("trade_cancelled", Severity::Info, "the vendor's word that a trade was none"),
    (HALT, Severity::Info, "the vendor's word that trading stopped"),
    (RESUMPTION, Severity::Info, "the vendor's word that trading goes on"),
    ("status", Severity::Info, "any other word of the vendor's about trading"),
];

/// Thresholds, and how bad findings are.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// Standard deviations beyond which a move is an outlier; 0 for none.
    pub outlier_deviations: f64,
    /// Moves that are looked back on for how far a series usually moves.
    pub outlier_moves: u32,
    /// Fewest moves that say anything of the next.
    pub outlier_moves_min: u32,
    /// Minutes between two bars from which on a move is one across a pause: a night, a weekend, a halt.
    pub pause_minutes: u32,
    /// Whether jumps are looked at for the shape of a split.
    pub split_shaped: bool,
    /// New shares for old ones that splits usually are.
    pub split_ratios: Vec<f64>,
    /// How near a jump has to be to such a ratio, as a share of it.
    pub split_within: f64,
    /// How a split that is stated is expected to show.
    pub split_showing: Showing,
    /// Minutes without a bar after which a symbol is stale while it is streamed; 0 for never.
    pub stale_minutes: u32,
    /// Sessions without a bar after which a symbol is stale in a vendor's history; 0 for never.
    pub stale_sessions: u32,
    /// Minutes of the session without a bar from which on history has a hole; 0 for never.
    pub hole_minutes: u32,
    /// Difference of two sources' prices from which on it is a finding, as a share; 0 for never.
    pub price_difference: f64,
    /// The same of a price that its own source tells otherwise later.
    pub changed_values: f64,
    /// The same of a vendor's day and the one that its minutes make.
    pub day_differs: f64,
    /// Seconds by which a minute may end ahead of this machine's clock.
    pub future_seconds: u32,
    /// Severities that are stated, by rule; `None` where a rule makes no findings.
    pub severities: BTreeMap<String, Option<Severity>>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            outlier_deviations: 10.0,
            outlier_moves: 120,
            outlier_moves_min: 30,
            pause_minutes: 60,
            split_shaped: true,
            split_ratios: vec![2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 15.0, 20.0, 1.5],
            split_within: 0.02,
            split_showing: Showing::default(),
            stale_minutes: 15,
            stale_sessions: 5,
            hole_minutes: 60,
            price_difference: 0.005,
            changed_values: 0.005,
            day_differs: 0.005,
            future_seconds: 5,
            severities: BTreeMap::new(),
        }
    }
}

impl Rules {
    /// How bad a finding of `rule` is; `None` where it makes none.
    #[must_use]
    pub fn severity(&self, rule: &str) -> Option<Severity> {
        match self.severities.get(rule) {
            Some(stated) => *stated,
            None => {
                let known = RULES.iter().find(|(name, ..)| *name == rule);
                Some(known.map_or(Severity::Warning, |(_, severity, _)| *severity))
            }
        }
    }

    /// Time between two bars from which on a move is one across a pause.
    pub(super) fn pause_ns(&self) -> i64 {
        i64::from(self.pause_minutes) * MINUTE_NS
    }
}
