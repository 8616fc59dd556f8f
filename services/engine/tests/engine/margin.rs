//! Accounts by kind, and marks where one session opens as another closes.

use std::collections::BTreeSet;

use contracts::v1::event::Body;
use contracts::v1::{AccountKind, Event};
use domain::bar::{Bar, Timeframe};
use domain::calendar::Market;
use domain::money::{E9, Price, Volume};
use domain::risk::{Rule, buying_power_only};
use domain::series::{BarSeries, MarketData};
use engine::{Config, Events, Hash, Outcome, Uncontrolled, run, session_range};

use crate::setup::{config, market, strategy};

/// The bars of one symbol at these prices, each opening at the close before it.
fn at(prices: &[i64]) -> MarketData {
    let mut data = market(1, prices.len(), 1);
    let (mut bars, mut open) = (Vec::new(), prices[0]);
    for (row, close) in prices.iter().enumerate() {
        let known = data.series[0].bar(row).expect("a row");
        let price = |units: i64| Price(units * E9);
        bars.push(Bar {
            open: price(open),
            high: price(open.max(*close)),
            low: price(open.min(*close)),
            close: price(*close),
            volume: Volume(1_000_000_000),
            ..known
        });
        open = *close;
    }
    data.series[0] = BarSeries::of("generated", "S00", data.series[0].timeframe, &bars);
    data
}

fn holding(kind: AccountKind, sizing: &str) -> Config {
    let mut config = config(vec![strategy("hold", "buy_and_hold", &[])]);
    config.account.limits = buying_power_only(false);
    config.account.kind = kind;
    config.strategies[0].sizing = domain::sizing::parse(sizing).expect("a sizing");
    config
}

/// The names of the margin's events, and what the run came to.
fn margin_events(config: &Config, data: &MarketData) -> (Vec<&'static str>, Outcome) {
    let mut found = Vec::new();
    let mut events = Events::new(|event: &Event| match &event.body {
        Some(Body::MarginCalled(_)) => found.push("called"),
        Some(Body::MarginRestored(_)) => found.push("restored"),
        _ => {}
    });
    let outcome = run(config, data, &mut events, &mut Uncontrolled).expect("it runs");
    drop(events);
    (found, outcome)
}

#[test]
fn an_account_on_margin_borrows_half_and_is_called() {
    let falls = [100, 100, 100, 90, 80, 70, 62, 60, 60, 70, 80, 90];
    let (events, outcome) = margin_events(&holding(AccountKind::Margin, "fraction:1.9"), &at(&falls));
    assert_eq!((outcome.counts.fills, events), (1, vec!["called", "restored"]));
    assert!(outcome.equity.iter().any(|row| row.cash.0 < 0), "it borrows");
    // What a search or a hash alone wants comes from the same loop.
    let config = holding(AccountKind::Margin, "fraction:1.9");
    let hashed = run(&config, &at(&falls), &mut Hash::default(), &mut Uncontrolled);
    assert_eq!(hashed.expect("it runs"), outcome);

    let (events, outcome) = margin_events(&holding(AccountKind::Margin, "fraction:2.1"), &at(&falls));
    assert_eq!((outcome.counts.fills, events.len()), (0, 0));
    assert!(outcome.counts.denied.contains_key(&Rule::InsufficientBuyingPower), "{:?}", outcome.counts);
}

#[test]
fn cash_is_never_lent() {
    for kind in [AccountKind::Cash, AccountKind::Unspecified] {
        let (_, outcome) = margin_events(&holding(kind, "fraction:1"), &at(&[100; 12]));
        assert_eq!(outcome.counts.fills, 1, "the size leaves room for its costs");
        assert!(outcome.equity.iter().all(|row| row.cash.0 >= 0), "{kind:?}");
        let (_, outcome) = margin_events(&holding(kind, "fraction:1.9"), &at(&[100; 12]));
        assert!(outcome.counts.denied.contains_key(&Rule::InsufficientCash), "{:?}", outcome.counts);
    }
}

#[test]
fn a_run_passes_through_the_sessions_in_which_its_bars_lie() {
    // An hour, from 23:00 to midnight.
    let close_ns = 1_578_096_000 * E9;
    let price = Price(E9);
    let bar = Bar {
        start_ns: close_ns - 3_600 * E9,
        close_ns,
        open: price,
        high: price,
        low: price,
        close: price,
        volume: Volume(1),
    };
    let series = BarSeries::of("generated", "S00", Timeframe::H1, &[bar]);
    let data = MarketData { series: vec![series], actions: Vec::new() };
    let sessions = session_range(Market::TwentyFourSeven.calendar(), &data).expect("known dates");
    let closes: Vec<i64> = sessions.iter().map(|session| session.close_ns).collect();
    assert_eq!(closes, [close_ns]);
}

#[test]
fn an_instant_at_which_one_session_closes_and_another_opens_is_one() {
    for name in ["24x5", "24x7"] {
        let mut config = config(vec![strategy("one", "sma_cross", &[("fast", "3"), ("slow", "7")])]);
        config.calendar = name.parse::<Market>().expect("a market").calendar();
        let (mut seen, mut twice) = (BTreeSet::new(), 0);
        let mut events = Events::new(|event: &Event| twice += u64::from(!seen.insert(event.id.clone())));
        run(&config, &market(2, 300, 3), &mut events, &mut Uncontrolled).expect("it runs");
        drop(events);
        assert_eq!(twice, 0, "{name}: each event has an id of its own");
        assert!(seen.len() > 300, "{name}");
    }
}
