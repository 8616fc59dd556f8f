//! Exactness of numbers: text there and back, products against wide integers, rounding, ranges.

use domain::money::{Amount, E9, Price, Quantity, Volume, div_half_even};
use proptest::prelude::*;

proptest! {
    #[test]
    fn text_keeps_every_number(value: i64, wide: i128) {
        prop_assert_eq!(Price(value).to_string().parse(), Ok(Price(value)));
        prop_assert_eq!(Quantity(value).to_string().parse(), Ok(Quantity(value)));
        prop_assert_eq!(Volume(value).to_string().parse(), Ok(Volume(value)));
        prop_assert_eq!(Amount(wide).to_string().parse(), Ok(Amount(wide)));
    }

    #[test]
    fn text_is_the_shortest_decimal(units in 0..9_000_000_000_i64, nanos in 0..E9) {
        let text = Price(units * E9 + nanos).to_string();
        prop_assert!(!text.contains('e') && !text.ends_with('.'));
        prop_assert!(!text.contains('.') || !text.ends_with('0'));
        let long = format!("{units}.{nanos:09}");
        prop_assert_eq!(long.parse(), Ok(Price(units * E9 + nanos)));
        prop_assert_eq!(format!("-{long}").parse(), Ok(Price(-(units * E9 + nanos))));
        prop_assert_eq!(format!("{long}000").parse(), Ok(Price(units * E9 + nanos)));
    }

    #[test]
    fn any_text_is_a_number_or_an_error(text in "[-+]?[0-9.eE ]{0,45}") {
        if let Ok(amount) = text.parse::<Amount>() {
            prop_assert_eq!(amount.to_string().parse(), Ok(amount));
        }
    }

    /// The half-even result is the one integer whose distance from the exact quotient is least, and the
    /// even one of two.
    #[test]
    fn division_rounds_half_to_even(numerator in -(1_i128 << 90)..(1_i128 << 90), denominator in 1..(1_i128 << 80)) {
        let rounded = div_half_even(numerator, denominator);
        let twice_error = 2 * (rounded * denominator - numerator);
        prop_assert!(twice_error.abs() <= denominator);
        if twice_error.abs() == denominator {
            prop_assert_eq!(rounded % 2, 0);
        }
    }

    #[test]
    fn ties_go_to_the_even_neighbour(quotient in -1_000_000_i128..1_000_000, half in 1..1_000_000_i128) {
        let rounded = div_half_even((2 * quotient + 1) * half, 2 * half);
        prop_assert_eq!(rounded, if quotient % 2 == 0 { quotient } else { quotient + 1 });
    }

    #[test]
    fn notional_is_the_exact_product_rounded_once(price: i64, quantity: i64) {
        let exact = i128::from(price) * i128::from(quantity);
        let notional = Amount::notional(Price(price), Quantity(quantity)).0;
        let twice_error = 2 * (notional * i128::from(E9) - exact);
        prop_assert!(twice_error.abs() <= i128::from(E9));
        prop_assert_eq!(Amount::notional(Price(-price.max(-i64::MAX)), Quantity(quantity)).0,
            -Amount::notional(Price(price.max(-i64::MAX)), Quantity(quantity)).0, "rounding favours no side");
    }

    #[test]
    fn sums_are_exact_or_nothing(left: i64, right: i64, wide_left: i128, wide_right: i128) {
        let sum = i128::from(left) + i128::from(right);
        prop_assert_eq!(Price(left).checked_add(Price(right)), i64::try_from(sum).ok().map(Price));
        let difference = i128::from(left) - i128::from(right);
        prop_assert_eq!(Price(left).checked_sub(Price(right)), i64::try_from(difference).ok().map(Price));
        prop_assert_eq!(Amount(wide_left).checked_add(Amount(wide_right)), wide_left.checked_add(wide_right).map(Amount));
        prop_assert_eq!(Amount(wide_left).checked_sub(Amount(wide_right)), wide_left.checked_sub(wide_right).map(Amount));
    }

    #[test]
    fn rates_are_exact_or_nothing(amount: i128, rate: i64) {
        let product = amount.checked_mul(i128::from(rate));
        let expected = product.map(|product| Amount(div_half_even(product, i128::from(E9))));
        prop_assert_eq!(Amount(amount).times_e9(rate), expected);
    }

    #[test]
    fn the_wire_keeps_every_amount_that_fits(amount: i128, units: i64, nanos in 0..E9) {
        let fits = i128::from(units) * i128::from(E9) + i128::from(nanos) * i128::from(units.signum());
        for amount in [Amount(amount), Amount(fits)] {
            match amount.to_wire() {
                Some(wire) => {
                    prop_assert_eq!(Amount::from_wire(Some(&wire)), amount);
                    prop_assert!(wire.units.signum() * i64::from(wire.nanos.signum()) >= 0, "signs agree");
                }
                None => prop_assert!(i64::try_from(amount.0 / i128::from(E9)).is_err()),
            }
        }
    }

    #[test]
    fn whole_shares_cut_towards_zero(value: i64) {
        let whole = Quantity(value).whole().0;
        prop_assert_eq!(whole % E9, 0);
        prop_assert!((i128::from(value) - i128::from(whole)).abs() < i128::from(E9));
        prop_assert!(whole.unsigned_abs() <= value.unsigned_abs());
    }
}

#[test]
fn malformed_text_says_what_is_wrong() {
    for (text, problem) in [
        ("", "not a number"),
        ("-", "not a number"),
        (".", "not a number"),
        ("abc", "not a decimal number"),
        ("1.abcdefghijkl", "not a decimal number"),
        ("1e5", "not a decimal number"),
        (" 1", "not a decimal number"),
        ("--1", "not a decimal number"),
        ("1.2.3", "not a decimal number"),
        ("NaN", "not a decimal number"),
        ("٣", "not a decimal number"),
        ("0.0000000001", "more decimal places than can be kept exactly"),
        ("9223372036.854775808", "out of range"),
        ("999999999999999999999999999999999999999999", "out of range"),
    ] {
        let error = text.parse::<Price>().map_err(|error| (error.text, error.problem));
        assert_eq!(error, Err((text.to_owned(), problem)));
    }
    assert!("0.1234".parse::<Volume>().is_err(), "a volume has three decimals");
}

#[test]
fn ordinary_text_is_read() {
    for (text, price) in
        [("13.63", 13_630_000_000), ("+.5", 500_000_000), ("7.", 7 * E9), ("-0.000000001", -1)]
    {
        assert_eq!(text.parse(), Ok(Price(price)));
    }
    assert_eq!("540700".parse(), Ok(Volume(540_700_000)));
    assert_eq!(format!("{:>8}|{:<8}|{:+}", Price(-E9), Price(E9 / 2), Price(E9)), "      -1|0.5     |+1");
    assert_eq!(Amount::from_wire(None), Amount::ZERO);
}

#[test]
fn the_ends_of_the_range_are_numbers_too() {
    for value in [i128::MIN, i128::MAX] {
        assert_eq!(Amount(value).to_string().parse(), Ok(Amount(value)));
        assert_eq!(div_half_even(value, 1), value);
        assert_eq!(div_half_even(value, i128::MAX).signum(), value.signum());
    }
    assert_eq!(Price(i64::MIN).to_string().parse(), Ok(Price(i64::MIN)));
}
