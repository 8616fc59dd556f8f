//! Sizing rounds down to whole shares and never beyond a cap.

use contracts::v1::{Sizing, SizingKind};
use domain::money::{Amount, E9, Quantity};
use domain::sizing::{SizingError, shares as size};
use proptest::prelude::*;

use crate::support::{amount, price, shares};

fn sizing(kind: SizingKind, value: &str) -> Sizing {
    Sizing { kind: kind.into(), value_e9: shares(value).0, ..Sizing::default() }
}

fn check(kind: SizingKind, value: &str, cap: Option<&str>, at: &str, expected: &str) {
    let cap = cap.map(|cap| shares(cap).0);
    let sized = size(&sizing(kind, value), E9, cap, amount("10000"), price(at)).unwrap();
    assert_eq!(sized, shares(expected), "{kind:?} {value} capped {cap:?} at {at}");
}

#[test]
fn sizes_are_whole_shares() {
    check(SizingKind::Fixed, "10", None, "50", "10");
    check(SizingKind::Fixed, "10.9", None, "50", "10");
    check(SizingKind::Fraction, "0.1", None, "30", "33");
    check(SizingKind::Fraction, "0.1", None, "1000", "1");
    check(SizingKind::Fraction, "0.1", None, "1000.01", "0");
    check(SizingKind::Fixed, "100", Some("0.1"), "50", "20");
    check(SizingKind::Fraction, "0.05", Some("0.1"), "50", "10");
}

#[test]
fn a_leg_takes_its_share() {
    let half = size(&sizing(SizingKind::Fraction, "0.1"), E9 / 2, None, amount("10000"), price("50"));
    assert_eq!(half, Ok(shares("10")));
}

/// A million buys more shares at a thousandth of a cent than an order can have: what is wanted is far from that.
#[test]
fn a_cap_beyond_all_orders_caps_nothing() {
    let fixed = sizing(SizingKind::Fixed, "1000000");
    let of = |cap| size(&fixed, E9, Some(cap), amount("1000000"), price("0.00001"));
    assert_eq!(of(E9), Ok(shares("1000000")));
    assert_eq!(of(E9 / 1_000_000), Ok(shares("100000")));
}

#[test]
fn without_equity_there_is_nothing_to_spend() {
    let fraction = sizing(SizingKind::Fraction, "0.1");
    assert_eq!(size(&fraction, E9, None, amount("-5"), price("50")), Ok(Quantity::ZERO));
}

#[test]
fn nonsense_is_refused() {
    let refused = |sizing: Sizing, at: &str| {
        size(&sizing, E9, None, amount("10000"), price(at)).unwrap_err().to_string()
    };
    assert_eq!(refused(sizing(SizingKind::Fixed, "0"), "50"), "`value_e9` is 0, expected a positive value");
    assert_eq!(refused(sizing(SizingKind::Fixed, "1"), "0"), "`price` is 0, expected a positive value");
    let unspecified = size(&sizing(SizingKind::Unspecified, "1"), E9, None, amount("1"), price("1"));
    assert_eq!(unspecified, Err(SizingError::Unspecified));
    let huge = size(&sizing(SizingKind::Fraction, "1"), E9, None, Amount(i128::MAX / 2), price("1"));
    assert_eq!(huge, Err(SizingError::Overflow));
}

proptest! {
    #[test]
    fn a_fraction_never_costs_more_than_its_share(
        equity in 0i64..i64::MAX,
        fraction in 1i64..E9,
        at in 1i64..1_000_000_000_000_000,
    ) {
        let sizing = Sizing { kind: SizingKind::Fraction.into(), value_e9: fraction, ..Sizing::default() };
        let at = domain::money::Price(at);
        if let Ok(sized) = size(&sizing, E9, None, Amount(equity.into()), at) {
            let cost = Amount::notional(at, sized).0;
            let share = i128::from(equity) * i128::from(fraction) / i128::from(E9);
            prop_assert!(cost <= share);
            prop_assert!(share < cost + i128::from(at.0), "one more share would have fitted");
            prop_assert_eq!(sized, sized.whole());
        }
    }
}
