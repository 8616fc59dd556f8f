//! The services of this process in the NATS services API: `nats micro ls` finds each.

use std::collections::HashMap;
use std::sync::Arc;

use event_log::{Answers, Introduced, Introduction, JetStreamLog};
use runtime::metrics::metrics;
use runtime::{Health, ServiceHealth};
use serde_json::{Value, json};

use crate::cli::Service;

/// A service's word for itself.
struct Spokesman {
    service: &'static str,
    health: Health,
}

impl Spokesman {
    fn statement(&self) -> Option<ServiceHealth> {
        self.health.all().remove(self.service)
    }
}

impl Answers for Spokesman {
    fn health(&self) -> Value {
        match self.statement() {
            Some(statement) => json!({
                "service": self.service,
                "state": statement.state.name(),
                "detail": statement.detail,
            }),
            None => json!({ "service": self.service, "state": "starting", "detail": "" }),
        }
    }

    fn statistics(&self) -> Value {
        let total = |family: &runtime::metrics::Family<runtime::metrics::Counter>| {
            family.all().iter().map(|(_, counter)| counter.get()).sum::<u64>()
        };
        json!({
            "health": self.health(),
            // Of the process: its services share one tape handle.
            "process": {
                "events_appended": total(&metrics().events_appended),
                "events_read": total(&metrics().events_read),
                "append_failures": total(&metrics().append_failures),
            },
        })
    }
}

/// Introduces each of `wanted`; one that cannot be introduced is logged, and works all the same.
pub async fn introduce(
    log: &JetStreamLog,
    wanted: impl IntoIterator<Item = Service>,
    tape: &str,
    instance: &str,
    health: &Health,
) -> Vec<Introduced> {
    let mut introduced = Vec::new();
    for service in wanted {
        let introduction = Introduction {
            name: service.name().to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            description: service.description().to_owned(),
            metadata: HashMap::from([
                ("tape".to_owned(), tape.to_owned()),
                ("instance".to_owned(), instance.to_owned()),
            ]),
        };
        let answers = Arc::new(Spokesman { service: service.name(), health: health.clone() });
        match log.introduce(introduction, answers).await {
            Ok(service) => introduced.push(service),
            Err(error) => tracing::warn!(service = service.name(), "not in the services API: {error}"),
        }
    }
    introduced
}
