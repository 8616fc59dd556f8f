//! What may stand under a subject.
//!
//! A writer's rights are rights to subjects. Whoever may write under `signal.<its name>.>` and nothing else
//! must not be able to put a fill there, or a signal in another's name: a reader folds an event by its body.
//! So a message under `signal.>` is a signal of the strategy that the subject names, or it is unreadable.
//!
//! Deliberately absent: the other subjects, under which only the system itself may write.

use crate::DecodeError;
use crate::subject::unescape;
use crate::v1::Event;
use crate::v1::event::Body;

/// Largest signal, in bytes of its payload: what a group of many legs with its indicators needs, many times over.
pub const SIGNAL_BYTES_MAX: usize = 64 * 1024;

/// Refuses a payload that is too large for its subject, before anybody takes the trouble of decoding it.
pub fn admit_size(subject: &str, bytes: usize) -> Result<(), DecodeError> {
    if bytes <= SIGNAL_BYTES_MAX || subject.split('.').next() != Some("signal") {
        return Ok(());
    }
    let problem = format!("{bytes} bytes, expected at most {SIGNAL_BYTES_MAX} of a signal");
    Err(DecodeError::Field { field: "payload", problem })
}

/// Refuses an event that does not belong under `subject`.
pub fn admit(subject: &str, event: &Event) -> Result<(), DecodeError> {
    let mut tokens = subject.split('.');
    if tokens.next() != Some("signal") {
        return Ok(());
    }
    let sender = tokens.next().map(unescape).unwrap_or_default();
    let Some(Body::Signal(signal)) = &event.body else {
        let problem = format!("no signal, expected one under {subject}");
        return Err(DecodeError::Field { field: "body", problem });
    };
    if signal.strategy != sender {
        let problem = format!("{:?}, expected {sender:?} as in the subject", signal.strategy);
        return Err(DecodeError::Field { field: "signal.strategy", problem });
    }
    if let Some(wrong) = signal.indicators.iter().find(|indicator| !indicator.value.is_finite()) {
        let problem = format!("{} of {:?}, expected a finite number", wrong.value, wrong.name);
        return Err(DecodeError::Field { field: "signal.indicators.value", problem });
    }
    Ok(())
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
        check("fill.paper.mine.SPY.1.1", Body::Fill(Fill::default()), None);
    }
}
