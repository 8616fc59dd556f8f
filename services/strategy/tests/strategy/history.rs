//! The past in order: what a warm-up is fed.

use contracts::v1::{ActionKind, CorporateAction};
use domain::bar::{Bar, Timeframe};
use domain::calendar::Calendar;
use domain::money::{Price, Volume};
use strategy::{History, Past, PastAction, PastBar, Wanted};

use crate::support::{E9, FIRST_NS, HOUR_NS};

const DAY_NS: i64 = 24 * HOUR_NS;

fn past(close_ns: i64, close: i64) -> PastBar {
    let price = Price(close * E9);
    let bar = Bar {
        start_ns: close_ns - HOUR_NS,
        close_ns,
        open: price,
        high: price,
        low: price,
        close: price,
        volume: Volume(0),
    };
    PastBar { symbol: "A".into(), timeframe: Timeframe::H1, bar }
}

fn split(ex_date: &str) -> PastAction {
    let action = CorporateAction {
        symbol: "A".into(),
        ex_date: ex_date.into(),
        kind: ActionKind::Split.into(),
        value_e9: 2 * E9,
        ..CorporateAction::default()
    };
    PastAction { sequence: 1, action }
}

/// The closes in whole units, with `S` where a split stands.
fn check(bars: &[PastBar], actions: &[PastAction], as_of_ns: i64, expect: &str) {
    let mut history = History::new(Wanted { symbols: Vec::new(), timeframe: None, bars: 3 });
    actions.iter().cloned().for_each(|action| history.action(action));
    bars.iter().cloned().for_each(|bar| history.bar(bar));
    let past: Vec<_> = history
        .into_past(Calendar::xnys(), as_of_ns)
        .iter()
        .map(|past| match past {
            Past::Bar(past) => past.bar.close.to_string(),
            Past::Split(_) => "S".to_owned(),
        })
        .collect();
    assert_eq!(past.join(" "), expect);
}

#[test]
fn the_newest_bars_by_close_whatever_their_order() {
    let bars = [3, 1, 4, 2].map(|hour| past(FIRST_NS + hour * HOUR_NS, hour));
    check(&bars, &[], i64::MIN, "2 3 4");
}

#[test]
fn a_bar_taken_twice_counts_once_and_the_later_one_wins() {
    check(&[past(FIRST_NS, 1), past(FIRST_NS, 2)], &[], i64::MIN, "2");
}

#[test]
fn a_split_stands_before_the_first_bar_of_its_ex_date() {
    let bars = [past(FIRST_NS, 1), past(FIRST_NS + DAY_NS, 2)];
    check(&bars, &[split("2024-01-09"), split("2024-01-09")], i64::MIN, "1 S 2");
}

#[test]
fn a_split_that_has_not_begun_is_not_known() {
    let bars = [past(FIRST_NS, 1)];
    check(&bars, &[split("2024-01-09")], FIRST_NS, "1");
    check(&bars, &[split("2024-01-09")], FIRST_NS + DAY_NS, "1 S");
}
