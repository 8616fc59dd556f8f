//! Definitions and connecting, on a real server.

use event_log::definitions::{self, Change};
use event_log::{ConnectError, connect, label};
use local_servers::testing::TestNats;
use serde_json::Value;

use crate::fixture::{client, options, plain_client};

#[tokio::test]
async fn definitions_are_applied_once_and_then_agree() {
    let server = TestNats::start().await.unwrap();
    let log = client(&server).await;
    let missing = definitions::diff(&log).await.unwrap();
    assert_eq!(missing.len(), definitions::STREAMS.len() + definitions::CONSUMERS.len());
    assert!(missing.iter().all(|drift| drift.field == "." && drift.server_value == Value::Null));
    let changes = definitions::apply(&log).await.unwrap();
    assert_eq!(changes.len(), missing.len());
    assert!(changes.contains(&Change::CreatedStream("TRADING".into())));
    assert_eq!(definitions::diff(&log).await.unwrap(), []);
    assert_eq!(definitions::apply(&log).await.unwrap(), []);
}

#[tokio::test]
async fn a_running_stream_is_reported_and_not_changed() {
    let server = TestNats::start().await.unwrap();
    let log = client(&server).await;
    definitions::apply(&log).await.unwrap();
    let context = async_nats::jetstream::new(plain_client(&server).await);
    let mut config = context.get_stream("LOGS").await.unwrap().cached_info().config.clone();
    config.max_age = std::time::Duration::from_secs(3_600);
    context.update_stream(config).await.unwrap();
    assert_eq!(definitions::apply(&log).await.unwrap(), []);
    let drift = definitions::diff(&log).await.unwrap();
    assert_eq!(drift.len(), 1, "{drift:?}");
    assert_eq!((drift[0].stream.as_str(), drift[0].field.as_str()), ("LOGS", "max_age"));
    assert_eq!(drift[0].server_value, Value::from(3_600_000_000_000_u64));
}

#[tokio::test]
async fn what_no_definition_states_is_reported_too() {
    let server = TestNats::start().await.unwrap();
    let log = client(&server).await;
    definitions::apply(&log).await.unwrap();
    let context = async_nats::jetstream::new(plain_client(&server).await);
    let mut config = context.get_stream("TRADING").await.unwrap().cached_info().config.clone();
    config.allow_message_ttl = true;
    context.update_stream(config).await.unwrap();
    let drift = definitions::diff(&log).await.unwrap();
    assert_eq!(drift.len(), 1, "{drift:?}");
    assert_eq!((drift[0].stream.as_str(), drift[0].field.as_str()), ("TRADING", "allow_msg_ttl"));
    assert_eq!((&drift[0].file_value, &drift[0].server_value), (&Value::Null, &Value::from(true)));
}

#[tokio::test]
async fn streams_say_what_was_written_of_them_and_do_not_differ_for_it() {
    let server = TestNats::start().await.unwrap();
    let log = client(&server).await;
    assert_eq!(label::read(&log).await.unwrap(), None);
    assert!(!label::is_used(&log).await.unwrap());
    // The stream is made with it, or is there already.
    for text in ["one tape", "another"] {
        label::write(&log, text).await.unwrap();
        definitions::apply(&log).await.unwrap();
        assert_eq!(label::read(&log).await.unwrap().as_deref(), Some(text));
        assert_eq!(definitions::diff(&log).await.unwrap(), []);
    }
    let context = async_nats::jetstream::new(plain_client(&server).await);
    context.publish("log.risk.info", "no event".into()).await.unwrap().await.unwrap();
    assert!(label::is_used(&log).await.unwrap());
}

#[tokio::test]
async fn event_streams_cannot_be_deleted_from_or_purged() {
    let server = TestNats::start().await.unwrap();
    let log = client(&server).await;
    definitions::apply(&log).await.unwrap();
    let context = async_nats::jetstream::new(plain_client(&server).await);
    for name in ["MARKET", "TRADING", "AUDIT", "PARKED"] {
        let stream = context.get_stream(name).await.unwrap();
        assert!(stream.purge().await.is_err(), "{name}");
        assert!(stream.delete_message(1).await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let error = connect(options("nats://127.0.0.1:1".into())).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }));
    assert!(error.to_string().contains("nats://127.0.0.1:1"), "{error}");
}

#[tokio::test]
async fn a_client_without_its_password_is_refused() {
    let server = TestNats::start().await.unwrap();
    let address = server.server().unwrap().address();
    assert!(connect(options(address.clone())).await.is_err());
    let wrong = address.replace("nats://", "nats://tapedeck:guessed@");
    let error = connect(options(wrong)).await.unwrap_err();
    let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    // The password is in no message.
    assert!(!format!("{error} {error:?} {source}").contains("guessed"), "{error:?}");
}
