//! One registry, and a page of documentation that names all of it.

use std::collections::BTreeSet;

use analytics::metrics::{METRICS, expected_of_search, find, searched};
use analytics::warnings::Kind;

const PAGE: &str = include_str!("../../../../docs/metrics.md");

#[test]
fn the_page_describes_every_metric_and_nothing_else() {
    let rows =
        PAGE.lines().filter_map(|line| line.strip_prefix("| `")).filter_map(|line| line.split_once("` | "));
    let described: BTreeSet<&str> =
        rows.filter(|(_, rest)| rest.matches('|').count() == 3).map(|(name, _)| name).collect();
    let known: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
    assert_eq!(described, known, "docs/metrics.md (left) and the registry (right) differ");
    for metric in METRICS {
        assert!(PAGE.contains(metric.description), "{}: {}", metric.name, metric.description);
        assert!(PAGE.contains(metric.source), "{}: {}", metric.name, metric.source);
    }
    assert_eq!(known.len(), METRICS.len(), "a name is there twice");
    assert_eq!(find("sharpe").unwrap().label, "Sharpe ratio");
}

#[test]
fn a_search_goes_by_metrics_of_which_more_is_better() {
    assert_eq!(searched().count(), METRICS.len() - 5);
    for name in ["sharpe", "max_drawdown", "value_at_risk", "trades"] {
        assert_eq!(expected_of_search(name), None, "{name}");
    }
    for name in ["volatility", "downside_risk", "max_drawdown_days", "tracking_error", "down_capture"] {
        let expected = expected_of_search(name).unwrap();
        assert!(expected.starts_with("one of which more is better: total_return, "), "{expected}");
        assert!(!expected.contains(&format!(" {name},")), "{expected}");
    }
    assert!(expected_of_search("sharp").unwrap().starts_with("one of total_return, "));
}

#[test]
fn the_page_describes_every_warning() {
    for kind in [
        Kind::FewTrades,
        Kind::ShortHistory,
        Kind::MultipleTesting,
        Kind::UnprovenSharpe,
        Kind::ParameterCliff,
        Kind::LookAhead,
        Kind::DelaySensitive,
        Kind::WarmUp,
        Kind::AmbiguousBars,
        Kind::UnstatedSplit,
        Kind::SplitWithoutJump,
        Kind::NegativeCash,
    ] {
        assert!(PAGE.contains(&format!("| `{}` |", kind.name())), "{kind:?}");
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
    }
}
