//! One working order: the kernel's [`Resting`] under its names.

use contracts::v1::{GroupKind, OrderSpec, OrderType, Side, TimeInForce};

use super::kernel::{Resting, Trail};
use super::queue::Role;
use crate::money::{Amount, Price, Quantity};
use crate::order::{OrderState, words};

/// An order that the simulated market cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("order {order_id}: `{field}` is {value}, expected {expected}")]
pub struct Unsupported {
    /// Order.
    pub order_id: String,
    /// Field of the order.
    pub field: &'static str,
    /// Its value.
    pub value: String,
    /// What the simulated market works.
    pub expected: &'static str,
}

/// An order that waits for a bar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkingOrder {
    /// Order.
    pub order_id: String,
    /// Account, by which costs are found.
    pub account: String,
    /// Symbol.
    pub symbol: String,
    /// Its terms and what has become of them.
    pub resting: Resting,
    /// Id of its group and its part in it; none where it stands alone.
    pub group: Option<(String, Role)>,
}

impl WorkingOrder {
    /// An order that is accepted at `accepted_ns`, or why it cannot be worked.
    pub fn new(spec: &OrderSpec, accepted_ns: i64) -> Result<Self, Unsupported> {
        let unsupported = |field, value: String, expected| {
            Err(Unsupported { order_id: spec.order_id.clone(), field, value, expected })
        };
        if let Err((field, value, expected)) = check_terms(spec) {
            return unsupported(field, value, expected);
        }
        if spec.side() == Side::Unspecified {
            return unsupported("side", "unspecified".to_owned(), "buy or sell");
        }
        if spec.quantity_e9 <= 0 {
            return unsupported("quantity_e9", Quantity(spec.quantity_e9).to_string(), "a positive quantity");
        }
        let order_type = spec.order_type();
        let limits = matches!(order_type, OrderType::Limit | OrderType::StopLimit);
        let stops = matches!(order_type, OrderType::Stop | OrderType::StopLimit);
        let trails = order_type == OrderType::TrailingStop;
        Ok(Self {
            order_id: spec.order_id.clone(),
            account: spec.account.clone(),
            symbol: spec.symbol.clone(),
            resting: Resting {
                side: spec.side(),
                order_type,
                time_in_force: spec.time_in_force(),
                limit: spec.limit_price_e9.filter(|_| limits).map(Price),
                stop: spec.stop_price_e9.filter(|_| stops).map(Price),
                trail: trail(spec).filter(|_| trails),
                extreme: None,
                triggered: false,
                remaining: Quantity(spec.quantity_e9),
                tradable: tradable(spec),
                accepted_ns,
                seen_ns: i64::MIN,
                next_fill: 1,
                extended: spec.extended_hours,
                unspent: spec.notional_e9.map(|notional| Amount(notional.into())),
                most: reducing_most(spec),
            },
            group: group(spec),
        })
    }

    /// The working order behind an open order of the book that the broker had accepted; `None` when it
    /// was not accepted or has ended.
    pub fn resume(order: &OrderState) -> Result<Option<Self>, Unsupported> {
        let Some(accepted_ns) = order.accepted_ns.filter(|_| !order.status.is_ended()) else {
            return Ok(None);
        };
        let mut working = Self::new(&order.spec, accepted_ns)?;
        let resting = &mut working.resting;
        resting.remaining = order.remaining();
        resting.unspent = order.unspent();
        resting.most = resting.most.map(|most| Quantity(most.0.saturating_sub(order.filled.0).max(0)));
        resting.next_fill = order.fills.saturating_add(1);
        resting.tradable = order.tradable;
        resting.seen_ns = order.worked_ns.unwrap_or(i64::MIN);
        resting.triggered = order.triggered_ns.is_some();
        if resting.trail.is_some() {
            resting.extreme = order.extreme;
            resting.stop = order.extreme.and(order.spec.stop_price_e9).map(Price);
        }
        Ok(Some(working))
    }

    pub(super) fn priority(&self) -> (i64, &str) {
        (self.resting.accepted_ns, &self.order_id)
    }
}

/// What a group lets an order trade before any fill; `None` where it stands alone. An exit for fewer shares than its entry
/// has less: the book says how much.
#[must_use]
pub fn tradable(spec: &OrderSpec) -> Option<Quantity> {
    if !spec.parent_id.is_empty() {
        return Some(Quantity::ZERO);
    }
    (spec.group() == GroupKind::Oco).then_some(Quantity(spec.quantity_e9))
}

/// Shares that the simulated market trades at most of an order for an amount that only reduces a position: those that it was
/// approved for. At a worse price the amount comes to more of them, which may not be held. `None` of any other order.
#[must_use]
pub fn reducing_most(spec: &OrderSpec) -> Option<Quantity> {
    (spec.reducing && spec.notional_e9.is_some()).then_some(Quantity(spec.quantity_e9))
}

fn trail(spec: &OrderSpec) -> Option<Trail> {
    let by = spec.trail_price_e9.map(|distance| Trail::By(Price(distance)));
    by.or_else(|| spec.trail_rate_e9.map(Trail::Rate))
}

fn group(spec: &OrderSpec) -> Option<(String, Role)> {
    if spec.group() == GroupKind::Unspecified || spec.group_id.is_empty() {
        return None;
    }
    let exit = || if spec.order_type() == OrderType::Limit { Role::Target } else { Role::Stop };
    let entry = spec.parent_id.is_empty() && spec.group() != GroupKind::Oco;
    Some((spec.group_id.clone(), if entry { Role::Entry } else { exit() }))
}

/// Terms of an order or a leg, by name.
pub trait Terms {
    /// Type.
    fn order_type(&self) -> OrderType;
    /// How long it works.
    fn time_in_force(&self) -> TimeInForce;
    /// Limit, stop, distance of a trailing stop in the currency and as a share, in 1e-9.
    fn prices(&self) -> [Option<i64>; 4];
}

impl Terms for OrderSpec {
    fn order_type(&self) -> OrderType {
        self.order_type()
    }

    fn time_in_force(&self) -> TimeInForce {
        self.time_in_force()
    }

    fn prices(&self) -> [Option<i64>; 4] {
        [self.limit_price_e9, self.stop_price_e9, self.trail_price_e9, self.trail_rate_e9]
    }
}

/// Whether the terms are an order that can be worked: otherwise field, value and expectation.
pub fn check_terms(terms: &impl Terms) -> Result<(), (&'static str, String, &'static str)> {
    let [limit, stop, trail_price, trail_rate] = terms.prices();
    let positive = |field, value: Option<i64>| match value {
        Some(value) if value > 0 => Ok(()),
        value => Err((
            field,
            value.map_or("missing".to_owned(), |value| Price(value).to_string()),
            "a positive price",
        )),
    };
    let order_type = terms.order_type();
    match order_type {
        OrderType::Market => {}
        OrderType::Limit => positive("limit_price_e9", limit)?,
        OrderType::Stop => positive("stop_price_e9", stop)?,
        OrderType::StopLimit => {
            positive("limit_price_e9", limit)?;
            positive("stop_price_e9", stop)?;
        }
        OrderType::TrailingStop => match (trail_price, trail_rate) {
            (Some(_), Some(_)) => {
                let value = "stated as well as a rate".to_owned();
                return Err(("trail_price_e9", value, "one distance, a price or a rate"));
            }
            (Some(_), None) => positive("trail_price_e9", trail_price)?,
            (None, Some(rate)) if (1..crate::money::E9).contains(&rate) => {}
            (None, Some(rate)) => {
                return Err(("trail_rate_e9", Quantity(rate).to_string(), "a share between 0 and 1"));
            }
            (None, None) => {
                return Err(("trail_price_e9", "missing".to_owned(), "a distance, as a price or as a rate"));
            }
        },
        OrderType::Unspecified => {
            let expected = "market, limit, stop, stop-limit or trailing stop";
            return Err(("order_type", words::order_type(order_type).to_owned(), expected));
        }
    }
    let time_in_force = terms.time_in_force();
    let at_once = matches!(order_type, OrderType::Market | OrderType::Limit);
    match time_in_force {
        TimeInForce::Day | TimeInForce::Gtc => Ok(()),
        TimeInForce::Unspecified => {
            let expected = "day, gtc, ioc, fok, on-open or on-close";
            Err(("time_in_force", words::time_in_force(time_in_force).to_owned(), expected))
        }
        _ if at_once => Ok(()),
        _ => {
            let expected = "day or gtc, because a stop waits";
            Err(("time_in_force", words::time_in_force(time_in_force).to_owned(), expected))
        }
    }
}
