//! A running deck for benches that speak to its tape: `tapedeck up` on a tape of its own.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use event_log::{Auth, Clock, ConnectOptions};

/// Runs `measure` against `tapedeck up` with `configuration`, and ends the program.
pub fn with_deck(
    configuration: &str,
    measure: impl AsyncFnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    std::fs::write(home.path().join("tapedeck.toml"), configuration)?;
    let mut up = Command::new(env!("CARGO_BIN_EXE_tapedeck"))
        .args(["up", "--tape", "main", "--no-progress"])
        .env("TAPEDECK_HOME", home.path())
        .env_remove("NATS_URL")
        .env_remove("DATABASE_URL")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let outcome = runtime.block_on(measure(home.path()));
    stop(&mut up)?;
    outcome
}

fn stop(up: &mut Child) -> anyhow::Result<()> {
    Command::new("kill").args(["-INT", &up.id().to_string()]).status()?;
    up.wait()?;
    Ok(())
}

/// Where the tape is that the program in `home` has started, once all of it is ready.
pub async fn ready(home: &Path, name: &str) -> anyhow::Result<ConnectOptions> {
    let (nats, dashboard) = addresses(home).await?;
    // It wants to know who would do TLS, which is never spoken here.
    let _chosen_before = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build()?;
    for _ in 0..1_200 {
        let answer = client.get(format!("{dashboard}readyz")).send().await;
        if answer.is_ok_and(|answer| answer.status().is_success()) {
            let (auth, clock) = (Auth::None, Clock::wall());
            return Ok(ConnectOptions { url: nats.into(), auth, name: name.to_owned(), clock });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("not ready within 60 s")
}

/// Of the server and of the dashboard, once the program has written them down.
async fn addresses(home: &Path) -> anyhow::Result<(String, String)> {
    let file = home.join("tapes/main/running.json");
    for _ in 0..1_200 {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let addresses: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        if let (Some(nats), Some(dashboard)) =
            (addresses["nats_url"].as_str(), addresses["dashboard"].as_str())
        {
            return Ok((nats.to_owned(), dashboard.to_owned()));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("the program did not start within 60 s")
}
