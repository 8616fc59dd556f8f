//! Exits that went to Alpaca with their entry: the legs of its order, which bear client order ids of Alpaca's own.
//!
//! A leg is `held` until the entry is filled whole. Alpaca ends the legs of an entry that ends before, also where a part of
//! it was filled; what that part needs is then an order of its own.

use contracts::{child_order_id, order_of_client};
use domain::money::Quantity;
use domain::order::Standing;

use crate::truth::standing;
use crate::wire::Order;

/// How an exit stands that went with its entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Leg {
    /// It waits: its entry may still be filled.
    Held(Order),
    /// Its entry is over, and this is the exit.
    Is(Order),
    /// It never came to work, and what its entry has filled is without it.
    Gone,
}

/// Whether an order came with others in one request, of which it may be the entry.
pub(crate) fn is_group(order: &Order) -> bool {
    matches!(order.order_class.as_str(), "bracket" | "oto")
}

/// Whether Alpaca has an order open.
pub(crate) fn is_open(order: &Order) -> bool {
    matches!(standing(order), Standing::Working | Standing::Suspended(_))
}

/// Alpaca's ids of an entry's legs, each with the exit of ours that it is.
pub(crate) fn exits_of(entry: &Order) -> Vec<(String, String)> {
    let Some((entry_id, _)) = order_of_client(&entry.client_order_id).filter(|_| is_group(entry)) else {
        return Vec::new();
    };
    let exit_of = |leg: &Order| (leg.id.clone(), child_order_id(entry_id, u32::from(stops(leg))));
    entry.legs.iter().flatten().map(exit_of).collect()
}

fn stops(leg: &Order) -> bool {
    leg.kind != "limit"
}

/// How the exit of an entry stands that stops the loss, or the one that takes the profit; `None` where the entry came
/// without it.
pub(crate) fn leg_of(entry: &Order, stop: bool) -> Option<Leg> {
    let legs = entry.legs.as_deref().filter(|_| is_group(entry)).unwrap_or_default();
    let leg = legs.iter().find(|leg| stops(leg) == stop)?;
    if is_open(entry) {
        return Some(Leg::Held(leg.clone()));
    }
    let whole = entry.quantity().is_some_and(|shares| shares <= entry.filled());
    let traded = legs.iter().any(|leg| leg.filled() > Quantity::ZERO);
    // Of a pair that works the stop stays held, because Alpaca watches its price.
    let waits = |leg: &Order| matches!(leg.status.as_str(), "held" | "pending_cancel");
    let idle = !whole && legs.iter().all(|leg| waits(leg) || !is_open(leg));
    let over = legs.iter().all(|leg| !is_open(leg));
    let ended = over && (!whole || leg.status == "canceled");
    let opened = entry.filled() > Quantity::ZERO;
    let gone = !traded && ((opened && (ended || idle)) || (idle && is_open(leg)));
    Some(if gone { Leg::Gone } else { Leg::Is(leg.clone()) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ENTRY: &str = "0123456789abcdef01234567";

    /// An entry of ten shares of which so many are filled, and its legs: status and shares filled of target and stop.
    fn entry(status: &str, filled: u32, legs: [(&str, u32); 2]) -> Order {
        let leg = |kind: &str, (status, filled): (&str, u32)| {
            json!({"id": kind, "client_order_id": format!("made up {kind}"), "type": kind, "status": status,
                "qty": "10", "filled_qty": filled.to_string(), "order_class": "bracket"})
        };
        let [target, stop] = legs;
        serde_json::from_value(json!({
            "id": "e", "client_order_id": format!("td-{ENTRY}"), "type": "limit", "status": status, "qty": "10",
            "filled_qty": filled.to_string(), "order_class": "bracket",
            "legs": [leg("limit", target), leg("stop", stop)],
        }))
        .unwrap()
    }

    fn check(entry: &Order, target: &str, stop: &str) {
        let word = |leg: Option<Leg>| match leg {
            Some(Leg::Held(_)) => "held",
            Some(Leg::Is(_)) => "is",
            Some(Leg::Gone) => "gone",
            None => "none",
        };
        assert_eq!((word(leg_of(entry, false)), word(leg_of(entry, true))), (target, stop), "{entry:?}");
    }

    #[test]
    fn legs_wait_for_their_entry_and_work_once_it_is_filled_whole() {
        check(&entry("new", 0, [("held", 0), ("held", 0)]), "held", "held");
        check(&entry("partially_filled", 4, [("held", 0), ("held", 0)]), "held", "held");
        check(&entry("filled", 10, [("new", 0), ("held", 0)]), "is", "is");
        check(&entry("filled", 10, [("held", 0), ("held", 0)]), "is", "is");
        check(&entry("filled", 10, [("filled", 10), ("canceled", 0)]), "is", "is");
        check(&entry("filled", 10, [("expired", 0), ("expired", 0)]), "is", "is");
        check(&entry("filled", 10, [("rejected", 0), ("held", 0)]), "is", "is");
        check(&entry("filled", 10, [("canceled", 0), ("held", 0)]), "is", "is");
    }

    #[test]
    fn what_an_entry_filled_before_it_ended_is_without_its_legs() {
        check(&entry("canceled", 4, [("canceled", 0), ("canceled", 0)]), "gone", "gone");
        check(&entry("expired", 4, [("held", 0), ("held", 0)]), "gone", "gone");
        check(&entry("expired", 4, [("expired", 0), ("expired", 0)]), "gone", "gone");
        check(&entry("canceled", 4, [("canceled", 0), ("pending_cancel", 0)]), "gone", "gone");
        check(&entry("filled", 10, [("pending_cancel", 0), ("pending_cancel", 0)]), "is", "is");
        check(&entry("expired", 4, [("new", 0), ("held", 0)]), "is", "is");
        check(&entry("canceled", 0, [("canceled", 0), ("canceled", 0)]), "is", "is");
        check(&entry("rejected", 0, [("held", 0), ("held", 0)]), "gone", "gone");
        check(&entry("filled", 10, [("canceled", 0), ("canceled", 0)]), "gone", "gone");
    }

    #[test]
    fn legs_are_known_by_their_kind() {
        let bracket = entry("new", 0, [("held", 0), ("held", 0)]);
        let pair =
            [("limit", 0), ("stop", 1)].map(|(id, index)| (id.to_owned(), child_order_id(ENTRY, index)));
        assert_eq!(exits_of(&bracket), pair);
        let alone = Order { order_class: String::new(), ..bracket.clone() };
        assert_eq!((exits_of(&alone), leg_of(&alone, true)), (Vec::new(), None));
        let others = Order { client_order_id: "by hand".to_owned(), ..bracket };
        assert!(exits_of(&others).is_empty());
    }
}
