//! What looks wrong with bars, as findings; nothing is altered because of them. The rules are those of [`RULES`], for
//! what is told live and for history.
//!
//! Pure. A finding's id follows from its bar and rule, so that it is made once.

mod moves;
mod rules;

use chrono::NaiveDate;
use domain::bar::{Bar, Timeframe};
use domain::calendar::Calendar;
use domain::corporate_action::lacks_jump;
use moves::{Moves, Past};

pub use rules::{RULES, Rules};

/// Rule of the finding for a bar after an early close.
pub(crate) const AFTER_EARLY_CLOSE: &str = "after_early_close";
/// Rule of the finding for a series imported with adjusted prices.
pub(crate) const ADJUSTED_PRICES: &str = "adjusted_prices";

/// Rule of the finding for a corporate action that changes nothing here.
pub(crate) const ACTION_NOT_APPLIED: &str = "action_not_applied";

const MINUTE_NS: i64 = 60_000_000_000;

/// A corporate action that changes nothing here: neither a split nor a dividend in dollars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unapplied {
    /// Symbol.
    pub symbol: String,
    /// When it takes effect, in exchange time.
    pub date: NaiveDate,
    /// Kind, symbol, date and terms, in words; by them it is known.
    pub words: String,
}

/// Something that looks wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) rule: &'static str,
    /// In words.
    pub(crate) detail: String,
    /// What was measured, and what was expected, as decimals; empty where nothing was measured.
    pub(crate) found: String,
    pub(crate) expected: String,
    /// The source that it was held against.
    pub(crate) authority: String,
}

impl Found {
    pub(crate) fn new(rule: &'static str, detail: impl Into<String>) -> Self {
        Self { rule, detail: detail.into(), ..Self::default() }
    }
}

/// What series did of late, by their numbers.
#[derive(Clone, Debug)]
pub(crate) struct Quality {
    rules: Rules,
    /// Where holes are looked for.
    calendar: Option<&'static Calendar>,
    past: Vec<Option<Past>>,
}

impl Quality {
    /// Looks for holes by `calendar`, where there is one.
    pub(crate) fn new(rules: Rules, calendar: Option<&'static Calendar>) -> Self {
        Self { rules, calendar, past: Vec::new() }
    }

    /// Says that what lies between the newest bar of a series and the next one was not asked for: they are no neighbours.
    /// How far the series moves stays known.
    pub(crate) fn skip(&mut self, series: usize) {
        if let Some(Some(past)) = self.past.get_mut(series) {
            past.apart = true;
        }
    }

    /// Takes a bar of a series in the order of time; of an older one than the newest only the volume is looked at.
    /// `split` answers how many new shares one share became between two times.
    pub(crate) fn take(
        &mut self,
        series: usize,
        timeframe: Timeframe,
        bar: &Bar,
        split: impl Fn(i64, i64) -> f64,
    ) -> Vec<Found> {
        let mut found = Vec::new();
        if bar.volume.0 == 0 {
            found.push(Found::new("zero_volume", "volume 0, expected more in a bar"));
        }
        if self.past.len() <= series {
            self.past.resize(series + 1, None);
        }
        let close = price(bar.close.0);
        let Some(past) = &mut self.past[series] else {
            let (within, across) = (Moves::default(), Moves::default());
            self.past[series] = Some(Past { close, close_ns: bar.close_ns, within, across, apart: false });
            return found;
        };
        if bar.close_ns <= past.close_ns {
            return found;
        }
        if past.apart {
            (past.close, past.close_ns, past.apart) = (close, bar.close_ns, false);
            return found;
        }
        if let Some(calendar) = self.calendar.filter(|_| self.rules.hole_minutes > 0) {
            found.extend(hole(calendar, timeframe, past.close_ns, bar.start_ns, self.rules.hole_minutes));
        }
        let ratio = past.close / price(bar.open.0);
        let shape = split_shape(ratio, &self.rules);
        let mut step = (close / past.close).ln();
        let pause_ns = bar.start_ns.saturating_sub(past.close_ns);
        let is_pause = pause_ns >= self.rules.pause_ns();
        let deviation = past.deviation(pause_ns, timeframe, &self.rules);
        let most = self.rules.outlier_deviations;
        // By how many standard deviations a move is beyond what is usual.
        let far = |step: f64| {
            let by = deviation.map(|deviation| step.abs() / deviation);
            by.filter(|by| most > 0.0 && *by > most)
        };
        if shape.is_some() || far(step).is_some() || is_pause {
            let stated = split(past.close_ns, bar.start_ns);
            if lacks_jump(past.close, price(bar.open.0), stated, self.rules.split_showing) {
                let detail = format!(
                    "a split of {stated} new shares for 1 is stated, and open {} after a close of {} shows none: \
                     prices that are adjusted for it, or a wrong action",
                    bar.open, past.close
                );
                let (found_ratio, expected) = (format!("{ratio:.4}"), stated.to_string());
                let base = Found::new("split_without_jump", detail);
                found.push(Found { found: found_ratio, expected, ..base });
            } else {
                // A split that is known is no jump.
                step += stated.ln();
            }
        }
        let jump = shape.filter(|_| (step - (close / past.close).ln()).abs() < f64::EPSILON);
        if let Some(shape) = &jump {
            let detail = format!(
                "open {} after a close of {}: looks like {shape}, which no corporate action states; a crash or a \
                 wrong price may look the same",
                bar.open, past.close
            );
            found.push(Found { found: format!("{ratio:.4}"), ..Found::new("split_shaped", detail) });
        } else if let Some(by) = far(step) {
            let detail = format!(
                "close {} after {}: a move of {by:.1} standard deviations, expected at most {most}",
                bar.close, past.close
            );
            let (measured, expected) = (format!("{by:.1}"), most.to_string());
            found.push(Found { found: measured, expected, ..Found::new("outlier", detail) });
        }
        // What looks like a split says nothing of how a symbol moves.
        if jump.is_none() {
            let moves = if is_pause { &mut past.across } else { &mut past.within };
            moves.take(step, self.rules.outlier_moves);
        }
        (past.close, past.close_ns) = (close, bar.close_ns);
        found
    }
}

/// Time of the session between two bars of history in which there is none.
fn hole(
    calendar: &Calendar,
    timeframe: Timeframe,
    close_ns: i64,
    start_ns: i64,
    least_minutes: u32,
) -> Option<Found> {
    if start_ns <= close_ns {
        return None;
    }
    let (first, last) = (calendar.date_of(close_ns), calendar.date_of(start_ns));
    let within = calendar.sessions(first, last).ok()?.iter().map(|session| {
        let (from_ns, to_ns) = (session.open_ns.max(close_ns), session.close_ns.min(start_ns));
        // The last bar of a session may be shorter than its timeframe.
        if to_ns - from_ns < timeframe.nanos().min(to_ns - session.open_ns) { 0 } else { to_ns - from_ns }
    });
    let minutes = within.filter(|ns| *ns > 0).sum::<i64>() / MINUTE_NS;
    (minutes >= i64::from(least_minutes)).then(|| {
        let detail = format!("{minutes} minutes of the session before it have no bar");
        let (found, expected) = (minutes.to_string(), least_minutes.to_string());
        Found { found, expected, ..Found::new("missing_bar", detail) }
    })
}

/// The largest difference of prices of two bars, where it is beyond the threshold: which price, and by what share.
pub(crate) fn difference(told: [i64; 4], stands: [i64; 4], most: f64) -> Option<(&'static str, usize, f64)> {
    const NAMES: [&str; 4] = ["open", "high", "low", "close"];
    let share = |at: usize| (price(told[at]) / price(stands[at]) - 1.0).abs();
    let worst = (0..4).max_by(|one, other| share(*one).total_cmp(&share(*other)))?;
    (most > 0.0 && share(worst) > most).then(|| (NAMES[worst], worst, share(worst)))
}

/// The split that a jump looks like, in words.
fn split_shape(ratio: f64, rules: &Rules) -> Option<String> {
    let near = |ratio: f64, of: f64| (ratio / of - 1.0).abs() < rules.split_within;
    let ratios = if rules.split_shaped { rules.split_ratios.as_slice() } else { &[] };
    let forward = ratios.iter().find(|of| near(ratio, **of)).map(|of| format!("{of} new shares for 1"));
    forward.or_else(|| {
        ratios.iter().find(|of| near(1.0 / ratio, **of)).map(|of| format!("1 new share for {of}"))
    })
}

fn price(e9: i64) -> f64 {
    e9 as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use contracts::v1::Severity;
    use domain::corporate_action::Showing;
    use domain::money::{Price, Volume};

    use super::*;

    fn bar(at: i64, open: f64, close: f64) -> Bar {
        let price = |value: f64| format!("{value:.6}").parse::<Price>().unwrap();
        let start_ns = at * MINUTE_NS;
        Bar {
            start_ns,
            close_ns: start_ns + MINUTE_NS,
            open: price(open),
            high: price(open.max(close)),
            low: price(open.min(close)),
            close: price(close),
            volume: Volume(1_000),
        }
    }

    fn rules(found: &[Found]) -> Vec<&str> {
        found.iter().map(|found| found.rule).collect()
    }

    fn none(_: i64, _: i64) -> f64 {
        1.0
    }

    #[test]
    fn a_move_beyond_what_a_symbol_does_is_an_outlier_and_a_simple_ratio_a_split() {
        let mut quality = Quality::new(Rules::default(), None);
        let mut take = |bar: &Bar| {
            let found = quality.take(0, Timeframe::M1, bar, none);
            rules(&found).join(" ")
        };
        for at in 0..60 {
            let close = 100.0 + f64::from(u8::try_from(at % 2).unwrap()) * 0.05;
            assert_eq!(take(&bar(at, 100.0, close)), "");
        }
        assert_eq!(take(&bar(60, 100.0, 104.0)), "outlier");
        assert_eq!(take(&bar(61, 26.0, 26.1)), "split_shaped", "4 for 1");
        assert_eq!(take(&bar(62, 26.1, 26.1)), "");
        assert_eq!(take(&bar(62, 1.0, 1.0)), "", "one that is not newer");
        assert_eq!(take(&Bar { volume: Volume(0), ..bar(63, 26.1, 26.1) }), "zero_volume");
        let shape = |ratio| split_shape(ratio, &Rules::default());
        assert_eq!(shape(0.0502), Some("1 new share for 20".to_owned()));
        assert_eq!(shape(1.2), None);
    }

    #[test]
    fn a_night_is_held_against_nights() {
        const DAY: i64 = 24 * 60;
        let mut quality = Quality::new(Rules::default(), None);
        let mut take = |at: i64, price: f64| {
            let found = quality.take(0, Timeframe::M1, &bar(at, price, price), none);
            rules(&found).join(" ")
        };
        for at in 0..60 {
            assert_eq!(take(at, if at % 2 == 0 { 100.0 } else { 100.05 }), "");
        }
        // Of nights nothing is known yet but how far minutes go.
        assert_eq!(take(DAY, 104.0), "");
        assert_eq!(take(DAY + 1, 108.0), "outlier", "as far in a minute");
        for day in 2..40 {
            assert_eq!(take(day * DAY, if day % 2 == 0 { 100.0 } else { 101.0 }), "");
        }
        assert_eq!(take(40 * DAY, 104.0), "");
        assert_eq!(take(41 * DAY, 130.0), "outlier");
    }

    #[test]
    fn bars_on_both_sides_of_what_was_not_asked_for_are_no_neighbours() {
        let calendar = Calendar::xnys();
        let session = calendar.session("2025-01-03".parse().unwrap()).unwrap().unwrap();
        let first = session.open_ns / MINUTE_NS;
        let mut quality = Quality::new(Rules::default(), Some(calendar));
        quality.skip(0);
        for at in 0..60 {
            let close = 100.0 + f64::from(u8::try_from(at % 2).unwrap()) * 0.05;
            quality.take(0, Timeframe::M1, &bar(first + at, 100.0, close), none);
        }
        let mut apart = quality.clone();
        // Two hours later, at half the price.
        let next = bar(first + 180, 50.0, 50.0);
        let found = quality.take(0, Timeframe::M1, &next, none);
        assert_eq!(rules(&found), ["missing_bar", "split_shaped"]);
        apart.skip(0);
        assert_eq!(rules(&apart.take(0, Timeframe::M1, &next, none)), [""; 0]);
        // From there on it is looked at as before, with what is known of how far it moves.
        assert_eq!(rules(&apart.take(0, Timeframe::M1, &bar(first + 181, 50.0, 52.0), none)), ["outlier"]);
        let found = apart.take(0, Timeframe::M1, &bar(first + 300, 52.0, 52.0), none);
        assert_eq!(rules(&found), ["missing_bar"]);
    }

    #[test]
    fn a_split_that_is_known_is_no_jump() {
        let mut quality = Quality::new(Rules::default(), None);
        for at in 0..60 {
            let close = 100.0 + f64::from(u8::try_from(at % 2).unwrap()) * 0.05;
            quality.take(0, Timeframe::M1, &bar(at, 100.0, close), none);
        }
        let known = |from_ns: i64, to_ns: i64| {
            assert_eq!((from_ns, to_ns), (60 * MINUTE_NS, 60 * MINUTE_NS));
            4.0
        };
        assert_eq!(rules(&quality.take(0, Timeframe::M1, &bar(60, 25.0, 25.01), known)), [""; 0]);
        let other = |_, _| 1.0;
        assert_eq!(rules(&quality.take(0, Timeframe::M1, &bar(61, 12.5, 12.5), other)), ["split_shaped"]);
    }

    #[test]
    fn a_split_that_is_stated_and_shows_in_no_price_is_found() {
        const DAY: i64 = 24 * 60;
        let mut quality = Quality::new(Rules::default(), None);
        let mut take = |day: i64, price: f64, stated: f64| {
            let found = quality.take(0, Timeframe::M1, &bar(day * DAY, price, price), |_, _| stated);
            rules(&found).join(" ")
        };
        assert_eq!(take(0, 100.0, 1.0), "");
        assert_eq!(take(1, 101.0, 4.0), "split_without_jump");
        assert_eq!(take(2, 25.0, 4.0), "", "that one shows");
        assert_eq!(take(3, 24.0, 0.1), "split_without_jump");
        assert_eq!(take(4, 241.0, 0.1), "");
        assert_eq!(take(5, 240.0, 1.05), "", "a night may move as far");
    }

    #[test]
    fn thresholds_are_those_that_are_stated() {
        const DAY: i64 = 24 * 60;
        // Moves that are wild, then quiet, then one of 4 %, a minute or half an hour after them.
        let said = |pause: i64, rules: Rules| {
            let mut quality = Quality::new(rules, None);
            for at in 0..60 {
                let far = if at % 2 == 0 { 100.0 } else { 100.0 + f64::from(u8::from(at < 30)) + 0.05 };
                quality.take(0, Timeframe::M1, &bar(at, far, far), none);
            }
            let found = quality.take(0, Timeframe::M1, &bar(59 + pause, 104.0, 104.0), none);
            self::rules(&found).join(" ")
        };
        let known = Rules::default;
        assert_eq!(said(1, known()), "");
        assert_eq!(said(1, Rules { outlier_moves: 5, outlier_moves_min: 5, ..known() }), "outlier");
        assert_eq!(said(1, Rules { outlier_deviations: 5.0, ..known() }), "outlier");
        assert_eq!(said(1, Rules { outlier_deviations: 5.0, outlier_moves_min: 100, ..known() }), "");
        let brief = Rules { outlier_moves: 5, outlier_moves_min: 5, outlier_deviations: 12.0, ..known() };
        assert_eq!(said(30, brief.clone()), "outlier");
        assert_eq!(said(30, Rules { pause_minutes: 10, ..brief }), "");

        let split = |open: f64, stated: f64, rules: Rules| {
            let mut quality = Quality::new(rules, None);
            quality.take(0, Timeframe::M1, &bar(0, 100.0, 100.0), none);
            let found = quality.take(0, Timeframe::M1, &bar(DAY, open, open), |_, _| stated);
            self::rules(&found).join(" ")
        };
        let nine = || Rules { split_ratios: vec![9.0], ..known() };
        assert_eq!(split(100.0 / 9.0, 1.0, nine()), "split_shaped");
        assert_eq!(split(50.0, 1.0, nine()), "");
        assert_eq!(split(48.0, 1.0, Rules { split_within: 0.05, ..known() }), "split_shaped");
        assert_eq!(split(48.0, 1.0, known()), "");
        let strict = Showing { least: 0.04, moved: 0.9 };
        assert_eq!(split(100.0, 1.05, Rules { split_showing: strict, ..known() }), "split_without_jump");
        assert_eq!(split(60.0, 2.0, Rules { split_showing: strict, ..known() }), "split_without_jump");
        assert_eq!(split(60.0, 2.0, known()), "");
    }

    #[test]
    fn a_hole_is_time_of_the_session_without_a_bar() {
        let calendar = Calendar::xnys();
        let session = |date: &str| calendar.session(date.parse().unwrap()).unwrap().unwrap();
        let hour = 60 * MINUTE_NS;
        let friday = session("2025-01-03");
        let monday = session("2025-01-06");
        let tuesday = session("2025-01-07");
        let minutes = |timeframe, close_ns, start_ns| {
            hole(calendar, timeframe, close_ns, start_ns, 60).map(|found| found.found)
        };
        let (h1, d1) = (Timeframe::H1, Timeframe::D1);
        assert_eq!(minutes(h1, friday.open_ns + hour, friday.open_ns + hour), None);
        assert_eq!(minutes(h1, friday.open_ns + hour, friday.open_ns + 2 * hour), Some("60".into()));
        // From the last whole hour to the next session: half an hour is no hole.
        assert_eq!(minutes(h1, friday.open_ns + 6 * hour, monday.open_ns), None);
        assert_eq!(minutes(h1, friday.open_ns + 7 * hour, monday.open_ns - hour / 2), None, "on the clock");
        assert_eq!(minutes(d1, friday.close_ns, monday.open_ns), None);
        assert_eq!(minutes(d1, friday.close_ns, tuesday.open_ns), Some("390".into()));
    }

    #[test]
    fn a_difference_is_told_from_the_threshold_on() {
        let e9 = 1_000_000_000;
        let stands = [100 * e9, 110 * e9, 90 * e9, 105 * e9];
        assert_eq!(difference(stands, stands, 0.005), None);
        let told = [100 * e9, 111 * e9, 90 * e9, 105 * e9];
        let (name, at, share) = difference(told, stands, 0.005).unwrap();
        assert_eq!((name, at, (share * 1e5).round()), ("high", 1, 909.0));
        assert_eq!(difference(told, stands, 0.01), None);
        assert_eq!(difference(told, stands, 0.0), None, "0 for never");
    }

    #[test]
    fn severities_are_those_of_the_table_unless_stated() {
        let mut rules = Rules::default();
        rules.severities.insert("outlier".into(), Some(Severity::Error));
        rules.severities.insert("zero_volume".into(), None);
        assert_eq!(rules.severity("outlier"), Some(Severity::Error));
        assert_eq!(rules.severity("zero_volume"), None);
        assert_eq!(rules.severity("halt"), Some(Severity::Info));
    }
}
