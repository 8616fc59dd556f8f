//! Strategies as TRADING knows them, and signals that wait for risk.

use contracts::v1::{Event, GroupPolicy, Parameter, PositionsFate, Sizing, StrategyMode};
use serde::{Deserialize, Serialize};

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
