//! An order as Alpaca takes it, and the rules of Alpaca's by which it takes none.
//!
//! Pure: what depends on the account or the market is in `crate::gate`.

use contracts::v1::{OrderSpec, OrderType, Side, TimeInForce};
use domain::money::{E9, Price, Quantity};

use crate::wire::{Exit, Ticket};

/// From here on a price has at most two decimals, below at most four.
const DOLLAR: Price = Price(E9);
const TICK: i64 = E9 / 100;
const TICK_BELOW: i64 = E9 / 10_000;
/// Least trail, in 1e-9 of the price: a tenth of a percent.
const TRAIL_RATE_MIN: i64 = E9 / 1_000;

/// Whether an order is for a part of a share or for an amount.
pub(crate) fn is_fractional(order: &OrderSpec) -> bool {
    order.notional_e9.is_some() || order.quantity_e9 % E9 != 0
}

/// What is said of an order for a part of a share or for an amount where it is not taken.
pub(crate) fn whole_shares(order: &OrderSpec, because: &str) -> String {
    let stated = match order.notional_e9 {
        Some(notional) => format!("amount is {}", Price(notional)),
        None => format!("quantity is {}", Quantity(order.quantity_e9)),
    };
    format!("{stated}, expected a whole number of shares, because {because}")
}

/// The order as it is sent; the rule that it breaks, where it breaks one.
pub(crate) fn ticket(order: &OrderSpec, client_order_id: &str) -> Result<Ticket, String> {
    let side = match order.side() {
        Side::Buy => "buy",
        Side::Sell => "sell",
        Side::Unspecified => return Err("side is not stated, expected buy or sell".to_owned()),
    };
    let (kind, limited, stopped) = match order.order_type() {
        OrderType::Market => ("market", false, false),
        OrderType::Limit => ("limit", true, false),
        OrderType::Stop => ("stop", false, true),
        OrderType::StopLimit => ("stop_limit", true, true),
        OrderType::TrailingStop => ("trailing_stop", false, false),
        OrderType::Unspecified => return Err("order type is not stated".to_owned()),
    };
    let time_in_force = time_in_force(order)?;
    if order.quantity_e9 <= 0 && order.notional_e9.is_none() {
        return Err(format!("quantity is {}, expected more than 0", Quantity(order.quantity_e9)));
    }
    if order.notional_e9.is_some_and(|notional| notional < E9) {
        return Err("amount is below 1 dollar, which is the least that Alpaca takes".to_owned());
    }
    let price = |name: &str, wanted: bool, price: Option<i64>| match (wanted, price.map(Price)) {
        (true, Some(price)) => tick(name, price).map(|()| Some(price.to_string())),
        (true, None) => Err(format!("{name} is not stated, a {kind} order needs one")),
        (false, _) => Ok(None),
    };
    let (trail_price, trail_percent) = trail(order)?;
    if order.extended_hours
        && !(order.order_type() == OrderType::Limit
            && matches!(order.time_in_force(), TimeInForce::Day | TimeInForce::Gtc))
    {
        return Err("extended hours are for limit orders for the day or until cancelled".to_owned());
    }
    Ok(Ticket {
        symbol: order.symbol.clone(),
        side,
        kind,
        time_in_force,
        qty: order.notional_e9.is_none().then(|| Quantity(order.quantity_e9).to_string()),
        notional: order.notional_e9.map(|notional| Price(notional / TICK * TICK).to_string()),
        limit_price: price("limit price", limited, order.limit_price_e9)?,
        stop_price: price("stop price", stopped, order.stop_price_e9)?,
        trail_price,
        trail_percent,
        extended_hours: order.extended_hours,
        client_order_id: client_order_id.to_owned(),
        ..Ticket::default()
    })
}

/// An entry as one request with the exits that it brings, if any: under their time in force, as a request has one.
pub(crate) fn with_exits(
    entry: &OrderSpec,
    exits: &[&OrderSpec],
    client_order_id: &str,
) -> Result<Ticket, String> {
    let mut own = ticket(entry, client_order_id)?;
    let (mut take_profit, mut stop_loss) = (None, None);
    for exit in exits {
        // What Alpaca would refuse of an order of its own it refuses of a leg.
        let Ticket { limit_price, stop_price, time_in_force, .. } = ticket(exit, client_order_id)?;
        own.time_in_force = time_in_force;
        let leg = if broker::is_stop(exit) { &mut stop_loss } else { &mut take_profit };
        *leg = Some(Exit { limit_price, stop_price });
    }
    let order_class = match (&take_profit, &stop_loss) {
        (None, None) => None,
        (Some(_), Some(_)) => Some("bracket"),
        _ => Some("oto"),
    };
    Ok(Ticket { order_class, take_profit, stop_loss, ..own })
}

/// A pair of exits as one request: the take-profit states the order, the stop goes beside it.
pub(crate) fn pair(target: &OrderSpec, stop: &OrderSpec, client_order_id: &str) -> Result<Ticket, String> {
    let own = ticket(target, client_order_id)?;
    let other = ticket(stop, client_order_id)?;
    if own.kind != "limit" {
        return Err(format!(
            "the order that takes the profit is a {} order, expected a limit order",
            own.kind
        ));
    }
    if !matches!(other.kind, "stop" | "stop_limit") {
        return Err(format!(
            "the order that stops the loss is a {} order, expected a stop order",
            other.kind
        ));
    }
    if !matches!(own.time_in_force, "day" | "gtc") || own.time_in_force != other.time_in_force {
        return Err("a pair of exits is for the day or until cancelled, both alike".to_owned());
    }
    if is_fractional(target) || target.quantity_e9 != stop.quantity_e9 {
        return Err("a pair of exits is for the same whole shares".to_owned());
    }
    let (limit, stop_at) = (target.limit_price_e9.unwrap_or(0), stop.stop_price_e9.unwrap_or(0));
    let apart = if target.side() == Side::Sell { limit - stop_at } else { stop_at - limit };
    if apart < TICK {
        return Err(
            "the stop of a pair of exits lies at least a cent on the losing side of the limit".to_owned()
        );
    }
    Ok(Ticket {
        order_class: Some("oco"),
        take_profit: Some(Exit { limit_price: own.limit_price.clone(), stop_price: None }),
        stop_loss: Some(Exit { limit_price: other.limit_price, stop_price: other.stop_price }),
        ..own
    })
}

fn time_in_force(order: &OrderSpec) -> Result<&'static str, String> {
    if is_fractional(order) {
        let at_market = order.order_type() == OrderType::Market;
        return match order.time_in_force() {
            TimeInForce::Day if at_market => Ok("day"),
            // What closes a position goes on the next day by itself.
            TimeInForce::Gtc if at_market && order.reducing => Ok("day"),
            _ => {
                let because = "Alpaca takes parts of a share in market orders for the day alone";
                Err(whole_shares(order, because))
            }
        };
    }
    Ok(match order.time_in_force() {
        TimeInForce::Day => "day",
        TimeInForce::Gtc => "gtc",
        TimeInForce::Ioc => "ioc",
        TimeInForce::Fok => "fok",
        TimeInForce::Opg => "opg",
        TimeInForce::Cls => "cls",
        TimeInForce::Unspecified => return Err("time in force is not stated".to_owned()),
    })
}

fn trail(order: &OrderSpec) -> Result<(Option<String>, Option<String>), String> {
    if order.order_type() != OrderType::TrailingStop {
        return Ok((None, None));
    }
    match (order.trail_price_e9, order.trail_rate_e9) {
        (Some(price), None) if price > 0 => {
            tick("trail", Price(price))?;
            Ok((Some(Price(price).to_string()), None))
        }
        (None, Some(rate)) if (TRAIL_RATE_MIN..E9).contains(&rate) => {
            Ok((None, Some(Price(rate * 100).to_string())))
        }
        (None, Some(rate)) => Err(format!("trail is {} of the price, expected 0.001 to 1", Price(rate))),
        _ => Err("a trailing stop states one distance, in the currency or as a share".to_owned()),
    }
}

/// A price that is no multiple of the tick is refused, not rounded: it is not what risk decided.
pub(crate) fn tick(name: &str, price: Price) -> Result<(), String> {
    if price.0 <= 0 {
        return Err(format!("{name} is {price}, expected more than 0"));
    }
    let (tick, decimals) = if price >= DOLLAR { (TICK, "two") } else { (TICK_BELOW, "four") };
    if price.0 % tick != 0 {
        let from = if price >= DOLLAR { "from 1 dollar on" } else { "below 1 dollar" };
        return Err(format!("{name} is {price}, expected at most {decimals} decimals {from}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(kind: OrderType, shares_e9: i64) -> OrderSpec {
        OrderSpec {
            symbol: "AAPL".into(),
            side: Side::Buy.into(),
            order_type: kind.into(),
            time_in_force: TimeInForce::Day.into(),
            quantity_e9: shares_e9,
            ..OrderSpec::default()
        }
    }

    fn refused(order: &OrderSpec) -> String {
        ticket(order, "td-1").unwrap_err()
    }

    #[test]
    fn prices_keep_to_the_tick() {
        let at = |price: i64| OrderSpec { limit_price_e9: Some(price), ..order(OrderType::Limit, E9) };
        assert_eq!(ticket(&at(187_450_000_000), "td-1").unwrap().limit_price.as_deref(), Some("187.45"));
        assert_eq!(ticket(&at(123_400_000), "td-1").unwrap().limit_price.as_deref(), Some("0.1234"));
        assert!(refused(&at(187_455_000_000)).contains("two decimals from 1 dollar on"));
        assert!(refused(&at(123_450_000)).contains("four decimals below 1 dollar"));
        assert!(refused(&at(-E9)).contains("more than 0"));
        assert!(refused(&order(OrderType::Limit, E9)).contains("limit price is not stated"));
    }

    #[test]
    fn parts_of_a_share_are_market_orders_for_the_day() {
        let half = order(OrderType::Market, E9 / 2);
        assert_eq!(ticket(&half, "td-1").unwrap().qty.as_deref(), Some("0.5"));
        let until = OrderSpec { time_in_force: TimeInForce::Gtc.into(), ..half.clone() };
        let because = "Alpaca takes parts of a share in market orders for the day alone";
        let said = format!("quantity is 0.5, expected a whole number of shares, because {because}");
        assert_eq!(refused(&until), said);
        let closing = OrderSpec { reducing: true, ..until };
        assert_eq!(ticket(&closing, "td-1").unwrap().time_in_force, "day");
        let limit = OrderSpec { limit_price_e9: Some(E9), ..order(OrderType::Limit, E9 / 2) };
        assert!(refused(&limit).contains("market orders"));
        let amount = OrderSpec { notional_e9: Some(25 * E9 + 1), ..half };
        let amount = ticket(&amount, "td-1").unwrap();
        assert_eq!((amount.qty, amount.notional.as_deref()), (None, Some("25")));
    }

    #[test]
    fn a_trail_is_a_distance_or_a_percentage() {
        let trail = |price, rate| OrderSpec {
            trail_price_e9: price,
            trail_rate_e9: rate,
            ..order(OrderType::TrailingStop, E9)
        };
        assert_eq!(ticket(&trail(Some(2 * E9), None), "x").unwrap().trail_price.as_deref(), Some("2"));
        assert_eq!(ticket(&trail(None, Some(E9 / 40)), "x").unwrap().trail_percent.as_deref(), Some("2.5"));
        assert!(refused(&trail(None, Some(E9 / 10_000))).contains("0.001 to 1"));
        assert!(refused(&trail(None, None)).contains("one distance"));
    }

    #[test]
    fn an_entry_with_exits_is_one_request() {
        let until = |kind, limit_price_e9, stop_price_e9| OrderSpec {
            time_in_force: TimeInForce::Gtc.into(),
            limit_price_e9,
            stop_price_e9,
            ..order(kind, 3 * E9)
        };
        let group_id = contracts::order_id("entry", 0);
        let exit = |index, order| OrderSpec {
            order_id: contracts::child_order_id(&group_id, index),
            group_id: group_id.clone(),
            side: Side::Sell.into(),
            ..order
        };
        let entry = until(OrderType::Limit, Some(180 * E9), None);
        let target = exit(0, until(OrderType::Limit, Some(200 * E9), None));
        let stop = exit(1, until(OrderType::StopLimit, Some(149 * E9), Some(150 * E9)));
        let body =
            |exits: &[&OrderSpec]| serde_json::to_value(with_exits(&entry, exits, "td-1").unwrap()).unwrap();
        let bracket = body(&[&target, &stop]);
        assert_eq!((&bracket["order_class"], &bracket["side"]), (&"bracket".into(), &"buy".into()));
        assert_eq!((&bracket["limit_price"], &bracket["time_in_force"]), (&"180".into(), &"gtc".into()));
        assert_eq!(bracket["take_profit"], serde_json::json!({"limit_price": "200"}));
        assert_eq!(bracket["stop_loss"], serde_json::json!({"stop_price": "150", "limit_price": "149"}));
        let oto = body(&[&stop]);
        assert_eq!((&oto["order_class"], oto.get("take_profit")), (&"oto".into(), None));
        assert_eq!(body(&[]), serde_json::to_value(ticket(&entry, "td-1").unwrap()).unwrap());
        let for_the_day = order(OrderType::Market, 3 * E9);
        let together = with_exits(&for_the_day, &[&target, &stop], "td-1").unwrap();
        assert_eq!((together.kind, together.time_in_force), ("market", "gtc"));
        assert_eq!(with_exits(&for_the_day, &[], "td-1").unwrap().time_in_force, "day");
        let fine = OrderSpec { stop_price_e9: Some(150 * E9 + 1), ..stop };
        assert!(with_exits(&entry, &[&fine], "td-1").unwrap_err().contains("stop price"));
    }

    #[test]
    fn a_pair_of_exits_is_one_request() {
        let exit = |kind, limit, stop| OrderSpec {
            side: Side::Sell.into(),
            time_in_force: TimeInForce::Gtc.into(),
            limit_price_e9: limit,
            stop_price_e9: stop,
            ..order(kind, 3 * E9)
        };
        let target = exit(OrderType::Limit, Some(200 * E9), None);
        let stop = exit(OrderType::Stop, None, Some(150 * E9));
        let body = serde_json::to_value(pair(&target, &stop, "td-1").unwrap()).unwrap();
        assert_eq!(body["order_class"], "oco");
        assert_eq!((&body["type"], &body["qty"]), (&"limit".into(), &"3".into()));
        assert_eq!(body["take_profit"]["limit_price"], "200");
        assert_eq!(body["stop_loss"]["stop_price"], "150");
        let crossed = exit(OrderType::Stop, None, Some(200 * E9));
        assert!(pair(&target, &crossed, "td-1").unwrap_err().contains("a cent"));
    }
}
