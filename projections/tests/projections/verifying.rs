//! Verification finds what was changed by hand, and names it.

use projections::{Name, VerifyError, verify};

use crate::support::{HOUR, Outcome, SECOND, START, World, bar, chain};

#[tokio::test]
async fn a_changed_value_is_named() -> Outcome {
    let world = World::new().await;
    chain(&world).await;
    world.catch_up(Name::Trading).await;
    assert_eq!(verify(&world.writer, &world.tape, Name::Trading).await?.first, None);
    sqlx::query("UPDATE trading.positions SET cost = cost + 0.000000001").execute(&world.admin).await?;
    let report = verify(&world.writer, &world.tape, Name::Trading).await?;
    assert_eq!(report.differences(), 1);
    let first = report.first.unwrap();
    assert_eq!(
        (first.table, first.key.as_str(), first.column.as_str()),
        ("positions", "account=paper strategy=sma symbol=BRK.B", "cost")
    );
    assert_eq!(
        (first.live.as_deref(), first.fold.as_deref()),
        (Some("503.000000001"), Some("503.000000000"))
    );
    Ok(())
}

#[tokio::test]
async fn missing_and_surplus_rows_are_counted() -> Outcome {
    let world = World::new().await;
    for index in 0..20 {
        world.append(bar("IBM", START + index * HOUR, 100 * SECOND), None).await;
    }
    world.catch_up(Name::Bars).await;
    sqlx::query("DELETE FROM bars.bars WHERE sequence IN (3, 4)").execute(&world.admin).await?;
    sqlx::query("UPDATE bars.bars SET symbol = 'IBN' WHERE sequence = 20").execute(&world.admin).await?;
    let report = verify(&world.writer, &world.tape, Name::Bars).await?;
    assert_eq!(report.differences(), 4);
    let first = report.first.unwrap();
    assert_eq!((first.table, first.live, first.column.as_str()), ("bars", None, ""));
    assert!(first.fold.unwrap().contains("\"sequence\": \"3\""));
    // The scratch was never there for anybody else, and is gone.
    let left =
        sqlx::query("SELECT FROM pg_namespace WHERE nspname ~ '_verify_'").fetch_all(&world.admin).await?;
    assert!(left.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_projection_that_never_ran_is_said_to_be_so() -> Outcome {
    let world = World::new().await;
    let outcome = verify(&world.writer, &world.tape, Name::Bars).await;
    assert!(matches!(outcome, Err(VerifyError::NoCheckpoint(_))), "{outcome:?}");
    // Rows of which nobody knows what they are the fold of are no projection that never ran.
    world.append(bar("IBM", START, 100 * SECOND), None).await;
    world.catch_up(Name::Bars).await;
    sqlx::query("DELETE FROM projection.checkpoints").execute(&world.admin).await?;
    let outcome = verify(&world.writer, &world.tape, Name::Bars).await;
    assert!(matches!(outcome, Err(VerifyError::Unplaced(_))), "{outcome:?}");
    Ok(())
}
