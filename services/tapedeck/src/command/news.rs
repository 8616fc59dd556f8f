//! `tapedeck news`: articles from a vendor onto the tape, and what is there.

use std::time::{Duration, Instant};

use contracts::v1::Origin;
use event_log::Tape;
use ingest::news::{self, Listed, NewsReport, Newsroom};
use runtime::command::filled::{Action, Filled, NEWS};
use serde::Serialize;
use serde_json::Value;
use vendors::{Cursor, NewsAsk, NewsSource};

use crate::cli::{Global, NewsFetch, NewsList};
use crate::command::ingest as ingested;
use crate::command::market::{bound, market_ns};
use crate::command::reference::failure;
use crate::command::symbols::listed;
use crate::exit::Failure;
use crate::home::TapeKind;
use crate::output::Output;
use crate::render::time;
use crate::session::Session;
use crate::source;

const HELP: &str = "tapedeck news fetch --help";
const DAY_NS: i64 = 86_400_000_000_000;
const DEFAULT_DAYS: i64 = 7;
/// Most articles of one list.
const LIMIT_MAX: usize = 1_000;

/// What was done.
#[derive(Debug, Default, Serialize)]
struct Report {
    #[serde(flatten)]
    news: NewsReport,
    /// Articles without a headline, taken back by their publishers, or changed behind the span.
    left_out: u64,
    /// How late the source is.
    delay: String,
    /// Symbols of which the vendor has more than it gives.
    cut_off: Vec<String>,
    /// Symbols of which everything was told and recorded.
    #[serde(skip)]
    done: usize,
}

/// Asks for one symbol after the other and appends what the tape lacks.
pub async fn fetch(global: &Global, options: &NewsFetch, output: Output) -> Result<(), Failure> {
    let configuration = global.configuration()?;
    // What can never be asked is said before any server is started.
    let now = Until { ns: runtime::now_ns(), played: None };
    asks(options, &now)?;
    let vendor = source::news(options.source, &configuration.config.source, None)?;
    let session = Session::open_own(global).await?;
    let asked = async {
        let until = until(&session, now).await?.less(vendor.delay());
        asks(options, &until)
    };
    let asks = match asked.await {
        Ok(asks) => asks,
        Err(failure) => {
            session.close().await;
            return Err(failure);
        }
    };
    let started = Instant::now();
    let mut report = Report { delay: news::delay_label(vendor.delay()), ..Report::default() };
    let outcome = tokio::select! {
        outcome = take(&session.tape, &*vendor, &asks, &mut report, output) => outcome,
        () = session.interrupted() => Err(Failure::interrupted()),
    };
    if let Err(failure) = &outcome {
        let underway = asks.get(report.done).map(|ask| ask.symbol.as_str());
        let words = underway.map(|symbol| filled(vendor.name(), symbol, Err(failure.message.clone())));
        ingested::note(&session.tape, Action::NewsFetch, words.as_slice()).await;
    }
    let name = session.dir.name.clone();
    session.close().await;
    outcome?;
    print(&report, output)?;
    output.progress(&format!("tape {name}: {:.2} s", started.elapsed().as_secs_f64()));
    Ok(())
}

/// Where the present of a tape is, behind which nothing is news there yet.
#[derive(Debug)]
struct Until {
    /// UTC nanoseconds; on a tape that plays a market of the past less the delay of the source.
    ns: i64,
    /// The tape, where it plays one.
    played: Option<String>,
}

impl Until {
    /// The same for a source that tells an article so long after it came out: on the wall clock it has none that is newer.
    fn less(mut self, delay: Duration) -> Self {
        if self.played.is_some() {
            self.ns = self.ns.saturating_sub(i64::try_from(delay.as_nanos()).unwrap_or(i64::MAX));
        }
        self
    }

    /// What an error adds to the time.
    fn why(&self) -> String {
        let why = |tape: &String| format!(", the last that is known where the market of tape {tape} stands");
        self.played.as_ref().map_or_else(String::new, why)
    }
}

/// The present of the session's tape. That of a demo is now: what is written about the world tells nothing of a market that
/// is made up.
async fn until(session: &Session, now: Until) -> Result<Until, Failure> {
    if session.manifest.kind != TapeKind::Rehearsal {
        return Ok(now);
    }
    let tape = session.dir.name.clone();
    match market_ns(session).await? {
        Some(ns) => Ok(Until { ns: ns.min(now.ns), played: Some(tape) }),
        None => {
            let message = format!("tape {tape}: its market has not begun, so that nothing is news there yet");
            Err(Failure::usage(message, HELP))
        }
    }
}

fn asks(options: &NewsFetch, until: &Until) -> Result<Vec<NewsAsk>, Failure> {
    let symbols = listed(&options.symbols, HELP)?;
    if options.words.is_some() && (symbols.len() > 1 || options.source == crate::cli::NewsVendor::Alpaca) {
        let message = "--words: expected with one symbol, and with --source newsapi";
        return Err(Failure::usage(message, HELP));
    }
    if options.words.as_ref().is_some_and(|words| words.trim().is_empty()) {
        return Err(Failure::usage("--words: expected some", HELP));
    }
    if options.headlines && options.source == crate::cli::NewsVendor::Alpaca {
        return Err(Failure::usage("--headlines: expected with --source newsapi", HELP));
    }
    if let (true, Some(tape)) = (options.headlines, &until.played) {
        let message =
            format!("--headlines: they are those of now, and tape {tape} plays a market of the past");
        return Err(Failure::usage(message, HELP));
    }
    let told = |failure: Failure| failure.hinting("tapedeck bars --help", HELP);
    let from_ns = bound("--from", options.from.as_deref(), web::from_time).map_err(told)?;
    let to_ns = bound("--to", options.to.as_deref(), web::to_time).map_err(told)?;
    let to_ns = to_ns.unwrap_or(until.ns).min(until.ns);
    let from_ns = from_ns.unwrap_or(to_ns - DEFAULT_DAYS * DAY_NS);
    if from_ns >= to_ns {
        let why = if to_ns == until.ns { until.why() } else { String::new() };
        let message = format!("--from {}: expected a time before {}{why}", time(from_ns), time(to_ns));
        return Err(Failure::usage(message, HELP));
    }
    let ask = |symbol| NewsAsk {
        symbol,
        words: options.words.clone(),
        headlines: options.headlines,
        from_ns,
        to_ns,
    };
    Ok(symbols.into_iter().map(ask).collect())
}

async fn take(
    tape: &Tape,
    vendor: &dyn NewsSource,
    asks: &[NewsAsk],
    report: &mut Report,
    output: Output,
) -> Result<(), Failure> {
    for (index, ask) in asks.iter().enumerate() {
        let opened = Newsroom::open(tape, vendor.name(), vendor.delay(), &ask.symbol).await;
        let mut room = opened.map_err(failure)?;
        let mut cursor = Some(Cursor::default());
        while let Some(at) = cursor {
            let page = match vendor.page(ask, at).await {
                Ok(page) => page,
                Err(error) => {
                    // What came before stays, and is counted.
                    report.news.add(room.report());
                    return Err(source::failure(error));
                }
            };
            if page.cut_off {
                report.cut_off.push(ask.symbol.clone());
            }
            // Whatever a vendor's span means, nothing is taken that changed behind it.
            let within = |told: &vendors::Told| ask.headlines || told.updated_ns < ask.to_ns;
            let sent = page.articles.len();
            let told: Vec<_> = page.articles.into_iter().filter(within).map(source::article).collect();
            report.left_out += page.left_out + (sent - told.len()) as u64;
            room.take(told, Origin::Backfill).await.map_err(failure)?;
            cursor = page.next;
        }
        let told = room.report();
        report.news.add(told);
        let came = Ok(format!("{} articles appended", told.appended + told.revisions));
        ingested::note(tape, Action::NewsFetch, &[filled(vendor.name(), &ask.symbol, came)]).await;
        report.done += 1;
        let place = format!("{} ({} of {})", ask.symbol, index + 1, asks.len());
        output.progress(&format!("{place}: {} articles, {} new", told.read, told.appended));
    }
    Ok(())
}

/// What came of the articles about a symbol.
fn filled(source: &str, symbol: &str, outcome: Result<String, String>) -> Filled {
    let (source, symbol) = (source.to_owned(), symbol.to_owned());
    Filled { source, symbol, timeframe: NEWS.to_owned(), outcome }
}

fn print(report: &Report, output: Output) -> Result<(), Failure> {
    if output.json {
        return output.document(report);
    }
    let NewsReport { read, appended, revisions, duplicates } = report.news;
    output.line(&format!(
        "{read} articles: {appended} appended, {revisions} revised, {duplicates} known already; delay of the source: {}",
        report.delay
    ));
    if report.left_out > 0 {
        let count = report.left_out;
        output.note(&format!(
            "left out: {count} articles without a headline, taken back or changed behind the span"
        ));
    }
    if !report.cut_off.is_empty() {
        output.note(&format!(
            "the source has more articles about {} than it gives: ask for a shorter span",
            report.cut_off.join(", ")
        ));
    }
    Ok(())
}

/// A row of the list: the article as its event states it, and where it stands.
#[derive(Serialize)]
struct Row {
    sequence: u64,
    source: String,
    event_time_ns: i64,
    #[serde(flatten)]
    article: Value,
}

/// Lists articles.
pub async fn list(session: &Session, options: &NewsList, output: Output) -> Result<(), Failure> {
    if !(1..=LIMIT_MAX).contains(&options.limit) {
        let message = format!("--limit {}: expected 1 to {LIMIT_MAX}", options.limit);
        return Err(Failure::usage(message, "tapedeck news list --limit 50"));
    }
    let symbol = options.symbol.as_deref();
    let found = news::list(&session.tape, symbol, options.before, options.limit).await?;
    if output.json {
        let rows: Result<Vec<Row>, Failure> = found.into_iter().map(row).collect();
        return output.document(&rows?);
    }
    if found.is_empty() {
        let about = symbol.map(|symbol| format!(" about {symbol}")).unwrap_or_default();
        let asked = symbol.unwrap_or("AAPL");
        let hint = format!("tapedeck news fetch --source alpaca --symbols {asked}");
        return Err(Failure::not_found(format!("no articles{about} on this tape"), hint));
    }
    let header = ["PUBLISHED", "SYMBOL", "SOURCE", "DELAY", "SENTIMENT", "HEADLINE"];
    output.table(&header, &found.iter().map(cells).collect::<Vec<_>>());
    if let Some(last) = found.last().filter(|_| found.len() == options.limit) {
        output.note(&format!("older: tapedeck news list --before {}", last.sequence));
    }
    Ok(())
}

fn row(listed: Listed) -> Result<Row, Failure> {
    let article = serde_json::to_value(&listed.article).map_err(|error| Failure::other(error.to_string()))?;
    let Listed { sequence, source, event_time_ns, .. } = listed;
    Ok(Row { sequence, source, event_time_ns, article })
}

fn cells(listed: &Listed) -> Vec<String> {
    let article = &listed.article;
    let published = article.published.as_ref().and_then(contracts::from_timestamp);
    let sentiment = article.sentiment.as_ref().map(|sentiment| format!("{:+.2}", sentiment.compound));
    vec![
        published.map_or_else(|| "–".to_owned(), time),
        article.symbol.clone(),
        listed.source.clone(),
        article.delay.clone(),
        sentiment.unwrap_or_else(|| "–".to_owned()),
        article.headline.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::NewsVendor;

    fn fetch(from: Option<&str>, headlines: bool) -> NewsFetch {
        NewsFetch {
            source: NewsVendor::Newsapi,
            symbols: vec!["AAPL".to_owned()],
            from: from.map(str::to_owned),
            to: None,
            words: None,
            headlines,
        }
    }

    #[test]
    fn on_a_tape_that_plays_the_past_nothing_is_asked_that_was_not_known_there() {
        let present_ns = web::from_time("2020-01-08T20:00:00Z").unwrap();
        let played = || Until { ns: present_ns, played: Some("history".to_owned()) };
        let asked = asks(&fetch(None, false), &played()).unwrap();
        assert_eq!((asked[0].from_ns, asked[0].to_ns), (present_ns - 7 * DAY_NS, present_ns));
        // What the source tells a day late is known a day late.
        let late = played().less(Duration::from_secs(24 * 3_600));
        assert_eq!(asks(&fetch(None, false), &late).unwrap()[0].to_ns, present_ns - DAY_NS);

        let refused = asks(&fetch(Some("2020-01-09"), false), &played()).unwrap_err();
        assert_eq!(refused.code, 2);
        assert!(refused.message.ends_with("where the market of tape history stands"), "{}", refused.message);
        let refused = asks(&fetch(None, true), &played()).unwrap_err();
        assert!(refused.message.contains("tape history plays a market of the past"), "{}", refused.message);
        // On the wall clock a source's delay is its own affair.
        let now = Until { ns: present_ns, played: None }.less(Duration::from_secs(24 * 3_600));
        assert_eq!(asks(&fetch(None, true), &now).unwrap()[0].to_ns, present_ns);
    }
}
