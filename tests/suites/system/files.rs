//! Runs over files: on which tape they are put on record, and that their results do not change with it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Home, Outcome, eventually};

/// Hourly bars of five sessions whose price goes up and down.
pub fn hours() -> String {
    let mut text = "symbol,timeframe,start_utc,open,high,low,close,volume\n".to_owned();
    for (session, day) in [2, 3, 6, 7, 8].into_iter().enumerate() {
        for hour in 15..20 {
            let price = 100 + (session * 5 + hour) * 7 % 11;
            let (high, low) = (price + 1, price - 1);
            text += &format!("TEST,1h,2020-01-{day:02}T{hour}:00:00Z,{price},{high},{low},{price},1000\n");
        }
    }
    text
}

#[test]
fn a_run_over_files_is_on_record_where_the_tape_in_use_runs_or_is_named() -> Outcome {
    let home = Home::new()?;
    let file = home.path().join("bars.csv");
    std::fs::write(&file, hours())?;
    let file = file.display().to_string();
    let run = |command: &str, more: &[&str]| {
        let strategy = ["--strategy", "sma_cross:fast=1,slow=2", "--bars", &file];
        home.json(&[&[command][..], &strategy, more].concat())
    };
    let unrecorded = |report: &Value| {
        let warned = report["warnings"].to_string().contains("nothing was recorded on the tape");
        report["recorded"] == false && warned
    };
    let alone = run("backtest", &[])?;
    assert!(unrecorded(&alone), "{alone}");
    run("backtest", &["--record", "kept"])?;
    // The tape is the one in use, and nobody runs it: no server is started for a run over files.
    let beside = run("backtest", &[])?;
    assert!(unrecorded(&beside), "{beside}");

    let mut up = home.spawn("up", &["up", "--tape", "kept", "--no-progress"])?;
    eventually("everything is up", Duration::from_secs(90), || {
        anyhow::ensure!(up.alive()?, "{}", home.said("up"));
        Ok(home.printed("up")?.contains("Tapedeck is at"))
    })?;
    let running = run("backtest", &[])?;
    assert_eq!(running["recorded"], true, "{running}");
    assert!(running["url"].as_str().is_some_and(|url| url.contains("/backtests/")), "{running}");
    let tried = ["--param", "slow=2|3"];
    let sweep = run("sweep", &tried)?;
    assert_eq!(sweep["recorded"], true, "{sweep}");
    // Within two days no Sharpe ratio is defined.
    let windows = ["--in-sample", "2", "--out-of-sample", "1", "--metric", "total_return"];
    let walked = run("walk-forward", &[&tried[..], &windows].concat())?;
    assert_eq!(walked["recorded"], true, "{walked}");
    eventually("the runs are listed", Duration::from_secs(30), || {
        let listed = home.json(&["backtest", "list"])?;
        let ended = |report: &Value| {
            let mut rows = listed.as_array().into_iter().flatten();
            let row = rows.find(|row| row["run_id"] == report["run_id"]);
            row.is_some_and(|row| row["status"] == "succeeded" && row["request"]["files"] == json!([file]))
        };
        Ok([&running, &sweep, &walked].into_iter().all(ended))
    })?;
    assert_eq!(up.interrupt(Duration::from_secs(30))?, Some(0), "{}", home.said("up"));

    // A tape that is named is opened for it, whether or not somebody runs it.
    let named = run("backtest", &["--tape", "kept"])?;
    assert_eq!(named["recorded"], true, "{named}");
    let sheet = home.path().join("sheet.json").display().to_string();
    let id = named["run_id"].as_str().unwrap_or_default();
    let shown = home.json(&["backtest", "show", id, "--report", &sheet])?;
    let data: Value = serde_json::from_str(&std::fs::read_to_string(&sheet)?)?;
    assert!(data["statistics"].is_object(), "{data}");
    assert_eq!(shown["result_hash"], alone["result_hash"], "{shown}");
    assert_eq!(shown["request"]["calendar"], "XNYS", "{shown}");
    for report in [&beside, &running, &named] {
        assert_eq!(report["result_hash"], alone["result_hash"], "{report}");
        assert_eq!(report["data_hash"], alone["data_hash"], "{report}");
    }
    Ok(())
}
