//! One client for every vendor: limit, repetition, breaker, deadlines. The only place that imports reqwest.
//!
//! Limit and breaker are those of the source and the credential: clients that are given the same [`Guards`] share them.
//! What asks may be asked again; what changes something at a vendor ([`Http::once`]) is sent once and never again.
//! Redirects are not followed, for credentials would follow them.

mod breaker;
mod guard;
mod limit;
mod page;
mod retry;
mod once;
pub(crate) mod tls;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};

use crate::clock::Clock;
use crate::error::{Refusal, VendorError};
use breaker::Leave;
pub use breaker::{BreakerState, BreakerView};
use guard::Guard;
pub use guard::{Client, ClientBreaker, Guards, Shared};
pub use once::{Answer, Method};
use retry::Again;

/// The largest answer that is read.
const BODY_MAX: usize = 64 << 20;
/// Characters of a vendor's words that are passed on.
const WORDS_MAX: usize = 300;

/// Who asks.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// Nobody in particular.
    None,
    /// `Authorization: Bearer`.
    Bearer(SecretString),
    /// `X-Api-Key`.
    ApiKey(SecretString),
    /// `APCA-API-KEY-ID` and `APCA-API-SECRET-KEY`.
    Alpaca {
        /// Key.
        key: SecretString,
        /// Secret.
        secret: SecretString,
    },
}

impl Credentials {
    fn secrets(&self) -> Vec<&str> {
        match self {
            Self::None => Vec::new(),
            Self::Bearer(key) | Self::ApiKey(key) => vec![key.expose_secret()],
            Self::Alpaca { key, secret } => vec![key.expose_secret(), secret.expose_secret()],
        }
    }

    /// `text` with each key and secret as `***`: a vendor may repeat what it was sent.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in self.secrets().into_iter().filter(|secret| !secret.is_empty()) {
            text = text.replace(secret, "***");
        }
        text
    }

    /// Whether both are the same.
    fn is(&self, other: &Self) -> bool {
        self.secrets() == other.secrets()
    }

    /// The one place where a credential is set on a request.
    fn headers(&self) -> Option<HeaderMap> {
        let sensitive = |text: &str| {
            let mut value = HeaderValue::from_str(text).ok()?;
            value.set_sensitive(true);
            Some(value)
        };
        let mut headers = HeaderMap::new();
        match self {
            Self::None => {}
            Self::Bearer(key) => {
                headers.insert(AUTHORIZATION, sensitive(&format!("Bearer {}", key.expose_secret()))?);
            }
            Self::ApiKey(key) => {
                headers.insert("x-api-key", sensitive(key.expose_secret())?);
            }
            Self::Alpaca { key, secret } => {
                headers.insert("apca-api-key-id", sensitive(key.expose_secret())?);
                headers.insert("apca-api-secret-key", sensitive(secret.expose_secret())?);
            }
        }
        Some(headers)
    }
}

/// How a vendor is asked.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Address before the path, without a slash at its end.
    pub base_url: String,
    /// Who asks.
    pub credentials: Credentials,
    /// Requests a minute.
    pub requests_per_minute: u32,
    /// Longest wait for one answer.
    pub answer_timeout: Duration,
    /// Longest time that one question may take with all its repetitions.
    pub deadline: Duration,
    /// Longest time for which a vendor that fails again and again is left alone.
    pub alone_max: Duration,
    /// With whom limit and breaker are shared, where it is with anybody. What the first client of them states counts.
    pub shared: Option<Shared>,
}

impl HttpConfig {
    /// The usual times.
    #[must_use]
    pub fn new(base_url: impl Into<String>, credentials: Credentials, requests_per_minute: u32) -> Self {
        Self {
            base_url: base_url.into(),
            credentials,
            requests_per_minute,
            answer_timeout: Duration::from_secs(30),
            deadline: Duration::from_secs(300),
            alone_max: Duration::from_secs(300),
            shared: None,
        }
    }
}

/// A client of one vendor.
pub struct Http {
    vendor: &'static str,
    client: reqwest::Client,
    config: HttpConfig,
    guard: Arc<Guard>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Http {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Http").field("vendor", &self.vendor).finish_non_exhaustive()
    }
}

/// What one attempt came to, besides an answer.
enum Failed {
    /// May pass; `least` is what the vendor asks to wait.
    Passing { what: String, least: Duration, limited: bool },
    /// Will not.
    Final(VendorError),
}

impl Http {
    /// A client; fails where no connection could ever be made.
    pub fn new(vendor: &'static str, config: HttpConfig, clock: Arc<dyn Clock>) -> Result<Self, VendorError> {
        let setup = |what: String| VendorError::Setup { vendor, what };
        let headers = config
            .credentials
            .headers()
            .ok_or_else(|| setup("a key or secret holds characters that cannot be sent".into()))?;
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::config(&config.base_url).map_err(setup)?)
            .default_headers(headers)
            .user_agent(concat!("tapedeck/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .timeout(config.answer_timeout)
            .no_proxy()
            .build()
            .map_err(|error| setup(told(&error)))?;
        let make = || Guard::new(config.requests_per_minute, config.alone_max, Arc::clone(&clock));
        let guard = match &config.shared {
            Some(Shared { guards, client }) => {
                guards.of(vendor, (&config.base_url, &config.credentials), client.as_ref(), make)
            }
            None => Arc::new(make()),
        };
        Ok(Self { vendor, client, config, guard, clock })
    }

    /// The body of the answer to a GET of `path` with `query`.
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Vec<u8>, VendorError> {
        let url = format!("{}{path}", self.config.base_url);
        let request = || self.client.get(&url).query(query);
        let (_, body) = self.repeated(path, request, |status, _| status == StatusCode::OK).await?;
        Ok(body)
    }

    /// Headers and body of the first answer whose status, with its headers, is `taken`.
    async fn repeated(
        &self,
        path: &str,
        request: impl Fn() -> RequestBuilder + Send + Sync,
        taken: fn(StatusCode, &HeaderMap) -> bool,
    ) -> Result<(HeaderMap, Vec<u8>), VendorError> {
        let began_ns = self.clock.now_ns();
        let mut again = Again::new(began_ns, self.config.deadline);
        loop {
            self.not_alone()?;
            let now_ns = self.clock.now_ns();
            // Another client may have been told to wait, and for longer than this question may take.
            if let Some(after) =
                self.guard.limit.blocked_for(now_ns).filter(|span| again.is_beyond(*span, now_ns))
            {
                let why = "too many requests, of other clients too".to_owned();
                return Err(VendorError::Limited { vendor: self.vendor, why, after });
            }
            self.guard.limit.pass(&*self.clock).await;
            let leave = self.leave()?;
            let failed = match self.attempt(request(), taken).await {
                Ok(answer) => {
                    leave.succeeded();
                    return Ok(answer);
                }
                Err(failed) => failed,
            };
            let (what, least, limited) = match failed {
                Failed::Passing { what, least, limited } => (what, least, limited),
                Failed::Final(error) => {
                    // It answered: the vendor is there.
                    leave.succeeded();
                    return Err(error);
                }
            };
            let now_ns = self.clock.now_ns();
            if !limited {
                leave.failed(&what, now_ns);
            }
            drop(leave);
            // What the vendor asks for counts for every client of the same key, as long as one question may take.
            self.guard.limit.hold(least.min(self.config.deadline), now_ns);
            tracing::debug!(vendor = self.vendor, path, "{}: {what}", self.vendor);
            match again.wait(least, now_ns, |most| self.clock.jitter(most)) {
                Some(wait) => self.clock.sleep(wait).await,
                None if limited => {
                    return Err(VendorError::Limited { vendor: self.vendor, why: what, after: least });
                }
                None => {
                    let attempts = again.attempts();
                    return Err(VendorError::Transient { vendor: self.vendor, what, attempts });
                }
            }
        }
    }

    async fn attempt(
        &self,
        request: RequestBuilder,
        taken: fn(StatusCode, &HeaderMap) -> bool,
    ) -> Result<(HeaderMap, Vec<u8>), Failed> {
        let passing = |what: String| Failed::Passing {
            what: self.redact(&what),
            least: Duration::ZERO,
            limited: false,
        };
        let response = request.send().await.map_err(|error| passing(told(&error)))?;
        let status = response.status();
        let now_ns = self.clock.now_ns();
        self.guard.limit.correct(response.headers(), now_ns);
        let retry_after = retry::retry_after(response.headers(), now_ns);
        let headers = response.headers().clone();
        let body = self.body(response).await.map_err(|error| match error {
            Some(error) => passing(told(&error)),
            None => Failed::Final(self.broken(format!("more than {BODY_MAX} bytes"))),
        })?;
        if taken(status, &headers) {
            return Ok((headers, body));
        }
        let words = self.redact(&words(&body));
        if status == StatusCode::TOO_MANY_REQUESTS {
            let least = retry_after.or_else(|| self.guard.limit.blocked_for(now_ns)).unwrap_or_default();
            return Err(Failed::Passing {
                what: format!("too many requests: {words}"),
                least,
                limited: true,
            });
        }
        if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT {
            let least = retry_after.unwrap_or_default();
            return Err(Failed::Passing { what: format!("{status}: {words}"), least, limited: false });
        }
        let kind = Refusal::of(status.as_u16());
        let (kind, message) = match kind {
            Refusal::Unknown if !is_object(&body) => (Refusal::Request, elsewhere(&words)),
            kind => (kind, words),
        };
        Err(Failed::Final(VendorError::Refused {
            vendor: self.vendor,
            status: status.as_u16(),
            kind,
            message,
        }))
    }

    /// The body; an error without a cause means that it is too large.
    async fn body(&self, mut response: Response) -> Result<Vec<u8>, Option<reqwest::Error>> {
        let mut body = BytesMut::new();
        while let Some(piece) = response.chunk().await.map_err(Some)? {
            if body.len() + piece.len() > BODY_MAX {
                return Err(None);
            }
            body.extend_from_slice(&piece);
        }
        Ok(body.into())
    }

    /// An answer of this vendor's that cannot be read.
    pub fn broken(&self, what: String) -> VendorError {
        VendorError::Broken { vendor: self.vendor, what: self.redact(&what) }
    }

    /// A refusal in this vendor's words that came with a status which says success.
    pub(crate) fn refused(&self, kind: Refusal, words: &str) -> VendorError {
        VendorError::Refused {
            vendor: self.vendor,
            status: StatusCode::OK.as_u16(),
            kind,
            message: self.redact(words),
        }
    }

    /// How much longer nobody asks, after too many failures in a row.
    pub(crate) fn paused_for(&self) -> Option<Duration> {
        self.guard.breaker.closed_for(self.clock.now_ns())
    }

    /// Refuses to ask while the breaker is open.
    fn not_alone(&self) -> Result<(), VendorError> {
        self.paused_for().map_or(Ok(()), |after| Err(self.alone(after)))
    }

    /// Leave to ask now; none while the breaker is open, or another's question is to tell whether it closes.
    fn leave(&self) -> Result<Leave<'_>, VendorError> {
        self.guard.breaker.leave(self.clock.now_ns()).map_err(|after| self.alone(after))
    }

    fn alone(&self, after: Duration) -> VendorError {
        let why = format!("not asked after failures in a row, the last: {}", self.guard.breaker.last());
        VendorError::Limited { vendor: self.vendor, why, after }
    }

    fn redact(&self, text: &str) -> String {
        self.config.credentials.redact(text)
    }
}

/// An error of the client with its causes and without the address, whose query may be long.
fn told(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut causes = Vec::new();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    match causes.last() {
        Some(cause) if error.is_connect() => format!("no connection: {cause}"),
        Some(cause) => format!("the connection broke: {cause}"),
        None => "the connection broke".to_owned(),
    }
}

/// Whether an answer is an object of JSON, in which every vendor says what it does not know.
fn is_object(body: &[u8]) -> bool {
    matches!(serde_json::from_slice(body), Ok(serde_json::Value::Object(_)))
}

/// What it means that there is no such page, in words that are no vendor's.
fn elsewhere(words: &str) -> String {
    format!("there is no such page, and the answer is not the vendor's: is base_url right? It says: {words}")
}

/// The vendor's own words in an answer that is an error: JSON's `message`, `error` or `description`, else the text.
fn words(body: &[u8]) -> String {
    fn find(value: &serde_json::Value) -> Option<&str> {
        let object = value.as_object()?;
        let named = ["message", "description", "error"].iter().find_map(|name| object.get(*name)?.as_str());
        named.or_else(|| object.values().find_map(find))
    }
    let parsed = serde_json::from_slice::<serde_json::Value>(body).ok();
    let text = match parsed.as_ref().and_then(find) {
        Some(words) => words.to_owned(),
        None => String::from_utf8_lossy(body).trim().to_owned(),
    };
    let text: String = text.chars().filter(|character| !character.is_control()).take(WORDS_MAX).collect();
    if text.is_empty() { "no explanation".to_owned() } else { text }
}
