//! Shares that were found at a broker, and what it says they are worth: the rows are the book, and the day is right.

use contracts::v1::event::Body;
use contracts::v1::{AccountEntry, AccountMarked, BrokerReconciled, EntryKind, HoldingPrice};
use domain::book::Book;
use domain::money::{Amount, Price};
use projections::{Name, queries};

use crate::support::{HOUR, Outcome, SECOND, START, World, deposit, event, money};

#[tokio::test]
async fn what_a_broker_says_that_holdings_are_worth_comes_back_with_the_book() -> Outcome {
    let world = World::new().await;
    let marked = AccountMarked {
        account: "paper".to_owned(),
        equity: money(50_000),
        session_start: true,
        ..AccountMarked::default()
    };
    let found = AccountEntry {
        account: "paper".to_owned(),
        kind: EntryKind::External.into(),
        strategy: contracts::MANUAL.to_owned(),
        symbol: "NVDA".to_owned(),
        amount: money(9_600),
        quantity_e9: 60 * SECOND,
        price_e9: Some(160 * SECOND),
        ..AccountEntry::default()
    };
    let reconciled = BrokerReconciled {
        account: "paper".to_owned(),
        occasion: "poll".to_owned(),
        prices: vec![HoldingPrice { symbol: "NVDA".to_owned(), price_e9: 150 * SECOND }],
        ..BrokerReconciled::default()
    };
    let events = [
        deposit("paper", 50_000),
        event("mark", START + HOUR, Body::AccountMarked(marked)),
        event("found", START + 2 * HOUR, Body::AccountEntry(found)),
        event("reconciled", START + 3 * HOUR, Body::BrokerReconciled(reconciled)),
    ];
    let mut expected = Book::default();
    for event in events {
        let sequence = world.append(event.clone(), None).await;
        expected.apply(sequence, &event)?;
    }
    world.catch_up(Name::Trading).await;
    let book = queries::load_book(&world.reader).await?;
    let account = book.account("paper").unwrap();
    assert_eq!(Some(account), expected.account("paper"));
    assert_eq!(account.told_price("NVDA"), Some((Price(150 * SECOND), START + 3 * HOUR)));
    let rows = queries::accounts(&world.reader).await?;
    assert_eq!(rows[0].day_pnl, Some(Amount::ZERO), "what was brought in since the mark is no loss");
    Ok(())
}
