//! The habits of the command line: exit codes, JSON, errors that name field, value and expectation.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::Value;

use crate::harness::{Home, Outcome, bar_files};

#[test]
fn import_reports_every_bad_row_and_keeps_the_good_ones() -> Outcome {
    let home = Home::new()?;
    let file = home.path().join("bad.csv");
    std::fs::write(
        &file,
        "symbol,timeframe,start_utc,open,high,low,close,volume\n\
         TEST,1h,2020-01-02T15:00:00Z,10,11,9,10.5,1000\n\
         TEST,1h,2020-01-02T16:00:00Z,-10,11,9,10.5,1000\n\
         TEST,1h,2020-01-02T17:00:00Z,10,9,11,10,1000\n\
         TEST,1h,2020-01-02T18:00:00Z,ten,11,9,10.5,1000\n\
         TEST,1h,2020-01-04T15:00:00Z,10,11,9,10.5,1000\n\
         TEST,1h,2020-01-06T15:00:00Z,10,11,9,10.5,\n",
    )?;
    let path = file.display().to_string();
    let report = home.json(&["import", &path, "--tape", "bad"])?;
    assert_eq!(report["read"].as_u64(), Some(6), "{report}");
    assert_eq!(report["appended"].as_u64(), Some(1), "{report}");
    let lines: Vec<u64> =
        report["rejected"].as_array().into_iter().flatten().filter_map(|row| row["line"].as_u64()).collect();
    assert_eq!(lines, [3, 4, 5, 6, 7], "{report}");
    assert_eq!(report["rejected"][0]["field"], "open", "{report}");
    assert_eq!(report["rejected"][0]["value"], "-10", "{report}");

    // What was imported is listed once it was folded, and the command says so.
    let early = home.run(&["bars", "TEST", "--tape", "bad", "--json"])?;
    assert_eq!(early.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&early.stderr).contains("tapedeck run projector"), "{early:?}");

    let strict = home.run(&["import", &path, "--tape", "strict", "--strict", "--json"])?;
    assert!(!strict.status.success());
    Ok(())
}

#[test]
fn import_of_everything_twice_appends_nothing_the_second_time() -> Outcome {
    let home = Home::new()?;
    let bars = bar_files()?;
    let mut arguments = vec!["import", "--tape", "history"];
    arguments.extend(bars.iter().map(String::as_str));
    let first = home.json(&arguments)?;
    assert_eq!(first["read"].as_u64(), Some(163_294), "{first}");
    assert_eq!(first["appended"].as_u64(), Some(163_294), "{first}");
    let second = home.json(&arguments)?;
    assert_eq!(second["appended"].as_u64(), Some(0), "{second}");
    assert_eq!(second["duplicates"].as_u64(), Some(163_294), "{second}");
    let streams = home.json(&["stream", "list", "--tape", "history"])?;
    assert!(streams.to_string().contains("MARKET"), "{streams}");
    let diff = home.json(&["stream", "diff", "--tape", "history"])?;
    assert_eq!(diff, Value::Array(Vec::new()));
    let tail = home.text(&[
        "tail",
        "--tape",
        "history",
        "--subject",
        "market.bar.>",
        "--limit",
        "3",
        "--no-follow",
        "--json",
    ])?;
    assert_eq!(tail.lines().count(), 3);
    let quality =
        home.text(&["tail", "--tape", "history", "--subject", "market.quality.>", "--no-follow", "--json"])?;
    // Bars after an early close; the real data have gaps and jumps as well.
    let of_rule = |rule: &str| quality.lines().filter(|line| line.contains(&format!("\"{rule}\""))).count();
    assert_eq!(of_rule("after_early_close"), 158);
    Ok(())
}

#[test]
fn errors_have_codes_and_say_what_mends_them() -> Outcome {
    let home = Home::new()?;
    assert_eq!(home.run(&["no-such-command"])?.status.code(), Some(2));
    assert_eq!(home.run(&["rehearse", "--bars", "missing.csv"])?.status.code(), Some(3));
    assert_eq!(home.run(&["tail", "--tape", "nowhere"])?.status.code(), Some(3));

    home.configure("[account.paper]\nmax_daily_loss = 7\n")?;
    let output = home.run(&["config", "check", "--json"])?;
    assert_eq!(output.status.code(), Some(4));
    let said: Value = serde_json::from_slice(&output.stderr)?;
    let message = said["message"].as_str().unwrap_or_default();
    assert!(message.contains("account.paper.max_daily_loss") && message.contains('7'), "{message}");

    home.configure("[strategy.x]\nkind = \"sma_cross\"\nparams = { fast = 50, slow = 20 }\n")?;
    let output = home.run(&["config", "check"])?;
    assert_eq!(output.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&output.stderr).contains("fast"), "{output:?}");
    Ok(())
}

#[test]
fn decode_turns_a_payload_into_json() -> Outcome {
    let home = Home::new()?;
    let json = r#"{"id":"a1","eventTime":"2020-01-02T15:00:00Z","audit":{"actor":"cli","action":"halt"}}"#;
    let decoded = decode(&home, json.as_bytes())?;
    let value: Value = serde_json::from_str(&decoded)?;
    assert_eq!(value["audit"]["action"], "halt");

    let event = contracts::decode(json.as_bytes())?;
    let again = decode(&home, &contracts::encode(&event))?;
    assert_eq!(decoded, again);
    Ok(())
}

fn decode(home: &Home, payload: &[u8]) -> anyhow::Result<String> {
    let mut command = home.command(&["decode"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(payload)?;
    }
    let output = child.wait_with_output()?;
    anyhow::ensure!(output.status.success(), "decode ended with {}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}
