//! Massive's tickers: what is listed, and since or until when. What is gone has to be asked for apart.
//!
//! Deliberately absent: the state as of an earlier date, search, tickers of other markets.

use async_trait::async_trait;
use contracts::v1::event::Body;
use contracts::v1::{Listing, ListingState};
use serde::Deserialize;

use super::{Massive, NAME};
use crate::error::{Refusal, VendorError};
use crate::reference::{ReferenceData, date_of};
use crate::wire;

#[derive(Deserialize)]
struct Ticker {
    ticker: String,
    name: Option<String>,
    primary_exchange: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    active: Option<bool>,
    cik: Option<String>,
    composite_figi: Option<String>,
    delisted_utc: Option<String>,
}

#[derive(Deserialize)]
struct Details {
    results: Option<Detail>,
}

#[derive(Deserialize)]
struct Detail {
    list_date: Option<String>,
}

impl Massive {
    /// The tickers of that name, which a later company may have taken over.
    async fn tickers(&self, symbol: &str, active: &str) -> Result<Vec<Ticker>, VendorError> {
        const PATH: &str = "/v3/reference/tickers";
        let query = [("ticker", symbol), ("market", "stocks"), ("active", active), ("limit", "1000")];
        let (mut found, mut next) = self.rows::<Ticker>(None, PATH, &query).await?;
        while let Some(link) = next {
            let (more, further) = self.rows::<Ticker>(Some(link), PATH, &query).await?;
            found.extend(more);
            next = further;
        }
        found.retain(|row| row.ticker == symbol);
        Ok(found)
    }

    /// The date on which it was listed; empty where the vendor has no details.
    async fn listed_on(&self, symbol: &str) -> Result<String, VendorError> {
        match self.http.get(&format!("/v3/reference/tickers/{symbol}"), &[]).await {
            Ok(body) => {
                let details: Details = wire::decode(&self.http, &body)?;
                Ok(date_of(details.results.and_then(|detail| detail.list_date).as_deref()))
            }
            Err(VendorError::Refused { kind: Refusal::Unknown, .. }) => Ok(String::new()),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl ReferenceData for Massive {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn facts(&self, symbol: &str) -> Result<Vec<Body>, VendorError> {
        let mut found = self.tickers(symbol, "true").await?;
        if found.is_empty() {
            found = self.tickers(symbol, "false").await?;
        }
        found.sort_by_key(|row| date_of(row.delisted_utc.as_deref()));
        let Some(row) = found.pop() else {
            return Err(VendorError::Refused {
                vendor: NAME,
                status: 200,
                kind: Refusal::Unknown,
                message: format!("no ticker {symbol}"),
            });
        };
        let listed = row.active.unwrap_or(row.delisted_utc.is_none());
        let state = if listed { ListingState::Listed } else { ListingState::Delisted };
        Ok(vec![Body::Listing(Listing {
            symbol: row.ticker,
            state: state.into(),
            name: row.name.unwrap_or_default(),
            exchange: row.primary_exchange.unwrap_or_default(),
            kind: row.kind.unwrap_or_default(),
            listed_on: if listed { self.listed_on(symbol).await? } else { String::new() },
            delisted_on: date_of(row.delisted_utc.as_deref()),
            cik: row.cik.unwrap_or_default(),
            figi: row.composite_figi.unwrap_or_default(),
            ..Listing::default()
        })])
    }
}
