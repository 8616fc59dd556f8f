//! How long a page of events and a jump take on a tape of a million events.
//!
//! Makes a tape of 1,000,000 one-minute bars, starts the program on it, and measures over HTTP, one request
//! after the other: pages at random places, pages under a filter, the page that a person sees, and jumps to
//! a sequence and to a moment with the page they lead to.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "million/mod.rs"]
mod million;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use million::{BARS, SYMBOLS, import, stop, token, up};

const REQUESTS: usize = 200;
const PAGE: Duration = Duration::from_millis(100);
const JUMP: Duration = Duration::from_millis(300);

fn main() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    import(home.path())?;
    let (mut child, _, address) = up(home.path())?;
    let outcome = token(home.path(), "main").and_then(|token| measure(&Server { address, token }));
    stop(&mut child, "-INT")?;
    outcome
}

/// The dashboard, and the token that it is asked with.
struct Server {
    address: String,
    token: String,
}

fn measure(server: &Server) -> anyhow::Result<()> {
    let mut noise = 12_345_usize;
    let mut random = move |below: usize| {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (noise >> 33) % below
    };
    let path = |at: usize| format!("/api/v1/events?stream=MARKET&before={at}");
    times("page as JSON", PAGE, server, || path(random(BARS) + 2))?;
    let path =
        |symbol: usize, at: usize| format!("/api/v1/events?subject=market.bar.*.SYM{symbol}&before={at}");
    times("page under a filter", PAGE, server, || path(random(SYMBOLS), random(BARS) + 20))?;
    let path = |at: usize| format!("/events?stream=MARKET&before={at}");
    times("page in a browser", PAGE, server, || path(random(BARS) + 2))?;
    let path = |sequence: usize| format!("/events?stream=MARKET&seq={sequence}");
    times("jump to a sequence", JUMP, server, || path(random(BARS) + 1))?;
    // The tape is of 2022; days up to the 28th exist in every month.
    let path = |month: usize, day: usize, clock: &str| {
        let at = format!("2022-{:02}-{:02}T16:00", month + 1, day + 1);
        format!("/events?stream=MARKET&at={at}&clock={clock}")
    };
    times("jump to a market time", JUMP, server, || path(random(12), random(28), "event"))?;
    times("jump to a recorded time", JUMP, server, || path(random(12), random(28), "recorded"))
}

/// Asks for the addresses one after the other, follows a jump to its page, and prints what it took.
fn times(
    what: &str,
    target: Duration,
    server: &Server,
    mut path: impl FnMut() -> String,
) -> anyhow::Result<()> {
    let mut took = Vec::with_capacity(REQUESTS);
    for _ in 0..REQUESTS {
        let path = path();
        let started = Instant::now();
        let mut answer = get(server, &path)?;
        if answer.starts_with("HTTP/1.1 303") {
            let place = answer.lines().find_map(|line| line.strip_prefix("location: "));
            let place = place.ok_or_else(|| anyhow::anyhow!("{path}: a jump without a place"))?.to_owned();
            answer = get(server, &place)?;
        }
        took.push(started.elapsed());
        anyhow::ensure!(
            answer.starts_with("HTTP/1.1 200"),
            "{path}: {}",
            answer.lines().next().unwrap_or("")
        );
    }
    took.sort();
    let (median, p95) = (took[REQUESTS / 2], took[REQUESTS * 95 / 100]);
    let verdict = if p95 < target { "below" } else { "ABOVE" };
    println!("{what}: p50 {median:.1?}, p95 {p95:.1?} ({verdict} {target:?})");
    anyhow::ensure!(p95 < target, "{what}: the 95th percentile is {p95:.1?}, expected less than {target:?}");
    Ok(())
}

fn get(server: &Server, path: &str) -> anyhow::Result<String> {
    let Server { address, token } = server;
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
