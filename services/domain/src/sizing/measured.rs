//! Sizes that follow from what was measured.

use contracts::v1::{Sizing, SizingInput};

use super::SizingError;
use crate::money::{Amount, E9};

/// Closed trades from which on Kelly's formula is asked.
pub const KELLY_TRADES: u64 = 20;
/// Share of equity before that, in 1e-9.
pub const KELLY_BEFORE_E9: i64 = E9 / 50;

/// What a sizing measured, as plain numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// Average true range, in 1e-9; 0 when it is not known.
    pub atr_e9: i64,
    /// Yearly volatility in 1e-9, rounded up so that a size is never too large; 0 when it is not known.
    pub volatility_e9: i64,
    /// Closed trades of the strategy.
    pub trades: u64,
    /// Those with a profit.
    pub winners: u64,
    /// Sum of profits, and of losses without their sign.
    pub won: Amount,
    /// Sum of losses without their sign.
    pub lost: Amount,
}

impl Measured {
    /// As a decision records it.
    #[must_use]
    pub fn of(input: &SizingInput) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "a volatility beyond the range saturates, which makes the size zero"
        )]
        let volatility_e9 = (input.yearly_volatility.max(0.0) * E9 as f64).ceil() as i64;
        Self {
            atr_e9: input.atr_e9,
            volatility_e9,
            trades: input.closed_trades,
            winners: input.winners,
            won: Amount::from_wire(input.won.as_ref()),
            lost: Amount::from_wire(input.lost.as_ref()),
        }
    }

    /// How far the price may go against the position for the sizing's share of equity to be lost.
    pub(super) fn adverse_move(&self, sizing: &Sizing) -> Result<i64, SizingError> {
        if self.atr_e9 <= 0 {
            return Err(SizingError::NotMeasured("average true range"));
        }
        let multiple = if sizing.multiple_e9 > 0 { sizing.multiple_e9 } else { 2 * E9 };
        let distance = i128::from(self.atr_e9) * i128::from(multiple);
        // Rounded up: the size is what it divides.
        let distance = (distance + i128::from(E9) - 1) / i128::from(E9);
        i64::try_from(distance).map_err(|_| SizingError::Overflow)
    }

    /// Share of equity whose yearly volatility is `target_e9` of equity.
    pub(super) fn volatility_share(&self, target_e9: i64) -> Result<i64, SizingError> {
        if self.volatility_e9 <= 0 {
            return Err(SizingError::NotMeasured("volatility"));
        }
        let share = i128::from(target_e9) * i128::from(E9) / i128::from(self.volatility_e9);
        i64::try_from(share).map_err(|_| SizingError::Overflow)
    }

    /// Half of Kelly's share of equity, at most `most_e9`: p − (1 − p) / b with the share of winners p and the
    /// mean profit as a multiple b of the mean loss of all others. What broke even did not win and is a loss of 0: so the
    /// share has the sign of what the trades brought. Without a loss there is no b: then it is p.
    pub(super) fn half_kelly(&self, most_e9: i64) -> Result<i64, SizingError> {
        if self.trades < KELLY_TRADES {
            return Ok(KELLY_BEFORE_E9.min(most_e9));
        }
        let (trades, winners) = (i128::from(self.trades), i128::from(self.winners.min(self.trades)));
        // Those that broke even among them, as in 1 − p.
        let losers = trades - winners;
        if winners == 0 || self.won.0 <= 0 {
            return Err(SizingError::NoEdge);
        }
        // (1 − p) / b = (losers / trades) · (lost / losers) / (won / winners) = lost · winners / (won · trades).
        let against = if losers == 0 {
            0
        } else {
            let product = self.lost.0.checked_mul(winners).and_then(|product| product.checked_mul(E9.into()));
            let whole = self.won.0.checked_mul(trades).ok_or(SizingError::Overflow)?;
            let product = product.ok_or(SizingError::Overflow)?;
            // Rounded up: it is what the share is less by.
            (product + whole - 1) / whole
        };
        let kelly = winners * i128::from(E9) / trades - against;
        let half = i64::try_from(kelly / 2).map_err(|_| SizingError::Overflow)?;
        if half <= 0 { Err(SizingError::NoEdge) } else { Ok(half.min(most_e9)) }
    }
}
