//! The scripted market: what is listed, what it costs at any moment, and what happens as its clock moves.
//!
//! Every price follows from a seed; a script overrides minutes, takes them out, halts symbols, sets prices and
//! says things that no seed would. One market is told by all vendors, so that their differences are in the shape
//! alone. The clock moves when it is told to, or by itself at a pace.
//!
//! Deliberately absent: HTTP, the vendors' shapes, an order book (orders of the account move no price).

pub mod actions;
pub mod bar;
mod event;
mod history;
pub mod listing;
pub mod news;
mod script;
mod series;

use std::collections::{BTreeMap, BTreeSet};

pub use actions::{Adjustment, Dividend, OtherAction, Split};
pub use bar::{Anchor, Bar, Quote, Timeframe, Trade, dollars, ten_thousandths};
pub use event::{Event, SessionSoFar, What};
pub use listing::Listing;
pub use news::Article;
pub use script::{Script, moment};
use series::Series;

use crate::calendar::{self, MINUTE, Session};

/// The market.
pub struct Market {
    seed: u64,
    now_ns: i64,
    listings: BTreeMap<String, Listing>,
    splits: Vec<Split>,
    dividends: Vec<Dividend>,
    other_actions: Vec<OtherAction>,
    articles: Vec<Article>,
    trades_per_minute: i64,
    quotes_per_minute: i64,
    skip_closed: bool,
    /// Minutes that a script has set, or taken out.
    minutes: BTreeMap<(String, i64), Option<Bar>>,
    halted: BTreeSet<String>,
    /// Prices that a script has set, until it lets go.
    held_prices: BTreeMap<String, i64>,
    /// Facts of companies that a script says, by symbol and name.
    facts: BTreeMap<(String, String), serde_json::Value>,
    sequence: u64,
    /// The day of each symbol up to the end of a minute.
    so_far: BTreeMap<String, (i64, Bar)>,
}

impl Market {
    /// The market of a script.
    #[must_use]
    pub fn new(script: Script) -> Self {
        let symbols: Vec<String> = script.listings.iter().map(|listing| listing.symbol.clone()).collect();
        let articles =
            script.articles.unwrap_or_else(|| news::usual(&symbols, script.article_count, script.start_ns));
        Self {
            seed: script.seed,
            now_ns: script.start_ns,
            listings: script.listings.into_iter().map(|listing| (listing.symbol.clone(), listing)).collect(),
            splits: script.splits,
            dividends: script.dividends,
            other_actions: Vec::new(),
            articles,
            trades_per_minute: script.trades_per_minute,
            quotes_per_minute: script.quotes_per_minute,
            skip_closed: script.skip_closed,
            minutes: BTreeMap::new(),
            halted: BTreeSet::new(),
            held_prices: BTreeMap::new(),
            facts: BTreeMap::new(),
            sequence: 0,
            so_far: BTreeMap::new(),
        }
    }

    /// The market's clock, in UTC nanoseconds.
    #[must_use]
    pub const fn now_ns(&self) -> i64 {
        self.now_ns
    }

    /// Sets the clock without anything happening in between.
    pub fn jump(&mut self, to_ns: i64) {
        self.now_ns = to_ns;
        self.so_far.clear();
    }

    /// Goes on with the next session's open, if the script wants that and none is open now.
    pub fn skip_closed(&mut self) {
        let next = calendar::next_open(self.now_ns).map(|session| session.open_ns);
        if let (true, None, Some(open_ns)) = (self.skip_closed, calendar::open_at(self.now_ns), next) {
            self.jump(open_ns);
        }
    }

    /// A listing by its symbol, or by Alpaca's id of it.
    #[must_use]
    pub fn listing(&self, symbol: &str) -> Option<&Listing> {
        self.listings
            .get(symbol)
            .or_else(|| self.listings.values().find(|listing| listing.asset_id() == symbol))
    }

    /// What is listed, by symbol.
    pub fn listings(&self) -> impl Iterator<Item = &Listing> {
        self.listings.values()
    }

    /// Adds a listing or replaces it.
    pub fn list(&mut self, listing: Listing) {
        self.listings.insert(listing.symbol.clone(), listing);
    }

    /// Splits, as they were given.
    #[must_use]
    pub fn splits(&self) -> &[Split] {
        &self.splits
    }

    /// Dividends, as they were given.
    #[must_use]
    pub fn dividends(&self) -> &[Dividend] {
        &self.dividends
    }

    /// Every other action, as it was given.
    #[must_use]
    pub fn other_actions(&self) -> &[OtherAction] {
        &self.other_actions
    }

    /// Adds an action that is neither a split nor a dividend in cash.
    pub fn act(&mut self, action: OtherAction) {
        self.other_actions.push(action);
    }

    /// Adds a split.
    pub fn split(&mut self, split: Split) {
        self.splits.push(split);
    }

    /// Adds a dividend.
    pub fn pay(&mut self, dividend: Dividend) {
        self.dividends.push(dividend);
    }

    /// The articles that have come out by now, oldest first.
    #[must_use]
    pub fn articles(&self) -> Vec<&Article> {
        let mut known: Vec<_> =
            self.articles.iter().filter(|article| article.created_ns <= self.now_ns).collect();
        known.sort_by_key(|article| (article.created_ns, article.id));
        known
    }

    /// Sets a minute's bar; `None` takes the minute out.
    pub fn set_minute(&mut self, symbol: &str, start_ns: i64, bar: Option<Bar>) {
        self.minutes.insert((symbol.to_owned(), start_ns / MINUTE * MINUTE), bar);
    }

    /// Holds a symbol at a price; `None` lets it go.
    pub fn hold_price(&mut self, symbol: &str, price: Option<i64>) {
        match price {
            Some(price) => self.held_prices.insert(symbol.to_owned(), price),
            None => self.held_prices.remove(symbol),
        };
    }

    /// Says a fact of a company: a module of its summary, or a series of its statements.
    pub fn say_fact(&mut self, symbol: &str, name: &str, value: serde_json::Value) {
        self.facts.insert((symbol.to_owned(), name.to_owned()), value);
    }

    /// A fact that a script has said.
    #[must_use]
    pub fn fact(&self, symbol: &str, name: &str) -> Option<&serde_json::Value> {
        self.facts.get(&(symbol.to_owned(), name.to_owned()))
    }

    /// Whether a symbol may not be traded now.
    #[must_use]
    pub fn is_halted(&self, symbol: &str) -> bool {
        self.halted.contains(symbol)
    }

    /// How much is said in a minute of each symbol.
    pub const fn set_pace(&mut self, trades_per_minute: i64, quotes_per_minute: i64) {
        self.trades_per_minute = trades_per_minute;
        self.quotes_per_minute = quotes_per_minute;
    }

    /// Moves the clock and says what happened, in order.
    pub fn advance(&mut self, to_ns: i64) -> Vec<Event> {
        let from_ns = self.now_ns;
        if to_ns <= from_ns {
            return Vec::new();
        }
        self.now_ns = to_ns;
        let mut events = Vec::new();
        let listed: Vec<Listing> = self.listings.values().cloned().collect();
        for session in calendar::sessions(calendar::date_of(from_ns), calendar::date_of(to_ns)) {
            // The minute that ends at `from_ns` has been told; the one that holds it goes on.
            let first = (from_ns - session.open_ns).div_euclid(MINUTE).max(0);
            let last = (to_ns - session.open_ns).div_euclid(MINUTE).min(session.minutes() - 1);
            for minute in first..=last {
                let traded = listed.iter().filter(|listing| listing.is_listed_on(session.date));
                for listing in traded {
                    self.tell_minute(listing, &session, minute, (from_ns, to_ns), &mut events);
                }
            }
        }
        let came_out = |article: &&Article| (from_ns + 1..=to_ns).contains(&article.created_ns);
        let articles = self.articles.iter().filter(came_out).cloned();
        events.extend(articles.map(|article| Event {
            sequence: 0,
            at_ns: article.created_ns,
            symbol: article.symbols.first().cloned().unwrap_or_default(),
            what: What::News { article },
        }));
        events.sort_by_key(|event| event.at_ns);
        for event in &mut events {
            self.sequence += 1;
            event.sequence = self.sequence;
        }
        events
    }

    /// What of one minute happened within `span`, the start left out.
    fn tell_minute(
        &mut self,
        listing: &Listing,
        session: &Session,
        minute: i64,
        span: (i64, i64),
        events: &mut Vec<Event>,
    ) {
        let symbol = &listing.symbol;
        let Some(bar) = self.minute(listing, session, minute).filter(|_| !self.is_halted(symbol)) else {
            return;
        };
        let series = Series::of(listing, self.seed);
        let tape = history::tape(listing);
        let within = |at_ns: &i64| (span.0 + 1..=span.1).contains(at_ns);
        let mut say = |at_ns, what| {
            events.push(Event { sequence: 0, at_ns, symbol: symbol.clone(), what });
        };
        for index in 0..self.trades_per_minute {
            if within(&series::moment(bar.start_ns, index, self.trades_per_minute, 0)) {
                let trade = series.trade(&bar, index, self.trades_per_minute, tape);
                say(trade.at_ns, What::Trade { trade });
            }
        }
        for index in 0..self.quotes_per_minute {
            if within(&series::moment(bar.start_ns, index, self.quotes_per_minute, 1)) {
                let quote = series.quote(&bar, index, self.quotes_per_minute, tape);
                say(quote.at_ns, What::Quote { quote });
            }
        }
        let end_ns = bar.start_ns + MINUTE;
        if within(&end_ns) {
            let day = self.day_until(listing, session, bar);
            let so_far = SessionSoFar { open: day.open, volume: day.volume, vwap: day.vwap };
            say(end_ns, What::Bar { bar, session: so_far });
            say(end_ns, What::DailyBar { bar: day });
        }
    }

    /// The day up to the end of a minute; kept from minute to minute, made anew after a jump.
    fn day_until(&mut self, listing: &Listing, session: &Session, bar: Bar) -> Bar {
        let kept = self.so_far.get(&listing.symbol).filter(|(end_ns, _)| *end_ns == bar.start_ns);
        let before = match kept {
            Some((_, day)) => Some(*day),
            None => self.session_minutes(listing, session, bar.start_ns).into_iter().reduce(Bar::and),
        };
        let day = before.map_or(bar, |before| before.and(bar));
        let day = Bar { start_ns: calendar::at(session.date, 0, 0), ..day };
        self.so_far.insert(listing.symbol.clone(), (bar.start_ns + MINUTE, day));
        day
    }

    /// Numbers something that a script says, and takes in what follows from it.
    pub fn say(&mut self, mut event: Event) -> Event {
        self.sequence += 1;
        event.sequence = self.sequence;
        if event.at_ns == 0 {
            event.at_ns = self.now_ns;
        }
        match &event.what {
            What::Bar { bar, .. } | What::UpdatedBar { bar } => {
                self.set_minute(&event.symbol, bar.start_ns, Some(*bar));
            }
            What::Status { code, .. } if code == "H" => {
                self.halted.insert(event.symbol.clone());
            }
            What::Status { .. } => {
                self.halted.remove(&event.symbol);
            }
            What::News { article } => {
                self.articles.retain(|known| known.id != article.id);
                self.articles.push(article.clone());
            }
            _ => {}
        }
        event
    }
}
