//! Differences of two averages of closes: MACD, the percentage price oscillator; and momentum.

use super::smoothing::{Exponential, price_factor};
use super::window::PriceWindow;
use super::{Indicator, InvalidLength, SimpleMovingAverage, Values};
use crate::bar::Bar;
use crate::corporate_action::{SplitRatio, Unadjustable};

/// Two exponential averages that give their first value on the same bar.
///
/// As in TA-Lib, the fast one is seeded with the closes just before that bar, not with the first ones.
#[derive(Clone, Debug, PartialEq)]
struct ExponentialPair {
    fast: Exponential,
    slow: Exponential,
    /// Bars that the fast average still leaves out.
    wait: usize,
}

impl ExponentialPair {
    fn new(fast: usize, slow: usize) -> Result<Self, InvalidLength> {
        let wait = slow.checked_sub(fast).filter(|wait| *wait > 0).ok_or(InvalidLength(fast))?;
        Ok(Self { fast: Exponential::new(fast)?, slow: Exponential::new(slow)?, wait })
    }

    fn push(&mut self, close: f64) {
        self.slow.push(close);
        if self.wait > 0 {
            self.wait -= 1;
        } else {
            self.fast.push(close);
        }
    }

    fn values(&self) -> Option<(f64, f64)> {
        self.fast.value().zip(self.slow.value())
    }

    fn scale(&mut self, factor: f64) {
        self.fast.scale(factor);
        self.slow.scale(factor);
    }
}

/// Convergence and divergence of two averages.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Convergence {
    /// Fast average − slow average.
    pub macd: f64,
    /// Exponential average of it.
    pub signal: f64,
    /// `macd` − `signal`.
    pub histogram: f64,
}

impl Values for Convergence {
    const NAMES: &'static [&'static str] = &["macd", "signal", "histogram"];

    fn put(self, out: &mut [Option<f64>]) {
        super::put_all(out, [self.macd, self.signal, self.histogram]);
    }
}

/// Moving average convergence divergence of closes. Warm-up: `slow` + `signal` − 1 bars.
#[derive(Clone, Debug, PartialEq)]
pub struct Macd {
    pair: ExponentialPair,
    signal: Exponential,
}

impl Macd {
    /// Averages of `fast` < `slow` bars, and of `signal` differences.
    pub fn new(fast: usize, slow: usize, signal: usize) -> Result<Self, InvalidLength> {
        Ok(Self { pair: ExponentialPair::new(fast, slow)?, signal: Exponential::new(signal)? })
    }
}

impl Indicator for Macd {
    type Value = Convergence;

    fn warm_up(&self) -> usize {
        self.pair.slow.length() + self.signal.length() - 1
    }

    fn settled(&self) -> Option<usize> {
        Some(self.warm_up() + self.pair.slow.forgotten_after() + self.signal.forgotten_after())
    }

    fn update(&mut self, bar: &Bar) {
        self.pair.push(bar.close.to_f64());
        if let Some((fast, slow)) = self.pair.values() {
            self.signal.push(fast - slow);
        }
    }

    fn value(&self) -> Option<Convergence> {
        let ((fast, slow), signal) = self.pair.values().zip(self.signal.value())?;
        let macd = fast - slow;
        Some(Convergence { macd, signal, histogram: macd - signal })
    }

    fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        self.pair.scale(price_factor(ratio));
        self.signal.scale(price_factor(ratio));
        Ok(())
    }
}

/// The kind of average an oscillator is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AverageKind {
    /// Mean of the last closes.
    Simple,
    /// Exponential average.
    Exponential,
}

#[derive(Clone, Debug, PartialEq)]
enum Averages {
    Simple(SimpleMovingAverage, SimpleMovingAverage),
    Exponential(Exponential, Exponential),
}

/// Percentage price oscillator: how far a fast average lies above a slow one, in percent. Warm-up: `slow` bars.
#[derive(Clone, Debug, PartialEq)]
pub struct PercentageOscillator {
    averages: Averages,
    slow: usize,
}

impl PercentageOscillator {
    /// Averages of `fast` < `slow` closes.
    pub fn new(fast: usize, slow: usize, kind: AverageKind) -> Result<Self, InvalidLength> {
        if fast >= slow {
            return Err(InvalidLength(fast));
        }
        let averages = match kind {
            AverageKind::Simple => {
                Averages::Simple(SimpleMovingAverage::new(fast)?, SimpleMovingAverage::new(slow)?)
            }
            AverageKind::Exponential => {
                Averages::Exponential(Exponential::new(fast)?, Exponential::new(slow)?)
            }
        };
        Ok(Self { averages, slow })
    }
}

impl Indicator for PercentageOscillator {
    type Value = f64;

    fn warm_up(&self) -> usize {
        self.slow
    }

    fn settled(&self) -> Option<usize> {
        Some(match &self.averages {
            Averages::Simple(..) => self.slow,
            Averages::Exponential(_, slow) => self.slow + slow.forgotten_after(),
        })
    }

    fn update(&mut self, bar: &Bar) {
        match &mut self.averages {
            Averages::Simple(fast, slow) => {
                fast.push(bar.close);
                slow.push(bar.close);
            }
            Averages::Exponential(fast, slow) => {
                fast.push(bar.close.to_f64());
                slow.push(bar.close.to_f64());
            }
        }
    }

    fn value(&self) -> Option<f64> {
        let (fast, slow) = match &self.averages {
            Averages::Simple(fast, slow) => (fast.value()?.to_f64(), slow.value()?.to_f64()),
            Averages::Exponential(fast, slow) => fast.value().zip(slow.value())?,
        };
        (slow > 0.0).then(|| (fast - slow) / slow * 100.0)
    }

    fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        match &mut self.averages {
            Averages::Simple(fast, slow) => {
                let mut restated = fast.clone();
                restated.rescale(ratio)?;
                slow.rescale(ratio)?;
                *fast = restated;
            }
            Averages::Exponential(fast, slow) => {
                fast.scale(price_factor(ratio));
                slow.scale(price_factor(ratio));
            }
        }
        Ok(())
    }
}

/// Change of the close over `length` bars: in dollars (momentum) or in percent (rate of change).
/// Warm-up: `length` + 1 bars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Momentum {
    window: PriceWindow,
    percent: bool,
}

impl Momentum {
    /// In dollars per share.
    pub fn dollars(length: usize) -> Result<Self, InvalidLength> {
        Ok(Self { window: PriceWindow::new(length, 1)?, percent: false })
    }

    /// In percent of the price then.
    pub fn percent(length: usize) -> Result<Self, InvalidLength> {
        Ok(Self { window: PriceWindow::new(length, 1)?, percent: true })
    }
}

impl Indicator for Momentum {
    type Value = f64;

    fn warm_up(&self) -> usize {
        self.window.capacity()
    }

    fn update(&mut self, bar: &Bar) {
        self.window.push(bar.close);
    }

    fn value(&self) -> Option<f64> {
        let (then, now) = self.window.ends()?;
        let change = (i128::from(now.0) - i128::from(then.0)) as f64;
        if !self.percent {
            return Some(change / 1e9);
        }
        (then.0 > 0).then(|| change / then.0 as f64 * 100.0)
    }

    fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        self.window.rescale(ratio)
    }
}
