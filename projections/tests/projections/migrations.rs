//! Migrations and roles.

use local_servers::testing::TestPostgres;
use sqlx::{Connection as _, PgConnection, PgPool, Row as _};

use crate::support::{Outcome, World};

#[tokio::test]
async fn an_empty_database_is_migrated_by_two_at_once_and_again() -> Outcome {
    let server = TestPostgres::shared().await?;
    let database = server.create_database(None).await?;
    let (first, second) = (PgPool::connect(database.url()).await?, PgPool::connect(database.url()).await?);
    let (one, other) = tokio::join!(projections::migrate(&first), projections::migrate(&second));
    one?;
    other?;
    projections::migrate(&first).await?;
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations"))?.count();
    let row = sqlx::query("SELECT count(*), bool_and(success) FROM projection.migrations")
        .fetch_one(&first)
        .await?;
    assert_eq!((row.get::<i64, _>(0), row.get::<bool, _>(1)), (i64::try_from(files)?, true));
    Ok(())
}

/// Until the read model is built anew, a limited rate sees the orders of before.
#[tokio::test]
async fn what_an_older_version_folded_was_decided_at_its_event_time() -> Outcome {
    let world = World::new().await;
    sqlx::raw_sql(
        "ALTER TABLE trading.risk_decisions DROP COLUMN decided_ns;
         INSERT INTO trading.risk_decisions
             VALUES (1, 'd', 42, 'paper', 'sma', 'X', 's', 'approved', '', '', '[]', '[]');
         SELECT projection.extend_trading_risk_moment('trading')",
    )
    .execute(&world.admin)
    .await?;
    let row = sqlx::query("SELECT decided_ns FROM trading.risk_decisions").fetch_one(&world.reader).await?;
    assert_eq!(row.try_get::<i64, _>(0)?, 42);
    Ok(())
}

#[tokio::test]
async fn the_reader_reads_and_cannot_write() -> Outcome {
    let world = World::new().await;
    sqlx::query("SELECT count(*) FROM trading.orders").execute(&world.reader).await?;
    let refused = sqlx::query("DELETE FROM trading.orders").execute(&world.reader).await;
    assert!(refused.unwrap_err().to_string().contains("read-only"));
    // The session's default can be lifted by whoever is logged in; the role's rights cannot.
    let mut connection = world.reader.acquire().await?;
    sqlx::query("SET default_transaction_read_only = off").execute(&mut *connection).await?;
    let refused = sqlx::query("DELETE FROM trading.orders").execute(&mut *connection).await;
    assert!(refused.unwrap_err().to_string().contains("permission denied"));
    drop(connection.detach());
    Ok(())
}

#[tokio::test]
async fn the_logins_work_and_take_a_new_password() -> Outcome {
    let world = World::new().await;
    for round in ["first", "it's \"second\""] {
        let (projector, reader) = (format!("p-{round}"), format!("r-{round}"));
        projections::provision_logins(&world.admin, &projector.clone().into(), &reader.clone().into())
            .await?;
        let of = |login: &str, password: &str| {
            let admin = world.admin.connect_options();
            admin.as_ref().clone().username(login).password(password)
        };
        let writer = projections::projector_pool(of(projections::PROJECTOR_LOGIN, &projector), 1).await?;
        sqlx::query(
            "INSERT INTO projection.checkpoints (name, version, stream) VALUES ('x', 1, 'X')
                     ON CONFLICT DO NOTHING",
        )
        .execute(&writer)
        .await?;
        sqlx::query("SELECT projection.create_services('services_made_by_login')").execute(&writer).await?;
        sqlx::query("DROP SCHEMA services_made_by_login CASCADE").execute(&writer).await?;
        let reading = projections::reader_pool(of(projections::READER_LOGIN, &reader), 1).await?;
        let row = sqlx::query("SELECT count(*) FROM projection.checkpoints").fetch_one(&reading).await?;
        assert_eq!(row.get::<i64, _>(0), 1);
        let wrong = PgConnection::connect_with(&of(projections::READER_LOGIN, "wrong")).await;
        assert!(wrong.is_err());
    }
    Ok(())
}

#[tokio::test]
async fn years_of_bars_have_their_partitions() -> Outcome {
    let world = World::new().await;
    let row = sqlx::query("SELECT count(*) FROM pg_inherits WHERE inhparent = 'bars.bars'::regclass")
        .fetch_one(&world.admin)
        .await?;
    assert_eq!(row.get::<i64, _>(0), 57);
    Ok(())
}
