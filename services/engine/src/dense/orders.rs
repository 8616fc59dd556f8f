//! Signals, decisions, orders and fills of the dense loop.

use contracts::v1::{OrderSpec, OrderType, RiskInput, Side, TimeInForce, Verdict};
use contracts::{ShortEventId, ShortOrderId, chain_id, to_timestamp};
use domain::matching::kernel::{End, Filled, Outcome as Happened, Resting};
use domain::money::{Amount, E9, Price, Quantity};
use domain::order::signed;
use domain::risk::kernel::{Deny, LegInput, LegTerms, Running, Sized, decide_leg, side_of};
use domain::risk::session_accepts;
use domain::strategy::{Terms, Wish, WishLeg};

use contracts::v1::Intent;

use super::chain::{Ids, copy_spec, write, write_two};
use super::{Dense, QUANTITY_MOST, Stop, known, require, whole, within};
use crate::ledger::{Dealt, Lots};

const NANOS_PER_MILLISECOND: i64 = 1_000_000;

/// A signal of the present instant.
#[derive(Debug)]
pub(super) struct Pending {
    pub host: usize,
    pub symbol: usize,
    /// Series and place among the wishes that its bar made the strategy have.
    pub series: usize,
    pub place: u32,
    pub leg: WishLeg,
    pub wish: Wish,
}

/// The one leg of a wish for a market order of the day.
pub(super) fn known_leg(wish: &Wish) -> Result<WishLeg, Stop> {
    let &[leg] = wish.legs.as_slice() else { return Err(Stop::Unknown) };
    let sized = leg.quantity.is_none_or(|quantity| quantity > Quantity::ZERO);
    let fits = match leg.intent {
        Intent::EnterLong | Intent::EnterShort | Intent::Exit => leg.weight_e9 >= 0,
        Intent::Target => leg.quantity.is_none() && leg.weight_e9.saturating_abs() <= 10 * E9,
        Intent::Buy | Intent::Sell | Intent::Unspecified => false,
    };
    require(leg.terms == Terms::default() && sized && fits)?;
    Ok(leg)
}

/// An order that works.
#[derive(Clone, Copy, Debug)]
struct Order {
    host: usize,
    symbol: usize,
    series: usize,
    place: u32,
    side: Side,
    quantity: Quantity,
    filled: Quantity,
    fills: u32,
    reference: Price,
    reducing: bool,
    approved_ns: i64,
    ids: Ids,
    /// Whether its ids are known.
    named: bool,
}

impl Order {
    fn unfilled(&self) -> Quantity {
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

    fn add(&mut self, order: Order) -> Result<u32, Stop> {
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
}

/// Shares and value of what is approved and not filled.
#[derive(Clone, Copy, Debug, Default)]
struct Reserved {
    /// Of the strategy: bought, sold.
    strategy: (i64, i64),
    /// Of the account.
    account: (i64, i64),
    exposure: Amount,
}

fn of_side(side: Side, (buy, sell): (i64, i64)) -> Quantity {
    Quantity(if side == Side::Buy { buy } else { sell })
}

impl<const CHAIN: bool> Dense<'_, CHAIN> {
    /// Decides the instant's signals, then submits what was approved.
    pub(super) fn decide(&mut self, ns: i64) -> Result<(), Stop> {
        let mut pending = std::mem::take(&mut self.pending);
        if pending.len() > 1 {
            pending.sort_by_key(|one| (one.host, one.symbol));
        }
        let accepts = session_accepts(self.config.calendar, TimeInForce::Day, ns);
        for one in &pending {
            self.judge(one, ns, accepts)?;
        }
        pending.clear();
        self.pending = pending;
        Ok(())
    }

    fn judge(&mut self, one: &Pending, ns: i64, session_accepts: bool) -> Result<(), Stop> {
        self.counts.signals += 1;
        let mut ids = Ids::default();
        if CHAIN {
            ids = self.ids(one.host, one.series, one.place, ns);
            let signal = self.hosts[one.host].signal(&one.wish);
            self.chain.signal(one.host, one.symbol, ids.signal, ns, signal);
        }
        let share_e9 = if one.leg.intent == Intent::Target { one.leg.weight_e9 } else { E9 };
        let terms = LegTerms {
            intent: one.leg.intent,
            order_type: OrderType::Market,
            limit: None,
            stop: None,
            share_e9,
            quantity: one.leg.quantity,
        };
        let input = self.input(one, &terms, ns, session_accepts)?;
        let mut running = Running::default();
        running.expect(&input, &terms);
        let decided = decide_leg(&self.policies[one.host], &input, &terms, &mut running);
        match &decided {
            Ok(_) => self.counts.approved += 1,
            Err(denied) => *self.counts.denied.entry(denied.rule()).or_default() += 1,
        }
        if CHAIN {
            self.tell_decision(one, &ids, ns, &input, &decided);
        }
        match decided {
            Ok(sized) => self.submit(one, ids, ns, &input, sized),
            Err(_) => Ok(()),
        }
    }

    fn ids(&self, host: usize, series: usize, place: u32, ns: i64) -> Ids {
        let of = &self.data.series[series];
        let bar = ShortEventId::bar(&of.source, &of.symbol, of.timeframe.name(), ns);
        let signal = ShortEventId::event(bar.as_str(), &self.hosts[host].handler, place);
        let decision = ShortEventId::event(signal.as_str(), chain_id::RISK, 0);
        let submitted = ShortEventId::event(decision.as_str(), chain_id::SUBMIT, 0);
        Ids { signal, decision, submitted, order: ShortOrderId::order(signal.as_str(), 0) }
    }

    fn reserved(&self, host: usize, symbol: usize) -> Result<Reserved, Stop> {
        let mut sum = Reserved::default();
        for key in &self.orders.open {
            let order = &self.orders.slots[*key as usize];
            if !order.reducing {
                sum.exposure.0 += Amount::notional(Price(order.reference.0.max(0)), order.unfilled()).0;
            }
            if order.symbol != symbol {
                continue;
            }
            let add = |sum: &mut (i64, i64)| -> Result<(), Stop> {
                let side = if order.side == Side::Buy { &mut sum.0 } else { &mut sum.1 };
                *side = known(side.checked_add(signed(order.side, order.unfilled()).0))?;
                Ok(())
            };
            add(&mut sum.account)?;
            if order.host == host {
                add(&mut sum.strategy)?;
            }
        }
        require(within(sum.exposure))?;
        Ok(sum)
    }

    /// What risk looks at, as `risk::view` gathers it from a book.
    fn input(&self, one: &Pending, terms: &LegTerms, ns: i64, accepts: bool) -> Result<LegInput, Stop> {
        let symbol = &self.symbols[one.symbol];
        require(symbol.price.0 > 0)?;
        let reserved = self.reserved(one.host, one.symbol)?;
        let equity = known(self.account.mark.as_ref())?.equity;
        let (gross, day_pnl) = (known(self.account.gross_exposure())?, known(self.account.day_pnl())?);
        require(within(gross) && within(day_pnl) && within(self.account.cash))?;
        let mut input = LegInput {
            price: symbol.price,
            price_age_ms: ns.saturating_sub(symbol.time_ns).div_euclid(NANOS_PER_MILLISECOND),
            strategy_position: self.holdings[self.holding(one.host, one.symbol)].position.quantity,
            account_position: symbol.net,
            equity: Some(equity),
            cash: self.account.cash,
            gross_exposure: gross,
            reserved_exposure: reserved.exposure,
            day_pnl: Some(day_pnl),
            strategy_symbols: 0,
            session_accepts: false,
            ..LegInput::default()
        };
        // The side is found on what the view knows at that point.
        let target = one.leg.intent == Intent::Target;
        if target {
            let (buy, sell) = reserved.strategy;
            input.strategy_reserved = Quantity(known(buy.checked_add(sell))?);
        }
        let side = side_of(&input, &LegTerms { share_e9: if target { terms.share_e9 } else { 0 }, ..*terms });
        if !target {
            input.strategy_reserved = of_side(side, reserved.strategy);
        }
        input.account_reserved = of_side(side, reserved.account);
        input.session_accepts = accepts;
        input.strategy_symbols = self.weights[one.host];
        Ok(input)
    }

    pub(super) fn holding(&self, host: usize, symbol: usize) -> usize {
        host * self.names.len() + symbol
    }

    fn tell_decision(
        &mut self,
        one: &Pending,
        ids: &Ids,
        ns: i64,
        input: &LegInput,
        decided: &Result<Sized, Deny>,
    ) {
        let name: &str = &self.names[one.symbol];
        let spec = &mut self.spec;
        if let Ok(sized) = decided {
            write(&mut spec.order_id, ids.order.as_str());
            write(&mut spec.account, &self.config.account.name);
            write(&mut spec.strategy, &self.hosts[one.host].name);
            write(&mut spec.symbol, name);
            spec.side = sized.side.into();
            spec.order_type = OrderType::Market.into();
            spec.time_in_force = TimeInForce::Day.into();
            spec.quantity_e9 = sized.quantity.0;
            spec.reducing = sized.reducing;
        }
        let version = self.account.config.as_ref().map_or(0, |config| config.version);
        let (account, strategy) = (&self.config.account.name, &self.hosts[one.host].name);
        let price_time = Some(to_timestamp(self.symbols[one.symbol].time_ns));
        self.chain.decision(one.host, one.symbol, ids, ns, |decision| {
            write(&mut decision.account, account);
            write(&mut decision.strategy, strategy);
            decision.rule.clear();
            decision.reason.clear();
            match decided {
                Ok(_) => {
                    decision.verdict = Verdict::Approved.into();
                    decision.orders.resize_with(1, OrderSpec::default);
                    copy_spec(&mut decision.orders[0], spec);
                }
                Err(denied) => {
                    decision.verdict = Verdict::Denied.into();
                    decision.orders.clear();
                    decision.rule.push_str(denied.rule().name());
                    decision.reason = denied.reason(name);
                }
            }
            state(&mut decision.inputs[0], input, name, version);
            decision.inputs[0].price_time = price_time;
        });
    }

    fn submit(
        &mut self,
        one: &Pending,
        ids: Ids,
        ns: i64,
        input: &LegInput,
        sized: Sized,
    ) -> Result<(), Stop> {
        require(sized.quantity > Quantity::ZERO && sized.side != Side::Unspecified)?;
        let order = Order {
            host: one.host,
            symbol: one.symbol,
            series: one.series,
            place: one.place,
            side: sized.side,
            quantity: sized.quantity,
            filled: Quantity::ZERO,
            fills: 0,
            reference: input.price,
            reducing: sized.reducing,
            approved_ns: ns,
            ids,
            named: CHAIN,
        };
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
        };
        let key = self.orders.add(order)?;
        self.counts.orders += 1;
        if CHAIN {
            self.chain.submitted(one.host, one.symbol, &ids, ns, &self.spec);
        }
        self.enqueue(key, resting, ns);
        Ok(())
    }

    /// Works an order behind those accepted before it, and by its id among those accepted with it. Only then
    /// the ids are needed, whatever is recorded.
    fn enqueue(&mut self, key: u32, resting: Resting, ns: i64) {
        let symbol = self.orders.slots[key as usize].symbol;
        if self.queues[symbol].iter().all(|known| known.order.accepted_ns < ns) {
            return self.queues[symbol].push(key, resting, None);
        }
        for rival in self.orders.open.clone() {
            let order = self.orders.slots[rival as usize];
            if order.symbol == symbol && order.approved_ns == ns && !order.named {
                let ids = self.ids(order.host, order.series, order.place, ns);
                let slot = &mut self.orders.slots[rival as usize];
                (slot.ids, slot.named) = (ids, true);
            }
        }
        let slots = &self.orders.slots;
        let id = slots[key as usize].ids.order;
        self.queues[symbol].insert(key, resting, None, |known| {
            (known.order.accepted_ns, slots[known.key as usize].ids.order) >= (ns, id)
        });
    }

    /// Folds what the queues said.
    pub(super) fn tell(&mut self, ns: i64) -> Result<(), Stop> {
        if self.matches.is_empty() {
            return Ok(());
        }
        let mut matches = std::mem::take(&mut self.matches);
        for (key, happened) in matches.drain(..) {
            self.happened(key, happened, ns)?;
        }
        self.matches = matches;
        Ok(())
    }

    fn happened(&mut self, key: u32, happened: Happened, ns: i64) -> Result<(), Stop> {
        require(happened.triggered.is_none() && happened.trailed.is_none())?;
        if let Some(filled) = happened.filled {
            self.filled(key, &filled, ns)?;
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
                    let ids = self.orders.slots[key as usize].ids;
                    self.chain.expired(&ids, ns, end.reason());
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
        self.turnover.0 += Amount::notional(filled.price, filled.quantity).0;
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
        let symbols = self.symbol_of.iter().enumerate().filter(|(_, symbol)| **symbol == order.symbol);
        for (series, _) in symbols {
            self.hosts[order.host].hold_at(series, held);
        }
        self.tell_fill(&order, filled, ns)
    }

    /// Tells the strategy of its fill, and the chain.
    fn tell_fill(&mut self, order: &Order, filled: &Filled, ns: i64) -> Result<(), Stop> {
        let mut fill = std::mem::take(&mut self.fill);
        write(&mut fill.account, &self.config.account.name);
        write(&mut fill.strategy, &self.hosts[order.host].name);
        write(&mut fill.symbol, &self.names[order.symbol]);
        fill.side = order.side.into();
        fill.number = filled.number;
        fill.quantity_e9 = filled.quantity.0;
        fill.price_e9 = filled.price.0;
        fill.commission = filled.commission.to_wire();
        fill.executed_at = Some(to_timestamp(filled.executed_ns));
        fill.remaining_e9 = order.unfilled().0;
        fill.slippage_e9 = filled.slippage.0;
        fill.ambiguous = filled.ambiguous;
        if CHAIN {
            write(&mut fill.order_id, order.ids.order.as_str());
            write_two(&mut fill.execution_id, "sim-", order.ids.order.as_str());
            fill.execution_id.push('-');
            push_number(&mut fill.execution_id, filled.number);
            write_two(&mut self.text, chain_id::FILL, &fill.execution_id);
            let id = ShortEventId::event(order.ids.submitted.as_str(), &self.text, 0);
            fill = self.chain.fill(order.host, order.symbol, id, ns, fill);
        }
        self.hosts[order.host].on_fill(&fill, &mut self.wishes);
        self.fill = fill;
        require(self.wishes.is_empty())
    }
}

fn push_number(text: &mut String, number: u32) {
    match char::from_digit(number, 10) {
        Some(digit) => text.push(digit),
        None => text.push_str(&number.to_string()),
    }
}

/// The recorded input of a decision: what [`LegInput`] holds, under its names.
fn state(wire: &mut RiskInput, input: &LegInput, symbol: &str, limits_version: u64) {
    write(&mut wire.symbol, symbol);
    wire.price_e9 = input.price.0;
    wire.price_age_ms = input.price_age_ms;
    wire.strategy_position_e9 = input.strategy_position.0;
    wire.account_position_e9 = input.account_position.0;
    wire.strategy_reserved_e9 = input.strategy_reserved.0;
    wire.account_reserved_e9 = input.account_reserved.0;
    wire.equity = input.equity.and_then(Amount::to_wire);
    wire.cash = input.cash.to_wire();
    wire.gross_exposure = input.gross_exposure.to_wire();
    wire.reserved_exposure = input.reserved_exposure.to_wire();
    wire.day_pnl = input.day_pnl.and_then(Amount::to_wire);
    wire.strategy_symbols = input.strategy_symbols;
    wire.session_accepts = input.session_accepts;
    wire.limits_version = limits_version;
}
