//! The adapter: what it remembers, and how it finds out. The port's questions are in `port`.

mod port;
mod exits;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use broker::{ALPACA, Broker as _, BrokerError, BrokerOrder, Outgoing, Report};
use chrono::NaiveDate;
use contracts::client_order_id;
use contracts::v1::OrderSpec;
use domain::book::Book;
use domain::calendar::Calendar;
use domain::money::Quantity;
use domain::order::{BrokerReport, Executed};
use futures::future::join_all;
use vendors::http::{Answer, Credentials};
use vendors::{Clock, VendorError};

use crate::api::{Api, Config};
use crate::calendar;
use crate::gate::Gate;
use crate::known::Known;
use crate::legs::Leg;
use crate::rules;
use crate::stream::Stream;
use crate::truth::{self, Executions};
use crate::wire::{self, Number, Order, Refusal, Ticket};

/// Time in which an order that was sent may not be found yet.
const ON_ITS_WAY: Duration = Duration::from_secs(2);
/// Time after which a request to cancel that changed nothing is made again.
const CANCEL_AGAIN: Duration = Duration::from_secs(10);
/// For how long a list of orders counts.
const LISTED_FRESH: Duration = Duration::from_secs(5);
const DAY_NS: i64 = 24 * 60 * 60 * 1_000_000_000;
/// Orders that are sent side by side at most.
const SIDE_BY_SIDE: usize = 8;
/// Replacements of one order that are followed.
const CHAIN_MAX: usize = 64;

/// One account at Alpaca.
#[derive(Debug)]
pub struct Alpaca {
    config: Config,
    api: Arc<Api>,
    known: Arc<Known>,
    gate: Gate,
    clock: Arc<dyn Clock>,
    stream: Option<Stream>,
    /// Client order ids that were not found and waited for already.
    waited: BTreeSet<String>,
    /// When orders, by Alpaca's id, were asked to be cancelled.
    cancelling: HashMap<String, i64>,
    /// Orders as they were listed a moment ago, until something is heard.
    listed: HashMap<String, Order>,
    listed_ns: i64,
    /// Client order ids of entries whose exits are on the tape without an answer.
    entries: BTreeSet<String>,
    /// Entries in lists whose legs are known, by client order id.
    families: BTreeSet<String>,
    /// Stops of pairs of exits without an answer, by the client order id of the pair.
    stops: BTreeMap<String, String>,
}

/// What Alpaca has as an order of ours.
enum Found {
    /// This.
    Order(Order),
    /// An exit of which nothing is to be said before its entry is over.
    Held(Order),
}

/// A refusal in words, in which no credential stands.
fn refusal(answer: &Answer, credentials: &Credentials) -> (Option<i64>, String) {
    let told: Refusal = wire::decode(&answer.body).unwrap_or_default();
    let mut words = if told.message.is_empty() { answer.words.clone() } else { told.message };
    if let Some(reason) = told.reject_reason {
        words = format!("{words} ({reason})");
    }
    if let Some(order) = told.existing_order_id {
        words = format!("{words}, order {order}");
    }
    let code = told.code.map(|code| format!(" {code}")).unwrap_or_default();
    (told.code, format!("Alpaca refuses ({}{code}): {}", answer.status, credentials.redact(&words)))
}

/// Whether an answer says that the client order id is in use, which proves that an order came.
fn is_known_already(answer: &Answer) -> bool {
    answer.status == 422 && answer.words.contains("client_order_id must be unique")
}

impl Alpaca {
    /// The account as of `book`, whose open orders at Alpaca it knows.
    pub fn new(config: Config, clock: Arc<dyn Clock>, book: &Book) -> Result<Self, VendorError> {
        let known = Known::default();
        for order in book.open_orders().filter(|order| order.broker == ALPACA) {
            for revision in &order.chain {
                known.learn(&revision.broker_order_id, order.id());
            }
            known.learn(&order.broker_order_id, order.id());
        }
        let (entries, stops) = (exits::unanswered(book), exits::unanswered_stops(book));
        Ok(Self {
            api: Arc::new(Api::new(&config, Arc::clone(&clock))?),
            known: Arc::new(known),
            gate: Gate::new(Arc::clone(&clock)),
            config,
            clock,
            stream: None,
            waited: BTreeSet::new(),
            cancelling: HashMap::new(),
            listed: HashMap::new(),
            listed_ns: 0,
            entries,
            families: BTreeSet::new(),
            stops,
        })
    }

    /// Where Alpaca's sessions of so many days from a date on differ from this program's, in words.
    pub async fn calendar_differences(&self, from: NaiveDate, days: u64) -> Result<Vec<String>, VendorError> {
        let to = calendar::last_of(from, days);
        let theirs = self.api.calendar(&from.to_string(), &to.to_string()).await?;
        let ours = Calendar::xnys().sessions(from, to);
        let ours = ours.map_err(|error| VendorError::Setup { vendor: ALPACA, what: error.to_string() })?;
        Ok(calendar::differences(&theirs, ours, from, to))
    }

    fn unknown(doing: &str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> BrokerError {
        BrokerError::Unknown { broker: ALPACA.to_owned(), doing: doing.to_owned(), source: source.into() }
    }

    fn unchecked(error: VendorError) -> BrokerError {
        BrokerError::Unchecked { broker: ALPACA.to_owned(), source: error.into() }
    }

    fn report(order: &OrderSpec, report: BrokerReport) -> Vec<Report> {
        vec![Report { order_id: order.order_id.clone(), report }]
    }

    /// Alpaca's order under a client order id. One that was sent a moment ago may not be found yet.
    async fn by_client(&mut self, client_order_id: &str) -> Result<Option<Order>, VendorError> {
        let found = self.api.order_of(client_order_id).await?;
        if found.is_some() || !self.waited.insert(client_order_id.to_owned()) {
            return Ok(found);
        }
        self.clock.sleep(ON_ITS_WAY).await;
        self.api.order_of(client_order_id).await
    }

    /// The other half of a pair of exits, which came without a client order id of ours.
    async fn by_pair(&mut self, order: &OrderSpec) -> Result<Option<Order>, VendorError> {
        let Some(first) = first_of_pair(order) else { return Ok(None) };
        let found = self.by_client(&client_order_id(&first)).await?;
        Ok(found.and_then(|found| found.legs).and_then(|legs| legs.into_iter().next()))
    }

    /// Alpaca's order under `client_order_id`, or else the leg of an entry or the half of a pair that `order` is.
    async fn find(&mut self, order: &OrderSpec, client: &str) -> Result<Option<Found>, VendorError> {
        let gone = match self.leg(order, client).await? {
            Some(Leg::Held(leg)) => return Ok(Some(Found::Held(leg))),
            Some(Leg::Is(leg)) => return Ok(Some(Found::Order(leg))),
            Some(Leg::Gone) => true,
            None => false,
        };
        // What was never sent alone is looked for beside its other half first.
        let found = match self.by_pair(order).await? {
            Some(found) => Some(found),
            None => self.by_client(client).await?,
        };
        let Some(found) = found else { return Ok(None) };
        self.learn_legs(&found);
        if gone {
            // It has taken the place of the leg, which is known as the exit from when it was held.
            self.known.learn(&found.id, &order.order_id);
        }
        Ok(Some(Found::Order(found)))
    }

    /// An order by its id, as it was listed a moment ago or as it is.
    async fn by_id(&self, id: &str) -> Result<Option<Order>, VendorError> {
        let fresh_ns = i64::try_from(LISTED_FRESH.as_nanos()).unwrap_or(i64::MAX);
        let listed = self.listed.get(id);
        match listed.filter(|_| self.clock.now_ns().saturating_sub(self.listed_ns) < fresh_ns) {
            Some(listed) => Ok(Some(listed.clone())),
            None => self.api.order(id).await,
        }
    }

    /// Follows replacements to the newest order; answers the ids on the way.
    async fn newest(&self, mut order: Order) -> Result<(Order, BTreeSet<String>), VendorError> {
        let mut chain = BTreeSet::from([order.id.clone()]);
        while let Some(next) = order.successor().filter(|_| chain.len() < CHAIN_MAX) {
            let Some(found) = self.by_id(next).await? else { break };
            chain.insert(found.id.clone());
            order = found;
        }
        Ok((order, chain))
    }

    /// The executions of the orders `chain`, whose newest is `newest`.
    async fn executions(
        &self,
        newest: &Order,
        mut chain: BTreeSet<String>,
        known: &[Executed],
    ) -> Result<Executions, VendorError> {
        // Nothing filled and nothing said are not the same: the former takes back what the tape has.
        if newest.filled_qty.as_ref().and_then(Number::quantity).is_none() {
            let what = format!("order {}: filled_qty: expected a number", newest.id);
            return Err(VendorError::Broken { vendor: ALPACA, what });
        }
        if truth::as_on_tape(known, newest) {
            return Ok(Executions::All(truth::of_tape(known)));
        }
        if newest.filled() == Quantity::ZERO {
            return Ok(Executions::All(Vec::new()));
        }
        // The list is read from before the first order of the chain on.
        let (mut first, mut before) = (newest.created_at.clone(), newest.replaces.clone());
        while let Some(id) = before.take().filter(|_| chain.len() < CHAIN_MAX) {
            let Some(found) = self.api.order(&id).await? else { break };
            chain.insert(id);
            (first, before) = (found.created_at, found.replaces);
        }
        let first_ns = first.as_deref().and_then(wire::time_ns).unwrap_or_default();
        let after = chrono::DateTime::from_timestamp_nanos(first_ns.saturating_sub(1_000_000_000));
        let activities = self.api.fills(&after.to_rfc3339_opts(chrono::SecondsFormat::Nanos, true)).await?;
        truth::executions(&chain, &activities, newest.filled(), known)
            .map_err(|what| VendorError::Broken { vendor: ALPACA, what })
    }

    async fn known_as(
        &mut self,
        order: &OrderSpec,
        client: &str,
        found: Order,
    ) -> Result<BrokerOrder, VendorError> {
        let executions = self.executions(&found, BTreeSet::from([found.id.clone()]), &[]).await?;
        self.known.learn_old(&found.id, &order.order_id);
        Ok(truth::known_as(order, client, &found, executions))
    }

    /// What became of an order that Alpaca says it has already.
    async fn landed(&mut self, order: &OrderSpec, client: &str) -> Result<Vec<Report>, BrokerError> {
        match self.lookup(order, client).await? {
            Some(known) => Ok(known.reports),
            None => {
                Err(Self::unknown("submit", "Alpaca has the client order id and does not show the order"))
            }
        }
    }

    /// What an answer to an order comes to: the order, a refusal, or that nothing is known.
    fn answered(&mut self, order: &OrderSpec, answer: &Answer) -> Result<Result<Order, String>, BrokerError> {
        let credentials = &self.config.credentials;
        let (code, words) = refusal(answer, credentials);
        match answer.status {
            200 => wire::decode::<Order>(&answer.body).map(Ok).map_err(|what| {
                let what = credentials.redact(&what);
                Self::unknown("submit", format!("an answer that cannot be read: {what}"))
            }),
            // Without a code it is who asks that is refused, and the order may be sent once that is mended.
            403 if code.is_none() => Err(Self::unknown("submit", words)),
            400 | 403 | 404 | 422 => {
                self.gate.forget(&order.symbol);
                Ok(Err(words))
            }
            _ => Err(Self::unknown("submit", words)),
        }
    }

    /// The request that sends an order, with the exits that go with it, or what it is refused with before anything is sent.
    async fn prepared(
        &mut self,
        order: &OrderSpec,
        exits: &[&OrderSpec],
        client: &str,
    ) -> Result<Result<Ticket, Vec<Report>>, BrokerError> {
        let ticket = match rules::with_exits(order, exits, client) {
            Ok(ticket) => ticket,
            Err(reason) => return Ok(Err(Self::report(order, BrokerReport::Rejected { reason }))),
        };
        if let Some(refused) = self.gated(order).await? {
            return Ok(Err(refused));
        }
        self.end_leg(order).await?;
        self.waited.remove(client);
        Ok(Ok(ticket))
    }

    /// What became of an order that was sent, alone or with its exits.
    async fn taken(
        &mut self,
        order: &OrderSpec,
        client: &str,
        answer: Result<Answer, VendorError>,
    ) -> Result<Vec<Report>, BrokerError> {
        let answer = answer.map_err(|error| match error {
            // The breaker was open: nothing left this program, so there is nothing to look for at Alpaca.
            VendorError::Limited { .. } => Self::unchecked(error),
            error => Self::unknown("submit", error),
        })?;
        if is_known_already(&answer) {
            return self.landed(order, client).await;
        }
        Ok(match self.answered(order, &answer)? {
            Ok(taken) => {
                self.known.learn(&taken.id, &order.order_id);
                self.learn_legs(&taken);
                Self::report(order, BrokerReport::Accepted { broker_order_id: taken.id })
            }
            Err(reason) => Self::report(order, BrokerReport::Rejected { reason }),
        })
    }

    /// Sends orders all at once, after each was checked; answers an outcome for each, in their order.
    async fn side_by_side(&mut self, orders: &[Outgoing]) -> Vec<Result<Vec<Report>, BrokerError>> {
        let (mut outcomes, mut tickets) = (BTreeMap::new(), Vec::new());
        for (place, Outgoing { order, client_order_id, .. }) in orders.iter().enumerate() {
            match self.prepared(order, &[], client_order_id).await {
                Ok(Ok(ticket)) => tickets.push((place, ticket)),
                Ok(Err(refused)) => {
                    outcomes.insert(place, Ok(refused));
                }
                Err(error) => {
                    outcomes.insert(place, Err(error));
                }
            }
        }
        let api = Arc::clone(&self.api);
        let requests: Vec<_> = tickets.iter().map(|(_, ticket)| api.submit(ticket)).collect();
        let answers = join_all(requests).await;
        for ((place, _), answer) in tickets.iter().zip(answers) {
            let Outgoing { order, client_order_id, .. } = &orders[*place];
            let outcome = self.taken(order, client_order_id, answer).await;
            outcomes.insert(*place, outcome);
        }
        outcomes.into_values().collect()
    }

    async fn gated(&mut self, order: &OrderSpec) -> Result<Option<Vec<Report>>, BrokerError> {
        let refused = self.gate.refuses(&self.api, order).await;
        let refused = refused.map_err(Self::unchecked)?;
        Ok(refused.map(|reason| Self::report(order, BrokerReport::Rejected { reason })))
    }

    async fn id_of(&mut self, order: &OrderSpec, client: &str) -> Result<Option<String>, VendorError> {
        if let Some(id) = self.known.id_of(&order.order_id) {
            return Ok(Some(id));
        }
        let found = self.find(order, client).await?;
        Ok(found.map(|(Found::Order(found) | Found::Held(found))| {
            self.known.learn(&found.id, &order.order_id);
            found.id
        }))
    }
}

/// The order that a pair of exits goes by, where `order` is the other one.
fn first_of_pair(order: &OrderSpec) -> Option<String> {
    broker::other_exit(order).filter(|_| broker::is_stop(order))
}
