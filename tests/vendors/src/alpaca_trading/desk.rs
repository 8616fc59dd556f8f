//! The broker's desk: it takes orders, cancels and replaces them, and keeps what belongs together.
//!
//! A synchronous machine over the market: what it has to say is collected as [`Update`]s, and whoever moved it
//! sends them.

use std::collections::BTreeMap;

use chrono::Days;
use serde_json::{Value, json};

use super::account::{Book, Position};
use super::activity::Activity;
use super::order::{Class, Kind, Order, Status, TimeInForce, Times};
use super::plan::{OnRequest, OnSubmit, Plan};
use super::ticket::{Refusal, Ticket, check_tick};
use crate::calendar::{self, SECOND};
use crate::decimal::Decimal;
use crate::id;
use crate::market::Market;
use crate::settings::Settings;
use crate::wire;

/// Days after which an order that is good until cancelled is cancelled.
const GTC_DAYS: u64 = 90;

/// Something to say on `trade_updates`.
#[derive(Clone, Debug)]
pub struct Update {
    /// Counts every update from 1 on.
    pub sequence: u64,
    /// The event.
    pub event: String,
    /// The event's data.
    pub data: Value,
}

/// The desk.
#[derive(Default)]
pub struct Desk {
    pub(super) orders: Vec<Order>,
    by_client_order_id: BTreeMap<String, usize>,
    plans: Vec<Plan>,
    pub(super) book: Book,
    pub(super) activities: Vec<Activity>,
    updates: Vec<Update>,
    pub(super) update_count: u64,
    pub(super) execution_count: u64,
    pub(super) configuration: BTreeMap<String, Value>,
}

impl Desk {
    /// What is to be said, oldest first.
    pub fn take_updates(&mut self) -> Vec<Update> {
        std::mem::take(&mut self.updates)
    }

    /// Decides about orders to come.
    pub fn plan(&mut self, plan: Plan) {
        self.plans.push(Plan { times: plan.times.max(1), ..plan });
    }

    /// Every order, oldest first.
    #[must_use]
    pub fn orders(&self) -> &[Order] {
        &self.orders
    }

    /// The account's cash and positions.
    #[must_use]
    pub const fn book(&self) -> &Book {
        &self.book
    }

    /// The account's cash and positions, to be set by a script.
    pub const fn book_mut(&mut self) -> &mut Book {
        &mut self.book
    }

    /// Adds an activity that is no trade, and answers with its id.
    pub fn add_activity(&mut self, other: super::activity::Other, market: &Market) -> Value {
        let activity = Activity::other(other, self.activities.len(), market.now_ns());
        let id = activity.shown["id"].clone();
        self.activities.push(activity);
        id
    }

    /// The place of an order, by its id or its client order id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<usize> {
        self.orders
            .iter()
            .position(|order| order.id == id)
            .or_else(|| self.by_client_order_id.get(id).copied())
    }

    fn take_plan(&mut self, client_order_id: &str, symbol: &str) -> Plan {
        let Some(found) = self.plans.iter().position(|plan| plan.fits(client_order_id, symbol)) else {
            return Plan::default();
        };
        let plan = self.plans[found].clone();
        self.plans[found].times -= 1;
        if self.plans[found].times == 0 {
            self.plans.remove(found);
        }
        plan
    }

    /// Takes an order or refuses it; what is answered shows it before anything became of it.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn submit(&mut self, body: &Value, market: &Market, settings: &Settings) -> Result<Value, Refusal> {
        let ticket = Ticket::read(body)?;
        let client_order_id = ticket
            .client_order_id
            .clone()
            .unwrap_or_else(|| id::uuid(&format!("client {}", self.orders.len())));
        if self.by_client_order_id.contains_key(&client_order_id) {
            return Err(Refusal::invalid("client_order_id must be unique"));
        }
        let plan = self.take_plan(&client_order_id, &ticket.symbol);
        if let OnSubmit::Refuse { status, code, message, extras } = &plan.on_submit {
            let extras = extras.as_object().cloned().unwrap_or_default();
            return Err(Refusal { status: *status, code: *code, message: message.clone(), extras });
        }
        let Some(listing) = market.listing(&ticket.symbol) else {
            return Err(Refusal::unprocessable(format!("asset \"{}\" not found", ticket.symbol)));
        };
        let price = Self::price(market, &ticket.symbol, ticket.side);
        ticket.check(listing, market.now_ns(), price)?;
        self.check_account(&ticket, listing, market, price)?;

        let in_session = calendar::open_at(market.now_ns()).is_some();
        let status = if in_session || ticket.extended_hours { Status::PendingNew } else { Status::Accepted };
        let parent = self.enter(&ticket, client_order_id, listing.asset_id(), plan.clone(), market, status);
        let answer = self.orders[parent].nested(&self.orders);
        match plan.on_submit {
            OnSubmit::Hold | OnSubmit::Refuse { .. } => {}
            OnSubmit::Reject => self.end(parent, Status::Rejected, "rejected", market),
            OnSubmit::Accept => {
                if status == Status::PendingNew {
                    self.open(parent, market);
                    for part in plan.fills {
                        self.execute(parent, part.qty, part.price, market);
                    }
                    self.match_all(market, settings);
                } else {
                    self.announce(parent, "accepted", market, None);
                }
            }
        }
        Ok(answer)
    }

    /// What a share costs who buys it now, or brings who sells it.
    pub(super) fn price(market: &Market, symbol: &str, side: super::order::Side) -> Decimal {
        let quote = market.last_quote(symbol);
        Decimal::ten_thousandths(quote.map_or(0, |quote| match side {
            super::order::Side::Buy => quote.ask,
            super::order::Side::Sell => quote.bid,
        }))
    }

    /// Enters an order with its exits.
    fn enter(
        &mut self,
        ticket: &Ticket,
        client_order_id: String,
        asset_id: String,
        plan: Plan,
        market: &Market,
        status: Status,
    ) -> usize {
        let now_ns = market.now_ns();
        let place = self.orders.len();
        let oco = ticket.class == Class::Oco;
        let order = Order {
            id: id::uuid(&format!("order {place} {client_order_id}")),
            client_order_id,
            symbol: ticket.symbol.clone(),
            asset_id,
            side: ticket.side,
            kind: ticket.kind,
            time_in_force: ticket.time_in_force,
            class: ticket.class,
            quantity: ticket.quantity,
            notional: ticket.notional,
            limit_price: ticket.limit_price.or(if oco { ticket.take_profit } else { None }),
            stop_price: ticket.stop_price,
            trail_price: ticket.trail_price,
            trail_percent: ticket.trail_percent,
            high_water: None,
            extended_hours: ticket.extended_hours,
            status,
            triggered: false,
            live: true,
            executions: Vec::new(),
            legs: Vec::new(),
            parent: None,
            replaces: None,
            replaced_by: None,
            plan,
            times: Times {
                created: now_ns,
                updated: now_ns,
                expires: Some(Self::expiry(ticket.time_in_force, now_ns)),
                ..Times::default()
            },
        };
        let exit_side = if oco { ticket.side } else { ticket.side.opposite() };
        let gain = ticket.take_profit.filter(|_| !oco).map(|limit| (Kind::Limit, Some(limit), None));
        let loss = ticket.stop_loss.map(|(stop, limit)| {
            (if limit.is_some() { Kind::StopLimit } else { Kind::Stop }, limit, Some(stop))
        });
        let exits: Vec<Order> = [gain, loss]
            .into_iter()
            .flatten()
            .enumerate()
            .map(|(number, (kind, limit_price, stop_price))| Order {
                id: id::uuid(&format!("leg {place} {number}")),
                client_order_id: id::uuid(&format!("client leg {place} {number}")),
                side: exit_side,
                kind,
                limit_price,
                stop_price,
                status: Status::Held,
                live: oco,
                parent: Some(place),
                plan: Plan::default(),
                ..order.clone()
            })
            .collect();
        self.by_client_order_id.insert(order.client_order_id.clone(), place);
        self.orders.push(order);
        for exit in exits {
            let leg = self.orders.len();
            self.orders[place].legs.push(leg);
            self.by_client_order_id.insert(exit.client_order_id.clone(), leg);
            self.orders.push(exit);
        }
        place
    }

    /// When an order ends by itself.
    fn expiry(time_in_force: TimeInForce, now_ns: i64) -> i64 {
        if time_in_force == TimeInForce::Gtc {
            let date = calendar::date_of(now_ns) + Days::new(GTC_DAYS);
            return calendar::at(date, 16, 0);
        }
        calendar::next_close(now_ns).map_or(now_ns, |session| session.close_ns)
    }

    /// An order begins to work.
    pub(super) fn open(&mut self, place: usize, market: &Market) {
        self.set(place, Status::New, market);
        self.announce(place, "new", market, None);
    }

    pub(super) fn set(&mut self, place: usize, status: Status, market: &Market) {
        self.orders[place].status = status;
        self.orders[place].times.updated = market.now_ns();
    }

    /// An order ends without being filled, and what hangs on it with it.
    pub(super) fn end(&mut self, place: usize, status: Status, event: &str, market: &Market) {
        if self.orders[place].is_open() {
            self.end_alone(place, status, event, market);
            if status != Status::Replaced {
                self.end_related(place, market);
            }
        }
    }

    pub(super) fn end_alone(&mut self, place: usize, status: Status, event: &str, market: &Market) {
        self.set(place, status, market);
        let now = Some(market.now_ns());
        let times = &mut self.orders[place].times;
        match status {
            Status::Expired => times.expired = now,
            Status::Rejected => times.failed = now,
            Status::Replaced => times.replaced = now,
            _ => times.canceled = now,
        }
        self.announce(place, event, market, None);
    }

    /// Cancels what is open of a group of which one ended: the exits of an entry, the other one of a pair, and the entry of an
    /// exit.
    pub(super) fn end_related(&mut self, place: usize, market: &Market) {
        let order = &self.orders[place];
        let related: Vec<usize> = match order.parent {
            // The other exit; and an OCO's own order, which is an exit itself.
            Some(parent) if self.orders[parent].class == Class::Oco => vec![parent],
            Some(parent) => {
                let legs = self.orders[parent].legs.iter().copied();
                legs.filter(|leg| *leg != place).chain([parent]).collect()
            }
            None => order.legs.clone(),
        };
        for other in related {
            if self.orders[other].is_open() {
                self.end_alone(other, Status::Canceled, "canceled", market);
            }
        }
    }

    /// Takes a request to cancel.
    ///
    /// # Errors
    /// When the order is unknown, or has ended.
    pub fn cancel(&mut self, id: &str, market: &Market) -> Result<(), Refusal> {
        let place = self.find(id).ok_or_else(|| Refusal::missing(format!("order not found for {id}")))?;
        let status = self.orders[place].status;
        if status.is_final() || status == Status::PendingCancel {
            let message = format!("order is already in \"{}\" state", status.name());
            return Err(Refusal::unprocessable(message));
        }
        self.set(place, Status::PendingCancel, market);
        match self.orders[place].plan.on_cancel {
            OnRequest::Done => self.end(place, Status::Canceled, "canceled", market),
            OnRequest::Hold => self.announce(place, "pending_cancel", market, None),
            OnRequest::Filled => self.execute(place, None, None, market),
            OnRequest::Rejected => self.go_on(place, "order_cancel_rejected", market),
        }
        Ok(())
    }

    /// What was pending is not done, and the order works as before.
    pub(super) fn go_on(&mut self, place: usize, event: &str, market: &Market) {
        let partly = !self.orders[place].executions.is_empty();
        self.set(place, if partly { Status::PartiallyFilled } else { Status::New }, market);
        self.announce(place, event, market, None);
    }

    /// Takes a request to replace, and answers with the order that is to take the place.
    ///
    /// # Errors
    /// When the order is unknown or cannot be replaced, or the change is none.
    pub fn replace(&mut self, id: &str, body: &Value, market: &Market) -> Result<Value, Refusal> {
        let place = self.find(id).ok_or_else(|| Refusal::missing(format!("order not found for {id}")))?;
        let old = self.orders[place].clone();
        let waits = [
            Status::Accepted,
            Status::PendingNew,
            Status::PendingCancel,
            Status::PendingReplace,
            Status::Held,
        ];
        if old.status.is_final() {
            let message = format!("order is already in \"{}\" state", old.status.name());
            return Err(Refusal::unprocessable(message));
        }
        if waits.contains(&old.status) {
            let message = format!("unable to replace order, order is in \"{}\" state", old.status.name());
            return Err(Refusal::unprocessable(message));
        }
        let mut new = Self::changed(&old, body)?;
        let next = self.orders.len();
        new.client_order_id = body["client_order_id"]
            .as_str()
            .map_or_else(|| id::uuid(&format!("client {next}")), str::to_owned);
        if self.by_client_order_id.contains_key(&new.client_order_id) {
            return Err(Refusal::invalid("client_order_id must be unique"));
        }
        new.id = id::uuid(&format!("order {next} {}", new.client_order_id));
        let now_ns = market.now_ns();
        new.times =
            Times { created: now_ns, updated: now_ns, expires: old.times.expires, ..Times::default() };
        (new.status, new.live, new.replaces) = (Status::Accepted, false, Some(place));
        self.by_client_order_id.insert(new.client_order_id.clone(), next);
        self.orders.push(new);
        self.orders[place].replaced_by = Some(next);
        self.set(place, Status::PendingReplace, market);
        let answer = self.orders[next].nested(&self.orders);
        match old.plan.on_replace {
            OnRequest::Done => self.complete_replacement(place, market),
            OnRequest::Hold => self.announce(place, "pending_replace", market, None),
            OnRequest::Filled => {
                self.execute(place, None, None, market);
                self.refuse_replacement(place, market);
            }
            OnRequest::Rejected => self.refuse_replacement(place, market),
        }
        Ok(answer)
    }

    /// The order with its new terms.
    fn changed(old: &Order, body: &Value) -> Result<Order, Refusal> {
        let mut new = old.clone();
        let read = |name: &str| match &body[name] {
            Value::Null => Ok(None),
            value => Decimal::from_json(value)
                .map(Some)
                .ok_or_else(|| Refusal::invalid(format!("invalid {name}: {value}"))),
        };
        if old.notional.is_some() {
            return Err(Refusal::unprocessable("notional orders cannot be replaced"));
        }
        if let Some(quantity) = read("qty")? {
            if matches!(old.class, Class::Bracket | Class::Oto) {
                return Err(Refusal::unprocessable("qty of a bracket or oto order cannot be changed"));
            }
            if !quantity.is_whole() || old.quantity.is_some_and(|old| !old.is_whole()) {
                return Err(Refusal::unprocessable("qty of a fractional order cannot be changed"));
            }
            if quantity <= old.filled() {
                return Err(Refusal::unprocessable("qty must be > filled_qty"));
            }
            new.quantity = Some(quantity);
        }
        let (limit, stop, trail) = (read("limit_price")?, read("stop_price")?, read("trail")?);
        check_tick("limit_price", limit)?;
        check_tick("stop_price", stop)?;
        new.limit_price = limit.or(old.limit_price);
        new.stop_price = stop.or(old.stop_price);
        if let Some(trail) = trail {
            new.trail_price = old.trail_price.map(|_| trail);
            new.trail_percent = old.trail_percent.map(|_| trail);
        }
        if !body["time_in_force"].is_null() {
            new.time_in_force = serde_json::from_value(body["time_in_force"].clone())
                .map_err(|_| Refusal::invalid("invalid time_in_force"))?;
        }
        let terms = |order: &Order| {
            let trail = (order.trail_price, order.trail_percent);
            (order.quantity, order.limit_price, order.stop_price, trail, order.time_in_force)
        };
        if terms(&new) == terms(old) {
            return Err(Refusal::unprocessable("order parameters are not changed"));
        }
        Ok(new)
    }

    /// The replacement takes the order's place, with its executions and its exits.
    pub(super) fn complete_replacement(&mut self, place: usize, market: &Market) {
        let Some(next) = self.orders[place].replaced_by else { return };
        if self.orders[place].status != Status::PendingReplace {
            return;
        }
        self.end(place, Status::Replaced, "replaced", market);
        let legs = std::mem::take(&mut self.orders[place].legs);
        for leg in &legs {
            self.orders[*leg].parent = Some(next);
        }
        self.orders[next].legs = legs;
        if let Some(parent) = self.orders[next].parent {
            for leg in &mut self.orders[parent].legs {
                if *leg == place {
                    *leg = next;
                }
            }
        }
        self.orders[next].executions = self.orders[place].executions.clone();
        self.orders[next].live = true;
        self.open(next, market);
    }

    /// The replacement does not take the order's place.
    pub(super) fn refuse_replacement(&mut self, place: usize, market: &Market) {
        let Some(next) = self.orders[place].replaced_by.take() else { return };
        if self.orders[place].status == Status::PendingReplace {
            self.go_on(place, "order_replace_rejected", market);
        } else {
            self.announce(place, "order_replace_rejected", market, None);
        }
        self.set(next, Status::Rejected, market);
        self.orders[next].times.failed = Some(market.now_ns());
    }

    /// Says that something happened to an order; with the execution, if it is one.
    pub(super) fn announce(&mut self, place: usize, event: &str, market: &Market, execution: Option<&Value>) {
        self.update_count += 1;
        let now_ns = market.now_ns();
        let order = &self.orders[place];
        let held = self.book.positions.get(&order.symbol).map_or(Decimal::ZERO, Position::quantity);
        let ms = u64::try_from(now_ns / (SECOND / 1_000)).unwrap_or_default();
        let mut data = json!({
            "event": event,
            "event_id": id::ulid(ms, self.update_count),
            "execution_id": id::uuid(&format!("update {}", self.update_count)),
            "at": wire::rfc3339(now_ns),
            "timestamp": wire::rfc3339(now_ns),
            "position_qty": held,
            "order": order.nested(&self.orders),
        });
        for (name, value) in execution.and_then(Value::as_object).into_iter().flatten() {
            data[name] = value.clone();
        }
        self.updates.push(Update { sequence: self.update_count, event: event.to_owned(), data });
    }
}
