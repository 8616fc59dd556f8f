//! A simulated market for the demo: invented companies, seeded, on the exchange calendar.
//!
//! Prices follow a geometric Brownian motion with a market factor, regimes of drift and volatility and
//! occasional overnight jumps; within a session volatility and volume are U-shaped. A company whose price
//! has grown is split, some pay a dividend each quarter. Every random number is a function of (seed, date,
//! symbol), and a day's path is a bridge between levels that are known without it, so that the source can
//! begin at any instant after one light pass over the days before.
//!
//! Prices are whole cents and volumes whole shares. Floats are at home here: nothing in a simulated market
//! is anyone's money, and what leaves this file is exact.

mod day;
mod market;

use chrono::NaiveDate;
use contracts::Subject;
use domain::bar::{Bar, Timeframe};
use domain::calendar::{Calendar, OutOfRange, Session};

use super::assemble::{self, Parts};
use super::{Instant, Source};
use crate::file::{Action, Series};
use market::Market;
pub use market::{SYMBOLS, SimulatedSymbol};

/// A simulated market's parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimulatedConfig {
    /// Source name.
    pub name: String,
    /// Seed of everything random.
    pub seed: u64,
    /// Number of symbols, 1 to the number of [`SYMBOLS`].
    pub symbols: usize,
    /// Timeframe of the bars.
    pub timeframe: Timeframe,
    /// First date in exchange time.
    pub from: NaiveDate,
}

impl Default for SimulatedConfig {
    fn default() -> Self {
        Self {
            name: "demo".to_owned(),
            seed: 1,
            symbols: 8,
            timeframe: Timeframe::M5,
            from: NaiveDate::from_ymd_opt(2024, 1, 2).unwrap_or_default(),
        }
    }
}

/// Why a simulated market cannot be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SimulatedError {
    /// The number of symbols is out of range.
    #[error("symbols {0}, expected 1 to {max}", max = SYMBOLS.len())]
    Symbols(usize),
    /// The first date is not in the calendar.
    #[error(transparent)]
    Calendar(#[from] OutOfRange),
}

/// One session of the simulated market.
#[derive(Debug)]
struct Day {
    session: Session,
    actions: Vec<Action>,
    /// Bars per symbol; all symbols trade in every interval.
    bars: Vec<Vec<Bar>>,
    opened: bool,
    bar_at: usize,
}

/// A simulated market as a source. It ends with the calendar.
#[derive(Debug)]
pub struct SimulatedSource {
    config: SimulatedConfig,
    series: Vec<(Series, Subject)>,
    sessions: &'static [Session],
    session_at: usize,
    market: Market,
    day: Option<Day>,
}

impl SimulatedSource {
    /// A market at its first instant.
    pub fn new(config: SimulatedConfig) -> Result<Self, SimulatedError> {
        let calendar = Calendar::xnys();
        let symbols = SYMBOLS
            .get(..config.symbols)
            .filter(|symbols| !symbols.is_empty())
            .ok_or(SimulatedError::Symbols(config.symbols))?;
        let sessions = calendar.sessions(config.from, calendar.last_date())?;
        let mut series: Vec<(Series, Subject)> = symbols
            .iter()
            .map(|symbol| {
                let series = Series { symbol: symbol.symbol.to_owned(), timeframe: config.timeframe };
                let subject = Subject::bar(config.timeframe.name(), symbol.symbol);
                (series, subject)
            })
            .collect();
        series.sort();
        let market = Market::new(config.seed, symbols);
        Ok(Self { config, series, sessions, session_at: 0, market, day: None })
    }

    fn begin_day(&mut self) -> bool {
        let Some(session) = self.sessions.get(self.session_at) else { return false };
        self.session_at += 1;
        let moves = self.market.step(session);
        let actions = moves.iter().filter_map(|each| each.action.clone()).collect();
        let bars = moves
            .iter()
            .map(|each| day::bars(self.config.seed, session, self.config.timeframe, each))
            .collect();
        self.day = Some(Day { session: *session, actions, bars, opened: false, bar_at: 0 });
        true
    }
}

impl Source for SimulatedSource {
    fn name(&self) -> &str {
        &self.config.name
    }

    fn subjects(&self) -> Vec<Subject> {
        let bars = self.series.iter().map(|(_, subject)| subject.clone());
        let actions = self.series.iter().map(|(series, _)| assemble::action_subject(&series.symbol));
        let mut subjects: Vec<Subject> = bars.chain(actions).collect();
        subjects.push(assemble::session_subject(Calendar::xnys().exchange()));
        subjects
    }

    fn seek(&mut self, ns: i64) {
        self.market.reset();
        self.day = None;
        self.session_at = self.sessions.partition_point(|session| session.close_ns < ns);
        for session in &self.sessions[..self.session_at] {
            self.market.step(session);
        }
        if !self.begin_day() {
            return;
        }
        if let Some(day) = &mut self.day {
            day.opened = day.session.open_ns < ns;
            let closes = day.bars.first().map_or(&[][..], Vec::as_slice);
            day.bar_at = closes.partition_point(|bar| bar.close_ns < ns);
        }
    }

    fn next(&mut self) -> Option<Instant> {
        if self.day.is_none() && !self.begin_day() {
            return None;
        }
        let exchange = Calendar::xnys().exchange();
        let day = self.day.as_mut()?;
        if !day.opened {
            day.opened = true;
            let parts = Parts {
                ns: day.session.open_ns,
                opened: Some(&day.session),
                actions: &day.actions,
                bars: &[],
                closed: None,
            };
            return Some(assemble::instant(&self.config.name, exchange, &parts));
        }
        let bars: Vec<(&Series, &Subject, Bar)> = self
            .series
            .iter()
            .zip(&day.bars)
            .filter_map(|((series, subject), bars)| Some((series, subject, *bars.get(day.bar_at)?)))
            .collect();
        let ns = bars.first().map_or(day.session.close_ns, |(_, _, bar)| bar.close_ns);
        let closes = ns >= day.session.close_ns;
        let parts =
            Parts { ns, opened: None, actions: &[], bars: &bars, closed: closes.then_some(&day.session) };
        let instant = assemble::instant(&self.config.name, exchange, &parts);
        day.bar_at += 1;
        if closes {
            self.day = None;
        }
        Some(instant)
    }
}
