//! What a real broker makes of an order's life beyond its answers: new terms, requests without an answer, corrections;
//! and what groups and stopped strategies want done.

use broker::{BrokerError, Report};
use contracts::stream;
use contracts::v1::Event;
use domain::book::{GroupStep, PositionKey};
use domain::order::BrokerReport;
use event_log::events_under;

use super::{Error, Shell};
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
        // A cancel makes new terms void.
        let is_void =
            |shell: &Self| shell.machine.book().order(order_id).is_none_or(|order| order.cancel_requested);
        if is_void(self) {
            return Ok(());
        }
        let asked_before = requested(self) == Some(true);
        if !asked_before {
            self.store_and_log(vec![Step::RequestReplace { order_id: order_id.to_owned() }]).await?;
            self.catch_up().await?;
        }
        if is_void(self) {
            return Ok(());
        }
        let Some(order) = self.machine.book().order(order_id).cloned() else { return Ok(()) };
        let Some(replace) = order.replace.clone().filter(|replace| replace.requested) else { return Ok(()) };
        let now_ns = self.machine.now_ns(&order);
        let known = match asked_before {
            true => self
                .broker
                .lookup(&order.spec, &replace.client_order_id)
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
                if reports.is_empty() {
                    self.be_patient(order_id);
                }
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
                self.say_of_request(&order.spec.account, &error);
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
            if self.machine.passes_over(&report) {
                continue;
            }
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
        let folded = 1..=self.machine.book().sequence();
        let all = events_under(&self.context.tape, stream::TRADING, &filters, folded).await?;
        Ok(all.into_iter().map(|recorded| recorded.event).collect())
    }
}
