//! Signals and decisions of the dense loop.

use contracts::v1::{Intent, OrderType, Side, TimeInForce};
use domain::money::{Amount, E9, Price, Quantity};
use domain::order::signed;
use domain::risk::SessionAnswer;
use domain::risk::kernel::{LegInput, LegTerms, Running, Sized, decide_leg, side_of};
use domain::strategy::{Terms, Wish};

use super::chain::{Decided, Wished};
use super::orders::Order;
use super::{Dense, Stop, known, require, within};

const NANOS_PER_MILLISECOND: i64 = 1_000_000;

/// A signal of the present instant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    pub host: usize,
    pub symbol: usize,
    /// Series and place among the wishes that its bar made the strategy have.
    pub series: usize,
    pub place: u32,
    pub intent: Intent,
    pub weight_e9: i64,
    pub quantity: Option<Quantity>,
    /// Place of the wish among those of the instant.
    pub wish: usize,
}

/// The slot of the one leg of a wish for a market order of the day.
pub(super) fn known_slot(wish: &Wish) -> Result<usize, Stop> {
    let [leg] = wish.legs.as_slice() else { return Err(Stop::Unknown) };
    let sized = leg.quantity.is_none_or(|quantity| quantity > Quantity::ZERO);
    let fits = match leg.intent {
        Intent::EnterLong | Intent::EnterShort | Intent::Exit => leg.weight_e9 >= 0,
        Intent::Target => leg.quantity.is_none() && leg.weight_e9.saturating_abs() <= 10 * E9,
        Intent::Buy | Intent::Sell | Intent::Unspecified => false,
    };
    require(leg.terms == Terms::default() && sized && fits)?;
    Ok(leg.slot)
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
    /// Takes over what a strategy wishes since `first`, at the bar of `series`.
    pub(super) fn collect(&mut self, host: usize, series: usize, first: usize) -> Result<(), Stop> {
        let known_host = &self.hosts[host];
        for (place, (wish, at)) in (0u32..).zip(self.wishes[first..].iter().zip(first..)) {
            let slot = known_slot(wish)?;
            // A strategy may wish for another symbol than the one whose bar came.
            let symbol = if known_host.reads_as(series, slot) {
                self.symbol_of[series]
            } else {
                let name = known_host.symbol(slot);
                known(self.names.binary_search_by(|symbol| (**symbol).cmp(name)).ok())?
            };
            let leg = &wish.legs[0];
            let (intent, weight_e9, quantity) = (leg.intent, leg.weight_e9, leg.quantity);
            self.pending.push(Pending { host, symbol, series, place, intent, weight_e9, quantity, wish: at });
        }
        Ok(())
    }

    /// Decides the instant's signals, then submits what was approved.
    pub(super) fn decide(&mut self, ns: i64) -> Result<(), Stop> {
        let mut pending = std::mem::take(&mut self.pending);
        if pending.len() > 1 {
            pending.sort_by_key(|one| (one.host, one.symbol));
        }
        let session = self.session_answer(ns);
        for one in &pending {
            self.judge(one, ns, session)?;
        }
        pending.clear();
        self.wishes.clear();
        self.pending = pending;
        Ok(())
    }

    /// As [`SessionAnswer::of`] for an order of the day, as every one here is. It answers alike up to the end of a session
    /// that takes the order.
    fn session_answer(&mut self, ns: i64) -> SessionAnswer {
        if self.accepting.is_some_and(|(from_ns, until_ns)| from_ns <= ns && ns < until_ns) {
            return SessionAnswer::Accepts;
        }
        let calendar = self.config.calendar;
        let answer = SessionAnswer::of(calendar, TimeInForce::Day, ns);
        if answer == SessionAnswer::Accepts {
            self.accepting = calendar.current_or_next(ns).ok().map(|session| (ns, session.close_ns));
        }
        answer
    }

    fn judge(&mut self, one: &Pending, ns: i64, session: SessionAnswer) -> Result<(), Stop> {
        self.counts.signals += 1;
        self.note_price(one.symbol)?;
        let share_e9 = if one.intent == Intent::Target { one.weight_e9 } else { E9 };
        let terms = LegTerms {
            intent: one.intent,
            order_type: OrderType::Market,
            limit: None,
            stop: None,
            share_e9,
            quantity: one.quantity,
            estimated: false,
        };
        let input = self.input(one, &terms, ns, session)?;
        let mut running = Running::default();
        running.expect(&input, &terms);
        let answer = decide_leg(&self.policies[one.host], &input, &terms, &mut running);
        match &answer {
            Ok(_) => self.counts.approved += 1,
            Err(denied) => *self.counts.denied.entry(denied.rule()).or_default() += 1,
        }
        let mut noted = 0;
        if CHAIN {
            let wish = self.wished(one);
            noted = self.chain.decided(Decided {
                host: one.host,
                symbol: one.symbol,
                series: one.series,
                place: one.place,
                ns,
                price_ns: self.symbols[one.symbol].time_ns,
                wish,
                input,
                answer,
            });
        }
        match answer {
            Ok(sized) => self.submit(one, noted, ns, &input, sized),
            Err(_) => Ok(()),
        }
    }

    fn wished(&mut self, one: &Pending) -> Wished {
        let wish = &mut self.wishes[one.wish];
        Wished {
            intent: one.intent,
            weight_e9: one.weight_e9,
            quantity: one.quantity,
            indicators: std::mem::take(&mut wish.indicators),
            reason: std::sync::Arc::clone(&wish.reason),
        }
    }

    fn submit(
        &mut self,
        one: &Pending,
        noted: usize,
        ns: i64,
        input: &LegInput,
        sized: Sized,
    ) -> Result<(), Stop> {
        require(sized.quantity > Quantity::ZERO && sized.side != Side::Unspecified)?;
        let key = self.orders.add(Order {
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
            ids: None,
            noted,
        })?;
        self.counts.orders += 1;
        self.enqueue(key, sized, ns);
        Ok(())
    }

    fn reserved(&self, host: usize, symbol: usize) -> Result<Reserved, Stop> {
        let mut sum = Reserved::default();
        for order in self.orders.open() {
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
    fn input(
        &self,
        one: &Pending,
        terms: &LegTerms,
        ns: i64,
        session: SessionAnswer,
    ) -> Result<LegInput, Stop> {
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
            session,
            ..LegInput::default()
        };
        // The side is found on what the view knows at that point.
        let target = one.intent == Intent::Target;
        if target {
            let (buy, sell) = reserved.strategy;
            input.strategy_reserved = Quantity(known(buy.checked_add(sell))?);
        }
        let side = side_of(&input, &LegTerms { share_e9: if target { terms.share_e9 } else { 0 }, ..*terms });
        if !target {
            input.strategy_reserved = of_side(side, reserved.strategy);
        }
        input.account_reserved = of_side(side, reserved.account);
        input.strategy_symbols = self.weights[one.host];
        Ok(input)
    }
}
