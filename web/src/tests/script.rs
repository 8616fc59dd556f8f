//! One afternoon on a tape: an order that filled, one that was denied, one that works.

use contracts::v1::event::Body;
use contracts::v1::{
    AccountConfigured, AccountEntry, AccountMarked, AlertRaised, Bar, BreakerKind, BreakerTripped, EntryKind,
    Event, Fill, Intent, MarkPrice, Money, OrderAccepted, OrderSpec, OrderSubmitted, OrderType, Origin,
    RiskDecision, RiskGroup, RiskInput, RiskLimits, RiskMeasured, Side, Signal, SignalLeg, StrategyEnabled,
    StrategyMode, StrategyRegistered, StrategyWarmed, TimeInForce, TradingState, Verdict,
};
use contracts::{Subject, event_id, order_id, to_timestamp};

const SECOND: i64 = 1_000_000_000;
const HOUR: i64 = 3_600 * SECOND;
/// Tuesday 2026-01-06 14:30 ET, 90 minutes before the close.
pub const NOW_NS: i64 = 1_767_727_800 * SECOND;
/// The script's account.
pub const ACCOUNT: &str = "paper";

fn money(units: i64, nanos: i32) -> Option<Money> {
    Some(Money { units, nanos })
}

fn event(number: u32, time_ns: i64, body: Body) -> Event {
    Event {
        id: event_id("script", "event", number),
        event_time: Some(to_timestamp(time_ns)),
        source: "script".to_owned(),
        correlation_id: event_id("script", "event", number),
        body: Some(body),
        ..Event::default()
    }
}

fn bar(symbol: &str, start_ns: i64, close_e9: i64) -> Body {
    Body::Bar(Bar {
        symbol: symbol.to_owned(),
        timeframe: "1h".to_owned(),
        start: Some(to_timestamp(start_ns)),
        open_e9: close_e9,
        high_e9: close_e9 + SECOND,
        low_e9: close_e9 - SECOND,
        close_e9,
        volume_e3: 1_000_000,
        origin: Origin::Rehearsal.into(),
        ..Bar::default()
    })
}

fn signal(symbol: &str, reason: &str) -> Body {
    let leg =
        SignalLeg { symbol: symbol.to_owned(), intent: Intent::EnterLong.into(), ..SignalLeg::default() };
    Body::Signal(Signal {
        strategy: "momentum".to_owned(),
        legs: vec![leg],
        reason: reason.to_owned(),
        ..Signal::default()
    })
}

fn spec(signal_id: &str, symbol: &str, quantity: i64, limit_price_e9: Option<i64>) -> OrderSpec {
    OrderSpec {
        order_id: order_id(signal_id, 0),
        account: ACCOUNT.to_owned(),
        strategy: "momentum".to_owned(),
        symbol: symbol.to_owned(),
        side: Side::Buy.into(),
        order_type: if limit_price_e9.is_some() { OrderType::Limit } else { OrderType::Market }.into(),
        time_in_force: TimeInForce::Day.into(),
        quantity_e9: quantity * SECOND,
        limit_price_e9,
        ..OrderSpec::default()
    }
}

fn approved(signal_id: &str, order: &OrderSpec) -> Body {
    Body::RiskDecision(RiskDecision {
        account: ACCOUNT.to_owned(),
        strategy: "momentum".to_owned(),
        signal_id: signal_id.to_owned(),
        verdict: Verdict::Approved.into(),
        orders: vec![order.clone()],
        ..RiskDecision::default()
    })
}

fn denied(signal_id: &str, symbol: &str) -> Body {
    Body::RiskDecision(RiskDecision {
        account: ACCOUNT.to_owned(),
        strategy: "momentum".to_owned(),
        signal_id: signal_id.to_owned(),
        verdict: Verdict::Denied.into(),
        rule: "max_position".to_owned(),
        reason: "26110.00 <would> exceed 25000.00".to_owned(),
        inputs: vec![RiskInput { symbol: symbol.to_owned(), ..RiskInput::default() }],
        ..RiskDecision::default()
    })
}

fn submitted(order: &OrderSpec) -> Body {
    Body::OrderSubmitted(OrderSubmitted {
        order: Some(order.clone()),
        client_order_id: contracts::client_order_id(&order.order_id),
        broker: "simulated".to_owned(),
    })
}

fn accepted(order: &OrderSpec) -> Body {
    Body::OrderAccepted(OrderAccepted {
        order_id: order.order_id.clone(),
        broker_order_id: format!("sim-{}", order.order_id),
        reopened: false,
    })
}

fn fill(order: &OrderSpec, price_e9: i64) -> Body {
    Body::Fill(Fill {
        order_id: order.order_id.clone(),
        account: order.account.clone(),
        strategy: order.strategy.clone(),
        symbol: order.symbol.clone(),
        side: order.side,
        number: 1,
        quantity_e9: order.quantity_e9,
        price_e9,
        commission: money(1, 0),
        execution_id: format!("{}-1", order.order_id),
        executed_at: Some(to_timestamp(NOW_NS - HOUR)),
        ..Fill::default()
    })
}

/// A mark of the account; it holds 120 AAPL bought at 190 once `held`.
pub fn mark(number: u32, time_ns: i64, equity: i64, held: bool, session_start: bool) -> (Subject, Event) {
    let price =
        MarkPrice { symbol: "AAPL".to_owned(), price_e9: 191_500_000_000, time: Some(to_timestamp(time_ns)) };
    let event = event(
        number,
        time_ns,
        Body::AccountMarked(AccountMarked {
            account: ACCOUNT.to_owned(),
            equity: money(equity, 0),
            cash: money(if held { 77_199 } else { 100_000 }, 0),
            gross_exposure: money(if held { 22_980 } else { 0 }, 0),
            net_exposure: money(if held { 22_980 } else { 0 }, 0),
            unrealized_pnl: money(if held { 180 } else { 0 }, 0),
            fees: money(i64::from(held), 0),
            prices: if held { vec![price] } else { Vec::new() },
            session_start,
            ..AccountMarked::default()
        }),
    );
    (Subject::for_event(&event, None).unwrap(), event)
}

/// What follows the script: 120 more AAPL at 200, then 120 sold at 200. On average 195 was paid for what was sold,
/// first in, first out 190.
pub fn second_lot() -> Vec<(Subject, Event)> {
    let trade = |number: u32, side: Side| {
        let id = event_id("script", "lot", number);
        let order = OrderSpec { side: side.into(), ..spec(&id, "AAPL", 120, None) };
        [submitted(&order), accepted(&order), fill(&order, 200_000_000_000)].map(|body| (order.clone(), body))
    };
    let traded = trade(1, Side::Buy).into_iter().chain(trade(2, Side::Sell));
    (800u32..)
        .zip(traded)
        .map(|(number, (order, body))| {
            let event = event(number, NOW_NS, body);
            (Subject::for_event(&event, Some(&order)).unwrap(), event)
        })
        .collect()
}

/// What follows the script: a strategy buys 20 AAPL at 190.
pub fn bought(strategy: &str) -> Vec<(Subject, Event)> {
    let id = event_id("script", strategy, 0);
    let order = OrderSpec { strategy: strategy.to_owned(), ..spec(&id, "AAPL", 20, None) };
    let bodies = [submitted(&order), accepted(&order), fill(&order, 190_000_000_000)];
    let numbered = (820u32..).zip(bodies).map(|(number, body)| event(number, NOW_NS, body));
    numbered.map(|event| (Subject::for_event(&event, Some(&order)).unwrap(), event)).collect()
}

/// A breaker of the account that tripped.
pub fn tripped() -> (Subject, Event) {
    let tripped = BreakerTripped {
        account: ACCOUNT.to_owned(),
        kind: BreakerKind::Drawdown.into(),
        state: TradingState::ReduceOnly.into(),
        reason: "equity is 0.11 below its peak".to_owned(),
        ..BreakerTripped::default()
    };
    let event = event(911, NOW_NS, Body::BreakerTripped(tripped));
    (Subject::for_event(&event, None).unwrap(), event)
}

/// An alert of the monitor.
pub fn alert() -> (Subject, Event) {
    let alert = AlertRaised {
        account: ACCOUNT.to_owned(),
        kind: "max_exposure".to_owned(),
        detail: "22980 of 25000 used".to_owned(),
        ..AlertRaised::default()
    };
    let event = event(910, NOW_NS, Body::AlertRaised(alert));
    (Subject::for_event(&event, None).unwrap(), event)
}

/// What the monitor measured: a strategy that fell from its peak, in a sector without bars enough.
pub fn measured() -> (Subject, Event) {
    let exposed = |name: &str| RiskGroup {
        name: name.to_owned(),
        gross_exposure: money(22_980, 0),
        net_exposure: money(22_980, 0),
        share_e9: SECOND,
        ..RiskGroup::default()
    };
    let strategy = RiskGroup {
        pnl: money(180, 0),
        peak_pnl: money(1_200, 0),
        drawdown_e9: Some(10_200_000),
        value_at_risk: Some(0.0125),
        expected_shortfall: Some(0.02),
        bars: 100,
        correlation: Some(0.75),
        correlated_first: "AAPL".to_owned(),
        correlated_second: "MSFT".to_owned(),
        concentration_e9: 200_000_000,
        concentrated: "AAPL".to_owned(),
        ..exposed("momentum")
    };
    let sector = RiskGroup { pnl: money(-5, 0), drawdown_e9: Some(0), bars: 12, ..exposed("Technology") };
    let measured = RiskMeasured {
        account: ACCOUNT.to_owned(),
        equity: money(100_180, 0),
        peak_equity: money(100_180, 0),
        strategies: vec![strategy],
        sectors: vec![sector],
        symbols: vec![RiskGroup { sector: "Technology".to_owned(), ..exposed("AAPL") }],
        concentration_e9: 200_000_000,
        concentrated: "AAPL".to_owned(),
        ..RiskMeasured::default()
    };
    let event = event(912, NOW_NS, Body::RiskMeasured(measured));
    (Subject::for_event(&event, None).unwrap(), event)
}

fn opening() -> Vec<Body> {
    let registered = |name: &str| {
        Body::StrategyRegistered(StrategyRegistered {
            strategy: name.to_owned(),
            kind: name.to_owned(),
            account: ACCOUNT.to_owned(),
            actor: "script".to_owned(),
            ..StrategyRegistered::default()
        })
    };
    vec![
        Body::AccountConfigured(AccountConfigured {
            account: ACCOUNT.to_owned(),
            version: 1,
            broker: "simulated".to_owned(),
            limits: Some(RiskLimits::default()),
            actor: "script".to_owned(),
            ..AccountConfigured::default()
        }),
        Body::AccountEntry(AccountEntry {
            account: ACCOUNT.to_owned(),
            kind: EntryKind::Deposit.into(),
            amount: money(100_000, 0),
            ..AccountEntry::default()
        }),
        registered("momentum"),
        registered("sma_cross"),
        Body::StrategyEnabled(StrategyEnabled {
            strategy: "momentum".to_owned(),
            mode: StrategyMode::Paper.into(),
            actor: "script".to_owned(),
        }),
        Body::StrategyWarmed(StrategyWarmed {
            strategy: "momentum".to_owned(),
            market_sequence: 0,
            bars: 2_048,
        }),
    ]
}

/// The whole script, in order.
pub fn events() -> Vec<(Subject, Event)> {
    let mut script: Vec<(i64, Body, Option<OrderSpec>)> =
        opening().into_iter().map(|body| (NOW_NS - 5 * HOUR, body, None)).collect();
    for (symbol, hour, close_e9) in [
        ("AAPL", 2, 190_000_000_000),
        ("BRK.B", 2, 362_000_000_000),
        ("AAPL", 1, 191_500_000_000),
        ("BRK.B", 1, 360_190_000_000),
    ] {
        script.push((NOW_NS - (hour - 1) * HOUR, bar(symbol, NOW_NS - hour * HOUR, close_e9), None));
    }
    let mut written = numbered(script);
    let next = |written: &Vec<(Subject, Event)>| u32::try_from(written.len()).unwrap_or(u32::MAX);
    let mut push = |time_ns: i64, body: Body, order: Option<&OrderSpec>| {
        let event = event(next(&written), time_ns, body);
        let id = event.id.clone();
        written.push((Subject::for_event(&event, order).unwrap(), event));
        id
    };
    let bought = push(NOW_NS - HOUR, signal("AAPL", "return 0.031 above 0.02"), None);
    let order = spec(&bought, "AAPL", 120, None);
    push(NOW_NS - HOUR, approved(&bought, &order), Some(&order));
    push(NOW_NS - HOUR, submitted(&order), Some(&order));
    push(NOW_NS - HOUR, accepted(&order), Some(&order));
    push(NOW_NS, fill(&order, 190_000_000_000), Some(&order));
    let refused = push(NOW_NS, signal("NVDA", "return 0.044 above 0.02"), None);
    push(NOW_NS, denied(&refused, "NVDA"), None);
    let waiting = push(NOW_NS, signal("BRK.B", "return 0.025 above 0.02"), None);
    let working = spec(&waiting, "BRK.B", 10, Some(359_500_000_000));
    push(NOW_NS, approved(&waiting, &working), Some(&working));
    push(NOW_NS, submitted(&working), Some(&working));
    push(NOW_NS, accepted(&working), Some(&working));
    written.push(mark(900, NOW_NS - 5 * HOUR, 100_000, false, true));
    written.push(mark(901, NOW_NS, 100_179, true, false));
    written
}

fn numbered(script: Vec<(i64, Body, Option<OrderSpec>)>) -> Vec<(Subject, Event)> {
    let number = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
    script
        .into_iter()
        .enumerate()
        .map(|(index, (time_ns, body, order))| {
            let event = event(number(index), time_ns, body);
            (Subject::for_event(&event, order.as_ref()).unwrap(), event)
        })
        .collect()
}
