//! Splits and dividends, and what they make of older prices.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::decimal::Decimal;

/// A split: `from` old shares become `to` new ones.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// The symbol.
    pub symbol: String,
    /// The first day in new terms.
    pub ex_date: NaiveDate,
    /// Old shares.
    pub from: i64,
    /// New shares; fewer than `from` in a reverse split.
    pub to: i64,
}

/// A cash dividend in the terms of its own day.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dividend {
    /// The symbol.
    pub symbol: String,
    /// The first day without it.
    pub ex_date: NaiveDate,
    /// Dollars of a share.
    pub amount: Decimal,
    /// When it was announced; thirty days before when left out.
    #[serde(default)]
    pub declared: Option<NaiveDate>,
    /// When it is paid; two weeks after when left out.
    #[serde(default)]
    pub paid: Option<NaiveDate>,
    /// Outside of the usual rhythm.
    #[serde(default)]
    pub special: bool,
    /// Of what a fund has gained: Yahoo tells it apart from dividends.
    #[serde(default)]
    pub capital_gain: bool,
}

/// A corporate action that is neither a split nor a dividend in cash, as Alpaca shows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtherAction {
    /// The kind in the plural, `spin_offs`.
    pub kind: String,
    /// When it is processed, by which Alpaca lists it.
    pub process_date: NaiveDate,
    /// Everything else, shown as it is.
    pub fields: serde_json::Map<String, serde_json::Value>,
}

impl Dividend {
    /// When it was announced.
    #[must_use]
    pub fn declared(&self) -> NaiveDate {
        self.declared.unwrap_or_else(|| self.ex_date - chrono::Days::new(30))
    }

    /// When it is paid.
    #[must_use]
    pub fn paid(&self) -> NaiveDate {
        self.paid.unwrap_or_else(|| self.ex_date + chrono::Days::new(14))
    }
}

/// How prices before a split or a dividend are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Adjustment {
    /// In the terms after every split.
    pub splits: bool,
    /// Less every dividend.
    pub dividends: bool,
}

impl Adjustment {
    /// As they were.
    pub const RAW: Self = Self { splits: false, dividends: false };
    /// For splits only.
    pub const SPLITS: Self = Self { splits: true, dividends: false };
    /// For both.
    pub const ALL: Self = Self { splits: true, dividends: true };
}

/// What happens to companies when nothing else is said.
#[must_use]
pub fn usual() -> (Vec<Split>, Vec<Dividend>) {
    let day = |year, month, day| NaiveDate::from_ymd_opt(year, month, day).unwrap_or_default();
    let split = |symbol: &str, ex_date, from, to| Split { symbol: symbol.into(), ex_date, from, to };
    let splits = vec![
        split("AAPL", day(2020, 8, 31), 1, 4),
        split("NVDA", day(2024, 6, 10), 1, 10),
        split("PENY", day(2025, 3, 3), 20, 1),
    ];
    let quarters = [day(2025, 2, 10), day(2025, 5, 12), day(2025, 8, 11), day(2025, 11, 10)];
    let mut dividends: Vec<Dividend> = quarters
        .into_iter()
        .map(|ex_date| Dividend {
            symbol: "AAPL".into(),
            ex_date,
            amount: Decimal::parse("0.26").unwrap_or_default(),
            declared: None,
            paid: None,
            special: false,
            capital_gain: false,
        })
        .collect();
    dividends.push(Dividend {
        symbol: "MSFT".into(),
        ex_date: day(2025, 11, 20),
        amount: Decimal::parse("0.91").unwrap_or_default(),
        declared: None,
        paid: None,
        special: true,
        capital_gain: false,
    });
    (splits, dividends)
}
