//! Orders by hand: what is asked for is refused before it is a signal, or goes on to risk.

use contracts::stream::TRADING;
use contracts::v1::event::Body;
use contracts::v1::{AccountMarked, Bar, CorporateAction, OrderType, Origin, Side, TimeInForce};
use event_log::Tape;
use runtime::ClockMode;
use runtime::command::{self, NewOrder, OrderError};

use crate::{caller, put, tape};

const DOLLAR: i64 = 1_000_000_000;

/// An order to buy a share of SPY.
fn order(order_type: OrderType, limit: Option<i64>, stop: Option<i64>, trail: Option<i64>) -> NewOrder {
    NewOrder {
        account: "paper".into(),
        symbol: "SPY".into(),
        side: Side::Buy,
        order_type,
        time_in_force: TimeInForce::Day,
        quantity_e9: Some(1_000_000_000),
        notional_e9: None,
        limit_price_e9: limit,
        stop_price_e9: stop,
        trail_price_e9: trail,
        trail_rate_e9: None,
        take_profit_price_e9: None,
        stop_loss_price_e9: None,
        extended_hours: false,
        reason: String::new(),
    }
}

/// Why an order is not asked for; on a tape where nothing was ever valued one that is well-formed lacks a mark.
async fn refused(tape: &Tape, order: &NewOrder) -> String {
    command::place_order(tape, &caller("1"), ClockMode::Wall, order).await.unwrap_err().to_string()
}

#[tokio::test]
async fn exits_are_beyond_the_price_that_an_order_opens_at() {
    let tape = tape().await;
    let bar = |symbol: &str, origin: Origin| {
        let (symbol, timeframe) = (symbol.to_owned(), "1h".to_owned());
        Bar { symbol, timeframe, close_e9: 100 * DOLLAR, origin: origin.into(), ..Bar::default() }
    };
    put(&tape, "spy", Body::Bar(bar("SPY", Origin::Rehearsal))).await;
    put(&tape, "old", Body::Bar(bar("OLD", Origin::Import))).await;
    let with = |order: NewOrder, side: Side, profit: Option<i64>, loss: Option<i64>| NewOrder {
        side,
        take_profit_price_e9: profit.map(|price| price * DOLLAR),
        stop_loss_price_e9: loss.map(|price| price * DOLLAR),
        ..order
    };
    let (market, at_80) = (|| order(OrderType::Market, None, None, None), Some(80 * DOLLAR));
    let limit = || order(OrderType::Limit, at_80, None, None);
    let stop = || order(OrderType::Stop, None, at_80, None);
    let trailing = || order(OrderType::TrailingStop, None, None, Some(DOLLAR));
    let of_old = || NewOrder { symbol: "OLD".into(), ..market() };
    let (buy, sell) = (Side::Buy, Side::Sell);
    for (order, said) in [
        (with(limit(), buy, Some(80), None), "take_profit \"80\": expected a price above the limit of 80"),
        (with(limit(), buy, None, Some(81)), "stop_loss \"81\": expected a price below the limit of 80"),
        (
            with(limit(), sell, Some(90), Some(70)),
            "take_profit \"90\": expected a price below the limit of 80",
        ),
        (with(limit(), sell, Some(70), Some(75)), "stop_loss \"75\": expected a price above the limit of 80"),
        (with(stop(), buy, Some(79), None), "take_profit \"79\": expected a price above the stop of 80"),
        (
            with(market(), buy, Some(90), None),
            "take_profit \"90\": expected a price above the last price of 100",
        ),
        (
            with(market(), buy, Some(110), Some(100)),
            "stop_loss \"100\": expected a price below the last price",
        ),
        (with(market(), sell, Some(110), None), "take_profit \"110\": expected a price below the last price"),
        (
            with(trailing(), buy, Some(90), Some(95)),
            "take_profit \"90\": expected a price above the stop loss of 95",
        ),
        // History that was imported is no price of now.
        (
            with(of_old(), sell, Some(95), Some(90)),
            "take_profit \"95\": expected a price below the stop loss of 90",
        ),
    ] {
        let error = refused(&tape, &order).await;
        assert!(error.contains(said), "{order:?}: {error}");
    }
    for order in [
        with(limit(), buy, Some(81), Some(79)),
        with(limit(), sell, Some(79), Some(81)),
        with(stop(), buy, Some(90), Some(79)),
        with(market(), buy, Some(101), Some(99)),
        with(market(), sell, Some(99), Some(101)),
        with(trailing(), buy, Some(95), Some(90)),
        with(of_old(), buy, Some(50), None),
    ] {
        let error = refused(&tape, &order).await;
        assert!(error.contains("has no mark yet"), "{order:?}: {error}");
    }
    // A split behind the bar makes another price of it, which nobody knows yet.
    let split = CorporateAction { symbol: "SPY".into(), ..CorporateAction::default() };
    put(&tape, "split", Body::CorporateAction(split)).await;
    let after = refused(&tape, &with(market(), buy, Some(50), Some(20))).await;
    assert!(after.contains("has no mark yet"), "{after}");
}

#[tokio::test]
async fn a_trailing_stop_to_sell_is_closer_than_the_price_is_to_nought() {
    let tape = tape().await;
    let (symbol, timeframe, origin) = ("SPY".to_owned(), "1h".to_owned(), Origin::Rehearsal.into());
    put(&tape, "spy", Body::Bar(Bar { symbol, timeframe, close_e9: 100 * DOLLAR, origin, ..Bar::default() }))
        .await;
    let trailing = |side: Side, symbol: &str, distance: i64| NewOrder {
        side,
        symbol: symbol.into(),
        ..order(OrderType::TrailingStop, None, None, Some(distance))
    };
    for distance in [100 * DOLLAR, 9_999 * DOLLAR] {
        let error = refused(&tape, &trailing(Side::Sell, "SPY", distance)).await;
        assert!(error.contains("expected a distance below the last price of 100"), "{error}");
    }
    // The stop of a buyer is above the price, and of a symbol without a price nothing is known.
    for order in [
        trailing(Side::Sell, "SPY", 100 * DOLLAR - 1),
        trailing(Side::Buy, "SPY", 9_999 * DOLLAR),
        trailing(Side::Sell, "OLD", 9_999 * DOLLAR),
    ] {
        let error = refused(&tape, &order).await;
        assert!(error.contains("has no mark yet"), "{order:?}: {error}");
    }
}

#[tokio::test]
async fn what_was_asked_for_stands_however_prices_have_moved_since() {
    let tape = tape().await;
    let mark = AccountMarked { account: "paper".into(), ..AccountMarked::default() };
    put(&tape, "mark", Body::AccountMarked(mark)).await;
    let bar = |close: i64| {
        let (symbol, timeframe) = ("SPY".to_owned(), "1h".to_owned());
        let origin = Origin::Rehearsal.into();
        Body::Bar(Bar { symbol, timeframe, close_e9: close * DOLLAR, origin, ..Bar::default() })
    };
    put(&tape, "at_100", bar(100)).await;
    let order =
        NewOrder { take_profit_price_e9: Some(101 * DOLLAR), ..order(OrderType::Market, None, None, None) };
    let place = async |key: &str| command::place_order(&tape, &caller(key), ClockMode::Wall, &order).await;
    let first = place("1").await.unwrap();
    put(&tape, "at_102", bar(102)).await;
    let again = place("1").await.unwrap();
    assert_eq!((again.signal_id, again.order_id), (first.signal_id, first.order_id));
    let other = place("2").await.unwrap_err().to_string();
    assert!(other.contains("expected a price above the last price of 102"), "{other}");
}

#[tokio::test]
async fn a_symbol_is_in_capitals_on_the_tape_and_one_that_is_none_is_refused() {
    let tape = tape().await;
    let mark = AccountMarked { account: "paper".into(), ..AccountMarked::default() };
    put(&tape, "mark", Body::AccountMarked(mark)).await;
    let of = |symbol: &str| NewOrder { symbol: symbol.into(), ..order(OrderType::Market, None, None, None) };
    command::place_order(&tape, &caller("1"), ClockMode::Wall, &of("brk.b")).await.unwrap();
    let asked = tape.last(TRADING, "signal.manual.>").await.unwrap().unwrap();
    assert_eq!(asked.subject, "signal.manual.BRK%2EB");
    let Some(Body::Signal(signal)) = asked.event.body else { panic!("not a signal") };
    assert_eq!(signal.legs[0].symbol, "BRK.B");
    for symbol in ["", "A B", "A,B", "Ä", &"A".repeat(33)] {
        let error = refused(&tape, &of(symbol)).await;
        assert!(error.starts_with(&format!("symbol {symbol:?}: expected 1 to 32 printable")), "{error}");
    }
}

#[tokio::test]
async fn an_order_has_one_size_and_prices_above_zero() {
    let tape = tape().await;
    let market = || order(OrderType::Market, None, None, None);
    let amount = || NewOrder { quantity_e9: None, notional_e9: Some(500 * DOLLAR), ..market() };
    let trailing = || order(OrderType::TrailingStop, None, None, Some(DOLLAR));
    let (half, whole) = (Some(DOLLAR / 2), "expected a whole number of shares, because parts of a share");
    for (order, said) in [
        (
            NewOrder { quantity_e9: None, ..market() },
            "quantity \"\": expected a number of shares above 0, or",
        ),
        (
            NewOrder { notional_e9: Some(DOLLAR), ..market() },
            "notional \"1\": expected none beside a quantity",
        ),
        (
            NewOrder { quantity_e9: Some(0), ..market() },
            "quantity \"0\": expected a number of shares above 0",
        ),
        (
            NewOrder { quantity_e9: Some(-DOLLAR), ..market() },
            "quantity \"-1\": expected a number of shares above 0",
        ),
        (NewOrder { notional_e9: Some(0), ..amount() }, "notional \"0\": expected an amount of at least 1"),
        (NewOrder { quantity_e9: half, time_in_force: TimeInForce::Gtc, ..market() }, whole),
        (NewOrder { quantity_e9: half, ..trailing() }, whole),
        (
            NewOrder { quantity_e9: half, stop_loss_price_e9: Some(DOLLAR), ..market() },
            "stop_loss \"1\": expected none beside parts of a share",
        ),
        (order(OrderType::Limit, Some(-DOLLAR), None, None), "limit \"-1\": expected a price above 0"),
        (order(OrderType::Stop, None, Some(0), None), "stop \"0\": expected a price above 0"),
        (
            order(OrderType::TrailingStop, None, None, Some(-DOLLAR)),
            "trail \"-1\": expected a distance above 0",
        ),
        (
            NewOrder { trail_rate_e9: Some(DOLLAR / 20), ..trailing() },
            "trail_rate \"0.05\": expected none beside a distance in the currency",
        ),
        (
            NewOrder { trail_price_e9: None, trail_rate_e9: Some(DOLLAR), ..trailing() },
            "trail_rate \"1\": expected a share between 0 and 1",
        ),
        (
            NewOrder { stop_loss_price_e9: Some(-DOLLAR), ..market() },
            "stop_loss \"-1\": expected a price above 0",
        ),
        (
            NewOrder { take_profit_price_e9: Some(DOLLAR), ..amount() },
            "take_profit \"1\": expected none beside an amount",
        ),
        (
            NewOrder { stop_loss_price_e9: Some(DOLLAR), ..amount() },
            "stop_loss \"1\": expected none beside an amount",
        ),
    ] {
        let error = refused(&tape, &order).await;
        assert!(error.contains(said), "{order:?}: {error}");
    }
    for order in [
        amount(),
        NewOrder { quantity_e9: half, ..market() },
        NewOrder { trail_price_e9: None, trail_rate_e9: Some(DOLLAR / 20), ..trailing() },
    ] {
        let error = refused(&tape, &order).await;
        assert!(error.contains("has no mark yet"), "{order:?}: {error}");
    }
}

#[tokio::test]
async fn an_order_has_the_prices_of_its_type_and_no_others() {
    let tape = tape().await;
    let price = Some(80_500_000_000);
    for (order, expected) in [
        (
            order(OrderType::Market, price, None, None),
            "limit \"80.5\": expected none, or an order of type limit or stop_limit",
        ),
        (
            order(OrderType::Limit, None, None, None),
            "limit \"\": expected a limit price, which a limit and a stop_limit order need",
        ),
        (
            order(OrderType::Limit, price, price, None),
            "stop \"80.5\": expected none, or an order of type stop or stop_limit",
        ),
        (
            order(OrderType::TrailingStop, None, None, None),
            "trail \"\": expected a distance, in the currency or as a share of the price, which a trailing_stop needs",
        ),
    ] {
        let asked = command::place_order(&tape, &caller("1"), ClockMode::Wall, &order).await;
        assert_eq!(asked.unwrap_err().to_string(), expected);
    }
    // What fits goes on to the next question: nothing was ever valued here.
    for order in [
        order(OrderType::Market, None, None, None),
        order(OrderType::StopLimit, price, price, None),
        order(OrderType::TrailingStop, None, None, price),
    ] {
        let asked = command::place_order(&tape, &caller("1"), ClockMode::Wall, &order).await;
        assert!(matches!(asked, Err(OrderError::NoMark(_))), "{asked:?}");
    }
    let stated = |limit, stop, trail| command::order_type_by_prices(limit, stop, trail);
    assert_eq!(stated(false, false, false), "market");
    assert_eq!(stated(true, false, false), "limit");
    assert_eq!(stated(false, true, false), "stop");
    assert_eq!(stated(true, true, false), "stop_limit");
    assert_eq!(stated(false, false, true), "trailing_stop");
}
