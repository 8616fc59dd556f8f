//! Periods of the calendar that strategies act on, by exchange date.

use chrono::{Datelike as _, NaiveDate};

use super::{ParameterSpec, ValueSpec};
use crate::calendar::Calendar;

/// A length of time on the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Period {
    Week,
    Month,
    Quarter,
}

pub(super) const NAMES: &[&str] = &["weekly", "monthly", "quarterly"];

/// The parameter that names a period; its description says what happens in it.
pub(super) const fn period(name: &'static str, description: &'static str) -> ParameterSpec {
    ParameterSpec { name, description, unit: "", value: ValueSpec::Choice(NAMES), default: "monthly" }
}

impl Period {
    /// The period of a checked name.
    pub(super) fn named(name: &str) -> Self {
        match name {
            "weekly" => Self::Week,
            "quarterly" => Self::Quarter,
            _ => Self::Month,
        }
    }

    /// A number that grows from one period to the next. Weeks begin on Monday.
    pub(super) fn of(self, start_ns: i64) -> i64 {
        self.number(Calendar::xnys().date_of(start_ns))
    }

    fn number(self, date: NaiveDate) -> i64 {
        let month = i64::from(date.year()) * 12 + i64::from(date.month0());
        match self {
            // Day 1 of the common era was a Monday.
            Self::Week => (i64::from(date.num_days_from_ce()) - 1).div_euclid(7),
            Self::Month => month,
            Self::Quarter => month.div_euclid(3),
        }
    }
}
