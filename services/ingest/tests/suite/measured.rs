//! Over a real nats-server: the clock, imports side by side, the floor.

use std::sync::Arc;
use std::time::{Duration, Instant as Moment};

use event_log::{Auth, Clock, ConnectOptions, JetStreamLog, Tape, definitions};
use ingest::clock::{Progress, Speed};
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
    // Other tests run beside this one, so no ratio between them would hold.
    assert!(plain_hop_ns > 1_000 && stream_hop_ns > 1_000 && market_hop_ns > 1_000);
    let client = async_nats::ConnectOptions::new();
    let url: async_nats::ServerAddr = nats.url().parse().unwrap();
    let (user, password) = (url.username().unwrap().to_owned(), url.password().unwrap().to_owned());
    let client = client.user_and_password(user, password).connect(url).await.unwrap();
    let state = async_nats::jetstream::new(client).query_account().await.unwrap();
    assert_eq!(state.streams, 0);
}

#[test]
fn the_floor_is_the_sum_of_its_hops() {
    let floor = Floor { stream_hop_ns: 100, market_hop_ns: 150, plain_hop_ns: 10 };
    let progress = Progress {
        instants: 10,
        instants_with_bars: 8,
        instants_with_signals: 4,
        instants_with_orders: 2,
        instants_with_fills: 1,
        bars: 32,
        ..Progress::default()
    };
    // 8 × (150 + 100 + 10) + 2 × 200 + 4 × 230 + 2 × 200 + 1 × 100.
    assert_eq!(floor.least(&progress), Duration::from_nanos(3_900));
    let compared = floor.compare(&progress, Duration::from_nanos(7_800)).unwrap();
    assert!((compared.percent_of_floor - 50.0).abs() < 1e-9);
    assert!((compared.floor_bars_per_second / compared.bars_per_second - 2.0).abs() < 1e-9);
    assert_eq!(floor.compare(&Progress::default(), Duration::from_secs(1)), None);
}
