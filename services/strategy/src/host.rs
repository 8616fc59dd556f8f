//! One running strategy: its state machine, its slots and what of the market it has seen.
//!
//! A bar at or before the newest one of its slot changes nothing: it is history that came late and waits
//! for the next warm-up. Only live and rehearsed bars can signal; newer history warms up.

use std::collections::BTreeSet;

use contracts::v1::{ActionKind, CorporateAction, Fill, Parameter, Signal};
use domain::bar::{Bar, Timeframe, UnknownTimeframe};
use domain::book::StrategyState;
use domain::money::Quantity;
use domain::strategy::{self, BarInput, ParameterError, Slots, Strategy, Wish};

use crate::history::Past;
use crate::read_model::Wanted;
use crate::shadow::Holdings;

/// What a host is built from; another one means another host.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    kind: String,
    parameters: Vec<Parameter>,
    symbols: Vec<String>,
    timeframe: String,
    account: String,
}

impl Terms {
    /// The terms of a registered strategy.
    #[must_use]
    pub fn of(state: &StrategyState) -> Self {
        Self {
            kind: state.kind.clone(),
            parameters: state.parameters.clone(),
            symbols: state.symbols.clone(),
            timeframe: state.timeframe.clone(),
            account: state.account.clone(),
        }
    }

    fn reads(&self, symbol: &str, timeframe: Timeframe) -> bool {
        self.reads_symbol(symbol) && (self.timeframe.is_empty() || self.timeframe == timeframe.name())
    }

    fn reads_symbol(&self, symbol: &str) -> bool {
        self.symbols.is_empty() || self.symbols.iter().any(|known| known == symbol)
    }
}

/// A strategy that cannot be built from its registration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unbuildable {
    /// Its kind or parameters are wrong.
    #[error(transparent)]
    Parameters(#[from] ParameterError),
    /// Its timeframe is none.
    #[error(transparent)]
    Timeframe(#[from] UnknownTimeframe),
}

/// A running strategy.
#[derive(Debug)]
pub struct Host {
    name: String,
    terms: Terms,
    strategy: Box<dyn Strategy>,
    slots: Slots,
    /// Close of the newest bar, by slot.
    newest: Vec<i64>,
    /// Splits taken, by symbol and ex-date: an imported copy of one must not restate twice.
    splits: BTreeSet<(String, String)>,
    /// Bars taken without deciding.
    warmed_bars: u64,
    /// Wishes of one event, kept so that a bar without any allocates nothing.
    wishes: Vec<Wish>,
}

impl Host {
    /// Builds the strategy `name`; it knows nothing yet.
    pub fn new(name: &str, terms: Terms) -> Result<Self, Unbuildable> {
        if !terms.timeframe.is_empty() {
            terms.timeframe.parse::<Timeframe>()?;
        }
        Ok(Self {
            name: name.to_owned(),
            strategy: strategy::build(&terms.kind, &terms.parameters)?,
            terms,
            slots: Slots::default(),
            newest: Vec::new(),
            splits: BTreeSet::new(),
            warmed_bars: 0,
            wishes: Vec::new(),
        })
    }

    /// What it is built from.
    #[must_use]
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// The history it wants for its warm-up.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        Wanted {
            symbols: self.terms.symbols.clone(),
            timeframe: self.terms.timeframe.parse().ok(),
            bars: self.strategy.warm_up_bars(),
        }
    }

    /// Number of bars taken without deciding.
    #[must_use]
    pub fn warmed_bars(&self) -> u64 {
        self.warmed_bars
    }

    /// Close of the newest bar taken.
    #[must_use]
    pub fn newest_ns(&self) -> Option<i64> {
        self.newest.iter().copied().max()
    }

    /// Takes the past, oldest first.
    pub fn warm_up(&mut self, past: &[Past]) {
        for past in past {
            match past {
                Past::Bar(past) => {
                    self.bar(&past.symbol, past.timeframe, &past.bar, false, Quantity::ZERO);
                }
                Past::Split(action) => drop(self.action(action)),
            }
        }
    }

    /// Takes a closed bar; `live` bars may signal.
    pub fn on_bar(
        &mut self,
        symbol: &str,
        timeframe: Timeframe,
        bar: &Bar,
        live: bool,
        holdings: &Holdings<'_>,
    ) -> Vec<Signal> {
        let position = holdings.told(&self.terms.account, &self.name, symbol);
        self.bar(symbol, timeframe, bar, live, position)
    }

    /// Takes one of its own fills.
    pub fn on_fill(&mut self, fill: &Fill) -> Vec<Signal> {
        if fill.account != self.terms.account {
            return Vec::new();
        }
        self.strategy.on_fill(fill, &mut self.wishes);
        self.signals()
    }

    /// Takes a corporate action of the present; an imported one is history and waits for a warm-up.
    pub fn on_action(&mut self, action: &CorporateAction, live: bool) -> Vec<Signal> {
        if live { self.action(action) } else { Vec::new() }
    }

    fn bar(
        &mut self,
        symbol: &str,
        timeframe: Timeframe,
        bar: &Bar,
        live: bool,
        position: Quantity,
    ) -> Vec<Signal> {
        if !self.terms.reads(symbol, timeframe) {
            return Vec::new();
        }
        let slot = self.slots.slot(symbol, timeframe);
        if slot >= self.newest.len() {
            self.newest.resize(slot + 1, i64::MIN);
        }
        if bar.close_ns <= self.newest[slot] {
            return Vec::new();
        }
        self.newest[slot] = bar.close_ns;
        let input = BarInput { slot, symbol, timeframe, bar, position };
        if live {
            self.strategy.on_bar(&input, &mut self.wishes);
            return self.signals();
        }
        self.warmed_bars += 1;
        self.strategy.warm(&input);
        Vec::new()
    }

    fn action(&mut self, action: &CorporateAction) -> Vec<Signal> {
        if !self.terms.reads_symbol(&action.symbol) {
            return Vec::new();
        }
        let split = action.kind() == ActionKind::Split;
        if split && !self.splits.insert((action.symbol.clone(), action.ex_date.clone())) {
            return Vec::new();
        }
        for slot in self.slots.of_symbol(&action.symbol) {
            self.strategy.on_action(slot, action, &mut self.wishes);
        }
        self.signals()
    }

    /// The signals of the wishes there are.
    fn signals(&mut self) -> Vec<Signal> {
        let (name, slots) = (&self.name, &self.slots);
        self.wishes.drain(..).map(|wish| wish.to_signal(name, |slot| slots.symbol(slot))).collect()
    }
}
