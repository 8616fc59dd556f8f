//! The built-in strategies against plain restatements of their rules, and their finite memory.

use contracts::v1::{ActionKind, CorporateAction, Intent, Parameter};
use domain::bar::{Bar, Timeframe};
use domain::money::{Price, Volume};
use domain::strategy::{
    BarInput, ParameterError, Slots, Strategy, Wish, build, kinds, position_cap_e9, resolve,
};
use proptest::prelude::*;

use crate::support::{price, shares};

fn parameters(stated: &[(&str, &str)]) -> Vec<Parameter> {
    let parameter = |&(name, value): &(&str, &str)| Parameter { name: name.into(), value: value.into() };
    stated.iter().map(parameter).collect()
}

fn sma(fast: u32, slow: u32) -> Box<dyn Strategy> {
    let (fast, slow) = (fast.to_string(), slow.to_string());
    build("sma_cross", &parameters(&[("fast", &fast), ("slow", &slow)])).unwrap()
}

fn momentum(lookback: u32, threshold: &str) -> Box<dyn Strategy> {
    let lookback = lookback.to_string();
    build("momentum", &parameters(&[("lookback", &lookback), ("threshold", threshold)])).unwrap()
}

fn feed(strategy: &mut dyn Strategy, slot: usize, close: i64, position: &str) -> Vec<Wish> {
    let close = Price(close);
    let bar =
        Bar { start_ns: 0, close_ns: 1, open: close, high: close, low: close, close, volume: Volume(1) };
    let (symbol, timeframe) = ("ACME", Timeframe::H1);
    let mut wishes = Vec::new();
    let position = shares(position);
    strategy.on_bar(&BarInput { slot, symbol, timeframe, bar: &bar, position }, &mut wishes);
    wishes
}

/// The intents at each close, with the position that filling each at once would give.
fn intents(strategy: &mut dyn Strategy, closes: &[i64]) -> Vec<Option<Intent>> {
    let mut position = "0";
    let mut each = |&close: &i64| {
        let signals = feed(strategy, 0, close, position);
        let intent = signals.first().map(|signal| signal.legs[0].intent);
        position = match intent {
            Some(Intent::EnterLong) => "1",
            Some(Intent::Exit) => "0",
            _ => position,
        };
        intent
    };
    closes.iter().map(&mut each).collect()
}

fn split(value: &str) -> CorporateAction {
    CorporateAction {
        symbol: "ACME".into(),
        ex_date: "2024-06-10".into(),
        kind: ActionKind::Split.into(),
        value_e9: price(value).0,
        origin: 0,
    }
}

#[test]
fn sma_cross_enters_above_and_exits_below() {
    // Averages of the last two and four: 3 < 4, then 6 > 5.5, then 5 < 5.5, then 1 < 5.5 and 6 > 5.5.
    let closes = [5, 5, 5, 1, 11, 9, 1, 1, 11].map(|close| close * 1_000_000_000);
    let mut expected = [None; 9];
    expected[4] = Some(Intent::EnterLong);
    expected[6] = Some(Intent::Exit);
    expected[8] = Some(Intent::EnterLong);
    assert_eq!(intents(sma(2, 4).as_mut(), &closes), expected);
}

#[test]
fn averages_that_touched_cross_nothing() {
    let above = [10, 11, 11, 12, 13].map(|close| close * 1_000_000_000);
    assert_eq!(intents(sma(1, 2).as_mut(), &above), [None; 5], "above, equal, above");
    let through = [11, 10, 10, 12, 13].map(|close| close * 1_000_000_000);
    assert_eq!(intents(sma(1, 2).as_mut(), &through), [None; 5], "below, equal, above");
    // From below at once it crosses; above, equal, below is no cross downwards, below at once is one.
    let long = [11, 10, 12, 12, 11, 12, 11].map(|close| close * 1_000_000_000);
    let mut expected = [None; 7];
    expected[2] = Some(Intent::EnterLong);
    expected[6] = Some(Intent::Exit);
    assert_eq!(intents(sma(1, 2).as_mut(), &long), expected);
    let touching = [("fast", "1"), ("slow", "2"), ("average", "exponential"), ("allow_short", "true")];
    for closes in [above, through] {
        let mut exponential = build("sma_cross", &parameters(&touching)).unwrap();
        // An exponential average comes to be equal to the closes only after many that are alike.
        let closes = [vec![closes[0]; 60], vec![closes[1]; 60], closes[3..].to_vec()].concat();
        let found: Vec<_> = intents(exponential.as_mut(), &closes).into_iter().flatten().collect();
        assert_eq!(found, [], "equal for many bars before they part");
    }
}

#[test]
fn a_signal_says_what_was_seen() {
    let mut strategy = sma(1, 2);
    feed(strategy.as_mut(), 0, 5_000_000_000, "0");
    feed(strategy.as_mut(), 0, 4_000_000_000, "0");
    let signals = feed(strategy.as_mut(), 0, 6_000_000_000, "0");
    let signal = &signals[0];
    let seen: Vec<_> = signal.indicators.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(seen, ["sma_fast=6", "sma_slow=5", "close=6"]);
    assert_eq!(&*signal.reason, "the average of 1 closes crossed above the average of 2");
    let signal = signal.to_signal("s", |_| "ACME");
    assert_eq!((signal.strategy.as_str(), signal.legs[0].symbol.as_str()), ("s", "ACME"));
}

#[test]
fn momentum_acts_on_the_edge_only() {
    // Changes over one bar: 0, +3 %, +3 %, 0, -1 %, -3 %, +3 %.
    let closes = [1000, 1000, 1030, 1061, 1061, 1050, 1018, 1049].map(|close| close * 1_000_000_000);
    let expected =
        [None, None, Some(Intent::EnterLong), None, None, None, Some(Intent::Exit), Some(Intent::EnterLong)];
    assert_eq!(intents(momentum(1, "0.02").as_mut(), &closes), expected);
}

#[test]
fn exactly_the_threshold_is_not_above_it() {
    let closes = [100, 100, 102, 100].map(|close| close * 1_000_000_000);
    assert_eq!(intents(momentum(1, "0.02").as_mut(), &closes), [None; 4]);
}

#[test]
fn a_split_is_no_crossing() {
    for mut strategy in [sma(2, 4), momentum(3, "0.02")] {
        // It rises all the time, so that a fall to a quarter would cross downwards.
        for dollars in 100..106 {
            assert!(feed(strategy.as_mut(), 0, dollars * 1_000_000_000, "1").is_empty());
        }
        strategy.on_action(0, &split("4"), &mut Vec::new());
        for dollars in 106..112 {
            let wishes = feed(strategy.as_mut(), 0, dollars * 250_000_000, "1");
            assert!(wishes.is_empty(), "{}", strategy.kind());
        }
    }
}

#[test]
fn slots_do_not_mix() {
    let mut slots = Slots::default();
    let a = slots.slot("ACME", Timeframe::H1);
    let b = slots.slot("ACME", Timeframe::D1);
    assert_eq!((slots.slot("ACME", Timeframe::H1), slots.len()), (a, 2));
    assert_eq!(slots.of_symbol("ACME").collect::<Vec<_>>(), [a, b]);
    let mut strategy = sma(1, 2);
    for close in [5, 4] {
        feed(strategy.as_mut(), a, close, "0");
    }
    assert!(feed(strategy.as_mut(), b, 9, "0").is_empty());
    assert_eq!(feed(strategy.as_mut(), a, 9, "0").len(), 1);
}

#[test]
fn parameters_have_defaults_and_ranges() {
    let defaults = resolve("sma_cross", &[]).unwrap();
    assert_eq!(
        defaults,
        parameters(&[("fast", "20"), ("slow", "50"), ("average", "simple"), ("allow_short", "false")])
    );
    let defaults = resolve("momentum", &[]).unwrap();
    let stated =
        [("lookback", "20"), ("threshold", "0.02"), ("max_position", "0.1"), ("allow_short", "false")];
    assert_eq!(defaults, parameters(&stated));
    assert_eq!(build("sma_cross", &[]).unwrap().warm_up_bars(), 50);
    assert_eq!(build("momentum", &[]).unwrap().warm_up_bars(), 21);
    for kind in kinds() {
        let needed: &[_] = match kind.name {
            "pairs" => &[("first", "ACME"), ("second", "BETA")],
            "rebalance" => &[("weights", "ACME=1")],
            _ => &[],
        };
        assert_eq!(build(kind.name, &parameters(needed)).unwrap().kind(), kind.name);
    }

    let refused =
        |kind: &str, stated: &[(&str, &str)]| build(kind, &parameters(stated)).unwrap_err().to_string();
    assert_eq!(
        refused("sma_cross", &[("fast", "50")]),
        "parameter `fast` is \"50\", expected less than `slow`, which is 50"
    );
    assert_eq!(
        refused("momentum", &[("threshold", "-0.1")]),
        "parameter `threshold` is \"-0.1\", expected a decimal number from 0 to 10"
    );
    assert_eq!(
        refused("momentum", &[("lookback", "2.5")]),
        "parameter `lookback` is \"2.5\", expected a whole number from 1 to 10000"
    );
    assert_eq!(
        refused("sma_cross", &[("length", "3")]),
        "parameter \"length\" of sma_cross, expected one of fast, slow, average, allow_short"
    );
    let known = kinds().iter().map(|kind| kind.name).collect::<Vec<_>>();
    assert!(known.is_sorted(), "{known:?}");
    assert_eq!(refused("sma", &[]), format!("strategy kind \"sma\", expected one of {}", known.join(", ")));
    assert!(refused("ema_cross", &[]).ends_with("; ema_cross is sma_cross with average=exponential"));
    let twice = resolve("sma_cross", &parameters(&[("fast", "3"), ("fast", "4")]));
    assert_eq!(twice, Err(ParameterError::Repeated { name: "fast".into() }));
}

#[test]
fn a_position_cap_comes_from_the_parameters() {
    let cap = |kind: &str, stated: &[(&str, &str)]| position_cap_e9(kind, &parameters(stated));
    assert_eq!(cap("momentum", &[]), Ok(Some(shares("0.1").0)));
    assert_eq!(cap("momentum", &[("max_position", "0.25")]), Ok(Some(shares("0.25").0)));
    assert_eq!(cap("sma_cross", &[]), Ok(None));
    assert_eq!(cap("", &[("max_position", "0.5")]), Ok(Some(shares("0.5").0)));
    assert!(cap("momentum", &[("max_position", "2")]).is_err());
}

/// What the rules say, computed afresh from all closes at every bar.
fn sma_reference(closes: &[i64], fast: usize, slow: usize) -> Vec<Option<Intent>> {
    let mean_order = |end: usize| {
        let sum =
            |bars: usize| closes[end + 1 - bars..=end].iter().map(|&close| i128::from(close)).sum::<i128>();
        (sum(fast) * slow as i128).cmp(&(sum(slow) * fast as i128))
    };
    let mut holding = false;
    let mut each = |end: usize| {
        if end < slow {
            return None;
        }
        let (before, now) = (mean_order(end - 1), mean_order(end));
        if before.is_lt() && now.is_gt() && !holding {
            holding = true;
            Some(Intent::EnterLong)
        } else if before.is_gt() && now.is_lt() && holding {
            holding = false;
            Some(Intent::Exit)
        } else {
            None
        }
    };
    (0..closes.len()).map(&mut each).collect()
}

proptest! {
    #[test]
    fn sma_cross_follows_its_rule(
        closes in prop::collection::vec(1i64..12, 0..200),
        fast in 1u32..5,
        more in 1u32..5,
    ) {
        let slow = fast + more;
        let expected = sma_reference(&closes, fast as usize, slow as usize);
        prop_assert_eq!(intents(sma(fast, slow).as_mut(), &closes), expected);
    }

    /// Warmed with its last bars, and the splits between them, a strategy signals exactly as one that saw
    /// everything.
    #[test]
    fn memory_ends_with_the_stated_warm_up(
        closes in prop::collection::vec(1i64..2_000, 1..80),
        splits in prop::collection::vec((0usize..80, 1i64..5, 1i64..5), 0..4),
        cut in 0usize..80,
        held in any::<bool>(),
        which in any::<bool>(),
    ) {
        let closes: Vec<_> = closes.into_iter().map(|close| close * 10_000_000).collect();
        let cut = cut.min(closes.len());
        let new = || if which { sma(3, 7) } else { momentum(5, "0.02") };
        let position = if held { "5" } else { "0" };
        let run = |strategy: &mut dyn Strategy, from: usize, to: usize| {
            let mut signals = Vec::new();
            for (index, &close) in closes.iter().enumerate().take(to).skip(from) {
                for &(at, numerator, denominator) in &splits {
                    if at == index && index > from {
                        let ratio = numerator as f64 / denominator as f64;
                        strategy.on_action(0, &split(&format!("{ratio:.9}")), &mut Vec::new());
                    }
                }
                signals.push(feed(strategy, 0, close, position));
            }
            signals
        };
        // A split on the very cut comes after the warm-up for both.
        let splits_at_cut = |strategy: &mut dyn Strategy| {
            for &(at, numerator, denominator) in &splits {
                if at == cut {
                    let ratio = numerator as f64 / denominator as f64;
                    strategy.on_action(0, &split(&format!("{ratio:.9}")), &mut Vec::new());
                }
            }
        };
        let mut all = new();
        run(all.as_mut(), 0, cut);
        let mut warmed = new();
        let from = cut.saturating_sub(warmed.warm_up_bars());
        run(warmed.as_mut(), from, cut);
        if cut > 0 {
            splits_at_cut(all.as_mut());
            splits_at_cut(warmed.as_mut());
        }
        prop_assert_eq!(run(warmed.as_mut(), cut, closes.len()), run(all.as_mut(), cut, closes.len()));
    }

    /// Nothing later than a bar changes what was signalled on it.
    #[test]
    fn the_future_changes_nothing(
        closes in prop::collection::vec(1i64..50, 1..60),
        tail in prop::collection::vec(1i64..50, 0..20),
    ) {
        let longer: Vec<_> = closes.iter().chain(&tail).copied().collect();
        for new in [|| sma(2, 5), || momentum(3, "0.05")] {
            let (short, long) = (intents(new().as_mut(), &closes), intents(new().as_mut(), &longer));
            prop_assert_eq!(&short[..], &long[..closes.len()]);
        }
    }

    /// Scaling every price scales nothing but the prices.
    #[test]
    fn scale_changes_no_decision(closes in prop::collection::vec(1i64..5_000, 1..80)) {
        let doubled: Vec<_> = closes.iter().map(|close| close * 2).collect();
        for new in [|| sma(2, 5), || momentum(3, "0.05")] {
            prop_assert_eq!(intents(new().as_mut(), &closes), intents(new().as_mut(), &doubled));
        }
    }
}
