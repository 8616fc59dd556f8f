//! An external strategy: `sma_cross` in Rust, with protobuf.
//!
//! Reads `credentials.json` (or the file given), as `tapedeck strategy register --credentials` writes it. The
//! windows come from the environment: FAST (20) and SLOW (50) bars.

mod deck;
mod sma_cross;
mod tape;

use anyhow::Context as _;

use sma_cross::SmaCross;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "credentials.json".to_owned());
    let text = std::fs::read_to_string(&path).with_context(|| path.clone())?;
    let credentials = serde_json::from_str(&text).with_context(|| path)?;
    let (fast, slow) = (window("FAST", 20)?, window("SLOW", 50)?);
    anyhow::ensure!(
        fast > 0 && fast < slow,
        "FAST {fast}: expected 1 or more and less than SLOW, which is {slow}"
    );
    deck::run(&credentials, || SmaCross::new(fast, slow)).await
}

fn window(name: &str, default: usize) -> anyhow::Result<usize> {
    match std::env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name} {text:?}: expected a number of bars")),
        Err(_) => Ok(default),
    }
}
