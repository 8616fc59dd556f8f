//! Strategies: pure state machines from bars, fills and corporate actions to wishes, which become signals.
//!
//! A strategy never sees the clock, the account or other strategies. Its own position arrives with each
//! bar, as the host counts it from fills. Its memory is finite: fed its last [`Strategy::warm_up_bars`]
//! bars per symbol and timeframe, with the corporate actions between them, it behaves from the next bar
//! on exactly as if it had seen all history.
//!
//! Prices are raw; a split restates what a strategy remembers ([`Strategy::on_action`]), dividends do not.
//!
//! Deliberately absent: sizes (risk's), ids of signals (the host's), news and timers (the place of each is a
//! further method of [`Strategy`], with the host that calls it).

mod bollinger_reversion;
mod buy_and_hold;
mod catalogue;
mod cross;
mod donchian_breakout;
mod ema_cross;
mod mean_reversion;
mod momentum;
mod pairs;
mod parameters;
mod period;
mod rebalance;
mod regime_switch;
mod sma_cross;
mod wish;

use std::collections::BTreeMap;
use std::fmt;

use contracts::v1::{CorporateAction, Fill};

pub use catalogue::{Kind, build, kinds, known_kinds, named_symbols, position_cap_e9, resolve};
pub use momentum::Momentum;
pub use parameters::{ParameterError, ParameterSpec, ValueSpec};
pub use sma_cross::SmaCross;
pub use wish::{Terms, Wish, WishLeg};

use crate::bar::{Bar, Timeframe};
use crate::corporate_action::SplitRatio;
use crate::indicator::Indicator;
use crate::money::Quantity;

/// One closed bar as a strategy sees it.
#[derive(Clone, Copy, Debug)]
pub struct BarInput<'host> {
    /// The host's number for this symbol and timeframe, from [`Slots`].
    pub slot: usize,
    /// Symbol.
    pub symbol: &'host str,
    /// Timeframe.
    pub timeframe: Timeframe,
    /// The bar.
    pub bar: &'host Bar,
    /// Shares of the symbol that this strategy holds, after every fill known at the bar's close.
    pub position: Quantity,
}

/// A pure state machine from market events to wishes, which it adds to its host's buffer.
pub trait Strategy: fmt::Debug + Send + Sync {
    /// Its kind, for example `sma_cross`.
    fn kind(&self) -> &'static str;

    /// Bars per symbol and timeframe after which it has forgotten everything before them.
    fn warm_up_bars(&self) -> usize;

    /// Takes a closed bar. Allocates nothing once it knows the bar's slot.
    fn on_bar(&mut self, input: &BarInput<'_>, wishes: &mut Vec<Wish>);

    /// Takes a bar of the warm-up: like [`Strategy::on_bar`], without an answer.
    fn warm(&mut self, input: &BarInput<'_>) {
        self.on_bar(input, &mut Vec::new());
    }

    /// Takes closes of bars that are known ahead, as [`Strategy::on_bar`] would, up to the first bar at which it
    /// could wish for something, whatever were held; says how many it took. An engine that has all bars of a
    /// slot need not offer the quiet ones one by one. There is no corporate action among them. Only for a strategy
    /// whose wishes follow from bars, corporate actions and the position held.
    fn take_quiet(&mut self, _slot: usize, _closes: &[i64]) -> usize {
        0
    }

    /// Whether [`Strategy::on_fill`] does anything, so that an engine need not put fills into words for nothing.
    fn hears_fills(&self) -> bool {
        true
    }

    /// Takes one of its own fills, before the bars of the same instant.
    fn on_fill(&mut self, _fill: &Fill, _wishes: &mut Vec<Wish>) {}

    /// Takes a corporate action for one slot of its symbol, before the first bar of its ex-date.
    fn on_action(&mut self, _slot: usize, _action: &CorporateAction, _wishes: &mut Vec<Wish>) {}
}

/// The host's numbering of symbols and timeframes, so that a strategy finds its window by an index.
#[derive(Clone, Debug, Default)]
pub struct Slots {
    of_symbol: BTreeMap<String, Vec<(Timeframe, usize)>>,
    symbols: Vec<String>,
}

impl Slots {
    /// The slot of a symbol and timeframe; a new one when it was never asked for.
    pub fn slot(&mut self, symbol: &str, timeframe: Timeframe) -> usize {
        let known = self
            .of_symbol
            .get(symbol)
            .and_then(|slots| slots.iter().find_map(|(known, slot)| (*known == timeframe).then_some(*slot)));
        known.unwrap_or_else(|| {
            let slot = self.symbols.len();
            self.symbols.push(symbol.to_owned());
            self.of_symbol.entry(symbol.to_owned()).or_default().push((timeframe, slot));
            slot
        })
    }

    /// Every slot of a symbol, for a corporate action.
    pub fn of_symbol(&self, symbol: &str) -> impl Iterator<Item = usize> + '_ {
        self.of_symbol.get(symbol).into_iter().flatten().map(|(_, slot)| *slot)
    }

    /// The symbol of a slot; empty for one that was never given out.
    #[must_use]
    pub fn symbol(&self, slot: usize) -> &str {
        self.symbols.get(slot).map_or("", String::as_str)
    }

    /// Number of slots.
    #[must_use]
    pub fn len(&self) -> usize {
        self.symbols.len()
    }

    /// Whether no slot was asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.symbols.is_empty()
    }
}

/// The state of slot `slot`, made on first use.
fn slot_state<State>(slots: &mut Vec<Option<State>>, slot: usize, new: impl FnOnce() -> State) -> &mut State {
    if slot >= slots.len() {
        slots.resize_with(slot + 1, || None);
    }
    slots[slot].get_or_insert_with(new)
}

/// Bars after which a recursive indicator has forgotten what was before them, and one more, by which an edge is
/// told. An indicator calls itself settled when 1e-12 of the past is left. Two and a half times as many bars leave
/// less than 1e-28, so that one that ran for years and one that was just warmed up have met at the same float.
fn settled(indicator: &impl Indicator) -> usize {
    let first = indicator.warm_up();
    let settled = indicator.settled().unwrap_or(first);
    first + settled.saturating_sub(first) * 5 / 2 + 1
}

/// The ratio of an action that is a readable split; other actions do not touch what is remembered.
fn split_ratio(action: &CorporateAction) -> Option<SplitRatio> {
    crate::corporate_action::CorporateAction::from_wire(action).ok()?.split()
}
