//! Several brokers as one: each account at its own, everything else at the simulated one.
//!
//! Deliberately absent: any decision; an order goes where its account is.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

use async_trait::async_trait;
use contracts::v1::{Costs, OrderSpec, TradingMode};
use domain::book::Book;
use domain::order::{BrokerTruth, OrderState};

use crate::port::{
    Booked, Broker, BrokerAccount, BrokerError, BrokerOrder, BrokerPosition, ListedOrder, MarketEvent,
    Outgoing, Report,
};
use crate::simulated::SimulatedBroker;

/// Brokers by account.
pub struct Routed {
    simulated: SimulatedBroker,
    outside: BTreeMap<String, Box<dyn Broker>>,
}

impl Routed {
    /// Accounts that `outside` does not name are traded by `simulated`.
    #[must_use]
    pub fn new(simulated: SimulatedBroker, outside: BTreeMap<String, Box<dyn Broker>>) -> Self {
        Self { simulated, outside }
    }

    fn of(&mut self, account: &str) -> &mut dyn Broker {
        match self.outside.get_mut(account) {
            Some(broker) => broker.as_mut(),
            None => &mut self.simulated,
        }
    }

    fn look(&self, account: &str) -> &dyn Broker {
        match self.outside.get(account) {
            Some(broker) => broker.as_ref(),
            None => &self.simulated,
        }
    }
}

#[async_trait]
impl Broker for Routed {
    fn name(&self) -> &'static str {
        self.simulated.name()
    }

    fn name_of(&self, account: &str) -> &'static str {
        self.look(account).name()
    }

    fn mode_of(&self, account: &str) -> TradingMode {
        self.look(account).mode_of(account)
    }

    fn is_remote(&self) -> bool {
        !self.outside.is_empty()
    }

    fn is_remote_for(&self, account: &str) -> bool {
        self.look(account).is_remote()
    }

    async fn submit(
        &mut self,
        order: &OrderSpec,
        client_order_id: &str,
        now_ns: i64,
    ) -> Result<Vec<Report>, BrokerError> {
        self.of(&order.account).submit(order, client_order_id, now_ns).await
    }

    async fn submit_all(&mut self, orders: &[Outgoing]) -> Vec<Result<Vec<Report>, BrokerError>> {
        let mut outcomes = Vec::with_capacity(orders.len());
        let by_account: Vec<&[Outgoing]> =
            orders.chunk_by(|one, next| one.order.account == next.order.account).collect();
        for own in by_account {
            let account = own.first().map_or("", |first| first.order.account.as_str());
            outcomes.extend(self.of(account).submit_all(own).await);
        }
        outcomes
    }

    async fn submit_pair(
        &mut self,
        pair: [&OrderSpec; 2],
        now_ns: i64,
    ) -> Result<Option<Vec<Report>>, BrokerError> {
        self.of(&pair[0].account).submit_pair(pair, now_ns).await
    }

    async fn submit_with_exits(
        &mut self,
        entry: &Outgoing,
        exits: &[&OrderSpec],
    ) -> Result<Option<Vec<Report>>, BrokerError> {
        self.of(&entry.order.account).submit_with_exits(entry, exits).await
    }

    async fn cancel(
        &mut self,
        order: &OrderSpec,
        client_order_id: &str,
        now_ns: i64,
    ) -> Result<Vec<Report>, BrokerError> {
        self.of(&order.account).cancel(order, client_order_id, now_ns).await
    }

    async fn replace(&mut self, order: &OrderState, now_ns: i64) -> Result<Vec<Report>, BrokerError> {
        self.of(&order.spec.account).replace(order, now_ns).await
    }

    async fn truth(&mut self, order: &OrderState) -> Result<Option<BrokerTruth>, BrokerError> {
        self.of(&order.spec.account).truth(order).await
    }

    async fn positions(&mut self, account: &str) -> Result<Option<Vec<BrokerPosition>>, BrokerError> {
        self.of(account).positions(account).await
    }

    async fn listed_orders(&mut self, account: &str) -> Result<Option<Vec<ListedOrder>>, BrokerError> {
        self.of(account).listed_orders(account).await
    }

    async fn account(&mut self, account: &str) -> Result<Option<BrokerAccount>, BrokerError> {
        self.of(account).account(account).await
    }

    async fn activities(&mut self, account: &str, after_ns: i64) -> Result<Option<Booked>, BrokerError> {
        self.of(account).activities(account, after_ns).await
    }

    async fn lookup(
        &mut self,
        order: &OrderSpec,
        client_order_id: &str,
    ) -> Result<Option<BrokerOrder>, BrokerError> {
        self.of(&order.account).lookup(order, client_order_id).await
    }

    async fn reports(&mut self) -> Result<Vec<Report>, BrokerError> {
        type Said<'broker> = dyn Future<Output = Result<Vec<Report>, BrokerError>> + Send + 'broker;
        let mut listening: Vec<Pin<Box<Said<'_>>>> =
            self.outside.values_mut().map(|broker| broker.reports()).collect();
        // Each is cancel-safe: what is dropped here has said nothing.
        std::future::poll_fn(move |context| {
            let said = listening.iter_mut().find_map(|next| match next.as_mut().poll(context) {
                Poll::Ready(said) => Some(said),
                Poll::Pending => None,
            });
            said.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    fn on_market(&mut self, event: MarketEvent<'_>) -> Vec<Report> {
        self.simulated.on_market(event)
    }

    fn on_adjusted(&mut self, order: &OrderState) {
        if !self.is_remote_for(&order.spec.account) {
            self.simulated.on_adjusted(order);
        }
    }

    fn set_costs(&mut self, account: &str, costs: Costs) {
        self.of(account).set_costs(account, costs);
    }

    fn refresh(&mut self, book: &Book) -> Result<(), BrokerError> {
        self.simulated.refresh(book)
    }

    fn forget(&mut self, order_id: &str) -> Vec<Report> {
        self.simulated.forget(order_id)
    }
}
