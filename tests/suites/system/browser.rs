//! The dashboard in a real browser, on a running demo.
//!
//! What measures time runs alone on the machine (`.config/nextest.toml`); what does not runs beside others, in two parts,
//! each with a demo of its own.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::harness::{Outcome, eventually};
use crate::reference::Stage;
use crate::tapes::{link, url};

/// The tag of tests that measure time.
const TIMED: &str = "@timed";
/// The tag of what every page must look like.
const LOOK: &str = "@look";

#[test]
fn the_dashboard_keeps_its_times_in_chromium() -> Outcome {
    chromium(&["--grep", TIMED])
}

#[test]
fn every_page_is_accessible_in_chromium() -> Outcome {
    chromium(&["--grep", LOOK])
}

#[test]
fn the_dashboard_does_what_its_pages_say_in_chromium() -> Outcome {
    chromium(&["--grep-invert", &format!("{TIMED}|{LOOK}")])
}

fn chromium(chosen: &[&str]) -> Outcome {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/browser");
    let stage = Stage::new()?;
    let home = &stage.home;
    let mut up = home.spawn("up", &["up"])?;
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
