//! Runs with something beside them: external strategies in lock-step, a new tape that takes every event, strategies
//! that are registered on the tape alone.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::external::python;
use crate::harness::{Home, Outcome, actions_file, bar_files, rehearse};

/// AAPL is split seven for one in between, on 2014-06-09.
const FROM: &str = "2014-05-15";
const TO: &str = "2014-07-15";
const TWIN: &str = r#"
[account.paper]

[strategy.twin]
kind = "sma_cross"
sizing = "fixed:10"
params = { fast = 5, slow = 13 }
"#;

/// The same under a kind's name; it does not trade.
const NAMED_AS_A_KIND: &str = r#"
[strategy.sma_cross]
kind = "sma_cross"
mode = "off"
sizing = "fixed:10"
params = { fast = 5, slow = 13 }
"#;

/// The Python example as a command.
fn python_command() -> anyhow::Result<String> {
    let program =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples/python-sma-cross/strategy.py");
    let variables = "PYTHONDONTWRITEBYTECODE=1 FAST=5 SLOW=13";
    Ok(format!("{variables} {} {}", python()?.display(), program.display()))
}

fn rust_command() -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_tapedeck")).with_file_name("rust-sma-cross");
    format!("FAST=5 SLOW=13 {}", program.display())
}

/// Runs a backtest of the range; gives its report and its trades.
fn backtest(home: &Home, more: &[&str]) -> anyhow::Result<(Value, String)> {
    let (bars, actions) = (bar_files()?, actions_file()?);
    let trades = home.path().join("trades.csv").display().to_string();
    let mut arguments = vec!["backtest", "--bars"];
    arguments.extend(bars.iter().map(String::as_str));
    arguments.extend(["--actions", &actions, "--from", FROM, "--to", TO, "--trades", &trades]);
    arguments.extend(more);
    let report = home.json(&arguments)?;
    Ok((report, std::fs::read_to_string(trades)?))
}

#[test]
fn a_program_in_any_language_comes_to_the_result_of_its_built_in_twin() -> Outcome {
    let home = Home::new()?;
    home.configure(TWIN)?;
    let (native, trades) = backtest(&home, &["--strategy", "twin"])?;
    assert!(native["counts"]["fills"].as_u64() > Some(40), "{native}");
    for command in [python_command()?, rust_command()] {
        let home = Home::new()?;
        let program = format!("twin={command}");
        let (external, same) = backtest(&home, &["--external", &program, "--sizing", "fixed:10"])?;
        // Signals of a program have ids of their own; apart from them it is the same run.
        assert_eq!(external["native_hash"], native["result_hash"], "{command}: {external}");
        assert_eq!(same, trades, "{command}");
        assert_eq!(external["strategies"][0]["kind"], "external");
        let scratch = home.path().join("scratch");
        assert_eq!(std::fs::read_dir(scratch)?.count(), 0, "the scratch server leaves something behind");
    }
    Ok(())
}

#[test]
fn programs_and_built_in_strategies_share_one_recorded_account() -> Outcome {
    let home = Home::new()?;
    home.configure(&TWIN.replace("strategy.twin", "strategy.inner"))?;
    let command = python_command()?;
    let names = ["--strategy", "inner", "--strategy", "outer", "--external", &command];
    let mut more = names.to_vec();
    more.extend(["--sizing", "fixed:10", "--record", "both"]);
    let (report, _) = backtest(&home, &more)?;
    assert_eq!(report["tape"], "both", "{report}");
    recorded(&home, "both", &report)?;
    let fleet = home.json(&["strategy", "list", "--tape", "both"])?;
    let orders = |name: &str| {
        let row = fleet.as_array().into_iter().flatten().find(|row| row["strategy"] == name);
        row.and_then(|row| row["orders"].as_u64()).unwrap_or_default()
    };
    assert!(orders("inner") > 20 && orders("inner") == orders("outer"), "{fleet}");
    Ok(())
}

/// A tape that a run was written to is whole: its hash, its read models, its events, the run itself.
fn recorded(home: &Home, tape: &str, report: &Value) -> Outcome {
    let chain = home.json(&["chain-hash", "--tape", tape])?;
    assert_eq!(chain["chain_hash"], report["result_hash"], "{report}");
    assert_eq!(chain["fills"], report["counts"]["fills"]);
    home.text(&["projection", "verify", "--tape", tape])?;
    let fills =
        home.text(&["tail", "--tape", tape, "--subject", "fill.>", "--from-seq", "1", "--no-follow"])?;
    assert_eq!(Some(fills.lines().count() as u64), report["counts"]["fills"].as_u64());
    let bars = home.json(&["bars", "AAPL", "--timeframe", "1h", "--tape", tape])?;
    assert!(!bars.to_string().is_empty());
    let runs = home.json(&["backtest", "list", "--tape", tape])?;
    assert_eq!(runs[0]["run_id"], report["run_id"], "{runs}");
    assert_eq!(runs[0]["status"], "succeeded", "{runs}");
    Ok(())
}

#[test]
fn a_run_is_written_to_a_new_tape_that_opens_like_any_other() -> Outcome {
    let home = Home::new()?;
    home.configure(TWIN)?;
    let (report, _) = backtest(&home, &["--strategy", "twin", "--record", "kept"])?;
    let (unrecorded, _) = backtest(&home, &["--strategy", "twin"])?;
    assert_eq!(report["result_hash"], unrecorded["result_hash"]);
    assert_eq!(report["recorded"], true);
    recorded(&home, "kept", &report)?;
    let tapes = home.json(&["tape", "list"])?;
    let rows = tapes.as_array().map_or(&[][..], Vec::as_slice);
    let kept = rows.iter().find(|row| row["name"] == "kept");
    assert!(kept.is_some_and(|row| row["kind"] == "backtest"), "{tapes}");
    // What was recorded follows from what was recorded.
    let replayed = home.json(&["replay", "--verify", "--tape", "kept"])?;
    assert_eq!(replayed["chain_hash"], report["result_hash"], "{replayed}");

    // Opened again, it has nothing left to do: services are past all of it.
    let mut up = home.spawn("up", &["up", "--tape", "kept", "--no-progress"])?;
    crate::harness::eventually("the dashboard of the recorded tape", Duration::from_secs(60), || {
        Ok(home.printed("up")?.contains("Tapedeck is at"))
    })?;
    assert!(home.printed("up")?.contains("(tape kept, events of a backtest)"));
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(home.json(&["chain-hash", "--tape", "kept"])?["chain_hash"], report["result_hash"]);
    assert_eq!(up.interrupt(Duration::from_secs(30))?, Some(0));

    let again = home.run(&["backtest", "--strategy", "twin", "--bars", "x.csv", "--record", "kept"])?;
    assert_eq!(again.status.code(), Some(3), "a file that is not there is said first");
    let (bars, taken) = (bar_files()?, "--record kept: there is a tape of this name, expected a new one");
    let again = home.run(&["backtest", "--strategy", "twin", "--bars", &bars[0], "--record", "kept"])?;
    assert_eq!(again.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&again.stderr).contains(taken));
    Ok(())
}

#[test]
fn a_strategy_that_only_the_tape_knows_is_run_on_its_terms() -> Outcome {
    let (bars, actions, home) = (bar_files()?, actions_file()?, Home::new()?);
    home.configure(&format!("{TWIN}{NAMED_AS_A_KIND}"))?;
    let rehearsed = home.json(&rehearse(&bars, &actions, FROM, TO, &["--tape", "known"]))?;
    home.configure("")?;
    let from_tape = home.json(&["backtest", "--tape", "known", "--strategy", "twin", "--timeframe", "1h"])?;
    let at = ["at", "2019-03-15", "orders", "--tape", "known"];
    crate::harness::refused(&home, &at, 2, &["the moment \"2019-03-15\"", "try: tapedeck at 1200 orders"])?;
    let known = &from_tape["parameters"];
    assert_eq!((&known["seed"], &known["benchmark"]), (&serde_json::json!(1), &Value::Null), "{known}");
    assert!(known["limits"]["max_exposure"].is_string(), "the account's: {known}");
    // A person is told which run it is, too.
    let printed = home.text(&["backtest", "--tape", "known", "--strategy", "twin", "--timeframe", "1h"])?;
    let runs = home.json(&["backtest", "list", "--tape", "known"])?;
    let ids = runs.as_array().into_iter().flatten().filter_map(|run| run["run_id"].as_str());
    assert!(ids.into_iter().any(|id| printed.contains(&format!("\nrun {id}\n"))), "{printed} {runs}");
    assert_eq!(from_tape["result_hash"], rehearsed["chain_hash"], "{from_tape}");
    assert_eq!(from_tape["strategies"][0]["kind"], "sma_cross");
    let unknown = home.run(&["backtest", "--tape", "known", "--strategy", "nobody", "--timeframe", "1h"])?;
    assert_eq!(unknown.status.code(), Some(2));
    what_is_registered_goes_before_a_kind(&home, &from_tape["statistics"])?;

    // Registered as external, its program is started by whoever has it: here by its command.
    let subjects = "market.bar.>,market.action.>,news.article.>";
    let register = ["strategy", "register", "outer", "--tape", "known", "--sizing", "fixed:10"];
    home.text(&[&register[..], &["--subjects", subjects]].concat())?;
    let command = python_command()?;
    let external = ["backtest", "--tape", "known", "--strategy", "outer", "--external", &command];
    let mut external = external.to_vec();
    external.extend(["--timeframe", "1h"]);
    let outer = home.json(&external)?;
    assert_eq!(outer["counts"]["fills"], from_tape["counts"]["fills"], "{outer}");
    assert_eq!(outer["statistics"], from_tape["statistics"]);
    let said = outer["warnings"].to_string();
    assert!(
        said.contains("outer: reads articles and had none, because the tape holds none of them"),
        "{said}"
    );
    Ok(())
}

/// On the tape `known` the name of a kind is what is registered there, on the terms of its account; elsewhere it is what
/// the configuration says, else the kind.
fn what_is_registered_goes_before_a_kind(home: &Home, registered: &Value) -> Outcome {
    let run = ["backtest", "--tape", "known", "--strategy", "sma_cross", "--timeframe", "1h"];
    let offline = [&run[..], &["--offline"]].concat();
    let on_tape = home.json(&run)?;
    assert_eq!(on_tape["statistics"], *registered, "{on_tape}");
    let said = on_tape["warnings"].to_string();
    assert!(said.contains("sma_cross: as registered on the tape, with the terms of account paper"), "{said}");
    let kind = home.json(&offline)?;
    assert_eq!(kind["strategies"][0]["parameters"]["fast"], "20", "{kind}");
    assert!(kind["warnings"].to_string().contains("buying power is all that is checked"), "{kind}");

    home.configure("[strategy.sma_cross]\nkind = \"sma_cross\"\nparams = { fast = 3, slow = 9 }\n")?;
    let configured = home.json(&offline)?;
    assert_eq!(configured["strategies"][0]["parameters"]["fast"], "3", "{configured}");
    let search = [&["sweep"][..], &run[1..], &["--param", "fast=5", "--param", "slow=13"]].concat();
    let found = home.json(&search)?;
    assert_eq!(found["best"]["statistics"]["net_profit"], registered["net_profit"], "{found}");
    home.configure("")
}

#[test]
fn a_program_that_ends_fails_the_run_with_what_it_said() -> Outcome {
    let home = Home::new()?;
    let bars = bar_files()?;
    let run = |program: &str| {
        home.run(&["backtest", "--external", program, "--bars", &bars[0], "--from", FROM, "--to", TO])
    };
    let failed = run("swing=echo no such data >&2; exit 3; true")?;
    let said = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert_eq!(failed.status.code(), Some(1), "{said}");
    assert!(said.contains("the program of swing ended (exit status: 3)"), "{said}");
    assert!(said.contains("no such data"), "{said}");
    Ok(())
}

/// One that never acknowledges is waited for, and named, until the user or a service manager has enough; then nothing
/// of it stays.
#[test]
fn both_signals_end_a_run_with_its_program() -> Outcome {
    let bars = bar_files()?;
    for terminate in [false, true] {
        let home = Home::new()?;
        let id = home.path().join("program.pid");
        let program = format!("swing=echo $$ > {}; sleep 600; true", id.display());
        let arguments = ["backtest", "--external", &program, "--bars", &bars[0], "--from", FROM, "--to", TO];
        let mut waiting = home.spawn("waiting", &arguments)?;
        crate::harness::eventually("the culprit is named", Duration::from_secs(60), || {
            Ok(home.said("waiting").contains("waiting for swing"))
        })?;
        let within = Duration::from_secs(30);
        let code = if terminate { waiting.terminate(within)? } else { waiting.interrupt(within)? };
        assert_eq!(code, Some(130), "{}", home.said("waiting"));
        let id = std::fs::read_to_string(id)?;
        let lives = std::process::Command::new("kill").args(["-0", id.trim()]).status()?;
        assert!(!lives.success(), "the program {id} outlives its run");
        assert_eq!(std::fs::read_dir(home.path().join("scratch"))?.count(), 0, "the scratch server stays");
    }
    Ok(())
}
