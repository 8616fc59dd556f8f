//! Splits and cash dividends, which take effect before the first bar of their ex-date.
//!
//! Raw prices drive orders and fills; a split changes the quantity of positions and open orders.
//! Adjusted prices are views for indicators and charts, restated as of a decision and never with later
//! knowledge ([`adjust_as_of`]); charts may restate dividends too ([`Restatement`]), decisions never do,
//! for a dividend pays cash.
//!
//! Deliberately absent: mergers, spin-offs, and the reading of files.

mod adjust;
mod restate;
mod split;

pub use adjust::{adjust_as_of, adjust_bar};
pub use restate::{Adjustment, LastClose, Restatement, UnknownAdjustment, Unrestatable};
pub use split::{InvalidRatio, Showing, SplitQuantity, SplitRatio, Unadjustable, lacks_jump};

use chrono::NaiveDate;
use contracts::v1;

use crate::calendar::{Calendar, OutOfRange, Session};
use crate::money::{Amount, Price, Quantity};

/// What a corporate action does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Every old share becomes this many new ones.
    Split(SplitRatio),
    /// Every share held pays this much cash; a short position owes it.
    Dividend(Price),
}

/// One corporate action. The symbol stands beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CorporateAction {
    /// First date, in exchange time, on which the shares trade without the old right.
    pub ex_date: NaiveDate,
    /// What it does.
    pub effect: Effect,
}

/// A corporate action that cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAction {
    /// The ex-date is not a date.
    #[error("ex_date {0:?}, expected YYYY-MM-DD")]
    ExDate(String),
    /// The kind is missing or not known to this version.
    #[error("kind {0}, expected split or dividend")]
    Kind(i32),
    /// The ratio of a split is not one.
    #[error(transparent)]
    Ratio(#[from] InvalidRatio),
    /// A dividend that pays nothing or takes.
    #[error("dividend {0} per share, expected a positive amount")]
    Dividend(Price),
}

impl CorporateAction {
    /// Reads an event's body.
    pub fn from_wire(action: &v1::CorporateAction) -> Result<Self, InvalidAction> {
        let ex_date = NaiveDate::parse_from_str(&action.ex_date, "%Y-%m-%d")
            .map_err(|_| InvalidAction::ExDate(action.ex_date.clone()))?;
        let effect = match action.kind() {
            v1::ActionKind::Split => Effect::Split(SplitRatio::from_e9(action.value_e9)?),
            v1::ActionKind::Dividend if action.value_e9 > 0 => Effect::Dividend(Price(action.value_e9)),
            v1::ActionKind::Dividend => return Err(InvalidAction::Dividend(Price(action.value_e9))),
            v1::ActionKind::Unspecified => return Err(InvalidAction::Kind(action.kind)),
        };
        Ok(Self { ex_date, effect })
    }

    /// The session before whose first bar the action takes effect: that of the ex-date or, when the
    /// exchange is closed then, the next one.
    pub fn effective_session(&self, calendar: &Calendar) -> Result<Session, OutOfRange> {
        match calendar.session(self.ex_date)? {
            Some(session) => Ok(session),
            None => calendar.next_session_after(calendar.start_of(self.ex_date)),
        }
    }

    /// The split, when it is one.
    #[must_use]
    pub fn split(&self) -> Option<SplitRatio> {
        match self.effect {
            Effect::Split(ratio) => Some(ratio),
            Effect::Dividend(_) => None,
        }
    }
}

/// Cash that a dividend of `per_share` pays on `held` shares; negative for a short position. Rounded half
/// to even at 1e-9.
#[must_use]
pub fn dividend_cash(per_share: Price, held: Quantity) -> Amount {
    Amount::notional(per_share, held)
}
