//! `trade_updates`: what happens to orders, as reports; connected again whenever the connection is lost.
//!
//! Alpaca says nothing twice. Each time it is heard again, and each time something could not be read, whoever listens is
//! told that it missed something; asking how orders stand finds the rest. A task of its own, because turning an update
//! into a report may ask Alpaca a question.

use std::sync::Arc;
use std::time::Duration;

use broker::Report;
use contracts::order_of_client;
use domain::order::{BrokerReport, Terms};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use vendors::{Clock, VendorError};

use crate::api::{Api, Config};
use crate::known::{Known, OnTape, execution_id};
use crate::legs;
use crate::socket::{Frame, Socket};
use crate::truth::execution;
use crate::wire::{self, Number, Order, Update};

/// Items that may wait for execution; more make the connection wait.
const QUEUE: usize = 1_024;
const BACK_FIRST: Duration = Duration::from_millis(500);
const BACK_MAX: Duration = Duration::from_secs(30);
/// How often a sign of life is asked for, and after how long without any the connection counts as dead.
const PING_EVERY: Duration = Duration::from_secs(15);
const SILENT_MAX: Duration = Duration::from_secs(45);

/// What the task says.
#[derive(Debug)]
pub(crate) enum Item {
    /// Something happened.
    Said(Vec<Report>),
    /// The connection is lost, and why.
    Lost(String),
    /// It is heard from now on; what was said before may have been missed.
    Heard,
}

/// The task, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Stream {
    items: mpsc::Receiver<Item>,
    task: JoinHandle<()>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Stream {
    pub(crate) fn start(config: Config, api: Arc<Api>, known: Arc<Known>, clock: Arc<dyn Clock>) -> Self {
        let (sender, items) = mpsc::channel(QUEUE);
        let listener = Listener { config, api, known, clock, sender };
        Self { items, task: tokio::spawn(listener.run()) }
    }

    /// What is said next; `None` when the task is gone. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Option<Item> {
        self.items.recv().await
    }
}

struct Listener {
    config: Config,
    api: Arc<Api>,
    known: Arc<Known>,
    clock: Arc<dyn Clock>,
    sender: mpsc::Sender<Item>,
}

/// Nobody listens any more.
struct Gone;

impl Listener {
    async fn run(self) {
        let (mut back, mut told) = (BACK_FIRST, false);
        loop {
            let lost = match Socket::open(&self.config.base_url, &self.config.credentials).await {
                Ok(socket) => {
                    (back, told) = (BACK_FIRST, false);
                    match self.listen(socket).await {
                        Ok(lost) => lost,
                        Err(Gone) => return,
                    }
                }
                Err(problem) => problem,
            };
            // Said once; that it still fails is no news.
            if !std::mem::replace(&mut told, true) && self.put(Item::Lost(lost)).await.is_err() {
                return;
            }
            self.clock.sleep(back + self.clock.jitter(back)).await;
            back = (back * 2).min(BACK_MAX);
        }
    }

    async fn put(&self, item: Item) -> Result<(), Gone> {
        self.sender.send(item).await.map_err(|_| Gone)
    }

    /// Listens until the connection is lost; answers why.
    async fn listen(&self, mut socket: Socket) -> Result<String, Gone> {
        self.put(Item::Heard).await?;
        let mut silent = Duration::ZERO;
        loop {
            let frame = match tokio::time::timeout(PING_EVERY, socket.next()).await {
                Ok(Ok(frame)) => frame,
                Ok(Err(lost)) => return Ok(lost),
                Err(_) => {
                    silent += PING_EVERY;
                    if silent >= SILENT_MAX {
                        return Ok(format!("nothing was heard for {} s", silent.as_secs()));
                    }
                    if let Err(lost) = socket.ping().await {
                        return Ok(lost);
                    }
                    continue;
                }
            };
            silent = Duration::ZERO;
            match frame {
                Frame::Alive => {}
                Frame::Garbage => self.put(Item::Heard).await?,
                Frame::Json(message) if message["stream"] == "trade_updates" => {
                    self.update(&message["data"]).await?;
                }
                Frame::Json(message) => tracing::debug!("alpaca says {}", message["stream"]),
            }
        }
    }

    async fn update(&self, data: &serde_json::Value) -> Result<(), Gone> {
        let body = data.to_string();
        let item = match wire::decode::<Update>(body.as_bytes()) {
            Ok(update) => match self.reports(&update).await {
                Ok(Told::Reports(reports)) if reports.is_empty() => return Ok(()),
                Ok(Told::Reports(reports)) => Item::Said(reports),
                Ok(Told::Unclear | Told::ReplacedBy { .. }) => Item::Heard,
                Err(error) => {
                    tracing::warn!(%error, "alpaca: {}: {error}", update.event);
                    Item::Heard
                }
            },
            Err(problem) => {
                tracing::warn!("alpaca: an update cannot be read: {problem}");
                Item::Heard
            }
        };
        self.put(item).await
    }

    async fn reports(&self, update: &Update) -> Result<Told, VendorError> {
        match told(&self.known, update) {
            Told::ReplacedBy { order_id, next } => {
                let Some(next) = self.api.order(&next).await? else { return Ok(Told::Unclear) };
                self.known.learn(&next.id, &order_id);
                Ok(Told::Reports(vec![Report { order_id, report: replaced(&next) }]))
            }
            told => Ok(told),
        }
    }
}

/// What an update comes to.
pub(crate) enum Told {
    /// What it says, which may be nothing.
    Reports(Vec<Report>),
    /// The order is replaced by another one, of which it tells the id alone.
    ReplacedBy { order_id: String, next: String },
    /// Something that the order as a whole has to say.
    Unclear,
}

/// What an update comes to, as far as it says so itself.
pub(crate) fn told(known: &Known, update: &Update) -> Told {
    let order = &update.order;
    let Some(order_id) = known.order_of(order) else { return Told::Reports(Vec::new()) };
    known.learn_old(&order.id, &order_id);
    let words = |what: &str| format!("{what} at the broker");
    // The end of a leg says nothing of an exit that went by itself since.
    let is_leg = legs::is_group(order) && order_of_client(&order.client_order_id).is_none();
    let past = is_leg && known.id_of(&order_id).is_some_and(|newest| newest != order.id);
    let report = match update.event.as_str() {
        "new" if is_revision(order) => replaced(order),
        "new" | "accepted" => BrokerReport::Accepted { broker_order_id: order.id.clone() },
        "fill" | "partial_fill" => match filled(known, update, &order_id) {
            Some(report) => report,
            None => return Told::Unclear,
        },
        "canceled" | "expired" | "rejected" if past => return Told::Reports(Vec::new()),
        "canceled" => BrokerReport::Cancelled { reason: words("cancelled") },
        "expired" => BrokerReport::Expired { reason: words("expired") },
        "rejected" if is_revision(order) => BrokerReport::ReplaceRejected { reason: words("refused") },
        "rejected" => BrokerReport::Rejected { reason: words("refused") },
        "suspended" => BrokerReport::Suspended { reason: words("suspended") },
        "replaced" => {
            let Some(next) = order.replaced_by.clone() else { return Told::Unclear };
            return Told::ReplacedBy { order_id, next };
        }
        "order_replace_rejected" => BrokerReport::ReplaceRejected { reason: words("refused") },
        "order_cancel_rejected" => BrokerReport::CancelRejected { reason: words("refused") },
        "trade_bust" | "trade_correct" => match restated(known, update) {
            Some(report) => report,
            // It is none that was told here: the order as a whole says what it is.
            None => return Told::Unclear,
        },
        // On its way, held, or over for the day.
        _ => return Told::Reports(Vec::new()),
    };
    Told::Reports(vec![Report { order_id, report }])
}

fn filled(known: &Known, update: &Update, order_id: &str) -> Option<BrokerReport> {
    let (quantity, price) = (update.qty.as_ref()?.quantity()?, update.price.as_ref()?.price()?);
    let cumulative = update.order.filled_qty.as_ref().and_then(Number::quantity)?;
    let executed_ns = wire::time_ns(update.timestamp.as_ref().or(update.at.as_ref())?)?;
    let id = execution_id(&update.order.id, cumulative);
    let on_tape = OnTape { order_id: order_id.to_owned(), execution_id: id.clone() };
    known.executed(update.execution_id.as_deref().unwrap_or_default(), on_tape);
    Some(BrokerReport::Filled(execution(id, quantity, price, executed_ns)))
}

fn restated(known: &Known, update: &Update) -> Option<BrokerReport> {
    let before = update.previous_execution_id.as_deref()?;
    let on_tape = known.execution(before)?;
    let told = update.execution_id.clone().unwrap_or_default();
    if update.event == "trade_bust" {
        return Some(BrokerReport::Busted {
            correction_id: told,
            execution_id: on_tape.execution_id,
            reason: "busted at the broker".to_owned(),
        });
    }
    let (quantity, price) = (update.qty.as_ref()?.quantity()?, update.price.as_ref()?.price()?);
    let executed_ns = wire::time_ns(update.timestamp.as_ref().or(update.at.as_ref())?)?;
    known.executed(&told, on_tape.clone());
    let execution = execution(on_tape.execution_id, quantity, price, executed_ns);
    Some(BrokerReport::Corrected { correction_id: told, execution })
}

fn is_revision(order: &Order) -> bool {
    order.replaces.is_some()
        || order_of_client(&order.client_order_id).is_some_and(|(_, revision)| revision > 0)
}

fn replaced(order: &Order) -> BrokerReport {
    BrokerReport::Replaced(Terms {
        client_order_id: order.client_order_id.clone(),
        broker_order_id: order.id.clone(),
        quantity: order.quantity().unwrap_or_default(),
        limit: order.limit(),
        stop: order.stop().filter(|_| order.kind != "trailing_stop"),
    })
}
