//! Corrections and busts of executions: the book is as if they had been right from the beginning. And lots: first in,
//! first out, beside the average.

use contracts::v1::event::Body;
use contracts::v1::{AccountEntry, EntryKind, Event, OrderSpec, Side};
use domain::book::identity::check_identity;
use domain::book::{Book, PositionKey, refold};
use domain::invariant::{Invariant, Watch};
use domain::money::{Amount, Price, Quantity};
use domain::order::{BrokerReport, Execution, decide};
use proptest::prelude::*;

use crate::support::{
    ACCOUNT, STRATEGY, SYMBOL, amount, approval, deposit, event, fill, price, shares, spec,
};

fn fold(book: &mut Book, journal: &mut Vec<Event>, bodies: impl IntoIterator<Item = Body>) {
    for body in bodies {
        let sequence = book.sequence() + 1;
        let event = event(i64::try_from(sequence).unwrap(), body);
        book.apply(sequence, &event).unwrap();
        journal.push(event);
    }
}

fn key() -> PositionKey {
    PositionKey::new(ACCOUNT, STRATEGY, SYMBOL)
}

fn order(number: usize, buy: bool, quantity: Quantity) -> OrderSpec {
    let side = if buy { Side::Buy } else { Side::Sell };
    OrderSpec { side: side.into(), quantity_e9: quantity.0, ..spec(&format!("order-{number}")) }
}

/// One trade: whether it buys, shares, price.
type Trade = (bool, i64, i64);

fn trade(book: &mut Book, journal: &mut Vec<Event>, number: usize, (buy, quantity, at): Trade) {
    let spec = order(number, buy, Quantity(quantity));
    fold(book, journal, [approval(&spec, Price(at)), fill(&spec, 1, Quantity(quantity), Price(at), "1")]);
}

fn correct(book: &mut Book, journal: &mut Vec<Event>, number: usize, now: Option<(i64, i64)>) {
    let id = format!("order-{number}");
    let report = match now {
        Some((quantity, at)) => BrokerReport::Corrected {
            correction_id: format!("c-{}", journal.len()),
            execution: Execution {
                execution_id: format!("x-{id}-1"),
                quantity: Quantity(quantity),
                price: Price(at),
                commission: amount("1"),
                slippage: Price::ZERO,
                executed_ns: 1,
                ambiguous: false,
            },
        },
        None => BrokerReport::Busted {
            correction_id: format!("c-{}", journal.len()),
            execution_id: format!("x-{id}-1"),
            reason: "erroneous".to_owned(),
        },
    };
    let Some(mut body) = decide::report(book.order(&id).unwrap(), &report).unwrap() else { return };
    let stated = refold(&key(), journal, &body).unwrap();
    match &mut body {
        Body::FillCorrected(event) => event.position = Some(stated),
        Body::FillBusted(event) => event.position = Some(stated),
        other => panic!("{other:?}"),
    }
    fold(book, journal, [body]);
    assert_eq!(decide::report(book.order(&id).unwrap(), &report), Ok(None), "a correction is folded once");
}

#[test]
fn a_busted_purchase_that_was_sold_meanwhile_leaves_the_sale_a_short_one() {
    let (mut book, mut journal) = (Book::default(), Vec::new());
    fold(&mut book, &mut journal, [deposit("100000")]);
    let dollars = |units: i64| units * 1_000_000_000;
    trade(&mut book, &mut journal, 0, (true, dollars(100), dollars(50)));
    trade(&mut book, &mut journal, 1, (false, dollars(100), dollars(55)));
    assert_eq!(book.position(ACCOUNT, STRATEGY, SYMBOL).unwrap().realized_pnl, amount("500"));
    correct(&mut book, &mut journal, 0, None);
    let position = book.position(ACCOUNT, STRATEGY, SYMBOL).unwrap();
    assert_eq!((position.quantity, position.cost), (shares("-100"), amount("-5500")));
    assert_eq!((position.realized_pnl, position.fees), (amount("0"), amount("1")));
    let account = book.account(ACCOUNT).unwrap();
    assert_eq!(
        (account.cash, account.fees, account.realized_pnl),
        (amount("105499"), amount("1"), amount("0"))
    );
    check_identity(&book).unwrap();
}

#[test]
fn what_is_restated_behind_a_split_is_in_its_terms() {
    for now in [None, Some((shares("5").0, price("50").0))] {
        let (mut book, mut journal) = (Book::default(), Vec::new());
        fold(&mut book, &mut journal, [deposit("100000")]);
        trade(&mut book, &mut journal, 0, (true, shares("10").0, price("50").0));
        trade(&mut book, &mut journal, 1, (true, shares("20").0, price("50").0));
        // One new share for five old ones.
        let split = AccountEntry {
            account: ACCOUNT.to_owned(),
            kind: EntryKind::Split.into(),
            strategy: STRATEGY.to_owned(),
            symbol: SYMBOL.to_owned(),
            quantity_after_e9: shares("6").0,
            ..AccountEntry::default()
        };
        fold(&mut book, &mut journal, [Body::AccountEntry(split)]);
        correct(&mut book, &mut journal, 0, now);
        let held = if now.is_none() { "4" } else { "5" };
        assert_eq!(book.position(ACCOUNT, STRATEGY, SYMBOL).unwrap().quantity, shares(held));
        check_identity(&book).unwrap();
        let mut watch = Watch::default();
        let watched = (1_u64..).zip(&journal).flat_map(|(sequence, event)| watch.fold(sequence, event));
        let found: Vec<_> =
            watched.filter(|violation| violation.invariant == Invariant::FillsAgree).collect();
        assert_eq!(found, []);
    }
}

#[test]
fn a_statement_that_makes_money_is_refused() {
    let (mut book, mut journal) = (Book::default(), Vec::new());
    fold(&mut book, &mut journal, [deposit("100000")]);
    trade(&mut book, &mut journal, 0, (true, shares("10").0, price("50").0));
    let report = BrokerReport::Busted {
        correction_id: "c".to_owned(),
        execution_id: "x-order-0-1".to_owned(),
        reason: String::new(),
    };
    let Ok(Some(Body::FillBusted(mut event_body))) = decide::report(book.order("order-0").unwrap(), &report)
    else {
        panic!()
    };
    event_body.position = Some(contracts::v1::PositionStated::default());
    event_body.position.as_mut().unwrap().realized_pnl = amount("1").to_wire();
    let error = book.apply(99, &event(99, Body::FillBusted(event_body))).unwrap_err();
    assert!(error.to_string().contains("made or lost"), "{error}");
}

#[test]
fn first_in_first_out_realises_by_the_oldest_shares() {
    let (mut book, mut journal) = (Book::default(), Vec::new());
    fold(&mut book, &mut journal, [deposit("100000")]);
    for (number, (buy, quantity, at)) in
        [(true, "10", "50"), (true, "10", "60"), (false, "15", "70"), (true, "5", "65")]
            .into_iter()
            .enumerate()
    {
        trade(&mut book, &mut journal, number, (buy, shares(quantity).0, price(at).0));
    }
    let lots = book.lots(&key()).unwrap();
    assert_eq!((lots.realized, lots.cost(), lots.quantity()), (amount("250"), amount("625"), shares("10")));
    // 15 x 70 - 15 x 55 by the average.
    assert_eq!(book.position(ACCOUNT, STRATEGY, SYMBOL).unwrap().realized_pnl, amount("225"));
}

#[test]
fn shares_found_at_the_broker_count_as_brought_in() {
    let mut book = Book::default();
    fold(
        &mut book,
        &mut Vec::new(),
        [
            deposit("1000"),
            Body::AccountEntry(AccountEntry {
                account: ACCOUNT.to_owned(),
                kind: EntryKind::External.into(),
                strategy: contracts::MANUAL.to_owned(),
                symbol: SYMBOL.to_owned(),
                quantity_e9: shares("7").0,
                amount: amount("350").to_wire(),
                ..AccountEntry::default()
            }),
            Body::AccountEntry(AccountEntry {
                account: ACCOUNT.to_owned(),
                kind: EntryKind::Fee.into(),
                amount: amount("-3").to_wire(),
                ..AccountEntry::default()
            }),
        ],
    );
    let account = book.account(ACCOUNT).unwrap();
    assert_eq!((account.cash, account.deposits, account.fees), (amount("997"), amount("1350"), amount("3")));
    assert_eq!(book.position(ACCOUNT, contracts::MANUAL, SYMBOL).unwrap().quantity, shares("7"));
    check_identity(&book).unwrap();
}

fn trades() -> impl Strategy<Value = Vec<Trade>> {
    proptest::collection::vec((any::<bool>(), 1i64..200, 1i64..1_000), 1..12).prop_map(|trades| {
        trades.into_iter().map(|(buy, n, at)| (buy, n * 100_000_000, at * 100_000_000)).collect()
    })
}

proptest! {
    #[test]
    fn a_correction_leaves_the_book_as_if_it_had_been_so_from_the_beginning(
        trades in trades(),
        corrections in proptest::collection::vec(
            (any::<prop::sample::Index>(), proptest::option::of((1i64..200, 1i64..1_000))), 1..4),
    ) {
        let (mut book, mut journal) = (Book::default(), Vec::new());
        fold(&mut book, &mut journal, [deposit("100000")]);
        for (number, trade_) in trades.iter().enumerate() {
            trade(&mut book, &mut journal, number, *trade_);
        }
        let mut right: Vec<Option<Trade>> = trades.iter().copied().map(Some).collect();
        for (which, now) in corrections {
            let number = which.index(trades.len());
            let Some((buy, ..)) = right[number] else { continue };
            // Never more than was ordered.
            let now = now.map(|(n, at)| ((n * 100_000_000).min(trades[number].1), at * 100_000_000));
            correct(&mut book, &mut journal, number, now);
            right[number] = now.map(|(quantity, at)| (buy, quantity, at));
        }
        let (mut fresh, mut unused) = (Book::default(), Vec::new());
        fold(&mut fresh, &mut unused, [deposit("100000")]);
        for (number, trade_) in right.iter().enumerate() {
            if let Some(trade_) = trade_ {
                trade(&mut fresh, &mut unused, number, *trade_);
            }
        }
        let of = |book: &Book| book.position(ACCOUNT, STRATEGY, SYMBOL).map(|row| (row.quantity, row.cost, row.realized_pnl, row.fees)).unwrap_or_default();
        prop_assert_eq!(of(&book), of(&fresh));
        let money = |book: &Book| { let row = book.account(ACCOUNT).unwrap(); (row.cash, row.fees, row.realized_pnl) };
        prop_assert_eq!(money(&book), money(&fresh));
        let lots = |book: &Book| { let lots = book.lots(&key()).cloned().unwrap_or_default(); (lots.quantity(), lots.cost(), lots.realized) };
        prop_assert_eq!(lots(&book), lots(&fresh));
        check_identity(&book).map_err(|broken| TestCaseError::fail(broken.to_string()))?;
    }

    #[test]
    fn both_conventions_hold_the_same_shares_and_the_same_money(trades in trades()) {
        let (mut book, mut journal) = (Book::default(), Vec::new());
        fold(&mut book, &mut journal, [deposit("100000")]);
        for (number, trade_) in trades.iter().enumerate() {
            trade(&mut book, &mut journal, number, *trade_);
        }
        let position = book.position(ACCOUNT, STRATEGY, SYMBOL).unwrap();
        let lots = book.lots(&key()).unwrap();
        prop_assert_eq!(lots.quantity(), position.quantity);
        prop_assert_eq!(Amount(lots.cost().0 - lots.realized.0), Amount(position.cost.0 - position.realized_pnl.0));
    }
}
