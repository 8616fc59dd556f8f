//! Orders and fills of the dense loop.

use contracts::to_timestamp;
use contracts::v1::{Fill, OrderType, Side, TimeInForce};
use domain::matching::kernel::{End, Filled, Outcome as Happened, Resting};
use domain::money::{Amount, Price, Quantity};
use domain::order::signed;
use domain::risk::kernel::Sized;

use super::chain::{Expiring, Filling};
use super::names::Ids;
use super::{Dense, QUANTITY_MOST, Stop, known, require, whole, within};
use crate::ledger::{Dealt, Lots};

/// An order that works.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    pub host: usize,
    pub symbol: usize,
    pub series: usize,
    pub place: u32,
    pub side: Side,
    pub quantity: Quantity,
    pub filled: Quantity,
    pub fills: u32,
    pub reference: Price,
    pub reducing: bool,
    pub approved_ns: i64,
    /// Once they were made.
    pub ids: Option<Ids>,
    /// Place of its decision among those noted, as long as they are.
    pub noted: usize,
}

impl Order {
    pub fn unfilled(&self) -> Quantity {
        Quantity(self.quantity.0 - self.filled.0)
    }
}

/// The orders that work, by number.
#[derive(Debug, Default)]
pub(super) struct Orders {
    slots: Vec<Order>,
    free: Vec<u32>,
    open: Vec<u32>,
}

impl Orders {
    pub fn any(&self) -> bool {
        !self.open.is_empty()
    }

    pub fn open(&self) -> impl Iterator<Item = &Order> {
        self.open.iter().map(|key| &self.slots[*key as usize])
    }

    pub fn add(&mut self, order: Order) -> Result<u32, Stop> {
        let key = match self.free.pop() {
            Some(key) => key,
            None => {
                self.slots.push(order);
                known(u32::try_from(self.slots.len() - 1).ok())?
            }
        };
        self.slots[key as usize] = order;
        self.open.push(key);
        Ok(key)
    }

    fn end(&mut self, key: u32) {
        self.open.retain(|open| *open != key);
        self.free.push(key);
    }

    /// Gives ids to the open orders that have none yet.
    pub fn name(&mut self, ids_of: impl Fn(&Order) -> Ids) {
        for key in &self.open {
            let order = &mut self.slots[*key as usize];
            if order.ids.is_none() {
                order.ids = Some(ids_of(order));
            }
        }
    }
}

impl<const CHAIN: bool> Dense<'_, CHAIN> {
    /// Works an order behind those accepted before it, and by its id among those accepted with it. Only then
    /// the ids are needed, whatever is recorded.
    pub(super) fn enqueue(&mut self, key: u32, sized: Sized, ns: i64) {
        let resting = Resting {
            side: sized.side,
            order_type: OrderType::Market,
            time_in_force: TimeInForce::Day,
            limit: None,
            stop: None,
            trail: None,
            extreme: None,
            triggered: false,
            remaining: sized.quantity,
            tradable: None,
            accepted_ns: ns,
            seen_ns: i64::MIN,
            next_fill: 1,
            extended: false,
            unspent: None,
            most: None,
        };
        let symbol = self.orders.slots[key as usize].symbol;
        if self.queues[symbol].iter().all(|known| known.order.accepted_ns < ns) {
            return self.queues[symbol].push(key, resting, None);
        }
        let (hosts, series) = (&self.hosts, &self.data.series);
        self.orders
            .name(|order| Ids::of(&hosts[order.host], &series[order.series], order.place, order.approved_ns));
        let slots = &self.orders.slots;
        let id_of = |key: u32| slots[key as usize].ids.map(|ids| ids.order);
        let id = id_of(key);
        self.queues[symbol]
            .insert(key, resting, None, |known| (known.order.accepted_ns, id_of(known.key)) >= (ns, id));
    }

    /// Folds what the queues said.
    pub(super) fn tell(&mut self, ns: i64) -> Result<(), Stop> {
        if self.matches.is_empty() {
            return Ok(());
        }
        let mut matches = std::mem::take(&mut self.matches);
        for (key, happened) in matches.drain(..) {
            self.happened(key, &happened, ns)?;
        }
        self.matches = matches;
        Ok(())
    }

    fn happened(&mut self, key: u32, happened: &Happened, ns: i64) -> Result<(), Stop> {
        require(happened.triggered.is_none() && happened.trailed.is_none())?;
        if let Some(filled) = &happened.filled {
            self.filled(key, filled, ns)?;
        }
        let over = self.orders.slots[key as usize].unfilled() == Quantity::ZERO;
        match happened.ended {
            None => require(!over),
            Some(End::Filled) => {
                require(over)?;
                self.orders.end(key);
                Ok(())
            }
            Some(end @ End::SessionOver) => {
                require(end.is_expiry() && !over)?;
                self.counts.expired += 1;
                if CHAIN {
                    let order = &self.orders.slots[key as usize];
                    let order = self.chain.order(order.ids.as_ref(), order.noted);
                    self.chain.expired(Expiring { order, reason: end.reason(), ns });
                }
                self.orders.end(key);
                Ok(())
            }
            Some(_) => Err(Stop::Unknown),
        }
    }

    fn filled(&mut self, key: u32, filled: &Filled, ns: i64) -> Result<(), Stop> {
        let slot = &mut self.orders.slots[key as usize];
        let left = slot.unfilled();
        let good = filled.quantity > Quantity::ZERO && filled.quantity <= left && filled.price.0 > 0;
        require(good && within(filled.commission) && filled.number == slot.fills + 1)?;
        slot.fills = filled.number;
        slot.filled.0 += filled.quantity.0;
        let order = *slot;
        let change = signed(order.side, filled.quantity);
        let place = self.holding(order.host, order.symbol);
        let holding = &mut self.holdings[place];
        let traded = known(holding.position.trade(change, filled.price).ok())?;
        known(holding.position.add_fees(filled.commission).ok())?;
        known(self.account.traded(traded, filled.commission).ok())?;
        let (held, cost) = (holding.position.quantity, holding.position.cost);
        require(held.0.unsigned_abs() < QUANTITY_MOST && within(cost))?;
        require(within(self.account.cash) && within(self.account.realized_pnl) && within(self.account.fees))?;
        let symbol = &mut self.symbols[order.symbol];
        symbol.net = known(symbol.net.checked_add(change))?;
        symbol.whole = whole(symbol.net);

        self.counts.fills += 1;
        self.turnover.0 += traded.cash.0.abs();
        self.slippage.0 += Amount::notional(filled.slippage, filled.quantity).0;
        let dealt = Dealt {
            quantity: change,
            price: filled.price,
            commission: filled.commission,
            time_ns: filled.executed_ns,
        };
        let (strategy, name) = (&self.hosts[order.host].name, &self.names[order.symbol]);
        let lots = holding.lots.get_or_insert_with(|| Lots::new(&strategy.as_str().into(), name));
        lots.deal(dealt, &mut self.trades);
        self.hold(order.symbol);
        for &series in &self.series_of[order.symbol] {
            self.hosts[order.host].hold_at(series, held);
        }
        if CHAIN {
            let order_of = self.chain.order(order.ids.as_ref(), order.noted);
            let left = order.unfilled().0;
            self.chain.filled(Filling {
                order: order_of,
                host: order.host,
                symbol: order.symbol,
                side: order.side,
                filled: *filled,
                left,
                ns,
            });
        }
        if self.hosts[order.host].hears_fills() { self.tell_fill(&order, filled) } else { Ok(()) }
    }

    /// Tells the strategy of its fill.
    fn tell_fill(&mut self, order: &Order, filled: &Filled) -> Result<(), Stop> {
        let ids = order.ids.unwrap_or_else(|| {
            let series = &self.data.series[order.series];
            Ids::of(&self.hosts[order.host], series, order.place, order.approved_ns)
        });
        let id = ids.order.as_str();
        let fill = Fill {
            order_id: id.to_owned(),
            account: self.config.account.name.clone(),
            strategy: self.hosts[order.host].name.clone(),
            symbol: self.names[order.symbol].to_string(),
            side: order.side.into(),
            number: filled.number,
            quantity_e9: filled.quantity.0,
            price_e9: filled.price.0,
            commission: filled.commission.to_wire(),
            execution_id: format!("sim-{id}-{}", filled.number),
            executed_at: Some(to_timestamp(filled.executed_ns)),
            remaining_e9: order.unfilled().0,
            slippage_e9: filled.slippage.0,
            ambiguous: filled.ambiguous,
            ..Fill::default()
        };
        self.hosts[order.host].on_fill(&fill, &mut self.wishes);
        require(self.wishes.is_empty())
    }
}
