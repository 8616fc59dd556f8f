//! Alpaca's assets, at the address of its trading interface: what is listed, and what may be done with it there.
//!
//! Deliberately absent: dates, which Alpaca does not state; assets that are no US equities.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::v1::event::Body;
use contracts::v1::{Listing, ListingState};
use serde::Deserialize;

use super::NAME;
use crate::clock::Clock;
use crate::error::VendorError;
use crate::http::{Http, HttpConfig};
use crate::reference::ReferenceData;
use crate::wire;

/// Alpaca's assets.
#[derive(Debug)]
pub struct AlpacaAssets {
    http: Http,
}

#[derive(Deserialize)]
struct Asset {
    symbol: String,
    class: Option<String>,
    exchange: Option<String>,
    name: Option<String>,
    status: Option<String>,
    tradable: Option<bool>,
    shortable: Option<bool>,
    fractionable: Option<bool>,
}

impl AlpacaAssets {
    /// A client.
    pub fn new(config: HttpConfig, clock: Arc<dyn Clock>) -> Result<Self, VendorError> {
        Ok(Self { http: Http::new(NAME, config, clock)? })
    }
}

#[async_trait]
impl ReferenceData for AlpacaAssets {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn facts(&self, symbol: &str) -> Result<Vec<Body>, VendorError> {
        let body = self.http.get(&format!("/v2/assets/{symbol}"), &[]).await?;
        let asset: Asset = wire::decode(&self.http, &body)?;
        if asset.symbol != symbol {
            return Err(self.http.broken(format!("symbol: {:?}, expected {symbol:?}", asset.symbol)));
        }
        // What another word means is not known, nor is it when nothing is said; the rest of the answer holds all the same.
        let state = match asset.status.as_deref() {
            Some("active") => ListingState::Listed,
            Some("inactive") => ListingState::Delisted,
            _ => ListingState::Unspecified,
        };
        Ok(vec![Body::Listing(Listing {
            symbol: asset.symbol,
            state: state.into(),
            name: asset.name.unwrap_or_default(),
            exchange: asset.exchange.unwrap_or_default(),
            kind: asset.class.unwrap_or_default(),
            tradable: asset.tradable,
            shortable: asset.shortable,
            fractionable: asset.fractionable,
            ..Listing::default()
        })])
    }
}
