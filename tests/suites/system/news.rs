//! News as they happen: `tapedeck up` against the stand-in for the vendors, which tells articles by its stream and, where
//! the stream was cut, on request.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use tapedeck_vendors::Vendors;
use tapedeck_vendors::fault::{HttpFault, HttpRule, StreamFault, StreamRule, When};
use tapedeck_vendors::ledger::Vendor;
use tapedeck_vendors::market::{Article, Event, Script, What};

use crate::harness::{Home, Outcome, Running, eventually};
use crate::secrets::Site;
use crate::tapes::{link, url};

const HOUR: i64 = 3_600_000_000_000;
/// What health says while the source is not asked.
const OPEN: &str = "the breaker of alpaca is open until";

/// The stand-in at this moment, and a home that follows its news.
struct Stage {
    home: Home,
    vendors: Vendors,
    // Last: what runs on it ends before.
    runtime: tokio::runtime::Runtime,
}

impl Stage {
    fn new(more: &str) -> anyhow::Result<Self> {
        let executor = tokio::runtime::Runtime::new()?;
        let now_ns = runtime::now_ns();
        let articles = vec![article(1, now_ns - 30 * HOUR, "AAPL"), article(2, now_ns - 200 * HOUR, "AAPL")];
        let script = Script { start_ns: now_ns, articles: Some(articles), ..Script::default() };
        let vendors = executor.block_on(Vendors::start(script))?;
        vendors.stand.set_pace(1_000);
        let mut home = Home::new()?;
        let addresses = vendors.addresses();
        home.configure(&format!(
            "[news]\nsource = \"alpaca\"\nsymbols = [\"@watched\"]\n{more}\
             [universe]\nwatched = [\"AAPL\", \"MSFT\"]\n\
             [source.alpaca]\nbase_url = \"{}\"\nstream_url = \"{}\"\n",
            addresses.http(Vendor::AlpacaData),
            addresses.ws(Vendor::AlpacaData)
        ))?;
        home.set("APCA_API_KEY_ID", tapedeck_vendors::KEY);
        home.set("APCA_API_SECRET_KEY", tapedeck_vendors::SECRET);
        Ok(Self { home, vendors, runtime: executor })
    }

    /// Has an article come out.
    fn say(&self, id: i64, symbol: &str) {
        let article = article(id, self.vendors.stand.market(|market| market.now_ns()), symbol);
        let what = What::News { article };
        self.vendors.stand.say(Event { sequence: 0, at_ns: 0, symbol: symbol.to_owned(), what });
    }

    /// Headlines and origins of the articles on the tape, the newest first.
    fn listed(&self) -> anyhow::Result<Vec<(String, String)>> {
        let output = self.home.run(&["news", "list", "--tape", "main", "--json"])?;
        let rows: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let text = |row: &Value, field: &str| row[field].as_str().unwrap_or_default().to_owned();
        let rows = rows.as_array().cloned().unwrap_or_default();
        Ok(rows.iter().map(|row| (text(row, "headline"), text(row, "origin"))).collect())
    }

    /// The state of the service and what it suffers from.
    fn health(&self) -> anyhow::Result<(String, String)> {
        // It fails where something is wrong, and says so all the same.
        let output = self.home.run(&["status", "--tape", "main", "--json"])?;
        let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let services = told["services"].as_array().with_context(|| told.to_string())?;
        let news = services.iter().find(|service| service["service"] == "news").cloned().unwrap_or_default();
        let text = |field: &str| news[field].as_str().unwrap_or_default().to_owned();
        Ok((text("state"), text("detail")))
    }

    fn up(&self, name: &str) -> anyhow::Result<Running> {
        let mut up = self.home.spawn(name, &["up", "--no-progress"])?;
        eventually("everything is up", Duration::from_secs(90), || {
            anyhow::ensure!(up.alive()?, "{}", self.home.said(name));
            Ok(self.home.printed(name)?.contains("Tapedeck is at"))
        })?;
        Ok(up)
    }
}

fn article(id: i64, at_ns: i64, symbol: &str) -> Article {
    Article {
        id,
        created_ns: at_ns,
        updated_ns: at_ns,
        headline: format!("Report {id} about {symbol}"),
        summary: "Great and happy news.".to_owned(),
        url: format!("https://news.example/{id}"),
        symbols: vec![symbol.to_owned()],
        ..Article::default()
    }
}

fn told(id: i64, symbol: &str, origin: &str) -> (String, String) {
    (format!("Report {id} about {symbol}"), format!("ORIGIN_{origin}"))
}

#[test]
fn articles_come_onto_the_tape_as_they_come_out_and_those_that_a_cut_hid_after_it() -> Outcome {
    let stage = Stage::new("")?;
    let mut up = stage.up("up")?;
    eventually("it is well", Duration::from_secs(30), || Ok(stage.health()?.0 == "ready"))?;
    let status = stage.home.json(&["ingest", "status", "--tape", "main"])?;
    let news = &status["news"][0];
    assert_eq!((&news["source"], &news["state"]), (&json!("alpaca"), &json!("ready")), "{status}");
    assert_eq!(news["symbols"], json!(["AAPL", "MSFT"]), "{status}");
    assert_eq!(stage.listed()?, [told(1, "AAPL", "BACKFILL")], "of the last seven days");

    stage.say(3, "MSFT");
    eventually("the article is there", Duration::from_secs(5), || {
        Ok(stage.listed()?.first() == Some(&told(3, "MSFT", "LIVE")))
    })?;
    // The connection ends in the place of the article.
    let kind = Some("n".to_owned());
    let (vendor, path) = (Vendor::AlpacaData, "/v1beta1/news".to_owned());
    let rule = StreamRule { vendor, path, kind, after: 0, times: 1, fault: StreamFault::Cut };
    stage.vendors.stand.faults.on_stream(rule);
    stage.say(4, "AAPL");
    eventually("what was missed is asked for", Duration::from_secs(15), || {
        Ok(stage.listed()?.first() == Some(&told(4, "AAPL", "BACKFILL")))
    })?;
    stage.say(5, "AAPL");
    eventually("it is subscribed again", Duration::from_secs(5), || {
        Ok(stage.listed()?.first() == Some(&told(5, "AAPL", "LIVE")))
    })?;
    assert_eq!(stage.listed()?.len(), 4, "each once");
    stage.home.text(&["check", "--tape", "main"])?;
    assert_eq!(up.interrupt(Duration::from_secs(20))?, Some(0), "{}", stage.home.said("up"));
    Ok(())
}

#[test]
fn failures_in_a_row_open_a_breaker_which_status_health_and_pages_tell() -> Outcome {
    let stage = Stage::new("every_minutes = 1\nstream = false\n")?;
    stage.vendors.stand.faults.on_request(HttpRule {
        vendor: Vendor::AlpacaData,
        method: None,
        path: "/v1beta1/news".to_owned(),
        times: 1_000,
        when: When::Before,
        fault: HttpFault::Answer {
            status: 500,
            headers: BTreeMap::default(),
            body: json!({"message": "out of order"}),
        },
    });
    let mut up = stage.up("up")?;
    let (address, link) =
        (url(&stage.home, "up")?.context("an address")?, link(&stage.home, "up")?.context("a link")?);
    let site = stage.runtime.block_on(Site::signed_in(&address, &link))?;
    let page = |path: &str| -> anyhow::Result<String> {
        let (_, body) = stage.runtime.block_on(site.at(path))?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    };
    let is_open = |told: &Value| {
        let breaker = &told["breakers"][0];
        let words = breaker["last_failure"].as_str().unwrap_or_default();
        breaker["source"] == "alpaca"
            && breaker["client"] == "news"
            && breaker["state"] == "open"
            && breaker["until_ns"].is_i64()
            && words.contains("out of order")
    };
    // While it is open; each time it stays so for longer.
    eventually("an open breaker is told everywhere", Duration::from_secs(180), || {
        let output = stage.home.run(&["status", "--tape", "main", "--json"])?;
        let status: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let ingest = stage.home.json(&["ingest", "status", "--tape", "main"])?;
        let services = status["services"].as_array().cloned().unwrap_or_default();
        let news = services.iter().find(|service| service["service"] == "news").cloned().unwrap_or_default();
        let row = "id=\"breaker-news-alpaca-news-\" data-state=\"open\"";
        Ok(is_open(&status)
            && is_open(&ingest)
            && news["state"] == "degraded"
            && news["detail"].as_str().is_some_and(|detail| detail.contains(OPEN))
            && page("/api/v1/health")?.contains(OPEN)
            && page("/api/v1/sources/breakers")?.contains("\"open\"")
            && page("/system")?.contains(row)
            && page("/")?.contains(OPEN))
    })?;
    assert_eq!(up.interrupt(Duration::from_secs(20))?, Some(0), "{}", stage.home.said("up"));
    Ok(())
}

#[test]
fn a_key_that_is_wrong_or_missing_is_said() -> Outcome {
    let mut stage = Stage::new("every_minutes = 1\n")?;
    stage.home.set("APCA_API_KEY_ID", "planted-wrong-key");
    let mut up = stage.up("up")?;
    let refused = |words: &str| words.contains("refuses") && words.contains("auth failed");
    eventually("the refusal is told", Duration::from_secs(60), || {
        let (state, detail) = stage.health()?;
        Ok(state == "degraded" && refused(&detail))
    })?;
    let said = format!("{:?} {}", stage.health()?, stage.home.said("up"));
    assert!(!said.contains("planted") && !said.contains(tapedeck_vendors::SECRET), "{said}");
    assert_eq!(up.interrupt(Duration::from_secs(20))?, Some(0), "{}", stage.home.said("up"));

    stage.home.set("APCA_API_KEY_ID", "");
    for command in [["up", "--no-progress"], ["config", "check"]] {
        let output = stage.home.run(&command)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(4) && said.contains("APCA_API_KEY_ID"), "{said}");
    }
    stage.home.set("APCA_API_KEY_ID", tapedeck_vendors::KEY);
    let told = stage.home.json(&["config", "check"])?;
    assert_eq!(told["config"]["news"]["symbols"], json!(["AAPL", "MSFT"]), "a group is its symbols");
    Ok(())
}
