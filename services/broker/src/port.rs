//! The port: what execution may ask of a broker.

use async_trait::async_trait;
use contracts::v1::{Costs, OrderSpec, TradingMode};
use domain::bar::Bar;
use domain::book::Book;
use domain::calendar::Session;
use domain::matching::kernel::Bounds;
use domain::money::{Amount, Price, Quantity};
use domain::order::{BrokerReport, BrokerTruth, Executed, OrderState};

/// How far a broker's average price may be from the exact one, per share, in 1e-9: it comes rounded.
const AVERAGE_OFF_MAX: i128 = 1_000;

/// An order on its way to a broker.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    /// The order.
    pub order: OrderSpec,
    /// The client order id that it goes by.
    pub client_order_id: String,
    /// Event time of its intent, UTC nanoseconds.
    pub now_ns: i64,
}

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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrokerPosition {
    /// Symbol.
    pub symbol: String,
    /// Shares, negative when short.
    pub quantity: Quantity,
    /// Total cost, of the quantity's sign.
    pub cost: Amount,
    /// What a share is worth, where the broker says so; positive.
    pub price: Option<Price>,
    /// What of it cannot be read, in words that name it: then neither shares nor cost are known, and both are nought here.
    pub unread: Option<String>,
}

/// An order at a broker that is open or of late, whoever sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedOrder {
    /// Client order id; a broker makes one up for orders that came without.
    pub client_order_id: String,
    /// Broker's own id.
    pub broker_order_id: String,
    /// Symbol.
    pub symbol: String,
    /// Its terms in words.
    pub terms: String,
    /// Whether it is open.
    pub open: bool,
    /// Shares of it that are filled; `None` where the broker does not say.
    pub filled: Option<Quantity>,
    /// Their average price, as the broker rounds it; `None` where none are, or where it does not say.
    pub average: Option<Price>,
}

/// Whether the executions `known` are those that a broker counts, as far as its sum of their shares and its average price
/// say.
#[must_use]
pub fn come_to(known: &[Executed], filled: Quantity, average: Option<Price>) -> bool {
    let shares: i128 = known.iter().map(|executed| i128::from(executed.quantity.0)).sum();
    if shares != i128::from(filled.0) {
        return false;
    }
    if shares == 0 {
        return true;
    }
    let Some(average) = average else { return false };
    let value: i128 = known.iter().map(|one| i128::from(one.quantity.0) * i128::from(one.price.0)).sum();
    (value - shares * i128::from(average.0)).abs() <= shares * AVERAGE_OFF_MAX
}

/// An account as its broker has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerAccount {
    /// Broker's own number.
    pub number: String,
    /// Cash.
    pub cash: Amount,
    /// Cash and positions at the market.
    pub equity: Amount,
    /// What may be opened.
    pub buying_power: Amount,
    /// Why it takes no orders, where it takes none.
    pub blocked: Option<String>,
}

/// What moves cash or shares at a broker without a trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActivityKind {
    /// A dividend, which a short position pays.
    Dividend,
    /// Cash in lieu of the fraction of a share that a split left.
    CashInLieu,
    /// Interest on cash.
    Interest,
    /// A fee, or a tax that is kept back.
    Fee,
    /// Money brought in or taken out.
    Transfer,
    /// Shares of a split.
    Split,
    /// Anything else.
    Other,
}

/// Something that moved cash or shares at a broker without a trade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// Broker's own id.
    pub id: String,
    /// What it is.
    pub kind: ActivityKind,
    /// What the broker calls it.
    pub word: String,
    /// Symbol; empty where it is of none.
    pub symbol: String,
    /// Cash received, negative when paid.
    pub amount: Amount,
    /// When it was booked, UTC nanoseconds; the start of the day where no more is known.
    pub at_ns: i64,
    /// Whether the broker has taken it back.
    pub cancelled: bool,
}

/// What a broker says it has booked without a trade.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Booked {
    /// What of it can be read, oldest first.
    pub activities: Vec<Activity>,
    /// What cannot be, each in words that name it.
    pub unread: Vec<String>,
}

/// Why a broker gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// Nothing is known of what became of the request: ask with [`Broker::lookup`] before anything else.
    #[error("broker {broker}: {doing}: {source}")]
    Unknown {
        /// Broker adapter.
        broker: String,
        /// What was asked.
        doing: String,
        /// Cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What an order needs could not be read, or the broker is left alone for a while: this request sent nothing.
    #[error("broker {broker}: nothing was sent, because the broker cannot be asked: {source}")]
    Unchecked {
        /// Broker adapter.
        broker: String,
        /// Cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It speaks again after a while in which what it said was missed: ask how everything stands.
    #[error("broker {broker}: heard again after an interruption")]
    Missed {
        /// Broker adapter.
        broker: String,
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

    /// Name of the adapter that trades `account`.
    fn name_of(&self, _account: &str) -> &'static str {
        self.name()
    }

    /// Whose money orders of `account` move.
    fn mode_of(&self, _account: &str) -> TradingMode {
        TradingMode::Simulated
    }

    /// Sends an order under `client_order_id`. Its intent is on the tape already; `now_ns` is the event time
    /// of that intent, also when it is sent again after a restart. Sending the same id again answers with
    /// what became of it and works nothing twice.
    async fn submit(
        &mut self,
        order: &OrderSpec,
        client_order_id: &str,
        now_ns: i64,
    ) -> Result<Vec<Report>, BrokerError>;

    /// Sends orders of which none depends on another, each as [`Broker::submit`] does; answers one outcome for each, in
    /// their order. A broker outside may send several of them side by side.
    async fn submit_all(&mut self, orders: &[Outgoing]) -> Vec<Result<Vec<Report>, BrokerError>> {
        let mut outcomes = Vec::with_capacity(orders.len());
        for Outgoing { order, client_order_id, now_ns } in orders {
            outcomes.push(self.submit(order, client_order_id, *now_ns).await);
        }
        outcomes
    }

    /// Sends a pair of exits of which one is to end the other, take-profit first; `None` of a broker that takes them
    /// one by one. As with [`Broker::submit`], sending them again works nothing twice.
    async fn submit_pair(
        &mut self,
        _pair: [&OrderSpec; 2],
        _now_ns: i64,
    ) -> Result<Option<Vec<Report>>, BrokerError> {
        Ok(None)
    }

    /// Sends an entry and its exits in one request, where [`crate::takes_together`] says so: the broker holds the exits until
    /// the entry is filled whole. All go under the time in force of the exits, which may outlast that of the entry: who asks
    /// ends it with its day. It answers for the entry alone; how an exit stands is looked up once the entry is over.
    /// `None` of a broker that takes them one by one. As with [`Broker::submit`], sending them again works nothing twice.
    async fn submit_with_exits(
        &mut self,
        _entry: &Outgoing,
        _exits: &[&OrderSpec],
    ) -> Result<Option<Vec<Report>>, BrokerError> {
        Ok(None)
    }

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

    /// Every order that is open at the broker on an account, and those that ended within a day, newest first; `None` of
    /// a broker that has only those of this program.
    async fn listed_orders(&mut self, _account: &str) -> Result<Option<Vec<ListedOrder>>, BrokerError> {
        Ok(None)
    }

    /// The account as the broker has it; `None` of a broker that keeps none.
    async fn account(&mut self, _account: &str) -> Result<Option<BrokerAccount>, BrokerError> {
        Ok(None)
    }

    /// What moved cash or shares of an account without a trade after a time, UTC nanoseconds; `None` of a broker that books
    /// nothing by itself.
    async fn activities(&mut self, _account: &str, _after_ns: i64) -> Result<Option<Booked>, BrokerError> {
        Ok(None)
    }

    /// What the broker knows of `order` under `client_order_id`; `None` when it never got such an order, or when it has
    /// ended an exit that it held because the entry was not filled whole. Of an exit that it still holds there are no reports.
    async fn lookup(
        &mut self,
        order: &OrderSpec,
        client_order_id: &str,
    ) -> Result<Option<BrokerOrder>, BrokerError>;

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

    /// Whether the broker of `account` lives outside of this process.
    fn is_remote_for(&self, _account: &str) -> bool {
        self.is_remote()
    }

    /// Takes note that the tape ended an order for a reason of its own, such as a reverse split. Orders that
    /// depend on it may end with it.
    fn forget(&mut self, _order_id: &str) -> Vec<Report> {
        Vec::new()
    }

    /// Takes the state of a broker that is a fold of the tape from `book`; others know better.
    fn refresh(&mut self, _book: &Book) -> Result<(), BrokerError> {
        Ok(())
    }
}

/// Makes the broker that execution speaks to.
pub trait Brokers: Send + Sync {
    /// The broker as of `book`: one without a world outside works the accepted open orders that it states.
    fn resume(&self, book: &Book) -> Result<Box<dyn Broker>, BrokerError>;
}
