//! The operator: halts, resumes, cancels, stops strategies and lets them go on while the market does, asks for new terms of
//! orders and changes limits; places orders, stops single scopes and switches a strategy between shadow mode and paper.

mod by_hand;
mod modes;
mod scopes;

use std::time::Duration;

use contracts::v1::{BreakerKind, LimitScope, PositionsFate, StrategyMode};
use contracts::{MANUAL, stream};
use domain::book::Book;
use event_log::{LogError, Tape};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use runtime::command::{self, Caller, Leaving, NewTerms, Stop, StrategyError};
use runtime::{ClockMode, clock};
use tokio_util::sync::CancellationToken;

use crate::database::Database;
use crate::setup::{ACCOUNTS, INSIDE, WILD};

pub use by_hand::{place_orders, trade_parts};
pub use modes::switch_modes;
pub use scopes::stop_scopes;

/// Events of MARKET between two commands, at most.
const EVERY: u64 = 40;
/// Events until something that was stopped goes on again, at most.
const SOON: u64 = 25;
/// Events of MARKET between two requests for new terms, at most.
const TERMS_EVERY: u64 = 20;
/// Events of MARKET between two changes of limits, at most.
const LIMITS_EVERY: u64 = 80;
/// Attempts at a command that the tape does not take.
const ATTEMPTS_MAX: usize = 20;
/// Time between two of them.
const PAUSE: Duration = Duration::from_millis(150);

const E9: i64 = 1_000_000_000;

/// What somebody works with who gives commands.
#[derive(Clone)]
pub struct Desk {
    /// The tape.
    pub tape: Tape,
    /// The read models.
    pub database: Database,
    /// The tape's clock.
    pub clock: ClockMode,
    /// Seed of the run.
    pub seed: u64,
    /// Ends the work.
    pub shutdown: CancellationToken,
}

impl Desk {
    /// The choices of one who does `what`: nobody else's.
    fn choices(&self, what: u64) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(self.seed ^ what)
    }

    /// Does something again until it is done.
    async fn insist(&self, attempt: impl AsyncFn() -> bool) {
        for _ in 0..ATTEMPTS_MAX {
            if attempt().await || self.shutdown.is_cancelled() {
                return;
            }
            clock::sleep(PAUSE).await;
        }
    }
}

/// Who gives a command, of which the key is asked for once.
fn caller(key: String) -> Caller {
    Caller { actor: "operator".to_owned(), key }
}

/// The moments at which somebody does something who follows the market.
struct Moments {
    seen: u64,
    next: u64,
}

impl Moments {
    /// The first one comes within so many events of MARKET.
    fn within(rng: &mut ChaCha8Rng, events: u64) -> Self {
        Self { seen: 0, next: rng.random_range(1..events) }
    }

    /// Waits for the next one, behind which another one comes within so many events; false on shutdown.
    async fn come(&mut self, desk: &Desk, rng: &mut ChaCha8Rng, events: u64) -> bool {
        while self.seen < self.next {
            if desk.shutdown.is_cancelled() {
                return false;
            }
            match follow(&desk.tape, self.seen, &desk.shutdown).await {
                Ok(Some(to)) => self.seen = to,
                Ok(None) => return false,
                Err(_) => clock::sleep(Duration::from_millis(100)).await,
            }
        }
        self.next += rng.random_range(1..events);
        true
    }
}

/// What an operator does.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Halt(&'static str),
    Kill(&'static str, bool),
    Resume(&'static str),
    Disable(&'static str),
    Enable(&'static str),
    Reset(&'static str),
    Cancel,
}

impl Kind {
    fn random(rng: &mut ChaCha8Rng) -> Self {
        let account = ["", ACCOUNTS[0], ACCOUNTS[1]][rng.random_range(0..3)];
        let strategy = [INSIDE[0].0, INSIDE[1].0, INSIDE[2].0, WILD][rng.random_range(0..4)];
        match rng.random_range(0..10) {
            0 if rng.random_range(0..2) == 0 => Self::Kill(account, rng.random_range(0..2) == 0),
            0 | 1 => Self::Halt(account),
            2 => Self::Resume(account),
            3 => Self::Disable(strategy),
            4 => Self::Enable(strategy),
            5..=7 => Self::Reset(if account.is_empty() { ACCOUNTS[0] } else { account }),
            _ => Self::Cancel,
        }
    }

    fn undone(self) -> Option<Self> {
        match self {
            Self::Halt(account) | Self::Kill(account, _) => Some(Self::Resume(account)),
            Self::Disable(strategy) => Some(Self::Enable(strategy)),
            _ => None,
        }
    }
}

/// What becomes of what a strategy holds that is stopped.
fn fate_of(rng: &mut ChaCha8Rng, strategy: &str) -> Leaving {
    let (draw, by_hand) = (rng.random_range(0..3), rng.random_range(0..2) == 0);
    // Somebody else on the same account.
    let other = if strategy == INSIDE[0].0 {
        WILD
    } else if strategy == INSIDE[1].0 {
        INSIDE[2].0
    } else if strategy == INSIDE[2].0 {
        INSIDE[1].0
    } else {
        INSIDE[0].0
    };
    let (positions, heir) = match draw {
        0 => (PositionsFate::Keep, ""),
        1 => (PositionsFate::Flatten, ""),
        _ => (PositionsFate::HandOver, if by_hand { MANUAL } else { other }),
    };
    Leaving { positions, hand_over_to: heir.to_owned(), ..Leaving::default() }
}

/// Follows the market and gives commands, until `shutdown`. With `fates` it says what becomes of what a strategy holds that
/// it stops, by choices of their own.
pub async fn run(desk: Desk, fates: bool) {
    let Desk { tape, database, shutdown, .. } = &desk;
    let mut rng = desk.choices(0x0b5e);
    let mut of_fates = fates.then(|| desk.choices(0x1e_a7e5));
    let mut seen = 0;
    let mut next = rng.random_range(1..EVERY);
    let (mut number, mut undo) = (0, None::<Kind>);
    while !shutdown.is_cancelled() {
        // It looks at the clock of the market now and then, as a person does.
        match follow(tape, seen, shutdown).await {
            Ok(Some(to)) => seen = to,
            Ok(None) => return,
            Err(_) => clock::sleep(Duration::from_millis(100)).await,
        }
        while seen >= next {
            number += 1;
            // What was stopped is let go on soon, so that there is something to see.
            let kind = match undo.take() {
                Some(kind) => kind,
                None => Kind::random(&mut rng),
            };
            undo = kind.undone();
            next += rng.random_range(1..if undo.is_some() { SOON } else { EVERY });
            let leaving = match (kind, &mut of_fates) {
                (Kind::Disable(strategy), Some(of_fates)) => fate_of(of_fates, strategy),
                _ => Leaving::default(),
            };
            command(tape, database, &mut rng, (kind, &leaving), number, shutdown).await;
        }
    }
}

/// Waits for more of MARKET behind `seen`; `None` on shutdown.
async fn follow(tape: &Tape, seen: u64, shutdown: &CancellationToken) -> Result<Option<u64>, LogError> {
    let mut reader = tape.read(stream::MARKET, &[], seen + 1).await?;
    tokio::select! {
        biased;
        () = shutdown.cancelled() => Ok(None),
        batch = reader.batch(64) => Ok(batch?.last().map(event_log::Delivery::sequence).or(Some(seen))),
    }
}

/// Gives one command, again until it is taken.
async fn command(
    tape: &Tape,
    database: &Database,
    rng: &mut ChaCha8Rng,
    (kind, leaving): (Kind, &Leaving),
    number: u64,
    shutdown: &CancellationToken,
) {
    let caller = caller(number.to_string());
    let book = database.book();
    let open: Vec<_> = book.open_orders().map(|order| order.spec.clone()).collect();
    let order = (!open.is_empty()).then(|| open[rng.random_range(0..open.len())].clone());
    for _ in 0..ATTEMPTS_MAX {
        let done = match (kind, &order) {
            (Kind::Halt(account), _) => command::halt(tape, &caller, account, "looks odd").await.is_ok(),
            (Kind::Kill(account, flatten), _) => {
                let stop = Stop { account: account.to_owned(), reason: "fire".to_owned(), ..Stop::default() };
                command::kill(tape, &caller, &stop, flatten).await.is_ok()
            }
            (Kind::Resume(account), _) => command::resume(tape, &caller, account, "looks well").await.is_ok(),
            (Kind::Disable(strategy), _) => stop(tape, &caller, strategy, leaving).await,
            (Kind::Enable(strategy), _) => {
                let (mode, nothing) = (StrategyMode::Paper, Leaving::default());
                command::enable_strategy(tape, &caller, strategy, mode, &nothing).await.is_ok()
            }
            (Kind::Reset(account), _) => {
                let stop = Stop { account: account.to_owned(), reason: "seen".to_owned(), ..Stop::default() };
                command::reset_breaker(tape, &caller, &stop, BreakerKind::Unspecified).await.is_ok()
            }
            (Kind::Cancel, Some(order)) => {
                command::cancel_order(tape, &caller, order, "not any more").await.is_ok()
            }
            (Kind::Cancel, None) => return,
        };
        if done || shutdown.is_cancelled() {
            return;
        }
        clock::sleep(PAUSE).await;
    }
}

/// Stops a strategy; true when it is done, or refused because nobody could take over what it holds.
async fn stop(tape: &Tape, caller: &Caller, strategy: &str, leaving: &Leaving) -> bool {
    let outcome = command::stop_strategy(tape, caller, strategy, "enough", leaving).await;
    matches!(outcome, Ok(()) | Err(StrategyError::Invalid { .. } | StrategyError::Unknown(_)))
}

/// Follows the market and changes the limit of an order of the wild strategy now and then, until the end. As with new
/// terms, its choices and its numbers are its own.
pub async fn change_limits(desk: Desk) {
    let mut rng = desk.choices(0x1137);
    let scope = LimitScope { account: ACCOUNTS[0].into(), strategy: WILD.into(), ..LimitScope::default() };
    let mut number = 0_u64;
    let mut moments = Moments::within(&mut rng, LIMITS_EVERY);
    while moments.come(&desk, &mut rng, LIMITS_EVERY).await {
        number += 1;
        let most_e9 = rng.random_range(30..110) * E9;
        let caller = caller(format!("limits-{number}"));
        desk.insist(async || {
            let changed = command::change_limits(&desk.tape, &caller, &scope, "tighter or not", |limits| {
                limits.max_order_quantity_e9 = Some(most_e9);
                Ok(())
            });
            changed.await.is_ok()
        })
        .await;
    }
}

/// Follows the market and asks for new terms of open orders, until the end. Its choices and its numbers are its own, so
/// that a run without it is as if there was no such thing.
pub async fn ask_for_terms(desk: Desk) {
    let mut rng = desk.choices(0x7e12);
    let mut number = 0_u64;
    let mut moments = Moments::within(&mut rng, TERMS_EVERY);
    while moments.come(&desk, &mut rng, TERMS_EVERY).await {
        let Some(terms) = new_terms(&desk.database.book(), &mut rng) else { continue };
        number += 1;
        let caller = caller(format!("terms-{number}"));
        desk.insist(async || command::replace_order(&desk.tape, &caller, desk.clock, &terms).await.is_ok())
            .await;
    }
}

/// Other terms for one of the open orders: fewer shares or more, or another price where it has one.
fn new_terms(book: &Book, rng: &mut ChaCha8Rng) -> Option<NewTerms> {
    let open: Vec<_> = book.open_orders().collect();
    if open.is_empty() {
        return None;
    }
    let spec = &open[rng.random_range(0..open.len())].spec;
    let (what, more, permille) =
        (rng.random_range(0..4), rng.random_range(1..20), rng.random_range(990..1_010));
    let shares = spec.quantity_e9 / E9;
    let moved = |price: i64| price / 1_000 * permille;
    let (quantity_e9, limit_price_e9, stop_price_e9) = match (what, spec.limit_price_e9, spec.stop_price_e9) {
        (0, Some(price), _) => (None, Some(moved(price)), None),
        (1, _, Some(price)) => (None, None, Some(moved(price))),
        (2, ..) => (Some((shares / 2).max(1) * E9), None, None),
        _ => (Some((shares + more) * E9), None, None),
    };
    Some(NewTerms {
        order_id: spec.order_id.clone(),
        account: spec.account.clone(),
        symbol: spec.symbol.clone(),
        side: spec.side(),
        quantity_e9,
        limit_price_e9,
        stop_price_e9,
        reason: "better so".to_owned(),
    })
}
