//! An entry with exits against the position of its own strategy: it closes that first, and its exits are for the rest.

use std::collections::BTreeMap;

use contracts::v1::event::Body;
use contracts::v1::{Event, Intent, Signal, SignalLeg, TimeInForce};
use contracts::{Subject, to_timestamp};
use domain::bar::Bar;
use domain::money::{E9, Price, Quantity, Volume};
use domain::order::signed;
use domain::series::{BarSeries, MarketData};
use engine::{Events, Given, OUTSIDE, Outside, OutsideError, Shown, Uncontrolled, run_beside};

use crate::setup::{config, market, strategy};

/// Gives the signals of a script, by the number of the instant that shows bars.
pub struct Script {
    signals: BTreeMap<usize, SignalLeg>,
    instant: usize,
}

impl Script {
    pub fn new(signals: impl Into<BTreeMap<usize, SignalLeg>>) -> Self {
        Self { signals: signals.into(), instant: 0 }
    }
}

impl Outside for Script {
    fn instant(&mut self, shown: Shown<'_>) -> Result<Vec<Given>, OutsideError> {
        if shown.bars.is_empty() {
            return Ok(Vec::new());
        }
        let leg = self.signals.remove(&self.instant);
        self.instant += 1;
        Ok(leg.map(|leg| given(shown.ns, leg)).into_iter().collect())
    }

    fn end(&mut self, _events: Vec<(Subject, Event)>) -> Result<(), OutsideError> {
        Ok(())
    }
}

fn given(ns: i64, leg: SignalLeg) -> Given {
    let signal = Signal { strategy: "one".to_owned(), legs: vec![leg], ..Signal::default() };
    let event = Event {
        id: contracts::event_id(&ns.to_string(), "script", 0),
        event_time: Some(to_timestamp(ns)),
        source: "one".to_owned(),
        causation_id: "bar".to_owned(),
        body: Some(Body::Signal(signal.clone())),
        ..Event::default()
    };
    Given { event, signal, problem: None }
}

/// Hourly bars of one symbol from open, low, close and volume in dollars and shares; the high is a dollar above.
pub fn bars(rows: &[[i64; 4]]) -> MarketData {
    let times = market(1, rows.len(), 1);
    let series = &times.series[0];
    let dollars = |price: i64| Price(price * E9);
    let bars: Vec<Bar> = rows
        .iter()
        .enumerate()
        .filter_map(|(row, &[open, low, close, volume])| {
            let bar = series.bar(row)?;
            Some(Bar {
                open: dollars(open),
                high: dollars(open.max(close) + 1),
                low: dollars(low),
                close: dollars(close),
                volume: Volume(volume * 1_000),
                ..bar
            })
        })
        .collect();
    let series = vec![BarSeries::of("generated", "S00", series.timeframe, &bars)];
    MarketData { series, actions: Vec::new() }
}

pub fn leg(intent: Intent, shares: i64) -> SignalLeg {
    SignalLeg {
        symbol: "S00".to_owned(),
        intent: intent.into(),
        time_in_force: TimeInForce::Gtc.into(),
        quantity_e9: Some(shares * E9),
        ..SignalLeg::default()
    }
}

#[test]
fn exits_sell_nothing_before_the_position_is_closed() {
    let turns = SignalLeg {
        take_profit_price_e9: Some(150 * E9),
        stop_loss_price_e9: Some(90 * E9),
        ..leg(Intent::EnterLong, 150)
    };
    let signals = BTreeMap::from([(0, leg(Intent::EnterShort, 50)), (1, turns)]);
    let data = bars(&[
        [100, 99, 100, 1_000],
        [100, 99, 100, 1_000],
        // 40 of the 50 are closed when it comes to the stop.
        [100, 85, 95, 40],
        [100, 99, 100, 1_000],
        [100, 85, 95, 1_000],
        [100, 99, 100, 1_000],
    ]);
    let mut config = config(vec![strategy("one", OUTSIDE, &[])]);
    config.account.limits.allow_short = true;
    config.account.costs.volume_share_most_e9 = E9;
    let mut fills = Vec::new();
    let mut events = Events::new(|event: &Event| {
        if let Some(Body::Fill(fill)) = &event.body {
            fills.push(signed(fill.side(), Quantity(fill.quantity_e9)).0 / E9);
        }
    });
    let mut script = Script::new(signals);
    run_beside(&config, &data, &mut events, &mut script, &mut Uncontrolled).expect("it runs");
    drop(events);
    assert_eq!(fills, [-50, 40, 110, -100]);
}
