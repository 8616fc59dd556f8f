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

#[derive(Debug)]
struct Held {
    article_id: String,
    source: String,
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
        let Some(held) = self.find(source, told).and_then(|index| self.held.get(index)) else {
            return Is::New;
        };
        if held.source != source || held.content == content(told) || updated_ns(told) < held.updated_ns {
            return Is::Known;
        }
        Is::Changed { article_id: held.article_id.clone(), revision: held.revision + 1 }
    }

    /// When the newest article of `source` was last changed, UTC nanoseconds.
    pub(super) fn newest_ns(&self, source: &str) -> Option<i64> {
        self.held.iter().filter(|held| held.source == source).map(|held| held.updated_ns).max()
    }

    fn find(&self, source: &str, told: &NewsArticle) -> Option<usize> {
        if !told.source_article_id.is_empty() {
            let key = (source.to_owned(), told.source_article_id.clone());
            if let Some(index) = self.by_source_id.get(&key) {
                return Some(*index);
            }
        }
        if let Some(index) = self.by_address.get(&same::canonical(&told.url)) {
            return Some(*index);
        }
        let index = *self.by_headline.get(&same::words(&told.headline, &told.publisher))?;
        let apart_ns = published_ns(told).saturating_sub(self.held.get(index)?.published_ns);
        (apart_ns.saturating_abs() <= SAME_HEADLINE_NS).then_some(index)
    }

    /// Takes in an article of the tape, or one that is about to be there.
    pub(super) fn note(&mut self, source: &str, article: &NewsArticle) {
        let held = Held {
            article_id: article.article_id.clone(),
            source: source.to_owned(),
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

/// The id of an article that nobody told before: of its address, else of its headline and day.
pub(super) fn id_of(article: &NewsArticle) -> String {
    let address = same::canonical(&article.url);
    if !address.is_empty() {
        return event_id(&format!("article/{address}"), "news", 0);
    }
    let day = published_ns(article).div_euclid(SAME_HEADLINE_NS);
    let words = same::words(&article.headline, &article.publisher);
    event_id(&format!("headline/{day}/{words}"), "news", 0)
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
