//! Articles, told by three of the four vendors.

use serde::{Deserialize, Serialize};

use crate::calendar::MINUTE;
use crate::id;

/// An article.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Article {
    /// Unique; later articles have greater ones.
    pub id: i64,
    /// When it came out, in UTC nanoseconds.
    pub created_ns: i64,
    /// When it was last changed.
    pub updated_ns: i64,
    /// Its headline.
    pub headline: String,
    /// One or two sentences.
    pub summary: String,
    /// The text.
    pub content: String,
    /// Who wrote it.
    pub author: String,
    /// Who brought it out.
    pub source: String,
    /// Where it stands.
    pub url: String,
    /// What it is about.
    pub symbols: Vec<String>,
}

impl Default for Article {
    fn default() -> Self {
        Self {
            id: 0,
            created_ns: 0,
            updated_ns: 0,
            headline: String::new(),
            summary: String::new(),
            content: String::new(),
            author: "A. Writer".into(),
            source: "benzinga".into(),
            url: String::new(),
            symbols: Vec::new(),
        }
    }
}

/// `count` articles, one every 97 minutes up to `until_ns`, the newest last.
#[must_use]
pub fn usual(symbols: &[String], count: i64, until_ns: i64) -> Vec<Article> {
    let about = |number: i64| {
        let count = symbols.len().max(1) as u64;
        let chosen = usize::try_from(id::mix(number.cast_unsigned()) % count).unwrap_or_default();
        symbols.get(chosen).cloned().into_iter().collect::<Vec<_>>()
    };
    (0..count)
        .map(|number| {
            let created_ns = until_ns - (count - number) * 97 * MINUTE;
            let symbols = about(number);
            let symbol = symbols.first().map_or("the market", String::as_str);
            Article {
                id: 40_000_000 + number,
                created_ns,
                updated_ns: created_ns + MINUTE,
                headline: format!("Report {number}: what moves {symbol}"),
                summary: format!("Summary {number} of what moves {symbol}."),
                content: format!("<p>Report {number} on {symbol}. {}</p>", "One more sentence. ".repeat(14)),
                url: format!("https://news.example/{number}"),
                symbols,
                ..Article::default()
            }
        })
        .collect()
}
