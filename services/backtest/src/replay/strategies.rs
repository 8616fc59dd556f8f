//! The built-in strategies, followed: which signals the recorded instants, fills and registrations make.
//!
//! An instant is taken when its marks are folded and something else comes, because every fill of it came before.
//! A warm-up says on the tape how far MARKET had been read, so it is done again at the same place; one of a
//! strategy that runs already means that the service was started anew, with all its strategies. Those that were wanted
//! when one began are started with it, on what the book knew then; their records may come much later.
//!
//! A registration that changed between an instant's marks and its signals may have come before or after the
//! strategy decided: its signals of that instant are then allowed and not demanded. So it is with positions that were handed
//! over there, and where a strategy left shadow mode; what their old or new strategy then signalled, or the one that left, is
//! taken as it is.

use std::collections::{BTreeMap, HashSet, VecDeque};

use contracts::v1::Event;
use contracts::v1::event::Body;
use contracts::{from_timestamp, stream, to_timestamp};
use domain::bar::{Bar, Timeframe};
use domain::book::FoldError;
use domain::calendar::Calendar;
use domain::order::OrderState;
use event_log::{LogError, Recorded};
use runtime::{ClockMode, Instants};
use strategy::{Change, History, Machine, Outgoing, PastBar, Wanted, warm_up_id};

use super::difference::{Divergence, is_same};
use super::market::Market;
use super::registry::Registry;
use super::{Found, read_of};

/// Most events that wait for a signal to say that they were read.
const UNREAD_MAX: usize = 16_384;

/// A signal that must come, or may.
#[derive(Debug)]
struct Expected {
    event: Event,
    /// MARKET sequence of its instant.
    market: u64,
    strategy: String,
    demanded: bool,
}

/// The strategy service, followed.
pub(super) struct Strategies {
    clock: ClockMode,
    machine: Machine,
    instants: Instants,
    /// Last MARKET sequence given to `instants`.
    read: u64,
    /// Instants through this MARKET sequence are marked and wait for being taken.
    due: u64,
    expected: Vec<Expected>,
    /// Ids of the built-in strategies' signals seen on the tape.
    seen: HashSet<String>,
    /// What strategies that wait for their warm-up want.
    cold: BTreeMap<String, Wanted>,
    /// Warm-ups that must come, by id.
    warm_ups: BTreeMap<String, Event>,
    /// Event time of the last instant taken.
    handled_ns: i64,
    /// On the wall clock: what of TRADING the service may not have read yet. Its next signal says how far it had.
    unread: VecDeque<Recorded>,
    registry: Registry,
    /// What is derived is what is signalled, whatever is on record.
    leads: bool,
    /// What those that were stopped and keep their positions may have made of the last instant, enabled before they did.
    unbound: Vec<Expected>,
}

impl Strategies {
    pub fn new(clock: ClockMode, accounts: &[String], calendar: &'static Calendar) -> Self {
        Self {
            clock,
            machine: Machine::new(clock, accounts, calendar, domain::book::Book::default(), 0),
            instants: Instants::new(clock),
            read: 0,
            due: 0,
            expected: Vec::new(),
            seen: HashSet::new(),
            cold: BTreeMap::new(),
            warm_ups: BTreeMap::new(),
            handled_ns: i64::MIN,
            unread: VecDeque::new(),
            registry: Registry::default(),
            leads: false,
            unbound: Vec::new(),
        }
    }

    /// MARKET sequence through which nothing is read again by [`Market::between`].
    pub fn market_sequence(&self) -> u64 {
        self.read
    }

    /// Takes what must be taken before `recorded` is folded.
    pub async fn before(&mut self, recorded: &Recorded, market: &mut Market) -> Result<(), LogError> {
        if self.clock == ClockMode::Wall {
            return self.before_live(recorded, market).await;
        }
        let through = match &recorded.event.body {
            Some(Body::AccountMarked(_)) if read_of(&recorded.event, stream::MARKET) == self.due => {
                return Ok(());
            }
            // Whoever warms up has not taken the instants after it yet.
            Some(Body::StrategyWarmed(warmed)) => warmed.market_sequence,
            Some(Body::Signal(signal)) if self.registry.is_built_in(&signal.strategy) => {
                self.due.max(read_of(&recorded.event, stream::MARKET))
            }
            _ => self.due,
        };
        self.take(through, market).await
    }

    /// On the wall clock no mark says what the service had read: its own events do.
    async fn before_live(&mut self, recorded: &Recorded, market: &mut Market) -> Result<(), LogError> {
        let through = match &recorded.event.body {
            Some(Body::StrategyWarmed(warmed)) => warmed.market_sequence,
            Some(Body::Signal(signal)) if self.registry.is_built_in(&signal.strategy) => {
                read_of(&recorded.event, stream::MARKET)
            }
            _ => return Ok(()),
        };
        let read = read_of(&recorded.event, stream::TRADING);
        while let Some(next) = self.unread.pop_front_if(|next| next.sequence <= read) {
            // What does not fold was said when it came.
            if self.fold_now(&next).is_err() {
                self.machine.skip(next.sequence);
            }
        }
        self.take(through, market).await
    }

    /// Holds a signal or a warm-up against what was derived. Answers what was proved.
    pub async fn check(&mut self, recorded: &Recorded, market: &mut Market) -> Result<Found, LogError> {
        match &recorded.event.body {
            Some(Body::Signal(signal)) if self.registry.is_built_in(&signal.strategy) => {
                Ok(self.signal(recorded, &signal.strategy))
            }
            Some(Body::StrategyWarmed(warmed)) => {
                self.warmed(recorded, &warmed.strategy, warmed.market_sequence, market).await
            }
            _ => Ok(Found::Input),
        }
    }

    /// Folds the next event of TRADING.
    pub fn fold(&mut self, recorded: &Recorded) -> Result<(), FoldError> {
        self.registry.note(recorded);
        if let Some(Body::StrategyEnabled(enabled)) = &recorded.event.body {
            let strategy = &enabled.strategy;
            let free: Vec<_> = self.unbound.extract_if(.., |made| made.strategy == *strategy).collect();
            if !free.is_empty() {
                self.allow(strategy);
                self.expected.extend(free);
            }
            // Out of shadow mode it goes by what it really holds; into it, by the same as before.
            if self.clock == ClockMode::Tape && self.machine.is_shadow(strategy) {
                self.allow(strategy);
                self.registry.told_otherwise(strategy, self.due);
            }
        }
        if self.clock == ClockMode::Tape {
            if let Some(Body::PositionTransferred(moved)) = &recorded.event.body {
                for strategy in [&moved.from_strategy, &moved.to_strategy] {
                    self.allow(strategy);
                    self.registry.told_otherwise(strategy, self.due);
                    self.machine.undecided(strategy, self.due);
                }
            }
            return self.fold_now(recorded);
        }
        self.unread.push_back(recorded.clone());
        let oldest = if self.unread.len() > UNREAD_MAX { self.unread.pop_front() } else { None };
        oldest.map_or(Ok(()), |oldest| self.fold_now(&oldest))
    }

    fn fold_now(&mut self, recorded: &Recorded) -> Result<(), FoldError> {
        self.machine.fold(recorded)?;
        if matches!(recorded.event.body, Some(Body::AccountMarked(_))) {
            self.due = self.due.max(read_of(&recorded.event, stream::MARKET));
        }
        for change in self.machine.changes() {
            match change {
                Change::Start { strategy, wanted } => {
                    self.allow(&strategy);
                    self.registry.want(&strategy, recorded.sequence);
                    self.cold.insert(strategy, wanted);
                }
                Change::Stopped(strategy) | Change::Refused { strategy, .. } => {
                    self.cold.remove(&strategy);
                    self.allow(&strategy);
                }
            }
        }
        Ok(())
    }

    pub fn skip(&mut self, sequence: u64) {
        self.machine.skip(sequence);
    }

    pub fn admit(&mut self, order: OrderState) {
        self.machine.admit(order);
    }

    /// A signal that should have come before an instant that ends at the MARKET sequence `next`.
    pub fn missing(&mut self, next: u64) -> Option<Event> {
        self.expected.retain(|expected| expected.demanded || expected.market >= next);
        let missing = self.expected.iter().find(|expected| expected.demanded && expected.market < next);
        missing.map(|expected| expected.event.clone())
    }

    /// Signals that were derived and may still come: the tape ends before them.
    pub fn open(&self) -> usize {
        self.expected.iter().filter(|expected| expected.demanded).count()
    }

    /// Takes what is marked at the end of the tape.
    pub async fn finish(&mut self, market: &mut Market) -> Result<(), LogError> {
        self.take(self.due, market).await
    }

    /// Starts whatever waits for its warm-up, where MARKET stands.
    pub async fn start_all(&mut self, market: &mut Market) -> Result<(), LogError> {
        let waiting: Vec<String> = self.cold.keys().cloned().collect();
        if waiting.is_empty() {
            return Ok(());
        }
        self.start(waiting, market).await
    }

    /// Takes the instants through a MARKET sequence and answers their signals, in the order of the service.
    pub async fn signals(&mut self, through: u64, market: &mut Market) -> Result<Vec<Event>, LogError> {
        self.expected.clear();
        self.leads = true;
        self.take(through, market).await?;
        Ok(self.expected.drain(..).map(|expected| expected.event).collect())
    }

    /// The signals of `strategy` may come and need not.
    fn allow(&mut self, strategy: &str) {
        for expected in self.expected.iter_mut().filter(|expected| expected.strategy == strategy) {
            expected.demanded = false;
        }
    }

    fn signal(&mut self, recorded: &Recorded, strategy: &str) -> Found {
        let event = &recorded.event;
        if self.clock == ClockMode::Wall {
            self.machine.recall(recorded);
        }
        if !self.seen.insert(event.id.clone()) {
            return Found::Diverged(Divergence::not_derived(recorded));
        }
        // There may be two: an exit of a strategy that was stopped, and what it does once it is enabled again.
        let derived: Vec<_> =
            self.expected.extract_if(.., |expected| expected.event.id == event.id).collect();
        let on_either = self.registry.told_otherwise_at(strategy, read_of(event, stream::MARKET));
        if let [first, ..] = derived.as_slice() {
            return if derived.iter().any(|expected| is_same(event, &expected.event)) {
                Found::Proved
            } else if on_either {
                Found::Input
            } else {
                Found::Diverged(Divergence::differs(recorded, &first.event, String::new()))
            };
        }
        if on_either {
            return Found::Input;
        }
        // Under another id: the one of the same strategy that comes next says what it should have been.
        let alike = self.expected.iter().find(|expected| expected.strategy == strategy);
        Found::Diverged(match alike {
            Some(alike) => Divergence::differs(recorded, &alike.event, String::new()),
            None => Divergence::not_derived(recorded),
        })
    }

    async fn warmed(
        &mut self,
        recorded: &Recorded,
        strategy: &str,
        through: u64,
        market: &mut Market,
    ) -> Result<Found, LogError> {
        let known = read_of(&recorded.event, stream::TRADING);
        if !self.warm_ups.contains_key(&recorded.event.id) {
            if !self.cold.contains_key(strategy) || self.machine.market_sequence() != through {
                self.begin_anew(through, market).await?;
            }
            let wanted = |name: &&String| *name == strategy || self.registry.wanted_by(name, known);
            self.start(self.cold.keys().filter(wanted).cloned().collect(), market).await?;
        }
        let derived = self.warm_up(&recorded.event.id, strategy, through);
        Ok(match derived.map(|derived| self.as_asked(derived, known)) {
            Some(derived) if is_same(&recorded.event, &derived) => Found::Proved,
            Some(derived) => Found::Diverged(Divergence::differs(recorded, &derived, String::new())),
            // It began before it was read that the strategy is not wanted any more.
            None if self.registry.changed_after(strategy, known) => Found::Input,
            None => Found::Diverged(Divergence::not_derived(recorded)),
        })
    }

    /// The warm-up that was derived for an event. The id may name another change of the registration, or none: the service
    /// names what it folded since it began, and when that was is not on the tape.
    fn warm_up(&mut self, id: &str, strategy: &str, through: u64) -> Option<Event> {
        if let Some(derived) = self.warm_ups.remove(id) {
            return Some(derived);
        }
        let mut named = self.registry.asked(strategy).map(Some).chain([None]);
        if !named.any(|changed| id == warm_up_id(strategy, through, changed)) {
            return None;
        }
        let alike = |event: &Event| {
            matches!(&event.body, Some(Body::StrategyWarmed(warmed))
                if warmed.strategy == strategy && warmed.market_sequence == through)
        };
        let found = self.warm_ups.iter().find(|(_, event)| alike(event)).map(|(id, _)| id.clone())?;
        let derived = self.warm_ups.remove(&found)?;
        Some(Event { id: id.to_owned(), ..derived })
    }

    /// A warm-up without a bar has the time of the last change of its registration that the service knew of.
    fn as_asked(&self, derived: Event, known: u64) -> Event {
        let Some(Body::StrategyWarmed(warmed)) = &derived.body else { return derived };
        let last = self.registry.asked_ns(&warmed.strategy, known);
        match last.filter(|_| warmed.bars == 0) {
            Some(last_ns) => Event { event_time: Some(to_timestamp(last_ns)), ..derived },
            None => derived,
        }
    }

    /// The service as it starts with MARKET handled through `floor`, everything still to be warmed up.
    async fn begin_anew(&mut self, floor: u64, market: &mut Market) -> Result<(), LogError> {
        self.due = self.due.max(self.machine.market_sequence());
        self.machine = self.machine.anew(floor);
        self.instants = Instants::new(self.clock);
        self.read = floor;
        self.cold.clear();
        self.warm_ups.clear();
        // What it has not acknowledged it takes again.
        self.expected.retain(|expected| expected.market <= floor);
        self.handled_ns = i64::MIN;
        if let Some(handled_ns) = market.last(floor).await?.and_then(|last| event_ns(&last.event)) {
            self.handled_ns = handled_ns;
        }
        for change in self.machine.changes() {
            if let Change::Start { strategy, wanted } = change {
                self.cold.insert(strategy, wanted);
            }
        }
        Ok(())
    }

    /// Warms strategies up with MARKET as far as it was read, and starts them.
    async fn start(&mut self, strategies: Vec<String>, market: &mut Market) -> Result<(), LogError> {
        let at = self.machine.market_sequence();
        let mut starting: Vec<(String, History)> = Vec::new();
        for strategy in strategies {
            if let Some(wanted) = self.cold.remove(&strategy) {
                starting.push((strategy, History::new(wanted)));
            }
        }
        market
            .again(at, |recorded| {
                for (_, history) in &mut starting {
                    history.event(recorded);
                    revise(history, &recorded.event);
                }
            })
            .await?;
        for (strategy, history) in starting {
            if let Some(Outgoing { event, .. }) = self.machine.start(&strategy, history, self.handled_ns) {
                self.warm_ups.insert(event.id.clone(), event);
            }
        }
        Ok(())
    }

    /// Takes the instants through a MARKET sequence.
    async fn take(&mut self, through: u64, market: &mut Market) -> Result<(), LogError> {
        if through <= self.read {
            return Ok(());
        }
        if self.clock == ClockMode::Tape {
            // What was wanted before an instant was marked, the service has started before it took the instant.
            self.start_all(market).await?;
        }
        for recorded in market.between(self.read, through).await? {
            self.instants.push(recorded);
        }
        self.read = through;
        while let Some(instant) = self.instants.next_complete() {
            let market = instant.last_sequence();
            let made = self.machine.step(&instant);
            // On the wall clock the service may have known less of its fills where it did not signal.
            if self.leads || self.clock == ClockMode::Tape {
                let new = made.iter().filter(|out| !self.seen.contains(&out.event.id));
                self.machine.stand(new.map(|out| (&out.event, u64::MAX)));
            }
            for Outgoing { event, .. } in made {
                let strategy = event.source.clone();
                if !self.seen.contains(&event.id) {
                    // Taken once more, it meets what its service may not have read.
                    let demanded = !self.registry.told_otherwise_at(&strategy, market);
                    self.expected.push(Expected { event, market, strategy, demanded });
                }
            }
            let unbound = self.machine.unbound().iter().map(|made| Expected {
                event: made.event.clone(),
                market,
                strategy: made.event.source.clone(),
                demanded: false,
            });
            self.unbound = unbound.collect();
            self.handled_ns = self.handled_ns.max(instant.event_ns);
        }
        Ok(())
    }
}

/// A revision counts in a warm-up as the read model has it.
fn revise(history: &mut History, event: &Event) {
    let Some(Body::BarRevision(revision)) = &event.body else { return };
    let (Some(wire), Some(close_ns)) = (&revision.bar, event_ns(event)) else { return };
    if let (Ok(timeframe), Some(bar)) = (wire.timeframe.parse::<Timeframe>(), Bar::from_wire(wire, close_ns))
    {
        history.bar(PastBar { symbol: wire.symbol.clone(), timeframe, bar });
    }
}

fn event_ns(event: &Event) -> Option<i64> {
    event.event_time.as_ref().and_then(from_timestamp)
}
