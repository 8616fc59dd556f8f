//! A cluster of three nats-servers with every stream on all of them: it loses its leader, it loses a minority, and it
//! is cut in two. The rehearsal that goes on meanwhile comes to the chain hash of one in which nothing happened.
//!
//! The servers reach each other through proxies that can be cut; clients reach each server directly.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use contracts::stream::TRADING;
use event_log::definitions::STREAMS;
use local_servers::find_nats_server;
use local_servers::testing::TestPostgres;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::chaos::{FROM, TAPE, TO, calm, rounds, search, tell, whole};
use crate::harness::{BUSY, Home, Outcome, actions_file, bar_files_of, rehearse};

const NODES: usize = 3;
const ROUNDS: u64 = 1;
/// Events of MARKET after which a rehearsal is under way.
const UNDER_WAY: u64 = 50;
const LOGIN: &str = "chaos:chaos-of-a-cluster";
/// Kinds of trouble; each comes at least once, and at most twice.
const TROUBLES: usize = 3;
const ROUND_MAX: Duration = Duration::from_secs(480);

/// A port that nobody has now.
fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// A way from one server to another that can be cut.
struct Wire {
    port: u16,
    cut: Arc<AtomicBool>,
    ends: [usize; 2],
}

impl Wire {
    async fn lay(from: usize, to: usize, target: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let cut = Arc::new(AtomicBool::new(false));
        let state = Arc::clone(&cut);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let state = Arc::clone(&state);
                tokio::spawn(async move {
                    if state.load(Ordering::Relaxed) {
                        return;
                    }
                    let Ok(far) = TcpStream::connect(("127.0.0.1", target)).await else { return };
                    let (mut near, mut far) = (near, far);
                    let passing = tokio::io::copy_bidirectional(&mut near, &mut far);
                    let severed = async {
                        while !state.load(Ordering::Relaxed) {
                            tokio::time::sleep(Duration::from_millis(10)).await;
                        }
                    };
                    tokio::select! {
                        _ = passing => {}
                        () = severed => {}
                    }
                });
            }
        });
        Ok(Self { port, cut, ends: [from, to] })
    }
}

struct Cluster {
    program: PathBuf,
    directory: tempfile::TempDir,
    clients: Vec<u16>,
    wires: Vec<Wire>,
    nodes: Vec<Option<Child>>,
}

impl Cluster {
    async fn start() -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let ports = |_| free_port();
        let clients: Vec<u16> = (0..NODES).map(ports).collect::<Result<_, _>>()?;
        let routes: Vec<u16> = (0..NODES).map(ports).collect::<Result<_, _>>()?;
        let mut wires = Vec::new();
        for from in 0..NODES {
            for to in (0..NODES).filter(|to| *to != from) {
                wires.push(Wire::lay(from, to, routes[to]).await?);
            }
        }
        for node in 0..NODES {
            let to_others: Vec<String> = wires
                .iter()
                .filter(|wire| wire.ends[0] == node)
                .map(|wire| format!("\"nats://127.0.0.1:{}\"", wire.port))
                .collect();
            let (user, password) = LOGIN.split_once(':').unwrap_or_default();
            let text = format!(
                "server_name: n{node}\nlisten: \"127.0.0.1:{}\"\nmax_payload: 1048576\n\
                 authorization {{ user: {user}, password: \"{password}\" }}\n\
                 jetstream {{ store_dir: \"{}\" }}\n\
                 cluster {{ name: chaos, listen: \"127.0.0.1:{}\", advertise: \"127.0.0.1:9\", pool_size: -1, \
                 routes: [ {} ] }}\n",
                clients[node],
                directory.path().join(format!("store-{node}")).display(),
                routes[node],
                to_others.join(", "),
            );
            std::fs::write(directory.path().join(format!("n{node}.conf")), text)?;
        }
        let program = find_nats_server(&search())?;
        let nodes = (0..NODES).map(|_| None).collect();
        let mut cluster = Self { program, directory, clients, wires, nodes };
        for node in 0..NODES {
            cluster.revive(node)?;
        }
        Ok(cluster)
    }

    fn revive(&mut self, node: usize) -> anyhow::Result<()> {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.directory.path().join(format!("n{node}.log")))?;
        let config = self.directory.path().join(format!("n{node}.conf"));
        let mut command = Command::new(&self.program);
        command.arg("--config").arg(config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.nodes[node] = Some(command.spawn()?);
        Ok(())
    }

    fn kill(&mut self, node: usize) {
        if let Some(mut child) = self.nodes[node].take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Cuts a server off from the others, or connects it again.
    fn cut(&self, node: usize, cut: bool) {
        for wire in self.wires.iter().filter(|wire| wire.ends.contains(&node)) {
            wire.cut.store(cut, Ordering::Relaxed);
        }
    }

    /// All three: a program may start while one of them is away.
    fn url(&self) -> String {
        let hosts: Vec<String> = self.clients.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        format!("nats://{LOGIN}@{}", hosts.join(","))
    }

    async fn client(&self) -> anyhow::Result<async_nats::Client> {
        let (user, password) = LOGIN.split_once(':').unwrap_or_default();
        let addresses: Vec<async_nats::ServerAddr> = self
            .clients
            .iter()
            .map(|port| format!("nats://127.0.0.1:{port}").parse())
            .collect::<Result<_, _>>()?;
        // The servers were started a moment ago.
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let options =
                async_nats::ConnectOptions::with_user_and_password(user.to_owned(), password.to_owned());
            let options = options.request_timeout(Some(Duration::from_secs(3)));
            match options.connect(addresses.clone()).await {
                Ok(client) => return Ok(client),
                Err(error) if Instant::now() >= deadline => return Err(error.into()),
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }

    /// The server that leads TRADING, once every stream has a leader and two others that know all it knows: what
    /// happens next then takes a minority away. `None` until then.
    async fn leader(&self, client: &async_nats::Client) -> Option<usize> {
        let mut leader = None;
        for stream in STREAMS {
            let answer =
                client.request(format!("$JS.API.STREAM.INFO.{}", stream.name), "".into()).await.ok()?;
            let info: Value = serde_json::from_slice(&answer.payload).ok()?;
            let cluster = &info["cluster"];
            let replicas = cluster["replicas"].as_array()?;
            let current = replicas
                .iter()
                .filter(|replica| replica["current"] == true && replica["offline"].as_bool() != Some(true));
            if current.count() < NODES - 1 {
                return None;
            }
            let name = cluster["leader"].as_str()?.strip_prefix('n')?.parse().ok()?;
            if stream.name == TRADING {
                leader = Some(name);
            }
        }
        leader
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in 0..NODES {
            self.kill(node);
        }
    }
}

/// Makes every stream on all three servers; the program finds them and makes none.
async fn replicate(client: &async_nats::Client) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    for stream in STREAMS {
        let mut config = stream.config()?;
        config["num_replicas"] = json!(NODES);
        // Of a stream on several servers nats-server waits for each write.
        if let Some(config) = config.as_object_mut() {
            config.remove("persist_mode");
        }
        loop {
            let subject = format!("$JS.API.STREAM.CREATE.{}", stream.name);
            let answer = client.request(subject, config.to_string().into()).await;
            let said =
                answer.map(|answer| serde_json::from_slice::<Value>(&answer.payload).unwrap_or_default());
            if said.as_ref().is_ok_and(|said| said.get("error").is_none() && said.get("config").is_some()) {
                break;
            }
            anyhow::ensure!(Instant::now() < deadline, "stream {}: {said:?}", stream.name);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn chaos_of_a_cluster_loses_and_doubles_nothing() -> Outcome {
    let (bars, actions) = (bar_files_of(FROM, TO)?, actions_file()?);
    let calm = calm(&bars, &actions)?;
    for seed in 0..rounds(ROUNDS).div_ceil(5).max(1) {
        let began = Instant::now();
        let mut cluster = Cluster::start().await?;
        let client = cluster.client().await.context("the cluster does not come up")?;
        replicate(&client).await?;
        let database = TestPostgres::shared().await?.create_database(None).await?;
        let mut home = Home::new()?;
        home.configure(BUSY)?;
        home.set("NATS_URL", &cluster.url());
        home.set("DATABASE_URL", database.url());
        let done = trouble(&mut cluster, &client, &home, seed, &bars, &actions).await?;
        // Whatever was cut or killed is there again, soon.
        let deadline = Instant::now() + Duration::from_secs(60);
        while cluster.leader(&client).await.is_none() {
            anyhow::ensure!(Instant::now() < deadline, "the cluster is not whole again after {done:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        whole(&home, &calm, &format!("cluster, seed {seed}: {done:?}"))?;
        tell(&format!("chaos: cluster, seed {seed}: {done:?}, {:.1} s", began.elapsed().as_secs_f64()));
    }
    Ok(())
}

/// Messages of a stream, where it answers.
async fn stored(client: &async_nats::Client, stream: &str) -> Option<u64> {
    let answer = client.request(format!("$JS.API.STREAM.INFO.{stream}"), "".into()).await.ok()?;
    serde_json::from_slice::<Value>(&answer.payload).ok()?["state"]["messages"].as_u64()
}

/// One rehearsal that goes on while the cluster loses its leader, a minority, and its connection.
async fn trouble(
    cluster: &mut Cluster,
    client: &async_nats::Client,
    home: &Home,
    seed: u64,
    bars: &[String],
    actions: &str,
) -> anyhow::Result<Vec<String>> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut running = home.spawn("rehearse", &rehearse(bars, actions, FROM, TO, &["--tape", TAPE]))?;
    let (mut done, deadline) = (Vec::new(), Instant::now() + ROUND_MAX);
    // Whoever starts needs a cluster that answers; what runs has to bear the trouble.
    while stored(client, "MARKET").await.is_none_or(|bars| bars < UNDER_WAY) {
        anyhow::ensure!(running.alive()?, "it did not begin: {}", home.said("rehearse"));
        anyhow::ensure!(Instant::now() < deadline, "it does not begin: {}", home.said("rehearse"));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut next = Instant::now();
    loop {
        if !running.alive()? {
            let code = running.wait(Duration::ZERO)?;
            anyhow::ensure!(code == Some(0), "after {done:?}: {code:?}: {}", home.said("rehearse"));
            anyhow::ensure!(
                done.len() >= TROUBLES,
                "the rehearsal was over before the cluster had seen it all: {done:?}"
            );
            return Ok(done);
        }
        anyhow::ensure!(Instant::now() < deadline, "not finished after {done:?}: {}", home.said("rehearse"));
        if Instant::now() >= next
            && done.len() < 2 * TROUBLES
            && let Some(leader) = cluster.leader(client).await
        {
            let other = (leader + random.random_range(1..NODES)) % NODES;
            let away = Duration::from_millis(random.random_range(500..2_500));
            match done.len() % TROUBLES {
                0 => {
                    cluster.kill(leader);
                    tokio::time::sleep(away).await;
                    cluster.revive(leader)?;
                    done.push(format!("leader n{leader} killed"));
                }
                1 => {
                    cluster.cut(leader, true);
                    tokio::time::sleep(away * 2).await;
                    cluster.cut(leader, false);
                    done.push(format!("leader n{leader} cut off"));
                }
                _ => {
                    cluster.kill(other);
                    tokio::time::sleep(away).await;
                    cluster.revive(other)?;
                    done.push(format!("follower n{other} killed"));
                }
            }
            next = Instant::now() + Duration::from_millis(random.random_range(300..1_500));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
