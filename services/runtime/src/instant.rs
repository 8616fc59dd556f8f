//! Instants: the events of MARKET that became known together.
//!
//! A source that knows a whole instant numbers its events; [`Instants`] holds them back until the last
//! one is there. An event without a number is an instant of its own. After a restart a durable consumer
//! may deliver only the rest of an instant: the rest is then what this instant consists of, because
//! whatever is missing was acknowledged after the whole instant had been handled.
//!
//! Deliberately absent: what an instant means. That is each service's step machine's.

use std::collections::VecDeque;

use contracts::from_timestamp;
use contracts::v1::Origin;
use contracts::v1::event::Body;
use event_log::Recorded;

use crate::clock::ClockMode;

/// Events that belong together.
#[derive(Clone, Debug)]
pub struct Instant {
    /// Event time, UTC nanoseconds.
    pub event_ns: i64,
    /// True when its source numbered it: everyone can know when it is over, so the clock waits for it.
    pub framed: bool,
    /// The events in the order of their numbers; an unnumbered one that arrived between them stands among them.
    pub events: Vec<Recorded>,
    /// Sequence of a message behind them that was parked and goes with this instant; 0 for none.
    parked: u64,
}

impl Instant {
    fn beginning(event_ns: i64, framed: bool, events: Vec<Recorded>) -> Self {
        Self { event_ns, framed, events, parked: 0 }
    }

    /// Sequence of its last event; 0 for an instant without events, which [`Instants`] never makes.
    #[must_use]
    pub fn last_sequence(&self) -> u64 {
        self.events.iter().map(|recorded| recorded.sequence).max().unwrap_or_default()
    }

    /// Sequence of TRADING up to which what came of the instants before it stands; 0 where its source does not say, and
    /// where it is no whole instant of a source.
    #[must_use]
    pub fn trading_sequence(&self) -> u64 {
        let numbered = self.events.iter().filter(|_| self.framed);
        let frames = numbered.filter_map(|recorded| recorded.event.instant);
        frames.map(|frame| frame.trading_sequence).max().unwrap_or_default()
    }

    /// Puts the events into the order of their numbers. Their source stores the last of them last; one before it that
    /// the tape refused at first may stand behind its successors.
    fn order(&mut self) {
        let number = |recorded: &Recorded| recorded.event.instant.map_or(0, |frame| frame.position);
        let numbered = self.events.iter().filter(|recorded| recorded.event.instant.is_some());
        if !numbered.is_sorted_by_key(number) {
            self.events.sort_by_key(number);
        }
    }

    /// The sequence through which MARKET is done with when the instant has been handled.
    #[must_use]
    pub fn done_through(&self) -> u64 {
        self.last_sequence().max(self.parked)
    }

    /// Whether it moves the market: it holds a live or rehearsed bar or action, a change of session, or
    /// whatever a source put into a numbered instant. History that is imported never does.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.events.iter().any(|recorded| match &recorded.event.body {
            Some(Body::Bar(bar)) => is_live(bar.origin()),
            Some(Body::BarRevision(revision)) => {
                revision.bar.as_ref().is_some_and(|bar| is_live(bar.origin()))
            }
            Some(Body::CorporateAction(action)) => is_live(action.origin()),
            Some(Body::SessionChange(_)) => true,
            Some(_) => self.framed && recorded.event.instant.is_some(),
            None => false,
        })
    }
}

/// Whether a bar or action of this origin can cause trades.
#[must_use]
pub fn is_live(origin: Origin) -> bool {
    matches!(origin, Origin::Live | Origin::Rehearsal)
}

/// Collects events into instants.
#[derive(Debug)]
pub struct Instants {
    mode: ClockMode,
    pending: Option<Instant>,
    complete: VecDeque<Instant>,
}

impl Instants {
    /// Collects for a service under the given clock. The wall clock knows no numbered instants.
    #[must_use]
    pub fn new(mode: ClockMode) -> Self {
        Self { mode, pending: None, complete: VecDeque::new() }
    }

    /// Takes the next event of MARKET.
    pub fn push(&mut self, recorded: Recorded) {
        let event_ns = recorded.event.event_time.as_ref().and_then(from_timestamp).unwrap_or_default();
        let frame = recorded.event.instant.filter(|_| self.mode == ClockMode::Tape);
        let Some(frame) = frame else {
            match &mut self.pending {
                // It must not overtake: acknowledging it would leave a hole behind it.
                Some(pending) => pending.events.push(recorded),
                None => self.complete.push_back(Instant::beginning(event_ns, false, vec![recorded])),
            }
            return;
        };
        if let Some(pending) = self.pending.take_if(|pending| pending.event_ns != event_ns) {
            tracing::warn!(
                instant_ns = pending.event_ns,
                next_ns = event_ns,
                "instant {} ended before its last event came",
                pending.event_ns
            );
            self.complete.push_back(pending);
        }
        let mut instant = self.pending.take().unwrap_or(Instant::beginning(event_ns, true, Vec::new()));
        instant.events.push(recorded);
        if frame.position.saturating_add(1) >= frame.size {
            instant.order();
            self.complete.push_back(instant);
        } else {
            self.pending = Some(instant);
        }
    }

    /// Takes a message that was parked. True when nothing stands before it: it can be acknowledged at
    /// once. Otherwise it is done with together with the instant before it.
    #[must_use]
    pub fn pass_over(&mut self, sequence: u64) -> bool {
        match self.pending.as_mut().or(self.complete.back_mut()) {
            Some(before) => before.parked = sequence,
            None => return true,
        }
        false
    }

    /// The next complete instant.
    pub fn next_complete(&mut self) -> Option<Instant> {
        self.complete.pop_front()
    }

    /// Gives back an instant that cannot be handled yet; it stays the next one.
    pub fn put_back(&mut self, instant: Instant) {
        self.complete.push_front(instant);
    }

    /// The next complete instant, left where it is.
    #[must_use]
    pub fn peek(&self) -> Option<&Instant> {
        self.complete.front()
    }
}

#[cfg(test)]
mod tests {
    use contracts::v1::event::Body;
    use contracts::v1::{Bar, Event, Instant as Frame};

    use super::*;

    fn bar(sequence: u64, event_ns: i64, frame: Option<(u32, u32)>) -> Recorded {
        let event = Event {
            id: sequence.to_string(),
            event_time: Some(contracts::to_timestamp(event_ns)),
            instant: frame.map(|(position, size)| Frame { position, size, ..Frame::default() }),
            body: Some(Body::Bar(Bar::default())),
            ..Event::default()
        };
        Recorded { sequence, subject: "market.bar.1h.A".into(), event }
    }

    /// Sequence, event time, position and size.
    type Given = (u64, i64, Option<(u32, u32)>);
    /// Event time, whether numbered, sequences.
    type Expected<'a> = (i64, bool, &'a [u64]);

    fn check(mode: ClockMode, events: &[Given], expect: &[Expected<'_>]) {
        let mut instants = Instants::new(mode);
        let mut got = Vec::new();
        for (sequence, event_ns, frame) in events {
            instants.push(bar(*sequence, *event_ns, *frame));
            while let Some(instant) = instants.next_complete() {
                let sequences: Vec<_> = instant.events.iter().map(|event| event.sequence).collect();
                assert_eq!(instant.last_sequence(), *sequences.last().unwrap());
                got.push((instant.event_ns, instant.framed, sequences));
            }
        }
        let expect: Vec<_> =
            expect.iter().map(|(ns, framed, sequences)| (*ns, *framed, sequences.to_vec())).collect();
        assert_eq!(got, expect);
    }

    #[test]
    fn a_numbered_instant_is_complete_with_its_last_event() {
        let events = [(1, 10, Some((0, 2))), (2, 10, Some((1, 2))), (3, 20, Some((0, 1)))];
        check(ClockMode::Tape, &events, &[(10, true, &[1, 2]), (20, true, &[3])]);
    }

    #[test]
    fn events_of_an_instant_take_the_order_of_their_numbers() {
        let mut instants = Instants::new(ClockMode::Tape);
        for event in
            [(1, 10, Some((1, 4))), (2, 10, Some((2, 4))), (3, 10, Some((0, 4))), (4, 10, Some((3, 4)))]
        {
            instants.push(bar(event.0, event.1, event.2));
        }
        let instant = instants.next_complete().unwrap();
        let sequences: Vec<_> = instant.events.iter().map(|event| event.sequence).collect();
        assert_eq!((sequences.as_slice(), instant.last_sequence()), (&[3, 1, 2, 4][..], 4));
    }

    #[test]
    fn the_rest_of_an_instant_is_an_instant() {
        check(ClockMode::Tape, &[(2, 10, Some((1, 2)))], &[(10, true, &[2])]);
    }

    #[test]
    fn an_unnumbered_event_never_overtakes() {
        let events = [(1, 10, Some((0, 2))), (2, 5, None), (3, 10, Some((1, 2))), (4, 7, None)];
        check(ClockMode::Tape, &events, &[(10, true, &[1, 2, 3]), (7, false, &[4])]);
    }

    #[test]
    fn a_lost_end_does_not_hold_up_what_follows() {
        let events = [(1, 10, Some((0, 2))), (2, 20, Some((0, 1)))];
        check(ClockMode::Tape, &events, &[(10, true, &[1]), (20, true, &[2])]);
    }

    #[test]
    fn a_parked_message_is_done_with_after_what_stands_before_it() {
        let mut instants = Instants::new(ClockMode::Tape);
        assert!(instants.pass_over(1), "nothing stands before it");
        instants.push(bar(2, 10, Some((0, 2))));
        assert!(!instants.pass_over(3));
        instants.push(bar(4, 10, Some((1, 2))));
        assert!(!instants.pass_over(5));
        let instant = instants.next_complete().unwrap();
        assert_eq!((instant.last_sequence(), instant.done_through()), (4, 5));
        instants.put_back(instant);
        assert_eq!(instants.peek().unwrap().done_through(), 5);
    }

    #[test]
    fn the_wall_clock_takes_each_event_by_itself() {
        let events = [(1, 10, Some((0, 2))), (2, 10, Some((1, 2)))];
        check(ClockMode::Wall, &events, &[(10, false, &[1]), (10, false, &[2])]);
    }

    #[test]
    fn only_a_numbered_instant_says_how_far_trading_had_come() {
        for (mode, expected) in [(ClockMode::Tape, 7), (ClockMode::Wall, 0)] {
            let mut instants = Instants::new(mode);
            let mut event = bar(1, 10, Some((0, 1)));
            event.event.instant.iter_mut().for_each(|frame| frame.trading_sequence = 7);
            instants.push(event);
            assert_eq!(instants.next_complete().unwrap().trading_sequence(), expected, "{mode:?}");
        }
    }
}
