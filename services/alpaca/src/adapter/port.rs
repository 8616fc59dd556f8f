//! The broker port's questions as Alpaca's requests.

use std::sync::Arc;

use async_trait::async_trait;
use broker::{
    ALPACA, Booked, Broker, BrokerAccount, BrokerError, BrokerOrder, BrokerPosition, ListedOrder, Outgoing,
    Report, StateAtBroker,
};
use contracts::client_order_id;
use contracts::v1::{OrderSpec, TradingMode};
use domain::money::Quantity;
use domain::order::{BrokerReport, BrokerTruth, OrderState, Standing};

use super::{Alpaca, CANCEL_AGAIN, DAY_NS, Found, SIDE_BY_SIDE, is_known_already, refusal};
use crate::gate;
use crate::moved;
use crate::rules;
use crate::stream::{Item, Stream};
use crate::truth::{self, Executions};
use crate::wire::{self, Number, Order};

#[async_trait]
impl Broker for Alpaca {
    fn name(&self) -> &'static str {
        ALPACA
    }

    fn mode_of(&self, _account: &str) -> TradingMode {
        self.config.mode
    }

    fn is_remote(&self) -> bool {
        true
    }

    async fn submit(
        &mut self,
        order: &OrderSpec,
        client: &str,
        _now_ns: i64,
    ) -> Result<Vec<Report>, BrokerError> {
        match self.prepared(order, &[], client).await? {
            Ok(ticket) => {
                let answer = self.api.submit(&ticket).await;
                self.taken(order, client, answer).await
            }
            Err(refused) => Ok(refused),
        }
    }

    async fn submit_all(&mut self, orders: &[Outgoing]) -> Vec<Result<Vec<Report>, BrokerError>> {
        let mut outcomes = Vec::with_capacity(orders.len());
        for some in orders.chunks(SIDE_BY_SIDE) {
            outcomes.extend(self.side_by_side(some).await);
        }
        outcomes
    }

    async fn submit_pair(
        &mut self,
        [target, stop]: [&OrderSpec; 2],
        _now_ns: i64,
    ) -> Result<Option<Vec<Report>>, BrokerError> {
        let client = client_order_id(&target.order_id);
        let rejected = |reason: &str| {
            let report = |order| Self::report(order, BrokerReport::Rejected { reason: reason.to_owned() });
            Some([report(target), report(stop)].concat())
        };
        let ticket = match rules::pair(target, stop, &client) {
            Ok(ticket) => ticket,
            Err(reason) => return Ok(rejected(&reason)),
        };
        for exit in [target, stop] {
            self.end_leg(exit).await?;
        }
        self.waited.remove(&client);
        self.stops.insert(client.clone(), stop.order_id.clone());
        let answer = self.api.submit(&ticket).await.map_err(|error| Self::unknown("submit", error))?;
        if is_known_already(&answer) {
            let first = self.landed(target, &client).await?;
            let second = self.landed(stop, &client_order_id(&stop.order_id)).await?;
            return Ok(Some([first, second].concat()));
        }
        Ok(match self.answered(target, &answer)? {
            Ok(taken) => {
                let leg = taken.legs.as_ref().and_then(|legs| legs.first()).map(|leg| leg.id.clone());
                let leg =
                    leg.ok_or_else(|| Self::unknown("submit", "a pair of exits came without its stop"))?;
                self.known.learn(&taken.id, &target.order_id);
                self.known.learn(&leg, &stop.order_id);
                self.stops.remove(&client);
                let accepted =
                    |order, id| Self::report(order, BrokerReport::Accepted { broker_order_id: id });
                Some([accepted(target, taken.id), accepted(stop, leg)].concat())
            }
            Err(reason) => {
                self.stops.remove(&client);
                rejected(&reason)
            }
        })
    }

    async fn submit_with_exits(
        &mut self,
        entry: &Outgoing,
        exits: &[&OrderSpec],
    ) -> Result<Option<Vec<Report>>, BrokerError> {
        let Outgoing { order, client_order_id: client, .. } = entry;
        let said = match self.prepared(order, exits, client).await? {
            Ok(ticket) => {
                let answer = self.api.submit(&ticket).await;
                self.taken(order, client, answer).await?
            }
            Err(refused) => refused,
        };
        Ok(Some(said))
    }

    async fn cancel(
        &mut self,
        order: &OrderSpec,
        client: &str,
        _now_ns: i64,
    ) -> Result<Vec<Report>, BrokerError> {
        let unknown = |error| Self::unknown("cancel", error);
        let Some(id) = self.id_of(order, client).await.map_err(unknown)? else {
            let reason = "Alpaca does not know the order".to_owned();
            return Ok(Self::report(order, BrokerReport::CancelRejected { reason }));
        };
        let now_ns = self.clock.now_ns();
        let again_ns = i64::try_from(CANCEL_AGAIN.as_nanos()).unwrap_or(i64::MAX);
        let asked_ns = self.cancelling.get(&id).copied();
        let mut refused = None;
        if asked_ns.is_none() {
            self.cancelling.insert(id.clone(), now_ns);
            let answer = self.api.cancel(&id).await.map_err(unknown)?;
            match answer.status {
                // The end comes as such, or as a fill that was quicker.
                200 | 204 => return Ok(Vec::new()),
                404 | 422 => refused = Some(refusal(&answer, &self.config.credentials).1),
                _ => {
                    self.cancelling.remove(&id);
                    return Err(Self::unknown("cancel", refusal(&answer, &self.config.credentials).1));
                }
            }
        }
        // It was asked for already, or cannot be done: the order itself says what became of it.
        let Some(found) = self.api.order(&id).await.map_err(unknown)? else {
            let reason = refused.unwrap_or_else(|| "Alpaca does not know the order".to_owned());
            return Ok(Self::report(order, BrokerReport::CancelRejected { reason }));
        };
        let (newest, _) = self.newest(found).await.map_err(unknown)?;
        self.known.learn(&newest.id, &order.order_id);
        let pending = newest.is_pending();
        let known = self.known_as(order, client, newest).await.map_err(unknown)?;
        if known.state == StateAtBroker::Ended {
            self.cancelling.remove(&id);
            return Ok(known.reports);
        }
        if let Some(reason) = refused.filter(|_| !pending) {
            self.cancelling.remove(&id);
            return Ok(Self::report(order, BrokerReport::CancelRejected { reason }));
        }
        if asked_ns.is_some_and(|asked_ns| now_ns.saturating_sub(asked_ns) >= again_ns) && !pending {
            // It works on, so that the request was lost, or refused without a word.
            self.cancelling.remove(&id);
        }
        Ok(Vec::new())
    }

    async fn replace(&mut self, order: &OrderState, _now_ns: i64) -> Result<Vec<Report>, BrokerError> {
        let Some(replace) = &order.replace else { return Ok(Vec::new()) };
        let rejected =
            |reason: String| Ok(Self::report(&order.spec, BrokerReport::ReplaceRejected { reason }));
        let mut body = serde_json::json!({"client_order_id": replace.client_order_id});
        if replace.quantity != Quantity(order.spec.quantity_e9) {
            if replace.quantity.whole() != replace.quantity || rules::is_fractional(&order.spec) {
                return rejected("parts of a share cannot be replaced at Alpaca".to_owned());
            }
            body["qty"] = replace.quantity.to_string().into();
        }
        let prices = [
            ("limit_price", replace.limit, order.spec.limit_price_e9),
            ("stop_price", replace.stop, order.spec.stop_price_e9),
        ];
        for (name, price, before) in prices {
            if let Some(price) = price.filter(|price| Some(price.0) != before) {
                if let Err(reason) = rules::tick(&name.replace('_', " "), price) {
                    return rejected(reason);
                }
                body[name] = price.to_string().into();
            }
        }
        let unknown = |error| Self::unknown("replace", error);
        let Some(id) = self.id_of(&order.spec, &order.client_order_id).await.map_err(unknown)? else {
            return rejected("Alpaca does not know the order".to_owned());
        };
        self.waited.remove(&replace.client_order_id);
        let answer = self.api.replace(&id, &body).await.map_err(unknown)?;
        if is_known_already(&answer) {
            return Ok(match self.lookup(&order.spec, &replace.client_order_id).await? {
                Some(known) => known.reports,
                None => Vec::new(),
            });
        }
        match answer.status {
            // That it was taken is no proof: `replaced` or its refusal is.
            200 => Ok(Vec::new()),
            400 | 403 | 404 | 422 => {
                // Asked again, they are refused because the order is worked with them already.
                let (mut newest, client) = (None, &replace.client_order_id);
                if let Some(found) = self.api.order(&id).await.map_err(unknown)? {
                    newest = Some(self.newest(found).await.map_err(unknown)?.0);
                }
                match newest.filter(|newest| newest.client_order_id == *client) {
                    Some(newest) => {
                        Ok(self.known_as(&order.spec, client, newest).await.map_err(unknown)?.reports)
                    }
                    None => rejected(refusal(&answer, &self.config.credentials).1),
                }
            }
            _ => Err(Self::unknown("replace", refusal(&answer, &self.config.credentials).1)),
        }
    }

    async fn truth(&mut self, order: &OrderState) -> Result<Option<BrokerTruth>, BrokerError> {
        let unknown = |error| Self::unknown("look up", error);
        let found = match order.broker_order_id.as_str() {
            "" => match self.find(&order.spec, &order.client_order_id).await.map_err(unknown)? {
                Some(Found::Order(found)) => Some(found),
                Some(Found::Held(_)) | None => None,
            },
            id => self.by_id(id).await.map_err(unknown)?,
        };
        let Some(found) = found else { return Ok(None) };
        let (newest, mut chain) = self.newest(found).await.map_err(unknown)?;
        chain.extend(order.chain.iter().map(|revision| revision.broker_order_id.clone()));
        self.known.learn(&newest.id, order.id());
        match self.executions(&newest, chain, &order.executions).await.map_err(unknown)? {
            Executions::All(executions) => Ok(Some(truth::truth(order, &newest, executions))),
            Executions::Lagging => {
                Err(Self::unknown("look up", format!("not every execution of {} is listed yet", newest.id)))
            }
        }
    }

    async fn positions(&mut self, _account: &str) -> Result<Option<Vec<BrokerPosition>>, BrokerError> {
        let unknown = |error| Self::unknown("positions", error);
        let held = self.api.positions().await.map_err(unknown)?;
        // Without a symbol nobody knows of what the numbers are, and what is not listed passes for gone.
        if held.iter().any(|position| position.symbol.is_empty()) {
            return Err(Self::unknown("positions", "a position's symbol is missing"));
        }
        Ok(Some(held.into_iter().map(holding).collect()))
    }

    async fn listed_orders(&mut self, _account: &str) -> Result<Option<Vec<ListedOrder>>, BrokerError> {
        let now_ns = self.clock.now_ns();
        let day_ago = chrono::DateTime::from_timestamp_nanos(now_ns.saturating_sub(DAY_NS));
        let after = day_ago.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        let unknown = |error| Self::unknown("list orders", error);
        let all = self.api.orders(&after).await.map_err(unknown)?;
        self.learn_listed(&all).await.map_err(unknown)?;
        self.listed = all.iter().map(|order| (order.id.clone(), order.clone())).collect();
        self.listed_ns = now_ns;
        let told = |order: Order| {
            let ours = self.known.order_of(&order);
            let size = order.qty.as_ref().and_then(Number::quantity).map(|shares| shares.to_string());
            ListedOrder {
                open: matches!(truth::standing(&order), Standing::Working | Standing::Suspended(_))
                    && order.status != "replaced",
                filled: order.filled_qty.as_ref().and_then(Number::quantity),
                average: order.filled_avg_price.as_ref().and_then(Number::price),
                client_order_id: ours.map_or(order.client_order_id, |order_id| client_order_id(&order_id)),
                terms: format!("{} {} at {}", order.side, size.unwrap_or_default(), order.kind),
                broker_order_id: order.id,
                symbol: order.symbol,
            }
        };
        Ok(Some(all.into_iter().map(told).collect()))
    }

    async fn account(&mut self, _account: &str) -> Result<Option<BrokerAccount>, BrokerError> {
        let account = self.api.account().await.map_err(|error| Self::unknown("account", error))?;
        self.gate.saw(&account);
        let amount = |number: &Number| number.amount().unwrap_or_default();
        Ok(Some(BrokerAccount {
            blocked: gate::blocked(&account),
            cash: amount(&account.cash),
            equity: amount(&account.equity),
            buying_power: amount(&account.buying_power),
            number: account.account_number,
        }))
    }

    async fn activities(&mut self, _account: &str, after_ns: i64) -> Result<Option<Booked>, BrokerError> {
        let unknown = |error| Self::unknown("activities", error);
        // Of some no more than the day is known, so that the list is read from the day before on.
        let after = wire::written(after_ns.saturating_sub(DAY_NS));
        let told = self.api.movements(&after).await.map_err(unknown)?;
        let mut booked = Booked::default();
        for movement in told {
            match moved::activity(movement) {
                Ok(activity) => booked.activities.push(activity),
                Err(what) => booked.unread.push(what),
            }
        }
        booked.activities.retain(|activity| activity.at_ns > after_ns);
        booked.activities.sort_by(|one, other| (one.at_ns, &one.id).cmp(&(other.at_ns, &other.id)));
        Ok(Some(booked))
    }

    async fn lookup(&mut self, order: &OrderSpec, client: &str) -> Result<Option<BrokerOrder>, BrokerError> {
        let unknown = |error| Self::unknown("look up", error);
        match self.find(order, client).await.map_err(unknown)? {
            Some(Found::Order(found)) => self.known_as(order, client, found).await.map(Some).map_err(unknown),
            Some(Found::Held(leg)) => {
                let (state, reports) = (StateAtBroker::Working, Vec::new());
                Ok(Some(BrokerOrder { broker_order_id: leg.id, state, reports }))
            }
            None => Ok(None),
        }
    }

    async fn reports(&mut self) -> Result<Vec<Report>, BrokerError> {
        let stream = self.stream.get_or_insert_with(|| {
            let (api, known) = (Arc::clone(&self.api), Arc::clone(&self.known));
            Stream::start(self.config.clone(), api, known, Arc::clone(&self.clock))
        });
        let item = stream.next().await;
        // What was listed is older than what is heard.
        self.listed.clear();
        match item {
            Some(Item::Said(reports)) => Ok(reports),
            Some(Item::Heard) => Err(BrokerError::Missed { broker: ALPACA.to_owned() }),
            Some(Item::Lost(why)) => Err(Self::unknown("listen", why)),
            None => {
                self.stream = None;
                Err(Self::unknown("listen", "the listening task ended"))
            }
        }
    }
}

/// A position as the port has it.
fn holding(position: wire::Position) -> BrokerPosition {
    let price = position.price();
    let unread = match (position.qty.quantity(), position.cost_basis.amount()) {
        (Some(quantity), Some(cost)) => {
            // A short position is below nought, whichever way it is written.
            let short = position.side == "short" || quantity < Quantity::ZERO;
            let quantity = if short { Quantity(-quantity.0.abs()) } else { quantity };
            let cost = if short { -cost.abs() } else { cost };
            return BrokerPosition { symbol: position.symbol, quantity, cost, price, unread: None };
        }
        (None, _) => "qty is no number",
        (_, None) => "cost_basis is no number",
    };
    let unread = Some(format!("position {}: {unread}", position.symbol));
    BrokerPosition { symbol: position.symbol, price, unread, ..BrokerPosition::default() }
}
