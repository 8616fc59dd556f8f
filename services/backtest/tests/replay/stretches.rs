//! Which parts of a tape may be asked for: what is not there is refused before a run is opened, and a session on which
//! nobody decided says so.

use std::sync::Arc;

use analytics::Comparison;
use analytics::comparison::Outcome;
use backtest::replay::unwatched;
use backtest::{again, find};
use contracts::stream;
use contracts::v1::event::Body;
use contracts::v1::{BacktestKind, BacktestRequest, BacktestStretch, Origin};
use domain::calendar::Calendar;
use event_log::{Append, EventLog as _, Expect, MemoryLog, Tape};
use projections::as_of::{Moment, Timeline};

use crate::by_hand::options;
use crate::rehearsal::{market, prepared, rehearse};

/// Instants that are rehearsed, and those that the tape has behind them.
const INSTANTS: usize = 60;
const LATER: usize = 24;

fn request(kind: BacktestKind, stretch: BacktestStretch) -> BacktestRequest {
    BacktestRequest { kind: kind.into(), stretch: Some(stretch), ..BacktestRequest::default() }
}

async fn refused(tape: &Tape, at: &str, to: &str) -> String {
    let stretch = BacktestStretch { at: at.into(), to: to.into(), ..BacktestStretch::default() };
    find(tape.clone(), None, request(BacktestKind::Fork, stretch)).await.unwrap_err().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_beyond_the_end_of_the_tape_is_refused_by_its_field() {
    let tape: Tape = Arc::new(rehearse(INSTANTS, 1).await);
    let head = tape.state(stream::TRADING).await.unwrap().last_sequence;
    let newest = Timeline::new(tape.clone()).at(Moment::Instant(i64::MAX)).await.unwrap();
    let last = Moment::Instant(newest.market_ns.unwrap());
    let beyond = head + 1;
    assert_eq!(
        refused(&tape, &beyond.to_string(), "").await,
        format!("at \"{beyond}\": expected at most {head}, the last event on TRADING")
    );
    assert_eq!(
        refused(&tape, "2199-01-01T00:00:00Z", "").await,
        format!("at \"2199-01-01T00:00:00Z\": expected at most {last}, the last instant of the tape")
    );
    // Behind the last instant there is nothing to run again.
    let end = format!(
        "expected a moment before the last instant of the tape, whose instant ends at TRADING {head}"
    );
    assert_eq!(refused(&tape, &last.to_string(), "").await, format!("at \"{last}\": {end}"));
    assert_eq!(refused(&tape, &head.to_string(), "").await, format!("at \"{head}\": {end}"));
    assert!(refused(&tape, "40", "20").await.starts_with("to \"20\": expected a moment after the fork"));
    assert!(refused(&tape, "40", &beyond.to_string()).await.starts_with(&format!("to \"{beyond}\"")));
    assert_eq!(tape.state(stream::TRADING).await.unwrap().last_sequence, head, "nothing is recorded");
}

/// The tape with what the market does behind its end, on which nobody decides.
async fn unattended(log: &MemoryLog, from: usize, origin: Option<Origin>) -> Tape {
    for instant in market(INSTANTS + LATER).into_iter().skip(from) {
        for (subject, mut event) in instant.events {
            if let (Some(Body::Bar(bar)), Some(origin)) = (&mut event.body, origin) {
                bar.origin = origin.into();
            }
            log.append(Append { subject, event, expect: Expect::Nothing }).await.unwrap();
        }
    }
    Arc::new(log.clone())
}

/// The first session of which the rehearsal played nothing.
fn first_unattended(from: usize) -> String {
    let dates: Vec<_> =
        market(INSTANTS + LATER).iter().map(|instant| Calendar::xnys().date_of(instant.ns - 1)).collect();
    let played = dates[..from].last();
    dates[from..].iter().find(|date| Some(*date) != played).unwrap().to_string()
}

async fn parity(tape: &Tape, session: String) -> Comparison {
    let stretch = BacktestStretch { session, ..BacktestStretch::default() };
    let found = find(tape.clone(), None, request(BacktestKind::Parity, stretch)).await.unwrap();
    again(tape.clone(), options(), found, unwatched).await.unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_nobody_was_there_for_shows_what_the_backtest_decides() {
    let log = rehearse(INSTANTS, 1).await;
    let tape = unattended(&log, INSTANTS, None).await;
    let found = parity(&tape, first_unattended(INSTANTS)).await;
    assert_eq!((found.recorded.signals, found.verdict.as_str()), (0, "differs"));
    assert!(found.derived.signals > 0, "{:?}", found.derived);
    assert!(found.rows.iter().all(|row| row.outcome == Outcome::OnlyDerived));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_was_imported_has_no_decisions_on_either_side() {
    let log = rehearse(INSTANTS, 1).await;
    let tape = unattended(&log, INSTANTS, Some(Origin::Import)).await;
    let found = parity(&tape, first_unattended(INSTANTS)).await;
    assert_eq!((found.compared, found.verdict.as_str()), (0, "same"));
    assert_eq!((found.recorded.signals, found.derived.signals), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tape_without_decisions_has_none_and_one_without_bars_no_session() {
    let log = prepared().await;
    let nothing = BacktestStretch { session: first_unattended(0), ..BacktestStretch::default() };
    let error = find(Arc::new(log.clone()), None, request(BacktestKind::Parity, nothing)).await.unwrap_err();
    assert!(error.to_string().starts_with("the tape holds nothing of the session"), "{error}");
    let tape = unattended(&log, 0, Some(Origin::Backfill)).await;
    let found = parity(&tape, first_unattended(0)).await;
    assert_eq!((found.compared, found.verdict.as_str()), (0, "same"));
    // Neither has it the session before its first bar, nor the one behind its last.
    for date in ["2001-01-10", "2030-01-10"] {
        let beside = BacktestStretch { session: date.into(), ..BacktestStretch::default() };
        let error = find(tape.clone(), None, request(BacktestKind::Parity, beside)).await.unwrap_err();
        assert_eq!(error.to_string(), format!("the tape holds nothing of the session {date}"));
    }
}
