//! The state of the service `news`, and what each thing that is told comes to.

use std::collections::HashMap;
use std::sync::Arc;

use contracts::v1::{NewsArticle, Origin};
use event_log::AppendError;
use futures::future::BoxFuture;
use runtime::{Context, HealthState, clock, now_ns};
use tokio::time::Instant;

use super::Newsroom;
use super::port::{AskError, Heard, NewsAgency, NewsPage, NewsPages};
use super::rounds::Rounds;
use super::service::{NewsConfig, SERVICE};
use crate::reference::KeepError;

/// How the stream is.
enum Wire {
    /// There is none, and none is wanted.
    None,
    Connecting,
    Live,
    /// It will be there again; why not now.
    Waiting(String),
    /// It will not be there again, in the source's words.
    Refused(String),
}

/// A question under way about one symbol, up to `to_ns`. It is answered beside the stream.
struct Asking {
    symbol: String,
    to_ns: i64,
    page: BoxFuture<'static, Answer>,
}

type Answer = (Box<dyn NewsPages>, Result<Option<NewsPage>, AskError>);

/// What came of a question.
pub(super) struct Answered {
    symbol: String,
    to_ns: i64,
    answer: Answer,
}

/// Everything of a source of articles but its stream.
pub(super) struct Desk {
    context: Context,
    agency: Arc<dyn NewsAgency>,
    /// Every symbol that is wanted, with what the tape holds of it once it was read.
    rooms: HashMap<String, Option<Newsroom>>,
    rounds: Rounds,
    asking: Option<Asking>,
    wire: Wire,
    said: Option<(HealthState, String)>,
}

impl Desk {
    /// `streamed` says whether there is a stream.
    pub(super) fn new(
        context: &Context,
        config: NewsConfig,
        agency: Arc<dyn NewsAgency>,
        streamed: bool,
    ) -> Self {
        let NewsConfig { symbols, every } = config;
        let mut desk = Self {
            context: context.clone(),
            rooms: symbols.iter().map(|symbol| (symbol.clone(), None)).collect(),
            rounds: Rounds::new(symbols, every, agency.delay(), clock::now()),
            agency,
            asking: None,
            wire: if streamed { Wire::Connecting } else { Wire::None },
            said: None,
        };
        desk.say();
        desk
    }

    /// When the next round begins; `None` while one is under way.
    pub(super) fn due_at(&self) -> Option<Instant> {
        self.rounds.due_at()
    }

    /// Begins a round.
    pub(super) async fn begin(&mut self) -> Result<(), KeepError> {
        self.rounds.begin(clock::now());
        self.go_on().await
    }

    /// Waits for the question under way. Cancel-safe.
    pub(super) async fn answered(&mut self) -> Answered {
        let Some(asking) = &mut self.asking else { return std::future::pending().await };
        let answer = asking.page.as_mut().await;
        let (symbol, to_ns) = (std::mem::take(&mut asking.symbol), asking.to_ns);
        self.asking = None;
        Answered { symbol, to_ns, answer }
    }

    /// Takes in a page and asks for the next one, or goes on to the next symbol.
    pub(super) async fn take(&mut self, answered: Answered) -> Result<(), KeepError> {
        let Answered { symbol, to_ns, answer: (pages, page) } = answered;
        match page {
            Ok(Some(NewsPage { articles, cut_off })) => {
                if cut_off {
                    tracing::warn!(
                        symbol,
                        "{}: more articles about {symbol} than it gives",
                        self.agency.name()
                    );
                }
                match self.store(&symbol, articles, Origin::Backfill).await? {
                    Ok(()) => {
                        self.ask(symbol, to_ns, pages);
                        return Ok(());
                    }
                    Err(why) => self.rounds.failed(&symbol, AskError::Symbol(why), clock::now()),
                }
            }
            Ok(None) => self.rounds.asked(symbol, to_ns),
            Err(error) => {
                tracing::warn!(symbol, "articles about {symbol}: {error}");
                self.rounds.failed(&symbol, error, clock::now());
            }
        }
        self.go_on().await
    }

    /// Takes what the stream told, in order.
    pub(super) async fn hear(&mut self, heard: Vec<Heard>) -> Result<(), KeepError> {
        let name = self.agency.name().to_owned();
        for heard in heard {
            match heard {
                Heard::Live => {
                    self.wire = Wire::Live;
                    self.rounds.connected(clock::now());
                }
                Heard::Article(article) => self.told(*article).await?,
                Heard::Unreadable(what) => tracing::warn!(source = name, "{name}: {what}"),
                Heard::Lost { why, again_in } => {
                    let seconds = again_in.as_secs_f64();
                    self.wire = Wire::Waiting(format!("{why}; again in {seconds:.1} s"));
                }
                Heard::Refused(words) => {
                    let words = format!("{words}; no stream until the next start");
                    tracing::error!(source = name, "{name}: {words}");
                    self.wire = Wire::Refused(words);
                }
            }
            self.say();
        }
        Ok(())
    }

    /// Stores an article under every symbol that is wanted.
    async fn told(&mut self, article: NewsArticle) -> Result<(), KeepError> {
        let wanted = article.symbols.iter().filter(|symbol| self.rooms.contains_key(*symbol));
        let mut wanted: Vec<String> = wanted.cloned().collect();
        wanted.sort();
        wanted.dedup();
        for symbol in wanted {
            // What the tape refuses is logged; the stream goes on.
            let _ = self.store(&symbol, vec![article.clone()], Origin::Live).await?;
        }
        Ok(())
    }

    /// Stores articles about a symbol; the inner error is what the tape refuses, however often it is asked.
    async fn store(
        &mut self,
        symbol: &str,
        articles: Vec<NewsArticle>,
        origin: Origin,
    ) -> Result<Result<(), String>, KeepError> {
        let room = self.room(symbol).await?;
        let before = room.report();
        match room.take(articles, origin).await {
            Ok(()) => {}
            Err(KeepError::Append(AppendError::Refused(why))) => {
                tracing::error!(symbol, "articles about {symbol} are not stored: {why}");
                // It has counted as there what is not.
                self.rooms.insert(symbol.to_owned(), None);
                return Ok(Err(why));
            }
            Err(error) => return Err(error),
        }
        let report = room.report();
        let (new, changed) = (report.appended - before.appended, report.revisions - before.revisions);
        if new + changed > 0 {
            tracing::debug!(symbol, new, changed, "{symbol}: {new} articles, {changed} changed");
        }
        Ok(Ok(()))
    }

    /// What the tape holds of a symbol, read when it is first needed.
    async fn room(&mut self, symbol: &str) -> Result<&mut Newsroom, KeepError> {
        let place = self.rooms.entry(symbol.to_owned()).or_default();
        let room = match place.take() {
            Some(room) => room,
            None => {
                let (tape, agency) = (&self.context.tape, &self.agency);
                Newsroom::open(tape, agency.name(), agency.delay(), symbol).await?
            }
        };
        Ok(place.insert(room))
    }

    /// Asks for the next symbol of the round, or ends it.
    async fn go_on(&mut self) -> Result<(), KeepError> {
        let Some(symbol) = self.rounds.next_symbol() else {
            self.rounds.end(clock::now());
            self.say();
            return Ok(());
        };
        let newest_ns = self.room(&symbol).await?.newest_ns();
        let to_ns = now_ns();
        let from_ns = self.rounds.since_ns(&symbol, newest_ns, to_ns);
        let pages = self.agency.ask(&symbol, from_ns, to_ns);
        self.ask(symbol, to_ns, pages);
        Ok(())
    }

    fn ask(&mut self, symbol: String, to_ns: i64, mut pages: Box<dyn NewsPages>) {
        let page = Box::pin(async move {
            let page = pages.next().await;
            (pages, page)
        });
        self.asking = Some(Asking { symbol, to_ns, page });
    }

    /// Shows in health how it is.
    fn say(&mut self) {
        let of_wire = match &self.wire {
            Wire::None | Wire::Connecting | Wire::Live => None,
            Wire::Waiting(why) | Wire::Refused(why) => Some(why.clone()),
        };
        let troubles: Vec<String> = of_wire.into_iter().chain(self.rounds.trouble()).collect();
        let name = self.agency.name();
        let health = if !troubles.is_empty() {
            (HealthState::Degraded, format!("{name}: {}", troubles.join("; ")))
        } else if !self.rounds.has_ended() {
            (HealthState::Starting, format!("{name}: asking for what was missed"))
        } else if matches!(self.wire, Wire::Connecting) {
            (HealthState::Starting, format!("{name}: connecting"))
        } else {
            (HealthState::Ready, String::new())
        };
        if self.said.as_ref() != Some(&health) {
            let (state, words) = &health;
            tracing::info!(source = name, state = state.name(), "{SERVICE}: {} {words}", state.name());
            self.context.health.set(SERVICE, *state, words.clone());
            self.said = Some(health);
        }
    }
}
