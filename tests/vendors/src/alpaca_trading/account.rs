//! What the account holds, what it may do, and what it has at its disposal.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::desk::Desk;
use super::order::{Class, Kind, Order, Side};
use super::ticket::{Refusal, Ticket};
use crate::calendar;
use crate::decimal::Decimal;
use crate::id;
use crate::market::{Listing, Market};
use crate::wire;

/// How often margin doubles what the account has.
const MULTIPLIER: Decimal = Decimal::whole(2);

/// Shares of a symbol.
#[derive(Clone, Copy, Debug, Default)]
pub struct Position {
    quantity: Decimal,
    /// What the shares cost; below nought when they are short.
    cost: Decimal,
}

impl Position {
    /// Shares; below nought when short.
    #[must_use]
    pub const fn quantity(&self) -> Decimal {
        self.quantity
    }

    /// What one cost on average.
    #[must_use]
    pub const fn average(&self) -> Decimal {
        self.cost.over(self.quantity)
    }
}

/// Cash and positions.
#[derive(Clone, Debug)]
pub struct Book {
    /// Dollars.
    pub cash: Decimal,
    /// Dollars at the last close.
    pub last_equity: Decimal,
    /// By symbol; none is flat.
    pub positions: BTreeMap<String, Position>,
    /// Orders are refused.
    pub trading_blocked: bool,
}

impl Default for Book {
    fn default() -> Self {
        let cash = Decimal::whole(100_000);
        Self { cash, last_equity: cash, positions: BTreeMap::new(), trading_blocked: false }
    }
}

impl Book {
    /// Books a trade of so many shares, below nought when they were sold.
    pub fn trade(&mut self, symbol: &str, signed: Decimal, price: Decimal) {
        self.cash -= signed.times(price);
        self.hold(symbol, signed, price);
    }

    /// Books shares without money, as a script gives them.
    pub fn hold(&mut self, symbol: &str, signed: Decimal, price: Decimal) {
        let position = self.positions.entry(symbol.to_owned()).or_default();
        let before = *position;
        let after = before.quantity + signed;
        let same_side = before.quantity.is_zero() || before.quantity.is_negative() == signed.is_negative();
        position.cost = if same_side {
            before.cost + signed.times(price)
        } else if after.is_zero() || after.is_negative() == before.quantity.is_negative() {
            // What is left keeps its average.
            before.average().times(after)
        } else {
            after.times(price)
        };
        position.quantity = after;
        if after.is_zero() {
            self.positions.remove(symbol);
        }
    }
}

impl Desk {
    fn value(&self, market: &Market, wanted: impl Fn(&Position) -> bool) -> Decimal {
        let held = self.book.positions.iter().filter(|(_, position)| wanted(position));
        held.map(|(symbol, position)| position.quantity.times(Self::last(market, symbol, position))).sum()
    }

    fn last(market: &Market, symbol: &str, position: &Position) -> Decimal {
        let trade = market.last_trade(symbol);
        trade.map_or_else(|| position.average(), |trade| Decimal::ten_thousandths(trade.price))
    }

    fn equity(&self, market: &Market) -> Decimal {
        self.book.cash + self.value(market, |_| true)
    }

    /// What open orders to buy may cost.
    fn reserved(&self, market: &Market) -> Decimal {
        let buys =
            self.orders.iter().filter(|order| order.is_open() && order.live && order.side == Side::Buy);
        let cost = |order: &Order| {
            let price = order.limit_price.unwrap_or_else(|| Self::price(market, &order.symbol, Side::Buy));
            let short = self.book.positions.get(&order.symbol).map_or(Decimal::ZERO, Position::quantity);
            let shares = order.remaining(price);
            // Buying back what was sold needs none.
            if short.is_negative() { Decimal::ZERO } else { shares.times(price) }
        };
        buys.map(cost).sum()
    }

    fn buying_power(&self, market: &Market, multiplier: Decimal) -> Decimal {
        let exposure = self.value(market, |position| !position.quantity.is_negative())
            + self.value(market, |position| position.quantity.is_negative()).abs();
        let power = self.equity(market).times(multiplier) - exposure - self.reserved(market);
        power.max(Decimal::ZERO)
    }

    /// Shares of a long position that open orders to sell do not hold.
    fn available(&self, symbol: &str) -> (Decimal, Decimal) {
        let held = self.book.positions.get(symbol).map_or(Decimal::ZERO, Position::quantity);
        let sells = self.orders.iter().enumerate().filter(|(place, order)| {
            let paired = order.parent.is_some_and(|parent| {
                self.orders[parent].class == Class::Oco || self.orders[parent].legs.first() != Some(place)
            });
            order.is_open() && order.symbol == symbol && order.side == Side::Sell && order.live && !paired
        });
        let bound: Decimal = sells.map(|(_, order)| order.remaining(Decimal::ONE)).sum();
        (held - bound, bound)
    }

    /// Whether the account may place an order.
    pub(super) fn check_account(
        &self,
        ticket: &Ticket,
        listing: &Listing,
        market: &Market,
        price: Decimal,
    ) -> Result<(), Refusal> {
        let suspended = self.configuration.get("suspend_trade").is_some_and(|value| value == true);
        if self.book.trading_blocked || suspended {
            return Err(Refusal::forbidden("account is restricted to place orders", &json!({})));
        }
        self.check_wash(ticket)?;
        let held = self.book.positions.get(&ticket.symbol).map_or(Decimal::ZERO, Position::quantity);
        let price = ticket.limit_price.unwrap_or(price);
        let size = ticket
            .quantity
            .unwrap_or_else(|| ticket.notional.map_or(Decimal::ZERO, |sum| sum.over(price).floor_to(9)));
        if ticket.side == Side::Sell && held > Decimal::ZERO {
            let (available, bound) = self.available(&ticket.symbol);
            if size > available {
                let message = format!(
                    "insufficient qty available for order (requested: {size}, available: {available})"
                );
                let extras = json!({
                    "available": available,
                    "existing_qty": held,
                    "held_for_orders": bound,
                    "symbol": ticket.symbol,
                });
                return Err(Refusal::forbidden(message, &extras));
            }
            return Ok(());
        }
        if ticket.side == Side::Sell && ticket.class == Class::Oco {
            return Err(Refusal::forbidden("oco orders must be exit orders", &json!({})));
        }
        if ticket.side == Side::Sell {
            let forbidden = self.configuration.get("no_shorting").is_some_and(|value| value == true);
            if ticket.is_fractional() {
                return Err(Refusal::unprocessable("fractional orders cannot be sold short"));
            }
            if !listing.shortable || forbidden {
                let message = format!("asset \"{}\" cannot be sold short", ticket.symbol);
                return Err(Refusal::unprocessable(message));
            }
        }
        if ticket.side == Side::Buy && held.is_negative() && size <= held.abs() {
            return Ok(());
        }
        let cost = ticket.notional.unwrap_or_else(|| size.times(price));
        let multiplier = if listing.marginable { MULTIPLIER } else { Decimal::ONE };
        let power = self.buying_power(market, multiplier);
        if cost > power {
            let extras = json!({"buying_power": power.floor_to(2), "cost_basis": cost.floor_to(2)});
            return Err(Refusal::forbidden("insufficient buying power", &extras));
        }
        Ok(())
    }

    /// An order that the account's own resting order could meet is refused.
    fn check_wash(&self, ticket: &Ticket) -> Result<(), Refusal> {
        let resting = self.orders.iter().find(|order| {
            let opposite = order.symbol == ticket.symbol && order.side == ticket.side.opposite();
            let crosses = match (order.kind, ticket.limit_price, order.limit_price) {
                (Kind::Limit, Some(own), Some(other)) => match ticket.side {
                    Side::Buy => own >= other,
                    Side::Sell => own <= other,
                },
                // A market order meets anything, and a stop becomes one.
                _ => true,
            };
            opposite && order.is_open() && order.live && crosses
        });
        let Some(resting) = resting.filter(|_| ticket.class == Class::Simple) else { return Ok(()) };
        let what = if resting.kind == Kind::Limit { "limit" } else { "market/stop" };
        let extras = json!({
            "existing_order_id": resting.id,
            "reject_reason": format!("opposite side {what} order exists"),
        });
        Err(Refusal::forbidden("potential wash trade detected. use complex orders", &extras))
    }

    /// `/v2/account`.
    #[must_use]
    pub fn account(&self, market: &Market) -> Value {
        let long = self.value(market, |position| !position.quantity.is_negative());
        let short = self.value(market, |position| position.quantity.is_negative());
        let margin = (long + short.abs()).over(Decimal::whole(2));
        let power = self.buying_power(market, MULTIPLIER);
        let balance_date = calendar::before(calendar::date_of(market.now_ns())).map(|session| session.date);
        json!({
            "id": id::uuid("account"),
            "account_number": "PA0000000001",
            "status": "ACTIVE",
            "crypto_status": "INACTIVE",
            "currency": "USD",
            "cash": self.book.cash.floor_to(2),
            "equity": self.equity(market).floor_to(2),
            "portfolio_value": self.equity(market).floor_to(2),
            "last_equity": self.book.last_equity,
            "buying_power": power.floor_to(2),
            "effective_buying_power": power.floor_to(2),
            "regt_buying_power": power.floor_to(2),
            "non_marginable_buying_power": self.buying_power(market, Decimal::ONE).floor_to(2),
            "options_buying_power": "0",
            "long_market_value": long.floor_to(2),
            "short_market_value": short.floor_to(2),
            "position_market_value": (long + short).floor_to(2),
            "initial_margin": margin.floor_to(2),
            "maintenance_margin": (long + short.abs()).times(Decimal::ten_thousandths(3_000)).floor_to(2),
            "last_maintenance_margin": "0",
            "multiplier": MULTIPLIER,
            "sma": "0",
            "accrued_fees": "0",
            "pending_reg_taf_fees": "0",
            "intraday_adjustments": "0",
            "balance_asof": balance_date,
            "created_at": "2024-03-01T14:30:00.123456Z",
            "trading_blocked": self.book.trading_blocked,
            "transfers_blocked": false,
            "account_blocked": false,
            "trade_suspended_by_user": self.configuration.get("suspend_trade").is_some_and(|value| value == true),
            "shorting_enabled": true,
            "options_approved_level": 0,
            "options_trading_level": 0,
        })
    }

    /// A position as `/v2/positions` shows it.
    #[must_use]
    pub fn position(&self, listing: &Listing, market: &Market) -> Option<Value> {
        let position = self.book.positions.get(&listing.symbol)?;
        let price = Self::last(market, &listing.symbol, position);
        let before = market.last_days(&listing.symbol).1;
        let last_day = before.map_or(price, |bar| Decimal::ten_thousandths(bar.close));
        let value = position.quantity.times(price);
        let gain = value - position.cost;
        let ratio = |part: Decimal, of: Decimal| part.over(of.abs()).floor_to(6);
        let (available, _) = self.available(&listing.symbol);
        Some(json!({
            "asset_id": listing.asset_id(),
            "symbol": listing.symbol,
            "exchange": listing.exchange,
            "asset_class": "us_equity",
            "asset_marginable": listing.marginable,
            "qty": position.quantity,
            "qty_available": if position.quantity.is_negative() { position.quantity } else { available },
            "avg_entry_price": position.average(),
            "side": if position.quantity.is_negative() { "short" } else { "long" },
            "market_value": value,
            "cost_basis": position.cost,
            "unrealized_pl": gain,
            "unrealized_plpc": ratio(gain, position.cost),
            "unrealized_intraday_pl": gain,
            "unrealized_intraday_plpc": ratio(gain, position.cost),
            "current_price": price,
            "lastday_price": last_day,
            "change_today": ratio(price - last_day, last_day),
        }))
    }

    /// `/v2/account/portfolio/history`: what the account began with, and what it has now.
    #[must_use]
    pub fn portfolio_history(&self, times_s: &[i64], market: &Market, timeframe: &str) -> Value {
        let base = Book::default().cash.to_f64();
        let now = self.equity(market).to_f64();
        let last = times_s.len().saturating_sub(1);
        let equity: Vec<f64> =
            (0..times_s.len()).map(|index| if index == last { now } else { base }).collect();
        let gains: Vec<f64> = equity.iter().map(|equity| equity - base).collect();
        let parts: Vec<f64> = gains.iter().map(|gain| gain / base).collect();
        json!({
            "timestamp": times_s,
            "equity": equity,
            "profit_loss": gains,
            "profit_loss_pct": parts,
            "base_value": base,
            "base_value_asof": times_s.first().map(|at_s| wire::rfc3339(at_s * calendar::SECOND)[..10].to_owned()),
            "timeframe": timeframe,
            "cashflow": {},
        })
    }
}
