//! The API against its own document: schemathesis asks a running system, as an admin, everything that the
//! document allows and forbids, with every check on.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Home, Outcome, eventually};
use crate::tapes::url;

/// The program, with the directory of its hooks first among those that it imports from.
const RUN: &str = "import sys; sys.path.insert(0, sys.argv.pop(1)); from schemathesis.cli import schemathesis; \
                   sys.exit(schemathesis())";
/// Name of the token that schemathesis asks with and leaves alone.
const TOKEN: &str = "contract";
/// What all of it may take, in seconds: every case of the coverage, then fuzzing and sequences of requests.
const TIME_S: &str = "45";

#[expect(clippy::disallowed_methods, reason = "tests are told which Python has the packages")]
fn python() -> anyhow::Result<String> {
    std::env::var("TAPEDECK_TEST_PYTHON")
        .map_err(|_| anyhow::anyhow!("TAPEDECK_TEST_PYTHON: expected the Python that `make setup-test` made"))
}

/// The configuration, with an order and an event that exist, so that the answers about them are looked at.
fn configuration(home: &Home) -> anyhow::Result<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/python");
    let orders = home.json(&["order", "list", "--limit", "1"])?;
    let order = orders[0]["order_id"].as_str().unwrap_or_default().to_owned();
    let event = orders[0]["decision_id"].as_str().unwrap_or_default().to_owned();
    anyhow::ensure!(!order.is_empty() && !event.is_empty(), "an order of a decision expected: {orders}");
    Ok(format!(
        "{}\n[[operations]]\ninclude-path = \"/api/v1/orders/{{id}}\"\nparameters = {{ \"path.id\" = \"{order}\" }}\n\
         \n[[operations]]\ninclude-path = \"/api/v1/chain/{{event_id}}\"\nparameters = {{ \"path.event_id\" = \"{event}\" }}\n",
        std::fs::read_to_string(directory.join("schemathesis.toml"))?
    ))
}

#[test]
fn schemathesis_finds_no_failure() -> Outcome {
    let python = python()?;
    let home = Home::new()?;
    let mut up = home.spawn("up", &["up"])?;
    eventually("a URL is printed", Duration::from_secs(40), || Ok(url(&home, "up")?.is_some()))?;
    let address = url(&home, "up")?.unwrap_or_default();
    eventually("an order is filled", Duration::from_secs(60), || {
        let status = home.run(&["status", "--json"])?;
        let status: Value = serde_json::from_slice(&status.stdout).unwrap_or(Value::Null);
        Ok(status.pointer("/counts/fills").and_then(Value::as_u64) > Some(0))
    })?;
    let token = home.json(&["token", "create", TOKEN, "--role", "admin", "--days", "1"])?;
    let token = token["secret"].as_str().unwrap_or_default().to_owned();
    anyhow::ensure!(!token.is_empty(), "a token expected");
    let file = home.path().join("schemathesis.toml");
    std::fs::write(&file, configuration(&home)?)?;
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/python");
    let output = Command::new(python)
        .args(["-c", RUN])
        .arg(&directory)
        .arg("--config-file")
        .arg(&file)
        .arg("run")
        .arg(format!("{address}api/v1/openapi.json"))
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args(["--checks", "all", "--phases", "examples,coverage,fuzzing,stateful"])
        .args(["--max-time", TIME_S, "--max-examples", "20", "--seed", "1", "--workers", "1"])
        .args(["--continue-on-failure", "--request-timeout", "20", "--no-color"])
        .current_dir(home.path())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("SCHEMATHESIS_HOOKS", "schemathesis_hooks")
        .env("TAPEDECK_TEST_TOKEN_NAME", TOKEN)
        .stdin(Stdio::null())
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    // It would also succeed without having asked anything.
    let tested =
        said.lines().find_map(|line| line.trim().strip_prefix("Tested: ")).and_then(|n| n.parse().ok());
    assert!(tested >= Some(39), "{tested:?} operations were asked:\n{said}");
    assert_eq!(up.interrupt(Duration::from_secs(20))?, Some(0), "{}", home.said("up"));
    Ok(())
}
