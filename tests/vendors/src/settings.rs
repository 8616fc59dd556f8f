//! How the stand-in behaves where vendors' plans and habits differ.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ledger::Vendor;

/// How it behaves; everything may be left out.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Requests a minute to each vendor; no limit when `null`. NewsAPI's is a day's.
    pub requests_per_minute: Limits,
    /// Alpaca's market data.
    pub alpaca_data: DataSettings,
    /// Alpaca's trading.
    pub alpaca_trading: TradingSettings,
    /// Massive.
    pub massive: MassiveSettings,
    /// Yahoo.
    pub yahoo: YahooSettings,
    /// NewsAPI.
    pub news: NewsSettings,
}

/// Requests a minute, by vendor; each field is named after its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    pub alpaca_trading: Option<u32>,
    pub alpaca_data: Option<u32>,
    pub massive: Option<u32>,
    pub yahoo: Option<u32>,
    pub news: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { alpaca_trading: Some(200), alpaca_data: Some(200), massive: None, yahoo: None, news: None }
    }
}

impl Limits {
    /// The limit of a vendor.
    #[must_use]
    pub const fn of(&self, vendor: Vendor) -> Option<u32> {
        match vendor {
            Vendor::AlpacaTrading => self.alpaca_trading,
            Vendor::AlpacaData => self.alpaca_data,
            Vendor::Massive => self.massive,
            Vendor::Yahoo => self.yahoo,
            Vendor::News => self.news,
        }
    }
}

/// Alpaca's market data.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataSettings {
    /// Without it the newest quarter of an hour of SIP data is refused, and so is the SIP stream.
    pub sip: bool,
    /// Symbols that may be subscribed; no limit when `null`. Basic has 30.
    pub symbols_max: Option<usize>,
    /// Connections to one stream.
    pub connections_max: usize,
    /// How long a connection may take to say who it is.
    pub auth_timeout_ms: u64,
    /// Pages hold so many rows at most, whatever was asked for.
    pub page_max: usize,
}

impl Default for DataSettings {
    fn default() -> Self {
        Self { sip: true, symbols_max: None, connections_max: 1, auth_timeout_ms: 10_000, page_max: 10_000 }
    }
}

/// Alpaca's trading.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TradingSettings {
    /// Trade updates come in binary frames, as from paper accounts.
    pub binary: bool,
    /// Orders that can be filled at the market's quote are filled; else only as the control interface says.
    pub fills: bool,
    /// Of every so many fills one comes in two parts; none when 0. Paper's is 10.
    pub partial_every: u64,
}

impl Default for TradingSettings {
    fn default() -> Self {
        Self { binary: true, fills: true, partial_every: 0 }
    }
}

/// Massive.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MassiveSettings {
    /// The status of answers; `DELAYED` on the plan with 15 minutes of delay.
    pub status: String,
    /// Connections to one stream.
    pub connections_max: usize,
    /// Whether the plan has streams.
    pub streams: bool,
}

impl Default for MassiveSettings {
    fn default() -> Self {
        Self { status: "OK".into(), connections_max: 1, streams: true }
    }
}

/// Yahoo.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct YahooSettings {
    /// Changing it makes every crumb that was given out invalid.
    pub crumb: String,
    /// Visitors are sent to the consent page first, as in the European Union.
    pub consent: bool,
}

impl Default for YahooSettings {
    fn default() -> Self {
        Self { crumb: "c/rumb.1".into(), consent: false }
    }
}

/// NewsAPI.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewsSettings {
    /// How late articles are.
    pub delay_hours: i64,
    /// How far back articles can be asked for.
    pub days_back: i64,
    /// How many results of a query can be read.
    pub results_max: usize,
}

impl Default for NewsSettings {
    fn default() -> Self {
        Self { delay_hours: 24, days_back: 30, results_max: 100 }
    }
}

impl Settings {
    /// These settings with some of them changed.
    ///
    /// # Errors
    /// When `change` names what is not there, or with a value of another kind.
    pub fn with(&self, change: &Value) -> Result<Self, serde_json::Error> {
        fn merge(value: &mut Value, change: &Value) {
            match (value, change) {
                (Value::Object(fields), Value::Object(change)) => {
                    for (name, change) in change {
                        merge(fields.entry(name.clone()).or_insert(Value::Null), change);
                    }
                }
                (value, change) => *value = change.clone(),
            }
        }
        let mut value = serde_json::to_value(self)?;
        merge(&mut value, change);
        serde_json::from_value(value)
    }
}
