//! A part of the tape run again: what may be asked of parity and of a fork.
//!
//! Deliberately absent: whether the tape holds it, whether its market was open on the day, and whether a change can be
//! made there (its runner's).

use chrono::{DateTime, NaiveDate};
use contracts::v1::{BacktestKind, BacktestRequest, BacktestStretch};

use super::{Invalid, invalid};

/// Most changed parameters, and most changed limits, of a fork.
const CHANGES_MAX: usize = 64;
/// Longest change.
const CHANGE_BYTES_MAX: usize = 400;
/// A moment in words.
const MOMENT: &str = "a sequence of TRADING or an instant such as 2020-01-02T15:30:00Z";

/// A part of the tape run again has nothing but that part: everything else is what the tape states.
pub(super) fn complete(request: BacktestRequest) -> Result<BacktestRequest, Invalid> {
    let kind = request.kind();
    let Some(stretch) = request.stretch else {
        return invalid("stretch", "", "what is to be run again");
    };
    let bare = BacktestRequest { kind: kind.into(), ..BacktestRequest::default() };
    let stated = BacktestRequest { stretch: None, ..request };
    if stated != bare {
        return invalid(
            "kind",
            if kind == BacktestKind::Parity { "parity" } else { "fork" },
            "a stretch alone",
        );
    }
    let stretch = match kind {
        BacktestKind::Parity => parity(stretch)?,
        _ => fork(stretch)?,
    };
    Ok(BacktestRequest { stretch: Some(stretch), ..bare })
}

fn parity(stretch: BacktestStretch) -> Result<BacktestStretch, Invalid> {
    let text = stretch.session.trim().to_owned();
    let Ok(date) = text.parse::<NaiveDate>() else {
        return invalid("session", text, "a date such as 2020-01-02");
    };
    if stretch != (BacktestStretch { session: stretch.session.clone(), ..BacktestStretch::default() }) {
        return invalid("session", date, "nothing beside it: parity changes nothing");
    }
    Ok(BacktestStretch { session: date.to_string(), ..BacktestStretch::default() })
}

fn fork(stretch: BacktestStretch) -> Result<BacktestStretch, Invalid> {
    if !stretch.session.is_empty() {
        return invalid("session", stretch.session, "none of a fork, which begins at a moment");
    }
    let (at, to) = (moment("at", &stretch.at)?, moment("to", &stretch.to)?);
    if at.is_empty() {
        return invalid("at", "", MOMENT);
    }
    let change = |field, expected, texts: Vec<String>| -> Result<Vec<String>, Invalid> {
        if texts.len() > CHANGES_MAX {
            return invalid(field, texts.len(), format!("at most {CHANGES_MAX} changes"));
        }
        let is_good = |text: &str| {
            let (path, value) = text.split_once('=')?;
            let (owner, name) = path.split_once('.')?;
            (!owner.is_empty() && !name.is_empty() && !value.is_empty()).then_some(())
        };
        match texts.iter().find(|text| text.len() > CHANGE_BYTES_MAX || is_good(text).is_none()) {
            Some(text) => invalid(field, text.chars().take(80).collect::<String>(), expected),
            None => Ok(texts),
        }
    };
    Ok(BacktestStretch {
        at,
        to,
        parameters: change("parameters", "STRATEGY.NAME=VALUE", stretch.parameters)?,
        limits: change("limits", "ACCOUNT.NAME=VALUE", stretch.limits)?,
        ..BacktestStretch::default()
    })
}

/// A sequence of TRADING in decimal, also as `seq:N`, or an instant.
fn moment(field: &'static str, text: &str) -> Result<String, Invalid> {
    let text = text.trim();
    let plain = text.strip_prefix("seq:").unwrap_or(text);
    let good = plain.is_empty()
        || plain.parse::<u64>().is_ok()
        || (plain == text && DateTime::parse_from_rfc3339(plain).is_ok());
    if good { Ok(plain.to_owned()) } else { invalid(field, text, MOMENT) }
}

#[cfg(test)]
mod tests {
    use super::super::complete;
    use super::*;

    #[test]
    fn a_stretch_is_a_session_or_a_moment_with_changes() {
        let ask = |kind: BacktestKind, stretch: BacktestStretch| {
            let asked =
                BacktestRequest { kind: kind.into(), stretch: Some(stretch), ..BacktestRequest::default() };
            complete(asked)
                .map(|request| request.stretch.unwrap_or_default())
                .map_err(|error| error.to_string())
        };
        let session = |text: &str| BacktestStretch { session: text.into(), ..BacktestStretch::default() };
        assert_eq!(ask(BacktestKind::Parity, session(" 2020-01-02 ")).unwrap().session, "2020-01-02");
        // Whether the market was open on the day depends on whose tape it is.
        assert_eq!(ask(BacktestKind::Parity, session("2020-01-04")).unwrap().session, "2020-01-04");
        assert!(ask(BacktestKind::Parity, session("soon")).unwrap_err().starts_with("session \"soon\""));
        assert!(ask(BacktestKind::Fork, session("2020-01-02")).unwrap_err().starts_with("session"));
        let fork = |at: &str, change: &str| BacktestStretch {
            at: at.into(),
            parameters: vec![change.into()],
            ..BacktestStretch::default()
        };
        assert_eq!(ask(BacktestKind::Fork, fork("seq:1200", "a.b=1")).unwrap().at, "1200");
        assert!(ask(BacktestKind::Fork, fork("2020-01-02T15:30:00Z", "a.b=1")).is_ok());
        assert!(ask(BacktestKind::Fork, fork("", "a.b=1")).unwrap_err().starts_with("at \"\""));
        assert!(ask(BacktestKind::Fork, fork("noon", "a.b=1")).unwrap_err().starts_with("at \"noon\""));
        let refused = ask(BacktestKind::Fork, fork("7", "fast=1")).unwrap_err();
        assert_eq!(refused, "parameters \"fast=1\": expected STRATEGY.NAME=VALUE");
        let mixed = BacktestRequest {
            kind: BacktestKind::Parity.into(),
            stretch: Some(session("2020-01-02")),
            seed: 1,
            ..BacktestRequest::default()
        };
        assert!(complete(mixed).is_err());
    }
}
