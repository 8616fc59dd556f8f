//! The site as a client meets it: the router over read models in a real PostgreSQL, folded by the real
//! projector from a tape in memory.

mod access;
mod action;
mod api;
mod backtests;
mod chart;
mod comparisons;
mod document;
mod events;
mod launcher;
mod left_behind;
mod live;
mod metrics;
mod mode;
mod mutations;
mod orders;
mod overview;
mod pairs;
mod positions;
mod reference;
mod script;
mod security;
mod socket;
mod sources;
mod strategies;
mod system;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, Response, StatusCode};
use contracts::v1::Event;
use contracts::{Subject, stream};
use event_log::{Append, Clock, Expect, MemoryLog, Tape};
use local_servers::ServerError;
use local_servers::testing::{TestDatabase, TestPostgres};
use projections::{Name, Poison, Port, PortError, Projector, State};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::access::{Role, Store};
use crate::app::App;
use crate::security::Hosts;
use crate::{Mode, Speed, WebConfig, server};

/// The site's own address in these tests.
pub const HOST: &str = "127.0.0.1:8080";
/// Who is signed in where a test does not say.
pub const OWNER: &str = "owner";
/// Recorded time of every event, so that pages are the same each time: 2026-01-06 19:30:01 UTC.
const RECORDED_NS: i64 = 1_767_727_801_000_000_000;

/// Time without progress after which a page calls its data old.
pub const STALE_AFTER: Duration = Duration::from_millis(200);

/// A site with its tape and read models.
pub struct Deck {
    pub app: Arc<App>,
    pub tape: Tape,
    /// The same tape, for what only a foreign program would put on it.
    pub memory: MemoryLog,
    /// Who lets strategies in.
    pub server: Arc<strategies::Server>,
    home: tempfile::TempDir,
    session: String,
    router: Router,
    shutdown: CancellationToken,
    pool: PgPool,
    database: TestDatabase,
}

/// Brings a database to the newest version.
async fn migrated(url: String) -> Result<(), ServerError> {
    let admin = PgPool::connect(&url).await.unwrap();
    projections::migrate(&admin).await.unwrap();
    admin.close().await;
    Ok(())
}

/// An answer, read to its end.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

struct Quiet;

#[async_trait]
impl Port for Quiet {
    async fn park(&self, poison: &Poison) -> Result<(), PortError> {
        panic!("the script of a test holds an event that cannot be folded: {poison:?}");
    }

    fn state(&self, _projection: Name, _state: &State) {}
}

impl Deck {
    /// A site over an empty tape.
    pub async fn empty() -> Self {
        let postgres = TestPostgres::shared().await.unwrap();
        let database = postgres.create_migrated(migrated).await.unwrap();
        // What a copy has not: the rights on the database itself.
        migrated(database.url().to_owned()).await.unwrap();
        let options = database.url().parse::<sqlx::postgres::PgConnectOptions>().unwrap();
        let pool = projections::reader_pool(options.clone(), 4).await.unwrap();
        let writer = projections::projector_pool(options, 8).await.unwrap();
        let memory = MemoryLog::with_clock(Clock::new(|| RECORDED_NS));
        let tape: Tape = Arc::new(memory.clone());
        let shutdown = CancellationToken::new();
        let projector = Projector { pool: writer, tape: Arc::clone(&tape), port: Arc::new(Quiet) };
        let stop = shutdown.clone();
        tokio::spawn(async move { projector.run(&stop).await.unwrap() });
        let context = runtime::Context {
            tape: Arc::clone(&tape),
            clock: runtime::ClockMode::Tape,
            health: runtime::Health::default(),
            shutdown: shutdown.clone(),
        };
        context.health.set("web", runtime::HealthState::Ready, "");
        let home = tempfile::tempdir().unwrap();
        let access = Store::new(home.path().join("access.json"));
        access.add_user(OWNER, Role::Admin, None).unwrap();
        let session = access.begin_session(OWNER).unwrap();
        let nats = Arc::new(strategies::Server::default());
        let app = App::new(context, config(pool.clone(), access, Arc::clone(&nats))).unwrap();
        let router = server::router(Arc::clone(&app), Hosts::new([HOST.to_owned()]));
        Self { app, tape, memory, server: nats, home, session, router, shutdown, pool, database }
    }

    /// A site over a tape on which something has happened.
    pub async fn traded() -> Self {
        let deck = Self::empty().await;
        deck.append(script::events()).await;
        deck
    }

    /// Appends events and waits until every read model holds them.
    pub async fn append(&self, events: Vec<(Subject, Event)>) {
        for (subject, event) in events {
            self.tape.append(Append { subject, event, expect: Expect::Nothing }).await.unwrap();
        }
        self.settle().await;
    }

    /// Waits until every read model is at its head.
    pub async fn settle(&self) {
        let heads = projections::heads(&self.tape).await.unwrap();
        let at_head = async || {
            let rows = projections::queries::projection_status(&self.pool, &heads).await.unwrap();
            rows.len() == Name::ALL.len() && rows.iter().all(|row| row.lag == Some(0))
        };
        let patience = tokio::time::timeout(Duration::from_secs(30), async {
            while !at_head().await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        patience.await.unwrap();
    }

    /// A connection that may do anything, for what a test has to arrange.
    pub async fn superuser(&self) -> sqlx::PgConnection {
        <sqlx::PgConnection as sqlx::Connection>::connect(self.database.url()).await.unwrap()
    }

    /// Sends a request; the owner's, when it does not say whose it is.
    pub async fn send(&self, mut request: Request<Body>) -> Response<Body> {
        let headers = request.headers_mut();
        if crate::session::session_of(headers).is_none() && !headers.contains_key("authorization") {
            headers.append("cookie", cookie(&self.session).parse().unwrap());
        }
        self.send_as_it_is(request).await
    }

    /// Sends a request, nobody's when it does not say whose it is.
    pub async fn send_as_it_is(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// Gets a page.
    pub async fn get(&self, path: &str) -> Answer {
        read(self.send(get(path)).await).await
    }

    /// The file of users and tokens.
    pub fn access_file(&self) -> std::path::PathBuf {
        self.home.path().join("access.json")
    }

    /// How many events TRADING and AUDIT hold: what a refused command must not change.
    pub async fn stored(&self) -> (u64, u64) {
        let trading = self.tape.state(stream::TRADING).await.unwrap().messages;
        (trading, self.tape.state(stream::AUDIT).await.unwrap().messages)
    }
}

impl Drop for Deck {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

fn config(pool: PgPool, access: Arc<Store>, strategies: Arc<strategies::Server>) -> WebConfig {
    WebConfig {
        bind: HOST.parse().unwrap(),
        public_hosts: Vec::new(),
        pool,
        tape: "test".to_owned(),
        books: None,
        mode: Mode::Demo,
        speed: Speed::Times(600.0),
        calendar: domain::calendar::Calendar::xnys(),
        universe: Arc::new([("pair".to_owned(), vec!["SPY".to_owned(), "AAPL".to_owned()])].into()),
        stale_sessions: 5,
        access,
        tls: None,
        secret: [7; 32],
        ready_lag_events_max: 0,
        stale_after: STALE_AFTER,
        services: vec!["risk", "checker", "web", "tapedeck"],
        version: "0.0.0".to_owned(),
        strategies,
        probe: Arc::new(system::Calm),
    }
}

/// The cookie of a session.
pub fn cookie(session: &str) -> String {
    format!("{}={session}", crate::session::COOKIE)
}

pub fn get(path: &str) -> Request<Body> {
    Request::get(path).header("host", HOST).body(Body::empty()).unwrap()
}

pub async fn read(response: Response<Body>) -> Answer {
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, 1 << 22).await.unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    Answer { status: parts.status, headers: parts.headers, text }
}
