//! Views of history for charts: raw, split-adjusted, total return.
//!
//! Every action restates the bars that closed before it took effect, earliest first and rounding each time;
//! so a part of a series is restated the same whether it is read alone or with the rest. A split divides
//! prices by its ratio and multiplies volumes. A dividend `d` multiplies prices by `(c − d) / c`, where `c`
//! is the last close of the series before the ex-date: the factor of the Center for Research in Security
//! Prices, as if the cash had bought shares at that close. Volumes stay.

use std::fmt;
use std::str::FromStr;

use super::{CorporateAction, Effect, SplitRatio, Unadjustable, adjust_bar};
use crate::bar::Bar;
use crate::calendar::Calendar;
use crate::money::{Price, div_half_even};

/// How prices of the past are restated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Adjustment {
    /// As traded.
    Raw,
    /// In the shares of the newest bar.
    #[default]
    Split,
    /// In the shares of the newest bar, dividends reinvested.
    TotalReturn,
}

impl Adjustment {
    /// Every one, the least first.
    pub const ALL: [Self; 3] = [Self::Raw, Self::Split, Self::TotalReturn];

    /// The name used in addresses and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Split => "split",
            Self::TotalReturn => "total-return",
        }
    }
}

impl fmt::Display for Adjustment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// An adjustment that is none of the known ones.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("adjustment {0:?}, expected one of raw, split, total-return")]
pub struct UnknownAdjustment(pub String);

impl FromStr for Adjustment {
    type Err = UnknownAdjustment;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|known| known.name() == text);
        found.ok_or_else(|| UnknownAdjustment(text.to_owned()))
    }
}

/// The last close of a series before an action took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastClose {
    /// When that bar closed, UTC nanoseconds.
    pub close_ns: i64,
    /// Its close, as traded.
    pub close: Price,
}

/// Prices that cannot be restated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unrestatable {
    /// A number leaves its range.
    #[error(transparent)]
    Range(#[from] Unadjustable),
    /// A dividend that takes all there is.
    #[error("dividend {paid} per share of {ex_date}, expected less than {close}, the close before it")]
    Dividend {
        /// Ex-date.
        ex_date: chrono::NaiveDate,
        /// Cash per share.
        paid: Price,
        /// The close before it, in the shares of the ex-date.
        close: Price,
    },
}

/// What restates the bars of one series, by time of effect.
#[derive(Clone, Debug, Default)]
pub struct Restatement {
    steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug)]
struct Step {
    effective_ns: i64,
    factor: Factor,
}

#[derive(Clone, Copy, Debug)]
enum Factor {
    Split(SplitRatio),
    /// Prices are multiplied by `kept / close`.
    Dividend {
        kept: Price,
        close: Price,
    },
}

impl Restatement {
    /// What `actions` do to the bars of a series as `as_of_ns` sees them: those whose ex-date has begun by
    /// then, and no later one. Beside each action stands the last close of the series before its ex-date;
    /// without one there is nothing to restate. Actions of one date take effect in the order given.
    pub fn new(
        adjustment: Adjustment,
        actions: &[(CorporateAction, Option<LastClose>)],
        calendar: &Calendar,
        as_of_ns: i64,
    ) -> Result<Self, Unrestatable> {
        let mut ordered: Vec<_> = actions.iter().filter(|_| adjustment != Adjustment::Raw).collect();
        ordered.sort_by_key(|(action, _)| action.ex_date);
        let mut built = Self::default();
        for (action, last) in ordered {
            let effective_ns = calendar.start_of(action.ex_date);
            if effective_ns > as_of_ns {
                break;
            }
            let factor = match (action.effect, last) {
                (Effect::Split(ratio), _) => Factor::Split(ratio),
                (Effect::Dividend(paid), Some(last)) if adjustment == Adjustment::TotalReturn => {
                    let close = built.price(last.close, last.close_ns)?;
                    let kept = close.checked_sub(paid).filter(|kept| kept.0 > 0);
                    let ex_date = action.ex_date;
                    let kept = kept.ok_or(Unrestatable::Dividend { ex_date, paid, close })?;
                    Factor::Dividend { kept, close }
                }
                (Effect::Dividend(_), _) => continue,
            };
            built.steps.push(Step { effective_ns, factor });
        }
        Ok(built)
    }

    /// The bar restated.
    pub fn bar(&self, bar: &Bar) -> Result<Bar, Unadjustable> {
        self.after(bar.close_ns).try_fold(*bar, |bar, step| step.factor.bar(&bar))
    }

    /// A price of a bar that closed at `close_ns`, restated.
    pub fn price(&self, price: Price, close_ns: i64) -> Result<Price, Unadjustable> {
        self.after(close_ns).try_fold(price, |price, step| step.factor.price(price))
    }

    /// The steps that restate a bar of that close.
    fn after(&self, close_ns: i64) -> impl Iterator<Item = &Step> {
        let first = self.steps.partition_point(|step| step.effective_ns < close_ns);
        self.steps[first..].iter()
    }
}

impl Factor {
    fn price(self, price: Price) -> Result<Price, Unadjustable> {
        match self {
            Self::Split(ratio) => ratio.adjust_price(price),
            // Less is kept than the close, so the product of two prices only shrinks.
            Self::Dividend { kept, close } => {
                let product = i128::from(price.0) * i128::from(kept.0);
                Ok(Price(i64::try_from(div_half_even(product, i128::from(close.0))).unwrap_or(price.0)))
            }
        }
    }

    fn bar(self, bar: &Bar) -> Result<Bar, Unadjustable> {
        match self {
            Self::Split(ratio) => adjust_bar(bar, ratio),
            Self::Dividend { .. } => Ok(Bar {
                open: self.price(bar.open)?,
                high: self.price(bar.high)?,
                low: self.price(bar.low)?,
                close: self.price(bar.close)?,
                ..*bar
            }),
        }
    }
}
