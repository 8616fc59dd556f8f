//! The race that must not exist: a thousand signals against one limit, all at the same time.

use std::collections::BTreeSet;
use std::sync::Arc;

use contracts::Subject;
use contracts::v1::event::Body;
use contracts::v1::{Intent, LimitsSet, Origin, StrategyMode, TradeLimits, Verdict};
use domain::book::Scope;
use domain::risk::fields;
use event_log::{Append, EventLog as _, Expect};
use risk::ReadModel as _;
use runtime::ClockMode;

use crate::events::{self, ACCOUNT, E9, limits};
use crate::world::World;

const SIGNALS: usize = 1_000;
const STRATEGIES: usize = 20;
const OPEN: i64 = 1_000_000_000;

fn stated(named: &[(&str, &str)]) -> Body {
    let mut limits = TradeLimits::default();
    for (name, value) in named {
        fields::state(&mut limits, name, value).unwrap();
    }
    Body::LimitsSet(LimitsSet {
        scope: Some(Scope::new(ACCOUNT, "", "").to_wire()),
        version: 1,
        limits: Some(limits),
        ..LimitsSet::default()
    })
}

/// A thousand signals of 100 shares at 100, written by 20 tasks while risk decides; what was approved in all.
async fn race(named: &[(&str, &str)], exposure_e9: i64, lag: Option<u64>) -> (usize, BTreeSet<String>) {
    let world = Arc::new(World::new(ClockMode::Wall, limits(OPEN, exposure_e9)).await);
    let now = runtime::now_ns();
    world.put(events::event("limits", now, stated(named))).await;
    let strategies: Vec<String> = (0..STRATEGIES).map(|index| format!("racer{index}")).collect();
    for strategy in &strategies {
        world.put(events::registered(strategy)).await;
        world.put(events::enabled(strategy, StrategyMode::Paper)).await;
    }
    let symbols: Vec<String> = (0..SIGNALS / STRATEGIES).map(|index| format!("S{index}")).collect();
    for symbol in &symbols {
        world.put(events::bar(symbol, now, 100, Origin::Live)).await;
    }
    world.put(events::mark(now, 1_000_000)).await;
    let market = world.market().await;
    if let Some(lag) = lag {
        // The read model never sees an approval: reservations alone hold the limit.
        world.limit(world.trading().await.saturating_sub(lag));
    }
    let running = world.start();
    let mut writers = Vec::new();
    for strategy in strategies {
        let (world, symbols) = (Arc::clone(&world), symbols.clone());
        writers.push(tokio::spawn(async move {
            for symbol in symbols {
                let event = events::signal(&strategy, &symbol, now, Intent::EnterLong, market);
                let subject = Subject::for_event(&event, None).unwrap();
                world.log.append(Append { subject, event, expect: Expect::Nothing }).await.unwrap();
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let mut decisions = world.decisions().await;
    for _ in 0..3_000 {
        if decisions.len() >= SIGNALS {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        decisions = world.decisions().await;
    }
    running.stop().await;
    assert_eq!(decisions.len(), SIGNALS);
    let (mut exposure, mut approved) = (0i128, 0);
    let mut rules = BTreeSet::new();
    for (_, decision) in &decisions {
        rules.insert(decision.rule.clone());
        if decision.verdict() == Verdict::Approved {
            approved += 1;
            exposure += decision.orders.iter().map(|order| i128::from(order.quantity_e9) * 100).sum::<i128>();
        }
    }
    assert_eq!(exposure, approved as i128 * 10_000 * i128::from(E9));
    // The book, from the tape, says the same.
    world.model.limit.store(u64::MAX, std::sync::atomic::Ordering::SeqCst);
    let book = world.model.snapshot(&[]).await.unwrap().book;
    assert_eq!(book.reserved_exposure(ACCOUNT).0, exposure);
    (approved, rules)
}

fn rules(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_signals_never_pass_an_exposure_limit_together() {
    // 257,000 of exposure are 25 orders of 10,000.
    let raced = race(&[("max_gross_exposure", "257000")], 1_000 * E9, None).await;
    assert_eq!(raced, (25, rules(&["", "max_gross_exposure"])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_with_a_read_model_that_sees_none_of_it() {
    let raced = race(&[("max_gross_exposure", "257000")], 1_000 * E9, Some(0)).await;
    assert_eq!(raced, (25, rules(&["", "max_gross_exposure"])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_the_limit_of_the_account_or_a_number_of_orders() {
    // A quarter of 1,000,000.
    let raced = race(&[("max_net_exposure", "100000000")], E9 / 4, None).await;
    assert_eq!(raced, (25, rules(&["", "max_exposure"])));
    let raced = race(&[("max_open_orders", "17"), ("max_orders_per_day", "11")], 1_000 * E9, None).await;
    assert_eq!(raced, (11, rules(&["", "order_rate"])));
}
