//! Limits by scope after an approval: sizes, positions, exposure, open orders and rates.
//!
//! Held shares are summed here; what they are worth is the account's mark's to say where the decision has its prices, as
//! on a tape clock, and the decision's own record where prices went on since. A net exposure is held where the decision
//! approves one order: of several legs the policy lets each pass by itself.
//!
//! Deliberately absent: what a single order states (prices, sessions, restricted symbols), and what no fold of TRADING
//! knows: buying power as of the policy's reservations, correlation, value at risk. A replay holds those.

use std::collections::BTreeMap;

use contracts::v1::{LimitInput, Money, OrderSpec, RiskDecision};

use super::limits::{Opening, freed};
use crate::book::{AccountState, Book, LimitSet, PositionState, Prices, Scope};
use crate::money::{Amount, Quantity};
use crate::order::{OrderState, signed};

/// When a decision was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Whether it has the prices of its account's last mark.
    pub at_mark: bool,
    /// When it was made, in market time, UTC nanoseconds.
    pub decided_ns: i64,
    /// When its day began, where the tape's calendar is known.
    pub day_ns: Option<i64>,
}

/// The limit of a scope that one of `opens` exceeds, all of which `decision` approves on `account`.
pub(super) fn exceeded(
    book: &Book,
    decision: &RiskDecision,
    account: &AccountState,
    opens: &[Opening<'_>],
    moment: Moment,
) -> Option<String> {
    opens.iter().find_map(|opening| {
        let spec = &opening.order.spec;
        let mut sets = book.limits_of(&account.account, &spec.strategy, &spec.symbol);
        sets.find_map(|set| Check { book, decision, account, opens, opening, set, moment }.exceeded())
    })
}

/// One opening order against the limits of one scope.
struct Check<'of> {
    book: &'of Book,
    decision: &'of RiskDecision,
    account: &'of AccountState,
    opens: &'of [Opening<'of>],
    opening: &'of Opening<'of>,
    set: &'of LimitSet,
    moment: Moment,
}

/// The limit, where `value` is above it.
fn above(value: Amount, most: Option<&Money>) -> Option<Amount> {
    let most = Amount::from_wire(Some(most?));
    (value > most).then_some(most)
}

fn sum(parts: impl IntoIterator<Item = Amount>) -> Amount {
    parts.into_iter().fold(Amount::ZERO, |sum, part| Amount(sum.0.saturating_add(part.0)))
}

impl Check<'_> {
    fn exceeded(&self) -> Option<String> {
        let found = self
            .order()
            .or_else(|| self.position())
            .or_else(|| self.exposure())
            .or_else(|| self.net())
            .or_else(|| self.counts())?;
        Some(format!("{found} (limits of {})", self.set.scope))
    }

    fn order(&self) -> Option<String> {
        let (id, shares, value) = (self.opening.order.id(), self.opening.shares, self.opening.value());
        if let Some(most) = self.set.limits.max_order_quantity_e9.map(Quantity)
            && shares > most
        {
            return Some(format!("order {id} is {shares} shares, expected at most {most}"));
        }
        let most = above(value, self.set.limits.max_order_value.as_ref())?;
        Some(format!("order {id} is worth {value}, expected at most {most}"))
    }

    fn position(&self) -> Option<String> {
        let (coming, limits) = (self.coming(self.opening), &self.set.limits);
        let (symbol, account) = (&self.opening.order.spec.symbol, &self.account.account);
        let what = || format!("{symbol} of {account}: {coming} held and ordered");
        if let Some(most) = limits.max_position_quantity_e9.map(Quantity)
            && coming.abs() > most
        {
            return Some(format!("{}, expected at most {most}", what()));
        }
        let value = Amount::notional(self.opening.price, coming).abs();
        let concentrated = || {
            let most = self.of_equity(limits.max_concentration_e9?)?;
            (value > most).then_some(most)
        };
        let most = above(value, limits.max_position_value.as_ref()).or_else(concentrated)?;
        Some(format!("{} are worth {value}, expected at most {most}", what()))
    }

    /// Gross exposure once everything under way has filled. What covers a position opens nothing.
    fn exposure(&self) -> Option<String> {
        let limits = &self.set.limits;
        if limits.max_gross_exposure.is_none() && limits.max_leverage_e9.is_none() {
            return None;
        }
        let others = self.open_orders().filter(|order| !self.is_approved(order.id()));
        let own = self.opens.iter().filter(|opening| {
            let spec = &opening.order.spec;
            self.set.scope.holds(&spec.strategy, &spec.symbol)
        });
        let opened = own.map(|opening| {
            let after = self.coming(opening);
            let own = signed(opening.order.spec.side(), opening.shares);
            let before = Quantity(after.0.saturating_sub(own.0));
            let value = |shares: Quantity| Amount::notional(opening.price, shares).abs();
            Amount(value(after).0.saturating_sub(value(before).0)).max(Amount::ZERO)
        });
        let under_way = sum(others.map(OrderState::reserved_value).chain(opened));
        let freed = freed(self.decision);
        let gross = sum([self.held()?.0, under_way, Amount(freed.0.saturating_neg())]);
        let leveraged = || {
            let most = self.of_equity(limits.max_leverage_e9?)?;
            (gross > most).then_some(most)
        };
        let most = above(gross, limits.max_gross_exposure.as_ref()).or_else(leveraged)?;
        Some(format!("gross exposure, held and ordered, is {gross}, expected at most {most}"))
    }

    fn net(&self) -> Option<String> {
        let most = self.set.limits.max_net_exposure.as_ref()?;
        let legs = self.decision.orders.iter().filter(|spec| spec.parent_id.is_empty());
        if legs.count() != 1 {
            return None;
        }
        let side = self.opening.order.spec.side;
        let others = self.open_orders().filter(|order| {
            order.spec.side == side && !order.is_protective() && !self.is_approved(order.id())
        });
        let before = sum([self.held()?.1, sum(others.map(OrderState::reserved_net))]);
        let shares = signed(self.opening.order.spec.side(), self.opening.shares);
        let after = sum([before, Amount::notional(self.opening.price, shares)]);
        // What brings it down may pass even where it stays too high.
        if after.abs() <= before.abs() {
            return None;
        }
        let most = above(after.abs(), Some(most))?;
        Some(format!("net exposure, held and ordered, is {after}, expected at most {most}"))
    }

    /// Numbers of orders. What only reduces is never refused for them, so that it counts for nothing here.
    fn counts(&self) -> Option<String> {
        let (limits, scope) = (&self.set.limits, &self.set.scope);
        let reduces = |spec: &&OrderSpec| {
            spec.reducing && spec.parent_id.is_empty() && scope.holds(&spec.strategy, &spec.symbol)
        };
        let reducing = u32::try_from(self.decision.orders.iter().filter(reduces).count()).unwrap_or(u32::MAX);
        let open = u32::try_from(self.open_orders().count()).unwrap_or(u32::MAX).saturating_sub(reducing);
        if let Some(most) = limits.max_open_orders.filter(|most| open > *most) {
            return Some(format!("{open} orders are open, expected at most {most}"));
        }
        let Moment { decided_ns, day_ns, .. } = self.moment;
        let rate = self.book.rate(&self.decision.account, scope, decided_ns, day_ns.unwrap_or(i64::MAX));
        let spans = [
            ("minute", rate.minute, limits.max_orders_per_minute),
            ("hour", rate.hour, limits.max_orders_per_hour),
            // Without a calendar nobody knows when the day began.
            ("day", rate.day, limits.max_orders_per_day.filter(|_| day_ns.is_some())),
        ];
        spans.into_iter().find_map(|(span, orders, most)| {
            let orders = orders.saturating_sub(reducing);
            let most = most.filter(|most| orders > *most)?;
            Some(format!("{orders} orders are approved within a {span}, expected at most {most}"))
        })
    }

    /// Open orders of the account in the scope.
    fn open_orders(&self) -> impl Iterator<Item = &OrderState> {
        self.book.open_orders().filter(move |order| {
            let spec = &order.spec;
            spec.account == self.account.account && self.set.scope.holds(&spec.strategy, &spec.symbol)
        })
    }

    /// Whether the decision approves this order, or its new terms.
    fn is_approved(&self, order_id: &str) -> bool {
        self.decision.orders.iter().any(|spec| spec.order_id == order_id)
    }

    /// Shares of an opening's symbol, held and ordered on its side, with its own.
    fn coming(&self, opening: &Opening<'_>) -> Quantity {
        let spec = &opening.order.spec;
        let held = self.positions().filter(|row| row.key.symbol == spec.symbol);
        let held = held.fold(0_i64, |sum, row| sum.saturating_add(row.quantity.0));
        let ordered = self.open_orders().filter(|order| {
            order.spec.symbol == spec.symbol && order.spec.side == spec.side && !order.is_protective()
        });
        let ordered = ordered.fold(0_i64, |sum, order| sum.saturating_add(order.reserved_signed().0));
        Quantity(held.saturating_add(opening.coming(Quantity(ordered)).0))
    }

    /// Positions of the account in the scope.
    fn positions(&self) -> impl Iterator<Item = &PositionState> {
        let of_account = self.book.positions_of(&self.account.account);
        of_account.filter(move |row| self.set.scope.holds(&row.key.strategy, &row.key.symbol))
    }

    fn held_shares(&self) -> BTreeMap<&str, Quantity> {
        let mut held: BTreeMap<&str, Quantity> = BTreeMap::new();
        for row in self.positions() {
            let sum = held.entry(row.key.symbol.as_str()).or_default();
            sum.0 = sum.0.saturating_add(row.quantity.0);
        }
        held.retain(|_, shares| *shares != Quantity::ZERO);
        held
    }

    /// What is held in the scope, gross and net; `None` where nobody can say what it is worth.
    fn held(&self) -> Option<(Amount, Amount)> {
        if !self.moment.at_mark {
            let recorded = self.recorded()?;
            let amount = |money: &Option<Money>| Some(Amount::from_wire(Some(money.as_ref()?)));
            return Some((amount(&recorded.gross_exposure)?, amount(&recorded.net_exposure)?));
        }
        let mut prices = Prices::default();
        prices.tell(self.account, |_| true);
        prices.seed(self.account);
        let (mut gross, mut net) = (Amount::ZERO, Amount::ZERO);
        for (symbol, shares) in self.held_shares() {
            let value = Amount::notional(prices.of_holding(Some(self.account), symbol)?, shares);
            (gross, net) = (gross.checked_add(value.abs())?, net.checked_add(value)?);
        }
        Some((gross, net))
    }

    /// What the decision recorded of the scope.
    fn recorded(&self) -> Option<&LimitInput> {
        let order = self.opening.order;
        let input = self.decision.inputs.iter().find(|input| match &input.replaced {
            Some(replaced) => replaced.order_id == order.id(),
            None => input.leg == order.spec.leg,
        })?;
        input.limits.iter().find(|limit| Scope::of(limit.scope.as_ref()) == self.set.scope)
    }

    fn of_equity(&self, share_e9: i64) -> Option<Amount> {
        self.account.mark.as_ref()?.equity.times_e9(share_e9)
    }
}
