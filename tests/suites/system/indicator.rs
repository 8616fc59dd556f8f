//! `tapedeck indicator` over files: figures, what is absent before the warm-up, splits, and refusals.

use serde_json::{Value, json};

use crate::harness::{Home, Outcome};

/// Five hourly bars that close at 100, 102, 104, then at 53 and 54 after a split of two for one.
const BARS: &str = "symbol,timeframe,start_utc,open,high,low,close,volume\n\
    TEST,1h,2020-01-02T15:00:00Z,100,101,99,100,1000\n\
    TEST,1h,2020-01-02T16:00:00Z,100,103,100,102,1000\n\
    TEST,1h,2020-01-02T17:00:00Z,102,105,102,104,1000\n\
    TEST,1h,2020-01-03T15:00:00Z,52,54,52,53,1000\n\
    TEST,1h,2020-01-03T16:00:00Z,53,55,53,54,1000\n";
const ACTIONS: &str = "symbol,ex_date,kind,value\nTEST,2020-01-03,split,2\nTEST,2020-01-03,dividend,1\n";
const OTHER: &str = "symbol,timeframe,start_utc,open,high,low,close,volume\n\
    ELSE,1h,2020-01-02T15:00:00Z,10,10,10,10,1\n\
    ELSE,1h,2020-01-02T16:00:00Z,11,11,11,11,1\n\
    ELSE,1h,2020-01-03T15:00:00Z,12,12,12,12,1\n";

#[test]
fn an_indicator_is_computed_over_files() -> Outcome {
    let home = Home::new()?;
    let write = |name: &str, text: &str| -> anyhow::Result<String> {
        let path = home.path().join(name);
        std::fs::write(&path, text)?;
        Ok(path.display().to_string())
    };
    let (bars, actions) = (write("bars.csv", BARS)?, write("actions.csv", ACTIONS)?);
    let other = write("other.csv", OTHER)?;

    // A split that nobody states is said beside the figures.
    let raw = home.run(&["indicator", "sma:length=2", "--bars", &bars, "--csv"])?;
    let (csv, said) = (String::from_utf8(raw.stdout)?, String::from_utf8(raw.stderr)?);
    assert!(said.contains("TEST looks split 2:1 on 2020-01-03 and no split is stated"), "{said}");
    assert_eq!(
        csv,
        "time,value\n2020-01-02T16:00:00Z,\n2020-01-02T17:00:00Z,101\n2020-01-02T18:00:00Z,103\n\
         2020-01-03T16:00:00Z,78.5\n2020-01-03T17:00:00Z,53.5\n"
    );
    // With the split the close before is worth 52, and a figure is in the shares of its own bar.
    let split = [
        "indicator",
        "sma:length=2",
        "--bars",
        &bars,
        "--actions",
        &actions,
        "--from",
        "2020-01-02T17:30:00Z",
    ];
    assert_eq!(
        home.json(&split)?,
        json!([
            {"time": "2020-01-02T18:00:00Z", "value": 103.0},
            {"time": "2020-01-03T16:00:00Z", "value": 52.5},
            {"time": "2020-01-03T17:00:00Z", "value": 53.5},
        ])
    );
    let said = String::from_utf8(home.run(&split)?.stderr)?;
    assert!(!said.contains("looks split"), "{said}");
    let early = ["indicator", "bbands:length=2", "--bars", &bars, "--to", "2020-01-02T17:00:00Z"];
    let early = home.json(&early)?;
    assert_eq!(early[0]["upper"], Value::Null, "{early}");
    assert_eq!(
        early[1],
        json!({"time": "2020-01-02T17:00:00Z", "upper": 103.0, "middle": 101.0, "lower": 99.0})
    );

    // Two series meet where both have a bar; a file or a symbol of the same files is the other one.
    let pair = ["indicator", "correl:length=2", "--bars", &bars, "--against", &other, "--csv"];
    assert!(home.text(&pair)?.ends_with(
        "2020-01-02T17:00:00Z,1\n2020-01-02T18:00:00Z,\n2020-01-03T16:00:00Z,-1\n2020-01-03T17:00:00Z,\n"
    ));
    let same = [
        "indicator",
        "correl:length=2",
        "--bars",
        &bars,
        &other,
        "--symbol",
        "TEST",
        "--against",
        "ELSE",
        "--csv",
    ];
    assert_eq!(home.text(&same)?, home.text(&pair)?);
    assert!(home.text(&["indicator", "rsi", "--bars", &bars])?.starts_with("CLOSE OF THE BAR"));

    // Rows that are no bars or actions are left out, as in a backtest, and said once.
    let bad = write("bad.csv", &format!("{BARS}\"TEST,1h\nTEST,1h,soon,1,1,1,1,1\n"))?;
    let output = home.run(&["indicator", "sma:length=2", "--bars", &bad, "--csv"])?;
    assert_eq!((output.status.code(), String::from_utf8(output.stdout)?), (Some(0), csv));
    let said = String::from_utf8(output.stderr)?;
    let line = BARS.lines().count() + 1;
    let told = format!("2 rows left out, the first in line {line} of {bad}: row \"\\\"TEST,1h\": ");
    assert_eq!(said.matches(&told).count(), 1, "{told} {said}");
    let output = home.run(&["pairs", "TEST", "ELSE", "--bars", &bad, &other])?;
    let said = String::from_utf8(output.stderr)?;
    assert_eq!(said.matches(&told).count(), 1, "{told} {said}");
    Ok(())
}

#[test]
fn indicators_are_listed_and_refusals_say_what_is_expected() -> Outcome {
    let home = Home::new()?;
    let all = home.json(&["indicator", "--list"])?;
    let macd = all.as_array().and_then(|all| all.iter().find(|entry| entry["name"] == "macd"));
    let macd = macd.cloned().unwrap_or_default();
    assert_eq!(
        (&macd["warm_up_bars"], &macd["outputs"]),
        (&json!(34), &json!(["macd", "signal", "histogram"]))
    );
    assert_eq!(macd["parameters"][0]["expected"], "a whole number from 2 to 100000");

    let (bars, other) = (home.path().join("bars.csv"), home.path().join("other.csv"));
    std::fs::write(&bars, BARS)?;
    std::fs::write(&other, OTHER)?;
    let (bars, other) = (bars.display().to_string(), other.display().to_string());
    for (arguments, said) in [
        (vec!["smaa", "--bars", &bars], "did you mean sma?"),
        (vec!["rsi:length=0", "--bars", &bars], "expected a whole number from 2 to 100000"),
        (vec!["beta", "--bars", &bars], "--against is missing"),
        (vec!["rsi", "--bars", &bars, "--against", "ELSE"], "rsi is over one series"),
        (vec!["rsi", "--bars", &bars, &other], "the files hold TEST 1h, ELSE 1h"),
        (vec!["rsi", "--bars", &bars, "--from", "soon"], "--from \"soon\": expected"),
        (vec!["rsi", "--bars", &bars, "--actions", &other], "expected columns symbol, ex_date, kind, value"),
        (
            vec!["rsi", "--symbol", "TEST", "--timezone", "UTC"],
            "--timezone UTC: expected none without --bars",
        ),
        (vec!["rsi:14", "--bars", &bars], "expected NAME or NAME:key=value"),
        (
            vec!["rsi", "--bars", &bars, "--from", "2020-01-05", "--to", "2020-01-02"],
            "--from 2020-01-05: expected a time before --to 2020-01-02",
        ),
    ] {
        let all: Vec<&str> = std::iter::once("indicator").chain(arguments).collect();
        let output = home.run(&all)?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{all:?}: {stderr}");
        assert!(stderr.contains(said), "{all:?}: {stderr}");
    }
    Ok(())
}
