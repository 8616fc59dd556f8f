//! The reference price of every symbol: the close of its newest live or rehearsed bar, kept right across
//! splits; what was found wrong with its data last; and whether its trading is halted.
//!
//! History that is imported never prices a decision: a file imported while the tape clock stands in the
//! past would otherwise bring prices from its future. A revision counts only for the very bar that is the
//! newest. Deliberately absent: quotes.

use contracts::from_timestamp;
use contracts::v1::event::Body;
use contracts::v1::{ActionKind, Bar, BarRevision, CorporateAction, Event};
use domain::book::{KnownFinding, Prices};
use domain::corporate_action::SplitRatio;
use domain::money::Price;
use event_log::Recorded;
use runtime::{AsOf, is_live};

use crate::read_model::{LastPrice, PastAction, PastFinding};

/// Last prices, and how far MARKET was read for them.
#[derive(Clone, Debug, Default)]
pub struct Pricing {
    prices: Prices,
    sequence: u64,
}

impl Pricing {
    /// Starts from the rows of the read models. MARKET is to be read from [`Pricing::sequence`] on: what
    /// one of them folded beyond that changes nothing when it is read again.
    #[must_use]
    pub fn new(
        prices: AsOf<LastPrice>,
        history: AsOf<(String, domain::bar::Bar)>,
        actions: AsOf<PastAction>,
        findings: AsOf<PastFinding>,
    ) -> Self {
        let read = [prices.checkpoint, history.checkpoint, actions.checkpoint, findings.checkpoint];
        let sequence = read.into_iter().min().unwrap_or_default();
        let mut pricing = Self { prices: Prices::default(), sequence };
        for (symbol, bar) in &history.rows {
            pricing.prices.observe_bar(symbol, bar);
        }
        for row in prices.rows {
            pricing.prices.observe(&row.symbol, row.price, row.close_ns);
        }
        for past in findings.rows {
            pricing.prices.find(&past.symbol, past.finding);
        }
        let mut actions = actions.rows;
        actions.sort_by_key(|past| past.event_ns);
        for past in actions {
            pricing.split(&past.action, past.event_ns);
        }
        pricing
    }

    /// The prices.
    #[must_use]
    pub fn prices(&self) -> &Prices {
        &self.prices
    }

    /// Close of the newest bar of any symbol, UTC nanoseconds.
    #[must_use]
    pub fn newest_ns(&self) -> Option<i64> {
        self.prices.newest_ns()
    }

    /// Last MARKET sequence read.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Takes the next event of MARKET.
    pub fn take(&mut self, recorded: &Recorded) {
        self.skip(recorded.sequence);
        let event_ns = recorded.event.event_time.as_ref().and_then(from_timestamp);
        let Some(event_ns) = event_ns else { return };
        match &recorded.event.body {
            // Those that a bar was made of have said its price.
            Some(Body::Bar(bar)) if is_live(bar.origin()) && bar.made_of.is_empty() => {
                self.bar(bar, event_ns);
            }
            Some(Body::BarRevision(BarRevision { bar: Some(bar), .. })) if bar.made_of.is_empty() => {
                let known = self.prices.get(&bar.symbol);
                if known.is_some_and(|known| known.time_ns == event_ns) {
                    self.bar(bar, event_ns);
                } else if let Some(revised) = domain::bar::Bar::from_wire(bar, event_ns) {
                    self.prices.revise(&bar.symbol, &revised);
                }
            }
            Some(Body::CorporateAction(action)) => self.split(action, event_ns),
            Some(Body::QualityFinding(_)) => self.find(&recorded.event),
            _ => {}
        }
    }

    fn find(&mut self, event: &Event) {
        if let Some((symbol, finding)) = KnownFinding::of(event) {
            self.prices.find(symbol, finding);
        }
    }

    /// Passes over a message.
    pub fn skip(&mut self, sequence: u64) {
        self.sequence = self.sequence.max(sequence);
    }

    fn bar(&mut self, bar: &Bar, close_ns: i64) {
        let known = self.prices.get(&bar.symbol);
        // The close is in old shares: what is known is the same price in new ones.
        if known.is_some_and(|known| known.time_ns == close_ns && known.splits_ns > close_ns) {
            return;
        }
        match domain::bar::Bar::from_wire(bar, close_ns) {
            Some(whole) => self.prices.observe_bar(&bar.symbol, &whole),
            None => self.prices.observe(&bar.symbol, Price(bar.close_e9), close_ns),
        }
    }

    fn split(&mut self, action: &CorporateAction, event_ns: i64) {
        if action.kind() != ActionKind::Split || !is_live(action.origin()) {
            return;
        }
        // A ratio that is none restates nothing; whoever applies it to positions parks the event.
        if let Ok(ratio) = SplitRatio::from_e9(action.value_e9) {
            self.prices.split(&action.symbol, ratio, event_ns);
        }
    }
}
