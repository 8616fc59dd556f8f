//! The articles of the tape, newest first, as they were appended.

use contracts::v1::NewsArticle;
use contracts::v1::event::Body;
use contracts::{Subject, from_timestamp, stream::REFERENCE};
use event_log::{LogError, STORED_MAX, Tape};

/// An article as it stands on the tape.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// Sequence on REFERENCE.
    pub sequence: u64,
    /// Who told it.
    pub source: String,
    /// From when on it could be known, UTC nanoseconds.
    pub event_time_ns: i64,
    /// The article.
    pub article: NewsArticle,
}

/// At most `limit` articles below the sequence `before`, of one symbol or of all.
pub async fn list(
    tape: &Tape,
    symbol: Option<&str>,
    before: Option<u64>,
    limit: usize,
) -> Result<Vec<Listed>, LogError> {
    let filter =
        symbol.map_or_else(|| "news.article.>".to_owned(), |symbol| Subject::news(symbol).to_string());
    let mut before = before.unwrap_or(u64::MAX);
    let mut found = Vec::new();
    while found.len() < limit {
        let wanted = (limit - found.len()).min(STORED_MAX);
        let messages = tape.stored_before(REFERENCE, &filter, before, wanted).await?;
        let Some(oldest) = messages.last() else { break };
        before = oldest.sequence;
        for stored in messages {
            let Ok(event) = stored.decode() else { continue };
            let time = event.event_time.as_ref().and_then(from_timestamp).unwrap_or_default();
            if let Some(Body::NewsArticle(article)) = event.body {
                let (source, sequence) = (event.source, stored.sequence);
                found.push(Listed { sequence, source, event_time_ns: time, article });
            }
        }
    }
    Ok(found)
}
