//! Sizing: how many shares an entry is.
//!
//! A fixed quantity, an amount of money, a share of equity, an equal part of one per symbol of the strategy; or
//! measured: what an adverse move by the average true range may cost, a volatility, half of Kelly's share, equal
//! risk of the legs of a group. At the reference price, all rounded down to lots, so that a size never exceeds
//! what was asked for. Deliberately absent: limits (that is [`crate::risk`]'s), measuring (`crate::book::history`).

mod measured;
mod text;

use contracts::v1::{Sizing, SizingKind};

pub use measured::{KELLY_BEFORE_E9, KELLY_TRADES, Measured};
pub use text::{EXPECTED, parse, text};

use crate::money::{Amount, E9, Price, Quantity};

/// A sizing that cannot be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SizingError {
    /// No policy is stated.
    #[error("sizing kind is unspecified, expected a known one")]
    Unspecified,
    /// A value that must be positive is not.
    #[error("`{field}` is {value}, expected a positive value")]
    NotPositive {
        /// Field.
        field: &'static str,
        /// Its value in decimal.
        value: Quantity,
    },
    /// There are too few bars to measure.
    #[error("`{0}` cannot be measured: there are too few live bars of the symbol, or it does not move")]
    NotMeasured(&'static str),
    /// Kelly's formula says not to bet.
    #[error("the closed trades have no edge: Kelly's share is not positive")]
    NoEdge,
    /// The size does not fit.
    #[error("the size overflows")]
    Overflow,
}

/// Whether a sizing looks at bars of late or at closed trades.
#[must_use]
pub fn is_measured(sizing: &Sizing) -> bool {
    matches!(
        sizing.kind(),
        SizingKind::Atr | SizingKind::Volatility | SizingKind::HalfKelly | SizingKind::RiskParity
    )
}

/// Whether it is one of the plain policies and nothing else is stated.
#[must_use]
pub fn is_plain(sizing: &Sizing) -> bool {
    let Sizing { kind, value_e9, .. } = *sizing;
    !is_measured(sizing) && *sizing == (Sizing { kind, value_e9, ..Sizing::default() })
}

/// Bars that it is measured on.
#[must_use]
pub fn bars(sizing: &Sizing) -> u32 {
    match (sizing.bars, sizing.kind()) {
        (0, SizingKind::Atr) => 14,
        (0, _) => 60,
        (bars, _) => bars,
    }
}

/// What an entry is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The leg's share of the signal in 1e-9, [`E9`] when it is the only leg.
    pub share_e9: i64,
    /// Largest position as a share of equity that the strategy's parameters allow.
    pub cap_e9: Option<i64>,
    /// Number of symbols that the strategy trades: those that it names, else all that have a price.
    pub symbols: u32,
    /// What was measured.
    pub measured: Measured,
}

/// Whole shares of an entry at `price` with `equity` in the account.
///
/// `share_e9` is the leg's share of the signal, [`E9`] when it is the only leg. `cap_e9` is the largest
/// position as a share of equity that the strategy's parameters allow.
pub fn shares(
    sizing: &Sizing,
    share_e9: i64,
    cap_e9: Option<i64>,
    equity: Amount,
    price: Price,
) -> Result<Quantity, SizingError> {
    let scope = Scope { share_e9, cap_e9, symbols: 1, measured: Measured::default() };
    shares_in(sizing, scope, equity, price)
}

/// As [`shares`], with everything that a policy may look at.
pub fn shares_in(
    sizing: &Sizing,
    scope: Scope,
    equity: Amount,
    price: Price,
) -> Result<Quantity, SizingError> {
    let Scope { share_e9, cap_e9, symbols, measured } = scope;
    let not_positive = |field, value| SizingError::NotPositive { field, value: Quantity(value) };
    if price.0 <= 0 {
        return Err(not_positive("price", price.0));
    }
    if sizing.value_e9 <= 0 {
        return Err(not_positive("value_e9", sizing.value_e9));
    }
    if sizing.lot_e9 < 0 {
        return Err(not_positive("lot_e9", sizing.lot_e9));
    }
    let lot = Lot::of(sizing);
    let share_of_value = share(sizing.value_e9, share_e9)?;
    let wanted = match sizing.kind() {
        SizingKind::Fixed => lot.down(Quantity(share_of_value)),
        SizingKind::Fraction => lot.affordable(equity, share_of_value, price)?,
        SizingKind::Notional => lot.affordable(Amount(share_of_value.into()), E9, price)?,
        SizingKind::EqualWeight if symbols == 0 => return Err(not_positive("strategy_symbols", 0)),
        SizingKind::EqualWeight => lot.affordable(equity, share_of_value / i64::from(symbols), price)?,
        SizingKind::Atr => {
            let move_e9 = measured.adverse_move(sizing)?;
            lot.affordable(equity, share_of_value, Price(move_e9))?
        }
        SizingKind::Volatility => {
            let of_equity = measured.volatility_share(sizing.value_e9)?;
            lot.affordable(equity, share(of_equity, share_e9)?, price)?
        }
        SizingKind::HalfKelly => {
            let of_equity = measured.half_kelly(sizing.value_e9)?;
            lot.affordable(equity, share(of_equity, share_e9)?, price)?
        }
        // The legs' shares are in inverse proportion to their volatilities already.
        SizingKind::RiskParity => lot.affordable(equity, share_of_value, price)?,
        SizingKind::Unspecified => return Err(SizingError::Unspecified),
    };
    let caps = [cap_e9, stated(sizing.position_cap_e9), stated(sizing.leg_cap_e9)];
    caps.into_iter().flatten().try_fold(wanted, |wanted, cap| match lot.affordable(equity, cap, price) {
        // More shares than any order has: it caps nothing.
        Err(SizingError::Overflow) => Ok(wanted),
        most => Ok(wanted.min(most?)),
    })
}

fn stated(cap_e9: i64) -> Option<i64> {
    (cap_e9 > 0).then_some(cap_e9)
}

/// `share_e9` billionths of `value_e9`, truncated.
fn share(value_e9: i64, share_e9: i64) -> Result<i64, SizingError> {
    let part = i128::from(value_e9) * i128::from(share_e9.max(0)) / i128::from(E9);
    i64::try_from(part).map_err(|_| SizingError::Overflow)
}

/// The multiple that sizes are rounded down to.
#[derive(Clone, Copy, Debug)]
struct Lot(i64);

impl Lot {
    fn of(sizing: &Sizing) -> Self {
        Self(if sizing.lot_e9 == 0 { E9 } else { sizing.lot_e9 })
    }

    fn down(self, quantity: Quantity) -> Quantity {
        Quantity(quantity.0 / self.0 * self.0)
    }

    /// Lots that `fraction_e9` billionths of `equity` buy at `price`; none without equity.
    fn affordable(self, equity: Amount, fraction_e9: i64, price: Price) -> Result<Quantity, SizingError> {
        if equity.0 <= 0 || fraction_e9 <= 0 {
            return Ok(Quantity::ZERO);
        }
        // Truncated, not rounded: amounts are positive here, and a size never exceeds its share.
        let budget =
            equity.0.checked_mul(i128::from(fraction_e9)).ok_or(SizingError::Overflow)? / i128::from(E9);
        let whole = if self.0 == E9 {
            budget / i128::from(price.0) * i128::from(E9)
        } else {
            let quantity = budget.checked_mul(i128::from(E9)).ok_or(SizingError::Overflow)?;
            quantity / i128::from(price.0) / i128::from(self.0) * i128::from(self.0)
        };
        i64::try_from(whole).map(Quantity).map_err(|_| SizingError::Overflow)
    }
}

/// A limit price on the tick of a sizing, never worse for whoever trades: down for a buyer, up for a seller.
#[must_use]
pub fn on_tick(sizing: &Sizing, price: Price, buys: bool) -> Price {
    let tick = sizing.tick_e9;
    if tick <= 0 || price.0 <= 0 || price.0 % tick == 0 {
        return price;
    }
    let below = price.0 / tick * tick;
    if buys { Price(below) } else { Price(below.saturating_add(tick)) }
}
