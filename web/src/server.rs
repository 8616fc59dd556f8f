//! The server: binds, routes, serves until shutdown.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate as _, SizeAbove};
use tower_http::limit::RequestBodyLimitLayer;

use crate::app::App;
use crate::config::{TlsFiles, WebConfig};
use crate::security::{self, Hosts};
use crate::tls::{self, Peer, TlsListener};
use crate::{access, action, api, assets, health, live, operations, pages, refused};

/// Name of the service, in health and heartbeats.
const SERVICE: &str = "web";
/// Largest form, and largest body of a request to the API.
pub(crate) const BODY_BYTES_MAX: usize = 16 * 1024;
/// After shutdown, time in which responses under way may end.
const DRAIN: Duration = Duration::from_secs(3);

/// Why the web service cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// The address is reachable from outside, which needs TLS.
    #[error(
        "web.bind = {0}: expected web.tls_cert and web.tls_key beside it, or a loopback address such as 127.0.0.1:8080"
    )]
    NotLoopback(SocketAddr),
    /// Certificate or key cannot be used.
    #[error("{setting} = {}: {why}", path.display())]
    Tls {
        /// The setting.
        setting: &'static str,
        /// Its value.
        path: std::path::PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The address cannot be had.
    #[error("web.bind = {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
    /// The address of the metrics cannot be had.
    #[error("telemetry.metrics_bind = {address}: {source}")]
    Metrics {
        /// The address.
        address: SocketAddr,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
    /// The embedded assets are not what the build script checked.
    #[error("assets: {0}")]
    Assets(#[from] serde_json::Error),
    /// The listener failed.
    #[error("web: {0}")]
    Serve(#[source] std::io::Error),
}

/// A bound server, ready to serve.
pub struct Server {
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    address: SocketAddr,
    app: Arc<App>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The acceptor holds the private key.
        formatter.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Refuses what no server can be bound with, whatever else runs on this machine: an address that is reachable from
/// outside without TLS, and a certificate or a key that cannot be used.
pub fn check(address: SocketAddr, files: Option<&TlsFiles>) -> Result<(), WebError> {
    acceptor(address, files).map(drop)
}

fn acceptor(address: SocketAddr, files: Option<&TlsFiles>) -> Result<Option<TlsAcceptor>, WebError> {
    if !address.ip().is_loopback() && files.is_none() {
        return Err(WebError::NotLoopback(address));
    }
    files.map(tls::acceptor).transpose()
}

/// Binds the address and says so in health; serving begins with [`Server::serve`].
pub async fn bind(context: runtime::Context, config: WebConfig) -> Result<Server, WebError> {
    let acceptor = acceptor(config.bind, config.tls.as_ref())?;
    context.health.set(SERVICE, runtime::HealthState::Starting, "");
    let failed = |source| WebError::Bind { address: config.bind, source };
    let listener = TcpListener::bind(config.bind).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let app = App::new(context, config)?;
    Ok(Server { listener, acceptor, address, app })
}

/// Binds and serves until shutdown.
pub async fn run(context: runtime::Context, config: WebConfig) -> Result<(), WebError> {
    bind(context, config).await?.serve().await
}

impl Server {
    /// The address bound, with its real port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where a browser finds the Overview.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.acceptor.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/", self.address)
    }

    /// Serves until shutdown, then lets responses under way end.
    pub async fn serve(self) -> Result<(), WebError> {
        let Self { listener, acceptor, address, app } = self;
        let shutdown = app.context.shutdown.clone();
        let health = app.context.health.clone();
        let feed = tokio::spawn(live::feed(Arc::clone(&app)));
        let hosts = hosts(&app.config, address).over_tls(acceptor.is_some());
        health.set(SERVICE, runtime::HealthState::Ready, "");
        tracing::info!(%address, "serving pages on {address}");
        let graceful = {
            let shutdown = shutdown.clone();
            async move { shutdown.cancelled().await }
        };
        let service = router(app, hosts).into_make_service_with_connect_info::<Peer>();
        let serving = async move {
            match acceptor {
                Some(acceptor) => {
                    let listener = TlsListener::new(listener, acceptor, address);
                    axum::serve(listener, service).with_graceful_shutdown(graceful).await
                }
                None => axum::serve(listener, service).with_graceful_shutdown(graceful).await,
            }
        };
        let outcome = tokio::select! {
            outcome = serving => outcome.map_err(WebError::Serve),
            () = async { shutdown.cancelled().await; tokio::time::sleep(DRAIN).await } => Ok(()),
        };
        feed.abort();
        health.set(SERVICE, runtime::HealthState::Stopping, "");
        outcome
    }
}

/// The `Host` values of a server on `address`.
fn hosts(config: &WebConfig, address: SocketAddr) -> Hosts {
    let port = address.port();
    let own = [address.to_string(), format!("localhost:{port}"), format!("127.0.0.1:{port}")];
    Hosts::new(own.into_iter().chain(config.public_hosts.iter().cloned()))
}

/// Every route of the site.
pub(crate) fn router(app: Arc<App>, hosts: Hosts) -> Router {
    let compressible = SizeAbove::new(1_024).and(NotForContentType::SSE).and(NotForContentType::IMAGES);
    let site = Router::new()
        .route("/", get(pages::overview::page))
        .route("/overview/equity.json", get(pages::overview::equity_points))
        .route("/orders", get(pages::orders::page).post(pages::orders::place::place))
        .route("/orders.csv", get(pages::orders::download))
        .route("/orders/{id}", get(pages::orders::detail))
        .route("/orders/{id}/cancel", post(pages::orders::cancel))
        .route("/orders/{id}/replace", post(pages::orders::place::replace))
        .route("/chart", get(pages::chart::choose))
        .route("/chart/{symbol}", get(pages::chart::page))
        .route("/chart/{symbol}/fills.json", get(pages::chart::markers))
        .route("/bars.csv", get(pages::chart::download))
        .route("/positions", get(pages::positions::page))
        .route("/accounts/{account}/halt", post(pages::positions::halt))
        .route("/accounts/{account}/resume", post(pages::positions::resume))
        .route("/accounts/{account}/breakers/reset", post(pages::positions::reset_breaker))
        .route("/trading/kill", post(pages::positions::kill))
        .route("/limits", post(pages::positions::set_limits))
        .route("/system", get(pages::system::page))
        .route("/projections/{name}/{task}", post(pages::system::request))
        .route("/logs", get(pages::logs::page))
        .route("/logs/lines", get(pages::logs::more))
        .route("/logs.csv", get(pages::logs::csv))
        .route("/logs.ndjson", get(pages::logs::ndjson))
        .route("/settings", get(pages::settings::page))
        .route("/settings/connections/{name}/test", post(pages::settings::test))
        .route("/settings/users", post(pages::settings::users::add))
        .route("/settings/users/{name}/{task}", post(pages::settings::users::change))
        .route("/settings/tokens", post(pages::settings::users::create_token))
        .route("/settings/tokens/{name}/revoke", post(pages::settings::users::revoke_token))
        .route("/settings/password", post(pages::settings::users::own_password))
        .route("/panels/{name}", get(pages::panel))
        .route("/palette.json", get(pages::palette))
        .route("/trading/halt", post(action::halt))
        .route("/trading/resume", post(action::resume))
        .route("/strategies", get(pages::strategies::page).post(pages::strategies::register))
        .route("/guides/{name}", get(pages::strategies::guide))
        .route("/strategies/{name}", get(pages::strategies::detail))
        .route("/strategies/{name}/score", get(pages::strategies::score))
        .route("/strategies/{name}/rotate", post(pages::strategies::rotate))
        .route("/strategies/{name}/replace", post(pages::strategies::replace))
        .route("/strategies/{name}/remove", post(pages::strategies::remove))
        .route("/strategies/{name}/enable", post(action::enable_strategy))
        .route("/strategies/{name}/disable", post(action::disable_strategy))
        .route("/backtests", get(pages::backtests::page).post(pages::backtests::start))
        .route("/backtests/lines.json", get(pages::backtests::lines))
        .route("/backtests/{id}", get(pages::backtests::detail))
        .route("/backtests/{id}/cancel", post(pages::backtests::cancel))
        .route("/parity", get(pages::comparisons::parity).post(pages::comparisons::start_parity))
        .route("/parity/{id}", get(pages::comparisons::parity_detail))
        .route("/fork", get(pages::comparisons::fork).post(pages::comparisons::start_fork))
        .route("/fork/{id}", get(pages::comparisons::fork_detail))
        .route("/comparisons/{id}/lines.json", get(pages::comparisons::lines))
        .route("/comparisons/{id}/cancel", post(pages::comparisons::cancel))
        .route("/events", get(pages::events::page))
        .route("/events/tree", get(pages::events::tree))
        .route("/events/parked", get(pages::events::parked))
        .route("/events/parked/{id}/replay", post(pages::events::replay))
        .route("/events/parked/{id}/dismiss", post(pages::events::dismiss))
        .route("/events/chain/{id}", get(pages::events::chain))
        .route("/events/{stream}/{sequence}", get(pages::events::detail))
        .route("/sign-in", get(access::sign_in_page).post(access::sign_in))
        .route("/sign-out", post(access::sign_out))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(operations::text))
        .route("/assets/{name}", get(assets::serve))
        .merge(api::routes(&app))
        .with_state(Arc::clone(&app))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), access::gate))
        .layer(middleware::from_fn_with_state(app, refused::pages))
        .layer(CompressionLayer::new().compress_when(compressible))
        .layer(RequestBodyLimitLayer::new(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(hosts, security::guard))
        .layer(middleware::from_fn(api::problems));
    operations::measured(site)
}
