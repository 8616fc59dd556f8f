//! Secrets stay where they are: after a whole run with every vendor and a broker, wrong keys and broken answers
//! included, a key and a secret of the vendors stand in no file of the home, no output, no page and no answer.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use domain::calendar::Calendar;
use serde_json::json;
use tapedeck_vendors::Vendors;
use tapedeck_vendors::ledger::Vendor;
use tapedeck_vendors::market::Script;

use crate::harness::{Home, Outcome, eventually};
use crate::tapes::{link, url};

const HOUR_NS: i64 = 3_600_000_000_000;
/// Secrets that no vendor takes.
const WRONG: [&str; 2] = ["wrong-key-7f3a9c", "wrong-secret-51be02"];
const VARIABLES: [&str; 4] = ["APCA_API_KEY_ID", "APCA_API_SECRET_KEY", "MASSIVE_API_KEY", "NEWSAPI_KEY"];
const PAGES: [&str; 15] = [
    "settings",
    "system",
    "logs",
    "events",
    "orders",
    "positions",
    "api/v1/settings",
    "api/v1/status",
    "api/v1/health",
    "api/v1/sources",
    "api/v1/sources/history",
    "api/v1/logs?limit=1000",
    "api/v1/orders",
    "metrics",
    "api/v1/openapi.json",
];

/// Whatever was said, with where.
#[derive(Default)]
struct Said(Vec<(String, Vec<u8>)>);

impl Said {
    fn run(&mut self, home: &Home, arguments: &[&str]) -> Outcome {
        let output = home.run(arguments)?;
        self.0.push((arguments.join(" "), [output.stdout, output.stderr].concat()));
        Ok(())
    }

    fn hold(&self, secrets: &[&str]) -> Outcome {
        for (place, bytes) in &self.0 {
            for secret in secrets {
                let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                anyhow::ensure!(!found, "{place} holds {secret}");
            }
        }
        Ok(())
    }

    /// Every file under a directory.
    fn files(&mut self, directory: &Path) -> Outcome {
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            if path.is_dir() {
                self.files(&path)?;
            } else if let Ok(bytes) = std::fs::read(&path) {
                self.0.push((path.display().to_string(), bytes));
            }
        }
        Ok(())
    }
}

fn configure(home: &Home, vendors: &Vendors, offset_s: i64) -> Outcome {
    let http = |vendor| vendors.addresses().http(vendor).to_owned();
    home.configure(&format!(
        "[log]\nfilter = \"debug\"\ntape = \"debug\"\n\
         [live]\nsource = \"alpaca\"\nsymbols = [\"SPY\"]\nclock_offset_s = {offset_s}\n\
         [source.yahoo]\nbase_url = \"{yahoo}\"\ncookie_url = \"{yahoo}\"\nrequests_per_minute = 1000\n\
         [source.alpaca]\nbase_url = \"{data}\"\nassets_url = \"{trading}\"\nstream_url = \"{stream}\"\n\
         live_feed = \"sip\"\nrequests_per_minute = 1000\n\
         [source.massive]\nbase_url = \"{massive}\"\nrequests_per_minute = 1000\n\
         [source.newsapi]\nbase_url = \"{news}\"\nrequests_per_minute = 1000\n\
         [account.paper]\nbroker = \"alpaca\"\nmax_position = 1\n\
         [account.paper.alpaca]\nbase_url = \"{trading}\"\nrequests_per_minute = 10000\n",
        yahoo = http(Vendor::Yahoo),
        data = http(Vendor::AlpacaData),
        trading = http(Vendor::AlpacaTrading),
        massive = http(Vendor::Massive),
        news = http(Vendor::News),
        stream = vendors.addresses().ws(Vendor::AlpacaData),
    ))
}

/// Whatever asks a vendor or tells what is configured.
fn ask_everyone(said: &mut Said, home: &Home) -> Outcome {
    for command in
        [&["config", "check"][..], &["config", "check", "--json"], &["doctor"], &["doctor", "--json"]]
    {
        said.run(home, command)?;
    }
    for source in ["yahoo", "alpaca", "massive"] {
        said.run(
            home,
            &["backfill", "--source", source, "--symbols", "SPY", "--timeframe", "1d", "--tape", "main"],
        )?;
        said.run(
            home,
            &["reference", "fetch", "--source", source, "--symbols", "SPY,NOSUCH", "--tape", "main"],
        )?;
    }
    for source in ["alpaca", "newsapi"] {
        said.run(home, &["news", "fetch", "--source", source, "--symbols", "SPY", "--tape", "main"])?;
    }
    said.run(home, &["ingest", "status", "--json", "--tape", "main"])
}

/// The pages as the owner sees them, and a test of each connection.
async fn look(said: &mut Said, address: &str, link: &str, token: &str) -> Outcome {
    // It wants to know who would do TLS, which is never spoken here.
    let _chosen_before = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build()?;
    let signed = client.get(link).send().await?;
    let cookie = signed.headers().get("set-cookie").context("a cookie")?.to_str()?;
    let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
    for page in PAGES {
        let answer = client.get(format!("{address}{page}")).header("cookie", &cookie).send().await?;
        anyhow::ensure!(answer.status() == 200, "{page}: {}", answer.status());
        said.0.push((page.to_owned(), answer.bytes().await?.to_vec()));
    }
    for (number, name) in
        ["nats", "postgres", "yahoo", "alpaca", "massive", "newsapi", "broker.paper"].iter().enumerate()
    {
        let request = client.post(format!("{address}api/v1/connections/{name}/test"));
        let request = request.bearer_auth(token).header("idempotency-key", format!("secrets-{number:04}"));
        let answer = request.send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        anyhow::ensure!(status == 200 && text.contains("\"works\":true"), "{name}: {status} {text}");
        // Bars come after splits and dividends, and a key may see these alone.
        anyhow::ensure!(!text.contains(": 0 daily bars"), "{name}: bars were not asked for: {text}");
        said.0.push((format!("test of {name}"), text.into_bytes()));
    }
    Ok(())
}

#[test]
fn keys_of_vendors_and_brokers_are_nowhere_after_a_whole_run() -> Outcome {
    let runtime = tokio::runtime::Runtime::new()?;
    // Within a session, whatever day it is.
    let open_ns = Calendar::xnys().previous_session_before(runtime::now_ns() - 20 * HOUR_NS)?.open_ns;
    let offset_s = (open_ns + HOUR_NS - runtime::now_ns()) / 1_000_000_000;
    let script = Script { start_ns: runtime::now_ns() + offset_s * 1_000_000_000, ..Script::default() };
    let vendors = runtime.block_on(Vendors::start(script))?;
    vendors.stand.set_pace(1_000);
    let mut home = Home::new()?;
    configure(&home, &vendors, offset_s)?;
    let mut said = Said::default();

    // Keys that nobody takes.
    for (variable, value) in VARIABLES.iter().zip([WRONG[0], WRONG[1], WRONG[0], WRONG[0]]) {
        home.set(variable, value);
    }
    ask_everyone(&mut said, &home)?;
    said.run(&home, &["up", "--tape", "main"])?;

    let right =
        [tapedeck_vendors::KEY, tapedeck_vendors::SECRET, tapedeck_vendors::KEY, tapedeck_vendors::KEY];
    for (variable, value) in VARIABLES.iter().zip(right) {
        home.set(variable, value);
    }
    ask_everyone(&mut said, &home)?;
    let mut up = home.spawn("up", &["up", "--tape", "main"])?;
    eventually("everything is up", Duration::from_secs(60), || Ok(url(&home, "up")?.is_some()))
        .with_context(|| home.said("up"))?;
    let token = home.json(&["token", "create", "reader", "--role", "operator", "--tape", "main"])?;
    let token = token["secret"].as_str().context("a token")?.to_owned();
    eventually("minutes are streamed", Duration::from_secs(90), || {
        let told = home.json(&["ingest", "status", "--tape", "main"])?;
        Ok(told["live"][0]["state"] == "live")
    })?;
    // An answer that breaks off, and one that cannot be read.
    for fault in [json!({"fault": "answer", "status": 500}), json!({"fault": "answer", "status": 401})] {
        let mut rule = json!({"vendor": "alpaca_trading", "method": "GET", "path": "/v2/orders", "times": 2});
        if let (Some(rule), Some(fault)) = (rule.as_object_mut(), fault.as_object()) {
            rule.extend(fault.clone());
        }
        vendors.stand.faults.on_request(serde_json::from_value(rule)?);
    }
    said.run(&home, &["order", "place", "buy", "SPY", "--qty", "1", "--tape", "main"])?;
    let (address, link) = (url(&home, "up")?.unwrap_or_default(), link(&home, "up")?.context("a link")?);
    runtime.block_on(look(&mut said, &address, &link, &token))?;
    for subject in [">", "market.>", "log.>", "audit.>", "account.>"] {
        said.run(
            &home,
            &["tail", "--subject", subject, "--from-seq", "1", "--no-follow", "--json", "--tape", "main"],
        )?;
    }
    for command in [&["status", "--json"][..], &["live", "status"], &["logs", "--json"]] {
        said.run(&home, &[command, &["--tape", "main"]].concat())?;
    }
    assert_eq!(up.interrupt(Duration::from_secs(20))?, Some(0), "{}", home.said("up"));
    said.files(home.path())?;
    assert!(said.0.len() > 100, "{} places were looked at", said.0.len());
    let asked = vendors.stand.ledger.requests(Some(Vendor::AlpacaTrading), "/v2/account").len();
    assert!(asked > 0, "the broker was asked");
    said.hold(&[tapedeck_vendors::KEY, tapedeck_vendors::SECRET, WRONG[0], WRONG[1]])
}
