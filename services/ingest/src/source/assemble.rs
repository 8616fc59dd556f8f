//! Puts the events of one instant together, in the order that every source keeps.

use contracts::Subject;
use contracts::v1::{Event, Origin, SessionPhase};
use domain::bar::Bar;
use domain::calendar::Session;

use super::Instant;
use crate::event;
use crate::file::{Action, Series};

/// What happens at one instant. Actions are in the order of [`event::action_order`], bars in the order of
/// their series.
pub(super) struct Parts<'a> {
    pub(super) ns: i64,
    pub(super) opened: Option<&'a Session>,
    pub(super) actions: &'a [Action],
    pub(super) bars: &'a [(&'a Series, &'a Subject, Bar)],
    pub(super) closed: Option<&'a Session>,
}

/// Builds the numbered events of an instant. Where one session opens as another closes, the closed one comes before it.
pub(super) fn instant(source: &str, exchange: &str, parts: &Parts<'_>) -> Instant {
    let mut events = Vec::with_capacity(parts.bars.len() + parts.actions.len() + 2);
    let of_session = |session: &Session, phase| {
        (session_subject(exchange), event::session(source, exchange, session, phase))
    };
    let (first, last) = if parts.closed.is_some() { (None, parts.opened) } else { (parts.opened, None) };
    events.extend(first.map(|session| of_session(session, SessionPhase::Opened)));
    events.extend(parts.actions.iter().map(|action| {
        (action_subject(&action.symbol), event::action(source, Origin::Rehearsal, action, parts.ns))
    }));
    events.extend(parts.bars.iter().map(|(series, subject, bar)| -> (Subject, Event) {
        ((*subject).clone(), event::bar(source, Origin::Rehearsal, series, bar))
    }));
    events.extend(parts.closed.map(|session| of_session(session, SessionPhase::Closed)));
    events.extend(last.map(|session| of_session(session, SessionPhase::Opened)));
    event::number(&mut events);
    Instant { ns: parts.ns, events }
}

/// Subject of an exchange's sessions.
pub(super) fn session_subject(exchange: &str) -> Subject {
    Subject::of(&["market", "session", exchange])
}

/// Subject of a symbol's corporate actions.
pub(super) fn action_subject(symbol: &str) -> Subject {
    Subject::of(&["market", "action", symbol])
}
