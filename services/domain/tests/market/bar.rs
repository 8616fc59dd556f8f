//! Bars and timeframes on the wire and as text.

use contracts::v1;
use domain::bar::{Bar, Timeframe, UnknownTimeframe};
use domain::money::{Price, Volume};
use proptest::prelude::*;

proptest! {
    #[test]
    fn the_wire_keeps_every_bar(start_ns: i64, close_ns: i64, prices: [i64; 4], volume: i64, timeframe in 0..6_usize) {
        let bar = Bar {
            start_ns,
            close_ns,
            open: Price(prices[0]),
            high: Price(prices[1]),
            low: Price(prices[2]),
            close: Price(prices[3]),
            volume: Volume(volume),
        };
        let timeframe = Timeframe::ALL[timeframe];
        let wire = bar.to_wire("BRK.B", timeframe, v1::Origin::Import);
        prop_assert_eq!(&wire.symbol, "BRK.B");
        prop_assert_eq!(wire.timeframe.parse(), Ok(timeframe));
        prop_assert_eq!(wire.origin(), v1::Origin::Import);
        prop_assert_eq!(Bar::from_wire(&wire, close_ns), Some(bar));
    }
}

#[test]
fn a_bar_without_a_start_is_none() {
    assert_eq!(Bar::from_wire(&v1::Bar::default(), 0), None);
}

#[test]
fn timeframes_have_one_name_and_grow() {
    for timeframe in Timeframe::ALL {
        assert_eq!(timeframe.to_string().parse(), Ok(timeframe));
    }
    assert!(Timeframe::ALL.windows(2).all(|pair| pair[0] < pair[1] && pair[0].nanos() < pair[1].nanos()));
    for text in ["", "1H", "60m", "1w"] {
        assert_eq!(text.parse::<Timeframe>(), Err(UnknownTimeframe(text.to_owned())));
    }
}
