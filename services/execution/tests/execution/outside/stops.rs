//! Kill switches that are pulled, or put back, while orders are on their way to a broker outside.

use contracts::v1::event::Body;
use contracts::v1::{OrderSpec, Side, TimeInForce, TradingKilled, TradingResumed};
use event_log::Recorded;
use runtime::ClockMode;

use super::world::{Answer, SYMBOLS, Step, Told};
use super::{ACCEPTED, Stage};
use crate::kill::put;
use crate::support::{OPEN_NS, book, everything, limit, order};

impl Stage {
    fn landed(&self) -> usize {
        self.outside.0.lock().unwrap().landed.len()
    }

    /// Lets so many more submissions through.
    fn let_through(&self, turns: Option<usize>) {
        self.outside.0.lock().unwrap().turns = turns;
    }

    /// Waits until so many submissions and requests for new terms have come to the broker.
    async fn until_come(&self, count: usize) {
        self.until("it came to the broker", async |stage| stage.outside.0.lock().unwrap().came == count)
            .await;
    }

    async fn count(&self, wanted: fn(&Body) -> bool) -> usize {
        let all = everything(&self.script.tape).await;
        let is_wanted = |recorded: &&Recorded| recorded.event.body.as_ref().is_some_and(wanted);
        all.iter().filter(is_wanted).count()
    }
}

fn is_end(body: &Body) -> bool {
    matches!(body, Body::OrderCancelled(_))
}

fn is_closing(body: &Body) -> bool {
    matches!(body, Body::OrderSubmitted(event) if event.order.as_ref().is_some_and(|order| order.reducing))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_switch_that_is_pulled_between_two_orders_comes_before_the_second() {
    const ORDERS: usize = 6;
    let stage = Stage::new(ClockMode::Tape).await;
    stage.let_through(Some(0));
    stage.order(0, Answer::Given, &["submitted"]).await;
    stage.until_come(1).await;
    // They are looked at together once the first one is answered.
    for number in 1..ORDERS {
        stage.order(number, Answer::Given, &[]).await;
    }
    stage.let_through(Some(2));
    stage.until_come(3).await;
    let kill = TradingKilled { account: "paper".into(), ..TradingKilled::default() };
    put(&stage.script.tape, "kill", Body::TradingKilled(kill)).await;
    stage.let_through(None);
    stage.until("what was not sent has ended", async |stage| stage.count(is_end).await == ORDERS - 3).await;
    assert_eq!(stage.landed(), 3, "nothing is sent after it");
    let tape = book(&stage.script.tape).await;
    assert_eq!(tape.open_orders().filter(|order| order.cancel_requested).count(), 3);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_switch_that_is_pulled_meanwhile_makes_new_terms_void_that_were_not_asked_for() {
    let stage = Stage::new(ClockMode::Tape).await;
    for number in 0..SYMBOLS.len() {
        stage.order(number, Answer::Given, &["accepted"]).await;
    }
    // While another order is on its way, both get new terms: they are looked at together.
    stage.let_through(Some(0));
    stage.order(3, Answer::Given, &["submitted"]).await;
    stage.until_come(3).await;
    for (number, symbol) in SYMBOLS.iter().enumerate() {
        let spec = order(&format!("order {number}"), "paper", symbol, Side::Buy, 50);
        let spec = OrderSpec { revision: 1, ..limit(spec, 50, TimeInForce::Gtc) };
        stage.script.approve(&format!("terms {number}"), OPEN_NS, &[spec], &[]).await;
    }
    stage.let_through(Some(1));
    stage.until_come(4).await;
    let kill = TradingKilled { account: "paper".into(), ..TradingKilled::default() };
    put(&stage.script.tape, "kill", Body::TradingKilled(kill)).await;
    stage.let_through(None);
    stage.until("all are to be cancelled", async |stage| stage.outside.0.lock().unwrap().cancels >= 3).await;
    assert_eq!(stage.outside.0.lock().unwrap().replaced, 1, "the other one is asked for no new terms");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_switch_that_is_put_back_closes_no_more_than_what_is_on_its_way() {
    const HELD: usize = 10;
    const AT_ONCE: usize = 8;
    let mut stage = Stage::new(ClockMode::Tape).await;
    for number in 0..HELD {
        let name = format!("entry {number}");
        let spec = limit(order(&name, "paper", "A", Side::Buy, 10), 50, TimeInForce::Gtc);
        let spec = OrderSpec { strategy: format!("strategy-{number}"), ..spec };
        stage.script.approve(&name, OPEN_NS, &[spec], &[ACCEPTED]).await;
        stage.outside.0.lock().unwrap().apply(Step::Fill { order: number, shares: 10, told: Told::Once });
    }
    stage
        .until("it is all held", async |stage| {
            book(&stage.script.tape).await.positions_of("paper").count() == HELD
        })
        .await;
    stage.let_through(Some(0));
    let kill = TradingKilled { account: "paper".into(), flatten: true, ..TradingKilled::default() };
    put(&stage.script.tape, "kill", Body::TradingKilled(kill)).await;
    stage.until_come(HELD + 1).await;
    let resumed = TradingResumed { account: "paper".into(), ..TradingResumed::default() };
    put(&stage.script.tape, "resume", Body::TradingResumed(resumed)).await;
    stage.let_through(None);
    stage.until("they are sent", async |stage| stage.landed() == HELD + AT_ONCE).await;
    stage.restart().await;
    assert_eq!((stage.count(is_closing).await, stage.landed()), (AT_ONCE, HELD + AT_ONCE));
    stage.end().await;
}
