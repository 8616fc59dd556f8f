//! The way to the collector: HTTP on this process's own Tokio runtime, for exporters that run on threads of
//! their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use tokio::runtime::Handle;

use crate::metrics::metrics;

/// A client for one kind of telemetry; clones share the connection.
#[derive(Clone, Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    runtime: Handle,
    signal: &'static str,
    /// Whether the last batch of any kind was not taken: said once.
    failing: Arc<AtomicBool>,
}

impl Client {
    /// A client that waits at most `timeout` for an answer. Called inside a Tokio runtime.
    pub fn new(timeout: Duration) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder().timeout(timeout).no_proxy().build()?;
        Ok(Self { http, runtime: Handle::current(), signal: "traces", failing: Arc::default() })
    }

    /// The same for another kind of telemetry.
    pub fn of(&self, signal: &'static str) -> Self {
        Self { signal, ..self.clone() }
    }

    fn note(&self, problem: Option<&str>) {
        let Some(problem) = problem else {
            if self.failing.swap(false, Ordering::Relaxed) {
                tracing::info!("telemetry is exported again");
            }
            return;
        };
        metrics().export_failures.with(&[self.signal]).increment();
        if !self.failing.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                signal = self.signal,
                "telemetry is not exported and is dropped until it works again: {problem}"
            );
        }
    }
}

async fn send(http: reqwest::Client, request: Request<Bytes>) -> Result<Response<Bytes>, reqwest::Error> {
    let answer = http.execute(request.try_into()?).await?;
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    *response.body_mut() = answer.bytes().await?;
    Ok(response)
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = self.runtime.spawn(send(self.http.clone(), request)).await;
        let outcome = match sent {
            Ok(Ok(response)) => {
                let status = response.status();
                let problem = (!status.is_success()).then(|| format!("the collector answered {status}"));
                self.note(problem.as_deref());
                return Ok(response);
            }
            Ok(Err(error)) => HttpError::from(error),
            Err(error) => HttpError::from(error),
        };
        let mut problem = outcome.to_string();
        let mut cause = outcome.source();
        while let Some(next) = cause {
            problem = format!("{problem}: {next}");
            cause = next.source();
        }
        self.note(Some(&problem));
        Err(outcome)
    }
}
