//! A session of which TRADING holds nothing that the market caused: nobody was there to decide, or there was nothing to
//! decide on.

use contracts::from_timestamp;
use contracts::v1::SessionPhase;
use contracts::v1::event::Body;
use domain::calendar::Session;
use event_log::{LogError, Tape};
use runtime::is_live;

use super::market::Market;

/// What MARKET holds of the session.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bars {
    /// Sequence of its last bar that could be decided on; 0 when all were history when they came.
    pub through: u64,
    /// Whether the market went on behind it, so that nobody decides on it any more.
    pub over: bool,
}

/// What MARKET holds of the session of these hours; `None` without a bar.
pub(super) async fn bars(tape: &Tape, hours: &Session) -> Result<Option<Bars>, LogError> {
    let (mut found, mut any) = (Bars::default(), false);
    let take = |recorded: &event_log::Recorded| {
        let Some(ns) = recorded.event.event_time.as_ref().and_then(from_timestamp) else { return };
        match &recorded.event.body {
            Some(Body::Bar(bar)) if hours.open_ns < ns && ns <= hours.close_ns => {
                any = true;
                if is_live(bar.origin()) {
                    found.through = recorded.sequence;
                }
            }
            Some(Body::Bar(bar)) => found.over |= is_live(bar.origin()) && ns > hours.close_ns,
            Some(Body::SessionChange(session)) => {
                found.over |= session.phase() == SessionPhase::Closed && ns >= hours.close_ns;
            }
            _ => {}
        }
    };
    Market::open(tape).await?.again(u64::MAX, take).await?;
    Ok(any.then_some(found))
}
