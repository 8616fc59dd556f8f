//! Rehearsals of real bars: repeatable, resumable, and their read models proved.

use std::time::Duration;

use crate::harness::{BUSY, Home, Outcome, actions_file, bar_files, eventually, rehearse};
use anyhow::Context as _;

const FROM: &str = "2011-07-01";
const TO: &str = "2011-09-30";

#[test]
fn two_rehearsals_decide_the_same_and_their_read_models_are_the_fold() -> Outcome {
    let (bars, actions) = (bar_files()?, actions_file()?);
    let mut hashes = Vec::new();
    for _ in 0..2 {
        let home = Home::new()?;
        home.configure(BUSY)?;
        let report = home.json(&rehearse(&bars, &actions, FROM, TO, &[]))?;
        assert!(report["orders"].as_u64() >= Some(100), "{report}");
        assert!(report["fills"].as_u64() >= Some(100), "{report}");
        assert!(report["bars_per_second"].as_f64() > Some(0.0), "{report}");
        assert!(report["floor_bars_per_second"].as_f64() > Some(0.0), "{report}");
        let chain = home.json(&["chain-hash"])?;
        assert_eq!(chain["chain_hash"], report["chain_hash"]);
        // Of two tapes that are the same one is enough for what follows from either.
        if hashes.is_empty() {
            the_past_ends_in_the_present(&home)?;
            the_summary_says_what_risk_answered(&home, &report)?;
            the_report_measures_the_tape(&home, &report["fills"])?;
            a_benchmark_of_a_report_is_that_of_a_backtest(&home, &bars, &actions)?;
            everything_follows_from_its_inputs(&home, &report)?;
        }
        let verified = home.json(&["projection", "verify"])?;
        let differences: Vec<_> = verified
            .as_array()
            .into_iter()
            .flatten()
            .filter(|projection| projection["differences"].as_u64() != Some(0))
            .collect();
        assert!(differences.is_empty(), "{verified}");
        hashes.push(chain["chain_hash"].clone());
    }
    assert_eq!(hashes[0], hashes[1]);
    Ok(())
}

/// As of the last event of TRADING, positions and accounts are those of the read model; before the first
/// fill nothing is held.
fn the_past_ends_in_the_present(home: &Home) -> anyhow::Result<()> {
    let checkpoints = home.json(&["projection", "list"])?;
    let trading = checkpoints.as_array().into_iter().flatten().find(|row| row["name"] == "trading");
    let head = trading.and_then(|row| row["head"].as_u64()).unwrap_or_default();
    let moment = format!("seq:{head}");
    for command in ["positions", "account"] {
        let now = home.json(&[command])?;
        assert_eq!(home.json(&[command, "--as-of", &moment])?, now, "{command} as of {moment}");
    }
    let present = home.json(&["order", "list"])?;
    assert_eq!(home.json(&["at", &head.to_string(), "orders"])?, present, "orders at {moment}");
    // What one command has folded the next one need not.
    let tapes = std::fs::read_dir(home.path().join("tapes"))?.flatten();
    let books =
        tapes.filter_map(|tape| std::fs::read_dir(tape.path().join("books")).ok()).flatten().flatten();
    let kept = books.filter(|file| file.path().extension().is_some_and(|extension| extension == "json"));
    assert!(kept.count() > 0, "no book of {head} events is kept");
    let early = home.json(&["positions", "--as-of", "seq:4"])?;
    assert_eq!(early, serde_json::json!([]));
    // What has not come is refused by the last event; behind the last instant the newest state is the answer.
    let beyond = home.run(&["positions", "--as-of", &format!("seq:{}", head + 1)])?;
    let said = String::from_utf8_lossy(&beyond.stderr);
    let last = format!("seq:{}: expected at most seq:{head}, the last event on TRADING, of 20", head + 1);
    assert!(beyond.status.code() == Some(2) && said.contains(&last), "{said}");
    let late = home.run(&["at", "2199-01-01T00:00:00Z", "orders"])?;
    let said = String::from_utf8_lossy(&late.stderr);
    assert!(late.status.success(), "{said}");
    assert!(said.contains("the tape ends there, before 2199-01-01T00:00:00Z"), "{said}");
    Ok(())
}

/// Of each strategy the summary counts signals and risk's answers as the list of strategies does.
fn the_summary_says_what_risk_answered(home: &Home, report: &serde_json::Value) -> anyhow::Result<()> {
    let listed = home.json(&["strategy", "list"])?;
    let told = report["strategies"].as_array().context("the summary names strategies")?;
    assert_eq!(Some(told.len()), listed.as_array().map(Vec::len), "{told:?}");
    for strategy in told {
        let rows = listed.as_array().into_iter().flatten();
        let row = rows.clone().find(|row| row["strategy"] == strategy["strategy"]).context("it is listed")?;
        for count in ["signals", "approved", "denied"] {
            assert_eq!(strategy[count], row[count], "{count} of {strategy}");
        }
        assert_eq!(strategy["denied_most"]["rule"], row["denied_most_by"], "{strategy}");
    }
    let approved = told.iter().filter_map(|strategy| strategy["approved"].as_u64());
    assert!(approved.sum::<u64>() > 0, "{told:?}");
    let instants = |of: &str| report[format!("instants_with_{of}")].as_u64();
    assert!(instants("decisions") > Some(0) && instants("decisions") <= instants("signals"), "{report}");
    assert_eq!(report["decisions"], report["signals"], "risk answers each: {report}");
    Ok(())
}

/// The tear sheet of an account follows from its marks and fills: as many fills as there were, the equity that it
/// ended with, and a page that stands alone.
fn the_report_measures_the_tape(home: &Home, fills: &serde_json::Value) -> anyhow::Result<()> {
    let sheet = home.json(&["report", "--benchmark", "spy"])?;
    assert_eq!(sheet["counts"]["fills"], *fills);
    let accounts = home.json(&["account"])?;
    assert_eq!(sheet["span"]["final_equity"], accounts[0]["equity"]);
    assert_eq!(sheet["run"]["account"], accounts[0]["account"]);
    assert!(sheet["trades_total"].as_u64() >= Some(20), "{}", sheet["trades_total"]);
    assert_eq!(sheet["statistics"]["trades"].as_f64(), sheet["trades_total"].as_f64());
    assert!(sheet["statistics"]["beta"].is_f64(), "{}", sheet["statistics"]);
    let days = sheet["daily"]["dates"].as_array().map_or(0, Vec::len);
    assert!((60..=65).contains(&days), "{days} sessions in three months");
    let page = home.path().join("sheet.html");
    let path = page.to_string_lossy();
    home.text(&["report", "--from", "2011-08-01", "--to", "2011-08-31", "--html", &path])?;
    let text = std::fs::read_to_string(&page)?;
    assert!(text.contains("2011-08-01 to 2011-08-31") && !text.contains("<script") && !text.contains("://"));
    // A part begins with what the part before it ended with: what came overnight, dividends among it, is in one of both.
    let before = home.json(&["report", "--to", "2011-07-31"])?;
    let after = home.json(&["report", "--from", "2011-08-01"])?;
    assert_eq!(after["span"]["starting_equity"], before["span"]["final_equity"]);
    let count = |sheet: &serde_json::Value| sheet["trades_total"].as_u64().unwrap_or_default();
    assert_eq!(count(&before) + count(&after), count(&sheet));
    let sessions = |sheet: &serde_json::Value| sheet["daily"]["dates"].as_array().map_or(0, Vec::len);
    assert_eq!(sessions(&before) + sessions(&after), days);
    Ok(())
}

/// What is held pays dividends, whoever measures it.
fn a_benchmark_of_a_report_is_that_of_a_backtest(
    home: &Home,
    bars: &[String],
    actions: &str,
) -> anyhow::Result<()> {
    let mut arguments = rehearse(bars, actions, FROM, TO, &["--strategy", "sma_cross", "--benchmark", "SPY"]);
    arguments[0] = "backtest";
    let run = home.json(&arguments)?;
    let sheet = home.json(&["report", "--benchmark", "SPY"])?;
    assert!(run["statistics"]["benchmark_return"].is_f64(), "{run}");
    for metric in ["benchmark_return", "benchmark_cagr"] {
        assert_eq!(sheet["statistics"][metric], run["statistics"][metric], "{metric}");
    }
    Ok(())
}

/// The tape is proved, and a session and a fork without changes come to what was recorded.
fn everything_follows_from_its_inputs(home: &Home, report: &serde_json::Value) -> anyhow::Result<()> {
    let replayed = home.json(&["replay", "--verify"])?;
    assert_eq!(replayed["divergence"], serde_json::Value::Null, "{replayed}");
    assert_eq!(replayed["chain_hash"], report["chain_hash"], "{replayed}");
    assert_eq!(replayed["counts"]["fills"], report["fills"], "{replayed}");
    assert_eq!(replayed["read_model_at"], replayed["to"], "{replayed}");
    let session = home.json(&["parity", "--session", "2011-08-08"])?;
    assert_eq!(session["verdict"], "same", "{session}");
    assert!(session["compared"].as_u64() > Some(5), "{session}");
    let fork = home.json(&["fork", "--at", "2011-09-01T20:00:00Z"])?;
    assert_eq!(fork["recorded"], fork["forked"], "{fork}");
    let other = home.json(&["fork", "--at", "2011-09-01T20:00:00Z", "--param", "sma_fast.slow=6"])?;
    assert_ne!(other["recorded"], other["forked"], "{other}");
    assert!(other["first"]["chain_of"].is_string() && !other["orders"].is_null(), "{other}");
    a_fork_beyond_the_end_opens_no_run(home)?;
    let sweep = home.json(&[
        "sweep",
        "--timeframe",
        "1h",
        "--strategy",
        "sma_cross",
        "--param",
        "fast=3|5",
        "--param",
        "slow=20",
    ])?;
    assert_eq!((&sweep["recorded"], sweep["runs"].as_u64()), (&true.into(), Some(2)), "{sweep}");
    assert!(sweep["warning_block"].is_array() && sweep["best"]["result_hash"].is_string(), "{sweep}");
    for from in ["999999999", "2050-01-01T00:00:00Z"] {
        let beyond = home.run(&["replay", "--from", from])?;
        let said = String::from_utf8_lossy(&beyond.stderr);
        assert_eq!(beyond.status.code(), Some(2), "{said}");
        assert!(said.contains(&format!("--from \"{from}\": expected a moment of the tape")), "{said}");
    }
    // Whatever was run again or searched stands on the tape, under its own id, and is listed although nobody runs the
    // tape.
    let said = home.text(&["tail", "--no-follow", "--subject", "control.backtest.*.finished"])?;
    let listed = home.json(&["backtest", "list"])?.to_string();
    for run in [&session, &fork, &other, &sweep] {
        let id = run["run_id"].as_str().unwrap_or("no id");
        assert!(said.contains(id), "{id}: {said}");
        assert!(listed.contains(id), "{id}: {listed}");
    }
    Ok(())
}

fn a_fork_beyond_the_end_opens_no_run(home: &Home) -> anyhow::Result<()> {
    let requests = || home.text(&["tail", "--no-follow", "--subject", "control.backtest.*.requested"]);
    let before = requests()?;
    for at in ["100000000", "2199-01-01T00:00:00Z"] {
        let output = home.run(&["fork", "--at", at])?;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(&format!("--at \"{at}\": expected at most ")), "{said}");
    }
    assert_eq!(requests()?, before);
    Ok(())
}

#[test]
fn run_again_it_says_that_it_is_complete() -> Outcome {
    let (mut bars, actions) = (bar_files()?, actions_file()?);
    let home = Home::new()?;
    let damaged = home.path().join("damaged.csv");
    std::fs::write(
        &damaged,
        "symbol,timeframe,start_utc,open,high,low,close,volume\n\
         TEST,1h,2011-07-05T14:00:00Z,10,11,9,10,100\n\
         TEST,1h,2011-07-05T15:00:00Z,10,11,9,10,0\n\
         TEST,1h,2011-07-05T16:00:00Z,-10,11,9,10,100\n\
         TEST,1h,2011-07-05T17:00:00Z,10,11,9,10,100\n",
    )?;
    bars.push(damaged.display().to_string());
    let arguments = rehearse(&bars, &actions, "2011-07-01", "2011-07-08", &[]);
    let first = home.json(&arguments)?;
    let second = home.json(&arguments)?;
    assert_eq!(first["chain_hash"], second["chain_hash"]);
    // What looks wrong with the files is on the tape once, as after an import of them.
    for (report, findings) in [(&first, 2), (&second, 0)] {
        let told = (report["rejected"].as_u64(), report["findings"].as_u64());
        assert_eq!(told, (Some(1), Some(findings)), "{report}");
    }
    assert_eq!(second["complete_before"].as_bool(), Some(true), "{second}");
    assert_eq!(second["bars"].as_u64(), Some(0), "{second}");
    bars_are_listed(&home)
}

/// Series, bars in each adjustment with their averages, and the actions that make the difference.
fn bars_are_listed(home: &Home) -> Outcome {
    let series = home.json(&["bars"])?;
    let aapl = series.as_array().into_iter().flatten().find(|row| row["symbol"] == "AAPL");
    assert!(aapl.is_some_and(|row| row["timeframe"] == "1h"), "{series}");
    let bac = home.json(&["bars", "bac", "--limit", "3", "--sma", "1,2", "--adjustment", "raw"])?;
    assert_eq!(bac.as_array().map(Vec::len), Some(3), "{bac}");
    assert_eq!(bac[0]["sma"][0], bac[0]["close"], "{bac}");
    let split = home.json(&["bars", "BAC", "--limit", "3", "--sma", "1,2"])?;
    // Nothing was split in this week.
    assert_eq!(bac, split);
    let none = home.run(&["bars", "AAPL", "--timeframe", "1d", "--json"])?;
    assert_eq!(none.status.code(), Some(3));
    let said = String::from_utf8_lossy(&none.stderr).into_owned();
    assert!(said.contains("there are 1h"), "{said}");
    assert_eq!(home.run(&["bars", "AAPL", "--sma", "0"])?.status.code(), Some(2));
    let findings = home.json(&["findings"])?;
    let rows = findings.as_array().into_iter().flatten();
    let found: Vec<_> =
        rows.filter_map(|row| Some((row["symbol"].as_str()?, row["rule"].as_str()?))).collect();
    // The newest first: the row that was left out is missing.
    assert_eq!(found, [("TEST", "missing_bar"), ("TEST", "zero_volume")], "{findings}");
    Ok(())
}

#[test]
fn interrupted_it_resumes_to_the_same_hash() -> Outcome {
    let (bars, actions) = (bar_files()?, actions_file()?);
    let calm = Home::new()?;
    calm.configure(BUSY)?;
    let wanted = calm.json(&rehearse(&bars, &actions, FROM, TO, &[]))?;

    let home = Home::new()?;
    home.configure(BUSY)?;
    let arguments = rehearse(&bars, &actions, FROM, TO, &["--tape", "resumed"]);
    let mut running = home.spawn("first", &arguments)?;
    eventually("some orders are on the tape", Duration::from_secs(60), || {
        let orders = home.run(&["order", "list", "--limit", "1", "--json", "--tape", "resumed"])?;
        Ok(orders.status.success() && String::from_utf8_lossy(&orders.stdout).contains("order_id"))
    })?;
    let code = running.interrupt(Duration::from_secs(20))?;
    // It may have finished before the signal reached it; the machine decides. Both must resume well.
    assert!(matches!(code, Some(0 | 130)), "{code:?}: {}", home.said("first"));
    let resumed = home.json(&arguments)?;
    assert_eq!(resumed["chain_hash"], wanted["chain_hash"]);
    Ok(())
}

#[test]
fn history_imported_meanwhile_never_trades() -> Outcome {
    let (bars, actions) = (bar_files()?, actions_file()?);
    let home = Home::new()?;
    let arguments = rehearse(&bars, &actions, "2011-07-01", "2011-07-15", &["--tape", "history"]);
    let before = home.json(&arguments)?;
    let report = home.json(&["import", &bars[0], "--tape", "history"])?;
    assert!(report["appended"].as_u64() > Some(0), "{report}");
    // Where the tape's market stands is its present: what the file holds of later is no history there.
    let rejected = report["rejected"].as_array().context("no rows rejected")?;
    let ahead =
        |row: &serde_json::Value| row["reason"].as_str().is_some_and(|it| it.contains("in the future"));
    assert!(!rejected.is_empty() && rejected.iter().all(ahead), "{:?}", rejected.first());
    let newest = home.json(&["bars", "AAPL", "--limit", "1", "--tape", "history"])?;
    assert_eq!(
        newest[0]["close_ns"], 1_310_760_000_000_000_000_i64,
        "2011-07-15 16:00 in New York: {newest}"
    );
    let after = home.json(&["chain-hash", "--tape", "history"])?;
    assert_eq!(before["chain_hash"], after["chain_hash"]);
    let again = home.json(&["import", &bars[0], "--tape", "history"])?;
    assert_eq!(again["appended"].as_u64(), Some(0), "{again}");
    Ok(())
}
