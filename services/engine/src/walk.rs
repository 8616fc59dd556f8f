//! The instants of market data, in the order of time, over columns.

use domain::bar::Bar;
use domain::calendar::{Calendar, OutOfRange, Session};
use domain::money::{Price, Volume};
use domain::series::{BarSeries, DatedAction, MarketData};

/// The columns of one series as slices, looked up once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'data> {
    start_ns: &'data [i64],
    pub close_ns: &'data [i64],
    open: &'data [i64],
    high: &'data [i64],
    low: &'data [i64],
    pub close: &'data [i64],
    volume: &'data [i64],
}

impl<'data> Rows<'data> {
    /// Columns are cut to the shortest, so that one length holds for all.
    pub fn of(series: &'data BarSeries) -> Self {
        let columns = [
            series.start_ns.values(),
            series.close_ns.values(),
            series.open.values(),
            series.high.values(),
            series.low.values(),
            series.close.values(),
            series.volume.values(),
        ];
        let length = columns.iter().map(|column| column.len()).min().unwrap_or_default();
        let [start_ns, close_ns, open, high, low, close, volume] =
            columns.map(|column| column.get(..length).unwrap_or_default());
        Self { start_ns, close_ns, open, high, low, close, volume }
    }

    /// The bar of a row that [`Walk`] gave.
    pub fn bar(&self, row: usize) -> Bar {
        Bar {
            start_ns: self.start_ns[row],
            close_ns: self.close_ns[row],
            open: Price(self.open[row]),
            high: Price(self.high[row]),
            low: Price(self.low[row]),
            close: Price(self.close[row]),
            volume: Volume(self.volume[row]),
        }
    }
}

/// The sessions that a run of `data` passes through: from that of the first bar to that of the last.
pub fn session_range(
    calendar: &'static Calendar,
    data: &MarketData,
) -> Result<&'static [Session], OutOfRange> {
    let closes = || data.series.iter().map(|series| series.close_ns.values());
    let first = closes().filter_map(|closes| closes.first().copied()).min();
    let last = closes().filter_map(|closes| closes.last().copied()).max();
    match first.zip(last) {
        Some((first, last)) => calendar.sessions_of_closes(first, last),
        None => Ok(&[]),
    }
}

/// What becomes known at one event time, apart from the bars.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step<'data> {
    /// Event time, UTC nanoseconds.
    pub ns: i64,
    /// The session that opened.
    pub opened: Option<Session>,
    /// Corporate actions.
    pub actions: &'data [DatedAction],
    /// The session that closed. Where one opens at the same time, it is the one before it.
    pub closed: Option<Session>,
}

/// Walks the instants of market data.
#[derive(Debug)]
pub(crate) struct Walk<'data> {
    pub rows: Vec<Rows<'data>>,
    /// Next row, by series.
    at: Vec<usize>,
    sessions: &'data [Session],
    session_at: usize,
    opened: bool,
    actions: &'data [DatedAction],
    /// (series, row) of the instant's bars.
    pub bars: Vec<(usize, usize)>,
}

/// The part of the data that a run walks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Window {
    /// First close that trades.
    pub from_ns: Option<i64>,
    /// First close that is left out.
    pub until_ns: Option<i64>,
    /// Bars per series before the first that trades.
    pub warm_up: usize,
}

impl<'data> Walk<'data> {
    pub fn new(data: &'data MarketData, sessions: &'data [Session], window: Window) -> Self {
        let mut rows: Vec<_> = data.series.iter().map(Rows::of).collect();
        let mut at = Vec::with_capacity(rows.len());
        for rows in &mut rows {
            let first = window.from_ns.map_or(0, |from| rows.close_ns.partition_point(|ns| *ns < from));
            at.push(first.saturating_sub(window.warm_up));
            let end = window.until_ns.map(|until| rows.close_ns.partition_point(|ns| *ns < until));
            rows.close_ns = rows.close_ns.get(..end.unwrap_or(rows.close_ns.len())).unwrap_or_default();
        }
        let (actions, bars) = (data.actions.as_slice(), Vec::with_capacity(rows.len()));
        let mut walk = Self { rows, at, sessions, session_at: 0, opened: false, actions, bars };
        if let Some(first_ns) = walk.first_ns() {
            walk.begin_at(first_ns, window);
        }
        walk
    }

    /// Leaves out sessions and actions from before the first bar's session and from the end on.
    fn begin_at(&mut self, first_ns: i64, window: Window) {
        if window.from_ns.is_some() {
            self.session_at = self.sessions.partition_point(|session| session.close_ns < first_ns);
        }
        let end = window.until_ns.unwrap_or(i64::MAX);
        let before = |session: &Session| session.open_ns < end;
        self.sessions = self.sessions.get(..self.sessions.partition_point(before)).unwrap_or_default();
        let start_ns =
            self.sessions.get(self.session_at).map_or(first_ns, |session| session.open_ns.min(first_ns));
        let first = self.actions.partition_point(|action| action.event_ns < start_ns);
        let last = self.actions.partition_point(|action| action.event_ns < end);
        self.actions = self.actions.get(first..last).unwrap_or_default();
    }

    /// Number of bars ahead.
    pub fn total(&self) -> u64 {
        self.rows.iter().zip(&self.at).map(|(rows, at)| rows.close_ns.len().saturating_sub(*at) as u64).sum()
    }

    /// The next bar's close.
    pub fn first_ns(&self) -> Option<i64> {
        self.rows.iter().zip(&self.at).filter_map(|(rows, at)| rows.close_ns.get(*at).copied()).min()
    }

    /// Number of instants ahead, at most `most` and all before `until_ns`, at each of which every series has a bar
    /// and nothing else happens.
    pub fn together(&self, most: usize, until_ns: i64) -> usize {
        let action = self.actions.first().map_or(i64::MAX, |action| action.event_ns);
        let until_ns = until_ns.min(action).min(self.boundary().unwrap_or(i64::MAX));
        let mut ahead =
            self.rows.iter().zip(&self.at).map(|(rows, at)| rows.close_ns.get(*at..).unwrap_or_default());
        let Some(first) = ahead.next() else { return 0 };
        let first = first.get(..most).unwrap_or(first);
        let mut count = first.partition_point(|ns| *ns < until_ns);
        for other in ahead {
            let other = other.get(..count).unwrap_or(other);
            count = other.len();
            if *other != first[..count] {
                count = other.iter().zip(first).take_while(|(one, two)| one == two).count();
            }
        }
        count
    }

    /// Next row, by series.
    pub fn at(&self) -> &[usize] {
        &self.at
    }

    /// Passes over so many instants, as [`Walk::together`] counted them.
    pub fn pass(&mut self, instants: usize) {
        self.at.iter_mut().for_each(|at| *at += instants);
    }

    fn boundary(&self) -> Option<i64> {
        let session = self.sessions.get(self.session_at);
        session.map(|session| if self.opened { session.close_ns } else { session.open_ns })
    }

    /// Goes to the next instant; its bars are in [`Walk::bars`], in the order of the series.
    pub fn next(&mut self) -> Option<Step<'data>> {
        let ns = self.next_ns()?;
        let session = self.sessions.get(self.session_at);
        let closed = session.filter(|session| self.opened && session.close_ns == ns).copied();
        // Where the market never rests, one session opens as the one before it closes: one instant.
        let next = if closed.is_some() { self.sessions.get(self.session_at + 1) } else { session };
        let rests = closed.is_some() || !self.opened;
        let opened = next.filter(|session| rests && session.open_ns == ns).copied();
        self.bars.clear();
        for (series, (rows, at)) in self.rows.iter().zip(&mut self.at).enumerate() {
            if rows.close_ns.get(*at) == Some(&ns) {
                self.bars.push((series, *at));
                *at += 1;
            }
        }
        if closed.is_some() {
            self.opened = false;
            self.session_at += 1;
        }
        self.opened |= opened.is_some();
        let due = self.actions.iter().take_while(|action| action.event_ns <= ns).count();
        let (now, later) = self.actions.split_at(due);
        self.actions = later;
        Some(Step { ns, opened, actions: now, closed })
    }

    fn next_ns(&self) -> Option<i64> {
        let boundary = self.boundary();
        let bars = self.rows.iter().zip(&self.at).filter_map(|(rows, at)| rows.close_ns.get(*at).copied());
        let action = self.actions.first().map(|action| action.event_ns);
        bars.chain(boundary).chain(action).min()
    }
}
