//! An operator's orders: placed and replaced through the same risk checks as those of strategies.
//!
//! What an operator wants is a signal of the strategy `manual`, and an order only once risk has approved it. On the tape
//! clock its time is that of the account's last mark, which is what the operator saw; live it is now.

use contracts::stream::{MARKET, TRADING};
use contracts::v1::event::Body;
use contracts::v1::{Intent, OrderType, Side, Signal, SignalLeg, TimeInForce};
use contracts::{EXPECTED_SYMBOL, MANUAL, Subject, from_timestamp, to_timestamp};
use event_log::{AppendError, LogError, Tape, last_of};

use super::{Caller, audit, event, say_once};
use crate::clock::ClockMode;
use crate::instant::is_live;

/// Longest text that names something in an order.
const NAME_BYTES_MAX: usize = 40;
/// A share, and a unit of the currency, in 1e-9.
const E9: i64 = 1_000_000_000;

/// An order as an operator asks for it.
#[derive(Clone, Debug, PartialEq)]
pub struct NewOrder {
    /// Account that trades.
    pub account: String,
    /// Symbol, in any case.
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
        expected: String,
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
    let order = &NewOrder { symbol: symbol(&order.symbol)?, ..order.clone() };
    check(&order.account, &order.symbol)?;
    priced(order)?;
    check_size(order)?;
    check_prices(order)?;
    let intent = match order.side {
        Side::Buy => Intent::Buy,
        Side::Sell => Intent::Sell,
        Side::Unspecified => {
            let expected = "buy or sell".to_owned();
            return Err(OrderError::Invalid { field: "side", value: String::new(), expected });
        }
    };
    // Asked for again, it stands whatever prices have done since.
    if let Err(refused) = check_beside_prices(tape, order).await
        && !is_asked(tape, caller, order).await?
    {
        return Err(refused);
    }
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
    let mark = last_of(tape, TRADING, marked.as_str()).await?.event;
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
    say_once(tape, subject, event).await?;
    Ok(id)
}

/// The symbol of a new order, in the form of the tape.
fn symbol(text: &str) -> Result<String, OrderError> {
    contracts::read_symbol(text).map_err(|malformed| {
        let value = malformed.text.chars().take(NAME_BYTES_MAX).collect();
        OrderError::Invalid { field: "symbol", value, expected: EXPECTED_SYMBOL.to_owned() }
    })
}

fn check(account: &str, symbol: &str) -> Result<(), OrderError> {
    for (field, value, expected) in
        [("account", account, "an account of this tape"), ("symbol", symbol, "a symbol, for example SPY")]
    {
        let good =
            (1..=NAME_BYTES_MAX).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic());
        if !good {
            let value = value.chars().take(NAME_BYTES_MAX).collect();
            return Err(OrderError::Invalid { field, value, expected: expected.to_owned() });
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
        return Err(OrderError::Invalid { field, value, expected: expected.to_owned() });
    }
    Ok(())
}

/// Refuses an order whose size is missing, stated twice or none that an order can have.
fn check_size(order: &NewOrder) -> Result<(), OrderError> {
    let invalid = |field, value: Option<i64>, expected: &str| {
        let value = value.map(decimal).unwrap_or_default();
        Err(OrderError::Invalid { field, value, expected: expected.to_owned() })
    };
    let (quantity, notional) = (order.quantity_e9, order.notional_e9);
    let is_for_the_day = matches!(order.time_in_force, TimeInForce::Day | TimeInForce::Unspecified);
    match (quantity, notional) {
        (None, None) => {
            invalid("quantity", None, "a number of shares above 0, or an amount of the currency (notional)")
        }
        (Some(_), Some(_)) => invalid("notional", notional, "none beside a quantity"),
        (Some(shares), None) if shares <= 0 => invalid("quantity", quantity, "a number of shares above 0"),
        (Some(shares), None)
            if shares % E9 != 0 && (!is_for_the_day || order.order_type == OrderType::TrailingStop) =>
        {
            let expected =
                "a whole number of shares, because parts of a share work for the day alone and do not trail";
            invalid("quantity", quantity, expected)
        }
        (None, Some(amount)) if amount < E9 => invalid("notional", notional, "an amount of at least 1"),
        _ => Ok(()),
    }
}

/// Refuses prices that are not positive, two distances of one trailing stop, and exits of an order for an amount or parts of
/// a share.
fn check_prices(order: &NewOrder) -> Result<(), OrderError> {
    const POSITIVE: &str = "a price above 0";
    const NO_EXITS: &str = "none beside an amount, because exits close a number of shares: state a quantity";
    const WHOLE: &str =
        "none beside parts of a share, because exits work until cancelled and parts for the day alone";
    let (trail, rate) = (order.trail_price_e9, order.trail_rate_e9);
    let (profit, loss) = (order.take_profit_price_e9, order.stop_loss_price_e9);
    let is_positive = |price: i64| price > 0;
    let is_for_shares = order.notional_e9.is_none();
    let is_whole = order.quantity_e9.is_none_or(|shares| shares % E9 == 0);
    for (field, value, is_good, expected) in [
        ("limit", order.limit_price_e9, order.limit_price_e9.is_none_or(is_positive), POSITIVE),
        ("stop", order.stop_price_e9, order.stop_price_e9.is_none_or(is_positive), POSITIVE),
        ("trail", trail, trail.is_none_or(is_positive), "a distance above 0"),
        ("trail_rate", rate, trail.is_none(), "none beside a distance in the currency"),
        ("trail_rate", rate, rate.is_none_or(|rate| (1..E9).contains(&rate)), "a share between 0 and 1"),
        ("take_profit", profit, profit.is_none_or(is_positive), POSITIVE),
        ("stop_loss", loss, loss.is_none_or(is_positive), POSITIVE),
        ("take_profit", profit, is_for_shares, NO_EXITS),
        ("stop_loss", loss, is_for_shares, NO_EXITS),
        ("take_profit", profit, is_whole, WHOLE),
        ("stop_loss", loss, is_whole, WHOLE),
    ] {
        if let Some(value) = value.filter(|_| !is_good) {
            return Err(OrderError::Invalid { field, value: decimal(value), expected: expected.to_owned() });
        }
    }
    Ok(())
}

/// Refuses what makes no sense beside the prices that are known.
async fn check_beside_prices(tape: &Tape, order: &NewOrder) -> Result<(), OrderError> {
    check_trail(tape, order).await?;
    check_exits(tape, order).await
}

/// Refuses a trailing stop to sell whose distance leaves it no price above 0: it could never trigger.
async fn check_trail(tape: &Tape, order: &NewOrder) -> Result<(), OrderError> {
    let Some(trail) = order.trail_price_e9.filter(|_| order.side == Side::Sell) else { return Ok(()) };
    match last_price(tape, &order.symbol).await? {
        Some(last) if trail >= last => {
            let expected = format!("a distance below the last price of {}", decimal(last));
            Err(OrderError::Invalid { field: "trail", value: decimal(trail), expected })
        }
        _ => Ok(()),
    }
}

/// Refuses exits that are not beyond the price at which the order opens, or beyond each other where nothing says
/// which price that is.
async fn check_exits(tape: &Tape, order: &NewOrder) -> Result<(), OrderError> {
    let (profit, loss) = (order.take_profit_price_e9, order.stop_loss_price_e9);
    if profit.is_none() && loss.is_none() {
        return Ok(());
    }
    let opens = match order.order_type {
        OrderType::Limit | OrderType::StopLimit => order.limit_price_e9.map(|price| ("the limit", price)),
        OrderType::Stop => order.stop_price_e9.map(|price| ("the stop", price)),
        OrderType::Market => last_price(tape, &order.symbol).await?.map(|price| ("the last price", price)),
        OrderType::TrailingStop | OrderType::Unspecified => None,
    };
    let buys = order.side == Side::Buy;
    let exits = [
        ("take_profit", profit, opens.or(loss.map(|price| ("the stop loss", price))), buys),
        ("stop_loss", loss, opens, !buys),
    ];
    for (field, price, reference, is_above) in exits {
        let (Some(price), Some((what, reference))) = (price, reference) else { continue };
        let is_beyond = if is_above { price > reference } else { price < reference };
        if is_beyond {
            continue;
        }
        let (where_to, side) = (if is_above { "above" } else { "below" }, if buys { "buy" } else { "sell" });
        let expected =
            format!("a price {where_to} {what} of {}, because it is an order to {side}", decimal(reference));
        return Err(OrderError::Invalid { field, value: decimal(price), expected });
    }
    Ok(())
}

/// Whether the newest signal by hand in the order's symbol is this one.
async fn is_asked(tape: &Tape, caller: &Caller, order: &NewOrder) -> Result<bool, LogError> {
    let last = tape.last(TRADING, Subject::signal(MANUAL, &order.symbol).as_str()).await?;
    Ok(last.is_some_and(|last| last.event.id == caller.id("order_place")))
}

/// The close of a symbol's newest bar in 1e-9, which is what risk prices it at; `None` where there is none, where it was
/// only imported, and where a corporate action behind it has made another price of it.
async fn last_price(tape: &Tape, symbol: &str) -> Result<Option<i64>, LogError> {
    let Some(last) = tape.last(MARKET, &Subject::bar_filter(symbol)).await? else { return Ok(None) };
    let actions = Subject::of(&["market", "action", symbol]);
    if tape.last_sequence(MARKET, actions.as_str()).await? > last.sequence {
        return Ok(None);
    }
    Ok(match last.event.body {
        Some(Body::Bar(bar)) if is_live(bar.origin()) => Some(bar.close_e9),
        _ => None,
    })
}

/// Side, type and time in force by their names, as forms and command lines state them.
pub fn order_words(
    side: &str,
    order_type: &str,
    time_in_force: &str,
) -> Result<(Side, OrderType, TimeInForce), OrderError> {
    let invalid = |field, value: &str, expected: &str| {
        let value = value.chars().take(NAME_BYTES_MAX).collect();
        Err(OrderError::Invalid { field, value, expected: expected.to_owned() })
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
