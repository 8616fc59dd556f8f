//! What the market has been: bars of any length, trades and quotes, as known at the present moment.

use chrono::NaiveDate;

use crate::calendar::{self, MINUTE, Session};

use super::bar::scale;
use super::series::{Series, moment};
use super::{Adjustment, Anchor, Bar, Listing, Market, Quote, Timeframe, Trade, dollars};

/// The tape that reports a listing's trades.
#[must_use]
pub fn tape(listing: &Listing) -> &'static str {
    match listing.exchange.as_str() {
        "NYSE" => "A",
        "ARCA" | "AMEX" | "NYSEARCA" | "BATS" => "B",
        _ => "C",
    }
}

impl Market {
    /// A minute in the prices of its own day; `None` where nothing was traded.
    pub(super) fn minute(&self, listing: &Listing, session: &Session, minute: i64) -> Option<Bar> {
        let start_ns = session.open_ns + minute * MINUTE;
        // Looking up a key needs a string of its own, so that nobody pays who set nothing.
        if !self.minutes.is_empty()
            && let Some(set) = self.minutes.get(&(listing.symbol.clone(), start_ns))
        {
            return *set;
        }
        let bar = Series::of(listing, self.seed).minute(session, minute);
        let (from, to) = self.ratio(&listing.symbol, session.date);
        Some(if from == to { bar } else { bar.scaled(to, from) })
    }

    /// Old and new shares of all splits after a date.
    fn ratio(&self, symbol: &str, date: NaiveDate) -> (i64, i64) {
        let later = self.splits.iter().filter(|split| split.symbol == symbol && split.ex_date > date);
        later.fold((1, 1), |(from, to), split| (from * split.from, to * split.to))
    }

    /// The minutes of a session that ended at `until_ns` at the latest.
    pub(super) fn session_minutes(&self, listing: &Listing, session: &Session, until_ns: i64) -> Vec<Bar> {
        if !listing.is_listed_on(session.date) {
            return Vec::new();
        }
        let ended = ((until_ns - session.open_ns).div_euclid(MINUTE)).clamp(0, session.minutes());
        (0..ended).filter_map(|minute| self.minute(listing, session, minute)).collect()
    }

    /// By what the prices of a date are multiplied for the dividends after it.
    fn discount(&self, listing: &Listing, date: NaiveDate) -> f64 {
        let later = self.dividends.iter().filter(|dividend| {
            dividend.symbol == listing.symbol
                && dividend.ex_date > date
                && dividend.ex_date <= calendar::date_of(self.now_ns())
        });
        let factor = |dividend: &super::Dividend| {
            let close = calendar::before(dividend.ex_date).and_then(|session| {
                self.session_minutes(listing, &session, session.close_ns).last().copied()
            });
            close.map_or(1.0, |close| 1.0 - dividend.amount.to_f64() / dollars(close.close))
        };
        later.map(factor).product()
    }

    /// Bars that begin from `start_ns` to `end_ns`, both included, as far as they are known; the last one may
    /// still be forming.
    #[must_use]
    pub fn bars(
        &self,
        symbol: &str,
        (frame, anchor): (Timeframe, Anchor),
        (start_ns, end_ns): (i64, i64),
        adjustment: Adjustment,
    ) -> Vec<Bar> {
        let Some(listing) = self.listing(symbol) else { return Vec::new() };
        let until_ns = end_ns.min(self.now_ns());
        if start_ns > until_ns {
            return Vec::new();
        }
        // A week or month that began before is cut off by its stamp, below.
        let first = calendar::date_of(start_ns);
        let last = calendar::date_of(if frame.is_of_days() {
            self.now_ns().min(end_ns.saturating_add(366 * 1440 * MINUTE))
        } else {
            until_ns
        });
        let mut bars: Vec<Bar> = Vec::new();
        for session in calendar::sessions(first.max(listing.listed), last) {
            let minutes = self.session_minutes(listing, &session, self.now_ns());
            let (from, to) = if adjustment.splits { self.ratio(symbol, session.date) } else { (1, 1) };
            let discount = if adjustment.dividends { self.discount(listing, session.date) } else { 1.0 };
            let adjusted = minutes.into_iter().map(|bar| {
                let bar = if from == to { bar } else { bar.scaled(from, to) };
                if (discount - 1.0).abs() < f64::EPSILON { bar } else { bar.discounted(discount) }
            });
            for minute in adjusted {
                let start_ns = frame.start_of(minute.start_ns, anchor);
                match bars.last_mut().filter(|bar| bar.start_ns == start_ns) {
                    Some(bar) => *bar = bar.and(minute),
                    None => bars.push(Bar { start_ns, ..minute }),
                }
            }
        }
        bars.retain(|bar| (start_ns..=end_ns).contains(&bar.start_ns));
        bars
    }

    /// By what a split-adjusted close of a date is multiplied for later dividends.
    #[must_use]
    pub fn dividend_factor(&self, symbol: &str, date: NaiveDate) -> f64 {
        self.listing(symbol).map_or(1.0, |listing| self.discount(listing, date))
    }

    /// An amount of a date in the terms after every later split.
    #[must_use]
    pub fn in_terms_of_today(&self, symbol: &str, date: NaiveDate, amount: i64) -> i64 {
        let (from, to) = self.ratio(symbol, date);
        scale(amount, from, to)
    }

    /// Each minute that meets a span, up to the present one, with `count` moments of a kind in it.
    fn within_minutes<T>(
        &self,
        symbol: &str,
        span: (i64, i64),
        (count, kind): (i64, i64),
        make: impl Fn(&Series, &Bar, i64, &str) -> T,
    ) -> Vec<T> {
        let Some(listing) = self.listing(symbol) else { return Vec::new() };
        let series = Series::of(listing, self.seed);
        let until_ns = span.1.min(self.now_ns());
        let mut found = Vec::new();
        for session in calendar::sessions(calendar::date_of(span.0), calendar::date_of(until_ns)) {
            let first = (span.0 - session.open_ns).div_euclid(MINUTE).max(0);
            let last = (until_ns - session.open_ns).div_euclid(MINUTE).min(session.minutes() - 1);
            for minute in first..=last {
                let bar = listing.is_listed_on(session.date).then(|| self.minute(listing, &session, minute));
                let Some(bar) = bar.flatten() else { continue };
                let told = (0..count)
                    .filter(|index| (span.0..=until_ns).contains(&moment(bar.start_ns, *index, count, kind)));
                found.extend(told.map(|index| make(&series, &bar, index, tape(listing))));
            }
        }
        found
    }

    /// Trades of a span, both ends included.
    #[must_use]
    pub fn trades(&self, symbol: &str, span: (i64, i64)) -> Vec<Trade> {
        let count = self.trades_per_minute;
        self.within_minutes(symbol, span, (count, 0), |series, bar, index, tape| {
            series.trade(bar, index, count, tape)
        })
    }

    /// Quotes of a span, both ends included.
    #[must_use]
    pub fn quotes(&self, symbol: &str, span: (i64, i64)) -> Vec<Quote> {
        let count = self.quotes_per_minute;
        self.within_minutes(symbol, span, (count, 1), |series, bar, index, tape| {
            series.quote(bar, index, count, tape)
        })
    }

    /// From the close before the last one up to now, in which the latest of everything lies.
    fn lately(&self) -> (i64, i64) {
        let now_ns = self.now_ns();
        let today = calendar::date_of(now_ns);
        let opened = calendar::session(today).filter(|session| session.open_ns + MINUTE <= now_ns);
        let since = match opened {
            Some(session) => (now_ns - 5 * MINUTE).min(session.close_ns - 5 * MINUTE).max(session.open_ns),
            None => calendar::before(today).map_or(now_ns, |session| session.close_ns - 5 * MINUTE),
        };
        (since, now_ns)
    }

    /// The last trade.
    #[must_use]
    pub fn last_trade(&self, symbol: &str) -> Option<Trade> {
        let mut trade = self.trades(symbol, self.lately()).pop()?;
        if let Some(price) = self.held_prices.get(symbol) {
            trade.price = *price;
        }
        Some(trade)
    }

    /// The best bid and offer now.
    #[must_use]
    pub fn last_quote(&self, symbol: &str) -> Option<Quote> {
        let mut quote = self.quotes(symbol, self.lately()).pop()?;
        if let Some(price) = self.held_prices.get(symbol) {
            let half = (quote.ask - quote.bid) / 2;
            (quote.bid, quote.ask) = (price - half, price + half);
        }
        Some(quote)
    }

    /// The last minute that has ended.
    #[must_use]
    pub fn last_minute(&self, symbol: &str) -> Option<Bar> {
        let span = self.lately();
        let bars = self.bars(symbol, (Timeframe::Minutes(1), Anchor::Clock), span, Adjustment::RAW);
        bars.last().copied()
    }

    /// The last two days, the present one among them.
    #[must_use]
    pub fn last_days(&self, symbol: &str) -> (Option<Bar>, Option<Bar>) {
        let span = (self.now_ns() - 12 * 1440 * MINUTE, self.now_ns());
        let mut days = self.bars(symbol, (Timeframe::Day, Anchor::Clock), span, Adjustment::RAW);
        let last = days.pop();
        (last, days.pop())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Event, Script, What};
    use super::*;
    use crate::calendar::SECOND;

    fn market() -> Market {
        Market::new(Script::default())
    }

    #[test]
    fn days_are_made_of_their_minutes() {
        let market = market();
        let span = (market.now_ns() - 3 * 1440 * MINUTE, market.now_ns());
        let days = market.bars("MSFT", (Timeframe::Day, Anchor::Clock), span, Adjustment::RAW);
        assert_eq!(days.len(), 2, "Monday and the first half hour of Tuesday");
        let minutes = market.bars("MSFT", (Timeframe::Minutes(1), Anchor::Clock), span, Adjustment::RAW);
        assert_eq!(minutes.len(), 390 + 30);
        let volume: i64 = minutes[..390].iter().map(|bar| bar.volume).sum();
        assert_eq!(days[0].volume, volume);
        assert_eq!(days[0].open, minutes[0].open);
        assert_eq!(days[0].close, minutes[389].close);
        assert_eq!(market.last_days("MSFT").0.map(|bar| bar.volume), Some(days[1].volume));
    }

    #[test]
    fn a_split_scales_what_was_before_it() {
        let mut market = market();
        let date = |month, day| NaiveDate::from_ymd_opt(2024, month, day).unwrap();
        let span = (calendar::at(date(6, 7), 0, 0), calendar::at(date(6, 10), 0, 0));
        let frame = (Timeframe::Day, Anchor::Clock);
        let raw = market.bars("NVDA", frame, span, Adjustment::RAW);
        let adjusted = market.bars("NVDA", frame, span, Adjustment::SPLITS);
        assert_eq!(raw[0].close, adjusted[0].close * 10);
        assert_eq!(raw[1], adjusted[1]);
        market.set_minute("NVDA", calendar::at(date(6, 7), 9, 30), None);
        assert!(market.bars("NVDA", frame, span, Adjustment::RAW)[0].volume < raw[0].volume);
    }

    #[test]
    fn what_is_streamed_is_what_history_holds() {
        let mut market = market();
        let from = market.now_ns();
        let mut events: Vec<Event> = Vec::new();
        // In uneven steps, so that a minute is told in parts.
        while market.now_ns() < from + 3 * MINUTE {
            let next = market.now_ns() + 7 * SECOND;
            events.extend(market.advance(next.min(from + 3 * MINUTE)));
        }
        assert!(events.windows(2).all(|pair| pair[0].sequence + 1 == pair[1].sequence));
        assert!(events.windows(2).all(|pair| pair[0].at_ns <= pair[1].at_ns));
        let of = |symbol: &'static str| events.iter().filter(move |event| event.symbol == symbol);
        let bars: Vec<Bar> = of("AAPL")
            .filter_map(|event| match event.what {
                What::Bar { bar, .. } => Some(bar),
                _ => None,
            })
            .collect();
        let span = (from, from + 3 * MINUTE);
        assert_eq!(bars, market.bars("AAPL", (Timeframe::Minutes(1), Anchor::Clock), span, Adjustment::RAW));
        let trades: Vec<Trade> = of("AAPL")
            .filter_map(|event| match &event.what {
                What::Trade { trade } => Some(trade.clone()),
                _ => None,
            })
            .collect();
        assert_eq!(trades, market.trades("AAPL", span));
        let quotes = of("AAPL").filter(|event| matches!(event.what, What::Quote { .. })).count();
        assert_eq!(quotes, market.quotes("AAPL", span).len());
    }
}
