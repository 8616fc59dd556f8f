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
        let (up, down) = (then.is_le() && now.is_gt(), then.is_ge() && now.is_lt());
        if up && (held == 0 || held < 0) {
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
    let bars = [5, 5, 5, 5, 9, 9, 1, 1, 9, 9].map(|close| close * 1_000_000_000);
    let mut strategy = made("sma_cross", &[("fast", "2"), ("slow", "4"), ("allow_short", "true")]);
    let mut expected = [None; 10];
    expected[4] = Some(Intent::EnterLong);
    expected[6] = Some(Intent::EnterShort);
    expected[9] = Some(Intent::EnterLong);
    assert_eq!(closes(strategy.as_mut(), &bars), expected);
    let mut strategy = made("sma_cross", &[("fast", "1"), ("slow", "2"), ("allow_short", "true")]);
    assert_eq!(closes(strategy.as_mut(), &[5, 5, 4]), [None, None, Some(Intent::EnterShort)], "from flat");
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
