//! Chaos on the real thing: services, nats-server and PostgreSQL killed with SIGKILL at random moments of a rehearsal,
//! streams that may take no more room, and a disk that is full. Afterwards nothing is lost, nothing is doubled, the
//! read models equal their fold, and the chain hash is that of a rehearsal in which nothing happened.
//!
//! `make chaos ROUNDS=N` runs more rounds (`TAPEDECK_CHAOS_ROUNDS`); the cluster has a file of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use local_servers::testing::{TestNats, TestPostgres, test_options};
use local_servers::{NatsOptions, NatsServer, PostgresOptions, PostgresServer, Search, ServerState};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use crate::harness::{BUSY, Home, Outcome, Running, actions_file, bar_files_of, eventually, once, rehearse};

pub const FROM: &str = "2008-09-15";
pub const TO: &str = "2008-12-31";
const ROUNDS: u64 = 2;
/// Every service; `ingest` comes first, because it makes the tape.
pub const SERVICES: [&str; 8] =
    ["ingest", "strategy", "risk", "execution", "projector", "backtest", "checker", "web"];
const SERVERS: [&str; 2] = ["nats", "postgres"];
/// A round must end within this; killing slows it down, it never stops it.
const ROUND_MAX: Duration = Duration::from_secs(180);
/// From so many rounds on every service must have been a victim; in fewer, chance may leave one out.
const ROUNDS_FOR_ALL: u64 = 10;
/// How long what a killed PostgreSQL left behind may take to notice it, so that it can be started again.
const DEATH_NOTICED_MAX: Duration = Duration::from_secs(20);
/// Kills of one round.
const KILLS_MAX: usize = 10;
pub const TAPE: &str = "round";

/// How many rounds are wanted.
#[expect(clippy::disallowed_methods, reason = "the number of rounds is told in the environment")]
pub fn rounds(default: u64) -> u64 {
    let told = std::env::var("TAPEDECK_CHAOS_ROUNDS").ok();
    told.and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A line for whoever runs the rounds.
#[expect(clippy::print_stdout, reason = "rounds take minutes; whoever asked for them sees how far they are")]
pub fn tell(line: &str) {
    println!("{line}");
}

/// What a rehearsal comes to in which nothing happens.
pub fn calm(bars: &[String], actions: &str) -> anyhow::Result<Value> {
    once("calm", || undisturbed(bars, actions))
}

fn undisturbed(bars: &[String], actions: &str) -> anyhow::Result<Value> {
    let home = Home::new()?;
    home.configure(BUSY)?;
    let report = home.json(&rehearse(bars, actions, FROM, TO, &["--tape", TAPE]))?;
    anyhow::ensure!(report["orders"].as_u64() >= Some(500) && report["chain_hash"].is_string(), "{report}");
    Ok(serde_json::json!({
        "chain_hash": report["chain_hash"], "orders": report["orders"], "fills": report["fills"],
        "market": market(&home)?,
    }))
}

/// Events under a subject, in their order on the tape.
fn events(home: &Home, subject: &str) -> anyhow::Result<Vec<Value>> {
    let tail = ["tail", "--tape", TAPE, "--subject", subject, "--from-seq", "1", "--no-follow", "--json"];
    home.text(&tail)?.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// Ids of the events of MARKET, in their order on the tape; those before the last one of an instant in any order, as
/// consumers take them.
fn market(home: &Home) -> anyhow::Result<Vec<Value>> {
    let mut events = events(home, "market.>")?;
    let number = |line: &Value, name: &str| line["event"]["instant"][name].as_u64().unwrap_or_default();
    let ends = |line: &Value| number(line, "position") + 1 == number(line, "size");
    for instant in events.split_inclusive_mut(ends) {
        if let Some((_, before)) = instant.split_last_mut() {
            before.sort_by_key(|line| number(line, "position"));
        }
    }
    Ok(events.into_iter().map(|mut line| line["event"]["id"].take()).collect())
}

/// Holds what is on the tape against the calm rehearsal.
pub fn whole(home: &Home, calm: &Value, what: &str) -> Outcome {
    let market = market(home)?;
    let wanted = calm["market"].as_array().map(Vec::as_slice).unwrap_or_default();
    let first = market.iter().zip(wanted).position(|(got, wanted)| got != wanted);
    assert_eq!(
        (market.len(), first),
        (wanted.len(), None),
        "{what}: MARKET and the first event out of place"
    );
    let chain = home.json(&["chain-hash", "--tape", TAPE])?;
    assert_eq!(chain["chain_hash"], calm["chain_hash"], "{what}: {chain}");
    assert_eq!(chain["orders"], calm["orders"], "{what}");
    assert_eq!(chain["fills"], calm["fills"], "{what}");
    let (mut ids, mut count) = (BTreeSet::new(), 0);
    for line in events(home, "order.>")? {
        if let Some(order) = line["event"]["orderSubmitted"]["order"].as_object() {
            count += 1;
            ids.insert(order.get("orderId").and_then(Value::as_str).unwrap_or_default().to_owned());
        }
    }
    assert_eq!(ids.len(), count, "{what}: an order was sent twice");
    home.text(&["projection", "verify", "--tape", TAPE])?;
    Ok(())
}

/// Both servers of a round, each killed and started again at its old address.
struct Servers {
    nats: TestNats,
    postgres: Option<PostgresServer>,
    options: PostgresOptions,
    _directory: tempfile::TempDir,
}

impl Servers {
    async fn start() -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        // The server's user must get through to its files.
        std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        let mut options = test_options(directory.path().join("postgres"));
        options.max_connections = 100;
        let postgres = PostgresServer::start(options.clone()).await?;
        options.port = Some(postgres.port());
        postgres.ensure_database("tapedeck").await?;
        Ok(Self { nats: TestNats::start().await?, postgres: Some(postgres), options, _directory: directory })
    }

    fn database_url(&self) -> String {
        self.postgres.as_ref().map(|server| server.url("tapedeck")).unwrap_or_default()
    }

    /// SIGKILL, and a start at the old address after a while.
    async fn kill(&mut self, victim: &str, gone: Duration) -> anyhow::Result<()> {
        if victim == "nats" {
            self.nats.kill();
            tokio::time::sleep(gone).await;
            self.nats.start_again().await?;
        } else {
            self.kill_postgres()?;
            tokio::time::sleep(gone).await;
            self.postgres = Some(started_again(&self.options).await?);
        }
        Ok(())
    }

    /// Kills the server itself; its workers are left to notice that it is gone.
    fn kill_postgres(&mut self) -> Outcome {
        let server = self.postgres.take().context("PostgreSQL was not started again")?;
        let state = server.state().borrow().clone();
        let ServerState::Running { pid, .. } = state else { anyhow::bail!("PostgreSQL is {state:?}") };
        kill(Pid::from_raw(i32::try_from(pid)?), Signal::SIGKILL)?;
        // Nobody starts it again before its time.
        drop(server);
        Ok(())
    }
}

/// PostgreSQL after a kill: it refuses as long as workers of the killed one hold its memory.
async fn started_again(options: &PostgresOptions) -> anyhow::Result<PostgresServer> {
    let deadline = Instant::now() + DEATH_NOTICED_MAX;
    loop {
        match PostgresServer::start(options.clone()).await {
            Ok(server) => return Ok(server),
            Err(error) if Instant::now() >= deadline => return Err(error.into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chaos_of_services_and_servers_loses_and_doubles_nothing() -> Outcome {
    let (bars, actions) = (bar_files_of(FROM, TO)?, actions_file()?);
    let calm = calm(&bars, &actions)?;
    let rounds = rounds(ROUNDS);
    let mut hits: BTreeMap<&str, u32> = BTreeMap::new();
    for seed in 0..rounds {
        let began = Instant::now();
        let mut servers = Servers::start().await?;
        let mut home = Home::new()?;
        home.configure(BUSY)?;
        home.set("NATS_URL", &servers.nats.url());
        home.set("DATABASE_URL", &servers.database_url());
        let killed = round(&home, &mut servers, seed, &bars, &actions).await?;
        whole(&home, &calm, &format!("seed {seed}, killed {killed:?}"))?;
        tell(&format!(
            "chaos: seed {seed}: {} kills {killed:?}, {:.1} s",
            killed.len(),
            began.elapsed().as_secs_f64()
        ));
        for victim in killed {
            *hits.entry(victim).or_default() += 1;
        }
    }
    tell(&format!("chaos: {rounds} rounds, nothing lost and nothing doubled; kills {hits:?}"));
    let services: &[&str] = if rounds >= ROUNDS_FOR_ALL { &SERVICES } else { &[] };
    for victim in SERVERS.iter().chain(services) {
        assert!(hits.contains_key(victim), "{victim} was never killed: {hits:?}");
    }
    Ok(())
}

/// One rehearsal with kills drawn from `seed`; gives the victims. Each server dies at least once.
async fn round(
    home: &Home,
    servers: &mut Servers,
    seed: u64,
    bars: &[String],
    actions: &str,
) -> anyhow::Result<Vec<&'static str>> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let rehearsal = rehearse(bars, actions, FROM, TO, &["--only", "ingest", "--tape", TAPE]);
    let start = |service: &str| match service {
        "ingest" => home.spawn("ingest", &rehearsal),
        other => home.spawn(other, &["run", other, "--tape", TAPE]),
    };
    let mut running: BTreeMap<&str, Running> = BTreeMap::new();
    for service in SERVICES {
        running.insert(service, start(service)?);
        let manifest = home.path().join("tapes").join(TAPE).join("tape.json");
        eventually("the tape is made", Duration::from_secs(20), || Ok(manifest.exists()))?;
    }
    let mut killed = Vec::new();
    let mut next = Instant::now() + Duration::from_millis(random.random_range(400..1_200));
    let deadline = Instant::now() + ROUND_MAX;
    loop {
        for service in SERVICES {
            let Some(process) = running.get_mut(service) else { continue };
            if process.alive()? {
                continue;
            }
            let code = process.wait(Duration::ZERO)?;
            if service == "ingest" && code == Some(0) {
                return Ok(killed);
            }
            // While a server is away, whoever starts cannot; it is started again, as a supervisor would.
            anyhow::ensure!(
                code == Some(5),
                "seed {seed}: {service} ended with {code:?}: {}",
                home.said(service)
            );
            running.insert(service, start(service)?);
        }
        anyhow::ensure!(
            Instant::now() < deadline,
            "seed {seed}: not finished; killed {killed:?}; ingest says: {}",
            home.said("ingest")
        );
        if Instant::now() >= next && killed.len() < KILLS_MAX {
            let victim = match killed.len() {
                // Early, while there is something to lose.
                1 => "nats",
                2 => "postgres",
                _ => {
                    let all: Vec<&str> = SERVICES.into_iter().chain(SERVERS).collect();
                    all[random.random_range(0..all.len())]
                }
            };
            match running.get_mut(victim) {
                Some(process) => {
                    process.kill()?;
                    running.insert(victim, start(victim)?);
                }
                None => servers.kill(victim, Duration::from_millis(random.random_range(20..400))).await?,
            }
            killed.push(victim);
            next = Instant::now() + Duration::from_millis(random.random_range(50..800));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Where programs are looked for.
#[expect(clippy::disallowed_methods, reason = "the test runner names the tools in the environment")]
pub fn search() -> Search {
    let tools_dir = std::env::var_os("TAPEDECK_TOOLS").map(PathBuf::from);
    Search { explicit: None, path: std::env::var_os("PATH"), tools_dir }
}

/// Rehearses on a server that can store too little, and goes on against it for a while; `more` makes room.
async fn fill(
    calm: &Value,
    mut options: NatsOptions,
    seed: u64,
    what: &str,
    full: impl Fn(&str) -> anyhow::Result<bool>,
    more: impl FnOnce(&mut NatsOptions) -> anyhow::Result<()>,
) -> Outcome {
    let began = Instant::now();
    let (bars, actions) = (bar_files_of(FROM, TO)?, actions_file()?);
    let server = NatsServer::start(options.clone()).await?;
    options.port = Some(server.port());
    let database = TestPostgres::shared().await?.create_database(None).await?;
    let mut home = Home::new()?;
    home.configure(BUSY)?;
    home.set("NATS_URL", &server.url());
    home.set("DATABASE_URL", database.url());
    let mut running = home.spawn("rehearse", &rehearse(&bars, &actions, FROM, TO, &["--tape", TAPE]))?;
    // It says so, or it ends and says so; it never goes on as if nothing were.
    eventually("the full store is noticed", ROUND_MAX, || {
        Ok(!running.alive()? || full(&home.said("rehearse"))?)
    })
    .with_context(|| format!("{what}: the rehearsal says: {}", home.said("rehearse")))?;
    let patience = ChaCha8Rng::seed_from_u64(seed).random_range(0..4_000);
    tokio::time::sleep(Duration::from_millis(patience)).await;
    let ended = if running.alive()? { None } else { running.wait(Duration::ZERO)? };
    anyhow::ensure!(ended != Some(0), "{what}: the rehearsal fitted: {}", home.said("rehearse"));
    // Room is made and the server started again, which is the operator's part.
    drop(server);
    more(&mut options)?;
    let _server = NatsServer::start(options).await?;
    let finished = if ended.is_none() { running.wait(ROUND_MAX)? } else { ended };
    if finished != Some(0) {
        anyhow::ensure!(finished == Some(5), "{what}: {finished:?}: {}", home.said("rehearse"));
        running = home.spawn("rehearse", &rehearse(&bars, &actions, FROM, TO, &["--tape", TAPE]))?;
        let again = running.wait(ROUND_MAX)?;
        anyhow::ensure!(again == Some(0), "{what}: {again:?}: {}", home.said("rehearse"));
    }
    whole(&home, calm, what)?;
    tell(&format!(
        "chaos: {what}, full for {patience} ms, ended with {ended:?}, {:.1} s",
        began.elapsed().as_secs_f64()
    ));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn chaos_of_a_full_store_loses_and_doubles_nothing() -> Outcome {
    let (bars, actions) = (bar_files_of(FROM, TO)?, actions_file()?);
    let calm = calm(&bars, &actions)?;
    for seed in 0..rounds(ROUNDS).div_ceil(2) {
        let directory = tempfile::tempdir()?;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let options = |name: &Path| NatsOptions { sync_always: false, ..NatsOptions::new(name, search()) };
        // What streams may take is used up: the server goes on and refuses.
        let most = random.random_range(700_000..2_000_000);
        let quota = NatsOptions { max_store_bytes: Some(most), ..options(&directory.path().join("quota")) };
        let refused = |said: &str| Ok(said.contains("insufficient resources"));
        fill(&calm, quota, seed, &format!("seed {seed}, a quota of {most} bytes"), refused, |options| {
            options.max_store_bytes = None;
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// Holds a file system in memory in name spaces of its own, and makes it larger when told to.
const HOLD: &str = r#"
mount -t tmpfs -o size="$2"k tmpfs "$1" && echo mounted || exit 1
while read -r size; do mount -t tmpfs -o remount,size="$size"k tmpfs "$1" && echo grown || exit 1; done
"#;

/// A file system in memory of so many kilobytes, until dropped. Root mounts it; anybody else does in a user's name space,
/// where that is allowed, and finds its files through the process that holds it.
struct SmallDisk {
    mounted: PathBuf,
    holder: Option<Holder>,
}

impl SmallDisk {
    fn mount(path: &Path, kilobytes: u64) -> anyhow::Result<Self> {
        std::fs::create_dir_all(path)?;
        if nix::unistd::geteuid().is_root() {
            let disk = Self { mounted: path.to_owned(), holder: None };
            disk.run("mount", &["-t", "tmpfs", "-o", &format!("size={kilobytes}k"), "tmpfs"])?;
            return Ok(disk);
        }
        let holder = Holder::of(path, kilobytes)
            .context("a small disk is mounted by root, or where users may have name spaces of their own")?;
        Ok(Self { mounted: path.to_owned(), holder: Some(holder) })
    }

    /// Where its files are.
    fn path(&self) -> PathBuf {
        let Some(holder) = &self.holder else { return self.mounted.clone() };
        PathBuf::from(format!("/proc/{}/root{}", holder.shell.id(), self.mounted.display()))
    }

    fn grow(&mut self, kilobytes: u64) -> Outcome {
        match &mut self.holder {
            Some(holder) => holder.grow(kilobytes),
            None => self.run("mount", &["-o", &format!("remount,size={kilobytes}k")]),
        }
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Outcome {
        let output = Command::new(program).args(arguments).arg(&self.mounted).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "{program} {}: {said}", self.mounted.display());
        Ok(())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // One in a name space goes with it.
        if self.holder.is_none()
            && let Err(error) = self.run("umount", &["-l"])
        {
            tell(&format!("chaos: {error}"));
        }
    }
}

/// The shell in whose name spaces a disk is mounted.
struct Holder {
    shell: Child,
    said: BufReader<ChildStdout>,
}

impl Holder {
    fn of(path: &Path, kilobytes: u64) -> anyhow::Result<Self> {
        let mut shell = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", HOLD, "sh"])
            .arg(path)
            .arg(kilobytes.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let said = BufReader::new(shell.stdout.take().context("the shell has no output")?);
        let mut holder = Self { shell, said };
        holder.hear("mounted")?;
        Ok(holder)
    }

    fn grow(&mut self, kilobytes: u64) -> Outcome {
        let told = self.shell.stdin.as_mut().context("the shell has no input")?;
        writeln!(told, "{kilobytes}")?;
        self.hear("grown")
    }

    /// Waits for a word; a shell that has ended says none.
    fn hear(&mut self, word: &str) -> Outcome {
        let mut line = String::new();
        self.said.read_line(&mut line)?;
        anyhow::ensure!(line.trim() == word, "the shell that mounts says {line:?}, expected {word:?}");
        Ok(())
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to do.
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chaos_of_a_full_disk_loses_and_doubles_nothing() -> Outcome {
    let (bars, actions) = (bar_files_of(FROM, TO)?, actions_file()?);
    let calm = calm(&bars, &actions)?;
    for seed in 0..rounds(ROUNDS).div_ceil(2) {
        let directory = tempfile::tempdir()?;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let kilobytes = random.random_range(700..2_000);
        let mut disk = SmallDisk::mount(&directory.path().join("disk"), kilobytes)?;
        let options =
            NatsOptions { sync_always: true, ..NatsOptions::new(disk.path().join("nats"), search()) };
        // The server refuses, or does not answer any more: the clock names what it waits for.
        let words = ["degraded", "append", "waiting for the tape to store the instant's events"];
        let noticed = |said: &str| Ok(words.iter().any(|word| said.contains(word)));
        let what = format!("seed {seed}, a disk of {kilobytes} kB");
        fill(&calm, options, seed, &what, noticed, |_| disk.grow(256 << 10)).await?;
    }
    Ok(())
}
