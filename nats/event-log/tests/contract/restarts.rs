//! The server is killed and comes back while everything is in use.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use contracts::stream::MARKET;
use event_log::{EventLog as _, JetStreamLog, Reader, definitions};
use local_servers::testing::TestNats;

use crate::fixture::{PATIENCE, bar, client, consume, expecting, sequences, take};

async fn started() -> (TestNats, JetStreamLog) {
    let server = TestNats::start().await.unwrap();
    let log = client(&server).await;
    definitions::apply(&log).await.unwrap();
    (server, log)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_goes_on_behind_a_restart() {
    const EVENTS: u32 = 3_000;
    let (mut server, log) = started().await;
    let writer = log.clone();
    let mut all = log.read(MARKET, &[], 1).await.unwrap();
    let mut some = log.read(MARKET, &["market.bar.1h.B".into()], 1).await.unwrap();
    let writing = tokio::spawn(async move {
        for number in 0..EVENTS {
            let symbol = if number % 3 == 0 { "B" } else { "A" };
            // The retry after a lost answer must not double: the id is remembered by the server.
            writer.append(bar(symbol, number)).await.unwrap();
        }
    });
    // Another handle that follows through the first one's reader.
    let other = client(&server).await;
    other.share(log.shared());
    let mut followed = other.follow(MARKET, 1).await.unwrap();
    let following = tokio::spawn(async move { sequences(&take(&mut followed, EVENTS as usize).await) });
    let reading = tokio::spawn(async move {
        let read = take(&mut all, EVENTS as usize).await;
        (sequences(&read), take(&mut some, EVENTS as usize / 3).await.len())
    });
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        server.kill();
        server.start_again().await.unwrap();
    }
    writing.await.unwrap();
    let (read, filtered) = tokio::time::timeout(PATIENCE, reading).await.unwrap().unwrap();
    assert_eq!(read, (1..=u64::from(EVENTS)).collect::<Vec<_>>());
    assert_eq!(tokio::time::timeout(PATIENCE, following).await.unwrap().unwrap(), read);
    assert_eq!(filtered, EVENTS as usize / 3);
    assert_eq!(log.state(MARKET).await.unwrap().messages, u64::from(EVENTS));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_goes_on_behind_a_restart() {
    const EVENTS: u64 = 600;
    let (mut server, log) = started().await;
    let bars = (0..600).map(|number| bar("A", number)).collect();
    log.append_batch(bars).await.unwrap();
    let mut consumer = log.consume(MARKET, "strategy").await.unwrap();
    let mut acknowledged = 0;
    let mut killed = 0;
    while acknowledged < EVENTS {
        for delivery in consume(&mut consumer, 1).await {
            // An acknowledgement may be lost with the server; the handle repeats it and shows nothing twice.
            assert_eq!(delivery.sequence(), acknowledged + 1);
            consumer.ack(delivery.sequence()).await.unwrap();
            acknowledged += 1;
        }
        if acknowledged / 150 > killed {
            killed += 1;
            server.kill();
            server.start_again().await.unwrap();
        }
    }
    assert_eq!(killed, 4);
    drop(consumer);
    let mut again = log.consume(MARKET, "strategy").await.unwrap();
    log.append(bar("A", 600)).await.unwrap();
    loop {
        let delivery = consume(&mut again, 1).await.remove(0);
        again.ack(delivery.sequence()).await.unwrap();
        if delivery.sequence() == EVENTS + 1 {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_with_expectations_survive_restarts_once_each() {
    let (mut server, log) = started().await;
    let log = Arc::new(log);
    let writing = {
        let log = Arc::clone(&log);
        tokio::spawn(async move {
            for number in 0..800_u32 {
                let entry = expecting(bar("A", number), u64::from(number));
                let appended = log.append(entry).await.unwrap();
                assert_eq!(appended.sequence, u64::from(number) + 1);
            }
            for number in 8..16_u32 {
                let batch = (0..100).map(|index| bar("A", number * 100 + index)).collect::<Vec<_>>();
                let mut batch = batch;
                batch[0] = expecting(batch[0].clone(), u64::from(number) * 100);
                let appended = log.append_batch(batch).await.unwrap();
                assert_eq!(appended[99].sequence, u64::from(number) * 100 + 100);
            }
        })
    };
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(60)).await;
        server.kill();
        server.start_again().await.unwrap();
    }
    writing.await.unwrap();
    assert_eq!(log.state(MARKET).await.unwrap().messages, 1_600);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watchers_say_that_they_may_have_missed_something_and_go_on() {
    let (mut server, log) = started().await;
    let mut hints = log.hints("clock.>").await.unwrap();
    let mut acks = log.acks(MARKET).await.unwrap();
    server.kill();
    server.start_again().await.unwrap();
    assert!(tokio::time::timeout(PATIENCE, hints.next()).await.unwrap().is_err());
    assert!(tokio::time::timeout(PATIENCE, acks.next()).await.unwrap().is_err());
    log.append(bar("A", 1)).await.unwrap();
    log.hint("clock.decide", Vec::new()).await.unwrap();
    let hint = tokio::time::timeout(PATIENCE, hints.next()).await.unwrap().unwrap();
    assert_eq!(hint.subject, "clock.decide");
    let mut consumer = log.consume(MARKET, "strategy").await.unwrap();
    consume(&mut consumer, 1).await;
    consumer.ack(1).await.unwrap();
    let seen = tokio::time::timeout(PATIENCE, acks.next()).await.unwrap().unwrap();
    assert_eq!((seen.consumer.as_str(), seen.sequence), ("strategy", 1));
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

/// Why a read has ended.
async fn ended(reader: &mut Box<dyn Reader>) -> event_log::LogError {
    let batch = tokio::time::timeout(PATIENCE, reader.batch(1)).await.expect("an end in time");
    batch.expect_err("a read that has ended")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_ends_where_the_server_came_back_without_what_was_read() {
    let (mut server, log) = started().await;
    log.append_batch(vec![bar("A", 0), bar("A", 1), bar("B", 2)]).await.unwrap();
    server.stop().await;
    let (store, kept) = (server.directory().join("nats"), server.directory().join("kept"));
    copy(&store, &kept);
    server.start_again().await.unwrap();
    log.append_batch(vec![bar("A", 3), bar("A", 4)]).await.unwrap();
    let mut all = log.read(MARKET, &[], 1).await.unwrap();
    let mut followed = log.follow(MARKET, 1).await.unwrap();
    // It is to begin behind what will be lost, and has read nothing of it.
    let mut behind = log.read(MARKET, &[], 6).await.unwrap();
    // The last thing that this one has read stays.
    let mut some = log.read(MARKET, &["market.bar.1h.B".into()], 1).await.unwrap();
    assert_eq!(sequences(&take(&mut all, 5).await), [1, 2, 3, 4, 5]);
    assert_eq!(sequences(&take(&mut followed, 5).await), [1, 2, 3, 4, 5]);
    assert_eq!(sequences(&take(&mut some, 1).await), [3]);

    server.kill();
    std::fs::remove_dir_all(&store).unwrap();
    copy(&kept, &store);
    server.start_again().await.unwrap();
    // Others get the sequences of those that are gone, and one more.
    let others = client(&server).await;
    for number in 10..13 {
        others.append(bar("B", number)).await.unwrap();
    }
    for reader in [&mut all, &mut followed, &mut behind] {
        let error = ended(reader).await;
        assert!(error.is_taken_back(), "{error}");
    }
    assert_eq!(sequences(&take(&mut some, 3).await), [4, 5, 6]);
    // Whoever begins again follows as ever, with the others too.
    let mut again = log.follow(MARKET, 4).await.unwrap();
    assert_eq!(sequences(&take(&mut again, 3).await), [4, 5, 6]);
    log.append(bar("A", 20)).await.unwrap();
    assert_eq!(sequences(&take(&mut again, 1).await), [7]);
    let beyond = log.read(MARKET, &[], 9).await.err().expect("no reader behind the end");
    assert!(beyond.is_taken_back(), "{beyond}");
}
