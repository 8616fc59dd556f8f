//! What the market does to a run: bars that trade, sessions that end, and what its fills mean.

use std::sync::Arc;

use contracts::chain_id;
use contracts::v1::event::Body;
use contracts::v1::{Costs, Side};
use domain::bar::Bar;
use domain::calendar::{Calendar, Session};
use domain::matching::charge;
use domain::money::{Amount, Price, Quantity};
use domain::order::{BrokerReport, decide, signed};

use crate::ledger::{Dealt, Lots};
use crate::recorder::Recorder;
use crate::run::{Error, Pending, Run, submitted_id};
use crate::walk::Walk;

impl<R: Recorder> Run<'_, R> {
    /// Trades the instant's bars, then folds the fills.
    pub(crate) fn match_bars(&mut self, walk: &Walk<'_>) -> Result<(), Error> {
        let mut session = None;
        for &(index, row) in &walk.bars {
            let series = &self.data.series[index];
            let bar = walk.rows[index].bar(row);
            if self.measures {
                self.prices.observe_bar(&series.symbol, &bar);
            } else {
                self.prices.observe(&series.symbol, bar.close, bar.close_ns);
            }
            session = session_of(self.config.calendar, session, &bar);
            let slot = self.slots[index];
            self.matcher.on_bar(slot, &bar, session.as_ref(), &self.costs, &mut self.matches);
        }
        match walk.bars.first() {
            Some(&(index, row)) => self.tell(walk.rows[index].close_ns[row]),
            None => Ok(()),
        }
    }

    pub(crate) fn session_closed(&mut self, session: &Session, event_ns: i64) -> Result<(), Error> {
        self.matches = self.matcher.on_session_closed(session.into());
        self.tell(event_ns)
    }

    /// Folds what the matcher said.
    pub(crate) fn tell(&mut self, event_ns: i64) -> Result<(), Error> {
        let mut matches = std::mem::take(&mut self.matches);
        for one in matches.drain(..) {
            self.report(&one.order_id, &one.report, event_ns)?;
        }
        self.matches = matches;
        Ok(())
    }

    /// Folds what the broker says of an order by itself, or of its submission.
    pub(crate) fn report(
        &mut self,
        order_id: &str,
        report: &BrokerReport,
        event_ns: i64,
    ) -> Result<(), Error> {
        self.answer(order_id, report, event_ns, None)
    }

    /// Folds what the broker says of an order, where it answers an event that is not its submission.
    pub(crate) fn answer(
        &mut self,
        order_id: &str,
        report: &BrokerReport,
        event_ns: i64,
        cause: Option<&str>,
    ) -> Result<(), Error> {
        let Some(order) = self.book.order(order_id) else { return Ok(()) };
        let Some(body) = decide::report(order, report)? else { return Ok(()) };
        let submitted = submitted_id(order);
        let id = match report {
            BrokerReport::Filled(execution) => chain_id::fill(&submitted, &execution.execution_id),
            BrokerReport::Accepted { .. } => chain_id::order_event(&submitted, "accepted"),
            BrokerReport::Rejected { .. } => chain_id::order_event(&submitted, "rejected"),
            BrokerReport::Cancelled { .. } => chain_id::order_event(&submitted, "cancelled"),
            BrokerReport::Expired { .. } => chain_id::order_event(&submitted, "expired"),
            BrokerReport::CancelRejected { .. } => chain_id::order_event(&submitted, "cancel_rejected"),
            BrokerReport::Suspended { .. } => chain_id::order_event(&submitted, "suspended"),
            BrokerReport::Triggered { .. } => chain_id::order_event(&submitted, "triggered"),
            BrokerReport::Trailed { extreme, .. } => {
                chain_id::order_event(&submitted, &format!("trailed/{}/{}", extreme.0, order.adjusted_by))
            }
            // What the simulated market never says.
            BrokerReport::Replaced(_)
            | BrokerReport::ReplaceRejected { .. }
            | BrokerReport::Corrected { .. }
            | BrokerReport::Busted { .. }
            | BrokerReport::Reopened { .. }
            | BrokerReport::Unresolved { .. } => chain_id::order_event(&submitted, "other"),
        };
        let correlation_id = order.correlation_id.clone();
        match report {
            BrokerReport::Cancelled { .. } => self.counts.cancelled += 1,
            BrokerReport::Expired { .. } => self.counts.expired += 1,
            BrokerReport::Rejected { .. } => self.counts.rejected += 1,
            _ => {}
        }
        let cause = cause.unwrap_or(&submitted);
        let event = self.event(id, event_ns, "execution", cause, &correlation_id, body);
        self.apply(&event, event_ns)?;
        if let Some(Body::Fill(fill)) = &event.body {
            self.filled(fill, &event.id, &correlation_id);
        }
        Ok(())
    }

    /// What a fill means beyond the book: a deal of the ledger, news for its strategy.
    pub(crate) fn filled(&mut self, fill: &contracts::v1::Fill, id: &str, correlation_id: &str) {
        let quantity = Quantity(fill.quantity_e9);
        self.counts.fills += 1;
        self.turnover.0 += Amount::notional(Price(fill.price_e9), quantity).0;
        self.slippage.0 += Amount::notional(Price(fill.slippage_e9), quantity).0;
        let time_ns = fill.executed_at.as_ref().and_then(contracts::from_timestamp).unwrap_or_default();
        let dealt = Dealt {
            quantity: signed(fill.side(), quantity),
            price: Price(fill.price_e9),
            commission: Amount::from_wire(fill.commission.as_ref()),
            time_ns,
        };
        self.deal(&fill.strategy, &fill.symbol, dealt);
        self.hold(&fill.strategy, &fill.symbol);
        let Some(host) = self.hosts.iter().position(|host| host.name == fill.strategy) else { return };
        self.hosts[host].on_fill(fill, &mut self.wishes);
        for (index, wish) in (0u32..).zip(self.wishes.drain(..)) {
            let host = &self.hosts[host];
            self.pending.push(Pending {
                id: chain_id::signal(id, &host.name, index),
                correlation_id: correlation_id.to_owned(),
                causation_id: id.to_owned(),
                signal: host.signal(&wish),
                outside: None,
            });
        }
    }

    pub(crate) fn deal(&mut self, strategy: &str, symbol: &str, dealt: Dealt) {
        let key = (strategy.to_owned(), symbol.to_owned());
        let lots =
            self.lots.entry(key).or_insert_with(|| Lots::new(&Arc::from(strategy), &Arc::from(symbol)));
        lots.deal(dealt, &mut self.trades);
    }

    /// Lots of a position, where there are any.
    pub(crate) fn lots(&mut self, strategy: &str, symbol: &str) -> Option<&mut Lots> {
        self.lots.get_mut(&(strategy.to_owned(), symbol.to_owned()))
    }

    /// Tells a strategy's host what it holds.
    pub(crate) fn hold(&mut self, strategy: &str, symbol: &str) {
        let held = self.book.position(&self.config.account.name, strategy, symbol);
        let held = held.map_or(Quantity::ZERO, |position| position.quantity);
        for host in self.hosts.iter_mut().filter(|host| host.name == strategy) {
            host.hold(self.data, symbol, held);
        }
    }

    /// Ends what is open at the last close, at the costs of an order that fills whole, as trades and in the last row
    /// of the equity; no order is made for it.
    pub(crate) fn finalize(&mut self) {
        let positions: Vec<_> = self.book.positions_of(&self.config.account.name).cloned().collect();
        for position in positions.into_iter().filter(|position| position.quantity != Quantity::ZERO) {
            let key = &position.key;
            let Some(known) = self.prices.get(&key.symbol) else { continue };
            let commission = closing_costs(&self.config.account.costs, known.price, position.quantity);
            let dealt = Dealt {
                quantity: Quantity(position.quantity.0.saturating_neg()),
                price: known.price,
                commission,
                time_ns: known.time_ns,
            };
            self.deal(&key.strategy, &key.symbol, dealt);
            self.closing.0 += commission.0;
        }
        if let Some(row) = self.equity_rows.last_mut() {
            row.equity.0 -= self.closing.0;
            (row.cash, row.exposure) = (row.equity, Amount::ZERO);
        }
    }
}

/// Commission and fees of the order that would close `held` shares at `price`.
pub(crate) fn closing_costs(costs: &Costs, price: Price, held: Quantity) -> Amount {
    let side = if held > Quantity::ZERO { Side::Sell } else { Side::Buy };
    charge(costs, side, price, held.abs(), true).unwrap_or_default()
}

/// The regular session in which a bar trades.
pub(crate) fn session_of(calendar: &Calendar, before: Option<Session>, bar: &Bar) -> Option<Session> {
    // Nothing trades when it is not known whether the market was open.
    calendar.overlapping_after(before, bar.start_ns, bar.close_ns).ok().flatten()
}
