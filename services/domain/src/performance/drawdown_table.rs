//! Drawdowns one by one: where each began, how deep it went, when it was made good.

use super::statistics::drawdowns;
use crate::money::Amount;

/// One stay below a maximum; places are indices into the series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drawdown {
    /// The last value at the maximum.
    pub start: usize,
    /// The lowest value.
    pub trough: usize,
    /// The first value back at the maximum; `None` while it lasts.
    pub recovery: Option<usize>,
    /// Where it ended: the recovery, else the last value of the series.
    pub end: usize,
    /// Lowest value over the maximum, minus one: negative.
    pub depth: f64,
}

impl Drawdown {
    /// Periods from the start to the end.
    #[must_use]
    pub fn length(&self) -> usize {
        self.end - self.start
    }
}

/// Every drawdown of `equity`, in order of time; none when the series is empty or starts without equity.
#[must_use]
pub fn drawdown_episodes(equity: &[Amount]) -> Vec<Drawdown> {
    let mut found: Vec<Drawdown> = Vec::new();
    let mut open: Option<Drawdown> = None;
    for (index, depth) in drawdowns(equity).unwrap_or_default().into_iter().enumerate() {
        if depth < 0.0 {
            let start = index.saturating_sub(1);
            let episode =
                open.get_or_insert(Drawdown { start, trough: index, recovery: None, end: index, depth });
            episode.end = index;
            if depth < episode.depth {
                (episode.trough, episode.depth) = (index, depth);
            }
        } else if let Some(episode) = open.take() {
            found.push(Drawdown { recovery: Some(index), end: index, ..episode });
        }
    }
    found.extend(open);
    found
}

/// The `count` deepest drawdowns, the deepest first, the earlier first among equals.
#[must_use]
pub fn deepest_drawdowns(equity: &[Amount], count: usize) -> Vec<Drawdown> {
    let mut found = drawdown_episodes(equity);
    found.sort_by(|left, right| left.depth.total_cmp(&right.depth).then(left.start.cmp(&right.start)));
    found.truncate(count);
    found
}
