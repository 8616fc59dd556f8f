//! The loop over instants on numbers: for runs whose strategies wish for nothing but market orders for the day, one
//! leg at a time.
//!
//! Symbols and strategies are numbers, so that a position, a price and an order are found by an index; events
//! are formed only for a hash. Every decision is the domain's own function, as in [`crate::run`]: the kernel of
//! risk, the queue of the matcher, the arithmetic of positions and accounts.
//!
//! Invariants: it answers as the general loop does, or not at all: upon the first thing that it does not know
//! ([`Stop::Unknown`]) the run begins anew in the general loop, and nothing of it has reached the recorder.
//!
//! Deliberately absent: fractions of shares, groups, prices of orders, margin, shadow mode, errors in words.

mod act;
mod decide;
mod orders;
mod stretch;
mod names;
mod encode;
mod chain;
mod setup;

use std::ops::ControlFlow;
use std::sync::Arc;

use domain::book::{AccountState, PositionState};
use domain::calendar::Session;
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
use crate::market::closing_costs;
use crate::outcome::{Counts, Outcome};
use crate::recorder::Recorder;
use crate::run::{CONTROL_EVERY, Control, Error, Progress};
use crate::walk::{Rows, Walk, Window, session_range};

use chain::Chain;
use decide::Pending;
use orders::Orders;
use stretch::Here;

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
/// Instants taken one by one where so many before them had to be.
const APART: usize = 16;
const STEPS: usize = 3;
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
    /// The last of its series, whose close is its price where it has a bar.
    last_series: usize,
}

impl Symbol {
    /// As [`Amount::notional`], without a division where the shares are whole.
    fn value(&self, price: Price) -> Amount {
        match self.whole {
            Some(shares) => Amount(i128::from(price.0) * i128::from(shares)),
            None => Amount::notional(price, self.net),
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
    /// Symbols that are held, ascending.
    held: Vec<usize>,
    /// Symbol of a series, and series of a symbol.
    symbol_of: Vec<usize>,
    series_of: Vec<Vec<usize>>,
    /// Columns of a series.
    rows: Vec<Rows<'run>>,
    hosts: Vec<Host>,
    policies: Vec<Policy>,
    /// Number of symbols that an equal weight counts, by strategy.
    weights: Vec<u32>,
    /// By strategy, then symbol.
    holdings: Vec<Holding>,
    /// By strategy, then series: the row that it is to be shown next; all before it were taken.
    due: Vec<usize>,
    /// By series: the first row that any strategy is to be shown.
    due_of: Vec<usize>,
    /// By series: rows before which there are corporate actions of its symbol, ascending.
    stops: Vec<Vec<usize>>,
    orders: Orders,
    queues: Vec<Queue<u32>>,
    matches: Vec<(u32, Happened)>,
    pending: Vec<Pending>,
    wishes: Vec<Wish>,
    /// Where the walk is.
    here: Here,
    chain: Chain<CHAIN>,
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
    /// From when until when a day order is taken.
    accepting: Option<(i64, i64)>,
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
    dense.begin(&walk);
    let most = usize::try_from(CONTROL_EVERY).unwrap_or(usize::MAX) / data.series.len().max(1) + 1;
    let (mut apart, mut steps) = (0, 0);
    loop {
        let from_ns = config.from_ns.filter(|from| *from > dense.last_ns).unwrap_or(i64::MAX);
        let together = if apart > 0 { 0 } else { walk.together(most, from_ns) };
        if together > 0 {
            dense.stretch(walk.at(), together)?;
            walk.pass(together);
        } else {
            let Some(step) = walk.next() else { break };
            dense.step(&step, &walk.bars)?;
        }
        // Where series differ all the time, looking ahead at every instant is for nothing.
        steps = if together > 0 { 0 } else { steps + 1 };
        apart = if apart > 0 { apart - 1 } else { usize::from(steps > STEPS) * APART };
        let bars = dense.counts.bars;
        if bars >= next_look {
            next_look = bars + CONTROL_EVERY;
            let progress = Progress { bars, total, instant_ns: dense.last_ns, equity: dense.equity };
            if let ControlFlow::Break(()) = control.progress(&progress) {
                return Err(Stop::Cancelled);
            }
        }
    }
    dense.finish()
}

impl<const CHAIN: bool> Dense<'_, CHAIN> {
    pub(super) fn holding(&self, host: usize, symbol: usize) -> usize {
        host * self.names.len() + symbol
    }

    /// Hashes what has gathered; the orders that are still open keep their ids.
    fn gathered(&mut self) -> Result<(), Stop> {
        self.chain.hash(&self.names)?;
        let chain = &self.chain;
        self.orders.name(|order| chain.ids_of(order.noted));
        self.chain.forget();
        Ok(())
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
        let mut chain = None;
        if CHAIN {
            self.gathered()?;
            chain = Some(self.chain.finish());
        }
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
            let paid = closing_costs(&self.config.account.costs, symbol.price, held);
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
