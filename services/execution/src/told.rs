//! Prices that a broker outside states of what it holds, for holdings that no bar prices.
//!
//! They are events (an entry of shares that were found, a comparison), folded into the book and from there into the prices,
//! so that a restart and a replay value a holding as this process did. The price of a bar that is newer takes their place.
//!
//! Deliberately absent: asking the broker.

use std::collections::BTreeSet;

use domain::money::{Price, Quantity};
use runtime::utc;

use crate::machine::Machine;
use crate::words::NAMED_MAX;

/// How long a session goes on before a symbol without a bar in it counts as one that no stream prices.
const UNHEARD_NS: i64 = 60 * 60 * SECOND_NS;
const SECOND_NS: i64 = 1_000_000_000;

impl Machine {
    /// Whether a price that a broker states at `now_ns` of a holding is to be recorded: no bar prices the symbol, and it is
    /// another one than the account was told last.
    pub(crate) fn is_news(&self, account: &str, symbol: &str, price: Price, now_ns: i64) -> bool {
        let told = self.book.account(account).and_then(|row| row.told_price(symbol));
        price > Price::ZERO
            && told.is_none_or(|(told, _)| told != price)
            && self.book.net_quantity(account, symbol) != Quantity::ZERO
            && !self.is_priced_by_bars(symbol, now_ns)
    }

    /// Whether the last price is that of a bar which is not too old: of the session that has gone on for an hour, or of the
    /// last one.
    fn is_priced_by_bars(&self, symbol: &str, now_ns: i64) -> bool {
        let Some(known) = self.prices.get(symbol).filter(|known| !known.told) else { return false };
        let present = self.calendar.session_at(now_ns.saturating_sub(UNHEARD_NS)).ok().flatten();
        let session = present.or_else(|| self.calendar.previous_session_before(now_ns).ok());
        session.is_none_or(|session| known.time_ns > session.open_ns)
    }

    /// Which holdings are valued at a price that a broker outside stated, and of when it is, in words; empty where none is.
    pub(crate) fn told(&self) -> String {
        if self.book.accounts().all(|row| row.told_prices.is_empty()) {
            return String::new();
        }
        let words = self.accounts.iter().filter_map(|account| {
            let held = self.book.positions_of(account).filter(|row| row.quantity != Quantity::ZERO);
            let symbols: BTreeSet<&str> = held.map(|row| row.key.symbol.as_str()).collect();
            let told: Vec<String> = symbols
                .into_iter()
                .filter_map(|symbol| {
                    let known = self.prices.get(symbol).filter(|known| known.told)?;
                    let second = known.time_ns - known.time_ns.rem_euclid(SECOND_NS);
                    Some(format!("{symbol} (of {})", utc(second)))
                })
                .collect();
            let more = match told.len().saturating_sub(NAMED_MAX) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let named = told.get(..NAMED_MAX.min(told.len()))?.join(", ");
            (!named.is_empty()).then(|| {
                format!(
                    "account {account} values {named}{more} at its broker's price, because no newer bar prices it"
                )
            })
        });
        words.collect::<Vec<_>>().join("; ")
    }
}
