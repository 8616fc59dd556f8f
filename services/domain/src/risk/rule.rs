//! The rules of the policy, by their stable names.

use contracts::v1::RiskInput;

/// A rule that can deny a signal. Its name is part of the tape and never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// The signal itself is wrong.
    InvalidSignal,
    /// The strategy is not registered or was never enabled.
    StrategyNotEnabled,
    /// The strategy was disabled.
    StrategyDisabled,
    /// The read model did not reach the signal in time.
    StaleReadModel,
    /// There is nothing to exit, after what is on its way out already.
    NoPosition,
    /// The strategy holds, or is about to hold, what the signal wants.
    AlreadyHeld,
    /// New exposure is stopped.
    Halted,
    /// The account's equity is below its maintenance margin.
    MarginCall,
    /// Trading in the symbol is halted.
    SymbolHalted,
    /// Neither this session nor the next can take the order with its time in force.
    MarketClosed,
    /// Limits or sizing are not stated.
    LimitsMissing,
    /// There is no price, or it is too old, or from the future.
    StalePrice,
    /// The limit price is too far from the reference price.
    PriceCollar,
    /// The account was never valued.
    NoMark,
    /// The session's loss reached its limit.
    DailyLoss,
    /// The account allows no positions below zero.
    ShortNotAllowed,
    /// The size comes to nothing.
    SizeZero,
    /// The order is worth too much.
    MaxOrderValue,
    /// The position would be too large.
    MaxPosition,
    /// The gross exposure would be too large.
    MaxExposure,
    /// The account's cash does not pay for it.
    InsufficientCash,
    /// The account's equity does not cover the initial margin.
    InsufficientBuyingPower,
    /// The symbol is on the restricted list.
    Restricted,
    /// A circuit breaker tripped and was not reset.
    Breaker,
    /// The session opened a moment ago or closes in a moment.
    SessionEdge,
    /// The order has too many shares.
    MaxOrderQuantity,
    /// The position would be too large a share of equity.
    MaxConcentration,
    /// The gross exposure of a scope would be too large.
    MaxGrossExposure,
    /// The net exposure of a scope would be too large.
    MaxNetExposure,
    /// Gross exposure would be too large a multiple of equity.
    MaxLeverage,
    /// Too little buying power would be left.
    MinBuyingPower,
    /// Too many orders would be open.
    MaxOpenOrders,
    /// Too many orders were approved of late.
    OrderRate,
    /// Returns go too much with those of a position held, or cannot be compared.
    Correlation,
    /// The value at risk of the book would be too large, or cannot be measured.
    MaxVar,
    /// A finding about the symbol's data is too young.
    UncleanData,
}

impl Rule {
    /// Every rule, in the order in which they are checked.
    pub const ALL: [Self; 36] = [
        Self::InvalidSignal,
        Self::StrategyNotEnabled,
        Self::StrategyDisabled,
        Self::StaleReadModel,
        Self::NoPosition,
        Self::AlreadyHeld,
        Self::Halted,
        Self::MarginCall,
        Self::SymbolHalted,
        Self::MarketClosed,
        Self::LimitsMissing,
        Self::StalePrice,
        Self::PriceCollar,
        Self::NoMark,
        Self::DailyLoss,
        Self::ShortNotAllowed,
        Self::SizeZero,
        Self::MaxOrderValue,
        Self::MaxPosition,
        Self::MaxExposure,
        Self::InsufficientCash,
        Self::InsufficientBuyingPower,
        Self::Restricted,
        Self::Breaker,
        Self::SessionEdge,
        Self::MaxOrderQuantity,
        Self::MaxConcentration,
        Self::MaxGrossExposure,
        Self::MaxNetExposure,
        Self::MaxLeverage,
        Self::MinBuyingPower,
        Self::MaxOpenOrders,
        Self::OrderRate,
        Self::Correlation,
        Self::MaxVar,
        Self::UncleanData,
    ];

    /// The name on the tape.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidSignal => "invalid_signal",
            Self::StrategyNotEnabled => "strategy_not_enabled",
            Self::StrategyDisabled => "strategy_disabled",
            Self::StaleReadModel => "stale_read_model",
            Self::NoPosition => "no_position",
            Self::AlreadyHeld => "already_held",
            Self::Halted => "halted",
            Self::MarginCall => "margin_call",
            Self::SymbolHalted => "symbol_halted",
            Self::MarketClosed => "market_closed",
            Self::LimitsMissing => "limits_missing",
            Self::StalePrice => "stale_price",
            Self::PriceCollar => "price_collar",
            Self::NoMark => "no_mark",
            Self::DailyLoss => "daily_loss",
            Self::ShortNotAllowed => "short_not_allowed",
            Self::SizeZero => "size_zero",
            Self::MaxOrderValue => "max_order_value",
            Self::MaxPosition => "max_position",
            Self::MaxExposure => "max_exposure",
            Self::InsufficientCash => "insufficient_cash",
            Self::InsufficientBuyingPower => "insufficient_buying_power",
            Self::Restricted => "restricted",
            Self::Breaker => "breaker",
            Self::SessionEdge => "session_edge",
            Self::MaxOrderQuantity => "max_order_quantity",
            Self::MaxConcentration => "max_concentration",
            Self::MaxGrossExposure => "max_gross_exposure",
            Self::MaxNetExposure => "max_net_exposure",
            Self::MaxLeverage => "max_leverage",
            Self::MinBuyingPower => "min_buying_power",
            Self::MaxOpenOrders => "max_open_orders",
            Self::OrderRate => "order_rate",
            Self::Correlation => "correlation",
            Self::MaxVar => "max_var",
            Self::UncleanData => "unclean_data",
        }
    }
}

/// A rule that denied, and the value and limit in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The rule.
    pub rule: Rule,
    /// Value and limit in words.
    pub reason: String,
}

impl Denial {
    pub(super) fn new(rule: Rule, reason: impl Into<String>) -> Self {
        Self { rule, reason: reason.into() }
    }

    /// Names the leg, where there are several.
    pub(super) fn of_leg(mut self, input: &RiskInput, legs: usize) -> Self {
        if legs > 1 {
            self.reason = format!("leg {} {}: {}", input.leg, input.symbol, self.reason);
        }
        self
    }
}

/// The outcome of one check.
pub(super) type Checked<Value = ()> = Result<Value, Denial>;

/// A failed check.
pub(super) fn deny<Value>(rule: Rule, reason: impl Into<String>) -> Checked<Value> {
    Err(Denial::new(rule, reason))
}
