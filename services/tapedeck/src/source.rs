//! Vendors, made of the configuration and the credentials that it names.

use std::sync::Arc;

use vendors::http::{Credentials, HttpConfig};
use vendors::{Alpaca, HistoricalBars, Massive, SystemClock, VendorError, Yahoo};

use crate::cli::Vendor;
use crate::config::SourcesConfig;
use crate::exit::Failure;

mod live;

pub use live::Streams;

/// The real clock, as vendors read it.
fn clock() -> Arc<SystemClock> {
    // Two processes do not wait alike.
    let seed = u64::from(std::process::id()) ^ runtime::now_ns().unsigned_abs();
    Arc::new(SystemClock::new(runtime::now_ns, seed))
}

/// The client of a vendor.
pub fn history(vendor: Vendor, config: &SourcesConfig) -> Result<Box<dyn HistoricalBars>, Failure> {
    let clock = clock();
    let made: Result<Box<dyn HistoricalBars>, VendorError> = match vendor {
        Vendor::Yahoo => {
            let http =
                HttpConfig::new(&config.yahoo.base_url, Credentials::None, config.yahoo.requests_per_minute);
            Yahoo::new(http, clock).map(|client| Box::new(client) as _)
        }
        Vendor::Alpaca => {
            let (key, secret) = (config.alpaca.key().read()?, config.alpaca.secret().read()?);
            let credentials = Credentials::Alpaca { key, secret };
            let http =
                HttpConfig::new(&config.alpaca.base_url, credentials, config.alpaca.requests_per_minute);
            Alpaca::new(http, &config.alpaca.feed, clock).map(|client| Box::new(client) as _)
        }
        Vendor::Massive => {
            let credentials = Credentials::Bearer(config.massive.key().read()?);
            let http =
                HttpConfig::new(&config.massive.base_url, credentials, config.massive.requests_per_minute);
            Massive::new(http, clock).map(|client| Box::new(client) as _)
        }
    };
    made.map_err(failure)
}

/// A vendor's error as the command's.
pub fn failure(error: VendorError) -> Failure {
    use vendors::Refusal;
    let message = error.to_string();
    match error {
        VendorError::Transient { .. } | VendorError::Limited { .. } => Failure {
            hint: "the same command again later goes on".to_owned(),
            ..Failure::unreachable(message)
        },
        VendorError::Refused { kind: Refusal::Credentials, .. } | VendorError::Setup { .. } => {
            Failure::config(message)
        }
        VendorError::Refused { kind: Refusal::Unknown, .. } => Failure::not_found(message, ""),
        VendorError::Refused { kind: Refusal::Request, .. } | VendorError::Broken { .. } => {
            Failure::other(message)
        }
    }
}
