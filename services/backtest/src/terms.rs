//! The limits that a run was held against and the costs that it had, as its results state them.

use contracts::v1::{BacktestRequest, Costs};
use domain::money::{Amount, Quantity};
use domain::research::tape_limits;
use domain::risk::fields;

/// Every limit of a run that was stated, by the name that the configuration and `tapedeck limits names` give it; those
/// of a scope have it before them: `strategy:NAME.` or `symbol:NAME.`, `account.` for all of the account; of the tape's
/// those of one account have `account:NAME`, too. Shares are fractions of one, money is in dollars, ages are seconds.
#[must_use]
pub fn limits(request: &BacktestRequest) -> Vec<(String, String)> {
    let mut named = Vec::new();
    if let Some(limits) = &request.limits {
        let share = |e9: i64| Quantity(e9).to_string();
        let of_account = [
            ("max_position", share(limits.max_position_fraction_e9)),
            ("max_exposure", share(limits.max_exposure_fraction_e9)),
            ("max_order_value", Amount::from_wire(limits.max_order_value.as_ref()).to_string()),
            ("max_daily_loss", share(limits.max_daily_loss_fraction_e9)),
            ("price_collar", share(limits.price_collar_fraction_e9)),
            ("max_price_age_s", (limits.max_price_age_ms / 1_000).to_string()),
        ];
        named.extend(of_account.map(|(name, value)| (name.to_owned(), value)));
    }
    let of_tape = tape_limits(request).len();
    for (place, set) in request.limit_sets.iter().enumerate() {
        let scope = set.scope.clone().unwrap_or_default();
        // Beside those of one account the tape may state others of each account: both hold.
        let account = if place < of_tape { scope.account } else { String::new() };
        let of = [("account:", account), ("strategy:", scope.strategy), ("symbol:", scope.symbol)];
        let of: Vec<String> = of
            .into_iter()
            .filter(|(_, name)| !name.is_empty())
            .map(|(what, name)| what.to_owned() + &name)
            .collect();
        let scope = if of.is_empty() { "account".to_owned() } else { of.join(",") };
        let limits = set.limits.clone().unwrap_or_default();
        let stated = fields::stated(&limits);
        named.extend(stated.into_iter().map(|(field, value)| (format!("{scope}.{}", field.name), value)));
    }
    named
}

/// Every cost of a run by name, nought where there is none. Rates and shares are fractions of one, money is in dollars.
#[must_use]
pub fn costs(costs: &Costs) -> [(&'static str, String); 9] {
    let share = |e9: i64| Quantity(e9).to_string();
    let money = |money| Amount::from_wire(money).to_string();
    let has_fees = costs.sale_fee_rate_e9 != 0 || costs.sale_fee_per_share_e9 != 0;
    [
        ("commission_rate", share(costs.commission_rate_e9)),
        ("commission_per_share", share(costs.commission_per_share_e9)),
        ("commission_minimum", money(costs.commission_minimum.as_ref())),
        ("commission_per_order", money(costs.commission_per_order.as_ref())),
        ("regulatory_fees", if has_fees { "us" } else { "none" }.to_owned()),
        ("slippage_rate", share(costs.slippage_rate_e9)),
        ("slippage_per_share", share(costs.slippage_per_share_e9)),
        ("slippage_volume", share(costs.slippage_volume_rate_e9)),
        ("max_volume_share", share(costs.volume_share_most_e9)),
    ]
}

#[cfg(test)]
mod tests {
    use contracts::v1::{LimitScope, LimitsSet, RiskLimits, TradeLimits};
    use domain::matching::us_sale_fees;

    use super::*;

    #[test]
    fn limits_are_named_as_they_are_stated() {
        let account = RiskLimits {
            max_position_fraction_e9: 250_000_000,
            max_price_age_ms: 5_400_000,
            ..RiskLimits::default()
        };
        let set = LimitsSet {
            scope: Some(LimitScope { symbol: "SPY".to_owned(), ..LimitScope::default() }),
            limits: Some(TradeLimits { max_open_orders: Some(3), ..TradeLimits::default() }),
            ..LimitsSet::default()
        };
        let request =
            BacktestRequest { limits: Some(account), limit_sets: vec![set], ..BacktestRequest::default() };
        let named = limits(&request);
        let has = |name: &str, value: &str| named.contains(&(name.to_owned(), value.to_owned()));
        assert!(has("max_position", "0.25") && has("max_price_age_s", "5400"), "{named:?}");
        assert!(has("symbol:SPY.max_open_orders", "3"), "{named:?}");
        assert!(limits(&BacktestRequest::default()).is_empty());
    }

    #[test]
    fn limits_of_the_tape_are_told_apart_by_their_account() {
        let set = |account: &str, most: u32| LimitsSet {
            scope: Some(LimitScope { account: account.to_owned(), ..LimitScope::default() }),
            limits: Some(TradeLimits { max_open_orders: Some(most), ..TradeLimits::default() }),
            ..LimitsSet::default()
        };
        let limit_sets = vec![set("", 9), set("paper", 3)];
        let names = |limit_sets_of_tape: u32| -> Vec<String> {
            let limit_sets = limit_sets.clone();
            let request = BacktestRequest { limit_sets, limit_sets_of_tape, ..BacktestRequest::default() };
            limits(&request).into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names(2), ["account.max_open_orders", "account:paper.max_open_orders"]);
        assert_eq!(names(1), ["account.max_open_orders", "account.max_open_orders"]);
    }

    #[test]
    fn every_cost_is_named() {
        let all = Costs {
            commission_rate_e9: 1_000_000,
            commission_per_share_e9: 5_000_000,
            commission_minimum: Amount(1_000_000_000).to_wire(),
            commission_per_order: Amount(2_000_000_000).to_wire(),
            slippage_rate_e9: 100_000,
            slippage_per_share_e9: 10_000_000,
            slippage_volume_rate_e9: 70_000_000,
            volume_share_most_e9: 250_000_000,
            ..us_sale_fees()
        };
        let values = |of: &Costs| costs(of).map(|(_, value)| value);
        let expected = ["0.001", "0.005", "1", "2", "us", "0.0001", "0.01", "0.07", "0.25"];
        assert_eq!(values(&all), expected.map(str::to_owned));
        let none = ["0", "0", "0", "0", "none", "0", "0", "0", "0"];
        assert_eq!(values(&Costs::default()), none.map(str::to_owned));
    }
}
