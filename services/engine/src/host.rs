//! One running strategy: its state machine, the series that it reads and what it holds of them.

use contracts::v1;
use contracts::v1::Origin;
use domain::bar::Bar;
use domain::corporate_action::Effect;
use domain::money::Quantity;
use domain::series::{BarSeries, DatedAction, MarketData};
use domain::strategy::{BarInput, Slots, Strategy, Wish, build};

use crate::config::{ConfigError, StrategyConfig};
use crate::walk::Rows;

/// A running strategy.
#[derive(Debug)]
pub(crate) struct Host {
    pub name: String,
    /// Who makes its signals, as ids are made.
    pub handler: String,
    strategy: Box<dyn Strategy>,
    slots: Slots,
    /// Whether it reads a series.
    reads: Vec<bool>,
    /// Slot of a series, once a bar of it came.
    slot_of: Vec<Option<usize>>,
    /// Shares held, by series; the same number in every timeframe of a symbol.
    held: Vec<Quantity>,
    /// The bar that it sees next, by series, where it sees all of them late; empty where it is on time.
    waiting: Vec<Option<Bar>>,
}

impl Host {
    pub fn new(config: &StrategyConfig, data: &MarketData) -> Result<Self, ConfigError> {
        let failed = |source| ConfigError::Strategy { name: config.name.clone(), source };
        let reads = |series: &BarSeries| {
            let symbol = config.symbols.is_empty() || config.symbols.iter().any(|s| **s == *series.symbol);
            symbol && config.timeframe.is_none_or(|timeframe| timeframe == series.timeframe)
        };
        Ok(Self {
            name: config.name.clone(),
            handler: contracts::chain_id::strategy_handler(&config.name),
            strategy: build(&config.kind, &config.parameters).map_err(failed)?,
            slots: Slots::default(),
            reads: data.series.iter().map(reads).collect(),
            slot_of: vec![None; data.series.len()],
            held: vec![Quantity::ZERO; data.series.len()],
            waiting: Vec::new(),
        })
    }

    /// The same, seeing every bar one bar of its series late.
    pub fn late(self) -> Self {
        Self { waiting: vec![None; self.reads.len()], ..self }
    }

    /// Bars per series that it wants before it decides.
    pub fn warm_up_bars(&self) -> usize {
        self.strategy.warm_up_bars()
    }

    /// Notes what it holds of a symbol.
    pub fn hold(&mut self, data: &MarketData, symbol: &str, quantity: Quantity) {
        for (series, held) in data.series.iter().zip(&mut self.held) {
            if *series.symbol == *symbol {
                *held = quantity;
            }
        }
    }

    /// Notes what it holds of the symbol of a series.
    pub fn hold_at(&mut self, series: usize, quantity: Quantity) {
        self.held[series] = quantity;
    }

    /// Whether a slot is that of a series.
    pub fn reads_as(&self, series: usize, slot: usize) -> bool {
        self.slot_of[series] == Some(slot)
    }

    /// The symbol of a slot.
    pub fn symbol(&self, slot: usize) -> &str {
        self.slots.symbol(slot)
    }

    /// Takes a closed bar; what it wishes is added to `wishes`. A bar that only warms up answers nothing.
    pub fn on_bar(
        &mut self,
        index: usize,
        series: &BarSeries,
        bar: &Bar,
        live: bool,
        wishes: &mut Vec<Wish>,
    ) {
        if !self.reads[index] {
            return;
        }
        let earlier = self.waiting.get_mut(index).map(|waiting| waiting.replace(*bar));
        let bar = match &earlier {
            None => bar,
            Some(Some(earlier)) => earlier,
            Some(None) => return,
        };
        let slots = &mut self.slots;
        let slot = *self.slot_of[index].get_or_insert_with(|| slots.slot(&series.symbol, series.timeframe));
        let input = BarInput {
            slot,
            symbol: &series.symbol,
            timeframe: series.timeframe,
            bar,
            position: self.held[index],
        };
        if live { self.strategy.on_bar(&input, wishes) } else { self.strategy.warm(&input) }
    }

    /// Whether it wants to be told of its fills.
    pub fn hears_fills(&self) -> bool {
        self.strategy.hears_fills()
    }

    /// Whether it reads a series.
    pub fn reads(&self, index: usize) -> bool {
        self.reads[index]
    }

    /// Takes bars of a series ahead, up to the first at which it could wish for something; it was shown the bar of
    /// `row` last, and `end` is the first that may not be shown ahead. Answers the row that it is to be shown next.
    pub fn take_quiet(&mut self, index: usize, rows: &Rows<'_>, row: usize, end: usize) -> usize {
        let Some(slot) = self.slot_of[index] else { return row + 1 };
        // One that sees all bars late has the bar of `row` still before it.
        let late = !self.waiting.is_empty();
        let ahead = if late { row..end - 1 } else { row + 1..end };
        let next = row + 1 + self.strategy.take_quiet(slot, rows.close.get(ahead).unwrap_or_default());
        if late {
            self.waiting[index] = Some(rows.bar(next - 1));
        }
        next
    }

    /// Takes one of its own fills.
    pub fn on_fill(&mut self, fill: &v1::Fill, wishes: &mut Vec<Wish>) {
        self.strategy.on_fill(fill, wishes);
    }

    /// Takes a corporate action.
    pub fn on_action(&mut self, action: &DatedAction, wishes: &mut Vec<Wish>) {
        let wire = wire(action);
        for slot in self.slots.of_symbol(&action.symbol).collect::<Vec<_>>() {
            self.strategy.on_action(slot, &wire, wishes);
        }
    }

    /// The body of the signal of a wish.
    pub fn signal(&self, wish: &Wish) -> v1::Signal {
        wish.to_signal(&self.name, |slot| self.slots.symbol(slot))
    }
}

fn wire(dated: &DatedAction) -> v1::CorporateAction {
    let (kind, value_e9) = match dated.action.effect {
        Effect::Split(ratio) => (v1::ActionKind::Split, ratio.to_e9().unwrap_or_default()),
        Effect::Dividend(per_share) => (v1::ActionKind::Dividend, per_share.0),
    };
    v1::CorporateAction {
        symbol: dated.symbol.to_string(),
        ex_date: dated.action.ex_date.to_string(),
        kind: kind.into(),
        value_e9,
        origin: Origin::Rehearsal.into(),
    }
}
