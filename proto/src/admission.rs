//! What may stand under a subject.
//!
//! A writer's rights are rights to subjects, and a reader folds an event by its body. So the two have to say the same.
//! Whoever may write under `signal.<its name>.>` and nothing else must not be able to put a fill there, or a signal in
//! another's name; and a kill switch that is sent for one account must not stop another one, or all of them.
//!
//! An event of TRADING that contradicts its subject, has no time or lacks what its kind needs is unreadable, for
//! everybody: it is decided here, where every reader decodes, so that no two of them can take it differently. A signal
//! without a time is left to risk, which answers it.
//!
//! On every stream an event of a later schema than this program's is unreadable: what it says may mean something else by
//! then, and it is better set aside than folded wrongly.
//!
//! Deliberately absent: the rest of the other streams, under whose subjects only the system itself may write; and what takes a
//! state to know, such as whether there is an account of that name.

use crate::subject::{Subject, entry_token, escape, unescape, verdict_token};
use crate::time::from_timestamp;
use crate::v1::event::Body;
use crate::v1::{Event, PositionsFate, ProjectionTask, StrategyDisabled};
use crate::wkt::Timestamp;
use crate::{ALL_ACCOUNTS, DecodeError};

/// Largest signal, in bytes of its payload: what a group of many legs with its indicators needs, many times over.
pub const SIGNAL_BYTES_MAX: usize = 64 * 1024;

/// Latest version of the schema that this program reads. There was no other yet, so that nothing has to be made newer
/// where it is read; an event that states none is of the first.
pub const SCHEMA_VERSION: u32 = 1;

/// Whether a signal belongs under `subject`, which anybody's program may have sent.
#[must_use]
pub fn is_signal(subject: &str) -> bool {
    subject.split('.').next() == Some("signal")
}

/// Refuses a payload that is too large for its subject, before anybody takes the trouble of decoding it.
pub fn admit_size(subject: &str, bytes: usize) -> Result<(), DecodeError> {
    if bytes <= SIGNAL_BYTES_MAX || !is_signal(subject) {
        return Ok(());
    }
    wrong("payload", format!("{bytes} bytes, expected at most {SIGNAL_BYTES_MAX} of a signal"))
}

/// Refuses an event that does not belong under `subject`.
pub fn admit(subject: &str, event: &Event) -> Result<(), DecodeError> {
    if event.schema_version > SCHEMA_VERSION {
        let problem = format!("{}, expected at most {SCHEMA_VERSION}", event.schema_version);
        return wrong("schema_version", format!("{problem}: a later program wrote it"));
    }
    match subject.split('.').next() {
        Some("signal") => signal(subject, event),
        Some("control" | "risk" | "order" | "fill" | "account") => {
            let Some(body) = &event.body else {
                return wrong("body", format!("missing, expected one under {subject}"));
            };
            timed(event)?;
            complete(body)?;
            own(subject, event, body)
        }
        _ => Ok(()),
    }
}

fn wrong(field: &'static str, problem: String) -> Result<(), DecodeError> {
    Err(DecodeError::Field { field, problem })
}

/// Refuses what is no signal of the strategy that the subject names.
fn signal(subject: &str, event: &Event) -> Result<(), DecodeError> {
    let sender = subject.split('.').nth(1).map(unescape).unwrap_or_default();
    let Some(Body::Signal(signal)) = &event.body else {
        return wrong("body", format!("no signal, expected one under {subject}"));
    };
    if signal.strategy != sender {
        let problem = format!("{:?}, expected {sender:?} as in the subject", signal.strategy);
        return wrong("signal.strategy", problem);
    }
    if let Some(one) = signal.indicators.iter().find(|indicator| !indicator.value.is_finite()) {
        let problem = format!("{} of {:?}, expected a finite number", one.value, one.name);
        return wrong("signal.indicators.value", problem);
    }
    Ok(())
}

/// Refuses an event without a time: it is part of what is decided on it. Nothing else could stand in for it, neither the
/// time of its storing, which is no part of the message, nor that of the market, of which readers know different parts.
fn timed(event: &Event) -> Result<(), DecodeError> {
    let problem = match &event.event_time {
        Some(time) if (0..1_000_000_000).contains(&time.nanos) && from_timestamp(time).is_some() => {
            return Ok(());
        }
        Some(Timestamp { seconds, nanos }) => {
            format!("{seconds} s and {nanos} ns since 1970, expected a time in the years 1678 to 2262")
        }
        None => "missing, expected when it happened, for example 2026-01-02T15:30:00Z".to_owned(),
    };
    wrong("event_time", problem)
}

/// Refuses an event that lacks what its kind needs, so that it would be taken for something that nobody meant.
fn complete(body: &Body) -> Result<(), DecodeError> {
    match body {
        Body::TradingHalted(event) => any_account("trading_halted.account", &event.account),
        Body::TradingResumed(event) => any_account("trading_resumed.account", &event.account),
        Body::TradingKilled(event) => any_account("trading_killed.account", &event.account),
        Body::AccountConfigured(event) => one_account("account_configured.account", &event.account),
        Body::BreakerTripped(event) => one_account("breaker_tripped.account", &event.account),
        Body::BreakerReset(event) => one_account("breaker_reset.account", &event.account),
        Body::LimitsSet(event) => match &event.scope {
            Some(scope) => any_account("limits_set.scope.account", &scope.account),
            None => wrong("limits_set.scope", "missing, expected what the limits are of".to_owned()),
        },
        Body::StrategyDisabled(event) => heir(event),
        Body::ProjectionRequested(event) => task("projection_requested.task", event.task()),
        Body::ProjectionFinished(event) => task("projection_finished.task", event.task()),
        Body::BacktestRequested(event) if event.request.is_none() => {
            wrong("backtest_requested.request", "missing, expected what is to be run".to_owned())
        }
        Body::OrderSubmitted(event) if event.order.is_none() => {
            wrong("order_submitted.order", "missing, expected its terms".to_owned())
        }
        _ => Ok(()),
    }
}

/// Refuses the word for all accounts where an account is named: as a name it would concern nobody.
fn any_account(field: &'static str, account: &str) -> Result<(), DecodeError> {
    if account != ALL_ACCOUNTS {
        return Ok(());
    }
    wrong(field, format!("{account:?}, expected the name of an account, or nothing for all of them"))
}

/// Refuses what is no single account.
fn one_account(field: &'static str, account: &str) -> Result<(), DecodeError> {
    if !account.is_empty() && account != ALL_ACCOUNTS {
        return Ok(());
    }
    wrong(field, format!("{account:?}, expected the name of an account"))
}

/// Refuses positions that are to go to nobody, or back to whom they are taken from.
fn heir(event: &StrategyDisabled) -> Result<(), DecodeError> {
    let to = &event.hand_over_to;
    let is_nobody = to.is_empty() || *to == event.strategy;
    if is_nobody && event.positions() == PositionsFate::HandOver {
        let problem = format!("{to:?}, expected another strategy, or manual");
        return wrong("strategy_disabled.hand_over_to", problem);
    }
    Ok(())
}

fn task(field: &'static str, task: ProjectionTask) -> Result<(), DecodeError> {
    if task.name().is_some() {
        return Ok(());
    }
    wrong(field, "unspecified, expected rebuild or verify".to_owned())
}

/// Refuses an event that the grammar puts under another subject, or whose control concerns nobody.
fn own(subject: &str, event: &Event, body: &Body) -> Result<(), DecodeError> {
    if !stands_under(subject, event, body) {
        let own = Subject::for_event(event, None).map(|own| own.to_string());
        let own = own.or_else(|| {
            let (order_id, name) = of_order(body)?;
            Some(format!("order.ACCOUNT.STRATEGY.SYMBOL.{}.{name}", escape(order_id)))
        });
        let expected = own.map_or_else(|| "none".to_owned(), |own| format!("{own:?}"));
        return wrong("subject", format!("{subject:?}, expected {expected} by its content"));
    }
    // Limits alone may be of each one.
    let may_be_of_each = !subject.starts_with("control.") || matches!(body, Body::LimitsSet(_));
    if may_be_of_each || subject.split('.').all(|token| token != "%") {
        return Ok(());
    }
    wrong("subject", format!("{subject:?}, expected a name in place of %"))
}

/// Whether `subject` is that of [`Subject::for_event`]. What comes with every bar is compared token by token; the rest
/// is rare enough for making the subject. Of an order's account, strategy and symbol most of its events say nothing.
fn stands_under(subject: &str, event: &Event, body: &Body) -> bool {
    if let Some((order_id, name)) = of_order(body) {
        let mut parts = subject.rsplit('.');
        let named = parts.next() == Some(name) && parts.next().is_some_and(|part| is_token(part, order_id));
        return named && parts.count() == 4 && subject.starts_with("order.");
    }
    match body {
        Body::RiskDecision(decision) => {
            consists_of(subject, &["risk", &decision.account, verdict_token(decision.verdict())])
        }
        Body::OrderSubmitted(submitted) => submitted.order.as_ref().is_some_and(|order| {
            let (account, strategy) = (order.account.as_str(), order.strategy.as_str());
            consists_of(subject, &["order", account, strategy, &order.symbol, &order.order_id, "submitted"])
        }),
        Body::Fill(fill) => subject.rsplit_once('.').is_some_and(|(order, number)| {
            let (account, strategy) = (fill.account.as_str(), fill.strategy.as_str());
            number == fill.number.to_string()
                && consists_of(order, &["fill", account, strategy, &fill.symbol, &fill.order_id])
        }),
        Body::AccountMarked(mark) => consists_of(subject, &["account", &mark.account, "marked"]),
        Body::AccountEntry(entry) => entry_token(entry.kind())
            .is_some_and(|kind| consists_of(subject, &["account", &entry.account, kind])),
        _ => Subject::for_event(event, None).is_some_and(|own| own.as_str() == subject),
    }
}

/// Id of the order that an event is about, and the last token of its subject; `None` for a submission, which states the
/// order's terms, and for what is no event of an order.
fn of_order(body: &Body) -> Option<(&str, &'static str)> {
    Some(match body {
        Body::OrderAccepted(event) => (event.order_id.as_str(), "accepted"),
        Body::OrderRejected(event) => (event.order_id.as_str(), "rejected"),
        Body::OrderCancelRequested(event) => (event.order_id.as_str(), "cancel_requested"),
        Body::OrderCancelled(event) => (event.order_id.as_str(), "cancelled"),
        Body::OrderCancelRejected(event) => (event.order_id.as_str(), "cancel_rejected"),
        Body::OrderReplaceRequested(event) => (event.order_id.as_str(), "replace_requested"),
        Body::OrderReplaced(event) => (event.order_id.as_str(), "replaced"),
        Body::OrderReplaceRejected(event) => (event.order_id.as_str(), "replace_rejected"),
        Body::OrderExpired(event) => (event.order_id.as_str(), "expired"),
        Body::OrderSuspended(event) => (event.order_id.as_str(), "suspended"),
        Body::OrderAdjusted(event) => (event.order_id.as_str(), "adjusted"),
        Body::OrderTriggered(event) => (event.order_id.as_str(), "triggered"),
        Body::OrderTrailed(event) => (event.order_id.as_str(), "trailed"),
        Body::OrderUnresolved(event) => (event.order_id.as_str(), "unresolved"),
        Body::FillCorrected(event) => (event.order_id.as_str(), "fill_corrected"),
        Body::FillBusted(event) => (event.order_id.as_str(), "fill_busted"),
        _ => return None,
    })
}

/// Whether a subject consists of exactly these tokens, each as [`escape`] writes it.
fn consists_of(subject: &str, tokens: &[&str]) -> bool {
    let mut parts = subject.split('.');
    tokens.iter().all(|token| parts.next().is_some_and(|part| is_token(part, token)))
        && parts.next().is_none()
}

/// Whether `part` is how [`escape`] writes `plain`. Nothing is allocated for a name of letters and digits.
fn is_token(part: &str, plain: &str) -> bool {
    let simple = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !plain.is_empty() && plain.bytes().all(simple) { part == plain } else { part == escape(plain) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::{Fill, IndicatorValue, Signal};

    fn check(subject: &str, body: Body, expect: Option<&str>) {
        let event = Event { id: "1".into(), body: Some(body), ..Event::default() };
        let problem = admit(subject, &event).err().map(|error| error.to_string());
        assert_eq!(problem.as_deref(), expect, "{subject}");
    }

    #[test]
    fn a_signal_has_a_bounded_size_and_other_events_have_not() {
        assert!(is_signal("signal.mine.SPY") && !is_signal("signals.mine") && !is_signal("control.signal"));
        assert!(admit_size("signal.mine.SPY", SIGNAL_BYTES_MAX).is_ok());
        assert_eq!(
            admit_size("signal.mine.SPY", 70_000).unwrap_err().to_string(),
            "field `payload`: 70000 bytes, expected at most 65536 of a signal"
        );
        assert!(admit_size("control.backtest.x.finished", 700_000).is_ok());
    }

    #[test]
    fn a_strategy_speaks_in_its_own_name_and_signals_only() {
        let signal = |name: &str| Body::Signal(Signal { strategy: name.into(), ..Signal::default() });
        check("signal.mine.SPY", signal("mine"), None);
        check(
            "signal.mine.SPY",
            signal("yours"),
            Some("field `signal.strategy`: \"yours\", expected \"mine\" as in the subject"),
        );
        check(
            "signal.mine.SPY",
            Body::Fill(Fill::default()),
            Some("field `body`: no signal, expected one under signal.mine.SPY"),
        );
        let looked_at = |value| {
            let indicators = vec![IndicatorValue { name: "rsi".into(), value }];
            Body::Signal(Signal { strategy: "mine".into(), indicators, ..Signal::default() })
        };
        check("signal.mine.SPY", looked_at(0.5), None);
        check(
            "signal.mine.SPY",
            looked_at(f64::NAN),
            Some("field `signal.indicators.value`: NaN of \"rsi\", expected a finite number"),
        );
        // A signal without a time is risk's to answer; of another stream nothing is asked.
        check("audit.ann.halt", Body::Fill(Fill::default()), None);
    }
}
