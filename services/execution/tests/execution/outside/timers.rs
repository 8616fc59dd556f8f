//! A clock that jumps: a quarter of an hour, and past the close.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::Waker;
use std::time::Duration;

use contracts::v1::event::Body;
use domain::calendar::Market;
use runtime::ClockMode;
use runtime::clock::{VirtualClock, set_virtual};
use tokio::time::Instant;

use super::Stage;
use crate::support::{OPEN_NS, everything};

/// Real time, ahead by as much as it was told; what waits is woken by the real one.
struct Ahead {
    began: Instant,
    by_ns: AtomicI64,
}

impl Ahead {
    fn by(&self) -> Duration {
        Duration::from_nanos(self.by_ns.load(Ordering::SeqCst).unsigned_abs())
    }

    fn go(&self, by: Duration) {
        self.by_ns.fetch_add(i64::try_from(by.as_nanos()).unwrap(), Ordering::SeqCst);
    }
}

impl VirtualClock for Ahead {
    fn now(&self) -> Instant {
        Instant::now() + self.by()
    }

    fn now_ns(&self) -> i64 {
        let passed = self.began.elapsed() + self.by();
        OPEN_NS + i64::try_from(passed.as_nanos()).unwrap()
    }

    fn wake_at(&self, deadline: Instant, waker: &Waker) {
        let (wait, waker) = (deadline.saturating_duration_since(self.now()), waker.clone());
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            waker.wake();
        });
    }
}

/// Occasions of comparisons of the account `paper`, in order.
async fn occasions(stage: &Stage) -> Vec<String> {
    let all = everything(&stage.script.tape).await;
    let of_paper = |body: Option<Body>| match body {
        Some(Body::BrokerReconciled(event)) if event.account == "paper" => Some(event.occasion),
        _ => None,
    };
    all.into_iter().filter_map(|recorded| of_paper(recorded.event.body)).collect()
}

async fn check(market: Market) {
    let clock = Arc::new(Ahead { began: Instant::now(), by_ns: AtomicI64::new(0) });
    set_virtual(Some(clock.clone()));
    let mut stage = Stage::of(ClockMode::Wall, market).await;
    let compared = async |stage: &Stage, expected: &[&str]| {
        // What is heard again gives the look; what is due makes it a whole one.
        stage.outside.0.lock().unwrap().missed = 1;
        stage.until("it is compared", async |stage| occasions(stage).await == expected).await;
    };
    assert_eq!(occasions(&stage).await, ["start"]);
    clock.go(Duration::from_secs(15 * 60));
    compared(&stage, &["start", "schedule"]).await;
    let close_ns = market.calendar().session_at(OPEN_NS).unwrap().unwrap().close_ns;
    let to_the_end = close_ns - OPEN_NS + 60_000_000_000;
    clock.go(Duration::from_nanos(to_the_end.unsigned_abs()) - Duration::from_secs(15 * 60));
    compared(&stage, &["start", "schedule", "session_end"]).await;
    let (shutdown, task) = stage.running.take().unwrap();
    shutdown.cancel();
    task.await.unwrap();
    set_virtual(None);
}

#[tokio::test]
async fn everything_is_compared_every_quarter_of_an_hour_and_after_the_close() {
    check(Market::Xnys).await;
}

#[tokio::test]
async fn the_close_is_that_of_the_tapes_calendar() {
    check(Market::TwentyFourSeven).await;
}
