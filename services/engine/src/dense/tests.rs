//! Both loops on the same runs.

use std::ops::ControlFlow;
use std::sync::Arc;

use contracts::v1::{AccountKind, Costs, Intent, StrategyMode};
use domain::bar::Timeframe;
use domain::calendar::Market;
use domain::corporate_action::{Effect, SplitRatio};
use domain::money::{E9, Price};
use domain::series::MarketData;
use domain::strategy::{Terms, Wish};

use super::Stop;
use super::decide::known_slot;
use super::samples::{act, config, generated, market, money, strategy};
use crate::{Config, Error, Events, Hash, Nothing, Outcome, Progress, Uncontrolled, run};

/// What the general loop comes to: a recorder that takes every event always gets it.
fn general(config: &Config, data: &MarketData) -> Outcome {
    run(config, data, &mut Events::new(|_| {}), &mut Uncontrolled).expect("it runs")
}

fn check(case: &str, config: &Config, data: &MarketData) -> Outcome {
    let expected = general(config, data);
    let hashed = super::attempt(config, data, &mut Hash::default(), &mut Uncontrolled).expect("it runs");
    assert_eq!(hashed.as_ref(), Some(&expected), "{case}: hashed");
    let silent = super::attempt(config, data, &mut Nothing, &mut Uncontrolled).expect("it runs");
    assert_eq!(silent, Some(Outcome { chain_hash: None, ..expected.clone() }), "{case}: silent");
    expected
}

/// A generator of choices.
struct Draw(u64);

impl Draw {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).expect("an index")]
    }
}

fn random_config(draw: &mut Draw) -> Config {
    let kinds: [(&str, &[(&str, &str)]); 9] = [
        ("sma_cross", &[("fast", "4"), ("slow", "9"), ("average", "exponential")]),
        ("sma_cross", &[("fast", "3"), ("slow", "7")]),
        ("sma_cross", &[("fast", "2"), ("slow", "5"), ("allow_short", "true")]),
        ("sma_cross", &[("fast", "10"), ("slow", "30")]),
        ("momentum", &[("lookback", "5"), ("threshold", "0.01")]),
        ("mean_reversion", &[]),
        ("buy_and_hold", &[]),
        ("donchian_breakout", &[]),
        ("regime_switch", &[]),
    ];
    let count = 1 + draw.below(4);
    let strategies = (0..count).map(|index| {
        let (kind, parameters) = draw.one(&kinds);
        let mut one = strategy(&format!("{}{index}", draw.one(&["z", "a", "m"])), kind, parameters);
        let sizing = draw.one(&[
            "fixed:10",
            "fixed:333",
            "fraction:0.1",
            "fraction:0.7",
            "notional:5000",
            "equal_weight",
        ]);
        if let Some(sizing) = domain::sizing::parse(sizing) {
            one.sizing = sizing;
        }
        if draw.below(3) == 0 {
            one.symbols = vec!["S00".to_owned(), "S02".to_owned()];
        }
        one
    });
    let mut config = config(strategies.collect());
    let limits = &mut config.account.limits;
    limits.allow_short = draw.below(2) == 0;
    limits.max_exposure_fraction_e9 = draw.one(&[E9 / 2, 2 * E9, 10 * E9]);
    limits.max_position_fraction_e9 = draw.one(&[E9 / 20, E9 / 4, 2 * E9]);
    limits.max_daily_loss_fraction_e9 = draw.one(&[E9 / 200, E9 / 20, E9]);
    config.account.costs = Costs {
        commission_per_share_e9: draw.one(&[0, E9 / 200]),
        commission_rate_e9: draw.one(&[0, E9 / 1_000]),
        commission_minimum: draw.one(&[None, money(1).to_wire()]),
        slippage_rate_e9: draw.one(&[0, E9 / 10_000]),
        volume_share_most_e9: draw.one(&[0, 0, E9 / 50]),
        ..Costs::default()
    };
    config.account.cash = draw.one(&[money(5_000), money(100_000), money(10_000_000)]);
    config.finalize = draw.below(2) == 0;
    config.late = draw.below(4) == 0;
    if config.late {
        config.account.kind = AccountKind::Cash;
    }
    config.warm_up_more = draw.one(&[0, 0, 30]);
    config.calendar = draw.one(&["XNYS", "XNYS", "24x7"]).parse::<Market>().expect("a market").calendar();
    config
}

#[test]
fn both_loops_come_to_the_same_whatever_the_strategies() {
    let (mut draw, mut fills, mut denied, mut expired) = (Draw(7), 0, 0, 0);
    for case in 0..120 {
        let mut config = random_config(&mut draw);
        let timeframe = draw.one(&[Timeframe::H1, Timeframe::M30, Timeframe::D1, Timeframe::M15]);
        let bars = if timeframe == Timeframe::D1 { 0 } else { 300 };
        let mut data = generated(3, bars.max(200), draw.below(1_000), timeframe);
        if draw.below(2) == 0 {
            let other = generated(2, 250, draw.below(1_000), Timeframe::M15);
            data.series.extend(other.series);
            data.series.sort_by(|one, two| (&one.symbol, one.timeframe).cmp(&(&two.symbol, two.timeframe)));
            data.series.dedup_by(|one, two| one.symbol == two.symbol && one.timeframe == two.timeframe);
        }
        if draw.below(2) == 0 {
            config.from_ns = data.series[0].close_ns.values().get(60).copied();
            config.until_ns = data.series[0].close_ns.values().get(190).copied();
        }
        let outcome = check(&format!("case {case}"), &config, &data);
        fills += outcome.counts.fills;
        denied += outcome.counts.denied_total();
        expired += outcome.counts.expired;
    }
    assert!(fills > 2_000 && denied > 100 && expired > 0, "{fills} {denied} {expired}");
}

fn split(new: i64, old: i64) -> Effect {
    Effect::Split(SplitRatio::from_terms(new, old).expect("a ratio"))
}

#[test]
fn corporate_actions_are_taken_alike() {
    let (mut draw, mut taken) = (Draw(11), 0);
    for case in 0..60 {
        let config = random_config(&mut draw);
        let mut data = generated(3, 300, draw.below(1_000), draw.one(&[Timeframe::H1, Timeframe::M15]));
        for _ in 0..draw.below(8) {
            let series = usize::try_from(draw.below(3)).expect("an index");
            let row = usize::try_from(draw.below(300)).expect("a row");
            let effect = draw.one(&[
                Effect::Dividend(Price(E9 / 4)),
                Effect::Dividend(Price(E9 / 3)),
                split(2, 1),
                split(7, 1),
            ]);
            act(&mut data, series, row, effect);
        }
        let mut seen = std::collections::BTreeSet::new();
        data.actions.retain(|action| seen.insert(action.event_id.clone()));
        let expected = general(&config, &data);
        let hashed = super::attempt(&config, &data, &mut Hash::default(), &mut Uncontrolled);
        if let Some(hashed) = hashed.expect("it runs") {
            assert_eq!(hashed, expected, "case {case}");
            taken += usize::from(expected.counts.fills > 0 && !data.actions.is_empty());
            let silent = super::attempt(&config, &data, &mut Nothing, &mut Uncontrolled).expect("it runs");
            assert_eq!(silent, Some(Outcome { chain_hash: None, ..expected }), "case {case}: silent");
        }
    }
    // Splits upon open orders are the general loop's.
    assert!(taken > 15, "{taken}");
}

#[test]
fn orders_of_one_instant_in_one_symbol_share_its_volume_by_their_ids() {
    let kinds = [("3", "7"), ("3", "7"), ("3", "7"), ("2", "7")];
    let strategies = kinds.iter().enumerate().map(|(index, (fast, slow))| {
        strategy(&format!("s{index}"), "sma_cross", &[("fast", fast), ("slow", slow)])
    });
    let mut config = config(strategies.collect());
    config.account.costs.volume_share_most_e9 = E9 / 100;
    let outcome = check("shared volume", &config, &market(2, 1_000, 5));
    assert!(outcome.counts.fills > 300 && outcome.counts.expired > 0, "{:?}", outcome.counts);
}

#[test]
fn what_it_does_not_know_is_left_to_the_general_loop() {
    let base = || config(vec![strategy("one", "sma_cross", &[("fast", "3"), ("slow", "7")])]);
    let left = |config: &Config, data: &MarketData| {
        let mut hash = Hash::default();
        let answer = super::attempt(config, data, &mut hash, &mut Uncontrolled).expect("it runs");
        assert_eq!(answer, None);
        let outcome = run(config, data, &mut hash, &mut Uncontrolled).expect("it runs");
        assert_eq!(outcome, general(config, data));
    };
    // Three for two of an odd number of shares leave half a share.
    let mut odd = base();
    odd.strategies[0].sizing = domain::sizing::parse("fixed:1").expect("a sizing");
    let mut acted = market(1, 500, 1);
    (100..180).step_by(7).for_each(|row| act(&mut acted, 0, row, split(3, 2)));
    left(&odd, &acted);
    let mut shadow = base();
    shadow.strategies[0].mode = StrategyMode::Shadow;
    left(&shadow, &market(2, 500, 1));
    let mut margin = base();
    margin.account.kind = AccountKind::Margin;
    left(&margin, &market(2, 500, 1));
    // The first signal is one of two legs.
    let mut pairs =
        config(vec![strategy("two", "pairs", &[("first", "S00"), ("second", "S01"), ("max_p_value", "1")])]);
    pairs.strategies[0].symbols = vec!["S00".to_owned(), "S01".to_owned()];
    let outcome = run(&pairs, &market(2, 900, 3), &mut Hash::default(), &mut Uncontrolled).expect("it runs");
    assert_eq!(outcome, general(&pairs, &market(2, 900, 3)));
}

#[test]
fn a_wish_with_exits_is_left_to_the_general_loop() {
    let mut wish = Wish::market(0, Intent::EnterShort, &[], &Arc::from("turns round"));
    assert_eq!(known_slot(&wish), Ok(0));
    let price = Some(Price(E9));
    for terms in
        [Terms { take_profit: price, ..Terms::default() }, Terms { stop_loss: price, ..Terms::default() }]
    {
        wish.legs[0].terms = terms;
        assert_eq!(known_slot(&wish), Err(Stop::Unknown), "{terms:?}");
    }
}

#[test]
fn a_cancelled_run_is_not_begun_again() {
    let config = config(vec![strategy("one", "sma_cross", &[("fast", "3"), ("slow", "7")])]);
    let mut looks = 0;
    let mut stop = |_: &Progress| {
        looks += 1;
        ControlFlow::Break(())
    };
    let data = generated(10, 2_000, 1, Timeframe::M15);
    let answer = run(&config, &data, &mut Nothing, &mut stop);
    assert_eq!((answer, looks), (Err(Error::Cancelled), 1));
}
