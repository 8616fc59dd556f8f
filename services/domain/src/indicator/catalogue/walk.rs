//! An indicator along a recorded series, as whoever watched it would have seen it.

use super::Study;
use crate::bar::Bar;
use crate::calendar::Calendar;
use crate::corporate_action::{CorporateAction, SplitRatio, Unadjustable};

/// Bars of one symbol, oldest first, raw, and its corporate actions in any order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recorded<'data> {
    /// The bars.
    pub bars: &'data [Bar],
    /// Splits among them restate what an indicator remembers, before the first bar of their ex-date; dividends
    /// are passed over.
    pub actions: &'data [CorporateAction],
}

/// Splits that have yet to come, with the instant they take effect at.
struct Splits(std::iter::Peekable<std::vec::IntoIter<(i64, SplitRatio)>>);

impl Splits {
    fn of(actions: &[CorporateAction], calendar: &Calendar) -> Self {
        let split = |action: &CorporateAction| Some((calendar.start_of(action.ex_date), action.split()?));
        let mut splits: Vec<_> = actions.iter().filter_map(split).collect();
        splits.sort_unstable();
        Self(splits.into_iter().peekable())
    }

    fn before(&mut self, close_ns: i64) -> Option<SplitRatio> {
        self.0.next_if(|(effective_ns, _)| *effective_ns < close_ns).map(|(_, ratio)| ratio)
    }
}

/// Feeds `own` to an indicator, with the bars of `against` that close at the same instants, and hands out each
/// bar with the figures at its close: in the shares of that moment, never with later knowledge.
pub fn walk(
    study: &mut dyn Study,
    own: Recorded<'_>,
    against: Recorded<'_>,
    calendar: &Calendar,
    mut each: impl FnMut(&Bar, &[Option<f64>]),
) -> Result<(), Unadjustable> {
    let (mut splits, mut other_splits) =
        (Splits::of(own.actions, calendar), Splits::of(against.actions, calendar));
    let mut others = against.bars.iter().peekable();
    let mut figures = vec![None; study.outputs().len()];
    for bar in own.bars {
        while let Some(ratio) = splits.before(bar.close_ns) {
            study.rescale(ratio)?;
        }
        while let Some(ratio) = other_splits.before(bar.close_ns) {
            study.rescale_against(ratio)?;
        }
        while others.next_if(|other| other.close_ns < bar.close_ns).is_some() {}
        let other = others.peek().filter(|other| other.close_ns == bar.close_ns);
        study.update(bar, other.copied());
        study.values(&mut figures);
        each(bar, &figures);
    }
    Ok(())
}
