//! The limits that a run was held against, as its results state them.

use contracts::v1::BacktestRequest;
use domain::money::{Amount, Quantity};
use domain::risk::fields;

/// Every limit of a run that was stated, by the name that the configuration and `tapedeck limits names` give it; those
/// of a scope have it before them: `strategy:NAME.` or `symbol:NAME.`, `account.` for all of the account. Shares are
/// fractions of one, money is in dollars, ages are seconds.
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
    for set in &request.limit_sets {
        let scope = set.scope.clone().unwrap_or_default();
        let of = [("strategy:", scope.strategy), ("symbol:", scope.symbol)];
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

#[cfg(test)]
mod tests {
    use contracts::v1::{LimitScope, LimitsSet, RiskLimits, TradeLimits};

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
}
