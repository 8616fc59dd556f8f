//! Limits: a statement is one that changes something.

use contracts::stream::{AUDIT, TRADING};
use contracts::v1::{LimitScope, TradeLimits};
use event_log::Tape;
use runtime::command::{self, LimitsChange, LimitsError};

use crate::{caller, tape};

/// States the largest number of open orders of an account, or ends that limit.
async fn open_orders(tape: &Tape, key: &str, most: Option<u32>) -> LimitsChange {
    try_open_orders(tape, key, most).await.unwrap()
}

async fn try_open_orders(tape: &Tape, key: &str, most: Option<u32>) -> Result<LimitsChange, LimitsError> {
    let scope = LimitScope { account: "paper".to_owned(), ..LimitScope::default() };
    let change = |limits: &mut TradeLimits| -> Result<(), LimitsError> {
        limits.max_open_orders = most;
        Ok(())
    };
    command::change_limits(tape, &caller(key), &scope, "drill", change).await
}

#[tokio::test]
async fn a_change_that_changes_nothing_makes_no_version() {
    let tape = tape().await;
    let stored = async || {
        let messages = async |stream: &str| tape.state(stream).await.unwrap().messages;
        (messages(TRADING).await, messages(AUDIT).await)
    };
    let before = stored().await;
    let told = async |key: &str, most: Option<u32>| {
        let LimitsChange { set, is_new } = open_orders(&tape, key, most).await;
        (set.version, is_new, set.limits.unwrap_or_default().max_open_orders)
    };
    assert_eq!(told("1", None).await, (0, false, None), "nothing is stated, and nothing ended");
    assert_eq!(stored().await, before);
    assert_eq!(told("2", Some(3)).await, (1, true, Some(3)));
    assert_eq!(told("3", Some(3)).await, (1, false, Some(3)));
    // The same command again is that command, whatever was stated before it.
    assert_eq!(told("2", Some(3)).await, (1, true, Some(3)));
    assert_eq!(stored().await, (before.0 + 1, before.1 + 1));
    assert_eq!(told("4", None).await, (2, true, None));
    assert_eq!(told("5", None).await, (2, false, None));
    assert_eq!(stored().await, (before.0 + 2, before.1 + 2));
}

#[tokio::test]
async fn a_used_key_states_no_other_limit_and_none_again_that_was_changed_since() {
    let tape = tape().await;
    open_orders(&tape, "1", Some(3)).await;
    let refused = try_open_orders(&tape, "1", Some(9)).await.unwrap_err();
    assert!(refused.to_string().contains("used for something else"), "{refused}");
    open_orders(&tape, "2", Some(4)).await;
    let stored = tape.state(TRADING).await.unwrap().messages;
    // What is told is what is in force.
    let LimitsChange { set, is_new } = open_orders(&tape, "1", Some(3)).await;
    assert_eq!((set.limits.unwrap_or_default().max_open_orders, is_new), (Some(4), false));
    assert_eq!(tape.state(TRADING).await.unwrap().messages, stored);
}

#[tokio::test]
async fn limits_in_force_are_those_of_an_account_and_its_strategies() {
    let tape = tape().await;
    let state = async |key: &str, scope: (&str, &str, &str), most: Option<u32>| {
        let (account, strategy, symbol) = (scope.0.to_owned(), scope.1.to_owned(), scope.2.to_owned());
        let change = |limits: &mut TradeLimits| -> Result<(), LimitsError> {
            limits.max_open_orders = most;
            Ok(())
        };
        let scope = LimitScope { account, strategy, symbol };
        command::change_limits(&tape, &caller(key), &scope, "", change).await.unwrap();
    };
    let scopes = [
        ("paper", "", ""),
        ("other", "", ""),
        ("", "sma", ""),
        ("", "mine", ""),
        ("", "", "BRK.B"),
        ("paper", "sma", "SPY"),
    ];
    for (place, scope) in scopes.into_iter().enumerate() {
        state(&format!("first-{place}"), scope, Some(3)).await;
    }
    state("second", ("paper", "", ""), Some(4)).await;
    state("ended", ("", "", "BRK.B"), None).await;
    let named = async |account: &str, strategies: &[&str]| {
        let sets = command::limits_in_force(&tape, account, strategies).await.unwrap();
        let said = sets.into_iter().map(|set| {
            let LimitScope { account, strategy, symbol } = set.scope.unwrap_or_default();
            (format!("{account}/{strategy}/{symbol}"), set.version)
        });
        let mut said: Vec<(String, u64)> = said.collect();
        said.sort();
        said
    };
    let said = |rows: &[(&str, u64)]| -> Vec<(String, u64)> {
        rows.iter().map(|(scope, version)| ((*scope).to_owned(), *version)).collect()
    };
    assert_eq!(named("paper", &["sma"]).await, said(&[("/sma/", 1), ("paper//", 2), ("paper/sma/SPY", 1)]));
    // Where the account is open, only what is of each one holds.
    assert_eq!(named("", &["sma", "mine"]).await, said(&[("/mine/", 1), ("/sma/", 1)]));
    state("again", ("", "", "BRK.B"), Some(1)).await;
    assert_eq!(named("other", &[]).await, said(&[("//BRK.B", 3), ("other//", 1)]));
}
