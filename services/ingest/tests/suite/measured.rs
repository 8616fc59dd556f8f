//! Over a real nats-server: the clock, imports side by side, the floor.

use std::sync::Arc;
use std::time::{Duration, Instant as Moment};

use contracts::stream::MARKET;
use contracts::v1::event::Body;
use contracts::v1::{Bar, Event};
use contracts::{bar_id, to_timestamp};
use event_log::{Auth, Clock, ConnectOptions, JetStreamLog, Tape, definitions};
use ingest::clock::{Progress, Speed};
use ingest::floor::{self, Floor};
use local_servers::testing::TestNats;

use crate::clock::{Short, start};
use crate::concurrent::{minutes, side_by_side};
use crate::fakes;
use crate::support::{import, stored, write};

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

/// A client that knows nothing of the event log.
async fn client(nats: &TestNats) -> async_nats::Client {
    let url: async_nats::ServerAddr = nats.url().parse().unwrap();
    let (user, password) = (url.username().unwrap().to_owned(), url.password().unwrap().to_owned());
    async_nats::ConnectOptions::new().user_and_password(user, password).connect(url).await.unwrap()
}

/// Lets the server know ids of MARKET for no longer than it can be told to.
async fn shorten_the_dedupe_window(nats: &TestNats) {
    let market = definitions::STREAMS.iter().find(|file| file.name == MARKET).unwrap();
    let mut config = market.config().unwrap();
    config["duplicate_window"] = serde_json::Value::from(100_000_000);
    let subject = format!("$JS.API.STREAM.UPDATE.{MARKET}");
    let answer = client(nats).await.request(subject, config.to_string().into()).await.unwrap();
    let answer = String::from_utf8_lossy(&answer.payload).into_owned();
    assert!(answer.contains("\"duplicate_window\":100000000"), "{answer}");
}

/// Returns when the server takes the id of an event for new that was stored when this began, and so every older one.
async fn until_ids_are_forgotten(nats: &TestNats) {
    let close_ns = 1_577_979_000_000_000_000;
    let bar = Bar { symbol: "Z".to_owned(), timeframe: "1m".to_owned(), ..Bar::default() };
    let event = Event {
        id: bar_id("other", "Z", "1m", close_ns),
        event_time: Some(to_timestamp(close_ns)),
        body: Some(Body::Bar(bar)),
        ..Event::default()
    };
    let context = async_nats::jetstream::new(client(nats).await);
    let publish = async || {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-Msg-Id", event.id.as_str());
        let payload = contracts::encode(&event).into();
        let sent = context.publish_with_headers("market.bar.1m.Z", headers, payload).await.unwrap();
        sent.await.unwrap()
    };
    assert!(!publish().await.duplicate);
    let forgotten = async { while publish().await.duplicate {} };
    tokio::time::timeout(Duration::from_secs(20), forgotten).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn imports_store_every_bar_once_beyond_the_dedupe_window_too() {
    let nats = TestNats::start().await.unwrap();
    let tapes = (handle(&nats).await, handle(&nats).await);
    shorten_the_dedupe_window(&nats).await;
    let dir = tempfile::tempdir().unwrap();
    let files = vec![write(&dir, "x.csv", minutes("11"))];
    let (left, right) = side_by_side(&tapes.0, &tapes.1, files.clone(), files.clone()).await;
    assert_eq!((left.appended + right.appended, left.duplicates + right.duplicates), (5_460, 5_460));

    until_ids_are_forgotten(&nats).await;
    let again = import(&tapes.0, &files).await;
    assert_eq!((again.appended, again.duplicates, again.revisions), (0, 5_460, 0));
    let (left, right) = side_by_side(&tapes.0, &tapes.1, files.clone(), files).await;
    assert_eq!((left.appended + right.appended, left.duplicates + right.duplicates), (0, 10_920));
    for symbol in ["X", "Y"] {
        assert_eq!(stored(&tapes.0, &format!("market.bar.1m.{symbol}")).await.len(), 2_730);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_floor_is_measured_and_leaves_nothing_behind() {
    let nats = TestNats::start().await.unwrap();
    let Floor { stream_hop_ns, market_hop_ns, plain_hop_ns } =
        floor::measure(&options(&nats), 4, Duration::from_secs(60)).await.unwrap();
    // Other tests run beside this one, so no ratio between them would hold.
    assert!(plain_hop_ns > 1_000 && stream_hop_ns > 1_000 && market_hop_ns > 1_000);
    let state = async_nats::jetstream::new(client(&nats).await).query_account().await.unwrap();
    assert_eq!(state.streams, 0);
}

#[test]
fn a_short_run_is_not_followed_by_a_long_measurement() {
    let rounds = [0, 2, 20, 60, 86_400].map(|seconds| floor::rounds(Duration::from_secs(seconds)));
    assert_eq!(rounds, [100, 100, 500, 1_000, 1_000]);
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
