//! A simulation without faults of a given market: it has the chain hash of the backtest and of the rehearsal.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::time::Duration;

use contracts::v1::Event;
use contracts::{ChainHash, DuplicateId, Subject, stream};
use event_log::{Append, Clock, EventLog as _, Expect, MemoryLog};
use runtime::clock::{VirtualClock as _, set_virtual};

use crate::database::Database;
use crate::executor::{Executor, Step, at_once};
use crate::fate::{Fate, Mask};
use crate::market::Market;
use crate::run::Mode;
use crate::tape::Tapes;
use crate::world::World;

/// What a calm run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calm {
    /// Hash over every signal, decision, order and fill.
    pub chain_hash: String,
    /// Orders.
    pub orders: u64,
    /// Fills.
    pub fills: u64,
}

/// Plays `market` on the tape clock for `accounts`, with `statements` on the tape before it.
pub fn play(market: Market, statements: &[Event], accounts: &[String]) -> Result<Calm, DuplicateId> {
    let fate = Fate::new(0, true, Mask::default(), false);
    let first_ns = market.instants().first().map_or(0, |instant| instant.ns);
    let mut executor = Executor::new(0, first_ns);
    let timeline = executor.timeline();
    set_virtual(Some(timeline.clone()));
    let log = MemoryLog::with_clock(Clock::new(move || timeline.now_ns()));
    for event in statements {
        if let Some(subject) = Subject::for_event(event, None) {
            let append = Append { subject, event: event.clone(), expect: Expect::Nothing };
            let _stored = at_once(log.append(append));
        }
    }
    let (tapes, database) = (Tapes::new(log, fate.clone()), Database::new(fate));
    let world = World {
        mode: Mode::Tape,
        accounts: accounts.to_vec(),
        tapes: &tapes,
        database: &database,
        exchange: None,
    };
    let over = Rc::new(Cell::new(false));
    world.services(&mut executor);
    world.time(&mut executor, market, first_ns, &over);
    let timeline = executor.timeline();
    let mut ended_at = None;
    executor.run(u64::MAX, |step| {
        if step == Step::Quiet && over.get() {
            let ended_at = *ended_at.get_or_insert(timeline.elapsed());
            if timeline.elapsed() > ended_at + Duration::from_secs(5) {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    });
    drop(executor);
    set_virtual(None);
    let mut hash = ChainHash::default();
    let head =
        at_once(tapes.log.state(stream::TRADING)).and_then(Result::ok).map_or(0, |state| state.last_sequence);
    for sequence in 1..=head {
        if let Some(Ok(Some(recorded))) = at_once(tapes.log.get(stream::TRADING, sequence)) {
            hash.add(&recorded.event);
        }
    }
    let (orders, fills) = hash.orders_and_fills();
    Ok(Calm { chain_hash: hash.finish()?, orders, fills })
}
