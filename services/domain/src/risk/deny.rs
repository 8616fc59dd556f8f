//! Why a leg comes to no order: numbers, put into words only where somebody reads them.

use super::rule::Rule;
use crate::money::{Amount, Price, Quantity};
use crate::sizing::SizingError;

/// Why a leg comes to no order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the rule and the words say what each is")]
pub enum Deny {
    NoPosition { held: Quantity, leaving: Quantity },
    AlreadyHeld { coming: Quantity },
    OnTarget { coming: Quantity },
    Halted,
    MarginCall,
    SymbolHalted,
    MarketClosed,
    NoCalendar,
    LimitsMissing,
    SizingMissing,
    NoPrice,
    StalePrice { age_ms: i64, most_ms: i64 },
    Collar { limit: Price, collar: Quantity, reference: Price },
    NoMark,
    NoEquity { equity: Amount },
    DailyLoss { pnl: Amount, most: Amount },
    ShortNotAllowed,
    ShortOfParts { quantity: Quantity },
    ShortWithParts { after: Quantity },
    ShortByAmount { held: Quantity },
    Sizing(SizingError),
    SizeZero { price: Price, equity: Amount },
    MaxOrderValue { value: Amount, most: Amount },
    MaxPosition { coming: Quantity, value: Amount, most: Amount },
    MaxExposure { exposure: Amount, most: Amount },
    InsufficientCash { spent: Amount, cash: Amount },
    InsufficientBuyingPower { required: Amount, equity: Amount },
    Overflow,
}

impl Deny {
    /// The rule that denies.
    #[must_use]
    pub fn rule(&self) -> Rule {
        match self {
            Self::NoPosition { .. } => Rule::NoPosition,
            Self::AlreadyHeld { .. } | Self::OnTarget { .. } => Rule::AlreadyHeld,
            Self::Halted => Rule::Halted,
            Self::MarginCall => Rule::MarginCall,
            Self::SymbolHalted => Rule::SymbolHalted,
            Self::MarketClosed | Self::NoCalendar => Rule::MarketClosed,
            Self::LimitsMissing | Self::SizingMissing => Rule::LimitsMissing,
            Self::NoPrice | Self::StalePrice { .. } => Rule::StalePrice,
            Self::Collar { .. } => Rule::PriceCollar,
            Self::NoMark | Self::NoEquity { .. } => Rule::NoMark,
            Self::DailyLoss { .. } => Rule::DailyLoss,
            Self::ShortNotAllowed
            | Self::ShortOfParts { .. }
            | Self::ShortWithParts { .. }
            | Self::ShortByAmount { .. } => Rule::ShortNotAllowed,
            Self::Sizing(_) | Self::SizeZero { .. } => Rule::SizeZero,
            Self::MaxOrderValue { .. } => Rule::MaxOrderValue,
            Self::MaxPosition { .. } => Rule::MaxPosition,
            Self::MaxExposure { .. } => Rule::MaxExposure,
            Self::InsufficientCash { .. } => Rule::InsufficientCash,
            Self::InsufficientBuyingPower { .. } => Rule::InsufficientBuyingPower,
            Self::Overflow => Rule::InvalidSignal,
        }
    }

    /// Value and limit in words.
    #[must_use]
    pub fn reason(&self, symbol: &str) -> String {
        match self {
            Self::NoPosition { held, leaving } => {
                format!("holds {held}, of which {leaving} is on its way out")
            }
            Self::AlreadyHeld { coming } => format!("holds or is about to hold {coming}"),
            Self::OnTarget { coming } => {
                format!("holds or is about to hold {coming}, less than one share from its target")
            }
            Self::Halted => "trading is reduce-only; only reducing orders pass".to_owned(),
            Self::MarginCall => {
                "equity is below the maintenance margin; only reducing orders pass".to_owned()
            }
            Self::SymbolHalted => format!("trading in {symbol} is halted; only reducing orders pass"),
            Self::MarketClosed => {
                "neither this session nor the next takes the order with its time in force".to_owned()
            }
            Self::NoCalendar => {
                "the calendar knows no session at this time; only reducing orders pass".to_owned()
            }
            Self::LimitsMissing => "the account has no limits, expected a configuration".to_owned(),
            Self::SizingMissing => "the strategy states no sizing, or its parameters are invalid".to_owned(),
            Self::NoPrice => format!("there is no price of {symbol}"),
            Self::StalePrice { age_ms, most_ms } => {
                format!("the price is {age_ms} ms old, expected 0 to {most_ms} ms")
            }
            Self::Collar { limit, collar, reference } => {
                format!("limit {limit} is more than {collar} of the price {reference} away from it")
            }
            Self::NoMark => "the account was never valued, expected a mark".to_owned(),
            Self::NoEquity { equity } => format!("equity is {equity}, expected a positive amount"),
            Self::DailyLoss { pnl, most } => format!("the day's result is {pnl}, expected above -{most}"),
            Self::ShortNotAllowed => "the account allows no short positions".to_owned(),
            Self::ShortOfParts { quantity } => format!(
                "quantity is {quantity}, expected a whole number of shares, because parts of a share cannot be \
                 sold short"
            ),
            Self::ShortWithParts { after } => format!(
                "the position would be {after} shares, expected a whole number, because parts of a share cannot be \
                 sold short"
            ),
            Self::ShortByAmount { held } => format!(
                "the order is for an amount while {held} are held, expected a number of shares, because it would leave \
                 parts of a share sold short"
            ),
            Self::Sizing(error) => error.to_string(),
            Self::SizeZero { price, equity } => format!("less than one share at {price} with {equity}"),
            Self::MaxOrderValue { value, most } => {
                format!("the order is worth {value}, expected at most {most}")
            }
            Self::MaxPosition { coming, value, most } => {
                format!("{coming} shares would be worth {value}, expected at most {most}")
            }
            Self::MaxExposure { exposure, most } => {
                format!("gross exposure would be {exposure}, expected at most {most}")
            }
            Self::InsufficientCash { spent, cash } => {
                format!("approved and new buys come to {spent}, expected at most the cash, {cash}")
            }
            Self::InsufficientBuyingPower { required, equity } => {
                format!("the initial margin would be {required}, expected at most the equity, {equity}")
            }
            Self::Overflow => "a sum overflows, expected quantities and prices in range".to_owned(),
        }
    }
}
