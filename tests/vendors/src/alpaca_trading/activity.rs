//! The account's activities: fills, and whatever else a script says moved money.

use chrono::NaiveDate;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::order::{Execution, Order};
use crate::calendar;
use crate::id;
use crate::query::Parameters;
use crate::wire;

/// An activity.
#[derive(Clone, Debug)]
pub struct Activity {
    /// FILL, DIV, FEE and so on.
    pub kind: String,
    /// When, in UTC nanoseconds.
    pub at_ns: i64,
    /// The execution that it tells of.
    pub execution_id: Option<String>,
    /// As it is shown.
    pub shown: Value,
}

/// An activity that is no trade, as a script gives it.
#[derive(Clone, Debug, Deserialize)]
pub struct Other {
    /// DIV, FEE, CSD and so on.
    pub activity_type: String,
    /// Everything else, shown as it is.
    #[serde(flatten)]
    pub fields: Map<String, Value>,
}

/// An id whose first part is the time on New York's clocks, as the vendor's is.
fn id(at_ns: i64, name: &str) -> String {
    format!("{}::{}", calendar::new_york(at_ns).format("%Y%m%d%H%M%S%3f"), id::uuid(name))
}

impl Activity {
    /// An execution.
    #[must_use]
    pub fn fill(order: &Order, execution: &Execution, whole: bool, at_ns: i64) -> Self {
        let left = order.quantity.map(|quantity| quantity - order.filled()).unwrap_or_default();
        let shown = json!({
            "id": id(at_ns, &format!("activity {}", execution.id)),
            "activity_type": "FILL",
            "transaction_time": wire::rfc3339(at_ns),
            "type": if whole { "fill" } else { "partial_fill" },
            "price": execution.price,
            "qty": execution.quantity,
            "side": order.side,
            "symbol": order.symbol,
            "leaves_qty": left,
            "cum_qty": order.filled(),
            "order_id": order.id,
            "order_status": order.status,
        });
        Self { kind: "FILL".into(), at_ns, execution_id: Some(execution.id.clone()), shown }
    }

    /// Something else.
    #[must_use]
    pub fn other(other: Other, number: usize, at_ns: i64) -> Self {
        let mut shown = json!({
            "id": id(at_ns, &format!("activity {} {number}", other.activity_type)),
            "activity_type": other.activity_type,
            "date": calendar::date_of(at_ns),
            "created_at": wire::rfc3339(at_ns),
            "net_amount": "0",
            "description": "",
            "status": "executed",
        });
        for (name, value) in other.fields {
            shown[name] = value;
        }
        Self { kind: other.activity_type, at_ns, execution_id: None, shown }
    }
}

/// A page of activities.
///
/// # Errors
/// What is wrong with the query.
pub fn page(activities: &[Activity], only: Option<&str>, query: &Parameters) -> Result<Vec<Value>, String> {
    let mut kinds = query.list("activity_types");
    kinds.extend(only.map(str::to_owned));
    let size = query.number("page_size", 100)?;
    if !(1..=100).contains(&size) {
        return Err("page_size must be between 1 and 100".into());
    }
    let (after, until) = (query.moment("after")?, query.moment("until")?);
    let date: Option<NaiveDate> = query.date("date");
    let trade = |activity: &Activity| activity.kind == "FILL";
    let category = query.get("category");
    let mut found: Vec<&Activity> = activities
        .iter()
        .filter(|activity| kinds.is_empty() || kinds.contains(&activity.kind))
        .filter(|activity| category.is_none_or(|wanted| (wanted == "trade_activity") == trade(activity)))
        .filter(|activity| after.is_none_or(|after| activity.at_ns > after))
        .filter(|activity| until.is_none_or(|until| activity.at_ns <= until))
        .filter(|activity| date.is_none_or(|date| calendar::date_of(activity.at_ns) == date))
        .collect();
    if query.get("direction") != Some("asc") {
        found.reverse();
    }
    // A page begins after the activity that its token names.
    let after_token = query.get("page_token").map(|token| {
        found.iter().position(|activity| activity.shown["id"] == token).map_or(found.len(), |place| place + 1)
    });
    let rows = found.into_iter().skip(after_token.unwrap_or_default()).take(size);
    Ok(rows.map(|activity| activity.shown.clone()).collect())
}
