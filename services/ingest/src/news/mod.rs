//! Articles on the tape: each once for a symbol, whoever tells it, with its sentiment; fetched by a command, or as they
//! come out by the service `news`.
//!
//! Invariants: an article that is there already, under its source's id, its address or its headline of the same day,
//! appends nothing; what its own source changed later, under the same id or, where it gives none, the same address, is a
//! revision; other ids of one source are other articles; ids follow from the article, so that a repetition
//! changes nothing. Deliberately absent: the order of sources, for the first that tells an article keeps it; articles
//! about no symbol.
//!
//! Modules in reading order.

mod same;
mod sentiment;
mod known;
mod list;
mod port;
mod rounds;
mod desk;
mod service;

use std::time::Duration;

use contracts::stream::REFERENCE;
use contracts::v1::event::Body;
use contracts::v1::{Event, NewsArticle, Origin};
use contracts::{Subject, event_id, from_timestamp, to_timestamp};
use event_log::{Append, AppendError, Expect, STORED_MAX, Tape};
use serde::Serialize;

use crate::reference::KeepError;
use known::{Is, Known};
pub use list::{Listed, list};
pub use port::{AskError, Heard, NewsAgency, NewsPage, NewsPages, NewsWire};
pub use sentiment::{LIBRARY, VERSION};
pub use service::{NewsConfig, NewsError, SERVICE, run};

/// Attempts while others write or the tape does not answer, and the pause between them.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(500);
/// Articles of one batch.
const BATCH: usize = 500;

/// What became of the articles about one symbol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NewsReport {
    /// Articles that the source told.
    pub read: u64,
    /// Articles that are on the tape now.
    pub appended: u64,
    /// Articles of which the source has changed the text.
    pub revisions: u64,
    /// Articles that were there already.
    pub duplicates: u64,
}

impl NewsReport {
    /// Adds what became of others.
    pub const fn add(&mut self, other: Self) {
        self.read += other.read;
        self.appended += other.appended;
        self.revisions += other.revisions;
        self.duplicates += other.duplicates;
    }
}

/// Brings a source's articles about one symbol onto the tape.
#[derive(Debug)]
pub struct Newsroom {
    tape: Tape,
    source: String,
    delay: Duration,
    symbol: String,
    subject: Subject,
    known: Known,
    /// Last sequence that is known under the subject.
    sequence: u64,
    report: NewsReport,
}

/// A source's delay in words: `none`, `24h`, `15m`.
#[must_use]
pub fn delay_label(delay: Duration) -> String {
    match delay.as_secs() {
        0 => "none".to_owned(),
        seconds if seconds % 3_600 == 0 => format!("{}h", seconds / 3_600),
        seconds if seconds % 60 == 0 => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}

impl Newsroom {
    /// Reads what the tape holds of a symbol. `delay` is how long after its publication the source tells an article.
    pub async fn open(tape: &Tape, source: &str, delay: Duration, symbol: &str) -> Result<Self, KeepError> {
        let mut room = Self {
            tape: tape.clone(),
            source: source.to_owned(),
            delay,
            symbol: symbol.to_owned(),
            subject: Subject::news(symbol),
            known: Known::default(),
            sequence: 0,
            report: NewsReport::default(),
        };
        room.catch_up().await?;
        Ok(room)
    }

    /// Takes in articles as the source tells them: without ids, sentiment, delay and revision, which follow here. `origin`
    /// is `live` for what the source told by itself, `backfill` for what it was asked for.
    pub async fn take(&mut self, mut told: Vec<NewsArticle>, origin: Origin) -> Result<(), KeepError> {
        self.report.read += told.len() as u64;
        told.sort_by_cached_key(|article| (updated_ns(article), article.url.clone()));
        let mut left = told.as_slice();
        let mut attempts = 0;
        while !left.is_empty() {
            let (batch, rest) = left.split_at(left.len().min(BATCH));
            attempts += 1;
            match self.append(batch, origin).await {
                Ok(Some(report)) => {
                    self.report.add(report);
                    (left, attempts) = (rest, 0);
                }
                // Another was first: what it wrote is read and compared.
                Ok(None) => self.again().await?,
                Err(AppendError::Conflict { .. }) if attempts < ATTEMPTS => self.again().await?,
                Err(AppendError::Unavailable(error)) if attempts < ATTEMPTS => {
                    tracing::warn!(attempts, "articles not answered, looking again: {error}");
                    tokio::time::sleep(PAUSE).await;
                    self.again().await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// When the newest article of the source was last changed, UTC nanoseconds; `None` where the tape has none of it.
    pub(crate) fn newest_ns(&self) -> Option<i64> {
        self.known.newest_ns(&self.source)
    }

    /// What became of the articles so far.
    #[must_use]
    pub fn report(&self) -> NewsReport {
        self.report
    }

    /// What became of some articles; `None` when they were stored already, under the same ids.
    async fn append(
        &mut self,
        told: &[NewsArticle],
        origin: Origin,
    ) -> Result<Option<NewsReport>, AppendError> {
        let mut report = NewsReport::default();
        let mut entries = Vec::new();
        for article in told {
            let (article_id, revision) = match self.known.is(&self.source, article) {
                Is::Known => {
                    report.duplicates += 1;
                    continue;
                }
                Is::Changed { article_id, revision } => (article_id, revision),
                Is::New => (self.known.new_id(&self.source, article), 0),
            };
            let counted = if revision > 0 { &mut report.revisions } else { &mut report.appended };
            *counted += 1;
            let event = self.event(article, article_id, revision, origin);
            let Some(Body::NewsArticle(noted)) = &event.body else { continue };
            self.known.note(&self.source, noted);
            let expect = if entries.is_empty() {
                Expect::Last { filter: self.subject.as_str().to_owned(), sequence: self.sequence }
            } else {
                Expect::Nothing
            };
            entries.push(Append { subject: self.subject.clone(), event, expect });
        }
        if !entries.is_empty() {
            let places = self.tape.append_batch(entries).await?;
            if places.iter().any(|place| place.duplicate) {
                return Ok(None);
            }
            self.sequence = places.iter().map(|place| place.sequence).fold(self.sequence, u64::max);
        }
        Ok(Some(report))
    }

    fn event(&self, told: &NewsArticle, article_id: String, revision: u32, origin: Origin) -> Event {
        let id = event_id(&article_id, &format!("news/{}", self.symbol), revision);
        let delay_ns = i64::try_from(self.delay.as_nanos()).unwrap_or(i64::MAX);
        let sentiment = sentiment::lexicon().of(&told.headline, &told.summary);
        let body = NewsArticle {
            article_id,
            symbol: self.symbol.clone(),
            sentiment: Some(sentiment),
            delay: delay_label(self.delay),
            revision,
            origin: origin.into(),
            ..told.clone()
        };
        Event {
            correlation_id: id.clone(),
            id,
            event_time: Some(to_timestamp(updated_ns(told).saturating_add(delay_ns))),
            source: self.source.clone(),
            schema_version: 1,
            body: Some(Body::NewsArticle(body)),
            ..Event::default()
        }
    }

    /// Forgets what was only decided and reads the tape again.
    async fn again(&mut self) -> Result<(), KeepError> {
        (self.known, self.sequence) = (Known::default(), 0);
        self.catch_up().await
    }

    async fn catch_up(&mut self) -> Result<(), KeepError> {
        loop {
            let filter = self.subject.as_str();
            let messages = self.tape.stored_from(REFERENCE, filter, self.sequence + 1, STORED_MAX).await?;
            if messages.is_empty() {
                return Ok(());
            }
            for stored in messages {
                self.sequence = stored.sequence;
                let Ok(event) = stored.decode() else { continue };
                if let Some(Body::NewsArticle(article)) = &event.body {
                    self.known.note(&event.source, article);
                }
            }
        }
    }
}

/// When an article was last changed, UTC nanoseconds.
fn updated_ns(article: &NewsArticle) -> i64 {
    let time = article.updated.as_ref().or(article.published.as_ref());
    time.and_then(from_timestamp).unwrap_or_default()
}
