//! A vendor's stream and its newest history, behind the port of `ingest`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::NaiveDate;
use domain::bar::Timeframe;
use domain::calendar::Calendar;
use ingest::file::Action;
use ingest::live::{DayActions, Heard, LiveMarket, LiveMarkets, Minute};
use vendors::http::HttpConfig;
use vendors::{
    Adjustment, Alpaca, Ask, Cursor, HistoricalBars, LiveStream, MarketMessage, Massive, RecentMinutes,
    Refusal, StreamConfig, SystemClock, VendorError, Wanted,
};

use super::told;
use crate::cli::Service;
use crate::config::{LiveSection, SourcesConfig};
use crate::exit::Failure;

/// Longest time that one question for minutes may take with all its repetitions, and one answer.
const DEADLINE: Duration = Duration::from_secs(20);
const ANSWER_MAX: Duration = Duration::from_secs(8);

/// Makes the configured source, with credentials that were read once.
pub struct Streams {
    name: &'static str,
    /// The vendor's history, where splits and dividends are.
    actions: Box<dyn HistoricalBars>,
    http: HttpConfig,
    stream: StreamConfig,
    feed: String,
    clock: Arc<SystemClock>,
}

impl Streams {
    /// Reads the credentials; an error names what is missing.
    pub fn new(live: &LiveSection, sources: &SourcesConfig) -> Result<Self, Failure> {
        let silence = Duration::from_secs(live.silence_s);
        let wanted = Wanted { quotes: live.quotes, trades: live.trades };
        let (name, http, stream, feed) = if live.source == "massive" {
            let http = super::massive(sources)?;
            let stream = StreamConfig {
                url: format!("{}/stocks", sources.massive.stream_url),
                credentials: http.credentials.clone(),
                symbols: live.symbols.clone(),
                wanted,
                packed: false,
                silence,
            };
            ("massive", http, stream, "")
        } else {
            let alpaca = &sources.alpaca;
            let stream = super::alpaca_stream(sources, &format!("/v2/{}", alpaca.live_feed), &live.symbols)?;
            let credentials = stream.credentials.clone();
            let http = super::http(&alpaca.base_url, credentials, alpaca.requests_per_minute);
            // The history of a feed that is late by design is that of the whole market, as far as that is free.
            let feed = match alpaca.live_feed.as_str() {
                "iex" => "iex",
                "delayed_sip" => "delayed_sip",
                _ => "sip",
            };
            ("alpaca", http, StreamConfig { wanted, silence, ..stream }, feed)
        };
        let http = HttpConfig { answer_timeout: ANSWER_MAX, deadline: DEADLINE, ..http };
        let clock = super::clock();
        let of_actions = super::listed(http.clone(), Service::Ingest.name(), "actions");
        let actions = history(name, of_actions, feed, Arc::clone(&clock)).map_err(super::failure)?;
        let http = super::listed(http, Service::Ingest.name(), "live");
        Ok(Self { name, actions, http, stream, feed: feed.to_owned(), clock })
    }
}

/// The history of the vendor `name`.
fn history(
    name: &str,
    http: HttpConfig,
    feed: &str,
    clock: Arc<SystemClock>,
) -> Result<Box<dyn HistoricalBars>, VendorError> {
    Ok(match name {
        "massive" => Box::new(Massive::new(http, clock)?),
        _ => Box::new(Alpaca::new(http, feed, clock)?),
    })
}

#[async_trait]
impl LiveMarkets for Streams {
    fn name(&self) -> &str {
        self.name
    }

    fn open(&self) -> Result<Box<dyn LiveMarket>, String> {
        let made = || -> Result<Source, VendorError> {
            let clock = Arc::clone(&self.clock);
            let (http, stream) = (self.http.clone(), self.stream.clone());
            Ok(match self.name {
                "massive" => Source {
                    history: Box::new(Massive::new(http, clock.clone())?),
                    stream: Massive::stream(stream, clock)?,
                },
                _ => Source {
                    history: Box::new(Alpaca::new(http, &self.feed, clock.clone())?),
                    stream: Alpaca::stream(stream, clock)?,
                },
            })
        };
        made().map(|source| Box::new(source) as _).map_err(|error| error.to_string())
    }

    async fn actions(&self, symbols: &[String], date: NaiveDate) -> Result<DayActions, String> {
        let words = |error: VendorError| error.to_string();
        let calendar = Calendar::xnys();
        let from_ns = calendar.start_of(date);
        let to_ns = date.succ_opt().map_or(from_ns, |next| calendar.start_of(next));
        let mut found = DayActions::default();
        for symbol in symbols {
            let (symbol, timeframe) = (symbol.clone(), Timeframe::D1);
            let (actions_from_ns, bars, adjustment) = (from_ns, false, Adjustment::Raw);
            let ask = Ask { symbol, timeframe, from_ns, to_ns, actions_from_ns, bars, adjustment };
            let mut cursor = Some(Cursor::default());
            while let Some(at) = cursor {
                let page = match self.actions.page(&ask, at, runtime::now_ns()).await {
                    Ok(page) => page,
                    // Of a symbol that the vendor does not know nothing takes effect.
                    Err(VendorError::Refused { kind: Refusal::Unknown, .. }) => break,
                    Err(error) => return Err(words(error)),
                };
                found.actions.extend(page.actions.into_iter().map(|action| Action {
                    symbol: ask.symbol.clone(),
                    ex_date: action.ex_date,
                    kind: action.kind,
                    value_e9: action.value_e9,
                    line: 0,
                }));
                found
                    .unapplied
                    .extend(page.unapplied.into_iter().map(|other| told::unapplied(&ask.symbol, other)));
                cursor = page.next;
            }
        }
        Ok(found)
    }
}

struct Source {
    stream: LiveStream<MarketMessage>,
    history: Box<dyn RecentMinutes>,
}

#[async_trait]
impl LiveMarket for Source {
    async fn next(&mut self) -> Vec<Heard> {
        self.stream.next().await.into_iter().map(told::heard).collect()
    }

    async fn minutes(
        &mut self,
        symbols: &[String],
        from_ns: i64,
        to_ns: i64,
        now_ns: i64,
    ) -> Result<Vec<Minute>, String> {
        let found = self.history.minutes(symbols, from_ns, to_ns, now_ns).await;
        let found = found.map_err(|error| error.to_string())?;
        let minute = |(symbol, quoted)| Minute { symbol, quote: told::quote(quoted), revised: false };
        Ok(found.into_iter().map(minute).collect())
    }

    fn paused_for(&self) -> Option<Duration> {
        self.history.paused_for()
    }

    fn last_frame_ns(&self) -> i64 {
        self.stream.last_frame_ns()
    }
}
