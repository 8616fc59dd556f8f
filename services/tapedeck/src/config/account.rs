//! What an account's configuration states on the tape: limits, costs, kind.

use contracts::v1::{AccountKind, Costs, RiskLimits};
use domain::matching::us_sale_fees;
use domain::money::Amount;

use super::{AccountConfig, ConfigError, Decimal, value};

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

    /// `known`, with the costs that are `written` in the account's table in their places; those that are not have
    /// defaults here that nobody stated.
    pub fn costs_over(&self, known: Costs, written: &toml::Table) -> Costs {
        let own = self.costs();
        let of = |field: &str| if written.contains_key(field) { own } else { known };
        let fees = of("regulatory_fees");
        Costs {
            commission_per_share_e9: of("commission_per_share").commission_per_share_e9,
            commission_rate_e9: of("commission_rate").commission_rate_e9,
            commission_minimum: of("commission_minimum").commission_minimum,
            slippage_rate_e9: of("slippage_bps").slippage_rate_e9,
            commission_per_order: of("commission_per_order").commission_per_order,
            sale_fee_rate_e9: fees.sale_fee_rate_e9,
            sale_fee_per_share_e9: fees.sale_fee_per_share_e9,
            sale_fee_per_share_most: fees.sale_fee_per_share_most,
            slippage_per_share_e9: of("slippage_per_share").slippage_per_share_e9,
            slippage_volume_rate_e9: of("slippage_volume").slippage_volume_rate_e9,
            volume_share_most_e9: of("max_volume_share").volume_share_most_e9,
        }
    }

    /// What the account may do with borrowed money and shares; `None` when its kind is none of the known.
    pub fn account_kind(&self) -> Option<AccountKind> {
        match self.kind.as_str() {
            "" => Some(AccountKind::Unspecified),
            name => AccountKind::of_name(name),
        }
    }
}

impl AccountConfig {
    /// Refuses a kind that there is not, and what an account of its kind can never do.
    pub(super) fn validate_kind(&self, name: &str) -> Result<(), ConfigError> {
        match self.account_kind() {
            None => Err(value(format!("account.{name}.kind"), &self.kind, "cash, margin or nothing")),
            Some(AccountKind::Cash) if self.allow_short => Err(value(
                format!("account.{name}.allow_short"),
                self.allow_short,
                "false, because an account of kind cash holds no short positions",
            )),
            Some(_) => Ok(()),
        }
    }
}

/// An amount, absent where it is nothing.
fn stated(amount: Decimal) -> Option<contracts::v1::Money> {
    (amount.0 != 0).then(|| Amount(i128::from(amount.0)).to_wire()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_costs_that_are_written_go_before_those_known() {
        let known = Costs { commission_rate_e9: 7, slippage_rate_e9: 8, ..Costs::default() };
        let over = |text: &str| {
            let account: AccountConfig = toml::from_str(text).unwrap();
            account.costs_over(known, &toml::from_str(text).unwrap())
        };
        assert_eq!(over(""), known);
        assert_eq!(over("max_exposure = 2\nmode = \"paper\""), known);
        let stated = "commission_per_share = 5\nslippage_bps = 500\nmax_volume_share = 0.1";
        let expected = Costs {
            commission_per_share_e9: 5_000_000_000,
            slippage_rate_e9: 50_000_000,
            volume_share_most_e9: 100_000_000,
            ..known
        };
        assert_eq!(over(stated), expected);
        assert_eq!(over("regulatory_fees = \"us\"").sale_fee_rate_e9, us_sale_fees().sale_fee_rate_e9);
    }
}
