//! A read model's book, held against the fold of the tape at the same sequence.

use std::fmt::Debug;

use super::{Invariant, Violation};
use crate::book::Book;

/// The first row in which `read` differs from `fold`; both must stand at the same sequence. Orders that have
/// ended are not compared: a book forgets them.
#[must_use]
pub fn compare_book(read: &Book, fold: &Book) -> Option<Violation> {
    let sequence = fold.sequence();
    let differs = |detail: String| Some(Violation::new(Invariant::ReadModelIsFold, sequence, detail));
    if read.sequence() != sequence {
        return differs(format!("the read model stands at {}, expected {sequence}", read.sequence()));
    }
    let detail = rows("account", read.accounts(), fold.accounts())
        .or_else(|| rows("position", read.positions(), fold.positions()))
        .or_else(|| rows("order", read.open_orders(), fold.open_orders()))
        .or_else(|| rows("strategy", read.strategies(), fold.strategies()))
        .or_else(|| rows("signal", read.pending_signals(), fold.pending_signals()))
        .or_else(|| rows("halt", read.halt().into_iter(), fold.halt().into_iter()));
    detail.and_then(differs)
}

fn rows<'book, Row: PartialEq + Debug + 'book>(
    kind: &str,
    read: impl Iterator<Item = &'book Row>,
    fold: impl Iterator<Item = &'book Row>,
) -> Option<String> {
    let (mut read, mut fold) = (read, fold);
    loop {
        match (read.next(), fold.next()) {
            (None, None) => return None,
            (read, fold) if read == fold => {}
            (read, fold) => return Some(format!("{kind}: read {read:?}, expected {fold:?}")),
        }
    }
}
