//! What stands before a source: its limit and its breaker. All clients of a source under one credential share them, for
//! the source counts the requests of a key, whichever client sends them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Credentials;
use super::breaker::{Breaker, BreakerView};
use super::limit::Limit;
use crate::clock::Clock;

/// Limit and breaker of one source under one credential.
#[derive(Debug)]
pub(super) struct Guard {
    pub(super) limit: Limit,
    pub(super) breaker: Breaker,
    clock: Arc<dyn Clock>,
}

impl Guard {
    pub(super) fn new(requests_per_minute: u32, alone_max: Duration, clock: Arc<dyn Clock>) -> Self {
        Self {
            limit: Limit::new(requests_per_minute, Arc::clone(&clock)),
            breaker: Breaker::new(alone_max),
            clock,
        }
    }
}

/// What a client is there for, as people are told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Client {
    /// The service that it belongs to.
    pub service: &'static str,
    /// What is asked for: `live`, `actions`, `news` or `broker`.
    pub purpose: &'static str,
    /// Account of the broker; empty where it is no broker's.
    pub account: String,
}

/// How the breaker of one client stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientBreaker {
    /// The source that is asked.
    pub vendor: &'static str,
    /// What for.
    pub client: Client,
    /// How it stands.
    pub breaker: BreakerView,
}

/// One source under one credential. Where it is asked is part of it: Alpaca counts its market data and its trading apart.
struct Held {
    vendor: &'static str,
    base_url: String,
    credentials: Credentials,
    guard: Arc<Guard>,
}

#[derive(Default)]
struct State {
    held: Vec<Held>,
    clients: BTreeMap<(&'static str, Client), Arc<Guard>>,
}

/// The guards of a process, one for each source and credential. Other processes have their own.
#[derive(Default)]
pub struct Guards(Mutex<State>);

impl fmt::Debug for Guards {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Guards").finish_non_exhaustive()
    }
}

impl Guards {
    /// The guard of a source under a credential, which the first to ask makes; `client` is listed from then on.
    pub(super) fn of(
        &self,
        vendor: &'static str,
        (base_url, credentials): (&str, &Credentials),
        client: Option<&Client>,
        make: impl FnOnce() -> Guard,
    ) -> Arc<Guard> {
        let mut state = self.state();
        let held = state.held.iter().find(|held| {
            held.vendor == vendor && held.base_url == base_url && held.credentials.is(credentials)
        });
        let guard = match held {
            Some(held) => Arc::clone(&held.guard),
            None => {
                let guard = Arc::new(make());
                state.held.push(Held {
                    vendor,
                    base_url: base_url.to_owned(),
                    credentials: credentials.clone(),
                    guard: Arc::clone(&guard),
                });
                guard
            }
        };
        if let Some(client) = client {
            state.clients.insert((vendor, client.clone()), Arc::clone(&guard));
        }
        guard
    }

    /// How the breakers of a service's clients stand, by source, purpose and account.
    #[must_use]
    pub fn breakers(&self, service: &str) -> Vec<ClientBreaker> {
        let state = self.state();
        let own = state.clients.iter().filter(|((_, client), _)| client.service == service);
        own.map(|(&(vendor, ref client), guard)| ClientBreaker {
            vendor,
            client: client.clone(),
            breaker: guard.breaker.view(guard.clock.now_ns()),
        })
        .collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client's place among those of its process.
#[derive(Clone, Debug)]
pub struct Shared {
    /// The process's guards.
    pub guards: Arc<Guards>,
    /// What it is listed as; `None` for one that is there for a single question.
    pub client: Option<Client>,
}
