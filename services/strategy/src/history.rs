//! What a strategy is warmed up with: bars and splits of the past, in the order in which they happened.
//!
//! The read models give most of it; what they have not reached yet is folded from the tape, so a warm-up
//! never waits for a projection and works without one. Deliberately absent: revisions of bars that the
//! read model has not folded; like a bar imported late they take effect at the next warm-up.

use std::collections::{BTreeMap, BTreeSet};

use contracts::v1::event::Body;
use contracts::v1::{ActionKind, CorporateAction};
use domain::bar::{Bar, Timeframe};
use domain::calendar::Calendar;
use event_log::Recorded;

use crate::read_model::{PastAction, PastBar, Wanted};

/// One thing of the past.
#[derive(Clone, Debug, PartialEq)]
pub enum Past {
    /// A bar.
    Bar(PastBar),
    /// A split, which came after every bar before it and before every bar after it.
    Split(CorporateAction),
}

/// Collects the past of the symbols and timeframes wanted, in any order, at most so many bars of each.
#[derive(Debug)]
pub struct History {
    wanted: Wanted,
    bars: BTreeMap<(String, Timeframe), BTreeMap<i64, Bar>>,
    splits: BTreeSet<(String, String, i64)>,
    actions: Vec<CorporateAction>,
    newest_ns: i64,
}

impl History {
    /// An empty history.
    #[must_use]
    pub fn new(wanted: Wanted) -> Self {
        Self {
            wanted,
            bars: BTreeMap::new(),
            splits: BTreeSet::new(),
            actions: Vec::new(),
            newest_ns: i64::MIN,
        }
    }

    /// Takes a bar; one of the same close replaces the one before.
    pub fn bar(&mut self, past: PastBar) {
        if !self.wants(&past.symbol, past.timeframe) || self.wanted.bars == 0 {
            return;
        }
        self.newest_ns = self.newest_ns.max(past.bar.close_ns);
        let bars = self.bars.entry((past.symbol, past.timeframe)).or_default();
        bars.insert(past.bar.close_ns, past.bar);
        if bars.len() > self.wanted.bars {
            bars.pop_first();
        }
    }

    /// Takes an action; only splits matter, and the same one counts once however it came onto the tape.
    pub fn action(&mut self, past: PastAction) {
        let action = past.action;
        let key = (action.symbol.clone(), action.ex_date.clone(), action.value_e9);
        if action.kind() == ActionKind::Split && self.splits.insert(key) {
            self.actions.push(action);
        }
    }

    /// Takes whatever is a bar or an action of an event of MARKET.
    pub fn event(&mut self, recorded: &Recorded) {
        let event_ns = recorded.event.event_time.as_ref().and_then(contracts::from_timestamp);
        match (&recorded.event.body, event_ns) {
            (Some(Body::Bar(bar)), Some(close_ns)) => {
                let timeframe = bar.timeframe.parse::<Timeframe>().ok();
                if let (Some(timeframe), Some(past)) = (timeframe, Bar::from_wire(bar, close_ns)) {
                    self.bar(PastBar { symbol: bar.symbol.clone(), timeframe, bar: past });
                }
            }
            (Some(Body::CorporateAction(action)), _) => {
                self.action(PastAction { sequence: recorded.sequence, action: action.clone() });
            }
            _ => {}
        }
    }

    /// The bars and splits in order, as of `as_of_ns` or the newest bar, whichever is later.
    ///
    /// A split whose ex-date has not begun by then is not known yet. It stands behind the last bar that
    /// closed before its ex-date begins in exchange time.
    #[must_use]
    pub fn into_past(self, calendar: &Calendar, as_of_ns: i64) -> Vec<Past> {
        let as_of_ns = as_of_ns.max(self.newest_ns);
        let mut past: Vec<((i64, u8), Past)> = Vec::new();
        for ((symbol, timeframe), bars) in self.bars {
            past.extend(bars.into_iter().map(|(close_ns, bar)| {
                ((close_ns, 0), Past::Bar(PastBar { symbol: symbol.clone(), timeframe, bar }))
            }));
        }
        for action in self.actions {
            let Ok(ex_date) = action.ex_date.parse() else { continue };
            let effective_ns = calendar.start_of(ex_date);
            if effective_ns <= as_of_ns {
                past.push(((effective_ns, 1), Past::Split(action)));
            }
        }
        past.sort_by_key(|(key, _)| *key);
        past.into_iter().map(|(_, past)| past).collect()
    }

    fn wants(&self, symbol: &str, timeframe: Timeframe) -> bool {
        (self.wanted.symbols.is_empty() || self.wanted.symbols.iter().any(|wanted| wanted == symbol))
            && self.wanted.timeframe.is_none_or(|wanted| wanted == timeframe)
    }
}
