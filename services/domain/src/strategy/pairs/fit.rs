//! The fit of two price series: what the spread is, and whether it comes back.

use crate::corporate_action::SplitRatio;
use crate::money::Price;
use crate::statistics::{engle_granger, half_life, spread_of};

/// A fit of the logarithm of one price on that of another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Fit {
    pub intercept: f64,
    pub hedge_ratio: f64,
    /// Standard deviation of the spread over the formation bars.
    pub deviation: f64,
    pub p_value: f64,
    pub half_life: f64,
}

impl Fit {
    /// Fits `prices`, oldest first; `None` when the spread has no half-life or the prices say nothing.
    pub fn of(prices: &[[Price; 2]]) -> Option<Self> {
        let [first, second] =
            [0, 1].map(|leg| prices.iter().map(|pair| log(pair[leg])).collect::<Option<_>>());
        let (first, second): (Vec<f64>, Vec<f64>) = (first?, second?);
        let test = engle_granger(&first, &second).ok()?;
        Some(Self {
            intercept: test.intercept,
            hedge_ratio: test.hedge_ratio,
            deviation: test.deviation()?,
            p_value: test.p_value,
            half_life: half_life(&test.residuals)?,
        })
    }

    /// Standard deviations that the spread is away from its mean.
    pub fn z_score(&self, prices: [Price; 2]) -> Option<f64> {
        let spread = spread_of(log(prices[0])?, log(prices[1])?, self.hedge_ratio, self.intercept);
        Some(spread / self.deviation).filter(|score| score.is_finite())
    }

    /// Shares of the two legs in the pair's money, in 1e-9: 1 to |hedge ratio|, neither nothing.
    pub fn weights_e9(&self) -> [i64; 2] {
        let second = self.hedge_ratio.abs() / (1.0 + self.hedge_ratio.abs()) * 1e9;
        #[expect(clippy::cast_possible_truncation, reason = "a share of 1e9 fits")]
        let second = (second.round() as i64).clamp(1, 999_999_999);
        [1_000_000_000 - second, second]
    }

    /// Restates it in shares after a split of one leg, so that every z-score stays what it was.
    pub fn rescale(&mut self, leg: usize, ratio: SplitRatio) {
        let (new, old) = ratio.terms();
        let step = (new as f64 / old as f64).ln();
        self.intercept += if leg == 0 { -step } else { self.hedge_ratio * step };
    }
}

fn log(price: Price) -> Option<f64> {
    (price > Price::ZERO).then(|| price.to_f64().ln())
}
