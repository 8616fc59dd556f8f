//! How long a whole backtest takes as a process: 1,000,000 generated one-minute bars of 10 symbols, SMA(10/20)
//! cross with orders, fills, portfolio and equity, every event formed and hashed, results printed.
//!
//! Prints a table of wall time, bars per second and the most memory that the process held, from the segments of a
//! tape and from Parquet, and for a sweep of 100 parameter pairs from the segments. The best of a few rounds counts
//! for time, the most of them for memory.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use domain::calendar::Calendar;
use polars::prelude::{
    Column, DataFrame, DataType, NamedFrom as _, ParquetWriter, Series, TimeUnit, TimeZone,
};

const SYMBOLS: usize = 10;
const BARS: usize = 100_000;
const ROUNDS: usize = 5;
const MINUTE_NS: i64 = 60_000_000_000;

fn main() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let parquet = home.path().join("bars-1m-generated.parquet");
    let mut frame = generate()?;
    ParquetWriter::new(std::fs::File::create(&parquet)?).finish(&mut frame)?;
    let file = parquet.to_str().context("a path in UTF-8")?;
    let program = |words: &[&str]| tapedeck(home.path(), words);
    // The segments of a tape come about as a user's would: an import, read once.
    run(program(&["import", file, "--timezone", "UTC", "--tape", "bench"]))?;
    run(program(&["history", "sync"]))?;
    let (columns, bars) = (7 * 8 * SYMBOLS * BARS, (SYMBOLS * BARS) as u64);
    let backtest = ["backtest", "--sizing", "fixed:10", "--no-progress", "--json"];
    let money = ["--cash", "10000000", "--commission-rate", "0.001"];
    let one = ["--strategy", "sma_cross:fast=10,slow=20"];
    let kept = ["--offline", "--timeframe", "1m"];
    let read = ["--timezone", "UTC", "--bars", file];
    println!("{:<24} {:>9} {:>14} {:>10} {:>22}", "from", "seconds", "bars/s", "memory", "bar");
    let words = |parts: &[&[&'static str]], last: &[&str]| -> Vec<String> {
        parts.iter().copied().flatten().chain(last).map(|word| (*word).to_owned()).collect()
    };
    let row = |name: &str, words: &[String], bars: u64, bar: &str, check: fn(&serde_json::Value) -> bool| {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        row(name, || program(&words), bars, bar, check)
    };
    let fills =
        |report: &serde_json::Value| report["counts"]["fills"].as_u64().is_some_and(|fills| fills >= 50_000);
    row("segments", &words(&[&backtest, &money, &one], &kept), bars, "≤ 0.30 s, ≤ 200 MB", fills)?;
    row("parquet", &words(&[&backtest, &money, &one], &read), bars, "≤ 0.45 s", fills)?;
    let sweep = ["sweep", "--strategy", "sma_cross", "--sizing", "fixed:10", "--no-progress", "--json"];
    let space = ["--param", "fast=5..14", "--param", "slow=20..110:10"];
    let trials =
        |report: &serde_json::Value| report["trials"].as_array().is_some_and(|trials| trials.len() == 100);
    row("sweep of 100, segments", &words(&[&sweep, &space, &money], &kept), 100 * bars, "", trials)?;
    println!("the columns of these bars: {} MB", columns / 1_000_000);
    Ok(())
}

fn tapedeck(home: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tapedeck"));
    command.args(words).env("TAPEDECK_HOME", home).env_remove("NATS_URL").env_remove("DATABASE_URL");
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

fn run(mut command: Command) -> anyhow::Result<()> {
    let status = command.stdout(Stdio::null()).status()?;
    anyhow::ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}

fn row(
    name: &str,
    command: impl Fn() -> Command,
    bars: u64,
    bar: &str,
    check: fn(&serde_json::Value) -> bool,
) -> anyhow::Result<()> {
    let mut best = Duration::MAX;
    let mut memory = 0;
    for _ in 0..ROUNDS {
        let (took, held) = once(command(), check)?;
        best = best.min(took);
        memory = memory.max(held);
    }
    let rate = bars as f64 / best.as_secs_f64();
    println!("{name:<24} {:>9.3} {rate:>14.0} {:>7} MB {bar:>22}", best.as_secs_f64(), memory / 1024);
    Ok(())
}

/// Wall time and the most memory of one run, in kB.
fn once(mut command: Command, check: fn(&serde_json::Value) -> bool) -> anyhow::Result<(Duration, u64)> {
    let began = Instant::now();
    let mut child = command.spawn()?;
    let mut out = child.stdout.take().context("its output")?;
    let reading = std::thread::spawn(move || {
        let mut text = Vec::new();
        std::io::Read::read_to_end(&mut out, &mut text).map(|_| text)
    });
    let status = format!("/proc/{}/status", child.id());
    let mut held = 0;
    while child.try_wait()?.is_none() {
        held = held.max(peak(&status).unwrap_or_default());
        std::thread::sleep(Duration::from_millis(1));
    }
    let took = began.elapsed();
    let ended = child.wait()?;
    anyhow::ensure!(ended.success(), "{command:?} ended with {ended}");
    let text = reading.join().map_err(|_| anyhow::anyhow!("its output was not read"))??;
    let report: serde_json::Value = serde_json::from_slice(&text)?;
    anyhow::ensure!(check(&report), "{command:?} did not do what it should: {report:.300}");
    Ok((took, held))
}

/// The most memory that a process held so far, in kB.
fn peak(status: &str) -> Option<u64> {
    let text = std::fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").trim().parse().ok()
}

/// One-minute bars of regular sessions: a random walk in whole cents.
fn generate() -> anyhow::Result<DataFrame> {
    let calendar = Calendar::xnys();
    let first = chrono::NaiveDate::from_ymd_opt(2005, 1, 3).context("a date")?;
    let sessions = calendar.sessions(first, calendar.last_date())?;
    let starts: Vec<i64> = sessions
        .iter()
        .flat_map(|session| {
            (0..)
                .map(|index| session.open_ns + index * MINUTE_NS)
                .take_while(|start| *start < session.close_ns)
        })
        .take(BARS)
        .collect();
    let mut symbols: Vec<String> = Vec::with_capacity(SYMBOLS * BARS);
    let mut times: Vec<i64> = Vec::with_capacity(SYMBOLS * BARS);
    let mut prices: [Vec<f64>; 4] = Default::default();
    for symbol in 0..SYMBOLS {
        let mut state = 42_u64.wrapping_mul(1_000_003).wrapping_add(symbol as u64);
        let mut draw = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            i64::try_from(state >> 40).unwrap_or_default() % 101 - 50
        };
        let mut last = 10_000_i64;
        for start in &starts {
            let open = (last + draw() / 5).max(100);
            let close = (open + draw()).max(100);
            last = close;
            let bar = [open, open.max(close) + 3, open.min(close) - 3, close];
            for (column, cents) in prices.iter_mut().zip(bar) {
                column.push(cents as f64 / 100.0);
            }
            symbols.push(format!("S{symbol:02}"));
            times.push(*start);
        }
    }
    let rows = times.len();
    let utc = TimeZone::opt_try_new(Some("UTC"))?;
    let times =
        Series::new("start_utc".into(), times).cast(&DataType::Datetime(TimeUnit::Nanoseconds, utc))?;
    let mut columns = vec![Column::from(Series::new("symbol".into(), symbols)), Column::from(times)];
    columns.push(Column::from(Series::new("timeframe".into(), vec!["1m"; rows])));
    for (name, values) in ["open", "high", "low", "close"].into_iter().zip(prices) {
        columns.push(Column::from(Series::new(name.into(), values)));
    }
    columns.push(Column::from(Series::new("volume".into(), vec![1_000_i64; rows])));
    Ok(DataFrame::new(rows, columns)?)
}
