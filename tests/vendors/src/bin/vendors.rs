//! Starts the stand-in, prints where it answers as one line of JSON, and runs until it is stopped.

use std::io::Write;
use std::path::PathBuf;

use clap::Parser;
use tapedeck_vendors::Vendors;
use tapedeck_vendors::market::Script;

/// A stand-in for Alpaca, Massive, Yahoo and NewsAPI on this machine.
#[derive(Parser)]
struct Arguments {
    /// The control interface's port; the vendors take the five after it. Any free ones when left out.
    #[arg(long)]
    port: Option<u16>,
    /// A script in JSON: seed, start, listings and so on.
    #[arg(long)]
    script: Option<PathBuf>,
    /// How many times as quick as the real one the market's clock moves.
    #[arg(long, default_value_t = 0)]
    pace: u64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let script = match arguments.script {
        Some(path) => serde_json::from_slice(&std::fs::read(path)?)?,
        None => Script::default(),
    };
    let vendors = Vendors::start_at(script, arguments.port).await?;
    vendors.stand.set_pace(arguments.pace.saturating_mul(1_000));
    let mut out = std::io::stdout();
    writeln!(out, "{}", serde_json::to_string(vendors.addresses())?)?;
    out.flush()?;
    vendors.wait().await;
    Ok(())
}
