//! The NATS services API: a service of this process as `nats micro ls` finds it.
//!
//! Requests under `$SRV.PING`, `$SRV.INFO` and `$SRV.STATS` are answered by the client library; the
//! endpoint `health` says how the service is. They use the connection of the bulk reads: a question of an
//! operator never stands in front of an append.

use std::collections::HashMap;
use std::sync::Arc;

use async_nats::service::ServiceExt as _;
use futures::StreamExt as _;
use serde_json::Value;
use tokio::task::JoinHandle;

use super::JetStreamLog;
use crate::LogError;

/// How a service introduces itself.
#[derive(Clone, Debug)]
pub struct Introduction {
    /// Name: letters, digits, `-` and `_`.
    pub name: String,
    /// Version of the program, for example `0.1.0`.
    pub version: String,
    /// What it does, in one sentence.
    pub description: String,
    /// Further facts, for example the tape's name.
    pub metadata: HashMap<String, String>,
}

/// What an introduced service answers.
pub trait Answers: Send + Sync + 'static {
    /// How it is, for the endpoint `health`.
    fn health(&self) -> Value;
    /// What it counted, for `$SRV.STATS`.
    fn statistics(&self) -> Value;
}

/// A service that answers, until it is dropped or [`Introduced::leave`] is called.
#[derive(Debug)]
pub struct Introduced {
    service: Option<async_nats::service::Service>,
    answering: JoinHandle<()>,
}

impl JetStreamLog {
    /// Introduces a service; its health is asked for under `tapedeck.<name>.health`.
    pub async fn introduce(
        &self,
        introduction: Introduction,
        answers: Arc<dyn Answers>,
    ) -> Result<Introduced, LogError> {
        let Introduction { name, version, description, metadata } = introduction;
        let failed = |error: async_nats::Error| LogError::new(format!("introduce service {name}"), error);
        let counted = Arc::clone(&answers);
        let service = self
            .inner
            .bulk
            .client
            .service_builder()
            .description(description)
            .metadata(metadata)
            .stats_handler(move |_, _| counted.statistics())
            .start(&name, version)
            .await
            .map_err(failed)?;
        let endpoint = service.endpoint_builder().name("health").add(format!("tapedeck.{name}.health")).await;
        let mut requests = endpoint.map_err(failed)?;
        let answering = tokio::spawn(async move {
            while let Some(request) = requests.next().await {
                let answer = answers.health().to_string();
                if let Err(error) = request.respond(Ok(answer.into())).await {
                    tracing::debug!(%error, "a question for health was not answered");
                }
            }
        });
        Ok(Introduced { service: Some(service), answering })
    }
}

impl Introduced {
    /// Stops answering.
    pub async fn leave(mut self) {
        if let Some(service) = self.service.take()
            && let Err(error) = service.stop().await
        {
            tracing::debug!(%error, "a service did not leave cleanly");
        }
    }
}

impl Drop for Introduced {
    fn drop(&mut self) {
        self.answering.abort();
    }
}
