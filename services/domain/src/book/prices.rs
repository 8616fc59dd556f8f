//! The last raw price per symbol, of bars and, of what is held, of a broker outside, kept right across splits; what was
//! found wrong with its data last; and whether its trading is halted.

use std::collections::BTreeMap;

use contracts::v1::event::Body;
use contracts::v1::{Event, Severity};

use super::AccountState;
use super::history::History;
use crate::bar::Bar;
use crate::corporate_action::SplitRatio;
use crate::money::Price;

/// A price and when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownPrice {
    /// Raw price.
    pub price: Price,
    /// Close of the bar it comes from, or when a broker outside stated it, UTC nanoseconds; a split does not make it
    /// younger.
    pub time_ns: i64,
    /// Time up to which splits are in the price, UTC nanoseconds.
    pub splits_ns: i64,
    /// Whether a broker outside stated it, and no bar.
    pub told: bool,
}

/// Rule of the finding that trading in a symbol was halted.
pub const HALT: &str = "halt";
/// Rule of the finding that it goes on.
pub const RESUMPTION: &str = "resumption";

/// A finding that decisions look at: one about a symbol's data that is a warning or worse, and whatever its severity that
/// trading in the symbol was halted or goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownFinding {
    /// Id of its event.
    pub event_id: String,
    /// Rule that found it.
    pub rule: String,
    /// The finding in words.
    pub detail: String,
    /// Its event time, UTC nanoseconds.
    pub time_ns: i64,
    /// Whether it is a warning or worse.
    pub severe: bool,
}

impl KnownFinding {
    /// The finding of an event, where decisions look at it, and the symbol that it concerns.
    #[must_use]
    pub fn of(event: &Event) -> Option<(&str, Self)> {
        let Some(Body::QualityFinding(finding)) = &event.body else { return None };
        let known = Self {
            event_id: event.id.clone(),
            rule: finding.rule.clone(),
            detail: finding.detail.clone(),
            time_ns: event.event_time.as_ref().and_then(contracts::from_timestamp)?,
            severe: matches!(finding.severity(), Severity::Warning | Severity::Error),
        };
        (known.severe || known.is_of_trading()).then_some((finding.symbol.as_str(), known))
    }

    /// Whether it says that trading was halted or goes on.
    fn is_of_trading(&self) -> bool {
        self.rule == HALT || self.rule == RESUMPTION
    }
}

/// Last prices by symbol.
#[derive(Clone, Debug, Default)]
pub struct Prices {
    last: BTreeMap<String, KnownPrice>,
    /// Splits by symbol, by when they take effect, UTC nanoseconds.
    splits: BTreeMap<String, Vec<(i64, SplitRatio)>>,
    /// Those that are a warning or worse, halts left out.
    findings: BTreeMap<String, KnownFinding>,
    /// The newest halt or resumption of each symbol.
    trading: BTreeMap<String, KnownFinding>,
    history: History,
}

impl Prices {
    /// The last prices of some symbols, without anything else that is known of them.
    #[must_use]
    pub fn only<'name>(&self, symbols: impl IntoIterator<Item = &'name str>) -> Self {
        let mut some = Self::default();
        for symbol in symbols {
            some.last.extend(self.get(symbol).map(|known| (symbol.to_owned(), known)));
            some.splits.extend(self.splits.get(symbol).map(|splits| (symbol.to_owned(), splits.clone())));
        }
        some
    }

    /// Takes the prices of an account's last mark, in the shares of now, where nothing newer is known. Those that its broker
    /// stated are taken before ([`Prices::tell`]).
    pub fn seed(&mut self, account: &AccountState) {
        let Some(mark) = &account.mark else { return };
        for price in &mark.prices {
            let Some(time_ns) = price.time.as_ref().and_then(contracts::from_timestamp) else { continue };
            let splits_ns = mark.event_ns.max(time_ns);
            // A mark does not say where its prices are from.
            let told = self.get(&price.symbol).is_some_and(|known| known.told && known.time_ns == time_ns);
            let marked = KnownPrice { price: Price(price.price_e9), time_ns, splits_ns, told };
            self.learn(&price.symbol, self.in_new_shares(&price.symbol, marked));
        }
    }

    /// Takes the prices that a broker outside stated of what `account` holds, of the symbols that are `wanted`, in the shares
    /// of now, where nothing as new is known.
    pub fn tell(&mut self, account: &AccountState, wanted: impl Fn(&str) -> bool) {
        for told in account.told_prices.iter().filter(|told| wanted(&told.symbol)) {
            let Some(stated) = self.told(account, &told.symbol) else { continue };
            if self.get(&told.symbol).is_none_or(|known| known.time_ns < stated.time_ns) {
                self.learn(&told.symbol, stated);
            }
        }
    }

    /// How many symbols have a price.
    #[must_use]
    pub fn symbols(&self) -> usize {
        self.last.len()
    }

    /// Takes a price; one older than what is known, and one that is not positive, changes nothing.
    pub fn observe(&mut self, symbol: &str, price: Price, time_ns: i64) {
        self.learn(symbol, KnownPrice { price, time_ns, splits_ns: time_ns, told: false });
    }

    /// Takes the close of a bar as the price, and remembers the bar.
    pub fn observe_bar(&mut self, symbol: &str, bar: &Bar) {
        self.observe(symbol, bar.close, bar.close_ns);
        self.history.observe(symbol, bar);
    }

    /// Takes the new values of a bar that is known; whether they price the symbol is the caller's to say.
    pub fn revise(&mut self, symbol: &str, bar: &Bar) {
        self.history.revise(symbol, bar);
    }

    /// Takes a finding about a symbol; one older than what is known of its kind changes nothing.
    pub fn find(&mut self, symbol: &str, finding: KnownFinding) {
        if finding.is_of_trading() {
            keep(&mut self.trading, symbol, finding.clone());
        }
        if finding.severe && finding.rule != HALT {
            keep(&mut self.findings, symbol, finding);
        }
    }

    /// The newest finding about a symbol's data that is a warning or worse; a halt is one as long as it lasts.
    #[must_use]
    pub fn finding(&self, symbol: &str) -> Option<&KnownFinding> {
        let halt = self.halt(symbol).filter(|halt| halt.severe);
        self.findings.get(symbol).into_iter().chain(halt).max_by_key(|finding| finding.time_ns)
    }

    /// The halt of a symbol's trading, as long as it lasts: until a resumption, or, because nobody repeats one that was
    /// missed, until there is a bar of trades that begins after it.
    #[must_use]
    pub fn halt(&self, symbol: &str) -> Option<&KnownFinding> {
        let told = self.trading.get(symbol).filter(|told| told.rule == HALT)?;
        (!self.history.traded_since(symbol, told.time_ns)).then_some(told)
    }

    /// Bars of late.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    fn learn(&mut self, symbol: &str, price: KnownPrice) {
        if price.price.0 <= 0 {
            return;
        }
        match self.last.get_mut(symbol) {
            Some(known) if known.time_ns > price.time_ns => {}
            Some(known) => *known = price,
            None => {
                self.last.insert(symbol.to_owned(), price);
            }
        }
    }

    /// Restates a price from before a split that takes effect at `effective_ns`: a position is valued in
    /// new shares from then on. A split seen twice restates once.
    pub fn split(&mut self, symbol: &str, ratio: SplitRatio, effective_ns: i64) {
        self.history.split(symbol, ratio, effective_ns);
        let splits = self.splits.entry(symbol.to_owned()).or_default();
        if let Err(place) = splits.binary_search_by_key(&effective_ns, |(at_ns, _)| *at_ns) {
            splits.insert(place, (effective_ns, ratio));
        }
        let Some(known) = self.last.get_mut(symbol) else { return };
        if known.splits_ns >= effective_ns {
            return;
        }
        if let Ok(price) = ratio.adjust_price(known.price) {
            known.price = price;
            known.splits_ns = effective_ns;
        }
    }

    /// Says that a split that takes effect at `effective_ns` is not in the price yet, whatever its time.
    pub fn is_before_split(&mut self, symbol: &str, effective_ns: i64) {
        if let Some(known) = self.last.get_mut(symbol).filter(|known| known.time_ns < effective_ns) {
            known.splits_ns = known.splits_ns.min(effective_ns - 1);
        }
    }

    /// Says that the price of `symbol`, where it is one of `close_ns`, is that of a bar.
    pub fn is_of_bar(&mut self, symbol: &str, close_ns: i64) {
        if let Some(known) = self.last.get_mut(symbol).filter(|known| known.time_ns == close_ns) {
            known.told = false;
        }
    }

    /// When the newest price of any symbol was made, UTC nanoseconds.
    #[must_use]
    pub fn newest_ns(&self) -> Option<i64> {
        self.last.values().map(|known| known.time_ns).max()
    }

    /// A price in the shares of now.
    fn in_new_shares(&self, symbol: &str, price: KnownPrice) -> KnownPrice {
        let splits = self.splits.get(symbol).into_iter().flatten();
        let since = splits.filter(|(effective_ns, _)| *effective_ns > price.splits_ns);
        since.fold(price, |before, (effective_ns, ratio)| match ratio.adjust_price(before.price) {
            Ok(price) => KnownPrice { price, splits_ns: *effective_ns, ..before },
            Err(_) => before,
        })
    }

    /// The last price that a broker outside stated of a holding, in the shares of now.
    fn told(&self, account: &AccountState, symbol: &str) -> Option<KnownPrice> {
        let (price, time_ns) = account.told_price(symbol)?;
        let stated = KnownPrice { price, time_ns, splits_ns: time_ns, told: true };
        Some(self.in_new_shares(symbol, stated))
    }

    /// The last price of something that `account` holds: that of a bar or the one that a broker outside stated, whichever is
    /// newer, in the shares of now.
    #[must_use]
    pub fn of_holding(&self, account: Option<&AccountState>, symbol: &str) -> Option<Price> {
        let told = account.and_then(|account| self.told(account, symbol));
        // Of one time it is the one that is known here.
        let newest = told.into_iter().chain(self.get(symbol)).max_by_key(|known| known.time_ns);
        newest.map(|known| known.price)
    }

    /// The last price of `symbol`.
    #[must_use]
    pub fn get(&self, symbol: &str) -> Option<KnownPrice> {
        self.last.get(symbol).copied()
    }
}

/// Takes a finding in place of an older one.
fn keep(known: &mut BTreeMap<String, KnownFinding>, symbol: &str, finding: KnownFinding) {
    if known.get(symbol).is_none_or(|known| known.time_ns <= finding.time_ns) {
        known.insert(symbol.to_owned(), finding);
    }
}
