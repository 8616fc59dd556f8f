//! Decoding that ignores what it does not know, and what all vendors' rows have in common.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use contracts::v1::ActionKind;
use domain::bar::Timeframe;
use domain::calendar::Calendar;
use domain::money::{E9, Price, Volume, div_half_even};
use serde::de::DeserializeOwned;

use crate::error::VendorError;
use crate::http::Http;
use crate::port::{Action, Ask, Quoted, Skipped};

/// Reads an answer; an error names the field.
pub(crate) fn decode<T: DeserializeOwned>(http: &Http, body: &[u8]) -> Result<T, VendorError> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let field = error.path().to_string();
        http.broken(format!("{field}: {}", error.into_inner()))
    })
}

/// A number with at most `places` decimals: the shortest text that names it, rounded where that has more.
fn decimal(value: f64, places: usize) -> String {
    let text = value.to_string();
    let decimals = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    if decimals > places { format!("{value:.places$}") } else { text }
}

/// A price; `None` when it is beyond what a price can be.
pub(crate) fn price(value: f64) -> Option<Price> {
    decimal(value, 9).parse().ok()
}

/// A volume; `None` when it is beyond what a volume can be.
pub(crate) fn volume(value: f64) -> Option<Volume> {
    decimal(value, 3).parse().ok()
}

/// New shares per old share in 1e-9; `None` for what is no ratio.
pub(crate) fn ratio_e9(new: f64, old: f64) -> Option<i64> {
    let (new, old) = (price(new)?.0, price(old)?.0);
    if new <= 0 || old <= 0 {
        return None;
    }
    i64::try_from(div_half_even(i128::from(new) * i128::from(E9), i128::from(old))).ok()
}

/// Keeps bars of the span that have ended and overlap a session, and counts the others.
pub(crate) fn sift(bars: Vec<Quoted>, ask: &Ask, now_ns: i64, skipped: &mut Skipped) -> Vec<Quoted> {
    let calendar = Calendar::xnys();
    let keep = |bar: &Quoted| {
        if !(ask.from_ns..ask.to_ns).contains(&bar.start_ns) {
            return false;
        }
        let session = if ask.timeframe == Timeframe::D1 {
            calendar.session(calendar.date_of(bar.start_ns))
        } else {
            calendar.overlapping(bar.start_ns, bar.start_ns.saturating_add(ask.timeframe.nanos()))
        };
        // A date that the calendar does not know is for the check of rows to refuse.
        let Ok(session) = session else { return true };
        let Some(session) = session else {
            skipped.outside_session += 1;
            return false;
        };
        let close_ns = match ask.timeframe {
            Timeframe::D1 => session.close_ns,
            timeframe => bar.start_ns.saturating_add(timeframe.nanos()),
        };
        skipped.unfinished += u64::from(close_ns > now_ns);
        close_ns <= now_ns
    };
    bars.into_iter().filter(keep).collect()
}

/// Actions of the dates that are wanted; what a share pays twice on one date is one dividend.
pub(crate) fn of_span(actions: impl IntoIterator<Item = Action>, ask: &Ask) -> Vec<Action> {
    let mut found: BTreeMap<(NaiveDate, i32), Action> = BTreeMap::new();
    let wanted = actions.into_iter().filter(|action| is_of_span(action.ex_date, ask) && action.value_e9 > 0);
    for action in wanted {
        let key = (action.ex_date, action.kind.into());
        match found.get_mut(&key) {
            Some(held) if action.kind == ActionKind::Dividend => {
                held.value_e9 = held.value_e9.saturating_add(action.value_e9);
            }
            Some(_) => {}
            None => drop(found.insert(key, action)),
        }
    }
    found.into_values().collect()
}

/// Whether what takes effect on a date is wanted.
pub(crate) fn is_of_span(date: NaiveDate, ask: &Ask) -> bool {
    dates(ask).contains(&date) && Calendar::xnys().start_of(date) < ask.to_ns
}

/// The first and the last date of which actions are wanted.
pub(crate) fn dates(ask: &Ask) -> std::ops::RangeInclusive<NaiveDate> {
    let calendar = Calendar::xnys();
    calendar.date_of(ask.actions_from_ns)..=calendar.date_of(ask.to_ns.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_the_decimals_that_they_were_sent_with() {
        assert_eq!(price(187.45), Some(Price(187_450_000_000)));
        assert_eq!(price(0.1 + 0.2), Some(Price(300_000_000)));
        assert_eq!(price(-1.0), Some(Price(-1_000_000_000)));
        assert_eq!(price(1e30), None);
        assert_eq!(volume(12.5), Some(Volume(12_500)));
        assert_eq!(volume(3e12), Some(Volume(3_000_000_000_000_000)));
    }

    #[test]
    fn ratios_are_exact_where_they_can_be() {
        assert_eq!(ratio_e9(4.0, 1.0), Some(4_000_000_000));
        assert_eq!(ratio_e9(1.0, 20.0), Some(50_000_000));
        assert_eq!(ratio_e9(1.0, 3.0), Some(333_333_333));
        assert_eq!(ratio_e9(0.0, 3.0), None);
        assert_eq!(ratio_e9(3.0, 0.0), None);
    }
}
