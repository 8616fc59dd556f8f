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
    /// The broker refuses new terms of an order.
    BrokerKeepsTerms,
    /// The broker says an execution anew.
    BrokerCorrects,
    /// The broker takes an execution back.
    BrokerBusts,
}

impl Fault {
    /// Every kind, with the chance per opportunity in a wild seed (1e-6).
    pub const ALL: [(Self, u32); 29] = [
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
        (Self::BrokerKeepsTerms, 400_000),
        (Self::BrokerCorrects, 80_000),
        (Self::BrokerBusts, 60_000),
    ];

    /// What a run has to hold for it to happen; none of what always may. One of an extra is drawn from the generator of the
    /// extras, so that a run without it stays what it was.
    #[must_use]
    pub const fn extra(self) -> Option<Extra> {
        match self {
            Self::BrokerKeepsTerms => Some(Extra::Replaces),
            Self::BrokerCorrects | Self::BrokerBusts => Some(Extra::Restates),
            _ => None,
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().map(|(fault, _)| fault).find(|fault| fault.name() == name)
    }

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

/// What a seed holds beside its market, its services and its faults. Each draws from a generator of its own, so that a run
/// without it is as if there was no such thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Extra {
    /// The operator asks for new terms of orders.
    Terms,
    /// The wild strategy has a group policy, and pairs of which one leg waits for long.
    Groups,
    /// The operator says what becomes of what a strategy holds that is stopped.
    Fates,
    /// Limits by scope, which the operator changes now and then.
    Limits,
    /// The broker outside takes new terms and, in half of the seeds, says how an order stands as a whole.
    Replaces,
    /// The broker outside corrects executions and takes some back.
    Restates,
    /// In half of the seeds a built-in strategy begins in shadow mode, and the operator switches it to paper and back.
    Shadow,
    /// The operator places orders.
    ByHand,
    /// The operator halts, kills and resumes a strategy, or an account in full.
    Scopes,
    /// The operator trades parts of shares and for amounts.
    Parts,
    /// In a third of the seeds limits by correlation and value at risk, and bars enough to measure them.
    Measures,
    /// In an eighth of the seeds a replay in the middle of the run.
    Midway,
}

/// Extras that no run holds. What is demanded of many seeds is demanded without them.
pub const SWITCHED_OFF: &[Extra] = &[];

impl Extra {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Terms,
        Self::Groups,
        Self::Fates,
        Self::Limits,
        Self::Replaces,
        Self::Restates,
        Self::Shadow,
        Self::ByHand,
        Self::Scopes,
        Self::Parts,
        Self::Measures,
        Self::Midway,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Terms => "terms",
            Self::Groups => "groups",
            Self::Fates => "fates",
            Self::Limits => "limits",
            Self::Replaces => "replaces",
            Self::Restates => "restates",
            Self::Shadow => "shadow",
            Self::ByHand => "by_hand",
            Self::Scopes => "scopes",
            Self::Parts => "parts",
            Self::Measures => "measures",
            Self::Midway => "midway",
        }
    }

    /// The extra of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|extra| extra.name() == name)
    }

    /// Whether runs hold it unless a mask leaves it out.
    #[must_use]
    pub fn is_on(self) -> bool {
        !SWITCHED_OFF.contains(&self)
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
    /// Extras that the run does not hold.
    pub leave_out: Vec<Extra>,
}

impl Mask {
    /// The run as it was before there were extras.
    #[must_use]
    pub fn bare() -> Self {
        Self { leave_out: Extra::ALL.to_vec(), ..Self::default() }
    }

    /// Whether the run holds `extra`.
    #[must_use]
    pub fn holds(&self, extra: Extra) -> bool {
        extra.is_on() && !self.leave_out.contains(&extra)
    }

    /// The options of `tapedeck-sim` that ask for it, each with a space before it.
    #[must_use]
    pub fn options(&self) -> String {
        let mut options = String::new();
        if !self.without.is_empty() {
            let names: Vec<_> = self.without.iter().map(|fault| fault.name()).collect();
            options.push_str(&format!(" --without {}", names.join(",")));
        }
        if let Some((from, to)) = self.only {
            options.push_str(&format!(" --only {from}..{to}"));
        }
        if let Some(instants) = self.instants {
            options.push_str(&format!(" --instants {instants}"));
        }
        if self.quiet {
            options.push_str(" --quiet");
        }
        if !self.leave_out.is_empty() {
            let names: Vec<_> = self.leave_out.iter().map(|extra| extra.name()).collect();
            options.push_str(&format!(" --leave-out {}", names.join(",")));
        }
        options
    }
}

struct Inner {
    rng: ChaCha8Rng,
    /// For what belongs to an extra.
    extra: ChaCha8Rng,
    /// Chance of each fault (1e-6), by its place in the declaration; 0 where the seed has none of it.
    chances: [u32; Fault::ALL.len()],
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
        let mut extra = ChaCha8Rng::seed_from_u64(seed ^ 0x000e_87fa_7e00);
        let mut chances = [0; Fault::ALL.len()];
        for (fault, most) in Fault::ALL {
            let rng = if fault.extra().is_some() { &mut extra } else { &mut rng };
            let possible = rng.random_range(0..100) < 45;
            let part = rng.random_range(5..=100);
            if possible && !calm && !mask.without.contains(&fault) {
                chances[fault as usize] = (most * part / 100).max(1);
            }
        }
        let (counts, trace) = (BTreeMap::new(), trace.then(Vec::new));
        let hash = blake3::Hasher::new();
        Self(Arc::new(Mutex::new(Inner {
            rng,
            extra,
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
        let mut guard = self.lock();
        let inner = &mut *guard;
        let chance = inner.chances[fault as usize];
        if chance == 0 || inner.healed {
            return false;
        }
        let rng = if fault.extra().is_some() { &mut inner.extra } else { &mut inner.rng };
        if rng.random_range(0..1_000_000) >= chance {
            return false;
        }
        inner.happened += 1;
        let place = inner.happened - 1;
        if inner.mask.only.is_some_and(|(from, to)| place < from || place >= to) {
            return false;
        }
        *inner.counts.entry(fault).or_default() += 1;
        drop(guard);
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

    /// As [`Fate::while_ms`], for an extra.
    pub fn extra_ms(&self, most: u64) -> Duration {
        Duration::from_millis(self.lock().extra.random_range(1..=most))
    }

    /// As [`Fate::below`], for an extra.
    pub fn extra_below(&self, most: u64) -> u64 {
        self.lock().extra.random_range(0..most.max(1))
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
