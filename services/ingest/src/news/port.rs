//! The port: a source of articles that can be asked and may tell them by itself. The binary puts a vendor behind it.

use std::time::Duration;

use async_trait::async_trait;
use contracts::v1::NewsArticle;

/// What a stream of articles tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// It is connected and subscribed. What came out before has to be asked for.
    Live,
    /// An article came out or was changed.
    Article(Box<NewsArticle>),
    /// A message that cannot be read, and what was expected of it.
    Unreadable(String),
    /// The connection is gone and will be made again.
    Lost {
        /// Why.
        why: String,
        /// After this wait.
        again_in: Duration,
    },
    /// The source will not, in its words; nothing is tried again.
    Refused(String),
}

/// Why there is no page, in the source's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// It may pass: whoever asks next meets the same.
    #[error("{0}")]
    Passing(String),
    /// Whoever asks is refused.
    #[error("{0}")]
    Refused(String),
    /// This symbol alone has none.
    #[error("{0}")]
    Symbol(String),
}

/// One answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewsPage {
    /// The articles, in no order, as the source tells them.
    pub articles: Vec<NewsArticle>,
    /// Whether there are more that the source does not give.
    pub cut_off: bool,
}

/// The answer to one question, page by page.
#[async_trait]
pub trait NewsPages: Send {
    /// The next page; `None` after the last.
    async fn next(&mut self) -> Result<Option<NewsPage>, AskError>;
}

/// A stream of articles, which keeps itself connected.
#[async_trait]
pub trait NewsWire: Send {
    /// What was told since the last call, in order. Cancel-safe.
    async fn next(&mut self) -> Vec<Heard>;
}

/// A source of articles.
pub trait NewsAgency: Send + Sync {
    /// Name of the source, as on its articles.
    fn name(&self) -> &str;

    /// How long after its publication the source tells an article.
    fn delay(&self) -> Duration;

    /// Its stream, anew for every start of the service; `None` where it has none or none is wanted. An error says what
    /// is missing.
    fn wire(&self) -> Result<Option<Box<dyn NewsWire>>, String>;

    /// Asks for the articles about `symbol` that were published or changed from `from_ns` on and before `to_ns`, UTC
    /// nanoseconds.
    fn ask(&self, symbol: &str, from_ns: i64, to_ns: i64) -> Box<dyn NewsPages>;
}
