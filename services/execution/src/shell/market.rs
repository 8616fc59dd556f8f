//! Instants of MARKET: their parts in order, then the marks, then the acknowledgements.

use broker::{Broker as _, MarketEvent, Report};
use domain::book::FoldError;
use domain::calendar::{Calendar, Session};
use domain::corporate_action::Effect;
use event_log::Consumer;
use runtime::Instant;

use super::orders::complain;
use super::{Error, Shell};
use crate::instant::{LiveBar, Part, is_barrier, parts};
use crate::step::{Step, StepError};

impl Shell {
    /// Handles an instant and acknowledges it. False when an account cannot be valued yet and the clock
    /// waits for it: the instant has to be handled again.
    pub(super) async fn handle(
        &mut self,
        instant: &Instant,
        market: &mut dyn Consumer,
    ) -> Result<bool, Error> {
        self.catch_up().await?;
        self.machine.begin(instant);
        if !self.machine.is_done(instant) {
            for part in parts(instant) {
                self.part(part).await?;
            }
            if !self.mark(instant).await? {
                return Ok(false);
            }
        }
        market.ack_through(instant.done_through()).await?;
        self.say(None);
        Ok(true)
    }

    async fn part(&mut self, part: Part) -> Result<(), Error> {
        match part {
            Part::Action { symbol, effect, event_id, event_ns } => {
                self.action(&symbol, effect, &event_id, event_ns).await
            }
            Part::Bars(bars) => self.bars(&bars).await,
            Part::SessionClosed { close_ns, event_ns } => {
                let reports = self.broker.on_market(MarketEvent::SessionClosed { close_ns });
                self.store_and_log(known_at(reports, event_ns)).await
            }
        }
    }

    async fn action(
        &mut self,
        symbol: &str,
        effect: Effect,
        event_id: &str,
        event_ns: i64,
    ) -> Result<(), Error> {
        self.load_applied().await?;
        let steps = match self.machine.action_steps(symbol, effect, event_id, event_ns) {
            Ok(steps) => steps,
            Err(error) => {
                report_unfoldable(symbol, &error);
                Vec::new()
            }
        };
        let orders: Vec<_> = steps
            .iter()
            .filter_map(|step| match step {
                Step::Adjust { order_id, .. } => Some(order_id.clone()),
                _ => None,
            })
            .collect();
        self.store_and_log(steps).await?;
        self.catch_up().await?;
        self.machine.restate_price(symbol, effect, event_ns);
        for order_id in orders {
            let order = self.machine.book().order(&order_id);
            match order.filter(|order| !order.status.is_ended()) {
                Some(order) => {
                    let limit = order.spec.limit_price_e9.map(domain::money::Price);
                    self.broker.on_adjusted(&order_id, order.remaining(), limit);
                }
                None => self.broker.forget(&order_id),
            }
        }
        Ok(())
    }

    async fn bars(&mut self, bars: &[LiveBar]) -> Result<(), Error> {
        let mut payouts = Vec::new();
        for bar in bars {
            match self.machine.cash_in_lieu_steps(bar) {
                Ok(steps) => payouts.extend(steps),
                Err(error) => report_unfoldable(&bar.symbol, &error),
            }
        }
        if !payouts.is_empty() {
            // Before the fills: a position that trades would take the fraction for settled.
            self.store_and_log(payouts).await?;
        }
        let mut session = None;
        let mut steps = Vec::new();
        for live in bars {
            self.machine.observe(live);
            session = session_of(session, live);
            let event = MarketEvent::Bar { symbol: &live.symbol, bar: &live.bar, session: session.as_ref() };
            steps.extend(known_at(self.broker.on_market(event), live.bar.close_ns));
        }
        if steps.is_empty() { Ok(()) } else { self.store_and_log(steps).await }
    }

    /// Values the accounts. False when one cannot be valued and the clock waits for it.
    async fn mark(&mut self, instant: &Instant) -> Result<bool, Error> {
        let failed = self.store(self.machine.mark_steps(instant)).await?;
        let Some((_, error)) = failed.first() else { return Ok(true) };
        if is_barrier(self.context.clock, instant) {
            self.say(Some(format!("instant {} cannot be marked: {error}", instant.event_ns)));
            return Ok(false);
        }
        for (step, error) in &failed {
            match error {
                // An account that nobody has configured yet has nothing to value.
                StepError::Mark(error) => tracing::debug!("{error}"),
                _ => complain(step, error),
            }
        }
        Ok(true)
    }
}

/// What a broker said at a moment of the market.
pub(crate) fn known_at(reports: Vec<Report>, event_ns: i64) -> Vec<Step> {
    reports
        .into_iter()
        .map(|Report { order_id, report }| Step::Report {
            order_id,
            report,
            event_ns: Some(event_ns),
            cause_id: None,
        })
        .collect()
}

/// The regular session that a bar overlaps, most often the one of the bar before it.
pub(crate) fn session_of(before: Option<Session>, live: &LiveBar) -> Option<Session> {
    let bar = &live.bar;
    if let Some(session) = before
        && session.overlaps(bar.start_ns, bar.close_ns)
    {
        return Some(session);
    }
    match Calendar::xnys().overlapping(bar.start_ns, bar.close_ns) {
        Ok(session) => session,
        Err(error) => {
            // Nothing trades when it is not known whether the market was open.
            tracing::warn!(symbol = live.symbol, "{error}");
            None
        }
    }
}

fn report_unfoldable(symbol: &str, error: &FoldError) {
    tracing::error!(symbol, %error, "{symbol}: {error}");
}
