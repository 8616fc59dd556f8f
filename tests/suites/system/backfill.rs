//! Backfill as a process, from the stand-in for the vendors.

use std::collections::BTreeSet;

use anyhow::Context as _;
use chrono::{Days, NaiveDate};
use domain::calendar::Calendar;
use serde_json::Value;
use tapedeck_vendors::Vendors;
use tapedeck_vendors::fault::{HttpFault, HttpRule, When};
use tapedeck_vendors::ledger::Vendor;
use tapedeck_vendors::market::{Dividend, Script, Split};

use crate::harness::{self, Home, Outcome};

/// The stand-in at this moment, and a home that knows its addresses.
struct Stage {
    home: Home,
    vendors: Vendors,
    today: NaiveDate,
    // Last: what runs on it ends before.
    _runtime: tokio::runtime::Runtime,
}

impl Stage {
    fn new(script: Script) -> anyhow::Result<Self> {
        Self::with(script, "")
    }

    /// `more` is added to the configuration.
    fn with(script: Script, more: &str) -> anyhow::Result<Self> {
        let executor = tokio::runtime::Runtime::new()?;
        let now_ns = runtime::now_ns();
        let vendors = executor.block_on(Vendors::start(Script { start_ns: now_ns, ..script }))?;
        let home = Home::new()?;
        let at = |vendor| vendors.addresses().http(vendor).to_owned();
        home.configure(&format!(
            "[source.yahoo]\nbase_url = \"{}\"\nrequests_per_minute = 1000\n\
             [source.alpaca]\nbase_url = \"{}\"\n\
             [source.massive]\nbase_url = \"{}\"\nrequests_per_minute = 1000\n{more}",
            at(Vendor::Yahoo),
            at(Vendor::AlpacaData),
            at(Vendor::Massive)
        ))?;
        Ok(Self { home, vendors, today: Calendar::xnys().date_of(now_ns), _runtime: executor })
    }

    fn days_ago(&self, days: u64) -> String {
        (self.today - Days::new(days)).to_string()
    }

    fn asked(&self, vendor: Vendor) -> usize {
        self.vendors.stand.ledger.requests(Some(vendor), "").len()
    }
}

fn count(report: &Value, field: &str) -> anyhow::Result<u64> {
    report[field].as_u64().with_context(|| format!("{field} in {report}"))
}

#[test]
fn two_years_of_hours_of_ten_symbols_come_once_and_are_tested_on() -> Outcome {
    let mut script = Script::of_symbols(10);
    let now_ns = runtime::now_ns();
    let day = |ago: u64| Calendar::xnys().date_of(now_ns) - Days::new(ago);
    let session = Calendar::xnys().next_session_after(Calendar::xnys().start_of(day(300)))?.date;
    script.splits = vec![Split { symbol: "S003".into(), ex_date: session, from: 1, to: 4 }];
    let dividend = serde_json::json!({"symbol": "S004", "ex_date": session, "amount": "0.25"});
    script.dividends = vec![serde_json::from_value::<Dividend>(dividend)?];
    let stage = Stage::new(script)?;
    let symbols = (0..10).map(|number| format!("S{number:03}")).collect::<Vec<_>>().join(",");
    let arguments = ["backfill", "--source", "yahoo", "--symbols", &symbols];

    let first = stage.home.json(&arguments)?;
    let appended = count(&first, "appended")?;
    // Seven bars in each of about 500 sessions.
    assert!(appended > 10 * 480 * 7, "{first}");
    assert_eq!(count(&first, "read")?, appended, "{first}");
    assert_eq!(first["rejected"], serde_json::json!([]));

    let second = stage.home.json(&arguments)?;
    assert_eq!((count(&second, "appended")?, count(&second, "revisions")?), (0, 0), "{second}");
    let again = count(&second, "duplicates")?;
    assert!(again <= 10 * 2 * 7 + 2, "only the last session is asked for again: {second}");
    assert_eq!(stage.asked(Vendor::Yahoo), 20);

    let series = stage.home.json(&["ingest", "status", "--source", "yahoo"])?;
    let series = series["series"].as_array().context("a list")?;
    assert_eq!(series.len(), 10);
    for series in series {
        assert_eq!(series["gaps"], serde_json::json!([]), "{series}");
        assert!(count(series, "bars")? > 480 * 7, "{series}");
    }

    let run =
        stage.home.json(&["backtest", "--strategy", "sma_cross:fast=5,slow=20", "--symbols", &symbols])?;
    // Two of what was appended are a split and a dividend.
    assert_eq!(count(&run["counts"], "bars")?, appended - 2, "{run}");
    assert!(count(&run["counts"], "fills")? > 100, "{run}");
    // It is listed although nobody runs the tape.
    let listed = stage.home.json(&["backtest", "list"])?;
    assert_eq!(
        (&listed[0]["run_id"], &listed[0]["status"]),
        (&run["run_id"], &"succeeded".into()),
        "{listed}"
    );
    Ok(())
}

#[test]
fn every_source_fills_a_tape_and_goes_on_after_a_failure() -> Outcome {
    let mut stage = Stage::new(Script::default())?;
    stage.home.set("APCA_API_KEY_ID", tapedeck_vendors::KEY);
    stage.home.set("APCA_API_SECRET_KEY", tapedeck_vendors::SECRET);
    stage.home.set("MASSIVE_API_KEY", tapedeck_vendors::KEY);
    let from = stage.days_ago(30);
    for (source, vendor) in [("alpaca", Vendor::AlpacaData), ("massive", Vendor::Massive)] {
        let arguments =
            ["backfill", "--source", source, "--symbols", "MSFT,SPY", "--from", &from, "--tape", source];
        // One question is refused, for good.
        stage.vendors.stand.faults.on_request(HttpRule {
            vendor,
            method: None,
            path: if source == "alpaca" { "/v2/stocks/bars".into() } else { "/v2/aggs/ticker/SPY".into() },
            times: 1,
            when: When::Before,
            fault: HttpFault::Answer {
                status: 400,
                headers: [].into(),
                body: serde_json::json!({"message": "not today"}),
            },
        });
        let output = stage.home.run(&arguments)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains("not today"), "{source}: {said}");
        let report = stage.home.json(&arguments)?;
        assert!(count(&report, "appended")? > 70, "{source}: {report}");
        let report = stage.home.json(&arguments)?;
        assert_eq!((count(&report, "appended")?, count(&report, "revisions")?), (0, 0), "{source}: {report}");
    }
    // Hours from the open among hours on the clock are no series.
    let arguments =
        ["backfill", "--source", "yahoo", "--symbols", "SPY", "--from", &from, "--tape", "alpaca"];
    let output = stage.home.run(&arguments)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("on a tape of its own"), "{said}");
    Ok(())
}

/// A symbol of a list.
fn found<'a>(list: &'a Value, symbol: &str) -> anyhow::Result<&'a Value> {
    let mut rows = list.as_array().context("a list")?.iter();
    rows.find(|row| row["symbol"] == symbol).with_context(|| format!("{symbol} in {list}"))
}

/// An answer that refuses, once.
fn refusing(path: &str, message: &str) -> HttpRule {
    let body = serde_json::json!({ "message": message });
    HttpRule {
        vendor: Vendor::AlpacaData,
        method: None,
        path: path.into(),
        times: 1,
        when: When::Before,
        fault: HttpFault::Answer { status: 400, headers: [].into(), body },
    }
}

/// Several symbols are one question a page, and what came of each is told by the status.
#[test]
fn symbols_with_the_same_span_are_asked_for_at_once_and_each_is_accounted_for() -> Outcome {
    let mut stage = Stage::new(Script::of_symbols(13))?;
    stage.home.set("APCA_API_KEY_ID", tapedeck_vendors::KEY);
    stage.home.set("APCA_API_SECRET_KEY", tapedeck_vendors::SECRET);
    let from = stage.days_ago(30);
    let names = |count: usize| (0..count).map(|number| format!("S{number:03}")).collect::<Vec<_>>().join(",");
    let (twelve, all) = (names(12), names(13));
    let of = |symbols: &str, tape: &str| -> Vec<String> {
        let words = ["backfill", "--source", "alpaca", "--symbols", symbols, "--from", &from, "--tape", tape];
        words.map(str::to_owned).into()
    };
    let backfill =
        |arguments: &[String]| stage.home.json(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let asked = || {
        let asked = |path| stage.vendors.stand.ledger.requests(Some(Vendor::AlpacaData), path).len();
        (asked("/v1/corporate-actions"), asked("/v2/stocks/bars"))
    };
    let first = backfill(&of(&twelve, "main"))?;
    // About twenty sessions of seven hours are less than a page of ten thousand rows.
    assert!(count(&first, "appended")? > 12 * 15 * 7, "{first}");
    assert_eq!(asked(), (1, 1));
    let second = backfill(&of(&twelve, "main"))?;
    assert_eq!((count(&second, "appended")?, count(&second, "revisions")?), (0, 0), "{second}");
    assert_eq!(asked(), (2, 2));
    // One more has a span of its own, the others go on where they are.
    let third = backfill(&of(&all, "main"))?;
    assert!((15 * 7..13 * 7 * 3).contains(&count(&third, "appended")?), "{third}");
    assert_eq!(asked(), (4, 4));
    let status = |tape: &str| stage.home.json(&["ingest", "status", "--tape", tape]);
    let told = status("main")?;
    for symbol in all.split(',') {
        let series = found(&told["series"], symbol)?;
        assert!(series["last_success_ns"].is_i64() && series["last_error_ns"].is_null(), "{series}");
        assert_eq!(series["gaps"], serde_json::json!([]), "{series}");
    }

    // A refusal is told of all, without the key that the vendor repeats; the last success stays.
    let tired = format!("{} is tired", tapedeck_vendors::KEY);
    stage.vendors.stand.faults.on_request(refusing("/v2/stocks/bars", &tired));
    assert!(backfill(&of(&twelve, "main")).is_err());
    let told = status("main")?;
    for symbol in ["S000", "S011"] {
        let series = found(&told["series"], symbol)?;
        let words = series["last_error"].as_str().context("words")?;
        assert!(words.contains("*** is tired") && series["last_success_ns"].is_i64(), "{series}");
    }
    assert!(found(&told["series"], "S012")?["last_error_ns"].is_null(), "nobody asked for it");
    let text = stage.home.text(&["ingest", "status", "--tape", "main", "--symbols", "S000"])?;
    assert!(text.contains("alpaca S000 1h: failed at ") && text.contains("LAST SUCCESS"), "{text}");

    // One that is refused by its name keeps nothing from the others, and is told at the end.
    stage.vendors.stand.faults.on_request(refusing("/v2/stocks/bars", "invalid symbol: S003"));
    let arguments = of("S001,S003,S005", "other");
    let output = stage.home.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>())?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("invalid symbol: S003"), "{said}");
    let told = status("other")?;
    assert_eq!(told["series"].as_array().map(Vec::len), Some(2), "{told}");
    let refused = found(&told["unfilled"], "S003")?;
    assert!(refused["last_success_ns"].is_null() && refused["last_error_ns"].is_i64(), "{refused}");
    Ok(())
}

/// Imports and fetches of news are accounted for like backfills.
#[test]
fn what_came_of_files_and_of_news_is_told_by_the_status() -> Outcome {
    let mut stage = Stage::new(Script::default())?;
    stage.home.set("APCA_API_KEY_ID", tapedeck_vendors::KEY);
    stage.home.set("APCA_API_SECRET_KEY", tapedeck_vendors::SECRET);
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("bars.csv");
    let rows = "symbol,timeframe,start_utc,open,high,low,close,volume\nX,1h,2025-01-02T15:00:00Z,1,1,1,1,5\n";
    std::fs::write(&file, rows)?;
    let path = file.to_str().context("a path")?;
    stage.home.json(&["import", path, "--tape", "main"])?;
    let status = || stage.home.json(&["ingest", "status", "--tape", "main"]);
    let told = status()?;
    let series = found(&told["series"], "X")?;
    assert!(series["last_success_ns"].is_i64() && series["last_error_ns"].is_null(), "{series}");
    std::fs::write(&file, format!("{rows}X,1h,2025-01-02T16:00:00Z,1,1,1,-1,5\n"))?;
    assert!(stage.home.json(&["import", path, "--strict", "--tape", "main"]).is_err());
    let told = status()?;
    let series = found(&told["series"], "X")?;
    assert_eq!(series["last_error"], "1 rows rejected, nothing appended (--strict)", "{series}");

    let from = stage.days_ago(7);
    let fetch =
        ["news", "fetch", "--source", "alpaca", "--symbols", "MSFT", "--from", &from, "--tape", "main"];
    let report = stage.home.json(&fetch)?;
    stage.vendors.stand.faults.on_request(refusing("/v1beta1/news", "not today"));
    assert!(stage.home.json(&fetch).is_err());
    let told = status()?;
    let news = found(&told["articles"], "MSFT")?;
    assert_eq!((&news["source"], &news["articles"]), (&"alpaca".into(), &report["appended"]), "{news}");
    assert!(news["last_success_ns"].is_i64() && news["last_error_ns"].is_i64(), "{news}");
    assert!(news["last_error"].as_str().is_some_and(|words| words.contains("not today")), "{news}");
    Ok(())
}

#[test]
fn what_is_missing_before_what_the_tape_holds_is_asked_for_alone() -> Outcome {
    let mut stage = Stage::new(Script::default())?;
    stage.home.set("MASSIVE_API_KEY", tapedeck_vendors::KEY);
    let (recent, old) = (stage.days_ago(40), stage.days_ago(80));
    let recent = ["backfill", "--source", "massive", "--symbols", "MSFT", "--from", &recent];
    let old = ["backfill", "--source", "massive", "--symbols", "MSFT", "--from", &old];
    let report = stage.home.json(&recent)?;
    assert!(count(&report, "appended")? > 20 * 7, "{report}");
    let report = stage.home.json(&old)?;
    assert!(count(&report, "appended")? > 20 * 7, "{report}");
    // Seven hours of a session, of two at most, and what there is of splits and dividends.
    assert!(count(&report, "duplicates")? < 30, "{report}");
    let report = stage.home.json(&old)?;
    assert_eq!((count(&report, "appended")?, count(&report, "revisions")?), (0, 0), "{report}");
    assert!(count(&report, "duplicates")? < 30, "{report}");
    let series = stage.home.json(&["ingest", "status", "--source", "massive"])?;
    assert_eq!(series["series"][0]["gaps"], serde_json::json!([]), "{series}");
    Ok(())
}

/// One source's days stand, another's are compared, groups stand for their symbols.
#[test]
fn days_of_another_source_are_compared_with_the_authoritys() -> Outcome {
    let more = "[universe]\npair = [\"MSFT\", \"SPY\"]\n\
                [[authority]]\nsource = \"alpaca\"\nsymbols = [\"@pair\"]\ntimeframes = [\"1d\"]\n";
    let mut stage = Stage::with(Script::default(), more)?;
    stage.home.set("APCA_API_KEY_ID", tapedeck_vendors::KEY);
    stage.home.set("APCA_API_SECRET_KEY", tapedeck_vendors::SECRET);
    let from = stage.days_ago(60);
    let backfill = |source: &str| {
        let days = ["--timeframe", "1d", "--from", &from];
        let arguments = [&["backfill", "--source", source, "--symbols", "@pair"], &days[..]].concat();
        stage.home.json(&arguments)
    };
    // The other one first: the authority has nothing, so that nothing stands.
    let early = backfill("yahoo")?;
    let days = count(&early, "withheld")?;
    assert!(days > 60, "{early}");
    let own = backfill("alpaca")?;
    assert!(count(&own, "appended")? >= days, "{own}");
    let other = backfill("yahoo")?;
    assert_eq!((count(&other, "compared")?, count(&other, "revisions")?), (days, 0), "{other}");
    assert!(other["differing"].is_null(), "both tell the same market: {other}");

    let told = stage.home.json(&["ingest", "status", "--symbols", "@pair"])?;
    let series = told["series"].as_array().context("a list")?;
    assert_eq!(series.len(), 2, "{told}");
    for series in series {
        assert_eq!(
            (&series["source"], &series["authority"]),
            (&"alpaca".into(), &"alpaca".into()),
            "{series}"
        );
    }
    let groups = stage.home.json(&["universe", "list"])?;
    assert_eq!(groups["pair"], serde_json::json!(["MSFT", "SPY"]));
    let checked = stage.home.json(&["universe", "check", "--symbols", "@pair"])?;
    assert!(checked[0]["symbol"] == "MSFT" && checked[0]["state"] == "bars", "{checked}");
    let output = stage.home.run(&["backfill", "--source", "yahoo", "--symbols", "@none"])?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("@none") && said.contains("@pair"), "{said}");
    Ok(())
}

/// Ids of the events of a kind on a tape, and what they tell in `field`.
fn told(home: &Home, tape: &str, kind: &str, field: &str) -> anyhow::Result<BTreeSet<(String, String)>> {
    let subject = format!("market.{kind}.>");
    let told = home
        .text(&["tail", "--tape", tape, "--subject", &subject, "--no-follow", "--json"])
        .context(subject.clone())?;
    let of = |line: &str| -> anyhow::Result<(String, String)> {
        let event = &serde_json::from_str::<Value>(line)?["event"];
        Ok((event["id"].to_string(), event[field].to_string()))
    };
    told.lines().map(of).collect()
}

/// More symbols than sessions: a day of all of them is one question, and so are their splits and their dividends.
#[test]
fn days_of_many_symbols_come_by_date_and_are_those_of_each() -> Outcome {
    let mut script = Script::of_symbols(9);
    let now_ns = runtime::now_ns();
    let ago = |days: u64| Calendar::xnys().date_of(now_ns) - Days::new(days);
    let session = Calendar::xnys().next_session_after(Calendar::xnys().start_of(ago(8)))?.date;
    script.splits = vec![Split { symbol: "S003".into(), ex_date: session, from: 1, to: 4 }];
    let paid = |symbol: &str, ex_date: NaiveDate| {
        let dividend = serde_json::json!({"symbol": symbol, "ex_date": ex_date, "amount": "0.25"});
        serde_json::from_value::<Dividend>(dividend)
    };
    // That of S009 nobody asked for; the last one lies before the span.
    script.dividends = vec![paid("S004", session)?, paid("S009", session)?, paid("S005", ago(60))?];
    let mut stage = Stage::new(script)?;
    stage.home.set("MASSIVE_API_KEY", tapedeck_vendors::KEY);
    let from = stage.days_ago(9);
    let backfill = |symbols: &str, tape: &str| {
        let of = ["--symbols", symbols, "--timeframe", "1d", "--from", &from, "--tape", tape];
        stage.home.json(&[&["backfill", "--source", "massive"], &of[..]].concat())
    };
    let asked = |path: &str| stage.vendors.stand.ledger.requests(Some(Vendor::Massive), path).len();
    let (by_date, by_symbol) = ("/v2/aggs/grouped", "/v2/aggs/ticker");
    let lists = || (asked("/v3/reference/splits"), asked("/v3/reference/dividends"));
    let symbols: Vec<String> = (0..9).map(|number| format!("S{number:03}")).collect();
    let first = backfill(&symbols.join(","), "dates")?;
    let sessions = asked(by_date);
    assert!((4..=8).contains(&sessions) && asked(by_symbol) == 0, "{sessions} sessions");
    // A split and a dividend among them.
    assert_eq!(count(&first, "appended")?, 9 * sessions as u64 + 2, "{first}");
    assert_eq!(lists(), (1, 1));
    for symbol in &symbols {
        backfill(symbol, "symbols")?;
    }
    assert_eq!((asked(by_date), asked(by_symbol)), (sessions, 9));
    assert_eq!(lists(), (10, 10));
    for (kind, field, many) in [("bar.1d", "bar", 9 * sessions), ("action", "corporateAction", 2)] {
        let of_dates = told(&stage.home, "dates", kind, field)?;
        assert_eq!(of_dates.len(), many, "{kind}");
        assert!(of_dates.iter().all(|(_, told)| told != "null"), "{of_dates:?}");
        assert_eq!(of_dates, told(&stage.home, "symbols", kind, field)?, "{kind}");
    }
    // Run again it asks for the last session alone.
    let second = backfill(&symbols.join(","), "dates")?;
    assert_eq!((count(&second, "appended")?, count(&second, "revisions")?), (0, 0), "{second}");
    assert_eq!((asked(by_date), asked(by_symbol)), (sessions + 1, 9));
    assert_eq!(lists(), (11, 11));
    Ok(())
}

#[test]
fn what_cannot_be_is_said() -> Outcome {
    let mut stage = Stage::new(Script::default())?;
    let from = stage.days_ago(30);
    let backfill = |source: &'static str, symbols: &'static str, more: &[&'static str]| {
        let mut arguments = vec!["backfill", "--source", source, "--symbols", symbols];
        arguments.extend(more);
        arguments
    };
    let recent = ["--from", &from];
    let with = |arguments: Vec<&'static str>| {
        let mut all: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
        all.extend(recent.iter().map(|text| (*text).to_owned()));
        all
    };
    let refused = |home: &Home, arguments: Vec<String>, code, words: &[&str]| {
        harness::refused(home, &arguments.iter().map(String::as_str).collect::<Vec<_>>(), code, words)
    };
    refused(
        &stage.home,
        with(backfill("massive", "SPY", &[])),
        4,
        &["MASSIVE_API_KEY", "source.massive.key_file"],
    )?;
    refused(&stage.home, with(backfill("alpaca", "SPY", &[])), 4, &["APCA_API_KEY_ID"])?;
    refused(
        &stage.home,
        with(backfill("yahoo", "SPY", &["--timeframe", "30m"])),
        2,
        &["yahoo gives 1m, 5m, 15m, 1h, 1d"],
    )?;
    refused(&stage.home, with(backfill("yahoo", "S/Y", &[])), 2, &["S/Y"])?;
    harness::refused(
        &stage.home,
        &backfill("yahoo", "SPY", &["--from", "2015-01-05"]),
        2,
        &["the last 729 days, which is from"],
    )?;
    // The others of the list are there all the same.
    refused(&stage.home, with(backfill("yahoo", "NOSUCH,SPY", &[])), 3, &["NOSUCH", "no such symbol"])?;
    stage.home.set("MASSIVE_API_KEY", "planted-wrong-key");
    refused(&stage.home, with(backfill("massive", "SPY", &[])), 4, &["Unknown API Key"])?;
    stage.home.set("MASSIVE_API_KEY", tapedeck_vendors::KEY);
    refused(&stage.home, with(backfill("massive", "NOSUCH", &["--tape", "other"])), 3, &["NOSUCH"])?;

    // A market that is played has its own present: what comes after it is no history there.
    let hours = stage.home.path().join("hours.csv").display().to_string();
    std::fs::write(&hours, crate::files::hours())?;
    stage.home.json(&["rehearse", "--tape", "played", "--bars", &hours])?;
    let ahead = with(backfill("yahoo", "SPY", &["--tape", "played"]));
    let stands = "expected a date up to 2020-01-08, where the market of tape played stands";
    refused(&stage.home, ahead, 2, &[stands])?;

    let checked = stage.home.json(&["config", "check"])?;
    assert_eq!(checked["credentials"]["source.massive.key_env"], "set");
    assert_eq!(checked["credentials"]["source.alpaca.key_env"], "unset");
    assert!(!checked.to_string().contains(tapedeck_vendors::KEY));
    Ok(())
}
