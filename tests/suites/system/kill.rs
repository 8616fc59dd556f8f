//! Every service in a process of its own, killed with SIGKILL at random points: the chain hash is the one
//! of a rehearsal in which nothing happened.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use local_servers::testing::{TestNats, TestPostgres};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sqlx::PgPool;

use crate::chaos::{FROM, SERVICES, TO, calm};
use crate::harness::{BUSY, Home, Outcome, Running, actions_file, bar_files_of, eventually, rehearse};

const ROUNDS: u64 = 20;
const DYING_ROUNDS: u64 = 5;
/// A round must end within this; killing slows it down, it never stops it.
const ROUND_MAX: Duration = Duration::from_secs(180);

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_the_chain_hash_stays() -> Outcome {
    let bars = bar_files_of(FROM, TO)?;
    let actions = actions_file()?;
    let calm = calm(&bars, &actions)?;
    let orders = calm["orders"].as_u64().unwrap_or_default();
    assert!(orders >= 500, "{orders} orders, expected at least 500");

    let mut hits: BTreeMap<&str, u32> = BTreeMap::new();
    for seed in 0..ROUNDS {
        let nats = TestNats::start().await?;
        let database = TestPostgres::shared().await?.create_migrated(migrated).await?;
        let mut home = Home::new()?;
        home.configure(BUSY)?;
        home.set("NATS_URL", &nats.url());
        home.set("DATABASE_URL", database.url());
        let killed = round(&home, seed, &bars, &actions)?;
        for service in killed {
            *hits.entry(service).or_default() += 1;
        }
        let chain = home.json(&["chain-hash", "--tape", "round"])?;
        assert_eq!(chain["chain_hash"], calm["chain_hash"], "seed {seed}");
        home.text(&["projection", "verify", "--tape", "round"])?;
        // Neither a checker that was there in between nor one now finds anything.
        home.text(&["check", "--tape", "round"])?;
        let alerts = ["tail", "--tape", "round", "--subject", "control.invariant.>", "--no-follow"];
        assert_eq!(home.text(&alerts)?, "", "seed {seed}");
    }
    for service in SERVICES {
        assert!(hits.contains_key(service), "{service} was never killed: {hits:?}");
    }
    Ok(())
}

/// Brings a database to the newest version.
async fn migrated(url: String) -> Outcome {
    let admin = PgPool::connect(&url).await?;
    projections::migrate(&admin).await?;
    admin.close().await;
    Ok(())
}

/// The rehearsal and the servers that it started die together, again and again. A server that dies forgets
/// acknowledgements and the last of the read models, never an event.
#[test]
fn killed_with_its_servers_the_chain_hash_stays() -> Outcome {
    let (bars, actions) = (bar_files_of(FROM, TO)?, actions_file()?);
    let wanted = calm(&bars, &actions)?["chain_hash"].clone();
    let rehearsal = rehearse(&bars, &actions, FROM, TO, &["--tape", "died"]);
    let mut deaths = 0;
    for seed in 0..DYING_ROUNDS {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let home = Home::new()?;
        home.configure(BUSY)?;
        // The first starts need longest; later ones die while they resume.
        for life in 0..4 {
            let mut running = home.spawn("dying", &rehearsal)?;
            let longest = if life == 0 { 3_500 } else { 2_500 };
            std::thread::sleep(Duration::from_millis(random.random_range(700..longest)));
            if running.alive()? {
                running.kill()?;
                deaths += 1;
            }
        }
        assert_eq!(home.json(&rehearsal)?["chain_hash"], wanted, "seed {seed}");
        home.text(&["projection", "verify", "--tape", "died"])?;
    }
    assert!(deaths >= DYING_ROUNDS, "{deaths} deaths only");
    Ok(())
}

/// One rehearsal with kills drawn from `seed`; gives the services killed.
fn round(home: &Home, seed: u64, bars: &[String], actions: &str) -> anyhow::Result<Vec<&'static str>> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let rehearsal = rehearse(bars, actions, FROM, TO, &["--only", "ingest", "--tape", "round"]);
    let start = |service: &str| match service {
        "ingest" => home.spawn("ingest", &rehearsal),
        other => home.spawn(other, &["run", other, "--tape", "round"]),
    };
    let mut running: BTreeMap<&str, Running> = BTreeMap::new();
    for service in SERVICES {
        running.insert(service, start(service)?);
        // The first, ingest, makes the tape that the others then find.
        let manifest = home.path().join("tapes/round/tape.json");
        eventually("the tape is made", Duration::from_secs(10), || Ok(manifest.exists()))?;
    }
    let mut killed = Vec::new();
    let mut next = Instant::now() + Duration::from_millis(random.random_range(100..900));
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
            anyhow::bail!("seed {seed}: {service} ended with {code:?}: {}", home.said(service));
        }
        anyhow::ensure!(
            Instant::now() < deadline,
            "seed {seed}: not finished; killed {killed:?}; ingest says: {}",
            home.said("ingest")
        );
        // At most ten kills a round, so that a slow machine still gets somewhere.
        if Instant::now() >= next && killed.len() < 10 {
            let victim = SERVICES[random.random_range(0..SERVICES.len())];
            if let Some(process) = running.get_mut(victim) {
                process.kill()?;
            }
            running.insert(victim, start(victim)?);
            killed.push(victim);
            next = Instant::now() + Duration::from_millis(random.random_range(50..700));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
