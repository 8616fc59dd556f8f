//! Views of history for charts.

use chrono::NaiveDate;
use domain::bar::Bar;
use domain::calendar::Calendar;
use domain::corporate_action::{
    Adjustment, CorporateAction, Effect, LastClose, Restatement, SplitRatio, Unrestatable, adjust_as_of,
};
use domain::money::{E9, Price, Volume};

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn split(ex_date: &str, new: i64, old: i64) -> CorporateAction {
    CorporateAction {
        ex_date: date(ex_date),
        effect: Effect::Split(SplitRatio::from_terms(new, old).unwrap()),
    }
}

fn dividend(ex_date: &str, cents: i64) -> CorporateAction {
    CorporateAction { ex_date: date(ex_date), effect: Effect::Dividend(Price(cents * E9 / 100)) }
}

/// A bar that closes with the session of its date, at a price all day.
fn bar(on: &str, price: i64) -> Bar {
    let session = Calendar::xnys().session(date(on)).unwrap().unwrap();
    let price = Price(price * E9);
    Bar {
        start_ns: session.open_ns,
        close_ns: session.close_ns,
        open: price,
        high: price,
        low: price,
        close: price,
        volume: Volume(1_000_000),
    }
}

fn restatement(
    adjustment: Adjustment,
    bars: &[Bar],
    actions: &[CorporateAction],
) -> Result<Restatement, Unrestatable> {
    let calendar = Calendar::xnys();
    let last = |action: &CorporateAction| {
        let before = bars.iter().rfind(|bar| bar.close_ns <= calendar.start_of(action.ex_date));
        before.map(|bar| LastClose { close_ns: bar.close_ns, close: bar.close })
    };
    let actions: Vec<_> = actions.iter().map(|action| (*action, last(action))).collect();
    let as_of = bars.last().map_or(i64::MAX, |bar| bar.close_ns);
    Restatement::new(adjustment, &actions, calendar, as_of)
}

fn closes(adjustment: Adjustment, bars: &[Bar], actions: &[CorporateAction]) -> Vec<String> {
    let restatement = restatement(adjustment, bars, actions).unwrap();
    bars.iter().map(|bar| restatement.bar(bar).unwrap().close.to_string()).collect()
}

#[test]
fn the_three_views_of_one_series() {
    let bars = [bar("2024-01-03", 400), bar("2024-01-04", 200), bar("2024-01-05", 48)];
    // Two dollars on 200 the day before; then four for one.
    let actions = [split("2024-01-05", 4, 1), dividend("2024-01-04", 400)];
    assert_eq!(closes(Adjustment::Raw, &bars, &actions), ["400", "200", "48"]);
    assert_eq!(closes(Adjustment::Split, &bars, &actions), ["100", "50", "48"]);
    // 4 paid on a close of 400 leaves 0.99 of it.
    assert_eq!(closes(Adjustment::TotalReturn, &bars, &actions), ["99", "50", "48"]);
}

#[test]
fn the_split_view_is_what_a_decision_sees() {
    let bars = [bar("2024-01-03", 100), bar("2024-01-04", 33), bar("2024-01-05", 11)];
    let actions = [split("2024-01-05", 3, 1), split("2024-01-04", 3, 1), dividend("2024-01-05", 10)];
    let seen = adjust_as_of(&bars, &actions, Calendar::xnys(), bars[2].close_ns).unwrap();
    let restatement = restatement(Adjustment::Split, &bars, &actions).unwrap();
    let shown: Vec<Bar> = bars.iter().map(|bar| restatement.bar(bar).unwrap()).collect();
    assert_eq!(shown, seen);
    assert_eq!(shown[0].volume, Volume(9_000_000));
}

#[test]
fn a_dividend_after_a_split_on_one_date_is_in_new_shares() {
    let bars = [bar("2024-01-04", 200), bar("2024-01-05", 99)];
    // In the order given: two for one, then one dollar on each new share, which closed at 100.
    let actions = [split("2024-01-05", 2, 1), dividend("2024-01-05", 100)];
    assert_eq!(closes(Adjustment::TotalReturn, &bars, &actions), ["99", "99"]);
}

#[test]
fn what_is_yet_to_come_changes_nothing_and_a_part_equals_the_whole() {
    let bars = [bar("2024-01-03", 400), bar("2024-01-04", 200), bar("2024-01-05", 100)];
    let actions = [split("2024-01-08", 2, 1), dividend("2024-01-05", 100)];
    let restatement = restatement(Adjustment::TotalReturn, &bars, &actions).unwrap();
    assert_eq!(restatement.bar(&bars[2]).unwrap(), bars[2]);
    // A total return is the product of the daily ones: (200 → 100 + 1).
    let before = restatement.bar(&bars[1]).unwrap().close;
    assert_eq!(before, Price(199 * E9));
}

#[test]
fn a_dividend_of_the_whole_price_is_refused() {
    let bars = [bar("2024-01-04", 2), bar("2024-01-05", 2)];
    let error = restatement(Adjustment::TotalReturn, &bars, &[dividend("2024-01-05", 200)]).unwrap_err();
    assert!(error.to_string().contains("expected less than 2"), "{error}");
    assert!(restatement(Adjustment::Split, &bars, &[dividend("2024-01-05", 200)]).is_ok());
}
