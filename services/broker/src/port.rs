//! The port: what execution may ask of a broker.

use async_trait::async_trait;
use contracts::v1::{Costs, OrderSpec};
use domain::bar::Bar;
use domain::book::Book;
use domain::calendar::Session;
use domain::matching::kernel::Bounds;
use domain::money::{Amount, Quantity};
use domain::order::{BrokerReport, BrokerTruth, OrderState};

/// What a broker says of one order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Order, by our id.
    pub order_id: String,
    /// What it says.
    pub report: BrokerReport,
}

/// Whether a broker has an order, and how it stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateAtBroker {
    /// It works it.
    Working,
    /// It has ended there; the reports say how.
    Ended,
}

/// An order as the broker knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerOrder {
    /// Broker's own id.
    pub broker_order_id: String,
    /// How it stands.
    pub state: StateAtBroker,
    /// Everything the broker reports of the order so far, oldest first. Folding reports that are known
    /// already adds nothing.
    pub reports: Vec<Report>,
}

/// What a broker holds in one symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerPosition {
    /// Symbol.
    pub symbol: String,
    /// Shares, negative when short.
    pub quantity: Quantity,
    /// Total cost, of the quantity's sign.
    pub cost: Amount,
}

/// Why a broker gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// Nothing is known of what became of the request: ask with [`Broker::lookup`] before anything else.
    #[error("broker {broker}: {doing}: no answer")]
    Unknown {
        /// Broker adapter.
        broker: String,
        /// What was asked.
        doing: String,
        /// Cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The request is wrong and repeating it cannot help.
    #[error("broker {broker}: {doing}: {problem}")]
    Refused {
        /// Broker adapter.
        broker: String,
        /// What was asked.
        doing: String,
        /// Value and expectation in words.
        problem: String,
    },
}

/// What the market did, for a broker that lives on the tape's market instead of a real one.
#[derive(Clone, Copy, Debug)]
pub enum MarketEvent<'tape> {
    /// A bar closed.
    Bar {
        /// Symbol.
        symbol: &'tape str,
        /// The bar.
        bar: &'tape Bar,
        /// The regular session that it overlaps, where there is one.
        session: Option<&'tape Session>,
    },
    /// The regular session closed.
    SessionClosed {
        /// Its open and its close.
        session: Bounds,
    },
}

/// A broker.
#[async_trait]
pub trait Broker: Send + Sync {
    /// Name of the adapter, as `order_submitted.broker` states it.
    fn name(&self) -> &'static str;

    /// Sends an order under `client_order_id`. Its intent is on the tape already; `now_ns` is the event time
    /// of that intent, also when it is sent again after a restart. Sending the same id again answers with
    /// what became of it and works nothing twice.
    async fn submit(
        &mut self,
        order: &OrderSpec,
        client_order_id: &str,
        now_ns: i64,
    ) -> Result<Vec<Report>, BrokerError>;

    /// Asks to cancel an order that was submitted.
    async fn cancel(
        &mut self,
        order: &OrderSpec,
        client_order_id: &str,
        now_ns: i64,
    ) -> Result<Vec<Report>, BrokerError>;

    /// Asks to work `order` under the new terms that it states (`order.replace`), with their client order id. The
    /// intent is on the tape already. Asking again answers with what became of it.
    async fn replace(&mut self, order: &OrderState, _now_ns: i64) -> Result<Vec<Report>, BrokerError> {
        let reason = format!("broker {} replaces no orders", self.name());
        let report = BrokerReport::ReplaceRejected { reason };
        Ok(vec![Report { order_id: order.id().to_owned(), report }])
    }

    /// How `order` stands at the broker as a whole, where it can say so; `None` of a broker that only reports.
    async fn truth(&mut self, _order: &OrderState) -> Result<Option<BrokerTruth>, BrokerError> {
        Ok(None)
    }

    /// What the broker holds on an account, by symbol, netted over strategies; `None` of a broker that holds only what
    /// its orders have filled.
    async fn positions(&mut self, _account: &str) -> Result<Option<Vec<BrokerPosition>>, BrokerError> {
        Ok(None)
    }

    /// What the broker knows under `client_order_id`; `None` when it never got such an order.
    async fn lookup(&mut self, client_order_id: &str) -> Result<Option<BrokerOrder>, BrokerError>;

    /// Waits for reports that nobody asked for. Cancel-safe. A broker that reports only upon requests and
    /// market events never returns.
    async fn reports(&mut self) -> Result<Vec<Report>, BrokerError>;

    /// Takes what the market on the tape did. A broker with a market of its own passes over it.
    fn on_market(&mut self, _event: MarketEvent<'_>) -> Vec<Report> {
        Vec::new()
    }

    /// Takes the new terms of a working order after a split. A real broker restates orders itself.
    fn on_adjusted(&mut self, _order: &OrderState) {}

    /// Takes an account's costs, from its configuration. A real broker has its own.
    fn set_costs(&mut self, _account: &str, _costs: Costs) {}

    /// Whether it lives outside of this process and goes on without it: what it says may be missed, so that it is
    /// asked again after a start, after an interruption and now and then.
    fn is_remote(&self) -> bool {
        false
    }

    /// Takes note that the tape ended an order for a reason of its own, such as a reverse split. Orders that
    /// depend on it may end with it.
    fn forget(&mut self, _order_id: &str) -> Vec<Report> {
        Vec::new()
    }
}

/// Makes the broker that execution speaks to.
pub trait Brokers: Send + Sync {
    /// The broker as of `book`: one without a world outside works the accepted open orders that it states.
    fn resume(&self, book: &Book) -> Result<Box<dyn Broker>, BrokerError>;
}
