//! Orders: the loop that does what the machine says is to be done, and the broker's answers.

use std::collections::{BTreeSet, HashMap};

use broker::{BrokerError, Report, takes_together, wants_entries_first};
use contracts::stream;
use contracts::{Subject, client_order_id};
use domain::book::PositionKey;
use domain::order::{BrokerReport, OrderState, Phase, phase};
use event_log::{MAX_BATCH, last_of};
use planted::Bug;
use runtime::clock;

use super::reconcile::Occasion;
use super::send::Turn;
use super::{CLOSE_AGAIN, CLOSE_AGAIN_MAX, CLOSED_AT_ONCE, Error, Shell};
use crate::machine::Work;
use crate::step::{Step, StepError};
use crate::words;

/// Groups that are submitted together: what comes meanwhile waits for their answers.
const GROUPS_MAX: usize = 32;

impl Shell {
    /// Does what there is to do for orders until nothing is left or nothing gets further.
    pub(super) async fn settle_orders(&mut self) -> Result<(), Error> {
        let mut before = Vec::new();
        loop {
            self.catch_up_with_others().await?;
            let mut work = self.work().await;
            self.leave_waiting(&mut work);
            self.killed = self.machine.killed();
            self.restate(|shell| shell.unclosed = shell.machine.unclosed());
            if work.is_empty() {
                return Ok(());
            }
            if work == before {
                let waiting = words::waiting(self.machine.book(), &work);
                self.say(Some(format!("orders do not get further: {waiting}")));
                return Ok(());
            }
            self.do_all(&work).await?;
            before = work;
        }
    }

    /// What there is to do. Closings that ended before a restart have left memory; the next one goes by another id.
    async fn work(&mut self) -> Vec<Work> {
        loop {
            let work = self.machine.work();
            let mut brought = false;
            for item in &work {
                if let Work::Flatten { kill_id, order, attempt } = item
                    && !self.closings.contains_key(&order.order_id)
                {
                    self.bring(&order.order_id).await;
                    // Kept beside the book at once: memory holds fewer ended orders than may have been tried.
                    let key = PositionKey::new(&order.account, &order.strategy, &order.symbol);
                    brought |= self.machine.keep_tried(kill_id, &key) > *attempt;
                }
            }
            // Each round counts one more of every position that has one, and no position is tried without end.
            if !brought {
                return work;
            }
        }
    }

    async fn do_all(&mut self, work: &[Work]) -> Result<(), Error> {
        let (mut singles, mut closings) = (Vec::new(), Vec::new());
        let mut groups: Vec<&[String]> = Vec::new();
        let mut closed = BTreeSet::new();
        // What an order takes the place of goes before the order comes.
        self.cancel_all(work).await?;
        for item in work {
            match item {
                Work::Submit(group) => match group.as_slice() {
                    [order_id] => singles.push(order_id.clone()),
                    legs => groups.push(legs),
                },
                Work::Withdraw(order_id) => {
                    self.store_and_log(vec![Step::Withdraw { order_id: order_id.clone() }]).await?;
                }
                Work::Unwind { order_id, failed } => {
                    let (order_id, failed) = (order_id.clone(), failed.clone());
                    self.store_and_log(vec![Step::Unwind { order_id, failed }]).await?;
                }
                Work::Ask(order_id) => {
                    self.stop_first().await?;
                    self.ask(order_id).await?;
                }
                Work::Replace(order_id) => {
                    self.stop_first().await?;
                    self.replace(order_id).await?;
                }
                Work::Forgo(order_id) => {
                    self.store_and_log(vec![Step::Forgo { order_id: order_id.clone() }]).await?;
                }
                Work::Group(step) => self.group(step.clone()).await?,
                Work::Flatten { kill_id, order, .. } => {
                    let (kill_id, order) = (kill_id.clone(), order.clone());
                    let broker = self.broker.name_of(&order.account).to_owned();
                    // Two switches may want the same position closed.
                    if closed.insert(PositionKey::new(&order.account, &order.strategy, &order.symbol)) {
                        closings.push((order.order_id.clone(), Step::Flatten { kill_id, order, broker }));
                    }
                }
                Work::Cancel(_) => {}
            }
        }
        self.submit_groups(&groups).await?;
        self.close(&closings).await?;
        if singles.is_empty() {
            return Ok(());
        }
        self.stop_first().await?;
        singles.retain(|order_id| !self.is_called_off(order_id));
        if planted::is(Bug::SendBeforeIntent) {
            self.send(&singles, Turn::First).await?;
        }
        let intents = singles.iter().map(|order_id| self.intent(order_id)).collect();
        self.store_and_log(intents).await?;
        self.catch_up().await?;
        self.send(&singles, Turn::First).await
    }

    /// Asks for every cancel among the work.
    async fn cancel_all(&mut self, work: &[Work]) -> Result<(), Error> {
        for item in work {
            if let Work::Cancel(order_id) = item {
                self.cancel(order_id).await?;
            }
        }
        Ok(())
    }

    /// Folds what TRADING holds by now, before anything more goes to a broker outside: a kill switch that was pulled
    /// meanwhile comes first, and what it cancels is asked for at once. What goes to such a broker takes its time; at the
    /// simulated one nothing can come between.
    pub(super) async fn stop_first(&mut self) -> Result<(), Error> {
        if !self.broker.is_remote() {
            return Ok(());
        }
        // Without an answer it is seen when the answers to what was sent are stored.
        if let Ok(state) = self.context.tape.state(stream::TRADING).await {
            self.machine.learn(state.last_sequence);
        }
        self.catch_up().await?;
        let killed = self.machine.killed();
        if killed == self.killed {
            return Ok(());
        }
        self.killed = killed;
        let mut work = self.machine.work();
        self.leave_waiting(&mut work);
        Box::pin(self.cancel_all(&work)).await?;
        self.catch_up().await
    }

    /// Records the intents to close positions and sends them, at a broker outside a few at a time: a switch that is put back
    /// meanwhile closes no more of them.
    async fn close(&mut self, closings: &[(String, Step)]) -> Result<(), Error> {
        let most = if self.broker.is_remote() { CLOSED_AT_ONCE } else { usize::MAX };
        for some in closings.chunks(most) {
            self.stop_first().await?;
            let (order_ids, steps): (Vec<String>, Vec<Step>) = some.iter().cloned().unzip();
            self.store_and_log(steps).await?;
            self.catch_up().await?;
            self.send_closings(&order_ids).await?;
        }
        Ok(())
    }

    fn intent(&self, order_id: &str) -> Step {
        let account = self.account_of(order_id);
        Step::Submit { order_id: order_id.to_owned(), broker: self.broker.name_of(&account).to_owned() }
    }

    /// Whether an order that is approved is to be cancelled by now, so that it has no intent any more.
    fn is_called_off(&self, order_id: &str) -> bool {
        self.machine.book().order(order_id).is_some_and(|order| phase(order) == Phase::MustWithdraw)
    }

    pub(super) fn account_of(&self, order_id: &str) -> String {
        self.machine.book().order(order_id).map(|order| order.spec.account.clone()).unwrap_or_default()
    }

    /// How many groups are submitted together: a broker outside takes long over each, and its answers are stored at once.
    fn groups_at_once(&self, groups: &[&[String]]) -> usize {
        let is_remote = |order_id: &String| self.broker.is_remote_for(&self.account_of(order_id));
        if groups.iter().any(|legs| legs.iter().any(is_remote)) { 1 } else { GROUPS_MAX }
    }

    /// Submits groups, as many together as may be.
    async fn submit_groups(&mut self, groups: &[&[String]]) -> Result<(), Error> {
        let at_once = self.groups_at_once(groups);
        let mut rest = groups;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(first_together(rest, at_once));
            self.submit_together(now).await?;
            rest = later;
        }
        Ok(())
    }

    /// Submits groups: all of each, or nothing of any. An atomic batch of many events costs no more than one of two.
    async fn submit_together(&mut self, groups: &[&[String]]) -> Result<(), Error> {
        self.stop_first().await?;
        let wanted = groups.iter().filter(|legs| !legs.iter().any(|order_id| self.is_called_off(order_id)));
        let legs: Vec<String> = wanted.flat_map(|legs| self.without_exits(legs)).collect();
        let intents: Vec<_> = legs.iter().map(|order_id| self.intent(order_id)).collect();
        if self.store_group(&intents).await? {
            self.catch_up().await?;
            self.send(&legs, Turn::First).await?;
        }
        Ok(())
    }

    /// The legs without the exits of entries among them, where the broker takes those once the entries are done and not
    /// together with them.
    fn without_exits(&self, legs: &[String]) -> Vec<String> {
        let comes_now = |order_id: &&String| {
            let order = self.machine.book().order(order_id);
            order.is_none_or(|order| {
                let (name, entry_id) = (self.broker.name_of(&order.spec.account), &order.spec.parent_id);
                !wants_entries_first(name)
                    || !legs.contains(entry_id)
                    || self.goes_with_exits(name, entry_id, legs)
            })
        };
        legs.iter().filter(comes_now).cloned().collect()
    }

    /// Whether an entry goes to the broker of this name in one request with its exits among the legs.
    fn goes_with_exits(&self, name: &str, entry_id: &str, legs: &[String]) -> bool {
        let book = self.machine.book();
        let specs = legs.iter().filter_map(|leg| book.order(leg)).map(|order| &order.spec);
        let exits: Vec<_> = specs.filter(|spec| spec.parent_id == entry_id).collect();
        book.order(entry_id).is_some_and(|entry| takes_together(name, &entry.spec, &exits))
    }

    /// The order and its client order id, when its intent is on the tape and it has not ended.
    pub(super) fn submitted(&self, order_id: &str) -> Option<(OrderState, String)> {
        let order = self.machine.book().order(order_id)?;
        let unsent = order.submitted_ns.is_none() && !planted::is(Bug::SendBeforeIntent);
        if unsent || order.status.is_ended() {
            return None;
        }
        let mut client_order_id = match order.client_order_id.as_str() {
            "" => client_order_id(order_id),
            stated => stated.to_owned(),
        };
        if planted::is(Bug::ClientOrderIdRandom) {
            client_order_id.push_str(&clock::now_ns().to_string());
        }
        Some((order.clone(), client_order_id))
    }

    /// Resolves an order whose submission has no answer: the broker knows what became of it, or never got
    /// it and gets it now.
    async fn ask(&mut self, order_id: &str) -> Result<(), Error> {
        // It may have gone in one request with one that was asked for just before it.
        self.catch_up().await?;
        let unanswered = |(order, _): &(OrderState, String)| phase(order) == Phase::MustAsk;
        let Some((order, client_order_id)) = self.submitted(order_id).filter(unanswered) else {
            return Ok(());
        };
        match self.broker.lookup(&order.spec, &client_order_id).await {
            Ok(Some(known)) => {
                let steps = known.reports.into_iter().map(|report| self.answer(report)).collect();
                self.store_and_log(steps).await
            }
            Ok(None) if self.machine.is_void(&order) => {
                let over = self.answer(never_worked(&order));
                self.store_and_log(vec![over]).await
            }
            Ok(None) => self.send(&[order_id.to_owned()], Turn::Again).await,
            Err(error) => {
                let unresolved = self.unresolved(order_id, "submit", &error);
                self.store_and_log(vec![unresolved]).await?;
                self.say_of_request(&order.spec.account, &error);
                Ok(())
            }
        }
    }

    async fn cancel(&mut self, order_id: &str) -> Result<(), Error> {
        let Some((order, client_order_id)) = self.submitted(order_id) else { return Ok(()) };
        // The last event of the order is the request, or came after it; either names this attempt.
        let filter = Subject::order_filter(&order.spec);
        let cause = last_of(&self.context.tape, stream::TRADING, &filter).await?.event;
        let now_ns = self.machine.now_ns(&order);
        let said = match self.broker.cancel(&order.spec, &client_order_id, now_ns).await {
            Ok(said) => self.unless_void(&order, &client_order_id, said).await,
            Err(error) => Err(error),
        };
        match said {
            Ok(reports) => {
                if reports.is_empty() {
                    self.be_patient(order_id);
                }
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
                let unresolved = self.unresolved(order_id, "cancel", &error);
                self.store_and_log(vec![unresolved]).await?;
                self.say_of_request(&order.spec.account, &error);
                Ok(())
            }
        }
    }

    /// What the broker said to a request to cancel; where it refuses that of an exit which did not go with its entry, the end
    /// of the exit.
    async fn unless_void(
        &mut self,
        order: &OrderState,
        client_order_id: &str,
        said: Vec<Report>,
    ) -> Result<Vec<Report>, BrokerError> {
        let refused = said.iter().any(|said| matches!(said.report, BrokerReport::CancelRejected { .. }));
        if !refused || order.accepted_ns.is_some() || !self.machine.is_void(order) {
            return Ok(said);
        }
        let known = self.broker.lookup(&order.spec, client_order_id).await?;
        Ok(if known.is_some() { said } else { vec![never_worked(order)] })
    }

    /// An answer to a submission: it happened when the order was submitted. Outside the market goes on: a fill
    /// happened when the broker says it did.
    pub(super) fn answer(&self, Report { order_id, report }: Report) -> Step {
        let remote = self.broker.is_remote_for(&self.account_of(&order_id));
        let event_ns = match &report {
            BrokerReport::Filled(execution) if remote => Some(execution.executed_ns),
            _ => None,
        };
        Step::Report { order_id, report, event_ns, cause_id: None }
    }

    /// Notes that the broker took a request about an order and has not done it yet: it is asked after it in a while.
    pub(super) fn be_patient(&mut self, order_id: &str) {
        if self.broker.is_remote_for(&self.account_of(order_id)) {
            self.patience.insert(order_id.to_owned(), clock::now() + super::RETRY);
        }
    }

    /// Leaves out what the broker was asked for a moment ago, and closings whose pause is not over.
    fn leave_waiting(&mut self, work: &mut Vec<Work>) {
        let now = clock::now();
        self.patience.retain(|_, until| *until > now);
        let mut waiting = HashMap::new();
        work.retain(|item| match item {
            Work::Cancel(order_id) | Work::Replace(order_id) => !self.patience.contains_key(order_id),
            Work::Flatten { order, attempt, .. }
                if *attempt > 0 && self.broker.is_remote_for(&order.account) =>
            {
                let pause = CLOSE_AGAIN.saturating_mul(1 << (attempt - 1).min(16)).min(CLOSE_AGAIN_MAX);
                let due_at = self.closings.get(&order.order_id).copied().unwrap_or_else(|| now + pause);
                if due_at > now {
                    waiting.insert(order.order_id.clone(), due_at);
                }
                due_at <= now
            }
            _ => true,
        });
        self.closings = waiting;
    }

    /// Takes what a broker outside says unasked.
    pub(super) async fn hear(&mut self, reports: Result<Vec<Report>, BrokerError>) -> Result<(), Error> {
        match reports {
            Ok(reports) => {
                self.catch_up().await?;
                self.take_unasked(reports).await
            }
            // Whatever it said meanwhile was missed.
            Err(BrokerError::Missed { .. }) => {
                let occasion = if self.heard { Occasion::Reconnect } else { Occasion::Poll };
                self.heard = true;
                self.deaf = None;
                self.unanswered = true;
                self.reconcile(occasion).await
            }
            Err(error) => {
                self.deaf = Some(error.to_string());
                self.say(self.stands());
                self.ask_again_at = clock::now() + super::RETRY;
                Ok(())
            }
        }
    }

    pub(super) fn unasked(&self, Report { order_id, report }: Report) -> Step {
        let event_ns = match (&report, self.machine.book().order(&order_id)) {
            (BrokerReport::Filled(execution), _) => Some(execution.executed_ns),
            (_, Some(order)) => Some(self.machine.now_ns(order)),
            (_, None) => None,
        };
        Step::Report { order_id, report, event_ns, cause_id: None }
    }

    /// Remembers that an order ended here and at the broker, so that it is not asked for again.
    pub(super) fn confirm(&mut self, order_id: &str, ended_there: bool) {
        if ended_there && self.machine.book().order(order_id).is_none_or(|order| order.status.is_ended()) {
            self.confirmed.insert(order_id.to_owned());
        }
    }

    /// Takes an order that has left memory back into it.
    pub(super) async fn bring(&mut self, order_id: &str) {
        if self.machine.book().order(order_id).is_some() {
            return;
        }
        match self.read_model.order(order_id).await {
            Ok(Some(order)) => self.machine.admit(order),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "order {order_id}: {error}"),
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

/// How many of the first groups go together: at most so many, and no more orders than one atomic batch takes.
fn first_together(groups: &[&[String]], most: usize) -> usize {
    let mut orders = 0;
    let fits = |legs: &&&[String]| {
        orders += legs.len();
        orders <= MAX_BATCH
    };
    groups.iter().take(most).take_while(fits).count().max(1)
}

/// The end of an order that its broker does not have and that is not sent, or not again.
pub(super) fn never_worked(order: &OrderState) -> Report {
    let reason = "it was not worked, and nothing is left for it to do".to_owned();
    Report { order_id: order.id().to_owned(), report: BrokerReport::Cancelled { reason } }
}

pub(super) fn complain(step: &Step, error: &StepError) {
    tracing::error!(%error, "{step:?} comes to nothing: {error}");
}
