//! Sessions of the calendar, as events when their time has come.
//!
//! A session is opened when it begins, or when the service starts within it; it is closed a while after its end, so
//! that its last minutes stand before it, for with it day orders expire. One that closed while the service was away is
//! closed afterwards, if the tape holds that it was opened.
//!
//! Pure.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use contracts::v1::SessionPhase;
use domain::calendar::{Calendar, OutOfRange, Session};

/// How long after a session's end its last minutes may come.
pub(super) const SETTLED_AFTER_NS: i64 = 15_000_000_000;

/// Which sessions the tape holds as opened and as closed.
#[derive(Clone, Debug, Default)]
pub(super) struct Sessions {
    opened: BTreeSet<NaiveDate>,
    closed: BTreeSet<NaiveDate>,
}

impl Sessions {
    /// Notes what is on the tape.
    pub(super) fn note(&mut self, date: NaiveDate, phase: SessionPhase) {
        match phase {
            SessionPhase::Opened => self.opened.insert(date),
            SessionPhase::Closed => self.closed.insert(date),
            SessionPhase::Unspecified => false,
        };
    }

    /// What is to be told at `now_ns`.
    pub(super) fn due(
        &self,
        calendar: &Calendar,
        now_ns: i64,
    ) -> Result<Vec<(Session, SessionPhase)>, OutOfRange> {
        let mut due = Vec::new();
        for date in self.opened.difference(&self.closed) {
            let session = calendar.session(*date)?;
            let ended = session.filter(|session| session.close_ns + SETTLED_AFTER_NS <= now_ns);
            due.extend(ended.map(|session| (session, SessionPhase::Closed)));
        }
        if let Some(session) = calendar.session_at(now_ns)?
            && !self.opened.contains(&session.date)
        {
            due.push((session, SessionPhase::Opened));
        }
        Ok(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_opens_closes_after_its_last_minutes_and_only_once() {
        let calendar = Calendar::xnys();
        let session = calendar.session("2026-11-27".parse().unwrap()).unwrap().unwrap();
        let mut sessions = Sessions::default();
        let phases = |sessions: &Sessions, now_ns| {
            let due = sessions.due(calendar, now_ns).unwrap();
            due.into_iter().map(|(session, phase)| (session.date.to_string(), phase)).collect::<Vec<_>>()
        };
        assert_eq!(phases(&sessions, session.open_ns - 1), [], "nobody said that the day before was opened");
        let opened = ("2026-11-27".to_owned(), SessionPhase::Opened);
        assert_eq!(phases(&sessions, session.open_ns), [opened]);
        sessions.note(session.date, SessionPhase::Opened);
        assert_eq!(phases(&sessions, session.close_ns + SETTLED_AFTER_NS - 1), []);
        let closed = ("2026-11-27".to_owned(), SessionPhase::Closed);
        let told = phases(&sessions, session.close_ns + SETTLED_AFTER_NS);
        assert_eq!(told, std::slice::from_ref(&closed));
        let monday = calendar.next_session_after(session.close_ns).unwrap();
        let late = phases(&sessions, monday.open_ns);
        assert_eq!(late, [closed, ("2026-11-30".to_owned(), SessionPhase::Opened)], "after a weekend away");
        sessions.note(session.date, SessionPhase::Closed);
        assert_eq!(phases(&sessions, session.close_ns + SETTLED_AFTER_NS), []);
    }
}
