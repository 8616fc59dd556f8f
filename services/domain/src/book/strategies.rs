//! Strategies as TRADING knows them, and signals that wait for risk.

use contracts::v1::{Event, Parameter, Sizing, StrategyMode};

/// What history a strategy had seen when it began to decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Warmth {
    /// Last MARKET sequence whose bars were folded without deciding.
    pub market_sequence: u64,
    /// Number of bars folded.
    pub bars: u64,
}

/// A strategy as the fold of its controls and signals. Plain data, so that it can be stored as a row.
#[derive(Clone, Debug, PartialEq)]
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
        }
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
#[derive(Clone, Debug, PartialEq)]
pub struct PendingSignal {
    /// Its sequence on TRADING.
    pub sequence: u64,
    /// The signal's event.
    pub event: Event,
}
