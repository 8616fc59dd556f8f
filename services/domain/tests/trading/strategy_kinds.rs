//! The rules of the single kinds, restated plainly, and the types of their parameters.

use contracts::v1::{Intent, Parameter};
use domain::bar::{Bar, Timeframe};
use domain::money::{Price, Quantity, Volume};
use domain::strategy::{BarInput, Strategy, ValueSpec, Wish, build, kinds, named_symbols, resolve};
use proptest::prelude::*;

use crate::support::{at, shares};

pub fn parameters(stated: &[(&str, &str)]) -> Vec<Parameter> {
    let parameter = |&(name, value): &(&str, &str)| Parameter { name: name.into(), value: value.into() };
    stated.iter().map(parameter).collect()
}

pub fn made(kind: &str, stated: &[(&str, &str)]) -> Box<dyn Strategy> {
    build(kind, &parameters(stated)).unwrap()
}

/// High, low and close of each bar to the intents that filling each at once would give.
fn intents(strategy: &mut dyn Strategy, bars: &[[i64; 3]]) -> Vec<Option<Intent>> {
    let mut position = Quantity::ZERO;
    let mut each = |&[high, low, close]: &[i64; 3]| {
        let bar = Bar {
            start_ns: 0,
            close_ns: 1,
            open: Price(close),
            high: Price(high),
            low: Price(low),
            close: Price(close),
            volume: Volume(1),
        };
        let mut wishes = Vec::new();
        let (symbol, timeframe) = ("ACME", Timeframe::H1);
        strategy.on_bar(&BarInput { slot: 0, symbol, timeframe, bar: &bar, position }, &mut wishes);
        assert!(wishes.len() <= 1, "{wishes:?}");
        let intent = wishes.first().map(|wish| wish.legs[0].intent);
        position = match intent {
            Some(Intent::EnterLong) => shares("1"),
            Some(Intent::EnterShort) => shares("-1"),
            Some(Intent::Exit) => Quantity::ZERO,
            _ => position,
        };
        intent
    };
    bars.iter().map(&mut each).collect()
}

fn closes(strategy: &mut dyn Strategy, closes: &[i64]) -> Vec<Option<Intent>> {
    intents(strategy, &closes.iter().map(|close| [*close; 3]).collect::<Vec<_>>())
}

/// What a strategy does that goes long above a line and, where allowed, short below it, told by how it stands to
/// the line at each bar: `Greater` above it, `Less` below.
fn crossings(sides: &[Option<std::cmp::Ordering>], allow_short: bool) -> Vec<Option<Intent>> {
    let mut held = 0;
    let mut before = None;
    let mut each = |side: &Option<std::cmp::Ordering>| {
        let (then, now) = (std::mem::replace(&mut before, *side)?, (*side)?);
        let (up, down) = (then.is_lt() && now.is_gt(), then.is_gt() && now.is_lt());
        if up && held <= 0 {
            held = 1;
            Some(Intent::EnterLong)
        } else if down && allow_short && held >= 0 {
            held = -1;
            Some(Intent::EnterShort)
        } else if down && !allow_short && held > 0 {
            held = 0;
            Some(Intent::Exit)
        } else {
            None
        }
    };
    sides.iter().map(&mut each).collect()
}

#[test]
fn buy_and_hold_buys_once_and_again_when_it_was_sold_out() {
    let mut strategy = made("buy_and_hold", &[]);
    assert_eq!(closes(strategy.as_mut(), &[5, 6, 4]), [Some(Intent::EnterLong), None, None]);
}

#[test]
fn a_short_strategy_turns_over_at_each_cross() {
    let bars = [5, 5, 5, 1, 11, 9, 1, 1, 11].map(|close| close * 1_000_000_000);
    let mut strategy = made("sma_cross", &[("fast", "2"), ("slow", "4"), ("allow_short", "true")]);
    let mut expected = [None; 9];
    expected[4] = Some(Intent::EnterLong);
    expected[6] = Some(Intent::EnterShort);
    expected[8] = Some(Intent::EnterLong);
    assert_eq!(closes(strategy.as_mut(), &bars), expected);
    let mut strategy = made("sma_cross", &[("fast", "1"), ("slow", "2"), ("allow_short", "true")]);
    assert_eq!(closes(strategy.as_mut(), &[4, 5, 4]), [None, None, Some(Intent::EnterShort)], "from flat");
}

#[test]
fn rebalance_asks_once_a_period_for_all_targets() {
    let mut strategy = made("rebalance", &[("weights", "BETA=0.25,ACME=0.5"), ("period", "monthly")]);
    let mut feed = |day: &str, symbol: &'static str| -> Vec<Wish> {
        let start_ns = at(&format!("{day}T14:30:00Z"));
        let close = Price(10_000_000_000);
        let bar = Bar {
            start_ns,
            close_ns: start_ns + 1,
            open: close,
            high: close,
            low: close,
            close,
            volume: Volume(1),
        };
        let slot = usize::from(symbol == "BETA");
        let mut wishes = Vec::new();
        let (timeframe, position) = (Timeframe::D1, shares("3"));
        strategy.on_bar(&BarInput { slot, symbol, timeframe, bar: &bar, position }, &mut wishes);
        wishes
    };
    for day in ["2024-01-30", "2024-01-31"] {
        assert!(feed(day, "ACME").is_empty() && feed(day, "BETA").is_empty(), "in the midst of a period");
    }
    // BETA does not trade on the first day of February.
    assert!(feed("2024-02-01", "ACME").is_empty());
    assert!(feed("2024-02-02", "ACME").is_empty());
    let wishes = feed("2024-02-02", "BETA");
    let legs: Vec<_> = wishes[0].legs.iter().map(|leg| (leg.slot, leg.intent, leg.weight_e9)).collect();
    assert_eq!(legs, [(1, Intent::Target, 250_000_000), (0, Intent::Target, 500_000_000)]);
    assert_eq!(&*wishes[0].reason, "the first bar of a new period, monthly");
    assert!(feed("2024-02-05", "ACME").is_empty() && feed("2024-02-05", "BETA").is_empty());
    assert!(feed("2024-02-05", "GAMMA").is_empty(), "a symbol that it does not name");
    // The first of March in New York is not the last of February.
    assert!(feed("2024-03-01", "ACME").is_empty());
    assert_eq!(feed("2024-03-01", "BETA").len(), 1);
}

#[test]
fn types_of_parameters_have_clear_errors() {
    let refused =
        |kind: &str, stated: &[(&str, &str)]| resolve(kind, &parameters(stated)).unwrap_err().to_string();
    assert_eq!(
        refused("sma_cross", &[("allow_short", "yes")]),
        "parameter `allow_short` is \"yes\", expected true or false"
    );
    assert_eq!(
        refused("rebalance", &[("weights", "ACME=1"), ("period", "daily")]),
        "parameter `period` is \"daily\", expected one of weekly, monthly, quarterly"
    );
    assert_eq!(
        refused("pairs", &[("first", "acme"), ("second", "BETA")]),
        "parameter `first` is \"acme\", expected a symbol of 1 to 32 capitals, digits and signs"
    );
    assert!(
        refused("pairs", &[("second", "BETA")]).starts_with("parameter `first` is \"\", expected a symbol")
    );
    assert_eq!(
        refused("pairs", &[("first", "BETA"), ("second", "BETA")]),
        "parameter `second` is \"BETA\", expected another symbol than `first`"
    );
    let pair = |name, value| [("first", "ACME"), ("second", "BETA"), (name, value)];
    assert_eq!(
        refused("pairs", &pair("stop", "1.5")),
        "parameter `entry` is \"2.0\", expected less than `stop`, which is 1.5"
    );
    assert_eq!(
        refused("pairs", &pair("exit", "2")),
        "parameter `exit` is \"2\", expected less than `entry`, which is 2.0"
    );
    for weights in
        ["", "ACME", "ACME=1.5", "ACME=0.6,BETA=0.6", "ACME=0.1,ACME=0.1", "acme=1", "ACME=-0.1", "A=,B=1"]
    {
        let said = refused("rebalance", &[("weights", weights)]);
        let expected =
            format!("parameter `weights` is {weights:?}, expected 1 to 100 symbols with shares of equity");
        assert!(said.starts_with(&expected), "{said}");
    }
    let weights = [("weights", " BRK.B=0.6, IBM=0.4 ")];
    assert_eq!(named_symbols("rebalance", &parameters(&weights)).unwrap(), ["BRK.B", "IBM"]);
    let pair = parameters(&[("first", "ACME"), ("second", "BETA")]);
    assert_eq!(named_symbols("pairs", &pair).unwrap(), ["ACME", "BETA"]);
    assert!(named_symbols("momentum", &[]).unwrap().is_empty());
}

/// What a service reads of the past at most, per symbol and timeframe.
#[test]
fn the_longest_memory_can_be_read() {
    for kind in kinds() {
        let largest = |spec: &domain::strategy::ParameterSpec| {
            let value = match spec.value {
                ValueSpec::Integer { max, .. } => max.to_string(),
                ValueSpec::Symbol => spec.name.to_uppercase(),
                ValueSpec::Weights => "ACME=1".to_owned(),
                _ => spec.default.to_owned(),
            };
            Parameter { name: spec.name.to_owned(), value }
        };
        let largest: Vec<_> = kind.parameters.iter().map(largest).collect();
        let bars = build(kind.name, &largest).unwrap().warm_up_bars();
        assert!((1..=100_000).contains(&bars), "{}: {bars}", kind.name);
    }
    let stated = |slow| [("slow", slow), ("average", "exponential")];
    assert!(made("sma_cross", &stated("2500")).warm_up_bars() <= 100_000);
    assert_eq!(
        resolve("sma_cross", &parameters(&stated("2501"))).unwrap_err().to_string(),
        "parameter `slow` is \"2501\", expected at most 2500 when `average` is exponential"
    );
}

#[test]
fn the_catalogue_describes_every_parameter() {
    for kind in kinds() {
        for spec in kind.parameters {
            assert!(!spec.description.is_empty(), "{} {}", kind.name, spec.name);
            let listed = matches!(spec.value, ValueSpec::Boolean | ValueSpec::Choice(_));
            assert_eq!(listed, !spec.value.choices().is_empty());
            assert!(!listed || spec.value.choices().contains(&spec.default), "{} {}", kind.name, spec.name);
            let needed = matches!(spec.value, ValueSpec::Symbol | ValueSpec::Weights);
            assert_eq!(needed, spec.default.is_empty(), "{} {}", kind.name, spec.name);
        }
    }
}

proptest! {
    #[test]
    fn sma_cross_with_shorts_follows_its_rule(
        prices in prop::collection::vec(1i64..12, 0..200),
        fast in 1usize..5,
        more in 1usize..5,
        allow_short in any::<bool>(),
    ) {
        let slow = fast + more;
        let sum = |end: usize, bars: usize| prices[end + 1 - bars..=end].iter().sum::<i64>();
        let side = |end: usize| {
            let (scaled_fast, scaled_slow) = (i64::try_from(slow).unwrap(), i64::try_from(fast).unwrap());
            (end + 1 >= slow).then(|| (sum(end, fast) * scaled_fast).cmp(&(sum(end, slow) * scaled_slow)))
        };
        let sides: Vec<_> = (0..prices.len()).map(side).collect();
        let stated = [("fast", &*fast.to_string()), ("slow", &*slow.to_string()), ("allow_short", &*allow_short.to_string())];
        let found = closes(made("sma_cross", &stated).as_mut(), &prices);
        prop_assert_eq!(found, crossings(&sides, allow_short));
    }
}

/// A walk of closes with a range around each, in cents.
fn bars() -> impl proptest::strategy::Strategy<Value = Vec<[i64; 3]>> {
    let steps = prop::collection::vec((-9i64..10, 0i64..4, 0i64..4), 1..150);
    proptest::strategy::Strategy::prop_map(steps, |steps| {
        let mut close = 1_000;
        let bar = |(step, up, down): (i64, i64, i64)| {
            close = (close + step * 5).max(50);
            [close + up * 5, close - down * 5, close].map(|cents| cents * 10_000_000)
        };
        steps.into_iter().map(bar).collect()
    })
}

/// What happens when a position, told by its sign, meets what each bar says.
fn played(length: usize, mut say: impl FnMut(usize, i32) -> Option<Intent>) -> Vec<Option<Intent>> {
    let mut held = 0;
    let mut each = |bar: usize| {
        let intent = say(bar, held);
        held = match intent {
            Some(Intent::EnterLong) => 1,
            Some(Intent::EnterShort) => -1,
            Some(Intent::Exit) => 0,
            _ => held,
        };
        intent
    };
    (0..length).map(&mut each).collect()
}

/// Wilder's index over all closes up to each bar, by its definition.
fn relative_strength(closes: &[f64], length: usize) -> Vec<Option<f64>> {
    let mut averages = [0.0; 2];
    let mut each = |bar: usize| {
        let change = closes[bar] - closes[bar.checked_sub(1)?];
        let moves = [change.max(0.0), (-change).max(0.0)];
        for (average, now) in averages.iter_mut().zip(moves) {
            let length = length as f64;
            *average = if bar as f64 > length {
                (*average * (length - 1.0) + now) / length
            } else {
                *average + now / length
            };
        }
        let [gain, loss] = averages;
        (bar >= length && gain + loss > 0.0).then(|| 100.0 * gain / (gain + loss))
    };
    (0..closes.len()).map(&mut each).collect()
}

proptest! {
    #[test]
    fn ema_cross_follows_its_rule(bars in bars(), fast in 1usize..5, more in 1usize..5, allow_short in any::<bool>()) {
        let slow = fast + more;
        let average = |end: usize, length: usize| {
            let closes: Vec<f64> = bars[..=end].iter().map(|bar| bar[2] as f64 / 1e9).collect();
            (closes.len() >= length).then(|| {
                let first = closes[..length].iter().sum::<f64>() / length as f64;
                closes[length..].iter().fold(first, |last, close| last + (close - last) * 2.0 / (length + 1) as f64)
            })
        };
        let side = |end: usize| {
            let (fast, slow) = (average(end, fast)?, average(end, slow)?);
            Some(if (fast - slow).abs() < 1e-9 { std::cmp::Ordering::Equal } else { fast.total_cmp(&slow) })
        };
        let sides: Vec<_> = (0..bars.len()).map(side).collect();
        let stated = [
            ("fast", &*fast.to_string()),
            ("slow", &*slow.to_string()),
            ("average", "exponential"),
            ("allow_short", &*allow_short.to_string()),
        ];
        prop_assert_eq!(intents(made("sma_cross", &stated).as_mut(), &bars), crossings(&sides, allow_short));
    }

    #[test]
    fn mean_reversion_follows_its_rule(bars in bars(), length in 2usize..6, allow_short in any::<bool>()) {
        let closes: Vec<f64> = bars.iter().map(|bar| bar[2] as f64 / 1e9).collect();
        let index = relative_strength(&closes, length);
        // Lines that no index of such prices meets but by rounding.
        let (lower, upper) = (35.123_456, 61.987_654);
        let expected = played(bars.len(), |bar, held| {
            let (before, now) = (index[bar.checked_sub(1)?]?, index[bar]?);
            if before >= lower && now < lower {
                return (held == 0 || held < 0 && allow_short).then_some(Intent::EnterLong);
            }
            if before <= upper && now > upper {
                return if allow_short && held >= 0 {
                    Some(Intent::EnterShort)
                } else {
                    (held > 0).then_some(Intent::Exit)
                };
            }
            None
        });
        let stated = [
            ("length", &*length.to_string()),
            ("lower", "35.123456"),
            ("upper", "61.987654"),
            ("allow_short", &*allow_short.to_string()),
        ];
        prop_assert_eq!(intents(made("mean_reversion", &stated).as_mut(), &bars), expected);
    }

    #[test]
    fn bollinger_reversion_follows_its_rule(bars in bars(), length in 2usize..8, allow_short in any::<bool>()) {
        let width = 1.234_567;
        let moments = |end: usize| {
            let closes = bars.get((end + 1).checked_sub(length)?..=end)?.iter().map(|bar| bar[2] as f64 / 1e9);
            let mean = closes.clone().sum::<f64>() / length as f64;
            let squares = closes.map(|close| (close - mean) * (close - mean)).sum::<f64>();
            Some((mean, (squares / length as f64).sqrt()))
        };
        let close = |bar: usize| bars[bar][2] as f64 / 1e9;
        let zone = |bar: usize| {
            let (mean, deviation) = moments(bar)?;
            let far = if deviation > 1e-9 { (close(bar) - mean) / deviation } else { 0.0 };
            Some(if far < -width { -1 } else { i32::from(far > width) })
        };
        let expected = played(bars.len(), |bar, held| {
            let now = zone(bar)?;
            let reached = bar.checked_sub(1).and_then(zone).is_some_and(|before| before != now);
            if reached && now == -1 && (held == 0 || held < 0 && allow_short) {
                return Some(Intent::EnterLong);
            }
            if reached && now == 1 && allow_short && held >= 0 {
                return Some(Intent::EnterShort);
            }
            // A mean of cents: half a cent decides nothing by rounding.
            let away = close(bar) - moments(bar)?.0;
            let back = held > 0 && away > -1e-7 || held < 0 && away < 1e-7;
            back.then_some(Intent::Exit)
        });
        let stated =
            [("length", &*length.to_string()), ("width", "1.234567"), ("allow_short", &*allow_short.to_string())];
        prop_assert_eq!(intents(made("bollinger_reversion", &stated).as_mut(), &bars), expected);
    }

    #[test]
    fn donchian_breakout_follows_its_rule(
        bars in bars(),
        entry in 1usize..8,
        exit in 1usize..8,
        allow_short in any::<bool>(),
    ) {
        let before = |bar: usize, length: usize| bar.checked_sub(length).map(|from| &bars[from..bar]);
        let highest = |bar: usize, length: usize| before(bar, length)?.iter().map(|bar| bar[0]).max();
        let lowest = |bar: usize, length: usize| before(bar, length)?.iter().map(|bar| bar[1]).min();
        let expected = played(bars.len(), |bar, held| {
            let close = bars[bar][2];
            let over = |length: usize| highest(bar, length).is_some_and(|high| close > high);
            let under = |length: usize| lowest(bar, length).is_some_and(|low| close < low);
            if over(entry) && (held == 0 || held < 0 && allow_short) {
                Some(Intent::EnterLong)
            } else if under(entry) && held >= 0 && allow_short {
                Some(Intent::EnterShort)
            } else if held > 0 && under(exit) || held < 0 && over(exit) {
                Some(Intent::Exit)
            } else {
                None
            }
        });
        let stated = [
            ("entry", &*entry.to_string()),
            ("exit", &*exit.to_string()),
            ("allow_short", &*allow_short.to_string()),
        ];
        prop_assert_eq!(intents(made("donchian_breakout", &stated).as_mut(), &bars), expected);
    }

    #[test]
    fn regime_switch_follows_its_rule(bars in bars(), lookback in 2usize..8) {
        let regime = |end: usize| {
            let closes: Vec<f64> =
                bars.get(end.checked_sub(lookback)?..=end)?.iter().map(|bar| (bar[2] as f64).ln()).collect();
            let returns: Vec<f64> = closes.windows(2).map(|pair| pair[1] - pair[0]).collect();
            let mean = returns.iter().sum::<f64>() / lookback as f64;
            let squares = returns.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>();
            let volatility = (squares / (lookback - 1) as f64 * 252.0 * 7.0).sqrt();
            Some(if volatility < 0.654_321 { 900_000_000 } else if volatility > 1.234_567 { 0 } else { 500_000_000 })
        };
        let stated = [
            ("lookback", &*lookback.to_string()),
            ("calm", "0.654321"),
            ("wild", "1.234567"),
            ("conservative", "0"),
        ];
        let mut strategy = made("regime_switch", &stated);
        let mut held = 0;
        for (number, &[high, low, close]) in bars.iter().enumerate() {
            let bar = Bar {
                start_ns: 0,
                close_ns: 1,
                open: Price(close),
                high: Price(high),
                low: Price(low),
                close: Price(close),
                volume: Volume(1),
            };
            let (symbol, timeframe, position) = ("ACME", Timeframe::H1, Quantity(held));
            let mut wishes = Vec::new();
            strategy.on_bar(&BarInput { slot: 0, symbol, timeframe, bar: &bar, position }, &mut wishes);
            let before = number.checked_sub(1).and_then(regime);
            let now = regime(number);
            let wanted = now.filter(|now| before.is_some_and(|before| before != *now) || held == 0 && *now > 0);
            let found = wishes.first().map(|wish| wish.legs[0].weight_e9);
            prop_assert_eq!(found, wanted);
            prop_assert!(wishes.iter().all(|wish| wish.legs[0].intent == Intent::Target));
            held = found.unwrap_or(held);
        }
    }
}
