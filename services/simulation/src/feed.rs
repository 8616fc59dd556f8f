//! The market of the wall clock: bars come when they close, each by itself, and the exchange sees them first.

use std::time::Duration;

use contracts::from_timestamp;
use contracts::v1::event::Body;
use contracts::v1::{Origin, SessionPhase};
use domain::bar::Bar;
use domain::calendar::Calendar;
use domain::matching::kernel::Bounds;
use event_log::{Append, Expect, Tape};
use runtime::clock;
use tokio::time::Instant;

use crate::exchange::Exchange;
use crate::executor::Timeline;
use crate::market::Market;

/// Longest that nothing happens; closed time beyond it passes at once.
const CLOSED_NS_MAX: i64 = 900_000_000_000;

/// Gives the market to the tape and the exchange; `start` is the moment at which the market's time is `start_ns`.
pub async fn run(
    tape: Tape,
    market: Market,
    exchange: Option<Exchange>,
    timeline: &Timeline,
    start: Instant,
    mut start_ns: i64,
) {
    let mut last_ns = start_ns;
    for (at, instant) in market.instants().iter().enumerate() {
        if market.is_over(at) {
            break;
        }
        let closed = (instant.ns - last_ns - CLOSED_NS_MAX).max(0);
        timeline.step_wall(closed);
        (start_ns, last_ns) = (start_ns + closed, instant.ns);
        let passed = u64::try_from(instant.ns - start_ns).unwrap_or_default();
        clock::sleep_until(start + Duration::from_nanos(passed)).await;
        for (_, event) in &instant.events {
            if let Some(exchange) = &exchange {
                show(exchange, event);
            }
        }
        for (subject, event) in &instant.events {
            let mut event = event.clone();
            event.instant = None;
            match &mut event.body {
                Some(Body::Bar(bar)) => bar.origin = Origin::Live.into(),
                Some(Body::CorporateAction(action)) => action.origin = Origin::Live.into(),
                _ => {}
            }
            let append = Append { subject: subject.clone(), event, expect: Expect::Nothing };
            while tape.append(append.clone()).await.is_err() {
                clock::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    clock::sleep(Duration::from_secs(5)).await;
}

fn show(exchange: &Exchange, event: &contracts::v1::Event) {
    let Some(event_ns) = event.event_time.as_ref().and_then(from_timestamp) else { return };
    match &event.body {
        Some(Body::Bar(wire)) => {
            let Some(bar) = Bar::from_wire(wire, event_ns) else { return };
            let session = Calendar::xnys().overlapping_after(None, bar.start_ns, bar.close_ns).ok().flatten();
            exchange.on_bar(&wire.symbol, &bar, session.as_ref());
        }
        Some(Body::SessionChange(session)) if session.phase() == SessionPhase::Closed => {
            let close_ns = session.close.as_ref().and_then(from_timestamp).unwrap_or(event_ns);
            let open_ns = session.open.as_ref().and_then(from_timestamp).unwrap_or(close_ns);
            exchange.on_session_closed(Bounds { open_ns, close_ns });
        }
        _ => {}
    }
}
