//! External strategies: the two examples beside their built-in twin, on real bars.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Home, Outcome, Running, actions_file, bar_files, eventually, rehearse};

/// AAPL is split seven for one in between, on 2014-06-09.
const FROM: &str = "2014-05-15";
const TO: &str = "2014-07-15";
const FAST: &str = "5";
const SLOW: &str = "13";
const CONFIGURATION: &str = r#"
[account.paper]
cash = 10000000
max_position = 1.0
max_exposure = 1.0
max_order_value = 10000000

[strategy.sma_builtin]
kind = "sma_cross"
sizing = "fixed:10"
params = { fast = 5, slow = 13 }
"#;

/// A directory of `docs/examples`.
pub fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples").join(name)
}

/// The Python that has the packages of `tests/python/requirements.txt`.
#[expect(clippy::disallowed_methods, reason = "the test runner names the program in the environment")]
pub fn python() -> anyhow::Result<PathBuf> {
    let named = std::env::var_os("TAPEDECK_TEST_PYTHON").map(PathBuf::from);
    let tools =
        std::env::var_os("TAPEDECK_TOOLS").map(|tools| Path::new(&tools).join("bin/tapedeck-test-python"));
    let found = named.or(tools).filter(|path| path.exists());
    found.ok_or_else(|| anyhow::anyhow!("no Python with the tests' packages: make setup-test"))
}

/// Starts the Python example in the directory `program` with the credentials in `file`.
pub fn start_python(home: &Home, program: &Path, file: &Path, windows: [&str; 2]) -> anyhow::Result<Running> {
    let mut command = Command::new(python()?);
    command.arg(program.join("strategy.py")).arg(file);
    start(home, "python", command, windows)
}

fn start_rust(home: &Home, file: &Path) -> anyhow::Result<Running> {
    let program = Path::new(env!("CARGO_BIN_EXE_tapedeck")).with_file_name("rust-sma-cross");
    anyhow::ensure!(program.exists(), "{} is not built: cargo build --workspace --bins", program.display());
    let mut command = Command::new(program);
    command.arg(file);
    start(home, "rust", command, [FAST, SLOW])
}

fn start(home: &Home, name: &str, mut command: Command, [fast, slow]: [&str; 2]) -> anyhow::Result<Running> {
    let file = |end: &str| std::fs::File::create(home.path().join(format!("{name}.{end}")));
    let command = command.env("FAST", fast).env("SLOW", slow).env("PYTHONDONTWRITEBYTECODE", "1");
    let child = command.stdin(Stdio::null()).stdout(file("out")?).stderr(file("log")?).spawn()?;
    Ok(Running::of(child))
}

/// What a signal says, without who says it: intent, indicators and reason.
type Said = (String, Vec<(String, f64)>, String);

/// Signals by instant and symbol.
type Signals = BTreeMap<(String, String), Said>;

/// The signals on a tape, by strategy.
fn signals(home: &Home, tape: &str) -> anyhow::Result<BTreeMap<String, Signals>> {
    let printed = home.text(&[
        "tail",
        "--tape",
        tape,
        "--subject",
        "signal.>",
        "--from-seq",
        "1",
        "--no-follow",
        "--json",
    ])?;
    let mut found: BTreeMap<String, Signals> = BTreeMap::new();
    for line in printed.lines() {
        let line: Value = serde_json::from_str(line)?;
        let (event, signal) = (&line["event"], &line["event"]["signal"]);
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let indicators = signal["indicators"].as_array().into_iter().flatten();
        let indicators =
            indicators.map(|one| (word(&one["name"]), one["value"].as_f64().unwrap_or(f64::NAN)));
        let leg = &signal["legs"][0];
        let said = (word(&leg["intent"]), indicators.collect(), word(&signal["reason"]));
        let of = found.entry(word(&signal["strategy"])).or_default();
        of.insert((word(&event["eventTime"]), word(&leg["symbol"])), said);
    }
    Ok(found)
}

/// Rehearses the range with both examples beside the built-in strategy; gives the chain hash.
fn rehearsal(home: &Home) -> anyhow::Result<String> {
    let (bars, actions) = (bar_files()?, actions_file()?);
    let more = ["--tape", "twins", "--wait-for", "sma_python", "--wait-for", "sma_rust", "--json"];
    let mut running = home.spawn("rehearse", &rehearse(&bars, &actions, FROM, TO, &more))?;
    eventually("the rehearsal waits for the strategies", Duration::from_secs(60), || {
        Ok(home.said("rehearse").contains("waiting for"))
    })?;
    let mut started = Vec::new();
    for name in ["sma_python", "sma_rust"] {
        let file = home.path().join(format!("{name}.json"));
        let path = file.display().to_string();
        home.text(&[
            "strategy",
            "register",
            name,
            "--tape",
            "twins",
            "--sizing",
            "fixed:10",
            "--credentials",
            &path,
        ])?;
        started.push(match name {
            "sma_python" => start_python(home, &example("python-sma-cross"), &file, [FAST, SLOW])?,
            _ => start_rust(home, &file)?,
        });
        home.text(&["strategy", "enable", name, "--tape", "twins"])?;
    }
    let code = running.wait(Duration::from_secs(240))?;
    let said = |name: &str| home.said(name);
    assert_eq!(code, Some(0), "{}\n{}\n{}", said("rehearse"), said("python"), said("rust"));
    let report: Value = serde_json::from_str(&home.printed("rehearse")?)?;
    Ok(report["chain_hash"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn both_examples_reach_the_signals_of_the_built_in_twin() -> Outcome {
    let homes = [Home::new()?, Home::new()?];
    let mut hashes = Vec::new();
    for home in &homes {
        home.configure(CONFIGURATION)?;
        hashes.push(rehearsal(home)?);
    }
    let mut signals = signals(&homes[0], "twins")?;
    let built_in = signals.remove("sma_builtin").unwrap_or_default();
    assert!(built_in.len() >= 60, "{} signals", built_in.len());
    assert!(built_in.keys().any(|(time, symbol)| symbol == "AAPL" && time.as_str() > "2014-06-10"));
    for name in ["sma_python", "sma_rust"] {
        assert_eq!(signals.remove(name).unwrap_or_default(), built_in, "{name}");
    }
    // External or not, a rehearsal of the same inputs is the same.
    assert_eq!(hashes[0], hashes[1]);
    Ok(())
}
