//! Exits that went with their entry: which of Alpaca's orders they are, and what is left of one that goes by itself.

use std::collections::{BTreeMap, BTreeSet};

use broker::{ALPACA, BrokerError, is_stop};
use contracts::v1::OrderSpec;
use contracts::{client_order_id, order_of_client};
use domain::book::Book;
use domain::order::OrderState;
use vendors::VendorError;

use super::{Alpaca, first_of_pair};
use crate::legs::{self, Leg};
use crate::wire::Order;

/// Client order ids of the entries whose exits have no answer on the tape: their legs are known to Alpaca alone.
pub(super) fn unanswered(book: &Book) -> BTreeSet<String> {
    let exits = book.open_orders().filter(|exit| exit.broker == ALPACA && exit.broker_order_id.is_empty());
    let entries = exits.map(|exit| exit.spec.parent_id.as_str()).filter(|entry| !entry.is_empty());
    let client = |entry: &str| match book.order(entry) {
        Some(known) if !known.client_order_id.is_empty() => known.client_order_id.clone(),
        _ => client_order_id(entry),
    };
    entries.map(client).collect()
}

/// Stops that have no answer on the tape, each by the client order id that its pair of exits goes under.
pub(super) fn unanswered_stops(book: &Book) -> BTreeMap<String, String> {
    let exits = book.open_orders().filter(|exit| exit.broker == ALPACA && exit.broker_order_id.is_empty());
    let of_pair = |stop: &OrderState| {
        first_of_pair(&stop.spec).map(|target| (client_order_id(&target), stop.id().to_owned()))
    };
    exits.filter_map(of_pair).collect()
}

/// What Alpaca says of an entry now. A replacement may not name the legs that the order before it had.
fn with_legs(found: Order, before: Option<Vec<Order>>) -> Order {
    let legs = found.legs.filter(|legs| !legs.is_empty()).or(before);
    Order { legs, ..found }
}

impl Alpaca {
    /// Learns which exits the legs of an order are; answers whether any is news.
    pub(super) fn learn_legs(&self, entry: &Order) -> bool {
        let mut news = false;
        for (leg, exit) in legs::exits_of(entry) {
            news |= !self.known.knows(&leg);
            self.known.learn_old(&leg, &exit);
        }
        news
    }

    /// The exit as a leg of its entry, unless it is looked for under new terms; `None` where the entry came without it.
    pub(super) async fn leg(&mut self, exit: &OrderSpec, client: &str) -> Result<Option<Leg>, VendorError> {
        let first = order_of_client(client).is_some_and(|(_, revision)| revision == 0);
        if exit.parent_id.is_empty() || !first {
            return Ok(None);
        }
        let Some(entry) = self.entry_of(exit).await? else { return Ok(None) };
        Ok(match legs::leg_of(&entry, is_stop(exit)) {
            Some(Leg::Is(leg)) => Some(Leg::Is(self.newest(leg).await?.0)),
            other => other,
        })
    }

    /// The entry of an exit with its legs, through its replacements.
    async fn entry_of(&mut self, exit: &OrderSpec) -> Result<Option<Order>, VendorError> {
        let found = self.by_client(&client_order_id(&exit.parent_id)).await?;
        let Some(mut entry) = found else { return Ok(None) };
        let (newest, _) = self.newest(entry.clone()).await?;
        if newest.id != entry.id
            && let Some(found) = self.api.order(&newest.id).await?
        {
            entry = with_legs(found, entry.legs);
        }
        // What happened to a leg before it was known was not heard as of the exit.
        if self.learn_legs(&entry)
            && let Some(found) = self.api.order(&entry.id).await?
        {
            entry = with_legs(found, entry.legs);
        }
        Ok(Some(entry))
    }

    /// Learns of which exits listed orders are that nobody knows.
    pub(super) async fn learn_listed(&mut self, all: &[Order]) -> Result<(), VendorError> {
        let stray = |order: &Order| legs::is_open(order) && self.known.order_of(order).is_none();
        if !all.iter().any(stray) {
            return Ok(());
        }
        let listed = all.iter().filter(|order| legs::is_group(order)).map(|order| &order.client_order_id);
        let ours = listed.filter(|client| order_of_client(client).is_some());
        let entries: BTreeSet<String> = ours.chain(&self.entries).cloned().collect();
        for entry in entries.difference(&self.families.clone()) {
            if let Some(found) = self.api.order_of(entry).await? {
                self.learn_legs(&found);
            }
            self.families.insert(entry.clone());
        }
        self.learn_pairs(all).await
    }

    /// Learns which stops came beside listed exits of ours, where the answer to the pair did not come.
    async fn learn_pairs(&mut self, all: &[Order]) -> Result<(), VendorError> {
        let pairs = all.iter().filter(|order| order.order_class == "oco").map(|order| &order.client_order_id);
        let unanswered: Vec<String> =
            pairs.filter(|client| self.stops.contains_key(*client)).cloned().collect();
        for client in unanswered {
            let found = self.api.order_of(&client).await?;
            let leg = found.and_then(|found| found.legs).and_then(|legs| legs.into_iter().next());
            if let Some(leg) = leg
                && let Some(stop) = self.stops.remove(&client)
            {
                self.known.learn_old(&leg.id, &stop);
            }
        }
        Ok(())
    }

    /// Ends the leg that an exit was where it never came to work: the exit goes by itself now. Until the leg has ended its
    /// shares are not free, and Alpaca would refuse the exit for good: an error then, so that it is sent later.
    pub(super) async fn end_leg(&self, exit: &OrderSpec) -> Result<(), BrokerError> {
        let known = self.known.id_of(&exit.order_id).filter(|_| !exit.parent_id.is_empty());
        let Some(id) = known else { return Ok(()) };
        if !self.is_open_leg(&id).await? {
            return Ok(());
        }
        // That it has ended meanwhile is as good.
        self.api.cancel(&id).await.map_err(Self::unchecked)?;
        if self.is_open_leg(&id).await? {
            let what = format!("leg {id} has not ended yet");
            return Err(Self::unchecked(VendorError::Transient { vendor: ALPACA, what, attempts: 1 }));
        }
        Ok(())
    }

    async fn is_open_leg(&self, id: &str) -> Result<bool, BrokerError> {
        let found = self.api.order(id).await.map_err(Self::unchecked)?;
        Ok(found.is_some_and(|leg| legs::is_group(&leg) && legs::is_open(&leg)))
    }
}
