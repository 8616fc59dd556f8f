//! Live bars that were made of others on the tape.

use contracts::v1::event::Body;
use contracts::v1::{Side, TimeInForce};
use runtime::ClockMode;

use crate::day::undisturbed;
use crate::support::{E9, HOUR_NS, OPEN_NS, Script, bar, book, limit, order};

const ACCEPTED: &[&[&str]] = &[&["accepted"]];
const T1: i64 = OPEN_NS + HOUR_NS;

/// Buys, rests an order below the market, then tells bars and a longer one that shows a price which none of them had.
async fn play(script: &Script) {
    script.setup().await;
    script.instant(T1, vec![bar("A", T1, 100, 100), bar("B", T1, 50, 50)]).await;
    script.approve("buy-a", T1, &[order("buy-a", "paper", "A", Side::Buy, 10)], ACCEPTED).await;
    script.approve("buy-b", T1, &[order("buy-b", "paper", "B", Side::Buy, 10)], ACCEPTED).await;
    let t2 = T1 + HOUR_NS;
    script.instant(t2, vec![bar("A", t2, 100, 100), bar("B", t2, 50, 50)]).await;
    let resting = limit(order("low-a", "paper", "A", Side::Buy, 5), 70, TimeInForce::Gtc);
    script.approve("low-a", t2, &[resting], ACCEPTED).await;
    let t3 = t2 + HOUR_NS;
    let mut longer = bar("A", t3, 100, 60);
    if let Body::Bar(bar) = &mut longer {
        "1m".clone_into(&mut bar.made_of);
    }
    script.instant(t3, vec![bar("A", t3, 100, 110), bar("B", t3, 50, 55), longer]).await;
    // The next mark shows what A is known to cost.
    let t4 = t3 + HOUR_NS;
    script.instant(t4, vec![bar("B", t4, 55, 55)]).await;
}

#[tokio::test]
async fn a_bar_that_was_made_of_others_fills_nothing_and_prices_nothing() {
    let tape = undisturbed(ClockMode::Wall, play).await;
    let book = book(&tape).await;
    assert_eq!(book.open_orders().count(), 1, "60 was below the limit, and no bar of its own told it");
    let mark = book.account("paper").unwrap().mark.clone().unwrap();
    let price = mark.prices.iter().find(|price| price.symbol == "A").unwrap();
    assert_eq!(price.price_e9, 110 * E9);
}
