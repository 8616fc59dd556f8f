//! Alerts of what concerns all accounts, such as a breaker that opens: raised once on the tape, and ended once.
//!
//! Each has a kind, and a subject of its own: a process that starts finds there what one before it left raised. Deliberately
//! absent: what is the matter meanwhile, which health and metrics show.

use std::collections::BTreeMap;
use std::time::Duration;

use contracts::v1::event::Body;
use contracts::v1::{AlertRaised, Event, SourceBreaker};
use contracts::{Subject, event_id, stream, to_timestamp};
use event_log::{Append, Expect, Tape, last_of};
use tokio_util::sync::CancellationToken;

use crate::clock::now_ns;
use crate::health::{BREAKER_OPEN, Health};

/// The state of a breaker that holds nothing back. Between both the next request decides.
const CLOSED: &str = "closed";
/// Time between two looks at the breakers.
const EVERY: Duration = Duration::from_secs(1);

/// States what is raised and what is over, as far as the tape does not say so yet.
#[derive(Debug)]
pub struct Alerts {
    /// Unique per process start.
    instance: String,
    /// Of each kind, whether it is raised on the tape.
    raised: BTreeMap<String, bool>,
    count: u32,
}

impl Alerts {
    /// Those of the process that `instance` is the name of.
    #[must_use]
    pub fn new(instance: String) -> Self {
        Self { instance, raised: BTreeMap::new(), count: 0 }
    }

    /// Has the tape say of `kind` whether it is raised, in the name of a service; answers whether it does. What cannot be read
    /// or written is logged, and stated with the next call. What another process has said already is not said again.
    pub async fn state(
        &mut self,
        tape: &Tape,
        shutdown: &CancellationToken,
        service: &str,
        kind: &str,
        (raised, detail): (bool, String),
    ) -> bool {
        if self.raised.get(kind) == Some(&raised) {
            return true;
        }
        self.count = self.count.wrapping_add(1);
        let id = event_id(&format!("{}/{kind}", self.instance), "alert", self.count);
        let alert = AlertRaised { kind: kind.to_owned(), detail, cleared: !raised, ..AlertRaised::default() };
        let event = Event {
            correlation_id: id.clone(),
            id,
            event_time: Some(to_timestamp(now_ns())),
            source: service.to_owned(),
            schema_version: 1,
            body: Some(Body::AlertRaised(alert)),
            ..Event::default()
        };
        let Some(subject) = Subject::for_event(&event, None) else { return false };
        let filter = subject.as_str().to_owned();
        let last = match last_of(tape, stream::TRADING, &filter).await {
            Ok(last) => last,
            Err(error) => {
                tracing::warn!(%error, service, "whether alert {kind} is raised: {error}");
                return false;
            }
        };
        let body = last.event.and_then(|last| last.event.body);
        let said = matches!(body, Some(Body::AlertRaised(alert)) if !alert.cleared);
        if said != raised {
            let expect = Expect::Last { filter, sequence: last.sequence };
            if let Err(error) = crate::append(tape, shutdown, Append { subject, event, expect }).await {
                tracing::warn!(%error, service, "alert {kind} not written: {error}");
                return false;
            }
        }
        self.raised.insert(kind.to_owned(), raised);
        true
    }

    /// States of every breaker of a process whether it is open, until shutdown.
    pub async fn of_breakers(mut self, tape: Tape, health: Health, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            for service in health.all().into_keys() {
                for breaker in health.breakers(&service) {
                    self.breaker(&tape, &shutdown, &service, &breaker).await;
                }
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = shutdown.cancelled() => {}
            }
        }
    }

    async fn breaker(
        &mut self,
        tape: &Tape,
        shutdown: &CancellationToken,
        service: &str,
        breaker: &SourceBreaker,
    ) {
        let SourceBreaker { source, account, client, failures, last_failure, .. } = breaker;
        let of = if account.is_empty() { String::new() } else { format!(" (account {account})") };
        let stated = match breaker.state.as_str() {
            BREAKER_OPEN => {
                let why = format!("after {failures} failures in a row, the last: {last_failure}");
                (true, format!("{source}{of} is not asked {why}"))
            }
            CLOSED => (false, format!("{source}{of} is asked again")),
            _ => return,
        };
        let of = if account.is_empty() { String::new() } else { format!("_{account}") };
        let kind = format!("breaker_{service}_{source}_{client}{of}");
        self.state(tape, shutdown, service, &kind, stated).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use event_log::{EventLog as _, MemoryLog, events_under};

    use super::*;
    use crate::{Breakers, HealthState};

    #[derive(Debug, Default)]
    struct Switch(Mutex<String>);

    impl Switch {
        fn is(&self, state: &str) {
            state.clone_into(&mut self.0.lock().unwrap());
        }
    }

    impl Breakers for Switch {
        fn of(&self, service: &str) -> Vec<SourceBreaker> {
            let breaker = SourceBreaker {
                source: "alpaca".to_owned(),
                client: "broker".to_owned(),
                account: "paper".to_owned(),
                state: self.0.lock().unwrap().clone(),
                failures: 5,
                last_failure: "503: busy".to_owned(),
                ..SourceBreaker::default()
            };
            if service == "execution" { vec![breaker] } else { Vec::new() }
        }
    }

    /// What a process that runs for a moment says.
    async fn told(
        log: &MemoryLog,
        switch: &Arc<Switch>,
        instance: &str,
        states: &[&str],
    ) -> Vec<(String, bool)> {
        let tape: Tape = Arc::new(log.clone());
        let health = Health::watching(Arc::clone(switch) as _);
        health.set("execution", HealthState::Ready, "");
        let mut alerts = Alerts::new(instance.to_owned());
        for state in states {
            switch.is(state);
            for breaker in health.breakers("execution") {
                alerts.breaker(&tape, &CancellationToken::new(), "execution", &breaker).await;
            }
        }
        let subject = "control.source.breaker_execution_alpaca_broker_paper.alert".to_owned();
        assert_eq!(
            log.last_sequence(stream::TRADING, "control.>").await.unwrap(),
            log.last_sequence(stream::TRADING, &subject).await.unwrap(),
        );
        let all = events_under(&tape, stream::TRADING, &[subject], 1..=u64::MAX).await.unwrap().into_iter();
        all.filter_map(|recorded| match recorded.event.body {
            Some(Body::AlertRaised(alert)) => Some((alert.detail, alert.cleared)),
            _ => None,
        })
        .collect()
    }

    #[tokio::test]
    async fn a_breaker_that_opens_is_one_alert_until_it_is_closed_whoever_looks() {
        let (log, switch) = (MemoryLog::new(), Arc::new(Switch::default()));
        assert!(told(&log, &switch, "one", &["closed"]).await.is_empty());
        let opened = told(&log, &switch, "two", &["closed", "open", "open", "half_open", "open"]).await;
        let words =
            "alpaca (account paper) is not asked after 5 failures in a row, the last: 503: busy".to_owned();
        assert_eq!(opened, [(words.clone(), false)]);
        assert_eq!(told(&log, &switch, "three", &["open"]).await, opened, "said already");
        let over = ("alpaca (account paper) is asked again".to_owned(), true);
        assert_eq!(told(&log, &switch, "four", &["half_open", "closed"]).await, [(words, false), over]);
    }

    #[tokio::test]
    async fn two_processes_that_see_the_same_say_it_once() {
        let tape: Tape = Arc::new(MemoryLog::new());
        let shutdown = CancellationToken::new();
        let mut both = ["one", "two"].map(|instance| Alerts::new(instance.to_owned()));
        for raised in [false, true, true, false, true] {
            for alerts in &mut both {
                let stated = (raised, String::new());
                assert!(alerts.state(&tape, &shutdown, "checker", "connections_x", stated).await);
            }
        }
        let filters = ["control.>".to_owned()];
        let all = events_under(&tape, stream::TRADING, &filters, 1..=u64::MAX).await.unwrap().into_iter();
        let ends: Vec<bool> = all
            .filter_map(|recorded| match recorded.event.body {
                Some(Body::AlertRaised(alert)) => Some(alert.cleared),
                _ => None,
            })
            .collect();
        assert_eq!(ends, [false, true, false]);
    }
}
