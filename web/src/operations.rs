//! `/metrics`, and the small server that a process without a dashboard offers to whoever watches it.
//!
//! It knows no sessions and shows no trading data but counts. Deliberately absent: pages, the API, and the
//! check of read models in `/readyz`, which the projector states in its own health.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use runtime::metrics::{exposition, metrics};
use runtime::{Health, HealthState, ServiceHealth};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::health;
use crate::server::WebError;

/// After shutdown, time in which responses under way may end.
const DRAIN: Duration = Duration::from_secs(1);
/// What Prometheus expects.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `GET /metrics`
pub(crate) async fn text() -> Response {
    ([(header::CONTENT_TYPE, TEXT), (header::CACHE_CONTROL, "no-store")], exposition()).into_response()
}

/// Who is not ready, in words.
pub(crate) fn not_ready(services: &BTreeMap<String, ServiceHealth>) -> Vec<String> {
    services
        .iter()
        .filter(|(_, health)| health.state != HealthState::Ready)
        .map(|(name, health)| {
            format!("{name}: {} {}", health.state.name(), health.detail).trim_end().to_owned()
        })
        .collect()
}

#[derive(Debug, serde::Serialize)]
struct Readiness {
    ready: bool,
    /// Who is not ready, and why.
    not_ready: Vec<String>,
    services: BTreeMap<String, ServiceHealth>,
}

/// `GET /readyz` of a process without a dashboard: 200 when each of its services is ready, else 503 naming
/// who is not.
async fn ready(State(health): State<Health>) -> Response {
    let services = health.all();
    let mut not_ready = not_ready(&services);
    if services.is_empty() {
        not_ready.push("no service has begun".to_owned());
    }
    let ready = not_ready.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, not_ready, services })).into_response()
}

fn router(health: Health) -> Router {
    Router::new()
        .route("/metrics", get(text))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(ready))
        .with_state(health)
}

/// A bound server of metrics and health.
#[derive(Debug)]
pub struct Operations {
    listener: TcpListener,
    address: SocketAddr,
}

impl Operations {
    /// Binds `address`; port 0 means a free one.
    pub async fn bind(address: SocketAddr) -> Result<Self, WebError> {
        let failed = |source| WebError::Metrics { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// The address bound, with its real port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until shutdown. Stays up while services drain, so that their state can be seen.
    pub async fn serve(self, health: Health, shutdown: CancellationToken) {
        tracing::info!(address = %self.address, "serving metrics on http://{}/metrics", self.address);
        let until = shutdown.clone();
        let serving = axum::serve(self.listener, router(health))
            .with_graceful_shutdown(async move { until.cancelled().await });
        tokio::select! {
            outcome = async { serving.await } => {
                if let Err(error) = outcome {
                    tracing::error!(%error, "the server of metrics ended: {error}");
                }
            }
            () = async { shutdown.cancelled().await; tokio::time::sleep(DRAIN).await } => {}
        }
    }
}

/// Measures each request by its route, and is the root of its span.
pub(crate) async fn measure(request: Request, next: Next) -> Response {
    let began = tokio::time::Instant::now();
    let path = request.extensions().get::<MatchedPath>().cloned();
    // A path that no route matches can be anything, so it is no label.
    let route = path.as_ref().map_or("none", MatchedPath::as_str).to_owned();
    let method = method(&request);
    let span = tracing::info_span!(
        "http.request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        http.request.method = method,
        http.route = route,
        http.response.status_code = tracing::field::Empty,
    );
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status();
    span.record("http.response.status_code", status.as_u16());
    metrics().http_latency.with(&[method, &route, status.as_str()]).observe(began.elapsed());
    response
}

/// The method as a label: a client can make up others.
fn method(request: &Request) -> &'static str {
    match request.method().as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// Measures every request that reaches `router`.
pub(crate) fn measured(router: Router) -> Router {
    router.layer(middleware::from_fn(measure))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use tower::ServiceExt as _;

    use super::*;

    async fn get(router: &Router, path: &str) -> (StatusCode, String) {
        let request = axum::http::Request::get(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_process_is_ready_when_each_of_its_services_is() {
        let health = Health::default();
        let router = router(health.clone());
        let (status, text) = get(&router, "/readyz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(text.contains("no service has begun"), "{text}");
        health.set("risk", HealthState::Degraded, "waiting for the read model");
        health.set("execution", HealthState::Ready, "");
        let (status, text) = get(&router, "/readyz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(answer["ready"], false);
        assert_eq!(answer["not_ready"], serde_json::json!(["risk: degraded waiting for the read model"]));
        assert_eq!(answer["services"]["execution"]["state"], "ready");
        health.set("risk", HealthState::Ready, "");
        assert_eq!(get(&router, "/readyz").await.0, StatusCode::OK);
        assert_eq!(get(&router, "/healthz").await, (StatusCode::OK, "ok\n".to_owned()));
    }

    #[tokio::test]
    async fn requests_are_counted_by_route_not_by_path() {
        let router = measured(Router::new().route("/things/{id}", axum::routing::get(async || "thing")));
        for path in ["/things/1", "/things/2", "/elsewhere"] {
            get(&router, path).await;
        }
        let count =
            |route: &str, status| metrics().http_latency.with(&["GET", route, status]).snapshot().count;
        assert_eq!((count("/things/{id}", "200"), count("none", "404")), (2, 1));
        let (status, text) = get(&super::router(Health::default()), "/metrics").await;
        assert_eq!(status, StatusCode::OK);
        let series =
            "tapedeck_http_request_seconds_count{method=\"GET\",route=\"/things/{id}\",status=\"200\"} 2";
        assert!(text.lines().any(|line| line == series), "{text}");
    }
}
