//! Limits that limit nothing.

use contracts::v1::{Money, RiskLimits};

/// Limits under which nothing counts but buying power: what the account's cash pays for, or its equity on
/// margin (`Policy::kind`). A backtest without limits of its own runs under them, and says so.
#[must_use]
pub fn buying_power_only(allow_short: bool) -> RiskLimits {
    RiskLimits {
        max_position_fraction_e9: i64::MAX,
        max_exposure_fraction_e9: i64::MAX,
        max_order_value: Some(Money { units: i64::MAX, nanos: 0 }),
        max_daily_loss_fraction_e9: i64::MAX,
        price_collar_fraction_e9: i64::MAX,
        max_price_age_ms: i64::MAX,
        allow_short,
    }
}
