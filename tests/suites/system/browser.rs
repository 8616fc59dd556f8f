//! The dashboard in a real browser, on a running demo.
//!
//! What measures time runs alone on the machine (`.config/nextest.toml`); what does not runs beside others, in two parts,
//! each with a demo of its own.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Home, Outcome, eventually};
use crate::reference::Stage;
use crate::tapes::{link, url};

/// The tag of tests that measure time.
const TIMED: &str = "@timed";
/// The tag of what every page must look like.
const LOOK: &str = "@look";
/// Days of its market that the demo has before its pages are looked at.
const DAYS: i64 = 12;
const DAY_NS: i64 = 86_400_000_000_000;

#[test]
fn the_dashboard_keeps_its_times_in_chromium() -> Outcome {
    chromium(&Stage::new()?, &[], &["--grep", TIMED])
}

#[test]
fn every_page_is_accessible_in_chromium() -> Outcome {
    let stage = Stage::new()?;
    grown(&stage.home)?;
    // A page is held still to be looked at: a market that hurries meanwhile takes the browser's time, and shows nothing.
    chromium(&stage, &["--speed", "60"], &["--grep", LOOK])
}

#[test]
fn the_dashboard_does_what_its_pages_say_in_chromium() -> Outcome {
    let stage = Stage::new()?;
    grown(&stage.home)?;
    // What is waited for comes soon enough, and leaves some of the machine to the browser.
    chromium(&stage, &["--speed", "3000"], &["--grep-invert", &format!("{TIMED}|{LOOK}")])
}

/// Lets the demo have a past, as fast as it can.
fn grown(home: &Home) -> Outcome {
    let mut up = home.spawn("grown", &["up", "--speed", "max"])?;
    eventually("a URL is printed", Duration::from_secs(40), || Ok(url(home, "grown")?.is_some()))?;
    eventually("the demo has bars of some days", Duration::from_secs(120), || {
        // Before the first bar there is nothing to list.
        let listed = home.run(&["bars", "--json"])?;
        let series: Value = serde_json::from_slice(&listed.stdout).unwrap_or_default();
        let span = |row: &Value| Some(row["last_close_ns"].as_i64()? - row["first_close_ns"].as_i64()?);
        Ok(series.as_array().into_iter().flatten().filter_map(span).max() > Some(DAYS * DAY_NS))
    })?;
    assert_eq!(up.interrupt(Duration::from_secs(20))?, Some(0), "{}", home.said("grown"));
    Ok(())
}

fn chromium(stage: &Stage, more: &[&str], chosen: &[&str]) -> Outcome {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/browser");
    let home = &stage.home;
    let mut up = home.spawn("up", &[&["up"][..], more].concat())?;
    eventually("a URL is printed", Duration::from_secs(40), || Ok(url(home, "up")?.is_some()))?;
    let address = url(home, "up")?.unwrap_or_default();
    eventually("a link is printed", Duration::from_secs(5), || Ok(link(home, "up")?.is_some()))?;
    stage.fill_demo()?;
    let output = Command::new("npx")
        // Only what fails is told: more would push it out of the log of a machine that nobody can look at.
        .args(["--no-install", "playwright", "test", "--reporter", "dot"])
        .args(chosen)
        .current_dir(&directory)
        .env("TAPEDECK_TEST_URL", &address)
        .env("TAPEDECK_TEST_HOME", home.path())
        .env("TAPEDECK_TEST_LINK", link(home, "up")?.unwrap_or_default())
        .stdin(Stdio::null())
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{said}\n{}\n--- the program said ---\n{}",
        String::from_utf8_lossy(&output.stderr),
        home.said("up")
    );
    assert_eq!(up.interrupt(Duration::from_secs(20))?, Some(0), "{}", home.said("up"));
    Ok(())
}
