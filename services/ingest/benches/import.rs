//! The rate of an import beside that of a raw atomic-batch publisher of equal payload.
//!
//! Both append the same events of the real data to a stream of the same definition on a nats-server that
//! syncs every write. The raw publisher has its payloads and ids at hand and does nothing but publish them
//! in batches of 1,000, one after the other, without expectations; the import opens, unpacks, reads and
//! checks the files, looks at what the tape holds, builds and encodes the events and expects each subject's
//! last sequence. Rounds alternate, each on a server of its own, and the median counts.
//!
//! Run with `cargo bench --profile dev -p ingest`, the profile that everything else is built with.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints its figures and fails by panicking"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use async_nats::header::{NATS_BATCH_COMMIT, NATS_BATCH_ID, NATS_BATCH_SEQUENCE, NATS_MESSAGE_ID};
use async_nats::jetstream::{self, stream};
use async_nats::{HeaderMap, HeaderValue};
use bytes::Bytes;
use contracts::stream::MARKET;
use event_log::{Auth, Clock, ConnectOptions, Delivery, Tape, definitions};
use ingest::import::{self, ImportOptions};
use local_servers::testing::TestNats;

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 7;
const BATCH: usize = 1_000;
const BARS: u64 = 163_294;

/// A message as the raw publisher has it at hand.
struct Message {
    subject: String,
    id: String,
    payload: Bytes,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let files = files();
    let (mut imports, mut raws) = (Vec::new(), Vec::new());
    let mut messages = Vec::new();
    for round in 0..ROUNDS {
        let nats = server().await;
        let tape = tape(&nats).await;
        let began = Instant::now();
        let report = import::run(&tape, &ImportOptions::default(), &files).await.whole().unwrap();
        let elapsed = began.elapsed().as_secs_f64();
        assert_eq!((report.appended, report.rejected.len()), (BARS, 0));
        imports.push((report.appended + report.findings) as f64 / elapsed);
        if messages.is_empty() {
            messages = stored(&tape).await;
        }
        drop((tape, nats));
        raws.push(raw(&server().await, &messages).await);
        println!("round {}: import {:.0}/s, raw {:.0}/s", round + 1, imports[round], raws[round]);
    }
    let ratio = 100.0 * median(imports.iter().zip(&raws).map(|(import, raw)| import / raw).collect());
    let (import, raw) = (median(imports), median(raws));
    println!(
        "{} events: import {import:.0}/s, raw publisher {raw:.0}/s, ratio {ratio:.1} % (at least 80 %)",
        messages.len()
    );
}

fn files() -> Vec<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    #[expect(clippy::disallowed_methods, reason = "the test data's place is configured by the environment")]
    let dir = std::env::var_os("TAPEDECK_TEST_DATA").map_or_else(beside, PathBuf::from);
    ["AAPL", "BAC", "IBM", "SPY"].map(|symbol| dir.join(format!("bars-1h-{symbol}.csv.gz"))).to_vec()
}

async fn server() -> TestNats {
    TestNats::start_with(|options| options.sync_always = true).await.unwrap()
}

async fn tape(nats: &TestNats) -> Tape {
    let options = ConnectOptions {
        url: nats.url().into(),
        auth: Auth::None,
        name: "bench".into(),
        clock: Clock::wall(),
    };
    let log = event_log::connect(options).await.unwrap();
    definitions::apply(&log).await.unwrap();
    Arc::new(log)
}

/// What the import stored, to be published again.
async fn stored(tape: &Tape) -> Vec<Message> {
    let last = tape.state(MARKET).await.unwrap().last_sequence;
    let mut reader = tape.read(MARKET, &[], 0).await.unwrap();
    let mut messages = Vec::new();
    loop {
        for delivery in reader.batch(4_096).await.unwrap() {
            let Delivery::Event(recorded) = delivery else { panic!("undecodable") };
            let payload = Bytes::from(contracts::encode(&recorded.event));
            messages.push(Message { subject: recorded.subject, id: recorded.event.id, payload });
            if recorded.sequence == last {
                return messages;
            }
        }
    }
}

/// Publishes everything in atomic batches; answers events per second.
async fn raw(nats: &TestNats, messages: &[Message]) -> f64 {
    let url: async_nats::ServerAddr = nats.url().parse().unwrap();
    let (user, password) = (url.username().unwrap().to_owned(), url.password().unwrap().to_owned());
    let client =
        async_nats::ConnectOptions::new().user_and_password(user, password).connect(url).await.unwrap();
    let definition = definitions::STREAMS.iter().find(|file| file.name == MARKET).unwrap();
    let config: stream::Config = serde_json::from_value(definition.config().unwrap()).unwrap();
    jetstream::new(client.clone()).create_stream(config).await.unwrap();
    let began = Instant::now();
    for (number, batch) in messages.chunks(BATCH).enumerate() {
        for (index, message) in batch.iter().enumerate() {
            let mut headers = HeaderMap::new();
            headers.insert(NATS_MESSAGE_ID, message.id.as_str());
            headers.insert(NATS_BATCH_ID, format!("b{number}").as_str());
            headers.insert(NATS_BATCH_SEQUENCE, HeaderValue::from(index + 1));
            let (subject, payload) = (message.subject.clone(), message.payload.clone());
            if index + 1 < batch.len() {
                client.publish_with_headers(subject, headers, payload).await.unwrap();
                continue;
            }
            headers.insert(NATS_BATCH_COMMIT, "1");
            let answer = client.request_with_headers(subject, headers, payload).await.unwrap();
            let answer: serde_json::Value = serde_json::from_slice(&answer.payload).unwrap();
            assert!(answer["error"].is_null() && answer["seq"].is_u64(), "{answer}");
        }
    }
    messages.len() as f64 / began.elapsed().as_secs_f64()
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}
