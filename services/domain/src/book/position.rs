//! Positions: quantity and total cost per account, strategy and symbol. The average is derived.

use serde::{Deserialize, Serialize};

use super::FoldError;
use crate::money::{Amount, E9, Price, Quantity, div_half_even};

/// Whose position in what.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PositionKey {
    /// Account.
    pub account: String,
    /// Strategy; `manual` for an operator.
    pub strategy: String,
    /// Symbol.
    pub symbol: String,
}

impl PositionKey {
    /// Joins the three names.
    #[must_use]
    pub fn new(account: &str, strategy: &str, symbol: &str) -> Self {
        Self { account: account.to_owned(), strategy: strategy.to_owned(), symbol: symbol.to_owned() }
    }
}

impl PositionKey {
    /// Whether these three names are its.
    #[must_use]
    pub fn is_of(&self, account: &str, strategy: &str, symbol: &str) -> bool {
        self.account == account && self.strategy == strategy && self.symbol == symbol
    }
}

impl std::fmt::Display for PositionKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}/{}", self.account, self.strategy, self.symbol)
    }
}

/// A position as the fold of its fills and entries. Plain data, so that it can be stored as a row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PositionState {
    /// Whose position in what.
    pub key: PositionKey,
    /// Shares held, negative when short, without the pending fraction.
    pub quantity: Quantity,
    /// Total cost of these shares, of the quantity's sign. Commissions are not in it.
    pub cost: Amount,
    /// Fraction of a share that a split left, to be paid as cash in lieu; of the position's sign.
    pub fraction: Quantity,
    /// Total cost of that fraction.
    pub fraction_cost: Amount,
    /// Gross realised profit and loss.
    pub realized_pnl: Amount,
    /// Commissions and fees paid.
    pub fees: Amount,
    /// Dividends received less dividends paid.
    pub dividends: Amount,
    /// Event time of the last change, UTC nanoseconds.
    pub updated_ns: i64,
}

/// What a fill did to cash and profit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traded {
    /// Change of cash before commission.
    pub cash: Amount,
    /// Gross profit realised.
    pub realized: Amount,
    /// Value of the part of the fill that opened exposure.
    pub opened: Amount,
}

impl PositionState {
    /// Nothing held.
    #[must_use]
    pub fn new(key: PositionKey) -> Self {
        Self { key, ..Self::default() }
    }

    /// Average cost per share; `None` when flat.
    #[must_use]
    pub fn average_cost(&self) -> Option<Price> {
        if self.quantity == Quantity::ZERO {
            return None;
        }
        let scaled = self.cost.abs().0.checked_mul(i128::from(E9))?;
        let average = div_half_even(scaled, i128::from(self.quantity.0).abs());
        i64::try_from(average).ok().map(Price)
    }

    /// Cost of everything held, the pending fraction included.
    #[must_use]
    pub fn cost_basis(&self) -> Option<Amount> {
        self.cost.checked_add(self.fraction_cost)
    }

    /// Shares held, the pending fraction included.
    #[must_use]
    pub fn total_quantity(&self) -> Option<Quantity> {
        self.quantity.checked_add(self.fraction)
    }

    /// What it has brought so far: what it realised, less fees, with dividends.
    #[must_use]
    pub fn net_result(&self) -> Amount {
        let sum = self.realized_pnl.0.saturating_sub(self.fees.0);
        Amount(sum.saturating_add(self.dividends.0))
    }

    fn overflow(&self, field: &'static str) -> FoldError {
        FoldError::overflow(field, format!("position {}", self.key))
    }

    /// Trades `change` shares (signed) at `price`.
    ///
    /// Shares that close the position give back their average cost, rounded half to even at 1e-9; the
    /// last share gives back all that is left, so that a flat position has no cost. What goes beyond zero
    /// opens the other side.
    pub fn trade(&mut self, change: Quantity, price: Price) -> Result<Traded, FoldError> {
        let held = self.quantity;
        let closes = held.0.signum() * change.0.signum() < 0;
        let closing = match closes {
            false => Quantity::ZERO,
            true if change.abs() <= held.abs() => change,
            true => Quantity(held.0.checked_neg().ok_or_else(|| self.overflow("quantity"))?),
        };

        let value = Amount::notional(price, change);
        let closing_value = Amount::notional(price, closing);
        // By difference, so that rounding the two parts cannot lose a billionth.
        let opening_value = value.checked_sub(closing_value).ok_or_else(|| self.overflow("cost"))?;
        let returned = self.cost_of(closing.abs())?;
        let realized = (-closing_value).checked_sub(returned).ok_or_else(|| self.overflow("realized_pnl"))?;
        let cost = self.cost.checked_sub(returned).and_then(|cost| cost.checked_add(opening_value));
        let quantity = held.checked_add(change).ok_or_else(|| self.overflow("quantity"))?;
        let sum = self.realized_pnl.checked_add(realized).ok_or_else(|| self.overflow("realized_pnl"))?;
        self.cost = cost.ok_or_else(|| self.overflow("cost"))?;
        self.quantity = quantity;
        self.realized_pnl = sum;
        Ok(Traded { cash: -value, realized, opened: opening_value.abs() })
    }

    /// The part of the cost that belongs to `shares` (positive) of those held.
    fn cost_of(&self, shares: Quantity) -> Result<Amount, FoldError> {
        if shares == Quantity::ZERO {
            return Ok(Amount::ZERO);
        }
        if shares == self.quantity.abs() {
            return Ok(self.cost);
        }
        let product = self.cost.0.checked_mul(i128::from(shares.0));
        let product = product.ok_or_else(|| self.overflow("cost"))?;
        Ok(Amount(div_half_even(product, i128::from(self.quantity.0).abs())))
    }

    /// Restates the position after a split: `quantity` whole shares and `fraction` of a share to be paid.
    /// The cost stays; each part takes its share of it.
    pub fn split(&mut self, quantity: Quantity, fraction: Quantity) -> Result<(), FoldError> {
        let cost = self.cost_basis().ok_or_else(|| self.overflow("cost"))?;
        let total = quantity.checked_add(fraction).ok_or_else(|| self.overflow("quantity"))?;
        let fraction_cost = if fraction == Quantity::ZERO {
            Amount::ZERO
        } else if quantity == Quantity::ZERO {
            cost
        } else if total == Quantity::ZERO {
            return Err(FoldError::field("fraction_e9", "cancels the quantity; expected the same sign"));
        } else {
            let product = cost.0.checked_mul(i128::from(fraction.abs().0));
            let product = product.ok_or_else(|| self.overflow("fraction_cost"))?;
            Amount(div_half_even(product, i128::from(total.0).abs()))
        };
        if total == Quantity::ZERO && cost != Amount::ZERO {
            return Err(FoldError::field("quantity_after_e9", "0 without a fraction, expected some shares"));
        }
        self.cost = cost.checked_sub(fraction_cost).ok_or_else(|| self.overflow("cost"))?;
        self.fraction_cost = fraction_cost;
        self.quantity = quantity;
        self.fraction = fraction;
        Ok(())
    }

    /// Takes `amount` for the pending fraction and returns the gross profit realised.
    pub(super) fn cash_in_lieu(&mut self, amount: Amount) -> Result<Amount, FoldError> {
        let realized = amount.checked_sub(self.fraction_cost).ok_or_else(|| self.overflow("realized_pnl"))?;
        let sum = self.realized_pnl.checked_add(realized).ok_or_else(|| self.overflow("realized_pnl"))?;
        self.realized_pnl = sum;
        self.fraction = Quantity::ZERO;
        self.fraction_cost = Amount::ZERO;
        Ok(realized)
    }

    /// Adds commissions and fees.
    pub fn add_fees(&mut self, fees: Amount) -> Result<(), FoldError> {
        self.fees = self.fees.checked_add(fees).ok_or_else(|| self.overflow("fees"))?;
        Ok(())
    }

    /// Takes a dividend, paid where it is negative.
    pub fn add_dividend(&mut self, amount: Amount) -> Result<(), FoldError> {
        self.dividends = self.dividends.checked_add(amount).ok_or_else(|| self.overflow("dividends"))?;
        Ok(())
    }
}

/// The part of `whole` that `shares` (positive) of `of` have, rounded half to even at 1e-9; all of it where they are
/// all of them. `None` on overflow.
pub(super) fn share_of(whole: Amount, shares: Quantity, of: Quantity) -> Option<Amount> {
    if shares == Quantity::ZERO {
        return Some(Amount::ZERO);
    }
    if shares >= of.abs() {
        return Some(whole);
    }
    let product = whole.0.checked_mul(i128::from(shares.0))?;
    Some(Amount(div_half_even(product, i128::from(of.0).abs())))
}
