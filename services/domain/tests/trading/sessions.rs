//! What a session takes, and what passes where the calendar knows none.

use contracts::v1::{Intent, TimeInForce};
use domain::calendar::Calendar;
use domain::risk::{Rule, SessionAnswer};

use crate::risk::{approved, denied, enter, exit, with};
use crate::scopes::{OTHER, World, leg, signal};
use crate::support::{SYMBOL, at, shares};

#[test]
fn the_session_must_take_the_order() {
    let closed = with(|input| {
        input.session_accepts = false;
        input.strategy_position_e9 = shares("40").0;
    });
    let words = "neither this session nor the next takes the order with its time in force";
    denied(&exit(), &closed, Rule::MarketClosed, words);
    let closed = with(|input| input.session_accepts = false);
    denied(&enter(), &closed, Rule::MarketClosed, words);

    let calendar = Calendar::xnys();
    let night = at("2024-06-12T02:00:00Z");
    let answer = |time_in_force, ns| SessionAnswer::of(calendar, time_in_force, ns);
    assert_eq!(answer(TimeInForce::Day, night), SessionAnswer::Accepts, "it queues for the next session");
    assert_eq!(answer(TimeInForce::Gtc, night), SessionAnswer::Accepts);
    assert_eq!(answer(TimeInForce::Ioc, night), SessionAnswer::Closed, "it must trade at once");
    assert_eq!(answer(TimeInForce::Fok, at("2024-06-12T15:00:00Z")), SessionAnswer::Accepts);
    assert_eq!(answer(TimeInForce::Opg, night), SessionAnswer::Accepts);
    assert_eq!(answer(TimeInForce::Cls, night), SessionAnswer::Accepts);
}

#[test]
fn beyond_the_calendar_what_only_reduces_passes() {
    let (calendar, later) = (Calendar::xnys(), at("2035-01-02T15:00:00Z"));
    let last_night = at("2031-01-01T02:00:00Z");
    let answer = |time_in_force, ns| SessionAnswer::of(calendar, time_in_force, ns);
    assert_eq!(answer(TimeInForce::Day, later), SessionAnswer::Unknown);
    assert_eq!(answer(TimeInForce::Ioc, later), SessionAnswer::Unknown);
    assert_eq!(answer(TimeInForce::Gtc, last_night), SessionAnswer::Unknown, "no next session is known");
    assert_eq!(answer(TimeInForce::Ioc, last_night), SessionAnswer::Closed, "it is known to be closed");

    let held = with(|input| {
        (input.session_accepts, input.session_unknown) = (false, true);
        input.strategy_position_e9 = shares("40").0;
    });
    assert_eq!(approved(&exit(), &held).quantity_e9, shares("40").0);
    let unknown = with(|input| (input.session_accepts, input.session_unknown) = (false, true));
    let words = "the calendar knows no session at this time; only reducing orders pass";
    denied(&enter(), &unknown, Rule::MarketClosed, words);
}

#[test]
fn what_is_held_can_be_closed_when_the_calendar_has_ended() {
    let mut world = World::new();
    world.hold(SYMBOL, 100);
    world.now_ns = at("2035-01-02T15:00:00Z");
    let decision = world.passes(&signal(vec![leg(SYMBOL, Intent::Exit)]));
    assert_eq!(decision.orders[0].quantity_e9, shares("100").0);
    assert!(decision.inputs[0].session_unknown && !decision.inputs[0].session_accepts);
    let reason = world.denies(&signal(vec![leg(OTHER, Intent::EnterLong)]), "market_closed");
    assert!(reason.starts_with("the calendar knows no session"), "{reason}");
}
