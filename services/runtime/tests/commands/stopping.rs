//! Strategies that go for good or for their next version: what becomes of what they hold is stated and on the tape.

use contracts::stream::{AUDIT, TRADING};
use contracts::v1::event::Body;
use contracts::v1::{Audit, PositionsFate, StrategyDisabled, StrategyMode};
use event_log::Tape;
use runtime::command::{self, Leaving, StrategyError};

use crate::{Server, caller, enable, new, subjects, tape};

/// What is left behind of 20 shares.
fn leaving(positions: PositionsFate, to: &str) -> Leaving {
    Leaving { holds: "20 ACMEX".to_owned(), positions, hand_over_to: to.to_owned() }
}

async fn last_stop(tape: &Tape, name: &str) -> StrategyDisabled {
    let subject = format!("control.strategy.{name}.disabled");
    let last = tape.last(TRADING, &subject).await.unwrap().unwrap();
    let Some(Body::StrategyDisabled(disabled)) = last.event.body else { panic!("no stop") };
    disabled
}

async fn last_audit(tape: &Tape) -> Audit {
    let last = tape.last(AUDIT, "audit.>").await.unwrap().unwrap();
    let Some(Body::Audit(audit)) = last.event.body else { panic!("no audit") };
    audit
}

async fn head(tape: &Tape) -> u64 {
    tape.state(TRADING).await.unwrap().last_sequence
}

#[tokio::test]
async fn a_removal_says_what_becomes_of_what_the_strategy_holds() {
    let (tape, server) = (tape().await, Server::default());
    command::register_strategy(&tape, &server, &caller("1"), &new("mine", "paper")).await.unwrap();
    server.asked();
    let remove = async |key: &str, leaving: &Leaving| {
        command::remove_strategy(&tape, &server, &caller(key), "mine", "done", leaving).await
    };
    let before = head(&tape).await;
    for (wrong, said) in [
        (
            leaving(PositionsFate::Unspecified, ""),
            "positions \"\": expected keep, flatten or hand_over, because strategy \"mine\" holds 20 ACMEX",
        ),
        (leaving(PositionsFate::HandOver, ""), "hand_over_to \"\": expected another strategy"),
        (leaving(PositionsFate::HandOver, "mine"), "hand_over_to \"mine\": expected another strategy"),
        (leaving(PositionsFate::HandOver, "sma"), "hand_over_to \"sma\": expected a strategy enabled"),
        (leaving(PositionsFate::Keep, "manual"), "hand_over_to \"manual\": expected none"),
    ] {
        let refused = remove("2", &wrong).await.unwrap_err().to_string();
        assert!(refused.starts_with(said), "{refused}");
    }
    assert_eq!((head(&tape).await, server.asked().len()), (before, 0), "a refused removal changes nothing");

    remove("3", &leaving(PositionsFate::Flatten, "")).await.unwrap();
    assert_eq!(
        subjects(&tape, before + 1).await,
        ["control.strategy.mine.disabled", "control.strategy.mine.removed"]
    );
    let stop = last_stop(&tape, "mine").await;
    assert_eq!((stop.positions(), stop.reason.as_str()), (PositionsFate::Flatten, "removed: done"));
    let audit = last_audit(&tape).await;
    assert_eq!(
        (audit.action.as_str(), audit.detail.as_str()),
        ("strategy_remove", "positions: flatten; done")
    );
    assert_eq!(server.asked(), ["revoke mine"]);
    // The same command again finishes what was interrupted, and says nothing twice.
    let before = head(&tape).await;
    remove("4", &leaving(PositionsFate::Unspecified, "")).await.unwrap();
    assert_eq!((head(&tape).await, server.asked()), (before, vec!["revoke mine".to_owned()]));
}

#[tokio::test]
async fn what_a_removed_strategy_still_holds_is_closed_or_handed_over() {
    let (tape, server) = (tape().await, Server::default());
    command::register_strategy(&tape, &server, &caller("1"), &new("mine", "paper")).await.unwrap();
    let keep = leaving(PositionsFate::Keep, "");
    command::remove_strategy(&tape, &server, &caller("2"), "mine", "", &keep).await.unwrap();
    assert_eq!(last_stop(&tape, "mine").await.positions(), PositionsFate::Keep);
    enable(&tape, "3", "sma", StrategyMode::Paper).await;
    for (key, fate, to) in [
        ("4", PositionsFate::Flatten, ""),
        ("5", PositionsFate::HandOver, "manual"),
        ("6", PositionsFate::HandOver, "sma"),
    ] {
        command::stop_strategy(&tape, &caller(key), "mine", "late", &leaving(fate, to)).await.unwrap();
        let stop = last_stop(&tape, "mine").await;
        assert_eq!((stop.positions(), stop.hand_over_to.as_str()), (fate, to));
    }
    assert_eq!(command::registration(&tape, "mine").await.unwrap(), None, "it stays removed");
    // As a part of the removal that is asked for again, too.
    let before = head(&tape).await;
    let flatten = leaving(PositionsFate::Flatten, "");
    command::remove_strategy(&tape, &server, &caller("7"), "mine", "", &flatten).await.unwrap();
    assert_eq!(subjects(&tape, before + 1).await, ["control.strategy.mine.disabled"]);
    let (by, to_sma) = (caller("8"), leaving(PositionsFate::HandOver, "sma"));
    let of_nobody = command::stop_strategy(&tape, &by, "nobody", "", &to_sma).await;
    assert!(matches!(of_nobody, Err(StrategyError::Unknown(_))), "{of_nobody:?}");
}

#[tokio::test]
async fn a_replacement_says_what_becomes_of_what_the_old_one_holds() {
    let (tape, server) = (tape().await, Server::default());
    command::register_strategy(&tape, &server, &caller("1"), &new("heir", "paper")).await.unwrap();
    enable(&tape, "2", "sma", StrategyMode::Shadow).await;
    let replace = async |key: &str, old: &str, new: &str, positions: PositionsFate| {
        let leaving = leaving(positions, "");
        command::replace_strategy(&tape, &server, &caller(key), old, new, "better", &leaving).await
    };
    let before = head(&tape).await;
    let unsaid = replace("3", "sma", "heir", PositionsFate::Unspecified).await;
    assert!(matches!(&unsaid, Err(StrategyError::Holds { holds, .. }) if holds == "20 ACMEX"), "{unsaid:?}");
    // Signals in shadow mode become no orders: nobody would manage what is handed over.
    let idle = replace("4", "sma", "heir", PositionsFate::HandOver).await.unwrap_err().to_string();
    assert!(idle.starts_with("positions \"hand_over\": expected keep or flatten"), "{idle}");
    assert_eq!(head(&tape).await, before);

    enable(&tape, "5", "sma", StrategyMode::Paper).await;
    replace("6", "sma", "heir", PositionsFate::HandOver).await.unwrap();
    let stop = last_stop(&tape, "sma").await;
    assert_eq!((stop.positions(), stop.hand_over_to.as_str()), (PositionsFate::HandOver, "heir"));
    assert_eq!(stop.reason, "replaced by heir: better");
    assert_eq!(last_audit(&tape).await.detail, "with heir; positions: hand_over; better");
    replace("7", "heir", "sma", PositionsFate::Keep).await.unwrap();
    let stop = last_stop(&tape, "heir").await;
    assert_eq!((stop.positions(), stop.hand_over_to.as_str()), (PositionsFate::Keep, ""));
}

#[tokio::test]
async fn a_successor_that_trades_does_not_stop_unasked() {
    let (tape, server) = (tape().await, Server::default());
    for (name, account) in [("trial", "paper"), ("abroad", "other")] {
        command::register_strategy(&tape, &server, &caller(name), &new(name, account)).await.unwrap();
    }
    enable(&tape, "1", "trial", StrategyMode::Shadow).await;
    enable(&tape, "2", "sma", StrategyMode::Paper).await;
    enable(&tape, "3", "abroad", StrategyMode::Paper).await;
    let nothing = Leaving::default();
    let replace = async |key: &str, old: &str, new: &str| {
        command::replace_strategy(&tape, &server, &caller(key), old, new, "", &nothing).await
    };
    let before = head(&tape).await;
    // In shadow mode, and on another account, it would leave alone what it holds.
    for (old, with, said) in [
        ("trial", "sma", "account and mode (shadow); this one trades on paper"),
        ("sma", "abroad", "account and mode (paper); this one trades on other"),
    ] {
        let refused = replace("4", old, with).await.unwrap_err();
        assert!(matches!(refused, StrategyError::Invalid { field: "with", .. }), "{refused:?}");
        assert!(refused.to_string().contains(said), "{refused}");
    }
    assert_eq!(head(&tape).await, before);
    // One in the same mode on the same account goes on as it was, and one that is stopped comes in the place of the old.
    enable(&tape, "5", "trial", StrategyMode::Paper).await;
    replace("6", "trial", "sma").await.unwrap();
    command::stop_strategy(&tape, &caller("7"), "abroad", "", &nothing).await.unwrap();
    replace("8", "sma", "abroad").await.unwrap();
}

#[tokio::test]
async fn a_stop_says_what_becomes_of_what_the_strategy_holds() {
    let tape = tape().await;
    enable(&tape, "1", "sma", StrategyMode::Paper).await;
    let before = head(&tape).await;
    let stop = async |key: &str, leaving: &Leaving| {
        command::stop_strategy(&tape, &caller(key), "sma", "enough", leaving).await
    };
    let unsaid = stop("2", &leaving(PositionsFate::Unspecified, "")).await;
    assert!(matches!(&unsaid, Err(StrategyError::Holds { holds, .. }) if holds == "20 ACMEX"), "{unsaid:?}");
    assert_eq!(head(&tape).await, before, "a refused stop changes nothing");
    stop("3", &leaving(PositionsFate::Keep, "")).await.unwrap();
    assert_eq!(last_stop(&tape, "sma").await.positions(), PositionsFate::Keep);
    assert_eq!(last_audit(&tape).await.detail, "positions: keep; enough");
    // Of nothing nothing has to be said.
    stop("4", &Leaving::default()).await.unwrap();
    assert_eq!(last_audit(&tape).await.detail, "enough");
}

#[tokio::test]
async fn shadow_mode_says_what_becomes_of_what_the_strategy_holds() {
    let tape = tape().await;
    enable(&tape, "1", "sma", StrategyMode::Paper).await;
    let before = head(&tape).await;
    let enable = async |key: &str, mode: StrategyMode, leaving: &Leaving| {
        command::enable_strategy(&tape, &caller(key), "sma", mode, leaving).await
    };
    for (mode, leaving, said) in [
        (StrategyMode::Shadow, leaving(PositionsFate::Unspecified, ""), "because strategy \"sma\" holds 20"),
        (StrategyMode::Shadow, leaving(PositionsFate::HandOver, ""), "hand_over_to \"\": expected another"),
        (StrategyMode::Shadow, leaving(PositionsFate::HandOver, "sma"), "hand_over_to \"sma\": expected"),
        (StrategyMode::Paper, leaving(PositionsFate::Keep, ""), "positions \"keep\": expected nothing"),
        (StrategyMode::Paper, leaving(PositionsFate::Unspecified, "manual"), "expected nothing"),
    ] {
        let refused = enable("2", mode, &leaving).await.unwrap_err().to_string();
        assert!(refused.contains(said), "{refused}");
    }
    assert_eq!(head(&tape).await, before, "a refused change of mode changes nothing");

    let to_manual = leaving(PositionsFate::HandOver, "manual");
    enable("3", StrategyMode::Shadow, &to_manual).await.unwrap();
    let changed = ["control.strategy.sma.disabled", "control.strategy.sma.enabled"];
    assert_eq!(subjects(&tape, before + 1).await, changed);
    let stop = last_stop(&tape, "sma").await;
    assert_eq!((stop.positions(), stop.hand_over_to.as_str()), (PositionsFate::HandOver, "manual"));
    assert_eq!(stop.reason, "enabled in mode shadow");
    assert_eq!(last_audit(&tape).await.detail, "positions: hand_over; shadow");
    let known = command::registration(&tape, "sma").await.unwrap().unwrap();
    assert_eq!(known.enabled, Some(StrategyMode::Shadow));
    // The same command again is the same command.
    let before = head(&tape).await;
    enable("3", StrategyMode::Shadow, &to_manual).await.unwrap();
    assert_eq!(head(&tape).await, before);
}

#[test]
fn a_fate_has_one_name() {
    for name in ["keep", "flatten", "hand_over"] {
        assert_eq!(command::positions_fate(name).map(command::fate_name), Some(name));
    }
    assert_eq!(command::positions_fate("hand-over"), Some(PositionsFate::HandOver));
    assert_eq!(command::positions_fate("unspecified"), None);
}
