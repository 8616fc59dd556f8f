//! How much of the limits by scope is used, as of an account's last mark.
//!
//! The same sums as in a decision (`super::measure`); what is worst counts: the largest position, the side of open
//! orders that makes it larger. Deliberately absent: limits of a single order, which nothing uses up.

use std::collections::BTreeMap;

use contracts::v1::Money;

use super::fields::{Unit, fields};
use super::measure::{exposure, held};
use crate::book::{AccountState, Book, LimitSet, Prices, Scope};
use crate::calendar::Calendar;
use crate::money::{Amount, E9, Price, Quantity};
use crate::order::OrderState;

/// How much of one limit of a scope is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeUsage {
    /// What the limit is of.
    pub scope: Scope,
    /// Version of the statement.
    pub version: u64,
    /// Name of the limit.
    pub limit: &'static str,
    /// Used, in the limit's unit; counts and shares as amounts.
    pub used: Amount,
    /// The limit, in the same unit.
    pub most: Amount,
    /// What uses the most: a symbol; empty where it is the scope as a whole.
    pub of: String,
}

impl ScopeUsage {
    fn unit(&self) -> Unit {
        fields().find(|field| field.name == self.limit).map_or(Unit::Money, |field| field.unit)
    }

    fn text(&self, value: Amount) -> String {
        match self.unit() {
            Unit::Count => (value.0 / i128::from(E9)).to_string(),
            _ => value.to_string(),
        }
    }

    /// What is used, as the limit is written.
    #[must_use]
    pub fn used_text(&self) -> String {
        self.text(self.used)
    }

    /// The limit, as it is written.
    #[must_use]
    pub fn most_text(&self) -> String {
        self.text(self.most)
    }
}

/// The limits in force that hold for `account`, by scope, in the order of [`fields`]; a day is one of `calendar`, the
/// tape's. Nothing before the account was valued; nor where a symbol that is held has no price.
#[must_use]
pub fn scope_usage(book: &Book, account: &str, calendar: &Calendar) -> Vec<ScopeUsage> {
    scope_usage_at(book, account, calendar, Prices::default())
}

/// The same at `prices`, where they are newer than those of the mark.
pub(super) fn scope_usage_at(
    book: &Book,
    account: &str,
    calendar: &Calendar,
    prices: Prices,
) -> Vec<ScopeUsage> {
    let Some(row) = book.account(account) else { return Vec::new() };
    let Some(mark) = &row.mark else { return Vec::new() };
    let mut prices = prices;
    prices.tell(row, |_| true);
    prices.seed(row);
    let day_ns = calendar.start_of(calendar.date_of(mark.event_ns));
    let mut all = Vec::new();
    for set in book.limit_sets().filter(|set| set.is_stated()) {
        if set.scope.account.is_empty() || set.scope.account == account {
            all.extend(Sums::of(book, row, set, &prices, (mark.event_ns, day_ns)).usages(set, mark.equity));
        }
    }
    all
}

/// What stands in a scope.
#[derive(Default)]
struct Sums {
    gross: Option<Amount>,
    net: Option<Amount>,
    /// The largest position in shares and in value, and whose it is.
    shares: (Quantity, String),
    value: (Amount, String),
    open_orders: u32,
    rate: crate::book::Rate,
}

impl Sums {
    /// As of `now_ns` on the day that began at `day_ns`.
    fn of(
        book: &Book,
        row: &AccountState,
        set: &LimitSet,
        prices: &Prices,
        (now_ns, day_ns): (i64, i64),
    ) -> Self {
        let (account, scope) = (row.account.as_str(), &set.scope);
        let held = held(book, account, scope);
        let open = || {
            let of_account = book.open_orders().filter(|order| order.spec.account == account);
            of_account.filter(|order| scope.holds(&order.spec.strategy, &order.spec.symbol))
        };
        let reserved =
            open().fold(Amount::ZERO, |sum, order| Amount(sum.0.saturating_add(order.reserved_value().0)));
        let exposed = exposure(&held, prices, Some(row));
        let mut sums = Self {
            gross: exposed.and_then(|(gross, _)| gross.checked_add(reserved)),
            net: exposed.map(|(_, net)| worst_net(net, open())),
            open_orders: u32::try_from(open().count()).unwrap_or(u32::MAX),
            rate: book.rate(account, scope, now_ns, day_ns),
            ..Self::default()
        };
        for (symbol, (price, worst)) in worst(&held, open(), prices) {
            let value = Amount::notional(price, worst).abs();
            if worst.abs() > sums.shares.0 {
                sums.shares = (worst.abs(), symbol.to_owned());
            }
            if value > sums.value.0 {
                sums.value = (value, symbol.to_owned());
            }
        }
        sums
    }

    fn usages(&self, set: &LimitSet, equity: Amount) -> Vec<ScopeUsage> {
        let limits = &set.limits;
        let money = |most: &Option<Money>| most.as_ref().map(|most| Amount::from_wire(Some(most)));
        let decimal = |most: Option<i64>| most.map(|most| Amount(most.into()));
        let count = |count: u32| Amount(i128::from(count) * i128::from(E9));
        let of_equity = |value: Amount| {
            let share = value.0.saturating_mul(i128::from(E9)).checked_div(equity.0.max(1));
            Amount(share.unwrap_or_default())
        };
        let shares = Amount(self.shares.0.0.into());
        let (gross, net) = (self.gross, self.net);
        let (of_shares, of_value) = (self.shares.1.as_str(), self.value.1.as_str());
        let rows = [
            ("max_position_quantity", Some(shares), decimal(limits.max_position_quantity_e9), of_shares),
            ("max_position_value", Some(self.value.0), money(&limits.max_position_value), of_value),
            (
                "max_concentration",
                Some(of_equity(self.value.0)),
                decimal(limits.max_concentration_e9),
                of_value,
            ),
            ("max_gross_exposure", gross, money(&limits.max_gross_exposure), ""),
            ("max_net_exposure", net, money(&limits.max_net_exposure), ""),
            ("max_leverage", gross.map(of_equity), decimal(limits.max_leverage_e9), ""),
            ("max_open_orders", Some(count(self.open_orders)), limits.max_open_orders.map(count), ""),
            (
                "max_orders_per_minute",
                Some(count(self.rate.minute)),
                limits.max_orders_per_minute.map(count),
                "",
            ),
            ("max_orders_per_hour", Some(count(self.rate.hour)), limits.max_orders_per_hour.map(count), ""),
            ("max_orders_per_day", Some(count(self.rate.day)), limits.max_orders_per_day.map(count), ""),
        ];
        let usage = |(limit, used, most, of): (&'static str, Option<Amount>, Option<Amount>, &str)| {
            let (scope, version) = (set.scope.clone(), set.version);
            Some(ScopeUsage { scope, version, limit, used: used?, most: most?, of: of.to_owned() })
        };
        rows.into_iter().filter_map(usage).collect()
    }
}

/// The net exposure, without its sign, with the open orders of the side that makes it larger.
fn worst_net<'book>(net: Amount, open: impl Iterator<Item = &'book OrderState>) -> Amount {
    let (mut buys, mut sells) = (net, net);
    for order in open {
        let value = order.reserved_net();
        let sum = if value > Amount::ZERO { &mut buys } else { &mut sells };
        sum.0 = sum.0.saturating_add(value.0);
    }
    net.abs().max(buys.abs()).max(sells.abs())
}

/// By symbol the price and the position with the open orders of the side that makes it larger.
fn worst<'book>(
    held: &BTreeMap<&'book str, Quantity>,
    open: impl Iterator<Item = &'book OrderState>,
    prices: &Prices,
) -> BTreeMap<&'book str, (Price, Quantity)> {
    let mut sides: BTreeMap<&str, (Price, Quantity, Quantity)> = BTreeMap::new();
    for symbol in held.keys() {
        let price = prices.get(symbol).map_or(Price::ZERO, |known| known.price);
        sides.insert(symbol, (price, Quantity::ZERO, Quantity::ZERO));
    }
    for order in open.filter(|order| !order.is_protective()) {
        let symbol = order.spec.symbol.as_str();
        let price = prices.get(symbol).map_or(order.reference_price, |known| known.price);
        let side = sides.entry(symbol).or_insert((price, Quantity::ZERO, Quantity::ZERO));
        let shares = order.reserved_signed();
        let sum = if shares.0 > 0 { &mut side.1 } else { &mut side.2 };
        sum.0 = sum.0.saturating_add(shares.0);
    }
    let worst = |(symbol, (price, buys, sells)): (&'book str, (Price, Quantity, Quantity))| {
        let now = held.get(symbol).copied().unwrap_or_default();
        let coming = [Quantity::ZERO, buys, sells].map(|change| Quantity(now.0.saturating_add(change.0)));
        let worst = coming.into_iter().max_by_key(|quantity| quantity.abs()).unwrap_or_default();
        (symbol, (price, worst))
    };
    sides.into_iter().map(worst).collect()
}
