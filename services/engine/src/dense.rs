//! The loop over instants on numbers: for runs without corporate actions whose strategies wish for nothing but
//! market orders for the day, one leg at a time.
//!
//! Symbols and strategies are numbers, so that a position, a price and an order are found by an index; events
//! are formed only for a hash. Every decision is the domain's own function, as in [`crate::run`]: the kernel of
//! risk, the queue of the matcher, the arithmetic of positions and accounts.
//!
//! Invariants: it answers as the general loop does, or not at all: upon the first thing that it does not know
//! ([`Stop::Unknown`]) the run begins anew in the general loop, and nothing of it has reached the recorder.
//!
//! Deliberately absent: corporate actions, groups, prices of orders, margin, shadow mode, errors in words.

mod chain;
mod orders;
mod setup;

use std::ops::ControlFlow;
use std::sync::Arc;

use domain::bar::Bar;
use domain::book::{AccountState, Mark, PositionState, starts_session};
use domain::calendar::Session;
use domain::matching::commission;
use domain::matching::kernel::Outcome as Happened;
use domain::matching::queue::Queue;
use domain::money::{Amount, E9, Price, Quantity};
use domain::performance::{EquityRow, Trade};
use domain::risk::Policy;
use domain::series::MarketData;
use domain::strategy::Wish;

use crate::config::Config;
use crate::host::Host;
use crate::ledger::{Dealt, Lots};
use crate::market::session_of;
use crate::outcome::{Counts, Outcome};
use crate::recorder::Recorder;
use crate::run::{CONTROL_EVERY, Control, Error, Progress};
use crate::walk::{Walk, Window, session_range};

use chain::Chain;
use orders::{Orders, Pending, known_leg};

/// Why the dense loop ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// Something that only the general loop knows.
    Unknown,
    /// The control ended the run.
    Cancelled,
}

/// Most that an amount may come to here: well within what the wire holds.
const AMOUNT_MOST: u128 = 1 << 80;
/// Most that a position may come to here, so that sums over strategies cannot leave their range.
const QUANTITY_MOST: u64 = 1 << 55;
/// Most strategies and symbols.
const NAMES_MOST: usize = 100;

fn known<T>(value: Option<T>) -> Result<T, Stop> {
    value.ok_or(Stop::Unknown)
}

fn require(holds: bool) -> Result<(), Stop> {
    if holds { Ok(()) } else { Err(Stop::Unknown) }
}

fn within(amount: Amount) -> bool {
    amount.0.unsigned_abs() < AMOUNT_MOST
}

/// A symbol as the account sees it.
#[derive(Clone, Copy, Debug, Default)]
struct Symbol {
    /// Last price; zero before the first.
    price: Price,
    /// When it was made.
    time_ns: i64,
    /// Shares of all strategies together.
    net: Quantity,
    /// The same in whole shares, where they are whole.
    whole: Option<i64>,
}

impl Symbol {
    /// As [`Amount::notional`], without a division where the shares are whole.
    fn value(&self) -> Amount {
        match self.whole {
            Some(shares) => Amount(i128::from(self.price.0) * i128::from(shares)),
            None => Amount::notional(self.price, self.net),
        }
    }
}

/// What a strategy has of a symbol.
#[derive(Debug)]
struct Holding {
    position: PositionState,
    lots: Option<Lots>,
}

struct Dense<'run, const CHAIN: bool> {
    config: &'run Config,
    data: &'run MarketData,
    account: AccountState,
    /// Names of the symbols, ascending.
    names: Vec<Arc<str>>,
    symbols: Vec<Symbol>,
    /// Symbol of a series.
    symbol_of: Vec<usize>,
    hosts: Vec<Host>,
    policies: Vec<Policy>,
    /// Number of symbols that an equal weight counts, by strategy.
    weights: Vec<u32>,
    /// By strategy, then symbol.
    holdings: Vec<Holding>,
    orders: Orders,
    queues: Vec<Queue<u32>>,
    matches: Vec<(u32, Happened)>,
    pending: Vec<Pending>,
    wishes: Vec<Wish>,
    bars: Vec<(usize, Bar)>,
    chain: Chain<CHAIN>,
    /// Terms of the order decided last.
    spec: contracts::v1::OrderSpec,
    fill: contracts::v1::Fill,
    text: String,
    trades: Vec<Trade>,
    equity_rows: Vec<EquityRow>,
    counts: Counts,
    equity: Amount,
    slippage: Amount,
    turnover: Amount,
    last_mark_ns: Option<i64>,
    last_ns: i64,
    /// Up to here no session begins.
    quiet_until_ns: i64,
    /// The session of the last bar.
    session: Option<Session>,
}

/// Runs `config` over `data`; `None` where only the general loop can.
pub(crate) fn attempt<R: Recorder>(
    config: &Config,
    data: &MarketData,
    recorder: &mut R,
    control: &mut impl Control,
) -> Result<Option<Outcome>, Error> {
    if R::ACCOUNT {
        return Ok(None);
    }
    let answer = if R::CHAIN {
        if !recorder.chain().is_some_and(|chain| chain.is_empty()) {
            return Ok(None);
        }
        walk_all::<true>(config, data, control)
    } else {
        walk_all::<false>(config, data, control)
    };
    match answer {
        Ok((mut outcome, chain)) => {
            if let (Some(stream), Some(known)) = (chain, recorder.chain()) {
                *known = stream;
            }
            outcome.chain_hash = recorder.chain_hash();
            Ok(Some(outcome))
        }
        Err(Stop::Unknown) => Ok(None),
        Err(Stop::Cancelled) => Err(Error::Cancelled),
    }
}

type Answer = Result<(Outcome, Option<contracts::ChainStream>), Stop>;

fn walk_all<const CHAIN: bool>(config: &Config, data: &MarketData, control: &mut impl Control) -> Answer {
    let sessions = known(session_range(config.calendar, data).ok())?;
    let mut dense = Dense::<CHAIN>::new(config, data)?;
    let warm_up = dense.hosts.iter().map(Host::warm_up_bars).max().unwrap_or_default();
    let warm_up = warm_up.saturating_add(config.warm_up_more);
    let window = Window { from_ns: config.from_ns, until_ns: config.until_ns, warm_up };
    let mut walk = Walk::new(data, sessions, window);
    let (total, mut next_look) = (walk.total(), CONTROL_EVERY);
    while let Some(step) = walk.next() {
        require(step.actions.is_empty())?;
        dense.instant(step.ns, step.closed, &walk)?;
        let bars = dense.counts.bars;
        if bars >= next_look {
            next_look = bars + CONTROL_EVERY;
            let progress = Progress { bars, total, instant_ns: step.ns, equity: dense.equity };
            if let ControlFlow::Break(()) = control.progress(&progress) {
                return Err(Stop::Cancelled);
            }
        }
    }
    dense.finish()
}

impl<const CHAIN: bool> Dense<'_, CHAIN> {
    fn instant(&mut self, ns: i64, closed: Option<Session>, walk: &Walk<'_>) -> Result<(), Stop> {
        let live = self.config.from_ns.is_none_or(|from| ns >= from);
        self.match_bars(ns, walk)?;
        if let Some(session) = closed.filter(|_| self.orders.any()) {
            self.session_closed(&session, ns)?;
        }
        if live {
            self.mark(ns)?;
        }
        for &(index, bar) in &self.bars {
            let series = &self.data.series[index];
            for (host, known_host) in self.hosts.iter_mut().enumerate() {
                known_host.on_bar(index, series, &bar, live, &mut self.wishes);
                if self.wishes.is_empty() {
                    continue;
                }
                if !live {
                    self.wishes.clear();
                }
                for (place, wish) in (0u32..).zip(self.wishes.drain(..)) {
                    let leg = known_leg(&wish)?;
                    // A strategy may wish for another symbol than the one whose bar came.
                    let symbol = if known_host.reads_as(index, leg.slot) {
                        self.symbol_of[index]
                    } else {
                        let name = known_host.symbol(leg.slot);
                        known(self.names.binary_search_by(|symbol| (**symbol).cmp(name)).ok())?
                    };
                    self.pending.push(Pending { host, symbol, series: index, place, leg, wish });
                }
            }
        }
        if !self.pending.is_empty() {
            self.decide(ns)?;
        }
        self.last_ns = ns;
        self.counts.instants += 1;
        self.counts.bars += self.bars.len() as u64;
        self.chain.end_instant(ns)
    }

    /// Trades the instant's bars, then folds the fills.
    fn match_bars(&mut self, ns: i64, walk: &Walk<'_>) -> Result<(), Stop> {
        self.bars.clear();
        let costs = &self.config.account.costs;
        // As in the general loop the session of one bar is tried for the next; one that holds the whole bar is
        // the only one that overlaps it, so that it may be from an earlier instant.
        let mut session = None;
        for &(index, row) in &walk.bars {
            let bar = walk.rows[index].bar(row);
            let symbol = &mut self.symbols[self.symbol_of[index]];
            if bar.close.0 > 0 {
                (symbol.price, symbol.time_ns) = (bar.close, bar.close_ns);
            }
            let holds = |session: &Session| {
                session.open_ns <= bar.start_ns
                    && bar.start_ns < bar.close_ns
                    && bar.close_ns <= session.close_ns
            };
            session = match self.session.filter(holds) {
                Some(whole) => Some(whole),
                None => session_of(self.config.calendar, session, &bar),
            };
            self.session = session;
            let queue = &mut self.queues[self.symbol_of[index]];
            if let Some(session) = session.as_ref().filter(|_| !queue.is_empty())
                && session.overlaps(bar.start_ns, bar.close_ns)
            {
                let matches = &mut self.matches;
                queue.on_bar(&bar, session.into(), |_| costs, |key, what| matches.push((key, what)));
            }
            self.bars.push((index, bar));
        }
        self.tell(ns)
    }

    fn session_closed(&mut self, session: &Session, ns: i64) -> Result<(), Stop> {
        for queue in &mut self.queues {
            let matches = &mut self.matches;
            queue.on_session_closed(session.into(), |key, what| matches.push((key, what)));
        }
        self.tell(ns)
    }

    fn mark(&mut self, ns: i64) -> Result<(), Stop> {
        let starts = self.starts_session(ns);
        let (mut gross, mut net) = (Amount::ZERO, Amount::ZERO);
        for symbol in self.symbols.iter().filter(|symbol| symbol.net != Quantity::ZERO) {
            require(symbol.price.0 > 0)?;
            let value = symbol.value();
            // A product of two 64-bit numbers, a hundred times: far from the end of 128 bits.
            gross.0 += value.0.abs();
            net.0 += value.0;
        }
        let equity = Amount(self.account.cash.0 + net.0);
        require(within(gross) && within(equity))?;
        self.equity = equity;
        if !self.bars.is_empty() {
            let (cash, exposure) = (self.account.cash, gross);
            self.equity_rows.push(EquityRow { time_ns: ns, equity, cash, exposure });
        }
        self.last_mark_ns = Some(ns);
        let mark = Mark {
            event_ns: ns,
            equity,
            gross_exposure: gross,
            net_exposure: net,
            unrealized_pnl: Amount::ZERO,
            prices: Vec::new(),
        };
        self.account.marked(mark, starts);
        Ok(())
    }

    /// As [`starts_session`], which answers alike for all instants of one date after the session's first mark.
    fn starts_session(&mut self, ns: i64) -> bool {
        if ns <= self.quiet_until_ns {
            return false;
        }
        let calendar = self.config.calendar;
        let starts = starts_session(calendar, self.last_mark_ns, ns);
        let date = calendar.date_of(ns);
        if let Ok(Some(session)) = calendar.session(date)
            && session.open_ns <= ns
            && ns < session.close_ns
            && calendar.date_of(session.close_ns) == date
        {
            self.quiet_until_ns = session.close_ns;
        }
        starts
    }

    fn finish(mut self) -> Answer {
        let mut closing = Amount::ZERO;
        if self.config.finalize {
            closing = self.finalize()?;
        }
        let symbols = self.names.len();
        let open = self.holdings.iter().enumerate().filter_map(|(place, holding)| {
            let last = self.symbols[place % symbols].price;
            holding.lots.as_ref().map(|lots| lots.open(last))
        });
        let open = open.flatten().collect();
        self.counts.ambiguous_bars = self.queues.iter().map(Queue::ambiguous_bars).sum();
        let chain = self.chain.finish(self.last_ns);
        let outcome = Outcome {
            trades: self.trades,
            open,
            equity: self.equity_rows,
            counts: self.counts,
            initial_cash: self.config.account.cash,
            fees: Amount(self.account.fees.0 + closing.0),
            dividends: self.account.dividends,
            slippage: self.slippage,
            turnover: self.turnover,
            chain_hash: None,
        };
        Ok((outcome, chain))
    }

    /// Ends what is open at the last close, as [`crate::run`] does.
    fn finalize(&mut self) -> Result<Amount, Stop> {
        let mut closing = Amount::ZERO;
        let symbols = self.names.len();
        for (place, holding) in self.holdings.iter_mut().enumerate() {
            let (held, symbol) = (holding.position.quantity, &self.symbols[place % symbols]);
            if held == Quantity::ZERO {
                continue;
            }
            require(symbol.price.0 > 0)?;
            let paid = commission(self.config.account.costs, symbol.price, held.abs()).unwrap_or_default();
            let dealt = Dealt {
                quantity: Quantity(held.0.saturating_neg()),
                price: symbol.price,
                commission: paid,
                time_ns: symbol.time_ns,
            };
            if let Some(lots) = &mut holding.lots {
                lots.deal(dealt, &mut self.trades);
            }
            closing.0 += paid.0;
        }
        if let Some(row) = self.equity_rows.last_mut() {
            row.equity.0 -= closing.0;
            (row.cash, row.exposure) = (row.equity, Amount::ZERO);
        }
        Ok(closing)
    }
}

/// Whole shares, where there is no fraction of one.
fn whole(quantity: Quantity) -> Option<i64> {
    (quantity.0 % E9 == 0).then_some(quantity.0 / E9)
}

#[cfg(test)]
#[path = "../tests/engine/setup.rs"]
mod samples;
#[cfg(test)]
mod tests;
