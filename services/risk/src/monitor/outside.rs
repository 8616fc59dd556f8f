//! What no event says: that no bar comes while the session is open, and that the read models fall behind. Either trips a
//! breaker where one is stated.

use std::time::Duration;

use contracts::v1::event::Body;
use contracts::v1::{BreakerKind, BreakerTripped, Event, TradingState};
use contracts::{event_id, to_timestamp};
use domain::book::Book;
use domain::money::{E9, Quantity};
use domain::risk::breaker;
use tokio::time::Instant;

use super::{BATCH, Monitor, SERVICE};
use crate::shell::Error;
use crate::start::answered;

impl Monitor {
    /// Looks for silence of the market and for read models that fall behind.
    pub(super) async fn look(&mut self) -> Result<(), Error> {
        let now_ns = runtime::now_ns();
        let stale_ns = self.silence(now_ns);
        let lag = self.lag().await;
        let mut tripped = Vec::new();
        for account in self.book.accounts() {
            for set in self.book.breakers_of(&account.account) {
                for breaker in &set.limits.breakers {
                    let (value_ns, what) = match breaker.kind() {
                        BreakerKind::StaleData => (stale_ns, "no bar came"),
                        BreakerKind::ProjectionLag => {
                            (i64::try_from(lag.as_nanos()).unwrap_or(i64::MAX), "the read models were behind")
                        }
                        _ => continue,
                    };
                    let standing = breaker::active(&self.book, &account.account, "", breaker.kind());
                    let stands = standing.is_some_and(|standing| !breaker::is_stronger(breaker, standing));
                    // A nanosecond is a billionth of a second: the unit is the breaker's.
                    if stands || value_ns < breaker.most_e9 {
                        continue;
                    }
                    let state = if breaker.halts { TradingState::Halted } else { TradingState::ReduceOnly };
                    tripped.push(BreakerTripped {
                        account: account.account.clone(),
                        strategy: String::new(),
                        kind: breaker.kind,
                        state: state.into(),
                        value_e9: value_ns,
                        most_e9: breaker.most_e9,
                        reason: format!(
                            "{what} for {} s, the limit is {}",
                            value_ns / E9,
                            Quantity(breaker.most_e9)
                        ),
                        scope: Some(set.scope.to_wire()),
                        limits_version: set.version,
                    });
                }
            }
        }
        for body in tripped {
            let name = breaker::name(body.kind());
            tracing::warn!("breaker {name} of {} trips: {}", body.account, body.reason);
            let cause = format!("{}/{name}/{}/{now_ns}", body.account, breaker::state_name(body.state()));
            let event = Event {
                id: event_id(&cause, SERVICE, 0),
                event_time: Some(to_timestamp(now_ns)),
                source: SERVICE.to_owned(),
                body: Some(Body::BreakerTripped(body)),
                ..Event::default()
            };
            // Known at once, so that the next look does not say it again.
            self.put(event.clone()).await?;
            self.read_until_tripped(&event).await?;
        }
        Ok(())
    }

    /// Reads TRADING until the book knows of a breaker that was just tripped.
    async fn read_until_tripped(&mut self, event: &Event) -> Result<(), Error> {
        let Some(Body::BreakerTripped(body)) = &event.body else { return Ok(()) };
        let knows = |book: &Book| {
            let standing = breaker::active(book, &body.account, "", body.kind());
            standing.is_some_and(|standing| standing == body.state() || standing == TradingState::Halted)
        };
        while !knows(&self.book) {
            tokio::select! {
                () = self.context.shutdown.cancelled() => return Ok(()),
                batch = self.trading.batch(BATCH) => {
                    let batch = batch?;
                    Box::pin(self.take(batch)).await?;
                }
            }
        }
        Ok(())
    }

    /// How long no live bar of any symbol closed while the session was open.
    fn silence(&self, now_ns: i64) -> i64 {
        let Ok(Some(session)) = self.calendar.session_at(now_ns) else { return 0 };
        let last_ns = self.pricing.newest_ns().unwrap_or(session.open_ns).max(session.open_ns);
        now_ns.saturating_sub(last_ns)
    }

    /// How long the read model has not reached what was on the tape.
    async fn lag(&mut self) -> Duration {
        let checkpoint = answered(self.read_model.checkpoint()).await;
        let head = self.book.sequence();
        match (checkpoint, self.behind) {
            (Some(checkpoint), Some((since, behind))) if checkpoint < behind => since.elapsed(),
            (None, Some((since, _))) => since.elapsed(),
            (Some(checkpoint), _) if checkpoint >= head => {
                self.behind = None;
                Duration::ZERO
            }
            _ => {
                self.behind = Some((Instant::now(), head));
                Duration::ZERO
            }
        }
    }
}
