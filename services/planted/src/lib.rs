//! Bugs that are planted on purpose, so that the simulation proves that it can find them.
//!
//! Code asks `planted::is(Bug::X)` where a mistake is made when that bug is on. Without the feature
//! `planted-bugs` the answer is `false` at compile time and the compiler removes the mistake; only the binary
//! `tapedeck-sim-planted` is built with it, and a test looks for [`MARKER`] in what is shipped.
//!
//! Deliberately absent: everything else.

/// Text that a program holds if and only if bugs can be switched on in it.
#[cfg(feature = "planted-bugs")]
pub const MARKER: &str = "this program holds planted bugs";

/// A mistake that systems of this kind make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bug {
    /// The tape does not know an event's id again.
    DedupeOff,
    /// A projector stores its checkpoint apart from its rows.
    CheckpointOutsideTransaction,
    /// Risk forgets what it approved a moment ago.
    ReservationsIgnored,
    /// An order is sent under another client order id each time.
    ClientOrderIdRandom,
    /// The strategy host acknowledges bars before their signals are stored.
    AckBeforeCommit,
    /// An event that is read again is folded again.
    FillAppliedTwice,
    /// A fill that comes after its order was cancelled is dropped.
    CancelRaceLosesFill,
    /// Risk decides on a read model that has not come far enough.
    StaleReadAccepted,
    /// The other legs of a refused leg stay.
    UnwindSkipped,
    /// Risk that was started again does not see a halt.
    HaltIgnoredOnRestart,
    /// A drawdown breaker ends when equity is higher than ever.
    PeakClearedByNewHigh,
    /// Commissions are rounded up to cents where fills are recorded.
    RoundingUp,
    /// Orders are sent before their intents are stored.
    SendBeforeIntent,
    /// Nobody asks the broker for an order whose submission had no answer.
    UnansweredForgotten,
}

impl Bug {
    /// Every bug.
    pub const ALL: [Self; 14] = [
        Self::DedupeOff,
        Self::CheckpointOutsideTransaction,
        Self::ReservationsIgnored,
        Self::ClientOrderIdRandom,
        Self::AckBeforeCommit,
        Self::FillAppliedTwice,
        Self::CancelRaceLosesFill,
        Self::StaleReadAccepted,
        Self::UnwindSkipped,
        Self::HaltIgnoredOnRestart,
        Self::PeakClearedByNewHigh,
        Self::RoundingUp,
        Self::SendBeforeIntent,
        Self::UnansweredForgotten,
    ];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DedupeOff => "dedupe_off",
            Self::CheckpointOutsideTransaction => "checkpoint_outside_transaction",
            Self::ReservationsIgnored => "reservations_ignored",
            Self::ClientOrderIdRandom => "client_order_id_random",
            Self::AckBeforeCommit => "ack_before_commit",
            Self::FillAppliedTwice => "fill_applied_twice",
            Self::CancelRaceLosesFill => "cancel_race_loses_fill",
            Self::StaleReadAccepted => "stale_read_accepted",
            Self::UnwindSkipped => "unwind_skipped",
            Self::HaltIgnoredOnRestart => "halt_ignored_on_restart",
            Self::PeakClearedByNewHigh => "peak_cleared_by_new_high",
            Self::RoundingUp => "rounding_up",
            Self::SendBeforeIntent => "send_before_intent",
            Self::UnansweredForgotten => "unanswered_forgotten",
        }
    }
}

/// Whether `bug` is on: never, unless the program is built with `planted-bugs` and this thread switched it on.
#[cfg(not(feature = "planted-bugs"))]
#[must_use]
#[inline(always)]
pub const fn is(_bug: Bug) -> bool {
    false
}

#[cfg(feature = "planted-bugs")]
mod switch {
    use std::cell::Cell;

    use super::Bug;

    thread_local! {
        static ON: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Whether `bug` is on.
    #[must_use]
    pub fn is(bug: Bug) -> bool {
        ON.get() == Some(bug)
    }

    /// Switches one bug on for this thread, or all off.
    pub fn plant(bug: Option<Bug>) {
        ON.set(bug);
    }
}

#[cfg(feature = "planted-bugs")]
pub use switch::{is, plant};
