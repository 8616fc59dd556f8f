//! The view of a decision, from the book.

use contracts::to_timestamp;
use contracts::v1::{Intent, RiskInput, Side, Signal, SignalLeg, StrategyMode, TimeInForce};

use super::{Policy, RiskView, Standing};
use crate::book::{Book, Prices, StrategyState};
use crate::calendar::Calendar;
use crate::money::{Amount, Quantity};
use crate::strategy::position_cap_e9;

const NANOS_PER_MILLISECOND: i64 = 1_000_000;

/// What the book and the last prices say about `signal`, decided at `now_ns` of market time.
///
/// Reservations of earlier approvals count once they are folded into `book`. `fallback_account` is the
/// account under which the signal of an unknown strategy is denied.
#[must_use]
pub fn view(
    book: &Book,
    prices: &Prices,
    calendar: &Calendar,
    signal: &Signal,
    now_ns: i64,
    fallback_account: &str,
) -> RiskView {
    let strategy = book.strategy(&signal.strategy);
    let account = strategy.map_or("", |strategy| strategy.account.as_str());
    let account = if account.is_empty() { fallback_account } else { account };
    let config = book.account(account).and_then(|account| account.config.as_ref());
    let legs = (0u32..).zip(&signal.legs);
    let inputs = legs.map(|(index, leg)| {
        let mut input = input(book, prices, signal, account, leg, now_ns);
        input.leg = index;
        input.limits_version = config.map_or(0, |config| config.version);
        input.session_accepts = session_accepts(calendar, leg.time_in_force(), now_ns);
        input
    });
    let inputs = inputs.collect();
    let cap = strategy.map(|strategy| position_cap_e9(&strategy.kind, &strategy.parameters));
    let policy = Policy {
        standing: standing(strategy),
        // Parameters that cannot be read cap nothing, so that they open nothing either.
        sizing: strategy.and_then(|strategy| strategy.sizing).filter(|_| matches!(cap, Some(Ok(_)))),
        position_cap_e9: cap.and_then(Result::ok).flatten(),
        limits: config.and_then(|config| config.limits),
    };
    RiskView { account: account.to_owned(), policy, inputs }
}

/// Whether the regular session takes an order now or queues it for the next one. Orders for the day and
/// until cancelled can always be queued, as long as the calendar knows a next session; the others are not
/// worked by any broker here.
#[must_use]
pub fn session_accepts(calendar: &Calendar, time_in_force: TimeInForce, now_ns: i64) -> bool {
    match time_in_force {
        TimeInForce::Unspecified | TimeInForce::Day | TimeInForce::Gtc => {
            calendar.current_or_next(now_ns).is_ok()
        }
        TimeInForce::Ioc | TimeInForce::Fok | TimeInForce::Opg | TimeInForce::Cls => false,
    }
}

/// The side on which a leg trades when the strategy holds `position`.
pub(super) fn side_of(intent: Intent, position: Quantity) -> Side {
    match intent {
        Intent::EnterLong => Side::Buy,
        Intent::EnterShort => Side::Sell,
        Intent::Exit if position < Quantity::ZERO => Side::Buy,
        Intent::Exit | Intent::Target | Intent::Unspecified => Side::Sell,
    }
}

fn standing(strategy: Option<&StrategyState>) -> Standing {
    match strategy {
        Some(strategy) if strategy.registered && strategy.enabled => match strategy.mode {
            StrategyMode::Shadow => Standing::Shadow,
            StrategyMode::Paper | StrategyMode::Live => Standing::Active,
            StrategyMode::Unspecified => Standing::NotEnabled,
        },
        // The mode of the last enabling stays, so that a strategy that ran once is told from a new one.
        Some(strategy) if strategy.registered && strategy.mode != StrategyMode::Unspecified => {
            Standing::Disabled
        }
        _ => Standing::NotEnabled,
    }
}

fn input(
    book: &Book,
    prices: &Prices,
    signal: &Signal,
    account: &str,
    leg: &SignalLeg,
    now_ns: i64,
) -> RiskInput {
    let held = book.position(account, &signal.strategy, &leg.symbol);
    let held = held.map_or(Quantity::ZERO, |position| position.quantity);
    let side = side_of(leg.intent(), held);
    let reserved = |strategy| {
        let reserved = book.reserved(account, strategy, &leg.symbol);
        if side == Side::Buy { reserved.buy.0 } else { reserved.sell.0 }
    };
    let known = prices.get(&leg.symbol);
    let row = book.account(account);
    RiskInput {
        symbol: leg.symbol.clone(),
        price_e9: known.map_or(0, |known| known.price.0),
        price_time: known.map(|known| to_timestamp(known.time_ns)),
        price_age_ms: known
            .map_or(0, |known| now_ns.saturating_sub(known.time_ns).div_euclid(NANOS_PER_MILLISECOND)),
        strategy_position_e9: held.0,
        account_position_e9: book.net_quantity(account, &leg.symbol).0,
        strategy_reserved_e9: reserved(Some(&signal.strategy)),
        account_reserved_e9: reserved(None),
        equity: row.and_then(|row| row.mark.as_ref()).and_then(|mark| mark.equity.to_wire()),
        cash: row.and_then(|row| row.cash.to_wire()),
        gross_exposure: row.and_then(|row| row.gross_exposure()).and_then(Amount::to_wire),
        reserved_exposure: book.reserved_exposure(account).to_wire(),
        day_pnl: row.and_then(|row| row.day_pnl()).and_then(Amount::to_wire),
        halted: book.is_halted(account),
        ..RiskInput::default()
    }
}
