//! Random sequences of signals, fills and price moves never exceed a limit.

use contracts::v1::event::Body;
use contracts::v1::{Intent, OrderCancelled, RiskDecision, Signal, Verdict};
use domain::book::{Book, Prices, mark};
use domain::calendar::Calendar;
use domain::money::{Amount, Price, Quantity};
use domain::risk::{decide, rederive, view};
use proptest::prelude::*;

use crate::risk::{leg, signal};
use crate::support::{
    ACCOUNT, SYMBOL, at, book_of, configured, deposit, enabled, fill, fold, limits, registered,
};

#[derive(Clone, Debug)]
enum Step {
    Signal { intent: Intent, quantity: Option<i64> },
    FillOne(usize),
    CancelOne(usize),
    Price(i64),
}

fn any_step() -> impl Strategy<Value = Step> {
    let intent = prop_oneof![Just(Intent::EnterLong), Just(Intent::EnterShort), Just(Intent::Exit)];
    prop_oneof![
        3 => (intent, prop::option::of(1i64..60))
            .prop_map(|(intent, quantity)| Step::Signal { intent, quantity }),
        2 => any::<usize>().prop_map(Step::FillOne),
        1 => any::<usize>().prop_map(Step::CancelOne),
        1 => (20i64..80).prop_map(Step::Price),
    ]
}

struct World {
    book: Book,
    prices: Prices,
    now_ns: i64,
    signals: u32,
}

impl World {
    fn new(allow_short: bool) -> Self {
        let limits = contracts::v1::RiskLimits { allow_short, ..limits() };
        let (mode, now_ns) = (contracts::v1::StrategyMode::Paper, at("2024-06-11T15:00:00Z"));
        let book = book_of([deposit("10000"), configured(limits), registered("30"), enabled(mode)]);
        let mut world = Self { book, prices: Prices::default(), now_ns, signals: 0 };
        world.price(50);
        world
    }

    fn price(&mut self, price: i64) {
        self.now_ns += 1;
        self.prices.observe(SYMBOL, Price(price * 1_000_000_000), self.now_ns);
        let body = mark(&self.book, ACCOUNT, &self.prices, false).unwrap();
        fold(&mut self.book, [Body::AccountMarked(body)]);
    }

    fn signal(&mut self, signal: &Signal) -> RiskDecision {
        self.signals += 1;
        let view = view(&self.book, &self.prices, Calendar::xnys(), signal, self.now_ns, ACCOUNT);
        let decision = decide(&format!("signal-{}", self.signals), signal, &view);
        assert_eq!(rederive(&decision, signal, &view.policy), decision);
        fold(&mut self.book, [Body::RiskDecision(decision.clone())]);
        decision
    }

    fn open_order(&self, pick: usize) -> Option<contracts::v1::OrderSpec> {
        let open: Vec<_> = self.book.open_orders().collect();
        let order = *open.get(pick.checked_rem(open.len())?)?;
        Some(order.spec.clone())
    }

    /// Worst position in either direction if only the orders of that side are filled.
    fn worst(&self) -> Amount {
        let held = self.book.net_quantity(ACCOUNT, SYMBOL);
        let reserved = self.book.reserved(ACCOUNT, None, SYMBOL);
        let price = self.prices.get(SYMBOL).unwrap().price;
        let long = Amount::notional(price, Quantity(held.0 + reserved.buy.0));
        let short = Amount::notional(price, Quantity(held.0 + reserved.sell.0));
        long.abs().max(short.abs())
    }
}

proptest! {
    #[test]
    fn approved_and_open_exposure_stays_within_limits(
        steps in prop::collection::vec(any_step(), 1..60),
        allow_short in any::<bool>(),
    ) {
        let mut world = World::new(allow_short);
        for step in steps {
            match step {
                Step::Price(price) => world.price(price),
                Step::Signal { intent, quantity } => {
                    let mut leg = leg(intent);
                    leg.quantity_e9 = quantity.map(|quantity| quantity * 1_000_000_000);
                    let before = world.worst();
                    let decision = world.signal(&signal(vec![leg]));
                    let equity = Amount::from_wire(decision.inputs[0].equity.as_ref());
                    let most = equity.times_e9(limits().max_position_fraction_e9).unwrap();
                    // Prices move held positions beyond a limit; a decision never does.
                    let worst = world.worst();
                    prop_assert!(worst <= most.max(before), "{worst} of {most} after {decision:?}");
                    if intent == Intent::Exit && decision.verdict() == Verdict::Approved {
                        prop_assert!(decision.orders[0].reducing);
                        prop_assert!(world.worst() <= before, "an exit adds no exposure");
                    }
                }
                Step::FillOne(pick) => {
                    if let Some(spec) = world.open_order(pick) {
                        let price = world.prices.get(SYMBOL).unwrap().price;
                        fold(&mut world.book, [fill(&spec, 1, Quantity(spec.quantity_e9), price, "0")]);
                    }
                }
                Step::CancelOne(pick) => {
                    if let Some(spec) = world.open_order(pick) {
                        let (order_id, reason) = (spec.order_id, String::new());
                        fold(&mut world.book, [Body::OrderCancelled(OrderCancelled { order_id, reason })]);
                    }
                }
            }
            if !allow_short {
                let held = world.book.net_quantity(ACCOUNT, SYMBOL);
                prop_assert!(held >= Quantity::ZERO, "a cash account went short: {held}");
            }
        }
    }
}
