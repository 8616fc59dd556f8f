//! Requests that change something: sent once, whatever becomes of them.
//!
//! No answer does not mean that nothing happened. Whoever sent it asks what became of it before anything else.

use reqwest::StatusCode;
use serde_json::Value;

use super::retry::retry_after;
use super::{Http, told, words};
use crate::error::{Refusal, VendorError};

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of HTTP")]
pub enum Method {
    Post,
    Patch,
    Delete,
}

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status of HTTP.
    pub status: u16,
    /// Body.
    pub body: Vec<u8>,
    /// The vendor's words in an answer that is an error.
    pub words: String,
}

impl Http {
    /// Sends a request once. An error is the absence of an answer; `Limited` means that nothing was sent.
    ///
    /// What `Retry-After` asks for holds back the requests after it, for a question's deadline at most.
    pub async fn once(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, VendorError> {
        self.not_alone()?;
        self.guard.limit.pass(&*self.clock).await;
        let leave = self.leave()?;
        let url = format!("{}{path}", self.config.base_url);
        let request = match method {
            Method::Post => self.client.post(&url),
            Method::Patch => self.client.patch(&url),
            Method::Delete => self.client.delete(&url),
        };
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let lost = |what: String| {
            leave.failed(&what, self.clock.now_ns());
            VendorError::Transient { vendor: self.vendor, what, attempts: 1 }
        };
        let response = request.send().await.map_err(|error| lost(self.redact(&told(&error))))?;
        let status = response.status();
        let now_ns = self.clock.now_ns();
        self.guard.limit.correct(response.headers(), now_ns);
        let turned_away = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
        if turned_away && let Some(after) = retry_after(response.headers(), now_ns) {
            // Whoever sent it asks next what became of it, and waits no longer than a question may take.
            self.guard.limit.hold(after.min(self.config.deadline), now_ns);
        }
        let body = match self.body(response).await {
            Ok(body) => body,
            Err(Some(error)) => return Err(lost(self.redact(&told(&error)))),
            Err(None) => return Err(self.broken("an answer that is too large".to_owned())),
        };
        let words = if status.is_success() { String::new() } else { self.redact(&words(&body)) };
        if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT {
            leave.failed(&format!("{status}: {words}"), self.clock.now_ns());
        } else {
            leave.succeeded();
        }
        Ok(Answer { status: status.as_u16(), body, words })
    }

    /// The answer to a GET of `path` with `query`; `None` where the vendor says that there is no such thing.
    pub async fn find(&self, path: &str, query: &[(&str, &str)]) -> Result<Option<Vec<u8>>, VendorError> {
        match self.get(path, query).await {
            Ok(body) => Ok(Some(body)),
            Err(VendorError::Refused { kind: Refusal::Unknown, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
