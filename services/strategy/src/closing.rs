//! What a strategy may still signal that was stopped and keeps its positions: exits, and nothing else.
//!
//! Risk denies it everything else as well, for a strategy in a process of its own; here, entries that could only be
//! denied are not made.

use contracts::v1::{Intent, OrderType, Signal, SignalLeg, TimeInForce};
use domain::book::{Book, StrategyState};
use domain::money::Quantity;
use domain::risk::only_closes;

/// The signals that `strategy` may give. Stopped, it turns around no more: where it would go to the other side of what
/// it holds, it gets out.
pub fn permitted(book: &Book, strategy: &str, mut signals: Vec<Signal>) -> Vec<Signal> {
    let Some(state) = book.strategy(strategy).filter(|state| state.keeps_managing()) else {
        return signals;
    };
    for leg in signals.iter_mut().flat_map(|signal| &mut signal.legs) {
        if turns_around(leg.intent(), held(book, state, &leg.symbol)) {
            *leg = exit(&leg.symbol);
        }
    }
    signals.retain(only_closes);
    signals
}

fn held(book: &Book, state: &StrategyState, symbol: &str) -> Quantity {
    let position = book.position(&state.account, &state.strategy, symbol);
    position.map_or(Quantity::ZERO, |position| position.quantity)
}

fn turns_around(intent: Intent, held: Quantity) -> bool {
    match intent {
        Intent::EnterLong => held < Quantity::ZERO,
        Intent::EnterShort => held > Quantity::ZERO,
        _ => false,
    }
}

fn exit(symbol: &str) -> SignalLeg {
    SignalLeg {
        symbol: symbol.to_owned(),
        intent: Intent::Exit.into(),
        order_type: OrderType::Market.into(),
        time_in_force: TimeInForce::Day.into(),
        ..SignalLeg::default()
    }
}
