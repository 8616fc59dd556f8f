//! What a real broker makes of an order's life beyond its answers: new terms, requests without an answer, corrections,
//! how an order stands as a whole, positions that no order explains; and what groups and stopped strategies want done.

use broker::{BrokerError, Report};
use contracts::stream;
use contracts::v1::{AccountEntry, EntryKind, Event};
use domain::book::{GroupStep, PositionKey};
use domain::money::{Amount, Quantity};
use domain::order::{BrokerReport, Standing, reconcile};
use event_log::Delivery;

use super::{BATCH, Error, Shell};
use crate::step::Step;

impl Shell {
    /// Records that a request had no answer; recorded once, it says nothing new.
    pub(super) fn unresolved(&self, order_id: &str, doing: &'static str, error: &BrokerError) -> Step {
        let report = BrokerReport::Unresolved { doing, problem: error.to_string() };
        let event_ns = self.machine.book().order(order_id).map(|order| self.machine.now_ns(order));
        Step::Report { order_id: order_id.to_owned(), report, event_ns, cause_id: None }
    }

    /// Asks the broker for new terms. A request whose answer was not heard is asked for first, under the client order
    /// id of the new terms.
    pub(super) async fn replace(&mut self, order_id: &str) -> Result<(), Error> {
        let requested = |shell: &Self| {
            let order = shell.machine.book().order(order_id);
            order.and_then(|order| order.replace.as_ref()).map(|replace| replace.requested)
        };
        let asked_before = requested(self) == Some(true);
        if !asked_before {
            self.store_and_log(vec![Step::RequestReplace { order_id: order_id.to_owned() }]).await?;
            self.catch_up().await?;
        }
        let Some(order) = self.machine.book().order(order_id).cloned() else { return Ok(()) };
        let Some(replace) = order.replace.clone().filter(|replace| replace.requested) else { return Ok(()) };
        let now_ns = self.machine.now_ns(&order);
        let known = match asked_before {
            true => self
                .broker
                .lookup(&replace.client_order_id)
                .await
                .map(|known| known.map(|known| known.reports)),
            false => Ok(None),
        };
        let answer = match known {
            Ok(Some(reports)) => Ok(reports),
            Ok(None) => self.broker.replace(&order, now_ns).await,
            Err(error) => Err(error),
        };
        let steps = match answer {
            Ok(reports) => {
                let step = |Report { order_id, report }| Step::Report {
                    order_id,
                    report,
                    event_ns: Some(now_ns),
                    cause_id: None,
                };
                reports.into_iter().map(step).collect()
            }
            Err(BrokerError::Refused { problem, .. }) => vec![Step::Report {
                order_id: order_id.to_owned(),
                report: BrokerReport::ReplaceRejected { reason: problem },
                event_ns: Some(now_ns),
                cause_id: None,
            }],
            Err(error) => {
                self.say(Some(error.to_string()));
                vec![self.unresolved(order_id, "replace", &error)]
            }
        };
        self.store_and_log(steps).await
    }

    /// Records what is to be done about a group or a stopped strategy; doing it is the work that follows.
    pub(super) async fn group(&mut self, step: GroupStep) -> Result<(), Error> {
        let steps = match step {
            GroupStep::Handle(handled) => vec![Step::Group(handled)],
            GroupStep::Transfer(moved) => {
                let stopped = |strategy: &str| {
                    let row = self.machine.book().strategy(strategy);
                    row.and_then(|row| row.stopping.as_ref()).map(|stopping| stopping.event_id.clone())
                };
                let step = |moved: contracts::v1::PositionTransferred| {
                    let cause_id = stopped(&moved.from_strategy).unwrap_or_default();
                    Step::Transfer { moved, cause_id }
                };
                moved.into_iter().map(step).collect()
            }
        };
        self.store_and_log(steps).await
    }

    /// Takes reports that nobody asked for, in their order. A correction is folded by itself, with everything that ever
    /// happened to its position.
    pub(super) async fn take_unasked(&mut self, reports: Vec<Report>) -> Result<(), Error> {
        let mut steps = Vec::with_capacity(reports.len());
        for report in reports {
            self.bring(&report.order_id).await;
            let corrects =
                matches!(report.report, BrokerReport::Corrected { .. } | BrokerReport::Busted { .. });
            if !corrects {
                steps.push(self.unasked(report));
                continue;
            }
            self.store_and_log(std::mem::take(&mut steps)).await?;
            self.catch_up().await?;
            let Some(order) = self.machine.book().order(&report.order_id).cloned() else { continue };
            let key = PositionKey::new(&order.spec.account, &order.spec.strategy, &order.spec.symbol);
            let journal = self.journal(&key).await?;
            let event_ns = self.machine.now_ns(&order);
            let Report { order_id, report } = report;
            self.store_and_log(vec![Step::Correct { order_id, report, journal, event_ns }]).await?;
        }
        self.store_and_log(steps).await
    }

    /// Everything of TRADING that concerns one position, up to what is folded.
    async fn journal(&self, key: &PositionKey) -> Result<Vec<Event>, Error> {
        let [account, strategy, symbol] =
            [&key.account, &key.strategy, &key.symbol].map(|name| contracts::escape(name));
        let of_order = |event: &str| format!("order.{account}.{strategy}.{symbol}.*.{event}");
        let of_account = |event: &str| format!("account.{account}.{event}");
        let filters = vec![
            format!("fill.{account}.{strategy}.{symbol}.>"),
            of_order("fill_corrected"),
            of_order("fill_busted"),
            of_account("split"),
            of_account("cash_in_lieu"),
            of_account("external"),
            of_account("transferred"),
        ];
        let tape = &self.context.tape;
        let mut last = 0;
        for filter in &filters {
            last = last.max(tape.last(stream::TRADING, filter).await?.map_or(0, |last| last.sequence));
        }
        let last = last.min(self.machine.book().sequence());
        let (mut events, mut read) = (Vec::new(), 0);
        if last == 0 {
            return Ok(events);
        }
        let mut reader = tape.read(stream::TRADING, &filters, 1).await?;
        while read < last {
            for delivery in reader.batch(BATCH).await? {
                read = delivery.sequence();
                if let Delivery::Event(recorded) = delivery
                    && recorded.sequence <= last
                {
                    events.push(recorded.event);
                }
            }
        }
        Ok(events)
    }

    /// Brings orders to what the broker says of them as a whole; answers those of which it only reports.
    pub(super) async fn true_up(&mut self, order_ids: Vec<String>) -> Result<Vec<String>, Error> {
        let mut others = Vec::new();
        for order_id in order_ids {
            let Some(order) = self.machine.book().order(&order_id).cloned() else { continue };
            match self.broker.truth(&order).await {
                Ok(Some(truth)) => {
                    let report = |report| Report { order_id: order.id().to_owned(), report };
                    let reports = reconcile(&order, &truth).into_iter().map(report).collect();
                    self.take_unasked(reports).await?;
                    self.confirm(
                        &order_id,
                        !matches!(truth.standing, Standing::Working | Standing::Suspended(_)),
                    );
                }
                Ok(None) => others.push(order_id),
                Err(error) => self.say(Some(error.to_string())),
            }
        }
        Ok(others)
    }

    /// Records positions that the broker holds and that no order of this tape explains, as `manual`. Nothing is recorded
    /// while an order in the symbol is open: its fills may be on their way.
    pub(super) async fn find_positions(&mut self) -> Result<(), Error> {
        let accounts: Vec<_> = self.machine.book().accounts().map(|row| row.account.clone()).collect();
        for account in accounts {
            let held = match self.broker.positions(&account).await {
                Ok(Some(held)) => held,
                Ok(None) => continue,
                Err(error) => {
                    self.say(Some(error.to_string()));
                    continue;
                }
            };
            self.catch_up().await?;
            let book = self.machine.book();
            let mut symbols: std::collections::BTreeSet<String> =
                book.positions_of(&account).map(|row| row.key.symbol.clone()).collect();
            symbols.extend(held.iter().map(|position| position.symbol.clone()));
            let mut steps = Vec::new();
            for symbol in symbols {
                let mut open = book.open_orders();
                if open.any(|order| order.spec.account == account && order.spec.symbol == symbol) {
                    continue;
                }
                let at_broker = held.iter().find(|position| position.symbol == symbol);
                let there = at_broker.map_or(Quantity::ZERO, |position| position.quantity);
                let here = book.net_quantity(&account, &symbol);
                let Some(more) = there.checked_sub(here).filter(|more| *more != Quantity::ZERO) else {
                    continue;
                };
                let average = at_broker.and_then(|position| projected(position.cost, more, there));
                let own = book.position(&account, contracts::MANUAL, &symbol);
                let leaves = own.filter(|own| own.quantity.0.signum() * more.0.signum() < 0);
                // Shares that are there no more take their cost with them.
                let cost = leaves
                    .and_then(|own| own.cost_of_shares(Quantity(-more.0)).map(|cost| -cost))
                    .or(average)
                    .unwrap_or_default();
                let entry = AccountEntry {
                    account: account.clone(),
                    kind: EntryKind::External.into(),
                    strategy: contracts::MANUAL.to_owned(),
                    symbol: symbol.clone(),
                    amount: cost.to_wire(),
                    quantity_e9: more.0,
                    reason: format!("the broker holds {there}, the tape {here}"),
                    ..AccountEntry::default()
                };
                let event_ns = self.machine.account_ns(&account).max(0);
                steps.push(Step::Found { entry, event_ns });
            }
            self.store_and_log(steps).await?;
        }
        Ok(())
    }
}

/// The part of a position's cost that `shares` of it have.
fn projected(cost: Amount, shares: Quantity, of: Quantity) -> Option<Amount> {
    let product = cost.0.checked_mul(i128::from(shares.0))?;
    (of != Quantity::ZERO).then(|| Amount(product / i128::from(of.0)))
}
