//! The view of a decision, from the book.

use contracts::to_timestamp;
use contracts::v1::{
    AccountKind, GroupPolicy, Intent, RiskInput, Side, Signal, SignalLeg, SizingKind, StrategyMode,
};

use super::kernel::side_of;
use super::leg::{numbers, terms};
use super::measure::{Measure, found};
use super::{Policy, RiskView, SessionAnswer, Standing, replace};
use crate::book::{Book, Prices, Reserved, StrategyState};
use crate::calendar::Calendar;
use crate::money::{Amount, Quantity};
use crate::order::OrderState;
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
    let now_ns = as_recorded(prices, signal, now_ns);
    let strategy = book.strategy(&signal.strategy);
    let manual = signal.strategy == contracts::MANUAL && strategy.is_none_or(|known| !known.registered);
    let account = if manual && signal.account.is_empty() {
        // Who asks for new terms need not say whose order it is.
        let replaced = signal.legs.first().and_then(|leg| replace::replaced(book, manual, leg));
        replaced.map_or("", |order| order.spec.account.as_str())
    } else if manual {
        signal.account.as_str()
    } else {
        strategy.map_or("", |strategy| strategy.account.as_str())
    };
    let account = if account.is_empty() { fallback_account } else { account };
    let config = book.account(account).and_then(|account| account.config.as_ref());
    let legs = (0u32..).zip(&signal.legs);
    let inputs = legs.map(|(index, leg)| {
        let replaced = replace::replaced(book, manual, leg);
        let mut input = input(book, prices, signal, account, (leg, replaced), now_ns);
        input.leg = index;
        input.limits_version = config.map_or(0, |config| config.version);
        SessionAnswer::of(calendar, leg.time_in_force(), now_ns).record(&mut input);
        let sizing = strategy.and_then(|strategy| strategy.sizing).unwrap_or_default();
        if sizing.kind() == SizingKind::EqualWeight {
            // One that names none trades every symbol that has a price.
            let symbols = strategy.map(|strategy| strategy.symbols.len()).filter(|stated| *stated > 0);
            let symbols = symbols.unwrap_or_else(|| prices.symbols());
            input.strategy_symbols = u32::try_from(symbols).unwrap_or(u32::MAX);
        }
        input
    });
    let mut inputs: Vec<RiskInput> = inputs.collect();
    Measure { book, prices, calendar, account, signal, manual, now_ns }.add(&mut inputs);
    let cap = strategy.map(|strategy| position_cap_e9(&strategy.kind, &strategy.parameters));
    let policy = Policy {
        standing: if manual { Standing::Active } else { standing(strategy) },
        // Parameters that cannot be read cap nothing, so that they open nothing either.
        sizing: strategy.and_then(|strategy| strategy.sizing).filter(|_| matches!(cap, Some(Ok(_)))),
        position_cap_e9: cap.and_then(Result::ok).flatten(),
        limits: config.and_then(|config| config.limits),
        kind: config.map_or(AccountKind::Unspecified, |config| config.kind),
        costs: config.map(|config| config.costs).unwrap_or_default(),
        group: match signal.group_policy() {
            GroupPolicy::Unspecified => strategy.map_or(GroupPolicy::Unspecified, |known| known.group_policy),
            stated => stated,
        },
    };
    RiskView { account: account.to_owned(), policy, inputs }
}

/// `now_ns` as the inputs tell it, by the age of the first leg's price in whole milliseconds. Every time is counted from
/// there: whoever derives the decision again, or counts from it, has no finer one.
fn as_recorded(prices: &Prices, signal: &Signal, now_ns: i64) -> i64 {
    let priced = signal.legs.iter().find_map(|leg| prices.get(&leg.symbol));
    let beyond = |time_ns: i64| now_ns.saturating_sub(time_ns).rem_euclid(NANOS_PER_MILLISECOND);
    priced.map_or(now_ns, |known| now_ns.saturating_sub(beyond(known.time_ns)))
}

fn standing(strategy: Option<&StrategyState>) -> Standing {
    match strategy {
        Some(strategy) if strategy.registered && strategy.enabled => match strategy.mode {
            StrategyMode::Shadow => Standing::Shadow,
            StrategyMode::Paper | StrategyMode::Live => Standing::Active,
            StrategyMode::Unspecified => Standing::NotEnabled,
        },
        Some(strategy) if strategy.keeps_managing() => Standing::Closing,
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
    (leg, replaced): (&SignalLeg, Option<&OrderState>),
    now_ns: i64,
) -> RiskInput {
    // New terms concern the position of the order's strategy, whoever asks for them.
    let owner = replaced.map_or(&signal.strategy, |order| &order.spec.strategy);
    let held = book.position(account, owner, &leg.symbol);
    let held = held.map_or(Quantity::ZERO, |position| position.quantity);
    let of_strategy = book.reserved(account, Some(owner), &leg.symbol);
    let of_account = book.reserved(account, None, &leg.symbol);
    let known = prices.get(&leg.symbol);
    let row = book.account(account);
    let mut input = RiskInput {
        symbol: leg.symbol.clone(),
        price_e9: known.map_or(0, |known| known.price.0),
        price_time: known.map(|known| to_timestamp(known.time_ns)),
        price_age_ms: known
            .map_or(0, |known| now_ns.saturating_sub(known.time_ns).div_euclid(NANOS_PER_MILLISECOND)),
        strategy_position_e9: held.0,
        account_position_e9: book.net_quantity(account, &leg.symbol).0,
        equity: row.and_then(|row| row.mark.as_ref()).and_then(|mark| mark.equity.to_wire()),
        cash: row.and_then(|row| row.cash.to_wire()),
        gross_exposure: row.and_then(|row| row.gross_exposure()).and_then(Amount::to_wire),
        reserved_exposure: book.reserved_exposure(account).to_wire(),
        day_pnl: row.and_then(|row| row.day_pnl()).and_then(Amount::to_wire),
        halted: book.is_halted(account),
        margin_called: row.is_some_and(|row| row.margin_call_ns.is_some()),
        symbol_halt: prices.halt(&leg.symbol).map(|halt| found(halt, now_ns)),
        ..RiskInput::default()
    };
    if leg.intent() == Intent::Target {
        // A target counts what is under way on both sides; only then is its own side known.
        input.strategy_reserved_e9 = of_strategy.buy.0.saturating_add(of_strategy.sell.0);
    }
    let side = side_of(&numbers(&input), &terms(leg, 0));
    if leg.intent() != Intent::Target {
        input.strategy_reserved_e9 = of_side(side, of_strategy);
    }
    input.account_reserved_e9 = of_side(side, of_account);
    if let Some(order) = replaced {
        replace::state(order, account, leg, &mut input);
    }
    if !leg.replaces.is_empty() {
        return input;
    }
    let protective = book.protective_orders(account, &signal.strategy, &leg.symbol);
    input.protective_orders = protective.map(|order| order.id().to_owned()).collect();
    input
}

fn of_side(side: Side, reserved: Reserved) -> i64 {
    if side == Side::Buy { reserved.buy.0 } else { reserved.sell.0 }
}
