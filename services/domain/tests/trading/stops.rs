//! Stops, breakers and the kill switch: what still passes, and what ends.

use contracts::v1::event::Body;
use contracts::v1::{
    BreakerKind, BreakerReset, BreakerTripped, Intent, OrderCancelled, PositionsFate, SignalLeg,
    StrategyDisabled, StrategyRemoved, TradingHalted, TradingKilled, TradingResumed, TradingState,
};
use domain::book::{GroupStep, Halt, Scope};

use crate::scopes::{OTHER, World, exit, leg, signal};
use crate::support::{ACCOUNT, STRATEGY, SYMBOL, approval, price, shares, spec};

#[test]
fn stops_and_breakers_let_reducing_pass_unless_halted() {
    let mut world = World::new();
    world.hold(SYMBOL, 100);
    let more = signal(vec![SignalLeg { quantity_e9: Some(shares("1").0), ..leg(SYMBOL, Intent::EnterLong) }]);
    let trip = |state: TradingState| {
        Body::BreakerTripped(BreakerTripped {
            account: ACCOUNT.to_owned(),
            kind: BreakerKind::Drawdown.into(),
            state: state.into(),
            reason: "too far down".to_owned(),
            ..BreakerTripped::default()
        })
    };
    let reset = || {
        Body::BreakerReset(BreakerReset {
            account: ACCOUNT.to_owned(),
            kind: BreakerKind::Drawdown.into(),
            ..BreakerReset::default()
        })
    };
    world.fold([trip(TradingState::ReduceOnly)]);
    assert_eq!(world.denies(&more, "breaker"), "the account may only reduce: too far down");
    world.passes(&exit());
    world.fold([reset(), trip(TradingState::Halted)]);
    world.denies(&exit(), "breaker");
    world.fold([reset()]);
    world.passes(&more);
    let halt = |strategy: &str, state: TradingState| {
        Body::TradingHalted(TradingHalted {
            strategy: strategy.to_owned(),
            state: state.into(),
            reason: "drill".to_owned(),
            ..TradingHalted::default()
        })
    };
    let resume = |strategy: &str| {
        Body::TradingResumed(TradingResumed { strategy: strategy.to_owned(), ..TradingResumed::default() })
    };
    world.fold([halt("somebody", TradingState::Halted)]);
    world.passes(&more);
    world.fold([halt(STRATEGY, TradingState::Unspecified)]);
    world.denies(&more, "halted");
    world.passes(&exit());
    // What is said is the state in force.
    world.fold([resume(STRATEGY), halt("", TradingState::Unspecified)]);
    assert_eq!(world.denies(&more, "halted"), "trading is reduce-only; only reducing orders pass");
    world.passes(&exit());
    world.fold([halt("", TradingState::Halted)]);
    assert_eq!(world.denies(&more, "halted"), "the account is halted: drill");
    assert_eq!(world.denies(&exit(), "halted"), "the account is halted: drill");
    world.fold([resume("")]);
    world.passes(&exit());
}

#[test]
fn a_kill_switch_asks_for_the_end_of_every_order_in_its_scope() {
    let mut world = World::new();
    let open = spec(&contracts::order_id("open", 0));
    let mut other = spec(&contracts::order_id("other", 0));
    other.strategy = "somebody".to_owned();
    world.fold([approval(&open, price("50")), approval(&other, price("50"))]);
    let kill = TradingKilled { strategy: STRATEGY.to_owned(), flatten: true, ..TradingKilled::default() };
    world.fold([Body::TradingKilled(kill)]);
    assert!(world.book.order(&open.order_id).unwrap().cancel_requested);
    assert!(!world.book.order(&other.order_id).unwrap().cancel_requested);
    world.denies(&signal(vec![leg(OTHER, Intent::EnterLong)]), "halted");
    // An approval that did not know of it is withdrawn before it is sent.
    let late = spec(&contracts::order_id("late", 0));
    world.fold([approval(&late, price("50"))]);
    assert!(world.book.order(&late.order_id).unwrap().cancel_requested);
    assert_eq!(world.book.kills().count(), 1);
    world.fold([Body::TradingResumed(TradingResumed {
        strategy: STRATEGY.to_owned(),
        ..TradingResumed::default()
    })]);
    assert_eq!(world.book.kills().count(), 0);
}

/// What is said of one scope, each in its turn.
struct Scoped {
    account: &'static str,
    strategy: &'static str,
}

impl Scoped {
    fn halt(&self, state: TradingState, reason: &str) -> Body {
        let (account, strategy) = (self.account.to_owned(), self.strategy.to_owned());
        let (state, actor, reason) = (state.into(), "ann".to_owned(), reason.to_owned());
        Body::TradingHalted(TradingHalted { account, actor, reason, strategy, state })
    }

    fn kill(&self, flatten: bool, reason: &str) -> Body {
        let (account, strategy) = (self.account.to_owned(), self.strategy.to_owned());
        let (actor, reason) = ("bob".to_owned(), reason.to_owned());
        Body::TradingKilled(TradingKilled { account, strategy, flatten, actor, reason })
    }

    fn resume(&self) -> Body {
        let (account, strategy) = (self.account.to_owned(), self.strategy.to_owned());
        Body::TradingResumed(TradingResumed { account, strategy, ..TradingResumed::default() })
    }

    /// State, author and reason of what is in force.
    fn in_force(&self, world: &World) -> Option<(TradingState, String, String)> {
        let halt = world.book.own_halt(self.account, self.strategy)?;
        Some((halt.state, halt.actor, halt.reason))
    }
}

#[test]
fn the_strictest_that_was_said_of_a_scope_stays_until_it_is_resumed() {
    for (account, strategy) in [("", ""), (ACCOUNT, ""), ("", STRATEGY), (ACCOUNT, STRATEGY)] {
        let (scope, mut world) = (Scoped { account, strategy }, World::new());
        let in_force = |state, actor: &str, reason: &str| Some((state, actor.to_owned(), reason.to_owned()));
        world.hold(SYMBOL, 100);
        world.fold([scope.halt(TradingState::Unspecified, "first")]);
        assert_eq!(scope.in_force(&world), in_force(TradingState::Unspecified, "ann", "first"));
        // What is as strict takes its place, and so does what is stricter.
        world.fold([scope.kill(false, "second")]);
        assert_eq!(scope.in_force(&world), in_force(TradingState::ReduceOnly, "bob", "second"));
        world.passes(&exit());
        world.fold([scope.halt(TradingState::Halted, "third")]);
        let since_ns = world.book.own_halt(account, strategy).unwrap().since_ns;
        for weaker in [
            scope.halt(TradingState::Unspecified, "later"),
            scope.halt(TradingState::ReduceOnly, "later"),
            scope.kill(false, "later"),
        ] {
            world.fold([weaker]);
            assert_eq!(scope.in_force(&world), in_force(TradingState::Halted, "ann", "third"));
            assert_eq!(world.book.own_halt(account, strategy).unwrap().since_ns, since_ns);
            assert!(world.denies(&exit(), "halted").ends_with(" is halted: third"));
            assert!(world.book.is_stopped(ACCOUNT, STRATEGY, true));
        }
        // One that closes positions goes on with it, and stands as such.
        world.fold([scope.kill(true, "close"), scope.kill(false, "cancel")]);
        assert_eq!(scope.in_force(&world), in_force(TradingState::Halted, "bob", "close"));
        let kills: Vec<_> = world.book.kills().map(|kill| (kill.ask.flatten, kill.ask.reason)).collect();
        assert_eq!(kills, [(true, "close".to_owned())]);

        world.fold([scope.resume()]);
        assert_eq!((scope.in_force(&world), world.book.kills().count()), (None, 0));
        world.passes(&exit());
        world.fold([scope.halt(TradingState::ReduceOnly, "down")]);
        assert_eq!(scope.in_force(&world), in_force(TradingState::ReduceOnly, "ann", "down"));
        world.passes(&exit());
    }
}

#[test]
fn a_kill_switch_that_stops_less_cancels_all_the_same() {
    for (account, strategy) in [("", ""), (ACCOUNT, STRATEGY)] {
        let (scope, mut world) = (Scoped { account, strategy }, World::new());
        let open = spec(&contracts::order_id("open", 0));
        world.fold([approval(&open, price("50")), scope.halt(TradingState::Halted, "looks odd")]);
        assert!(!world.book.order(&open.order_id).unwrap().cancel_requested);
        world.fold([scope.kill(false, "later")]);
        assert!(world.book.order(&open.order_id).unwrap().cancel_requested);
        assert_eq!(world.book.own_halt(account, strategy).unwrap().reason, "looks odd");
    }
}

#[test]
fn what_stays_in_force_is_said_with_what_was_asked() {
    let halt = |actor: &str, reason: &str| {
        let (actor, reason) = (actor.to_owned(), reason.to_owned());
        Halt { actor, reason, since_ns: 1, state: TradingState::Halted }
    };
    for (actor, reason, words) in [
        ("ann", "looks odd", "stays halted: looks odd (by ann); asked for reduce-only"),
        ("ann", "", "stays halted (by ann); asked for reduce-only"),
        ("", "looks odd", "stays halted: looks odd; asked for reduce-only"),
        ("", "", "stays halted; asked for reduce-only"),
    ] {
        assert_eq!(halt(actor, reason).stays(), words);
    }
}

/// The one message of docs/risk.md, as `nats pub` sends it.
#[test]
fn the_kill_switch_is_one_message_in_json() {
    let text = r#"{"id":"kill-1","eventTime":"2024-01-08T15:31:00Z","tradingKilled":{"flatten":true,"actor":"ann","reason":"by hand"}}"#;
    let event = contracts::decode(text.as_bytes()).unwrap();
    let subject = contracts::Subject::for_event(&event, None).unwrap();
    assert_eq!(subject.as_str(), "control.trading.all.killed");
    let mut world = World::new();
    let open = spec(&contracts::order_id("open", 0));
    world.fold([approval(&open, price("50"))]);
    world.book.apply(world.book.sequence() + 1, &event).unwrap();
    assert!(world.book.order(&open.order_id).unwrap().cancel_requested);
    world.denies(&signal(vec![leg(OTHER, Intent::EnterLong)]), "halted");
    let kill = world.book.kills().next().unwrap();
    assert_eq!((kill.id.as_str(), kill.ask.flatten), ("kill-1", true));
}

#[test]
fn a_name_stays_within_reach_while_anything_is_in_it() {
    let mut world = World::new();
    let names = |world: &World| -> Vec<String> {
        world.book.strategy_names().into_iter().map(str::to_owned).collect()
    };
    assert!(world.book.in_name(STRATEGY).is_empty());
    assert_eq!(names(&world), [STRATEGY], "it is registered");
    let open = spec(&contracts::order_id("open", 0));
    world.hold(SYMBOL, 20);
    let removed = StrategyRemoved { strategy: STRATEGY.to_owned(), ..StrategyRemoved::default() };
    world.fold([approval(&open, price("50")), Body::StrategyRemoved(removed)]);
    let held = world.book.in_name(STRATEGY);
    assert_eq!(held.to_string(), format!("20 {SYMBOL}, 1 open order"));
    assert!(held.holds() && !held.leaving && !held.is_empty());
    assert_eq!(names(&world), [STRATEGY], "it is removed and holds something");

    // What it holds is closed as that of any other.
    let stop = StrategyDisabled {
        strategy: STRATEGY.to_owned(),
        positions: PositionsFate::Flatten.into(),
        ..StrategyDisabled::default()
    };
    world.fold([Body::StrategyDisabled(stop)]);
    assert!(world.book.in_name(STRATEGY).leaving);
    let step = world.book.stop_step(world.book.strategy(STRATEGY).unwrap());
    let Some(GroupStep::Handle(handled)) = step else { panic!("{step:?}") };
    assert_eq!(handled.cancels, std::slice::from_ref(&open.order_id));
    let cancelled = OrderCancelled { order_id: open.order_id, ..OrderCancelled::default() };
    world.fold([Body::OrderCancelled(cancelled)]);
    world.hold(SYMBOL, -20);
    assert!(names(&world).is_empty());

    // Stops, breakers and limits are in a name as positions are, also in one that never was registered.
    let (strategy, scope) = ("nobody".to_owned(), Scope::new("", "nobody", ""));
    world.fold([Body::TradingKilled(TradingKilled {
        strategy: strategy.clone(),
        ..TradingKilled::default()
    })]);
    assert!(world.book.in_name("nobody").stopped && names(&world) == ["nobody"]);
    world.fold([Body::TradingResumed(TradingResumed { strategy, ..TradingResumed::default() })]);
    assert!(world.book.in_name("nobody").is_empty() && names(&world).is_empty());
    world.limit(scope.clone(), &[("max_open_orders", "3")]);
    assert!(world.book.in_name("nobody").limited && names(&world) == ["nobody"]);
    world.limit(scope, &[("max_open_orders", "none")]);
    assert!(world.book.in_name("nobody").is_empty() && names(&world).is_empty());
}

#[test]
fn a_breaker_has_tripped_in_its_own_scope_alone() {
    let mut world = World::new();
    let trip = |strategy: &str, kind: BreakerKind| {
        Body::BreakerTripped(BreakerTripped {
            account: ACCOUNT.to_owned(),
            strategy: strategy.to_owned(),
            kind: kind.into(),
            ..BreakerTripped::default()
        })
    };
    world.fold([trip("", BreakerKind::Drawdown), trip(STRATEGY, BreakerKind::WinRate)]);
    for (strategy, kind, expected) in [
        ("", BreakerKind::Drawdown, true),
        ("", BreakerKind::Unspecified, true),
        ("", BreakerKind::WinRate, false),
        (STRATEGY, BreakerKind::WinRate, true),
        (STRATEGY, BreakerKind::Drawdown, false),
        ("somebody", BreakerKind::Unspecified, false),
    ] {
        assert_eq!(world.book.has_tripped(ACCOUNT, strategy, kind), expected, "{strategy} {kind:?}");
    }
    assert!(!world.book.has_tripped("other", "", BreakerKind::Drawdown));
}
