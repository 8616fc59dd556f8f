//! Rows of the past: what [`super::positions`] and [`super::accounts`] read from the read model, from a book.

use domain::book::{AccountState, Book, PositionState};

use super::accounts::{AccountRow, PositionRow, by_symbol, value_position};

/// One position, valued at the last mark that the book holds.
pub(crate) fn position(book: &Book, row: &PositionState, sequence: u64) -> PositionRow {
    let mark = book.account(&row.key.account).and_then(|account| account.mark.as_ref());
    let marked = mark.and_then(|mark| by_symbol(&mark.prices).get(&row.key.symbol).copied());
    value_position(row.clone(), marked, sequence)
}

/// One account.
pub(crate) fn account(book: &Book, row: &AccountState, sequence: u64) -> AccountRow {
    let config = row.config.as_ref();
    let mark = row.mark.as_ref();
    // Its own halt tells more than that of all.
    let halt = row.halt.as_ref().or(book.halt());
    AccountRow {
        account: row.account.clone(),
        limits_version: config.map(|config| config.version),
        broker: config.map(|config| config.broker.clone()).unwrap_or_default(),
        limits: config.and_then(|config| config.limits),
        costs: config.map(|config| config.costs),
        cash: row.cash,
        realized_pnl: row.realized_pnl,
        fees: row.fees,
        deposits: row.deposits,
        dividends: row.dividends,
        marked_ns: mark.map(|mark| mark.event_ns),
        equity: mark.map(|mark| mark.equity),
        gross_exposure: mark.map(|mark| mark.gross_exposure),
        net_exposure: mark.map(|mark| mark.net_exposure),
        unrealized_pnl: mark.map(|mark| mark.unrealized_pnl),
        day_pnl: row.day_pnl(),
        day_start_equity: row.day_start_equity,
        halted: halt.is_some(),
        halt_reason: halt.map(|halt| halt.reason.clone()).unwrap_or_default(),
        sequence,
        prices: mark.map(|mark| mark.prices.clone()).unwrap_or_default(),
    }
}
