//! What came of filling the tape with history and articles: an audit event for each series, and what these say last.
//!
//! The target of such an event is `<source>/<symbol>/<timeframe>`, its detail what was done, or why it failed. Words of
//! vendors come without their secrets, which whoever asks a vendor takes out.

use std::collections::BTreeMap;

use contracts::stream::AUDIT;
use contracts::v1::event::Body;
use contracts::v1::{Audit, Event};
use contracts::{Subject, from_timestamp};
use event_log::{Append, AppendError, Expect, LogError, MAX_BATCH, STORED_MAX, Tape};
use serde::Serialize;

use super::{Caller, event};

/// What stands in the place of the timeframe where it is articles.
pub const NEWS: &str = "news";

const FILTER: &str = "audit.>";
/// Longest words of a failure, in characters.
const WORDS_MAX: usize = 500;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A vendor was asked for history.
    Backfill,
    /// Files were imported.
    Import,
    /// A vendor was asked for articles.
    NewsFetch,
}

impl Action {
    const ALL: [Self; 3] = [Self::Backfill, Self::Import, Self::NewsFetch];

    /// Its name in audit events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Backfill => "backfill",
            Self::Import => "import",
            Self::NewsFetch => "news_fetch",
        }
    }

    /// Its name where it failed.
    #[must_use]
    pub const fn failed(self) -> &'static str {
        match self {
            Self::Backfill => "backfill_failed",
            Self::Import => "import_failed",
            Self::NewsFetch => "news_fetch_failed",
        }
    }
}

/// What came of one series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filled {
    /// Who told of it.
    pub source: String,
    /// Symbol.
    pub symbol: String,
    /// Timeframe, [`NEWS`] for articles.
    pub timeframe: String,
    /// What was done, or why it failed, in words.
    pub outcome: Result<String, String>,
}

/// Records what came of some series, each once for a caller's key.
pub async fn record(
    tape: &Tape,
    caller: &Caller,
    action: Action,
    filled: &[Filled],
) -> Result<(), AppendError> {
    for part in filled.chunks(MAX_BATCH) {
        let entries = part.iter().map(|filled| entry(caller, action, filled)).collect();
        tape.append_batch(entries).await?;
    }
    Ok(())
}

fn entry(caller: &Caller, action: Action, filled: &Filled) -> Append {
    let Filled { source, symbol, timeframe, outcome } = filled;
    let target = format!("{source}/{symbol}/{timeframe}");
    let (action, words) = match outcome {
        Ok(words) => (action.name(), words),
        Err(words) => (action.failed(), words),
    };
    // One key is of as many commands as there are series.
    let of_series = Caller { key: format!("{}/{target}", caller.key), ..caller.clone() };
    let body = Body::Audit(Audit {
        actor: caller.actor.clone(),
        action: action.to_owned(),
        target,
        detail: words.chars().take(WORDS_MAX).collect(),
    });
    let subject = Subject::of(&["audit", &caller.actor, action]);
    let event = event(&of_series, &format!("audit/{action}"), body);
    Append { subject, event, expect: Expect::Nothing }
}

/// What audit events say last of a series.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SeriesFilled {
    /// Who told of it.
    pub source: String,
    /// Symbol.
    pub symbol: String,
    /// Timeframe, [`NEWS`] for articles.
    pub timeframe: String,
    /// When it went well last, UTC nanoseconds.
    pub last_success_ns: Option<i64>,
    /// When it failed last, UTC nanoseconds. Where that is the newer one, it has not gone well since.
    pub last_error_ns: Option<i64>,
    /// Why it failed last; empty where it never did.
    pub last_error: String,
}

impl SeriesFilled {
    /// Whether it failed, and has not gone well since.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.last_error_ns.is_some() && self.last_error_ns > self.last_success_ns
    }
}

/// Source, symbol, timeframe.
type Key = (String, String, String);

/// What audit events say last of every series: a fold of them, which can be continued. Memory grows with series.
#[derive(Clone, Debug, Default)]
pub struct Fillings {
    series: BTreeMap<Key, SeriesFilled>,
    /// Last sequence of AUDIT that was looked at.
    sequence: u64,
}

impl Fillings {
    /// Reads what has come since it was called last; leaves nothing behind on the server.
    pub async fn catch_up(&mut self, tape: &Tape) -> Result<(), LogError> {
        // Mostly nothing has.
        if tape.last_sequence(AUDIT, FILTER).await? <= self.sequence {
            return Ok(());
        }
        loop {
            let messages = tape.stored_from(AUDIT, FILTER, self.sequence + 1, STORED_MAX).await?;
            if messages.is_empty() {
                return Ok(());
            }
            for stored in messages {
                self.sequence = stored.sequence;
                if let Ok(event) = stored.decode() {
                    self.fold(event);
                }
            }
        }
    }

    /// Every series, by source, symbol and timeframe.
    pub fn series(&self) -> impl Iterator<Item = &SeriesFilled> {
        self.series.values()
    }

    /// What is known of one series.
    #[must_use]
    pub fn of(&self, source: &str, symbol: &str, timeframe: &str) -> Option<&SeriesFilled> {
        self.series.get(&(source.to_owned(), symbol.to_owned(), timeframe.to_owned()))
    }

    fn fold(&mut self, event: Event) {
        let Some(at_ns) = event.event_time.as_ref().and_then(from_timestamp) else { return };
        let Some(Body::Audit(audit)) = event.body else { return };
        let done = Action::ALL.iter().any(|action| action.name() == audit.action);
        if !done && !Action::ALL.iter().any(|action| action.failed() == audit.action) {
            return;
        }
        let parts = audit.target.split_once('/');
        let parts = parts.and_then(|(source, rest)| Some((source, rest.rsplit_once('/')?)));
        let Some((source, (symbol, timeframe))) = parts else { return };
        let key = (source.to_owned(), symbol.to_owned(), timeframe.to_owned());
        let series = self.series.entry(key.clone()).or_default();
        (series.source, series.symbol, series.timeframe) = key;
        if done {
            series.last_success_ns = series.last_success_ns.max(Some(at_ns));
        } else if series.last_error_ns <= Some(at_ns) {
            (series.last_error_ns, series.last_error) = (Some(at_ns), audit.detail);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use event_log::MemoryLog;

    use super::*;

    fn filled(symbol: &str, outcome: Result<&str, &str>) -> Filled {
        Filled {
            source: "yahoo".to_owned(),
            symbol: symbol.to_owned(),
            timeframe: "1h".to_owned(),
            outcome: outcome.map(str::to_owned).map_err(str::to_owned),
        }
    }

    fn caller(key: &str) -> Caller {
        Caller { actor: "ada".to_owned(), key: key.to_owned() }
    }

    #[tokio::test]
    async fn what_came_of_each_series_is_recorded_once_and_told_last() {
        let tape: Tape = Arc::new(MemoryLog::new());
        let mut known = Fillings::default();
        known.catch_up(&tape).await.unwrap();
        assert_eq!(known.series().count(), 0);
        let first = [filled("A", Ok("7 events appended")), filled("B/C", Err("down"))];
        for _ in 0..2 {
            record(&tape, &caller("1"), Action::Backfill, &first).await.unwrap();
        }
        assert_eq!(tape.state(AUDIT).await.unwrap().messages, 2, "one key, one effect");
        known.catch_up(&tape).await.unwrap();
        let (a, b) = (known.of("yahoo", "A", "1h").unwrap(), known.of("yahoo", "B/C", "1h").unwrap());
        assert!(a.last_success_ns.is_some() && a.last_error_ns.is_none() && !a.is_failing());
        assert!(b.last_success_ns.is_none() && b.is_failing());
        assert_eq!((b.symbol.as_str(), b.last_error.as_str()), ("B/C", "down"));
        // Other audits say nothing of series; a success leaves the last error to be seen.
        super::super::audit(&tape, &caller("2"), "halt", "paper", "").await.unwrap();
        let long = "x".repeat(WORDS_MAX + 9);
        let second = [filled("A", Err(&long)), filled("B/C", Ok("nothing new"))];
        record(&tape, &caller("3"), Action::Backfill, &second).await.unwrap();
        known.catch_up(&tape).await.unwrap();
        assert_eq!(known.series().count(), 2);
        let (a, b) = (known.of("yahoo", "A", "1h").unwrap(), known.of("yahoo", "B/C", "1h").unwrap());
        assert!(a.is_failing() && a.last_success_ns.is_some() && a.last_error.len() == WORDS_MAX);
        assert!(!b.is_failing() && b.last_error == "down");
    }
}
