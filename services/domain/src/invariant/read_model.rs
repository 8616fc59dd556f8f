//! A read model's book, held against the fold of the tape at the same sequence.

use std::fmt::Debug;

use super::{Invariant, Violation};
use crate::book::{Book, Lots};
use crate::money::Quantity;
use crate::order::{GroupStage, OrderState, OrderStatus};

/// Most characters of a row that are shown.
const SHOWN_MAX: usize = 160;

/// The first row in which `read` differs from `fold`; both must stand at the same sequence. Orders that have
/// ended are compared only while something may still have to be done about their group, and then only how they stand: a
/// book forgets the others.
/// Approvals of the last day are not: a read model gives them only where a rate is limited.
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
        .or_else(|| rows("halt", read.halt().into_iter(), fold.halt().into_iter()))
        .or_else(|| rows("limits", read.limit_sets(), fold.limit_sets()))
        .or_else(|| rows("tally", read.tallies(), fold.tallies()))
        .or_else(|| lots(read, fold))
        .or_else(|| groups(read, fold));
    detail.and_then(differs)
}

/// The first position whose lots differ.
fn lots(read: &Book, fold: &Book) -> Option<String> {
    let none = Lots::default();
    fold.positions().map(|position| &position.key).find_map(|key| {
        let (read, fold) = (read.lots(key).unwrap_or(&none), fold.lots(key).unwrap_or(&none));
        (read != fold).then(|| format!("lots of {key}: read {read:?}, expected {fold:?}"))
    })
}

/// The first group that something may still have to be done about and whose orders stand otherwise.
fn groups(read: &Book, fold: &Book) -> Option<String> {
    let mut names: Vec<&str> = read.active_groups().chain(fold.active_groups()).collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().find_map(|group| {
        let (read, fold) = (standing(read, group), standing(fold, group));
        (read != fold).then(|| format!("group {group}: read {read:?}, expected {fold:?}"))
    })
}

/// The orders of a group by id: how each stands, what was filled, and whether its end was asked for.
fn standing<'book>(
    book: &'book Book,
    group: &'book str,
) -> Vec<(&'book str, OrderStatus, GroupStage, Quantity, bool)> {
    let stands = |order: &'book OrderState| {
        (order.id(), order.status, order.group_stage, order.filled, order.cancel_requested)
    };
    let mut orders: Vec<_> = book.group_orders(group).map(stands).collect();
    orders.sort_by_key(|order| order.0);
    orders
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
            (Some(read), Some(fold)) => {
                return Some(differing(kind, &format!("{read:?}"), &format!("{fold:?}")));
            }
            (read, fold) => {
                let shown =
                    |row: Option<&Row>| row.map_or("no row".to_owned(), |row| cut(&format!("{row:?}")));
                return Some(format!("{kind}: read {}, expected {}", shown(read), shown(fold)));
            }
        }
    }
}

/// Two rows as text, each from the first field on in which they differ, and how the row begins.
fn differing(kind: &str, read: &str, fold: &str) -> String {
    let same = read.char_indices().zip(fold.chars()).find(|((_, left), right)| left != right);
    let same = same.map_or(read.len().min(fold.len()), |((at, _), _)| at);
    let before = read.get(..same).unwrap_or_default();
    let field = before.rfind(", ").max(before.rfind("{ ")).map_or(0, |place| place + 2);
    let from = |row: &str| cut(row.get(field..).unwrap_or_default());
    format!("{kind}: read {}, expected {}, in {}", from(read), from(fold), cut(read))
}

/// The beginning of a text that may be long.
fn cut(text: &str) -> String {
    let shown: String = text.chars().take(SHOWN_MAX).collect();
    if shown.len() < text.len() { format!("{shown}…") } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Row {
        account: &'static str,
        cash: i64,
        lots: Vec<i64>,
    }

    #[test]
    fn a_difference_names_the_field_and_stays_short() {
        let row = |cash, lots: i64| Row { account: "paper", cash, lots: (0..lots).collect() };
        let (read, fold) = ([row(12, 999)], [row(13, 999)]);
        let found = rows("account", read.iter(), fold.iter()).unwrap();
        assert!(found.starts_with("account: read cash: 12, lots: [0, 1"), "{found}");
        assert!(found.contains(", expected cash: 13, lots: [0, 1"), "{found}");
        assert!(found.contains(", in Row { account: \"paper\", cash: 12"), "{found}");
        assert!(found.len() < 4 * SHOWN_MAX, "{found}");
        let found = rows("account", [row(1, 0)].iter(), [].iter()).unwrap();
        assert_eq!(found, "account: read Row { account: \"paper\", cash: 1, lots: [] }, expected no row");
        assert_eq!(rows("account", read.iter(), read.iter()), None);
    }
}
