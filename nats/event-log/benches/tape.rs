//! What the adapter costs beside the client library alone, on one real server: the same payloads, once
//! through the port and once as raw messages.
//!
//! `cargo bench -p event-log --profile dev` (the one profile of the workspace). Each figure is per event of about 200 bytes. The server keeps every
//! acknowledged write on disk (`sync_interval: always`), as a real tape's does.

#![expect(clippy::unwrap_used, reason = "a measurement that fails should stop")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use async_nats::jetstream::consumer::{DeliverPolicy, push};
use async_nats::{HeaderMap, HeaderValue, Request, header};
use contracts::Subject;
use contracts::v1::event::Body;
use contracts::v1::{Bar, Event, Origin};
use divan::Bencher;
use divan::counter::ItemsCount;
use event_log::{
    Append, Auth, Clock, ConnectOptions, EventLog as _, Expect, JetStreamLog, connect, definitions,
};
use futures::StreamExt as _;
use local_servers::testing::TestNats;
use tokio::runtime::Runtime;

const BATCH: u32 = 1_000;
const PIPELINE: u32 = 4_000;
const STORED: u32 = 1_000_000;

fn main() {
    divan::main();
}

struct Bench {
    runtime: Runtime,
    _server: TestNats,
    log: JetStreamLog,
    raw: async_nats::Client,
    next: AtomicU32,
}

/// Everything shares one server and one runtime, so that the figures of a run compare.
fn bench() -> &'static Bench {
    static BENCH: OnceLock<Bench> = OnceLock::new();
    BENCH.get_or_init(|| {
        let runtime = Runtime::new().unwrap();
        let (server, log, raw) = runtime.block_on(async {
            let server = TestNats::start_with(|options| options.sync_always = true).await.unwrap();
            let options = ConnectOptions {
                url: server.url().into(),
                auth: Auth::None,
                name: "bench".into(),
                clock: Clock::wall(),
            };
            let log = connect(options).await.unwrap();
            definitions::apply(&log).await.unwrap();
            let address: async_nats::ServerAddr = server.url().parse().unwrap();
            let (user, password) = (address.username().unwrap(), address.password().unwrap());
            let raw = async_nats::ConnectOptions::with_user_and_password(user.into(), password.into())
                .subscription_capacity(1 << 19)
                .read_buffer_capacity(u16::MAX)
                .connect(&address)
                .await
                .unwrap();
            (server, log, raw)
        });
        Bench { runtime, _server: server, log, raw, next: AtomicU32::new(0) }
    })
}

/// A bar that was never there before.
fn append(bench: &Bench) -> Append {
    let number = bench.next.fetch_add(1, Ordering::Relaxed);
    let close_ns = i64::from(number) * 3_600_000_000_000;
    let id = contracts::bar_id("bench", "ABCD", "1h", close_ns);
    let bar = Bar {
        symbol: "ABCD".into(),
        timeframe: "1h".into(),
        start: Some(contracts::to_timestamp(close_ns - 3_600_000_000_000)),
        open_e9: 187_150_000_000,
        high_e9: 188_440_000_000,
        low_e9: 183_885_000_000,
        close_e9: 185_640_000_000,
        volume_e3: 82_488_674_000,
        origin: Origin::Import.into(),
        ..Bar::default()
    };
    let event = Event {
        id: id.clone(),
        event_time: Some(contracts::to_timestamp(close_ns)),
        source: "ingest".into(),
        correlation_id: id,
        body: Some(Body::Bar(bar)),
        ..Event::default()
    };
    Append { subject: Subject::bar("1h", "ABCD"), event, expect: Expect::Nothing }
}

/// The same bar as a raw client would send it: bytes made beforehand.
fn message(bench: &Bench) -> (String, String, bytes::Bytes) {
    let entry = append(bench);
    let payload = contracts::encode(&entry.event);
    (entry.subject.as_str().to_owned(), entry.event.id, payload.into())
}

fn id_header(id: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::NATS_MESSAGE_ID, id);
    headers
}

#[divan::bench(sample_count = 300)]
fn append_one_port(bencher: Bencher) {
    let bench = bench();
    bencher
        .counter(ItemsCount::new(1_u32))
        .with_inputs(|| append(bench))
        .bench_values(|entry| bench.runtime.block_on(bench.log.append(entry)).unwrap());
}

#[divan::bench(sample_count = 300)]
fn append_one_raw(bencher: Bencher) {
    let bench = bench();
    bencher.counter(ItemsCount::new(1_u32)).with_inputs(|| message(bench)).bench_values(
        |(subject, id, payload)| {
            let request = Request::new().payload(payload).headers(id_header(&id));
            bench.runtime.block_on(bench.raw.send_request(subject, request)).unwrap()
        },
    );
}

#[divan::bench(sample_count = 5)]
fn append_pipelined_port(bencher: Bencher) {
    let bench = bench();
    bencher
        .counter(ItemsCount::new(PIPELINE))
        .with_inputs(|| (0..PIPELINE).map(|_| append(bench)).collect::<Vec<_>>())
        .bench_values(|entries| {
            let outcomes = bench.runtime.block_on(bench.log.append_pipelined(entries));
            assert!(outcomes.iter().all(Result::is_ok));
        });
}

#[divan::bench(sample_count = 5)]
fn append_pipelined_raw(bencher: Bencher) {
    let bench = bench();
    let context = bench.runtime.block_on(async { async_nats::jetstream::new(bench.raw.clone()) });
    bencher
        .counter(ItemsCount::new(PIPELINE))
        .with_inputs(|| (0..PIPELINE).map(|_| message(bench)).collect::<Vec<_>>())
        .bench_values(|messages| {
            bench.runtime.block_on(async {
                let mut acks = Vec::with_capacity(messages.len());
                for (subject, id, payload) in messages {
                    let sent = context.publish_with_headers(subject, id_header(&id), payload);
                    acks.push(sent.await.unwrap());
                }
                for ack in acks {
                    ack.await.unwrap();
                }
            });
        });
}

#[divan::bench(sample_count = 40)]
fn append_batch_port(bencher: Bencher) {
    let bench = bench();
    bencher
        .counter(ItemsCount::new(BATCH))
        .with_inputs(|| (0..BATCH).map(|_| append(bench)).collect::<Vec<_>>())
        .bench_values(|entries| bench.runtime.block_on(bench.log.append_batch(entries)).unwrap());
}

#[divan::bench(sample_count = 40)]
fn append_batch_raw(bencher: Bencher) {
    let bench = bench();
    bencher
        .counter(ItemsCount::new(BATCH))
        .with_inputs(|| (0..BATCH).map(|_| message(bench)).collect::<Vec<_>>())
        .bench_values(|messages| bench.runtime.block_on(raw_batch(&bench.raw, messages)));
}

/// The least a client can do: batch headers and ids, one answer at the end.
async fn raw_batch(raw: &async_nats::Client, messages: Vec<(String, String, bytes::Bytes)>) {
    let inbox = raw.new_inbox();
    let batch_id = inbox.rsplit('.').next().unwrap();
    let last = messages.len();
    for (number, (subject, id, payload)) in (1..).zip(messages) {
        let mut headers = id_header(&id);
        headers.insert(header::NATS_BATCH_ID, batch_id);
        headers.insert(header::NATS_BATCH_SEQUENCE, HeaderValue::from(number));
        if number < last {
            raw.publish_with_headers(subject, headers, payload).await.unwrap();
        } else {
            headers.insert(header::NATS_BATCH_COMMIT, header::NATS_BATCH_COMMIT_FINAL);
            let request = Request::new().payload(payload).headers(headers);
            let reply = raw.send_request(subject, request).await.unwrap();
            assert!(!String::from_utf8_lossy(&reply.payload).contains("error"));
        }
    }
}

/// A stream of its own with a million bars.
fn stored(bench: &Bench) -> u64 {
    static STORED_ONCE: OnceLock<u64> = OnceLock::new();
    *STORED_ONCE.get_or_init(|| {
        bench.runtime.block_on(async {
            let log = Arc::new(bench.log.clone());
            let mut last = log.state(contracts::stream::MARKET).await.unwrap().last_sequence;
            while last < u64::from(STORED) {
                let batch = (0..BATCH).map(|_| append(bench)).collect();
                last = log.append_batch(batch).await.unwrap()[BATCH as usize - 1].sequence;
            }
            u64::from(STORED)
        })
    })
}

#[divan::bench(sample_count = 3, sample_size = 1)]
fn read_port(bencher: Bencher) {
    let bench = bench();
    let count = stored(bench);
    bencher.counter(ItemsCount::new(count)).bench(|| {
        bench.runtime.block_on(async {
            let mut reader = bench.log.read(contracts::stream::MARKET, &[], 1).await.unwrap();
            let mut read = 0;
            while read < count {
                read += reader.batch(1_000).await.unwrap().len() as u64;
            }
        });
    });
}

#[divan::bench(sample_count = 3, sample_size = 1)]
fn read_raw(bencher: Bencher) {
    let bench = bench();
    let count = stored(bench);
    bencher.counter(ItemsCount::new(count)).bench(|| {
        bench.runtime.block_on(async {
            let context = async_nats::jetstream::new(bench.raw.clone());
            let stream = context.get_stream(contracts::stream::MARKET).await.unwrap();
            let config = push::OrderedConfig {
                deliver_subject: bench.raw.new_inbox(),
                deliver_policy: DeliverPolicy::All,
                ..push::OrderedConfig::default()
            };
            let mut messages = stream.create_consumer(config).await.unwrap().messages().await.unwrap();
            for _ in 0..count {
                messages.next().await.unwrap().unwrap();
            }
        });
    });
}
