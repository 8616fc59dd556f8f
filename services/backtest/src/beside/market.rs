//! What the market did at an instant, as the events that a rehearsal of the same data publishes.

use contracts::v1::event::Body;
use contracts::v1::{ActionKind, CorporateAction, Event, Instant, Origin, SessionPhase};
use contracts::{Subject, bar_id, event_id, to_timestamp};
use domain::calendar::Session;
use domain::corporate_action::Effect;
use domain::series::DatedAction;
use engine::Shown;

/// Source of sessions where no bar says another.
const SOURCE: &str = "rehearsal";

/// The numbered events of an instant: session opened, corporate actions, bars, session closed; where one session opens as
/// another closes, the closed one is the one before it. Before the range there are bars and actions alone, as after an
/// import: nobody had an account that a session could have opened for.
pub(super) fn events(shown: &Shown<'_>) -> Vec<(Subject, Event)> {
    let origin = if shown.live { Origin::Rehearsal } else { Origin::Import };
    let source = shown.bars.first().map_or(SOURCE, |(series, _)| &*series.source);
    let session = |session: &Session, phase| {
        let subject = Subject::of(&["market", "session", shown.exchange]);
        (subject, of_session(shown.exchange, session, phase))
    };
    let mut events = Vec::with_capacity(shown.bars.len() + shown.actions.len() + 2);
    let (opened, closed) = if shown.live { (shown.opened, shown.closed) } else { (None, None) };
    let (first, last) = if closed.is_some() { (None, opened) } else { (opened, None) };
    events.extend(first.iter().map(|one| session(one, SessionPhase::Opened)));
    events.extend(shown.actions.iter().map(|one| {
        (Subject::of(&["market", "action", &one.symbol]), of_action(source, origin, one, shown.ns))
    }));
    events.extend(shown.bars.iter().map(|(series, bar)| {
        let timeframe = series.timeframe.name();
        let id = bar_id(&series.source, &series.symbol, timeframe, bar.close_ns);
        let body = Body::Bar(bar.to_wire(&series.symbol, series.timeframe, origin));
        (Subject::bar(timeframe, &series.symbol), first_cause(&series.source, id, bar.close_ns, body))
    }));
    events.extend(closed.iter().map(|one| session(one, SessionPhase::Closed)));
    events.extend(last.iter().map(|one| session(one, SessionPhase::Opened)));
    let size = u32::try_from(events.len()).unwrap_or(u32::MAX);
    for (position, (_, event)) in (0..size).zip(&mut events) {
        event.instant = Some(Instant { position, size, ..Instant::default() });
    }
    events
}

fn of_session(exchange: &str, session: &Session, phase: SessionPhase) -> Event {
    let (name, time_ns) = match phase {
        SessionPhase::Closed => ("closed", session.close_ns),
        SessionPhase::Opened | SessionPhase::Unspecified => ("opened", session.open_ns),
    };
    let id = event_id(&format!("session/{exchange}/{}/{name}", session.date), SOURCE, 0);
    first_cause(SOURCE, id, time_ns, Body::SessionChange(session.to_wire(exchange, phase)))
}

fn of_action(source: &str, origin: Origin, dated: &DatedAction, time_ns: i64) -> Event {
    let (kind, value_e9) = match dated.action.effect {
        Effect::Split(ratio) => (ActionKind::Split, ratio.to_e9().unwrap_or_default()),
        Effect::Dividend(per_share) => (ActionKind::Dividend, per_share.0),
    };
    let body = Body::CorporateAction(CorporateAction {
        symbol: dated.symbol.to_string(),
        ex_date: dated.action.ex_date.to_string(),
        kind: kind.into(),
        value_e9,
        origin: origin.into(),
    });
    first_cause(source, dated.event_id.clone(), time_ns, body)
}

fn first_cause(source: &str, id: String, time_ns: i64, body: Body) -> Event {
    Event {
        correlation_id: id.clone(),
        id,
        event_time: Some(to_timestamp(time_ns)),
        source: source.to_owned(),
        schema_version: 1,
        body: Some(body),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;
    use domain::calendar::Calendar;

    use super::*;

    #[test]
    fn no_session_opens_or_closes_before_the_range() {
        let date = NaiveDate::from_ymd_opt(2014, 4, 28).unwrap();
        let session = Calendar::xnys().sessions(date, date).unwrap()[0];
        let told = |live| {
            let shown = Shown {
                ns: session.close_ns,
                live,
                exchange: "XNYS",
                opened: Some(session),
                actions: &[],
                bars: Vec::new(),
                closed: Some(session),
                events: Vec::new(),
            };
            events(&shown).len()
        };
        assert_eq!((told(true), told(false)), (2, 0));
    }
}
