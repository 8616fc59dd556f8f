//! Orders by hand: of every type and time in force, with exits or without; parts of shares, and orders for amounts.
//!
//! They are asked for by the code of the command line and the API, and are what an operator may ask: what opens has exits
//! now and then, what closes has none and is for no more than is held.

use contracts::MANUAL;
use contracts::v1::{OrderType, Side, TimeInForce};
use domain::book::Book;
use domain::money::{Price, Quantity};
use ingest::source::SYMBOLS;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use runtime::command::{self, NewOrder, OrderError};

use super::{Desk, E9, Moments, caller};
use crate::database::Database;
use crate::outside::{away, time_in_force};
use crate::setup::ACCOUNTS;

/// Events of MARKET between two orders, at most.
const ORDERS_EVERY: u64 = 40;
/// Events of MARKET between two orders for parts of shares or amounts, at most.
const PARTS_EVERY: u64 = 60;

/// Follows the market and places orders, until the end.
pub async fn place_orders(desk: Desk) {
    let mut rng = desk.choices(0x4a_2d5e);
    let mut number = 0_u64;
    let mut moments = Moments::within(&mut rng, ORDERS_EVERY);
    while moments.come(&desk, &mut rng, ORDERS_EVERY).await {
        let Some(about) = About::any(&desk.database, &mut rng) else { continue };
        number += 1;
        ask(&desk, format!("order-{number}"), &about.order(&mut rng)).await;
    }
}

/// Follows the market and trades parts of shares and for amounts, until the end.
pub async fn trade_parts(desk: Desk) {
    let mut rng = desk.choices(0x9a_2750);
    let mut number = 0_u64;
    let mut moments = Moments::within(&mut rng, PARTS_EVERY);
    while moments.come(&desk, &mut rng, PARTS_EVERY).await {
        let Some(about) = About::any(&desk.database, &mut rng) else { continue };
        number += 1;
        ask(&desk, format!("parts-{number}"), &about.part(&mut rng)).await;
    }
}

/// Asks for an order. One that is refused is let be: prices may have moved since it was thought of.
async fn ask(desk: &Desk, key: String, order: &NewOrder) {
    let caller = caller(key);
    desk.insist(async || {
        let asked = command::place_order(&desk.tape, &caller, desk.clock, order).await;
        matches!(asked, Ok(_) | Err(OrderError::Invalid { .. }))
    })
    .await;
}

/// What an order is about, and what is known of it.
struct About {
    account: &'static str,
    symbol: &'static str,
    price: Price,
    /// What was traded by hand and is held.
    held: Quantity,
}

impl About {
    /// One of the symbols that are traded most, once it has a price.
    fn any(database: &Database, rng: &mut ChaCha8Rng) -> Option<Self> {
        let account = ACCOUNTS[rng.random_range(0..ACCOUNTS.len())];
        let symbol = SYMBOLS[rng.random_range(0..3)].symbol;
        let held = |book: &Book| {
            let position = book.position(account, MANUAL, symbol);
            position.map_or(Quantity::ZERO, |position| position.quantity)
        };
        Some(Self { account, symbol, price: database.price(symbol)?, held: database.with_book(held) })
    }

    /// An order at the market for the day, without a size.
    fn plain(&self, side: Side) -> NewOrder {
        NewOrder {
            account: self.account.to_owned(),
            symbol: self.symbol.to_owned(),
            side,
            order_type: OrderType::Market,
            time_in_force: TimeInForce::Day,
            quantity_e9: None,
            notional_e9: None,
            limit_price_e9: None,
            stop_price_e9: None,
            trail_price_e9: None,
            trail_rate_e9: None,
            take_profit_price_e9: None,
            stop_loss_price_e9: None,
            extended_hours: false,
            reason: "by hand".to_owned(),
        }
    }

    /// The side that closes what is held.
    fn closing(&self) -> Side {
        if self.held > Quantity::ZERO { Side::Sell } else { Side::Buy }
    }

    /// An order for whole shares.
    fn order(&self, rng: &mut ChaCha8Rng) -> NewOrder {
        let shares = Quantity(rng.random_range(1..60) * E9);
        let buys = rng.random_range(0..3) > 0;
        let held = self.held.abs().whole();
        if held > Quantity::ZERO && rng.random_range(0..2) == 0 {
            let mut order = self.plain(self.closing());
            order.quantity_e9 = Some(shares.min(held).0);
            self.set_terms(&mut order, rng);
            return order;
        }
        let mut order = self.plain(if buys { Side::Buy } else { Side::Sell });
        order.quantity_e9 = Some(shares.0);
        self.set_terms(&mut order, rng);
        if rng.random_range(0..3) == 0 {
            order.take_profit_price_e9 = self.beyond(order.side, 9);
            if rng.random_range(0..3) > 0 {
                order.stop_loss_price_e9 = self.beyond(order.side, -9);
            }
        }
        order
    }

    /// A price that is so many in a thousand beyond the last one, where a buyer's is above it.
    fn beyond(&self, side: Side, permille: i64) -> Option<i64> {
        let sign = if side == Side::Buy { 1 } else { -1 };
        Some(away(self.price.0, sign * permille))
    }

    /// Type, prices and time in force.
    fn set_terms(&self, order: &mut NewOrder, rng: &mut ChaCha8Rng) {
        let near = rng.random_range(0..6);
        let kind = rng.random_range(0..8);
        match kind {
            0..=2 => {}
            3 | 4 => {
                order.order_type = OrderType::Limit;
                order.limit_price_e9 = self.beyond(order.side, -near);
            }
            5 => {
                order.order_type = OrderType::Stop;
                order.stop_price_e9 = self.beyond(order.side, near);
            }
            6 => {
                order.order_type = OrderType::StopLimit;
                order.stop_price_e9 = self.beyond(order.side, near);
                order.limit_price_e9 = self.beyond(order.side, near + 2);
            }
            _ => {
                order.order_type = OrderType::TrailingStop;
                order.trail_rate_e9 = Some(E9 / 1_000 * (1 + near));
            }
        }
        order.time_in_force = time_in_force(rng, kind > 4);
    }

    /// An order for parts of a share, or for an amount. What is sold for an amount is far less than what is held: how many
    /// shares that is, is known with the fill.
    fn part(&self, rng: &mut ChaCha8Rng) -> NewOrder {
        let what = rng.random_range(0..5);
        let cents = rng.random_range(1_000..300_000);
        let parts = rng.random_range(1..4_000);
        let mut order = self.plain(Side::Buy);
        match what {
            0 if self.held > Quantity::ZERO => {
                order.side = Side::Sell;
                order.quantity_e9 = Some(self.held.0);
            }
            1 if self.held > Quantity(2 * E9) => {
                order.side = Side::Sell;
                order.notional_e9 = Some(self.price.0);
            }
            0 | 2 => {
                order.order_type = OrderType::Limit;
                order.limit_price_e9 = self.beyond(Side::Buy, -2);
                order.quantity_e9 = Some(parts * (E9 / 1_000));
            }
            1 | 3 => order.notional_e9 = Some(cents * (E9 / 100)),
            _ => order.quantity_e9 = Some(parts * (E9 / 1_000)),
        }
        order
    }
}
