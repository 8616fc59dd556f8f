//! Servers: NATS with the streams, PostgreSQL, and what `tapedeck doctor` finds.

use askama::Template;
use projections::queries::{self, DatabaseHealth};

use super::{DATABASE, FINDINGS, NATS};
use crate::pages::{Body, Rendering, Scope, Shown};
use crate::probe::{Finding, NatsHealth, Severity};
use crate::view::size;

#[derive(Template)]
#[template(path = "system/nats.html")]
struct NatsPanel {
    v: u64,
    body: Body<NatsHealth>,
}

#[derive(Template)]
#[template(path = "system/database.html")]
struct DatabasePanel {
    v: u64,
    body: Body<DatabaseHealth>,
}

#[derive(Template)]
#[template(path = "system/findings.html")]
struct FindingsPanel {
    v: u64,
    body: Body<Vec<Finding>>,
}

/// The NATS server and the streams.
pub async fn nats(scope: &Scope<'_>) -> Rendering {
    let read = async { scope.app.config.probe.nats().await.map(Some) };
    let body = Body::read(scope, &NATS, read).await;
    NatsPanel { v: scope.version, body }.render()
}

/// The database.
pub async fn database(scope: &Scope<'_>) -> Rendering {
    let read = async { queries::database_health(&scope.app.config.pool).await.map(Some) };
    let body = Body::read(scope, &DATABASE, read).await;
    DatabasePanel { v: scope.version, body }.render()
}

/// What is wrong, the worst first; what is well comes last.
pub async fn findings(scope: &Scope<'_>) -> Rendering {
    let read = async {
        let mut findings = scope.app.config.probe.findings().await;
        findings.sort_by_key(|finding| match finding.severity {
            Severity::Bad => 0,
            Severity::Warning => 1,
            Severity::Good => 2,
        });
        findings.truncate(100);
        Ok::<_, String>((!findings.is_empty()).then_some(findings))
    };
    let body = Body::read(scope, &FINDINGS, read).await;
    FindingsPanel { v: scope.version, body }.render()
}

/// How a finding is shown: a sign and a word, never colour alone.
fn mark(finding: &Finding) -> (&'static str, &'static str, &'static str) {
    match finding.severity {
        Severity::Good => ("badge-gain", "✓", "good"),
        Severity::Warning => ("badge-warn", "!", "look"),
        Severity::Bad => ("badge-loss", "✗", "mend"),
    }
}

/// Milliseconds for people.
fn milliseconds(ms: &f64) -> String {
    format!("{ms:.1} ms")
}
