//! How much a Sharpe ratio proves, given how long it was observed and how many were tried.
//!
//! Bailey and López de Prado: "The Sharpe Ratio Efficient Frontier" (2012) for the probabilistic Sharpe ratio,
//! "The Deflated Sharpe Ratio" (2014) for the benchmark that many trials raise.

use std::f64::consts::E;

use super::{CONFIDENCE_MIN, Kind, Warning};
use crate::normal::{cumulative, quantile, skew_and_kurtosis};

/// The Euler–Mascheroni constant.
const EULER_GAMMA: f64 = 0.577_215_664_901_532_9;

/// What was tried before this result was chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trials {
    /// Parameter sets tried, this one included.
    pub count: usize,
    /// Sample variance of their annual Sharpe ratios, when it is known.
    pub sharpe_variance_annual: Option<f64>,
}

impl Default for Trials {
    fn default() -> Self {
        Self { count: 1, sharpe_variance_annual: None }
    }
}

/// How much a Sharpe ratio proves.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SharpeEvidence {
    /// Probability that the true Sharpe ratio is above zero.
    pub probabilistic: Option<f64>,
    /// Probability that it is above what the trials would show by luck.
    pub deflated: Option<f64>,
    /// The daily Sharpe ratio expected of the best of the trials by luck.
    pub luck: Option<f64>,
    /// Trials.
    pub trials: usize,
}

impl SharpeEvidence {
    /// Measures daily `returns` above the daily `risk_free` rate.
    #[must_use]
    pub fn of(returns: &[f64], risk_free: f64, trials: Trials) -> Self {
        let excess: Vec<f64> = returns.iter().map(|value| value - risk_free).collect();
        let luck = luck(excess.len(), trials);
        Self {
            probabilistic: probability_above(&excess, 0.0),
            deflated: luck.and_then(|luck| probability_above(&excess, luck)),
            luck,
            trials: trials.count,
        }
    }

    pub(super) fn warning(&self) -> Option<Warning> {
        let deflated = self.deflated?;
        if deflated >= CONFIDENCE_MIN {
            return None;
        }
        let (found, wanted) = (deflated * 100.0, CONFIDENCE_MIN * 100.0);
        Some(if self.trials > 1 {
            let text = format!(
                "Best of {} trials: the deflated Sharpe ratio is {found:.1} %, below {wanted:.0} %; \
                 luck may explain it.",
                self.trials
            );
            Warning::new(Kind::MultipleTesting, text)
        } else {
            let text = format!(
                "The probabilistic Sharpe ratio is {found:.1} %, below {wanted:.0} %; \
                 it cannot be told from zero."
            );
            Warning::new(Kind::UnprovenSharpe, text)
        })
    }
}

/// Probability that the true daily Sharpe ratio of `excess` is above `benchmark`; `None` for fewer than two
/// returns, and for returns that do not vary.
#[must_use]
pub fn probability_above(excess: &[f64], benchmark: f64) -> Option<f64> {
    if excess.len() < 2 {
        return None;
    }
    let count = excess.len() as f64;
    let mean = excess.iter().sum::<f64>() / count;
    let squares = excess.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    let (skew, kurtosis) = skew_and_kurtosis(excess)?;
    let sharpe = mean / (squares / (count - 1.0)).sqrt();
    let spread = 1.0 - skew * sharpe + (kurtosis - 1.0) / 4.0 * sharpe * sharpe;
    let z = (sharpe - benchmark) * (count - 1.0).sqrt() / spread.sqrt();
    z.is_finite().then(|| cumulative(z))
}

/// The daily Sharpe ratio that the best of the trials shows when none has any skill.
fn luck(days: usize, trials: Trials) -> Option<f64> {
    if trials.count <= 1 {
        return Some(0.0);
    }
    let count = trials.count as f64;
    let estimated = || (days > 1).then(|| 1.0 / (days as f64 - 1.0));
    let variance = trials.sharpe_variance_annual.map(|annual| annual / 252.0).or_else(estimated)?;
    let best =
        (1.0 - EULER_GAMMA) * quantile(1.0 - 1.0 / count) + EULER_GAMMA * quantile(1.0 - 1.0 / (count * E));
    let luck = variance.sqrt() * best;
    luck.is_finite().then_some(luck)
}
