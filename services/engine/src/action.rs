//! Corporate actions: entries on positions, restated orders, fractions paid out.

use contracts::chain_id;
use contracts::v1::AccountEntry;
use contracts::v1::event::Body;
use domain::book::{FoldError, cash_in_lieu_entries, dividend_entries, split_entries};
use domain::corporate_action::{Effect, SplitRatio};
use domain::money::{Amount, Quantity};
use domain::order::decide;
use domain::series::DatedAction;

use crate::ledger::Dealt;
use crate::market::session_of;
use crate::recorder::Recorder;
use crate::run::{Error, Run};
use crate::walk::Walk;

impl<R: Recorder> Run<'_, R> {
    /// What an action does to positions, open orders and prices.
    pub(crate) fn corporate_action(&mut self, action: &DatedAction) -> Result<(), Error> {
        let (symbol, event_ns) = (&*action.symbol, action.event_ns);
        let fold = |source: FoldError| Error::Fold { event_ns, source };
        match action.action.effect {
            Effect::Dividend(per_share) => {
                let entries = dividend_entries(&self.book, symbol, per_share, &action.event_id);
                self.entries(entries.map_err(fold)?, &action.event_id, event_ns)?;
            }
            Effect::Split(ratio) => {
                let entries = split_entries(&self.book, symbol, ratio, &action.event_id).map_err(fold)?;
                let open = self.book.open_orders();
                let open = open.filter(|order| order.spec.symbol == symbol && order.approved_ns < event_ns);
                let orders: Vec<_> = open.map(|order| order.id().to_owned()).collect();
                self.entries(entries, &action.event_id, event_ns)?;
                for order_id in orders {
                    self.adjust(&order_id, ratio, action)?;
                }
                self.prices.split(symbol, ratio, event_ns);
            }
        }
        Ok(())
    }

    /// Pays out fractions of shares at the first raw prices after a split.
    pub(crate) fn cash_in_lieu(&mut self, walk: &Walk<'_>) -> Result<(), Error> {
        if !self.book.positions().any(|position| position.fraction != Quantity::ZERO) {
            return Ok(());
        }
        for &(index, row) in &walk.bars {
            let series = &self.data.series[index];
            let bar = walk.rows[index].bar(row);
            let cause =
                contracts::bar_id(&series.source, &series.symbol, series.timeframe.name(), bar.close_ns);
            let entries = cash_in_lieu_entries(&self.book, &series.symbol, bar.open, &cause);
            let entries = entries.map_err(|source| Error::Fold { event_ns: bar.close_ns, source })?;
            // Paid at the opening of the bar that trades: one on the clock may begin before its session does.
            let session = session_of(self.config.calendar, None, &bar);
            let opened_ns = session.map_or(bar.start_ns, |session| bar.start_ns.max(session.open_ns));
            for entry in &entries {
                let position = self.book.position(&entry.account, &entry.strategy, &entry.symbol);
                let fraction = position.map_or(Quantity::ZERO, |position| position.fraction);
                let dealt = Dealt {
                    quantity: Quantity(-fraction.0),
                    price: bar.open,
                    commission: Amount::ZERO,
                    time_ns: opened_ns,
                };
                self.deal(&entry.strategy, &entry.symbol, dealt);
            }
            self.entries(entries, &cause, bar.close_ns)?;
        }
        Ok(())
    }

    fn entries(&mut self, entries: Vec<AccountEntry>, cause: &str, event_ns: i64) -> Result<(), Error> {
        for entry in entries {
            let (strategy, symbol) = (entry.strategy.clone(), entry.symbol.clone());
            let total = Quantity(entry.quantity_after_e9.saturating_add(entry.fraction_e9)).abs();
            let split = entry.kind() == contracts::v1::EntryKind::Split;
            let id = chain_id::entry(cause, &entry.account, &entry.strategy);
            let event = self.event(id, event_ns, "execution", cause, cause, Body::AccountEntry(entry));
            self.apply(&event, event_ns)?;
            if split && let Some(lots) = self.lots(&strategy, &symbol) {
                lots.restate(total.0);
            }
            self.hold(&strategy, &symbol);
        }
        Ok(())
    }

    /// Restates or ends an open order on a split.
    fn adjust(&mut self, order_id: &str, ratio: SplitRatio, action: &DatedAction) -> Result<(), Error> {
        let Some(order) = self.book.order(order_id) else { return Ok(()) };
        let Some(body) = decide::adjust(order, ratio, &action.event_id)? else { return Ok(()) };
        let id = chain_id::adjustment(&action.event_id, order_id);
        let correlation_id = order.correlation_id.clone();
        let event = self.event(id, action.event_ns, "execution", &action.event_id, &correlation_id, body);
        self.apply(&event, action.event_ns)?;
        if let Some(order) = self.book.order(order_id).filter(|order| !order.status.is_ended()) {
            self.matcher.restate(order);
            return Ok(());
        }
        self.counts.cancelled += 1;
        let mut others = Vec::new();
        self.matcher.remove(order_id, &mut others);
        self.matches = others;
        self.tell(action.event_ns)?;
        Ok(())
    }
}
