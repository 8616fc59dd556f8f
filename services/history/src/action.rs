//! Corporate actions as events: their ids and times are the same from a file, a rehearsal and an import.
//!
//! Deliberately absent: what an action does to a position (the domain).

use chrono::NaiveDate;
use contracts::v1::event::Body;
use contracts::v1::{ActionKind, CorporateAction, Event, Origin};
use contracts::{event_id, to_timestamp};
use domain::calendar::{Calendar, OutOfRange};
use domain::corporate_action::InvalidAction;
use domain::series::DatedAction;

use crate::file::Action;

/// A corporate action of `source`, known at `time_ns`.
#[must_use]
pub fn event(source: &str, origin: Origin, action: &Action, time_ns: i64) -> Event {
    let id = id(source, action);
    Event {
        correlation_id: id.clone(),
        id,
        event_time: Some(to_timestamp(time_ns)),
        source: source.to_owned(),
        schema_version: 1,
        body: Some(Body::CorporateAction(wire(origin, action))),
        ..Event::default()
    }
}

/// When an action takes effect: the opening of the first session on or after its ex-date.
pub fn time(calendar: &Calendar, ex_date: NaiveDate) -> Result<i64, OutOfRange> {
    // Asking for the date itself first refuses a date before the calendar's first one.
    match calendar.session(ex_date)? {
        Some(session) => Ok(session.open_ns),
        None => calendar.next_session_after(calendar.start_of(ex_date)).map(|session| session.open_ns),
    }
}

/// The place of an action among those of one instant: by symbol, splits before dividends.
#[must_use]
pub fn order(action: &Action) -> (&str, i32, i64) {
    (&action.symbol, kind_order(action.kind), action.value_e9)
}

/// An action of `source` at `event_ns`, as a run reads it.
pub fn dated(source: &str, action: &Action, event_ns: i64) -> Result<DatedAction, InvalidAction> {
    Ok(DatedAction {
        symbol: action.symbol.as_str().into(),
        event_ns,
        event_id: id(source, action),
        action: domain::corporate_action::CorporateAction::from_wire(&wire(Origin::Rehearsal, action))?,
    })
}

fn id(source: &str, action: &Action) -> String {
    let cause = format!("action/{}/{}/{}", action.symbol, action.ex_date, action.kind.name());
    event_id(&cause, source, 0)
}

fn wire(origin: Origin, action: &Action) -> CorporateAction {
    CorporateAction {
        symbol: action.symbol.clone(),
        ex_date: action.ex_date.to_string(),
        kind: action.kind.into(),
        value_e9: action.value_e9,
        origin: origin.into(),
    }
}

pub(crate) fn kind_order(kind: ActionKind) -> i32 {
    match kind {
        ActionKind::Split => 0,
        ActionKind::Dividend | ActionKind::Unspecified => 1,
    }
}
