//! The terms of a start: what options, configuration and environment decide by themselves, settled before a server is
//! started or a tape's directory is made.
//!
//! Whatever starts services comes by here, and so does `config check`: what one of them refuses, all of them refuse, in
//! the same words. Deliberately absent: what it takes a tape, a server or a broker's answer to know.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use runtime::ClockMode;

use crate::cli::{ServerUrls, Service, TelemetryOptions};
use crate::config::{Config, WebConfig};
use crate::exit::Failure;
use crate::home::Manifest;
use crate::services::clock_mode;
use crate::session::check_servers;
use crate::source::{Agency, Streams};
use crate::{telemetry, trading};

/// What is asked of a start.
pub struct Asked<'a> {
    /// Name of the tape.
    pub tape: &'a str,
    /// What the tape is, or is to be.
    pub manifest: &'a Manifest,
    /// Services of this process.
    pub services: BTreeSet<Service>,
    /// Address of the dashboard, where an option says it.
    pub bind: Option<&'a str>,
    /// Accounts that options name as trading with money.
    pub live: &'a [String],
    /// Where telemetry goes.
    pub telemetry: &'a TelemetryOptions,
}

impl Asked<'_> {
    /// Refuses an option that nothing here would go by.
    fn check_services(&self) -> Result<(), Failure> {
        let options = [
            ("--bind", self.bind, Service::Web),
            ("--live", self.live.first().map(String::as_str), Service::Execution),
        ];
        for (option, value, service) in options {
            if let Some(value) = value.filter(|_| !self.services.contains(&service)) {
                let name = service.name();
                let message =
                    format!("{option} {value}: expected {name} among the services, which alone goes by it");
                return Err(Failure::usage(message, format!("tapedeck run {name} {option} {value}")));
            }
        }
        Ok(())
    }
}

/// What a start goes by.
pub struct Terms {
    /// Services of this process.
    pub services: BTreeSet<Service>,
    /// Address of the dashboard, as an option said it.
    pub bind: Option<String>,
    /// Where the dashboard listens, when `web` is among the services.
    pub dashboard: Option<Dashboard>,
    /// Accounts that options name as trading with money.
    pub live: Vec<String>,
    /// Accounts at brokers outside, when `execution` is among the services and the tape goes by the wall clock.
    pub outside: BTreeMap<String, alpaca::Config>,
    /// Where telemetry goes, as options said it.
    pub telemetry: TelemetryOptions,
    /// Where metrics are served besides the dashboard.
    pub metrics: Option<SocketAddr>,
    /// The source of live minutes, where one is followed.
    pub minutes: Option<Arc<Streams>>,
    /// The source of news, where one is followed.
    pub news: Option<Arc<Agency>>,
}

/// Where a dashboard listens.
pub struct Dashboard {
    /// Address and port; port 0 is a free one.
    pub address: SocketAddr,
    /// Certificate and key, where it speaks TLS.
    pub tls: Option<web::TlsFiles>,
}

impl Terms {
    /// Settles what is asked; an error names the option or the field, its value and what is expected.
    pub fn of(config: &Config, servers: &ServerUrls, asked: Asked<'_>) -> Result<Self, Failure> {
        check_servers(servers)?;
        telemetry::export(&config.telemetry, asked.telemetry)?;
        let metrics = telemetry::metrics_bind(&config.telemetry, asked.telemetry)?;
        let has = |service| asked.services.contains(&service);
        asked.check_services()?;
        let dashboard = if has(Service::Web) { Some(Dashboard::of(asked.bind, &config.web)?) } else { None };
        // Whoever sends no orders needs no credentials, and who follows no vendor neither.
        let outside =
            if has(Service::Execution) { trading::outside(config, &asked)? } else { BTreeMap::new() };
        let follows = has(Service::Ingest) && clock_mode(asked.manifest) == ClockMode::Wall;
        let (live, news) = (&config.live, &config.news);
        if follows && live.is_on() {
            asked.manifest.check_exchange(asked.tape, "[live]")?;
        }
        let minutes =
            if follows && live.is_on() { Some(Arc::new(Streams::new(live, &config.source)?)) } else { None };
        let news =
            if follows && news.is_on() { Some(Arc::new(Agency::new(news, &config.source)?)) } else { None };
        Ok(Self {
            services: asked.services,
            bind: asked.bind.map(str::to_owned),
            dashboard,
            live: asked.live.to_vec(),
            outside,
            telemetry: asked.telemetry.clone(),
            metrics,
            minutes,
            news,
        })
    }
}

impl Dashboard {
    fn of(asked: Option<&str>, config: &WebConfig) -> Result<Self, Failure> {
        let bind = asked.unwrap_or(&config.bind);
        let address: SocketAddr = bind.parse().map_err(|_| {
            Failure::usage(
                format!("--bind {bind:?}: expected ADDRESS:PORT"),
                "tapedeck up --bind 127.0.0.1:8080",
            )
        })?;
        let tls = config.tls_files()?;
        web::check(address, tls.as_ref()).map_err(|error| Failure::config(error.to_string()))?;
        Ok(Self { address, tls })
    }
}
