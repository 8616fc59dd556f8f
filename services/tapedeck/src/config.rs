//! The configuration: read once, validated whole before anything starts.
//!
//! Only this crate reads files and the environment. A value from the environment wins over the file,
//! the file over the default. An error names the field, the value and what is expected.

mod account;
mod authority;
mod broker;
mod decimal;
mod file;
mod group;
mod limits;
mod live;
mod news;
mod quality;
mod source;
mod strategy;
mod universe;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use self::broker::AlpacaAccountConfig;
pub use authority::AuthorityConfig;
pub use decimal::Decimal;
use domain::money::{E9, Price};
use ingest::standards::Standards;
pub use limits::LimitsConfig;
pub use live::LiveSection;
pub use news::NewsSection;
pub use quality::QualityConfig;
use serde::{Deserialize, Serialize};
pub use source::{Credential, SourcesConfig};
pub use strategy::{StrategyConfig, built_in, parse_mode};
pub use universe::Universe;

use crate::telemetry::TelemetryConfig;

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
    /// The file is no configuration; the message names line and field.
    #[error("{}: {message}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, as the parser says it.
        message: String,
    },
    /// There is no such field, or one is missing.
    #[error("{field}: {problem}")]
    Field {
        /// The path of the field, or of the table that it is missing in.
        field: String,
        /// What is wrong.
        problem: String,
    },
    /// Any of these, with its place in the file.
    #[error("{}:{line}: {problem}", path.display())]
    At {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong there.
        problem: Box<ConfigError>,
    },
    /// A value is outside its range.
    #[error("{field} = {value}: expected {expected}")]
    Value {
        /// The field's path.
        field: String,
        /// The value found.
        value: String,
        /// The range or form expected.
        expected: String,
    },
}

/// The whole configuration.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The dashboard.
    pub web: WebConfig,
    /// Log lines on stderr.
    pub log: LogConfig,
    /// Traces, metrics and where they go.
    pub telemetry: TelemetryConfig,
    /// Ports of the local servers; 0 means a free one.
    pub servers: ServersConfig,
    /// The simulated market of the demo.
    pub demo: DemoConfig,
    /// Accounts by name.
    pub account: BTreeMap<String, AccountConfig>,
    /// Strategies by name.
    pub strategy: BTreeMap<String, StrategyConfig>,
    /// Vendors of market data.
    pub source: SourcesConfig,
    /// What is streamed onto the tape `main`.
    pub live: LiveSection,
    /// Whose news are followed on the tape `main`.
    pub news: NewsSection,
    /// Groups of symbols by name.
    pub universe: Universe,
    /// Whose bars a series' are; the first rule that covers a bar counts.
    pub authority: Vec<AuthorityConfig>,
    /// What makes a finding about data.
    pub quality: QualityConfig,
    /// Limits by scope, stated where nobody has stated any of that scope.
    pub limits: Vec<LimitsConfig>,
}

/// The dashboard.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebConfig {
    /// Address and port; port 0 means a free one.
    pub bind: String,
    /// Certificate chain, PEM; needed, with the key, at any other address than loopback.
    pub tls_cert: Option<PathBuf>,
    /// Private key of the certificate, PEM.
    pub tls_key: Option<PathBuf>,
    /// Further `Host` values to answer to, for example `deck.local:8443`.
    pub public_hosts: Vec<String>,
}

impl Default for WebConfig {
    fn default() -> Self {
        Self { bind: "127.0.0.1:0".to_owned(), tls_cert: None, tls_key: None, public_hosts: Vec::new() }
    }
}

/// Log lines on stderr.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// Filter, for example `info` or `risk=debug,info`.
    pub filter: String,
    /// `text` or `json`.
    pub format: String,
    /// Filter of the lines that are put on the tape, for the Logs page; `off` for none.
    pub tape: String,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            filter: "warn,tapedeck=info,sqlx::query=error".to_owned(),
            format: "text".to_owned(),
            tape: "info".to_owned(),
        }
    }
}

/// Ports of the local servers; 0 means a free one.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServersConfig {
    /// nats-server's client port.
    pub nats_port: u16,
    /// PostgreSQL's port.
    pub postgres_port: u16,
}

/// The simulated market of the demo.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct DemoConfig {
    /// Seed of the market.
    pub seed: u64,
    /// Number of symbols, 1 to 64.
    pub symbols: usize,
    /// Market seconds per second while the market is open.
    pub speed: u32,
    /// First session, `YYYY-MM-DD`.
    pub from: String,
}

impl Default for DemoConfig {
    fn default() -> Self {
        Self { seed: 7, symbols: 8, speed: 4_500, from: "2024-01-02".to_owned() }
    }
}

/// One account.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccountConfig {
    /// Cash deposited when the account is opened.
    pub cash: Decimal,
    /// Largest position per symbol, as a share of equity.
    pub max_position: Decimal,
    /// Largest gross exposure, as a share of equity.
    pub max_exposure: Decimal,
    /// Largest value of one order.
    pub max_order_value: Decimal,
    /// Largest loss of one session, as a share of the equity at its start.
    pub max_daily_loss: Decimal,
    /// Largest distance of a limit price from the last price, as a share of it.
    pub price_collar: Decimal,
    /// Oldest usable price, in seconds of market time.
    pub max_price_age_s: u32,
    /// Whether positions below zero are allowed.
    pub allow_short: bool,
    /// Commission per share.
    pub commission_per_share: Decimal,
    /// Commission as a share of the traded value.
    pub commission_rate: Decimal,
    /// Least commission per fill.
    pub commission_minimum: Decimal,
    /// Slippage against the reference price, in basis points.
    pub slippage_bps: Decimal,
    /// `cash`, `margin` (Regulation T), or empty: as the limits say.
    pub kind: String,
    /// Commission of an order, paid with its first fill.
    pub commission_per_order: Decimal,
    /// Fees on sales: `us` for those of the SEC and FINRA, or empty.
    pub regulatory_fees: String,
    /// Slippage per share.
    pub slippage_per_share: Decimal,
    /// Slippage per share of a bar's volume that a fill takes, as a share of the price.
    pub slippage_volume: Decimal,
    /// Most of a bar's volume that fills, as a share; 0 means that volume does not matter.
    pub max_volume_share: Decimal,
    /// `simulated` or `alpaca`.
    pub broker: String,
    /// `paper`, or `live`: with money.
    pub mode: String,
    /// The account at Alpaca.
    pub alpaca: AlpacaAccountConfig,
}

impl Default for AccountConfig {
    fn default() -> Self {
        Self {
            cash: Decimal(100_000 * E9),
            max_position: Decimal(E9 / 4),
            max_exposure: Decimal(E9 / 2),
            max_order_value: Decimal(100_000 * E9),
            max_daily_loss: Decimal(E9 / 20),
            price_collar: Decimal(E9 / 20),
            max_price_age_s: 5_400,
            allow_short: false,
            commission_per_share: Decimal(E9 / 200),
            commission_rate: Decimal(0),
            commission_minimum: Decimal(E9),
            slippage_bps: Decimal(E9),
            kind: String::new(),
            commission_per_order: Decimal(0),
            regulatory_fees: String::new(),
            slippage_per_share: Decimal(0),
            slippage_volume: Decimal(0),
            max_volume_share: Decimal(0),
            broker: ::broker::SIMULATED.to_owned(),
            mode: "paper".to_owned(),
            alpaca: AlpacaAccountConfig::default(),
        }
    }
}

fn text_of(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })
}

impl Config {
    /// Every credential that a vendor or a broker takes.
    pub fn credentials(&self) -> Vec<Credential<'_>> {
        let outside = self.account.iter().filter(|(_, account)| account.is_at_alpaca());
        let of_brokers = outside.flat_map(|(name, account)| account.broker_credentials(name));
        self.source.credentials().into_iter().chain(of_brokers).collect()
    }

    /// Reads `path`, or gives the defaults when it is `None`, and checks everything.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let Some(path) = path else { return Self::default().completed() };
        Self::of_text(path, &text_of(path)?)
    }

    /// The same of a text that `path` holds, or is to hold.
    pub fn of_text(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let read = file::read(path, text)?;
        read.completed().map_err(|error| file::placed(path, text, error))
    }

    /// The same of a file of limits, beside its tables as they are written, without what has a default. Its account may
    /// have any name: where it states no strategies, those that there are by default trade on that one.
    pub fn load_limits(path: &Path) -> Result<(Self, toml::Table), ConfigError> {
        let text = text_of(path)?;
        let mut read = file::read(path, &text)?;
        if read.strategy.is_empty()
            && let Some(account) = read.account.keys().next()
        {
            read.strategy = strategy::built_in();
            read.strategy.values_mut().for_each(|known| known.account.clone_from(account));
        }
        let config = read.completed().map_err(|error| file::placed(path, &text, error))?;
        // What has just been read is a table.
        Ok((config, toml::from_str(&text).unwrap_or_default()))
    }

    /// With what the file leaves out, and checked.
    fn completed(mut self) -> Result<Self, ConfigError> {
        if self.account.is_empty() {
            self.account.insert(strategy::default_account(), AccountConfig::default());
        }
        if self.strategy.is_empty() {
            self.strategy = strategy::built_in();
        }
        self.universe.validate()?;
        self.expand()?;
        self.validate()?;
        Ok(self)
    }

    /// Puts symbols in the place of groups.
    fn expand(&mut self) -> Result<(), ConfigError> {
        let universe = &self.universe;
        self.live.symbols = universe.expand("live.symbols", &self.live.symbols)?;
        self.news.symbols = universe.expand("news.symbols", &self.news.symbols)?;
        for (name, strategy) in &mut self.strategy {
            strategy.symbols = universe.expand(&format!("strategy.{name}.symbols"), &strategy.symbols)?;
        }
        for (index, rule) in self.authority.iter_mut().enumerate() {
            rule.symbols = universe.expand(&format!("authority[{index}].symbols"), &rule.symbols)?;
        }
        Ok(())
    }

    /// What bars are held against.
    pub fn standards(&self) -> Standards {
        Standards { authorities: authority::rules(&self.authority), rules: Some(self.quality.rules()) }
    }

    /// Limits of strategies that the configuration does not have, each with where it stands: they limit nothing until
    /// an external strategy of that name is registered.
    pub fn limits_of_others(&self) -> impl Iterator<Item = (String, &LimitsConfig)> {
        let of_others = self.limits.iter().enumerate().filter(move |(_, limits)| {
            let name = limits.strategy.as_str();
            !name.is_empty() && name != contracts::MANUAL && !self.strategy.contains_key(name)
        });
        of_others.map(|(index, limits)| (format!("limits[{index}].strategy = {}", limits.strategy), limits))
    }

    fn validate(&self) -> Result<(), ConfigError> {
        self.web
            .bind
            .parse::<std::net::SocketAddr>()
            .map_err(|_| value("web.bind", &self.web.bind, "an address and port such as 127.0.0.1:8080"))?;
        self.web.tls_files()?;
        if let Some(host) =
            self.web.public_hosts.iter().find(|host| host.is_empty() || host.contains(['/', ' ']))
        {
            return Err(value(
                "web.public_hosts",
                host,
                "names with or without a port, such as deck.local:8443",
            ));
        }
        if !matches!(self.log.format.as_str(), "text" | "json") {
            return Err(value("log.format", &self.log.format, "text or json"));
        }
        for (field, filter) in [
            ("log.filter", &self.log.filter),
            ("log.tape", &self.log.tape),
            ("telemetry.log_filter", &self.telemetry.log_filter),
        ] {
            if let Err(error) = runtime::telemetry::check_filter(filter) {
                return Err(value(field, format!("{filter:?}"), error.expected()));
            }
        }
        self.telemetry.validate()?;
        if !(1..=64).contains(&self.demo.symbols) {
            return Err(value("demo.symbols", self.demo.symbols, "1 to 64"));
        }
        if self.demo.speed == 0 {
            return Err(value("demo.speed", self.demo.speed, "at least 1"));
        }
        let Ok(from) = self.demo.from.parse::<chrono::NaiveDate>() else {
            return Err(value("demo.from", &self.demo.from, "a date YYYY-MM-DD"));
        };
        let calendar = domain::calendar::Calendar::xnys();
        let (first, last) = (calendar.first_date(), calendar.last_date());
        if !(first..=last).contains(&from) {
            let expected = format!("a date from {first} to {last}, which the exchange calendar knows");
            return Err(value("demo.from", from, expected));
        }
        self.account.iter().try_for_each(|(name, account)| account.validate(name))?;
        broker::validate_keys(&self.account)?;
        for (name, strategy) in &self.strategy {
            strategy.validate(name, &self.account)?;
        }
        self.source.validate()?;
        self.live.validate(&self.source)?;
        self.news.validate(&self.source)?;
        self.quality.validate()?;
        authority::validate(&self.authority, &self.live)?;
        for (index, limits) in self.limits.iter().enumerate() {
            limits.validate(index, &self.account)?;
            let scope = limits.scope();
            if let Some(first) = self.limits[..index].iter().position(|known| known.scope() == scope) {
                let expected = format!("another scope than limits[{first}] has: each scope once");
                return Err(value(format!("limits[{index}]"), format!("limits of {scope}"), expected));
            }
        }
        Ok(())
    }
}

impl WebConfig {
    /// Certificate and key, which come together or not at all.
    pub fn tls_files(&self) -> Result<Option<web::TlsFiles>, ConfigError> {
        match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => {
                Ok(Some(web::TlsFiles { certificate: certificate.clone(), key: key.clone() }))
            }
            (None, None) => Ok(None),
            (Some(_), None) => Err(value("web.tls_key", "", "the private key of web.tls_cert")),
            (None, Some(_)) => Err(value("web.tls_cert", "", "the certificate of web.tls_key")),
        }
    }
}

pub(crate) fn value(
    field: impl Into<String>,
    value: impl ToString,
    expected: impl Into<String>,
) -> ConfigError {
    ConfigError::Value { field: field.into(), value: value.to_string(), expected: expected.into() }
}

/// Checks a name that becomes one token of a subject.
fn check_name(field: &str, name: &str) -> Result<(), ConfigError> {
    let good = (1..=40).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if good {
        return Ok(());
    }
    Err(value(field, format!("{name:?}"), "1 to 40 lowercase letters, digits and _"))
}

impl AccountConfig {
    fn validate(&self, name: &str) -> Result<(), ConfigError> {
        check_name("account", name)?;
        if name == contracts::ALL_ACCOUNTS {
            let expected = "1 to 40 lowercase letters, digits and _, and not `all`";
            return Err(value("account", format!("{name:?}"), expected));
        }
        let most = Decimal(i64::MAX);
        let ten = Decimal(10 * E9);
        let one = Decimal(E9);
        let limit = |field: &'static str, found: Decimal| {
            let (most, expected) = domain::limits::range(field);
            (field, found, Decimal(0), Decimal(most), expected)
        };
        for (field, found, low, high, expected) in [
            ("cash", self.cash, Decimal(1), most, "more than 0"),
            limit("max_position", self.max_position),
            limit("max_exposure", self.max_exposure),
            limit("max_order_value", self.max_order_value),
            limit("max_daily_loss", self.max_daily_loss),
            limit("price_collar", self.price_collar),
            ("commission_per_share", self.commission_per_share, Decimal(0), most, "0 or more"),
            ("commission_rate", self.commission_rate, Decimal(0), one, "0 to 1, a share of the value"),
            ("commission_minimum", self.commission_minimum, Decimal(0), most, "0 or more"),
            ("slippage_bps", self.slippage_bps, Decimal(0), Decimal(10_000 * E9 / 10), "0 to 1000"),
            ("commission_per_order", self.commission_per_order, Decimal(0), most, "0 or more"),
            ("slippage_per_share", self.slippage_per_share, Decimal(0), most, "0 or more"),
            ("slippage_volume", self.slippage_volume, Decimal(0), ten, "0 to 10, a share of the price"),
            ("max_volume_share", self.max_volume_share, Decimal(0), one, "0 to 1, a share of the volume"),
        ] {
            if found < low || found > high {
                return Err(value(format!("account.{name}.{field}"), Price(found.0), expected));
            }
        }
        self.validate_kind(name)?;
        if !matches!(self.regulatory_fees.as_str(), "" | "us") {
            return Err(value(
                format!("account.{name}.regulatory_fees"),
                &self.regulatory_fees,
                "us or nothing",
            ));
        }
        self.validate_broker(name)?;
        if self.max_price_age_s == 0 {
            return Err(value(format!("account.{name}.max_price_age_s"), 0, "at least 1 second"));
        }
        Ok(())
    }
}
