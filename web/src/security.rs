//! What every request passes: a known `Host`, for a mutation also a known `Origin`; and what every
//! response carries. Loopback is no protection from a page in the same browser.

use std::sync::Arc;

use axum::body::HttpBody as _;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

const POLICY: &str = "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; \
    img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; \
    frame-ancestors 'none'";

/// A browser that has seen the site over TLS comes back over TLS only, for a year.
const HSTS: &str = "max-age=31536000";

const RESPONSE_HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    // With `no-referrer` a browser would send `Origin: null` with the page's own forms.
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// The `Host` values that this server answers to.
#[derive(Clone, Debug)]
pub struct Hosts {
    known: Arc<Vec<String>>,
    secure: bool,
}

impl Hosts {
    /// Knows the given values, each `name` or `name:port`, in lower case.
    #[must_use]
    pub fn new(hosts: impl IntoIterator<Item = String>) -> Self {
        Self {
            known: Arc::new(hosts.into_iter().map(|host| host.to_ascii_lowercase()).collect()),
            secure: false,
        }
    }

    /// The same of a site served over TLS.
    #[must_use]
    pub fn over_tls(self, secure: bool) -> Self {
        Self { secure, ..self }
    }

    fn knows(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        self.known.contains(&host)
    }

    fn knows_origin(&self, origin: &str) -> bool {
        let scheme = if self.secure { "https://" } else { "http://" };
        origin.strip_prefix(scheme).is_some_and(|host| self.knows(host))
    }
}

/// Refuses what does not come from this site's own pages.
pub async fn guard(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    let secure = hosts.secure;
    // Over HTTP/2 a body that nobody reads ends a stream only.
    let carries = request.version() < Version::HTTP_2 && !request.body().is_end_stream();
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let mut response = if !host.is_some_and(|host| hosts.knows(host)) {
        (StatusCode::MISDIRECTED_REQUEST, "This server does not answer to that Host.\n").into_response()
    } else if is_foreign_upgrade(&hosts, request.headers()) {
        (StatusCode::FORBIDDEN, "A socket must come from this site's own pages, or from a program.\n")
            .into_response()
    } else if changes(request.method())
        && !shows_token(request.headers())
        && !same_origin(&hosts, request.headers())
    {
        (StatusCode::FORBIDDEN, "A change must come from this site's own pages.\n").into_response()
    } else {
        next.run(request).await
    };
    for (name, value) in RESPONSE_HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    if carries && leaves_body(response.status()) {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if secure {
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(HSTS));
    }
    if !response.headers().contains_key(header::CACHE_CONTROL) {
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// Whether a request was refused before its body was read. The connection then ends with the answer, which a client that
/// keeps its connections has to be told, lest its next request is lost with it.
fn leaves_body(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::NOT_FOUND
            | StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::UNSUPPORTED_MEDIA_TYPE
            | StatusCode::MISDIRECTED_REQUEST
    )
}

/// A browser lets any page open a socket anywhere and says whose page it is; a program says nothing.
fn is_foreign_upgrade(hosts: &Hosts, headers: &HeaderMap) -> bool {
    let origin = headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or_default());
    headers.contains_key(header::UPGRADE) && origin.is_some_and(|origin| !hosts.knows_origin(origin))
}

/// Whether a request may change something.
pub fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// A browser never sends this header by itself, and lets no other site's script do so; the gate judges it.
fn shows_token(headers: &HeaderMap) -> bool {
    headers.contains_key(header::AUTHORIZATION)
}

/// Every browser sends `Origin` with a change. Without it nothing is known, and nothing changes.
fn same_origin(hosts: &Hosts, headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").and_then(|site| site.to_str().ok());
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    site.is_none_or(|site| site == "same-origin") && origin.is_some_and(|origin| hosts.knows_origin(origin))
}
