//! Commands: what they put on the tape and in which order, over a tape in memory.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod controls;
mod limits;
mod orders;
mod stopping;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use contracts::stream::{AUDIT, TRADING};
use contracts::v1::event::Body;
use contracts::v1::{
    AccountConfigured, Event, GroupPolicy, PositionsFate, Sizing, SizingKind, StrategyMode,
    StrategyRegistered,
};
use contracts::{Subject, to_timestamp};
use event_log::{Append, Expect, MemoryLog, Tape};
use runtime::command::{self, Caller, Leaving, NewStrategy, Stop, StrategyError};
use runtime::{AccessError, Credentials, ExternalStrategy, StrategyAccess};

/// Remembers what was asked of the server.
#[derive(Default)]
struct Server(Mutex<Vec<String>>);

impl Server {
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

#[async_trait]
impl StrategyAccess for Server {
    async fn ensure_consumers(&self, strategy: &ExternalStrategy) -> Result<(), AccessError> {
        self.0.lock().unwrap().push(format!("consumers {} on {}", strategy.name, strategy.account));
        Ok(())
    }

    async fn grant(&self, strategy: &ExternalStrategy) -> Result<Credentials, AccessError> {
        self.0.lock().unwrap().push(format!("grant {}", strategy.name));
        let (url, user, password) =
            ("nats://here".to_owned(), strategy.consumer(), "secret".to_owned().into());
        Ok(Credentials { url, user, password, to_add: None })
    }

    async fn revoke(&self, name: &str) -> Result<(), AccessError> {
        self.0.lock().unwrap().push(format!("revoke {name}"));
        Ok(())
    }
}

async fn tape() -> Tape {
    let tape: Tape = Arc::new(MemoryLog::new());
    for account in ["paper", "other"] {
        let body = AccountConfigured { account: account.into(), ..AccountConfigured::default() };
        put(&tape, account, Body::AccountConfigured(body)).await;
    }
    let built_in = StrategyRegistered {
        strategy: "sma".into(),
        kind: "sma_cross".into(),
        account: "paper".into(),
        ..StrategyRegistered::default()
    };
    put(&tape, "sma", Body::StrategyRegistered(built_in)).await;
    tape
}

async fn put(tape: &Tape, id: &str, body: Body) {
    let event =
        Event { id: id.into(), event_time: Some(to_timestamp(1)), body: Some(body), ..Event::default() };
    let subject = Subject::for_event(&event, None).unwrap();
    tape.append(Append { subject, event, expect: Expect::Nothing }).await.unwrap();
}

fn caller(key: &str) -> Caller {
    Caller { actor: "test".into(), key: key.into() }
}

fn new(name: &str, account: &str) -> NewStrategy {
    NewStrategy {
        name: name.into(),
        subjects: vec!["market.bar.1h.SPY".into()],
        account: account.into(),
        sizing: Sizing { kind: SizingKind::Fixed.into(), value_e9: 1, ..Sizing::default() },
        group_policy: GroupPolicy::Unwind,
    }
}

/// Enables a strategy that holds nothing.
async fn enable(tape: &Tape, key: &str, name: &str, mode: StrategyMode) {
    command::enable_strategy(tape, &caller(key), name, mode, &Leaving::default()).await.unwrap();
}

/// Subjects of TRADING from a sequence on.
async fn subjects(tape: &Tape, from: u64) -> Vec<String> {
    let mut subjects = Vec::new();
    for sequence in from..=tape.state(TRADING).await.unwrap().last_sequence {
        subjects.push(tape.get(TRADING, sequence).await.unwrap().unwrap().subject);
    }
    subjects
}

#[tokio::test]
async fn a_strategy_is_registered_once_and_removed_for_good() {
    let (tape, server) = (tape().await, Server::default());
    let (strategy, credentials) =
        command::register_strategy(&tape, &server, &caller("1"), &new("mine", "paper")).await.unwrap();
    assert_eq!(server.asked(), ["consumers mine on paper", "grant mine"]);
    assert_eq!((strategy.consumer(), credentials.user), ("strategy-mine".into(), "strategy-mine".into()));
    let known = command::registration(&tape, "mine").await.unwrap().unwrap();
    assert!(known.is_external() && known.enabled.is_none());
    assert_eq!(known.registered.subjects, ["market.bar.1h.SPY"]);
    assert_eq!(command::registered(&tape).await.unwrap(), ["mine", "sma"]);
    assert_eq!(command::accounts(&tape).await.unwrap(), ["other", "paper"]);
    let again = command::register_strategy(&tape, &server, &caller("2"), &new("mine", "paper")).await;
    assert!(matches!(again, Err(StrategyError::Exists(_))), "{again:?}");
    assert!(server.asked().is_empty(), "a refused command changes nothing");

    let nothing = Leaving::default();
    command::remove_strategy(&tape, &server, &caller("3"), "mine", "done", &nothing).await.unwrap();
    assert_eq!(command::registration(&tape, "mine").await.unwrap(), None);
    assert_eq!(command::registered(&tape).await.unwrap(), ["sma"]);
    // Again, as after an interruption: what is left on the server goes, the tape says nothing new.
    let before = tape.state(TRADING).await.unwrap().last_sequence;
    command::remove_strategy(&tape, &server, &caller("4"), "mine", "", &nothing).await.unwrap();
    assert_eq!(server.asked(), ["revoke mine", "revoke mine"]);
    assert_eq!(tape.state(TRADING).await.unwrap().last_sequence, before);
    command::register_strategy(&tape, &server, &caller("5"), &new("mine", "paper")).await.unwrap();
    assert!(command::registration(&tape, "mine").await.unwrap().unwrap().enabled.is_none());
    assert_eq!(tape.state(AUDIT).await.unwrap().messages, 3);
}

#[tokio::test]
async fn what_is_wrong_is_named_and_changes_nothing() {
    let (tape, server) = (tape().await, Server::default());
    let with = |subjects: &[&str]| NewStrategy {
        subjects: subjects.iter().map(|subject| (*subject).to_owned()).collect(),
        ..new("mine", "paper")
    };
    for (wrong, said) in [
        (new("Mine", "paper"), "name \"Mine\""),
        (new("manual", "paper"), "name \"manual\""),
        (new("mine", "nowhere"), "account \"nowhere\""),
        (with(&[]), "subjects \"\""),
        (with(&["signal.>"]), "subjects \"signal.>\""),
        (with(&["market..x"]), "subjects \"market..x\""),
        (with(&["market.bar.1h.SPY", "market.>"]), "subjects \"market.>\""),
        (new("sma", "paper"), "registered already"),
    ] {
        let refused = command::register_strategy(&tape, &server, &caller("1"), &wrong).await.unwrap_err();
        assert!(refused.to_string().contains(said), "{refused}");
    }
    let nothing = Leaving::default();
    let removed = command::remove_strategy(&tape, &server, &caller("2"), "sma", "", &nothing).await;
    assert!(matches!(removed, Err(StrategyError::BuiltIn(_))));
    let removed = command::remove_strategy(&tape, &server, &caller("3"), "nobody", "", &nothing).await;
    assert!(matches!(removed, Err(StrategyError::Unknown(_))));
    let replaced = command::replace_strategy(&tape, &server, &caller("4"), "sma", "sma", "", &nothing).await;
    assert!(matches!(replaced, Err(StrategyError::Invalid { field: "with", .. })));
    assert!(server.asked().is_empty());
    assert_eq!(tape.state(TRADING).await.unwrap().last_sequence, 3);
}

#[tokio::test]
async fn a_hand_over_is_one_position_of_the_tape() {
    let (tape, server) = (tape().await, Server::default());
    command::register_strategy(&tape, &server, &caller("1"), &new("heir", "other")).await.unwrap();
    server.asked();
    let nothing = Leaving::default();
    let early = command::replace_strategy(&tape, &server, &caller("2"), "sma", "heir", "", &nothing).await;
    assert!(matches!(early, Err(StrategyError::NotEnabled(_))), "{early:?}");
    enable(&tape, "3", "sma", StrategyMode::Shadow).await;
    let before = tape.state(TRADING).await.unwrap().last_sequence;
    let by = caller("4");
    let after = command::replace_strategy(&tape, &server, &by, "sma", "heir", "better", &nothing);
    let after = after.await.unwrap();
    assert_eq!(server.asked(), ["consumers heir on paper"], "it waits for the marks of its new account");
    assert_eq!((after.registered.account.as_str(), after.enabled), ("paper", Some(StrategyMode::Shadow)));
    assert_eq!(
        subjects(&tape, before + 1).await,
        [
            "control.strategy.sma.disabled",
            "control.strategy.heir.registered",
            "control.strategy.heir.enabled"
        ]
    );
    assert_eq!(command::registration(&tape, "heir").await.unwrap().unwrap(), after);
    assert!(command::registration(&tape, "sma").await.unwrap().unwrap().enabled.is_none());
}

#[test]
fn a_mode_has_a_name_and_money_is_no_first_one() {
    let mode = |text| command::strategy_mode(text).map_err(|error| error.to_string());
    assert_eq!(mode("shadow"), Ok(StrategyMode::Shadow));
    assert_eq!(mode("paper"), Ok(StrategyMode::Paper));
    assert_eq!(mode("live"), Ok(StrategyMode::Live));
    assert_eq!(mode("papr"), Err("mode \"papr\": expected shadow, paper or live".to_owned()));
    let first = command::first_mode("live").unwrap_err().to_string();
    assert_eq!(first, "mode \"live\": expected shadow or paper; live once it is registered");
    assert_eq!(StrategyMode::Live.name(), "live");
}

#[tokio::test]
async fn a_strategy_trades_with_money_only_where_its_account_is_confirmed() {
    let tape = tape().await;
    let nothing = Leaving::default();
    let enable =
        async |key| command::enable_strategy(&tape, &caller(key), "sma", StrategyMode::Live, &nothing).await;
    let refused = enable("1").await.unwrap_err();
    assert!(
        matches!(&refused, StrategyError::NotConfirmed { account, .. } if account == "paper"),
        "{refused}"
    );
    // Another account's word is not its own.
    command::confirm_live(&tape, &caller("2"), "other", "tried for a month").await.unwrap();
    enable("3").await.unwrap_err();
    command::confirm_live(&tape, &caller("4"), "paper", "tried for a month").await.unwrap();
    enable("5").await.unwrap();
    let known = command::registration(&tape, "sma").await.unwrap().unwrap();
    assert_eq!(known.enabled, Some(StrategyMode::Live));
    command::revoke_live(&tape, &caller("6"), "paper", "holiday").await.unwrap();
    enable("7").await.unwrap_err();
}

#[tokio::test]
async fn a_new_password_is_granted_and_audited() {
    let (tape, server) = (tape().await, Server::default());
    command::register_strategy(&tape, &server, &caller("1"), &new("mine", "paper")).await.unwrap();
    server.asked();
    let before = tape.state(TRADING).await.unwrap().last_sequence;
    let (strategy, credentials) =
        command::rotate_credentials(&tape, &server, &caller("2"), "mine").await.unwrap();
    assert_eq!(server.asked(), ["consumers mine on paper", "grant mine"]);
    assert_eq!((strategy.name.as_str(), credentials.user.as_str()), ("mine", "strategy-mine"));
    assert_eq!(tape.state(TRADING).await.unwrap().last_sequence, before, "nothing about it is trading");
    let last = tape.last(AUDIT, "audit.>").await.unwrap().unwrap();
    assert_eq!(last.subject, "audit.test.strategy_rotate");
    let built_in = command::rotate_credentials(&tape, &server, &caller("3"), "sma").await;
    assert!(matches!(built_in, Err(StrategyError::NoCredentials(_))), "{built_in:?}");
    let nobody = command::rotate_credentials(&tape, &server, &caller("4"), "nobody").await;
    assert!(matches!(nobody, Err(StrategyError::Unknown(_))), "{nobody:?}");
}

#[tokio::test]
async fn a_switch_is_to_one_that_has_run_in_shadow_mode() {
    let (tape, server) = (tape().await, Server::default());
    for name in ["old", "new"] {
        command::register_strategy(&tape, &server, &caller(name), &new(name, "paper")).await.unwrap();
    }
    enable(&tape, "5", "old", StrategyMode::Paper).await;
    for mode in [None, Some(StrategyMode::Paper)] {
        if let Some(mode) = mode {
            enable(&tape, "6", "new", mode).await;
        }
        let nothing = Leaving::default();
        let refused =
            command::switch_strategy(&tape, &server, &caller("7"), "old", "new", "", &nothing).await;
        assert!(matches!(refused, Err(StrategyError::NotBeside(_))), "{refused:?}");
    }
    enable(&tape, "8", "new", StrategyMode::Shadow).await;
    let (nothing, by) = (Leaving::default(), caller("9"));
    let after = command::switch_strategy(&tape, &server, &by, "old", "new", "better", &nothing);
    let after = after.await.unwrap();
    assert_eq!(after.enabled, Some(StrategyMode::Paper));
    let state = async |name: &str| command::registration(&tape, name).await.unwrap().unwrap().enabled;
    assert_eq!((state("old").await, state("new").await), (None, Some(StrategyMode::Paper)));
}

#[tokio::test]
async fn positions_go_to_somebody_who_will_manage_them() {
    let (tape, server) = (tape().await, Server::default());
    for (name, account) in [("heir", "paper"), ("abroad", "other")] {
        command::register_strategy(&tape, &server, &caller(name), &new(name, account)).await.unwrap();
    }
    enable(&tape, "1", "abroad", StrategyMode::Paper).await;
    let hand_over = async |key: &str, to: &str| {
        let leaving =
            Leaving { positions: PositionsFate::HandOver, hand_over_to: to.to_owned(), ..Leaving::default() };
        command::stop_strategy(&tape, &caller(key), "sma", "", &leaving).await
    };
    let refused = async |to: &str, said: &str| {
        let before = tape.state(TRADING).await.unwrap().last_sequence;
        let error = hand_over("2", to).await.unwrap_err().to_string();
        assert!(error.contains(said), "{to}: {error}");
        assert_eq!(tape.state(TRADING).await.unwrap().last_sequence, before, "{to}");
    };
    refused("", "hand_over_to \"\": expected another strategy that is enabled, or manual").await;
    refused("sma", "hand_over_to \"sma\": expected another strategy that is enabled, or manual").await;
    refused("nobody", "no strategy \"nobody\" on this tape").await;
    refused("heir", "hand_over_to \"heir\": expected a strategy enabled in mode paper or live").await;
    refused("heir", "it is disabled").await;
    refused("abroad", "a strategy that trades on account paper, or manual; it trades on other").await;
    enable(&tape, "3", "heir", StrategyMode::Shadow).await;
    refused("heir", "it is shadow").await;

    enable(&tape, "4", "heir", StrategyMode::Paper).await;
    for fate in [PositionsFate::Keep, PositionsFate::Flatten, PositionsFate::Unspecified] {
        let before = tape.state(TRADING).await.unwrap().last_sequence;
        let leaving = Leaving { positions: fate, hand_over_to: "heir".to_owned(), ..Leaving::default() };
        let both = command::stop_strategy(&tape, &caller("7"), "sma", "", &leaving).await;
        let said = "hand_over_to \"heir\": expected none, or positions hand_over beside it";
        assert_eq!(both.unwrap_err().to_string(), said);
        assert_eq!(tape.state(TRADING).await.unwrap().last_sequence, before);
    }
    for (key, to) in [("5", "heir"), ("6", "manual")] {
        hand_over(key, to).await.unwrap();
        let last = tape.last(TRADING, "control.strategy.sma.disabled").await.unwrap().unwrap();
        let Some(Body::StrategyDisabled(disabled)) = last.event.body else { panic!("it goes on") };
        assert_eq!((disabled.positions(), disabled.hand_over_to.as_str()), (PositionsFate::HandOver, to));
    }
}

#[test]
fn a_stop_says_what_it_is_of() {
    let of = |account: &str, strategy: &str| {
        let (account, strategy) = (account.to_owned(), strategy.to_owned());
        Stop { account, strategy, reason: "drill".to_owned() }.to_string()
    };
    assert_eq!(of("", ""), "all accounts");
    assert_eq!(of("paper", ""), "paper");
    assert_eq!(of("", "manual"), "strategy manual on all accounts");
    assert_eq!(of("paper", "sma"), "strategy sma on paper");
}
