//! Properties of the book under random fills, splits, dividends and deposits.

use contracts::v1::event::Body;
use contracts::v1::{Event, OrderSpec, Side};
use domain::book::identity::check_identity;
use domain::book::{Book, Prices, cash_in_lieu_entries, dividend_entries, mark, split_entries};
use domain::corporate_action::SplitRatio;
use domain::money::{Amount, Price, Quantity};
use proptest::prelude::*;

use crate::support::{ACCOUNT, approval, deposit, event, fill};

const SYMBOLS: [&str; 2] = ["ACME", "BRK.B"];
const STRATEGIES: [&str; 2] = ["trend", "pairs"];

#[derive(Clone, Debug)]
enum Step {
    Trade { strategy: usize, symbol: usize, buy: bool, quantity: i64, price: i64, commission: i64 },
    Split { symbol: usize, new: i64, old: i64 },
    Dividend { symbol: usize, per_share: i64 },
    CashInLieu { symbol: usize, price: i64 },
    Deposit(i64),
}

fn any_step() -> impl Strategy<Value = Step> {
    let price = 1i64..1_000_000_000_000;
    // Thousandths of a share, so that odd averages and fractions occur.
    let trade = (0usize..2, 0usize..2, any::<bool>(), 1i64..500_000, price.clone(), 0i64..5_000_000_000);
    prop_oneof![
        6 => trade.prop_map(|(strategy, symbol, buy, quantity, price, commission)| Step::Trade {
            strategy, symbol, buy, quantity: quantity * 1_000_000, price, commission,
        }),
        1 => (0usize..2, 1i64..8, 1i64..8).prop_map(|(symbol, new, old)| Step::Split { symbol, new, old }),
        1 => (0usize..2, price.clone()).prop_map(|(symbol, per_share)| Step::Dividend { symbol, per_share }),
        1 => (0usize..2, price.clone()).prop_map(|(symbol, price)| Step::CashInLieu { symbol, price }),
        1 => price.prop_map(Step::Deposit),
    ]
}

/// The events of a step, as the shells make them from the book.
fn events(book: &Book, number: usize, step: &Step) -> Vec<Body> {
    let entries = |entries: Vec<_>| entries.into_iter().map(Body::AccountEntry).collect();
    match *step {
        Step::Trade { strategy, symbol, buy, quantity, price, commission } => {
            let spec = OrderSpec {
                order_id: format!("order-{number}"),
                account: ACCOUNT.to_owned(),
                strategy: STRATEGIES[strategy].to_owned(),
                symbol: SYMBOLS[symbol].to_owned(),
                side: if buy { Side::Buy } else { Side::Sell }.into(),
                quantity_e9: quantity,
                ..OrderSpec::default()
            };
            let commission = Amount(commission.into()).to_string();
            let fill = fill(&spec, 1, Quantity(quantity), Price(price), &commission);
            vec![approval(&spec, Price(price)), fill]
        }
        Step::Split { symbol, new, old } => {
            let ratio = SplitRatio::from_terms(new, old).unwrap();
            entries(split_entries(book, SYMBOLS[symbol], ratio, "action").unwrap())
        }
        Step::Dividend { symbol, per_share } => {
            entries(dividend_entries(book, SYMBOLS[symbol], Price(per_share), "action").unwrap())
        }
        Step::CashInLieu { symbol, price } => {
            entries(cash_in_lieu_entries(book, SYMBOLS[symbol], Price(price), "bar").unwrap())
        }
        Step::Deposit(nanos) => vec![deposit(&Amount(nanos.into()).to_string())],
    }
}

/// Folds the steps and returns the book and the tape.
fn run(steps: &[Step]) -> (Book, Vec<Event>) {
    let (mut book, mut tape) = (Book::default(), Vec::new());
    for (number, step) in steps.iter().enumerate() {
        for body in events(&book, number, step) {
            let event = event(i64::try_from(tape.len()).unwrap(), body);
            book.apply(tape.len() as u64 + 1, &event).unwrap();
            check_identity(&book).unwrap();
            tape.push(event);
        }
    }
    (book, tape)
}

proptest! {
    #[test]
    fn money_adds_up_after_every_event(steps in prop::collection::vec(any_step(), 1..60)) {
        let (book, _) = run(&steps);
        // Valued at one price each, equity is what was brought in plus what was earned.
        let mut prices = Prices::default();
        for symbol in SYMBOLS {
            prices.observe(symbol, Price(7_000_000_001), 1);
        }
        let Ok(marked) = mark(&book, ACCOUNT, &prices, false) else { return Ok(()) };
        let account = book.account(ACCOUNT).unwrap();
        let amount = |money: &Option<contracts::v1::Money>| Amount::from_wire(money.as_ref()).0;
        let earned = amount(&marked.realized_pnl) + amount(&marked.unrealized_pnl) + account.dividends.0;
        prop_assert_eq!(amount(&marked.equity), account.deposits.0 + earned - account.fees.0);
        for position in book.positions() {
            prop_assert!(position.quantity.0 != 0 || position.cost == Amount::ZERO, "{:?}", position);
            prop_assert!(position.fraction.0 != 0 || position.fraction_cost == Amount::ZERO);
        }
        let by_position: i128 = book.positions().map(|position| position.realized_pnl.0).sum();
        prop_assert_eq!(by_position, account.realized_pnl.0);
    }

    /// A book stored as rows at any point and loaded again ends as the one that folded everything, and
    /// what was folded before changes nothing when it comes again.
    #[test]
    fn a_book_of_rows_goes_on_as_the_book_itself(
        steps in prop::collection::vec(any_step(), 1..30),
        cut in 0usize..60,
    ) {
        let (book, tape) = run(&steps);
        let cut = cut.min(tape.len());
        let mut first = Book::default();
        for (sequence, event) in (1..).zip(&tape[..cut]) {
            first.apply(sequence, event).unwrap();
        }
        let mut second = Book::from_parts(first.to_parts());
        for (sequence, event) in (1..).zip(&tape) {
            let changes = second.apply(sequence, event).unwrap();
            prop_assert_eq!(changes.is_empty(), sequence <= cut as u64);
        }
        prop_assert_eq!(format!("{:?}", second.to_parts()), format!("{:?}", book.to_parts()));
    }

    /// Buying any lots and selling them all leaves no cost and exactly the difference as profit.
    #[test]
    fn a_round_trip_earns_the_difference(
        lots in prop::collection::vec((1i64..1_000_000_000_000, 1i64..1_000_000_000_000), 1..10),
        out in 1i64..1_000_000_000_000,
    ) {
        let mut steps: Vec<_> = lots
            .iter()
            .map(|&(quantity, price)| Step::Trade {
                strategy: 0, symbol: 0, buy: true, quantity, price, commission: 0,
            })
            .collect();
        let quantity = lots.iter().map(|lot| lot.0).sum();
        steps.push(Step::Trade { strategy: 0, symbol: 0, buy: false, quantity, price: out, commission: 0 });
        let (book, _) = run(&steps);
        let paid: i128 =
            lots.iter().map(|&(quantity, price)| Amount::notional(Price(price), Quantity(quantity)).0).sum();
        let got = Amount::notional(Price(out), Quantity(quantity)).0;
        prop_assert_eq!(book.account(ACCOUNT).unwrap().realized_pnl.0, got - paid);
        prop_assert_eq!(book.net_quantity(ACCOUNT, SYMBOLS[0]), Quantity::ZERO);
    }
}
