//! What became of each wish, order by order, on both sides of a comparison.
//!
//! A signal's leg and what risk made of it are one row, whether that was an order or a denial, so that an order on
//! one side stands beside the denial on the other.

use std::collections::BTreeMap;

use analytics::comparison::{OrderRow, OrderSide, Outcome};
use contracts::from_timestamp;
use contracts::v1::event::Body;
use contracts::v1::{Event, Fill, OrderSpec, RiskDecision, Side, TimeInForce, Verdict};
use domain::money::{Amount, Price, Quantity, div_half_even};

use super::comparison::Pairs;

/// Specifications by order id.
pub(super) type Specs = BTreeMap<String, OrderSpec>;

/// One wish as it goes on.
#[derive(Debug, Default)]
struct Track {
    time_ns: i64,
    signal_id: String,
    account: String,
    strategy: String,
    symbol: String,
    /// Its first event in the stretch.
    first_id: String,
    side: OrderSide,
    filled: i64,
    /// Quantity times price, at 1e-18.
    value: i128,
    fees: Amount,
}

/// The wishes of one side by key.
#[derive(Default)]
struct Tracks {
    tracks: BTreeMap<String, Track>,
    /// Keys by order id.
    keys: BTreeMap<String, String>,
}

/// The orders of both sides, and the signals that became none, in the order of time. `open` are the orders that
/// worked when the stretch began.
#[must_use]
pub(super) fn orders(recorded: &[Event], derived: &[Event], open: &Specs) -> Vec<OrderRow> {
    let pairs = Pairs::of(recorded, derived);
    let mut left = Tracks::of(recorded, open).tracks;
    let mut rows: Vec<(String, OrderRow)> = Vec::new();
    for (key, track) in Tracks::of(derived, open).tracks {
        rows.push((key.clone(), joined(&pairs, left.remove(&key), Some(track))));
    }
    rows.extend(left.into_iter().map(|(key, track)| (key, joined(&pairs, Some(track), None))));
    rows.sort_by(|(one_key, one), (other_key, other)| {
        let place = |row: &OrderRow| (row.time_ns, row.strategy.clone(), row.symbol.clone());
        place(one).cmp(&place(other)).then_with(|| one_key.cmp(other_key))
    });
    rows.into_iter().map(|(_, row)| row).collect()
}

fn joined(pairs: &Pairs<'_>, recorded: Option<Track>, derived: Option<Track>) -> OrderRow {
    let either = recorded.as_ref().or(derived.as_ref());
    let (time_ns, chain_of) =
        either.map_or((0, String::new()), |track| (track.time_ns, pairs.chain_of(&track.first_id)));
    let of = |field: fn(&Track) -> &String| either.map(field).cloned().unwrap_or_default();
    let (signal_id, account) = (of(|track| &track.signal_id), of(|track| &track.account));
    let (strategy, symbol) = (of(|track| &track.strategy), of(|track| &track.symbol));
    let (recorded, derived) = (recorded.map(Track::ended), derived.map(Track::ended));
    let outcome = Outcome::of(recorded.as_ref(), derived.as_ref());
    OrderRow { time_ns, signal_id, account, strategy, symbol, chain_of, recorded, derived, outcome }
}

impl Track {
    fn ended(mut self) -> OrderSide {
        self.side.filled = Quantity(self.filled).to_string();
        self.side.fees = self.fees.to_string();
        let average = (self.filled > 0).then(|| div_half_even(self.value, i128::from(self.filled)));
        self.side.average_price =
            average.and_then(|e9| i64::try_from(e9).ok()).map(|e9| Price(e9).to_string());
        self.side
    }

    fn ordered(&mut self, spec: &OrderSpec) {
        self.account.clone_from(&spec.account);
        self.strategy.clone_from(&spec.strategy);
        self.symbol.clone_from(&spec.symbol);
        self.side.order_id.clone_from(&spec.order_id);
        side_name(spec.side()).clone_into(&mut self.side.side);
        self.side.quantity = Quantity(spec.quantity_e9).to_string();
        self.side.terms = terms(spec);
    }
}

impl Tracks {
    fn of(events: &[Event], open: &Specs) -> Self {
        let mut tracks = Self::default();
        for event in events {
            tracks.take(event, open);
        }
        tracks
    }

    fn take(&mut self, event: &Event, open: &Specs) {
        let Some(body) = &event.body else { return };
        match body {
            Body::RiskDecision(decision) => self.decided(event, decision),
            Body::OrderSubmitted(submitted) => {
                let Some(spec) = &submitted.order else { return };
                let key = self.keys.get(&spec.order_id).unwrap_or(&spec.order_id).clone();
                self.keys.insert(spec.order_id.clone(), key.clone());
                let track = self.track(key, event);
                track.ordered(spec);
                "submitted".clone_into(&mut track.side.status);
            }
            Body::OrderAccepted(answer) => self.status(event, &answer.order_id, "working", "", open),
            Body::OrderRejected(answer) => {
                self.status(event, &answer.order_id, "rejected", &answer.reason, open);
            }
            Body::OrderCancelled(end) => self.status(event, &end.order_id, "cancelled", "", open),
            Body::OrderExpired(end) => self.status(event, &end.order_id, "expired", "", open),
            Body::OrderTriggered(trigger) => self.status(event, &trigger.order_id, "triggered", "", open),
            Body::Fill(fill) => self.filled(event, fill, open),
            _ => {}
        }
    }

    fn track(&mut self, key: String, event: &Event) -> &mut Track {
        self.tracks.entry(key).or_insert_with(|| Track {
            time_ns: event.event_time.as_ref().and_then(from_timestamp).unwrap_or_default(),
            first_id: event.id.clone(),
            ..Track::default()
        })
    }

    fn decided(&mut self, event: &Event, decision: &RiskDecision) {
        let mut legs: BTreeMap<u32, usize> = BTreeMap::new();
        for spec in &decision.orders {
            let place = legs.entry(spec.leg).or_default();
            let key = format!("{}/{}/{place}", decision.signal_id, spec.leg);
            *place += 1;
            self.keys.insert(spec.order_id.clone(), key.clone());
            let track = self.track(key, event);
            track.signal_id.clone_from(&decision.signal_id);
            track.ordered(spec);
            "approved".clone_into(&mut track.side.status);
        }
        let status = match decision.verdict() {
            Verdict::Denied => format!("denied: {}", decision.rule),
            Verdict::Shadowed => "shadowed".to_owned(),
            Verdict::Approved | Verdict::Unspecified => "nothing to do".to_owned(),
        };
        for input in decision.inputs.iter().filter(|input| !legs.contains_key(&input.leg)) {
            let track = self.track(format!("{}/{}/0", decision.signal_id, input.leg), event);
            track.signal_id.clone_from(&decision.signal_id);
            track.account.clone_from(&decision.account);
            track.strategy.clone_from(&decision.strategy);
            track.symbol.clone_from(&input.symbol);
            track.side.status.clone_from(&status);
        }
    }

    /// The track of an order; one from before the stretch is known by its specification.
    fn of_order(&mut self, event: &Event, order_id: &str, open: &Specs) -> &mut Track {
        let key = self.keys.get(order_id).map_or(order_id, String::as_str).to_owned();
        let track = self.track(key, event);
        if track.side.order_id.is_empty() {
            if let Some(spec) = open.get(order_id) {
                track.ordered(spec);
            }
            order_id.clone_into(&mut track.side.order_id);
        }
        track
    }

    fn status(&mut self, event: &Event, order_id: &str, word: &str, why: &str, open: &Specs) {
        let status = if why.is_empty() { word.to_owned() } else { format!("{word}: {why}") };
        self.of_order(event, order_id, open).side.status = status;
    }

    fn filled(&mut self, event: &Event, fill: &Fill, open: &Specs) {
        let track = self.of_order(event, &fill.order_id, open);
        if track.symbol.is_empty() {
            track.account.clone_from(&fill.account);
            track.strategy.clone_from(&fill.strategy);
            track.symbol.clone_from(&fill.symbol);
            side_name(fill.side()).clone_into(&mut track.side.side);
        }
        track.filled = track.filled.saturating_add(fill.quantity_e9);
        let value = i128::from(fill.quantity_e9) * i128::from(fill.price_e9);
        track.value = track.value.saturating_add(value);
        let fees = Amount::from_wire(fill.commission.as_ref());
        track.fees = Amount(track.fees.0.saturating_add(fees.0));
        let status = if fill.remaining_e9 == 0 { "filled" } else { "partly filled" };
        status.clone_into(&mut track.side.status);
    }
}

pub(super) fn side_name(side: Side) -> &'static str {
    match side {
        Side::Buy => "buy",
        Side::Sell => "sell",
        Side::Unspecified => "",
    }
}

fn terms(spec: &OrderSpec) -> String {
    let kind = spec.order_type().as_str_name().trim_start_matches("ORDER_TYPE_").to_lowercase();
    let force = match spec.time_in_force() {
        TimeInForce::Unspecified => String::new(),
        force => format!(" {}", force.as_str_name().trim_start_matches("TIME_IN_FORCE_").to_lowercase()),
    };
    let price =
        |word: &str, e9: Option<i64>| e9.map_or_else(String::new, |e9| format!(" {word} {}", Price(e9)));
    let (limit, stop) = (price("limit", spec.limit_price_e9), price("stop", spec.stop_price_e9));
    format!("{}{force}{limit}{stop}", kind.replace('_', " "))
}
