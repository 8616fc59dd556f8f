//! Bars that are revised on the tape, and what a backtest sees of them.

use serde_json::Value;

use crate::harness::{Home, Outcome, refused};

/// Hourly bars of five sessions whose price goes up and down; those of the first two are others when `revised`.
fn hours(revised: bool) -> String {
    let mut text = "symbol,timeframe,start_utc,open,high,low,close,volume\n".to_owned();
    for (session, day) in [2, 3, 6, 7, 8].into_iter().enumerate() {
        for hour in 15..20 {
            let place = session * 5 + hour;
            let price = if revised && session < 2 { 200 + place * place % 13 } else { 100 + place * 7 % 11 };
            let (high, low) = (price + 1, price - 1);
            text += &format!("TEST,1h,2020-01-{day:02}T{hour}:00:00Z,{price},{high},{low},{price},1000\n");
        }
    }
    text
}

#[test]
fn a_backtest_sees_the_latest_version_of_a_bar_or_what_was_known_at_the_time() -> Outcome {
    let home = Home::new()?;
    let (first, second) = (home.path().join("first.csv"), home.path().join("second.csv"));
    std::fs::write(&first, hours(false))?;
    std::fs::write(&second, hours(true))?;
    let (first, second) = (first.display().to_string(), second.display().to_string());
    let strategy = ["--strategy", "sma_cross:fast=1,slow=2", "--timeframe", "1h"];
    let run = |command: &str, more: &[&str]| home.json(&[&[command][..], &strategy, more].concat());
    let hashes = |report: &Value| (report["data_hash"].clone(), report["result_hash"].clone());

    assert_eq!(home.json(&["import", &first, "--tape", "main"])?["appended"], 25);
    let before = run("backtest", &[])?;
    assert_eq!(before["parameters"]["revisions"], "latest", "{before}");
    assert!(before["counts"]["fills"].as_u64() > Some(2), "{before}");
    assert_eq!(home.json(&["import", &second, "--tape", "main"])?["revisions"], 10);

    // The newest versions count from the start unless it is said otherwise.
    let latest = run("backtest", &["--revisions", "latest"])?;
    assert_eq!(hashes(&run("backtest", &[])?), hashes(&latest));
    assert_ne!(latest["data_hash"], before["data_hash"], "{latest}");
    assert_ne!(latest["result_hash"], before["result_hash"], "{latest}");
    let known = ["--revisions", "as-known"];
    let then = run("backtest", &known)?;
    assert_eq!(then["parameters"]["revisions"], "as-known", "{then}");
    assert_eq!(hashes(&then), hashes(&before));
    let offline = run("backtest", &[&known[..], &["--offline"]].concat())?;
    assert_eq!(hashes(&offline), hashes(&before));
    let printed = home.text(&[&["backtest"][..], &strategy, &known].concat())?;
    assert!(printed.contains("revisions as-known: bars as they stood at the time"), "{printed}");

    // Searches are of the same bars, and the record says which.
    let sweep = run("sweep", &[&known[..], &["--param", "slow=2|3"]].concat())?;
    assert_eq!((&sweep["revisions"], &sweep["data_hash"]), (&"as-known".into(), &before["data_hash"]));
    // Within two days no Sharpe ratio is defined.
    let lengths = ["--in-sample", "2", "--out-of-sample", "1", "--metric", "total_return"];
    let windows = [&["--param", "slow=2|3"][..], &lengths].concat();
    let walked = run("walk-forward", &[&known[..], &windows].concat())?;
    assert_eq!((&walked["revisions"], &walked["data_hash"]), (&"as-known".into(), &before["data_hash"]));
    let listed = home.json(&["backtest", "list"])?;
    let stated = |row: &Value| row["request"]["revisions"].as_str().map(str::to_owned);
    let newest: Vec<_> = listed.as_array().into_iter().flatten().take(3).map(stated).collect();
    assert_eq!(newest.len(), 3, "{listed}");
    assert!(newest.iter().all(|one| one.as_deref() == Some("BACKTEST_REVISIONS_AS_KNOWN")), "{listed}");

    // Files state each bar once.
    for command in ["backtest", "sweep"] {
        let param: &[&str] = if command == "sweep" { &["--param", "slow=2|3"] } else { &[] };
        let all = [&[command][..], &strategy, &known, param, &["--bars", &first]].concat();
        refused(&home, &all, 2, &["--revisions as-known: expected none with --bars"])?;
    }
    let other = [&["backtest"][..], &strategy, &["--revisions", "first"]].concat();
    refused(&home, &other, 2, &["--revisions \"first\": expected one of latest, as-known"])
}

#[test]
fn bars_and_indicators_are_shown_as_they_were_known() -> Outcome {
    let home = Home::new()?;
    let (first, second) = (home.path().join("first.csv"), home.path().join("second.csv"));
    let actions = home.path().join("actions.csv");
    std::fs::write(&first, hours(false))?;
    std::fs::write(&second, hours(true))?;
    std::fs::write(&actions, "symbol,ex_date,kind,value\nTEST,2020-01-06,split,2\n")?;
    let [first, second, actions] = [first, second, actions].map(|path| path.display().to_string());
    for file in [&first, &second, &actions] {
        home.json(&["import", file, "--tape", "main"])?;
    }
    // How many bars there are, and what the first of them closed at.
    let bars = |more: &[&str]| -> anyhow::Result<(usize, String)> {
        let found = home.json(&[&["bars", "TEST"][..], more].concat())?;
        let rows = found.as_array().map(Vec::as_slice).unwrap_or_default();
        let close = rows.last().map(|row| row["close"].as_str().unwrap_or_default().to_owned());
        Ok((rows.len(), close.unwrap_or_default()))
    };
    let known = |bars: usize, close: &str| (bars, close.to_owned());
    // Revised and in the shares after the split; the revision stands behind the last bar, whenever it was imported.
    assert_eq!(bars(&[])?, known(25, "102"));
    assert_eq!(bars(&["--as-of", "2020-01-08"])?, known(25, "102"));
    assert_eq!(bars(&["--as-of", "2020-01-08T19:59:59Z"])?, known(24, "53"));
    assert_eq!(bars(&["--as-of", "2020-01-05"])?, known(10, "106"));
    assert_eq!(bars(&["--as-of", "2020-01-02T16:00:00Z"])?, known(1, "106"));
    assert_eq!(bars(&["--as-of", "2020-01-01"])?, known(0, ""));

    let sma =
        |more: &[&str]| home.json(&[&["indicator", "sma:length=2", "--symbol", "TEST"][..], more].concat());
    let values = |figures: &Value| {
        let rows = figures.as_array().map(Vec::as_slice).unwrap_or_default();
        (rows.len(), rows.get(1).map(|row| row["value"].clone()).unwrap_or_default())
    };
    assert_eq!(values(&sma(&[])?), (25, Value::from(206.5)));
    assert_eq!(values(&sma(&["--as-of", "2020-01-03"])?), (10, Value::from(104.0)));

    let hint = "tapedeck bars AAPL --as-of 2020-01-31";
    for (all, said) in [
        (vec!["bars", "TEST", "--as-of", "soon"], vec!["--as-of \"soon\": expected a date", hint]),
        (
            vec!["bars", "TEST", "--as-of", "2020-01-02", "--from", "2020-01-03"],
            vec!["--from 2020-01-03: expected a time that is not after --as-of 2020-01-02", hint],
        ),
        (
            vec!["indicator", "sma", "--symbol", "TEST", "--as-of", "soon"],
            vec!["--as-of \"soon\": expected a date", "tapedeck indicator rsi --symbol AAPL --as-of"],
        ),
        (vec!["indicator", "sma", "--bars", &first, "--as-of", "2020-01-02"], vec!["--as-of", "--bars"]),
        (vec!["bars", "--as-of", "2020-01-02"], vec!["SYMBOL"]),
    ] {
        refused(&home, &all, 2, &said)?;
    }
    Ok(())
}
