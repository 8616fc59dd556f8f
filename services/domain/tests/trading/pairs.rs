//! The pairs strategy against a plain restatement: at each bar everything is found anew from all bars.

use chrono::{Datelike as _, NaiveDate};
use contracts::v1::Intent;
use domain::bar::{Bar, Timeframe};
use domain::money::{Price, Quantity, Volume};
use domain::statistics::{engle_granger, half_life};
use domain::strategy::{BarInput, Strategy, Wish};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::strategy_kinds::made;
use crate::support::{at, shares};

const FORMATION: usize = 60;
const TRADING: usize = 25;
const MAX_HOLD: usize = 8;
const STATED: [(&str, &str); 11] = [
    ("first", "ACME"),
    ("second", "BETA"),
    ("formation", "60"),
    ("trading", "25"),
    ("refit", "monthly"),
    ("entry", "1.5"),
    ("exit", "0.5"),
    ("stop", "3"),
    ("max_hold", "8"),
    ("max_p_value", "0.2"),
    ("max_half_life", "20"),
];

/// Two daily series whose logarithms come back to each other, in raw 1e-9.
fn series(seed: u64, days: usize, pull: f64) -> Vec<[i64; 2]> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let (mut second, mut gap) = (4.0, 0.0);
    let mut day = || {
        second += random.random_range(-0.02..0.02);
        gap += -pull * gap + random.random_range(-0.02..0.02);
        #[expect(clippy::cast_possible_truncation, reason = "prices of some ten to a hundred dollars")]
        let raw = |log: f64| (log.exp() * 1e9).round() as i64;
        [raw(1.0 + 0.8 * second + gap), raw(second)]
    };
    (0..days).map(|_| day()).collect()
}

fn date(day: usize) -> NaiveDate {
    NaiveDate::from_ymd_opt(2024, 1, 1).unwrap() + chrono::Days::new(day as u64)
}

/// Feeds both bars of each day and fills every wish at once.
fn played(strategy: &mut dyn Strategy, prices: &[[i64; 2]]) -> Vec<Option<Wish>> {
    let mut positions = [Quantity::ZERO; 2];
    let mut each = |(day, closes): (usize, &[i64; 2])| {
        let start_ns = at(&format!("{}T14:30:00Z", date(day)));
        let mut wishes = Vec::new();
        for (slot, symbol) in ["ACME", "BETA"].into_iter().enumerate() {
            assert!(wishes.is_empty(), "a wish before the second bar");
            let close = Price(closes[slot]);
            let close_ns = start_ns + 1;
            let bar =
                Bar { start_ns, close_ns, open: close, high: close, low: close, close, volume: Volume(1) };
            let (timeframe, position) = (Timeframe::D1, positions[slot]);
            strategy.on_bar(&BarInput { slot, symbol, timeframe, bar: &bar, position }, &mut wishes);
        }
        let wish = wishes.pop();
        for leg in wish.iter().flat_map(|wish| &wish.legs) {
            positions[leg.slot] = match leg.intent {
                Intent::EnterLong => shares("1"),
                Intent::EnterShort => shares("-1"),
                _ => Quantity::ZERO,
            };
        }
        wish
    };
    prices.iter().enumerate().map(&mut each).collect()
}

/// A good fit of the bars before `day`: hedge ratio, intercept, deviation.
fn fit(prices: &[[i64; 2]], day: usize) -> Option<(f64, f64, f64)> {
    let window = &prices[day.checked_sub(FORMATION)?..day];
    let logs = |leg: usize| window.iter().map(|pair| (pair[leg] as f64 / 1e9).ln()).collect::<Vec<_>>();
    let test = engle_granger(&logs(0), &logs(1)).unwrap();
    let squares = test.residuals.iter().map(|value| value * value).sum::<f64>();
    let good = test.p_value <= 0.2 && half_life(&test.residuals)? <= 20.0;
    good.then_some((test.hedge_ratio, test.intercept, (squares / (FORMATION - 1) as f64).sqrt()))
}

/// What the rules say, from all bars, at every day: 1 to buy the first leg, -1 to sell it, 0 to get out.
fn reference(prices: &[[i64; 2]]) -> Vec<Option<i32>> {
    let score = |day: usize, of: usize| {
        // The fit is that of the last first day of a month, unless it is too old.
        let fitted = (1..=day).rev().find(|day| date(*day).month() != date(*day - 1).month())?;
        let (ratio, intercept, deviation) = fit(prices, fitted).filter(|_| day - fitted <= TRADING)?;
        let [first, second] = prices[of].map(|raw| (raw as f64 / 1e9).ln());
        Some((first - ratio * second - intercept) / deviation)
    };
    let crossing = |day: usize| {
        let (before, now) = (score(day, day.checked_sub(1)?)?, score(day, day)?);
        let enters = before.abs() < 1.5 && now.abs() >= 1.5 && now.abs() < 3.0;
        enters.then_some(if now < 0.0 { 1 } else { -1 })
    };
    let mut held = 0;
    let mut each = |day: usize| {
        if held == 0 {
            let entered = crossing(day);
            held = entered.unwrap_or(0);
            return entered;
        }
        let recent = (0..=MAX_HOLD).any(|age| day.checked_sub(age).and_then(crossing) == Some(held));
        let seen = score(day, day).map(|score| score * f64::from(held));
        let stays = seen.is_some_and(|seen| seen < -0.5 && seen > -3.0) && recent;
        if !stays {
            held = 0;
        }
        (!stays).then_some(0)
    };
    (0..prices.len()).map(&mut each).collect()
}

#[test]
fn it_follows_its_rules() {
    let mut entries = 0;
    let mut reasons = std::collections::BTreeSet::new();
    for seed in 0..24 {
        let prices = series(seed, 500, [0.3, 0.1, 0.0][usize::try_from(seed).unwrap() % 3]);
        let wishes = played(made("pairs", &STATED).as_mut(), &prices);
        let direction = |wish: &Wish| match wish.legs[0].intent {
            Intent::EnterLong => 1,
            Intent::EnterShort => -1,
            _ => 0,
        };
        let found: Vec<_> = wishes.iter().map(|wish| wish.as_ref().map(direction)).collect();
        assert_eq!(found, reference(&prices), "seed {seed}");
        for wish in wishes.iter().flatten() {
            reasons.insert(wish.reason.to_string());
            assert_eq!(wish.legs.len(), 2);
            if direction(wish) != 0 {
                entries += 1;
                let ratio = wish.indicators[1].1;
                let [first, second] = [0, 1].map(|leg: usize| wish.legs[leg].weight_e9);
                assert_eq!(first + second, 1_000_000_000);
                assert!((second as f64 / first as f64 / ratio.abs() - 1.0).abs() < 1e-6, "{wish:?}");
                let opposite = wish.legs[0].intent != wish.legs[1].intent;
                assert_eq!(opposite, ratio > 0.0);
            }
        }
    }
    assert!(entries > 50, "{entries} entries");
    for reason in ["back within 0.5", "3 standard deviations from", "more than 8 bars ago", "no good fit"] {
        assert!(reasons.iter().any(|found| found.contains(reason)), "{reason} in {reasons:?}");
    }
}

#[test]
fn half_a_pair_is_left() {
    let prices = series(1, 200, 0.3);
    let mut strategy = made("pairs", &STATED);
    played(strategy.as_mut(), &prices);
    let mut feed = |slot: usize, position: &str| {
        let start_ns = at("2024-07-20T14:30:00Z");
        let close = Price(prices[199][slot]);
        let close_ns = start_ns + 1;
        let bar = Bar { start_ns, close_ns, open: close, high: close, low: close, close, volume: Volume(1) };
        let (timeframe, position, symbol) = (Timeframe::D1, shares(position), ["ACME", "BETA"][slot]);
        let mut wishes = Vec::new();
        strategy.on_bar(&BarInput { slot, symbol, timeframe, bar: &bar, position }, &mut wishes);
        wishes
    };
    assert!(feed(1, "7").is_empty(), "the order of the two does not matter");
    let wishes = feed(0, "0");
    let legs: Vec<_> = wishes[0].legs.iter().map(|leg| (leg.slot, leg.intent)).collect();
    assert_eq!(legs, [(1, Intent::Exit)]);
}
