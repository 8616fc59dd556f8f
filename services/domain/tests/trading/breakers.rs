//! Circuit breakers: what trips them, what ends them, and what does not.

use contracts::v1::event::Body;
use contracts::v1::{BreakerKind, BreakerReset, OrderAccepted, OrderRejected, Side, TradingState};
use domain::book::{Prices, Scope, mark};
use domain::calendar::Calendar;
use domain::money::Quantity;
use domain::risk::breaker;

use crate::scopes::{NOW, World};
use crate::support::{
    ACCOUNT, STRATEGY, SYMBOL, approval, at, book_of, configured, deposit, event, fill, limits, price,
    shares, spec, submitted,
};

/// What the next mark trips, by name, once it is folded.
fn marked(world: &mut World, session_start: bool) -> Vec<String> {
    let body = mark(&world.book, ACCOUNT, &world.prices, session_start).unwrap();
    let due = breaker::due(&world.book, &body, Calendar::xnys(), world.now_ns);
    let name = |body: &Body| match body {
        Body::BreakerTripped(event) => {
            format!("{}{} {}", breaker::name(event.kind()), event.strategy, event.state().as_str_name())
        }
        Body::BreakerReset(event) => format!("reset {}", breaker::name(event.kind())),
        _ => "other".to_owned(),
    };
    let names = due.iter().map(name).collect();
    let most = breaker::most(&world.book, ACCOUNT);
    assert!(due.len() <= most.max(1), "{} of {most}", due.len());
    world.fold(due);
    let sequence = world.book.sequence() + 1;
    world.now_ns += 1_000_000_000;
    world.book.apply(sequence, &event(world.now_ns, Body::AccountMarked(body))).unwrap();
    names
}

fn at_price(world: &mut World, text: &str) {
    world.now_ns += 1_000_000_000;
    world.bars(&[(SYMBOL, &[text.parse().unwrap()])]);
}

fn reset(world: &mut World, kind: BreakerKind, strategy: &str) {
    world.fold([Body::BreakerReset(BreakerReset {
        account: ACCOUNT.to_owned(),
        strategy: strategy.to_owned(),
        kind: kind.into(),
        ..BreakerReset::default()
    })]);
}

/// A round trip of the strategy at 50 and another price, without costs.
fn trade(world: &mut World, exit: &str) {
    let id = |name: &str, world: &World| contracts::order_id(&format!("{name}{}", world.book.sequence()), 0);
    let buy = spec(&id("buy", world));
    let size = Quantity(buy.quantity_e9);
    world.fold([approval(&buy, price("50")), submitted(&buy), fill(&buy, 1, size, price("50"), "0")]);
    let mut sell = spec(&id("sell", world));
    (sell.side, sell.reducing) = (Side::Sell.into(), true);
    world.fold([approval(&sell, price(exit)), submitted(&sell), fill(&sell, 1, size, price(exit), "0")]);
}

#[test]
fn drawdown_counts_from_the_peak_and_only_an_operator_ends_it() {
    let mut world = World::new();
    world.of_account(&[("breaker_drawdown", "0.02:halt")]);
    world.hold(SYMBOL, 1_000);
    at_price(&mut world, "60");
    // 110,000 is the peak; unrealised profit counts once.
    assert!(marked(&mut world, false).is_empty());
    assert_eq!(world.book.account(ACCOUNT).unwrap().peak_equity, Some(crate::support::amount("110000")));
    at_price(&mut world, "57.81");
    assert!(marked(&mut world, false).is_empty());
    at_price(&mut world, "57.8");
    assert_eq!(marked(&mut world, false), ["drawdown TRADING_STATE_HALTED"]);
    // Once, and a new peak or a new session does not clear it.
    assert!(marked(&mut world, false).is_empty());
    at_price(&mut world, "70");
    assert!(marked(&mut world, true).is_empty());
    assert_eq!(world.book.tripped(ACCOUNT, STRATEGY).count(), 1);
    // An operator does; the peak begins anew where equity is.
    at_price(&mut world, "69");
    marked(&mut world, false);
    reset(&mut world, BreakerKind::Drawdown, "");
    assert_eq!(world.book.tripped(ACCOUNT, STRATEGY).count(), 0);
    assert!(marked(&mut world, false).is_empty());
    at_price(&mut world, "66.5");
    assert_eq!(marked(&mut world, false), ["drawdown TRADING_STATE_HALTED"]);
}

#[test]
fn one_that_halts_takes_the_place_of_one_that_lets_reducing_pass() {
    let world = || {
        let mut world = World::new();
        world.of_account(&[("breaker_drawdown", "0.05:halt")]);
        world.limit(Scope::new("", "", ""), &[("breaker_drawdown", "0.02")]);
        world.hold(SYMBOL, 1_000);
        marked(&mut world, false);
        world
    };
    let states = |world: &World| -> Vec<_> {
        world.book.tripped(ACCOUNT, STRATEGY).map(contracts::v1::BreakerState::state).collect()
    };
    // Of 100,000: first 3 % are lost, then 6 %.
    let mut slowly = world();
    at_price(&mut slowly, "47");
    assert_eq!(marked(&mut slowly, false), ["drawdown TRADING_STATE_REDUCE_ONLY"]);
    assert_eq!(states(&slowly), [TradingState::ReduceOnly]);
    at_price(&mut slowly, "44");
    assert_eq!(marked(&mut slowly, false), ["drawdown TRADING_STATE_HALTED"]);
    assert_eq!(states(&slowly), [TradingState::Halted], "one in the place of the other");
    // It stays, also when less is lost again.
    at_price(&mut slowly, "47");
    assert!(marked(&mut slowly, false).is_empty());
    assert_eq!(states(&slowly), [TradingState::Halted]);
    // Where one mark trips both, the stronger one alone is said.
    let mut at_once = world();
    at_price(&mut at_once, "44");
    assert_eq!(marked(&mut at_once, false), ["drawdown TRADING_STATE_HALTED"]);
    assert_eq!(states(&at_once), [TradingState::Halted]);
    reset(&mut at_once, BreakerKind::Drawdown, "");
    assert!(states(&at_once).is_empty());
}

#[test]
fn an_account_without_money_has_lost_none() {
    let book = book_of([configured(limits())]);
    let mut world = World { book, prices: Prices::default(), now_ns: at(NOW) };
    world.of_account(&[("breaker_drawdown", "0.1"), ("breaker_daily_loss", "0.03:halt")]);
    assert!(marked(&mut world, true).is_empty());
    world.fold([deposit("100000")]);
    assert!(marked(&mut world, false).is_empty());
    // What is taken out again is no loss either.
    world.fold([deposit("-100000")]);
    assert!(marked(&mut world, false).is_empty());
}

#[test]
fn the_loss_of_a_day_ends_with_the_day() {
    let mut world = World::new();
    world.of_account(&[("breaker_daily_loss", "0.01")]);
    world.hold(SYMBOL, 1_000);
    marked(&mut world, true);
    at_price(&mut world, "49.01");
    assert!(marked(&mut world, false).is_empty());
    at_price(&mut world, "49");
    assert_eq!(marked(&mut world, false), ["daily_loss TRADING_STATE_REDUCE_ONLY"]);
    at_price(&mut world, "50");
    assert!(marked(&mut world, false).is_empty(), "what was lost and came back stays tripped");
    assert_eq!(world.book.tripped(ACCOUNT, "").count(), 1);
    assert_eq!(marked(&mut world, true), ["reset daily_loss"]);
    assert_eq!(world.book.tripped(ACCOUNT, "").count(), 0);
    // A new session that opens with a loss trips again at once.
    at_price(&mut world, "48");
    marked(&mut world, false);
    at_price(&mut world, "46");
    assert_eq!(marked(&mut world, true), ["reset daily_loss", "daily_loss TRADING_STATE_REDUCE_ONLY"]);
}

#[test]
fn losses_in_a_row_are_of_closed_trades() {
    let mut world = World::new();
    world.of_account(&[("breaker_consecutive_losses", "3")]);
    for exit in ["49", "49", "51", "49", "49"] {
        trade(&mut world, exit);
        assert!(marked(&mut world, false).is_empty());
    }
    trade(&mut world, "49.99");
    assert_eq!(marked(&mut world, false), ["consecutive_losses TRADING_STATE_REDUCE_ONLY"]);
    reset(&mut world, BreakerKind::Unspecified, "");
    assert!(marked(&mut world, false).is_empty());
}

#[test]
fn a_strategy_that_does_not_win_is_stopped() {
    let mut world = World::new();
    world.limit(Scope::new("", STRATEGY, ""), &[("breaker_win_rate", "0.35")]);
    // Four trades say nothing; one of five that won is too few, and the mean is a loss.
    for exit in ["49", "49", "49", "49.5"] {
        trade(&mut world, exit);
        assert!(marked(&mut world, false).is_empty());
    }
    trade(&mut world, "50.5");
    assert_eq!(marked(&mut world, false), [format!("win_rate{STRATEGY} TRADING_STATE_REDUCE_ONLY")]);
    assert!(world.book.is_stopped(ACCOUNT, STRATEGY, false));
    assert!(!world.book.is_stopped(ACCOUNT, "somebody", false));
    reset(&mut world, BreakerKind::WinRate, STRATEGY);
    assert!(!world.book.is_stopped(ACCOUNT, STRATEGY, false));
    // Few winners that win much are no reason: the mean is a profit.
    for exit in ["49", "49", "49", "49", "60"] {
        trade(&mut world, exit);
    }
    assert!(marked(&mut world, false).is_empty());
    // Of the last ten only: the winner above is the eleventh from the end.
    for _ in 0..10 {
        trade(&mut world, "49");
    }
    assert_eq!(world.book.tally(ACCOUNT, STRATEGY).unwrap().recent.len(), 10);
    assert_eq!(marked(&mut world, false).len(), 1);
}

#[test]
fn refusals_of_the_broker_are_counted_where_a_breaker_asks() {
    let mut world = World::new();
    world.of_account(&[("breaker_broker_errors", "0.5:halt")]);
    let answer = |world: &mut World, index: u32, refused: bool| {
        let order = spec(&contracts::order_id("answer", index));
        let order_id = order.order_id.clone();
        let body = if refused {
            Body::OrderRejected(OrderRejected { order_id, reason: "no".to_owned() })
        } else {
            Body::OrderAccepted(OrderAccepted { order_id, broker_order_id: "b".to_owned(), reopened: false })
        };
        world.fold([approval(&order, price("50")), submitted(&order), body]);
        marked(world, false)
    };
    for (index, refused) in [true, true, false, false].into_iter().enumerate() {
        assert!(answer(&mut world, u32::try_from(index).unwrap(), refused).is_empty());
    }
    assert_eq!(answer(&mut world, 4, true), ["broker_errors TRADING_STATE_HALTED"]);
}

#[test]
fn a_trade_is_from_flat_to_flat_with_its_fees() {
    let mut world = World::new();
    let buy = spec(&contracts::order_id("in", 0));
    world.fold([approval(&buy, price("50")), submitted(&buy)]);
    for number in 1..=2 {
        world.fold([fill(&buy, number, shares("50"), price("50"), "1")]);
    }
    let mut sell = spec(&contracts::order_id("out", 0));
    (sell.side, sell.quantity_e9) = (Side::Sell.into(), shares("150").0);
    world.fold([approval(&sell, price("51")), submitted(&sell)]);
    world.fold([fill(&sell, 1, shares("40"), price("51"), "1")]);
    assert_eq!(world.book.tally(ACCOUNT, STRATEGY).unwrap().closed_trades, 0);
    // It turns: the trade of the long side is closed, one of the short side begins.
    world.fold([fill(&sell, 2, shares("110"), price("51"), "1")]);
    let tally = world.book.tally(ACCOUNT, STRATEGY).unwrap();
    assert_eq!((tally.closed_trades, tally.winners, tally.open.len()), (1, 1, 1));
    assert_eq!(tally.won, crate::support::money("96"));
}

#[test]
fn a_symbol_that_is_held_must_have_bars_while_the_session_is_open() {
    let mut world = World::new();
    world.of_account(&[("breaker_stale_data", "3600")]);
    world.hold(SYMBOL, 100);
    // The last bar closed at 10:30 in New York.
    world.now_ns += 3_590_000_000_000;
    assert!(marked(&mut world, false).is_empty());
    world.now_ns += 60_000_000_000;
    assert_eq!(marked(&mut world, false), ["stale_data TRADING_STATE_REDUCE_ONLY"]);
}
