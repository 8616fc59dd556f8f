//! How an order stands as a whole: Alpaca's order, the chain of its replacements, and its executions.
//!
//! An order says how much of it was filled, the list of activities with which executions. The two are read one after
//! the other and the list may lag, so that executions count only where they come to what the order says. What a
//! reader knows already and what comes to the same sum and the same value need not be read again.

use std::collections::BTreeSet;

use broker::{BrokerOrder, Report, StateAtBroker, come_to};
use contracts::order_of_client;
use contracts::v1::OrderSpec;
use domain::money::{Amount, Price, Quantity};
use domain::order::{BrokerReport, BrokerTruth, Executed, Execution, OrderState, Standing, Terms};

use crate::known::execution_id;
use crate::wire::{self, Activity, Number, Order};

/// How Alpaca's status is called here.
pub(crate) fn standing(order: &Order) -> Standing {
    let words = |what: &str| format!("{what} at the broker");
    match order.status.as_str() {
        "filled" => Standing::Filled,
        "canceled" => Standing::Cancelled(words("cancelled")),
        "expired" => Standing::Expired(words("expired")),
        "rejected" => Standing::Rejected(words("rejected")),
        "suspended" => Standing::Suspended(words("suspended")),
        "replaced" if order.replaced_by.is_none() => Standing::Cancelled(words("replaced")),
        _ => Standing::Working,
    }
}

/// What is known of the executions of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Executions {
    /// All of them.
    All(Vec<Execution>),
    /// They are not all listed yet.
    Lagging,
}

/// Whether the executions on the tape are those that Alpaca counts, as far as its order says.
pub(crate) fn as_on_tape(known: &[Executed], order: &Order) -> bool {
    come_to(known, order.filled(), order.filled_avg_price.as_ref().and_then(Number::price))
}

/// The executions on the tape as they are.
pub(crate) fn of_tape(known: &[Executed]) -> Vec<Execution> {
    let counts = known.iter().filter(|executed| !executed.is_busted());
    let execution = |known: &Executed| Execution {
        execution_id: known.id.clone(),
        quantity: known.quantity,
        price: known.price,
        commission: known.commission,
        slippage: Price(0),
        executed_ns: 0,
        ambiguous: false,
    };
    counts.map(execution).collect()
}

/// The executions of the orders `chain` among `activities`; `filled` is what the newest of them says.
///
/// An execution that the tape has under another id, because one before it was corrected, keeps the tape's.
pub(crate) fn executions(
    chain: &BTreeSet<String>,
    activities: &[Activity],
    filled: Quantity,
    known: &[Executed],
) -> Result<Executions, String> {
    let (mut all, mut seen): (Vec<Execution>, BTreeSet<&str>) = (Vec::new(), BTreeSet::new());
    for activity in activities.iter().filter(|activity| chain.contains(&activity.order_id)) {
        let broken = |field: &str| format!("activity {}: {field} is no number", activity.id);
        let quantity = activity.qty.quantity().ok_or_else(|| broken("qty"))?;
        let price = activity.price.price().ok_or_else(|| broken("price"))?;
        let cumulative = activity.cum_qty.quantity().ok_or_else(|| broken("cum_qty"))?;
        let executed_ns = wire::time_ns(&activity.transaction_time)
            .ok_or_else(|| format!("activity {}: transaction_time is no time", activity.id))?;
        let id = execution_id(&activity.order_id, cumulative);
        if seen.insert(&activity.id) {
            all.push(execution(id, quantity, price, executed_ns));
        }
    }
    let shares: i128 = all.iter().map(|execution| i128::from(execution.quantity.0)).sum();
    if shares != i128::from(filled.0) {
        return Ok(Executions::Lagging);
    }
    // Of one instant they stay as they are listed.
    all.sort_by_key(|execution| execution.executed_ns);
    keep_ids(&mut all, known);
    Ok(Executions::All(all))
}

pub(crate) fn execution(id: String, quantity: Quantity, price: Price, executed_ns: i64) -> Execution {
    Execution {
        execution_id: id,
        quantity,
        price,
        // Alpaca takes none; fees of the authorities come once a day, of the account.
        commission: Amount::ZERO,
        slippage: Price(0),
        executed_ns,
        ambiguous: false,
    }
}

/// Whether an execution on the tape is one of Alpaca's.
type Same = fn(&Executed, &Execution) -> bool;

fn has_its_numbers(one: &Executed, new: &Execution) -> bool {
    (one.quantity, one.price) == (new.quantity, new.price)
}

/// Gives executions that the tape knows under another id that id: those with the same numbers, then those with the
/// same id, then, where one alone is left on either side, as a correction of it.
fn keep_ids(all: &mut [Execution], known: &[Executed]) {
    let mut spare: Vec<&Executed> = known.iter().filter(|one| !one.is_busted()).collect();
    let mut open: Vec<&mut Execution> = all.iter_mut().collect();
    let same: [Same; 3] = [
        |one, new| one.id == new.execution_id && has_its_numbers(one, new),
        has_its_numbers,
        |one, new| one.id == new.execution_id,
    ];
    let mut taken = BTreeSet::new();
    for is_same in same {
        open.retain_mut(|execution| {
            let found = spare.iter().position(|one| is_same(one, execution));
            if let Some(place) = found {
                execution.execution_id.clone_from(&spare.remove(place).id);
                taken.insert(execution.execution_id.clone());
            }
            found.is_none()
        });
    }
    if let ([only], [one]) = (spare.as_slice(), open.as_mut_slice()) {
        one.execution_id.clone_from(&only.id);
        return;
    }
    // An id of the tape's never stands for two executions.
    for execution in open {
        while taken.contains(&execution.execution_id)
            || known.iter().any(|one| one.id == execution.execution_id)
        {
            execution.execution_id.push('+');
        }
        taken.insert(execution.execution_id.clone());
    }
}

/// The terms of Alpaca's newest order as those of ours.
fn terms(order: &OrderSpec, newest: &Order, client_order_id: &str) -> Terms {
    Terms {
        client_order_id: client_order_id.to_owned(),
        broker_order_id: newest.id.clone(),
        quantity: newest.quantity().unwrap_or(Quantity(order.quantity_e9)),
        limit: newest.limit().filter(|_| order.limit_price_e9.is_some()),
        stop: stop_of(order, newest),
    }
}

/// The stop price, unless it follows the market.
fn stop_of(order: &OrderSpec, newest: &Order) -> Option<Price> {
    let fixed = order.stop_price_e9.is_some() && newest.kind != "trailing_stop";
    newest.stop().filter(|_| fixed)
}

/// The client order id under which the tape knows `newest`: Alpaca makes one up for the other half of a pair and for
/// what was replaced by hand.
fn client_of(order: &OrderState, newest: &Order) -> String {
    let ours = order_of_client(&newest.client_order_id).is_some_and(|(id, _)| id == order.id());
    let same = newest.id == order.broker_order_id || order.broker_order_id.is_empty();
    if !ours && same { order.client_order_id.clone() } else { newest.client_order_id.clone() }
}

/// How `order` stands, from the newest of Alpaca's orders and the executions of all of them.
pub(crate) fn truth(order: &OrderState, newest: &Order, executions: Vec<Execution>) -> BrokerTruth {
    let client_order_id = client_of(order, newest);
    let Terms { quantity, limit, stop, .. } = terms(&order.spec, newest, &client_order_id);
    BrokerTruth {
        client_order_id,
        broker_order_id: newest.id.clone(),
        standing: standing(newest),
        quantity,
        limit,
        stop,
        executions,
    }
}

/// What Alpaca's order comes to as reports, of which those that are known add nothing.
pub(crate) fn known_as(
    order: &OrderSpec,
    client_order_id: &str,
    found: &Order,
    of: Executions,
) -> BrokerOrder {
    let report = |report| Report { order_id: order.order_id.clone(), report };
    let revision = order_of_client(client_order_id).map_or(0, |(_, revision)| revision);
    let mut reports = Vec::new();
    let rejected = matches!(standing(found), Standing::Rejected(_));
    match (revision, rejected) {
        (0, true) => {}
        (0, false) => reports.push(report(BrokerReport::Accepted { broker_order_id: found.id.clone() })),
        (_, true) => {
            let reason = "refused at the broker".to_owned();
            reports.push(report(BrokerReport::ReplaceRejected { reason }));
            return BrokerOrder { broker_order_id: found.id.clone(), state: StateAtBroker::Ended, reports };
        }
        // The order before it is worked until the exchange has answered.
        (_, false) if matches!(found.status.as_str(), "accepted" | "pending_new") => {
            return BrokerOrder { broker_order_id: found.id.clone(), state: StateAtBroker::Working, reports };
        }
        (_, false) => reports.push(report(BrokerReport::Replaced(terms(order, found, client_order_id)))),
    }
    let state = match of {
        Executions::Lagging => StateAtBroker::Working,
        Executions::All(executions) => {
            reports.extend(executions.into_iter().map(|execution| report(BrokerReport::Filled(execution))));
            match standing(found) {
                Standing::Working => StateAtBroker::Working,
                Standing::Suspended(reason) => {
                    reports.push(report(BrokerReport::Suspended { reason }));
                    StateAtBroker::Working
                }
                Standing::Filled => StateAtBroker::Ended,
                Standing::Cancelled(reason) => {
                    reports.push(report(BrokerReport::Cancelled { reason }));
                    StateAtBroker::Ended
                }
                Standing::Expired(reason) => {
                    reports.push(report(BrokerReport::Expired { reason }));
                    StateAtBroker::Ended
                }
                Standing::Rejected(reason) => {
                    reports.push(report(BrokerReport::Rejected { reason }));
                    StateAtBroker::Ended
                }
            }
        }
    };
    BrokerOrder { broker_order_id: found.id.clone(), state, reports }
}

#[cfg(test)]
mod tests {
    use super::*;

    const E9: i64 = 1_000_000_000;

    fn activity(order_id: &str, qty: &str, cumulative: &str, price: &str) -> Activity {
        serde_json::from_value(serde_json::json!({
            "id": format!("{order_id} {cumulative}"), "order_id": order_id, "qty": qty, "cum_qty": cumulative,
            "price": price, "transaction_time": format!("2026-01-06T15:00:0{}Z", &cumulative[..1]),
        }))
        .unwrap()
    }

    fn executed(id: &str, shares: i64, price: i64) -> Executed {
        Executed {
            id: id.into(),
            number: 1,
            quantity: Quantity(shares * E9),
            price: Price(price * E9),
            commission: Amount::ZERO,
            corrections: Vec::new(),
        }
    }

    fn ids(executions: &Executions) -> Vec<&str> {
        let Executions::All(all) = executions else { panic!("{executions:?}") };
        all.iter().map(|execution| execution.execution_id.as_str()).collect()
    }

    #[test]
    fn executions_count_when_they_come_to_what_the_order_says() {
        let chain = BTreeSet::from(["a".to_owned(), "b".to_owned()]);
        let listed =
            [activity("a", "4", "4", "10"), activity("x", "9", "9", "1"), activity("b", "2", "6", "11")];
        let all = executions(&chain, &listed, Quantity(6 * E9), &[]).unwrap();
        assert_eq!(ids(&all), ["a/4", "b/6"]);
        assert_eq!(executions(&chain, &listed, Quantity(7 * E9), &[]).unwrap(), Executions::Lagging);
        let wrong = [activity("a", "many", "4", "10")];
        assert!(executions(&chain, &wrong, Quantity(0), &[]).unwrap_err().contains("qty"));
    }

    #[test]
    fn an_execution_keeps_the_id_that_the_tape_gave_it() {
        let chain = BTreeSet::from(["a".to_owned()]);
        // The first of three was corrected from 4 to 3 shares, and what comes after it moved.
        let listed =
            [activity("a", "3", "3", "10"), activity("a", "2", "5", "11"), activity("a", "1", "6", "12")];
        let known = [executed("a/4", 4, 10), executed("a/6", 2, 11), executed("a/7", 1, 12)];
        let all = executions(&chain, &listed, Quantity(6 * E9), &known).unwrap();
        assert_eq!(ids(&all), ["a/4", "a/6", "a/7"]);
        let unlike = [activity("a", "5", "5", "10"), activity("a", "1", "6", "13")];
        let all = executions(&chain, &unlike, Quantity(6 * E9), &known).unwrap();
        assert_eq!(ids(&all), ["a/5", "a/6"], "what has nothing in common is new");
    }

    #[test]
    fn what_the_tape_has_need_not_be_read_again_when_shares_and_average_agree() {
        let order = |filled: &str, average: &str| -> Order {
            let order = serde_json::json!({"id": "a", "filled_qty": filled, "filled_avg_price": average});
            serde_json::from_value(order).unwrap()
        };
        let known = [executed("a/1", 1, 10), executed("a/3", 2, 11)];
        assert!(as_on_tape(&known, &order("3", "10.666667")));
        assert!(!as_on_tape(&known, &order("3", "10.67")), "another price");
        assert!(!as_on_tape(&known, &order("4", "10.666667")), "more shares");
        assert!(as_on_tape(&[], &serde_json::from_str(r#"{"filled_qty":"0"}"#).unwrap()));
    }
}
