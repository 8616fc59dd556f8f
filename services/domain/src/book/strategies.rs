//! Strategies as TRADING knows them, and signals that wait for risk.

use contracts::chain_id::is_foreign;
use contracts::v1::{
    Event, GroupPolicy, Parameter, PositionsFate, Signal, Sizing, StrategyDisabled, StrategyEnabled,
    StrategyMode, StrategyRegistered, StrategyRemoved, StrategyWarmed,
};
use serde::{Deserialize, Serialize};

use super::{Book, Changes};

/// Signals without a decision from which on one that is parked for its id is not kept: it would wait for ever, and every
/// copy of the book holds it.
const PENDING_MANY: usize = 256;

/// What history a strategy had seen when it began to decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warmth {
    /// Last MARKET sequence whose bars were folded without deciding.
    pub market_sequence: u64,
    /// Number of bars folded.
    pub bars: u64,
}

/// How a strategy was stopped, and what becomes of what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopping {
    /// The control event.
    pub event_id: String,
    /// `PositionsFate` as its number on the wire.
    pub fate: i32,
    /// Who takes the positions over; empty for nobody.
    pub hand_over_to: String,
    /// Event time of the stop, UTC nanoseconds.
    pub at_ns: i64,
    /// Whether everything that was asked for is done.
    pub done: bool,
    /// What remains open, in words.
    pub open: String,
}

impl Stopping {
    /// What becomes of the positions.
    #[must_use]
    pub fn positions(&self) -> PositionsFate {
        PositionsFate::try_from(self.fate).unwrap_or(PositionsFate::Unspecified)
    }
}

/// A strategy as the fold of its controls and signals. Plain data, so that it can be stored as a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StrategyState {
    /// Registered name.
    pub strategy: String,
    /// Whether it was registered; a control of an unknown strategy makes a row that may do nothing.
    pub registered: bool,
    /// Built-in kind; empty for an external strategy.
    pub kind: String,
    /// Parameters as text.
    pub parameters: Vec<Parameter>,
    /// Symbols it trades; empty means all.
    pub symbols: Vec<String>,
    /// Timeframe of the bars it reads; empty means all.
    pub timeframe: String,
    /// Subjects of MARKET that an external strategy reads.
    pub subjects: Vec<String>,
    /// Durable consumer of an external strategy; empty for a built-in one.
    pub consumer: String,
    /// How its entries are sized; `None` when not stated, upon which nothing is opened.
    pub sizing: Option<Sizing>,
    /// Account it trades on.
    pub account: String,
    /// Whether its signals take effect.
    pub enabled: bool,
    /// What becomes of its signals while it is enabled.
    pub mode: StrategyMode,
    /// Event time of its last signal, UTC nanoseconds.
    pub last_signal_ns: Option<i64>,
    /// Its last warm-up.
    pub warmed: Option<Warmth>,
    /// Event time of the last change, UTC nanoseconds.
    pub updated_ns: i64,
    /// What becomes of its signals' orders when one of them fails.
    pub group_policy: GroupPolicy,
    /// How it was stopped; none where nothing was said of its positions, and once it is enabled: in shadow mode only when
    /// what was said is done.
    pub stopping: Option<Stopping>,
}

impl StrategyState {
    pub(super) fn new(strategy: &str) -> Self {
        Self {
            strategy: strategy.to_owned(),
            registered: false,
            kind: String::new(),
            parameters: Vec::new(),
            symbols: Vec::new(),
            timeframe: String::new(),
            subjects: Vec::new(),
            consumer: String::new(),
            sizing: None,
            account: String::new(),
            enabled: false,
            mode: StrategyMode::Unspecified,
            last_signal_ns: None,
            warmed: None,
            updated_ns: 0,
            group_policy: GroupPolicy::Unspecified,
            stopping: None,
        }
    }

    /// Whether it was stopped and goes on to manage what it holds: it may close, and open nothing.
    #[must_use]
    pub fn keeps_managing(&self) -> bool {
        let keeps = |stopping: &Stopping| stopping.positions() == PositionsFate::Keep;
        self.registered && !self.enabled && self.stopping.as_ref().is_some_and(keeps)
    }

    /// Whether it runs in a process of its own and reads the tape through a consumer of its own.
    #[must_use]
    pub fn is_external(&self) -> bool {
        !self.consumer.is_empty()
    }

    /// Whether it trades `symbol` and reads bars of `timeframe`.
    #[must_use]
    pub fn reads(&self, symbol: &str, timeframe: &str) -> bool {
        (self.symbols.is_empty() || self.symbols.iter().any(|known| known == symbol))
            && (self.timeframe.is_empty() || self.timeframe == timeframe)
    }
}

/// A signal that risk has not answered yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PendingSignal {
    /// Its sequence on TRADING.
    pub sequence: u64,
    /// The signal's event.
    pub event: Event,
}

impl Book {
    pub(super) fn strategy_row(&self, strategy: &str) -> StrategyState {
        self.strategies.get(strategy).cloned().unwrap_or_else(|| StrategyState::new(strategy))
    }

    pub(super) fn store_strategy(&mut self, mut strategy: StrategyState, event_ns: i64) -> Changes {
        strategy.updated_ns = event_ns;
        let name = strategy.strategy.clone();
        self.strategies.insert(name.clone(), strategy);
        Changes { strategies: vec![name], ..Changes::default() }
    }

    pub(super) fn signalled(
        &mut self,
        signal: &Signal,
        sequence: u64,
        event: &Event,
        event_ns: i64,
    ) -> Changes {
        let mut changes = Changes::default();
        // An operator is no strategy.
        if signal.strategy != contracts::MANUAL {
            let mut strategy = self.strategy_row(&signal.strategy);
            strategy.last_signal_ns = Some(event_ns);
            changes = self.store_strategy(strategy, event_ns);
        }
        // One under another strategy's id is parked, and takes the place of none that will be decided.
        let crowded = self.pending.len() >= PENDING_MANY || self.pending.contains_key(&event.id);
        if !crowded || !is_foreign(event, &signal.strategy) {
            let pending = PendingSignal { sequence, event: event.clone() };
            self.pending.insert(event.id.clone(), pending.into());
        }
        Changes { signals: vec![event.id.clone()], ..changes }
    }

    pub(super) fn registered(&mut self, event: &StrategyRegistered, event_ns: i64) -> Changes {
        let mut strategy = self.strategy_row(&event.strategy);
        strategy.registered = true;
        strategy.kind.clone_from(&event.kind);
        strategy.parameters.clone_from(&event.parameters);
        strategy.symbols.clone_from(&event.symbols);
        strategy.timeframe.clone_from(&event.timeframe);
        strategy.subjects.clone_from(&event.subjects);
        strategy.consumer.clone_from(&event.consumer);
        strategy.sizing = event.sizing;
        strategy.account.clone_from(&event.account);
        strategy.group_policy = event.group_policy();
        self.store_strategy(strategy, event_ns)
    }

    pub(super) fn enabled(&mut self, event: &StrategyEnabled, event_ns: i64) -> Changes {
        let mut strategy = self.strategy_row(&event.strategy);
        strategy.enabled = true;
        strategy.mode = event.mode();
        // In shadow mode it manages nothing: what was said of its positions goes on.
        let goes_on = event.mode() == StrategyMode::Shadow;
        strategy.stopping = strategy.stopping.take().filter(|stop| goes_on && !stop.done);
        self.store_strategy(strategy, event_ns)
    }

    pub(super) fn disabled(&mut self, event: &StrategyDisabled, event_id: &str, event_ns: i64) -> Changes {
        let mut strategy = self.strategy_row(&event.strategy);
        strategy.enabled = false;
        // A stop that says nothing of the positions takes back nothing of what is under way.
        let under_way = strategy.stopping.take().filter(|stop| !stop.done);
        strategy.stopping = stopping(event, event_id, event_ns).or(under_way);
        self.store_strategy(strategy, event_ns)
    }

    pub(super) fn removed(&mut self, event: &StrategyRemoved, event_ns: i64) -> Changes {
        let mut strategy = self.strategy_row(&event.strategy);
        (strategy.registered, strategy.enabled) = (false, false);
        // Registered again under its name, it has to be enabled again.
        strategy.mode = StrategyMode::Unspecified;
        self.store_strategy(strategy, event_ns)
    }

    pub(super) fn warmed(&mut self, event: &StrategyWarmed, event_ns: i64) -> Changes {
        let mut strategy = self.strategy_row(&event.strategy);
        let (market_sequence, bars) = (event.market_sequence, event.bars);
        strategy.warmed = Some(Warmth { market_sequence, bars });
        self.store_strategy(strategy, event_ns)
    }
}

/// How a strategy was stopped, where the event says what becomes of its positions.
fn stopping(event: &StrategyDisabled, event_id: &str, at_ns: i64) -> Option<Stopping> {
    let fate = event.positions();
    (fate != PositionsFate::Unspecified).then(|| Stopping {
        event_id: event_id.to_owned(),
        fate: fate.into(),
        hand_over_to: event.hand_over_to.clone(),
        at_ns,
        done: fate == PositionsFate::Keep,
        open: String::new(),
    })
}
