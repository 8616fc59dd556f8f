//! The load gate: 100 live clients and mixed requests beside a rehearsal, on loopback.
//!
//! `cargo bench --profile dev -p tapedeck --bench load -- [SECONDS]`; 60 s unless it says otherwise. Starts a
//! rehearsal of 1,000,000 made-up minute bars as fast as it goes, with its dashboard. The clients follow what
//! the Overview follows; a third of them leave every few seconds and come back with the last version they
//! have, another third with one that the server has forgotten, so that they are told to resync. Meanwhile
//! programs ask for everything that pages are made of. Ends with an error when a bar is missed: the API's
//! 95th percentile is 100 ms or more, a client misses a change, the memory grows, or an answer is no 200.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[expect(dead_code, reason = "a rehearsal needs no import")]
#[path = "million/mod.rs"]
mod million;
#[path = "million/client.rs"]
mod client;

use std::time::{Duration, Instant};

use client::{Client, Kind};
use million::{bars_file, start, stop, token};

const CLIENTS: usize = 100;
/// Programs that ask one thing after the other.
const ASKERS: usize = 4;
/// Between two questions of one of them.
const PAUSE: Duration = Duration::from_millis(25);
const WARM_UP: Duration = Duration::from_secs(10);
const P95_MAX: Duration = Duration::from_millis(100);
/// The last quarter may hold this part more than the first.
const GROWTH_MAX: f64 = 0.10;
const TAPE: &str = "load";
const API: [&str; 14] = [
    "/api/v1/status",
    "/api/v1/orders",
    "/api/v1/orders?open=false&limit=200",
    "/api/v1/fills",
    "/api/v1/positions",
    "/api/v1/accounts",
    "/api/v1/decisions",
    "/api/v1/signals",
    "/api/v1/equity?account=paper",
    "/api/v1/events?stream=TRADING",
    "/api/v1/events?stream=MARKET&limit=100",
    "/api/v1/streams",
    "/api/v1/projections",
    "/api/v1/logs?limit=100",
];
const PAGES: [&str; 4] = ["/", "/orders?tab=all", "/positions", "/events"];

/// What a question took, and whether it was the API's.
type Answer = (bool, Duration);

fn main() -> anyhow::Result<()> {
    let seconds = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(60);
    let home = tempfile::tempdir()?;
    let file = bars_file(home.path())?.display().to_string();
    let rehearsal = ["rehearse", "--tape", TAPE, "--bars", &file, "--stay", "--no-progress"];
    let (mut child, _, address) = start(home.path(), &rehearsal, "/healthz")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let outcome = token(home.path(), TAPE).and_then(|token| {
        runtime.block_on(measure(child.id(), &address, &token, Duration::from_secs(seconds)))
    });
    stop(&mut child, "-INT")?;
    outcome
}

async fn measure(pid: u32, address: &str, token: &str, span: Duration) -> anyhow::Result<()> {
    let client = Client::new(address, token)?;
    let topics = topics(&client).await?;
    let bars_before = bars(&client).await?;
    let reference = tokio::spawn(client.clone().follow(Kind::Steady, topics.clone(), 0, true));
    let mut followers = Vec::new();
    for number in 0..CLIENTS - 1 {
        let kind = [Kind::Steady, Kind::Leaving, Kind::Forgetful][number % 3];
        followers.push(tokio::spawn(client.clone().follow(kind, topics.clone(), number, false)));
    }
    tokio::time::sleep(WARM_UP).await;
    let began = Instant::now();
    let askers: Vec<_> =
        (0..ASKERS).map(|first| tokio::spawn(ask(client.clone(), first, began + span))).collect();
    let memory = memory(pid, began + span).await?;
    let mut answers = Vec::new();
    for asker in askers {
        answers.extend(asker.await??);
    }
    let grown = bars(&client).await?.saturating_sub(bars_before);
    anyhow::ensure!(grown > 0, "the rehearsal had ended before the measurement: nothing ran beside it");
    // What the one that never left has seen by now, each of the others sees in the seconds that follow.
    client.end_reference();
    let known = reference.await??;
    tokio::time::sleep(Duration::from_secs(3)).await;
    client.end();
    let (mut resyncs, mut returns, mut missed) = (0, 0, 0);
    for follower in followers {
        let seen = follower.await??;
        resyncs += seen.resyncs;
        returns += seen.returns;
        missed += seen.missed(&known);
    }
    println!(
        "{CLIENTS} live clients, {} elements followed, {returns} returns, {resyncs} resyncs, {missed} changes missed",
        known.elements()
    );
    println!("{grown} bars rehearsed beside it");
    let fine = report(answers, span)? & flat(&memory);
    anyhow::ensure!(missed == 0, "{missed} changes were missed");
    anyhow::ensure!(
        span < Duration::from_secs(30) || (resyncs > 0 && returns > 0),
        "nobody left or resynced"
    );
    anyhow::ensure!(fine, "a bar is missed");
    Ok(())
}

/// What the Overview follows, once there is an account.
async fn topics(client: &Client) -> anyhow::Result<String> {
    for _ in 0..600 {
        let page = client.text("/").await?;
        let topics = page.split("data-topics=\"").nth(1).and_then(|rest| rest.split('"').next());
        if let Some(topics) = topics.filter(|topics| topics.contains(".paper")) {
            return Ok(topics.to_owned());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    anyhow::bail!("the Overview follows no account after a minute")
}

async fn bars(client: &Client) -> anyhow::Result<u64> {
    let status: serde_json::Value = serde_json::from_str(&client.text("/api/v1/status").await?)?;
    Ok(status["counts"]["bars"].as_u64().unwrap_or_default())
}

/// Asks for one thing after the other until the end.
async fn ask(client: Client, first: usize, end: Instant) -> anyhow::Result<Vec<Answer>> {
    let paths: Vec<&str> = API.iter().chain(&PAGES).copied().collect();
    let mut answers = Vec::new();
    for path in paths.iter().cycle().skip(first * paths.len() / ASKERS) {
        let began = Instant::now();
        if began >= end {
            break;
        }
        client.text(path).await?;
        answers.push((path.starts_with("/api/"), began.elapsed()));
        tokio::time::sleep(PAUSE).await;
    }
    Ok(answers)
}

/// Resident bytes of the process, each second.
async fn memory(pid: u32, end: Instant) -> anyhow::Result<Vec<u64>> {
    let mut samples = Vec::new();
    while Instant::now() < end {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = resident.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
        samples
            .push(resident.ok_or_else(|| anyhow::anyhow!("the process has no VmRSS: it has ended"))? * 1_024);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(samples)
}

/// Prints what answers took; true when the API's are within the bar.
fn report(answers: Vec<Answer>, span: Duration) -> anyhow::Result<bool> {
    let mut fine = true;
    for (name, api) in [("API", true), ("pages", false)] {
        let mut took: Vec<Duration> =
            answers.iter().filter(|(of_api, _)| *of_api == api).map(|(_, took)| *took).collect();
        took.sort();
        anyhow::ensure!(!took.is_empty(), "{name}: nothing was answered");
        let at = |percent: usize| took[(took.len() * percent / 100).min(took.len() - 1)];
        let rate = took.len() as f64 / span.as_secs_f64();
        println!("{name}: {rate:.0}/s, p50 {:.1?}, p95 {:.1?}, p99 {:.1?}", at(50), at(95), at(99));
        if api && at(95) >= P95_MAX {
            println!("API: p95 is ABOVE {P95_MAX:?}");
            fine = false;
        }
    }
    Ok(fine)
}

/// Prints the memory of the first and the last quarter; true when it is flat.
fn flat(samples: &[u64]) -> bool {
    let quarter = (samples.len() / 4).max(1);
    let mean = |part: &[u64]| part.iter().sum::<u64>() as f64 / part.len().max(1) as f64;
    let (first, last) = (mean(&samples[..quarter]), mean(&samples[samples.len() - quarter..]));
    let flat = last <= first * (1.0 + GROWTH_MAX);
    let verdict = if flat { "flat" } else { "GROWS" };
    println!(
        "memory: {:.0} MB in the first quarter, {:.0} MB in the last: {verdict}",
        first / 1e6,
        last / 1e6
    );
    flat
}
