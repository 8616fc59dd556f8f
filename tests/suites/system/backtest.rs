//! Backtests as processes: the same as a rehearsal, the same as a reference, and what the options promise.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use serde_json::Value;

use crate::harness::{Home, Outcome, actions_file, bar_files, data, rehearse};

/// What `tapedeck rehearse` printed for all shared data with its two default strategies.
const REHEARSED: &str = "5250b5eb38a47dcd298cd3d50c340ff249f46b7007eb4178958b9a14711bdf36";

/// The limits of an account without a configuration.
const DEFAULT_LIMITS: &str = "[account.paper]\n";

/// The costs of an account without a configuration.
const DEFAULT_COSTS: [&str; 6] =
    ["--commission-per-share", "0.005", "--commission-minimum", "1", "--slippage-bps", "1"];

const THREE: &str = r#"
[account.paper]
max_exposure = 2

[strategy.one]
kind = "sma_cross"
params = { fast = 3, slow = 9 }

[strategy.two]
kind = "momentum"
symbols = ["AAPL", "SPY"]
sizing = "fixed:25"
params = { lookback = 6, threshold = 0.01 }

[strategy.three]
kind = "sma_cross"
timeframe = "1h"
params = { fast = 5, slow = 20 }
"#;

fn backtest<'a>(bars: &'a [String], actions: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["backtest", "--bars"];
    arguments.extend(bars.iter().map(String::as_str));
    arguments.extend(["--actions", actions]);
    arguments.extend(more);
    arguments
}

fn limits(home: &Home, text: &str) -> anyhow::Result<String> {
    let path = home.path().join("limits.toml");
    std::fs::write(&path, text)?;
    Ok(path.display().to_string())
}

#[test]
fn all_shared_data_come_to_the_hash_of_their_rehearsal() -> Outcome {
    let (bars, actions, home) = (bar_files()?, actions_file()?, Home::new()?);
    let limits = limits(&home, DEFAULT_LIMITS)?;
    let mut more = vec!["--strategy", "momentum", "--strategy", "sma_cross", "--limits", &limits];
    more.extend(DEFAULT_COSTS);
    let report = home.json(&backtest(&bars, &actions, &more))?;
    assert_eq!(report["result_hash"], REHEARSED, "{report}");
    assert_eq!(report["recorded"], false);
    assert!(report["warnings"].to_string().contains("nothing was recorded"), "{report}");
    Ok(())
}

#[test]
fn three_strategies_rehearsed_and_backtested_decide_the_same() -> Outcome {
    let (bars, actions, home) = (bar_files()?, actions_file()?, Home::new()?);
    home.configure(THREE)?;
    // Both splits of the shared data that fall into a quiet time, and some dividends.
    let (from, to) = ("2014-05-01", "2014-07-31");
    let rehearsed = home.json(&rehearse(&bars, &actions, from, to, &[]))?;
    let limits = limits(&home, THREE)?;
    let mut more = vec!["--strategy", "one", "--strategy", "two", "--strategy", "three", "--limits", &limits];
    more.extend(["--from", from, "--to", to]);
    more.extend(DEFAULT_COSTS);
    let report = home.json(&backtest(&bars, &actions, &more))?;
    assert_eq!(report["result_hash"], rehearsed["chain_hash"], "{rehearsed} {report}");
    assert!(report["counts"]["fills"].as_u64() > Some(100), "{report}");

    // Costs and cash count where the file states them and no option does.
    let run = |text: &str, options: &[&str]| -> anyhow::Result<Value> {
        std::fs::write(&limits, THREE.replace("[account.paper]\n", &format!("[account.paper]\n{text}")))?;
        let mut more = vec!["--strategy", "one", "--strategy", "two", "--strategy", "three"];
        more.extend(["--limits", &limits, "--from", from, "--to", to]);
        more.extend(options);
        home.json(&backtest(&bars, &actions, &more))
    };
    let costs = "commission_per_share = 0.005\ncommission_minimum = 1\nslippage_bps = 1\n";
    let same = run(costs, &[])?;
    assert_eq!(same["result_hash"], report["result_hash"], "{same}");
    let dear = run("commission_per_share = 5\ncash = 5000\nmax_volume_share = 0.1\n", &DEFAULT_COSTS)?;
    assert_ne!(dear["result_hash"], report["result_hash"], "{dear}");
    let mut options = DEFAULT_COSTS.to_vec();
    options.extend(["--cash", "100000"]);
    let stated = run("commission_per_share = 5\ncash = 5000\n", &options)?;
    assert_eq!(stated["result_hash"], report["result_hash"], "{stated}");
    Ok(())
}

#[test]
fn the_reference_trades_the_same() -> Outcome {
    for (name, sides, quantity) in [
        ("goog", "long", 10),
        ("goog", "both", 10),
        ("eurusd", "long", 1_000),
        ("eurusd", "both", 1_000),
        ("bac", "long", 10),
        ("bac", "both", 10),
    ] {
        let home = Home::new()?;
        let file = home.path().join(format!("bars-{}-{name}.csv", if name == "goog" { "1d" } else { "1h" }));
        let reference = reference(name, sides, quantity, &file)?;
        compare(&home, &reference, (name, sides, quantity), &file)?;
    }
    Ok(())
}

/// Runs the Python package `backtesting`, which writes the bars to `file`.
#[expect(clippy::disallowed_methods, reason = "tests read their settings from the environment")]
fn reference(name: &str, sides: &str, quantity: i64, file: &Path) -> anyhow::Result<Value> {
    let python = std::env::var("TAPEDECK_TEST_PYTHON").map_err(|_| {
        anyhow::anyhow!("TAPEDECK_TEST_PYTHON: expected the Python that `make setup-test` made")
    })?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/python/backtesting_reference.py");
    let real = data()?.join("bars-1h-BAC.csv.gz").display().to_string();
    let source = if name == "bac" { real.as_str() } else { name };
    let output = Command::new(python)
        .arg(script)
        .args([source, sides, "10", "20", &quantity.to_string(), "0.002", "1000000"])
        .arg(file)
        .output()?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn compare(home: &Home, reference: &Value, run: (&str, &str, i64), file: &Path) -> Outcome {
    let (name, sides, quantity) = run;
    let (trades, equity) = (home.path().join("trades.csv"), home.path().join("equity.csv"));
    let text = |path: &Path| path.display().to_string();
    let (file, trades_path, equity_path) = (text(file), text(&trades), text(&equity));
    let sizing = format!("fixed:{quantity}");
    let mut arguments = vec!["backtest", "--strategy", "sma_cross:fast=10,slow=20", "--bars", &file];
    arguments.extend(["--cash", "1000000", "--commission-rate", "0.002", "--sizing", &sizing]);
    arguments.extend(["--trades", &trades_path, "--equity", &equity_path, "--calendar"]);
    arguments.push(if name == "eurusd" { "24x5" } else { "XNYS" });
    if sides == "both" {
        arguments.push("--allow-short");
    }
    let report = home.json(&arguments)?;
    assert_eq!(report["counts"]["bars"], reference["rows"], "{name}: every row is a bar");

    let bar_of = |time: &str| place(reference, name, time);
    let rows = table(&trades)?;
    let expected = reference["trades"].as_array().context("trades")?;
    assert_eq!(rows.len(), expected.len(), "{name} {sides}");
    for (row, expected) in rows.iter().zip(expected) {
        let [_, side, shares, entry_time, entry_price, exit_time, exit_price, commission, pnl, _] = &row[..]
        else {
            anyhow::bail!("ten columns expected: {row:?}")
        };
        let size = expected["size"].as_i64().context("size")?;
        assert_eq!(
            (side.as_str(), shares.parse::<i64>()?),
            (if size > 0 { "long" } else { "short" }, size.abs())
        );
        assert_eq!(bar_of(entry_time)?, expected["entry_bar"].as_i64().context("bar")?, "{row:?} {expected}");
        assert_eq!(bar_of(exit_time)?, expected["exit_bar"].as_i64().context("bar")?, "{row:?} {expected}");
        for (text, field) in [
            (entry_price, "entry_price"),
            (exit_price, "exit_price"),
            (commission, "commission"),
            (pnl, "pnl"),
        ] {
            near(text.parse()?, expected[field].as_f64().context("a number")?, &format!("{name} {field}"));
        }
    }
    let rows = table(&equity)?;
    let expected = reference["equity"].as_array().context("equity")?;
    assert_eq!(rows.len(), expected.len(), "{name} {sides}: one row per instant");
    for (row, expected) in rows.iter().zip(expected) {
        near(row[1].parse()?, expected.as_f64().context("a number")?, &format!("{name} {sides} {row:?}"));
    }
    Ok(())
}

fn near(found: f64, expected: f64, what: &str) {
    assert!((found - expected).abs() <= 1e-6, "{what}: {found}, expected {expected}");
}

/// The row of the reference's data that a fill at `time` belongs to.
fn place(reference: &Value, name: &str, time: &str) -> anyhow::Result<i64> {
    let time = chrono::DateTime::parse_from_rfc3339(time)?;
    let wanted = if name == "goog" {
        // A fill happens at the opening of the session, in exchange time the same date.
        time.date_naive().and_hms_opt(0, 0, 0).context("midnight")?.and_utc()
    } else {
        time.to_utc()
    };
    let wanted = wanted.timestamp_nanos_opt().context("in range")?;
    // The first bar of a session is named by the full hour before it opens.
    let wanted = if name == "bac" { wanted - wanted % 3_600_000_000_000 } else { wanted };
    let times = reference["times_ns"].as_array().context("times")?;
    let found = times.iter().position(|time| time.as_i64() == Some(wanted));
    Ok(i64::try_from(found.with_context(|| format!("no bar starts at {time}"))?)?)
}

/// Rows of a CSV file without its header.
fn table(path: &Path) -> anyhow::Result<Vec<Vec<String>>> {
    let text = std::fs::read_to_string(path)?;
    Ok(text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect())
}

#[test]
fn conditions_and_mistakes_have_their_exit_codes() -> Outcome {
    let (bars, actions, home) = (bar_files()?, actions_file()?, Home::new()?);
    let run = |more: &[&str]| {
        let mut all = vec!["--strategy", "sma_cross", "--from", "2011-07-01", "--to", "2011-09-30"];
        all.extend(more);
        home.run(&backtest(&bars, &actions, &all))
    };
    let said = |output: &std::process::Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let fine = run(&["--fail-if", "trades<1"])?;
    assert_eq!(fine.status.code(), Some(0), "{}", said(&fine));
    assert!(said(&fine).contains("nothing was recorded on the tape"), "{}", said(&fine));
    assert!(said(&fine).contains("buying power"), "{}", said(&fine));
    let failed = run(&["--fail-if", "trades>=1"])?;
    assert_eq!(failed.status.code(), Some(6), "{}", said(&failed));
    for (more, expected) in [
        (["--fail-if", "sharp<1"], "sharp"),
        (["--fail-if", "sharpe"], "sharpe"),
        (["--param", "speed=1"], "expected one of"),
        (["--cash", "-1"], "--cash"),
        (["--sizing", "half:1"], "--sizing"),
        (["--calendar", "XLON"], "XNYS, 24x5, 24x7"),
        (["--symbols", "NONE"], "AAPL"),
        (["--strategy", "nothing"], "expected a kind"),
    ] {
        let refused = run(&more)?;
        let code = if more[0] == "--symbols" { 3 } else { 2 };
        assert_eq!(refused.status.code(), Some(code), "{more:?} {}", said(&refused));
        assert!(said(&refused).contains(expected), "{more:?} {}", said(&refused));
    }
    Ok(())
}

#[test]
fn what_the_configuration_states_under_a_kinds_name_is_what_runs() -> Outcome {
    let (bars, actions, home) = (bar_files()?, actions_file()?, Home::new()?);
    let terms = ["--symbols", "SPY", "--from", "2014-05-01", "--to", "2014-07-31"];
    let statistics = |strategy: &str| -> anyhow::Result<Value> {
        let more = [&["--strategy", strategy], terms.as_slice()].concat();
        Ok(home.json(&backtest(&bars, &actions, &more))?["statistics"].clone())
    };
    let (plain, wanted) = (statistics("sma_cross")?, statistics("sma_cross:fast=3,slow=9")?);
    assert_ne!(plain, wanted);
    home.configure("[strategy.sma_cross]\nkind = \"sma_cross\"\nparams = { fast = 3, slow = 9 }\n")?;
    assert_eq!(statistics("sma_cross")?, wanted);
    // A broken one is an error of whatever reads files, where only kinds are named as well.
    home.configure("[strategy.swing]\nkind = \"nothing\"\n")?;
    for command in [
        &["backtest", "--strategy", "momentum"][..],
        &["sweep", "--strategy", "momentum", "--param", "lookback=5"],
        &["pairs", "AAPL", "SPY"],
        &["indicator", "rsi"],
    ] {
        let output = home.run(&[command, &["--bars", &bars[0]]].concat())?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(4), "{command:?} {said}");
        assert!(said.contains("strategy.swing"), "{command:?} {said}");
    }
    Ok(())
}

#[test]
fn options_of_sizing_limits_and_weights_are_taken_as_they_are_stated() -> Outcome {
    let (bars, actions, home) = (bar_files()?, actions_file()?, Home::new()?);
    home.configure("[strategy.swing]\nkind = \"sma_cross\"\nsizing = \"fraction:0.2\"\n")?;
    let trades = home.path().join("sized.csv");
    let path = trades.display().to_string();
    let file = limits(&home, "[account.main]\ncash = 50000\n")?;
    let terms = ["--from", "2014-05-01", "--to", "2014-07-31"];
    let run = |more: &[&str]| home.json(&backtest(&bars, &actions, &[&terms[..], more].concat()));
    let denied = |report: &Value| report["counts"]["denied"].to_string();

    let swing = ["--strategy", "swing:fast=5,slow=20", "--sizing", "fixed:10", "--symbols", "SPY"];
    let report = run(&[&swing[..], &["--trades", path.as_str()]].concat())?;
    assert!(report["warnings"].to_string().contains("buying power is all"), "{report}");
    let rows = table(&trades)?;
    let is_ten = |row: &Vec<String>| row[2] == "10";
    assert!(rows.len() > 3 && rows.iter().all(is_ten), "the option goes before the file: {rows:?}");

    // Four symbols, so that each part is a quarter.
    let equal = ["--strategy", "sma_cross:fast=5,slow=20", "--sizing"];
    let equal = |sizing: &str| run(&[&equal[..], &[sizing]].concat());
    let (parts, quarter) = (equal("equal_weight")?, equal("fraction:0.25")?);
    assert!(!denied(&parts).contains("size_zero"), "{parts}");
    assert_eq!(parts["statistics"], quarter["statistics"]);

    let named = run(&["--strategy", "sma_cross", "--limits", &file])?;
    assert!(!named["warnings"].to_string().contains("no limits file"), "{named}");
    let capped = ["--strategy", "sma_cross", "--limit", "symbol:AAPL.max_position_quantity=100"];
    let said = run(&capped)?["warnings"].to_string();
    assert!(said.contains("the limits of --limit") && !said.contains("No limits were stated"), "{said}");

    let (one, other) = ("rebalance:weights=SPY=0.6,IBM=0.35,period=weekly", "rebalance:weights=AAPL=0.5");
    let two = run(&["--strategy", one, "--strategy", other])?;
    assert!(two["strategies"].to_string().contains("SPY=0.6,IBM=0.35"), "{two}");

    std::fs::write(&file, "[account.main]\n[account.other]\n")?;
    let refused = home.run(&backtest(&bars, &actions, &["--strategy", "sma_cross", "--limits", &file]))?;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(2) && said.contains("2 accounts, expected one"), "{said}");
    Ok(())
}

#[test]
fn what_a_run_cannot_do_is_said_with_field_value_and_expectation() -> Outcome {
    let (bars, actions, home) = (bar_files()?, actions_file()?, Home::new()?);
    let spy = bars.iter().find(|file| file.contains("SPY")).context("bars of SPY")?.as_str();
    let place = home.path().display().to_string();
    let check = |arguments: &[&str], code: i32, expected: &[&str]| -> Outcome {
        let output = home.run(arguments)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?} {said}");
        for part in expected {
            assert!(said.contains(part), "{arguments:?} lacks {part:?}: {said}");
        }
        Ok(())
    };
    let backtest = |more: &[&str], code: i32, expected: &[&str]| -> Outcome {
        let mut all =
            vec!["backtest", "--strategy", "sma_cross", "--from", "2011-07-01", "--to", "2011-09-30"];
        all.extend(more);
        check(&all, code, expected)
    };
    backtest(
        &["--bars", spy, "--actions", spy],
        2,
        &["--actions", "a file of bars, expected corporate actions"],
    )?;
    backtest(&["--bars", &actions], 2, &["--bars", "a file of corporate actions, expected bars"])?;
    backtest(&["--bars", &place], 2, &["--bars", "a directory, expected a file"])?;
    backtest(
        &["--bars", spy, "--limits", "no.toml"],
        3,
        &["--limits no.toml", "[account.NAME]", "backtest --help"],
    )?;
    for (limit, expected) in [
        ("strategy:momentum.max_open_orders=3", "no such strategy in this run, expected one of sma_cross"),
        ("symbol:IBM.max_order_quantity=10", "no bars of IBM, expected one of SPY"),
    ] {
        backtest(&["--bars", spy, "--limit", limit], 3, &["--limit", limit, expected])?;
    }
    backtest(&["--bars", spy, "--limit", "symbol:.max_order_quantity=10"], 2, &["symbol:Y.NAME=VALUE"])?;
    let (ten, twenty) = ("symbol:SPY.max_order_quantity=10", "symbol:SPY.max_order_quantity=20");
    backtest(&["--bars", spy, "--limit", ten, "--limit", twenty], 2, &[twenty, "stated twice"])?;
    backtest(&["--bars", spy, "--param", "fast=5", "--param", "fast=6"], 2, &["fast=6", "stated twice"])?;
    let twice = "sma_cross:fast=5,fast=6";
    check(&["backtest", "--strategy", twice, "--bars", spy], 2, &["fast=6: fast is stated twice"])?;
    backtest(&["--bars", spy, "--benchmark", "IBM"], 3, &["--benchmark IBM", "expected one of SPY"])?;
    check(
        &["backtest", "--from", "2018-13-02"],
        2,
        &["--from", "2018-13-02", "expected a date, YYYY-MM-DD"],
    )?;

    let named = ["strategy pairs: second \"IBM\"", "expected a symbol that the run has bars of: SPY"];
    check(&["backtest", "--strategy", "pairs:first=SPY,second=IBM", "--bars", spy], 3, &named)?;
    let pairs = ["--strategy", "pairs:first=SPY,second=IBM", "--param", "entry=1|2", "--bars", spy];
    check(&[&["sweep"][..], &pairs].concat(), 3, &[named[0], named[1], "tapedeck sweep --help"])?;
    let tried = [
        "walk-forward",
        "--strategy",
        "pairs:first=SPY,second=XXX",
        "--param",
        "second=IBM|BAC",
        "--bars",
        spy,
    ];
    check(&tried, 3, &[named[0], "tapedeck walk-forward --help"])?;
    let sma =
        ["walk-forward", "--strategy", "sma_cross", "--param", "fast=5", "--bars", spy, "--in-sample", "0"];
    check(&sma, 2, &["--in-sample 0: expected 1 to ", "tapedeck walk-forward --help"])?;
    let sweep = ["sweep", "--strategy", "sma_cross", "--param", "fast=5", "--tape", "nowhere"];
    let unknown = ["--timeframe", "2h"];
    check(&[&sweep[..], &unknown].concat(), 2, &["--timeframe", "2h", "expected one of 1m"])?;
    let ignored = ["--actions", &actions];
    check(&[&sweep[..], &ignored].concat(), 2, &["--actions", "without --bars", "tapedeck sweep --help"])?;
    let none = ["sweep", "--strategy", "sma_cross", "--param", "fast=5", "--bars", spy, "--top", "0"];
    check(&none, 2, &["--top 0: expected at least one row", "tapedeck sweep --help"])?;
    let waits = ["rehearse", "--bars", spy, "--wait-for", "BAD.NAME"];
    check(&waits, 2, &["--wait-for \"BAD.NAME\": expected 1 to 40 lowercase letters"])?;
    for text in ["", "[web]\n"] {
        let empty = limits(&home, text)?;
        backtest(&["--bars", spy, "--limits", &empty], 2, &["0 accounts, expected one [account.NAME]"])?;
    }

    check(&["at", "600", "foo"], 2, &["foo", "positions|orders|account|strategies"])?;
    // A number below zero is a value, whose own check comes once there is a tape.
    for terms in [&["--qty", "-5"][..], &["--qty", "5", "--type", "limit", "--limit", "-80"]] {
        check(&[&["order", "place", "buy", "SPY", "--tape", "nowhere"], terms].concat(), 3, &["nowhere"])?;
    }
    Ok(())
}

#[test]
fn a_benchmark_is_compared_with_and_not_traded() -> Outcome {
    let (bars, actions, home) = (bar_files()?, actions_file()?, Home::new()?);
    let more = ["--strategy", "sma_cross", "--symbols", "IBM", "--from", "2011-07-01", "--to", "2011-12-31"];
    let alone = home.json(&backtest(&bars, &actions, &more))?;
    let beside = home.json(&backtest(&bars, &actions, &[&more[..], &["--benchmark", "SPY"]].concat()))?;
    assert_eq!(beside["result_hash"], alone["result_hash"], "{beside}");
    assert_eq!(beside["data_hash"], alone["data_hash"], "{beside}");
    assert!(alone["statistics"]["beta"].is_null(), "{alone}");
    assert!(beside["statistics"]["beta"].is_f64(), "{beside}");
    Ok(())
}

#[test]
fn prices_whose_split_nobody_states_are_warned_of() -> Outcome {
    let (bars, actions, home) = (bar_files()?, actions_file()?, Home::new()?);
    let more = ["--strategy", "sma_cross", "--symbols", "AAPL", "--from", "2014-05-01", "--to", "2014-07-31"];
    let stated = backtest(&bars, &actions, &more);
    let place = stated.iter().position(|one| *one == "--actions").context("the actions")?;
    let raw = [&stated[..place], &stated[place + 2..]].concat();
    let said = home.json(&raw)?["warnings"].to_string();
    assert!(said.contains("AAPL looks split 7:1 on 2014-06-09 and no split is stated"), "{said}");
    let said = home.json(&stated)?["warnings"].to_string();
    assert!(!said.contains("looks split"), "{said}");

    // So are those of whoever else reads files; what they print stays as it is.
    let of = |symbol: &str| bars.iter().find(|file| file.contains(symbol)).context("a file of bars");
    let (aapl, spy) = (of("AAPL")?.as_str(), of("SPY")?.as_str());
    let is_warned = |arguments: &[&str]| -> anyhow::Result<bool> {
        let output = home.run(arguments)?;
        let said = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "{arguments:?} {said}");
        anyhow::ensure!(!String::from_utf8_lossy(&output.stdout).contains("looks split"), "{arguments:?}");
        Ok(said.contains("AAPL looks split 7:1 on 2014-06-09 and no split is stated"))
    };
    let range = ["--from", "2014-05-01", "--to", "2014-07-31"];
    let pairs = [&["pairs", "AAPL", "SPY"][..], &range, &["--bars", aapl, spy]].concat();
    assert!(is_warned(&pairs)?);
    assert!(!is_warned(&[&pairs[..], &[actions.as_str()]].concat())?);
    let indicator = [&["indicator", "rsi", "--csv"][..], &range, &["--bars", aapl]].concat();
    assert!(is_warned(&indicator)?);
    assert!(!is_warned(&[&indicator[..], &["--actions", &actions]].concat())?);
    let days = ["--from", "2014-06-06", "--to", "2014-06-09"];
    assert!(is_warned(&[&["rehearse", "--no-progress"][..], &days, &["--bars", aapl]].concat())?);
    Ok(())
}

#[test]
fn searches_print_what_they_tried() -> Outcome {
    let (bars, actions, home) = (bar_files()?, actions_file()?, Home::new()?);
    let search = |command: &str, more: &[&str]| {
        let mut all = backtest(&bars, &actions, &["--strategy", "sma_cross", "--symbols", "SPY"]);
        all[0] = command;
        let all: Vec<&str> = all.into_iter().chain(more.iter().copied()).collect();
        home.json(&all)
    };
    let range = ["--from", "2011-01-01", "--to", "2012-12-31", "--commission-rate", "0.001"];
    let space = ["--param", "fast=5..20:5", "--param", "slow=20..40:20"];
    let held = |document: &Value| {
        let held = &document["strategies"][0]["parameters"];
        assert_eq!((&held["fast"], &held["average"]), (&Value::Null, &"simple".into()), "{document}");
        let terms = &document["parameters"];
        assert_eq!(
            (&terms["commission_rate"], &terms["cash"]),
            (&"0.001".into(), &"100000".into()),
            "{document}"
        );
        assert!(terms["limits"].is_object(), "{document}");
    };
    let sweep = search("sweep", &[&range[..], &space[..]].concat())?;
    assert_eq!(sweep["runs"], 8, "{sweep}");
    held(&sweep);
    assert!(sweep["warnings"].to_string().contains("no limits file: buying power is all"), "{sweep}");
    assert_eq!(sweep["refused"], 1, "fast and slow of 20: {sweep}");
    assert!(sweep["trials"][0]["score"].as_f64() >= sweep["trials"][1]["score"].as_f64(), "{sweep}");
    let windows = ["--in-sample", "200", "--out-of-sample", "100"];
    let arguments = [&range[..], &space[..], &windows[..]].concat();
    let walked = search("walk-forward", &arguments)?;
    held(&walked);
    assert_eq!(walked["folds"].as_array().map(Vec::len), Some(4), "{walked}");
    assert!(walked["folds"][0]["parameters"]["fast"].is_string(), "{walked}");
    Ok(())
}
