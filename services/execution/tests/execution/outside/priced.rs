//! A holding that no bar prices: its broker's price is stated where it changes, and the marks go on with it.

use contracts::v1::event::Body;
use domain::book::AccountState;
use domain::money::{Amount, Quantity};
use runtime::ClockMode;

use super::Stage;
use crate::support::{E9, OPEN_NS, bar, book, everything};

const MINUTE_NS: i64 = 60 * E9;

impl Stage {
    /// What somebody else trades in B, and what a share of it is worth now; compared with the tape at once.
    async fn trade_b(&self, shares: i64, price: i64) {
        let compared = self.compared().await;
        {
            let mut world = self.outside.0.lock().unwrap();
            world.others[1] += shares;
            world.price = Some(price);
            world.missed = 1;
        }
        self.until("it is compared", async |stage| stage.compared().await > compared).await;
    }

    /// Comparisons of the account `paper` that are on the tape.
    async fn compared(&self) -> usize {
        self.stated().await.len()
    }

    /// The prices that each of them stated.
    async fn stated(&self) -> Vec<Vec<i64>> {
        let all = everything(&self.script.tape).await.into_iter();
        all.filter_map(|recorded| match recorded.event.body {
            Some(Body::BrokerReconciled(event)) if event.account == "paper" => {
                Some(event.prices.iter().map(|stated| stated.price_e9 / E9).collect())
            }
            _ => None,
        })
        .collect()
    }

    async fn paper(&self) -> AccountState {
        book(&self.script.tape).await.account("paper").unwrap().clone()
    }

    /// Equity and the day's P&L, in dollars, at the mark of a bar that is none of B.
    async fn marked(&self, minute: i64) -> (i128, i128) {
        let at_ns = OPEN_NS + minute * MINUTE_NS;
        self.script.instant(at_ns, vec![bar("A", at_ns, 100, 100)]).await;
        let account = self.paper().await;
        let dollars = |amount: Amount| amount.0 / i128::from(E9);
        (dollars(account.mark.as_ref().unwrap().equity), dollars(account.day_pnl().unwrap()))
    }

    async fn day(&self) -> Amount {
        self.paper().await.day_pnl().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn marks_go_on_with_the_brokers_price_and_the_day_is_right_until_it_is_gone() {
    let mut stage = Stage::new(ClockMode::Wall).await;
    // The first time that it is heard is a quiet look.
    stage.outside.0.lock().unwrap().missed = 1;
    assert_eq!(stage.marked(1).await, (100_000, 0));

    stage.trade_b(60, 50).await;
    assert_eq!(stage.day().await, Amount::ZERO, "also before the next mark");
    assert_eq!(stage.marked(2).await, (103_000, 0));
    stage.trade_b(0, 40).await;
    assert_eq!(stage.marked(3).await, (102_400, -600));
    // What changes nothing states nothing.
    stage.trade_b(0, 40).await;
    let stated = stage.stated().await;
    assert_eq!(stated.last(), Some(&Vec::new()));
    assert_eq!(stated.iter().flatten().collect::<Vec<_>>(), [&40], "50 came with the shares");

    // A restart knows it from the tape.
    stage.outside.0.lock().unwrap().price = None;
    stage.restart().await;
    assert_eq!(stage.marked(4).await, (102_400, -600));

    stage.outside.0.lock().unwrap().missed = 1;
    stage.trade_b(-60, 45).await;
    assert_eq!(book(&stage.script.tape).await.net_quantity("paper", "B"), Quantity::ZERO);
    assert_eq!(stage.day().await, Amount(-600 * i128::from(E9)), "it was worth 40 when it was last heard of");
    assert_eq!(stage.marked(5).await, (100_000, -600));
    let (shutdown, task) = stage.running.take().unwrap();
    shutdown.cancel();
    task.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holding_that_bars_price_is_left_to_them() {
    let mut stage = Stage::new(ClockMode::Tape).await;
    stage.outside.0.lock().unwrap().others[0] = 10;
    // No bar yet: what it is worth comes with the shares.
    stage.outside.0.lock().unwrap().price = Some(90);
    stage.restart().await;
    assert_eq!(stage.marked(1).await.0, 100_000 + 10 * 100, "the bar is newer");
    stage.outside.0.lock().unwrap().price = Some(80);
    stage.restart().await;
    let stated = stage.stated().await;
    assert!(stated.iter().all(Vec::is_empty), "{stated:?}");
    assert_eq!(stage.marked(2).await.0, 100_000 + 10 * 100);
    // Shares that are found have a price of the last mark's time, at which a bar priced them.
    stage.outside.0.lock().unwrap().others[0] = 15;
    stage.restart().await;
    stage.outside.0.lock().unwrap().price = Some(70);
    stage.restart().await;
    let stated = stage.stated().await;
    assert!(stated.iter().all(Vec::is_empty), "{stated:?}");
    assert_eq!(stage.marked(3).await.0, 100_000 + 15 * 100);
    let (shutdown, task) = stage.running.take().unwrap();
    shutdown.cancel();
    task.await.unwrap();
}
