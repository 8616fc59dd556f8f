//! The state as of a moment: the book as it stood after a sequence of TRADING or at an instant of market
//! time, folded from the tape with [`Book::apply`] and never taken from the present rows.
//!
//! Invariants: as of the head it equals the read model; what was folded once is not folded again, because
//! books are kept on the way, on disk too where a directory is given; their number is bounded, and so is what one
//! request may fold at a time.
//!
//! An *instant* stands for all that the system did in it: everything before the first event that the market
//! caused at a later time. Commands of people carry the wall clock and belong to where they stand.
//!
//! Deliberately absent: prices other than those of the accounts' marks, and any write to the tape.

mod beside;
mod on_disk;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use chrono::DateTime;
use contracts::v1::event::Body;
use contracts::v1::{EntryKind, Event};
use contracts::{from_timestamp, stream};
use domain::book::{Book, FoldError, PositionKey, pairs};
use domain::money::Quantity;
use event_log::{Delivery, LogError, Recorded, Tape};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::queries::{AccountRow, OrderFilter, OrderRow, Part, PositionRow, StrategyRow, Turn, past};
use crate::trading;
use beside::Beside;
pub(crate) use beside::{OrderSeen, StrategySeen};
use on_disk::{BOOKS_MAX, OnDisk};

/// Books kept on the way. When there are more, every second one goes: the distance between them doubles.
const KEPT_MAX: usize = 32;
/// Answers kept: a page asks for one moment several times.
const ANSWERS_MAX: usize = 8;
/// Events between two kept books, at first.
const DISTANCE: u64 = 1_024;
/// Messages read at a time.
const BATCH: usize = 1_000;
/// An order that the fold has let go of has fewer events than this.
const ORDER_EVENTS_MAX: usize = 10_000;

/// A moment of the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// After this sequence of TRADING.
    Sequence(u64),
    /// At this instant of market time, UTC nanoseconds.
    Instant(i64),
}

/// Text that names no moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("as_of = {0:?}: expected seq:N or an instant such as 2020-01-02T15:30:00Z")]
pub struct NoMoment(pub String);

impl FromStr for Moment {
    type Err = NoMoment;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || match text.strip_prefix("seq:") {
            Some(number) => number.parse().ok().map(Self::Sequence),
            None => {
                let time = DateTime::parse_from_rfc3339(text).ok()?;
                // Where the nanoseconds end, before 1677 and after 2262, nothing has happened.
                let end = if time.timestamp() < 0 { i64::MIN } else { i64::MAX };
                Some(Self::Instant(time.timestamp_nanos_opt().unwrap_or(end)))
            }
        };
        parse().ok_or_else(|| NoMoment(text.chars().take(40).collect()))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sequence(sequence) => write!(formatter, "seq:{sequence}"),
            Self::Instant(ns) => {
                let instant = DateTime::from_timestamp_nanos(*ns);
                formatter.write_str(&instant.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
            }
        }
    }
}

/// The state of a moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Past {
    /// The book.
    pub book: Book,
    /// Market time of the last event that the market caused, UTC nanoseconds; `None` before the first.
    pub market_ns: Option<i64>,
    /// Which event changed a row last.
    changed: Changed,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Changed {
    accounts: BTreeMap<String, u64>,
    #[serde(with = "pairs")]
    positions: BTreeMap<PositionKey, u64>,
    beside: Beside,
    /// Splits since the last mark, by account and symbol.
    #[serde(with = "pairs")]
    splits: BTreeMap<(String, String), Vec<Split>>,
}

/// What a split made of a position.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Split {
    action_id: String,
    before: Quantity,
    after: Quantity,
}

impl Changed {
    /// Takes note of a split, once for each account, and of a mark, whose prices have it.
    fn note_splits(&mut self, event: &Event, before: Quantity) {
        match &event.body {
            Some(Body::AccountMarked(mark)) => {
                self.splits.retain(|(account, _), _| *account != mark.account);
            }
            Some(Body::AccountEntry(entry)) if entry.kind() == EntryKind::Split => {
                let key = (entry.account.clone(), entry.symbol.clone());
                let known = self.splits.entry(key).or_default();
                if known.iter().all(|split| split.action_id != entry.action_id) {
                    let after = Quantity(entry.quantity_after_e9.saturating_add(entry.fraction_e9));
                    known.push(Split { action_id: entry.action_id.clone(), before, after });
                }
            }
            _ => {}
        }
    }
}

/// A moment cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum AsOfError {
    /// It has not come yet.
    #[error("as_of = seq:{asked}: expected at most seq:{head}, the last event on TRADING{}", of(*.head_ns))]
    Future {
        /// Sequence asked for.
        asked: u64,
        /// Last one on the stream.
        head: u64,
        /// Time of the last event, UTC nanoseconds, where it can be read.
        head_ns: Option<i64>,
    },
    /// The tape.
    #[error(transparent)]
    Tape(#[from] LogError),
}

/// The time of an event in words.
fn of(time_ns: Option<i64>) -> String {
    time_ns.map_or_else(String::new, |ns| format!(", of {}", Moment::Instant(ns)))
}

impl Past {
    /// Last TRADING sequence folded.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.book.sequence()
    }

    /// Whether this state, the newest of its tape, lies at or behind `moment`; otherwise what was expected instead.
    pub fn holds(&self, moment: Moment) -> Result<(), String> {
        match (moment, self.market_ns) {
            (Moment::Sequence(asked), _) if asked > self.sequence() => {
                Err(format!("at most {}, the last event on TRADING", self.sequence()))
            }
            (Moment::Instant(asked), Some(last)) if asked > last => {
                Err(format!("at most {}, the last instant of the tape", Moment::Instant(last)))
            }
            (Moment::Instant(_), None) => Err("a tape on which the market has moved".to_owned()),
            _ => Ok(()),
        }
    }

    /// Positions as [`crate::queries::positions`] gives them.
    #[must_use]
    pub fn positions(&self, account: Option<&str>, with_flat: bool) -> Vec<PositionRow> {
        let wanted = self.book.positions().filter(|row| {
            account.is_none_or(|account| row.key.account == account) && (with_flat || row.quantity.0 != 0)
        });
        let rows = wanted.map(|row| {
            let sequence = self.changed.positions.get(&row.key).copied().unwrap_or_default();
            let splits = self.changed.splits.get(&(row.key.account.clone(), row.key.symbol.clone()));
            let splits = splits.into_iter().flatten().map(|split| (split.before, split.after));
            past::position(&self.book, row, splits, sequence)
        });
        rows.collect()
    }

    /// Accounts as [`crate::queries::accounts`] gives them.
    #[must_use]
    pub fn accounts(&self) -> Vec<AccountRow> {
        let rows = self.book.accounts().map(|row| {
            let sequence = self.changed.accounts.get(&row.account).copied().unwrap_or_default();
            past::account(&self.book, row, sequence)
        });
        rows.collect()
    }

    /// Orders as [`crate::queries::list_orders`] gives them. Orders that ended before the last
    /// [`domain::book::SETTLED_ORDERS_MAX`] ones are in the present list only.
    #[must_use]
    pub fn orders(&self, filter: &OrderFilter, turn: Turn, limit: u32) -> Part<OrderRow> {
        let seen = self.changed.beside.orders();
        let rows = seen.filter_map(|(order_id, seen)| Some(past::order(self.book.order(order_id)?, seen)));
        past::orders(rows, filter, turn, limit)
    }

    /// Strategies as [`crate::queries::strategies`] gives them.
    #[must_use]
    pub fn strategies(&self) -> Vec<StrategyRow> {
        let positions = self.positions(None, true);
        let rows = self
            .book
            .strategies()
            .map(|row| past::strategy(row, &self.changed.beside.strategy(&row.strategy), &positions));
        rows.collect()
    }

    fn apply(&mut self, sequence: u64, event: &Event) -> Result<(), FoldError> {
        let shares_before = match &event.body {
            Some(Body::AccountEntry(entry)) => trading::shares(&self.book, entry),
            _ => Quantity::ZERO,
        };
        let changes = self.book.apply(sequence, event)?;
        self.changed.note_splits(event, shares_before);
        self.changed.beside.note(sequence, event, &changes, &self.book);
        self.changed.accounts.extend(changes.accounts.into_iter().map(|key| (key, sequence)));
        self.changed.positions.extend(changes.positions.into_iter().map(|key| (key, sequence)));
        if let Some(time) = market_time(event) {
            self.market_ns = Some(self.market_ns.map_or(time, |known| known.max(time)));
        }
        Ok(())
    }
}

/// When the market caused the event; `None` for what people and programs state at a time of their own.
fn market_time(event: &Event) -> Option<i64> {
    let of_market = match event.body.as_ref()? {
        Body::AccountMarked(_)
        | Body::Fill(_)
        | Body::Signal(_)
        | Body::OrderExpired(_)
        | Body::OrderTriggered(_)
        | Body::OrderTrailed(_)
        | Body::MarginCalled(_)
        | Body::MarginRestored(_)
        | Body::GroupHandled(_)
        | Body::OrderAdjusted(_) => true,
        Body::AccountEntry(entry) => entry.kind() != EntryKind::Deposit,
        _ => false,
    };
    of_market.then(|| event.event_time.as_ref().and_then(from_timestamp)).flatten()
}

/// The past of one tape, with the books kept on the way. Cheap to make, shared by all who ask.
#[derive(Debug)]
pub struct Timeline {
    tape: Tape,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    /// In the order of their sequences.
    books: VecDeque<Past>,
    distance: u64,
    /// The last answers that no later event changes.
    answers: VecDeque<(Moment, Arc<Past>)>,
    on_disk: Option<OnDisk>,
}

impl Timeline {
    /// The past of `tape`.
    #[must_use]
    pub fn new(tape: Tape) -> Self {
        Self::kept_in(tape, None)
    }

    /// The past of `tape`, whose books are kept in a directory too, so that the next process goes on from them.
    #[must_use]
    pub fn kept_in(tape: Tape, dir: Option<PathBuf>) -> Self {
        Self { tape, kept: Mutex::new(Kept { on_disk: dir.map(OnDisk::new), ..Kept::new(DISTANCE) }) }
    }

    /// The state of a moment. One request folds at a time, and what it has folded is kept even when nobody
    /// waits for it any more.
    pub async fn at(&self, moment: Moment) -> Result<Arc<Past>, AsOfError> {
        let head = self.head().await?;
        if let Moment::Sequence(asked) = moment
            && asked > head
        {
            // The time only helps: what was asked is refused without it, too.
            let last = self.tape.get(stream::TRADING, head).await.ok().flatten();
            let head_ns = last.and_then(|last| last.event.event_time.as_ref().and_then(from_timestamp));
            return Err(AsOfError::Future { asked, head, head_ns });
        }
        let mut kept = self.kept.lock().await;
        if let Some((_, known)) = kept.answers.iter().find(|(known, _)| *known == moment) {
            return Ok(Arc::clone(known));
        }
        let (past, stays) = self.fold_to(&mut kept, moment, head).await?;
        let past = Arc::new(past);
        if stays {
            kept.answers.truncate(ANSWERS_MAX - 1);
            kept.answers.push_front((moment, Arc::clone(&past)));
        }
        Ok(past)
    }

    /// Last sequence of TRADING.
    pub async fn head(&self) -> Result<u64, LogError> {
        Ok(self.tape.state(stream::TRADING).await?.last_sequence)
    }

    /// The state of a moment that is not past `head`, and whether it stays so whatever follows.
    async fn fold_to(&self, kept: &mut Kept, moment: Moment, head: u64) -> Result<(Past, bool), LogError> {
        let mut past = kept.before(moment);
        let (last, ends) = match moment {
            Moment::Sequence(sequence) => (sequence, true),
            Moment::Instant(_) => (head, false),
        };
        if past.sequence() >= last {
            return Ok((past, ends));
        }
        if let Some(on_disk) = &mut kept.on_disk
            && let Some(found) = Box::pin(on_disk.before(&self.tape, moment, past.sequence())).await?
        {
            past = found;
        }
        // A long tape has as many books on disk as a short one.
        let distance = DISTANCE.max(head / BOOKS_MAX as u64);
        let mut stays = ends;
        let mut reader = self.tape.read(stream::TRADING, &[], past.sequence() + 1).await?;
        'tape: while past.sequence() < last {
            for delivery in reader.batch(BATCH).await? {
                if delivery.sequence() > last || beyond(&delivery, moment) {
                    stays = true;
                    break 'tape;
                }
                self.fold(&mut past, delivery).await?;
                kept.keep(&past);
                self.store(kept, &past, distance).await;
            }
        }
        // Who asks once may ask again.
        self.store(kept, &past, DISTANCE).await;
        Ok((past, stays))
    }

    /// Keeps a book on disk where the one before it is at least `distance` events away.
    async fn store(&self, kept: &mut Kept, past: &Past, distance: u64) {
        let sequence = past.sequence();
        let Some(on_disk) = kept.on_disk.as_mut().filter(|books| books.wants(sequence, distance)) else {
            return;
        };
        // Behind a message that is no event, or while the tape does not answer, the next place serves as well.
        if let Ok(Some(at)) = self.tape.get(stream::TRADING, sequence).await {
            Box::pin(on_disk.keep(at.event, past.clone())).await;
        }
    }

    /// Folds one message; one that cannot be folded is passed over, as the projection passes over it.
    async fn fold(&self, past: &mut Past, delivery: Delivery) -> Result<(), LogError> {
        let sequence = delivery.sequence();
        let Delivery::Event(Recorded { event, .. }) = delivery else {
            past.book.skip(sequence);
            return Ok(());
        };
        let mut outcome = past.apply(sequence, &event);
        if let Err(FoldError::OrderNotLoaded { order_id }) = &outcome
            && self.bring(past, order_id, sequence).await?
        {
            outcome = past.apply(sequence, &event);
        }
        if outcome.is_err() {
            past.book.skip(sequence);
        }
        Ok(())
    }

    /// Brings an order that has left memory back by folding its own events before `sequence`.
    async fn bring(&self, past: &mut Past, order_id: &str, sequence: u64) -> Result<bool, LogError> {
        let filters = ["order", "fill"].map(|kind| format!("{kind}.*.*.*.{order_id}.>"));
        let mut reader = self.tape.read(stream::TRADING, &filters, 1).await?;
        let mut own = Book::default();
        for _ in 0..ORDER_EVENTS_MAX {
            // The event that needs the order is among them, so the read ends.
            for delivery in reader.batch(BATCH).await? {
                if delivery.sequence() >= sequence {
                    let order = own.order(order_id).cloned();
                    let found = order.is_some();
                    order.into_iter().for_each(|order| past.book.admit(order));
                    return Ok(found);
                }
                if let Delivery::Event(recorded) = delivery
                    && own.apply(recorded.sequence, &recorded.event).is_err()
                {
                    own.skip(recorded.sequence);
                }
            }
        }
        Ok(false)
    }
}

/// Whether a message is of a later instant than the moment.
fn beyond(delivery: &Delivery, moment: Moment) -> bool {
    match (delivery, moment) {
        (Delivery::Event(recorded), Moment::Instant(instant_ns)) => {
            market_time(&recorded.event).is_some_and(|time| time > instant_ns)
        }
        _ => false,
    }
}

impl Kept {
    fn new(distance: u64) -> Self {
        Self { books: VecDeque::new(), distance, answers: VecDeque::new(), on_disk: None }
    }

    /// The last book that is not past the moment.
    fn before(&self, moment: Moment) -> Past {
        let early = self.books.iter().rev().find(|past| match moment {
            Moment::Sequence(sequence) => past.sequence() <= sequence,
            Moment::Instant(instant_ns) => past.market_ns.is_none_or(|time| time <= instant_ns),
        });
        early.cloned().unwrap_or_default()
    }

    fn keep(&mut self, past: &Past) {
        // Behind a book of the disk there may be none before it.
        let place = self.books.partition_point(|known| known.sequence() <= past.sequence());
        let before = place.checked_sub(1).and_then(|last| self.books.get(last)).map_or(0, Past::sequence);
        if past.sequence() < before.saturating_add(self.distance) {
            return;
        }
        self.books.insert(place, past.clone());
        if self.books.len() > KEPT_MAX {
            let mut index = 0;
            self.books.retain(|_| {
                index += 1;
                index % 2 == 0
            });
            self.distance = self.distance.saturating_mul(2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_reads_back_and_anything_else_says_what_is_expected() {
        for text in ["seq:7", "2020-01-02T15:30:00Z"] {
            assert_eq!(text.parse::<Moment>().map(|moment| moment.to_string()), Ok(text.to_owned()));
        }
        let error = "yesterday".parse::<Moment>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "as_of = \"yesterday\": expected seq:N or an instant such as 2020-01-02T15:30:00Z"
        );
    }

    #[test]
    fn books_kept_stay_bounded_and_spread() {
        let mut kept = Kept::new(1);
        for sequence in 1..=10_000 {
            let mut past = Past::default();
            past.book.skip(sequence);
            kept.keep(&past);
        }
        assert!((KEPT_MAX / 2..=KEPT_MAX).contains(&kept.books.len()), "{}", kept.books.len());
        assert!(kept.before(Moment::Sequence(5_000)).sequence() > 4_000);
        assert_eq!(kept.before(Moment::Sequence(0)).sequence(), 0);
    }
}
