//! What commands over files do with what they are given: files that cannot be written, bars outside the sessions,
//! bars whose file does not say what they are of, actions that are none; what they say of their result, and what does not
//! change it.

use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use crate::harness::{Home, Outcome, actions_file, bar_files, refused};

#[test]
fn a_file_that_cannot_be_written_is_told_before_the_run_and_costs_no_result() -> Outcome {
    let (bars, actions, home) = (bar_files()?, actions_file()?, Home::new()?);
    let lost = home.path().join("no/x.csv").display().to_string();
    let range = ["--strategy", "sma_cross", "--symbols", "SPY", "--from", "2011-07-01", "--to", "2011-12-31"];
    let run = |command: &str, more: &[&str]| {
        let mut all = vec![command, "--bars"];
        all.extend(bars.iter().map(String::as_str));
        all.extend(["--actions", &actions]);
        all.extend(range);
        all.extend(more);
        home.run(&all)
    };
    let plain: &[&str] = &[];
    let walk: &[&str] = &["--param", "fast=5|10", "--in-sample", "60", "--out-of-sample", "30"];
    for (command, option, more) in [
        ("backtest", "--trades", plain),
        ("backtest", "--equity", plain),
        ("backtest", "--report", plain),
        ("walk-forward", "--trades", walk),
    ] {
        let ended = run(command, &[more, &[option, &lost]].concat())?;
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(2), "{command} {option} {said}");
        let expected = format!("{option} {lost}: its directory does not exist, expected a file");
        assert!(said.contains(&expected), "{said}");
        assert!(said.contains(&format!("tapedeck {command} --help")), "{said}");
        assert!(ended.stdout.is_empty(), "{command} {option}");
    }
    // A disk that fills up while the file is written: what the run came to is said all the same.
    if Path::new("/dev/full").exists() {
        for (command, more) in [("backtest", plain), ("walk-forward", walk)] {
            let full = run(command, &[more, &["--equity", "/dev/full"]].concat())?;
            let said = String::from_utf8_lossy(&full.stderr).into_owned();
            assert_eq!(full.status.code(), Some(1), "{command} {said}");
            assert!(said.contains("--equity /dev/full: "), "{command} {said}");
            assert!(String::from_utf8_lossy(&full.stdout).contains("max_drawdown"), "{command} {said}");
        }
    }
    Ok(())
}

/// Twelve hourly bars of a currency, from Thursday 2020-01-02 22:00 UTC on: outside the hours of the exchange,
/// all of them.
fn night(close: impl Fn(u32) -> u32) -> String {
    let row = |hour: u32| {
        let (day, of_day, price) = (2 + (22 + hour) / 24, (22 + hour) % 24, close(hour));
        format!("2020-01-{day:02} {of_day:02}:00:00,{price},{price},{price},{price},1\n")
    };
    (0..12).fold("time,open,high,low,close,volume\n".to_owned(), |text, hour| text + &row(hour))
}

#[test]
fn bars_outside_the_hours_are_taken_with_another_calendar_and_hint_at_it_without() -> Outcome {
    let home = Home::new()?;
    let write = |name: &str, text: &str| -> anyhow::Result<String> {
        let path = home.path().join(name);
        std::fs::write(&path, text)?;
        Ok(path.display().to_string())
    };
    let (first, second) = (night(|hour| 100 + hour % 5), night(|hour| 200 + hour % 7));
    let (first, second) = (write("EURUSD.csv", &first)?, write("GBPUSD.csv", &second)?);
    let zone = ["--timezone", "UTC"];
    let calendar = ["--calendar", "24x5"];
    let hint = "outside the market's hours, which --calendar XNYS|24x5|24x7 states";

    // The name of a file is its symbol, as in a backtest.
    let indicator = [&["indicator", "sma:length=2", "--bars", &first][..], &zone].concat();
    let rows = home.json(&[&indicator[..], &calendar].concat())?;
    assert_eq!(rows.as_array().map(Vec::len), Some(12), "{rows}");
    refused(&home, &indicator, 3, &[hint, "12 rows left out"])?;
    let symbol = [&indicator[..], &calendar, &["--symbol", "EURUSD"]].concat();
    assert_eq!(home.json(&symbol)?, rows);

    let pairs = [&["pairs", "EURUSD", "GBPUSD", "--bars", &first, &second][..], &zone].concat();
    refused(&home, &pairs, 3, &[hint])?;
    let unknown = [&pairs[..], &["--calendar", "XLON"]].concat();
    refused(&home, &unknown, 2, &["--calendar", "expected one of XNYS, 24x5, 24x7"])?;

    let run = [&["backtest", "--strategy", "sma_cross:fast=2,slow=3", "--bars", &first][..], &zone].concat();
    refused(&home, &run, 3, &["the files hold no bars in the range; 12 rows left out", &first, hint])?;
    assert_eq!(home.json(&[&run[..], &calendar].concat())?["counts"]["bars"], 12);

    // The newest first: not a run over one bar, but a file that has to be turned around.
    let text = std::fs::read_to_string(&first)?;
    let mut lines: Vec<&str> = text.lines().collect();
    lines[1..].reverse();
    let turned = write("TURNED.csv", &(lines.join("\n") + "\n"))?;
    for command in [
        &["backtest", "--strategy", "momentum"][..],
        &["indicator", "sma:length=2"],
        &["pairs", "TURNED", "EURUSD"],
    ] {
        let files = ["--bars", &turned, "--timeframe", "1h"];
        let all = [command, &files, &zone, &calendar].concat();
        let words = ["11 of 12 rows are older than the row before them", "expected the oldest first"];
        refused(&home, &all, 2, &words)?;
    }
    Ok(())
}

#[test]
fn an_action_that_is_none_and_what_a_search_was_denied_are_told() -> Outcome {
    let (bars, home) = (bar_files()?, Home::new()?);
    let path = home.path().join("actions.csv").display().to_string();
    std::fs::write(&path, "symbol,ex_date,kind,value\nSPY,2011-08-01,splt,2\nSPY,2011-08-02,dividend,0.5\n")?;
    let files: Vec<&str> = ["--bars"].into_iter().chain(bars.iter().map(String::as_str)).collect();
    let range =
        ["--strategy", "sma_cross", "--symbols", "SPY,IBM", "--from", "2011-07-01", "--to", "2011-12-31"];
    let all = [&["backtest"][..], &files[..], &["--actions", &path], &range].concat();
    let said = home.json(&all)?["warnings"].to_string();
    assert!(said.contains("corporate actions: 1 row left out, the first in line 2"), "{said}");
    assert!(said.contains("splt") && said.contains("expected `split` or `dividend`"), "{said}");

    // Of IBM nothing is ever bought.
    let limit = ["--limit", "symbol:IBM.max_position_quantity=1", "--param", "fast=5|10"];
    let all = [&["sweep"][..], &files[..], &range, &limit].concat();
    let sweep = home.json(&all)?;
    for trial in [&sweep["trials"][0], &sweep["trials"][1]] {
        assert!(trial["denied"].as_u64() > Some(0), "{sweep}");
    }
    let rules = sweep["best"]["denied"].as_object();
    let denied: u64 =
        rules.into_iter().flat_map(|rules| rules.values()).filter_map(|count| count.as_u64()).sum();
    assert_eq!(Some(denied), sweep["trials"][0]["denied"].as_u64(), "{sweep}");
    assert!(home.text(&all)?.contains("signals denied: "));
    Ok(())
}

#[test]
fn the_order_of_files_changes_nothing() -> Outcome {
    let (bars, actions, home) = (bar_files()?, actions_file()?, Home::new()?);
    let path = home.path().join("trades.csv").display().to_string();
    let run = |bars: &[&str]| -> anyhow::Result<(Value, String)> {
        let strategies = ["--strategy", "sma_cross:fast=5,slow=20", "--strategy", "momentum"];
        let range = ["--from", "2014-05-01", "--to", "2014-12-31", "--actions", &actions, "--trades", &path];
        let report = home.json(&[&["backtest"][..], &strategies, &range, &["--bars"], bars].concat())?;
        Ok((report, std::fs::read_to_string(&path)?))
    };
    let mut files: Vec<&str> = bars.iter().map(String::as_str).collect();
    let (one, trades) = run(&files)?;
    assert!(one["counts"]["fills"].as_u64() > Some(100), "{one}");
    files.reverse();
    let (other, same_trades) = run(&files)?;
    for field in ["result_hash", "data_hash", "statistics", "counts", "monte_carlo"] {
        assert_eq!(one[field], other[field], "{field}");
    }
    assert_eq!(trades, same_trades);
    Ok(())
}

#[test]
fn a_result_says_which_code_made_it_and_what_other_orders_of_its_trades_come_to() -> Outcome {
    let (bars, home) = (bar_files()?, Home::new()?);
    let spy = bars.iter().find(|file| file.contains("SPY")).context("bars of SPY")?.as_str();
    let run = ["--strategy", "sma_cross", "--bars", spy, "--from", "2011-01-01", "--to", "2012-12-31"];
    let backtest = [&["backtest"][..], &run].concat();
    let report = home.json(&backtest)?;
    let version = report["code_version"].as_str().context("a version")?;
    let code = version.strip_prefix(concat!(env!("CARGO_PKG_VERSION"), "+")).context("version and code")?;
    let code = code.trim_start_matches("src.").trim_end_matches("-dirty");
    let is_hash = code.len() >= 12 && code.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(is_hash, "{version}");
    assert_eq!(home.text(&["--version"])?.trim(), format!("tapedeck {version}"));

    let simulated = &report["monte_carlo"];
    assert_eq!((&simulated["runs"], &simulated["seed"]), (&Value::from(1_000), &Value::from(1)), "{report}");
    let share = simulated["deeper_than_actual"].as_f64().context("a share")?;
    assert!((0.0..=1.0).contains(&share), "{simulated}");
    let said = home.text(&backtest)?;
    for words in ["max drawdown in another order", "max drawdown, drawn again", "final equity, drawn again"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    // The simulation is of the seed and the trades: the same run again comes to the same.
    assert_eq!(home.json(&backtest)?["monte_carlo"], *simulated);

    let space = ["--param", "fast=5|10"];
    let sweep = home.json(&[&["sweep"][..], &run, &space].concat())?;
    assert_eq!(sweep["best"]["monte_carlo"]["runs"], 1_000, "{sweep}");
    let windows = ["--in-sample", "200", "--out-of-sample", "100"];
    let walked = home.json(&[&["walk-forward"][..], &run, &space, &windows].concat())?;
    assert_eq!(walked["monte_carlo"]["runs"], 1_000, "{walked}");
    Ok(())
}
