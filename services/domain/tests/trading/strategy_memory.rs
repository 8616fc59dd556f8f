//! What holds for every kind of strategy: memory that ends, splits that cross nothing, a future that changes
//! nothing.

use contracts::v1::{ActionKind, CorporateAction, Parameter};
use domain::bar::{Bar, Timeframe};
use domain::money::{Price, Quantity, Volume};
use domain::strategy::{BarInput, Strategy, Wish, build, kinds};
use proptest::prelude::*;
use proptest::strategy::Strategy as _;

use crate::support::{price, shares};

const DAY_NS: i64 = 86_400_000_000_000;
/// 2024-01-01, 14:30 UTC.
const FIRST_NS: i64 = 1_704_119_400_000_000_000;
const SYMBOLS: [&str; 2] = ["ACME", "BETA"];

/// Every kind with windows that are short enough to be left behind.
const CASES: &[(&str, &[(&str, &str)])] = &[
    ("bollinger_reversion", &[("length", "6"), ("width", "1.5")]),
    ("bollinger_reversion", &[("length", "5"), ("width", "1"), ("allow_short", "true")]),
    ("buy_and_hold", &[]),
    ("donchian_breakout", &[("entry", "7"), ("exit", "4")]),
    ("donchian_breakout", &[("entry", "5"), ("exit", "8"), ("allow_short", "true")]),
    ("mean_reversion", &[("length", "2")]),
    ("mean_reversion", &[("length", "3"), ("lower", "40"), ("upper", "60"), ("allow_short", "true")]),
    ("momentum", &[("lookback", "5")]),
    ("momentum", &[("lookback", "2"), ("allow_short", "true")]),
    (
        "pairs",
        &[
            ("first", "ACME"),
            ("second", "BETA"),
            ("formation", "40"),
            ("trading", "20"),
            ("refit", "weekly"),
            ("entry", "1"),
            ("stop", "2"),
            ("max_hold", "6"),
            ("max_p_value", "1"),
            ("max_half_life", "1000"),
        ],
    ),
    ("rebalance", &[("weights", "BETA=0.3,ACME=0.7"), ("period", "weekly")]),
    ("rebalance", &[("weights", "ACME=0.5"), ("period", "monthly")]),
    ("regime_switch", &[("lookback", "5"), ("calm", "0.1"), ("wild", "0.2"), ("conservative", "0")]),
    ("sma_cross", &[("fast", "3"), ("slow", "7")]),
    ("sma_cross", &[("fast", "1"), ("slow", "2"), ("average", "exponential")]),
    ("sma_cross", &[("fast", "2"), ("slow", "3"), ("average", "exponential"), ("allow_short", "true")]),
    ("sma_cross", &[("fast", "2"), ("slow", "3"), ("allow_short", "true")]),
];

fn made((kind, stated): &(&str, &[(&str, &str)])) -> Box<dyn Strategy> {
    let parameter = |&(name, value): &(&str, &str)| Parameter { name: name.into(), value: value.into() };
    build(kind, &stated.iter().map(parameter).collect::<Vec<_>>()).unwrap()
}

/// What happens on one day: a close of each symbol, unless it did not trade, and a split of one before it.
#[derive(Clone, Debug)]
struct Day {
    closes: [Option<i64>; 2],
    split: Option<(usize, i64, i64)>,
}

/// A bar that swings a little around its close.
fn bar(day: usize, close: i64) -> Bar {
    let start_ns = FIRST_NS + i64::try_from(day).unwrap() * DAY_NS;
    let swing = close / 200;
    Bar {
        start_ns,
        close_ns: start_ns + 23_400_000_000_000,
        open: Price(close),
        high: Price(close + swing),
        low: Price(close - swing),
        close: Price(close),
        volume: Volume(1_000),
    }
}

fn split(symbol: usize, new: i64, old: i64) -> CorporateAction {
    CorporateAction {
        symbol: SYMBOLS[symbol].into(),
        ex_date: "2024-06-10".into(),
        kind: ActionKind::Split.into(),
        value_e9: price(&format!("{:.9}", new as f64 / old as f64)).0,
        origin: 0,
    }
}

/// The wishes of each day in `days` from `from` to `to`, from each symbol's own first day on.
fn run(
    strategy: &mut dyn Strategy,
    days: &[Day],
    from: [usize; 2],
    to: usize,
    positions: [Quantity; 2],
) -> Vec<Vec<Wish>> {
    run_in([0, 1], strategy, days, from, to, positions)
}

/// The same, with the symbols of an instant in an order of choice.
fn run_in(
    order: [usize; 2],
    strategy: &mut dyn Strategy,
    days: &[Day],
    from: [usize; 2],
    to: usize,
    positions: [Quantity; 2],
) -> Vec<Vec<Wish>> {
    let mut all = Vec::new();
    for (number, day) in days.iter().enumerate().take(to) {
        let mut wishes = Vec::new();
        if let Some((symbol, new, old)) = day.split
            && number > from[symbol]
        {
            strategy.on_action(symbol, &split(symbol, new, old), &mut wishes);
        }
        for symbol in order {
            if let Some(close) = day.closes[symbol]
                && number >= from[symbol]
            {
                let bar = bar(number, close);
                let (timeframe, position) = (Timeframe::D1, positions[symbol]);
                let input =
                    BarInput { slot: symbol, symbol: SYMBOLS[symbol], timeframe, bar: &bar, position };
                strategy.on_bar(&input, &mut wishes);
            }
        }
        all.push(wishes);
    }
    all
}

/// The day from which `symbol` has `bars` bars up to `cut`.
fn warm_from(days: &[Day], symbol: usize, cut: usize, bars: usize) -> usize {
    let traded = (0..cut).rev().filter(|day| days[*day].closes[symbol].is_some());
    traded.take(bars).last().unwrap_or(cut)
}

/// Days of two symbols that move together for a while; some days one does not trade, some days one splits.
fn days(length: usize) -> impl proptest::strategy::Strategy<Value = Vec<Day>> {
    let moves = (-30i64..31, -30i64..31, -12i64..13, 0u8..12, 0u8..60, 1i64..5, 1i64..5);
    prop::collection::vec(moves, length).prop_map(|moves| {
        let (mut common, mut gap) = (10_000i64, 0i64);
        let mut shares = [(1i64, 1i64); 2];
        let each = |(shared, own, jump, missing, splits, new, old): (i64, i64, i64, u8, u8, i64, i64)| {
            common = (common + shared).max(5_000);
            gap = gap * 8 / 10 + own + jump * 5;
            let symbol = usize::from(splits % 2);
            let split = (splits < 2 && shares[symbol].0 * new < 1_000 && shares[symbol].1 * old < 1_000)
                .then_some((symbol, new, old));
            if let Some((symbol, new, old)) = split {
                shares[symbol] = (shares[symbol].0 * new, shares[symbol].1 * old);
            }
            let raw = |symbol: usize, cents: i64| {
                Some(cents * 10_000_000 / shares[symbol].0 * shares[symbol].1).filter(|raw| *raw > 0)
            };
            let closes = [raw(0, common + gap), raw(1, common)];
            let closes = [closes[0].filter(|_| missing != 0), closes[1].filter(|_| missing != 1)];
            Day { closes, split }
        };
        moves.into_iter().map(each).collect()
    })
}

#[test]
fn every_kind_is_here() {
    for kind in kinds() {
        assert!(CASES.iter().any(|(name, _)| *name == kind.name), "{} has no case", kind.name);
    }
}

#[test]
fn a_split_crosses_nothing() {
    let flat = |split: bool| -> Vec<Day> {
        let day = |number: usize| {
            // A hair of movement, so that the pair can be fitted at all.
            let sway = |symbol: usize| i64::try_from((number * (symbol + 2)) % 5).unwrap() * 1_000_000;
            let shares = if split && number >= 70 { 4 } else { 1 };
            let close =
                |symbol: usize| Some((100_000_000_000 + sway(symbol)) / if symbol == 0 { shares } else { 1 });
            Day { closes: [close(0), close(1)], split: (split && number == 70).then_some((0, 4, 1)) }
        };
        (0..100).map(day).collect()
    };
    for case in CASES {
        for positions in [[shares("0"), shares("0")], [shares("4"), shares("-4")]] {
            let intents = |days: &[Day]| -> Vec<Vec<_>> {
                let wishes = run(made(case).as_mut(), days, [0, 0], days.len(), positions);
                let legs = |wishes: Vec<Wish>| wishes.into_iter().flat_map(|wish| wish.legs).collect();
                wishes.into_iter().map(legs).collect()
            };
            assert_eq!(intents(&flat(false)), intents(&flat(true)), "{case:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Warmed with the last bars of each symbol and the splits between them, a strategy wishes exactly what one
    /// that saw everything wishes.
    #[test]
    fn memory_ends_with_the_stated_warm_up(days in days(220), cut in 80usize..200, held in 0u8..4) {
        let positions = match held {
            0 => [shares("0"), shares("0")],
            1 => [shares("5"), shares("-5")],
            2 => [shares("-5"), shares("5")],
            _ => [shares("5"), shares("5")],
        };
        for case in CASES {
            let mut all = made(case);
            let mut warmed = made(case);
            let bars = warmed.warm_up_bars();
            let expected = run(all.as_mut(), &days, [0, 0], days.len(), positions);
            let from = [0, 1].map(|symbol| warm_from(&days, symbol, cut, bars));
            let found = run(warmed.as_mut(), &days, from, days.len(), positions);
            prop_assert_eq!(&expected[cut..], &found[cut..], "{:?} from {:?}", case, from);
        }
    }

    /// Nothing later than a bar changes what was wished on it.
    #[test]
    fn the_future_changes_nothing(days in days(120), other in days(120), cut in 0usize..120) {
        let mixed: Vec<_> = days[..cut].iter().chain(&other[cut..]).cloned().collect();
        for case in CASES {
            let positions = [shares("0"), shares("0")];
            let one = run(made(case).as_mut(), &days, [0, 0], days.len(), positions);
            let changed = run(made(case).as_mut(), &mixed, [0, 0], mixed.len(), positions);
            prop_assert_eq!(&one[..cut], &changed[..cut], "{:?}", case);
        }
    }

    /// Which symbol of an instant comes first changes no wish of the instant.
    #[test]
    fn the_order_of_symbols_changes_nothing(days in days(150), held in any::<bool>()) {
        let positions = if held { [shares("5"), shares("-5")] } else { [shares("0"), shares("0")] };
        for case in CASES {
            let sorted = |order: [usize; 2]| -> Vec<Vec<Wish>> {
                let mut days = run_in(order, made(case).as_mut(), &days, [0, 0], days.len(), positions);
                days.iter_mut().for_each(|wishes| wishes.sort_by_key(|wish| wish.legs[0].slot));
                days
            };
            prop_assert_eq!(sorted([0, 1]), sorted([1, 0]), "{:?}", case);
        }
    }

    /// Every wish can be made a signal: legs of different symbols, finite figures, a reason.
    #[test]
    fn each_wish_can_be_an_order(days in days(150), held in any::<bool>()) {
        let positions = if held { [shares("5"), shares("-5")] } else { [shares("0"), shares("0")] };
        for case in CASES {
            for wishes in run(made(case).as_mut(), &days, [0, 0], days.len(), positions) {
                for wish in wishes {
                    prop_assert!(!wish.legs.is_empty() && !wish.reason.is_empty());
                    prop_assert!(wish.indicators.iter().all(|(_, value)| value.is_finite()), "{:?}", wish);
                    let twice = |one: usize| wish.legs[..one].iter().any(|leg| leg.slot == wish.legs[one].slot);
                    prop_assert!(!(0..wish.legs.len()).any(twice));
                    let total: i64 = wish.legs.iter().map(|leg| leg.weight_e9).sum();
                    prop_assert!((0..=1_000_000_000).contains(&total));
                }
            }
        }
    }
}
