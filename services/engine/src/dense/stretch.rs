//! The dense loop's way through time: single instants, and stretches at which every series has a bar.
//!
//! Within a stretch only those instants are visited at which an order works, a strategy is to be shown a bar or a
//! session may begin; at all others the account is valued, and that is all that happens.

use domain::bar::Bar;
use domain::book::starts_session;
use domain::calendar::Session;
use domain::money::{Amount, Price, Quantity};
use domain::performance::EquityRow;

use super::{Dense, Stop, require, within};
use crate::market::session_of;
use crate::walk::Step;

/// No row.
const NONE: usize = usize::MAX;

/// The bars of the present instant.
#[derive(Debug, Default)]
pub(super) struct Here {
    /// Row of each series at the beginning of the stretch; [`NONE`] where there is no bar.
    base: Vec<usize>,
    /// Instants since.
    offset: usize,
    /// Number of series with a bar.
    bars: usize,
}

impl Here {
    pub fn of(series: usize) -> Self {
        Self { base: vec![NONE; series], offset: 0, bars: 0 }
    }

    fn row(&self, series: usize) -> Option<usize> {
        let base = self.base[series];
        (base != NONE).then(|| base + self.offset)
    }
}

impl<const CHAIN: bool> Dense<'_, CHAIN> {
    /// Takes a single instant.
    pub(super) fn step(&mut self, step: &Step<'_>, bars: &[(usize, usize)]) -> Result<(), Stop> {
        self.act(step.actions)?;
        self.here.base.fill(NONE);
        (self.here.offset, self.here.bars) = (0, bars.len());
        for &(series, row) in bars {
            self.here.base[series] = row;
        }
        self.note_prices()?;
        self.instant(step.ns, step)
    }

    /// Takes `count` instants from the rows `at` on.
    pub(super) fn stretch(&mut self, at: &[usize], count: usize) -> Result<(), Stop> {
        self.here.base.copy_from_slice(at);
        self.here.bars = at.len();
        let closes = &self.rows[0].close_ns[at[0]..at[0] + count];
        let live = self.config.from_ns.is_none_or(|from| closes[0] >= from);
        let mut offset = 0;
        while offset < count {
            let visit = if self.orders.any() { offset } else { self.next_due(offset, count) };
            let known_ns = if live { self.quiet_until_ns } else { i64::MAX };
            let quiet = closes[offset..visit].partition_point(|ns| *ns <= known_ns);
            if quiet > 0 {
                self.pass(&closes[offset..offset + quiet], offset, live)?;
                offset += quiet;
                continue;
            }
            self.here.offset = offset;
            let ns = closes[offset];
            self.instant(ns, &Step { ns, opened: None, actions: &[], closed: None })?;
            offset += 1;
        }
        self.here.offset = count - 1;
        self.note_prices()
    }

    /// The first instant of the stretch, from `offset` on, at which a strategy is to be shown a bar.
    fn next_due(&self, offset: usize, count: usize) -> usize {
        let due = self.due_of.iter().zip(&self.here.base).map(|(due, base)| due.saturating_sub(*base));
        due.min().unwrap_or(count).clamp(offset, count)
    }

    /// Instants at which nothing happens but that the account is valued.
    fn pass(&mut self, closes: &[i64], offset: usize, live: bool) -> Result<(), Stop> {
        self.counts.instants += closes.len() as u64;
        self.counts.bars += (closes.len() * self.here.bars) as u64;
        if let Some(last) = closes.last() {
            self.last_ns = *last;
        }
        if !live {
            return Ok(());
        }
        let mut last = None;
        for (place, ns) in (offset..).zip(closes) {
            self.here.offset = place;
            let (equity, gross, net) = self.value()?;
            let cash = self.account.cash;
            self.equity_rows.push(EquityRow { time_ns: *ns, equity, cash, exposure: gross });
            last = Some((*ns, equity, gross, net));
        }
        // Of marks in a row the last one is all that is left.
        if let Some((ns, equity, gross, net)) = last {
            self.marked(ns, equity, gross, net, false);
        }
        Ok(())
    }

    fn instant(&mut self, ns: i64, step: &Step<'_>) -> Result<(), Stop> {
        let live = self.config.from_ns.is_none_or(|from| ns >= from);
        if self.orders.any() {
            self.match_bars(ns)?;
            if let Some(session) = step.closed.filter(|_| self.orders.any()) {
                self.session_closed(&session, ns)?;
            }
        }
        if live {
            self.mark(ns)?;
        }
        if !step.actions.is_empty() {
            self.tell_actions(step.actions, live)?;
        }
        if self.here.bars > 0 {
            self.show_bars(live)?;
        }
        if !self.pending.is_empty() {
            self.decide(ns)?;
        }
        self.last_ns = ns;
        self.counts.instants += 1;
        self.counts.bars += self.here.bars as u64;
        if CHAIN && self.chain.end_instant(ns) {
            self.gathered()?;
        }
        Ok(())
    }

    /// Shows the strategies the bars that are due, then lets those that can look ahead.
    fn show_bars(&mut self, live: bool) -> Result<(), Stop> {
        for series in 0..self.due_of.len() {
            let Some(row) = self.here.row(series).filter(|row| self.due_of[series] == *row) else { continue };
            let bar = self.rows[series].bar(row);
            let mut next = NONE;
            for host in 0..self.hosts.len() {
                let place = host * self.due_of.len() + series;
                if self.due[place] == row {
                    let first = self.wishes.len();
                    let known_host = &mut self.hosts[host];
                    known_host.on_bar(series, &self.data.series[series], &bar, live, &mut self.wishes);
                    let stops = &self.stops[series];
                    let stop = stops.get(stops.partition_point(|stop| *stop <= row)).copied();
                    let end = stop.unwrap_or(self.rows[series].close_ns.len());
                    self.due[place] = known_host.take_quiet(series, &self.rows[series], row, end);
                    if !live {
                        self.wishes.truncate(first);
                    } else if self.wishes.len() > first {
                        self.collect(host, series, first)?;
                    }
                }
                next = next.min(self.due[place]);
            }
            self.due_of[series] = next;
        }
        Ok(())
    }

    /// Trades the instant's bars, then folds the fills.
    fn match_bars(&mut self, ns: i64) -> Result<(), Stop> {
        let costs = &self.config.account.costs;
        for series in 0..self.symbol_of.len() {
            let symbol = self.symbol_of[series];
            let Some(row) = self.here.row(series).filter(|_| !self.queues[symbol].is_empty()) else {
                continue;
            };
            let bar = self.rows[series].bar(row);
            let Some(session) = self.session_at(series, &bar) else { continue };
            if session.overlaps(bar.start_ns, bar.close_ns) {
                let matches = &mut self.matches;
                let bounds = (&session).into();
                self.queues[symbol].on_bar(&bar, bounds, |_| costs, |key, what| matches.push((key, what)));
            }
        }
        self.tell(ns)
    }

    /// The session in which the bar of a series trades, as the general loop finds it: there the session of one bar
    /// is tried for the next bar of the instant. One that holds the whole bar is the only one that overlaps it.
    fn session_at(&mut self, series: usize, bar: &Bar) -> Option<Session> {
        let holds = |session: &Session| {
            session.open_ns <= bar.start_ns && bar.start_ns < bar.close_ns && bar.close_ns <= session.close_ns
        };
        if let Some(whole) = self.session.filter(holds) {
            return Some(whole);
        }
        let mut session = None;
        for before in 0..=series {
            if let Some(row) = self.here.row(before) {
                session = session_of(self.config.calendar, session, &self.rows[before].bar(row));
            }
        }
        self.session = session.or(self.session);
        session
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
        let (equity, gross, net) = self.value()?;
        if self.here.bars > 0 {
            let (cash, exposure) = (self.account.cash, gross);
            self.equity_rows.push(EquityRow { time_ns: ns, equity, cash, exposure });
        }
        self.marked(ns, equity, gross, net, starts);
        Ok(())
    }

    fn marked(&mut self, ns: i64, equity: Amount, gross: Amount, net: Amount, starts: bool) {
        self.equity = equity;
        self.last_mark_ns = Some(ns);
        self.account.valued(ns, (equity, gross, net), starts);
    }

    /// Equity, gross and net value of what is held.
    fn value(&self) -> Result<(Amount, Amount, Amount), Stop> {
        let (mut gross, mut net) = (Amount::ZERO, Amount::ZERO);
        for place in 0..self.held.len() {
            let known = &self.symbols[self.held[place]];
            // Mostly the price is a look at one column.
            let price = match self.here.row(known.last_series) {
                Some(row) => Price(self.rows[known.last_series].close[row]),
                None => known.price,
            };
            require(price.0 > 0)?;
            let value = known.value(price);
            // A product of two 64-bit numbers, a hundred times: far from the end of 128 bits.
            gross.0 += value.0.abs();
            net.0 += value.0;
        }
        let equity = Amount(self.account.cash.0 + net.0);
        require(within(gross) && within(equity))?;
        Ok((equity, gross, net))
    }

    /// Notes the price of a symbol at the present instant: that of the last of its series that has a bar.
    pub(super) fn note_price(&mut self, symbol: usize) -> Result<(), Stop> {
        for &series in self.series_of[symbol].iter().rev() {
            if let Some(row) = self.here.row(series) {
                let (rows, known) = (&self.rows[series], &mut self.symbols[symbol]);
                (known.price.0, known.time_ns) = (rows.close[row], rows.close_ns[row]);
                // One that is no price would leave the last one that is.
                return require(known.price.0 > 0);
            }
        }
        Ok(())
    }

    fn note_prices(&mut self) -> Result<(), Stop> {
        (0..self.symbols.len()).try_for_each(|symbol| self.note_price(symbol))
    }

    /// Notes whether a symbol is held.
    pub(super) fn hold(&mut self, symbol: usize) {
        let held = self.symbols[symbol].net != Quantity::ZERO;
        match (self.held.binary_search(&symbol), held) {
            (Err(place), true) => self.held.insert(place, symbol),
            (Ok(place), false) => {
                self.held.remove(place);
            }
            _ => {}
        }
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
}
