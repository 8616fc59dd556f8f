//! The articles that strategies beside a run asked for, from the tape whose bars the run walks.
//!
//! As on the tape of a rehearsal they are all there from the start, in their order there, and no clock waits for them: a
//! strategy holds an article's event time against that of its bar. What became known after the last bar is left out.

use contracts::stream::REFERENCE;
use contracts::{Subject, from_timestamp};
use engine::OutsideError;
use event_log::{Append, Expect, MAX_BATCH, Recorded, Tape, events_under};
use runtime::ExternalStrategy;

use super::{lost, refused};

/// Where articles stand.
const ARTICLES: &str = "news.article.>";

/// Copies what `externals` read of the articles on `from` that were known by `until_ns` to `to`; answers how many.
pub async fn copy_articles(
    from: &Tape,
    to: &Tape,
    externals: &[ExternalStrategy],
    until_ns: i64,
) -> Result<u64, OutsideError> {
    if !externals.iter().any(ExternalStrategy::reads_articles) {
        return Ok(0);
    }
    let all = events_under(from, REFERENCE, &[ARTICLES.to_owned()], 1..=u64::MAX).await.map_err(lost)?;
    let is_known = |recorded: &Recorded| {
        let time_ns = recorded.event.event_time.as_ref().and_then(from_timestamp);
        time_ns.is_some_and(|time_ns| time_ns <= until_ns)
    };
    let wanted = all
        .into_iter()
        .filter(|recorded| is_known(recorded) && externals.iter().any(|one| one.reads(&recorded.subject)));
    let append = |Recorded { subject, event, .. }| {
        Some(Append { subject: Subject::parse(&subject).ok()?, event, expect: Expect::Nothing })
    };
    let mut entries = wanted.filter_map(append).peekable();
    let mut count = 0;
    while entries.peek().is_some() {
        let batch: Vec<Append> = entries.by_ref().take(MAX_BATCH).collect();
        count += batch.len() as u64;
        to.append_batch(batch).await.map_err(refused)?;
    }
    Ok(count)
}
