//! Split-adjusted views of history.

use super::{CorporateAction, SplitRatio, Unadjustable};
use crate::bar::Bar;
use crate::calendar::Calendar;

/// A bar restated in the shares that exist after the split.
pub fn adjust_bar(bar: &Bar, ratio: SplitRatio) -> Result<Bar, Unadjustable> {
    Ok(Bar {
        open: ratio.adjust_price(bar.open)?,
        high: ratio.adjust_price(bar.high)?,
        low: ratio.adjust_price(bar.low)?,
        close: ratio.adjust_price(bar.close)?,
        volume: ratio.adjust_volume(bar.volume)?,
        ..*bar
    })
}

/// `bars` of one symbol as a decision at `as_of_ns` sees them: in the shares of that moment.
///
/// Every split among `actions` whose ex-date has begun by `as_of_ns`, and no later one, restates the bars
/// that closed before its ex-date. It goes split by split, earliest first and rounding each time, because
/// a running indicator can only do that; so both agree exactly. The order of `actions` and of `bars`
/// changes nothing. Dividends are passed over.
pub fn adjust_as_of(
    bars: &[Bar],
    actions: &[CorporateAction],
    calendar: &Calendar,
    as_of_ns: i64,
) -> Result<Vec<Bar>, Unadjustable> {
    let mut splits: Vec<_> =
        actions.iter().filter_map(|action| Some((action.ex_date, action.split()?))).collect();
    splits.sort_unstable();
    let mut adjusted = bars.to_vec();
    for (ex_date, ratio) in splits {
        let effective_ns = calendar.start_of(ex_date);
        if effective_ns > as_of_ns {
            break;
        }
        for bar in adjusted.iter_mut().filter(|bar| bar.close_ns <= effective_ns) {
            *bar = adjust_bar(bar, ratio)?;
        }
    }
    Ok(adjusted)
}
