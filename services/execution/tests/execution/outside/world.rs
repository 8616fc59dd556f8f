//! The broker: a small one in memory, with a truth of its own.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use broker::{
    Activity, Booked, Broker, BrokerAccount, BrokerError, BrokerOrder, BrokerPosition, Brokers, ListedOrder,
    Report, StateAtBroker,
};
use contracts::v1::{OrderSpec, Side, TradingMode};
use domain::book::Book;
use domain::money::{Amount, Price, Quantity};
use domain::order::{BrokerReport, BrokerTruth, Execution, OrderState, Standing};

use crate::support::{E9, OPEN_NS};

/// What is traded.
pub const SYMBOLS: [&str; 2] = ["A", "B"];

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// An order is approved; its answer may be lost, before or after the order landed.
    Order { answer: Answer },
    /// A part of the order of this number is executed.
    Fill { order: usize, shares: i64, told: Told },
    /// The broker ends it by itself.
    End { order: usize, told: Told },
    /// Its last execution was another one.
    Correct { order: usize, shares: i64 },
    /// Its first execution never was.
    Bust { order: usize },
    /// Somebody changes its size at the broker.
    Resize { order: usize, shares: i64 },
    /// Somebody else trades.
    Others { symbol: usize, shares: i64 },
    /// Execution dies and comes back.
    Restart,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Given,
    LostBefore,
    LostAfter,
    /// What it takes to be sent could not be read.
    Unchecked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    Once,
    Twice,
    Never,
}

/// An order at the broker.
#[derive(Clone, Debug)]
pub struct Held {
    pub spec: OrderSpec,
    pub standing: Standing,
    pub quantity: i64,
    pub executions: Vec<(String, i64)>,
}

impl Held {
    pub fn filled(&self) -> i64 {
        self.executions.iter().map(|(_, shares)| shares).sum()
    }

    pub fn works(&self) -> bool {
        self.standing == Standing::Working
    }

    pub fn executions(&self) -> Vec<Execution> {
        self.executions.iter().map(|(id, shares)| execution(id, *shares)).collect()
    }
}

pub fn execution(id: &str, shares: i64) -> Execution {
    Execution {
        execution_id: id.to_owned(),
        quantity: Quantity(shares * E9),
        price: Price(50 * E9),
        commission: Amount::ZERO,
        slippage: Price::ZERO,
        executed_ns: OPEN_NS,
        ambiguous: false,
    }
}

#[derive(Debug, Default)]
pub struct World {
    pub next_answer: Option<Answer>,
    pub orders: BTreeMap<String, Held>,
    pub names: Vec<String>,
    pub said: VecDeque<Report>,
    pub others: [i64; 2],
    /// Why the account takes no orders.
    pub blocked: Option<String>,
    /// What a share of either is worth, where the broker says so.
    pub price: Option<i64>,
    pub executed: usize,
    /// It lists no orders that have ended.
    pub lists_open_only: bool,
    /// What it books without a trade.
    pub booked: Vec<Activity>,
    /// What of it cannot be read.
    pub unread: Vec<String>,
    /// How often what it books was asked for.
    pub asked: usize,
    /// How often it is still heard again after an interruption.
    pub missed: u32,
    /// How many more submissions and requests for new terms it lets through; without a number all of them.
    pub turns: Option<usize>,
    /// Those that came to it, let through or not.
    pub came: usize,
    /// Requests for new terms that were let through.
    pub replaced: usize,
    /// Requests to cancel.
    pub cancels: usize,
    /// Submissions by client order id that reached the broker.
    pub landed: BTreeMap<String, usize>,
}

impl World {
    pub fn held(&mut self, order: usize) -> Option<&mut Held> {
        let name = self.names.get(order % self.names.len().max(1))?.clone();
        self.orders.get_mut(&name)
    }

    pub fn say(&mut self, order_id: &str, report: &BrokerReport, told: Told) {
        let times = match told {
            Told::Once => 1,
            Told::Twice => 2,
            Told::Never => 0,
        };
        for _ in 0..times {
            self.said.push_back(Report { order_id: order_id.to_owned(), report: report.clone() });
        }
    }

    pub fn apply(&mut self, step: Step) {
        match step {
            Step::Fill { order, shares, told } => {
                self.executed += 1;
                let id = format!("e-{}", self.executed);
                let Some(held) = self.held(order).filter(|held| held.works()) else { return };
                let shares = shares.min(held.quantity - held.filled());
                if shares == 0 {
                    return;
                }
                held.executions.push((id.clone(), shares));
                if held.filled() == held.quantity {
                    held.standing = Standing::Filled;
                }
                let order_id = held.spec.order_id.clone();
                self.say(&order_id, &BrokerReport::Filled(execution(&id, shares)), told);
            }
            Step::End { order, told } => {
                let Some(held) = self.held(order).filter(|held| held.works()) else { return };
                held.standing = Standing::Cancelled("by hand".to_owned());
                let order_id = held.spec.order_id.clone();
                let reason = "by hand".to_owned();
                self.say(&order_id, &BrokerReport::Cancelled { reason }, told);
            }
            Step::Correct { order, shares } => {
                let Some(held) = self.held(order) else { return };
                let room = held.quantity - held.filled();
                if let Some((_, last)) = held.executions.last_mut() {
                    *last = shares.min(*last + room).max(1);
                }
            }
            Step::Bust { order } => {
                let Some(held) = self.held(order) else { return };
                if !held.executions.is_empty() {
                    held.executions.remove(0);
                }
            }
            Step::Resize { order, shares } => {
                let Some(held) = self.held(order).filter(|held| held.works()) else { return };
                if shares > held.filled() {
                    held.quantity = shares;
                }
            }
            Step::Others { symbol, shares } => self.others[symbol] += shares,
            Step::Order { .. } | Step::Restart => {}
        }
    }

    pub fn position(&self, symbol: usize) -> i64 {
        let own = self.orders.values().filter(|held| held.spec.symbol == SYMBOLS[symbol]);
        let own: i64 =
            own.map(|held| if held.spec.side() == Side::Buy { held.filled() } else { -held.filled() }).sum();
        own + self.others[symbol]
    }
}

#[derive(Clone, Debug, Default)]
pub struct Outside(pub Arc<Mutex<World>>);

impl Outside {
    /// Waits until a request is let through.
    async fn turn(&self) {
        self.0.lock().unwrap().came += 1;
        loop {
            match &mut self.0.lock().unwrap().turns {
                None => return,
                Some(0) => {}
                Some(left) => {
                    *left -= 1;
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Brokers for Outside {
    fn resume(&self, _book: &Book) -> Result<Box<dyn Broker>, BrokerError> {
        Ok(Box::new(self.clone()))
    }
}

fn silence(doing: &str) -> BrokerError {
    BrokerError::Unknown { broker: "outside".into(), doing: doing.into(), source: "no answer".into() }
}

fn accepted(spec: &OrderSpec) -> Report {
    let broker_order_id = format!("b-{}", spec.order_id);
    Report { order_id: spec.order_id.clone(), report: BrokerReport::Accepted { broker_order_id } }
}

#[async_trait]
impl Broker for Outside {
    fn name(&self) -> &'static str {
        "outside"
    }

    fn mode_of(&self, _account: &str) -> TradingMode {
        TradingMode::Paper
    }

    fn is_remote(&self) -> bool {
        true
    }

    async fn submit(&mut self, order: &OrderSpec, client: &str, _: i64) -> Result<Vec<Report>, BrokerError> {
        self.turn().await;
        let mut world = self.0.lock().unwrap();
        let answer = world.next_answer.take().unwrap_or(Answer::Given);
        match answer {
            Answer::LostBefore => return Err(silence("submit")),
            Answer::Unchecked => {
                return Err(BrokerError::Unchecked { broker: "outside".into(), source: "no answer".into() });
            }
            Answer::Given | Answer::LostAfter => {}
        }
        *world.landed.entry(client.to_owned()).or_default() += 1;
        world.names.push(client.to_owned());
        let quantity = order.quantity_e9 / E9;
        let held =
            Held { spec: order.clone(), standing: Standing::Working, quantity, executions: Vec::new() };
        world.orders.insert(client.to_owned(), held);
        if answer == Answer::LostAfter { Err(silence("submit")) } else { Ok(vec![accepted(order)]) }
    }

    async fn cancel(&mut self, _: &OrderSpec, _: &str, _: i64) -> Result<Vec<Report>, BrokerError> {
        self.0.lock().unwrap().cancels += 1;
        Ok(Vec::new())
    }

    async fn replace(&mut self, order: &OrderState, _: i64) -> Result<Vec<Report>, BrokerError> {
        self.turn().await;
        self.0.lock().unwrap().replaced += 1;
        let report = BrokerReport::ReplaceRejected { reason: "it stays as it is".to_owned() };
        Ok(vec![Report { order_id: order.id().to_owned(), report }])
    }

    async fn truth(&mut self, order: &OrderState) -> Result<Option<BrokerTruth>, BrokerError> {
        let world = self.0.lock().unwrap();
        Ok(world.orders.get(&order.client_order_id).map(|held| BrokerTruth {
            client_order_id: order.client_order_id.clone(),
            broker_order_id: format!("b-{}", held.spec.order_id),
            standing: held.standing.clone(),
            quantity: Quantity(held.quantity * E9),
            limit: held.spec.limit_price_e9.map(Price),
            stop: None,
            executions: held.executions(),
        }))
    }

    async fn account(&mut self, account: &str) -> Result<Option<BrokerAccount>, BrokerError> {
        let blocked = self.0.lock().unwrap().blocked.clone();
        let found = BrokerAccount {
            number: "P1".to_owned(),
            cash: Amount::ZERO,
            equity: Amount::ZERO,
            buying_power: Amount::ZERO,
            blocked,
        };
        Ok((account == "paper").then_some(found))
    }

    async fn positions(&mut self, account: &str) -> Result<Option<Vec<BrokerPosition>>, BrokerError> {
        let world = self.0.lock().unwrap();
        let all = (0..SYMBOLS.len()).filter(|_| account == "paper").map(|symbol| {
            let shares = world.position(symbol);
            let (quantity, cost) = (Quantity(shares * E9), Amount(i128::from(shares * 50 * E9)));
            let price = world.price.map(|price| Price(price * E9));
            BrokerPosition { symbol: SYMBOLS[symbol].to_owned(), quantity, cost, price, unread: None }
        });
        Ok(Some(all.filter(|position| position.quantity != Quantity::ZERO).collect()))
    }

    async fn activities(&mut self, account: &str, after_ns: i64) -> Result<Option<Booked>, BrokerError> {
        let mut world = self.0.lock().unwrap();
        if account != "paper" {
            return Ok(Some(Booked::default()));
        }
        world.asked += 1;
        let own = world.booked.iter().filter(|booked| booked.at_ns > after_ns);
        Ok(Some(Booked { activities: own.cloned().collect(), unread: world.unread.clone() }))
    }

    async fn listed_orders(&mut self, account: &str) -> Result<Option<Vec<ListedOrder>>, BrokerError> {
        let world = self.0.lock().unwrap();
        let is_listed = |held: &Held| account == "paper" && (held.works() || !world.lists_open_only);
        let own = world.orders.iter().filter(|(_, held)| is_listed(held));
        let listed = own.map(|(client, held)| ListedOrder {
            client_order_id: client.clone(),
            broker_order_id: format!("b-{}", held.spec.order_id),
            symbol: held.spec.symbol.clone(),
            terms: String::new(),
            open: held.works(),
            filled: Some(Quantity(held.filled() * E9)),
            average: (held.filled() > 0).then_some(Price(50 * E9)),
        });
        Ok(Some(listed.collect()))
    }

    async fn lookup(&mut self, _: &OrderSpec, client: &str) -> Result<Option<BrokerOrder>, BrokerError> {
        let world = self.0.lock().unwrap();
        Ok(world.orders.get(client).map(|held| {
            let fill = |execution| Report {
                order_id: held.spec.order_id.clone(),
                report: BrokerReport::Filled(execution),
            };
            let fills = held.executions().into_iter().map(fill);
            BrokerOrder {
                broker_order_id: format!("b-{}", held.spec.order_id),
                state: if held.works() { StateAtBroker::Working } else { StateAtBroker::Ended },
                reports: std::iter::once(accepted(&held.spec)).chain(fills).collect(),
            }
        }))
    }

    async fn reports(&mut self) -> Result<Vec<Report>, BrokerError> {
        loop {
            {
                let mut world = self.0.lock().unwrap();
                if world.missed > 0 {
                    world.missed -= 1;
                    return Err(BrokerError::Missed { broker: "outside".into() });
                }
                if let Some(report) = world.said.pop_front() {
                    return Ok(vec![report]);
                }
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}
