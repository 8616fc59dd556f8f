//! Users of a nats-server beside its owner.

use std::time::Duration;

use async_nats::Client;
use futures::StreamExt as _;
use local_servers::testing::TestNats;
use local_servers::{NatsUser, NatsUsers};
use secrecy::{ExposeSecret as _, SecretString};

use crate::support::{connect, mode};

fn user(name: &str) -> NatsUser {
    NatsUser {
        name: name.to_owned(),
        publish: vec![format!("signal.{name}.>")],
        subscribe: vec![format!("_INBOX_{name}.>"), format!("own.{name}.>")],
    }
}

async fn enter(nats: &TestNats, name: &str, password: &SecretString) -> Option<Client> {
    let options = async_nats::ConnectOptions::with_user_and_password(
        name.to_owned(),
        password.expose_secret().to_owned(),
    );
    options.connect(nats.server().unwrap().address()).await.ok()
}

#[tokio::test]
async fn a_user_comes_and_goes_while_the_server_runs() {
    let mut nats = TestNats::start().await.unwrap();
    let directory = nats.directory().join("nats");
    let users = NatsUsers::of(&directory);
    let owner = connect(&nats.url()).await;
    let first = users.grant(&user("first")).await.unwrap();
    let second = users.grant(&user("second")).await.unwrap();
    assert_eq!(users.names().unwrap(), ["first", "second"]);
    let client = enter(&nats, "first", &first).await.expect("the user connects as soon as it is granted");
    assert!(enter(&nats, "first", &second).await.is_none(), "another user's password");

    // It asks the owner, under the subjects that pass between the accounts and are its own.
    let mut asked = owner.subscribe("signal.>").await.unwrap();
    owner.flush().await.unwrap();
    let question = loop {
        // Plain messages are not kept: until the server knows of the subscription, they pass by.
        client.publish_with_reply("signal.second.x", "_INBOX_first.x", "forbidden".into()).await.unwrap();
        client.publish_with_reply("signal.first.x", "_INBOX_first.x", "hello".into()).await.unwrap();
        if let Ok(message) = tokio::time::timeout(Duration::from_millis(100), asked.next()).await {
            break message.unwrap();
        }
    };
    assert_eq!((&question.payload[..], question.subject.as_str()), (&b"hello"[..], "signal.first.x"));
    // What the owner says among its own is not for it.
    let mut heard = client.subscribe("own.first.x").await.unwrap();
    client.publish("signal.first.x", "again".into()).await.unwrap();
    asked.next().await.unwrap();
    owner.publish("own.first.x", "hello".into()).await.unwrap();
    let nothing = tokio::time::timeout(Duration::from_millis(100), heard.next()).await;
    assert!(nothing.is_err(), "{nothing:?}");

    // The hash alone is kept, in files of the owner's.
    for file in ["users.json", "users.conf"] {
        let text = std::fs::read_to_string(directory.join(file)).unwrap();
        assert!(!text.contains(first.expose_secret()) && text.contains("$2"), "{file}");
        assert_eq!(mode(&directory.join(file)), 0o600, "{file}");
    }

    // A new grant replaces the password, a revoked user is out, and neither disturbs anybody else.
    let renewed = users.grant(&user("first")).await.unwrap();
    assert!(enter(&nats, "first", &first).await.is_none());
    assert!(enter(&nats, "first", &renewed).await.is_some());
    users.revoke("first").await.unwrap();
    users.revoke("first").await.unwrap();
    assert!(enter(&nats, "first", &renewed).await.is_none());
    assert!(enter(&nats, "second", &second).await.is_some());
    assert_eq!(owner.connection_state(), async_nats::connection::State::Connected);

    // Users outlive the server.
    nats.stop().await;
    let third = users.grant(&user("third")).await.unwrap();
    nats.start_again().await.unwrap();
    assert!(enter(&nats, "second", &second).await.is_some());
    assert!(enter(&nats, "third", &third).await.is_some());
}

#[tokio::test]
async fn users_granted_at_once_do_not_lose_each_other() {
    let nats = TestNats::start().await.unwrap();
    let users = NatsUsers::of(nats.directory().join("nats"));
    let names = ["a", "b", "c", "d"];
    let [a, b, c, d] = names.map(user);
    let granted = tokio::join!(users.grant(&a), users.grant(&b), users.grant(&c), users.grant(&d));
    assert_eq!(users.names().unwrap(), names);
    for (name, password) in names.iter().zip([granted.0, granted.1, granted.2, granted.3]) {
        assert!(enter(&nats, name, &password.unwrap()).await.is_some(), "{name}");
    }
}

#[tokio::test]
async fn users_have_a_bounded_number_of_connections_and_the_owner_is_outside_of_it() {
    let nats = TestNats::start().await.unwrap();
    let directory = nats.directory().join("nats");
    let password = NatsUsers::of(&directory).grant(&user("first")).await.unwrap();
    let client = enter(&nats, "first", &password).await;
    assert!(client.is_some(), "the server takes the limit");
    let text = std::fs::read_to_string(directory.join("users.conf")).unwrap();
    let (owner, others) = text.split_once("STRATEGIES: {").unwrap();
    assert!(others.contains("limits: { max_connections: 1024 }"), "{others}");
    assert!(!owner.contains("limits"), "the owner and the services are counted apart");
}

#[tokio::test]
async fn streams_of_the_time_before_accounts_are_kept() {
    let mut nats = TestNats::start().await.unwrap();
    let context = async_nats::jetstream::new(connect(&nats.url()).await);
    let config = async_nats::jetstream::stream::Config { name: "OLD".to_owned(), ..Default::default() };
    context.create_stream(config).await.unwrap();
    context.publish("OLD", "kept".into()).await.unwrap().await.unwrap();
    nats.stop().await;
    let streams = nats.directory().join("nats/jetstream");
    std::fs::rename(streams.join("TAPE"), streams.join("$G")).unwrap();
    nats.start_again().await.unwrap();
    let context = async_nats::jetstream::new(connect(&nats.url()).await);
    assert_eq!(context.get_stream("OLD").await.unwrap().get_info().await.unwrap().state.messages, 1);
}
