//! The port: history of one symbol, page by page; of several at once, and days of every symbol, where a vendor has them.

use std::collections::BTreeSet;
use std::fmt;

use async_trait::async_trait;
use chrono::NaiveDate;
use contracts::v1::ActionKind;
use domain::bar::Timeframe;
use domain::money::{Price, Volume};

use crate::error::{Refusal, VendorError};

/// In whose terms prices are told. The tape takes them as they were traded, and makes the other terms of its own splits and
/// dividends; those of a vendor are there to be compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Adjustment {
    /// As they were traded.
    #[default]
    Raw,
    /// In the terms after every split.
    Split,
    /// Less every dividend.
    Dividend,
    /// Both.
    All,
}

impl Adjustment {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Split => "split",
            Self::Dividend => "dividend",
            Self::All => "all",
        }
    }
}

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Symbol as the tape writes it, `BRK.B`.
    pub symbol: String,
    /// Timeframe.
    pub timeframe: Timeframe,
    /// Bars that start here or later, UTC nanoseconds.
    pub from_ns: i64,
    /// Bars that start before, UTC nanoseconds.
    pub to_ns: i64,
    /// Actions from the date of this time on: they may be published late. Not after `from_ns`.
    pub actions_from_ns: i64,
    /// Whether bars are wanted too, or actions alone.
    pub bars: bool,
    /// In whose terms the prices of the bars are.
    pub adjustment: Adjustment,
}

impl Ask {
    /// Minutes alone, without actions.
    pub(crate) fn minutes(symbol: &str, from_ns: i64, to_ns: i64) -> Self {
        Self {
            symbol: symbol.to_owned(),
            timeframe: Timeframe::M1,
            from_ns,
            to_ns,
            actions_from_ns: from_ns,
            bars: true,
            adjustment: Adjustment::Raw,
        }
    }

    /// Refuses an adjustment that is none of those that a vendor `makes`.
    pub(crate) fn adjusted(&self, vendor: &'static str, makes: &[Adjustment]) -> Result<(), VendorError> {
        if makes.contains(&self.adjustment) {
            return Ok(());
        }
        let message = format!("no bars with the adjustment {}", self.adjustment.name());
        Err(VendorError::Refused { vendor, status: 422, kind: Refusal::Request, message })
    }
}

/// Where to go on. It belongs to the adapter that made it and to the same [`Ask`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Which of the vendor's lists.
    pub(crate) step: u8,
    /// The vendor's own mark within it.
    pub(crate) token: Option<String>,
}

/// Prices and volume of one interval, raw unless another adjustment was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quoted {
    /// Start of the interval, UTC nanoseconds; of a day any time of its date in exchange time.
    pub start_ns: i64,
    /// First price.
    pub open: Price,
    /// Highest price.
    pub high: Price,
    /// Lowest price.
    pub low: Price,
    /// Last price.
    pub close: Price,
    /// Shares traded.
    pub volume: Volume,
}

/// A split or a dividend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// First date without the old right.
    pub ex_date: NaiveDate,
    /// Split or dividend.
    pub kind: ActionKind,
    /// New shares per old share, or cash per share in the terms of the ex-date, in 1e-9.
    pub value_e9: i64,
}

/// A corporate action that nothing here applies to holdings and prices: neither a split nor a dividend in dollars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unapplied {
    /// When it takes effect.
    pub date: NaiveDate,
    /// Kind, symbol, date and terms, as the vendor states them.
    pub words: String,
}

/// Rows that are no bars and no mistakes either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Skipped {
    /// Rows without a price.
    pub empty: u64,
    /// Bars that had not ended.
    pub unfinished: u64,
    /// Bars before the open or after the close.
    pub outside_session: u64,
}

impl Skipped {
    /// Adds what another page left out.
    pub const fn add(&mut self, other: Self) {
        self.empty += other.empty;
        self.unfinished += other.unfinished;
        self.outside_session += other.outside_session;
    }
}

/// One answer of a vendor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Bars in the order of time.
    pub bars: Vec<Quoted>,
    /// Splits and dividends, in no order.
    pub actions: Vec<Action>,
    /// Actions of the same dates that are not applied.
    pub unapplied: Vec<Unapplied>,
    /// What was left out.
    pub skipped: Skipped,
    /// Where to go on; `None` at the end.
    pub next: Option<Cursor>,
}

/// What a vendor gives of a timeframe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// All it has.
    Everything,
    /// The last so many days only.
    Days(u32),
    /// Nothing.
    Nothing,
}

/// A vendor of history.
#[async_trait]
pub trait HistoricalBars: fmt::Debug + Send + Sync {
    /// Name of the source on the tape.
    fn name(&self) -> &'static str;

    /// What there is of a timeframe.
    fn offer(&self, timeframe: Timeframe) -> Offer;

    /// The page at `cursor`, the first one for the default. Bars that had not ended at `now_ns` are left out.
    /// Every bar and action of the span is on exactly one page.
    async fn page(&self, ask: &Ask, cursor: Cursor, now_ns: i64) -> Result<Page, VendorError>;

    /// The same of several symbols in one question, where the vendor answers that.
    fn of_many(&self) -> Option<&dyn BarsOfMany> {
        None
    }

    /// The same by date, where the vendor tells a date's bars of every symbol in one answer, and splits and dividends of
    /// all of them in a list.
    fn by_date(&self) -> Option<&dyn BarsByDate> {
        None
    }
}

/// One answer of a vendor about several symbols.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageOfMany {
    /// Bars by symbol, those of a symbol in the order of time.
    pub bars: Vec<(String, Vec<Quoted>)>,
    /// Splits and dividends, in no order.
    pub actions: Vec<(String, Action)>,
    /// Actions of the same dates that are not applied.
    pub unapplied: Vec<(String, Unapplied)>,
    /// What was left out.
    pub skipped: Skipped,
    /// Where to go on; `None` at the end.
    pub next: Option<Cursor>,
}

/// A vendor that tells the history of several symbols in one answer.
#[async_trait]
pub trait BarsOfMany: Send + Sync {
    /// Symbols of one question at most.
    fn symbols_max(&self) -> usize;

    /// The page at `cursor` of what `ask` wants, of each of `symbols`; its own symbol does not count. What is told of a
    /// symbol is what pages of it alone tell. Pages tell the symbols one after the other: one of them may begin with
    /// what the page before had no room for. Nothing is told of a symbol that the vendor does not know.
    async fn page_of(
        &self,
        symbols: &[String],
        ask: &Ask,
        cursor: Cursor,
        now_ns: i64,
    ) -> Result<PageOfMany, VendorError>;
}

/// A vendor that tells a date's bars of every symbol at once.
#[async_trait]
pub trait BarsByDate: Send + Sync {
    /// The daily bars of the symbols `wanted` on a date, as pages by symbol tell them.
    async fn day(&self, date: NaiveDate, wanted: &BTreeSet<String>, now_ns: i64) -> Result<Day, VendorError>;

    /// Splits and dividends of the symbols `wanted`, as pages by symbol tell them; those from the date of `from_ns` on,
    /// in effect before `to_ns`. Of each symbol in the order of their ex-dates.
    async fn actions(
        &self,
        wanted: &BTreeSet<String>,
        from_ns: i64,
        to_ns: i64,
    ) -> Result<ActionsOfMany, VendorError>;
}

/// Splits and dividends of several symbols.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActionsOfMany {
    /// By symbol, in the order of their ex-dates.
    pub actions: Vec<(String, Action)>,
    /// Actions of the same dates that are not applied.
    pub unapplied: Vec<(String, Unapplied)>,
}

/// A date's bars.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Day {
    /// By symbol.
    pub bars: Vec<(String, Quoted)>,
    /// What was left out of the symbols that were wanted.
    pub skipped: Skipped,
}
