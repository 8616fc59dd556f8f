//! The costs of a run: as text, each beside that of an account, and whether a run can have them.

use contracts::v1::Costs;

use super::{Invalid, invalid};
use crate::matching::us_sale_fees;
use crate::money::{Amount, E9, Price};

/// Basis points of one.
const BPS: i64 = 10_000;

/// Costs as they are written; what is absent is as it is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct StatedCosts<'text> {
    /// Commission as a share of the traded value, per fill.
    pub commission_rate: Option<&'text str>,
    /// Commission per share.
    pub commission_per_share: Option<&'text str>,
    /// Least commission per fill.
    pub commission_minimum: Option<&'text str>,
    /// Commission of an order, paid with its first fill.
    pub commission_per_order: Option<&'text str>,
    /// Fees on sales: `us` or `none`.
    pub regulatory_fees: Option<&'text str>,
    /// Slippage of market orders in basis points.
    pub slippage_bps: Option<&'text str>,
    /// Slippage per share.
    pub slippage_per_share: Option<&'text str>,
    /// Slippage per share of a bar's volume that a fill takes, as a share of the price.
    pub slippage_volume: Option<&'text str>,
    /// Most of a bar's volume that fills, as a share; 0 means that volume does not matter.
    pub max_volume_share: Option<&'text str>,
}

/// The costs that are stated, each in the place of that of `known`. A minimum that nobody states is 0.
pub fn costs(stated: &StatedCosts<'_>, known: Costs) -> Result<Costs, Invalid> {
    let number = |field: &'static str, text: Option<&str>, known: i64| match text {
        Some(text) => billionths(field, text),
        None => Ok(known),
    };
    let money = |field: &'static str, text: Option<&str>, known| match text {
        Some(text) => billionths(field, text).map(|e9| Amount(i128::from(e9)).to_wire()),
        None => Ok(known),
    };
    let fees = match stated.regulatory_fees {
        None => known,
        Some("us") => us_sale_fees(),
        Some("none") => Costs::default(),
        Some(other) => return invalid("regulatory_fees", other, "us or none"),
    };
    let least = money("commission_minimum", stated.commission_minimum, known.commission_minimum)?;
    let per_order = money("commission_per_order", stated.commission_per_order, known.commission_per_order)?;
    let per_share = known.commission_per_share_e9;
    let costs = Costs {
        commission_per_share_e9: number("commission_per_share", stated.commission_per_share, per_share)?,
        commission_rate_e9: number("commission_rate", stated.commission_rate, known.commission_rate_e9)?,
        commission_minimum: least.or_else(|| Amount::ZERO.to_wire()),
        slippage_rate_e9: match stated.slippage_bps {
            Some(text) => billionths("slippage_bps", text)? / BPS,
            None => known.slippage_rate_e9,
        },
        commission_per_order: per_order,
        sale_fee_rate_e9: fees.sale_fee_rate_e9,
        sale_fee_per_share_e9: fees.sale_fee_per_share_e9,
        sale_fee_per_share_most: fees.sale_fee_per_share_most,
        slippage_per_share_e9: number(
            "slippage_per_share",
            stated.slippage_per_share,
            known.slippage_per_share_e9,
        )?,
        slippage_volume_rate_e9: number(
            "slippage_volume",
            stated.slippage_volume,
            known.slippage_volume_rate_e9,
        )?,
        volume_share_most_e9: number(
            "max_volume_share",
            stated.max_volume_share,
            known.volume_share_most_e9,
        )?,
    };
    check(&costs)?;
    Ok(costs)
}

/// Reads a decimal as billionths.
fn billionths(field: &'static str, text: &str) -> Result<i64, Invalid> {
    text.trim().parse::<Price>().map(|number| number.0).or_else(|error| {
        let (most, problem) = (Price(i64::MAX), error.problem);
        let expected = format!("a decimal number of at most nine places, at most {most} ({problem})");
        invalid(field, text, expected)
    })
}

/// Refuses costs that a run cannot have.
pub(super) fn check(costs: &Costs) -> Result<(), Invalid> {
    let number = |e9: i64| Amount(i128::from(e9));
    if !(0..=E9).contains(&costs.commission_rate_e9) {
        let expected = "0 to 1, a share of the traded value";
        return invalid("commission_rate", number(costs.commission_rate_e9), expected);
    }
    if !(0..=E9).contains(&costs.slippage_rate_e9) {
        let bps = Amount(i128::from(costs.slippage_rate_e9) * i128::from(BPS));
        return invalid("slippage_bps", bps, "0 to 10000 basis points");
    }
    if costs.commission_per_share_e9 < 0 {
        return invalid("commission_per_share", number(costs.commission_per_share_e9), "0 or more");
    }
    for (field, money) in [
        ("commission_minimum", &costs.commission_minimum),
        ("commission_per_order", &costs.commission_per_order),
    ] {
        let amount = Amount::from_wire(money.as_ref());
        if amount.0 < 0 {
            return invalid(field, amount, "0 or more");
        }
    }
    if costs.slippage_per_share_e9 < 0 {
        return invalid("slippage_per_share", number(costs.slippage_per_share_e9), "0 or more");
    }
    if !(0..=10 * E9).contains(&costs.slippage_volume_rate_e9) {
        let expected = "0 to 10, a share of the price";
        return invalid("slippage_volume", number(costs.slippage_volume_rate_e9), expected);
    }
    if !(0..=E9).contains(&costs.volume_share_most_e9) {
        let expected = "0 to 1, a share of the volume";
        return invalid("max_volume_share", number(costs.volume_share_most_e9), expected);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stated_goes_before_what_is_known() {
        let known = Costs { commission_rate_e9: 7, slippage_rate_e9: 8, ..us_sale_fees() };
        let minimum = Amount::ZERO.to_wire();
        let of = |stated: StatedCosts<'_>| costs(&stated, known).unwrap();
        assert_eq!(of(StatedCosts::default()), Costs { commission_minimum: minimum, ..known });
        let stated = StatedCosts {
            commission_minimum: Some("1.5"),
            slippage_bps: Some(" 2.5 "),
            regulatory_fees: Some("none"),
            ..StatedCosts::default()
        };
        let expected = Costs {
            commission_rate_e9: 7,
            commission_minimum: Amount(1_500_000_000).to_wire(),
            slippage_rate_e9: 250_000,
            ..Costs::default()
        };
        assert_eq!(of(stated), expected);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |stated: StatedCosts<'_>, expected: &str| {
            let error = costs(&stated, Costs::default()).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        };
        let none = StatedCosts::default();
        let large = Some("9223372037");
        check(StatedCosts { slippage_bps: large, ..none }, "slippage_bps \"9223372037\": expected a decimal");
        check(StatedCosts { slippage_bps: Some("10001"), ..none }, "slippage_bps \"10001\": expected 0 to");
        check(StatedCosts { commission_rate: Some("2"), ..none }, "commission_rate \"2\": expected 0 to 1");
        check(StatedCosts { regulatory_fees: Some("eu"), ..none }, "regulatory_fees \"eu\": expected us or");
    }
}
