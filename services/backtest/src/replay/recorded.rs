//! What is on record of a stretch: its events, and where in it each of its inputs was met.

use std::collections::{HashMap, VecDeque};
use std::ops::RangeInclusive;

use contracts::v1::Event;
use contracts::v1::event::Body;
use contracts::{order_of, stream};

use super::{is_by_hand, read_of};

/// A recorded stretch of TRADING.
#[derive(Debug, Default)]
pub struct Recording {
    /// Everything in it.
    pub events: Vec<Event>,
    /// What of it was taken as it is.
    pub(super) inputs: VecDeque<Input>,
    /// What nobody met in it: orders by hand without a decision, and at its end what execution had not read.
    pub(super) unmet: Vec<Event>,
    /// How far TRADING had been read when a signal was decided, by signal id.
    pub(super) read: HashMap<String, u64>,
    /// Last MARKET sequence of its last instant.
    pub(super) market: u64,
    /// What execution did about orders and groups: MARKET sequence of the instant, own sequence.
    acts: Vec<(u64, u64)>,
}

/// The part of an instant after which an input is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Marks,
    Signals,
    Decisions,
    Orders,
}

/// Something that was decided or sent.
#[derive(Debug)]
struct Made {
    stage: Stage,
    strategy: String,
    /// MARKET sequence of its instant.
    market: u64,
    /// How far TRADING had been read.
    read: u64,
}

impl Made {
    /// What `event`, which stands in the instant of `market`, made.
    fn of(event: &Event, market: u64) -> Option<Self> {
        let (stage, strategy) = match event.body.as_ref()? {
            Body::Signal(signal) => (Stage::Signals, signal.strategy.as_str()),
            Body::RiskDecision(decision) => (Stage::Decisions, decision.strategy.as_str()),
            Body::OrderSubmitted(submitted) => (Stage::Orders, submitted.order.as_ref()?.strategy.as_str()),
            // A second request is not what the order was cancelled on.
            Body::OrderCancelled(_) | Body::OrderCancelRejected(_) => (Stage::Orders, ""),
            Body::GroupHandled(handled) => (Stage::Orders, handled.strategy.as_str()),
            _ => return None,
        };
        Some(Self { stage, strategy: strategy.to_owned(), market, read: read_of(event, stream::TRADING) })
    }

    /// Whether `input` concerned it and was not read yet.
    fn is_before(&self, input: &Input) -> bool {
        let concerned = changed_strategy(&input.event).is_none_or(|changed| changed == self.strategy);
        concerned && self.read < input.sequence
    }

    /// Whether it is a signal of `strategy` that had read `input`.
    fn is_signal_behind(&self, input: &Input, strategy: &str) -> bool {
        self.stage == Stage::Signals && self.strategy == strategy && self.read >= input.sequence
    }
}

/// Something that is taken as it is.
#[derive(Clone, Debug)]
pub(super) struct Input {
    /// MARKET sequence after whose instant it came.
    pub(super) market: u64,
    pub(super) after: Stage,
    /// Sequence on the recorded tape.
    pub(super) sequence: u64,
    pub(super) event: Event,
}

impl Recording {
    /// Goes on to the instant of this MARKET sequence where nothing that was recorded leads there.
    pub(super) fn reach(&mut self, market: u64) {
        self.market = self.market.max(market);
    }

    /// The last thing that execution did in the instants of these MARKET sequences among what was read of TRADING.
    pub(super) fn last_act(&self, market: RangeInclusive<u64>, read: u64) -> Option<u64> {
        let known = self.acts.partition_point(|(_, sequence)| *sequence <= read);
        let (of, sequence) = self.acts[..known].last()?;
        market.contains(of).then_some(*sequence)
    }

    /// Says after which part of its instant each input is met, from what was `made` there.
    fn place(&mut self, made: &[Made]) {
        // Changes of one strategy are met in their order.
        let mut last: HashMap<String, (u64, Stage)> = HashMap::new();
        for input in &mut self.inputs {
            // Who signals states what is decided; it is not what others decide on.
            if is_signal(&input.event) {
                continue;
            }
            let market = input.market;
            let first = made.partition_point(|one| one.market < market);
            let same = made[first..].iter().take_while(|one| one.market == market);
            let before = same.clone().filter(|one| one.is_before(input));
            input.after = before.map(|one| one.stage).max().unwrap_or(Stage::Marks);
            let Some(strategy) = changed_strategy(&input.event).map(str::to_owned) else { continue };
            if starts(&input.event) && !same.clone().any(|one| one.is_signal_behind(input, &strategy)) {
                input.after = input.after.max(Stage::Signals);
            }
            if let Some((of, after)) = last.get(&strategy)
                && *of == market
            {
                input.after = input.after.max(*after);
            }
            last.insert(strategy, (market, input.after));
        }
    }

    /// Takes note of a decision: an order by hand belongs to the instant in which it was decided.
    fn decided(&mut self, signal_id: &str) {
        let Some(place) = self.unmet.iter().position(|event| event.id == signal_id) else { return };
        self.unmet.remove(place);
        let input = self.inputs.iter().position(|input| input.event.id == signal_id);
        if let Some(input) = input.and_then(|place| self.inputs.remove(place)) {
            self.inputs.push_back(Input { market: self.market, ..input });
        }
    }
}

/// Takes the events of a stretch in their order.
#[derive(Debug)]
pub(super) struct Recorder {
    recording: Recording,
    /// In the order of their instants.
    made: Vec<Made>,
    /// MARKET sequence of the instant that has begun, marked or not.
    begun: u64,
}

impl Recorder {
    /// Of a stretch before which MARKET was handled through a sequence.
    pub(super) fn behind(market: u64) -> Self {
        let recording = Recording { market, ..Recording::default() };
        Self { recording, made: Vec::new(), begun: market }
    }

    /// Takes the next event.
    pub(super) fn take(&mut self, sequence: u64, event: Event, is_input: bool) {
        if matches!(event.body, Some(Body::AccountMarked(_))) {
            self.mark(read_of(&event, stream::MARKET), read_of(&event, stream::TRADING));
        }
        if begins(&event) {
            self.begun = self.begun.max(read_of(&event, stream::MARKET));
        }
        let recording = &mut self.recording;
        self.made.extend(Made::of(&event, recording.market));
        if acts(&event) {
            recording.acts.push((recording.market, sequence));
        }
        if let Some(Body::RiskDecision(decision)) = &event.body {
            recording.read.insert(decision.signal_id.clone(), read_of(&event, stream::TRADING));
            recording.decided(&decision.signal_id);
        }
        if is_input {
            let market = if asks_of_order(&event) { self.begun } else { recording.market };
            let market = market.max(recording.market);
            recording.inputs.push_back(Input { market, after: Stage::Marks, sequence, event: event.clone() });
            if is_by_hand(&event) {
                recording.unmet.push(event.clone());
            }
        }
        recording.events.push(event);
    }

    /// An instant is marked by who had `read` TRADING so far: what was stated since and nobody else has read is of it.
    fn mark(&mut self, market: u64, read: u64) {
        if market <= self.recording.market {
            return;
        }
        let known = self.known().max(read);
        // An order by hand was put behind what is newer.
        let is_newer = |input: &&mut Input| input.sequence > known || is_by_hand(&input.event);
        for input in self.recording.inputs.iter_mut().rev().take_while(is_newer) {
            if input.sequence > known && !is_signal(&input.event) {
                input.market = input.market.max(market);
            }
        }
        self.recording.market = market;
    }

    /// How far TRADING had been read by who made something in the last instant.
    fn known(&self) -> u64 {
        let last = self.made.iter().rev().take_while(|made| made.market == self.recording.market);
        last.map(|made| made.read).max().unwrap_or_default()
    }

    /// The stretch, ended.
    pub(super) fn finish(mut self) -> Recording {
        let (known, market) = (self.known(), self.recording.market);
        let Recording { inputs, unmet, .. } = &mut self.recording;
        // What execution had still to do something about, it did behind the end.
        let is_unmet = |input: &&Input| {
            input.market >= market && input.sequence > known && is_for_execution(&input.event)
        };
        unmet.extend(inputs.iter().filter(is_unmet).map(|input| input.event.clone()));
        inputs.retain(|input| unmet.iter().all(|event| event.id != input.event.id));
        self.recording.place(&self.made);
        let inputs = self.recording.inputs.make_contiguous();
        inputs.sort_by_key(|input| (input.market, input.after));
        self.recording
    }
}

/// The strategy whose registration an event changes.
fn changed_strategy(event: &Event) -> Option<&str> {
    match event.body.as_ref()? {
        Body::StrategyRegistered(registered) => Some(&registered.strategy),
        Body::StrategyEnabled(enabled) => Some(&enabled.strategy),
        Body::StrategyDisabled(disabled) => Some(&disabled.strategy),
        Body::StrategyRemoved(removed) => Some(&removed.strategy),
        _ => None,
    }
}

/// Whether an event lets a strategy signal, in whatever mode.
fn starts(event: &Event) -> bool {
    matches!(&event.body, Some(Body::StrategyRegistered(_) | Body::StrategyEnabled(_)))
}

/// Whether somebody asks something of an order.
fn asks_of_order(event: &Event) -> bool {
    matches!(&event.body, Some(Body::OrderCancelRequested(_) | Body::OrderReplaceRequested(_)))
}

/// Whether execution writes it when an instant begins, before the marks.
fn begins(event: &Event) -> bool {
    matches!(
        &event.body,
        Some(
            Body::Fill(_)
                | Body::OrderExpired(_)
                | Body::OrderTriggered(_)
                | Body::OrderTrailed(_)
                | Body::OrderAdjusted(_)
        )
    )
}

/// Whether execution does something about orders and positions once it has read it.
fn is_for_execution(event: &Event) -> bool {
    let stops = matches!(
        &event.body,
        Some(Body::StrategyDisabled(_) | Body::StrategyRemoved(_) | Body::TradingKilled(_))
    );
    stops || asks_of_order(event)
}

/// Whether execution did it because of what was decided or stated, and not because an instant began.
fn acts(event: &Event) -> bool {
    if event.source != execution::SERVICE {
        return false;
    }
    let Some(body) = &event.body else { return false };
    match body {
        Body::GroupHandled(_) | Body::PositionTransferred(_) => true,
        body => order_of(body).is_some() && !begins(event),
    }
}

fn is_signal(event: &Event) -> bool {
    matches!(event.body, Some(Body::Signal(_)))
}
