//! What an account's configuration states on the tape: limits, costs, kind.

use contracts::v1::{AccountKind, Costs, RiskLimits};
use domain::matching::us_sale_fees;
use domain::money::Amount;

use super::{AccountConfig, Decimal};

impl AccountConfig {
    /// The limits as the tape states them.
    pub fn limits(&self) -> RiskLimits {
        RiskLimits {
            max_position_fraction_e9: self.max_position.0,
            max_exposure_fraction_e9: self.max_exposure.0,
            max_order_value: Amount(i128::from(self.max_order_value.0)).to_wire(),
            max_daily_loss_fraction_e9: self.max_daily_loss.0,
            price_collar_fraction_e9: self.price_collar.0,
            max_price_age_ms: i64::from(self.max_price_age_s) * 1_000,
            allow_short: self.allow_short,
        }
    }

    /// The costs as the tape states them.
    pub fn costs(&self) -> Costs {
        Costs {
            commission_per_share_e9: self.commission_per_share.0,
            commission_rate_e9: self.commission_rate.0,
            commission_minimum: Amount(i128::from(self.commission_minimum.0)).to_wire(),
            // One basis point is a ten-thousandth.
            slippage_rate_e9: self.slippage_bps.0 / 10_000,
            commission_per_order: stated(self.commission_per_order),
            slippage_per_share_e9: self.slippage_per_share.0,
            slippage_volume_rate_e9: self.slippage_volume.0,
            volume_share_most_e9: self.max_volume_share.0,
            ..if self.regulatory_fees == "us" { us_sale_fees() } else { Costs::default() }
        }
    }

    /// What the account may do with borrowed money and shares; `None` when its kind is none of the known.
    pub fn account_kind(&self) -> Option<AccountKind> {
        match self.kind.as_str() {
            "" => Some(AccountKind::Unspecified),
            "cash" => Some(AccountKind::Cash),
            "margin" => Some(AccountKind::Margin),
            _ => None,
        }
    }
}

/// An amount, absent where it is nothing.
fn stated(amount: Decimal) -> Option<contracts::v1::Money> {
    (amount.0 != 0).then(|| Amount(i128::from(amount.0)).to_wire()).flatten()
}
