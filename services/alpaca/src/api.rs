//! Alpaca's trading interface over HTTP, one function for each question.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use contracts::v1::TradingMode;
use serde::de::DeserializeOwned;
use vendors::http::{Answer, Credentials, Http, HttpConfig, Method};
use vendors::{Clock, VendorError};

use crate::calendar::Day;
use crate::wire::{self, Account, Activity, Asset, MarketClock, Order, Position, Ticket};

/// Orders in one list at most.
const ORDERS_MAX: &str = "500";
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

    /// Orders that are open, and those of after a time, newest first.
    pub(crate) async fn orders(&self, after: &str) -> Result<Vec<Order>, VendorError> {
        let usual = [("limit", ORDERS_MAX), ("nested", "false"), ("direction", "desc")];
        let open = [&[("status", "open")][..], &usual].concat();
        let late = [&[("status", "all"), ("after", after)][..], &usual].concat();
        let mut all: Vec<Order> = self.asked("/v2/orders", &open).await?;
        let late: Vec<Order> = self.asked("/v2/orders", &late).await?;
        // What was read later is newer.
        all.retain(|order| late.iter().all(|newer| newer.id != order.id));
        all.extend(late);
        Ok(all)
    }

    /// Executions after a time, oldest first.
    pub(crate) async fn fills(&self, after: &str) -> Result<Vec<Activity>, VendorError> {
        let (mut all, mut token): (Vec<Activity>, Option<String>) = (Vec::new(), None);
        for _ in 0..PAGES_MAX {
            let mut query = vec![("after", after), ("direction", "asc"), ("page_size", "100")];
            query.extend(token.as_deref().map(|token| ("page_token", token)));
            let page: Vec<Activity> = self.asked("/v2/account/activities/FILL", &query).await?;
            let whole = page.len() >= ACTIVITIES_MAX;
            token = page.last().map(|last| last.id.clone());
            all.extend(page);
            if !whole {
                return Ok(all);
            }
        }
        Err(self.http.broken(format!("more than {PAGES_MAX} pages of executions after {after}")))
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
