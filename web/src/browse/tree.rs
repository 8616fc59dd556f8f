//! Streams, and the tree of their subjects one level at a time.

use std::collections::BTreeMap;

use contracts::stream;
use event_log::{StreamState, Tape};

use super::BrowseError;

/// Every stream of the tape, in the order in which an event travels.
pub const STREAMS: [&str; 7] = [
    stream::MARKET,
    stream::REFERENCE,
    stream::TRADING,
    stream::AUDIT,
    stream::PARKED,
    stream::LOGS,
    stream::QUOTES,
];
/// Most branches of one level that are listed.
const BRANCHES_MAX: usize = 200;

/// The stream of that name.
#[must_use]
pub fn stream_named(name: &str) -> Option<&'static str> {
    STREAMS.into_iter().find(|stream| *stream == name)
}

/// The subjects of a stream, separated by spaces.
#[must_use]
pub fn subjects_of(stream: &str) -> &'static str {
    match stream {
        stream::MARKET => "market.>",
        stream::REFERENCE => "reference.> news.>",
        stream::TRADING => "control.> signal.> risk.> order.> fill.> account.>",
        stream::AUDIT => "audit.>",
        stream::PARKED => "parked.>",
        stream::QUOTES => "quote.> trade.>",
        _ => "log.>",
    }
}

/// A stream and what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamCount {
    /// Name.
    pub name: &'static str,
    /// First and last sequence, messages, bytes.
    pub state: StreamState,
}

/// What every stream holds.
pub async fn streams(tape: &Tape) -> Result<Vec<StreamCount>, BrowseError> {
    let mut counts = Vec::with_capacity(STREAMS.len());
    for name in STREAMS {
        counts.push(StreamCount { name, state: tape.state(name).await? });
    }
    Ok(counts)
}

/// One branch of the tree.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Branch {
    /// Its own token, as it stands in subjects.
    pub token: String,
    /// Subject up to here, for example `signal.sma_cross`.
    pub path: String,
    /// Filter that covers everything here: the subject itself, or `….>`.
    pub filter: String,
    /// Messages under it.
    pub messages: u64,
    /// Subjects under it.
    pub subjects: u64,
    /// Whether it has branches of its own.
    pub has_branches: bool,
}

/// One level of the tree.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Level {
    /// Branches by name; at most 200.
    pub branches: Vec<Branch>,
    /// Branches that are not listed.
    pub more: usize,
    /// Subjects that were not counted, because the server lists 100,000 at most.
    pub uncounted: u64,
}

/// The branches right under `path`; the empty path is the stream itself.
pub async fn level(tape: &Tape, stream: &str, path: &str) -> Result<Level, BrowseError> {
    let filter = if path.is_empty() { ">".to_owned() } else { format!("{path}.>") };
    let subjects = tape.subjects(stream, &filter).await?;
    let skip = if path.is_empty() { 0 } else { path.len() + 1 };
    let mut branches = BTreeMap::<&str, Branch>::new();
    for count in &subjects.counts {
        let Some(rest) = count.subject.get(skip..) else { continue };
        let (token, deeper) = rest.split_once('.').map_or((rest, false), |(token, _)| (token, true));
        let branch = branches.entry(token).or_insert_with(|| Branch {
            token: token.to_owned(),
            path: count.subject[..skip + token.len()].to_owned(),
            filter: String::new(),
            messages: 0,
            subjects: 0,
            has_branches: false,
        });
        branch.messages += count.messages;
        branch.subjects += 1;
        branch.has_branches |= deeper;
    }
    let mut branches: Vec<Branch> = branches.into_values().collect();
    for branch in &mut branches {
        branch.filter = if branch.has_branches { format!("{}.>", branch.path) } else { branch.path.clone() };
    }
    let more = branches.len().saturating_sub(BRANCHES_MAX);
    branches.truncate(BRANCHES_MAX);
    Ok(Level { branches, more, uncounted: subjects.total.saturating_sub(subjects.counts.len() as u64) })
}
