//! What a measurement goes on from: the peaks of the one before it, and whose peaks begin anew.
//!
//! The result of a strategy moves without a gain or a loss of its own where a position changes hands or shares are found at
//! a broker, that of a sector where a symbol's profile names another one. From there the peaks of those concerned begin
//! anew, and all of them where the account's own does: with the reset of its drawdown.
//!
//! Deliberately absent: where the last measurement is read (the risk service's).

use std::collections::{BTreeMap, BTreeSet};

use contracts::v1::event::Body;
use contracts::v1::{BreakerKind, BreakerReset, EntryKind, RiskGroup, RiskMeasured};

use super::{Sectors, sector_of};
use crate::money::Amount;

/// The last measurement of an account, and what happened since.
#[derive(Clone, Debug, Default)]
pub struct Before {
    last: Option<RiskMeasured>,
    all: bool,
    strategies: BTreeSet<String>,
    symbols: BTreeSet<String>,
}

impl Before {
    /// Right behind a measurement.
    #[must_use]
    pub fn of(last: RiskMeasured) -> Self {
        Self { last: Some(last), ..Self::default() }
    }

    /// The account in which `body` lets peaks begin anew.
    #[must_use]
    pub fn account_of(body: &Body) -> Option<&str> {
        match body {
            Body::BreakerReset(reset) if is_of_drawdown(reset) => Some(&reset.account),
            Body::PositionTransferred(moved) => Some(&moved.account),
            Body::AccountEntry(entry) if entry.kind() == EntryKind::External => Some(&entry.account),
            _ => None,
        }
    }

    /// Takes an event of the account since the last measurement.
    pub fn take(&mut self, body: &Body) {
        match body {
            Body::BreakerReset(reset) if is_of_drawdown(reset) => self.all = true,
            Body::PositionTransferred(moved) => {
                self.strategies.extend([moved.from_strategy.clone(), moved.to_strategy.clone()]);
            }
            Body::AccountEntry(entry) if entry.kind() == EntryKind::External => {
                self.strategies.insert(entry.strategy.clone());
                self.symbols.insert(entry.symbol.clone());
            }
            _ => {}
        }
    }

    /// The peaks of strategies.
    pub(super) fn strategies(&self) -> Peaks<'_> {
        let known = peaks(self.last.iter().flat_map(|last| &last.strategies));
        let anew = self.strategies.iter().map(String::as_str).collect();
        Peaks { known, anew, all: self.all }
    }

    /// The peaks of sectors, as profiles name them now.
    pub(super) fn sectors<'of>(&'of self, sectors: &'of Sectors) -> Peaks<'of> {
        let known = peaks(self.last.iter().flat_map(|last| &last.sectors));
        let mut anew: BTreeSet<&str> = self.symbols.iter().map(|symbol| sector_of(sectors, symbol)).collect();
        for symbol in self.last.iter().flat_map(|last| &last.symbols) {
            let now = sector_of(sectors, &symbol.name);
            if !symbol.sector.is_empty() && symbol.sector != now {
                anew.extend([symbol.sector.as_str(), now]);
            }
        }
        Peaks { known, anew, all: self.all }
    }
}

/// Whether the account's peak begins anew. A drawdown is of an account, never of a strategy.
fn is_of_drawdown(reset: &BreakerReset) -> bool {
    reset.strategy.is_empty() && matches!(reset.kind(), BreakerKind::Drawdown | BreakerKind::Unspecified)
}

/// Of an event of before results were measured there is none.
fn peaks<'of>(lines: impl Iterator<Item = &'of RiskGroup>) -> BTreeMap<&'of str, Amount> {
    let stated = |line: &'of RiskGroup| {
        let peak = line.peak_pnl.as_ref()?;
        Some((line.name.as_str(), Amount::from_wire(Some(peak))))
    };
    lines.filter_map(stated).collect()
}

/// Highest results so far, by name.
pub(super) struct Peaks<'of> {
    known: BTreeMap<&'of str, Amount>,
    anew: BTreeSet<&'of str>,
    all: bool,
}

impl Peaks<'_> {
    /// The peak of one whose result is `result` now. Everything began with a result of 0.
    pub fn of(&self, name: &str, result: Amount) -> Amount {
        if self.all || self.anew.contains(name) {
            return result;
        }
        self.known.get(name).copied().unwrap_or_default().max(result)
    }
}
