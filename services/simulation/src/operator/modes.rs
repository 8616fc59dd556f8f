//! A strategy that begins in shadow mode is switched to paper, and back.

use contracts::MANUAL;
use contracts::v1::{PositionsFate, StrategyMode};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use runtime::command::{self, Leaving, StrategyError};

use super::{Desk, Moments, caller};
use crate::setup::{INSIDE, SHADE};

/// Events of MARKET between two switches, at most.
const MODES_EVERY: u64 = 90;

/// Follows the market and switches the strategy now and then, until the end. Back in shadow mode it manages nothing: each time
/// it is said what becomes of what it holds.
pub async fn switch_modes(desk: Desk) {
    let mut rng = desk.choices(0x54_ade5);
    let mut number = 0_u64;
    let mut moments = Moments::within(&mut rng, MODES_EVERY);
    while moments.come(&desk, &mut rng, MODES_EVERY).await {
        number += 1;
        let leaving = leaving(&mut rng);
        let in_shadow = desk.database.with_book(|book| {
            book.strategy(SHADE.0).is_none_or(|strategy| strategy.mode == StrategyMode::Shadow)
        });
        let (mode, leaving) = if in_shadow {
            (StrategyMode::Paper, Leaving::default())
        } else {
            (StrategyMode::Shadow, leaving)
        };
        let caller = caller(format!("mode-{number}"));
        desk.insist(async || {
            let switched = command::enable_strategy(&desk.tape, &caller, SHADE.0, mode, &leaving).await;
            // Nobody takes over who is stopped: it goes on as it does.
            matches!(switched, Ok(()) | Err(StrategyError::Invalid { .. }))
        })
        .await;
    }
}

fn leaving(rng: &mut ChaCha8Rng) -> Leaving {
    let (positions, heir) = match rng.random_range(0..4) {
        0 => (PositionsFate::Keep, ""),
        1 => (PositionsFate::Flatten, ""),
        2 => (PositionsFate::HandOver, MANUAL),
        // It trades on the same account.
        _ => (PositionsFate::HandOver, INSIDE[0].0),
    };
    Leaving { positions, hand_over_to: heir.to_owned(), ..Leaving::default() }
}
