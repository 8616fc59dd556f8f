//! How fast a million bars of a vendor come onto the tape over HTTP, beside an import of as many from a file, and how much
//! memory the program takes for it.
//!
//! The vendor is the stand-in's Alpaca, behind a cache of its answers that a first backfill fills: what is measured is
//! the program, and not how fast the stand-in makes prices up. Both commands start their servers themselves, on tapes
//! that are there already; their rate is that until they print their report, after which they fold read models. Their
//! memory is looked at until they end.
//!
//! Run with `with-servers cargo bench --profile dev --workspace --bench backfill`.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

#[path = "million/mod.rs"]
#[expect(dead_code, reason = "other benches start the dashboard")]
mod million;

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, StatusCode};
use tapedeck_vendors::ledger::Vendor;
use tapedeck_vendors::market::Script;
use tapedeck_vendors::{KEY, SECRET, Vendors};

/// Symbols, and the days of which they have about a million minutes.
const SYMBOLS: usize = 10;
const FROM: &str = "2024-12-09";
const TO: &str = "2025-12-31";
const ROUNDS: usize = 3;
/// The part of an import's rate that it is to reach, and the most memory.
const RATE_MIN: f64 = 0.6;
const MEMORY_MAX: u64 = 300 << 20;

/// Answers of the vendor by path and query.
#[derive(Default)]
struct Cache {
    vendor: String,
    answers: Mutex<HashMap<String, Bytes>>,
    client: reqwest::Client,
}

async fn answer(
    State(cache): State<Arc<Cache>>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Result<Bytes, (StatusCode, String)> {
    let kept = |cache: &Cache| Some(cache.answers.lock().ok()?.get(&uri.to_string())?.clone());
    if let Some(kept) = kept(&cache) {
        return Ok(kept);
    }
    let wrong = |error: reqwest::Error| (StatusCode::BAD_GATEWAY, error.to_string());
    let mut request = cache.client.get(format!("{}{uri}", cache.vendor));
    for name in ["apca-api-key-id", "apca-api-secret-key"] {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value);
        }
    }
    let answer = request.send().await.map_err(wrong)?;
    let status = answer.status();
    let body = answer.bytes().await.map_err(wrong)?;
    if status != StatusCode::OK {
        return Err((status, String::from_utf8_lossy(&body).into_owned()));
    }
    if let Ok(mut answers) = cache.answers.lock() {
        answers.insert(uri.to_string(), body.clone());
    }
    Ok(body)
}

/// What one run of the program came to.
struct Run {
    bars: u64,
    elapsed: Duration,
    /// The most memory it had at a time until its report, in bytes.
    appending: u64,
    /// The same until its end, read models folded.
    memory: u64,
}

impl Run {
    fn rate(&self) -> f64 {
        self.bars as f64 / self.elapsed.as_secs_f64()
    }
}

/// Runs the program on the tape in `home`, and looks at its memory until it ends.
fn run(home: &Path, arguments: &[&str]) -> anyhow::Result<Run> {
    let began = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_tapedeck"))
        .args(arguments)
        .args(["--json", "--no-progress"])
        .env("TAPEDECK_HOME", home)
        .env("APCA_API_KEY_ID", KEY)
        .env("APCA_API_SECRET_KEY", SECRET)
        .env_remove("NATS_URL")
        .env_remove("DATABASE_URL")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = child.stdout.take().context("a pipe")?;
    let reading = std::thread::spawn(move || report(stdout, began));
    let (mut appending, mut memory) = (0, 0);
    let status = loop {
        memory = memory.max(peak(child.id()));
        if !reading.is_finished() {
            appending = memory;
        }
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let (said, elapsed) = reading.join().map_err(|_| anyhow::anyhow!("reading what it prints"))??;
    anyhow::ensure!(status.success(), "{arguments:?} ended with {status}: {said}");
    let report: serde_json::Value = serde_json::from_str(&said)?;
    let bars = report["appended"].as_u64().with_context(|| format!("what was appended in {report}"))?;
    Ok(Run { bars, elapsed, appending, memory })
}

/// The document that the program prints, and how long it took.
fn report(stdout: ChildStdout, began: Instant) -> anyhow::Result<(String, Duration)> {
    let mut said = String::new();
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        said.push_str(&line);
        said.push('\n');
        if line == "}" {
            break;
        }
    }
    Ok((said, began.elapsed()))
}

/// The most memory that a process ever had, in bytes; 0 when it is gone.
fn peak(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or_default() << 10
}

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let address = runtime.block_on(async {
        let _chosen_before = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        let vendors = Vendors::start(Script::of_symbols(SYMBOLS)).await?;
        let mut settings = vendors.stand.settings();
        settings.requests_per_minute.alpaca_data = None;
        vendors.stand.set(settings);
        let cache = Cache {
            vendor: vendors.addresses().http(Vendor::AlpacaData).to_owned(),
            client: reqwest::Client::builder().no_proxy().build()?,
            ..Cache::default()
        };
        let routes = Router::new().fallback(answer).with_state(Arc::new(cache));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move {
            let _vendors = vendors;
            axum::serve(listener, routes).await
        });
        anyhow::Ok(address)
    })?;
    let symbols = (0..SYMBOLS).map(|number| format!("S{number:03}")).collect::<Vec<_>>().join(",");
    let backfill = [
        "backfill",
        "--source",
        "alpaca",
        "--symbols",
        &symbols,
        "--timeframe",
        "1m",
        "--from",
        FROM,
        "--to",
        TO,
    ];
    let files = tempfile::tempdir()?;
    let file = million::bars_file(files.path())?.display().to_string();
    let mut rounds = Vec::new();
    for round in 0..=ROUNDS {
        let (over_http, from_file) = (home(&address.to_string())?, home(&address.to_string())?);
        let over_http = run(over_http.path(), &backfill)?;
        // The first one fills the cache.
        if round == 0 {
            continue;
        }
        let from_file = run(from_file.path(), &["import", &file])?;
        println!(
            "round {round}: backfill {} bars in {:.2} s, {:.0}/s, {} MB and {} MB with its read models; import {} bars in \
             {:.2} s, {:.0}/s, {} MB and {} MB",
            over_http.bars,
            over_http.elapsed.as_secs_f64(),
            over_http.rate(),
            over_http.appending >> 20,
            over_http.memory >> 20,
            from_file.bars,
            from_file.elapsed.as_secs_f64(),
            from_file.rate(),
            from_file.appending >> 20,
            from_file.memory >> 20,
        );
        rounds.push((over_http.rate() / from_file.rate(), over_http.memory));
    }
    rounds.sort_by(|one, other| one.0.total_cmp(&other.0));
    let share = rounds.get(ROUNDS / 2).map_or(0.0, |round| round.0);
    let memory = rounds.iter().map(|round| round.1).max().unwrap_or_default();
    println!(
        "{} the bar: {:.1} % of an import's rate (at least {:.0} %)",
        if share >= RATE_MIN { "within" } else { "BELOW" },
        100.0 * share,
        100.0 * RATE_MIN
    );
    println!(
        "{} the bar: {} MB at most, read models included (below {} MB)",
        if memory < MEMORY_MAX { "within" } else { "ABOVE" },
        memory >> 20,
        MEMORY_MAX >> 20
    );
    Ok(())
}

/// A home whose tape `main` is made, with a bar of another symbol on it.
fn home(address: &str) -> anyhow::Result<tempfile::TempDir> {
    let home = tempfile::tempdir()?;
    let configuration =
        format!("[source.alpaca]\nbase_url = \"http://{address}\"\nrequests_per_minute = 100000\n");
    std::fs::write(home.path().join("tapedeck.toml"), configuration)?;
    let file = home.path().join("first.csv");
    let bar =
        "symbol,timeframe,start_utc,open,high,low,close,volume\nFIRST,1m,2024-12-09T15:00:00Z,1,1,1,1,1\n";
    std::fs::write(&file, bar)?;
    run(home.path(), &["import", &file.display().to_string()])?;
    Ok(home)
}
