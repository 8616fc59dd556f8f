//! Whoever observes a handle: what its appends carry and what deliveries give back.

use std::sync::{Arc, Mutex};

use contracts::stream::{MARKET, TRADING};
use event_log::{Append, AppendError, Appended, Delivery, Expect, Observer, Pending, TraceParent};

use crate::fixture::{Fixture, accepted, bar, consume, expecting, order, take, until};

crate::contract!(
    what_an_append_carries_a_delivery_gives_back,
    an_append_is_told_how_it_was_answered,
    a_header_of_a_plain_client_is_read_and_nonsense_passed_over,
);

/// Gives each append a context that follows from its event's id, and notes everything.
#[derive(Default)]
struct Notes {
    delivered: Mutex<Vec<(String, String, Option<TraceParent>)>>,
    answered: Arc<Mutex<Vec<String>>>,
}

struct Noted {
    id: String,
    answered: Arc<Mutex<Vec<String>>>,
}

fn context(id: &str) -> TraceParent {
    let trace_id = u128::from_str_radix(id, 16).unwrap();
    TraceParent { trace_id, span_id: u64::try_from(trace_id >> 64).unwrap(), sampled: true }
}

impl Observer for Notes {
    fn appending(&self, entry: &Append) -> Box<dyn Pending> {
        Box::new(Noted { id: entry.event.id.clone(), answered: Arc::clone(&self.answered) })
    }

    fn delivered(&self, stream: &str, delivery: &Delivery, trace: Option<TraceParent>) {
        let id = match delivery {
            Delivery::Event(recorded) => recorded.event.id.clone(),
            Delivery::Undecodable { subject, .. } => subject.clone(),
        };
        self.delivered.lock().unwrap().push((stream.to_owned(), id, trace));
    }
}

impl Pending for Noted {
    fn trace(&self) -> Option<TraceParent> {
        Some(context(&self.id))
    }

    fn answered(&self, outcome: &Result<Appended, AppendError>) {
        let text = match outcome {
            Ok(Appended { sequence, duplicate: false }) => format!("stored {sequence}"),
            Ok(Appended { sequence, duplicate: true }) => format!("duplicate {sequence}"),
            Err(AppendError::Conflict { .. }) => "conflict".to_owned(),
            Err(AppendError::Refused(_)) => "refused".to_owned(),
            Err(AppendError::Unavailable(_)) => "unavailable".to_owned(),
        };
        self.answered.lock().unwrap().push(text);
    }
}

fn observe(fixture: &Fixture) -> Arc<Notes> {
    let notes = Arc::new(Notes::default());
    match fixture {
        Fixture::Memory(log) => log.observe(notes.clone()),
        Fixture::JetStream { log, .. } => log.observe(notes.clone()),
    }
    notes
}

async fn what_an_append_carries_a_delivery_gives_back(fixture: Fixture) {
    let notes = observe(&fixture);
    let tape = fixture.tape();
    tape.append(bar("A", 0)).await.unwrap();
    tape.append_batch(vec![bar("A", 1), bar("A", 2)]).await.unwrap();
    tape.append_pipelined(vec![bar("A", 3), bar("B", 4)]).await;
    let ids: Vec<_> = [("A", 0), ("A", 1), ("A", 2), ("A", 3), ("B", 4)]
        .into_iter()
        .map(|(symbol, number)| bar(symbol, number).event.id)
        .collect();
    let expected: Vec<_> = ids.iter().map(|id| (MARKET.to_owned(), id.clone(), Some(context(id)))).collect();

    let mut reader = tape.read(MARKET, &[], 0).await.unwrap();
    let read = take(&mut reader, 5).await;
    assert_eq!(*notes.delivered.lock().unwrap(), expected, "an ordered read");
    notes.delivered.lock().unwrap().clear();
    let mut consumer = tape.consume(MARKET, "execution").await.unwrap();
    consume(&mut consumer, 5).await;
    assert_eq!(*notes.delivered.lock().unwrap(), expected, "a durable consumer");

    // The event itself knows nothing of it.
    let Delivery::Event(first) = &read[0] else { panic!("expected an event") };
    let mut event = first.event.clone();
    event.recorded_time = None;
    assert_eq!(event, bar("A", 0).event);
}

async fn an_append_is_told_how_it_was_answered(fixture: Fixture) {
    let notes = observe(&fixture);
    let tape = fixture.tape();
    let of = order("A", 1);
    tape.append(accepted(&of, "first", 0)).await.unwrap();
    tape.append(accepted(&of, "first", 0)).await.unwrap();
    tape.append(accepted(&of, "second", 0)).await.unwrap_err();
    let beside = Expect::Last { filter: "elsewhere.>".into(), sequence: 0 };
    tape.append(Append { expect: beside, ..bar("A", 1) }).await.unwrap_err();
    tape.append_batch(vec![expecting(bar("A", 2), 9), bar("B", 2)]).await.unwrap_err();
    let answered = notes.answered.lock().unwrap().clone();
    // A batch is refused as a whole, and each of its events told so.
    let expected = ["stored 1", "duplicate 1", "conflict", "refused", "refused", "refused"];
    assert_eq!(answered, expected);
    assert_eq!(tape.state(TRADING).await.unwrap().last_sequence, 1);
}

async fn a_header_of_a_plain_client_is_read_and_nonsense_passed_over(fixture: Fixture) {
    let notes = observe(&fixture);
    let payload = contracts::encode(&bar("A", 1).event);
    let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
    for header in [Some(good), Some("nonsense"), None] {
        fixture.publish_traced("market.bar.1h.A", &payload, header).await;
    }
    let mut reader = fixture.tape().read(MARKET, &[], 0).await.unwrap();
    take(&mut reader, 3).await;
    until(async || notes.delivered.lock().unwrap().len() == 3).await;
    let traces: Vec<_> = notes.delivered.lock().unwrap().iter().map(|(.., trace)| *trace).collect();
    assert_eq!(traces, [Some(good.parse().unwrap()), None, None]);
}
