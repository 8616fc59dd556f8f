//! The monitor: when it measures, what it raises and clears, and what it trips.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::Waker;
use std::time::Duration;

use contracts::from_timestamp;
use contracts::v1::event::Body;
use contracts::v1::{Basis, BreakerKind, BreakerReset, BreakerTripped, Origin, RiskMeasured, Side};
use domain::calendar::Calendar;
use domain::money::Amount;
use runtime::clock::VirtualClock;
use runtime::{ClockMode, Context, HealthState};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::events::{self, ACCOUNT, E9, T0, limits};
use crate::world::{Running, World};

const MINUTE: i64 = 60 * E9;

fn start(world: &World) -> Running {
    let (tape, shutdown) = (Arc::new(world.log.clone()), CancellationToken::new());
    let (clock, health) = (world.mode, world.health.clone());
    let context = Context { tape, clock, health, shutdown: shutdown.clone() };
    let run = risk::monitor::run(context, Arc::clone(&world.model) as _, Calendar::xnys());
    let task = tokio::spawn(run);
    Running { shutdown, task }
}

/// Minutes after [`T0`] at which the account was measured.
async fn measured(world: &World) -> Vec<i64> {
    let minutes = |recorded: event_log::Recorded| {
        let measured = matches!(recorded.event.body, Some(Body::RiskMeasured(_)));
        let at_ns = recorded.event.event_time.as_ref().and_then(from_timestamp).filter(|_| measured)?;
        Some((at_ns - T0) / MINUTE)
    };
    world.events().await.into_iter().filter_map(minutes).collect()
}

/// Starts the monitor and waits until it follows the tape.
async fn ready(world: &World) -> Running {
    let running = start(world);
    let is_ready = || {
        let health = world.health.all();
        health.get(risk::monitor::SERVICE).is_some_and(|service| service.state == HealthState::Ready)
    };
    until(async || is_ready()).await;
    running
}

/// A wall clock that the test moves, for everything on its thread. Waits take the time that they take.
struct Moved(AtomicI64);

impl VirtualClock for Moved {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn now_ns(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    fn wake_at(&self, deadline: Instant, waker: &Waker) {
        let waker = waker.clone();
        tokio::spawn(async move {
            tokio::time::sleep_until(deadline).await;
            waker.wake();
        });
    }
}

impl Moved {
    /// Puts a clock at `minute` after [`T0`] in place.
    fn at(minute: i64) -> Arc<Self> {
        let clock = Arc::new(Self(AtomicI64::new(T0 + minute * MINUTE)));
        runtime::clock::set_virtual(Some(Arc::clone(&clock) as _));
        clock
    }

    fn to(&self, minute: i64) {
        self.0.store(T0 + minute * MINUTE, Ordering::SeqCst);
    }
}

/// Approves, sends and fills an order for 100 shares at 100.
async fn fill(world: &World, name: &str, side: Side, minute: i64) {
    for (subject, event) in events::filled(name, "SPY", side, T0 + minute * MINUTE) {
        world.put_under(subject, event).await;
    }
}

async fn last(world: &World) -> RiskMeasured {
    let body = |recorded: event_log::Recorded| match recorded.event.body {
        Some(Body::RiskMeasured(measured)) => Some(measured),
        _ => None,
    };
    world.events().await.into_iter().filter_map(body).next_back().unwrap()
}

/// Kinds of the alerts on the tape, and whether each says that it is over.
async fn alerts(world: &World) -> Vec<(String, bool)> {
    let alert = |recorded: event_log::Recorded| match recorded.event.body {
        Some(Body::AlertRaised(alert)) => Some((alert.kind, alert.cleared)),
        _ => None,
    };
    world.events().await.into_iter().filter_map(alert).collect()
}

async fn tripped(world: &World) -> Vec<BreakerTripped> {
    let body = |recorded: event_log::Recorded| match recorded.event.body {
        Some(Body::BreakerTripped(tripped)) => Some(tripped),
        _ => None,
    };
    world.events().await.into_iter().filter_map(body).collect()
}

async fn until(condition: impl AsyncFn() -> bool) {
    let wait = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap();
}

/// Waits until the monitor has looked around again, with what is on TRADING now.
async fn looked(world: &World) {
    let asked = world.model.asked.load(Ordering::SeqCst);
    until(async || world.model.asked.load(Ordering::SeqCst) > asked + 1).await;
}

#[tokio::test]
async fn an_account_that_holds_nothing_is_measured_every_quarter_of_an_hour() {
    let world = World::new(ClockMode::Tape, limits(1_000_000, E9)).await;
    let running = ready(&world).await;
    for minute in [0, 5, 14, 15, 29, 30, 61] {
        world.put(events::mark(T0 + minute * MINUTE, 1_000_000)).await;
    }
    let expected = [0, 15, 30, 61];
    until(async || measured(&world).await.len() >= expected.len()).await;
    running.stop().await;
    assert_eq!(measured(&world).await, expected);
}

#[tokio::test]
async fn on_the_tape_clock_a_fill_is_measured_with_the_next_mark() {
    let world = World::new(ClockMode::Tape, limits(1_000_000, E9)).await;
    let running = ready(&world).await;
    world.put(events::mark(T0, 1_000_000)).await;
    fill(&world, "buy", Side::Buy, 1).await;
    // No quarter of an hour begins with any of these.
    for minute in [5, 10] {
        world.put(events::mark(T0 + minute * MINUTE, 1_000_000)).await;
    }
    world.put(events::mark(T0 + 15 * MINUTE, 1_000_000)).await;
    let expected = [0, 5, 15];
    until(async || measured(&world).await.len() >= expected.len()).await;
    running.stop().await;
    assert_eq!(measured(&world).await, expected);
}

#[tokio::test]
async fn on_the_wall_clock_a_fill_is_measured_at_once_and_the_time_where_no_mark_comes() {
    let clock = Moved::at(1);
    let world = World::new(ClockMode::Wall, limits(1_000_000, E9)).await;
    world.model.sectors.lock().unwrap().push(("SPY".to_owned(), "Funds".to_owned()));
    world.put(events::bar("SPY", T0, 110, Origin::Live)).await;
    world.put(events::mark(T0, 1_000_000)).await;
    let running = ready(&world).await;
    // It was never measured before.
    until(async || measured(&world).await == [1]).await;

    clock.to(7);
    fill(&world, "buy", Side::Buy, 6).await;
    until(async || measured(&world).await == [1, 7]).await;
    let found = last(&world).await;
    // 100 shares at the last bar's close, not at what they were bought for.
    let value = |money| Amount::from_wire(money).to_string();
    assert_eq!(value(found.gross_exposure.as_ref()), "11000");
    assert_eq!(value(found.equity.as_ref()), "1001000");
    let sectors: Vec<_> = found.sectors.iter().map(|sector| sector.name.as_str()).collect();
    assert_eq!(sectors, ["Funds"]);

    // A mark that is older says nothing new; then a quarter of an hour begins and no mark comes.
    world.put(events::mark(T0 + 5 * MINUTE, 1_000_000)).await;
    clock.to(16);
    until(async || measured(&world).await == [1, 7, 16]).await;
    running.stop().await;
    // Started again within it, it has nothing to add.
    let again = ready(&world).await;
    clock.to(31);
    until(async || measured(&world).await.len() > 3).await;
    again.stop().await;
    assert_eq!(measured(&world).await, [1, 7, 16, 31]);
    runtime::clock::set_virtual(None);
}

#[tokio::test]
async fn fills_in_quick_succession_are_measured_together() {
    let clock = Moved::at(1);
    let world = World::new(ClockMode::Wall, limits(1_000_000, E9)).await;
    world.put(events::bar("SPY", T0, 110, Origin::Live)).await;
    world.put(events::mark(T0, 1_000_000)).await;
    let running = ready(&world).await;
    until(async || measured(&world).await == [1]).await;
    clock.to(7);
    let began = Instant::now();
    for number in 0..40 {
        fill(&world, &format!("buy{number}"), Side::Buy, 6).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // The last of them is measured as well: 4,000 shares at 110.
    let gross = async || Amount::from_wire(last(&world).await.gross_exposure.as_ref()).to_string();
    until(async || gross().await == "440000").await;
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap();
    running.stop().await;
    let count = measured(&world).await.len() - 1;
    assert!(count <= seconds + 2, "{count} in {seconds} s");
    runtime::clock::set_virtual(None);
}

#[tokio::test]
async fn what_has_no_price_is_measured_as_soon_as_it_has_one() {
    let clock = Moved::at(1);
    let world = World::new(ClockMode::Wall, limits(1_000_000, E9)).await;
    world.put(events::mark(T0, 1_000_000)).await;
    let running = ready(&world).await;
    until(async || measured(&world).await == [1]).await;
    clock.to(7);
    fill(&world, "buy", Side::Buy, 6).await;
    // It cannot be valued.
    looked(&world).await;
    assert_eq!(measured(&world).await, [1]);
    // Nothing happens on TRADING, and no quarter of an hour begins.
    world.put(events::bar("SPY", T0 + 7 * MINUTE, 110, Origin::Live)).await;
    until(async || measured(&world).await == [1, 7]).await;
    running.stop().await;
    runtime::clock::set_virtual(None);
}

#[tokio::test]
async fn prices_of_before_a_split_are_those_of_new_shares() {
    let clock = Moved::at(1);
    let world = World::new(ClockMode::Wall, limits(1_000_000, E9)).await;
    world.put(events::bar("SPY", T0, 110, Origin::Live)).await;
    world.put(events::mark(T0, 1_000_000)).await;
    let running = ready(&world).await;
    until(async || measured(&world).await == [1]).await;
    fill(&world, "buy", Side::Buy, 1).await;
    until(async || measured(&world).await.len() > 1).await;
    // What the broker says that a share is worth, and then there are two of each.
    world.put(events::told("SPY", T0 + 2 * MINUTE, 120)).await;
    world.put(events::split("SPY", T0 + 3 * MINUTE, 2)).await;
    world.put(events::shares_after("SPY", T0 + 3 * MINUTE, 200)).await;
    looked(&world).await;
    clock.to(16);
    until(async || measured(&world).await.last() == Some(&16)).await;
    running.stop().await;
    let found = last(&world).await;
    assert_eq!(Amount::from_wire(found.gross_exposure.as_ref()).to_string(), "12000", "200 shares at 60");
    runtime::clock::set_virtual(None);
}

#[tokio::test]
async fn out_of_the_session_nothing_is_measured_by_the_time() {
    // 08:00 in New York; the session opens at 09:30.
    let clock = Moved::at(-120);
    let world = World::new(ClockMode::Wall, limits(1_000_000, E9)).await;
    world.put(events::bar("SPY", T0 - 125 * MINUTE, 110, Origin::Live)).await;
    let running = ready(&world).await;
    // A fill is measured at any time; the clock is looked at every second all along.
    fill(&world, "buy", Side::Buy, -121).await;
    until(async || measured(&world).await == [-120]).await;
    clock.to(-95);
    fill(&world, "again", Side::Buy, -95).await;
    until(async || measured(&world).await == [-120, -95]).await;
    clock.to(-29);
    until(async || measured(&world).await.len() > 2).await;
    running.stop().await;
    assert_eq!(measured(&world).await, [-120, -95, -29]);
    runtime::clock::set_virtual(None);
}

/// What `alpha` brought at the last measurement, the highest of it, and its drawdown.
async fn result(world: &World) -> (String, String, Option<i64>) {
    let found = last(world).await;
    let line = found.strategies.iter().find(|line| line.name == "alpha").unwrap();
    let value = |money| Amount::from_wire(money).to_string();
    (value(line.pnl.as_ref()), value(line.peak_pnl.as_ref()), line.drawdown_e9)
}

/// `alpha` holds 100 shares that cost 100, at 110, and was measured; nobody runs any more. The clock stands at 1.
async fn measured_once() -> World {
    let world = World::new(ClockMode::Wall, limits(1_000_000, E9)).await;
    world.put(events::bar("SPY", T0, 110, Origin::Live)).await;
    world.put(events::mark(T0, 1_000_000)).await;
    fill(&world, "buy", Side::Buy, 0).await;
    let running = ready(&world).await;
    until(async || measured(&world).await == [1]).await;
    running.stop().await;
    world
}

#[tokio::test]
async fn the_peak_of_a_strategy_outlasts_a_start_and_begins_anew_with_that_of_the_account() {
    let clock = Moved::at(1);
    let world = measured_once().await;
    let stands = |pnl: &str, peak: &str, fall| (pnl.to_owned(), peak.to_owned(), Some(fall));
    assert_eq!(result(&world).await, stands("1000", "1000", 0));

    world.put(events::bar("SPY", T0 + 2 * MINUTE, 105, Origin::Live)).await;
    let again = ready(&world).await;
    clock.to(16);
    until(async || measured(&world).await == [1, 16]).await;
    // 500 of an equity that was never above 1,000,500 at a mark.
    assert_eq!(result(&world).await, stands("500", "1000", 499_750));
    again.stop().await;

    let kind = BreakerKind::Drawdown.into();
    let reset = BreakerReset { account: ACCOUNT.to_owned(), kind, ..BreakerReset::default() };
    world.put(events::event("reset", T0 + 17 * MINUTE, Body::BreakerReset(reset))).await;
    let third = ready(&world).await;
    clock.to(31);
    until(async || measured(&world).await == [1, 16, 31]).await;
    third.stop().await;
    assert_eq!(result(&world).await, stands("500", "500", 0));
    runtime::clock::set_virtual(None);
}

#[tokio::test]
async fn what_a_measurement_had_not_read_yet_lets_peaks_begin_anew_after_a_start() {
    let clock = Moved::at(1);
    let world = measured_once().await;
    let read = world.trading().await;

    // The reset comes while the next measurement is on its way to the tape.
    let kind = BreakerKind::Drawdown.into();
    let reset = BreakerReset { account: ACCOUNT.to_owned(), kind, ..BreakerReset::default() };
    world.put(events::event("reset", T0 + 2 * MINUTE, Body::BreakerReset(reset))).await;
    let body = Body::RiskMeasured(last(&world).await);
    let mut crossed = events::event("crossed", T0 + 2 * MINUTE, body);
    crossed.basis = vec![Basis { stream: "TRADING".to_owned(), sequence: read }];
    world.put(crossed).await;
    world.put(events::bar("SPY", T0 + 3 * MINUTE, 105, Origin::Live)).await;
    let again = ready(&world).await;
    clock.to(16);
    until(async || measured(&world).await == [1, 2, 16]).await;
    again.stop().await;
    assert_eq!(result(&world).await, ("500".to_owned(), "500".to_owned(), Some(0)));
    runtime::clock::set_virtual(None);
}

#[tokio::test]
async fn an_alert_is_raised_once_and_cleared_once() {
    let clock = Moved::at(1);
    let world = World::new(ClockMode::Wall, limits(1_000_000, E9)).await;
    world.put(events::limited(&[("max_gross_exposure", "12000")])).await;
    world.put(events::bar("SPY", T0, 100, Origin::Live)).await;
    world.put(events::mark(T0, 1_000_000)).await;
    let running = ready(&world).await;
    // 10,000 of 12,000 are used.
    fill(&world, "buy", Side::Buy, 1).await;
    let kind = || "max_gross_exposure".to_owned();
    until(async || alerts(&world).await == [(kind(), false)]).await;
    let before = measured(&world).await.len();
    clock.to(16);
    until(async || measured(&world).await.len() > before).await;
    assert_eq!(alerts(&world).await, [(kind(), false)], "it is in force already");
    fill(&world, "sell", Side::Sell, 16).await;
    until(async || alerts(&world).await.len() > 1).await;
    let before = measured(&world).await.len();
    clock.to(31);
    until(async || measured(&world).await.len() > before).await;
    running.stop().await;
    assert_eq!(alerts(&world).await, [(kind(), false), (kind(), true)]);
    runtime::clock::set_virtual(None);
}

#[tokio::test]
async fn read_models_that_fall_behind_trip_their_breaker() {
    let world = World::new(ClockMode::Wall, limits(1_000_000, E9)).await;
    world.put(events::limited(&[("breaker_projection_lag", "1:halt")])).await;
    let running = ready(&world).await;
    let head = world.trading().await;
    world.limit(head);
    world.put(events::mark(T0, 1_000_000)).await;
    until(async || !tripped(&world).await.is_empty()).await;
    running.stop().await;
    let tripped = tripped(&world).await;
    assert_eq!(tripped.len(), 1);
    assert_eq!(tripped[0].kind(), BreakerKind::ProjectionLag);
    assert!(tripped[0].value_e9 >= E9, "{}", tripped[0].reason);
    assert!(tripped[0].reason.starts_with("the read models were behind"), "{}", tripped[0].reason);
}

#[tokio::test]
async fn a_market_that_falls_silent_within_its_session_trips_its_breaker() {
    let clock = Moved::at(-60);
    let world = World::new(ClockMode::Wall, limits(1_000_000, E9)).await;
    world.put(events::limited(&[("breaker_stale_data", "90")])).await;
    world.put(events::bar("SPY", T0 + MINUTE, 100, Origin::Live)).await;
    let running = ready(&world).await;
    // Before the open nobody expects a bar, and one that is a minute old is new enough.
    until(async || world.model.asked.load(Ordering::SeqCst) > 2).await;
    clock.to(2);
    looked(&world).await;
    assert_eq!(tripped(&world).await, []);
    clock.to(3);
    until(async || !tripped(&world).await.is_empty()).await;
    running.stop().await;
    let tripped = tripped(&world).await;
    assert_eq!(tripped[0].kind(), BreakerKind::StaleData);
    assert_eq!((tripped[0].value_e9, tripped[0].most_e9), (120 * E9, 90 * E9));
    assert_eq!(tripped[0].reason, "no bar came for 120 s, the limit is 90");
    runtime::clock::set_virtual(None);
}
