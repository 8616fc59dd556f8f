//! Steps: what execution wants to add to the tape, and the event that this comes to as of the book.
//!
//! A step is decided against the book each time it is tried. When another writer was first (an operator's
//! cancel, a deposit), the shell folds what is there and decides the step again. A step whose event is on
//! the tape already comes to nothing, so every step may be repeated.

mod day;
mod ids;
mod stale;

use std::collections::BTreeSet;

use contracts::v1::event::Body;
use contracts::v1::{AccountEntry, Event, GroupHandled, OrderSpec, PositionTransferred};
use contracts::{chain_id, event_id};
use domain::book::{MarkError, PositionKey, margin_change, mark, refold, starts_session};
use domain::corporate_action::SplitRatio;
use domain::order::decide;
use domain::order::{BrokerReport, OrderState, Rejection};
use domain::risk::breaker;
use event_log::{Append, Expect};

use crate::event::{self, Meta, SERVICE};
use crate::machine::Machine;
use ids::report_id;
use stale::is_stale;

/// Something that execution wants to add to the tape.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Record the intent to send an order to the broker of this name.
    Submit {
        /// Order.
        order_id: String,
        /// Broker adapter.
        broker: String,
    },
    /// End an order that was cancelled before it was sent.
    Withdraw {
        /// Order.
        order_id: String,
    },
    /// Ask for the cancellation of an order because another leg of its group failed.
    Unwind {
        /// Order.
        order_id: String,
        /// The leg that failed.
        failed: String,
    },
    /// Ask for the cancellation of an entry for the day that its broker works on although that is over.
    EndDay {
        /// Order.
        order_id: String,
        /// When it became known.
        event_ns: i64,
    },
    /// Record the intent to replace an order's terms.
    RequestReplace {
        /// Order.
        order_id: String,
    },
    /// Record that new terms of an order that has ended are void.
    Forgo {
        /// Order.
        order_id: String,
    },
    /// Record what is to be done about a group or a stopped strategy.
    Group(GroupHandled),
    /// Record that a strategy's shares go to another one; `cause_id` is the control event that asked for it.
    Transfer {
        /// What goes.
        moved: PositionTransferred,
        /// The control event that stopped the strategy.
        cause_id: String,
    },
    /// Fold a correction or a bust; `journal` is everything that ever happened to the position.
    Correct {
        /// Order.
        order_id: String,
        /// What the broker said.
        report: BrokerReport,
        /// Fills, entries, corrections and transfers of the position, in the order of the tape.
        journal: Vec<Event>,
        /// Market time at which it became known.
        event_ns: i64,
    },
    /// Record shares that are at the broker and that no order explains, or that are there no more.
    Found {
        /// The entry.
        entry: AccountEntry,
        /// Market time.
        event_ns: i64,
    },
    /// Book what a broker outside has booked without a trade.
    Book {
        /// The entry.
        entry: AccountEntry,
        /// The broker's id of it.
        activity_id: String,
        /// Market time at which it became known.
        event_ns: i64,
    },
    /// State something of an account and its broker that changes nothing by itself.
    Note {
        /// Account.
        account: String,
        /// What is stated.
        body: Box<Body>,
        /// What makes it one of its own.
        key: String,
        /// When it became known.
        event_ns: i64,
    },
    /// Fold what the broker said of an order.
    Report {
        /// Order.
        order_id: String,
        /// What it said.
        report: BrokerReport,
        /// Market time at which it became known; the submission's time when absent.
        event_ns: Option<i64>,
        /// Event that the broker answered, where it was not the submission.
        cause_id: Option<String>,
    },
    /// Restate or end an open order on a split.
    Adjust {
        /// Order.
        order_id: String,
        /// New shares for old ones.
        ratio: SplitRatio,
        /// Event of the corporate action.
        action_id: String,
        /// Market time of the action.
        event_ns: i64,
    },
    /// Change cash or a position.
    Entry {
        /// The entry.
        entry: AccountEntry,
        /// Event that caused it: a corporate action or a bar.
        cause_id: String,
        /// Market time of that event.
        event_ns: i64,
    },
    /// Call for margin, or end a call, where an account's equity says so.
    Margin {
        /// Account.
        account: String,
        /// The instant.
        event_ns: i64,
        /// Last event of the instant.
        cause_id: String,
    },
    /// Trip or end the next breaker that the mark to come asks for.
    Breaker {
        /// Account.
        account: String,
        /// The instant.
        event_ns: i64,
        /// Last event of the instant.
        cause_id: String,
    },
    /// Close a position, because a kill switch says so.
    Flatten {
        /// Event that pulled the switch.
        kill_id: String,
        /// The order that closes it.
        order: Box<OrderSpec>,
        /// Broker adapter.
        broker: String,
    },
    /// Value an account.
    Mark {
        /// Account.
        account: String,
        /// The instant.
        event_ns: i64,
        /// Last event of the instant.
        cause_id: String,
    },
}

/// Why a step comes to no event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// The order is not in memory.
    #[error("order {0} is not known")]
    UnknownOrder(String),
    /// The order's state forbids it.
    #[error(transparent)]
    Order(#[from] Rejection),
    /// The account cannot be valued.
    #[error(transparent)]
    Mark(#[from] MarkError),
    /// The position cannot be worked out again.
    #[error("position: {0}")]
    Position(String),
    /// The body has no subject; only an entry of no kind has none.
    #[error("the event has no subject")]
    NoSubject,
}

impl Machine {
    /// The append that `step` comes to now; `None` when the tape already says so.
    pub fn decide(&self, step: &Step) -> Result<Option<Append>, StepError> {
        match step {
            Step::Submit { order_id, broker } => {
                let order = self.order(order_id)?;
                let meta = self.meta_of(order, event::submitted_id(order), order.approved_ns, None);
                let meta = Meta { causation_id: order.decision_id.clone(), ..meta };
                order_append(order, meta, decide::submit(order, broker)?)
            }
            Step::Withdraw { order_id } => {
                let order = self.order(order_id)?;
                let id = event::order_event_id(order, "cancelled");
                let meta = self.meta_of(order, id, order.approved_ns, Some(&order.decision_id));
                order_append(order, meta, decide::withdraw(order)?)
            }
            Step::Unwind { order_id, failed } => {
                let order = self.order(order_id)?;
                let reason = format!("leg {failed} of the same group was rejected");
                let cause = event::order_event_id(self.order(failed)?, "rejected");
                let id = match order.cancel_refused_ns {
                    Some(refused_ns) => chain_id::unwind_again(&cause, &order.spec, refused_ns),
                    None => chain_id::unwind(&cause, &order.spec),
                };
                let meta = self.meta_of(order, id, self.now_ns(order), Some(&cause));
                order_append(order, meta, decide::request_cancel(order, SERVICE, &reason)?)
            }
            Step::EndDay { order_id, event_ns } => self.decide_day_end(order_id, *event_ns),
            Step::RequestReplace { order_id } => {
                let order = self.order(order_id)?;
                let cause =
                    order.replace.as_ref().map(|replace| replace.decision_id.clone()).unwrap_or_default();
                let id = event_id(&cause, "execution/replace_requested", 0);
                let meta = self.meta_of(order, id, self.now_ns(order), Some(&cause));
                order_append(order, meta, decide::request_replace(order, SERVICE)?)
            }
            Step::Forgo { order_id } => {
                let order = self.order(order_id)?;
                let cause =
                    order.replace.as_ref().map(|replace| replace.decision_id.clone()).unwrap_or_default();
                let id = event_id(&cause, "execution/replace_rejected", 0);
                let meta = self.meta_of(order, id, self.now_ns(order), Some(&cause));
                let reason = format!("the order is {} already", order.status.name());
                order_append(order, meta, decide::refuse_replace(order, &reason)?)
            }
            Step::Group(handled) => Ok(Some(self.group_append(handled))),
            Step::Transfer { moved, cause_id } => {
                let id = chain_id::transfer(cause_id, &moved.account, &moved.symbol);
                if self.is_applied(&id)
                    || self
                        .book
                        .position(&moved.account, &moved.from_strategy, &moved.symbol)
                        .is_none_or(|held| held.quantity.0 != moved.quantity_e9)
                {
                    return Ok(None);
                }
                let event_ns = self.account_ns(&moved.account).max(0);
                self.account_append(
                    &moved.account,
                    id,
                    event_ns,
                    cause_id,
                    Body::PositionTransferred(moved.clone()),
                )
            }
            Step::Correct { order_id, report, journal, event_ns } => {
                self.decide_correction(order_id, report, journal, *event_ns)
            }
            Step::Found { entry, event_ns } => {
                let held = self.book.net_quantity(&entry.account, &entry.symbol);
                let cause = format!("{}/{}/{held}/{}", entry.account, entry.symbol, entry.quantity_e9);
                let id = event_id(
                    &cause,
                    "execution/found",
                    u32::try_from(self.account_last(&entry.account) % 1_000_000).unwrap_or_default(),
                );
                self.account_append(&entry.account, id, *event_ns, "", Body::AccountEntry(entry.clone()))
            }
            Step::Book { entry, activity_id, event_ns } => {
                let id = event::activity_id(&entry.account, activity_id);
                if self.is_applied(&id) {
                    return Ok(None);
                }
                self.account_append(&entry.account, id, *event_ns, "", Body::AccountEntry(entry.clone()))
            }
            Step::Note { account, body, key, event_ns } => {
                let id = event_id(key, "execution/note", 0);
                self.account_append(account, id, *event_ns, "", (**body).clone())
            }
            Step::Report { order_id, report, event_ns, cause_id } => {
                let order = self.order(order_id)?;
                if is_stale(order, report) {
                    return Ok(None);
                }
                let id = report_id(order, report, cause_id.as_deref());
                let event_ns = event_ns.or(order.submitted_ns).unwrap_or(order.approved_ns);
                let meta = self.meta_of(order, id, event_ns, cause_id.as_deref());
                order_append(order, meta, decide::report(order, report)?)
            }
            Step::Adjust { order_id, ratio, action_id, event_ns } => {
                let order = self.order(order_id)?;
                let id = event::adjustment_id(action_id, order_id);
                if self.is_applied(&id) || order.status.is_ended() {
                    return Ok(None);
                }
                let meta = self.meta_of(order, id, *event_ns, Some(action_id));
                order_append(order, meta, decide::adjust(order, *ratio, action_id)?)
            }
            Step::Entry { entry, cause_id, event_ns } => {
                let id = event::entry_id(cause_id, &entry.account, &entry.strategy);
                if self.is_applied(&id) {
                    return Ok(None);
                }
                self.account_append(
                    &entry.account,
                    id,
                    *event_ns,
                    cause_id,
                    Body::AccountEntry(entry.clone()),
                )
            }
            Step::Margin { account, event_ns, cause_id } => self.decide_margin(account, *event_ns, cause_id),
            Step::Breaker { account, event_ns, cause_id } => {
                self.decide_breaker(account, *event_ns, cause_id)
            }
            Step::Flatten { kill_id, order, broker } => self.decide_flatten(kill_id, order, broker),
            Step::Mark { account, event_ns, cause_id } => self.decide_mark(account, *event_ns, cause_id),
        }
    }

    /// The appends that `steps` come to when each sees what those before it did, for one atomic batch; and
    /// the steps that come to nothing because the book forbids them. The first event of an aggregate states
    /// what must be last in it, and stands for those behind it.
    #[must_use]
    pub fn decide_together(&self, steps: &[Step]) -> (Vec<Append>, Vec<(Step, StepError)>) {
        let mut scratch = self.clone();
        let (mut batch, mut failed) = (Vec::new(), Vec::new());
        let mut aggregates = BTreeSet::new();
        for step in steps {
            match scratch.decide(step) {
                Ok(None) => {}
                Ok(Some(mut append)) => {
                    let sequence = scratch.book.sequence() + 1;
                    if let Err(error) = scratch.appended(&append, sequence) {
                        tracing::error!(%error, "{step:?} cannot be folded: {error}");
                        continue;
                    }
                    if let Expect::Last { filter, .. } = &append.expect
                        && !aggregates.insert(filter.clone())
                    {
                        append.expect = Expect::Nothing;
                    }
                    append.event.basis = event::basis(self.basis());
                    batch.push(append);
                }
                Err(error) => failed.push((step.clone(), error)),
            }
        }
        (batch, failed)
    }

    fn group_append(&self, handled: &GroupHandled) -> Append {
        let id = chain_id::group(&handled.group_id, &self.book.group_state(handled));
        let orders: Vec<_> = self.book.group_orders(&handled.group_id).collect();
        let correlation = orders.first().map_or(&handled.group_id, |order| &order.correlation_id);
        let meta = Meta {
            id,
            event_ns: self.account_ns(&handled.account).max(0),
            causation_id: handled.group_id.clone(),
            correlation_id: correlation.clone(),
            basis: self.basis(),
        };
        event::of_group(handled, meta)
    }

    /// A correction with the position as it is with it.
    fn decide_correction(
        &self,
        order_id: &str,
        report: &BrokerReport,
        journal: &[Event],
        event_ns: i64,
    ) -> Result<Option<Append>, StepError> {
        let order = self.order(order_id)?;
        let Some(mut body) = decide::report(order, report)? else { return Ok(None) };
        let key = PositionKey::new(&order.spec.account, &order.spec.strategy, &order.spec.symbol);
        let stated = refold(&key, journal, &body).map_err(|error| StepError::Position(error.to_string()))?;
        let correction_id = match &mut body {
            Body::FillCorrected(event) => {
                event.position = Some(stated);
                event.correction_id.clone()
            }
            Body::FillBusted(event) => {
                event.position = Some(stated);
                event.correction_id.clone()
            }
            _ => String::new(),
        };
        let id = event::order_event_id(order, &format!("correction/{correction_id}"));
        let meta = self.meta_of(order, id, event_ns, None);
        order_append(order, meta, Some(body))
    }

    fn decide_mark(&self, account: &str, event_ns: i64, cause_id: &str) -> Result<Option<Append>, StepError> {
        let row = self.book.account(account).ok_or_else(|| MarkError::UnknownAccount(account.to_owned()))?;
        let last_ns = row.mark.as_ref().map(|mark| mark.event_ns);
        if last_ns.is_some_and(|last_ns| last_ns >= event_ns) {
            return Ok(None);
        }
        let session_start = starts_session(self.calendar, last_ns, event_ns);
        let body = mark(&self.book, account, &self.prices, session_start)?;
        let id = event::mark_id(account, event_ns);
        self.account_append(account, id, event_ns, cause_id, Body::AccountMarked(body))
    }

    fn decide_margin(
        &self,
        account: &str,
        event_ns: i64,
        cause_id: &str,
    ) -> Result<Option<Append>, StepError> {
        let Some(row) = self.book.account(account) else { return Ok(None) };
        if row.mark.as_ref().is_some_and(|mark| mark.event_ns >= event_ns) {
            return Ok(None);
        }
        // An account that cannot be valued is complained about by its mark.
        let Ok(Some(body)) = margin_change(&self.book, account, &self.prices) else { return Ok(None) };
        self.account_append(account, event::margin_id(account, event_ns), event_ns, cause_id, body)
    }

    /// The first that is due; once it is folded, the next one is.
    fn decide_breaker(
        &self,
        account: &str,
        event_ns: i64,
        cause_id: &str,
    ) -> Result<Option<Append>, StepError> {
        let Some(row) = self.book.account(account) else { return Ok(None) };
        let last_ns = row.mark.as_ref().map(|mark| mark.event_ns);
        if last_ns.is_some_and(|last_ns| last_ns >= event_ns) {
            return Ok(None);
        }
        let session_start = starts_session(self.calendar, last_ns, event_ns);
        // An account that cannot be valued is complained about by its mark.
        let Ok(value) = mark(&self.book, account, &self.prices, session_start) else { return Ok(None) };
        let Some(body) = breaker::due(&self.book, &value, self.calendar, event_ns).into_iter().next() else {
            return Ok(None);
        };
        let id = chain_id::breaker(account, event_ns, &body);
        self.account_append(account, id, event_ns, cause_id, body)
    }

    fn account_append(
        &self,
        account: &str,
        id: String,
        event_ns: i64,
        cause_id: &str,
        body: Body,
    ) -> Result<Option<Append>, StepError> {
        let meta = Meta {
            id,
            event_ns,
            causation_id: cause_id.to_owned(),
            correlation_id: cause_id.to_owned(),
            basis: self.basis(),
        };
        let append = event::of_account(account, self.account_last(account), meta, body);
        append.map(Some).ok_or(StepError::NoSubject)
    }

    fn order(&self, order_id: &str) -> Result<&OrderState, StepError> {
        self.book.order(order_id).ok_or_else(|| StepError::UnknownOrder(order_id.to_owned()))
    }

    fn meta_of(&self, order: &OrderState, id: String, event_ns: i64, cause_id: Option<&str>) -> Meta {
        Meta {
            id,
            event_ns,
            causation_id: cause_id.map_or_else(|| event::submitted_id(order), str::to_owned),
            correlation_id: order.correlation_id.clone(),
            basis: self.basis(),
        }
    }

    /// Market time as of what is known of an order and its account: never the wall clock.
    pub(crate) fn now_ns(&self, order: &OrderState) -> i64 {
        let mark = self.book.account(&order.spec.account).and_then(|row| row.mark.as_ref());
        let known = order.submitted_ns.unwrap_or(order.approved_ns);
        mark.map_or(known, |mark| mark.event_ns.max(known))
    }
}

fn order_append(order: &OrderState, meta: Meta, body: Option<Body>) -> Result<Option<Append>, StepError> {
    let Some(body) = body else { return Ok(None) };
    event::of_order(order, meta, body).map(Some).ok_or(StepError::NoSubject)
}
