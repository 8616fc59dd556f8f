//! A symbol whose trading is halted: nothing is opened in it until it goes on.

use contracts::to_timestamp;
use contracts::v1::event::Body;
use contracts::v1::{Event, Intent, QualityFinding, Severity};
use domain::bar::Bar;
use domain::book::{HALT, KnownFinding, RESUMPTION, decided_ns};
use domain::calendar::Calendar;
use domain::money::Volume;
use domain::risk::view;

use crate::scopes::{OTHER, World, buy, exit, leg, signal};
use crate::support::{SYMBOL, price};

const SECOND: i64 = 1_000_000_000;
const HOUR: i64 = 3_600 * SECOND;

impl World {
    /// A vendor's word about the trading of the symbol.
    pub fn hear(&mut self, rule: &str, severity: Severity, seconds_ago: i64) {
        let time_ns = self.now_ns - seconds_ago * SECOND;
        let body = QualityFinding {
            symbol: SYMBOL.into(),
            rule: rule.into(),
            severity: severity.into(),
            detail: "News pending (T12)".into(),
            ..QualityFinding::default()
        };
        let event = Event {
            id: format!("{time_ns:032x}"),
            event_time: Some(to_timestamp(time_ns)),
            body: Some(Body::QualityFinding(body)),
            ..Event::default()
        };
        let (symbol, finding) = KnownFinding::of(&event).unwrap();
        self.prices.find(symbol, finding);
    }
}

#[test]
fn a_halted_symbol_opens_nothing_and_closes_all_the_same() {
    let mut world = World::new();
    world.hear(HALT, Severity::Info, 5);
    let reason = world.denies(&buy(), "symbol_halted");
    let words = "trading in ACME is halted; only reducing orders pass: News pending (T12), 5000 ms ago";
    assert_eq!(reason, words);
    let recorded = world.decide(&buy()).inputs.remove(0).symbol_halt.unwrap();
    assert_eq!((recorded.rule.as_str(), recorded.age_ms), (HALT, 5_000));
    // Another symbol trades, but not in one signal with it.
    let other = leg(OTHER, Intent::EnterLong);
    assert_eq!(world.passes(&signal(vec![other.clone()])).inputs[0].symbol_halt, None);
    let reason = world.denies(&signal(vec![other, leg(SYMBOL, Intent::EnterShort)]), "symbol_halted");
    assert!(reason.starts_with("leg 1 ACME: trading in ACME is halted"), "{reason}");
    // What closes passes, and waits at the broker. What goes beyond that opens.
    world.hold(SYMBOL, 100);
    world.passes(&exit());
    world.denies(&signal(vec![leg(SYMBOL, Intent::EnterShort)]), "symbol_halted");
}

#[test]
fn a_halt_is_the_reason_before_the_price_that_grows_old_in_it() {
    let mut world = World::new();
    world.hear(HALT, Severity::Info, 5);
    world.now_ns += HOUR;
    world.denies(&buy(), "symbol_halted");
    world.hear(RESUMPTION, Severity::Info, 1);
    world.denies(&buy(), "stale_price");
}

#[test]
fn a_resumption_or_a_bar_of_trades_that_begins_later_ends_a_halt() {
    let mut world = World::new();
    world.hear(HALT, Severity::Info, 5);
    world.denies(&buy(), "symbol_halted");
    world.hear(RESUMPTION, Severity::Info, 3);
    world.passes(&buy());
    // One that is told late is of before.
    world.hear(HALT, Severity::Info, 4);
    world.passes(&buy());
    world.hear(HALT, Severity::Warning, 2);
    world.denies(&buy(), "symbol_halted");
    // Nobody told of the resumption: a bar without trades says nothing, one with trades does.
    world.now_ns += 2 * HOUR;
    let [open, high, low, close] = [price("50"); 4];
    let (start_ns, close_ns, volume) = (world.now_ns - HOUR, world.now_ns, Volume(0));
    world.prices.observe_bar(SYMBOL, &Bar { start_ns, close_ns, open, high, low, close, volume });
    world.denies(&buy(), "symbol_halted");
    world.bars(&[(SYMBOL, &[50.0])]);
    world.passes(&buy());
}

#[test]
fn what_is_counted_in_time_is_derived_again_whatever_part_of_a_millisecond_it_was_decided_in() {
    let mut world = World::new();
    world.of_account(&[("clean_data", "60"), ("close_buffer", "60")]);
    // A vendor's word and the decision are each a part of a millisecond behind the bar.
    world.now_ns += 5 * SECOND + 300_000;
    world.hear(HALT, Severity::Warning, 1);
    for part in [0, 1, 100_000, 699_999, 700_000] {
        world.now_ns += part;
        let signal = signal(vec![leg(OTHER, Intent::EnterLong), leg(SYMBOL, Intent::EnterLong)]);
        let recorded = world.decide(&signal);
        let again_ns = decided_ns(&recorded, 0);
        let again = view(&world.book, &world.prices, Calendar::xnys(), &signal, again_ns, "");
        assert_eq!(again.inputs, recorded.inputs, "{part} ns later");
        let input = &recorded.inputs[1];
        assert!(input.symbol_halt.is_some() && input.until_close_ms.is_some());
    }
}
