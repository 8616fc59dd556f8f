//! How far a clock is.

use crate::source::Instant;

/// Counts of a run of the clock, since it was started.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Progress {
    /// Event time of the last instant that everyone is done with; `None` before the first.
    pub instant_ns: Option<i64>,
    /// Instants, of which some without bars.
    pub instants: u64,
    /// Instants with at least one bar.
    pub instants_with_bars: u64,
    /// Instants with at least one signal.
    pub instants_with_signals: u64,
    /// Instants in which risk decided at least one.
    pub instants_with_decisions: u64,
    /// Instants with at least one order.
    pub instants_with_orders: u64,
    /// Instants with at least one fill.
    pub instants_with_fills: u64,
    /// Bars published.
    pub bars: u64,
    /// Events published that the tape did not hold before.
    pub published: u64,
    /// Signals.
    pub signals: u64,
    /// What risk decided of them.
    pub decisions: u64,
    /// Orders submitted; new terms of one are no other order.
    pub orders: u64,
    /// Fills seen.
    pub fills: u64,
}

/// What happened in one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) published: u64,
    pub(super) signals: u64,
    pub(super) decisions: u64,
    pub(super) orders: u64,
    pub(super) fills: u64,
}

impl Progress {
    pub(super) fn count(&mut self, instant: &Instant, done: &Done) {
        let bars = instant.bars() as u64;
        self.instant_ns = Some(instant.ns);
        self.instants += 1;
        self.instants_with_bars += u64::from(bars > 0);
        self.instants_with_signals += u64::from(done.signals > 0);
        self.instants_with_decisions += u64::from(done.decisions > 0);
        self.instants_with_orders += u64::from(done.orders > 0);
        self.instants_with_fills += u64::from(done.fills > 0);
        self.bars += bars;
        self.published += done.published;
        self.signals += done.signals;
        self.decisions += done.decisions;
        self.orders += done.orders;
        self.fills += done.fills;
    }
}

/// Why a clock came to its end without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// The source has no further instant and everyone is done with the last one.
    SourceEnd,
    /// The service was asked to stop; the present instant may be unfinished.
    Shutdown,
}

impl FinishReason {
    pub(super) fn detail(self) -> &'static str {
        match self {
            Self::SourceEnd => "the source has ended",
            Self::Shutdown => "",
        }
    }
}

/// How a clock ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Why.
    pub reason: FinishReason,
    /// Event time of the instant that was on the tape already, where the clock resumed.
    pub resumed_at_ns: Option<i64>,
    /// Counts of this run.
    pub progress: Progress,
}

impl Finished {
    /// True when the tape held all of the source before this run.
    #[must_use]
    pub fn was_complete(&self) -> bool {
        self.reason == FinishReason::SourceEnd && self.resumed_at_ns.is_some() && self.progress.published == 0
    }
}
