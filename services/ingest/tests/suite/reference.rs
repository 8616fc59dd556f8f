//! Facts on the tape: what has changed is appended, what has not is not, and the past stays.

use contracts::v1::event::Body;
use contracts::v1::{
    CompanyProfile, Figure, FinancialStatement, Listing, ListingState, Signal, StatementPeriod,
};
use event_log::Tape;
use ingest::reference::{KeepError, keep, state};

use crate::support::memory;

fn profile(employees: i64) -> Body {
    Body::CompanyProfile(CompanyProfile {
        symbol: "BRK.B".into(),
        name: "Berkshire".into(),
        employees: Some(employees),
        ..CompanyProfile::default()
    })
}

fn statement(end: &str, revenue: &str) -> Body {
    Body::FinancialStatement(FinancialStatement {
        symbol: "BRK.B".into(),
        period: StatementPeriod::Annual.into(),
        period_end: end.into(),
        currency: "USD".into(),
        items: vec![Figure { name: "total_revenue".into(), value: revenue.into() }],
    })
}

fn listing(state: ListingState) -> Body {
    Body::Listing(Listing { symbol: "BRK.B".into(), state: state.into(), ..Listing::default() })
}

async fn known(tape: &Tape, as_of_ns: i64) -> Vec<(String, String, u32)> {
    let stated = state(tape, "BRK.B", as_of_ns).await.unwrap();
    stated
        .into_iter()
        .map(|stated| (format!("{} {}", stated.kind, stated.part), stated.source, stated.times))
        .collect()
}

#[tokio::test]
async fn a_second_look_appends_only_what_has_changed() {
    let tape = memory();
    let facts = || vec![profile(5), statement("2024-12-31", "10"), statement("2025-12-31", "11")];
    let kept = keep(&tape, "yahoo", 1_000, facts()).await.unwrap();
    assert_eq!((kept.total(), kept.unchanged), (3, 0));
    assert_eq!(kept.appended["statement"], 2);
    let kept = keep(&tape, "yahoo", 2_000, facts()).await.unwrap();
    assert_eq!((kept.total(), kept.unchanged), (0, 3));

    let restated = vec![profile(6), statement("2024-12-31", "10"), statement("2025-12-31", "12")];
    let kept = keep(&tape, "yahoo", 3_000, restated).await.unwrap();
    assert_eq!((kept.total(), kept.unchanged), (2, 1));
    assert_eq!(tape.state("REFERENCE").await.unwrap().messages, 5);

    // And back again: what was stated before is stated once more, under another id.
    let kept = keep(&tape, "yahoo", 4_000, facts()).await.unwrap();
    assert_eq!((kept.total(), kept.unchanged), (2, 1));
    let stored = tape.stored_from("REFERENCE", ">", 1, 100).await.unwrap();
    let mut ids: Vec<String> = stored.iter().map(|stored| stored.decode().unwrap().id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 7);
}

#[tokio::test]
async fn each_source_is_compared_with_itself_alone() {
    let tape = memory();
    keep(&tape, "alpaca", 1, vec![listing(ListingState::Listed)]).await.unwrap();
    let kept = keep(&tape, "massive", 2, vec![listing(ListingState::Listed)]).await.unwrap();
    assert_eq!(kept.total(), 1, "another source states it too");
    let kept = keep(&tape, "alpaca", 3, vec![listing(ListingState::Delisted)]).await.unwrap();
    assert_eq!(kept.total(), 1);
    let kept = keep(&tape, "massive", 4, vec![listing(ListingState::Listed)]).await.unwrap();
    assert_eq!((kept.total(), kept.unchanged), (0, 1));
    let sources = known(&tape, 10).await.into_iter().map(|(_, source, times)| (source, times));
    assert_eq!(sources.collect::<Vec<_>>(), [("alpaca".to_owned(), 2), ("massive".to_owned(), 1)]);
}

#[tokio::test]
async fn the_past_shows_what_was_known_then() {
    let tape = memory();
    keep(&tape, "yahoo", 1_000, vec![profile(5)]).await.unwrap();
    keep(&tape, "yahoo", 2_000, vec![profile(6), statement("2025-12-31", "1")]).await.unwrap();
    assert_eq!(known(&tape, 999).await, []);
    let only = vec![("profile ".to_owned(), "yahoo".to_owned(), 1)];
    assert_eq!(known(&tape, 1_999).await, only);
    let stated = state(&tape, "BRK.B", 1_999).await.unwrap();
    let Body::CompanyProfile(profile) = &stated[0].body else { panic!("{stated:?}") };
    assert_eq!((profile.employees, stated[0].event_time_ns), (Some(5), 1_000));
    assert_eq!(known(&tape, 2_000).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_at_once_store_each_fact_once() {
    for _ in 0..10 {
        let tape = memory();
        let look = |tape: Tape| async move {
            keep(&tape, "yahoo", 1, vec![profile(5), statement("2025-12-31", "1")]).await.unwrap().total()
        };
        let one = tokio::spawn(look(tape.clone()));
        let two = tokio::spawn(look(tape.clone()));
        assert_eq!(one.await.unwrap() + two.await.unwrap(), 2);
        assert_eq!(tape.state("REFERENCE").await.unwrap().messages, 2);
    }
}

#[tokio::test]
async fn what_is_no_fact_is_refused() {
    let error = keep(&memory(), "yahoo", 1, vec![Body::Signal(Signal::default())]).await.unwrap_err();
    assert!(matches!(error, KeepError::Foreign));
}
