//! What somebody sent by hand and is no event takes nothing of what was commanded before, and is in no command's way.

use std::sync::Arc;

use contracts::stream::TRADING;
use contracts::v1::event::Body;
use contracts::v1::{
    AccountConfigured, BacktestRequest, LimitScope, LiveTradingConfirmed, StrategyEnabled, StrategyMode,
    StrategyRegistered, TradeLimits, TradingState,
};
use event_log::{AppendError, MemoryLog, Tape};
use runtime::command::{self, LimitsError, Stop};

use crate::{Server, caller, new, put};

#[tokio::test]
async fn what_is_no_event_is_passed_over() {
    let memory = MemoryLog::new();
    let tape: Tape = Arc::new(memory.clone());
    let account = || "paper".to_owned();
    let strategy = || "sma".to_owned();
    let registered =
        StrategyRegistered { strategy: strategy(), account: account(), ..StrategyRegistered::default() };
    let enabled = StrategyEnabled {
        strategy: strategy(),
        mode: StrategyMode::Live.into(),
        ..StrategyEnabled::default()
    };
    let confirmed = LiveTradingConfirmed { account: account(), ..LiveTradingConfirmed::default() };
    for (id, body) in [
        ("a", Body::AccountConfigured(AccountConfigured { account: account(), ..Default::default() })),
        ("r", Body::StrategyRegistered(registered)),
        ("e", Body::StrategyEnabled(enabled)),
        ("c", Body::LiveTradingConfirmed(confirmed)),
    ] {
        put(&tape, id, body).await;
    }
    for (subject, payload) in [
        ("control.account.paper.configured", r#"{"id":"1","accountConfigured":{"account":"paper"}}"#),
        ("control.account.paper.live_revoked", r#"{"id":"2","liveTradingRevoked":{"account":"paper"}}"#),
        ("control.strategy.sma.registered", r#"{"id":"3","strategyRegistered":{"strategy":"sma"}}"#),
        (
            "control.strategy.sma.disabled",
            r#"{"id":"4","eventTime":"2024-05-01T14:30:00Z","strategyDisabled":{"strategy":"other"}}"#,
        ),
        ("control.strategy.sma.removed", r#"{"id":"5","strategyRemoved":{"strategy":"sma"}}"#),
        ("control.limits.paper.%.%", r#"{"id":"6","limitsSet":{"scope":{"account":"paper"}}}"#),
    ] {
        memory.publish_raw(subject, payload.as_bytes(), None).unwrap();
    }
    let known = command::registration(&tape, "sma").await.unwrap().unwrap();
    assert_eq!((known.registered.account.as_str(), known.enabled), ("paper", Some(StrategyMode::Live)));
    assert!(command::live_confirmation(&tape, "paper").await.unwrap().is_some());
    let server = Server::default();
    command::register_strategy(&tape, &server, &caller("1"), &new("mine", "paper")).await.unwrap();
    // A statement stands behind such a message, and the next one behind the statement.
    let scope = LimitScope { account: account(), ..LimitScope::default() };
    for (key, most) in [("2", 3), ("3", 4)] {
        let change = |limits: &mut TradeLimits| -> Result<(), LimitsError> {
            limits.max_open_orders = Some(most);
            Ok(())
        };
        let changed = command::change_limits(&tape, &caller(key), &scope, "drill", change).await.unwrap();
        assert_eq!(changed.set.version, u64::from(most) - 2);
    }
}

/// A halt of everything, under a key.
async fn halt(tape: &Tape, key: &str, reason: &str, state: TradingState) -> Result<(), AppendError> {
    let stop = Stop { reason: reason.to_owned(), ..Stop::default() };
    command::halt_scope(tape, &caller(key), &stop, state).await
}

#[tokio::test]
async fn a_key_that_was_used_for_something_else_changes_nothing_and_says_so() {
    let tape: Tape = Arc::new(MemoryLog::new());
    halt(&tape, "1", "drill", TradingState::ReduceOnly).await.unwrap();
    let stored = tape.state(TRADING).await.unwrap().messages;
    // The same command again is that command, a stricter one is another.
    halt(&tape, "1", "drill", TradingState::ReduceOnly).await.unwrap();
    let refused = halt(&tape, "1", "drill", TradingState::Halted).await.unwrap_err();
    assert!(matches!(&refused, AppendError::Refused(why) if why.contains("something else")), "{refused}");
    let run = |seed: u64| BacktestRequest { seed, ..BacktestRequest::default() };
    let first = command::request_backtest(&tape, &caller("2"), run(1), "").await.unwrap();
    let again = command::request_backtest(&tape, &caller("2"), run(1), "").await.unwrap();
    assert_eq!(first, again);
    command::request_backtest(&tape, &caller("2"), run(2), "").await.unwrap_err();
    assert_eq!(tape.state(TRADING).await.unwrap().messages, stored + 1);
}
