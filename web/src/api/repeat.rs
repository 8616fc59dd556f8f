//! Asked twice with one key, a change has one effect and one answer.
//!
//! The effect is held by the tape: the same actor, action and key make the same event id. The answer is held
//! here, for a while and in this process: it is what tells a repetition from another change under a used key.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use runtime::command::Caller;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{RefOr, Required};

use super::Problem;
use crate::access::Actor;
use crate::app::App;
use crate::error::PageError;

const HEADER: &str = "idempotency-key";
const EXPECTED: &str = "8 to 64 letters, digits and -";
/// Answers remembered; the oldest go first.
const ANSWERS_MAX: usize = 512;
/// Largest body that is compared and answer that is kept.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// The key of a change.
#[derive(Clone, Debug)]
pub struct Key(pub String);

impl<S: Sync> FromRequestParts<S> for Key {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        Ok(Self::of(&parts.headers)?)
    }
}

/// The header as it is documented.
impl IntoParams for Key {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let text = ObjectBuilder::new()
            .schema_type(SchemaType::new(Type::String))
            .min_length(Some(8))
            .max_length(Some(64))
            .pattern(Some("^[A-Za-z0-9-]{8,64}$"));
        let header = ParameterBuilder::new()
            .name("Idempotency-Key")
            .parameter_in(ParameterIn::Header)
            .description(Some(EXPECTED))
            .required(Required::True)
            .schema(Some(RefOr::T(Schema::Object(text.build()))));
        vec![header.build()]
    }
}

impl Key {
    fn of(headers: &HeaderMap) -> Result<Self, PageError> {
        let text = headers.get(HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if Self::is_good(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(PageError::field("Idempotency-Key", text, EXPECTED))
        }
    }

    /// Whether `text` can be a key.
    pub fn is_good(text: &str) -> bool {
        (8..=64).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    }
}

/// Who commands, under which key. `target` keeps one key used on two things two commands.
pub fn caller(actor: &Actor, key: &Key, target: &str) -> Caller {
    let key = if target.is_empty() { key.0.clone() } else { format!("{target}/{}", key.0) };
    Caller { actor: actor.name.clone(), key }
}

/// What was asked, and what came of it once it has.
#[derive(Debug, Default)]
struct Turn {
    asked: Option<blake3::Hash>,
    answer: Option<(StatusCode, HeaderMap, Bytes)>,
}

/// Answers by actor and key.
#[derive(Debug, Default)]
pub struct Repeats(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    turns: HashMap<(String, String), Arc<tokio::sync::Mutex<Turn>>>,
    order: VecDeque<(String, String)>,
}

impl Repeats {
    fn turn(&self, actor: &str, key: &str) -> Arc<tokio::sync::Mutex<Turn>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let name = (actor.to_owned(), key.to_owned());
        if let Some(turn) = known.turns.get(&name) {
            return Arc::clone(turn);
        }
        if known.order.len() >= ANSWERS_MAX
            && let Some(oldest) = known.order.pop_front()
        {
            known.turns.remove(&oldest);
        }
        known.order.push_back(name.clone());
        Arc::clone(known.turns.entry(name).or_default())
    }
}

/// The changes that there are, so that what is none is told so, with or without a key.
#[derive(Clone, Debug)]
pub struct Changes {
    app: Arc<App>,
    known: Arc<BTreeSet<(String, String)>>,
}

impl Changes {
    /// Those of the document.
    pub fn of(document: &utoipa::openapi::OpenApi, app: &Arc<App>) -> Self {
        let mut known = BTreeSet::new();
        for (path, item) in &document.paths.paths {
            for (method, operation) in [
                (Method::POST, &item.post),
                (Method::PUT, &item.put),
                (Method::PATCH, &item.patch),
                (Method::DELETE, &item.delete),
            ] {
                if operation.is_some() {
                    known.insert((method.to_string(), path.clone()));
                }
            }
        }
        Self { app: Arc::clone(app), known: Arc::new(known) }
    }

    fn include(&self, request: &Request) -> bool {
        let path = request.extensions().get::<MatchedPath>();
        path.is_some_and(|path| {
            self.known.contains(&(request.method().to_string(), path.as_str().to_owned()))
        })
    }
}

/// Runs a change once per key; whoever repeats it waits for and gets the first answer.
pub async fn once(State(known): State<Changes>, request: Request, next: Next) -> Response {
    if !known.include(&request) {
        return next.run(request).await;
    }
    match repeated(&known.app, request, next).await {
        Ok(response) => response,
        Err(error) => Problem::from(error).into_response(),
    }
}

async fn repeated(app: &App, request: Request, next: Next) -> Result<Response, PageError> {
    let key = Key::of(request.headers())?;
    let actor = app.actor(request.headers())?;
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, BODY_BYTES_MAX).await else {
        return Ok((StatusCode::PAYLOAD_TOO_LARGE, "The body is too large.").into_response());
    };
    let mut asked = blake3::Hasher::new();
    for part in [parts.method.as_str().as_bytes(), parts.uri.to_string().as_bytes(), &body] {
        asked.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        asked.update(part);
    }
    let asked = asked.finalize();
    let turn = app.repeats.turn(&actor.name, &key.0);
    let mut turn = turn.lock().await;
    if let Some((status, headers, bytes)) = &turn.answer {
        if turn.asked != Some(asked) {
            return Err(PageError::Conflict(format!(
                "The Idempotency-Key {:?} was used for something else; nothing was changed.",
                key.0
            )));
        }
        let mut again = (*status, headers.clone(), bytes.clone()).into_response();
        again.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
        return Ok(again);
    }
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    // What changed nothing may be corrected and sent again with its key.
    if !response.status().is_success() {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, BODY_BYTES_MAX)
        .await
        .map_err(|error| PageError::Access(error.to_string()))?;
    let mut headers = parts.headers.clone();
    headers.remove(header::CONTENT_LENGTH);
    turn.asked = Some(asked);
    turn.answer = Some((parts.status, headers, bytes.clone()));
    Ok(Response::from_parts(parts, Body::from(bytes)))
}
