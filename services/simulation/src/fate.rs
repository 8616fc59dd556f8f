//! Fate: decides, from the seed, what goes wrong and when, and counts it.
//!
//! Of each seed only some kinds of faults are possible, each as often as the seed says, so that some runs are
//! nearly calm and others wild. A kind can be ruled out, and everything before or after some moment: that is
//! how a failure is made smaller.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// A service dies at an await and is started again.
    Kill,
    /// Two instances of one service run for a while.
    Twins,
    /// An append takes no effect, and its writer is told that nobody knows.
    AppendRefused,
    /// An append takes effect, and its writer is told that nobody knows.
    AckLost,
    /// An append arrives twice.
    AppendTwice,
    /// Of many appends on one connection some in a row never arrive, while those behind them may.
    PipelineCut,
    /// The disk is full for a while: nothing is appended.
    DiskFull,
    /// The tape does not answer for a while.
    TapeStall,
    /// Messages are delivered late, so that streams and readers are reordered against each other.
    DeliveryDelayed,
    /// A read of the tape breaks off.
    ReadBroken,
    /// A question to the tape has no answer.
    QueryFailed,
    /// A plain message is lost.
    HintLost,
    /// The wall clock is stepped.
    ClockStep,
    /// Postgres cannot be reached.
    DatabaseDown,
    /// A projector is behind.
    ProjectorLag,
    /// A batch is given to a projector twice.
    ProjectorTwice,
    /// The broker does not answer, and did not get it.
    BrokerTimeoutBefore,
    /// The broker does not answer, and got it.
    BrokerTimeoutAfter,
    /// The broker says something twice.
    BrokerDuplicate,
    /// The broker says things in another order.
    BrokerReordered,
    /// The broker never says something unless asked.
    BrokerSilent,
    /// The broker says what contradicts what it said.
    BrokerContradicts,
    /// The broker fills what it has just cancelled.
    BrokerLateFill,
    /// The broker refuses an order.
    BrokerRejects,
    /// The broker holds an order for a while.
    BrokerSuspends,
    /// A bar is missing from the market.
    BarMissing,
}

impl Fault {
    /// Every kind, with the chance per opportunity in a wild seed (1e-6).
    pub const ALL: [(Self, u32); 26] = [
        (Self::Kill, 1_500),
        (Self::Twins, 500_000),
        (Self::AppendRefused, 8_000),
        (Self::AckLost, 15_000),
        (Self::AppendTwice, 15_000),
        (Self::PipelineCut, 10_000),
        (Self::DiskFull, 400),
        (Self::TapeStall, 400),
        (Self::DeliveryDelayed, 30_000),
        (Self::ReadBroken, 500),
        (Self::QueryFailed, 2_000),
        (Self::HintLost, 100_000),
        (Self::ClockStep, 2_000),
        (Self::DatabaseDown, 2_000),
        (Self::ProjectorLag, 40_000),
        (Self::ProjectorTwice, 40_000),
        (Self::BrokerTimeoutBefore, 60_000),
        (Self::BrokerTimeoutAfter, 60_000),
        (Self::BrokerDuplicate, 100_000),
        (Self::BrokerReordered, 100_000),
        (Self::BrokerSilent, 60_000),
        (Self::BrokerContradicts, 80_000),
        (Self::BrokerLateFill, 400_000),
        (Self::BrokerRejects, 40_000),
        (Self::BrokerSuspends, 60_000),
        (Self::BarMissing, 30_000),
    ];

    /// Its name.
    pub fn name(self) -> String {
        let mut name = String::new();
        for character in format!("{self:?}").chars() {
            if character.is_ascii_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.push(character.to_ascii_lowercase());
        }
        name
    }
}

/// What is left out of a run, to make a failure smaller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mask {
    /// Kinds that do not happen.
    pub without: Vec<Fault>,
    /// Faults happen only from this one on, counted from 0, and before the second.
    pub only: Option<(u64, u64)>,
    /// Instants of the market; all when absent.
    pub instants: Option<usize>,
    /// No operator and no wild strategy.
    pub quiet: bool,
    /// The operator asks for no new terms of orders.
    pub terms_stay: bool,
}

struct Inner {
    rng: ChaCha8Rng,
    chances: BTreeMap<Fault, u32>,
    mask: Mask,
    healed: bool,
    happened: u64,
    counts: BTreeMap<Fault, u64>,
    trace: Option<Vec<String>>,
    hash: blake3::Hasher,
}

/// Decides what goes wrong. Clones share it.
#[derive(Clone)]
pub struct Fate(Arc<Mutex<Inner>>);

impl Fate {
    /// The fate of a seed; with `calm` nothing ever goes wrong.
    pub fn new(seed: u64, calm: bool, mask: Mask, trace: bool) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0xfa7e);
        let mut chances = BTreeMap::new();
        for (fault, most) in Fault::ALL {
            let possible = rng.random_range(0..100) < 45;
            let part = rng.random_range(5..=100);
            if possible && !calm && !mask.without.contains(&fault) {
                chances.insert(fault, (most * part / 100).max(1));
            }
        }
        let (counts, trace) = (BTreeMap::new(), trace.then(Vec::new));
        let hash = blake3::Hasher::new();
        Self(Arc::new(Mutex::new(Inner {
            rng,
            chances,
            mask,
            healed: calm,
            happened: 0,
            counts,
            trace,
            hash,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it happens now, to `whom`.
    pub fn strikes(&self, fault: Fault, whom: &str) -> bool {
        let mut inner = self.lock();
        let Some(chance) = inner.chances.get(&fault).copied().filter(|_| !inner.healed) else { return false };
        if inner.rng.random_range(0..1_000_000) >= chance {
            return false;
        }
        inner.happened += 1;
        let place = inner.happened - 1;
        if inner.mask.only.is_some_and(|(from, to)| place < from || place >= to) {
            return false;
        }
        *inner.counts.entry(fault).or_default() += 1;
        drop(inner);
        self.note(|| format!("fault {place} {} {whom}", fault.name()));
        true
    }

    /// A duration up to `most`, in milliseconds.
    pub fn while_ms(&self, most: u64) -> Duration {
        Duration::from_millis(self.lock().rng.random_range(1..=most))
    }

    /// A number below `most`.
    pub fn below(&self, most: u64) -> u64 {
        self.lock().rng.random_range(0..most.max(1))
    }

    /// From now on nothing goes wrong any more.
    pub fn heal(&self) {
        self.lock().healed = true;
    }

    /// Whether nothing goes wrong any more.
    pub fn is_healed(&self) -> bool {
        self.lock().healed
    }

    /// Takes a line into the trace and its hash.
    pub fn note(&self, line: impl FnOnce() -> String) {
        let mut inner = self.lock();
        let line = line();
        inner.hash.update(line.as_bytes());
        if let Some(trace) = &mut inner.trace {
            trace.push(line);
        }
    }

    /// How often each fault happened.
    pub fn counts(&self) -> BTreeMap<Fault, u64> {
        self.lock().counts.clone()
    }

    /// Number of faults that would have happened, masked ones included.
    pub fn happened(&self) -> u64 {
        self.lock().happened
    }

    /// The trace and its hash.
    pub fn trace(&self) -> (Vec<String>, String) {
        let inner = self.lock();
        (inner.trace.clone().unwrap_or_default(), inner.hash.finalize().to_hex().to_string())
    }
}
