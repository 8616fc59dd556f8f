//! The port of news: articles about one symbol, page by page.
//!
//! Invariants: an article has a headline and a time of publication, or it is counted as left out; text leaves this
//! crate without mark-up of the web. Deliberately absent: articles' full texts, which are their publishers'; what
//! an article is worth.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::VendorError;
use crate::port::Cursor;

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewsAsk {
    /// Symbol as the tape writes it.
    pub symbol: String,
    /// Words to look for, where the vendor knows no symbols; the symbol itself when `None`.
    pub words: Option<String>,
    /// Headlines of the moment alone, where the vendor has them apart; the span does not count then.
    pub headlines: bool,
    /// Articles published or changed from here on, UTC nanoseconds.
    pub from_ns: i64,
    /// And before, UTC nanoseconds.
    pub to_ns: i64,
}

/// An article as a vendor tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The vendor's own id; empty when it has none.
    pub source_id: String,
    /// Who brought it out.
    pub publisher: String,
    /// Who wrote it.
    pub author: String,
    /// Where it stands.
    pub url: String,
    /// Headline.
    pub headline: String,
    /// A few sentences; may be empty.
    pub summary: String,
    /// When it came out, UTC nanoseconds.
    pub published_ns: i64,
    /// When it was last changed, UTC nanoseconds.
    pub updated_ns: i64,
    /// Every symbol that the vendor names.
    pub symbols: Vec<String>,
}

/// One answer of a vendor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewsPage {
    /// The articles, in no order.
    pub articles: Vec<Told>,
    /// Articles without a headline or a time, or taken back by their publishers.
    pub left_out: u64,
    /// Whether there are more that the vendor does not give.
    pub cut_off: bool,
    /// Where to go on; `None` at the end.
    pub next: Option<Cursor>,
}

/// A vendor of news.
#[async_trait]
pub trait NewsSource: fmt::Debug + Send + Sync {
    /// Name of the source on the tape.
    fn name(&self) -> &'static str;

    /// How long after its publication the vendor tells of an article.
    fn delay(&self) -> Duration;

    /// The page at `cursor`, the first one for the default.
    async fn page(&self, ask: &NewsAsk, cursor: Cursor) -> Result<NewsPage, VendorError>;
}

/// Text without references to characters, tags and doubled white space.
pub(crate) fn plain(text: &str) -> String {
    let mut bare = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['<', '&']) {
        bare.push_str(&rest[..at]);
        rest = &rest[at..];
        let (read, skipped) = if rest.starts_with('<') { tag(rest) } else { reference(rest) };
        match read {
            Some(read) => bare.push_str(&read),
            None => bare.push_str(&rest[..skipped]),
        }
        rest = &rest[skipped..];
    }
    bare.push_str(rest);
    bare.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A tag becomes a space; `<` before anything else stays.
fn tag(text: &str) -> (Option<String>, usize) {
    let named = text[1..].starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!'));
    match text.find('>') {
        Some(end) if named => (Some(" ".to_owned()), end + 1),
        _ => (None, 1),
    }
}

/// `&amp;`, `&#39;`, `&#x27;` and the like become their character.
fn reference(text: &str) -> (Option<String>, usize) {
    let Some(end) = text.find(';').filter(|end| *end <= 10) else { return (None, 1) };
    let name = &text[1..end];
    let numbered = name.strip_prefix('#').and_then(|number| match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => number.parse().ok(),
    });
    let character = match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some(' '),
        _ => numbered.and_then(char::from_u32),
    };
    match character {
        Some(character) => (Some(character.to_string()), end + 1),
        None => (None, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_loses_mark_up_and_nothing_else() {
        for (sent, read) in [
            ("AT&amp;T&#39;s  profit", "AT&T's profit"),
            ("<p>Up &#x32;%</p><br/>more", "Up 2% more"),
            ("P/E < 10 & falling; why?", "P/E < 10 & falling; why?"),
            ("5 <6", "5 <6"),
            ("&unknown; stays", "&unknown; stays"),
            ("a\u{a0}b", "a b"),
        ] {
            assert_eq!(plain(sent), read);
        }
    }
}
