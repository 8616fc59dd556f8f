//! Sending orders whose intents are on the tape: alone, an entry with its exits, two exits together, or what closes positions
//! side by side.

use std::collections::HashSet;
use std::time::Instant;

use broker::{BrokerError, Outgoing, Report, is_stop, other_exit, takes_together, wants_entries_first};
use contracts::child_order_id;
use contracts::v1::{OrderSpec, StrategyMode, TradingMode};
use domain::money::{Price, Quantity};
use domain::order::{BrokerReport, OrderState, OrderStatus, Terms};
use runtime::metrics::metrics;
use runtime::{ClockMode, clock};

use super::orders::never_worked;
use super::{Error, Shell};
use crate::held::Entry;
use crate::step::Step;

/// How long after its intent an order that opens a position may still be sent, in nanoseconds.
const LATE_NS: i64 = 60_000_000_000;

/// Which time an order is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Its intent was put on the tape just now.
    First,
    /// Its intent was found there without an answer, and the broker does not know the order.
    Again,
}

impl Shell {
    /// Sends orders whose intents are on the tape, and adds the answers.
    pub(super) async fn send(&mut self, order_ids: &[String], turn: Turn) -> Result<(), Error> {
        let mut answers = Vec::new();
        let mut sent = HashSet::new();
        for order_id in order_ids {
            if self.broker.is_remote_for(&self.account_of(order_id)) {
                self.stop_first().await?;
            }
            if turn == Turn::First && self.machine.is_outdone() {
                // Another instance may have sent them as well, and gone on: what there is to do is looked at again.
                break;
            }
            let Some((order, client_order_id)) = self.submitted(order_id) else { continue };
            if !sent.insert(order_id.clone()) {
                continue;
            }
            if let Some(over) = self.withdrawn(&order) {
                answers.push(over);
                continue;
            }
            // An exit that was cancelled meanwhile does not go with its entry, and not beside it either.
            if self.machine.entry(&order) == Entry::Pending {
                continue;
            }
            let exits = self.exits_of(&order);
            sent.extend(exits.iter().map(|exit| exit.order_id.clone()));
            let stays = self.forbidden(&order).or_else(|| self.too_late(&order, turn));
            let said = if let Some(reason) = stays {
                let report = BrokerReport::Rejected { reason };
                vec![self.answer(Report { order_id: order_id.clone(), report })]
            } else {
                let now_ns = order.submitted_ns.unwrap_or(order.approved_ns);
                let outgoing = Outgoing { order: self.sized(&order), client_order_id, now_ns };
                let began = Instant::now();
                let outcome = self.send_one(&order, &outgoing, &exits, &mut sent).await;
                self.answers_to(&outgoing.order, outcome, turn, began)
            };
            answers.extend(self.with_exits(&exits, said));
        }
        self.store_and_log(answers).await
    }

    /// Sends an order in one request with what goes with it: the exits of an entry, or the other one of a pair, which is
    /// noted as sent.
    async fn send_one(
        &mut self,
        order: &OrderState,
        outgoing: &Outgoing,
        exits: &[OrderSpec],
        sent: &mut HashSet<String>,
    ) -> Result<Vec<Report>, BrokerError> {
        let now_ns = outgoing.now_ns;
        if !exits.is_empty() {
            let exits: Vec<&OrderSpec> = exits.iter().collect();
            if let Some(reports) = self.broker.submit_with_exits(outgoing, &exits).await? {
                return Ok(reports);
            }
        }
        if let Some(other) = self.other_exit(order) {
            let (first, second) = (&outgoing.order, &self.sized(&other));
            let pair = if is_stop(first) { [second, first] } else { [first, second] };
            let outcome = self.broker.submit_pair(pair, now_ns).await.transpose();
            if let Some(outcome) = outcome {
                sent.insert(other.id().to_owned());
                return outcome;
            }
        }
        self.broker.submit(&outgoing.order, &outgoing.client_order_id, now_ns).await
    }

    /// The exits that go in one request with an entry: their intents came with its own.
    fn exits_of(&self, entry: &OrderState) -> Vec<OrderSpec> {
        if entry.spec.group_id != entry.spec.order_id {
            return Vec::new();
        }
        let ids = [0, 1].map(|index| child_order_id(entry.id(), index));
        let sent = ids.iter().filter_map(|order_id| self.submitted(order_id));
        let waits = |exit: &OrderState| exit.status == OrderStatus::Submitted && !exit.cancel_requested;
        let exits: Vec<_> = sent.filter(|(exit, _)| waits(exit)).map(|(exit, _)| exit.spec).collect();
        let name = self.broker.name_of(&entry.spec.account);
        let together = takes_together(name, &entry.spec, &exits.iter().collect::<Vec<_>>());
        if together { exits } else { Vec::new() }
    }

    /// The answers to an order, with the end of the exits that were to go with it where it is refused.
    fn with_exits(&self, exits: &[OrderSpec], mut said: Vec<Step>) -> Vec<Step> {
        let refused = said
            .iter()
            .any(|step| matches!(step, Step::Report { report: BrokerReport::Rejected { .. }, .. }));
        let over = |exit: &OrderSpec| {
            let report = BrokerReport::Cancelled { reason: "its entry was refused".to_owned() };
            self.answer(Report { order_id: exit.order_id.clone(), report })
        };
        said.extend(exits.iter().filter(|_| refused).map(over));
        said
    }

    /// Sends orders that close positions, of which none depends on another: at a broker outside side by side.
    pub(super) async fn send_closings(&mut self, order_ids: &[String]) -> Result<(), Error> {
        let (mut orders, mut answers) = (Vec::new(), Vec::new());
        for order_id in order_ids {
            let Some((order, client_order_id)) = self.submitted(order_id) else { continue };
            match self.withdrawn(&order) {
                Some(over) => answers.push(over),
                None => {
                    let now_ns = order.submitted_ns.unwrap_or(order.approved_ns);
                    orders.push(Outgoing { order: order.spec, client_order_id, now_ns });
                }
            }
        }
        let began = Instant::now();
        let outcomes = self.broker.submit_all(&orders).await;
        for (sent, outcome) in orders.iter().zip(outcomes) {
            answers.extend(self.answers_to(&sent.order, outcome, Turn::First, began));
        }
        self.store_and_log(answers).await
    }

    /// The end of an order that was never sent to its broker outside and is to be cancelled by now.
    fn withdrawn(&self, order: &OrderState) -> Option<Step> {
        let outside = self.broker.is_remote_for(&order.spec.account);
        (outside && order.cancel_requested).then(|| self.answer(never_worked(order)))
    }

    /// What the outcome of sending an order adds to the tape.
    fn answers_to(
        &mut self,
        spec: &OrderSpec,
        outcome: Result<Vec<Report>, BrokerError>,
        turn: Turn,
        began: Instant,
    ) -> Vec<Step> {
        let name = self.broker.name_of(&spec.account);
        metrics().broker_latency.with(&[name, word(&outcome)]).observe(began.elapsed());
        let order_id = &spec.order_id;
        match outcome {
            Ok(reports) => {
                let mut answers = Vec::new();
                for report in reports {
                    let restated = self.restated(&report);
                    answers.push(self.answer(report));
                    answers.extend(restated.map(|report| self.answer(report)));
                }
                answers
            }
            // What was never sent before was not sent now either. What closes a position is sent later all the same.
            Err(error)
                if matches!(error, BrokerError::Refused { .. })
                    || (turn == Turn::First
                        && !spec.reducing
                        && matches!(error, BrokerError::Unchecked { .. })) =>
            {
                let report = BrokerReport::Rejected { reason: error.to_string() };
                vec![self.answer(Report { order_id: order_id.clone(), report })]
            }
            // The intent has no answer, so the order is asked for later.
            Err(error) => {
                let unresolved = self.unresolved(order_id, "submit", &error);
                self.say_of_request(&spec.account, &error);
                vec![unresolved]
            }
        }
    }

    /// Why an order must not be sent: on an account with money a strategy opens nothing unless it is enabled for that.
    fn forbidden(&self, order: &OrderState) -> Option<String> {
        let spec = &order.spec;
        let with_money = self.broker.mode_of(&spec.account) == TradingMode::Live;
        if !with_money || spec.reducing || spec.strategy == contracts::MANUAL {
            return None;
        }
        let mode = self.machine.book().strategy(&spec.strategy).map(|row| row.mode);
        (mode != Some(StrategyMode::Live)).then(|| {
            format!(
                "account {} trades with money, and strategy {} is not enabled live",
                spec.account, spec.strategy
            )
        })
    }

    /// Why an order that did not arrive at a broker outside is not sent again: the price that it was decided at is gone.
    fn too_late(&self, order: &OrderState, turn: Turn) -> Option<String> {
        let outside = self.broker.is_remote_for(&order.spec.account);
        if turn == Turn::First || !outside || order.spec.reducing || self.context.clock != ClockMode::Wall {
            return None;
        }
        let age_ns = clock::now_ns().saturating_sub(order.submitted_ns.unwrap_or(order.approved_ns));
        (age_ns > LATE_NS).then(|| {
            let (seconds, most) = (age_ns / 1_000_000_000, LATE_NS / 1_000_000_000);
            format!("it did not arrive at the broker, and opens nothing {seconds} s later, expected at most {most} s")
        })
    }

    /// The order as it is sent: an exit whose entry is over closes what that has filled.
    fn sized(&self, order: &OrderState) -> OrderSpec {
        let spec = order.spec.clone();
        let later = wants_entries_first(self.broker.name_of(&spec.account)) && !spec.parent_id.is_empty();
        match order.tradable.filter(|tradable| later && tradable.0 < spec.quantity_e9) {
            Some(tradable) => OrderSpec { quantity_e9: tradable.0, ..spec },
            None => spec,
        }
    }

    /// What follows from the acceptance of an order that was sent for fewer shares than it states.
    fn restated(&self, report: &Report) -> Option<Report> {
        let BrokerReport::Accepted { broker_order_id } = &report.report else { return None };
        let order = self.machine.book().order(&report.order_id)?;
        let sent = self.sized(order);
        let terms = Terms {
            client_order_id: order.client_order_id.clone(),
            broker_order_id: broker_order_id.clone(),
            quantity: Quantity(sent.quantity_e9),
            limit: sent.limit_price_e9.map(Price),
            stop: sent.stop_price_e9.map(Price),
        };
        let report = BrokerReport::Replaced(terms);
        (sent.quantity_e9 != order.spec.quantity_e9)
            .then(|| Report { order_id: order.id().to_owned(), report })
    }

    /// The other one of a pair of exits of which neither was answered, unless it is to be cancelled.
    fn other_exit(&self, order: &OrderState) -> Option<OrderState> {
        let other = self.submitted(&other_exit(&order.spec)?)?.0;
        let unanswered = |order: &OrderState| order.status == OrderStatus::Submitted;
        (unanswered(order) && unanswered(&other) && !other.cancel_requested).then_some(other)
    }
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
        Err(BrokerError::Unchecked { .. }) => "unchecked",
        Err(BrokerError::Unknown { .. } | BrokerError::Missed { .. }) => "unknown",
    }
}
