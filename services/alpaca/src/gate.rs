//! What an order needs besides its own terms: an account that trades, a symbol that can be traded, an open market.
//!
//! Answers are kept for a while, because every order asks; how long is stated beside each. What cannot be read stops
//! what opens a position and lets pass what closes one. What closes one waits for no question about its symbol either:
//! if that is not traded, Alpaca's answer to the order says so.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use contracts::v1::{OrderSpec, Side, TimeInForce};
use vendors::{Clock, VendorError};

use crate::api::Api;
use crate::rules::{is_fractional, whole_shares};
use crate::wire::{self, Account, Asset, MarketClock};

/// An account may be blocked at any time.
const ACCOUNT_KEPT: Duration = Duration::from_secs(30);
/// What can be traded changes by the day.
const ASSET_KEPT: Duration = Duration::from_secs(15 * 60);
/// At most; never beyond the next open or close.
const CLOCK_KEPT: Duration = Duration::from_secs(60);
/// Symbols kept at most.
const ASSETS_MAX: usize = 4_096;

/// An answer and when it is too old.
#[derive(Debug)]
struct Kept<T> {
    value: T,
    until_ns: i64,
}

/// The answers.
#[derive(Debug)]
pub(crate) struct Gate {
    clock: Arc<dyn Clock>,
    account: Option<Kept<Account>>,
    assets: HashMap<String, Kept<Option<Asset>>>,
    market: Option<Kept<MarketClock>>,
}

/// Why an account takes no orders.
pub(crate) fn blocked(account: &Account) -> Option<String> {
    let why = if account.account_blocked {
        "the account is blocked"
    } else if account.trading_blocked {
        "trading is blocked on the account"
    } else if account.trade_suspended_by_user {
        "trading is suspended in the account's settings"
    } else if !matches!(account.status.as_str(), "" | "ACTIVE") {
        return Some(format!("the account is {}, expected ACTIVE", account.status));
    } else {
        return None;
    };
    Some(why.to_owned())
}

/// Whether an order sells what is not held.
fn opens_short(order: &OrderSpec) -> bool {
    order.side() == Side::Sell && !order.reducing
}

impl Gate {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, account: None, assets: HashMap::new(), market: None }
    }

    fn until(&self, kept: Duration) -> i64 {
        self.clock.now_ns().saturating_add(i64::try_from(kept.as_nanos()).unwrap_or(i64::MAX))
    }

    /// Takes an account that was read just now.
    pub(crate) fn saw(&mut self, account: &Account) {
        self.account = Some(Kept { value: account.clone(), until_ns: self.until(ACCOUNT_KEPT) });
    }

    /// Forgets what was read, after an order was refused for a reason that it may hold.
    pub(crate) fn forget(&mut self, symbol: &str) {
        self.account = None;
        self.assets.remove(symbol);
    }

    /// Why `order` would be refused, in words; an error where that cannot be read and the order opens a position.
    pub(crate) async fn refuses(
        &mut self,
        api: &Api,
        order: &OrderSpec,
    ) -> Result<Option<String>, VendorError> {
        match self.look(api, order).await {
            Err(error) if order.reducing => {
                tracing::warn!(%error, "{} closes a position and goes unchecked: {error}", order.order_id);
                Ok(None)
            }
            outcome => outcome,
        }
    }

    async fn look(&mut self, api: &Api, order: &OrderSpec) -> Result<Option<String>, VendorError> {
        let account = self.account(api).await?;
        if let Some(why) = blocked(account) {
            return Ok(Some(why));
        }
        if opens_short(order) && account.shorting_enabled == Some(false) {
            return Ok(Some("the account may not sell short at Alpaca".to_owned()));
        }
        if (!order.reducing || self.is_known(&order.symbol))
            && let Some(why) = self.of_symbol(api, order).await?
        {
            return Ok(Some(why));
        }
        if matches!(order.time_in_force(), TimeInForce::Ioc | TimeInForce::Fok) {
            let market = self.market(api).await?;
            if !market.is_open {
                let next = &market.next_open;
                return Ok(Some(format!(
                    "the market is closed until {next}, an order that cannot wait ends"
                )));
            }
        }
        Ok(None)
    }

    /// Why the symbol stands against `order`.
    async fn of_symbol(&mut self, api: &Api, order: &OrderSpec) -> Result<Option<String>, VendorError> {
        let symbol = order.symbol.as_str();
        let Some(asset) = self.asset(api, symbol).await? else {
            return Ok(Some(format!("{symbol} is not known to Alpaca")));
        };
        if !asset.tradable || asset.status == "inactive" {
            return Ok(Some(format!("{symbol} cannot be traded at Alpaca")));
        }
        if opens_short(order) && !asset.shortable {
            return Ok(Some(format!("{symbol} cannot be sold short at Alpaca")));
        }
        if is_fractional(order) {
            if !asset.fractionable {
                let because = format!("{symbol} is traded in whole shares alone at Alpaca");
                return Ok(Some(whole_shares(order, &because)));
            }
            if opens_short(order) {
                return Ok(Some(whole_shares(order, "parts of a share cannot be sold short")));
            }
        }
        Ok(None)
    }

    /// Whether an answer about the symbol is kept and fresh.
    fn is_known(&self, symbol: &str) -> bool {
        let now_ns = self.clock.now_ns();
        self.assets.get(symbol).is_some_and(|kept| kept.until_ns > now_ns)
    }

    async fn account(&mut self, api: &Api) -> Result<&Account, VendorError> {
        let now_ns = self.clock.now_ns();
        if self.account.as_ref().is_none_or(|kept| kept.until_ns <= now_ns) {
            let account = api.account().await?;
            self.saw(&account);
        }
        // Just read, or kept.
        Ok(&self.account.get_or_insert(Kept { value: Account::default(), until_ns: 0 }).value)
    }

    async fn asset(&mut self, api: &Api, symbol: &str) -> Result<Option<Asset>, VendorError> {
        let now_ns = self.clock.now_ns();
        if let Some(kept) = self.assets.get(symbol).filter(|kept| kept.until_ns > now_ns) {
            return Ok(kept.value.clone());
        }
        let asset = api.asset(symbol).await?;
        if self.assets.len() >= ASSETS_MAX {
            self.assets.clear();
        }
        let until_ns = self.until(ASSET_KEPT);
        self.assets.insert(symbol.to_owned(), Kept { value: asset.clone(), until_ns });
        Ok(asset)
    }

    async fn market(&mut self, api: &Api) -> Result<&MarketClock, VendorError> {
        let now_ns = self.clock.now_ns();
        if self.market.as_ref().is_none_or(|kept| kept.until_ns <= now_ns) {
            let value = api.clock().await?;
            let change = if value.is_open { &value.next_close } else { &value.next_open };
            let change_ns = wire::time_ns(change).filter(|change_ns| *change_ns > now_ns);
            let until_ns = self.until(CLOCK_KEPT).min(change_ns.unwrap_or(i64::MAX));
            self.market = Some(Kept { value, until_ns });
        }
        Ok(&self.market.get_or_insert(Kept { value: MarketClock::default(), until_ns: 0 }).value)
    }
}
