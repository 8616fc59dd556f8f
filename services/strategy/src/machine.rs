//! The state of the strategy host and what an instant makes of it, without I/O.
//!
//! Registrations, fills and marks come from TRADING through the book, bars and actions from MARKET. On the
//! tape clock an instant's bars are taken only once the marks of all accounts for it are folded
//! ([`Machine::waits_for`]): every fill of the instant is then known, whatever the streams' relative speed.
//!
//! A strategy runs while it is registered with a built-in kind and enabled. Disabling drops it; enabling it
//! again, or registering it with other terms, warms it up anew. One that was stopped and keeps its positions runs on
//! and signals nothing but exits. Of its mode it is told by its position alone, which in shadow mode follows from its
//! signals; the rest is risk's business.
//!
//! Deliberately absent: the tape, the read models, clocks, external strategies (they consume by themselves).

use std::collections::{BTreeMap, BTreeSet};

use contracts::v1::event::Body;
use contracts::v1::{Event, Signal, StrategyMode, StrategyWarmed};
use contracts::{Subject, event_id, from_timestamp, to_timestamp};
use domain::bar::{Bar, Timeframe};
use domain::book::{Book, FoldError, StrategyState};
use domain::calendar::Calendar;
use domain::order::OrderState;
use event_log::Recorded;
use runtime::{ClockMode, Instant, is_live};

use crate::closing::permitted;
use crate::history::History;
use crate::host::{Host, Terms};
use crate::read_model::Wanted;
use crate::shadow::{Holdings, Shadows};
use crate::signal::{Outgoing, basis, order_key, outgoing};

/// What the registrations on the tape ask of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Warm up this strategy and start it.
    Start {
        /// Strategy.
        strategy: String,
        /// History it wants.
        wanted: Wanted,
    },
    /// It was dropped.
    Stopped(String),
    /// It cannot be built; it stays out until it is registered with other terms.
    Refused {
        /// Strategy.
        strategy: String,
        /// Why.
        reason: String,
    },
}

/// Where a registration changed last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Changed {
    /// TRADING sequence of the change.
    pub sequence: u64,
    /// Its event time, UTC nanoseconds.
    pub event_ns: i64,
}

impl Changed {
    /// The change that an event is.
    #[must_use]
    pub fn of(recorded: &Recorded) -> Self {
        let event_ns = recorded.event.event_time.as_ref().and_then(from_timestamp).unwrap_or_default();
        Self { sequence: recorded.sequence, event_ns }
    }
}

/// The strategy host's memory.
#[derive(Debug)]
pub struct Machine {
    mode: ClockMode,
    accounts: Vec<String>,
    calendar: &'static Calendar,
    book: Book,
    hosts: BTreeMap<String, Host>,
    /// Built and waiting for their history.
    cold: BTreeMap<String, Host>,
    refused: BTreeMap<String, Terms>,
    /// Registrations may have changed since [`Machine::changes`] looked.
    stale: bool,
    /// Dropped since then.
    stopped: Vec<String>,
    /// Where a registration changed last, as far as that was folded here or is told.
    changed: BTreeMap<String, Changed>,
    market_sequence: u64,
    /// Signals made of fills, which go out with the instant's.
    of_fills: Vec<Outgoing>,
    /// What strategies that keep their positions made of the last instant before they were held to exits.
    unbound: Vec<Outgoing>,
    /// Strategies in shadow mode, with what they signalled there.
    shadows: Shadows,
    /// MARKET sequence of the last instant, where it was decided.
    decided: Option<u64>,
}

impl Machine {
    /// Starts from a book, with everything of MARKET up to `market_sequence` handled. `accounts` are those
    /// whose marks an instant waits for; `calendar` is the tape's.
    #[must_use]
    pub fn new(
        mode: ClockMode,
        accounts: &[String],
        calendar: &'static Calendar,
        book: Book,
        market_sequence: u64,
    ) -> Self {
        Self {
            mode,
            accounts: accounts.to_vec(),
            calendar,
            book,
            hosts: BTreeMap::new(),
            cold: BTreeMap::new(),
            refused: BTreeMap::new(),
            stale: true,
            stopped: Vec::new(),
            changed: BTreeMap::new(),
            market_sequence,
            of_fills: Vec::new(),
            unbound: Vec::new(),
            shadows: Shadows::default(),
            decided: None,
        }
    }

    /// The same, started anew with everything of MARKET up to `market_sequence` handled: nothing runs yet.
    #[must_use]
    pub fn anew(&self, market_sequence: u64) -> Self {
        let anew = Self::new(self.mode, &self.accounts, self.calendar, self.book.clone(), market_sequence);
        Self { shadows: self.shadows.clone(), ..anew }
    }

    /// The book as folded so far.
    #[must_use]
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// Last MARKET sequence handled.
    #[must_use]
    pub fn market_sequence(&self) -> u64 {
        self.market_sequence
    }

    /// Names of the strategies that run.
    pub fn running(&self) -> impl Iterator<Item = &str> {
        self.hosts.keys().map(String::as_str)
    }

    /// Names of the strategies that cannot be built.
    pub fn refused(&self) -> impl Iterator<Item = &str> {
        self.refused.keys().map(String::as_str)
    }

    /// Folds the next event of TRADING.
    pub fn fold(&mut self, recorded: &Recorded) -> Result<(), FoldError> {
        if recorded.sequence <= self.book.sequence() {
            return Ok(());
        }
        let changes = self.book.apply(recorded.sequence, &recorded.event)?;
        self.shadows.take(recorded);
        match &recorded.event.body {
            Some(
                Body::StrategyRegistered(_)
                | Body::StrategyEnabled(_)
                | Body::StrategyDisabled(_)
                | Body::StrategyRemoved(_),
            ) => {
                self.stale |= !changes.strategies.is_empty();
                let changed = Changed::of(recorded);
                self.changed.extend(changes.strategies.iter().map(|name| (name.clone(), changed)));
                self.drop_stopped(&changes.strategies);
            }
            Some(Body::Fill(fill)) => {
                if let Some(host) = self.hosts.get_mut(&fill.strategy) {
                    let signals = permitted(&self.book, &fill.strategy, host.on_fill(fill));
                    let basis = [self.market_sequence, recorded.sequence];
                    self.of_fills.extend(outgoing(&fill.strategy, signals, &recorded.event, None, basis));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Drops what was disabled or removed at once: enabled again before anybody looks, it warms up anew, whether or
    /// not both came together.
    fn drop_stopped(&mut self, strategies: &[String]) {
        for name in strategies {
            let runs = self.book.strategy(name).is_some_and(|state| state.registered && state.enabled);
            if !runs && (self.hosts.remove(name).is_some() | self.cold.remove(name).is_some()) {
                self.stopped.push(name.clone());
            }
        }
    }

    /// Passes over a message of TRADING that was parked.
    pub fn skip(&mut self, sequence: u64) {
        self.book.skip(sequence);
    }

    /// Takes an order from the read model that had left memory.
    pub fn admit(&mut self, order: OrderState) {
        self.book.admit(order);
    }

    /// Strategies whose registration is in the book and was not folded here: where it changed last is wanted, by
    /// [`Machine::changed_at`].
    #[must_use]
    pub fn unknown_changes(&self) -> Vec<String> {
        let names = self.book.strategies().map(|state| &state.strategy);
        names.filter(|name| !self.changed.contains_key(*name)).cloned().collect()
    }

    /// Takes where the registration of a strategy changed last.
    pub fn changed_at(&mut self, strategy: &str, changed: Changed) {
        self.changed.insert(strategy.to_owned(), changed);
    }

    /// Whether a strategy is in shadow mode.
    #[must_use]
    pub fn is_shadow(&self, strategy: &str) -> bool {
        self.shadows.holds(strategy)
    }

    /// Strategies in shadow mode of which nothing was folded here: how they came to it and what they have signalled since
    /// is wanted, by [`Machine::recall`].
    #[must_use]
    pub fn unknown_shadows(&self) -> Vec<String> {
        let shadows = self.book.strategies().filter(|state| {
            state.enabled && state.mode == StrategyMode::Shadow && !self.shadows.holds(&state.strategy)
        });
        shadows.map(|state| state.strategy.clone()).collect()
    }

    /// Takes an event of a strategy in shadow mode that the book had folded before it came here.
    pub fn recall(&mut self, recorded: &Recorded) {
        self.shadows.take(recorded);
    }

    /// Takes where on TRADING signals of the last instant stand: a strategy in shadow mode goes by those behind its change
    /// to it.
    pub fn stand<'made>(&mut self, made: impl Iterator<Item = (&'made Event, u64)>) {
        if let Some(market) = self.decided.take() {
            self.shadows.decided(self.hosts.keys(), made, market);
        }
    }

    /// Leaves it to the tape what a strategy in shadow mode asked for in the instant of a MARKET sequence: who follows
    /// another host does not know what that one had read there.
    pub fn undecided(&mut self, strategy: &str, market_sequence: u64) {
        self.shadows.undecided(strategy, market_sequence);
    }

    /// What the registrations folded so far ask for. Every `Start` wants a [`Machine::start`].
    pub fn changes(&mut self) -> Vec<Change> {
        if !std::mem::take(&mut self.stale) {
            return Vec::new();
        }
        let wanted: BTreeMap<&str, Terms> = self
            .book
            .strategies()
            .filter(|state| {
                // One that was stopped and keeps its positions goes on to close them; risk lets it open nothing.
                state.registered && (state.enabled || state.keeps_managing()) && !state.kind.is_empty()
            })
            .map(|state| (state.strategy.as_str(), Terms::of(state)))
            .collect();
        let mut changes: Vec<_> =
            std::mem::take(&mut self.stopped).into_iter().map(Change::Stopped).collect();
        let dropped: BTreeSet<String> = self
            .hosts
            .iter()
            .chain(&self.cold)
            .filter(|(name, host)| wanted.get(name.as_str()) != Some(host.terms()))
            .map(|(name, _)| name.clone())
            .collect();
        for name in dropped {
            self.hosts.remove(&name);
            self.cold.remove(&name);
            changes.push(Change::Stopped(name));
        }
        self.refused.retain(|name, terms| wanted.get(name.as_str()) == Some(terms));
        for (name, terms) in wanted {
            // One that waits for its history was asked for already.
            let known = self.hosts.contains_key(name) || self.cold.contains_key(name);
            if known || self.refused.contains_key(name) {
                continue;
            }
            match Host::new(name, terms.clone()) {
                Ok(host) => {
                    changes.push(Change::Start { strategy: name.to_owned(), wanted: host.wanted() });
                    self.cold.insert(name.to_owned(), host);
                }
                Err(error) => {
                    let (strategy, reason) = (name.to_owned(), error.to_string());
                    changes.push(Change::Refused { strategy, reason });
                    self.refused.insert(name.to_owned(), terms);
                }
            }
        }
        changes
    }

    /// Warms up a strategy that [`Machine::changes`] wanted started, and starts it. `as_of_ns` is the time
    /// of the last instant handled. Answers the event that records it; `None` when it was dropped meanwhile.
    pub fn start(&mut self, strategy: &str, history: History, as_of_ns: i64) -> Option<Outgoing> {
        let mut host = self.cold.remove(strategy)?;
        host.warm_up(&history.into_past(self.calendar, as_of_ns));
        let changed = self.changed.get(strategy).copied();
        // Without a bar it has the time of its registration, not that of a warm-up before it.
        let updated_ns = self.book.strategy(strategy).map_or(as_of_ns, |state| state.updated_ns);
        let asked_ns = changed.map_or(updated_ns, |changed| changed.event_ns);
        let event_ns = host.newest_ns().unwrap_or(asked_ns);
        let warmed = StrategyWarmed {
            strategy: strategy.to_owned(),
            market_sequence: self.market_sequence,
            bars: host.warmed_bars(),
        };
        self.hosts.insert(strategy.to_owned(), host);
        let event = Event {
            id: warm_up_id(strategy, self.market_sequence, changed.map(|changed| changed.sequence)),
            event_time: Some(to_timestamp(event_ns)),
            source: crate::SERVICE.to_owned(),
            basis: basis([self.market_sequence, self.book.sequence()]),
            body: Some(Body::StrategyWarmed(warmed)),
            ..Event::default()
        };
        Some(Outgoing { subject: Subject::of(&["control", "strategy", strategy, "warmed"]), event })
    }

    /// The first account whose mark the instant still waits for; `None` when it may be taken.
    #[must_use]
    pub fn waits_for(&self, instant: &Instant) -> Option<&str> {
        if self.mode == ClockMode::Wall || !instant.framed || !instant.is_live() {
            return None;
        }
        let marked = |account: &&String| {
            let mark = self.book.account(account).and_then(|row| row.mark.as_ref());
            mark.is_some_and(|mark| mark.event_ns >= instant.event_ns)
        };
        self.accounts.iter().find(|account| !marked(account)).map(String::as_str)
    }

    /// Whether the tape clock has moved on since this instant, which therefore was decided in full: the server
    /// may forget acknowledgements when it dies. Decided again it would meet the positions of today.
    fn is_past(&self, instant: &Instant) -> bool {
        let marks = self.accounts.iter().filter_map(|account| self.book.account(account)?.mark.as_ref());
        let mut later = marks.filter(|mark| mark.event_ns > instant.event_ns);
        self.mode == ClockMode::Tape && instant.framed && instant.is_live() && later.next().is_some()
    }

    /// Takes an instant and answers its signals, by strategy and symbol. One that is past warms up only. Where they stand on
    /// the tape, [`Machine::stand`] is told; who follows another host, which may have known of other fills, tells it what
    /// is on record by [`Machine::recall`].
    pub fn step(&mut self, instant: &Instant) -> Vec<Outgoing> {
        let mut signals = std::mem::take(&mut self.of_fills);
        let basis = [instant.last_sequence().max(self.market_sequence), self.book.sequence()];
        let past = self.is_past(instant);
        self.decided = (!past).then_some(basis[0]);
        self.unbound.clear();
        let holdings = Holdings { book: &self.book, shadows: &self.shadows, market: basis[0] };
        for recorded in &instant.events {
            for (name, host) in &mut self.hosts {
                let mut made = take(host, recorded, &holdings, past);
                if past {
                    made.clear();
                }
                if self.book.strategy(name).is_some_and(StrategyState::keeps_managing) {
                    let all = made.clone();
                    self.unbound.extend(outgoing(name, all, &recorded.event, Some(instant.event_ns), basis));
                }
                made = permitted(&self.book, name, made);
                signals.extend(outgoing(name, made, &recorded.event, Some(instant.event_ns), basis));
            }
        }
        self.market_sequence = basis[0];
        // Stable: several signals of one strategy on one symbol keep the order of their causes.
        signals.sort_by(|left, right| order_key(left).cmp(&order_key(right)));
        signals
    }

    /// What strategies that were stopped and keep their positions would have signalled of the last instant, had they been
    /// enabled again before it was taken.
    #[must_use]
    pub fn unbound(&self) -> &[Outgoing] {
        &self.unbound
    }
}

/// The id of the event that records a warm-up with MARKET read through `market_sequence`. A strategy that is dropped and
/// wanted again before MARKET goes on is warmed up twice there: `changed` tells one from the other, the TRADING sequence at
/// which its registration changed last. Tapes of earlier versions have it only where that was folded since the host began.
#[must_use]
pub fn warm_up_id(strategy: &str, market_sequence: u64, changed: Option<u64>) -> String {
    let cause = match changed {
        None => format!("{strategy}@{market_sequence}"),
        Some(changed) => format!("{strategy}@{market_sequence}/{changed}"),
    };
    event_id(&cause, "strategy/warmed", 0)
}

fn take(host: &mut Host, recorded: &Recorded, holdings: &Holdings<'_>, past: bool) -> Vec<Signal> {
    match &recorded.event.body {
        Some(Body::Bar(bar)) => {
            let close_ns = recorded.event.event_time.as_ref().and_then(from_timestamp);
            let closed = close_ns.and_then(|close_ns| Bar::from_wire(bar, close_ns));
            let (Some(closed), Ok(timeframe)) = (closed, bar.timeframe.parse::<Timeframe>()) else {
                return Vec::new();
            };
            host.on_bar(&bar.symbol, timeframe, &closed, is_live(bar.origin()) && !past, holdings)
        }
        Some(Body::CorporateAction(action)) => host.on_action(action, is_live(action.origin())),
        _ => Vec::new(),
    }
}
