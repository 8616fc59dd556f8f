//! `[telemetry]` in the configuration file.

use serde::{Deserialize, Serialize};

use crate::config::{ConfigError, value};

/// Where telemetry goes.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// Base address of an OTLP collector (protobuf over HTTP); empty: nothing is exported.
    pub otlp_endpoint: String,
    /// `service.name` of what is exported.
    pub service_name: String,
    /// Share of decision chains that is traced, 0 to 1.
    pub trace_ratio: f64,
    /// Filter of the log lines that are exported.
    pub log_filter: String,
    /// Seconds between two exports of the metrics, 1 to 3600.
    pub metrics_every_s: u32,
    /// Address and port that serve `/metrics`, `/healthz` and `/readyz` besides the dashboard; empty: none.
    pub metrics_bind: String,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            otlp_endpoint: String::new(),
            service_name: "tapedeck".to_owned(),
            trace_ratio: 1.0,
            log_filter: "info".to_owned(),
            metrics_every_s: 15,
            metrics_bind: String::new(),
        }
    }
}

impl TelemetryConfig {
    /// Checks every field.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let endpoint = &self.otlp_endpoint;
        let host = endpoint.strip_prefix("http://").unwrap_or_default();
        if !endpoint.is_empty() && (host.is_empty() || host.contains(char::is_whitespace)) {
            let expected = "an address such as http://127.0.0.1:4318 (a collector nearby, without TLS)";
            return Err(value("telemetry.otlp_endpoint", endpoint, expected));
        }
        if self.service_name.trim().is_empty() {
            return Err(value("telemetry.service_name", format!("{:?}", self.service_name), "a name"));
        }
        if !(0.0..=1.0).contains(&self.trace_ratio) {
            return Err(value("telemetry.trace_ratio", self.trace_ratio, "0 to 1"));
        }
        if !(1..=3_600).contains(&self.metrics_every_s) {
            return Err(value("telemetry.metrics_every_s", self.metrics_every_s, "1 to 3600 seconds"));
        }
        if !self.metrics_bind.is_empty() && self.metrics_bind.parse::<std::net::SocketAddr>().is_err() {
            let expected = "an address and port such as 127.0.0.1:9464, or nothing";
            return Err(value("telemetry.metrics_bind", &self.metrics_bind, expected));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_hold_and_a_wrong_value_names_its_field() {
        let good = TelemetryConfig::default();
        assert!(good.validate().is_ok());
        let bad = [
            TelemetryConfig { otlp_endpoint: "127.0.0.1:4318".into(), ..good.clone() },
            TelemetryConfig { otlp_endpoint: "https://collector:4318".into(), ..good.clone() },
            TelemetryConfig { service_name: " ".into(), ..good.clone() },
            TelemetryConfig { trace_ratio: 1.5, ..good.clone() },
            TelemetryConfig { trace_ratio: f64::NAN, ..good.clone() },
            TelemetryConfig { metrics_every_s: 0, ..good.clone() },
            TelemetryConfig { metrics_bind: "9464".into(), ..good },
        ];
        let fields = [
            "otlp_endpoint",
            "otlp_endpoint",
            "service_name",
            "trace_ratio",
            "trace_ratio",
            "metrics_every_s",
        ];
        for (config, field) in bad.iter().zip(fields.into_iter().chain(["metrics_bind"])) {
            let message = config.validate().unwrap_err().to_string();
            assert!(message.starts_with(&format!("telemetry.{field} = ")), "{message}");
        }
    }
}
