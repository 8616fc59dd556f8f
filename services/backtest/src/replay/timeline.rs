//! Both sides of a comparison on one timeline: equity mark by mark, and the fills.

use std::collections::{BTreeMap, BTreeSet};

use analytics::comparison::{EquityLine, FillMark, Point};
use contracts::from_timestamp;
use contracts::v1::Event;
use contracts::v1::event::Body;
use domain::money::{Amount, Price, Quantity};

use super::comparison::Pairs;
use super::order_by_order::side_name;

/// Most points of one line; of more every second one goes until they fit.
const POINTS_MAX: usize = 1_500;
/// Most fills.
const FILLS_MAX: usize = 2_000;

/// The equity of each account on both sides.
pub(super) fn equity(recorded: &[Event], derived: &[Event]) -> Vec<EquityLine> {
    let (mut left, mut right) = (lines(recorded), lines(derived));
    let accounts: BTreeSet<String> = left.keys().chain(right.keys()).cloned().collect();
    let line = |account: String| {
        let (recorded, derived) =
            (left.remove(&account).unwrap_or_default(), right.remove(&account).unwrap_or_default());
        // Both sides keep the same instants.
        let step = recorded.len().max(derived.len()).div_ceil(POINTS_MAX).max(1);
        EquityLine { account, recorded: thinned(&recorded, step), derived: thinned(&derived, step) }
    };
    accounts.into_iter().map(line).collect()
}

fn lines(events: &[Event]) -> BTreeMap<String, Vec<Point>> {
    let mut lines: BTreeMap<String, Vec<Point>> = BTreeMap::new();
    for event in events {
        let (Some(Body::AccountMarked(mark)), Some(time_ns)) = (&event.body, time(event)) else { continue };
        let equity = Amount::from_wire(mark.equity.as_ref()).to_f64();
        lines.entry(mark.account.clone()).or_default().push((time_ns, equity));
    }
    lines
}

fn thinned(points: &[Point], step: usize) -> Vec<Point> {
    let last = points.len().saturating_sub(1);
    let kept = points.iter().enumerate().filter(|(index, _)| index % step == 0 || *index == last);
    kept.map(|(_, point)| *point).collect()
}

fn time(event: &Event) -> Option<i64> {
    event.event_time.as_ref().and_then(from_timestamp)
}

/// The first fills of both sides, by time.
pub(super) fn fills(recorded: &[Event], derived: &[Event]) -> Vec<FillMark> {
    let pairs = Pairs::of(recorded, derived);
    let mut seen = BTreeSet::new();
    let mut marks: Vec<FillMark> = Vec::new();
    for event in recorded.iter().chain(derived) {
        let (Some(Body::Fill(fill)), Some(time_ns)) = (&event.body, time(event)) else { continue };
        if !seen.insert(event.id.as_str()) {
            continue;
        }
        marks.push(FillMark {
            time_ns,
            account: fill.account.clone(),
            strategy: fill.strategy.clone(),
            symbol: fill.symbol.clone(),
            side: side_name(fill.side()).to_owned(),
            quantity: Quantity(fill.quantity_e9).to_string(),
            price: Price(fill.price_e9).to_string(),
            outcome: pairs.outcome(&event.id),
        });
    }
    marks.sort_by_key(|mark| mark.time_ns);
    marks.truncate(FILLS_MAX);
    marks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_keeps_its_ends() {
        let points: Vec<Point> = (0..10).map(|index| (index, index as f64)).collect();
        let kept: Vec<i64> = thinned(&points, 4).into_iter().map(|(time, _)| time).collect();
        assert_eq!(kept, [0, 4, 8, 9]);
        assert_eq!(thinned(&[], 1), []);
    }
}
