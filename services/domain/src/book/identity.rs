//! The identity that every account fulfils at every sequence, in tests and in production alike.

use super::Book;
use crate::money::Amount;

/// An account whose money does not add up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "account {account}: cash + cost basis - gross realised P&L + fees = {found}, expected deposits + \
     dividends = {expected}"
)]
pub struct IdentityBroken {
    /// Account.
    pub account: String,
    /// Left side.
    pub found: Amount,
    /// Right side.
    pub expected: Amount,
}

/// Checks cash + Σ cost basis − gross realised P&L + fees = deposits + dividends for every account.
///
/// Cash in lieu needs no term of its own: what it brings above the fraction's cost is realised P&L. Sums
/// that would overflow count as broken.
pub fn check_identity(book: &Book) -> Result<(), IdentityBroken> {
    for account in book.accounts() {
        let positions = book.positions_of(&account.account);
        let cost = positions
            .map(super::PositionState::cost_basis)
            .try_fold(Amount::ZERO, |sum, basis| basis.and_then(|basis| sum.checked_add(basis)));
        let found = cost
            .and_then(|cost| account.cash.checked_add(cost))
            .and_then(|sum| sum.checked_sub(account.realized_pnl))
            .and_then(|sum| sum.checked_add(account.fees));
        let expected = account.deposits.checked_add(account.dividends);
        if found.is_none() || found != expected {
            return Err(IdentityBroken {
                account: account.account.clone(),
                found: found.unwrap_or(Amount(i128::MAX)),
                expected: expected.unwrap_or(Amount(i128::MAX)),
            });
        }
    }
    Ok(())
}
