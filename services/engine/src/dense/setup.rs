//! What the dense loop begins with, and whether it may begin at all.

use std::collections::BTreeSet;
use std::sync::Arc;

use contracts::v1::{AccountKind, Fill, Signal, SizingKind, StrategyMode};
use domain::book::{PositionKey, PositionState, Prices};
use domain::matching::queue::Queue;
use domain::money::Amount;
use domain::risk::{self, Standing};
use domain::series::MarketData;

use super::chain::Chain;
use super::orders::Orders;
use super::{Dense, Holding, NAMES_MOST, Stop, Symbol, known, require};
use crate::config::Config;
use crate::host::Host;
use crate::outcome::Counts;

impl<'run, const CHAIN: bool> Dense<'run, CHAIN> {
    pub(super) fn new(config: &'run Config, data: &'run MarketData) -> Result<Self, Stop> {
        let name = &config.account.name;
        require(data.actions.is_empty() && !name.is_empty() && config.limit_sets.is_empty() && !config.late)?;
        // What is measured, capped or in lots is the general loop's.
        require(config.strategies.iter().all(|strategy| domain::sizing::is_plain(&strategy.sizing)))?;
        let mut strategies: Vec<_> = config.strategies.iter().collect();
        strategies.sort_by(|left, right| left.name.cmp(&right.name));
        let active = |mode| matches!(mode, StrategyMode::Paper | StrategyMode::Live);
        require(strategies.iter().all(|strategy| !strategy.name.is_empty() && active(strategy.mode)))?;
        let names: BTreeSet<_> = data.series.iter().map(|series| Arc::clone(&series.symbol)).collect();
        let names: Vec<_> = names.into_iter().collect();
        require(names.iter().all(|symbol| !symbol.is_empty()))?;
        require(names.len() <= NAMES_MOST && strategies.len() <= NAMES_MOST)?;

        let book = known(config.book(data).ok())?;
        let account = known(book.account(name))?.clone();
        let stated = known(account.config.as_ref())?;
        require(stated.kind == AccountKind::Unspecified && !book.is_halted(name))?;
        let (mut hosts, mut policies, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        let mut holdings = Vec::new();
        for strategy in strategies {
            hosts.push(known(Host::new(strategy, data).ok())?);
            let signal = Signal { strategy: strategy.name.clone(), ..Signal::default() };
            let view = risk::view(&book, &Prices::default(), config.calendar, &signal, 0, name);
            require(view.policy.standing == Standing::Active && view.account == *name)?;
            policies.push(view.policy);
            let equal = strategy.sizing.kind() == SizingKind::EqualWeight;
            let count = if equal { strategy.symbols.len() } else { 0 };
            weights.push(u32::try_from(count).unwrap_or(u32::MAX));
            holdings.extend(names.iter().map(|symbol| Holding {
                position: PositionState::new(PositionKey::new(name, &strategy.name, symbol)),
                lots: None,
            }));
        }
        let symbol_of = data.series.iter().filter_map(|series| names.binary_search(&series.symbol).ok());
        Ok(Self {
            config,
            data,
            account,
            symbols: vec![Symbol::default(); names.len()],
            symbol_of: symbol_of.collect(),
            hosts,
            policies,
            weights,
            holdings,
            orders: Orders::default(),
            queues: names.iter().map(|_| Queue::default()).collect(),
            names,
            matches: Vec::new(),
            pending: Vec::new(),
            wishes: Vec::new(),
            bars: Vec::new(),
            chain: Chain::default(),
            spec: contracts::v1::OrderSpec::default(),
            fill: Fill::default(),
            text: String::new(),
            trades: Vec::new(),
            equity_rows: Vec::new(),
            counts: Counts::default(),
            equity: config.account.cash,
            slippage: Amount::ZERO,
            turnover: Amount::ZERO,
            last_mark_ns: None,
            last_ns: 0,
            quiet_until_ns: i64::MIN,
            session: None,
        })
    }
}
