//! What is listed: the facts that every vendor tells of a symbol, each in its own words.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::id;

/// A listed symbol.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listing {
    /// With a dot between root and class; Yahoo writes a hyphen there.
    pub symbol: String,
    /// The company or fund.
    pub name: String,
    /// As Alpaca names it: NASDAQ, NYSE, ARCA.
    pub exchange: String,
    /// CS, ETF, ADRC, as Massive codes it.
    pub kind: String,
    /// About what one share costs, in dollars, in the terms of today.
    pub price: f64,
    /// About how many shares change hands in a minute.
    pub volume: i64,
    /// The first day.
    pub listed: NaiveDate,
    /// The day from which it is no longer traded.
    pub delisted: Option<NaiveDate>,
    /// Orders are taken.
    pub tradable: bool,
    /// May be bought on margin.
    pub marginable: bool,
    /// May be sold short.
    pub shortable: bool,
    /// Easy to borrow.
    pub easy_to_borrow: bool,
    /// Parts of a share are traded.
    pub fractionable: bool,
    /// Shares in existence.
    pub shares: i64,
    /// Sector of the economy.
    pub sector: String,
    /// Industry within it.
    pub industry: String,
    /// What the company does.
    pub description: String,
    /// Full-time employees.
    pub employees: i64,
}

impl Default for Listing {
    fn default() -> Self {
        Self {
            symbol: String::new(),
            name: String::new(),
            exchange: "NASDAQ".into(),
            kind: "CS".into(),
            price: 100.0,
            volume: 2_000,
            listed: NaiveDate::from_ymd_opt(2015, 1, 2).unwrap_or_default(),
            delisted: None,
            tradable: true,
            marginable: true,
            shortable: true,
            easy_to_borrow: true,
            fractionable: true,
            shares: 1_000_000_000,
            sector: "Technology".into(),
            industry: "Consumer Electronics".into(),
            description: "A company that exists in tests only.".into(),
            employees: 1_000,
        }
    }
}

impl Listing {
    /// A share of this symbol at about this price.
    #[must_use]
    pub fn share(symbol: &str, name: &str, price: f64) -> Self {
        Self { symbol: symbol.into(), name: name.into(), price, ..Self::default() }
    }

    /// Alpaca's id.
    #[must_use]
    pub fn asset_id(&self) -> String {
        id::uuid(&format!("asset {}", self.symbol))
    }

    /// Nine characters, as a CUSIP has.
    #[must_use]
    pub fn cusip(&self) -> String {
        format!("{:09}", id::of(&self.symbol) % 1_000_000_000)
    }

    /// Ten digits, the regulator's number.
    #[must_use]
    pub fn cik(&self) -> String {
        format!("{:010}", id::of(&format!("cik {}", self.symbol)) % 10_000_000)
    }

    /// Twelve characters, of the company or of the share class.
    #[must_use]
    pub fn figi(&self, of: &str) -> String {
        format!("BBG{:09X}", id::of(&format!("{of} {}", self.symbol)) & 0xF_FFFF_FFFF)
    }

    /// The exchange as a market identifier code.
    #[must_use]
    pub fn mic(&self) -> &'static str {
        match self.exchange.as_str() {
            "NYSE" => "XNYS",
            "ARCA" | "NYSEARCA" => "ARCX",
            "AMEX" => "XASE",
            "BATS" => "BATS",
            _ => "XNAS",
        }
    }

    /// Whether it is traded on a date.
    #[must_use]
    pub fn is_listed_on(&self, date: NaiveDate) -> bool {
        self.listed <= date && self.delisted.is_none_or(|end| date < end)
    }

    /// Whether it is a fund.
    #[must_use]
    pub fn is_fund(&self) -> bool {
        self.kind == "ETF"
    }
}

/// What is listed when nothing else is said.
#[must_use]
pub fn usual() -> Vec<Listing> {
    let day = |year, month, day| NaiveDate::from_ymd_opt(year, month, day).unwrap_or_default();
    vec![
        Listing { employees: 164_000, ..Listing::share("AAPL", "Apple Inc.", 187.5) },
        Listing { employees: 228_000, ..Listing::share("MSFT", "Microsoft Corporation", 412.0) },
        Listing::share("NVDA", "NVIDIA Corporation", 120.0),
        Listing {
            exchange: "ARCA".into(),
            kind: "ETF".into(),
            volume: 40_000,
            ..Listing::share("SPY", "SPDR S&P 500 ETF Trust", 590.0)
        },
        Listing {
            exchange: "NYSE".into(),
            sector: "Financial Services".into(),
            ..Listing::share("BRK.B", "Berkshire Hathaway Inc. Class B", 455.0)
        },
        Listing {
            volume: 60,
            fractionable: false,
            shortable: false,
            easy_to_borrow: false,
            ..Listing::share("THIN", "Thinly Traded Corp.", 3.2)
        },
        Listing {
            volume: 900,
            fractionable: false,
            marginable: false,
            shortable: false,
            ..Listing::share("PENY", "Penny Holdings", 0.42)
        },
        Listing {
            delisted: Some(day(2024, 6, 3)),
            tradable: false,
            ..Listing::share("GONE", "Gone Industries", 12.0)
        },
        Listing { listed: day(2025, 9, 15), ..Listing::share("NEWC", "Newcomer Inc.", 28.0) },
    ]
}
