//! Planted bugs stay where they are looked for: only the simulator can be built with them.

use crate::repository::metadata;

const FEATURE: &str = "planted-bugs";
/// The crate that holds the switch, and the one whose feature turns it.
const HOLDERS: [&str; 2] = ["planted", "simulation"];

#[test]
fn nothing_but_the_simulator_can_switch_a_bug_on() {
    let mut findings = Vec::new();
    for package in metadata().workspace_packages() {
        let name = package.name.as_str();
        for (feature, turns_on) in &package.features {
            let concerned = feature == FEATURE || turns_on.iter().any(|on| on.contains(FEATURE));
            if concerned && (!HOLDERS.contains(&name) || feature != FEATURE) {
                findings.push(format!("{name}: feature {feature:?} turns on {turns_on:?}"));
            }
        }
        for dependency in &package.dependencies {
            if dependency.features.iter().any(|feature| feature == FEATURE) {
                findings.push(format!("{name}: depends on {} with {FEATURE}", dependency.name));
            }
            if dependency.name == "simulation" {
                findings.push(format!("{name}: depends on the simulator"));
            }
        }
    }
    crate::nothing("Planted bugs could get into a program that is shipped:", &findings);
}
