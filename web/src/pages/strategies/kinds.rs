//! The built-in kinds of strategies, as the page lists them, and the guide to each.

use domain::strategy::{Kind, kinds};

/// The guide to a built-in kind, as it stands in `docs`.
pub fn guide(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "bollinger_reversion" => include_str!("../../../../docs/strategies/bollinger_reversion.md"),
        "buy_and_hold" => include_str!("../../../../docs/strategies/buy_and_hold.md"),
        "donchian_breakout" => include_str!("../../../../docs/strategies/donchian_breakout.md"),
        "mean_reversion" => include_str!("../../../../docs/strategies/mean_reversion.md"),
        "momentum" => include_str!("../../../../docs/strategies/momentum.md"),
        "pairs" => include_str!("../../../../docs/strategies/pairs.md"),
        "rebalance" => include_str!("../../../../docs/strategies/rebalance.md"),
        "regime_switch" => include_str!("../../../../docs/strategies/regime_switch.md"),
        "sma_cross" => include_str!("../../../../docs/strategies/sma_cross.md"),
        _ => return None,
    })
}

/// Every kind, by name.
pub fn all() -> &'static [Kind] {
    kinds()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_guide_that_names_its_parameters() {
        for kind in all() {
            let guide = guide(kind.name).unwrap();
            assert!(guide.starts_with(&format!("# {}\n", kind.name)), "{}", kind.name);
            for spec in kind.parameters {
                let row = guide.lines().find(|line| line.starts_with(&format!("| `{}` |", spec.name)));
                let row = row.unwrap_or_else(|| panic!("{} does not describe {}", kind.name, spec.name));
                let default = if spec.default.is_empty() { "must be stated" } else { spec.default };
                assert!(row.contains(default), "{}: {row} without {default}", kind.name);
            }
        }
        assert_eq!(guide("sma"), None);
    }
}
