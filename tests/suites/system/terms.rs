//! What an account can pay in a backtest, by its kind and as it is rehearsed, and what the limits of its tape let pass;
//! markets that never rest: their runs on record, their history, their days.

use std::fmt::Write as _;

use anyhow::Context as _;
use serde_json::Value;

use crate::harness::{Home, Outcome, actions_file, bar_files, refused, rehearse};

const FROM: &str = "2014-05-15";
const TO: &str = "2014-07-15";
/// The costs of an account without a configuration.
const COSTS: [&str; 6] =
    ["--commission-per-share", "0.005", "--commission-minimum", "1", "--slippage-bps", "1"];

/// An account that nothing limits but what it can pay.
fn configuration(kind: &str, allow_short: bool, sizing: &str) -> String {
    format!(
        "[account.paper]\nkind = \"{kind}\"\nallow_short = {allow_short}\nmax_position = 10\nmax_exposure = 10\n\
         max_order_value = 100000000\n\n[strategy.swing]\nkind = \"sma_cross\"\nsizing = \"{sizing}\"\n\
         params = {{ fast = 5, slow = 13, allow_short = {allow_short} }}\n"
    )
}

#[test]
fn an_account_of_each_kind_is_backtested_as_it_is_rehearsed() -> Outcome {
    let (bars, actions) = (bar_files()?, actions_file()?);
    for (kind, allow_short, sizing, rule) in [
        ("margin", true, "fraction:0.7", "insufficient_buying_power"),
        ("cash", false, "fraction:0.4", "insufficient_cash"),
    ] {
        let home = Home::new()?;
        let text = configuration(kind, allow_short, sizing);
        home.configure(&text)?;
        let rehearsed = home.json(&rehearse(&bars, &actions, FROM, TO, &["--tape", "known"]))?;
        let on_tape = ["backtest", "--tape", "known", "--strategy", "swing", "--timeframe", "1h"];
        let from_tape = home.json(&on_tape)?;
        assert_eq!(from_tape["result_hash"], rehearsed["chain_hash"], "{kind}, over the tape: {from_tape}");
        assert!(from_tape["counts"]["denied"][rule].as_u64() > Some(0), "{kind}: {from_tape}");

        let file = home.path().join("limits.toml");
        std::fs::write(&file, &text)?;
        let file = file.display().to_string();
        let mut arguments = vec!["backtest", "--strategy", "swing", "--limits", &file, "--actions", &actions];
        arguments.extend(["--from", FROM, "--to", TO]);
        arguments.extend(COSTS);
        arguments.push("--bars");
        arguments.extend(bars.iter().map(String::as_str));
        let from_files = home.json(&arguments)?;
        assert_eq!(from_files["result_hash"], rehearsed["chain_hash"], "{kind}, over files: {from_files}");
    }
    Ok(())
}

/// Limits by account, by symbol, and of a strategy in one symbol.
const SCOPED: &str = "[[limits]]\naccount = \"paper\"\nmax_open_orders = 2\n\n[[limits]]\nsymbol = \"IBM\"\n\
    max_order_value = 5000\n\n[[limits]]\nstrategy = \"swing\"\nsymbol = \"AAPL\"\nmax_position_quantity = 100\n";

#[test]
fn a_registered_strategy_is_backtested_under_the_limits_of_its_tape() -> Outcome {
    let (bars, actions, home) = (bar_files()?, actions_file()?, Home::new()?);
    let text = configuration("cash", false, "fraction:0.2");
    home.configure(&format!("{text}\n{SCOPED}"))?;
    let rehearsed = home.json(&rehearse(&bars, &actions, FROM, TO, &["--tape", "known"]))?;
    let of_tape = ["--tape", "known", "--strategy", "swing", "--timeframe", "1h"];
    let run = |command: &str, more: &[&str]| home.json(&[&[command][..], &of_tape, more].concat());
    let first = run("backtest", &[])?;
    assert_eq!(first["result_hash"], rehearsed["chain_hash"], "{first}");
    for (rule, name, value) in [
        ("max_order_value", "symbol:IBM.max_order_value", "5000"),
        ("max_position", "strategy:swing,symbol:AAPL.max_position_quantity", "100"),
        ("max_open_orders", "account:paper.max_open_orders", "2"),
    ] {
        assert!(first["counts"]["denied"][rule].as_u64() > Some(0), "{rule}: {first}");
        assert_eq!(first["parameters"]["limits"][name], value, "{first}");
    }
    let said = first["warnings"].to_string() + &first["notes"].to_string();
    for words in [
        "limits of the tape: ",
        "Limits of the tape that held: ",
        "account paper v1",
        "symbol IBM v1",
        "strategy swing, symbol AAPL v1",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    // A search has them, too.
    let search = ["--metric", "net_profit", "--param", "fast=5", "--param", "slow=13"];
    let swept = run("sweep", &search)?;
    let profit = |report: &Value| report["statistics"]["net_profit"].clone();
    assert_eq!(profit(&swept["best"]), profit(&first), "{swept}");
    let windows = ["--in-sample", "20", "--out-of-sample", "10"];
    let walked = run("walk-forward", &[&search[..], &windows].concat())?;
    assert!(walked["warnings"].to_string().contains("account paper v1"), "{walked}");

    // What stands on the tape when the run is asked for holds, and is kept with the run.
    home.text(&["limits", "set", "--tape", "known", "--account", "paper", "max_open_orders=0"])?;
    let later = run("backtest", &[])?;
    assert_eq!(later["counts"]["fills"], 0, "{later}");
    assert!(later["warnings"].to_string().contains("account paper v2"), "{later}");
    let subject = "control.backtest.*.requested";
    let asked = home.text(&["tail", "--tape", "known", "--subject", subject, "--no-follow", "--json"])?;
    assert_eq!(asked.matches("\"limitSetsOfTape\":3").count(), 4, "{asked}");

    // An option goes before the tape, and so does a file; without limits buying power is all that is checked.
    let wider = run("backtest", &["--limit", "max_open_orders=2"])?;
    // Which of two rules denied first may differ; that they did does not.
    let counts = |report: &Value| {
        let denied = report["counts"]["denied"].as_object().into_iter().flatten();
        let denied: u64 = denied.filter_map(|(_, count)| count.as_u64()).sum();
        (report["counts"]["fills"].clone(), report["counts"]["orders"].clone(), denied)
    };
    assert_eq!(counts(&wider), counts(&first), "{wider}");
    let file = home.path().join("limits.toml");
    std::fs::write(&file, &text)?;
    let file = file.display().to_string();
    for limits in [file.as_str(), "none"] {
        let free = run("backtest", &["--limits", limits])?;
        assert!(free["counts"]["fills"].as_u64() > first["counts"]["fills"].as_u64(), "{limits}: {free}");
        let said = free["warnings"].to_string();
        assert!(!said.contains("limits of the tape"), "{limits}: {said}");
        assert_eq!(said.contains("buying power is all that is checked"), limits == "none", "{said}");
    }
    Ok(())
}

/// Hourly bars that go up and down, each opening at the close before it, from a Monday on.
fn bars(home: &Home) -> anyhow::Result<String> {
    let start = chrono::DateTime::parse_from_rfc3339("2020-01-06T00:00:00Z")?;
    let mut text = "symbol,start_utc,open,high,low,close,volume\n".to_owned();
    let mut open = 100;
    for hour in 0..96 {
        let close = 100 + (hour % 16 - 8_i32).abs();
        let time = (start + chrono::Duration::hours(hour.into())).format("%Y-%m-%dT%H:%M:%SZ");
        writeln!(text, "WAVE,{time},{open},{},{},{close},1000000", open.max(close), open.min(close))?;
        open = close;
    }
    let file = home.path().join("bars-1h-wave.csv");
    std::fs::write(&file, text)?;
    Ok(file.display().to_string())
}

fn cash_of(path: &str) -> anyhow::Result<Vec<f64>> {
    let text = std::fs::read_to_string(path)?;
    let cash = text.lines().skip(1).map(|line| Ok(line.split(',').nth(2).context("a column")?.parse()?));
    cash.collect()
}

fn warns(report: &Value) -> bool {
    report["warning_block"].to_string().contains("negative_cash")
}

#[test]
fn only_the_cash_is_spent_costs_included() -> Outcome {
    let home = Home::new()?;
    let (wave, equity) = (bars(&home)?, home.path().join("equity.csv").display().to_string());
    let run = |file: &str, more: &[&str]| {
        let common = ["--commission-rate", "0.001", "--slippage-bps", "5", "--equity", &equity];
        home.json(&[&["backtest", "--bars", file][..], &common, more].concat())
    };
    let on_wave = ["--calendar", "24x7", "--strategy", "sma_cross:fast=2,slow=5", "--sizing", "fraction:1"];
    for more in [Vec::new(), vec!["--allow-short"]] {
        let report = run(&wave, &[&on_wave[..], &more].concat())?;
        assert!(report["counts"]["fills"].as_u64() > Some(8), "{report}");
        assert!(cash_of(&equity)?.iter().all(|cash| *cash >= 0.0), "{more:?}: {report}");
        assert!(!warns(&report), "{report}");
    }
    // What a gap over night takes beyond the cash is said.
    let bars = bar_files()?;
    let real = ["--strategy", "sma_cross:fast=10,slow=40", "--sizing", "fraction:1"];
    let report = run(&bars[0], &real)?;
    assert_eq!(warns(&report), cash_of(&equity)?.iter().any(|cash| *cash < 0.0), "{report}");

    let all = ["--strategy", "buy_and_hold", "--allow-short", "--sizing", "fixed:1000000"];
    let report = run(&bars[0], &all)?;
    assert_eq!(report["counts"]["fills"], 0, "{report}");
    assert!(report["counts"]["denied"]["insufficient_cash"].as_u64() > Some(0), "{report}");
    Ok(())
}

#[test]
fn a_run_of_a_market_that_never_rests_is_recorded_and_replayed() -> Outcome {
    let home = Home::new()?;
    let wave = bars(&home)?;
    for (calendar, tape) in [("24x5", "week"), ("24x7", "always")] {
        let strategy = ["--strategy", "sma_cross:fast=2,slow=5", "--sizing", "fixed:10"];
        let recorded = ["--bars", &wave, "--calendar", calendar, "--record", tape];
        let report = home.json(&[&["backtest"][..], &strategy, &recorded].concat())?;
        assert!(report["counts"]["fills"].as_u64() > Some(8), "{report}");
        let chain = home.json(&["chain-hash", "--tape", tape])?;
        assert_eq!(chain["chain_hash"], report["result_hash"], "{calendar}");
        let replayed = home.json(&["replay", "--verify", "--tape", tape])?;
        assert_eq!(replayed["chain_hash"], report["result_hash"], "{calendar}: {replayed}");
        assert!(replayed["read_model_at"].as_u64() > Some(0), "{calendar}: {replayed}");
    }
    Ok(())
}

#[test]
fn a_market_that_never_rests_is_backtested_as_it_is_rehearsed() -> Outcome {
    let home = Home::new()?;
    let (wave, text) = (bars(&home)?, configuration("cash", false, "fixed:10"));
    home.configure(&text)?;
    let file = home.path().join("limits.toml");
    std::fs::write(&file, &text)?;
    let file = file.display().to_string();
    for (calendar, tape, sessions) in [("24x5", "week", 5), ("24x7", "always", 4)] {
        let rehearsed = home.json(&["rehearse", "--bars", &wave, "--calendar", calendar, "--tape", tape])?;
        assert!(rehearsed["fills"].as_u64() > Some(4), "{calendar}: {rehearsed}");
        let run = ["backtest", "--strategy", "swing", "--limits", &file, "--calendar", calendar];
        let report = home.json(&[&run[..], &COSTS, &["--bars", &wave]].concat())?;
        assert_eq!(report["result_hash"], rehearsed["chain_hash"], "{calendar}: {report}");
        let replayed = home.json(&["replay", "--verify", "--tape", tape])?;
        assert_eq!(replayed["chain_hash"], rehearsed["chain_hash"], "{calendar}: {replayed}");

        // Whoever says nothing of the calendar has that of the tape, and what is recorded of the run says it.
        let on_tape = ["backtest", "--tape", tape, "--strategy", "swing", "--timeframe", "1h"];
        let silent = home.json(&on_tape)?;
        let stated = home.json(&[&on_tape[..], &["--calendar", calendar]].concat())?;
        for field in ["result_hash", "statistics", "parameters"] {
            assert_eq!(silent[field], stated[field], "{calendar}: {field}");
        }
        assert_eq!(silent["parameters"]["calendar"], calendar, "{silent}");
        let kept = home.json(&[&on_tape[..], &["--offline"]].concat())?;
        assert_eq!(kept["parameters"]["calendar"], calendar, "{kept}");
        let subject = "control.backtest.*.requested";
        let asked = home.text(&["tail", "--tape", tape, "--subject", subject, "--no-follow", "--json"])?;
        assert!(asked.lines().count() > 1 && asked.lines().all(|line| line.contains(calendar)), "{asked}");
        // So has the account: its days are the sessions in which the bars lie. The last bar closes at midnight in UTC, where
        // a day of the one calendar ends and one of the other goes on.
        let sheet = home.json(&["report", "--tape", tape])?;
        assert_eq!(sheet["run"]["calendar"], calendar, "{sheet}");
        let days = sheet["daily"]["dates"].as_array().context("dates")?;
        assert_eq!(days.len(), sessions, "{calendar}: {days:?}");
    }
    let of_another = ["rehearse", "--bars", &wave, "--calendar", "24x5", "--tape", "always"];
    refused(&home, &of_another, 2, &["tape always holds another source or range"])?;
    let unknown = ["rehearse", "--bars", &wave, "--calendar", "XLON", "--tape", "nowhere"];
    refused(&home, &unknown, 2, &["--calendar", "expected one of XNYS, 24x5, 24x7"])
}

#[test]
fn a_recording_that_fails_leaves_its_name_free() -> Outcome {
    let home = Home::new()?;
    let wave = bars(&home)?;
    home.json(&["import", &wave, "--tape", "mine", "--calendar", "24x7"])?;
    let common = ["backtest", "--bars", &wave, "--calendar", "24x7", "--record", "half"];
    let program = ["--external", "swing=echo no such data >&2; exit 3; true"];
    let failed = home.run(&[&common[..], &program].concat())?;
    assert_eq!(failed.status.code(), Some(1), "{}", String::from_utf8_lossy(&failed.stderr));
    assert!(!home.path().join("tapes").join("half").exists(), "half a tape stays");
    // Commands speak of the tape that they spoke of before.
    assert_eq!(std::fs::read_to_string(home.path().join("last-tape"))?.trim(), "mine");
    let report = home.json(&[&common[..], &["--strategy", "sma_cross:fast=2,slow=5"]].concat())?;
    assert_eq!(report["tape"], "half", "{report}");
    assert!(home.run(&["tape", "remove", "half", "--yes"])?.status.success());
    refused(&home, &["chain-hash"], 3, &["the tape used last is gone (there are: mine)"])
}

#[test]
fn history_of_a_market_that_never_rests_is_imported_by_its_own_calendar() -> Outcome {
    let home = Home::new()?;
    let wave = bars(&home)?;
    let by_the_exchange = home.json(&["import", &wave])?;
    assert!(by_the_exchange["appended"].as_u64() < Some(40), "{by_the_exchange}");
    let import = ["import", &wave, "--tape", "always"];
    let first = home.json(&[&import[..], &["--calendar", "24x7"]].concat())?;
    assert_eq!((&first["appended"], &first["rejected"]), (&Value::from(96), &Value::Array(Vec::new())));
    // The tape keeps it, so that it need not be said again, and cannot be said otherwise.
    let again = home.json(&import)?;
    assert_eq!((&again["duplicates"], &again["rejected"]), (&Value::from(96), &Value::Array(Vec::new())));
    let words = ["--calendar 24x5: expected 24x7, the calendar of tape always"];
    refused(&home, &[&import[..], &["--calendar", "24x5"]].concat(), 2, &words)?;
    let unknown = ["import", &wave, "--tape", "nowhere", "--calendar", "XLON"];
    refused(&home, &unknown, 2, &["--calendar", "expected one of XNYS, 24x5, 24x7"])?;

    let strategy = ["--strategy", "sma_cross:fast=2,slow=5", "--sizing", "fixed:10"];
    let run = [&["backtest", "--tape", "always"][..], &strategy].concat();
    let silent = home.json(&run)?;
    assert_eq!(silent["parameters"]["calendar"], "24x7", "{silent}");
    let stated = home.json(&[&run[..], &["--calendar", "24x7"]].concat())?;
    assert_eq!(silent["result_hash"], stated["result_hash"], "{silent}");
    let found = home.run(&["doctor", "--tape", "always", "--json"])?;
    let found = String::from_utf8_lossy(&found.stdout).into_owned();
    assert!(found.contains("WAVE 1h: 96 bars, no session missing"), "{found}");

    // What comes from the exchange alone is for another tape.
    home.configure("[live]\nsource = \"alpaca\"\nsymbols = [\"SPY\"]\n")?;
    refused(&home, &["up", "--tape", "always"], 2, &["[live]: tape always is of the calendar 24x7"])
}
