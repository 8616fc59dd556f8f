//! Data that look wrong open nothing, where a limit asks for clean ones.

use contracts::to_timestamp;
use contracts::v1::event::Body;
use contracts::v1::{Event, Intent, QualityFinding, Severity};
use domain::book::{HALT, KnownFinding, RESUMPTION, Scope};

use crate::scopes::{OTHER, World, buy, exit, leg, signal};
use crate::support::{STRATEGY, SYMBOL};

const SECOND: i64 = 1_000_000_000;

fn finding(severity: Severity, time_ns: i64) -> Event {
    let body = QualityFinding {
        symbol: SYMBOL.into(),
        rule: "outlier".into(),
        severity: severity.into(),
        detail: "close 104 after 100".into(),
        ..QualityFinding::default()
    };
    Event {
        id: format!("{time_ns:032x}"),
        event_time: Some(to_timestamp(time_ns)),
        body: Some(Body::QualityFinding(body)),
        ..Event::default()
    }
}

impl World {
    fn find(&mut self, severity: Severity, seconds_ago: i64) {
        let event = finding(severity, self.now_ns - seconds_ago * SECOND);
        if let Some((symbol, found)) = KnownFinding::of(&event) {
            self.prices.find(symbol, found);
        }
    }
}

#[test]
fn a_symbol_with_a_young_finding_opens_nothing_and_closes_all_the_same() {
    let mut world = World::new();
    world.limit(Scope::new("", STRATEGY, ""), &[("clean_data", "600")]);
    world.passes(&buy());
    world.find(Severity::Info, 5);
    world.passes(&buy());
    world.find(Severity::Warning, 601);
    world.passes(&buy());
    world.find(Severity::Error, 599);
    let reason = world.denies(&buy(), "unclean_data");
    assert!(
        reason.contains("outlier, 599000 ms ago, expected at least 600000 ms: close 104 after 100"),
        "{reason}"
    );
    assert!(reason.contains("limits of"), "{reason}");
    // Of another symbol nothing was found.
    world.passes(&signal(vec![leg(OTHER, Intent::EnterLong)]));
    // An older finding does not take the place of a newer one.
    world.find(Severity::Warning, 5_000);
    world.denies(&buy(), "unclean_data");
    world.hold(SYMBOL, 100);
    world.passes(&exit());
}

#[test]
fn a_halt_that_is_stated_to_be_a_warning_is_one_until_the_resumption() {
    let mut world = World::new();
    world.limit(Scope::new("", STRATEGY, ""), &[("clean_data", "600")]);
    world.find(Severity::Warning, 700);
    let found = |world: &World| world.decide(&buy()).inputs.remove(0).finding.unwrap().rule;
    world.hear(HALT, Severity::Warning, 5);
    world.denies(&buy(), "symbol_halted");
    assert_eq!(found(&world), HALT);
    world.hear(RESUMPTION, Severity::Info, 3);
    world.passes(&buy());
    assert_eq!(found(&world), "outlier", "what was found before it is known still");
    // A resumption that is stated to be a warning is one as any other.
    world.hear(RESUMPTION, Severity::Warning, 2);
    let reason = world.denies(&buy(), "unclean_data");
    assert!(reason.contains("resumption, 2000 ms ago"), "{reason}");
}
