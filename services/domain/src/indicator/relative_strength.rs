//! Relative strength index: Wilder's average gain as a share of average gain and loss.

use super::smoothing::{Wilder, price_factor};
use super::{Indicator, InvalidLength};
use crate::bar::Bar;
use crate::corporate_action::{SplitRatio, Unadjustable};
use crate::money::Price;

/// Relative strength index of closes, 0 to 100. Warm-up: `length + 1` bars.
///
/// Undefined while no price has changed: TA-Lib says 0 there, which would read as oversold.
#[derive(Clone, Debug, PartialEq)]
pub struct RelativeStrengthIndex {
    gain: Wilder,
    loss: Wilder,
    last: Option<Price>,
}

impl RelativeStrengthIndex {
    /// Over `length` changes, at least 2.
    pub fn new(length: usize) -> Result<Self, InvalidLength> {
        if length < 2 {
            return Err(InvalidLength(length));
        }
        Ok(Self { gain: Wilder::new(length)?, loss: Wilder::new(length)?, last: None })
    }

    /// Takes the next closing price.
    pub fn push(&mut self, price: Price) {
        if let Some(last) = self.last.replace(price) {
            let change = price.to_f64() - last.to_f64();
            self.gain.push(change.max(0.0));
            self.loss.push((-change).max(0.0));
        }
    }
}

impl Indicator for RelativeStrengthIndex {
    type Value = f64;

    fn warm_up(&self) -> usize {
        self.gain.length() + 1
    }

    fn settled(&self) -> Option<usize> {
        Some(self.warm_up() + self.gain.forgotten_after())
    }

    fn update(&mut self, bar: &Bar) {
        self.push(bar.close);
    }

    fn value(&self) -> Option<f64> {
        let (gain, loss) = (self.gain.value()?, self.loss.value()?);
        (gain + loss > 0.0).then(|| 100.0 * (gain / (gain + loss)))
    }

    fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        self.last = self.last.map(|price| ratio.adjust_price(price)).transpose()?;
        self.gain.scale(price_factor(ratio));
        self.loss.scale(price_factor(ratio));
        Ok(())
    }
}
