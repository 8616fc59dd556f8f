//! The vendors' official clients, pointed at the stand-in: what they make of its answers is what it was told to serve.
//!
//! The scripts stand in `tests/python/vendors`, the clients in `tests/python/requirements.txt`; `make setup-test`
//! installs them.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tapedeck_vendors::Vendors;
use tapedeck_vendors::market::Script;
use tokio::process::Command;

/// A script that hangs is a failure, not a test run without an end.
const PATIENCE: Duration = Duration::from_secs(240);

#[expect(clippy::disallowed_methods, reason = "a test has no other way to be told which Python to use")]
fn python() -> String {
    std::env::var("TAPEDECK_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

/// Runs a script against a stand-in of its own.
async fn check(script: &str) {
    let vendors = Vendors::start(Script::default()).await.expect("ports on the loopback");
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../python/vendors");
    let addresses = serde_json::to_string(vendors.addresses()).expect("addresses are JSON");
    let mut command = Command::new(python());
    command.arg("-B").arg(scripts.join(script)).env("VENDORS", addresses);
    // A proxy for the world outside must not come between a client and this machine.
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let run = tokio::time::timeout(PATIENCE, command.output());
    let output = run.await.unwrap_or_else(|_| panic!("{script} did not end within {PATIENCE:?}"));
    let output = output.unwrap_or_else(|error| {
        panic!("{}: {error}; run `make setup-test`, or set TAPEDECK_TEST_PYTHON", python())
    });
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(
        output.status.success() && out.contains("as served"),
        "{script}: {}; `make setup-test` installs the clients\n{out}\n{err}",
        output.status
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alpaca_py_trades() {
    check("alpaca_trading.py").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alpaca_py_reads_history() {
    check("alpaca_data.py").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alpaca_py_streams() {
    check("alpaca_streams.py").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn massive_reads_and_streams() {
    check("massive_client.py").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn yfinance_reads() {
    check("yahoo_client.py").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn newsapi_python_reads() {
    check("news_client.py").await;
}
