//! What external strategies need on the server, made by whoever may: consumers through the tape, users in
//! the configuration of the tape's own nats-server.
//!
//! A server of the user's own takes no users from here: the block to add is printed instead.

use async_trait::async_trait;
use contracts::stream::{MARKET, REFERENCE, TRADING};
use event_log::JetStreamLog;
use local_servers::{NatsUser, NatsUsers};
use runtime::{AccessError, Credentials, ExternalStrategy, StrategyAccess, consumer_name};

use crate::addresses::split_url;
use crate::session::Session;

/// Makes and removes consumers and users of external strategies.
pub struct ServerAccess {
    jetstream: JetStreamLog,
    /// The users of the tape's own server; `None` when the server is the user's.
    users: Option<NatsUsers>,
    /// The server's address, without user and password.
    url: String,
}

impl ServerAccess {
    /// Access to the servers of `session`.
    pub fn of(session: &Session) -> Self {
        let users = (!session.external_servers).then(|| NatsUsers::of(session.dir.path.join("nats")));
        let url = split_url(session.addresses.nats_url.expose()).0;
        Self { jetstream: session.jetstream.clone(), users, url }
    }
}

fn user(strategy: &ExternalStrategy) -> NatsUser {
    let rights = strategy.rights();
    NatsUser { name: strategy.consumer(), publish: rights.publish, subscribe: rights.subscribe }
}

#[async_trait]
impl StrategyAccess for ServerAccess {
    async fn ensure_consumers(&self, strategy: &ExternalStrategy) -> Result<(), AccessError> {
        for spec in strategy.consumers() {
            let doing = || format!("consumer {} on {}", spec.name, spec.stream);
            self.jetstream.ensure_durable(&spec).await.map_err(|error| AccessError::new(doing(), error))?;
        }
        Ok(())
    }

    async fn grant(&self, strategy: &ExternalStrategy) -> Result<Credentials, AccessError> {
        let user = user(strategy);
        let failed = |error| AccessError::new(format!("user {}", user.name), error);
        let (password, to_add) = match &self.users {
            Some(users) => (users.grant(&user).await.map_err(failed)?, None),
            None => {
                let (password, block) = user.for_another_server().map_err(failed)?;
                (password, Some(block))
            }
        };
        Ok(Credentials { url: self.url.clone(), user: user.name, password, to_add })
    }

    async fn revoke(&self, name: &str) -> Result<(), AccessError> {
        let user = consumer_name(name);
        if let Some(users) = &self.users {
            let failed = |error| AccessError::new(format!("user {user}"), error);
            users.revoke(&user).await.map_err(failed)?;
        }
        for stream in [MARKET, TRADING, REFERENCE] {
            let failed = |error| AccessError::new(format!("consumer {user} on {stream}"), error);
            self.jetstream.drop_durable(stream, &user).await.map_err(failed)?;
        }
        Ok(())
    }
}
