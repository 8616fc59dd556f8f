//! Telemetry of a running process: what is configured, what is served, what is told to NATS.

mod config;
mod gauges;
mod micro;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use runtime::telemetry::{BoxedLayer, ExportSettings, LogFormat, Settings, Telemetry, filtered};

pub use config::TelemetryConfig;
pub use gauges::Gauges;
pub use micro::introduce;

use crate::cli::{Command, Global, LogForm, TelemetryOptions};
use crate::config::LogConfig;
use crate::exit::Failure;
use crate::output::colors_log;

/// Starts logging, and exporting where the command runs services and a collector is configured.
pub fn start(global: &Global, command: &Command) -> Result<Telemetry, Failure> {
    // A configuration that cannot be read is the command's to report; logging then takes its defaults.
    let config = global.configuration().map(|read| Arc::clone(&read.config)).unwrap_or_default();
    let LogConfig { filter, format, tape } = &config.log;
    let export = match options(command) {
        Some(options) => export(&config.telemetry, options)?,
        None => None,
    };
    let settings = Settings {
        filter: global.log.clone().unwrap_or_else(|| filter.clone()),
        format: match global.log_format {
            Some(LogForm::Json) => LogFormat::Json,
            None if format == "json" => LogFormat::Json,
            _ => LogFormat::Text { color: colors_log(global) },
        },
        export,
    };
    // Further destinations of log lines join here, each a layer behind its own filter
    // (`runtime::telemetry::filtered`).
    let mut more: Vec<BoxedLayer> = Vec::new();
    if options(command).is_some() && tape != "off" {
        let (layer, publisher) = runtime::telemetry::log_stream();
        more.push(filtered(layer, tape).map_err(|error| Failure::config(error.to_string()))?);
        runtime::telemetry::keep_publisher(publisher);
    }
    runtime::telemetry::start(&settings, more).map_err(|error| Failure::config(error.to_string()))
}

/// The options of a command that runs services.
fn options(command: &Command) -> Option<&TelemetryOptions> {
    match command {
        Command::Up(up) => Some(&up.telemetry),
        Command::Run(run) => Some(&run.telemetry),
        Command::Rehearse(rehearse) => Some(&rehearse.telemetry),
        _ => None,
    }
}

/// What is exported where, as options and configuration have it; `None` without a collector.
pub fn export(
    config: &TelemetryConfig,
    options: &TelemetryOptions,
) -> Result<Option<ExportSettings>, Failure> {
    let mut config = config.clone();
    let given = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
    if let Some(endpoint) = given(&options.otlp_endpoint) {
        config.otlp_endpoint = endpoint;
    }
    if let Some(name) = given(&options.service_name) {
        config.service_name = name;
    }
    if let Some(ratio) = options.trace_ratio {
        config.trace_ratio = ratio;
    }
    config.validate().map_err(|error| Failure::config(error.to_string()))?;
    if config.otlp_endpoint.is_empty() {
        return Ok(None);
    }
    Ok(Some(ExportSettings {
        endpoint: config.otlp_endpoint,
        service_name: config.service_name,
        trace_ratio: config.trace_ratio,
        log_filter: config.log_filter,
        metrics_every: Duration::from_secs(config.metrics_every_s.into()),
    }))
}

/// Where this process serves its metrics besides its dashboard, when it does.
pub fn metrics_bind(
    config: &TelemetryConfig,
    options: &TelemetryOptions,
) -> Result<Option<SocketAddr>, Failure> {
    let bind = options.metrics.as_deref().unwrap_or(&config.metrics_bind);
    if bind.is_empty() {
        return Ok(None);
    }
    bind.parse().map(Some).map_err(|_| {
        Failure::usage(
            format!("--metrics {bind:?}: expected ADDRESS:PORT"),
            "tapedeck run risk --metrics 127.0.0.1:9464",
        )
    })
}
