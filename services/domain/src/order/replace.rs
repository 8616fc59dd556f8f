//! Replacing the terms of an order: asked for, answered, and the chain of ids that comes of it.

use contracts::client_order_id_of;
use contracts::v1::event::Body;
use contracts::v1::{OrderReplaceRejected, OrderReplaceRequested, OrderReplaced, OrderSpec, OrderType};
use serde::{Deserialize, Serialize};

use super::decide::Decision;
use super::{OrderState, OrderStatus, Rejection, Terms};
use crate::money::{Price, Quantity, stored};

/// New terms that risk approved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replacement {
    /// The decision that approved them.
    pub decision_id: String,
    /// The revision that they become.
    pub revision: u32,
    /// Shares of the whole order, those filled included.
    #[serde(with = "stored")]
    pub quantity: Quantity,
    /// Limit price.
    #[serde(with = "stored::option")]
    pub limit: Option<Price>,
    /// Stop price; none of a trailing stop, which keeps its own.
    #[serde(with = "stored::option")]
    pub stop: Option<Price>,
    /// The client order id of the revision.
    pub client_order_id: String,
    /// Whether the order only reduces a position with them.
    #[serde(default)]
    pub reducing: bool,
    /// Whether the intent is on the tape.
    pub requested: bool,
}

impl Replacement {
    /// The terms of `spec`, an approved order that takes the place of itself.
    #[must_use]
    pub fn of(spec: &OrderSpec, decision_id: &str) -> Self {
        Self {
            decision_id: decision_id.to_owned(),
            revision: spec.revision,
            quantity: Quantity(spec.quantity_e9),
            limit: spec.limit_price_e9.map(Price),
            // A trailing stop goes on to move between the decision and the broker's answer.
            stop: spec.stop_price_e9.map(Price).filter(|_| spec.order_type() != OrderType::TrailingStop),
            client_order_id: client_order_id_of(&spec.order_id, spec.revision),
            reducing: spec.reducing,
            requested: false,
        }
    }

    /// `spec` with these terms.
    #[must_use]
    pub fn apply(&self, spec: &OrderSpec) -> OrderSpec {
        OrderSpec {
            quantity_e9: self.quantity.0,
            limit_price_e9: self.limit.map(|price| price.0).or(spec.limit_price_e9),
            stop_price_e9: self.stop.map(|price| price.0).or(spec.stop_price_e9),
            revision: self.revision,
            reducing: self.reducing,
            ..spec.clone()
        }
    }

    pub(super) fn worst_price_e9(&self) -> i64 {
        let of = |price: Option<Price>| price.unwrap_or_default().0;
        of(self.limit).max(of(self.stop))
    }
}

/// Terms and ids that an order had before they were replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// Its number, from 0.
    pub revision: u32,
    /// Id the broker was given.
    pub client_order_id: String,
    /// Broker's own id.
    pub broker_order_id: String,
    /// Shares of the whole order.
    #[serde(with = "stored")]
    pub quantity: Quantity,
    /// Limit price.
    #[serde(with = "stored::option")]
    pub limit: Option<Price>,
    /// Stop price.
    #[serde(with = "stored::option")]
    pub stop: Option<Price>,
    /// Event time at which the next one took its place, UTC nanoseconds.
    pub replaced_ns: i64,
}

/// Records the intent to ask the broker for the terms that risk approved.
pub fn request(order: &OrderState, actor: &str) -> Decision {
    let Some(replace) = &order.replace else {
        return invalid(order, "replace", "absent", "terms that risk approved");
    };
    if replace.requested {
        return Ok(None);
    }
    if order.status.is_ended() {
        return Err(Rejection::Ended { order_id: order.id().to_owned(), status: order.status });
    }
    Ok(Some(Body::OrderReplaceRequested(OrderReplaceRequested {
        order_id: order.id().to_owned(),
        actor: actor.to_owned(),
        quantity_e9: Some(replace.quantity.0),
        limit_price_e9: replace.limit.map(|price| price.0),
        stop_price_e9: replace.stop.map(|price| price.0),
        decision_id: replace.decision_id.clone(),
        revision: replace.revision,
        client_order_id: replace.client_order_id.clone(),
    })))
}

/// The broker works the order with `terms`.
pub(super) fn replaced(order: &OrderState, terms: &Terms) -> Decision {
    // Reports come in any order: what is older than the present terms says nothing new.
    // Terms under an id that is not ours answer those under way, where there are any.
    let unnamed = || order.replace.as_ref().map_or(order.last_revision() + 1, |asked| asked.revision);
    let revision = revision_of(&terms.client_order_id).unwrap_or_else(unnamed);
    let present = order.present(0);
    let known =
        (&present.client_order_id, &present.broker_order_id, present.quantity, present.limit, present.stop);
    let told = (
        &terms.client_order_id,
        &terms.broker_order_id,
        terms.quantity,
        terms.limit.or(present.limit),
        terms.stop.or(present.stop),
    );
    if revision < order.spec.revision || known == told {
        return Ok(None);
    }
    if terms.quantity.0 <= 0 || terms.quantity < order.filled {
        let value = terms.quantity.to_string();
        return invalid(order, "quantity", &value, "at least what is filled already");
    }
    Ok(Some(Body::OrderReplaced(OrderReplaced {
        order_id: order.id().to_owned(),
        quantity_e9: terms.quantity.0,
        limit_price_e9: terms.limit.map(|price| price.0),
        stop_price_e9: terms.stop.map(|price| price.0),
        revision,
        client_order_id: terms.client_order_id.clone(),
        broker_order_id: terms.broker_order_id.clone(),
        replaces_client_order_id: order.client_order_id.clone(),
        replaces_broker_order_id: order.broker_order_id.clone(),
    })))
}

/// The revision that a client order id names: 0 for an order's first terms; `None` when it is no id of ours.
fn revision_of(client_order_id: &str) -> Option<u32> {
    let id = client_order_id.strip_prefix("td-")?;
    match id.rsplit_once("-r") {
        None => Some(0),
        Some((_, number)) => number.parse().ok(),
    }
}

/// The broker would not replace, or the order ended before it was asked.
pub fn refuse(order: &OrderState, reason: &str) -> Decision {
    let Some(replace) = &order.replace else { return Ok(None) };
    Ok(Some(Body::OrderReplaceRejected(OrderReplaceRejected {
        order_id: order.id().to_owned(),
        reason: reason.to_owned(),
        revision: replace.revision,
    })))
}

impl OrderState {
    /// The revision that the present terms are, as a link of the chain.
    fn present(&self, replaced_ns: i64) -> Revision {
        Revision {
            revision: self.spec.revision,
            client_order_id: self.client_order_id.clone(),
            broker_order_id: self.broker_order_id.clone(),
            quantity: Quantity(self.spec.quantity_e9),
            limit: self.spec.limit_price_e9.map(Price),
            stop: self.spec.stop_price_e9.map(Price),
            replaced_ns,
        }
    }

    /// Takes new terms that risk approved.
    pub fn ask(&mut self, terms: Replacement) {
        self.asked_revision = self.asked_revision.max(terms.revision);
        self.replace = Some(terms);
    }

    /// The last revision that was taken or asked for: the next one is above it.
    #[must_use]
    pub fn last_revision(&self) -> u32 {
        self.spec.revision.max(self.asked_revision)
    }

    /// Takes the new terms and ids. An event of before the chain was kept states no ids: then only the terms change.
    pub(super) fn take_revision(&mut self, event: &OrderReplaced, event_ns: i64) {
        if !event.client_order_id.is_empty() || !event.broker_order_id.is_empty() {
            if event.client_order_id != self.client_order_id {
                self.chain.push(self.present(event_ns));
            }
            self.client_order_id.clone_from(&event.client_order_id);
            self.broker_order_id.clone_from(&event.broker_order_id);
            self.spec.revision = event.revision;
            self.asked_revision = self.asked_revision.max(event.revision);
            // A bar that began before the new terms shows prices from before them.
            self.accepted_ns = Some(event_ns);
        }
        self.spec.quantity_e9 = event.quantity_e9;
        self.spec.limit_price_e9 = event.limit_price_e9.or(self.spec.limit_price_e9);
        self.spec.stop_price_e9 = event.stop_price_e9.or(self.spec.stop_price_e9);
        let answered = self.replace.take_if(|replace| replace.revision <= event.revision);
        if let Some(replace) = answered.filter(|replace| replace.revision == event.revision) {
            self.spec.reducing = replace.reducing;
        }
        self.settled("replace");
    }

    /// Whether new terms can be asked of the broker now.
    pub(super) fn can_replace(&self) -> bool {
        matches!(self.status, OrderStatus::Accepted | OrderStatus::Suspended)
    }
}

fn invalid(order: &OrderState, field: &'static str, value: &str, expected: &'static str) -> Decision {
    let (order_id, value) = (order.id().to_owned(), value.to_owned());
    Err(Rejection::Invalid { order_id, field, value, expected })
}
