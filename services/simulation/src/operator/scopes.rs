//! Halts and kills of one strategy, of what is traded by hand, and of an account in full; each is ended soon.

use contracts::MANUAL;
use contracts::v1::TradingState;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use runtime::command::{self, Stop};

use super::{Desk, Moments, SOON, caller};
use crate::setup::{ACCOUNTS, INSIDE, WILD};

/// Events of MARKET between two stops, at most.
const STOPS_EVERY: u64 = 60;

/// How a scope is stopped.
#[derive(Clone, Copy, Debug)]
enum How {
    Halt(TradingState),
    Kill { flatten: bool },
}

impl How {
    fn random(rng: &mut ChaCha8Rng) -> Self {
        match rng.random_range(0..4) {
            0 => Self::Halt(TradingState::ReduceOnly),
            1 => Self::Halt(TradingState::Halted),
            kill => Self::Kill { flatten: kill == 2 },
        }
    }
}

/// Follows the market, stops a scope now and then and lets it go on soon, until the end.
pub async fn stop_scopes(desk: Desk) {
    let mut rng = desk.choices(0x5c_09e5);
    let (mut number, mut stopped) = (0_u64, None::<Stop>);
    let mut moments = Moments::within(&mut rng, STOPS_EVERY);
    while moments.come(&desk, &mut rng, if stopped.is_some() { STOPS_EVERY } else { SOON }).await {
        number += 1;
        let caller = caller(format!("scope-{number}"));
        if let Some(stop) = stopped.take() {
            desk.insist(async || command::resume_scope(&desk.tape, &caller, &stop).await.is_ok()).await;
            continue;
        }
        let (how, stop) = (How::random(&mut rng), scope(&mut rng));
        desk.insist(async || {
            let tape = &desk.tape;
            let done = match how {
                How::Halt(state) => command::halt_scope(tape, &caller, &stop, state).await,
                How::Kill { flatten } => command::kill(tape, &caller, &stop, flatten).await,
            };
            done.is_ok()
        })
        .await;
        stopped = Some(stop);
    }
}

/// An account, or a strategy on its own account or wherever it trades.
fn scope(rng: &mut ChaCha8Rng) -> Stop {
    let any = ACCOUNTS[rng.random_range(0..ACCOUNTS.len())];
    let (strategy, own) = match rng.random_range(0..6_usize) {
        0 => ("", any),
        1 => (WILD, ACCOUNTS[0]),
        2 => (MANUAL, any),
        inside => (INSIDE[inside - 3].0, INSIDE[inside - 3].2),
    };
    let everywhere = !strategy.is_empty() && rng.random_range(0..2) == 0;
    let account = if everywhere { "" } else { own };
    Stop { account: account.to_owned(), strategy: strategy.to_owned(), reason: "one of them".to_owned() }
}
