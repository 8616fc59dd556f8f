//! A chain as its reader asks for it: what each event is, what it was decided on, and how long after its
//! cause it came.
//!
//! Latency is the difference of recorded times, the writers' own clocks; market time is the difference of
//! event times. Deliberately absent: the parts of a chain that nothing on the tape tells.

use std::collections::HashMap;

use contracts::v1::event::Body;
use contracts::v1::{Event, Money, RiskInput};
use domain::money::{Amount, Price, Quantity};
use event_log::Tape;
use projections::{Link, TraceError};
use sqlx::PgPool;

use super::message::{Message, Row, row};

/// One step of a chain.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Hop {
    /// The event in short.
    #[serde(flatten)]
    pub row: Row,
    /// `bar`, `signal`, `risk`, `order`, `fill` or `other`.
    pub stage: &'static str,
    /// Stream and sequence of the event that caused it, where it is in the chain.
    #[schema(value_type = Option<Vec<serde_json::Value>>)]
    pub cause: Option<(&'static str, u64)>,
    /// Recorded time after its cause's, nanoseconds.
    pub latency_ns: Option<i64>,
    /// Event time after its cause's, nanoseconds of market time.
    pub market_ns: Option<i64>,
    /// What it was decided on: indicator values of a signal, inputs of a decision, terms of a fill.
    #[schema(value_type = Vec<Vec<String>>)]
    pub details: Vec<(String, String)>,
}

/// The chain of an event, from the bar to the last fill; empty when there is none.
pub async fn chain(pool: &PgPool, tape: &Tape, event_id: &str) -> Result<Vec<Hop>, TraceError> {
    Ok(hops(projections::trace(pool, tape, event_id).await?))
}

impl Hop {
    /// An event from which nothing followed.
    #[must_use]
    pub fn alone(message: Message) -> Self {
        let event = contracts::decode(message.payload()).ok().filter(|_| message.row.readable);
        Self {
            stage: event.as_ref().map_or("other", |_| stage(&message.row.subject)),
            cause: None,
            latency_ns: None,
            market_ns: None,
            details: event.as_ref().map(details).unwrap_or_default(),
            row: message.row,
        }
    }
}

/// Where an event stands and when it was recorded and happened.
type Known = (&'static str, u64, Option<i64>, Option<i64>);

fn hops(links: Vec<Link>) -> Vec<Hop> {
    let mut known = HashMap::<String, Known>::new();
    let mut hops = Vec::with_capacity(links.len());
    for link in links {
        let row = row(link.stream, &link.stored);
        let cause = known.get(&row.causation_id).copied();
        let since = |own: Option<i64>, before: Option<i64>| Some(own?.saturating_sub(before?));
        let hop = Hop {
            stage: stage(&row.subject),
            cause: cause.map(|(stream, sequence, ..)| (stream, sequence)),
            latency_ns: cause.and_then(|(_, _, recorded, _)| since(row.recorded_time_ns, recorded)),
            market_ns: cause.and_then(|(_, _, _, event)| since(row.event_time_ns, event)),
            details: details(&link.event),
            row,
        };
        let row = &hop.row;
        known.insert(
            row.event_id.clone(),
            (row.stream, row.sequence, row.recorded_time_ns, row.event_time_ns),
        );
        hops.push(hop);
    }
    hops
}

/// Where an event stands between bar and fill, as the grammar of subjects has it: whatever is said of an order short of a
/// fill is under its subject, and what becomes of a group of orders is said of them all.
fn stage(subject: &str) -> &'static str {
    let mut tokens = subject.split('.');
    match (tokens.next(), tokens.next()) {
        (Some("market"), Some("bar" | "revision")) => "bar",
        (Some("signal"), _) => "signal",
        (Some("risk"), _) => "risk",
        (Some("order"), _) | (Some("control"), Some("group")) => "order",
        (Some("fill"), _) => "fill",
        _ => "other",
    }
}

fn details(event: &Event) -> Vec<(String, String)> {
    let mut details = Vec::new();
    let mut add = |name: &str, value: String| details.push((name.to_owned(), value));
    match &event.body {
        Some(Body::Signal(signal)) => {
            for indicator in &signal.indicators {
                add(&indicator.name, indicator.value.to_string());
            }
        }
        Some(Body::RiskDecision(decision)) => {
            let several = decision.inputs.len() > 1;
            for input in &decision.inputs {
                for (name, value) in inputs(input) {
                    add(&if several { format!("{} {name}", input.symbol) } else { name.to_owned() }, value);
                }
            }
        }
        Some(Body::Fill(fill)) => {
            add("remaining", Quantity(fill.remaining_e9).to_string());
            add("commission", Amount::from_wire(fill.commission.as_ref()).to_string());
            add("slippage per share", Price(fill.slippage_e9).to_string());
        }
        _ => {}
    }
    details
}

fn session_accepts(input: &RiskInput) -> String {
    if input.session_unknown { "unknown".to_owned() } else { input.session_accepts.to_string() }
}

/// Everything that a decision on one leg looked at.
fn inputs(input: &RiskInput) -> Vec<(&'static str, String)> {
    let money = |money: &Option<Money>| Amount::from_wire(money.as_ref()).to_string();
    let quantity = |e9| Quantity(e9).to_string();
    let mut inputs = vec![
        ("price", Price(input.price_e9).to_string()),
        ("price age", format!("{} ms", input.price_age_ms)),
        ("strategy position", quantity(input.strategy_position_e9)),
        ("account position", quantity(input.account_position_e9)),
        ("strategy reserved", quantity(input.strategy_reserved_e9)),
        ("account reserved", quantity(input.account_reserved_e9)),
        ("equity", money(&input.equity)),
        ("cash", money(&input.cash)),
        ("gross exposure", money(&input.gross_exposure)),
        ("reserved exposure", money(&input.reserved_exposure)),
        ("day P&L", money(&input.day_pnl)),
        ("limits version", input.limits_version.to_string()),
        ("session accepts orders", session_accepts(input)),
        ("halted", input.halted.to_string()),
    ];
    let halt = input.symbol_halt.as_ref();
    inputs.extend(halt.map(|halt| ("symbol halted", format!("{}, {} ms ago", halt.detail, halt.age_ms))));
    inputs
}

#[cfg(test)]
mod tests {
    use contracts::v1::FindingInput;

    use super::*;

    #[test]
    fn a_halt_of_the_symbol_is_among_the_inputs() {
        let halt =
            FindingInput { detail: "Trading Halt (H)".to_owned(), age_ms: 5_000, ..FindingInput::default() };
        let input = RiskInput { symbol_halt: Some(halt), ..RiskInput::default() };
        let words = "Trading Halt (H), 5000 ms ago".to_owned();
        assert_eq!(inputs(&input).pop(), Some(("symbol halted", words)));
        assert!(inputs(&RiskInput::default()).iter().all(|(name, _)| *name != "symbol halted"));
    }

    #[test]
    fn a_session_that_the_calendar_does_not_know_is_not_called_closed() {
        let said = |input: &RiskInput| {
            inputs(input)
                .into_iter()
                .find(|(name, _)| *name == "session accepts orders")
                .map(|(_, said)| said)
        };
        assert_eq!(said(&RiskInput::default()).as_deref(), Some("false"));
        let unknown = RiskInput { session_unknown: true, ..RiskInput::default() };
        assert_eq!(said(&unknown).as_deref(), Some("unknown"));
    }

    #[test]
    fn the_subject_says_the_stage() {
        for (subject, expected) in [
            ("market.bar.1h.SPY", "bar"),
            ("market.revision.1h.SPY", "bar"),
            ("market.action.SPY", "other"),
            ("signal.momentum.SPY", "signal"),
            ("risk.paper.denied", "risk"),
            ("order.paper.momentum.SPY.o1.unresolved", "order"),
            ("order.paper.momentum.SPY.o1.fill_corrected", "order"),
            ("control.group.g1.handled", "order"),
            ("fill.paper.momentum.SPY.o1.1", "fill"),
            ("control.trading.all.halted", "other"),
            ("account.paper.marked", "other"),
        ] {
            assert_eq!(stage(subject), expected, "{subject}");
        }
    }
}
