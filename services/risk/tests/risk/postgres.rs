//! The read models in a real Postgres, folded by the real projector.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use contracts::v1::{Origin, Severity};
use domain::book::{HALT, RESUMPTION};
use domain::money::Price;
use local_servers::testing::{TestDatabase, TestPostgres};
use projections::{Name, Poison, Port, PortError, Projector, State};
use risk::{LastPrice, PostgresReadModel, ReadModel as _};
use runtime::{ClockMode, HealthState};
use sqlx::PgPool;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::events::{self, E9, HOUR, T0, limits};
use crate::world::World;

struct Silent;

#[async_trait]
impl Port for Silent {
    async fn park(&self, _poison: &Poison) -> Result<(), PortError> {
        Ok(())
    }

    fn state(&self, _projection: Name, _state: &State) {}
}

/// A database with the read models of a world's tape, kept up to date.
struct Database {
    reader: PgPool,
    shutdown: CancellationToken,
    projector: JoinHandle<()>,
    _database: TestDatabase,
    _server: TestPostgres,
}

impl Database {
    async fn of(world: &World) -> Self {
        let server = TestPostgres::shared().await.unwrap();
        let migrated = server.create_migrated(|url| async move {
            let pool = PgPool::connect(&url).await.unwrap();
            projections::migrate(&pool).await.unwrap();
            pool.close().await;
            Ok::<_, local_servers::ServerError>(())
        });
        let database = migrated.await.unwrap();
        let admin = PgPool::connect(database.url()).await.unwrap();
        projections::migrate(&admin).await.unwrap();
        let pool = projections::projector_pool(database.url().parse().unwrap(), 16).await.unwrap();
        let reader = projections::reader_pool(database.url().parse().unwrap(), 4).await.unwrap();
        let shutdown = CancellationToken::new();
        let projector = Projector { pool, tape: Arc::new(world.log.clone()), port: Arc::new(Silent) };
        let stop = shutdown.clone();
        let projector = tokio::spawn(async move { projector.run(&stop).await.unwrap() });
        Self { reader, shutdown, projector, _database: database, _server: server }
    }

    /// Waits until the projections hold everything on the tape.
    async fn caught_up(&self, world: &World) {
        let heads = projections::heads(&(Arc::new(world.log.clone()) as _)).await.unwrap();
        for name in [Name::Trading, Name::Bars, Name::Calendar] {
            for _ in 0..2_000 {
                let checkpoints = projections::queries::checkpoints(&self.reader).await.unwrap();
                let at = checkpoints.iter().find(|row| row.name == name.name()).map_or(0, |row| row.sequence);
                if at >= heads[&name] {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.projector.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_book_in_postgres_gives_the_decisions_of_a_folded_one() {
    let mut seen = Vec::new();
    for stored in [true, false] {
        let world = World::new(ClockMode::Tape, limits(1_000_000, 25 * E9 / 1_000)).await;
        let database = Database::of(&world).await;
        let running = if stored {
            let model = PostgresReadModel::new(database.reader.clone());
            world.start_with(Arc::new(world.log.clone()), Arc::new(model))
        } else {
            world.start()
        };
        world.health_is(HealthState::Ready).await;
        world.instant(T0, &["AAA", "BBB"]).await;
        for strategy in ["beta", "alpha"] {
            world.buy(strategy, "AAA").await;
            world.buy(strategy, "BBB").await;
        }
        let decisions: Vec<_> = world.decided(4).await.into_iter().map(|(_, decision)| decision).collect();
        running.stop().await;
        // A signal that comes again is known to have its decision by the rows alone.
        database.caught_up(&world).await;
        let id = events::signal_id("alpha", "AAA", T0);
        let model = PostgresReadModel::new(database.reader.clone());
        let snapshot = model.snapshot(&[id.clone(), "another".to_owned()]).await.unwrap();
        assert_eq!((snapshot.decided, snapshot.book.sequence()), (vec![id], world.trading().await));
        database.stop().await;
        seen.push(decisions);
    }
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn prices_are_those_of_the_newest_live_bars() {
    let world = World::new(ClockMode::Tape, limits(1_000_000, E9)).await;
    world.put(events::bar("SPY", T0 - HOUR, 400, Origin::Rehearsal)).await;
    world.put(events::split("SPY", T0 - HOUR / 2, 4)).await;
    world.put(events::bar("QQQ", T0 - 2 * HOUR, 90, Origin::Rehearsal)).await;
    world.put(events::bar("QQQ", T0 - HOUR, 95, Origin::Live)).await;
    world.put(events::bar("QQQ", T0 + HOUR, 7, Origin::Import)).await;
    world.put(events::bar("IWM", T0 + HOUR, 7, Origin::Import)).await;
    let database = Database::of(&world).await;
    database.caught_up(&world).await;
    let model = PostgresReadModel::new(database.reader.clone());
    let prices = model.prices().await.unwrap();
    let row = |symbol: &str, price: i64| LastPrice {
        symbol: symbol.to_owned(),
        price: Price(price * E9),
        close_ns: T0 - HOUR,
    };
    assert_eq!(
        (prices.checkpoint, prices.rows),
        (world.market().await, vec![row("QQQ", 95), row("SPY", 400)])
    );
    let actions = model.actions().await.unwrap();
    assert_eq!(actions.rows.len(), 1);
    assert_eq!(actions.rows[0].event_ns, T0 - HOUR / 2);
    database.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_halt_and_its_resumption_are_known_from_the_rows_after_a_start() {
    let world = World::new(ClockMode::Tape, limits(1_000_000, E9)).await;
    world.instant(T0, &["SPY"]).await;
    let database = Database::of(&world).await;
    let model = PostgresReadModel::new(database.reader.clone());
    let outlier = ("outlier", true);
    let told = [
        ("outlier", Severity::Warning, vec![outlier], None),
        (HALT, Severity::Info, vec![outlier, (HALT, false)], Some(("alpha", "symbol_halted"))),
        (RESUMPTION, Severity::Info, vec![outlier, (RESUMPTION, false)], Some(("beta", ""))),
        (HALT, Severity::Warning, vec![outlier, (HALT, true)], None),
        (RESUMPTION, Severity::Warning, vec![(RESUMPTION, true)], None),
    ];
    let mut count = 0;
    for (second, (rule, severity, expected, decided)) in (1..).zip(told) {
        world.put(events::finding("SPY", rule, severity, T0 + second * E9)).await;
        database.caught_up(&world).await;
        let findings = model.findings().await.unwrap().rows;
        let rows = findings.iter().map(|row| (row.finding.rule.as_str(), row.finding.severe));
        assert_eq!(rows.collect::<Vec<_>>(), expected, "after the finding {second}");
        let Some((strategy, denied)) = decided else { continue };
        world.buy(strategy, "SPY").await;
        let running = world.start_with(Arc::new(world.log.clone()), Arc::new(model.clone()));
        count += 1;
        let last = world.decided(count).await.pop().unwrap().1;
        running.stop().await;
        assert_eq!((last.strategy.as_str(), last.rule.as_str()), (strategy, denied));
    }
    database.stop().await;
}
