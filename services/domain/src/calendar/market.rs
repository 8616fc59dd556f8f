//! Which market's hours hold, and the calendars of those that open around the clock.
//!
//! `24x5`: from Sunday 17:00 to Friday 18:00 New York time, the week of the currency market. A session bears the
//! date of the day on which it ends at 17:00, Monday to Friday; holidays are not left out, because liquidity
//! providers differ on them. `24x7`: every day in UTC, midnight to midnight.
//!
//! Deliberately absent: guessing the market from a symbol. Who has other series than US equities says so.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use chrono::{DateTime, Datelike as _, Days, NaiveDate, Weekday};

use super::session::{at_in_new_york, date_in_new_york_after};
use super::{Calendar, Session, date};

/// The hour, in New York, at which a day of the currency market ends and the next one begins.
const ROLL_HOUR: u32 = 17;
/// What the week lasts beyond Friday 17:00: feeds show trades of the hour in which the last venues close.
const LAST_HOUR_NS: i64 = DAY_NS / 24;
const DAY_NS: i64 = 86_400_000_000_000;
/// What is known of around-the-clock markets. The rules of daylight saving time are not certain for ever.
const FIRST: NaiveDate = date(1970, 1, 2);
const LAST: NaiveDate = date(2035, 12, 31);

/// A market, as the hours in which it is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Market {
    /// The New York Stock Exchange: regular hours, holidays, early closes.
    #[default]
    Xnys,
    /// Sunday 17:00 to Friday 18:00 in New York.
    TwentyFourFive,
    /// Always open; days are those of UTC.
    TwentyFourSeven,
}

/// A name that is none of a market's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("calendar {0:?}, expected one of XNYS, 24x5, 24x7")]
pub struct UnknownMarket(pub String);

impl Market {
    /// Every market.
    pub const ALL: [Self; 3] = [Self::Xnys, Self::TwentyFourFive, Self::TwentyFourSeven];

    /// The name used in options and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Xnys => "XNYS",
            Self::TwentyFourFive => "24x5",
            Self::TwentyFourSeven => "24x7",
        }
    }

    /// Its calendar. Cheap after the first call.
    #[must_use]
    pub fn calendar(self) -> &'static Calendar {
        match self {
            Self::Xnys => Calendar::xnys(),
            Self::TwentyFourFive => &TWENTY_FOUR_FIVE,
            Self::TwentyFourSeven => &TWENTY_FOUR_SEVEN,
        }
    }

    pub(super) fn date_of(self, instant_ns: i64) -> NaiveDate {
        match self {
            Self::TwentyFourSeven => DateTime::from_timestamp_nanos(instant_ns).date_naive(),
            Self::TwentyFourFive | Self::Xnys => {
                let date = date_in_new_york_after(instant_ns, 24 - ROLL_HOUR);
                let before = instant_ns.saturating_sub(LAST_HOUR_NS);
                let late = date.weekday() == Weekday::Sat;
                if late { date_in_new_york_after(before, 24 - ROLL_HOUR) } else { date }
            }
        }
    }

    pub(super) fn start_of(self, date: NaiveDate) -> i64 {
        match self {
            Self::TwentyFourSeven => date
                .and_time(chrono::NaiveTime::MIN)
                .and_utc()
                .timestamp_nanos_opt()
                .unwrap_or(if date < FIRST { i64::MIN } else { i64::MAX }),
            Self::TwentyFourFive | Self::Xnys => at_in_new_york(date - Days::new(1), ROLL_HOUR),
        }
    }

    fn around_the_clock(self) -> Calendar {
        let opens = |date: &NaiveDate| {
            self == Self::TwentyFourSeven || !matches!(date.weekday(), Weekday::Sat | Weekday::Sun)
        };
        let session = |date: NaiveDate| Session {
            date,
            open_ns: self.start_of(date),
            close_ns: match self {
                // Days in UTC are of one length; looking at the clock of New York is what costs.
                Self::TwentyFourSeven => self.start_of(date) + DAY_NS,
                Self::TwentyFourFive | Self::Xnys => {
                    let late = if date.weekday() == Weekday::Fri { LAST_HOUR_NS } else { 0 };
                    self.start_of(date + Days::new(1)) + late
                }
            },
            early_close: false,
        };
        Calendar {
            market: self,
            exchange: self.name(),
            first: FIRST,
            last: LAST,
            start_ns: self.start_of(FIRST),
            end_ns: self.start_of(LAST + Days::new(1)),
            sessions: FIRST.iter_days().take_while(|date| *date <= LAST).filter(opens).map(session).collect(),
        }
    }
}

static TWENTY_FOUR_FIVE: LazyLock<Calendar> = LazyLock::new(|| Market::TwentyFourFive.around_the_clock());
static TWENTY_FOUR_SEVEN: LazyLock<Calendar> = LazyLock::new(|| Market::TwentyFourSeven.around_the_clock());

impl fmt::Display for Market {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Market {
    type Err = UnknownMarket;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|market| market.name().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnknownMarket(text.to_owned()))
    }
}
