//! What a run is of: one account, its strategies, a calendar.

use std::collections::BTreeSet;

use contracts::v1::event::Body;
use contracts::v1::{
    AccountConfigured, AccountEntry, AccountKind, Costs, EntryKind, Event, GroupPolicy, LimitsSet, Parameter,
    RiskLimits, Sizing, SizingKind, StrategyEnabled, StrategyMode, StrategyRegistered,
};
use contracts::{Subject, to_timestamp};
use domain::bar::Timeframe;
use domain::book::{Book, FoldError};
use domain::calendar::Calendar;
use domain::money::Amount;
use domain::series::{BarSeries, MarketData};
use domain::strategy::{ParameterError, resolve};

use crate::outside::OUTSIDE;

/// The account that a run trades on.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// Name, part of the ids and bodies of events.
    pub name: String,
    /// Cash at the start.
    pub cash: Amount,
    /// What risk holds signals against; `domain::risk::buying_power_only` for buying power alone.
    pub limits: RiskLimits,
    /// Commission and slippage.
    pub costs: Costs,
    /// What it may do with borrowed money and shares.
    pub kind: AccountKind,
}

/// One strategy of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct StrategyConfig {
    /// Name, part of the ids and bodies of events; unique.
    pub name: String,
    /// Built-in kind.
    pub kind: String,
    /// Parameters; what is not stated has its default.
    pub parameters: Vec<Parameter>,
    /// Symbols that it trades; empty for all.
    pub symbols: Vec<String>,
    /// Timeframe that it reads; all when absent.
    pub timeframe: Option<Timeframe>,
    /// How its entries are sized.
    pub sizing: Sizing,
    /// What becomes of the orders of a signal when one of them fails.
    pub group_policy: GroupPolicy,
    /// What becomes of its signals.
    pub mode: StrategyMode,
}

impl StrategyConfig {
    /// The symbols that it is registered with. Equal parts are counted, so that whoever trades all symbols in equal
    /// parts is registered with those of the data.
    fn registered_symbols(&self, data: &MarketData) -> Vec<String> {
        if !self.symbols.is_empty() || self.sizing.kind() != SizingKind::EqualWeight {
            return self.symbols.clone();
        }
        let read = |series: &&BarSeries| self.timeframe.is_none_or(|timeframe| timeframe == series.timeframe);
        let symbols: BTreeSet<&str> = data.series.iter().filter(read).map(|series| &*series.symbol).collect();
        symbols.into_iter().map(str::to_owned).collect()
    }
}

/// What a run is of, apart from its data.
#[derive(Clone, Debug)]
pub struct Config {
    /// The account.
    pub account: Account,
    /// Strategies; each name once.
    pub strategies: Vec<StrategyConfig>,
    /// When the market is open.
    pub calendar: &'static Calendar,
    /// Close what is open at the last close, as trades alone: no order is made for it.
    pub finalize: bool,
    /// Bars that close before this time, as many as the strategies want, warm them up and trade nothing.
    pub from_ns: Option<i64>,
    /// Bars that close at this time or later are left out.
    pub until_ns: Option<i64>,
    /// Limits by scope, stated before the first bar.
    pub limit_sets: Vec<LimitsSet>,
    /// Bars per series that warm strategies up beyond what they state: a test of what they state.
    pub warm_up_more: usize,
    /// Strategies see every bar one bar of its series late: a test of how much being on time is worth.
    pub late: bool,
}

/// A configuration that cannot be run.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// There is no strategy.
    #[error("no strategy, expected at least one")]
    NoStrategy,
    /// A name occurs twice.
    #[error("strategy {0:?} is named twice, expected each name once")]
    Repeated(String),
    /// A strategy cannot be built.
    #[error("strategy {name}: {source}")]
    Strategy {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        source: ParameterError,
    },
    /// The account cannot start.
    #[error("account: {0}")]
    Account(#[from] FoldError),
}

impl Config {
    /// Whether decisions look at more than positions, orders and last prices.
    pub(crate) fn measures(&self) -> bool {
        let measured = |strategy: &StrategyConfig| domain::sizing::is_measured(&strategy.sizing);
        !self.limit_sets.is_empty() || self.strategies.iter().any(measured)
    }

    /// The book before the first instant: the same events as a tape states before its first one.
    pub(crate) fn book(&self, data: &MarketData) -> Result<Book, ConfigError> {
        let at_ns = self.at_ns(data);
        if self.strategies.is_empty() {
            return Err(ConfigError::NoStrategy);
        }
        let mut book = Book::default();
        for (sequence, event) in (1..).zip(self.events(data, at_ns)?) {
            book.apply(sequence, &event)?;
        }
        Ok(book)
    }

    /// What a tape states before the first instant of a run over `data`, in order.
    pub fn opening(&self, data: &MarketData) -> Result<Vec<(Subject, Event)>, ConfigError> {
        let events = self.events(data, self.at_ns(data))?;
        let placed = events.into_iter().filter_map(|event| Some((Subject::for_event(&event, None)?, event)));
        Ok(placed.collect())
    }

    fn at_ns(&self, data: &MarketData) -> i64 {
        let first = data.series.iter().filter_map(|series| series.close_ns.values().first().copied()).min();
        self.from_ns.or(first).unwrap_or_default()
    }

    fn events(&self, data: &MarketData, at_ns: i64) -> Result<Vec<Event>, ConfigError> {
        let event = |(cause, body): (String, Body)| Event {
            id: crate::outside::opening_id(&cause),
            event_time: Some(to_timestamp(at_ns)),
            source: "config".to_owned(),
            body: Some(body),
            ..Event::default()
        };
        Ok(self.statements(data)?.into_iter().map(event).collect())
    }

    fn statements(&self, data: &MarketData) -> Result<Vec<(String, Body)>, ConfigError> {
        let account = &self.account;
        let mut statements = vec![
            (
                format!("account/{}/1", account.name),
                Body::AccountConfigured(AccountConfigured {
                    account: account.name.clone(),
                    version: 1,
                    broker: crate::run::BROKER.to_owned(),
                    limits: Some(account.limits),
                    costs: Some(account.costs),
                    actor: "config".to_owned(),
                    reason: String::new(),
                    kind: account.kind.into(),
                }),
            ),
            (
                format!("deposit/{}", account.name),
                Body::AccountEntry(AccountEntry {
                    account: account.name.clone(),
                    kind: EntryKind::Deposit.into(),
                    amount: account.cash.to_wire(),
                    ..AccountEntry::default()
                }),
            ),
        ];
        for (index, limits) in self.limit_sets.iter().enumerate() {
            statements.push((format!("limits/{index}"), Body::LimitsSet(limits.clone())));
        }
        for (index, strategy) in self.strategies.iter().enumerate() {
            let name = &strategy.name;
            if self.strategies[..index].iter().any(|earlier| earlier.name == *name) {
                return Err(ConfigError::Repeated(name.clone()));
            }
            let outside = strategy.kind == OUTSIDE;
            let parameters = if outside {
                Vec::new()
            } else {
                resolve(&strategy.kind, &strategy.parameters)
                    .map_err(|source| ConfigError::Strategy { name: name.clone(), source })?
            };
            statements.push((
                format!("strategy/{name}/0"),
                Body::StrategyRegistered(StrategyRegistered {
                    strategy: name.clone(),
                    kind: if outside { String::new() } else { strategy.kind.clone() },
                    parameters,
                    symbols: strategy.registered_symbols(data),
                    timeframe: strategy.timeframe.map_or("", Timeframe::name).to_owned(),
                    sizing: Some(strategy.sizing),
                    account: account.name.clone(),
                    actor: "config".to_owned(),
                    // Whoever reaches it gives it this consumer.
                    consumer: if outside { format!("strategy-{name}") } else { String::new() },
                    group_policy: strategy.group_policy.into(),
                    ..StrategyRegistered::default()
                }),
            ));
            statements.push((
                format!("enable/{name}"),
                Body::StrategyEnabled(StrategyEnabled {
                    strategy: name.clone(),
                    mode: strategy.mode.into(),
                    actor: "config".to_owned(),
                }),
            ));
        }
        Ok(statements)
    }
}
