//! Minutes of a session before the present one, which come where nothing was heard over a close and the next open, or
//! where the vendor corrects them late.

use std::time::Duration;

use ingest::live::{Heard, Minute};
use runtime::HealthState;

use super::{Deck, MINUTE_NS, Script, at, bars, eventually, minute};
use crate::support::{memory, stored};

/// Minutes from one open to the next.
const DAY: i64 = 1_440;

#[tokio::test(flavor = "multi_thread")]
async fn minutes_of_an_earlier_session_are_left_to_history() {
    // Two minutes before the close of the day before.
    let open_ns = at(388 - DAY);
    let (tape, script) = (memory(), Script::default());
    let deck = Deck::start(&tape, &script).await;
    deck.live().await;
    let before = |at: i64| minute("AAPL", open_ns + (at - DAY) * MINUTE_NS, 10);
    let today = |at: i64| minute("AAPL", open_ns + at * MINUTE_NS, 12);
    script.say(vec![Heard::Minute(before(386)), Heard::Minute(before(387))]);
    deck.holds(2, 0).await;
    // Nothing is heard over the close and the next open.
    script.say(vec![Heard::Lost { why: "gone".into(), again_in: Duration::ZERO }]);
    eventually(|| async { deck.is(HealthState::Degraded) }).await;
    at(3);
    eventually(|| async { stored(&tape, "market.session.>").await.len() >= 3 }).await;
    script.history.lock().unwrap().extend([before(386), before(387), before(388), before(389), today(0)]);
    let corrected = Minute { revised: true, ..minute("AAPL", open_ns + (387 - DAY) * MINUTE_NS, 11) };
    script.say(vec![Heard::Live, Heard::Minute(today(1)), Heard::Minute(corrected), Heard::Minute(today(2))]);
    deck.holds(5, 0).await;
    let mut found = bars(&tape, open_ns).await;
    found.retain(|(subject, ..)| subject.contains(".1m."));
    let closes: Vec<i64> = found.iter().map(|(_, close, ..)| *close).collect();
    assert_eq!(closes, [387 - DAY, 388 - DAY, 1, 2, 3]);
    assert_eq!(stored(&tape, "market.revision.>").await.len(), 0, "no bar is made anew of a part");
    deck.stop().await;
}
