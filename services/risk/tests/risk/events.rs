//! The events that tests put on the tape.

use contracts::v1::event::Body;
use contracts::v1::{
    AccountConfigured, AccountEntry, AccountMarked, ActionKind, Bar, Basis, BrokerReconciled,
    CorporateAction, EntryKind, Event, Fill, HoldingPrice, Intent, LimitScope, LimitsSet, Money,
    OrderRejected, OrderSpec, OrderSubmitted, OrderType, Origin, QualityFinding, RiskDecision, RiskLimits,
    Severity, Side, Signal, SignalLeg, Sizing, SizingKind, StrategyEnabled, StrategyMode, StrategyRegistered,
    TimeInForce, TradeLimits, TradingHalted, Verdict,
};
use contracts::{Subject, client_order_id, event_id, to_timestamp};

pub const E9: i64 = 1_000_000_000;
/// 2024-01-08 10:00 in New York, a Monday within the session.
pub const T0: i64 = 1_704_726_000 * E9;
pub const HOUR: i64 = 3_600 * E9;
pub const ACCOUNT: &str = "paper";

pub fn event(id: &str, event_ns: i64, body: Body) -> Event {
    Event {
        id: id.to_owned(),
        event_time: Some(to_timestamp(event_ns)),
        source: "test".to_owned(),
        correlation_id: id.to_owned(),
        body: Some(body),
        ..Event::default()
    }
}

pub fn money(units: i64) -> Option<Money> {
    Some(Money { units, nanos: 0 })
}

/// Limits that leave everything but one order's value and the exposure open.
pub fn limits(order_value: i64, exposure_e9: i64) -> RiskLimits {
    RiskLimits {
        max_position_fraction_e9: E9,
        max_exposure_fraction_e9: exposure_e9,
        max_order_value: money(order_value),
        max_daily_loss_fraction_e9: E9,
        price_collar_fraction_e9: E9 / 10,
        max_price_age_ms: 86_400_000,
        allow_short: false,
    }
}

pub fn configured(limits: RiskLimits) -> Event {
    let body = AccountConfigured {
        account: ACCOUNT.to_owned(),
        version: 1,
        broker: "simulated".to_owned(),
        limits: Some(limits),
        ..AccountConfigured::default()
    };
    event("configured", T0 - HOUR, Body::AccountConfigured(body))
}

pub fn deposit(units: i64) -> Event {
    let body = AccountEntry {
        account: ACCOUNT.to_owned(),
        kind: EntryKind::Deposit.into(),
        amount: money(units),
        ..AccountEntry::default()
    };
    event("deposit", T0 - HOUR, Body::AccountEntry(body))
}

/// A strategy whose entries are of 100 shares.
pub fn registered(strategy: &str) -> Event {
    let body = StrategyRegistered {
        strategy: strategy.to_owned(),
        sizing: Some(Sizing { kind: SizingKind::Fixed.into(), value_e9: 100 * E9, ..Sizing::default() }),
        account: ACCOUNT.to_owned(),
        ..StrategyRegistered::default()
    };
    event(&format!("registered/{strategy}"), T0 - HOUR, Body::StrategyRegistered(body))
}

pub fn enabled(strategy: &str, mode: StrategyMode) -> Event {
    let body = StrategyEnabled { strategy: strategy.to_owned(), mode: mode.into(), actor: "test".to_owned() };
    event(&format!("enabled/{strategy}/{mode:?}"), T0 - HOUR, Body::StrategyEnabled(body))
}

pub fn halted(event_ns: i64) -> Event {
    event("halted", event_ns, Body::TradingHalted(TradingHalted::default()))
}

/// A mark of an account that holds nothing but cash.
pub fn mark(event_ns: i64, units: i64) -> Event {
    let body = AccountMarked {
        account: ACCOUNT.to_owned(),
        equity: money(units),
        cash: money(units),
        gross_exposure: money(0),
        net_exposure: money(0),
        ..AccountMarked::default()
    };
    event(&format!("mark/{event_ns}"), event_ns, Body::AccountMarked(body))
}

pub fn bar(symbol: &str, close_ns: i64, price: i64, origin: Origin) -> Event {
    let body = Bar {
        symbol: symbol.to_owned(),
        timeframe: "1h".to_owned(),
        start: Some(to_timestamp(close_ns - HOUR)),
        open_e9: price * E9,
        high_e9: price * E9,
        low_e9: price * E9,
        close_e9: price * E9,
        volume_e3: 1_000,
        origin: origin.into(),
        ..Bar::default()
    };
    event(&format!("bar/{symbol}/{close_ns}/{origin:?}"), close_ns, Body::Bar(body))
}

/// Something that was found about a symbol, or a vendor's word about its trading.
pub fn finding(symbol: &str, rule: &str, severity: Severity, event_ns: i64) -> Event {
    let body = QualityFinding {
        symbol: symbol.to_owned(),
        rule: rule.to_owned(),
        severity: severity.into(),
        detail: "News pending (T12)".to_owned(),
        ..QualityFinding::default()
    };
    event(&format!("finding/{symbol}/{rule}/{event_ns}"), event_ns, Body::QualityFinding(body))
}

pub fn split(symbol: &str, event_ns: i64, ratio: i64) -> Event {
    let body = CorporateAction {
        symbol: symbol.to_owned(),
        ex_date: "2024-01-08".to_owned(),
        kind: ActionKind::Split.into(),
        value_e9: ratio * E9,
        origin: Origin::Rehearsal.into(),
    };
    event(&format!("split/{symbol}"), event_ns, Body::CorporateAction(body))
}

/// What the position that `alpha` holds in a symbol comes to by a split.
pub fn shares_after(symbol: &str, event_ns: i64, shares: i64) -> Event {
    let body = AccountEntry {
        account: ACCOUNT.to_owned(),
        kind: EntryKind::Split.into(),
        strategy: "alpha".to_owned(),
        symbol: symbol.to_owned(),
        amount: money(0),
        quantity_after_e9: shares * E9,
        ..AccountEntry::default()
    };
    event(&format!("shares/{symbol}/{event_ns}"), event_ns, Body::AccountEntry(body))
}

/// What the account's broker says that a share is worth.
pub fn told(symbol: &str, event_ns: i64, price: i64) -> Event {
    let prices = vec![HoldingPrice { symbol: symbol.to_owned(), price_e9: price * E9 }];
    let body = BrokerReconciled { account: ACCOUNT.to_owned(), prices, ..BrokerReconciled::default() };
    event(&format!("told/{symbol}/{event_ns}"), event_ns, Body::BrokerReconciled(body))
}

/// The id of [`signal`].
pub fn signal_id(strategy: &str, symbol: &str, event_ns: i64) -> String {
    event_id(&format!("bar/{symbol}/{event_ns}"), &format!("strategy/{strategy}"), 0)
}

/// A signal to buy, or to leave, at the market.
pub fn signal(strategy: &str, symbol: &str, event_ns: i64, intent: Intent, market: u64) -> Event {
    let leg = SignalLeg { symbol: symbol.to_owned(), intent: intent.into(), ..SignalLeg::default() };
    let body = Signal { strategy: strategy.to_owned(), legs: vec![leg], ..Signal::default() };
    Event {
        causation_id: format!("bar/{symbol}/{event_ns}"),
        basis: vec![Basis { stream: "MARKET".to_owned(), sequence: market }],
        ..event(&signal_id(strategy, symbol, event_ns), event_ns, Body::Signal(body))
    }
}

/// The intent and the broker's refusal of an order, as execution writes them.
pub fn refused_by_broker(spec: &OrderSpec, event_ns: i64) -> [(Subject, Event); 2] {
    let submitted = OrderSubmitted {
        order: Some(spec.clone()),
        client_order_id: client_order_id(&spec.order_id),
        broker: "simulated".to_owned(),
    };
    let rejected = OrderRejected { order_id: spec.order_id.clone(), reason: "no".to_owned() };
    let id = &spec.order_id;
    [
        (
            Subject::order(spec, "submitted"),
            event(&format!("{id}/submitted"), event_ns, Body::OrderSubmitted(submitted)),
        ),
        (
            Subject::order(spec, "rejected"),
            event(&format!("{id}/rejected"), event_ns, Body::OrderRejected(rejected)),
        ),
    ]
}

/// The approval, the intent and the fill of an order for 100 shares at 100; `name` is its own.
pub fn filled(name: &str, symbol: &str, side: Side, event_ns: i64) -> [(Subject, Event); 3] {
    let spec = OrderSpec {
        order_id: contracts::order_id(name, 0),
        account: ACCOUNT.to_owned(),
        strategy: "alpha".to_owned(),
        symbol: symbol.to_owned(),
        side: side.into(),
        order_type: OrderType::Market.into(),
        time_in_force: TimeInForce::Day.into(),
        quantity_e9: 100 * E9,
        reducing: side == Side::Sell,
        ..OrderSpec::default()
    };
    let decision = RiskDecision {
        account: ACCOUNT.to_owned(),
        strategy: "alpha".to_owned(),
        signal_id: name.to_owned(),
        verdict: Verdict::Approved.into(),
        orders: vec![spec.clone()],
        ..RiskDecision::default()
    };
    let submitted = OrderSubmitted {
        order: Some(spec.clone()),
        client_order_id: client_order_id(&spec.order_id),
        broker: "simulated".to_owned(),
    };
    let fill = Fill {
        order_id: spec.order_id.clone(),
        account: ACCOUNT.to_owned(),
        strategy: "alpha".to_owned(),
        symbol: symbol.to_owned(),
        side: spec.side,
        number: 1,
        quantity_e9: 100 * E9,
        price_e9: 100 * E9,
        commission: money(0),
        execution_id: format!("{name}/1"),
        ..Fill::default()
    };
    let bodies = [Body::RiskDecision(decision), Body::OrderSubmitted(submitted), Body::Fill(fill)];
    bodies.map(|body| {
        let kind = match &body {
            Body::RiskDecision(_) => "approved",
            Body::OrderSubmitted(_) => "submitted",
            _ => "filled",
        };
        let event = event(&format!("{name}/{kind}"), event_ns, body);
        (Subject::for_event(&event, None).unwrap(), event)
    })
}

/// Limits of the account, as they are written.
pub fn limited(named: &[(&str, &str)]) -> Event {
    let mut limits = TradeLimits::default();
    for (name, value) in named {
        domain::risk::fields::state(&mut limits, name, value).unwrap();
    }
    let scope = LimitScope { account: ACCOUNT.to_owned(), ..LimitScope::default() };
    let body = LimitsSet { scope: Some(scope), version: 1, limits: Some(limits), ..LimitsSet::default() };
    event("limits", T0 - HOUR, Body::LimitsSet(body))
}
