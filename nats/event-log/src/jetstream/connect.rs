//! Connecting, and refusing a server that lacks what the tape needs.

use std::sync::OnceLock;
use std::time::Duration;

use async_nats::{Event, ServerAddr};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::{Mutex, watch as signal};

use super::lane::Lanes;
use super::{Connection, Inner, JetStreamLog};
use crate::clock::Clock;
use crate::definitions::SERVICE_USER;
use crate::observer::Hook;

/// Most messages that wait in one subscription. An ordered read has at most 32 MB outstanding (the
/// server's flow control), which is fewer messages than this.
const SUBSCRIPTION_CAPACITY: usize = 1 << 19;
/// Most commands that wait for the connection: one atomic batch and room to spare.
const COMMAND_CAPACITY: usize = 4_096;

/// How a client proves who it is.
#[derive(Clone, Debug, Default)]
pub enum Auth {
    /// It does not.
    #[default]
    None,
    /// User and password.
    Password {
        /// User.
        user: String,
        /// Password.
        password: SecretString,
    },
    /// The contents of a `.creds` file.
    Credentials(SecretString),
}

/// Where and as whom to connect.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// Address, for example `nats://127.0.0.1:4222`; of a cluster those of several servers,
    /// `nats://one:4222,two:4222`. User and password may stand in the first.
    pub url: SecretString,
    /// Identity; with [`Auth::None`] the one that the address names.
    pub auth: Auth,
    /// Name of this client, shown by the server's monitoring.
    pub name: String,
    /// Clock that stamps recorded times.
    pub clock: Clock,
}

/// Why no tape could be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The server could not be reached or refused the client.
    #[error("connect to {url}: {source}")]
    Unreachable {
        /// Address tried.
        url: String,
        /// Cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server is too old.
    #[error("nats-server {version} has no {feature}; {needed} or newer is needed, 2.15 is advised")]
    TooOld {
        /// Version found.
        version: String,
        /// Feature missing.
        feature: &'static str,
        /// Version needed.
        needed: &'static str,
    },
    /// The server runs without JetStream.
    #[error("the server at {url} runs without JetStream; start it with a `jetstream` block")]
    NoJetStream {
        /// Address.
        url: String,
    },
}

/// Features the adapter uses and the version that brought each, oldest first, so that the first one
/// missing is the one named.
const FEATURES: &[((u64, u64), &str, &str)] =
    &[((2, 12), "atomic batch publish", "2.12"), ((2, 14), "consumer reset and cron schedules", "2.14")];

/// Connects to a server and checks that it can hold a tape.
pub async fn connect(options: ConnectOptions) -> Result<JetStreamLog, ConnectError> {
    let server = Server::parse(&options)?;
    let hook = Hook::default();
    let main = dial(&server, &options.name, &hook).await?;
    let info = main.client.server_info();
    check_version(&info.version)?;
    if !info.jetstream {
        return Err(ConnectError::NoJetStream { url: server.shown });
    }
    let bulk = dial(&server, &format!("{} (reads)", options.name), &hook).await?;
    let inner = Inner {
        main,
        bulk,
        shared: OnceLock::new(),
        lanes: Lanes::default(),
        turn: Mutex::default(),
        clock: options.clock,
        max_payload: info.max_payload,
    };
    Ok(JetStreamLog { inner: inner.into() })
}

/// Where to connect and as whom. The client library does not take the identity out of the address.
struct Server {
    /// Any of them will do.
    addresses: Vec<ServerAddr>,
    auth: Auth,
    /// The addresses without what must not be shown.
    shown: String,
}

impl Server {
    fn parse(options: &ConnectOptions) -> Result<Self, ConnectError> {
        let addresses: Result<Vec<ServerAddr>, _> =
            options.url.expose_secret().split(',').map(str::parse).collect();
        let addresses = addresses.map_err(|error: std::io::Error| ConnectError::Unreachable {
            url: "(malformed)".into(),
            source: error.into(),
        })?;
        let shown: Vec<String> = addresses
            .iter()
            .map(|address| format!("{}://{}:{}", address.scheme(), address.host(), address.port()))
            .collect();
        let named = addresses.iter().find_map(|address| Some((address.username()?, address.password())));
        let auth = match (&options.auth, named) {
            (Auth::None, Some((user, password))) => Auth::Password {
                user: contracts::unescape(user),
                password: contracts::unescape(password.unwrap_or_default()).into(),
            },
            (auth, _) => auth.clone(),
        };
        Ok(Self { addresses, auth, shown: shown.join(",") })
    }
}

async fn dial(server: &Server, name: &str, hook: &Hook) -> Result<Connection, ConnectError> {
    let unreachable = |source: Box<dyn std::error::Error + Send + Sync>| ConnectError::Unreachable {
        url: server.shown.clone(),
        source,
    };
    let (lost, losses) = signal::channel(0_u64);
    let client_name = name.to_owned();
    let nats = async_nats::ConnectOptions::new()
        .name(name)
        .connection_timeout(Duration::from_secs(5))
        .request_timeout(Some(super::TIMEOUT))
        .ping_interval(Duration::from_secs(10))
        .subscription_capacity(SUBSCRIPTION_CAPACITY)
        .client_capacity(COMMAND_CAPACITY)
        .read_buffer_capacity(u16::MAX)
        .reconnect_delay_callback(|attempt| {
            let attempt = u32::try_from(attempt).unwrap_or(u32::MAX).min(6);
            Duration::from_millis(if attempt <= 1 { 0 } else { 25 << attempt })
        })
        .event_callback(move |event| {
            match &event {
                Event::Disconnected | Event::SlowConsumer(_) => {
                    tracing::warn!(client = %client_name, %event, "messages may have been missed");
                    lost.send_modify(|count| *count += 1);
                }
                Event::ServerError(_) | Event::ClientError(_) | Event::LameDuckMode => {
                    tracing::warn!(client = %client_name, %event, "connection");
                }
                _ => tracing::debug!(client = %client_name, %event, "connection"),
            }
            std::future::ready(())
        });
    let nats = match &server.auth {
        Auth::None => nats,
        Auth::Password { user, password } => {
            let nats = nats.user_and_password(user.clone(), password.expose_secret().to_owned());
            // A service's user may listen in inboxes of its own alone.
            if user.starts_with(SERVICE_USER) {
                nats.custom_inbox_prefix(format!("_INBOX_{user}"))
            } else {
                nats
            }
        }
        Auth::Credentials(contents) => {
            nats.credentials(contents.expose_secret()).map_err(|error| unreachable(error.into()))?
        }
    };
    let client = nats.connect(server.addresses.clone()).await.map_err(|error| unreachable(error.into()))?;
    Ok(Connection { client, losses, hook: hook.clone() })
}

/// Names the oldest feature that a server of `version` lacks.
fn check_version(version: &str) -> Result<(), ConnectError> {
    let mut numbers = version.split(['.', '-']).map(|part| part.parse::<u64>().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if let Some((_, feature, needed)) = FEATURES.iter().find(|(since, ..)| found < *since) {
        return Err(ConnectError::TooOld { version: version.to_owned(), feature, needed });
    }
    if found < (2, 15) {
        tracing::warn!(version, "nats-server 2.15 is advised: it syncs an atomic batch once");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_named_by_several_of_its_servers() {
        let options = ConnectOptions {
            url: "nats://me:secret@one:4222,two:4223".to_owned().into(),
            auth: Auth::None,
            name: String::new(),
            clock: Clock::default(),
        };
        let Server { addresses, auth, shown } = Server::parse(&options).unwrap();
        let ports: Vec<_> = addresses.iter().map(|address| (address.host(), address.port())).collect();
        assert_eq!(ports, [("one", 4222), ("two", 4223)]);
        assert_eq!(shown, "nats://one:4222,nats://two:4223");
        assert!(matches!(auth, Auth::Password { user, password }
            if user == "me" && password.expose_secret() == "secret"));
    }

    #[test]
    fn an_old_server_is_refused_by_the_feature_it_lacks() {
        for (version, words) in [
            ("2.9.25", "2.9.25 has no atomic batch publish; 2.12 or newer"),
            ("2.12.1", "2.12.1 has no consumer reset and cron schedules; 2.14 or newer"),
            ("2.13.0-RC.1", "2.14 or newer is needed, 2.15 is advised"),
            ("nonsense", "has no atomic batch publish"),
        ] {
            let message = check_version(version).unwrap_err().to_string();
            assert!(message.contains(words), "{message}");
        }
        for version in ["2.14.0", "2.15.1", "2.16.0-dev", "3.0.0"] {
            assert!(check_version(version).is_ok(), "{version}");
        }
    }
}
