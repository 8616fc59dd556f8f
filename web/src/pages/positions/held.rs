//! What is held, by strategy and netted per symbol; both with the same totals.

use std::collections::BTreeMap;

use askama::Template;
use domain::money::{Amount, Price, Quantity};
use projections::queries::{self, PositionRow as Position};

use super::{HELD, NETTED};
use crate::error::PageError;
use crate::pages::{Body, Rendering, Scope, Shown, timeline};
use crate::view::{Signed, money, price, quantity, signed_money};

/// Flat positions with a result stay in the list, and so in the sum; beyond this many rows the smallest
/// are added up in one.
const ROWS_MAX: usize = 150;

#[derive(Clone, Debug)]
struct Row {
    id: String,
    symbol: String,
    /// Empty when netted.
    strategy: String,
    /// Strategies that hold it, when netted.
    strategies: usize,
    orders_url: String,
    quantity: String,
    average: String,
    mark: String,
    exposure: String,
    unrealized: Signed,
    realized: Signed,
    /// The same shares by lots of first in, first out, where that differs from the average.
    fifo: Option<Fifo>,
    fees: String,
    dividends: String,
    /// Exact numbers, for whoever adds them up.
    exact: Sums,
    seq: u64,
}

/// What the shares cost and came to when the first bought are the first sold.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fifo {
    average: String,
    unrealized: Signed,
    realized: Signed,
}

/// What rows add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Market value, signed.
    pub value: Amount,
    /// Market value without sign, per row.
    pub exposure: Amount,
    /// Market value less cost.
    pub unrealized: Amount,
    /// Gross realised profit and loss.
    pub realized: Amount,
    /// Market value less the cost of the lots held, first in, first out.
    pub fifo_unrealized: Amount,
    /// Gross realised profit and loss of the lots sold, first in, first out.
    pub fifo_realized: Amount,
    /// Commissions and fees.
    pub fees: Amount,
    /// Dividends received less paid.
    pub dividends: Amount,
}

#[derive(Clone, Debug)]
struct Total {
    exposure: String,
    unrealized: Signed,
    realized: Signed,
    fifo: Option<Fifo>,
    fees: String,
    dividends: String,
    exact: Sums,
}

#[derive(Clone, Debug)]
struct Held {
    rows: Vec<Row>,
    total: Total,
    /// Rows that are left out of the list, and stay in the total.
    more: usize,
}

#[derive(Template)]
#[template(path = "positions/held.html")]
struct HeldPanel {
    v: u64,
    id: &'static str,
    netted: bool,
    body: Body<Held>,
}

/// Positions by strategy.
pub async fn held(scope: &Scope<'_>) -> Rendering {
    let body = Body::read(scope, &HELD, async { read(scope).await.map(|rows| Held::of(rows, false)) }).await;
    HeldPanel { v: scope.version, id: HELD.name, netted: false, body }.render()
}

/// Positions netted per symbol.
pub async fn netted(scope: &Scope<'_>) -> Rendering {
    let body = Body::read(scope, &NETTED, async { read(scope).await.map(|rows| Held::of(rows, true)) }).await;
    HeldPanel { v: scope.version, id: NETTED.name, netted: true, body }.render()
}

/// The account's positions, those included that are flat and have a result.
async fn read(scope: &Scope<'_>) -> Result<Vec<Position>, PageError> {
    if let Some(past) = timeline::past(scope).await? {
        return Ok(past.positions(Some(scope.account), true));
    }
    let rows = queries::positions(&scope.app.config.pool, Some(scope.account), true).await;
    rows.map_err(|error| PageError::ReadModel(error.to_string()))
}

impl Sums {
    fn of(position: &Position) -> Self {
        let value = position.market_value.unwrap_or_default();
        Self {
            value,
            exposure: value.abs(),
            unrealized: position.unrealized_pnl.unwrap_or_default(),
            realized: position.realized_pnl,
            fifo_unrealized: position.fifo_unrealized_pnl.unwrap_or_default(),
            fifo_realized: position.fifo_realized_pnl,
            fees: position.fees,
            dividends: position.dividends,
        }
    }

    fn add(self, other: Self) -> Self {
        let sum = |a: Amount, b: Amount| Amount(a.0.saturating_add(b.0));
        Self {
            value: sum(self.value, other.value),
            exposure: sum(self.exposure, other.exposure),
            unrealized: sum(self.unrealized, other.unrealized),
            realized: sum(self.realized, other.realized),
            fifo_unrealized: sum(self.fifo_unrealized, other.fifo_unrealized),
            fifo_realized: sum(self.fifo_realized, other.fifo_realized),
            fees: sum(self.fees, other.fees),
            dividends: sum(self.dividends, other.dividends),
        }
    }
}

impl Fifo {
    /// Nothing where the average says the same to the cent.
    fn beside(sums: &Sums, known: bool, average: String) -> Option<Self> {
        let (unrealized, realized) = (signed_money(sums.fifo_unrealized), signed_money(sums.fifo_realized));
        let differs = unrealized != signed_money(sums.unrealized) || realized != signed_money(sums.realized);
        let unrealized = if known { unrealized } else { unknown() };
        differs.then_some(Self { average, unrealized, realized })
    }
}

impl Held {
    /// Rows and totals; nothing when nothing was ever held.
    fn of(positions: Vec<Position>, netted: bool) -> Option<Self> {
        if positions.is_empty() {
            return None;
        }
        let rows: Vec<Row> = if netted { net(&positions) } else { positions.iter().map(Row::of).collect() };
        let exact = rows.iter().fold(Sums::default(), |sum, row| sum.add(row.exact));
        let more = rows.len().saturating_sub(ROWS_MAX);
        let mut rows = rows;
        if more > 0 {
            rows.sort_by_key(|row| std::cmp::Reverse(row.exact.exposure));
            rows.truncate(ROWS_MAX);
        }
        let total = Total {
            exposure: money(exact.exposure),
            unrealized: signed_money(exact.unrealized),
            realized: signed_money(exact.realized),
            fifo: Fifo::beside(&exact, true, String::new()),
            fees: money(exact.fees),
            dividends: money(exact.dividends),
            exact,
        };
        Some(Self { rows, total, more })
    }
}

/// One row per symbol.
fn net(positions: &[Position]) -> Vec<Row> {
    let mut by_symbol: BTreeMap<&str, Vec<&Position>> = BTreeMap::new();
    for position in positions {
        by_symbol.entry(&position.symbol).or_default().push(position);
    }
    by_symbol.into_values().filter_map(|parts| Row::net(&parts)).collect()
}

impl Row {
    fn of(position: &Position) -> Self {
        Self {
            id: format!("h-{}-{}", position.strategy, position.symbol),
            symbol: position.symbol.clone(),
            strategy: position.strategy.clone(),
            strategies: 1,
            orders_url: orders_url(&position.symbol, Some(&position.strategy)),
            quantity: quantity(position.quantity),
            average: position.average_cost.map_or_else(dash, price),
            mark: position.mark_price.map_or_else(dash, price),
            ..Self::valued(
                Sums::of(position),
                position.market_value.is_some(),
                queries::average(position.fifo_cost, position.quantity),
                position.sequence,
            )
        }
    }

    /// The parts of one symbol as one. The average is that of what is held in sum.
    fn net(parts: &[&Position]) -> Option<Self> {
        let first = parts.first()?;
        let shares = parts.iter().fold(0i64, |sum, part| sum.saturating_add(part.quantity.0));
        let cost = parts.iter().fold(0i128, |sum, part| sum.saturating_add(part.cost.0));
        let fifo_cost = parts.iter().fold(0i128, |sum, part| sum.saturating_add(part.fifo_cost.0));
        let mut sums = parts.iter().fold(Sums::default(), |sum, part| sum.add(Sums::of(part)));
        // Netted, what one strategy is long and another short is exposure of neither.
        sums.exposure = sums.value.abs();
        let known = parts.iter().all(|part| part.market_value.is_some());
        let average = queries::average(Amount(cost), Quantity(shares));
        let mark = parts.iter().find_map(|part| part.mark_price);
        let seq = parts.iter().map(|part| part.sequence).max().unwrap_or_default();
        Some(Self {
            id: format!("n-{}", first.symbol),
            symbol: first.symbol.clone(),
            strategy: String::new(),
            strategies: parts.iter().filter(|part| part.quantity.0 != 0).count(),
            orders_url: orders_url(&first.symbol, None),
            quantity: quantity(Quantity(shares)),
            average: average.map_or_else(dash, price),
            mark: mark.map_or_else(dash, price),
            ..Self::valued(sums, known, queries::average(Amount(fifo_cost), Quantity(shares)), seq)
        })
    }

    fn valued(sums: Sums, known: bool, fifo: Option<Price>, seq: u64) -> Self {
        Self {
            id: String::new(),
            symbol: String::new(),
            strategy: String::new(),
            strategies: 0,
            orders_url: String::new(),
            quantity: String::new(),
            average: String::new(),
            mark: String::new(),
            exposure: if known { money(sums.exposure) } else { dash() },
            unrealized: if known { signed_money(sums.unrealized) } else { unknown() },
            realized: signed_money(sums.realized),
            fifo: Fifo::beside(&sums, known, fifo.map_or_else(dash, price)),
            fees: money(sums.fees),
            dividends: money(sums.dividends),
            exact: sums,
            seq,
        }
    }
}

fn orders_url(symbol: &str, strategy: Option<&str>) -> String {
    let params = crate::pages::Params::from([("tab", "all"), ("symbol", symbol)]);
    let params = strategy.map_or(params.clone(), |strategy| params.with("strategy", strategy));
    params.link("/orders")
}

fn unknown() -> Signed {
    Signed { text: dash(), tone: "flat", arrow: "" }
}

fn dash() -> String {
    "–".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(strategy: &str, symbol: &str, shares: i64, cost: i128, value: i128) -> Position {
        Position {
            account: "paper".to_owned(),
            strategy: strategy.to_owned(),
            symbol: symbol.to_owned(),
            quantity: Quantity(shares * 1_000_000_000),
            cost: Amount(cost),
            average_cost: None,
            mark_price: Some(Price(10_000_000_000)),
            mark_ns: None,
            market_value: Some(Amount(value)),
            unrealized_pnl: Some(Amount(value - cost)),
            realized_pnl: Amount(7),
            fees: Amount(1),
            dividends: Amount(2),
            updated_ns: 0,
            fifo_cost: Amount(cost),
            fifo_realized_pnl: Amount(7),
            fifo_unrealized_pnl: Some(Amount(value - cost)),
            sequence: 5,
        }
    }

    #[test]
    fn netted_and_by_strategy_add_up_to_the_same() {
        let rows = vec![
            position("a", "SPY", 10, 90, 100),
            position("b", "SPY", -4, -44, -40),
            position("a", "QQQ", 0, 0, 0),
        ];
        let held = Held::of(rows.clone(), false).unwrap();
        let netted = Held::of(rows, true).unwrap();
        assert_eq!((held.rows.len(), netted.rows.len()), (3, 2));
        let flows = |sums: Sums| (sums.value, sums.unrealized, sums.realized, sums.fees, sums.dividends);
        assert_eq!(flows(held.total.exact), flows(netted.total.exact));
        assert_eq!(flows(held.total.exact), (Amount(60), Amount(14), Amount(21), Amount(3), Amount(6)));
        // Exposure is what differs: 100 long and 40 short of one symbol is 60.
        assert_eq!((held.total.exact.exposure, netted.total.exact.exposure), (Amount(140), Amount(60)));
    }

    #[test]
    fn lots_stand_beside_the_average_where_they_differ() {
        let mut held = position("a", "SPY", 10, 90_000_000_000, 100_000_000_000);
        assert_eq!(Row::of(&held).fifo, None);
        // Sold dearer lots first in: what is left cost less, and what was sold brought less.
        held.fifo_cost = Amount(80_000_000_000);
        held.fifo_unrealized_pnl = Some(Amount(20_000_000_000));
        held.fifo_realized_pnl = Amount(-9_999_999_993);
        let fifo = Row::of(&held).fifo.unwrap();
        let shown = (fifo.average.as_str(), fifo.unrealized.text.as_str(), fifo.realized.text.as_str());
        assert_eq!(shown, ("8.00", "+20.00", "−10.00"));
        let table = Held::of(vec![held.clone(), position("b", "SPY", 0, 0, 0)], true).unwrap();
        assert_eq!(table.rows[0].fifo, Some(fifo));
        assert_eq!(table.total.fifo.unwrap().unrealized.text, "+20.00");
        held.market_value = None;
        assert_eq!(Row::of(&held).fifo.unwrap().unrealized.text, "–", "without a price nothing is known");
    }

    #[test]
    fn nothing_held_is_nothing() {
        assert!(Held::of(Vec::new(), true).is_none());
    }
}
