//! What a killed parent leaves behind: nothing that blocks the next start.
//!
//! The parent is this test program, run again for one test that does nothing unless it is told to.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use local_servers::testing::test_options;
use local_servers::{NatsServer, PostgresServer};
use serde_json::Value;

use crate::support::{connect, eventually, kill_9, nats_options, runs};

const HOME: &str = "LOCAL_SERVERS_TEST_HOME";
const READY: &str = "ready";

/// The parent's part: starts both servers, says so, and waits to be killed.
#[tokio::test]
async fn parent_part() {
    #[expect(clippy::disallowed_methods, reason = "set by the test that runs this one as a process")]
    let Some(home) = std::env::var_os(HOME).map(PathBuf::from) else { return };
    let _nats = NatsServer::start(nats_options(&home.join("nats"))).await.unwrap();
    let _postgres = PostgresServer::start(test_options(home.join("postgres"))).await.unwrap();
    std::fs::write(home.join(READY), "").unwrap();
    std::future::pending::<()>().await;
}

async fn parent_in(home: &Path) -> Child {
    let _ = std::fs::remove_file(home.join(READY));
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "parents::parent_part", "--nocapture"])
        .env(HOME, home)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    eventually("the parent has started its servers", || {
        assert!(child.try_wait().unwrap().is_none(), "the parent ended");
        home.join(READY).exists()
    })
    .await;
    child
}

fn child_of(home: &Path, server: &str) -> u32 {
    let text = std::fs::read(home.join(server).join("running.json")).unwrap();
    let record: Value = serde_json::from_slice(&text).unwrap();
    record["pid"].as_u64().unwrap().try_into().unwrap()
}

#[tokio::test]
async fn a_killed_parent_leaves_nothing_that_blocks_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path();
    let mut parent = parent_in(home).await;
    let children = ["nats", "postgres"].map(|server| child_of(home, server));
    assert!(children.iter().all(|pid| runs(*pid)));
    kill_9(parent.id());
    parent.wait().unwrap();

    // At once, while the old ones may still be ending.
    let nats = NatsServer::start(nats_options(&home.join("nats"))).await.unwrap();
    let postgres = PostgresServer::start(test_options(home.join("postgres"))).await.unwrap();
    eventually("the old servers have ended", || !children.iter().any(|pid| runs(*pid))).await;
    connect(&nats.url()).await;
    postgres.ensure_database("again").await.unwrap();
    nats.stop().await;
    postgres.stop().await;
}

#[tokio::test]
async fn a_parent_killed_again_and_again_always_starts() {
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..4 {
        let mut parent = parent_in(directory.path()).await;
        kill_9(parent.id());
        parent.wait().unwrap();
    }
    let children = ["nats", "postgres"].map(|server| child_of(directory.path(), server));
    eventually("the servers have ended by themselves", || !children.iter().any(|pid| runs(*pid))).await;
}
