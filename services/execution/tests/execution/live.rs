//! Live events, each an instant of its own: marks within one time, and bars that were made of others.

use contracts::v1::event::Body;
use contracts::v1::{Side, TimeInForce};
use domain::money::Amount;
use runtime::ClockMode;

use crate::day::undisturbed;
use crate::support::{E9, HOUR_NS, OPEN_NS, Script, bar, book, everything, limit, order};

const ACCEPTED: &[&[&str]] = &[&["accepted"]];
const T1: i64 = OPEN_NS + HOUR_NS;

fn dollars(amount: i64) -> Amount {
    Amount(i128::from(amount) * i128::from(E9))
}

/// Buys both symbols, then tells a bar of each at one time, and an hour that shows a price which no minute had.
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
}

#[tokio::test]
async fn an_account_is_marked_whenever_its_worth_changes_within_a_time() {
    let tape = undisturbed(ClockMode::Wall, play).await;
    let t3 = T1 + 2 * HOUR_NS;
    let marks = everything(&tape).await.into_iter().filter_map(|recorded| {
        let at_ns = recorded.event.event_time.as_ref().and_then(contracts::from_timestamp)?;
        match recorded.event.body? {
            Body::AccountMarked(mark) if at_ns == t3 => Some((recorded.event.id, mark)),
            _ => None,
        }
    });
    let marks: Vec<_> = marks.collect();
    let of = |account: &str| -> Vec<Amount> {
        let own = marks.iter().filter(|(_, mark)| mark.account == account);
        own.map(|(_, mark)| Amount::from_wire(mark.gross_exposure.as_ref())).collect()
    };
    // Ten of each: A at 110 and B still at 50, then both.
    assert_eq!(of("paper"), [dollars(1_600), dollars(1_650)]);
    assert_eq!(of("second"), [dollars(0)], "what holds nothing is worth the same");
    let mut ids: Vec<_> = marks.iter().map(|(id, _)| id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), marks.len());
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
