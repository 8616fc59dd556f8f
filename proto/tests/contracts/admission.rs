//! What may stand under a subject of TRADING: an event of its own, with a time, complete.

use contracts::v1::{Event, OrderSpec};
use contracts::{SCHEMA_VERSION, Subject, Timestamp, admit, stream, stream_of};

use crate::golden;

const TIME: &str = r#""id":"1","eventTime":"2024-01-08T15:31:00Z""#;

/// An event of its JSON form, without time and id where `head` has none.
fn event(head: &str, body: &str) -> Event {
    contracts::decode(format!("{{{head},{body}}}").as_bytes()).unwrap()
}

/// Checks what is said of a body that stands under `subject`; nothing when it is admitted.
fn check(subject: &str, body: &str, expect: &str) {
    let refused = admit(subject, &event(TIME, body)).err().map(|error| error.to_string());
    assert_eq!(refused.unwrap_or_default(), expect, "{subject} {body}");
}

/// The refusal of a body whose own subject is another one.
fn foreign(subject: &str, body: &str, own: &str) {
    check(subject, body, &format!("field `subject`: {subject:?}, expected {own:?} by its content"));
}

#[test]
fn every_event_is_admitted_under_its_own_subject_alone() {
    let order = OrderSpec {
        order_id: "0123456789abcdef01234567".into(),
        account: "main".into(),
        strategy: "sma_cross".into(),
        symbol: "BRK.B".into(),
        ..OrderSpec::default()
    };
    let all: Vec<(String, Event)> = golden::all()
        .iter()
        .map(|golden| {
            // A sample has a number of its own in every field.
            let event = Event { schema_version: SCHEMA_VERSION, ..golden.event() };
            (Subject::for_event(&event, Some(&order)).unwrap().to_string(), event)
        })
        .collect();
    for (own, event) in &all {
        assert!(admit(own, event).is_ok(), "{own}: {:?}", admit(own, event));
        for (other, _) in all.iter().filter(|(other, _)| other != own) {
            let refused = stream_of(other) == Some(stream::TRADING);
            assert_eq!(admit(other, event).is_err(), refused, "{own} under {other}");
        }
    }
}

#[test]
fn an_event_of_a_later_schema_is_none_to_this_program() {
    for (subject, body) in [
        ("market.bar.1h.SPY", r#""bar":{"symbol":"SPY","timeframe":"1h"}"#),
        ("control.trading.alt.halted", r#""tradingHalted":{"account":"alt"}"#),
        ("signal.swing.SPY", r#""signal":{"strategy":"swing","legs":[{"symbol":"SPY"}]}"#),
        ("audit.ann.halt", r#""audit":{"actor":"ann","action":"halt"}"#),
    ] {
        let of = |version: u32| admit(subject, &Event { schema_version: version, ..event(TIME, body) });
        assert!(of(0).is_ok() && of(SCHEMA_VERSION).is_ok(), "{subject}");
        let expected = "field `schema_version`: 2, expected at most 1: a later program wrote it";
        assert_eq!(of(SCHEMA_VERSION + 1).unwrap_err().to_string(), expected, "{subject}");
    }
}

#[test]
fn a_stop_says_the_same_as_its_subject() {
    for (body, name) in
        [("tradingKilled", "killed"), ("tradingHalted", "halted"), ("tradingResumed", "resumed")]
    {
        let of = |fields: &str| format!(r#""{body}":{{{fields}}}"#);
        let trading = |scope: &str| format!("control.trading.{scope}.{name}");
        let strategy = |scope: &str| format!("control.strategy.{scope}.{name}");
        let (all, alt) = (of(r#""reason":"by hand""#), of(r#""account":"alt""#));
        let (swing, both) = (of(r#""strategy":"swing""#), of(r#""account":"alt","strategy":"swing""#));
        check(&trading("all"), &all, "");
        check(&trading("alt"), &alt, "");
        check(&strategy("swing"), &swing, "");
        check(&strategy("swing"), &both, "");
        check(&strategy("manual"), &of(r#""strategy":"manual""#), "");

        // One account by the subject, all of them or another by the body; and the other way round.
        foreign(&trading("alt"), &all, &trading("all"));
        foreign(&trading("alt"), &of(r#""account":"paper""#), &trading("paper"));
        foreign(&trading("all"), &alt, &trading("alt"));
        // A strategy by one of them, all of them or another by the other.
        foreign(&strategy("manual"), &swing, &strategy("swing"));
        foreign(&strategy("swing"), &all, &trading("all"));
        foreign(&strategy("swing"), &alt, &trading("alt"));
        foreign(&trading("alt"), &both, &strategy("swing"));
        // Another thing altogether, and a subject of nothing.
        foreign(&trading("all").replace(name, "measured"), &all, &trading("all"));
        foreign("control.trading", &all, &trading("all"));
        foreign(&format!("account.alt.{name}"), &alt, &trading("alt"));
        foreign(&format!("{}.now", trading("all")), &all, &trading("all"));
        // The same name, written in another way: filters would pass it by.
        foreign(&strategy("%73wing"), &swing, &strategy("swing"));
    }
    // The word of the subject is no account's name.
    let expected = "field `trading_killed.account`: \"all\", expected the name of an account, or nothing for all of them";
    check("control.trading.all.killed", r#""tradingKilled":{"account":"all"}"#, expected);
}

#[test]
fn what_has_no_time_is_no_event_of_trading() {
    for (subject, body) in [
        ("control.trading.all.killed", r#""tradingKilled":{"flatten":true}"#),
        ("control.trading.alt.halted", r#""tradingHalted":{"account":"alt"}"#),
        ("control.strategy.swing.resumed", r#""tradingResumed":{"strategy":"swing"}"#),
        ("control.strategy.swing.registered", r#""strategyRegistered":{"strategy":"swing"}"#),
        ("control.limits.alt.%.%", r#""limitsSet":{"scope":{"account":"alt"}}"#),
        ("account.alt.breaker_reset", r#""breakerReset":{"account":"alt"}"#),
        ("order.alt.swing.SPY.o1.cancel_requested", r#""orderCancelRequested":{"orderId":"o1"}"#),
        (
            "fill.alt.swing.SPY.o1.1",
            r#""fill":{"account":"alt","strategy":"swing","symbol":"SPY","orderId":"o1","number":1}"#,
        ),
        ("risk.alt.denied", r#""riskDecision":{"account":"alt","verdict":"VERDICT_DENIED"}"#),
    ] {
        check(subject, body, "");
        let said = |head: &str| admit(subject, &event(head, body)).unwrap_err().to_string();
        assert_eq!(
            said(r#""id":"1""#),
            "field `event_time`: missing, expected when it happened, for example 2026-01-02T15:30:00Z",
            "{subject}"
        );
        let late = said(r#""id":"1","eventTime":"9999-12-31T00:00:00Z""#);
        let range = "expected a time in the years 1678 to 2262";
        let expected = format!("field `event_time`: 253402214400 s and 0 ns since 1970, {range}");
        assert_eq!(late, expected, "{subject}");
        let odd = Timestamp { seconds: 5, nanos: -1 };
        let odd = Event { event_time: Some(odd), ..event(TIME, body) };
        let odd = admit(subject, &odd).unwrap_err().to_string();
        assert_eq!(odd, format!("field `event_time`: 5 s and -1 ns since 1970, {range}"), "{subject}");
    }
    // Risk answers such a signal: it is parked there, and the clock does not wait for it.
    let signal = event(r#""id":"1""#, r#""signal":{"strategy":"swing","legs":[{"symbol":"SPY"}]}"#);
    assert!(admit("signal.swing.SPY", &signal).is_ok());
}

#[test]
fn a_control_has_what_its_kind_needs() {
    let nobody = |subject: &str, body: &str| {
        check(subject, body, &format!("field `subject`: {subject:?}, expected a name in place of %"));
    };
    nobody("control.strategy.%.registered", r#""strategyRegistered":{"account":"alt"}"#);
    nobody("control.strategy.%.enabled", r#""strategyEnabled":{"mode":"STRATEGY_MODE_PAPER"}"#);
    nobody("control.backtest.%.cancel_requested", r#""backtestCancelRequested":{"actor":"ann"}"#);
    nobody("control.account.%.live_confirmed", r#""liveTradingConfirmed":{"actor":"ann"}"#);

    // Limits may be of each one, but they state of what.
    check("control.limits.%.%.%", r#""limitsSet":{"scope":{}}"#, "");
    check("control.limits.alt.%.BRK%2EB", r#""limitsSet":{"scope":{"account":"alt","symbol":"BRK.B"}}"#, "");
    foreign(
        "control.limits.alt.%.%",
        r#""limitsSet":{"scope":{"account":"alt","strategy":"swing"}}"#,
        "control.limits.alt.swing.%",
    );
    check(
        "control.limits.%.%.%",
        r#""limitsSet":{"version":"1"}"#,
        "field `limits_set.scope`: missing, expected what the limits are of",
    );
    check(
        "control.limits.all.%.%",
        r#""limitsSet":{"scope":{"account":"all"}}"#,
        "field `limits_set.scope.account`: \"all\", expected the name of an account, or nothing for all of them",
    );

    check("account.alt.breaker_reset", r#""breakerReset":{"account":"alt","strategy":"swing"}"#, "");
    foreign(
        "account.alt.breaker_reset",
        r#""breakerReset":{"account":"paper"}"#,
        "account.paper.breaker_reset",
    );
    for (subject, account) in [("account.%.breaker_reset", ""), ("account.all.breaker_reset", "all")] {
        let expected = format!("field `breaker_reset.account`: {account:?}, expected the name of an account");
        check(subject, &format!(r#""breakerReset":{{"account":"{account}"}}"#), &expected);
    }
    check(
        "control.account.all.configured",
        r#""accountConfigured":{"account":"all"}"#,
        "field `account_configured.account`: \"all\", expected the name of an account",
    );

    let leaving = |to: &str| {
        format!(
            r#""strategyDisabled":{{"strategy":"swing","positions":"POSITIONS_FATE_HAND_OVER","handOverTo":"{to}"}}"#
        )
    };
    check("control.strategy.swing.disabled", &leaving("manual"), "");
    for to in ["", "swing"] {
        let expected =
            format!("field `strategy_disabled.hand_over_to`: {to:?}, expected another strategy, or manual");
        check("control.strategy.swing.disabled", &leaving(to), &expected);
    }
    check(
        "control.projection.bars.rebuild_requested",
        r#""projectionRequested":{"projection":"bars"}"#,
        "field `projection_requested.task`: unspecified, expected rebuild or verify",
    );
    check(
        "control.backtest.r1.requested",
        r#""backtestRequested":{"runId":"r1"}"#,
        "field `backtest_requested.request`: missing, expected what is to be run",
    );
}

#[test]
fn an_event_of_an_order_stands_with_its_order() {
    let fill = r#""fill":{"account":"alt","strategy":"swing","symbol":"BRK.B","orderId":"o1","number":12}"#;
    let own = "fill.alt.swing.BRK%2EB.o1.12";
    check(own, fill, "");
    for other in [
        "fill.paper.swing.BRK%2EB.o1.12",
        "fill.alt.other.BRK%2EB.o1.12",
        "fill.alt.swing.SPY.o1.12",
        "fill.alt.swing.BRK%2EB.o2.12",
        "fill.alt.swing.BRK%2EB.o1.012",
        "fill.alt.swing.BRK%2EB.o1.1",
        "fill.alt.swing.BRK%2EB.o1",
        "fill.alt.swing.BRK%2EB.o1.12.1",
        "order.alt.swing.BRK%2EB.o1.cancel_requested",
        "account.alt.marked",
        "risk.alt.approved",
    ] {
        foreign(other, fill, own);
    }
    let cancel = r#""orderCancelRequested":{"orderId":"o1"}"#;
    check("order.alt.swing.BRK%2EB.o1.cancel_requested", cancel, "");
    let pattern = "order.ACCOUNT.STRATEGY.SYMBOL.o1.cancel_requested";
    for other in [
        "order.alt.swing.BRK%2EB.o2.cancel_requested",
        "order.alt.swing.BRK%2EB.o1.cancelled",
        "order.alt.swing.o1.cancel_requested",
        "fill.alt.swing.BRK%2EB.o1.cancel_requested",
        "control.alt.swing.BRK%2EB.o1.cancel_requested",
    ] {
        foreign(other, cancel, pattern);
    }
    let submitted =
        r#""orderSubmitted":{"order":{"orderId":"o1","account":"alt","strategy":"swing","symbol":"SPY"}}"#;
    check("order.alt.swing.SPY.o1.submitted", submitted, "");
    foreign("order.paper.swing.SPY.o1.submitted", submitted, "order.alt.swing.SPY.o1.submitted");
    check(
        "order.alt.swing.SPY.o1.submitted",
        r#""orderSubmitted":{"broker":"simulated"}"#,
        "field `order_submitted.order`: missing, expected its terms",
    );
    let decision = r#""riskDecision":{"account":"alt","verdict":"VERDICT_APPROVED"}"#;
    foreign("risk.alt.denied", decision, "risk.alt.approved");
    foreign("risk.paper.approved", decision, "risk.alt.approved");
    foreign("account.paper.marked", r#""accountMarked":{"account":"alt"}"#, "account.alt.marked");
    let deposit = r#""accountEntry":{"account":"alt","kind":"ENTRY_KIND_DEPOSIT"}"#;
    foreign("account.alt.fee", deposit, "account.alt.deposit");
}
