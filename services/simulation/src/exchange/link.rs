//! A connection to the exchange: what execution asks of it, and what does not arrive.

use std::task::Poll;

use async_trait::async_trait;
use broker::{Broker, BrokerError, BrokerOrder, Brokers, Report, StateAtBroker};
use contracts::v1::OrderSpec;
use domain::book::Book;
use domain::order::{BrokerReport, BrokerTruth, OrderState};
use runtime::clock;

use super::held::broker_order_id;
use super::{Exchange, NAME};
use crate::executor::yield_now;
use crate::fate::Fault;

impl Brokers for Exchange {
    fn resume(&self, _book: &Book) -> Result<Box<dyn Broker>, BrokerError> {
        Ok(Box::new(Link { exchange: self.clone() }))
    }
}

/// One connection to the exchange.
struct Link {
    exchange: Exchange,
}

impl Link {
    async fn reach(&self, doing: &str) -> Result<(), BrokerError> {
        yield_now().await;
        if self.exchange.fate.strikes(Fault::BrokerTimeoutBefore, doing) {
            return Err(unknown(doing));
        }
        Ok(())
    }

    async fn back(&self, doing: &str) -> Result<(), BrokerError> {
        yield_now().await;
        if self.exchange.fate.strikes(Fault::BrokerTimeoutAfter, doing) {
            return Err(unknown(doing));
        }
        Ok(())
    }
}

fn unknown(doing: &str) -> BrokerError {
    BrokerError::Unknown {
        broker: NAME.to_owned(),
        doing: doing.to_owned(),
        source: "no answer in time".into(),
    }
}

#[async_trait]
impl Broker for Link {
    fn name(&self) -> &'static str {
        NAME
    }

    fn is_remote(&self) -> bool {
        true
    }

    async fn submit(
        &mut self,
        order: &OrderSpec,
        client_order_id: &str,
        now_ns: i64,
    ) -> Result<Vec<Report>, BrokerError> {
        self.reach("submit").await?;
        let reports = self.exchange.submit(order, client_order_id, now_ns);
        self.back("submit").await?;
        Ok(reports)
    }

    async fn cancel(
        &mut self,
        order: &OrderSpec,
        client_order_id: &str,
        now_ns: i64,
    ) -> Result<Vec<Report>, BrokerError> {
        self.reach("cancel").await?;
        self.exchange.cancel(order, client_order_id, now_ns);
        self.back("cancel").await?;
        Ok(Vec::new())
    }

    async fn replace(&mut self, order: &OrderState, now_ns: i64) -> Result<Vec<Report>, BrokerError> {
        if !self.exchange.abilities.replaces {
            let reason = format!("broker {NAME} replaces no orders");
            let report = BrokerReport::ReplaceRejected { reason };
            return Ok(vec![Report { order_id: order.id().to_owned(), report }]);
        }
        self.reach("replace").await?;
        self.exchange.replace(order, now_ns);
        self.back("replace").await?;
        Ok(Vec::new())
    }

    async fn truth(&mut self, order: &OrderState) -> Result<Option<BrokerTruth>, BrokerError> {
        if !self.exchange.abilities.truth {
            return Ok(None);
        }
        self.reach("truth").await?;
        let state = self.exchange.lock();
        let client = state.first(&order.client_order_id);
        Ok(state.orders.get(&client).map(|held| held.truth(&client)))
    }

    async fn lookup(
        &mut self,
        _order: &OrderSpec,
        client_order_id: &str,
    ) -> Result<Option<BrokerOrder>, BrokerError> {
        self.reach("lookup").await?;
        let state = self.exchange.lock();
        Ok(state.held(client_order_id).map(|held| BrokerOrder {
            broker_order_id: broker_order_id(&held.spec.order_id),
            state: if held.working { StateAtBroker::Working } else { StateAtBroker::Ended },
            reports: held.history.clone(),
        }))
    }

    async fn reports(&mut self) -> Result<Vec<Report>, BrokerError> {
        let exchange = self.exchange.clone();
        std::future::poll_fn(move |context| {
            let mut state = exchange.lock();
            let mut said = Vec::new();
            while let Some(entry) = state.outbox.first_entry().filter(|entry| entry.key().0 <= clock::now()) {
                said.push(entry.remove());
            }
            if !said.is_empty() {
                return Poll::Ready(Ok(said));
            }
            state.listener = Some(context.waker().clone());
            if let Some(((at, _), _)) = state.outbox.first_key_value() {
                clock::wake_at(*at, context.waker());
            }
            Poll::Pending
        })
        .await
    }
}
