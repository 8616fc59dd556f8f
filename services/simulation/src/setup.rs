//! What stands on the tape before a run begins: accounts with tight limits, strategies of all sorts.

use contracts::v1::event::Body;
use contracts::v1::{
    AccountConfigured, AccountEntry, AccountKind, Breaker, BreakerKind, Costs, EntryKind, Event, GroupPolicy,
    LimitScope, LimitsSet, Money, Parameter, RiskLimits, Sizing, SizingKind, StrategyEnabled, StrategyMode,
    StrategyRegistered, TradeLimits,
};
use contracts::{Subject, event_id, stream, to_timestamp};
use event_log::{Append, EventLog as _, Expect, LogError, MemoryLog};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::executor::at_once;
use crate::fate::{Extra, Mask};

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

/// The strategy that begins in shadow mode, where a seed has it.
pub const SHADE: Inside = ("shade", "momentum", "paper", &[("lookback", "2"), ("threshold", "0.001")]);

const E9: i64 = 1_000_000_000;

/// Whether a seed has the strategy that begins in shadow mode.
pub fn has_shade(seed: u64, mask: &Mask) -> bool {
    mask.holds(Extra::Shadow) && ChaCha8Rng::seed_from_u64(seed ^ 0x5_4ade).random_range(0..2) == 0
}

/// Whether a seed has limits by correlation and value at risk.
pub fn is_measured(seed: u64, mask: &Mask) -> bool {
    mask.holds(Extra::Measures) && ChaCha8Rng::seed_from_u64(seed ^ 0x3ea_5e8e).random_range(0..3) == 0
}

/// What is to be put on the tape.
pub struct Plan<'run> {
    /// As of when, UTC nanoseconds.
    pub at_ns: i64,
    /// Seed of what belongs to an extra.
    pub seed: u64,
    /// Broker of all accounts.
    pub broker: &'run str,
    /// Whether there is a wild strategy.
    pub wild: bool,
    /// Whether volume matters.
    pub shares: bool,
    /// What is left out.
    pub mask: &'run Mask,
}

/// Puts everything on the tape that stands there before a run. Answers the costs of each account.
pub fn write(
    log: &MemoryLog,
    rng: &mut ChaCha8Rng,
    plan: &Plan<'_>,
) -> Result<Vec<(String, Costs)>, LogError> {
    let &Plan { at_ns, broker, wild, shares, .. } = plan;
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
    for strategy in &INSIDE {
        register(log, at_ns, inside(strategy), StrategyMode::Paper);
    }
    if wild {
        log.add_consumer(stream::MARKET, WILD_CONSUMER, &["market.bar.>".to_owned()], 1_000)?;
        let policy =
            if plan.mask.holds(Extra::Groups) { policy_of(plan.seed) } else { GroupPolicy::Unspecified };
        let registered = StrategyRegistered {
            strategy: WILD.into(),
            consumer: WILD_CONSUMER.into(),
            subjects: vec!["market.bar.>".into()],
            group_policy: policy.into(),
            ..registration(ACCOUNTS[0])
        };
        register(log, at_ns, registered, StrategyMode::Paper);
    }
    if plan.mask.holds(Extra::Limits) {
        let mut rng = ChaCha8Rng::seed_from_u64(plan.seed ^ 0x11_3175);
        limit(log, at_ns, "scope", scopes_of(&mut rng));
    }
    if is_measured(plan.seed, plan.mask) {
        let mut rng = ChaCha8Rng::seed_from_u64(plan.seed ^ 0x7_a112);
        limit(log, at_ns, "measure", measures_of(&mut rng));
    }
    if has_shade(plan.seed, plan.mask) {
        register(log, at_ns, inside(&SHADE), StrategyMode::Shadow);
    }
    Ok(costs)
}

/// States limits of scopes.
fn limit(log: &MemoryLog, at_ns: i64, handler: &str, limits: Vec<(LimitScope, TradeLimits)>) {
    for (number, (scope, limits)) in limits.into_iter().enumerate() {
        let set = LimitsSet { scope: Some(scope), version: 1, limits: Some(limits), ..LimitsSet::default() };
        put(log, at_ns, handler, &number.to_string(), Body::LimitsSet(set));
    }
}

/// The registration of a strategy inside.
fn inside(&(name, kind, account, parameters): &Inside) -> StrategyRegistered {
    let parameter = |(name, value): &(&str, &str)| Parameter { name: (*name).into(), value: (*value).into() };
    StrategyRegistered {
        strategy: name.into(),
        kind: kind.into(),
        parameters: parameters.iter().map(parameter).collect(),
        ..registration(account)
    }
}

/// What becomes of the wild strategy's groups: every policy in a fourth of the seeds of each world.
fn policy_of(seed: u64) -> GroupPolicy {
    let all = [GroupPolicy::Unspecified, GroupPolicy::Complete, GroupPolicy::Unwind, GroupPolicy::Alert];
    all[ChaCha8Rng::seed_from_u64(seed ^ 0x9_0119).random_range(0..all.len())]
}

/// Limits of the wild strategy, of one symbol and of the other account. They deny now and then, and leave room enough for a
/// seed to come to its orders.
fn scopes_of(rng: &mut ChaCha8Rng) -> Vec<(LimitScope, TradeLimits)> {
    let account = |index: usize| LimitScope { account: ACCOUNTS[index].into(), ..LimitScope::default() };
    let money = |units: i64| Some(Money { units, nanos: 0 });
    let symbol = ingest::source::SYMBOLS[rng.random_range(0..3)].symbol;
    let wild = TradeLimits {
        max_order_quantity_e9: Some(rng.random_range(40..100) * E9),
        max_orders_per_hour: Some(rng.random_range(12..30)),
        ..TradeLimits::default()
    };
    let of_symbol = TradeLimits {
        max_open_orders: Some(rng.random_range(3..8)),
        max_position_quantity_e9: Some(rng.random_range(100..300) * E9),
        ..TradeLimits::default()
    };
    let second = TradeLimits {
        max_gross_exposure: money(rng.random_range(30_000..90_000)),
        max_concentration_e9: Some(rng.random_range(10..30) * E9 / 100),
        ..TradeLimits::default()
    };
    vec![
        (LimitScope { strategy: WILD.into(), ..account(0) }, wild),
        (LimitScope { symbol: symbol.into(), ..account(0) }, of_symbol),
        (LimitScope { strategy: INSIDE[1].0.into(), ..account(1) }, second),
    ]
}

/// Limits of what a strategy on either account opens, by value at risk and by correlation. Until there are returns enough
/// they deny whatever they have to measure.
fn measures_of(rng: &mut ChaCha8Rng) -> Vec<(LimitScope, TradeLimits)> {
    let bars = rng.random_range(30..60);
    let var = TradeLimits {
        max_var_e9: Some(rng.random_range(1..20) * E9 / 10_000),
        var_bars: Some(bars),
        ..TradeLimits::default()
    };
    let correlation = TradeLimits {
        max_correlation_e9: Some(rng.random_range(-5..15) * E9 / 100),
        correlation_bars: Some(bars),
        ..TradeLimits::default()
    };
    let of = |(strategy, _, account, _): Inside| LimitScope {
        account: account.into(),
        strategy: strategy.into(),
        ..LimitScope::default()
    };
    vec![(of(INSIDE[0]), var), (of(INSIDE[2]), correlation)]
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

/// A breaker that trips at a small fall, now and then.
fn limits_of(rng: &mut ChaCha8Rng, account: &str) -> LimitsSet {
    let drawdown = Breaker {
        kind: BreakerKind::Drawdown.into(),
        most_e9: rng.random_range(10..60) * E9 / 10_000,
        halts: rng.random_range(0..2) == 0,
    };
    LimitsSet {
        scope: Some(LimitScope { account: account.into(), ..LimitScope::default() }),
        version: 1,
        limits: Some(TradeLimits {
            breakers: if rng.random_range(0..4) == 0 { vec![drawdown] } else { Vec::new() },
            ..TradeLimits::default()
        }),
        ..LimitsSet::default()
    }
}

fn register(log: &MemoryLog, at_ns: i64, registered: StrategyRegistered, mode: StrategyMode) {
    let name = registered.strategy.clone();
    put(log, at_ns, "register", &name, Body::StrategyRegistered(registered));
    let strategy = name.clone();
    let enabled = StrategyEnabled { strategy, mode: mode.into(), ..StrategyEnabled::default() };
    put(log, at_ns, "enable", &name, Body::StrategyEnabled(enabled));
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
