//! Sharpe ratio and volatility of a window that moves day by day.

use chrono::NaiveDate;
use domain::performance::{annual_volatility, sharpe};

use crate::sheet::Rolling;

/// Windows from half a year to a month; the longest that leaves as many days again is used.
const WINDOWS: [usize; 3] = [126, 63, 21];

/// The series over the longest window that fits; `None` when none does. Dates and returns have one length.
pub(crate) fn rolling(dates: &[NaiveDate], returns: &[f64], risk_free_annual: f64) -> Option<Rolling> {
    let window = WINDOWS.into_iter().find(|window| returns.len() >= 2 * window)?;
    let windows = || returns.windows(window);
    Some(Rolling {
        window,
        dates: dates.get(window - 1..)?.to_vec(),
        sharpe: windows().map(|part| sharpe(part, risk_free_annual)).collect(),
        volatility: windows().map(annual_volatility).collect(),
    })
}
