//! Facts and news as processes, from the stand-in for the vendors; and a strategy that reads articles.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use tapedeck_vendors::Vendors;
use tapedeck_vendors::fault::{HttpFault, HttpRule, When};
use tapedeck_vendors::ledger::Vendor;
use tapedeck_vendors::market::{Article, Listing, Script};

use crate::external::{example, python};
use crate::harness::{Home, Outcome, Running, eventually};
use crate::tapes::url;

const HOUR: i64 = 3_600_000_000_000;

/// The stand-in at this moment, and a home that knows its addresses and keys.
pub struct Stage {
    /// Where tapes are.
    pub home: Home,
    vendors: Vendors,
    now_ns: i64,
    // Last: what runs on it ends before.
    _runtime: tokio::runtime::Runtime,
}

/// Articles about ACMEX and AAPL, good and bad ones, from four days ago to an hour ago.
fn articles(now_ns: i64) -> Vec<Article> {
    let told = |(id, hours, symbol, headline): (i64, i64, &str, &str)| Article {
        id,
        created_ns: (now_ns - hours * HOUR) / 1_000_000_000 * 1_000_000_000,
        updated_ns: (now_ns - hours * HOUR) / 1_000_000_000 * 1_000_000_000,
        headline: headline.to_owned(),
        summary: format!("More about {symbol}."),
        url: format!("https://news.example/{id}"),
        symbols: vec![symbol.to_owned()],
        ..Article::default()
    };
    [
        (1, 96, "AAPL", "AAPL has a great quarter and happy investors"),
        (2, 72, "AAPL", "AAPL sued for terrible fraud"),
        (3, 48, "ACMEX", "ACMEX wins the best prize"),
        (4, 1, "AAPL", "AAPL meets on Tuesday"),
    ]
    .map(told)
    .into_iter()
    .chain(PLAYED.map(|(id, at_ns)| Article {
        id,
        created_ns: at_ns,
        updated_ns: at_ns,
        headline: format!("Report {id} about TEST"),
        url: format!("https://news.example/{id}"),
        symbols: vec!["TEST".to_owned()],
        ..Article::default()
    }))
    .collect()
}

/// Articles about the symbol of [`crate::files::hours`]: within those sessions, and the day after the last one, noon UTC.
const PLAYED: [(i64, i64); 2] = [(5, 1_578_398_400_000_000_000), (6, 1_578_571_200_000_000_000)];

impl Stage {
    pub fn new() -> anyhow::Result<Self> {
        let executor = tokio::runtime::Runtime::new()?;
        let now_ns = runtime::now_ns();
        let mut script = Script { start_ns: now_ns, articles: Some(articles(now_ns)), ..Script::default() };
        // The demo's own symbol.
        script.listings.push(Listing::share("ACMEX", "Acme Explosives", 50.0));
        let vendors = executor.block_on(Vendors::start(script))?;
        let mut home = Home::new()?;
        let at = |vendor| vendors.addresses().http(vendor).to_owned();
        home.configure(&format!(
            "[source.yahoo]\nbase_url = \"{0}\"\ncookie_url = \"{0}\"\nrequests_per_minute = 1000\n\
             [source.alpaca]\nbase_url = \"{1}\"\nassets_url = \"{2}\"\n\
             [source.massive]\nbase_url = \"{3}\"\nrequests_per_minute = 1000\n\
             [source.newsapi]\nbase_url = \"{4}\"\nrequests_per_minute = 1000\n",
            at(Vendor::Yahoo),
            at(Vendor::AlpacaData),
            at(Vendor::AlpacaTrading),
            at(Vendor::Massive),
            at(Vendor::News)
        ))?;
        home.set("APCA_API_KEY_ID", tapedeck_vendors::KEY);
        home.set("APCA_API_SECRET_KEY", tapedeck_vendors::SECRET);
        home.set("MASSIVE_API_KEY", tapedeck_vendors::KEY);
        home.set("NEWSAPI_KEY", tapedeck_vendors::KEY);
        Ok(Self { home, vendors, now_ns, _runtime: executor })
    }

    /// Fetches what there is about the demo's symbol onto the demo.
    pub fn fill_demo(&self) -> Outcome {
        let on_demo = ["--symbols", "ACMEX", "--tape", "demo"];
        for source in ["yahoo", "massive"] {
            self.home.text(&[&["reference", "fetch", "--source", source], &on_demo[..]].concat())?;
        }
        self.home.text(&[&["news", "fetch", "--source", "alpaca"], &on_demo[..]].concat())?;
        Ok(())
    }

    fn arm(&self, vendor: Vendor, path: &str, fault: HttpFault) {
        let path = path.to_owned();
        let rule = HttpRule { vendor, method: None, path, times: 1, when: When::Before, fault };
        self.vendors.stand.faults.on_request(rule);
    }

    /// What a command says when it ends with `code`.
    fn fails(&self, arguments: &[&str], code: i32) -> anyhow::Result<String> {
        let output = self.home.run(arguments)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        Ok(said)
    }
}

fn count(report: &Value, field: &str) -> anyhow::Result<u64> {
    report[field].as_u64().with_context(|| format!("{field} in {report}"))
}

fn profile(facts: &Value) -> Value {
    let rows = facts.as_array().cloned().unwrap_or_default();
    rows.into_iter().find(|row| row["kind"] == "profile").unwrap_or_default()
}

#[test]
fn facts_come_once_change_as_events_and_are_shown_as_of_a_moment() -> Outcome {
    let stage = Stage::new()?;
    let home = &stage.home;
    let fetch = ["reference", "fetch", "--source", "yahoo", "--symbols", "aapl,BRK.B"];
    let first = home.json(&fetch)?;
    assert_eq!((count(&first, "appended")?, count(&first, "unchanged")?), (28, 0), "{first}");
    let second = home.json(&fetch)?;
    assert_eq!((count(&second, "appended")?, count(&second, "unchanged")?), (0, 28), "{second}");
    let before = profile(&home.json(&["reference", "show", "AAPL"])?);
    stage.vendors.stand.market(|market| {
        market.say_fact("AAPL", "assetProfile", json!({"fullTimeEmployees": 5}));
    });
    let third = home.json(&fetch)?;
    assert_eq!(
        (count(&third, "appended")?, &third["symbols"][0]["appended"]["profile"]),
        (1, &json!(1)),
        "{third}"
    );

    let now = profile(&home.json(&["reference", "show", "aapl"])?);
    assert_eq!((&now["fact"]["employees"], &now["times"]), (&json!("5"), &json!(2)), "{now}");
    let then_ns = before["event_time_ns"].as_i64().context("a time")?;
    let then =
        chrono::DateTime::from_timestamp_nanos(then_ns).to_rfc3339_opts(chrono::SecondsFormat::Nanos, true);
    let then = profile(&home.json(&["reference", "show", "AAPL", "--as-of", &then])?);
    assert_eq!(then, before, "the past stays");
    let text = home.text(&["reference", "show", "AAPL"])?;
    for word in ["Ms. Ada Example, CEO & Director", "trailing statement", "total_revenue", "mean_advice"] {
        assert!(text.contains(word), "{word} in {text}");
    }
    assert!(
        stage.fails(&["reference", "show", "AAPL", "--as-of", "2020-01-01"], 3)?.contains("as of 2020-01-01")
    );

    // What is listed, by two who may differ.
    for source in ["alpaca", "massive"] {
        home.json(&["reference", "fetch", "--source", source, "--symbols", "AAPL,GONE"])?;
    }
    let rows = home.json(&["reference", "show", "GONE"])?;
    let states: Vec<_> =
        rows.as_array().into_iter().flatten().map(|row| (&row["source"], &row["fact"]["state"])).collect();
    let gone = json!("LISTING_STATE_DELISTED");
    assert_eq!(states, [(&json!("alpaca"), &gone), (&json!("massive"), &gone)], "{rows}");

    // The tape shows them to everybody, and the read model is their fold.
    let printed =
        home.text(&["tail", "--subject", "reference.profile.>", "--from-seq", "1", "--no-follow"])?;
    assert_eq!(printed.lines().count(), 3, "{printed}");
    assert!(printed.contains("company profile AAPL"), "{printed}");
    home.text(&["projection", "rebuild", "reference", "--yes"])?;
    home.text(&["projection", "verify", "reference"])?;
    let drift = home.json(&["stream", "diff"])?;
    assert_eq!(drift, json!([]));
    Ok(())
}

#[test]
fn news_come_once_whoever_tells_them_with_sentiment_and_delay() -> Outcome {
    let stage = Stage::new()?;
    let home = &stage.home;
    let fetch = |source| home.json(&["news", "fetch", "--source", source, "--symbols", "AAPL"]);
    let first = fetch("newsapi")?;
    assert_eq!((count(&first, "appended")?, &first["delay"]), (2, &json!("24h")), "a day late: {first}");
    let second = fetch("alpaca")?;
    assert_eq!((count(&second, "appended")?, count(&second, "duplicates")?), (1, 2), "{second}");
    let third = fetch("alpaca")?;
    assert_eq!((count(&third, "appended")?, count(&third, "read")?), (0, 3), "{third}");

    let rows = home.json(&["news", "list", "--symbol", "aapl"])?;
    let told = |headline: &str| -> anyhow::Result<Value> {
        let mut rows = rows.as_array().into_iter().flatten();
        rows.find(|row| row["headline"] == headline)
            .cloned()
            .with_context(|| format!("{headline} in {rows:?}"))
    };
    let (good, bad) =
        (told("AAPL has a great quarter and happy investors")?, told("AAPL sued for terrible fraud")?);
    assert!(good["sentiment"]["compound"].as_f64() > Some(0.5), "{good}");
    assert!(bad["sentiment"]["compound"].as_f64() < Some(-0.5), "{bad}");
    assert_eq!((&bad["source"], &bad["delay"]), (&json!("newsapi"), &json!("24h")));
    let published = bad["published"].as_str().context("a time")?.parse::<chrono::DateTime<chrono::Utc>>()?;
    let known_ns = published.timestamp_nanos_opt().unwrap_or_default() + 24 * HOUR;
    assert_eq!(bad["event_time_ns"].as_i64(), Some(known_ns), "{bad}");
    let late = told("AAPL meets on Tuesday")?;
    assert_eq!((&late["source"], &late["delay"]), (&json!("alpaca"), &json!("none")));
    assert!(home.text(&["news", "list"])?.contains("AAPL sued for terrible fraud"));

    // A span, and nothing before it.
    let from = chrono::DateTime::from_timestamp_nanos(stage.now_ns - 50 * HOUR).to_rfc3339();
    let some = home.json(&["news", "fetch", "--source", "alpaca", "--symbols", "ACMEX", "--from", &from])?;
    assert_eq!(count(&some, "appended")?, 1, "{some}");
    Ok(())
}

#[test]
fn a_tape_that_plays_the_past_is_told_nothing_of_its_future() -> Outcome {
    let stage = Stage::new()?;
    let home = &stage.home;
    let hours = home.path().join("hours.csv").display().to_string();
    std::fs::write(&hours, crate::files::hours())?;
    home.json(&["rehearse", "--tape", "played", "--bars", &hours])?;
    let fetch = ["news", "fetch", "--source", "alpaca", "--symbols", "TEST", "--tape", "played"];
    for _ in 0..2 {
        let report = home.json(&fetch)?;
        assert_eq!(count(&report, "read")?, 1, "seven days up to the tape's present: {report}");
    }
    let all = home.json(&[&fetch[..], &["--from", "2019-06-01", "--to", "2020-06-01"]].concat())?;
    assert_eq!((count(&all, "read")?, count(&all, "appended")?), (1, 0), "{all}");
    let rows = home.json(&["news", "list", "--tape", "played"])?;
    assert_eq!(rows.as_array().map(Vec::len), Some(1), "{rows}");
    let ahead = [&fetch[..], &["--from", "2020-01-09"]].concat();
    assert!(stage.fails(&ahead, 2)?.contains("where the market of tape played stands"));
    // Where the wall clock counts both are history.
    let own = ["news", "fetch", "--source", "alpaca", "--symbols", "TEST", "--from", "2019-06-01"];
    assert_eq!(count(&home.json(&own)?, "appended")?, 2);
    Ok(())
}

#[test]
fn what_cannot_be_is_said_and_what_came_before_stays() -> Outcome {
    let mut stage = Stage::new()?;
    for (arguments, code, word) in [
        (vec!["reference", "fetch", "--source", "yahoo", "--symbols", "NOSUCH"], 3, "does not know NOSUCH"),
        (vec!["reference", "fetch", "--source", "yahoo", "--symbols", "A B"], 2, "expected 1 to 32 letters"),
        (vec!["reference", "show", "MSFT"], 3, "tapedeck reference fetch --source yahoo --symbols MSFT"),
        (vec!["news", "list", "--symbol", "MSFT"], 3, "tapedeck news fetch --source alpaca --symbols MSFT"),
        (
            vec!["news", "fetch", "--source", "alpaca", "--symbols", "AAPL", "--from", "soon"],
            2,
            "--from \"soon\"",
        ),
        (
            vec!["news", "fetch", "--source", "alpaca", "--symbols", "AAPL", "--headlines"],
            2,
            "--source newsapi",
        ),
        (
            vec!["news", "fetch", "--source", "newsapi", "--symbols", "A,B", "--words", "x"],
            2,
            "with one symbol",
        ),
        (
            vec!["news", "fetch", "--source", "newsapi", "--symbols", "AAPL", "--words", " "],
            2,
            "--words: expected some",
        ),
        (
            vec!["backfill", "--source", "yahoo", "--symbols", "AAPL", "--to", "1999-01-04"],
            2,
            "--to 1999-01-04 is before",
        ),
        (
            vec!["news", "fetch", "--source", "newsapi", "--symbols", "AAPL", "--from", "2020-01-02"],
            1,
            "too far in the past",
        ),
    ] {
        let said = stage.fails(&arguments, code)?;
        assert!(said.contains(word), "{arguments:?}: {word:?} in {said}");
    }
    // A crumb that no longer counts is asked for again, without a word.
    let crumb = json!({"finance": {"error": {"description": "Invalid Crumb"}}});
    stage.arm(
        Vendor::Yahoo,
        "/ws/fundamentals",
        HttpFault::Answer { status: 401, headers: [].into(), body: crumb },
    );
    let report = stage.home.json(&["reference", "fetch", "--source", "yahoo", "--symbols", "AAPL"])?;
    assert_eq!(count(&report, "appended")?, 14, "{report}");
    // A vendor that wants to be left alone for an hour ends the command; the symbol before stays.
    let slow = |path: &str| {
        let headers = [("Retry-After".to_owned(), "3600".to_owned())].into();
        stage.arm(Vendor::Yahoo, path, HttpFault::Answer { status: 429, headers, body: json!("slow down") });
    };
    slow("/v10/finance/quoteSummary/MSFT");
    let said = stage.fails(&["reference", "fetch", "--source", "yahoo", "--symbols", "BRK.B,MSFT"], 5)?;
    assert!(said.contains("again in 3600 s") && said.contains("goes on"), "{said}");
    assert!(
        stage.home.json(&["reference", "show", "BRK.B"])?.as_array().is_some_and(|rows| rows.len() == 14)
    );
    stage.home.set("NEWSAPI_KEY", "wrong-key-7f");
    let said = stage.fails(&["news", "fetch", "--source", "newsapi", "--symbols", "AAPL"], 4)?;
    assert!(said.contains("API key is invalid") && !said.contains("wrong-key-7f"), "{said}");
    Ok(())
}

#[test]
fn a_strategy_reads_the_articles_that_it_subscribed_to() -> Outcome {
    let stage = Stage::new()?;
    let home = &stage.home;
    let mut up = home.spawn("up", &["up"])?;
    eventually("a URL is printed", Duration::from_secs(40), || Ok(url(home, "up")?.is_some()))?;
    let file = home.path().join("watcher.json");
    let path = file.display().to_string();
    let only = stage.fails(&["strategy", "register", "watcher", "--subjects", "news.article.>"], 2)?;
    assert!(only.contains("begins with `market.`"), "{only}");
    let subjects = "market.bar.1h.ACMEX,news.article.ACMEX";
    home.text(&["strategy", "register", "watcher", "--subjects", subjects, "--credentials", &path])?;
    let mut command = Command::new(python()?);
    command.arg(example("python-news").join("news.py")).arg(&file).env("PYTHONDONTWRITEBYTECODE", "1");
    let output = |end: &str| std::fs::File::create(home.path().join(format!("watcher.{end}")));
    let child = command.stdin(Stdio::null()).stdout(output("out")?).stderr(output("log")?).spawn()?;
    let mut watcher = Running::of(child);

    let report =
        home.json(&["news", "fetch", "--source", "alpaca", "--symbols", "AAPL,ACMEX", "--tape", "demo"])?;
    assert_eq!(count(&report, "appended")?, 4, "{report}");
    eventually("the article is read", Duration::from_secs(20), || {
        assert!(watcher.alive()?, "{}", home.said("watcher"));
        Ok(!home.printed("watcher")?.is_empty())
    })?;
    let lines = home.printed("watcher")?;
    let told: Value = serde_json::from_str(lines.lines().next().unwrap_or_default())?;
    assert_eq!((lines.lines().count(), &told["symbol"]), (1, &json!("ACMEX")), "{lines}");
    assert!(told["compound"].as_f64() > Some(0.5) && told["mood"].as_f64() > Some(0.1), "{told}");
    // The dashboard has it as well.
    eventually("the read model has the article", Duration::from_secs(20), || {
        let rows = home.json(&["projection", "list", "--tape", "demo"])?;
        let mut rows = rows.as_array().cloned().unwrap_or_default().into_iter();
        Ok(rows.any(|row| row["name"] == "reference" && row["lag"] == 0 && row["position"] != 0))
    })?;
    watcher.kill()?;
    home.text(&["strategy", "remove", "watcher", "--reason", "done", "--tape", "demo"])?;
    assert_eq!(up.interrupt(Duration::from_secs(20))?, Some(0), "{}", home.said("up"));
    Ok(())
}
