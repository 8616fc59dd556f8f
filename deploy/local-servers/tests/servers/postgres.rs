//! PostgreSQL.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use local_servers::testing::{TestPostgres, TestRun, search_from_environment, test_options};
use local_servers::{PostgresServer, Search, ServerError, ServerState, find_postgres};
use sqlx::{Connection, PgConnection};

use crate::support::{kill_9, mode, pid_of, restarted, runs, script};

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap()
}

async fn setting(url: &str, name: &'static str) -> String {
    let mut connection = connect(url).await;
    sqlx::query_scalar("SELECT current_setting($1)").bind(name).fetch_one(&mut connection).await.unwrap()
}

async fn write(url: &str, value: i32) {
    let mut connection = connect(url).await;
    sqlx::query("CREATE TABLE IF NOT EXISTS kept (value int)").execute(&mut connection).await.unwrap();
    sqlx::query("INSERT INTO kept VALUES ($1)").bind(value).execute(&mut connection).await.unwrap();
}

async fn values(url: &str) -> Vec<i32> {
    let mut connection = connect(url).await;
    sqlx::query_scalar("SELECT value FROM kept ORDER BY value").fetch_all(&mut connection).await.unwrap()
}

/// Everything about one durable server in a row, because making a cluster takes a second.
#[tokio::test]
async fn a_durable_server_keeps_its_data_through_stop_kill_and_crash() {
    let directory = tempfile::tempdir().unwrap();
    // Deep and private: no user but the owner may pass, which PostgreSQL must not need.
    let home = directory.path().join("home");
    let tape = home.join("a directory with spaces/tapes/main/postgres");
    let mut options = test_options(tape.clone());
    options.durable = true;
    let server = PostgresServer::start(options.clone()).await.unwrap();
    server.ensure_database("tapedeck").await.unwrap();
    server.ensure_database("tapedeck").await.unwrap();
    let refused = server.ensure_database("no\"name").await.unwrap_err().to_string();
    assert!(refused.contains("lowercase"), "{refused}");

    let url = server.url("tapedeck");
    options.port = Some(server.port());
    files_are_private(&home, &tape);
    runs_unprivileged(pid_of(&server.state()), &tape);
    for (name, expected) in [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("wal_level", "minimal"),
        ("shared_buffers", "256MB"),
        ("TimeZone", "UTC"),
        ("unix_socket_directories", ""),
        ("listen_addresses", "127.0.0.1"),
    ] {
        assert_eq!(setting(&url, name).await, expected, "{name}");
    }
    passwords_are_required(&server).await;

    write(&url, 1).await;
    server.stop().await;
    let server = PostgresServer::start(options.clone()).await.unwrap();
    assert_eq!(server.url("tapedeck"), url, "port or credentials changed");
    write(&url, 2).await;

    // The server dies alone: it is started again.
    let mut state = server.state();
    kill_9(pid_of(&state));
    restarted(&mut state, 1).await;
    write(&url, 3).await;

    // A loss of power leaves a lock file, whose process id then belongs to somebody else.
    let pid_file = tape.join("data/postmaster.pid");
    let left = std::fs::read_to_string(&pid_file).unwrap();
    drop(server);
    let stale = left.replacen(left.lines().next().unwrap(), "1", 1);
    std::fs::write(&pid_file, stale).unwrap();
    let server = PostgresServer::start(options).await.unwrap();
    assert_eq!(values(&url).await, [1, 2, 3]);
    server.stop().await;
}

fn files_are_private(home: &Path, tape: &Path) {
    for directory in [home, &home.join("a directory with spaces"), tape, &tape.join("data")] {
        assert_eq!(mode(directory), 0o700, "{}", directory.display());
    }
    files_are_private_in(tape);
    let left: Vec<_> = std::fs::read_dir(tape).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name == "data.password" || name == "data.new"), "{left:?}");
    let password = std::fs::read_to_string(tape.join("credentials.json")).unwrap();
    assert!(password.len() > 48, "a short password: {password}");
}

fn files_are_private_in(tape: &Path) {
    for file in ["credentials.json", "running.json", "server.log", "lock"] {
        assert_eq!(mode(&tape.join(file)), 0o600, "{file}");
    }
}

/// As root the server and its files belong to another user; as anybody else to that same user.
fn runs_unprivileged(pid: u32, tape: &Path) {
    let owner = |path: &Path| path.metadata().unwrap().uid();
    let process = owner(Path::new(&format!("/proc/{pid}")));
    assert_ne!(process, 0, "PostgreSQL runs as root");
    assert_eq!(process, owner(&tape.join("data")));
    assert_eq!(owner(&tape.join("credentials.json")), nix::unistd::geteuid().as_raw());
}

async fn passwords_are_required(server: &PostgresServer) {
    let (user, _) = server.credentials();
    for password in ["", "wrong"] {
        let url = format!("postgres://{user}:{password}@127.0.0.1:{}/postgres", server.port());
        let refused = PgConnection::connect(&url).await.err();
        assert!(refused.is_some(), "entered with password {password:?}");
    }
    let mut connection = connect(&server.url("postgres")).await;
    let methods: Vec<String> = sqlx::query_scalar("SELECT DISTINCT auth_method FROM pg_hba_file_rules")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    assert_eq!(methods, ["scram-sha-256"]);
}

#[tokio::test]
async fn two_servers_run_side_by_side_and_one_directory_has_one_owner() {
    let directory = tempfile::tempdir().unwrap();
    let options = |name: &str| test_options(directory.path().join(name));
    let (first, second) =
        tokio::join!(PostgresServer::start(options("a")), PostgresServer::start(options("b")));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_ne!(first.port(), second.port());
    let refused = PostgresServer::start(options("a")).await.err().unwrap();
    assert!(matches!(refused, ServerError::InUse { .. }), "{refused}");
    write(&first.url("postgres"), 1).await;
    write(&second.url("postgres"), 2).await;
    assert_eq!(values(&first.url("postgres")).await, [1]);
    assert_eq!(values(&second.url("postgres")).await, [2]);

    // Dropped with a session open, it ends at once and leaves no process.
    let _session = connect(&first.url("postgres")).await;
    let (pid, state) = (pid_of(&first.state()), first.state());
    drop(first);
    assert!(!runs(pid));
    assert_eq!(*state.borrow(), ServerState::Stopped);
}

#[tokio::test]
async fn a_database_per_test_from_a_template_made_once() {
    let postgres = TestPostgres::shared().await.unwrap();
    let runs = std::sync::atomic::AtomicU32::new(0);
    let prepare = async |url: String| -> Result<(), ServerError> {
        runs.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        write(&url, 7).await;
        Ok(())
    };
    // The process id keeps this test apart from an earlier run against the same server.
    let template = format!("template_{}", std::process::id());
    let (first, second) = tokio::join!(
        postgres.create_database_from(&template, prepare),
        postgres.create_database_from(&template, prepare),
    );
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(runs.into_inner(), 1);
    assert_ne!(first.name(), second.name());
    write(first.url(), 8).await;
    assert_eq!(values(first.url()).await, [7, 8]);
    assert_eq!(values(second.url()).await, [7]);
    let empty = postgres.create_database(None).await.unwrap();
    assert_eq!(setting(empty.url(), "server_encoding").await, "UTF8");
}

/// What a run's programs spare is time alone: each cluster has its own password, and nobody enters without it.
#[tokio::test]
async fn a_runs_programs_make_clusters_like_others_that_wait_for_no_disk() {
    let run = TestRun::prepare().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        let tape = directory.path().join(name);
        let mut options = test_options(tape.clone());
        options.search.explicit = Some(run.programs());
        options.durable = true;
        let server = PostgresServer::start(options.clone()).await.unwrap();
        passwords_are_required(&server).await;
        files_are_private_in(&tape);
        runs_unprivileged(pid_of(&server.state()), &tape);
        let url = server.url("postgres");
        assert_eq!(setting(&url, "fsync").await, "off");
        assert_eq!(setting(&url, "TimeZone").await, "UTC");
        write(&url, 1).await;
        options.port = Some(server.port());
        server.stop().await;
        let server = PostgresServer::start(options).await.unwrap();
        assert_eq!(values(&url).await, [1], "{name}");
        drop(server);
    }
}

#[test]
fn old_missing_and_other_versions_are_refused_with_the_command_that_mends_it() {
    let directory = tempfile::tempdir().unwrap();
    let fake = |name: &str, version: &str| {
        let bin = directory.path().join(name);
        script(&bin.join("initdb"), "#!/bin/sh\n");
        script(&bin.join("postgres"), &format!("#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n"));
        Search { explicit: Some(bin), ..Search::default() }
    };
    let told = find_postgres(&fake("old", "13.9"), None).unwrap_err().to_string();
    for part in ["13", "15 or newer", "make setup"] {
        assert!(told.contains(part), "{part:?} is missing in {told:?}");
    }
    let told = find_postgres(&fake("new", "18.1 (Debian 18.1-1)"), Some(15)).unwrap_err().to_string();
    assert!(told.contains("apt-get install postgresql-15") && told.contains("found 18"), "{told}");
    assert_eq!(find_postgres(&fake("new", "18.1"), Some(18)).unwrap().major, 18);

    let nowhere = Search { explicit: Some(directory.path().join("nowhere")), ..Search::default() };
    let told = find_postgres(&nowhere, None).unwrap_err().to_string();
    assert!(told.contains("not found") && told.contains("make setup"), "{told}");

    let real = find_postgres(&search_from_environment(), None).unwrap();
    assert!(real.major >= 15, "{real:?}");
}
