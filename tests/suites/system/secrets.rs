//! Secrets stay where they are: after whole runs with every vendor, their streams and a broker, with wrong keys, with
//! right ones by variable and by file, and broken answers among them, no key and no secret stands in any file of the
//! home, output, page, answer or panic. They are made up for the run, and the stand-in takes those alone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use contracts::v1::TradingMode;
use domain::book::Book;
use domain::calendar::Calendar;
use serde_json::{Value, json};
use tapedeck_vendors::ledger::Vendor;
use tapedeck_vendors::market::Script;
use tapedeck_vendors::{Keys, Vendors};
use vendors::http::{Credentials, HttpConfig};
use vendors::{RecentMinutes as _, StreamConfig, SystemClock, Wanted};

use crate::harness::{Home, Outcome, eventually};
use crate::tapes::{link, url};

const HOUR_NS: i64 = 3_600_000_000_000;
/// Secrets that no vendor takes.
const WRONG: [&str; 2] = ["wrong-key-7f3a9c", "wrong-secret-51be02"];
const VARIABLES: [&str; 4] = ["APCA_API_KEY_ID", "APCA_API_SECRET_KEY", "MASSIVE_API_KEY", "NEWSAPI_KEY"];
/// The site's routes, as the server states them.
const ROUTES: &str = include_str!("../../../web/src/server.rs");
/// Linked pages of one kind that are looked at, most.
const PAGES_MAX: usize = 5;

/// Text that nothing else holds.
fn random(name: &str) -> String {
    format!("{name}{:016X}", RandomState::new().build_hasher().finish())
}

/// What the vendors take in this run.
fn keys() -> Keys {
    Keys { key: random("PK"), secret: random("sk") }
}

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

/// Where keys are said to be: in variables, or in files under a directory.
struct Places<'a>(Option<&'a Path>);

impl Places<'_> {
    /// The lines of a table that name files.
    fn lines(&self, fields: &[(&str, &str)]) -> String {
        let Some(directory) = self.0 else { return String::new() };
        let line =
            |(field, file): &(&str, &str)| format!("{field} = \"{}\"\n", directory.join(file).display());
        fields.iter().map(line).collect()
    }
}

/// `live` is the source of minutes, `more` what else is followed.
fn configure(
    home: &Home,
    vendors: &Vendors,
    offset_s: i64,
    (live, more): (&str, &str),
    places: &Places<'_>,
) -> Outcome {
    let (http, ws) = (|vendor| vendors.addresses().http(vendor), |vendor| vendors.addresses().ws(vendor));
    let both = places.lines(&[("key_file", "key"), ("secret_file", "secret")]);
    let one = places.lines(&[("key_file", "key")]);
    home.configure(&format!(
        "[log]\nfilter = \"debug\"\ntape = \"debug\"\n\
         [live]\nsource = \"{live}\"\nsymbols = [\"SPY\"]\nclock_offset_s = {offset_s}\n{more}\
         [source.yahoo]\nbase_url = \"{yahoo}\"\ncookie_url = \"{yahoo}\"\nrequests_per_minute = 1000\n\
         [source.alpaca]\nbase_url = \"{data}\"\nassets_url = \"{trading}\"\nstream_url = \"{stream}\"\n\
         live_feed = \"sip\"\nrequests_per_minute = 1000\n{both}\
         [source.massive]\nbase_url = \"{massive}\"\nstream_url = \"{minutes}\"\nrequests_per_minute = 1000\n{one}\
         [source.newsapi]\nbase_url = \"{news}\"\nrequests_per_minute = 1000\n{one}\
         [account.paper]\nbroker = \"alpaca\"\nmax_position = 1\n\
         [account.paper.alpaca]\nbase_url = \"{trading}\"\nrequests_per_minute = 10000\n{both}",
        yahoo = http(Vendor::Yahoo),
        data = http(Vendor::AlpacaData),
        trading = http(Vendor::AlpacaTrading),
        massive = http(Vendor::Massive),
        news = http(Vendor::News),
        stream = ws(Vendor::AlpacaData),
        minutes = ws(Vendor::Massive),
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

/// Addresses that the server's table of routes answers to `GET`, without those that need a name.
fn routes() -> Vec<String> {
    let parts = ROUTES.split(".route(\"").skip(1);
    let of = |part: &str| {
        let (path, rest) = part.split_once('"')?;
        let handlers = rest.lines().next().unwrap_or_default();
        (handlers.contains("get(") && !path.contains('{')).then(|| path.to_owned())
    };
    parts.filter_map(of).collect()
}

/// Addresses on this site that a page links to.
fn links(page: &str) -> Vec<String> {
    let parts = page.split("href=\"").skip(1);
    let of = |part: &str| {
        let link = part.split(['"', '#']).next()?.replace("&amp;", "&");
        (link.starts_with('/') && !link.starts_with("//")).then_some(link)
    };
    parts.filter_map(of).collect()
}

/// The site as the owner sees it.
pub struct Site {
    client: reqwest::Client,
    address: String,
    cookie: String,
}

impl Site {
    pub async fn signed_in(address: &str, link: &str) -> anyhow::Result<Self> {
        // It wants to know who would do TLS, which is never spoken here.
        let _chosen_before = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        let client = client.timeout(Duration::from_secs(30)).build()?;
        let signed = client.get(link).send().await?;
        let cookie = signed.headers().get("set-cookie").context("a cookie")?.to_str()?;
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        Ok(Self { client, address: address.trim_end_matches('/').to_owned(), cookie })
    }

    /// What stands at a path; of what never ends, its first part.
    pub async fn at(&self, path: &str) -> anyhow::Result<(u16, Vec<u8>)> {
        let request = self.client.get(format!("{}{path}", self.address)).header("cookie", &self.cookie);
        let mut answer = request.send().await?;
        let status = answer.status().as_u16();
        let kind = answer.headers().get("content-type").and_then(|kind| kind.to_str().ok());
        if kind.is_some_and(|kind| kind.starts_with("text/event-stream")) {
            let first = tokio::time::timeout(Duration::from_secs(5), answer.chunk()).await;
            return Ok((status, first.ok().transpose()?.flatten().unwrap_or_default().to_vec()));
        }
        Ok((status, answer.bytes().await?.to_vec()))
    }

    /// Every page and every answer of the interface: those of the table of routes, those that the interface's own
    /// description lists, and what pages link to.
    async fn look(&self, said: &mut Said) -> Outcome {
        let (status, description) = self.at("/api/v1/openapi.json").await?;
        anyhow::ensure!(status == 200, "openapi.json: {status}");
        let description: Value = serde_json::from_slice(&description)?;
        let described = description["paths"].as_object().context("paths")?;
        let described = described.iter().filter(|(_, methods)| methods.get("get").is_some());
        let described = described.map(|(path, _)| path.replace("{symbol}", "SPY"));
        let described: Vec<String> = described.filter(|path| !path.contains('{')).collect();
        anyhow::ensure!(described.len() > 20, "{described:?}");
        let routes = routes();
        for page in
            ["/", "/chart", "/strategies", "/backtests", "/settings", "/system", "/events", "/metrics"]
        {
            anyhow::ensure!(routes.iter().any(|path| path == page), "{page} is not among {routes:?}");
        }
        // What an answer holds more of when it is asked for.
        let more = ["/chart/SPY", "/api/v1/logs?limit=1000", "/api/v1/bars?symbol=SPY"].map(str::to_owned);
        let mut waiting: VecDeque<String> = more.into_iter().chain(routes).chain(described).collect();
        let (mut seen, mut kinds) = (BTreeSet::new(), BTreeMap::new());
        while let Some(path) = waiting.pop_front() {
            // Of a page one address is enough: the others differ in filters.
            let alone = path.split('?').next().unwrap_or_default().to_owned();
            let stays = !alone.starts_with("/sign-") && !alone.starts_with("/assets/");
            if !stays || !seen.insert(alone.clone()) {
                continue;
            }
            // Of orders, events and runs a few: each links to others.
            let mut parts = alone.split('/').skip(1);
            let kind = (parts.next().unwrap_or_default().to_owned(), parts.count());
            let many: &mut usize = kinds.entry(kind.clone()).or_default();
            *many += 1;
            if kind.0 != "api" && *many > PAGES_MAX {
                continue;
            }
            let (status, body) = self.at(&path).await?;
            // 400: it wants more than a path; 426: it speaks another protocol; 503: something is not ready.
            anyhow::ensure!(matches!(status, 200..=400 | 404 | 422 | 426 | 503), "{path}: {status}");
            let text = String::from_utf8_lossy(&body);
            if text.contains("<html") {
                waiting.extend(links(&text));
            }
            said.0.push((path, body));
        }
        for page in ["/", "/chart/SPY", "/strategies", "/backtests", "/settings", "/logs", "/api/v1/settings"]
        {
            anyhow::ensure!(seen.contains(page), "{page} was not looked at: {seen:?}");
        }
        Ok(())
    }

    /// A test of each connection.
    async fn test_connections(&self, said: &mut Said, token: &str) -> Outcome {
        let names = ["nats", "postgres", "yahoo", "alpaca", "massive", "newsapi", "broker.paper"];
        for (number, name) in names.iter().enumerate() {
            let request = self.client.post(format!("{}/api/v1/connections/{name}/test", self.address));
            let request =
                request.bearer_auth(token).header("idempotency-key", format!("secrets-{number:04}"));
            let answer = request.send().await?;
            let (status, text) = (answer.status(), answer.text().await?);
            anyhow::ensure!(status == 200 && text.contains("\"works\":true"), "{name}: {status} {text}");
            // Bars come after splits and dividends, and a key may see these alone.
            anyhow::ensure!(!text.contains(": 0 daily bars"), "{name}: bars were not asked for: {text}");
            said.0.push((format!("test of {name}"), text.into_bytes()));
        }
        Ok(())
    }
}

/// Waits until a vendor's minutes are streamed.
fn live(home: &Home, vendor: &str) -> Outcome {
    eventually("minutes are streamed", Duration::from_secs(90), || {
        let told = home.json(&["ingest", "status", "--tape", "main"])?;
        let tells = |row: &Value| row["source"] == vendor && row["state"] == "live";
        Ok(told["live"].as_array().is_some_and(|rows| rows.iter().any(tells)))
    })
}

#[test]
fn keys_of_vendors_and_brokers_are_nowhere_after_a_whole_run() -> Outcome {
    let runtime = tokio::runtime::Runtime::new()?;
    // Within a session, whatever day it is.
    let open_ns = Calendar::xnys().previous_session_before(runtime::now_ns() - 20 * HOUR_NS)?.open_ns;
    let offset_s = (open_ns + HOUR_NS - runtime::now_ns()) / 1_000_000_000;
    let script = Script { start_ns: runtime::now_ns() + offset_s * 1_000_000_000, ..Script::default() };
    let vendors = runtime.block_on(Vendors::start(script))?;
    let keys = keys();
    vendors.stand.set_keys(keys.clone());
    vendors.stand.set_pace(1_000);
    let mut home = Home::new()?;
    configure(&home, &vendors, offset_s, ("alpaca", ""), &Places(None))?;
    let mut said = Said::default();

    // Keys that nobody takes.
    for (variable, value) in VARIABLES.iter().zip([WRONG[0], WRONG[1], WRONG[0], WRONG[0]]) {
        home.set(variable, value);
    }
    ask_everyone(&mut said, &home)?;
    said.run(&home, &["up", "--tape", "main"])?;

    for (variable, value) in VARIABLES.iter().zip([&keys.key, &keys.secret, &keys.key, &keys.key]) {
        home.set(variable, value);
    }
    ask_everyone(&mut said, &home)?;
    let mut up = home.spawn("up", &["up", "--tape", "main"])?;
    eventually("everything is up", Duration::from_secs(60), || Ok(url(&home, "up")?.is_some()))
        .with_context(|| home.said("up"))?;
    let token = home.json(&["token", "create", "reader", "--role", "operator", "--tape", "main"])?;
    let token = token["secret"].as_str().context("a token")?.to_owned();
    live(&home, "alpaca")?;
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
    runtime.block_on(async {
        let site = Site::signed_in(&address, &link).await?;
        site.look(&mut said).await?;
        site.test_connections(&mut said, &token).await
    })?;
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
    let asked = vendors.stand.ledger.requests(Some(Vendor::AlpacaTrading), "/v2/account").len();
    assert!(asked > 0, "the broker was asked");

    by_file(&mut home, &vendors, offset_s, &keys, &mut said)?;
    said.files(home.path())?;
    assert!(said.0.len() > 100, "{} places were looked at", said.0.len());
    said.hold(&[&keys.key, &keys.secret, WRONG[0], WRONG[1]])
}

/// Another run whose keys are in files, of Massive's minutes and of the news.
fn by_file(home: &mut Home, vendors: &Vendors, offset_s: i64, keys: &Keys, said: &mut Said) -> Outcome {
    let files = tempfile::tempdir()?;
    for (file, value) in [("key", &keys.key), ("secret", &keys.secret)] {
        let path = files.path().join(file);
        std::fs::write(&path, format!("{value}\n"))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    }
    for variable in VARIABLES {
        home.set(variable, "");
    }
    let news = "[news]\nsource = \"alpaca\"\nsymbols = [\"SPY\"]\n";
    configure(home, vendors, offset_s, ("massive", news), &Places(Some(files.path())))?;
    said.run(home, &["config", "check", "--json"])?;
    said.run(home, &["doctor"])?;
    let mut up = home.spawn("again", &["up", "--tape", "main"])?;
    eventually("everything is up again", Duration::from_secs(60), || Ok(url(home, "again")?.is_some()))
        .with_context(|| home.said("again"))?;
    let open = |vendor, path: &str| vendors.stand.ledger.open_connections(vendor, path) > 0;
    eventually("minutes and news are streamed", Duration::from_secs(90), || {
        Ok(open(Vendor::Massive, "/stocks") && open(Vendor::AlpacaData, "/v1beta1/news"))
    })
    .with_context(|| home.said("again"))?;
    live(home, "massive")?;
    said.run(home, &["ingest", "status", "--json", "--tape", "main"])?;
    assert_eq!(up.interrupt(Duration::from_secs(20))?, Some(0), "{}", home.said("again"));
    Ok(())
}

/// A task that holds everything with a credential in it and panics with all of it in its words, and with an error of a
/// vendor that repeats the key: neither the hook nor the error of the task tells one.
#[test]
fn a_panic_of_who_holds_credentials_does_not_tell_them() -> Outcome {
    let runtime = tokio::runtime::Runtime::new()?;
    let vendors = runtime.block_on(Vendors::start(Script::default()))?;
    let keys = keys();
    vendors.stand.set_keys(keys.clone());
    let repeats = json!({
        "vendor": "alpaca_data", "path": "/v2/stocks/bars", "times": 1, "fault": "answer", "status": 400,
        "body": {"message": format!("{} and {} are not entitled", keys.key, keys.secret)},
    });
    vendors.stand.faults.on_request(serde_json::from_value(repeats)?);
    let credentials =
        Credentials::Alpaca { key: keys.key.clone().into(), secret: keys.secret.clone().into() };
    let address = vendors.addresses().http(Vendor::AlpacaData);
    let http = HttpConfig::new(address, credentials.clone(), 1_000);
    let stream = StreamConfig {
        url: format!("{}/v2/sip", vendors.addresses().ws(Vendor::AlpacaData)),
        credentials: credentials.clone(),
        symbols: vec!["SPY".to_owned()],
        wanted: Wanted::default(),
        packed: true,
        silence: Duration::MAX,
    };
    let broker = alpaca::Config {
        base_url: vendors.addresses().http(Vendor::AlpacaTrading).to_owned(),
        credentials: credentials.clone(),
        requests_per_minute: 1_000,
        answer_timeout: Duration::from_secs(5),
        mode: TradingMode::Paper,
        shared: None,
    };
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (told, before) = (Arc::clone(&heard), std::panic::take_hook());
    std::panic::set_hook(Box::new(move |panic| {
        told.lock().unwrap_or_else(PoisonError::into_inner).push(panic.to_string());
    }));
    let ended = runtime.block_on(async {
        let now_ns = runtime::now_ns;
        let clock: Arc<SystemClock> = Arc::new(SystemClock::new(now_ns, 1));
        let history = vendors::Alpaca::new(http.clone(), "sip", clock.clone())?;
        let adapter = alpaca::Alpaca::new(broker, clock, &Book::default())?;
        let task = tokio::spawn(async move {
            let (symbols, to_ns) = (["SPY".to_owned()], now_ns() - 24 * HOUR_NS);
            let answer = history.minutes(&symbols, to_ns - 24 * HOUR_NS, to_ns, now_ns()).await;
            let error = answer.expect_err("it refuses");
            panic!("{error} {error:?} {credentials:?} {http:?} {stream:?} {history:?} {adapter:?}");
        });
        anyhow::Ok(task.await)
    });
    std::panic::set_hook(before);
    let ended: Result<(), tokio::task::JoinError> = ended?;
    let mut said = Said::default();
    let error = ended.err().context("a panic")?;
    said.0.push(("the task's error".to_owned(), format!("{error} {error:?}").into_bytes()));
    let heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(
        heard.iter().any(|words| words.contains("are not entitled") && words.contains("/v2/sip")),
        "{heard:?}"
    );
    said.0.extend(heard.iter().map(|words| ("the panic".to_owned(), words.clone().into_bytes())));
    said.hold(&[&keys.key, &keys.secret])
}
