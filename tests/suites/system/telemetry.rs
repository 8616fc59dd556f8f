//! Telemetry of the built program: one trace through five processes, metrics as Prometheus reads them, and
//! services as NATS finds them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::StreamExt as _;
use local_servers::testing::{TestDatabase, TestNats, TestPostgres};
use serde_json::Value;

use crate::collector::{Collector, Span};
use crate::harness::{BUSY, Home, Outcome, Running, actions_file, bar_files_of, eventually, rehearse};

const FROM: &str = "2011-07-01";
const TO: &str = "2011-07-29";
const SERVICES: [&str; 5] = ["ingest", "strategy", "risk", "execution", "projector"];
const DRAIN_MAX: Duration = Duration::from_secs(20);
/// The chain of an order, from its fill back.
const CHAIN: [&str; 6] = ["fill", "order_submitted", "risk_decision", "signal", "bar", ""];

/// A tape in which every service has a process of its own.
struct Spread {
    home: Home,
    _nats: TestNats,
    _database: TestDatabase,
    running: BTreeMap<&'static str, Running>,
}

impl Spread {
    async fn start(bars: &[String], actions: &str, more: &[(&str, &str)]) -> anyhow::Result<Self> {
        let nats = TestNats::start().await?;
        let database = TestPostgres::shared().await?.create_database(None).await?;
        let mut home = Home::new()?;
        home.configure(BUSY)?;
        home.set("NATS_URL", &nats.url());
        home.set("DATABASE_URL", database.url());
        for (name, value) in more {
            home.set(name, value);
        }
        let mut running = BTreeMap::new();
        for service in SERVICES {
            let process = if service == "ingest" {
                let only = ["--only", "ingest", "--tape", "spread", "--service-name", "ingest"];
                home.spawn(service, &rehearse(bars, actions, FROM, TO, &only))?
            } else {
                home.spawn(service, &["run", service, "--tape", "spread", "--service-name", service])?
            };
            running.insert(service, process);
            let manifest = home.path().join("tapes/spread/tape.json");
            eventually("the tape is made", Duration::from_secs(20), || Ok(manifest.exists()))?;
        }
        Ok(Self { home, _nats: nats, _database: database, running })
    }

    fn finish(&mut self) -> Outcome {
        // The source ends by itself; the others then have nothing left to do.
        for service in SERVICES {
            let Some(process) = self.running.get_mut(service) else { continue };
            let code = match service {
                "ingest" => process.wait(Duration::from_secs(120))?,
                _ => process.interrupt(DRAIN_MAX)?,
            };
            anyhow::ensure!(code == Some(0), "{service} ended with {code:?}: {}", self.home.said(service));
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_spans_bar_to_fill_across_processes() -> Outcome {
    let (bars, actions) = (bar_files_of(FROM, TO)?, actions_file()?);
    let collector = Collector::start().await?;
    let mut spread =
        Spread::start(&bars, &actions, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url())]).await?;
    tokio::task::block_in_place(|| spread.finish())?;

    let arrived = collector.arrived();
    let fill = arrived.spans.iter().find(|span| span.name == "fill");
    let fill = fill.ok_or_else(|| anyhow::anyhow!("no fill among {} spans", arrived.spans.len()))?;
    let trace: Vec<&Span> = arrived.spans.iter().filter(|span| span.trace == fill.trace).collect();
    let by_id: BTreeMap<&[u8], &Span> = trace.iter().map(|span| (span.id.as_slice(), *span)).collect();
    let mut at = Some(fill);
    for name in CHAIN {
        let Some(span) = at else {
            anyhow::ensure!(name.is_empty(), "the trace ends before its {name}: {trace:#?}");
            break;
        };
        anyhow::ensure!(span.name == name, "{} where {name} was expected: {trace:#?}", span.name);
        anyhow::ensure!(span.start_ns <= span.end_ns, "{span:?}");
        at = by_id.get(span.parent.as_slice()).copied();
    }
    assert!(trace.iter().any(|span| span.name == "order_accepted"), "{trace:#?}");
    let processes: BTreeSet<&str> = trace.iter().map(|span| span.process.as_str()).collect();
    assert!(
        BTreeSet::from(["ingest", "strategy", "risk", "execution"]).is_subset(&processes),
        "{processes:?}"
    );
    // The trace's id is the chain's, which pages and the command line show.
    let bar =
        trace.iter().find(|span| span.name == "bar").map(|span| &span.attributes["messaging.message.id"]);
    let hex: String = fill.trace.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(bar, Some(&hex));

    for (metric, process) in [
        ("tapedeck_events_appended_total", "ingest"),
        ("tapedeck_append_seconds", "execution"),
        ("tapedeck_risk_decisions_total", "risk"),
        ("tapedeck_projection_lag_events", "projector"),
        ("process_resident_memory_bytes", "strategy"),
    ] {
        assert!(arrived.metrics.get(metric).is_some_and(|by| by.contains(process)), "{metric} of {process}");
    }
    for metric in ["tapedeck_fills_total", "tapedeck_broker_seconds", "tapedeck_append_seconds"] {
        assert!(
            arrived.totals.get(metric).is_some_and(|total| *total > 0.0),
            "{metric}: {:?}",
            arrived.totals
        );
    }
    assert!(arrived.logs.iter().any(|(process, _)| process == "ingest"), "{:?}", arrived.logs);
    drop(arrived);

    // Tracing changed nothing.
    let chain = spread.home.json(&["chain-hash", "--tape", "spread"])?;
    let calm = Home::new()?;
    calm.configure(BUSY)?;
    let reference = calm.json(&rehearse(&bars, &actions, FROM, TO, &[]))?;
    assert_eq!(chain["chain_hash"], reference["chain_hash"]);
    Ok(())
}

#[test]
fn a_collector_that_is_gone_is_said_once_and_disturbs_nothing() -> Outcome {
    let (bars, actions) = (bar_files_of(FROM, TO)?, actions_file()?);
    let home = Home::new()?;
    home.configure("[telemetry]\notlp_endpoint = \"http://127.0.0.1:9\"\nmetrics_every_s = 1\n")?;
    let arguments = rehearse(&bars, &actions, FROM, TO, &["--json"]);
    let output = home.run(&arguments)?;
    let said = String::from_utf8(output.stderr)?;
    anyhow::ensure!(output.status.success(), "{said}");
    assert_eq!(said.matches("telemetry is not exported").count(), 1, "{said}");
    assert!(!said.contains('\u{1b}'), "colour codes where there is no terminal: {said:?}");
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let calm = Home::new()?.json(&rehearse(&bars, &actions, FROM, TO, &[]))?;
    assert_eq!(report["chain_hash"], calm["chain_hash"]);
    Ok(())
}

#[test]
fn a_wrong_endpoint_is_refused_by_its_field() -> Outcome {
    let home = Home::new()?;
    let output = home.run(&["up", "--otlp-endpoint", "collector:4318"])?;
    let said = String::from_utf8(output.stderr)?;
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("telemetry.otlp_endpoint = collector:4318: expected an address"), "{said}");
    Ok(())
}

/// An address nobody listens at.
fn free_address() -> anyhow::Result<String> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

/// Status and text of an address of plain HTTP.
pub async fn get(url: &str) -> anyhow::Result<(u16, String)> {
    // It wants to know who would do TLS, which is never spoken here.
    let _chosen_before = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let answer = reqwest::Client::builder().no_proxy().build()?.get(url).send().await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_without_a_dashboard_serves_metrics_and_health() -> Outcome {
    let (bars, actions) = (bar_files_of(FROM, TO)?, actions_file()?);
    let mut spread = Spread::start(&bars, &actions, &[]).await?;
    let address = free_address()?;
    tokio::task::block_in_place(|| spread.finish())?;
    let arguments = ["run", "risk", "execution", "--tape", "spread", "--metrics", &address];
    let mut running = spread.home.spawn("watched", &arguments)?;
    let url = |path: &str| format!("http://{address}/{path}");
    let mut ready = (0, String::new());
    for _ in 0..400 {
        ready = get(&url("readyz")).await.unwrap_or_default();
        if ready.0 == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::ensure!(ready.0 == 200, "{ready:?}: {}", spread.home.said("watched"));
    let answer: Value = serde_json::from_str(&ready.1)?;
    assert_eq!(answer["services"]["risk"]["state"], "ready");
    assert_eq!(get(&url("healthz")).await?, (200, "ok\n".to_owned()));
    let (_, text) = get(&url("metrics")).await?;
    for series in ["tapedeck_events_read_total{stream=\"TRADING\"}", "process_resident_memory_bytes"] {
        assert!(text.lines().any(|line| line.starts_with(series)), "{series} in {text}");
    }
    tokio::task::block_in_place(|| running.interrupt(DRAIN_MAX))?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_service_is_found_through_nats_and_the_dashboard_counts() -> Outcome {
    let nats = TestNats::start().await?;
    let database = TestPostgres::shared().await?.create_database(None).await?;
    let mut home = Home::new()?;
    home.set("NATS_URL", &nats.url());
    home.set("DATABASE_URL", database.url());
    let collector = Collector::start().await?;
    home.set("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url());
    let address = free_address()?;
    let mut up = home.spawn("up", &["up", "--tape", "demo", "--bind", &address])?;
    for _ in 0..800 {
        if get(&format!("http://{address}/readyz")).await.is_ok_and(|(status, _)| status == 200) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    let client = client(&nats).await?;
    let all = BTreeSet::from(
        ["backtest", "checker", "execution", "ingest", "projector", "risk", "strategy", "web"]
            .map(str::to_owned),
    );
    let names = |answers: &[Value]| -> BTreeSet<String> {
        answers.iter().filter_map(|answer| answer["name"].as_str().map(str::to_owned)).collect()
    };
    let pings = ask(&client, "$SRV.PING", all.len()).await?;
    assert_eq!(names(&pings), all, "{}", home.said("up"));
    let infos = ask(&client, "$SRV.INFO", all.len()).await?;
    for info in &infos {
        assert_eq!(info["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(info["metadata"]["tape"], "demo");
        assert_eq!(info["endpoints"][0]["subject"], format!("tapedeck.{}.health", text(&info["name"])));
    }
    for name in &all {
        let answer = client.request(format!("tapedeck.{name}.health"), "".into()).await?;
        let health: Value = serde_json::from_slice(&answer.payload)?;
        assert_eq!((text(&health["service"]), text(&health["state"])), (name.clone(), "ready".to_owned()));
    }
    let stats = ask(&client, "$SRV.STATS.risk", 1).await?;
    assert_eq!(stats[0]["endpoints"][0]["num_requests"], 1, "{stats:?}");
    assert!(stats[0]["endpoints"][0]["data"]["process"]["events_read"].as_u64() > Some(0), "{stats:?}");

    // The same process serves its metrics with the dashboard.
    get(&format!("http://{address}/sign-in")).await?;
    let wanted = [
        "tapedeck_projection_lag_events{projection=\"trading\"}",
        "tapedeck_projection_lag_seconds{projection=\"bars\"}",
        "tapedeck_http_request_seconds_count{method=\"GET\",route=\"/sign-in\",status=\"200\"}",
        "tapedeck_service_ready{service=\"risk\"} 1",
        "tapedeck_clock_instants_total",
        "tapedeck_parked_open 0",
    ];
    let mut missing = wanted.to_vec();
    for _ in 0..200 {
        let (status, metrics) = get(&format!("http://{address}/metrics")).await?;
        assert_eq!(status, 200);
        missing.retain(|series| !metrics.lines().any(|line| line.starts_with(series)));
        if missing.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(tokio::task::block_in_place(|| up.interrupt(DRAIN_MAX))?, Some(0), "{}", home.said("up"));
    // Requests are spans of their own, under the program's usual name.
    let arrived = collector.arrived();
    let page = arrived.spans.iter().find(|span| span.name == "GET /sign-in");
    let page = page.ok_or_else(|| anyhow::anyhow!("no span of a request among {}", arrived.spans.len()))?;
    assert_eq!(page.process, "tapedeck");
    assert_eq!(page.attributes.get("http.route").map(String::as_str), Some("/sign-in"), "{page:?}");
    Ok(())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A client that knows nothing of this system.
pub async fn client(nats: &TestNats) -> anyhow::Result<async_nats::Client> {
    let address: async_nats::ServerAddr = nats.url().parse()?;
    let (user, password) = (address.username().unwrap_or_default(), address.password().unwrap_or_default());
    let options = async_nats::ConnectOptions::with_user_and_password(user.to_owned(), password.to_owned());
    Ok(options.connect(address).await?)
}

/// Asks, and collects `count` answers.
async fn ask(client: &async_nats::Client, subject: &str, count: usize) -> anyhow::Result<Vec<Value>> {
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await?;
    client.publish_with_reply(subject.to_owned(), inbox, "".into()).await?;
    client.flush().await?;
    let mut found = Vec::new();
    while found.len() < count {
        let next = tokio::time::timeout(Duration::from_secs(10), answers.next()).await;
        let next = next.map_err(|_| anyhow::anyhow!("{subject}: only {found:?}"))?;
        let Some(message) = next else { break };
        found.push(serde_json::from_slice(&message.payload)?);
    }
    Ok(found)
}
