//! `up`: the demo within 30 seconds, side by side, stopped and carried on.

use std::time::Duration;

use serde_json::Value;

use crate::harness::{Home, Outcome, eventually};

const DRAIN_MAX: Duration = Duration::from_secs(20);

/// The URL that `up` printed.
pub fn url(home: &Home, name: &str) -> anyhow::Result<Option<String>> {
    let printed = home.printed(name)?;
    Ok(printed.split_whitespace().find(|word| word.starts_with("http://")).map(str::to_owned))
}

/// The link that `up` printed, which signs in once.
pub fn link(home: &Home, name: &str) -> anyhow::Result<Option<String>> {
    let printed = home.printed(name)?;
    Ok(printed.split_whitespace().find(|word| word.contains("/sign-in?ticket=")).map(str::to_owned))
}

fn count(home: &Home, arguments: &[&str]) -> anyhow::Result<usize> {
    let output = home.run(arguments)?;
    let document: Value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    Ok(document.as_array().map_or(0, Vec::len))
}

#[test]
fn the_demo_trades_within_thirty_seconds_of_its_url() -> Outcome {
    let home = Home::new()?;
    let mut up = home.spawn("up", &["up"])?;
    eventually("a URL is printed", Duration::from_secs(30), || Ok(url(&home, "up")?.is_some()))?;
    eventually("fills, and denied and approved orders", Duration::from_secs(30), || {
        let status = home.run(&["status", "--json"])?;
        let status: Value = serde_json::from_slice(&status.stdout).unwrap_or(Value::Null);
        let positive = |path: &str| status.pointer(path).and_then(Value::as_u64) > Some(0);
        Ok(positive("/counts/bars")
            && positive("/counts/signals")
            && positive("/counts/approved")
            && positive("/counts/denied")
            && positive("/counts/fills")
            && positive("/counts/positions"))
    })?;
    assert_eq!(up.interrupt(DRAIN_MAX)?, Some(0), "{}", home.said("up"));

    // The second start finds the data and carries on.
    let before = count(&home, &["order", "list", "--limit", "200", "--json"])?;
    assert!(before > 0);
    let mut again = home.spawn("again", &["up"])?;
    eventually("a URL is printed again", Duration::from_secs(30), || Ok(url(&home, "again")?.is_some()))?;
    home.text(&["projection", "verify"])?;
    assert_eq!(again.interrupt(DRAIN_MAX)?, Some(0), "{}", home.said("again"));
    Ok(())
}

#[test]
fn two_homes_run_side_by_side_and_one_home_only_once() -> Outcome {
    let (left, right) = (Home::new()?, Home::new()?);
    let mut first = left.spawn("up", &["up"])?;
    let mut second = right.spawn("up", &["up"])?;
    for home in [&left, &right] {
        eventually("a URL is printed", Duration::from_secs(40), || Ok(url(home, "up")?.is_some()))?;
    }
    assert_ne!(url(&left, "up")?, url(&right, "up")?);
    let third = left.run(&["up"])?;
    assert!(!third.status.success());
    let said = String::from_utf8_lossy(&third.stderr).into_owned();
    assert!(said.contains("runs already"), "{said}");
    assert_eq!(first.interrupt(DRAIN_MAX)?, Some(0), "{}", left.said("up"));
    assert_eq!(second.interrupt(DRAIN_MAX)?, Some(0), "{}", right.said("up"));
    Ok(())
}
