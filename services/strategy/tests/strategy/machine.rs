//! The machine by itself: what it starts, what it waits for, what it ignores.

use contracts::v1::event::Body;
use contracts::v1::{
    AccountMarked, Event, Fill, Instant as Frame, Intent, OrderSpec, OrderSubmitted, Origin, PositionsFate,
    Side, StrategyDisabled, StrategyMode,
};
use contracts::{event_id, from_timestamp, to_timestamp};
use domain::book::Book;
use domain::calendar::Calendar;
use domain::money::Price;
use domain::performance::{Later, Scored, Wanted, score};
use event_log::Recorded;
use runtime::{ClockMode, Instant, Instants};
use strategy::{Change, History, Machine};

use crate::support::{ACCOUNTS, E9, FIRST_NS, HOUR_NS, bar, disabled, enabled, enabled_in, registered};

struct Given {
    machine: Machine,
    sequence: u64,
}

impl Given {
    fn new(mode: ClockMode) -> Self {
        let machine = Machine::new(mode, &ACCOUNTS.map(str::to_owned), Calendar::xnys(), Book::default(), 0);
        Self { machine, sequence: 0 }
    }

    fn fold(&mut self, event_ns: i64, body: Body) {
        self.sequence += 1;
        let recorded = recorded(self.sequence, event_ns, None, body);
        self.machine.fold(&recorded).unwrap();
    }

    /// Starts whatever is to be started, without history; answers the names.
    fn start(&mut self) -> Vec<String> {
        let mut started = Vec::new();
        for change in self.machine.changes() {
            if let Change::Start { strategy, wanted } = change {
                self.machine.start(&strategy, History::new(wanted), FIRST_NS).unwrap();
                started.push(strategy);
            }
        }
        started
    }
}

fn recorded(sequence: u64, event_ns: i64, instant: Option<Frame>, body: Body) -> Recorded {
    let event = Event {
        id: event_id(&sequence.to_string(), "test", 0),
        event_time: Some(to_timestamp(event_ns)),
        instant,
        body: Some(body),
        ..Event::default()
    };
    Recorded { sequence, subject: String::new(), event }
}

fn instant(sequence: u64, event_ns: i64, body: Body, framed: bool) -> Instant {
    let mut instants = Instants::new(ClockMode::Tape);
    instants.push(recorded(
        sequence,
        event_ns,
        framed.then_some(Frame { position: 0, size: 1, ..Frame::default() }),
        body,
    ));
    instants.next_complete().unwrap()
}

fn mark(account: &str) -> Body {
    Body::AccountMarked(AccountMarked { account: account.into(), ..AccountMarked::default() })
}

#[test]
fn what_waits_for_its_history_is_asked_for_once() {
    let mut given = Given::new(ClockMode::Tape);
    given.fold(FIRST_NS, registered("cross", "sma_cross", &[]));
    given.fold(FIRST_NS, enabled("cross"));
    let changes = given.machine.changes();
    let [Change::Start { strategy, wanted }] = changes.as_slice() else { panic!("{changes:?}") };
    given.fold(FIRST_NS, disabled("other"));
    assert_eq!(given.machine.changes(), [], "another one changed");
    let first = given.machine.start(strategy, History::new(wanted.clone()), FIRST_NS).unwrap();
    given.fold(FIRST_NS, disabled("cross"));
    given.fold(FIRST_NS, enabled("cross"));
    assert_eq!(given.machine.changes().len(), 2, "stopped and started anew");
    let second = given.machine.start(strategy, History::new(wanted.clone()), FIRST_NS).unwrap();
    assert_ne!(first.event.id, second.event.id, "both warm-ups are on the tape, although MARKET stood still");
}

#[test]
fn a_strategy_runs_while_it_is_registered_and_enabled() {
    let mut given = Given::new(ClockMode::Tape);
    given.fold(FIRST_NS, enabled("cross"));
    assert!(given.start().is_empty(), "not registered");
    given.fold(FIRST_NS, registered("cross", "sma_cross", &[]));
    assert_eq!(given.start(), ["cross"]);
    given.fold(FIRST_NS, enabled("cross"));
    assert!(given.start().is_empty(), "it runs already");
    given.fold(FIRST_NS, registered("cross", "sma_cross", &[("fast", "3")]));
    assert_eq!(given.start(), ["cross"], "other terms are another strategy");
    given.fold(FIRST_NS, disabled("cross"));
    assert_eq!(given.machine.changes(), [Change::Stopped("cross".into())]);
    assert_eq!(given.machine.running().count(), 0);
}

/// Steps hourly bars of the given prices and answers the signals.
fn signals(given: &mut Given, hours: &mut i64, prices: &[i64]) -> Vec<Event> {
    let mut made = Vec::new();
    for price in prices {
        *hours += 1;
        let (sequence, at) = (u64::try_from(*hours).unwrap(), FIRST_NS + *hours * HOUR_NS);
        let taken = instant(sequence, at, bar("A", at, *price, Origin::Live), false);
        let stepped = given.machine.step(&taken);
        given.machine.stand(stepped.iter().map(|out| (&out.event, u64::MAX)));
        made.extend(stepped.into_iter().map(|out| out.event));
    }
    made
}

/// The same, and what each signal is about.
fn intents(given: &mut Given, hours: &mut i64, prices: &[i64]) -> Vec<Intent> {
    let made = signals(given, hours, prices);
    let intent = |event: &Event| match &event.body {
        Some(Body::Signal(signal)) => signal.legs[0].intent(),
        other => panic!("{other:?} is no signal"),
    };
    made.iter().map(intent).collect()
}

/// An order of ten shares and its fill.
fn traded(side: Side) -> [Body; 2] {
    let order = OrderSpec {
        order_id: "order".into(),
        account: "paper".into(),
        strategy: "cross".into(),
        symbol: "A".into(),
        side: side.into(),
        quantity_e9: 10_000_000_000,
        ..OrderSpec::default()
    };
    let fill = Fill {
        order_id: order.order_id.clone(),
        account: order.account.clone(),
        strategy: order.strategy.clone(),
        symbol: order.symbol.clone(),
        side: side.into(),
        number: 1,
        quantity_e9: order.quantity_e9,
        price_e9: 100_000_000_000,
        ..Fill::default()
    };
    let submitted = OrderSubmitted { order: Some(order), ..OrderSubmitted::default() };
    [Body::OrderSubmitted(submitted), Body::Fill(fill)]
}

/// A crossing strategy that is stopped and keeps what it holds.
fn stopped(allow_short: &str, side: Option<Side>) -> Given {
    let mut given = Given::new(ClockMode::Wall);
    let parameters = [("fast", "1"), ("slow", "2"), ("allow_short", allow_short)];
    given.fold(FIRST_NS, registered("cross", "sma_cross", &parameters));
    given.fold(FIRST_NS, enabled("cross"));
    for body in side.into_iter().flat_map(traded) {
        given.fold(FIRST_NS, body);
    }
    let keep = PositionsFate::Keep.into();
    let body = StrategyDisabled { strategy: "cross".into(), positions: keep, ..StrategyDisabled::default() };
    given.fold(FIRST_NS, Body::StrategyDisabled(body));
    assert_eq!(given.start(), ["cross"], "it goes on to manage what it holds");
    given
}

#[test]
fn one_that_was_stopped_and_keeps_its_positions_signals_exits_only() {
    let (mut given, mut hours) = (stopped("false", None), 0);
    assert_eq!(intents(&mut given, &mut hours, &[100, 90, 80, 120]), [], "it opens nothing");
    let unbound: Vec<_> = given.machine.unbound().iter().map(|made| made.event.source.as_str()).collect();
    assert_eq!(unbound, ["cross"], "enabled a moment earlier it would have");
    given.fold(FIRST_NS, enabled("cross"));
    assert_eq!(intents(&mut given, &mut hours, &[60, 120]), [Intent::EnterLong], "enabled it opens again");

    let (mut given, mut hours) = (stopped("false", Some(Side::Buy)), 0);
    assert_eq!(intents(&mut given, &mut hours, &[80, 90, 120, 60]), [Intent::Exit]);
}

#[test]
fn one_that_was_stopped_gets_out_where_it_would_have_turned_around() {
    let (mut given, mut hours) = (stopped("true", Some(Side::Buy)), 0);
    assert_eq!(intents(&mut given, &mut hours, &[80, 90, 120, 60]), [Intent::Exit]);
    let (mut given, mut hours) = (stopped("true", Some(Side::Sell)), 0);
    assert_eq!(intents(&mut given, &mut hours, &[120, 90, 80, 120]), [Intent::Exit]);
}

#[test]
fn an_instant_waits_for_the_marks_of_all_accounts_on_the_tape_clock_only() {
    let body = bar("A", FIRST_NS, 100, Origin::Rehearsal);
    let numbered = instant(1, FIRST_NS, body.clone(), true);
    let mut given = Given::new(ClockMode::Tape);
    assert_eq!(given.machine.waits_for(&numbered), Some("paper"));
    given.fold(FIRST_NS - HOUR_NS, mark("paper"));
    assert_eq!(given.machine.waits_for(&numbered), Some("paper"), "an older mark does not do");
    given.fold(FIRST_NS, mark("paper"));
    assert_eq!(given.machine.waits_for(&numbered), Some("second"));
    given.fold(FIRST_NS, mark("second"));
    assert_eq!(given.machine.waits_for(&numbered), None);

    let given = Given::new(ClockMode::Tape);
    assert_eq!(given.machine.waits_for(&instant(1, FIRST_NS, body.clone(), false)), None);
    let imported = instant(1, FIRST_NS, bar("A", FIRST_NS, 100, Origin::Import), true);
    assert_eq!(given.machine.waits_for(&imported), None, "history has no marks");
    assert_eq!(Given::new(ClockMode::Wall).machine.waits_for(&numbered), None);
}

/// Folds a falling and then rising series of the given origin and answers how many signals it gave.
fn signals_of(origin: Origin) -> usize {
    let mut given = Given::new(ClockMode::Wall);
    given.fold(FIRST_NS, registered("cross", "sma_cross", &[("fast", "1"), ("slow", "2")]));
    given.fold(FIRST_NS, enabled("cross"));
    given.start();
    let steps = (1u64..).zip([100, 90, 80, 120]);
    steps
        .map(|(sequence, price)| {
            let at = FIRST_NS + i64::try_from(sequence).unwrap() * HOUR_NS;
            let taken = instant(sequence, at, bar("A", at, price, origin), false);
            given.machine.step(&taken).len()
        })
        .sum()
}

#[test]
fn only_live_and_rehearsed_bars_signal() {
    assert_eq!(signals_of(Origin::Rehearsal), 1);
    assert_eq!(signals_of(Origin::Live), 1);
    assert_eq!(signals_of(Origin::Import), 0);
    assert_eq!(signals_of(Origin::Backfill), 0);
}

#[test]
fn a_bar_taken_again_changes_nothing() {
    let mut given = Given::new(ClockMode::Wall);
    given.fold(FIRST_NS, registered("cross", "sma_cross", &[("fast", "1"), ("slow", "2")]));
    given.fold(FIRST_NS, enabled("cross"));
    given.start();
    let mut signals = 0;
    for (sequence, price) in (1u64..).zip([100, 95, 90, 120]) {
        let at = FIRST_NS + i64::try_from(sequence).unwrap() * HOUR_NS;
        let taken = instant(sequence, at, bar("A", at, price, Origin::Rehearsal), false);
        signals += given.machine.step(&taken).len();
        signals += given.machine.step(&taken).len();
    }
    assert_eq!(signals, 1);
}

#[test]
fn an_instant_that_the_clock_has_left_behind_warms_up_and_never_signals() {
    let signals = |marked_ns: i64| {
        let mut given = Given::new(ClockMode::Tape);
        given.fold(FIRST_NS, registered("cross", "sma_cross", &[("fast", "1"), ("slow", "2")]));
        given.fold(FIRST_NS, enabled("cross"));
        given.start();
        let hours = |hours: i64| FIRST_NS + hours * HOUR_NS;
        given.fold(hours(marked_ns), mark("paper"));
        given.fold(hours(marked_ns), mark("second"));
        let mut signals = Vec::new();
        for (hour, price) in (1..).zip([100, 90, 80, 120]) {
            let bar = bar("A", hours(hour), price, Origin::Rehearsal);
            let taken = instant(u64::try_from(hour).unwrap(), hours(hour), bar, true);
            signals.extend(given.machine.step(&taken));
        }
        signals.len()
    };
    // The fourth bar crosses: decided while its instant is the present one, not after the clock moved on.
    assert_eq!((signals(4), signals(5)), (1, 0));
}

/// A crossing strategy in shadow mode, which may hold something.
fn in_shadow_mode(held: Option<Side>) -> Given {
    let mut given = Given::new(ClockMode::Wall);
    given.fold(FIRST_NS, registered("cross", "sma_cross", &[("fast", "1"), ("slow", "2")]));
    given.fold(FIRST_NS, enabled_in("cross", StrategyMode::Shadow));
    for body in held.into_iter().flat_map(traded) {
        given.fold(FIRST_NS, body);
    }
    assert_eq!(given.start(), ["cross"]);
    given
}

#[test]
fn in_shadow_mode_a_strategy_goes_by_its_own_signals() {
    let (mut given, mut hours) = (in_shadow_mode(None), 0);
    let [enter, exit] = [Intent::EnterLong, Intent::Exit];
    let made = intents(&mut given, &mut hours, &[100, 90, 80, 120, 60, 120, 130, 50]);
    assert_eq!(made, [enter, exit, enter, exit]);

    assert_eq!(intents(&mut given, &mut hours, &[120]), [enter]);
    given.fold(FIRST_NS, enabled("cross"));
    assert_eq!(intents(&mut given, &mut hours, &[60, 120]), [enter], "on paper it holds nothing");
    given.fold(FIRST_NS, enabled_in("cross", StrategyMode::Shadow));
    assert_eq!(intents(&mut given, &mut hours, &[60]), [], "what it signalled on paper is none of it");
}

#[test]
fn what_it_holds_in_shadow_mode_counts_until_it_signals_the_symbol() {
    let (mut given, mut hours) = (in_shadow_mode(Some(Side::Buy)), 0);
    let made = intents(&mut given, &mut hours, &[80, 90, 120, 60, 120, 60]);
    assert_eq!(made, [Intent::Exit, Intent::EnterLong, Intent::Exit]);
}

#[test]
fn started_anew_it_goes_on_from_what_it_signalled_in_shadow_mode() {
    let prices: [i64; 5] = [100, 90, 80, 120, 60];
    let (mut given, mut hours) = (in_shadow_mode(None), 0);
    let entry = signals(&mut given, &mut hours, &prices[..4]).remove(0);
    let entry = Recorded { sequence: given.sequence + 1, subject: String::new(), event: entry };
    given.machine.fold(&entry).unwrap();
    // With the instant of the entry acknowledged, and without: then it is taken again.
    for (handled, expected) in [(4, vec![Intent::Exit]), (3, vec![Intent::EnterLong, Intent::Exit])] {
        let (accounts, book) = (ACCOUNTS.map(str::to_owned), given.machine.book().clone());
        let sequence = u64::try_from(handled).unwrap();
        let machine = Machine::new(ClockMode::Wall, &accounts, Calendar::xnys(), book, sequence);
        let mut anew = Given { machine, sequence: entry.sequence };
        assert_eq!(anew.machine.unknown_shadows(), ["cross"]);
        let to_shadow = enabled_in("cross", StrategyMode::Shadow);
        anew.machine.recall(&recorded(2, FIRST_NS, None, to_shadow));
        anew.machine.recall(&entry);
        assert!(anew.machine.unknown_shadows().is_empty());
        let changes = anew.machine.changes();
        let [Change::Start { strategy, wanted }] = changes.as_slice() else { panic!("{changes:?}") };
        let mut history = History::new(wanted.clone());
        for (hour, price) in (1i64..).zip(&prices[..handled]) {
            let at = FIRST_NS + hour * HOUR_NS;
            let sequence = u64::try_from(hour).unwrap();
            history.event(&recorded(sequence, at, None, bar("A", at, *price, Origin::Live)));
        }
        anew.machine.start(strategy, history, FIRST_NS).unwrap();
        let mut hours = i64::try_from(handled).unwrap();
        assert_eq!(intents(&mut anew, &mut hours, &prices[handled..]), expected);
    }
}

#[test]
fn what_it_signals_in_shadow_mode_comes_to_trips() {
    let prices: [i64; 9] = [100, 90, 80, 120, 60, 120, 130, 50, 55];
    let (mut given, mut hours) = (in_shadow_mode(None), 0);
    let later: Vec<Later> = prices
        .iter()
        .map(|price| Later { open: Price(price * E9), close: Price(price * E9), split: 1.0 })
        .collect();
    let scored = |event: &Event| {
        let Some(Body::Signal(signal)) = &event.body else { panic!("{event:?} is no signal") };
        let hour = (from_timestamp(&event.event_time.unwrap()).unwrap() - FIRST_NS) / HOUR_NS;
        Scored {
            symbol: signal.legs[0].symbol.clone(),
            wanted: Wanted::of(&signal.legs[0]),
            later: later[usize::try_from(hour).unwrap()..].to_vec(),
            last: later.last().copied(),
            split: 1.0,
        }
    };
    let found: Vec<_> = signals(&mut given, &mut hours, &prices).iter().map(scored).collect();
    let found = score(&found);
    // The third entry came with the last bar: nothing is known of it yet.
    assert_eq!((found.entries, found.waiting, found.trips, found.open), (3, 1, 2, 0), "{found:?}");
}
