//! Executions: when the market or a script fills an order, and what follows.

use serde_json::json;

use super::activity::Activity;
use super::desk::Desk;
use super::order::{Class, Execution, Kind, Order, Side, Status, TimeInForce};
use super::plan::Act;
use super::ticket::Refusal;
use crate::calendar;
use crate::decimal::Decimal;
use crate::id;
use crate::market::{Market, Quote};
use crate::settings::Settings;

impl Desk {
    /// The clock has moved: orders open, expire and are filled.
    pub fn on_market(&mut self, market: &mut Market, settings: &Settings) {
        let now_ns = market.now_ns();
        for place in 0..self.orders.len() {
            let order = &self.orders[place];
            let waits = order.status == Status::Accepted && order.live && order.parent.is_none();
            if waits && calendar::open_at(now_ns).is_some() {
                self.open(place, market);
            }
            let order = &self.orders[place];
            // An exit ends with its entry, or by itself once that is filled.
            let held = order.parent.is_some_and(|parent| self.orders[parent].is_open());
            let over = order.is_open() && !held;
            if over && order.times.expires.is_some_and(|expires| expires <= now_ns) {
                let gtc = order.time_in_force == TimeInForce::Gtc;
                let (status, event) =
                    if gtc { (Status::Canceled, "canceled") } else { (Status::Expired, "expired") };
                match self.orders[place].parent {
                    // Each of a pair has the same end.
                    Some(_) => self.end_alone(place, status, event, market),
                    None => self.end(place, status, event, market),
                }
            }
        }
        self.match_all(market, settings);
    }

    /// Fills what can be filled, until nothing can be.
    pub(super) fn match_all(&mut self, market: &Market, settings: &Settings) {
        if !settings.alpaca_trading.fills {
            return;
        }
        let mut place = 0;
        while place < self.orders.len() {
            // A fill may bring exits to life that come later in the list.
            self.match_one(place, market, settings);
            place += 1;
        }
    }

    fn match_one(&mut self, place: usize, market: &Market, settings: &Settings) {
        let order = &self.orders[place];
        let works = matches!(order.status, Status::New | Status::PartiallyFilled)
            || (order.status == Status::Held && order.live);
        if !works || !order.live || order.plan.manual || market.is_halted(&order.symbol) {
            return;
        }
        let now_ns = market.now_ns();
        let in_session = calendar::open_at(now_ns).is_some();
        let extended = order.extended_hours && Self::is_extended(now_ns);
        if !in_session && !extended {
            return;
        }
        let Some(quote) = market.last_quote(&order.symbol) else { return };
        self.follow(place, &quote);
        if !self.trigger(place, &quote, market) {
            return;
        }
        let Some(price) = Self::price_of(&self.orders[place], &quote) else {
            self.end_unless_waiting(place, market);
            return;
        };
        let every = settings.alpaca_trading.partial_every;
        let remaining = self.orders[place].remaining(price);
        let in_parts = every > 0
            && (self.execution_count + 1).is_multiple_of(every)
            && remaining > Decimal::ONE
            && self.orders[place].time_in_force != TimeInForce::Fok;
        let quantity = if in_parts { remaining.over(Decimal::whole(2)).floor_to(0) } else { remaining };
        self.execute(place, Some(quantity), Some(price), market);
        if in_parts {
            self.end_unless_waiting(place, market);
        }
    }

    /// Between 04:00 and 20:00 of a trading day.
    fn is_extended(now_ns: i64) -> bool {
        let date = calendar::date_of(now_ns);
        let hours = calendar::at(date, 4, 0)..calendar::at(date, 20, 0);
        calendar::session(date).is_some() && hours.contains(&now_ns)
    }

    /// What cannot wait for its price ends.
    fn end_unless_waiting(&mut self, place: usize, market: &Market) {
        if matches!(self.orders[place].time_in_force, TimeInForce::Ioc | TimeInForce::Fok) {
            self.end(place, Status::Canceled, "canceled", market);
        }
    }

    /// A trailing stop follows the price.
    fn follow(&mut self, place: usize, quote: &Quote) {
        let order = &mut self.orders[place];
        if order.kind != Kind::TrailingStop || order.triggered {
            return;
        }
        let now = Decimal::ten_thousandths(match order.side {
            Side::Sell => quote.bid,
            Side::Buy => quote.ask,
        });
        let mark = order.high_water.map_or(now, |mark| match order.side {
            Side::Sell => mark.max(now),
            Side::Buy => mark.min(now),
        });
        let hundred = Decimal::whole(100);
        let distance = order
            .trail_price
            .or_else(|| order.trail_percent.map(|percent| mark.times(percent).over(hundred)))
            .unwrap_or_default();
        order.high_water = Some(mark);
        let stop = match order.side {
            Side::Sell => mark - distance,
            Side::Buy => mark + distance,
        };
        order.stop_price = Some(stop.floor_to(2));
    }

    /// Whether an order may work at these prices; a stop does from when it was reached.
    fn trigger(&mut self, place: usize, quote: &Quote, market: &Market) -> bool {
        let order = &mut self.orders[place];
        let stopped = matches!(order.kind, Kind::Stop | Kind::StopLimit | Kind::TrailingStop);
        if !stopped || order.triggered {
            return true;
        }
        let reached = order.stop_price.is_some_and(|stop| match order.side {
            Side::Buy => Decimal::ten_thousandths(quote.ask) >= stop,
            Side::Sell => Decimal::ten_thousandths(quote.bid) <= stop,
        });
        order.triggered = reached;
        if reached && order.status == Status::Held {
            // The stop of a pair was reached: its other half is given up first.
            self.end_related(place, market);
            self.open(place, market);
        }
        reached
    }

    /// The price at which an order can be filled now.
    fn price_of(order: &Order, quote: &Quote) -> Option<Decimal> {
        let (price, within) = match order.side {
            Side::Buy => {
                let ask = Decimal::ten_thousandths(quote.ask);
                (ask, order.limit_price.is_none_or(|limit| ask <= limit))
            }
            Side::Sell => {
                let bid = Decimal::ten_thousandths(quote.bid);
                (bid, order.limit_price.is_none_or(|limit| bid >= limit))
            }
        };
        within.then_some(price)
    }

    /// Executes so many shares of an order; all that are left when nothing is said.
    pub(super) fn execute(
        &mut self,
        place: usize,
        quantity: Option<Decimal>,
        price: Option<Decimal>,
        market: &Market,
    ) {
        if !self.orders[place].is_open() {
            return;
        }
        let (symbol, side) = (self.orders[place].symbol.clone(), self.orders[place].side);
        let price = price.unwrap_or_else(|| Self::price(market, &symbol, side));
        let remaining = self.orders[place].remaining(price);
        let quantity = quantity.map_or(remaining, |quantity| quantity.min(remaining)).floor_to(9);
        if quantity <= Decimal::ZERO {
            return;
        }
        self.execution_count += 1;
        let execution =
            Execution { id: id::uuid(&format!("execution {}", self.execution_count)), quantity, price };
        self.book.trade(&symbol, side.signed(quantity), price);
        let now_ns = market.now_ns();
        let order = &mut self.orders[place];
        order.executions.push(execution.clone());
        let whole = order.notional.is_some() || order.quantity.is_some_and(|all| all <= order.filled());
        order.status = if whole { Status::Filled } else { Status::PartiallyFilled };
        order.times.updated = now_ns;
        if whole {
            order.times.filled = Some(now_ns);
        }
        let told = json!({"execution_id": execution.id, "qty": quantity, "price": price});
        self.activities.push(Activity::fill(&self.orders[place], &execution, whole, now_ns));
        self.announce(place, if whole { "fill" } else { "partial_fill" }, market, Some(&told));
        if whole {
            self.after_fill(place, market);
        } else {
            self.shrink_other(place, market);
        }
    }

    /// An entry brings its exits to life; an exit ends the other one.
    fn after_fill(&mut self, place: usize, market: &Market) {
        let entry = self.orders[place].parent.is_none() && self.orders[place].class != Class::Oco;
        if !entry {
            self.end_related(place, market);
            return;
        }
        let legs = self.orders[place].legs.clone();
        for (index, leg) in legs.iter().enumerate() {
            self.orders[*leg].live = true;
            // Of a pair the stop stays held: the broker watches its price.
            if index == 0 {
                self.open(*leg, market);
            }
        }
    }

    /// One exit of a pair was filled in part: the other covers what is left.
    fn shrink_other(&mut self, place: usize, market: &Market) {
        let left = self.orders[place].remaining(Decimal::ONE);
        let order = &self.orders[place];
        let others: Vec<usize> = match (order.parent, order.class) {
            (Some(parent), Class::Oco) => vec![parent],
            (Some(parent), _) => {
                self.orders[parent].legs.iter().copied().filter(|leg| *leg != place).collect()
            }
            (None, Class::Oco) => order.legs.clone(),
            (None, _) => Vec::new(),
        };
        for other in others {
            self.orders[other].quantity = Some(left);
            self.orders[other].times.updated = market.now_ns();
        }
    }

    /// Does with an order what a script wants.
    ///
    /// # Errors
    /// When the order, or the execution, is not there.
    pub fn act(&mut self, id: &str, act: Act, market: &Market) -> Result<(), Refusal> {
        let place = self.find(id).ok_or_else(|| Refusal::missing(format!("no order {id}")))?;
        match act {
            Act::Accept => self.open(place, market),
            Act::Fill { qty, price } => {
                if !self.orders[place].is_open() {
                    return Err(Refusal::unprocessable(format!("order {id} has ended")));
                }
                self.execute(place, qty, price, market);
            }
            Act::Cancel => self.end(place, Status::Canceled, "canceled", market),
            Act::Replace => self.complete_replacement(place, market),
            Act::Refuse if self.orders[place].replaced_by.is_some() => self.refuse_replacement(place, market),
            Act::Refuse => self.go_on(place, "order_cancel_rejected", market),
            Act::Reject => self.end(place, Status::Rejected, "rejected", market),
            Act::Expire => self.end(place, Status::Expired, "expired", market),
            Act::Bust { execution_id } => {
                let old = self.take_back(place, execution_id.as_deref())?;
                let told = json!({"previous_execution_id": old.id, "qty": old.quantity, "price": old.price});
                self.announce(place, "trade_bust", market, Some(&told));
            }
            Act::Correct { execution_id, qty, price } => {
                let (old, index) = self.take_back_at(place, execution_id.as_deref())?;
                self.execution_count += 1;
                let new = Execution {
                    id: id::uuid(&format!("execution {}", self.execution_count)),
                    quantity: qty.unwrap_or(old.quantity),
                    price: price.unwrap_or(old.price),
                };
                let (symbol, side) = (self.orders[place].symbol.clone(), self.orders[place].side);
                self.book.trade(&symbol, side.signed(new.quantity), new.price);
                let told = json!({
                    "execution_id": new.id,
                    "previous_execution_id": old.id,
                    "qty": new.quantity,
                    "price": new.price,
                });
                let later = self.orders[place].executions.split_off(index);
                self.orders[place].executions.push(new.clone());
                // It is listed in its place, as of what had been filled with it.
                let whole = self.orders[place].status == Status::Filled;
                self.activities.push(Activity::fill(&self.orders[place], &new, whole, market.now_ns()));
                self.orders[place].executions.extend(later);
                self.announce(place, "trade_correct", market, Some(&told));
            }
            Act::Announce { event, status } => {
                if let Some(status) = status {
                    self.set(place, status, market);
                }
                self.announce(place, &event, market, None);
            }
        }
        Ok(())
    }

    /// Takes an execution back, with its shares and its money.
    fn take_back(&mut self, place: usize, id: Option<&str>) -> Result<Execution, Refusal> {
        self.take_back_at(place, id).map(|(execution, _)| execution)
    }

    /// The same with its place among the order's executions.
    fn take_back_at(&mut self, place: usize, id: Option<&str>) -> Result<(Execution, usize), Refusal> {
        let order = &mut self.orders[place];
        let found = match id {
            Some(id) => order.executions.iter().position(|execution| execution.id == id),
            None => order.executions.len().checked_sub(1),
        };
        let found = found.ok_or_else(|| Refusal::missing("no such execution"))?;
        let execution = order.executions.remove(found);
        let (symbol, side) = (order.symbol.clone(), order.side);
        self.book.trade(&symbol, side.opposite().signed(execution.quantity), execution.price);
        self.activities.retain(|activity| activity.execution_id.as_deref() != Some(&execution.id));
        Ok((execution, found))
    }
}
