//! What becomes of a pair when one of its legs is not filled, by the policy of the strategy.

use std::collections::BTreeMap;

use contracts::v1::event::Body;
use contracts::v1::{GroupHandled, GroupPolicy};
use domain::money::{E9, Volume};
use engine::{Config, Events, Uncontrolled, run};

use crate::setup::{config, market, strategy};

/// A pair of which one symbol trades ten shares an hour, so that its legs end the day unfilled.
fn pair(policy: GroupPolicy) -> (Config, Vec<GroupHandled>) {
    let parameters = [
        ("first", "S00"),
        ("second", "S01"),
        ("formation", "40"),
        ("entry", "1"),
        ("refit", "weekly"),
        ("max_p_value", "1"),
    ];
    let mut config = config(vec![strategy("pair", "pairs", &parameters)]);
    config.strategies[0].group_policy = policy;
    config.account.limits.allow_short = true;
    config.account.costs.volume_share_most_e9 = E9;
    let mut data = market(2, 2_000, 5);
    let thin = &mut data.series[1];
    let bars: Vec<_> = (0..thin.len())
        .filter_map(|row| Some(domain::bar::Bar { volume: Volume(10_000), ..thin.bar(row)? }))
        .collect();
    *thin = domain::series::BarSeries::of("generated", "S01", thin.timeframe, &bars);
    let mut handled = Vec::new();
    let mut events = Events::new(|event: &contracts::v1::Event| {
        if let Some(Body::GroupHandled(step)) = &event.body {
            handled.push(step.clone());
        }
    });
    run(&config, &data, &mut events, &mut Uncontrolled).expect("it runs");
    drop(events);
    (config, handled)
}

fn failures(handled: &[GroupHandled]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    handled.iter().for_each(|step| *counts.entry(step.failure.as_str()).or_default() += 1);
    counts
}

#[test]
fn a_pair_with_a_missing_leg_is_handled_as_its_policy_says() {
    for policy in [GroupPolicy::Unwind, GroupPolicy::Complete, GroupPolicy::Alert] {
        let (config, handled) = pair(policy);
        assert!(!handled.is_empty(), "{policy:?}");
        let orders: usize = handled.iter().map(|step| step.orders.len()).sum();
        match policy {
            // What was filled is closed, or what was not is ordered again.
            GroupPolicy::Unwind | GroupPolicy::Complete => {
                assert!(orders > 0, "{policy:?}: {:?}", failures(&handled));
            }
            _ => assert!(orders == 0 && handled.iter().all(|step| !step.open.is_empty() || step.done)),
        }
        let ways = failures(&handled);
        assert!(ways.contains_key("expired") || ways.contains_key("stuck"), "{policy:?}: {ways:?}");
        // A group has an end, and only one.
        let mut done: BTreeMap<&str, usize> = BTreeMap::new();
        handled.iter().for_each(|step| *done.entry(&step.group_id).or_default() += usize::from(step.done));
        assert!(done.values().all(|ends| *ends <= 1), "{policy:?}: {done:?}");
        assert!(done.values().filter(|ends| **ends == 1).count() + 1 >= done.len(), "{policy:?}: {done:?}");
        assert_eq!(config.strategies[0].group_policy, policy);
    }
}

#[test]
fn without_a_policy_a_pair_is_left_as_it_is() {
    let (_, handled) = pair(GroupPolicy::Unspecified);
    assert!(handled.iter().all(|step| step.orders.is_empty() && step.cancels.is_empty()), "{handled:?}");
    // Left as it is, but not in silence.
    assert!(handled.iter().any(|step| step.done && !step.open.is_empty()), "{handled:?}");
}
