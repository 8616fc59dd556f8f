//! Rebuilds and verifications that were asked for on the tape (`control.projection.>`), done one by one.
//!
//! A request without an end on the tape is work to do, whoever asked and whenever: a process that is killed
//! in the middle leaves it there, and the next one does it. Of several processes that run projections one
//! leads (`projections::lead`). A second request for a read model whose first has not ended is refused.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use contracts::v1::event::Body;
use contracts::v1::{Event, ProjectionFinished, ProjectionOutcome, ProjectionRequested, ProjectionTask};
use contracts::{Subject, event_id, stream, to_timestamp};
use event_log::{Append, AppendError, Delivery, Expect, LogError, Tape};
use projections::{FingerprintError, Name, Port, RebuildError, VerifyError, fingerprint};
use sqlx::PgPool;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::SERVICE;

const FILTER: &str = "control.projection.>";
const BATCH_MAX: usize = 256;
/// Time between two attempts to lead, and after a failure.
const RETRY: Duration = Duration::from_secs(2);
/// How long a task on TRADING waits for its own request to be folded, so that what is compared is the same.
const FOLDED_MAX: Duration = Duration::from_secs(10);
const FOLDED_POLL: Duration = Duration::from_millis(20);

/// What is needed to do them.
#[derive(Clone)]
pub struct Jobs {
    /// The tape.
    pub tape: Tape,
    /// Connections that write read models.
    pub pool: PgPool,
    /// Where messages are parked.
    pub port: Arc<dyn Port>,
}

/// A request that has not ended.
#[derive(Clone, Debug, PartialEq)]
struct Request {
    id: String,
    sequence: u64,
    asked: ProjectionRequested,
}

#[derive(Debug, thiserror::Error)]
enum Interruption {
    #[error(transparent)]
    Tape(#[from] LogError),
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
}

impl Jobs {
    /// Does what is asked for until `shutdown`; whatever fails is begun again.
    pub async fn run(self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            match projections::lead(&self.pool).await {
                Ok(Some(leading)) => {
                    if let Err(error) = self.lead(&shutdown).await {
                        tracing::warn!(%error, "rebuilds and verifications are interrupted: {error}");
                    }
                    drop(leading);
                }
                Ok(None) => {}
                Err(error) => tracing::debug!(%error, "not leading: {error}"),
            }
            tokio::select! {
                () = tokio::time::sleep(RETRY) => {}
                () = shutdown.cancelled() => {}
            }
        }
    }

    async fn lead(&self, shutdown: &CancellationToken) -> Result<(), Interruption> {
        let head = self.tape.last_sequence(stream::TRADING, FILTER).await?;
        let mut reader = self.tape.read(stream::TRADING, &[FILTER.to_owned()], 0).await?;
        let mut open = VecDeque::new();
        let mut read_to = 0;
        while read_to < head {
            let batch = tokio::select! {
                batch = reader.batch(BATCH_MAX) => batch?,
                () = shutdown.cancelled() => return Ok(()),
            };
            read_to = batch.last().map_or(read_to, Delivery::sequence);
            fold(&mut open, batch);
        }
        let mut running: Option<(Request, JoinHandle<Option<ProjectionFinished>>)> = None;
        loop {
            self.refuse(running.as_ref().map(|(request, _)| request), &mut open, shutdown).await?;
            if running.is_none()
                && let Some(request) = open.pop_front()
            {
                let (jobs, next, stop) = (self.clone(), request.clone(), shutdown.clone());
                running = Some((request, tokio::spawn(async move { jobs.perform(&next, &stop).await })));
            }
            let ended = async {
                match &mut running {
                    Some((_, task)) => task.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                batch = reader.batch(BATCH_MAX) => fold(&mut open, batch?),
                outcome = ended => if let Some((request, _)) = running.take() {
                    let end = match outcome {
                        Ok(Some(end)) => end,
                        // Interrupted: it stays open, for whoever runs next.
                        Ok(None) => return Ok(()),
                        Err(error) => failed(format!("the task panicked: {error}")),
                    };
                    self.end(&request, end, shutdown).await?;
                },
                () = shutdown.cancelled() => {
                    // A rebuild that is told to stop takes back what it has begun.
                    if let Some((_, task)) = running.take() {
                        drop(task.await);
                    }
                    return Ok(());
                }
            }
        }
    }

    /// Refuses what cannot be begun, and keeps the rest.
    async fn refuse(
        &self,
        running: Option<&Request>,
        open: &mut VecDeque<Request>,
        shutdown: &CancellationToken,
    ) -> Result<(), Interruption> {
        let mut kept: VecDeque<Request> = VecDeque::new();
        while let Some(request) = open.pop_front() {
            let name = &request.asked.projection;
            let mut before = running.into_iter().chain(&kept);
            let refusal = match (name.parse::<Name>(), before.find(|other| other.asked.projection == *name)) {
                (Err(error), _) => error.to_string(),
                (Ok(_), Some(other)) => format!(
                    "{} of {name} was asked for by {} and has not ended",
                    other.asked.task().name().unwrap_or("something"),
                    other.asked.actor
                ),
                (Ok(_), None) => {
                    kept.push_back(request);
                    continue;
                }
            };
            let end = ProjectionFinished {
                outcome: ProjectionOutcome::Refused.into(),
                detail: refusal,
                ..ProjectionFinished::default()
            };
            self.end(&request, end, shutdown).await?;
        }
        *open = kept;
        Ok(())
    }

    /// Says on the tape what came of a request.
    async fn end(
        &self,
        request: &Request,
        end: ProjectionFinished,
        shutdown: &CancellationToken,
    ) -> Result<(), Interruption> {
        let (asked, outcome) = (&request.asked, end.outcome());
        let task = asked.task().name().unwrap_or("nothing");
        tracing::info!(
            projection = asked.projection,
            correlation_id = request.id,
            "{task} of {} asked for by {}: {} {}",
            asked.projection,
            asked.actor,
            outcome.as_str_name().trim_start_matches("PROJECTION_OUTCOME_").to_lowercase(),
            end.detail
        );
        let body = ProjectionFinished {
            projection: asked.projection.clone(),
            task: asked.task,
            request_id: request.id.clone(),
            ..end
        };
        let event = Event {
            id: event_id(&request.id, "projection_finished", 0),
            event_time: Some(to_timestamp(runtime::now_ns())),
            source: SERVICE.to_owned(),
            correlation_id: request.id.clone(),
            causation_id: request.id.clone(),
            body: Some(Body::ProjectionFinished(body)),
            ..Event::default()
        };
        let Some(subject) = Subject::for_event(&event, None) else { return Ok(()) };
        runtime::append(&self.tape, shutdown, Append { subject, event, expect: Expect::Nothing }).await?;
        Ok(())
    }

    /// Does one; `None` when it was interrupted.
    async fn perform(&self, request: &Request, shutdown: &CancellationToken) -> Option<ProjectionFinished> {
        let began = Instant::now();
        let Ok(name) = request.asked.projection.parse::<Name>() else { return Some(failed("no such name")) };
        self.folded(name, request.sequence).await;
        let outcome = match request.asked.task() {
            ProjectionTask::Rebuild => self.rebuild(name, shutdown).await,
            ProjectionTask::Verify => tokio::select! {
                outcome = self.verify(name) => outcome,
                () = shutdown.cancelled() => return None,
            },
            ProjectionTask::Unspecified => Err("a task that is not stated".to_owned()),
        };
        if shutdown.is_cancelled() {
            return None;
        }
        let end = outcome.unwrap_or_else(failed);
        let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Some(ProjectionFinished { duration_ms, ..end })
    }

    async fn rebuild(&self, name: Name, shutdown: &CancellationToken) -> Result<ProjectionFinished, String> {
        let unread = |error: FingerprintError| error.to_string();
        let before = fingerprint(&self.pool, &self.tape, name).await.map_err(unread)?;
        let report = projections::rebuild(&self.pool, &self.tape, name, self.port.as_ref(), shutdown)
            .await
            .map_err(|error: RebuildError| error.to_string())?;
        let after = fingerprint(&self.pool, &self.tape, name).await.map_err(unread)?;
        Ok(ProjectionFinished {
            outcome: ProjectionOutcome::Succeeded.into(),
            sequence: after.sequence,
            messages: report.messages,
            state_hash: after.hash,
            state_hash_before: before.hash,
            sequence_before: before.sequence,
            ..ProjectionFinished::default()
        })
    }

    async fn verify(&self, name: Name) -> Result<ProjectionFinished, String> {
        let report = projections::verify(&self.pool, &self.tape, name)
            .await
            .map_err(|error: VerifyError| error.to_string())?;
        let differences = report.differences();
        let outcome =
            if differences == 0 { ProjectionOutcome::Succeeded } else { ProjectionOutcome::Differs };
        Ok(ProjectionFinished {
            outcome: outcome.into(),
            detail: report.first.map(|first| first.to_string()).unwrap_or_default(),
            sequence: report.sequence,
            messages: report.messages,
            differences,
            state_hash: report.state_hash,
            ..ProjectionFinished::default()
        })
    }

    /// Waits until a read model of TRADING holds the request itself; not for ever, it may be at fault.
    async fn folded(&self, name: Name, sequence: u64) {
        if name != Name::Trading && name != Name::Jobs {
            return;
        }
        let holds = async || {
            let rows = projections::queries::checkpoints(&self.pool).await.unwrap_or_default();
            rows.iter().any(|row| row.name == name.name() && row.sequence >= sequence)
        };
        let _ = tokio::time::timeout(FOLDED_MAX, async {
            while !holds().await {
                tokio::time::sleep(FOLDED_POLL).await;
            }
        })
        .await;
    }
}

fn failed(why: impl Into<String>) -> ProjectionFinished {
    ProjectionFinished {
        outcome: ProjectionOutcome::Failed.into(),
        detail: why.into(),
        ..ProjectionFinished::default()
    }
}

/// Adds what is asked for and takes away what has ended. What cannot be read is the read model's to park.
fn fold(open: &mut VecDeque<Request>, batch: Vec<Delivery>) {
    for delivery in batch {
        let Delivery::Event(recorded) = delivery else { continue };
        match recorded.event.body {
            Some(Body::ProjectionRequested(asked)) => {
                open.push_back(Request { id: recorded.event.id, sequence: recorded.sequence, asked });
            }
            Some(Body::ProjectionFinished(end)) => open.retain(|request| request.id != end.request_id),
            _ => {}
        }
    }
}
