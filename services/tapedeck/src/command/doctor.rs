//! `tapedeck doctor`: what is wrong, each with the command that mends it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use alpaca::Alpaca;
use broker::BrokerAccount;
use domain::calendar::Calendar;
use domain::money::Amount;
use event_log::JetStreamLog;
use local_servers::{find_nats_server, find_postgres};
use projections::queries;
use serde::Serialize;
use sqlx::PgPool;

use crate::addresses::Addresses;
use crate::cli::{Global, ServerUrls};
use crate::config::{AccountConfig, Config, Credential};
use crate::exit::Failure;
use crate::held;
use crate::home::{Home, TapeDir};
use crate::output::Output;
use crate::servers::{search, taken, uses_external};
use crate::session::Session;
use crate::trading;

/// Free space below which a tape may stop, in bytes, and that below which it soon may.
const DISK_BAD: u64 = 512 * 1024 * 1024;
const DISK_LOW: u64 = 4 * 1024 * 1024 * 1024;
/// Difference between this machine's clock and the database's above which times cannot be compared.
const CLOCK_DIFFERENCE_MAX_MS: i64 = 1_000;

/// Days from today on whose sessions are compared with a broker's.
const CALENDAR_DAYS: u64 = 60;
/// The part of an account's cash, one over this, by which broker and tape may differ.
const CASH_DIFFERENCE_MAX: i128 = 100;

/// Longest wait for the collector of telemetry.
const COLLECTOR_MAX: Duration = Duration::from_secs(2);

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Good,
    /// Something to look at.
    Warning,
    /// Something to mend.
    Bad,
}

/// One thing looked at.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// How it is.
    pub state: State,
    /// In words.
    pub detail: String,
    /// The command that mends it; empty when there is nothing to mend.
    pub mend: String,
}

fn good(check: &'static str, detail: impl Into<String>) -> Finding {
    Finding { check, state: State::Good, detail: detail.into(), mend: String::new() }
}

fn found(check: &'static str, state: State, detail: impl Into<String>, mend: &str) -> Finding {
    Finding { check, state, detail: detail.into(), mend: mend.to_owned() }
}

/// Whether the collector that is configured can be reached; nothing where there is none.
async fn collector(endpoint: &str) -> Option<Finding> {
    let authority = endpoint.strip_prefix("http://")?.split('/').next()?;
    let address = if authority.contains(':') { authority.to_owned() } else { format!("{authority}:80") };
    let connecting = tokio::time::timeout(COLLECTOR_MAX, tokio::net::TcpStream::connect(&address)).await;
    let problem = match connecting {
        Ok(Ok(_)) => return Some(good("collector", format!("{endpoint} listens"))),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {COLLECTOR_MAX:?}"),
    };
    let detail = format!("telemetry.otlp_endpoint = {endpoint}: {problem}; telemetry is dropped meanwhile");
    Some(found("collector", State::Warning, detail, "start the collector, or set otlp_endpoint = \"\""))
}

/// Whether the accounts at brokers outside can be reached and take orders, and the cash of those that can.
async fn brokers(config: &Config) -> (Vec<Finding>, BTreeMap<String, Amount>) {
    let (mut findings, mut cash) = (Vec::new(), BTreeMap::new());
    for (name, account) in config.account.iter().filter(|(_, account)| account.is_at_alpaca()) {
        let missing: Vec<String> =
            account.broker_credentials(name).iter().filter_map(Credential::missing).collect();
        if !missing.is_empty() {
            let detail = format!("account {name}: {}", missing.join(", "));
            findings.push(found("broker", State::Bad, detail, "tapedeck config check"));
            continue;
        }
        match at_broker(name, account).await {
            Ok((client, BrokerAccount { number, equity, cash: there, .. })) => {
                findings.push(calendar(&client).await);
                cash.insert(name.clone(), there);
                let mode = account.wanted_mode().name();
                let detail =
                    format!("account {name}: Alpaca {number}, {mode}, equity {equity}, cash {there}");
                findings.push(good("broker", detail));
            }
            Err(problem) => {
                let detail = format!("account {name}: {problem}");
                findings.push(found("broker", State::Bad, detail, "tapedeck config check"));
            }
        }
    }
    (findings, cash)
}

/// A client of the account's broker and what the broker says of the account, where it takes orders.
async fn at_broker(name: &str, account: &AccountConfig) -> Result<(Alpaca, BrokerAccount), String> {
    let config = trading::alpaca_config(name, account, account.wanted_mode());
    let client = trading::adapter(&config.map_err(|failure| failure.message)?);
    let mut client = client.map_err(|error| error.to_string())?;
    let there = trading::account_of(name, &mut client).await.map_err(|error| error.to_string())?;
    match there.blocked {
        Some(why) => Err(why),
        None => Ok((client, there)),
    }
}

/// Whether Alpaca's sessions of the days to come are the ones that everything here counts with.
async fn calendar(client: &Alpaca) -> Finding {
    let from = Calendar::xnys().date_of(runtime::now_ns());
    match client.calendar_differences(from, CALENDAR_DAYS).await {
        Ok(none) if none.is_empty() => {
            good("calendar", format!("Alpaca's sessions of the next {CALENDAR_DAYS} days are ours"))
        }
        Ok(found_days) => {
            found("calendar", State::Bad, found_days.join("; "), "stop strategies on these days")
        }
        Err(error) => found("calendar", State::Warning, error.to_string(), "tapedeck doctor, later"),
    }
}

/// Whether the tape counts with the cash that the broker has. Fees, dividends and deposits there are not on the tape.
fn cash(name: &str, there: Amount, here: Amount) -> Option<Finding> {
    let difference = Amount((there.0 - here.0).abs());
    if difference.0.saturating_mul(CASH_DIFFERENCE_MAX) <= there.0.abs() {
        return None;
    }
    let detail =
        format!("account {name}: Alpaca has {there}, the tape counts with {here}: {difference} apart");
    let mend = "account.NAME.cash = what Alpaca has, before the first `up` of a tape; sizes and limits follow the tape's";
    Some(found("cash", State::Warning, detail, mend))
}

/// Looks at tools, configuration, disk, ports and, where there is one, the tape.
pub async fn run(global: &Global, output: Output) -> Result<(), Failure> {
    Box::pin(look(global, output)).await.map_err(|failure| mendable(failure, &global.servers))
}

/// The failure with what mends it where its hint is this command, which everything else hints at for a server that does
/// not answer.
fn mendable(failure: Failure, servers: &ServerUrls) -> Failure {
    let mend = if uses_external(servers) {
        "start the servers that NATS_URL and DATABASE_URL name, or unset both"
    } else {
        "tapedeck up"
    };
    failure.hinting("tapedeck doctor", mend)
}

async fn look(global: &Global, output: Output) -> Result<(), Failure> {
    let home = Home::locate(global.home.as_deref())?;
    let mut findings = around(global);
    if let Ok(configuration) = global.configuration() {
        findings.extend(ports(&configuration.config, asked(global, &home).as_ref()));
        let (outside, there) = brokers(&configuration.config).await;
        findings.extend(outside);
        findings.extend(collector(&configuration.config.telemetry.otlp_endpoint).await);
        // What is counted with: the tape's cash where there is one, else what it would begin with.
        let mut counted: BTreeMap<String, Amount> = BTreeMap::new();
        // Servers that cannot be asked are told of when the tape is opened.
        let is_held = uses_external(&global.servers) && !matches!(held::tape(global, &home).await, Ok(None));
        if home.last().is_some() || global.tape.is_some() || is_held {
            match Session::open(global).await {
                Ok(session) => {
                    let pool = session.reader().await?;
                    let outcome = on_tape(&session.dir, &session.jetstream, &pool).await;
                    let problems = super::status::problems(&session).await;
                    let on_tape = queries::accounts(&pool).await;
                    session.close().await;
                    findings.extend(outcome?);
                    let accounts = on_tape.map_err(|error| Failure::unreachable(error.to_string()))?;
                    counted.extend(accounts.into_iter().map(|row| (row.account, row.cash)));
                    findings.extend(running(&problems?));
                }
                Err(failure) => {
                    let Failure { message, hint, .. } = mendable(failure, &global.servers);
                    findings.push(found("tape", State::Bad, message, &hint));
                }
            }
        } else {
            findings.push(found("tape", State::Warning, "there is none yet", "tapedeck up"));
            let accounts = configuration.config.account.iter();
            counted.extend(accounts.map(|(name, account)| (name.clone(), Amount(account.cash.0.into()))));
        }
        let told = there.iter().filter_map(|(name, there)| cash(name, *there, *counted.get(name)?));
        findings.extend(told);
    }
    print(&findings, output)?;
    match findings.iter().map(|finding| finding.state).max() {
        Some(State::Bad) => Err(Failure::other("something is wrong")),
        _ => Ok(()),
    }
}

/// What the services say of themselves.
fn running(problems: &[String]) -> Vec<Finding> {
    if problems.is_empty() {
        return vec![good("services", "nothing waits")];
    }
    let bad = |problem: &String| found("services", State::Bad, problem.as_str(), "tapedeck status");
    problems.iter().map(bad).collect()
}

/// Tools, configuration and disk: what can be looked at without a tape.
pub fn around(global: &Global) -> Vec<Finding> {
    let mut findings = vec![nats(global), postgres(global)];
    findings.push(match global.configuration() {
        Ok(_) => good("configuration", "valid"),
        Err(failure) => found("configuration", State::Bad, failure.message, "tapedeck config check"),
    });
    match Home::locate(global.home.as_deref()) {
        Ok(home) => findings.push(disk(&home)),
        Err(failure) => findings.push(found("disk", State::Bad, failure.message, "")),
    }
    findings
}

/// Something that is wrong and that no command mends.
pub fn bad(check: &'static str, detail: impl Into<String>) -> Finding {
    found(check, State::Bad, detail, "")
}

fn print(findings: &[Finding], output: Output) -> Result<(), Failure> {
    if output.json {
        return output.document(&findings);
    }
    for finding in findings {
        let mark = match finding.state {
            State::Good => output.paint("32", "✓"),
            State::Warning => output.paint("33", "!"),
            State::Bad => output.paint("31", "✗"),
        };
        output.line(&format!("{mark} {}: {}", finding.check, finding.detail));
        if !finding.mend.is_empty() {
            output.line(&format!("    {}", finding.mend));
        }
    }
    Ok(())
}

fn nats(global: &Global) -> Finding {
    if global.servers.nats_url.is_some() {
        return good("nats-server", "NATS_URL is set");
    }
    match find_nats_server(&search(&global.servers)) {
        Ok(path) => good("nats-server", path.display().to_string()),
        Err(error) => found("nats-server", State::Bad, error.to_string(), "make setup"),
    }
}

fn postgres(global: &Global) -> Finding {
    if global.servers.database_url.is_some() {
        return good("postgresql", "DATABASE_URL is set");
    }
    match find_postgres(&search(&global.servers), None) {
        Ok(programs) => good("postgresql", programs.bin_dir.display().to_string()),
        Err(error) => found("postgresql", State::Bad, error.to_string(), "make setup"),
    }
}

fn disk(home: &Home) -> Finding {
    let root = home.root();
    match nix::sys::statvfs::statvfs(root) {
        Ok(stat) => {
            let free = stat.blocks_available().saturating_mul(stat.fragment_size());
            let detail = format!("{:.1} GB free at {}", free as f64 / 1e9, root.display());
            let state = match free {
                free if free < DISK_BAD => State::Bad,
                free if free < DISK_LOW => State::Warning,
                _ => return good("disk", detail),
            };
            found("disk", state, detail, "delete tapes that are no longer needed, or move TAPEDECK_HOME")
        }
        Err(error) => found("disk", State::Warning, format!("{}: {error}", root.display()), ""),
    }
}

/// The tape that is looked at: the one that is named, else the one used last.
fn asked(global: &Global, home: &Home) -> Option<TapeDir> {
    match &global.tape {
        // A name that is none is refused where the tape is opened.
        Some(name) => home.tape(name).ok(),
        None => home.last(),
    }
}

/// Whether the ports that the configuration states are free for `tape`.
fn ports(config: &Config, tape: Option<&TapeDir>) -> Vec<Finding> {
    let running = tape.is_some_and(|dir| Addresses::read(dir).is_some());
    let of_address = |address: &str| address.parse::<SocketAddr>().map_or(0, |address| address.port());
    let wanted = [
        ("servers.nats_port", config.servers.nats_port, State::Bad),
        ("servers.postgres_port", config.servers.postgres_port, State::Bad),
        // A program that uses servers of one's own may hold these without a word here.
        ("web.bind", of_address(&config.web.bind), State::Warning),
        ("telemetry.metrics_bind", of_address(&config.telemetry.metrics_bind), State::Warning),
    ];
    let mut findings = Vec::new();
    for (field, port, state) in wanted {
        // A tape that runs holds its own ports.
        if port == 0 || running {
            continue;
        }
        findings.push(match taken(port) {
            None => good("port", format!("port {port} of {field} is free")),
            Some(error) => {
                let detail = format!("port {port} of {field}: {error}");
                found("port", state, detail, "set it to 0 for a free one")
            }
        });
    }
    findings
}

/// Streams, clocks and data of a tape that is open.
pub async fn on_tape(
    dir: &TapeDir,
    jetstream: &JetStreamLog,
    pool: &PgPool,
) -> Result<Vec<Finding>, Failure> {
    let mut findings = vec![good("tape", format!("{} at {}", dir.name, dir.path.display()))];
    let drifts = event_log::definitions::diff(jetstream).await?;
    findings.push(match drifts.first() {
        None => good("streams", "as defined"),
        Some(drift) => found("streams", State::Warning, drift.to_string(), "tapedeck stream diff"),
    });
    findings.push(clock(pool).await);
    let market = dir.manifest()?.map(|manifest| manifest.market()).transpose()?.unwrap_or_default();
    findings.extend(data(pool, market.calendar()).await?);
    Ok(findings)
}

async fn clock(pool: &PgPool) -> Finding {
    match queries::clock_ms(pool).await {
        Ok(database_ms) => {
            // The machine's own clock, however the market's is moved against it.
            let now_ns = runtime::now_ns().saturating_sub(runtime::clock::offset_ns());
            let difference = (database_ms - now_ns / 1_000_000).abs();
            let detail = format!("{difference} ms from the database's");
            if difference > CLOCK_DIFFERENCE_MAX_MS {
                return found("clock", State::Warning, detail, "timedatectl set-ntp true");
            }
            good("clock", detail)
        }
        Err(error) => found("clock", State::Bad, error.to_string(), "tapedeck status"),
    }
}

async fn data(pool: &PgPool, calendar: &Calendar) -> Result<Vec<Finding>, Failure> {
    let failed = |error: queries::QueryError| Failure::unreachable(error.to_string());
    let parked = queries::counts(pool).await.map_err(failed)?.parked;
    let mut findings = vec![if parked == 0 {
        good("parked messages", "none")
    } else {
        found("parked messages", State::Warning, format!("{parked} to look at"), "tapedeck parked list")
    }];
    for series in queries::series(pool).await.map_err(failed)? {
        let dates = queries::bar_dates(pool, &series.symbol, &series.timeframe, calendar).await;
        findings.push(gaps(&series, &dates.map_err(failed)?, calendar));
    }
    Ok(findings)
}

/// Sessions of the calendar between the first and the last bar that have none.
fn gaps(series: &queries::Series, dates: &[String], calendar: &Calendar) -> Finding {
    let name = format!("{} {}", series.symbol, series.timeframe);
    // A bar that closes at midnight is of the day that ends there.
    let date_of = |close_ns: i64| calendar.date_of(close_ns.saturating_sub(1));
    let (first, last) = (date_of(series.first_close_ns), date_of(series.last_close_ns));
    let sessions = match calendar.sessions(first, last) {
        Ok(sessions) => sessions,
        Err(error) => return found("data", State::Warning, format!("{name}: {error}"), ""),
    };
    let missing: Vec<String> = sessions
        .iter()
        .map(|session| session.date.to_string())
        .filter(|date| dates.binary_search(date).is_err())
        .collect();
    match missing.first() {
        None => good("data", format!("{name}: {} bars, no session missing", series.bars)),
        Some(first) => found(
            "data",
            State::Warning,
            format!("{name}: {} sessions without a bar, the first {first}", missing.len()),
            "tapedeck import FILE",
        ),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::addresses::SecretUrl;
    use crate::cli::Cli;

    #[test]
    fn every_port_that_is_stated_is_looked_at() {
        let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = taken.local_addr().unwrap();
        for field in ["[web]\nbind", "[telemetry]\nmetrics_bind"] {
            let config: Config = toml::from_str(&format!("{field} = \"{address}\"\n")).unwrap();
            let found = ports(&config, None);
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!(found[0].state, State::Warning, "{found:?}");
        }
        assert!(ports(&Config::default(), None).is_empty());
    }

    #[test]
    fn the_tape_that_is_named_is_the_one_that_runs_or_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::locate(Some(dir.path())).unwrap();
        let runs = home.tape("runs").unwrap();
        std::fs::create_dir_all(&runs.path).unwrap();
        std::fs::write(runs.path.join("tape.json"), r#"{"kind":"main","seed":0,"speed":null}"#).unwrap();
        home.remember(&runs).unwrap();
        let url = || SecretUrl::new("nats://127.0.0.1:1".to_owned());
        let addresses = Addresses {
            nats_url: url(),
            admin_url: url(),
            projector_url: url(),
            reader_url: url(),
            dashboard: None,
        };
        addresses.write(&runs).unwrap();
        let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let config: Config = toml::from_str(&format!("[servers]\nnats_port = {port}\n")).unwrap();
        let looked = |words: &[&str]| {
            let words = [&["tapedeck", "doctor"], words].concat();
            let global = Cli::try_parse_from(words).unwrap().global;
            ports(&config, asked(&global, &home).as_ref()).len()
        };
        assert_eq!(looked(&["--tape", "runs"]), 0, "its own port");
        assert_eq!(looked(&["--tape", "idle"]), 1, "another's");
    }

    #[test]
    fn the_doctor_sends_nobody_to_the_doctor() {
        let own = ServerUrls { nats_url: None, database_url: None, tools: None };
        let named = ServerUrls { nats_url: Some("nats://there:4222".to_owned()), ..own.clone() };
        let hint = |servers: &ServerUrls| mendable(Failure::unreachable("gone"), servers).hint;
        assert_eq!(hint(&own), "tapedeck up");
        assert!(hint(&named).contains("NATS_URL"));
        let other = mendable(Failure::not_found("no tape", "tapedeck up --tape NAME"), &own);
        assert_eq!(other.hint, "tapedeck up --tape NAME");
    }
}
