//! An operator's orders: placed and replaced through the same risk checks as those of strategies.
//!
//! What an operator wants is a signal of the strategy `manual`, and an order only once risk has approved it. On the tape
//! clock its time is that of the account's last mark, which is what the operator saw; live it is now.

use contracts::stream::TRADING;
use contracts::v1::event::Body;
use contracts::v1::{
    Intent, OrderType, PositionsFate, Side, Signal, SignalLeg, StrategyDisabled, TimeInForce,
};
use contracts::{MANUAL, Subject, from_timestamp, to_timestamp};
use event_log::{Append, AppendError, Expect, LogError, Tape};

use super::{Caller, audit, control, event};
use crate::clock::ClockMode;

/// Longest text that names something in an order.
const NAME_BYTES_MAX: usize = 40;

/// An order as an operator asks for it.
#[derive(Clone, Debug, PartialEq)]
pub struct NewOrder {
    /// Account that trades.
    pub account: String,
    /// Symbol.
    pub symbol: String,
    /// Side.
    pub side: Side,
    /// Type.
    pub order_type: OrderType,
    /// How long it works.
    pub time_in_force: TimeInForce,
    /// Shares in 1e-9; exactly one of shares and amount.
    pub quantity_e9: Option<i64>,
    /// Amount of the currency in 1e-9.
    pub notional_e9: Option<i64>,
    /// Prices in 1e-9.
    pub limit_price_e9: Option<i64>,
    /// Stop price.
    pub stop_price_e9: Option<i64>,
    /// Distance of a trailing stop.
    pub trail_price_e9: Option<i64>,
    /// The same as a share of the price.
    pub trail_rate_e9: Option<i64>,
    /// Exit that takes the profit once it fills.
    pub take_profit_price_e9: Option<i64>,
    /// Exit that stops the loss once it fills.
    pub stop_loss_price_e9: Option<i64>,
    /// Whether it trades outside of the regular session too.
    pub extended_hours: bool,
    /// Why, in words.
    pub reason: String,
}

/// New terms of an order; what is absent stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTerms {
    /// The order.
    pub order_id: String,
    /// Its account, symbol and side, as they are.
    pub account: String,
    /// Symbol.
    pub symbol: String,
    /// Side.
    pub side: Side,
    /// Shares of the whole order, in 1e-9.
    pub quantity_e9: Option<i64>,
    /// Limit price in 1e-9.
    pub limit_price_e9: Option<i64>,
    /// Stop price in 1e-9.
    pub stop_price_e9: Option<i64>,
    /// Why, in words.
    pub reason: String,
}

/// What an operator's request became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The signal that risk answers.
    pub signal_id: String,
    /// The order that it is about; a new one exists once risk approves it.
    pub order_id: String,
}

/// Why an operator's order was not asked for.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// A value is wrong.
    #[error("{field} {value:?}: expected {expected}")]
    Invalid {
        /// Field.
        field: &'static str,
        /// Value found.
        value: String,
        /// What was expected.
        expected: &'static str,
    },
    /// Nothing on the account was ever valued, so that nobody knows what time it is on this tape.
    #[error("account {0:?} has no mark yet: wait for the first bar")]
    NoMark(String),
    /// The event could not be stored.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The tape could not be read.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Asks for an order. Asking again with the same key changes nothing.
pub async fn place_order(
    tape: &Tape,
    caller: &Caller,
    clock: ClockMode,
    order: &NewOrder,
) -> Result<Asked, OrderError> {
    check(&order.account, &order.symbol)?;
    priced(order)?;
    let intent = match order.side {
        Side::Buy => Intent::Buy,
        Side::Sell => Intent::Sell,
        Side::Unspecified => {
            let expected = "buy or sell";
            return Err(OrderError::Invalid { field: "side", value: String::new(), expected });
        }
    };
    let leg = SignalLeg {
        symbol: order.symbol.clone(),
        intent: intent.into(),
        order_type: order.order_type.into(),
        time_in_force: order.time_in_force.into(),
        quantity_e9: order.quantity_e9,
        notional_e9: order.notional_e9,
        limit_price_e9: order.limit_price_e9,
        stop_price_e9: order.stop_price_e9,
        trail_price_e9: order.trail_price_e9,
        trail_rate_e9: order.trail_rate_e9,
        take_profit_price_e9: order.take_profit_price_e9,
        stop_loss_price_e9: order.stop_loss_price_e9,
        extended_hours: order.extended_hours,
        ..SignalLeg::default()
    };
    let signal_id = ask(tape, caller, clock, "order_place", &order.account, leg, &order.reason).await?;
    let order_id = contracts::order_id(&signal_id, 0);
    audit(tape, caller, "order_place", &order_id, &order.reason).await?;
    Ok(Asked { signal_id, order_id })
}

/// Asks for new terms of an open order.
pub async fn replace_order(
    tape: &Tape,
    caller: &Caller,
    clock: ClockMode,
    terms: &NewTerms,
) -> Result<Asked, OrderError> {
    check(&terms.account, &terms.symbol)?;
    let intent = if terms.side == Side::Sell { Intent::Sell } else { Intent::Buy };
    let leg = SignalLeg {
        symbol: terms.symbol.clone(),
        intent: intent.into(),
        quantity_e9: terms.quantity_e9,
        limit_price_e9: terms.limit_price_e9,
        stop_price_e9: terms.stop_price_e9,
        replaces: terms.order_id.clone(),
        ..SignalLeg::default()
    };
    let signal_id = ask(tape, caller, clock, "order_replace", &terms.account, leg, &terms.reason).await?;
    audit(tape, caller, "order_replace", &terms.order_id, &terms.reason).await?;
    Ok(Asked { signal_id, order_id: terms.order_id.clone() })
}

async fn ask(
    tape: &Tape,
    caller: &Caller,
    clock: ClockMode,
    action: &str,
    account: &str,
    leg: SignalLeg,
    reason: &str,
) -> Result<String, OrderError> {
    let marked = Subject::of(&["account", account, "marked"]);
    let mark = tape.last(TRADING, marked.as_str()).await?;
    let mark = mark.ok_or_else(|| OrderError::NoMark(account.to_owned()))?;
    let symbol = leg.symbol.clone();
    let body = Body::Signal(Signal {
        strategy: MANUAL.to_owned(),
        legs: vec![leg],
        reason: reason.to_owned(),
        account: account.to_owned(),
        actor: caller.actor.clone(),
        ..Signal::default()
    });
    let mut event = event(caller, action, body);
    if clock == ClockMode::Tape {
        event.event_time = mark.event.event_time.as_ref().and_then(from_timestamp).map(to_timestamp);
    }
    event.causation_id.clone_from(&mark.event.id);
    event.correlation_id.clone_from(&event.id);
    let id = event.id.clone();
    let subject = Subject::signal(MANUAL, &symbol);
    tape.append(Append { subject, event, expect: Expect::Nothing }).await?;
    Ok(id)
}

fn check(account: &str, symbol: &str) -> Result<(), OrderError> {
    for (field, value, expected) in
        [("account", account, "an account of this tape"), ("symbol", symbol, "a symbol, for example SPY")]
    {
        let good =
            (1..=NAME_BYTES_MAX).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic());
        if !good {
            let value = value.chars().take(NAME_BYTES_MAX).collect();
            return Err(OrderError::Invalid { field, value, expected });
        }
    }
    Ok(())
}

/// The type of an order that states none: what its prices make of it.
#[must_use]
pub fn order_type_by_prices(limit: bool, stop: bool, trail: bool) -> &'static str {
    match (limit, stop, trail) {
        (_, _, true) => "trailing_stop",
        (true, true, false) => "stop_limit",
        (true, false, false) => "limit",
        (false, true, false) => "stop",
        (false, false, false) => "market",
    }
}

/// 1e-9 of the currency as a decimal number.
fn decimal(e9: i64) -> String {
    let (sign, size) = (if e9 < 0 { "-" } else { "" }, e9.unsigned_abs());
    let text = format!("{sign}{}.{:09}", size / 1_000_000_000, size % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Refuses a price that the type of the order has no use for, and the lack of one that it needs.
fn priced(order: &NewOrder) -> Result<(), OrderError> {
    use OrderType::{Limit, Stop, StopLimit, TrailingStop};
    let kind = order.order_type;
    let trail = order.trail_price_e9.or(order.trail_rate_e9);
    for (field, price, wanted, needed, useless) in [
        (
            "limit",
            order.limit_price_e9,
            matches!(kind, Limit | StopLimit),
            "a limit price, which a limit and a stop_limit order need",
            "none, or an order of type limit or stop_limit",
        ),
        (
            "stop",
            order.stop_price_e9,
            matches!(kind, Stop | StopLimit),
            "a stop price, which a stop and a stop_limit order need",
            "none, or an order of type stop or stop_limit",
        ),
        (
            "trail",
            trail,
            kind == TrailingStop,
            "a distance, in the currency or as a share of the price, which a trailing_stop needs",
            "none, or an order of type trailing_stop",
        ),
    ] {
        let expected = match price {
            None if wanted => needed,
            Some(_) if !wanted => useless,
            _ => continue,
        };
        let value = price.map(decimal).unwrap_or_default();
        return Err(OrderError::Invalid { field, value, expected });
    }
    Ok(())
}

/// Side, type and time in force by their names, as forms and command lines state them.
pub fn order_words(
    side: &str,
    order_type: &str,
    time_in_force: &str,
) -> Result<(Side, OrderType, TimeInForce), OrderError> {
    let invalid = |field, value: &str, expected| {
        Err(OrderError::Invalid { field, value: value.chars().take(40).collect(), expected })
    };
    let side = match side {
        "buy" => Side::Buy,
        "sell" => Side::Sell,
        other => return invalid("side", other, "buy or sell"),
    };
    let order_type = match order_type {
        "market" => OrderType::Market,
        "limit" => OrderType::Limit,
        "stop" => OrderType::Stop,
        "stop_limit" => OrderType::StopLimit,
        "trailing_stop" => OrderType::TrailingStop,
        other => return invalid("type", other, "market, limit, stop, stop_limit or trailing_stop"),
    };
    let time_in_force = match time_in_force {
        "day" => TimeInForce::Day,
        "gtc" => TimeInForce::Gtc,
        "ioc" => TimeInForce::Ioc,
        "fok" => TimeInForce::Fok,
        "opg" => TimeInForce::Opg,
        "cls" => TimeInForce::Cls,
        other => return invalid("tif", other, "day, gtc, ioc, fok, opg or cls"),
    };
    Ok((side, order_type, time_in_force))
}

/// What becomes of the positions of a strategy that is stopped, by its name.
pub fn positions_fate(text: &str) -> Option<PositionsFate> {
    Some(match text {
        "keep" => PositionsFate::Keep,
        "flatten" => PositionsFate::Flatten,
        "hand_over" | "hand-over" => PositionsFate::HandOver,
        _ => return None,
    })
}

/// Stops a strategy and says what becomes of its positions; `hand_over_to` names who takes them over.
pub async fn stop_strategy(
    tape: &Tape,
    caller: &Caller,
    strategy: &str,
    reason: &str,
    positions: PositionsFate,
    hand_over_to: &str,
) -> Result<(), AppendError> {
    let body = Body::StrategyDisabled(StrategyDisabled {
        strategy: strategy.to_owned(),
        actor: caller.actor.clone(),
        reason: reason.to_owned(),
        positions: positions.into(),
        hand_over_to: hand_over_to.to_owned(),
    });
    let fate = positions.as_str_name().trim_start_matches("POSITIONS_FATE_").to_ascii_lowercase();
    control(tape, caller, "strategy_disable", strategy, &format!("positions: {fate}; {reason}"), body).await
}
