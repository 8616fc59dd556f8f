//! A broker outside: it lives on when execution dies, says things late, twice, in another order or not at all,
//! and what it did is the truth.
//!
//! It takes new terms of orders that stand alone, corrects executions of orders that it has filled, or takes them back. In
//! some seeds it says how an order stands as a whole, in the others only what it reported of it.
//!
//! Its market is the simulated broker's; it sees the bars by itself. Executions carry the bar's close as their
//! time, because that is when such a market says what it did.

mod held;
mod link;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use broker::{Broker as _, MarketEvent, Report, SimulatedBroker};
use contracts::v1::{Costs, OrderSpec};
use domain::bar::Bar;
use domain::book::Book;
use domain::calendar::Session;
use domain::invariant::AtBroker;
use domain::matching::kernel::Bounds;
use domain::money::{Amount, Price, Quantity};
use domain::order::{BrokerReport, Execution, OrderState};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use runtime::clock;
use tokio::time::Instant;

use crate::executor::at_once;
use crate::fate::{Extra, Fate, Fault, Mask};

use held::{Held, broker_order_id};

/// Its name, as `order_submitted.broker` states it.
pub const NAME: &str = "exchange";

/// One share.
const SHARE: i64 = 1_000_000_000;
/// Reports that are late come within this time; what is said anew is said behind them.
const LATE_MS_MAX: u64 = 3_000;

/// What an exchange can do beside taking, filling and cancelling orders.
#[derive(Clone, Copy, Debug)]
pub struct Abilities {
    /// Works orders with new terms.
    replaces: bool,
    /// Says how an order stands as a whole.
    truth: bool,
    /// Says executions anew, or takes them back.
    restates: bool,
}

impl Abilities {
    /// Those of a seed.
    pub fn of(seed: u64, mask: &Mask) -> Self {
        let replaces = mask.holds(Extra::Replaces);
        let truth = ChaCha8Rng::seed_from_u64(seed ^ 0x74e7).random_range(0..2) == 0;
        Self { replaces, truth: replaces && truth, restates: mask.holds(Extra::Restates) }
    }
}

/// The exchange. Clones share it.
#[derive(Clone)]
pub struct Exchange {
    fate: Fate,
    abilities: Abilities,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    inner: SimulatedBroker,
    /// By the client order id of the first terms.
    orders: BTreeMap<String, Held>,
    /// Client order ids of first terms, by order id.
    clients: BTreeMap<String, Vec<String>>,
    /// Client order ids of first terms, by those of later ones.
    replaced: BTreeMap<String, String>,
    outbox: BTreeMap<(Instant, u64), Report>,
    sent: u64,
    /// Orders that changed since somebody asked, by the client order ids of their first terms.
    changed: BTreeSet<String>,
    prices: BTreeMap<String, (Price, i64)>,
    listener: Option<Waker>,
}

impl State {
    /// The client order id under which an order is held that goes by `client`.
    fn first(&self, client: &str) -> String {
        self.replaced.get(client).cloned().unwrap_or_else(|| client.to_owned())
    }

    fn held(&self, client: &str) -> Option<&Held> {
        self.orders.get(&self.first(client))
    }

    /// Puts a report into the outbox, to be said at `at`.
    fn send(&mut self, at: Instant, report: Report) {
        self.sent += 1;
        self.outbox.insert((at, self.sent), report);
        if let Some(listener) = self.listener.take() {
            listener.wake();
        }
    }
}

impl Exchange {
    /// An exchange without orders.
    pub fn new(fate: Fate, abilities: Abilities) -> Self {
        Self { fate, abilities, state: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// States an account's costs.
    pub fn set_costs(&self, account: &str, costs: Costs) {
        self.lock().inner.set_costs(account, costs);
    }

    /// Everything that it ever had, under every client order id.
    pub fn orders(&self) -> Vec<AtBroker> {
        let state = self.lock();
        state.orders.iter().flat_map(|(client, held)| held.at_broker(client)).collect()
    }

    /// The orders that changed here since this was asked last and those of `order_ids`, as far as the tape must know them
    /// while much is under way: under their first client order ids, and none of which an execution was said anew.
    pub fn changed(&self, order_ids: &BTreeSet<String>) -> Vec<AtBroker> {
        let mut state = self.lock();
        let mut clients = std::mem::take(&mut state.changed);
        let told = order_ids.iter().filter_map(|order_id| state.clients.get(order_id));
        clients.extend(told.flatten().cloned());
        let held = clients.iter().filter_map(|client| Some((client, state.orders.get(client)?)));
        let known = held.filter(|(_, held)| held.restated.is_empty());
        known.filter_map(|(client, held)| held.at_broker(client).into_iter().next()).collect()
    }

    /// What it has done that `book` does not know and no report on its way will say: new terms, an execution said anew.
    pub fn untold(&self, book: &Book) -> Option<String> {
        let state = self.lock();
        state.orders.iter().find_map(|(client, held)| {
            let order = book.order(&held.spec.order_id)?;
            let present = held.revisions.last().map_or(client, |(client, _)| client);
            if !held.revisions.is_empty() && *present != order.client_order_id {
                return Some(format!("order {} is worked as {present}", order.id()));
            }
            held.restated.iter().find_map(|id| {
                let known = order.execution(id)?;
                let now = held.executions.iter().find(|execution| execution.execution_id == *id);
                let now = now.map_or((Quantity::ZERO, known.price), |now| (now.quantity, now.price));
                ((known.quantity, known.price) != now).then(|| format!("execution {id} was said anew"))
            })
        })
    }

    /// Number of reports that wait to be said.
    pub fn unsaid(&self) -> usize {
        self.lock().outbox.len()
    }

    /// A bar closed.
    pub fn on_bar(&self, symbol: &str, bar: &Bar, session: Option<&Session>) {
        let reports = {
            let mut state = self.lock();
            state.prices.insert(symbol.to_owned(), (bar.close, bar.close_ns));
            state.inner.on_market(MarketEvent::Bar { symbol, bar, session })
        };
        for Report { order_id, mut report } in reports {
            if let BrokerReport::Filled(execution) = &mut report {
                execution.executed_ns = bar.close_ns;
            }
            self.happened(Report { order_id, report });
        }
    }

    /// The regular session closed.
    pub fn on_session_closed(&self, session: Bounds) {
        let reports = self.lock().inner.on_market(MarketEvent::SessionClosed { session });
        reports.into_iter().for_each(|report| self.happened(report));
    }

    /// Something happened to an order: it is the truth from now on, and will be said.
    fn happened(&self, report: Report) {
        let Some((ends, filled)) = self.take(&report) else { return };
        self.say(report.clone());
        if ends && self.fate.strikes(Fault::BrokerContradicts, &report.order_id) {
            let order_id = report.order_id.clone();
            let reason = "said in error".to_owned();
            let report = match self.fate.below(4) {
                0 => BrokerReport::Expired { reason },
                1 => BrokerReport::Cancelled { reason },
                2 => BrokerReport::CancelRejected { reason },
                _ => BrokerReport::Accepted { broker_order_id: broker_order_id(&order_id) },
            };
            self.say(Report { order_id, report });
        }
        if let BrokerReport::Filled(execution) = &report.report
            && filled
        {
            self.restate(&report.order_id, execution);
        }
    }

    /// Takes what happened into the order. Answers whether that ended it, and whether everything of it is filled now.
    fn take(&self, report: &Report) -> Option<(bool, bool)> {
        let mut guard = self.lock();
        let state = &mut *guard;
        let client = state.clients.get(&report.order_id)?.first()?;
        let held = state.orders.get_mut(client)?;
        let (mut ends, mut filled) = (false, false);
        match &report.report {
            BrokerReport::Filled(execution) => {
                held.fill(execution);
                filled = held.is_filled();
                ends = filled;
            }
            BrokerReport::Cancelled { .. } | BrokerReport::Expired { .. } | BrokerReport::Rejected { .. } => {
                ends = true;
            }
            BrokerReport::Replaced(terms) => {
                held.spec.quantity_e9 = terms.quantity.0;
                held.spec.limit_price_e9 = terms.limit.map(|price| price.0).or(held.spec.limit_price_e9);
                held.spec.stop_price_e9 = terms.stop.map(|price| price.0).or(held.spec.stop_price_e9);
                held.revisions.push((terms.client_order_id.clone(), terms.broker_order_id.clone()));
                state.replaced.insert(terms.client_order_id.clone(), client.clone());
            }
            // Where a trailing stop stands is said by its last move.
            BrokerReport::Trailed { .. } => {
                held.history.retain(|said| !matches!(said.report, BrokerReport::Trailed { .. }));
            }
            _ => {}
        }
        held.working &= !ends;
        held.history.push(report.clone());
        state.changed.insert(client.clone());
        Some((ends, filled))
    }

    /// Says an execution of an order anew that is filled and stands alone, or takes it back, where fate says so. It is said
    /// once, and behind whatever else was said of it.
    fn restate(&self, order_id: &str, execution: &Execution) {
        if !self.abilities.restates {
            return;
        }
        let busts = self.fate.strikes(Fault::BrokerBusts, order_id);
        if !busts && !self.fate.strikes(Fault::BrokerCorrects, order_id) {
            return;
        }
        let pause = self.fate.extra_ms(60_000);
        let (fewer, dearer) = (self.fate.extra_below(2) == 0, self.fate.extra_below(2) == 0);
        let execution_id = execution.execution_id.clone();
        let mut guard = self.lock();
        let state = &mut *guard;
        let Some(client) = state.clients.get(order_id).and_then(|clients| clients.first()) else { return };
        let Some(held) = state.orders.get_mut(client).filter(|held| held.is_alone()) else { return };
        let Some(known) = held.executions.iter_mut().find(|known| known.execution_id == execution_id) else {
            return;
        };
        let correction_id = format!("anew-{execution_id}");
        let report = if busts {
            held.executions.retain(|known| known.execution_id != execution_id);
            let reason = "clearly erroneous".to_owned();
            BrokerReport::Busted { correction_id, execution_id: execution_id.clone(), reason }
        } else {
            let permille = if dearer { 1_010 } else { 990 };
            let cents = known.price.0 / 1_000 * permille / 10_000_000 * 10_000_000;
            known.price = Price(cents.max(10_000_000));
            if fewer && known.quantity.0 > SHARE {
                known.quantity.0 -= SHARE;
            }
            BrokerReport::Corrected { correction_id, execution: known.clone() }
        };
        held.restated.push(execution_id);
        let report = Report { order_id: order_id.to_owned(), report };
        held.history.push(report.clone());
        state.changed.insert(client.clone());
        let at = clock::now() + Duration::from_millis(LATE_MS_MAX) + pause;
        state.send(at, report);
    }

    /// Puts a report on its way to whoever listens.
    fn say(&self, report: Report) {
        if self.fate.strikes(Fault::BrokerSilent, &report.order_id) {
            return;
        }
        let mut times = vec![self.delay(&report)];
        if self.fate.strikes(Fault::BrokerDuplicate, &report.order_id) {
            times.push(self.delay(&report));
        }
        let mut state = self.lock();
        for at in times {
            state.send(at, report.clone());
        }
    }

    fn delay(&self, report: &Report) -> Instant {
        let late = self.fate.strikes(Fault::BrokerReordered, &report.order_id);
        clock::now() + self.fate.while_ms(if late { LATE_MS_MAX } else { 20 })
    }

    fn submit(&self, spec: &OrderSpec, client: &str, now_ns: i64) -> Vec<Report> {
        if let Some(held) = self.lock().orders.get(client) {
            return held.history.clone();
        }
        let order_id = spec.order_id.clone();
        let mut held = Held::new(spec);
        if self.fate.strikes(Fault::BrokerRejects, &order_id) {
            let report = BrokerReport::Rejected { reason: "not today".to_owned() };
            held.history.push(Report { order_id: order_id.clone(), report });
            held.working = false;
        } else {
            let mut state = self.lock();
            // What an order reduces is not known here: an amount is spent whole.
            let sent = OrderSpec { reducing: false, ..spec.clone() };
            held.history =
                at_once(state.inner.submit(&sent, client, now_ns)).and_then(Result::ok).unwrap_or_default();
            let refused = |report: &Report| !matches!(report.report, BrokerReport::Accepted { .. });
            held.working = !held.history.iter().any(refused);
        }
        let history = held.history.clone();
        let working = held.working;
        let mut state = self.lock();
        state.clients.entry(order_id.clone()).or_default().push(client.to_owned());
        state.orders.insert(client.to_owned(), held);
        state.changed.insert(client.to_owned());
        drop(state);
        if working && self.fate.strikes(Fault::BrokerSuspends, &order_id) {
            let report = BrokerReport::Suspended { reason: "halted at the exchange".to_owned() };
            self.say(Report { order_id: order_id.clone(), report });
            self.say(history[0].clone());
        }
        history
    }

    fn cancel(&self, spec: &OrderSpec, client: &str, now_ns: i64) {
        let order_id = spec.order_id.clone();
        let Some(left) = self.lock().held(client).map(Held::may_come_late) else {
            let report = BrokerReport::CancelRejected { reason: "no such order".to_owned() };
            return self.say(Report { order_id, report });
        };
        let price = self.lock().prices.get(&spec.symbol).copied();
        let late = left > 1 && self.fate.strikes(Fault::BrokerLateFill, &order_id);
        let fill = price.filter(|_| late).map(|(price, at_ns)| Report {
            order_id: order_id.clone(),
            report: BrokerReport::Filled(Execution {
                execution_id: format!("late-{order_id}"),
                quantity: Quantity(left / 2 / 1_000_000_000 * 1_000_000_000)
                    .max(Quantity(left.min(1_000_000_000))),
                price,
                commission: Amount::ZERO,
                slippage: Price(0),
                executed_ns: at_ns.max(now_ns),
                ambiguous: false,
            }),
        });
        let reports = at_once(self.lock().inner.cancel(spec, client, now_ns)).and_then(Result::ok);
        for report in reports.unwrap_or_default() {
            match report.report {
                BrokerReport::CancelRejected { .. } => self.say(report),
                _ => self.happened(report),
            }
        }
        if let Some(fill) = fill {
            self.happened(fill);
        }
    }
}

impl Exchange {
    /// Takes new terms, or says why not. What is asked again is answered again.
    fn replace(&self, order: &OrderState, now_ns: i64) {
        let order_id = order.id().to_owned();
        let keeps = self.fate.strikes(Fault::BrokerKeepsTerms, &order_id);
        let refused = |reason: &str| {
            let report = BrokerReport::ReplaceRejected { reason: reason.to_owned() };
            Report { order_id: order_id.clone(), report }
        };
        let Some(asked) = &order.replace else { return self.say(refused("no new terms are stated")) };
        let report = {
            let mut guard = self.lock();
            let state = &mut *guard;
            let client = state.first(&order.client_order_id);
            let held = state.orders.get(&client);
            let said = held.into_iter().flat_map(|held| &held.history).find(|said| match &said.report {
                BrokerReport::Replaced(terms) => terms.client_order_id == asked.client_order_id,
                _ => false,
            });
            if let Some(said) = said {
                let said = said.clone();
                drop(guard);
                return self.say(said);
            }
            match held {
                None => refused("no such order"),
                Some(held) if !held.working => refused("the order is not working"),
                Some(held) if !held.is_alone() => refused("orders of a group keep their terms"),
                Some(_) if keeps => refused("not today"),
                Some(held) => {
                    let worked = held.as_worked(order, now_ns);
                    let answer = at_once(state.inner.replace(&worked, now_ns)).and_then(Result::ok);
                    let answer = answer.and_then(|reports| reports.into_iter().next());
                    answer.unwrap_or_else(|| refused("nothing is known of it"))
                }
            }
        };
        match report.report {
            BrokerReport::Replaced(_) => self.happened(report),
            _ => self.say(report),
        }
    }
}
