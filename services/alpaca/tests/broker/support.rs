//! A stand-in, an adapter of it, and an order as the tape would have it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alpaca::{Alpaca, Config};
use async_trait::async_trait;
use broker::{Broker, BrokerError, Report};
use contracts::v1::{OrderSpec, OrderType, Side, TimeInForce, TradingMode};
use contracts::{client_order_id, order_id};
use domain::book::Book;
use domain::money::{Price, Quantity};
use domain::order::{BrokerReport, OrderState, decide, reconcile};
use tapedeck_vendors::Vendors;
use tapedeck_vendors::alpaca_trading::{Act, Plan};
use tapedeck_vendors::fault::{HttpFault, HttpRule, StreamFault, StreamRule, When};
use tapedeck_vendors::ledger::Vendor;
use tapedeck_vendors::market::Script;
use vendors::Clock;
use vendors::http::Credentials;

pub const E9: i64 = 1_000_000_000;
/// How long a silent stream is listened to.
const QUIET: Duration = Duration::from_millis(250);

/// The real time, in which waiting takes a hundredth of what it is.
#[derive(Debug)]
pub struct Quick(Instant);

#[async_trait]
impl Clock for Quick {
    fn now_ns(&self) -> i64 {
        let passed = i64::try_from(self.0.elapsed().as_nanos()).unwrap();
        // A hundred times as fast, so that what is kept for a while gets old.
        1_767_711_600_000_000_000 + passed * 100
    }

    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span / 100).await;
    }

    fn jitter(&self, most: Duration) -> Duration {
        most / 2
    }
}

pub struct Desk {
    pub vendors: Vendors,
    pub broker: Alpaca,
}

impl Desk {
    pub async fn open() -> Self {
        let vendors = Vendors::start(Script::default()).await.unwrap();
        let mut settings = vendors.stand.settings();
        settings.requests_per_minute.alpaca_trading = None;
        settings.alpaca_trading.fills = false;
        vendors.stand.set(settings);
        let broker = adapter(&vendors, tapedeck_vendors::SECRET);
        Self { vendors, broker }
    }

    /// With a stream that is heard.
    pub async fn listening() -> Self {
        let mut desk = Self::open().await;
        desk.until_missed().await;
        desk
    }

    /// A new process: nothing is remembered.
    pub fn restart(&mut self) {
        self.broker = adapter(&self.vendors, tapedeck_vendors::SECRET);
    }

    pub async fn until_missed(&mut self) {
        let wait = async {
            loop {
                match self.broker.reports().await {
                    Err(BrokerError::Missed { .. }) => return,
                    Err(BrokerError::Unknown { .. }) => {}
                    other => panic!("{other:?}"),
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(10), wait).await.expect("the stream is heard");
    }

    pub async fn submit(&mut self, order: &OrderSpec) -> Result<Vec<Report>, BrokerError> {
        self.broker.submit(order, &client_order_id(&order.order_id), 0).await
    }

    pub async fn cancel(&mut self, order: &OrderSpec) -> Result<Vec<Report>, BrokerError> {
        self.broker.cancel(order, &client_order_id(&order.order_id), 0).await
    }

    pub async fn lookup(&mut self, order: &OrderSpec) -> Option<Vec<Report>> {
        let client = client_order_id(&order.order_id);
        self.broker.lookup(order, &client).await.unwrap().map(|known| known.reports)
    }

    /// Everything that is said until nothing more is.
    pub async fn heard(&mut self) -> Vec<Report> {
        let mut all = Vec::new();
        while let Ok(said) = tokio::time::timeout(QUIET, self.broker.reports()).await {
            all.extend(said.unwrap());
        }
        all
    }

    pub fn act(&self, client: &str, act: Act) {
        self.vendors.stand.desk(|desk, market, _| desk.act(client, act, market)).unwrap();
    }

    pub fn fill(&self, order: &OrderSpec, qty: &str, price: &str) {
        let number = |text| serde_json::from_value(serde_json::json!(text)).unwrap();
        self.act(
            &client_order_id(&order.order_id),
            Act::Fill { qty: Some(number(qty)), price: Some(number(price)) },
        );
    }

    pub fn plan(&self, plan: serde_json::Value) {
        let plan: Plan = serde_json::from_value(plan).unwrap();
        self.vendors.stand.desk(|desk, _, _| desk.plan(plan));
    }

    pub fn arm(&self, method: &str, path: &str, when: When, fault: HttpFault) {
        self.vendors.stand.faults.on_request(HttpRule {
            vendor: Vendor::AlpacaTrading,
            method: Some(method.into()),
            path: path.into(),
            times: 1,
            when,
            fault,
        });
    }

    pub fn arm_stream(&self, fault: StreamFault) {
        self.vendors.stand.faults.on_stream(StreamRule {
            vendor: Vendor::AlpacaTrading,
            path: String::new(),
            kind: None,
            after: 0,
            times: 1,
            fault,
        });
    }

    /// How many requests of a method came under `path`.
    pub fn requests(&self, method: &str, path: &str) -> usize {
        let requests = self.vendors.stand.ledger.requests(Some(Vendor::AlpacaTrading), path);
        requests.iter().filter(|request| request.method == method).count()
    }

    /// How many orders the desk ever had.
    pub fn orders(&self) -> usize {
        self.vendors.stand.desk(|desk, _, _| desk.orders().len())
    }
}

pub fn adapter(vendors: &Vendors, secret: &str) -> Alpaca {
    let config = Config {
        base_url: vendors.addresses().http(Vendor::AlpacaTrading).to_owned(),
        credentials: Credentials::Alpaca {
            key: tapedeck_vendors::KEY.to_owned().into(),
            secret: secret.to_owned().into(),
        },
        requests_per_minute: 100_000,
        answer_timeout: Duration::from_millis(500),
        mode: TradingMode::Paper,
        shared: None,
    };
    Alpaca::new(config, Arc::new(Quick(Instant::now())), &Book::default()).unwrap()
}

pub fn order(name: &str, side: Side, shares: i64) -> OrderSpec {
    OrderSpec {
        order_id: order_id(name, 0),
        account: "paper".into(),
        strategy: "manual".into(),
        symbol: "AAPL".into(),
        side: side.into(),
        order_type: OrderType::Market.into(),
        time_in_force: TimeInForce::Day.into(),
        quantity_e9: shares * E9,
        ..OrderSpec::default()
    }
}

pub fn limit(name: &str, shares: i64, cents: i64) -> OrderSpec {
    OrderSpec {
        order_type: OrderType::Limit.into(),
        limit_price_e9: Some(cents * E9 / 100),
        ..order(name, Side::Buy, shares)
    }
}

pub fn kinds(reports: &[Report]) -> Vec<&'static str> {
    let kind = |report: &Report| match report.report {
        BrokerReport::Accepted { .. } => "accepted",
        BrokerReport::Rejected { .. } => "rejected",
        BrokerReport::Filled(_) => "filled",
        BrokerReport::Cancelled { .. } => "cancelled",
        BrokerReport::CancelRejected { .. } => "cancel_rejected",
        BrokerReport::Expired { .. } => "expired",
        BrokerReport::Replaced(_) => "replaced",
        BrokerReport::ReplaceRejected { .. } => "replace_rejected",
        BrokerReport::Corrected { .. } => "corrected",
        BrokerReport::Busted { .. } => "busted",
        BrokerReport::Suspended { .. } => "suspended",
        _ => "other",
    };
    reports.iter().map(kind).collect()
}

/// Why an order was refused.
pub fn reason(reports: &[Report]) -> String {
    match reports {
        [Report { report: BrokerReport::Rejected { reason }, .. }] => reason.clone(),
        other => panic!("{other:?}"),
    }
}

/// An order as the tape has it.
pub struct OnTape {
    pub order: OrderState,
    events: u64,
}

impl OnTape {
    /// Submitted.
    pub fn of(spec: &OrderSpec) -> Self {
        let mut tape = Self { order: OrderState::approved(spec.clone(), Price(100 * E9), 1), events: 0 };
        let body = decide::submit(&tape.order, "alpaca").unwrap().unwrap();
        tape.take(&body);
        tape
    }

    fn take(&mut self, body: &contracts::v1::event::Body) {
        self.events += 1;
        self.order.evolve(self.events, 2, body).unwrap();
    }

    /// Folds reports; answers how many were news.
    pub fn fold(&mut self, reports: &[Report]) -> usize {
        let mut news = 0;
        let order_id = self.order.id().to_owned();
        for report in reports.iter().filter(|report| report.order_id == order_id) {
            if let Some(body) = decide::report(&self.order, &report.report).unwrap() {
                self.take(&body);
                news += 1;
            }
        }
        news
    }

    /// Brings it to what the broker says as a whole; answers what was missing.
    pub async fn true_up(&mut self, broker: &mut dyn Broker) -> Vec<&'static str> {
        let truth = broker.truth(&self.order).await.unwrap().expect("the broker knows it");
        let missing: Vec<Report> = reconcile(&self.order, &truth)
            .into_iter()
            .map(|report| Report { order_id: self.order.id().to_owned(), report })
            .collect();
        let before: Vec<_> = kinds(&missing);
        let folded = self.fold(&missing);
        if folded == 0 { Vec::new() } else { before }
    }

    pub fn filled(&self) -> Quantity {
        self.order.filled
    }

    pub fn executions(&self) -> Vec<(i64, String)> {
        let counts = self.order.executions.iter().filter(|one| !one.is_busted());
        counts.map(|one| (one.quantity.0 / E9, one.price.to_string())).collect()
    }
}
