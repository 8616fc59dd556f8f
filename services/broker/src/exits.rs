//! Names of adapters, and what brokers want to know of exits.

use contracts::child_order_id;
use contracts::v1::{GroupKind, OrderSpec, OrderType, Side, TimeInForce};
use domain::money::E9;
pub use domain::order::SIMULATED;

/// How far the prices of a group are apart at least, in 1e-9.
const CENT_E9: i64 = E9 / 100;

/// Name of Alpaca's adapter on the tape.
pub const ALPACA: &str = "alpaca";

/// Whether the broker of this name takes an exit only once its entry is done: there an exit is an order like any other,
/// which would open a position of its own.
#[must_use]
pub fn wants_entries_first(broker: &str) -> bool {
    broker == ALPACA
}

/// Whether the broker of this name takes an entry and its exits in one request ([`crate::Broker::submit_with_exits`]) and
/// holds the exits itself until the entry is filled whole. Where it does not, each exit is an order of its own.
#[must_use]
pub fn takes_together(broker: &str, entry: &OrderSpec, exits: &[&OrderSpec]) -> bool {
    let enters =
        entry.parent_id.is_empty() && matches!(entry.order_type(), OrderType::Market | OrderType::Limit);
    let closes_it = |exit: &&OrderSpec| {
        let opposite =
            matches!((entry.side(), exit.side()), (Side::Buy, Side::Sell) | (Side::Sell, Side::Buy));
        opposite
            && is_plain(exit)
            && exit.parent_id == entry.order_id
            && exit.quantity_e9 == entry.quantity_e9
    };
    wants_entries_first(broker)
        && enters
        && shares_a_time(entry, exits)
        && is_plain(entry)
        && exits.iter().all(closes_it)
        && are_apart(entry, exits)
}

/// Whether an entry and its exits can go under the time in force of the exits. A market entry for the day can go until
/// cancelled: it fills at once or at the next open under either.
fn shares_a_time(entry: &OrderSpec, exits: &[&OrderSpec]) -> bool {
    let Some(time) = exits.first().map(|exit| exit.time_in_force()) else { return false };
    let until_cancelled = entry.order_type() == OrderType::Market
        && entry.time_in_force() == TimeInForce::Day
        && time == TimeInForce::Gtc;
    matches!(time, TimeInForce::Day | TimeInForce::Gtc)
        && exits.iter().all(|exit| exit.time_in_force() == time)
        && (entry.time_in_force() == time || until_cancelled)
}

/// Whether an order is for whole shares, in the hours of the exchange.
fn is_plain(order: &OrderSpec) -> bool {
    order.notional_e9.is_none()
        && order.quantity_e9 > 0
        && order.quantity_e9 % E9 == 0
        && !order.extended_hours
}

/// Whether the exits are a limit, a stop that does not follow the market, or one of each, and their prices lie on either
/// side of the entry's.
fn are_apart(entry: &OrderSpec, exits: &[&OrderSpec]) -> bool {
    let (mut target, mut stop) = (None, None);
    for exit in exits {
        let (place, price) = match (is_stop(exit), exit.order_type()) {
            (false, OrderType::Limit) => (&mut target, exit.limit_price_e9),
            (true, OrderType::Stop | OrderType::StopLimit) => (&mut stop, exit.stop_price_e9),
            _ => return false,
        };
        if price.is_none() || place.is_some() {
            return false;
        }
        *place = price;
    }
    let limit = entry.limit_price_e9.filter(|_| entry.order_type() == OrderType::Limit);
    // From the price of a loss to that of a gain.
    let prices: Vec<i64> = [stop, limit, target].into_iter().flatten().collect();
    let rises = entry.side() == Side::Buy;
    let apart = |pair: &[i64]| match pair {
        [loss, gain] if rises => gain.saturating_sub(*loss) >= CENT_E9,
        [loss, gain] => loss.saturating_sub(*gain) >= CENT_E9,
        _ => true,
    };
    !exits.is_empty() && prices.windows(2).all(apart)
}

/// The other one of a pair of exits of which one ends the other: the take-profit's for the stop and the other way
/// round; `None` for any other order.
#[must_use]
pub fn other_exit(order: &OrderSpec) -> Option<String> {
    let group = order.group_id.as_str();
    let target = match order.group() {
        GroupKind::Oco => group.to_owned(),
        GroupKind::Bracket if !order.parent_id.is_empty() => child_order_id(group, 0),
        _ => return None,
    };
    if is_stop(order) {
        return Some(target);
    }
    (order.order_id == target).then(|| child_order_id(group, 1))
}

/// Whether an order is the exit of its group that stops the loss.
#[must_use]
pub fn is_stop(order: &OrderSpec) -> bool {
    !order.group_id.is_empty() && order.order_id == child_order_id(&order.group_id, 1)
}
