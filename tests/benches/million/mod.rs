//! A tape of a million events, for benches that start the whole program on it.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Bars of the tape.
pub const BARS: usize = 1_000_000;
/// Their symbols, `SYM0` to `SYM9`.
pub const SYMBOLS: usize = 10;

/// Writes the bars to a file in `home`.
pub fn bars_file(home: &Path) -> anyhow::Result<PathBuf> {
    let file = home.join("bars.csv");
    std::fs::write(&file, bars()?)?;
    Ok(file)
}

/// Makes the tape `main` in `home`.
pub fn import(home: &Path) -> anyhow::Result<()> {
    let file = bars_file(home)?;
    let status = command(home).args(["import", "--no-progress"]).arg(&file).status()?;
    anyhow::ensure!(status.success(), "import ended with {status}");
    Ok(())
}

fn command(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tapedeck"));
    command.env("TAPEDECK_HOME", home).env_remove("NATS_URL").env_remove("DATABASE_URL").stdin(Stdio::null());
    command
}

/// Starts `up` on the tape `main`; gives the time until it is ready, and the dashboard's address.
pub fn up(home: &Path) -> anyhow::Result<(Child, Duration, String)> {
    start(home, &["up", "--tape", "main"], "/readyz")
}

/// Starts the program with a dashboard; gives the time until `path` answers with 200, and its address.
pub fn start(home: &Path, arguments: &[&str], path: &str) -> anyhow::Result<(Child, Duration, String)> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    drop(listener);
    let started = Instant::now();
    let child = command(home).args(arguments).args(["--bind", &address]).stdout(Stdio::null()).spawn()?;
    while started.elapsed() < Duration::from_secs(300) {
        if answers(&address, path) {
            return Ok((child, started.elapsed(), address));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    anyhow::bail!("{path} did not answer with 200 within 300 s")
}

/// A token for whoever measures the running tape.
pub fn token(home: &Path, tape: &str) -> anyhow::Result<String> {
    let made = command(home)
        .args(["token", "create", "bench", "--role", "viewer", "--days", "1", "--json", "--tape", tape])
        .output()?;
    let said = String::from_utf8_lossy(&made.stderr).into_owned();
    anyhow::ensure!(made.status.success(), "token create ended with {}: {said}", made.status);
    let made: serde_json::Value = serde_json::from_slice(&made.stdout)?;
    made["secret"].as_str().map(str::to_owned).ok_or_else(|| anyhow::anyhow!("no secret in {made}"))
}

fn answers(address: &str, path: &str) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// Sends a signal and waits for the end.
pub fn stop(child: &mut Child, signal: &str) -> anyhow::Result<()> {
    Command::new("kill").args([signal, &child.id().to_string()]).status()?;
    child.wait()?;
    Ok(())
}

/// One-minute bars of full sessions, a gentle walk; every row is valid.
fn bars() -> anyhow::Result<String> {
    let calendar = domain::calendar::Calendar::xnys();
    let first = chrono::NaiveDate::from_ymd_opt(2022, 1, 3).ok_or_else(|| anyhow::anyhow!("no such date"))?;
    let last =
        chrono::NaiveDate::from_ymd_opt(2024, 12, 31).ok_or_else(|| anyhow::anyhow!("no such date"))?;
    let mut text = String::from("symbol,timeframe,start_utc,open,high,low,close,volume\n");
    let mut rows = 0;
    let mut price = 10_000_u32;
    let mut noise = 12_345_u32;
    for session in calendar.sessions(first, last)? {
        let mut start_ns = session.open_ns;
        while start_ns < session.close_ns {
            let start = chrono::DateTime::from_timestamp_nanos(start_ns).format("%Y-%m-%dT%H:%M:%SZ");
            for symbol in 0..SYMBOLS {
                if rows == BARS {
                    return Ok(text);
                }
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let open = price;
                price = (price + noise / 400_000_000).saturating_sub(5).clamp(5_000, 20_000);
                let (high, low) = (open.max(price) + 2, open.min(price) - 2);
                let cents = |value: u32| format!("{}.{:02}", value / 100, value % 100);
                writeln!(
                    text,
                    "SYM{symbol},1m,{start},{},{},{},{},{}",
                    cents(open),
                    cents(high),
                    cents(low),
                    cents(price),
                    100 + noise % 10_000
                )?;
                rows += 1;
            }
            start_ns += 60_000_000_000;
        }
    }
    anyhow::bail!("the calendar has too few sessions for {BARS} bars")
}
