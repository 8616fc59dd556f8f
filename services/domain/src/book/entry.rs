//! Entries: changes of cash or positions that are not fills, how they are made and how they are folded.

use contracts::v1::{AccountEntry, EntryKind};

use super::{Book, Changes, FoldError, PositionKey, PositionState};
use crate::corporate_action::{SplitRatio, dividend_cash};
use crate::money::{Amount, Price, Quantity};

/// The entries of a split, one per position in `symbol`.
///
/// A fraction still pending from an earlier split takes part; the entry states all that is pending after
/// it. Positions come by account and strategy, so the index of an entry names it.
pub fn split_entries(
    book: &Book,
    symbol: &str,
    ratio: SplitRatio,
    action_id: &str,
) -> Result<Vec<AccountEntry>, FoldError> {
    let mut entries = Vec::new();
    for position in book.positions().filter(|position| position.key.symbol == symbol) {
        let overflow = || FoldError::overflow("quantity", format!("position {}", position.key));
        if position.quantity == Quantity::ZERO && position.fraction == Quantity::ZERO {
            continue;
        }
        let after = ratio.split_quantity(position.quantity).map_err(|_| overflow())?;
        // What is owed in cash is no share any more, so that it stays a fraction whatever it comes to.
        let owed = ratio.split_quantity(position.fraction).map_err(|_| overflow())?;
        let pending = owed.held.checked_add(owed.fraction);
        let fraction =
            pending.and_then(|pending| pending.checked_add(after.fraction)).ok_or_else(overflow)?;
        entries.push(AccountEntry {
            amount: Amount::ZERO.to_wire(),
            quantity_after_e9: after.held.0,
            fraction_e9: fraction.0,
            ..entry_of(position, EntryKind::Split, action_id)
        });
    }
    Ok(entries)
}

/// The entries of a cash dividend of `per_share`, one per position in `symbol` that holds shares. A short
/// position pays.
pub fn dividend_entries(
    book: &Book,
    symbol: &str,
    per_share: Price,
    action_id: &str,
) -> Result<Vec<AccountEntry>, FoldError> {
    cash_entries(book, symbol, EntryKind::Dividend, per_share, action_id, |position| position.quantity)
}

/// The entries that pay the pending fractions of `symbol` at `price`, the first raw price after the split;
/// none when nothing is pending. `cause_id` names the bar that brought the price.
pub fn cash_in_lieu_entries(
    book: &Book,
    symbol: &str,
    price: Price,
    cause_id: &str,
) -> Result<Vec<AccountEntry>, FoldError> {
    cash_entries(book, symbol, EntryKind::CashInLieu, price, cause_id, |position| position.fraction)
}

impl Book {
    pub(super) fn entry(&mut self, entry: &AccountEntry, event_ns: i64) -> Result<Changes, FoldError> {
        let kind = entry.kind();
        let amount = Amount::from_wire(entry.amount.as_ref());
        let mut account = self.account_row(&entry.account);
        if kind == EntryKind::Deposit {
            account.deposit(amount)?;
            return Ok(self.store_account(account));
        }
        if matches!(kind, EntryKind::Fee | EntryKind::Interest) {
            account.charge(amount)?;
            return Ok(self.store_account(account));
        }
        if kind == EntryKind::External {
            return self.found(entry, event_ns);
        }
        let key = PositionKey::new(&entry.account, &entry.strategy, &entry.symbol);
        let mut position = self.position_row(key);
        position.updated_ns = event_ns;
        match kind {
            EntryKind::Dividend => {
                account.receive_dividend(amount)?;
                position.add_dividend(amount)?;
            }
            EntryKind::Split => {
                let (whole, fraction) = (Quantity(entry.quantity_after_e9), Quantity(entry.fraction_e9));
                position.split(whole, fraction)?;
                if let (Some(lots), Some(total)) =
                    (self.lots.get_mut(&position.key), whole.checked_add(fraction))
                {
                    lots.split(total);
                }
            }
            EntryKind::CashInLieu => {
                account.add_cash(amount)?;
                let fraction = position.fraction;
                let realized = position.cash_in_lieu(amount)?;
                let sum = account.realized_pnl.checked_add(realized);
                account.realized_pnl = sum.ok_or_else(|| account.overflow("realized_pnl"))?;
                if let Some(lots) = self.lots.get_mut(&position.key) {
                    lots.cash_in_lieu(fraction, amount);
                }
            }
            EntryKind::Deposit
            | EntryKind::Fee
            | EntryKind::Interest
            | EntryKind::External
            | EntryKind::Unspecified => {
                return Err(FoldError::field(
                    "account_entry.kind",
                    "unspecified, expected deposit, dividend, split, cash in lieu, external, fee or interest",
                ));
            }
        }
        let mut changes = self.store_account(account);
        self.store_position(position, &mut changes);
        Ok(changes)
    }
}

fn entry_of(position: &PositionState, kind: EntryKind, action_id: &str) -> AccountEntry {
    AccountEntry {
        account: position.key.account.clone(),
        kind: kind.into(),
        strategy: position.key.strategy.clone(),
        symbol: position.key.symbol.clone(),
        action_id: action_id.to_owned(),
        ..AccountEntry::default()
    }
}

fn cash_entries(
    book: &Book,
    symbol: &str,
    kind: EntryKind,
    per_share: Price,
    action_id: &str,
    shares: impl Fn(&PositionState) -> Quantity,
) -> Result<Vec<AccountEntry>, FoldError> {
    let mut entries = Vec::new();
    for position in book.positions().filter(|position| position.key.symbol == symbol) {
        let shares = shares(position);
        if shares == Quantity::ZERO {
            continue;
        }
        let amount = dividend_cash(per_share, shares).to_wire();
        let amount =
            amount.ok_or_else(|| FoldError::overflow("amount", format!("position {}", position.key)))?;
        entries.push(AccountEntry { amount: Some(amount), ..entry_of(position, kind, action_id) });
    }
    Ok(entries)
}
