//! Following a recorded execution: what it must have added to the tape, one event at a time.
//!
//! A replay gives the follower every instant of MARKET and every event of TRADING in the order in which
//! execution met them. Before an event is folded, [`Follower::derive`] answers with the event that follows
//! from what was folded until then; whoever asks compares. What an instant still owes is known
//! ([`Follower::missing`]), so that an event which is absent shows too.
//!
//! The simulated broker is made anew from the book for each part of an instant: what it does must follow
//! from the tape alone. Deliberately absent: the tape, comparing, and brokers of the world outside, whose
//! answers are inputs.

mod derived;

use std::collections::{HashMap, HashSet, VecDeque};

use broker::{Broker as _, BrokerError, MarketEvent, Report, SIMULATED, SimulatedBroker};
use contracts::client_order_id;
use contracts::v1::event::Body;
use contracts::v1::{Event, PositionTransferred};
use domain::book::{Book, FoldError, GroupStep};
use domain::calendar::Calendar;
use domain::corporate_action::Effect;
use domain::matching::kernel::Bounds;
use domain::order::{OrderState, OrderStatus};
use event_log::{Append, Recorded};
use runtime::{ClockMode, Instant};

pub use derived::Derived;

use crate::event::SERVICE;
use crate::instant::{LiveBar, Part, is_barrier, is_of_market, parts};
use crate::machine::{Machine, Work, members};
use crate::shell::market::{known_at, session_of};
use crate::step::Step;
use derived::{among, caused, decided, is_the, order_of, reported, requested, revalues, sent};

/// Attempts to cancel an order that are told apart.
const ATTEMPTS_MAX: usize = 16;

/// One thing that an instant brings, in the order of the instant.
#[derive(Debug)]
enum Task {
    Action { symbol: String, effect: Effect, event_id: String, event_ns: i64 },
    Restate { symbol: String, effect: Effect, event_ns: i64 },
    Payouts(Vec<LiveBar>),
    Bars(Vec<LiveBar>),
    Close { session: Bounds, event_ns: i64 },
    Mark(Instant),
}

/// A recorded execution, followed.
#[derive(Debug)]
pub struct Follower {
    machine: Machine,
    tasks: VecDeque<Task>,
    /// What the present task owes.
    owed: Vec<Step>,
    /// What followed from the last cancel that was answered: orders of its group end with it.
    with_cancel: Vec<Step>,
    /// Ids of the last events of each open order: of one that is to be cancelled all since, as an attempt is named by
    /// what was last when it began.
    last_events: HashMap<String, Vec<String>>,
    /// Accounts that are traded through a broker outside, as the tape states it.
    moved: HashSet<String>,
    clock: ClockMode,
    /// Whether the clock waits for the marks of the present instant.
    waits: bool,
}

impl Follower {
    /// Starts before the first event of the tape; `accounts` are those that execution marks, `calendar` is the tape's.
    #[must_use]
    pub fn new(accounts: &[String], calendar: &'static Calendar) -> Self {
        let mut machine = Machine::new(Book::default(), accounts, calendar);
        machine.learn_applied(HashSet::new());
        Self {
            machine,
            tasks: VecDeque::new(),
            owed: Vec::new(),
            with_cancel: Vec::new(),
            last_events: HashMap::new(),
            moved: HashSet::new(),
            clock: ClockMode::Tape,
            waits: true,
        }
    }

    /// The same for a tape of this clock; without it that of a rehearsal.
    #[must_use]
    pub fn on(self, clock: ClockMode) -> Self {
        Self { clock, ..self }
    }

    /// The book as folded so far.
    #[must_use]
    pub fn book(&self) -> &Book {
        self.machine.book()
    }

    /// Begins an instant. What the one before still owes is forgotten: ask [`Follower::missing`] first.
    pub fn begin(&mut self, instant: Instant) {
        self.tasks.clear();
        self.owed.clear();
        self.machine.begin(&instant);
        self.waits = is_barrier(self.clock, &instant);
        if self.machine.is_done(&instant) {
            return;
        }
        for part in parts(&instant) {
            match part {
                Part::Action { symbol, effect, event_id, event_ns } => {
                    self.tasks.push_back(Task::Action { symbol: symbol.clone(), effect, event_id, event_ns });
                    self.tasks.push_back(Task::Restate { symbol, effect, event_ns });
                }
                Part::Bars(bars) => {
                    self.tasks.push_back(Task::Payouts(bars.clone()));
                    self.tasks.push_back(Task::Bars(bars));
                }
                Part::SessionClosed { session, event_ns } => {
                    self.tasks.push_back(Task::Close { session, event_ns });
                }
            }
        }
        self.tasks.push_back(Task::Mark(instant));
    }

    /// The first event that the present instant owes and that was not seen yet; `None` when it is complete.
    pub fn missing(&mut self) -> Result<Option<Append>, BrokerError> {
        Ok(self.advance()?.into_iter().next())
    }

    /// The first order that is approved and for which nothing was done yet.
    pub fn unsent(&mut self) -> Option<String> {
        self.machine.work().into_iter().find_map(|work| match work {
            Work::Submit(group) => group.into_iter().next(),
            Work::Ask(order_id) => Some(order_id),
            Work::Withdraw(_)
            | Work::Cancel(_)
            | Work::Unwind { .. }
            | Work::Replace(_)
            | Work::Forgo(_)
            | Work::Group(_)
            | Work::Flatten { .. } => None,
        })
    }

    /// What the next event of TRADING must be.
    pub async fn derive(&mut self, recorded: &Recorded) -> Result<Derived, BrokerError> {
        let event = &recorded.event;
        let Some(body) = &event.body else { return Ok(Derived::Input) };
        if !self.waits && revalues(body) {
            // A mark that could not be made before it was passed over.
            self.advance()?;
        }
        if self.is_outside(body) {
            return Ok(Derived::Input);
        }
        match body {
            Body::OrderSubmitted(_) => Ok(sent(&self.machine, event)),
            Body::OrderCancelRequested(request) if request.actor == SERVICE => {
                Ok(requested(&self.machine, &request.order_id, event))
            }
            Body::OrderAccepted(answer) => self.answered(&answer.order_id, recorded).await,
            Body::OrderRejected(answer) => self.answered(&answer.order_id, recorded).await,
            Body::OrderCancelRejected(answer) => self.cancelled(&answer.order_id, recorded).await,
            Body::OrderCancelled(cancelled) => match self.of_instant(recorded)? {
                Some(derived) => Ok(derived),
                None => self.cancelled(&cancelled.order_id, recorded).await,
            },
            Body::Fill(_)
            | Body::OrderExpired(_)
            | Body::OrderAdjusted(_)
            | Body::OrderTriggered(_)
            | Body::OrderTrailed(_)
            | Body::AccountMarked(_) => Ok(self.of_instant(recorded)?.unwrap_or(Derived::Nothing)),
            Body::AccountEntry(entry) if is_of_market(entry) => {
                Ok(self.of_instant(recorded)?.unwrap_or(Derived::Nothing))
            }
            _ => Ok(Derived::Input),
        }
    }

    /// Whether a broker outside said it: what such a one says is an input.
    fn is_outside(&self, body: &Body) -> bool {
        let order = reported(body).and_then(|order_id| self.order(order_id));
        order.is_some_and(|order| !order.broker.is_empty() && order.broker != SIMULATED)
    }

    /// Whether requests about an order go to a broker outside although the simulated one has it: its account was moved
    /// there, and the broker that is asked is the account's. It answers that it does not know the order.
    fn is_moved(&self, order: &OrderState) -> bool {
        order.broker == SIMULATED && self.moved.contains(&order.spec.account)
    }

    /// What an intent or a request to cancel must be when its writer had read no further than `read`: it may not have known
    /// yet that the order is to be cancelled, or that the kill switch was put back. It is sent all the same, and what came
    /// between follows.
    #[must_use]
    pub fn derive_unaware(&self, recorded: &Recorded, read: Book) -> Derived {
        let mut machine = Machine::new(read, &[], self.machine.calendar);
        // Of what it tried itself to close positions its memory may hold less than the writer kept.
        machine.tried.clone_from(&self.machine.tried);
        match &recorded.event.body {
            Some(Body::OrderCancelRequested(request)) => {
                requested(&machine, &request.order_id, &recorded.event)
            }
            _ => sent(&machine, &recorded.event),
        }
    }

    /// Folds the next event of TRADING.
    pub fn fold(&mut self, recorded: &Recorded) -> Result<(), FoldError> {
        let order_id = order_of(recorded);
        let known = order_id.as_ref().and_then(|order_id| self.order(order_id));
        let cancelling = known.is_some_and(|order| order.cancel_requested);
        self.machine.fold(recorded)?;
        self.note_broker(recorded.event.body.as_ref());
        let Some(order_id) = order_id else { return Ok(()) };
        if self.order(&order_id).is_none_or(|order| order.status.is_ended()) {
            self.last_events.remove(&order_id);
            return Ok(());
        }
        let last = self.last_events.entry(order_id).or_default();
        if !cancelling {
            last.clear();
        } else if last.len() == ATTEMPTS_MAX {
            last.remove(0);
        }
        last.push(recorded.event.id.clone());
        Ok(())
    }

    /// Takes note of the broker that an account is traded through.
    fn note_broker(&mut self, body: Option<&Body>) {
        let (account, broker) = match body {
            Some(Body::BrokerAttached(attached)) => (attached.account.clone(), attached.broker.as_str()),
            // That it came back is not stated; that it sends orders there is.
            Some(Body::OrderSubmitted(event)) => {
                let account = event.order.as_ref().map(|order| order.account.clone());
                (account.unwrap_or_default(), event.broker.as_str())
            }
            _ => return,
        };
        if broker == SIMULATED {
            self.moved.remove(&account);
        } else {
            self.moved.insert(account);
        }
    }

    /// Passes over a message of TRADING that was parked.
    pub fn skip(&mut self, sequence: u64) {
        self.machine.skip(sequence);
    }

    /// Takes an order that had left memory.
    pub fn admit(&mut self, order: OrderState) {
        self.machine.admit(order);
    }

    /// What of the present instant's debts the event is; `None` when it is none of them.
    fn of_instant(&mut self, recorded: &Recorded) -> Result<Option<Derived>, BrokerError> {
        let owed = self.advance()?;
        Ok(match among(owed, &recorded.event) {
            Derived::Nothing => None,
            derived => Some(derived),
        })
    }

    /// The next event that orders want, whatever the instant: an intent, an answer, an end. A replay that goes its
    /// own way adds it to its own tape.
    pub async fn next_for_orders(&mut self) -> Result<Option<Append>, BrokerError> {
        for work in self.machine.work() {
            let steps = match work {
                Work::Submit(group) => {
                    let broker = SimulatedBroker::default().name().to_owned();
                    let first = group.into_iter().next();
                    first
                        .into_iter()
                        .map(|order_id| Step::Submit { order_id, broker: broker.clone() })
                        .collect()
                }
                Work::Withdraw(order_id) => vec![Step::Withdraw { order_id }],
                Work::Unwind { order_id, failed } => vec![Step::Unwind { order_id, failed }],
                Work::Replace(order_id) => self.replace(&order_id).await?,
                Work::Forgo(order_id) => vec![Step::Forgo { order_id }],
                Work::Group(GroupStep::Handle(handled)) => vec![Step::Group(handled)],
                Work::Group(GroupStep::Transfer(moved)) => {
                    let cause = |moved: &PositionTransferred| {
                        let row = self.machine.book().strategy(&moved.from_strategy);
                        row.and_then(|row| row.stopping.as_ref()).map(|stopping| stopping.event_id.clone())
                    };
                    let step = |moved: PositionTransferred| {
                        let cause_id = cause(&moved).unwrap_or_default();
                        Step::Transfer { moved, cause_id }
                    };
                    moved.into_iter().map(step).collect()
                }
                Work::Flatten { kill_id, order, .. } => {
                    let broker = SimulatedBroker::default().name().to_owned();
                    vec![Step::Flatten { kill_id, order, broker }]
                }
                Work::Ask(order_id) => self.answer(&order_id).await?.unwrap_or_default(),
                Work::Cancel(order_id) => self.cancel(&order_id).await?.unwrap_or_default(),
            };
            let next = steps.iter().find_map(|step| self.machine.decide(step).ok().flatten());
            if next.is_some() {
                return Ok(next);
            }
        }
        Ok(None)
    }

    /// The answer of the simulated broker to a submission.
    async fn answered(&self, order_id: &str, recorded: &Recorded) -> Result<Derived, BrokerError> {
        let Some(order) = self.order(order_id) else { return Ok(Derived::Nothing) };
        if self.is_moved(order) {
            return Ok(Derived::Input);
        }
        let steps = self.answer(order_id).await?;
        Ok(steps.map_or(Derived::Input, |steps| decided(&self.machine, &steps, &recorded.event)))
    }

    /// The end of an order that somebody asked to cancel, or the refusal.
    async fn cancelled(&mut self, order_id: &str, recorded: &Recorded) -> Result<Derived, BrokerError> {
        let Some(order) = self.order(order_id) else { return Ok(Derived::Nothing) };
        if order.status == OrderStatus::Approved {
            return Ok(decided(
                &self.machine,
                &[Step::Withdraw { order_id: order_id.to_owned() }],
                &recorded.event,
            ));
        }
        if self.is_moved(order) {
            return Ok(Derived::Input);
        }
        let event = &recorded.event;
        if !order.spec.group_id.is_empty() {
            let (group, asked) = (order.spec.group_id.clone(), order.cancel_requested);
            // It may have ended with its entry although it was to be cancelled itself, and be recorded before it.
            if !is_the(&self.machine, &self.with_cancel, event)
                && let Some(steps) = self.cancel_within(&group, order_id, event).await?
            {
                self.with_cancel = steps;
            }
            if !asked || is_the(&self.machine, &self.with_cancel, event) {
                return Ok(decided(&self.machine, &self.with_cancel, event));
            }
        }
        let Some(attempts) = self.attempts(order_id).await? else { return Ok(Derived::Input) };
        let own = |steps: &&Vec<Step>| {
            matches!(decided(&self.machine, steps, event), Derived::Event(append)
                if append.event.causation_id == event.causation_id)
        };
        self.with_cancel = attempts.iter().find(own).or(attempts.first()).cloned().unwrap_or_default();
        Ok(decided(&self.machine, &self.with_cancel, event))
    }

    /// The answer to the cancel of another order of a group, where it says this: what one answer says of several orders
    /// may be recorded in any order.
    async fn cancel_within(
        &self,
        group: &str,
        order_id: &str,
        event: &Event,
    ) -> Result<Option<Vec<Step>>, BrokerError> {
        for other in members(group).into_iter().filter(|member| member != order_id) {
            let attempts = self.attempts(&other).await?.unwrap_or_default();
            let found = attempts.into_iter().find(|steps| is_the(&self.machine, steps, event));
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The answer to each attempt to cancel an order, the last one first. A request that crossed an attempt changes
    /// nothing of it.
    async fn attempts(&self, order_id: &str) -> Result<Option<Vec<Vec<Step>>>, BrokerError> {
        let Some(steps) = self.cancel(order_id).await? else { return Ok(None) };
        let causes = self.last_events.get(order_id).into_iter().flatten().rev();
        let earlier = causes.skip(1).map(|cause| caused(&steps, cause));
        Ok(Some(std::iter::once(steps.clone()).chain(earlier).collect()))
    }

    /// What the simulated broker says to an order that is sent; `None` when it is another broker's.
    async fn answer(&self, order_id: &str) -> Result<Option<Vec<Step>>, BrokerError> {
        let mut broker = SimulatedBroker::resume(self.machine.book())?;
        let Some(order) = self.order(order_id).filter(|order| order.broker == broker.name()) else {
            return Ok(None);
        };
        let sent_ns = |order: &OrderState| order.submitted_ns.unwrap_or(order.approved_ns);
        // Answers may be recorded in any order; the broker had an exit's entry before it.
        let entry = self.order(&order.spec.parent_id);
        if let Some(entry) = entry.filter(|entry| entry.status == OrderStatus::Submitted) {
            broker.submit(&entry.spec, &client_order_id(entry.id()), sent_ns(entry)).await?;
        }
        let reports = broker.submit(&order.spec, &client_order_id(order_id), sent_ns(order)).await?;
        let step =
            |Report { order_id, report }| Step::Report { order_id, report, event_ns: None, cause_id: None };
        Ok(Some(reports.into_iter().map(step).collect()))
    }

    /// What the simulated broker says to a request to cancel; nothing where nobody asked, `None` when it is another
    /// broker's order.
    async fn cancel(&self, order_id: &str) -> Result<Option<Vec<Step>>, BrokerError> {
        let mut broker = SimulatedBroker::resume(self.machine.book())?;
        let Some(order) = self.order(order_id).filter(|order| order.broker == broker.name()) else {
            return Ok(None);
        };
        if !order.cancel_requested {
            return Ok(Some(Vec::new()));
        }
        let now_ns = self.machine.now_ns(order);
        let reports = broker.cancel(&order.spec, &client_order_id(order_id), now_ns).await?;
        let cause_id = self.last_events.get(order_id).and_then(|last| last.last()).cloned();
        let step = |Report { order_id, report }| Step::Report {
            order_id,
            report,
            event_ns: Some(now_ns),
            cause_id: cause_id.clone(),
        };
        Ok(Some(reports.into_iter().map(step).collect()))
    }

    /// What the simulated broker says to new terms; first the intent to ask for them.
    async fn replace(&self, order_id: &str) -> Result<Vec<Step>, BrokerError> {
        let Some(order) = self.order(order_id) else { return Ok(Vec::new()) };
        if order.replace.as_ref().is_some_and(|replace| !replace.requested) {
            return Ok(vec![Step::RequestReplace { order_id: order_id.to_owned() }]);
        }
        let mut broker = SimulatedBroker::resume(self.machine.book())?;
        let now_ns = self.machine.now_ns(order);
        let reports = broker.replace(order, now_ns).await?;
        let step = |Report { order_id, report }| Step::Report {
            order_id,
            report,
            event_ns: Some(now_ns),
            cause_id: None,
        };
        Ok(reports.into_iter().map(step).collect())
    }

    fn order(&self, order_id: &str) -> Option<&OrderState> {
        self.machine.book().order(order_id)
    }

    /// Goes on to the first task of the instant that owes something, and answers the events of it.
    fn advance(&mut self) -> Result<Vec<Append>, BrokerError> {
        loop {
            let (machine, waits, mut appends) = (&self.machine, self.waits, Vec::new());
            // An account that cannot be valued yet is valued as soon as it can be, where the clock waits for it.
            self.owed.retain(|step| match machine.decide(step) {
                Ok(append) => append.map(|append| appends.push(append)).is_some(),
                Err(_) => waits && matches!(step, Step::Mark { .. }),
            });
            if !self.owed.is_empty() {
                return Ok(appends);
            }
            let Some(task) = self.tasks.pop_front() else { return Ok(appends) };
            self.owed = self.steps(task)?;
        }
    }

    fn steps(&mut self, task: Task) -> Result<Vec<Step>, BrokerError> {
        let machine = &mut self.machine;
        Ok(match task {
            // What cannot be worked out, execution logs and passes over.
            Task::Action { symbol, effect, event_id, event_ns } => {
                machine.action_steps(&symbol, effect, &event_id, event_ns).unwrap_or_default()
            }
            Task::Restate { symbol, effect, event_ns } => {
                machine.restate_price(&symbol, effect, event_ns);
                Vec::new()
            }
            Task::Payouts(bars) => {
                let steps = bars.iter().filter_map(|bar| machine.cash_in_lieu_steps(bar).ok());
                steps.flatten().collect()
            }
            Task::Bars(bars) => {
                let mut broker = SimulatedBroker::resume(machine.book())?;
                let (mut session, mut steps) = (None, Vec::new());
                for live in &bars {
                    machine.observe(live);
                    session = session_of(machine.calendar, session, live);
                    let (symbol, bar) = (live.symbol.as_str(), &live.bar);
                    let event = MarketEvent::Bar { symbol, bar, session: session.as_ref() };
                    steps.extend(known_at(broker.on_market(event), live.bar.close_ns));
                }
                steps
            }
            Task::Close { session, event_ns } => {
                let mut broker = SimulatedBroker::resume(machine.book())?;
                known_at(broker.on_market(MarketEvent::SessionClosed { session }), event_ns)
            }
            Task::Mark(instant) => machine.mark_steps(&instant),
        })
    }
}
