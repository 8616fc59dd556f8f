//! The subject grammar.

use contracts::v1::event::Body;
use contracts::v1::{
    AccountKind, AlertRaised, Bar, EntryKind, Event, OrderSpec, OrderTriggered, Signal, SignalLeg,
    TradingHalted, Verdict,
};
use contracts::{Subject, escape, order_of, stream_of, unescape};
use proptest::prelude::*;

use crate::golden;

fn order() -> OrderSpec {
    OrderSpec {
        order_id: "0123".into(),
        account: "main".into(),
        strategy: "sma_cross".into(),
        symbol: "BRK.B".into(),
        ..OrderSpec::default()
    }
}

fn of(body: Body) -> Option<String> {
    let event = Event { id: "1".into(), body: Some(body), ..Event::default() };
    Subject::for_event(&event, Some(&order())).map(|subject| subject.to_string())
}

proptest! {
    #[test]
    fn any_text_is_one_token_and_comes_back(text in any::<String>()) {
        let token = escape(&text);
        prop_assert!(!token.is_empty());
        prop_assert!(!token.chars().any(|c| c.is_whitespace() || c.is_control() || ".*>$".contains(c)));
        prop_assert_eq!(unescape(&token), text);
    }

    #[test]
    fn different_texts_are_different_tokens(one in "[%.a-c2E]{0,6}", other in "[%.a-c2E]{0,6}") {
        prop_assert_eq!(one == other, escape(&one) == escape(&other));
    }

    #[test]
    fn any_tokens_make_a_subject_that_parses(tokens in prop::collection::vec(any::<String>(), 1..8)) {
        let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
        let subject = Subject::of(&tokens);
        let parsed = Subject::parse(subject.as_str()).unwrap();
        prop_assert_eq!(&parsed, &subject);
        prop_assert_eq!(parsed.tokens().collect::<Vec<_>>(), tokens);
    }

    #[test]
    fn reading_any_token_never_fails_and_never_grows(token in any::<String>()) {
        prop_assert!(unescape(&token).len() <= token.len());
    }
}

#[test]
fn symbols_are_escaped_in_the_subject_alone() {
    for (symbol, token) in
        [("AAPL", "AAPL"), ("BRK.B", "BRK%2EB"), ("A B", "A%20B"), ("^GSPC", "^GSPC"), ("", "%")]
    {
        assert_eq!(escape(symbol), token);
        let bar = Bar { symbol: symbol.into(), timeframe: "1h".into(), ..Bar::default() };
        assert_eq!(of(Body::Bar(bar)), Some(format!("market.bar.1h.{token}")));
    }
}

#[test]
fn malformed_subjects_are_refused() {
    for text in ["", ".", "a.", ".a", "a..b", "a.*", "a.>", "a b", "a\tb", "a\u{0}b"] {
        assert!(Subject::parse(text).is_err(), "{text:?}");
    }
    let message = Subject::parse("a..b").unwrap_err().to_string();
    assert_eq!(message, "subject \"a..b\": a token is empty");
}

#[test]
fn every_body_has_a_subject_of_a_stream() {
    // The sample's subject, its own fields escaped; order events take theirs from the order.
    let expected = |body: &str| -> Option<&'static str> {
        Some(match body {
            "bar" => "market.bar.1h.BRK%2EB",
            "bar_revision" => "market.revision.1h.BRK%2EB",
            "corporate_action" => "market.action.BRK%2EB",
            "session_change" => "market.session.XNYS",
            "quality_finding" => "market.quality.BRK%2EB",
            "quote" => "quote.BRK%2EB",
            "trade" => "trade.BRK%2EB",
            "signal" => "signal.sma_cross.BRK%2EB",
            "fill" => "fill.main.sma_cross.BRK%2EB.0123456789abcdef01234567.19",
            "account_marked" => "account.main.marked",
            "margin_called" => "account.paper.margin_called",
            "margin_restored" => "account.paper.margin_restored",
            "account_configured" => "control.account.main.configured",
            "trading_halted" => "control.trading.main.halted",
            "trading_resumed" => "control.trading.main.resumed",
            "trading_killed" => "control.trading.main.killed",
            "limits_set" => "control.limits.main.sma_cross.BRK%2EB",
            "breaker_tripped" => "account.main.breaker_tripped",
            "breaker_reset" => "account.main.breaker_reset",
            "alert_raised" => "control.monitor.main.alert",
            "risk_measured" => "control.monitor.main.measured",
            "strategy_registered" => "control.strategy.sma_cross.registered",
            "strategy_enabled" => "control.strategy.sma_cross.enabled",
            "strategy_disabled" => "control.strategy.sma_cross.disabled",
            "strategy_warmed" => "control.strategy.sma_cross.warmed",
            "strategy_removed" => "control.strategy.sma_cross.removed",
            "projection_requested" => "control.projection.trading.rebuild_requested",
            "projection_finished" => "control.projection.trading.verify_finished",
            "backtest_requested" => "control.backtest.a0a1a2a3a4a5a6a7a8a9aaabacadaeaf.requested",
            "backtest_started" => "control.backtest.a0a1a2a3a4a5a6a7a8a9aaabacadaeaf.started",
            "backtest_cancel_requested" => {
                "control.backtest.a0a1a2a3a4a5a6a7a8a9aaabacadaeaf.cancel_requested"
            }
            "backtest_finished" => "control.backtest.a0a1a2a3a4a5a6a7a8a9aaabacadaeaf.finished",
            "company_profile" => "reference.profile.BRK%2EB",
            "key_statistics" => "reference.statistics.BRK%2EB",
            "financial_statement" => "reference.statement.BRK%2EB",
            "institutional_holders" => "reference.holders.BRK%2EB",
            "analyst_opinions" => "reference.analysts.BRK%2EB",
            "listing" => "reference.listing.BRK%2EB",
            "news_article" => "news.article.BRK%2EB",
            "log_record" => "log.execution.warn",
            "heartbeat" => "log.execution.heartbeat",
            "source_reported" => "log.alpaca.source",
            "audit" => "audit.operator.halt",
            "parked" => "parked.execution",
            "parked_resolved" => "parked.resolved",
            "fill_corrected" => "order.main.sma_cross.BRK%2EB.0123.fill_corrected",
            "fill_busted" => "order.main.sma_cross.BRK%2EB.0123.fill_busted",
            "group_handled" => "control.group.e0e1e2e3e4e5e6e7e8e9eaebecedeeef.handled",
            "broker_attached" => "account.paper.attached",
            "broker_reconciled" => "account.paper.reconciled",
            "broker_differed" => "account.paper.differed",
            "live_trading_confirmed" => "control.account.paper.live_confirmed",
            "live_trading_revoked" => "control.account.paper.live_revoked",
            "position_transferred" => "account.paper.transferred",
            "invariant_broken" => "control.invariant.fills_agree.broken",
            "order_submitted" => "order.main.sma_cross.BRK%2EB.0123456789abcdef01234567.submitted",
            _ => return None,
        })
    };
    let unasked = AlertRaised { kind: "breaker_news_alpaca_news".to_owned(), ..AlertRaised::default() };
    let unasked = Event { body: Some(Body::AlertRaised(unasked)), ..Event::default() };
    assert_eq!(
        Subject::for_event(&unasked, None).unwrap().as_str(),
        "control.source.breaker_news_alpaca_news.alert",
        "what concerns all accounts"
    );
    for golden in golden::all() {
        let subject = Subject::for_event(&golden.event(), Some(&order())).unwrap();
        assert!(stream_of(subject.as_str()).is_some(), "{subject}");
        match expected(&golden.body) {
            Some(expected) => assert_eq!(subject.as_str(), expected),
            None if golden.body.starts_with("order_") => {
                let event = golden.body.trim_start_matches("order_");
                assert_eq!(subject.as_str(), format!("order.main.sma_cross.BRK%2EB.0123.{event}"));
                let without = Subject::for_event(&golden.event(), None);
                assert_eq!(without, None, "{} needs its order", golden.body);
            }
            // Verdicts and kinds of entries are checked one by one below.
            None => {
                assert!(
                    ["risk_decision", "account_entry"].contains(&golden.body.as_str()),
                    "{}",
                    golden.body
                );
            }
        }
    }
}

#[test]
fn every_verdict_and_every_entry_has_its_own_subject() {
    for (verdict, token) in
        [(Verdict::Approved, "approved"), (Verdict::Denied, "denied"), (Verdict::Shadowed, "shadowed")]
    {
        let decision = contracts::v1::RiskDecision {
            account: "main".into(),
            verdict: verdict.into(),
            ..contracts::v1::RiskDecision::default()
        };
        assert_eq!(of(Body::RiskDecision(decision)), Some(format!("risk.main.{token}")));
    }
    for (kind, token) in [
        (EntryKind::Deposit, Some("deposit")),
        (EntryKind::Dividend, Some("dividend")),
        (EntryKind::Split, Some("split")),
        (EntryKind::CashInLieu, Some("cash_in_lieu")),
        (EntryKind::External, Some("external")),
        (EntryKind::Fee, Some("fee")),
        (EntryKind::Interest, Some("interest")),
        (EntryKind::Unspecified, None),
    ] {
        let entry = contracts::v1::AccountEntry {
            account: "main".into(),
            kind: kind.into(),
            ..contracts::v1::AccountEntry::default()
        };
        assert_eq!(of(Body::AccountEntry(entry)), token.map(|token| format!("account.main.{token}")));
    }
}

#[test]
fn a_halt_of_everything_has_a_subject_too() {
    let halt = TradingHalted::default();
    assert_eq!(of(Body::TradingHalted(halt)).as_deref(), Some("control.trading.all.halted"));
}

#[test]
fn an_event_without_what_its_subject_needs_has_none() {
    assert_eq!(Subject::for_event(&Event::default(), None), None);
    assert_eq!(of(Body::Signal(Signal::default())), None);
    let named = Signal {
        strategy: "pairs".into(),
        legs: vec![
            SignalLeg { symbol: "KO".into(), ..SignalLeg::default() },
            SignalLeg { symbol: "PEP".into(), ..SignalLeg::default() },
        ],
        ..Signal::default()
    };
    assert_eq!(of(Body::Signal(named)).as_deref(), Some("signal.pairs.KO"));
}

#[test]
fn an_order_and_its_fills_are_one_aggregate() {
    let order = order();
    let filter = Subject::order_filter(&order);
    assert_eq!(filter, "*.main.sma_cross.BRK%2EB.0123.>");
    let prefix = "main.sma_cross.BRK%2EB.0123.";
    assert_eq!(Subject::order(&order, "accepted").as_str(), format!("order.{prefix}accepted"));
}

#[test]
fn an_event_of_an_orders_life_names_its_order() {
    let order = order();
    let body = Body::OrderTriggered(OrderTriggered { order_id: "0123".into(), ..OrderTriggered::default() });
    assert_eq!(order_of(&body), Some("0123"));
    let event = Event { body: Some(body), ..Event::default() };
    assert_eq!(Subject::for_event(&event, Some(&order)), Some(Subject::order(&order, "triggered")));
    assert_eq!(order_of(&Body::Signal(Signal::default())), None);
}

#[test]
fn kinds_of_accounts_have_the_names_that_they_are_read_by() {
    for kind in [AccountKind::Cash, AccountKind::Margin] {
        assert_eq!(kind.name().and_then(AccountKind::of_name), Some(kind));
    }
    assert_eq!((AccountKind::Unspecified.name(), AccountKind::of_name("gold")), (None, None));
}

#[test]
fn streams_follow_from_the_first_token() {
    for (subject, stream) in [
        ("market.bar.1h.A", Some("MARKET")),
        ("control.x", Some("TRADING")),
        ("signal.x.y", Some("TRADING")),
        ("risk.x", Some("TRADING")),
        ("order.x", Some("TRADING")),
        ("fill.x", Some("TRADING")),
        ("account.x", Some("TRADING")),
        ("audit.x", Some("AUDIT")),
        ("parked.x", Some("PARKED")),
        ("log.x", Some("LOGS")),
        ("reference.profile.A", Some("REFERENCE")),
        ("news.article.%", Some("REFERENCE")),
        ("quote.BRK%2EB", Some("QUOTES")),
        ("trade.A", Some("QUOTES")),
        ("markets.x", None),
        ("", None),
        ("clock.decide", None),
    ] {
        assert_eq!(stream_of(subject), stream, "{subject}");
    }
}
