//! What the benches share: a nats-server and a PostgreSQL of their own, and a projector's surroundings.

use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use event_log::{Auth, Clock, ConnectOptions, Tape, connect, definitions};
use local_servers::testing::{TestDatabase, TestNats, TestPostgres};
use projections::{Name, Poison, Port, PortError, State};
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;

pub type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Real servers, an empty tape and migrated read models.
pub struct Bench {
    pub tape: Tape,
    pub writer: PgPool,
    pub reader: PgPool,
    pub port: Arc<dyn Port>,
    _database: TestDatabase,
    _postgres: TestPostgres,
    _nats: TestNats,
}

struct Strict;

#[async_trait]
impl Port for Strict {
    async fn park(&self, poison: &Poison) -> Result<(), PortError> {
        Err(format!("message {} of the bench cannot be folded: {}", poison.sequence, poison.reason).into())
    }

    fn state(&self, _projection: Name, _state: &State) {}
}

impl Bench {
    pub async fn start() -> Outcome<Self> {
        let nats = TestNats::start().await?;
        let options = ConnectOptions {
            url: nats.url().into(),
            auth: Auth::None,
            name: "bench".to_owned(),
            clock: Clock::wall(),
        };
        let log = connect(options).await?;
        definitions::apply(&log).await?;
        let postgres = TestPostgres::shared().await?;
        let database = postgres.create_database(None).await?;
        let admin = PgPool::connect(database.url()).await?;
        projections::migrate(&admin).await?;
        admin.close().await;
        let options: PgConnectOptions = database.url().parse()?;
        Ok(Self {
            tape: Arc::new(log),
            writer: projections::projector_pool(options.clone(), 12).await?,
            reader: projections::reader_pool(options, 4).await?,
            port: Arc::new(Strict),
            _database: database,
            _postgres: postgres,
            _nats: nats,
        })
    }
}

/// The first argument that is a number, else `default`; the test runner adds flags of its own.
pub fn size(default: usize) -> usize {
    std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(default)
}
