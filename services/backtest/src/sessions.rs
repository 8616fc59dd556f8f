//! Parity of each session, asked for when it is over: what was decided live is compared with the same bars run again, every
//! day, without anybody who has to think of it.
//!
//! Once for each session, however often the service starts: the run's id follows from the session, and the request is appended
//! only where there is none. Of sessions that ended while no service was there the last one is asked for.
//!
//! Deliberately absent: tapes on a tape clock, whose sessions are compared when somebody asks.

use std::time::Duration;

use contracts::stream::MARKET;
use contracts::v1::event::Body;
use contracts::v1::{
    BacktestKind, BacktestRequest, BacktestRequested, BacktestStretch, Event, SessionChange, SessionPhase,
};
use contracts::{Subject, event_id};
use event_log::{Append, AppendError, Delivery, Expect, Tape};
use runtime::clock;
use tokio::time::Instant;

use crate::recording::event;
use crate::service::{SERVICE, ServiceError};

/// Time after a session's end for what still comes of it: brokers are compared with a minute later.
pub(crate) const SETTLED_AFTER: Duration = Duration::from_secs(120);
const FILTER: &str = "market.session.*";
const BATCH_MAX: usize = 256;

/// A session that is over, and when its parity is to be asked for.
struct Ended {
    /// Id of the event that closed it.
    cause: String,
    session: SessionChange,
    due: Instant,
}

/// Asks for the parity of each session, `settled_after` its end; ends with what the tape refuses.
pub(crate) async fn watch(tape: Tape, settled_after: Duration) -> Result<(), ServiceError> {
    let head = tape.last_sequence(MARKET, FILTER).await?;
    let mut reader = tape.read(MARKET, &[FILTER.to_owned()], 0).await?;
    let (mut ended, mut read_to): (Option<Ended>, u64) = (None, 0);
    loop {
        let due = ended.as_ref().filter(|_| read_to >= head).map(|ended| ended.due);
        tokio::select! {
            batch = reader.batch(BATCH_MAX) => {
                for delivery in batch? {
                    read_to = delivery.sequence();
                    ended = closed(delivery, clock::now() + settled_after).or(ended);
                }
            }
            () = until(due) => {
                if let Some(ended) = ended.take() {
                    ask(&tape, &ended).await?;
                }
            }
        }
    }
}

/// The session that a message closes. What cannot be read is the read model's to park.
fn closed(delivery: Delivery, due: Instant) -> Option<Ended> {
    let Delivery::Event(recorded) = delivery else { return None };
    let Some(Body::SessionChange(session)) = recorded.event.body else { return None };
    (session.phase() == SessionPhase::Closed).then_some(Ended { cause: recorded.event.id, session, due })
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => clock::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

async fn ask(tape: &Tape, ended: &Ended) -> Result<(), ServiceError> {
    let SessionChange { exchange, date, .. } = &ended.session;
    let run_id = event_id(&format!("{exchange}/{date}"), "backtest/parity", 0);
    let stretch = BacktestStretch { session: date.clone(), ..BacktestStretch::default() };
    let request = BacktestRequest {
        kind: BacktestKind::Parity.into(),
        stretch: Some(stretch),
        ..BacktestRequest::default()
    };
    let body = Body::BacktestRequested(BacktestRequested {
        run_id: run_id.clone(),
        actor: SERVICE.to_owned(),
        request: Some(request),
        runner: String::new(),
    });
    let event =
        Event { causation_id: ended.cause.clone(), ..event(&run_id, SERVICE, "backtest_requested", 0, body) };
    let subject = Subject::backtest(&run_id, "requested");
    let expect = Expect::Last { filter: subject.as_str().to_owned(), sequence: 0 };
    match tape.append(Append { subject, event, expect }).await {
        Ok(_) | Err(AppendError::Conflict { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use contracts::stream::TRADING;
    use contracts::to_timestamp;
    use event_log::MemoryLog;

    use super::*;

    async fn put(tape: &Tape, date: &str, phase: SessionPhase) {
        let session = SessionChange {
            exchange: "XNYS".into(),
            date: date.into(),
            phase: phase.into(),
            ..SessionChange::default()
        };
        let event = Event {
            id: format!("{date}/{}", phase.as_str_name()),
            event_time: Some(to_timestamp(1)),
            body: Some(Body::SessionChange(session)),
            ..Event::default()
        };
        let subject = Subject::of(&["market", "session", "XNYS"]);
        tape.append(Append { subject, event, expect: Expect::Nothing }).await.unwrap();
    }

    /// The sessions whose parity was asked for, when there are `count`, and what caused each.
    async fn asked(tape: &Tape, count: usize) -> Vec<(String, String)> {
        let mut reader = tape.read(TRADING, &["control.backtest.*.requested".to_owned()], 0).await.unwrap();
        let mut found = Vec::new();
        while found.len() < count {
            let batch = tokio::time::timeout(Duration::from_secs(20), reader.batch(BATCH_MAX)).await;
            for delivery in batch.unwrap().unwrap() {
                let Delivery::Event(recorded) = delivery else { panic!("{delivery:?}") };
                let Some(Body::BacktestRequested(asked)) = recorded.event.body else {
                    panic!("no request under {}", recorded.subject)
                };
                assert!(asked.runner.is_empty(), "the service does it");
                let request = domain::research::complete(asked.request.unwrap()).unwrap();
                found.push((request.stretch.unwrap().session, recorded.event.causation_id));
            }
        }
        found
    }

    fn of(date: &str) -> (String, String) {
        (date.to_owned(), format!("{date}/SESSION_PHASE_CLOSED"))
    }

    #[tokio::test]
    async fn parity_is_asked_for_once_for_each_session_that_ends() {
        let tape: Tape = Arc::new(MemoryLog::new());
        for (date, phase) in [
            ("2020-01-02", SessionPhase::Opened),
            ("2020-01-02", SessionPhase::Closed),
            ("2020-01-03", SessionPhase::Opened),
            ("2020-01-03", SessionPhase::Closed),
            ("2020-01-06", SessionPhase::Opened),
        ] {
            put(&tape, date, phase).await;
        }
        let watching = tokio::spawn(watch(Arc::clone(&tape), Duration::ZERO));
        assert_eq!(asked(&tape, 1).await, [of("2020-01-03")], "the last one that has ended");
        put(&tape, "2020-01-06", SessionPhase::Closed).await;
        assert_eq!(asked(&tape, 2).await, [of("2020-01-03"), of("2020-01-06")]);
        watching.abort();

        let again = tokio::spawn(watch(Arc::clone(&tape), Duration::ZERO));
        put(&tape, "2020-01-07", SessionPhase::Opened).await;
        put(&tape, "2020-01-07", SessionPhase::Closed).await;
        let all = [of("2020-01-03"), of("2020-01-06"), of("2020-01-07")];
        assert_eq!(asked(&tape, 3).await, all, "what was asked for before is not asked for again");
        assert_eq!(tape.state(TRADING).await.unwrap().messages, 3);
        again.abort();
    }

    #[tokio::test]
    async fn a_session_is_given_time_for_what_still_comes_of_it() {
        let tape: Tape = Arc::new(MemoryLog::new());
        put(&tape, "2020-01-02", SessionPhase::Closed).await;
        let watching = tokio::spawn(watch(Arc::clone(&tape), SETTLED_AFTER));
        let waited = tokio::time::timeout(Duration::from_millis(200), asked(&tape, 1)).await;
        assert!(waited.is_err(), "asked for at once");
        watching.abort();
    }
}
