//! What an account did: deposits are no gains, and only what lies in the span counts.

use domain::money::Amount;
use projections::queries::{Change, account_track};

use crate::rows::fill;
use crate::support::{HOUR, Outcome, START, World};

fn units(value: i128) -> Amount {
    Amount(value * 1_000_000_000)
}

#[tokio::test]
async fn later_deposits_are_taken_off_the_marks() -> Outcome {
    let world = World::new().await;
    for (sequence, hour, equity) in [(2, 1, 1_000), (4, 2, 1_500), (6, 3, 1_450)] {
        sqlx::query("INSERT INTO trading.equity VALUES ($1, 'paper', $2, $3, $3, 10, 0, 0, 0, 0, false)")
            .bind(sequence)
            .bind(START + HOUR * hour)
            .bind(f64::from(equity))
            .execute(&world.admin)
            .await?;
    }
    for (sequence, kind, amount, after, fraction) in [
        (1, "deposit", 1_000, 0, 0.0),
        (3, "deposit", 400, 0, 0.0),
        (5, "split", 0, 20, 0.5),
        (7, "cash_in_lieu", 9, 0, 0.0),
    ] {
        sqlx::query(
            "INSERT INTO trading.entries VALUES ($1, 'e' || $1, $2, 'paper', $3, 'sma', 'SPY', $4, $5, $6, '')",
        )
        .bind(sequence)
        .bind(START + HOUR * sequence / 2)
        .bind(kind)
        .bind(f64::from(amount))
        .bind(f64::from(after))
        .bind(fraction)
        .execute(&world.admin)
        .await?;
    }
    let track = account_track(&world.reader, "paper", (i64::MIN, i64::MAX)).await?;
    let equity: Vec<Amount> = track.marks.iter().map(|mark| mark.equity).collect();
    assert_eq!(equity, [units(1_000), units(1_100), units(1_050)]);
    assert_eq!(track.deposits_later, units(400));
    assert!(matches!(
        track.deals.iter().map(|deal| deal.change).collect::<Vec<_>>()[..],
        [Change::Split { after, fraction }, Change::CashInLieu { amount }]
            if after.0 == 20_000_000_000 && fraction.0 == 500_000_000 && amount == units(9)
    ));
    // From the second mark on, the money that was there already is no later deposit.
    let part = account_track(&world.reader, "paper", (START + HOUR * 2, START + HOUR * 3)).await?;
    assert_eq!(part.marks.iter().map(|mark| mark.equity).collect::<Vec<_>>(), [units(1_500)]);
    assert_eq!((part.base, part.deposits_later), (None, Amount::ZERO));
    // Between two marks it begins with what the one before left, and what was paid in since: the rest is its gain.
    let between = account_track(&world.reader, "paper", (START + HOUR * 7 / 4, i64::MAX)).await?;
    let base = between.base.map(|base| (base.time_ns, base.equity, base.cash));
    assert_eq!(base, Some((START + HOUR * 7 / 4, units(1_400), units(1_400))));
    assert_eq!(
        between.marks.iter().map(|mark| mark.equity).collect::<Vec<_>>(),
        [units(1_500), units(1_450)]
    );
    assert_eq!(between.deposits_later, Amount::ZERO);
    // What is paid in behind the beginning is taken off.
    let early = account_track(&world.reader, "paper", (START + HOUR * 5 / 4, i64::MAX)).await?;
    assert_eq!(early.base.map(|base| base.equity), Some(units(1_000)));
    assert_eq!(early.marks.iter().map(|mark| mark.equity).collect::<Vec<_>>(), [units(1_100), units(1_050)]);
    assert_eq!(early.deposits_later, units(400));
    Ok(())
}

#[tokio::test]
async fn counts_and_costs_are_those_of_the_span() -> Outcome {
    let world = World::new().await;
    fill(&world.admin, 2_000).await?;
    let all = account_track(&world.reader, "paper", (i64::MIN, i64::MAX)).await?;
    assert_eq!((all.counts.fills, all.counts.decided, all.counts.approved), (2_000, 2_000, 1_996));
    assert_eq!(all.counts.denied, [("max_position".to_owned(), 4)].into());
    // Every fiftieth order is of another account.
    assert_eq!((all.counts.orders, all.counts.rejected), (1_960, 0));
    assert_eq!((all.commission, all.slippage), (units(2_000), units(5_000)));
    let part = account_track(&world.reader, "paper", (START, START + 10_000)).await?;
    assert_eq!((part.counts.fills, part.deals.len()), (99, 99));
    assert_eq!(account_track(&world.reader, "nobody", (i64::MIN, i64::MAX)).await?.counts.fills, 0);
    Ok(())
}
