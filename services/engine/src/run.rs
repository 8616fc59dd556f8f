//! The loop over instants.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use contracts::v1::event::Body;
use contracts::v1::{Basis, Event, Signal, Verdict};
use contracts::{StreamError, Subject, bar_id, chain_id, to_timestamp};
use domain::book::{Book, FoldError, MarkError, Prices, margin_change, mark, starts_session};
use domain::calendar::OutOfRange;
use domain::matching::{CostTable, Match, Matcher};
use domain::money::{Amount, Price};
use domain::order::{OrderState, Rejection};
use domain::performance::{EquityRow, Trade};
use domain::risk::{self, Rule, breaker};
use domain::series::MarketData;
use domain::strategy::Wish;

use crate::config::{Config, ConfigError};
use crate::dense;
use crate::host::Host;
use crate::last::LastEvents;
use crate::ledger::Lots;
use crate::outcome::{Counts, Outcome};
use crate::outside::{self, Outside};
use crate::recorder::Recorder;
use crate::walk::{Step, Walk, Window, session_range};

/// Name of the broker that matches orders against bars.
pub(crate) const BROKER: &str = "simulated";
/// Bars between two looks at the control.
pub(crate) const CONTROL_EVERY: u64 = 16_384;

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bars walked.
    pub bars: u64,
    /// Bars in all.
    pub total: u64,
    /// The instant, UTC nanoseconds.
    pub instant_ns: i64,
    /// Equity as of the last mark.
    pub equity: Amount,
}

/// Watches a run and may end it.
pub trait Control {
    /// Looks at where the run is; a break ends it.
    fn progress(&mut self, progress: &Progress) -> ControlFlow<()>;
}

/// Lets a run go on to its end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Uncontrolled;

impl Control for Uncontrolled {
    fn progress(&mut self, _progress: &Progress) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

impl<Look: FnMut(&Progress) -> ControlFlow<()>> Control for Look {
    fn progress(&mut self, progress: &Progress) -> ControlFlow<()> {
        self(progress)
    }
}

/// Why a run has no outcome.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// The configuration cannot be run.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data lie outside of the calendar.
    #[error(transparent)]
    Calendar(#[from] OutOfRange),
    /// An event contradicts the book.
    #[error("at {event_ns}: {source}")]
    Fold {
        /// The instant.
        event_ns: i64,
        /// Why.
        #[source]
        source: FoldError,
    },
    /// An order cannot take what became of it.
    #[error(transparent)]
    Order(#[from] Rejection),
    /// The account cannot be valued.
    #[error(transparent)]
    Mark(#[from] MarkError),
    /// The events cannot be hashed.
    #[error(transparent)]
    Chain(#[from] StreamError),
    /// Whoever stands beside the run cannot go on.
    #[error("{0}")]
    Outside(String),
    /// The control ended the run.
    #[error("the run was cancelled")]
    Cancelled,
}

/// Runs `config` over `data`.
pub fn run<R: Recorder>(
    config: &Config,
    data: &MarketData,
    recorder: &mut R,
    control: &mut impl Control,
) -> Result<Outcome, Error> {
    if let Some(outcome) = dense::attempt(config, data, recorder, control)? {
        return Ok(outcome);
    }
    walk(config, data, recorder, None, control)
}

/// Runs `config` over `data` with somebody beside it: strategies of the kind [`crate::OUTSIDE`], or a tape.
pub fn run_beside<R: Recorder>(
    config: &Config,
    data: &MarketData,
    recorder: &mut R,
    outside: &mut dyn Outside,
    control: &mut impl Control,
) -> Result<Outcome, Error> {
    walk(config, data, recorder, Some(outside), control)
}

fn walk<'run, R: Recorder>(
    config: &'run Config,
    data: &'run MarketData,
    recorder: &'run mut R,
    outside: Option<&'run mut dyn Outside>,
    control: &mut impl Control,
) -> Result<Outcome, Error> {
    let sessions = session_range(config.calendar, data)?;
    let every = if outside.is_some() { outside::CONTROL_EVERY } else { CONTROL_EVERY };
    let mut run = Run::new(config, data, recorder, outside)?;
    let wanted = run.hosts.iter().map(Host::warm_up_bars);
    let shown = config.strategies.iter().filter(|one| one.kind == outside::OUTSIDE);
    let warm_up = wanted.chain(shown.map(|_| outside::WARM_UP_BARS)).max().unwrap_or_default();
    let warm_up = warm_up.saturating_add(config.warm_up_more);
    let window = Window { from_ns: config.from_ns, until_ns: config.until_ns, warm_up };
    let mut walk = Walk::new(data, sessions, window);
    let (total, mut next_look) = (walk.total(), every);
    while let Some(step) = walk.next() {
        run.instant(&step, &walk)?;
        let bars = run.counts.bars;
        if bars >= next_look {
            next_look = bars + every;
            let progress = Progress { bars, total, instant_ns: step.ns, equity: run.equity };
            if control.progress(&progress).is_break() {
                return Err(Error::Cancelled);
            }
        }
    }
    let told = std::mem::take(&mut run.told);
    if let Some(outside) = &mut run.outside {
        outside.end(told)?;
    }
    Ok(run.finish())
}

/// A signal of the present instant.
pub(crate) struct Pending {
    pub(crate) id: String,
    pub(crate) correlation_id: String,
    pub(crate) causation_id: String,
    pub(crate) signal: Signal,
    /// Its event and what is wrong with it, where it came from outside.
    pub(crate) outside: Option<(Box<Event>, Option<String>)>,
}

/// Everything that changes during a run.
pub(crate) struct Run<'run, R> {
    pub(crate) config: &'run Config,
    pub(crate) data: &'run MarketData,
    pub(crate) recorder: &'run mut R,
    pub(crate) book: Book,
    pub(crate) sequence: u64,
    pub(crate) prices: Prices,
    pub(crate) matcher: Matcher,
    pub(crate) matches: Vec<Match>,
    pub(crate) costs: CostTable,
    /// Slot of a series at the matcher.
    pub(crate) slots: Vec<usize>,
    pub(crate) hosts: Vec<Host>,
    pub(crate) lots: BTreeMap<(String, String), Lots>,
    pub(crate) trades: Vec<Trade>,
    pub(crate) equity_rows: Vec<EquityRow>,
    pub(crate) counts: Counts,
    pub(crate) equity: Amount,
    pub(crate) slippage: Amount,
    pub(crate) turnover: Amount,
    /// Commissions of closing what was open at the end.
    pub(crate) closing: Amount,
    pub(crate) last_mark_ns: Option<i64>,
    pub(crate) pending: Vec<Pending>,
    pub(crate) wishes: Vec<Wish>,
    /// Whether decisions look at bars of late.
    pub(crate) measures: bool,
    pub(crate) outside: Option<&'run mut dyn Outside>,
    /// What was not yet shown outside.
    pub(crate) told: Vec<(Subject, Event)>,
    pub(crate) last_events: LastEvents,
}

impl<'run, R: Recorder> Run<'run, R> {
    fn new(
        config: &'run Config,
        data: &'run MarketData,
        recorder: &'run mut R,
        outside: Option<&'run mut dyn Outside>,
    ) -> Result<Self, Error> {
        let book = config.book(data)?;
        let inside = config.strategies.iter().filter(|strategy| strategy.kind != outside::OUTSIDE);
        let mut strategies: Vec<_> = inside.collect();
        strategies.sort_by(|left, right| left.name.cmp(&right.name));
        let host = |one| Host::new(one, data).map(|host| if config.late { host.late() } else { host });
        let hosts: Result<Vec<_>, _> = strategies.into_iter().map(host).collect();
        let mut matcher = Matcher::default();
        let slots = data.series.iter().map(|series| matcher.slot(&series.symbol)).collect();
        let mut costs = CostTable::default();
        costs.set(&config.account.name, config.account.costs);
        Ok(Self {
            config,
            data,
            recorder,
            sequence: book.sequence(),
            book,
            prices: Prices::default(),
            matcher,
            matches: Vec::new(),
            costs,
            slots,
            hosts: hosts?,
            lots: BTreeMap::new(),
            trades: Vec::new(),
            equity_rows: Vec::new(),
            counts: Counts::default(),
            equity: config.account.cash,
            slippage: Amount::ZERO,
            turnover: Amount::ZERO,
            closing: Amount::ZERO,
            last_mark_ns: None,
            pending: Vec::new(),
            wishes: Vec::new(),
            measures: config.measures(),
            outside,
            told: Vec::new(),
            last_events: LastEvents::default(),
        })
    }

    fn instant(&mut self, step: &Step<'_>, walk: &Walk<'_>) -> Result<(), Error> {
        let live = self.config.from_ns.is_none_or(|from| step.ns >= from);
        for action in step.actions {
            self.corporate_action(action)?;
        }
        self.cash_in_lieu(walk)?;
        self.match_bars(walk)?;
        if let Some(session) = step.closed {
            self.session_closed(&session, step.ns)?;
        }
        if live {
            self.mark(step.ns, !walk.bars.is_empty())?;
            self.groups(step.ns)?;
        }
        for action in step.actions {
            for host in 0..self.hosts.len() {
                self.hosts[host].on_action(action, &mut self.wishes);
                self.collect(host, &action.event_id, live);
            }
        }
        for &(index, row) in &walk.bars {
            let (series, bar) = (&self.data.series[index], walk.rows[index].bar(row));
            for host in 0..self.hosts.len() {
                self.hosts[host].on_bar(index, series, &bar, live, &mut self.wishes);
                if !self.wishes.is_empty() {
                    let timeframe = series.timeframe.name();
                    let cause = bar_id(&series.source, &series.symbol, timeframe, bar.close_ns);
                    self.collect(host, &cause, live);
                }
            }
        }
        self.show(step, walk, live)?;
        self.decide(step.ns)?;
        self.counts.instants += 1;
        self.counts.bars += walk.bars.len() as u64;
        self.recorder.end_instant()?;
        Ok(())
    }

    /// Makes signals of the wishes that `cause` made a strategy have.
    fn collect(&mut self, host: usize, cause: &str, live: bool) {
        if !live {
            self.wishes.clear();
        }
        for (index, wish) in (0u32..).zip(self.wishes.drain(..)) {
            let host = &self.hosts[host];
            self.pending.push(Pending {
                id: chain_id::signal(cause, &host.name, index),
                correlation_id: cause.to_owned(),
                causation_id: cause.to_owned(),
                signal: host.signal(&wish),
                outside: None,
            });
        }
    }

    fn mark(&mut self, event_ns: i64, row: bool) -> Result<(), Error> {
        let account = &self.config.account.name;
        if let Some(body) = margin_change(&self.book, account, &self.prices)? {
            let event = self.event(chain_id::margin(account, event_ns), event_ns, "execution", "", "", body);
            self.apply(&event, event_ns)?;
        }
        let starts = starts_session(self.config.calendar, self.last_mark_ns, event_ns);
        let body = mark(&self.book, account, &self.prices, starts)?;
        for tripped in breaker::due(&self.book, &body, self.config.calendar, event_ns) {
            let id = chain_id::breaker(account, event_ns, &tripped);
            let event = self.event(id, event_ns, "execution", "", "", tripped);
            self.apply(&event, event_ns)?;
        }
        let amount = |money: &Option<contracts::v1::Money>| Amount::from_wire(money.as_ref());
        self.equity = amount(&body.equity);
        if row {
            let (equity, cash) = (self.equity, amount(&body.cash));
            self.equity_rows.push(EquityRow {
                time_ns: event_ns,
                equity,
                cash,
                exposure: amount(&body.gross_exposure),
            });
        }
        self.last_mark_ns = Some(event_ns);
        let wanted = R::ACCOUNT || self.outside.is_some();
        let id = if wanted { chain_id::mark(account, event_ns) } else { String::new() };
        let event = self.event(id, event_ns, "execution", "", "", Body::AccountMarked(body));
        self.apply(&event, event_ns)
    }

    /// Decides the instant's signals, then submits what was approved.
    fn decide(&mut self, event_ns: i64) -> Result<(), Error> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut pending = std::mem::take(&mut self.pending);
        pending.sort_by_cached_key(|one| place(&one.signal));
        for one in &pending {
            if let Some((event, _)) = &one.outside {
                // It is stored already; one of another instant has no place in this one's chain.
                if R::CHAIN && event_ns_of(event) == Some(event_ns) {
                    self.recorder.event(event);
                }
            } else if R::CHAIN || self.outside.is_some() {
                let body = Body::Signal(one.signal.clone());
                let (source, cause) = (&one.signal.strategy, &one.causation_id);
                let event = self.event(one.id.clone(), event_ns, source, cause, &one.correlation_id, body);
                if R::CHAIN {
                    self.recorder.event(&event);
                }
                self.tell_outside(&event);
            }
        }
        let (mut approved, mut cancels) = (Vec::new(), Vec::new());
        for one in pending {
            self.counts.signals += 1;
            approved.push(self.judge(&one, event_ns, &mut cancels)?);
        }
        // What an order takes the place of goes before the order comes.
        for order_id in &cancels {
            self.cancel(order_id, event_ns)?;
        }
        for orders in &approved {
            for order_id in orders {
                self.submit(order_id, event_ns)?;
            }
            self.unwind(orders, event_ns)?;
        }
        Ok(())
    }

    fn judge(
        &mut self,
        pending: &Pending,
        event_ns: i64,
        cancels: &mut Vec<String>,
    ) -> Result<Vec<String>, Error> {
        let config = self.config;
        let (signal, account) = (&pending.signal, &config.account.name);
        let view = risk::view(&self.book, &self.prices, config.calendar, signal, event_ns, account);
        let decision = outside::decide(pending, &view);
        match decision.verdict() {
            Verdict::Approved => self.counts.approved += 1,
            Verdict::Shadowed => self.counts.shadowed += 1,
            Verdict::Denied | Verdict::Unspecified => {
                let rule = Rule::ALL.into_iter().find(|rule| rule.name() == decision.rule);
                *self.counts.denied.entry(rule.unwrap_or(Rule::InvalidSignal)).or_default() += 1;
            }
        }
        let orders = decision.orders.iter().map(|order| order.order_id.clone()).collect();
        cancels.extend(decision.cancels.iter().cloned());
        let id = chain_id::decision(&pending.id);
        let body = Body::RiskDecision(decision);
        // A decision has the time of its signal, which outside may be another's.
        let stated = pending.outside.as_ref().and_then(|(event, _)| event_ns_of(event));
        let at_ns = stated.unwrap_or(event_ns);
        let event = self.event(id, at_ns, "risk", &pending.id, &pending.correlation_id, body);
        self.apply(&event, event_ns)?;
        Ok(orders)
    }

    /// Folds an event and hands it to the recorder, where it is wanted.
    pub(crate) fn apply(&mut self, event: &Event, event_ns: i64) -> Result<(), Error> {
        self.sequence += 1;
        let folded = self.book.apply(self.sequence, event);
        folded.map_err(|source| Error::Fold { event_ns, source })?;
        self.last_events.note(R::ACCOUNT, event);
        let account = matches!(
            event.body,
            Some(
                Body::AccountMarked(_)
                    | Body::AccountEntry(_)
                    | Body::MarginCalled(_)
                    | Body::MarginRestored(_)
                    | Body::BreakerTripped(_)
                    | Body::BreakerReset(_)
            )
        );
        let of_instant = self.outside.is_none() || event_ns_of(event) == Some(event_ns);
        if of_instant && if account { R::ACCOUNT } else { R::CHAIN } {
            self.recorder.event(event);
        }
        self.tell_outside(event);
        Ok(())
    }

    pub(crate) fn event(
        &self,
        id: String,
        event_ns: i64,
        source: &str,
        causation_id: &str,
        correlation_id: &str,
        body: Body,
    ) -> Event {
        let basis = if R::ACCOUNT {
            vec![Basis { stream: contracts::stream::TRADING.to_owned(), sequence: self.sequence }]
        } else {
            Vec::new()
        };
        Event {
            id,
            event_time: Some(to_timestamp(event_ns)),
            source: source.to_owned(),
            correlation_id: correlation_id.to_owned(),
            causation_id: causation_id.to_owned(),
            basis,
            body: Some(body),
            ..Event::default()
        }
    }

    fn finish(mut self) -> Outcome {
        if self.config.finalize {
            self.finalize();
        }
        let last = |symbol: &str| self.prices.get(symbol).map_or(Price::ZERO, |known| known.price);
        let open = self.lots.iter().flat_map(|((_, symbol), lots)| lots.open(last(symbol))).collect();
        self.counts.ambiguous_bars = self.matcher.ambiguous_bars();
        let row = self.book.account(&self.config.account.name);
        Outcome {
            trades: self.trades,
            open,
            equity: self.equity_rows,
            counts: self.counts,
            initial_cash: self.config.account.cash,
            fees: Amount(row.map_or(Amount::ZERO, |row| row.fees).0 + self.closing.0),
            dividends: row.map_or(Amount::ZERO, |row| row.dividends),
            slippage: self.slippage,
            turnover: self.turnover,
            chain_hash: self.recorder.chain_hash(),
        }
    }
}

fn event_ns_of(event: &Event) -> Option<i64> {
    event.event_time.as_ref().and_then(contracts::from_timestamp)
}

/// Place of a signal among those of its instant.
fn place(signal: &Signal) -> (String, Vec<String>) {
    (signal.strategy.clone(), signal.legs.iter().map(|leg| leg.symbol.clone()).collect())
}

/// Id of the event that submits `order`.
pub(crate) fn submitted_id(order: &OrderState) -> String {
    chain_id::submitted(&order.decision_id, &order.spec)
}
