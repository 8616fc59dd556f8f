//! Shares that a broker outside holds and nobody on the tape traded: what they are worth, and what they do to the day.

use contracts::MANUAL;
use contracts::v1::event::Body;
use contracts::v1::{AccountEntry, AccountMarked, BrokerReconciled, EntryKind, HoldingPrice};
use domain::book::identity::check_identity;
use domain::book::{Book, MarkError, Prices, mark};
use domain::corporate_action::SplitRatio;
use domain::money::Amount;

use crate::support::{ACCOUNT, SYMBOL, amount, book_of, deposit, fold, money, price, shares};

/// Shares that were found, or that are gone, at their cost.
fn found(quantity: &str, cost: &str, stated: Option<&str>) -> Body {
    Body::AccountEntry(AccountEntry {
        account: ACCOUNT.to_owned(),
        kind: EntryKind::External.into(),
        strategy: MANUAL.to_owned(),
        symbol: SYMBOL.to_owned(),
        amount: money(cost),
        quantity_e9: shares(quantity).0,
        price_e9: stated.map(|text| price(text).0),
        ..AccountEntry::default()
    })
}

fn reconciled(stated: &str) -> Body {
    let prices = vec![HoldingPrice { symbol: SYMBOL.to_owned(), price_e9: price(stated).0 }];
    Body::BrokerReconciled(BrokerReconciled {
        account: ACCOUNT.to_owned(),
        prices,
        ..BrokerReconciled::default()
    })
}

/// 50,000 in cash at the first mark of a session.
fn began() -> Book {
    let first = AccountMarked {
        account: ACCOUNT.to_owned(),
        equity: money("50000"),
        session_start: true,
        ..AccountMarked::default()
    };
    book_of([deposit("50000"), Body::AccountMarked(first)])
}

fn day(book: &Book) -> Amount {
    book.account(ACCOUNT).unwrap().day_pnl().unwrap()
}

/// Marks the account as execution does; answers its equity and what the day comes to.
fn marked(book: &mut Book, prices: &mut Prices) -> (Amount, Amount) {
    prices.tell(book.account(ACCOUNT).unwrap(), |_| true);
    let body = mark(book, ACCOUNT, prices, false).unwrap();
    let equity = Amount::from_wire(body.equity.as_ref());
    fold(book, [Body::AccountMarked(body)]);
    (equity, day(book))
}

#[test]
fn the_day_counts_what_was_found_from_its_price_until_it_is_gone() {
    let (mut book, mut prices) = (began(), Prices::default());
    fold(&mut book, [found("60", "9600", Some("160"))]);
    assert_eq!(day(&book), Amount::ZERO, "before the next mark too");
    assert_eq!(marked(&mut book, &mut prices), (amount("59600"), Amount::ZERO));
    fold(&mut book, [reconciled("150")]);
    assert_eq!(marked(&mut book, &mut prices), (amount("59000"), amount("-600")));
    fold(&mut book, [found("-60", "-9600", Some("150"))]);
    assert_eq!(day(&book), amount("-600"), "what was lost meanwhile stays lost");
    assert_eq!(marked(&mut book, &mut prices), (amount("50000"), amount("-600")));
    check_identity(&book).unwrap();
}

#[test]
fn what_it_gained_before_it_was_found_is_no_profit_of_the_day() {
    let (mut book, mut prices) = (began(), Prices::default());
    fold(&mut book, [found("60", "6000", Some("160"))]);
    assert_eq!(marked(&mut book, &mut prices), (amount("59600"), Amount::ZERO));
    let account = book.account(ACCOUNT).unwrap();
    assert_eq!(account.mark.as_ref().unwrap().unrealized_pnl, amount("3600"));
    assert_eq!(account.deposits, amount("56000"), "over all it cost what it cost");
    check_identity(&book).unwrap();
}

#[test]
fn without_a_price_it_counts_at_its_cost_and_cannot_be_valued() {
    let mut book = began();
    fold(&mut book, [found("60", "9600", None)]);
    assert_eq!(day(&book), Amount::ZERO);
    assert!(book.account(ACCOUNT).unwrap().told_prices.is_empty());
    let unpriced = mark(&book, ACCOUNT, &Prices::default(), false).unwrap_err();
    assert_eq!(unpriced, MarkError::NoPrice { account: ACCOUNT.into(), symbol: SYMBOL.into() });
}

#[test]
fn a_stated_price_is_one_as_of_its_event() {
    let mut book = began();
    // Stated at 3 and at 4, as the events are numbered.
    fold(&mut book, [found("60", "9600", Some("160")), reconciled("158")]);
    let account = book.account(ACCOUNT).unwrap();
    assert_eq!(account.told_price(SYMBOL), Some((price("158"), 4)));
    let told = |prices: &mut Prices| {
        prices.tell(account, |_| true);
        prices.get(SYMBOL).unwrap().price
    };
    let mut older = Prices::default();
    older.observe(SYMBOL, price("170"), 2);
    assert_eq!(told(&mut older), price("158"));
    let mut newer = Prices::default();
    newer.observe(SYMBOL, price("170"), 9);
    assert_eq!(told(&mut newer), price("170"));
    // A split restates it, and taking it once more does not undo that.
    older.split(SYMBOL, SplitRatio::from_terms(2, 1).unwrap(), 8);
    assert_eq!(told(&mut older), price("79"));

    assert_eq!(Prices::default().of_holding(Some(account), SYMBOL), Some(price("158")));
    assert_eq!(newer.of_holding(Some(account), SYMBOL), Some(price("170")));
    assert_eq!(Prices::default().of_holding(None, SYMBOL), None);
    // As an order is judged by it: in new shares from a split on, and one of before has none to add.
    let mut split = Prices::default();
    for effective_ns in [3, 8, 8] {
        split.split(SYMBOL, SplitRatio::from_terms(2, 1).unwrap(), effective_ns);
    }
    assert_eq!(split.of_holding(Some(account), SYMBOL), Some(price("79")));
}

#[test]
fn what_was_priced_before_a_split_is_taken_in_the_shares_of_now() {
    let mut book = began();
    // Stated at 3, and marked with that at 4.
    fold(&mut book, [found("60", "9600", Some("160"))]);
    marked(&mut book, &mut Prices::default());
    let account = book.account(ACCOUNT).unwrap();
    let ratio = SplitRatio::from_terms(2, 1).unwrap();
    let mut split = Prices::default();
    split.split(SYMBOL, ratio, 8);
    let check = |tells: bool, seeds: bool, told: bool| {
        let mut prices = split.only([SYMBOL]);
        if tells {
            prices.tell(account, |_| true);
        }
        if seeds {
            prices.seed(account);
        }
        // Seen once more it restates nothing.
        prices.split(SYMBOL, ratio, 8);
        let known = prices.get(SYMBOL).unwrap();
        assert_eq!((known.price, known.time_ns, known.told), (price("80"), 3, told));
        // A bar of that time is where the price is from.
        prices.is_of_bar(SYMBOL, 4);
        assert_eq!(prices.get(SYMBOL).unwrap().told, told);
        prices.is_of_bar(SYMBOL, 3);
        assert!(!prices.get(SYMBOL).unwrap().told);
    };
    check(true, false, true);
    check(true, true, true);
    // The mark alone does not say that a broker stated it.
    check(false, true, false);
    assert_eq!(split.only([]).get(SYMBOL), None);
}

#[test]
fn what_is_held_no_more_has_no_stated_price_after_the_next_one() {
    let mut book = began();
    fold(&mut book, [found("60", "9600", Some("160")), found("-60", "-9600", Some("150"))]);
    let account = book.account(ACCOUNT).unwrap();
    assert_eq!(account.told_price(SYMBOL), Some((price("160"), 3)), "its last price is no new one");
    fold(&mut book, [reconciled("140")]);
    assert!(book.account(ACCOUNT).unwrap().told_prices.is_empty());
}
