//! Whose hours hold on a tape.

use contracts::{Subject, stream};
use domain::calendar::Market;
use event_log::{LogError, Tape};

/// Where sessions stand, by calendar.
const SESSIONS: &str = "market.session.*";

/// Why nobody can say whose hours hold.
#[derive(Debug, thiserror::Error)]
pub enum HoursError {
    /// The tape could not be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// MARKET holds the sessions of several calendars, or of one that is not known; their names.
    #[error("the tape holds sessions of {}: expected those of one of XNYS, 24x5, 24x7", .0.join(" and "))]
    Unclear(Vec<String>),
}

/// The market whose sessions MARKET holds. Where it holds none nothing was played or streamed, and `noted` holds, as
/// the tape's manifest has it.
pub async fn hours(tape: &Tape, noted: Market) -> Result<Market, HoursError> {
    let stored = tape.subjects(stream::MARKET, SESSIONS).await?;
    let names = stored.counts.iter().filter_map(|count| {
        let subject = Subject::parse(&count.subject).ok()?;
        subject.tokens().nth(2)
    });
    let names: Vec<String> = names.collect();
    let found = match names.as_slice() {
        [] => Some(noted),
        [name] => name.parse().ok(),
        _ => None,
    };
    found.ok_or(HoursError::Unclear(names))
}
