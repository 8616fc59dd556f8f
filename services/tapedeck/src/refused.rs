//! Connections of external strategies that the server refuses, because they have as many as they may: counted, and an alert
//! until none was refused for a minute.
//!
//! The server says so itself, on a subject that the account of the tape hears (`deploy/local-servers`). Where a server of the
//! user's own does not pass it on, nothing is heard. Deliberately absent: the bound, which is the server's to hold.

use std::collections::BTreeMap;
use std::time::Duration;

use contracts::stream;
use contracts::v1::event::Body;
use event_log::{LogError, Tape, events_under};
use projections::queries::CONNECTIONS;
use runtime::metrics::metrics;
use runtime::{Alerts, Context, consumer_name};
use serde::Deserialize;
use tokio::time::Instant;

use crate::checker::SERVICE;

/// Where the server says that a connection has ended.
const ENDED: &str = "$SYS.ACCOUNT.*.DISCONNECT";
/// Its reason where an account had as many as it may.
const TOO_MANY: &str = "Maximum Account Connections Exceeded";
/// For how long none may be refused until the alert is over.
const QUIET: Duration = Duration::from_secs(60);
/// Looks within that time at what is over.
const LOOKS: u32 = 12;
/// Pause before the server is listened to again.
const PAUSE: Duration = Duration::from_secs(5);

/// What the server says of a connection that ended.
#[derive(Deserialize)]
struct Ended {
    client: Who,
    reason: String,
}

#[derive(Deserialize)]
struct Who {
    #[serde(default)]
    user: String,
}

/// Listens until shutdown.
pub async fn run(context: Context, instance: String) {
    let mut alerts = Alerts::new(instance);
    while !context.shutdown.is_cancelled() {
        if let Err(error) = listen(&context, &mut alerts, QUIET).await {
            tracing::warn!(%error, "refused connections are not heard: {error}");
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = context.shutdown.cancelled() => {}
            }
        }
    }
}

async fn listen(context: &Context, alerts: &mut Alerts, quiet: Duration) -> Result<(), LogError> {
    let (tape, shutdown) = (&context.tape, &context.shutdown);
    let mut hints = tape.hints(ENDED).await?;
    let mut refused = raised(tape).await?;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            hint = hints.next() => {
                if let Some(user) = user(&hint?.payload) {
                    metrics().connections_refused.with(&[&user]).increment();
                    let words = format!("{user} is refused connections: it has as many as it may");
                    alerts.state(tape, shutdown, SERVICE, &kind(&user), (true, words)).await;
                    refused.insert(user, Instant::now());
                }
            }
            () = tokio::time::sleep(quiet / LOOKS) => {}
        }
        let over: Vec<String> =
            refused.iter().filter(|(_, at)| at.elapsed() >= quiet).map(|(user, _)| user.clone()).collect();
        for user in over {
            let words = format!("{user} is refused no connection any more");
            if alerts.state(tape, shutdown, SERVICE, &kind(&user), (false, words)).await {
                refused.remove(&user);
            }
        }
    }
}

fn kind(user: &str) -> String {
    format!("{CONNECTIONS}{user}")
}

/// The strategy's user whose connection was refused; `None` where it ended otherwise, or is another program's on a server of
/// the user's own.
fn user(payload: &[u8]) -> Option<String> {
    let ended: Ended = serde_json::from_slice(payload).ok()?;
    let user = ended.client.user;
    (ended.reason == TOO_MANY && user.starts_with(&consumer_name(""))).then_some(user)
}

/// Who was refused connections before this process listened, as far as that is not over: as if it were now.
async fn raised(tape: &Tape) -> Result<BTreeMap<String, Instant>, LogError> {
    let mut users = BTreeMap::new();
    let filters = ["control.source.*.alert".to_owned()];
    for recorded in events_under(tape, stream::TRADING, &filters, 1..=u64::MAX).await? {
        let Some(Body::AlertRaised(alert)) = recorded.event.body else { continue };
        let Some(user) = alert.kind.strip_prefix(CONNECTIONS) else { continue };
        if alert.cleared {
            users.remove(user);
        } else {
            users.insert(user.to_owned(), Instant::now());
        }
    }
    Ok(users)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use event_log::{EventLog as _, MemoryLog};
    use runtime::{ClockMode, Health};
    use tokio_util::sync::CancellationToken;

    use super::*;

    fn ended(user: &str, reason: &str) -> Vec<u8> {
        serde_json::json!({ "client": { "user": user, "acc": "a" }, "reason": reason })
            .to_string()
            .into_bytes()
    }

    #[test]
    fn a_connection_that_ends_otherwise_is_not_refused() {
        assert_eq!(user(&ended("strategy-one", TOO_MANY)).as_deref(), Some("strategy-one"));
        assert_eq!(user(&ended("strategy-one", "Client Closed")), None);
        assert_eq!(user(&ended("somebody", TOO_MANY)), None, "another program's");
        assert_eq!(user(b"no json"), None);
    }

    /// Kinds of the alerts on the tape, and whether each was the end of one.
    async fn told(tape: &Tape) -> Vec<(String, bool)> {
        let filters = ["control.>".to_owned()];
        let all = events_under(tape, stream::TRADING, &filters, 1..=u64::MAX).await.unwrap().into_iter();
        all.filter_map(|recorded| match recorded.event.body {
            Some(Body::AlertRaised(alert)) => Some((alert.kind, alert.cleared)),
            _ => None,
        })
        .collect()
    }

    async fn until_told(tape: &Tape, count: usize) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while told(tape).await.len() < count {
            assert!(Instant::now() < deadline, "{:?}", told(tape).await);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn who_is_refused_is_one_alert_until_it_is_quiet_whoever_listens() {
        let log = MemoryLog::new();
        let tape: Tape = Arc::new(log.clone());
        let listening = |instance: &str, quiet: Duration| {
            let (shutdown, instance) = (CancellationToken::new(), instance.to_owned());
            let context = Context {
                tape: Arc::clone(&tape),
                health: Health::default(),
                shutdown: shutdown.clone(),
                clock: ClockMode::Wall,
            };
            let task = tokio::spawn(async move { listen(&context, &mut Alerts::new(instance), quiet).await });
            (shutdown, task)
        };
        let subject = "$SYS.ACCOUNT.user-strategy-one.DISCONNECT";
        let (shutdown, task) = listening("one", QUIET);
        // A hint that nobody listens to yet passes by.
        while told(&tape).await.is_empty() {
            log.hint(subject, ended("strategy-one", "Client Closed")).await.unwrap();
            log.hint(subject, ended("strategy-one", TOO_MANY)).await.unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(metrics().connections_refused.with(&["strategy-one"]).get() >= 1);
        shutdown.cancel();
        task.await.unwrap().unwrap();
        let kind = "connections_strategy-one".to_owned();
        assert_eq!(told(&tape).await, [(kind.clone(), false)]);

        let (shutdown, task) = listening("two", Duration::from_millis(50));
        until_told(&tape, 2).await;
        shutdown.cancel();
        task.await.unwrap().unwrap();
        assert_eq!(told(&tape).await, [(kind.clone(), false), (kind, true)]);
    }
}
