//! When a source is asked, and from where on. Pure: times are given.
//!
//! A round asks for one symbol after the other. A symbol that was asked for whole is asked again from there, a little
//! overlapping; one that was not, from where the tape says, at most [`BACK_MAX_NS`] back. What whoever asks cannot have
//! ends the round, what one symbol cannot have does not.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::port::AskError;

const HOUR_NS: i64 = 3_600 * 1_000_000_000;
const DAY_NS: i64 = 24 * HOUR_NS;
/// How far back a symbol is asked for of which the tape has no article.
const BACK_NS: i64 = 7 * DAY_NS;
/// And one of which it has, however long ago it was followed.
const BACK_MAX_NS: i64 = 28 * DAY_NS;
/// How far before the newest article of the tape a start begins: the stream may have told it while something before was
/// not to be had.
const START_OVERLAP_NS: i64 = DAY_NS;
/// How late a source may list an article, besides its delay.
const LATE_NS: i64 = HOUR_NS;
/// Pause after a round that ended early with what may pass.
const PAUSE: Duration = Duration::from_secs(60);

/// The rounds of one start of the service.
#[derive(Debug)]
pub(super) struct Rounds {
    symbols: Vec<String>,
    every: Duration,
    delay_ns: i64,
    /// Up to where each symbol was asked for, UTC nanoseconds.
    asked_ns: HashMap<String, i64>,
    /// The symbols of the round under way that are still to be asked for.
    left: Option<VecDeque<String>>,
    due_at: Instant,
    next_at: Instant,
    /// Whether the stream stood anew while a round was under way.
    again: bool,
    ended: bool,
    /// What the round under way has met, by symbol; that of whoever asks under no symbol.
    meeting: BTreeMap<String, String>,
    met: BTreeMap<String, String>,
}

impl Rounds {
    pub(super) fn new(symbols: Vec<String>, every: Duration, delay: Duration, now: Instant) -> Self {
        Self {
            symbols,
            every,
            delay_ns: i64::try_from(delay.as_nanos()).unwrap_or(i64::MAX),
            asked_ns: HashMap::new(),
            left: None,
            due_at: now,
            next_at: now,
            again: false,
            ended: false,
            meeting: BTreeMap::new(),
            met: BTreeMap::new(),
        }
    }

    /// When the next round begins; `None` while one is under way.
    pub(super) fn due_at(&self) -> Option<Instant> {
        self.left.is_none().then_some(self.due_at)
    }

    pub(super) fn begin(&mut self, now: Instant) {
        self.left = Some(self.symbols.iter().cloned().collect());
        self.next_at = now + self.every;
        self.again = false;
        self.meeting.clear();
    }

    /// The next symbol of the round.
    pub(super) fn next_symbol(&mut self) -> Option<String> {
        self.left.as_mut()?.pop_front()
    }

    /// The stream stands: what came out before is asked for.
    pub(super) fn connected(&mut self, now: Instant) {
        self.due_at = now;
        self.again = self.left.is_some();
    }

    /// From where on a symbol is asked for at `now_ns`; `newest_ns` is the newest article of the source on the tape.
    pub(super) fn since_ns(&self, symbol: &str, newest_ns: Option<i64>, now_ns: i64) -> i64 {
        let from_ns = match (self.asked_ns.get(symbol), newest_ns) {
            (Some(asked_ns), _) => asked_ns.saturating_sub(self.delay_ns).saturating_sub(LATE_NS),
            (None, Some(newest_ns)) => newest_ns.saturating_sub(START_OVERLAP_NS),
            (None, None) => now_ns.saturating_sub(BACK_NS),
        };
        from_ns.clamp(now_ns.saturating_sub(BACK_MAX_NS), now_ns.saturating_sub(1))
    }

    /// Everything about a symbol up to `to_ns` is on the tape.
    pub(super) fn asked(&mut self, symbol: String, to_ns: i64) {
        self.asked_ns.insert(symbol, to_ns);
    }

    /// A symbol was not to be had.
    pub(super) fn failed(&mut self, symbol: &str, error: AskError, now: Instant) {
        let (about, words) = match error {
            AskError::Symbol(words) => (symbol, words),
            AskError::Refused(words) => ("", words),
            AskError::Passing(words) => {
                self.next_at = now + PAUSE.min(self.every);
                ("", words)
            }
        };
        self.meeting.insert(about.to_owned(), words);
        if about.is_empty() {
            self.left = Some(VecDeque::new());
        }
    }

    /// The round is over.
    pub(super) fn end(&mut self, now: Instant) {
        self.left = None;
        self.ended = true;
        self.met = std::mem::take(&mut self.meeting);
        self.due_at = if std::mem::take(&mut self.again) { now } else { self.next_at };
    }

    /// Whether a round has ended since the start.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// What the last round met, in words.
    pub(super) fn trouble(&self) -> Option<String> {
        let (symbol, words) = self.met.first_key_value()?;
        let about = if symbol.is_empty() { String::new() } else { format!("{symbol}: ") };
        let others = match self.met.len() - 1 {
            0 => String::new(),
            others => format!(" (and of {others} other symbols)"),
        };
        Some(format!("{about}{words}{others}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(900);
    const NOW_NS: i64 = 1_767_711_600_000_000_000;

    fn rounds(now: Instant) -> Rounds {
        Rounds::new(vec!["A".into(), "B".into()], EVERY, Duration::ZERO, now)
    }

    /// Ends a round in which every symbol was asked for.
    fn whole(rounds: &mut Rounds, now: Instant) {
        rounds.begin(now);
        while let Some(symbol) = rounds.next_symbol() {
            rounds.asked(symbol, NOW_NS);
        }
        rounds.end(now);
    }

    #[tokio::test]
    async fn a_symbol_is_asked_for_from_where_it_was_asked_for_last() {
        let now = Instant::now();
        let mut rounds = rounds(now);
        assert_eq!(rounds.since_ns("A", None, NOW_NS), NOW_NS - 7 * DAY_NS);
        assert_eq!(rounds.since_ns("A", Some(NOW_NS - HOUR_NS), NOW_NS), NOW_NS - 25 * HOUR_NS);
        assert_eq!(rounds.since_ns("A", Some(0), NOW_NS), NOW_NS - 28 * DAY_NS, "no further");
        assert_eq!(
            rounds.since_ns("A", Some(NOW_NS + 30 * DAY_NS), NOW_NS),
            NOW_NS - 1,
            "a span all the same"
        );
        whole(&mut rounds, now);
        let later_ns = NOW_NS + HOUR_NS;
        // What the stream told meanwhile does not say that nothing is missing before.
        assert_eq!(rounds.since_ns("A", Some(later_ns), later_ns), NOW_NS - HOUR_NS);
        rounds.delay_ns = DAY_NS;
        assert_eq!(rounds.since_ns("A", None, later_ns), NOW_NS - 25 * HOUR_NS, "a source that is late");
    }

    #[tokio::test]
    async fn a_connection_asks_at_once_even_while_a_round_is_under_way() {
        let now = Instant::now();
        let mut rounds = rounds(now);
        whole(&mut rounds, now);
        assert_eq!(rounds.due_at(), Some(now + EVERY));
        rounds.connected(now);
        assert_eq!(rounds.due_at(), Some(now));
        rounds.begin(now);
        assert_eq!(rounds.due_at(), None);
        rounds.connected(now);
        rounds.end(now);
        assert_eq!(rounds.due_at(), Some(now), "once more, because the round began before");
        whole(&mut rounds, now);
        assert_eq!(rounds.due_at(), Some(now + EVERY));
    }

    #[tokio::test]
    async fn what_whoever_asks_meets_ends_the_round_and_stays_told_until_the_next_has_ended() {
        let now = Instant::now();
        let mut rounds = rounds(now);
        rounds.begin(now);
        let symbol = rounds.next_symbol().unwrap();
        rounds.failed(&symbol, AskError::Symbol("no such thing".into()), now);
        assert_eq!(rounds.next_symbol().as_deref(), Some("B"), "the others are asked for");
        rounds.end(now);
        assert_eq!(rounds.trouble().as_deref(), Some("A: no such thing"));
        assert_eq!(rounds.due_at(), Some(now + EVERY));
        rounds.begin(now);
        let symbol = rounds.next_symbol().unwrap();
        rounds.failed(&symbol, AskError::Passing("down".into()), now);
        assert_eq!(rounds.next_symbol(), None);
        assert_eq!(rounds.trouble().as_deref(), Some("A: no such thing"), "until it has ended");
        rounds.end(now);
        assert_eq!(rounds.trouble().as_deref(), Some("down"));
        assert_eq!(rounds.due_at(), Some(now + PAUSE), "sooner than otherwise");
        whole(&mut rounds, now);
        assert_eq!(rounds.trouble(), None);
    }
}
