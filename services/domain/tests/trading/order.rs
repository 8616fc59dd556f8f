//! The order aggregate: given events, when a command or report comes, then this event, nothing or a
//! rejection follows; and repeating it adds nothing.

use contracts::v1::event::Body;
use contracts::v1::{
    OrderAccepted, OrderAdjusted, OrderCancelRejected, OrderCancelRequested, OrderCancelled, OrderExpired,
    OrderRejected,
};
use domain::corporate_action::SplitRatio;
use domain::money::{Amount, Price};
use domain::order::decide::{self, Decision};
use domain::order::{BrokerReport, Execution, OrderState, OrderStatus, Phase, Rejection, phase};
use proptest::prelude::*;

use crate::support::{fill, price, shares, spec, submitted};

const ID: &str = "order-1";

struct Given(OrderState);

struct When {
    state: OrderState,
    decision: Decision,
    again: Decision,
}

fn fresh() -> OrderState {
    OrderState::approved(spec(ID), price("50"), 1)
}

fn evolved(mut state: OrderState, events: impl IntoIterator<Item = Body>) -> OrderState {
    for (sequence, body) in (state.last_sequence + 1..).zip(events) {
        state.evolve(sequence, i64::try_from(sequence).unwrap(), &body).unwrap();
    }
    state
}

fn given(events: impl IntoIterator<Item = Body>) -> Given {
    Given(evolved(fresh(), events))
}

impl Given {
    fn when(self, decide: impl Fn(&OrderState) -> Decision) -> When {
        let decision = decide(&self.0);
        let state = evolved(self.0, decision.clone().ok().flatten());
        let again = decide(&state);
        When { state, decision, again }
    }
}

impl When {
    #[track_caller]
    fn then(self, expected: Body) -> OrderState {
        assert_eq!(self.decision, Ok(Some(expected)));
        assert!(!matches!(self.again, Ok(Some(_))), "repeating adds {:?}", self.again);
        self.state
    }

    #[track_caller]
    fn then_nothing(self) -> OrderState {
        assert_eq!(self.decision, Ok(None));
        self.state
    }

    #[track_caller]
    fn then_rejected(self, expected: &str) {
        assert_eq!(self.decision.unwrap_err().to_string(), expected);
    }
}

fn accepted() -> Body {
    Body::OrderAccepted(OrderAccepted {
        order_id: ID.to_owned(),
        broker_order_id: "b-1".to_owned(),
        reopened: false,
    })
}

fn cancel_requested() -> Body {
    Body::OrderCancelRequested(OrderCancelRequested {
        order_id: ID.to_owned(),
        actor: "cli".to_owned(),
        reason: "test".to_owned(),
    })
}

fn cancelled(reason: &str) -> Body {
    Body::OrderCancelled(OrderCancelled { order_id: ID.to_owned(), reason: reason.to_owned() })
}

fn working() -> Vec<Body> {
    vec![submitted(&spec(ID)), accepted()]
}

fn execution(id: &str, quantity: &str) -> Execution {
    Execution {
        execution_id: id.to_owned(),
        quantity: shares(quantity),
        price: price("50"),
        commission: Amount::ZERO,
        slippage: Price::ZERO,
        executed_ns: 0,
        ambiguous: false,
    }
}

fn filled(id: &str, quantity: &str) -> BrokerReport {
    BrokerReport::Filled(execution(id, quantity))
}

#[test]
fn an_approved_order_is_submitted_once() {
    assert_eq!(phase(&fresh()), Phase::MustSubmit);
    let state = given([]).when(|order| decide::submit(order, "simulated")).then(submitted(&spec(ID)));
    assert_eq!((state.status, phase(&state)), (OrderStatus::Submitted, Phase::MustAsk));
    assert_eq!((state.client_order_id.as_str(), state.last_sequence), ("td-order-1", 1));
    given(working()).when(|order| decide::submit(order, "simulated")).then_nothing();
}

#[test]
fn acceptance_makes_it_work() {
    let report = BrokerReport::Accepted { broker_order_id: "b-1".to_owned() };
    let state = given([submitted(&spec(ID))]).when(|order| decide::report(order, &report)).then(accepted());
    assert_eq!((phase(&state), state.accepted_ns), (Phase::Working, Some(2)));
    given([])
        .when(|order| decide::report(order, &report))
        .then_rejected("order order-1 is not submitted, expected no report of a broker");
}

#[test]
fn a_refusal_ends_it() {
    let report = BrokerReport::Rejected { reason: "no".to_owned() };
    let state = given([submitted(&spec(ID))])
        .when(|order| decide::report(order, &report))
        .then(Body::OrderRejected(OrderRejected { order_id: ID.to_owned(), reason: "no".to_owned() }));
    assert_eq!((phase(&state), state.reason.as_str()), (Phase::Done, "no"));
}

#[test]
fn fills_count_up_to_the_quantity() {
    let first = given(working()).when(|order| decide::report(order, &filled("e1", "40")));
    let Ok(Some(Body::Fill(body))) = &first.decision else { panic!("{:?}", first.decision) };
    assert_eq!((body.number, body.remaining_e9), (1, shares("60").0));
    assert_eq!(first.again, Ok(None), "the same execution twice");
    assert_eq!((first.state.filled, first.state.remaining()), (shares("40"), shares("60")));

    Given(first.state.clone())
        .when(|order| decide::report(order, &filled("e2", "61")))
        .then_rejected("order order-1: execution e2 of 61, expected at most 60");
    let last = Given(first.state).when(|order| decide::report(order, &filled("e2", "60")));
    assert_eq!((last.state.status, last.state.fills), (OrderStatus::Filled, 2));
    assert_eq!(last.state.average_price(), Some(price("50")));
    assert_eq!(phase(&last.state), Phase::Done);
}

#[test]
fn a_fill_without_an_id_or_a_price_is_refused() {
    let nameless = BrokerReport::Filled(execution("", "1"));
    given(working())
        .when(|order| decide::report(order, &nameless))
        .then_rejected("order order-1: `execution_id` is , expected the broker's id of the execution");
    let free = BrokerReport::Filled(Execution { price: Price::ZERO, ..execution("e1", "1") });
    given(working())
        .when(|order| decide::report(order, &free))
        .then_rejected("order order-1: `price` is 0, expected a positive price");
}

#[test]
fn a_cancel_goes_to_the_broker_and_ends_it() {
    let ask = |order: &OrderState| decide::request_cancel(order, "cli", "test");
    let state = given(working()).when(ask).then(cancel_requested());
    assert_eq!(phase(&state), Phase::MustCancel);
    let refused = BrokerReport::CancelRejected { reason: "too late".to_owned() };
    let state = Given(state).when(|order| decide::report(order, &refused)).then(Body::OrderCancelRejected(
        OrderCancelRejected { order_id: ID.to_owned(), reason: "too late".to_owned() },
    ));
    assert_eq!(phase(&state), Phase::Working);

    let report = BrokerReport::Cancelled { reason: "done".to_owned() };
    let state = Given(evolved(state, [cancel_requested()]))
        .when(|order| decide::report(order, &report))
        .then(cancelled("done"));
    assert_eq!(phase(&state), Phase::Done);
    Given(state).when(ask).then_rejected("order order-1 is cancelled, expected an open order");
}

#[test]
fn a_cancel_before_submission_withdraws_it() {
    let state = evolved(fresh(), [cancel_requested()]);
    assert_eq!(phase(&state), Phase::MustWithdraw);
    assert!(matches!(decide::submit(&state, "simulated"), Err(Rejection::Ended { .. })));
    let state = Given(state).when(decide::withdraw).then(cancelled("cancelled before it was sent"));
    assert_eq!(phase(&state), Phase::Done);
    given(working())
        .when(decide::withdraw)
        .then_rejected("order order-1 is accepted, expected an order that was never submitted");
}

#[test]
fn a_cancel_while_the_answer_is_unknown_asks_first() {
    let state = evolved(fresh(), [submitted(&spec(ID)), cancel_requested()]);
    assert_eq!(phase(&state), Phase::MustAsk);
    assert_eq!(phase(&evolved(state, [accepted()])), Phase::MustCancel);
}

#[test]
fn a_late_fill_after_a_cancel_is_folded() {
    let events = working().into_iter().chain([cancelled("done")]);
    let late = given(events).when(|order| decide::report(order, &filled("e1", "100")));
    assert!(matches!(late.decision, Ok(Some(Body::Fill(_)))));
    // Everything was filled after all.
    assert_eq!((late.state.status, late.state.filled), (OrderStatus::Filled, shares("100")));
    assert_eq!(late.state.remaining(), shares("0"));
}

#[test]
fn a_fill_before_the_acceptance_makes_it_work() {
    let state = evolved(fresh(), [submitted(&spec(ID)), fill(&spec(ID), 1, shares("1"), price("50"), "0")]);
    assert_eq!(phase(&state), Phase::Working);
}

#[test]
fn an_expiry_ends_it() {
    let report = BrokerReport::Expired { reason: "closed".to_owned() };
    let state = given(working())
        .when(|order| decide::report(order, &report))
        .then(Body::OrderExpired(OrderExpired { order_id: ID.to_owned(), reason: "closed".to_owned() }));
    assert_eq!((phase(&state), state.ended_ns), (Phase::Done, Some(3)));
}

fn ratio(new: i64, old: i64) -> SplitRatio {
    SplitRatio::from_terms(new, old).unwrap()
}

#[test]
fn a_forward_split_restates_it_once() {
    let mut order = fresh();
    order.spec.limit_price_e9 = Some(price("48").0);
    let state = Given(evolved(order, working()))
        .when(|order| decide::adjust(order, ratio(3, 1), "split-1"))
        .then(Body::OrderAdjusted(OrderAdjusted {
            order_id: ID.to_owned(),
            quantity_e9: shares("300").0,
            limit_price_e9: Some(price("16").0),
            stop_price_e9: None,
            action_id: "split-1".to_owned(),
            ..OrderAdjusted::default()
        }));
    assert_eq!(state.remaining(), shares("300"));
    assert_eq!(state.reference_price, price("16.666666667"));
    assert_eq!(state.spec.limit_price_e9, Some(price("16").0));
}

#[test]
fn a_split_keeps_the_filled_share() {
    let part = fill(&spec(ID), 1, shares("40"), price("50"), "0");
    let state = given(working().into_iter().chain([part]))
        .when(|order| decide::adjust(order, ratio(2, 1), "split-1"));
    assert_eq!((state.state.filled, state.state.remaining()), (shares("80"), shares("120")));
}

#[test]
fn a_split_leaves_whole_shares_to_fill() {
    let mut order = fresh();
    order.spec.quantity_e9 = shares("101").0;
    let part = fill(&order.spec, 1, shares("60"), price("50"), "0");
    let split = Given(evolved(order, working().into_iter().chain([part])))
        .when(|order| decide::adjust(order, ratio(3, 2), "split-1"));
    // Of the 151 that are ordered now 90 are bought; 61.5 would be left of 41.
    assert_eq!((split.state.filled, split.state.remaining()), (shares("90"), shares("61")));
}

#[test]
fn a_reverse_split_cancels_it() {
    given(working())
        .when(|order| decide::adjust(order, ratio(1, 10), "split-1"))
        .then(cancelled("reverse split, 1 for 10 shares"));
}

#[test]
fn every_status_has_a_name_of_its_own() {
    for status in OrderStatus::ALL {
        assert_eq!(OrderStatus::from_name(status.name()), Some(status));
    }
}

fn any_report() -> impl Strategy<Value = BrokerReport> {
    prop_oneof![
        Just(BrokerReport::Accepted { broker_order_id: "b-1".to_owned() }),
        Just(BrokerReport::Cancelled { reason: "c".to_owned() }),
        Just(BrokerReport::CancelRejected { reason: "r".to_owned() }),
        Just(BrokerReport::Expired { reason: "x".to_owned() }),
        Just(BrokerReport::Suspended { reason: "s".to_owned() }),
        (0u32..8, 1i64..70).prop_map(|(id, quantity)| filled(&format!("e{id}"), &quantity.to_string())),
    ]
}

proptest! {
    /// Reports shuffled, doubled and dropped never fill more than was ordered, and a report that made an
    /// event never makes another.
    #[test]
    fn reports_in_any_order_never_overfill(reports in prop::collection::vec(any_report(), 0..40)) {
        let mut state = evolved(fresh(), [submitted(&spec(ID))]);
        let mut total = 0;
        for report in &reports {
            let decision = decide::report(&state, report);
            if let Ok(Some(Body::Fill(fill))) = &decision {
                total += fill.quantity_e9;
            }
            state = evolved(state, decision.ok().flatten());
            let again = decide::report(&state, report);
            prop_assert!(!matches!(again, Ok(Some(_))), "{report:?} twice adds {again:?}");
            prop_assert!(state.filled.0 <= state.spec.quantity_e9);
            prop_assert_eq!(state.filled.0, total);
            prop_assert_eq!(phase(&state) == Phase::Done, state.status.is_ended());
        }
    }
}
