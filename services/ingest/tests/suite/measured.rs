//! Over a real nats-server: the clock, imports side by side, the floor.

use std::sync::Arc;
use std::time::{Duration, Instant as Moment};

use event_log::{Auth, Clock, ConnectOptions, JetStreamLog, Tape, definitions};
use ingest::clock::Speed;
use ingest::floor::{self, Floor};
use local_servers::testing::TestNats;

use crate::clock::{Short, start};
use crate::concurrent::{minutes, side_by_side};
use crate::fakes;
use crate::support::{stored, write};

fn options(nats: &TestNats) -> ConnectOptions {
    ConnectOptions {
        url: nats.url().into(),
        auth: Auth::None,
        name: "ingest-test".into(),
        clock: Clock::wall(),
    }
}

/// A handle of its own, as every service in a process of its own has.
async fn handle(nats: &TestNats) -> Tape {
    let log: JetStreamLog = event_log::connect(options(nats)).await.unwrap();
    definitions::apply(&log).await.unwrap();
    Arc::new(log)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clock_runs_over_a_real_server_and_resumes() {
    let nats = TestNats::start().await.unwrap();
    let (clock_tape, fakes_tape) = (handle(&nats).await, handle(&nats).await);
    let fakes = fakes::all(&fakes_tape);
    let source = Short::new(300);
    let began = Moment::now();
    let finished = start(&clock_tape, &source, Speed::Max).finish().await;
    let each = began.elapsed() / 300;
    assert_eq!(finished.progress.instants, 300);
    assert!(finished.progress.signals > 50, "{finished:?}");
    // The stand-ins wait for every single append, so this is far from the clock's own cost.
    assert!(each < Duration::from_millis(50), "{each:?} an instant");
    eprintln!("TEMP each {each:?} {:?}", finished.progress);
    let q = TestNats::start().await.unwrap();
    let tt = (handle(&q).await, handle(&q).await, handle(&q).await);
    let source = Short::new(2000);
    let _f2 = fakes::quiet(&tt.1, &tt.2);
    let began = Moment::now();
    let f = start(&tt.0, &source, Speed::Max).finish().await;
    eprintln!("TEMP quiet {:?} {:?}", began.elapsed() / 2000, f.progress);
    let fl = floor::measure(&options(&q), 3).await.unwrap();
    eprintln!("TEMP floor {fl:?} {:?}", fl.compare(&f.progress, began.elapsed()));
    let source = Short::new(300);
    drop(fakes);
    let _fakes = fakes::all(&handle(&nats).await);
    let finished = start(&handle(&nats).await, &source, Speed::Max).finish().await;
    assert!(finished.was_complete(), "{finished:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn imports_side_by_side_over_a_real_server() {
    let nats = TestNats::start().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (write(&dir, "1.csv", minutes("11")), write(&dir, "2.csv", minutes("12")));
    let tapes = (handle(&nats).await, handle(&nats).await);
    let (left, right) = side_by_side(&tapes.0, &tapes.1, vec![one.clone()], vec![one.clone()]).await;
    assert_eq!((left.appended + right.appended, left.duplicates + right.duplicates), (5_460, 5_460));
    let (left, right) = side_by_side(&tapes.0, &tapes.1, vec![two.clone()], vec![two]).await;
    assert_eq!((left.revisions + right.revisions, left.duplicates + right.duplicates), (5_460, 5_460));
    let events = stored(&tapes.0, "market.>").await;
    let ids: std::collections::BTreeSet<_> = events.iter().map(|recorded| &recorded.event.id).collect();
    assert_eq!((events.len(), ids.len()), (10_920, 10_920));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_floor_is_measured_and_leaves_nothing_behind() {
    let nats = TestNats::start().await.unwrap();
    let Floor { stream_hop_ns, market_hop_ns, plain_hop_ns } =
        floor::measure(&options(&nats), 4).await.unwrap();
    assert!(plain_hop_ns > 1_000 && stream_hop_ns > plain_hop_ns, "{plain_hop_ns} {stream_hop_ns}");
    assert!(market_hop_ns > stream_hop_ns / 2 && market_hop_ns < 100 * stream_hop_ns, "{market_hop_ns}");
    let client = async_nats::ConnectOptions::new();
    let url: async_nats::ServerAddr = nats.url().parse().unwrap();
    let (user, password) = (url.username().unwrap().to_owned(), url.password().unwrap().to_owned());
    let client = client.user_and_password(user, password).connect(url).await.unwrap();
    let state = async_nats::jetstream::new(client).query_account().await.unwrap();
    assert_eq!(state.streams, 0);
}
