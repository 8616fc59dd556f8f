//! Symbols of which nothing was told for too long. Pure.

use std::collections::{BTreeMap, BTreeSet};

/// When each symbol was told of last, and which are stale.
#[derive(Debug, Default)]
pub(super) struct Stale {
    newest_ns: BTreeMap<String, i64>,
    stale: BTreeSet<String>,
}

impl Stale {
    /// Takes a minute that ended at `close_ns`.
    pub(super) fn take(&mut self, symbol: &str, close_ns: i64) {
        match self.newest_ns.get_mut(symbol) {
            Some(newest_ns) if *newest_ns >= close_ns => return,
            Some(newest_ns) => *newest_ns = close_ns,
            None => {
                self.newest_ns.insert(symbol.to_owned(), close_ns);
            }
        }
        self.stale.remove(symbol);
    }

    /// Symbols of which no minute was told for more than `minutes` at `now_ns`, in the session that opened at
    /// `open_ns`, though the source has been heard since `heard_ns`; each once until it is told of again, with the
    /// close of its newest minute. 0 minutes is never.
    pub(super) fn due(
        &mut self,
        symbols: &[String],
        minutes: u32,
        (open_ns, heard_ns): (i64, i64),
        now_ns: i64,
    ) -> Vec<(String, i64)> {
        if minutes == 0 {
            return Vec::new();
        }
        let most_ns = i64::from(minutes) * 60_000_000_000;
        let mut due = Vec::new();
        for symbol in symbols {
            let newest_ns = self.newest_ns.get(symbol).map_or(open_ns, |newest_ns| open_ns.max(*newest_ns));
            if now_ns - newest_ns.max(heard_ns) > most_ns && self.stale.insert(symbol.clone()) {
                due.push((symbol.clone(), newest_ns));
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_is_stale_once_until_it_is_told_of_again() {
        const MINUTE_NS: i64 = 60_000_000_000;
        let mut stale = Stale::default();
        let symbols = ["SPY".to_owned()];
        stale.take("SPY", 11 * MINUTE_NS);
        let mut due = |at: i64| stale.due(&symbols, 5, (0, 0), at * MINUTE_NS).len();
        assert_eq!((due(16), due(17), due(30)), (0, 1, 0));
        stale.take("SPY", 31 * MINUTE_NS);
        assert_eq!(stale.due(&symbols, 5, (0, 0), 40 * MINUTE_NS), [("SPY".to_owned(), 31 * MINUTE_NS)]);
        assert_eq!(Stale::default().due(&symbols, 0, (0, 0), i64::MAX), []);
    }

    #[test]
    fn a_source_heard_since_a_moment_ago_has_no_stale_symbols() {
        const MINUTE_NS: i64 = 60_000_000_000;
        let symbols = ["SPY".to_owned()];
        let due = |at: i64| Stale::default().due(&symbols, 5, (0, 30 * MINUTE_NS), at * MINUTE_NS);
        assert_eq!((due(31), due(35)), (vec![], vec![]));
        assert_eq!(due(36), [("SPY".to_owned(), 0)]);
    }
}
