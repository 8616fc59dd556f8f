//! Faults of requests.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ledger::Vendor;
use crate::line::Cut;

/// The largest answer that a fault works on.
const BODY_MAX: usize = 64 << 20;

/// Time for the beginning of an answer to leave before its end fails.
const FLUSH: Duration = Duration::from_millis(50);

const fn once() -> u32 {
    1
}

/// Which requests meet a fault.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HttpRule {
    /// Whose.
    pub vendor: Vendor,
    /// GET and so on; every one when left out.
    #[serde(default)]
    pub method: Option<String>,
    /// Paths that begin so; every one when left out.
    #[serde(default)]
    pub path: String,
    /// How many requests meet it.
    #[serde(default = "once")]
    pub times: u32,
    /// Whether the request takes effect before.
    #[serde(default)]
    pub when: When,
    /// What happens to them.
    #[serde(flatten)]
    pub fault: HttpFault,
}

/// Whether a request that meets a fault takes effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// It does not: an order is not there.
    #[default]
    Before,
    /// It does, and only the answer goes wrong: an order is there.
    After,
}

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum HttpFault {
    /// It is answered with something else.
    Answer {
        /// The status.
        status: u16,
        /// Headers.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        /// The body: a string as it is, anything else as JSON.
        #[serde(default)]
        body: Value,
    },
    /// It is answered late.
    Delay {
        /// How long.
        ms: u64,
    },
    /// It is never answered.
    Hang,
    /// The connection ends without an answer.
    Cut,
    /// The answer ends after so many bytes of its body, and the connection with it.
    Truncate {
        /// How many bytes.
        bytes: usize,
    },
    /// The answer's body comes in pieces with a pause between them.
    Trickle {
        /// The size of a piece.
        bytes: usize,
        /// The pause.
        ms: u64,
    },
    /// Fields of the answer's JSON are replaced; `null` takes one out.
    Patch {
        /// Merged into the answer (RFC 7396).
        merge: Value,
    },
}

impl HttpRule {
    /// Whether a request is meant.
    #[must_use]
    pub fn fits(&self, vendor: Vendor, method: &str, path: &str) -> bool {
        self.vendor == vendor
            && path.starts_with(&self.path)
            && self.method.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
    }
}

/// The answer that a fault makes of `answer`.
pub async fn apply(fault: &HttpFault, answer: impl Future<Output = Response>, cut: &Cut) -> Response {
    match fault {
        HttpFault::Answer { status, headers, body } => {
            drop(answer.await);
            instead(*status, headers, body)
        }
        HttpFault::Delay { ms } => {
            tokio::time::sleep(Duration::from_millis(*ms)).await;
            answer.await
        }
        HttpFault::Hang => {
            drop(answer.await);
            std::future::pending().await
        }
        HttpFault::Cut => {
            drop(answer.await);
            cut.now();
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
        HttpFault::Truncate { bytes } => {
            let (parts, whole) = whole(answer.await).await;
            let length = HeaderValue::from(whole.len());
            let part = whole.slice(..whole.len().min(*bytes));
            let broken = async {
                // What was sent leaves first; with the end at once, nothing would.
                tokio::time::sleep(FLUSH).await;
                Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
            };
            let body = stream::once(async { Ok(part) }).chain(stream::once(broken));
            let mut response = Response::from_parts(parts, Body::from_stream(body));
            response.headers_mut().insert(header::CONTENT_LENGTH, length);
            response
        }
        HttpFault::Trickle { bytes, ms } => {
            let (parts, whole) = whole(answer.await).await;
            let pieces: Vec<Bytes> = whole.chunks((*bytes).max(1)).map(Bytes::copy_from_slice).collect();
            let pause = Duration::from_millis(*ms);
            let pieces = stream::unfold(pieces.into_iter(), move |mut pieces| async move {
                let piece = pieces.next()?;
                tokio::time::sleep(pause).await;
                Some((Ok::<_, std::io::Error>(piece), pieces))
            });
            let mut response = Response::from_parts(parts, Body::from_stream(pieces));
            response.headers_mut().remove(header::CONTENT_LENGTH);
            response
        }
        HttpFault::Patch { merge: patch } => {
            let (mut parts, whole) = whole(answer.await).await;
            parts.headers.remove(header::CONTENT_LENGTH);
            let mut value = serde_json::from_slice(&whole).unwrap_or(Value::Null);
            merge(&mut value, patch);
            Response::from_parts(parts, Body::from(value.to_string()))
        }
    }
}

async fn whole(response: Response) -> (axum::http::response::Parts, Bytes) {
    let (parts, body) = response.into_parts();
    (parts, axum::body::to_bytes(body, BODY_MAX).await.unwrap_or_default())
}

fn instead(status: u16, headers: &BTreeMap<String, String>, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut wanted = HeaderMap::new();
    let (kind, text) = match body {
        Value::Null => ("text/plain", String::new()),
        Value::String(text) => ("text/plain", text.clone()),
        value => ("application/json", value.to_string()),
    };
    wanted.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            wanted.insert(name, value);
        }
    }
    (status, wanted, text).into_response()
}

fn merge(value: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *value = patch.clone();
        return;
    };
    if !value.is_object() {
        *value = Value::Object(serde_json::Map::new());
    }
    let Value::Object(fields) = value else { return };
    for (name, patch) in patch {
        if patch.is_null() {
            fields.remove(name);
        } else {
            merge(fields.entry(name.clone()).or_insert(Value::Null), patch);
        }
    }
}
