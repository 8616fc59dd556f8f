//! Rebuilding `bars` from the tape, against a raw COPY of the same rows into an equal table.
//!
//! `cargo bench -p projections --bench rebuild -- [BARS]`. Generated bars of 20 symbols; both rates are
//! measured in this run, on these servers, and the rebuild's includes making the schema, analysing and
//! swapping it in. Exits with an error below 60 %.
#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

mod bench;

use std::time::Instant;

use contracts::v1::event::Body;
use contracts::v1::{Bar, Event, Origin};
use contracts::{Subject, bar_id, to_timestamp};
use event_log::{Append, Expect};
use futures::TryStreamExt as _;
use projections::{Name, Projector};
use sqlx::Executor as _;
use tokio_util::sync::CancellationToken;

use bench::{Bench, Outcome};

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SYMBOLS: usize = 20;
const HOUR_NS: i64 = 3_600_000_000_000;
/// 2010-01-04 15:00 UTC.
const START_NS: i64 = 1_262_617_200_000_000_000;
const RATIO_MIN: f64 = 0.6;

#[tokio::main]
async fn main() -> Outcome<()> {
    let bars = bench::size(1_000_000);
    let bench = Bench::start().await?;
    publish(&bench, bars).await?;
    drain(&bench).await?;
    let raw = raw_copy(&bench).await?;
    let cancel = CancellationToken::new();
    let mut best = 0.0_f64;
    for round in 1..=3 {
        let started = Instant::now();
        let port = bench.port.as_ref();
        let report = projections::rebuild(&bench.writer, &bench.tape, Name::Bars, port, &cancel).await?;
        let rate = per_second(report.messages, started);
        best = best.max(rate);
        println!("rebuild {round}: {rate:>9.0} bars/s, {:.0} % of the raw COPY", 100.0 * rate / raw);
    }
    let started = Instant::now();
    let report = projections::verify(&bench.writer, &bench.tape, Name::Bars).await?;
    println!("verify: {:.2} s, {} differences", started.elapsed().as_secs_f64(), report.differences());
    if best < RATIO_MIN * raw || report.differences() > 0 {
        return Err(format!("expected at least {RATIO_MIN} of {raw:.0} bars/s and no difference").into());
    }
    Ok(())
}

fn per_second(count: u64, started: Instant) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / started.elapsed().as_secs_f64()
}

/// Reading and decoding alone, for comparison.
async fn drain(bench: &Bench) -> Outcome<()> {
    let head = bench.tape.state("MARKET").await?.last_sequence;
    let started = Instant::now();
    let mut reader = bench.tape.read("MARKET", &[], 1).await?;
    let mut last = 0;
    while last < head {
        last = reader.batch(8_192).await?.last().map_or(last, event_log::Delivery::sequence);
    }
    println!("tape alone: {:.0} bars/s", per_second(head, started));
    Ok(())
}

/// The live projection folds the bars once; its rows are then copied out, and into an equal table.
async fn raw_copy(bench: &Bench) -> Outcome<f64> {
    let head = bench.tape.state("MARKET").await?.last_sequence;
    let stop = CancellationToken::new();
    let projector =
        Projector { pool: bench.writer.clone(), tape: bench.tape.clone(), port: bench.port.clone() };
    let started = Instant::now();
    let running = {
        let stop = stop.clone();
        tokio::spawn(async move { projector.follow(Name::Bars, &stop).await })
    };
    while projections::queries::checkpoints(&bench.reader).await?.first().map_or(0, |row| row.sequence) < head
    {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    println!("first run: {:.0} bars/s", per_second(head, started));
    stop.cancel();
    running.await??;

    let mut connection = bench.writer.acquire().await?;
    connection.execute("SELECT projection.create_bars('raw_copy')").await?;
    let chunks: Vec<_> = connection
        .copy_out_raw("COPY (SELECT * FROM bars.bars ORDER BY sequence) TO STDOUT")
        .await?
        .try_collect()
        .await?;
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    for chunk in chunks {
        match blocks.last_mut() {
            Some(block) if block.len() < 64 * 1024 => block.extend_from_slice(&chunk),
            _ => blocks.push(chunk.to_vec()),
        }
    }
    let mut best = 0.0_f64;
    for _ in 0..3 {
        connection.execute("TRUNCATE raw_copy.bars").await?;
        let started = Instant::now();
        let mut copy = connection.copy_in_raw("COPY raw_copy.bars FROM STDIN").await?;
        for block in &blocks {
            copy.send(block.as_slice()).await?;
        }
        let rows = copy.finish().await?;
        best = best.max(per_second(rows, started));
    }
    println!("raw COPY:  {best:>9.0} bars/s");
    Ok(best)
}

async fn publish(bench: &Bench, bars: usize) -> Outcome<()> {
    let started = Instant::now();
    let mut batch = Vec::with_capacity(1_000);
    for index in 0..bars {
        batch.push(append(index)?);
        if batch.len() == 1_000 || index + 1 == bars {
            bench.tape.append_batch(std::mem::take(&mut batch)).await?;
        }
    }
    println!("published {bars} bars in {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}

fn append(index: usize) -> Outcome<Append> {
    let symbol = format!("SYM{}", index % SYMBOLS);
    let step = i64::try_from(index / SYMBOLS)?;
    let start_ns = START_NS + step * HOUR_NS;
    let close_e9 = 100_000_000_000 + (step * 7_919 % 1_000) * 10_000_000;
    let bar = Bar {
        symbol: symbol.clone(),
        timeframe: "1h".to_owned(),
        start: Some(to_timestamp(start_ns)),
        open_e9: close_e9 - 120_000_000,
        high_e9: close_e9 + 340_000_000,
        low_e9: close_e9 - 560_000_000,
        close_e9,
        volume_e3: 1_000_000 + step * 1_000,
        origin: Origin::Import.into(),
        vwap_e9: None,
        trade_count: None,
        made_of: String::new(),
    };
    let event = Event {
        id: bar_id("bench", &symbol, "1h", start_ns + HOUR_NS),
        event_time: Some(to_timestamp(start_ns + HOUR_NS)),
        source: "bench".to_owned(),
        body: Some(Body::Bar(bar)),
        ..Event::default()
    };
    Ok(Append { subject: Subject::bar("1h", &symbol), event, expect: Expect::Nothing })
}
