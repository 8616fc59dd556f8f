//! nats-server.

use std::time::{Duration, Instant};

use async_nats::jetstream;
use local_servers::testing::TestNats;
use local_servers::{NatsServer, Search, ServerError, find_nats_server};

use crate::support::{
    connect, eventually, kill_9, mode, nats_options, nats_search, pid_of, restarted, runs, script,
};

async fn append(url: &str, count: usize) {
    let context = jetstream::new(connect(url).await);
    let config = jetstream::stream::Config {
        name: "KEPT".to_owned(),
        subjects: vec!["kept".to_owned()],
        ..Default::default()
    };
    context.get_or_create_stream(config).await.unwrap();
    for _ in 0..count {
        context.publish("kept", "payload".into()).await.unwrap().await.unwrap();
    }
}

async fn messages(url: &str) -> u64 {
    let context = jetstream::new(connect(url).await);
    context.get_stream("KEPT").await.unwrap().get_info().await.unwrap().state.messages
}

#[tokio::test]
async fn data_and_credentials_outlive_stop_and_kill() {
    let mut nats = TestNats::start().await.unwrap();
    let url = nats.url();
    append(&url, 3).await;
    nats.stop().await;
    nats.start_again().await.unwrap();
    assert_eq!(nats.url(), url, "port or credentials changed");
    assert_eq!(messages(&url).await, 3);
    append(&url, 2).await;
    nats.kill();
    nats.start_again().await.unwrap();
    assert_eq!(messages(&url).await, 5);
}

#[tokio::test]
async fn a_killed_server_is_started_again_on_its_port_with_its_data() {
    let nats = TestNats::start_with(|options| options.sync_always = true).await.unwrap();
    append(&nats.url(), 4).await;
    let server = nats.server().unwrap();
    let mut state = server.state();
    let first = pid_of(&state);
    for round in 1..=2 {
        kill_9(pid_of(&state));
        restarted(&mut state, round).await;
        assert_eq!(messages(&nats.url()).await, 4);
    }
    assert_ne!(pid_of(&state), first);
}

#[tokio::test]
async fn nobody_enters_without_the_password() {
    let nats = TestNats::start().await.unwrap();
    let address = nats.server().unwrap().address();
    assert!(!address.contains('@'), "{address}");
    let refused = async_nats::connect(&address).await.unwrap_err();
    assert_eq!(refused.kind(), async_nats::ConnectErrorKind::AuthorizationViolation, "{refused}");
}

#[tokio::test]
async fn files_are_private_and_the_sync_is_as_asked() {
    let check = async |always: bool| {
        let nats = TestNats::start_with(|options| {
            options.sync_always = always;
            options.monitoring = true;
        });
        let nats = nats.await.unwrap();
        let directory = nats.directory().join("nats");
        assert_eq!(mode(&directory), 0o700);
        for file in [
            "credentials.json",
            "nats-server.conf",
            "users.conf",
            "port",
            "running.json",
            "server.log",
            "lock",
        ] {
            assert_eq!(mode(&directory.join(file)), 0o600, "{file}");
        }
        let config = monitoring(nats.server().unwrap().monitoring_port().unwrap(), "/jsz?config=true").await;
        assert_eq!(config["config"]["sync_always"].as_bool().unwrap_or(false), always, "{config}");
    };
    check(true).await;
    check(false).await;
}

/// One page of the server's monitoring, over plain HTTP.
async fn monitoring(port: u16, path: &str) -> serde_json::Value {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = format!("GET {path} HTTP/1.0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[tokio::test]
async fn two_instances_run_side_by_side_and_one_directory_has_one_owner() {
    let first = TestNats::start().await.unwrap();
    let second = TestNats::start().await.unwrap();
    append(&first.url(), 1).await;
    append(&second.url(), 2).await;
    assert_eq!((messages(&first.url()).await, messages(&second.url()).await), (1, 2));

    let refused = NatsServer::start(nats_options(&first.directory().join("nats"))).await.err().unwrap();
    let ServerError::InUse { owner, .. } = &refused else { panic!("{refused}") };
    assert!(owner.contains(&format!("process {}", std::process::id())), "{owner}");
    assert_eq!(messages(&first.url()).await, 1, "the refused start disturbed the owner");
}

#[tokio::test]
async fn a_taken_port_is_an_error_with_the_servers_own_words() {
    let directory = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut options = nats_options(&directory.path().join("nats"));
    options.port = Some(taken.local_addr().unwrap().port());
    let refused = NatsServer::start(options).await.err().unwrap().to_string();
    assert!(refused.contains("address already in use"), "{refused}");
}

#[tokio::test]
async fn dropping_a_server_ends_its_process() {
    let nats = TestNats::start().await.unwrap();
    let pid = pid_of(&nats.server().unwrap().state());
    assert!(runs(pid));
    drop(nats);
    assert!(!runs(pid));
}

#[tokio::test]
async fn a_server_that_dies_at_every_start_is_given_up_with_its_reason() {
    let directory = tempfile::tempdir().unwrap();
    let real = find_nats_server(&nats_search()).unwrap();
    let broken = directory.path().join("broken");
    let fake = directory.path().join("nats-server");
    let text = format!(
        "#!/bin/sh\nif [ -e {broken} ] && [ \"$1\" != --version ]; then echo worn out >&2; exit 3; fi\nexec {real} \"$@\"\n",
        broken = broken.display(),
        real = real.display(),
    );
    script(&fake, &text);
    let mut options = nats_options(&directory.path().join("nats"));
    options.search.explicit = Some(fake);
    let server = NatsServer::start(options).await.unwrap();
    let mut state = server.state();
    std::fs::write(&broken, "").unwrap();
    kill_9(pid_of(&state));
    let restarting =
        |state: &local_servers::ServerState| matches!(state, local_servers::ServerState::Restarting { .. });
    state.wait_for(restarting).await.unwrap();
    let told = |state: &local_servers::ServerState| matches!(state, local_servers::ServerState::Restarting { reason } if reason.contains("worn out"));
    tokio::time::timeout(Duration::from_secs(10), state.wait_for(told)).await.unwrap().unwrap();
    // Mended in time, it serves again.
    std::fs::remove_file(&broken).unwrap();
    restarted(&mut state, 2).await;
    server.stop().await;
}

#[tokio::test]
async fn old_and_missing_programs_are_refused_with_the_command_that_mends_it() {
    let directory = tempfile::tempdir().unwrap();
    let old = directory.path().join("old");
    script(&old.join("nats-server"), "#!/bin/sh\necho 'nats-server: v2.10.29'\n");
    let on_path = |dir: &std::path::Path| Search { path: Some(dir.into()), ..Search::default() };

    let told = find_nats_server(&on_path(&old)).unwrap_err().to_string();
    for part in ["v2.10.29", "2.14", "atomic batch", "make setup"] {
        assert!(told.contains(part), "{part:?} is missing in {told:?}");
    }
    let told = find_nats_server(&on_path(directory.path())).unwrap_err().to_string();
    assert!(told.contains("not found") && told.contains("make setup"), "{told}");

    // An old one on the path does not hide a good one in the cache of tools.
    let tools = directory.path().join("tools");
    script(&tools.join("bin/nats-server"), "#!/bin/sh\necho 'nats-server: v2.14.0'\n");
    let search = Search { tools_dir: Some(tools.clone()), ..on_path(&old) };
    assert_eq!(find_nats_server(&search).unwrap(), tools.join("bin/nats-server"));

    script(&old.join("nats-server"), "#!/bin/sh\necho hello\n");
    let told = find_nats_server(&on_path(&old)).unwrap_err().to_string();
    assert!(told.contains("hello"), "{told}");
}

#[tokio::test]
async fn a_start_takes_a_fraction_of_a_second() {
    let began = Instant::now();
    let nats = TestNats::start().await.unwrap();
    let taken = began.elapsed();
    // It takes about 50 ms alone; the bound leaves room for a machine that is busy with other tests.
    assert!(taken < Duration::from_secs(3), "{taken:?}");
    let pid = pid_of(&nats.server().unwrap().state());
    let server = nats.server().unwrap().state();
    drop(nats);
    eventually("the state is final", || {
        !matches!(&*server.borrow(), local_servers::ServerState::Running { .. })
    })
    .await;
    assert!(!runs(pid));
}
