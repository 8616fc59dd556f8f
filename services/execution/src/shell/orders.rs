//! Orders: the loop that does what the machine says is to be done, and the broker's answers.

use std::time::Instant;

use broker::{Broker as _, BrokerError, Report};
use contracts::stream;
use contracts::{Subject, client_order_id};
use domain::order::{BrokerReport, OrderState};
use runtime::metrics::metrics;

use super::{Error, Shell};
use crate::machine::Work;
use crate::step::{Step, StepError};

impl Shell {
    /// Does what there is to do for orders until nothing is left or nothing gets further.
    pub(super) async fn settle_orders(&mut self) -> Result<(), Error> {
        let mut before = Vec::new();
        loop {
            self.catch_up().await?;
            let work = self.machine.work();
            if work.is_empty() {
                return Ok(());
            }
            if work == before {
                self.say(Some(format!("orders do not get further: {work:?}")));
                return Ok(());
            }
            self.do_all(&work).await?;
            before = work;
        }
    }

    async fn do_all(&mut self, work: &[Work]) -> Result<(), Error> {
        let mut singles = Vec::new();
        // What an order takes the place of goes before the order comes.
        for item in work {
            if let Work::Cancel(order_id) = item {
                self.cancel(order_id).await?;
            }
        }
        for item in work {
            match item {
                Work::Submit(group) => match group.as_slice() {
                    [order_id] => singles.push(order_id.clone()),
                    legs => self.submit_group(legs).await?,
                },
                Work::Withdraw(order_id) => {
                    self.store_and_log(vec![Step::Withdraw { order_id: order_id.clone() }]).await?;
                }
                Work::Unwind { order_id, failed } => {
                    let (order_id, failed) = (order_id.clone(), failed.clone());
                    self.store_and_log(vec![Step::Unwind { order_id, failed }]).await?;
                }
                Work::Ask(order_id) => self.ask(order_id).await?,
                Work::Flatten { kill_id, order } => {
                    let (kill_id, order) = (kill_id.clone(), order.clone());
                    let broker = self.broker.name().to_owned();
                    self.store_and_log(vec![Step::Flatten { kill_id, order, broker }]).await?;
                }
                Work::Cancel(_) => {}
            }
        }
        if singles.is_empty() {
            return Ok(());
        }
        let intents = singles.iter().map(|order_id| self.intent(order_id)).collect();
        self.store_and_log(intents).await?;
        self.catch_up().await?;
        self.send(&singles).await
    }

    fn intent(&self, order_id: &str) -> Step {
        Step::Submit { order_id: order_id.to_owned(), broker: self.broker.name().to_owned() }
    }

    async fn submit_group(&mut self, legs: &[String]) -> Result<(), Error> {
        let intents: Vec<_> = legs.iter().map(|order_id| self.intent(order_id)).collect();
        if self.store_group(&intents).await? {
            self.catch_up().await?;
            self.send(legs).await?;
        }
        Ok(())
    }

    /// Sends orders whose intents are on the tape, and adds the answers.
    async fn send(&mut self, order_ids: &[String]) -> Result<(), Error> {
        let mut answers = Vec::new();
        for order_id in order_ids {
            let Some((order, client_order_id)) = self.submitted(order_id) else { continue };
            let now_ns = order.submitted_ns.unwrap_or(order.approved_ns);
            let began = Instant::now();
            let outcome = self.broker.submit(&order.spec, &client_order_id, now_ns).await;
            let answered = metrics().broker_latency.with(&[self.broker.name(), word(&outcome)]);
            answered.observe(began.elapsed());
            match outcome {
                Ok(reports) => answers.extend(reports.into_iter().map(answer)),
                Err(error @ BrokerError::Refused { .. }) => {
                    let reason = error.to_string();
                    let report = BrokerReport::Rejected { reason };
                    answers.push(answer(Report { order_id: order_id.clone(), report }));
                }
                // The intent has no answer, so the order is asked for later.
                Err(error @ BrokerError::Unknown { .. }) => self.say(Some(error.to_string())),
            }
        }
        self.store_and_log(answers).await
    }

    /// The order and its client order id, when its intent is on the tape and it has not ended.
    fn submitted(&self, order_id: &str) -> Option<(OrderState, String)> {
        let order = self.machine.book().order(order_id)?;
        if order.submitted_ns.is_none() || order.status.is_ended() {
            return None;
        }
        Some((order.clone(), client_order_id(order_id)))
    }

    /// Resolves an order whose submission has no answer: the broker knows what became of it, or never got
    /// it and gets it now.
    async fn ask(&mut self, order_id: &str) -> Result<(), Error> {
        let Some((_, client_order_id)) = self.submitted(order_id) else { return Ok(()) };
        match self.broker.lookup(&client_order_id).await {
            Ok(Some(known)) => self.store_and_log(known.reports.into_iter().map(answer).collect()).await,
            Ok(None) => self.send(&[order_id.to_owned()]).await,
            Err(error) => {
                self.say(Some(error.to_string()));
                Ok(())
            }
        }
    }

    async fn cancel(&mut self, order_id: &str) -> Result<(), Error> {
        let Some((order, client_order_id)) = self.submitted(order_id) else { return Ok(()) };
        // The last event of the order is the request, or came after it; either names this attempt.
        let filter = Subject::order_filter(&order.spec);
        let cause = self.context.tape.last(stream::TRADING, &filter).await?;
        let now_ns = self.machine.now_ns(&order);
        match self.broker.cancel(&order.spec, &client_order_id, now_ns).await {
            Ok(reports) => {
                let cause_id = cause.map(|cause| cause.event.id);
                let steps = reports.into_iter().map(|Report { order_id, report }| Step::Report {
                    order_id,
                    report,
                    event_ns: Some(now_ns),
                    cause_id: cause_id.clone(),
                });
                self.store_and_log(steps.collect()).await
            }
            Err(error) => {
                self.say(Some(error.to_string()));
                Ok(())
            }
        }
    }

    /// Adds steps; one that the book forbids is a contradiction, which is logged and changes nothing.
    pub(super) async fn store_and_log(&mut self, steps: Vec<Step>) -> Result<(), Error> {
        for (step, error) in self.store(steps).await? {
            complain(&step, &error);
        }
        Ok(())
    }
}

pub(super) fn complain(step: &Step, error: &StepError) {
    tracing::error!(%error, "{step:?} comes to nothing: {error}");
}

/// The answer to a submission in one word.
fn word(outcome: &Result<Vec<Report>, BrokerError>) -> &'static str {
    match outcome {
        Ok(reports) => match reports.first().map(|first| &first.report) {
            Some(BrokerReport::Accepted { .. }) => "accepted",
            Some(BrokerReport::Rejected { .. }) => "rejected",
            Some(BrokerReport::Filled(_)) => "filled",
            Some(_) => "other",
            None => "none",
        },
        Err(BrokerError::Refused { .. }) => "refused",
        Err(BrokerError::Unknown { .. }) => "unknown",
    }
}

/// An answer to a submission: it happened when the order was submitted.
fn answer(Report { order_id, report }: Report) -> Step {
    Step::Report { order_id, report, event_ns: None, cause_id: None }
}
