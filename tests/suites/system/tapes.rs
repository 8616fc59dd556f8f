//! `up`: the demo within 30 seconds, side by side, stopped and carried on; `tape`: the tapes of a home; the one tape that
//! servers of the user's own hold.

use std::process::Command;
use std::time::Duration;

use local_servers::testing::{TestNats, TestPostgres};
use serde_json::{Value, json};

use crate::harness::{BUSY, Home, Outcome, actions_file, bar_files, eventually, refused, rehearse};
use crate::telemetry::client;

const DRAIN_MAX: Duration = Duration::from_secs(20);

/// The URL that `up` printed.
pub fn url(home: &Home, name: &str) -> anyhow::Result<Option<String>> {
    let printed = home.printed(name)?;
    Ok(printed.split_whitespace().find(|word| word.starts_with("http://")).map(str::to_owned))
}

/// The link that `up` printed, which signs in once.
pub fn link(home: &Home, name: &str) -> anyhow::Result<Option<String>> {
    let printed = home.printed(name)?;
    Ok(printed.split_whitespace().find(|word| word.contains("/sign-in?ticket=")).map(str::to_owned))
}

fn count(home: &Home, arguments: &[&str]) -> anyhow::Result<usize> {
    let output = home.run(arguments)?;
    let document: Value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    Ok(document.as_array().map_or(0, Vec::len))
}

#[test]
fn the_demo_trades_within_thirty_seconds_of_its_url() -> Outcome {
    let home = Home::of_a_newcomer()?;
    let mut up = home.spawn("up", &["up"])?;
    eventually("a URL is printed", Duration::from_secs(30), || Ok(url(&home, "up")?.is_some()))?;
    eventually("fills, and denied and approved orders", Duration::from_secs(30), || {
        let status = home.run(&["status", "--json"])?;
        let status: Value = serde_json::from_slice(&status.stdout).unwrap_or(Value::Null);
        let positive = |path: &str| status.pointer(path).and_then(Value::as_u64) > Some(0);
        Ok(positive("/counts/bars")
            && positive("/counts/signals")
            && positive("/counts/approved")
            && positive("/counts/denied")
            && positive("/counts/fills")
            && positive("/counts/positions"))
    })?;
    assert_eq!(up.interrupt(DRAIN_MAX)?, Some(0), "{}", home.said("up"));

    // The second start finds the data and carries on.
    let before = count(&home, &["order", "list", "--limit", "200", "--json"])?;
    assert!(before > 0);
    let mut again = home.spawn("again", &["up"])?;
    eventually("a URL is printed again", Duration::from_secs(30), || Ok(url(&home, "again")?.is_some()))?;
    home.text(&["projection", "verify"])?;
    assert_eq!(again.interrupt(DRAIN_MAX)?, Some(0), "{}", home.said("again"));
    Ok(())
}

#[test]
fn two_homes_run_side_by_side_and_one_home_only_once() -> Outcome {
    let (left, right) = (Home::new()?, Home::new()?);
    let mut first = left.spawn("up", &["up"])?;
    let mut second = right.spawn("up", &["up"])?;
    for home in [&left, &right] {
        eventually("a URL is printed", Duration::from_secs(40), || Ok(url(home, "up")?.is_some()))?;
    }
    assert_ne!(url(&left, "up")?, url(&right, "up")?);
    let third = left.run(&["up"])?;
    assert!(!third.status.success());
    let said = String::from_utf8_lossy(&third.stderr).into_owned();
    assert!(said.contains("runs already"), "{said}");
    assert_eq!(first.interrupt(DRAIN_MAX)?, Some(0), "{}", left.said("up"));
    assert_eq!(second.interrupt(DRAIN_MAX)?, Some(0), "{}", right.said("up"));
    Ok(())
}

#[test]
fn who_uses_the_servers_of_a_command_outlives_it() -> Outcome {
    let home = Home::new()?;
    let files = bar_files()?;
    home.json(&["import", &files[0]])?;
    // It starts the servers, and is done with the first bar that the other one brings.
    let mut first = home.spawn("tail", &["tail", "--subject", "market.bar.>", "--limit", "1"])?;
    let announced = home.path().join("tapes/main/running.json");
    eventually("its servers run", DRAIN_MAX, || Ok(announced.exists()))?;
    let other = home.json(&["import", &files[1]])?;
    assert!(other["appended"].as_u64() > Some(30_000), "{other}");
    assert_eq!(first.wait(DRAIN_MAX)?, Some(0), "{}", home.said("tail"));
    assert!(!announced.exists());
    // What it brought is folded, by itself.
    let listed = home.json(&["bars"])?;
    assert!(listed.to_string().contains("\"BAC\""), "{listed}");
    Ok(())
}

#[test]
fn tapes_are_listed_chosen_and_removed_only_when_that_was_meant() -> Outcome {
    let home = Home::new()?;
    let bars = home.path().join("bars.csv").display().to_string();
    let rows = "symbol,timeframe,start_utc,open,high,low,close,volume\nTEST,1h,2020-01-02T15:00:00Z,10,11,9,10.5,100\n";
    std::fs::write(&bars, rows)?;
    let names = |home: &Home| -> anyhow::Result<Vec<String>> {
        let listed = home.json(&["tape", "list"])?;
        let rows = listed.as_array().into_iter().flatten();
        Ok(rows.filter_map(|row| row["name"].as_str().map(str::to_owned)).collect())
    };
    assert!(names(&home)?.is_empty());
    for tape in ["one", "two"] {
        home.json(&["import", &bars, "--tape", tape])?;
    }
    assert_eq!(names(&home)?, ["one", "two"]);
    home.text(&["tape", "use", "one"])?;
    let listed = home.json(&["tape", "list"])?;
    assert_eq!((&listed[0]["used_last"], &listed[1]["used_last"]), (&Value::Bool(true), &Value::Bool(false)));
    assert!(listed[0]["bytes"].as_u64() > Some(1_000_000) && listed[0]["running"].is_null(), "{listed}");

    // Who reads another tape has not chosen it.
    home.json(&["stream", "list", "--tape", "two"])?;
    assert_eq!(home.json(&["tape", "list"])?[0]["used_last"], true);

    // Nobody can be asked here; and a wrong name among good ones removes nothing.
    assert_eq!(home.run(&["tape", "remove", "one"])?.status.code(), Some(2));
    assert_eq!(home.run(&["tape", "remove", "one", "nowhere", "--yes"])?.status.code(), Some(3));
    let mut up = home.spawn("up", &["up", "--tape", "two"])?;
    eventually("a URL is printed", Duration::from_secs(40), || Ok(url(&home, "up")?.is_some()))?;
    let refused = home.run(&["tape", "remove", "one", "two", "--yes"])?;
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("in use"), "{refused:?}");
    assert_eq!(names(&home)?, ["one", "two"]);
    let listed = home.json(&["tape", "list"])?;
    assert_eq!(listed[1]["dashboard"].as_str().map(str::to_owned), url(&home, "up")?, "{listed}");
    a_stop_of_an_idle_tape_is_refused(&home)?;
    let first = url(&home, "up")?;
    assert_eq!(up.interrupt(Duration::from_secs(20))?, Some(0), "{}", home.said("up"));

    // The dashboard comes back where it was.
    let mut again = home.spawn("again", &["up"])?;
    eventually("a URL is printed again", Duration::from_secs(40), || Ok(url(&home, "again")?.is_some()))?;
    assert_eq!(url(&home, "again")?, first);
    assert!(home.printed("again")?.contains("Other tapes: one"), "{}", home.printed("again")?);
    // Who ends at once leaves the folding of what its services said to the next start.
    eventually("the services are in the read model", Duration::from_secs(20), || {
        // Not all of them are ready yet, which is its exit code.
        let status = home.run(&["status", "--tape", "two", "--json"])?;
        let status: Value = serde_json::from_slice(&status.stdout)?;
        Ok(status["services"].as_array().is_some_and(|rows| !rows.is_empty()))
    })?;
    assert_eq!(again.interrupt(Duration::from_secs(20))?, Some(0), "{}", home.said("again"));
    let status = home.json(&["status", "--tape", "two"])?;
    let states: Vec<&str> =
        status["services"].as_array().into_iter().flatten().filter_map(|row| row["state"].as_str()).collect();
    assert!(!states.is_empty() && states.iter().all(|state| *state == "stopped"), "{status}");

    home.text(&["tape", "remove", "one", "--yes"])?;
    assert_eq!(names(&home)?, ["two"]);
    assert_eq!(home.run(&["tape", "use", "one"])?.status.code(), Some(3));
    Ok(())
}

/// The tape `two` is run, and `one` is not: who stops something means the former, unless the tape is named.
fn a_stop_of_an_idle_tape_is_refused(home: &Home) -> Outcome {
    home.text(&["tape", "use", "one"])?;
    let told = [
        "nobody runs tape one",
        "somebody runs two",
        "kill --all --reason 'two words' --tape two",
        "--tape one",
    ];
    refused(home, &["kill", "--all", "--reason", "two words"], 2, &told)?;
    for stop in ["halt", "resume"] {
        refused(home, &[stop], 2, &["nobody runs tape one", &format!("tapedeck {stop} --tape two")])?;
    }
    assert_eq!(home.json(&["halt", "--tape", "one"])?["tape"], "one");
    assert_eq!(home.json(&["resume", "--tape", "two"])?["tape"], "two");
    home.text(&["tape", "use", "two"])?;
    assert_eq!(home.json(&["resume"])?["tape"], "two");
    Ok(())
}

/// The read models are no part of a copy: they are folded again.
#[test]
fn a_copy_of_the_tape_alone_holds_all_that_there_was() -> Outcome {
    let (bars, actions) = (bar_files()?, actions_file()?);
    let (home, copy) = (Home::new()?, Home::new()?);
    // An account that another configuration states otherwise would be configured anew.
    for home in [&home, &copy] {
        home.configure(BUSY)?;
    }
    let tape = ["--tape", "kept"];
    let report = home.json(&rehearse(&bars, &actions, "2011-07-01", "2011-07-22", &tape))?;
    assert!(report["fills"].as_u64() > Some(0), "{report}");
    let (from, to) = (home.path().join("tapes/kept"), copy.path().join("tapes/kept"));
    std::fs::create_dir_all(&to)?;
    std::fs::copy(from.join("tape.json"), to.join("tape.json"))?;
    let copied = Command::new("cp").arg("-a").args([from.join("nats"), to.join("nats")]).status()?;
    anyhow::ensure!(copied.success(), "{copied}");

    copy.text(&[&["projection", "fold"][..], &tape].concat())?;
    copy.text(&[&["projection", "verify"][..], &tape].concat())?;
    for what in [&["chain-hash"][..], &["order", "list", "--limit", "200"], &["positions"], &["account"]] {
        let arguments = [what, &tape].concat();
        assert_eq!(copy.json(&arguments)?, home.json(&arguments)?, "{what:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_of_ones_own_hold_one_tape_and_say_which() -> Outcome {
    let nats = TestNats::start().await?;
    let database = TestPostgres::shared().await?.create_database(None).await?;
    let home = || -> anyhow::Result<Home> {
        let mut home = Home::new()?;
        home.set("NATS_URL", &nats.url());
        home.set("DATABASE_URL", database.url());
        Ok(home)
    };
    let (first, second) = (home()?, home()?);
    refused(&second, &["chain-hash"], 3, &["\"main\" does not exist here", "do not say what they hold"])?;
    // Of a Saturday, so that the calendar tells.
    let bars = first.path().join("bars.csv").display().to_string();
    let rows = "symbol,timeframe,start_utc,open,high,low,close,volume\nTEST,1h,2020-01-04T15:00:00Z,10,11,9,10.5,100\n";
    std::fs::write(&bars, rows)?;
    let import = ["import", &bars, "--tape", "mine"];
    let made = first.json(&[&import[..], &["--calendar", "24x7"]].concat())?;
    assert_eq!(made["appended"], 1, "{made}");

    // Another tape is refused and leaves nothing.
    let other = ["hold the tape mine, expected that one", "--tape mine"];
    refused(&second, &["up", "--tape", "demo"], 2, &[&["tape demo: "][..], &other].concat())?;
    refused(&second, &["import", &bars], 2, &[&["tape main: "][..], &other].concat())?;
    let rehearsal = ["rehearse", "--bars", &bars, "--calendar", "24x7"];
    refused(&second, &rehearsal, 2, &[&["tape rehearsal-"][..], &other].concat())?;
    let same_name = [&rehearsal[..], &["--tape", "mine"]].concat();
    refused(&second, &same_name, 2, &["tape mine: ", "as in the tape of this name"])?;
    assert!(!second.path().join("tapes").exists());

    // A home that knows nothing takes it from them, calendar and all, and needs no name.
    let again = second.json(&import)?;
    assert_eq!((&again["duplicates"], &again["rejected"]), (&json!(1), &json!([])), "{again}");
    // So does a run over files, which is put on record there.
    let fresh = home()?;
    let hours = fresh.path().join("hours.csv").display().to_string();
    std::fs::write(&hours, crate::files::hours())?;
    let report = fresh.json(&["backtest", "--strategy", "sma_cross:fast=1,slow=2", "--bars", &hours])?;
    assert_eq!(report["recorded"], true, "{report}");
    let alone = home()?;
    let mut services = alone.spawn("run", &["run", "risk", "projector"])?;
    eventually("risk is ready, on a machine of its own", Duration::from_secs(60), || {
        // Not all services are there, which is its exit code.
        let status = alone.run(&["status", "--json"])?;
        let status: Value = serde_json::from_slice(&status.stdout).unwrap_or(Value::Null);
        let mut rows = status["services"].as_array().into_iter().flatten();
        Ok(rows.any(|row| row["service"] == "risk" && row["state"] == "ready"))
    })?;
    assert_eq!(services.interrupt(DRAIN_MAX)?, Some(0), "{}", alone.said("run"));
    assert_eq!(alone.json(&["chain-hash"])?, first.json(&["chain-hash"])?);
    assert_eq!(alone.json(&["tape", "list"])?[0]["name"], "mine");
    assert_eq!(first.json(&["stream", "diff"])?, json!([]));
    Ok(())
}

/// As versions left them that did not write down what the tape is.
#[tokio::test(flavor = "multi_thread")]
async fn servers_that_do_not_say_what_they_hold_learn_it_from_the_home_of_their_tape() -> Outcome {
    let nats = TestNats::start().await?;
    let database = TestPostgres::shared().await?.create_database(None).await?;
    let (mut first, mut second) = (Home::new()?, Home::new()?);
    for home in [&mut first, &mut second] {
        home.set("NATS_URL", &nats.url());
        home.set("DATABASE_URL", database.url());
    }
    let bars = first.path().join("bars.csv").display().to_string();
    let rows = "symbol,timeframe,start_utc,open,high,low,close,volume\nTEST,1h,2020-01-02T15:00:00Z,10,11,9,10.5,100\n";
    std::fs::write(&bars, rows)?;
    first.json(&["import", &bars, "--tape", "mine"])?;
    let client = client(&nats).await?;
    let info = client.request("$JS.API.STREAM.INFO.MARKET", "".into()).await?;
    let mut config = serde_json::from_slice::<Value>(&info.payload)?["config"].take();
    let label = config["metadata"]["tapedeck.tape"].take();
    assert!(label.as_str().is_some_and(|label| label.contains("mine")), "{label}");
    config["metadata"] = json!({});
    let answer = client.request("$JS.API.STREAM.UPDATE.MARKET", config.to_string().into()).await?;
    let answer: Value = serde_json::from_slice(&answer.payload)?;
    assert!(answer["error"].is_null() && answer["config"]["metadata"]["tapedeck.tape"].is_null(), "{answer}");

    // A new tape does not take their place.
    refused(&second, &["import", &bars], 2, &["tape main: ", "a tape that says no name", "tapedeck status"])?;
    assert!(!second.path().join("tapes").exists());
    let chain = first.json(&["chain-hash", "--tape", "mine"])?;
    assert_eq!(second.json(&["chain-hash"])?, chain);
    Ok(())
}
