//! How a failure is told, and what is demanded of many seeds.

use std::collections::BTreeSet;

use domain::invariant::{Invariant, Violation};
use domain::order::OrderStage;
use simulation::batch::Failure;
use simulation::fate::{Extra, Fate, Fault, Mask};
use simulation::run::Outcome;
use simulation::stages::{EXCUSED, all, demanded, excuse};

fn panicked(text: &str) -> Failure {
    Failure { seed: 1, violation: None, panic: Some(text.to_owned()), outcome: Box::new(Outcome::default()) }
}

#[test]
fn a_mask_is_told_by_the_options_that_ask_for_it() {
    assert_eq!(Mask::default().options(), "");
    let mask = Mask {
        without: vec![Fault::Kill, Fault::BrokerLateFill],
        only: Some((3, 12)),
        instants: Some(6),
        quiet: true,
        leave_out: vec![Extra::Terms, Extra::Limits],
    };
    assert_eq!(
        mask.options(),
        " --without kill,broker_late_fill --only 3..12 --instants 6 --quiet --leave-out terms,limits"
    );
}

#[test]
fn every_name_on_the_command_line_is_read_back() {
    for (fault, _) in Fault::ALL {
        assert_eq!(Fault::from_name(&fault.name()), Some(fault));
    }
    for extra in Extra::ALL {
        assert_eq!(Extra::from_name(extra.name()), Some(extra));
    }
    assert_eq!((Fault::from_name("none"), Extra::from_name("none")), (None, None));
}

#[test]
fn a_panic_is_the_same_whatever_its_numbers() {
    let kind = panicked("index out of bounds: the len is 3 but the index is 7").kind();
    assert_eq!(kind, panicked("index out of bounds: the len is 12 but the index is 12").kind());
    assert_ne!(kind, panicked("attempt to subtract with overflow").kind());
    let violation = Violation::new(Invariant::OrdersEnd, 7, "order 1 is open");
    let broken = Failure { violation: Some(violation), ..panicked("") };
    assert_eq!(broken.kind(), Invariant::OrdersEnd.to_string());
}

#[test]
fn every_excuse_is_of_a_step_that_the_domain_allows() {
    let excused: BTreeSet<_> = all().filter(|step| excuse(*step).is_some()).collect();
    assert_eq!(demanded().filter(|step| excused.contains(step)).count(), 0);
    for (from, to, why) in EXCUSED {
        for before in from {
            let of_row = to.iter().filter(|after| *after != before);
            let dead: Vec<_> = of_row.filter(|after| !before.may_become(**after)).collect();
            assert_eq!(dead, [&OrderStage::Requested; 0], "{why}: from {before:?}");
        }
    }
    // Whatever an order is, it has to come to it now and then; only what the exchange does not do is left out.
    let reached: BTreeSet<_> = demanded().map(|(_, to)| to).collect();
    let never: Vec<_> = OrderStage::ALL.into_iter().filter(|stage| !reached.contains(stage)).collect();
    assert_eq!(never, [OrderStage::Requested; 0]);
}

#[test]
fn a_fault_of_an_extra_draws_nothing_that_another_one_would() {
    let strikes = |seed: u64, with_extra: bool| {
        let fate = Fate::new(seed, false, Mask::default(), false);
        let strike = |_| {
            if with_extra {
                fate.strikes(Fault::BrokerBusts, "of an extra");
            }
            fate.strikes(Fault::BrokerDuplicate, "of none")
        };
        let struck: Vec<bool> = (0..500).map(strike).collect();
        (struck, fate.counts().contains_key(&Fault::BrokerBusts))
    };
    let mut both = 0;
    for seed in 0..40 {
        let ((alone, _), (beside, busted)) = (strikes(seed, false), strikes(seed, true));
        assert_eq!(alone, beside, "seed {seed}");
        both += u32::from(busted && alone.contains(&true));
    }
    assert!(both > 0, "in no seed both happened");
}
