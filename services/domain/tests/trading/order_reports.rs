//! Whatever of a broker's reports is lost, doubled or out of order: once the broker has said how the order stands,
//! the order is as the broker says.

use contracts::client_order_id_of;
use contracts::v1::OrderSpec;
use domain::money::{Amount, Price, Quantity};
use domain::order::decide;
use domain::order::{
    BrokerReport, BrokerTruth, Execution, OrderStage, OrderState, OrderStatus, Standing, Terms, reconcile,
};
use proptest::prelude::*;

use crate::support::{amount, price, shares, spec, submitted};

const ID: &str = "order-1";

/// One thing that happens at the broker.
#[derive(Clone, Debug)]
enum Happens {
    Fill(i64, i64),
    Correct(usize, i64, i64),
    Bust(usize),
    Replace(i64),
    Suspend,
    Resume,
    Cancel,
    Expire,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        4 => (1i64..60, 40i64..60).prop_map(|(shares, price)| Happens::Fill(shares, price)),
        2 => (0usize..4, 1i64..60, 40i64..60).prop_map(|(which, shares, price)| Happens::Correct(which, shares, price)),
        1 => (0usize..4).prop_map(Happens::Bust),
        2 => (1i64..250).prop_map(Happens::Replace),
        1 => Just(Happens::Suspend),
        1 => Just(Happens::Resume),
        1 => Just(Happens::Cancel),
        1 => Just(Happens::Expire),
    ]
}

/// A broker with one order of 100 shares: what it reports, and how the order stands.
struct Broker {
    truth: BrokerTruth,
    reports: Vec<BrokerReport>,
    revision: u32,
    said: usize,
}

impl Broker {
    fn new() -> Self {
        let truth = BrokerTruth {
            client_order_id: client_order_id_of(ID, 0),
            broker_order_id: "b-0".to_owned(),
            standing: Standing::Working,
            quantity: shares("100"),
            limit: None,
            stop: None,
            executions: Vec::new(),
        };
        let reports = vec![BrokerReport::Accepted { broker_order_id: "b-0".to_owned() }];
        Self { truth, reports, revision: 0, said: 0 }
    }

    fn filled(&self) -> i64 {
        self.truth.executions.iter().map(|execution| execution.quantity.0).sum()
    }

    fn works(&self) -> bool {
        matches!(self.truth.standing, Standing::Working | Standing::Suspended(_))
    }

    fn take(&mut self, happens: &Happens) {
        self.said += 1;
        let id = self.said;
        match *happens {
            Happens::Fill(quantity, at) if self.works() => {
                let left = self.truth.quantity.0 - self.filled();
                let quantity = (quantity * 1_000_000_000).min(left);
                if quantity <= 0 {
                    return;
                }
                let execution = Execution {
                    execution_id: format!("e-{id}"),
                    quantity: Quantity(quantity),
                    price: Price(at * 1_000_000_000),
                    commission: amount("1"),
                    slippage: Price::ZERO,
                    executed_ns: i64::try_from(id).unwrap(),
                    ambiguous: false,
                };
                self.truth.executions.push(execution.clone());
                self.reports.push(BrokerReport::Filled(execution));
                if self.filled() == self.truth.quantity.0 {
                    self.truth.standing = Standing::Filled;
                }
            }
            Happens::Correct(which, quantity, at) if which < self.truth.executions.len() => {
                let others = self.filled() - self.truth.executions[which].quantity.0;
                let quantity = (quantity * 1_000_000_000).min(self.truth.quantity.0 - others);
                if quantity <= 0 {
                    return;
                }
                let execution = &mut self.truth.executions[which];
                (execution.quantity, execution.price) = (Quantity(quantity), Price(at * 1_000_000_000));
                let execution = execution.clone();
                self.reports.push(BrokerReport::Corrected { correction_id: format!("c-{id}"), execution });
                if self.works() && self.filled() == self.truth.quantity.0 {
                    self.truth.standing = Standing::Filled;
                }
            }
            Happens::Bust(which) if which < self.truth.executions.len() => {
                let execution_id = self.truth.executions.remove(which).execution_id;
                let (correction_id, reason) = (format!("c-{id}"), "erroneous".to_owned());
                self.reports.push(BrokerReport::Busted { correction_id, execution_id, reason });
            }
            Happens::Replace(quantity) if self.works() => {
                let quantity = quantity * 1_000_000_000;
                if quantity <= self.filled() {
                    return;
                }
                self.revision += 1;
                self.truth.client_order_id = client_order_id_of(ID, self.revision);
                self.truth.broker_order_id = format!("b-{}", self.revision);
                self.truth.quantity = Quantity(quantity);
                self.reports.push(BrokerReport::Replaced(Terms {
                    client_order_id: self.truth.client_order_id.clone(),
                    broker_order_id: self.truth.broker_order_id.clone(),
                    quantity: self.truth.quantity,
                    limit: None,
                    stop: None,
                }));
            }
            Happens::Suspend if self.truth.standing == Standing::Working => {
                self.truth.standing = Standing::Suspended("halted".to_owned());
                self.reports.push(BrokerReport::Suspended { reason: "halted".to_owned() });
            }
            Happens::Resume if self.works() => {
                self.truth.standing = Standing::Working;
                let broker_order_id = self.truth.broker_order_id.clone();
                self.reports.push(BrokerReport::Accepted { broker_order_id });
            }
            Happens::Cancel if self.works() => {
                self.truth.standing = Standing::Cancelled("asked".to_owned());
                self.reports.push(BrokerReport::Cancelled { reason: "asked".to_owned() });
            }
            Happens::Expire if self.works() => {
                self.truth.standing = Standing::Expired("closed".to_owned());
                self.reports.push(BrokerReport::Expired { reason: "closed".to_owned() });
            }
            _ => {}
        }
    }
}

/// Folds what a report comes to; a rejection changes nothing.
fn fold(state: &mut OrderState, report: &BrokerReport) {
    let before = state.stage();
    let Ok(Some(body)) = decide::report(state, report) else { return };
    let sequence = state.last_sequence + 1;
    state.evolve(sequence, i64::try_from(sequence).unwrap(), &body).unwrap();
    assert!(before.may_become(state.stage()), "{before:?} became {:?} by {body:?}", state.stage());
    let again = decide::report(state, report);
    assert!(!matches!(again, Ok(Some(_))), "the same report again adds {again:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn reports_shuffled_doubled_and_dropped_converge_to_the_brokers_truth(
        story in proptest::collection::vec(happens(), 0..14),
        delivered in proptest::collection::vec(any::<prop::sample::Index>(), 0..40),
        in_order in any::<bool>(),
    ) {
        let mut broker = Broker::new();
        for happens in &story {
            broker.take(happens);
        }
        let mut places: Vec<usize> = delivered.iter().map(|index| index.index(broker.reports.len())).collect();
        if in_order {
            places.sort_unstable();
        }
        let mut state = OrderState::approved(spec(ID), price("50"), 1);
        state.evolve(1, 1, &submitted(&spec(ID))).unwrap();
        for place in places {
            fold(&mut state, &broker.reports[place]);
        }
        // One round is enough; a second one finds nothing to add.
        for report in reconcile(&state, &broker.truth) {
            fold(&mut state, &report);
        }
        for report in reconcile(&state, &broker.truth) {
            let more = decide::report(&state, &report);
            prop_assert!(!matches!(more, Ok(Some(_))), "a second round adds {more:?}");
        }

        let truth = &broker.truth;
        let value = |execution: &Execution| Amount::notional(execution.price, execution.quantity).0;
        prop_assert_eq!(state.filled.0, broker.filled());
        prop_assert_eq!(state.filled_value.0, truth.executions.iter().map(value).sum::<i128>());
        prop_assert_eq!(state.commission.0, truth.executions.iter().map(|of| of.commission.0).sum::<i128>());
        prop_assert_eq!(state.spec.quantity_e9, truth.quantity.0);
        prop_assert_eq!(&state.client_order_id, &truth.client_order_id);
        prop_assert_eq!(state.status.is_ended(), !broker.works(), "{:?} at {:?}", state.status, truth.standing);
        if matches!(truth.standing, Standing::Suspended(_)) {
            prop_assert_eq!(state.status, OrderStatus::Suspended);
        }
        let mut live: Vec<_> = state.executions.iter().filter(|known| !known.is_busted()).map(|known| known.id.clone()).collect();
        live.sort();
        let mut expected: Vec<_> = truth.executions.iter().map(|of| of.execution_id.clone()).collect();
        expected.sort();
        prop_assert_eq!(live, expected);
    }
}

#[test]
fn an_order_for_an_amount_whose_fill_was_restated_has_ended_with_its_broker() {
    let order = OrderSpec { notional_e9: Some(price("1000").0), quantity_e9: shares("20").0, ..spec(ID) };
    let mut state = OrderState::approved(order.clone(), price("50"), 1);
    state.evolve(1, 1, &submitted(&order)).unwrap();
    // It was filled for its whole amount, at 50; what is told is what counts now.
    let execution = Execution {
        execution_id: "x".to_owned(),
        quantity: shares("20"),
        price: price("48"),
        commission: Amount::ZERO,
        slippage: Price::ZERO,
        executed_ns: 5,
        ambiguous: false,
    };
    let standing = Standing::Filled;
    let truth =
        BrokerTruth { standing, quantity: shares("20"), executions: vec![execution], ..Broker::new().truth };
    for report in reconcile(&state, &truth) {
        fold(&mut state, &report);
    }
    assert_eq!((state.status, state.filled), (OrderStatus::Cancelled, shares("20")));
    assert!(
        reconcile(&state, &truth).iter().all(|report| !matches!(decide::report(&state, report), Ok(Some(_))))
    );
}

#[test]
fn every_stage_has_a_name_of_its_own_and_somewhere_to_go() {
    for stage in OrderStage::ALL {
        assert_eq!(OrderStage::from_name(stage.name()), Some(stage));
        let next =
            OrderStage::ALL.into_iter().filter(|next| *next != stage && stage.may_become(*next)).count();
        assert_eq!(next == 0, stage == OrderStage::Denied, "{stage:?}");
    }
}
