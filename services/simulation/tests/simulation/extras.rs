//! What a seed holds beside its market, its services and its faults.

use std::collections::BTreeSet;

use simulation::batch::attempt;
use simulation::fate::{Extra, Mask};
use simulation::run::{Outcome, Settings};
use simulation::seen::Seen;

/// Seeds within which an extra shows by itself everything that is counted of it.
const SEEDS: u64 = 60;
/// Extras that need no other one, and nothing that goes wrong.
const ALONE: [Extra; 6] =
    [Extra::Shadow, Extra::ByHand, Extra::Scopes, Extra::Parts, Extra::Measures, Extra::Midway];

fn outcome(seed: u64, leave_out: impl IntoIterator<Item = Extra>) -> Outcome {
    let mask = Mask { leave_out: leave_out.into_iter().collect(), ..Mask::default() };
    attempt(&Settings { mask, ..Settings::of(seed) }).map_err(|failure| failure.words()).unwrap()
}

#[test]
fn each_extra_brings_by_itself_what_is_counted_of_it() {
    for extra in ALONE {
        let others = || Extra::ALL.into_iter().filter(|other| *other != extra);
        let mut missing: BTreeSet<Seen> =
            Seen::ALL.into_iter().filter(|seen| seen.extra() == extra).collect();
        for seed in 1..=SEEDS {
            if missing.is_empty() {
                break;
            }
            let seen = outcome(seed, others()).seen;
            missing.retain(|wanted| !seen.contains_key(wanted));
        }
        assert_eq!(missing, BTreeSet::new(), "{}", extra.name());
    }
}

#[test]
fn without_extras_nothing_of_them_is_seen() {
    for seed in 1..=6 {
        let seen = outcome(seed, Extra::ALL).seen;
        let alone: Vec<_> = seen.into_keys().filter(|seen| ALONE.contains(&seen.extra())).collect();
        assert_eq!(alone, [Seen::Shadowed; 0], "seed {seed}");
    }
}

#[test]
fn a_replay_in_the_middle_changes_nothing_of_the_run() {
    let replayed = |outcome: &Outcome| outcome.seen.contains_key(&Seen::ReplayedMidway);
    let found = (1..=SEEDS).map(|seed| (seed, outcome(seed, []))).find(|(_, outcome)| replayed(outcome));
    let (seed, with) = found.unwrap();
    let without = outcome(seed, [Extra::Midway]);
    assert!(!replayed(&without), "seed {seed}");
    assert_eq!((with.hash, with.polls, with.elapsed), (without.hash, without.polls, without.elapsed));
}
