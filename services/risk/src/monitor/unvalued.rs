//! Accounts that could not be valued at the last prices. Each is tried again once what it lacked is there or it traded, and
//! else with the next quarter of an hour: not at every look.

use std::collections::BTreeMap;

use domain::book::MarkError;

use super::EVERY_NS;

/// What was found when an account was tried last.
#[derive(Debug)]
struct Tried {
    /// Quarter of an hour.
    quarter: i64,
    /// What it holds without a price, where that was the reason.
    symbol: Option<String>,
}

/// The accounts, by name.
#[derive(Debug, Default)]
pub(super) struct Unvalued(BTreeMap<String, Tried>);

impl Unvalued {
    /// Takes note that an account could not be valued at `now_ns`.
    pub(super) fn failed(&mut self, account: &str, error: MarkError, now_ns: i64) {
        let symbol = match error {
            MarkError::NoPrice { symbol, .. } => Some(symbol),
            MarkError::UnknownAccount(_) | MarkError::Overflow { .. } => None,
        };
        self.0.insert(account.to_owned(), Tried { quarter: now_ns.div_euclid(EVERY_NS), symbol });
    }

    /// The account was valued, or is another one since.
    pub(super) fn forget(&mut self, account: &str) {
        self.0.remove(account);
    }

    /// Whether nothing is known at `now_ns` for which it should be tried again.
    pub(super) fn waits(&self, account: &str, now_ns: i64, is_priced: impl Fn(&str) -> bool) -> bool {
        self.0.get(account).is_some_and(|tried| {
            let lacks = tried.symbol.as_deref().is_none_or(|symbol| !is_priced(symbol));
            lacks && tried.quarter == now_ns.div_euclid(EVERY_NS)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_tried_again_when_something_changed_or_with_the_next_quarter() {
        let no_price = || MarkError::NoPrice { account: "a".to_owned(), symbol: "SPY".to_owned() };
        let overflow = || MarkError::Overflow { account: "a".to_owned(), field: "cost" };
        let none = |_: &str| false;
        let mut unvalued = Unvalued::default();
        assert!(!unvalued.waits("a", 0, none), "it was never tried");
        unvalued.failed("a", no_price(), 5);
        assert!(unvalued.waits("a", EVERY_NS - 1, none));
        assert!(unvalued.waits("a", 6, |symbol| symbol == "QQQ"));
        assert!(!unvalued.waits("a", 6, |symbol| symbol == "SPY"));
        assert!(!unvalued.waits("a", EVERY_NS, none));
        assert!(!unvalued.waits("b", 6, none), "another one");
        unvalued.failed("a", overflow(), EVERY_NS);
        assert!(unvalued.waits("a", EVERY_NS, |_| true), "no price mends that");
        unvalued.forget("a");
        assert!(!unvalued.waits("a", EVERY_NS, none));
    }
}
