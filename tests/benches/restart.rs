//! How long all services take to be ready again on a tape of a million events.
//!
//! Makes a tape of 1,000,000 one-minute bars, lets every projection reach its head, stops (once with
//! Ctrl-C, once with SIGKILL), and times the next start from the spawn of the process to the first 200 of
//! `/readyz`: servers up, strategies warmed, every projection at its head.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[expect(dead_code, reason = "nothing is asked but whether it is ready")]
#[path = "million/mod.rs"]
mod million;

use std::time::{Duration, Instant};

use million::{BARS, import, stop, up};

const TARGET: Duration = Duration::from_secs(5);

fn main() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let started = Instant::now();
    import(home.path())?;
    println!("import of {BARS} bars, and the fold of them: {:.1} s", started.elapsed().as_secs_f64());

    let (mut first, took, _) = up(home.path())?;
    println!("first start: {:.2} s", took.as_secs_f64());
    stop(&mut first, "-INT")?;
    for (how, signal) in [("after Ctrl-C", "-KILL"), ("after SIGKILL", "-INT")] {
        let (mut child, took, _) = up(home.path())?;
        let verdict = if took < TARGET { "below" } else { "ABOVE" };
        println!("restart {how}: {:.2} s to /readyz 200 ({verdict} {TARGET:?})", took.as_secs_f64());
        stop(&mut child, signal)?;
    }
    Ok(())
}
