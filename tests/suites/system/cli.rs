//! The habits of the command line: exit codes, JSON, errors that name field, value and expectation.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::Stdio;

use serde_json::Value;

use crate::harness::{Home, Outcome, actions_file, bar_files, refused};

#[test]
fn import_reports_every_bad_row_and_keeps_the_good_ones() -> Outcome {
    let home = Home::new()?;
    let file = home.path().join("bad.csv");
    std::fs::write(
        &file,
        "symbol,timeframe,start_utc,open,high,low,close,volume\n\
         TEST,1h,2020-01-02T15:00:00Z,10,11,9,10.5,0\n\
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

    // Nobody runs the tape: the command itself has folded what it appended.
    assert_eq!(report["findings"].as_u64(), Some(1), "{report}");
    let findings = home.json(&["findings", "--tape", "bad"])?;
    assert_eq!(findings.as_array().map(Vec::len), Some(1), "{findings}");
    assert_eq!(findings[0]["rule"], "zero_volume", "{findings}");
    let bars = home.json(&["bars", "TEST", "--tape", "bad"])?;
    assert_eq!(bars.as_array().map(Vec::len), Some(1), "{bars}");

    // What other commands state there is folded when that is wanted.
    home.text(&["halt", "--reason", "a test", "--tape", "bad"])?;
    let folded = home.json(&["projection", "fold", "--tape", "bad"])?;
    let rows: Vec<&Value> = folded.as_array().into_iter().flatten().collect();
    assert!(rows.len() > 5 && rows.iter().all(|row| row["lag"].as_u64() == Some(0)), "{folded}");
    let trading = rows.iter().find(|row| row["name"] == "trading");
    assert!(trading.is_some_and(|row| row["position"].as_u64() > Some(0)), "{folded}");

    let strict = home.run(&["import", &path, "--tape", "strict", "--strict", "--json"])?;
    assert!(!strict.status.success());

    // A run over such a file says so in its document, too.
    for command in [
        &["backtest", "--strategy", "momentum"][..],
        &["sweep", "--strategy", "momentum", "--param", "lookback=5", "--metric", "net_profit"],
    ] {
        let run = home.json(&[command, &["--bars", &path]].concat())?;
        let warnings = run["warnings"].to_string();
        assert!(warnings.contains("5 rows left out") && warnings.contains("line 3"), "{command:?} {run}");
    }

    // An option that the file contradicts is no more passed over than a bad row.
    for command in [
        &["import", &path, "--tape", "bad"][..],
        &["rehearse", "--bars", &path],
        &["resample", &path, "--to", "1d"],
        &["backtest", "--strategy", "momentum", "--bars", &path],
    ] {
        let output = home.run(&[command, &["--symbol", "OTHER"]].concat())?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{command:?} {said}");
        let expected = format!("--symbol \"OTHER\": {path} says it itself, \"TEST\" in line 2");
        assert!(said.contains(&expected), "{command:?} {said}");
    }
    Ok(())
}

/// A series has one name, however files, options and commands write it.
#[test]
fn a_symbol_is_found_in_whatever_case_it_came() -> Outcome {
    let home = Home::new()?;
    let named = home.path().join("named.csv").display().to_string();
    std::fs::write(
        &named,
        "symbol,timeframe,start_utc,open,high,low,close,volume\n\
         brk.b,1h,2020-01-02T15:00:00Z,10,11,9,10.5,1000\n\
         BRK.B,1h,2020-01-02T16:00:00Z,10,11,9,10.5,1000\n",
    )?;
    let unnamed = home.path().join("unnamed.csv").display().to_string();
    std::fs::write(
        &unnamed,
        "timeframe,start_utc,open,high,low,close,volume\n1h,2020-01-02T15:00:00Z,10,11,9,10.5,1000\n",
    )?;
    let report = home.json(&["import", &named, "--tape", "main"])?;
    assert_eq!(report["appended"], 2, "{report}");
    for (symbol, appended) in [("spy", 1), ("SPY", 0)] {
        let report = home.json(&["import", &unnamed, "--symbol", symbol, "--tape", "main"])?;
        assert_eq!(report["appended"], appended, "{report}");
    }
    for (symbol, bars) in [("brk.b", 2), ("BRK.B", 2), ("Spy", 1)] {
        let listed = home.json(&["bars", symbol])?;
        assert_eq!(listed.as_array().map(Vec::len), Some(bars), "{symbol} {listed}");
    }
    let series = home.json(&["bars"])?;
    let symbols = series.as_array().into_iter().flatten().filter_map(|row| row["symbol"].as_str());
    assert_eq!(symbols.collect::<BTreeSet<_>>(), BTreeSet::from(["BRK.B", "SPY"]), "{series}");
    for command in [
        &["bars", "a b"][..],
        &["order", "list", "--symbol", "a b"],
        &["order", "place", "buy", "a b", "--qty", "1"],
        &["at", "1", "orders", "--symbol", "a b"],
        &["limits", "set", "--symbol", "a b", "max_leverage=1"],
        &["pairs", "a b", "SPY"],
        &["backtest", "--strategy", "momentum", "--symbols", "a b"],
        &["backtest", "--strategy", "momentum", "--benchmark", "a b"],
        &["news", "list", "--symbol", "a b"],
        &["reference", "show", "a b"],
    ] {
        refused(&home, command, 2, &["a b", "expected 1 to 32 printable ASCII characters"])?;
    }
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
    let beyond =
        home.run(&["tail", "--tape", "history", "--subject", "market.>", "--from-seq", "99999999"])?;
    let said = String::from_utf8_lossy(&beyond.stderr);
    assert_eq!(beyond.status.code(), Some(2), "{said}");
    assert!(
        said.contains("--from-seq 99999999: expected at most ") && said.contains("MARKET ends at"),
        "{said}"
    );
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

    // A file that cannot be read is wrong usage of whoever reads it, and no tape is made for it.
    let empty = home.path().join("empty.csv").display().to_string();
    std::fs::write(&empty, "")?;
    for command in [
        &["import", &empty][..],
        &["rehearse", "--bars", &empty],
        &["backtest", "--strategy", "momentum", "--bars", &empty],
        &["indicator", "rsi", "--bars", &empty],
        &["pairs", "AAPL", "SPY", "--bars", &empty],
    ] {
        let output = home.run(command)?;
        assert_eq!(output.status.code(), Some(2), "{command:?} {output:?}");
    }
    std::fs::write(&empty, "symbol,timeframe,start_utc,open,high,low,close,volume\n")?;
    assert_eq!(home.run(&["rehearse", "--bars", &empty])?.status.code(), Some(3));

    // One that breaks off is found out before any of it is appended, whatever is imported with it.
    let bars = bar_files()?.swap_remove(0);
    let cut = home.path().join("cut.csv.gz").display().to_string();
    let packed = std::fs::read(&bars)?;
    std::fs::write(&cut, packed.get(..packed.len() / 2).unwrap_or_default())?;
    for strict in [None, Some("--strict")] {
        let mut import = vec!["import", bars.as_str(), cut.as_str(), "--json"];
        import.extend(strict);
        let output = home.run(&import)?;
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{output:?}");
        let said: Value = serde_json::from_slice(&output.stderr)?;
        let message = said["message"].as_str().unwrap_or_default();
        assert!(message.starts_with(&cut) && message.ends_with("; nothing was appended"), "{message}");
    }

    // Neither is a file of the other kind played, nor one in the name of what is no symbol.
    let actions = actions_file()?;
    let other = "expected corporate actions";
    refused(&home, &["rehearse", "--bars", &bars, "--actions", &bars], 2, &["--actions ", &bars, other])?;
    refused(&home, &["rehearse", "--bars", &actions], 2, &["--bars ", &actions, "expected bars"])?;
    for symbol in ["a b", "", "A,B"] {
        let said = &["'--symbol <SYMBOL>'", "expected 1 to 32 printable ASCII characters"];
        refused(&home, &["import", &bars, "--symbol", symbol], 2, said)?;
        refused(&home, &["rehearse", "--bars", &bars, "--symbol", symbol], 2, said)?;
    }
    assert!(!home.path().join("tapes").exists(), "a tape was made");

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

    // It may be an external strategy that is registered later, and may as well be a typing error.
    let limits = |name: &str| format!("[[limits]]\nstrategy = \"{name}\"\nmax_open_orders = 3\n");
    home.configure(&(limits("sma_corss") + &limits("sma_cross")))?;
    let output = home.run(&["config", "check"])?;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("limits[0].strategy = sma_corss: expected one of momentum, sma_cross"), "{said}");
    assert!(!said.contains("limits[1]"), "{said}");
    Ok(())
}

/// A home in which no vendor's key is set, whoever runs the tests.
fn without_keys() -> anyhow::Result<Home> {
    let mut home = Home::new()?;
    for variable in ["APCA_API_KEY_ID", "APCA_API_SECRET_KEY", "MASSIVE_API_KEY", "NEWSAPI_KEY"] {
        home.set(variable, "");
    }
    Ok(home)
}

#[test]
fn what_options_decide_is_refused_before_anything_is_started() -> Outcome {
    let home = without_keys()?;
    let cases: [(&[&str], i32, &[&str]); 8] = [
        (&["--bind", "foo"], 2, &["--bind \"foo\": expected ADDRESS:PORT"]),
        (&["--bind", "0.0.0.0:8080"], 4, &["web.bind = 0.0.0.0:8080", "web.tls_cert"]),
        (&["--metrics", "9464"], 2, &["--metrics \"9464\": expected ADDRESS:PORT"]),
        (&["--live", "nobody"], 3, &["account \"nobody\": expected one of paper"]),
        (&["--live", "paper"], 4, &["account.paper.broker is simulated, expected alpaca"]),
        (&["--nats-url", "nats://127.0.0.1:9"], 2, &["only one of NATS_URL and DATABASE_URL is set"]),
        (
            &["--nats-url", "nats://127.0.0.1:9", "--database-url", "nowhere"],
            4,
            &["DATABASE_URL: expected postgres://"],
        ),
        (&["--otlp-endpoint", "collector:4318"], 4, &["telemetry.otlp_endpoint = collector:4318"]),
    ];
    for (options, code, words) in cases {
        refused(&home, &[&["up", "--tape", "main"], options].concat(), code, words)?;
    }
    refused(&home, &["up", "--tape", "demo", "--live", "paper"], 2, &["tape demo has no market of today"])?;
    refused(&home, &["up", "--tape", "main", "--speed", "10"], 2, &["--speed 10: tape main is of the kind"])?;
    let bars = home.path().join("none.csv");
    std::fs::write(&bars, "symbol,timeframe,start_utc,open,high,low,close,volume\n")?;
    let bars = bars.display().to_string();
    refused(&home, &["rehearse", "--bars", &bars, "--only", "risk"], 2, &["--only: expected ingest"])?;
    refused(&home, &["rehearse", "--bars", &bars, "--bind", "foo"], 2, &["--bind \"foo\""])?;
    let some = ["rehearse", "--bars", &bars, "--only", "ingest", "risk"];
    refused(&home, &[&some[..], &["--stay"]].concat(), 2, &["--stay: expected web among the services"])?;
    let bound = [&some[..], &["--bind", "127.0.0.1:0"]].concat();
    refused(&home, &bound, 2, &["--bind 127.0.0.1:0: expected web among the services"])?;
    assert!(!home.path().join("tapes").exists(), "a tape was made");

    // Of a tape that is there some services alone: its servers are not started either.
    let tape = home.path().join("tapes/main");
    std::fs::create_dir_all(&tape)?;
    std::fs::write(tape.join("tape.json"), r#"{"kind":"main","seed":0,"speed":null}"#)?;
    for (options, code, words) in cases {
        refused(&home, &[&["run", "--tape", "main"], options].concat(), code, words)?;
    }
    let made: Vec<_> = std::fs::read_dir(&tape)?.map(|entry| entry.map(|entry| entry.file_name())).collect();
    assert_eq!(made.len(), 1, "{made:?}");
    // Whoever serves no dashboard, or sends no orders, is told that an option of theirs would do nothing.
    let risk = ["run", "risk", "--tape", "main"];
    for (options, word) in [
        (["--bind", "127.0.0.1:0"], "--bind 127.0.0.1:0: expected web among the services"),
        (["--live", "paper"], "--live paper: expected execution among the services"),
        (["--metrics", "9464"], "--metrics \"9464\""),
    ] {
        refused(&home, &[&risk[..], &options[..]].concat(), 2, &[word])?;
    }
    Ok(())
}

/// What runs already ends before its servers do.
#[test]
fn of_a_port_that_is_taken_nothing_else_is_said() -> Outcome {
    let home = Home::new()?;
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    let address = taken.local_addr()?.to_string();
    let busy = home.run(&["up", "--market", "demo", "--tape", "busy", "--bind", &address])?;
    let said = String::from_utf8(busy.stderr)?;
    assert_eq!(busy.status.code(), Some(4), "{said}");
    assert!(said.contains("in use"), "{said}");
    for word in ["terminating connection", "disconnected", "IO error"] {
        assert!(!said.contains(word), "{said}");
    }
    Ok(())
}

#[test]
fn what_the_configuration_decides_is_refused_by_the_check_as_by_the_start() -> Outcome {
    let mut home = without_keys()?;
    let missing = home.path().join("none.pem").display().to_string();
    let tls = format!("[web]\ntls_cert = \"{missing}\"\ntls_key = \"{missing}\"\n");
    let key = "the variable APCA_API_KEY_ID to be set";
    for (text, words) in [
        ("[web]\nbind = \"0.0.0.0:0\"\n", ["web.bind = 0.0.0.0:0", "web.tls_cert"]),
        (tls.as_str(), ["web.tls_cert = ", "none.pem"]),
        ("[live]\nsource = \"alpaca\"\nsymbols = [\"SPY\"]\n", ["source.alpaca.key_env", key]),
        ("[news]\nsource = \"newsapi\"\nsymbols = [\"SPY\"]\n", ["source.newsapi.key_env", "NEWSAPI_KEY"]),
        ("[account.paper]\nbroker = \"alpaca\"\n", ["account.paper.alpaca.key_env", key]),
        ("[telemetry]\nlog_filter = \"risk=loud\"\n", ["telemetry.log_filter", "risk=loud"]),
        ("[log]\ntape = \"risk=loud\"\n", ["tapedeck.toml:2: log.tape", "risk=loud"]),
        (
            "[strategy.x]\nkind = \"momentum\"\nsymbols = [\"@tech\"]\n",
            ["strategy.x.symbols = @tech", "[universe]"],
        ),
        (
            "[strategy.x]\nkind = \"momentum\"\naccount = \"y\"\n",
            ["tapedeck.toml:3: strategy.x.account = y", "paper"],
        ),
        ("[[authority]]\nsource = \"bloomberg\"\n", ["authority[0].source = \"bloomberg\"", "yahoo"]),
        (
            "[account.paper]\ncash = true\n",
            ["tapedeck.toml:2: account.paper.cash = true", "a decimal number"],
        ),
        (
            "[account.paper]\nkind = \"cash\"\nallow_short = true\n",
            ["tapedeck.toml:3: account.paper.allow_short = true", "expected false, because"],
        ),
    ] {
        home.configure(text)?;
        for command in [&["config", "check"][..], &["up", "--tape", "main"]] {
            refused(&home, command, 4, &words)?;
        }
    }
    assert!(!home.path().join("tapes").exists(), "a tape was made");

    // What is not turned on needs no keys, and options and variables are looked at too.
    home.configure("[source.alpaca]\nfeed = \"iex\"\n")?;
    let checked = home.json(&["config", "check"])?;
    assert_eq!(checked["credentials"]["source.alpaca.key_env"], "unset", "{checked}");
    refused(&home, &["config", "check", "--metrics", "9464"], 2, &["--metrics \"9464\""])?;
    home.set("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318");
    refused(&home, &["config", "check"], 4, &["telemetry.otlp_endpoint = collector:4318"])
}

#[test]
fn output_that_cannot_be_written_is_a_failure() -> Outcome {
    let home = Home::new()?;
    for (arguments, words) in
        [(&["config", "check"][..], "error: stdout: "), (&["config", "check", "--json"], "stdout: ")]
    {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full")?;
        let output = home.command(arguments).stdout(full).stderr(Stdio::piped()).output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && said.contains(words), "{arguments:?}: {output:?}");
    }
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
