//! Services: the last heartbeat of each instance.

use askama::Template;
use projections::queries::{self, HeartbeatRow};
use runtime::SILENT_AFTER_NS;

use super::SERVICES;
use crate::pages::{Body, Rendering, Scope, Shown};
use crate::view::{Instant, duration_words};

/// Instances that ended longer ago are not shown.
const FORGOTTEN_AFTER_NS: i64 = 3_600_000_000_000;

#[derive(Clone, Debug)]
struct Row {
    id: String,
    service: String,
    state: String,
    badge: &'static str,
    detail: String,
    beat: Instant,
    version: String,
    instance: String,
    running: String,
}

#[derive(Template)]
#[template(path = "system/services.html")]
struct ServicesPanel {
    v: u64,
    body: Body<Vec<Row>>,
}

/// Every service.
pub async fn table(scope: &Scope<'_>) -> Rendering {
    let read = async {
        let now_ns = runtime::now_ns();
        let mut beats = queries::heartbeats(&scope.app.config.pool).await?;
        // Of each service the newest instance, and others that have not long ended.
        let mut last = String::new();
        beats.retain(|beat| {
            let newest = beat.service != last;
            last.clone_from(&beat.service);
            newest || now_ns - beat.beat_at_ns < FORGOTTEN_AFTER_NS
        });
        let rows: Vec<Row> = beats.iter().map(|beat| Row::of(beat, now_ns)).collect();
        Ok::<_, queries::QueryError>((!rows.is_empty()).then_some(rows))
    };
    let body = Body::read(scope, &SERVICES, read).await;
    ServicesPanel { v: scope.version, body }.render()
}

impl Row {
    fn of(beat: &HeartbeatRow, now_ns: i64) -> Self {
        let silent = now_ns - beat.beat_at_ns > SILENT_AFTER_NS;
        let (state, badge) = match beat.state.as_str() {
            "stopping" => ("stopped", "badge-flat"),
            _ if silent => ("silent", "badge-loss"),
            "ready" => ("ready", "badge-gain"),
            "degraded" => ("degraded", "badge-warn"),
            other => (other, "badge-accent"),
        };
        Self {
            id: format!("svc-{}-{}", beat.service, beat.instance),
            service: beat.service.clone(),
            state: state.to_owned(),
            badge,
            detail: beat.detail.clone(),
            beat: Instant(beat.beat_at_ns),
            version: beat.program_version.clone(),
            instance: beat.instance.clone(),
            running: beat
                .started_at_ns
                .map_or_else(|| "–".to_owned(), |start| duration_words(beat.beat_at_ns - start)),
        }
    }
}
