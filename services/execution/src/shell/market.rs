//! Instants of MARKET: their parts in order, then the marks, then the acknowledgements.

use broker::{MarketEvent, Report};
use contracts::{basis_of, from_timestamp, stream};
use domain::book::{FoldError, MarkError};
use domain::calendar::{Calendar, Session};
use domain::corporate_action::Effect;
use domain::order::BrokerReport;
use event_log::{Consumer, last_of};
use runtime::{ClockMode, Instant, utc};

use super::orders::complain;
use super::{Error, Shell};
use crate::instant::{LiveBar, Part, is_barrier, parts};
use crate::step::{Step, StepError};

/// Where accounts are marked.
const MARKS: &str = "account.*.marked";

impl Shell {
    /// Handles an instant and acknowledges it. False when an account cannot be valued yet and the clock
    /// waits for it: the instant has to be handled again.
    pub(super) async fn handle(
        &mut self,
        instant: &Instant,
        market: &mut dyn Consumer,
    ) -> Result<bool, Error> {
        // Another instance may have sent what was approved in the instants before; without it this one would match the
        // bars of the instant against too few orders.
        self.machine.learn(self.said_before(instant));
        self.catch_up_with_others().await?;
        self.machine.begin(instant);
        if !self.machine.is_done(instant) {
            // Handled again because an account could not be valued: only the marks are to come.
            if self.matched != Some(instant.last_sequence()) {
                for part in parts(instant) {
                    self.part(part).await?;
                }
                self.matched = Some(instant.last_sequence());
            }
            if !self.mark(instant).await? {
                return Ok(false);
            }
        }
        market.ack_through(instant.done_through()).await?;
        self.well();
        Ok(true)
    }

    /// How far TRADING is to be read before an instant. In a copy of the tape that was made while somebody ran it, MARKET
    /// may be newer than TRADING: what that lacks never comes.
    fn said_before(&self, instant: &Instant) -> u64 {
        let (market, trading) = self.ends;
        let said = instant.trading_sequence();
        if instant.last_sequence() > market { said } else { said.min(trading) }
    }

    /// Marks the accounts that were opened after the last instant had been handled: the clock waits for their marks there,
    /// and what is acknowledged does not come again.
    pub(super) async fn mark_opened(&mut self) -> Result<(), Error> {
        if self.context.clock != ClockMode::Tape {
            return Ok(());
        }
        let last = last_of(&self.context.tape, stream::TRADING, MARKS).await?.event;
        let Some(mark) = last.map(|recorded| recorded.event) else { return Ok(()) };
        let Some(event_ns) = mark.event_time.as_ref().and_then(from_timestamp) else { return Ok(()) };
        let handled = basis_of(&mark, stream::MARKET).unwrap_or_default();
        // An instant that is not acknowledged comes again, and is marked whole then. The clock waits there, also where
        // something of it is stored and no mark yet.
        let unfinished = handled > self.consumed.through() || self.machine.is_before(self.begun);
        if handled == 0 || unfinished {
            return Ok(());
        }
        let steps = self.machine.mark_steps_at(event_ns, &mark.causation_id);
        // They stand where those of the others do.
        let read = std::mem::replace(&mut self.machine.market_sequence, handled);
        let failed = self.store(steps).await;
        self.machine.market_sequence = read;
        for (step, error) in failed? {
            match error {
                // An account that nobody has configured yet has nothing to value.
                StepError::Mark(error) => tracing::debug!("{error}"),
                _ => complain(&step, &error),
            }
        }
        Ok(())
    }

    async fn part(&mut self, part: Part) -> Result<(), Error> {
        match part {
            Part::Action { symbol, effect, event_id, event_ns } => {
                self.action(&symbol, effect, &event_id, event_ns).await
            }
            Part::Bars(bars) => self.bars(&bars).await,
            Part::SessionClosed { session, event_ns } => {
                let reports = self.broker.on_market(MarketEvent::SessionClosed { session });
                let steps = known_at(reports, event_ns);
                if self.together.is_empty() {
                    return self.store_and_log(steps).await;
                }
                self.together.extend(steps);
                Ok(())
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
        let mut ended = Vec::new();
        for order_id in orders {
            let order = self.machine.book().order(&order_id);
            match order.filter(|order| !order.status.is_ended()) {
                Some(order) => self.broker.on_adjusted(order),
                None => ended.extend(self.broker.forget(&order_id)),
            }
        }
        if ended.is_empty() { Ok(()) } else { self.store_and_log(known_at(ended, event_ns)).await }
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
            session = session_of(self.machine.calendar, session, live);
            let event = MarketEvent::Bar { symbol: &live.symbol, bar: &live.bar, session: session.as_ref() };
            steps.extend(known_at(self.broker.on_market(event), live.bar.close_ns));
        }
        // An order that a bar leaves working would take the bar again after a crash: what the bar did to it
        // is stored with the mark that ends the instant, or not at all.
        if self.leaves_working(&steps) {
            self.together.extend(steps);
            return Ok(());
        }
        if steps.is_empty() { Ok(()) } else { self.store_and_log(steps).await }
    }

    /// Whether the reports leave an order working that they concern or that shares the bar's volume, or concern
    /// a group.
    fn leaves_working(&self, steps: &[Step]) -> bool {
        let mut accounts = self.machine.book().accounts();
        let shares = !steps.is_empty()
            && accounts.any(|account| {
                account.config.as_ref().is_some_and(|config| config.costs.volume_share_most_e9 > 0)
            });
        shares
            || steps.iter().any(|step| match step {
                Step::Report { order_id, report, .. } => {
                    match (report, self.machine.book().order(order_id)) {
                        (_, Some(order)) if !order.spec.group_id.is_empty() => true,
                        (BrokerReport::Filled(execution), Some(order)) => {
                            execution.quantity < order.remaining()
                        }
                        (BrokerReport::Triggered { .. } | BrokerReport::Trailed { .. }, _) => true,
                        _ => false,
                    }
                }
                _ => false,
            })
    }

    /// Values the accounts. False when one cannot be valued and the clock waits for it.
    async fn mark(&mut self, instant: &Instant) -> Result<bool, Error> {
        let waits = is_barrier(self.context.clock, instant);
        let on_wall = self.context.clock == ClockMode::Wall;
        // What was bought since a start may have had its last bar before it.
        let unpriced = self.machine.unpriced();
        if !unpriced.is_empty() {
            self.price_from_bars(unpriced, instant.last_sequence()).await?;
        }
        let marks = self.machine.mark_steps(instant);
        let failed = if self.together.is_empty() {
            self.store(marks).await?
        } else {
            let steps: Vec<_> = self.together.iter().cloned().chain(marks).collect();
            self.store_together(&steps, waits).await?
        };
        let mut unvalued = None;
        let mut without_price = Vec::new();
        for (step, error) in &failed {
            match error {
                StepError::Mark(error) if waits => unvalued = unvalued.or(Some(error)),
                // The clock goes on without the mark, so that nothing but this says that there is none.
                StepError::Mark(MarkError::NoPrice { account, symbol }) if on_wall => {
                    without_price.push(format!(
                        "account {account} is not marked: it holds {symbol}, which has no price; \
                         add {symbol} to `symbols` of [live], or close the position"
                    ));
                }
                // An account that nobody has configured yet has nothing to value.
                StepError::Mark(error) => tracing::debug!("{error}"),
                _ => complain(step, error),
            }
        }
        if let Some(error) = unvalued {
            self.say(Some(format!("instant {} cannot be marked: {error}", utc(instant.event_ns))));
            return Ok(false);
        }
        self.restate(|shell| shell.unvalued = (!without_price.is_empty()).then(|| without_price.join("; ")));
        self.say_what_was_told();
        self.together.clear();
        self.matched = None;
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

/// The regular session in which a bar trades.
pub(crate) fn session_of(calendar: &Calendar, before: Option<Session>, live: &LiveBar) -> Option<Session> {
    let bar = &live.bar;
    match calendar.overlapping_after(before, bar.start_ns, bar.close_ns) {
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
