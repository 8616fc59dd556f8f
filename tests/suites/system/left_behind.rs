//! A strategy that is removed while it holds something: it is said what becomes of it, and what stays behind stays within
//! an operator's reach. Commands that change nothing say so.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Home, Outcome, eventually, refused};
use crate::tapes::url;

/// Strategies of the demo.
const BUILT_IN: [&str; 2] = ["momentum", "sma_cross"];

fn rows(home: &Home, arguments: &[&str]) -> anyhow::Result<Vec<Value>> {
    Ok(home.json(arguments)?.as_array().cloned().unwrap_or_default())
}

/// Positions in a strategy's name.
fn held(home: &Home, strategy: &str) -> anyhow::Result<usize> {
    Ok(rows(home, &["positions"])?.iter().filter(|row| row["strategy"] == strategy).count())
}

/// Has `holder` take over what a built-in strategy happens to hold.
fn handed_over(home: &Home) -> Outcome {
    let mut told = BTreeSet::new();
    eventually("something is handed over", Duration::from_secs(120), || {
        if held(home, "holder")? > 0 {
            return Ok(true);
        }
        for name in BUILT_IN {
            match (held(home, name)? > 0, told.contains(name)) {
                (true, false) => {
                    home.text(&["strategy", "disable", name, "--positions", "hand-over", "--to", "holder"])?;
                    told.insert(name);
                }
                // It sold in the meantime: another time.
                (false, true) => {
                    home.text(&["strategy", "enable", name, "--mode", "paper"])?;
                    told.remove(name);
                }
                _ => {}
            }
        }
        Ok(false)
    })
}

#[test]
fn what_a_removed_strategy_holds_is_asked_for_and_stays_within_reach() -> Outcome {
    let home = Home::new()?;
    let mut up = home.spawn("up", &["up"])?;
    eventually("a URL is printed", Duration::from_secs(40), || Ok(url(&home, "up")?.is_some()))?;
    // It has no process, and the clock waits for none: its subject is nobody's.
    let file = home.path().join("holder.json").display().to_string();
    let nothing = ["--subjects", "market.bar.1d.NOTHING", "--credentials", &file];
    home.text(&[&["strategy", "register", "holder", "--mode", "paper"][..], &nothing].concat())?;
    handed_over(&home)?;

    let asked = ["holder holds ", "expected --positions keep, flatten or hand-over"];
    refused(&home, &["strategy", "remove", "holder"], 2, &asked)?;
    let remove = |positions| ["strategy", "remove", "holder", "--positions", positions];
    refused(&home, &remove("hand-over"), 2, &["expected --to NAME"])?;
    refused(&home, &remove("sell"), 2, &["--positions \"sell\": expected keep, flatten or hand-over"])?;
    let kept = home.json(&remove("keep"))?;
    assert_eq!((&kept["state"], &kept["fate"]), (&"removed".into(), &"keep".into()), "{kept}");
    assert!(held(&home, "holder")? > 0, "{kept}");
    eventually("the list shows what it left behind", Duration::from_secs(10), || {
        let all = rows(&home, &["strategy", "list"])?;
        let row = all.into_iter().find(|row| row["strategy"] == "holder").unwrap_or_default();
        Ok(row["state"] == "removed" && row["open_positions"].as_u64() > Some(0))
    })?;

    home.text(&["halt", "--strategy", "holder", "--reason", "drill"])?;
    eventually("the halt is listed with its author", Duration::from_secs(10), || {
        let stops = rows(&home, &["breaker", "list"])?;
        let halt = stops.into_iter().find(|row| row["strategy"] == "holder").unwrap_or_default();
        Ok(halt["reason"] == "drill" && halt["actor"].as_str().is_some_and(|actor| !actor.is_empty()))
    })?;
    assert_eq!(home.json(&["resume", "--strategy", "holder"])?["state"], "resumed");
    for limit in ["max_open_orders=3", "max_open_orders=none"] {
        home.text(&["limits", "set", "--strategy", "holder", limit])?;
    }
    let closed = home.json(&["strategy", "disable", "holder", "--positions", "flatten"])?;
    assert_eq!(closed["state"], "removed", "{closed}");
    eventually("it is closed", Duration::from_secs(60), || Ok(held(&home, "holder")? == 0))?;
    // With nothing left in it, the name is nobody's.
    refused(&home, &["halt", "--strategy", "holder"], 3, &["expected one of momentum, sma_cross"])?;
    what_changes_nothing_says_so(&home)?;
    home.text(&["projection", "verify"])?;
    assert_eq!(up.interrupt(Duration::from_secs(20))?, Some(0), "{}", home.said("up"));
    Ok(())
}

/// What a command said on stderr.
fn said(home: &Home, arguments: &[&str]) -> anyhow::Result<String> {
    let output = home.run(arguments)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    anyhow::ensure!(output.status.success(), "{arguments:?}: {}: {said}", output.status);
    Ok(said)
}

fn what_changes_nothing_says_so(home: &Home) -> Outcome {
    let reset = said(home, &["breaker", "reset", "--account", "paper", "drawdown"])?;
    assert!(reset.contains("not tripped: drawdown of paper"), "{reset}");
    let resets =
        ["tail", "--subject", "account.paper.breaker_reset", "--from-seq", "1", "--no-follow", "--json"];
    assert_eq!(home.text(&resets)?, "", "the peak stays where it is");

    let twice = ["limits", "set", "max_leverage=1", "max_leverage=2"];
    refused(home, &twice, 2, &["max_leverage = 2: expected each limit once"])?;
    let set = |limit: &str| said(home, &["limits", "set", "--account", "paper", limit]);
    assert!(set("max_leverage=none")?.contains("never stated, and nothing changed"));
    let restricted = set("restricted=nosuch,NOSUCH")?;
    assert!(restricted.contains("version 1: restricted=NOSUCH\n"), "{restricted}");
    assert_eq!(restricted.matches("the tape knows no symbol NOSUCH").count(), 1, "{restricted}");
    assert!(set("restricted=none")?.contains("version 2: no limits"));
    assert!(set("restricted=none")?.contains("still version 2, nothing changed"));
    Ok(())
}
