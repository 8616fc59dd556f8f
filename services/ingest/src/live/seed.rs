//! What the tape holds of the present session: the minutes, and which sessions were opened and closed.
//!
//! The tape is the only mark of what was told. Its events since the session's open were recorded since then, and they
//! are found by halving, so that a start does not depend on how long the tape is.

use std::collections::{BTreeMap, HashSet};

use contracts::from_timestamp;
use contracts::stream::MARKET;
use contracts::v1::event::Body;
use contracts::v1::{self, BarRevision};
use domain::bar::{Bar, Timeframe};
use domain::calendar::{Calendar, OutOfRange};
use event_log::{Delivery, LogError, Recorded, Tape};

use super::sessions::Sessions;

/// Messages taken from a read at a time.
const READ_BATCH: usize = 4_096;
/// Filters given to one read; beyond that all bars of minutes are read.
const FILTERS_MAX: usize = 64;

/// What the tape holds.
#[derive(Debug, Default)]
pub(super) struct Seed {
    /// Sequence up to which nothing was read.
    pub(super) floor: u64,
    /// Minutes by symbol and start.
    pub(super) minutes: BTreeMap<String, BTreeMap<i64, Bar>>,
    /// Sessions.
    pub(super) sessions: Sessions,
}

/// Open of the session in progress at `now_ns`, else of the last one.
pub(super) fn since(calendar: &Calendar, now_ns: i64) -> Result<i64, OutOfRange> {
    match calendar.session_at(now_ns)? {
        Some(session) => Ok(session.open_ns),
        None => calendar.previous_session_before(now_ns).map(|session| session.open_ns),
    }
}

/// Reads what was recorded at `recorded_ns` or later of `symbols`, whose bars start at `since_ns` or later.
pub(super) async fn seed(
    tape: &Tape,
    symbols: &[String],
    since_ns: i64,
    recorded_ns: i64,
) -> Result<Seed, LogError> {
    let mut seed = Seed { floor: floor(tape, recorded_ns).await?, ..Seed::default() };
    let mut filters = vec!["market.session.>".to_owned()];
    if symbols.len() * 2 < FILTERS_MAX {
        for symbol in symbols {
            filters.extend(["bar", "revision"].map(|kind| {
                contracts::Subject::of(&["market", kind, Timeframe::M1.name(), symbol]).as_str().to_owned()
            }));
        }
    } else {
        filters.extend(["bar", "revision"].map(|kind| format!("market.{kind}.{}.>", Timeframe::M1)));
    }
    // A session may have been opened long ago and not closed since.
    let exchange = contracts::Subject::of(&["market", "session", Calendar::xnys().exchange()]);
    if let Some(recorded) = tape.last(MARKET, exchange.as_str()).await? {
        fold(&mut seed, &recorded, &HashSet::new(), since_ns);
    }
    let mut through = 0;
    for filter in &filters {
        through = through.max(tape.last_sequence(MARKET, filter).await?);
    }
    if through <= seed.floor {
        return Ok(seed);
    }
    let wanted: HashSet<&str> = symbols.iter().map(String::as_str).collect();
    let mut reader = tape.read(MARKET, &filters, seed.floor + 1).await?;
    let mut at = seed.floor;
    while at < through {
        for delivery in reader.batch(READ_BATCH).await? {
            at = delivery.sequence();
            match delivery {
                Delivery::Event(recorded) => fold(&mut seed, &recorded, &wanted, since_ns),
                Delivery::Undecodable { sequence, subject, error, .. } => {
                    tracing::warn!(sequence, subject, "MARKET {sequence} passed over: {error}");
                }
            }
        }
    }
    Ok(seed)
}

/// The last sequence whose event was recorded before `recorded_ns`; lower where that cannot be told.
async fn floor(tape: &Tape, recorded_ns: i64) -> Result<u64, LogError> {
    let state = tape.state(MARKET).await?;
    let (mut low, mut high) = (state.first_sequence.max(1), state.last_sequence + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let recorded = match tape.get(MARKET, middle).await {
            Ok(recorded) => {
                recorded.and_then(|recorded| from_timestamp(recorded.event.recorded_time.as_ref()?))
            }
            Err(error) if error.is_undecodable() => None,
            Err(error) => return Err(error),
        };
        // What does not say when it was recorded is read: too much is better than too little.
        if recorded.is_some_and(|at_ns| at_ns < recorded_ns) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low - 1)
}

fn fold(seed: &mut Seed, recorded: &Recorded, wanted: &HashSet<&str>, since_ns: i64) {
    let event = &recorded.event;
    match &event.body {
        Some(Body::Bar(bar) | Body::BarRevision(BarRevision { bar: Some(bar), .. })) => {
            let close_ns = event.event_time.as_ref().and_then(from_timestamp).unwrap_or_default();
            minute(seed, bar, close_ns, wanted, since_ns);
        }
        Some(Body::SessionChange(change)) if change.exchange == Calendar::xnys().exchange() => {
            if let Ok(date) = change.date.parse() {
                seed.sessions.note(date, change.phase());
            }
        }
        _ => {}
    }
}

fn minute(seed: &mut Seed, bar: &v1::Bar, close_ns: i64, wanted: &HashSet<&str>, since_ns: i64) {
    let Some(minute) = Bar::from_wire(bar, close_ns).filter(|minute| minute.start_ns >= since_ns) else {
        return;
    };
    if wanted.contains(bar.symbol.as_str()) && bar.timeframe == Timeframe::M1.name() {
        seed.minutes.entry(bar.symbol.clone()).or_default().insert(minute.start_ns, minute);
    }
}
