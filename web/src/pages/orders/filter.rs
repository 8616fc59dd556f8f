//! The filters of the lists of orders and fills, read from the address. The API reads the same fields.

use domain::order::OrderStage;
use projections::queries::{FillFilter, OrderFilter};

use crate::error::PageError;
use crate::pages::{Params, chart};
use crate::view::{EXPECTED_TIME, from_time, to_time};

/// Statuses of an order that is not over.
pub const OPEN: [&str; 10] = {
    let mut names = [""; 10];
    let (mut from, mut to) = (0, 0);
    while from < OrderStage::ALL.len() {
        if !OrderStage::ALL[from].is_ended() {
            names[to] = OrderStage::ALL[from].name();
            to += 1;
        }
        from += 1;
    }
    names
};
/// Every status.
pub const STATUSES: [&str; OrderStage::ALL.len()] = {
    let mut names = [""; OrderStage::ALL.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = OrderStage::ALL[index].name();
        index += 1;
    }
    names
};
/// Sides.
pub const SIDES: [&str; 2] = ["buy", "sell"];
/// Fields that filter.
pub const FIELDS: [&str; 7] = ["account", "symbol", "strategy", "status", "side", "from", "to"];

/// What the fields ask for.
#[derive(Clone, Debug)]
pub struct Filter {
    /// For lists of orders.
    pub orders: OrderFilter,
    /// For lists of fills.
    pub fills: FillFilter,
}

/// The tab: `open`, `all` or `fills`.
#[must_use]
pub fn tab(params: &Params) -> &'static str {
    let asked = params.get("tab").unwrap_or_default();
    super::TABS.iter().find(|(value, _)| *value == asked).map_or("open", |(value, _)| value)
}

/// A time of a filter, read by `read`; an error names the field.
pub fn time(
    params: &Params,
    name: &'static str,
    read: impl Fn(&str) -> Option<i64>,
) -> Result<Option<i64>, PageError> {
    let Some(text) = params.get(name) else { return Ok(None) };
    read(text).map(Some).ok_or_else(|| PageError::field(name, text, EXPECTED_TIME))
}

impl Filter {
    /// Reads the fields; one that cannot be meant is an error that names it.
    pub fn of(params: &Params) -> Result<Self, PageError> {
        let tabs = super::TABS.map(|(value, _)| value);
        params.one_of("tab", &tabs)?;
        let open = tab(params) == "open";
        let status = params.one_of("status", if open { &OPEN } else { &STATUSES })?;
        let side = params.one_of("side", &SIDES)?;
        let (from_ns, to_ns) = (time(params, "from", from_time)?, time(params, "to", to_time)?);
        params.ordered()?;
        let (account, strategy) = (params.owned("account"), params.owned("strategy"));
        let symbol = params.get("symbol").map(chart::symbol).transpose()?;
        Ok(Self {
            orders: OrderFilter {
                account: account.clone(),
                strategy: strategy.clone(),
                symbol: symbol.clone(),
                side: side.clone(),
                status,
                open: open.then_some(true),
                from_ns,
                to_ns,
            },
            fills: FillFilter {
                account,
                strategy,
                symbol,
                side,
                order_id: None,
                from_ns,
                to_ns,
                up_to: None,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_cannot_be_meant_is_named() {
        for (name, value, expected) in [
            ("side", "up", "side = \"up\": expected one of buy, sell"),
            (
                "symbol",
                "a b",
                "symbol = \"a b\": expected 1 to 32 printable ASCII characters without a blank or a comma, such as AAPL \
                 or BRK.B",
            ),
            ("tab", "closed", "tab = \"closed\": expected one of open, all, fills"),
            // Of the open tab: a filled order is not open.
            (
                "status",
                "filled",
                "status = \"filled\": expected one of requested, approved, submitted, unknown, accepted, \
                 partially_filled, suspended, cancel_requested, replace_requested, replaced",
            ),
        ] {
            let error = Filter::of(&Params::from([(name, value)])).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        let error = Filter::of(&Params::from([("from", "soon")])).unwrap_err();
        assert!(error.to_string().starts_with("from = \"soon\": expected a date"));
    }

    #[test]
    fn a_tab_and_its_filters_are_one_list() {
        let filter =
            Filter::of(&Params::from([("tab", "all"), ("status", "filled"), ("symbol", "aapl")])).unwrap();
        assert_eq!(filter.orders.open, None);
        assert_eq!(filter.orders.status.as_deref(), Some("filled"));
        assert_eq!(filter.fills.symbol.as_deref(), Some("AAPL"));
    }
}
