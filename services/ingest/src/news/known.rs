//! The articles about a symbol that the tape holds. Pure: a fold of them.

use std::collections::HashMap;

use contracts::v1::NewsArticle;
use contracts::{event_id, from_timestamp};

use super::{same, updated_ns};

/// How far apart two articles of the same headline may have come out and be one.
const SAME_HEADLINE_NS: i64 = 24 * 3_600 * 1_000_000_000;

/// What an article is to the tape.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Is {
    New,
    Known,
    /// Its own source has changed it.
    Changed {
        article_id: String,
        revision: u32,
    },
}

/// What an article is recognised by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// The id that its source gives it.
    SourceId,
    Address,
    Headline,
}

#[derive(Debug)]
struct Held {
    article_id: String,
    source: String,
    /// Its source's own id; empty where it gives none.
    source_article_id: String,
    published_ns: i64,
    updated_ns: i64,
    content: blake3::Hash,
    revision: u32,
}

/// The articles, and under what each is found.
#[derive(Debug, Default)]
pub(super) struct Known {
    held: Vec<Held>,
    by_id: HashMap<String, usize>,
    by_source_id: HashMap<(String, String), usize>,
    by_address: HashMap<String, usize>,
    /// The newest of a headline.
    by_headline: HashMap<String, usize>,
}

impl Known {
    /// What an article is that `source` tells.
    pub(super) fn is(&self, source: &str, told: &NewsArticle) -> Is {
        let found = self.find(source, told);
        let Some((by, held)) = found.and_then(|(by, index)| Some((by, self.held.get(index)?))) else {
            return Is::New;
        };
        if held.source != source || held.content == content(told) {
            return Is::Known;
        }
        // Other ids of one source are other articles, whatever else they share: a page that is always the same one, a
        // headline that comes several times a day.
        let (own, other) = (&told.source_article_id, &held.source_article_id);
        if by != By::SourceId && !own.is_empty() && !other.is_empty() {
            return Is::New;
        }
        // A headline tells a copy, not a change: what says more has an address of its own.
        if by == By::Headline || updated_ns(told) < held.updated_ns {
            return Is::Known;
        }
        Is::Changed { article_id: held.article_id.clone(), revision: held.revision + 1 }
    }

    /// When the newest article of `source` was last changed, UTC nanoseconds.
    pub(super) fn newest_ns(&self, source: &str) -> Option<i64> {
        self.held.iter().filter(|held| held.source == source).map(|held| held.updated_ns).max()
    }

    /// The id of an article that is new: of its address, else of its headline and day. Where another article has that
    /// one, it is of the source's own id.
    pub(super) fn new_id(&self, source: &str, article: &NewsArticle) -> String {
        let address = same::canonical(&article.url);
        let day = published_ns(article).div_euclid(SAME_HEADLINE_NS);
        let mut cause = match address.as_str() {
            "" => format!("headline/{day}/{}", same::words(&article.headline, &article.publisher)),
            address => format!("article/{address}"),
        };
        let id = event_id(&cause, "news", 0);
        if !self.by_id.contains_key(&id) {
            return id;
        }
        if !article.source_article_id.is_empty() {
            cause = format!("source/{source}/{}", article.source_article_id);
        }
        let mut others = (1_u32..).map(|number| event_id(&cause, "news", number));
        others.find(|id| !self.by_id.contains_key(id)).unwrap_or(id)
    }

    fn find(&self, source: &str, told: &NewsArticle) -> Option<(By, usize)> {
        if !told.source_article_id.is_empty() {
            let key = (source.to_owned(), told.source_article_id.clone());
            if let Some(index) = self.by_source_id.get(&key) {
                return Some((By::SourceId, *index));
            }
        }
        if let Some(index) = self.by_address.get(&same::canonical(&told.url)) {
            return Some((By::Address, *index));
        }
        let index = *self.by_headline.get(&same::words(&told.headline, &told.publisher))?;
        let apart_ns = published_ns(told).saturating_sub(self.held.get(index)?.published_ns);
        (apart_ns.saturating_abs() <= SAME_HEADLINE_NS).then_some((By::Headline, index))
    }

    /// Takes in an article of the tape, or one that is about to be there.
    pub(super) fn note(&mut self, source: &str, article: &NewsArticle) {
        let held = Held {
            article_id: article.article_id.clone(),
            source: source.to_owned(),
            source_article_id: article.source_article_id.clone(),
            published_ns: published_ns(article),
            updated_ns: updated_ns(article),
            content: content(article),
            revision: article.revision,
        };
        let index = *self.by_id.entry(held.article_id.clone()).or_insert(self.held.len());
        match self.held.get_mut(index) {
            Some(earlier) => *earlier = held,
            None => self.held.push(held),
        }
        if !article.source_article_id.is_empty() {
            self.by_source_id.insert((source.to_owned(), article.source_article_id.clone()), index);
        }
        let address = same::canonical(&article.url);
        if !address.is_empty() {
            self.by_address.insert(address, index);
        }
        let words = same::words(&article.headline, &article.publisher);
        if !words.is_empty() {
            self.by_headline.insert(words, index);
        }
    }
}

fn published_ns(article: &NewsArticle) -> i64 {
    article.published.as_ref().and_then(from_timestamp).unwrap_or_default()
}

/// What counts as a change of an article.
fn content(article: &NewsArticle) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    let texts = [&article.publisher, &article.author, &article.url, &article.headline, &article.summary];
    for text in texts.into_iter().chain(&article.symbols) {
        hasher.update(&(text.len() as u64).to_be_bytes());
        hasher.update(text.as_bytes());
    }
    hasher.finalize()
}
