//! Work in the words that health shows: what an order waits for, never how this program names it.

use contracts::v1::Side;
use domain::book::{Book, GroupStep};

use crate::machine::Work;

/// Most pieces of work, positions or holdings that are named in words; of the others their number is.
pub(crate) const NAMED_MAX: usize = 3;

/// What is to be done and is not done yet.
pub(crate) fn waiting(book: &Book, work: &[Work]) -> String {
    few(work.iter().take(NAMED_MAX).map(|item| one(book, item)).collect(), work.len())
}

/// The first of `named`, of `all` that there are.
pub(crate) fn few(mut named: Vec<String>, all: usize) -> String {
    named.truncate(NAMED_MAX);
    let more = all.saturating_sub(named.len());
    if more > 0 {
        named.push(format!("and {more} more"));
    }
    named.join("; ")
}

fn one(book: &Book, work: &Work) -> String {
    match work {
        Work::Withdraw(id) => format!("{} was cancelled before it was sent", order(book, id)),
        Work::Submit(group) => match group.as_slice() {
            [id] => format!("{} is to be sent", order(book, id)),
            legs => {
                let legs: Vec<String> = legs.iter().map(|id| order(book, id)).collect();
                format!("{} are to be sent together", legs.join(" and "))
            }
        },
        Work::Ask(id) => format!("{} has no answer of its broker", order(book, id)),
        Work::Cancel(id) => format!("{} is to be cancelled", order(book, id)),
        Work::Replace(id) => format!("{} is to get new terms", order(book, id)),
        Work::Forgo(id) => format!("{} ended before it got new terms", order(book, id)),
        Work::Group(GroupStep::Handle(handled)) => {
            format!("the orders of {} for one signal ({}) are not whole", handled.strategy, handled.group_id)
        }
        Work::Group(GroupStep::Transfer(moved)) => {
            let from = moved.first().map_or("a strategy", |moved| moved.from_strategy.as_str());
            format!("the positions of {from} go to another strategy")
        }
        Work::Unwind { order_id, failed } => {
            let (order, failed) = (order(book, order_id), order(book, failed));
            format!("{order} is to be cancelled, because {failed} was rejected")
        }
        Work::Flatten { order, .. } => {
            format!("the position in {} is to be closed, because trading was killed", order.symbol)
        }
    }
}

fn order(book: &Book, id: &str) -> String {
    let Some(order) = book.order(id) else { return format!("order {id}") };
    let side = if order.spec.side() == Side::Sell { "sell" } else { "buy" };
    format!("order {id} ({side} {})", order.spec.symbol)
}
