//! Users of a nats-server beside its owner.

use std::time::Duration;

use async_nats::Client;
use futures::StreamExt as _;
use local_servers::testing::TestNats;
use local_servers::{NatsUser, NatsUsers, USER_CONNECTIONS_MAX};
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

/// What the owner answers to a question that `client` asks in its own name.
async fn asks(client: &Client, name: &str) -> Option<Vec<u8>> {
    let inbox = format!("_INBOX_{name}.answer");
    let mut answers = client.subscribe(inbox.clone()).await.unwrap();
    client.publish_with_reply(format!("signal.{name}.x"), inbox, "question".into()).await.unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(5), answers.next()).await.ok()??;
    answer.status.is_none().then(|| answer.payload.to_vec())
}

#[tokio::test]
async fn a_user_that_takes_all_its_connections_shuts_nobody_else_out() {
    let nats = TestNats::start().await.unwrap();
    let users = NatsUsers::of(nats.directory().join("nats"));
    let owner = connect(&nats.url()).await;
    let mut questions = owner.subscribe("signal.>").await.unwrap();
    owner.flush().await.unwrap();
    let answering = owner.clone();
    let answers = tokio::spawn(async move {
        while let Some(question) = questions.next().await {
            if let Some(inbox) = question.reply {
                answering.publish(inbox, "answer".into()).await.unwrap();
            }
        }
    });

    let greedy = users.grant(&user("greedy")).await.unwrap();
    let mut held = Vec::new();
    while let Some(client) = enter(&nats, "greedy", &greedy).await {
        held.push(client);
        assert!(held.len() <= USER_CONNECTIONS_MAX as usize, "it is let in without end");
    }
    assert_eq!(held.len(), USER_CONNECTIONS_MAX as usize);

    // Whoever is granted beside it comes in and is heard, also behind further changes, and what it holds still works.
    let modest = users.grant(&user("modest")).await.unwrap();
    let client = enter(&nats, "modest", &modest).await.expect("its connections are its own");
    assert_eq!(asks(&client, "modest").await.as_deref(), Some(&b"answer"[..]));
    users.grant(&user("third")).await.unwrap();
    users.revoke("third").await.unwrap();
    assert_eq!(asks(&client, "modest").await.as_deref(), Some(&b"answer"[..]));
    assert_eq!(asks(&held[0], "greedy").await.as_deref(), Some(&b"answer"[..]));
    assert!(enter(&nats, "greedy", &greedy).await.is_none(), "the bound outlives a change of users");

    // A place that becomes free is its own again.
    held.pop().unwrap().drain().await.unwrap();
    let mut back = None;
    for _ in 0..100 {
        back = enter(&nats, "greedy", &greedy).await;
        if back.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(back.is_some(), "the place of a connection that ended is free");
    answers.abort();
}

#[tokio::test]
async fn the_bound_is_everybody_elses_and_not_the_owners() {
    let nats = TestNats::start().await.unwrap();
    let directory = nats.directory().join("nats");
    NatsUsers::of(&directory).grant(&user("first")).await.unwrap();
    let text = std::fs::read_to_string(directory.join("users.conf")).unwrap();
    let (owner, first) = text.split_once("\"user-first\": {").unwrap();
    assert!(first.contains(&format!("limits: {{ max_connections: {USER_CONNECTIONS_MAX} }}")), "{first}");
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
