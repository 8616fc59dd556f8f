//! Alpaca's trading interface over HTTP, one function for each question.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use contracts::v1::TradingMode;
use serde::de::DeserializeOwned;
use vendors::http::{Answer, Credentials, Http, HttpConfig, Method, Shared};
use vendors::{Clock, VendorError};

use crate::calendar::Day;
use crate::wire::{self, Account, Activity, Asset, MarketClock, Movement, Order, Position, Ticket};

/// Orders on one page at most.
const ORDERS_MAX: usize = 500;
/// How much of a page of orders the next one tells again: whether the end of a span counts in, and by which of an order's
/// times it is listed, is nowhere stated to the digit.
const OVERLAP_NS: i64 = 1_000_000_000;
/// Activities on one page at most.
const ACTIVITIES_MAX: usize = 100;
/// Pages read at most, so that a vendor that keeps on giving ends.
const PAGES_MAX: usize = 200;

/// How an account is reached.
#[derive(Clone)]
pub struct Config {
    /// Address before the path, without a slash at its end.
    pub base_url: String,
    /// Key and secret.
    pub credentials: Credentials,
    /// Requests a minute.
    pub requests_per_minute: u32,
    /// Longest wait for one answer.
    pub answer_timeout: Duration,
    /// Whose money it moves.
    pub mode: TradingMode,
    /// With whom limit and breaker are shared, where it is with anybody.
    pub shared: Option<Shared>,
}

impl fmt::Debug for Config {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Config").field("base_url", &self.base_url).finish_non_exhaustive()
    }
}

/// The interface.
#[derive(Debug)]
pub(crate) struct Api {
    http: Http,
}

impl Api {
    pub(crate) fn new(config: &Config, clock: Arc<dyn Clock>) -> Result<Self, VendorError> {
        let http = HttpConfig {
            answer_timeout: config.answer_timeout,
            // Execution waits meanwhile, and orders to close have to get through soon after a failure.
            deadline: config.answer_timeout * 2,
            alone_max: Duration::from_secs(15),
            shared: config.shared.clone(),
            ..HttpConfig::new(&config.base_url, config.credentials.clone(), config.requests_per_minute)
        };
        Ok(Self { http: Http::new(broker::ALPACA, http, clock)? })
    }

    fn read<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, VendorError> {
        wire::decode(body).map_err(|what| self.http.broken(what))
    }

    async fn asked<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T, VendorError> {
        self.read(&self.http.get(path, query).await?)
    }

    async fn found<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Option<T>, VendorError> {
        self.http.find(path, query).await?.map(|body| self.read(&body)).transpose()
    }

    pub(crate) async fn submit(&self, ticket: &Ticket) -> Result<Answer, VendorError> {
        let body = serde_json::to_value(ticket).map_err(|error| self.http.broken(error.to_string()))?;
        self.http.once(Method::Post, "/v2/orders", Some(&body)).await
    }

    pub(crate) async fn replace(&self, id: &str, body: &serde_json::Value) -> Result<Answer, VendorError> {
        self.http.once(Method::Patch, &format!("/v2/orders/{id}"), Some(body)).await
    }

    pub(crate) async fn cancel(&self, id: &str) -> Result<Answer, VendorError> {
        self.http.once(Method::Delete, &format!("/v2/orders/{id}"), None).await
    }

    pub(crate) async fn order(&self, id: &str) -> Result<Option<Order>, VendorError> {
        self.found(&format!("/v2/orders/{id}"), &[("nested", "true")]).await
    }

    pub(crate) async fn order_of(&self, client_order_id: &str) -> Result<Option<Order>, VendorError> {
        let query = [("client_order_id", client_order_id), ("nested", "true")];
        self.found("/v2/orders:by_client_order_id", &query).await
    }

    /// Every order that is open, and every one of after a time, each once; of either the newest first.
    pub(crate) async fn orders(&self, after: &str) -> Result<Vec<Order>, VendorError> {
        let mut all = self.listed(&[("status", "open")]).await?;
        let late = self.listed(&[("status", "all"), ("after", after)]).await?;
        // What was read later is newer.
        let newer: HashSet<&str> = late.iter().map(|order| order.id.as_str()).collect();
        all.retain(|order| !newer.contains(order.id.as_str()));
        all.extend(late);
        Ok(all)
    }

    /// A list of orders as a whole, newest first: each page up to the oldest order of the one before.
    async fn listed(&self, of: &[(&str, &str)]) -> Result<Vec<Order>, VendorError> {
        let limit = ORDERS_MAX.to_string();
        let (mut all, mut seen): (Vec<Order>, HashSet<String>) = (Vec::new(), HashSet::new());
        let mut until: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let mut query = of.to_vec();
            query.extend([("limit", limit.as_str()), ("nested", "false"), ("direction", "desc")]);
            query.extend(until.as_deref().map(|until| ("until", until)));
            let page: Vec<Order> = self.asked("/v2/orders", &query).await?;
            let whole = page.len() >= ORDERS_MAX;
            let oldest_ns = page.last().map(Order::listed_ns);
            let before = all.len();
            all.extend(page.into_iter().filter(|order| seen.insert(order.id.clone())));
            let Some(oldest_ns) = oldest_ns.filter(|_| whole) else { return Ok(all) };
            let oldest_ns = oldest_ns.ok_or_else(|| {
                self.http.broken("orders: created_at: expected a time to go on from".into())
            })?;
            if all.len() == before {
                return Err(self.http.broken(format!("orders: a page of {ORDERS_MAX} tells nothing new")));
            }
            until = Some(wire::written(oldest_ns.saturating_add(OVERLAP_NS)));
        }
        Err(self.http.broken(format!("more than {PAGES_MAX} pages of orders")))
    }

    /// Executions after a time, oldest first.
    pub(crate) async fn fills(&self, after: &str) -> Result<Vec<Activity>, VendorError> {
        self.activities("/v2/account/activities/FILL", &[("after", after)], |fill: &Activity| &fill.id).await
    }

    /// What else moved cash or shares after a time, oldest first.
    pub(crate) async fn movements(&self, after: &str) -> Result<Vec<Movement>, VendorError> {
        let of = [("after", after), ("category", "non_trade_activity")];
        self.activities("/v2/account/activities", &of, |movement: &Movement| &movement.id).await
    }

    /// A list of activities as a whole, oldest first, page by page.
    async fn activities<T: DeserializeOwned>(
        &self,
        path: &str,
        of: &[(&str, &str)],
        id: impl Fn(&T) -> &String,
    ) -> Result<Vec<T>, VendorError> {
        let (mut all, mut token): (Vec<T>, Option<String>) = (Vec::new(), None);
        for _ in 0..PAGES_MAX {
            let mut query = of.to_vec();
            query.extend([("direction", "asc"), ("page_size", "100")]);
            query.extend(token.as_deref().map(|token| ("page_token", token)));
            let page: Vec<T> = self.asked(path, &query).await?;
            let whole = page.len() >= ACTIVITIES_MAX;
            token = page.last().map(|last| id(last).clone());
            all.extend(page);
            if !whole {
                return Ok(all);
            }
        }
        Err(self.http.broken(format!("more than {PAGES_MAX} pages of {path}")))
    }

    pub(crate) async fn positions(&self) -> Result<Vec<Position>, VendorError> {
        self.asked("/v2/positions", &[]).await
    }

    pub(crate) async fn account(&self) -> Result<Account, VendorError> {
        self.asked("/v2/account", &[]).await
    }

    pub(crate) async fn asset(&self, symbol: &str) -> Result<Option<Asset>, VendorError> {
        self.found(&format!("/v2/assets/{symbol}"), &[]).await
    }

    pub(crate) async fn calendar(&self, start: &str, end: &str) -> Result<Vec<Day>, VendorError> {
        self.asked("/v2/calendar", &[("start", start), ("end", end)]).await
    }

    pub(crate) async fn clock(&self) -> Result<MarketClock, VendorError> {
        self.asked("/v2/clock", &[]).await
    }
}
