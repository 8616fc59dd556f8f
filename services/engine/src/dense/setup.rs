//! What the dense loop begins with, and whether it may begin at all.

use std::collections::BTreeSet;
use std::sync::Arc;

use contracts::v1::{AccountKind, GroupPolicy, Signal, SizingKind, StrategyMode};
use domain::book::{PositionKey, PositionState, Prices};
use domain::matching::queue::Queue;
use domain::money::Amount;
use domain::risk::{self, Standing};
use domain::series::{BarSeries, MarketData};

use super::chain::Chain;
use super::encode::Pieces;
use super::names::Forms;
use super::orders::Orders;
use super::stretch::Here;
use super::{Dense, Holding, NAMES_MOST, Stop, Symbol, known, require};
use crate::config::Config;
use crate::host::Host;
use crate::outcome::Counts;
use crate::walk::{Rows, Walk};

impl<'run, const CHAIN: bool> Dense<'run, CHAIN> {
    pub(super) fn new(config: &'run Config, data: &'run MarketData) -> Result<Self, Stop> {
        let name = &config.account.name;
        require(!name.is_empty() && config.limit_sets.is_empty())?;
        // What is measured, capped or in lots is the general loop's.
        require(config.strategies.iter().all(|strategy| domain::sizing::is_plain(&strategy.sizing)))?;
        require(config.strategies.iter().all(|one| one.group_policy == GroupPolicy::Unspecified))?;
        let mut strategies: Vec<_> = config.strategies.iter().collect();
        strategies.sort_by(|left, right| left.name.cmp(&right.name));
        let active = |mode| matches!(mode, StrategyMode::Paper | StrategyMode::Live);
        require(strategies.iter().all(|strategy| !strategy.name.is_empty() && active(strategy.mode)))?;
        let names: BTreeSet<&str> = data.series.iter().map(|series| &*series.symbol).collect();
        // Names of its own: runs side by side would all count the holders of one.
        let names: Vec<Arc<str>> = names.into_iter().map(Arc::from).collect();
        require(names.iter().all(|symbol| !symbol.is_empty()))?;
        require(names.len() <= NAMES_MOST && strategies.len() <= NAMES_MOST)?;

        let book = known(config.book(data).ok())?;
        let account = known(book.account(name))?.clone();
        let stated = known(account.config.as_ref())?;
        // Whose margin may be called is the general loop's.
        require(stated.kind != AccountKind::Margin && !book.is_halted(name))?;
        let (mut hosts, mut policies, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        let mut holdings = Vec::new();
        for strategy in strategies {
            let host = known(Host::new(strategy, data).ok())?;
            hosts.push(if config.late { host.late() } else { host });
            let signal = Signal { strategy: strategy.name.clone(), ..Signal::default() };
            let view = risk::view(&book, &Prices::default(), config.calendar, &signal, 0, name);
            require(view.policy.standing == Standing::Active && view.account == *name)?;
            policies.push(view.policy);
            let equal = strategy.sizing.kind() == SizingKind::EqualWeight;
            let registered = book.strategy(&strategy.name).map_or(0, |known| known.symbols.len());
            let count = if equal { registered } else { 0 };
            weights.push(u32::try_from(count).unwrap_or(u32::MAX));
            holdings.extend(names.iter().map(|symbol| Holding {
                position: PositionState::new(PositionKey::new(name, &strategy.name, symbol)),
                lots: None,
            }));
        }
        let symbol_of = data.series.iter().filter_map(|series| names.binary_search(&series.symbol).ok());
        let symbol_of: Vec<_> = symbol_of.collect();
        let mut series_of = vec![Vec::new(); names.len()];
        for (series, symbol) in symbol_of.iter().enumerate() {
            series_of[*symbol].push(series);
        }
        let last =
            |of: &Vec<usize>| Symbol { last_series: of.last().copied().unwrap_or(0), ..Symbol::default() };
        let chain = if CHAIN {
            let strategies: Vec<_> = hosts.iter().map(|host: &Host| host.name.as_str()).collect();
            let symbols: Vec<_> = names.iter().map(|symbol| &**symbol).collect();
            Chain::new(
                Forms::new(&hosts, &data.series)?,
                Pieces::new(name, &strategies, &symbols, stated.version),
            )
        } else {
            Chain::default()
        };
        Ok(Self {
            config,
            data,
            symbols: series_of.iter().map(last).collect(),
            held: Vec::new(),
            symbol_of,
            series_of,
            rows: Vec::new(),
            hosts,
            policies,
            weights,
            holdings,
            due: Vec::new(),
            due_of: Vec::new(),
            stops: Vec::new(),
            orders: Orders::default(),
            queues: names.iter().map(|_| Queue::default()).collect(),
            names,
            matches: Vec::new(),
            pending: Vec::new(),
            wishes: Vec::new(),
            here: Here::of(data.series.len()),
            chain,
            trades: Vec::new(),
            equity_rows: Vec::new(),
            counts: Counts::default(),
            equity: config.account.cash,
            slippage: Amount::ZERO,
            turnover: Amount::ZERO,
            last_mark_ns: None,
            last_ns: i64::MIN,
            quiet_until_ns: i64::MIN,
            accepting: None,
            session: None,
            account,
        })
    }

    /// Takes over where the walk begins.
    pub(super) fn begin(&mut self, walk: &Walk<'run>) {
        self.rows.clone_from(&walk.rows);
        let series = self.data.series.len();
        for host in &self.hosts {
            let first = |series: usize| if host.reads(series) { walk.at()[series] } else { usize::MAX };
            self.due.extend((0..series).map(first));
        }
        let first = |series| self.due.iter().skip(series).step_by(self.symbol_of.len()).min().copied();
        self.due_of = (0..series).map(|series| first(series).unwrap_or(usize::MAX)).collect();
        let stops = |(series, rows): (&BarSeries, &Rows<'run>)| {
            let own = self.data.actions.iter().filter(|dated| dated.symbol == series.symbol);
            own.map(|dated| rows.close_ns.partition_point(|ns| *ns < dated.event_ns)).collect()
        };
        self.stops = self.data.series.iter().zip(&self.rows).map(stops).collect();
        let instants =
            self.rows.iter().zip(walk.at()).map(|(rows, at)| rows.close_ns.len().saturating_sub(*at));
        self.equity_rows.reserve(instants.max().unwrap_or_default());
    }
}
