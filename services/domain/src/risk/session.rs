//! Whether a session takes an order, as the calendar answers.

use contracts::v1::{RiskInput, TimeInForce};

use crate::calendar::Calendar;

/// What the calendar answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SessionAnswer {
    /// The regular session takes the order now, or it is queued for the next one.
    Accepts,
    /// The order must trade at once, and the market is closed.
    #[default]
    Closed,
    /// The calendar ends before it could say so. Not known is not closed: what only reduces passes, and its broker says
    /// whether it takes the order.
    Unknown,
}

impl SessionAnswer {
    /// The answer for an order at `now_ns`. One that must trade at once needs an open market; all others can be queued, as
    /// long as the calendar knows a next session.
    #[must_use]
    pub fn of(calendar: &Calendar, time_in_force: TimeInForce, now_ns: i64) -> Self {
        let taken = match time_in_force {
            TimeInForce::Unspecified
            | TimeInForce::Day
            | TimeInForce::Gtc
            | TimeInForce::Opg
            | TimeInForce::Cls => calendar.current_or_next(now_ns).map(|_| true),
            TimeInForce::Ioc | TimeInForce::Fok => calendar.is_open(now_ns),
        };
        match taken {
            Ok(true) => Self::Accepts,
            Ok(false) => Self::Closed,
            Err(_) => Self::Unknown,
        }
    }

    /// The answer that a decision recorded.
    pub(super) fn recorded(input: &RiskInput) -> Self {
        match (input.session_accepts, input.session_unknown) {
            (true, _) => Self::Accepts,
            (false, true) => Self::Unknown,
            (false, false) => Self::Closed,
        }
    }

    /// States the answer among what a decision looks at.
    pub(super) fn record(self, input: &mut RiskInput) {
        input.session_accepts = self == Self::Accepts;
        input.session_unknown = self == Self::Unknown;
    }
}
