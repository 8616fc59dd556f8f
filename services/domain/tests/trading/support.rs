//! Builders shared by the tests.

use contracts::v1::event::Body;
use contracts::v1::{
    AccountConfigured, AccountEntry, Costs, EntryKind, Event, Fill, Money, OrderSpec, OrderSubmitted,
    OrderType, RiskDecision, RiskInput, RiskLimits, Side, Sizing, SizingKind, StrategyEnabled, StrategyMode,
    StrategyRegistered, TimeInForce, Verdict,
};
use contracts::{client_order_id, to_timestamp};
use domain::bar::Bar;
use domain::book::Book;
use domain::money::{Amount, Price, Quantity, Volume};

/// An account of the tests.
pub const ACCOUNT: &str = "paper";
/// A strategy of the tests.
pub const STRATEGY: &str = "trend";
/// A symbol of the tests.
pub const SYMBOL: &str = "ACME";

/// A price from decimal text.
pub fn price(text: &str) -> Price {
    text.parse().unwrap()
}

/// Shares from decimal text.
pub fn shares(text: &str) -> Quantity {
    text.parse().unwrap()
}

/// An amount from decimal text.
pub fn amount(text: &str) -> Amount {
    text.parse().unwrap()
}

/// Money from decimal text.
pub fn money(text: &str) -> Option<Money> {
    amount(text).to_wire()
}

/// UTC nanoseconds of an RFC 3339 time.
pub fn at(text: &str) -> i64 {
    chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_nanos_opt().unwrap()
}

/// An event with an id that names its time and its body.
pub fn event(event_ns: i64, body: Body) -> Event {
    let id = contracts::event_id(&format!("{event_ns}/{body:?}"), "test", 0);
    Event { id, event_time: Some(to_timestamp(event_ns)), body: Some(body), ..Event::default() }
}

/// A buy of 100 shares at the market, good for the day.
pub fn spec(order_id: &str) -> OrderSpec {
    OrderSpec {
        order_id: order_id.to_owned(),
        account: ACCOUNT.to_owned(),
        strategy: STRATEGY.to_owned(),
        symbol: SYMBOL.to_owned(),
        side: Side::Buy.into(),
        order_type: OrderType::Market.into(),
        time_in_force: TimeInForce::Day.into(),
        quantity_e9: shares("100").0,
        ..OrderSpec::default()
    }
}

/// A decision that approves `spec` at `price`.
pub fn approval(spec: &OrderSpec, price: Price) -> Body {
    Body::RiskDecision(RiskDecision {
        account: spec.account.clone(),
        strategy: spec.strategy.clone(),
        signal_id: format!("signal-{}", spec.order_id),
        verdict: Verdict::Approved.into(),
        orders: vec![spec.clone()],
        inputs: vec![RiskInput {
            symbol: spec.symbol.clone(),
            leg: spec.leg,
            price_e9: price.0,
            ..RiskInput::default()
        }],
        ..RiskDecision::default()
    })
}

/// The submission of `spec`.
pub fn submitted(spec: &OrderSpec) -> Body {
    Body::OrderSubmitted(OrderSubmitted {
        order: Some(spec.clone()),
        client_order_id: client_order_id(&spec.order_id),
        broker: "simulated".to_owned(),
    })
}

/// Fill number `number` of `spec`.
pub fn fill(spec: &OrderSpec, number: u32, quantity: Quantity, price: Price, commission: &str) -> Body {
    Body::Fill(Fill {
        order_id: spec.order_id.clone(),
        account: spec.account.clone(),
        strategy: spec.strategy.clone(),
        symbol: spec.symbol.clone(),
        side: spec.side,
        number,
        quantity_e9: quantity.0,
        price_e9: price.0,
        commission: money(commission),
        execution_id: format!("x-{}-{number}", spec.order_id),
        ..Fill::default()
    })
}

/// A deposit into the account of the tests.
pub fn deposit(text: &str) -> Body {
    Body::AccountEntry(AccountEntry {
        account: ACCOUNT.to_owned(),
        kind: EntryKind::Deposit.into(),
        amount: money(text),
        ..AccountEntry::default()
    })
}

/// Generous limits, without shorts.
pub fn limits() -> RiskLimits {
    RiskLimits {
        max_position_fraction_e9: shares("0.5").0,
        max_exposure_fraction_e9: shares("1").0,
        max_order_value: money("50000"),
        max_daily_loss_fraction_e9: shares("0.05").0,
        price_collar_fraction_e9: shares("0.1").0,
        max_price_age_ms: 60_000,
        allow_short: false,
    }
}

/// The configuration of the account of the tests.
pub fn configured(limits: RiskLimits) -> Body {
    Body::AccountConfigured(AccountConfigured {
        account: ACCOUNT.to_owned(),
        version: 1,
        broker: "simulated".to_owned(),
        limits: Some(limits),
        costs: Some(Costs::default()),
        ..AccountConfigured::default()
    })
}

/// The registration of the strategy of the tests, with a fixed size.
pub fn registered(size: &str) -> Body {
    Body::StrategyRegistered(StrategyRegistered {
        strategy: STRATEGY.to_owned(),
        kind: "sma_cross".to_owned(),
        sizing: Some(Sizing {
            kind: SizingKind::Fixed.into(),
            value_e9: shares(size).0,
            ..Sizing::default()
        }),
        account: ACCOUNT.to_owned(),
        ..StrategyRegistered::default()
    })
}

/// Enables the strategy of the tests.
pub fn enabled(mode: StrategyMode) -> Body {
    Body::StrategyEnabled(StrategyEnabled {
        strategy: STRATEGY.to_owned(),
        mode: mode.into(),
        ..StrategyEnabled::default()
    })
}

/// A book that folded `bodies`, one nanosecond apart, from sequence 1 on.
pub fn book_of(bodies: impl IntoIterator<Item = Body>) -> Book {
    let mut book = Book::default();
    fold(&mut book, bodies);
    book
}

/// Folds further `bodies` after what the book has seen.
pub fn fold(book: &mut Book, bodies: impl IntoIterator<Item = Body>) {
    for body in bodies {
        let sequence = book.sequence() + 1;
        book.apply(sequence, &event(i64::try_from(sequence).unwrap(), body)).unwrap();
    }
}

/// A bar from RFC 3339 times and decimal prices: open, high, low, close.
pub fn bar(start: &str, close: &str, prices: [&str; 4]) -> Bar {
    let [open, high, low, last] = prices.map(price);
    Bar { start_ns: at(start), close_ns: at(close), open, high, low, close: last, volume: Volume(1_000) }
}
