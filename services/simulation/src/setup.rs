//! What stands on the tape before a run begins: accounts with tight limits, strategies of all sorts.

use contracts::v1::event::Body;
use contracts::v1::{
    AccountConfigured, AccountEntry, AccountKind, Breaker, BreakerKind, Costs, EntryKind, Event, LimitScope,
    LimitsSet, Money, Parameter, RiskLimits, Sizing, SizingKind, StrategyEnabled, StrategyMode,
    StrategyRegistered, TradeLimits,
};
use contracts::{Subject, event_id, stream, to_timestamp};
use event_log::{Append, EventLog as _, Expect, LogError, MemoryLog};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use crate::executor::at_once;

/// Accounts.
pub const ACCOUNTS: [&str; 2] = ["paper", "second"];
/// The strategy outside.
pub const WILD: &str = "wild";
/// Its durable consumer.
pub const WILD_CONSUMER: &str = "strategy-wild";
/// Name, kind, account and parameters of a strategy.
type Inside = (&'static str, &'static str, &'static str, &'static [(&'static str, &'static str)]);
/// Strategies inside.
pub const INSIDE: [Inside; 3] = [
    ("cross", "sma_cross", "paper", &[("fast", "2"), ("slow", "4")]),
    ("surge", "momentum", "second", &[("lookback", "3"), ("threshold", "0.002")]),
    ("other", "sma_cross", "second", &[("fast", "3"), ("slow", "5")]),
];

const E9: i64 = 1_000_000_000;

/// Puts everything on the tape as of `at_ns`. Answers the costs of each account. Without `shares` volume does not
/// matter.
pub fn write(
    log: &MemoryLog,
    rng: &mut ChaCha8Rng,
    broker: &str,
    at_ns: i64,
    wild: bool,
    shares: bool,
) -> Result<Vec<(String, Costs)>, LogError> {
    let mut costs = Vec::new();
    for account in ACCOUNTS {
        let mut configured = account_of(rng, account, broker);
        if let Some(costs) = configured.costs.as_mut().filter(|_| !shares) {
            costs.volume_share_most_e9 = 0;
        }
        costs.push((account.to_owned(), configured.costs.unwrap_or_default()));
        put(log, at_ns, "setup", account, Body::AccountConfigured(configured));
        let deposit = AccountEntry {
            account: account.into(),
            kind: EntryKind::Deposit.into(),
            amount: Some(Money { units: 100_000, nanos: 0 }),
            ..AccountEntry::default()
        };
        put(log, at_ns, "deposit", account, Body::AccountEntry(deposit));
    }
    for account in ACCOUNTS {
        put(log, at_ns, "limits", account, Body::LimitsSet(limits_of(rng, account)));
    }
    for (name, kind, account, parameters) in INSIDE {
        let registered = StrategyRegistered {
            strategy: name.into(),
            kind: kind.into(),
            parameters: parameters
                .iter()
                .map(|(name, value)| Parameter { name: (*name).into(), value: (*value).into() })
                .collect(),
            ..registration(account)
        };
        register(log, at_ns, name, registered);
    }
    if wild {
        log.add_consumer(stream::MARKET, WILD_CONSUMER, &["market.bar.>".to_owned()], 1_000)?;
        let registered = StrategyRegistered {
            strategy: WILD.into(),
            consumer: WILD_CONSUMER.into(),
            subjects: vec!["market.bar.>".into()],
            ..registration(ACCOUNTS[0])
        };
        register(log, at_ns, WILD, registered);
    }
    Ok(costs)
}

fn registration(account: &str) -> StrategyRegistered {
    StrategyRegistered {
        sizing: Some(Sizing { kind: SizingKind::Fraction.into(), value_e9: E9 / 12, ..Sizing::default() }),
        account: account.into(),
        ..StrategyRegistered::default()
    }
}

fn account_of(rng: &mut ChaCha8Rng, account: &str, broker: &str) -> AccountConfigured {
    let kinds = [AccountKind::Unspecified, AccountKind::Unspecified, AccountKind::Cash, AccountKind::Margin];
    let limits = RiskLimits {
        max_position_fraction_e9: rng.random_range(10..40) * E9 / 100,
        max_exposure_fraction_e9: rng.random_range(40..160) * E9 / 100,
        max_order_value: Some(Money { units: rng.random_range(8_000..25_000), nanos: 0 }),
        max_daily_loss_fraction_e9: E9 / 2,
        price_collar_fraction_e9: E9 / 10,
        max_price_age_ms: 86_400_000,
        allow_short: rng.random_range(0..3) > 0,
    };
    let costs = Costs {
        commission_per_share_e9: 5_000_000,
        commission_minimum: Some(Money { units: 1, nanos: 0 }),
        slippage_rate_e9: 100_000,
        volume_share_most_e9: if rng.random_range(0..3) == 0 {
            0
        } else {
            1_000_000 * rng.random_range(1..10) / 10
        },
        ..Costs::default()
    };
    AccountConfigured {
        account: account.into(),
        version: 1,
        broker: broker.into(),
        limits: Some(limits),
        costs: Some(costs),
        kind: kinds[rng.random_range(0..kinds.len())].into(),
        ..AccountConfigured::default()
    }
}

/// A breaker that trips at a small fall, now and then, and a most of open orders.
fn limits_of(rng: &mut ChaCha8Rng, account: &str) -> LimitsSet {
    let drawdown = Breaker {
        kind: BreakerKind::Drawdown.into(),
        most_e9: rng.random_range(1..20) * E9 / 10_000,
        halts: rng.random_range(0..2) == 0,
    };
    LimitsSet {
        scope: Some(LimitScope { account: account.into(), ..LimitScope::default() }),
        version: 1,
        limits: Some(TradeLimits {
            breakers: if rng.random_range(0..3) == 0 { vec![drawdown] } else { Vec::new() },
            ..TradeLimits::default()
        }),
        ..LimitsSet::default()
    }
}

fn register(log: &MemoryLog, at_ns: i64, name: &str, registered: StrategyRegistered) {
    put(log, at_ns, "register", name, Body::StrategyRegistered(registered));
    let mode = StrategyMode::Paper.into();
    let enabled = StrategyEnabled { strategy: name.into(), mode, ..StrategyEnabled::default() };
    put(log, at_ns, "enable", name, Body::StrategyEnabled(enabled));
}

/// Puts an event of the set-up on the tape.
pub fn put(log: &MemoryLog, at_ns: i64, handler: &str, cause: &str, body: Body) {
    let event = Event {
        id: event_id(cause, handler, 0),
        event_time: Some(to_timestamp(at_ns)),
        source: "setup".into(),
        body: Some(body),
        ..Event::default()
    };
    if let Some(subject) = Subject::for_event(&event, None) {
        let _stored = at_once(log.append(Append { subject, event, expect: Expect::Nothing }));
    }
}
