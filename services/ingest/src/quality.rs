//! What looks wrong with minutes, as findings; nothing is altered because of them.
//!
//! | Rule | Says |
//! |---|---|
//! | `inconsistent_bar` | no bar: a price that is none, high below low, a negative volume; it is left out |
//! | `from_the_future` | a minute that has not ended; it is left out |
//! | `zero_volume` | a minute in which nothing was traded |
//! | `outlier` | a move of more standard deviations of its minutes' moves than the threshold |
//! | `split_shaped` | a jump by a simple ratio, as a split makes it, and no split on the tape |
//! | `changed_without_update` | other values for a minute, without a word that they are a correction |
//! | `missing_bar` | a minute that the vendor's history has and its stream did not tell |
//! | `stale_symbol` | no minute of a symbol for too long while the market is open |
//! | `halt`, `resumption` | the vendor's word that trading stopped, or goes on |
//!
//! Pure. A finding's id follows from its bar and rule, so that it is made once.

use std::collections::{BTreeMap, BTreeSet};

use domain::bar::Bar;

/// Moves that are looked back on.
const MOVES_MAX: f64 = 120.0;
/// Fewest moves that say anything of the next.
const MOVES_MIN: u32 = 30;
/// New shares for old ones that splits usually are.
const RATIOS: [f64; 11] = [2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 15.0, 20.0, 1.5];
/// How near a jump has to be to a ratio.
const RATIO_WITHIN: f64 = 0.02;

/// Thresholds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// Standard deviations beyond which a move is an outlier; 0 for none.
    pub outlier_deviations: f64,
    /// Whether jumps are looked at for the shape of a split.
    pub split_shaped: bool,
    /// Minutes without a bar after which a symbol is stale; 0 for never.
    pub stale_minutes: u32,
}

impl Default for Rules {
    fn default() -> Self {
        Self { outlier_deviations: 10.0, split_shaped: true, stale_minutes: 15 }
    }
}

/// Something that looks wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) rule: &'static str,
    pub(super) detail: String,
}

/// What a symbol did of late.
#[derive(Clone, Copy, Debug)]
struct Past {
    close: f64,
    close_ns: i64,
    moves: u32,
    /// Mean square of the moves, the older the less.
    variance: f64,
}

/// What symbols did of late.
#[derive(Debug)]
pub(super) struct Quality {
    rules: Rules,
    past: BTreeMap<String, Past>,
    stale: BTreeSet<String>,
}

impl Quality {
    pub(super) fn new(rules: Rules) -> Self {
        Self { rules, past: BTreeMap::new(), stale: BTreeSet::new() }
    }

    /// Takes a minute in the order of time; an older one than the newest is not looked at. `split` says that a split
    /// stands between it and the one before.
    pub(super) fn take(&mut self, symbol: &str, bar: &Bar) -> Vec<Found> {
        let mut found = Vec::new();
        if bar.volume.0 == 0 {
            found.push(Found { rule: "zero_volume", detail: "volume 0, expected more in a bar".to_owned() });
        }
        let close = price(bar.close.0);
        let Some(past) = self.past.get_mut(symbol) else {
            let past = Past { close, close_ns: bar.close_ns, moves: 0, variance: 0.0 };
            self.past.insert(symbol.to_owned(), past);
            return found;
        };
        if bar.close_ns <= past.close_ns {
            return found;
        }
        self.stale.remove(symbol);
        let ratio = past.close / price(bar.open.0);
        let jump = self.rules.split_shaped.then(|| split_shape(ratio)).flatten();
        let step = (close / past.close).ln();
        let deviation = past.variance.sqrt();
        if let Some(shape) = &jump {
            let detail = format!("open {} after a close of {}: looks like {shape}", bar.open, past.close);
            found.push(Found { rule: "split_shaped", detail });
        } else if self.rules.outlier_deviations > 0.0
            && past.moves >= MOVES_MIN
            && deviation > 0.0
            && step.abs() > self.rules.outlier_deviations * deviation
        {
            let detail = format!(
                "close {} after {}: a move of {:.1} standard deviations, expected at most {}",
                bar.close,
                past.close,
                step.abs() / deviation,
                self.rules.outlier_deviations
            );
            found.push(Found { rule: "outlier", detail });
        }
        let weight = 1.0 / f64::from(past.moves + 1).min(MOVES_MAX);
        // What looks like a split says nothing of how a symbol moves.
        if jump.is_none() {
            past.variance += weight * (step * step - past.variance);
            past.moves += 1;
        }
        (past.close, past.close_ns) = (close, bar.close_ns);
        found
    }

    /// Symbols that have gone stale by `now_ns` in the session that opened at `open_ns`, each once until it is told
    /// of again, with the close of their newest bar.
    pub(super) fn stale(&mut self, symbols: &[String], open_ns: i64, now_ns: i64) -> Vec<(String, i64)> {
        if self.rules.stale_minutes == 0 {
            return Vec::new();
        }
        let most_ns = i64::from(self.rules.stale_minutes) * 60_000_000_000;
        let mut stale = Vec::new();
        for symbol in symbols {
            let newest_ns = self.past.get(symbol).map_or(open_ns, |past| past.close_ns.max(open_ns));
            if now_ns - newest_ns > most_ns && self.stale.insert(symbol.clone()) {
                stale.push((symbol.clone(), newest_ns));
            }
        }
        stale
    }

    /// Minutes without a bar after which a symbol is stale.
    pub(super) fn stale_minutes(&self) -> u32 {
        self.rules.stale_minutes
    }
}

/// The split that a jump looks like, in words.
fn split_shape(ratio: f64) -> Option<String> {
    let near = |ratio: f64, of: f64| (ratio / of - 1.0).abs() < RATIO_WITHIN;
    let forward = RATIOS.iter().find(|of| near(ratio, **of)).map(|of| format!("{of} new shares for 1"));
    forward.or_else(|| {
        RATIOS.iter().find(|of| near(1.0 / ratio, **of)).map(|of| format!("1 new share for {of}"))
    })
}

fn price(e9: i64) -> f64 {
    e9 as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use domain::money::{Price, Volume};

    use super::*;

    const MINUTE_NS: i64 = 60_000_000_000;

    fn bar(at: i64, open: f64, close: f64) -> Bar {
        let price = |value: f64| format!("{value:.6}").parse::<Price>().unwrap();
        let start_ns = at * MINUTE_NS;
        Bar {
            start_ns,
            close_ns: start_ns + MINUTE_NS,
            open: price(open),
            high: price(open.max(close)),
            low: price(open.min(close)),
            close: price(close),
            volume: Volume(1_000),
        }
    }

    fn rules(found: &[Found]) -> Vec<&str> {
        found.iter().map(|found| found.rule).collect()
    }

    #[test]
    fn a_move_beyond_what_a_symbol_does_is_an_outlier_and_a_simple_ratio_a_split() {
        let mut quality = Quality::new(Rules::default());
        for at in 0..60 {
            let close = 100.0 + f64::from(u8::try_from(at % 2).unwrap()) * 0.05;
            assert_eq!(rules(&quality.take("SPY", &bar(at, 100.0, close))), [""; 0]);
        }
        assert_eq!(rules(&quality.take("SPY", &bar(60, 100.0, 104.0))), ["outlier"]);
        assert_eq!(rules(&quality.take("SPY", &bar(61, 26.0, 26.1))), ["split_shaped"], "4 for 1");
        assert_eq!(rules(&quality.take("SPY", &bar(62, 26.1, 26.1))), [""; 0]);
        assert_eq!(rules(&quality.take("SPY", &bar(62, 1.0, 1.0))), [""; 0], "one that is not newer");
        let empty = Bar { volume: Volume(0), ..bar(63, 26.1, 26.1) };
        assert_eq!(rules(&quality.take("SPY", &empty)), ["zero_volume"]);
        let shape = |ratio| split_shape(ratio);
        assert_eq!(shape(0.0502), Some("1 new share for 20".to_owned()));
        assert_eq!(shape(1.2), None);
    }

    #[test]
    fn a_symbol_is_stale_once_until_it_is_told_of_again() {
        let mut quality = Quality::new(Rules { stale_minutes: 5, ..Rules::default() });
        let symbols = ["SPY".to_owned()];
        quality.take("SPY", &bar(10, 1.0, 1.0));
        let mut stale = |at: i64| quality.stale(&symbols, 0, at * MINUTE_NS).len();
        assert_eq!((stale(16), stale(17), stale(30)), (0, 1, 0));
        quality.take("SPY", &bar(30, 1.0, 1.0));
        assert_eq!(quality.stale(&symbols, 0, 40 * MINUTE_NS), [("SPY".to_owned(), 31 * MINUTE_NS)]);
    }
}
