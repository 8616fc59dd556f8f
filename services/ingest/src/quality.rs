//! What looks wrong with bars, as findings; nothing is altered because of them. The rules are those of [`RULES`], for
//! what is told live and for history.
//!
//! Pure. A finding's id follows from its bar and rule, so that it is made once.

mod moves;

use std::collections::BTreeMap;

use chrono::NaiveDate;
use contracts::v1::Severity;
use domain::bar::{Bar, Timeframe};
use domain::book::{HALT, RESUMPTION};
use domain::calendar::Calendar;
use domain::corporate_action::lacks_jump;
use moves::{Moves, PAUSE_NS, Past};

/// Every rule, how bad its findings are unless it is stated otherwise, and what they say.
pub const RULES: [(&str, Severity, &str); 21] = [
    (
        "inconsistent_bar",
        Severity::Error,
        "a price that is none, high below low, a negative volume; it is left out",
    ),
    ("from_the_future", Severity::Error, "a minute that has not ended; it is left out"),
    ("zero_volume", Severity::Info, "nothing was traded"),
    ("outlier", Severity::Warning, "a move of more standard deviations than the threshold"),
    ("split_shaped", Severity::Warning, "a jump by a simple ratio, and no split on the tape"),
    ("split_without_jump", Severity::Warning, "a split on the tape, and prices that do not jump with it"),
    (
        "changed_values",
        Severity::Warning,
        "other values by more than the threshold for a bar of the same source",
    ),
    (
        "changed_without_update",
        Severity::Warning,
        "other values for a minute, and no word that they correct it",
    ),
    ("missing_bar", Severity::Warning, "time of the session without a bar"),
    ("stale_symbol", Severity::Warning, "no bar of a symbol for too long"),
    ("price_difference", Severity::Warning, "a price that is another one than the authority's"),
    (
        "overlapping_bar",
        Severity::Warning,
        "a bar that starts at other minutes than the series; it is left out",
    ),
    (AFTER_EARLY_CLOSE, Severity::Warning, "a bar that starts after an early close"),
    (ADJUSTED_PRICES, Severity::Warning, "prices that are stated to be adjusted"),
    (
        ACTION_NOT_APPLIED,
        Severity::Warning,
        "a corporate action that is neither a split nor a dividend in dollars; nothing is restated or paid for it",
    ),
    ("day_differs", Severity::Warning, "a day of the vendor's that is another one than its minutes make"),
    ("trade_corrected", Severity::Info, "the vendor's word that a trade was another one"),
    ("trade_cancelled", Severity::Info, "the vendor's word that a trade was none"),
    (HALT, Severity::Info, "the vendor's word that trading stopped"),
    (RESUMPTION, Severity::Info, "the vendor's word that trading goes on"),
    ("status", Severity::Info, "any other word of the vendor's about trading"),
];

/// Rule of the finding for a bar after an early close.
pub(crate) const AFTER_EARLY_CLOSE: &str = "after_early_close";
/// Rule of the finding for a series imported with adjusted prices.
pub(crate) const ADJUSTED_PRICES: &str = "adjusted_prices";

/// Rule of the finding for a corporate action that changes nothing here.
pub(crate) const ACTION_NOT_APPLIED: &str = "action_not_applied";

/// New shares for old ones that splits usually are.
const RATIOS: [f64; 11] = [2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 15.0, 20.0, 1.5];
/// How near a jump has to be to a ratio.
const RATIO_WITHIN: f64 = 0.02;
const MINUTE_NS: i64 = 60_000_000_000;

/// Thresholds, and how bad findings are.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// Standard deviations beyond which a move is an outlier; 0 for none.
    pub outlier_deviations: f64,
    /// Whether jumps are looked at for the shape of a split.
    pub split_shaped: bool,
    /// Minutes without a bar after which a symbol is stale while it is streamed; 0 for never.
    pub stale_minutes: u32,
    /// Sessions without a bar after which a symbol is stale in a vendor's history; 0 for never.
    pub stale_sessions: u32,
    /// Minutes of the session without a bar from which on history has a hole; 0 for never.
    pub hole_minutes: u32,
    /// Difference of two sources' prices, or of a revised one, from which on it is a finding, as a share; 0 for never.
    pub price_difference: f64,
    /// Severities that are stated, by rule; `None` where a rule makes no findings.
    pub severities: BTreeMap<String, Option<Severity>>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            outlier_deviations: 10.0,
            split_shaped: true,
            stale_minutes: 15,
            stale_sessions: 5,
            hole_minutes: 60,
            price_difference: 0.005,
            severities: BTreeMap::new(),
        }
    }
}

impl Rules {
    /// How bad a finding of `rule` is; `None` where it makes none.
    #[must_use]
    pub fn severity(&self, rule: &str) -> Option<Severity> {
        match self.severities.get(rule) {
            Some(stated) => *stated,
            None => {
                let known = RULES.iter().find(|(name, ..)| *name == rule);
                Some(known.map_or(Severity::Warning, |(_, severity, _)| *severity))
            }
        }
    }
}

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
        let shape = self.rules.split_shaped.then(|| split_shape(ratio)).flatten();
        let mut step = (close / past.close).ln();
        let pause_ns = bar.start_ns.saturating_sub(past.close_ns);
        let deviation = past.deviation(pause_ns, timeframe);
        let most = self.rules.outlier_deviations;
        // By how many standard deviations a move is beyond what is usual.
        let far = |step: f64| {
            let by = deviation.map(|deviation| step.abs() / deviation);
            by.filter(|by| most > 0.0 && *by > most)
        };
        if shape.is_some() || far(step).is_some() || pause_ns >= PAUSE_NS {
            let stated = split(past.close_ns, bar.start_ns);
            if lacks_jump(past.close, price(bar.open.0), stated) {
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
            let moves = if pause_ns < PAUSE_NS { &mut past.within } else { &mut past.across };
            moves.take(step);
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
fn split_shape(ratio: f64) -> Option<String> {
    let near = |ratio: f64, of: f64| (ratio / of - 1.0).abs() < RATIO_WITHIN;
    let forward = RATIOS.iter().find(|of| near(ratio, **of)).map(|of| format!("{of} new shares for 1"));
    forward.or_else(|| {
        RATIOS.iter().find(|of| near(1.0 / ratio, **of)).map(|of| format!("1 new share for {of}"))
    })
}

fn price(e9: i64) -> f64 {
    e9 as f64 / 1e9
}

#[cfg(test)]
mod tests {
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
        let shape = |ratio| split_shape(ratio);
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
